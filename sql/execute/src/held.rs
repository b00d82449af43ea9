//! [`HeldRows`]: rows that can be read again in any order, for cursors that scroll or outlive their transaction.
//!
//! They are in memory, within the part of it that the row operators of one statement may keep; 53200 beyond it.

use crate::engine::Engine;
use crate::order;
use crate::rows::Row;
use crate::spill::{Budget, Hold, Room};
use curia_types::{Datum, Result};

/// Rows in the order in which they came.
pub struct HeldRows {
    rows: Vec<Row>,
    hold: Hold,
}

impl Engine {
    /// A place for rows.
    pub fn hold_rows(&self) -> HeldRows {
        HeldRows {
            rows: Vec::new(),
            hold: Hold::new(&Room {
                budget: Budget::new(self.config.statement_bytes, Some(self.rows.clone())),
                disk: self.environment.disk_manager.clone(),
            }),
        }
    }
}

impl HeldRows {
    /// Adds a row.
    ///
    /// # Errors
    /// 53200 at the limit.
    pub fn push(&mut self, row: Vec<Datum>) -> Result<()> {
        self.hold.must_fit(order::row_bytes(&row))?;
        self.rows.push(row);
        Ok(())
    }

    /// The row at a place, from 0.
    pub fn get(&self, at: usize) -> Option<&[Datum]> {
        self.rows.get(at).map(Vec::as_slice)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
