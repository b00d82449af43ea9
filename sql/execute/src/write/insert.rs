//! INSERT, with ON CONFLICT and RETURNING.

use super::{Checks, Destination, Member, Pass, ReturningRow, Written, as_output};
use crate::engine::Engine;
use crate::eval::{Env, Program};
use crate::exec::Exec;
use crate::plan::Source;
use crate::rows::{Compiler, Row};
use crate::walk;
use curia_bind::ir::*;
use curia_catalog::Oid;
use curia_txn::{Inserted, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::{Datum, Result, SqlError, SqlState};
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled INSERT.
pub(crate) struct InsertPlan {
    pub layout: Arc<TableLayout>,
    pub source: Source,
    source_columns: Arc<[OutputColumn]>,
    /// A program for each column of the table; `None` for dropped ones.
    values: Vec<Option<Program>>,
    destination: Destination,
    /// WITH CHECK OPTION of views, over the target's row.
    views: Checks,
    conflict: Option<Conflict>,
    returning: Option<ReturningRow>,
}

struct Conflict {
    arbiters: Vec<Oid>,
    update: Option<ConflictUpdate>,
}

struct ConflictUpdate {
    /// Columns of the existing row, then of the proposed one, as the programs see them.
    existing: Vec<usize>,
    excluded: Vec<usize>,
    assignments: Vec<(usize, Program)>,
    predicate: Option<Program>,
}

impl InsertPlan {
    pub fn compile(c: &mut Compiler, insert: &Insert, depth: u32) -> Result<InsertPlan> {
        let layout = c.layout(&insert.table)?;
        let columns = walk::columns(&insert.source);
        let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
        let source = Source::compile(c, insert.source.clone(), &ids, depth, true)?;
        let frame = HashMap::new();
        let values = insert
            .values
            .iter()
            .map(|v| match v {
                InsertValue::Expr(e) => c.expression(e, &columns, &frame).map(Some),
                InsertValue::Dropped => Ok(None),
            })
            .collect::<Result<_>>()?;
        let conflict = insert.on_conflict.as_ref().map(|o| Conflict::compile(c, o)).transpose()?;
        Ok(InsertPlan {
            source,
            source_columns: as_output(&columns),
            values,
            destination: Destination::compile(c, insert)?,
            views: Checks::of_views(c, &insert.checks, &insert.new_row)?,
            conflict,
            returning: ReturningRow::compile(c, insert.returning.as_ref(), &insert.new_row, insert.tableoid, &[])?,
            layout,
        })
    }

    /// Runs once, unless it has to start over.
    pub async fn pass(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        tx.require_writable_rows("INSERT", self.layout.table())?;
        let mut source = self.source.open(engine, exec.clone(), self.source_columns.clone())?;
        let env = Env { exec, frame: &[] };
        let mut written = Written::new(env, self.returning.as_ref());
        while source.next().await? {
            let row = self
                .values
                .iter()
                .map(|v| v.as_ref().map_or(Ok(Datum::Null), |p| p.eval(env, source.row())))
                .collect::<Result<Row>>()?;
            let (table, row) = self.destination.place(env, row)?;
            let row = match &self.conflict {
                None => {
                    let row_key = tx.insert(&table.layout, &row).await?;
                    if let Some(references) = &table.references {
                        references.inserted(tx, &row_key, &row)?;
                    }
                    Some(row)
                }
                Some(conflict) => match upsert(conflict, &table, tx, env, row).await? {
                    Ok(row) => row,
                    Err(Retry) => return Ok(Pass::Again),
                },
            };
            if let Some(row) = row {
                let row = table.to_target(row);
                self.views.enforce_views(&self.layout, env, &row)?;
                let oid = table.layout.table().oid;
                written.row(self.returning.as_ref(), env, (oid, &row), &[])?;
            }
        }
        Ok(Pass::Done(written))
    }
}

/// Inserts or handles the conflict; gives the row that was written, if any.
async fn upsert(conflict: &Conflict, table: &Member, tx: &mut Transaction, env: Env<'_>, row: Row) -> Result<Result<Option<Row>, Retry>> {
    let arbiters = table.indexes(&conflict.arbiters);
    let mut in_the_way = match conflict.update {
        Some(_) => tx.row_in_the_way(&table.layout, &row, &arbiters)?,
        None => None,
    };
    loop {
        let (row_key, own) = match in_the_way.take() {
            Some(row_key) => (row_key, false),
            None => match tx.insert_unless_conflict(&table.layout, &row, &arbiters).await? {
                Inserted::Row(row_key) => {
                    if let Some(references) = &table.references {
                        references.inserted(tx, &row_key, &row)?;
                    }
                    return Ok(Ok(Some(row)));
                }
                Inserted::Conflict { row_key, own } => (row_key, own),
            },
        };
        let Some(update) = &conflict.update else { return Ok(Ok(None)) };
        if own {
            return Err(second_time());
        }
        let old = match tx
            .lock_row(&table.layout, &row_key, table.strength, LockWait::Block, Seen::Newest)
            .await?
        {
            Locked::Row(old) => old,
            Locked::Gone => continue, // deleted meanwhile: insert after all
            Locked::Own(_) => return Err(second_time()),
            Locked::Changed | Locked::Skipped => return Ok(Err(Retry)),
        };
        let before = table.layout.decode_row(&old)?;
        let (existing, proposed) = (table.to_target(before.clone()), table.to_target(row.clone()));
        let seen: Row = update
            .existing
            .iter()
            .map(|i| existing[*i].clone())
            .chain(update.excluded.iter().map(|i| proposed[*i].clone()))
            .collect();
        if let Some(p) = &update.predicate
            && !p.holds(env, &seen)?
        {
            return Ok(Ok(None));
        }
        let mut new = before.clone();
        for (column, program) in &update.assignments {
            new[table.place(*column)?] = program.eval(env, &seen)?;
        }
        if let Some(bound) = &table.bound
            && !bound.holds(env, &new)?
        {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "invalid ON UPDATE specification")
                .detail("The result tuple would appear in a different partition than the original tuple."));
        }
        table.checks.complete(&table.layout, env, &mut new)?;
        let new_key = tx.update(&table.layout, &row_key, &old, &new).await?;
        if let Some(references) = &table.references {
            references.updated(tx, &new_key, new_key != row_key, &before, &new)?;
        }
        return Ok(Ok(Some(new)));
    }
}

/// The statement starts over.
struct Retry;

fn second_time() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}

impl Conflict {
    fn compile(c: &mut Compiler, o: &OnConflict) -> Result<Conflict> {
        let update = match &o.update {
            None => None,
            Some(u) => {
                let columns: Vec<RelColumn> = u.existing.iter().chain(&u.excluded).map(|(_, c)| c.clone()).collect();
                let frame = HashMap::new();
                Some(ConflictUpdate {
                    existing: u.existing.iter().map(|(i, _)| *i).collect(),
                    excluded: u.excluded.iter().map(|(i, _)| *i).collect(),
                    assignments: u
                        .assignments
                        .iter()
                        .map(|(i, e)| Ok((*i, c.expression(e, &columns, &frame)?)))
                        .collect::<Result<_>>()?,
                    predicate: u.predicate.as_ref().map(|p| c.expression(p, &columns, &frame)).transpose()?,
                })
            }
        };
        Ok(Conflict {
            arbiters: o.arbiters.clone(),
            update,
        })
    }
}
