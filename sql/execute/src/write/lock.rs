//! SELECT ... FOR UPDATE and friends: rows are locked before they pass to what stands above the clause.
//!
//! The clause stands under LIMIT and the select list, over everything else. Rows below it are computed first, locked one by one until
//! LIMIT has enough, and the rest of the query runs over the locked ones.

use super::{as_output, key_at};
use crate::engine::Engine;
use crate::eval::{Env, Program};
use crate::exec::{Exec, Execution};
use crate::plan::{Outcome, Source};
use crate::rows::{Compiler, Row, bounds};
use crate::source::RowSource;
use crate::spill::{Kept, Spool};
use crate::walk;
use curia_bind::inherit::split_key;
use curia_bind::ir::{self, ColId, Expr, OutputColumn, Query, Rel};
use curia_catalog::{Oid, Table};
use curia_txn::{LockStrength, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::{Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled locking SELECT.
pub(crate) struct LockPlan {
    /// Rows under the clause.
    pub source: Source,
    columns: Arc<[OutputColumn]>,
    locks: Vec<Lock>,
    limit: Option<Program>,
    offset: Option<Program>,
    /// Result columns over the locked rows.
    output: Vec<Program>,
}

struct Lock {
    /// The tables whose rows they are, by OID; one, or a family's, with tagged keys.
    layouts: HashMap<Oid, Arc<TableLayout>>,
    family: bool,
    /// Position of the row key.
    row_key: usize,
    strength: LockStrength,
    wait: LockWait,
}

impl LockPlan {
    /// `None` when the query locks nothing. Errors: 0A000 where the clause stands under operators that it cannot pass.
    pub fn compile(c: &mut Compiler, query: &Query, depth: u32) -> Result<Option<LockPlan>> {
        let mut any = false;
        walk::each_rel(&query.rel, &mut |r| any |= matches!(r, Rel::LockRows { .. }));
        if !any {
            return Ok(None);
        }
        let (mut limit, mut offset) = (None, None);
        let mut outputs: Vec<Expr> = query
            .output
            .iter()
            .map(|o| Expr {
                kind: ir::ExprKind::Column(o.id),
                ty: o.ty,
                position: None,
            })
            .collect();
        let mut rel = &query.rel;
        let (input, locks) = loop {
            match rel {
                Rel::LockRows { input, locks } => break (input, locks),
                Rel::Limit {
                    input,
                    limit: l,
                    offset: o,
                    ..
                } if limit.is_none() && offset.is_none() => {
                    (limit, offset) = (l.clone(), o.clone());
                    rel = input;
                }
                Rel::Project { input, columns } => {
                    let map: HashMap<ColId, &Expr> = columns.iter().map(|(c, e)| (c.id, e)).collect();
                    outputs = outputs.into_iter().map(|e| crate::rewrite::substitute(e, &map)).collect();
                    rel = input;
                }
                _ => return Err(SqlError::unsupported("FOR UPDATE in a subquery")),
            }
        };
        let columns = walk::columns(input);
        let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
        let mut tables: HashMap<ColId, Vec<Arc<Table>>> = HashMap::new();
        let mut families: HashMap<ColId, Vec<Arc<Table>>> = HashMap::new();
        walk::each_rel(input, &mut |r| match r {
            Rel::Scan(s) => {
                tables.extend(s.row_key.map(|key| (key, vec![s.table.clone()])));
            }
            // A family, or one without members.
            Rel::SetOp { columns, .. } | Rel::Values { columns, .. } => {
                let mut members = Vec::new();
                walk::inputs(r, &mut |input| walk::each_rel(input, &mut |r| members.extend(scanned(r))));
                families.extend(columns.iter().map(|c| (c.id, members.clone())));
            }
            _ => {}
        });
        let locks = locks
            .iter()
            .map(|l| {
                let family = families.get(&l.row_key);
                let tables = family
                    .or_else(|| tables.get(&l.row_key))
                    .ok_or_else(|| SqlError::internal("a row lock without its scan"))?;
                let row_key = ids
                    .iter()
                    .position(|id| *id == l.row_key)
                    .ok_or_else(|| SqlError::internal("a row lock without row keys"))?;
                Ok(Lock {
                    layouts: tables.iter().map(|t| Ok((t.oid, c.layout(t)?))).collect::<Result<_>>()?,
                    family: family.is_some(),
                    row_key,
                    strength: strength(l.strength),
                    wait: wait(l.wait),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let frame = HashMap::new();
        let source = Source::compile_limited(c, (**input).clone(), &ids, depth, limit.is_some())?;
        let mut plain = |e: Option<Box<Expr>>| e.map(|e| c.expression(&e, &[], &frame)).transpose();
        let (limit, offset) = (plain(limit)?, plain(offset)?);
        let output = outputs.iter().map(|e| c.expression(e, &columns, &frame)).collect::<Result<_>>()?;
        Ok(Some(LockPlan {
            source,
            columns: as_output(&columns),
            locks,
            limit,
            offset,
            output,
        }))
    }

    pub async fn execute(&self, engine: &Arc<Engine>, tx: &mut Transaction, e: Execution, output: Arc<[OutputColumn]>) -> Result<Outcome> {
        tx.require_writable("SELECT FOR UPDATE")?;
        loop {
            let exec = Arc::new(Exec::new(tx.read_view(), e.clone(), engine));
            if let Some(kept) = self.pass(engine, tx, &exec).await? {
                return Ok(Outcome {
                    affected: 0,
                    rows: Some(RowSource::kept(output, exec, &kept)),
                });
            }
            tx.restart_statement();
        }
    }

    /// Locks and computes the rows; `None` when one has changed and the statement runs again.
    pub async fn pass(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Option<Kept>> {
        // When LIMIT has enough, the source is abandoned, and the statement goes on.
        let (statement, exec) = (exec, &Arc::new(exec.branch()));
        let env = Env { exec, frame: &[] };
        let (limit, mut skip) = bounds(env, self.limit.as_ref(), self.offset.as_ref())?;
        let mut source = self.source.open(engine, exec.clone(), self.columns.clone())?;
        let (mut out, mut count) = (Spool::new(&exec.room), 0u64);
        'rows: while limit.is_none_or(|l| count < l) && source.next().await? {
            for lock in &self.locks {
                let Some(key) = key_at(source.row(), lock.row_key)? else { continue };
                let (layout, key) = lock.target(&key)?;
                match tx.lock_row(layout, key, lock.strength, lock.wait, Seen::Scanned).await? {
                    Locked::Row(_) => {}
                    Locked::Changed => return Ok(None),
                    // What the statement's own WITH has changed is not there for it.
                    Locked::Gone | Locked::Skipped | Locked::Own(_) => continue 'rows,
                }
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let row = self.output.iter().map(|p| p.eval(env, source.row())).collect::<Result<Row>>()?;
            out.push(row)?;
            count += 1;
        }
        statement.rejoin(exec);
        out.finish().map(Some)
    }
}

impl Lock {
    /// The table of a row, and its key there.
    fn target<'k>(&self, key: &'k [u8]) -> Result<(&TableLayout, &'k [u8])> {
        let found = match self.family {
            true => split_key(key).and_then(|(table, key)| Some((self.layouts.get(&table)?, key))),
            false => self.layouts.values().next().map(|layout| (layout, key)),
        };
        found
            .map(|(layout, key)| (&**layout, key))
            .ok_or_else(|| SqlError::internal("a row lock without its table"))
    }
}

/// The table of a scan that gives row keys.
fn scanned(rel: &Rel) -> Option<Arc<Table>> {
    match rel {
        Rel::Scan(s) if s.row_key.is_some() => Some(s.table.clone()),
        _ => None,
    }
}

fn strength(s: ir::LockStrength) -> LockStrength {
    match s {
        ir::LockStrength::KeyShare => LockStrength::KeyShare,
        ir::LockStrength::Share => LockStrength::Share,
        ir::LockStrength::NoKeyUpdate => LockStrength::NoKeyUpdate,
        ir::LockStrength::Update => LockStrength::Update,
    }
}

fn wait(w: ir::LockWait) -> LockWait {
    match w {
        ir::LockWait::Block => LockWait::Block,
        ir::LockWait::NoWait => LockWait::NoWait,
        ir::LockWait::SkipLocked => LockWait::SkipLocked,
    }
}
