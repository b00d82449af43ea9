//! Exported snapshots: other transactions may read the state that one reads, from the moment it says so to its end (`pg_export_snapshot`, SET
//! TRANSACTION SNAPSHOT).
//!
//! ```text
//!   exporter   ──snapshot S── export ───────────────────── end
//!   importer                    import: S is held ─────────────── end      the other order: refused
//! ```
//!
//! The exporting session's slot pins the snapshot meanwhile. An importer takes it over under the slot's lock, so it is held without a gap.

use crate::database::Database;
use crate::serial::Registered;
use crate::slot::SessionSlot;
use crate::transaction::{Isolation, Transaction, outlived};
use curia_consensus::ids::Csn;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most snapshots that one transaction exports.
const EXPORTS_MAX: usize = 1_000;

/// What the transaction of a slot has exported.
#[derive(Default)]
pub(crate) struct Exports {
    any: AtomicBool,
    list: Mutex<Vec<Exported>>,
}

struct Exported {
    snapshot: Csn,
    replacements: u64,
    isolation: Isolation,
    read_only: bool,
    /// Keeps what a SERIALIZABLE transaction is validated against.
    _registered: Option<Registered>,
}

impl SessionSlot {
    /// Whether its transaction has exported a snapshot.
    pub fn has_exported(&self) -> bool {
        self.exports.any.load(Ordering::Acquire)
    }

    /// Whether another transaction may come to read what was committed up to `csn` at most.
    pub(crate) fn exports_snapshot_of(&self, csn: Csn) -> bool {
        self.has_exported() && self.exports.list.lock().iter().any(|exported| exported.snapshot <= csn)
    }

    /// The transaction has ended: nobody imports from it any more.
    pub(crate) fn end_exports(&self) {
        if self.has_exported() {
            let mut list = self.exports.list.lock();
            list.drain(..).for_each(|exported| self.unpin(exported.snapshot));
            self.exports.any.store(false, Ordering::Release);
        }
    }
}

impl Database {
    /// Lets others read the running statement's snapshot until its transaction ends, and gives the name by which they ask for it.
    ///
    /// # Errors
    /// 54000 when there are too many.
    pub fn export_snapshot(&self, slot: &Arc<SessionSlot>, isolation: Isolation, read_only: bool) -> Result<String> {
        let (Some(owner), Some(snapshot)) = (slot.transaction(), slot.running_snapshot()) else {
            return Err(SqlError::internal("a snapshot is exported outside of a transaction"));
        };
        let mut list = slot.exports.list.lock();
        if list.len() == EXPORTS_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many exported snapshots"));
        }
        slot.keep(snapshot);
        let recent = &self.tenure.load().recent;
        list.push(Exported {
            snapshot,
            replacements: self.replication.state().replacements(),
            isolation,
            read_only,
            _registered: (isolation == Isolation::Serializable).then(|| recent.register(|| snapshot)),
        });
        slot.exports.any.store(true, Ordering::Release);
        Ok(format!("{:08X}-{:08X}-{}", owner.session(), owner.number(), list.len()))
    }
}

impl Transaction {
    /// Reads the state that another transaction has exported, which runs still.
    ///
    /// # Errors
    /// 25001 after the first statement, 0A000 for a level that does not go with it, 22023 for a name that nobody has given or that is not good
    /// any more, 72000 for a snapshot that is too old.
    pub fn import_snapshot(&mut self, name: &str) -> Result<()> {
        let unsupported = |message: &str| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        if self.snapshot().is_some() || self.has_writes() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION SNAPSHOT must be called before any query",
            ));
        }
        if !self.isolation().keeps_snapshot() {
            return unsupported("a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ");
        }
        let unknown = || {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid snapshot identifier: \"{name}\""),
            )
        };
        let (session, number, at) = parts(name).ok_or_else(unknown)?;
        let runs = |slot: &Arc<SessionSlot>| slot.transaction().is_some_and(|o| (o.session(), o.number()) == (session, number));
        let exporter = self.db.snapshots.slots().into_iter().find(runs).ok_or_else(unknown)?;
        let list = exporter.exports.list.lock();
        let exported = list.get(at).filter(|_| runs(&exporter)).ok_or_else(unknown)?;
        if self.isolation() == Isolation::Serializable {
            if exported.isolation != Isolation::Serializable {
                return unsupported("a serializable transaction cannot import a snapshot from a non-serializable transaction");
            }
            if exported.read_only && !self.read_only() {
                return unsupported("a non-read-only serializable transaction cannot import a snapshot from a read-only transaction");
            }
        }
        let snapshot = exported.snapshot;
        self.slot().take_over_snapshot(snapshot);
        if snapshot < self.db.horizon() {
            self.slot().drop_snapshot();
            return Err(outlived(snapshot));
        }
        self.stand_on(snapshot, exported.replacements);
        Ok(())
    }
}

/// The parts of a name: the slot, its transaction, and which of its exports.
fn parts(name: &str) -> Option<(u32, u64, usize)> {
    let mut parts = name.split('-');
    let (session, number, count) = (parts.next()?, parts.next()?, parts.next()?);
    let parsed = (
        u32::from_str_radix(session, 16).ok()?,
        u64::from_str_radix(number, 16).ok()?,
        count.parse::<usize>().ok()?.checked_sub(1)?,
    );
    parts.next().is_none().then_some(parsed)
}
