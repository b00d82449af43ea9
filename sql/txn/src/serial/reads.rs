//! [`ReadSet`]: what a SERIALIZABLE transaction has read, as ranges of keys of each storage. It may grow coarser, never smaller.

use curia_storage::state::{Direction, KeyRange};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Ranges that a transaction keeps apart in one storage. Above it neighbours become one range, with what lies between them.
const RANGES_MAX: usize = 4096;

/// What one transaction has read. Shared by its views.
#[derive(Default)]
pub(crate) struct ReadSet(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    storages: HashMap<u32, Ranges>,
    /// Scans that are not dropped yet, by number.
    open: HashMap<u64, Arc<Open>>,
    scans: u64,
    /// Something was read from the newest state and not from the snapshot.
    newest: bool,
}

/// Ranges that don't touch: from where each starts to where it ends (`None`: at the storage's end).
#[derive(Default)]
struct Ranges(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Ranges {
    fn covers(&self, key: &[u8]) -> bool {
        self.0
            .range::<[u8], _>((std::ops::Bound::Unbounded, std::ops::Bound::Included(key)))
            .next_back()
            .is_some_and(|(_, end)| end.as_deref().is_none_or(|end| key < end))
    }

    fn add(&mut self, start: Vec<u8>, end: Option<Vec<u8>>) {
        let (mut start, mut end) = (start, end);
        if let Some((before, until)) = self
            .0
            .range::<[u8], _>((std::ops::Bound::Unbounded, std::ops::Bound::Included(start.as_slice())))
            .next_back()
            && until.as_deref().is_none_or(|until| until >= start.as_slice())
        {
            if until.is_none() || (end.is_some() && until >= &end) {
                return; // known already
            }
            start = before.clone();
        }
        // What it reaches becomes part of it.
        while let Some((next, until)) = self.0.range(start.clone()..).next() {
            if end.as_deref().is_some_and(|end| next.as_slice() > end) {
                break;
            }
            if end.is_some() && (until.is_none() || *until > end) {
                end = until.clone();
            }
            let next = next.clone();
            self.0.remove(&next);
        }
        self.0.insert(start, end);
        if self.0.len() > RANGES_MAX {
            self.coarsen();
        }
    }

    /// Joins each second range with its neighbour.
    fn coarsen(&mut self) {
        let mut ranges = std::mem::take(&mut self.0).into_iter();
        while let Some((start, end)) = ranges.next() {
            let end = match ranges.next() {
                Some((_, later)) => later,
                None => end,
            };
            self.0.insert(start, end);
        }
    }
}

impl ReadSet {
    /// The row at a key was read, or found absent.
    pub(crate) fn read(&self, storage: u32, key: &[u8]) {
        let mut inner = self.0.lock();
        let ranges = inner.storages.entry(storage).or_default();
        if !ranges.covers(key) {
            // Keys are prefix-free, so nothing but the key itself is in there.
            let mut end = Vec::with_capacity(key.len() + 1);
            end.extend_from_slice(key);
            end.push(0);
            ranges.add(key.to_vec(), Some(end));
        }
    }

    /// The same from the newest state: whether a key is taken, or what a row has become.
    pub(crate) fn read_newest(&self, storage: u32, key: &[u8]) {
        self.note_newest();
        self.read(storage, key);
    }

    /// What is read next comes from the newest state.
    pub(crate) fn note_newest(&self) {
        self.0.lock().newest = true;
    }

    /// Whether all that was read is of the snapshot.
    pub(crate) fn is_of_snapshot(&self) -> bool {
        !self.0.lock().newest
    }

    /// A scan begins.
    pub(crate) fn scan(self: &Arc<Self>, storage: u32, range: &KeyRange, direction: Direction) -> Option<Progress> {
        if range.is_empty() {
            return None;
        }
        let open = Arc::new(Open {
            storage,
            range: range.clone(),
            direction,
            at: Mutex::new(At::Nowhere),
        });
        let mut inner = self.0.lock();
        inner.scans += 1;
        let number = inner.scans;
        inner.open.insert(number, open.clone());
        Some(Progress {
            reads: self.clone(),
            number,
            open,
        })
    }

    /// A key that was read and is among the written ones.
    pub(crate) fn find<'k>(&self, storage: u32, written: impl IntoIterator<Item = &'k [u8]>) -> Option<&'k [u8]> {
        let inner = self.0.lock();
        let ranges = inner.storages.get(&storage)?;
        written.into_iter().find(|key| ranges.covers(key))
    }

    /// Whether anything of a storage was read.
    pub(crate) fn touches(&self, storage: u32) -> bool {
        self.0.lock().storages.contains_key(&storage)
    }

    /// Takes in what scans that are still open have read so far.
    pub(crate) fn settle(&self) {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        for open in inner.open.values() {
            open.record(&mut inner.storages);
        }
    }
}

/// How far a scan has read.
pub(crate) struct Progress {
    reads: Arc<ReadSet>,
    number: u64,
    open: Arc<Open>,
}

struct Open {
    storage: u32,
    range: KeyRange,
    direction: Direction,
    at: Mutex<At>,
}

enum At {
    /// Before its first row.
    Nowhere,
    /// At the row with this key.
    Key(Vec<u8>),
    End,
}

impl Progress {
    /// The scan gives the row with this key.
    #[inline]
    pub(crate) fn reach(&self, key: &[u8]) {
        match &mut *self.open.at.lock() {
            At::Key(at) => {
                at.clear();
                at.extend_from_slice(key);
            }
            at => *at = At::Key(key.to_vec()),
        }
    }

    /// The scan found nothing more.
    pub(crate) fn end(&self) {
        *self.open.at.lock() = At::End;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut inner = self.reads.0.lock();
        inner.open.remove(&self.number);
        self.open.record(&mut inner.storages);
    }
}

impl Open {
    fn record(&self, storages: &mut HashMap<u32, Ranges>) {
        let (start, end) = match (&*self.at.lock(), self.direction) {
            (At::Nowhere, _) => return,
            (At::End, _) => (self.range.start.clone(), self.range.end.clone()),
            (At::Key(key), Direction::Forward) => (self.range.start.clone(), Some([key.as_slice(), &[0]].concat())),
            (At::Key(key), Direction::Backward) => (key.clone(), self.range.end.clone()),
        };
        storages.entry(self.storage).or_default().add(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(r: &Ranges) -> String {
        let shown = |b: &[u8]| String::from_utf8_lossy(b).replace('\0', "+");
        let each =
            r.0.iter()
                .map(|(s, e)| format!("{}..{}", shown(s), e.as_deref().map_or("".into(), shown)));
        each.collect::<Vec<_>>().join(" ")
    }

    fn ranges(of: &[(&str, Option<&str>)]) -> Ranges {
        let mut r = Ranges::default();
        for (start, end) in of {
            r.add(start.as_bytes().to_vec(), end.map(|e| e.as_bytes().to_vec()));
        }
        r
    }

    #[test]
    fn ranges_that_meet_become_one() {
        assert_eq!(text(&ranges(&[("b", Some("d")), ("f", Some("h"))])), "b..d f..h");
        assert_eq!(text(&ranges(&[("b", Some("d")), ("f", Some("h")), ("d", Some("f"))])), "b..h");
        assert_eq!(text(&ranges(&[("b", Some("d")), ("a", Some("c"))])), "a..d");
        assert_eq!(text(&ranges(&[("b", Some("d")), ("c", Some("e"))])), "b..e");
        assert_eq!(text(&ranges(&[("b", Some("z")), ("c", Some("e"))])), "b..z");
        assert_eq!(text(&ranges(&[("c", Some("e")), ("b", Some("z"))])), "b..z");
        assert_eq!(text(&ranges(&[("c", Some("e")), ("b", None)])), "b..");
        assert_eq!(text(&ranges(&[("b", None), ("c", Some("e"))])), "b..");
        assert_eq!(text(&ranges(&[("c", None), ("a", Some("d"))])), "a..");
        assert_eq!(text(&ranges(&[("", None), ("a", Some("d"))])), "..");
    }

    #[test]
    fn what_was_read_stays_read_however_much_it_is() {
        let set = Arc::new(ReadSet::default());
        let keys: Vec<[u8; 4]> = (0..3 * RANGES_MAX as u32).map(|n| (n * 7).to_be_bytes()).collect();
        keys.iter().for_each(|k| set.read(1, k));
        assert!(keys.iter().all(|k| set.find(1, [&k[..]]).is_some()));
        assert!(set.0.lock().storages[&1].0.len() <= RANGES_MAX);
        assert!(set.find(2, [&keys[0][..]]).is_none() && !set.touches(2));
        let beyond = u32::MAX.to_be_bytes();
        assert!(set.find(1, [&beyond[..]]).is_none());
    }

    #[test]
    fn a_scan_counts_as_far_as_it_has_gone() {
        let set = Arc::new(ReadSet::default());
        let range = KeyRange {
            start: b"b".to_vec(),
            end: Some(b"y".to_vec()),
        };
        let forward = set.scan(1, &range, Direction::Forward).unwrap();
        set.settle();
        assert!(set.find(1, [&b"b"[..]]).is_none(), "nothing was asked for yet");
        forward.reach(b"d");
        set.settle();
        assert!(set.find(1, [&b"c"[..]]).is_some() && set.find(1, [&b"d"[..]]).is_some());
        assert!(set.find(1, [&b"e"[..]]).is_none() && set.find(1, [&b"a"[..]]).is_none());
        let backward = set.scan(2, &range, Direction::Backward).unwrap();
        backward.reach(b"k");
        drop(backward);
        assert!(set.find(2, [&b"k"[..]]).is_some() && set.find(2, [&b"x"[..]]).is_some() && set.find(2, [&b"j"[..]]).is_none());
        forward.end();
        drop(forward);
        assert!(set.find(1, [&b"x"[..]]).is_some() && set.find(1, [&b"y"[..]]).is_none());
    }
}
