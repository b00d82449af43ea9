//! Functions and operators by name and argument types: `lpad(text,integer,text)`, `+(integer,integer)`, as regprocedure, regoper and
//! regoperator read and write them.

use crate::names::{Names, invalid_name, split, undefined_function};
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};

/// Text form of a function with its argument types.
pub(crate) fn function_text(function: u32) -> Option<String> {
    let f = curia_functions::by_oid(function)?;
    Some(format!("{}({})", curia_parse::quote_identifier(f.name), types_text(f.args)))
}

/// Text form of an operator, with its argument types or without.
pub(crate) fn operator_text(operator: u32, types: bool) -> Option<String> {
    let o = curia_functions::operator(operator)?;
    Some(match (types, o.left) {
        (false, _) => o.name.to_owned(),
        (true, 0) => format!("{}(NONE,{})", o.name, types_text(&[o.right])),
        (true, left) => format!("{}({})", o.name, types_text(&[left, o.right])),
    })
}

fn types_text(types: &[u32]) -> String {
    let shown: Vec<String> = types.iter().map(|t| type_info::format_type(*t, -1)).collect();
    shown.join(",")
}

/// The function that `name(types)` stands for.
pub(crate) fn function_named(names: &Names, text: &str) -> Result<u32> {
    let (name, types) = signature(names, text, "expected a left parenthesis")?;
    let missing = || undefined_function(text);
    let wanted: Vec<u32> = types.into_iter().map(|t| t.ok_or_else(missing)).collect::<Result<_>>()?;
    let candidates = curia_functions::candidates(&name);
    let found = candidates.iter().find(|f| f.args == wanted);
    found.map(|f| f.oid).ok_or_else(missing)
}

/// The operator that a name stands for, when it is the only one.
pub(crate) fn operator_named(text: &str) -> Result<u32> {
    let name = text.strip_prefix("pg_catalog.").unwrap_or(text);
    match curia_functions::operators(name) {
        [one] => Ok(one.oid),
        [] => Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {text}"),
        )),
        _ => Err(SqlError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("more than one operator named {text}"),
        )),
    }
}

/// The operator that `name(left,right)` stands for; NONE is no operand.
pub(crate) fn operator_with_types(names: &Names, text: &str) -> Result<u32> {
    let (name, types) = signature(names, text, "expected a left parenthesis")?;
    let (left, right) = match types.as_slice() {
        [left, right] => (left.unwrap_or(0), right.unwrap_or(0)),
        [_] => {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "missing argument")
                .hint("Use NONE to denote the missing argument of a unary operator."));
        }
        _ => {
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, "too many arguments").hint("Provide two argument types for operator."));
        }
    };
    let found = curia_functions::operators(&name)
        .iter()
        .find(|o| o.left == left && o.right == right);
    found
        .map(|o| o.oid)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}")))
}

/// A collation by name.
pub(crate) fn collation_named(text: &str) -> Result<u32> {
    let parts = split(text)?;
    let name = match parts.as_slice() {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return Err(invalid_name()),
    };
    COLLATIONS.iter().find(|(_, n)| n == name).map(|(oid, _)| *oid).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("collation \"{name}\" for encoding \"UTF8\" does not exist"),
        )
    })
}

/// The name of a collation, quoted where it must be.
pub(crate) fn collation_text(collation: u32) -> Option<String> {
    let found = COLLATIONS.iter().find(|(oid, _)| *oid == collation)?;
    Some(curia_parse::quote_identifier(found.1).to_string())
}

const COLLATIONS: [(u32, &str); 3] = [(100, "default"), (950, "C"), (951, "POSIX")];

/// Splits `name(type, type)`; `None` for NONE.
fn signature(names: &Names, text: &str, no_types: &str) -> Result<(String, Vec<Option<u32>>)> {
    let invalid = |message: &str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message);
    let (name, rest) = text.split_once('(').ok_or_else(|| invalid(no_types))?;
    let inside = rest
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| invalid("expected a right parenthesis"))?;
    let bare = name.trim().strip_prefix("pg_catalog.").unwrap_or(name.trim());
    // The names of operators are no identifiers.
    let is_word = bare.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
    let name = match is_word {
        true => split(bare)?.pop().ok_or_else(invalid_name)?,
        false => bare.to_owned(),
    };
    let mut types = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    let mut take = |part: &str| -> Result<()> {
        types.push(match part.trim() {
            none if none.eq_ignore_ascii_case("none") => None,
            ty => Some(names.type_named(ty)?),
        });
        Ok(())
    };
    if inside.trim().is_empty() {
        return Ok((name, types));
    }
    for (i, c) in inside.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                take(&inside[start..i])?;
                start = i + 1;
            }
            _ => {}
        }
    }
    take(&inside[start..])?;
    Ok((name, types))
}

/// Text forms that [`Names`] asks for here; `None` for another type.
pub(crate) fn text_of(ty: u32, object: u32) -> Option<String> {
    match ty {
        oid::REGPROCEDURE => function_text(object),
        oid::REGOPER => operator_text(object, false),
        oid::REGOPERATOR => operator_text(object, true),
        oid::REGCOLLATION => collation_text(object),
        _ => None,
    }
}

impl Names {
    /// A type's OID.
    pub(crate) fn type_named(&self, name: &str) -> Result<u32> {
        curia_parse::parse_type(name)
            .and_then(|t| curia_bind::ddl::resolve_type(&self.catalog, &self.search_path, &t))
            .map(|t: PgType| t.oid)
            .map_err(SqlError::nowhere)
    }
}
