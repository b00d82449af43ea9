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
//! * The *pass* reads storages that hold deletions, a bounded piece per call, and removes each deletion that nobody can
//!   see, together with everything older of its row, in one atomic write. It reads whole rows, so it has the proof.
//!
//! Both only ever remove exact versions, so rows written meanwhile, which are newer, are untouched. What they removed from
//! memory tables may come back after a crash, and goes again.

use std::collections::VecDeque;
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

/// Where the pass over deletions stands.
#[derive(Default)]
pub(super) struct Pass {
    waiting: VecDeque<u32>,
    under_way: Option<Position>,
}

struct Position {
    storage: u32,
    /// The first key to look at.
    next: Vec<u8>,
    /// Whether a deletion was left that a later horizon will let go.
    left: bool,
}

/// What a call of [`StateStore::collect_garbage`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Versions read by the pass.
    pub examined: u64,
    /// Versions removed by the pass.
    pub removed: u64,
    /// Storages whose rows are gone.
    pub storages: u64,
    /// Whether there is more to do: call again soon.
    pub more: bool,
}

/// Versions that one call of the pass reads at most, a row's versions aside.
const PIECE: u64 = 50_000;
/// Versions that one atomic write of the pass removes at most, a row's versions aside.
const WRITE: usize = 4_096;

impl StateStore {
    /// Raises the horizon, and does a bounded piece of the work: call it now and then, from any thread, one at a time.
    ///
    /// The caller promises that nobody reads below `horizon` any more, ever. A lower horizon than before is ignored.
    pub fn collect_garbage(&self, horizon: Csn) -> Result<Collected> {
        let horizon = Csn(self.horizon.fetch_max(horizon.0, Ordering::AcqRel).max(horizon.0));
        // Idle iterators hold memory tables and files that are otherwise done with.
        self.pool.clear();
        let mut collected = Collected::default();
        for (storage, csn) in self.dropped()? {
            if csn <= horizon {
                self.drop_storage(storage)?;
                collected.storages += 1;
            }
        }
        let more_times = self.forget_times(horizon)?;
        self.run_pass(horizon, &mut collected)?;
        collected.more |= more_times;
        Ok(collected)
    }

    /// Removes every row of a storage at once, without asking who reads it: for storages that no catalog version ever
    /// published, such as an index whose creation was rolled back. Later writes to the same id are not affected, but ids
    /// are not meant to be used again.
    pub fn drop_storage(&self, storage: u32) -> Result<()> {
        let (from, to) = KeyRange::all().bounds(storage);
        // Whole files go at once and cheaply; the range deletion takes care of the edges.
        self.db.delete_file_in_range(&from, &to)?;
        let mut batch = WriteBatch::new();
        batch.delete_range(&from, &to);
        let family = self.meta_family()?;
        batch.delete_cf(family, meta::drop_key(storage));
        batch.delete_cf(family, meta::mark_key(storage));
        let mut marked = self.marked.lock();
        marked.remove(&storage);
        self.write(batch)
    }

    /// Rewrites all files, dropping superseded values everywhere. Takes as long as the data is large.
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        self.db.compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
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

    fn run_pass(&self, horizon: Csn, collected: &mut Collected) -> Result<()> {
        let mut pass = self.pass.lock();
        if pass.under_way.is_none() && pass.waiting.is_empty() {
            // From here on a deletion marks its storage again.
            pass.waiting = self.marked.lock().drain().collect();
        }
        while collected.examined < PIECE {
            let position = match pass.under_way.take() {
                Some(position) => position,
                None => match pass.waiting.pop_front() {
                    Some(storage) => Position {
                        storage,
                        next: Vec::new(),
                        left: false,
                    },
                    None => break,
                },
            };
            let storage = position.storage;
            match self.pass_over(position, horizon, collected) {
                Ok(Stop::Piece(unfinished)) => pass.under_way = Some(unfinished),
                Ok(Stop::Storage { left }) => self.finish_storage(storage, left)?,
                Err(error) => {
                    self.marked.lock().insert(storage);
                    return Err(error);
                }
            }
        }
        collected.more = pass.under_way.is_some() || !pass.waiting.is_empty();
        Ok(())
    }

    fn finish_storage(&self, storage: u32, left: bool) -> Result<()> {
        // Held over the write, as apply does: a deletion applied meanwhile finds the mark or stores it after us.
        let mut marked = self.marked.lock();
        if left {
            marked.insert(storage);
        }
        if !marked.contains(&storage) {
            let mut batch = WriteBatch::new();
            batch.delete_cf(self.meta_family()?, meta::mark_key(storage));
            self.write(batch)?;
        }
        Ok(())
    }

    /// Reads on from a position.
    fn pass_over(&self, mut position: Position, horizon: Csn, collected: &mut Collected) -> Result<Stop> {
        let (from, to) = KeyRange {
            start: position.next.clone(),
            end: None,
        }
        .bounds(position.storage);
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        options.fill_cache(false);
        let mut iterator = OwnedIterator::new(self.db.clone(), options);
        iterator.raw().seek_to_first();
        let mut batch = WriteBatch::new();
        let mut row: Vec<u8> = Vec::new();
        let mut seen = Row::default();
        loop {
            let version = iterator
                .item()
                .and_then(|(key, value)| Some((key, version_key::split(key)?, value)));
            let new_row = version.is_none_or(|(_, (prefix, _), _)| prefix != row.as_slice());
            if new_row {
                seen.settle(&mut batch, &mut position.left);
            }
            if batch.len() >= WRITE {
                collected.removed += batch.len() as u64;
                self.write(std::mem::take(&mut batch))?;
            }
            let Some((key, (prefix, csn), value)) = version else { break };
            if new_row {
                if collected.examined >= PIECE {
                    position.next = prefix[version_key::STORAGE_BYTES..].to_vec();
                    collected.removed += batch.len() as u64;
                    self.write(batch)?;
                    return Ok(Stop::Piece(position));
                }
                row.clear();
                row.extend_from_slice(prefix);
            }
            collected.examined += 1;
            if seen.supersedes(key, csn, version_key::live(value).is_none(), horizon) {
                batch.delete(key);
            }
            iterator.raw().next();
        }
        iterator.raw().status()?;
        collected.removed += batch.len() as u64;
        self.write(batch)?;
        Ok(Stop::Storage { left: position.left })
    }

    /// How many storages hold deletions that the pass has not settled.
    pub fn marked_storages(&self) -> usize {
        let pass = self.pass.lock();
        self.marked.lock().len() + pass.waiting.len() + usize::from(pass.under_way.is_some())
    }
}

/// Why a piece of the pass stopped.
enum Stop {
    /// It read enough; to go on from here.
    Piece(Position),
    /// The storage's end.
    Storage {
        /// Whether deletions were left that a later horizon will let go.
        left: bool,
    },
}

/// What the pass knows of the row that it is reading, newest version first.
///
/// **Invariant**: a deletion is removed after everything older of its row, or in the same atomic write: [`Row::settle`]
/// comes after the row's last version.
#[derive(Default)]
struct Row {
    /// Whether a deletion above the horizon was seen.
    keeps_deletion: bool,
    /// Whether a version at or below the horizon was seen.
    reached: bool,
    /// That version, if it is a deletion.
    deletion: Option<Vec<u8>>,
}

impl Row {
    /// Takes note of the next version; tells whether newer ones supersede it.
    fn supersedes(&mut self, key: &[u8], csn: Csn, deletion: bool, horizon: Csn) -> bool {
        if self.reached {
            return true;
        }
        if csn > horizon {
            self.keeps_deletion |= deletion;
        } else {
            self.reached = true;
            self.deletion = deletion.then(|| key.to_vec());
        }
        false
    }

    /// The row's versions have all been seen: its deletion hides nothing any more.
    fn settle(&mut self, batch: &mut WriteBatch, left: &mut bool) {
        *left |= self.keeps_deletion;
        if let Some(key) = self.deletion.take() {
            batch.delete(key);
        }
        *self = Row::default();
    }
}
