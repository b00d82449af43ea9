//! [`TableLayout`]: how one table's rows and index entries become keys and bytes. Compiled once from the catalog's table, shared by plans.
//!
//! ```text
//! row            storage of the table:   row key = primary key columns, or the hidden row id (int8)   ->  row
//! index entry    storage of the index:   index columns [++ row key]                                  ->  u8 1 ++ row key
//! ```
//!
//! The row key is part of an entry's key unless the index is unique and no column of the entry is NULL (or NULLs are not distinct): then
//! there is one entry a value, and its key is what inserters lock. In a deferrable unique index it always is: entries of one value may
//! stand side by side until the check.
//!
//! Indexes on expressions and partial ones see a *full row*: the table's columns, then the values of the expressions ([`Computed`]).

use curia_catalog::{Index, Oid, StorageId, Table};
use curia_storage::key;
use curia_storage::row::RowLayout;
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::borrow::Cow;
use std::sync::Arc;

/// Computes what indexes of a table hold besides its columns.
pub trait Computed: Send + Sync {
    /// Over a row of the table: for each index with entries of its own, in order, the values of its expressions, then of its predicate.
    fn values(&self, row: &[Datum]) -> Result<Vec<Datum>>;
}

/// First byte of an index entry's value: the store reserves zero.
const ENTRY: u8 = 1;

/// A table as keys and bytes.
#[derive(Clone)]
pub struct TableLayout {
    table: Arc<Table>,
    schema_name: Arc<str>,
    row: RowLayout,
    row_key: Vec<KeyColumn>,
    indexes: Vec<IndexLayout>,
    /// Columns of full rows that are computed.
    computed_columns: usize,
    computed: Option<Arc<dyn Computed>>,
}

/// A column of a key.
#[derive(Clone, Copy, Debug)]
struct KeyColumn {
    /// Position in a full row; below the number of the table's columns an index into `Table::columns`.
    column: usize,
    ty: PgType,
    descending: bool,
    nulls_first: bool,
}

/// How an index entry alone gives some columns of its row.
#[derive(Clone, Debug)]
pub struct Cover {
    /// The leading columns of the entry's key, as far as one is asked for, then those of the row key.
    key: Vec<KeyColumn>,
    row_key: Vec<KeyColumn>,
    /// Positions among these, for each column asked for.
    from: Vec<usize>,
}

impl Cover {
    /// The columns, from an entry's key and the row key that its value holds.
    pub fn decode(&self, key: &[u8], row_key: &[u8]) -> Result<Vec<Datum>> {
        let mut held = Vec::with_capacity(self.key.len() + self.row_key.len());
        decode_columns(&self.key, key, &mut held)?;
        decode_columns(&self.row_key, row_key, &mut held)?;
        // Mostly they are in order already.
        if self.from.iter().copied().eq(0..held.len()) {
            return Ok(held);
        }
        Ok(self.from.iter().map(|i| held[*i].clone()).collect())
    }
}

/// What became of a row in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The predicate of a partial index leaves the row out.
    None,
    /// The key alone is what is unique.
    Unique,
    /// The row key ends the entry's key: others of the same value may stand beside it.
    Shared,
}

/// A secondary index as keys and bytes.
#[derive(Clone)]
pub struct IndexLayout {
    /// Position in `Table::indexes`.
    position: usize,
    oid: Oid,
    storage: StorageId,
    unique: bool,
    nulls_not_distinct: bool,
    deferrable: bool,
    incomplete: bool,
    columns: Vec<KeyColumn>,
    /// Position of the predicate's value in a full row.
    predicate: Option<usize>,
}

impl TableLayout {
    /// Compiles the layout of a table; `schema_name` appears in errors.
    pub fn new(table: Arc<Table>, schema_name: &str) -> Result<TableLayout> {
        let types: Vec<PgType> = table.columns.iter().map(|c| c.ty).collect();
        let row_key = table
            .row_key
            .iter()
            .map(|&column| KeyColumn {
                column,
                ty: table.columns[column].ty,
                descending: false,
                nulls_first: false,
            })
            .collect();
        let mut slots = table.columns.len();
        let indexes = table
            .indexes
            .iter()
            .enumerate()
            .filter_map(|(i, index)| Some(IndexLayout::new(&table, i, index.storage?, index, &mut slots)))
            .collect();
        Ok(TableLayout {
            row: row_layout(&table, &types)?,
            row_key,
            indexes,
            schema_name: schema_name.into(),
            computed_columns: slots - table.columns.len(),
            computed: None,
            table,
        })
    }

    /// The same with what computes the values of its indexes.
    #[must_use]
    pub fn computing(self, computed: Option<Arc<dyn Computed>>) -> TableLayout {
        TableLayout { computed, ..self }
    }

    /// A full row: what indexes are made from.
    pub fn full<'r>(&self, row: &'r [Datum]) -> Result<Cow<'r, [Datum]>> {
        if self.computed_columns == 0 {
            return Ok(Cow::Borrowed(row));
        }
        let computed = self
            .computed
            .as_ref()
            .ok_or_else(|| SqlError::internal("a layout lacks the expressions of its indexes"))?;
        let mut full = row[..self.table.columns.len()].to_vec();
        full.extend(computed.values(row)?);
        if full.len() != row.len().min(self.table.columns.len()) + self.computed_columns {
            return Err(SqlError::internal("expressions of indexes gave another number of values"));
        }
        Ok(Cow::Owned(full))
    }

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }
    /// The table's schema.
    pub fn schema_name(&self) -> &str {
        &self.schema_name
    }
    /// Where the rows are.
    pub fn storage(&self) -> StorageId {
        self.table.storage
    }
    /// How rows decode.
    pub fn row(&self) -> &RowLayout {
        &self.row
    }
    /// Whether rows are keyed by the hidden row id.
    pub fn keyed_by_row_id(&self) -> bool {
        self.row_key.is_empty()
    }
    /// Indexes that have entries of their own.
    pub fn indexes(&self) -> &[IndexLayout] {
        &self.indexes
    }
    /// An index with entries of its own, by OID.
    pub fn index(&self, oid: Oid) -> Option<&IndexLayout> {
        self.indexes.iter().find(|i| i.oid == oid)
    }
    /// The index that is the row key itself.
    pub fn key_index(&self) -> Option<&Index> {
        self.table.indexes.iter().find(|i| i.storage.is_none())
    }

    /// How an index (by position in [`TableLayout::indexes`]) gives these columns without their rows; `None` when it does not hold them all.
    pub fn cover(&self, index: usize, columns: &[usize]) -> Option<Cover> {
        let index = &self.indexes[index].columns;
        let place = |column: &usize| {
            let of = |keys: &[KeyColumn]| keys.iter().position(|k| k.column == *column && key::exact(k.ty.oid));
            of(index).map(Ok).or_else(|| of(&self.row_key).map(Err))
        };
        let places = columns.iter().map(place).collect::<Option<Vec<_>>>()?;
        let length = |n: Option<usize>| n.map_or(0, |n| n + 1);
        let keys = length(places.iter().filter_map(|p| p.ok()).max());
        let row_keys = length(places.iter().filter_map(|p| p.err()).max());
        Some(Cover {
            key: index[..keys].to_vec(),
            row_key: self.row_key[..row_keys].to_vec(),
            from: places.into_iter().map(|p| p.unwrap_or_else(|of_row| keys + of_row)).collect(),
        })
    }

    /// Appends the row key of a row whose table has a primary key.
    pub fn encode_row_key(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        encode(&self.row_key, row, out)
    }

    /// Appends the first columns of a row key, for ranges and lookups. `values` are of the columns' types, none NULL.
    pub fn encode_row_key_prefix(&self, values: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        encode_prefix(&self.row_key, values, out)
    }

    /// Appends a row as bytes; `row` has a value for each of `Table::columns`, NULL for dropped ones.
    pub fn encode_row(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        self.row.encode(row, out)?;
        Ok(())
    }

    /// Decodes all columns of a row.
    pub fn decode_row(&self, row: &[u8]) -> Result<Vec<Datum>> {
        (0..self.table.columns.len()).map(|i| Ok(self.row.decode(row, i)?)).collect()
    }
}

/// Rows stored before a column was added read its missing value.
fn row_layout(table: &Table, types: &[PgType]) -> Result<RowLayout> {
    let missing = table
        .columns
        .iter()
        .map(|c| match &c.missing {
            Some(text) => curia_types::text_io::parse(c.ty, text, &curia_types::IoContext::default()),
            None => Ok(Datum::Null),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RowLayout::new(types, missing))
}

impl IndexLayout {
    /// `slots` counts the columns of full rows.
    fn new(table: &Table, position: usize, storage: StorageId, index: &Index, slots: &mut usize) -> IndexLayout {
        let mut slot = || {
            *slots += 1;
            *slots - 1
        };
        let columns = index
            .keys
            .iter()
            .map(|k| KeyColumn {
                column: k.as_column().unwrap_or_else(&mut slot),
                ty: k.ty(table),
                descending: k.descending,
                nulls_first: k.nulls_first,
            })
            .collect();
        let predicate = index.predicate.as_ref().map(|_| slot());
        IndexLayout {
            position,
            oid: index.oid,
            storage,
            unique: index.unique,
            nulls_not_distinct: index.nulls_not_distinct,
            deferrable: index.deferrable,
            incomplete: index.incomplete,
            columns,
            predicate,
        }
    }

    /// The index's OID.
    pub fn oid(&self) -> Oid {
        self.oid
    }
    /// Position in `Table::indexes`.
    pub fn position(&self) -> usize {
        self.position
    }
    /// Where the entries are.
    pub fn storage(&self) -> StorageId {
        self.storage
    }
    /// UNIQUE.
    pub fn unique(&self) -> bool {
        self.unique
    }
    /// UNIQUE and checked at the end of a statement or transaction.
    pub fn deferrable(&self) -> bool {
        self.deferrable
    }
    /// Not all rows have their entries yet.
    pub(crate) fn incomplete(&self) -> bool {
        self.incomplete
    }
    /// The key columns, as positions in a full row.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().map(|c| c.column)
    }
    /// Whether no other row may have the key values of this one.
    pub(crate) fn is_unique_of(&self, full: &[Datum]) -> bool {
        self.unique && (self.nulls_not_distinct || self.columns.iter().all(|c| !full[c.column].is_null()))
    }

    /// Appends an entry's key for a full row.
    pub fn encode_entry(&self, full: &[Datum], row_key: &[u8], out: &mut Vec<u8>) -> Result<Entry> {
        if let Some(predicate) = self.predicate
            && full[predicate] != Datum::Bool(true)
        {
            return Ok(Entry::None);
        }
        encode(&self.columns, full, out)?;
        if self.is_unique_of(full) && !self.deferrable {
            return Ok(Entry::Unique);
        }
        out.extend_from_slice(row_key);
        Ok(Entry::Shared)
    }

    /// Appends the key values of a full row, without a row key.
    pub(crate) fn encode_key(&self, full: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        encode(&self.columns, full, out)
    }

    /// Appends the first columns of an entry's key, for ranges and lookups.
    pub fn encode_prefix(&self, values: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        encode_prefix(&self.columns, values, out)
    }

    /// Decodes the columns of an entry's key, in index order.
    pub fn decode_entry(&self, key: &[u8]) -> Result<Vec<Datum>> {
        let mut out = Vec::with_capacity(self.columns.len());
        decode_columns(&self.columns, key, &mut out)?;
        Ok(out)
    }
}

fn decode_columns(columns: &[KeyColumn], mut key: &[u8], out: &mut Vec<Datum>) -> Result<()> {
    for c in columns {
        let (value, rest) = key::decode(key, c.ty, c.descending, c.nulls_first)?;
        out.push(value);
        key = rest;
    }
    Ok(())
}

/// The value of an index entry.
pub(crate) fn entry_value(row_key: &[u8]) -> Vec<u8> {
    [&[ENTRY], row_key].concat()
}

/// The row key that an index entry's value holds.
pub fn entry_row_key(value: &[u8]) -> Result<&[u8]> {
    match value.split_first() {
        Some((&ENTRY, row_key)) => Ok(row_key),
        _ => Err(SqlError::new(SqlState::DATA_CORRUPTED, "unreadable index entry")),
    }
}

fn encode(columns: &[KeyColumn], row: &[Datum], out: &mut Vec<u8>) -> Result<()> {
    for c in columns {
        key::encode(&row[c.column], c.ty, c.descending, c.nulls_first, out)?;
    }
    Ok(())
}

fn encode_prefix(columns: &[KeyColumn], values: &[Datum], out: &mut Vec<u8>) -> Result<()> {
    for (c, value) in columns.iter().zip(values) {
        key::encode(value, c.ty, c.descending, c.nulls_first, out)?;
    }
    Ok(())
}
