//! Changing jsonb: `||`, `-`, `#-`, jsonb_set and its kin (`jsonfuncs.c`).

use super::{integer, invalid, null_not_allowed, texts, wrong_subscripts};
use crate::kernels::macros::{kernels, pure};
use curia_types::{ArrayValue, Datum, Json, Result, SqlError, SqlState};
use std::sync::Arc;

/// What happens where a path ends.
#[derive(Clone, Copy)]
enum Change<'a> {
    /// The value there goes.
    Delete,
    /// It becomes another; nothing happens where there is none.
    Replace(&'a Json),
    /// It becomes another, or comes into being.
    Create(&'a Json),
    /// Another comes before it; a key may not exist yet.
    InsertBefore(&'a Json),
    /// Another comes after it.
    InsertAfter(&'a Json),
    /// As `Create`, with the containers and elements that are missing on the way: assignment to a subscript.
    Assign(&'a Json),
}

impl<'a> Change<'a> {
    /// The value that comes into being where nothing is.
    fn created(self) -> Option<&'a Json> {
        match self {
            Change::Delete | Change::Replace(_) => None,
            Change::Create(v) | Change::InsertBefore(v) | Change::InsertAfter(v) | Change::Assign(v) => Some(v),
        }
    }
    fn fills_gaps(self) -> bool {
        matches!(self, Change::Assign(_))
    }
}

/// Changes what `path` leads to.
fn set_path(json: &Json, path: &[Option<&str>], level: usize, change: Change<'_>) -> Result<Json> {
    let Some(step) = path.get(level) else { return Ok(json.clone()) };
    let Some(step) = step else {
        return Err(null_not_allowed(format!("path element at position {} is null", level + 1)));
    };
    let last = level + 1 == path.len();
    match json {
        Json::Object(members) => {
            let mut pairs = members.to_vec();
            match pairs.iter().position(|(k, _)| &**k == *step) {
                Some(at) if last => match change {
                    Change::Delete => {
                        pairs.remove(at);
                    }
                    Change::Replace(v) | Change::Create(v) | Change::Assign(v) => pairs[at].1 = v.clone(),
                    Change::InsertBefore(_) | Change::InsertAfter(_) => {
                        return Err(invalid("cannot replace existing key").hint("Try using the function jsonb_set to replace key value."));
                    }
                },
                Some(at) => pairs[at].1 = set_path(&pairs[at].1, path, level + 1, change)?,
                None if last => pairs.extend(change.created().map(|v| (Arc::from(*step), v.clone()))),
                None => {
                    if let Change::Assign(v) = change {
                        pairs.push((Arc::from(*step), chain(&path[level + 1..], v)?));
                    }
                }
            }
            Json::object(pairs)
        }
        Json::Array(elements) => Json::array(set_element(elements.to_vec(), path, level, step, change)?),
        _ if change.fills_gaps() => {
            Err(invalid("cannot replace existing key").detail("The path assumes key is a composite object, but it is a scalar value."))
        }
        scalar => Ok(scalar.clone()),
    }
}

fn set_element(mut values: Vec<Json>, path: &[Option<&str>], level: usize, step: &str, change: Change<'_>) -> Result<Vec<Json>> {
    let last = level + 1 == path.len();
    let count = values.len() as i64;
    let index = integer(step).ok_or_else(|| {
        let message = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })?;
    let index = if index >= 0 {
        index
    } else if -index <= count {
        count + index
    } else if change.fills_gaps() {
        return Err(invalid(format!("path element at position {} is out of range: {index}", level + 1)));
    } else {
        // Before the first.
        if let (true, Some(v)) = (last, change.created()) {
            values.insert(0, v.clone());
        }
        return Ok(values);
    };
    if index < count {
        let at = index as usize;
        match change {
            _ if !last => values[at] = set_path(&values[at], path, level + 1, change)?,
            Change::Delete => {
                values.remove(at);
            }
            Change::Replace(v) | Change::Create(v) | Change::Assign(v) => values[at] = v.clone(),
            Change::InsertBefore(v) => values.insert(at, v.clone()),
            Change::InsertAfter(v) => values.insert(at + 1, v.clone()),
        }
        return Ok(values);
    }
    if change.fills_gaps() {
        fill(&mut values, index)?;
    }
    if last {
        values.extend(change.created().cloned());
    } else if let Change::Assign(v) = change {
        values.push(chain(&path[level + 1..], v)?);
    }
    Ok(values)
}

/// Most elements an assignment may add before the one that it names.
const MAX_GAP: i64 = 0x0FFF_FFFF;

/// Nulls up to a place.
fn fill(values: &mut Vec<Json>, index: i64) -> Result<()> {
    if index > MAX_GAP {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("number of jsonb array elements exceeds the maximum allowed ({MAX_GAP})"),
        ));
    }
    values.resize(index as usize, Json::Null);
    Ok(())
}

/// The containers that a path goes through when none of them exists: arrays for integers, objects for everything else.
fn chain(path: &[Option<&str>], value: &Json) -> Result<Json> {
    path.iter().rev().try_fold(value.clone(), |inner, step| match step {
        None => Ok(inner),
        Some(step) => match integer(step) {
            Some(index) => {
                let mut values = Vec::new();
                fill(&mut values, index.max(0))?;
                values.push(inner);
                Json::array(values)
            }
            None => Json::object(vec![(Arc::from(*step), inner)]),
        },
    })
}

fn is_empty(json: &Json) -> bool {
    match json {
        Json::Array(a) => a.is_empty(),
        Json::Object(o) => o.is_empty(),
        _ => false,
    }
}

/// A change along a path that a text array gives.
fn along(json: &Json, path: &ArrayValue, change: Change<'_>) -> Result<Datum> {
    if path.dimensions.len() > 1 {
        return Err(wrong_subscripts());
    }
    if json.is_scalar() {
        return Err(invalid(match change {
            Change::Delete => "cannot delete path in scalar",
            _ => "cannot set path in scalar",
        }));
    }
    let path: Vec<Option<&str>> = texts(path).collect();
    if path.is_empty() || (is_empty(json) && change.created().is_none()) {
        return Ok(Datum::Jsonb(json.clone()));
    }
    set_path(json, &path, 0, change).map(Datum::Jsonb)
}

fn set_lax(args: &[Datum]) -> Result<Datum> {
    let [Datum::Jsonb(json), Datum::Array(path), new, Datum::Bool(create), treatment] = args else {
        return Ok(Datum::Null);
    };
    let change = |new| if *create { Change::Create(new) } else { Change::Replace(new) };
    let unknown = || invalid("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"");
    let Datum::Text(treatment) = treatment else { return Err(unknown()) };
    match (new, &**treatment) {
        (Datum::Jsonb(new), _) => along(json, path, change(new)),
        (_, "raise_exception") => Err(null_not_allowed("JSON value must not be null")
            .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")),
        (_, "use_json_null") => along(json, path, change(&Json::Null)),
        (_, "delete_key") => along(json, path, Change::Delete),
        (_, "return_target") => Ok(args[0].clone()),
        _ => Err(unknown()),
    }
}

/// `||`: members of two objects, or elements; what is no array counts as one of itself.
fn concat(a: &Json, b: &Json) -> Result<Json> {
    if let (Json::Object(a), Json::Object(b)) = (a, b) {
        return Json::object(a.iter().chain(b.iter()).cloned().collect());
    }
    let mut values = Vec::new();
    for part in [a, b] {
        match part {
            Json::Array(elements) => values.extend(elements.iter().cloned()),
            other => values.push(other.clone()),
        }
    }
    Json::array(values)
}

fn delete_keys(json: &Json, keys: &[&str]) -> Result<Json> {
    match json {
        Json::Object(o) => {
            let kept = o.iter().filter(|(k, _)| !keys.contains(&&**k));
            Json::object(kept.cloned().collect())
        }
        Json::Array(a) => {
            let kept = a.iter().filter(|e| !matches!(e, Json::String(s) if keys.contains(&&**s)));
            Json::array(kept.cloned().collect())
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

fn delete_element(json: &Json, index: i32) -> Result<Json> {
    match json {
        Json::Object(_) => Err(invalid("cannot delete from object using integer index")),
        Json::Array(a) => {
            let at = if index < 0 {
                i64::from(index) + a.len() as i64
            } else {
                i64::from(index)
            };
            let mut values = a.to_vec();
            if let Some(at) = usize::try_from(at).ok().filter(|i| *i < values.len()) {
                values.remove(at);
            }
            Json::array(values)
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

fn delete_array(json: &Json, keys: &ArrayValue) -> Result<Json> {
    if keys.dimensions.len() > 1 {
        return Err(wrong_subscripts());
    }
    let keys: Vec<&str> = texts(keys).flatten().collect();
    delete_keys(json, &keys)
}

kernels! {
    "jsonb_concat" => pure!(|a: &Json, b: &Json| ? concat(a, b).map(Datum::Jsonb));
    "jsonb_delete" => pure!(|j: &Json, k: &str| ? delete_keys(j, &[k]).map(Datum::Jsonb));
    "jsonb_delete_array" => pure!(|j: &Json, k: &Arc<ArrayValue>| ? delete_array(j, k).map(Datum::Jsonb));
    "jsonb_delete_idx" => pure!(|j: &Json, i: i32| ? delete_element(j, i).map(Datum::Jsonb));
    "jsonb_delete_path" => pure!(|j: &Json, p: &Arc<ArrayValue>| ? along(j, p, Change::Delete));
    "jsonb_set" => pure!(|j: &Json, p: &Arc<ArrayValue>, v: &Json, create: bool| ? {
        along(j, p, if create { Change::Create(v) } else { Change::Replace(v) })
    });
    "jsonb_insert" => pure!(|j: &Json, p: &Arc<ArrayValue>, v: &Json, after: bool| ? {
        along(j, p, if after { Change::InsertAfter(v) } else { Change::InsertBefore(v) })
    });
    "jsonb_set_lax" => crate::Kernel::Pure(set_lax);
}

/// Assignment to subscripts of a jsonb: `json[path] = value`. What is missing on the way comes into being, an array for a path step that is
/// an integer and an object otherwise; a NULL document begins as what the first step asks for. 22023 where the path goes through a scalar.
pub fn assign(json: Option<&Json>, path: &[&str], value: &Json) -> Result<Json> {
    let path: Vec<Option<&str>> = path.iter().map(|s| Some(*s)).collect();
    let empty = match path.first() {
        Some(Some(step)) if integer(step).is_some() => Json::array(Vec::new())?,
        _ => Json::object(Vec::new())?,
    };
    set_path(json.unwrap_or(&empty), &path, 0, Change::Assign(value))
}
