//! Catalog objects as plain data. Expressions are kept as SQL text (normalised by the binder that accepted them) and bound again when a
//! catalog version is first used, so the stored form does not depend on the binder's internals.

use curia_types::PgType;
use serde::{Deserialize, Serialize};

/// Object identifier; persists, never reused, equal on all servers.
pub type Oid = u32;

/// First OID given to user objects, as in PostgreSQL.
pub const FIRST_USER_OID: Oid = 16_384;

/// Identifies a keyspace of the state store. Not the table's OID: TRUNCATE, ADD PRIMARY KEY, CREATE INDEX and rewriting ALTERs
/// fill a fresh one, which one catalog row publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StorageId(pub u32);

/// A schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// `pg_namespace.oid`
    pub oid: Oid,
    /// `nspname`
    pub name: String,
    /// Owning role.
    pub owner: Oid,
}

/// A table and everything that cannot exist without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// `pg_class.oid`
    pub oid: Oid,
    /// Schema.
    pub schema: Oid,
    /// `relname`
    pub name: String,
    /// Owning role.
    pub owner: Oid,
    /// Row type's OID (`reltype`).
    pub row_type: Oid,
    /// OID of the array type over the row type; 0 when it was made before there were any.
    #[serde(default)]
    pub row_array: Oid,
    /// Columns in attnum order, dropped ones included: `columns[i].attnum == i + 1`.
    pub columns: Vec<Column>,
    /// Where rows live. Row key: the primary key's columns, or the hidden row id (int8, drawn per table, never shown).
    pub storage: StorageId,
    /// The columns (as indexes into `columns`) that form the row key, in key order; empty when rows are keyed by hidden row id.
    /// Fixed for one storage id: adding a primary key to a loaded table fills a fresh storage.
    pub row_key: Vec<usize>,
    /// Indexes, the primary key's included. The primary key's index has no storage of its own when `row_key` is its columns.
    pub indexes: Vec<Index>,
    /// CHECK, UNIQUE and PRIMARY KEY constraints.
    pub constraints: Vec<Constraint>,
    /// What a commit does to a temporary table; `None` leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_commit: Option<OnCommit>,
    /// The query of a materialized view, which is a table otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialized: Option<Materialized>,
}

/// What a commit does to a temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnCommit {
    /// ON COMMIT DELETE ROWS
    DeleteRows,
    /// ON COMMIT DROP
    Drop,
}

/// What makes a table a materialized view. The query is kept as a view's is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Materialized {
    /// The query, as it was written.
    pub query: String,
    /// What the query's names of relations mean; each written form once.
    pub relations: Vec<ViewRelation>,
    /// Whether it holds the query's rows: false after WITH NO DATA.
    pub populated: bool,
}

/// A view: a query with a name. The query is kept as it was written, together with what its names meant then, so that it means the same
/// whatever is renamed, added or found earlier on a search path later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// `pg_class.oid`
    pub oid: Oid,
    /// Schema.
    pub schema: Oid,
    /// `relname`
    pub name: String,
    /// Owning role.
    pub owner: Oid,
    /// Row type's OID (`reltype`).
    pub row_type: Oid,
    /// OID of the array type over the row type; 0 when it was made before there were any.
    #[serde(default)]
    pub row_array: Oid,
    /// Columns in attnum order; never dropped, only added by CREATE OR REPLACE.
    pub columns: Vec<ViewColumn>,
    /// The query, as it was written.
    pub query: String,
    /// What the query's names of relations mean; each written form once.
    pub relations: Vec<ViewRelation>,
    /// WITH (..) and WITH CHECK OPTION as `pg_class.reloptions` has them: (name, value).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewColumn {
    /// `attname`
    pub name: String,
    /// OID and typmod.
    #[serde(with = "pg_type_serde")]
    pub ty: PgType,
    /// DEFAULT of rows that are inserted through the view, as SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// What a name in a view's query means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewRelation {
    /// The schema, if the query says it.
    pub schema: Option<String>,
    /// The name in the query.
    pub name: String,
    /// `pg_class.oid` of a table, a view, a sequence, an index or a system table.
    pub oid: Oid,
    /// Columns of a table or view as the query knows them: (attnum, name). Later ones are not seen.
    pub columns: Vec<(i16, String)>,
    /// Columns of a table that the query uses (attnum): they cannot be dropped or change their type.
    pub used: Vec<i16>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// `attnum`, from 1.
    pub attnum: i16,
    /// `attname`
    pub name: String,
    /// OID and typmod.
    #[serde(with = "pg_type_serde")]
    pub ty: PgType,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT as SQL text; of a generated column its expression over the other columns.
    pub default: Option<String>,
    /// GENERATED ALWAYS AS (..) STORED.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated: bool,
    /// The value that rows stored before ADD COLUMN .. DEFAULT read as: text form of the value (`attmissingval`).
    pub missing: Option<String>,
    /// GENERATED .. AS IDENTITY.
    pub identity: Option<Identity>,
    /// `attisdropped`: stays in place so that stored rows keep their positions.
    pub dropped: bool,
}

/// Kind of identity column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// GENERATED ALWAYS
    Always,
    /// GENERATED BY DEFAULT
    ByDefault,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// `pg_class.oid` of the index.
    pub oid: Oid,
    /// Name, in the table's schema.
    pub name: String,
    /// Where entries live; `None` when the table's own row key is this index.
    pub storage: Option<StorageId>,
    /// Key columns in order.
    pub keys: Vec<IndexKey>,
    /// UNIQUE.
    pub unique: bool,
    /// Backs the primary key.
    pub primary: bool,
}

/// One key column of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexKey {
    /// Index into `Table::columns`.
    pub column: usize,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// A table constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// `pg_constraint.oid`
    pub oid: Oid,
    /// `conname`
    pub name: String,
    /// What it demands.
    pub kind: ConstraintKind,
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConstraintKind {
    /// CHECK, as SQL text over the table's columns.
    Check {
        /// Normalised expression text.
        expression: String,
    },
    /// UNIQUE or PRIMARY KEY, enforced by an index.
    Unique {
        /// The index's OID.
        index: Oid,
        /// PRIMARY KEY.
        primary: bool,
    },
}

/// A sequence. Its counter lives in its own row, written ahead in reservations, so `nextval` waits for no commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// `pg_class.oid`
    pub oid: Oid,
    /// Schema.
    pub schema: Oid,
    /// Name.
    pub name: String,
    /// Owning role.
    pub owner: Oid,
    /// int2, int4 or int8.
    #[serde(with = "pg_type_serde")]
    pub ty: PgType,
    /// START
    pub start: i64,
    /// INCREMENT, never 0.
    pub increment: i64,
    /// MINVALUE
    pub min: i64,
    /// MAXVALUE
    pub max: i64,
    /// CACHE
    pub cache: i64,
    /// CYCLE
    pub cycle: bool,
    /// OWNED BY (table OID, attnum).
    pub owned_by: Option<(Oid, i16)>,
    /// Which generation of the counter row is current: RESTART and TRUNCATE .. RESTART IDENTITY draw a fresh one.
    pub storage: StorageId,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// `pg_authid.oid`
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// SUPERUSER
    pub superuser: bool,
    /// LOGIN
    pub login: bool,
    /// SCRAM-SHA-256 verifier in PostgreSQL's `rolpassword` form, if a password is set.
    pub password: Option<String>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// `pg_database.oid`
    pub oid: Oid,
    /// `datname`
    pub name: String,
    /// Owning role.
    pub owner: Oid,
}

/// A contiguous key range of a storage (for now: all of it) and the worker group that owns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// The storage.
    pub storage: StorageId,
    /// The owning group's id.
    pub group: u32,
}

/// COMMENT ON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    /// The object's OID.
    pub object: Oid,
    /// The column's attnum, 0 for the object itself.
    pub attnum: i16,
    /// The text.
    pub text: String,
}

impl Table {
    /// Columns that are not dropped, with their index into `columns`.
    pub fn live_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, c)| !c.dropped)
    }
    /// Finds a live column by name.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.live_columns().find(|(_, c)| c.name == name)
    }
    /// The primary key's index.
    pub fn primary_key(&self) -> Option<&Index> {
        self.indexes.iter().find(|i| i.primary)
    }
    /// Finds an index by OID.
    pub fn index(&self, oid: Oid) -> Option<&Index> {
        self.indexes.iter().find(|i| i.oid == oid)
    }
}

/// `PgType` as a pair in the stored form.
pub(crate) mod pg_type_serde {
    use super::PgType;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    pub fn serialize<S: Serializer>(t: &PgType, s: S) -> Result<S::Ok, S::Error> {
        (t.oid, t.typmod).serialize(s)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<PgType, D::Error> {
        let (oid, typmod) = <(u32, i32)>::deserialize(d)?;
        Ok(PgType { oid, typmod })
    }
}
