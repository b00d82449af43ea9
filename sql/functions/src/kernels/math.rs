//! Mathematical functions of float8, random values.

use super::floats::check_f64;
use super::macros::{kernels, pure};
use curia_types::{Datum, Result, SqlError, SqlState};

fn f(v: f64) -> Result<Datum> {
    Ok(Datum::Float8(v))
}
fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}
fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}
fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}
fn log_arg(v: f64) -> Result<f64> {
    if v == 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of zero",
        ));
    }
    if v < 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of a negative number",
        ));
    }
    Ok(v)
}
fn sqrt(v: f64) -> Result<Datum> {
    if v < 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ));
    }
    f(v.sqrt())
}
fn power(a: f64, b: f64) -> Result<Datum> {
    let invalid = |m: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, m));
    if a.is_nan() {
        return f(if b == 0.0 { 1.0 } else { f64::NAN });
    }
    if b.is_nan() {
        return f(if a == 1.0 { 1.0 } else { f64::NAN });
    }
    if a == 0.0 && b < 0.0 {
        return invalid("zero raised to a negative power is undefined");
    }
    if a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return invalid("a negative number raised to a non-integer power yields a complex result");
    }
    let r = a.powf(b);
    if a.is_finite() && b.is_finite() {
        if r.is_infinite() {
            return Err(overflow());
        }
        if r == 0.0 && a != 0.0 {
            return Err(underflow());
        }
    }
    f(r)
}
fn exp(v: f64) -> Result<Datum> {
    let r = v.exp();
    if v.is_finite() && r.is_infinite() {
        return Err(overflow());
    }
    if v.is_finite() && r == 0.0 { Err(underflow()) } else { f(r) }
}
/// Trigonometry of an infinite angle is refused.
fn angle(v: f64, g: fn(f64) -> f64) -> Result<Datum> {
    if v.is_infinite() { Err(out_of_range()) } else { f(g(v)) }
}
fn within(v: f64, g: fn(f64) -> f64) -> Result<Datum> {
    if (-1.0..=1.0).contains(&v) || v.is_nan() {
        f(g(v))
    } else {
        Err(out_of_range())
    }
}

/// Degrees are exact at the angles people know: multiples of 30 (sines) and 45 (tangents).
fn sin_degrees(v: f64) -> f64 {
    let mut x = v % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    sign * if x <= 30.0 { sin_to_30(x) } else { cos_to_60(90.0 - x) }
}
fn cos_degrees(v: f64) -> f64 {
    let mut x = (v % 360.0).abs();
    let mut sign = 1.0;
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    sign * if x <= 60.0 { cos_to_60(x) } else { sin_to_30(90.0 - x) }
}
fn sin_to_30(x: f64) -> f64 {
    (x.to_radians().sin() / 30f64.to_radians().sin()) / 2.0
}
fn cos_to_60(x: f64) -> f64 {
    1.0 - ((1.0 - x.to_radians().cos()) / (1.0 - 60f64.to_radians().cos())) / 2.0
}
fn tan_degrees(v: f64) -> f64 {
    quotient_degrees(v, sin_degrees, cos_degrees)
}
fn cot_degrees(v: f64) -> f64 {
    quotient_degrees(v, cos_degrees, sin_degrees)
}
fn quotient_degrees(v: f64, above: fn(f64) -> f64, below: fn(f64) -> f64) -> f64 {
    let mut x = v % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    let t = (above(x) / below(x)) / (above(45.0) / below(45.0));
    let r = sign * t;
    if r == 0.0 { 0.0 } else { r }
}

/// The inverse sine of 0 to 1 in degrees, exact at 0, 0.5 and 1.
fn asin_quadrant(v: f64) -> f64 {
    if v <= 0.5 {
        v.asin() / 0.5f64.asin() * 30.0
    } else {
        90.0 - v.acos() / 0.5f64.acos() * 60.0
    }
}

/// The inverse cosine of 0 to 1 in degrees, exact at 0, 0.5 and 1.
fn acos_quadrant(v: f64) -> f64 {
    if v <= 0.5 {
        90.0 - v.asin() / 0.5f64.asin() * 30.0
    } else {
        v.acos() / 0.5f64.acos() * 60.0
    }
}

/// `width_bucket` over floats.
fn width_bucket(v: f64, low: f64, high: f64, count: i32) -> Result<Datum> {
    let invalid = |m: &str| SqlError::new(SqlState::new("2201G"), m);
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    if v.is_nan() || low.is_nan() || high.is_nan() {
        return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    let (below, above, at) = if low < high {
        (v < low, v >= high, (v - low) / (high - low))
    } else {
        (v > low, v <= high, (low - v) / (low - high))
    };
    let bucket = if below {
        0
    } else if above {
        count
            .checked_add(1)
            .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?
    } else {
        ((f64::from(count) * at) as i32).min(count - 1) + 1
    };
    Ok(Datum::Int4(bucket))
}

kernels! {
    "dceil" = pure!(|a: f64| -> Float8 a.ceil());
    "dfloor" = pure!(|a: f64| -> Float8 a.floor());
    "dround" = pure!(|a: f64| -> Float8 a.round_ties_even());
    "dtrunc" = pure!(|a: f64| -> Float8 a.trunc());
    "dsign" = pure!(|a: f64| -> Float8 if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 });
    "dsqrt" => pure!(|a: f64| ? sqrt(a));
    "dcbrt" = pure!(|a: f64| -> Float8 a.cbrt());
    "dpow" => pure!(|a: f64, b: f64| ? power(a, b));
    "dexp" => pure!(|a: f64| ? exp(a));
    "dlog1" => pure!(|a: f64| ? f(log_arg(a)?.ln()));
    "dlog10" => pure!(|a: f64| ? f(log_arg(a)?.log10()));
    "dsin" => pure!(|a: f64| ? angle(a, f64::sin));
    "dcos" => pure!(|a: f64| ? angle(a, f64::cos));
    "dtan" => pure!(|a: f64| ? angle(a, f64::tan));
    "dcot" => pure!(|a: f64| ? angle(a, |v| 1.0 / v.tan()));
    "dasin" => pure!(|a: f64| ? within(a, f64::asin));
    "dacos" => pure!(|a: f64| ? within(a, f64::acos));
    "datan" = pure!(|a: f64| -> Float8 a.atan());
    "datan2" = pure!(|a: f64, b: f64| -> Float8 a.atan2(b));
    "dsind" => pure!(|a: f64| ? angle(a, sin_degrees));
    "dcosd" => pure!(|a: f64| ? angle(a, cos_degrees));
    "dtand" => pure!(|a: f64| ? angle(a, tan_degrees));
    "dcotd" => pure!(|a: f64| ? angle(a, cot_degrees));
    "dasind" => pure!(|a: f64| ? within(a, |v| if v >= 0.0 { asin_quadrant(v) } else { -asin_quadrant(-v) }));
    "dacosd" => pure!(|a: f64| ? within(a, |v| if v >= 0.0 { acos_quadrant(v) } else { 90.0 + asin_quadrant(-v) }));
    "datand" = pure!(|a: f64| -> Float8 a.atan() / 1f64.atan() * 45.0);
    "datan2d" = pure!(|a: f64, b: f64| -> Float8 a.atan2(b) / 1f64.atan() * 45.0);
    "dsinh" = pure!(|a: f64| -> Float8 a.sinh());
    "dcosh" = pure!(|a: f64| -> Float8 a.cosh());
    "dtanh" = pure!(|a: f64| -> Float8 a.tanh());
    "dasinh" = pure!(|a: f64| -> Float8 a.asinh());
    "dacosh" => pure!(|a: f64| ? if a < 1.0 { Err(out_of_range()) } else { f(a.acosh()) });
    "datanh" => pure!(|a: f64| ? if !(-1.0..=1.0).contains(&a) && !a.is_nan() { Err(out_of_range()) } else { f(a.atanh()) });
    "degrees" => pure!(|a: f64| ? check_f64(a / (std::f64::consts::PI / 180.0), a.is_infinite()).map(Datum::Float8));
    "radians" = pure!(|a: f64| -> Float8 a * (std::f64::consts::PI / 180.0));
    "dpi" = pure!(| | -> Float8 std::f64::consts::PI);
    "drandom" = pure!(| | -> Float8 rand::random::<f64>());
    "gen_random_uuid" = pure!(| | -> Uuid *uuid::Uuid::new_v4().as_bytes());
    "width_bucket_float8" => pure!(|v: f64, l: f64, h: f64, n: i32| ? width_bucket(v, l, h, n));
}
