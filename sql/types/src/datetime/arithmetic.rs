//! Date and timestamp arithmetic: sums with intervals, differences, age, truncation, zone shifts, rounding to a precision.

use super::calendar::{
    Civil, DAY, HOUR, MINUTE, SECOND, check_date, civil_of, days_from_civil, days_in_month, split_timestamp, timestamp_from_parts,
    timestamp_out_of_range, weekday,
};
use super::fields::{Field, iso_week_start};
use super::zone::Zone;
use crate::{Interval, Result, SqlError, SqlState};

/// Whether a timestamp is infinity or -infinity.
pub fn is_infinite(t: i64) -> bool {
    t == i64::MAX || t == i64::MIN
}

/// Rounds microseconds half away from zero to `precision` fraction digits of a second.
pub fn round_micros(t: i64, precision: i32) -> i64 {
    if !(0..6).contains(&precision) {
        return t;
    }
    let unit = 10i64.pow(6 - precision as u32);
    let half = unit / 2;
    if t >= 0 {
        t.saturating_add(half) / unit * unit
    } else {
        -((-t).saturating_add(half) / unit * unit)
    }
}

/// timestamp(p); infinities stay.
pub fn round_timestamp(t: i64, precision: i32) -> i64 {
    if is_infinite(t) { t } else { round_micros(t, precision) }
}

/// time(p)
pub fn round_time(t: i64, precision: i32) -> i64 {
    round_micros(t, precision)
}

/// A date as a timestamp at midnight. 22008 when out of range.
pub fn date_to_timestamp(d: i32) -> Result<i64> {
    match d {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        d => timestamp_from_parts(i64::from(d), 0)
            .map_err(|_| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
    }
}

/// The day of a timestamp.
pub fn timestamp_to_date(t: i64) -> i32 {
    match t {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        t => t.div_euclid(DAY) as i32,
    }
}

/// Local time in a zone to an instant.
pub fn to_timestamptz(t: i64, zone: &Zone) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    in_range(zone.to_instant(t))
}

/// An instant to local time in a zone.
pub fn to_timestamp(t: i64, zone: &Zone) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    in_range(zone.to_local(t))
}

fn in_range(t: i64) -> Result<i64> {
    if (super::MIN_TIMESTAMP..super::MAX_TIMESTAMP).contains(&t) {
        Ok(t)
    } else {
        Err(timestamp_out_of_range())
    }
}

/// Adds months to a civil date; the day is cut to the month's length.
fn add_months(c: Civil, months: i32) -> Result<Civil> {
    let total = c.year * 12 + (c.month - 1) + i64::from(months);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    Ok(Civil {
        year,
        month,
        day: c.day.min(days_in_month(year, month)),
        ..c
    })
}

/// timestamp + interval: months, then days, then microseconds.
pub fn timestamp_add(t: i64, i: Interval) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    let mut t = t;
    if i.months != 0 {
        let c = add_months(split_timestamp(t), i.months)?;
        t = timestamp_from_parts(days_from_civil(c.year, c.month, c.day), c.micros)?;
    }
    if i.days != 0 {
        t = in_range(t.checked_add(i64::from(i.days) * DAY).ok_or_else(timestamp_out_of_range)?)?;
    }
    in_range(t.checked_add(i.micros).ok_or_else(timestamp_out_of_range)?)
}

/// timestamptz + interval: months and days move the local date of the zone, microseconds the instant.
pub fn timestamptz_add(t: i64, i: Interval, zone: &Zone) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    let mut t = t;
    if i.months != 0 {
        let c = add_months(split_timestamp(zone.to_local(t)), i.months)?;
        t = zone.to_instant(timestamp_from_parts(days_from_civil(c.year, c.month, c.day), c.micros)?);
    }
    if i.days != 0 {
        let local = zone
            .to_local(t)
            .checked_add(i64::from(i.days) * DAY)
            .ok_or_else(timestamp_out_of_range)?;
        t = zone.to_instant(local);
    }
    in_range(t.checked_add(i.micros).ok_or_else(timestamp_out_of_range)?)
}

/// timestamp - timestamp in days and time. 22008 for infinities.
pub fn timestamp_sub(a: i64, b: i64) -> Result<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite timestamps",
        ));
    }
    let micros = a.checked_sub(b).ok_or_else(super::span::interval_out_of_range)?;
    super::span::justify_hours(Interval {
        months: 0,
        days: 0,
        micros,
    })
}

/// date - date in days. 22008 for infinities.
pub fn date_sub(a: i32, b: i32) -> Result<i32> {
    let infinite = |d: i32| d == i32::MAX || d == i32::MIN;
    if infinite(a) || infinite(b) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates"));
    }
    a.checked_sub(b).ok_or_else(super::calendar::date_out_of_range)
}

/// date + days. 22008 out of range.
pub fn date_add(d: i32, days: i32) -> Result<i32> {
    if d == i32::MAX || d == i32::MIN {
        return Ok(d);
    }
    match d.checked_add(days) {
        Some(r) if r != i32::MAX && r != i32::MIN => check_date(r),
        _ => Err(super::calendar::date_out_of_range()),
    }
}

/// age(a, b): the difference in years, months, days and time, as people count.
pub fn age(a: i64, b: i64) -> Result<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(timestamp_out_of_range());
    }
    let (x, y) = (split_timestamp(a), split_timestamp(b));
    let negative = a < b;
    let mut months = (x.year - y.year) * 12 + x.month - y.month;
    let mut days = x.day - y.day;
    let mut micros = x.micros - y.micros;
    if negative {
        (months, days, micros) = (-months, -days, -micros);
    }
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    while days < 0 {
        // Borrow a month of the earlier date's length.
        days += if negative {
            days_in_month(x.year, x.month)
        } else {
            days_in_month(y.year, y.month)
        };
        months -= 1;
    }
    if negative {
        (months, days, micros) = (-months, -days, -micros);
    }
    Ok(Interval {
        months: months as i32,
        days: days as i32,
        micros,
    })
}

/// date_trunc on local time.
pub fn timestamp_trunc(field: Field, t: i64) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    let c = split_timestamp(t);
    let day = t.div_euclid(DAY);
    let cut = |unit: i64| c.micros - c.micros % unit;
    let first = |year: i64, month: i64| timestamp_from_parts(days_from_civil(year, month, 1), 0);
    match field {
        Field::Microseconds => Ok(t),
        Field::Milliseconds => timestamp_from_parts(day, cut(1000)),
        Field::Second => timestamp_from_parts(day, cut(SECOND)),
        Field::Minute => timestamp_from_parts(day, cut(MINUTE)),
        Field::Hour => timestamp_from_parts(day, cut(HOUR)),
        Field::Day => timestamp_from_parts(day, 0),
        Field::Week => timestamp_from_parts(day - (weekday(day) + 6) % 7, 0),
        Field::Month => first(c.year, c.month),
        Field::Quarter => first(c.year, (c.month - 1) / 3 * 3 + 1),
        Field::Year => first(c.year, 1),
        // See the decade and century rules of timestamp_trunc: they count from year 1, decades from year 0.
        Field::Decade => first(c.year.div_euclid(10) * 10, 1),
        Field::Century => first((c.year - 1).div_euclid(100) * 100 + 1, 1),
        Field::Millennium => first((c.year - 1).div_euclid(1000) * 1000 + 1, 1),
        other => Err(super::fields::unsupported_unit(other.name(), "timestamp without time zone")),
    }
}

/// date_trunc in a zone.
pub fn timestamptz_trunc(field: Field, t: i64, zone: &Zone) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    let local = timestamp_trunc(field, zone.to_local(t)).map_err(|e| {
        if e.code() == SqlState::FEATURE_NOT_SUPPORTED {
            super::fields::unsupported_unit(field.name(), "timestamp with time zone")
        } else {
            e
        }
    })?;
    // Below a day the offset in force stays, so that a repeated hour is not merged.
    let small = matches!(
        field,
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour
    );
    Ok(if small {
        local - i64::from(zone.seconds_at(t)) * SECOND
    } else {
        zone.to_instant(local)
    })
}

/// date_trunc of an interval.
pub fn interval_trunc(field: Field, i: Interval) -> Result<Interval> {
    let cut = |unit: i64| i.micros - i.micros % unit;
    let months = |n: i32| Interval {
        months: i.months - i.months % n,
        days: 0,
        micros: 0,
    };
    Ok(match field {
        Field::Microseconds => i,
        Field::Milliseconds => Interval { micros: cut(1000), ..i },
        Field::Second => Interval { micros: cut(SECOND), ..i },
        Field::Minute => Interval { micros: cut(MINUTE), ..i },
        Field::Hour => Interval { micros: cut(HOUR), ..i },
        Field::Day => Interval { micros: 0, ..i },
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1200),
        Field::Millennium => months(12_000),
        Field::Week => {
            return Err(super::fields::unsupported_unit("week", "interval").detail("Months usually have fractional weeks."));
        }
        other => return Err(super::fields::unsupported_unit(other.name(), "interval")),
    })
}

/// make_date; a negative year is BC. 22008.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    let bad = |y: i64| {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {y}-{month:02}-{day:02}"),
        )
    };
    let y = if year < 0 { i64::from(year) + 1 } else { i64::from(year) };
    if year == 0 || !(1..=12).contains(&month) || day < 1 || i64::from(day) > days_in_month(y, i64::from(month)) {
        return Err(bad(y));
    }
    let days = days_from_civil(y, i64::from(month), i64::from(day));
    i32::try_from(days).ok().and_then(|d| check_date(d).ok()).ok_or_else(|| {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: {year}-{month:02}-{day:02}"),
        )
    })
}

/// make_time. 22008.
pub fn make_time(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let micros = (second * 1e6).round_ties_even();
    // A float becomes the nearest integer there is; NaN is refused below.
    let total = (i64::from(hour) * HOUR + i64::from(minute) * MINUTE).saturating_add(micros as i64);
    if hour < 0 || !(0..60).contains(&minute) || !(0.0..=60.0).contains(&second) || total > DAY {
        // C's %02g
        let mut shown = Vec::new();
        crate::float::write_f64(second, -9, &mut shown);
        let padded = format!("{:0>2}", String::from_utf8_lossy(&shown));
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{padded}"),
        ));
    }
    Ok(total)
}

/// ISO year, week and weekday of a day.
pub fn iso_calendar(day: i64) -> (i64, i64, i64) {
    let (mut year, _, _) = civil_of(day);
    if day >= iso_week_start(year + 1) {
        year += 1;
    } else if day < iso_week_start(year) {
        year -= 1;
    }
    (year, (day - iso_week_start(year)) / 7 + 1, (weekday(day) + 6) % 7 + 1)
}
