//! UNION ALL, INTERSECT and EXCEPT, with and without ALL. (UNION is DISTINCT over UNION ALL.)

use super::sort::same;
use super::{Cursor, Op, Operator, Row};
use crate::eval::Env;
use crate::spill::{By, Sorted, Sorter};
use curia_bind::ir::{RelColumn, SetOp as Kind};
use curia_types::{Datum, Result, SqlError};
use std::sync::Arc;

/// Inputs of a set operation, each with the positions of its columns in output order.
pub type Inputs = Vec<(Arc<Op>, Vec<usize>)>;

fn pick(positions: &[usize], row: &Row) -> Row {
    positions.iter().map(|p| row[*p].clone()).collect()
}

/// All rows of one input after another.
pub struct Append {
    pub inputs: Inputs,
    pub columns: Vec<RelColumn>,
}

impl Operator for Append {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, _: Env<'_>) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(AppendCursor {
            op: self,
            at: 0,
            current: None,
        }))
    }
    fn describe(&self) -> String {
        "Append".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        self.inputs.iter().map(|(i, _)| i.clone()).collect()
    }
}

struct AppendCursor {
    op: Arc<Append>,
    at: usize,
    current: Option<Box<dyn Cursor>>,
}

impl Cursor for AppendCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        while let Some((input, positions)) = self.op.inputs.get(self.at) {
            let cursor = match &mut self.current {
                Some(cursor) => cursor,
                None => self.current.insert(input.clone().open(env)?),
            };
            if let Some(row) = cursor.next(env)? {
                return Ok(Some(pick(positions, &row)));
            }
            self.current = None;
            self.at += 1;
        }
        Ok(None)
    }
}

/// INTERSECT or EXCEPT over two or more inputs, left to right: the rows of all inputs are sorted, and equal ones counted by input.
pub struct Counted {
    pub op: Kind,
    pub all: bool,
    pub inputs: Inputs,
    pub columns: Vec<RelColumn>,
}

impl Counted {
    fn by(&self) -> Vec<By> {
        self.columns.iter().map(|c| By::ascending(c.ty)).collect()
    }

    /// How often a row comes out that each input has this often.
    fn times(&self, counts: &[u64]) -> u64 {
        let mut times = if self.all { counts[0] } else { counts[0].min(1) };
        for theirs in &counts[1..] {
            times = match (self.op, self.all) {
                (Kind::Intersect, _) => times.min(*theirs),
                (_, true) => times.saturating_sub(*theirs),
                (_, false) if *theirs > 0 => 0,
                _ => times,
            };
        }
        times
    }
}

impl Operator for Counted {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let mut sorter = Sorter::new(&env.exec.room, self.by());
        for (i, (input, positions)) in self.inputs.iter().enumerate() {
            let mut cursor = input.clone().open(env)?;
            while let Some(row) = cursor.next(env)? {
                sorter.push(pick(positions, &row), vec![Datum::Int8(i as i64)])?;
            }
        }
        Ok(Box::new(CountedCursor {
            by: self.by(),
            rows: sorter.finish()?,
            ahead: None,
            current: Row::new(),
            times: 0,
            op: self,
        }))
    }
    fn describe(&self) -> String {
        let all = if self.all { " All" } else { "" };
        format!("SetOp {:?}{all}", self.op)
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        self.inputs.iter().map(|(i, _)| i.clone()).collect()
    }
}

struct CountedCursor {
    op: Arc<Counted>,
    by: Vec<By>,
    rows: Sorted,
    /// A row that was read beyond those equal to `current`, and its input.
    ahead: Option<(Row, Row)>,
    current: Row,
    /// How often `current` still comes out.
    times: u64,
}

impl Cursor for CountedCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        while self.times == 0 {
            let first = match self.ahead.take() {
                Some(row) => Some(row),
                None => self.rows.next_keyed(env)?,
            };
            let Some((row, input)) = first else { return Ok(None) };
            let mut counts = vec![0; self.op.inputs.len()];
            count(&mut counts, &input)?;
            self.current = row;
            while let Some((row, input)) = self.rows.next_keyed(env)? {
                if !same(&self.by, &self.current, &row) {
                    self.ahead = Some((row, input));
                    break;
                }
                count(&mut counts, &input)?;
            }
            self.times = self.op.times(&counts);
        }
        self.times -= 1;
        Ok(Some(self.current.clone()))
    }
}

fn count(counts: &mut [u64], input: &Row) -> Result<()> {
    match input.first() {
        Some(Datum::Int8(i)) => counts[*i as usize] += 1,
        _ => return Err(SqlError::internal("a row of a set operation without its input")),
    }
    Ok(())
}
