//! Sort, and DISTINCT in both forms.

use super::{Cursor, Held, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::order;
use curia_bind::ir::RelColumn;
use curia_types::{Datum, PgType, Result};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

/// One key of an order.
pub struct Key {
    pub program: Program,
    pub ty: PgType,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Compares two values by a key's order.
pub(crate) fn compare_by(ty: PgType, descending: bool, nulls_first: bool, a: &Datum, b: &Datum) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        _ if descending => order::compare(ty, b, a),
        _ => order::compare(ty, a, b),
    }
}

/// Compares evaluated keys.
pub(crate) fn compare_keys(keys: &[Key], a: &[Datum], b: &[Datum]) -> Ordering {
    keys.iter()
        .zip(a.iter().zip(b))
        .map(|(k, (x, y))| compare_by(k.ty, k.descending, k.nulls_first, x, y))
        .find(|o| *o != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

pub(crate) fn evaluate(keys: &[Key], env: Env<'_>, row: &[Datum]) -> Result<Vec<Datum>> {
    keys.iter().map(|k| k.program.eval(env, row)).collect()
}

/// ORDER BY. Stable, so that equal rows keep their input order.
pub struct Sort {
    pub input: Arc<Op>,
    pub keys: Vec<Key>,
}

impl Operator for Sort {
    fn columns(&self) -> &[RelColumn] {
        self.input.columns()
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let mut input = self.input.clone().open(env)?;
        let mut rows: Vec<(Vec<Datum>, Row)> = Vec::new();
        while let Some(row) = input.next(env)? {
            let keys = evaluate(&self.keys, env, &row)?;
            env.exec.charge(order::row_bytes(&row) + order::row_bytes(&keys))?;
            rows.push((keys, row));
        }
        rows.sort_by(|a, b| compare_keys(&self.keys, &a.0, &b.0));
        let rows: Vec<Row> = rows.into_iter().map(|(_, r)| r).collect();
        Ok(Box::new(Held(rows.into_iter())))
    }
    fn describe(&self) -> String {
        "Sort".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

/// DISTINCT: the first row of each key, in input order. Without keys the whole row is the key.
pub struct Distinct {
    pub input: Arc<Op>,
    pub on: Option<Vec<(Program, PgType)>>,
}

impl Operator for Distinct {
    fn columns(&self) -> &[RelColumn] {
        self.input.columns()
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let input = self.input.clone().open(env)?;
        Ok(Box::new(DistinctCursor {
            op: self,
            input,
            seen: HashSet::new(),
        }))
    }
    fn describe(&self) -> String {
        "Unique".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

struct DistinctCursor {
    op: Arc<Distinct>,
    input: Box<dyn Cursor>,
    seen: HashSet<Vec<u8>>,
}

impl Cursor for DistinctCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        while let Some(row) = self.input.next(env)? {
            let mut key = Vec::new();
            match &self.op.on {
                Some(on) => {
                    for (p, ty) in on {
                        order::write_key(ty.oid, &p.eval(env, &row)?, &mut key);
                    }
                }
                None => self
                    .op
                    .columns()
                    .iter()
                    .zip(&row)
                    .for_each(|(c, d)| order::write_key(c.ty.oid, d, &mut key)),
            }
            env.exec.charge(key.len() + 48)?;
            if self.seen.insert(key) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}
