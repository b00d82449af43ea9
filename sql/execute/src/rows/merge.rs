//! The hash join whose right side is larger than its memory: both sides sorted by key, equal keys joined.
//!
//! The right rows of one key are held together, so a key that most rows share can still reach the limit.

use super::join::{HashJoin, nulls, pad_left};
use super::{Cursor, Row};
use crate::eval::Env;
use crate::order;
use crate::spill::{By, Hold, Sorted, Sorter};
use curia_bind::ir::JoinKind;
use curia_types::{Datum, Result};
use std::sync::Arc;

/// The sides being sorted. Rows whose key has a NULL, which equals nothing, come last; they are kept only where an outer join gives them.
pub(super) struct MergeJoin {
    op: Arc<HashJoin>,
    left: Sorter,
    right: Sorter,
}

/// The key of a sorted row.
fn key(bytes: Option<Vec<u8>>) -> Vec<Datum> {
    vec![bytes.map_or(Datum::Null, |b| Datum::Bytea(b.into()))]
}

impl MergeJoin {
    pub fn new(op: &Arc<HashJoin>, env: Env<'_>) -> MergeJoin {
        let sorter = || Sorter::new(&env.exec.room, vec![By::bytes()]);
        MergeJoin {
            op: op.clone(),
            left: sorter(),
            right: sorter(),
        }
    }

    /// Takes a row of the right side.
    pub fn right(&mut self, env: Env<'_>, row: Row) -> Result<()> {
        let bytes = self.op.key(&self.op.right_keys, env, &row)?;
        if bytes.is_none() && matches!(self.op.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti) {
            return Ok(());
        }
        self.right.push(key(bytes), row)
    }

    /// Reads the left side, which may have begun with a row already, and starts merging.
    pub fn open(mut self, env: Env<'_>, begun: Option<(Box<dyn Cursor>, Option<Row>)>) -> Result<Box<dyn Cursor>> {
        let right = self.right.finish()?;
        let (mut left, mut first) = match begun {
            Some(begun) => begun,
            None => (self.op.left.clone().open(env)?, None),
        };
        loop {
            let row = match first.take() {
                None => left.next(env)?,
                row => row,
            };
            let Some(row) = row else { break };
            let bytes = self.op.key(&self.op.left_keys, env, &row)?;
            if bytes.is_some() || matches!(self.op.kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti) {
                self.left.push(key(bytes), row)?;
            }
        }
        Ok(Box::new(MergeJoinCursor {
            left: self.left.finish()?,
            right,
            ahead: None,
            current: None,
            group: Group {
                key: Datum::Null,
                rows: Vec::new(),
                hold: Hold::new(&env.exec.room),
            },
            at: 0,
            found: false,
            unmatched: Vec::new().into_iter(),
            op: self.op,
        }))
    }
}

/// Right rows of one key, each with whether a left row matched it.
struct Group {
    key: Datum,
    rows: Vec<(Row, bool)>,
    hold: Hold,
}

struct MergeJoinCursor {
    op: Arc<HashJoin>,
    left: Sorted,
    right: Sorted,
    /// The first right row after the group.
    ahead: Option<(Datum, Row)>,
    /// The left row being joined.
    current: Option<(Datum, Row)>,
    group: Group,
    /// Position in the group.
    at: usize,
    /// Whether the left row has met a match.
    found: bool,
    /// Rows of a past group, of which those without a match are given.
    unmatched: std::vec::IntoIter<(Row, bool)>,
}

fn next(side: &mut Sorted, env: Env<'_>) -> Result<Option<(Datum, Row)>> {
    Ok(side
        .next_keyed(env)?
        .map(|(mut keys, row)| (keys.pop().unwrap_or(Datum::Null), row)))
}

impl MergeJoinCursor {
    /// Reads the next group; false at the end. The past one's rows are looked through for those without a match.
    fn next_group(&mut self, env: Env<'_>) -> Result<bool> {
        self.group.hold.clear();
        self.unmatched = std::mem::take(&mut self.group.rows).into_iter();
        let first = match self.ahead.take() {
            Some(first) => Some(first),
            None => next(&mut self.right, env)?,
        };
        let Some((key, row)) = first else { return Ok(false) };
        let mut row = Some(row);
        while let Some(of_group) = row.take() {
            self.group.hold.must_fit(order::row_bytes(&of_group))?;
            self.group.rows.push((of_group, false));
            // Rows with a NULL in the key are no group: one at a time.
            if key.is_null() {
                break;
            }
            match next(&mut self.right, env)? {
                Some((k, r)) if k == key => row = Some(r),
                other => self.ahead = other,
            }
        }
        self.group.key = key;
        Ok(true)
    }
}

impl Cursor for MergeJoinCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        let outer_left = matches!(op.kind, JoinKind::Left | JoinKind::Full);
        let outer_right = matches!(op.kind, JoinKind::Right | JoinKind::Full);
        loop {
            if outer_right && let Some((row, _)) = self.unmatched.by_ref().find(|(_, matched)| !matched) {
                return Ok(Some(pad_left(op.left.columns().len(), row)));
            }
            if self.current.is_none() {
                self.current = next(&mut self.left, env)?;
                self.at = 0;
                self.found = false;
            }
            let Some(key) = self.current.as_ref().map(|(key, _)| key.clone()) else {
                // What is left of the right side has no match.
                if !outer_right || !self.next_group(env)? && self.unmatched.as_slice().is_empty() {
                    return Ok(None);
                }
                continue;
            };
            // Groups of smaller keys are past. NULLs come after every key.
            let past = self.group.rows.is_empty() || By::bytes().compare(&self.group.key, &key).is_lt();
            if past && !key.is_null() && self.next_group(env)? {
                continue;
            }
            if let Some((_, left)) = &self.current
                && !key.is_null()
                && self.group.key == key
            {
                while let Some((right, matched)) = self.group.rows.get_mut(self.at) {
                    self.at += 1;
                    let row: Row = left.iter().chain(right.iter()).cloned().collect();
                    if op.residual.as_ref().map_or(Ok(true), |p| p.holds(env, &row))? {
                        self.found = true;
                        *matched = true;
                        match op.kind {
                            JoinKind::Semi => return Ok(self.current.take().map(|(_, left)| left)),
                            JoinKind::Anti => break,
                            _ => return Ok(Some(row)),
                        }
                    }
                }
            }
            if let Some((_, mut row)) = self.current.take()
                && !self.found
            {
                if outer_left {
                    row.extend(nulls(op.right.columns().len()));
                }
                if outer_left || op.kind == JoinKind::Anti {
                    return Ok(Some(row));
                }
            }
        }
    }
}
