//! Rows of PostgreSQL 15's catalogs for the types we hold, as `generate.sh` reads them from a running server. Whether a row can be called
//! is decided by the kernels.

mod casts;
mod names;
mod operators;
mod procs;

use crate::Volatility;

pub(crate) use casts::CAST_ROWS;
pub(crate) use names::NAME_ROWS;
pub(crate) use operators::OPERATOR_ROWS;
pub(crate) use procs::PROC_ROWS;

/// A row of `pg_proc`.
pub(crate) struct Proc {
    pub oid: u32,
    pub name: &'static str,
    /// What kernels bind to: `prosrc` of C functions, `name(argument types)` of SQL functions and aggregates.
    pub source: &'static str,
    pub args: &'static [u32],
    pub variadic: u32,
    pub defaults: &'static [&'static str],
    pub ret: u32,
    pub columns: &'static [(&'static str, u32)],
    pub strict: bool,
    pub volatility: Volatility,
    pub set: bool,
}
