//! The transition and combination functions of the float aggregates, which PostgreSQL lets users call: states are arrays of float8
//! (`float8_accum` and its kin, by Youngs and Cramer).

use super::macros::{kernels, pure};
use curia_types::{ArrayValue, Datum, Result, SqlError, SqlState, oid};

fn state<const N: usize>(caller: &str, a: &ArrayValue) -> Result<[f64; N]> {
    let bad = || SqlError::internal(format!("{caller}: expected {N}-element float8 array"));
    if a.dimensions.len() != 1 {
        return Err(bad());
    }
    let values: Vec<f64> = a
        .elements
        .iter()
        .map_while(|e| if let Datum::Float8(v) = e { Some(*v) } else { None })
        .collect();
    values.try_into().map_err(|_| bad())
}

fn put(state: &[f64]) -> Result<Datum> {
    Ok(Datum::list(oid::FLOAT8, state.iter().map(|v| Datum::Float8(*v)).collect()))
}

/// An infinite result of finite inputs is an overflow.
fn checked(result: f64, inputs: &[f64]) -> Result<f64> {
    if result.is_infinite() && inputs.iter().all(|v| v.is_finite()) {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(result)
}

/// A sum of squares; NaN where it cannot be known.
fn squares(result: f64, inputs: &[f64]) -> Result<f64> {
    Ok(if checked(result, inputs)?.is_infinite() { f64::NAN } else { result })
}

fn accumulate([n, sx, sxx]: [f64; 3], v: f64) -> Result<[f64; 3]> {
    let (count, sum) = (n + 1.0, sx + v);
    if n == 0.0 {
        return Ok([count, sum, if v.is_finite() { sxx } else { f64::NAN }]);
    }
    let d = v * count - sum;
    let spread = squares(sxx + d * d / (count * n), &[sx, v])?;
    Ok([count, checked(sum, &[sx, v])?, spread])
}

fn combine(a: [f64; 3], b: [f64; 3]) -> Result<[f64; 3]> {
    if a[0] == 0.0 {
        return Ok(b);
    }
    if b[0] == 0.0 {
        return Ok(a);
    }
    let n = a[0] + b[0];
    let d = a[1] / a[0] - b[1] / b[0];
    let sum = checked(a[1] + b[1], &[a[1], b[1]])?;
    Ok([n, sum, checked(a[2] + b[2] + a[0] * b[0] * d * d / n, &[a[2], b[2]])?])
}

/// Of pairs: n, sum of x, spread of x, sum of y, spread of y, joint spread.
fn pair_accumulate([n, sx, sxx, sy, syy, sxy]: [f64; 6], y: f64, x: f64) -> Result<[f64; 6]> {
    let (count, sum_x, sum_y) = (n + 1.0, sx + x, sy + y);
    if n == 0.0 {
        let spread = |known: f64, finite: bool| if finite { known } else { f64::NAN };
        return Ok([
            count,
            sum_x,
            spread(sxx, x.is_finite()),
            sum_y,
            spread(syy, y.is_finite()),
            spread(sxy, x.is_finite() && y.is_finite()),
        ]);
    }
    let (dx, dy, scale) = (x * count - sum_x, y * count - sum_y, 1.0 / (count * n));
    Ok([
        count,
        checked(sum_x, &[sx, x])?,
        squares(sxx + dx * dx * scale, &[sx, x])?,
        checked(sum_y, &[sy, y])?,
        squares(syy + dy * dy * scale, &[sy, y])?,
        squares(sxy + dx * dy * scale, &[sx, x, sy, y])?,
    ])
}

fn pair_combine(a: [f64; 6], b: [f64; 6]) -> Result<[f64; 6]> {
    if a[0] == 0.0 {
        return Ok(b);
    }
    if b[0] == 0.0 {
        return Ok(a);
    }
    let n = a[0] + b[0];
    let dx = a[1] / a[0] - b[1] / b[0];
    let dy = a[3] / a[0] - b[3] / b[0];
    let share = a[0] * b[0] / n;
    Ok([
        n,
        checked(a[1] + b[1], &[a[1], b[1]])?,
        checked(a[2] + b[2] + share * dx * dx, &[a[2], b[2]])?,
        checked(a[3] + b[3], &[a[3], b[3]])?,
        checked(a[4] + b[4] + share * dy * dy, &[a[4], b[4]])?,
        checked(a[5] + b[5] + share * dx * dy, &[a[5], b[5]])?,
    ])
}

kernels! {
    "float8_accum" => pure!(|a: &std::sync::Arc<ArrayValue>, v: f64| ? put(&accumulate(state("float8_accum", a)?, v)?));
    "float8_combine" => pure!(|a: &std::sync::Arc<ArrayValue>, b: &std::sync::Arc<ArrayValue>| ? put(&combine(state("float8_combine", a)?, state("float8_combine", b)?)?));
    "float8_regr_accum" => pure!(|a: &std::sync::Arc<ArrayValue>, y: f64, x: f64| ? put(&pair_accumulate(state("float8_regr_accum", a)?, y, x)?));
    "float8_regr_combine" => pure!(|a: &std::sync::Arc<ArrayValue>, b: &std::sync::Arc<ArrayValue>| ? put(&pair_combine(state("float8_regr_combine", a)?, state("float8_regr_combine", b)?)?));
}
