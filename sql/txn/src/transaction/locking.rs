//! A transaction's locks: tables, names, rows and unique keys.

use super::{Transaction, concurrent, outlived};
use crate::lock::table::{Blocked, Identity, NAMES, TABLES};
use crate::lock::{Acquire, LockKey, LockStrength, LockWait, Mode, TableLock};
use curia_catalog::{Oid, StorageId};
use curia_types::{Result, SqlError, SqlState};

impl Transaction {
    /// Locks the tables of a statement, in the order given. Compare the catalog's version afterwards. Errors: 40P01, 55P03; of REPEATABLE READ
    /// transactions 40001 when a table's definition changed after the snapshot, 72000 when that is too old.
    pub async fn lock_tables(&mut self, tables: &[(Oid, TableLock)]) -> Result<()> {
        self.check_age()?;
        for &(oid, mode) in tables {
            if !(mode.is_weak() && self.slot.weak.note(self.owner, oid, mode, &self.db.strong)) {
                self.lock_table_slowly(oid, mode, LockWait::Block).await?;
            }
            if self.options.isolation.keeps_snapshot()
                && let Some(snapshot) = self.snapshot
                && self.db.changed_after(oid, snapshot)
            {
                return Err(concurrent("update").detail("The definition of a table changed after the transaction's snapshot."));
            }
        }
        Ok(())
    }

    /// 72000 when what its snapshot shows may have been collected: that outlived [`Limits::max_snapshot_age`](crate::Limits::max_snapshot_age).
    pub(crate) fn check_age(&self) -> Result<()> {
        match self.snapshot {
            Some(snapshot) if self.options.isolation.keeps_snapshot() && snapshot < self.db.horizon() => Err(outlived(snapshot)),
            _ => Ok(()),
        }
    }

    /// Locks one table (LOCK TABLE, DDL). Errors: 40P01; 55P03 with `LockWait::NoWait` or on `lock_timeout`.
    pub async fn lock_table(&mut self, oid: Oid, mode: TableLock, wait: LockWait) -> Result<()> {
        if mode.is_weak() && self.slot.weak.note(self.owner, oid, mode, &self.db.strong) {
            return Ok(());
        }
        self.lock_table_slowly(oid, mode, wait).await
    }

    async fn lock_table_slowly(&mut self, oid: Oid, mode: TableLock, wait: LockWait) -> Result<()> {
        if !mode.is_weak()
            && let Some(holdings) = &mut self.holdings
        {
            holdings.announce(oid);
        }
        match self.lock(TABLES, &oid.to_be_bytes(), mode.into(), wait).await? {
            true => Ok(()),
            false => {
                let catalog = self.catalog();
                let name = catalog.relation_by_oid(oid).map_or("?", |(_, name, _)| name).to_owned();
                Err(SqlError::new(
                    SqlState::LOCK_NOT_AVAILABLE,
                    format!("could not obtain lock on relation \"{name}\""),
                ))
            }
        }
    }

    /// Keeps others from creating an object of this name until the end of the transaction; waits for one who does. Look the name up again
    /// afterwards. Schemas, roles and databases use namespace 0 with a name prefixed by their kind.
    pub async fn lock_name(&mut self, namespace: Oid, name: &str) -> Result<()> {
        let key = [&namespace.to_be_bytes()[..], name.as_bytes()].concat();
        self.lock(NAMES, &key, LockStrength::Update.into(), LockWait::Block)
            .await
            .map(|_| ())
    }

    /// Takes a lock. False: somebody is in the way and `wait` is not [`LockWait::Block`].
    pub(crate) async fn lock(&mut self, space: u32, bytes: &[u8], mode: Mode, wait: LockWait) -> Result<bool> {
        let db = self.db.clone();
        let granted = match db.locks.acquire(self.owner, space, bytes, mode) {
            Acquire::Granted(key) => key,
            Acquire::Conflict(_) if wait != LockWait::Block => return Ok(false),
            Acquire::Conflict(blocked) => Some(self.wait_for(blocked).await?),
        };
        if let (Some(key), Some(holdings)) = (granted, &mut self.holdings) {
            holdings.keys.push((key, mode.bit));
        }
        Ok(true)
    }

    /// Waits for a lock, at most `lock_timeout`.
    pub(crate) async fn wait_for(&mut self, blocked: Blocked<'_>) -> Result<LockKey> {
        let who = Identity {
            transaction: self.waits_as.unwrap_or(self.owner),
            slot: &self.slot,
            database: &self.db,
        };
        let waiting = blocked.wait(who);
        match self.options.lock_timeout {
            None => waiting.await,
            Some(limit) => tokio::time::timeout(limit, waiting)
                .await
                .map_err(|_| SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"))?,
        }
    }

    /// Locks a row or unique key of a table's storage, unless the transaction has the table for itself. False: skipped.
    pub(crate) async fn lock_key(
        &mut self,
        table: Oid,
        storage: StorageId,
        key: &[u8],
        strength: LockStrength,
        wait: LockWait,
    ) -> Result<bool> {
        self.lock_key_as(table, storage, key, strength.into(), wait).await
    }

    /// The same in a mode that may be special.
    pub(crate) async fn lock_key_as(&mut self, table: Oid, storage: StorageId, key: &[u8], mode: Mode, wait: LockWait) -> Result<bool> {
        if self.fresh.contains(&storage) || self.escalated.contains(&table) {
            return Ok(true);
        }
        let before = self.locks_held();
        if !self.lock(storage.0, key, mode, wait).await? {
            return Ok(false);
        }
        if self.locks_held() == before {
            // Held already.
            return Ok(true);
        }
        let count = self.counts.entry(storage).or_insert(0);
        *count += 1;
        if *count > self.db.limits.row_locks && !self.is_guarded(table) {
            self.escalate(table, storage).await?;
        }
        Ok(true)
    }

    /// Whether another transaction keeps definitions of the table from changing: one that builds an index concurrently would keep waiting whom it
    /// is to let pass.
    fn is_guarded(&self, table: Oid) -> bool {
        let guards = self.db.locks.holders(&LockKey::table(table), TableLock::ShareUpdateExclusive.bit());
        guards.iter().any(|owner| *owner != self.owner)
    }

    /// Trades the row locks of a storage for one lock of the table that keeps out everybody who could ask for them.
    async fn escalate(&mut self, table: Oid, storage: StorageId) -> Result<()> {
        self.lock_table_slowly(table, TableLock::Exclusive, LockWait::Block).await?;
        self.escalated.insert(table);
        self.counts.remove(&storage);
        if let Some(holdings) = &mut self.holdings {
            // It stands for locks from before savepoints too, so it becomes the first of all.
            let whole = LockKey::table(table);
            let goes = |key: &LockKey| key.space == storage.0 || *key == whole;
            let kept = |until: usize| holdings.keys[..until].iter().filter(|(key, _)| !goes(key)).count();
            self.savepoints.iter_mut().for_each(|s| s.locks.one_for_all(kept));
            let (mine, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut holdings.keys).into_iter().partition(|(key, _)| goes(key));
            holdings.keys.push((
                whole,
                mine.iter()
                    .filter(|(key, _)| key.space != storage.0)
                    .fold(0, |all, (_, bits)| all | bits),
            ));
            holdings.keys.extend(rest);
            for (key, _) in mine.iter().filter(|(key, _)| key.space == storage.0) {
                self.db.locks.release(self.owner, key);
            }
        }
        Ok(())
    }

    /// Gives back the lock that was taken last, when it turned out to be of no use.
    pub(crate) fn unlock_newest(&mut self, storage: StorageId, before: usize) {
        if let Some(holdings) = &mut self.holdings
            && holdings.keys.len() == before + 1
            && let Some((key, bits)) = holdings.keys.pop_if(|(key, _)| key.space == storage.0)
        {
            self.db.locks.release_bits(self.owner, &key, bits);
            if let Some(count) = self.counts.get_mut(&storage) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// How many locks it holds in the lock table.
    pub fn locks_held(&self) -> usize {
        self.holdings.as_ref().map_or(0, |h| h.keys.len())
    }
}
