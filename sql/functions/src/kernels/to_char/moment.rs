//! A timestamp or interval in fields, and its text by a template.

use super::picture::{Field, Letters, Piece, What, ordinal_suffix, parse};
use super::{calendar, roman};
use curia_types::datetime::{DAY, HOUR, MINUTE, SECOND, Zone};
use curia_types::{Interval, Result, SqlError, SqlState};
use std::fmt::Write;

pub(super) const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAY_NAMES: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Fields of a timestamp, or of an interval, whose fields can be anything.
pub(super) struct Moment {
    /// 0 is 1 BC.
    year: i32,
    month: i32,
    day: i32,
    hour: i64,
    minute: i32,
    second: i32,
    micros: i32,
    /// Sunday = 0
    weekday: i32,
    yearday: i32,
    /// Seconds east of UTC.
    offset: i32,
    zone: Option<String>,
    interval: bool,
}

impl Moment {
    /// Of a finite timestamp.
    pub fn of_timestamp(t: i64) -> Moment {
        let julian = (t.div_euclid(DAY) + calendar::EPOCH) as i32;
        let (year, month, day) = calendar::date_of(julian);
        let time = t.rem_euclid(DAY);
        Moment {
            year,
            month,
            day,
            hour: time / HOUR,
            minute: (time % HOUR / MINUTE) as i32,
            second: (time % MINUTE / SECOND) as i32,
            micros: (time % SECOND) as i32,
            weekday: calendar::weekday(julian),
            yearday: julian - calendar::julian(year, 1, 1) + 1,
            offset: 0,
            zone: None,
            interval: false,
        }
    }

    /// Of a finite timestamptz, as a clock in the zone shows it.
    pub fn of_timestamptz(t: i64, zone: &Zone) -> Moment {
        let offset = zone.offset_at(t);
        Moment {
            offset: offset.seconds,
            zone: Some(offset.abbreviation),
            ..Moment::of_timestamp(zone.to_local(t))
        }
    }

    pub fn of_interval(i: Interval) -> Moment {
        let (year, month) = (i.months / 12, i.months % 12);
        Moment {
            year,
            month,
            day: i.days,
            hour: i.micros / HOUR,
            minute: (i.micros % HOUR / MINUTE) as i32,
            second: (i.micros % MINUTE / SECOND) as i32,
            micros: (i.micros % SECOND) as i32,
            weekday: 0,
            yearday: i.months.wrapping_mul(30).wrapping_add(i.days),
            offset: 0,
            zone: None,
            interval: true,
        }
    }

    /// The year as people count: 1 BC is 1 before it.
    fn shown_year(&self, year: i32) -> i32 {
        if self.interval || year > 0 { year } else { 1i32.wrapping_sub(year) }
    }

    /// (year, width of four digits and a sign where there is one) of YYYY and IYYY kinds.
    fn year_of(&self, what: What) -> i32 {
        match what {
            What::IsoYear(_) => self.shown_year(calendar::iso_week(self.year, self.month, self.day).0),
            _ => self.shown_year(self.year),
        }
    }
}

fn not_for_intervals() -> SqlError {
    SqlError::new(
        SqlState::INVALID_DATETIME_FORMAT,
        "invalid format specification for an interval value",
    )
    .hint("Intervals are not tied to specific calendar dates.")
}

/// The text of a moment. 22007 for fields that an interval does not have.
pub(super) fn print(template: &str, m: &Moment) -> Result<String> {
    let mut out = String::new();
    for piece in parse(template) {
        match piece {
            Piece::Space(c) | Piece::Separator(c) | Piece::Literal(c) => out.push(c),
            Piece::Field(field) => {
                let start = out.len();
                print_field(&field, m, &mut out)?;
                if let Some(ordinal) = field.ordinal
                    && out.len() > start
                    && takes_ordinal(field.what)
                {
                    let suffix = ordinal_suffix(&out[start..], ordinal)?;
                    out.push_str(suffix);
                }
            }
        }
    }
    Ok(out)
}

/// Whether TH means something after the field.
fn takes_ordinal(what: What) -> bool {
    !matches!(
        what,
        What::Meridiem { .. }
            | What::Era { .. }
            | What::DayName
            | What::DayAbbreviation
            | What::MonthName
            | What::MonthAbbreviation
            | What::RomanMonth
            | What::Zone
            | What::ZoneHour
            | What::ZoneMinute
            | What::Offset
            | What::Exact
    )
}

fn needs_date(what: What) -> bool {
    matches!(
        what,
        What::Zone
            | What::ZoneHour
            | What::ZoneMinute
            | What::Offset
            | What::Era { .. }
            | What::MonthName
            | What::MonthAbbreviation
            | What::DayName
            | What::DayAbbreviation
            | What::WeekDay
            | What::IsoWeekDay
    )
}

fn print_field(field: &Field<'_>, m: &Moment, out: &mut String) -> Result<()> {
    if m.interval && needs_date(field.what) {
        return Err(not_for_intervals());
    }
    // A padded number has room for its sign.
    let number = |out: &mut String, value: i64, width: usize, signed_by: i64| {
        let width = if field.fill { 0 } else { width + usize::from(signed_by < 0) };
        let _ = write!(out, "{value:0width$}");
    };
    let padded = |out: &mut String, text: &str, width: usize| {
        let width = if field.fill || field.translated { 0 } else { width };
        let _ = match field.letters() {
            Letters::Upper => write!(out, "{:width$}", text.to_ascii_uppercase()),
            Letters::Capital => write!(out, "{text:width$}"),
            Letters::Lower => write!(out, "{:width$}", text.to_ascii_lowercase()),
        };
    };
    match field.what {
        What::Exact => {}
        What::Meridiem { dots } => {
            let text = match (m.hour % 24 >= 12, dots) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            padded(out, text, 0);
        }
        What::Era { dots } => {
            let text = match (m.year <= 0, dots) {
                (true, true) => "B.C.",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (false, false) => "AD",
            };
            padded(out, text, 0);
        }
        What::Hour12 => number(out, if m.hour % 12 == 0 { 12 } else { m.hour % 12 }, 2, m.hour),
        What::Hour24 => number(out, m.hour, 2, m.hour),
        What::Minute => number(out, m.minute.into(), 2, m.minute.into()),
        What::Second => number(out, m.second.into(), 2, m.second.into()),
        What::Fraction(digits) => fraction(out, m.micros, digits.into()),
        What::Millisecond => fraction(out, m.micros, 3),
        What::Microsecond => fraction(out, m.micros, 6),
        What::SecondOfDay => {
            let _ = write!(out, "{}", m.hour * 3600 + i64::from(m.minute) * 60 + i64::from(m.second));
        }
        What::Zone => {
            let zone = m.zone.as_deref().unwrap_or("");
            match field.letters() {
                Letters::Lower => out.push_str(&zone.to_ascii_lowercase()),
                _ => out.push_str(zone),
            }
        }
        What::ZoneHour | What::Offset => {
            let hours = m.offset.abs() / 3600;
            let minutes = m.offset.abs() % 3600 / 60;
            let sign = if m.offset >= 0 { '+' } else { '-' };
            let width = if field.fill && field.what == What::Offset { 0 } else { 2 };
            let _ = write!(out, "{sign}{hours:0width$}");
            if field.what == What::Offset && m.offset % 3600 != 0 {
                let _ = write!(out, ":{minutes:02}");
            }
        }
        What::ZoneMinute => {
            let _ = write!(out, "{:02}", m.offset.abs() % 3600 / 60);
        }
        What::MonthName => padded(out, MONTH_NAMES[(m.month - 1) as usize], 9),
        What::MonthAbbreviation => padded(out, &MONTH_NAMES[(m.month - 1) as usize][..3], 0),
        What::DayName => padded(out, DAY_NAMES[m.weekday as usize], 9),
        What::DayAbbreviation => padded(out, &DAY_NAMES[m.weekday as usize][..3], 0),
        What::Month => number(out, m.month.into(), 2, m.month.into()),
        What::YearDay => number(out, m.yearday.into(), 3, 0),
        What::IsoYearDay => number(out, calendar::iso_year_day(m.year, m.month, m.day).into(), 3, 0),
        What::MonthDay => number(out, m.day.into(), 2, 0),
        What::WeekDay => number(out, i64::from(m.weekday) + 1, 0, 0),
        What::IsoWeekDay => number(out, if m.weekday == 0 { 7 } else { m.weekday.into() }, 0, 0),
        What::Week => number(out, i64::from((m.yearday.wrapping_sub(1)) / 7 + 1), 2, 0),
        What::IsoWeek => number(out, calendar::iso_week(m.year, m.month, m.day).1.into(), 2, 0),
        What::WeekOfMonth => number(out, i64::from(m.day.wrapping_sub(1) / 7 + 1), 0, 0),
        What::Julian => number(out, calendar::julian(m.year, m.month, m.day).into(), 0, 0),
        What::Quarter if m.month == 0 => {}
        What::Quarter => number(out, i64::from((m.month - 1) / 3 + 1), 0, 0),
        What::Century => {
            let century = match m.year {
                y if m.interval => y / 100,
                y if y > 0 => (y - 1) / 100 + 1,
                y => y / 100 - 1,
            };
            number(out, century.into(), 2, century.into());
        }
        What::YearWithComma => {
            let year = m.shown_year(m.year);
            let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
        }
        What::Year(digits) | What::IsoYear(digits) => {
            let year = m.year_of(field.what);
            let last = if digits == 4 { year } else { year % 10i32.pow(digits.into()) };
            let width = if digits == 1 { 0 } else { digits.into() };
            let sign = if digits == 1 { 0 } else { m.shown_year(m.year) };
            number(out, last.into(), width, sign.into());
        }
        What::RomanMonth => {
            // Months of an interval of whole years count as December, or as January going backwards; -1 is December.
            let index = match m.month {
                0 if m.year == 0 => return Ok(()),
                0 if m.year > 0 => 0,
                0 => 11,
                n if n < 0 => -(n + 1),
                n => 12 - n,
            };
            padded(out, roman::MONTHS[index as usize], 4);
        }
    }
    Ok(())
}

fn fraction(out: &mut String, micros: i32, digits: u32) {
    let width = digits as usize;
    let _ = write!(out, "{:0width$}", micros / 10i32.pow(6 - digits));
}
