//! Letting go of versions that no reader can reach.
//!
//! The *horizon* is a CSN below which nobody reads: at or above it, of each row only the newest version at or below the
//! horizon and the versions above the horizon can be seen.
//!
//! ```text
//!   a!9 a!7 │ a!4 a!2 a!1      horizon 5: a!2 and a!1 are superseded
//!   b!8     │ b!3=deleted b!2  b!2 is superseded; then b!3 hides nothing and goes too, but never before b!2
//! ```
//!
//! Two workers share this:
//!
//! * The *compaction filter* drops superseded values as compactions meet them. It sees only the files of one compaction,
//!   so it can know that something newer exists, but never that nothing older does: it leaves every deletion alone.
//! * The *pass* settles deletions in the order of their CSNs: it removes each that the horizon has reached, together with
//!   everything older of its row, in one atomic write. It reads the row's versions from all files and memory tables, so it
//!   has the proof. To find deletions it reads no rows: each is listed when it is applied (column family `deleted`,
//!   `CSN ++ storage ++ key`), so a pass costs what it collects, and nothing while the horizon stays below the next one.
//!
//! Both only ever remove exact versions, so rows written meanwhile, which are newer, are untouched. What they removed from
//! memory tables may come back after a crash, its place in the list too, and goes again.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use curia_consensus::ids::Csn;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::{CompactionDecision, ReadOptions, WriteBatch};

use super::iterator::OwnedIterator;
use super::scan::KeyRange;
use super::{StateStore, meta, version_key};
use crate::error::Result;

/// Makes a filter for each compaction, with the horizon of that moment.
pub(super) struct SupersededFactory {
    horizon: Arc<AtomicU64>,
}

impl SupersededFactory {
    pub(super) fn new(horizon: Arc<AtomicU64>) -> SupersededFactory {
        SupersededFactory { horizon }
    }
}

impl CompactionFilterFactory for SupersededFactory {
    type Filter = Superseded;

    fn create(&mut self, _context: CompactionFilterContext) -> Superseded {
        Superseded {
            horizon: Csn(self.horizon.load(Ordering::Acquire)),
            row: Vec::new(),
            reached: false,
        }
    }

    fn name(&self) -> &CStr {
        c"curia.superseded.1"
    }
}

/// Drops values that a newer version at or below the horizon supersedes. Sees keys in order.
pub(super) struct Superseded {
    horizon: Csn,
    /// The row of the version seen last.
    row: Vec<u8>,
    /// Whether a version of that row at or below the horizon was seen.
    reached: bool,
}

impl CompactionFilter for Superseded {
    fn filter(&mut self, _level: u32, key: &[u8], value: &[u8]) -> CompactionDecision {
        let Some((row, csn)) = version_key::split(key) else {
            return CompactionDecision::Keep;
        };
        if row != self.row.as_slice() {
            self.row.clear();
            self.row.extend_from_slice(row);
            self.reached = false;
        }
        if self.reached {
            // A deletion stays: in files that this compaction doesn't read there may be something older that it hides.
            return if version_key::live(value).is_some() {
                CompactionDecision::Remove
            } else {
                CompactionDecision::Keep
            };
        }
        self.reached = csn <= self.horizon;
        CompactionDecision::Keep
    }

    fn name(&self) -> &CStr {
        c"curia.superseded.1"
    }
}

/// The column family that lists deletions. Keys: u64 CSN, u32 storage (both big-endian), the row's key; values are empty.
pub(super) const DELETED_FAMILY: &str = "deleted";

/// Writes a place in the list of deletions.
pub(super) fn write_listed(csn: Csn, storage: u32, key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&csn.0.to_be_bytes());
    out.extend_from_slice(&storage.to_be_bytes());
    out.extend_from_slice(key);
}

fn split_listed(listed: &[u8]) -> Option<(Csn, u32, &[u8])> {
    let (csn, rest) = listed.split_first_chunk()?;
    let (storage, key) = rest.split_first_chunk()?;
    Some((Csn(u64::from_be_bytes(*csn)), u32::from_be_bytes(*storage), key))
}

/// What a call of [`StateStore::collect_garbage`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Listed deletions and versions read by the pass.
    pub examined: u64,
    /// Versions removed by the pass.
    pub removed: u64,
    /// Storages whose rows are gone.
    pub storages: u64,
    /// Whether there is more to do: call again soon.
    pub more: bool,
}

/// Deletions and versions that one call of the pass reads at most, a row's versions aside.
const PIECE: u64 = 50_000;
/// Versions that one atomic write of the pass removes at most, a row's versions aside.
const WRITE: usize = 4_096;

impl StateStore {
    /// Nobody may read below this any more.
    pub fn horizon(&self) -> Csn {
        Csn(self.horizon.load(Ordering::Acquire))
    }

    /// Raises the horizon, and does a bounded piece of the work: call it now and then, from any thread, one at a time.
    ///
    /// The caller promises that nobody reads below `horizon` any more, ever. A lower horizon than before is ignored.
    pub fn collect_garbage(&self, horizon: Csn) -> Result<Collected> {
        let horizon = self.raise_horizon(horizon)?;
        // Idle iterators hold memory tables and files that are otherwise done with.
        self.pool.clear();
        self.scans.clear();
        let mut collected = Collected::default();
        for (storage, csn) in self.dropped()? {
            if csn <= horizon {
                self.drop_storage(storage)?;
                collected.storages += 1;
            }
        }
        let more_times = self.forget_times(horizon)?;
        self.settle_deletions(horizon, &mut collected)?;
        collected.more |= more_times;
        Ok(collected)
    }

    /// Removes every row of a storage at once, without asking who reads it: for storages that no catalog version ever
    /// published, such as an index whose creation was rolled back. Later writes to the same id are not affected, but ids
    /// are not meant to be used again.
    pub fn drop_storage(&self, storage: u32) -> Result<()> {
        let (from, to) = KeyRange::all().bounds(storage);
        // Not while a snapshot of its group takes its place.
        let _settled = self.settled.lock();
        // Whole files go at once and cheaply; the range deletion takes care of the edges.
        self.db.delete_file_in_range(&from, &to)?;
        let mut batch = WriteBatch::new();
        batch.delete_range(&from, &to);
        batch.delete_cf(self.meta_family()?, meta::drop_key(storage));
        batch.delete_cf(self.meta_family()?, meta::owner_key(storage));
        self.write(batch)?;
        self.owners.write().remove(&storage);
        Ok(())
    }

    /// Rewrites all files, dropping superseded values everywhere. Takes as long as the data is large.
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        self.db.compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        self.db
            .compact_range_cf_opt(self.deleted_family()?, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// Commit timestamps below the horizon serve no read, except the newest of them. Tells whether some are left for the next call.
    fn forget_times(&self, horizon: Csn) -> Result<bool> {
        let Some((keep, _)) = self.commit_timestamp(horizon)? else {
            return Ok(false);
        };
        let mut iterator = self.db.raw_iterator_cf(self.meta_family()?);
        iterator.seek(meta::time_key(Csn::ZERO));
        iterator.status()?;
        let end = meta::time_key(keep);
        let mut batch = WriteBatch::new();
        let mut more = false;
        while let Some(key) = iterator.key().filter(|key| *key < end.as_slice()) {
            if batch.len() >= WRITE {
                more = true;
                break;
            }
            batch.delete_cf(self.meta_family()?, key);
            iterator.next();
        }
        if !batch.is_empty() {
            self.write(batch)?;
        }
        Ok(more)
    }

    /// Removes deletions that the horizon has reached, oldest first, each with everything older of its row.
    fn settle_deletions(&self, horizon: Csn, collected: &mut Collected) -> Result<()> {
        // Deletions are applied above the horizon, so nothing is listed below what was settled, ever again.
        let mut settled = self.settled.lock();
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(settled.clone());
        if let Some(above) = horizon.0.checked_add(1) {
            options.set_iterate_upper_bound(above.to_be_bytes());
        }
        options.fill_cache(false);
        let family = self.deleted_family()?;
        let mut listed = self.db.raw_iterator_cf_opt(family, options);
        listed.seek_to_first();
        if !listed.valid() {
            return Ok(listed.status()?);
        }
        let mut versions = self.row_iterator();
        let mut batch = WriteBatch::new();
        let mut from = Vec::new();
        while let Some(entry) = listed.key() {
            if from.is_empty() {
                from.extend_from_slice(entry);
            }
            if collected.examined >= PIECE {
                collected.more = true;
                break;
            }
            collected.examined += 1;
            if let Some((csn, storage, key)) = split_listed(entry) {
                collected.examined += remove_through(&mut versions, storage, key, csn, &mut batch)?;
            }
            let done = [entry, &[0]].concat();
            listed.next();
            if batch.len() >= WRITE || !listed.valid() || collected.examined >= PIECE {
                collected.removed += batch.len() as u64;
                batch.delete_range_cf(family, from.as_slice(), done.as_slice());
                self.write(std::mem::take(&mut batch))?;
                from.clear();
                *settled = done;
            }
        }
        Ok(listed.status()?)
    }

    /// An iterator that is to be sought to rows.
    fn row_iterator(&self) -> OwnedIterator {
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        options.set_auto_readahead_size(false);
        options.fill_cache(false);
        OwnedIterator::new(self.db.clone(), options)
    }

    /// The last key of a storage of which any version is left, deletions included; costs one seek.
    pub fn last_key(&self, storage: u32) -> Result<Option<Vec<u8>>> {
        let (from, to) = KeyRange::all().bounds(storage);
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        let mut iterator = self.db.raw_iterator_opt(options);
        iterator.seek_to_last();
        iterator.status()?;
        let prefix = iterator.key().and_then(version_key::split).map(|(prefix, _)| prefix);
        Ok(prefix.map(|prefix| prefix[version_key::STORAGE_BYTES..].to_vec()))
    }
}

/// Removes a row's deletion of this CSN and all older versions, unless a later write of the same transaction replaced the
/// deletion. Tells how many versions it read. The caller writes the batch as a whole: a deletion never goes before what
/// it hides.
fn remove_through(versions: &mut OwnedIterator, storage: u32, key: &[u8], csn: Csn, batch: &mut WriteBatch) -> Result<u64> {
    let mut target = Vec::with_capacity(key.len() + 12);
    version_key::write(storage, key, csn, &mut target);
    let row = version_key::prefix(&target);
    let raw = versions.raw();
    raw.seek(&target);
    let is_deleted = raw
        .item()
        .is_some_and(|(found, value)| found == target && version_key::live(value).is_none());
    let mut read = 1;
    if is_deleted {
        while let Some(version) = raw.key().filter(|version| version_key::prefix(version) == row) {
            batch.delete(version);
            read += 1;
            raw.next();
        }
    }
    raw.status()?;
    Ok(read)
}
