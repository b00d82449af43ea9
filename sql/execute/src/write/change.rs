//! UPDATE and DELETE, with FROM, USING and RETURNING: rows of a source name rows of the table, which are locked and changed.

use super::keyed::Keyed;
use super::{Checks, Pass, References, ReturningRow, Written, as_output, key_at};
use crate::engine::Engine;
use crate::eval::{Env, Program};
use crate::exec::{Exec, Execution};
use crate::plan::{Outcome, PlanKind, Source};
use crate::rows::Compiler;
use crate::walk;
use bytes::Bytes;
use curia_bind::ir::*;
use curia_catalog::Table;
use curia_txn::{LockStrength, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::{Datum, Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled UPDATE or DELETE.
pub(crate) struct ChangePlan {
    pub layout: Arc<TableLayout>,
    pub source: Source,
    source_columns: Arc<[OutputColumn]>,
    keyed: Option<Keyed>,
    row_key: usize,
    strength: LockStrength,
    change: Change,
    references: Option<References>,
    returning: Option<ReturningRow>,
}

/// What becomes of a row.
enum Change {
    Update {
        assignments: Vec<(usize, Program)>,
        checks: Checks,
    },
    Delete,
}

impl ChangePlan {
    pub fn update(c: &mut Compiler, update: &Update, depth: u32) -> Result<ChangePlan> {
        let columns = walk::columns(&update.source);
        let change = Change::Update {
            assignments: update
                .assignments
                .iter()
                .map(|(i, e)| Ok((*i, c.expression(e, &columns, &HashMap::new())?)))
                .collect::<Result<_>>()?,
            checks: Checks::compile(c, &update.generated, &update.checks, &update.new_row)?,
        };
        let assigned: Vec<usize> = update.assignments.iter().chain(&update.generated).map(|(i, _)| *i).collect();
        let strength = c.layout(&update.table)?.update_strength(&assigned);
        let returning = ReturningRow::compile(c, update.returning.as_ref(), &update.new_row, &columns)?;
        ChangePlan::compile(
            c,
            &update.table,
            &update.source,
            update.row_key,
            depth,
            (change, strength, returning),
        )
    }

    pub fn delete(c: &mut Compiler, delete: &Delete, depth: u32) -> Result<ChangePlan> {
        let returning = ReturningRow::compile(c, delete.returning.as_ref(), &[], &walk::columns(&delete.source))?;
        let change = (Change::Delete, LockStrength::Update, returning);
        ChangePlan::compile(c, &delete.table, &delete.source, delete.row_key, depth, change)
    }

    fn compile(
        c: &mut Compiler,
        table: &Arc<Table>,
        source: &Rel,
        row_key: ColId,
        depth: u32,
        (change, strength, returning): (Change, LockStrength, Option<ReturningRow>),
    ) -> Result<ChangePlan> {
        let columns = walk::columns(source);
        let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
        Ok(ChangePlan {
            layout: c.layout(table)?,
            source_columns: as_output(&columns),
            row_key: ids
                .iter()
                .position(|id| *id == row_key)
                .ok_or_else(|| SqlError::internal("a change of rows without row keys"))?,
            keyed: if depth > curia_parse::INLINE_DEPTH {
                None
            } else {
                Keyed::compile(c, source)?
            },
            source: Source::compile(c, source.clone(), &ids, depth, true)?,
            strength,
            change,
            references: References::of(c.catalog(), table),
            returning,
        })
    }

    /// What it does.
    pub fn kind(&self) -> PlanKind {
        match self.change {
            Change::Update { .. } => PlanKind::Update,
            Change::Delete => PlanKind::Delete,
        }
    }

    /// One line for EXPLAIN.
    pub fn describe(&self) -> String {
        format!("{:?} on {}", self.kind(), self.layout.table().name)
    }

    pub async fn execute(&self, engine: &Arc<Engine>, tx: &mut Transaction, e: Execution, output: Arc<[OutputColumn]>) -> Result<Outcome> {
        loop {
            let exec = Arc::new(Exec::new(tx.read_view(), e.clone(), engine));
            match self.pass(engine, tx, &exec).await? {
                Pass::Again => tx.restart_statement(),
                Pass::Done(written) => return written.outcome(exec, output),
            }
        }
    }

    /// Runs once, unless it has to start over.
    pub async fn pass(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        tx.require_writable(match self.change {
            Change::Update { .. } => "UPDATE",
            Change::Delete => "DELETE",
        })?;
        match &self.keyed {
            Some(keyed) => self.by_key(keyed, tx, exec).await,
            None => self.by_source(engine, tx, exec).await,
        }
    }

    async fn by_key(&self, keyed: &Keyed, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let env = Env { exec, frame: &[] };
        let mut written = Written::new(env, self.returning.as_ref());
        for key in keyed.keys(env, &self.layout)? {
            if let Some((old, row)) = keyed.lock(tx, env, &self.layout, &key, self.strength).await? {
                self.write(tx, env, &Bytes::from(key), &old, &row, &mut written).await?;
            }
        }
        Ok(Pass::Done(written))
    }

    async fn by_source(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let env = Env { exec, frame: &[] };
        let mut source = self.source.open(engine, exec.clone(), self.source_columns.clone())?;
        let mut written = Written::new(env, self.returning.as_ref());
        while source.next().await? {
            let row = source.row();
            let Some(key) = key_at(row, self.row_key)? else { continue };
            match tx
                .lock_row(&self.layout, &key, self.strength, LockWait::Block, Seen::Snapshot)
                .await?
            {
                Locked::Row(old) => {
                    self.write(tx, env, &Bytes::copy_from_slice(&key), &old, row, &mut written).await?;
                }
                Locked::Changed => return Ok(Pass::Again),
                // Joined more than once: the first row of the join has won.
                Locked::Own(_) | Locked::Gone | Locked::Skipped => {}
            }
        }
        Ok(Pass::Done(written))
    }

    /// Changes one row, of which the source gave `row`.
    async fn write(&self, tx: &mut Transaction, env: Env<'_>, key: &Bytes, old: &[u8], row: &[Datum], written: &mut Written) -> Result<()> {
        match &self.change {
            Change::Update { assignments, checks } => {
                let mut new = self.layout.decode_row(old)?;
                let before = self.references.as_ref().map(|_| new.clone());
                for (column, program) in assignments {
                    new[*column] = program.eval(env, row)?;
                }
                checks.complete(&self.layout, env, &mut new)?;
                let new_key = tx.update(&self.layout, key, old, &new).await?;
                if let (Some(references), Some(before)) = (&self.references, &before) {
                    references.updated(tx, &new_key, new_key != *key, before, &new)?;
                }
                checks.enforce_views(&self.layout, env, &new)?;
                written.row(self.returning.as_ref(), env, &new, row)
            }
            Change::Delete => {
                tx.delete(&self.layout, key, old).await?;
                if let Some(references) = &self.references {
                    references.deleted(tx, &self.layout.decode_row(old)?)?;
                }
                written.row(self.returning.as_ref(), env, &[], row)
            }
        }
    }
}
