//! A statement whose WITH changes rows, or locks them: the changes in order, then the statement, all on one snapshot.
//!
//! What a change wrote, the rest of the statement does not see; it reads what RETURNING gave, as the rows of the common table expression.
//! When a row turns out to have changed since the snapshot, everything is undone and runs again.

use super::{ChangePlan, InsertPlan, LockPlan, Pass, changed_tables};
use crate::engine::Engine;
use crate::exec::Exec;
use crate::plan::PlanKind;
use crate::rows::Compiler;
use curia_bind::ir::*;
use curia_catalog::Oid;
use curia_txn::Transaction;
use curia_types::{Result, SqlError};
use std::sync::Arc;

/// A change in a WITH, or a query that locks rows.
pub(crate) struct Staged {
    /// Number of the common table expression.
    id: u32,
    change: Change,
}

enum Change {
    Insert(InsertPlan),
    Modify(ChangePlan),
    Lock(Box<LockPlan>),
}

impl Staged {
    /// Compiles the stages of a statement: definitions go to the compiler, changes come back, with the tables that they change.
    pub fn compile(c: &mut Compiler, stages: &[Stage], depth: u32) -> Result<(Vec<Staged>, Vec<Oid>)> {
        let (mut plans, mut tables) = (Vec::new(), Vec::new());
        c.staged = !stages.is_empty();
        for stage in stages {
            let (id, name, change) = match stage {
                Stage::Query(cte) => {
                    c.define(cte, false)?;
                    continue;
                }
                Stage::Change { id, name, change } => (*id, name, change),
            };
            tables.extend(changed_tables(c.catalog(), change));
            let plan = match change {
                Bound::Insert(i) => Change::Insert(InsertPlan::compile(c, i, depth)?),
                Bound::Update(u) => Change::Modify(ChangePlan::update(c, u, depth)?),
                Bound::Delete(d) => Change::Modify(ChangePlan::delete(c, d, depth)?),
                Bound::Query(q) => match LockPlan::compile(c, q, depth)? {
                    Some(plan) => Change::Lock(Box::new(plan)),
                    None => return Err(SqlError::internal("a stage that neither changes nor locks rows")),
                },
                Bound::Merge(_) => return Err(SqlError::internal("no change of rows in WITH")),
            };
            let column = |o: &OutputColumn| RelColumn { id: o.id, ty: o.ty };
            let columns = match change {
                Bound::Query(q) => q.output.iter().map(column).collect(),
                _ => change
                    .returning()
                    .map_or(Vec::new(), |r| r.columns.iter().map(|(o, _)| column(o)).collect()),
            };
            c.define_change(id, name, columns);
            plans.push(Staged { id, change: plan });
        }
        Ok((plans, tables))
    }

    /// What it does.
    pub fn kind(&self) -> PlanKind {
        match &self.change {
            Change::Insert(_) => PlanKind::Insert,
            Change::Modify(p) => p.kind(),
            Change::Lock(_) => PlanKind::Select,
        }
    }

    /// Whether it only locks rows.
    pub fn locks(&self) -> bool {
        matches!(self.change, Change::Lock(_))
    }

    /// Runs it and leaves its rows to the rest of the statement; false when the statement has to start over.
    pub async fn run(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<bool> {
        let pass = match &self.change {
            Change::Insert(p) => p.pass(engine, tx, exec).await?,
            Change::Modify(p) => p.pass(engine, tx, exec).await?,
            Change::Lock(p) => {
                tx.require_writable("SELECT FOR UPDATE")?;
                let kept = p.pass(engine, tx, exec).await?;
                let done = kept.is_some();
                kept.into_iter().for_each(|kept| exec.set_cte(self.id, kept));
                return Ok(done);
            }
        };
        let Pass::Done(written) = pass else { return Ok(false) };
        if let Some(kept) = written.kept()? {
            exec.set_cte(self.id, kept);
        }
        Ok(true)
    }
}
