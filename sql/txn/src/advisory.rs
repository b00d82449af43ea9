//! Advisory locks (`pg_advisory_lock` and its kin): numbers that mean what the application says, held by a session until it gives them
//! back or ends, or by a transaction until its end.
//!
//! In the lock table all of them belong to the session, so that its transactions and itself never stand in each other's way; how often
//! each is held, and for which of the two, is counted in the session's slot. A lock leaves the table when its last count goes.

use crate::database::Database;
use crate::lock::table::ADVISORY;
use crate::lock::{Acquire, LockKey, LockStrength, LockTable, LockWait, Owner};
use crate::slot::SessionSlot;
use crate::transaction::Transaction;
use curia_types::{Result, SqlError, SqlState};
use hashbrown::HashMap;
use parking_lot::Mutex;

/// Advisory locks that one session may hold (53200).
const HELD_MAX: usize = 100_000;

/// What is locked: one bigint, or two integers, which are never equal to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdvisoryKey {
    /// `pg_locks.classid`: the high half of a bigint, or the first integer.
    pub class: u32,
    /// `pg_locks.objid`: the low half of a bigint, or the second integer.
    pub object: u32,
    /// `pg_locks.objsubid`: 1 for a bigint, 2 for two integers.
    pub form: u16,
}

impl From<i64> for AdvisoryKey {
    fn from(n: i64) -> AdvisoryKey {
        AdvisoryKey {
            class: (n >> 32) as u32,
            object: n as u32,
            form: 1,
        }
    }
}

impl From<(i32, i32)> for AdvisoryKey {
    fn from((class, object): (i32, i32)) -> AdvisoryKey {
        AdvisoryKey {
            class: class as u32,
            object: object as u32,
            form: 2,
        }
    }
}

impl AdvisoryKey {
    fn bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&self.class.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.object.to_be_bytes());
        bytes[8..].copy_from_slice(&self.form.to_be_bytes());
        bytes
    }

    /// Reads the key of an entry of the lock table.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<AdvisoryKey> {
        let (class, rest) = bytes.split_first_chunk()?;
        let (object, rest) = rest.split_first_chunk()?;
        Some(AdvisoryKey {
            class: u32::from_be_bytes(*class),
            object: u32::from_be_bytes(*object),
            form: u16::from_be_bytes(*rest.first_chunk()?),
        })
    }
}

/// How an advisory lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdvisoryMode {
    /// By nobody else.
    Exclusive,
    /// Along with others that share it.
    Shared,
}

impl AdvisoryMode {
    fn strength(self) -> LockStrength {
        match self {
            AdvisoryMode::Exclusive => LockStrength::Update,
            AdvisoryMode::Shared => LockStrength::Share,
        }
    }
}

/// Until when an advisory lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdvisoryScope {
    /// Until it is given back as often as it was taken, or the session ends; transactions do not matter to it.
    Session,
    /// Until the end of the transaction.
    Transaction,
}

/// What one session holds.
#[derive(Default)]
pub(crate) struct AdvisoryLocks(Mutex<Advisory>);

#[derive(Default)]
struct Advisory {
    held: HashMap<(AdvisoryKey, AdvisoryMode), Held>,
    /// What the transaction holds, in the order in which it first took each.
    order: Vec<(AdvisoryKey, AdvisoryMode)>,
}

struct Held {
    key: LockKey,
    session: u32,
    transaction: u32,
}

impl AdvisoryLocks {
    fn count(&self, owner: Owner, locks: &LockTable, what: (AdvisoryKey, AdvisoryMode), scope: AdvisoryScope) -> Result<()> {
        let mut all = self.0.lock();
        if all.held.len() >= HELD_MAX && !all.held.contains_key(&what) {
            locks.release_bits(owner, &LockKey::new(ADVISORY, &what.0.bytes()), what.1.strength().bit());
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of shared memory").hint("A session holds too many advisory locks."));
        }
        let all = &mut *all;
        let held = all.held.entry(what).or_insert_with(|| Held {
            key: LockKey::new(ADVISORY, &what.0.bytes()),
            session: 0,
            transaction: 0,
        });
        match scope {
            AdvisoryScope::Session => held.session += 1,
            AdvisoryScope::Transaction => {
                if held.transaction == 0 {
                    all.order.push(what);
                }
                held.transaction += 1;
            }
        }
        Ok(())
    }

    /// Whether any is held until the end of the session.
    pub(crate) fn of_session(&self) -> bool {
        self.0.lock().held.values().any(|held| held.session > 0)
    }

    /// Changes counts, and gives back what is not held any more.
    fn settle(&self, owner: Owner, locks: &LockTable, mut change: impl FnMut(&mut Held)) {
        self.0.lock().held.retain(|(_, mode), held| {
            change(held);
            let keep = held.session > 0 || held.transaction > 0;
            if !keep {
                locks.release_bits(owner, &held.key, mode.strength().bit());
            }
            keep
        });
    }

    /// The transaction ends.
    pub(crate) fn end_transaction(&self, owner: Owner, locks: &LockTable) {
        self.0.lock().order.clear();
        self.settle(owner, locks, |held| held.transaction = 0);
    }

    /// Whether the session holds any for itself and for its transaction.
    pub(crate) fn is_held_twice(&self) -> bool {
        self.0.lock().held.values().any(|held| held.session > 0 && held.transaction > 0)
    }

    /// How many the transaction holds.
    pub(crate) fn mark(&self) -> usize {
        self.0.lock().order.len()
    }

    /// Gives back what the transaction took since it held that many.
    pub(crate) fn undo_to(&self, mark: usize, owner: Owner, locks: &LockTable) {
        let mut all = self.0.lock();
        let all = &mut *all;
        for what in all.order.drain(mark.min(all.order.len())..) {
            let Some(held) = all.held.get_mut(&what) else { continue };
            held.transaction = 0;
            if held.session == 0 {
                locks.release_bits(owner, &held.key, what.1.strength().bit());
                all.held.remove(&what);
            }
        }
    }

    /// The transaction goes on without its session: what it holds becomes its own. Returns the keys.
    pub(crate) fn leave_transaction(&self, owner: Owner, transaction: Owner, locks: &LockTable) -> Vec<LockKey> {
        let mut left = Vec::new();
        for ((_, mode), held) in self.0.lock().held.iter().filter(|(_, held)| held.transaction > 0) {
            locks.insert_granted(transaction, held.key.clone(), mode.strength().bit());
            left.push(held.key.clone());
        }
        self.end_transaction(owner, locks);
        left
    }
}

impl Database {
    /// Takes an advisory lock if nobody is in the way. Errors: 53200.
    pub fn try_advisory_lock(&self, slot: &SessionSlot, key: AdvisoryKey, mode: AdvisoryMode, scope: AdvisoryScope) -> Result<bool> {
        match self.locks.acquire(slot.owner(), ADVISORY, &key.bytes(), mode.strength().into()) {
            Acquire::Granted(_) => {
                slot.advisory.count(slot.owner(), &self.locks, (key, mode), scope)?;
                Ok(true)
            }
            Acquire::Conflict(_) => Ok(false),
        }
    }

    /// Gives back an advisory lock that the session took for itself, once. False: it has none.
    pub fn advisory_unlock(&self, slot: &SessionSlot, key: AdvisoryKey, mode: AdvisoryMode) -> bool {
        let mut all = slot.advisory.0.lock();
        let Some(held) = all.held.get_mut(&(key, mode)).filter(|held| held.session > 0) else {
            return false;
        };
        held.session -= 1;
        if held.session == 0 && held.transaction == 0 {
            self.locks.release_bits(slot.owner(), &held.key, mode.strength().bit());
            all.held.remove(&(key, mode));
        }
        true
    }

    /// Gives back all advisory locks that the session took for itself.
    pub fn advisory_unlock_all(&self, slot: &SessionSlot) {
        slot.advisory.settle(slot.owner(), &self.locks, |held| held.session = 0);
    }
}

impl Transaction {
    /// Takes an advisory lock. False: somebody else holds it and `wait` is not [`LockWait::Block`]. Errors: 40P01, 53200, 55P03 on
    /// `lock_timeout`.
    pub async fn advisory_lock(&mut self, key: AdvisoryKey, mode: AdvisoryMode, scope: AdvisoryScope, wait: LockWait) -> Result<bool> {
        let db = self.db.clone();
        let slot = self.slot.clone();
        let acquired = db.locks.acquire(slot.owner(), ADVISORY, &key.bytes(), mode.strength().into());
        if let Acquire::Conflict(blocked) = acquired {
            if wait != LockWait::Block {
                return Ok(false);
            }
            self.wait_for(blocked).await?;
        }
        slot.advisory.count(slot.owner(), &db.locks, (key, mode), scope)?;
        Ok(true)
    }
}
