//! Applying transactions: versions in, positions moved, in one atomic write.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use curia_consensus::ids::{Csn, GroupId, LogId, Timestamp};
use curia_consensus::{Base, encode_base};
use rocksdb::{WriteBatch, WriteOptions};

use super::{StateStore, garbage, meta, version_key};
use crate::error::{Result, StorageError};
use crate::fragment::{FragmentReader, Operation};

/// What one atomic write changes.
///
/// A transaction too large for one batch is applied in several: rows first, the positions with the last. Readers don't
/// look above the published CSN, and a crash in between replays the transaction from its beginning, which writes the same
/// versions again.
#[derive(Default)]
pub struct ApplyBatch {
    versions: WriteBatch,
    /// Scratch for a version's key.
    key: Vec<u8>,
    groups: Vec<(GroupId, Base)>,
    commit: Option<(Csn, Timestamp)>,
    times: Vec<(Csn, Timestamp)>,
    dropped: Vec<(u32, Csn)>,
    /// Deletions as the list of them has them, one after the other, and where each ends.
    deleted: Vec<u8>,
    deleted_ends: Vec<usize>,
    /// The storages that fragments wrote to, with their groups.
    touched: BTreeSet<(u32, GroupId)>,
}

impl ApplyBatch {
    /// An empty batch.
    pub fn new() -> ApplyBatch {
        ApplyBatch::default()
    }

    /// Adds all operations of a fragment's or stage record's payload, at the transaction's CSN. The storages that it writes to belong to
    /// its group.
    ///
    /// # Errors
    /// [`StorageError::Format`]; the batch may then hold a part of it and must not be applied.
    pub fn fragment(&mut self, group: GroupId, csn: Csn, payload: &[u8]) -> Result<()> {
        let mut last = None;
        for operation in FragmentReader::new(payload)? {
            let operation = operation?;
            let storage = operation.storage();
            // Operations come in runs.
            if last.replace(storage) != Some(storage) {
                self.touched.insert((storage, group));
            }
            match operation {
                Operation::Put { storage, key, row } => self.put(storage, key, csn, row)?,
                Operation::Delete { storage, key } => self.delete(storage, key, csn),
                Operation::DropStorage { storage } => self.drop_storage(storage, csn),
            }
        }
        Ok(())
    }

    /// Adds a row's version.
    ///
    /// # Errors
    /// [`StorageError::Format`] when the row begins with a zero byte.
    pub fn put(&mut self, storage: u32, key: &[u8], csn: Csn, row: &[u8]) -> Result<()> {
        if row.first() == Some(&0) {
            return Err(StorageError::format("row", "begins with a zero byte"));
        }
        version_key::write(storage, key, csn, &mut self.key);
        self.versions.put(&self.key, row);
        Ok(())
    }

    /// Adds a deletion.
    pub fn delete(&mut self, storage: u32, key: &[u8], csn: Csn) {
        version_key::write(storage, key, csn, &mut self.key);
        self.versions.put(&self.key, version_key::DELETED);
        garbage::write_listed(csn, storage, key, &mut self.deleted);
        self.deleted_ends.push(self.deleted.len());
    }

    /// Gives up a storage as of `csn`: its rows go when the horizon passes that.
    pub fn drop_storage(&mut self, storage: u32, csn: Csn) {
        self.dropped.push((storage, csn));
    }

    /// Moves a group's position: everything up to its index is applied or never will be.
    pub fn applied(&mut self, group: GroupId, position: Base) {
        self.groups.push((group, position));
    }

    /// Moves the commit position: every transaction up to `csn` is applied.
    pub fn committed(&mut self, csn: Csn, timestamp: Timestamp) {
        self.commit = Some((csn, timestamp));
    }

    /// Remembers a transaction's commit timestamp, for reads as of a time.
    pub fn commit_timestamp(&mut self, csn: Csn, timestamp: Timestamp) {
        self.times.push((csn, timestamp));
    }

    /// Bytes of rows and keys so far; apply and start a fresh batch at a limit.
    pub fn bytes(&self) -> usize {
        self.versions.size_in_bytes() + self.deleted.len()
    }

    /// Whether a fragment in it wrote to this storage.
    pub fn touches(&self, storage: u32) -> bool {
        self.touched
            .range((storage, GroupId(0))..)
            .next()
            .is_some_and(|(touched, _)| *touched == storage)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.groups.is_empty() && self.commit.is_none() && self.times.is_empty() && self.dropped.is_empty()
    }
}

impl StateStore {
    /// Applies a batch atomically: after a crash all of it is there or none. Not durable by itself; see the module.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`] when earlier data could not be written to files for want of space. Nothing of the batch
    /// was applied; the same batch may be built and applied again later.
    pub fn apply(&self, batch: ApplyBatch) -> Result<()> {
        let ApplyBatch {
            mut versions,
            groups,
            commit,
            times,
            dropped,
            deleted,
            deleted_ends,
            touched,
            ..
        } = batch;
        let owners = self.note_owners(&touched, &mut versions)?;
        let family = self.meta_family()?;
        for (group, position) in groups {
            let mut value = Vec::new();
            encode_base(LogId::Group(group), &position, &mut value);
            versions.put_cf(family, meta::group_key(group), value);
        }
        if let Some((csn, timestamp)) = commit {
            let mut value = [0; 16];
            value[..8].copy_from_slice(&csn.0.to_le_bytes());
            value[8..].copy_from_slice(&timestamp.0.to_le_bytes());
            versions.put_cf(family, meta::COMMIT_KEY, value);
        }
        for (csn, timestamp) in times {
            versions.put_cf(family, meta::time_key(csn), timestamp.0.to_le_bytes());
        }
        for (storage, csn) in dropped {
            versions.put_cf(family, meta::drop_key(storage), csn.0.to_le_bytes());
        }
        let list = self.deleted_family()?;
        let mut from = 0;
        for end in deleted_ends {
            versions.put_cf(list, &deleted[from..end], []);
            from = end;
        }
        self.write(versions)?;
        if !owners.is_empty() {
            self.owners.write().extend(owners);
        }
        Ok(())
    }

    /// Writes to the memory tables, and lets point reads see it.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<()> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        // When flushes lack space, RocksDB would let the writer wait for as long as that lasts.
        if self.check_room().is_err() && self.sizes().writes_stopped {
            return Err(StorageError::NoSpace { path: self.path.clone() });
        }
        self.db.write_opt(batch, &options)?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}
