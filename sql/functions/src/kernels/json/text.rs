//! Looking into json: `->`, `->>`, `#>`, `#>>` and the functions of one json value.
//!
//! A json value is its text, checked when it was read. Parts of it are found by scanning and are shown as they were written, blanks and
//! repeated keys included; of equal keys the last counts.

use super::invalid;
use crate::Kernel::Set;
use crate::kernel::Rows;
use crate::kernels::macros::{kernels, pure};
use curia_types::json::{Events, Lexical, Token, read_json};
use curia_types::{ArrayValue, Datum, Result};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

pub(super) fn kind(value: &str) -> Kind {
    match value.trim_start().as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// The parts of an object or array: each member's key (without its quotes undone; none in an array) and value, as written.
pub(super) fn parts(container: &str) -> Vec<(Option<&str>, &str)> {
    let text = container.trim();
    let object = text.starts_with('{');
    let (mut out, mut key) = (Vec::new(), None);
    let (mut depth, mut from) = (0usize, 1usize);
    let (mut quoted, mut escaped) = (false, false);
    for (i, b) in text.bytes().enumerate() {
        if quoted {
            (quoted, escaped) = (escaped || b != b'"', !escaped && b == b'\\');
            continue;
        }
        match b {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b':' if depth == 1 && object => {
                key = Some(text[from..i].trim());
                from = i + 1;
            }
            b',' | b'}' | b']' => {
                if depth == 1 {
                    let value = text[from..i].trim();
                    if !value.is_empty() {
                        out.push((key.take(), value));
                    }
                    from = i + 1;
                }
                depth -= usize::from(b != b',');
            }
            _ => {}
        }
    }
    out
}

/// The text that a json string stands for.
pub(super) fn unescape(string: &str) -> Result<String> {
    struct Plain(String);
    impl<'a> Events<'a> for Plain {
        fn scalar(&mut self, token: Token<'a>) -> Result<()> {
            self.0 = token.string.into_owned();
            Ok(())
        }
    }
    let mut plain = Plain(String::new());
    read_json(string, Lexical::Unescaped, &mut plain)?;
    Ok(plain.0)
}

pub(super) fn member<'a>(object: &'a str, name: &str) -> Result<Option<&'a str>> {
    let mut found = None;
    if kind(object) == Kind::Object {
        for (key, value) in parts(object) {
            if unescape(key.unwrap_or("\"\""))? == name {
                found = Some(value);
            }
        }
    }
    Ok(found)
}

/// An element, counted from the end when negative.
fn element(array: &str, index: i32) -> Option<&str> {
    if kind(array) != Kind::Array {
        return None;
    }
    let parts = parts(array);
    let at = if index < 0 {
        parts.len() as i64 + i64::from(index)
    } else {
        index.into()
    };
    usize::try_from(at).ok().and_then(|i| parts.get(i)).map(|p| p.1)
}

/// What a path leads to. Array indexes are the path's texts that are integers.
fn follow<'a>(json: &'a str, path: &ArrayValue) -> Result<Option<&'a str>> {
    let mut at = json.trim();
    for step in &path.elements {
        let Datum::Text(step) = step else { return Ok(None) };
        let next = match kind(at) {
            Kind::Object => member(at, step)?,
            Kind::Array => super::integer(step).and_then(|i| element(at, i as i32)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn as_json(found: Option<&str>) -> Result<Datum> {
    Ok(found.map_or(Datum::Null, Datum::text))
}

/// A string without its quotes; null is NULL; everything else as written.
fn as_text(found: Option<&str>) -> Result<Datum> {
    Ok(match found {
        Some(v) if kind(v) == Kind::String => Datum::text(unescape(v)?),
        Some(v) if kind(v) != Kind::Null => Datum::text(v),
        _ => Datum::Null,
    })
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::String => "string",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Null => "null",
    }
}

fn length(json: &str) -> Result<Datum> {
    match kind(json) {
        Kind::Array => Ok(Datum::Int4(parts(json).len() as i32)),
        Kind::Object => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

fn argument(args: &[Datum]) -> &str {
    match args.first() {
        Some(Datum::Text(json)) => json,
        _ => "",
    }
}

/// Rows of an object's members.
fn each(args: &[Datum], function: &str, row: fn(&str, &str) -> Result<Vec<Datum>>) -> Result<Rows> {
    let json = argument(args);
    match kind(json) {
        Kind::Object => {}
        Kind::Array if function == "json_object_keys" => return Err(invalid(format!("cannot call {function} on an array"))),
        Kind::Array => return Err(invalid("cannot deconstruct an array as an object")),
        _ if function == "json_object_keys" => return Err(invalid(format!("cannot call {function} on a scalar"))),
        _ => return Err(invalid("cannot deconstruct a scalar")),
    }
    let rows: Vec<_> = parts(json)
        .iter()
        .map(|(key, value)| row(&unescape(key.unwrap_or("\"\""))?, value))
        .collect();
    Ok(Box::new(rows.into_iter()))
}

/// Rows of an array's elements.
fn elements(args: &[Datum], function: &str, value: fn(Option<&str>) -> Result<Datum>) -> Result<Rows> {
    let json = argument(args);
    match kind(json) {
        Kind::Array => {}
        Kind::Object => return Err(invalid(format!("cannot call {function} on a non-array"))),
        _ => return Err(invalid(format!("cannot call {function} on a scalar"))),
    }
    let rows: Vec<_> = parts(json).iter().map(|(_, v)| Ok(vec![value(Some(v))?])).collect();
    Ok(Box::new(rows.into_iter()))
}

kernels! {
    "json_object_field" => pure!(|j: &str, k: &str| ? as_json(member(j, k)?));
    "json_object_field_text" => pure!(|j: &str, k: &str| ? as_text(member(j, k)?));
    "json_array_element" => pure!(|j: &str, i: i32| ? as_json(element(j, i)));
    "json_array_element_text" => pure!(|j: &str, i: i32| ? as_text(element(j, i)));
    "json_extract_path" => pure!(|j: &str, p: &Arc<ArrayValue>| ? as_json(follow(j, p)?));
    "json_extract_path_text" => pure!(|j: &str, p: &Arc<ArrayValue>| ? as_text(follow(j, p)?));
    "json_array_length" => pure!(|j: &str| ? length(j));
    "json_typeof" => pure!(|j: &str| ? Ok(Datum::text(type_name(kind(j)))));
    "json_object_keys" => Set(|_, _, a| each(a, "json_object_keys", |k, _| Ok(vec![Datum::text(k)])));
    "json_each" => Set(|_, _, a| each(a, "json_each", |k, v| Ok(vec![Datum::text(k), Datum::text(v)])));
    "json_each_text" => Set(|_, _, a| each(a, "json_each_text", |k, v| Ok(vec![Datum::text(k), as_text(Some(v))?])));
    "json_array_elements" => Set(|_, _, a| elements(a, "json_array_elements", as_json));
    "json_array_elements_text" => Set(|_, _, a| elements(a, "json_array_elements_text", as_text));
}
