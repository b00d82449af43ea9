//! UNION, INTERSECT and EXCEPT, with and without ALL.

use super::{Cursor, Op, Operator, Row};
use crate::eval::Env;
use crate::order;
use curia_bind::ir::{RelColumn, SetOp as Kind};
use curia_types::{PgType, Result};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A set operation over two or more inputs, left to right.
pub struct SetOp {
    pub op: Kind,
    pub all: bool,
    /// Each input with the positions of its columns in output order.
    pub inputs: Vec<(Arc<Op>, Vec<usize>)>,
    pub columns: Vec<RelColumn>,
}

impl SetOp {
    fn key(&self, row: &Row) -> Vec<u8> {
        let types: Vec<PgType> = self.columns.iter().map(|c| c.ty).collect();
        order::typed_key(&types, row)
    }
}

impl Operator for SetOp {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        if self.op == Kind::Union {
            return Ok(Box::new(UnionCursor {
                op: self,
                at: 0,
                current: None,
                seen: Default::default(),
            }));
        }
        // Rows of the first input, in order, with how often each may still come out.
        let mut rows: VecDeque<Row> = VecDeque::new();
        let mut counts: HashMap<Vec<u8>, i64> = HashMap::new();
        for (i, (input, positions)) in self.inputs.iter().enumerate() {
            let mut other: HashMap<Vec<u8>, i64> = HashMap::new();
            let mut cursor = input.clone().open(env)?;
            while let Some(row) = cursor.next(env)? {
                let row: Row = positions.iter().map(|p| row[*p].clone()).collect();
                let key = self.key(&row);
                env.exec.charge(key.len() + 64)?;
                if i == 0 {
                    env.exec.charge(order::row_bytes(&row))?;
                    rows.push_back(row);
                }
                *other.entry(key).or_default() += 1;
            }
            if i == 0 {
                counts = other;
            } else {
                for (key, count) in &mut counts {
                    let theirs = other.get(key).copied().unwrap_or(0);
                    *count = match (self.op, self.all) {
                        (Kind::Intersect, true) => (*count).min(theirs),
                        (Kind::Intersect, false) => {
                            if theirs > 0 {
                                *count
                            } else {
                                0
                            }
                        }
                        (_, true) => (*count - theirs).max(0),
                        (_, false) => {
                            if theirs > 0 {
                                0
                            } else {
                                *count
                            }
                        }
                    };
                }
            }
        }
        if !self.all {
            counts.values_mut().for_each(|c| *c = (*c).min(1));
        }
        Ok(Box::new(CountedCursor { op: self, rows, counts }))
    }
    fn describe(&self) -> String {
        let all = if self.all { " All" } else { "" };
        match self.op {
            Kind::Union => {
                if self.all {
                    "Append".into()
                } else {
                    "Union".into()
                }
            }
            Kind::Intersect => format!("HashSetOp Intersect{all}"),
            Kind::Except => format!("HashSetOp Except{all}"),
        }
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        self.inputs.iter().map(|(i, _)| i.clone()).collect()
    }
}

struct UnionCursor {
    op: Arc<SetOp>,
    at: usize,
    current: Option<Box<dyn Cursor>>,
    seen: std::collections::HashSet<Vec<u8>>,
}

impl Cursor for UnionCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        while let Some((input, positions)) = op.inputs.get(self.at) {
            if self.current.is_none() {
                self.current = Some(input.clone().open(env)?);
            }
            while let Some(row) = self.current.as_mut().map_or(Ok(None), |c| c.next(env))? {
                let row: Row = positions.iter().map(|p| row[*p].clone()).collect();
                if op.all {
                    return Ok(Some(row));
                }
                let key = op.key(&row);
                env.exec.charge(key.len() + 48)?;
                if self.seen.insert(key) {
                    return Ok(Some(row));
                }
            }
            self.current = None;
            self.at += 1;
        }
        Ok(None)
    }
}

struct CountedCursor {
    op: Arc<SetOp>,
    rows: VecDeque<Row>,
    counts: HashMap<Vec<u8>, i64>,
}

impl Cursor for CountedCursor {
    fn next(&mut self, _: Env<'_>) -> Result<Option<Row>> {
        while let Some(row) = self.rows.pop_front() {
            if let Some(count) = self.counts.get_mut(&self.op.key(&row)).filter(|c| **c > 0) {
                *count -= 1;
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}
