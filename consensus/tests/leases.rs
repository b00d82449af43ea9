//! Leases, where they are hardest to keep: messages that take longer than an election, or come twice, clocks as different as
//! may be, late ticks, restarts and transfers. Whoever reads sees everything that any consul acknowledged before.

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use curia_consensus::*;
use harness::{Dice, Server, part, seeds};

/// In milliseconds.
const TIMEOUT: u64 = 100;
/// Clocks run at speeds that differ by less than so many hundredths.
const DRIFT: u8 = 20;

#[derive(Default, Debug)]
struct Met {
    offices: usize,
    together: usize,
    reads: usize,
    by_lease: usize,
}

struct Cluster {
    servers: BTreeMap<u64, Server>,
    /// What is under way, and when it arrives.
    network: Vec<(u64, Message)>,
    /// Until when what is sent from one server to another takes long.
    slow: BTreeMap<(u64, u64), u64>,
    /// Thousandths of the true speed of each clock, and when it ticks next.
    clocks: BTreeMap<u64, (u64, u64)>,
    now: u64,
    acknowledged: Csn,
    /// What each read must see.
    reads: BTreeMap<u64, Csn>,
}

impl Cluster {
    fn new(servers: u64, dice: &mut Dice) -> Self {
        let founding = Configuration::founding(ClusterId(7), (1..=servers).map(ServerId).collect(), 1).expect("a membership");
        let mut cluster = Self {
            servers: BTreeMap::new(),
            network: Vec::new(),
            slow: BTreeMap::new(),
            clocks: BTreeMap::new(),
            now: 0,
            acknowledged: Csn::ZERO,
            reads: BTreeMap::new(),
        };
        for id in 1..=servers {
            let mut server = Server::new(1);
            (server.id, server.founding) = (ServerId(id), founding.clone());
            server.configure = |config| {
                config.election_timeout = Duration::from_millis(TIMEOUT);
                config.lease_drift_percent = Some(DRIFT);
            };
            server.starts = dice.below(1000);
            server.restore().expect("an empty disk can be founded");
            cluster.servers.insert(id, server);
            cluster.clocks.insert(id, (1000 - dice.below(10 * u64::from(DRIFT)), 0));
        }
        cluster
    }

    /// Does what a server asks for.
    fn collect(&mut self, id: u64, dice: &mut Dice, met: &mut Met) {
        let server = self.servers.get_mut(&id).expect("known");
        if server.node.is_none() {
            return;
        }
        server.settle();
        for message in std::mem::take(&mut server.outbox) {
            for _ in 0..1 + u64::from(dice.chance(10)) {
                let slow = self.slow.get(&(id, message.to.0)).is_some_and(|until| self.now < *until);
                let delay = match dice.below(20) {
                    0 => dice.below(12 * TIMEOUT),
                    _ if slow => TIMEOUT / 2 + dice.below(3 * TIMEOUT),
                    _ => 1 + dice.below(3),
                };
                if !dice.chance(2) {
                    self.network.push((self.now + delay, message.clone()));
                }
            }
        }
        let offices = std::mem::take(&mut server.offices);
        met.offices += offices.iter().filter(|office| matches!(office, Office::Consul { .. })).count();
        if matches!(server.node().office(), Office::Consul { .. }) {
            self.acknowledged = self.acknowledged.max(server.state.applied.csn);
        }
        for ready in std::mem::take(&mut server.reads) {
            let least = self.reads.remove(&ready.id).expect("it was asked");
            if let Ok(csn) = ready.result {
                met.reads += 1;
                assert!(csn >= least, "server {id} reads at {csn:?} what was {least:?} before");
            }
        }
    }

    fn serving(&self) -> Vec<u64> {
        let serves = |server: &Server| {
            let node = server.node.as_ref();
            node.is_some_and(|node| matches!(node.office(), Office::Consul { .. }))
        };
        let serving = self.servers.iter().filter(|(_, server)| serves(server));
        serving.map(|(id, _)| *id).collect()
    }

    /// A millisecond passes.
    fn pass(&mut self, dice: &mut Dice, met: &mut Met) {
        self.now += 1;
        if dice.below(TIMEOUT) == 0 {
            // One server is hard to reach, or hears others late, or both.
            let count = self.clocks.len() as u64;
            let (one, until) = (1 + dice.below(count), self.now + dice.below(6 * TIMEOUT));
            for other in 1..=count {
                let ways = [(one, other), (other, one)];
                let chosen = ways.into_iter().filter(|_| dice.chance(70)).map(|way| (way, until));
                self.slow.extend(chosen.collect::<Vec<_>>());
            }
        }
        let arriving: Vec<_> = self.network.extract_if(.., |(at, _)| *at <= self.now).collect();
        for (_, message) in arriving {
            let to = message.to.0;
            if let Some(node) = self.servers.get_mut(&to).and_then(|server| server.node.as_mut()) {
                let _ = node.step(message);
                self.collect(to, dice, met);
            }
        }
        for id in self.clocks.keys().copied().collect::<Vec<_>>() {
            let (speed, next) = self.clocks[&id];
            if self.now < next {
                continue;
            }
            let late = if dice.chance(3) {
                dice.below(TIMEOUT / 3)
            } else {
                dice.below(TIMEOUT / 20)
            };
            self.clocks.insert(id, (speed, self.now + 1 + late));
            let server = self.servers.get_mut(&id).expect("known");
            server.now = Duration::from_micros(self.now * speed);
            if server.node.is_none() && dice.chance(20) {
                server.restore().expect("what was written can be restored");
            }
            if let Some(node) = server.node.as_mut() {
                node.tick(server.now);
            }
            self.collect(id, dice, met);
        }
        let serving = self.serving();
        met.together += usize::from(serving.len() > 1);
        for id in serving {
            let server = self.servers.get_mut(&id).expect("known");
            match dice.below(400) {
                0 => server.crash(0),
                1..=2 => {
                    let count = self.clocks.len() as u64;
                    let to = ServerId(1 + dice.below(count));
                    if server.node().transfer(to).is_ok() && dice.chance(50) {
                        // It hears late that it succeeded.
                        let until = self.now + 2 * TIMEOUT;
                        self.slow.extend((1..=count).map(|other| ((other, id), until)));
                    }
                }
                3..=100 => {
                    let timestamp = Timestamp(self.now * 1000);
                    let _ = server.node().propose(timestamp, None, &mut vec![part(0, "x")]);
                }
                101..=250 => {
                    let read = self.now * 10 + id;
                    self.reads.insert(read, self.acknowledged);
                    let messages = server.outbox.len();
                    server.node().read(read, ReadLevel::Strict);
                    // The present: what a lease decides is decided now.
                    let now = Duration::from_micros(self.now * self.clocks[&id].0);
                    server.now = now;
                    server.node().tick(now);
                    server.settle();
                    let asks = server.outbox[messages..]
                        .iter()
                        .any(|message| matches!(message.body, Body::Append(_)));
                    met.by_lease += usize::from(!asks && server.reads.iter().any(|ready| ready.id == read));
                }
                _ => {}
            }
            self.collect(id, dice, met);
        }
    }
}

#[test]
fn nobody_reads_the_past_by_a_lease() {
    let mut met = Met::default();
    for seed in seeds(60) {
        let mut dice = Dice(seed);
        let servers = 3 + 2 * dice.below(2);
        let mut cluster = Cluster::new(servers, &mut dice);
        for _ in 0..6_000 {
            cluster.pass(&mut dice, &mut met);
        }
    }
    eprintln!("{met:?}");
    assert!(met.offices > 100 && met.together > 10 && met.by_lease > 1000, "{met:?}");
}
