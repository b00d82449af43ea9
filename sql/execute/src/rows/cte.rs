//! Common table expressions: computed on first use, kept for the statement; recursive ones run to their fixed point.

use super::{Cursor, Op, Operator, Row};
use crate::eval::Env;
use crate::order;
use crate::spill::{Hold, Kept, Spool};
use curia_bind::ir::RelColumn;
use curia_types::{PgType, Result, SqlError};
use std::collections::HashSet;
use std::sync::Arc;

/// A compiled definition.
pub struct Definition {
    pub id: u32,
    pub name: String,
    pub query: Arc<Op>,
    /// Positions in `query`'s rows of the definition's columns.
    pub positions: Vec<usize>,
    pub types: Vec<PgType>,
    /// Recursive term, positions of its output columns, and UNION ALL.
    pub recursive: Option<(Arc<Op>, Vec<usize>, bool)>,
}

impl Definition {
    fn pick(positions: &[usize], row: Row) -> Row {
        positions.iter().map(|p| row[*p].clone()).collect()
    }

    fn compute(&self, env: Env<'_>) -> Result<Kept> {
        let room = &env.exec.room;
        let mut cursor = self.query.clone().open(env)?;
        let mut result = Spool::new(room);
        let Some((term, positions, all)) = &self.recursive else {
            while let Some(row) = cursor.next(env)? {
                env.exec.check_cancel()?;
                result.push(Self::pick(&self.positions, row))?;
            }
            return result.finish();
        };
        // With UNION every row comes in once; their keys are all in memory.
        let (mut seen, mut hold) = (HashSet::new(), Hold::new(room));
        let mut is_new = |row: &Row| -> Result<bool> {
            if *all {
                return Ok(true);
            }
            let key = order::typed_key(&self.types, row);
            let bytes = key.len() + 48;
            let new = seen.insert(key);
            if new {
                hold.must_fit(bytes)?;
            }
            Ok(new)
        };
        let mut positions_now = &self.positions;
        loop {
            let (mut fresh, mut any) = (Spool::new(room), false);
            while let Some(row) = cursor.next(env)? {
                env.exec.check_cancel()?;
                let row = Self::pick(positions_now, row);
                if is_new(&row)? {
                    any = true;
                    result.push(row.clone())?;
                    fresh.push(row)?;
                }
            }
            if !any {
                return result.finish();
            }
            env.exec.set_working(self.id, fresh.finish()?);
            cursor = term.clone().open(env)?;
            positions_now = positions;
        }
    }
}

/// Brings definitions into scope of its body.
pub struct With {
    pub definitions: Vec<Arc<Definition>>,
    pub body: Arc<Op>,
}

impl Operator for With {
    fn columns(&self) -> &[RelColumn] {
        self.body.columns()
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        for d in &self.definitions {
            env.exec.begin_cte(d.id, env.frame);
        }
        self.body.clone().open(env)
    }
    fn describe(&self) -> String {
        let names: Vec<&str> = self.definitions.iter().map(|d| d.name.as_str()).collect();
        format!("With {}", names.join(", "))
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        self.definitions
            .iter()
            .map(|d| d.query.clone())
            .chain([self.body.clone()])
            .collect()
    }
}

/// Reads a definition's rows.
pub struct CteScan {
    pub definition: Arc<Definition>,
    pub columns: Vec<RelColumn>,
}

impl Operator for CteScan {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let (frame, known) = env.exec.cte(self.definition.id);
        let rows = match known {
            Some(rows) => rows,
            None => {
                let rows = self.definition.compute(Env {
                    exec: env.exec,
                    frame: &frame,
                })?;
                env.exec.set_cte(self.definition.id, rows.clone());
                rows
            }
        };
        Ok(Box::new(rows.rows()))
    }
    fn describe(&self) -> String {
        format!("CTE Scan on {}", self.definition.name)
    }
}

/// Reads the working table of a recursive definition.
pub struct WorkTableScan {
    pub id: u32,
    pub name: String,
    pub columns: Vec<RelColumn>,
}

impl Operator for WorkTableScan {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let working = env.exec.working(self.id);
        let working = working.ok_or_else(|| SqlError::internal("a working table outside its recursive term"))?;
        Ok(Box::new(working.rows()))
    }
    fn describe(&self) -> String {
        format!("WorkTable Scan on {}", self.name)
    }
}
