//! Scans over a range of rows at a CSN, in either direction.
//!
//! ```text
//!   forward ──►   a!9 a!7 a!2   b!5   c!8 c!3        (reading at 7: a!7, b!5, c!3)
//! ```
//!
//! A row's versions are neighbours, newest first. A scan steps over the ones it can't use, and after a few steps within
//! one row seeks instead, so that a row with thousands of versions costs two seeks and not thousands of steps.

use std::sync::Arc;

use curia_consensus::ids::Csn;
use rocksdb::{DB, ReadOptions};

use super::iterator::{OwnedIterator, ScanIterator, ScanPool};
use super::version_key::{self, STORAGE_BYTES};
use crate::error::Result;

/// Steps over versions of one row before a scan seeks.
const STEPS_BEFORE_SEEK: usize = 8;

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// A range of encoded keys: from `start` on, up to but without `end`.
///
/// Bounds compare as bytes, so a bound may be the encoding of a key's first columns: see [`KeyRange::prefix`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// The first key that may be in it; empty for none.
    pub start: Vec<u8>,
    /// The first key that is past it; `None` for the storage's end.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// The whole storage.
    pub fn all() -> KeyRange {
        KeyRange::default()
    }

    /// All keys that begin with these bytes: with a whole encoded key one row, with its first columns all rows that agree
    /// in them.
    pub fn prefix(bytes: &[u8]) -> KeyRange {
        KeyRange {
            start: bytes.to_vec(),
            end: successor(bytes),
        }
    }

    /// Drops what is below `key`.
    #[must_use]
    pub fn from(mut self, key: &[u8]) -> KeyRange {
        if key > self.start.as_slice() {
            self.start = key.to_vec();
        }
        self
    }

    /// Drops what is at or below every key that begins with these bytes.
    #[must_use]
    pub fn after_prefix(self, bytes: &[u8]) -> KeyRange {
        match successor(bytes) {
            Some(next) => self.from(&next),
            None => KeyRange {
                start: Vec::new(),
                end: Some(Vec::new()),
            },
        }
    }

    /// Drops what is at or above `key`.
    #[must_use]
    pub fn before(mut self, key: &[u8]) -> KeyRange {
        if self.end.as_deref().is_none_or(|end| key < end) {
            self.end = Some(key.to_vec());
        }
        self
    }

    /// Drops what is above every key that begins with these bytes.
    #[must_use]
    pub fn through_prefix(self, bytes: &[u8]) -> KeyRange {
        match successor(bytes) {
            Some(next) => self.before(&next),
            None => self,
        }
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        self.end.as_deref().is_some_and(|end| end <= self.start.as_slice())
    }

    /// Whether a key is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// The same range within the whole keyspace: from, to.
    pub(super) fn bounds(&self, storage: u32) -> (Vec<u8>, Vec<u8>) {
        let from = [&storage.to_be_bytes()[..], &self.start].concat();
        let to = match &self.end {
            Some(end) => [&storage.to_be_bytes()[..], end].concat(),
            // The last id has no successor; nine high bytes are past any version of any key in it.
            None => storage
                .checked_add(1)
                .map_or_else(|| vec![0xff; STORAGE_BYTES + 9], |next| next.to_be_bytes().to_vec()),
        };
        (from, to)
    }
}

/// The least bytes that are above everything that begins with `bytes`; `None` when nothing is.
pub fn successor(bytes: &[u8]) -> Option<Vec<u8>> {
    let keep = bytes.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = bytes[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}

/// A scan under way. It owns what it reads from and may move between threads.
///
/// It is not an [`Iterator`] because what [`Scan::next`] gives borrows from the scan: no row is copied.
pub struct Scan {
    iterator: ScanIterator,
    /// Where the range ends, when the iterator itself knows no bounds.
    end: Option<Vec<u8>>,
    csn: Csn,
    direction: Direction,
    /// Storage and key of the row that was given last.
    current: Vec<u8>,
    /// Going backward: the row that was found, since the iterator had to move past it.
    row: Vec<u8>,
    /// Where a key to seek is built.
    target: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not positioned yet.
    Start,
    /// Forward: on the version given last. Backward: on the last version of the next row.
    Within,
    /// Nothing more.
    End,
}

impl Scan {
    pub(super) fn new(db: &Arc<DB>, storage: u32, range: &KeyRange, csn: Csn, direction: Direction) -> Scan {
        let (from, to) = range.bounds(storage);
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true); // a range crosses prefixes; filters don't apply
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        let iterator = ScanIterator::own(OwnedIterator::new(db.clone(), options));
        Scan::over(iterator, range, csn, direction)
    }

    /// A forward scan of what is likely to be a few rows, over an iterator of the pool.
    pub(super) fn short(db: &Arc<DB>, pool: &ScanPool, generation: u64, storage: u32, range: &KeyRange, csn: Csn) -> Scan {
        let (from, to) = range.bounds(storage);
        let mut scan = Scan::over(pool.take(db, generation), range, csn, Direction::Forward);
        (scan.target, scan.end) = (from, Some(to));
        scan
    }

    fn over(iterator: ScanIterator, range: &KeyRange, csn: Csn, direction: Direction) -> Scan {
        let state = if range.is_empty() { State::End } else { State::Start };
        Scan {
            iterator,
            end: None,
            csn,
            direction,
            current: Vec::new(),
            row: Vec::new(),
            target: Vec::new(),
            state,
        }
    }

    /// The next row: its key and its bytes.
    ///
    /// # Errors
    /// [`crate::StorageError::State`]; the scan is over then.
    #[allow(clippy::should_implement_trait)] // what it gives borrows from it
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        let found = match self.direction {
            Direction::Forward => self.advance(),
            Direction::Backward => self.retreat(),
        };
        match found {
            Ok(true) => {}
            Ok(false) => {
                self.state = State::End;
                return Ok(None);
            }
            Err(error) => {
                self.state = State::End;
                return Err(error);
            }
        }
        let row = match self.direction {
            Direction::Forward => self.iterator.item().map_or(&[][..], |(_, value)| value),
            Direction::Backward => &self.row,
        };
        Ok(Some((&self.current[STORAGE_BYTES..], row)))
    }

    /// Moves forward to the next row that exists at the CSN; `current` is its key then.
    fn advance(&mut self) -> Result<bool> {
        match self.state {
            State::End => return Ok(false),
            State::Start => {
                match self.end {
                    Some(_) => self.iterator.raw().seek(&self.target),
                    None => self.iterator.raw().seek_to_first(),
                }
                self.state = State::Within;
                self.current.clear();
            }
            State::Within => self.iterator.raw().next(),
        }
        // Whether `current` is decided: given already, or known not to exist at the CSN.
        let mut decided = !self.current.is_empty();
        let mut steps = 0;
        loop {
            let Some((key, value)) = self.iterator.item() else {
                self.iterator.raw().status()?;
                return Ok(false);
            };
            if self.end.as_deref().is_some_and(|end| key >= end) {
                return Ok(false);
            }
            let Some((prefix, csn)) = version_key::split(key) else {
                self.iterator.raw().next();
                continue;
            };
            if prefix != self.current.as_slice() {
                self.current.clear();
                self.current.extend_from_slice(prefix);
                decided = false;
                steps = 0;
            }
            if !decided && csn <= self.csn {
                if version_key::live(value).is_some() {
                    return Ok(true);
                }
                decided = true;
            }
            steps += 1;
            if steps <= STEPS_BEFORE_SEEK {
                self.iterator.raw().next();
                continue;
            }
            steps = 0;
            // Too new: go to the version wanted. Decided: go to the row's oldest possible version, which is at its end.
            let seek = if decided { Csn::ZERO } else { self.csn };
            self.target.clear();
            self.target.extend_from_slice(&self.current);
            self.target.extend_from_slice(&(!seek.0).to_be_bytes());
            self.iterator.raw().seek(&self.target);
        }
    }

    /// Moves backward to the next row that exists at the CSN; `current` is its key and `row` its bytes then.
    fn retreat(&mut self) -> Result<bool> {
        match self.state {
            State::End => return Ok(false),
            State::Start => {
                self.iterator.raw().seek_to_last();
                self.state = State::Within;
            }
            State::Within => {}
        }
        loop {
            let Some((key, _)) = self.iterator.item() else {
                self.iterator.raw().status()?;
                return Ok(false);
            };
            let Some((prefix, _)) = version_key::split(key) else {
                self.iterator.raw().prev();
                continue;
            };
            self.current.clear();
            self.current.extend_from_slice(prefix);
            if self.oldest_to_newest()? {
                return Ok(true);
            }
        }
    }

    /// From the oldest version of `current` goes to the row before it, keeping in `row` the newest version at or below the
    /// CSN; tells whether there is one that is not a deletion.
    fn oldest_to_newest(&mut self) -> Result<bool> {
        let mut exists = false;
        for _ in 0..STEPS_BEFORE_SEEK {
            let same_row = self.iterator.item().and_then(|(key, value)| {
                let (prefix, csn) = version_key::split(key)?;
                (prefix == self.current.as_slice()).then_some((csn, value))
            });
            let Some((csn, value)) = same_row else { return Ok(exists) };
            if csn <= self.csn {
                exists = version_key::live(value).is_some();
                self.row.clear();
                self.row.extend_from_slice(value);
            }
            self.iterator.raw().prev();
        }
        // Many versions: seek the one wanted, then what is before the whole row.
        self.target.clear();
        self.target.extend_from_slice(&self.current);
        self.target.extend_from_slice(&(!self.csn.0).to_be_bytes());
        self.iterator.raw().seek(&self.target);
        if !self.iterator.raw().valid() {
            self.iterator.raw().status()?;
        }
        if let Some((key, value)) = self.iterator.item()
            && version_key::prefix(key) == self.current.as_slice()
        {
            exists = version_key::live(value).is_some();
            self.row.clear();
            self.row.extend_from_slice(value);
        }
        // The bare prefix sorts before all its versions.
        self.iterator.raw().seek_for_prev(&self.current);
        if !self.iterator.raw().valid() {
            self.iterator.raw().status()?;
        }
        Ok(exists)
    }
}

/// See [`super::StateStore::split`].
pub(super) fn split(db: &DB, storage: u32, range: &KeyRange, parts: usize) -> Result<Vec<KeyRange>> {
    let (from, to) = range.bounds(storage);
    let mut cuts: Vec<Vec<u8>> = Vec::new();
    if parts > 1 {
        for file in db.live_files()? {
            if file.column_family_name != rocksdb::DEFAULT_COLUMN_FAMILY_NAME {
                continue;
            }
            for key in [file.start_key, file.end_key].into_iter().flatten() {
                // A cut is a row's key, so that no row's versions fall into two ranges.
                let row = version_key::prefix(&key);
                if row > from.as_slice() && row < to.as_slice() && row.len() > STORAGE_BYTES {
                    cuts.push(row[STORAGE_BYTES..].to_vec());
                }
            }
        }
        cuts.sort();
        cuts.dedup();
    }
    let wanted = parts.saturating_sub(1).min(cuts.len());
    let mut ranges = Vec::with_capacity(wanted + 1);
    let mut rest = range.clone();
    for part in 1..=wanted {
        let cut = &cuts[part * cuts.len() / (wanted + 1)];
        if *cut > rest.start {
            ranges.push(rest.clone().before(cut));
            rest = rest.from(cut);
        }
    }
    ranges.push(rest);
    Ok(ranges)
}
