//! Indexes on expressions and partial ones: their definitions checked, and their stored text bound over the columns of a row or a scan.

use crate::binder::Binder;
use crate::ddl::{Shown, with_binder};
use crate::ir::*;
use crate::name::index_column_name;
use crate::scope::{Clause, NsColumn, NsItem, Scope};
use crate::walk;
use curia_catalog::{Catalog, Index, KeyOf, Table};
use curia_functions::Volatility;
use curia_parse::ast;
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};
use std::rc::Rc;
use std::sync::Arc;

/// What an element of CREATE INDEX is a key of, and its type.
///
/// # Errors
/// 42703, 42P17 for expressions that are not immutable, and those of binding.
pub fn index_key(catalog: &Catalog, search_path: &[String], element: &ast::Expr, table: &Table) -> Result<(KeyOf, PgType)> {
    if let ast::ExprKind::Column(parts) = &element.kind
        && let [name] = parts.as_slice()
    {
        let found = table.column(&name.name).ok_or_else(|| match name.name.as_str() {
            "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid" => {
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "index creation on system columns is not supported")
            }
            name => SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")),
        })?;
        return Ok((KeyOf::Column(found.0), found.1.ty));
    }
    with_binder(catalog, search_path, |b| {
        let mut ty = PgType::TEXT;
        let (text, columns) = b.over_table(element, table, &Shown::stored(table), Clause::IndexExpression, |b, e| {
            let e = b.text_if_unknown(e)?;
            require_immutable(catalog, &e, "index expression")?;
            ty = e.ty;
            Ok(e)
        })?;
        // An expression in parentheses that is a column is that column.
        if let ast::ExprKind::Column(_) = &element.kind
            && let [column] = columns.as_slice()
        {
            return Ok((KeyOf::Column(*column), ty));
        }
        if type_info::by_oid(ty.oid).is_some_and(|t| t.category == 'P') {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!(
                    "column \"{}\" has pseudo-type {}",
                    index_column_name(element),
                    type_info::format_type(ty.oid, -1)
                ),
            ));
        }
        let name = index_column_name(element);
        Ok((KeyOf::Expression { text, ty, name }, ty))
    })
}

/// The text of a partial index's WHERE over a table.
///
/// # Errors
/// 42P17 when it is not immutable, 42804 when it is not boolean, and those of binding.
pub fn index_predicate(catalog: &Catalog, search_path: &[String], condition: &ast::Expr, table: &Table) -> Result<String> {
    with_binder(catalog, search_path, |b| {
        b.over_table(condition, table, &Shown::stored(table), Clause::IndexPredicate, |b, e| {
            let e = b.boolean(e, "WHERE")?;
            require_immutable(catalog, &e, "index predicate")?;
            Ok(e)
        })
    })
    .map(|(text, _)| text)
}

/// The columns (indexes into `Table::columns`) on which an index depends, those of its expressions included.
///
/// # Errors
/// Those of binding.
pub fn index_columns(catalog: &Catalog, table: &Table, index: &Index) -> Result<Vec<usize>> {
    let mut out: Vec<usize> = index.columns().chain(index.include.iter().copied()).collect();
    if index.computes() {
        let (row, computed) = row_indexes(catalog, &Arc::new(table.clone()))?;
        let position = table.indexes.iter().position(|i| i.oid == index.oid);
        for c in computed.iter().filter(|c| Some(c.position) == position) {
            for e in c.keys.iter().flatten().chain(&c.predicate) {
                walk::columns_of(e, &mut |id| out.extend(row.iter().find(|(_, c)| c.id == id).map(|(i, _)| *i)));
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// The index after its table's columns were renamed: its texts with the names of `new`.
///
/// # Errors
/// Those of binding.
pub fn index_renamed(catalog: &Catalog, index: &Index, old: &Table, new: &Table) -> Result<Index> {
    let mut out = index.clone();
    let again = |text: &str, clause| {
        let expr = curia_parse::parse_expression(text)?;
        with_binder(catalog, &[], |b| {
            b.over_table(&expr, old, &Shown::stored(new), clause, |_, e| Ok(e))
        })
        .map(|r| r.0)
    };
    for k in &mut out.keys {
        if let KeyOf::Expression { text, .. } = &mut k.of {
            *text = again(text, Clause::IndexExpression)?;
        }
    }
    if let Some(text) = &mut out.predicate {
        *text = again(text, Clause::IndexPredicate)?;
    }
    Ok(out)
}

/// The columns that expressions are over: (index into `Table::columns`, column).
pub type RowColumns = Vec<(usize, RelColumn)>;

/// A table's indexes on expressions and partial ones, bound over a row of its live columns.
///
/// # Errors
/// Those of binding.
pub fn row_indexes(catalog: &Catalog, table: &Arc<Table>) -> Result<(RowColumns, Arc<[ComputedIndex]>)> {
    if !table.indexes.iter().any(Index::computes) {
        return Ok((Vec::new(), Arc::default()));
    }
    crate::ddl::with_folding_binder(catalog, |b| {
        let (row, _) = b.new_row(table, &table.name, true);
        let computed = b.computed_indexes(table, &row)?;
        Ok((row, computed))
    })
}

impl Binder<'_> {
    /// The indexes of a table that compute something, bound over `row`.
    pub fn computed_indexes(&self, table: &Arc<Table>, row: &[(usize, RelColumn)]) -> Result<Arc<[ComputedIndex]>> {
        if !table.indexes.iter().any(Index::computes) {
            return Ok(Arc::default());
        }
        let item = Rc::new(self.own_item(table, row));
        let bind = |text: &str, clause| -> Result<Expr> {
            let mut scope = Scope::root();
            scope.items.push(item.clone());
            let e = self.expr_in(&curia_parse::parse_expression(text)?, &scope, clause)?;
            Ok(walk::without_positions(&self.text_if_unknown(e)?))
        };
        let mut out = Vec::new();
        for (position, index) in table.indexes.iter().enumerate().filter(|(_, i)| i.computes()) {
            let keys = index.keys.iter().map(|k| match &k.of {
                KeyOf::Column(_) => Ok(None),
                KeyOf::Expression { text, .. } => bind(text, Clause::IndexExpression).map(Some),
            });
            out.push(ComputedIndex {
                position,
                keys: keys.collect::<Result<_>>()?,
                predicate: index.predicate.as_deref().map(|p| bind(p, Clause::IndexPredicate)).transpose()?,
            });
        }
        Ok(out.into())
    }

    /// An item that names columns as the table does.
    fn own_item(&self, table: &Arc<Table>, row: &[(usize, RelColumn)]) -> NsItem {
        let (_, mut item) = self.new_row(table, &table.name, true);
        item.columns = table
            .live_columns()
            .map(|(i, c)| NsColumn {
                name: c.name.clone(),
                column: row
                    .iter()
                    .find(|(at, _)| *at == i)
                    .map_or_else(|| self.column(c.ty), |(_, c)| c.clone()),
                merged: None,
                origin: Some((table.oid, c.attnum)),
            })
            .collect();
        item
    }
}

/// Whether a function is IMMUTABLE, built in or not.
pub(crate) fn is_immutable(catalog: &Catalog, function: u32) -> bool {
    match catalog.functions.get(&function) {
        Some(f) => f.volatility == 'i',
        None => curia_functions::by_oid(function).is_some_and(|f| f.volatility == Volatility::Immutable),
    }
}

/// 42P17 for what may give another value tomorrow.
pub(crate) fn require_immutable(catalog: &Catalog, e: &Expr, place: &str) -> Result<()> {
    let mut changes = false;
    walk::any_expr(e, &mut |e| {
        changes |= match &e.kind {
            ExprKind::Call { function, .. } => !is_immutable(catalog, *function),
            ExprKind::IoCast(arg) => reads_settings(arg.ty.oid, e.ty.oid),
            _ => false,
        };
        changes
    });
    if !changes {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::INVALID_OBJECT_DEFINITION,
        format!("functions in {place} must be marked IMMUTABLE"),
    ))
}

/// Whether a conversion through text depends on DateStyle, TimeZone or the catalog (`provolatile` of the types' input and output).
fn reads_settings(from: u32, to: u32) -> bool {
    use oid::*;
    let out = matches!(from, DATE | TIMESTAMP | TIMESTAMPTZ) || (type_info::is_oid_like(from) && from != OID) || is_nested(from);
    let input =
        matches!(to, DATE | TIME | TIMESTAMP | TIMESTAMPTZ | INTERVAL) || (type_info::is_oid_like(to) && to != OID) || is_nested(to);
    out || input
}

fn is_nested(ty: u32) -> bool {
    ty == oid::RECORD || type_info::element_of(ty).is_some()
}
