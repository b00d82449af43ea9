//! The world: virtual time, servers, what happens to them, and the checks after every step.

use std::collections::BTreeMap;

use curia_consensus::{
    AppliedTo, Apply, Body, Configuration, Csn, Donated, GroupId, InstallChunk, LogId, LogRead, Message, Office, Participant, Payload,
    Persist, PersistSeq, Record, Roles, ServerId, SnapshotRead, Tail, Term, Timestamp, Write,
};

use crate::cases::{Case, Cases};
use crate::clients::Client;
use crate::dice::Dice;
use crate::durability;
use crate::history::History;
use crate::network::Network;
use crate::oracle::{Decided, Oracle, Part, fragment_content};
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
    /// When and where things fail.
    pub(crate) chance: Dice,
    /// How long disks take, and what they lose.
    pub(crate) platter: Dice,
    /// What clients do.
    pub(crate) whim: Dice,
}

/// What a driver does with its state, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// Apply fragments, and note how far that brings the state.
    Apply(Vec<Apply>, Option<AppliedTo>),
    /// Install a piece of a group's snapshot.
    Install(InstallChunk),
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
            rotten: BTreeMap::new(),
            successor: None,
            given: Vec::new(),
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
            let run = self.servers[at].run;
            for read in output.log_reads {
                self.soon(Event::LogRead { at, run, read });
            }
            for read in output.snapshot_reads {
                self.soon(Event::SnapshotRead { at, run, read });
            }
            let idle = self.servers[at].applying.is_empty();
            if !output.apply.is_empty() || output.applied.is_some() {
                self.servers[at].applying.push_back(Work::Apply(output.apply, output.applied));
            }
            self.servers[at].applying.extend(output.installs.into_iter().map(Work::Install));
            if idle && !self.servers[at].applying.is_empty() {
                if self.platter.chance(self.faults.slow_apply) {
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
        if let Body::Append(append) = &message.body {
            self.oracle.leads(message.term, server.id, server.incarnation());
            if let Some(resolved) = append.resolved {
                self.oracle.resolved(message.term, resolved);
            }
            if !server.roles.log {
                // What it has is seen in what it sends.
                for section in &append.sections {
                    let mut before = section.previous.term;
                    for entry in &section.entries {
                        self.oracle.written(server.id, section.log, entry, Some(before));
                        before = entry.term;
                    }
                }
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
            if let Write::DropSuffix { log, after } = write {
                cases.met(Case::DroppedSuffix);
                story.add(now, &[6, after.0], || format!("s{} drops {log:?} after {after:?}", at + 1));
            }
            match write {
                Write::Base { log, base } => story.add(now, &[11, base.index.0], || {
                    format!("s{} begins {log:?} after {:?}/{:?}, {:?}", at + 1, base.index, base.term, base.csn)
                }),
                Write::DropLog { log } => story.add(now, &[12], || format!("s{} drops {log:?} wholly", at + 1)),
                _ => {}
            }
        }
        if !server.roles.log {
            // Its log is volatile: what it asks for is done at once, and forgotten by the next run.
            self.node(at).persisted(seq);
            return false;
        }
        let ours = server.office;
        let voids = batch.writes.iter().filter_map(|write| match write {
            Write::Append { log, entry } => match &entry.record {
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
            Office::Inaugurating { term } => {
                self.oracle.leads(term, server.id, server.incarnation());
                let at_rest = server.node.as_ref().is_none_or(|node| node.configuration().at_rest());
                self.cases.met_if(Case::JointFailover, !at_rest);
            }
            Office::Consul { term, cut } => {
                self.oracle.leads(term, server.id, server.incarnation());
                self.oracle.serves(server.id, term, cut);
                self.cases.met(Case::Served);
                self.cases.met_if(Case::StateOnlyServed, !server.roles.log);
                self.cases.met_if(Case::Adopted, cut > self.oracle.resolved_before(term));
                self.cases.met_if(
                    Case::TransferDone,
                    self.successor.is_some_and(|(to, last)| to == server.id && last.next() == term),
                );
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

    /// Leader completeness after inauguration: whatever was decided before its term is in the new consul's state or logs.
    fn check_complete(&self, at: usize) {
        let server = &self.servers[at];
        let Some(term) = server.term().filter(|_| server.roles.log) else {
            return;
        };
        let decided = self.oracle.decided_csn().min(self.oracle.resolved_before(term));
        for csn in (server.state.csn().0 + 1..=decided.0).map(Csn) {
            for (place, term) in &self.oracle.decided(csn).expect("it is decided").places {
                let lane = server.disk.lane(LogId::Group(place.group));
                // Of a dropped group everything was applied everywhere.
                if lane.is_none_or(|lane| lane.tail() == Tail::default()) && self.oracle.is_gone(place.group) {
                    continue;
                }
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
        while let Some(work) = self.servers[at].applying.pop_front() {
            let (fragments, applied) = match work {
                Work::Apply(fragments, applied) => (fragments, applied),
                Work::Install(chunk) => {
                    self.install(at, chunk);
                    continue;
                }
            };
            for transaction in fragments.chunk_by(|a, b| a.csn == b.csn) {
                self.apply_transaction(at, transaction);
            }
            if let Some(applied) = applied {
                self.applied_to(at, applied);
            }
        }
    }

    /// A server's state goes on to a CSN without applying those before it: group snapshots brought all of them.
    fn pass_over(&self, at: usize, upto: Csn) {
        let state = &self.servers[at].state;
        for csn in (state.csn().0 + 1..=upto.0).map(Csn) {
            let brought = |group: GroupId| state.group(group).is_some_and(|group| group.installed >= csn);
            let decided = self.oracle.decided(csn);
            assert!(
                decided.is_some_and(|decided| decided
                    .places
                    .iter()
                    .all(|(place, _)| brought(place.group) || self.oracle.is_gone(place.group))),
                "prefix order: s{} goes past {csn:?} without applying it: {decided:?}",
                at + 1
            );
        }
    }

    fn apply_transaction(&mut self, at: usize, fragments: &[Apply]) {
        let (csn, timestamp) = (fragments[0].csn, fragments[0].timestamp);
        let server = &self.servers[at];
        let id = server.id;
        assert!(
            csn > server.state.csn(),
            "prefix order: {id:?} applies {csn:?} after {:?}",
            server.state.csn()
        );
        self.pass_over(at, Csn(csn.0 - 1));
        let mut parts = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let log = LogId::Group(fragment.group);
            let payload = match &fragment.payload {
                Payload::Held(held) => held.clone(),
                Payload::Stored(_) => server.disk.payload(log, fragment.index),
            };
            let mut bytes = Vec::new();
            for (at, stage) in fragment.stages.as_slice().iter().enumerate() {
                match fragment.staged.get(at) {
                    Some(Payload::Held(held)) => bytes.extend_from_slice(held),
                    _ => bytes.extend_from_slice(&server.disk.payload(log, *stage)),
                }
            }
            bytes.extend_from_slice(&payload);
            let Some(writes) = Writes::decode(&bytes) else {
                panic!("{id:?} applies bytes that nobody proposed at {log:?} {:?}", fragment.index)
            };
            parts.push(Part {
                group: fragment.group,
                index: fragment.index,
                key: fragment.key,
                content: fragment_content(csn, timestamp, fragment.stages.as_slice(), &payload),
                writes,
            });
        }
        let operation = parts[0].writes.operation;
        let first = self.oracle.decided(csn).map_or(parts[0].group, |decided| decided.places[0].0.group);
        assert!(
            parts.iter().all(|part| part.key.is_none() || part.group == first),
            "{id:?} is told the key of {csn:?} with another than the first fragment"
        );
        if csn == self.oracle.decided_csn().next() {
            if let Some(term) = self.servers[at].term() {
                self.oracle.resolved(term, csn);
            }
            self.decide(at, csn, timestamp, &parts);
        }
        let decided = self.oracle.decided(csn).expect("decided at the latest now");
        // What a group's snapshot brought is not applied again, and of a dropped group there may be nothing left.
        let state = &self.servers[at].state;
        let brought = |group: GroupId| state.group(group).is_some_and(|group| group.installed >= csn);
        let lost = |group: GroupId| self.oracle.is_gone(group) && parts.iter().all(|part| part.group != group);
        let places = decided.places.iter().map(|(place, _)| *place);
        let places = places.filter(|place| !brought(place.group) && !lost(place.group));
        assert!(
            decided.operation == operation
                && decided.timestamp == timestamp
                && places.eq(parts.iter().map(|part| Participant {
                    group: part.group,
                    index: part.index
                })),
            "state-machine safety: {id:?} applies {parts:?} at {csn:?}, where {decided:?} was applied"
        );
        let server = &mut self.servers[at];
        for part in &parts {
            let state = server.state.group_mut(part.group);
            state.apply(&part.writes);
            if let Some(key) = part.key {
                state.remember(key, csn);
            }
            assert_eq!(
                state.digest,
                self.oracle.digest(part.group, csn),
                "digests: {id:?}'s {:?} differs at {csn:?}",
                part.group
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
    fn decide(&mut self, at: usize, csn: Csn, timestamp: Timestamp, parts: &[Part]) {
        let id = self.servers[at].id;
        let operation = parts[0].writes.operation;
        self.check_whole(csn, operation, parts);
        let places = parts.iter().map(|part| {
            let place = Participant {
                group: part.group,
                index: part.index,
            };
            let term = self.oracle.term_of(LogId::Group(part.group), part.index, part.content);
            (
                place,
                term.unwrap_or_else(|| panic!("{id:?} applies at {place:?} what was never written there: {part:?}")),
            )
        });
        let places: Vec<_> = places.collect();
        let configurations = self.oracle.configurations();
        let latest = &configurations[configurations.len().saturating_sub(4)..];
        for (place, term) in &places {
            let log = LogId::Group(place.group);
            let holds = |server: ServerId| {
                let disk = &self.servers[server.0 as usize - 1].disk;
                disk.had(log, place.index) || disk.lane(log).is_some_and(|lane| lane.holds(place.index, *term))
            };
            assert!(
                latest
                    .iter()
                    .filter_map(|configuration| configuration.group(place.group))
                    .any(|members| members.quorum(holds)),
                "acknowledged is never lost: {id:?} applies {csn:?}, and {place:?} of {term:?} is on no quorum's disks"
            );
        }
        let decided = Decided {
            operation,
            timestamp,
            places,
        };
        self.oracle.decide(csn, decided, parts);
        self.cases.met(Case::Committed);
    }

    fn applied_to(&mut self, at: usize, applied: AppliedTo) {
        let server = &mut self.servers[at];
        let id = server.id;
        assert!(
            applied.csn >= server.state.csn(),
            "no fragment half applied: {id:?} applied {:?} and is said to be at {:?}",
            server.state.csn(),
            applied.csn
        );
        if applied.csn > server.state.csn() {
            self.pass_over(at, applied.csn);
        }
        let server = &mut self.servers[at];
        (server.state.applied.csn, server.state.applied.timestamp) = (applied.csn, applied.timestamp);
        self.story.add(self.now, &[13, at as u64, applied.csn.0], || {
            let positions: Vec<_> = applied.positions.iter().map(|(group, base)| (group, base.index)).collect();
            format!("s{} is at {:?}, positions {positions:?}", at + 1, applied.csn)
        });
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

    /// What a server reads now, at its applied CSN.
    pub(crate) fn read_here(&self, at: usize, cells: &[(GroupId, u16)]) -> Vec<crate::state::Cell> {
        let state = &self.servers[at].state;
        cells
            .iter()
            .map(|(group, cell)| state.group(*group).map(|g| g.cell(*cell)).unwrap_or_default())
            .collect()
    }
}
