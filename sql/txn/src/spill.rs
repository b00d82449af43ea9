//! [`Spill`]: the writes of one large transaction that no longer fit into memory, for its own reads.
//!
//! It is a state store of its own in a temporary folder, with write numbers in the place of CSNs: a read below a limit is a read at a
//! version. It is never flushed on purpose, never synced, and goes with the transaction. What is undone after it was written stays
//! there; its numbers are listed as undone and reads step over them.
//!
//! ```text
//! value   u8 1 put | 2 delete,  u64 write number (little-endian),  row
//! ```

use crate::buffer::Value;
use bytes::Bytes;
use curia_consensus::ids::Csn;
use curia_storage::state::{ApplyBatch, Direction, KeyRange, Scan, StateOptions, StateStore};
use curia_types::{Result, SqlError, SqlState};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The writes that have left memory.
pub(crate) struct Spill {
    store: Arc<StateStore>,
    /// Dropped after the store.
    _folder: Folder,
    storages: BTreeSet<u32>,
    /// Ascending, disjoint.
    undone: Arc<Vec<Range<u64>>>,
    next_seq: u64,
}

/// A batch on its way in.
pub(crate) struct SpillBatch {
    batch: ApplyBatch,
    value: Vec<u8>,
    storages: BTreeSet<u32>,
}

/// A found write: its number and value.
type Found = (u64, Value);

impl Spill {
    /// Opens an empty one in a new folder.
    pub(crate) fn open(folder: &Path) -> Result<Spill> {
        std::fs::create_dir_all(folder).map_err(|e| {
            SqlError::new(
                SqlState::IO_ERROR,
                format!("could not create directory \"{}\": {e}", folder.display()),
            )
        })?;
        let folder = Folder(folder.to_owned());
        let store = StateStore::open(&folder.0, &options())?;
        Ok(Spill {
            store: Arc::new(store),
            _folder: folder,
            storages: BTreeSet::new(),
            undone: Arc::default(),
            next_seq: 0,
        })
    }

    /// Writes below this number are here.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(crate) fn storages(&self) -> Vec<u32> {
        self.storages.iter().copied().collect()
    }

    pub(crate) fn batch(&self) -> SpillBatch {
        SpillBatch {
            batch: ApplyBatch::new(),
            value: Vec::new(),
            storages: BTreeSet::new(),
        }
    }

    /// Takes a batch in; later ones hold writes from `next_seq` on.
    pub(crate) fn apply(&mut self, batch: SpillBatch, next_seq: u64) -> Result<()> {
        self.store.apply(batch.batch)?;
        self.storages.extend(batch.storages);
        self.next_seq = next_seq;
        Ok(())
    }

    /// Marks what was written in `from..to` as undone.
    pub(crate) fn undo(&mut self, from: u64, to: u64) {
        let to = to.min(self.next_seq);
        if from >= to {
            return;
        }
        let undone = Arc::make_mut(&mut self.undone);
        while undone.last().is_some_and(|r| r.start >= from) {
            undone.pop();
        }
        match undone.last_mut() {
            Some(last) if last.end >= from => last.end = to,
            _ => undone.push(from..to),
        }
    }

    /// The newest write of a key below `limit`.
    pub(crate) fn get(&self, storage: u32, key: &[u8], limit: u64) -> Result<Option<Found>> {
        newest(&self.store, &self.undone, storage, key, limit)
    }

    pub(crate) fn scan(&self, storage: u32, range: &KeyRange, direction: Direction, limit: u64) -> SpillScan {
        SpillScan {
            scan: limit.checked_sub(1).map(|at| self.store.scan(storage, range, Csn(at), direction)),
            store: self.store.clone(),
            undone: self.undone.clone(),
            storage,
        }
    }

    /// Every key of a storage from `start` on, with its newest write.
    pub(crate) fn scan_from(&self, storage: u32, start: &[u8]) -> impl Iterator<Item = Result<(Bytes, u64, Value)>> {
        let mut scan = self.scan(storage, &KeyRange::all().from(start), Direction::Forward, u64::MAX);
        std::iter::from_fn(move || scan.next().transpose())
    }
}

/// A spill is bounded in memory by its memory tables and cache.
fn options() -> StateOptions {
    StateOptions {
        block_cache_bytes: 8 << 20,
        memory_table_bytes: 16 << 20,
        memory_tables_bytes: 48 << 20,
        background_threads: 2,
    }
}

impl SpillBatch {
    pub(crate) fn put(&mut self, storage: u32, key: &[u8], seq: u64, value: Option<&[u8]>) -> Result<()> {
        self.value.clear();
        self.value.push(if value.is_some() { 1 } else { 2 });
        self.value.extend_from_slice(&seq.to_le_bytes());
        self.value.extend_from_slice(value.unwrap_or_default());
        self.batch.put(storage, key, Csn(seq), &self.value)?;
        self.storages.insert(storage);
        Ok(())
    }
}

/// A scan of what has left memory.
pub(crate) struct SpillScan {
    scan: Option<Scan>,
    store: Arc<StateStore>,
    undone: Arc<Vec<Range<u64>>>,
    storage: u32,
}

impl SpillScan {
    /// The next key with its newest write below the limit, deletions included.
    pub(crate) fn next(&mut self) -> Result<Option<(Bytes, u64, Value)>> {
        let Some(scan) = &mut self.scan else { return Ok(None) };
        while let Some((key, stored)) = scan.next()? {
            let (seq, value) = decode(stored)?;
            let found = match undone_at(&self.undone, seq) {
                None => Some((seq, value)),
                Some(range) => newest(&self.store, &self.undone, self.storage, key, range.start)?,
            };
            if let Some((seq, value)) = found {
                return Ok(Some((Bytes::copy_from_slice(key), seq, value)));
            }
        }
        Ok(None)
    }
}

fn newest(store: &StateStore, undone: &[Range<u64>], storage: u32, key: &[u8], mut limit: u64) -> Result<Option<Found>> {
    while let Some(at) = limit.checked_sub(1) {
        let Some(found) = store.read(storage, key, Csn(at), decode)?.transpose()? else {
            return Ok(None);
        };
        match undone_at(undone, found.0) {
            Some(range) => limit = range.start,
            None => return Ok(Some(found)),
        }
    }
    Ok(None)
}

fn undone_at(undone: &[Range<u64>], seq: u64) -> Option<&Range<u64>> {
    let at = undone.partition_point(|r| r.end <= seq);
    undone.get(at).filter(|r| r.contains(&seq))
}

fn decode(stored: &[u8]) -> Result<Found> {
    match (stored.first(), stored.get(1..9).and_then(|b| b.try_into().ok())) {
        (Some(1), Some(seq)) => Ok((u64::from_le_bytes(seq), Some(Bytes::copy_from_slice(&stored[9..])))),
        (Some(2), Some(seq)) => Ok((u64::from_le_bytes(seq), None)),
        _ => Err(SqlError::internal("unreadable row in a transaction's temporary store")),
    }
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "temporary folder stays behind; the next start removes it");
        }
    }
}
