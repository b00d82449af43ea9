//! Traversals of the IR: children of expressions and relations, the columns they use, and the pruning of those that nobody uses.
//!
//! All of them recurse as deep as the tree is; see [`BoundStatement::depth`].

use crate::ir::*;
use std::collections::HashSet;

macro_rules! expr_children {
    ($name:ident, $($m:tt)?) => {
        /// Calls `f` on the direct operands of an expression; those inside a subquery's relation are not among them.
        pub fn $name<'e>(e: &'e $($m)? Expr, f: &mut dyn FnMut(&'e $($m)? Expr)) {
            match & $($m)? e.kind {
                ExprKind::Const(_) | ExprKind::Param(_) | ExprKind::Column(_) => {}
                ExprKind::Call { args, .. }
                | ExprKind::And(args)
                | ExprKind::Or(args)
                | ExprKind::Coalesce(args)
                | ExprKind::MinMax { args, .. }
                | ExprKind::Array(args)
                | ExprKind::Row(args, _) => args.into_iter().for_each(f),
                ExprKind::IoCast(a) | ExprKind::Relabel(a) | ExprKind::Not(a) => f(a),
                ExprKind::IsNull { arg, .. } | ExprKind::IsBool { arg, .. } => f(arg),
                ExprKind::IsDistinct { args, .. } | ExprKind::NullIf { args, .. } => {
                    let (a, b) = & $($m)? **args;
                    f(a);
                    f(b);
                }
                ExprKind::Case { branches, otherwise } => {
                    for (c, r) in branches {
                        f(c);
                        f(r);
                    }
                    if let Some(o) = otherwise {
                        f(o);
                    }
                }
                ExprKind::InList { arg, list, .. } => {
                    f(arg);
                    list.into_iter().for_each(f);
                }
                ExprKind::ArrayCompare { arg, array, .. } => {
                    f(arg);
                    f(array);
                }
                ExprKind::Field { record, .. } => f(record),
                ExprKind::Subscript { array, subscripts } => {
                    f(array);
                    subscripts.into_iter().for_each(f);
                }
                ExprKind::Slice { array, bounds, .. } => {
                    f(array);
                    bounds.into_iter().for_each(f);
                }
                ExprKind::SetElements { array, bounds, value, .. } => {
                    f(array);
                    bounds.into_iter().for_each(&mut *f);
                    f(value);
                }
                ExprKind::Subquery { kind, .. } => {
                    if let SubqueryKind::Compare { arg, .. } = kind {
                        f(arg);
                    }
                }
            }
        }
    };
}
expr_children!(expr_children,);
expr_children!(expr_children_mut, mut);

macro_rules! rel_children {
    ($name:ident, $($m:tt)?) => {
        /// Calls `on_expr` on the expressions and `on_rel` on the inputs of a relation.
        pub fn $name<'e>(
            rel: &'e $($m)? Rel,
            on_expr: &mut dyn FnMut(&'e $($m)? Expr),
            on_rel: &mut dyn FnMut(&'e $($m)? Rel),
        ) {
            match rel {
                Rel::Unit | Rel::Scan(_) | Rel::System { .. } | Rel::CteScan { .. } => {}
                Rel::Values { rows, .. } => rows.into_iter().flatten().for_each(on_expr),
                Rel::Function { args, .. } => args.into_iter().for_each(on_expr),
                Rel::Project { input, columns } => {
                    on_rel(input);
                    columns.into_iter().for_each(|(_, e)| on_expr(e));
                }
                Rel::ProjectSet { input, functions } => {
                    on_rel(input);
                    functions.into_iter().flat_map(|(_, _, args)| args).for_each(on_expr);
                }
                Rel::Filter { input, predicate } => {
                    on_rel(input);
                    on_expr(predicate);
                }
                Rel::Join { left, right, on, .. } => {
                    on_rel(left);
                    on_rel(right);
                    if let Some(on) = on {
                        on_expr(on);
                    }
                }
                Rel::Aggregate { input, group_by, aggregates, .. } => {
                    on_rel(input);
                    group_by.into_iter().for_each(|(_, e)| on_expr(e));
                    for a in aggregates {
                        let Aggregate { args, order_by, filter, .. } = a;
                        args.into_iter().for_each(&mut *on_expr);
                        order_by.into_iter().for_each(|k| on_expr(& $($m)? k.expr));
                        if let Some(e) = filter {
                            on_expr(e);
                        }
                    }
                }
                Rel::Window { input, calls } => {
                    on_rel(input);
                    for c in calls {
                        let WindowCall { args, filter, partition_by, order_by, frame, .. } = c;
                        args.into_iter().for_each(&mut *on_expr);
                        if let Some(e) = filter {
                            on_expr(e);
                        }
                        partition_by.into_iter().for_each(&mut *on_expr);
                        order_by.into_iter().for_each(|k| on_expr(& $($m)? k.expr));
                        if let Some(frame) = frame {
                            let WindowFrame { start, end, .. } = frame;
                            for bound in [start, end] {
                                if let FrameBound::Preceding(e) | FrameBound::Following(e) = bound {
                                    on_expr(e);
                                }
                            }
                        }
                    }
                }
                Rel::Sort { input, keys } => {
                    on_rel(input);
                    keys.into_iter().for_each(|k| on_expr(& $($m)? k.expr));
                }
                Rel::Limit { input, limit, offset, ties } => {
                    on_rel(input);
                    ties.into_iter().for_each(|k| on_expr(& $($m)? k.expr));
                    if let Some(e) = limit {
                        on_expr(e);
                    }
                    if let Some(e) = offset {
                        on_expr(e);
                    }
                }
                Rel::Distinct { input, on } => {
                    on_rel(input);
                    if let Some(on) = on {
                        on.into_iter().for_each(on_expr);
                    }
                }
                Rel::SetOp { inputs, .. } => inputs.into_iter().for_each(|(r, _)| on_rel(r)),
                Rel::With { ctes, body } => {
                    for cte in ctes {
                        let Cte { query, recursive, .. } = cte;
                        on_rel(query);
                        if let Some((r, _, _)) = recursive {
                            on_rel(r);
                        }
                    }
                    on_rel(body);
                }
                Rel::LockRows { input, .. } => on_rel(input),
            }
        }
    };
}
rel_children!(rel_children,);
rel_children!(rel_children_mut, mut);

/// Calls `f` on every column that an expression refers to, outer references of its subqueries included.
pub fn columns_of(e: &Expr, f: &mut dyn FnMut(ColId)) {
    match &e.kind {
        ExprKind::Column(id) => f(*id),
        ExprKind::Subquery { outer, .. } => outer.iter().for_each(|id| f(*id)),
        _ => {}
    }
    expr_children(e, &mut |c| columns_of(c, f));
}

/// Whether `test` holds for the expression or anything in it, subqueries' relations not included.
pub fn any_expr(e: &Expr, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    if test(e) {
        return true;
    }
    let mut found = false;
    expr_children(e, &mut |c| found = found || any_expr(c, test));
    found
}

/// Whether it may give different results for equal arguments (a volatile function or a subquery, which may hold one).
pub fn is_volatile(e: &Expr) -> bool {
    any_expr(e, &mut |e| matches!(e.kind, ExprKind::Subquery { .. }) || is_volatile_call(e))
}

fn is_volatile_call(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Call { function, .. } => {
            curia_functions::by_oid(*function).is_none_or(|f| f.volatility == curia_functions::Volatility::Volatile)
        }
        _ => false,
    }
}

/// Whether leaving it uncomputed could be noticed, but for an error: a volatile function or a row lock, in subqueries too.
fn has_effects(e: &Expr) -> bool {
    any_expr(e, &mut |e| match &e.kind {
        ExprKind::Subquery { query, .. } => {
            let mut found = false;
            each_rel(query, &mut |rel| {
                found |= matches!(rel, Rel::LockRows { .. });
                rel_children(rel, &mut |e| found = found || has_effects(e), &mut |_| {});
            });
            found
        }
        _ => is_volatile_call(e),
    })
}

/// Replaces parts of an expression from the top down: where `f` gives something, that stands instead and is not entered.
pub fn replace(e: &mut Expr, f: &mut dyn FnMut(&Expr) -> Option<Expr>) {
    if let Some(new) = f(e) {
        *e = new;
        return;
    }
    expr_children_mut(e, &mut |c| replace(c, f));
}

/// A copy without positions, so that equal expressions compare equal.
pub fn without_positions(e: &Expr) -> Expr {
    let mut copy = e.clone();
    clear_positions(&mut copy);
    copy
}

fn clear_positions(e: &mut Expr) {
    e.position = None;
    expr_children_mut(e, &mut clear_positions);
}

/// Takes the positions out of a relation, subqueries included: it is of another text than the statement.
pub fn forget_positions(rel: &mut Rel) {
    let mut inputs = Vec::new();
    rel_children_mut(rel, &mut forget_in_expr, &mut |r| inputs.push(r));
    inputs.into_iter().for_each(forget_positions);
}

fn forget_in_expr(e: &mut Expr) {
    e.position = None;
    if let ExprKind::Subquery { query, .. } = &mut e.kind {
        forget_positions(query);
    }
    expr_children_mut(e, &mut forget_in_expr);
}

/// Calls `f` for a relation and every one in it, subqueries included.
pub fn each_rel<'e>(rel: &'e Rel, f: &mut dyn FnMut(&'e Rel)) {
    f(rel);
    let (mut inputs, mut subqueries) = (Vec::new(), Vec::new());
    rel_children(rel, &mut |e| subqueries_of(e, &mut subqueries), &mut |r| inputs.push(r));
    inputs.into_iter().chain(subqueries).for_each(|r| each_rel(r, f));
}

fn subqueries_of<'e>(e: &'e Expr, found: &mut Vec<&'e Rel>) {
    if let ExprKind::Subquery { query, .. } = &e.kind {
        found.push(query);
    }
    expr_children(e, &mut |c| subqueries_of(c, found));
}

/// Where an expression starts: the leftmost of its own position and its operands' (`exprLocation`).
pub fn location(e: &Expr) -> Option<u32> {
    let mut first = e.position;
    if matches!(e.kind, ExprKind::Case { .. } | ExprKind::Array(_) | ExprKind::Row(..)) {
        return first;
    }
    expr_children(e, &mut |c| {
        if let Some(p) = location(c) {
            first = Some(first.map_or(p, |f| f.min(p)));
        }
    });
    first
}

/// Whether two expressions are the same but for positions.
pub fn same(a: &Expr, b: &Expr) -> bool {
    if a.ty != b.ty || std::mem::discriminant(&a.kind) != std::mem::discriminant(&b.kind) {
        return false;
    }
    match (&a.kind, &b.kind) {
        (ExprKind::Column(x), ExprKind::Column(y)) => x == y,
        (ExprKind::Const(x), ExprKind::Const(y)) => x == y,
        _ => without_positions(a) == without_positions(b),
    }
}

fn used_by_expr(e: &Expr, used: &mut HashSet<ColId>) {
    if let ExprKind::Column(id) = e.kind {
        used.insert(id);
    }
    if let ExprKind::Subquery { query, outer, .. } = &e.kind {
        used.extend(outer);
        // Scalar, ARRAY and comparison subqueries give the value of their first column.
        if let Some(id) = first_output(query) {
            used.insert(id);
        }
        used_by_rel(query, used);
    }
    expr_children(e, &mut |c| used_by_expr(c, used));
}

/// The relation that decides the output columns of `rel`.
fn producer(mut rel: &Rel) -> &Rel {
    loop {
        rel = match rel {
            Rel::Filter { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Distinct { input, .. }
            | Rel::LockRows { input, .. } => input,
            Rel::With { body, .. } => body,
            other => return other,
        };
    }
}

/// Output columns of a subquery in order, as far as its producer fixes them.
pub fn outputs(rel: &Rel) -> Vec<ColId> {
    match producer(rel) {
        Rel::Project { columns, .. } => columns.iter().map(|(c, _)| c.id).collect(),
        Rel::Values { columns, .. } | Rel::SetOp { columns, .. } | Rel::CteScan { columns, .. } | Rel::Function { columns, .. } => {
            columns.iter().map(|c| c.id).collect()
        }
        _ => Vec::new(),
    }
}

fn first_output(rel: &Rel) -> Option<ColId> {
    outputs(rel).first().copied()
}

/// Columns that a relation refers to, its own and others'.
pub(crate) fn used(rel: &Rel) -> HashSet<ColId> {
    let mut used = HashSet::new();
    used_by_rel(rel, &mut used);
    used
}

fn used_by_rel(rel: &Rel, used: &mut HashSet<ColId>) {
    match rel {
        // Of an append each input gives what is used of its output; anything else compares whole rows.
        Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            columns,
        } => {
            let stays = staying(columns, used);
            let ids = inputs.iter().flat_map(|(_, ids)| ids.iter().zip(&stays));
            used.extend(ids.filter(|(_, stays)| **stays).map(|(id, _)| *id));
        }
        Rel::SetOp { inputs, .. } => inputs.iter().for_each(|(_, ids)| used.extend(ids)),
        Rel::Distinct { input, on: None } => used.extend(outputs(input)),
        Rel::LockRows { locks, .. } => used.extend(locks.iter().map(|l| l.row_key)),
        Rel::With { ctes, .. } => {
            for cte in ctes {
                used.extend(cte.columns.iter().map(|c| c.id));
                if let Some((_, ids, _)) = &cte.recursive {
                    used.extend(ids);
                }
            }
        }
        _ => {}
    }
    // One closure cannot borrow the set twice: expressions first, inputs after.
    let mut inputs = Vec::new();
    rel_children(rel, &mut |e| used_by_expr(e, used), &mut |r| inputs.push(r));
    inputs.into_iter().for_each(|r| used_by_rel(r, used));
}

/// Which columns of an append stay: those that are used, and the first where none is.
fn staying(columns: &[RelColumn], used: &HashSet<ColId>) -> Vec<bool> {
    let mut stays: Vec<bool> = columns.iter().map(|c| used.contains(&c.id)).collect();
    if !stays.contains(&true)
        && let Some(first) = stays.first_mut()
    {
        *first = true;
    }
    stays
}

fn keep<T>(list: &mut Vec<T>, stays: &[bool]) {
    let mut at = stays.iter();
    list.retain(|_| at.next().copied().unwrap_or(true));
}

/// Leaves out an input's projection that only gives other names to columns of a scan.
fn unwrap_names(input: &mut Rel, ids: &mut [ColId]) {
    let Rel::Project { input: below, columns } = input else { return };
    let Rel::Scan(scan) = &**below else { return };
    // A column may be one of a row outside.
    let own = |id: &ColId| scan.row_key == Some(*id) || scan.columns.iter().any(|(_, c)| c.id == *id);
    let named = |id: &ColId| match columns.iter().find(|(c, _)| c.id == *id).map(|(_, e)| &e.kind) {
        Some(ExprKind::Column(below)) if own(below) => Some(*below),
        _ => None,
    };
    if let Some(own) = ids.iter().map(named).collect::<Option<Vec<ColId>>>() {
        ids.copy_from_slice(&own);
        *input = std::mem::replace(&mut **below, Rel::Unit);
    }
}

fn drop_unused(rel: &mut Rel, used: &HashSet<ColId>, dropped: &mut bool) {
    match rel {
        Rel::Scan(scan) => {
            scan.columns.retain(|(_, c)| used.contains(&c.id));
            scan.row_key = scan.row_key.filter(|id| used.contains(id));
        }
        Rel::System { columns, .. } => columns.retain(|(_, c)| used.contains(&c.id)),
        Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            columns,
        } => {
            let stays = staying(columns, used);
            *dropped |= stays.contains(&false);
            keep(columns, &stays);
            for (input, ids) in inputs {
                keep(ids, &stays);
                unwrap_names(input, ids);
            }
        }
        Rel::Project { columns, .. } => {
            let before = columns.len();
            columns.retain(|(c, e)| used.contains(&c.id) || has_effects(e));
            *dropped |= columns.len() < before;
        }
        _ => {}
    }
    let mut inputs = Vec::new();
    rel_children_mut(rel, &mut |e| drop_unused_in_expr(e, used), &mut |r| inputs.push(r));
    inputs.into_iter().for_each(|r| drop_unused(r, used, dropped));
}

fn drop_unused_in_expr(e: &mut Expr, used: &HashSet<ColId>) {
    if let ExprKind::Subquery { query, .. } = &mut e.kind {
        drop_unused(query, used, &mut false);
    }
    expr_children_mut(e, &mut |c| drop_unused_in_expr(c, used));
}

/// The relation and loose expressions of a statement.
pub(crate) fn statement_parts(bound: &mut Bound) -> (&mut Rel, Vec<&mut Expr>, Vec<ColId>) {
    match bound {
        Bound::Query(q) => {
            let ids = q.output.iter().map(|c| c.id).collect();
            (&mut q.rel, Vec::new(), ids)
        }
        Bound::Insert(i) => {
            let mut exprs: Vec<&mut Expr> = Vec::new();
            exprs.extend(i.values.iter_mut().filter_map(|v| match v {
                InsertValue::Expr(e) => Some(e),
                InsertValue::Dropped => None,
            }));
            if let Some(update) = i.on_conflict.as_mut().and_then(|c| c.update.as_mut()) {
                exprs.extend(update.assignments.iter_mut().map(|(_, e)| e));
                exprs.extend(update.predicate.as_mut());
            }
            exprs.extend(i.generated.iter_mut().map(|(_, e)| e));
            exprs.extend(i.checks.iter_mut().map(|c| &mut c.predicate));
            exprs.extend(i.returning.iter_mut().flat_map(|r| r.columns.iter_mut().map(|(_, e)| e)));
            (&mut i.source, exprs, Vec::new())
        }
        Bound::Update(u) => {
            let ids = u.old_row.iter().map(|(_, c)| c.id).chain([u.row_key]).collect();
            let mut exprs: Vec<&mut Expr> = u.assignments.iter_mut().map(|(_, e)| e).collect();
            exprs.extend(u.generated.iter_mut().map(|(_, e)| e));
            exprs.extend(u.checks.iter_mut().map(|c| &mut c.predicate));
            exprs.extend(u.returning.iter_mut().flat_map(|r| r.columns.iter_mut().map(|(_, e)| e)));
            (&mut u.source, exprs, ids)
        }
        Bound::Delete(d) => {
            let ids = d.old_row.iter().map(|(_, c)| c.id).chain([d.row_key]).collect();
            let exprs = d.returning.iter_mut().flat_map(|r| r.columns.iter_mut().map(|(_, e)| e)).collect();
            (&mut d.source, exprs, ids)
        }
        Bound::Merge(m) => {
            let ids = m.joined.columns.iter().map(|c| c.id).collect();
            (&mut m.joined.query, Vec::new(), ids)
        }
    }
}

/// [`prune`] for a common table expression, whose columns all stay.
pub fn prune_stage(stage: &mut Stage) {
    match stage {
        Stage::Change { change, .. } => prune(change),
        Stage::Query(cte) => {
            let mut bound = Bound::Query(Query {
                rel: Rel::With {
                    ctes: vec![cte.clone()],
                    body: Box::new(Rel::Unit),
                },
                output: Vec::new(),
            });
            prune(&mut bound);
            if let Bound::Query(Query {
                rel: Rel::With { mut ctes, .. },
                ..
            }) = bound
                && let Some(pruned) = ctes.pop()
            {
                *cte = pruned;
            }
        }
    }
}

/// Drops columns of scans and inner projections that nothing refers to. What a dropped projection referred to may then go as well, so
/// this repeats while projections shrink, a few times at most.
pub fn prune(bound: &mut Bound) {
    const ROUNDS: usize = 4;
    if let Bound::Merge(m) = bound {
        m.actions.iter_mut().flatten().for_each(prune);
    }
    for _ in 0..ROUNDS {
        let (rel, mut exprs, ids) = statement_parts(bound);
        let mut used: HashSet<ColId> = ids.into_iter().collect();
        exprs.iter().for_each(|e| used_by_expr(e, &mut used));
        used_by_rel(rel, &mut used);
        // What is used of an append may be said by a relation beside it, which was looked at later.
        let mut appends = false;
        each_rel(rel, &mut |r| appends |= matches!(r, Rel::SetOp { all: true, .. }));
        let mut known = 0;
        while appends && used.len() > known {
            known = used.len();
            used_by_rel(rel, &mut used);
        }
        let mut dropped = false;
        drop_unused(rel, &used, &mut dropped);
        exprs.iter_mut().for_each(|e| drop_unused_in_expr(e, &used));
        if !dropped {
            return;
        }
    }
}
