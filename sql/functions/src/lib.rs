//! The registry of functions, operators, casts and aggregates: what PostgreSQL keeps in `pg_proc`, `pg_operator`, `pg_cast` and
//! `pg_aggregate`, with the code that computes each.
//!
//! OIDs are PostgreSQL's own, so catalogs and plans agree with it. A kernel sees values of exactly the declared types. One scalar kernel
//! per function is the meaning; `curia-execute` runs it inside DataFusion and may map hot ones to Arrow kernels of equal meaning.
//! Links neither DataFusion nor storage.

use curia_types::{Datum, Result};

/// How often a function may be evaluated, as `provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // PostgreSQL's own words
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// What a kernel may ask about the transaction and session it runs in. `curia-session` implements it.
pub trait Context: Send + Sync {
    /// Start of the transaction: microseconds since 2000-01-01 UTC (`now()`).
    fn transaction_timestamp(&self) -> i64;
    /// Start of the statement, same unit (`statement_timestamp()`).
    fn statement_timestamp(&self) -> i64;
    /// Session time zone as an IANA name or POSIX offset text.
    fn time_zone(&self) -> &curia_types::datetime::Zone;
    /// A session parameter, as SHOW prints it; `None` when unknown.
    fn setting(&self, name: &str) -> Option<String>;
    /// Functions that read or change session or database state (`nextval`, `current_setting`, `pg_get_indexdef`, ...): the registry
    /// declares them with [`Kernel::Session`], the session computes them. `function` is the `pg_proc` OID.
    fn session_call(&self, function: u32, args: &[Datum]) -> Result<Datum>;
}

/// The code of a function.
#[derive(Clone, Copy)]
pub enum Kernel {
    /// Depends on nothing but its arguments.
    Pure(fn(&[Datum]) -> Result<Datum>),
    /// Reads the context.
    Contextual(fn(&dyn Context, &[Datum]) -> Result<Datum>),
    /// Computed by [`Context::session_call`].
    Session,
}

/// A scalar function of `pg_proc`.
#[derive(Clone, Copy)]
pub struct Function {
    /// `pg_proc.oid`, PostgreSQL's where it has one.
    pub oid: u32,
    /// `proname`
    pub name: &'static str,
    /// `proargtypes`
    pub args: &'static [u32],
    /// Type of the VARIADIC parameter's elements (0: not variadic). The variadic parameter is the last of `args`, as an array type;
    /// `any` (2276) for VARIADIC "any".
    pub variadic: u32,
    /// Trailing parameters that have defaults: how many may be left out (the binder fills `defaults`).
    pub defaults: &'static [&'static str],
    /// `prorettype`
    pub ret: u32,
    /// Returns NULL on any NULL argument without being called.
    pub strict: bool,
    /// `provolatile`
    pub volatility: Volatility,
    /// `proretset`: a set-returning function; its kernel is in the set-returning table.
    pub set: bool,
    /// Whether it can raise an error on any input (drives evaluation order of AND/OR).
    pub fallible: bool,
    /// The code.
    pub kernel: Kernel,
}
