//! Early lock release: going on from what a commit under way made of a row (DESIGN 3.4).
//!
//! ```text
//!   T1   lock row ─ update ─ hand over ──────────────── resolved, applied ─► acknowledged, lock given back
//!   T2              waits └─► lock row, T1's version ─ update ─ hand over ─── resolved, applied ─► acknowledged
//!                                    └ depends on T1: answers nothing before T1 is applied, commits after T1 or not at all
//! ```
//!
//! Only one kind of request goes on so: READ COMMITTED, an update that names the row by its whole key and leaves every unique column alone, of
//! a row that T1 updated in the same way. Such a statement takes nothing from the row but its newest version, which the lock table keeps
//! for it; all else it reads at its snapshot, which is applied. Every other lock of T1 stays what it was until T1 is applied: unique keys,
//! foreign keys, tables, and rows for who scans, shares or deletes them. So nothing else can meet half of T1.
//!
//! **Nothing derived leaves early.** What a statement answers waits for what it depends on ([`Transaction::settle`]), be it rows, a tag or an
//! error. A commit needs no wait: its CSN is a later one, and the driver refuses it when one that it depends on has failed. So at a loss of
//! office all that built on what was cut goes with it: it is in write buffers and in the lock table, and nowhere else.

use super::{Isolation, Transaction};
use crate::lock::{LockStrength, LockWait};
use crate::replication::{CommitTicket, undone};
use crate::rows::Seen;
use bytes::Bytes;
use curia_catalog::StorageId;
use curia_types::Result;

/// A commit that holds more locks than this keeps them all to itself until it is applied.
const HANDED_OVER_MAX: usize = 256;

/// Commits that a transaction builds on and that were under way when it did.
#[derive(Default)]
pub(crate) struct Depends(Vec<CommitTicket>);

impl Depends {
    /// Those that are not known to be applied.
    pub(crate) fn unsettled(&self) -> Vec<CommitTicket> {
        let applied = |ticket: &&CommitTicket| ticket.is_under_way() || ticket.has_failed();
        self.0.iter().filter(applied).cloned().collect()
    }
}

impl Transaction {
    /// Whether all that it has built on is applied.
    pub fn is_settled(&self) -> bool {
        self.depends.0.is_empty()
    }

    /// Waits until all that it has built on is applied: before anything that comes of it leaves. May be dropped while it waits.
    ///
    /// # Errors
    /// 40001: some of it did not commit. The transaction cannot commit any more.
    pub async fn settle(&mut self) -> Result<()> {
        while let Some(ticket) = self.depends.0.last_mut() {
            ticket.await.map_err(|_| undone())?;
            self.depends.0.pop();
        }
        Ok(())
    }

    /// Whether a row lock may be had beside those of commits under way.
    pub(crate) fn may_pass(&self, strength: LockStrength, wait: LockWait, seen: Seen) -> bool {
        self.isolation() == Isolation::ReadCommitted
            && strength == LockStrength::NoKeyUpdate
            && wait == LockWait::Block
            && seen == Seen::Newest
    }

    /// The version of a row, of which it got the lock, that a commit under way made.
    pub(crate) fn build_on(&mut self, storage: StorageId, key: &[u8]) -> Option<Bytes> {
        let newest = self.db.locks.handed_over(storage.0, key)?;
        self.depends.0.push(newest.ticket);
        Some(newest.row)
    }

    /// The rows that others may go on from once the commit is handed over, by the places of their locks.
    pub(super) fn rows_to_hand_over(&self) -> Result<Vec<(usize, Bytes)>> {
        let (Some(holdings), Some(buffer)) = (&self.holdings, &self.buffer) else {
            return Ok(Vec::new());
        };
        // Who changes the catalog changes what the bytes of rows mean.
        if holdings.keys.len() > HANDED_OVER_MAX || !self.changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for (at, (key, bits)) in holdings.keys.iter().enumerate() {
            let updates = *bits == LockStrength::NoKeyUpdate.bit() && !key.is_of_no_row();
            if updates && let Some((_, Some(row))) = buffer.latest(key.space, &key.bytes)? {
                rows.push((at, row));
            }
        }
        Ok(rows)
    }
}
