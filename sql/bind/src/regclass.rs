//! Names of objects: relations by search path, and the literals of regclass and its relatives.

use crate::binder::Binder;
use crate::binder::at;
use crate::context::BindContext;
use curia_catalog::system::{SystemTable, system_table_named};
use curia_catalog::{Relation, Table, View, temporary};
use curia_parse::ast::ObjectName;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid, text_io};
use std::sync::Arc;

/// What a relation's name denotes.
pub(crate) enum Named<'a> {
    Table(&'a Arc<Table>),
    System(&'static SystemTable),
    Sequence(u32),
    Index(u32),
    View(&'a Arc<View>),
}

impl Named<'_> {
    pub fn oid(&self) -> u32 {
        match self {
            Named::Table(t) => t.oid,
            Named::View(v) => v.oid,
            Named::System(s) => s.oid,
            Named::Sequence(oid) | Named::Index(oid) => *oid,
        }
    }
}

/// Finds a relation: qualified in its schema, else along the search path with `pg_catalog` first unless the path lists it.
pub(crate) fn find_relation<'a>(cx: &BindContext<'a>, schema: Option<&str>, name: &str) -> Option<Named<'a>> {
    let in_schema = |s: &str| -> Option<Named<'a>> {
        if let Some(system) = system_table_named(s, name) {
            return Some(Named::System(system));
        }
        let schema = cx.catalog.schema(s)?;
        Some(match cx.catalog.relation_in(schema.oid, name)? {
            Relation::Table(oid) => Named::Table(cx.catalog.tables.get(&oid)?),
            Relation::Sequence(oid) => Named::Sequence(oid),
            Relation::Index(_, oid) => Named::Index(oid),
            Relation::View(oid) => Named::View(cx.catalog.views.get(&oid)?),
        })
    };
    if let Some(s) = schema {
        return in_schema(temporary::meant(s, cx.search_path));
    }
    // Unless the path says another place, temporary relations come before even those of the system.
    if let Some(first) = cx.search_path.first()
        && temporary::is_temporary(first)
        && let Some(found) = in_schema(first)
    {
        return Some(found);
    }
    let implicit = if cx.search_path.iter().any(|s| s == "pg_catalog") {
        None
    } else {
        in_schema("pg_catalog")
    };
    implicit.or_else(|| cx.search_path.iter().find_map(|s| in_schema(s)))
}

/// Refuses to read or change what belongs to another session: its session alone says when it is there.
pub(crate) fn refuse_foreign_temporary(cx: &BindContext<'_>, name: &ObjectName) -> Result<()> {
    match name.schema() {
        Some(schema) if temporary::is_foreign(schema, cx.search_path) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot access temporary tables of other sessions",
        )),
        _ => Ok(()),
    }
}

/// 42P01 or 3F000 for a name that denotes no relation.
pub(crate) fn no_relation(name: &ObjectName) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")).at(at(name.pos()))
}

/// Checks the database part of a three-part name.
pub(crate) fn check_database(cx: &BindContext<'_>, name: &ObjectName) -> Result<()> {
    match name.database() {
        Some(d) if d != cx.database => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cross-database references are not implemented: \"{name}\""),
        )
        .at(at(name.pos()))),
        _ => Ok(()),
    }
}

/// Splits `a."B".c` as `stringToQualifiedNameList` does.
fn name_parts(text: &str) -> Result<Vec<String>> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next() {
                    Some((_, '"')) if chars.peek().is_some_and(|c| c.1 == '"') => {
                        chars.next();
                        name.push('"');
                    }
                    Some((i, '"')) => break i + 1,
                    Some((_, c)) => name.push(c),
                    None => return Err(invalid()),
                }
            };
            part = name;
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find(|c: char| c == '.' || c.is_whitespace()).unwrap_or(rest.len());
            part = rest[..end].to_ascii_lowercase();
            rest = rest[end..].trim_start();
        }
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

impl Binder<'_> {
    /// Reads a literal of oid, regclass, regtype and so on.
    pub fn read_object_name(&self, text: &str, ty: u32) -> Result<Datum> {
        let trimmed = text.trim();
        if trimmed == "-" && ty != oid::OID {
            return Ok(Datum::Oid(0));
        }
        let numeric = !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit());
        const REGPROCEDURE: u32 = 2202;
        if numeric
            || !matches!(
                ty,
                oid::REGCLASS | oid::REGTYPE | oid::REGNAMESPACE | oid::REGROLE | oid::REGPROC | REGPROCEDURE
            )
        {
            return text_io::parse(PgType { oid: ty, typmod: -1 }, text, self.cx.io);
        }
        if ty == oid::REGTYPE {
            let name = curia_parse::parse_type(trimmed).map_err(|e| SqlError::new(e.code(), e.message().to_owned()))?;
            return crate::type_name::resolve(&name, self.cx.catalog, self.cx.search_path)
                .map(|t| Datum::Oid(t.oid))
                .map_err(|e| SqlError::new(e.code(), e.message().to_owned()));
        }
        if ty == REGPROCEDURE {
            return self.function_by_signature(trimmed);
        }
        let parts = name_parts(trimmed)?;
        let catalog = self.cx.catalog;
        match (ty, parts.as_slice()) {
            (oid::REGCLASS, [.., name]) => {
                let schema = parts.len().checked_sub(2).map(|i| parts[i].as_str());
                let found = self.relation(schema, name).map(|r| r.oid());
                found.map(Datum::Oid).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_TABLE,
                        format!("relation \"{}\" does not exist", parts.join(".")),
                    )
                })
            }
            (oid::REGNAMESPACE, [name]) => {
                let system = match name.as_str() {
                    "pg_catalog" => Some(curia_catalog::system::PG_CATALOG),
                    "information_schema" => Some(curia_catalog::system::INFORMATION_SCHEMA),
                    "curia" => Some(curia_catalog::system::CURIA),
                    _ => None,
                };
                catalog
                    .schema(name)
                    .map(|s| s.oid)
                    .or(system)
                    .map(Datum::Oid)
                    .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist")))
            }
            (oid::REGPROC, [.., name]) => {
                let shown = parts.join(".");
                let schema = parts.iter().rev().nth(1).cloned();
                let path = schema.map_or_else(|| self.cx.search_path.to_vec(), |s| vec![s]);
                match catalog.functions_named(&path, name).as_slice() {
                    [] => {}
                    [one] if curia_functions::candidates(name).is_empty() => return Ok(Datum::Oid(one.oid)),
                    _ => {
                        let message = format!("more than one function named \"{shown}\"");
                        return Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message));
                    }
                }
                match curia_functions::candidates(name) {
                    [one] => Ok(Datum::Oid(one.oid)),
                    // One that only types name, perhaps.
                    [] => text_io::parse(PgType::with_typmod(ty, -1), text, self.cx.io),
                    _ => Err(SqlError::new(
                        SqlState::AMBIGUOUS_FUNCTION,
                        format!("more than one function named \"{shown}\""),
                    )),
                }
            }
            (oid::REGROLE, [name]) => catalog
                .role(name)
                .map(|r| Datum::Oid(r.oid))
                .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))),
            _ => Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
        }
    }

    /// `name(type, type)` of regprocedure.
    fn function_by_signature(&self, text: &str) -> Result<Datum> {
        let missing = || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"));
        let open = text
            .find('(')
            .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis"))?;
        let inside = text[open + 1..]
            .trim_end()
            .strip_suffix(')')
            .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a right parenthesis"))?;
        let mut parts = name_parts(&text[..open])?;
        let name = parts.pop().unwrap_or_default();
        let path = parts.pop().map_or_else(|| self.cx.search_path.to_vec(), |s| vec![s]);
        let mut types = Vec::new();
        for ty in inside.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            let parsed = curia_parse::parse_type(ty).map_err(|_| missing())?;
            types.push(
                crate::type_name::resolve(&parsed, self.cx.catalog, self.cx.search_path)
                    .map_err(|_| missing())?
                    .oid,
            );
        }
        let own = self
            .cx
            .catalog
            .functions_named(&path, &name)
            .into_iter()
            .find(|f| f.input_types() == types);
        let built_in = || curia_functions::candidates(&name).iter().find(|f| f.args == types).map(|f| f.oid);
        own.map(|f| f.oid).or_else(built_in).map(Datum::Oid).ok_or_else(missing)
    }
}
