//! The order of durability: which changes wait to be written, which are being written, and what waits for them.
//!
//! Batches are numbered and become durable in order, so one number says everything about the past. That makes fencing
//! simple: the batch that holds the promise of a new term comes after every batch of lower terms, so when the promise
//! leaves, all writes of lower terms are durable and in the tails that leave with it.

use std::collections::VecDeque;

use crate::ids::{Index, LogId, PersistSeq, Term};
use crate::message::Message;
use crate::node::HardState;
use crate::output::{Persist, Write};

/// What is written and not yet durable, and who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Persistence {
    /// The last number given.
    last: PersistSeq,
    /// The last number known to be durable.
    durable: PersistSeq,
    hard_state: Option<HardState>,
    writes: Vec<Write>,
    /// Where each log ends after `writes`.
    ends: Ends,
    flights: VecDeque<Flight>,
    /// Messages that wait for a batch, in its order.
    held: VecDeque<(PersistSeq, Message)>,
}

/// So many messages wait. Further ones are lost, as messages are, while a disk is stuck.
const HELD_MAX: usize = 8 << 10;
/// Room for so many writes is made at once.
const RESERVED_WRITES_MAX: usize = 1024;

/// A batch between [`Persistence::take`] and its report.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    seq: PersistSeq,
    /// The term that is durable with it.
    pub(crate) term: Option<Term>,
    /// Where logs are durable with it.
    pub(crate) ends: Vec<(LogId, Index)>,
}

impl Persistence {
    /// Writes the hard state with the next batch.
    pub(crate) fn hard_state(&mut self, state: HardState) {
        self.hard_state = Some(state);
    }

    /// Writes this with the next batch.
    pub(crate) fn write(&mut self, write: Write) {
        match &write {
            Write::Append { log, entry } => *self.ends.of(*log) = entry.index,
            Write::DropSuffix { log, after } => {
                // A batch under way may still bring entries that are no longer the log's.
                for flight in &mut self.flights {
                    for (_, index) in flight.ends.iter_mut().filter(|(l, _)| l == log) {
                        *index = (*index).min(*after);
                    }
                }
                *self.ends.of(*log) = *after;
            }
            Write::Base { log, base } => {
                let end = self.ends.of(*log);
                *end = base.index.max(*end);
            }
            Write::DropLog { log } => {
                for flight in &mut self.flights {
                    flight.ends.retain(|(l, _)| l != log);
                }
                self.ends.forget(*log);
            }
        }
        self.writes.push(write);
    }

    /// The number under which everything asked for so far is or will be written.
    fn current(&self) -> PersistSeq {
        if self.has_work() { self.last.next() } else { self.last }
    }

    /// Keeps a message back until everything asked for so far is durable; gives it back if it already is.
    pub(crate) fn hold(&mut self, message: Message) -> Option<Message> {
        let current = self.current();
        if current <= self.durable {
            return Some(message);
        }
        if self.held.len() < HELD_MAX {
            self.held.push_back((current, message));
        }
        None
    }

    pub(crate) fn has_work(&self) -> bool {
        self.hard_state.is_some() || !self.writes.is_empty()
    }

    /// The next batch.
    pub(crate) fn take(&mut self) -> Option<Persist> {
        if !self.has_work() {
            return None;
        }
        self.last = self.last.next();
        let hard_state = self.hard_state.take();
        self.flights.push_back(Flight {
            seq: self.last,
            term: hard_state.as_ref().map(|state| state.term),
            ends: self.ends.take(),
        });
        // The next batch is likely as long as this one.
        let room = self.writes.len().min(RESERVED_WRITES_MAX);
        Some(Persist {
            seq: self.last,
            hard_state,
            writes: std::mem::replace(&mut self.writes, Vec::with_capacity(room)),
        })
    }

    /// Takes note that all batches up to `seq` are durable; gives one of them at a time, oldest first.
    pub(crate) fn persisted(&mut self, seq: PersistSeq) -> Option<Flight> {
        assert!(seq <= self.last, "a batch is reported after it was given out");
        self.durable = self.durable.max(seq);
        if self.flights.front()?.seq > seq {
            return None;
        }
        self.flights.pop_front()
    }

    /// A message that need not wait any longer.
    pub(crate) fn release(&mut self) -> Option<Message> {
        if self.held.front()?.0 > self.durable {
            return None;
        }
        self.held.pop_front().map(|(_, message)| message)
    }

    /// The batches between asking and report, by how far they are behind the last durable one.
    #[cfg(feature = "fingerprint")]
    pub(crate) fn under_way(&self) -> impl Iterator<Item = (u64, &Flight)> {
        self.flights.iter().map(|flight| (flight.seq.0 - self.durable.0, flight))
    }

    /// The messages that wait, in the same way.
    #[cfg(feature = "fingerprint")]
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (u64, &Message)> {
        self.held.iter().map(|(seq, message)| (seq.0 - self.durable.0, message))
    }

    /// Whether everything asked for is durable.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_work() && self.flights.is_empty()
    }
}

/// Where logs end after a batch, each once.
#[derive(Clone, Debug, Default)]
struct Ends {
    ends: Vec<(LogId, Index)>,
    /// By a log's number, where it was last put in `ends`; what stands there tells whether it still is.
    places: Vec<u32>,
}

/// Logs with a higher number are searched for.
const PLACES_MAX: usize = 64 << 10;

impl Ends {
    /// Where this log ends; zero if the batch had nothing of it yet.
    #[inline]
    fn of(&mut self, log: LogId) -> &mut Index {
        // Appends come in runs.
        let last = self.ends.len().wrapping_sub(1);
        if self.ends.get(last).is_some_and(|(listed, _)| *listed == log) {
            return &mut self.ends[last].1;
        }
        self.find(log)
    }

    fn find(&mut self, log: LogId) -> &mut Index {
        let number = log.to_u32() as usize;
        let place = if number < PLACES_MAX {
            if self.places.len() <= number {
                self.places.resize(number + 1, 0);
            }
            let place = self.places[number] as usize;
            self.ends.get(place).is_some_and(|(listed, _)| *listed == log).then_some(place)
        } else {
            self.ends.iter().position(|(listed, _)| *listed == log)
        };
        let place = place.unwrap_or_else(|| {
            if let Some(place) = self.places.get_mut(number) {
                *place = self.ends.len() as u32;
            }
            self.ends.push((log, Index::ZERO));
            self.ends.len() - 1
        });
        &mut self.ends[place].1
    }

    fn forget(&mut self, log: LogId) {
        let ends = std::mem::take(&mut self.ends);
        for (other, index) in ends.into_iter().filter(|(other, _)| *other != log) {
            *self.of(other) = index;
        }
    }

    fn take(&mut self) -> Vec<(LogId, Index)> {
        std::mem::take(&mut self.ends)
    }
}
