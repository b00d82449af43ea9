//! What a relation costs as row operators and through DataFusion, from the sizes that its tables have now.
//!
//! DataFusion plans anew at each run, which takes about a millisecond and is then far faster for each row. So few rows, and rows that keys
//! find, go through row operators, however they are joined, grouped and sorted. The choice is made when a statement runs: a plan outlives
//! the sizes that its tables had when it was made. Costs are microseconds, measured once and rounded; only their proportions matter.

use crate::access::{self, Bound};
use crate::engine::Engine;
use crate::rows::{bounded, equality, ids, lookup};
use crate::walk;
use curia_bind::ir::*;
use curia_txn::ReadView;
use curia_types::Result;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A row that DataFusion scans, joins or groups.
const ANALYTIC_ROW: f64 = 0.1;
/// A row that a row operator reads or keeps.
const ROW: f64 = 0.7;
/// An expression for one row.
const EXPRESSION: f64 = 0.2;
/// Finding a key.
const LOOKUP: f64 = 4.0;
/// Rows of what no size is known of: functions, system views, common table expressions.
const UNKNOWN_ROWS: f64 = 100.0;
/// What may run on the session's thread, where the sessions of the same thread wait for it.
const IN_PLACE: f64 = 2000.0;

/// DataFusion's work from which on it is worth to be shared between threads.
const WIDE: f64 = 10_000.0;

/// How a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Row operators on the session's thread.
    InPlace,
    /// Row operators on the analytics pool.
    Pool,
    /// DataFusion.
    Analytic(Width),
}

/// How many parts DataFusion cuts work into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One: handing rows to other threads and putting partial results together would take longer.
    One,
    /// As many as there are threads.
    Threads,
}

/// What a relation costs to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    /// As row operators.
    pub rowwise: f64,
    /// Through DataFusion, from its planning on.
    pub analytic: f64,
    /// How wide that would be.
    pub width: Width,
    /// Whether row operators may run on the session's thread.
    pub in_place: bool,
}

impl Price {
    /// The cheaper way.
    pub fn choice(&self) -> Choice {
        match (self.rowwise > self.analytic, self.in_place) {
            (true, _) => Choice::Analytic(self.width),
            (false, true) => Choice::InPlace,
            (false, false) => Choice::Pool,
        }
    }
}

/// Estimates what a relation costs now.
pub(crate) fn price(rel: &Rel, engine: &Engine, view: &ReadView) -> Result<Price> {
    let sizes = &engine.sizes;
    let cost = Estimator { sizes, view }.relation(rel)?;
    let rowwise = cost.rowwise + cost.subqueries;
    Ok(Price {
        rowwise,
        analytic: engine.config.analytic_start + cost.analytic + cost.subqueries,
        width: if cost.analytic < WIDE { Width::One } else { Width::Threads },
        in_place: cost.counted && rowwise < IN_PLACE,
    })
}

/// About how many rows come out of a relation.
pub(crate) fn rows(rel: &Rel, engine: &Engine, view: &ReadView) -> Result<usize> {
    let sizes = &engine.sizes;
    Ok(Estimator { sizes, view }.relation(rel)?.rows.ceil() as usize)
}

struct Cost {
    /// Rows that come out.
    rows: f64,
    rowwise: f64,
    analytic: f64,
    /// Subqueries in expressions, which are run by row operators either way.
    subqueries: f64,
    /// Whether all sizes under it were counted, not guessed.
    counted: bool,
}

struct Estimator<'a> {
    sizes: &'a Sizes,
    view: &'a ReadView,
}

impl Estimator<'_> {
    fn relation(&self, rel: &Rel) -> Result<Cost> {
        if let Rel::Filter { input, predicate } = rel
            && let Rel::Scan(scan) = &**input
        {
            let terms = walk::terms(predicate);
            if let Some(path) = access::choose(scan, &terms) {
                let mut cost = self.path(scan, &path)?;
                self.expressions(rel, cost.rows, &mut cost)?;
                return Ok(cost);
            }
        }
        // An aggregate's expressions see the rows that it reads.
        let mut read = None;
        let mut cost = match rel {
            Rel::Scan(scan) => {
                let (rows, counted) = self.sizes.rows(self.view, scan)?;
                Cost {
                    rows,
                    rowwise: LOOKUP + rows * ROW,
                    analytic: rows * ANALYTIC_ROW,
                    subqueries: 0.0,
                    counted,
                }
            }
            Rel::Join {
                kind,
                left,
                right,
                on,
                lateral,
            } => self.join(*kind, left, right, on.as_ref(), *lateral)?,
            _ => {
                let (cost, rows) = self.over_inputs(rel)?;
                read = matches!(rel, Rel::Aggregate { .. }).then_some(rows);
                cost
            }
        };
        self.expressions(rel, read.unwrap_or(cost.rows), &mut cost)?;
        Ok(cost)
    }

    /// Rows that a key or a range of keys finds.
    fn path(&self, scan: &Scan, path: &access::Path) -> Result<Cost> {
        let keys: f64 = path
            .equal
            .iter()
            .map(|b| match b {
                Bound::Equal(_) => 1.0,
                Bound::OneOf(values) => values.len() as f64,
                Bound::Any(_) => 10.0,
            })
            .product();
        let range = path.lower.is_some() || path.upper.is_some();
        let (rows, counted) = if path.unique && !range {
            (keys, true)
        } else {
            let (all, counted) = self.sizes.rows(self.view, scan)?;
            let found = match (path.equal.is_empty(), range) {
                (false, _) => (keys * 50.0).min(all),
                (true, _) => all / 3.0,
            };
            (found, counted)
        };
        let cost = keys * LOOKUP + rows * ROW * if path.index.is_some() { 3.0 } else { 1.0 };
        Ok(Cost {
            rows,
            rowwise: cost,
            analytic: cost,
            subqueries: 0.0,
            counted,
        })
    }

    fn join(&self, kind: JoinKind, left: &Rel, right: &Rel, on: Option<&Expr>, lateral: bool) -> Result<Cost> {
        let mut terms = Vec::new();
        if let Some(on) = on {
            walk::conjuncts(on.clone(), &mut terms);
        }
        let l = self.relation(left)?;
        // Of a semi or an anti join, about half of the left side comes out.
        let half = matches!(kind, JoinKind::Semi | JoinKind::Anti);
        if !lateral
            && !matches!(kind, JoinKind::Right | JoinKind::Full)
            && bounded(left)
            && let Some(found) = lookup(right, &terms, &walk::columns(left))
        {
            let each = self.relation(&found)?;
            let whole = self.relation(right)?;
            return Ok(Cost {
                rows: if half { l.rows / 2.0 } else { l.rows * each.rows },
                rowwise: l.rowwise + l.rows * each.rowwise,
                analytic: l.analytic + whole.analytic,
                subqueries: l.subqueries + whole.subqueries,
                counted: l.counted && each.counted,
            });
        }
        let r = self.relation(right)?;
        if lateral {
            let work = l.rows * r.rowwise;
            return Ok(Cost {
                rows: l.rows * r.rows,
                rowwise: l.rowwise + work,
                analytic: l.analytic + work,
                subqueries: l.subqueries + l.rows * r.subqueries,
                counted: l.counted && r.counted,
            });
        }
        let (left_ids, right_ids) = (ids(&walk::columns(left)), ids(&walk::columns(right)));
        let equal = terms.iter().any(|t| equality(t, &left_ids, &right_ids).is_some());
        let pairs = l.rows * r.rows;
        let (rows, work) = match equal {
            true => (l.rows.max(r.rows), (l.rows + 2.0 * r.rows) * ROW),
            false if terms.is_empty() => (pairs, pairs * ROW),
            false => (pairs / 3.0, pairs * ROW),
        };
        let rows = if half { l.rows / 2.0 } else { rows };
        let native = if equal { l.rows + r.rows } else { pairs };
        Ok(Cost {
            rows,
            rowwise: l.rowwise + r.rowwise + work + rows * EXPRESSION,
            analytic: l.analytic + r.analytic + (native + rows) * ANALYTIC_ROW,
            subqueries: l.subqueries + r.subqueries,
            counted: l.counted && r.counted,
        })
    }

    /// Operators whose work is a matter of the rows that they read, with the number of these.
    fn over_inputs(&self, rel: &Rel) -> Result<(Cost, f64)> {
        let mut cost = Cost {
            rows: 0.0,
            rowwise: 0.0,
            analytic: 0.0,
            subqueries: 0.0,
            counted: true,
        };
        let mut inputs = Vec::new();
        walk::inputs(rel, &mut |i| inputs.push(i));
        for input in inputs {
            let one = self.relation(input)?;
            cost.rows += one.rows;
            cost.rowwise += one.rowwise;
            cost.analytic += one.analytic;
            cost.subqueries += one.subqueries;
            cost.counted &= one.counted;
        }
        let read = cost.rows;
        let (rows, each) = match rel {
            Rel::Unit => (1.0, 0.0),
            Rel::Values { rows, .. } => (rows.len() as f64, 0.0),
            Rel::Filter { .. } => (read / 3.0, 0.0),
            Rel::Project { .. } | Rel::Limit { .. } | Rel::LockRows { .. } => (read, 0.0),
            Rel::Aggregate { group_by, .. } if group_by.is_empty() => (1.0, ROW),
            Rel::Aggregate { .. } | Rel::Distinct { .. } | Rel::SetOp { .. } => (read, ROW),
            Rel::Sort { .. } | Rel::Window { .. } => (read, ROW),
            _ => {
                cost.counted = false;
                cost.analytic += UNKNOWN_ROWS * ROW;
                (read + UNKNOWN_ROWS, ROW)
            }
        };
        cost.rows = rows;
        cost.rowwise += read.max(rows) * each;
        cost.analytic += if each > 0.0 { read * ANALYTIC_ROW } else { 0.0 };
        Ok((cost, read))
    }

    /// Adds an operator's own expressions: once for each row that they see.
    fn expressions(&self, rel: &Rel, rows: f64, cost: &mut Cost) -> Result<()> {
        let mut list = Vec::new();
        walk::expressions(rel, &mut |e| list.push(e));
        let (mut terms, mut queries) = (0u32, Vec::new());
        for e in list {
            walk::each(e, &mut |e| {
                terms += 1;
                if let ExprKind::Subquery { query, outer, .. } = &e.kind {
                    queries.push((&**query, outer.is_empty()));
                }
            });
        }
        cost.rowwise += rows * f64::from(terms) * EXPRESSION / 4.0;
        for (query, once) in queries {
            let inner = self.relation(query)?;
            let times = if once { 1.0 } else { rows.max(1.0) };
            cost.subqueries += times * (inner.rowwise + inner.subqueries);
            cost.counted &= inner.counted;
        }
        Ok(())
    }
}

/// Rows that are counted; larger tables are guessed by their files.
const COUNTED: usize = 2048;
/// How long a count holds.
pub(crate) const COUNT_HOLDS: Duration = Duration::from_millis(100);
/// How long a guess holds.
const GUESS_HOLDS: Duration = Duration::from_secs(10);
/// Bytes of a row in a file, compressed.
const ROW_BYTES: u64 = 40;
/// Tables whose sizes are remembered.
const REMEMBERED: usize = 10_000;

/// Sizes of stored tables: small ones counted, others guessed, both remembered for a while.
#[derive(Default)]
pub(crate) struct Sizes {
    known: Mutex<HashMap<u32, Size>>,
}

#[derive(Clone, Copy)]
struct Size {
    rows: f64,
    counted: bool,
    until: Instant,
}

impl Sizes {
    /// Rows of a table, and whether they were counted.
    fn rows(&self, view: &ReadView, scan: &Scan) -> Result<(f64, bool)> {
        let storage = scan.table.storage;
        let now = Instant::now();
        if let Some(size) = self.known.lock().get(&storage.0).filter(|s| s.until > now) {
            return Ok((size.rows, size.counted));
        }
        let mut rows = view
            .for_estimates()
            .scan(storage, &curia_txn::KeyRange::all(), curia_txn::Direction::Forward);
        let mut n = 0;
        while n <= COUNTED && rows.next()?.is_some() {
            n += 1;
        }
        let counted = n <= COUNTED;
        let size = Size {
            rows: if counted {
                n
            } else {
                n.max((view.approximate_bytes(storage) / ROW_BYTES) as usize)
            } as f64,
            counted,
            until: now + if counted { COUNT_HOLDS } else { GUESS_HOLDS },
        };
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(storage.0, size);
        Ok((size.rows, counted))
    }
}
