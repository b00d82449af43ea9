//! json and jsonb.
//!
//! `text` looks into json, which is kept as it was written; `document` looks into jsonb; `modify` changes jsonb; `build` makes both of
//! values of other types, `collect` of rows, and
//! `record` makes rows of them; `path` runs paths over jsonb.

mod build;
pub(super) mod collect;
mod document;
mod modify;
mod path;
mod record;
mod text;

pub use modify::assign;

use super::Binding;
use curia_types::{ArrayValue, Datum, SqlError, SqlState};

/// The kernels of all of these.
pub(super) fn tables() -> [&'static [Binding]; 6] {
    [
        text::KERNELS,
        document::KERNELS,
        modify::KERNELS,
        build::KERNELS,
        record::KERNELS,
        path::KERNELS,
    ]
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message.into())
}

fn null_not_allowed(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::new("22004"), message.into())
}

fn wrong_subscripts() -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
}

/// The texts of a text array; `None` for a NULL among them.
fn texts(array: &ArrayValue) -> impl Iterator<Item = Option<&str>> {
    array.elements.iter().map(|e| match e {
        Datum::Text(s) => Some(&**s),
        _ => None,
    })
}

/// An integer as C's strtol reads it, when nothing follows.
fn integer(s: &str) -> Option<i64> {
    let s = s.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = s.strip_prefix(['-', '+']).unwrap_or(s);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    s.parse::<i32>().ok().map(i64::from)
}
