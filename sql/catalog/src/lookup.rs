//! Finding objects by name.

use crate::object::*;
use crate::temporary::is_temporary;
use crate::version::{Catalog, Relation};
use std::sync::Arc;

/// OID of the schema `pg_catalog`, as in PostgreSQL.
pub const PG_CATALOG: Oid = 11;
/// OID of the schema `public`, as in PostgreSQL.
pub const PUBLIC: Oid = 2_200;
/// OID of the schema `information_schema`.
pub const INFORMATION_SCHEMA: Oid = 13_200;
/// OID of the schema `curia`: views of the cluster.
pub const CURIA: Oid = 15_000;
/// OID of the first role (`curia`), that of PostgreSQL's bootstrap superuser.
pub const FIRST_ROLE: Oid = 10;
/// OID of the first database (`curia`), that of PostgreSQL's `postgres`.
pub const FIRST_DATABASE: Oid = 5;
/// Longest identifier in bytes (`NAMEDATALEN - 1`).
pub const MAX_NAME_BYTES: usize = 63;

impl Catalog {
    /// Finds a schema by name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.schemas.values().find(|s| s.name == name)
    }
    /// Finds a role by name.
    pub fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.values().find(|r| r.name == name)
    }
    /// Finds a database by name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.values().find(|d| d.name == name)
    }
    /// Finds a relation of one schema.
    pub fn relation_in(&self, schema: Oid, name: &str) -> Option<Relation> {
        self.relations.get(&(schema, name.to_owned())).copied()
    }
    /// Finds a relation in the schemas of a search path, in order. Names of schemas that don't exist are passed over, as PostgreSQL does;
    /// `$user` must have been replaced. `pg_catalog` holds no stored relations, so its place in the path does not matter here.
    pub fn relation(&self, search_path: &[String], name: &str) -> Option<Relation> {
        search_path
            .iter()
            .filter_map(|s| self.schema(s))
            .find_map(|s| self.relation_in(s.oid, name))
    }
    /// Finds a table in the schemas of a search path.
    pub fn table(&self, search_path: &[String], name: &str) -> Option<&Arc<Table>> {
        match self.relation(search_path, name)? {
            Relation::Table(oid) => self.tables.get(&oid),
            _ => None,
        }
    }
    /// Functions of a name in one schema.
    pub fn functions_in<'a>(&'a self, schema: Oid, name: &'a str) -> impl Iterator<Item = &'a Arc<Function>> {
        self.functions.values().filter(move |f| f.schema == schema && f.name == name)
    }
    /// Functions of a name along a search path, those of earlier schemas first; of two with the same inputs, the first.
    pub fn functions_named<'a>(&'a self, search_path: &[String], name: &str) -> Vec<&'a Arc<Function>> {
        let mut found: Vec<&'a Arc<Function>> = Vec::new();
        // A temporary schema is never searched for functions.
        for schema in search_path.iter().filter(|s| !is_temporary(s)).filter_map(|s| self.schema(s)) {
            for f in self.functions.values().filter(|f| f.schema == schema.oid && f.name == name) {
                if !found.iter().any(|g| g.schema != f.schema && g.input_types() == f.input_types()) {
                    found.push(f);
                }
            }
        }
        found
    }
    /// The schema in which an unqualified CREATE of something permanent puts it: the first of the search path that exists.
    pub fn creation_schema(&self, search_path: &[String]) -> Option<&Arc<Schema>> {
        search_path.iter().filter(|s| !is_temporary(s)).find_map(|s| self.schema(s))
    }
    /// The name of an object's schema; empty when the schema is unknown.
    pub fn schema_name(&self, oid: Oid) -> &str {
        self.schemas.get(&oid).map_or("", |s| s.name.as_str())
    }
    /// Whether a schema is some session's temporary one.
    pub fn is_temporary(&self, schema: Oid) -> bool {
        is_temporary(self.schema_name(schema))
    }
    /// A relation by `pg_class.oid`: (schema, name, what it is).
    pub fn relation_by_oid(&self, oid: Oid) -> Option<(Oid, &str, Relation)> {
        if let Some(t) = self.tables.get(&oid) {
            return Some((t.schema, &t.name, Relation::Table(oid)));
        }
        if let Some(s) = self.sequences.get(&oid) {
            return Some((s.schema, &s.name, Relation::Sequence(oid)));
        }
        if let Some(v) = self.views.get(&oid) {
            return Some((v.schema, &v.name, Relation::View(oid)));
        }
        self.tables
            .values()
            .find_map(|t| t.index(oid).map(|i| (t.schema, i.name.as_str(), Relation::Index(t.oid, oid))))
    }
    /// Views whose queries name a relation.
    pub fn views_on(&self, relation: Oid) -> impl Iterator<Item = &Arc<View>> {
        self.views.values().filter(move |v| v.relations.iter().any(|r| r.oid == relation))
    }
    /// Materialized views whose queries name a relation.
    pub fn materialized_on(&self, relation: Oid) -> impl Iterator<Item = &Arc<Table>> {
        let names = move |m: &Materialized| m.relations.iter().any(|r| r.oid == relation);
        self.tables.values().filter(move |t| t.materialized.as_ref().is_some_and(names))
    }
    /// FOREIGN KEY constraints that refer to a table, its own among them: (referencing table, constraint), by OID of the table.
    pub fn references_to(&self, table: Oid) -> impl Iterator<Item = (&Arc<Table>, &Constraint, &ForeignKey)> {
        self.tables
            .values()
            .flat_map(|t| t.foreign_keys().map(move |(c, k)| (t, c, k)))
            .filter(move |(_, _, k)| k.table == table)
    }
    /// Sequences owned by a table, or by one of its columns.
    pub fn owned_sequences(&self, table: Oid, attnum: Option<i16>) -> impl Iterator<Item = &Arc<Sequence>> {
        self.sequences
            .values()
            .filter(move |s| s.owned_by.is_some_and(|(t, a)| t == table && attnum.is_none_or(|n| n == a)))
    }
    /// The worker group that owns a storage; system storages belong to group 0.
    pub fn group_of(&self, storage: StorageId) -> u32 {
        self.partitions.get(&storage).map_or(0, |p| p.group)
    }
}

/// PostgreSQL's `makeObjectName`: `name1_name2_label`, its parts cut so that the whole fits into 63 bytes, the longer part first, never
/// inside a character.
pub fn make_object_name(name1: &str, name2: Option<&str>, label: Option<&str>) -> String {
    let overhead = name2.map_or(0, |_| 1) + label.map_or(0, |l| l.len() + 1);
    let available = MAX_NAME_BYTES.saturating_sub(overhead);
    let (mut len1, mut len2) = (name1.len(), name2.map_or(0, str::len));
    while len1 + len2 > available {
        if len1 > len2 {
            len1 -= 1;
        } else {
            len2 -= 1;
        }
    }
    let mut out = clip(name1, len1).to_owned();
    if let Some(name2) = name2 {
        out.push('_');
        out.push_str(clip(name2, len2));
    }
    if let Some(label) = label {
        out.push('_');
        out.push_str(label);
    }
    out
}

/// PostgreSQL's `ChooseRelationName`: [`make_object_name`], then the same with 1, 2, .. behind the label until `taken` says no.
pub fn choose_name(name1: &str, name2: Option<&str>, label: &str, mut taken: impl FnMut(&str) -> bool) -> String {
    let mut pass = 0u32;
    loop {
        let label = if pass == 0 { label.to_owned() } else { format!("{label}{pass}") };
        let name = make_object_name(name1, name2, Some(&label));
        if !taken(&name) {
            return name;
        }
        pass += 1;
    }
}

fn clip(s: &str, max: usize) -> &str {
    let mut end = max.min(s.len());
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}
