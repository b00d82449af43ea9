//! DELETE, with USING and RETURNING.

use super::keyed::Keyed;
use super::{Pass, ReturningRow, as_output, key_at};
use crate::engine::Engine;
use crate::eval::Env;
use crate::exec::{Exec, Execution};
use crate::plan::{Outcome, Source};
use crate::rows::Compiler;
use crate::source::{Inner, RowSource};
use crate::walk;
use curia_bind::ir::*;
use curia_txn::{LockStrength, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::{Datum, Result, SqlError};
use std::sync::Arc;

/// A compiled DELETE.
pub(crate) struct DeletePlan {
    pub layout: Arc<TableLayout>,
    pub source: Source,
    source_columns: Arc<[OutputColumn]>,
    keyed: Option<Keyed>,
    row_key: usize,
    returning: Option<ReturningRow>,
}

impl DeletePlan {
    pub fn compile(c: &mut Compiler, delete: &Delete, depth: u32) -> Result<DeletePlan> {
        let layout = c.layout(&delete.table)?;
        let columns = walk::columns(&delete.source);
        let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
        let row_key = ids
            .iter()
            .position(|id| *id == delete.row_key)
            .ok_or_else(|| SqlError::internal("DELETE without row keys"))?;
        let source = Source::compile(c, delete.source.clone(), &ids, depth, true)?;
        let keyed = if depth > curia_parse::INLINE_DEPTH {
            None
        } else {
            Keyed::compile(c, &delete.source)?
        };
        Ok(DeletePlan {
            source,
            source_columns: as_output(&columns),
            keyed,
            row_key,
            returning: ReturningRow::compile(c, delete.returning.as_ref(), &[], &columns)?,
            layout,
        })
    }

    pub async fn execute(&self, engine: &Arc<Engine>, tx: &mut Transaction, e: Execution, output: Arc<[OutputColumn]>) -> Result<Outcome> {
        tx.require_writable("DELETE")?;
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
            if let Some((old, row)) = keyed.lock(tx, env, &self.layout, &key, LockStrength::Update).await? {
                tx.delete(&self.layout, &key, &old).await?;
                self.give_back(env, &row, &mut returned)?;
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
                .lock_row(&self.layout, &key, LockStrength::Update, LockWait::Block, Seen::Snapshot)
                .await?
            {
                Locked::Row(old) => {
                    tx.delete(&self.layout, &key, &old).await?;
                    self.give_back(env, row, &mut returned)?;
                    affected += 1;
                }
                Locked::Changed => return Ok(Pass::Again),
                Locked::Own(_) | Locked::Gone | Locked::Skipped => {}
            }
        }
        Ok(Pass::Done(affected, returned))
    }

    fn give_back(&self, env: Env<'_>, row: &[Datum], returned: &mut Vec<Vec<Datum>>) -> Result<()> {
        if let Some(r) = &self.returning {
            let out = r.row(env, &[], row)?;
            env.exec.charge(crate::order::row_bytes(&out))?;
            returned.push(out);
        }
        Ok(())
    }
}
