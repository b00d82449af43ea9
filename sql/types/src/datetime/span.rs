//! Interval arithmetic: sums, products, justification, comparison by an assumed 30-day month and 24-hour day.

use super::calendar::{DAY, SECOND};
use crate::{Interval, Result, SqlError, SqlState};
use std::cmp::Ordering;

/// Days of a month when months and days are compared.
const MONTH_DAYS: i64 = 30;

pub(crate) fn interval_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// The span in microseconds with months of 30 days and days of 24 hours: what `=` and `<` compare.
pub fn interval_span(i: Interval) -> i128 {
    (i128::from(i.months) * i128::from(MONTH_DAYS) + i128::from(i.days)) * i128::from(DAY) + i128::from(i.micros)
}

/// SQL order of intervals.
pub fn interval_cmp(a: Interval, b: Interval) -> Ordering {
    interval_span(a).cmp(&interval_span(b))
}

/// `-i`; 22008 when a field has no negative.
pub fn interval_neg(i: Interval) -> Result<Interval> {
    let e = interval_out_of_range;
    Ok(Interval {
        months: i.months.checked_neg().ok_or_else(e)?,
        days: i.days.checked_neg().ok_or_else(e)?,
        micros: i.micros.checked_neg().ok_or_else(e)?,
    })
}

/// `a + b`, field by field.
pub fn interval_add(a: Interval, b: Interval) -> Result<Interval> {
    let e = interval_out_of_range;
    Ok(Interval {
        months: a.months.checked_add(b.months).ok_or_else(e)?,
        days: a.days.checked_add(b.days).ok_or_else(e)?,
        micros: a.micros.checked_add(b.micros).ok_or_else(e)?,
    })
}

/// `a - b`, field by field.
pub fn interval_sub(a: Interval, b: Interval) -> Result<Interval> {
    let e = interval_out_of_range;
    Ok(Interval {
        months: a.months.checked_sub(b.months).ok_or_else(e)?,
        days: a.days.checked_sub(b.days).ok_or_else(e)?,
        micros: a.micros.checked_sub(b.micros).ok_or_else(e)?,
    })
}

fn to_i32(v: f64) -> Result<i32> {
    if !(-2_147_483_648.0..2_147_483_648.0).contains(&v) {
        Err(interval_out_of_range())
    } else {
        Ok(v as i32)
    }
}

/// Rounds to microseconds, as TSROUND.
fn round_seconds(v: f64) -> f64 {
    (v * 1_000_000.0).round_ties_even() / 1_000_000.0
}

/// `i * factor`; fractions of months flow into days, of days into time (`interval_mul`).
pub fn interval_mul(i: Interval, factor: f64) -> Result<Interval> {
    scale(i, factor, |a, f| a * f)
}

/// `i / divisor`; 22012 on zero.
pub fn interval_div(i: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    scale(i, divisor, |a, d| a / d)
}

fn scale(i: Interval, by: f64, op: fn(f64, f64) -> f64) -> Result<Interval> {
    let months = op(f64::from(i.months), by);
    let days = op(f64::from(i.days), by);
    let (month, mut day) = (to_i32(months)?, to_i32(days)?);
    let month_remainder_days = round_seconds((months - f64::from(month)) * MONTH_DAYS as f64);
    let mut sec_remainder = round_seconds((days - f64::from(day) + month_remainder_days - month_remainder_days.trunc()) * 86_400.0);
    // Rounding may carry a whole day.
    if sec_remainder.abs() >= 86_400.0 {
        let carry = to_i32(sec_remainder / 86_400.0)?;
        day = day.checked_add(carry).ok_or_else(interval_out_of_range)?;
        sec_remainder -= f64::from(carry) * 86_400.0;
    }
    day = day.checked_add(month_remainder_days as i32).ok_or_else(interval_out_of_range)?;
    let micros = (op(i.micros as f64, by) + sec_remainder * SECOND as f64).round_ties_even();
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
        return Err(interval_out_of_range());
    }
    Ok(Interval {
        months: month,
        days: day,
        micros: micros as i64,
    })
}

/// Whole 24-hour stretches become days.
pub fn justify_hours(i: Interval) -> Result<Interval> {
    let whole = i.micros / DAY;
    let mut r = Interval {
        micros: i.micros % DAY,
        ..i
    };
    r.days = i32::try_from(i64::from(i.days) + whole).map_err(|_| interval_out_of_range())?;
    if r.days > 0 && r.micros < 0 {
        r.micros += DAY;
        r.days -= 1;
    } else if r.days < 0 && r.micros > 0 {
        r.micros -= DAY;
        r.days += 1;
    }
    Ok(r)
}

/// Whole 30-day stretches become months.
pub fn justify_days(i: Interval) -> Result<Interval> {
    let months = 30i32;
    let mut r = Interval {
        days: i.days % months,
        ..i
    };
    r.months = i.months.checked_add(i.days / months).ok_or_else(interval_out_of_range)?;
    if r.months > 0 && r.days < 0 {
        r.days += months;
        r.months -= 1;
    } else if r.months < 0 && r.days > 0 {
        r.days -= months;
        r.months += 1;
    }
    Ok(r)
}

/// Both, with all fields of one sign.
pub fn justify_interval(i: Interval) -> Result<Interval> {
    let mut r = i;
    // Days first where the signs agree, so that the sum does not overflow early.
    if (r.days > 0 && r.micros > 0) || (r.days < 0 && r.micros < 0) {
        r.months = r.months.checked_add(r.days / 30).ok_or_else(interval_out_of_range)?;
        r.days %= 30;
    }
    let whole = r.micros / DAY;
    r.micros %= DAY;
    r.days = i32::try_from(i64::from(r.days) + whole).map_err(|_| interval_out_of_range())?;
    r.months = r.months.checked_add(r.days / 30).ok_or_else(interval_out_of_range)?;
    r.days %= 30;
    if r.months > 0 && (r.days < 0 || (r.days == 0 && r.micros < 0)) {
        r.days += 30;
        r.months -= 1;
    } else if r.months < 0 && (r.days > 0 || (r.days == 0 && r.micros > 0)) {
        r.days -= 30;
        r.months += 1;
    }
    if r.days > 0 && r.micros < 0 {
        r.micros += DAY;
        r.days -= 1;
    } else if r.days < 0 && r.micros > 0 {
        r.micros -= DAY;
        r.days += 1;
    }
    Ok(r)
}

/// Applies interval(p) and field restrictions (`interval day to second`): rounds the time part and drops fields outside the range.
pub fn interval_typmod(mut i: Interval, typmod: i32) -> Result<Interval> {
    if typmod < 0 {
        return Ok(i);
    }
    let (range, precision) = ((typmod >> 16) & 0x7fff, typmod & 0xffff);
    const YEAR: i32 = 1 << 2;
    const MONTH: i32 = 1 << 1;
    const DAYS: i32 = 1 << 3;
    const HOURS: i32 = 1 << 10;
    const MINUTES: i32 = 1 << 11;
    const SECONDS: i32 = 1 << 12;
    if range != 0x7fff {
        // The lowest field of the range decides what is kept (`AdjustIntervalForTypmod`).
        if range & SECONDS != 0 {
        } else if range & MINUTES != 0 {
            i.micros -= i.micros % super::calendar::MINUTE;
        } else if range & HOURS != 0 {
            i.micros -= i.micros % super::calendar::HOUR;
        } else if range & DAYS != 0 {
            i.micros = 0;
        } else if range & MONTH != 0 {
            (i.days, i.micros) = (0, 0);
        } else if range & YEAR != 0 {
            i.months -= i.months % 12;
            (i.days, i.micros) = (0, 0);
        }
    }
    if precision != 0xffff {
        i.micros = super::arithmetic::round_micros(i.micros, precision);
    }
    Ok(i)
}
