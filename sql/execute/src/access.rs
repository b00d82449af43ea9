//! Access paths: which part of a table's keys, or of an index's, answers a filter.
//!
//! A filter over a scan is a conjunction. Terms of the form `column op value`, where the value does not depend on the scanned row, bound
//! the key columns of a path from the left: equalities, then at most one IN list or range. Everything the path does not promise stays as a
//! residual filter, in the order written.

use crate::comparison::{Comparison, comparison, same_order};
use crate::registry;
use crate::walk;
use curia_bind::ir::*;
use curia_catalog::Table;
use curia_functions::Volatility;
use curia_types::oid;
use std::collections::HashMap;

/// What bounds one key column.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// Equal to a value.
    Equal(Expr),
    /// Equal to one of these.
    OneOf(Vec<Expr>),
    /// Equal to an element of an array.
    Any(Expr),
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The value.
    pub value: Expr,
    /// Whether the value itself is inside.
    pub inclusive: bool,
}

/// A chosen path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Position in `Table::indexes`; `None` is the row key itself.
    pub index: Option<usize>,
    /// Key columns of the path: (index into `Table::columns`, descending, nulls first).
    pub keys: Vec<(usize, bool, bool)>,
    /// Bounds of the leading key columns.
    pub equal: Vec<Bound>,
    /// Range of the key column after those.
    pub lower: Option<End>,
    /// Upper end.
    pub upper: Option<End>,
    /// At most one row for each combination of `equal`.
    pub unique: bool,
    /// Terms that the path does not answer.
    pub residual: Vec<Expr>,
}

struct Term<'a> {
    column: usize,
    op: Comparison,
    value: &'a Expr,
}

/// Terms that bound a column, with their position among the conjuncts.
fn terms<'a>(scan: &Scan, conjuncts: &'a [Expr]) -> Vec<(usize, Term<'a>)> {
    let own: HashMap<ColId, usize> = scan.columns.iter().map(|(i, c)| (c.id, *i)).collect();
    let column = |e: &Expr| -> Option<usize> {
        let mut e = e;
        while let ExprKind::Relabel(inner) = &e.kind {
            e = inner;
        }
        match &e.kind {
            ExprKind::Column(id) => own.get(id).copied(),
            _ => None,
        }
    };
    let mut out = Vec::new();
    for (at, c) in conjuncts.iter().enumerate() {
        let ExprKind::Call { function, args } = &c.kind else { continue };
        let Some((op, left, right)) = comparison(*function).or_else(|| array_comparison(*function, args)) else {
            continue;
        };
        if !same_order(left, right) || op == Comparison::Ne {
            continue;
        }
        let [a, b] = args.as_slice() else { continue };
        if let Some(i) = column(a)
            && independent(b, &own)
            && fits(scan, i, right)
        {
            out.push((at, Term { column: i, op, value: b }));
        } else if let Some(i) = column(b)
            && independent(a, &own)
            && fits(scan, i, left)
        {
            out.push((
                at,
                Term {
                    column: i,
                    op: op.swapped(),
                    value: a,
                },
            ));
        }
    }
    out
}

/// A comparison of two arrays of one type, with that type: its function is one for all of them.
fn array_comparison(function: u32, args: &[Expr]) -> Option<(Comparison, u32, u32)> {
    let op = match function {
        744 => Comparison::Eq,
        391 => Comparison::Lt,
        392 => Comparison::Gt,
        393 => Comparison::Le,
        396 => Comparison::Ge,
        _ => return None,
    };
    let [left, right] = args else { return None };
    Some((op, left.ty.oid, right.ty.oid))
}

fn independent(value: &Expr, own: &HashMap<ColId, usize>) -> bool {
    let mut volatile = false;
    walk::each(value, &mut |e| {
        volatile |= registry::volatility(e) == Volatility::Volatile || matches!(e.kind, ExprKind::Subquery { .. });
    });
    !volatile && walk::used(value).iter().all(|id| !own.contains_key(id))
}

/// Whether values of type `ty` are ordered as the column's keys are.
fn fits(scan: &Scan, column: usize, ty: u32) -> bool {
    let own = scan.table.columns[column].ty.oid;
    // A float key and a float4 value may round differently; numbers of one class otherwise compare exactly.
    match own {
        oid::FLOAT4 | oid::FLOAT8 | oid::BPCHAR => own == ty,
        _ => same_order(own, ty),
    }
}

/// The best path for a filter over a scan; `None` when a full scan is.
pub fn choose(scan: &Scan, conjuncts: &[Expr]) -> Option<Path> {
    let table = &scan.table;
    let terms = terms(scan, conjuncts);
    let lists = lists(scan, conjuncts);
    if terms.is_empty() && lists.is_empty() {
        return None;
    }
    let mut best: Option<(u32, Path)> = None;
    for (index, keys, unique) in paths(table) {
        let mut used = vec![false; conjuncts.len()];
        let mut equal: Vec<Bound> = Vec::new();
        let mut several = false;
        for (column, _, _) in &keys {
            if let Some((at, t)) = terms.iter().find(|(_, t)| t.column == *column && t.op == Comparison::Eq) {
                used[*at] = true;
                equal.push(Bound::Equal(t.value.clone()));
            } else if let Some((at, _, bound)) = lists.iter().find(|(_, c, _)| c == column).filter(|_| !several) {
                used[*at] = true;
                several = true;
                equal.push(bound.clone());
            } else {
                break;
            }
        }
        let (mut lower, mut upper) = (None, None);
        if let Some((column, _, _)) = keys.get(equal.len()) {
            for (at, t) in terms.iter().filter(|(_, t)| t.column == *column) {
                let end = End {
                    value: t.value.clone(),
                    inclusive: matches!(t.op, Comparison::Le | Comparison::Ge),
                };
                match t.op {
                    Comparison::Lt | Comparison::Le if upper.is_none() => upper = Some(end),
                    Comparison::Gt | Comparison::Ge if lower.is_none() => lower = Some(end),
                    _ => continue,
                }
                // An open range of an index takes in its NULLs: the term itself leaves them out.
                used[*at] = table.columns[*column].not_null;
            }
        }
        let whole = equal.len() == keys.len();
        let range = u32::from(lower.is_some()) + u32::from(upper.is_some());
        if equal.is_empty() && range == 0 {
            continue;
        }
        let mut score = equal.len() as u32 * 10 + range * 3;
        score += if whole && unique { 1000 } else { 0 };
        score += if index.is_none() { 2 } else { 0 };
        if best.as_ref().is_none_or(|(s, _)| score > *s) {
            let residual = conjuncts.iter().zip(&used).filter(|(_, u)| !**u).map(|(c, _)| c.clone()).collect();
            best = Some((
                score,
                Path {
                    index,
                    keys,
                    equal,
                    lower,
                    upper,
                    unique: whole && unique,
                    residual,
                },
            ));
        }
    }
    best.map(|(_, p)| p)
}

type Keys = Vec<(usize, bool, bool)>;

/// Every path of a table: (index or row key, key columns, unique).
fn paths(table: &Table) -> Vec<(Option<usize>, Keys, bool)> {
    let mut out = Vec::new();
    if !table.row_key.is_empty() {
        out.push((None, table.row_key.iter().map(|c| (*c, false, false)).collect(), true));
    }
    for (i, index) in table.indexes.iter().enumerate() {
        if index.storage.is_some() {
            out.push((
                Some(i),
                index.keys.iter().map(|k| (k.column, k.descending, k.nulls_first)).collect(),
                index.unique,
            ));
        }
    }
    out
}

/// `column IN (..)` and `column = ANY (array)` terms.
fn lists(scan: &Scan, conjuncts: &[Expr]) -> Vec<(usize, usize, Bound)> {
    let own: HashMap<ColId, usize> = scan.columns.iter().map(|(i, c)| (c.id, *i)).collect();
    let mut out = Vec::new();
    for (at, c) in conjuncts.iter().enumerate() {
        let (arg, function, bound, values): (&Expr, u32, Bound, Vec<&Expr>) = match &c.kind {
            ExprKind::InList {
                arg,
                list,
                equal,
                negated: false,
            } => (arg, *equal, Bound::OneOf(list.clone()), list.iter().collect()),
            ExprKind::ArrayCompare {
                arg,
                array,
                function,
                all: false,
            } => (arg, *function, Bound::Any((**array).clone()), vec![&**array]),
            _ => continue,
        };
        let Some((Comparison::Eq, left, right)) = comparison(function) else {
            continue;
        };
        let mut arg = arg;
        while let ExprKind::Relabel(inner) = &arg.kind {
            arg = inner;
        }
        let ExprKind::Column(id) = &arg.kind else { continue };
        let Some(column) = own.get(id) else { continue };
        if same_order(left, right) && fits(scan, *column, right) && values.iter().all(|v| independent(v, &own)) {
            out.push((at, *column, bound));
        }
    }
    out
}
