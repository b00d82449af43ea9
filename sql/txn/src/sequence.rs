//! Sequences: `nextval` waits for no commit.
//!
//! A sequence's row holds a value up to which values are reserved; values are given from memory, and the next reservation is committed
//! ahead, at half of the block. After a crash the sequence goes on behind the reservation, so there are gaps and no repetitions, as in
//! PostgreSQL (which reserves 32). A transaction that drew a value whose reservation is not yet durable confirms it at its commit, also
//! when it writes nothing else, so that a value that a client has seen never comes again.
//!
//! ```text
//! key "seq" ++ u32 storage id (big-endian),  value u8 1, i64 last value reserved (little-endian), u8 whether it counts as given
//! ```

use crate::bootstrap::COUNTERS;
use crate::counter::{reservation, unreadable};
use crate::replication::{CommitTicket, Replication};
use curia_catalog::{Oid, Sequence, StorageId};
use curia_consensus::ids::Term;
use curia_types::{Result, SqlError, SqlState};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values of the first reservation, and of the largest.
const BLOCKS: (u64, u64) = (32, 512);

/// SEQUENCE_GENERATOR_LIMIT_EXCEEDED
const LIMIT_EXCEEDED: SqlState = SqlState::new("2200H");

/// The counters of all sequences in use, by the storage id of their current generation.
pub(crate) struct Sequences {
    /// Of the tenure that they belong to.
    term: Term,
    counters: Mutex<HashMap<StorageId, Arc<Mutex<Counter>>>>,
}

struct Counter {
    term: Term,
    /// Last value given, or the value to give first.
    last: i64,
    /// Whether `last` has been given.
    given: bool,
    /// Values that may be given before the next reservation.
    left: u64,
    /// Size of the next reservation.
    block: u64,
    /// What the row says, or will say.
    reserved: (i64, bool),
    under_way: Option<CommitTicket>,
    /// Values that may be given and are reserved for sure.
    durable: bool,
}

/// What one session has drawn.
#[derive(Default)]
pub(crate) struct SequenceUse(Mutex<Use>);

#[derive(Default)]
struct Use {
    values: HashMap<Oid, i64>,
    last: Option<Oid>,
    /// Sequences whose reservations the running transaction must confirm.
    unconfirmed: Vec<StorageId>,
}

fn key(storage: StorageId) -> Vec<u8> {
    [b"seq".as_slice(), &storage.0.to_be_bytes()].concat()
}

/// The key of a sequence's counter row, for its removal.
pub(crate) fn counter_key(storage: StorageId) -> Vec<u8> {
    key(storage)
}

impl Sequences {
    pub(crate) fn new(term: Term) -> Sequences {
        Sequences {
            term,
            counters: Mutex::default(),
        }
    }

    fn counter(&self, replication: &dyn Replication, sequence: &Sequence) -> Result<Arc<Mutex<Counter>>> {
        let mut map = self.counters.lock();
        if let Some(found) = map.get(&sequence.storage) {
            return Ok(found.clone());
        }
        let key = key(sequence.storage);
        let stored = replication.state().read(COUNTERS.0, &key, replication.applied(), |row| match row {
            [1, last @ .., given] => last.try_into().ok().map(|last| (i64::from_le_bytes(last), *given != 0)),
            _ => None,
        })?;
        let (last, given) = match stored {
            Some(row) => row.ok_or_else(|| unreadable(&key))?,
            None => (sequence.start, false),
        };
        let counter = Counter {
            term: self.term,
            last,
            given,
            left: 0,
            block: BLOCKS.0,
            reserved: (last, given),
            under_way: None,
            durable: true,
        };
        let counter = Arc::new(Mutex::new(counter));
        map.insert(sequence.storage, counter.clone());
        Ok(counter)
    }

    /// Draws the next value. Errors: 2200H at the end of a sequence without CYCLE.
    pub(crate) fn next(&self, replication: &dyn Replication, used: &SequenceUse, sequence: &Sequence) -> Result<i64> {
        let counter = self.counter(replication, sequence)?;
        let mut counter = counter.lock();
        let counter = &mut *counter;
        counter.settle();
        let value = if counter.given {
            step(sequence, counter.last)?
        } else {
            counter.last
        };
        if counter.left == 0 || counter.left == counter.block / 4 && counter.under_way.is_none() {
            counter.reserve(replication, sequence, value)?;
        }
        counter.left -= 1;
        counter.last = value;
        counter.given = true;
        let mut used = used.0.lock();
        used.values.insert(sequence.oid, value);
        used.last = Some(sequence.oid);
        if !counter.durable && !used.unconfirmed.contains(&sequence.storage) {
            used.unconfirmed.push(sequence.storage);
        }
        Ok(value)
    }

    /// Sets the last value (`setval`). Not transactional. Errors: 22003 out of bounds.
    pub(crate) fn set(
        &self,
        replication: &dyn Replication,
        used: &SequenceUse,
        sequence: &Sequence,
        value: i64,
        given: bool,
    ) -> Result<()> {
        if value < sequence.min || value > sequence.max {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    sequence.name, sequence.min, sequence.max
                ),
            ));
        }
        self.restate(replication, used, sequence, value, given)?;
        if given {
            used.0.lock().values.insert(sequence.oid, value);
        }
        Ok(())
    }

    /// Sets the first value of a fresh generation. Nobody draws from it before the sequence that names it commits.
    pub(crate) fn restart(&self, replication: &dyn Replication, used: &SequenceUse, sequence: &Sequence, first: i64) -> Result<()> {
        self.restate(replication, used, sequence, first, false)
    }

    fn restate(&self, replication: &dyn Replication, used: &SequenceUse, sequence: &Sequence, value: i64, given: bool) -> Result<()> {
        let counter = self.counter(replication, sequence)?;
        let mut counter = counter.lock();
        counter.last = value;
        counter.given = given;
        counter.left = 0;
        counter.block = BLOCKS.0;
        counter.write(replication, sequence.storage, (value, given))?;
        let mut used = used.0.lock();
        if !used.unconfirmed.contains(&sequence.storage) {
            used.unconfirmed.push(sequence.storage);
        }
        Ok(())
    }

    /// The value that would be drawn next.
    pub(crate) fn upcoming(&self, replication: &dyn Replication, sequence: &Sequence) -> Result<i64> {
        let counter = self.counter(replication, sequence)?;
        let counter = counter.lock();
        if counter.given {
            step(sequence, counter.last)
        } else {
            Ok(counter.last)
        }
    }

    /// (`last_value`, `is_called`) as a SELECT from the sequence shows them.
    pub(crate) fn peek(&self, replication: &dyn Replication, sequence: &Sequence) -> Result<(i64, bool)> {
        let counter = self.counter(replication, sequence)?;
        let counter = counter.lock();
        Ok((counter.last, counter.given))
    }

    /// Writes the reservations again that the transaction relies on; it commits after them.
    pub(crate) fn confirm(&self, replication: &dyn Replication, used: &SequenceUse) -> Result<Vec<CommitTicket>> {
        let storages = std::mem::take(&mut used.0.lock().unconfirmed);
        let mut tickets = Vec::new();
        for storage in storages {
            let Some(counter) = self.counters.lock().get(&storage).cloned() else {
                continue;
            };
            let mut counter = counter.lock();
            counter.settle();
            if !counter.durable {
                tickets.push(replication.commit(counter.row(storage, counter.reserved)?));
            }
        }
        Ok(tickets)
    }

    /// Forgets the counter of a generation that is gone.
    pub(crate) fn forget(&self, storage: StorageId) {
        self.counters.lock().remove(&storage);
    }
}

impl Counter {
    /// Looks whether the reservation under way has become durable.
    fn settle(&mut self) {
        match self.under_way.as_ref().and_then(CommitTicket::try_outcome) {
            None => {}
            Some(Ok(_)) => {
                self.durable = true;
                self.under_way = None;
            }
            // Confirmed or made again with the next reservation.
            Some(Err(_)) => self.under_way = None,
        }
    }

    /// Reserves a block of values from `first` on.
    fn reserve(&mut self, replication: &dyn Replication, sequence: &Sequence, first: i64) -> Result<()> {
        let mut upto = first;
        let mut count = self.left.max(1);
        // Up to where the values left and a block more go; a cycle's turn ends a block.
        for _ in 1..self.left + self.block {
            match upto
                .checked_add(sequence.increment)
                .filter(|v| (sequence.min..=sequence.max).contains(v))
            {
                Some(next) => {
                    upto = next;
                    count += 1;
                }
                None => break,
            }
        }
        let steps = (i128::from(upto) - i128::from(first)) / i128::from(sequence.increment) + 1;
        count = u64::try_from(steps).unwrap_or(count);
        self.write(replication, sequence.storage, (upto, true))?;
        self.left = count;
        self.block = (self.block * 2).min(BLOCKS.1);
        Ok(())
    }

    fn write(&mut self, replication: &dyn Replication, storage: StorageId, row: (i64, bool)) -> Result<()> {
        self.reserved = row;
        self.durable = false;
        self.under_way = Some(replication.commit(self.row(storage, row)?));
        Ok(())
    }

    fn row(&self, storage: StorageId, (last, given): (i64, bool)) -> Result<crate::replication::WriteSet> {
        reservation(
            self.term,
            &key(storage),
            &[last.to_le_bytes().as_slice(), &[u8::from(given)]].concat(),
        )
    }
}

/// The value after `last`.
fn step(sequence: &Sequence, last: i64) -> Result<i64> {
    match last
        .checked_add(sequence.increment)
        .filter(|v| (sequence.min..=sequence.max).contains(v))
    {
        Some(next) => Ok(next),
        None if sequence.cycle => Ok(if sequence.increment > 0 { sequence.min } else { sequence.max }),
        None => {
            let (word, bound) = if sequence.increment > 0 {
                ("maximum", sequence.max)
            } else {
                ("minimum", sequence.min)
            };
            Err(SqlError::new(
                LIMIT_EXCEEDED,
                format!("nextval: reached {word} value of sequence \"{}\" ({bound})", sequence.name),
            ))
        }
    }
}

impl SequenceUse {
    pub(crate) fn current(&self, sequence: &Sequence) -> Result<i64> {
        self.0.lock().values.get(&sequence.oid).copied().ok_or_else(|| {
            SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("currval of sequence \"{}\" is not yet defined in this session", sequence.name),
            )
        })
    }

    pub(crate) fn last(&self) -> Result<i64> {
        let used = self.0.lock();
        used.last.and_then(|oid| used.values.get(&oid)).copied().ok_or_else(|| {
            SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "lastval is not yet defined in this session",
            )
        })
    }

    /// Forgets what was drawn, but not what a commit must still confirm.
    pub(crate) fn discard(&self) {
        let mut used = self.0.lock();
        used.values.clear();
        used.last = None;
    }

    pub(crate) fn drawn(&self) -> (BTreeMap<Oid, i64>, Option<Oid>) {
        let used = self.0.lock();
        (used.values.iter().map(|(oid, value)| (*oid, *value)).collect(), used.last)
    }

    pub(crate) fn restore(&self, values: BTreeMap<Oid, i64>, last: Option<Oid>) {
        let mut used = self.0.lock();
        used.values = values.into_iter().collect();
        used.last = last;
    }

    pub(crate) fn has_unconfirmed(&self) -> bool {
        !self.0.lock().unconfirmed.is_empty()
    }
}
