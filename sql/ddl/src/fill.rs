//! Fills fresh storages: an index of a loaded table, a table whose row key or column types change.
//!
//! The caller holds a lock that keeps writers away. Everything goes through the transaction's buffer, which spills, so a table of any size
//! fits; nobody else reads a fresh storage before the catalog row that names it commits.

use crate::{Ddl, Rows};
use curia_catalog::{Index, Table};
use curia_txn::{BuildPhase, Direction, KeyRange, TableLayout, ViewScan, give_way};
use curia_types::{Datum, Result, SqlError, SqlState, length};
use std::sync::Arc;

/// Rows that are copied out of a scan before they are written: a scan and a write can't borrow the transaction at once.
const ROWS_PER_STEP: usize = 1024;

impl Ddl<'_> {
    /// Writes the entries of `index` for every row of `table` as it is stored now. `command` is shown to who asks what goes on.
    pub(crate) async fn fill_index(&mut self, table: &Table, index: &Index, command: &'static str) -> Result<()> {
        let mut with_index = table.clone();
        with_index.indexes.push(index.clone());
        let layout = self.layout(&with_index)?;
        let entries = layout
            .index(index.oid)
            .ok_or_else(|| SqlError::internal("an index without storage is being filled"))?;
        let build = self
            .tx
            .database()
            .show_build(self.tx.slot().process_id(), table.oid, index.oid, command);
        build.expect_rows(count(self.scan(&layout)).await?);
        build.enter(BuildPhase::Building);
        let mut scan = self.scan(&layout);
        while let Some(rows) = step(&mut scan).await? {
            build.advance(rows.len());
            for (key, row) in rows {
                self.tx.build_entry(&layout, entries, &layout.decode_row(&row)?, &key).await?;
            }
        }
        Ok(())
    }

    /// Copies the rows of `old` into the storages of `new` (same columns, other row key or indexes).
    pub(crate) async fn refill(&mut self, old: &Table, new: &Table) -> Result<()> {
        let (old, new) = (self.layout(old)?, self.layout(new)?);
        let mut scan = self.scan(&old);
        while let Some(rows) = step(&mut scan).await? {
            for (_, row) in rows {
                self.build(&new, &old.decode_row(&row)?).await?;
            }
        }
        Ok(())
    }

    /// Fills the storages of `new` with the rows of a query, one value for each live column of `new` in order.
    pub(crate) async fn refill_from(&mut self, new: &Table, query: &str) -> Result<()> {
        let rows = self.queries.open(self.tx, query).await?;
        self.fill_with(new, rows).await.map(|_| ())
    }

    /// The same with rows that are there; gives their number.
    pub(crate) async fn fill_with(&mut self, new: &Table, mut rows: Box<dyn Rows>) -> Result<u64> {
        let layout = self.layout(new)?;
        let live: Vec<usize> = new.live_columns().map(|(i, _)| i).collect();
        let mut count = 0;
        while let Some(batch) = rows.next().await? {
            count += batch.len() as u64;
            for values in batch {
                let mut row = vec![Datum::Null; new.columns.len()];
                for (i, value) in live.iter().zip(values) {
                    row[*i] = length::coerce(new.columns[*i].ty, value, false)?;
                }
                self.build(&layout, &row).await?;
            }
        }
        Ok(count)
    }

    /// Whether any row satisfies a condition over the table's columns.
    pub(crate) async fn any_row(&mut self, table: &Table, condition: &str) -> Result<bool> {
        let query = format!("SELECT 1 FROM ONLY {} WHERE {condition} LIMIT 1", self.qualified(table));
        let mut rows = self.queries.open(self.tx, &query).await?;
        while let Some(batch) = rows.next().await? {
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a table has rows, as they are stored now.
    pub(crate) fn holds_rows(&mut self, table: &Table) -> Result<bool> {
        let layout = self.layout(table)?;
        Ok(self.scan(&layout).next()?.is_some())
    }

    /// The value of an expression without columns.
    pub(crate) async fn value(&mut self, expression: &str) -> Result<Datum> {
        let mut rows = self.queries.open(self.tx, &format!("SELECT {expression}")).await?;
        let first = rows
            .next()
            .await?
            .and_then(|batch| batch.into_iter().next())
            .and_then(|row| row.into_iter().next());
        first.ok_or_else(|| SqlError::internal("an expression without a value"))
    }

    /// `schema.table`, quoted, for queries.
    pub(crate) fn qualified(&self, table: &Table) -> String {
        let catalog = self.catalog();
        let schema = catalog.schema_name(table.schema);
        format!(
            "{}.{}",
            curia_parse::quote_identifier(schema),
            curia_parse::quote_identifier(&table.name)
        )
    }

    fn layout(&self, table: &Table) -> Result<TableLayout> {
        self.queries.layout(&self.catalog(), &Arc::new(table.clone()))
    }

    /// Every row of a table, this transaction's own writes included. Nobody else writes it now, so the newest state is the state.
    fn scan(&mut self, layout: &TableLayout) -> ViewScan {
        self.tx.newest_view().scan(layout.storage(), &KeyRange::all(), Direction::Forward)
    }

    async fn build(&mut self, layout: &TableLayout, row: &[Datum]) -> Result<()> {
        for (i, column) in layout.table().live_columns() {
            if column.not_null && row[i].is_null() {
                return Err(contains_nulls(layout.table(), layout.schema_name(), i));
            }
        }
        let key = self.tx.build_row(layout, row).await?;
        for index in layout.indexes() {
            self.tx.build_entry(layout, index, row, &key).await?;
        }
        Ok(())
    }
}

/// Keys and rows as stored.
type StoredRows = Vec<(Vec<u8>, Vec<u8>)>;

/// How many rows a scan has.
pub(crate) async fn count(mut scan: ViewScan) -> Result<usize> {
    let mut rows = 0;
    while scan.next()?.is_some() {
        rows += 1;
        if rows % ROWS_PER_STEP == 0 {
            give_way().await;
        }
    }
    Ok(rows)
}

/// The next rows of a scan. Others get their turn before.
async fn step(scan: &mut ViewScan) -> Result<Option<StoredRows>> {
    give_way().await;
    let mut rows = Vec::new();
    while rows.len() < ROWS_PER_STEP
        && let Some((key, row)) = scan.next()?
    {
        rows.push((key.to_vec(), row.to_vec()));
    }
    Ok(if rows.is_empty() { None } else { Some(rows) })
}

pub(crate) fn contains_nulls(table: &Table, schema: &str, column: usize) -> SqlError {
    SqlError::new(
        SqlState::NOT_NULL_VIOLATION,
        format!(
            "column \"{}\" of relation \"{}\" contains null values",
            table.columns[column].name, table.name
        ),
    )
    .table(schema, &table.name)
    .column(&table.columns[column].name)
}
