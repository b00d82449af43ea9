//! float4 and float8: arithmetic with PostgreSQL's overflow and underflow errors.

use super::macros::{kernels, pure};
use curia_types::{Datum, Result, SqlError, SqlState};

fn out(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {what}"))
}
fn zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// 22003 for an infinity that no operand was.
pub(crate) fn check_f64(v: f64, infinite_operand: bool) -> Result<f64> {
    if v.is_infinite() && !infinite_operand {
        Err(out("overflow"))
    } else {
        Ok(v)
    }
}
/// The same for float4.
pub(crate) fn check_f32(v: f32, infinite_operand: bool) -> Result<f32> {
    if v.is_infinite() && !infinite_operand {
        Err(out("overflow"))
    } else {
        Ok(v)
    }
}

macro_rules! float_ops {
    ($add:ident $sub:ident $mul:ident $div:ident $t:ty) => {
        pub(crate) fn $add(a: $t, b: $t) -> Result<$t> {
            let r = a + b;
            if r.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                Err(out("overflow"))
            } else {
                Ok(r)
            }
        }
        pub(crate) fn $sub(a: $t, b: $t) -> Result<$t> {
            let r = a - b;
            if r.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                Err(out("overflow"))
            } else {
                Ok(r)
            }
        }
        pub(crate) fn $mul(a: $t, b: $t) -> Result<$t> {
            let r = a * b;
            if r.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                return Err(out("overflow"));
            }
            if r == 0.0 && a != 0.0 && b != 0.0 {
                Err(out("underflow"))
            } else {
                Ok(r)
            }
        }
        pub(crate) fn $div(a: $t, b: $t) -> Result<$t> {
            if b == 0.0 && !a.is_nan() {
                return Err(zero());
            }
            let r = a / b;
            if r.is_infinite() && !a.is_infinite() {
                return Err(out("overflow"));
            }
            if r == 0.0 && a != 0.0 && !b.is_infinite() {
                Err(out("underflow"))
            } else {
                Ok(r)
            }
        }
    };
}
float_ops!(add4 sub4 mul4 div4 f32);
float_ops!(add8 sub8 mul8 div8 f64);

fn range(name: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
}
/// Rounds to the nearest even integer within bounds, as rint.
fn to_int(v: f64, low: f64, high: f64, name: &str) -> Result<i64> {
    let r = v.round_ties_even();
    if r.is_nan() || r < low || r >= high {
        Err(range(name))
    } else {
        Ok(r as i64)
    }
}
fn narrow(v: f64) -> Result<Datum> {
    let r = v as f32;
    if r.is_infinite() && !v.is_infinite() {
        return Err(out("overflow"));
    }
    if r == 0.0 && v != 0.0 {
        Err(out("underflow"))
    } else {
        Ok(Datum::Float4(r))
    }
}

const I64: f64 = 9_223_372_036_854_775_808.0;

kernels! {
    "float4pl" => pure!(|a: f32, b: f32| ? add4(a, b).map(Datum::Float4));
    "float4mi" => pure!(|a: f32, b: f32| ? sub4(a, b).map(Datum::Float4));
    "float4mul" => pure!(|a: f32, b: f32| ? mul4(a, b).map(Datum::Float4));
    "float4div" => pure!(|a: f32, b: f32| ? div4(a, b).map(Datum::Float4));
    "float8pl" => pure!(|a: f64, b: f64| ? add8(a, b).map(Datum::Float8));
    "float8mi" => pure!(|a: f64, b: f64| ? sub8(a, b).map(Datum::Float8));
    "float8mul" => pure!(|a: f64, b: f64| ? mul8(a, b).map(Datum::Float8));
    "float8div" => pure!(|a: f64, b: f64| ? div8(a, b).map(Datum::Float8));
    "float48pl" => pure!(|a: f32, b: f64| ? add8(f64::from(a), b).map(Datum::Float8));
    "float48mi" => pure!(|a: f32, b: f64| ? sub8(f64::from(a), b).map(Datum::Float8));
    "float48mul" => pure!(|a: f32, b: f64| ? mul8(f64::from(a), b).map(Datum::Float8));
    "float48div" => pure!(|a: f32, b: f64| ? div8(f64::from(a), b).map(Datum::Float8));
    "float84pl" => pure!(|a: f64, b: f32| ? add8(a, f64::from(b)).map(Datum::Float8));
    "float84mi" => pure!(|a: f64, b: f32| ? sub8(a, f64::from(b)).map(Datum::Float8));
    "float84mul" => pure!(|a: f64, b: f32| ? mul8(a, f64::from(b)).map(Datum::Float8));
    "float84div" => pure!(|a: f64, b: f32| ? div8(a, f64::from(b)).map(Datum::Float8));
    "float4um" = pure!(|a: f32| -> Float4 -a);
    "float8um" = pure!(|a: f64| -> Float8 -a);
    "float4up" = pure!(|a: f32| -> Float4 a);
    "float8up" = pure!(|a: f64| -> Float8 a);
    "float4abs" = pure!(|a: f32| -> Float4 a.abs());
    "float8abs" = pure!(|a: f64| -> Float8 a.abs());
    "ftod" = pure!(|a: f32| -> Float8 f64::from(a));
    "dtof" => pure!(|a: f64| ? narrow(a));
    "i2tof" = pure!(|a: i16| -> Float4 f32::from(a));
    "i4tof" = pure!(|a: i32| -> Float4 a as f32);
    "i8tof" = pure!(|a: i64| -> Float4 a as f32);
    "i2tod" = pure!(|a: i16| -> Float8 f64::from(a));
    "i4tod" = pure!(|a: i32| -> Float8 f64::from(a));
    "i8tod" = pure!(|a: i64| -> Float8 a as f64);
    "ftoi2" => pure!(|a: f32| ? to_int(f64::from(a), -32768.0, 32768.0, "smallint").map(|v| Datum::Int2(v as i16)));
    "ftoi4" => pure!(|a: f32| ? to_int(f64::from(a), -2_147_483_648.0, 2_147_483_648.0, "integer").map(|v| Datum::Int4(v as i32)));
    "ftoi8" => pure!(|a: f32| ? to_int(f64::from(a), -I64, I64, "bigint").map(Datum::Int8));
    "dtoi2" => pure!(|a: f64| ? to_int(a, -32768.0, 32768.0, "smallint").map(|v| Datum::Int2(v as i16)));
    "dtoi4" => pure!(|a: f64| ? to_int(a, -2_147_483_648.0, 2_147_483_648.0, "integer").map(|v| Datum::Int4(v as i32)));
    "dtoi8" => pure!(|a: f64| ? to_int(a, -I64, I64, "bigint").map(Datum::Int8));
}
