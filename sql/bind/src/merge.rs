//! MERGE (`parse_merge.c`): the source joined with the target, and for each joined row the first action whose conditions hold.
//!
//! ```text
//!   joined    source [LEFT] JOIN target ON ..       every column, the target's row key, and the number of the action
//!     ├──────── action = 1 ──────▶ UPDATE of the row with that key
//!     ├──────── action = 2 ──────▶ DELETE
//!     └──────── action = 3 ──────▶ INSERT
//! ```
//!
//! The joined rows are computed once, on the statement's snapshot; each action then reads its own among them.

use crate::binder::Binder;
use crate::ir::*;
use crate::scope::{Clause, NsItem, Scope};
use crate::updatable::RowChange;
use curia_parse::ast::{self, MergeChange, SetExpr};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::rc::Rc;

impl Binder<'_> {
    /// MERGE, as a level that starts as `scope`.
    pub fn merge(&self, merge: &ast::Merge, mut scope: Scope<'_>) -> Result<Bound> {
        refuse_unreachable(merge)?;
        if merge.with.as_ref().is_some_and(|w| w.recursive) {
            let message = "WITH RECURSIVE is not supported for MERGE statement";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let ctes = self.with(merge.with.as_ref(), &mut scope)?;
        // The actions' subqueries may read them, too.
        self.stages.borrow_mut().extend(ctes.into_iter().map(Stage::Query));
        // The statement needs the right to each of its changes; INSERT asks for its own below.
        let does = |what: fn(&MergeChange) -> bool| merge.actions.iter().any(|a| what(&a.change));
        let change = match (
            does(|c| matches!(c, MergeChange::Update(_))),
            does(|c| matches!(c, MergeChange::Delete)),
        ) {
            (true, deletes) => {
                if deletes {
                    self.change_target(&merge.table, RowChange::Delete)?;
                }
                RowChange::Update
            }
            (false, true) => RowChange::Delete,
            (false, false) => RowChange::Insert,
        };
        let (rows, scan) = self.target_scan((&merge.table, merge.only), merge.alias.as_ref(), &mut scope, change)?;
        let (key, table) = (rows.row_key, Rc::clone(&scope.items[0]));
        if rows.target.view.is_some() {
            let message = format!("cannot execute MERGE on relation \"{}\"", merge.table.name());
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail("This operation is not supported for views."));
        }
        let (source, mut source_columns) = {
            let mut inner = scope.stand_in(Vec::new());
            let rel = self
                .bind_from(std::slice::from_ref(&merge.source), &mut inner)?
                .unwrap_or(Rel::Unit);
            let items = std::mem::take(&mut inner.items);
            scope.absorb(&inner);
            if let Some(same) = items.iter().find(|i| i.relation_visible && i.name == table.name) {
                let message = format!("name \"{}\" specified more than once", same.name);
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message)
                    .detail("The name is used both as MERGE target table and data source."));
            }
            self.plain_columns(rel, items, &mut scope)
        };
        let on = self.condition(&merge.on, &scope, Clause::On, "JOIN/ON")?;
        let inserts = merge.actions.iter().any(|a| !a.matched);
        let joined = Rel::Join {
            kind: if inserts { JoinKind::Left } else { JoinKind::Inner },
            left: Box::new(source),
            right: Box::new(scan),
            on: Some(on),
            lateral: false,
        };
        // Where nothing matched, only the source's row is there.
        let unmatched = scope.stand_in(scope.items[1..].to_vec());
        let mut branches = Vec::with_capacity(merge.actions.len());
        for (i, action) in merge.actions.iter().enumerate() {
            let mut terms = vec![Expr {
                kind: ExprKind::IsNull {
                    arg: Box::new(column(key, PgType::BYTEA)),
                    negated: action.matched,
                },
                ty: PgType::BOOL,
                position: None,
            }];
            if let Some(condition) = &action.condition {
                let seen = if action.matched { &scope } else { &unmatched };
                terms.push(self.condition(condition, seen, Clause::MergeWhen, "WHEN")?);
            }
            let condition = match terms.len() {
                1 => terms.remove(0),
                _ => Expr {
                    kind: ExprKind::And(terms),
                    ty: PgType::BOOL,
                    position: None,
                },
            };
            branches.push((condition, self.constant(Datum::Int4(i as i32), PgType::INT4, None)));
        }
        let action = self.column(PgType::INT4);
        let number = Expr {
            kind: ExprKind::Case { branches, otherwise: None },
            ty: PgType::INT4,
            position: None,
        };
        // Actions know the columns by the ids that the join gives them.
        source_columns.extend(rows.old_row.iter().map(|(_, c)| c.clone()));
        source_columns.push(RelColumn {
            id: key,
            ty: PgType::BYTEA,
        });
        let mut columns: Vec<(RelColumn, Expr)> = source_columns.iter().map(|c| (self.column(c.ty), column(c.id, c.ty))).collect();
        columns.push((self.column(PgType::INT4), number));
        source_columns.push(action.clone());
        let cte = Cte {
            id: self.cte_id(),
            name: "merge".to_owned(),
            columns: columns.iter().map(|(c, _)| c.clone()).collect(),
            query: Rel::Project {
                input: Box::new(joined),
                columns,
            },
            recursive: None,
            materialized: Some(true),
        };
        let own = |i: usize| -> Result<Rel> {
            let wanted = self.constant(Datum::Int4(i as i32), PgType::INT4, None);
            let operator = crate::operator::operator("=");
            Ok(Rel::Filter {
                input: Box::new(Rel::CteScan {
                    cte: cte.id,
                    columns: source_columns.clone(),
                }),
                predicate: self.binary(&operator, column(action.id, PgType::INT4), wanted, 0)?,
            })
        };
        let mut actions = Vec::with_capacity(merge.actions.len());
        for (i, written) in merge.actions.iter().enumerate() {
            actions.push(match &written.change {
                MergeChange::Nothing => None,
                MergeChange::Delete => Some(Bound::Delete(Delete {
                    table: rows.target.table.clone(),
                    source: own(i)?,
                    row_key: key,
                    old_row: rows.old_row.clone(),
                    family: rows.family,
                    returning: None,
                })),
                MergeChange::Update(list) => {
                    let assignments = self.assignments(list, &rows.target.named, &scope)?;
                    self.notes_assigned(&rows.target, assignments.iter().map(|(i, _)| *i), false);
                    let (new_row, item, _) = rows.target.row(self, &table.name, merge.alias.is_none())?;
                    let (generated, checks) = rows.target.rules(self, &new_row, &item, rows.family)?;
                    Some(Bound::Update(Update {
                        table: rows.target.table.clone(),
                        source: own(i)?,
                        row_key: key,
                        old_row: rows.old_row.clone(),
                        assignments,
                        generated,
                        checks,
                        new_row,
                        tableoid: rows.family.then(|| self.column_id()),
                        returning: None,
                    }))
                }
                MergeChange::Insert {
                    columns,
                    overriding,
                    values,
                } => {
                    let query = values.as_ref().map(|v| {
                        Box::new(ast::Query {
                            with: None,
                            body: SetExpr::Values(v.clone()),
                            order_by: Vec::new(),
                            limit: None,
                            offset: None,
                            locking: Vec::new(),
                            pos: v.pos,
                        })
                    });
                    let insert = ast::Insert {
                        with: None,
                        table: merge.table.clone(),
                        alias: None,
                        columns: columns.clone(),
                        overriding: *overriding,
                        source: query,
                        on_conflict: None,
                        returning: Vec::new(),
                    };
                    let level = Scope::inside(&unmatched);
                    let Bound::Insert(mut insert) = self.insert(&insert, level)? else {
                        return Err(SqlError::internal("an INSERT was bound to something else"));
                    };
                    insert.source = Rel::Join {
                        kind: JoinKind::Inner,
                        left: Box::new(own(i)?),
                        right: Box::new(insert.source),
                        on: None,
                        lateral: true,
                    };
                    Some(Bound::Insert(insert))
                }
            });
        }
        scope.absorb(&unmatched);
        Ok(Bound::Merge(Merge {
            table: rows.target.table,
            joined: cte,
            columns: source_columns,
            row_key: key,
            action: action.id,
            actions,
        }))
    }

    /// A source whose columns are all plain ones, which `scope` sees.
    fn plain_columns(&self, rel: Rel, items: Vec<Rc<NsItem>>, scope: &mut Scope<'_>) -> (Rel, Vec<RelColumn>) {
        let mut columns = Vec::new();
        for item in items {
            let mut item = (*item).clone();
            for c in &mut item.columns {
                let value = c.merged.take().unwrap_or_else(|| column(c.column.id, c.column.ty));
                let plain = self.column(c.column.ty);
                self.same_record(c.column.id, plain.id);
                columns.push((plain.clone(), value));
                c.column = plain;
            }
            scope.items.push(Rc::new(item));
        }
        let produced = columns.iter().map(|(c, _)| c.clone()).collect();
        let rel = Rel::Project {
            input: Box::new(rel),
            columns,
        };
        (rel, produced)
    }
}

fn column(id: ColId, ty: PgType) -> Expr {
    Expr {
        kind: ExprKind::Column(id),
        ty,
        position: None,
    }
}

/// 42601 for an action that stands behind one without a condition.
fn refuse_unreachable(merge: &ast::Merge) -> Result<()> {
    let mut ended = [false; 2];
    for action in &merge.actions {
        let ended = &mut ended[usize::from(action.matched)];
        if *ended {
            let message = "unreachable WHEN clause specified after unconditional WHEN clause";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        *ended |= action.condition.is_none();
    }
    Ok(())
}
