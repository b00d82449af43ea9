//! Array functions and operators. Element comparison is the element type's default order.

use super::macros::{kernels, pure};
use crate::Kernel::{Pure, Typed};
use crate::compare::compare_datums;
use crate::kernel::{CallTypes, Context, Rows};
use curia_types::array::MAX_ELEMENTS;
use curia_types::{ArrayValue, Datum, PgType, Result, SqlError, SqlState, text_io, type_info};
use std::sync::Arc;

fn error(code: SqlState, m: &str) -> SqlError {
    SqlError::new(code, m)
}
fn put(a: ArrayValue) -> Result<Datum> {
    if a.elements.len() > MAX_ELEMENTS {
        return Err(error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array size exceeds the maximum allowed (134217727)",
        ));
    }
    Ok(Datum::Array(Arc::new(a)))
}
fn same(element: u32, a: &Datum, b: &Datum) -> bool {
    match (a.is_null(), b.is_null()) {
        (true, true) => true,
        (false, false) => compare_datums(element, a, b).is_eq(),
        _ => false,
    }
}
fn dimension(a: &ArrayValue, n: i32) -> Option<(i32, i32)> {
    usize::try_from(n).ok()?.checked_sub(1).and_then(|i| a.dimensions.get(i).copied())
}
fn element_type(types: &CallTypes<'_>) -> u32 {
    type_info::element_of(types.ret.oid).unwrap_or(types.ret.oid)
}

fn append(types: &CallTypes<'_>, args: &[Datum], front: bool) -> Result<Datum> {
    let (array, value) = if front { (&args[1], &args[0]) } else { (&args[0], &args[1]) };
    let Datum::Array(a) = array else {
        return put(ArrayValue::of(element_type(types), vec![value.clone()]));
    };
    match a.dimensions.len() {
        0 => put(ArrayValue::of(a.element, vec![value.clone()])),
        1 => {
            let (n, low) = a.dimensions[0];
            let mut elements = a.elements.clone();
            elements.insert(if front { 0 } else { elements.len() }, value.clone());
            // array_prepend keeps the lower bound.
            put(ArrayValue {
                element: a.element,
                dimensions: vec![(n + 1, low)],
                elements,
            })
        }
        _ => Err(error(SqlState::new("22000"), "argument must be empty or one-dimensional array")),
    }
}

fn cat(args: &[Datum]) -> Result<Datum> {
    let (a, b) = match (&args[0], &args[1]) {
        (Datum::Array(a), Datum::Array(b)) => (a, b),
        (Datum::Null, other) | (other, _) => return Ok(other.clone()),
    };
    if a.elements.is_empty() {
        return Ok(args[1].clone());
    }
    if b.elements.is_empty() {
        return Ok(args[0].clone());
    }
    let incompatible = |detail: String| error(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays").detail(detail);
    let (x, y) = (a.dimensions.len(), b.dimensions.len());
    let mut dimensions;
    if x == y {
        if a.dimensions[1..] != b.dimensions[1..] {
            return Err(incompatible(
                "Arrays with differing element dimensions are not compatible for concatenation.".to_owned(),
            ));
        }
        dimensions = a.dimensions.clone();
        dimensions[0].0 += b.dimensions[0].0;
    } else if x == y + 1 || y == x + 1 {
        let (more, less) = if x > y { (a, b) } else { (b, a) };
        if more.dimensions[1..] != less.dimensions[..] {
            return Err(incompatible(
                "Arrays with differing dimensions are not compatible for concatenation.".to_owned(),
            ));
        }
        dimensions = more.dimensions.clone();
        dimensions[0].0 += 1;
    } else {
        return Err(incompatible(format!(
            "Arrays of {x} and {y} dimensions are not compatible for concatenation."
        )));
    }
    put(ArrayValue {
        element: a.element,
        dimensions,
        elements: a.elements.iter().chain(&b.elements).cloned().collect(),
    })
}

fn one_dimensional(a: &ArrayValue, doing: &str) -> Result<()> {
    if a.dimensions.len() > 1 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{doing} multidimensional arrays is not supported"),
        ));
    }
    Ok(())
}

fn remove(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(a) = &args[0] else { return Ok(Datum::Null) };
    one_dimensional(a, "removing elements from")?;
    let kept: Vec<Datum> = a.elements.iter().filter(|e| !same(a.element, e, &args[1])).cloned().collect();
    if kept.len() == a.elements.len() {
        return Ok(args[0].clone());
    }
    put(ArrayValue::of(a.element, kept))
}

fn replace(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(a) = &args[0] else { return Ok(Datum::Null) };
    let elements = a
        .elements
        .iter()
        .map(|e| if same(a.element, e, &args[1]) { args[2].clone() } else { e.clone() })
        .collect();
    put(ArrayValue { elements, ..(**a).clone() })
}

fn position(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(a) = &args[0] else { return Ok(Datum::Null) };
    one_dimensional(a, "searching for elements in")
        .map_err(|e| SqlError::new(e.code(), "searching for elements in multidimensional arrays is not supported"))?;
    let low = a.dimensions.first().map_or(1, |d| d.1);
    let start = match args.get(2) {
        None => low,
        Some(Datum::Int4(s)) => *s,
        Some(_) => return Err(error(SqlState::new("22004"), "initial position must not be null")),
    };
    let found = a
        .elements
        .iter()
        .enumerate()
        .find(|(i, e)| low + *i as i32 >= start && same(a.element, e, &args[1]));
    Ok(found.map_or(Datum::Null, |(i, _)| Datum::Int4(low + i as i32)))
}

fn positions(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(a) = &args[0] else { return Ok(Datum::Null) };
    one_dimensional(a, "searching for elements in")?;
    let low = a.dimensions.first().map_or(1, |d| d.1);
    let hits = a
        .elements
        .iter()
        .enumerate()
        .filter(|(_, e)| same(a.element, e, &args[1]))
        .map(|(i, _)| Datum::Int4(low + i as i32))
        .collect();
    put(ArrayValue::of(curia_types::oid::INT4, hits))
}

/// Every non-null element of `b` is in `a`; a NULL element is in nothing.
fn contains(a: &ArrayValue, b: &ArrayValue) -> bool {
    b.elements
        .iter()
        .all(|x| !x.is_null() && a.elements.iter().any(|y| !y.is_null() && compare_datums(a.element, x, y).is_eq()))
}

fn dims(a: &ArrayValue) -> Datum {
    if a.dimensions.is_empty() {
        return Datum::Null;
    }
    Datum::text(
        a.dimensions
            .iter()
            .map(|(n, low)| format!("[{low}:{}]", low + n - 1))
            .collect::<String>(),
    )
}

fn fill(types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let ints = |d: &Datum, what: &str| -> Result<Vec<i32>> {
        let Datum::Array(a) = d else {
            return Err(error(SqlState::new("22004"), "dimension array or low bound array cannot be null"));
        };
        if a.dimensions.len() > 1 {
            return Err(error(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
                .detail(format!("{what} array must be one dimensional.")));
        }
        a.elements
            .iter()
            .map(|e| match e {
                Datum::Int4(v) => Ok(*v),
                _ => Err(error(SqlState::new("22004"), "dimension values cannot be null")),
            })
            .collect()
    };
    let lengths = ints(&args[1], "Dimension")?;
    let lows = match args.get(2) {
        Some(d) => ints(d, "Low bound")?,
        None => vec![1; lengths.len()],
    };
    if lows.len() != lengths.len() {
        return Err(error(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    let total = lengths
        .iter()
        .try_fold(1usize, |t, n| t.checked_mul(usize::try_from(*n).ok()?))
        .filter(|t| *t <= MAX_ELEMENTS);
    let total = total.ok_or_else(|| {
        error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array size exceeds the maximum allowed (134217727)",
        )
    })?;
    if total == 0 || lengths.is_empty() {
        return put(ArrayValue::of(element_type(types), Vec::new()));
    }
    put(ArrayValue {
        element: element_type(types),
        dimensions: lengths.into_iter().zip(lows).collect(),
        elements: vec![args[0].clone(); total],
    })
}

fn join(cx: &dyn Context, args: &[Datum]) -> Result<Datum> {
    let (Datum::Array(a), Datum::Text(separator)) = (&args[0], &args[1]) else {
        return Ok(Datum::Null);
    };
    let null = match args.get(2) {
        Some(Datum::Text(t)) => Some(t),
        _ => None,
    };
    let mut out = Vec::new();
    let mut first = true;
    for e in &a.elements {
        if e.is_null() && null.is_none() {
            continue;
        }
        if !first {
            out.extend_from_slice(separator.as_bytes());
        }
        first = false;
        match (e, null) {
            (Datum::Null, Some(n)) => out.extend_from_slice(n.as_bytes()),
            _ => text_io::format(PgType::with_typmod(a.element, -1), e, cx.io(), &mut out),
        }
    }
    Ok(Datum::text(String::from_utf8_lossy(&out)))
}

/// Fields of string_to_array: NULL separator splits characters, an empty one does not split.
fn split(args: &[Datum]) -> Option<Vec<Datum>> {
    let Datum::Text(s) = &args[0] else { return None };
    let null = match args.get(2) {
        Some(Datum::Text(n)) => Some(n),
        _ => None,
    };
    let field = |f: &str| {
        if null.is_some_and(|n| **n == *f) {
            Datum::Null
        } else {
            Datum::text(f)
        }
    };
    if s.is_empty() {
        return Some(Vec::new());
    }
    Some(match &args[1] {
        Datum::Text(sep) if sep.is_empty() => vec![field(s)],
        Datum::Text(sep) => s.split(&**sep).map(field).collect(),
        _ => s.chars().map(|c| field(c.encode_utf8(&mut [0; 4]))).collect(),
    })
}

pub(super) fn split_rows(args: &[Datum]) -> Result<Rows> {
    Ok(Box::new(split(args).unwrap_or_default().into_iter().map(|d| Ok(vec![d]))))
}

fn trim(a: &ArrayValue, n: i32) -> Result<Datum> {
    let have = a.dimensions.first().map_or(0, |d| d.0);
    if n < 0 || n > have {
        return Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("number of elements to trim must be between 0 and {have}"),
        ));
    }
    if n == have {
        return put(ArrayValue::of(a.element, Vec::new()));
    }
    let mut dimensions: Vec<(i32, i32)> = a.dimensions.iter().map(|d| (d.0, 1)).collect();
    dimensions[0].0 -= n;
    let keep = a.elements.len() / have.max(1) as usize * (have - n) as usize;
    put(ArrayValue {
        element: a.element,
        dimensions,
        elements: a.elements[..keep].to_vec(),
    })
}

fn bucket(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(a) = &args[1] else { return Ok(Datum::Null) };
    if a.dimensions.len() > 1 {
        return Err(error(SqlState::ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array"));
    }
    if a.elements.iter().any(Datum::is_null) {
        return Err(error(SqlState::new("22004"), "thresholds array must not contain NULLs"));
    }
    Ok(Datum::Int4(
        a.elements.partition_point(|t| compare_datums(a.element, t, &args[0]).is_le()) as i32,
    ))
}

type A<'a> = &'a Arc<ArrayValue>;

kernels! {
    "array_append" => Typed(|_, types, args| append(types, args, false));
    "array_prepend" => Typed(|_, types, args| append(types, args, true));
    "array_cat" => Pure(cat);
    "array_remove" => Pure(remove);
    "array_replace" => Pure(replace);
    "array_position" => Pure(position);
    "array_position_start" => Pure(position);
    "array_positions" => Pure(positions);
    "array_fill" => Typed(|_, types, args| fill(types, args));
    "array_fill_with_lower_bounds" => Typed(|_, types, args| fill(types, args));
    "array_to_text" = crate::Kernel::Contextual(join);
    "array_to_text_null" = crate::Kernel::Contextual(join);
    "text_to_array" = Pure(|args| split(args).map_or(Ok(Datum::Null), |f| put(ArrayValue::of(curia_types::oid::TEXT, f))));
    "text_to_array_null" = Pure(|args| split(args).map_or(Ok(Datum::Null), |f| put(ArrayValue::of(curia_types::oid::TEXT, f))));
    "trim_array" => pure!(|a: A<'_>, n: i32| ? trim(a, n));
    "array_ndims" = pure!(|a: A<'_>| ? Ok(if a.dimensions.is_empty() { Datum::Null } else { Datum::Int4(a.dimensions.len() as i32) }));
    "array_dims" = pure!(|a: A<'_>| ? Ok(dims(a)));
    "array_lower" = pure!(|a: A<'_>, n: i32| ? Ok(dimension(a, n).map_or(Datum::Null, |(_, low)| Datum::Int4(low))));
    "array_upper" = pure!(|a: A<'_>, n: i32| ? Ok(dimension(a, n).map_or(Datum::Null, |(len, low)| Datum::Int4(low + len - 1))));
    "array_length" = pure!(|a: A<'_>, n: i32| ? Ok(dimension(a, n).map_or(Datum::Null, |(len, _)| Datum::Int4(len))));
    "array_cardinality" = pure!(|a: A<'_>| -> Int4 a.elements.len() as i32);
    "arraycontains" = pure!(|a: A<'_>, b: A<'_>| -> Bool contains(a, b));
    "arraycontained" = pure!(|a: A<'_>, b: A<'_>| -> Bool contains(b, a));
    "arrayoverlap" = pure!(|a: A<'_>, b: A<'_>| -> Bool a.elements.iter().any(|x| !x.is_null() && b.elements.iter().any(|y| !y.is_null() && compare_datums(a.element, x, y).is_eq())));
    "width_bucket_array" => Pure(bucket);
}
