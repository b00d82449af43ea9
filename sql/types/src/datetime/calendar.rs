//! The proleptic Gregorian calendar: days and microseconds since 2000-01-01 to civil fields and back, and the limits of each type.

use crate::{Result, SqlError, SqlState};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;
/// Smallest finite timestamp: 4714-11-24 00:00:00 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// First value past the largest timestamp, 294277-01-01.
pub const MAX_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// Julian day number of 2000-01-01.
pub(crate) const EPOCH_JULIAN: i64 = 2_451_545;
/// Smallest date: Julian day 0.
pub(crate) const MIN_DATE: i64 = -EPOCH_JULIAN;
/// First day past the largest date, 5874898-01-01.
pub(crate) const MAX_DATE: i64 = 2_147_483_494 - EPOCH_JULIAN;

/// A civil date and time of day. Years count astronomically: 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year; 0 is 1 BC.
    pub year: i64,
    /// 1..=12
    pub month: i64,
    /// 1..=31
    pub day: i64,
    /// Microseconds since midnight.
    pub micros: i64,
}

/// Days since 2000-01-01 of a civil date; any month and day numbers in range of the calendar.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years from March, so that the leap day is the last of its year (Hinnant, "chrono-compatible low-level date algorithms").
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 730_425
}

/// (year, month, day) of a day number since 2000-01-01.
pub fn civil_of(days: i64) -> (i64, i64, i64) {
    let z = days + 730_425;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Julian day number of a day.
pub fn julian_day(days: i64) -> i64 {
    days + EPOCH_JULIAN
}

/// Whether a year has 366 days.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 Sunday .. 6 Saturday.
pub fn weekday(days: i64) -> i64 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7)
}

/// Civil fields of a finite timestamp.
pub fn split_timestamp(t: i64) -> Civil {
    let (year, month, day) = civil_of(t.div_euclid(DAY));
    Civil {
        year,
        month,
        day,
        micros: t.rem_euclid(DAY),
    }
}

pub(crate) fn timestamp_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

pub(crate) fn date_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// Accepts infinities and timestamps in range; 22008 otherwise.
pub fn check_timestamp(t: i64) -> Result<i64> {
    if t == i64::MAX || t == i64::MIN || (MIN_TIMESTAMP..MAX_TIMESTAMP).contains(&t) {
        Ok(t)
    } else {
        Err(timestamp_out_of_range())
    }
}

/// Accepts infinities and dates in range; 22008 otherwise.
pub fn check_date(d: i32) -> Result<i32> {
    if d == i32::MAX || d == i32::MIN || (MIN_DATE..MAX_DATE).contains(&i64::from(d)) {
        Ok(d)
    } else {
        Err(date_out_of_range())
    }
}

/// Accepts 00:00 to 24:00; 22008 otherwise.
pub fn check_time(t: i64) -> Result<i64> {
    if (0..=DAY).contains(&t) {
        Ok(t)
    } else {
        Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"))
    }
}

/// A timestamp from day number and microseconds of the day, checked.
pub(crate) fn timestamp_from_parts(days: i64, micros: i64) -> Result<i64> {
    days.checked_mul(DAY)
        .and_then(|d| d.checked_add(micros))
        .filter(|t| (MIN_TIMESTAMP..MAX_TIMESTAMP).contains(t))
        .ok_or_else(timestamp_out_of_range)
}
