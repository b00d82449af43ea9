//! The evaluator: bound expressions compiled once, run over rows of values.
//!
//! This is the one meaning of an expression. The point path runs it directly; the analytic path runs it inside DataFusion, row by row over
//! Arrow arrays, for whatever has no native operator of equal meaning. Operands of AND, OR, CASE and COALESCE are evaluated left to right and
//! only as far as needed; functions of the registry see exactly the values PostgreSQL's would.
//!
//! An expression reads from four places: its input row, the statement's parameters, the *frame* (columns of enclosing queries, for
//! correlated subqueries and LATERAL), and the session context.

mod compile;
mod elements;
mod run;
mod subquery;

pub(crate) use compile::correlated;
pub use compile::{Scope, compile};
pub(crate) use run::all;
pub(crate) use subquery::Memo;

use crate::exec::Exec;
use crate::rows::Op;
use curia_bind::ir::Bounds;
use curia_functions::Function;
use curia_types::{Datum, PgType};
use std::sync::Arc;

/// Where an expression finds what is not in its row.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The running statement.
    pub exec: &'a Exec,
    /// Columns of enclosing queries.
    pub frame: &'a [Datum],
}

/// A compiled expression.
pub struct Program(pub(crate) Node);

/// One step of a compiled expression.
pub(crate) enum Node {
    Const(Datum),
    Param(usize),
    /// Position in the row.
    Column(usize),
    /// Position in the frame.
    Frame(usize),
    Call {
        function: &'static Function,
        args: Vec<Node>,
        /// Actual types, for polymorphic functions.
        types: Box<[PgType]>,
        ret: PgType,
    },
    IoCast {
        arg: Box<Node>,
        from: PgType,
        to: PgType,
    },
    /// The same 32 bits as int4 or as oid, whichever the value is not.
    OidBits(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull {
        arg: Box<Node>,
        negated: bool,
    },
    IsBool {
        arg: Box<Node>,
        test: Option<bool>,
        negated: bool,
    },
    IsDistinct {
        left: Box<Node>,
        right: Box<Node>,
        equal: &'static Function,
        negated: bool,
    },
    Case {
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Coalesce(Vec<Node>),
    NullIf {
        left: Box<Node>,
        right: Box<Node>,
        equal: &'static Function,
    },
    MinMax {
        args: Vec<Node>,
        less: &'static Function,
        greatest: bool,
    },
    InList {
        arg: Box<Node>,
        list: Vec<Node>,
        equal: &'static Function,
        negated: bool,
    },
    /// IN over constants: a set of their canonical keys.
    InSet {
        arg: Box<Node>,
        set: std::collections::HashSet<Vec<u8>>,
        has_null: bool,
        negated: bool,
    },
    ArrayCompare {
        arg: Box<Node>,
        array: Box<Node>,
        function: &'static Function,
        all: bool,
    },
    Array {
        elements: Vec<Node>,
        element: u32,
        /// Elements are arrays themselves.
        nested: bool,
    },
    Subscript {
        array: Box<Node>,
        subscripts: Vec<Node>,
    },
    Slice {
        array: Box<Node>,
        bounds: Vec<Node>,
        shape: Box<[Bounds]>,
    },
    SetElements {
        array: Box<Node>,
        element: u32,
        bounds: Vec<Node>,
        shape: Box<[Bounds]>,
        value: Box<Node>,
    },
    Field {
        record: Box<Node>,
        index: usize,
    },
    Row {
        names: Option<Arc<[Box<str>]>>,
        fields: Vec<(PgType, Node)>,
    },
    Subquery(Box<Subquery>),
}

/// A subquery of an expression: an operator tree with the values it takes from outside.
pub(crate) struct Subquery {
    /// Unique in the plan: the key of its memo.
    pub id: usize,
    pub kind: Use,
    pub plan: Arc<Op>,
    /// Values of the frame of `plan`.
    pub captures: Vec<Node>,
    /// Same captures give the same rows: results may be remembered.
    pub stable: bool,
}

/// How a subquery's rows become a value.
pub(crate) enum Use {
    Scalar,
    Exists,
    Compare {
        arg: Node,
        function: &'static Function,
        all: bool,
        hashable: bool,
    },
    Array {
        element: u32,
    },
}
