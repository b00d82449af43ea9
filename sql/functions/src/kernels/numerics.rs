//! numeric: operators, rounding, powers and logarithms, conversions.

use super::macros::{kernels, pure};
use curia_types::{Datum, Numeric, Result, SqlError, SqlState};

fn num(r: Result<Numeric>) -> Result<Datum> {
    r.map(Datum::Numeric)
}

fn trim(n: &Numeric) -> Numeric {
    match (n.min_scale(), n.finite()) {
        (Some(s), Some(_)) => n.trunc(i32::from(s)).unwrap_or_else(|_| n.clone()),
        _ => n.clone(),
    }
}

kernels! {
    "numeric_add" => pure!(|a: &Numeric, b: &Numeric| ? num(a.add(b)));
    "numeric_sub" => pure!(|a: &Numeric, b: &Numeric| ? num(a.sub(b)));
    "numeric_mul" => pure!(|a: &Numeric, b: &Numeric| ? num(a.mul(b)));
    "numeric_div" => pure!(|a: &Numeric, b: &Numeric| ? num(a.div(b)));
    "numeric_div_trunc" => pure!(|a: &Numeric, b: &Numeric| ? num(a.div_trunc(b)));
    "numeric_mod" => pure!(|a: &Numeric, b: &Numeric| ? num(a.rem(b)));
    "numeric_uminus" = pure!(|a: &Numeric| -> Numeric a.neg());
    "numeric_uplus" = pure!(|a: &Numeric| -> Numeric a.clone());
    "numeric_abs" = pure!(|a: &Numeric| -> Numeric a.abs());
    "numeric_sign" = pure!(|a: &Numeric| -> Numeric if a.is_nan() { Numeric::NAN } else { Numeric::from(i64::from(a.signum())) });
    "numeric_inc" => pure!(|a: &Numeric| ? num(a.add(&Numeric::ONE)));
    "numeric_round" => pure!(|a: &Numeric, n: i32| ? num(a.round(n)));
    "round(numeric)" => pure!(|a: &Numeric| ? num(a.round(0)));
    "numeric_trunc" => pure!(|a: &Numeric, n: i32| ? num(a.trunc(n)));
    "trunc(numeric)" => pure!(|a: &Numeric| ? num(a.trunc(0)));
    "numeric_ceil" => pure!(|a: &Numeric| ? num(a.ceil()));
    "numeric_floor" => pure!(|a: &Numeric| ? num(a.floor()));
    "numeric_sqrt" => pure!(|a: &Numeric| ? num(a.sqrt()));
    "numeric_exp" => pure!(|a: &Numeric| ? num(a.exp()));
    "numeric_ln" => pure!(|a: &Numeric| ? num(a.ln()));
    "numeric_log" => pure!(|b: &Numeric, a: &Numeric| ? num(Numeric::log(b, a)));
    "log(numeric)" => pure!(|a: &Numeric| ? num(Numeric::log(&Numeric::from(10), a)));
    "log10(numeric)" => pure!(|a: &Numeric| ? num(Numeric::log(&Numeric::from(10), a)));
    "numeric_power" => pure!(|a: &Numeric, b: &Numeric| ? num(a.power(b)));
    "numeric_scale" = pure!(|a: &Numeric| ? Ok(a.scale().map_or(Datum::Null, |s| Datum::Int4(i32::from(s)))));
    "numeric_min_scale" = pure!(|a: &Numeric| ? Ok(a.min_scale().map_or(Datum::Null, |s| Datum::Int4(i32::from(s)))));
    "numeric_trim_scale" = pure!(|a: &Numeric| -> Numeric trim(a));
    "numeric_gcd" => pure!(|a: &Numeric, b: &Numeric| ? num(a.gcd(b)));
    "numeric_lcm" => pure!(|a: &Numeric, b: &Numeric| ? num(a.lcm(b)));
    "numeric_fac" => pure!(|n: i64| ? num(Numeric::factorial(n)));
    "width_bucket_numeric" => pure!(|v: &Numeric, l: &Numeric, h: &Numeric, n: i32| ? v.width_bucket(l, h, n).map(Datum::Int4));
    "int2_numeric" = pure!(|a: i16| -> Numeric Numeric::from(i64::from(a)));
    "int4_numeric" = pure!(|a: i32| -> Numeric Numeric::from(i64::from(a)));
    "int8_numeric" = pure!(|a: i64| -> Numeric Numeric::from(a));
    "float4_numeric" => pure!(|a: f32| ? num(Numeric::from_f32(a)));
    "float8_numeric" => pure!(|a: f64| ? num(Numeric::from_f64(a)));
    "numeric_int2" => pure!(|a: &Numeric| ? a.to_i16().map(Datum::Int2));
    "numeric_int4" => pure!(|a: &Numeric| ? a.to_i32().map(Datum::Int4));
    "numeric_int8" => pure!(|a: &Numeric| ? a.to_i64("bigint").map(Datum::Int8));
    "numeric_float4" => pure!(|a: &Numeric| ? a.to_f32().map(Datum::Float4));
    "numeric_float8" => pure!(|a: &Numeric| ? a.to_f64().map(Datum::Float8));
    "numeric" => pure!(|a: &Numeric, typmod: i32| ? num(a.clone().apply_typmod(typmod)));
    "pg_size_pretty" = pure!(|n: i64| ? Ok(Datum::text(size_pretty(n))));
    "pg_size_pretty_numeric" = pure!(|n: &Numeric| ? Ok(Datum::text(n.to_i64("bigint").map_or_else(|_| format!("{n} bytes"), size_pretty))));
    "pg_size_bytes" => pure!(|s: &str| ? size_bytes(s));
}

/// A size with the largest unit below 10240 of it.
fn size_pretty(n: i64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    // After the first step sizes carry one extra bit, to round half away from zero.
    let mut size = i128::from(n);
    let mut limit = 10 * 1024;
    let mut rounding = false;
    for (i, unit) in UNITS.iter().enumerate() {
        if size.abs() < limit || i == UNITS.len() - 1 {
            let shown = if rounding {
                if size < 0 { (size - 1) / 2 } else { (size + 1) / 2 }
            } else {
                size
            };
            return format!("{shown} {unit}");
        }
        size /= 1i128 << (if rounding { 10 } else { 9 });
        rounding = true;
        limit = 20 * 1024 - 1;
    }
    format!("{n} bytes")
}

fn size_bytes(s: &str) -> Result<Datum> {
    let t = s.trim();
    let invalid = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid size: \"{s}\""));
    let end = t
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E')))
        .unwrap_or(t.len());
    let (number, unit) = t.split_at(end);
    let n = Numeric::parse(number).map_err(|_| invalid())?;
    let unit = unit.trim();
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        _ => {
            return Err(invalid()
                .detail(format!("Invalid size unit: \"{unit}\"."))
                .hint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\"."));
        }
    };
    n.mul(&Numeric::from(1i64 << power))?.to_i64("bigint").map(Datum::Int8)
}
