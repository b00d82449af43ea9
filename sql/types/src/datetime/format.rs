//! Text output of dates, times and timestamps in every DateStyle.

use super::calendar::{Civil, DAY, HOUR, MINUTE, SECOND, civil_of, split_timestamp, weekday};
use super::zone::LocalOffset;
use crate::{DateOrder, DateStyle, IoContext};

pub(crate) const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
pub(crate) const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Appends a number with at least `width` digits.
pub(crate) fn padded(v: i64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = v.unsigned_abs();
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    at = at.min(digits.len() - width);
    out.extend_from_slice(&digits[at..]);
}

/// Appends a fraction of a second, without trailing zeros; nothing when zero.
pub(crate) fn fraction(micros: i64, out: &mut Vec<u8>) {
    let frac = micros.rem_euclid(SECOND);
    if frac != 0 {
        out.push(b'.');
        padded(frac, 6, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn clock(micros: i64, out: &mut Vec<u8>) {
    padded(micros / HOUR, 2, out);
    out.push(b':');
    padded(micros / MINUTE % 60, 2, out);
    out.push(b':');
    padded(micros / SECOND % 60, 2, out);
    fraction(micros, out);
}

/// The year as printed: 1 BC is 1, not 0.
fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { 1 - year }
}

fn era(year: i64, out: &mut Vec<u8>) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn day_month(c: &Civil, order: DateOrder, separator: u8, out: &mut Vec<u8>) {
    let (first, second) = if order == DateOrder::Dmy {
        (c.day, c.month)
    } else {
        (c.month, c.day)
    };
    padded(first, 2, out);
    out.push(separator);
    padded(second, 2, out);
}

fn infinite(positive: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if positive { b"infinity" } else { b"-infinity" });
}

/// Appends a date.
pub fn format_date(d: i32, cx: &IoContext, out: &mut Vec<u8>) {
    if d == i32::MAX || d == i32::MIN {
        return infinite(d > 0, out);
    }
    let (year, month, day) = civil_of(i64::from(d));
    let c = Civil {
        year,
        month,
        day,
        micros: 0,
    };
    match cx.date_style {
        DateStyle::Iso => iso_date(&c, out),
        DateStyle::Sql | DateStyle::Postgres => {
            let separator = if cx.date_style == DateStyle::Sql { b'/' } else { b'-' };
            day_month(&c, cx.date_order, separator, out);
            out.push(separator);
            padded(shown_year(year), 4, out);
        }
        DateStyle::German => {
            day_month(&c, DateOrder::Dmy, b'.', out);
            out.push(b'.');
            padded(shown_year(year), 4, out);
        }
    }
    era(year, out);
}

fn iso_date(c: &Civil, out: &mut Vec<u8>) {
    padded(shown_year(c.year), 4, out);
    out.push(b'-');
    padded(c.month, 2, out);
    out.push(b'-');
    padded(c.day, 2, out);
}

/// Appends a time of day.
pub fn format_time(t: i64, out: &mut Vec<u8>) {
    clock(t, out);
}

/// Appends a timestamp without time zone.
pub fn format_timestamp(t: i64, cx: &IoContext, out: &mut Vec<u8>) {
    write_timestamp(t, None, cx, out);
}

/// Appends a timestamp in the session's zone.
pub fn format_timestamptz(t: i64, cx: &IoContext, out: &mut Vec<u8>) {
    if t == i64::MAX || t == i64::MIN {
        return infinite(t > 0, out);
    }
    let offset = cx.zone.offset_at(t);
    write_timestamp(t + i64::from(offset.seconds) * SECOND, Some(&offset), cx, out);
}

fn write_timestamp(t: i64, offset: Option<&LocalOffset>, cx: &IoContext, out: &mut Vec<u8>) {
    if t == i64::MAX || t == i64::MIN {
        return infinite(t > 0, out);
    }
    let c = split_timestamp(t);
    let named = |out: &mut Vec<u8>| {
        if let Some(o) = offset {
            out.push(b' ');
            out.extend_from_slice(o.abbreviation.as_bytes());
        }
    };
    match cx.date_style {
        DateStyle::Iso => {
            iso_date(&c, out);
            out.push(b' ');
            clock(c.micros, out);
            if let Some(o) = offset {
                write_offset(o.seconds, out);
            }
        }
        DateStyle::Sql => {
            day_month(&c, cx.date_order, b'/', out);
            out.push(b'/');
            padded(shown_year(c.year), 4, out);
            out.push(b' ');
            clock(c.micros, out);
            named(out);
        }
        DateStyle::German => {
            day_month(&c, DateOrder::Dmy, b'.', out);
            out.push(b'.');
            padded(shown_year(c.year), 4, out);
            out.push(b' ');
            clock(c.micros, out);
            named(out);
        }
        DateStyle::Postgres => {
            out.extend_from_slice(DAYS[weekday(t.div_euclid(DAY)) as usize].as_bytes());
            out.push(b' ');
            let month = MONTHS[(c.month - 1) as usize].as_bytes();
            if cx.date_order == DateOrder::Dmy {
                padded(c.day, 2, out);
                out.push(b' ');
                out.extend_from_slice(month);
            } else {
                out.extend_from_slice(month);
                out.push(b' ');
                padded(c.day, 2, out);
            }
            out.push(b' ');
            clock(c.micros, out);
            out.push(b' ');
            padded(shown_year(c.year), 4, out);
            named(out);
        }
    }
    era(c.year, out);
}

/// Appends `+hh[:mm[:ss]]`.
pub(crate) fn write_offset(seconds: i32, out: &mut Vec<u8>) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let s = i64::from(seconds.unsigned_abs());
    padded(s / 3600, 2, out);
    if s % 3600 != 0 {
        out.push(b':');
        padded(s / 60 % 60, 2, out);
        if s % 60 != 0 {
            out.push(b':');
            padded(s % 60, 2, out);
        }
    }
}
