//! What a transaction holds until its end, also when its session goes away before that.

use crate::database::Database;
use crate::lock::{LockKey, Owner};
use crate::prepared::strongly_locked;
use crate::replication::CommitTicket;
use crate::serial::Recorded;
use crate::slot::SessionSlot;
use bytes::Bytes;
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
    /// Locks in the order in which they were taken: the key, and the modes that it got then.
    pub(crate) keys: Vec<(LockKey, u8)>,
    /// Tables on which a strong mode was announced.
    pub(super) announced: Vec<Oid>,
    /// Whether the slot still serves this transaction.
    pub(super) in_slot: bool,
    /// Its number, once its commit may have been handed over.
    pub(super) undecided: Option<u64>,
    /// The commit that was handed over.
    pub(crate) recorded: Option<Recorded>,
}

impl Drop for Holdings {
    fn drop(&mut self) {
        if let Some(txid) = self.undecided {
            self.db.undecided.lock().remove(&txid);
        }
        for (key, _) in &self.keys {
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

/// What a prepared transaction holds: [`Holdings`] that nobody gives back unless it is told to. The database has it, so it has not the
/// database.
pub(crate) struct Detached {
    slot: Arc<SessionSlot>,
    begun: Term,
    owner: Owner,
    keys: Vec<(LockKey, u8)>,
    announced: Vec<Oid>,
}

impl Detached {
    pub(crate) fn attach(self, db: Arc<Database>) -> Holdings {
        let Detached {
            slot,
            begun,
            owner,
            keys,
            announced,
        } = self;
        Holdings {
            db,
            slot,
            begun,
            owner,
            keys,
            announced,
            in_slot: true,
            undecided: None,
            recorded: None,
        }
    }
}

/// How much was held at a savepoint.
pub(super) struct LockMark {
    keys: usize,
    weak: Vec<(Oid, u8)>,
    advisory: usize,
}

impl LockMark {
    /// Locks that were taken before it and after it have become one that is held to the end.
    pub(super) fn one_for_all(&mut self, index_of_kept: impl Fn(usize) -> usize) {
        self.keys = 1 + index_of_kept(self.keys);
    }
}

impl Holdings {
    pub(super) fn mark(&self) -> LockMark {
        LockMark {
            keys: self.keys.len(),
            weak: self.slot.weak.mark(),
            advisory: self.slot.advisory.mark(),
        }
    }

    /// Gives back what was taken since the mark; the row and key locks of it go to `row`.
    pub(super) fn undo_to(&mut self, mark: &LockMark, mut row: impl FnMut(&LockKey)) {
        for (key, bits) in self.keys.drain(mark.keys.min(self.keys.len())..).rev() {
            self.db.locks.release_bits(self.owner, &key, bits);
            row(&key);
        }
        let keys = &self.keys;
        let kept = |of: &LockKey| keys.iter().filter(|(key, _)| key == of).fold(0, |all, (_, bits)| all | bits);
        self.slot.weak.undo_to(&mark.weak, &self.db.locks, kept);
        self.slot.advisory.undo_to(mark.advisory, self.slot.owner(), &self.db.locks);
    }

    /// Of a transaction without a session: nothing yet, in a slot of its own.
    pub(crate) fn begin(db: Arc<Database>, slot: Arc<SessionSlot>, begun: Term, txid: u64) -> Holdings {
        let holdings = Holdings::none(db, slot, begun);
        holdings.slot.set_txid(txid);
        holdings
    }

    /// Of a transaction that begins.
    pub(super) fn none(db: Arc<Database>, slot: Arc<SessionSlot>, begun: Term) -> Holdings {
        let owner = slot.begin();
        Holdings {
            db,
            slot,
            begun,
            owner,
            keys: Vec::new(),
            announced: Vec::new(),
            in_slot: true,
            undecided: None,
            recorded: None,
        }
    }

    pub(crate) fn detach(mut self) -> Detached {
        self.in_slot = false;
        Detached {
            slot: self.slot.clone(),
            begun: self.begun,
            owner: self.owner,
            keys: std::mem::take(&mut self.keys),
            announced: std::mem::take(&mut self.announced),
        }
    }

    /// Holds a lock again that it held before another time in office.
    pub(crate) fn retake(&mut self, key: LockKey, modes: u8) {
        if let Some(table) = strongly_locked(&key, modes) {
            self.announce(table);
        }
        self.db.locks.insert_granted(self.owner, key.clone(), modes);
        self.keys.push((key, modes));
    }

    /// Says that a strong mode is wanted on a table, so that all its locks are in the lock table.
    pub(super) fn announce(&mut self, table: Oid) {
        if !self.announced.contains(&table) {
            self.announced.push(table);
            self.db.strong.announce(table);
            for slot in self.db.snapshots.slots() {
                slot.weak.move_to(&self.db.locks, table);
            }
        }
    }

    /// All that it holds becomes another's.
    pub(super) fn move_to(mut self, other: &mut Holdings) {
        self.leave_slot();
        for (key, _) in std::mem::take(&mut self.keys) {
            let modes = self.db.locks.transfer(self.owner, other.owner, &key);
            if modes != 0 {
                other.keys.push((key, modes));
            }
        }
        other.announced.append(&mut self.announced);
    }

    /// Lets others go on from rows that are in a commit under way; `rows` by the places of their locks.
    pub(super) fn hand_over(&self, rows: Vec<(usize, Bytes)>, ticket: &CommitTicket) {
        for (at, row) in rows {
            self.db.locks.hand_over(self.owner, &self.keys[at].0, row, ticket.clone());
        }
    }

    /// The transaction committed: others may see what it did.
    pub(crate) fn committed(&self, changes: &[Change], csn: Csn) {
        if let Some(recorded) = &self.recorded {
            recorded.committed(csn);
        }
        self.db.publish(changes, csn, self.begun);
    }

    /// Makes the slot free for another transaction while the locks stay.
    pub(super) fn leave_slot(&mut self) {
        let weak = self.slot.weak.leave(&self.db.locks);
        let advisory = self.slot.advisory.leave_transaction(self.slot.owner(), self.owner, &self.db.locks);
        self.keys.extend(weak.into_iter().chain(advisory).map(|key| (key, 0xff)));
        self.slot.end();
        self.in_slot = false;
    }
}
