//! A group's part of the state as a stream of bytes: what a server gets that lacks what no log holds any more.
//!
//! ```text
//! u8 version = 1 | u32 group | u64 CSN | u64 horizon
//! records        u8 1, u32 key bytes, u32 value bytes, version key, value      a version of a row
//!                u8 2, u32 storage, u64 CSN                                     the storage was given up at this CSN
//!                u8 3, u64 CSN, u64 commit timestamp                            group 0 has those of all groups
//!                u8 4, u32 storage                                              a storage of the group
//! end            u8 0, u64 records, u32 CRC-32C of everything before it
//! ```
//!
//! Integers are little-endian. The stream has the versions up to the CSN that the state still keeps; nobody may read below
//! its horizon afterwards. It is taken at one moment, by an iterator that shows the state of that moment for as long as it
//! lives, so commits go on beside it; what it holds of files and memory tables goes with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use curia_consensus::Base;
use curia_consensus::ids::{Csn, GroupId};
use rocksdb::ReadOptions;

use super::iterator::OwnedIterator;
use super::scan::KeyRange;
use super::{StateStore, version_key};
use crate::error::{Result, StorageError};

/// The version of the stream.
pub(super) const VERSION: u8 = 1;
pub(super) const ROW: u8 = 1;
pub(super) const DROP: u8 = 2;
pub(super) const TIME: u8 = 3;
pub(super) const STORAGE: u8 = 4;
pub(super) const END: u8 = 0;

/// A snapshot that is being read.
pub struct GroupSnapshot {
    group: GroupId,
    base: Base,
    iterator: OwnedIterator,
    storages: Vec<u32>,
    /// Which of the storages the iterator is in.
    at: usize,
    /// The iterator stands in that storage.
    entered: bool,
    /// What comes before the rows, encoded; then what was read ahead of the last piece.
    ahead: Vec<u8>,
    records: u64,
    crc: u32,
    /// All is in `ahead` or was given.
    ended: bool,
    /// Bytes given.
    given: u64,
    /// The last piece and where it began: it may be asked for again.
    last: Option<(u64, Piece)>,
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub data: Bytes,
    /// Whether they are the last.
    pub last: bool,
}

impl StateStore {
    /// A snapshot of a group as it is now. `base` is its position now, and the caller sees to it that nothing is applied meanwhile.
    pub fn snapshot(&self, group: GroupId, base: Base) -> Result<GroupSnapshot> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.fill_cache(false);
        let storages = self.storages_of(group);
        // Before the iterator is made, so that what is collected in between is in both or its end is known; the horizon after it.
        let dropped = self.dropped()?;
        let mut snapshot = GroupSnapshot {
            iterator: OwnedIterator::new(self.db.clone(), options),
            at: 0,
            entered: false,
            ahead: Vec::new(),
            records: 0,
            crc: 0,
            ended: false,
            given: 0,
            last: None,
            storages: Vec::new(),
            group,
            base,
        };
        let horizon = self.horizon.load(std::sync::atomic::Ordering::Acquire);
        let head = &mut snapshot.ahead;
        head.push(VERSION);
        head.extend_from_slice(&group.0.to_le_bytes());
        head.extend_from_slice(&snapshot.base.csn.0.to_le_bytes());
        head.extend_from_slice(&horizon.to_le_bytes());
        for storage in &storages {
            head.push(STORAGE);
            head.extend_from_slice(&storage.to_le_bytes());
            snapshot.records += 1;
        }
        for (storage, csn) in dropped {
            if storages.binary_search(&storage).is_ok() && csn <= snapshot.base.csn {
                head.push(DROP);
                head.extend_from_slice(&storage.to_le_bytes());
                head.extend_from_slice(&csn.0.to_le_bytes());
                snapshot.records += 1;
            }
        }
        if group == GroupId(0) {
            for (csn, timestamp) in self.times(snapshot.base.csn)? {
                head.push(TIME);
                head.extend_from_slice(&csn.0.to_le_bytes());
                head.extend_from_slice(&timestamp.0.to_le_bytes());
                snapshot.records += 1;
            }
        }
        snapshot.crc = crc32c::crc32c(head);
        snapshot.storages = storages;
        Ok(snapshot)
    }

    /// A number that states share which hold the same rows of a group at a CSN, and hardly any others. Storages that were given up
    /// by then don't count: their rows go from each state when it gets to it.
    pub fn digest(&self, group: GroupId, csn: Csn) -> Result<u64> {
        let mut digest = Fnv::default();
        let dropped: BTreeMap<u32, Csn> = self.dropped()?.into_iter().collect();
        let stands = |storage: &u32| dropped.get(storage).is_none_or(|at| *at > csn);
        for storage in self.storages_of(group).into_iter().filter(stands) {
            let mut rows = self.scan(storage, &KeyRange::all(), csn, super::Direction::Forward);
            while let Some((key, row)) = rows.next()? {
                digest.take(&storage.to_le_bytes());
                digest.take(&(key.len() as u64).to_le_bytes());
                digest.take(key);
                digest.take(&(row.len() as u64).to_le_bytes());
                digest.take(row);
            }
        }
        Ok(digest.0)
    }
}

impl GroupSnapshot {
    /// The group.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The group's position in it.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The piece that begins here, of about so many bytes: the next one, or the last one again. `None` when it is neither.
    pub fn piece(&mut self, offset: u64, bytes_max: usize) -> Result<Option<Piece>> {
        if let Some((begin, piece)) = &self.last
            && *begin == offset
        {
            return Ok(Some(piece.clone()));
        }
        if offset != self.given {
            return Ok(None);
        }
        let wanted = bytes_max.max(1);
        while self.ahead.len() < wanted && !self.ended {
            self.read_on()?;
        }
        let rest = self.ahead.split_off(wanted.min(self.ahead.len()));
        let data = Bytes::from(std::mem::replace(&mut self.ahead, rest));
        let piece = Piece {
            last: self.ended && self.ahead.is_empty(),
            data,
        };
        self.given += piece.data.len() as u64;
        self.last = Some((offset, piece.clone()));
        Ok(Some(piece))
    }

    /// Adds the next record.
    fn read_on(&mut self) -> Result<()> {
        let Some(storage) = self.storages.get(self.at).copied() else {
            let from = self.ahead.len();
            self.ahead.push(END);
            self.ahead.extend_from_slice(&self.records.to_le_bytes());
            let crc = crc32c::crc32c_append(self.crc, &self.ahead[from..]);
            self.ahead.extend_from_slice(&crc.to_le_bytes());
            self.ended = true;
            return Ok(());
        };
        let raw = self.iterator.raw();
        if self.entered {
            raw.next();
        } else {
            raw.seek(storage.to_be_bytes());
            self.entered = true;
        }
        let Some((key, value)) = raw.item().filter(|(key, _)| version_key::storage(key) == Some(storage)) else {
            raw.status()?;
            self.at += 1;
            self.entered = false;
            return Ok(());
        };
        // Rows of a transaction that is being applied in slices are there ahead of its CSN.
        if version_key::split(key).is_some_and(|(_, csn)| csn <= self.base.csn) {
            let from = self.ahead.len();
            self.ahead.push(ROW);
            let lengths = [key.len(), value.len()].map(u32::try_from);
            let [Ok(key_bytes), Ok(value_bytes)] = lengths else {
                return Err(StorageError::format("snapshot", "a row is too long"));
            };
            self.ahead.extend_from_slice(&key_bytes.to_le_bytes());
            self.ahead.extend_from_slice(&value_bytes.to_le_bytes());
            self.ahead.extend_from_slice(key);
            self.ahead.extend_from_slice(value);
            self.crc = crc32c::crc32c_append(self.crc, &self.ahead[from..]);
            self.records += 1;
        }
        Ok(())
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
