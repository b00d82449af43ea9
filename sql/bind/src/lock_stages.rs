//! FOR UPDATE in subqueries and common table expressions.
//!
//! A query that locks rows runs before the statement that it is part of, once, and leaves its rows as those of a common table expression:
//!
//! ```text
//!   UPDATE job .. WHERE id = (SELECT id FROM job .. FOR UPDATE SKIP LOCKED LIMIT 1)
//!     stage 1   SELECT id FROM job .. FOR UPDATE SKIP LOCKED LIMIT 1
//!     then      UPDATE job .. WHERE id = (SELECT * FROM stage 1)
//! ```
//!
//! So it must not depend on the rows around it: a correlated one is refused. PostgreSQL locks no row that the statement does not come to ask
//! for (behind a LIMIT outside, under CASE); here the subquery says what is locked, but for EXISTS, which asks for one row.

use crate::ir::*;
use crate::walk;
use curia_types::{Datum, PgType, Result, SqlError};
use std::collections::HashSet;

/// Makes stages of the queries that lock rows, but for the statement's own.
pub(crate) fn stage(bound: &mut Bound, stages: &mut Vec<Stage>, new_id: &dyn Fn() -> u32) -> Result<()> {
    let own = matches!(bound, Bound::Query(_));
    let mut found = Hoist {
        stages: Vec::new(),
        new_id,
        outer: HashSet::new(),
        lateral: false,
    };
    // Stages that there are come first: the others may read what they leave.
    let mut old = std::mem::take(stages).into_iter();
    while let Some(stage) = old.next() {
        if let Stage::Query(cte) = &stage
            && locks(&cte.query)
            && !old.as_mut_slice().iter_mut().any(|later| stage_reads(later, cte.id))
            && !statement_reads(bound, cte.id)
        {
            continue;
        }
        found.old(stage)?;
    }
    found.statement(bound, own)?;
    *stages = found.stages;
    Ok(())
}

struct Hoist<'a> {
    stages: Vec<Stage>,
    new_id: &'a dyn Fn() -> u32,
    /// Columns of the rows around what is looked at now.
    outer: HashSet<ColId>,
    /// It may depend on rows beside it.
    lateral: bool,
}

/// The columns of a query that locks rows: projections and one limit over the locks.
fn locking(mut rel: &Rel) -> Option<Vec<RelColumn>> {
    let (mut columns, mut limited) = (None, false);
    loop {
        rel = match rel {
            Rel::Project { input, columns: own } => {
                columns.get_or_insert_with(|| own.iter().map(|(c, _)| c.clone()).collect());
                input
            }
            Rel::Limit { input, .. } if !limited => {
                limited = true;
                input
            }
            Rel::LockRows { .. } => return columns,
            _ => return None,
        };
    }
}

fn locks(rel: &Rel) -> bool {
    let mut found = false;
    walk::each_rel(rel, &mut |r| found |= matches!(r, Rel::LockRows { .. }));
    found
}

fn reads(rel: &Rel, id: u32) -> bool {
    let mut found = false;
    walk::each_rel(rel, &mut |r| found |= matches!(r, Rel::CteScan { cte, .. } if *cte == id));
    found
}

fn stage_reads(stage: &mut Stage, id: u32) -> bool {
    match stage {
        Stage::Query(cte) => definition_reads(cte, id),
        Stage::Change { change, .. } => statement_reads(change, id),
    }
}

fn definition_reads(cte: &Cte, id: u32) -> bool {
    reads(&cte.query, id) || cte.recursive.as_ref().is_some_and(|(term, _, _)| reads(term, id))
}

fn statement_reads(bound: &mut Bound, id: u32) -> bool {
    let in_subquery = |e: &Expr| matches!(&e.kind, ExprKind::Subquery { query, .. } if reads(query, id));
    let (rels, exprs) = parts(bound);
    rels.iter().any(|rel| reads(rel, id)) || exprs.iter().any(|e| walk::any_expr(e, &mut |e| in_subquery(e)))
}

/// The relations and loose expressions of a statement.
fn parts(bound: &mut Bound) -> (Vec<&mut Rel>, Vec<&mut Expr>) {
    let Bound::Merge(merge) = bound else {
        let (rel, exprs, _) = walk::statement_parts(bound);
        return (vec![rel], exprs);
    };
    let (mut rels, mut exprs) = (vec![&mut merge.joined.query], Vec::new());
    for action in merge.actions.iter_mut().flatten() {
        let (more_rels, more_exprs) = parts(action);
        rels.extend(more_rels);
        exprs.extend(more_exprs);
    }
    (rels, exprs)
}

impl Hoist<'_> {
    fn old(&mut self, mut stage: Stage) -> Result<()> {
        match &mut stage {
            Stage::Query(cte) if locks(&cte.query) => return self.definition(cte.clone()),
            Stage::Query(_) => {}
            Stage::Change { change, .. } => self.statement(change, false)?,
        }
        self.stages.push(stage);
        Ok(())
    }

    fn statement(&mut self, bound: &mut Bound, own: bool) -> Result<()> {
        let (rels, exprs) = parts(bound);
        rels.into_iter().try_for_each(|rel| self.relation(rel, own))?;
        exprs.into_iter().try_for_each(|e| self.expression(e))
    }

    /// A common table expression becomes a stage.
    fn definition(&mut self, mut cte: Cte) -> Result<()> {
        if let Some((term, _, _)) = &cte.recursive
            && (locks(term) || locks(&cte.query))
        {
            return Err(SqlError::unsupported("FOR UPDATE in a recursive query"));
        }
        let own = locking(&cte.query).is_some();
        self.relation(&mut cte.query, own)?;
        self.stages.push(match own {
            true => query_stage(cte.id, cte.name, cte.query, &cte.columns),
            false => Stage::Query(cte),
        });
        Ok(())
    }

    /// `own`: locks at its top stay.
    fn relation(&mut self, rel: &mut Rel, own: bool) -> Result<()> {
        if !locks(rel) {
            return Ok(());
        }
        if matches!(rel, Rel::With { .. }) {
            self.refuse_correlated(rel)?;
            let Rel::With { ctes, body } = rel else { return Ok(()) };
            let ctes = std::mem::take(ctes);
            for (at, cte) in ctes.iter().enumerate() {
                if reads(body, cte.id) || ctes[at + 1..].iter().any(|later| definition_reads(later, cte.id)) {
                    self.definition(cte.clone())?;
                }
            }
            *rel = std::mem::replace(body, Rel::Unit);
            return self.relation(rel, own);
        }
        let mut columns = locking(rel);
        if matches!(&*rel, Rel::Project { input, .. } if locking(input).is_some()) && self.is_correlated(rel) {
            columns = None; // what is made of the rows here is; they themselves may not be
        }
        let (mut exprs, mut inputs) = (Vec::new(), Vec::new());
        let lateral = matches!(rel, Rel::Join { lateral: true, .. });
        walk::rel_children_mut(rel, &mut |e| exprs.push(e), &mut |r| inputs.push(r));
        let before = self.lateral;
        for (at, input) in inputs.into_iter().enumerate() {
            self.lateral = before || lateral && at == 1;
            // Below the top of one that locks comes the rest of that, then what it reads.
            self.relation(input, columns.is_some() && locking(input).is_some())?;
        }
        self.lateral = before;
        exprs.into_iter().try_for_each(|e| self.expression(e))?;
        if let (Some(columns), false) = (columns, own) {
            self.refuse_correlated(rel)?;
            let id = (self.new_id)();
            let scan = Rel::CteScan {
                cte: id,
                columns: columns.clone(),
            };
            let query = std::mem::replace(rel, scan);
            self.stages.push(query_stage(id, "locked rows".to_owned(), query, &columns));
        }
        Ok(())
    }

    fn expression(&mut self, e: &mut Expr) -> Result<()> {
        if let ExprKind::Subquery { kind, query, outer } = &mut e.kind {
            if let (SubqueryKind::Exists, Rel::Project { input, .. }) = (kind, &mut **query)
                && matches!(**input, Rel::LockRows { .. })
            {
                let locked = std::mem::replace(&mut **input, Rel::Unit);
                **input = first_of(locked);
            }
            let before = self.outer.clone();
            self.outer.extend(outer.iter());
            self.relation(query, false)?;
            self.outer = before;
        }
        let mut operands = Vec::new();
        walk::expr_children_mut(e, &mut |c| operands.push(c));
        operands.into_iter().try_for_each(|c| self.expression(c))
    }

    fn is_correlated(&self, rel: &Rel) -> bool {
        self.lateral || walk::used(rel).iter().any(|id| self.outer.contains(id))
    }

    fn refuse_correlated(&self, rel: &Rel) -> Result<()> {
        match self.is_correlated(rel) {
            true => Err(SqlError::unsupported("FOR UPDATE in a correlated subquery")),
            false => Ok(()),
        }
    }
}

/// LIMIT 1.
fn first_of(rel: Rel) -> Rel {
    let one = Expr {
        kind: ExprKind::Const(Datum::Int8(1)),
        ty: PgType::INT8,
        position: None,
    };
    Rel::Limit {
        input: Box::new(rel),
        limit: Some(Box::new(one)),
        offset: None,
        ties: Vec::new(),
    }
}

fn query_stage(id: u32, name: String, rel: Rel, columns: &[RelColumn]) -> Stage {
    let output = columns.iter().map(|column| OutputColumn {
        name: String::new(),
        id: column.id,
        ty: column.ty,
        origin: None,
    });
    Stage::Change {
        id,
        name,
        change: Bound::Query(Query {
            output: output.collect(),
            rel,
        }),
    }
}
