//! Type names to types.

use crate::binder::at;
use curia_parse::ast::{ExprKind, Literal, TypeName};
use curia_types::{PgType, Result, SqlError, SqlState, type_info};

/// Resolves a written type with its modifiers and array brackets.
///
/// # Errors
/// 42704 for an unknown type, 22023 and 42601 for bad modifiers, 0A000 for types that are not held yet; all with position.
pub fn resolve(name: &TypeName) -> Result<PgType> {
    let position = at(name.pos);
    let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", name.name)).at(position);
    if name.setof {
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "type modifiers and SETOF are not allowed here").at(position));
    }
    if name.name.schema().is_some_and(|s| s != "pg_catalog") {
        return Err(missing());
    }
    let info = type_info::by_name(name.name.name()).ok_or_else(missing)?;
    if !type_info::is_supported(info.oid) && info.kind != 'p' {
        return Err(SqlError::unsupported(format!("type {}", type_info::format_type(info.oid, -1))).at(position));
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
        [fields] if info.oid == curia_types::oid::INTERVAL => (fields << 16) | 0xffff,
        m => type_info::typmod_from(info.oid, m).map_err(|e| e.at(position))?,
    };
    if name.array_dimensions > 0 {
        let array = type_info::array_of(info.oid).ok_or_else(missing)?;
        return Ok(PgType { oid: array, typmod });
    }
    Ok(PgType { oid: info.oid, typmod })
}
