//! [`Transaction`]: snapshot, commands, catalog changes, writes.
//!
//! - [`locking`]: its locks; [`holdings`]: what it holds until its end.
//! - [`savepoint`]: what it may undo, a statement or back to a savepoint.
//! - [`finish`]: commit and rollback.
//! - [`depends`]: building on commits that are under way.
//! - [`proof`]: when what was read may be answered; [`away`]: transactions that read elsewhere than on the consul, or in the past.
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
//! **SERIALIZABLE** is the same, and what it read must not have changed when it commits ([`crate::serial`]).
//!
//! Every future here may be dropped at any point: a wait leaves its queue, a commit under way goes on and is finished by
//! [`Database::finish_orphans`]. A statement that was dropped may have left writes behind: undo to a savepoint, or roll back.

use crate::buffer::{Value, WriteBuffer};
use crate::database::Database;
use crate::idempotency::Kept;
use crate::lock::Owner;
use crate::pending::Pending;
use crate::serial::{ReadSet, RecentCommits, Registered};
use crate::slot::SessionSlot;
use crate::stage::Stages;
use crate::tenure::Tenure;
use crate::view::{OwnWrites, ReadView, View};
use curia_catalog::{Catalog, Change, Oid, Partition, StorageId, Table};
use curia_consensus::ids::{Csn, Term};
use curia_types::{IoContext, Result, SqlError, SqlState};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

mod away;
mod depends;
mod finish;
mod holdings;
mod locking;
mod others;
mod prepare;
mod proof;
mod savepoint;

use away::Away;
pub(crate) use away::outlived;
pub use away::snapshot_too_old;
pub(crate) use away::unreadable;
use depends::Depends;
pub use finish::Committed;
pub(crate) use holdings::{Detached, Holdings};
pub use others::give_way;
use proof::Proof;
use savepoint::{Mark, Savepoint};

/// Isolation level. READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)] // SQL's own words
pub enum Isolation {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// Whether all statements read one snapshot.
    pub fn keeps_snapshot(self) -> bool {
        self != Isolation::ReadCommitted
    }
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
    /// The consul's term in which it began: it can commit in no other.
    begun: Term,
    recent: Arc<RecentCommits>,
    owner: Owner,
    /// Who is waiting when it waits for a lock, if not itself.
    waits_as: Option<Owner>,
    snapshot: Option<Csn>,
    /// How many groups of the state had been replaced when the snapshot was taken.
    replacements: u64,
    proof: Proof,
    /// Rows were answered without one.
    owes_proof: bool,
    pub(crate) depends: Depends,
    /// There in a transaction that takes no part in the consul's locks.
    away: Option<Away>,
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
    pub(crate) pending: Pending,
    /// What it did, for whoever tries it again.
    pub(crate) kept: Option<Kept>,
    /// What a SERIALIZABLE transaction that may write has read, from its snapshot on.
    serial: Option<Serial>,
}

struct Serial {
    reads: Arc<ReadSet>,
    registered: Registered,
}

impl Transaction {
    pub(crate) fn begin(db: Arc<Database>, slot: Arc<SessionSlot>, options: Options, tenure: &Tenure) -> Transaction {
        let begun = tenure.term;
        let holdings = Holdings::none(db.clone(), slot.clone(), begun);
        let owner = holdings.owner;
        Transaction {
            slot,
            options,
            holdings: Some(holdings),
            begun,
            recent: tenure.recent.clone(),
            owner,
            waits_as: None,
            snapshot: None,
            replacements: db.replication.state().replacements(),
            proof: Proof::Due,
            owes_proof: false,
            depends: Depends::default(),
            away: None,
            db,
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
            pending: Pending::default(),
            kept: None,
            serial: None,
        }
    }

    pub(crate) fn begun(&self) -> Term {
        self.begun
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
    /// Changes the isolation level. Errors: 25001 after the first statement.
    pub fn set_isolation(&mut self, isolation: Isolation) -> Result<()> {
        if self.snapshot.is_some() && isolation != self.options.isolation {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            ));
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
        if self.is_away() && !read_only {
            return Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                "cannot set transaction read-write mode: it reads a state that cannot be changed",
            ));
        }
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
    /// [`require_writable`](Transaction::require_writable) for a change of rows: those of temporary tables may change.
    pub fn require_writable_rows(&self, command: &str, table: &Table) -> Result<()> {
        match self.options.read_only && self.catalog().is_temporary(table.schema) {
            true => Ok(()),
            false => self.require_writable(command),
        }
    }
    /// READ ONLY or READ WRITE again as it was at a savepoint.
    pub fn restore_read_only(&mut self, read_only: bool) {
        self.options.read_only = read_only;
    }
    /// `txid_current()`: drawn when first asked for.
    pub fn txid(&mut self) -> Result<u64> {
        let txid = self.slot.txid(&self.db)?;
        txid.ok_or_else(|| SqlError::internal("a transaction outside of its slot"))
    }
    /// `txid_current_if_assigned()`
    pub fn assigned_txid(&self) -> Option<u64> {
        self.slot.assigned_txid()
    }

    // Statements and snapshots.

    /// Starts a command: what was written before becomes visible to it; READ COMMITTED takes a new snapshot. Call it after the tables are
    /// locked and the plan is known to be current.
    pub fn start_statement(&mut self) {
        if !self.is_away() && (self.snapshot.is_none() || self.options.isolation == Isolation::ReadCommitted) {
            self.proof = Proof::Due;
            self.replacements = self.db.replication.state().replacements();
            self.take_snapshot(None);
        }
        self.mark_statement();
    }

    /// Takes a snapshot: the newest, or one that the slot holds already.
    fn take_snapshot(&mut self, held: Option<Csn>) {
        let keeps = self.options.isolation.keeps_snapshot();
        let newest = || self.slot.take_snapshot(&self.db.snapshots, keeps, || self.db.replication.applied());
        let take = || held.unwrap_or_else(newest);
        if self.options.isolation == Isolation::Serializable && !self.options.read_only {
            let registered = self.recent.register(take);
            self.snapshot = Some(registered.snapshot);
            self.serial = Some(Serial {
                reads: Arc::default(),
                registered,
            });
        } else {
            self.snapshot = Some(take());
        }
    }

    /// Makes a snapshot of another transaction's, which the slot holds, that of this one.
    pub(crate) fn stand_on(&mut self, snapshot: Csn, replacements: u64) {
        self.replacements = replacements;
        self.take_snapshot(Some(snapshot));
    }

    /// Starts a further command within a statement on the same snapshot: what was written so far becomes visible.
    pub fn start_command(&mut self) {
        self.mark_statement();
    }

    /// The snapshot's CSN; `None` before the first statement.
    pub fn snapshot(&self) -> Option<Csn> {
        self.snapshot
    }

    /// Where reads are to be noted.
    pub(crate) fn reads(&self) -> Option<&Arc<ReadSet>> {
        self.serial.as_ref().map(|s| &s.reads)
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
            reads: self.reads(),
            replacements: self.replacements,
            until: self.snapshot_or_applied(),
        }
    }

    /// What the running statement reads, for other threads and for portals: it stays as it is when the transaction goes on.
    pub fn read_view(&self) -> ReadView {
        let csn = self.snapshot_or_applied();
        self.owned_view(csn, self.statement.seq, csn)
    }

    /// The newest committed rows and all own writes so far, whatever the isolation level: for DDL that fills indexes and checks
    /// constraints while it keeps writers out.
    pub fn newest_view(&self) -> ReadView {
        if let Some(reads) = self.reads() {
            reads.note_newest();
        }
        // Pinned while the statement's snapshot, which is not newer, is still held. Nothing of what it is for is superseded meanwhile.
        self.owned_view(self.db.replication.applied(), u64::MAX, Csn(u64::MAX))
    }

    /// What a statement that began now would read, for use on this thread while the running one's snapshot is held.
    pub fn view_of_now(&self) -> View<'_> {
        let csn = match self.options.isolation {
            Isolation::ReadCommitted => self.db.replication.applied(),
            _ => self.snapshot_or_applied(),
        };
        View {
            csn,
            own: self.buffer.as_ref().map(|b| (b, u64::MAX)),
            until: csn,
            ..self.view()
        }
    }

    fn owned_view(&self, csn: Csn, limit: u64, until: Csn) -> ReadView {
        let own = self.buffer.as_ref().map(|buffer| OwnWrites {
            buffer: buffer.clone(),
            limit: limit.min(buffer.next_seq()),
        });
        ReadView {
            state: self.db.replication.state().clone(),
            csn,
            own,
            reads: self.reads().cloned(),
            replacements: self.replacements,
            until,
            _pin: Arc::new(self.slot.pin(csn)),
        }
    }

    // Catalog.

    /// The newest published catalog with this transaction's changes.
    pub fn catalog(&self) -> Arc<Catalog> {
        if let Some(catalog) = self.away_catalog() {
            return catalog.clone();
        }
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
}

/// 40001 of a snapshot that is too old to write.
pub(crate) fn concurrent(what: &str) -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
}
