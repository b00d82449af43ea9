//! Subscripts of arrays: reading elements and slices, and assigning to them.

use curia_bind::ir::Bounds;
use curia_types::array::SliceBounds;
use curia_types::datum::ArrayValue;
use curia_types::{Datum, Result, SqlError, SqlState};
use std::sync::Arc;

fn number(d: &Datum) -> Option<i32> {
    match d {
        Datum::Int4(i) => Some(*i),
        _ => None,
    }
}

/// The element at the subscripts; NULL when one of them is NULL or outside.
pub(super) fn subscript(array: &Datum, at: &[Datum]) -> Datum {
    match (array, at.iter().map(number).collect::<Option<Vec<i32>>>()) {
        (Datum::Array(a), Some(at)) => a.get(&at),
        _ => Datum::Null,
    }
}

/// The bounds of each dimension; an index beside slices is `[1:i]`. `None` when one is NULL.
fn ranges(bounds: &[Datum], shape: &[Bounds]) -> Option<Vec<SliceBounds>> {
    let mut bounds = bounds.iter().map(number);
    let mut next = |given: bool| if given { bounds.next().flatten().map(Some) } else { Some(None) };
    shape
        .iter()
        .map(|b| match b {
            Bounds::Index => Some((Some(1), next(true)?)),
            Bounds::Slice { low, high } => Some((next(*low)?, next(*high)?)),
        })
        .collect()
}

/// The slice; NULL when the array or a bound is NULL.
pub(super) fn slice(array: &Datum, bounds: &[Datum], shape: &[Bounds]) -> Datum {
    match (array, ranges(bounds, shape)) {
        (Datum::Array(a), Some(ranges)) => Datum::Array(Arc::new(a.slice(&ranges))),
        _ => Datum::Null,
    }
}

/// The array after an assignment; a NULL array starts empty, and a NULL given to a slice changes nothing.
pub(super) fn assign(array: Datum, element: u32, bounds: &[Datum], shape: &[Bounds], value: Datum) -> Result<Datum> {
    if bounds.iter().any(Datum::is_null) {
        return Err(SqlError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "array subscript in assignment must not be null",
        ));
    }
    let mut new = match array {
        Datum::Array(a) => Arc::unwrap_or_clone(a),
        _ => ArrayValue::of(element, Vec::new()),
    };
    if shape.iter().all(|b| *b == Bounds::Index) {
        let at: Vec<i32> = bounds.iter().filter_map(number).collect();
        new.set_element(&at, value)?;
    } else if let (Datum::Array(source), Some(ranges)) = (&value, ranges(bounds, shape)) {
        new.set_slice(&ranges, source)?;
    }
    Ok(Datum::Array(Arc::new(new)))
}
