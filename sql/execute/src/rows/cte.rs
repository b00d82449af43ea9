//! Common table expressions: computed on first use, kept for the statement; recursive ones run to their fixed point.

use super::{Cursor, Op, Operator, Row, Shared, collect};
use crate::eval::Env;
use crate::order;
use curia_bind::ir::RelColumn;
use curia_types::{PgType, Result};
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

    fn compute(&self, env: Env<'_>) -> Result<Vec<Row>> {
        let mut cursor = self.query.clone().open(env)?;
        let rows: Vec<Row> = collect(&mut *cursor, env)?
            .into_iter()
            .map(|r| Self::pick(&self.positions, r))
            .collect();
        let Some((term, positions, all)) = &self.recursive else {
            return Ok(rows);
        };
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        let mut working: Vec<Row> = rows
            .into_iter()
            .filter(|r| *all || seen.insert(order::typed_key(&self.types, r)))
            .collect();
        let mut result = working.clone();
        while !working.is_empty() {
            env.exec.set_working(self.id, Arc::new(working));
            let mut cursor = term.clone().open(env)?;
            let mut fresh = Vec::new();
            while let Some(row) = cursor.next(env)? {
                let row = Self::pick(positions, row);
                if *all || seen.insert(order::typed_key(&self.types, &row)) {
                    env.exec.charge(2 * order::row_bytes(&row))?;
                    fresh.push(row);
                }
            }
            result.extend(fresh.iter().cloned());
            working = fresh;
        }
        Ok(result)
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
                let rows = Arc::new(self.definition.compute(Env {
                    exec: env.exec,
                    frame: &frame,
                })?);
                env.exec.set_cte(self.definition.id, rows.clone());
                rows
            }
        };
        Ok(Box::new(Shared(rows, 0)))
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
        Ok(Box::new(Shared(env.exec.working(self.id), 0)))
    }
    fn describe(&self) -> String {
        format!("WorkTable Scan on {}", self.name)
    }
}
