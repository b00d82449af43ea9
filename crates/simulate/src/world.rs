//! The world: virtual time, servers, and what happens to them, event by event.

use std::collections::BTreeMap;

use curia_consensus::{Body, Configuration, Csn, Donated, LogId, LogRead, Message, PersistSeq, Roles, ServerId, SnapshotRead, Term};

use crate::cases::{Case, Cases};
use crate::clients::Client;
use crate::dice::Dice;
use crate::history::History;
use crate::network::Network;
use crate::oracle::Oracle;
use crate::plan::{Clocks, Faults, Micros, Plan};
use crate::queue::Queue;
use crate::server::{CLUSTER, Server};
use crate::story::{Story, say, weigh};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A server's clock ticks.
    Tick { at: usize, run: u64 },
    /// A message arrives.
    Deliver(Message),
    /// A disk has synced.
    Synced { at: usize, run: u64, seq: PersistSeq },
    /// A server applies what waits.
    Apply { at: usize, run: u64 },
    /// A read of the log store for another server is done.
    LogRead { at: usize, run: u64, read: LogRead },
    /// A read of the state for another server's snapshot is done.
    SnapshotRead { at: usize, run: u64, read: SnapshotRead },
    /// A server makes its state durable.
    Flush { at: usize, run: u64 },
    /// A crashed server starts.
    Start { at: usize },
    /// A client acts, if this is still its current attempt.
    Client { client: usize, attempt: u64 },
    /// A client gets an answer to this attempt.
    Answer { client: usize, attempt: u64, csn: Csn },
    /// Links break or heal.
    Partition,
    /// A server crashes.
    Crash,
    /// A server stalls.
    Stall,
    /// The consul shall hand over.
    Transfer,
    /// The configuration shall change.
    Reconfigure,
}

/// More steps than any sound run takes.
const STEPS_MAX: u64 = 3_000_000;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of everything that happened.
    pub hash: u64,
    /// The hard cases that were met.
    pub cases: Cases,
    /// Virtual time that passed.
    pub time: Micros,
    /// Client operations.
    pub operations: u64,
    /// Events.
    pub steps: u64,
}

/// A simulated cluster with its clients.
#[derive(Debug)]
pub struct World {
    pub(crate) plan: Plan,
    /// What goes wrong now.
    pub(crate) faults: Faults,
    pub(crate) now: Micros,
    pub(crate) queue: Queue<Event>,
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Network,
    pub(crate) founding: Configuration,
    pub(crate) oracle: Oracle,
    pub(crate) history: History,
    pub(crate) clients: Vec<Client>,
    pub(crate) story: Story,
    pub(crate) cases: Cases,
    /// Which server's records of a log may be damaged.
    pub(crate) rotten: BTreeMap<LogId, ServerId>,
    /// Who shall be consul next, after which term.
    pub(crate) successor: Option<(ServerId, Term)>,
    /// The last operation that was given each CSN, from 1.
    pub(crate) given: Vec<u64>,
    /// How many events happened.
    steps: u64,
    /// Faults stopped.
    pub(crate) calm: bool,
    /// Clients go on all the same.
    pub(crate) resumed: bool,
    /// When and where things fail.
    pub(crate) chance: Dice,
    /// How long disks take, and what they lose.
    pub(crate) platter: Dice,
    /// What clients do.
    pub(crate) whim: Dice,
}

impl World {
    /// A cluster as the plan has it, with every server about to start.
    pub fn new(plan: Plan, told: bool) -> Self {
        let all: Vec<Roles> = plan.layout.iter().chain(&plan.spares).copied().collect();
        let count = all.len();
        let ids: Vec<_> = (1..=count as u64).map(ServerId).collect();
        let founders = ids.iter().copied().zip(plan.layout.iter().copied()).collect();
        let founding = Configuration::founding_with_roles(CLUSTER, founders, plan.groups).expect("a plan has servers and groups");
        let clocks = &mut Dice::new(plan.seed, "clocks");
        let servers = ids.iter().zip(&all).map(|(id, roles)| {
            let most = plan.faults.drift_ppm as i64;
            let any = clocks.below(2 * plan.faults.drift_ppm + 1) as i64 - most;
            let drift = match plan.faults.clocks {
                Clocks::Any => any,
                Clocks::Extreme => any.signum() * most,
                Clocks::Adverse => most,
            };
            Server::new(*id, *roles, clocks.below(plan.faults.skew + 1), drift)
        });
        let mut world = Self {
            servers: servers.collect(),
            network: Network::new(plan.seed, count),
            founding,
            faults: plan.faults.clone(),
            now: 0,
            queue: Queue::default(),
            oracle: Oracle::default(),
            history: History::default(),
            clients: Vec::new(),
            story: Story::new(told),
            cases: Cases::default(),
            rotten: BTreeMap::new(),
            successor: None,
            given: Vec::new(),
            steps: 0,
            calm: false,
            resumed: false,
            chance: Dice::new(plan.seed, "faults"),
            platter: Dice::new(plan.seed, "disks"),
            whim: Dice::new(plan.seed, "clients"),
            plan,
        };
        for at in 0..count {
            world.queue.add(0, Event::Start { at });
        }
        world.add_clients();
        world.schedule_faults();
        world
    }

    /// Runs the safety phase and the liveness phase, and checks the history. Panics at the first violation.
    pub fn run(mut self) -> Report {
        let end = self.plan.safety_phase();
        while self.now < end && !self.clients_are_done() {
            self.step();
        }
        if !self.plan.safety_only {
            self.recover();
        }
        self.history.commits = (1..=self.oracle.decided_csn().0)
            .map(|csn| self.oracle.decided(Csn(csn)).expect("decided").operation)
            .collect();
        if let Err(contradiction) = self.history.check() {
            panic!("linearizability: {contradiction}");
        }
        self.count_outcomes();
        Report {
            hash: self.story.hash(),
            cases: self.cases,
            time: self.now,
            operations: self.history.operations.len() as u64,
            steps: self.steps,
        }
    }

    /// The next event happens.
    pub(crate) fn step(&mut self) {
        let (time, event) = self.queue.next().expect("clocks tick for ever");
        self.now = self.now.max(time);
        self.steps += 1;
        assert!(
            self.steps < STEPS_MAX,
            "storm: {STEPS_MAX} steps by {} µs; messages breed messages",
            self.now
        );
        match event {
            Event::Tick { at, run } if self.awake(at, run, || Event::Tick { at, run }) => {
                let clock = self.servers[at].clock(self.now);
                self.node(at).tick(clock);
                let timeout = self.plan.election_timeout.as_micros() as Micros;
                let pause = self.chance.between(timeout / 25, timeout / 15);
                self.queue.add(self.now + pause, Event::Tick { at, run });
                self.pump(at);
            }
            Event::Deliver(message) => self.deliver(message),
            Event::Synced { at, run, seq } if self.awake(at, run, || Event::Synced { at, run, seq }) => {
                self.story
                    .add(self.now, &[1, at as u64, seq.0], || format!("s{} has synced {seq:?}", at + 1));
                self.servers[at].disk.sync(seq);
                self.node(at).persisted(seq);
                self.pump(at);
            }
            Event::Apply { at, run } if self.awake(at, run, || Event::Apply { at, run }) => {
                self.apply(at);
                self.pump(at);
            }
            Event::Flush { at, run } if self.awake(at, run, || Event::Flush { at, run }) => {
                self.flush(at);
                let pause = self.platter.around(self.faults.flush);
                self.queue.add(self.now + pause, Event::Flush { at, run });
            }
            Event::LogRead { at, run, read } => {
                if self.awake(at, run, || Event::LogRead {
                    at,
                    run,
                    read: read.clone(),
                }) {
                    self.read_log(at, &read);
                }
            }
            Event::SnapshotRead { at, run, read } => {
                if self.awake(at, run, || Event::SnapshotRead {
                    at,
                    run,
                    read: read.clone(),
                }) {
                    self.read_snapshot(at, &read);
                }
            }
            Event::Start { at } => self.start(at),
            Event::Client { client, attempt } => self.client_acts(client, attempt),
            Event::Answer { client, attempt, csn } => self.client_hears(client, attempt, csn),
            Event::Partition => self.partition(),
            Event::Crash => self.crash_somebody(),
            Event::Stall => self.stall_somebody(),
            Event::Transfer => self.transfer(),
            Event::Reconfigure => self.reconfigure(),
            // Of an earlier run, or put off.
            Event::Tick { .. } | Event::Synced { .. } | Event::Apply { .. } | Event::Flush { .. } => {}
        }
    }

    /// Whether this run of a server can act now; an event for a stalled one comes again later.
    fn awake(&mut self, at: usize, run: u64, again: impl FnOnce() -> Event) -> bool {
        let server = &self.servers[at];
        if server.node.is_none() || server.run != run {
            return false;
        }
        if server.stalled_until > self.now {
            self.queue.add(server.stalled_until, again());
            return false;
        }
        true
    }

    pub(crate) fn node(&mut self, at: usize) -> &mut curia_consensus::Node {
        self.servers[at].node.as_mut().expect("asked only of running servers")
    }

    fn deliver(&mut self, message: Message) {
        let at = message.to.0 as usize - 1;
        let server = &mut self.servers[at];
        if server.stalled_until > self.now {
            return self.queue.add(server.stalled_until, Event::Deliver(message));
        }
        let Some(node) = server.node.as_mut() else { return };
        self.story.add(self.now, &[2, weigh(&message)], || say(&message));
        let fetched = matches!(&message.body, Body::Fetched { donated: Donated::Entries(entries), .. } if !entries.is_empty());
        self.cases.met_if(Case::Fetched, fetched);
        if let Err(refusal) = node.step(message) {
            self.cases.met(Case::Refused);
            self.story
                .add(self.now, &[3, at as u64], || format!("s{} refuses it: {refusal}", at + 1));
        }
        self.pump(at);
    }
}
