//! What DDL needs beside row operations: identifiers, fresh storages and their contents, sequence generations.
//!
//! A fresh storage is one that this transaction made. Nobody else can see it before the catalog row that names it commits, so filling it
//! takes no locks and checks no committed rows.

use crate::layout::{IndexLayout, TableLayout, entry_value};
use crate::transaction::Transaction;
use crate::view::ViewScan;
use bytes::Bytes;
use curia_catalog::{Index, Oid, Sequence, StorageId, Table};
use curia_storage::state::{Direction, KeyRange};
use curia_types::{Datum, Result};
use std::sync::Arc;

/// An index entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Key in the index's storage.
    pub key: Vec<u8>,
    /// Value: holds the row key.
    pub value: Vec<u8>,
    /// The key alone is what is unique.
    pub unique: bool,
}

impl IndexEntry {
    /// The entry of a row in an index of its table.
    pub fn of(table: &Table, index: &Index, row: &[Datum], row_key: &[u8]) -> Result<IndexEntry> {
        let layout = IndexLayout::new(table, 0, index.storage.unwrap_or(StorageId(0)), index);
        let mut key = Vec::new();
        let unique = layout.encode_entry(row, row_key, &mut key)?;
        Ok(IndexEntry {
            key,
            value: entry_value(row_key),
            unique,
        })
    }
}

/// A row of a table: its key and a value for each of `Table::columns`.
pub type KeyedRow = (Bytes, Vec<Datum>);

/// All rows of a table, decoded, in batches.
pub struct TableRows {
    layout: TableLayout,
    scan: ViewScan,
}

impl TableRows {
    /// Up to `max` rows; `None` at the end.
    pub fn next_batch(&mut self, max: usize) -> Result<Option<Vec<KeyedRow>>> {
        let mut batch = Vec::new();
        while batch.len() < max {
            let Some((key, row)) = self.scan.next()? else { break };
            batch.push((Bytes::copy_from_slice(key), self.layout.decode_row(row)?));
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl Transaction {
    /// Draws an OID.
    pub async fn allocate_oid(&mut self) -> Result<Oid> {
        self.database().next_oid()
    }

    /// Makes a storage: see [`Transaction::new_storage`].
    pub async fn allocate_storage(&mut self) -> Result<StorageId> {
        self.new_storage()
    }

    /// Every row of a table as of now: the newest committed ones and own writes so far. The caller holds a lock that keeps writers out.
    pub fn scan_table(&self, table: &Table) -> Result<TableRows> {
        let layout = TableLayout::new(Arc::new(table.clone()), "")?;
        let scan = self.newest_view().scan(table.storage, &KeyRange::all(), Direction::Forward);
        Ok(TableRows { layout, scan })
    }

    /// The row key for a row of a table that is being filled; draws a hidden row id when the table has no key.
    pub async fn row_key(&mut self, table: &Table, row: &[Datum]) -> Result<Vec<u8>> {
        let layout = self.layout_to_fill(table)?;
        let key = self.new_row_key(&layout, row)?.to_vec();
        self.filling = Some(layout);
        Ok(key)
    }

    /// The layout of the row before is that of this one, unless another table's turn has come.
    fn layout_to_fill(&mut self, table: &Table) -> Result<TableLayout> {
        match self.filling.take() {
            Some(layout) if **layout.table() == *table => Ok(layout),
            _ => TableLayout::new(Arc::new(table.clone()), ""),
        }
    }

    /// Writes a row into a fresh storage, without index entries.
    pub fn put_fresh_row(&mut self, table: &Table, row_key: &[u8], row: &[Datum]) -> Result<()> {
        let layout = self.layout_to_fill(table)?;
        let mut bytes = Vec::new();
        layout.encode_row(row, &mut bytes)?;
        self.filling = Some(layout);
        self.put_fresh(table.storage, row_key, &bytes)
    }

    /// Writes a key of a fresh storage.
    pub fn put_fresh(&mut self, storage: StorageId, key: &[u8], value: &[u8]) -> Result<()> {
        debug_assert!(self.is_fresh(storage), "somebody else may read {storage:?}");
        self.put(storage, key, Some(Bytes::copy_from_slice(value)));
        Ok(())
    }

    /// Whether a key was written into a fresh storage.
    pub fn exists_fresh(&self, storage: StorageId, key: &[u8]) -> Result<bool> {
        self.is_present(storage, key)
    }

    /// Moves the buffer out of memory when it has outgrown its limit. The row operations do so themselves.
    pub async fn spill_if_large(&mut self) -> Result<()> {
        self.relieve().await
    }

    /// Sets the first value of a sequence's fresh generation (RESTART).
    pub async fn start_sequence_at(&mut self, sequence: &Sequence, next: i64) -> Result<()> {
        self.database().restart_sequence(self.slot(), sequence, next)
    }

    /// The value that `nextval` would give, without drawing it.
    pub async fn sequence_next(&mut self, sequence: &Sequence) -> Result<i64> {
        self.database().upcoming_value(sequence)
    }
}
