//! Undoing: the running statement, and back to savepoints.

use super::Transaction;
use super::holdings::LockMark;
use crate::pending::Deferral;
use curia_catalog::StorageId;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

/// A point to undo to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) seq: u64,
    pub(super) changes: usize,
}

pub(super) struct Savepoint {
    name: String,
    pub(super) mark: Mark,
    /// SET CONSTRAINTS as it stood.
    deferral: Deferral,
    pub(super) locks: LockMark,
}

impl Transaction {
    pub(super) fn mark_statement(&mut self) {
        let here = self.here();
        let before = std::mem::replace(&mut self.statement, here);
        let savepoint = self.savepoints.last().map(|s| s.mark.seq);
        if let Some(buffer) = &self.buffer {
            self.marks.truncate(self.savepoints.len());
            self.marks.push(self.statement.seq);
            match savepoint {
                Some(savepoint) if savepoint < before.seq => buffer.merge_undo(before.seq, savepoint, Arc::strong_count(buffer) > 1),
                Some(_) => {}
                None => buffer.forget_undo_below(self.statement.seq),
            }
        }
    }

    /// READ COMMITTED: undoes the running statement's writes, keeps its locks, takes a new snapshot. REPEATABLE READ never asks for it.
    pub fn restart_statement(&mut self) {
        self.undo_to(self.statement);
        self.start_statement();
    }

    /// Undoes the running statement's writes and catalog changes; locks stay.
    pub fn undo_statement(&mut self) {
        self.undo_to(self.statement);
    }

    pub(super) fn here(&self) -> Mark {
        Mark {
            seq: self.buffer.as_ref().map_or(0, |b| b.next_seq()),
            changes: self.changes.len(),
        }
    }

    /// SAVEPOINT. A name may repeat; the newest hides the older.
    pub fn savepoint(&mut self, name: &str) {
        self.mark_statement();
        let Some(holdings) = &self.holdings else { return };
        let locks = holdings.mark();
        self.savepoints.push(Savepoint {
            name: name.to_owned(),
            mark: self.statement,
            deferral: self.pending.deferral.clone(),
            locks,
        });
        self.reset_marks();
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|s| s.name == name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }

    /// RELEASE SAVEPOINT: forgets it and those after it, keeping what was written. Errors: 3B001.
    pub fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        let released = self.savepoints[at].mark.seq;
        self.savepoints.truncate(at);
        self.statement = self.here();
        self.reset_marks();
        if let Some(buffer) = &self.buffer {
            match self.savepoints.last() {
                Some(outer) => buffer.merge_undo(released, outer.mark.seq, Arc::strong_count(buffer) > 1),
                None => buffer.forget_undo_below(self.statement.seq),
            }
        }
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT: undoes what was written since, gives back locks taken since, forgets later savepoints, keeps this one. Errors:
    /// 3B001.
    pub fn rollback_to_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        self.undo_to_savepoint(at);
        self.savepoints.truncate(at + 1);
        self.statement = self.here();
        self.reset_marks();
        Ok(())
    }

    /// A statement failed: what was done since the newest savepoint is undone and others need not wait for it any longer.
    pub fn fail_to_savepoint(&mut self) {
        if let Some(at) = self.savepoints.len().checked_sub(1) {
            self.undo_to_savepoint(at);
        }
    }

    fn undo_to_savepoint(&mut self, at: usize) {
        let savepoint = &self.savepoints[at];
        let mark = savepoint.mark;
        self.pending.deferral = savepoint.deferral.clone();
        self.undo_to(mark);
        // Only now: who waits for the locks must not meet the writes.
        if let Some(holdings) = &mut self.holdings {
            let counts = &mut self.counts;
            holdings.undo_to(&self.savepoints[at].locks, |key| {
                if let Some(count) = counts.get_mut(&StorageId(key.space)) {
                    *count = count.saturating_sub(1);
                }
            });
        }
    }

    fn reset_marks(&mut self) {
        self.marks.clear();
        self.marks.extend(self.savepoints.iter().map(|s| s.mark.seq));
        self.marks.push(self.statement.seq);
    }

    fn undo_to(&mut self, mark: Mark) {
        if let Some(buffer) = &self.buffer {
            buffer.undo_to(mark.seq);
            self.stages.undo_to(mark.seq);
        }
        self.pending.undo_to(mark.seq);
        if self.changes.len() > mark.changes {
            self.changes.truncate(mark.changes);
            *self.private.get_mut() = None;
        }
    }
}
