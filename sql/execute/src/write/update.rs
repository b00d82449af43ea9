//! UPDATE, with FROM and RETURNING.

use super::keyed::Keyed;
use super::{Checks, Pass, ReturningRow, as_output, key_at};
use crate::engine::Engine;
use crate::eval::{Env, Program};
use crate::exec::{Exec, Execution};
use crate::plan::{Outcome, Source};
use crate::rows::Compiler;
use crate::source::{Inner, RowSource};
use crate::walk;
use bytes::Bytes;
use curia_bind::ir::*;
use curia_txn::{LockStrength, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::{Datum, Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled UPDATE.
pub(crate) struct UpdatePlan {
    pub layout: Arc<TableLayout>,
    pub source: Source,
    source_columns: Arc<[OutputColumn]>,
    keyed: Option<Keyed>,
    row_key: usize,
    assignments: Vec<(usize, Program)>,
    strength: LockStrength,
    checks: Checks,
    returning: Option<ReturningRow>,
}

impl UpdatePlan {
    pub fn compile(c: &mut Compiler, update: &Update, depth: u32) -> Result<UpdatePlan> {
        let layout = c.layout(&update.table)?;
        let columns = walk::columns(&update.source);
        let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
        let row_key = ids
            .iter()
            .position(|id| *id == update.row_key)
            .ok_or_else(|| SqlError::internal("UPDATE without row keys"))?;
        let source = Source::compile(c, update.source.clone(), &ids, depth, true)?;
        let keyed = if depth > curia_parse::INLINE_DEPTH {
            None
        } else {
            Keyed::compile(c, &update.source)?
        };
        let assigned: Vec<usize> = update.assignments.iter().map(|(i, _)| *i).collect();
        Ok(UpdatePlan {
            source,
            source_columns: as_output(&columns),
            keyed,
            row_key,
            assignments: update
                .assignments
                .iter()
                .map(|(i, e)| Ok((*i, c.expression(e, &columns, &HashMap::new())?)))
                .collect::<Result<_>>()?,
            strength: layout.update_strength(&assigned),
            checks: Checks::compile(c, &update.checks, &update.new_row)?,
            returning: ReturningRow::compile(c, update.returning.as_ref(), &update.new_row, &columns)?,
            layout,
        })
    }

    pub async fn execute(&self, engine: &Arc<Engine>, tx: &mut Transaction, e: Execution, output: Arc<[OutputColumn]>) -> Result<Outcome> {
        tx.require_writable("UPDATE")?;
        loop {
            let exec = Arc::new(Exec::new(tx.read_view(), e.clone(), engine.config.statement_bytes));
            let pass = match &self.keyed {
                Some(keyed) => self.by_key(keyed, tx, &exec).await?,
                None => self.pass(engine, tx, &exec).await?,
            };
            match pass {
                Pass::Again => tx.restart_statement(),
                Pass::Done(affected, rows) => {
                    let rows = self
                        .returning
                        .is_some()
                        .then(|| RowSource::new(output, Inner::Held(rows.into_iter())));
                    return Ok(Outcome { affected, rows });
                }
            }
        }
    }

    async fn by_key(&self, keyed: &Keyed, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let env = Env { exec, frame: &[] };
        let (mut affected, mut returned) = (0, Vec::new());
        for key in keyed.keys(env, &self.layout)? {
            if let Some((old, row)) = keyed.lock(tx, env, &self.layout, &key, self.strength).await? {
                self.write(tx, env, &Bytes::from(key), &old, &row, &mut returned).await?;
                affected += 1;
            }
        }
        Ok(Pass::Done(affected, returned))
    }

    async fn pass(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let env = Env { exec, frame: &[] };
        let mut source = self.source.open(engine, exec.clone(), self.source_columns.clone())?;
        let (mut affected, mut returned) = (0, Vec::new());
        while source.next().await? {
            let row = source.row();
            let Some(key) = key_at(row, self.row_key)? else { continue };
            match tx
                .lock_row(&self.layout, &key, self.strength, LockWait::Block, Seen::Snapshot)
                .await?
            {
                Locked::Row(old) => {
                    self.write(tx, env, &Bytes::copy_from_slice(&key), &old, row, &mut returned).await?;
                    affected += 1;
                }
                Locked::Changed => return Ok(Pass::Again),
                // Joined more than once: the first row of the join has won.
                Locked::Own(_) | Locked::Gone | Locked::Skipped => {}
            }
        }
        Ok(Pass::Done(affected, returned))
    }

    /// Computes the new row from the source's and writes it.
    async fn write(
        &self,
        tx: &mut Transaction,
        env: Env<'_>,
        key: &Bytes,
        old: &[u8],
        row: &[Datum],
        returned: &mut Vec<Vec<Datum>>,
    ) -> Result<()> {
        let mut new = self.layout.decode_row(old)?;
        for (column, program) in &self.assignments {
            new[*column] = program.eval(env, row)?;
        }
        self.checks.enforce(&self.layout, env, &new)?;
        tx.update(&self.layout, key, old, &new).await?;
        if let Some(r) = &self.returning {
            let out = r.row(env, &new, row)?;
            env.exec.charge(crate::order::row_bytes(&out))?;
            returned.push(out);
        }
        Ok(())
    }
}
