//! Access paths: which part of a table's keys, or of an index's, answers a filter.
//!
//! A filter over a scan is a conjunction. Terms of the form `column op value`, where the value does not depend on the scanned row, bound
//! the key columns of a path from the left: equalities, then at most one IN list or range. Everything the path does not promise stays as a
//! residual filter, in the order written. The key of an index may be an expression: then the same expression stands in the column's place.
//! A partial index is a path for filters that imply its predicate.

use crate::comparison::{Comparison, comparison, same_order};
use crate::registry;
use crate::walk;
use curia_bind::imply::implies;
use curia_bind::ir::*;
use curia_catalog::{Index, IndexKey, KeyOf};
use curia_functions::Volatility;
use curia_types::{PgType, oid, type_info};
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

/// A key column of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathKey {
    /// What it holds.
    pub of: PathKeyOf,
    /// The type of its values.
    pub ty: PgType,
    /// DESC.
    pub descending: bool,
    /// Holds no NULL.
    pub not_null: bool,
}

/// What a key column of a path holds.
#[derive(Clone, Debug, PartialEq)]
pub enum PathKeyOf {
    /// A column: index into `Table::columns`.
    Column(usize),
    /// An expression over the scan's columns.
    Expression(Expr),
}

/// A chosen path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Position in `Table::indexes`; `None` is the row key itself.
    pub index: Option<usize>,
    /// Key columns of the path.
    pub keys: Vec<PathKey>,
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

/// A conjunct that may bound a key column: `operand op value`, either way round.
struct Term<'a> {
    at: usize,
    operand: &'a Expr,
    op: Comparison,
    value: &'a Expr,
    /// The type that the comparison takes the value as.
    ty: u32,
}

/// The scan's columns: what a value that bounds its keys may not refer to.
type Own = HashMap<ColId, usize>;

fn terms<'a>(own: &Own, conjuncts: &'a [Expr]) -> Vec<Term<'a>> {
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
        let mut add = |operand, value, op, ty| {
            if !matches!(bare(operand).kind, ExprKind::Const(_) | ExprKind::Param(_)) && independent(value, own) {
                out.push(Term {
                    at,
                    operand,
                    op,
                    value,
                    ty,
                });
            }
        };
        add(a, b, op, right);
        add(b, a, op.swapped(), left);
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

fn bare(mut e: &Expr) -> &Expr {
    while let ExprKind::Relabel(inner) = &e.kind {
        e = inner;
    }
    e
}

fn independent(value: &Expr, own: &Own) -> bool {
    is_steady(value) && walk::used(value).iter().all(|id| !own.contains_key(id))
}

/// Whether a value may be computed once for all rows: it is not volatile, and asks no subquery but for rows that are there.
pub(crate) fn is_steady(value: &Expr) -> bool {
    let mut volatile = false;
    walk::each(value, &mut |e| {
        volatile |= registry::volatility(e) == Volatility::Volatile || (matches!(e.kind, ExprKind::Subquery { .. }) && given(e).is_none());
    });
    !volatile
}

/// The relation of a subquery that gives rows as they were locked before the statement runs.
fn given(e: &Expr) -> Option<&Rel> {
    match &e.kind {
        ExprKind::Subquery { query, .. } if matches!(**query, Rel::CteScan { .. }) => Some(query),
        _ => None,
    }
}

/// The first column of such rows as an array.
fn given_array(e: &Expr) -> Option<Expr> {
    let query = given(e)?;
    let element = walk::columns(query).first()?.ty.oid;
    Some(Expr {
        kind: ExprKind::Subquery {
            kind: SubqueryKind::Array,
            query: Box::new(query.clone()),
            outer: Vec::new(),
        },
        ty: PgType {
            oid: type_info::array_of(element)?,
            typmod: -1,
        },
        position: None,
    })
}

impl PathKey {
    /// Whether it holds what an expression gives.
    fn holds(&self, own: &Own, e: &Expr) -> bool {
        match &self.of {
            PathKeyOf::Column(column) => matches!(&bare(e).kind, ExprKind::Column(id) if own.get(id) == Some(column)),
            PathKeyOf::Expression(key) => {
                let same = |a: &Expr, b: &Expr| curia_bind::walk::without_positions(a) == *b;
                same(e, key) || same(bare(e), bare(key))
            }
        }
    }

    /// Whether values of type `ty` are ordered as its own are.
    fn fits(&self, ty: u32) -> bool {
        // A float key and a float4 value may round differently; numbers of one class otherwise compare exactly.
        match type_info::base_type(self.ty.oid) {
            own @ (oid::FLOAT4 | oid::FLOAT8 | oid::BPCHAR) => own == ty,
            own => same_order(own, ty),
        }
    }
}

/// The best path for a filter over a scan; `None` when a full scan is.
pub fn choose(scan: &Scan, conjuncts: &[Expr]) -> Option<Path> {
    let own: Own = scan.columns.iter().map(|(i, c)| (c.id, *i)).collect();
    let terms = terms(&own, conjuncts);
    let lists = lists(&own, conjuncts);
    if conjuncts.is_empty() {
        return None;
    }
    let mut best: Option<(u32, Path)> = None;
    for (index, keys, unique) in paths(scan, conjuncts) {
        let mut used = vec![false; conjuncts.len()];
        let mut equal: Vec<Bound> = Vec::new();
        let mut several = false;
        let bounds = |t: &Term<'_>, key: &PathKey| key.fits(t.ty) && key.holds(&own, t.operand);
        for key in &keys {
            if let Some(t) = terms.iter().find(|t| t.op == Comparison::Eq && bounds(t, key)) {
                used[t.at] = true;
                equal.push(Bound::Equal(t.value.clone()));
            } else if let Some((at, _, _, bound)) = lists
                .iter()
                .find(|(_, arg, ty, _)| key.fits(*ty) && key.holds(&own, arg))
                .filter(|_| !several)
            {
                used[*at] = true;
                several = true;
                equal.push(bound.clone());
            } else {
                break;
            }
        }
        let (mut lower, mut upper) = (None, None);
        if let Some(key) = keys.get(equal.len()) {
            for t in terms.iter().filter(|t| bounds(t, key)) {
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
                used[t.at] = key.not_null;
            }
        }
        let whole = equal.len() == keys.len();
        let range = u32::from(lower.is_some()) + u32::from(upper.is_some());
        let partial = index.is_some_and(|i| scan.table.indexes[i].predicate.is_some());
        if equal.is_empty() && range == 0 && !partial {
            continue;
        }
        let mut score = equal.len() as u32 * 10 + range * 3;
        score += if whole && unique { 1000 } else { 0 };
        score += if index.is_none() { 2 } else { 0 };
        score += u32::from(partial);
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

/// Every path of a table that has all rows which the filter keeps: (index or row key, key columns, unique).
fn paths(scan: &Scan, conjuncts: &[Expr]) -> Vec<(Option<usize>, Vec<PathKey>, bool)> {
    let table = &scan.table;
    let column = |i: usize, descending| PathKey {
        of: PathKeyOf::Column(i),
        ty: table.columns[i].ty,
        descending,
        not_null: table.columns[i].not_null,
    };
    let mut out = Vec::new();
    if !table.row_key.is_empty() {
        out.push((None, table.row_key.iter().map(|c| column(*c, false)).collect(), true));
    }
    let usable = |index: &Index| index.storage.is_some() && !index.incomplete;
    for (i, index) in table.indexes.iter().enumerate().filter(|(_, index)| usable(index)) {
        let computed = scan.computed.iter().find(|c| c.position == i);
        if index.predicate.is_some() && !computed.and_then(|c| c.predicate.as_ref()).is_some_and(|p| implies(conjuncts, p)) {
            continue;
        }
        let key = |(n, k): (usize, &IndexKey)| match &k.of {
            KeyOf::Column(c) => Some(column(*c, k.descending)),
            KeyOf::Expression { ty, .. } => Some(PathKey {
                of: PathKeyOf::Expression(computed?.keys.get(n)?.clone()?),
                ty: *ty,
                descending: k.descending,
                not_null: false,
            }),
        };
        if let Some(keys) = index.keys.iter().enumerate().map(key).collect() {
            out.push((Some(i), keys, index.unique && !index.deferrable));
        }
    }
    out
}

/// `operand IN (..)` and `operand = ANY (..)` terms: (conjunct, operand, type of the values, bound).
fn lists<'a>(own: &Own, conjuncts: &'a [Expr]) -> Vec<(usize, &'a Expr, u32, Bound)> {
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
            ExprKind::Subquery {
                kind: SubqueryKind::Compare { arg, function, all: false },
                ..
            } => match given_array(c) {
                Some(array) => (arg, *function, Bound::Any(array), Vec::new()),
                None => continue,
            },
            _ => continue,
        };
        let Some((Comparison::Eq, left, right)) = comparison(function) else {
            continue;
        };
        if same_order(left, right) && values.iter().all(|v| independent(v, own)) {
            out.push((at, arg, right, bound));
        }
    }
    out
}
