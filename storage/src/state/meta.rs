//! What the state store remembers besides rows.
//!
//! ```text
//! "format"                    u32 version of the whole store = 2
//! "commit"                    u64 applied CSN, u64 its timestamp
//! "group" ++ u32 group        position in its log, encoded as a base of the log
//! "time" ++ u64 CSN           u64 commit timestamp
//! "drop" ++ u32 storage       u64 CSN that dropped it
//! "ownr" ++ u32 storage       u32 the worker group that it belongs to
//! "inst" ++ u32 group         u64 number of the last snapshot that was installed
//! "senate"                    where the senate's log begins, for a server that stores no logs
//! ```
//!
//! Integers in keys are big-endian, so that they sort; in values little-endian.

use curia_consensus::ids::{Csn, GroupId, LogId, Timestamp};
use curia_consensus::{Base, decode_base, encode_base};
use rocksdb::{IteratorMode, ReadOptions, ReadTier};

use super::StateStore;
use crate::error::{Result, StorageError};

/// The column family.
pub(super) const FAMILY: &str = "meta";
/// The version of the state store's format that this code reads and writes.
pub const FORMAT: u32 = 2;

pub(super) const FORMAT_KEY: &[u8] = b"format";
pub(super) const COMMIT_KEY: &[u8] = b"commit";

/// Which state a position is of.
#[derive(Clone, Copy)]
pub(super) enum Durability {
    /// What reads see.
    Applied,
    /// What a crash leaves.
    Flushed,
}

pub(super) fn group_key(group: GroupId) -> Vec<u8> {
    [&b"group"[..], &group.0.to_be_bytes()].concat()
}

pub(super) fn time_key(csn: Csn) -> Vec<u8> {
    [&b"time"[..], &csn.0.to_be_bytes()].concat()
}

pub(super) fn drop_key(storage: u32) -> Vec<u8> {
    [&b"drop"[..], &storage.to_be_bytes()].concat()
}

pub(super) fn owner_key(storage: u32) -> Vec<u8> {
    [&b"ownr"[..], &storage.to_be_bytes()].concat()
}

pub(super) fn install_key(group: GroupId) -> Vec<u8> {
    [&b"inst"[..], &group.0.to_be_bytes()].concat()
}

const SENATE_KEY: &[u8] = b"senate";

impl StateStore {
    /// Writes the format's version into a new store, or checks it.
    pub(super) fn check_format(&self) -> Result<()> {
        let meta = self.meta_family()?;
        match self.db.get_cf(meta, FORMAT_KEY)? {
            Some(value) if value == FORMAT.to_le_bytes() => Ok(()),
            Some(_) => Err(StorageError::format(
                "state store",
                "written by a version that this program does not know",
            )),
            None => {
                let mut batch = rocksdb::WriteBatch::new();
                batch.put_cf(meta, FORMAT_KEY, FORMAT.to_le_bytes());
                self.db.write_without_wal(batch)?;
                Ok(())
            }
        }
    }

    fn value(&self, key: &[u8], durability: Durability) -> Result<Option<Vec<u8>>> {
        let mut options = ReadOptions::default();
        if let Durability::Flushed = durability {
            // Without a write-ahead log, "persisted" skips the memory tables.
            options.set_read_tier(ReadTier::Persisted);
        }
        Ok(self.db.get_cf_opt(self.meta_family()?, key, &options)?)
    }

    pub(super) fn flushed_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.value(key, Durability::Flushed)
    }

    /// The base of the senate's log as it was last kept here.
    pub fn senate_base(&self) -> Result<Option<Base>> {
        let Some(value) = self.value(SENATE_KEY, Durability::Applied)? else {
            return Ok(None);
        };
        match decode_base(value.into()) {
            Ok((LogId::Senate, base)) => Ok(Some(base)),
            _ => Err(StorageError::format("state store", "a senate's base that is none")),
        }
    }

    /// Keeps the base of the senate's log; durable with the next flush.
    pub fn keep_senate_base(&self, base: &Base) -> Result<()> {
        let mut value = Vec::new();
        encode_base(LogId::Senate, base, &mut value);
        let mut batch = rocksdb::WriteBatch::new();
        batch.put_cf(self.meta_family()?, SENATE_KEY, value);
        self.write(batch)
    }

    pub(super) fn position(&self, group: GroupId, durability: Durability) -> Result<Base> {
        let Some(value) = self.value(&group_key(group), durability)? else {
            return Ok(Base::default());
        };
        match decode_base(value.into()) {
            Ok((LogId::Group(found), base)) if found == group => Ok(base),
            _ => Err(StorageError::format("state store", "a position that is none")),
        }
    }

    /// The positions of all groups that have one.
    pub fn positions(&self) -> Result<Vec<(GroupId, Base)>> {
        let mut found = Vec::new();
        for item in self
            .db
            .iterator_cf(self.meta_family()?, IteratorMode::From(b"group", rocksdb::Direction::Forward))
        {
            let (key, value) = item?;
            let Some(group) = key.strip_prefix(b"group") else { break };
            let named: &[u8; 4] = group.first_chunk().ok_or(StorageError::format("state store", "a short meta key"))?;
            match decode_base(value.to_vec().into()) {
                Ok((LogId::Group(group), base)) if group.0.to_be_bytes() == *named => found.push((group, base)),
                _ => return Err(StorageError::format("state store", "a position that is none")),
            }
        }
        Ok(found)
    }

    pub(super) fn commit_position(&self, durability: Durability) -> Result<(Csn, Timestamp)> {
        match self.value(COMMIT_KEY, durability)? {
            Some(value) => Ok((Csn(u64_at(&value, 0)?), Timestamp(u64_at(&value, 8)?))),
            None => Ok((Csn::ZERO, Timestamp::ZERO)),
        }
    }

    /// The commit timestamp of the newest transaction at or below `csn` whose timestamp is still kept.
    pub fn commit_timestamp(&self, csn: Csn) -> Result<Option<(Csn, Timestamp)>> {
        let from = time_key(csn);
        let mut iterator = self.db.raw_iterator_cf(self.meta_family()?);
        iterator.seek_for_prev(&from);
        iterator.status()?;
        let Some((key, value)) = iterator.item() else { return Ok(None) };
        let Some(found) = key.strip_prefix(b"time").and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        Ok(Some((Csn(u64::from_be_bytes(*found)), Timestamp(u64_at(value, 0)?))))
    }

    /// The newest CSN whose commit timestamp is at or before `time`, among those still kept: reads as of a time.
    pub fn csn_at(&self, time: Timestamp) -> Result<Option<Csn>> {
        // Timestamps grow with the CSN, so the kept ones are searched by halves: a seek per step.
        let (Some(mut low), Some(mut high)) = (self.first_timed()?, self.commit_timestamp(Csn(u64::MAX))?) else {
            return Ok(None);
        };
        if low.1 > time {
            return Ok(None);
        }
        if high.1 <= time {
            return Ok(Some(high.0));
        }
        // low is at or before the time, high after it.
        while high.0.0 - low.0.0 > 1 {
            let middle = Csn(low.0.0 + (high.0.0 - low.0.0) / 2);
            match self.commit_timestamp(middle)? {
                Some(found) if found.1 <= time => low = (middle, found.1),
                Some(found) => high = (middle, found.1),
                None => low = (middle, low.1),
            }
        }
        Ok(self.commit_timestamp(low.0)?.map(|found| found.0))
    }

    /// The commit timestamps that are kept, up to a CSN, ascending.
    pub(super) fn times(&self, upto: Csn) -> Result<Vec<(Csn, Timestamp)>> {
        let mut iterator = self.db.raw_iterator_cf(self.meta_family()?);
        iterator.seek(b"time");
        let mut found = Vec::new();
        while let Some((key, value)) = iterator.item() {
            let Some(csn) = key.strip_prefix(b"time").and_then(|rest| rest.first_chunk()) else {
                break;
            };
            let csn = Csn(u64::from_be_bytes(*csn));
            if csn > upto {
                break;
            }
            found.push((csn, Timestamp(u64_at(value, 0)?)));
            iterator.next();
        }
        iterator.status()?;
        Ok(found)
    }

    fn first_timed(&self) -> Result<Option<(Csn, Timestamp)>> {
        let mut iterator = self.db.raw_iterator_cf(self.meta_family()?);
        iterator.seek(b"time");
        iterator.status()?;
        let Some((key, value)) = iterator.item() else { return Ok(None) };
        let Some(found) = key.strip_prefix(b"time").and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        Ok(Some((Csn(u64::from_be_bytes(*found)), Timestamp(u64_at(value, 0)?))))
    }

    /// Storages that were dropped and whose rows are still there, with the CSN that dropped each.
    pub fn dropped(&self) -> Result<Vec<(u32, Csn)>> {
        self.by_storage(b"drop")?
            .into_iter()
            .map(|(storage, value)| Ok((storage, Csn(u64_at(&value, 0)?))))
            .collect()
    }

    pub(super) fn by_storage(&self, name: &[u8; 4]) -> Result<Vec<(u32, Box<[u8]>)>> {
        let mut found = Vec::new();
        for item in self
            .db
            .iterator_cf(self.meta_family()?, IteratorMode::From(name, rocksdb::Direction::Forward))
        {
            let (key, value) = item?;
            let Some(storage) = key.strip_prefix(name) else { break };
            let Some(storage) = storage.first_chunk() else {
                return Err(StorageError::format("state store", "a short meta key"));
            };
            found.push((u32::from_be_bytes(*storage), value));
        }
        Ok(found)
    }
}

pub(super) fn u64_at(value: &[u8], offset: usize) -> Result<u64> {
    value
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .map(|bytes| u64::from_le_bytes(*bytes))
        .ok_or(StorageError::format("state store", "a short meta value"))
}
