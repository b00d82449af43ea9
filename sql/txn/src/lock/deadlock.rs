//! Who waits for whom.
//!
//! A cycle can only come to be when somebody starts to wait: whoever holds or is served is not waiting at that moment. So each wait is
//! checked once, when it starts, under one mutex that orders the starts; the request that would close a cycle is the one that fails.
//!
//! Who waits is a transaction. What it waits for may belong to a session (advisory locks): that waits if its transaction does.

use super::listing::advisory_mode;
use super::table::{ADVISORY, Identity, LockKey, LockTable, Mode, Owner, TABLES};
use crate::advisory::AdvisoryKey;
use crate::database::Database;
use crate::slot::SessionSlot;
use curia_types::{Result, SqlError, SqlState};
use hashbrown::{HashMap, HashSet};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// Every wait under way, by waiter.
#[derive(Default)]
pub(super) struct WaitsFor(Mutex<Waits>);

/// The waits, locked.
#[derive(Default)]
pub(super) struct Waits {
    waiting: HashMap<Owner, Waiting>,
    /// The waiting transaction of each session that has one.
    sessions: HashMap<u32, Owner>,
}

/// One wait.
pub(super) struct Waiting {
    pub(super) key: LockKey,
    /// Who will own it: the transaction, or its session.
    pub(super) owner: Owner,
    pub(super) mode: Mode,
    pub(super) slot: Arc<SessionSlot>,
}

impl WaitsFor {
    pub(super) fn lock(&self) -> MutexGuard<'_, Waits> {
        self.0.lock()
    }
}

impl Waits {
    /// Notes a wait that is queued already, unless it closes a cycle.
    pub(super) fn add(&mut self, table: &LockTable, who: Identity<'_>, waiting: Waiting) -> Result<()> {
        let owner = who.transaction;
        self.waiting.insert(owner, waiting);
        self.sessions.insert(owner.session(), owner);
        match self.path(table, owner, owner) {
            None => Ok(()),
            Some(cycle) => {
                let error = self.report(&cycle, who.database);
                self.remove(owner);
                Err(error)
            }
        }
    }

    pub(super) fn remove(&mut self, owner: Owner) {
        self.waiting.remove(&owner);
        if self.sessions.get(&owner.session()) == Some(&owner) {
            self.sessions.remove(&owner.session());
        }
    }

    pub(super) fn blockers_of_session(&self, table: &LockTable, session: u32) -> Vec<Owner> {
        self.sessions
            .get(&session)
            .map_or_else(Vec::new, |owner| self.blockers(table, *owner))
    }

    pub(super) fn events(&self, table: &LockTable) -> HashMap<i32, &'static str> {
        let waits = self.waiting.values().map(|w| {
            let event = match w.key.space {
                TABLES => "relation",
                ADVISORY => "advisory",
                // Who is first for a row waits for the transaction that has it, the others for the row.
                _ if table.is_first(w.owner, &w.key) => "transactionid",
                _ => "tuple",
            };
            (w.slot.process_id(), event)
        });
        waits.collect()
    }

    /// Whether a wait leads from one to the other.
    pub(super) fn leads(&self, table: &LockTable, from: Owner, to: Owner) -> bool {
        self.path(table, from, to).is_some()
    }

    /// Who waits on the way from `start` through waits to `end`.
    fn path(&self, table: &LockTable, start: Owner, end: Owner) -> Option<Vec<Owner>> {
        let mut seen = HashSet::new();
        let mut path: Vec<(Owner, Vec<Owner>)> = Vec::new();
        path.push((start, self.blockers(table, start)));
        while let Some((_, todo)) = path.last_mut() {
            match todo.pop() {
                Some(next) if next == end => return Some(path.iter().map(|(o, _)| *o).collect()),
                Some(next) => {
                    if self.waiting.contains_key(&next) && seen.insert(next) {
                        let blockers = self.blockers(table, next);
                        path.push((next, blockers));
                    }
                }
                None => {
                    path.pop();
                }
            }
        }
        None
    }

    fn blockers(&self, table: &LockTable, owner: Owner) -> Vec<Owner> {
        let Some(waiting) = self.waiting.get(&owner) else {
            return Vec::new();
        };
        let mut blockers = table.blockers(waiting.owner, &waiting.key);
        for blocker in &mut blockers {
            if blocker.is_session()
                && let Some(transaction) = self.sessions.get(&blocker.session())
            {
                *blocker = *transaction;
            }
        }
        blockers
    }

    /// The error as PostgreSQL words it: a line for each wait of the cycle.
    fn report(&self, cycle: &[Owner], database: &Database) -> SqlError {
        let waits: Vec<&Waiting> = cycle.iter().filter_map(|o| self.waiting.get(o)).collect();
        let lines: Vec<String> = waits
            .iter()
            .enumerate()
            .map(|(i, w)| {
                let by = waits[(i + 1) % waits.len()];
                let number = |at: usize| {
                    w.key
                        .bytes
                        .get(at..at + 4)
                        .and_then(|b| b.try_into().ok())
                        .map_or(0, u32::from_be_bytes)
                };
                let what = match w.key.space {
                    TABLES => format!("{} on relation {} of database 5", w.mode.name, number(0)),
                    ADVISORY => {
                        let mode = advisory_mode(w.mode.bit);
                        let form = AdvisoryKey::from_bytes(&w.key.bytes).map_or(0, |key| key.form);
                        format!("{mode} on advisory lock [5,{},{},{form}]", number(0), number(4))
                    }
                    // Without room for a number it stays unknown.
                    _ => format!("ShareLock on transaction {}", by.slot.txid(database).ok().flatten().unwrap_or(0)),
                };
                let (waits, blocks) = (w.slot.process_id(), by.slot.process_id());
                format!("Process {waits} waits for {what}; blocked by process {blocks}.")
            })
            .collect();
        SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
            .detail(lines.join("\n"))
            .hint("See server log for query details.")
    }
}
