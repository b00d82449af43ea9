//! Clients: each asks one thing at a time, of the server that it believes to be consul.
//!
//! Workloads: registers, transfers between accounts of any groups, appends to lists in several groups at once, and reads
//! of several cells.

use std::time::Duration;

use curia_consensus::{Csn, GroupId, Key, Node, Office, Part, ProposeError, ReadLevel, ReadReady, Timestamp};

use crate::cases::Case;
use crate::dice::mix;
use crate::history::{Ask, Level, Operation, Outcome};
use crate::plan::Micros;
use crate::server::{Reading, Waiting};
use crate::state::{Change, Deed, Writes};
use crate::world::{Event, World};

/// Cells of a group: registers, then accounts, then lists.
const REGISTERS: std::ops::Range<u64> = 0..4;
const ACCOUNTS: std::ops::Range<u64> = 4..8;
const LISTS: std::ops::Range<u64> = 8..10;

/// A client between two of its operations, or amid one.
#[derive(Debug, Default)]
pub struct Client {
    /// The server that it asks first.
    server: usize,
    /// Counts; events of earlier ones mean nothing.
    attempt: u64,
    /// The operation under way.
    operation: Option<u64>,
    /// Its idempotency key.
    key: Option<Key>,
}

impl World {
    pub(crate) fn add_clients(&mut self) {
        for client in 0..self.plan.clients as usize {
            self.clients.push(Client::default());
            self.rest(client, self.plan.election_timeout.as_micros() as Micros);
        }
    }

    /// They go on after faults stopped.
    pub(crate) fn resume_clients(&mut self) {
        self.resumed = true;
        (0..self.clients.len()).for_each(|client| self.rest(client, self.plan.think));
    }

    /// Whether everything that clients wanted to do is done, or given up.
    pub(crate) fn clients_are_done(&self) -> bool {
        self.history.operations.len() >= self.plan.operations as usize && self.clients_rest()
    }

    /// Whether no client waits for anything.
    pub(crate) fn clients_rest(&self) -> bool {
        self.clients.iter().all(|client| client.operation.is_none())
    }

    /// The client acts again after about `mean`.
    fn rest(&mut self, client: usize, mean: Micros) {
        let pause = self.whim.around(mean);
        self.clients[client].attempt += 1;
        let attempt = self.clients[client].attempt;
        self.queue.add(self.now + pause, Event::Client { client, attempt });
    }

    pub(crate) fn client_acts(&mut self, client: usize, attempt: u64) {
        if self.clients[client].attempt != attempt {
            return;
        }
        if let Some(operation) = self.clients[client].operation {
            // No answer came, or it was to ask again.
            self.look_elsewhere(client);
            if self.clients[client].key.is_some() {
                return self.ask(client, operation);
            }
            self.clients[client].operation = None;
        }
        if self.calm && !self.resumed || self.history.operations.len() >= self.plan.operations as usize {
            return;
        }
        let operation = self.history.operations.len() as u64;
        let ask = self.invent(client, operation);
        let keyed = self.whim.chance(self.plan.keyed) && matches!(ask, Ask::Write(_));
        self.clients[client].key = keyed.then(|| Key(u128::from(mix(operation, self.plan.seed))));
        self.history.operations.push(Operation {
            ask,
            asked: self.now,
            outcome: Outcome::Unknown,
        });
        self.clients[client].operation = Some(operation);
        self.ask(client, operation);
    }

    /// The next attempt goes to another server: a neighbour, or the one that is consul.
    fn look_elsewhere(&mut self, client: usize) {
        let any = self.whim.below(self.servers.len() as u64) as usize;
        let told = self.whim.chance(0.5);
        let count = self.servers.len();
        let mut others = (any..count).chain(0..any);
        let consul = others.find(|at| told && self.servers[*at].serves());
        self.clients[client].server = consul.unwrap_or(any);
    }

    /// The operation goes no further; with a key it is asked again, without one it never happened.
    fn refused(&mut self, client: usize, operation: u64) {
        let timeout = self.plan.election_timeout.as_micros() as Micros;
        if self.clients[client].key.is_none() {
            self.history.operations[operation as usize].outcome = Outcome::Refused;
            self.clients[client].operation = None;
            self.look_elsewhere(client);
        }
        self.rest(client, timeout / 20);
    }

    /// The client waits for an answer, but not for ever.
    fn wait(&mut self, client: usize) -> u64 {
        let timeout = self.plan.election_timeout.as_micros() as Micros;
        let attempt = self.clients[client].attempt;
        let patience = timeout + self.whim.around(timeout);
        self.queue.add(self.now + patience, Event::Client { client, attempt });
        attempt
    }

    fn ask(&mut self, client: usize, operation: u64) {
        let at = self.clients[client].server;
        self.clients[client].attempt += 1;
        match self.history.operations[operation as usize].ask.clone() {
            Ask::Write(parts) => self.ask_to_write(client, operation, at, &parts),
            Ask::Read(_, level) => {
                let Some(node) = self.servers[at].node.as_mut() else {
                    return self.refused(client, operation);
                };
                let level = match level {
                    Level::Strict => ReadLevel::Strict,
                    // Clocks drift; what is promised is promised on the server's.
                    Level::Bounded(age) => ReadLevel::Bounded(Duration::from_micros(
                        age - age * self.plan.faults.drift_ppm.max(50_000) / 1_000_000,
                    )),
                    Level::AtLeast(csn) if operation.is_multiple_of(2) => ReadLevel::Session(csn),
                    Level::AtLeast(csn) => ReadLevel::AsOf(csn),
                };
                node.read(operation, level);
                let attempt = self.wait(client);
                self.servers[at].reading.insert(operation, Reading { client, attempt });
                self.pump(at);
            }
        }
    }

    /// What a driver does with a write: looks for its key in the state, then proposes it.
    fn ask_to_write(&mut self, client: usize, operation: u64, at: usize, parts: &[(GroupId, Vec<Change>)]) {
        let key = self.clients[client].key;
        let known = key.and_then(|key| self.servers[at].state.group(parts[0].0)?.known(key));
        if let Some(csn) = known.filter(|_| self.servers[at].node.is_some()) {
            self.cases.met(Case::DuplicateApplied);
            let attempt = self.wait(client);
            return self.answer(client, attempt, csn);
        }
        let csn = match self.propose(at, operation, key, parts) {
            Ok(csn) => csn,
            Err(ProposeError::Known(csn)) => {
                self.cases.met(Case::DuplicateUnderWay);
                csn
            }
            Err(ProposeError::UnknownGroup(_)) if key.is_some() => {
                // The group was dropped. Whether an earlier attempt came in time, nobody will tell.
                self.clients[client].operation = None;
                return self.rest(client, self.plan.think);
            }
            Err(error) => {
                self.cases.met_if(Case::Full, error == ProposeError::Full);
                return self.refused(client, operation);
            }
        };
        let attempt = self.wait(client);
        let Some(Office::Consul { term, .. }) = self.servers[at].node.as_ref().map(Node::office) else {
            assert!(self.servers[at].node.is_none(), "s{} is no consul and takes a proposal", at + 1);
            return; // it crashed over what was staged for nothing
        };
        let waiting = Waiting {
            operation,
            client,
            attempt,
            term,
        };
        self.servers[at].waiting.insert(csn, waiting);
        self.pump(at);
    }

    /// A read may go on, or can't.
    pub(crate) fn read_ready(&mut self, at: usize, ready: ReadReady) {
        let Some(Reading { client, attempt }) = self.servers[at].reading.remove(&ready.id) else {
            panic!("s{} answers read {} twice", at + 1, ready.id)
        };
        let state_csn = self.servers[at].state.csn();
        self.story.add(self.now, &[32, at as u64, ready.id, state_csn.0], || {
            format!(
                "s{} may serve read {} at {:?}, its state at {state_csn:?}",
                at + 1,
                ready.id,
                ready.result
            )
        });
        let Ask::Read(cells, _) = self.history.operations[ready.id as usize].ask.clone() else {
            panic!("operation {} is no read", ready.id)
        };
        if let Ok(csn) = ready.result {
            assert!(
                csn <= state_csn,
                "s{} may serve a read at {csn:?}, its state at {state_csn:?}",
                at + 1
            );
        }
        if self.clients[client].attempt != attempt {
            return;
        }
        let has = |group: GroupId| {
            self.servers[at]
                .node
                .as_ref()
                .is_some_and(|node| node.configuration().group(group).is_some())
        };
        match ready.result {
            // Of a dropped group there may be nothing left to read.
            Ok(_) if cells.iter().all(|(group, _)| has(*group)) => {
                let seen = self.read_here(at, &cells);
                self.done(client, ready.id, state_csn, seen);
            }
            _ => self.refused(client, ready.id),
        }
    }

    fn propose(&mut self, at: usize, operation: u64, key: Option<Key>, parts: &[(GroupId, Vec<Change>)]) -> Result<Csn, ProposeError> {
        let now = Timestamp(self.servers[at].clock(self.now).as_micros() as u64);
        let staged = self.whim.chance(self.plan.staged) && !self.calm;
        let large = self.whim.chance(self.plan.large_payload);
        let size = if large { 600 + self.whim.below(2000) } else { self.whim.below(100) };
        let Some(node) = self.servers[at].node.as_mut() else {
            return Err(ProposeError::NotConsul);
        };
        let mut proposal = Vec::with_capacity(parts.len());
        for (group, changes) in parts {
            let writes = Writes {
                operation,
                changes: changes.clone(),
            };
            let payload = writes.encode(size as usize);
            let mut part = Part {
                group: *group,
                stages: Vec::new(),
                payload,
            };
            if staged && let Ok(index) = node.stage(*group, part.payload.slice(..part.payload.len() / 2)) {
                part.stages.push(index);
                part.payload = part.payload.slice(part.payload.len() / 2..);
            }
            proposal.push(part);
        }
        let stages: Vec<_> = proposal.iter().map(|part| (part.group, part.stages.clone())).collect();
        let result = node.propose(now, key, &mut proposal);
        match result {
            Ok(csn) => {
                self.cases.met_if(Case::Staged, staged);
                let at_csn = csn.0 as usize;
                self.cases.met_if(Case::Reused, at_csn < self.given.len());
                self.given.resize(at_csn, 0);
                self.given.push(operation);
                self.story.add(self.now, &[30, at as u64, operation, csn.0], || {
                    let groups: Vec<_> = parts.iter().map(|(group, _)| group).collect();
                    format!("s{} gives {csn:?} to operation {operation} in {groups:?}", at + 1)
                });
            }
            Err(_) => stages.iter().for_each(|(group, stages)| node.discard(*group, stages)),
        }
        // Stage records, or what became of them, are to be sent too.
        if result.is_err() && staged {
            self.pump(at);
        }
        result
    }

    /// A transaction was applied for which this client waits.
    pub(crate) fn answer(&mut self, client: usize, attempt: u64, csn: Csn) {
        let delay = self.whim.between(1, self.faults.latency + 1);
        if !self.whim.chance(self.faults.lose_answer) {
            self.queue.add(self.now + delay, Event::Answer { client, attempt, csn });
        }
    }

    pub(crate) fn client_hears(&mut self, client: usize, attempt: u64, csn: Csn) {
        if self.clients[client].attempt == attempt
            && let Some(operation) = self.clients[client].operation
        {
            self.done(client, operation, csn, Vec::new());
        }
    }

    fn done(&mut self, client: usize, operation: u64, csn: Csn, seen: Vec<crate::state::Cell>) {
        self.story.add(self.now, &[31, operation, csn.0], || {
            format!("client {client}: operation {operation} is done at {csn:?}")
        });
        self.history.operations[operation as usize].outcome = Outcome::Done { at: self.now, csn, seen };
        self.clients[client].operation = None;
        self.rest(client, self.plan.think);
    }

    /// The groups that a client knows of: those of some server that runs.
    fn known_groups(&mut self) -> Vec<GroupId> {
        let at = self.whim.below(self.servers.len() as u64) as usize;
        let configuration = match &self.servers[at].node {
            Some(node) if !node.configuration().groups.is_empty() => &**node.configuration(),
            _ => &self.founding,
        };
        configuration.groups.iter().map(|(group, _)| *group).collect()
    }

    /// Something new to do.
    fn invent(&mut self, client: usize, operation: u64) -> Ask {
        let known = self.known_groups();
        let groups = known.len() as u64;
        let reads = self.whim.chance(self.plan.reads) || client < self.plan.readers as usize;
        let kind = self.whim.below(4);
        let several = 1 + self.whim.below(groups.min(4));
        // Now and then all groups at once.
        let several = if self.whim.chance(0.05) { groups } else { several };
        let first = self.whim.below(groups);
        let mut chosen: Vec<_> = (0..several).map(|offset| known[((first + offset) % groups) as usize]).collect();
        chosen.sort_unstable();
        let cell = |range: &std::ops::Range<u64>, whim: &mut crate::dice::Dice| (range.start + whim.below(range.end - range.start)) as u16;
        if reads {
            let cells = chosen.iter().map(|group| {
                let range = self.whim.pick(&[0, 1, 2]);
                (*group, cell(&[REGISTERS, ACCOUNTS, LISTS][range], &mut self.whim))
            });
            let cells = cells.collect();
            let timeout = self.plan.election_timeout.as_micros() as Micros;
            let level = match self.whim.below(5) {
                0..3 => Level::Strict,
                3 => Level::Bounded(self.whim.below(timeout * 2)),
                // What some client has seen, or a moment that is still to come.
                _ => Level::AtLeast(Csn(self.oracle.decided_csn().0 + self.whim.below(2))),
            };
            return Ask::Read(cells, level);
        }
        let value = operation as i64 + 1;
        let mut parts: Vec<(GroupId, Vec<Change>)> = Vec::new();
        for (at, group) in chosen.iter().enumerate() {
            let change = match kind {
                0 => Change {
                    cell: cell(&REGISTERS, &mut self.whim),
                    deed: Deed::Set(value),
                },
                // A circle of transfers: what one group gives, the next one gets.
                1 | 2 => Change {
                    cell: cell(&ACCOUNTS, &mut self.whim),
                    deed: Deed::Add(if at == 0 { -value * (several as i64 - 1) } else { value }),
                },
                _ => Change {
                    cell: cell(&LISTS, &mut self.whim),
                    deed: Deed::Push(value),
                },
            };
            parts.push((*group, vec![change]));
        }
        if kind == 1 {
            // Within a group too.
            let (from, to) = (cell(&ACCOUNTS, &mut self.whim), cell(&ACCOUNTS, &mut self.whim));
            let deeds = [(from, Deed::Add(-7)), (to, Deed::Add(7))];
            parts[0].1.extend(deeds.map(|(cell, deed)| Change { cell, deed }));
        }
        Ask::Write(parts)
    }

    /// What is decided must be what the client asked, in all groups that it named.
    pub(crate) fn check_whole(&self, csn: Csn, operation: u64, parts: &[crate::oracle::Part]) {
        let Some(Operation {
            ask: Ask::Write(asked), ..
        }) = self.history.operations.get(operation as usize)
        else {
            panic!("{csn:?} is operation {operation}, which no client asked for")
        };
        let same = asked.iter().map(|(group, changes)| (*group, operation, changes));
        assert!(
            same.eq(parts.iter().map(|part| (part.group, part.writes.operation, &part.writes.changes))),
            "no fragment half applied: {csn:?} is {parts:?}, but operation {operation} asked for {asked:?}"
        );
    }

    pub(crate) fn count_outcomes(&mut self) {
        for operation in &self.history.operations {
            match (&operation.ask, &operation.outcome) {
                (_, Outcome::Unknown) => self.cases.met(Case::UnknownOutcome),
                (Ask::Read(..), Outcome::Done { .. }) => self.cases.met(Case::ReadAnswered),
                _ => {}
            }
        }
    }
}
