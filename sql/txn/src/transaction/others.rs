//! Waiting until others have ended that are there now, without standing in their way or in that of those to come (PostgreSQL's
//! `WaitForLockers`): CREATE INDEX CONCURRENTLY waits so. It looks now and then, so that nobody else pays for it.

use super::Transaction;
use crate::database::Database;
use crate::lock::table::LockKey;
use crate::lock::{Owner, TableLock};
use crate::progress::Build;
use crate::slot::SessionSlot;
use curia_catalog::Oid;
use curia_consensus::ids::Csn;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);

/// Lets other sessions of the thread go on.
pub async fn give_way() {
    tokio::task::yield_now().await;
}

impl Transaction {
    /// This transaction's waits are those of another one of the same session, which holds what others wait for.
    pub fn wait_as(&mut self, other: &Transaction) {
        self.waits_as = Some(other.owner);
    }

    /// Whether both began in one time in office.
    pub fn is_of_same_office(&self, other: &Transaction) -> bool {
        self.begun == other.begun
    }

    /// Waits until nobody of those who do now holds a lock on the table that `mode` conflicts with. Errors: 40P01, 55P03.
    pub async fn outlast_lockers(&self, table: Oid, mode: TableLock, build: &Build) -> Result<()> {
        let key = LockKey::table(table);
        self.outlast(build, |db| db.locks.holders(&key, mode.conflicts())).await
    }

    /// Waits until no transaction keeps a snapshot of before or at `csn`. Errors: 40P01, 55P03.
    pub async fn outlast_snapshots(&self, csn: Csn, build: &Build) -> Result<()> {
        let old = |slot: &Arc<SessionSlot>| slot.transaction().filter(|_| slot.keeps_snapshot_of(csn));
        let there = |db: &Database| -> Vec<Owner> { db.snapshots.slots().iter().filter_map(old).collect() };
        // Who imports such a snapshot comes later, but before its exporter has ended.
        while there(&self.db).iter().any(|owner| *owner != self.owner) {
            self.outlast(build, there).await?;
        }
        Ok(())
    }

    async fn outlast(&self, build: &Build, there: impl Fn(&Database) -> Vec<Owner>) -> Result<()> {
        let others = async {
            let mut awaited = there(&self.db);
            awaited.retain(|owner| *owner != self.owner);
            build.await_lockers(awaited.len());
            while !awaited.is_empty() {
                if awaited.iter().any(|other| self.db.locks.waits_for(*other, self.owner)) {
                    return Err(SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                        .detail("A transaction that is to end first waits for this one."));
                }
                tokio::time::sleep(LOOK).await;
                let now = there(&self.db);
                awaited.retain(|owner| now.contains(owner));
                build.lockers_left(awaited.len());
            }
            Ok(())
        };
        match self.options.lock_timeout {
            None => others.await,
            Some(limit) => tokio::time::timeout(limit, others)
                .await
                .map_err(|_| SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"))?,
        }
    }
}
