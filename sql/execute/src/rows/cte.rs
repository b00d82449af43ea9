//! Common table expressions: computed on first use, kept for the statement; recursive ones run to their fixed point.
//!
//! One with a single reader that reads it once is not kept: its rows pass to the reader as they come, so that a reader that stops early
//! ends a recursion that has no end.

use super::{Cursor, Op, Operator, Row};
use crate::eval::Env;
use crate::order;
use crate::spill::{Hold, Kept, Spool};
use curia_bind::ir::RelColumn;
use curia_types::{Datum, PgType, Result, SqlError};
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
    /// Only one scan reads it, once.
    pub passing: bool,
}

impl Definition {
    fn pick(positions: &[usize], row: Row) -> Row {
        positions.iter().map(|p| row[*p].clone()).collect()
    }

    fn compute(self: &Arc<Self>, env: Env<'_>) -> Result<Kept> {
        let room = &env.exec.room;
        let mut result = Spool::new(room);
        if self.recursive.is_some() {
            let mut rows = Recursion::start(self, env)?;
            while let Some(row) = rows.next(env)? {
                result.push(row)?;
            }
            return result.finish();
        }
        let mut cursor = self.query.clone().open(env)?;
        while let Some(row) = cursor.next(env)? {
            env.exec.check_cancel()?;
            result.push(Self::pick(&self.positions, row))?;
        }
        result.finish()
    }
}

/// A run of a recursive definition: the non-recursive term, then the recursive term over what the last round gave, until that is nothing.
struct Recursion {
    definition: Arc<Definition>,
    /// The frame that the definition stands in.
    frame: Vec<Datum>,
    cursor: Box<dyn Cursor>,
    /// In the recursive term.
    stepping: bool,
    /// This round's rows.
    fresh: Spool,
    any: bool,
    /// With UNION every row comes in once; their keys are all in memory.
    seen: HashSet<Vec<u8>>,
    hold: Hold,
}

impl Recursion {
    fn start(definition: &Arc<Definition>, env: Env<'_>) -> Result<Recursion> {
        Ok(Recursion {
            definition: definition.clone(),
            frame: env.frame.to_vec(),
            cursor: definition.query.clone().open(env)?,
            stepping: false,
            fresh: Spool::new(&env.exec.room),
            any: false,
            seen: HashSet::new(),
            hold: Hold::new(&env.exec.room),
        })
    }
}

impl Cursor for Recursion {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let definition = self.definition.clone();
        let Some((term, positions, all)) = &definition.recursive else {
            return Err(SqlError::internal("a recursion without a recursive term"));
        };
        let frame = std::mem::take(&mut self.frame);
        let env = Env {
            exec: env.exec,
            frame: &frame,
        };
        let row = loop {
            env.exec.check_cancel()?;
            if let Some(row) = self.cursor.next(env)? {
                let row = Definition::pick(if self.stepping { positions } else { &definition.positions }, row);
                if !*all {
                    let key = order::typed_key(&definition.types, &row);
                    let bytes = key.len() + 48;
                    if !self.seen.insert(key) {
                        continue;
                    }
                    self.hold.must_fit(bytes)?;
                }
                self.any = true;
                self.fresh.push(row.clone())?;
                break Some(row);
            }
            if !std::mem::take(&mut self.any) {
                break None;
            }
            let fresh = std::mem::replace(&mut self.fresh, Spool::new(&env.exec.room));
            env.exec.set_working(definition.id, fresh.finish()?);
            self.cursor = term.clone().open(env)?;
            self.stepping = true;
        };
        self.frame = frame;
        Ok(row)
    }
}

/// The rows of a definition that is not recursive, as they come.
struct Passing {
    definition: Arc<Definition>,
    /// The frame that the definition stands in.
    frame: Vec<Datum>,
    cursor: Box<dyn Cursor>,
}

impl Cursor for Passing {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let env = Env {
            exec: env.exec,
            frame: &self.frame,
        };
        let row = self.cursor.next(env)?;
        Ok(row.map(|row| Definition::pick(&self.definition.positions, row)))
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
        if self.definition.passing && known.is_none() {
            let env = Env {
                exec: env.exec,
                frame: &frame,
            };
            if self.definition.recursive.is_some() {
                return Ok(Box::new(Recursion::start(&self.definition, env)?));
            }
            let cursor = self.definition.query.clone().open(env)?;
            return Ok(Box::new(Passing {
                definition: self.definition.clone(),
                frame,
                cursor,
            }));
        }
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
