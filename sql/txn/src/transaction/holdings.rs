//! What a transaction holds until its end, also when its session goes away before that.

use crate::database::Database;
use crate::lock::{LockKey, Owner};
use crate::serial::Recorded;
use crate::slot::SessionSlot;
use curia_catalog::{Change, Oid};
use curia_consensus::ids::{Csn, Term};
use std::sync::Arc;

/// Locks and the snapshot; given back when dropped.
pub(crate) struct Holdings {
    pub(super) db: Arc<Database>,
    pub(super) slot: Arc<SessionSlot>,
    /// The term in which the transaction began.
    pub(super) begun: Term,
    pub(super) owner: Owner,
    pub(super) keys: Vec<LockKey>,
    /// Tables on which a strong mode was announced.
    pub(super) announced: Vec<Oid>,
    /// Whether the slot still serves this transaction.
    pub(super) in_slot: bool,
    /// Its number, once its commit may have been handed over.
    pub(super) undecided: Option<u64>,
    /// The commit that was handed over.
    pub(super) recorded: Option<Recorded>,
}

impl Drop for Holdings {
    fn drop(&mut self) {
        if let Some(txid) = self.undecided {
            self.db.undecided.lock().remove(&txid);
        }
        for key in &self.keys {
            self.db.locks.release(self.owner, key);
        }
        for &table in &self.announced {
            self.db.strong.withdraw(table);
        }
        if self.in_slot {
            self.slot.weak.release(&self.db.locks);
            self.slot.advisory.end_transaction(self.slot.owner(), &self.db.locks);
            self.slot.end();
        }
    }
}

impl Holdings {
    /// The transaction committed: others may see what it did.
    pub(crate) fn committed(&self, changes: &[Change], csn: Csn) {
        if let Some(recorded) = &self.recorded {
            recorded.committed(csn);
        }
        self.db.publish(changes, csn, self.begun);
    }

    /// Makes the slot free for another transaction while the locks stay.
    pub(super) fn leave_slot(&mut self) {
        self.keys.extend(self.slot.weak.leave(&self.db.locks));
        let advisory = &self.slot.advisory;
        self.keys
            .extend(advisory.leave_transaction(self.slot.owner(), self.owner, &self.db.locks));
        self.slot.end();
        self.in_slot = false;
    }
}
