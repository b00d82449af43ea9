//! MERGE: the joined rows are computed once and looked through for rows that two of them would change; then each action takes its own.

use super::{ChangePlan, InsertPlan, Pass, Written};
use crate::engine::Engine;
use crate::eval::Env;
use crate::exec::Exec;
use crate::plan::Source;
use crate::rows::Compiler;
use crate::spill::Hold;
use curia_bind::ir::*;
use curia_catalog::Table;
use curia_txn::Transaction;
use curia_types::{Datum, Result, SqlError, SqlState};
use std::collections::HashSet;
use std::sync::Arc;

/// A compiled MERGE.
pub(crate) struct MergePlan {
    pub table: Arc<Table>,
    /// The joined rows' row keys and actions.
    pub source: Source,
    output: Arc<[OutputColumn]>,
    /// By number; DO NOTHING has none.
    actions: Vec<Option<Action>>,
}

enum Action {
    Insert(InsertPlan),
    Change(ChangePlan),
}

impl MergePlan {
    pub fn compile(c: &mut Compiler, merge: &Merge, depth: u32) -> Result<MergePlan> {
        // All read the joined rows that are kept, which row operators do.
        c.staged = true;
        c.define(&merge.joined, false)?;
        let scan = Rel::CteScan {
            cte: merge.joined.id,
            columns: merge.columns.clone(),
        };
        let wanted = [merge.row_key, merge.action];
        let columns: Vec<RelColumn> = wanted
            .iter()
            .filter_map(|id| merge.columns.iter().find(|c| c.id == *id).cloned())
            .collect();
        let actions = merge.actions.iter().map(|action| {
            Ok(Some(match action {
                None => return Ok(None),
                Some(Bound::Insert(i)) => Action::Insert(InsertPlan::compile(c, i, depth)?),
                Some(Bound::Update(u)) => Action::Change(ChangePlan::update(c, u, depth)?),
                Some(Bound::Delete(d)) => Action::Change(ChangePlan::delete(c, d, depth)?),
                Some(_) => return Err(SqlError::internal("an action of MERGE that changes no rows")),
            }))
        });
        let actions = actions.collect::<Result<_>>()?;
        Ok(MergePlan {
            table: merge.table.clone(),
            source: Source::compile(c, scan, &wanted, depth, false)?,
            output: super::as_output(&columns),
            actions,
        })
    }

    /// Runs once, unless it has to start over.
    pub async fn pass(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        tx.require_writable_rows("MERGE", &self.table)?;
        self.refuse_second_changes(engine, exec).await?;
        let mut all = Written::new(Env { exec, frame: &[] }, None);
        for action in self.actions.iter().flatten() {
            let pass = match action {
                Action::Insert(p) => p.pass(engine, tx, exec).await?,
                Action::Change(p) => p.pass(engine, tx, exec).await?,
            };
            match pass {
                Pass::Done(written) => all.add(&written),
                Pass::Again => return Ok(Pass::Again),
            }
        }
        Ok(Pass::Done(all))
    }

    /// 21000 when two of the joined rows would change one row of the table.
    async fn refuse_second_changes(&self, engine: &Arc<Engine>, exec: &Arc<Exec>) -> Result<()> {
        let mut rows = self.source.open(engine, exec.clone(), self.output.clone())?;
        let (mut seen, mut hold) = (HashSet::new(), Hold::new(&exec.room));
        while rows.next().await? {
            let row = rows.take_row();
            let [Datum::Bytea(key), Datum::Int4(action)] = row.as_slice() else {
                continue;
            };
            let changes = usize::try_from(*action)
                .ok()
                .and_then(|i| self.actions.get(i))
                .is_some_and(Option::is_some);
            if !changes {
                continue;
            }
            hold.must_fit(key.len() + 48)?;
            if !seen.insert(key.clone()) {
                let message = "MERGE command cannot affect row a second time";
                return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
                    .hint("Ensure that not more than one source row matches any one target row."));
            }
        }
        Ok(())
    }
}
