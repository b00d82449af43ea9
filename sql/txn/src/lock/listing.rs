//! Who holds and awaits what, for `pg_locks` and `pg_blocking_pids`.
//!
//! Shown as PostgreSQL shows it: table and advisory locks as they are; of row locks, which PostgreSQL keeps in the rows, only the waits,
//! each as a wait for the transaction that stands in the way; and for every transaction a lock on itself. The list is gathered shard by
//! shard, so it is no picture of one moment.

use super::mode::TableLock;
use super::table::{ADVISORY, Owner, TABLES};
use crate::advisory::AdvisoryKey;
use crate::database::Database;
use crate::slot::SessionSlot;
use curia_catalog::Oid;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

/// A row of `pg_locks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLock {
    /// What is locked.
    pub target: LockTarget,
    /// Whose lock it is.
    pub holder: VirtualTransaction,
    /// `pg_backend_pid()` of its session; `None` when that went away in the middle of a commit, and for a prepared transaction.
    pub process_id: Option<i32>,
    /// The mode's name.
    pub mode: &'static str,
    /// Held, or awaited.
    pub granted: bool,
    /// Noted in the session's slot instead of the lock table.
    pub fast_path: bool,
    /// Since when it is awaited.
    pub waits_since: Option<SystemTime>,
}

/// `pg_locks.virtualtransaction`: the session's slot, and how many transactions that had when this one began; 0 outside of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualTransaction {
    /// The slot.
    pub session: u32,
    /// The transaction in it.
    pub number: u64,
}

impl std::fmt::Display for VirtualTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.session, self.number)
    }
}

/// What a listed lock is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockTarget {
    /// A table.
    Relation(Oid),
    /// A transaction's virtual id.
    VirtualTransaction(VirtualTransaction),
    /// A transaction, by `txid_current()`; unknown when it is past its end, or has no number.
    Transaction(Option<u64>),
    /// An application's number.
    Advisory(AdvisoryKey),
}

impl Database {
    /// Every lock that `pg_locks` shows. Costs a look at every lock held.
    pub fn list_locks(&self) -> Vec<ListedLock> {
        let slots: HashMap<u32, Arc<SessionSlot>> = self.snapshots.slots().into_iter().map(|s| (s.owner().session(), s)).collect();
        let mut out = Vec::new();
        let mut waiting = HashSet::new();
        for entry in self.locks.entries() {
            let held = |owner: Owner, bits: u8, out: &mut Vec<ListedLock>, target: LockTarget, name: &dyn Fn(u8) -> &'static str| {
                for bit in (0..8).map(|n| 1u8 << n).filter(|bit| bits & bit != 0) {
                    out.push(listed(&slots, owner, target, name(bit), true));
                }
            };
            let target = match entry.space {
                TABLES => {
                    let oid = entry.bytes.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                    let target = LockTarget::Relation(oid);
                    let name = |bit: u8| TableLock::ALL[bit.trailing_zeros() as usize].name();
                    entry
                        .holders
                        .iter()
                        .for_each(|(owner, bits)| held(*owner, *bits, &mut out, target, &name));
                    target
                }
                ADVISORY => {
                    let Some(key) = AdvisoryKey::from_bytes(&entry.bytes) else {
                        continue;
                    };
                    let target = LockTarget::Advisory(key);
                    entry
                        .holders
                        .iter()
                        .for_each(|(owner, bits)| held(*owner, *bits, &mut out, target, &advisory_mode));
                    target
                }
                _ => {
                    let in_the_way = entry.holders.first().and_then(|(owner, _)| slots.get(&owner.session()));
                    // Without room for a number it stays unknown.
                    LockTarget::Transaction(in_the_way.and_then(|slot| slot.txid(self).ok().flatten()))
                }
            };
            for waiter in &entry.waiters {
                waiting.insert(waiter.owner.session());
                let mode = match entry.space {
                    ADVISORY => advisory_mode(waiter.mode.bit),
                    _ => waiter.mode.name,
                };
                out.push(ListedLock {
                    waits_since: Some(waiter.since),
                    ..listed(&slots, waiter.owner, target, mode, false)
                });
            }
        }
        for slot in slots.values() {
            let Some(owner) = slot.transaction() else { continue };
            for (table, bits) in slot.weak.noted() {
                for mode in TableLock::ALL.iter().filter(|mode| bits & mode.bit() != 0) {
                    out.push(ListedLock {
                        fast_path: true,
                        ..listed(&slots, owner, LockTarget::Relation(table), mode.name(), true)
                    });
                }
            }
            let own = listed(&slots, owner, LockTarget::Transaction(None), "ExclusiveLock", true);
            let txid = match waiting.contains(&owner.session()) {
                true => slot.txid(self).ok().flatten(), // who waits has a number in PostgreSQL
                false => slot.assigned_txid(),
            };
            if let Some(txid) = txid {
                out.push(ListedLock {
                    target: LockTarget::Transaction(Some(txid)),
                    ..own.clone()
                });
            }
            out.push(ListedLock {
                target: LockTarget::VirtualTransaction(own.holder),
                fast_path: true,
                ..own
            });
        }
        out
    }

    /// What sessions that wait for a lock wait for, by `pg_backend_pid()`, in PostgreSQL's words for `pg_stat_activity.wait_event`.
    pub fn lock_waits(&self) -> HashMap<i32, &'static str> {
        self.locks.wait_events()
    }

    /// The sessions, by `pg_backend_pid()`, that keep a session waiting; 0 for a commit whose session went away, and a prepared transaction.
    pub fn blocking_sessions(&self, process_id: i32) -> Vec<i32> {
        let slots = self.snapshots.slots();
        let own = slots.iter().filter(|s| s.process_id() == process_id);
        let blockers = own.flat_map(|slot| self.locks.blockers_of_session(slot.owner().session()));
        let mut found: Vec<i32> = blockers
            .map(|owner| {
                let slot = slots.iter().find(|s| s.owner().session() == owner.session());
                slot.map_or(0, |s| s.process_id())
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn listed(slots: &HashMap<u32, Arc<SessionSlot>>, owner: Owner, target: LockTarget, mode: &'static str, granted: bool) -> ListedLock {
    let slot = slots.get(&owner.session());
    let owner = match slot {
        Some(slot) if owner.is_session() => slot.transaction().unwrap_or(owner),
        _ => owner,
    };
    ListedLock {
        target,
        holder: VirtualTransaction {
            session: owner.session(),
            number: owner.number(),
        },
        process_id: slot.map(|s| s.process_id()).filter(|process| *process != 0),
        mode,
        granted,
        fast_path: false,
        waits_since: None,
    }
}

/// Advisory locks use the bits of row locks.
pub(super) fn advisory_mode(bit: u8) -> &'static str {
    match bit == super::LockStrength::Share.bit() {
        true => "ShareLock",
        false => "ExclusiveLock",
    }
}
