//! What PostgreSQL's planner settles before anything runs, as far as it decides which operands are evaluated at all
//! (`eval_const_expressions`, `negate_clause`, `canonicalize_qual`).
//!
//! ```text
//!   NULL + a / 0             NULL: a strict function of a constant NULL evaluates nothing
//!   a / 0 = 1 AND false      false, likewise
//!   CASE WHEN false THEN ..  without that branch, and without the aggregates that only it needs
//!   WHERE a = 1 AND NULL     as WHERE false: where only true counts, unknown is false
//!   WHERE NOT (a OR b)       as WHERE NOT a AND NOT b: each keeps rows out by itself
//!   WHERE a AND b OR a AND c as WHERE a AND (b OR c): what all alternatives ask for stands alone
//! ```
//!
//! The binder doesn't: a column in a branch that is never evaluated must still exist, and be grouped by.

use crate::registry;
use crate::rewrite::fallible;
use crate::walk;
use curia_bind::ir::*;
use curia_functions::Volatility;
use curia_types::{Datum, PgType};

fn constant(value: Datum) -> Expr {
    Expr {
        kind: ExprKind::Const(value),
        ty: PgType::BOOL,
        position: None,
    }
}

fn is(e: &Expr, value: bool) -> bool {
    e.kind == ExprKind::Const(Datum::Bool(value))
}

fn is_null(e: &Expr) -> bool {
    e.kind == ExprKind::Const(Datum::Null)
}

/// Replaces what constants decide, whatever the other operands are.
pub fn decided(e: &mut Expr) {
    walk::operands_mut(e, &mut decided);
    match &mut e.kind {
        ExprKind::Case { branches, otherwise } => {
            branches.retain(|(condition, _)| !is(condition, false) && !is_null(condition));
            if let Some(at) = branches.iter().position(|(condition, _)| is(condition, true)) {
                *otherwise = Some(Box::new(branches.swap_remove(at).1));
                branches.truncate(at);
            }
            if branches.is_empty() {
                let result = otherwise.take().map_or(ExprKind::Const(Datum::Null), |result| result.kind);
                e.kind = result;
            }
        }
        ExprKind::Coalesce(args) => {
            args.retain(|a| !is_null(a));
            if let Some(at) = args.iter().position(|a| matches!(a.kind, ExprKind::Const(_))) {
                args.truncate(at + 1);
            }
            if args.len() <= 1 {
                e.kind = args.pop().map_or(ExprKind::Const(Datum::Null), |only| only.kind);
            }
        }
        _ => {}
    }
    let decides = match &e.kind {
        ExprKind::Call { function, args } => {
            let strict = || curia_functions::by_oid(*function).is_some_and(|f| f.strict && !f.set);
            (args.iter().any(is_null) && strict() && !args.iter().any(was_tried)).then_some(Datum::Null)
        }
        ExprKind::InList { arg, list, .. } => (is_null(arg) && !list.iter().any(was_tried)).then_some(Datum::Null),
        ExprKind::Not(arg) if is_null(arg) => Some(Datum::Null),
        ExprKind::And(args) => args.iter().any(|a| is(a, false)).then_some(Datum::Bool(false)),
        ExprKind::Or(args) => args.iter().any(|a| is(a, true)).then_some(Datum::Bool(true)),
        _ => None,
    };
    if let Some(value) = decides {
        e.kind = ExprKind::Const(value);
    }
}

/// Whether something in it could have been computed while planning and was not, since it raises an error. It must be raised then.
fn was_tried(e: &Expr) -> bool {
    let mut found = false;
    walk::each(e, &mut |e| {
        if let ExprKind::Call { args, .. } = &e.kind {
            found |= args.iter().all(|a| matches!(a.kind, ExprKind::Const(_) | ExprKind::Param(_)));
        }
    });
    found
}

/// A condition that holds for the same rows, where false and unknown are one. What constants decide has been replaced.
pub fn condition(e: Expr) -> Expr {
    true_only(e, false)
}

fn true_only(e: Expr, negated: bool) -> Expr {
    let Expr { kind, ty, position } = e;
    let kind = match (kind, negated) {
        (ExprKind::Const(Datum::Null), _) => ExprKind::Const(Datum::Bool(false)),
        (ExprKind::Const(Datum::Bool(value)), _) => ExprKind::Const(Datum::Bool(value != negated)),
        (ExprKind::Not(arg), _) => return true_only(*arg, !negated),
        (ExprKind::And(args), false) | (ExprKind::Or(args), true) => return chain(args, negated, true, ExprKind::And),
        (ExprKind::Or(args), false) | (ExprKind::And(args), true) => return chain(args, negated, false, ExprKind::Or),
        (ExprKind::IsNull { arg, negated: not }, true) => ExprKind::IsNull { arg, negated: !not },
        (kind, true) => {
            let arg = Box::new(Expr { kind, ty, position });
            ExprKind::Not(arg)
        }
        (kind, false) => kind,
    };
    Expr { kind, ty, position }
}

/// AND (`neutral` is true) or OR (`neutral` is false) of what the operands come to.
fn chain(args: Vec<Expr>, negated: bool, neutral: bool, kind: fn(Vec<Expr>) -> ExprKind) -> Expr {
    let mut kept = Vec::with_capacity(args.len());
    for arg in args {
        let arg = true_only(arg, negated);
        if is(&arg, !neutral) {
            return arg;
        }
        if !is(&arg, neutral) {
            kept.push(arg);
        }
    }
    match kept.len() {
        0 => constant(Datum::Bool(neutral)),
        1 => kept.swap_remove(0),
        _ if !neutral => factored(kept),
        _ => Expr {
            kind: kind(kept),
            ..constant(Datum::Null)
        },
    }
}

fn terms(e: &Expr) -> &[Expr] {
    match &e.kind {
        ExprKind::And(args) => args,
        _ => std::slice::from_ref(e),
    }
}

/// OR of operands; what all of them ask for stands before it, where it can be a join's key or find an index.
fn factored(mut operands: Vec<Expr>) -> Expr {
    let or = |operands| Expr {
        kind: ExprKind::Or(operands),
        ..constant(Datum::Null)
    };
    let Some(shortest) = operands.iter().min_by_key(|o| terms(o).len()) else {
        return or(operands);
    };
    let everywhere = |t: &&Expr| operands.iter().all(|o| terms(o).iter().any(|other| same(t, other))) && steady(t);
    let common: Vec<Expr> = terms(shortest).iter().filter(everywhere).cloned().collect();
    if common.is_empty() {
        return or(operands);
    }
    for operand in &mut operands {
        let mut rest = Vec::new();
        walk::conjuncts(std::mem::replace(operand, constant(Datum::Null)), &mut rest);
        rest.retain(|t| !common.iter().any(|c| same(t, c)));
        *operand = walk::conjunction(rest).unwrap_or_else(|| constant(Datum::Bool(true)));
    }
    let mut all = common;
    if !operands.iter().any(|o| is(o, true)) {
        all.push(or(operands));
    }
    walk::conjunction(all).unwrap_or_else(|| constant(Datum::Bool(true)))
}

/// Whether a term may be computed earlier, and once instead of several times.
fn steady(e: &Expr) -> bool {
    let mut volatile = false;
    walk::each(e, &mut |e| volatile |= registry::volatility(e) == Volatility::Volatile);
    !volatile && !fallible(e)
}

/// Whether two expressions are the same wherever they stand in the statement.
fn same(a: &Expr, b: &Expr) -> bool {
    let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (&a.kind, &b.kind) {
        (ExprKind::Column(a), ExprKind::Column(b)) => a == b,
        (ExprKind::Const(x), ExprKind::Const(y)) => a.ty == b.ty && x == y,
        (ExprKind::Param(a), ExprKind::Param(b)) => a == b,
        (ExprKind::Relabel(x), ExprKind::Relabel(y)) => a.ty == b.ty && same(x, y),
        (ExprKind::Call { function: f, args: x }, ExprKind::Call { function: g, args: y }) => f == g && all(x, y),
        (
            ExprKind::InList {
                arg: x,
                list: xs,
                equal: f,
                negated: n,
            },
            ExprKind::InList {
                arg: y,
                list: ys,
                equal: g,
                negated: m,
            },
        ) => f == g && n == m && same(x, y) && all(xs, ys),
        (ExprKind::IsNull { arg: x, negated: n }, ExprKind::IsNull { arg: y, negated: m }) => n == m && same(x, y),
        _ => false,
    }
}
