//! [`Transaction`]: snapshot, commands, savepoints, locks, catalog changes, commit.
//!
//! How a session runs a statement:
//!
//! ```text
//! catalog()                      bind, or find a cached plan of this catalog version
//! lock_tables(plan.tables)       may wait; afterwards, if catalog().version moved: bind again
//! start_statement()              command boundary; READ COMMITTED takes a new snapshot
//! read through view() / read_view(); write through the row operations (`rows`)
//! ```
//!
//! **READ COMMITTED** has a snapshot a statement. A statement that found its rows by scanning and then meets one that was changed since
//! its snapshot ([`crate::Locked::Changed`]) runs again: [`Transaction::restart_statement`] undoes its writes, keeps its locks and takes a
//! new snapshot. The caller does so only while no row of the statement has left the server. A statement that addresses its row by key
//! locks first and reads the newest ([`crate::Seen::Newest`]), so it never runs again.
//!
//! **REPEATABLE READ** has one snapshot, that of its first statement; the first of two updaters wins, the other gets 40001. So does a
//! statement that uses a table whose definition changed after the snapshot.
//!
//! Every future here may be dropped at any point: a wait leaves its queue, a commit under way goes on and is finished by
//! [`Database::finish_orphans`]. A statement that was dropped may have left writes behind: undo to a savepoint, or roll back.

use crate::buffer::{Value, WriteBuffer};
use crate::commit;
use crate::database::Database;
use crate::lock::table::{Identity, NAMES, TABLES};
use crate::lock::{Acquire, LockKey, LockStrength, LockWait, Mode, Owner, TableLock};
use crate::orphan::Orphan;
use crate::replication::CommitTicket;
use crate::slot::SessionSlot;
use crate::stage::Stages;
use crate::view::{OwnWrites, ReadView, View};
use curia_catalog::{Catalog, Change, Oid, Partition, StorageId};
use curia_consensus::ids::Csn;
use curia_types::{IoContext, Result, SqlError, SqlState};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Isolation level. READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)] // SQL's own words
pub enum Isolation {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// How a transaction begins.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Isolation level.
    pub isolation: Isolation,
    /// READ ONLY.
    pub read_only: bool,
    /// `lock_timeout`; `None` waits without end.
    pub lock_timeout: Option<Duration>,
    /// How values print in DETAIL; `None`: the defaults.
    pub io: Option<Arc<IoContext>>,
}

/// A transaction. Dropping it rolls it back.
pub struct Transaction {
    pub(crate) db: Arc<Database>,
    pub(crate) slot: Arc<SessionSlot>,
    pub(crate) options: Options,
    /// What it holds; `None` once a commit has taken it over.
    holdings: Option<Holdings>,
    owner: Owner,
    txid: Option<u64>,
    snapshot: Option<Csn>,
    pub(crate) buffer: Option<Arc<WriteBuffer>>,
    /// Where the running statement's own writes begin.
    statement: Mark,
    savepoints: Vec<Savepoint>,
    /// Numbers of writes that may be undone to or read below: those of the savepoints, then the statement's.
    marks: Vec<u64>,
    changes: Vec<Change>,
    /// The private catalog, with the version of the published one that it is made from.
    private: Mutex<Option<(u64, Arc<Catalog>)>>,
    /// Storages that this transaction made: nobody else can see them, so they need no locks.
    fresh: HashSet<StorageId>,
    /// Row and key locks taken, by storage.
    counts: HashMap<StorageId, usize>,
    /// Tables locked as a whole instead of row by row.
    escalated: HashSet<Oid>,
    pub(crate) stages: Stages,
}

/// A point to undo to.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    seq: u64,
    changes: usize,
}

struct Savepoint {
    name: String,
    mark: Mark,
}

/// Locks and the snapshot; given back when dropped.
pub(crate) struct Holdings {
    db: Arc<Database>,
    slot: Arc<SessionSlot>,
    owner: Owner,
    keys: Vec<LockKey>,
    /// Tables on which a strong mode was announced.
    announced: Vec<Oid>,
    /// Whether the slot still serves this transaction.
    in_slot: bool,
}

impl Drop for Holdings {
    fn drop(&mut self) {
        for key in &self.keys {
            self.db.locks.release(self.owner, key);
        }
        for &table in &self.announced {
            self.db.strong.withdraw(table);
        }
        if self.in_slot {
            self.slot.weak.release(&self.db.locks);
            self.slot.drop_snapshot();
        }
    }
}

impl Holdings {
    /// Makes the slot free for another transaction while the locks stay.
    fn leave_slot(&mut self) {
        self.keys.extend(self.slot.weak.leave(&self.db.locks));
        self.slot.drop_snapshot();
        self.in_slot = false;
    }
}

/// How a commit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The CSN; `None` when nothing was written.
    pub csn: Option<Csn>,
    /// Whether the catalog changed.
    pub catalog_changed: bool,
}

impl Transaction {
    pub(crate) fn begin(db: Arc<Database>, slot: Arc<SessionSlot>, options: Options) -> Result<Transaction> {
        if options.isolation == Isolation::Serializable {
            return Err(SqlError::unsupported("isolation level SERIALIZABLE").hint("REPEATABLE READ is snapshot isolation."));
        }
        let owner = slot.next_owner();
        let holdings = Holdings {
            db: db.clone(),
            slot: slot.clone(),
            owner,
            keys: Vec::new(),
            announced: Vec::new(),
            in_slot: true,
        };
        Ok(Transaction {
            db,
            slot,
            options,
            holdings: Some(holdings),
            owner,
            txid: None,
            snapshot: None,
            buffer: None,
            statement: Mark::default(),
            savepoints: Vec::new(),
            marks: Vec::new(),
            changes: Vec::new(),
            private: Mutex::new(None),
            fresh: HashSet::new(),
            counts: HashMap::new(),
            escalated: HashSet::new(),
            stages: Stages::default(),
        })
    }

    /// The shared root.
    pub fn database(&self) -> &Arc<Database> {
        &self.db
    }
    /// The session's slot.
    pub fn slot(&self) -> &Arc<SessionSlot> {
        &self.slot
    }
    /// Isolation level.
    pub fn isolation(&self) -> Isolation {
        self.options.isolation
    }
    /// Changes the isolation level. Errors: 25001 after the first statement, 0A000 for SERIALIZABLE.
    pub fn set_isolation(&mut self, isolation: Isolation) -> Result<()> {
        if self.snapshot.is_some() && isolation != self.options.isolation {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            ));
        }
        if isolation == Isolation::Serializable {
            return Err(SqlError::unsupported("isolation level SERIALIZABLE").hint("REPEATABLE READ is snapshot isolation."));
        }
        self.options.isolation = isolation;
        Ok(())
    }
    /// Whether it is READ ONLY.
    pub fn read_only(&self) -> bool {
        self.options.read_only
    }
    /// Makes it READ ONLY or READ WRITE. Errors: 25001 when it would become READ WRITE after the first statement.
    pub fn set_read_only(&mut self, read_only: bool) -> Result<()> {
        if self.options.read_only && !read_only && self.snapshot.is_some() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "transaction read-write mode must be set before any query",
            ));
        }
        self.options.read_only = read_only;
        Ok(())
    }
    /// Changes `lock_timeout`.
    pub fn set_lock_timeout(&mut self, timeout: Option<Duration>) {
        self.options.lock_timeout = timeout;
    }
    /// Refuses a writing command in a READ ONLY transaction (25006). `command` is the command's tag, such as `INSERT`.
    pub fn require_writable(&self, command: &str) -> Result<()> {
        match self.options.read_only {
            true => Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {command} in a read-only transaction"),
            )),
            false => Ok(()),
        }
    }
    /// `txid_current()`: drawn when first asked for.
    pub fn txid(&mut self) -> Result<u64> {
        match self.txid {
            Some(txid) => Ok(txid),
            None => {
                let txid = self.db.next_txid()?;
                self.txid = Some(txid);
                Ok(txid)
            }
        }
    }
    /// `txid_current_if_assigned()`
    pub fn assigned_txid(&self) -> Option<u64> {
        self.txid
    }

    // Statements and snapshots.

    /// Starts a command: what was written before becomes visible to it; READ COMMITTED takes a new snapshot. Call it after the tables are
    /// locked and the plan is known to be current.
    pub fn start_statement(&mut self) {
        if self.snapshot.is_none() || self.options.isolation == Isolation::ReadCommitted {
            let replication = &self.db.replication;
            self.snapshot = Some(self.slot.take_snapshot(&self.db.snapshots, || replication.applied()));
        }
        self.mark_statement();
    }

    /// Starts a further command within a statement on the same snapshot: what was written so far becomes visible.
    pub fn start_command(&mut self) {
        self.mark_statement();
    }

    fn mark_statement(&mut self) {
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

    /// The snapshot's CSN; `None` before the first statement.
    pub fn snapshot(&self) -> Option<Csn> {
        self.snapshot
    }

    fn snapshot_or_applied(&self) -> Csn {
        self.snapshot.unwrap_or_else(|| self.db.replication.applied())
    }

    /// What the running statement reads, for use on this thread.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View {
            state: self.db.replication.state(),
            csn: self.snapshot_or_applied(),
            own: self.buffer.as_ref().map(|b| (b, self.statement.seq)),
        }
    }

    /// What the running statement reads, for other threads and for portals: it stays as it is when the transaction goes on.
    pub fn read_view(&self) -> ReadView {
        self.owned_view(self.snapshot_or_applied(), self.statement.seq)
    }

    /// The newest committed rows and all own writes so far, whatever the isolation level: for DDL that fills indexes and checks
    /// constraints while it keeps writers out.
    pub fn newest_view(&self) -> ReadView {
        // Pinned while the statement's snapshot, which is not newer, is still held.
        self.owned_view(self.db.replication.applied(), u64::MAX)
    }

    fn owned_view(&self, csn: Csn, limit: u64) -> ReadView {
        let own = self.buffer.as_ref().map(|buffer| OwnWrites {
            buffer: buffer.clone(),
            limit: limit.min(buffer.next_seq()),
        });
        ReadView {
            state: self.db.replication.state().clone(),
            csn,
            own,
            _pin: Arc::new(self.slot.pin(csn)),
        }
    }

    /// The state as of an earlier CSN within the retention window, without own writes. Errors: 22023 when it is out of reach.
    pub fn past_view(&self, csn: Csn) -> Result<ReadView> {
        let pin = self.slot.pin(csn);
        if csn > self.db.replication.applied() || csn < self.db.snapshots.horizon() {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("CSN {csn} is outside of the retention window"),
            ));
        }
        Ok(ReadView {
            state: self.db.replication.state().clone(),
            csn,
            own: None,
            _pin: Arc::new(pin),
        })
    }

    // Savepoints.

    fn here(&self) -> Mark {
        Mark {
            seq: self.buffer.as_ref().map_or(0, |b| b.next_seq()),
            changes: self.changes.len(),
        }
    }

    /// SAVEPOINT. A name may repeat; the newest hides the older.
    pub fn savepoint(&mut self, name: &str) {
        self.mark_statement();
        self.savepoints.push(Savepoint {
            name: name.to_owned(),
            mark: self.statement,
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

    /// ROLLBACK TO SAVEPOINT: undoes what was written since, forgets later savepoints, keeps this one and all locks. Errors: 3B001.
    pub fn rollback_to_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        self.undo_to(self.savepoints[at].mark);
        self.savepoints.truncate(at + 1);
        self.statement = self.here();
        self.reset_marks();
        Ok(())
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
        if self.changes.len() > mark.changes {
            self.changes.truncate(mark.changes);
            *self.private.get_mut() = None;
        }
    }

    // Catalog.

    /// The newest published catalog with this transaction's changes.
    pub fn catalog(&self) -> Arc<Catalog> {
        if self.changes.is_empty() {
            return self.db.catalog();
        }
        let mut private = self.private.lock();
        if let Some((base, catalog)) = &*private
            && *base == self.db.catalog_version()
        {
            return catalog.clone();
        }
        let base = self.db.catalog();
        let mut catalog = Catalog::clone(&base);
        self.changes.iter().for_each(|c| catalog.apply(c));
        catalog.version = self.db.private_version();
        let catalog = Arc::new(catalog);
        *private = Some((base.version, catalog.clone()));
        catalog
    }

    /// Changes the catalog, for this transaction until it commits. The caller holds the locks that keep others from changing the object.
    pub fn change_catalog(&mut self, change: Change) -> Result<()> {
        self.changes.push(change);
        *self.private.get_mut() = None;
        Ok(())
    }

    /// Makes a storage for a table or index. It goes with the transaction unless that commits.
    pub fn new_storage(&mut self) -> Result<StorageId> {
        let storage = self.db.next_storage()?;
        let group = self.db.group_for(storage);
        self.change_catalog(Change::put(Partition { storage, group }))?;
        self.fresh.insert(storage);
        Ok(storage)
    }

    /// Gives up a storage at commit. Its rows stay until no snapshot can read them.
    pub fn drop_storage(&mut self, storage: StorageId) -> Result<()> {
        self.change_catalog(Change::drop(curia_catalog::Class::Partition, storage.0))
    }

    /// Whether this transaction made the storage, so that nobody else can see it.
    pub fn is_fresh(&self, storage: StorageId) -> bool {
        self.fresh.contains(&storage)
    }

    // Locks.

    /// Locks the tables of a statement, in the order given. Compare the catalog's version afterwards. Errors: 40P01, 55P03; 40001 when a
    /// table's definition changed after the snapshot of a REPEATABLE READ transaction.
    pub async fn lock_tables(&mut self, tables: &[(Oid, TableLock)]) -> Result<()> {
        for &(oid, mode) in tables {
            if !(mode.is_weak() && self.slot.weak.note(self.owner, oid, mode, &self.db.strong)) {
                self.lock_table_slowly(oid, mode, LockWait::Block).await?;
            }
            if let (Isolation::RepeatableRead, Some(snapshot)) = (self.options.isolation, self.snapshot)
                && self.db.changed_after(oid, snapshot)
            {
                return Err(concurrent("update").detail("The definition of a table changed after the transaction's snapshot."));
            }
        }
        Ok(())
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
            && !holdings.announced.contains(&oid)
        {
            holdings.announced.push(oid);
            self.db.strong.announce(oid);
            for slot in self.db.snapshots.slots() {
                slot.weak.move_to(&self.db.locks, oid);
            }
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
            Acquire::Conflict(blocked) => {
                let who = Identity {
                    process_id: self.slot.process_id(),
                    txid: self.txid()?,
                };
                let waiting = blocked.wait(who);
                match self.options.lock_timeout {
                    None => waiting.await?,
                    Some(limit) => tokio::time::timeout(limit, waiting)
                        .await
                        .map_err(|_| SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"))??,
                }
            }
        };
        if let (Some(key), Some(holdings)) = (granted, &mut self.holdings) {
            holdings.keys.push(key);
        }
        Ok(true)
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
        if self.fresh.contains(&storage) || self.escalated.contains(&table) {
            return Ok(true);
        }
        let before = self.locks_held();
        if !self.lock(storage.0, key, strength.into(), wait).await? {
            return Ok(false);
        }
        if self.locks_held() == before {
            // Held already.
            return Ok(true);
        }
        let count = self.counts.entry(storage).or_insert(0);
        *count += 1;
        if *count > self.db.limits.row_locks {
            self.escalate(table, storage).await?;
        }
        Ok(true)
    }

    /// Trades the row locks of a storage for one lock of the table that keeps out everybody who could ask for them.
    async fn escalate(&mut self, table: Oid, storage: StorageId) -> Result<()> {
        self.lock_table_slowly(table, TableLock::Exclusive, LockWait::Block).await?;
        self.escalated.insert(table);
        self.counts.remove(&storage);
        if let Some(holdings) = &mut self.holdings {
            let (mine, rest) = std::mem::take(&mut holdings.keys).into_iter().partition(|k| k.space == storage.0);
            holdings.keys = rest;
            let mine: Vec<LockKey> = mine;
            for key in &mine {
                self.db.locks.release(self.owner, key);
            }
        }
        Ok(())
    }

    /// Gives back the lock that was taken last, when it turned out to be of no use.
    pub(crate) fn unlock_newest(&mut self, storage: StorageId, before: usize) {
        if let Some(holdings) = &mut self.holdings
            && holdings.keys.len() == before + 1
            && let Some(key) = holdings.keys.pop_if(|k| k.space == storage.0)
        {
            self.db.locks.release(self.owner, &key);
            if let Some(count) = self.counts.get_mut(&storage) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// How many locks it holds in the lock table.
    pub fn locks_held(&self) -> usize {
        self.holdings.as_ref().map_or(0, |h| h.keys.len())
    }

    // Writes.

    /// Buffers a write of the running statement.
    pub(crate) fn put(&mut self, storage: StorageId, key: &[u8], value: Value) {
        let buffer = match &self.buffer {
            Some(buffer) => buffer,
            None => {
                let buffer = self.buffer.insert(Arc::default());
                self.marks.clear();
                self.marks.extend(self.savepoints.iter().map(|s| s.mark.seq));
                self.marks.push(self.statement.seq);
                buffer
            }
        };
        let shared = Arc::strong_count(buffer) > 1;
        buffer.write(storage.0, key, value, &self.marks, shared);
    }

    /// Whether the running statement wrote this key already.
    pub fn written_by_statement(&self, storage: StorageId, key: &[u8]) -> Result<bool> {
        match &self.buffer {
            None => Ok(false),
            Some(buffer) => Ok(buffer.latest(storage.0, key)?.is_some_and(|(seq, _)| seq >= self.statement.seq)),
        }
    }

    pub(crate) fn statement_seq(&self) -> u64 {
        self.statement.seq
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether it has written rows or changed the catalog.
    pub fn has_writes(&self) -> bool {
        !self.changes.is_empty() || self.buffer.as_ref().is_some_and(|b| !b.is_empty())
    }

    // The end.

    /// Commits: returns once the writes are durable and applied. With nothing written it costs nothing. On an error nothing of the
    /// transaction happened, except 08007, which says that nobody knows.
    pub async fn commit(mut self) -> Result<Committed> {
        if self.slot.sequences.has_unconfirmed() {
            for ticket in self.db.sequences.confirm(&*self.db.replication, &self.slot.sequences)? {
                ticket.await?;
            }
        }
        if !self.has_writes() {
            return Ok(Committed {
                csn: None,
                catalog_changed: false,
            });
        }
        let catalog = self.catalog();
        let writes = commit::write_set(&mut self, &catalog).await?;
        if writes.fragments.is_empty() {
            // All that had left memory was undone.
            return Ok(Committed {
                csn: None,
                catalog_changed: false,
            });
        }
        let (Some(holdings), changes) = (self.holdings.take(), std::mem::take(&mut self.changes)) else {
            return Err(SqlError::internal("a transaction was committed twice"));
        };
        // The buffer goes before the wait: its rows are in the write set now.
        self.buffer = None;
        let forgotten = commit::dropped_sequences(&changes, &self.db.catalog());
        let under_way = UnderWay {
            inner: Some((self.db.replication.commit(writes), changes, holdings)),
        };
        let outcome = under_way.await;
        if outcome.is_err() {
            self.forget_fresh();
        }
        let csn = outcome?;
        forgotten.into_iter().for_each(|s| self.db.sequences.forget(s));
        Ok(csn)
    }

    /// Rolls back. The same as dropping it.
    pub fn rollback(self) {}

    /// Nobody will ever know the storages that it made.
    fn forget_fresh(&mut self) {
        if !self.fresh.is_empty() {
            let fresh = std::mem::take(&mut self.fresh);
            fresh.iter().for_each(|s| self.db.sequences.forget(*s));
            self.db.forget_row_ids(fresh);
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Locks that are still its own: it was never handed over.
        if self.holdings.is_some() {
            self.forget_fresh();
        }
    }
}

/// A commit that was handed over. Dropped before its end, it becomes an orphan.
struct UnderWay {
    inner: Option<(CommitTicket, Vec<Change>, Holdings)>,
}

impl std::future::Future for UnderWay {
    type Output = Result<Committed>;
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        let Some((ticket, _, _)) = &mut self.inner else {
            return std::task::Poll::Ready(Err(SqlError::internal("a finished commit was awaited again")));
        };
        let outcome = std::task::ready!(std::pin::Pin::new(ticket).poll(cx));
        let Some((_, changes, holdings)) = self.inner.take() else {
            return std::task::Poll::Ready(Err(SqlError::internal("a finished commit was awaited again")));
        };
        let outcome = outcome.map(|csn| {
            holdings.db.publish(&changes, csn);
            Committed {
                csn: Some(csn),
                catalog_changed: !changes.is_empty(),
            }
        });
        drop(holdings); // only now: who waits for the locks finds the changes published
        std::task::Poll::Ready(outcome)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((ticket, changes, mut holdings)) = self.inner.take() {
            holdings.leave_slot();
            let db = holdings.db.clone();
            db.orphans.push(Orphan { ticket, changes, holdings });
        }
    }
}

/// 40001 of a snapshot that is too old to write.
pub(crate) fn concurrent(what: &str) -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
}
