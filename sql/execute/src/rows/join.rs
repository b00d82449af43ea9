//! Joins: nested loops (any condition, LATERAL) and hash joins (equalities).

use super::merge::MergeJoin;
use super::{Cursor, Held, Op, Operator, Row};
use crate::eval::{Env, Node, Program, all};
use crate::order;
use crate::spill::{Hold, Kept, Spool, SpoolRows};
use curia_bind::ir::{JoinKind, RelColumn};
use curia_types::{Datum, PgType, Result};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn nulls(n: usize) -> impl Iterator<Item = Datum> {
    std::iter::repeat_n(Datum::Null, n)
}

/// Pads the left side of a row with NULLs.
pub(super) fn pad_left(n: usize, right: Row) -> Row {
    nulls(n).chain(right).collect()
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
            right: None,
            inner: Inner::None,
            frame: Vec::new(),
            at: 0,
            matched: false,
            right_matched: Vec::new(),
            tail: None,
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
        JoinKind::Semi => " Semi Join",
        JoinKind::Anti => " Anti Join",
    }
}

struct NestedLoopCursor {
    op: Arc<NestedLoop>,
    left: Box<dyn Cursor>,
    current: Option<Row>,
    /// The right side's rows, once read.
    right: Option<Kept>,
    inner: Inner,
    frame: Vec<Datum>,
    /// Position of the right row that `inner` gives next.
    at: usize,
    matched: bool,
    right_matched: Vec<bool>,
    /// Right rows once the left side is at its end.
    tail: Option<SpoolRows>,
}

/// The right side's run for one left row.
enum Inner {
    None,
    Lateral(Box<dyn Cursor>),
    Kept(SpoolRows),
}

impl NestedLoopCursor {
    /// The right side's rows, read once.
    fn kept(&mut self, env: Env<'_>) -> Result<Kept> {
        if let Some(kept) = &self.right {
            return Ok(kept.clone());
        }
        let mut right = self.op.right.clone().open(env)?;
        let kept = Spool::collect(&mut *right, env)?;
        self.right_matched = vec![false; kept.len()];
        Ok(self.right.insert(kept).clone())
    }

    /// The next right row for the current left row, with its position.
    fn candidate(&mut self, env: Env<'_>) -> Result<Option<(Row, usize)>> {
        let row = match &mut self.inner {
            Inner::None => None,
            Inner::Lateral(cursor) => cursor.next(Env {
                exec: env.exec,
                frame: &self.frame,
            })?,
            Inner::Kept(rows) => rows.next(env)?,
        };
        self.at += 1;
        Ok(row.map(|r| (r, self.at - 1)))
    }

    /// The next right row that no left row matched.
    fn unmatched(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        if self.tail.is_none() {
            self.at = 0;
            self.tail = Some(self.kept(env)?.rows());
        }
        let Some(tail) = &mut self.tail else { return Ok(None) };
        while let Some(row) = tail.next(env)? {
            self.at += 1;
            if !self.right_matched[self.at - 1] {
                return Ok(Some(row));
            }
        }
        Ok(None)
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
                        self.inner = match &op.captures {
                            Some(captures) => {
                                self.frame = all(captures, env, &row)?;
                                Inner::Lateral(op.right.clone().open(Env {
                                    exec: env.exec,
                                    frame: &self.frame,
                                })?)
                            }
                            None => Inner::Kept(self.kept(env)?.rows()),
                        };
                        self.at = 0;
                        self.matched = false;
                        self.current = Some(row);
                    }
                    None if matches!(op.kind, JoinKind::Right | JoinKind::Full) => {
                        return Ok(self.unmatched(env)?.map(|r| pad_left(left_width, r)));
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
                    match op.kind {
                        JoinKind::Semi => return Ok(self.current.take()),
                        JoinKind::Anti => break,
                        _ => return Ok(Some(row)),
                    }
                }
            }
            let mut row = self.current.take().unwrap_or_default();
            match op.kind {
                JoinKind::Left | JoinKind::Full if !self.matched => {
                    row.extend(nulls(right_width));
                    return Ok(Some(row));
                }
                JoinKind::Anti if !self.matched => return Ok(Some(row)),
                _ => {}
            }
        }
    }
}

/// Hash join: the right side is hashed by its keys. Where there is no room for that, both sides are sorted and merged.
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
        let first = match self.kind {
            // A subquery that no row asks does not run.
            JoinKind::Semi | JoinKind::Anti => {
                let mut left = self.left.clone().open(env)?;
                match left.next(env)? {
                    None => return Ok(Box::new(Held(Vec::new().into_iter()))),
                    row => Some((left, row)),
                }
            }
            _ => None,
        };
        // Where the key alone decides, no row is kept.
        let only_keys = first.is_some() && self.residual.is_none();
        let mut right = self.right.clone().open(env)?;
        let mut rows: Vec<Row> = Vec::new();
        let mut table: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut hold = Hold::new(&env.exec.room);
        while let Some(row) = right.next(env)? {
            let key = self.key(&self.right_keys, env, &row)?;
            let row = match (&key, only_keys) {
                (Some(key), true) if !table.contains_key(key) => Vec::new(),
                (_, true) => continue,
                _ => row,
            };
            if !hold.fits(order::row_bytes(&row) + key.as_ref().map_or(0, |k| k.len() + 48)) {
                drop((table, hold));
                let mut merge = MergeJoin::new(&self, env);
                if only_keys {
                    // What was hashed has left its rows behind.
                    right = self.right.clone().open(env)?;
                } else {
                    for row in rows.into_iter().chain([row]) {
                        merge.right(env, row)?;
                    }
                }
                while let Some(row) = right.next(env)? {
                    merge.right(env, row)?;
                }
                return merge.open(env, first);
            }
            if let Some(key) = key {
                table.entry(key).or_default().push(rows.len());
            }
            rows.push(row);
        }
        let (left, first) = match first {
            Some(begun) => begun,
            None => (self.left.clone().open(env)?, None),
        };
        let matched = vec![false; rows.len()];
        Ok(Box::new(HashJoinCursor {
            op: self,
            left,
            first,
            rows,
            table,
            matched,
            current: None,
            bucket: Vec::new(),
            at: 0,
            found: false,
            tail: 0,
            _hold: hold,
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
    pub(super) fn key(&self, keys: &[Program], env: Env<'_>, row: &[Datum]) -> Result<Option<Vec<u8>>> {
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
    /// A left row that was read ahead.
    first: Option<Row>,
    rows: Vec<Row>,
    table: HashMap<Vec<u8>, Vec<usize>>,
    matched: Vec<bool>,
    current: Option<Row>,
    bucket: Vec<usize>,
    at: usize,
    found: bool,
    tail: usize,
    _hold: Hold,
}

impl Cursor for HashJoinCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        loop {
            if self.current.is_none() {
                env.exec.check_cancel()?;
                let next = match self.first.take() {
                    None => self.left.next(env)?,
                    row => row,
                };
                match next {
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
                                return Ok(Some(pad_left(op.left.columns().len(), self.rows[i].clone())));
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
                    match op.kind {
                        JoinKind::Semi => return Ok(self.current.take()),
                        JoinKind::Anti => break,
                        _ => return Ok(Some(row)),
                    }
                }
            }
            let mut row = self.current.take().unwrap_or_default();
            match op.kind {
                JoinKind::Left | JoinKind::Full if !self.found => {
                    row.extend(nulls(op.right.columns().len()));
                    return Ok(Some(row));
                }
                JoinKind::Anti if !self.found => return Ok(Some(row)),
                _ => {}
            }
        }
    }
}
