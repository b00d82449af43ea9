//! Random histories of several servers: elections, lost, repeated and reordered messages, crashes inside batches, second
//! failovers during adoption, truncated logs, entries read back, group snapshots, scribes. A seed replays exactly.
//!
//! Memberships that change are in the simulator.

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
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
    truncated: usize,
    read_back: usize,
    installed: usize,
    scribes: usize,
    known_keys: usize,
    staged: usize,
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
    fn new(seed: u64, roles: &[Roles], groups: u32, tight: bool) -> Self {
        let ids: Vec<_> = (1..=roles.len() as u64).map(ServerId).collect();
        let founding = ids.iter().copied().zip(roles.iter().copied()).collect();
        let founding = Configuration::founding_with_roles(ClusterId(7), founding, groups).expect("a membership");
        let mut servers: Vec<_> = ids.iter().map(|id| Server::member(*id, ids.clone(), groups)).collect();
        for server in &mut servers {
            server.founding = founding.clone();
            server.is_slow = true;
            server.configure = if tight {
                |config| {
                    config.election_timeout = Duration::from_millis(100);
                    config.append_bytes_max = 300;
                    config.message_bytes_max = 600;
                    config.peer_window_bytes_max = 900;
                    config.peer_window_entries_max = 8;
                    config.memory_bytes_max = 500;
                    config.retained_bytes_max = 0;
                    config.group_window_bytes_max = 2000;
                    config.apply_fragments_max = 3;
                    config.seed += 1;
                }
            } else {
                |config| {
                    config.election_timeout = Duration::from_millis(100);
                    config.append_bytes_max = 300;
                    config.seed += 1;
                }
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
        met.read_back += server.log_reads.len();
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
        let applied = server.state.applied.csn;
        for (csn, rows) in server
            .state
            .rows
            .range(self.checked[at].next()..)
            .take_while(|(csn, _)| **csn <= applied)
        {
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
            server.state.rows.range(..=applied).count() as u64,
            applied.0,
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
    let layouts: [&[Roles]; 8] = [
        &[Roles::BOTH; 2],
        &[Roles::BOTH; 3],
        &[Roles::BOTH; 3],
        &[Roles::BOTH; 5],
        &[Roles::BOTH; 5],
        &[Roles::BOTH, Roles::BOTH, Roles::LOG],
        &[Roles::LOG, Roles::LOG, Roles::LOG, Roles::STATE, Roles::STATE],
        &[Roles::BOTH, Roles::BOTH, Roles::BOTH, Roles::LOG, Roles::STATE],
    ];
    let layouts = if std::env::var_os("CURIA_PLAIN").is_some() {
        &layouts[..5]
    } else {
        &layouts[..]
    };
    let roles = layouts[dice.below(layouts.len() as u64) as usize];
    let count = roles.len() as u64;
    met.scribes += usize::from(roles.contains(&Roles::LOG));
    let groups = 1 + dice.below(4) as u32;
    let tight = dice.chance(60);
    let mut cluster = Cluster::new(seed, roles, groups, tight);
    let truncate = dice.below(4);
    let staged = dice.below(2) * 25;
    let (crash, lose, repeat, isolate, hurry) = (dice.below(3), dice.below(20), dice.below(10), dice.below(5), dice.below(4));
    let mut isolated = 0;
    let mut ids = 0;
    for step in 0..4000 {
        let at = dice.below(count) as usize;
        if step % 100 == 0 && (isolated == 0 || dice.chance(60)) {
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
                cluster.now += Duration::from_millis(1 + dice.below(4));
                (0..count as usize).for_each(|at| cluster.tick(at));
            }
            // A server that alone believes that much time has passed stands for election in the middle of things.
            10..11 if dice.chance(hurry * 25) => {
                cluster.ahead[at] += Duration::from_millis(dice.below(250));
                cluster.tick(at);
            }
            11..12 if dice.chance(crash * 8) => {
                met.crashes += 1;
                cluster.crash(at, &mut dice);
                cluster.servers[at].restore().expect("what was written can be restored");
            }
            12..24 => {
                let Some(at) = cluster.consul() else { continue };
                ids += 1;
                let parts: Vec<_> = (0..groups).filter(|_| dice.chance(50)).collect();
                let mut parts: Vec<_> = parts.into_iter().map(|group| part(group, &format!("{ids}.{group}"))).collect();
                let node = cluster.servers[at].node();
                for part in &mut parts {
                    if dice.chance(staged) {
                        let stage = Bytes::from(format!("stage of {ids} "));
                        match node.stage(part.group, stage) {
                            // Some are given up, some never named.
                            Ok(index) if dice.chance(20) => node.discard(part.group, &[index]),
                            Ok(_) if dice.chance(10) => {}
                            Ok(index) => part.stages.push(index),
                            Err(_) => {}
                        }
                    }
                }
                met.staged += usize::from(parts.iter().any(|part| !part.stages.is_empty()));
                let key = dice.chance(30).then_some(Key(u128::from(ids / 2)));
                let known = cluster.servers[at].node().propose(Timestamp(ids), key, &mut parts);
                met.known_keys += usize::from(matches!(known, Err(ProposeError::Known(_))));
            }
            // Answers of the log store and the state come late.
            24..27 if cluster.servers[at].node.is_some() => {
                let before = cluster.servers[at].installs.len();
                cluster.servers[at].serve();
                met.installed += cluster.servers[at].installs.len() - before;
            }
            27..34 if cluster.servers[at].node.is_some() && dice.chance(truncate * 30) && roles[at].state => {
                met.truncated += usize::from(cluster.servers[at].checkpoint());
                let floor = cluster.servers[at].flushed.applied.csn;
                if dice.chance(20) {
                    cluster.servers[at].node().snapshots_durable(floor);
                }
            }
            24..44 => {
                let batches = 1 + dice.below(3) as usize;
                if cluster.servers[at].node.is_some() {
                    cluster.servers[at].sync(batches);
                }
            }
            44..64 => cluster.take(at, met),
            _ => {
                for _ in 0..1 + dice.below(6) {
                    if cluster.network.is_empty() {
                        break;
                    }
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
            }
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
            cluster.servers[at].serve();
            cluster.take(at, met);
            for message in std::mem::take(&mut cluster.network) {
                cluster.deliver(message, met);
            }
        }
        match (wanted, cluster.consul()) {
            (None, Some(at)) if round > 300 => {
                wanted = cluster.servers[at].propose(&[(0, "last")]).ok();
            }
            (Some(csn), _)
                if cluster
                    .servers
                    .iter()
                    .zip(roles)
                    .all(|(server, roles)| !roles.state || server.state.applied.csn >= csn) =>
            {
                return;
            }
            _ => {}
        }
    }
    panic!(
        "seed {seed}: the servers don't come to rest, {wanted:?}: {:?}",
        cluster
            .servers
            .iter_mut()
            .map(|s| (s.id, s.state.applied.csn, s.node().office()))
            .collect::<Vec<_>>()
    );
}

#[test]
fn whatever_is_lost_the_servers_apply_the_same_prefix_and_nothing_applied_is_undone() {
    let mut met = Met::default();
    for seed in harness::seeds(400) {
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
        met.truncated,
        met.read_back,
        met.installed,
        met.scribes,
        met.known_keys,
        met.staged,
    ];
    assert!(counts.into_iter().all(|count| count > 20), "the hard cases were met: {met:?}");
}
