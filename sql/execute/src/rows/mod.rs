//! Row operators: small trees that pull one row at a time and need no planning when they run.
//!
//! The point path is made of them, and so is every inner plan of a correlated subquery or LATERAL: compiled once, run for each frame.
//! An [`Operator`] is the immutable plan, shared between sessions; a [`Cursor`] is one run of it. Operators that keep rows keep them in
//! what `spill` has: in memory up to the statement's limit, on disk beyond it.

mod aggregate;
mod basic;
mod compile;
mod cte;
mod function;
mod in_range;
mod join;
mod measure;
mod merge;
mod scan;
mod setop;
mod sort;
mod window;

pub(crate) use basic::bounds;
pub use compile::{Compiler, Frame};
pub(crate) use compile::{bounded, equality, ids, lookup, positions};
pub(crate) use measure::describe;
pub(crate) use scan::{Fit, TableScan, fit};

use crate::eval::Env;
use curia_bind::ir::RelColumn;
use curia_types::{Datum, Result};
use std::sync::Arc;

/// A row in flight: one value for each column of the operator.
pub type Row = Vec<Datum>;

/// A node of a plan.
pub trait Operator: Send + Sync {
    /// Columns of its rows.
    fn columns(&self) -> &[RelColumn];
    /// Starts a run.
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>>;
    /// One line for EXPLAIN.
    fn describe(&self) -> String;
    /// Further lines for EXPLAIN, indented under it (conditions).
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
    /// Inputs, for EXPLAIN.
    fn inputs(&self) -> Vec<Arc<Op>> {
        Vec::new()
    }
}

/// Any operator.
pub type Op = dyn Operator;

/// A run of an operator.
pub trait Cursor: Send {
    /// The next row.
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>>;
}

/// Rows that are already there.
pub(crate) struct Held(pub std::vec::IntoIter<Row>);

impl Cursor for Held {
    fn next(&mut self, _: Env<'_>) -> Result<Option<Row>> {
        Ok(self.0.next())
    }
}
