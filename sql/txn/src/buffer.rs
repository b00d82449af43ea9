//! [`WriteBuffer`]: what a transaction has written and not committed.
//!
//! Every write has a sequence number, `seq`, counted in the transaction. A statement reads what has a lower number than its first own
//! write would have, so it sees earlier commands only; a savepoint is a number too, and undoing is forgetting all writes from it on:
//!
//! ```text
//!   seq    0   1   2 │ 3   4 │ 5   6
//!                    │       └ statement starts: reads < 5, undone to 5 when it fails or runs again
//!                    └ SAVEPOINT s: ROLLBACK TO s undoes to 3
//! ```
//!
//! A key keeps its older writes only while a savepoint or a reader could ask for them, and the journal has one entry for each key and
//! savepoint, however often the key is rewritten: it undoes all that came after it. Scans on other threads read while the statement
//! writes: they take the lock for a batch of keys at a time. Above [`Limits::memory_bytes`] everything moves to a [`Spill`].

use crate::spill::{Spill, SpillScan};
use bytes::Bytes;
use curia_storage::state::{Direction, KeyRange};
use curia_types::Result;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A buffered value: a row, or `None` for a deletion.
pub(crate) type Value = Option<Bytes>;

/// Where a walk over what has left memory stands: a storage, and the first key in it.
pub(crate) type SpillPlace = (u32, Bytes);

/// Bookkeeping that a buffered write costs beyond its key and row, about.
const OVERHEAD_BYTES: usize = 160;
/// The same of an older write that is kept, and of its undo.
const VERSION_BYTES: usize = 96;

/// A transaction's uncommitted writes, shared with its readers.
#[derive(Default)]
pub(crate) struct WriteBuffer(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    storages: BTreeMap<u32, BTreeMap<Bytes, Versions>>,
    /// What to undo, in order of time: for each mark and each key written since that mark, one entry from that mark on.
    journal: Vec<(u64, u32, Bytes)>,
    bytes: usize,
    next_seq: u64,
    spill: Option<Spill>,
}

/// The writes of one key, oldest first; `last` is the newest.
struct Versions {
    older: Vec<Version>,
    last: Version,
}

#[derive(Clone)]
struct Version {
    seq: u64,
    value: Value,
}

impl Version {
    fn row_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Bytes::len)
    }
}

impl Versions {
    fn below(&self, limit: u64) -> Option<&Version> {
        if self.last.seq < limit {
            return Some(&self.last);
        }
        self.older.iter().rev().find(|v| v.seq < limit)
    }
}

impl WriteBuffer {
    /// The number that the next write will have.
    pub(crate) fn next_seq(&self) -> u64 {
        self.0.read().next_seq
    }

    /// Writes a key. `marks` are the numbers (ascending) that somebody may undo to or reads below; `shared`: views outside the running
    /// statement exist, so that nothing older may be forgotten.
    pub(crate) fn write(&self, storage: u32, key: &[u8], value: Value, marks: &[u64], shared: bool) {
        let mut inner = self.0.write();
        let inner = &mut *inner;
        let seq = inner.next_seq;
        inner.next_seq += 1;
        let row_bytes = value.as_ref().map_or(0, Bytes::len);
        let new = Version { seq, value };
        let tree = inner.storages.entry(storage).or_default();
        let marked = |from: u64, to: u64| marks.partition_point(|&m| m <= from) < marks.partition_point(|&m| m <= to);
        let Some(versions) = tree.get_mut(key) else {
            let key = Bytes::copy_from_slice(key);
            inner.bytes += key.len() + row_bytes + OVERHEAD_BYTES;
            inner.journal.push((seq, storage, key.clone()));
            let versions = Versions {
                older: Vec::new(),
                last: new,
            };
            tree.insert(key, versions);
            return;
        };
        let old = std::mem::replace(&mut versions.last, new);
        inner.bytes += row_bytes;
        let starts = marked(old.seq, seq);
        if starts || shared {
            while let Some(idle) = versions.older.pop_if(|v| !shared && !marked(v.seq, old.seq)) {
                inner.bytes = inner.bytes.saturating_sub(idle.row_bytes() + VERSION_BYTES);
            }
            versions.older.push(old);
            inner.bytes += VERSION_BYTES;
        } else {
            inner.bytes = inner.bytes.saturating_sub(old.row_bytes());
        }
        if starts && let Some((key, _)) = tree.get_key_value(key) {
            inner.journal.push((seq, storage, key.clone()));
        }
    }

    /// The newest write of a key below `limit`. `Some(None)`: deleted.
    pub(crate) fn get(&self, storage: u32, key: &[u8], limit: u64) -> Result<Option<Value>> {
        let inner = self.0.read();
        if let Some(version) = inner.storages.get(&storage).and_then(|t| t.get(key)).and_then(|v| v.below(limit)) {
            return Ok(Some(version.value.clone()));
        }
        match &inner.spill {
            Some(spill) => spill.get(storage, key, limit).map(|found| found.map(|(_, value)| value)),
            None => Ok(None),
        }
    }

    /// The newest write of a key, with its number.
    pub(crate) fn latest(&self, storage: u32, key: &[u8]) -> Result<Option<(u64, Value)>> {
        let inner = self.0.read();
        if let Some(versions) = inner.storages.get(&storage).and_then(|t| t.get(key)) {
            return Ok(Some((versions.last.seq, versions.last.value.clone())));
        }
        match &inner.spill {
            Some(spill) => spill.get(storage, key, u64::MAX),
            None => Ok(None),
        }
    }

    /// Forgets every write from `mark` on.
    pub(crate) fn undo_to(&self, mark: u64) {
        let mut inner = self.0.write();
        let inner = &mut *inner;
        while let Some((_, storage, key)) = inner.journal.pop_if(|(seq, _, _)| *seq >= mark) {
            let Some(tree) = inner.storages.get_mut(&storage) else { continue };
            let Some(versions) = tree.get_mut(&key) else { continue };
            while versions.last.seq >= mark {
                let row_bytes = versions.last.row_bytes();
                match versions.older.pop() {
                    Some(older) => {
                        versions.last = older;
                        inner.bytes = inner.bytes.saturating_sub(row_bytes + VERSION_BYTES);
                    }
                    None => {
                        tree.remove(&key);
                        inner.bytes = inner.bytes.saturating_sub(key.len() + row_bytes + OVERHEAD_BYTES);
                        break;
                    }
                }
            }
        }
        let next_seq = inner.next_seq;
        if let Some(spill) = &mut inner.spill {
            spill.undo(mark, next_seq);
        }
    }

    /// Lets go of the means to undo to `from` or later marks, as nobody can ask for them any more: what was written since is undone
    /// together with what was written from the mark before, `into`. `shared` as in [`WriteBuffer::write`].
    pub(crate) fn merge_undo(&self, from: u64, into: u64, shared: bool) {
        let mut inner = self.0.write();
        let inner = &mut *inner;
        let tail = inner.journal.split_off(inner.journal.partition_point(|(seq, _, _)| *seq < from));
        for (seq, storage, key) in &tail {
            let versions = inner.storages.get(storage).and_then(|tree| tree.get(key));
            let undone_with_older = |v: &Versions| v.older.iter().any(|older| (into..*seq).contains(&older.seq));
            if versions.is_some_and(|v| !undone_with_older(v)) {
                inner.journal.push((*seq, *storage, key.clone()));
            }
        }
        if shared {
            return;
        }
        for (_, storage, key) in &tail {
            if let Some(versions) = inner.storages.get_mut(storage).and_then(|tree| tree.get_mut(key)) {
                while let Some(idle) = versions.older.pop_if(|v| v.seq >= into) {
                    inner.bytes = inner.bytes.saturating_sub(idle.row_bytes() + VERSION_BYTES);
                }
            }
        }
    }

    /// Lets go of the means to undo writes below `mark`, as nobody can ask for it any more.
    pub(crate) fn forget_undo_below(&self, mark: u64) {
        let mut inner = self.0.write();
        let keep_from = inner.journal.partition_point(|(seq, _, _)| *seq < mark);
        inner.journal.drain(..keep_from);
    }

    /// Bytes in memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.read().bytes
    }

    /// Whether nothing is written, or all is undone.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.0.read();
        inner.spill.is_none() && inner.storages.values().all(BTreeMap::is_empty)
    }

    /// Storages in which anything may be written.
    pub(crate) fn storages(&self) -> Vec<u32> {
        let inner = self.0.read();
        let spilled = inner.spill.as_ref().map(Spill::storages).unwrap_or_default();
        inner.storages.keys().copied().chain(spilled).collect()
    }

    /// Whether anything may be written into a storage.
    pub(crate) fn touches(&self, storage: u32) -> bool {
        let inner = self.0.read();
        inner.spill.is_some() || inner.storages.get(&storage).is_some_and(|t| !t.is_empty())
    }

    /// Up to `max` keys of a range in order, with the newest write of each below `limit`, from memory; and how often writes have moved
    /// out of memory, as a scan of the spill that is older than the answer misses some.
    pub(crate) fn batch(&self, storage: u32, range: &KeyRange, direction: Direction, limit: u64, max: usize) -> (Vec<(Bytes, Value)>, u64) {
        let inner = self.0.read();
        let moves = inner.spill.as_ref().map_or(0, Spill::next_seq);
        let Some(tree) = inner.storages.get(&storage) else {
            return (Vec::new(), moves);
        };
        if range.is_empty() {
            return (Vec::new(), moves);
        }
        let visible = |(key, versions): (&Bytes, &Versions)| versions.below(limit).map(|v| (key.clone(), v.value.clone()));
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = tree.range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
        let found = match direction {
            Direction::Forward => found.filter_map(visible).take(max).collect(),
            Direction::Backward => found.rev().filter_map(visible).take(max).collect(),
        };
        (found, moves)
    }

    /// A scan of what has moved out of memory.
    pub(crate) fn spilled_scan(&self, storage: u32, range: &KeyRange, direction: Direction, limit: u64) -> Option<SpillScan> {
        self.0
            .read()
            .spill
            .as_ref()
            .map(|spill| spill.scan(storage, range, direction, limit))
    }

    /// Moves everything in memory into the spill, and hands each key's newest write to `stage`, in key order.
    pub(crate) fn move_to_spill(
        &self,
        open: impl FnOnce() -> Result<Spill>,
        mut stage: impl FnMut(u32, &[u8], Option<&[u8]>) -> Result<()>,
    ) -> Result<std::ops::Range<u64>> {
        let mut inner = self.0.write();
        let inner = &mut *inner;
        if inner.spill.is_none() {
            inner.spill = Some(open()?);
        }
        let Some(spill) = &mut inner.spill else { return Ok(0..0) };
        let from = spill.next_seq();
        let mut batch = spill.batch();
        for (&storage, tree) in &inner.storages {
            for (key, versions) in tree {
                for version in versions.older.iter().chain([&versions.last]) {
                    batch.put(storage, key, version.seq, version.value.as_deref())?;
                }
                stage(storage, key, versions.last.value.as_deref())?;
            }
        }
        spill.apply(batch, inner.next_seq)?;
        inner.storages.clear();
        inner.journal.clear();
        inner.bytes = 0;
        Ok(from..inner.next_seq)
    }

    /// Gives each key's newest write in memory, in order of storage and key.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u32, &[u8], Option<&[u8]>) -> Result<()>) -> Result<()> {
        let inner = self.0.read();
        for (&storage, tree) in &inner.storages {
            for (key, versions) in tree {
                each(storage, key, versions.last.value.as_deref())?;
            }
        }
        Ok(())
    }

    /// Gives the newest write of each key that has moved out of memory, is not undone, has no newer write in memory, and whose number is
    /// in one of the ranges: from a place on, until about so many bytes were given. Returns the place to go on from; `None` at the end.
    pub(crate) fn piece_of_spilled(
        &self,
        ranges: &[std::ops::Range<u64>],
        from: SpillPlace,
        bytes_max: usize,
        mut each: impl FnMut(u32, &[u8], Option<&[u8]>) -> Result<()>,
    ) -> Result<Option<SpillPlace>> {
        let inner = self.0.read();
        let Some(spill) = &inner.spill else { return Ok(None) };
        let mut bytes = 0;
        let (first, mut start) = from;
        for storage in spill.storages().into_iter().filter(|s| *s >= first) {
            let memory = inner.storages.get(&storage);
            for found in spill.scan_from(storage, &std::mem::take(&mut start)) {
                let (key, seq, value) = found?;
                if bytes >= bytes_max {
                    return Ok(Some((storage, key)));
                }
                if ranges.iter().any(|r| r.contains(&seq)) && !memory.is_some_and(|t| t.contains_key(&key[..])) {
                    bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
                    each(storage, &key, value.as_deref())?;
                }
            }
        }
        Ok(None)
    }
}
