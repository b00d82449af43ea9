//! Random histories of several servers: elections, lost, repeated and reordered messages, crashes inside batches, second
//! failovers during adoption. A seed replays exactly.
//!
//! Not yet here: memberships that change, truncated logs on several servers, scribes.

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use curia_consensus::*;
use harness::{Dice, Server, part};

type Rows = BTreeMap<GroupId, Vec<u8>>;

#[derive(Default, Debug)]
struct Met {
    decided: usize,
    consuls: usize,
    crashes: usize,
    lost: usize,
    refused: usize,
    fetched: usize,
    deposed_before_serving: usize,
    dropped_suffixes: usize,
}

struct Cluster {
    servers: Vec<Server>,
    network: Vec<Message>,
    /// What each CSN turned out to be, wherever it was applied first.
    decided: BTreeMap<Csn, (Rows, Timestamp)>,
    /// The consul of each term.
    consuls: BTreeMap<Term, ServerId>,
    /// Who is on its way into office.
    inaugurating: Vec<bool>,
    /// What of each server's state was compared with the others'.
    checked: Vec<Csn>,
    now: Duration,
    /// How far each server's clock is ahead.
    ahead: Vec<Duration>,
    seed: u64,
}

impl Cluster {
    fn new(seed: u64, servers: u64, groups: u32) -> Self {
        let ids: Vec<_> = (1..=servers).map(ServerId).collect();
        let mut servers: Vec<_> = ids.iter().map(|id| Server::member(*id, ids.clone(), groups)).collect();
        for server in &mut servers {
            server.configure = |config| {
                config.election_timeout = Duration::from_millis(100);
                config.append_bytes_max = 300;
                config.seed += 1;
            };
            server.restore().expect("an empty disk can be founded");
        }
        let inaugurating = vec![false; servers.len()];
        Self {
            servers,
            inaugurating,
            checked: vec![Csn::ZERO; ids.len()],
            ahead: vec![Duration::ZERO; ids.len()],
            network: Vec::new(),
            decided: BTreeMap::new(),
            consuls: BTreeMap::new(),
            now: Duration::ZERO,
            seed,
        }
    }

    fn take(&mut self, at: usize, met: &mut Met) {
        let server = &mut self.servers[at];
        if server.node.is_none() {
            return;
        }
        server.take();
        let writes = server.unsynced.iter().flat_map(|persist| &persist.writes);
        met.dropped_suffixes += writes.filter(|write| matches!(write, Write::DropSuffix { .. })).count();
        for office in server.offices.drain(..) {
            match office {
                Office::Consul { term, cut } => {
                    met.consuls += 1;
                    let before = self.consuls.insert(term, server.id);
                    assert!(before.is_none(), "seed {}: {term:?} was led twice", self.seed);
                    let last = self.decided.keys().next_back().copied().unwrap_or_default();
                    assert!(
                        cut >= last,
                        "seed {}: {term:?} cuts at {cut:?}, but {last:?} was applied",
                        self.seed
                    );
                    self.inaugurating[at] = false;
                }
                Office::Inaugurating { .. } => self.inaugurating[at] = true,
                Office::Senator { .. } => {
                    met.deposed_before_serving += usize::from(std::mem::take(&mut self.inaugurating[at]));
                }
            }
        }
        self.network.append(&mut server.outbox);
        for (csn, rows) in server.state.rows.range(self.checked[at].next()..) {
            self.checked[at] = *csn;
            let timestamp = server.state.timestamps[csn];
            let known = self.decided.entry(*csn).or_insert_with(|| {
                met.decided += 1;
                (rows.clone(), timestamp)
            });
            assert_eq!(
                *known,
                (rows.clone(), timestamp),
                "seed {}: server {:?} applied another {csn:?}",
                self.seed,
                server.id
            );
        }
        assert_eq!(
            server.state.rows.len() as u64,
            server.state.applied.csn.0,
            "seed {}: not a prefix",
            self.seed
        );
    }

    fn deliver(&mut self, message: Message, met: &mut Met) {
        met.fetched +=
            usize::from(matches!(&message.body, Body::Fetched { donated: Donated::Entries(entries), .. } if !entries.is_empty()));
        if let Some(node) = self.servers[message.to.0 as usize - 1].node.as_mut() {
            met.refused += usize::from(node.step(message).is_err());
        }
    }

    fn tick(&mut self, at: usize) {
        let now = self.now + self.ahead[at];
        if let Some(node) = self.servers[at].node.as_mut() {
            node.tick(now);
        }
    }

    fn crash(&mut self, at: usize, dice: &mut Dice) {
        let server = &mut self.servers[at];
        let writes: usize = server.unsynced.iter().map(|persist| persist.writes.len() + 1).sum();
        server.crash(dice.below(writes as u64 + 1) as usize);
        self.inaugurating[at] = false;
        self.checked[at] = Csn::ZERO;
    }

    fn consul(&mut self) -> Option<usize> {
        (0..self.servers.len()).rev().find(|at| {
            self.servers[*at]
                .node
                .as_ref()
                .is_some_and(|node| matches!(node.office(), Office::Consul { .. }))
        })
    }
}

fn run(seed: u64, met: &mut Met) {
    let mut dice = Dice(seed);
    let count = [2, 3, 3, 5, 5][dice.below(5) as usize];
    let groups = 1 + dice.below(4) as u32;
    let mut cluster = Cluster::new(seed, count, groups);
    let (crash, lose, repeat, isolate, hurry) = (dice.below(3), dice.below(20), dice.below(10), dice.below(5), dice.below(4));
    let mut isolated = 0;
    let mut ids = 0;
    for step in 0..3000 {
        let at = dice.below(count) as usize;
        if step % 100 == 0 {
            // Often the consul: it goes on alone, with entries that nobody else will have.
            let consul = cluster.consul().map(|at| at as u64 + 1).filter(|_| dice.chance(70));
            isolated = if dice.chance(isolate * 20) {
                consul.unwrap_or(1 + dice.below(count))
            } else {
                0
            };
        }
        match dice.below(100) {
            0..10 => {
                cluster.now += Duration::from_millis(1 + dice.below(20));
                (0..count as usize).for_each(|at| cluster.tick(at));
            }
            // A server that alone believes that much time has passed stands for election in the middle of things.
            10..11 if dice.chance(hurry * 25) => {
                cluster.ahead[at] += Duration::from_millis(dice.below(250));
                cluster.tick(at);
            }
            11..12 if dice.chance(crash * 30) => {
                met.crashes += 1;
                cluster.crash(at, &mut dice);
                cluster.servers[at].restore().expect("what was written can be restored");
            }
            12..24 => {
                let Some(at) = cluster.consul() else { continue };
                ids += 1;
                let parts: Vec<_> = (0..groups).filter(|_| dice.chance(50)).collect();
                let mut parts: Vec<_> = parts.into_iter().map(|group| part(group, &format!("{ids}.{group}"))).collect();
                let _ = cluster.servers[at].node().propose(Timestamp(ids), None, &mut parts);
            }
            24..44 => {
                let batches = 1 + dice.below(3) as usize;
                if cluster.servers[at].node.is_some() {
                    cluster.servers[at].sync(batches);
                }
            }
            44..64 => cluster.take(at, met),
            _ if !cluster.network.is_empty() => {
                let message = cluster.network.swap_remove(dice.below(cluster.network.len() as u64) as usize);
                if dice.chance(lose) || message.from.0 == isolated || message.to.0 == isolated {
                    met.lost += 1;
                    continue;
                }
                if dice.chance(repeat) {
                    cluster.network.push(message.clone());
                }
                cluster.deliver(message, met);
            }
            _ => {}
        }
    }
    // Faults end: the servers must agree and go on.
    let mut wanted = None;
    for round in 0..3000 {
        cluster.now += Duration::from_millis(5);
        for at in 0..count as usize {
            cluster.tick(at);
            cluster.take(at, met);
            cluster.servers[at].sync(usize::MAX);
            cluster.take(at, met);
            for message in std::mem::take(&mut cluster.network) {
                cluster.deliver(message, met);
            }
        }
        match (wanted, cluster.consul()) {
            (None, Some(at)) if round > 300 => {
                wanted = cluster.servers[at].propose(&[(0, "last")]).ok();
            }
            (Some(csn), _) if cluster.servers.iter().all(|server| server.state.applied.csn >= csn) => return,
            _ => {}
        }
    }
    panic!(
        "seed {seed}: the servers don't come to rest: {:?}",
        cluster.servers.iter().map(|s| (s.id, s.state.applied.csn)).collect::<Vec<_>>()
    );
}

#[test]
fn whatever_is_lost_the_servers_apply_the_same_prefix_and_nothing_applied_is_undone() {
    let mut met = Met::default();
    let seeds = std::env::var("CURIA_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let first = std::env::var("CURIA_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        run(seed, &mut met);
    }
    println!("{met:?}");
    let counts = [
        met.decided,
        met.consuls,
        met.crashes,
        met.lost,
        met.refused,
        met.fetched,
        met.deposed_before_serving,
        met.dropped_suffixes,
    ];
    assert!(counts.into_iter().all(|count| count > 20), "the hard cases were met: {met:?}");
}
