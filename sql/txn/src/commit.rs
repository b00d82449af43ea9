//! From a transaction's buffer and catalog changes to its write set.

use crate::bootstrap::COUNTERS;
use crate::buffer::WriteBuffer;
use crate::database::{Database, write_changes};
use crate::idempotency;
use crate::outcome;
use crate::replication::{FragmentWrites, WriteSet};
use crate::sequence::counter_key;
use crate::serial::Written;
use crate::spill::Spill;
use crate::stage::{Payloads, Stages};
use crate::transaction::Transaction;
use bytes::Bytes;
use curia_catalog::{Catalog, Change, Class, Object, StorageId};
use curia_consensus::ids::GroupId;
use curia_storage::fragment::FragmentWriter;
use curia_types::{Result, SqlError, SqlState};
use std::collections::{BTreeMap, BTreeSet};

impl Database {
    /// Commits what keeps a system table short, beside all transactions.
    pub(crate) async fn commit_housekeeping(&self, writer: FragmentWriter) -> Result<()> {
        let fragment = FragmentWrites {
            group: GroupId(0),
            stages: Vec::new(),
            payload: Bytes::from(writer.finish()),
        };
        let writes = WriteSet {
            begun: Some(self.tenure.load().term),
            after: Vec::new(),
            fragments: vec![fragment],
        };
        self.replication.commit(writes).await.map(|_| ())
    }
}

/// Builds the write set. What is too large for a fragment goes ahead as stage records here.
pub(crate) async fn write_set(txn: &mut Transaction, catalog: &Catalog) -> Result<WriteSet> {
    let db = txn.db.clone();
    let base = db.catalog();
    txn.stages.settle().await;
    let mut payloads = Payloads::new(catalog, db.limits.stage_bytes);
    if let Some(buffer) = &txn.buffer {
        let again = txn.stages.again().to_vec();
        let mut place = (!again.is_empty()).then(Default::default);
        while let Some(from) = place {
            place = buffer.piece_of_spilled(&again, from, db.limits.memory_bytes, |storage, key, row| {
                payloads.write(storage, key, row)
            })?;
            stage_full(&mut txn.stages, &db, &mut payloads).await?;
        }
        buffer.for_each(|storage, key, row| payloads.write(storage, key, row))?;
    }
    let changes = txn.changes();
    if !changes.is_empty() {
        for storage in dropped_storages(changes) {
            let group = base
                .partitions
                .get(&storage)
                .or_else(|| catalog.partitions.get(&storage))
                .map_or(0, |p| p.group);
            payloads.writer(GroupId(group)).drop_storage(storage.0);
        }
        for storage in dropped_sequences(changes, &base) {
            payloads.writer(GroupId(0)).delete(COUNTERS.0, &counter_key(storage))?;
        }
        write_changes(changes, payloads.writer(GroupId(0)))?;
    }
    if let Some(txid) = txn.slot.assigned_txid() {
        outcome::record(payloads.writer(GroupId(0)), txid, db.replication.applied())?;
    }
    if let Some(kept) = &txn.kept {
        idempotency::record(payloads.writer(GroupId(0)), kept, db.replication.applied())?;
    }
    // Pieces that reached the size go ahead; what is left is the fragments' own.
    stage_full(&mut txn.stages, &db, &mut payloads).await?;
    let mut fragments: BTreeMap<GroupId, FragmentWrites> = BTreeMap::new();
    for (group, stages) in txn.stages.places().await? {
        let payload = Bytes::from(curia_storage::fragment::FragmentWriter::new().finish());
        fragments.insert(group, FragmentWrites { group, stages, payload });
    }
    for (group, payload) in payloads.finish() {
        match fragments.get_mut(&group) {
            Some(fragment) => fragment.payload = payload,
            None => {
                fragments.insert(
                    group,
                    FragmentWrites {
                        group,
                        stages: Vec::new(),
                        payload,
                    },
                );
            }
        }
    }
    Ok(WriteSet {
        begun: Some(txn.begun()),
        after: txn.depends.unsettled(),
        fragments: fragments.into_values().collect(),
    })
}

/// What a write set writes, for the validation of others. `buffer` is what it was made from.
pub(crate) fn written(writes: &WriteSet, buffer: Option<&WriteBuffer>) -> Written {
    let mut written = Written::default();
    if writes.fragments.iter().any(|f| !f.stages.is_empty()) {
        written.storages.extend(buffer.into_iter().flat_map(WriteBuffer::storages));
    }
    written.payloads.extend(writes.fragments.iter().map(|f| f.payload.clone()));
    written
}

/// Hands over what has reached the size of a stage record.
async fn stage_full(stages: &mut Stages, db: &Database, payloads: &mut Payloads<'_>) -> Result<()> {
    for (group, payload) in std::mem::take(&mut payloads.full) {
        stages.push(&db.replication, group, u64::MAX - 1..u64::MAX, payload).await?;
    }
    Ok(())
}

/// Storages that these changes give up.
pub(crate) fn dropped_storages(changes: &[Change]) -> BTreeSet<StorageId> {
    let drops = changes.iter().filter_map(|c| match c {
        Change::Drop(key) if key.class == Class::Partition => Some(StorageId(key.oid)),
        _ => None,
    });
    drops.collect()
}

/// Counter generations of sequences that are dropped or restarted.
pub(crate) fn dropped_sequences(changes: &[Change], base: &Catalog) -> Vec<StorageId> {
    let gone = changes.iter().filter_map(|c| match c {
        Change::Drop(key) if key.class == Class::Sequence => base.sequences.get(&key.oid).map(|s| s.storage),
        Change::Put(Object::Sequence(new)) => base
            .sequences
            .get(&new.oid)
            .filter(|old| old.storage != new.storage)
            .map(|old| old.storage),
        _ => None,
    });
    gone.collect()
}

impl Transaction {
    /// Moves the buffer out of memory when it has outgrown its limit, and hands it over to the log ahead of the commit.
    pub(crate) async fn relieve(&mut self) -> Result<()> {
        let limits = &self.db.limits;
        let most = (limits.memory_bytes as u64).min(limits.transaction_bytes);
        let over = self.buffer.as_ref().is_some_and(|b| b.memory_bytes() as u64 > most);
        if over { self.spill().await } else { Ok(()) }
    }

    async fn spill(&mut self) -> Result<()> {
        let Some(buffer) = self.buffer.clone() else { return Ok(()) };
        let catalog = self.catalog();
        let folder = self.db.spill_folder();
        let mut payloads = Payloads::new(&catalog, self.db.limits.stage_bytes);
        let seqs = buffer.move_to_spill(|| Spill::open(&folder), |storage, key, row| payloads.write(storage, key, row))?;
        drop(buffer);
        if self.stages.grow(seqs.clone(), payloads.bytes) > self.db.limits.transaction_bytes {
            self.stages.stage_again(seqs);
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a transaction cannot write more than {} bytes", self.db.limits.transaction_bytes),
            )
            .hint("Write in several transactions, or start the servers with a higher --transaction-limit."));
        }
        let db = self.db.clone();
        for (group, payload) in payloads.finish() {
            self.stages.push(&db.replication, group, seqs.clone(), payload).await?;
        }
        Ok(())
    }
}
