//! Fills fresh storages: an index of a loaded table, a table whose row key or column types change.
//!
//! The caller holds a lock that keeps writers away. Everything goes through the transaction's buffer, which spills, so a table of any size
//! fits; nobody else reads a fresh storage before the catalog row that names it commits.

use crate::Ddl;
use curia_catalog::{Index, Table};
use curia_txn::IndexEntry;
use curia_types::{Datum, Result, SqlError, SqlState, text_io};

/// Rows between two looks at whether the statement was cancelled.
const ROWS_PER_STEP: usize = 1024;

impl Ddl<'_> {
    /// Writes the entries of `index` for every row of `table` as it is stored now.
    pub(crate) async fn fill_index(&mut self, table: &Table, index: &Index) -> Result<()> {
        let mut rows = self.tx.scan_table(table)?;
        while let Some(batch) = rows.next_batch(ROWS_PER_STEP)? {
            for (key, row) in batch {
                self.put_entry(table, index, &key, &row)?;
            }
            self.tx.spill_if_large().await?;
        }
        Ok(())
    }

    /// Copies the rows of `old` into the storages of `new` (same columns, other row key or indexes).
    pub(crate) async fn refill(&mut self, old: &Table, new: &Table) -> Result<()> {
        let mut rows = self.tx.scan_table(old)?;
        while let Some(batch) = rows.next_batch(ROWS_PER_STEP)? {
            for (_, row) in batch {
                self.put_row(new, &row).await?;
            }
            self.tx.spill_if_large().await?;
        }
        Ok(())
    }

    /// Fills the storages of `new` with the rows of a query, one value for each live column of `new` in order.
    pub(crate) async fn refill_from(&mut self, new: &Table, query: &str) -> Result<()> {
        let live: Vec<usize> = new.live_columns().map(|(i, _)| i).collect();
        let mut rows = self.queries.open(self.tx, query).await?;
        while let Some(batch) = rows.next().await? {
            for values in batch {
                let mut row = vec![Datum::Null; new.columns.len()];
                for (i, value) in live.iter().zip(values) {
                    if value.is_null() && new.columns[*i].not_null {
                        return Err(contains_nulls(new, *i));
                    }
                    row[*i] = value;
                }
                self.put_row(new, &row).await?;
            }
            self.tx.spill_if_large().await?;
        }
        Ok(())
    }

    /// Whether any row satisfies a condition over the table's columns.
    pub(crate) async fn any_row(&mut self, table: &Table, condition: &str) -> Result<bool> {
        let query = format!("SELECT 1 FROM {} WHERE {condition} LIMIT 1", self.qualified(table));
        let mut rows = self.queries.open(self.tx, &query).await?;
        while let Some(batch) = rows.next().await? {
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The value of an expression without columns.
    pub(crate) async fn value(&mut self, expression: &str) -> Result<Datum> {
        let mut rows = self.queries.open(self.tx, &format!("SELECT {expression}")).await?;
        let first = rows.next().await?.and_then(|batch| batch.into_iter().next()).and_then(|row| row.into_iter().next());
        first.ok_or_else(|| SqlError::internal("an expression without a value"))
    }

    /// `schema.table`, quoted, for queries.
    pub(crate) fn qualified(&self, table: &Table) -> String {
        let catalog = self.catalog();
        let schema = catalog.schema_name(table.schema);
        format!("{}.{}", curia_parse::quote_identifier(schema), curia_parse::quote_identifier(&table.name))
    }

    async fn put_row(&mut self, table: &Table, row: &[Datum]) -> Result<()> {
        let key = self.tx.row_key(table, row).await?;
        if !table.row_key.is_empty() {
            if let Some(i) = table.row_key.iter().find(|i| row[**i].is_null()) {
                return Err(contains_nulls(table, *i));
            }
            if self.tx.exists_fresh(table.storage, &key)?
                && let Some(index) = table.primary_key()
            {
                return Err(duplicated(table, index, row));
            }
        }
        self.tx.put_fresh_row(table, &key, row)?;
        for index in table.indexes.iter().filter(|i| i.storage.is_some()) {
            self.put_entry(table, index, &key, row)?;
        }
        Ok(())
    }

    fn put_entry(&mut self, table: &Table, index: &Index, key: &[u8], row: &[Datum]) -> Result<()> {
        let Some(storage) = index.storage else { return Ok(()) };
        let entry = IndexEntry::of(table, index, row, key)?;
        if entry.unique && self.tx.exists_fresh(storage, &entry.key)? {
            return Err(duplicated(table, index, row));
        }
        self.tx.put_fresh(storage, &entry.key, &entry.value)
    }
}

fn contains_nulls(table: &Table, column: usize) -> SqlError {
    SqlError::new(
        SqlState::NOT_NULL_VIOLATION,
        format!("column \"{}\" of relation \"{}\" contains null values", table.columns[column].name, table.name),
    )
    .column(&table.columns[column].name)
}

fn duplicated(table: &Table, index: &Index, row: &[Datum]) -> SqlError {
    let names: Vec<&str> = index.keys.iter().map(|k| table.columns[k.column].name.as_str()).collect();
    let values: Vec<String> = index.keys.iter().map(|k| text_io::to_string(table.columns[k.column].ty, &row[k.column])).collect();
    SqlError::new(SqlState::UNIQUE_VIOLATION, format!("could not create unique index \"{}\"", index.name))
        .detail(format!("Key ({})=({}) is duplicated.", names.join(", "), values.join(", ")))
        .constraint(&index.name)
}
