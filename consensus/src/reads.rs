//! Reads that see what was acknowledged before them (DESIGN 3.6; thesis, section 6.4).
//!
//! ```text
//!   consul   read ──► take resolved ──► a round that leaves now is echoed by a quorum ─┐
//!   other    read ──► ask the consul, which does the same ──► answer ──────────────────┴─► wait until applied ──► ready
//! ```
//!
//! Reads that wait for the same thing wait together: one round, or one question, covers all that came before it left. A
//! question that gets no answer is repeated, under its number, with each heartbeat.
//!
//! ```text
//!   reads      a b        c d              e
//!   rounds   ──1────────────2───3──────────────4──►   1, 4: for reads alone    2: carries entries, and proves c and d too
//! ```
//!
//! **Rounds that leave anyway prove as much.** Whatever is sent to a quorum, entries or a sign of life, is a round, and all reads that
//! wait by then go by it. For reads alone a round leaves only while fewer than `Config::read_rounds_max` such rounds are on their way:
//! who comes meanwhile shares the next one. A lost round delays nobody for longer than a heartbeat, which is a round as well.
//!
//! **Clocks.** The node knows the time of its last tick, which may be long ago. What rests on a length of time (a lease, a
//! bound on staleness) is therefore decided in a tick only, which brings the time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ids::{Csn, Incarnation, ServerId};
use crate::message::{Body, Message};
use crate::mutation::mutated;
use crate::node::Node;
use crate::output::{ReadError, ReadReady};
use crate::senate::Role;

/// Of so many questions without an answer it is known when they were sent.
const QUESTIONS_MAX: usize = 64;

/// What a read must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLevel {
    /// Everything that was acknowledged before it came.
    Strict,
    /// Everything that was acknowledged up to so long before it came.
    Bounded(Duration),
    /// At least this CSN: one that its session has seen.
    Session(Csn),
    /// Exactly this CSN.
    AsOf(Csn),
}

/// A read that waits here.
#[derive(Clone, Copy, Debug)]
struct Read {
    id: u64,
    /// Read here, rather than at what is applied by then.
    exactly: Option<Csn>,
    deadline: Duration,
}

/// Who waits for the consul's office to be confirmed.
#[derive(Clone, Debug)]
enum Asker {
    Here(Read),
    /// Another server, with its question.
    Peer {
        server: ServerId,
        incarnation: Incarnation,
        id: u64,
    },
}

/// The reads that wait, by what they wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// For the next tick, which knows whether a lease holds or an answer is fresh enough.
    for_tick: Vec<(Read, Option<Duration>)>,
    /// For a consul, or for the next round or question.
    unasked: VecDeque<Asker>,
    /// For a round of this consul (with the CSN taken before it left), or for the answer to a question; ascending.
    asked: VecDeque<(u64, Csn, Asker)>,
    /// The rounds of this consul that left for reads alone and have no echo of a quorum yet, ascending.
    alone: VecDeque<u64>,
    /// How many such rounds ever left.
    rounds: u64,
    /// For the state to reach this CSN. Numbered, as several may wait for the same one.
    applying: BTreeMap<(Csn, u64), Read>,
    numbered: u64,
    ready: Vec<ReadReady>,
    /// The last question's number.
    question: u64,
    /// When the questions were sent that have no answer yet, ascending.
    questions: VecDeque<(u64, Duration)>,
    /// The last answer: when its question was sent, and what it said.
    answer: Option<(Duration, Csn)>,
    /// The questions are to be sent again.
    again: bool,
}

impl Reads {
    fn waiting(&self) -> usize {
        self.for_tick.len() + self.unasked.len() + self.asked.len() + self.applying.len()
    }

    fn apply_then(&mut self, csn: Csn, read: Read) {
        self.numbered += 1;
        self.applying.insert((csn, self.numbered), read);
    }

    /// The office changed: what was asked is asked again, of the next consul.
    pub(crate) fn ask_again(&mut self) {
        while let Some((_, _, asker)) = self.asked.pop_back() {
            if matches!(asker, Asker::Here(_)) {
                self.unasked.push_front(asker);
            }
        }
        self.unasked.retain(|asker| matches!(asker, Asker::Here(_)));
        self.questions.clear();
        self.alone.clear();
    }

    /// Gives up what waited too long, and repeats what has no answer.
    pub(crate) fn heartbeat(&mut self, now: Duration) {
        let ready = &mut self.ready;
        let mut stays = |read: &Read, error| {
            let stays = now < read.deadline;
            if !stays {
                ready.push(ReadReady {
                    id: read.id,
                    result: Err(error),
                });
            }
            stays
        };
        let mut here = |asker: &Asker| match asker {
            Asker::Here(read) => stays(read, ReadError::NoConsul),
            Asker::Peer { .. } => true,
        };
        self.unasked.retain(&mut here);
        self.asked.retain(|(_, _, asker)| here(asker));
        self.applying.retain(|_, read| stays(read, ReadError::Late));
        self.again = true;
    }

    /// None of the reads can be served here.
    fn refuse(&mut self, error: ReadError) {
        let for_tick = self.for_tick.drain(..).map(|(read, _)| read);
        let asked = self.asked.drain(..).map(|(_, _, asker)| asker);
        let here = self.unasked.drain(..).chain(asked).filter_map(|asker| match asker {
            Asker::Here(read) => Some(read),
            Asker::Peer { .. } => None,
        });
        let applying = std::mem::take(&mut self.applying).into_values();
        let refused = for_tick.chain(here).chain(applying).map(|read| ReadReady {
            id: read.id,
            result: Err(error),
        });
        self.ready.extend(refused);
    }

    /// What is ready once everything up to `applied` is in the state, if that is a prefix of the commit order now; without a
    /// state, nothing ever is.
    pub(crate) fn take_ready(&mut self, runs_state: bool, applied: Option<Csn>) -> Vec<ReadReady> {
        if !runs_state {
            self.refuse(ReadError::NoState);
        }
        while let Some(applied) = applied
            && let Some(first) = self.applying.first_entry()
            && first.key().0 <= applied
        {
            let read = first.remove();
            self.ready.push(ReadReady {
                id: read.id,
                result: Ok(read.exactly.unwrap_or(applied)),
            });
        }
        std::mem::take(&mut self.ready)
    }
}

impl Node {
    /// Wants to read; an output's `reads` says when that may be done, and at which CSN, or why it can't.
    ///
    /// `id` names the read. Tick afterwards: what depends on a length of time is decided then.
    pub fn read(&mut self, id: u64, level: ReadLevel) {
        let now = self.now.unwrap_or_default();
        let refusal = if !self.runs_state() {
            Some(ReadError::NoState)
        } else if self.reads.waiting() >= self.config.reads_max {
            Some(ReadError::Full)
        } else {
            None
        };
        if let Some(error) = refusal {
            self.reads.ready.push(ReadReady { id, result: Err(error) });
            return;
        }
        let read = Read {
            id,
            exactly: match level {
                ReadLevel::AsOf(csn) => Some(csn),
                _ => None,
            },
            deadline: now + self.config.read_timeout,
        };
        match level {
            ReadLevel::Session(csn) | ReadLevel::AsOf(csn) => self.reads.apply_then(csn, read),
            ReadLevel::Bounded(age) => self.reads.for_tick.push((read, Some(age))),
            ReadLevel::Strict if self.lease_may_hold() => self.reads.for_tick.push((read, None)),
            ReadLevel::Strict => self.reads.unasked.push_back(Asker::Here(read)),
        }
    }

    fn lease_may_hold(&self) -> bool {
        self.config.lease_drift_percent.is_some()
            && self.serving.is_some()
            && (!self.transfer.was_tried() || mutated!(self.config, LeaseAfterTransfer))
    }

    /// Until when nobody else can have been elected: those who echoed a round stick to their consul for an election
    /// time-out after they heard of it, on clocks that differ from this one by the drift at most. `None` without a lease, and from the
    /// moment on when a transfer is begun. Whoever reads under it compares it with the present.
    pub fn lease_until(&self) -> Option<Duration> {
        let drift = u32::from(self.config.lease_drift_percent.filter(|_| self.lease_may_hold())?.min(100));
        let drift = if mutated!(self.config, LeaseWithoutDrift) { 0 } else { drift };
        let confirmed = self.confirmed_at()?;
        Some(confirmed + self.config.election_timeout * (100 - drift) / 100)
    }

    /// What bounded reads go by: everything that was acknowledged up to this time is at or below this CSN.
    pub fn confirmed(&self) -> Option<(Duration, Csn)> {
        match self.serving {
            // Everything acknowledged before the round left is resolved here by now.
            Some(_) => self.confirmed_at().map(|at| (at, self.sequencer.resolved())),
            None => self.reads.answer,
        }
    }

    fn confirmed_at(&self) -> Option<Duration> {
        let now = self.now.unwrap_or_default();
        self.rounds.confirmed_at(self.senator.members(), self.config.server, now)
    }

    /// How many rounds left for reads alone since the start.
    pub fn read_rounds(&self) -> u64 {
        self.reads.rounds
    }

    /// Decides what a known time decides: `now` is the present.
    pub(crate) fn read_by_time(&mut self, now: Duration) {
        if self.reads.for_tick.is_empty() {
            return;
        }
        let resolved = self.serving.map(|_| self.sequencer.resolved());
        let lease = self.lease_until().filter(|until| now < *until).and(resolved);
        let confirmed = self.confirmed();
        for (read, age) in std::mem::take(&mut self.reads.for_tick) {
            let known = match age {
                None => lease,
                Some(age) => confirmed.filter(|(at, _)| now < *at + age).map(|(_, csn)| csn).or(lease),
            };
            match known {
                Some(csn) => self.reads.apply_then(csn, read),
                None => self.reads.unasked.push_back(Asker::Here(read)),
            }
        }
    }

    /// Asks the consul for what reads wait for. On the consul: whether the next flush must have a round even if there is nothing else to
    /// send.
    pub(crate) fn ask_for_reads(&mut self) -> bool {
        let again = std::mem::take(&mut self.reads.again);
        match self.senator.role {
            Role::Consul => self.wants_round(),
            Role::Follower { consul: Some(consul) } => {
                self.ask_consul(consul, again);
                false
            }
            _ => false,
        }
    }

    fn wants_round(&mut self) -> bool {
        if self.reads.unasked.is_empty() || self.serving.is_none() {
            return false;
        }
        if self.senator.alone_is_quorum() || mutated!(self.config, ReadWithoutRound) {
            let round = self.rounds.current() + 1;
            self.go_by_round(round);
            self.confirm_reads(round);
            return false;
        }
        self.reads.alone.len() < self.config.read_rounds_max
    }

    /// A round leaves, to these servers, for reads alone or for other reasons: where it goes to a quorum, what waits is proven by it.
    pub(crate) fn round_leaves(&mut self, round: u64, to: &[ServerId], for_reads: bool) {
        let me = self.config.server;
        let reaches = |server| server == me || to.contains(&server);
        if self.serving.is_some() && !self.reads.unasked.is_empty() && self.senator.members().quorum(reaches) {
            self.go_by_round(round);
            if for_reads {
                self.reads.alone.push_back(round);
                self.reads.rounds += 1;
            }
        }
    }

    fn go_by_round(&mut self, round: u64) {
        let (resolved, shown) = (self.sequencer.resolved(), self.shown());
        while let Some(asker) = self.reads.unasked.pop_front() {
            let csn = match asker {
                Asker::Here(_) => resolved,
                Asker::Peer { .. } => shown,
            };
            self.reads.asked.push_back((round, csn, asker));
        }
    }

    fn ask_consul(&mut self, consul: ServerId, again: bool) {
        let reads = &mut self.reads;
        let new = !reads.unasked.is_empty();
        if new {
            reads.question += 1;
            reads.questions.push_back((reads.question, self.now.unwrap_or_default()));
            if reads.questions.len() > QUESTIONS_MAX {
                reads.questions.pop_front(); // its answer will say nothing about how old it is
            }
            while let Some(asker) = reads.unasked.pop_front() {
                reads.asked.push_back((reads.question, Csn::ZERO, asker));
            }
        }
        if new || again && !reads.asked.is_empty() {
            let body = Body::ReadIndex { id: self.reads.question };
            let message = self.request(consul, self.senator.term, body);
            self.messages.push(message);
        }
    }

    /// A quorum has echoed this round of this term.
    pub(crate) fn confirm_reads(&mut self, round: u64) {
        while self.reads.alone.pop_front_if(|alone| *alone <= round).is_some() {}
        while let Some((_, csn, asker)) = self.reads.asked.pop_front_if(|(asked, ..)| *asked <= round) {
            match asker {
                Asker::Here(read) => self.reads.apply_then(csn, read),
                Asker::Peer { server, incarnation, id } => self.answer_read(server, incarnation, id, Some(csn)),
            }
        }
    }

    fn answer_read(&mut self, server: ServerId, incarnation: Incarnation, id: u64, csn: Option<Csn>) {
        let message = self.message(server, incarnation, self.senator.term, Body::ReadIndexReply { id, csn });
        self.messages.push(message);
    }

    /// Another server asks which CSN a strict read needs.
    pub(crate) fn asked_for_read(&mut self, message: &Message, id: u64) {
        let (server, incarnation) = (message.from, message.incarnation);
        if self.serving.is_none() || self.reads.waiting() >= self.config.reads_max {
            return self.answer_read(server, incarnation, id, None);
        }
        // A question that is repeated is still waiting.
        let same =
            |asker: &Asker| matches!(asker, Asker::Peer { server: s, incarnation: i, id: n } if (*s, *i, *n) == (server, incarnation, id));
        if !self.reads.unasked.iter().any(same) && !self.reads.asked.iter().any(|(_, _, asker)| same(asker)) {
            self.reads.unasked.push_back(Asker::Peer { server, incarnation, id });
        }
    }

    /// The consul answered a question; the answer holds for all that was asked before it.
    pub(crate) fn read_answered(&mut self, id: u64, csn: Option<Csn>) {
        let Some(csn) = csn.filter(|_| self.senator.role != Role::Consul) else {
            return;
        };
        let reads = &mut self.reads;
        while let Some((question, sent_at)) = reads.questions.pop_front_if(|(question, _)| *question <= id) {
            if question == id {
                reads.answer = Some((sent_at, csn));
            }
        }
        while let Some((_, _, asker)) = reads.asked.pop_front_if(|(question, ..)| *question <= id) {
            if let Asker::Here(read) = asker {
                reads.apply_then(csn, read);
            }
        }
    }
}
