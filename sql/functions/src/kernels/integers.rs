//! int2, int4, int8: arithmetic that checks for overflow, bits, conversions.

use super::macros::{kernels, pure};
use curia_types::{Datum, Result, SqlError, SqlState};

fn overflow(name: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
}
fn zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}
pub(super) fn int2(v: i128) -> Result<Datum> {
    i16::try_from(v).map(Datum::Int2).map_err(|_| overflow("smallint"))
}
pub(super) fn int4(v: i128) -> Result<Datum> {
    i32::try_from(v).map(Datum::Int4).map_err(|_| overflow("integer"))
}
pub(super) fn int8(v: i128) -> Result<Datum> {
    i64::try_from(v).map(Datum::Int8).map_err(|_| overflow("bigint"))
}
fn div(a: i128, b: i128) -> Result<i128> {
    if b == 0 { Err(zero()) } else { Ok(a / b) }
}
fn rem(a: i128, b: i128) -> Result<i128> {
    if b == 0 { Err(zero()) } else { Ok(a % b) }
}
fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
fn lcm(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b).abs() }
}

macro_rules! w {
    ($e:expr) => {
        i128::from($e)
    };
}

kernels! {
    "int2pl" => pure!(|a: i16, b: i16| ? int2(w!(a) + w!(b)));
    "int2mi" => pure!(|a: i16, b: i16| ? int2(w!(a) - w!(b)));
    "int2mul" => pure!(|a: i16, b: i16| ? int2(w!(a) * w!(b)));
    "int2div" => pure!(|a: i16, b: i16| ? int2(div(w!(a), w!(b))?));
    "int2mod" => pure!(|a: i16, b: i16| ? int2(rem(w!(a), w!(b))?));
    "int24pl" => pure!(|a: i16, b: i32| ? int4(w!(a) + w!(b)));
    "int24mi" => pure!(|a: i16, b: i32| ? int4(w!(a) - w!(b)));
    "int24mul" => pure!(|a: i16, b: i32| ? int4(w!(a) * w!(b)));
    "int24div" => pure!(|a: i16, b: i32| ? int4(div(w!(a), w!(b))?));
    "int42pl" => pure!(|a: i32, b: i16| ? int4(w!(a) + w!(b)));
    "int42mi" => pure!(|a: i32, b: i16| ? int4(w!(a) - w!(b)));
    "int42mul" => pure!(|a: i32, b: i16| ? int4(w!(a) * w!(b)));
    "int42div" => pure!(|a: i32, b: i16| ? int4(div(w!(a), w!(b))?));
    "int4pl" => pure!(|a: i32, b: i32| ? a.checked_add(b).map(Datum::Int4).ok_or_else(|| overflow("integer")));
    "int4mi" => pure!(|a: i32, b: i32| ? a.checked_sub(b).map(Datum::Int4).ok_or_else(|| overflow("integer")));
    "int4mul" => pure!(|a: i32, b: i32| ? a.checked_mul(b).map(Datum::Int4).ok_or_else(|| overflow("integer")));
    "int4div" => pure!(|a: i32, b: i32| ? int4(div(w!(a), w!(b))?));
    "int4mod" => pure!(|a: i32, b: i32| ? int4(rem(w!(a), w!(b))?));
    "int8pl" => pure!(|a: i64, b: i64| ? a.checked_add(b).map(Datum::Int8).ok_or_else(|| overflow("bigint")));
    "int8mi" => pure!(|a: i64, b: i64| ? a.checked_sub(b).map(Datum::Int8).ok_or_else(|| overflow("bigint")));
    "int8mul" => pure!(|a: i64, b: i64| ? a.checked_mul(b).map(Datum::Int8).ok_or_else(|| overflow("bigint")));
    "int8div" => pure!(|a: i64, b: i64| ? int8(div(w!(a), w!(b))?));
    "int8mod" => pure!(|a: i64, b: i64| ? int8(rem(w!(a), w!(b))?));
    "int84pl" => pure!(|a: i64, b: i32| ? int8(w!(a) + w!(b)));
    "int84mi" => pure!(|a: i64, b: i32| ? int8(w!(a) - w!(b)));
    "int84mul" => pure!(|a: i64, b: i32| ? int8(w!(a) * w!(b)));
    "int84div" => pure!(|a: i64, b: i32| ? int8(div(w!(a), w!(b))?));
    "int48pl" => pure!(|a: i32, b: i64| ? int8(w!(a) + w!(b)));
    "int48mi" => pure!(|a: i32, b: i64| ? int8(w!(a) - w!(b)));
    "int48mul" => pure!(|a: i32, b: i64| ? int8(w!(a) * w!(b)));
    "int48div" => pure!(|a: i32, b: i64| ? int8(div(w!(a), w!(b))?));
    "int82pl" => pure!(|a: i64, b: i16| ? int8(w!(a) + w!(b)));
    "int82mi" => pure!(|a: i64, b: i16| ? int8(w!(a) - w!(b)));
    "int82mul" => pure!(|a: i64, b: i16| ? int8(w!(a) * w!(b)));
    "int82div" => pure!(|a: i64, b: i16| ? int8(div(w!(a), w!(b))?));
    "int28pl" => pure!(|a: i16, b: i64| ? int8(w!(a) + w!(b)));
    "int28mi" => pure!(|a: i16, b: i64| ? int8(w!(a) - w!(b)));
    "int28mul" => pure!(|a: i16, b: i64| ? int8(w!(a) * w!(b)));
    "int28div" => pure!(|a: i16, b: i64| ? int8(div(w!(a), w!(b))?));
    "int2um" => pure!(|a: i16| ? int2(-w!(a)));
    "int4um" => pure!(|a: i32| ? int4(-w!(a)));
    "int8um" => pure!(|a: i64| ? int8(-w!(a)));
    "int2up" = pure!(|a: i16| -> Int2 a);
    "int4up" = pure!(|a: i32| -> Int4 a);
    "int8up" = pure!(|a: i64| -> Int8 a);
    "int2abs" => pure!(|a: i16| ? int2(w!(a).abs()));
    "int4abs" => pure!(|a: i32| ? int4(w!(a).abs()));
    "int8abs" => pure!(|a: i64| ? int8(w!(a).abs()));
    "int4inc" => pure!(|a: i32| ? int4(w!(a) + 1));
    "int8inc" => pure!(|a: i64| ? int8(w!(a) + 1));
    "int4gcd" => pure!(|a: i32, b: i32| ? int4(gcd(w!(a), w!(b))));
    "int8gcd" => pure!(|a: i64, b: i64| ? int8(gcd(w!(a), w!(b))));
    "int4lcm" => pure!(|a: i32, b: i32| ? int4(lcm(w!(a), w!(b))));
    "int8lcm" => pure!(|a: i64, b: i64| ? int8(lcm(w!(a), w!(b))));
    "int2and" = pure!(|a: i16, b: i16| -> Int2 a & b);
    "int2or" = pure!(|a: i16, b: i16| -> Int2 a | b);
    "int2xor" = pure!(|a: i16, b: i16| -> Int2 a ^ b);
    "int2not" = pure!(|a: i16| -> Int2 !a);
    "int2shl" = pure!(|a: i16, b: i32| -> Int2 (i32::from(a).wrapping_shl(b as u32)) as i16);
    "int2shr" = pure!(|a: i16, b: i32| -> Int2 (i32::from(a).wrapping_shr(b as u32)) as i16);
    "int4and" = pure!(|a: i32, b: i32| -> Int4 a & b);
    "int4or" = pure!(|a: i32, b: i32| -> Int4 a | b);
    "int4xor" = pure!(|a: i32, b: i32| -> Int4 a ^ b);
    "int4not" = pure!(|a: i32| -> Int4 !a);
    "int4shl" = pure!(|a: i32, b: i32| -> Int4 a.wrapping_shl(b as u32));
    "int4shr" = pure!(|a: i32, b: i32| -> Int4 a.wrapping_shr(b as u32));
    "int8and" = pure!(|a: i64, b: i64| -> Int8 a & b);
    "int8or" = pure!(|a: i64, b: i64| -> Int8 a | b);
    "int8xor" = pure!(|a: i64, b: i64| -> Int8 a ^ b);
    "int8not" = pure!(|a: i64| -> Int8 !a);
    "int8shl" = pure!(|a: i64, b: i32| -> Int8 a.wrapping_shl(b as u32));
    "int8shr" = pure!(|a: i64, b: i32| -> Int8 a.wrapping_shr(b as u32));
    "int2larger" = pure!(|a: i16, b: i16| -> Int2 a.max(b));
    "int2smaller" = pure!(|a: i16, b: i16| -> Int2 a.min(b));
    "int4larger" = pure!(|a: i32, b: i32| -> Int4 a.max(b));
    "int4smaller" = pure!(|a: i32, b: i32| -> Int4 a.min(b));
    "int8larger" = pure!(|a: i64, b: i64| -> Int8 a.max(b));
    "int8smaller" = pure!(|a: i64, b: i64| -> Int8 a.min(b));
    "i2toi4" = pure!(|a: i16| -> Int4 i32::from(a));
    "i4toi2" => pure!(|a: i32| ? int2(w!(a)));
    "int48" = pure!(|a: i32| -> Int8 i64::from(a));
    "int84" => pure!(|a: i64| ? int4(w!(a)));
    "int28" = pure!(|a: i16| -> Int8 i64::from(a));
    "int82" => pure!(|a: i64| ? int2(w!(a)));
    "i8tooid" => pure!(|a: i64| ? u32::try_from(a).map(Datum::Oid).map_err(|_| overflow("OID")));
    "oidtoi8" = pure!(|a: u32| -> Int8 i64::from(a));
    "int4_bool" = pure!(|a: i32| -> Bool a != 0);
    "bool_int4" = pure!(|a: bool| -> Int4 i32::from(a));
}
