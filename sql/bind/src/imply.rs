//! Whether conditions imply another one: what makes a partial index usable for a query. A part of PostgreSQL's `predtest.c`.
//!
//! ```text
//!   a = 5, b > 10   imply   a = 5           the same condition
//!                           b > 7           a stronger comparison with a constant
//!                           a IN (4, 5)     one value of the list
//!                           b IS NOT NULL   no comparison with NULL is true
//!                           c OR a = 5      one side of an OR
//! ```

use crate::ir::*;
use curia_types::Datum;

/// Splits a conjunction into its conjuncts.
pub fn conjuncts(e: &Expr, out: &mut Vec<Expr>) {
    match &e.kind {
        ExprKind::And(items) => items.iter().for_each(|i| conjuncts(i, out)),
        _ => out.push(e.clone()),
    }
}

/// Whether `predicate` is true of every row of which all of `given` are true.
pub fn implies(given: &[Expr], predicate: &Expr) -> bool {
    match &predicate.kind {
        ExprKind::And(items) => items.iter().all(|i| implies(given, i)),
        ExprKind::Or(items) if items.iter().any(|i| implies(given, i)) => true,
        ExprKind::Const(Datum::Bool(true)) => true,
        _ => given.iter().any(|g| one_implies(g, predicate)),
    }
}

fn one_implies(given: &Expr, wanted: &Expr) -> bool {
    if same(given, wanted) {
        return true;
    }
    match &given.kind {
        ExprKind::Or(items) => return items.iter().all(|i| implies(std::slice::from_ref(i), wanted)),
        ExprKind::And(items) => return implies(items, wanted),
        _ => {}
    }
    match &wanted.kind {
        ExprKind::IsNull { arg, negated: true } => makes_known(given, arg),
        ExprKind::IsBool {
            arg,
            test: Some(true),
            negated: false,
        } => same(given, arg),
        ExprKind::InList {
            arg,
            list,
            equal,
            negated: false,
        } => match &given.kind {
            ExprKind::InList {
                arg: from,
                list: values,
                equal: by,
                negated: false,
            } => same(from, arg) && by == equal && values.iter().all(|v| list.iter().any(|l| same(v, l))),
            _ => Compare::of(given).is_some_and(|g| {
                g.sign == Sign::Eq
                    && same(g.left, arg)
                    && list
                        .iter()
                        .any(|l| matches!(&l.kind, ExprKind::Const(c) if equal_values(g.value, c)))
            }),
        },
        _ => match Compare::of(wanted) {
            Some(wanted) => match &given.kind {
                ExprKind::InList {
                    arg, list, negated: false, ..
                } => {
                    same(arg, wanted.left)
                        && list.iter().all(|v| {
                            matches!(&v.kind, ExprKind::Const(c) if !c.is_null()
                                && Compare { left: arg, sign: Sign::Eq, value: c, ty: v.ty.oid }.implies(&wanted))
                        })
                }
                _ => Compare::of(given).is_some_and(|g| same(g.left, wanted.left) && g.implies(&wanted)),
            },
            None => false,
        },
    }
}

/// Structural equality, wherever the expressions stand.
fn same(a: &Expr, b: &Expr) -> bool {
    crate::walk::without_positions(a) == crate::walk::without_positions(b)
}

/// Whether a true `given` means that `arg` is not NULL.
fn makes_known(given: &Expr, arg: &Expr) -> bool {
    if same(given, arg) {
        return true;
    }
    match &given.kind {
        ExprKind::Call { function, args } => {
            curia_functions::by_oid(*function).is_some_and(|f| f.strict) && args.iter().any(|a| makes_known(a, arg))
        }
        ExprKind::IsNull { arg: known, negated: true } => makes_known(known, arg),
        ExprKind::InList {
            arg: known,
            negated: false,
            ..
        } => makes_known(known, arg),
        ExprKind::ArrayCompare {
            arg: known, all: false, ..
        } => makes_known(known, arg),
        ExprKind::Relabel(inner) | ExprKind::IoCast(inner) | ExprKind::Not(inner) => makes_known(inner, arg),
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    Ne,
}

/// `left op constant`.
struct Compare<'e> {
    left: &'e Expr,
    sign: Sign,
    value: &'e Datum,
    ty: u32,
}

impl<'e> Compare<'e> {
    fn of(e: &'e Expr) -> Option<Compare<'e>> {
        let ExprKind::Call { function, args } = &e.kind else { return None };
        let [a, b] = args.as_slice() else { return None };
        let name = crate::deparse::operator_of(*function)?.name;
        let sign = match name {
            "<" => Sign::Lt,
            "<=" => Sign::Le,
            "=" => Sign::Eq,
            ">=" => Sign::Ge,
            ">" => Sign::Gt,
            "<>" => Sign::Ne,
            _ => return None,
        };
        let (left, value, sign, ty) = match (&a.kind, &b.kind) {
            (_, ExprKind::Const(v)) => (a, v, sign, b.ty.oid),
            (ExprKind::Const(v), _) => (
                b,
                v,
                match sign {
                    Sign::Lt => Sign::Gt,
                    Sign::Le => Sign::Ge,
                    Sign::Ge => Sign::Le,
                    Sign::Gt => Sign::Lt,
                    same => same,
                },
                a.ty.oid,
            ),
            _ => return None,
        };
        (!value.is_null()).then_some(Compare { left, sign, value, ty })
    }

    /// `x op1 c1` implies `x op2 c2`.
    fn implies(&self, wanted: &Compare<'_>) -> bool {
        let Some(order) = compare(self.value, self.ty, wanted.value, wanted.ty) else {
            return false;
        };
        use std::cmp::Ordering::*;
        match (self.sign, wanted.sign) {
            (Sign::Eq, Sign::Eq) | (Sign::Ne, Sign::Ne) => order == Equal,
            (Sign::Eq, Sign::Ne) => order != Equal,
            (Sign::Eq | Sign::Le, Sign::Lt) | (Sign::Le, Sign::Ne) => order == Less,
            (Sign::Eq | Sign::Le | Sign::Lt, Sign::Le) | (Sign::Lt, Sign::Lt | Sign::Ne) => order != Greater,
            (Sign::Eq | Sign::Ge, Sign::Gt) | (Sign::Ge, Sign::Ne) => order == Greater,
            (Sign::Eq | Sign::Ge | Sign::Gt, Sign::Ge) | (Sign::Gt, Sign::Gt | Sign::Ne) => order != Less,
            _ => false,
        }
    }
}

fn equal_values(a: &Datum, b: &Datum) -> bool {
    integer(a).zip(integer(b)).map_or_else(|| a == b, |(a, b)| a == b)
}

fn integer(d: &Datum) -> Option<i64> {
    match d {
        Datum::Int2(v) => Some(i64::from(*v)),
        Datum::Int4(v) => Some(i64::from(*v)),
        Datum::Int8(v) => Some(*v),
        _ => None,
    }
}

/// The order of two constants, when it is known here.
fn compare(a: &Datum, a_type: u32, b: &Datum, b_type: u32) -> Option<std::cmp::Ordering> {
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        return Some(a.cmp(&b));
    }
    if a_type != b_type {
        return None;
    }
    curia_functions::default_order(a_type)?;
    Some(curia_functions::compare_datums(a_type, a, b))
}
