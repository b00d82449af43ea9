//! Operators that hold no rows: Unit, Values, Filter, Project, Limit.

use super::sort::{Key, evaluate, same};
use super::{Cursor, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::spill::By;
use curia_bind::ir::RelColumn;
use curia_types::{Datum, Result, SqlError, SqlState};
use std::sync::Arc;

/// One row without columns.
pub struct Unit;

impl Operator for Unit {
    fn columns(&self) -> &[RelColumn] {
        &[]
    }
    fn open(self: Arc<Self>, _: Env<'_>) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(UnitCursor(false)))
    }
    fn describe(&self) -> String {
        "Result".into()
    }
}

struct UnitCursor(bool);

impl Cursor for UnitCursor {
    fn next(&mut self, _: Env<'_>) -> Result<Option<Row>> {
        Ok((!std::mem::replace(&mut self.0, true)).then(Row::new))
    }
}

/// Rows of expressions.
pub struct Values {
    pub rows: Vec<Vec<Program>>,
    pub columns: Vec<RelColumn>,
}

impl Operator for Values {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, _: Env<'_>) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(ValuesCursor { op: self, at: 0 }))
    }
    fn describe(&self) -> String {
        if self.rows.len() == 1 {
            "Result".into()
        } else {
            "Values Scan on \"*VALUES*\"".into()
        }
    }
}

struct ValuesCursor {
    op: Arc<Values>,
    at: usize,
}

impl Cursor for ValuesCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let Some(row) = self.op.rows.get(self.at) else { return Ok(None) };
        self.at += 1;
        row.iter().map(|p| p.eval(env, &[])).collect::<Result<Row>>().map(Some)
    }
}

/// Keeps rows whose predicate is true.
pub struct Filter {
    pub input: Arc<Op>,
    pub predicate: Program,
}

impl Operator for Filter {
    fn columns(&self) -> &[RelColumn] {
        self.input.columns()
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let input = self.input.clone().open(env)?;
        Ok(Box::new(FilterCursor { op: self, input }))
    }
    fn describe(&self) -> String {
        "Filter".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

struct FilterCursor {
    op: Arc<Filter>,
    input: Box<dyn Cursor>,
}

impl Cursor for FilterCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        while let Some(row) = self.input.next(env)? {
            if self.op.predicate.holds(env, &row)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Computes columns.
pub struct Project {
    pub input: Arc<Op>,
    pub programs: Vec<Program>,
    pub columns: Vec<RelColumn>,
}

impl Operator for Project {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let input = self.input.clone().open(env)?;
        Ok(Box::new(ProjectCursor { op: self, input }))
    }
    fn describe(&self) -> String {
        "Project".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

struct ProjectCursor {
    op: Arc<Project>,
    input: Box<dyn Cursor>,
}

impl Cursor for ProjectCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let Some(row) = self.input.next(env)? else { return Ok(None) };
        self.op
            .programs
            .iter()
            .map(|p| p.eval(env, &row))
            .collect::<Result<Row>>()
            .map(Some)
    }
}

/// LIMIT and OFFSET.
pub struct Limit {
    pub input: Arc<Op>,
    pub limit: Option<Program>,
    pub offset: Option<Program>,
    /// WITH TIES: keys of the order.
    pub ties: Vec<Key>,
}

impl Operator for Limit {
    fn columns(&self) -> &[RelColumn] {
        self.input.columns()
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let (limit, offset) = bounds(env, self.limit.as_ref(), self.offset.as_ref())?;
        if !self.ties.is_empty() && limit.is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
                "row count cannot be null in FETCH FIRST ... WITH TIES clause",
            ));
        }
        let input = self.input.clone().open(env)?;
        Ok(Box::new(LimitCursor {
            op: self,
            input,
            skip: offset,
            left: limit,
            last: None,
        }))
    }
    fn describe(&self) -> String {
        "Limit".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

/// Evaluates LIMIT and OFFSET; NULL means none.
pub(crate) fn bounds(env: Env<'_>, limit: Option<&Program>, offset: Option<&Program>) -> Result<(Option<u64>, u64)> {
    let count = |p: Option<&Program>, code, what: &str| -> Result<Option<u64>> {
        match p.map(|p| p.eval(env, &[])).transpose()? {
            Some(Datum::Int8(n)) => u64::try_from(n)
                .map(Some)
                .map_err(|_| SqlError::new(code, format!("{what} must not be negative"))),
            _ => Ok(None),
        }
    };
    Ok((
        count(limit, SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT")?,
        count(offset, SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET")?.unwrap_or(0),
    ))
}

struct LimitCursor {
    op: Arc<Limit>,
    input: Box<dyn Cursor>,
    skip: u64,
    left: Option<u64>,
    /// WITH TIES: the last row's keys.
    last: Option<Vec<Datum>>,
}

impl Cursor for LimitCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        if self.left == Some(0) {
            let Some(last) = &self.last else { return Ok(None) };
            let Some(row) = self.input.next(env)? else { return Ok(None) };
            let by: Vec<By> = self.op.ties.iter().map(|k| k.by).collect();
            if same(&by, last, &evaluate(&self.op.ties, env, &row)?) {
                return Ok(Some(row));
            }
            self.last = None;
            return Ok(None);
        }
        while self.skip > 0 {
            self.skip -= 1;
            if self.input.next(env)?.is_none() {
                return Ok(None);
            }
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        let row = self.input.next(env)?;
        if self.left == Some(0)
            && !self.op.ties.is_empty()
            && let Some(row) = &row
        {
            self.last = Some(evaluate(&self.op.ties, env, row)?);
        }
        Ok(row)
    }
}
