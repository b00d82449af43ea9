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

/// Bytes of commits that are kept for validation. Of older ones it is known only in which storages something was written.
const BYTES_MAX: usize = 64 << 20;
/// Commits that are looked at before a transaction's end, after each of its statements.
const FORESEEN_MAX: usize = 128;
/// About what a commit takes beside its payloads.
const COMMIT_BYTES: usize = 256;
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
    /// Something that was read and is written here.
    fn conflict(&self, reads: &ReadSet) -> Result<Option<Conflict>> {
        if let Some(storage) = self.storages.iter().find(|s| reads.touches(**s)) {
            return Ok(Some(somewhere(*storage)));
        }
        for payload in &self.payloads {
            for operation in FragmentReader::new(payload)? {
                let Some((storage, key)) = place(&operation?) else { continue };
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

    /// Every storage in which anything may be written.
    fn all_storages(&self) -> BTreeSet<u32> {
        let readers = self.payloads.iter().filter_map(|payload| FragmentReader::new(payload).ok());
        let written = readers.flatten().flatten().filter_map(|o| place(&o).map(|(storage, _)| storage));
        written.chain(self.storages.iter().copied()).collect()
    }
}

fn somewhere(storage: u32) -> Conflict {
    Conflict {
        storage: StorageId(storage),
        key: None,
    }
}

/// Where an operation writes. Whoever drops a storage has its table for itself.
fn place<'a>(operation: &Operation<'a>) -> Option<(u32, &'a [u8])> {
    match *operation {
        Operation::Put { storage, key, .. } | Operation::Delete { storage, key } => Some((storage, key)),
        Operation::DropStorage { .. } => None,
    }
}

/// Commits that a running SERIALIZABLE transaction may not have in its snapshot, and all that are under way.
#[derive(Default)]
pub(crate) struct RecentCommits(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// In the order in which they were handed over, which is that of their CSNs.
    commits: VecDeque<Arc<Commit>>,
    /// Number of the first of `commits`.
    first: u64,
    /// About what `commits` take.
    bytes: usize,
    /// The highest CSN that wrote each storage, of commits that were let go of too early.
    coarse: BTreeMap<u32, u64>,
    /// Snapshots of running SERIALIZABLE transactions, with their number.
    snapshots: BTreeMap<u64, u32>,
}

struct Commit {
    csn: AtomicU64,
    written: Written,
    bytes: usize,
}

/// A commit under way that others can see. Dropped without an outcome, it did not happen.
pub(crate) struct Recorded(Arc<Commit>);

impl Recorded {
    pub(crate) fn committed(&self, csn: Csn) {
        self.0.csn.store(csn.0, Ordering::Release);
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = self.0.csn.compare_exchange(PENDING, FAILED, Ordering::AcqRel, Ordering::Relaxed);
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
        let checked = match read {
            None => 0,
            Some((reads, snapshot)) => match self.look(reads, snapshot)? {
                Ok(checked) => checked,
                Err(conflict) => return Ok(Err(conflict)),
            },
        };
        let mut inner = self.0.lock();
        if let Some((reads, snapshot)) = read {
            // What came since the look: little.
            for commit in inner.after(snapshot, checked) {
                if let Some(conflict) = commit.written.conflict(reads)? {
                    return Ok(Err(conflict));
                }
            }
        }
        let (recorded, gone) = inner.push(written, applied);
        let handed_over = hand_over();
        drop(inner);
        drop(gone); // freeing takes time that others need not wait for
        Ok(Ok((handed_over, recorded)))
    }

    /// Something that was read and has changed after the snapshot, for who has nothing to hand over.
    pub(crate) fn check(&self, reads: &ReadSet, snapshot: Csn) -> Result<Option<Conflict>> {
        Ok(self.look(reads, snapshot)?.err())
    }

    /// The same if there is little to look at.
    pub(crate) fn foresee(&self, reads: &ReadSet, snapshot: Csn) -> Result<Option<Conflict>> {
        let many = self.0.lock().after(snapshot, 0).nth(FORESEEN_MAX).is_some();
        if many { Ok(None) } else { self.check(reads, snapshot) }
    }

    /// Compares with what is there, without keeping others from committing. The number of the first commit that was not there.
    fn look(&self, reads: &ReadSet, snapshot: Csn) -> Result<std::result::Result<u64, Conflict>> {
        reads.settle();
        let (commits, checked) = {
            let inner = self.0.lock();
            let coarse = inner
                .coarse
                .iter()
                .find(|(storage, csn)| **csn > snapshot.0 && reads.touches(**storage));
            if let Some((storage, _)) = coarse {
                return Ok(Err(somewhere(*storage)));
            }
            let commits: Vec<_> = inner.after(snapshot, 0).cloned().collect();
            (commits, inner.first + inner.commits.len() as u64)
        };
        for commit in commits {
            if let Some(conflict) = commit.written.conflict(reads)? {
                return Ok(Err(conflict));
            }
        }
        Ok(Ok(checked))
    }
}

impl Inner {
    /// Commits from a number on that a snapshot may lack, the newest first.
    fn after(&self, snapshot: Csn, number: u64) -> impl Iterator<Item = &Arc<Commit>> {
        let from = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let commits = self.commits.range(from.min(self.commits.len())..).rev();
        commits
            // One that the snapshot has ends it: so are all before it.
            .take_while(move |c| !(1..=snapshot.0).contains(&c.csn.load(Ordering::Acquire)))
            .filter(|c| c.csn.load(Ordering::Acquire) != FAILED)
    }

    /// Adds a commit, and lets go of those that nobody needs.
    fn push(&mut self, written: Written, applied: Csn) -> (Recorded, Vec<Arc<Commit>>) {
        let mut gone = Vec::new();
        let oldest = self.snapshots.keys().next().map_or(applied.0, |s| applied.0.min(*s));
        self.coarse.retain(|_, csn| *csn > oldest);
        while let Some(commit) = self.commits.front() {
            let csn = commit.csn.load(Ordering::Acquire);
            let needed = csn != FAILED && csn > oldest;
            if csn == PENDING || (needed && self.bytes <= BYTES_MAX) {
                break;
            }
            if needed {
                for storage in commit.written.all_storages() {
                    self.coarse.insert(storage, csn); // CSNs grow
                }
            }
            self.bytes -= commit.bytes;
            self.first += 1;
            gone.extend(self.commits.pop_front());
        }
        let bytes = COMMIT_BYTES + written.payloads.iter().map(Bytes::len).sum::<usize>();
        let commit = Arc::new(Commit {
            csn: AtomicU64::new(PENDING),
            written,
            bytes,
        });
        self.bytes += bytes;
        self.commits.push_back(commit.clone());
        (Recorded(commit), gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curia_storage::fragment::FragmentWriter;

    fn writing(storage: u32, key: &[u8], row: &[u8]) -> Written {
        let mut writer = FragmentWriter::new();
        writer.put(storage, key, row).unwrap();
        Written {
            payloads: vec![Bytes::from(writer.finish())],
            storages: BTreeSet::new(),
        }
    }

    #[test]
    fn an_old_snapshot_keeps_a_limited_number_of_commits_and_forgets_none() {
        let recent = Arc::new(RecentCommits::default());
        let registered = recent.register(|| Csn(1));
        let row = vec![1; 1 << 16];
        for n in 2..3_000_u64 {
            let key = n.to_be_bytes();
            let storage = if n == 2 { 7 } else { 8 };
            let ((), recorded) = recent
                .hand_over(None, writing(storage, &key, &row), Csn(n), || ())
                .unwrap()
                .ok()
                .unwrap();
            recorded.committed(Csn(n));
        }
        {
            let inner = recent.0.lock();
            assert!(inner.bytes <= BYTES_MAX + (1 << 17), "{} bytes", inner.bytes);
            assert_eq!(inner.coarse.keys().copied().collect::<Vec<_>>(), [7, 8]);
        }
        let reads = ReadSet::default();
        reads.read(7, b"another key");
        assert_eq!(recent.check(&reads, registered.snapshot).unwrap(), Some(somewhere(7)));
        let reads = ReadSet::default();
        reads.read(9, b"k");
        assert_eq!(recent.check(&reads, registered.snapshot).unwrap(), None);
        let newest = ReadSet::default();
        newest.read(8, &2_999_u64.to_be_bytes());
        assert!(recent.check(&newest, Csn(2_998)).unwrap().is_some());
        assert_eq!(recent.check(&newest, Csn(2_999)).unwrap(), None);
        drop(registered);
        let ((), recorded) = recent
            .hand_over(None, writing(1, b"k", b""), Csn(3_000), || ())
            .unwrap()
            .ok()
            .unwrap();
        drop(recorded);
        let inner = recent.0.lock();
        assert!(inner.coarse.is_empty());
        assert_eq!(inner.commits.len(), 1);
    }
}
