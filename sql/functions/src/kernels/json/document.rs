//! Looking into jsonb: operators, functions of one document, casts.

use super::{integer, invalid, texts};
use crate::Kernel::Set;
use crate::kernel::Rows;
use crate::kernels::macros::{kernels, pure};
use curia_types::{ArrayValue, Datum, Json, Numeric, Result};
use std::sync::Arc;

fn found(json: Option<&Json>) -> Datum {
    json.map_or(Datum::Null, |j| Datum::Jsonb(j.clone()))
}

/// A string without its quotes; null is NULL; everything else as it prints.
pub(super) fn as_text(json: Option<&Json>) -> Datum {
    match json {
        None | Some(Json::Null) => Datum::Null,
        Some(Json::String(s)) => Datum::Text(s.clone()),
        Some(other) => Datum::text(other.to_string()),
    }
}

/// An element; a scalar is an array of itself.
fn element(json: &Json, index: i32) -> Option<&Json> {
    match json {
        Json::Array(_) => json.element(index.into()),
        Json::Object(_) => None,
        scalar => matches!(index, 0 | -1).then_some(scalar),
    }
}

/// What a path leads to.
fn follow<'a>(json: &'a Json, path: &ArrayValue) -> Option<&'a Json> {
    let mut at = json;
    for step in texts(path) {
        let step = step?;
        at = match at {
            Json::Object(_) => at.member(step)?,
            Json::Array(_) => at.element(integer(step)?)?,
            _ => return None,
        };
    }
    Some(at)
}

/// `?`: a key of an object, or a string that is an element or the document itself.
fn exists(json: &Json, key: &str) -> bool {
    let is_key = |j: &Json| matches!(j, Json::String(s) if &**s == key);
    match json {
        Json::Object(_) => json.member(key).is_some(),
        Json::Array(a) => a.iter().any(is_key),
        scalar => is_key(scalar),
    }
}

fn length(json: &Json) -> Result<Datum> {
    match json {
        Json::Array(a) => Ok(Datum::Int4(a.len() as i32)),
        Json::Object(_) => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

fn document(args: &[Datum]) -> Json {
    match args.first() {
        Some(Datum::Jsonb(j)) => j.clone(),
        _ => Json::Null,
    }
}

/// Rows of an object's members.
fn each(args: &[Datum], function: &'static str, row: fn(&Arc<str>, &Json) -> Vec<Datum>) -> Result<Rows> {
    let Json::Object(members) = document(args) else {
        return Err(invalid(format!("cannot call {function} on a non-object")));
    };
    Ok(Box::new((0..members.len()).map(move |i| {
        let (key, value) = &members[i];
        Ok(row(key, value))
    })))
}

fn keys(args: &[Datum]) -> Result<Rows> {
    match document(args) {
        Json::Object(_) => each(args, "jsonb_object_keys", |k, _| vec![Datum::Text(k.clone())]),
        Json::Array(_) => Err(invalid("cannot call jsonb_object_keys on an array")),
        _ => Err(invalid("cannot call jsonb_object_keys on a scalar")),
    }
}

/// Rows of an array's elements.
fn elements(args: &[Datum], value: fn(Option<&Json>) -> Datum) -> Result<Rows> {
    match document(args) {
        Json::Array(a) => Ok(Box::new((0..a.len()).map(move |i| Ok(vec![value(a.get(i))])))),
        Json::Object(_) => Err(invalid("cannot extract elements from an object")),
        _ => Err(invalid("cannot extract elements from a scalar")),
    }
}

fn cannot_cast(json: &Json, target: &str) -> Result<Datum> {
    let kind = match json {
        Json::Number(_) => "numeric",
        other => other.type_name(),
    };
    Err(invalid(format!("cannot cast jsonb {kind} to type {target}")))
}

fn number(json: &Json, target: &str, convert: fn(&Numeric) -> Result<Datum>) -> Result<Datum> {
    match json {
        Json::Number(n) => convert(n),
        other => cannot_cast(other, target),
    }
}

fn strip_nulls(json: &Json) -> Result<Json> {
    match json {
        Json::Array(a) => Json::array(a.iter().map(strip_nulls).collect::<Result<_>>()?),
        Json::Object(o) => {
            let kept = o.iter().filter(|(_, v)| *v != Json::Null);
            Json::object(kept.map(|(k, v)| Ok((k.clone(), strip_nulls(v)?))).collect::<Result<_>>()?)
        }
        scalar => Ok(scalar.clone()),
    }
}

kernels! {
    "jsonb_object_field" = pure!(|j: &Json, k: &str| ? Ok(found(j.member(k))));
    "jsonb_object_field_text" = pure!(|j: &Json, k: &str| ? Ok(as_text(j.member(k))));
    "jsonb_array_element" = pure!(|j: &Json, i: i32| ? Ok(found(element(j, i))));
    "jsonb_array_element_text" = pure!(|j: &Json, i: i32| ? Ok(as_text(element(j, i))));
    "jsonb_extract_path" = pure!(|j: &Json, p: &Arc<ArrayValue>| ? Ok(found(follow(j, p))));
    "jsonb_extract_path_text" = pure!(|j: &Json, p: &Arc<ArrayValue>| ? Ok(as_text(follow(j, p))));
    "jsonb_contains" = pure!(|a: &Json, b: &Json| -> Bool a.contains(b));
    "jsonb_contained" = pure!(|a: &Json, b: &Json| -> Bool b.contains(a));
    "jsonb_exists" = pure!(|j: &Json, k: &str| -> Bool exists(j, k));
    "jsonb_exists_any" = pure!(|j: &Json, k: &Arc<ArrayValue>| -> Bool texts(k).flatten().any(|k| exists(j, k)));
    "jsonb_exists_all" = pure!(|j: &Json, k: &Arc<ArrayValue>| -> Bool texts(k).flatten().all(|k| exists(j, k)));
    "jsonb_array_length" => pure!(|j: &Json| ? length(j));
    "jsonb_typeof" = pure!(|j: &Json| ? Ok(Datum::text(j.type_name())));
    "jsonb_pretty" = pure!(|j: &Json| ? Ok(Datum::text(j.pretty())));
    "jsonb_strip_nulls" = pure!(|j: &Json| ? Ok(Datum::Jsonb(strip_nulls(j)?)));
    "jsonb_object_keys" => Set(|_, _, a| keys(a));
    "jsonb_each" => Set(|_, _, a| each(a, "jsonb_each", |k, v| vec![Datum::Text(k.clone()), Datum::Jsonb(v.clone())]));
    "jsonb_each_text" => Set(|_, _, a| each(a, "jsonb_each_text", |k, v| vec![Datum::Text(k.clone()), as_text(Some(v))]));
    "jsonb_array_elements" => Set(|_, _, a| elements(a, found));
    "jsonb_array_elements_text" => Set(|_, _, a| elements(a, as_text));
    "jsonb_bool" => pure!(|j: &Json| ? match j {
        Json::Bool(b) => Ok(Datum::Bool(*b)),
        other => cannot_cast(other, "boolean"),
    });
    "jsonb_numeric" => pure!(|j: &Json| ? number(j, "numeric", |n| Ok(Datum::Numeric(n.clone()))));
    "jsonb_int2" => pure!(|j: &Json| ? number(j, "smallint", |n| n.to_i16().map(Datum::Int2)));
    "jsonb_int4" => pure!(|j: &Json| ? number(j, "integer", |n| n.to_i32().map(Datum::Int4)));
    "jsonb_int8" => pure!(|j: &Json| ? number(j, "bigint", |n| n.to_i64("bigint").map(Datum::Int8)));
    "jsonb_float4" => pure!(|j: &Json| ? number(j, "real", |n| n.to_f32().map(Datum::Float4)));
    "jsonb_float8" => pure!(|j: &Json| ? number(j, "double precision", |n| n.to_f64().map(Datum::Float8)));
}
