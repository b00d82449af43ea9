//! Comparison operators of every type and their btree support functions: one order per type, six operators each.

use super::macros::{Date, Time, Timestamp, Timestamptz, kernels, pure};
use crate::Kernel;
use crate::compare::{bpchar_cmp, compare_datums, float_cmp};
use curia_types::{Datum, Interval, Json, Numeric, datetime, oid};
use std::cmp::Ordering;

/// Operators over an order of two argument types: eq ne lt le gt ge.
macro_rules! six {
    ([$($done:tt)*] ($eq:literal $ne:literal $lt:literal $le:literal $gt:literal $ge:literal) |$a:ident : $ta:ty, $b:ident : $tb:ty| $order:expr; $($rest:tt)*) => {
        six! { [$($done)*
            $eq = pure!(|$a: $ta, $b: $tb| -> Bool ($order).is_eq());
            $ne = pure!(|$a: $ta, $b: $tb| -> Bool ($order).is_ne());
            $lt = pure!(|$a: $ta, $b: $tb| -> Bool ($order).is_lt());
            $le = pure!(|$a: $ta, $b: $tb| -> Bool ($order).is_le());
            $gt = pure!(|$a: $ta, $b: $tb| -> Bool ($order).is_gt());
            $ge = pure!(|$a: $ta, $b: $tb| -> Bool ($order).is_ge());
        ] $($rest)* }
    };
    ([$($done:tt)*] also { $($more:tt)* }) => { kernels! { $($done)* $($more)* } };
}

fn numeric(a: &Numeric, b: &Numeric) -> Ordering {
    a.compare(b)
}

/// Whether a value is a transaction's number; xid compares with xid and with integer.
fn is_xid(value: &Datum, xid: u32) -> bool {
    match value {
        Datum::Oid(v) => *v == xid,
        Datum::Int4(v) => *v as u32 == xid,
        _ => false,
    }
}

/// date against timestamp: the date at midnight, infinities kept.
fn date_timestamp(d: i32, t: i64) -> Ordering {
    match d {
        i32::MAX => i64::MAX.cmp(&t),
        i32::MIN => i64::MIN.cmp(&t),
        _ if t == i64::MAX => Ordering::Less,
        d => (i128::from(d) * i128::from(datetime::DAY)).cmp(&i128::from(t)),
    }
}

fn order(o: Ordering) -> i32 {
    o as i32
}

/// Array operators compare by the element type's order.
fn arrays(args: &[Datum]) -> Ordering {
    match (&args[0], &args[1]) {
        (Datum::Array(a), Datum::Array(b)) if a.element == oid::BPCHAR || b.element == oid::BPCHAR => {
            compare_datums(oid::BPCHAR, &args[0], &args[1])
        }
        (a, b) => compare_datums(oid::ANYARRAY, a, b),
    }
}

macro_rules! array_test {
    ($test:ident) => {
        Kernel::Pure(|args| Ok(Datum::Bool(arrays(args).$test())))
    };
}

/// Whether the first operand is the larger (or smaller) one. Of equals the second is taken, but for bpchar.
fn first_wins(ty: u32, order: Ordering, larger: bool) -> bool {
    let order = if larger { order } else { order.reverse() };
    order.is_gt() || (order.is_eq() && ty == oid::BPCHAR)
}

macro_rules! larger {
    ($ty:expr) => {
        Kernel::Pure(|args| {
            Ok(if first_wins($ty, compare_datums($ty, &args[0], &args[1]), true) {
                args[0].clone()
            } else {
                args[1].clone()
            })
        })
    };
}
macro_rules! smaller {
    ($ty:expr) => {
        Kernel::Pure(|args| {
            Ok(if first_wins($ty, compare_datums($ty, &args[0], &args[1]), false) {
                args[0].clone()
            } else {
                args[1].clone()
            })
        })
    };
}

six! { []
    ("booleq" "boolne" "boollt" "boolle" "boolgt" "boolge") |a: bool, b: bool| a.cmp(&b);
    ("chareq" "charne" "charlt" "charle" "chargt" "charge") |a: &str, b: &str| a.as_bytes().cmp(b.as_bytes());
    ("nameeq" "namene" "namelt" "namele" "namegt" "namege") |a: &str, b: &str| a.as_bytes().cmp(b.as_bytes());
    ("nameeqtext" "namenetext" "namelttext" "nameletext" "namegttext" "namegetext") |a: &str, b: &str| a.as_bytes().cmp(b.as_bytes());
    ("texteqname" "textnename" "textltname" "textlename" "textgtname" "textgename") |a: &str, b: &str| a.as_bytes().cmp(b.as_bytes());
    ("texteq" "textne" "text_lt" "text_le" "text_gt" "text_ge") |a: &str, b: &str| a.as_bytes().cmp(b.as_bytes());
    ("bpchareq" "bpcharne" "bpcharlt" "bpcharle" "bpchargt" "bpcharge") |a: &str, b: &str| bpchar_cmp(a, b);
    ("byteaeq" "byteane" "bytealt" "byteale" "byteagt" "byteage") |a: &[u8], b: &[u8]| a.cmp(b);
    ("int2eq" "int2ne" "int2lt" "int2le" "int2gt" "int2ge") |a: i16, b: i16| a.cmp(&b);
    ("int4eq" "int4ne" "int4lt" "int4le" "int4gt" "int4ge") |a: i32, b: i32| a.cmp(&b);
    ("int8eq" "int8ne" "int8lt" "int8le" "int8gt" "int8ge") |a: i64, b: i64| a.cmp(&b);
    ("int24eq" "int24ne" "int24lt" "int24le" "int24gt" "int24ge") |a: i16, b: i32| i32::from(a).cmp(&b);
    ("int42eq" "int42ne" "int42lt" "int42le" "int42gt" "int42ge") |a: i32, b: i16| a.cmp(&i32::from(b));
    ("int84eq" "int84ne" "int84lt" "int84le" "int84gt" "int84ge") |a: i64, b: i32| a.cmp(&i64::from(b));
    ("int48eq" "int48ne" "int48lt" "int48le" "int48gt" "int48ge") |a: i32, b: i64| i64::from(a).cmp(&b);
    ("int82eq" "int82ne" "int82lt" "int82le" "int82gt" "int82ge") |a: i64, b: i16| a.cmp(&i64::from(b));
    ("int28eq" "int28ne" "int28lt" "int28le" "int28gt" "int28ge") |a: i16, b: i64| i64::from(a).cmp(&b);
    ("oideq" "oidne" "oidlt" "oidle" "oidgt" "oidge") |a: u32, b: u32| a.cmp(&b);
    ("float4eq" "float4ne" "float4lt" "float4le" "float4gt" "float4ge") |a: f32, b: f32| float_cmp(f64::from(a), f64::from(b));
    ("float8eq" "float8ne" "float8lt" "float8le" "float8gt" "float8ge") |a: f64, b: f64| float_cmp(a, b);
    ("float48eq" "float48ne" "float48lt" "float48le" "float48gt" "float48ge") |a: f32, b: f64| float_cmp(f64::from(a), b);
    ("float84eq" "float84ne" "float84lt" "float84le" "float84gt" "float84ge") |a: f64, b: f32| float_cmp(a, f64::from(b));
    ("numeric_eq" "numeric_ne" "numeric_lt" "numeric_le" "numeric_gt" "numeric_ge") |a: &Numeric, b: &Numeric| numeric(a, b);
    ("date_eq" "date_ne" "date_lt" "date_le" "date_gt" "date_ge") |a: Date, b: Date| a.0.cmp(&b.0);
    ("time_eq" "time_ne" "time_lt" "time_le" "time_gt" "time_ge") |a: Time, b: Time| a.0.cmp(&b.0);
    ("timestamp_eq" "timestamp_ne" "timestamp_lt" "timestamp_le" "timestamp_gt" "timestamp_ge") |a: &Datum, b: &Datum| compare_datums(0, a, b);
    ("date_eq_timestamp" "date_ne_timestamp" "date_lt_timestamp" "date_le_timestamp" "date_gt_timestamp" "date_ge_timestamp")
        |a: Date, b: Timestamp| date_timestamp(a.0, b.0);
    ("timestamp_eq_date" "timestamp_ne_date" "timestamp_lt_date" "timestamp_le_date" "timestamp_gt_date" "timestamp_ge_date")
        |a: Timestamp, b: Date| date_timestamp(b.0, a.0).reverse();
    ("interval_eq" "interval_ne" "interval_lt" "interval_le" "interval_gt" "interval_ge") |a: Interval, b: Interval| datetime::interval_cmp(a, b);
    ("uuid_eq" "uuid_ne" "uuid_lt" "uuid_le" "uuid_gt" "uuid_ge") |a: [u8; 16], b: [u8; 16]| a.cmp(&b);
    ("jsonb_eq" "jsonb_ne" "jsonb_lt" "jsonb_le" "jsonb_gt" "jsonb_ge") |a: &Json, b: &Json| a.compare(b);
    ("record_eq" "record_ne" "record_lt" "record_le" "record_gt" "record_ge") |a: &Datum, b: &Datum| compare_datums(oid::RECORD, a, b);
    ("oidvectoreq" "oidvectorne" "oidvectorlt" "oidvectorle" "oidvectorgt" "oidvectorge") |a: &Datum, b: &Datum| compare_datums(0, a, b);
    also {
        "array_eq" = array_test!(is_eq);
        "array_ne" = array_test!(is_ne);
        "array_lt" = array_test!(is_lt);
        "array_le" = array_test!(is_le);
        "array_gt" = array_test!(is_gt);
        "array_ge" = array_test!(is_ge);
        "xideq" = pure!(|a: u32, b: &Datum| -> Bool is_xid(b, a));
        "xidneq" = pure!(|a: u32, b: &Datum| -> Bool !is_xid(b, a));
        "text_pattern_lt" = pure!(|a: &str, b: &str| -> Bool a.as_bytes() < b.as_bytes());
        "text_pattern_le" = pure!(|a: &str, b: &str| -> Bool a.as_bytes() <= b.as_bytes());
        "text_pattern_gt" = pure!(|a: &str, b: &str| -> Bool a.as_bytes() > b.as_bytes());
        "text_pattern_ge" = pure!(|a: &str, b: &str| -> Bool a.as_bytes() >= b.as_bytes());
        "text_starts_with" = pure!(|a: &str, b: &str| -> Bool a.starts_with(b));
        "jsonb_cmp" = pure!(|a: &Json, b: &Json| -> Int4 order(a.compare(b)));
        "btboolcmp" = pure!(|a: bool, b: bool| -> Int4 order(a.cmp(&b)));
        "btint2cmp" = pure!(|a: i16, b: i16| -> Int4 order(a.cmp(&b)));
        "btint4cmp" = pure!(|a: i32, b: i32| -> Int4 order(a.cmp(&b)));
        "btint8cmp" = pure!(|a: i64, b: i64| -> Int4 order(a.cmp(&b)));
        "btoidcmp" = pure!(|a: u32, b: u32| -> Int4 order(a.cmp(&b)));
        "btfloat8cmp" = pure!(|a: f64, b: f64| -> Int4 order(float_cmp(a, b)));
        "bttextcmp" = pure!(|a: &str, b: &str| -> Int4 order(a.as_bytes().cmp(b.as_bytes())));
        "numeric_cmp" = pure!(|a: &Numeric, b: &Numeric| -> Int4 order(a.compare(b)));
        "date_cmp" = pure!(|a: Date, b: Date| -> Int4 order(a.0.cmp(&b.0)));
        "timestamp_cmp" = pure!(|a: &Datum, b: &Datum| -> Int4 order(compare_datums(0, a, b)));
        "interval_cmp" = pure!(|a: Interval, b: Interval| -> Int4 order(datetime::interval_cmp(a, b)));
        "uuid_cmp" = pure!(|a: [u8; 16], b: [u8; 16]| -> Int4 order(a.cmp(&b)));
        "btarraycmp" = Kernel::Pure(|args| Ok(Datum::Int4(order(arrays(args)))));
        "text_larger" = larger!(0);
        "text_smaller" = smaller!(0);
        "bpchar_larger" = larger!(oid::BPCHAR);
        "bpchar_smaller" = smaller!(oid::BPCHAR);
        "float4larger" = larger!(0);
        "float4smaller" = smaller!(0);
        "float8larger" = larger!(0);
        "float8smaller" = smaller!(0);
        "numeric_larger" = larger!(0);
        "numeric_smaller" = smaller!(0);
        "date_larger" = larger!(0);
        "date_smaller" = smaller!(0);
        "time_larger" = larger!(0);
        "time_smaller" = smaller!(0);
        "timestamp_larger" = larger!(0);
        "timestamp_smaller" = smaller!(0);
        "interval_larger" = larger!(0);
        "interval_smaller" = smaller!(0);
        "oidlarger" = larger!(0);
        "oidsmaller" = smaller!(0);
        "array_larger" = larger!(0);
        "array_smaller" = smaller!(0);
        "date_lt_timestamptz" = super::macros::contextual!(|cx, a: Date, b: Timestamptz| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_lt())));
        "date_le_timestamptz" = super::macros::contextual!(|cx, a: Date, b: Timestamptz| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_le())));
        "date_eq_timestamptz" = super::macros::contextual!(|cx, a: Date, b: Timestamptz| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_eq())));
        "date_ne_timestamptz" = super::macros::contextual!(|cx, a: Date, b: Timestamptz| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ne())));
        "date_gt_timestamptz" = super::macros::contextual!(|cx, a: Date, b: Timestamptz| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_gt())));
        "date_ge_timestamptz" = super::macros::contextual!(|cx, a: Date, b: Timestamptz| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ge())));
        "timestamptz_lt_date" = super::macros::contextual!(|cx, b: Timestamptz, a: Date| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_gt())));
        "timestamptz_le_date" = super::macros::contextual!(|cx, b: Timestamptz, a: Date| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ge())));
        "timestamptz_eq_date" = super::macros::contextual!(|cx, b: Timestamptz, a: Date| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_eq())));
        "timestamptz_ne_date" = super::macros::contextual!(|cx, b: Timestamptz, a: Date| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ne())));
        "timestamptz_gt_date" = super::macros::contextual!(|cx, b: Timestamptz, a: Date| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_lt())));
        "timestamptz_ge_date" = super::macros::contextual!(|cx, b: Timestamptz, a: Date| ? date_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_le())));
        "timestamp_lt_timestamptz" = super::macros::contextual!(|cx, a: Timestamp, b: Timestamptz| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_lt())));
        "timestamp_le_timestamptz" = super::macros::contextual!(|cx, a: Timestamp, b: Timestamptz| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_le())));
        "timestamp_eq_timestamptz" = super::macros::contextual!(|cx, a: Timestamp, b: Timestamptz| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_eq())));
        "timestamp_ne_timestamptz" = super::macros::contextual!(|cx, a: Timestamp, b: Timestamptz| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ne())));
        "timestamp_gt_timestamptz" = super::macros::contextual!(|cx, a: Timestamp, b: Timestamptz| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_gt())));
        "timestamp_ge_timestamptz" = super::macros::contextual!(|cx, a: Timestamp, b: Timestamptz| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ge())));
        "timestamptz_lt_timestamp" = super::macros::contextual!(|cx, b: Timestamptz, a: Timestamp| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_gt())));
        "timestamptz_le_timestamp" = super::macros::contextual!(|cx, b: Timestamptz, a: Timestamp| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ge())));
        "timestamptz_eq_timestamp" = super::macros::contextual!(|cx, b: Timestamptz, a: Timestamp| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_eq())));
        "timestamptz_ne_timestamp" = super::macros::contextual!(|cx, b: Timestamptz, a: Timestamp| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_ne())));
        "timestamptz_gt_timestamp" = super::macros::contextual!(|cx, b: Timestamptz, a: Timestamp| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_lt())));
        "timestamptz_ge_timestamp" = super::macros::contextual!(|cx, b: Timestamptz, a: Timestamp| ? local_tz(cx, a.0, b.0).map(|o| Datum::Bool(o.is_le())));
    }
}

fn date_tz(cx: &dyn crate::Context, d: i32, t: i64) -> curia_types::Result<Ordering> {
    match d {
        i32::MAX => Ok(i64::MAX.cmp(&t)),
        i32::MIN => Ok(i64::MIN.cmp(&t)),
        // Beyond the timestamps the date is larger than all of them.
        d => Ok(datetime::date_to_timestamp(d).map_or(Ordering::Greater, |l| cx.time_zone().to_instant(l).cmp(&t))),
    }
}

fn local_tz(cx: &dyn crate::Context, a: i64, b: i64) -> curia_types::Result<Ordering> {
    Ok(if datetime::is_infinite(a) {
        a.cmp(&b)
    } else {
        cx.time_zone().to_instant(a).cmp(&b)
    })
}
