//! Partition keys and bounds: their expressions checked, and their stored text bound over the columns of a row.

use crate::coerce;
use crate::ddl::{Shown, with_binder};
use crate::deparse::Deparse;
use crate::index::require_immutable;
use crate::name::index_column_name;
use crate::scope::{Clause, Scope};
use curia_catalog::partition::PartitionKey;
use curia_catalog::{Catalog, KeyOf, Table};
use curia_functions::CastContext;
use curia_parse::ast;
use curia_types::{PgType, Result, SqlError, SqlState, type_info};

/// What an element of PARTITION BY, the `number`th, is a key of, and its type.
///
/// # Errors
/// 42703, 42P17 for what a row's place may not depend on, and those of binding.
pub fn partition_key(
    catalog: &Catalog,
    search_path: &[String],
    number: usize,
    element: &ast::Expr,
    table: &Table,
) -> Result<(KeyOf, PgType)> {
    let wrong = |message: &str| SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message);
    let generated = |column: usize| {
        wrong("cannot use generated column in partition key")
            .detail(format!("Column \"{}\" is a generated column.", table.columns[column].name))
    };
    let pos = Some(element.pos);
    if let ast::ExprKind::Column(parts) = &element.kind
        && let [name] = parts.as_slice()
    {
        let Some((i, column)) = table.column(&name.name) else {
            return Err(match name.name.as_str() {
                name @ ("ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid") => {
                    wrong(&format!("cannot use system column \"{name}\" in partition key"))
                }
                name => SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" named in partition key does not exist"),
                ),
            }
            .at(Some(name.pos)));
        };
        if column.generated {
            return Err(generated(i).at(Some(name.pos)));
        }
        return Ok((KeyOf::Column(i), column.ty));
    }
    let pseudo = |ty: PgType| match type_info::by_oid(ty.oid) {
        Some(t) if t.category == 'P' || ty.oid == curia_types::oid::UNKNOWN => Err(SqlError::new(
            SqlState::INVALID_TABLE_DEFINITION,
            format!(
                "partition key column {number} has pseudo-type {}",
                type_info::format_type(ty.oid, -1)
            ),
        )),
        _ => Ok(()),
    };
    with_binder(catalog, search_path, |b| {
        let mut ty = PgType::TEXT;
        let (text, columns) = b.over_table(element, table, &Shown::stored(table), Clause::PartitionKey, |_, e| {
            pseudo(e.ty)?;
            require_immutable(catalog, &e, "partition key expression")?;
            ty = e.ty;
            Ok(e)
        })?;
        if let Some(column) = columns.iter().find(|c| table.columns[**c].generated) {
            return Err(generated(*column).at(pos));
        }
        if columns.is_empty() {
            return Err(wrong("cannot use constant expression as partition key"));
        }
        // An expression in parentheses that is a column is that column.
        if let ast::ExprKind::Column(_) = &element.kind
            && let [column] = columns.as_slice()
        {
            return Ok((KeyOf::Column(*column), ty));
        }
        let name = index_column_name(element);
        Ok((KeyOf::Expression { text, ty, name }, ty))
    })
}

/// The text of a value of a partition's bound in the type of the key's column, which messages call `column`.
///
/// # Errors
/// 42804 when it cannot be cast; 0A000 for column references and subqueries; those of binding.
pub fn bound_value(catalog: &Catalog, search_path: &[String], expr: &ast::Expr, column: &str, ty: PgType) -> Result<String> {
    with_binder(catalog, search_path, |b| {
        let bound = b.expr_in(expr, &Scope::root(), Clause::PartitionBound)?;
        let position = bound.position;
        let cast = b.coerce(bound, ty, CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "specified value cannot be cast to type {} for column \"{column}\"",
                    coerce::type_text(ty.oid)
                ),
            )
            .at(position)
        })?;
        Ok(Deparse {
            column: &|_| None,
            names: None,
            pretty: false,
            catalog: b.cx.catalog,
            special: None,
        }
        .text(&cast))
    })
}

/// The columns (indexes into `Table::columns`) that a partition key's expressions use.
///
/// # Errors
/// Those of binding.
pub fn expression_columns(catalog: &Catalog, table: &Table, key: &PartitionKey) -> Result<Vec<usize>> {
    let mut out = Vec::new();
    for column in &key.columns {
        if let KeyOf::Expression { text, .. } = &column.of {
            let expr = curia_parse::parse_expression(text)?;
            let (_, columns) = with_binder(catalog, &[], |b| {
                b.over_table(&expr, table, &Shown::stored(table), Clause::PartitionKey, |_, e| Ok(e))
            })?;
            out.extend(columns);
        }
    }
    Ok(out)
}

/// The key after its table's columns were renamed: its texts with the names of `new`.
///
/// # Errors
/// Those of binding.
pub fn key_renamed(catalog: &Catalog, key: &PartitionKey, old: &Table, new: &Table) -> Result<PartitionKey> {
    let mut out = key.clone();
    for column in &mut out.columns {
        if let KeyOf::Expression { text, .. } = &mut column.of {
            let expr = curia_parse::parse_expression(text)?;
            let renamed = with_binder(catalog, &[], |b| {
                b.over_table(&expr, old, &Shown::stored(new), Clause::PartitionKey, |_, e| Ok(e))
            })?;
            *text = renamed.0;
        }
    }
    Ok(out)
}
