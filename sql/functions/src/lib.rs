//! The registry of functions, operators, casts and aggregates: what PostgreSQL keeps in `pg_proc`, `pg_operator`, `pg_cast` and
//! `pg_aggregate`, with the code that computes each.
//!
//! OIDs are PostgreSQL's own, so catalogs and plans agree with it. `facts` holds the rows as generated from a running PostgreSQL;
//! the modules beside it hold the kernels, each bound to the rows by the C function's name (`prosrc`), so that one kernel serves all rows
//! that share it. [`registry`] joins the two at first use: a row without a kernel is not in the registry and cannot be called.
//!
//! A kernel sees values of exactly the declared types. One scalar kernel per function is the meaning; `curia-execute` runs it inside
//! DataFusion and may map hot ones to Arrow kernels of equal meaning. Links neither DataFusion nor storage.
//!
//! - [`by_oid`], [`candidates`]: functions, aggregates and window functions; [`Function::kernel`] says which.
//! - [`operators`], [`operator`]: operators by name or OID; [`cast`], [`coercion`]: casts by (source, target).
//! - [`aggregate`]: accumulators; [`kernel`]: the shapes of code.

pub mod aggregate;
mod cast_rules;
pub mod compare;
mod facts;
pub mod kernel;
mod kernels;
pub mod registry;

pub use aggregate::{Accumulator, AggregateKernel};
pub use cast_rules::{Coercion, coercion};
pub use compare::{compare_datums, default_order};
pub use kernel::{CallTypes, Context, Kernel, PlainContext, Rows, WindowFunction};
pub use kernels::json::assign as jsonb_assign;
pub use registry::{argument_names, by_oid, candidates, cast, casts, functions, operator, operator_names, operators};

/// How often a function may be evaluated, as `provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // PostgreSQL's own words
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// A function of `pg_proc`: scalar, set-returning, aggregate or window, as its kernel says.
#[derive(Clone, Copy)]
pub struct Function {
    /// `pg_proc.oid`, PostgreSQL's where it has one.
    pub oid: u32,
    /// `proname`
    pub name: &'static str,
    /// `proargtypes`
    pub args: &'static [u32],
    /// Type of the VARIADIC parameter's elements (0: not variadic). The variadic parameter is the last of `args`, as an array type;
    /// `any` (2276) for VARIADIC "any", whose kernels get the arguments one by one.
    pub variadic: u32,
    /// SQL expressions of the trailing parameters that have defaults: the binder fills them in when left out.
    pub defaults: &'static [&'static str],
    /// `prorettype`
    pub ret: u32,
    /// Names and types of OUT columns of a record-returning function; empty otherwise.
    pub columns: &'static [(&'static str, u32)],
    /// Returns NULL (a set-returning one: no rows) on any NULL argument without being called. Aggregates see every row regardless.
    pub strict: bool,
    /// `provolatile`
    pub volatility: Volatility,
    /// `proretset`: a set-returning function; its kernel is [`Kernel::Set`].
    pub set: bool,
    /// Whether it can raise an error on any input (drives evaluation order of AND/OR).
    pub fallible: bool,
    /// The code.
    pub kernel: Kernel,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})#{}", self.name, self.args, self.oid)
    }
}

impl Function {
    /// Whether it is an aggregate.
    pub fn is_aggregate(&self) -> bool {
        matches!(self.kernel, Kernel::Aggregate(_))
    }
    /// Whether it can only be called with OVER.
    pub fn is_window(&self) -> bool {
        matches!(self.kernel, Kernel::Window(_))
    }
}

/// An operator of `pg_operator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// `pg_operator.oid`
    pub oid: u32,
    /// `oprname`
    pub name: &'static str,
    /// Left operand type; 0 for a prefix operator.
    pub left: u32,
    /// Right operand type.
    pub right: u32,
    /// Result type.
    pub result: u32,
    /// The function that computes it; always in the registry.
    pub function: u32,
    /// `oprcom`: operator with swapped operands; 0 for none.
    pub commutator: u32,
    /// `oprnegate`: operator with the opposite result; 0 for none.
    pub negator: u32,
}

/// Where a cast may be applied without being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere ('i').
    Implicit,
    /// In assignments to a column ('a').
    Assignment,
    /// Only when written ('e').
    Explicit,
}

/// How a cast converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastMethod {
    /// By a function of the registry, with 1 argument, or 2 or 3: (value, typmod int4, explicit bool).
    Function(u32),
    /// Same representation: nothing to do.
    Relabel,
    /// By text output and input.
    Io,
}

/// A row of `pg_cast`. Source and target are equal for length coercions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Source type.
    pub source: u32,
    /// Target type.
    pub target: u32,
    /// How.
    pub method: CastMethod,
    /// Where.
    pub context: CastContext,
}
