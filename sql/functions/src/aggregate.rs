//! Aggregates: a kernel makes accumulators, each of which sees the rows of one group.

use crate::{CallTypes, Context};
use curia_types::{Datum, PgType, Result};

/// The code of an aggregate.
pub struct AggregateKernel {
    /// A fresh accumulator for a call with these types.
    pub new: fn(&CallTypes<'_>) -> Box<dyn Accumulator>,
    /// Types of the values that [`Accumulator::state`] gives.
    pub state: fn(&CallTypes<'_>) -> Vec<PgType>,
    /// Whether the result depends on the order of the rows (string_agg, array_agg): no partial aggregation then, unless order is kept.
    pub ordered: bool,
}

/// The running state of one group.
///
/// `accumulate` sees every row, NULL arguments included, and decides itself what NULL means. `state` and `merge` carry partial
/// results between threads. A fresh accumulator's `finish` is the result of no rows.
pub trait Accumulator: Send + Sync {
    /// Tells what text forms depend on, before the first row.
    fn in_session(&mut self, _cx: &dyn Context) {}
    /// Takes one row's arguments (none for `count(*)`).
    fn accumulate(&mut self, args: &[Datum]) -> Result<()>;
    /// Takes a row out again, for moving frames. `false`: it cannot; the frame has to be computed afresh.
    fn retract(&mut self, _args: &[Datum]) -> Result<bool> {
        Ok(false)
    }
    /// The partial result, of the kernel's state types.
    fn state(&self) -> Result<Vec<Datum>>;
    /// Takes another accumulator's partial result.
    fn merge(&mut self, state: &[Datum]) -> Result<()>;
    /// The result so far.
    fn finish(&self) -> Result<Datum>;
    /// Bytes held, roughly.
    fn size(&self) -> usize {
        64
    }
}
