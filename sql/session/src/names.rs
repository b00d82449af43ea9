//! Names of catalog objects behind the reg* types, at one catalog version and search path.

use crate::settings::search_path;
use crate::signatures;
use curia_catalog::system::{PG_CATALOG, system_indexes, system_table, system_table_named};
use curia_catalog::{Catalog, Oid, temporary, version::Relation};
use curia_parse::quote_identifier;
use curia_types::{ObjectNames, PgType, Result, SqlError, SqlState, oid, type_info};
use std::sync::Arc;

/// Looks names up in a catalog version.
pub struct Names {
    /// The version.
    pub catalog: Arc<Catalog>,
    /// Schemas of the search path, `pg_catalog` where it stands or, as usual, in front.
    pub search_path: Arc<[String]>,
}

impl Names {
    /// OID of a relation by (qualified) name, system tables included.
    pub fn relation(&self, name: &str) -> Result<Oid> {
        let parts = split(name)?;
        let index = |name: &str| system_indexes().iter().find(|i| i.name == name).map(|i| i.oid);
        let found = match parts.as_slice() {
            [relation] => system_table_named("pg_catalog", relation)
                .map(|t| t.oid)
                .or_else(|| index(relation))
                .or_else(|| self.catalog.relation(&self.search_path, relation).map(Relation::oid)),
            [schema, relation] => match system_table_named(schema, relation) {
                Some(t) => Some(t.oid),
                None if schema == "pg_catalog" && index(relation).is_some() => index(relation),
                None => match self.catalog.schema(temporary::meant(schema, &self.search_path)) {
                    Some(s) => self.catalog.relation_in(s.oid, relation).map(Relation::oid),
                    None => {
                        return Err(SqlError::new(
                            SqlState::INVALID_SCHEMA_NAME,
                            format!("schema \"{schema}\" does not exist"),
                        ));
                    }
                },
            },
            [database, schema, relation] if self.catalog.database(database).is_some() => self
                .catalog
                .schema(schema)
                .and_then(|s| self.catalog.relation_in(s.oid, relation))
                .map(Relation::oid),
            _ => None,
        };
        found.ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", parts.join(".")),
            )
        })
    }

    fn relation_name(&self, oid: Oid) -> Option<String> {
        if let Some(t) = system_table(oid) {
            return Some(if t.schema == PG_CATALOG {
                t.name.to_owned()
            } else {
                format!("{}.{}", t.schema_name, t.name)
            });
        }
        if let Some(index) = system_indexes().iter().find(|i| i.oid == oid) {
            return Some(index.name.to_owned());
        }
        let (schema, name, _) = self.catalog.relation_by_oid(oid)?;
        let schema = self.catalog.schema_name(schema);
        let visible = self.catalog.relation(&self.search_path, name).map(Relation::oid) == Some(oid)
            && system_table_named("pg_catalog", name).is_none();
        Some(if visible {
            quote_identifier(name).to_string()
        } else {
            format!("{}.{}", quote_identifier(schema), quote_identifier(name))
        })
    }
}

/// Splits `a."B".c` into its parts.
pub(crate) fn split(name: &str) -> Result<Vec<String>> {
    // Dots separate here where search_path has commas; quoting is the same.
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        let end = if rest.starts_with('"') {
            let mut at = 1;
            loop {
                match rest[at..].find('"') {
                    Some(n) if rest[at + n + 1..].starts_with('"') => at += n + 2,
                    Some(n) => break at + n + 1,
                    None => return Err(invalid_name()),
                }
            }
        } else {
            rest.find('.').unwrap_or(rest.len())
        };
        match search_path::split(&rest[..end]).as_deref() {
            Some([one]) if !one.is_empty() => parts.push(one.clone()),
            _ => return Err(invalid_name()),
        }
        rest = rest[end..].trim_start();
        if rest.is_empty() {
            return Ok(parts);
        }
        rest = rest.strip_prefix('.').ok_or_else(invalid_name)?.trim_start();
    }
}

pub(crate) fn invalid_name() -> SqlError {
    SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")
}

impl ObjectNames for Names {
    fn name_of(&self, ty: u32, oid: u32) -> Option<String> {
        match ty {
            oid::REGCLASS => self.relation_name(oid),
            oid::REGNAMESPACE => self.catalog.schemas.get(&oid).map(|s| quote_identifier(&s.name).to_string()),
            oid::REGROLE => self.catalog.roles.get(&oid).map(|r| quote_identifier(&r.name).to_string()),
            oid::REGPROC => curia_functions::by_oid(oid)
                .map(|f| f.name)
                .or_else(|| curia_execute::support_name(oid))
                .map(str::to_owned),
            oid::REGTYPE => {
                let known = type_info::by_oid(oid).is_some() || type_info::user::kind(oid).is_some();
                known.then(|| self.catalog.format_type(&self.search_path, PgType::with_typmod(oid, -1)))
            }
            _ => signatures::text_of(ty, oid),
        }
    }

    fn oid_of(&self, ty: u32, name: &str) -> Result<u32> {
        match ty {
            oid::REGCLASS => self.relation(name),
            oid::REGNAMESPACE => match split(name)?.as_slice() {
                [one] => self
                    .catalog
                    .schema(one)
                    .map(|s| s.oid)
                    .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{one}\" does not exist"))),
                _ => Err(invalid_name()),
            },
            oid::REGROLE => match split(name)?.as_slice() {
                [one] => self
                    .catalog
                    .role(one)
                    .map(|r| r.oid)
                    .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{one}\" does not exist"))),
                _ => Err(invalid_name()),
            },
            oid::REGPROC => {
                let parts = split(name)?;
                let bare = match parts.as_slice() {
                    [f] => f,
                    [schema, f] if schema == "pg_catalog" => f,
                    _ => return Err(undefined_function(name)),
                };
                match curia_functions::candidates(bare) {
                    [one] => Ok(one.oid),
                    [] => curia_execute::support_named(bare).ok_or_else(|| undefined_function(name)),
                    _ => Err(SqlError::new(
                        SqlState::AMBIGUOUS_FUNCTION,
                        format!("more than one function named \"{name}\""),
                    )),
                }
            }
            oid::REGTYPE => self.type_named(name),
            oid::REGPROCEDURE => signatures::function_named(self, name),
            oid::REGOPER => signatures::operator_named(name),
            oid::REGOPERATOR => signatures::operator_with_types(self, name),
            oid::REGCOLLATION => signatures::collation_named(name),
            _ => Err(SqlError::unsupported(format!("input of type {}", type_info::format_type(ty, -1)))),
        }
    }
}

pub(crate) fn undefined_function(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{name}\" does not exist"))
}
