//! Numbers that are never given twice: OIDs, storage ids, transaction ids.
//!
//! A row says up to where numbers are reserved; a reservation is an ordinary commit of group 0, made ahead. Nobody waits for it: what uses
//! a number commits later, hence at a higher CSN, and what survives a crash is a prefix of the CSNs. A number that was used in nothing
//! that survived may be given again.
//!
//! ```text
//! key "oid" | "storage" | "txid",  value u8 1, u64 first number that is not reserved (little-endian)
//! ```

use crate::bootstrap::COUNTERS;
use crate::replication::{CommitTicket, FragmentWrites, Replication, WriteSet};
use bytes::Bytes;
use curia_consensus::ids::{GroupId, Term};
use curia_storage::fragment::FragmentWriter;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Reservations that may be under way at once.
const UNDER_WAY: usize = 8;
/// The same.
pub(crate) const BLOCKS_UNDER_WAY: u64 = UNDER_WAY as u64;

pub(crate) struct Counter {
    /// Of the tenure that it belongs to.
    term: Term,
    key: &'static [u8],
    block: u64,
    state: Mutex<State>,
}

struct State {
    next: u64,
    reserved: u64,
    /// Reserved for sure.
    durable: u64,
    under_way: VecDeque<(CommitTicket, u64)>,
}

impl Counter {
    /// The number that is given next.
    pub(crate) fn next(&self) -> u64 {
        self.state.lock().next
    }

    /// Starts from what is stored, or from `first` in a fresh database.
    pub(crate) fn open(replication: &dyn Replication, term: Term, key: &'static [u8], first: u64, block: u64) -> Result<Counter> {
        Counter::beyond(replication, term, key, first, block, 0)
    }

    /// The same, beyond what earlier terms gave without its being stored: less than `gap` numbers each.
    pub(crate) fn beyond(
        replication: &dyn Replication,
        term: Term,
        key: &'static [u8],
        first: u64,
        block: u64,
        gap: u64,
    ) -> Result<Counter> {
        let stored = replication.state().read(COUNTERS.0, key, replication.applied(), |row| match row {
            [1, n @ ..] => n.try_into().ok().map(u64::from_le_bytes),
            _ => None,
        })?;
        let start = match stored {
            // What is stored may be older than the last term; terms give out of ranges of their own.
            Some(n) => n.ok_or_else(|| unreadable(key))? + gap * term.0,
            None => first + gap * term.0.saturating_sub(1),
        };
        let state = State {
            next: start,
            reserved: start,
            durable: start,
            under_way: VecDeque::new(),
        };
        Ok(Counter {
            term,
            key,
            block,
            state: Mutex::new(state),
        })
    }

    /// The next number.
    pub(crate) fn take(&self, replication: &dyn Replication) -> Result<u64> {
        let mut state = self.state.lock();
        let state = &mut *state;
        while let Some((ticket, upto)) = state.under_way.front() {
            match ticket.try_outcome() {
                None => break,
                Some(Ok(_)) => {
                    state.durable = state.durable.max(*upto);
                    state.under_way.pop_front();
                }
                Some(Err(error)) => {
                    state.under_way.clear();
                    state.reserved = state.durable;
                    if state.next >= state.reserved {
                        return Err(error);
                    }
                }
            }
        }
        if state.reserved.saturating_sub(state.next) < self.block / 2 && state.under_way.len() < UNDER_WAY {
            let upto = state.next.max(state.reserved) + self.block;
            let ticket = replication.commit(reservation(self.term, self.key, &upto.to_le_bytes())?);
            state.under_way.push_back((ticket, upto));
            state.reserved = upto;
        }
        if state.next >= state.reserved {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                "identifiers are drawn faster than they can be reserved",
            ));
        }
        state.next += 1;
        Ok(state.next - 1)
    }
}

/// The write set of a reservation.
pub(crate) fn reservation(term: Term, key: &[u8], number: &[u8]) -> Result<WriteSet> {
    let mut writer = FragmentWriter::new();
    writer.put(COUNTERS.0, key, &[&[1], number].concat())?;
    let fragment = FragmentWrites {
        group: GroupId(0),
        stages: Vec::new(),
        payload: Bytes::from(writer.finish()),
    };
    Ok(WriteSet {
        begun: Some(term),
        after: Vec::new(),
        fragments: vec![fragment],
    })
}

pub(crate) fn unreadable(key: &[u8]) -> SqlError {
    SqlError::new(
        SqlState::DATA_CORRUPTED,
        format!("unreadable counter row {}", String::from_utf8_lossy(key)),
    )
}
