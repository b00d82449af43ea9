//! Expressions, names and type names.

use super::query::{OrderBy, Query, WindowSpec};

/// An identifier: folded to lower case unless it was quoted, truncated to 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub pos: u32,
}

/// A possibly qualified name: `t`, `s.t`, `db.s.t`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The parts, at least one.
    pub parts: Vec<Ident>,
}

impl ObjectName {
    /// A name of one part without position.
    pub fn plain(name: &str) -> ObjectName {
        ObjectName {
            parts: vec![Ident {
                name: name.to_owned(),
                pos: 0,
            }],
        }
    }
    /// A name in `pg_catalog`.
    pub fn system(name: &str, pos: u32) -> ObjectName {
        ObjectName {
            parts: vec![
                Ident {
                    name: "pg_catalog".to_owned(),
                    pos,
                },
                Ident {
                    name: name.to_owned(),
                    pos,
                },
            ],
        }
    }
    /// The last part: the object's own name.
    pub fn name(&self) -> &str {
        self.parts.last().map_or("", |p| &p.name)
    }
    /// The part before the last: the schema, if it is qualified.
    pub fn schema(&self) -> Option<&str> {
        self.parts.len().checked_sub(2).map(|i| self.parts[i].name.as_str())
    }
    /// The part before the schema: the database, if the name has three parts.
    pub fn database(&self) -> Option<&str> {
        self.parts.len().checked_sub(3).map(|i| self.parts[i].name.as_str())
    }
    /// Where it starts.
    pub fn pos(&self) -> u32 {
        self.parts.first().map_or(0, |p| p.pos)
    }
}

impl std::fmt::Display for ObjectName {
    /// The parts joined by dots, unquoted, as PostgreSQL's messages show names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, p) in self.parts.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(&p.name)?;
        }
        Ok(())
    }
}

/// A type as written. SQL's own spellings are replaced by `pg_catalog` names (`integer` is `pg_catalog.int4`).
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// The name, e.g. `pg_catalog.int4` or `serial`.
    pub name: ObjectName,
    /// What stands in parentheses: `(10, 2)`. For interval the fields mask comes first, the precision second.
    pub modifiers: Vec<Expr>,
    /// How many dimensions of array: `int[][]` has 2.
    pub array_dimensions: u32,
    /// SETOF.
    pub setof: bool,
    /// Where it starts.
    pub pos: u32,
}

/// An expression with its position: that of the operator, function name, or first token, as PostgreSQL places errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Position.
    pub pos: u32,
}

/// A literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// NULL
    Null,
    /// TRUE or FALSE
    Bool(bool),
    /// An integer that fits int4.
    Integer(i32),
    /// Any other number, as written.
    Number(String),
    /// A string, with escapes resolved: type unknown.
    String(String),
    /// `B'...'`: the digits.
    Bits(String),
    /// `X'...'`: the digits.
    HexBits(String),
}

/// An operator as written: `+`, or `OPERATOR(pg_catalog.+)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Schema in `OPERATOR(schema.op)`.
    pub schema: Option<String>,
    /// Its characters.
    pub name: Box<str>,
}

/// LIKE and its relatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum LikeKind {
    Like,
    ILike,
    SimilarTo,
}

/// How a cast was written; only output names and texts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastSyntax {
    /// `CAST(x AS t)`
    Cast,
    /// `x::t`
    Colons,
    /// `t 'literal'`
    TypedLiteral,
}

/// One subscript of `a[..]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Subscript {
    /// `[i]`
    Index(Expr),
    /// `[low:high]`
    Slice(Option<Expr>, Option<Expr>),
}

/// The right side of `x op ANY (...)`.
#[derive(Clone, Debug, PartialEq)]
pub enum QuantifiedRight {
    /// An array expression.
    Array(Expr),
    /// A subquery.
    Query(Box<Query>),
}

/// A niladic function with its own grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum SqlValue {
    CurrentDate,
    CurrentTime(Option<i32>),
    CurrentTimestamp(Option<i32>),
    LocalTime(Option<i32>),
    LocalTimestamp(Option<i32>),
    CurrentRole,
    CurrentUser,
    User,
    SessionUser,
    CurrentCatalog,
    CurrentSchema,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A literal.
    Literal(Literal),
    /// `$n`, from 1.
    Param(u32),
    /// `a`, `t.a`, `s.t.a`.
    Column(Vec<Ident>),
    /// `*`, `t.*`, `s.t.*`.
    Star(Vec<Ident>),
    /// `(x).field`
    Field(Box<Expr>, Ident),
    /// `(x).*`
    FieldStar(Box<Expr>),
    /// `x[..][..]`
    Subscript(Box<Expr>, Vec<Subscript>),
    /// A prefix operator.
    Unary(Operator, Box<Expr>),
    /// A left-associative chain of binary operators of one precedence: `first op1 x1 op2 x2`; never empty.
    Binary(Box<Expr>, Vec<BinaryTail>),
    /// A flat AND of two or more.
    And(Vec<Expr>),
    /// A flat OR of two or more.
    Or(Vec<Expr>),
    /// NOT
    Not(Box<Expr>),
    /// IS [NOT] NULL
    IsNull {
        /// Operand.
        arg: Box<Expr>,
        /// IS NOT.
        negated: bool,
    },
    /// IS [NOT] TRUE / FALSE / UNKNOWN
    IsBool {
        /// Operand.
        arg: Box<Expr>,
        /// TRUE, FALSE, or unknown.
        test: Option<bool>,
        /// IS NOT.
        negated: bool,
    },
    /// IS [NOT] DISTINCT FROM
    IsDistinct {
        /// Both operands.
        args: Box<(Expr, Expr)>,
        /// IS NOT DISTINCT FROM.
        negated: bool,
    },
    /// BETWEEN
    Between {
        /// Operand, lower and upper bound.
        args: Box<(Expr, Expr, Expr)>,
        /// SYMMETRIC.
        symmetric: bool,
        /// NOT BETWEEN.
        negated: bool,
    },
    /// `x IN (a, b)`
    InList {
        /// Operand.
        arg: Box<Expr>,
        /// Candidates.
        list: Vec<Expr>,
        /// NOT IN.
        negated: bool,
    },
    /// `x IN (SELECT ..)`
    InQuery {
        /// Operand.
        arg: Box<Expr>,
        /// Candidates.
        query: Box<Query>,
        /// NOT IN.
        negated: bool,
    },
    /// LIKE, ILIKE, SIMILAR TO
    Like {
        /// Which.
        kind: LikeKind,
        /// Operand, pattern.
        args: Box<(Expr, Expr)>,
        /// ESCAPE.
        escape: Option<Box<Expr>>,
        /// NOT LIKE.
        negated: bool,
    },
    /// `x op ANY|ALL (..)`
    Quantified {
        /// Operand.
        arg: Box<Expr>,
        /// Operator.
        op: Operator,
        /// ALL.
        all: bool,
        /// Array or subquery.
        right: Box<QuantifiedRight>,
    },
    /// CASE
    Case {
        /// `CASE x WHEN ..`
        operand: Option<Box<Expr>>,
        /// (WHEN, THEN)
        branches: Vec<(Expr, Expr)>,
        /// ELSE
        otherwise: Option<Box<Expr>>,
    },
    /// COALESCE
    Coalesce(Vec<Expr>),
    /// NULLIF
    NullIf(Box<(Expr, Expr)>),
    /// GREATEST or LEAST
    MinMax {
        /// Operands.
        args: Vec<Expr>,
        /// GREATEST.
        greatest: bool,
    },
    /// A cast in any spelling.
    Cast {
        /// Operand.
        arg: Box<Expr>,
        /// Target.
        ty: Box<TypeName>,
        /// Spelling.
        syntax: CastSyntax,
    },
    /// A function call.
    Call(Box<FunctionCall>),
    /// COLLATE
    Collate(Box<Expr>, ObjectName),
    /// `ARRAY[..]`
    Array(Vec<Expr>),
    /// `ARRAY(SELECT ..)`
    ArrayQuery(Box<Query>),
    /// `ROW(..)` or `(a, b)`
    Row(Vec<Expr>),
    /// A scalar subquery.
    Subquery(Box<Query>),
    /// EXISTS
    Exists(Box<Query>),
    /// `GROUPING(..)`
    Grouping(Vec<Expr>),
    /// CURRENT_DATE and friends.
    SqlValue(SqlValue),
    /// DEFAULT, in VALUES of an INSERT and in SET.
    Default,
}

/// One `op right` of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryTail {
    /// Operator.
    pub op: Operator,
    /// The operator's position.
    pub pos: u32,
    /// Right operand.
    pub right: Expr,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionArg {
    /// `name => value`
    pub name: Option<Ident>,
    /// Value.
    pub value: Expr,
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionCall {
    /// Name.
    pub name: ObjectName,
    /// Arguments.
    pub args: Vec<FunctionArg>,
    /// `f(*)`
    pub star: bool,
    /// The last argument is VARIADIC.
    pub variadic: bool,
    /// DISTINCT
    pub distinct: bool,
    /// ORDER BY inside the parentheses.
    pub order_by: Vec<OrderBy>,
    /// WITHIN GROUP (ORDER BY ..)
    pub within_group: Vec<OrderBy>,
    /// FILTER (WHERE ..)
    pub filter: Option<Expr>,
    /// OVER
    pub over: Option<Over>,
    /// Written in SQL's special syntax (EXTRACT, SUBSTRING .. FROM, AT TIME ZONE, ..).
    pub sql_syntax: bool,
}

/// OVER
#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    /// `OVER w`
    Named(Ident),
    /// `OVER (..)`
    Spec(WindowSpec),
}

impl Expr {
    /// An expression at a position.
    pub fn new(kind: ExprKind, pos: u32) -> Expr {
        Expr { kind, pos }
    }
}
