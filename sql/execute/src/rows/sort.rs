//! Sort, and DISTINCT in both forms.

use super::{Cursor, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::order;
use crate::spill::{By, Hold, Sorted, Sorter, compare_keys};
use curia_bind::ir::RelColumn;
use curia_types::{Datum, PgType, Result};
use std::collections::HashSet;
use std::sync::Arc;

/// One key of an order.
pub struct Key {
    pub program: Program,
    pub(crate) by: By,
}

pub(crate) fn evaluate(keys: &[Key], env: Env<'_>, row: &[Datum]) -> Result<Vec<Datum>> {
    keys.iter().map(|k| k.program.eval(env, row)).collect()
}

/// A sorter by these keys.
pub(crate) fn sorter(keys: &[Key], env: Env<'_>) -> Sorter {
    Sorter::as_postgresql(&env.exec.room, keys.iter().map(|k| k.by).collect())
}

/// ORDER BY.
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
        let mut rows = sorter(&self.keys, env);
        while let Some(row) = input.next(env)? {
            rows.push(evaluate(&self.keys, env, &row)?, row)?;
        }
        Ok(Box::new(rows.finish()?))
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
            hold: Hold::new(&env.exec.room),
            late: None,
            rest: None,
        }))
    }
    fn describe(&self) -> String {
        "Unique".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

impl Distinct {
    fn key(&self, env: Env<'_>, row: &Row) -> Result<Vec<u8>> {
        let mut key = Vec::new();
        match &self.on {
            Some(on) => {
                for (p, ty) in on {
                    order::write_key(ty.oid, &p.eval(env, row)?, &mut key);
                }
            }
            None => self
                .columns()
                .iter()
                .zip(row)
                .for_each(|(c, d)| order::write_key(c.ty.oid, d, &mut key)),
        }
        Ok(key)
    }
}

/// Rows of new keys pass while there is room for keys. Later ones wait, sorted by key to find the first of each, then by their number.
struct DistinctCursor {
    op: Arc<Distinct>,
    input: Box<dyn Cursor>,
    seen: HashSet<Vec<u8>>,
    hold: Hold,
    late: Option<(Sorter, i64)>,
    rest: Option<Sorted>,
}

impl Cursor for DistinctCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        if let Some(rest) = &mut self.rest {
            return rest.next(env);
        }
        while let Some(row) = self.input.next(env)? {
            let key = self.op.key(env, &row)?;
            if self.seen.contains(&key) {
                continue;
            }
            if self.late.is_none() && self.hold.fits(key.len() + 48) {
                self.seen.insert(key);
                return Ok(Some(row));
            }
            let (sorter, number) = self.late.get_or_insert_with(|| (Sorter::new(&env.exec.room, vec![By::bytes()]), 0));
            *number += 1;
            sorter.push(vec![Datum::Bytea(key.into()), Datum::Int8(*number)], row)?;
        }
        let Some((late, _)) = self.late.take() else { return Ok(None) };
        self.seen = HashSet::new();
        self.hold.clear();
        let mut by_key = late.finish()?;
        let mut by_number = Sorter::new(&env.exec.room, vec![By::ascending(PgType::INT8)]);
        let mut last: Option<Datum> = None;
        while let Some((mut keys, row)) = by_key.next_keyed(env)? {
            let number = keys.pop();
            let key = keys.pop();
            if key != last {
                by_number.push(number.into_iter().collect(), row)?;
                last = key;
            }
        }
        self.rest.insert(by_number.finish()?).next(env)
    }
}

/// Whether sorted rows with these keys are of one group.
pub(crate) fn same(by: &[By], a: &[Datum], b: &[Datum]) -> bool {
    compare_keys(by, a, b).is_eq()
}
