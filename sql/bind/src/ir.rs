//! The bound form of a statement: every name resolved, every expression typed, every coercion explicit.
//!
//! Each column that a relation produces has a [`ColId`] that is unique in the statement. A column reference is a `ColId`; a reference to a
//! column that no relation below produces is an outer (correlated) reference. There are no scopes, aliases or ambiguities left.
//! `curia-execute` lowers this to a point plan or to a DataFusion plan (columns are named `c{ColId}` there).

use curia_catalog::partition::Partitions;
use curia_catalog::{Oid, Table};
pub use curia_parse::ast::{FrameExclude, FrameUnit, LockStrength, LockWait, SetOperator as SetOp};
use curia_types::{Datum, PgType};
use std::sync::Arc;

/// A column of one relation of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColId(pub u32);

/// A column that a relation produces.
#[derive(Clone, Debug, PartialEq)]
pub struct RelColumn {
    /// Unique in the statement.
    pub id: ColId,
    /// Type with modifier.
    pub ty: PgType,
}

/// A column of a result as a client sees it (RowDescription).
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Column name; may repeat; `?column?` where PostgreSQL says so.
    pub name: String,
    /// The relation's column that carries it.
    pub id: ColId,
    /// Type with modifier.
    pub ty: PgType,
    /// (table OID, attnum) when it is a plain column of a table.
    pub origin: Option<(Oid, i16)>,
}

/// A typed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its type; typmod -1 unless known.
    pub ty: PgType,
    /// 1-based character position in the statement, for run-time errors that PostgreSQL positions and for messages.
    pub position: Option<u32>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A constant of the expression's type.
    Const(Datum),
    /// Statement parameter, from 0 for `$1`.
    Param(usize),
    /// A relation's column.
    Column(ColId),
    /// A function, operator or cast of the registry, by `pg_proc` OID (`curia_functions`). Strictness and volatility are the function's.
    Call {
        /// `pg_proc.oid` in `curia_functions`.
        function: Oid,
        /// Arguments, already of the declared types.
        args: Vec<Expr>,
    },
    /// Converts by text output and input of the types (I/O conversion cast), or to another typmod of one type.
    IoCast(Box<Expr>),
    /// Same bytes, other type (binary-coercible: varchar to text).
    Relabel(Box<Expr>),
    /// Flattened AND: two or more operands, evaluated left to right; operands that can fail see surviving rows only.
    And(Vec<Expr>),
    /// Flattened OR.
    Or(Vec<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// IS [NOT] NULL.
    IsNull {
        /// Operand.
        arg: Box<Expr>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// IS [NOT] TRUE / FALSE / UNKNOWN.
    IsBool {
        /// Operand.
        arg: Box<Expr>,
        /// TRUE, FALSE or unknown.
        test: Option<bool>,
        /// IS NOT ...
        negated: bool,
    },
    /// IS [NOT] DISTINCT FROM through an equality function.
    IsDistinct {
        /// Left and right operand, of the function's types.
        args: Box<(Expr, Expr)>,
        /// The `=` function.
        equal: Oid,
        /// IS NOT DISTINCT FROM.
        negated: bool,
    },
    /// Searched CASE (a simple CASE is bound to equalities). Branches are lazy.
    Case {
        /// (condition, result)
        branches: Vec<(Expr, Expr)>,
        /// ELSE; NULL when absent.
        otherwise: Option<Box<Expr>>,
    },
    /// COALESCE, lazy.
    Coalesce(Vec<Expr>),
    /// NULLIF through an equality function.
    NullIf {
        /// Both operands; the result is the first or NULL.
        args: Box<(Expr, Expr)>,
        /// The `=` function.
        equal: Oid,
    },
    /// GREATEST or LEAST through a `<` function.
    MinMax {
        /// Operands of one type.
        args: Vec<Expr>,
        /// The `<` function.
        less: Oid,
        /// GREATEST.
        greatest: bool,
    },
    /// `x IN (a, b, ..)` or NOT IN, over a list, through an equality function.
    InList {
        /// Left operand.
        arg: Box<Expr>,
        /// Candidates, of the left operand's type.
        list: Vec<Expr>,
        /// The `=` function.
        equal: Oid,
        /// NOT IN.
        negated: bool,
    },
    /// `x op ANY (array)` / `x op ALL (array)`.
    ArrayCompare {
        /// Left operand.
        arg: Box<Expr>,
        /// Array operand.
        array: Box<Expr>,
        /// The operator's function.
        function: Oid,
        /// ALL.
        all: bool,
    },
    /// ARRAY[...]
    Array(Vec<Expr>),
    /// `array[subscript]`
    Subscript {
        /// Array.
        array: Box<Expr>,
        /// int4 subscripts, one a dimension.
        subscripts: Vec<Expr>,
    },
    /// `array[low:high]`: an array again.
    Slice {
        /// Array.
        array: Box<Expr>,
        /// The int4 bounds that are written, in order.
        bounds: Vec<Expr>,
        /// What is written for each dimension.
        shape: Vec<Bounds>,
    },
    /// `array` after an assignment to one of its elements or to a slice.
    SetElements {
        /// Array; NULL is empty.
        array: Box<Expr>,
        /// The int4 bounds that are written, in order.
        bounds: Vec<Expr>,
        /// What is written for each dimension.
        shape: Vec<Bounds>,
        /// An element, or an array when `shape` has a slice.
        value: Box<Expr>,
    },
    /// ROW(...), or a value of a composite type with its fields written out; and the fields' names where the type has none and they
    /// have: a whole row of a FROM item.
    Row(Vec<Expr>, Option<Arc<[Box<str>]>>),
    /// A field of a composite value.
    Field {
        /// The value.
        record: Box<Expr>,
        /// Which, from 0.
        index: usize,
    },
    /// A subquery; outer references inside are column ids that `query` does not produce.
    Subquery {
        /// How its rows become a value.
        kind: SubqueryKind,
        /// The rows.
        query: Box<Rel>,
        /// Column ids of the enclosing query that it refers to.
        outer: Vec<ColId>,
    },
}

/// What one subscript writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// `[i]`; beside slices it means `[1:i]`.
    Index,
    /// `[low:high]`
    Slice {
        /// The lower bound is written.
        low: bool,
        /// The upper bound is written.
        high: bool,
    },
}

/// How the rows of a subquery become a value.
#[derive(Clone, Debug, PartialEq)]
pub enum SubqueryKind {
    /// One column, at most one row (21000).
    Scalar,
    /// EXISTS.
    Exists,
    /// `x op ANY (query)` (IN is `= ANY`) or ALL.
    Compare {
        /// Left operand.
        arg: Box<Expr>,
        /// The operator's function.
        function: Oid,
        /// ALL instead of ANY.
        all: bool,
    },
    /// ARRAY(query).
    Array,
}

/// An aggregate call.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Output column.
    pub output: RelColumn,
    /// `pg_proc.oid` of the aggregate in `curia_functions`.
    pub function: Oid,
    /// Arguments; empty for `count(*)`.
    pub args: Vec<Expr>,
    /// DISTINCT.
    pub distinct: bool,
    /// ORDER BY inside the call.
    pub order_by: Vec<SortKey>,
    /// FILTER (WHERE ..).
    pub filter: Option<Expr>,
}

/// A window function call: an aggregate or a window function over a window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowCall {
    /// Output column.
    pub output: RelColumn,
    /// `pg_proc.oid` in `curia_functions`.
    pub function: Oid,
    /// Arguments.
    pub args: Vec<Expr>,
    /// FILTER.
    pub filter: Option<Expr>,
    /// PARTITION BY.
    pub partition_by: Vec<Expr>,
    /// ORDER BY.
    pub order_by: Vec<SortKey>,
    /// Frame; `None` is the default.
    pub frame: Option<WindowFrame>,
}

/// Window frame.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowFrame {
    /// ROWS, RANGE or GROUPS.
    pub unit: FrameUnit,
    /// Start.
    pub start: FrameBound,
    /// End.
    pub end: FrameBound,
    /// EXCLUDE: rows around the current one that the frame leaves out.
    pub exclude: Option<FrameExclude>,
}

/// Frame bound.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // SQL's own words
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// Value; its type has a default btree order.
    pub expr: Expr,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// A relation: rows with columns.
#[derive(Clone, Debug, PartialEq)]
pub enum Rel {
    /// One row without columns (SELECT without FROM).
    Unit,
    /// A stored table.
    Scan(Scan),
    /// A system view or table that `curia-execute` computes, by its `pg_class` OID.
    System {
        /// OID in the static catalog.
        table: Oid,
        /// Columns used: (index into the view's columns, output).
        columns: Vec<(usize, RelColumn)>,
    },
    /// VALUES, or a set of constant rows.
    Values {
        /// Rows of expressions.
        rows: Vec<Vec<Expr>>,
        /// Output.
        columns: Vec<RelColumn>,
    },
    /// A set-returning function in FROM.
    Function {
        /// `pg_proc.oid`.
        function: Oid,
        /// Arguments; may refer to lateral columns.
        args: Vec<Expr>,
        /// Output.
        columns: Vec<RelColumn>,
        /// WITH ORDINALITY.
        ordinality: Option<RelColumn>,
    },
    /// Keeps every input column that is referred to above, and adds computed ones.
    Project {
        /// Rows.
        input: Box<Rel>,
        /// Output; only these survive.
        columns: Vec<(RelColumn, Expr)>,
    },
    /// Expands set-returning functions of a select list in step, as PostgreSQL's ProjectSet.
    ProjectSet {
        /// Rows.
        input: Box<Rel>,
        /// (output, pg_proc oid, arguments)
        functions: Vec<(RelColumn, Oid, Vec<Expr>)>,
    },
    /// WHERE, HAVING.
    Filter {
        /// Rows.
        input: Box<Rel>,
        /// Kept when true.
        predicate: Expr,
    },
    /// A join; `right` may refer to columns of `left` when `lateral`.
    Join {
        /// Kind.
        kind: JoinKind,
        /// Left.
        left: Box<Rel>,
        /// Right.
        right: Box<Rel>,
        /// Condition; `None` is true.
        on: Option<Expr>,
        /// LATERAL.
        lateral: bool,
    },
    /// GROUP BY and aggregates. Output: group columns, then aggregates.
    Aggregate {
        /// Rows.
        input: Box<Rel>,
        /// Group keys.
        group_by: Vec<(RelColumn, Expr)>,
        /// Grouping sets as indexes into `group_by`; `None` is the one set of all.
        sets: Option<Vec<Vec<usize>>>,
        /// Aggregates.
        aggregates: Vec<Aggregate>,
    },
    /// Adds window function columns.
    Window {
        /// Rows.
        input: Box<Rel>,
        /// Calls.
        calls: Vec<WindowCall>,
    },
    /// ORDER BY.
    Sort {
        /// Rows.
        input: Box<Rel>,
        /// Keys.
        keys: Vec<SortKey>,
    },
    /// LIMIT / OFFSET, int8 expressions without columns.
    Limit {
        /// Rows.
        input: Box<Rel>,
        /// LIMIT.
        limit: Option<Box<Expr>>,
        /// OFFSET.
        offset: Option<Box<Expr>>,
        /// WITH TIES: the keys of the order under it; rows after the last one that are its equals come too.
        ties: Vec<SortKey>,
    },
    /// DISTINCT over all columns, or DISTINCT ON (first row of each in input order).
    Distinct {
        /// Rows.
        input: Box<Rel>,
        /// DISTINCT ON keys; `None` is plain DISTINCT.
        on: Option<Vec<Expr>>,
    },
    /// UNION, INTERSECT, EXCEPT; a chain of one operator is flattened.
    SetOp {
        /// Operator.
        op: SetOp,
        /// ALL.
        all: bool,
        /// Inputs, each with its columns in output order (already of the output types).
        inputs: Vec<(Rel, Vec<ColId>)>,
        /// Output.
        columns: Vec<RelColumn>,
    },
    /// Common table expressions in scope of `body`.
    With {
        /// Definitions in order.
        ctes: Vec<Cte>,
        /// Body.
        body: Box<Rel>,
    },
    /// Reads a common table expression.
    CteScan {
        /// Which, by `Cte::id`.
        cte: u32,
        /// Output, one for each column of the definition.
        columns: Vec<RelColumn>,
    },
    /// FOR UPDATE and friends: locks rows of the named scans before they pass.
    LockRows {
        /// Rows; the scans below carry row references.
        input: Box<Rel>,
        /// What to lock.
        locks: Vec<RowLock>,
    },
}

/// A scan of a stored table.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The table, of the catalog version the statement was bound to.
    pub table: Arc<Table>,
    /// Columns used: (index into `Table::columns`, output).
    pub columns: Vec<(usize, RelColumn)>,
    /// When set, the scan also produces the encoded row key (bytea) as this column: DML and row locks need it.
    pub row_key: Option<ColId>,
    /// The table's indexes on expressions and partial ones, over the ids that the scan's columns have or had before unused ones went.
    pub computed: Arc<[ComputedIndex]>,
    /// The partitions that the table is, or is in, as far as the statement reads the partitioned tables above it.
    pub within: Arc<[Within]>,
}

/// A partition that all rows of a scan are in.
#[derive(Clone, Debug)]
pub struct Within {
    /// The partitions of the partitioned table.
    pub partitions: Arc<Partitions>,
    /// This one of them.
    pub partition: Oid,
    /// The partition key over the ids that the scan's columns have or had before unused ones went.
    pub key: Arc<[Expr]>,
}

impl PartialEq for Within {
    fn eq(&self, other: &Within) -> bool {
        self.partition == other.partition && self.key == other.key
    }
}

/// An index with expressions, bound.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputedIndex {
    /// Position in `Table::indexes`.
    pub position: usize,
    /// For each key column its expression; `None` for a plain column.
    pub keys: Vec<Option<Expr>>,
    /// WHERE.
    pub predicate: Option<Expr>,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Cte {
    /// Unique in the statement.
    pub id: u32,
    /// Name, for EXPLAIN.
    pub name: String,
    /// Definition. For a recursive one this is the non-recursive term.
    pub query: Rel,
    /// Definition's columns in order.
    pub columns: Vec<RelColumn>,
    /// Recursive term with its output columns in order; it reads the working table by `CteScan` of this id.
    pub recursive: Option<(Rel, Vec<ColId>, bool)>,
    /// MATERIALIZED / NOT MATERIALIZED as written.
    pub materialized: Option<bool>,
}

/// Join kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with a match, once each; only the left side's columns come out. The binder makes none.
    Semi,
    /// Left rows without a match, likewise.
    Anti,
}

/// A row lock clause on one scan.
#[derive(Clone, Debug, PartialEq)]
pub struct RowLock {
    /// The scan's `row_key` column.
    pub row_key: ColId,
    /// Strength.
    pub strength: LockStrength,
    /// What to do with locked rows.
    pub wait: LockWait,
}

/// A query with its result shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Rows.
    pub rel: Rel,
    /// Result columns in order.
    pub output: Vec<OutputColumn>,
}

/// INSERT.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// Target.
    pub table: Arc<Table>,
    /// Rows to insert.
    pub source: Rel,
    /// For each column of the target (same length as `Table::columns`): where its value comes from.
    pub values: Vec<InsertValue>,
    /// ON CONFLICT.
    pub on_conflict: Option<OnConflict>,
    /// Generated columns: (index into `Table::columns`, value over the rest of `new_row`).
    pub generated: Vec<(usize, Expr)>,
    /// CHECK constraints over `new_row`, with their names.
    pub checks: Vec<Check>,
    /// Column ids by which `checks` and `returning` refer to the new row (index into `Table::columns`, id).
    pub new_row: Vec<(usize, RelColumn)>,
    /// Of a partitioned table, whose rows go to its partitions: the id by which `returning` refers to the partition's OID. `generated` is
    /// empty then and `checks` are those of views: each partition has its own.
    pub tableoid: Option<ColId>,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// Where a column of a new row comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum InsertValue {
    /// An expression over the source's columns (coerced to the column's type by assignment) or a default.
    Expr(Expr),
    /// A dropped column: stored as NULL.
    Dropped,
}

/// ON CONFLICT.
#[derive(Clone, Debug, PartialEq)]
pub struct OnConflict {
    /// Arbiter indexes by OID; empty means any unique index (only for DO NOTHING).
    pub arbiters: Vec<Oid>,
    /// DO UPDATE, or DO NOTHING.
    pub update: Option<ConflictUpdate>,
}

/// DO UPDATE SET ... WHERE ...
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictUpdate {
    /// Ids of the existing row's columns.
    pub existing: Vec<(usize, RelColumn)>,
    /// Ids of the proposed row's columns (`excluded`).
    pub excluded: Vec<(usize, RelColumn)>,
    /// (index into `Table::columns`, new value)
    pub assignments: Vec<(usize, Expr)>,
    /// WHERE.
    pub predicate: Option<Expr>,
}

/// A condition on new rows, ready to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Name of the constraint or view.
    pub name: String,
    /// Over the new row.
    pub predicate: Expr,
    /// Whose it is.
    pub kind: CheckKind,
}

/// Whose condition on new rows it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A CHECK constraint's: violated when false, not when NULL.
    Constraint,
    /// WITH CHECK OPTION of a view: violated when not true.
    View,
}

/// RETURNING.
#[derive(Clone, Debug, PartialEq)]
pub struct Returning {
    /// (output column, value over the new row (old row for DELETE) and the FROM columns).
    pub columns: Vec<(OutputColumn, Expr)>,
}

/// UPDATE.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Target.
    pub table: Arc<Table>,
    /// Rows to change: target scan (all live columns and row key), joined with FROM, filtered. One target row may come more than
    /// once; the first wins.
    pub source: Rel,
    /// The target scan's row key column in `source`.
    pub row_key: ColId,
    /// The target scan's columns in `source`: the old row.
    pub old_row: Vec<(usize, RelColumn)>,
    /// (index into `Table::columns`, new value over `source`'s columns)
    pub assignments: Vec<(usize, Expr)>,
    /// Generated columns: (index into `Table::columns`, value over the rest of `new_row`).
    pub generated: Vec<(usize, Expr)>,
    /// CHECK constraints over `new_row`.
    pub checks: Vec<Check>,
    /// Ids by which `checks` and `returning` refer to the new row.
    pub new_row: Vec<(usize, RelColumn)>,
    /// Of a family ([`crate::inherit`]), whose rows' keys are tagged: the id by which `returning` refers to the OID of the new row's table.
    /// `generated` is empty then and `checks` are those of views: each table has its own.
    pub tableoid: Option<ColId>,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// DELETE.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// Target.
    pub table: Arc<Table>,
    /// Rows to delete, as in [`Update::source`].
    pub source: Rel,
    /// The target scan's row key column in `source`.
    pub row_key: ColId,
    /// The target scan's columns in `source`.
    pub old_row: Vec<(usize, RelColumn)>,
    /// Rows are those of a family ([`crate::inherit`]), whose keys are tagged.
    pub family: bool,
    /// RETURNING, over the old row.
    pub returning: Option<Returning>,
}

/// MERGE.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// Target.
    pub table: Arc<Table>,
    /// The source joined with the target.
    pub joined: Cte,
    /// The columns by which the actions know those of `joined`.
    pub columns: Vec<RelColumn>,
    /// Among them the target's row key, NULL where nothing matched.
    pub row_key: ColId,
    /// Among them the number of the action, NULL where none is to be done.
    pub action: ColId,
    /// By number: an insertion, update or deletion whose source is the rows of `joined` with that number; `None` is DO NOTHING.
    pub actions: Vec<Option<Bound>>,
}

/// A bound statement that reads or writes rows.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // named after their content
pub enum Bound {
    Query(Query),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Merge(Merge),
}

/// A common table expression of a statement in which some change or lock rows. All of them, and the statement, read one snapshot: what they
/// change, the others learn from RETURNING only.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Rows to read.
    Query(Cte),
    /// A change, whose rows are those of RETURNING; or a query that locks its rows.
    Change {
        /// Its number among the common table expressions.
        id: u32,
        /// Name, for EXPLAIN.
        name: String,
        /// What to run.
        change: Bound,
    },
}

/// A bound statement with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundStatement {
    /// What to run.
    pub bound: Bound,
    /// The statement's common table expressions, in order, when one of them changes or locks rows; else its WITH stands in a relation.
    pub stages: Vec<Stage>,
    /// Types of `$1`, `$2`, ...
    pub params: Vec<PgType>,
    /// Tables that it reads or writes, for table locks and plan invalidation.
    pub tables: Vec<Oid>,
    /// Tables whose row keys are the last columns of the result, hidden from the client ([`crate::BindContext::row_keys`]).
    pub row_keys: Vec<Oid>,
    /// What it needs the right to ([`crate::check_access`]).
    pub accesses: Vec<crate::Access>,
    /// The catalog version it was bound to.
    pub catalog_version: u64,
    /// How deep its expressions and relations nest, about; above `curia_parse::INLINE_DEPTH` whatever walks or drops it recursively must
    /// run in `curia_parse::on_stack`.
    pub depth: u32,
}

impl BoundStatement {
    /// Result columns; empty when it returns none.
    pub fn output(&self) -> Vec<OutputColumn> {
        match &self.bound {
            Bound::Query(q) => q.output.clone(),
            Bound::Insert(i) => returning_output(&i.returning),
            Bound::Update(u) => returning_output(&u.returning),
            Bound::Delete(d) => returning_output(&d.returning),
            Bound::Merge(_) => Vec::new(),
        }
    }
}

impl Bound {
    /// RETURNING of a change.
    pub fn returning(&self) -> Option<&Returning> {
        match self {
            Bound::Query(_) | Bound::Merge(_) => None,
            Bound::Insert(i) => i.returning.as_ref(),
            Bound::Update(u) => u.returning.as_ref(),
            Bound::Delete(d) => d.returning.as_ref(),
        }
    }
}

fn returning_output(r: &Option<Returning>) -> Vec<OutputColumn> {
    r.iter().flat_map(|r| r.columns.iter().map(|(c, _)| c.clone())).collect()
}
