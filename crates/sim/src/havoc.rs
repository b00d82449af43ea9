//! [`Havoc`]: makes the faults of a [`crate::schedule`] happen to a [`Cluster`], and undoes them.

use crate::cluster::{Cluster, Member};
use crate::dependencies::Micros;
use crate::schedule::{Kind, Planned, Whom};
use crate::torn;
use parking_lot::Mutex as Record;
use rand::{
    RngExt, SeedableRng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long a change of the members may take.
const CHANGE_WITHIN: Duration = Duration::from_secs(150);
/// How long a planned transfer may take.
const TRANSFER_WITHIN: Duration = Duration::from_secs(15);
/// How long a rolling restart waits for a consul before it goes on with the next server.
const CONSUL_WITHIN: Duration = Duration::from_secs(10);
/// Servers that are added in one run.
const ADDED_MAX: usize = 20;

/// A fault that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it began.
    pub at: Micros,
    /// Of what kind.
    pub kind: Kind,
    /// It took the consul away from a cluster that was whole otherwise: how soon is there another one?
    pub failover: bool,
}

/// What an operator began and has not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfinished {
    Add(usize),
    /// With the number that it has in the cluster.
    Remove(usize, u64),
}

/// See the module's page.
#[derive(Debug)]
pub struct Havoc {
    /// What everything happens to.
    pub cluster: Mutex<Cluster>,
    begun: Instant,
    events: Record<Vec<Event>>,
    unfinished: Record<Vec<Unfinished>>,
    /// Links are cut or slow now.
    weather: Record<bool>,
    /// Whose log is damaged now and then.
    bad_disk: Record<Option<usize>>,
}

impl Havoc {
    /// Nothing has happened yet. Times are from `begun`.
    pub fn new(cluster: Cluster, begun: Instant) -> Havoc {
        Havoc {
            cluster: Mutex::new(cluster),
            begun,
            events: Record::default(),
            unfinished: Record::default(),
            weather: Record::new(false),
            bad_disk: Record::default(),
        }
    }

    /// What happened since this was asked last.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock())
    }

    fn say(&self, text: &str) {
        println!("{:9.3}  {text}", self.begun.elapsed().as_secs_f64());
    }

    fn note(&self, kind: Kind, failover: bool, text: &str) {
        self.events.lock().push(Event {
            at: self.begun.elapsed().as_micros() as Micros,
            kind,
            failover,
        });
        self.say(text);
    }

    /// Makes one fault happen, and undoes what doesn't wait for [`Havoc::heal`].
    ///
    /// # Errors
    /// What must not be: a server that ends by itself, or doesn't start again.
    pub async fn inflict(&self, fault: Planned) -> Result<(), String> {
        let mut dice = ChaCha12Rng::seed_from_u64(fault.dice);
        match fault.kind {
            Kind::Kill | Kind::Torn => self.kill(fault, &mut dice).await,
            Kind::Rot => self.rot(&mut dice).await,
            Kind::Full => self.fill(fault).await,
            Kind::SlowDisk => self.slow_disk(fault, &mut dice).await,
            Kind::Clock => self.set_clocks(fault, &mut dice).await,
            Kind::Pause => self.pause(fault, &mut dice).await,
            Kind::Restart => self.restart(fault, &mut dice).await,
            Kind::Rolling => self.roll().await,
            Kind::Transfer => self.transfer(&mut dice).await,
            Kind::Members => self.exchange(&mut dice).await,
            Kind::Partition => self.partition(fault, &mut dice).await,
            Kind::Slow => self.slow(fault, &mut dice).await,
            Kind::Reset => self.reset(fault, &mut dice).await,
        }
    }

    /// The servers that a fault meets, of those that run; and whether the consul is among them and all is well otherwise.
    async fn targets(&self, cluster: &Cluster, whom: Whom, dice: &mut ChaCha12Rng) -> (Vec<usize>, bool) {
        let consul = cluster.consul().await;
        let mut up = cluster.those(Member::is_up);
        let whole = up.len() == cluster.those(|_| true).len() && !*self.weather.lock();
        up.shuffle(dice);
        let count = dice.random_range(2..=up.len().max(2));
        let targets: Vec<usize> = match whom {
            Whom::Consul => consul.or_else(|| up.first().copied()).into_iter().collect(),
            Whom::Follower => up.into_iter().find(|at| Some(*at) != consul).into_iter().collect(),
            Whom::Several => up.into_iter().take(count).collect(),
        };
        let failover = whole && whom == Whom::Consul && consul.is_some();
        (targets, failover)
    }

    async fn kill(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let mut cluster = self.cluster.lock().await;
        let (targets, failover) = self.targets(&cluster, fault.whom, dice).await;
        let torn = if fault.kind == Kind::Torn { ", with a torn write," } else { "" };
        let names = names(&targets);
        self.note(fault.kind, failover, &format!("kill{torn} {names} for {:?}", fault.hold));
        for at in &targets {
            cluster.kill(*at)?;
            let log = cluster.members()[*at].data().join("log");
            if fault.kind == Kind::Torn && log.exists() {
                torn::tear(&log, dice).map_err(|error| format!("{}: {error}", log.display()))?;
            }
        }
        drop(cluster);
        tokio::time::sleep(fault.hold).await;
        let mut cluster = self.cluster.lock().await;
        for at in targets {
            while dice.random_ratio(1, 6) {
                cluster.start_and_kill(at, Duration::from_millis(dice.random_range(0..600))).await?;
            }
            cluster.start(at)?;
        }
        self.say(&format!("started {names}"));
        Ok(())
    }

    /// Damages the log of the server whose disk is bad: one in a run, as what only two of three have isn't kept by their majority.
    async fn rot(&self, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let mut cluster = self.cluster.lock().await;
        let victim = *self.bad_disk.lock();
        let able = cluster.those(|member| member.is_up() && member.data().join("log").exists());
        let Some(at) = victim.or_else(|| able.choose(dice).copied()).filter(|at| able.contains(at)) else {
            return Ok(());
        };
        *self.bad_disk.lock() = Some(at);
        cluster.kill(at)?;
        let log = cluster.members()[at].data().join("log");
        let damaged = torn::rot(&log, dice).map_err(|error| format!("{}: {error}", log.display()))?;
        if damaged {
            self.note(Kind::Rot, false, &format!("kill server {}, and damage its log", at + 1));
        }
        cluster.start(at)
    }

    /// Fills the small disk.
    async fn fill(&self, fault: Planned) -> Result<(), String> {
        let cluster = self.cluster.lock().await;
        let Some((at, ballast)) = cluster.fill_small_disk() else {
            return Ok(());
        };
        self.note(
            Kind::Full,
            false,
            &format!("the disk of server {} is full for {:?}", at + 1, fault.hold),
        );
        drop(cluster);
        tokio::time::sleep(fault.hold).await;
        drop(ballast);
        self.say("the disk has room again");
        Ok(())
    }

    async fn slow_disk(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let cluster = self.cluster.lock().await;
        let (targets, _) = self.targets(&cluster, fault.whom, dice).await;
        let writes = dice.random_range(3..60);
        let text = format!("{writes} writes a second at the disk of {} for {:?}", names(&targets), fault.hold);
        self.note(fault.kind, false, &text);
        targets.iter().try_for_each(|at| cluster.slow_disk(*at, Some(writes)))?;
        drop(cluster);
        tokio::time::sleep(fault.hold).await;
        let cluster = self.cluster.lock().await;
        targets.iter().try_for_each(|at| cluster.slow_disk(*at, None))?;
        self.say("disks are fast again");
        Ok(())
    }

    /// Sets clocks by seconds, or by up to an hour, back or ahead; all go right again when the round is over.
    async fn set_clocks(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let cluster = self.cluster.lock().await;
        let (targets, _) = self.targets(&cluster, fault.whom, dice).await;
        let most = if dice.random() { 5 } else { 3600 };
        let wrong: Vec<i64> = targets.iter().map(|_| dice.random_range(-most..=most)).collect();
        let text = format!("the clock of {} is wrong by {wrong:?} s", names(&targets));
        self.note(fault.kind, false, &text);
        for (at, seconds) in targets.iter().zip(&wrong) {
            cluster.set_clock(*at, *seconds)?;
        }
        Ok(())
    }

    async fn pause(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let mut cluster = self.cluster.lock().await;
        let (targets, failover) = self.targets(&cluster, fault.whom, dice).await;
        // What goes on before anybody noticed is no failover.
        let failover = failover && fault.hold > Duration::from_secs(2);
        self.note(fault.kind, failover, &format!("pause {} for {:?}", names(&targets), fault.hold));
        targets.iter().try_for_each(|at| cluster.pause(*at))?;
        drop(cluster);
        tokio::time::sleep(fault.hold).await;
        let mut cluster = self.cluster.lock().await;
        targets.iter().try_for_each(|at| cluster.resume(*at))?;
        self.say(&format!("resumed {}", names(&targets)));
        Ok(())
    }

    async fn restart(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let mut cluster = self.cluster.lock().await;
        let (targets, _) = self.targets(&cluster, fault.whom, dice).await;
        self.note(fault.kind, false, &format!("stop {} for {:?}", names(&targets), fault.hold));
        targets.iter().try_for_each(|at| cluster.terminate(*at))?;
        drop(cluster);
        tokio::time::sleep(fault.hold).await;
        let mut cluster = self.cluster.lock().await;
        targets.iter().try_for_each(|at| cluster.start(*at))?;
        self.say(&format!("started {}", names(&targets)));
        Ok(())
    }

    async fn roll(&self) -> Result<(), String> {
        let all = self.cluster.lock().await.those(Member::is_up);
        self.note(Kind::Rolling, false, "rolling restart");
        for at in all {
            let mut cluster = self.cluster.lock().await;
            cluster.terminate(at)?;
            cluster.start(at)?;
            drop(cluster);
            let from = Instant::now();
            while from.elapsed() < CONSUL_WITHIN && self.cluster.lock().await.consul().await.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.say("rolling restart is over");
        Ok(())
    }

    async fn transfer(&self, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let cluster = self.cluster.lock().await;
        let Some(consul) = cluster.consul().await else { return Ok(()) };
        let mut able = cluster.those(|member| member.is_up() && member.has_state());
        able.retain(|at| *at != consul);
        able.shuffle(dice);
        let Some(to) = able.first() else { return Ok(()) };
        let Ok(number) = cluster.number(*to).await else { return Ok(()) };
        self.note(
            Kind::Transfer,
            false,
            &format!("transfer from server {} to server {}", consul + 1, to + 1),
        );
        let asked = cluster.ask(consul, &["transfer", &number.to_string()], TRANSFER_WITHIN).await;
        self.say(&asked.unwrap_or_else(|why| format!("no transfer: {why}")));
        Ok(())
    }

    /// Adds a server, then removes another one of the same roles. What other faults keep from happening now is finished later.
    async fn exchange(&self, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let unfinished = !self.unfinished.lock().is_empty();
        let mut cluster = self.cluster.lock().await;
        let mut up = cluster.those(Member::is_up);
        up.shuffle(dice);
        let (Some(leaver), false) = (up.first().copied(), unfinished || cluster.members().len() > ADDED_MAX) else {
            return Ok(());
        };
        let Ok(number) = cluster.number(leaver).await else { return Ok(()) };
        let roles = cluster.members()[leaver].roles();
        let comer = cluster.place(roles).await?;
        cluster.start(comer)?;
        drop(cluster);
        let text = format!(
            "add server {}, {roles}, then remove server {} (number {number})",
            comer + 1,
            leaver + 1
        );
        self.note(Kind::Members, false, &text);
        self.unfinished
            .lock()
            .extend([Unfinished::Add(comer), Unfinished::Remove(leaver, number)]);
        if let Err(why) = self.finish_changes().await {
            self.say(&format!("not yet: {why}"));
        }
        Ok(())
    }

    /// Finishes the changes that were begun.
    ///
    /// # Errors
    /// Why that isn't possible now.
    pub async fn finish_changes(&self) -> Result<(), String> {
        loop {
            let Some(next) = self.unfinished.lock().first().copied() else {
                return Ok(());
            };
            // The cluster isn't held meanwhile: other faults go on.
            let (asking, who) = {
                let cluster = self.cluster.lock().await;
                let (at, verb, whom) = match next {
                    Unfinished::Add(at) => (at, "add", cluster.peer(at)),
                    Unfinished::Remove(at, number) => (at, "remove", number.to_string()),
                };
                let others = cluster.those(Member::is_up).into_iter().filter(|other| *other != at);
                let host = others.min().ok_or("no other server runs")?;
                (cluster.ask(host, &["server", verb, &whom], CHANGE_WITHIN), at)
            };
            let said = match (asking.await, next) {
                (Ok(said), _) => said,
                // Done before, by an asking whose answer was lost.
                (Err(why), Unfinished::Remove(..)) if why.contains("there is no server") => why,
                (Err(why), _) => return Err(why),
            };
            self.say(said.trim());
            if let Unfinished::Remove(..) = next {
                self.cluster.lock().await.bury(who)?;
            }
            self.unfinished.lock().remove(0);
        }
    }

    async fn partition(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let cluster = self.cluster.lock().await;
        let (targets, failover) = self.targets(&cluster, fault.whom, dice).await;
        let mut all = cluster.those(|_| true);
        all.shuffle(dice);
        let Some(target) = targets.first().copied().or_else(|| all.first().copied()) else {
            return Ok(());
        };
        all.retain(|at| *at != target);
        let one_of_others = all.first().copied().unwrap_or(target);
        let network = &cluster.network;
        let both = |one, other| {
            network.cut(one, other);
            network.cut(other, one);
        };
        let (text, failover) = match dice.random_range(0..6) {
            0 => {
                all.iter().for_each(|at| both(target, *at));
                (format!("server {} is cut off", target + 1), failover)
            }
            1 => {
                all.iter().for_each(|at| network.cut(target, *at));
                (format!("nothing of server {} arrives", target + 1), false)
            }
            2 => {
                all.iter().for_each(|at| network.cut(*at, target));
                (format!("nothing arrives at server {}", target + 1), false)
            }
            3 => {
                both(target, one_of_others);
                (
                    format!("servers {} and {} don't reach each other", target + 1, one_of_others + 1),
                    false,
                )
            }
            4 => {
                network.cut(target, one_of_others);
                (
                    format!("nothing of server {} arrives at server {}", target + 1, one_of_others + 1),
                    false,
                )
            }
            _ => {
                let island = |at: usize, random: u64| (random >> (2 * at)) % 3;
                let random = dice.random();
                let everybody = || all.iter().copied().chain([target]);
                for one in everybody() {
                    for other in everybody().filter(|other| island(one, random) != island(*other, random)) {
                        network.cut(one, other);
                    }
                }
                let mut islands: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
                everybody().for_each(|at| islands.entry(island(at, random)).or_default().push(at + 1));
                (format!("islands {:?}", islands.values().collect::<Vec<_>>()), false)
            }
        };
        let failover = failover && fault.hold > Duration::from_secs(2);
        let reset = dice.random();
        let then = if reset { ", then connections are reset" } else { "" };
        self.note(Kind::Partition, failover, &format!("{text} for {:?}{then}", fault.hold));
        drop(cluster);
        self.hold_weather(fault.hold, reset).await;
        Ok(())
    }

    async fn slow(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        let cluster = self.cluster.lock().await;
        let all = cluster.those(|_| true);
        let delay = Duration::from_millis(dice.random_range(0..100));
        let jitter = Duration::from_millis(dice.random_range(0..200));
        let some = dice.random_range(1..=3);
        for one in &all {
            for other in &all {
                if dice.random_ratio(some, 3) {
                    cluster.network.slow(*one, *other, delay, jitter);
                }
            }
        }
        let text = format!(
            "{some}/3 of all links take {delay:?} and up to {jitter:?} more, for {:?}",
            fault.hold
        );
        self.note(Kind::Slow, false, &text);
        drop(cluster);
        self.hold_weather(fault.hold, false).await;
        Ok(())
    }

    async fn hold_weather(&self, hold: Duration, reset: bool) {
        *self.weather.lock() = true;
        tokio::time::sleep(hold).await;
        self.cluster.lock().await.network.mend(reset);
        *self.weather.lock() = false;
        self.say("the network is whole");
    }

    async fn reset(&self, fault: Planned, dice: &mut ChaCha12Rng) -> Result<(), String> {
        self.note(Kind::Reset, false, &format!("connections are reset for {:?}", fault.hold));
        let until = Instant::now() + fault.hold;
        while Instant::now() < until {
            let cluster = self.cluster.lock().await;
            let mut all = cluster.those(|_| true);
            all.shuffle(dice);
            if let [one, other, ..] = all[..] {
                cluster.network.reset(one, other);
            }
            drop(cluster);
            tokio::time::sleep(Duration::from_millis(dice.random_range(5..300))).await;
        }
        Ok(())
    }

    /// Undoes everything: links are whole, disks fast, clocks right, paused servers go on, killed ones start.
    ///
    /// # Errors
    /// When a server has ended by itself, or doesn't start.
    pub async fn heal(&self) -> Result<(), String> {
        let mut cluster = self.cluster.lock().await;
        cluster.network.mend(false);
        *self.weather.lock() = false;
        for at in cluster.those(|_| true) {
            cluster.slow_disk(at, None)?;
            cluster.set_clock(at, 0)?;
            cluster.resume(at)?;
            cluster.start(at)?;
        }
        cluster.look()
    }
}

fn names(servers: &[usize]) -> String {
    let names: Vec<_> = servers.iter().map(|at| format!("server {}", at + 1)).collect();
    match names.is_empty() {
        true => "nobody".to_owned(),
        false => names.join(", "),
    }
}
