//! [`Database`]: what all sessions share on the consul.

use crate::bootstrap::CATALOG;
use crate::commit;
use crate::lock::LockTable;
use crate::lock::weak::StrongModes;
use crate::replication::Replication;
use crate::slot::{SessionSlot, Snapshots};
use crate::tenure::Tenure;
use crate::transaction::{Options, Transaction};
use crate::view::ReadView;
use arc_swap::ArcSwap;
use curia_catalog::lookup::{CURIA, FIRST_ROLE};
use curia_catalog::{Catalog, Change, Class, Object, Oid, Schema, Sequence, StorageId, Table, codec};
use curia_consensus::ids::{Csn, Term, Timestamp};
use curia_storage::fragment::FragmentWriter;
use curia_storage::state::{Direction, KeyRange};
use curia_types::{Result, SqlError, SqlState};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Limits of transactions.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Buffered writes of one transaction above which they leave memory: they go to a temporary store for own reads, and ahead into the
    /// log as stage records.
    pub memory_bytes: usize,
    /// Size of one stage record, about.
    pub stage_bytes: usize,
    /// Row and key locks that one transaction may hold on one table; above it the transaction locks the table in EXCLUSIVE mode, which
    /// waits for other writers of the table and keeps them out.
    pub row_locks: usize,
    /// Bytes that one transaction may write (54000). It is looked at whenever what it has in memory leaves that.
    pub transaction_bytes: u64,
    /// For so long the past stays readable.
    pub retention: Duration,
    /// A transaction whose snapshot has not been the newest state for longer is refused (72000) once collection goes past it; zero for none.
    pub max_snapshot_age: Duration,
    /// How many CSNs back it stays readable at least.
    pub retention_csns: u64,
    /// Idempotency keys are kept for so many commits.
    pub idempotency_csns: u64,
    /// Folder for temporary stores; emptied at start.
    pub spill_folder: PathBuf,
}

impl Limits {
    /// The defaults, with temporary stores in `spill_folder`.
    pub fn new(spill_folder: PathBuf) -> Limits {
        Limits {
            memory_bytes: 8 << 20,
            stage_bytes: 2 << 20,
            row_locks: 200_000,
            transaction_bytes: 64 << 30,
            retention: Duration::from_secs(60),
            max_snapshot_age: Duration::ZERO,
            retention_csns: 10_000,
            idempotency_csns: 1_000_000,
            spill_folder,
        }
    }
}

/// The shared root of all transactions.
pub struct Database {
    pub(crate) replication: Arc<dyn Replication>,
    pub(crate) limits: Limits,
    pub(crate) locks: LockTable,
    pub(crate) strong: StrongModes,
    pub(crate) snapshots: Snapshots,
    pub(crate) tenure: ArcSwap<Tenure>,
    catalog: ArcSwap<Catalog>,
    /// The published catalog has at least what the state had at this CSN.
    followed: AtomicU64,
    /// A catalog of the past, with the CSN at which it was read.
    past: Mutex<Option<(Csn, Arc<Catalog>)>>,
    /// Orders publications, and with them the beginnings of tenures.
    pub(crate) publishing: Mutex<()>,
    private_versions: AtomicU64,
    /// When each table that was changed after the horizon was changed last.
    changed: Mutex<HashMap<Oid, Csn>>,
    spills: AtomicU64,
    pub(crate) builds: crate::progress::Builds,
    /// Commits under way whose sessions went away.
    pub(crate) orphans: crate::orphan::Orphans,
    /// Numbers of transactions whose commit may have been handed over: no more than sessions and orphans.
    pub(crate) undecided: Mutex<BTreeSet<u64>>,
}

impl Database {
    /// Opens the database. Where this server is consul, makes its first objects when it is fresh; elsewhere [`Database::take_office`] does
    /// once it is.
    pub async fn open(replication: Arc<dyn Replication>, limits: Limits) -> Result<Arc<Database>> {
        match std::fs::remove_dir_all(&limits.spill_folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(SqlError::new(
                    SqlState::IO_ERROR,
                    format!("could not empty directory \"{}\": {e}", limits.spill_folder.display()),
                ));
            }
            _ => {}
        }
        let read_at = replication.applied();
        let catalog = load(&*replication, read_at)?;
        let horizon = replication.state().horizon();
        // After a crash the state may be behind the horizon, and the catalog in it not whole, until the log has caught up.
        let followed = if read_at < horizon { 0 } else { read_at.0 };
        let snapshots = Snapshots::new(horizon);
        let database = Arc::new(Database {
            tenure: ArcSwap::from_pointee(Tenure::new(&*replication, Term::ZERO)?),
            replication,
            limits,
            locks: LockTable::new(),
            strong: StrongModes::new(),
            snapshots,
            catalog: ArcSwap::from_pointee(catalog),
            followed: AtomicU64::new(followed),
            past: Mutex::default(),
            publishing: Mutex::new(()),
            private_versions: AtomicU64::new(1),
            changed: Mutex::default(),
            spills: AtomicU64::new(0),
            builds: crate::progress::Builds::default(),
            orphans: crate::orphan::Orphans::default(),
            undecided: Mutex::default(),
        });
        database.take_office().await?;
        Ok(database)
    }

    /// A slot for a session; `process_id` is what `pg_backend_pid()` says. The session keeps it and begins its transactions in it, one
    /// after the other.
    pub fn session(&self, process_id: i32) -> Arc<SessionSlot> {
        self.snapshots.register(process_id)
    }

    /// Begins a transaction. Costs no I/O; takes no snapshot yet.
    pub fn begin(self: &Arc<Self>, slot: &Arc<SessionSlot>, options: Options) -> Transaction {
        // Where the office is another's by now, it can't commit.
        let tenure = self.tenure.load();
        Transaction::begin(self.clone(), slot.clone(), options, &tenure)
    }

    /// A view for expressions that stand alone: what is applied now, without a transaction's own writes.
    pub fn view_of(&self, slot: &Arc<SessionSlot>) -> ReadView {
        let csn = self.replication.applied();
        ReadView {
            state: self.replication.state().clone(),
            csn,
            own: None,
            reads: None,
            replacements: self.replication.state().replacements(),
            until: csn,
            _pin: Arc::new(slot.pin(csn)),
        }
    }

    /// The published catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The version of the published catalog, without touching its reference count.
    pub fn catalog_version(&self) -> u64 {
        self.catalog.load().version
    }

    /// The cluster.
    pub fn replication(&self) -> &Arc<dyn Replication> {
        &self.replication
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Draws an OID.
    pub fn next_oid(&self) -> Result<Oid> {
        narrow(self.tenure.load().oids.take(&*self.replication)?)
    }

    /// Draws a storage id.
    pub(crate) fn next_storage(&self) -> Result<StorageId> {
        narrow(self.tenure.load().storages.take(&*self.replication)?).map(StorageId)
    }

    /// Draws a transaction id.
    pub(crate) fn next_txid(&self) -> Result<u64> {
        self.tenure.load().txids.take(&*self.replication)
    }

    /// Draws a hidden row id of a storage.
    pub(crate) fn next_row_id(&self, storage: StorageId) -> Result<i64> {
        let counter = {
            let tenure = self.tenure.load();
            let mut map = tenure.row_ids.lock();
            match map.get(&storage) {
                Some(counter) => counter.clone(),
                None => {
                    let counter = Arc::new(AtomicI64::new(self.highest_row_id(storage)? + 1));
                    map.insert(storage, counter.clone());
                    counter
                }
            }
        };
        Ok(counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Whatever was given before this start and is not in the state may be given again: nothing refers to it. Deleted rows count as
    /// being there, as stepping over them takes long when there are many.
    pub(crate) fn highest_row_id(&self, storage: StorageId) -> Result<i64> {
        match self.replication.state().last_key(storage.0)? {
            Some(key) => crate::row_id::decode_row_id(&key),
            None => Ok(0),
        }
    }

    /// Forgets the row ids of storages that are not there any more, or never came to be.
    pub(crate) fn forget_row_ids(&self, storages: impl IntoIterator<Item = StorageId>) {
        let tenure = self.tenure.load();
        let mut row_ids = tenure.row_ids.lock();
        for storage in storages {
            row_ids.remove(&storage);
        }
    }

    /// `txid_current()`: of the running transaction, or one of its own for a statement outside of any.
    pub fn txid_current(&self, slot: &SessionSlot) -> Result<u64> {
        match slot.txid(self)? {
            Some(txid) => Ok(txid),
            None => self.next_txid(),
        }
    }

    /// A transaction is run again by itself after 40001.
    pub fn count_retry(&self) {
        metrics::counter!("curia_transaction_retries_total").increment(1);
    }

    /// `txid_current_if_assigned()`
    pub fn txid_if_assigned(&self, slot: &SessionSlot) -> Option<u64> {
        slot.assigned_txid()
    }

    /// `nextval`. Waits for nothing.
    pub fn nextval(&self, slot: &SessionSlot, sequence: &Sequence) -> Result<i64> {
        self.tenure.load().sequences.next(&*self.replication, &slot.sequences, sequence)
    }

    /// `setval`. Not transactional, as in PostgreSQL.
    pub fn setval(&self, slot: &SessionSlot, sequence: &Sequence, value: i64, is_called: bool) -> Result<()> {
        self.tenure
            .load()
            .sequences
            .set(&*self.replication, &slot.sequences, sequence, value, is_called)
    }

    /// `currval`
    pub fn currval(&self, slot: &SessionSlot, sequence: &Sequence) -> Result<i64> {
        slot.sequences.current(sequence)
    }

    /// `lastval`
    pub fn lastval(&self, slot: &SessionSlot) -> Result<i64> {
        slot.sequences.last()
    }

    /// (`last_value`, `is_called`) of a sequence.
    pub fn sequence_value(&self, sequence: &Sequence) -> Result<(i64, bool)> {
        self.tenure.load().sequences.peek(&*self.replication, sequence)
    }

    /// Sets the first value of a sequence's fresh generation.
    pub(crate) fn restart_sequence(&self, slot: &SessionSlot, sequence: &Sequence, first: i64) -> Result<()> {
        self.tenure
            .load()
            .sequences
            .restart(&*self.replication, &slot.sequences, sequence, first)
    }

    /// The value that `nextval` would give.
    pub(crate) fn upcoming_value(&self, sequence: &Sequence) -> Result<i64> {
        self.tenure.load().sequences.upcoming(&*self.replication, sequence)
    }

    /// The group that gets a new storage: they take turns.
    pub(crate) fn group_for(&self, storage: StorageId) -> u32 {
        storage.0 % self.replication.groups().max(1)
    }

    /// Makes changes visible to sessions that a transaction of this tenure committed. Those of an earlier one are in the state from which
    /// this one went on.
    pub(crate) fn publish(&self, changes: &[Change], csn: Csn, begun: Term) {
        if changes.is_empty() {
            return;
        }
        let _order = self.publishing.lock();
        if self.tenure.load().term != begun {
            return;
        }
        let before = self.catalog.load();
        let mut next = Catalog::clone(&before);
        changes.iter().for_each(|c| next.apply(c));
        next.version += 1;
        let mut changed = self.changed.lock();
        for key in changes.iter().map(Change::key).filter(|k| k.class == Class::Table) {
            if !reads_alike(before.tables.get(&key.oid), next.tables.get(&key.oid)) {
                changed.insert(key.oid, csn);
            }
        }
        drop(changed);
        self.catalog.store(Arc::new(next));
        self.forget_row_ids(commit::dropped_storages(changes));
    }

    /// Replaces the published catalog by one that was read at this CSN. The caller holds `publishing`.
    pub(crate) fn set_catalog(&self, catalog: Catalog, read_at: Csn) {
        self.catalog.store(Arc::new(catalog));
        self.followed.store(read_at.0, Ordering::Release);
    }

    /// The published catalog, and a CSN whose changes it has.
    pub(crate) fn followed(&self) -> (Csn, Arc<Catalog>) {
        let followed = Csn(self.followed.load(Ordering::Acquire));
        (followed, self.catalog.load_full())
    }

    /// The catalog as of a CSN that is applied and above the horizon.
    pub(crate) fn past_catalog(&self, csn: Csn) -> Result<Arc<Catalog>> {
        let kept = self.past.lock().clone();
        let changed = self.replication.catalog_changed();
        if let Some((read_at, catalog)) = kept
            && (changed <= read_at.min(csn) || read_at == csn)
        {
            return Ok(catalog);
        }
        let mut catalog = load(&*self.replication, csn)?;
        catalog.version = self.private_version();
        let catalog = Arc::new(catalog);
        *self.past.lock() = Some((csn, catalog.clone()));
        Ok(catalog)
    }

    /// Nothing before this CSN can be read.
    pub fn horizon(&self) -> Csn {
        self.snapshots.horizon().max(self.replication.state().horizon())
    }

    /// Whether a table's definition changed after a CSN.
    pub(crate) fn changed_after(&self, table: Oid, csn: Csn) -> bool {
        self.changed.lock().get(&table).is_some_and(|&at| at > csn)
    }

    /// The number of a private catalog version.
    pub(crate) fn private_version(&self) -> u64 {
        Catalog::PRIVATE | self.private_versions.fetch_add(1, Ordering::Relaxed)
    }

    /// A folder for one transaction's temporary store.
    pub(crate) fn spill_folder(&self) -> PathBuf {
        self.limits
            .spill_folder
            .join(self.spills.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// The oldest snapshot in use, for `pg_stat_activity.backend_xmin` and metrics.
    pub fn oldest_snapshot(&self) -> Option<Csn> {
        self.snapshots.oldest()
    }

    /// See [`Limits::max_snapshot_age`].
    pub fn max_snapshot_age(&self) -> Duration {
        self.limits.max_snapshot_age
    }

    /// For how long the oldest snapshot in use has not been the newest state: since the commit after it, or as far back as is known.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn snapshot_age(&self) -> Result<Duration> {
        let next = self.oldest_snapshot().filter(|oldest| *oldest < self.replication.applied());
        let superseded = match next {
            Some(oldest) => self
                .replication
                .state()
                .commit_timestamp(oldest.next().max(self.horizon()))?
                .filter(|(csn, _)| *csn > oldest),
            None => None,
        };
        let since = superseded.map(|(_, at)| UNIX_EPOCH + Duration::from_micros(at.0));
        Ok(since.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default())
    }

    /// The newest CSN that was so long ago; without a timestamp so old, none.
    fn current_until(&self, ago: Duration) -> Result<Csn> {
        let time = SystemTime::now().checked_sub(ago).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let micros = time.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        Ok(self.replication.state().csn_at(Timestamp(micros))?.unwrap_or(Csn::ZERO))
    }

    /// Does a bounded piece of garbage collection at the horizon that snapshots and retention allow. Blocks on the disk: call it from a
    /// thread of its own, one at a time, now and then; at once again while it says that there is more.
    pub fn collect_garbage(&self) -> Result<curia_storage::state::Collected> {
        let applied = self.replication.applied();
        let recent = match self.limits.retention.is_zero() {
            true => applied,
            false => self.current_until(self.limits.retention)?,
        };
        let respected = match self.limits.max_snapshot_age.is_zero() {
            true => Csn::ZERO,
            false => self.current_until(self.limits.max_snapshot_age)?,
        };
        let wanted = recent.min(Csn(applied.0.saturating_sub(self.limits.retention_csns)));
        let horizon = self.snapshots.advance_horizon(wanted, respected);
        // No snapshot that can be read is older, so nobody asks about changes up to there.
        self.changed.lock().retain(|_, at| *at > horizon);
        Ok(self.replication.state().collect_garbage(horizon)?)
    }

    /// Finishes commits whose sessions went away: publishes what they changed and releases their locks. Runs until dropped; the server
    /// keeps one of it running.
    pub async fn finish_orphans(self: &Arc<Self>) {
        loop {
            self.orphans.next().await.finish().await;
        }
    }
}

/// Whether a definition that replaces another is good for older snapshots too: they differ in indexes only that were or are incomplete.
/// Whoever completes one where it is has seen to it that no older snapshot is left.
fn reads_alike(old: Option<&Arc<Table>>, new: Option<&Arc<Table>>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    let unread = |table: &Table| -> HashSet<_> {
        let incomplete = table.indexes.iter().filter(|i| i.incomplete);
        incomplete.map(|i| (i.oid, i.storage)).collect()
    };
    let unread: HashSet<_> = unread(old).union(&unread(new)).copied().collect();
    let read = |table: &Table| {
        let mut table = table.clone();
        table.indexes.retain(|i| !unread.contains(&(i.oid, i.storage)));
        table
    };
    !unread.is_empty() && read(old) == read(new)
}

fn narrow(n: u64) -> Result<u32> {
    u32::try_from(n).map_err(|_| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "object identifiers are used up"))
}

/// Reads all catalog rows as of a CSN.
pub(crate) fn load(replication: &dyn Replication, csn: Csn) -> Result<Catalog> {
    let mut catalog = Catalog::empty();
    let mut scan = replication.state().scan(CATALOG.0, &KeyRange::all(), csn, Direction::Forward);
    while let Some((key, row)) = scan.next()? {
        let broken = |e: codec::DecodeError| SqlError::new(SqlState::DATA_CORRUPTED, e.to_string());
        let object: Object = codec::decode(row).map_err(broken)?;
        if codec::decode_key(key).map_err(broken)? != object.key() {
            return Err(SqlError::new(
                SqlState::DATA_CORRUPTED,
                "a catalog row stands at another object's key",
            ));
        }
        catalog.apply(&Change::Put(object));
    }
    if !catalog.schemas.is_empty() && catalog.schema("curia").is_none() {
        let name = "curia".to_owned();
        catalog.apply(&Change::put(Schema {
            oid: CURIA,
            name,
            owner: FIRST_ROLE,
        }));
    }
    Ok(catalog)
}

/// Encodes catalog changes as writes of group 0; the last change of an object counts.
pub(crate) fn write_changes(changes: &[Change], writer: &mut FragmentWriter) -> Result<()> {
    let mut last = HashMap::new();
    for change in changes {
        last.insert(change.key(), change);
    }
    let mut last: Vec<_> = last.into_iter().collect();
    last.sort_by_key(|(key, _)| *key);
    for (key, change) in last {
        let key = codec::encode_key(key);
        match change {
            Change::Put(object) => {
                let row = codec::encode(object).map_err(|e| SqlError::internal(e.to_string()))?;
                writer.put(CATALOG.0, &key, &row)?;
            }
            Change::Drop(_) => writer.delete(CATALOG.0, &key)?,
        }
    }
    Ok(())
}
