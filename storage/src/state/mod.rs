//! The state store: every version of every row, by commit sequence number, in one RocksDB.
//!
//! ```text
//!   default   storage ++ key ++ !csn  ->  row, or a zero byte for a deletion       (see version_key)
//!   deleted   CSN ++ storage ++ key, for each deletion                              (see garbage)
//!   meta      applied positions, commit timestamps, storages to drop                (see meta)
//! ```
//!
//! **No log of its own.** Writes go to memory tables only; what they hold at a crash is lost and comes back by replaying
//! the server's log from [`StateStore::flushed`]. The position that a batch moves to is written in the same atomic batch
//! as its rows, and all column families are flushed together, so a flushed position never runs ahead of its rows nor
//! behind them. Closing the store does not flush either: a test that drops it sees what a crash leaves.
//!
//! **Reads** are at a CSN and see, of each row, its newest version at or below that. The store doesn't know which CSN may
//! be read: callers read at or below the applied CSN that the driver published, and not below [`StateStore::horizon`].
//!
//! **Memory**: the block cache and the memory tables have the limits of [`StateOptions`]; indexes and filters of files
//! live in the block cache. Both start near nothing and grow with use.

mod apply;
mod garbage;
mod horizon;
mod install;
mod iterator;
mod meta;
mod owner;
mod scan;
mod snapshot;
mod tuning;
pub mod version_key;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use curia_consensus::Base;
use curia_consensus::ids::{Csn, GroupId, Timestamp};
use parking_lot::{Mutex, RwLock};
use rocksdb::{DB, properties};

use crate::error::{Result, StorageError};
use iterator::{IteratorPool, ScanPool};

pub use apply::ApplyBatch;
pub use garbage::Collected;
pub use install::{Incoming, fuzz_snapshot, seed};
pub use scan::{Direction, KeyRange, Scan};
pub use snapshot::{GroupSnapshot, Piece};
pub use tuning::StateOptions;

/// How long an answer of [`StateStore::check_room`] holds.
const ROOM_HOLDS: Duration = Duration::from_millis(50);
/// Free disk that [`StateStore::check_room`] wants beyond what is in memory: for a compaction, and for a segment of the log
/// that is prepared right after the check.
const COMPACTION_BYTES: u64 = 48 << 20;

/// The state of one server.
pub struct StateStore {
    db: Arc<DB>,
    path: PathBuf,
    pool: IteratorPool,
    scans: ScanPool,
    /// Counts writes; an iterator of a pool must show the generation that was current when the read began.
    generation: AtomicU64,
    /// What the compaction filter may go by; grows only.
    horizon: Arc<AtomicU64>,
    /// Counts the groups that were replaced.
    replacements: AtomicU64,
    /// The list of deletions is empty below this.
    settled: Mutex<Vec<u8>>,
    /// The group that each storage belongs to, as it is noted in the state.
    owners: RwLock<BTreeMap<u32, GroupId>>,
    /// When [`StateStore::check_room`] looked last, and whether there was room.
    room: Mutex<Option<(Instant, bool)>>,
}

impl StateStore {
    /// Opens or creates the store in a folder of its own.
    ///
    /// # Errors
    /// [`StorageError::State`] when another process has it open or RocksDB refuses; [`StorageError::Format`] when a
    /// different version of the format is there.
    pub fn open(path: &Path, options: &StateOptions) -> Result<StateStore> {
        let horizon = Arc::new(AtomicU64::new(0));
        let db = tuning::open(path, options, &horizon)?;
        let store = StateStore {
            db: Arc::new(db),
            path: path.to_owned(),
            pool: IteratorPool::new(),
            scans: ScanPool::default(),
            generation: AtomicU64::new(1),
            horizon,
            replacements: AtomicU64::new(0),
            settled: Mutex::new(Vec::new()),
            owners: RwLock::new(BTreeMap::new()),
            room: Mutex::new(None),
        };
        store.check_format()?;
        *store.owners.write() = store.load_owners()?;
        store.load_horizon()?;
        store.finish_installs(true)?;
        Ok(store)
    }

    /// Grows before a group's state is replaced by another server's snapshot. What was read while this stayed the same was read of one
    /// state.
    #[inline]
    pub fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::Acquire)
    }

    /// Reads the row's version at `csn`: the newest at or below it. `read` gets the row's bytes without a copy; `None`
    /// when the row did not exist then.
    pub fn read<R>(&self, storage: u32, key: &[u8], csn: Csn, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.pool.with(&self.db, self.generation.load(Ordering::Acquire), |point| {
            version_key::write(storage, key, csn, &mut point.key);
            Ok(point.seek()?.and_then(|(_, value)| version_key::live(value)).map(read))
        })
    }

    /// The row's version at `csn`, copied.
    pub fn get(&self, storage: u32, key: &[u8], csn: Csn) -> Result<Option<Vec<u8>>> {
        self.read(storage, key, csn, <[u8]>::to_vec)
    }

    /// The row's newest version of all, a deletion included, with the CSN that wrote it; `None` when no version is left.
    pub fn newest(&self, storage: u32, key: &[u8]) -> Result<Option<Newest>> {
        self.read_newest(storage, key, |csn, row| Newest {
            csn,
            row: row.map(<[u8]>::to_vec),
        })
    }

    /// As [`StateStore::newest`], without a copy: `read` gets the CSN and, unless it is a deletion, the row.
    pub fn read_newest<R>(&self, storage: u32, key: &[u8], read: impl FnOnce(Csn, Option<&[u8]>) -> R) -> Result<Option<R>> {
        self.pool.with(&self.db, self.generation.load(Ordering::Acquire), |point| {
            version_key::write(storage, key, Csn(u64::MAX), &mut point.key);
            let Some((key, value)) = point.seek()? else { return Ok(None) };
            Ok(version_key::split(key).map(|(_, csn)| read(csn, version_key::live(value))))
        })
    }

    /// The rows of a storage within a range of keys, as of `csn`.
    ///
    /// The scan is a view of its own: writes that are applied after this call are not in it, whatever their CSN.
    pub fn scan(&self, storage: u32, range: &KeyRange, csn: Csn, direction: Direction) -> Scan {
        // Bounded on both sides: what a key finds.
        if direction == Direction::Forward && !range.start.is_empty() && range.end.is_some() {
            let generation = self.generation.load(Ordering::Acquire);
            return Scan::short(&self.db, &self.scans, generation, storage, range, csn);
        }
        Scan::new(&self.db, storage, range, csn, direction)
    }

    /// Cuts a range into up to `parts` ranges of roughly equal size, in key order, for scans side by side. Fewer when the
    /// data is small: a range lies between boundaries of files.
    pub fn split(&self, storage: u32, range: &KeyRange, parts: usize) -> Result<Vec<KeyRange>> {
        scan::split(&self.db, storage, range, parts)
    }

    /// Roughly how many bytes a storage takes on disk, compressed; rows still in memory are not counted.
    pub fn approximate_bytes(&self, storage: u32) -> u64 {
        let (from, to) = KeyRange::all().bounds(storage);
        self.db
            .get_approximate_sizes(&[rocksdb::Range::new(&from, &to)])
            .first()
            .copied()
            .unwrap_or(0)
    }

    /// Writes everything in memory to files; waits for it.
    pub fn flush(&self) -> Result<()> {
        let mut options = rocksdb::FlushOptions::new();
        options.set_wait(true);
        self.db
            .flush_cfs_opt(&[self.default_family()?, self.deleted_family()?, self.meta_family()?], &options)?;
        self.pool.clear();
        self.scans.clear();
        Ok(())
    }

    /// Position up to which a group's log is applied; the log's beginning when nothing is.
    pub fn applied(&self, group: GroupId) -> Result<Base> {
        self.position(group, meta::Durability::Applied)
    }

    /// The same as of the last flush: what a restart after a crash begins from. The log keeps everything after it.
    pub fn flushed(&self, group: GroupId) -> Result<Base> {
        self.position(group, meta::Durability::Flushed)
    }

    /// The CSN up to which transactions are applied, and its commit timestamp.
    pub fn applied_csn(&self) -> Result<(Csn, Timestamp)> {
        self.commit_position(meta::Durability::Applied)
    }

    /// The same as of the last flush.
    pub fn flushed_csn(&self) -> Result<(Csn, Timestamp)> {
        self.commit_position(meta::Durability::Flushed)
    }

    /// Whether there is room to write out what is in memory, and some for a compaction. Ask before accepting work: RocksDB
    /// takes a flush that fails for want of space much worse than its caller takes being told to wait. Cheap: it looks at
    /// the disk a few times a second at most.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`]
    pub fn check_room(&self) -> Result<()> {
        let mut room = self.room.lock();
        let is_room = match *room {
            Some((looked, is_room)) if looked.elapsed() < ROOM_HOLDS => is_room,
            _ => {
                let is_room = self.free_bytes()? >= self.sizes().memory_tables_bytes + COMPACTION_BYTES;
                *room = Some((Instant::now(), is_room));
                is_room
            }
        };
        if is_room {
            Ok(())
        } else {
            Err(StorageError::NoSpace { path: self.path.clone() })
        }
    }

    /// Bytes that can still be written to the disk of the store.
    pub fn free_bytes(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.path).map_err(|e| StorageError::io("examine", &self.path, e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Where memory and disk go.
    pub fn sizes(&self) -> Sizes {
        let of = |name: &rocksdb::properties::PropName| self.db.property_int_value(name).ok().flatten().unwrap_or(0);
        let listed = self.deleted_family().ok().and_then(|family| {
            self.db
                .property_int_value_cf(family, properties::SIZE_ALL_MEM_TABLES)
                .ok()
                .flatten()
        });
        Sizes {
            memory_tables_bytes: of(properties::SIZE_ALL_MEM_TABLES) + listed.unwrap_or(0),
            block_cache_bytes: of(properties::BLOCK_CACHE_USAGE),
            table_readers_bytes: of(properties::ESTIMATE_TABLE_READERS_MEM),
            files_bytes: of(properties::TOTAL_SST_FILES_SIZE),
            pending_compaction_bytes: of(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            versions_estimate: of(properties::ESTIMATE_NUM_KEYS),
            background_errors: of(properties::BACKGROUND_ERRORS),
            writes_stopped: of(properties::IS_WRITE_STOPPED) != 0,
        }
    }

    fn default_family(&self) -> Result<&rocksdb::ColumnFamily> {
        self.family(rocksdb::DEFAULT_COLUMN_FAMILY_NAME)
    }

    fn meta_family(&self) -> Result<&rocksdb::ColumnFamily> {
        self.family(meta::FAMILY)
    }

    fn deleted_family(&self) -> Result<&rocksdb::ColumnFamily> {
        self.family(garbage::DELETED_FAMILY)
    }

    fn family(&self, name: &'static str) -> Result<&rocksdb::ColumnFamily> {
        self.db
            .cf_handle(name)
            .ok_or_else(|| StorageError::State(format!("column family {name} is missing")))
    }
}

/// A row's newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The transaction that wrote it.
    pub csn: Csn,
    /// The row; `None` when the version is a deletion.
    pub row: Option<Vec<u8>>,
}

/// Where memory and disk go; all but the last two are bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Memory tables, those being flushed and those that a reader still holds included.
    pub memory_tables_bytes: u64,
    /// Blocks, indexes and filters in the block cache.
    pub block_cache_bytes: u64,
    /// Memory of open files beside the block cache.
    pub table_readers_bytes: u64,
    /// All files, obsolete ones that are still open included.
    pub files_bytes: u64,
    /// What compaction has yet to rewrite.
    pub pending_compaction_bytes: u64,
    /// Versions stored, roughly.
    pub versions_estimate: u64,
    /// Background errors since the store was opened.
    pub background_errors: u64,
    /// Whether writes wait for flushes or compactions.
    pub writes_stopped: bool,
}
