//! Enums: their values are numbers that sort as the labels do, so comparing is comparing numbers; what needs the labels or their number
//! asks the catalog through the context.

use super::macros::{kernels, pure};
use crate::{CallTypes, Context, Kernel};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, type_info};
use std::cmp::Ordering;

/// The values of the enum that a call is about, in order: its result says which, when its arguments are all NULL.
fn values(cx: &dyn Context, types: &CallTypes<'_>) -> Result<(u32, Vec<i64>)> {
    let of = |t: u32| type_info::base_type(type_info::element_of(t).unwrap_or(t));
    let ty = of(types.ret.oid);
    if !type_info::is_enum(ty) {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "could not determine actual enum type",
        ));
    }
    let values = cx.io().types.as_ref().map_or_else(Vec::new, |t| t.enum_values(ty));
    Ok((ty, values))
}

fn end(cx: &dyn Context, types: &CallTypes<'_>, pick: fn(&[i64]) -> Option<&i64>) -> Result<Datum> {
    let (ty, values) = values(cx, types)?;
    let value = *pick(&values).ok_or_else(|| {
        SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("enum {} contains no values", type_info::format_type(ty, -1)),
        )
    })?;
    cx.io().check_usable(ty, value)?;
    Ok(Datum::Int8(value))
}

fn range(cx: &dyn Context, types: &CallTypes<'_>, low: &Datum, high: &Datum) -> Result<Datum> {
    let (ty, values) = values(cx, types)?;
    let bound = |d: &Datum, open| if let Datum::Int8(v) = d { *v } else { open };
    let (low, high) = (bound(low, i64::MIN), bound(high, i64::MAX));
    let within: Vec<i64> = values.into_iter().filter(|v| (low..=high).contains(v)).collect();
    for value in &within {
        cx.io().check_usable(ty, *value)?;
    }
    Ok(Datum::list(ty, within.into_iter().map(Datum::Int8).collect()))
}

fn label(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<String> {
    let ty = types.args.first().map_or(PgType::TEXT, |t| *t);
    Ok(curia_types::text_io::to_string(ty, &args[0], cx.io()))
}

fn pick(args: &[Datum], wanted: Ordering) -> Datum {
    match (&args[0], &args[1]) {
        (Datum::Int8(a), Datum::Int8(b)) if a.cmp(b) == wanted => args[0].clone(),
        _ => args[1].clone(),
    }
}

kernels! {
    "enum_eq" = pure!(|a: i64, b: i64| -> Bool a == b);
    "enum_ne" = pure!(|a: i64, b: i64| -> Bool a != b);
    "enum_lt" = pure!(|a: i64, b: i64| -> Bool a < b);
    "enum_le" = pure!(|a: i64, b: i64| -> Bool a <= b);
    "enum_gt" = pure!(|a: i64, b: i64| -> Bool a > b);
    "enum_ge" = pure!(|a: i64, b: i64| -> Bool a >= b);
    "enum_cmp" = pure!(|a: i64, b: i64| -> Int4 a.cmp(&b) as i32);
    "enum_larger" = Kernel::Pure(|args| Ok(pick(args, Ordering::Greater)));
    "enum_smaller" = Kernel::Pure(|args| Ok(pick(args, Ordering::Less)));
    "enum_first" => Kernel::Typed(|cx, types, _| end(cx, types, |v| v.first()));
    "enum_last" => Kernel::Typed(|cx, types, _| end(cx, types, |v| v.last()));
    "enum_range_bounds" => Kernel::Typed(|cx, types, args| range(cx, types, &args[0], &args[1]));
    "enum_range_all" => Kernel::Typed(|cx, types, _| range(cx, types, &Datum::Null, &Datum::Null));
    "enum_out" => Kernel::Typed(|cx, types, args| label(cx, types, args).map(Datum::text));
    "enum_send" => Kernel::Typed(|cx, types, args| Ok(Datum::Bytea(label(cx, types, args)?.into_bytes().into())));
}
