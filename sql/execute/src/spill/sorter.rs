//! [`Sorter`]: rows in the order of their keys; equal rows in the order in which they came, or, when asked for and few, as PostgreSQL leaves
//! them.
//!
//! Rows are held until there is no room, then sorted and written as a *run*. In the end the runs are merged, the rows still in memory
//! being the last of them. Runs are merged into one beforehand when there are [`FAN_IN`] of them.

use super::file::{Reading, Writing, Written};
use super::quicksort::{FEW_ROWS, quicksort};
use super::{Hold, Room};
use crate::eval::Env;
use crate::order;
use crate::rows::{Cursor, Row};
use curia_types::{Datum, PgType, Result, oid};
use std::cmp::Ordering;

/// Runs merged at a time.
const FAN_IN: usize = 64;

/// How one key orders.
#[derive(Clone, Copy)]
pub(crate) struct By {
    pub ty: PgType,
    pub descending: bool,
    pub nulls_first: bool,
}

impl By {
    /// Ascending, NULLs last.
    pub fn ascending(ty: PgType) -> By {
        By {
            ty,
            descending: false,
            nulls_first: false,
        }
    }

    /// By bytes that stand for a value.
    pub fn bytes() -> By {
        By::ascending(PgType::with_typmod(oid::BYTEA, -1))
    }

    /// Compares two values.
    pub fn compare(&self, a: &Datum, b: &Datum) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if self.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if self.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if self.descending => order::compare(self.ty, b, a),
            _ => order::compare(self.ty, a, b),
        }
    }
}

/// Compares evaluated keys.
pub(crate) fn compare_keys(by: &[By], a: &[Datum], b: &[Datum]) -> Ordering {
    by.iter()
        .zip(a.iter().zip(b))
        .map(|(by, (x, y))| by.compare(x, y))
        .find(|o| *o != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// A row with its keys.
type Keyed = (Vec<Datum>, Row);

/// Rows being sorted.
pub(crate) struct Sorter {
    room: Room,
    by: Vec<By>,
    hold: Hold,
    rows: Vec<Keyed>,
    runs: Vec<Written>,
    /// Equal rows as PostgreSQL's sort leaves them.
    as_postgresql: bool,
}

impl Sorter {
    pub fn new(room: &Room, by: Vec<By>) -> Sorter {
        Sorter {
            room: room.clone(),
            by,
            hold: Hold::new(room),
            rows: Vec::new(),
            runs: Vec::new(),
            as_postgresql: false,
        }
    }

    /// A sort whose equal rows need not keep their order.
    pub fn as_postgresql(room: &Room, by: Vec<By>) -> Sorter {
        Sorter {
            as_postgresql: true,
            ..Sorter::new(room, by)
        }
    }

    pub fn push(&mut self, keys: Vec<Datum>, row: Row) -> Result<()> {
        let bytes = order::row_bytes(&row) + order::row_bytes(&keys);
        if !self.hold.fits(bytes) {
            self.spill()?;
            if !self.hold.fits(bytes) {
                // A row larger than all the room there is makes a run of its own.
                self.rows.push((keys, row));
                return self.spill();
            }
        }
        self.rows.push((keys, row));
        Ok(())
    }

    fn sort(&mut self) {
        let by = &self.by;
        let compare = |a: &Keyed, b: &Keyed| compare_keys(by, &a.0, &b.0);
        if self.as_postgresql && self.runs.is_empty() && self.rows.len() <= FEW_ROWS {
            quicksort(&mut self.rows, &compare);
        } else {
            self.rows.sort_by(compare);
        }
    }

    /// Writes what is held as a run.
    fn spill(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        if self.runs.len() == FAN_IN {
            let mut merged = Merge::of_runs(std::mem::take(&mut self.runs), self.by.clone())?;
            let mut file = Writing::create(&self.room)?;
            while let Some((keys, row)) = merged.next()? {
                file.push(&keys, &row)?;
            }
            self.runs.push(file.finish()?);
        }
        self.sort();
        let mut file = Writing::create(&self.room)?;
        for (keys, row) in self.rows.drain(..) {
            file.push(&keys, &row)?;
        }
        self.runs.push(file.finish()?);
        self.hold.clear();
        Ok(())
    }

    /// The rows in order.
    pub fn finish(mut self) -> Result<Sorted> {
        self.sort();
        let rows = self.rows.into_iter();
        let merge = if self.runs.is_empty() {
            Merge {
                by: self.by,
                runs: vec![Run::Memory(rows)],
                heads: Vec::new(),
                order: Vec::new(),
            }
        } else {
            let mut merge = Merge::of_runs(self.runs, self.by)?;
            merge.add(Run::Memory(rows))?;
            merge
        };
        Ok(Sorted { merge, _hold: self.hold })
    }
}

/// Rows in order.
pub(crate) struct Sorted {
    merge: Merge,
    _hold: Hold,
}

impl Sorted {
    /// The next row with its keys.
    pub fn next_keyed(&mut self, env: Env<'_>) -> Result<Option<Keyed>> {
        env.exec.check_cancel()?;
        self.merge.next()
    }
}

impl Cursor for Sorted {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        Ok(self.next_keyed(env)?.map(|(_, row)| row))
    }
}

enum Run {
    File(Reading),
    Memory(std::vec::IntoIter<Keyed>),
}

impl Run {
    fn next(&mut self) -> Result<Option<Keyed>> {
        match self {
            Run::File(reading) => reading.next(),
            Run::Memory(rows) => Ok(rows.next()),
        }
    }
}

/// Runs being merged: a binary heap of run numbers, by their next rows. A single run needs no heap.
struct Merge {
    by: Vec<By>,
    runs: Vec<Run>,
    /// The next row of each run.
    heads: Vec<Option<Keyed>>,
    /// The heap: runs that have a next row.
    order: Vec<usize>,
}

impl Merge {
    fn of_runs(files: Vec<Written>, by: Vec<By>) -> Result<Merge> {
        let mut merge = Merge {
            by,
            runs: Vec::new(),
            heads: Vec::new(),
            order: Vec::new(),
        };
        for file in files {
            merge.add(Run::File(file.read()?))?;
        }
        Ok(merge)
    }

    fn add(&mut self, mut run: Run) -> Result<()> {
        let head = run.next()?;
        let (n, any) = (self.runs.len(), head.is_some());
        self.runs.push(run);
        self.heads.push(head);
        if any {
            self.order.push(n);
            let mut at = self.order.len() - 1;
            while at > 0 && self.before(at, (at - 1) / 2) {
                self.order.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
        }
        Ok(())
    }

    /// Whether the run at one place of the heap comes before that at another: by its row, then by its number.
    fn before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.order[a], self.order[b]);
        match (&self.heads[a], &self.heads[b]) {
            (Some(x), Some(y)) => compare_keys(&self.by, &x.0, &y.0).then(a.cmp(&b)).is_lt(),
            _ => false,
        }
    }

    fn next(&mut self) -> Result<Option<Keyed>> {
        if let ([run], []) = (self.runs.as_mut_slice(), self.heads.as_slice()) {
            return run.next();
        }
        let Some(&first) = self.order.first() else { return Ok(None) };
        let next = self.runs[first].next()?;
        let ended = next.is_none();
        let row = std::mem::replace(&mut self.heads[first], next);
        if ended {
            self.order.swap_remove(0);
        }
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            for child in [left, right] {
                if child < self.order.len() && self.before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return Ok(row);
            }
            self.order.swap(at, least);
            at = least;
        }
    }
}
