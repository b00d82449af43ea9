//! Statements that write or lock rows: a source of rows and row operations of the transaction, never DataFusion's hooks.
//!
//! READ COMMITTED: a statement that addresses its rows by key locks first and computes from the newest version. Any other statement
//! computes from its snapshot; when a row turns out to have changed since, it undoes its own writes, keeps its locks and runs again.

mod change;
mod computed;
mod copy;
mod insert;
mod keyed;
mod lock;
mod member;
mod merge;
mod references;
mod staged;

pub(crate) use change::ChangePlan;
pub use computed::table_layout;
pub use copy::CopyInsert;
pub(crate) use insert::InsertPlan;
pub(crate) use lock::LockPlan;
pub(crate) use member::{Destination, Member, Members, Router};
pub(crate) use merge::MergePlan;
pub(crate) use references::References;
pub use references::{Due, ReferencePlans, settle};
pub(crate) use staged::Staged;

use crate::eval::{Env, Program};
use crate::exec::Exec;
use crate::plan::Outcome;
use crate::rows::{Compiler, Row};
use crate::source::RowSource;
use crate::spill::{Kept, Spool};
use curia_bind::ir::*;
use curia_catalog::{Catalog, Oid};
use curia_txn::TableLayout;
use curia_types::{Datum, PgType, Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// The tables that a statement changes: its target, and the target's family unless it says ONLY.
pub(crate) fn changed_tables(catalog: &Catalog, change: &Bound) -> Vec<Oid> {
    let (table, family) = match change {
        Bound::Query(_) => return Vec::new(),
        Bound::Insert(i) => (i.table.oid, i.tableoid.is_some()),
        Bound::Update(u) => (u.table.oid, u.tableoid.is_some()),
        Bound::Delete(d) => (d.table.oid, d.family),
        Bound::Merge(m) => {
            let mut tables: Vec<Oid> = m.actions.iter().flatten().flat_map(|a| changed_tables(catalog, a)).collect();
            tables.push(m.table.oid);
            return tables;
        }
    };
    if family { catalog.family(table) } else { vec![table] }
}

/// Whether a statement is done or starts over on a new snapshot.
pub(crate) enum Pass {
    Done(Written),
    Again,
}

/// What a pass wrote: how many rows, and what RETURNING made of them.
pub(crate) struct Written {
    affected: u64,
    returned: Option<Spool>,
}

impl Written {
    pub fn new(env: Env<'_>, returning: Option<&ReturningRow>) -> Written {
        Written {
            affected: 0,
            returned: returning.map(|_| Spool::new(&env.exec.room)),
        }
    }

    /// Counts a row that was written, given the table that it went to, the row as the statement's target has it, and the source's row.
    pub fn row(
        &mut self,
        returning: Option<&ReturningRow>,
        env: Env<'_>,
        (table, table_row): (Oid, &[Datum]),
        source: &[Datum],
    ) -> Result<()> {
        self.affected += 1;
        match (returning, &mut self.returned) {
            (Some(returning), Some(returned)) => returned.push(returning.row(env, (table, table_row), source)?),
            _ => Ok(()),
        }
    }

    /// Counts what another pass wrote, too.
    pub fn add(&mut self, other: &Written) {
        self.affected += other.affected;
    }

    /// What RETURNING made.
    pub fn kept(self) -> Result<Option<Kept>> {
        self.returned.map(Spool::finish).transpose()
    }

    /// What the statement led to.
    pub fn outcome(self, exec: Arc<Exec>, output: Arc<[OutputColumn]>) -> Result<Outcome> {
        let kept = self.returned.map(Spool::finish).transpose()?;
        Ok(Outcome {
            affected: self.affected,
            rows: kept.map(|kept| RowSource::kept(output, exec, &kept)),
        })
    }
}

/// Generated columns and CHECK constraints of new rows.
pub(crate) struct Checks {
    /// Positions in the table's row of the columns that the programs see.
    columns: Vec<usize>,
    generated: Vec<(usize, Program)>,
    checks: Vec<(CheckKind, String, Program)>,
}

impl Checks {
    pub fn compile(c: &mut Compiler, generated: &[(usize, Expr)], checks: &[Check], new_row: &[(usize, RelColumn)]) -> Result<Checks> {
        let columns: Vec<RelColumn> = new_row.iter().map(|(_, c)| c.clone()).collect();
        Ok(Checks {
            columns: new_row.iter().map(|(i, _)| *i).collect(),
            generated: generated
                .iter()
                .map(|(i, e)| Ok((*i, c.expression(e, &columns, &HashMap::new())?)))
                .collect::<Result<_>>()?,
            checks: checks
                .iter()
                .map(|k| Ok((k.kind, k.name.clone(), c.expression(&k.predicate, &columns, &HashMap::new())?)))
                .collect::<Result<_>>()?,
        })
    }

    /// WITH CHECK OPTION alone.
    pub fn of_views(c: &mut Compiler, checks: &[Check], new_row: &[(usize, RelColumn)]) -> Result<Checks> {
        let views: Vec<Check> = checks.iter().filter(|k| k.kind == CheckKind::View).cloned().collect();
        Checks::compile(c, &[], &views, new_row)
    }

    /// Computes the generated columns; then fails with 23502 or 23514 as PostgreSQL does: NOT NULL first, then each CHECK in order.
    pub fn complete(&self, layout: &TableLayout, env: Env<'_>, row: &mut [Datum]) -> Result<()> {
        if !self.generated.is_empty() {
            let seen: Row = self.columns.iter().map(|i| row[*i].clone()).collect();
            for (column, program) in &self.generated {
                row[*column] = program.eval(env, &seen)?;
            }
        }
        if self.checks.is_empty() {
            return Ok(()); // the insert itself looks at NOT NULL
        }
        self.not_null(layout, env, row)?;
        let seen: Row = self.columns.iter().map(|i| row[*i].clone()).collect();
        for (name, predicate) in self.of_kind(CheckKind::Constraint) {
            if matches!(predicate.eval(env, &seen)?, Datum::Bool(false)) {
                return Err(curia_txn::violation::check_failed(layout, name, row, env.exec.context.io()));
            }
        }
        Ok(())
    }
}

impl Checks {
    /// Whether there is nothing to compute or check.
    pub fn is_empty(&self) -> bool {
        self.generated.is_empty() && self.checks.is_empty()
    }

    /// Fails with 23502 where a column that is NOT NULL is.
    pub fn not_null(&self, layout: &TableLayout, env: Env<'_>, row: &[Datum]) -> Result<()> {
        for (i, c) in layout.table().live_columns() {
            if c.not_null && row[i].is_null() {
                return Err(curia_txn::violation::null_value(layout, i, row, env.exec.context.io()));
            }
        }
        Ok(())
    }

    fn of_kind(&self, wanted: CheckKind) -> impl Iterator<Item = (&str, &Program)> {
        let found = self.checks.iter().filter(move |(kind, ..)| *kind == wanted);
        found.map(|(_, name, predicate)| (name.as_str(), predicate))
    }

    /// Fails with 44000 when a row that was written is not one of the views that it was written through.
    pub fn enforce_views(&self, layout: &TableLayout, env: Env<'_>, row: &[Datum]) -> Result<()> {
        let seen = || self.columns.iter().map(|i| row[*i].clone()).collect::<Row>();
        for (name, predicate) in self.of_kind(CheckKind::View) {
            if !matches!(predicate.eval(env, &seen())?, Datum::Bool(true)) {
                return Err(curia_txn::violation::check_option_failed(layout, name, row, env.exec.context.io()));
            }
        }
        Ok(())
    }
}

/// RETURNING over the table's new (or old) row and the source's row.
pub(crate) struct ReturningRow {
    /// Positions in the table's row, which come first in what the programs see; the source's row follows.
    columns: Vec<usize>,
    /// The OID of the row's table stands between them.
    tableoid: bool,
    programs: Vec<Program>,
}

impl ReturningRow {
    pub fn compile(
        c: &mut Compiler,
        returning: Option<&Returning>,
        new_row: &[(usize, RelColumn)],
        tableoid: Option<ColId>,
        source: &[RelColumn],
    ) -> Result<Option<ReturningRow>> {
        let Some(returning) = returning else { return Ok(None) };
        let table = tableoid.map(|id| RelColumn { id, ty: PgType::OID });
        let row = new_row.iter().map(|(_, c)| c.clone());
        let columns: Vec<RelColumn> = row.chain(table).chain(source.iter().cloned()).collect();
        Ok(Some(ReturningRow {
            tableoid: tableoid.is_some(),
            columns: new_row.iter().map(|(i, _)| *i).collect(),
            programs: returning
                .columns
                .iter()
                .map(|(_, e)| c.expression(e, &columns, &HashMap::new()))
                .collect::<Result<_>>()?,
        }))
    }

    pub fn row(&self, env: Env<'_>, (table, table_row): (Oid, &[Datum]), source: &[Datum]) -> Result<Row> {
        let seen: Row = self
            .columns
            .iter()
            .map(|i| table_row[*i].clone())
            .chain(self.tableoid.then_some(Datum::Oid(table)))
            .chain(source.iter().cloned())
            .collect();
        self.programs.iter().map(|p| p.eval(env, &seen)).collect()
    }
}

/// The row key in a row of a source.
pub(crate) fn key_at(row: &[Datum], position: usize) -> Result<Option<Arc<[u8]>>> {
    match &row[position] {
        Datum::Bytea(key) => Ok(Some(key.clone())),
        // A target that an outer join filled with NULLs is no row.
        Datum::Null => Ok(None),
        other => Err(SqlError::internal(format!("a row key is {other:?}"))),
    }
}

/// All columns of a source as result columns, so that its rows can be read with their values.
pub(crate) fn as_output(columns: &[RelColumn]) -> Arc<[OutputColumn]> {
    columns
        .iter()
        .map(|c| OutputColumn {
            name: format!("c{}", c.id.0),
            id: c.id,
            ty: c.ty,
            origin: None,
        })
        .collect()
}
