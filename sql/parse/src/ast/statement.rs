//! [`Statement`] and the utility statements.

use super::absent::DropAbsent;
use super::authority::AuthorityStatement;
use super::ddl::*;
use super::expr::{Expr, Ident, ObjectName, TypeName};
use super::function::*;
use super::query::{Delete, Insert, Merge, Query, Update};
use super::user_type::*;

/// Any statement.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // named after SQL's statements; the structs are documented
pub enum Statement {
    // Rows.
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Merge(Box<Merge>),
    Copy(Box<Copy>),
    Explain(Box<Explain>),
    // Definitions.
    CreateTable(Box<CreateTable>),
    CreateTableAs(Box<CreateTableAs>),
    CreateView(Box<CreateView>),
    RefreshMaterializedView(Box<RefreshMaterializedView>),
    AlterTable(Box<AlterTable>),
    CreateIndex(Box<CreateIndex>),
    CreateSchema(Box<CreateSchema>),
    AlterSchema(Box<AlterSchema>),
    CreateSequence(Box<CreateSequence>),
    CreateType(Box<CreateType>),
    CreateDomain(Box<CreateDomain>),
    AlterType(Box<AlterType>),
    AlterSequence(Box<AlterSequence>),
    Drop(Box<DropObjects>),
    DropAbsent(Box<DropAbsent>),
    CreateFunction(Box<CreateFunction>),
    AlterFunction(Box<AlterFunction>),
    DropFunction(Box<DropFunction>),
    CreateRole(Box<RoleStatement>),
    AlterRole(Box<RoleStatement>),
    DropRole {
        names: Vec<RoleSpec>,
        if_exists: bool,
    },
    Comment(Box<Comment>),
    Truncate(Box<Truncate>),
    // Maintenance.
    Vacuum(Box<Vacuum>),
    Analyze(Box<Vacuum>),
    Checkpoint,
    Reindex(Reindex),
    // Transactions.
    /// BEGIN or START TRANSACTION (`start` tells which, for the command tag).
    Begin {
        modes: TransactionModes,
        start: bool,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(Ident),
    /// PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED.
    TwoPhase {
        /// Which of them.
        step: TwoPhase,
        /// The transaction's identifier.
        identifier: String,
    },
    Release(Ident),
    RollbackTo(Ident),
    /// SET TRANSACTION (this one) or SET SESSION CHARACTERISTICS AS TRANSACTION (`session`).
    SetTransaction {
        modes: TransactionModes,
        session: bool,
    },
    /// SET TRANSACTION SNAPSHOT, with the name that `pg_export_snapshot` gave.
    SetSnapshot(String),
    SetConstraints {
        names: Vec<ObjectName>,
        deferred: bool,
    },
    Lock(Box<LockTable>),
    // Session.
    Set(Box<Set>),
    Show(Show),
    Reset(Reset),
    Discard(Discard),
    Prepare(Box<Prepare>),
    Execute(Box<Execute>),
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<Ident>),
    Declare(Box<Declare>),
    Fetch(Fetch),
    /// CLOSE; `None` is ALL.
    Close(Option<Ident>),
    Listen(Ident),
    Notify {
        channel: Ident,
        payload: Option<String>,
    },
    /// UNLISTEN; `None` is `*`.
    Unlisten(Option<Ident>),
    /// GRANT, REVOKE and their kin.
    Authority(Box<AuthorityStatement>),
    /// A statement of PostgreSQL that is not built yet.
    Unsupported {
        feature: String,
    },
}

/// A step of committing in two phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoPhase {
    /// PREPARE TRANSACTION
    Prepare,
    /// COMMIT PREPARED
    Commit,
    /// ROLLBACK PREPARED
    RollBack,
}

/// COPY
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// What.
    pub source: CopySource,
    /// Direction and the other end.
    pub direction: CopyDirection,
    /// Options, from either syntax.
    pub options: CopyOptions,
    /// WHERE of COPY FROM.
    pub filter: Option<Expr>,
}

/// What COPY reads or writes.
#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// A table with an optional column list.
    Table {
        /// Table.
        name: ObjectName,
        /// Columns; empty means all.
        columns: Vec<Ident>,
    },
    /// A query (COPY TO only).
    Query(Box<Statement>),
}

/// Where COPY gets or puts the data.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyDirection {
    /// FROM STDIN
    FromStdin,
    /// TO STDOUT
    ToStdout,
    /// FROM 'file'
    FromFile(String),
    /// TO 'file'
    ToFile(String),
    /// FROM PROGRAM
    FromProgram(String),
    /// TO PROGRAM
    ToProgram(String),
}

/// COPY format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum CopyFormat {
    #[default]
    Text,
    Csv,
    Binary,
}

/// HEADER
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum CopyHeader {
    #[default]
    Off,
    On,
    Match,
}

/// COPY options, as written; `None` takes the format's default. Conflicts between them are checked when it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// FORMAT
    pub format: CopyFormat,
    /// FREEZE
    pub freeze: bool,
    /// DELIMITER
    pub delimiter: Option<String>,
    /// NULL
    pub null: Option<String>,
    /// HEADER
    pub header: CopyHeader,
    /// QUOTE
    pub quote: Option<String>,
    /// ESCAPE
    pub escape: Option<String>,
    /// FORCE_QUOTE columns, or `*` as an empty list.
    pub force_quote: Option<Vec<Ident>>,
    /// FORCE_NOT_NULL columns.
    pub force_not_null: Option<Vec<Ident>>,
    /// FORCE_NULL columns.
    pub force_null: Option<Vec<Ident>>,
    /// ENCODING
    pub encoding: Option<String>,
}

/// EXPLAIN
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// Options.
    pub options: ExplainOptions,
    /// What to explain.
    pub statement: Statement,
}

/// EXPLAIN options. `None` takes PostgreSQL's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub struct ExplainOptions {
    pub analyze: bool,
    pub verbose: bool,
    pub costs: Option<bool>,
    pub settings: bool,
    pub buffers: bool,
    pub wal: bool,
    pub timing: Option<bool>,
    pub summary: Option<bool>,
    pub format: ExplainFormat,
}

/// EXPLAIN format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum ExplainFormat {
    #[default]
    Text,
    Xml,
    Json,
    Yaml,
}

/// VACUUM or ANALYZE
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vacuum {
    /// Options in lower case, from either syntax: `full`, `freeze`, `verbose`, `analyze`, ...
    pub options: Vec<StatementOption>,
    /// Tables with their column lists; empty means all.
    pub tables: Vec<(ObjectName, Vec<Ident>)>,
}

/// REINDEX
#[derive(Clone, Debug, PartialEq)]
pub struct Reindex {
    /// What is named.
    pub scope: ReindexScope,
    /// Its name.
    pub name: ObjectName,
    /// CONCURRENTLY
    pub concurrently: bool,
}

/// What REINDEX names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum ReindexScope {
    Index,
    Table,
    Schema,
    /// The database, or with SYSTEM its catalogs.
    Database,
}

/// Isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// Transaction modes as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// ISOLATION LEVEL
    pub isolation: Option<Isolation>,
    /// READ ONLY (true) or READ WRITE
    pub read_only: Option<bool>,
    /// DEFERRABLE / NOT DEFERRABLE
    pub deferrable: Option<bool>,
}

/// AS OF SYSTEM TIME: which state of the past is read. Not PostgreSQL's; the syntax is CockroachDB's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// A timestamp, or an interval that leads back from now.
    Time(String),
    /// A commit sequence number.
    Csn(u64),
}

/// LOCK TABLE
#[derive(Clone, Debug, PartialEq)]
pub struct LockTable {
    /// Tables, each with whether ONLY is said.
    pub tables: Vec<(ObjectName, bool)>,
    /// Mode.
    pub mode: TableLockMode,
    /// NOWAIT
    pub nowait: bool,
}

/// Table lock mode, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // SQL's own words
pub enum TableLockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

/// SET
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Parameter in lower case; `SET TIME ZONE` is `timezone`, `SET NAMES` is `client_encoding`, and so on.
    pub name: String,
    /// New value.
    pub value: SetValue,
    /// LOCAL
    pub local: bool,
}

/// The value of SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// DEFAULT
    Default,
    /// FROM CURRENT (of functions only).
    FromCurrent,
    /// One or more values.
    Values(Vec<SetItem>),
}

/// One value of SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetItem {
    /// A string literal or identifier.
    Text(String),
    /// A number as written, with sign.
    Number(String),
}

impl SetItem {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            SetItem::Text(t) | SetItem::Number(t) => t,
        }
    }
}

/// SHOW
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// One parameter, in lower case.
    Name(String),
    /// ALL
    All,
}

/// RESET
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reset {
    /// One parameter, in lower case.
    Name(String),
    /// ALL
    All,
}

/// DISCARD
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// PREPARE
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    /// Name.
    pub name: Ident,
    /// Parameter types, possibly fewer than parameters.
    pub types: Vec<TypeName>,
    /// What it prepares.
    pub statement: Statement,
    /// Byte range of the prepared statement in the query string.
    pub span: std::ops::Range<usize>,
}

/// EXECUTE
#[derive(Clone, Debug, PartialEq)]
pub struct Execute {
    /// Name.
    pub name: Ident,
    /// Parameter values.
    pub args: Vec<Expr>,
}

/// DECLARE CURSOR
#[derive(Clone, Debug, PartialEq)]
pub struct Declare {
    /// Name.
    pub name: Ident,
    /// BINARY
    pub binary: bool,
    /// SCROLL (true) or NO SCROLL
    pub scroll: Option<bool>,
    /// WITH HOLD
    pub hold: bool,
    /// INSENSITIVE
    pub insensitive: bool,
    /// Rows.
    pub query: Box<Query>,
    /// Byte range of the query in the query string.
    pub span: std::ops::Range<usize>,
}

/// FETCH or MOVE
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// Cursor.
    pub cursor: Ident,
    /// How far.
    pub direction: FetchDirection,
    /// MOVE: no rows are sent.
    pub is_move: bool,
}

/// Direction of FETCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// FORWARD n (NEXT is 1; negative goes backward); `None` is ALL
    Forward(Option<i64>),
    /// BACKWARD n (PRIOR is 1); `None` is ALL
    Backward(Option<i64>),
    /// ABSOLUTE n (FIRST is 1, LAST is -1)
    Absolute(i64),
    /// RELATIVE n
    Relative(i64),
}

impl Statement {
    /// The command tag's words (`INSERT` and `SELECT` get counts appended by whoever ran them).
    pub fn tag(&self) -> &'static str {
        use ObjectKind as K;
        match self {
            Statement::Query(_) => "SELECT",
            Statement::Insert(_) => "INSERT",
            Statement::Update(_) => "UPDATE",
            Statement::Delete(_) => "DELETE",
            Statement::Merge(_) => "MERGE",
            Statement::Copy(_) => "COPY",
            Statement::Explain(_) => "EXPLAIN",
            Statement::CreateTable(_) => "CREATE TABLE",
            Statement::CreateTableAs(c) if c.materialized => "CREATE MATERIALIZED VIEW",
            Statement::CreateTableAs(_) => "CREATE TABLE AS",
            Statement::CreateFunction(f) if f.kind == RoutineKind::Procedure => "CREATE PROCEDURE",
            Statement::CreateFunction(_) => "CREATE FUNCTION",
            Statement::AlterFunction(f) => match f.kind {
                RoutineKind::Function => "ALTER FUNCTION",
                RoutineKind::Procedure => "ALTER PROCEDURE",
                RoutineKind::Routine => "ALTER ROUTINE",
            },
            Statement::DropFunction(f) => match f.kind {
                RoutineKind::Function => "DROP FUNCTION",
                RoutineKind::Procedure => "DROP PROCEDURE",
                RoutineKind::Routine => "DROP ROUTINE",
            },
            Statement::CreateView(_) => "CREATE VIEW",
            Statement::RefreshMaterializedView(_) => "REFRESH MATERIALIZED VIEW",
            Statement::AlterTable(a) => match a.kind {
                K::Index => "ALTER INDEX",
                K::Sequence => "ALTER SEQUENCE",
                K::View => "ALTER VIEW",
                K::MaterializedView => "ALTER MATERIALIZED VIEW",
                _ => "ALTER TABLE",
            },
            Statement::CreateIndex(_) => "CREATE INDEX",
            Statement::CreateSchema(_) => "CREATE SCHEMA",
            Statement::AlterSchema(_) => "ALTER SCHEMA",
            Statement::CreateSequence(_) => "CREATE SEQUENCE",
            Statement::CreateType(_) => "CREATE TYPE",
            Statement::CreateDomain(_) => "CREATE DOMAIN",
            Statement::AlterType(a) if a.domain => "ALTER DOMAIN",
            Statement::AlterType(_) => "ALTER TYPE",
            Statement::AlterSequence(_) => "ALTER SEQUENCE",
            Statement::DropAbsent(d) => d.tag,
            Statement::Drop(d) => match d.kind {
                K::Index => "DROP INDEX",
                K::Sequence => "DROP SEQUENCE",
                K::View => "DROP VIEW",
                K::MaterializedView => "DROP MATERIALIZED VIEW",
                K::Schema => "DROP SCHEMA",
                K::Type => "DROP TYPE",
                K::Domain => "DROP DOMAIN",
                _ => "DROP TABLE",
            },
            Statement::CreateRole(_) => "CREATE ROLE",
            Statement::AlterRole(_) => "ALTER ROLE",
            Statement::DropRole { .. } => "DROP ROLE",
            Statement::Comment(_) => "COMMENT",
            Statement::Truncate(_) => "TRUNCATE TABLE",
            Statement::Vacuum(_) => "VACUUM",
            Statement::Analyze(_) => "ANALYZE",
            Statement::Checkpoint => "CHECKPOINT",
            Statement::Reindex(_) => "REINDEX",
            Statement::Begin { start: true, .. } => "START TRANSACTION",
            Statement::Begin { .. } => "BEGIN",
            Statement::Commit { .. } => "COMMIT",
            Statement::Rollback { .. } | Statement::RollbackTo(_) => "ROLLBACK",
            Statement::Savepoint(_) => "SAVEPOINT",
            Statement::TwoPhase { step, .. } => match step {
                TwoPhase::Prepare => "PREPARE TRANSACTION",
                TwoPhase::Commit => "COMMIT PREPARED",
                TwoPhase::RollBack => "ROLLBACK PREPARED",
            },
            Statement::Release(_) => "RELEASE",
            Statement::SetTransaction { .. } | Statement::SetSnapshot(_) | Statement::Set(_) => "SET",
            Statement::SetConstraints { .. } => "SET CONSTRAINTS",
            Statement::Lock(_) => "LOCK TABLE",
            Statement::Show(_) => "SHOW",
            Statement::Reset(_) => "RESET",
            Statement::Discard(d) => match d {
                Discard::All => "DISCARD ALL",
                Discard::Plans => "DISCARD PLANS",
                Discard::Sequences => "DISCARD SEQUENCES",
                Discard::Temp => "DISCARD TEMP",
            },
            Statement::Prepare(_) => "PREPARE",
            Statement::Execute(_) => "EXECUTE",
            Statement::Deallocate(None) => "DEALLOCATE ALL",
            Statement::Deallocate(_) => "DEALLOCATE",
            Statement::Declare(_) => "DECLARE CURSOR",
            Statement::Fetch(f) if f.is_move => "MOVE",
            Statement::Fetch(_) => "FETCH",
            Statement::Close(None) => "CLOSE CURSOR ALL",
            Statement::Close(_) => "CLOSE CURSOR",
            Statement::Listen(_) => "LISTEN",
            Statement::Notify { .. } => "NOTIFY",
            Statement::Unlisten(_) => "UNLISTEN",
            Statement::Authority(s) => s.tag(),
            Statement::Unsupported { .. } => "",
        }
    }
    /// Whether it reads or writes rows through the binder.
    pub fn is_bindable(&self) -> bool {
        matches!(
            self,
            Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_)
        )
    }
}
