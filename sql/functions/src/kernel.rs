//! The shapes a function's code can have, and what it may ask of the session.

use crate::aggregate::AggregateKernel;
use curia_types::{Datum, IoContext, PgType, Result, SqlError, datetime::Zone, oid};

/// What a kernel may ask about the transaction and session it runs in. `curia-session` implements it.
pub trait Context: Send + Sync {
    /// DateStyle, TimeZone and what else text forms depend on.
    fn io(&self) -> &IoContext;
    /// Start of the transaction: microseconds since 2000-01-01 UTC (`now()`).
    fn transaction_timestamp(&self) -> i64;
    /// Start of the statement, same unit (`statement_timestamp()`).
    fn statement_timestamp(&self) -> i64;
    /// Session time zone.
    fn time_zone(&self) -> &Zone {
        &self.io().zone
    }
    /// A session parameter, as SHOW prints it; `None` when unknown.
    fn setting(&self, name: &str) -> Option<String>;
    /// Functions that read or change session or database state (`nextval`, `current_setting`, `pg_get_indexdef`, ...): the registry
    /// declares them with [`Kernel::Session`], the session computes them. `function` is the `pg_proc` OID.
    fn session_call(&self, function: u32, args: &[Datum]) -> Result<Datum>;
}

/// A context without a session: constant folding of immutable functions, tests.
#[derive(Debug, Default, Clone)]
pub struct PlainContext {
    /// Formatting parameters; `now` is both timestamps.
    pub io: IoContext,
}

impl Context for PlainContext {
    fn io(&self) -> &IoContext {
        &self.io
    }
    fn transaction_timestamp(&self) -> i64 {
        self.io.now
    }
    fn statement_timestamp(&self) -> i64 {
        self.io.now
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn session_call(&self, function: u32, _args: &[Datum]) -> Result<Datum> {
        let name = crate::by_oid(function).map_or("function", |f| f.name);
        Err(SqlError::unsupported(format!("{name}() outside a session")))
    }
}

/// The actual types of a call, for polymorphic and VARIADIC "any" functions.
#[derive(Clone, Copy, Debug)]
pub struct CallTypes<'a> {
    /// Of each argument.
    pub args: &'a [PgType],
    /// Of the result (element type of a set).
    pub ret: PgType,
}

/// Rows of a set-returning function; each has one value, or one for each OUT column.
pub type Rows = Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>;

/// The code of a function.
#[derive(Clone, Copy)]
pub enum Kernel {
    /// Depends on nothing but its arguments.
    Pure(fn(&[Datum]) -> Result<Datum>),
    /// Reads the context.
    Contextual(fn(&dyn Context, &[Datum]) -> Result<Datum>),
    /// Also depends on the actual types (polymorphic, VARIADIC "any").
    Typed(fn(&dyn Context, &CallTypes<'_>, &[Datum]) -> Result<Datum>),
    /// Computed by [`Context::session_call`].
    Session,
    /// Set-returning.
    Set(fn(&dyn Context, &CallTypes<'_>, &[Datum]) -> Result<Rows>),
    /// Aggregate.
    Aggregate(&'static AggregateKernel),
    /// Window function, computed by the executor.
    Window(WindowFunction),
}

impl Kernel {
    /// Calls a scalar kernel. XX000 for sets, aggregates and window functions, which are not values.
    pub fn call(&self, function: u32, cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
        match self {
            Kernel::Pure(f) => f(args),
            Kernel::Contextual(f) => f(cx, args),
            Kernel::Typed(f) => match types.args.last() {
                Some(last) if last.oid == oid::ANYARRAY && crate::by_oid(function).is_some_and(|f| f.variadic == oid::ANY) => {
                    spread(*f, cx, types, args)
                }
                _ => f(cx, types, args),
            },
            Kernel::Session => cx.session_call(function, args),
            Kernel::Set(_) | Kernel::Aggregate(_) | Kernel::Window(_) => Err(SqlError::internal("function called as a scalar is not one")),
        }
    }
}

/// A VARIADIC "any" function called with an array, which the binder gives the type anyarray: the elements are the arguments. A NULL
/// array gives NULL; to format() it is no arguments, as in PostgreSQL.
fn spread(f: TypedKernel, cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let Some((array, first)) = args.split_last() else {
        return Ok(Datum::Null);
    };
    let (element, elements) = match array {
        Datum::Array(a) => (a.element, a.elements.as_slice()),
        _ if matches!(first, [Datum::Text(_)]) && types.ret.oid == oid::TEXT => (oid::TEXT, &[][..]),
        _ => return Ok(Datum::Null),
    };
    let mut all = first.to_vec();
    all.extend_from_slice(elements);
    let mut of_all = types.args[..first.len()].to_vec();
    of_all.resize(all.len(), PgType::with_typmod(element, -1));
    f(
        cx,
        &CallTypes {
            args: &of_all,
            ret: types.ret,
        },
        &all,
    )
}

/// The code of [`Kernel::Typed`].
type TypedKernel = fn(&dyn Context, &CallTypes<'_>, &[Datum]) -> Result<Datum>;

/// The window functions of SQL. Their arguments: ntile (buckets), lag and lead (value, offset, default), nth_value (value, n).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}
