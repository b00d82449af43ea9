//! to_date and to_timestamp: fields become a date and time once all are read, because their order is the template's.

use super::calendar;
use super::picture::Convention;
use super::scan::{invalid, read};
use curia_types::datetime::{DAY, HOUR, MINUTE, SECOND, Zone, check_timestamp, days_in_month, round_timestamp};
use curia_types::{Result, SqlError, SqlState};

/// What the fields said; 0 where nothing was said.
#[derive(Default)]
pub(super) struct Found {
    pub convention: Option<Convention>,
    /// HH or a meridiem was read: hours are 1 to 12.
    pub twelve_hours: bool,
    pub afternoon: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub second_of_day: i32,
    /// Sunday = 1
    pub weekday: i32,
    pub day: i32,
    pub yearday: i32,
    pub month: i32,
    pub millis: i32,
    pub micros: i32,
    pub year: i32,
    /// Digits of the year's field.
    pub year_digits: u8,
    pub before_christ: i32,
    pub week: i32,
    pub week_of_month: i32,
    pub century: i32,
    pub julian: i32,
    pub fraction_digits: u8,
    /// 1 east, -1 west, 0 when no zone was read.
    pub zone_sign: i32,
    pub zone_hour: i32,
    pub zone_minute: i32,
}

/// A date and time of day.
struct Parts {
    year: i32,
    month: i32,
    day: i32,
    micros: i64,
    /// Seconds east of UTC.
    offset: Option<i32>,
    fraction_digits: u8,
}

fn out_of_range(text: &str) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// Which parts of a date are known, for the check at the end.
#[derive(Default)]
struct Known {
    year: bool,
    month: bool,
    day: bool,
}

const WHOLE: Known = Known {
    year: true,
    month: true,
    day: true,
};

/// The date and time that the fields mean.
fn assemble(mut f: Found, text: &str) -> Result<Parts> {
    let overflow = || out_of_range(text);
    let (mut hour, mut minute, mut second) = (f.second_of_day / 3600, f.second_of_day % 3600 / 60, f.second_of_day % 60);
    for (given, target) in [(f.hour, &mut hour), (f.minute, &mut minute), (f.second, &mut second)] {
        if given != 0 {
            *target = given;
        }
    }
    if f.twelve_hours {
        if !(1..=12).contains(&hour) {
            return Err(invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        hour = hour % 12 + if f.afternoon != 0 { 12 } else { 0 };
    }

    let (mut year, mut month, mut day) = (0i32, 1i32, 1i32);
    let mut known = Known::default();
    let bc = f.before_christ != 0;
    if bc {
        f.century = f.century.wrapping_neg();
    }
    if f.year != 0 {
        if f.century != 0 && f.year_digits <= 2 {
            // The 21st century is 2001 to 2100, the 6th before Christ 600 to 501 BC.
            let low = f.year % 100;
            let century = i64::from(f.century);
            let value = match (low, century) {
                (0, 0..) => century * 100,
                (0, _) => century * 100 + 1,
                (_, 0..) => (century - 1) * 100 + i64::from(low),
                _ => (century + 1) * 100 - i64::from(low) + 1,
            };
            year = i32::try_from(value).map_err(|_| overflow())?;
        } else {
            year = if bc { f.year.wrapping_neg() } else { f.year };
            if year < 0 {
                year += 1;
            }
        }
        known.year = true;
    } else if f.century != 0 {
        let century = i64::from(f.century);
        let value = if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 };
        year = i32::try_from(value).map_err(|_| overflow())?;
        known.year = true;
    }
    if f.julian != 0 {
        (year, month, day) = calendar::date_of(f.julian);
        known = WHOLE;
    }
    let iso = f.convention == Some(Convention::IsoWeek);
    if f.week != 0 {
        if iso {
            let monday = calendar::iso_week_start(year, f.week);
            let offset = match f.weekday {
                0 => 0,
                d if d > 1 => d - 2,
                _ => 6,
            };
            (year, month, day) = calendar::date_of(monday.wrapping_add(offset));
            known = WHOLE;
        } else {
            f.yearday = first_of_week(f.week).ok_or_else(overflow)?;
        }
    }
    if f.week_of_month != 0 {
        f.day = first_of_week(f.week_of_month).ok_or_else(overflow)?;
    }
    if f.day != 0 {
        (day, known.day) = (f.day, true);
    }
    if f.month != 0 {
        (month, known.month) = (f.month, true);
    }
    if f.yearday != 0 && (month <= 1 || day <= 1) {
        if year == 0 && !bc {
            return Err(invalid("cannot calculate day of year without year information"));
        }
        if iso {
            let eve = calendar::iso_week_start(year, 1).wrapping_sub(1);
            (year, month, day) = calendar::date_of(eve.wrapping_add(f.yearday));
            known = WHOLE;
        } else {
            let (mut in_month, mut left) = (1, f.yearday);
            while in_month <= 12 && left > days_in_month(year.into(), in_month) as i32 {
                left -= days_in_month(year.into(), in_month) as i32;
                in_month += 1;
            }
            if month <= 1 {
                month = in_month as i32;
            }
            if day <= 1 {
                day = left;
            }
            (known.month, known.day) = (true, true);
        }
    }
    let fraction = (f.millis.checked_mul(1000))
        .and_then(|m| m.checked_add(f.micros))
        .ok_or_else(overflow)?;

    let month_fits = !known.month || (1..=12).contains(&month);
    let day_fits = !known.day || (1..=31).contains(&day);
    let whole = known.year && known.month && known.day && month_fits;
    let date_fits = !whole || i64::from(day) <= days_in_month(year.into(), month.into());
    let time_fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second) && (0..1_000_000).contains(&fraction);
    if !(month_fits && day_fits && date_fits && time_fits) {
        return Err(overflow());
    }
    let offset = match f.zone_sign {
        0 => None,
        sign => {
            if !(0..=15).contains(&f.zone_hour) || !(0..60).contains(&f.zone_minute) {
                return Err(SqlError::new(
                    SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                    format!("time zone displacement out of range: \"{text}\""),
                ));
            }
            Some(sign * (f.zone_hour * 60 + f.zone_minute) * 60)
        }
    };
    Ok(Parts {
        year,
        month,
        day,
        micros: i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second) * SECOND + i64::from(fraction),
        offset,
        fraction_digits: f.fraction_digits,
    })
}

/// The first day of the `n`-th seven days.
fn first_of_week(n: i32) -> Option<i32> {
    n.checked_sub(1)?.checked_mul(7)?.checked_add(1)
}

/// 22007 for text that does not match, 22008 for values out of range.
pub(super) fn to_date(text: &str, template: &str) -> Result<i32> {
    let p = assemble(read(text, template)?, text)?;
    let error = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\""));
    if !calendar::in_range(p.year, p.month) {
        return Err(error());
    }
    let julian = i64::from(calendar::julian(p.year, p.month, p.day));
    if !(0..2_147_483_494).contains(&julian) {
        return Err(error());
    }
    Ok((julian - calendar::EPOCH) as i32)
}

/// As [`to_date`]; a text without a zone is local time of `zone`.
pub(super) fn to_timestamp(text: &str, template: &str, zone: &Zone) -> Result<i64> {
    let p = assemble(read(text, template)?, text)?;
    let error = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    if !calendar::in_range(p.year, p.month) {
        return Err(error());
    }
    let days = i64::from(calendar::julian(p.year, p.month, p.day)) - calendar::EPOCH;
    let local = days.checked_mul(DAY).and_then(|d| d.checked_add(p.micros)).ok_or_else(error)?;
    let t = match p.offset {
        Some(seconds) => local.checked_sub(i64::from(seconds) * SECOND).ok_or_else(error)?,
        None => zone.to_instant(local),
    };
    let t = check_timestamp(t).map_err(|_| error())?;
    Ok(if p.fraction_digits > 0 {
        round_timestamp(t, p.fraction_digits.into())
    } else {
        t
    })
}
