//! Rows beyond a statement's memory: kept in files of the spill folder.
//!
//! ```text
//!   operator ── Hold ──► Budget of the statement ──► Budget of the server
//!      │ does not fit
//!      ├─ Spool:  rows in the order in which they came; read any number of times
//!      └─ Sorter: rows in the order of keys; sorted runs, merged
//! ```
//!
//! Every operator that keeps rows does so through a [`Hold`]. One hold gets a quarter of the statement's limit at most, so that the
//! operators of a plan leave each other room; when a plan has so many that the limit itself is reached, each still gets a small part.
//! What an operator cannot spill (one group's state, one partition of a window, the values of an IN subquery) it takes with
//! [`Hold::must_fit`], which answers 53200 at the limit. Files count towards one limit of the server, 53400 above it, and go when their
//! owner goes; what a crash leaves behind goes at the next start.

mod file;
mod quicksort;
mod sorter;
mod spool;

pub(crate) use sorter::{By, Sorted, Sorter, compare_keys};
pub(crate) use spool::{Kept, Spool, SpoolRows};

use curia_types::{Result, SqlError, SqlState};
use datafusion::execution::disk_manager::DiskManager;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One hold's part of the limit: a quarter.
const SHARE: usize = 4;
/// What a hold always gets: a 64th of the limit.
const LEAST: usize = 64;

/// A memory limit, within another's.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    within: Option<Arc<Budget>>,
}

impl Budget {
    pub fn new(limit: usize, within: Option<Arc<Budget>>) -> Arc<Budget> {
        Arc::new(Budget {
            limit,
            used: AtomicUsize::new(0),
            within,
        })
    }

    /// Counts memory; false when that went over a limit.
    fn take(&self, bytes: usize) -> bool {
        let own = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit;
        self.within.as_ref().is_none_or(|w| w.take(bytes)) && own
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(w) = &self.within {
            w.give_back(bytes);
        }
    }
}

/// Where a statement's rows may be: memory up to a limit, then disk.
#[derive(Clone)]
pub(crate) struct Room {
    pub budget: Arc<Budget>,
    pub disk: Arc<DiskManager>,
}

/// Memory that one operator holds; given back when it goes.
pub(crate) struct Hold {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Hold {
    pub fn new(room: &Room) -> Hold {
        Hold {
            budget: room.budget.clone(),
            bytes: 0,
        }
    }

    /// Takes memory if there is room; if not, the caller spills.
    pub fn fits(&mut self, bytes: usize) -> bool {
        let after = self.bytes + bytes;
        let limit = self.budget.limit;
        if after > limit / SHARE || !self.budget.take(bytes) && after > limit / LEAST {
            if after <= limit / SHARE {
                self.budget.give_back(bytes);
            }
            return false;
        }
        self.bytes = after;
        true
    }

    /// Takes memory for what cannot be spilled. Errors: 53200 at the limit.
    pub fn must_fit(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.budget.take(bytes) {
            return Ok(());
        }
        Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
            .detail(format!("The statement reached its limit of {} bytes.", self.budget.limit)))
    }

    /// Gives all of it back.
    pub fn clear(&mut self) {
        self.budget.give_back(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.clear();
    }
}
