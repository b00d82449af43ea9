//! The world: virtual time, servers, what happens to them, and the checks after every step.

use curia_consensus::{
    AppliedTo, Apply, Configuration, Csn, Donated, Entry, Index, Key, LogId, Message, Office, Payload, Persist, PersistSeq, Record,
    ServerId, Term,
};

use crate::cases::{Case, Cases};
use crate::clients::Client;
use crate::dice::Dice;
use crate::durability;
use crate::history::History;
use crate::network::Network;
use crate::oracle::{Decided, Oracle};
use crate::plan::{Faults, Micros, Plan};
use crate::queue::Queue;
use crate::server::{CLUSTER, Server};
use crate::state::Writes;
use crate::story::{Story, say, say_entry, weigh};

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
    /// How many events happened.
    steps: u64,
    /// Faults stopped.
    pub(crate) calm: bool,
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
        let count = plan.layout.len();
        let ids: Vec<_> = (1..=count as u64).map(ServerId).collect();
        let founding =
            Configuration::founding_with_roles(CLUSTER, ids.iter().copied().zip(plan.layout.iter().copied()).collect(), plan.groups)
                .expect("a plan has servers and groups");
        let clocks = &mut Dice::new(plan.seed, "clocks");
        let servers = ids.iter().zip(&plan.layout).map(|(id, roles)| {
            let drift = clocks.below(2 * plan.faults.drift_ppm + 1) as i64 - plan.faults.drift_ppm as i64;
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
            steps: 0,
            calm: false,
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
        self.recover();
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
        assert!(self.steps < STEPS_MAX, "storm: {STEPS_MAX} steps by {} µs; messages breed messages", self.now);
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
            Event::Start { at } => self.start(at),
            Event::Client { client, attempt } => self.client_acts(client, attempt),
            Event::Answer { client, attempt, csn } => self.client_hears(client, attempt, csn),
            Event::Partition => self.partition(),
            Event::Crash => self.crash_somebody(),
            Event::Stall => self.stall_somebody(),
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
        let fetched =
            matches!(&message.body, curia_consensus::Body::Fetched { donated: Donated::Entries(entries), .. } if !entries.is_empty());
        self.cases.met_if(Case::Fetched, fetched);
        if let Err(refusal) = node.step(message) {
            self.cases.met(Case::Refused);
            self.story
                .add(self.now, &[3, at as u64], || format!("s{} refuses it: {refusal}", at + 1));
        }
        self.pump(at);
    }

    /// Does what a node asks for, until it asks for nothing more.
    pub(crate) fn pump(&mut self, at: usize) {
        while let Some(node) = self.servers[at].node.as_mut() {
            let output = node.take_output();
            if output.is_empty() {
                return;
            }
            if let Some(office) = output.office {
                self.takes_office(at, office);
            }
            for message in output.messages {
                self.send(at, message);
            }
            if let Some(batch) = output.persist
                && self.persist(at, batch)
            {
                return;
            }
            if !output.apply.is_empty() || output.applied.is_some() {
                self.servers[at].applying.push_back((output.apply, output.applied));
                if self.servers[at].applying.len() > 1 {
                    // It goes with what waits already.
                } else if self.platter.chance(self.faults.slow_apply) {
                    let run = self.servers[at].run;
                    let pause = self.platter.around(self.plan.election_timeout.as_micros() as Micros / 20);
                    self.queue.add(self.now + pause, Event::Apply { at, run });
                } else {
                    self.apply(at);
                }
            }
            for read in output.reads {
                self.read_ready(at, read);
            }
        }
    }

    fn send(&mut self, at: usize, message: Message) {
        let server = &self.servers[at];
        if server.roles.log {
            durability::check(&server.disk, &message);
        }
        if let curia_consensus::Body::Append(append) = &message.body {
            self.oracle.leads(message.term, server.id, server.incarnation());
            if let Some(resolved) = append.resolved {
                self.oracle.resolved(resolved);
            }
        }
        let to = message.to.0 as usize - 1;
        let [first, second] = self.network.send(at, to, &self.faults);
        if let Some(delay) = second {
            self.queue.add(self.now + delay, Event::Deliver(message.clone()));
        }
        match first {
            Some(delay) => self.queue.add(self.now + delay, Event::Deliver(message)),
            None => self
                .story
                .add(self.now, &[4, weigh(&message)], || format!("lost: {}", say(&message))),
        }
    }

    /// Hands a batch to a disk; whether the server crashes over it.
    fn persist(&mut self, at: usize, batch: Persist) -> bool {
        let crash = self.chance.chance(self.faults.crash_at_batch).then(|| self.chance.below(3));
        let seq = batch.seq;
        let server = &mut self.servers[at];
        let id = server.id;
        let (oracle, story, cases, now) = (&mut self.oracle, &mut self.story, &mut self.cases, self.now);
        let numbers = [5, at as u64, seq.0, batch.writes.len() as u64];
        story.add(now, &numbers, || {
            format!("s{} writes {seq:?}: {} records, {:?}", at + 1, batch.writes.len(), batch.hard_state)
        });
        for write in &batch.writes {
            if let curia_consensus::Write::DropSuffix { log, after } = write {
                cases.met(Case::DroppedSuffix);
                story.add(now, &[6, after.0], || format!("s{} drops {log:?} after {after:?}", at + 1));
            }
        }
        let ours = server.office;
        let voids = batch.writes.iter().filter_map(|write| match write {
            curia_consensus::Write::Append { log, entry } => match &entry.record {
                Record::TermStart(start) if matches!(ours, Office::Inaugurating { term } if term == entry.term) => Some((*log, start.cut)),
                _ => None,
            },
            _ => None,
        });
        let voids: Vec<_> = voids.collect();
        server.disk.write(batch, |log, entry, before| {
            story.add(now, &[7, u64::from(log.to_u32()), entry.index.0, entry.term.0], || {
                format!("s{} writes {log:?}:{}", at + 1, say_entry(log, entry))
            });
            oracle.written(id, log, entry, before);
        });
        // Before it takes office, a consul's adopted logs are durable.
        for (log, cut) in voids {
            self.count_voids(at, log, cut);
        }
        let server = &mut self.servers[at];
        match crash {
            Some(when) => {
                if when == 0 {
                    server.disk.sync(seq);
                }
                self.cases.met(Case::CrashAtBatch);
                self.crash(at);
                true
            }
            None => {
                let slow = if self.platter.chance(self.faults.slow_sync) { 50 } else { 1 };
                let time = self.platter.between(self.faults.sync / 4, self.faults.sync + 1) * slow;
                server.sync_at = server.sync_at.max(self.now + time);
                let run = server.run;
                self.queue.add(server.sync_at, Event::Synced { at, run, seq });
                false
            }
        }
    }

    fn count_voids(&mut self, at: usize, log: LogId, cut: Csn) {
        let Some(lane) = self.servers[at].disk.lane(log) else { return };
        let fragments = lane.entries().rev().map_while(|entry| match &entry.record {
            Record::Fragment(fragment) => Some(Some(fragment)),
            Record::TermStart(_) => None,
            _ => Some(None),
        });
        for fragment in fragments.flatten().filter(|fragment| fragment.csn > cut) {
            self.cases.met(Case::Voided);
            self.cases.met_if(Case::CutShort, fragment.participants.len() > 1);
        }
    }

    fn takes_office(&mut self, at: usize, office: Office) {
        let server = &mut self.servers[at];
        self.story.add(self.now, &[8, at as u64], || format!("s{} is {office:?}", at + 1));
        let before = std::mem::replace(&mut server.office, office);
        // An answer belongs to the term that gave the CSN.
        let term = match office {
            Office::Consul { term, .. } => Some(term),
            _ => None,
        };
        server.waiting.retain(|_, waiting| Some(waiting.term) == term);
        if let Office::Inaugurating { term: left } = before
            && !matches!(office, Office::Consul { term, .. } if term == left)
        {
            self.deposed_before_serving(at, left);
        }
        let server = &self.servers[at];
        match office {
            Office::Inaugurating { term } => self.oracle.leads(term, server.id, server.incarnation()),
            Office::Consul { term, cut } => {
                self.oracle.leads(term, server.id, server.incarnation());
                self.oracle.serves(server.id, term, cut);
                self.cases.met(Case::Served);
                self.check_complete(at);
            }
            Office::Senator { .. } => {}
        }
    }

    /// A consul left before it served.
    pub(crate) fn deposed_before_serving(&mut self, at: usize, term: Term) {
        self.cases.met(Case::SecondFailover);
        let started = |(_, lane): (LogId, &crate::disk::Lane)| lane.entries().next_back().is_some_and(|last| last.term == term);
        let groups = self.servers[at].disk.lanes().filter(|(log, _)| *log != LogId::Senate);
        self.cases.met_if(Case::SecondFailoverAdoption, !groups.into_iter().any(started));
    }

    /// Leader completeness after inauguration: whatever was decided is in the new consul's state or logs.
    fn check_complete(&self, at: usize) {
        let server = &self.servers[at];
        if !server.roles.log {
            return;
        }
        for csn in (server.state.csn().0 + 1..=self.oracle.decided_csn().0).map(Csn) {
            for (place, term) in &self.oracle.decided(csn).expect("it is decided").places {
                let lane = server.disk.lane(LogId::Group(place.group));
                assert!(
                    lane.is_some_and(|lane| lane.holds(place.index, *term)),
                    "leader completeness: {:?} serves and lacks {csn:?} at {place:?} of {term:?}",
                    server.id
                );
            }
        }
    }

    /// Applies what waits.
    pub(crate) fn apply(&mut self, at: usize) {
        while let Some((fragments, applied)) = self.servers[at].applying.pop_front() {
            for transaction in fragments.chunk_by(|a, b| a.csn == b.csn) {
                self.apply_transaction(at, transaction);
            }
            if let Some(applied) = applied {
                self.applied_to(at, applied);
            }
        }
    }

    fn apply_transaction(&mut self, at: usize, fragments: &[Apply]) {
        let (csn, timestamp) = (fragments[0].csn, fragments[0].timestamp);
        let server = &mut self.servers[at];
        let id = server.id;
        assert_eq!(csn, server.state.csn().next(), "prefix order: {id:?} applies {csn:?} next");
        let mut parts = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let log = LogId::Group(fragment.group);
            let mut bytes = Vec::new();
            for stage in fragment.stages.as_slice() {
                bytes.extend_from_slice(&server.disk.payload(log, *stage));
            }
            match &fragment.payload {
                Payload::Held(held) => bytes.extend_from_slice(held),
                Payload::Stored(_) => bytes.extend_from_slice(&server.disk.payload(log, fragment.index)),
            }
            let writes = Writes::decode(&bytes)
                .unwrap_or_else(|| panic!("{id:?} applies bytes that nobody proposed at {log:?} {:?}", fragment.index));
            parts.push((fragment.group, fragment.index, writes));
        }
        let operation = parts[0].2.operation;
        let key = fragments[0].key;
        assert!(
            fragments[1..].iter().all(|fragment| fragment.key.is_none()),
            "{id:?} is told a key with another than the first fragment"
        );
        if csn == self.oracle.decided_csn().next() {
            self.decide(at, csn, timestamp, key, &parts);
        }
        let server = &mut self.servers[at];
        let decided = self.oracle.decided(csn).expect("decided at the latest now");
        assert!(
            decided.operation == operation
                && decided.timestamp == timestamp
                && decided
                    .places
                    .iter()
                    .map(|(place, _)| (place.group, place.index))
                    .eq(parts.iter().map(|(group, index, _)| (*group, *index))),
            "state-machine safety: {id:?} applies {parts:?} at {csn:?}, where {decided:?} was applied"
        );
        for (at, (group, _, writes)) in parts.iter().enumerate() {
            let state = server.state.group_mut(*group);
            state.apply(writes);
            if let Some(key) = key.filter(|_| at == 0) {
                state.remember(key, csn);
            }
            assert_eq!(
                state.digest,
                self.oracle.digest(*group, csn),
                "digests: {id:?}'s {group:?} differs at {csn:?}"
            );
        }
        server.state.applied.csn = csn;
        server.state.applied.timestamp = timestamp;
        self.story.add(self.now, &[9, at as u64, csn.0, operation], || {
            format!("s{} applies {csn:?}, operation {operation}", at + 1)
        });
        if let Some(waiting) = self.servers[at].waiting.remove(&csn) {
            assert_eq!(
                waiting.operation, operation,
                "{id:?} gave {csn:?} to another operation in {:?}",
                waiting.term
            );
            self.answer(waiting.client, waiting.attempt, csn);
        }
    }

    /// The first server applies a CSN: it must be whole, and on quorums.
    fn decide(
        &mut self,
        at: usize,
        csn: Csn,
        timestamp: curia_consensus::Timestamp,
        key: Option<Key>,
        parts: &[(curia_consensus::GroupId, Index, Writes)],
    ) {
        let id = self.servers[at].id;
        let operation = parts[0].2.operation;
        self.check_whole(csn, operation, parts);
        let places = parts.iter().map(|(group, index, _)| {
            let log = LogId::Group(*group);
            let entry = self.servers[at].disk.lane(log).and_then(|lane| lane.get(*index));
            let term = entry.map_or(Term::ZERO, |entry: &Entry| entry.term);
            (
                curia_consensus::Participant {
                    group: *group,
                    index: *index,
                },
                term,
            )
        });
        let places: Vec<_> = places.collect();
        let configuration = self.servers[at].node.as_ref().expect("it applies").configuration();
        for (place, term) in &places {
            let log = LogId::Group(place.group);
            let members = configuration
                .groups
                .iter()
                .find(|(group, _)| *group == place.group)
                .map(|(_, members)| members);
            let holds = |server: ServerId| {
                let disk = &self.servers[server.0 as usize - 1].disk;
                disk.lane(log).is_some_and(|lane| lane.holds(place.index, *term))
            };
            assert!(
                members.is_some_and(|members| members.quorum(holds)),
                "acknowledged is never lost: {id:?} applies {csn:?}, and {place:?} of {term:?} is on no quorum's disks"
            );
        }
        let decided = Decided {
            operation,
            timestamp,
            places,
        };
        self.oracle.decide(csn, decided, key, parts);
        self.cases.met(Case::Committed);
    }

    fn applied_to(&mut self, at: usize, applied: AppliedTo) {
        let server = &mut self.servers[at];
        let id = server.id;
        assert_eq!(
            applied.csn,
            server.state.csn(),
            "no fragment half applied: {id:?} is not at the CSN that it was brought to"
        );
        for (group, base) in applied.positions {
            let before = server.state.position(group).map(|base| base.index).unwrap_or_default();
            assert!(
                before <= base.index,
                "{id:?}'s position in {group:?} goes back from {before:?} to {:?}",
                base.index
            );
            server.state.move_to(group, base);
        }
        self.node(at).applied(applied.csn);
    }

    /// Makes a server's state durable, and mostly truncates its logs.
    fn flush(&mut self, at: usize) {
        let truncates = self.platter.chance(self.faults.truncate);
        let server = &mut self.servers[at];
        if !server.applying.is_empty() {
            return;
        }
        let checkpoint = if truncates { self.node(at).checkpoint() } else { None };
        // The node may have moved positions to report while it made the checkpoint.
        self.pump(at);
        let server = &mut self.servers[at];
        server.flushed = server.state.clone();
        self.story.add(self.now, &[10, at as u64, server.state.csn().0], || {
            format!("s{} makes its state durable at {:?}; {checkpoint:?}", at + 1, server.state.csn())
        });
        if let (Some(checkpoint), Some(node)) = (checkpoint, server.node.as_mut()) {
            server.disk.rebase(&checkpoint.bases);
            node.truncate(checkpoint);
            self.cases.met(Case::Truncated);
            self.pump(at);
        }
    }

    /// What a server reads now, at its applied CSN.
    pub(crate) fn read_here(&self, at: usize, cells: &[(curia_consensus::GroupId, u16)]) -> Vec<crate::state::Cell> {
        let state = &self.servers[at].state;
        cells
            .iter()
            .map(|(group, cell)| state.group(*group).map(|g| g.cell(*cell)).unwrap_or_default())
            .collect()
    }
}
