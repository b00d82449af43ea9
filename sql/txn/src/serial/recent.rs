//! [`RecentCommits`]: what was committed lately and a SERIALIZABLE transaction may not have seen.

use super::Conflict;
use super::reads::ReadSet;
use bytes::Bytes;
use curia_catalog::StorageId;
use curia_consensus::ids::Csn;
use curia_storage::fragment::{FragmentReader, Operation};
use curia_types::Result;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of write sets that are kept for validation. Above it the oldest are known by the storages they wrote only.
const BYTES_MAX: usize = 64 << 20;
/// CSN of a commit that is under way.
const PENDING: u64 = 0;
/// CSN of a commit that did not happen.
const FAILED: u64 = u64::MAX;

/// What a transaction writes.
#[derive(Default)]
pub(crate) struct Written {
    /// Encoded fragments.
    pub(crate) payloads: Vec<Bytes>,
    /// Storages in which anything may be written.
    pub(crate) storages: BTreeSet<u32>,
}

impl Written {
    fn bytes(&self) -> usize {
        self.payloads.iter().map(Bytes::len).sum()
    }

    /// Something that was read and is written here.
    fn conflict(&self, reads: &ReadSet) -> Result<Option<Conflict>> {
        let somewhere = |storage: u32| Conflict {
            storage: StorageId(storage),
            key: None,
        };
        if let Some(storage) = self.storages.iter().find(|s| reads.touches(**s)) {
            return Ok(Some(somewhere(*storage)));
        }
        for payload in &self.payloads {
            for operation in FragmentReader::new(payload)? {
                let (storage, key) = match operation? {
                    Operation::Put { storage, key, .. } | Operation::Delete { storage, key } => (storage, key),
                    // Whoever drops a storage has its table for itself.
                    Operation::DropStorage { .. } => continue,
                };
                if let Some(key) = reads.find(storage, [key]) {
                    return Ok(Some(Conflict {
                        storage: StorageId(storage),
                        key: Some(key.to_vec()),
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Forgets which keys it were.
    fn coarsen(&mut self) {
        for payload in std::mem::take(&mut self.payloads) {
            let Ok(operations) = FragmentReader::new(&payload) else { continue };
            self.storages.extend(operations.flatten().filter_map(|o| match o {
                Operation::Put { storage, .. } | Operation::Delete { storage, .. } => Some(storage),
                Operation::DropStorage { .. } => None,
            }));
        }
    }
}

/// Commits that a running SERIALIZABLE transaction may not have in its snapshot, and all that are under way.
#[derive(Default)]
pub(crate) struct RecentCommits(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// In the order in which they were handed over, which is that of their CSNs.
    commits: VecDeque<(Arc<AtomicU64>, Written)>,
    bytes: usize,
    /// Commits at the front that know their storages only.
    coarse: usize,
    /// Snapshots of running SERIALIZABLE transactions, with their number.
    snapshots: BTreeMap<u64, u32>,
}

/// A commit under way that others can see. Dropped without an outcome, it did not happen.
pub(crate) struct Recorded(Arc<AtomicU64>);

impl Recorded {
    pub(crate) fn committed(&self, csn: Csn) {
        self.0.store(csn.0, Ordering::Release);
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = self.0.compare_exchange(PENDING, FAILED, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Keeps what was committed after a snapshot.
pub(crate) struct Registered {
    recent: Arc<RecentCommits>,
    pub(crate) snapshot: Csn,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut inner = self.recent.0.lock();
        if let Some(n) = inner.snapshots.get_mut(&self.snapshot.0) {
            *n -= 1;
            if *n == 0 {
                inner.snapshots.remove(&self.snapshot.0);
            }
        }
    }
}

impl RecentCommits {
    /// Takes a snapshot such that what is committed after it is kept until the answer is dropped.
    pub(crate) fn register(self: &Arc<Self>, take_snapshot: impl FnOnce() -> Csn) -> Registered {
        let mut inner = self.0.lock();
        let snapshot = take_snapshot();
        *inner.snapshots.entry(snapshot.0).or_insert(0) += 1;
        drop(inner);
        Registered {
            recent: self.clone(),
            snapshot,
        }
    }

    /// Hands a commit over and keeps what it writes; one of a SERIALIZABLE transaction only if nothing that it read has changed.
    ///
    /// Under one lock, so that the order here is that of the CSNs.
    pub(crate) fn hand_over<T>(
        &self,
        read: Option<(&ReadSet, Csn)>,
        written: Written,
        applied: Csn,
        hand_over: impl FnOnce() -> T,
    ) -> Result<std::result::Result<(T, Recorded), Conflict>> {
        if let Some((reads, _)) = read {
            reads.settle();
        }
        let mut inner = self.0.lock();
        if let Some((reads, snapshot)) = read
            && let Some(conflict) = inner.conflict(reads, snapshot)?
        {
            return Ok(Err(conflict));
        }
        let recorded = inner.push(written, applied);
        Ok(Ok((hand_over(), recorded)))
    }
}

impl Inner {
    /// Something that was read and changed after the snapshot.
    fn conflict(&self, reads: &ReadSet, snapshot: Csn) -> Result<Option<Conflict>> {
        for (csn, other) in self.commits.iter().rev() {
            match csn.load(Ordering::Acquire) {
                FAILED => continue,
                PENDING => {}
                seen if seen <= snapshot.0 => break, // and so are all before it
                _ => {}
            }
            let found = other.conflict(reads)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn push(&mut self, written: Written, applied: Csn) -> Recorded {
        let oldest = self.snapshots.keys().next().map_or(applied.0, |s| applied.0.min(*s));
        while let Some((csn, _)) = self.commits.front() {
            let csn = csn.load(Ordering::Acquire);
            if csn == PENDING || (csn != FAILED && csn > oldest) {
                break;
            }
            if let Some((_, gone)) = self.commits.pop_front() {
                self.bytes -= gone.bytes();
                self.coarse = self.coarse.saturating_sub(1);
            }
        }
        let csn = Arc::new(AtomicU64::new(PENDING));
        self.bytes += written.bytes();
        self.commits.push_back((csn.clone(), written));
        while self.bytes > BYTES_MAX
            && let Some((_, old)) = self.commits.get_mut(self.coarse)
        {
            self.bytes -= old.bytes();
            old.coarsen();
            self.coarse += 1;
        }
        Recorded(csn)
    }
}
