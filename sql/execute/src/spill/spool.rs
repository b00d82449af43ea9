//! [`Spool`]: rows in the order in which they came, the first of them in memory.

use super::file::{Reading, Writing, Written};
use super::{Hold, Room};
use crate::eval::Env;
use crate::order;
use crate::rows::{Cursor, Row};
use curia_types::Result;
use std::sync::Arc;

/// Rows being kept.
pub(crate) struct Spool {
    room: Room,
    hold: Hold,
    rows: Vec<Row>,
    /// The rows after those in memory.
    file: Option<Writing>,
    count: usize,
}

impl Spool {
    pub fn new(room: &Room) -> Spool {
        Spool {
            room: room.clone(),
            hold: Hold::new(room),
            rows: Vec::new(),
            file: None,
            count: 0,
        }
    }

    /// Keeps the rows of a cursor to its end.
    pub fn collect(cursor: &mut dyn Cursor, env: Env<'_>) -> Result<Kept> {
        let mut spool = Spool::new(&env.exec.room);
        while let Some(row) = cursor.next(env)? {
            spool.push(row)?;
        }
        spool.finish()
    }

    pub fn push(&mut self, row: Row) -> Result<()> {
        self.count += 1;
        if self.file.is_none() && self.hold.fits(order::row_bytes(&row)) {
            self.rows.push(row);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Writing::create(&self.room)?),
        };
        file.push(&[], &row)
    }

    /// Ends the writing.
    pub fn finish(self) -> Result<Kept> {
        Ok(Kept(Arc::new(Inside {
            rows: self.rows,
            file: self.file.map(Writing::finish).transpose()?,
            count: self.count,
            _hold: self.hold,
        })))
    }
}

struct Inside {
    rows: Vec<Row>,
    file: Option<Written>,
    count: usize,
    _hold: Hold,
}

/// Rows that were kept.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Inside>);

impl Kept {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.count
    }

    /// Reads them from the first.
    pub fn rows(&self) -> SpoolRows {
        SpoolRows {
            kept: self.clone(),
            at: 0,
            file: None,
        }
    }
}

/// A run over kept rows.
pub(crate) struct SpoolRows {
    kept: Kept,
    at: usize,
    file: Option<Reading>,
}

impl Cursor for SpoolRows {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        env.exec.check_cancel()?;
        if let Some(row) = self.kept.0.rows.get(self.at) {
            self.at += 1;
            return Ok(Some(row.clone()));
        }
        let Some(written) = &self.kept.0.file else { return Ok(None) };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(written.read()?),
        };
        Ok(file.next()?.map(|(_, row)| row))
    }
}
