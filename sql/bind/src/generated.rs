//! Generated columns: their expressions in definitions, and their values in new rows.

use crate::binder::Binder;
use crate::ddl::{Shown, with_binder};
use crate::ir::{Expr, ExprKind};
use crate::scope::{Clause, NsItem, Scope};
use crate::walk;
use curia_catalog::{Catalog, Table};
use curia_parse::ast;
use curia_types::{PgType, Result, SqlError, SqlState, oid};
use std::rc::Rc;

/// The stored text of GENERATED ALWAYS AS (..) for a column (index into `Table::columns`).
///
/// # Errors
/// 42P17 when it is not immutable or uses a generated column, 42804 when it does not fit the column; those of binding.
pub fn generated_text(catalog: &Catalog, search_path: &[String], expr: &ast::Expr, table: &Table, column: usize) -> Result<String> {
    let invalid = |message: &str| SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message);
    let target = &table.columns[column];
    let (text, used) = with_binder(catalog, search_path, |b| {
        b.over_table(expr, table, &Shown::stored(table), Clause::Generated, |b, e| {
            if is_mutable(catalog, &e) {
                return Err(invalid("generation expression is not immutable"));
            }
            b.default_of_type(e, target.ty, &target.name)
        })
    })?;
    match used.iter().map(|i| &table.columns[*i]).find(|c| c.generated) {
        None => Ok(text),
        Some(c) => Err(invalid(&format!(
            "cannot use generated column \"{}\" in column generation expression",
            c.name
        ))
        .detail("A generated column cannot reference another generated column.")),
    }
}

/// The columns (indexes into `Table::columns`) that a stored generation expression uses.
///
/// # Errors
/// Those of binding.
pub fn generated_columns_used(catalog: &Catalog, text: &str, table: &Table) -> Result<Vec<usize>> {
    renamed(catalog, text, table, table).map(|(_, used)| used)
}

/// A stored generation expression of `old` with the names that `new` gives to the same columns.
///
/// # Errors
/// Those of binding.
pub fn generated_text_renamed(catalog: &Catalog, text: &str, old: &Table, new: &Table) -> Result<String> {
    renamed(catalog, text, old, new).map(|(text, _)| text)
}

fn renamed(catalog: &Catalog, text: &str, old: &Table, new: &Table) -> Result<(String, Vec<usize>)> {
    let expr = curia_parse::parse_expression(text)?;
    with_binder(catalog, &[], |b| {
        b.over_table(&expr, old, &Shown::stored(new), Clause::Generated, |_, e| Ok(e))
    })
}

/// Whether it may give different results for equal arguments, by what it calls or by the settings that its conversions obey.
fn is_mutable(catalog: &Catalog, e: &Expr) -> bool {
    let by_settings = |ty: PgType| {
        matches!(
            ty.oid,
            oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL | oid::REGCLASS | oid::REGTYPE
        )
    };
    walk::any_expr(e, &mut |e| match &e.kind {
        // `any || text` is the output function of its operand's type, and as stable as that.
        ExprKind::Call {
            function: 2003 | 2004,
            args,
        } => args.iter().any(|a| by_settings(a.ty)),
        ExprKind::Call { function, .. } => !crate::index::is_immutable(catalog, *function),
        ExprKind::IoCast(arg) => arg.ty.oid != e.ty.oid && (by_settings(e.ty) || by_settings(arg.ty)),
        _ => false,
    })
}

impl Binder<'_> {
    /// The values of a table's generated columns (index into `Table::columns`) over a new row.
    pub fn generated(&self, table: &Table, row: &NsItem) -> Result<Vec<(usize, Expr)>> {
        let mut out = Vec::new();
        for (i, c) in table.live_columns().filter(|(_, c)| c.generated) {
            let Some(text) = &c.default else { continue };
            let mut scope = Scope::root();
            // Stored text names columns bare or by the table's own name.
            let mut item = row.clone();
            item.name.clone_from(&table.name);
            scope.items.push(Rc::new(item));
            let parsed = curia_parse::parse_expression(text)?;
            let value = self.expr_in(&parsed, &scope, Clause::Generated)?;
            let value = self.assign(value, c.ty, &c.name)?;
            out.push((i, walk::without_positions(&value)));
        }
        Ok(out)
    }
}
