//! The fast path of weak table locks (ACCESS SHARE, ROW SHARE, ROW EXCLUSIVE), which never conflict with one another: a transaction
//! notes them in its own session's slot and touches nothing that other cores write. Whoever wants a stronger mode first announces it, then
//! moves what the slots hold on that table into the lock table, and from there on everything is ordinary. (PostgreSQL's
//! `lmgr/README`, "Fast Path Locking".)
//!
//! ```text
//!   weak:   lock my slot ─ is a strong mode announced? ─ no: note it in the slot
//!                                                      └ yes: lock table
//!   strong: announce ─ for each slot: lock it, move its entry ─ lock table
//! ```

use super::mode::TableLock;
use super::table::{LockKey, LockTable, Owner};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tables share announcements by hash; a false hit only costs the slow path.
const ANNOUNCEMENTS: usize = 1024;
/// Weak locks a slot notes; further ones go to the lock table.
const NOTED: usize = 64;

/// How many holders or seekers of strong modes there are, by hash of the table.
pub(crate) struct StrongModes(Box<[AtomicU32]>);

impl StrongModes {
    pub(crate) fn new() -> StrongModes {
        StrongModes((0..ANNOUNCEMENTS).map(|_| AtomicU32::new(0)).collect())
    }
    fn of(&self, table: u32) -> &AtomicU32 {
        &self.0[(table.wrapping_mul(0x9e37_79b1) >> 22) as usize]
    }
    /// Says that a strong mode is wanted on the table, until [`StrongModes::withdraw`].
    pub(crate) fn announce(&self, table: u32) {
        self.of(table).fetch_add(1, Ordering::SeqCst);
    }
    pub(crate) fn withdraw(&self, table: u32) {
        self.of(table).fetch_sub(1, Ordering::SeqCst);
    }
    fn announced(&self, table: u32) -> bool {
        self.of(table).load(Ordering::SeqCst) > 0
    }
}

/// The weak locks that one slot's transaction has noted.
#[derive(Default)]
pub(crate) struct WeakLocks(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    owner: Option<Owner>,
    /// (table, modes); an entry that moved to the lock table is gone from here and in `moved`.
    entries: Vec<(u32, u8)>,
    moved: Vec<(u32, u8)>,
}

impl WeakLocks {
    /// Notes the lock. False: it must go through the lock table.
    pub(crate) fn note(&self, owner: Owner, table: u32, mode: TableLock, strong: &StrongModes) -> bool {
        debug_assert!(mode.is_weak());
        let mut noted = self.0.lock();
        if let Some((_, bits)) = noted.entries.iter().find(|(t, _)| *t == table)
            && bits & mode.bit() != 0
        {
            return true;
        }
        if strong.announced(table) {
            return false;
        }
        noted.owner = Some(owner);
        if let Some((_, bits)) = noted.entries.iter_mut().find(|(t, _)| *t == table) {
            *bits |= mode.bit();
            return true;
        }
        if noted.entries.len() < NOTED {
            noted.entries.push((table, mode.bit()));
            return true;
        }
        false
    }

    /// What is noted: tables and modes.
    pub(super) fn noted(&self) -> Vec<(u32, u8)> {
        self.0.lock().entries.clone()
    }

    /// Moves what is noted on the table into the lock table.
    pub(crate) fn move_to(&self, locks: &LockTable, table: u32) {
        let mut noted = self.0.lock();
        let Some(owner) = noted.owner else { return };
        if let Some(at) = noted.entries.iter().position(|(t, _)| *t == table) {
            let (_, bits) = noted.entries.swap_remove(at);
            locks.insert_granted(owner, LockKey::table(table), bits);
            noted.moved.push((table, bits));
        }
    }

    /// All of it, to be given to [`WeakLocks::undo_to`].
    pub(crate) fn mark(&self) -> Vec<(u32, u8)> {
        let noted = self.0.lock();
        noted.entries.iter().chain(&noted.moved).copied().collect()
    }

    /// Gives back what was noted since the mark. `kept` are the modes of a table that the transaction holds otherwise.
    pub(crate) fn undo_to(&self, mark: &[(u32, u8)], locks: &LockTable, kept: impl Fn(&LockKey) -> u8) {
        let mut noted = self.0.lock();
        let Some(owner) = noted.owner else { return };
        let before = |table: u32| mark.iter().filter(|(t, _)| *t == table).fold(0, |all, (_, bits)| all | bits);
        noted.entries.retain_mut(|(table, bits)| {
            *bits &= before(*table);
            *bits != 0
        });
        noted.moved.retain_mut(|(table, bits)| {
            let key = LockKey::table(*table);
            let new = *bits & !before(*table);
            locks.release_bits(owner, &key, new & !kept(&key));
            *bits &= !new;
            *bits != 0
        });
    }

    /// Moves everything into the lock table; the slot knows nothing of it any more.
    pub(crate) fn leave(&self, locks: &LockTable) -> Vec<LockKey> {
        let mut noted = self.0.lock();
        let Some(owner) = noted.owner.take() else { return Vec::new() };
        let mut keys: Vec<LockKey> = noted.moved.drain(..).map(|(table, _)| LockKey::table(table)).collect();
        for (table, bits) in noted.entries.drain(..) {
            let key = LockKey::table(table);
            locks.insert_granted(owner, key.clone(), bits);
            keys.push(key);
        }
        keys
    }

    /// Gives everything back.
    pub(crate) fn release(&self, locks: &LockTable) {
        let (owner, moved) = {
            let mut noted = self.0.lock();
            noted.entries.clear();
            (noted.owner.take(), std::mem::take(&mut noted.moved))
        };
        if let Some(owner) = owner {
            for (table, _) in moved {
                locks.release(owner, &LockKey::table(table));
            }
        }
    }
}
