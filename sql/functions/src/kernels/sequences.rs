//! Set-returning functions: generate_series, unnest, generate_subscripts, keyword and splitting tables.

use super::macros::kernels;
use crate::Kernel::Set;
use crate::kernel::{CallTypes, Context, Rows};
use curia_types::{ArrayValue, Datum, Interval, Numeric, Result, SqlError, SqlState, datetime as dt, keywords};
use std::sync::Arc;

fn zero_step() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

fn int(d: &Datum) -> Result<i64> {
    match d {
        Datum::Int4(v) => Ok(i64::from(*v)),
        Datum::Int8(v) => Ok(*v),
        other => Err(SqlError::internal(format!("generate_series over {other:?}"))),
    }
}

/// Integers from `first` to `last`; ends without overflow at the type's limits.
fn integers(args: &[Datum], make: fn(i64) -> Datum) -> Result<Rows> {
    let (first, last) = (int(&args[0])?, int(&args[1])?);
    let step = args.get(2).map_or(Ok(1), int)?;
    if step == 0 {
        return Err(zero_step());
    }
    let mut next = Some(first);
    Ok(Box::new(std::iter::from_fn(move || {
        let v = next.filter(|v| if step > 0 { *v <= last } else { *v >= last })?;
        next = v.checked_add(step);
        Some(Ok(vec![make(v)]))
    })))
}

fn numeric(d: &Datum) -> Result<Numeric> {
    match d {
        Datum::Numeric(n) => Ok(n.clone()),
        other => Err(SqlError::internal(format!("generate_series over {other:?}"))),
    }
}

fn numerics(args: &[Datum]) -> Result<Rows> {
    let names = ["start", "stop", "step"];
    let values: Vec<Numeric> = args.iter().map(numeric).collect::<Result<_>>()?;
    for (n, name) in values.iter().zip(names) {
        let what = if n.is_nan() {
            "NaN"
        } else if n.is_infinite() {
            "infinity"
        } else {
            continue;
        };
        let subject = if name == "step" {
            "step size".to_owned()
        } else {
            format!("{name} value")
        };
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{subject} cannot be {what}"),
        ));
    }
    let step = values.get(2).cloned().unwrap_or(Numeric::ONE);
    if step.is_zero() {
        return Err(zero_step());
    }
    let last = values[1].clone();
    let up = step.signum() > 0;
    // Display scale of every value: the largest of the inputs'.
    let scale = values.iter().filter_map(Numeric::scale).max().unwrap_or(0);
    let mut next = Some(values[0].clone());
    Ok(Box::new(std::iter::from_fn(move || {
        let v = next
            .take()
            .filter(|v| if up { v.compare(&last).is_le() } else { v.compare(&last).is_ge() })?;
        match v.add(&step) {
            Ok(n) => next = Some(n),
            Err(e) => return Some(Err(e)),
        }
        let _ = scale;
        Some(Ok(vec![Datum::Numeric(v)]))
    })))
}

fn timestamps(args: &[Datum], add: impl Fn(i64, Interval) -> Result<i64> + Send + 'static, make: fn(i64) -> Datum) -> Result<Rows> {
    let point = |d: &Datum| match d {
        Datum::Timestamp(t) | Datum::Timestamptz(t) => Ok(*t),
        other => Err(SqlError::internal(format!("generate_series over {other:?}"))),
    };
    let (first, last) = (point(&args[0])?, point(&args[1])?);
    let Datum::Interval(step) = args[2] else {
        return Err(SqlError::internal("generate_series step"));
    };
    let sign = dt::interval_span(step).signum();
    if sign == 0 {
        return Err(zero_step());
    }
    let mut next = Some(first);
    Ok(Box::new(std::iter::from_fn(move || {
        let t = next.take().filter(|t| if sign > 0 { *t <= last } else { *t >= last })?;
        match add(t, step) {
            Ok(n) => next = Some(n),
            Err(e) => return Some(Err(e)),
        }
        Some(Ok(vec![make(t)]))
    })))
}

fn series_timestamptz(cx: &dyn Context, _: &CallTypes<'_>, args: &[Datum]) -> Result<Rows> {
    let zone = cx.time_zone().clone();
    timestamps(args, move |t, i| dt::timestamptz_add(t, i, &zone), Datum::Timestamptz)
}

fn array(d: &Datum) -> Result<Arc<ArrayValue>> {
    match d {
        Datum::Array(a) => Ok(a.clone()),
        other => Err(SqlError::internal(format!("array argument is {other:?}"))),
    }
}

fn unnest(args: &[Datum]) -> Result<Rows> {
    let a = array(&args[0])?;
    let mut at = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        at += 1;
        a.elements.get(at - 1).map(|e| Ok(vec![e.clone()]))
    })))
}

/// Elements with their positions (`information_schema._pg_expandarray`).
fn expand(args: &[Datum]) -> Result<Rows> {
    let a = array(&args[0])?.clone();
    let mut at = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        at += 1;
        let element = a.elements.get(at - 1)?.clone();
        Some(Ok(vec![element, Datum::Int4(at as i32)]))
    })))
}

fn subscripts(args: &[Datum]) -> Result<Rows> {
    let a = array(&args[0])?;
    let Datum::Int4(dimension) = args[1] else {
        return Err(SqlError::internal("generate_subscripts dimension"));
    };
    let reverse = matches!(args.get(2), Some(Datum::Bool(true)));
    let bounds = usize::try_from(dimension)
        .ok()
        .and_then(|d| d.checked_sub(1))
        .and_then(|d| a.dimensions.get(d).copied());
    let (n, low) = bounds.unwrap_or((0, 1));
    let range = low..low.saturating_add(n);
    let row = |v: i32| Ok(vec![Datum::Int4(v)]);
    Ok(if reverse {
        Box::new(range.rev().map(row))
    } else {
        Box::new(range.map(row))
    })
}

fn keyword_rows() -> Result<Rows> {
    Ok(Box::new(keywords::KEYWORDS.iter().map(|(word, category)| {
        let (description, bare, bare_description) = match category {
            'U' => ("unreserved", true, "can be bare label"),
            'C' => ("unreserved (cannot be function or type name)", true, "can be bare label"),
            'T' => ("reserved (can be function or type name)", true, "can be bare label"),
            _ => ("reserved", true, "can be bare label"),
        };
        // The words whose bare use as a column label would be ambiguous.
        const NEEDS_AS: [&str; 39] = [
            "array",
            "as",
            "char",
            "character",
            "create",
            "day",
            "except",
            "fetch",
            "filter",
            "for",
            "from",
            "grant",
            "group",
            "having",
            "hour",
            "intersect",
            "into",
            "isnull",
            "limit",
            "minute",
            "month",
            "notnull",
            "offset",
            "on",
            "order",
            "over",
            "overlaps",
            "precision",
            "returning",
            "second",
            "to",
            "union",
            "varying",
            "where",
            "window",
            "with",
            "within",
            "without",
            "year",
        ];
        let needs = NEEDS_AS.contains(word);
        Ok(vec![
            Datum::text(word),
            Datum::text(category.to_string()),
            Datum::Bool(bare && !needs),
            Datum::text(description),
            Datum::text(if needs { "requires AS" } else { bare_description }),
        ])
    })))
}

kernels! {
    "generate_series_int4" = Set(|_, _, args| integers(args, |v| Datum::Int4(v as i32)));
    "generate_series_step_int4" => Set(|_, _, args| integers(args, |v| Datum::Int4(v as i32)));
    "generate_series_int8" = Set(|_, _, args| integers(args, Datum::Int8));
    "generate_series_step_int8" => Set(|_, _, args| integers(args, Datum::Int8));
    "generate_series_numeric" => Set(|_, _, args| numerics(args));
    "generate_series_step_numeric" => Set(|_, _, args| numerics(args));
    "generate_series_timestamp" => Set(|_, _, args| timestamps(args, dt::timestamp_add, Datum::Timestamp));
    "generate_series_timestamptz" => Set(series_timestamptz);
    "_pg_expandarray(anyarray)" = Set(|_, _, args| expand(args));
    "array_unnest" = Set(|_, _, args| unnest(args));
    "generate_subscripts" = Set(|_, _, args| subscripts(args));
    "generate_subscripts_nodir" = Set(|_, _, args| subscripts(args));
    "pg_get_keywords" = Set(|_, _, _| keyword_rows());
    "text_to_table" = Set(|_, _, args| super::arrays::split_rows(args));
    "text_to_table_null" = Set(|_, _, args| super::arrays::split_rows(args));
}
