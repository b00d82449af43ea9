//! Queries and the statements that change rows.

use super::ddl::Persistence;
use super::expr::{Expr, Ident, ObjectName, Subscript, TypeName};

/// A query with everything around its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// WITH
    pub with: Option<With>,
    /// SELECT, VALUES or set operation.
    pub body: SetExpr,
    /// ORDER BY
    pub order_by: Vec<OrderBy>,
    /// LIMIT or FETCH FIRST
    pub limit: Option<Limit>,
    /// OFFSET
    pub offset: Option<Expr>,
    /// FOR UPDATE and friends.
    pub locking: Vec<Locking>,
    /// Where it starts.
    pub pos: u32,
}

/// LIMIT
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// How many; `None` is LIMIT ALL.
    pub count: Option<Expr>,
    /// WITH TIES
    pub with_ties: bool,
}

/// WITH
#[derive(Clone, Debug, PartialEq)]
pub struct With {
    /// RECURSIVE
    pub recursive: bool,
    /// Definitions in order.
    pub ctes: Vec<Cte>,
    /// Where WITH stands.
    pub pos: u32,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Cte {
    /// Name.
    pub name: Ident,
    /// Column names, possibly fewer than columns.
    pub columns: Vec<Ident>,
    /// MATERIALIZED / NOT MATERIALIZED
    pub materialized: Option<bool>,
    /// Definition.
    pub body: CteBody,
    /// SEARCH
    pub search: Option<Search>,
    /// CYCLE
    pub cycle: Option<Cycle>,
}

/// SEARCH DEPTH or BREADTH FIRST BY columns SET sequence
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// BREADTH
    pub breadth: bool,
    /// BY
    pub by: Vec<Ident>,
    /// SET
    pub sequence: Ident,
    /// Where it stands.
    pub pos: u32,
}

/// CYCLE columns SET mark TO value DEFAULT default USING path
#[derive(Clone, Debug, PartialEq)]
pub struct Cycle {
    /// What repeats in a cycle.
    pub columns: Vec<Ident>,
    /// SET
    pub mark: Ident,
    /// TO and DEFAULT; true and false when not written.
    pub values: Option<Box<(Expr, Expr)>>,
    /// USING
    pub path: Ident,
    /// Where it stands.
    pub pos: u32,
}

/// What a common table expression runs.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // named after their content
pub enum CteBody {
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
}

/// The body of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum SetExpr {
    /// SELECT
    Select(Box<Select>),
    /// VALUES
    Values(Values),
    /// A query in parentheses with its own ORDER BY, LIMIT or WITH.
    Query(Box<Query>),
    /// A left-associative chain of set operations of one precedence.
    SetOp {
        /// Leftmost input.
        first: Box<SetExpr>,
        /// The others with their operators; never empty.
        rest: Vec<SetTail>,
    },
}

/// One `UNION right` of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct SetTail {
    /// Operator.
    pub op: SetOperator,
    /// ALL
    pub all: bool,
    /// Right input.
    pub right: SetExpr,
    /// The operator's position.
    pub pos: u32,
}

/// UNION, INTERSECT, EXCEPT
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum SetOperator {
    Union,
    Intersect,
    Except,
}

/// VALUES
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Rows; items may be DEFAULT in an INSERT.
    pub rows: Vec<Vec<Expr>>,
    /// Where VALUES stands.
    pub pos: u32,
}

/// SELECT
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// DISTINCT
    pub distinct: Option<Distinct>,
    /// Select list.
    pub items: Vec<SelectItem>,
    /// INTO target: SELECT INTO is CREATE TABLE AS.
    pub into: Option<(ObjectName, Persistence)>,
    /// FROM
    pub from: Vec<TableRef>,
    /// WHERE
    pub filter: Option<Expr>,
    /// GROUP BY
    pub group_by: Vec<GroupItem>,
    /// GROUP BY DISTINCT
    pub group_distinct: bool,
    /// HAVING
    pub having: Option<Expr>,
    /// WINDOW
    pub windows: Vec<(Ident, WindowSpec)>,
    /// Where SELECT stands.
    pub pos: u32,
}

/// DISTINCT
#[derive(Clone, Debug, PartialEq)]
pub enum Distinct {
    /// DISTINCT
    All,
    /// DISTINCT ON (..)
    On(Vec<Expr>),
}

/// An item of a select or RETURNING list.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectItem {
    /// Value, or a star.
    pub expr: Expr,
    /// AS
    pub alias: Option<Ident>,
}

/// An item of GROUP BY.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupItem {
    /// A key.
    Expr(Expr),
    /// `()`
    Empty,
    /// ROLLUP (..)
    Rollup(Vec<Expr>),
    /// CUBE (..)
    Cube(Vec<Expr>),
    /// GROUPING SETS (..)
    Sets(Vec<GroupItem>),
}

/// A key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// Value.
    pub expr: Expr,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST / LAST as written.
    pub nulls_first: Option<bool>,
    /// USING operator.
    pub using: Option<super::expr::Operator>,
}

/// A window definition.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSpec {
    /// The window it refines.
    pub base: Option<Ident>,
    /// PARTITION BY
    pub partition_by: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<OrderBy>,
    /// Frame
    pub frame: Option<Frame>,
    /// Where it starts.
    pub pos: u32,
}

/// A window frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Unit.
    pub unit: FrameUnit,
    /// Start.
    pub start: FrameBound,
    /// End; CURRENT ROW when not written.
    pub end: FrameBound,
    /// EXCLUDE CURRENT ROW / GROUP / TIES.
    pub exclude: Option<FrameExclude>,
    /// Where it starts.
    pub pos: u32,
}

/// Frame unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
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

/// Frame exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum FrameExclude {
    CurrentRow,
    Group,
    Ties,
}

/// `AS name (columns)`
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// Name.
    pub name: Ident,
    /// Column names, possibly fewer than columns.
    pub columns: Vec<Ident>,
}

/// A column of `AS f(a int, b text)`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordColumn {
    /// Name.
    pub name: Ident,
    /// Type.
    pub ty: TypeName,
}

/// An item of FROM.
#[derive(Clone, Debug, PartialEq)]
pub enum TableRef {
    /// A table, view or common table expression.
    Table {
        /// Name.
        name: ObjectName,
        /// ONLY
        only: bool,
        /// Alias.
        alias: Option<Alias>,
        /// TABLESAMPLE
        sample: Option<Box<Sample>>,
    },
    /// A subquery.
    Subquery {
        /// LATERAL
        lateral: bool,
        /// Rows.
        query: Box<Query>,
        /// Alias; the grammar demands it for SELECT and VALUES.
        alias: Option<Alias>,
        /// Where it starts.
        pos: u32,
    },
    /// One or more functions (ROWS FROM).
    Function {
        /// LATERAL
        lateral: bool,
        /// Calls with their own column definitions.
        calls: Vec<(Expr, Vec<RecordColumn>)>,
        /// Written ROWS FROM (..).
        rows_from: bool,
        /// WITH ORDINALITY
        ordinality: bool,
        /// Alias.
        alias: Option<Alias>,
        /// Column definitions after the alias.
        columns: Vec<RecordColumn>,
        /// Where it starts.
        pos: u32,
    },
    /// A join.
    Join(Box<Join>),
}

/// TABLESAMPLE method (args) REPEATABLE (seed)
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// BERNOULLI or SYSTEM.
    pub method: ObjectName,
    /// What it is given.
    pub args: Vec<Expr>,
    /// REPEATABLE
    pub repeatable: Option<Expr>,
    /// Where the method stands.
    pub pos: u32,
}

/// A join.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Kind.
    pub kind: JoinKind,
    /// Left.
    pub left: TableRef,
    /// Right.
    pub right: TableRef,
    /// Condition.
    pub condition: JoinCondition,
    /// Alias of a parenthesised join.
    pub alias: Option<Alias>,
    /// Where JOIN stands.
    pub pos: u32,
}

/// Join kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum JoinKind {
    Cross,
    Inner,
    Left,
    Right,
    Full,
}

/// Join condition.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinCondition {
    /// CROSS JOIN
    None,
    /// NATURAL
    Natural,
    /// ON
    On(Expr),
    /// USING (..) [AS alias]
    Using(Vec<Ident>, Option<Ident>),
}

/// FOR UPDATE and friends.
#[derive(Clone, Debug, PartialEq)]
pub struct Locking {
    /// Strength.
    pub strength: LockStrength,
    /// OF; empty means all.
    pub of: Vec<ObjectName>,
    /// What to do with locked rows.
    pub wait: LockWait,
    /// Where FOR stands.
    pub pos: u32,
}

/// Row lock strength, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // SQL's own words
pub enum LockStrength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

impl LockStrength {
    /// As it is written.
    pub fn clause(self) -> &'static str {
        match self {
            LockStrength::Update => "FOR UPDATE",
            LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
            LockStrength::Share => "FOR SHARE",
            LockStrength::KeyShare => "FOR KEY SHARE",
        }
    }
}

/// What a row lock does when it would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum LockWait {
    Block,
    NoWait,
    SkipLocked,
}

/// A target of INSERT or SET: `c`, `c[1]`, `c.field`.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetColumn {
    /// Column.
    pub name: Ident,
    /// The part of the column that is assigned to; empty for all of it.
    pub indirection: Vec<Indirection>,
}

/// A step into a column that is assigned to.
#[derive(Clone, Debug, PartialEq)]
pub enum Indirection {
    /// `.field`
    Field(Ident),
    /// `[..][..]`
    Subscripts(Vec<Subscript>),
}

/// INSERT
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// WITH
    pub with: Option<With>,
    /// Target.
    pub table: ObjectName,
    /// AS
    pub alias: Option<Ident>,
    /// Column list; empty when not written.
    pub columns: Vec<TargetColumn>,
    /// OVERRIDING SYSTEM VALUE / USER VALUE
    pub overriding: Option<Overriding>,
    /// Rows; `None` is DEFAULT VALUES.
    pub source: Option<Box<Query>>,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// RETURNING
    pub returning: Vec<SelectItem>,
}

/// OVERRIDING
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum Overriding {
    SystemValue,
    UserValue,
}

/// ON CONFLICT
#[derive(Clone, Debug, PartialEq)]
pub struct OnConflict {
    /// Arbiter.
    pub target: ConflictTarget,
    /// DO UPDATE; `None` is DO NOTHING.
    pub update: Option<ConflictUpdate>,
    /// Where ON stands.
    pub pos: u32,
}

/// The arbiter of ON CONFLICT.
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictTarget {
    /// None written.
    Any,
    /// (columns or expressions) [WHERE ..]
    Columns {
        /// Index elements.
        columns: Vec<Expr>,
        /// WHERE of a partial index.
        filter: Option<Expr>,
        /// Where the parenthesis stands.
        pos: u32,
    },
    /// ON CONSTRAINT name
    Constraint(Ident),
}

/// DO UPDATE
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictUpdate {
    /// SET
    pub assignments: Vec<Assignment>,
    /// WHERE
    pub filter: Option<Expr>,
}

/// An item of SET.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    /// `c = x`
    One(TargetColumn, Expr),
    /// `(a, b) = x`: a row, or a subquery of as many columns.
    Many(Vec<TargetColumn>, Expr),
}

/// MERGE
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// WITH
    pub with: Option<With>,
    /// Target.
    pub table: ObjectName,
    /// ONLY
    pub only: bool,
    /// Alias.
    pub alias: Option<Alias>,
    /// USING
    pub source: TableRef,
    /// ON
    pub on: Expr,
    /// WHEN clauses in order.
    pub actions: Vec<MergeAction>,
}

/// A WHEN clause of MERGE.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeAction {
    /// WHEN MATCHED, or WHEN NOT MATCHED.
    pub matched: bool,
    /// AND
    pub condition: Option<Expr>,
    /// THEN
    pub change: MergeChange,
}

/// What a WHEN clause of MERGE does.
#[derive(Clone, Debug, PartialEq)]
pub enum MergeChange {
    /// UPDATE SET
    Update(Vec<Assignment>),
    /// DELETE
    Delete,
    /// INSERT
    Insert {
        /// Column list; empty when not written.
        columns: Vec<TargetColumn>,
        /// OVERRIDING SYSTEM VALUE / USER VALUE
        overriding: Option<Overriding>,
        /// One row; `None` is DEFAULT VALUES.
        values: Option<Values>,
    },
    /// DO NOTHING
    Nothing,
}

/// UPDATE
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// WITH
    pub with: Option<With>,
    /// Target.
    pub table: ObjectName,
    /// ONLY
    pub only: bool,
    /// Alias.
    pub alias: Option<Alias>,
    /// SET
    pub assignments: Vec<Assignment>,
    /// FROM
    pub from: Vec<TableRef>,
    /// WHERE
    pub filter: Option<Expr>,
    /// WHERE CURRENT OF
    pub current_of: Option<Ident>,
    /// RETURNING
    pub returning: Vec<SelectItem>,
}

/// DELETE
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// WITH
    pub with: Option<With>,
    /// Target.
    pub table: ObjectName,
    /// ONLY
    pub only: bool,
    /// Alias.
    pub alias: Option<Alias>,
    /// USING
    pub using: Vec<TableRef>,
    /// WHERE
    pub filter: Option<Expr>,
    /// WHERE CURRENT OF
    pub current_of: Option<Ident>,
    /// RETURNING
    pub returning: Vec<SelectItem>,
}
