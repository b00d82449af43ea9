//! Which worker group each storage belongs to: what a group's snapshot consists of, and what another one replaces.
//!
//! A storage belongs to the group whose fragments wrote to it. That is noted when the first of them is applied, in the same
//! write as its rows, so it needs no knowledge of the catalog and is there for storages that no catalog version shows: one
//! that is being filled, or one that was dropped and still has rows.

use std::collections::{BTreeMap, BTreeSet};

use curia_consensus::ids::GroupId;
use rocksdb::{ReadOptions, WriteBatch};

use super::{StateStore, meta, version_key};
use crate::error::{Result, StorageError};

impl StateStore {
    /// The storages of a group, ascending.
    pub fn storages_of(&self, group: GroupId) -> Vec<u32> {
        let owners = self.owners.read();
        owners
            .iter()
            .filter(|(_, owner)| **owner == group)
            .map(|(storage, _)| *storage)
            .collect()
    }

    /// Notes owners that are not noted yet, in a batch that is about to be written. Gives those to remember afterwards.
    pub(super) fn note_owners(&self, touched: &BTreeSet<(u32, GroupId)>, batch: &mut WriteBatch) -> Result<Vec<(u32, GroupId)>> {
        let owners = self.owners.read();
        let mut news = Vec::new();
        for (storage, group) in touched {
            if owners.get(storage) != Some(group) {
                batch.put_cf(self.meta_family()?, meta::owner_key(*storage), group.0.to_le_bytes());
                news.push((*storage, *group));
            }
        }
        Ok(news)
    }

    pub(super) fn load_owners(&self) -> Result<BTreeMap<u32, GroupId>> {
        let mut owners = BTreeMap::new();
        for (storage, value) in self.by_storage(b"ownr")? {
            let group = value.first_chunk().ok_or(StorageError::format("state store", "a short owner"))?;
            owners.insert(storage, GroupId(u32::from_le_bytes(*group)));
        }
        Ok(owners)
    }

    /// Notes the owner of every storage that an earlier version filled without noting it, as `owner` says. Costs a seek for each storage.
    pub fn adopt_storages(&self, owner: impl Fn(u32) -> GroupId) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut iterator = self.db.raw_iterator_opt(options);
        let mut batch = WriteBatch::new();
        let mut found = BTreeMap::new();
        iterator.seek_to_first();
        while let Some(storage) = iterator.key().and_then(version_key::storage) {
            if !self.owners.read().contains_key(&storage) {
                let group = owner(storage);
                batch.put_cf(self.meta_family()?, meta::owner_key(storage), group.0.to_le_bytes());
                found.insert(storage, group);
            }
            match storage.checked_add(1) {
                Some(next) => iterator.seek(next.to_be_bytes()),
                None => break,
            }
        }
        iterator.status()?;
        if !found.is_empty() {
            self.write(batch)?;
            self.owners.write().append(&mut found);
        }
        Ok(())
    }
}
