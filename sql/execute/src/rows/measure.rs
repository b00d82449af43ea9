//! EXPLAIN of row operators: their tree as text, with rows and times when they were measured.

use super::{Cursor, Op, Operator, Row};
use crate::eval::Env;
use curia_bind::ir::RelColumn;
use curia_types::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Wraps an operator to count what it does.
pub struct Measured {
    inner: Arc<Op>,
    rows: AtomicU64,
    loops: AtomicU64,
    nanos: AtomicU64,
}

impl Measured {
    pub fn new(inner: Arc<Op>) -> Measured {
        Measured {
            inner,
            rows: AtomicU64::new(0),
            loops: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
        }
    }
}

impl Operator for Measured {
    fn columns(&self) -> &[RelColumn] {
        self.inner.columns()
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let start = Instant::now();
        let cursor = self.inner.clone().open(env);
        self.nanos.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.loops.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(MeasuredCursor { op: self, cursor: cursor? }))
    }
    fn describe(&self) -> String {
        let loops = self.loops.load(Ordering::Relaxed);
        if loops == 0 {
            return format!("{} (never executed)", self.inner.describe());
        }
        let ms = self.nanos.load(Ordering::Relaxed) as f64 / 1e6 / loops as f64;
        let rows = self.rows.load(Ordering::Relaxed) / loops;
        format!("{} (actual time={ms:.3} rows={rows} loops={loops})", self.inner.describe())
    }
    fn details(&self) -> Vec<String> {
        self.inner.details()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        self.inner.inputs()
    }
}

struct MeasuredCursor {
    op: Arc<Measured>,
    cursor: Box<dyn Cursor>,
}

impl Cursor for MeasuredCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let start = Instant::now();
        let row = self.cursor.next(env);
        self.op.nanos.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        if let Ok(Some(_)) = row {
            self.op.rows.fetch_add(1, Ordering::Relaxed);
        }
        row
    }
}

/// The tree as lines, as PostgreSQL indents them.
pub(crate) fn describe(op: &Arc<Op>, depth: usize, lines: &mut Vec<String>) {
    let (arrow, pad) = if depth == 0 {
        (String::new(), 2)
    } else {
        (format!("{}->  ", " ".repeat(depth * 6 - 4)), depth * 6 + 2)
    };
    lines.push(format!("{arrow}{}", op.describe()));
    lines.extend(op.details().into_iter().map(|d| format!("{}{d}", " ".repeat(pad))));
    for input in op.inputs() {
        describe(&input, depth + 1, lines);
    }
}
