//! Which partitions a filter can find rows in, decided when the scan of each opens: parameters and the columns of an outer row have their
//! values then.
//!
//! ```text
//!   m PARTITION BY RANGE (d, k)                 d = $1, k > 5
//!   m_1 FROM (1, 1) TO (5, 1)                   known of d: {$1}, of k: (5, ..)
//!   m_1's scan reads nothing when no key (d, k) with d in {$1} and k in (5, ..) lies in its range
//! ```
//!
//! Terms compare a key column, or the very expression that is the key, with a value that the scanned row does not determine. What is not
//! understood keeps a partition: pruning saves work and decides nothing.

use crate::comparison::{Comparison, comparison, same_order};
use crate::eval::{Env, Program};
use crate::order;
use crate::rows::{Compiler, Fit, Frame, fit};
use crate::walk;
use curia_bind::ir::*;
use curia_catalog::Oid;
use curia_catalog::partition::{Bound, Edge, Partitions};
use curia_types::{Datum, PgType, Result, type_info};
use std::cmp::Ordering;
use std::sync::Arc;

/// Keys that are tried one by one; where there are more combinations, a partition is kept.
const COMBINATIONS: usize = 1024;

/// A scan's bounds with what its filter says of their keys.
pub(crate) struct Pruning {
    levels: Vec<Level>,
}

struct Level {
    partitions: Arc<Partitions>,
    /// The partition that the scan is of, or is below.
    partition: Oid,
    /// What is said of each column of the key.
    said: Vec<Vec<Said>>,
}

/// A term about a column of the key.
enum Said {
    Compared(Comparison, Program),
    OneOf(Vec<Program>),
    Any(Program),
    Null,
}

/// What is known of a column of the key.
#[derive(Default)]
struct Known {
    /// It has one of these values, NULL among them.
    values: Option<Vec<Datum>>,
    lower: Option<(Datum, bool)>,
    upper: Option<(Datum, bool)>,
}

impl Pruning {
    /// `None` when the filter says nothing of a key.
    pub fn compile(c: &mut Compiler, scan: &Scan, terms: &[Expr], frame: &Frame) -> Result<Option<Pruning>> {
        let own: Vec<ColId> = walk::columns(&Rel::Scan(scan.clone())).iter().map(|c| c.id).collect();
        let mut levels = Vec::new();
        for within in scan.within.iter() {
            let mut said = Vec::new();
            for (key, ty) in within.key.iter().zip(within.partitions.types()) {
                let mut about = Vec::new();
                for term in terms {
                    about.extend(said_of(c, term, key, *ty, &own, frame)?);
                }
                said.push(about);
            }
            if said.iter().any(|s| !s.is_empty()) {
                levels.push(Level {
                    partitions: within.partitions.clone(),
                    partition: within.partition,
                    said,
                });
            }
        }
        Ok((!levels.is_empty()).then_some(Pruning { levels }))
    }

    /// Whether no row of the scan can pass its filter.
    pub fn excludes(&self, env: Env<'_>) -> Result<bool> {
        for level in &self.levels {
            if level.excludes(env)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a term says of a key.
fn said_of(c: &mut Compiler, term: &Expr, key: &Expr, ty: PgType, own: &[ColId], frame: &Frame) -> Result<Option<Said>> {
    let free = |e: &Expr| crate::access::is_steady(e) && !walk::used(e).iter().any(|id| own.contains(id));
    // Values of one type compare as those of the key do.
    let comparable = |a: u32, b: u32| {
        let (a, b, k) = (type_info::base_type(a), type_info::base_type(b), type_info::base_type(ty.oid));
        let integers = |t| matches!(t, curia_types::oid::INT2 | curia_types::oid::INT4 | curia_types::oid::INT8);
        same_order(a, b)
            && [a, b]
                .iter()
                .all(|t| *t == k || (integers(*t) && integers(k)) || (is_text(*t) && is_text(k)))
    };
    let is_key = |e: &Expr| same_but_labels(e, key);
    Ok(match &term.kind {
        ExprKind::Call { function, args } => {
            let (Some((op, left, right)), [a, b]) = (comparison(*function), args.as_slice()) else {
                return Ok(None);
            };
            if op == Comparison::Ne || !comparable(left, right) {
                None
            } else if is_key(a) && free(b) {
                Some(Said::Compared(op, c.expression(b, &[], frame)?))
            } else if is_key(b) && free(a) {
                Some(Said::Compared(op.swapped(), c.expression(a, &[], frame)?))
            } else {
                None
            }
        }
        ExprKind::InList {
            arg,
            list,
            equal,
            negated: false,
        } if is_key(arg) && list.iter().all(free) => match comparison(*equal) {
            Some((Comparison::Eq, l, r)) if comparable(l, r) => {
                let values = list.iter().map(|e| c.expression(e, &[], frame)).collect::<Result<_>>()?;
                Some(Said::OneOf(values))
            }
            _ => None,
        },
        ExprKind::ArrayCompare {
            arg,
            array,
            function,
            all: false,
        } if is_key(arg) && free(array) => match comparison(*function) {
            Some((Comparison::Eq, l, r)) if comparable(l, r) => Some(Said::Any(c.expression(array, &[], frame)?)),
            _ => None,
        },
        ExprKind::IsNull { arg, negated: false } if is_key(arg) => Some(Said::Null),
        _ => None,
    })
}

fn is_text(ty: u32) -> bool {
    matches!(ty, curia_types::oid::TEXT | curia_types::oid::VARCHAR)
}

/// Equal expressions, whatever binary-coercible types they are taken as.
fn same_but_labels(a: &Expr, b: &Expr) -> bool {
    let bare = |mut e: &Expr| {
        while let ExprKind::Relabel(inner) = &e.kind {
            e = inner;
        }
        curia_bind::walk::without_positions(e)
    };
    bare(a).kind == bare(b).kind
}

impl Level {
    fn excludes(&self, env: Env<'_>) -> Result<bool> {
        let types = self.partitions.types();
        let mut known = Vec::with_capacity(types.len());
        for (said, ty) in self.said.iter().zip(types) {
            let mut about = Known::default();
            for s in said {
                if !about.learn(s, *ty, env)? {
                    return Ok(true);
                }
            }
            known.push(about);
        }
        if let Some(keys) = combinations(&known) {
            return Ok(!keys.iter().any(|key| self.partitions.route(key) == Some(self.partition)));
        }
        let bound = self.partitions.parts().iter().find(|(oid, _)| *oid == self.partition);
        Ok(match bound.map(|(_, b)| b) {
            Some(Bound::List(values)) => !values.iter().any(|v| known[0].may_be(types[0], v)),
            Some(Bound::Range { from, to }) => outside(types, &known, from, to),
            _ => false,
        })
    }
}

impl Known {
    /// Takes a term into account; false when it is true of no row.
    fn learn(&mut self, said: &Said, ty: PgType, env: Env<'_>) -> Result<bool> {
        let fits = |p: &Program| Ok::<_, curia_types::SqlError>(fit(ty, p.eval(env, &[])?));
        match said {
            Said::Null => Ok(self.only(ty, vec![Datum::Null])),
            Said::Compared(op, value) => Ok(match (op, fits(value)?) {
                (_, Fit::Null) => false,
                (Comparison::Eq, Fit::Value(v)) => self.only(ty, vec![v]),
                (Comparison::Eq, _) => false,
                (Comparison::Lt | Comparison::Le, Fit::Below) | (Comparison::Gt | Comparison::Ge, Fit::Above) => false,
                (Comparison::Lt | Comparison::Le, Fit::Value(v)) => {
                    let within = |(old, _): &(Datum, bool)| order::compare(ty, old, &v).is_lt();
                    if !self.upper.as_ref().is_some_and(within) {
                        self.upper = Some((v, *op == Comparison::Le));
                    }
                    true
                }
                (Comparison::Gt | Comparison::Ge, Fit::Value(v)) => {
                    let within = |(old, _): &(Datum, bool)| order::compare(ty, old, &v).is_gt();
                    if !self.lower.as_ref().is_some_and(within) {
                        self.lower = Some((v, *op == Comparison::Ge));
                    }
                    true
                }
                _ => true,
            }),
            Said::OneOf(list) => {
                let values = list.iter().map(fits).collect::<Result<Vec<_>>>()?;
                Ok(self.only(ty, values.into_iter().filter_map(value).collect()))
            }
            Said::Any(array) => match array.eval(env, &[])? {
                Datum::Array(a) => Ok(self.only(ty, a.elements.iter().map(|v| fit(ty, v.clone())).filter_map(value).collect())),
                Datum::Null => Ok(false),
                _ => Ok(true),
            },
        }
    }

    /// It is one of these; false when that leaves nothing.
    fn only(&mut self, ty: PgType, values: Vec<Datum>) -> bool {
        let values = match self.values.take() {
            None => values,
            Some(before) => {
                let both = |v: &Datum| {
                    before
                        .iter()
                        .any(|b| b.is_null() == v.is_null() && order::compare(ty, b, v).is_eq())
                };
                values.into_iter().filter(both).collect()
            }
        };
        let some = !values.is_empty();
        self.values = Some(values);
        some
    }

    fn may_be(&self, ty: PgType, value: &Datum) -> bool {
        if let Some(values) = &self.values {
            return values
                .iter()
                .any(|v| v.is_null() == value.is_null() && order::compare(ty, v, value).is_eq());
        }
        let bounded = self.lower.is_some() || self.upper.is_some();
        if value.is_null() {
            return !bounded;
        }
        let above = |(low, inclusive): &(Datum, bool)| match order::compare(ty, value, low) {
            Ordering::Equal => *inclusive,
            o => o.is_gt(),
        };
        let below = |(high, inclusive): &(Datum, bool)| match order::compare(ty, value, high) {
            Ordering::Equal => *inclusive,
            o => o.is_lt(),
        };
        self.lower.as_ref().is_none_or(above) && self.upper.as_ref().is_none_or(below)
    }
}

fn value(fit: Fit) -> Option<Datum> {
    if let Fit::Value(v) = fit { Some(v) } else { None }
}

/// Every key that is possible, when each column has only some values.
fn combinations(known: &[Known]) -> Option<Vec<Vec<Datum>>> {
    let mut keys = vec![Vec::new()];
    for of in known {
        let values = of.values.as_ref()?;
        if keys.len() * values.len() > COMBINATIONS {
            return None;
        }
        keys = keys
            .iter()
            .flat_map(|key: &Vec<Datum>| values.iter().map(move |v| key.iter().chain([v]).cloned().collect()))
            .collect();
    }
    Some(keys)
}

/// Whether all possible keys lie on one side of a range: decided by the leading columns that have one value, and the one after them.
fn outside(types: &[PgType], known: &[Known], from: &[Edge], to: &[Edge]) -> bool {
    let mut at_from = true;
    let mut at_to = true;
    for (i, of) in known.iter().enumerate() {
        let ty = types[i];
        let (low, high) = match &of.values {
            Some(values) => {
                if values.iter().all(Datum::is_null) {
                    return true; // NULL is in no range
                }
                let present = || values.iter().filter(|v| !v.is_null());
                let low = present().min_by(|a, b| order::compare(ty, a, b));
                let high = present().max_by(|a, b| order::compare(ty, a, b));
                (low.map(|v| (v, true)), high.map(|v| (v, true)))
            }
            None => (of.lower.as_ref().map(|(v, i)| (v, *i)), of.upper.as_ref().map(|(v, i)| (v, *i))),
        };
        // As long as everything so far equals the end's columns, the next column decides.
        if at_from {
            at_from = match &from[i] {
                Edge::Min => false,
                Edge::Max => return true,
                Edge::Value(e) => match high.map(|(h, inclusive)| (order::compare(ty, h, e), inclusive)) {
                    Some((Ordering::Less, _) | (Ordering::Equal, false)) => return true,
                    Some((Ordering::Equal, true)) => true,
                    _ => false,
                },
            };
        }
        if at_to {
            at_to = match &to[i] {
                Edge::Max => false,
                Edge::Min => return true,
                Edge::Value(e) => match low.map(|(l, inclusive)| (order::compare(ty, l, e), inclusive)) {
                    Some((Ordering::Greater, _) | (Ordering::Equal, false)) => return true,
                    // The end itself is outside.
                    Some((Ordering::Equal, true)) if i + 1 == known.len() => return true,
                    Some((Ordering::Equal, true)) => true,
                    _ => false,
                },
            };
        }
        if !at_from && !at_to {
            return false;
        }
    }
    false
}
