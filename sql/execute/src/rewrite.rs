//! Moves filters down to where rows come from, before a path is chosen: through projections, joins, set operations and into scans.
//!
//! Only conjuncts that cannot fail and are not volatile move past an operator that could otherwise have kept them from a row; a conjunct
//! directly over a join or projection may always move down a side that it belongs to when it was written before every fallible one.

use crate::flatten::of_exists;
use crate::registry;
use crate::simplify;
use crate::walk;
use curia_bind::ir::*;
use curia_functions::Volatility;
use curia_types::Datum;
use std::collections::{BTreeSet, HashMap};

/// Pushes filters down throughout a relation and the subqueries in its expressions.
pub fn push_filters(rel: Rel) -> Rel {
    push(rel, Vec::new())
}

fn filter(input: Rel, terms: Vec<Expr>) -> Rel {
    match walk::conjunction(terms) {
        Some(predicate) => Rel::Filter {
            input: Box::new(input),
            predicate,
        },
        None => input,
    }
}

/// Whether a term may run earlier, or on rows that another term would have removed.
fn movable(term: &Expr) -> bool {
    let mut ok = true;
    walk::each(term, &mut |e| {
        ok &= match &e.kind {
            ExprKind::Call { .. } => registry::volatility(e) != Volatility::Volatile,
            ExprKind::Subquery { query, .. } => !walk::any_expression(query, &|e| registry::volatility(e) == Volatility::Volatile),
            _ => true,
        };
    });
    ok
}

/// Whether a term can raise an error.
pub fn fallible(term: &Expr) -> bool {
    let mut found = false;
    walk::each(term, &mut |e| {
        found |= match &e.kind {
            ExprKind::Call { function, .. } => curia_functions::by_oid(*function).is_none_or(|f| f.fallible),
            ExprKind::IoCast(_) | ExprKind::Subquery { .. } | ExprKind::Array(_) => true,
            _ => false,
        };
    });
    found
}

fn ids(rel: &Rel) -> BTreeSet<ColId> {
    walk::columns(rel).into_iter().map(|c| c.id).collect()
}

/// Moves the terms that satisfy `belongs` out of `terms`.
fn take(terms: &mut Vec<Expr>, belongs: impl Fn(&Expr) -> bool) -> Vec<Expr> {
    let (yes, no) = std::mem::take(terms).into_iter().partition(|t| belongs(t));
    *terms = no;
    yes
}

/// Simplifies an operator's expression, and the queries in it.
fn settle(e: &mut Expr) {
    simplify::decided(e);
    subqueries(e);
}

fn subqueries(e: &mut Expr) {
    walk::operands_mut(e, &mut subqueries);
    if let ExprKind::Subquery { kind, query, .. } = &mut e.kind {
        let mut own = std::mem::replace(&mut **query, Rel::Unit);
        if *kind == SubqueryKind::Exists {
            own = of_exists(own);
        }
        **query = push_filters(own);
    }
}

fn push(mut rel: Rel, mut terms: Vec<Expr>) -> Rel {
    curia_bind::walk::rel_children_mut(&mut rel, &mut settle, &mut |_| {});
    match rel {
        Rel::Filter { input, predicate } => {
            let mut all = Vec::new();
            walk::conjuncts(simplify::condition(predicate), &mut all);
            all.extend(terms);
            // A constant true says nothing, a constant false all.
            all.retain(|t| t.kind != ExprKind::Const(Datum::Bool(true)));
            if let Some(at) = all.iter().position(|t| t.kind == ExprKind::Const(Datum::Bool(false))) {
                all = vec![all.swap_remove(at)];
            }
            push(*input, all)
        }
        Rel::Project { mut input, columns } => {
            needed(&mut input, columns.iter().flat_map(|(_, e)| walk::used(e)).collect());
            let volatile = columns.iter().any(|(_, e)| !movable(e));
            let map: HashMap<ColId, &Expr> = columns.iter().map(|(c, e)| (c.id, e)).collect();
            let plain = |t: &Expr| {
                movable(t)
                    && !has_subquery(t)
                    && walk::used(t)
                        .iter()
                        .all(|id| map.get(id).is_none_or(|e| !fallible(e) && !has_subquery(e)))
            };
            let down: Vec<Expr> = if volatile {
                Vec::new()
            } else {
                take(&mut terms, plain).into_iter().map(|t| substitute(t, &map)).collect()
            };
            filter(
                Rel::Project {
                    input: Box::new(push(*input, down)),
                    columns,
                },
                terms,
            )
        }
        Rel::Join {
            kind,
            left,
            right,
            on,
            lateral,
        } => join(kind, *left, *right, on, lateral, terms),
        Rel::Sort { input, keys } => Rel::Sort {
            input: Box::new(push(*input, terms)),
            keys,
        },
        Rel::Distinct { input, on: None } => Rel::Distinct {
            input: Box::new(push(*input, terms)),
            on: None,
        },
        Rel::Distinct { input, on } => filter(
            Rel::Distinct {
                input: Box::new(push(*input, Vec::new())),
                on,
            },
            terms,
        ),
        Rel::Limit {
            input,
            limit,
            offset,
            ties,
        } => filter(
            Rel::Limit {
                input: Box::new(push(*input, Vec::new())),
                limit,
                offset,
                ties,
            },
            terms,
        ),
        Rel::LockRows { input, locks } => filter(
            Rel::LockRows {
                input: Box::new(push(*input, Vec::new())),
                locks,
            },
            terms,
        ),
        Rel::Window { input, calls } => filter(
            Rel::Window {
                input: Box::new(push(*input, Vec::new())),
                calls,
            },
            terms,
        ),
        Rel::ProjectSet { input, functions } => filter(
            Rel::ProjectSet {
                input: Box::new(push(*input, Vec::new())),
                functions,
            },
            terms,
        ),
        Rel::Aggregate {
            input,
            group_by,
            sets,
            aggregates,
        } => {
            let map: HashMap<ColId, &Expr> = group_by.iter().map(|(c, e)| (c.id, e)).collect();
            let outputs: BTreeSet<ColId> = aggregates.iter().map(|a| a.output.id).collect();
            let down = if sets.is_some() || group_by.is_empty() {
                Vec::new()
            } else {
                take(&mut terms, |t| {
                    movable(t)
                        && !fallible(t)
                        && walk::used(t)
                            .iter()
                            .all(|id| !outputs.contains(id) && map.get(id).is_none_or(|e| !fallible(e)))
                })
                .into_iter()
                .map(|t| substitute(t, &map))
                .collect()
            };
            filter(
                Rel::Aggregate {
                    input: Box::new(push(*input, down)),
                    group_by,
                    sets,
                    aggregates,
                },
                terms,
            )
        }
        Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            columns,
        } => {
            // Each input has its own columns for those that come out.
            let down = take(&mut terms, |t| movable(t) && !has_subquery(t));
            let into = |(rel, ids): (Rel, Vec<ColId>)| (push(rel, renamed(&down, &columns, &ids)), ids);
            let inputs = inputs.into_iter().map(into).collect();
            filter(
                Rel::SetOp {
                    op: SetOp::Union,
                    all: true,
                    inputs,
                    columns,
                },
                terms,
            )
        }
        Rel::SetOp { op, all, inputs, columns } => {
            let inputs = inputs.into_iter().map(|(r, c)| (push(r, Vec::new()), c)).collect();
            filter(Rel::SetOp { op, all, inputs, columns }, terms)
        }
        Rel::With { ctes, body } => {
            let ctes = ctes
                .into_iter()
                .map(|c| Cte {
                    query: push(c.query, Vec::new()),
                    recursive: c.recursive.map(|(r, ids, all)| (push(r, Vec::new()), ids, all)),
                    ..c
                })
                .collect();
            Rel::With {
                ctes,
                body: Box::new(push(*body, terms)),
            }
        }
        leaf => filter(leaf, terms),
    }
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>, lateral: bool, mut terms: Vec<Expr>) -> Rel {
    let mut on_terms = Vec::new();
    if let Some(on) = on {
        walk::conjuncts(simplify::condition(on), &mut on_terms);
        on_terms.retain(|t| t.kind != ExprKind::Const(Datum::Bool(true)));
    }
    let (left_ids, right_ids) = (ids(&left), ids(&right));
    let only = |side: &BTreeSet<ColId>, other: &BTreeSet<ColId>, t: &Expr| {
        let used = walk::used(t);
        movable(t) && used.iter().any(|c| side.contains(c)) && !used.iter().any(|c| other.contains(c))
    };
    // A condition over the null-extended side that is true only for values makes the join an inner one on that side.
    let kind = strengthen(kind, &terms, &left_ids, &right_ids);
    if kind == JoinKind::Inner {
        // WHERE over an inner join and its condition are one conjunction.
        on_terms.append(&mut terms);
    }
    let (mut to_left, mut to_right) = (Vec::new(), Vec::new());
    match kind {
        JoinKind::Inner => {
            to_left = take(&mut on_terms, |t| only(&left_ids, &right_ids, t));
            to_right = take(&mut on_terms, |t| only(&right_ids, &left_ids, t));
        }
        JoinKind::Left => {
            to_left = take(&mut terms, |t| only(&left_ids, &right_ids, t));
            to_right = take(&mut on_terms, |t| only(&right_ids, &left_ids, t));
        }
        JoinKind::Right => {
            to_right = take(&mut terms, |t| only(&right_ids, &left_ids, t));
            to_left = take(&mut on_terms, |t| only(&left_ids, &right_ids, t));
        }
        JoinKind::Full => {}
        // What could fail stays behind the match that kept it from rows.
        JoinKind::Semi | JoinKind::Anti => {
            to_left = take(&mut terms, |t| only(&left_ids, &right_ids, t) && !fallible(t));
            to_right = take(&mut on_terms, |t| only(&right_ids, &left_ids, t) && !fallible(t));
        }
    }
    let joined = Rel::Join {
        kind,
        left: Box::new(push(left, to_left)),
        right: Box::new(push(right, to_right)),
        on: walk::conjunction(on_terms),
        lateral,
    };
    filter(joined, terms)
}

/// Leaves out the aggregates under a projection that nothing refers to (any more): they are not computed, and raise no error.
fn needed(rel: &mut Rel, mut used: BTreeSet<ColId>) {
    match rel {
        Rel::Filter { input, predicate } => {
            used.extend(walk::used(predicate));
            needed(input, used);
        }
        Rel::Sort { input, keys } => {
            used.extend(keys.iter().flat_map(|k| walk::used(&k.expr)));
            needed(input, used);
        }
        Rel::Aggregate {
            group_by,
            sets,
            aggregates,
            ..
        } => {
            aggregates.retain(|a| used.contains(&a.output.id));
            if aggregates.is_empty() && group_by.is_empty() && sets.is_none() {
                // Without groups an aggregate gives one row, whatever it reads.
                *rel = Rel::Unit;
            }
        }
        _ => {}
    }
}

fn strengthen(kind: JoinKind, terms: &[Expr], left: &BTreeSet<ColId>, right: &BTreeSet<ColId>) -> JoinKind {
    let rejects = |side: &BTreeSet<ColId>| terms.iter().any(|t| rejects_null(t, side));
    match kind {
        JoinKind::Left if rejects(right) => JoinKind::Inner,
        JoinKind::Right if rejects(left) => JoinKind::Inner,
        JoinKind::Full => match (rejects(left), rejects(right)) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        k => k,
    }
}

/// Whether a term is never true when the columns of one side are all NULL: a strict comparison with one of them.
fn rejects_null(term: &Expr, side: &BTreeSet<ColId>) -> bool {
    let ExprKind::Call { function, args } = &term.kind else {
        return false;
    };
    crate::comparison::comparison(*function).is_some()
        && args.iter().any(|a| {
            let mut a = a;
            while let ExprKind::Relabel(inner) = &a.kind {
                a = inner;
            }
            matches!(&a.kind, ExprKind::Column(id) if side.contains(id))
        })
}

fn has_subquery(e: &Expr) -> bool {
    let mut found = false;
    walk::each(e, &mut |e| found |= matches!(e.kind, ExprKind::Subquery { .. }));
    found
}

/// Terms over an append's output, over an input's columns in the same order.
pub(crate) fn renamed(terms: &[Expr], output: &[RelColumn], input: &[ColId]) -> Vec<Expr> {
    let named = |(id, c): (&ColId, &RelColumn)| Expr {
        kind: ExprKind::Column(*id),
        ty: c.ty,
        position: None,
    };
    let own: Vec<Expr> = input.iter().zip(output).map(named).collect();
    let map: HashMap<ColId, &Expr> = output.iter().map(|c| c.id).zip(&own).collect();
    terms.iter().map(|t| substitute(t.clone(), &map)).collect()
}

/// Replaces columns by the expressions that compute them.
pub(crate) fn substitute(mut term: Expr, map: &HashMap<ColId, &Expr>) -> Expr {
    if let ExprKind::Column(id) = &term.kind
        && let Some(e) = map.get(id)
    {
        return (*e).clone();
    }
    walk::operands_mut(&mut term, &mut |o| {
        let taken = std::mem::replace(
            o,
            Expr {
                kind: ExprKind::Const(Datum::Null),
                ty: o.ty,
                position: None,
            },
        );
        *o = substitute(taken, map);
    });
    term
}
