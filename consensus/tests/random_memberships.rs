//! Random histories in which everything about the cluster changes: servers of all roles come and go, voters change, groups
//! are created and dropped, the office is handed over, strict reads are asked for everywhere, while messages are lost,
//! repeated and reordered, servers crash, and parts of the network are cut off. A seed replays exactly.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curia_consensus::*;
use harness::{Dice, Server, part};

type Rows = BTreeMap<GroupId, Vec<u8>>;

#[derive(Default, Debug)]
struct Met {
    decided: usize,
    consuls: usize,
    crashes: usize,
    changes: usize,
    joint: usize,
    created: usize,
    dropped: usize,
    removed_consuls: usize,
    transfers: usize,
    strict_reads: usize,
    lost: usize,
    scribes: usize,
    state_only_consuls: usize,
}

struct Cluster {
    servers: BTreeMap<u64, Server>,
    network: Vec<Message>,
    decided: BTreeMap<Csn, (Rows, Timestamp)>,
    checked: BTreeMap<u64, Csn>,
    /// Where the groups end that were gone when a server's state came: after a restart it may not know that yet.
    gone: BTreeMap<u64, Csn>,
    consuls: BTreeMap<Term, ServerId>,
    /// The highest CSN that a consul acknowledged.
    acked: Csn,
    /// What each read must see.
    reads: BTreeMap<(u64, u64), Csn>,
    read_ids: u64,
    groups: BTreeSet<GroupId>,
    now: Duration,
    seed: u64,
}

const ROLES: [Roles; 3] = [Roles::BOTH, Roles::LOG, Roles::STATE];

impl Cluster {
    fn new(seed: u64, dice: &mut Dice) -> Self {
        let count = 1 + dice.below(5);
        let mixed = dice.chance(50);
        let mut roles: Vec<_> = (1..=count)
            .map(|id| (ServerId(id), if mixed { ROLES[dice.below(3) as usize] } else { Roles::BOTH }))
            .collect();
        // Somebody must be able to lead, and somebody to vote.
        roles[0].1 = Roles::BOTH;
        let groups = 1 + dice.below(3) as u32;
        let founding = Configuration::founding_with_roles(ClusterId(7), roles, groups).expect("a membership");
        let mut cluster = Self {
            servers: BTreeMap::new(),
            network: Vec::new(),
            decided: BTreeMap::new(),
            checked: BTreeMap::new(),
            gone: BTreeMap::new(),
            consuls: BTreeMap::new(),
            acked: Csn::ZERO,
            reads: BTreeMap::new(),
            read_ids: 0,
            groups: (0..groups).map(GroupId).collect(),
            now: Duration::ZERO,
            seed,
        };
        for id in 1..=count {
            cluster.add(id, &founding, false);
        }
        cluster
    }

    fn add(&mut self, id: u64, founding: &Configuration, joins: bool) {
        let mut server = Server::new(1);
        server.id = ServerId(id);
        server.founding = founding.clone();
        server.joins = joins;
        let leases = self.seed.is_multiple_of(2);
        server.configure = if leases {
            |config| {
                config.election_timeout = Duration::from_millis(100);
                config.append_bytes_max = 300;
                config.catch_up_entries_max = 20;
                config.stale_entries_max = 20;
                config.lease_drift_percent = Some(5);
            }
        } else {
            |config| {
                config.election_timeout = Duration::from_millis(100);
                config.append_bytes_max = 300;
                config.catch_up_entries_max = 20;
                config.stale_entries_max = 20;
            }
        };
        server.restore().expect("an empty disk can be founded or joins");
        self.servers.insert(id, server);
    }

    fn ids(&self) -> Vec<u64> {
        self.servers.keys().copied().collect()
    }

    fn take(&mut self, id: u64, met: &mut Met) {
        let seed = self.seed;
        let server = self.servers.get_mut(&id).expect("known");
        if server.node.is_none() {
            return;
        }
        server.take();
        let offices = std::mem::take(&mut server.offices);
        for office in offices {
            if let Office::Consul { term, cut } = office {
                met.consuls += 1;
                let roles = server.node().configuration().roles(ServerId(id));
                met.state_only_consuls += usize::from(roles == Some(Roles::STATE));
                let before = self.consuls.insert(term, ServerId(id));
                assert!(before.is_none(), "seed {seed}: {term:?} was led twice");
                let last = self.decided.keys().next_back().copied().unwrap_or_default();
                assert!(cut >= last, "seed {seed}: {term:?} cuts at {cut:?}, but {last:?} was applied");
            }
        }
        self.network.append(&mut server.outbox);
        let from = self.checked.entry(id).or_default();
        let gone = self.gone.entry(id).or_default();
        *gone = server.node().configuration().dropped_floor.max(*gone);
        let gone = *gone;
        let applied = server.state.applied.csn;
        for (csn, rows) in server.state.rows.range(from.next()..).take_while(|(csn, _)| **csn <= applied) {
            *from = *csn;
            let timestamp = server.state.timestamps[csn];
            let (known, at) = self.decided.entry(*csn).or_insert_with(|| {
                met.decided += 1;
                (rows.clone(), timestamp)
            });
            // Who came after a group was dropped lacks what only that group had.
            let same = rows.iter().all(|(group, row)| known.get(group) == Some(row)) && (rows.len() == known.len() || *csn <= gone);
            assert!(
                same && *at == timestamp,
                "seed {seed}: server {id} applied another {csn:?}: {rows:?}, not {known:?}"
            );
        }
        *from = applied.max(*from);
        if matches!(server.node().office(), Office::Consul { .. }) {
            self.acked = self.acked.max(server.state.applied.csn);
        }
        for read in std::mem::take(&mut server.reads) {
            let Some(least) = self.reads.remove(&(id, read.id)) else {
                panic!("seed {seed}: read {} is answered twice", read.id)
            };
            if let Ok(csn) = read.result {
                met.strict_reads += 1;
                assert!(
                    csn >= least,
                    "seed {seed}: a strict read at {csn:?} misses {least:?}, acknowledged before it"
                );
            }
        }
    }

    fn consul(&mut self) -> Option<u64> {
        let mut best = None;
        for (id, server) in &self.servers {
            if let Some(node) = &server.node
                && let Office::Consul { term, .. } = node.office()
            {
                best = best.max(Some((term, *id)));
            }
        }
        best.map(|(_, id)| id)
    }

    fn change(&mut self, dice: &mut Dice, met: &mut Met) {
        let Some(consul) = self.consul() else { return };
        let configuration = (**self.servers.get_mut(&consul).expect("known").node().configuration()).clone();
        let any = |dice: &mut Dice| {
            let servers = &configuration.servers;
            servers[dice.below(servers.len() as u64) as usize].0
        };
        let voters = |dice: &mut Dice| -> Vec<ServerId> {
            let storing = configuration.servers.iter().filter(|(_, roles)| roles.log);
            let chosen: Vec<_> = storing.map(|(server, _)| *server).filter(|_| dice.chance(60)).collect();
            chosen
        };
        let groups: Vec<_> = configuration.groups.iter().map(|(group, _)| *group).collect();
        let group = groups[dice.below(groups.len() as u64) as usize];
        let mut change = Change::default();
        match dice.below(7) {
            0 if self.servers.len() < 8 => {
                let id = self.servers.len() as u64 + 1;
                let roles = ROLES[dice.below(3) as usize];
                met.scribes += usize::from(roles == Roles::LOG);
                let founding = self.servers[&1].founding.clone();
                self.add(id, &founding, true);
                change.add = vec![(ServerId(id), roles)];
                if roles == Roles::LOG {
                    // A scribe stores what it is told to.
                    for (group, members) in &configuration.groups {
                        let mut learners = members.learners().to_vec();
                        learners.push(ServerId(id));
                        let voters = members.incoming().to_vec();
                        change.groups.push((*group, Target { voters, learners }));
                    }
                }
            }
            0 | 1 => change = Change::voters(&configuration, &voters(dice)),
            2 => {
                let voters = voters(dice);
                let learners = configuration.servers.iter().map(|(server, _)| *server);
                let learners = learners.filter(|server| !voters.contains(server)).collect();
                change.groups = vec![(group, Target { voters, learners })];
            }
            3 if configuration.servers.len() > 2 => change.remove = vec![any(dice)],
            4 if groups.len() < 5 => {
                let voters = voters(dice);
                change.create = vec![Target {
                    voters,
                    learners: Vec::new(),
                }];
            }
            5 if groups.len() > 1 => change.drop = vec![group],
            _ => change.feature_level = Some(configuration.feature_level + 1),
        }
        let (created, dropped) = (change.create.len(), change.drop.len());
        if self.servers.get_mut(&consul).expect("known").node().reconfigure(&change).is_ok() {
            met.changes += 1;
            met.created += created;
            met.dropped += dropped;
            let node = self.servers.get_mut(&consul).expect("known").node();
            let latest = node.configuration().clone();
            met.joint += usize::from(!latest.at_rest());
            met.removed_consuls += usize::from(change.remove.contains(&ServerId(consul)));
            self.groups.extend(latest.groups.iter().map(|(group, _)| *group));
        }
    }
}

fn run(seed: u64, met: &mut Met) {
    let mut dice = Dice(seed);
    let mut cluster = Cluster::new(seed, &mut dice);
    let (crash, lose, repeat, isolate) = (dice.below(3), dice.below(15), dice.below(8), dice.below(5));
    let (changes, slow_clock) = (dice.below(4), 1 + dice.below(3));
    let mut isolated = BTreeSet::new();
    let mut ids = 0;
    for step in 0..4000 {
        let all = cluster.ids();
        let at = all[dice.below(all.len() as u64) as usize];
        if step % 150 == 0 {
            isolated.clear();
            if dice.chance(isolate * 20) {
                isolated.extend(all.iter().copied().filter(|_| dice.chance(30)));
                isolated.extend(cluster.consul().filter(|_| dice.chance(30)));
            }
        }
        match dice.below(100) {
            0..8 => {
                cluster.now += Duration::from_millis(1 + dice.below(8 * slow_clock));
                let now = cluster.now;
                for server in cluster.servers.values_mut() {
                    if let Some(node) = server.node.as_mut()
                        && dice.chance(90)
                    {
                        node.tick(now);
                    }
                }
            }
            8..9 if dice.chance(crash * 25) => {
                met.crashes += 1;
                let server = cluster.servers.get_mut(&at).expect("known");
                let writes: usize = server.unsynced.iter().map(|persist| persist.writes.len() + 1).sum();
                server.crash(dice.below(writes as u64 + 1) as usize);
                server.reads.clear();
                cluster.reads.retain(|(server, _), _| *server != at);
                cluster.checked.remove(&at);
                let server = cluster.servers.get_mut(&at).expect("known");
                server
                    .restore()
                    .unwrap_or_else(|error| panic!("seed {seed}: server {at} does not start: {error}"));
            }
            9..10 if dice.chance(changes * 20) => cluster.change(&mut dice, met),
            10..11 if dice.chance(20) => {
                if let Some(consul) = cluster.consul() {
                    let begun = cluster.servers.get_mut(&consul).expect("known").node().transfer(ServerId(at));
                    met.transfers += usize::from(begun.is_ok());
                }
            }
            11..13 => {
                let server = cluster.servers.get_mut(&at).expect("known");
                if server.node.is_some() {
                    cluster.read_ids += 1;
                    server.node().read(cluster.read_ids, ReadLevel::Strict);
                    cluster.reads.insert((at, cluster.read_ids), cluster.acked);
                }
            }
            13..14 => {
                let server = cluster.servers.get_mut(&at).expect("known");
                if server.node.is_some() {
                    server.flush();
                    if dice.chance(20) {
                        server.checkpoint();
                    }
                }
            }
            14..22 => {
                let Some(consul) = cluster.consul() else { continue };
                ids += 1;
                let groups: Vec<_> = cluster.groups.iter().copied().filter(|_| dice.chance(40)).collect();
                let mut parts: Vec<_> = groups.into_iter().map(|group| part(group.0, &format!("{ids}.{group}"))).collect();
                let server = cluster.servers.get_mut(&consul).expect("known");
                let _ = server.node().propose(Timestamp(ids), None, &mut parts);
            }
            22..42 => {
                let server = cluster.servers.get_mut(&at).expect("known");
                if server.node.is_some() {
                    server.sync(1 + dice.below(3) as usize);
                }
            }
            42..62 => cluster.take(at, met),
            _ if !cluster.network.is_empty() => {
                let message = cluster.network.swap_remove(dice.below(cluster.network.len() as u64) as usize);
                if dice.chance(lose) || isolated.contains(&message.from.0) || isolated.contains(&message.to.0) {
                    met.lost += 1;
                    continue;
                }
                if dice.chance(repeat) {
                    cluster.network.push(message.clone());
                }
                if let Some(node) = cluster.servers.get_mut(&message.to.0).and_then(|server| server.node.as_mut()) {
                    let _ = node.step(message);
                }
            }
            _ => {}
        }
    }
    // Faults end: those who take part must agree and go on, and a change under way must end.
    let mut wanted = None;
    for round in 0..3000 {
        cluster.now += Duration::from_millis(5);
        let now = cluster.now;
        for at in cluster.ids() {
            cluster.servers.get_mut(&at).expect("known").node().tick(now);
            cluster.take(at, met);
            cluster.servers.get_mut(&at).expect("known").sync(usize::MAX);
            cluster.take(at, met);
            for message in std::mem::take(&mut cluster.network) {
                if let Some(server) = cluster.servers.get_mut(&message.to.0) {
                    let _ = server.node().step(message);
                }
            }
        }
        let Some(consul) = cluster.consul() else { continue };
        let configuration = (**cluster.servers.get_mut(&consul).expect("known").node().configuration()).clone();
        if wanted.is_none() && round > 300 {
            let open = configuration.groups.iter().map(|(group, _)| *group);
            let open = open.filter(|group| configuration.dropping(*group).is_none());
            let mut parts: Vec<_> = open.map(|group| part(group.0, "last")).collect();
            let server = cluster.servers.get_mut(&consul).expect("known");
            wanted = server.node().propose(Timestamp(ids + 1), None, &mut parts).ok();
        }
        let Some(csn) = wanted else { continue };
        let states = configuration.servers.iter().filter(|(_, roles)| roles.state);
        let mut states = states.map(|(server, _)| cluster.servers[&server.0].state.applied.csn);
        let there = states.all(|applied| applied >= csn);
        if there && cluster.servers.get_mut(&consul).expect("known").node().is_settled() {
            return;
        }
    }
    let status = |(id, server): (&u64, &Server)| {
        let node = server.node.as_ref().expect("it runs");
        (*id, node.office(), server.state.applied.csn, node.is_settled())
    };
    panic!(
        "seed {seed}: the servers don't come to rest: wanted {wanted:?}, {:?}, {:?}",
        cluster.servers.iter().map(status).collect::<Vec<_>>(),
        cluster
            .consul()
            .map(|id| cluster.servers.get_mut(&id).expect("known").node().configuration().clone()),
    );
}

#[test]
fn whatever_changes_the_servers_agree_reads_are_strict_and_changes_end() {
    let mut met = Met::default();
    for seed in harness::seeds(300) {
        run(seed, &mut met);
    }
    println!("{met:?}");
    let counts = [
        met.decided,
        met.consuls,
        met.crashes,
        met.changes,
        met.joint,
        met.created,
        met.dropped,
        met.removed_consuls,
        met.transfers,
        met.strict_reads,
        met.lost,
        met.scribes,
        met.state_only_consuls,
    ];
    assert!(counts.into_iter().all(|count| count > 0), "the hard cases were met: {met:?}");
}
