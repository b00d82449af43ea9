//! Tables with descendants: what a name stands for that is written without ONLY.
//!
//! ```text
//!   CREATE TABLE p (a int, b text);  CREATE TABLE c (x int) INHERITS (p);
//!
//!   FROM p       SetOp UNION ALL  a, b, key, tableoid
//!                  ├─ p           a, b, 'p' || key, 'p'
//!                  └─ c           a, b, 'c' || key, 'c'       by name, whatever its columns' order
//! ```
//!
//! A row key says nothing of its table, so those of an append begin with the table's OID ([`tagged_key`], [`split_key`]): row locks,
//! cursors, UPDATE and DELETE find the table of a row by it.

use crate::binder::Binder;
use crate::ddl::with_folding_binder;
use crate::index::RowColumns;
use crate::ir::*;
use crate::scope::{Clause, Scope};
use crate::walk;
use curia_catalog::partition::{PartitionColumn, Partitions};
use curia_catalog::{Catalog, KeyOf, Oid, Table};
use curia_types::{Datum, PgType, Result, SqlError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

/// `pg_proc.oid` of `byteacat`.
const BYTEACAT: u32 = 2011;

/// Whether a name without ONLY stands for more, or for others, than the table itself.
pub fn is_family(catalog: &Catalog, table: &Table) -> bool {
    table.is_partitioned() || catalog.has_children(table.oid)
}

/// The tables whose rows a name without ONLY stands for, in the order of a scan: partitions by their bounds, children by OID. A table
/// without descendants is the only one; a partitioned table has no rows of its own.
///
/// # Errors
/// XX001 for stored bounds that cannot be read.
pub fn members(catalog: &Catalog, table: &Arc<Table>) -> Result<Vec<Arc<Table>>> {
    if !table.is_partitioned() {
        let family = catalog.family(table.oid).into_iter();
        let found = family.filter_map(|oid| catalog.tables.get(&oid));
        // The table itself may be newer than the catalog that names its children.
        return Ok(found.map(|t| Arc::clone(if t.oid == table.oid { table } else { t })).collect());
    }
    let mut out = Vec::new();
    let mut waiting = vec![Arc::clone(table)];
    while let Some(next) = waiting.pop() {
        match next.partitions(catalog)? {
            None => out.push(next),
            Some(partitions) => {
                let mut below: Vec<Arc<Table>> = partitions.oids().filter_map(|oid| catalog.tables.get(&oid).cloned()).collect();
                below.reverse();
                waiting.append(&mut below);
            }
        }
    }
    Ok(out)
}

/// For each column of `of` (index into its columns) the column of `other` with the same name; `None` for dropped ones and those that the
/// other has not.
pub fn columns_by_name(of: &Table, other: &Table) -> Vec<Option<usize>> {
    let found = of
        .columns
        .iter()
        .map(|c| (!c.dropped).then(|| other.column(&c.name).map(|(i, _)| i)).flatten());
    found.collect()
}

/// A row key with its table.
pub fn tagged_key(table: Oid, key: &[u8]) -> Arc<[u8]> {
    [&table.to_be_bytes()[..], key].concat().into()
}

/// The table and the row key that a tagged key is of; `None` for what is none.
pub fn split_key(tagged: &[u8]) -> Option<(Oid, &[u8])> {
    let (table, key) = tagged.split_first_chunk::<4>()?;
    Some((Oid::from_be_bytes(*table), key))
}

/// The columns that an append of a family's tables gives.
pub(crate) struct FamilyColumns<'c> {
    /// (index into the parent's columns, output)
    pub columns: &'c [(usize, RelColumn)],
    pub row_key: ColId,
    pub tableoid: ColId,
}

impl Binder<'_> {
    /// The statement reads or changes a table and those below it.
    pub(crate) fn uses_family(&self, table: &Table) {
        self.cx.catalog.family(table.oid).into_iter().for_each(|oid| self.uses_table(oid));
    }

    /// The rows of a family.
    pub(crate) fn append(&self, parent: &Table, tables: &[Arc<Table>], gives: &FamilyColumns<'_>) -> Result<Rel> {
        let key = RelColumn {
            id: gives.row_key,
            ty: PgType::BYTEA,
        };
        let tableoid = RelColumn {
            id: gives.tableoid,
            ty: PgType::OID,
        };
        let columns: Vec<RelColumn> = gives.columns.iter().map(|(_, c)| c.clone()).chain([key, tableoid]).collect();
        if tables.is_empty() {
            return Ok(Rel::Values { rows: Vec::new(), columns });
        }
        let mut inputs = Vec::with_capacity(tables.len());
        let mut levels = Levels::new();
        for table in tables {
            inputs.push(self.member(parent, table, gives, &mut levels)?);
        }
        Ok(Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            columns,
        })
    }

    /// One table's part of an append, with its columns in order.
    fn member(&self, parent: &Table, table: &Arc<Table>, gives: &FamilyColumns<'_>, levels: &mut Levels) -> Result<(Rel, Vec<ColId>)> {
        let places = columns_by_name(parent, table);
        let mut scanned = Vec::with_capacity(gives.columns.len());
        let mut columns = Vec::with_capacity(gives.columns.len() + 2);
        for (i, given) in gives.columns {
            let place = places[*i].ok_or_else(|| {
                let column = &parent.columns[*i].name;
                SqlError::internal(format!("table \"{}\" has no column \"{column}\" of its parent", table.name))
            })?;
            let below = self.column(table.columns[place].ty);
            columns.push((self.column(given.ty), column(&below)));
            scanned.push((place, below));
        }
        let row_key = RelColumn {
            id: self.column_id(),
            ty: PgType::BYTEA,
        };
        let tag = self.constant(Datum::Bytea(tagged_key(table.oid, &[])), PgType::BYTEA, None);
        let tagged = self.call_function(BYTEACAT, vec![tag, column(&row_key)], PgType::BYTEA, None);
        columns.push((self.column(PgType::BYTEA), tagged));
        columns.push((self.column(PgType::OID), self.constant(Datum::Oid(table.oid), PgType::OID, None)));
        let outputs = columns.iter().map(|(c, _)| c.id).collect();
        let scan = Scan {
            within: self.within(parent, table, &scanned, levels)?,
            computed: self.computed_indexes(table, &scanned)?,
            table: Arc::clone(table),
            columns: scanned,
            row_key: Some(row_key.id),
        };
        let rel = Rel::Project {
            input: Box::new(Rel::Scan(scan)),
            columns,
        };
        Ok((rel, outputs))
    }
}

/// The partitions and the bound keys of the partitioned tables of a family.
type Levels = HashMap<Oid, Option<(Arc<Partitions>, RowColumns, Vec<Expr>)>>;

impl Binder<'_> {
    /// The partitions between a partitioned table and one of its leaves, over a scan of the leaf.
    fn within(&self, parent: &Table, leaf: &Arc<Table>, scanned: &[(usize, RelColumn)], levels: &mut Levels) -> Result<Arc<[Within]>> {
        let catalog = self.cx.catalog;
        let mut out = Vec::new();
        let mut at = leaf;
        while at.oid != parent.oid
            && let Some(above) = at.partition_of().and_then(|oid| catalog.tables.get(&oid))
        {
            if let Entry::Vacant(level) = levels.entry(above.oid) {
                let known = match above.partitions(catalog)? {
                    // Another operator class has another order, or another hash.
                    Some(partitions) if above.partition_key.iter().flat_map(|k| &k.columns).all(|c| c.opclass.is_none()) => {
                        let (row, key) = self.partition_key(above)?;
                        Some((Arc::new(partitions), row, key))
                    }
                    _ => None,
                };
                level.insert(known);
            }
            if let Some(Some((partitions, row, key))) = levels.get(&above.oid) {
                let places = columns_by_name(above, leaf);
                let of = |id: ColId| {
                    let place = row.iter().find(|(_, c)| c.id == id).and_then(|(i, _)| places[*i])?;
                    scanned.iter().find(|(i, _)| *i == place).map(|(_, c)| column(c))
                };
                let mut key = key.clone();
                for value in &mut key {
                    walk::replace(value, &mut |e| match e.kind {
                        ExprKind::Column(id) => of(id),
                        _ => None,
                    });
                }
                out.push(Within {
                    partitions: partitions.clone(),
                    partition: at.oid,
                    key: key.into(),
                });
            }
            at = above;
        }
        Ok(out.into())
    }
}

fn column(c: &RelColumn) -> Expr {
    Expr {
        kind: ExprKind::Column(c.id),
        ty: c.ty,
        position: None,
    }
}

/// What a table demands of new rows, over a row of its live columns.
pub struct RowRules {
    /// (index into `Table::columns`, column)
    pub row: RowColumns,
    /// Generated columns: (index into `Table::columns`, value).
    pub generated: Vec<(usize, Expr)>,
    /// CHECK constraints.
    pub checks: Vec<Check>,
}

/// The generated columns and CHECK constraints of a table, bound.
///
/// # Errors
/// Those of binding.
pub fn row_rules(catalog: &Catalog, table: &Arc<Table>) -> Result<RowRules> {
    with_folding_binder(catalog, |b| {
        let (row, item) = b.new_row(table, &table.name, true);
        Ok(RowRules {
            generated: b.generated(table, &item)?,
            checks: b.checks(table, &item)?,
            row,
        })
    })
}

/// The columns and expressions of a partitioned table's key, bound over a row of its live columns.
///
/// # Errors
/// Those of binding.
pub fn partition_key(catalog: &Catalog, table: &Arc<Table>) -> Result<(RowColumns, Vec<Expr>)> {
    with_folding_binder(catalog, |b| b.partition_key(table))
}

impl Binder<'_> {
    fn partition_key(&self, table: &Arc<Table>) -> Result<(RowColumns, Vec<Expr>)> {
        let (row, item) = self.new_row(table, &table.name, true);
        let mut scope = Scope::root();
        scope.items.push(Rc::new(item));
        let value = |part: &PartitionColumn| match &part.of {
            KeyOf::Column(i) => {
                let found = row.iter().find(|(at, _)| at == i).map(|(_, c)| column(c));
                found.ok_or_else(|| SqlError::internal("a partition key over a dropped column"))
            }
            KeyOf::Expression { text, .. } => {
                let bound = self.expr_in(&curia_parse::parse_expression(text)?, &scope, Clause::IndexExpression)?;
                Ok(walk::without_positions(&self.text_if_unknown(bound)?))
            }
        };
        let parts = table.partition_key.iter().flat_map(|key| &key.columns);
        let values = parts.map(value).collect::<Result<_>>()?;
        Ok((row, values))
    }
}
