//! Catalog objects as plain data. Expressions are kept as SQL text (normalised by the binder that accepted them) and bound again when a
//! catalog version is first used, so the stored form does not depend on the binder's internals.

use crate::partition::{PartitionBound, PartitionKey};
use crate::privilege::Membership;
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
    #[serde(default, skip_serializing_if = "is_default")]
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
    /// CHECK, UNIQUE, PRIMARY KEY and FOREIGN KEY constraints.
    pub constraints: Vec<Constraint>,
    /// What a commit does to a temporary table; `None` leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_commit: Option<OnCommit>,
    /// The query of a materialized view, which is a table otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialized: Option<Materialized>,
    /// Tables that this one inherits from, in the order of `inhseqno`; of a partition the one partitioned table that it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Oid>,
    /// PARTITION BY: the table is a partitioned one. Its own storages stay empty for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<PartitionKey>,
    /// FOR VALUES ..: the table is a partition of its one parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_bound: Option<PartitionBound>,
}

/// Where a column or a constraint of a table comes from: the table itself, its parents, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The table defines it itself (`attislocal`, `conislocal`).
    pub local: bool,
    /// How many of the table's parents have it (`attinhcount`, `coninhcount`).
    pub parents: u16,
}

impl Origin {
    /// Defined by one parent and not by the table.
    pub const INHERITED: Origin = Origin { local: false, parents: 1 };
    /// Whether some parent has it, so that it cannot be dropped or renamed on its own.
    pub fn is_inherited(self) -> bool {
        self.parents > 0
    }
}

impl Default for Origin {
    fn default() -> Origin {
        Origin { local: true, parents: 0 }
    }
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
    #[serde(default, skip_serializing_if = "is_default")]
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
    /// `attislocal`, `attinhcount`
    #[serde(default, skip_serializing_if = "is_default")]
    pub origin: Origin,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// INCLUDE: further columns (indexes into `Table::columns`). Entries hold none of their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<usize>,
    /// WHERE of a partial index, as SQL text over the table's columns: rows for which it is not true have no entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// NULLS NOT DISTINCT: NULLs are equal to each other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nulls_not_distinct: bool,
    /// The method that it was asked for; entries are ordered whichever it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: IndexMethod,
    /// UNIQUE and checked no earlier than at the end of the statement: entries of one key may stand side by side until then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deferrable: bool,
    /// The partitioned table's index that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Oid>,
    /// Writers keep it and readers don't use it (`not indisvalid`): CREATE INDEX CONCURRENTLY is filling it, or has failed to; or it is a
    /// partitioned table's, and not every partition has a part of it yet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub incomplete: bool,
}

/// `pg_am`: what CREATE INDEX .. USING names. All are ordered indexes here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // PostgreSQL's own names
pub enum IndexMethod {
    #[default]
    Btree,
    Hash,
    Brin,
}

impl IndexMethod {
    /// `pg_am.amname`
    pub fn name(self) -> &'static str {
        match self {
            IndexMethod::Btree => "btree",
            IndexMethod::Hash => "hash",
            IndexMethod::Brin => "brin",
        }
    }
    /// `pg_am.oid`
    pub fn oid(self) -> Oid {
        match self {
            IndexMethod::Btree => 403,
            IndexMethod::Hash => 405,
            IndexMethod::Brin => 3580,
        }
    }
}

/// One key column of an index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexKey {
    /// What is indexed.
    #[serde(rename = "column")]
    pub of: KeyOf,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
    /// COLLATE, when it was written and is not the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Operator class, when it is not the type's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opclass: Option<String>,
}

/// What a key column of an index holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyOf {
    /// A column: index into `Table::columns`.
    Column(usize),
    /// An expression over the table's columns.
    Expression {
        /// SQL text, normalised.
        text: String,
        /// Its type.
        #[serde(with = "pg_type_serde")]
        ty: PgType,
        /// `attname` of the index's column: the function's name, or `expr`.
        name: String,
    },
}

impl Default for KeyOf {
    fn default() -> KeyOf {
        KeyOf::Column(0)
    }
}

impl KeyOf {
    /// The column, if it is one: index into `Table::columns`.
    pub fn as_column(&self) -> Option<usize> {
        match self {
            KeyOf::Column(i) => Some(*i),
            KeyOf::Expression { .. } => None,
        }
    }
    /// The type of its values.
    pub fn ty(&self, table: &Table) -> PgType {
        match self {
            KeyOf::Column(i) => table.columns[*i].ty,
            KeyOf::Expression { ty, .. } => *ty,
        }
    }
}

impl IndexKey {
    /// A column in ascending order.
    pub fn column(column: usize) -> IndexKey {
        IndexKey {
            of: KeyOf::Column(column),
            ..IndexKey::default()
        }
    }
    /// The column, if it is one: index into `Table::columns`.
    pub fn as_column(&self) -> Option<usize> {
        self.of.as_column()
    }
    /// The type of its values.
    pub fn ty(&self, table: &Table) -> PgType {
        self.of.ty(table)
    }
    /// The name of the index's column.
    pub fn name<'a>(&'a self, table: &'a Table) -> &'a str {
        match &self.of {
            KeyOf::Column(i) => &table.columns[*i].name,
            KeyOf::Expression { name, .. } => name,
        }
    }
}

impl Index {
    /// The key columns that are columns of the table: indexes into `Table::columns`.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.keys.iter().filter_map(IndexKey::as_column)
    }
    /// Whether entries depend on expressions: keys or a predicate.
    pub fn computes(&self) -> bool {
        self.predicate.is_some() || self.keys.iter().any(|k| k.as_column().is_none())
    }
    /// Whether it is unique for whole rows by plain columns at every moment: what a foreign key or an inference needs.
    pub fn is_plain_unique(&self) -> bool {
        self.unique && !self.computes()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    /// When it is checked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timing: Timing,
    /// NOT VALID: rows from before it may violate it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_valid: bool,
    /// NO INHERIT: a CHECK that children do not get.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_inherit: bool,
    /// `conislocal`, `coninhcount`
    #[serde(default, skip_serializing_if = "is_default")]
    pub origin: Origin,
    /// The partitioned table's UNIQUE, PRIMARY KEY or FOREIGN KEY that this one is a part of (`conparentid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Oid>,
}

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timing {
    /// NOT DEFERRABLE
    #[default]
    Immediate,
    /// DEFERRABLE INITIALLY IMMEDIATE
    Deferrable,
    /// DEFERRABLE INITIALLY DEFERRED
    Deferred,
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
    /// FOREIGN KEY.
    ForeignKey(ForeignKey),
}

/// FOREIGN KEY: each row names a row of another table, or of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The referencing columns (indexes into `Table::columns`).
    pub columns: Vec<usize>,
    /// The referenced table's OID.
    pub table: Oid,
    /// The referenced columns (indexes into the columns of that table), in the order of `columns`.
    pub key: Vec<usize>,
    /// The unique index of the referenced table that has exactly these columns.
    pub index: Oid,
    /// ON UPDATE
    pub on_update: ForeignKeyAction,
    /// ON DELETE
    pub on_delete: ForeignKeyAction,
    /// The columns that ON DELETE SET NULL or SET DEFAULT sets; empty: all.
    pub set: Vec<usize>,
    /// MATCH FULL
    pub full: bool,
}

/// ON DELETE, ON UPDATE
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // SQL's own words
pub enum ForeignKeyAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
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

impl Sequence {
    /// Whether a stored default's text mentions it: by OID, so that renaming it changes nothing.
    pub fn is_mentioned(&self, default: &str) -> bool {
        default.contains(&format!("'{}'::regclass", self.oid))
    }
}

/// A function or procedure in SQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// `pg_proc.oid`
    pub oid: Oid,
    /// Schema.
    pub schema: Oid,
    /// `proname`
    pub name: String,
    /// Owning role.
    pub owner: Oid,
    /// A procedure.
    pub procedure: bool,
    /// Parameters of all modes, in order.
    pub parameters: Vec<Parameter>,
    /// What it gives: the type of a value, record for several columns, void.
    #[serde(with = "pg_type_serde")]
    pub returns: PgType,
    /// SETOF, or RETURNS TABLE.
    pub set: bool,
    /// `lanname`
    pub language: String,
    /// `prosrc`, or the statements of a body in the standard's form.
    pub body: String,
    /// The form of the body.
    pub form: BodyForm,
    /// IMMUTABLE, STABLE or VOLATILE: `i`, `s`, `v`.
    pub volatility: char,
    /// NULL on any NULL argument, without being called.
    pub strict: bool,
    /// SECURITY DEFINER
    pub security_definer: bool,
    /// LEAKPROOF
    pub leakproof: bool,
    /// `s`, `r` or `u`.
    pub parallel: char,
    /// COST
    pub cost: f32,
    /// ROWS; 0 without SETOF.
    pub rows: f32,
}

/// A function's parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name; empty for none.
    pub name: String,
    /// `i` IN, `o` OUT, `b` INOUT, `v` VARIADIC, `t` a column of RETURNS TABLE, as in `proargmodes`.
    pub mode: char,
    /// Type.
    #[serde(with = "pg_type_serde")]
    pub ty: PgType,
    /// DEFAULT, as it was written.
    pub default: Option<String>,
}

impl Parameter {
    /// Whether a call gives it a value.
    pub fn is_input(&self) -> bool {
        matches!(self.mode, 'i' | 'b' | 'v')
    }
    /// Whether it is part of the result.
    pub fn is_output(&self) -> bool {
        matches!(self.mode, 'o' | 'b' | 't')
    }
}

/// How a function's body was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyForm {
    /// AS and a string.
    Text,
    /// RETURN; the body is the query that it means.
    Return,
    /// BEGIN ATOMIC
    Atomic,
}

impl Function {
    /// Parameters that a call gives values, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.is_input())
    }
    /// Parameters that are columns of the result.
    pub fn outputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.is_output())
    }
    /// Types of the inputs: with name and schema, what tells functions apart.
    pub fn input_types(&self) -> Vec<u32> {
        self.inputs().map(|p| p.ty.oid).collect()
    }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// INHERIT
    pub inherit: bool,
    /// CREATEROLE
    pub create_role: bool,
    /// CREATEDB
    pub create_db: bool,
    /// REPLICATION
    pub replication: bool,
    /// BYPASSRLS
    pub bypass_rls: bool,
    /// CONNECTION LIMIT; -1 for none.
    pub connection_limit: i32,
    /// VALID UNTIL, microseconds since 2000-01-01 UTC: the password is good until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
    /// The roles that it is a member of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<Membership>,
}

impl Default for Role {
    fn default() -> Role {
        Role {
            oid: 0,
            name: String::new(),
            superuser: false,
            login: false,
            password: None,
            inherit: true,
            create_role: false,
            create_db: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            valid_until: None,
            member_of: Vec::new(),
        }
    }
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

impl Constraint {
    /// A constraint that is valid and checked at once.
    pub fn new(oid: Oid, name: String, kind: ConstraintKind) -> Constraint {
        Constraint {
            oid,
            name,
            kind,
            timing: Timing::Immediate,
            not_valid: false,
            no_inherit: false,
            origin: Origin::default(),
            parent: None,
        }
    }
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
    /// FOREIGN KEY constraints.
    pub fn foreign_keys(&self) -> impl Iterator<Item = (&Constraint, &ForeignKey)> {
        self.constraints.iter().filter_map(|c| match &c.kind {
            ConstraintKind::ForeignKey(key) => Some((c, key)),
            _ => None,
        })
    }
    /// Whether it is a partitioned table: its rows are its partitions'.
    pub fn is_partitioned(&self) -> bool {
        self.partition_key.is_some()
    }
    /// Whether it is a partition.
    pub fn is_partition(&self) -> bool {
        self.partition_bound.is_some()
    }
    /// The partitioned table that it is a partition of.
    pub fn partition_of(&self) -> Option<Oid> {
        self.partition_bound.as_ref().and_then(|_| self.parents.first().copied())
    }
    /// The view that a materialized view would be; `None` for another table.
    pub fn as_view(&self) -> Option<View> {
        let materialized = self.materialized.as_ref()?;
        let column = |c: &Column| ViewColumn {
            name: c.name.clone(),
            ty: c.ty,
            default: None,
        };
        Some(View {
            oid: self.oid,
            schema: self.schema,
            name: self.name.clone(),
            owner: self.owner,
            row_type: self.row_type,
            row_array: self.row_array,
            columns: self.live_columns().map(|(_, c)| column(c)).collect(),
            query: materialized.query.clone(),
            relations: materialized.relations.clone(),
            options: Vec::new(),
        })
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
