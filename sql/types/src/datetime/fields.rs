//! Fields of dates: what extract and date_part name.

use super::calendar::{DAY, HOUR, MINUTE, SECOND, civil_of, days_from_civil, julian_day, split_timestamp, weekday};
use super::zone::Zone;
use crate::{Interval, Numeric, Result, SqlError, SqlState};

/// A named field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Julian,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Field {
    /// The field of a unit word in any case; `None` when unknown.
    pub fn named(name: &str) -> Option<Field> {
        use Field::*;
        let lower = name.to_ascii_lowercase();
        Some(match lower.get(..10).unwrap_or(&lower) {
            "microsecon" | "us" | "usec" | "usecond" | "useconds" | "usecs" => Microseconds,
            "millisecon" | "ms" | "msec" | "msecond" | "mseconds" | "msecs" => Milliseconds,
            "second" | "seconds" | "s" | "sec" | "secs" => Second,
            "minute" | "minutes" | "min" | "mins" | "m" => Minute,
            "hour" | "hours" | "h" | "hr" | "hrs" => Hour,
            "day" | "days" | "d" => Day,
            "week" | "weeks" | "w" => Week,
            "month" | "months" | "mon" | "mons" => Month,
            "quarter" | "qtr" => Quarter,
            "year" | "years" | "y" | "yr" | "yrs" => Year,
            "decade" | "decades" | "dec" | "decs" => Decade,
            "century" | "centuries" | "c" | "cent" => Century,
            "millennium" | "millennia" | "mil" | "mils" => Millennium,
            "dow" => Dow,
            "isodow" => IsoDow,
            "doy" => Doy,
            "isoyear" => IsoYear,
            "julian" | "jd" | "j" => Julian,
            "epoch" => Epoch,
            "timezone" => Timezone,
            "timezone_h" => TimezoneHour,
            "timezone_m" => TimezoneMinute,
            _ => return None,
        })
    }

    /// The word.
    pub fn name(self) -> &'static str {
        use Field::*;
        match self {
            Microseconds => "microseconds",
            Milliseconds => "milliseconds",
            Second => "second",
            Minute => "minute",
            Hour => "hour",
            Day => "day",
            Week => "week",
            Month => "month",
            Quarter => "quarter",
            Year => "year",
            Decade => "decade",
            Century => "century",
            Millennium => "millennium",
            Dow => "dow",
            IsoDow => "isodow",
            Doy => "doy",
            IsoYear => "isoyear",
            Julian => "julian",
            Epoch => "epoch",
            Timezone => "timezone",
            TimezoneHour => "timezone_hour",
            TimezoneMinute => "timezone_minute",
        }
    }

    /// Whether `date_trunc` knows the word at all.
    pub fn truncates(self) -> bool {
        use Field::*;
        !matches!(self, Dow | IsoDow | Doy | IsoYear | Julian | Epoch)
    }

    /// Whether the field of an infinite date is infinite (others are NULL).
    fn grows(self) -> bool {
        use Field::*;
        matches!(self, Year | Decade | Century | Millennium | IsoYear | Julian | Epoch)
    }
}

/// 22023 for an unknown unit.
pub fn unknown_unit(unit: &str, type_name: &str) -> SqlError {
    let unit = unit.to_ascii_lowercase();
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{unit}\" not recognized for type {type_name}"),
    )
}

/// 0A000 for a unit that the type has not.
pub fn unsupported_unit(unit: &str, type_name: &str) -> SqlError {
    let unit = unit.to_ascii_lowercase();
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{unit}\" not supported for type {type_name}"),
    )
}

/// First day (a Monday) of the ISO year.
pub fn iso_week_start(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - (weekday(fourth) + 6) % 7
}

fn infinite_field(field: Field, positive: bool) -> Option<Numeric> {
    field
        .grows()
        .then_some(if positive { Numeric::INFINITY } else { Numeric::NEG_INFINITY })
}

/// extract from a day. `None` is NULL (some fields of infinity).
pub fn date_field(unit: &str, d: i32) -> Result<Option<Numeric>> {
    let field = Field::named(unit).ok_or_else(|| unknown_unit(unit, "date"))?;
    use Field::*;
    if matches!(
        field,
        Microseconds | Milliseconds | Second | Minute | Hour | Timezone | TimezoneHour | TimezoneMinute
    ) {
        return Err(unsupported_unit(unit, "date"));
    }
    if d == i32::MAX || d == i32::MIN {
        return Ok(infinite_field(field, d > 0));
    }
    let day = i64::from(d);
    Ok(Some(match field {
        Epoch => Numeric::from((day + 10_957) * 86_400),
        Julian => Numeric::from(julian_day(day)),
        other => day_field(other, day),
    }))
}

fn day_field(field: Field, day: i64) -> Numeric {
    use Field::*;
    let (year, month, dom) = civil_of(day);
    let v = match field {
        Day => dom,
        Month => month,
        Quarter => (month - 1) / 3 + 1,
        Week => super::iso_calendar(day).1,
        // There is no year zero: 1 BC is -1.
        Year => {
            if year > 0 {
                year
            } else {
                year - 1
            }
        }
        Decade => year.div_euclid(10),
        Century => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        Millennium => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        IsoYear => {
            let y = super::iso_calendar(day).0;
            if y > 0 { y } else { y - 1 }
        }
        Dow => weekday(day),
        IsoDow => (weekday(day) + 6) % 7 + 1,
        Doy => day - days_from_civil(year, 1, 1) + 1,
        _ => 0,
    };
    Numeric::from(v)
}

fn clock_field(field: Field, micros: i64) -> Option<Numeric> {
    use Field::*;
    Some(match field {
        Microseconds => Numeric::from(micros % MINUTE),
        Milliseconds => Numeric::new(micros % MINUTE, 3),
        Second => Numeric::new(micros % MINUTE, 6),
        Minute => Numeric::from(micros / MINUTE % 60),
        Hour => Numeric::from(micros / HOUR),
        _ => return None,
    })
}

/// extract from a local timestamp.
pub fn timestamp_field(unit: &str, t: i64) -> Result<Option<Numeric>> {
    let field = Field::named(unit).ok_or_else(|| unknown_unit(unit, "timestamp without time zone"))?;
    use Field::*;
    if t == i64::MAX || t == i64::MIN {
        return Ok(infinite_field(field, t > 0));
    }
    if matches!(field, Timezone | TimezoneHour | TimezoneMinute) {
        return Err(unsupported_unit(unit, "timestamp without time zone"));
    }
    Ok(Some(local_field(field, t, t)))
}

/// extract from an instant in a zone.
pub fn timestamptz_field(unit: &str, t: i64, zone: &Zone) -> Result<Option<Numeric>> {
    let field = Field::named(unit).ok_or_else(|| unknown_unit(unit, "timestamp with time zone"))?;
    use Field::*;
    if t == i64::MAX || t == i64::MIN {
        return Ok(infinite_field(field, t > 0));
    }
    let offset = i64::from(zone.seconds_at(t));
    Ok(Some(match field {
        Timezone => Numeric::from(offset),
        TimezoneHour => Numeric::from(offset / 3600),
        TimezoneMinute => Numeric::from(offset / 60 % 60),
        other => local_field(other, t + offset * SECOND, t),
    }))
}

fn local_field(field: Field, local: i64, instant: i64) -> Numeric {
    let c = split_timestamp(local);
    if let Some(n) = clock_field(field, c.micros) {
        return n;
    }
    let day = local.div_euclid(DAY);
    match field {
        Field::Epoch => Numeric::from_i128(i128::from(instant) + 946_684_800_000_000, 6),
        Field::Julian => {
            // The day and the fraction of it, at the scale numeric division gives.
            let fraction = Numeric::from(c.micros).div(&Numeric::from(DAY)).unwrap_or(Numeric::ZERO);
            Numeric::from(julian_day(day)).add(&fraction).unwrap_or(Numeric::ZERO)
        }
        other => day_field(other, day),
    }
}

/// extract from a time of day.
pub fn time_field(unit: &str, t: i64) -> Result<Option<Numeric>> {
    let field = Field::named(unit).ok_or_else(|| unknown_unit(unit, "time without time zone"))?;
    match field {
        Field::Epoch => Ok(Some(Numeric::new(t, 6))),
        other => clock_field(other, t)
            .map(Some)
            .ok_or_else(|| unsupported_unit(unit, "time without time zone")),
    }
}

/// extract from an interval.
pub fn interval_field(unit: &str, i: Interval) -> Result<Option<Numeric>> {
    use Field::*;
    let field = Field::named(unit).ok_or_else(|| unknown_unit(unit, "interval"))?;
    if let Some(n) = clock_field(field, i.micros) {
        return Ok(Some(n));
    }
    let months = i64::from(i.months);
    Ok(Some(match field {
        Day => Numeric::from(i64::from(i.days)),
        Month => Numeric::from(months % 12),
        Quarter => Numeric::from(months % 12 / 3 + 1),
        Year => Numeric::from(months / 12),
        Decade => Numeric::from(months / 120),
        Century => Numeric::from(months / 1200),
        Millennium => Numeric::from(months / 12_000),
        Epoch => {
            // Years of 365.25 days, months of 30.
            let days4 = (months / 12) * 1461 + (months % 12) * 120 + i64::from(i.days) * 4;
            Numeric::from_i128(i128::from(days4) * i128::from(DAY / 4) + i128::from(i.micros), 6)
        }
        _ => return Err(unsupported_unit(unit, "interval")),
    }))
}
