//! Length coercions: what a type modifier does to a value of its type.

use crate::{Datum, PgType, Result, SqlError, SqlState, oid};
use std::sync::Arc;

/// Makes a value fit its declared type: varchar(n) and char(n) cut or refuse (22001), char(n) pads, numeric(p,s) and the time types round.
/// `explicit` is an explicit cast, which cuts strings silently. Arrays coerce their elements.
pub fn coerce(ty: PgType, value: Datum, explicit: bool) -> Result<Datum> {
    if ty.typmod < 0 || value.is_null() {
        return Ok(value);
    }
    Ok(match (ty.oid, value) {
        // A modifier below the four that are always added is none.
        (oid::VARCHAR | oid::BPCHAR, Datum::Text(s)) if ty.typmod < 4 => Datum::Text(s),
        (oid::VARCHAR, Datum::Text(s)) => Datum::Text(varchar(s, ty.typmod - 4, explicit)?),
        (oid::BPCHAR, Datum::Text(s)) => Datum::Text(bpchar(s, ty.typmod - 4, explicit)?),
        (oid::NUMERIC, Datum::Numeric(n)) => Datum::Numeric(n.apply_typmod(ty.typmod)?),
        (oid::TIMESTAMP, Datum::Timestamp(t)) => Datum::Timestamp(crate::datetime::round_timestamp(t, ty.typmod)),
        (oid::TIMESTAMPTZ, Datum::Timestamptz(t)) => Datum::Timestamptz(crate::datetime::round_timestamp(t, ty.typmod)),
        (oid::TIME, Datum::Time(t)) => Datum::Time(crate::datetime::round_time(t, ty.typmod)),
        (oid::TIMETZ, Datum::Timetz(t)) => Datum::Timetz(crate::datetime::TimeTz {
            micros: crate::datetime::round_time(t.micros, ty.typmod),
            ..t
        }),
        (oid::BIT | oid::VARBIT, Datum::Bits(b)) => Datum::Bits(Arc::new(b.coerce(ty, explicit)?)),
        (oid::INTERVAL, Datum::Interval(i)) => Datum::Interval(crate::datetime::interval_typmod(i, ty.typmod)?),
        (array, Datum::Array(a)) => match crate::type_info::element_of(array) {
            Some(element) => {
                let element = PgType::with_typmod(element, ty.typmod);
                let elements = a
                    .elements
                    .iter()
                    .map(|e| coerce(element, e.clone(), explicit))
                    .collect::<Result<_>>()?;
                Datum::Array(Arc::new(crate::ArrayValue { elements, ..(*a).clone() }))
            }
            None => Datum::Array(a),
        },
        (_, other) => other,
    })
}

fn too_long(name: &str, n: i32) -> SqlError {
    SqlError::new(
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        format!("value too long for type {name}({n})"),
    )
}

/// Byte offset after `n` characters; `None` when the string is not longer than that.
fn cut_at(s: &str, n: i32) -> Option<usize> {
    let n = usize::try_from(n).unwrap_or(0);
    if s.len() <= n {
        return None;
    }
    s.char_indices().nth(n).map(|(at, _)| at)
}

fn varchar(s: Arc<str>, n: i32, explicit: bool) -> Result<Arc<str>> {
    match cut_at(&s, n) {
        None => Ok(s),
        Some(at) if explicit || s[at..].bytes().all(|b| b == b' ') => Ok(Arc::from(&s[..at])),
        Some(_) => Err(too_long("character varying", n)),
    }
}

fn bpchar(s: Arc<str>, n: i32, explicit: bool) -> Result<Arc<str>> {
    match cut_at(&s, n) {
        Some(at) if explicit || s[at..].bytes().all(|b| b == b' ') => Ok(Arc::from(&s[..at])),
        Some(_) => Err(too_long("character", n)),
        None => {
            let missing = usize::try_from(n).unwrap_or(0).saturating_sub(s.chars().count());
            if missing == 0 {
                return Ok(s);
            }
            let mut padded = String::with_capacity(s.len() + missing);
            padded.push_str(&s);
            padded.extend(std::iter::repeat_n(' ', missing));
            Ok(Arc::from(padded))
        }
    }
}

/// Cuts an identifier to 63 bytes on a character boundary, as `name` values are.
pub fn name(s: &str) -> &str {
    if s.len() < 64 {
        return s;
    }
    let mut end = 63;
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}
