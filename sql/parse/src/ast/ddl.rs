//! CREATE, ALTER, DROP.

use super::expr::{Expr, Ident, ObjectName, TypeName};
use super::function::{RoutineKind, RoutineName};
use super::query::Query;
use super::statement::Execute;

/// CREATE TABLE
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// Name.
    pub name: ObjectName,
    /// TEMPORARY, UNLOGGED or neither.
    pub persistence: Persistence,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Columns, with their own constraints.
    pub columns: Vec<ColumnDef>,
    /// Table constraints.
    pub constraints: Vec<TableConstraint>,
    /// LIKE clauses.
    pub like: Vec<TableLike>,
    /// INHERITS
    pub inherits: Vec<ObjectName>,
    /// PARTITION OF
    pub partition_of: Option<Box<PartitionOf>>,
    /// PARTITION BY
    pub partition_by: Option<PartitionBy>,
    /// WITH (..) storage parameters.
    pub options: Vec<StatementOption>,
    /// ON COMMIT
    pub on_commit: Option<OnCommit>,
    /// TABLESPACE
    pub tablespace: Option<Ident>,
}

/// PARTITION OF
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionOf {
    /// The partitioned table.
    pub parent: ObjectName,
    /// Columns of the parent that get more constraints or another default.
    pub columns: Vec<ColumnOptions>,
    /// FOR VALUES .. or DEFAULT
    pub bound: PartitionBoundSpec,
}

/// `column [WITH OPTIONS] constraint ..` of a table that has its columns from elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnOptions {
    /// The column.
    pub name: Ident,
    /// Constraints in order, DEFAULT among them.
    pub constraints: Vec<ColumnConstraint>,
}

/// PARTITION BY
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionBy {
    /// LIST, RANGE, HASH or a word that is none of them.
    pub strategy: Ident,
    /// Columns and expressions.
    pub keys: Vec<IndexElement>,
}

/// FOR VALUES .. or DEFAULT
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionBoundSpec {
    /// What it says.
    pub kind: PartitionBoundKind,
    /// Where it starts.
    pub pos: u32,
}

/// What a partition's bound says.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionBoundKind {
    /// DEFAULT
    Default,
    /// IN (..)
    List(Vec<Expr>),
    /// FROM (..) TO (..); MINVALUE and MAXVALUE are columns of that name.
    Range {
        /// FROM
        from: Vec<Expr>,
        /// TO
        to: Vec<Expr>,
    },
    /// WITH (MODULUS m, REMAINDER r)
    Hash {
        /// MODULUS
        modulus: i32,
        /// REMAINDER
        remainder: i32,
    },
}

/// How long a table lives and whether it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum Persistence {
    Permanent,
    Unlogged,
    Temporary,
}

/// ON COMMIT
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum OnCommit {
    PreserveRows,
    DeleteRows,
    Drop,
}

/// LIKE table [INCLUDING ..]
#[derive(Clone, Debug, PartialEq)]
pub struct TableLike {
    /// Source.
    pub table: ObjectName,
    /// How many column definitions stand before it.
    pub at: usize,
    /// (INCLUDING, what) in lower case, e.g. (true, "defaults").
    pub options: Vec<(bool, String)>,
}

/// A column definition.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    /// Name.
    pub name: Ident,
    /// Type; `serial` and relatives stand here by name.
    pub ty: TypeName,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// Constraints in order, DEFAULT and identity among them.
    pub constraints: Vec<ColumnConstraint>,
}

/// A constraint of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnConstraint {
    /// CONSTRAINT name
    pub name: Option<Ident>,
    /// What it says.
    pub kind: ColumnConstraintKind,
    /// Where it starts.
    pub pos: u32,
}

/// What a column's constraint says.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnConstraintKind {
    /// NULL
    Null,
    /// NOT NULL
    NotNull,
    /// DEFAULT
    Default(Expr),
    /// GENERATED .. AS IDENTITY
    Identity {
        /// ALWAYS rather than BY DEFAULT.
        always: bool,
        /// Sequence options.
        options: Vec<SequenceOption>,
    },
    /// GENERATED ALWAYS AS (..) STORED
    Generated(Expr),
    /// UNIQUE
    Unique {
        /// NULLS NOT DISTINCT
        nulls_not_distinct: bool,
        /// DEFERRABLE and so on.
        attributes: ConstraintAttributes,
    },
    /// PRIMARY KEY
    PrimaryKey {
        /// DEFERRABLE and so on.
        attributes: ConstraintAttributes,
    },
    /// CHECK
    Check {
        /// Condition.
        expr: Expr,
        /// NO INHERIT
        no_inherit: bool,
        /// DEFERRABLE and so on.
        attributes: ConstraintAttributes,
    },
    /// REFERENCES
    References(ForeignKey),
}

/// What may follow a constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConstraintAttributes {
    /// DEFERRABLE
    pub deferrable: bool,
    /// INITIALLY DEFERRED
    pub initially_deferred: bool,
    /// NOT VALID
    pub not_valid: bool,
    /// NO INHERIT
    pub no_inherit: bool,
}

/// REFERENCES
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKey {
    /// Referenced table.
    pub table: ObjectName,
    /// Referenced columns; empty means the primary key.
    pub columns: Vec<Ident>,
    /// MATCH FULL / PARTIAL / SIMPLE
    pub matching: ForeignKeyMatch,
    /// ON DELETE
    pub on_delete: ForeignKeyAction,
    /// ON UPDATE
    pub on_update: ForeignKeyAction,
    /// Columns that ON DELETE SET NULL or SET DEFAULT sets; empty means all.
    pub set_columns: Vec<Ident>,
    /// DEFERRABLE and so on.
    pub attributes: ConstraintAttributes,
}

/// MATCH
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum ForeignKeyMatch {
    Simple,
    Full,
    Partial,
}

/// ON DELETE / ON UPDATE
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum ForeignKeyAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// A constraint of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableConstraint {
    /// CONSTRAINT name
    pub name: Option<Ident>,
    /// What it says.
    pub kind: TableConstraintKind,
    /// DEFERRABLE and so on.
    pub attributes: ConstraintAttributes,
    /// Where it starts.
    pub pos: u32,
}

/// What a table's constraint says.
#[derive(Clone, Debug, PartialEq)]
pub enum TableConstraintKind {
    /// CHECK
    Check(Expr),
    /// UNIQUE (..)
    Unique {
        /// Columns.
        columns: Vec<Ident>,
        /// NULLS NOT DISTINCT
        nulls_not_distinct: bool,
        /// INCLUDE (..)
        include: Vec<Ident>,
    },
    /// PRIMARY KEY (..)
    PrimaryKey {
        /// Columns.
        columns: Vec<Ident>,
        /// INCLUDE (..)
        include: Vec<Ident>,
    },
    /// UNIQUE or PRIMARY KEY USING INDEX name
    UsingIndex {
        /// Index.
        index: Ident,
        /// PRIMARY KEY
        primary: bool,
    },
    /// FOREIGN KEY (..)
    ForeignKey {
        /// Referencing columns.
        columns: Vec<Ident>,
        /// The other side; its `attributes` are the constraint's.
        references: ForeignKey,
    },
    /// EXCLUDE
    Exclude,
}

/// `name = value` of a WITH list; the value is kept as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementOption {
    /// Name.
    pub name: String,
    /// Value, if written.
    pub value: Option<String>,
    /// Where the name stands.
    pub pos: u32,
}

/// CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTableAs {
    /// Name.
    pub name: ObjectName,
    /// TEMPORARY, UNLOGGED or neither.
    pub persistence: Persistence,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Column names, possibly fewer than columns.
    pub columns: Vec<Ident>,
    /// Rows.
    pub source: TableSource,
    /// WITH DATA (default) or WITH NO DATA
    pub with_data: bool,
    /// MATERIALIZED VIEW rather than TABLE.
    pub materialized: bool,
    /// WITH (..) storage parameters.
    pub options: Vec<StatementOption>,
    /// ON COMMIT
    pub on_commit: Option<OnCommit>,
    /// TABLESPACE
    pub tablespace: Option<Ident>,
}

/// REFRESH MATERIALIZED VIEW
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshMaterializedView {
    /// Name.
    pub name: ObjectName,
    /// CONCURRENTLY
    pub concurrently: bool,
    /// WITH DATA (default) or WITH NO DATA
    pub with_data: bool,
}

/// Where CREATE TABLE AS takes its rows from.
#[derive(Clone, Debug, PartialEq)]
pub enum TableSource {
    /// AS query
    Query {
        /// The query.
        query: Box<Query>,
        /// Its text, as written; empty for SELECT INTO.
        text: String,
    },
    /// AS EXECUTE
    Execute(Box<Execute>),
}

/// CREATE VIEW
#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    /// Name.
    pub name: ObjectName,
    /// OR REPLACE
    pub or_replace: bool,
    /// TEMPORARY
    pub temporary: bool,
    /// Column names.
    pub columns: Vec<Ident>,
    /// WITH (..), and WITH CHECK OPTION as `check_option`.
    pub options: Vec<StatementOption>,
    /// Rows.
    pub query: Box<Query>,
    /// Text of the query, as written.
    pub text: String,
}

/// ALTER TABLE (also ALTER INDEX / SEQUENCE / VIEW for the actions they share: RENAME, OWNER, SET SCHEMA)
#[derive(Clone, Debug, PartialEq)]
pub struct AlterTable {
    /// The word after ALTER.
    pub kind: ObjectKind,
    /// Name.
    pub name: ObjectName,
    /// IF EXISTS
    pub if_exists: bool,
    /// ONLY
    pub only: bool,
    /// Actions in order. RENAME and SET SCHEMA stand alone.
    pub actions: Vec<AlterTableAction>,
}

/// An action of ALTER TABLE.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterTableAction {
    /// ADD COLUMN
    AddColumn {
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// Definition.
        column: Box<ColumnDef>,
    },
    /// DROP COLUMN
    DropColumn {
        /// IF EXISTS
        if_exists: bool,
        /// Column.
        name: Ident,
        /// CASCADE
        cascade: bool,
    },
    /// ALTER COLUMN .. SET DEFAULT
    SetDefault(Ident, Expr),
    /// ALTER COLUMN .. DROP DEFAULT
    DropDefault(Ident),
    /// ALTER COLUMN .. SET NOT NULL
    SetNotNull(Ident),
    /// ALTER COLUMN .. DROP NOT NULL
    DropNotNull(Ident),
    /// ALTER COLUMN .. TYPE
    SetType {
        /// Column.
        name: Ident,
        /// New type.
        ty: TypeName,
        /// COLLATE
        collation: Option<ObjectName>,
        /// USING
        using: Option<Expr>,
    },
    /// ALTER COLUMN .. ADD GENERATED .. AS IDENTITY
    AddIdentity {
        /// Column.
        name: Ident,
        /// ALWAYS
        always: bool,
        /// Sequence options.
        options: Vec<SequenceOption>,
    },
    /// ALTER COLUMN .. SET GENERATED .. / RESTART / SET option
    SetIdentity {
        /// Column.
        name: Ident,
        /// SET GENERATED ALWAYS (true) or BY DEFAULT.
        always: Option<bool>,
        /// Sequence options.
        options: Vec<SequenceOption>,
    },
    /// ALTER COLUMN .. DROP IDENTITY
    DropIdentity {
        /// Column.
        name: Ident,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER COLUMN .. DROP EXPRESSION
    DropExpression {
        /// Column.
        name: Ident,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER COLUMN .. SET STATISTICS
    SetStatistics(Ident),
    /// ALTER COLUMN .. SET STORAGE / COMPRESSION
    SetStorage(Ident),
    /// ADD constraint
    AddConstraint(Box<TableConstraint>),
    /// DROP CONSTRAINT
    DropConstraint {
        /// IF EXISTS
        if_exists: bool,
        /// Constraint.
        name: Ident,
        /// CASCADE
        cascade: bool,
    },
    /// ALTER CONSTRAINT
    AlterConstraint(Ident, ConstraintAttributes),
    /// VALIDATE CONSTRAINT
    ValidateConstraint(Ident),
    /// RENAME [COLUMN] a TO b
    RenameColumn(Ident, Ident),
    /// RENAME CONSTRAINT a TO b
    RenameConstraint(Ident, Ident),
    /// RENAME TO
    RenameTo(Ident),
    /// SET SCHEMA
    SetSchema(Ident),
    /// OWNER TO
    OwnerTo(RoleSpec),
    /// SET (..) storage parameters
    SetOptions(Vec<StatementOption>),
    /// RESET (..)
    ResetOptions(Vec<String>),
    /// SET LOGGED / UNLOGGED
    SetLogged(bool),
    /// CLUSTER ON / SET WITHOUT CLUSTER
    Cluster,
    /// SET TABLESPACE
    SetTablespace(Ident),
    /// INHERIT
    Inherit(ObjectName),
    /// NO INHERIT
    NoInherit(ObjectName),
    /// ATTACH PARTITION, of tables and of indexes
    AttachPartition {
        /// The partition to be.
        name: ObjectName,
        /// FOR VALUES .. or DEFAULT; `None` of indexes.
        bound: Option<PartitionBoundSpec>,
    },
    /// DETACH PARTITION
    DetachPartition {
        /// The partition.
        name: ObjectName,
        /// CONCURRENTLY
        concurrently: bool,
        /// FINALIZE
        finalize: bool,
    },
    /// Anything else that PostgreSQL has: named for 0A000.
    Unsupported(&'static str),
}

/// CREATE INDEX
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIndex {
    /// Name, if written.
    pub name: Option<Ident>,
    /// UNIQUE
    pub unique: bool,
    /// CONCURRENTLY
    pub concurrently: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Table.
    pub table: ObjectName,
    /// ONLY
    pub only: bool,
    /// USING method
    pub method: Option<Ident>,
    /// Key elements.
    pub keys: Vec<IndexElement>,
    /// INCLUDE (..)
    pub include: Vec<IndexElement>,
    /// NULLS NOT DISTINCT
    pub nulls_not_distinct: bool,
    /// WITH (..)
    pub options: Vec<StatementOption>,
    /// TABLESPACE
    pub tablespace: Option<Ident>,
    /// WHERE
    pub filter: Option<Expr>,
}

/// An element of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexElement {
    /// A column (`ExprKind::Column` of one part) or an expression.
    pub expr: Expr,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// Operator class.
    pub opclass: Option<ObjectName>,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST / LAST as written.
    pub nulls_first: Option<bool>,
}

/// CREATE SCHEMA
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSchema {
    /// Name; `None` takes the role's.
    pub name: Option<Ident>,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// AUTHORIZATION
    pub authorization: Option<RoleSpec>,
    /// Statements inside CREATE SCHEMA.
    pub elements: Vec<super::Statement>,
}

/// ALTER SCHEMA
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSchema {
    /// Schema.
    pub name: Ident,
    /// What to do.
    pub action: AlterSchemaAction,
}

/// What ALTER SCHEMA does.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterSchemaAction {
    /// RENAME TO
    RenameTo(Ident),
    /// OWNER TO
    OwnerTo(RoleSpec),
}

/// CREATE SEQUENCE
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSequence {
    /// Name.
    pub name: ObjectName,
    /// TEMPORARY and so on.
    pub persistence: Persistence,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Options in order.
    pub options: Vec<SequenceOption>,
}

/// ALTER SEQUENCE (RENAME, OWNER TO and SET SCHEMA are [`AlterTable`])
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSequence {
    /// Name.
    pub name: ObjectName,
    /// IF EXISTS
    pub if_exists: bool,
    /// Options in order.
    pub options: Vec<SequenceOption>,
}

/// An option of a sequence, with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceOption {
    /// Which.
    pub kind: SequenceOptionKind,
    /// Where it starts.
    pub pos: u32,
}

/// What a sequence's option says.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceOptionKind {
    /// AS type
    As(TypeName),
    /// START
    Start(i64),
    /// INCREMENT
    Increment(i64),
    /// MINVALUE; `None` is NO MINVALUE
    MinValue(Option<i64>),
    /// MAXVALUE; `None` is NO MAXVALUE
    MaxValue(Option<i64>),
    /// CACHE
    Cache(i64),
    /// CYCLE / NO CYCLE
    Cycle(bool),
    /// OWNED BY table.column; `None` is OWNED BY NONE
    OwnedBy(Option<ObjectName>),
    /// RESTART [WITH n]
    Restart(Option<i64>),
    /// SEQUENCE NAME (of identity columns)
    Name(ObjectName),
}

/// What kind of object a statement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum ObjectKind {
    Table,
    Index,
    Sequence,
    View,
    MaterializedView,
    Schema,
    Column,
    Constraint,
    Database,
    Role,
    Type,
    Domain,
    Function,
}

/// DROP of tables, indexes, sequences, views or schemas.
#[derive(Clone, Debug, PartialEq)]
pub struct DropObjects {
    /// What.
    pub kind: ObjectKind,
    /// IF EXISTS
    pub if_exists: bool,
    /// Names.
    pub names: Vec<ObjectName>,
    /// CASCADE
    pub cascade: bool,
    /// CONCURRENTLY (indexes)
    pub concurrently: bool,
}

/// A role by name or by key word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleSpec {
    /// By name.
    Name(Ident),
    /// CURRENT_USER or CURRENT_ROLE
    CurrentUser,
    /// SESSION_USER
    SessionUser,
    /// PUBLIC
    Public,
}

/// CREATE ROLE / USER / GROUP, ALTER ROLE / USER
#[derive(Clone, Debug, PartialEq)]
pub struct RoleStatement {
    /// Role.
    pub role: RoleSpec,
    /// CREATE USER: LOGIN unless said otherwise.
    pub user: bool,
    /// Options in order.
    pub options: Vec<RoleOption>,
}

/// An option of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleOption {
    /// PASSWORD; `None` is PASSWORD NULL
    Password(Option<String>),
    /// SUPERUSER / NOSUPERUSER
    Superuser(bool),
    /// LOGIN / NOLOGIN
    Login(bool),
    /// CREATEDB / NOCREATEDB
    CreateDb(bool),
    /// CREATEROLE / NOCREATEROLE
    CreateRole(bool),
    /// INHERIT / NOINHERIT
    Inherit(bool),
    /// REPLICATION / NOREPLICATION
    Replication(bool),
    /// BYPASSRLS / NOBYPASSRLS
    BypassRls(bool),
    /// CONNECTION LIMIT
    ConnectionLimit(i64),
    /// VALID UNTIL
    ValidUntil(String),
    /// IN ROLE
    InRole(Vec<RoleSpec>),
    /// ROLE; ADMIN
    Members(Vec<RoleSpec>, bool),
}

/// COMMENT ON
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// What kind.
    pub kind: ObjectKind,
    /// Object; for a column the last part is the column; for a constraint the constraint's name.
    pub name: ObjectName,
    /// The table, or domain, of a constraint.
    pub table: Option<ObjectName>,
    /// A constraint's `table` is a domain.
    pub on_domain: bool,
    /// A function's kind and its name with its parameters.
    pub routine: Option<(RoutineKind, RoutineName)>,
    /// `None` is NULL: removes it.
    pub text: Option<String>,
}

/// TRUNCATE
#[derive(Clone, Debug, PartialEq)]
pub struct Truncate {
    /// Tables, each with whether ONLY is said.
    pub tables: Vec<(ObjectName, bool)>,
    /// RESTART IDENTITY
    pub restart_identity: bool,
    /// CASCADE
    pub cascade: bool,
}
