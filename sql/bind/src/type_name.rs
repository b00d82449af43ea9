//! Type names to types.

use crate::binder::at;
use curia_catalog::{Catalog, Oid};
use curia_parse::ObjectName;
use curia_parse::ast::{ExprKind, Literal, TypeName};
use curia_types::{PgType, Result, SqlError, SqlState, type_info};

/// Stored expressions name users' types by OID, so that renaming changes nothing: `pg_catalog."#16385"`.
pub(crate) fn name_by_oid(oid: Oid) -> String {
    format!("pg_catalog.\"#{oid}\"")
}

/// The OID in a name as [`name_by_oid`] writes it.
pub(crate) fn oid_in_name(name: &ObjectName) -> Option<Oid> {
    (name.schema() == Some("pg_catalog")).then_some(())?;
    name.name().strip_prefix('#')?.parse().ok()
}

/// Finds a type by name: `None` when there is none.
///
/// # Errors
/// 3F000 for a schema that does not exist.
pub fn find(name: &ObjectName, catalog: &Catalog, search_path: &[String]) -> Result<Option<Oid>> {
    if let Some(oid) = oid_in_name(name) {
        return Ok(type_info::user::kind(oid).map(|_| oid));
    }
    let Some(schema) = name.schema() else {
        return Ok(catalog.type_named(search_path, name.name()));
    };
    if schema == "pg_catalog" {
        return Ok(type_info::by_name(name.name()).map(|t| t.oid));
    }
    let found = catalog
        .schema(schema)
        .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")).at(at(name.pos())))?;
    Ok(catalog.type_in(found.oid, name.name()))
}

/// Resolves a written type with its modifiers and array brackets.
///
/// # Errors
/// 42704 for an unknown type, 22023 and 42601 for bad modifiers, 0A000 for types that are not held yet; all with position.
pub fn resolve(name: &TypeName, catalog: &Catalog, search_path: &[String]) -> Result<PgType> {
    let position = at(name.pos);
    let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", name.name)).at(position);
    if name.setof {
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "type modifiers and SETOF are not allowed here").at(position));
    }
    let oid = find(&name.name, catalog, search_path)?.ok_or_else(missing)?;
    if !type_info::is_supported(oid) && type_info::category(oid) != 'P' {
        return Err(SqlError::unsupported(format!("type {}", type_info::format_type(oid, -1))).at(position));
    }
    let mut modifiers = Vec::with_capacity(name.modifiers.len());
    for m in &name.modifiers {
        match m.kind {
            ExprKind::Literal(Literal::Integer(n)) => modifiers.push(n),
            _ => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "type modifiers must be simple constants or identifiers").at(at(m.pos))),
        }
    }
    let typmod = match modifiers.as_slice() {
        [] => -1,
        // An interval's fields without a precision.
        [fields] if oid == curia_types::oid::INTERVAL => (fields << 16) | 0xffff,
        m => type_info::typmod_from(oid, m).map_err(|e| e.at(position))?,
    };
    if name.array_dimensions > 0 {
        let array = type_info::array_of(oid).ok_or_else(missing)?;
        return Ok(PgType { oid: array, typmod });
    }
    Ok(PgType { oid, typmod })
}
