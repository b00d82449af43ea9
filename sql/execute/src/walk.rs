//! Structure of the bound form: what a relation produces, what an expression or relation refers to, and traversal of both.

use curia_bind::ir::*;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The columns that a relation produces, in the order of its rows.
pub fn columns(rel: &Rel) -> Vec<RelColumn> {
    match rel {
        Rel::Unit => Vec::new(),
        Rel::Scan(scan) => {
            let mut out: Vec<RelColumn> = scan.columns.iter().map(|(_, c)| c.clone()).collect();
            out.extend(scan.row_key.map(|id| RelColumn {
                id,
                ty: curia_types::PgType::BYTEA,
            }));
            out
        }
        Rel::System { columns, .. } => columns.iter().map(|(_, c)| c.clone()).collect(),
        Rel::Values { columns, .. } | Rel::SetOp { columns, .. } | Rel::CteScan { columns, .. } => columns.clone(),
        Rel::Function { columns, ordinality, .. } => columns.iter().chain(ordinality).cloned().collect(),
        Rel::Project { columns, .. } => columns.iter().map(|(c, _)| c.clone()).collect(),
        Rel::ProjectSet { input, functions } => {
            let mut out = self::columns(input);
            out.extend(functions.iter().map(|(c, _, _)| c.clone()));
            out
        }
        Rel::Join {
            kind: JoinKind::Semi | JoinKind::Anti,
            left,
            ..
        } => self::columns(left),
        Rel::Join { left, right, .. } => {
            let mut out = self::columns(left);
            out.extend(self::columns(right));
            out
        }
        Rel::Aggregate { group_by, aggregates, .. } => group_by
            .iter()
            .map(|(c, _)| c.clone())
            .chain(aggregates.iter().map(|a| a.output.clone()))
            .collect(),
        Rel::Window { input, calls } => {
            let mut out = self::columns(input);
            out.extend(calls.iter().map(|c| c.output.clone()));
            out
        }
        Rel::Filter { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::LockRows { input, .. } => self::columns(input),
        Rel::With { body, .. } => self::columns(body),
    }
}

/// Calls `f` for every relation directly under `rel`.
pub fn inputs<'a>(rel: &'a Rel, f: &mut dyn FnMut(&'a Rel)) {
    match rel {
        Rel::Unit | Rel::Scan(_) | Rel::System { .. } | Rel::Values { .. } | Rel::Function { .. } | Rel::CteScan { .. } => {}
        Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Aggregate { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::LockRows { input, .. } => f(input),
        Rel::Join { left, right, .. } => {
            f(left);
            f(right);
        }
        Rel::SetOp { inputs, .. } => inputs.iter().for_each(|(r, _)| f(r)),
        Rel::With { ctes, body } => {
            for cte in ctes {
                f(&cte.query);
                if let Some((r, _, _)) = &cte.recursive {
                    f(r);
                }
            }
            f(body);
        }
    }
}

/// Calls `f` for every expression that stands directly in `rel`.
pub fn expressions<'a>(rel: &'a Rel, f: &mut dyn FnMut(&'a Expr)) {
    match rel {
        Rel::Unit
        | Rel::Scan(_)
        | Rel::System { .. }
        | Rel::CteScan { .. }
        | Rel::LockRows { .. }
        | Rel::SetOp { .. }
        | Rel::With { .. } => {}
        Rel::Values { rows, .. } => rows.iter().flatten().for_each(f),
        Rel::Function { args, .. } => args.iter().for_each(f),
        Rel::Project { columns, .. } => columns.iter().for_each(|(_, e)| f(e)),
        Rel::ProjectSet { functions, .. } => functions.iter().flat_map(|(_, _, a)| a).for_each(f),
        Rel::Filter { predicate, .. } => f(predicate),
        Rel::Join { on, .. } => on.iter().for_each(f),
        Rel::Aggregate { group_by, aggregates, .. } => {
            group_by.iter().for_each(|(_, e)| f(e));
            for a in aggregates {
                a.args.iter().for_each(&mut *f);
                a.order_by.iter().for_each(|k| f(&k.expr));
                a.filter.iter().for_each(&mut *f);
            }
        }
        Rel::Window { calls, .. } => {
            for c in calls {
                c.args.iter().chain(&c.filter).chain(&c.partition_by).for_each(&mut *f);
                c.order_by.iter().for_each(|k| f(&k.expr));
                if let Some(frame) = &c.frame {
                    for bound in [&frame.start, &frame.end] {
                        if let FrameBound::Preceding(e) | FrameBound::Following(e) = bound {
                            f(e);
                        }
                    }
                }
            }
        }
        Rel::Sort { keys, .. } => keys.iter().for_each(|k| f(&k.expr)),
        Rel::Limit { limit, offset, ties, .. } => {
            limit.iter().chain(offset).for_each(|e| f(e));
            ties.iter().for_each(|k| f(&k.expr));
        }
        Rel::Distinct { on, .. } => on.iter().flatten().for_each(f),
    }
}

/// Visits every operand directly under an expression, shared or to be changed (not the query of a subquery).
macro_rules! visit_operands {
    ($expr:expr, $f:expr, $iter:ident $(, $mutable:tt)?) => {{
        use ExprKind::*;
        let f = $f;
        match &$($mutable)? $expr.kind {
            Const(_) | Param(_) | Column(_) => {}
            Call { args, .. } | And(args) | Or(args) | Coalesce(args) | Array(args) | Row(args, _) | MinMax { args, .. } => {
                args.$iter().for_each(f)
            }
            IoCast(a) | Relabel(a) | Not(a) => f(a),
            IsNull { arg, .. } | IsBool { arg, .. } => f(arg),
            IsDistinct { args, .. } | NullIf { args, .. } => {
                f(&$($mutable)? args.0);
                f(&$($mutable)? args.1);
            }
            Case { branches, otherwise } => {
                for (c, r) in branches {
                    f(c);
                    f(r);
                }
                otherwise.$iter().for_each(|e| f(e));
            }
            InList { arg, list, .. } => {
                f(arg);
                list.$iter().for_each(f);
            }
            ArrayCompare { arg, array, .. } => {
                f(arg);
                f(array);
            }
            Field { record, .. } => f(record),
            Subscript { array, subscripts } => {
                f(array);
                subscripts.$iter().for_each(f);
            }
            Slice { array, bounds, .. } => {
                f(array);
                bounds.$iter().for_each(f);
            }
            SetElements { array, bounds, value, .. } => {
                f(array);
                bounds.$iter().for_each(&mut *f);
                f(value);
            }
            Subquery { kind, .. } => {
                if let SubqueryKind::Compare { arg, .. } = kind {
                    f(arg);
                }
            }
        }
    }};
}

/// Calls `f` for every operand directly under `expr` (not for the query of a subquery).
pub fn operands<'a>(expr: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    visit_operands!(expr, f, iter);
}

/// Calls `f` for `expr` and everything below it, subqueries' relations excepted; iterative, so that depth costs no stack.
pub fn each<'a>(expr: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    let mut stack = vec![expr];
    while let Some(e) = stack.pop() {
        f(e);
        operands(e, &mut |o| stack.push(o));
    }
}

/// Columns that an expression refers to, through subqueries too.
pub fn used(expr: &Expr) -> BTreeSet<ColId> {
    let mut out = BTreeSet::new();
    each(expr, &mut |e| match &e.kind {
        ExprKind::Column(id) => {
            out.insert(*id);
        }
        ExprKind::Subquery { query, .. } => out.extend(free(query)),
        _ => {}
    });
    out
}

/// Columns that a relation refers to but no relation below it produces: its outer references.
pub fn free(rel: &Rel) -> BTreeSet<ColId> {
    let (mut refers, mut produces) = (BTreeSet::new(), BTreeSet::new());
    let mut stack = vec![rel];
    while let Some(r) = stack.pop() {
        produces.extend(columns(r).into_iter().map(|c| c.id));
        expressions(r, &mut |e| refers.extend(used(e)));
        inputs(r, &mut |i| stack.push(i));
    }
    refers.retain(|id| !produces.contains(id));
    refers
}

/// Whether `f` holds for any expression in the relation, subqueries included.
pub fn any_expression(rel: &Rel, f: &dyn Fn(&Expr) -> bool) -> bool {
    let mut stack = vec![rel];
    let mut found = false;
    while let Some(r) = stack.pop() {
        expressions(r, &mut |e| {
            each(e, &mut |e| {
                found |= f(e);
                if let ExprKind::Subquery { query, .. } = &e.kind {
                    stack.push(query);
                }
            });
        });
        inputs(r, &mut |i| stack.push(i));
        if found {
            return true;
        }
    }
    false
}

/// Calls `f` for every relation in `rel`, subqueries included.
pub fn each_rel<'a>(rel: &'a Rel, f: &mut dyn FnMut(&'a Rel)) {
    let mut stack = vec![rel];
    while let Some(r) = stack.pop() {
        f(r);
        expressions(r, &mut |e| {
            each(e, &mut |e| {
                if let ExprKind::Subquery { query, .. } = &e.kind {
                    stack.push(query);
                }
            });
        });
        inputs(r, &mut |i| stack.push(i));
    }
}

/// The conjuncts of a conjunction, left to right, to look at.
pub fn terms(predicate: &Expr) -> Cow<'_, [Expr]> {
    match &predicate.kind {
        ExprKind::And(args) if !args.iter().any(|a| matches!(a.kind, ExprKind::And(_))) => Cow::Borrowed(args),
        ExprKind::And(_) => {
            let mut out = Vec::new();
            conjuncts(predicate.clone(), &mut out);
            Cow::Owned(out)
        }
        _ => Cow::Borrowed(std::slice::from_ref(predicate)),
    }
}

/// Splits a conjunction into its conjuncts, left to right.
pub fn conjuncts(predicate: Expr, out: &mut Vec<Expr>) {
    match predicate.kind {
        ExprKind::And(args) => args.into_iter().for_each(|a| conjuncts(a, out)),
        _ => out.push(predicate),
    }
}

/// Joins conjuncts again; `None` for none.
pub fn conjunction(mut terms: Vec<Expr>) -> Option<Expr> {
    match terms.len() {
        0 => None,
        1 => terms.pop(),
        _ => Some(Expr {
            kind: ExprKind::And(terms),
            ty: curia_types::PgType::BOOL,
            position: None,
        }),
    }
}

/// Depth of the deepest expression or relation nesting, measured without recursion.
pub fn depth(rel: &Rel) -> usize {
    enum Item<'a> {
        Rel(&'a Rel, usize),
        Expr(&'a Expr, usize),
    }
    let mut deepest = 0;
    let mut stack = vec![Item::Rel(rel, 1)];
    while let Some(item) = stack.pop() {
        match item {
            Item::Rel(r, d) => {
                deepest = deepest.max(d);
                expressions(r, &mut |e| stack.push(Item::Expr(e, d + 1)));
                inputs(r, &mut |i| stack.push(Item::Rel(i, d + 1)));
            }
            Item::Expr(e, d) => {
                deepest = deepest.max(d);
                if let ExprKind::Subquery { query, .. } = &e.kind {
                    stack.push(Item::Rel(query, d + 1));
                }
                operands(e, &mut |o| stack.push(Item::Expr(o, d + 1)));
            }
        }
    }
    deepest
}

/// Calls `f` for every operand directly under `expr`, to change it.
pub fn operands_mut(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    visit_operands!(expr, f, iter_mut, mut);
}
