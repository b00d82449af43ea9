//! Objects by name, with PostgreSQL's errors.

use crate::Ddl;
use curia_catalog::system::is_system_schema;
use curia_catalog::{Oid, Relation, Rights, Schema, Sequence, Table, temporary};
use curia_parse::ObjectName;
use curia_parse::ast::{Ident, Persistence, RoleSpec};
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

impl Ddl<'_> {
    /// A relation by name, or `None`. An unknown schema in a qualified name is 3F000.
    pub(crate) fn lookup(&self, name: &ObjectName) -> Result<Option<Relation>> {
        self.check_database(name)?;
        let catalog = self.catalog();
        match name.schema() {
            Some(schema) => {
                let schema = self.schema_named(schema)?;
                self.must_have(schema.oid, Rights::USAGE)?;
                Ok(catalog.relation_in(schema.oid, name.name()))
            }
            None => Ok(catalog.relation(self.env.search_path, name.name())),
        }
    }

    /// A relation by name, or 42P01.
    pub(crate) fn find_relation(&self, name: &ObjectName) -> Result<Relation> {
        self.lookup(name)?.ok_or_else(|| no_relation(name))
    }

    /// A table by name. System catalogs answer 42501, other kinds of relation 42809.
    pub(crate) fn find_table(&self, name: &ObjectName) -> Result<Arc<Table>> {
        if is_system(name) {
            return Err(permission_denied(name.name()));
        }
        match self.find_relation(name)? {
            Relation::Table(oid) if self.table(oid)?.materialized.is_none() => self.table(oid),
            _ => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table", name.name()),
            )),
        }
    }

    /// A table or materialized view by name: what indexes can be on.
    pub(crate) fn find_indexed(&self, name: &ObjectName) -> Result<Arc<Table>> {
        match self.lookup(name)? {
            Some(Relation::Table(oid)) => self.table(oid),
            _ => self.find_table(name),
        }
    }

    /// A table by OID: it exists in the catalog the statement looks at.
    pub(crate) fn table(&self, oid: Oid) -> Result<Arc<Table>> {
        self.catalog()
            .tables
            .get(&oid)
            .cloned()
            .ok_or_else(|| SqlError::internal(format!("table {oid} is not in the catalog")))
    }

    /// A sequence by OID.
    pub(crate) fn sequence(&self, oid: Oid) -> Result<Arc<Sequence>> {
        self.catalog()
            .sequences
            .get(&oid)
            .cloned()
            .ok_or_else(|| SqlError::internal(format!("sequence {oid} is not in the catalog")))
    }

    /// A schema by name, or 3F000.
    pub(crate) fn schema_named(&self, name: &str) -> Result<Arc<Schema>> {
        let meant = if name == temporary::ALIAS { self.env.temporary } else { name };
        self.catalog().schema(meant).cloned().ok_or_else(|| no_schema(name))
    }

    /// The schema in which CREATE puts a relation of this name.
    pub(crate) fn creation_schema(&mut self, name: &ObjectName, persistence: Persistence) -> Result<Arc<Schema>> {
        self.check_database(name)?;
        if let Some(schema) = self.temporary_creation_schema(name, persistence)? {
            return Ok(schema);
        }
        let catalog = self.catalog();
        let schema = match name.schema() {
            Some(schema) => catalog.schema(schema).ok_or_else(|| no_schema(schema).at(Some(name.pos())))?,
            None => catalog
                .creation_schema(self.env.search_path)
                .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in"))?,
        };
        if is_system_schema(&schema.name) {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to create \"{}.{}\"", schema.name, name.name()),
            )
            .detail("System catalog modifications are currently disallowed."));
        }
        self.must_have(schema.oid, Rights::CREATE)?;
        Ok(schema.clone())
    }

    /// A role by specification.
    pub(crate) fn find_role(&self, role: &RoleSpec) -> Result<Oid> {
        match role {
            RoleSpec::CurrentUser => Ok(self.env.role),
            RoleSpec::SessionUser => Ok(self.env.session_role),
            RoleSpec::Public => Err(no_role("public")),
            RoleSpec::Name(name) => self.catalog().role(&name.name).map(|r| r.oid).ok_or_else(|| no_role(&name.name)),
        }
    }

    /// Whether an unqualified name of this relation finds it: then messages show the bare name.
    fn visible(&self, schema: Oid, name: &str) -> bool {
        let catalog = self.catalog();
        catalog
            .relation(self.env.search_path, name)
            .is_some_and(|found| catalog.relation_in(schema, name) == Some(found))
    }

    /// A relation's name as messages show it: quoted where needed, qualified where the search path doesn't find it.
    pub(crate) fn shown(&self, schema: Oid, name: &str) -> String {
        let bare = curia_parse::quote_identifier(name);
        if self.visible(schema, name) {
            return bare.to_string();
        }
        format!("{}.{}", curia_parse::quote_identifier(self.catalog().schema_name(schema)), bare)
    }

    fn check_database(&self, name: &ObjectName) -> Result<()> {
        match name.database() {
            Some(db) if self.catalog().database(db).is_none() => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cross-database references are not implemented: \"{name}\""),
            )),
            _ => Ok(()),
        }
    }
}

/// A column by name, or 42703.
pub(crate) fn find_column(table: &Table, name: &Ident) -> Result<usize> {
    table
        .column(&name.name)
        .map(|(i, _)| i)
        .ok_or_else(|| no_column(&name.name, &table.name))
}

pub(crate) fn no_column(column: &str, table: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_COLUMN,
        format!("column \"{column}\" of relation \"{table}\" does not exist"),
    )
}

pub(crate) fn no_relation(name: &ObjectName) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}

pub(crate) fn no_schema(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
}

pub(crate) fn no_role(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

pub(crate) fn relation_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}

fn is_system(name: &ObjectName) -> bool {
    name.schema().is_some_and(is_system_schema) || (name.schema().is_none() && name.name().starts_with("pg_catalog."))
}

fn permission_denied(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("permission denied: \"{name}\" is a system catalog"),
    )
}
