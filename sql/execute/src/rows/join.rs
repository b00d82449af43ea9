//! Joins: nested loops (any condition, LATERAL) and hash joins (equalities).

use super::{Cursor, Op, Operator, Row, collect};
use crate::eval::{Env, Node, Program, all};
use crate::order;
use curia_bind::ir::{JoinKind, RelColumn};
use curia_types::{Datum, PgType, Result};
use std::collections::HashMap;
use std::sync::Arc;

fn nulls(n: usize) -> impl Iterator<Item = Datum> {
    std::iter::repeat_n(Datum::Null, n)
}

/// Pads the left side of a row with NULLs.
fn pad_left(n: usize, right: &Row) -> Row {
    nulls(n).chain(right.iter().cloned()).collect()
}

/// Nested loop. The right side is read once and kept, or, when lateral, run anew for each left row with a frame taken from it.
pub struct NestedLoop {
    pub kind: JoinKind,
    pub left: Arc<Op>,
    pub right: Arc<Op>,
    /// Values of the right side's frame, over the left row; `Some` when lateral.
    pub captures: Option<Vec<Node>>,
    pub on: Option<Program>,
    pub columns: Vec<RelColumn>,
}

impl Operator for NestedLoop {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let left = self.left.clone().open(env)?;
        Ok(Box::new(NestedLoopCursor {
            left,
            current: None,
            right: Vec::new(),
            loaded: false,
            inner: None,
            frame: Vec::new(),
            at: 0,
            matched: false,
            right_matched: Vec::new(),
            tail: 0,
            op: self,
        }))
    }
    fn describe(&self) -> String {
        format!("Nested Loop{}", kind_word(self.kind))
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.left.clone(), self.right.clone()]
    }
}

fn kind_word(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "",
        JoinKind::Left => " Left Join",
        JoinKind::Right => " Right Join",
        JoinKind::Full => " Full Join",
    }
}

struct NestedLoopCursor {
    op: Arc<NestedLoop>,
    left: Box<dyn Cursor>,
    current: Option<Row>,
    right: Vec<Row>,
    loaded: bool,
    inner: Option<Box<dyn Cursor>>,
    frame: Vec<Datum>,
    at: usize,
    matched: bool,
    right_matched: Vec<bool>,
    /// Position among unmatched right rows once the left side is at its end.
    tail: usize,
}

impl NestedLoopCursor {
    /// The next right row for the current left row, with its position.
    fn candidate(&mut self, env: Env<'_>) -> Result<Option<(Row, usize)>> {
        if let Some(inner) = &mut self.inner {
            return Ok(inner
                .next(Env {
                    exec: env.exec,
                    frame: &self.frame,
                })?
                .map(|r| (r, 0)));
        }
        let at = self.at;
        self.at += 1;
        Ok(self.right.get(at).map(|r| (r.clone(), at)))
    }
}

impl Cursor for NestedLoopCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        let (left_width, right_width) = (op.left.columns().len(), op.right.columns().len());
        loop {
            if self.current.is_none() {
                env.exec.check_cancel()?;
                match self.left.next(env)? {
                    Some(row) => {
                        if let Some(captures) = &op.captures {
                            self.frame = all(captures, env, &row)?;
                            self.inner = Some(op.right.clone().open(Env {
                                exec: env.exec,
                                frame: &self.frame,
                            })?);
                        } else if !self.loaded {
                            let mut right = op.right.clone().open(env)?;
                            self.right = collect(&mut *right, env)?;
                            self.right_matched = vec![false; self.right.len()];
                            self.loaded = true;
                        }
                        self.at = 0;
                        self.matched = false;
                        self.current = Some(row);
                    }
                    None if matches!(op.kind, JoinKind::Right | JoinKind::Full) => {
                        if !self.loaded {
                            let mut right = op.right.clone().open(env)?;
                            self.right = collect(&mut *right, env)?;
                            self.right_matched = vec![false; self.right.len()];
                            self.loaded = true;
                        }
                        while self.tail < self.right.len() {
                            let i = self.tail;
                            self.tail += 1;
                            if !self.right_matched[i] {
                                return Ok(Some(pad_left(left_width, &self.right[i])));
                            }
                        }
                        return Ok(None);
                    }
                    None => return Ok(None),
                }
            }
            while let Some((right, at)) = self.candidate(env)? {
                env.exec.check_cancel()?;
                let mut row = self.current.clone().unwrap_or_default();
                row.extend(right);
                if op.on.as_ref().map_or(Ok(true), |on| on.holds(env, &row))? {
                    self.matched = true;
                    if let Some(m) = self.right_matched.get_mut(at) {
                        *m = true;
                    }
                    return Ok(Some(row));
                }
            }
            let mut row = self.current.take().unwrap_or_default();
            if !self.matched && matches!(op.kind, JoinKind::Left | JoinKind::Full) {
                row.extend(nulls(right_width));
                return Ok(Some(row));
            }
        }
    }
}

/// Hash join: the right side is hashed by its keys.
pub struct HashJoin {
    pub kind: JoinKind,
    pub left: Arc<Op>,
    pub right: Arc<Op>,
    pub left_keys: Vec<Program>,
    pub right_keys: Vec<Program>,
    pub key_types: Vec<PgType>,
    /// What else must hold, over the joined row.
    pub residual: Option<Program>,
    pub columns: Vec<RelColumn>,
}

impl Operator for HashJoin {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let mut right = self.right.clone().open(env)?;
        let rows = collect(&mut *right, env)?;
        let mut table: HashMap<Vec<u8>, Vec<usize>> = HashMap::with_capacity(rows.len());
        for (i, row) in rows.iter().enumerate() {
            if let Some(key) = self.key(&self.right_keys, env, row)? {
                env.exec.charge(key.len() + 48)?;
                table.entry(key).or_default().push(i);
            }
        }
        let left = self.left.clone().open(env)?;
        let matched = vec![false; rows.len()];
        Ok(Box::new(HashJoinCursor {
            op: self,
            left,
            rows,
            table,
            matched,
            current: None,
            bucket: Vec::new(),
            at: 0,
            found: false,
            tail: 0,
        }))
    }
    fn describe(&self) -> String {
        format!("Hash{} Join", kind_word(self.kind).trim_end_matches(" Join"))
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.left.clone(), self.right.clone()]
    }
}

impl HashJoin {
    /// The key of a row; `None` when a part is NULL, which equals nothing.
    fn key(&self, keys: &[Program], env: Env<'_>, row: &[Datum]) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(keys.len() * 10);
        for (p, ty) in keys.iter().zip(&self.key_types) {
            let d = p.eval(env, row)?;
            if d.is_null() {
                return Ok(None);
            }
            order::write_key(ty.oid, &d, &mut out);
        }
        Ok(Some(out))
    }
}

struct HashJoinCursor {
    op: Arc<HashJoin>,
    left: Box<dyn Cursor>,
    rows: Vec<Row>,
    table: HashMap<Vec<u8>, Vec<usize>>,
    matched: Vec<bool>,
    current: Option<Row>,
    bucket: Vec<usize>,
    at: usize,
    found: bool,
    tail: usize,
}

impl Cursor for HashJoinCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        loop {
            if self.current.is_none() {
                env.exec.check_cancel()?;
                match self.left.next(env)? {
                    Some(row) => {
                        self.bucket = op
                            .key(&op.left_keys, env, &row)?
                            .and_then(|k| self.table.get(&k).cloned())
                            .unwrap_or_default();
                        self.at = 0;
                        self.found = false;
                        self.current = Some(row);
                    }
                    None if matches!(op.kind, JoinKind::Right | JoinKind::Full) => {
                        while self.tail < self.rows.len() {
                            let i = self.tail;
                            self.tail += 1;
                            if !self.matched[i] {
                                return Ok(Some(pad_left(op.left.columns().len(), &self.rows[i])));
                            }
                        }
                        return Ok(None);
                    }
                    None => return Ok(None),
                }
            }
            while let Some(&i) = self.bucket.get(self.at) {
                self.at += 1;
                let mut row = self.current.clone().unwrap_or_default();
                row.extend(self.rows[i].iter().cloned());
                if op.residual.as_ref().map_or(Ok(true), |p| p.holds(env, &row))? {
                    self.found = true;
                    self.matched[i] = true;
                    return Ok(Some(row));
                }
            }
            let mut row = self.current.take().unwrap_or_default();
            if !self.found && matches!(op.kind, JoinKind::Left | JoinKind::Full) {
                row.extend(nulls(op.right.columns().len()));
                return Ok(Some(row));
            }
        }
    }
}
