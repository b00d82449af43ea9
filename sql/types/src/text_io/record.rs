//! Text input of composite types (`record_in`).

use super::{is_space, parse};
use crate::{Attribute, Datum, IoContext, Result, SqlError, SqlState};

fn malformed(s: &str, detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed record literal: \"{s}\"")).detail(detail)
}

/// Reads a value of a composite type: `(1,"a b",)`.
///
/// # Errors
/// 22P02 when the parentheses, the quotes or the number of columns are wrong; those of the columns' types.
pub fn parse_record(ty: u32, s: &str, cx: &IoContext) -> Result<Datum> {
    let attributes = cx.attributes(ty)?;
    let mut rest = s.trim_start_matches(is_space);
    rest = rest.strip_prefix('(').ok_or_else(|| malformed(s, "Missing left parenthesis."))?;
    let mut fields = Vec::with_capacity(attributes.len());
    for (i, attribute) in attributes.iter().enumerate() {
        if i > 0 {
            rest = rest.strip_prefix(',').ok_or_else(|| malformed(s, "Too few columns."))?;
        }
        let value = match column(&mut rest).ok_or_else(|| malformed(s, "Unexpected end of input."))? {
            Some(text) => parse(attribute.ty, &text, cx)?,
            None => null(attribute, cx)?,
        };
        fields.push((attribute.ty, value));
    }
    let rest = rest.strip_prefix(')').ok_or_else(|| malformed(s, "Too many columns."))?;
    if !rest.trim_start_matches(is_space).is_empty() {
        return Err(malformed(s, "Junk after right parenthesis."));
    }
    Ok(Datum::record(fields))
}

/// A column that is not there; a domain may refuse it.
fn null(attribute: &Attribute, cx: &IoContext) -> Result<Datum> {
    cx.check_domain(attribute.ty.oid, &Datum::Null)?;
    Ok(Datum::Null)
}

/// Takes one column's text, up to the comma or parenthesis after it: `Some(None)` for nothing at all, `None` when the input ends.
fn column(rest: &mut &str) -> Option<Option<String>> {
    if rest.starts_with([',', ')']) {
        return Some(None);
    }
    let mut text = String::new();
    let mut quoted = false;
    let mut chars = rest.chars();
    loop {
        let here = chars.as_str();
        match chars.next()? {
            ',' | ')' if !quoted => {
                *rest = here;
                return Some(Some(text));
            }
            '\\' => text.push(chars.next()?),
            '"' if quoted && chars.as_str().starts_with('"') => {
                text.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            c => text.push(c),
        }
    }
}
