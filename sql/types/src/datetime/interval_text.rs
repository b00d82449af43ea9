//! Text input and output of intervals in every IntervalStyle.

use super::calendar::{DAY, HOUR, MINUTE, SECOND};
use super::format::{fraction, padded};
use super::parse::{Bad, Kind, Token, clock, tokens};
use crate::{Interval, IntervalStyle, IoContext, Result, text_io::write_integer};

/// The restriction of a typmod's field mask as written: ` year to month`; empty for all fields.
pub fn interval_fields_name(mask: i32) -> &'static str {
    match mask {
        4 => " year",
        2 => " month",
        8 => " day",
        0x400 => " hour",
        0x800 => " minute",
        0x1000 => " second",
        6 => " year to month",
        0x408 => " day to hour",
        0xc08 => " day to minute",
        0x1c08 => " day to second",
        0xc00 => " hour to minute",
        0x1c00 => " hour to second",
        0x1800 => " minute to second",
        _ => "",
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
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
    Ago,
    Ignore,
}

fn unit(w: &str) -> Option<Unit> {
    // Keywords are told apart by their first ten characters.
    let w = w.get(..10).unwrap_or(w);
    Some(match w {
        "@" => Unit::Ignore,
        "ago" => Unit::Ago,
        "c" | "cent" | "centuries" | "century" => Unit::Century,
        "d" | "day" | "days" => Unit::Day,
        "dec" | "decade" | "decades" | "decs" => Unit::Decade,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "microsecon" | "us" | "usec" | "usecond" | "useconds" | "usecs" => Unit::Microsecond,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "millisecon" | "ms" | "msec" | "msecond" | "mseconds" | "msecs" => Unit::Millisecond,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "w" | "week" | "weeks" => Unit::Week,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        _ => return None,
    })
}

/// Years are apart from months: each has a limit of its own.
#[derive(Default)]
pub(super) struct Sum {
    years: i64,
    months: i64,
    days: i64,
    micros: i64,
}

impl Sum {
    fn micros(&mut self, v: i64, fraction: f64, scale: i64) -> Option<()> {
        let f = (fraction * scale as f64).round_ties_even();
        self.micros = self.micros.checked_add(v.checked_mul(scale)?)?.checked_add(f as i64)?;
        Some(())
    }
    fn days(&mut self, v: i64, fraction: f64, scale: i64) -> Option<()> {
        self.days = self.days.checked_add(v.checked_mul(scale)?)?;
        let extra = fraction * scale as f64;
        self.days = self.days.checked_add(extra as i64)?;
        self.micros(0, extra - extra.trunc(), DAY)
    }
    fn months(&mut self, v: i64, fraction: f64, scale: i64) -> Option<()> {
        self.months = self.months.checked_add(v.checked_mul(scale)?)?;
        self.days(0, fraction * scale as f64 * 30.0, 1)
    }
    fn years(&mut self, v: i64, fraction: f64, scale: i64) -> Option<()> {
        self.years = self.years.checked_add(v.checked_mul(scale)?)?;
        // Fractions of years and longer round to whole months.
        self.months = self.months.checked_add((fraction * scale as f64 * 12.0).round_ties_even() as i64)?;
        Some(())
    }
    pub(super) fn add(&mut self, unit: Unit, v: i64, fraction: f64) -> Option<()> {
        match unit {
            Unit::Microsecond => self.micros(v, fraction, 1),
            Unit::Millisecond => self.micros(v, fraction, 1000),
            Unit::Second => self.micros(v, fraction, SECOND),
            Unit::Minute => self.micros(v, fraction, MINUTE),
            Unit::Hour => self.micros(v, fraction, HOUR),
            Unit::Day => self.days(v, fraction, 1),
            Unit::Week => self.days(v, fraction, 7),
            Unit::Month => self.months(v, fraction, 1),
            Unit::Quarter => self.months(v, fraction, 3),
            Unit::Year => self.years(v, fraction, 1),
            Unit::Decade => self.years(v, fraction, 10),
            Unit::Century => self.years(v, fraction, 100),
            Unit::Millennium => self.years(v, fraction, 1000),
            Unit::Ago | Unit::Ignore => Some(()),
        }
    }
}

/// Reads an interval and applies its typmod. 22007, 22008, 22015.
pub fn parse_interval(s: &str, typmod: i32, cx: &IoContext) -> Result<Interval> {
    let range = if typmod < 0 { 0x7fff } else { (typmod >> 16) & 0x7fff };
    let i = match tokens(s).and_then(|t| decode(&t, range, cx)) {
        Ok(i) => i,
        Err(Bad::Syntax) => super::interval_iso::parse(s.trim()).map_err(|b| as_interval(b).error("interval", s))?,
        Err(b) => return Err(as_interval(b).error("interval", s)),
    };
    let e = || Bad::Interval.error("interval", s);
    let (years, months) = (i32::try_from(i.years), i32::try_from(i.months));
    let (Ok(years), Ok(months)) = (years, months) else {
        return Err(e());
    };
    let i = Interval {
        months: i32::try_from(i64::from(years) * 12 + i64::from(months)).map_err(|_| super::span::interval_out_of_range())?,
        days: i32::try_from(i.days).map_err(|_| e())?,
        micros: i.micros,
    };
    super::span::interval_typmod(i, typmod)
}

/// A field out of range is the interval's own error.
fn as_interval(b: Bad) -> Bad {
    if matches!(b, Bad::Field) { Bad::Interval } else { b }
}

/// The unit of a bare rightmost number, by the declared fields.
fn default_unit(range: i32) -> Unit {
    match range {
        4 => Unit::Year,
        2 | 6 => Unit::Month,
        8 => Unit::Day,
        0x400 | 0x408 => Unit::Hour,
        0x800 | 0xc00 | 0xc08 => Unit::Minute,
        _ => Unit::Second,
    }
}

fn decode(tokens: &[Token], range: i32, cx: &IoContext) -> Result<Sum, Bad> {
    let mut sum = Sum::default();
    let mut pending: Option<Unit> = None;
    let mut seen: Vec<Unit> = Vec::new();
    let mut ago = false;
    if tokens.is_empty() {
        return Err(Bad::Syntax);
    }
    // SQL standard style: one leading minus negates all fields when no other field has a sign.
    let all_negative = cx.interval_style == IntervalStyle::SqlStandard
        && tokens[0].text.starts_with('-')
        && !tokens[1..].iter().any(|t| t.text.starts_with(['-', '+']));
    for t in tokens.iter().rev() {
        let text = t.text.as_str();
        match t.kind {
            Kind::Text | Kind::Special => {
                let u = unit(text).ok_or(Bad::Syntax)?;
                match u {
                    Unit::Ignore => {}
                    Unit::Ago => {
                        ago = true;
                        pending = None;
                    }
                    u => pending = Some(u),
                }
                continue;
            }
            Kind::Time => {
                let mut v = interval_clock(text, range)?;
                if all_negative {
                    v = -v;
                }
                sum.micros = sum.micros.checked_add(v).ok_or(Bad::Interval)?;
                mark_clock(&mut seen)?;
                pending = Some(Unit::Day);
                continue;
            }
            Kind::Zone if text.contains(':') => {
                let v = interval_clock(&text[1..], range)?;
                sum.micros = sum
                    .micros
                    .checked_add(if text.starts_with('-') { -v } else { v })
                    .ok_or(Bad::Interval)?;
                mark_clock(&mut seen)?;
                pending = Some(Unit::Day);
                continue;
            }
            Kind::Zone | Kind::Date | Kind::Number => {}
        }
        let negative = text.starts_with('-') || all_negative;
        let body = text.trim_start_matches(['-', '+']);
        let sign = if negative { -1 } else { 1 };
        if let Some((y, m)) = body.split_once('-') {
            let (y, m) = (small(y)?, small(m)?);
            if m >= 12 {
                return Err(Bad::Field);
            }
            mark(&mut seen, Unit::Month)?;
            sum.months += sign * (y * 12 + m);
            pending = None;
            continue;
        }
        let (whole, fraction) = match body.find('.') {
            Some(p) => (&body[..p], format!("0{}", &body[p..]).parse::<f64>().map_err(|_| Bad::Syntax)?),
            None => (body, 0.0),
        };
        let v = if whole.is_empty() { 0 } else { wide(whole, negative)? };
        let u = pending.unwrap_or_else(|| default_unit(range));
        mark(&mut seen, u)?;
        if u == Unit::Second && fraction != 0.0 {
            mark(&mut seen, Unit::Millisecond)?;
            mark(&mut seen, Unit::Microsecond)?;
        }
        // Before hours without a unit stand days.
        pending = Some(if u == Unit::Hour { Unit::Day } else { u });
        sum.add(u, v, sign as f64 * fraction).ok_or(Bad::Field)?;
        if sum.days.abs() > 1 << 40 || sum.months.abs() > 1 << 40 || sum.years.abs() > 1 << 40 {
            return Err(Bad::Field);
        }
    }
    if seen.is_empty() {
        return Err(Bad::Syntax);
    }
    if ago {
        sum = Sum {
            years: -sum.years,
            months: -sum.months,
            days: -sum.days,
            micros: sum.micros.checked_neg().ok_or(Bad::Field)?,
        };
    }
    Ok(sum)
}

/// Fields may not repeat.
fn mark(seen: &mut Vec<Unit>, u: Unit) -> Result<(), Bad> {
    if seen.contains(&u) {
        return Err(Bad::Syntax);
    }
    seen.push(u);
    Ok(())
}

/// A clock reading has all fields from the hour down.
fn mark_clock(seen: &mut Vec<Unit>) -> Result<(), Bad> {
    [Unit::Hour, Unit::Minute, Unit::Second, Unit::Millisecond, Unit::Microsecond]
        .into_iter()
        .try_for_each(|u| mark(seen, u))
}

fn small(s: &str) -> Result<i64, Bad> {
    match s.parse::<i64>() {
        Ok(v) if v <= i64::from(i32::MAX) => Ok(v),
        Ok(_) => Err(Bad::Field),
        Err(_) if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) => Err(Bad::Syntax),
        Err(_) => Err(Bad::Field),
    }
}

fn wide(s: &str, negative: bool) -> Result<i64, Bad> {
    if !s.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Bad::Syntax);
    }
    let v: i128 = s.parse().map_err(|_| Bad::Field)?;
    i64::try_from(if negative { -v } else { v }).map_err(|_| Bad::Field)
}

/// A clock reading; two fields are minutes and seconds where the declared fields say so.
fn interval_clock(text: &str, range: i32) -> Result<i64, Bad> {
    let v = clock(text)?;
    if range == 0x1800 && text.matches(':').count() == 1 && !text.contains('.') {
        Ok(v / 60)
    } else {
        Ok(v)
    }
}

struct Fields {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

fn fields(i: Interval) -> Fields {
    let m = i.micros;
    Fields {
        years: i64::from(i.months) / 12,
        months: i64::from(i.months) % 12,
        days: i64::from(i.days),
        hours: m / HOUR,
        minutes: m % HOUR / MINUTE,
        seconds: m % MINUTE / SECOND,
        micros: m % SECOND,
    }
}

/// Appends an interval.
pub fn format_interval(i: Interval, cx: &IoContext, out: &mut Vec<u8>) {
    let f = fields(i);
    match cx.interval_style {
        IntervalStyle::Postgres => postgres(&f, i.micros, out),
        IntervalStyle::PostgresVerbose => verbose(&f, out),
        IntervalStyle::SqlStandard => sql_standard(&f, i.micros, out),
        IntervalStyle::Iso8601 => iso_form(&f, out),
    }
}

fn clock_text(micros: i64, out: &mut Vec<u8>) {
    let m = micros.unsigned_abs();
    padded((m / HOUR as u64) as i64, 2, out);
    out.push(b':');
    padded((m / MINUTE as u64 % 60) as i64, 2, out);
    out.push(b':');
    padded((m / SECOND as u64 % 60) as i64, 2, out);
    fraction((m % SECOND as u64) as i64, out);
}

fn postgres(f: &Fields, micros: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut before_negative = false;
    for (v, name) in [(f.years, "year"), (f.months, "mon"), (f.days, "day")] {
        if v == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        // A positive field after a negative one needs its sign.
        if before_negative && v > 0 {
            out.push(b'+');
        }
        write_integer(v, out);
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        if v != 1 {
            out.push(b's');
        }
        before_negative = v < 0;
    }
    if out.len() == start || micros != 0 {
        if out.len() > start {
            out.push(b' ');
        }
        if micros < 0 {
            out.push(b'-');
        } else if before_negative {
            out.push(b'+');
        }
        clock_text(micros, out);
    }
}

fn verbose(f: &Fields, out: &mut Vec<u8>) {
    out.push(b'@');
    let mut ago = false;
    let mut zero = true;
    for (v, name) in [
        (f.years, "year"),
        (f.months, "mon"),
        (f.days, "day"),
        (f.hours, "hour"),
        (f.minutes, "min"),
    ] {
        if v == 0 {
            continue;
        }
        let mut v = v;
        if zero {
            ago = v < 0;
            v = v.abs();
        } else if ago {
            v = -v;
        }
        out.push(b' ');
        write_integer(v, out);
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        if v != 1 {
            out.push(b's');
        }
        zero = false;
    }
    if f.seconds != 0 || f.micros != 0 {
        let negative = f.seconds < 0 || f.micros < 0;
        out.push(b' ');
        if zero {
            ago = negative;
        } else if negative != ago {
            out.push(b'-');
        }
        write_integer(f.seconds.abs(), out);
        fraction(f.micros.abs(), out);
        out.extend_from_slice(if f.seconds.abs() == 1 && f.micros == 0 { b" sec" } else { b" secs" });
        zero = false;
    }
    if zero {
        out.extend_from_slice(b" 0");
    }
    if ago {
        out.extend_from_slice(b" ago");
    }
}

fn sql_standard(f: &Fields, micros: i64, out: &mut Vec<u8>) {
    let all = [f.years, f.months, f.days, f.hours, f.minutes, f.seconds, f.micros];
    let negative = all.iter().any(|v| *v < 0);
    let positive = all.iter().any(|v| *v > 0);
    let year_month = f.years != 0 || f.months != 0;
    let day_time = all[2..].iter().any(|v| *v != 0);
    let has_day = f.days != 0;
    if !negative && !positive {
        return out.push(b'0');
    }
    let standard = !(negative && positive || year_month && day_time);
    let time = |out: &mut Vec<u8>| {
        write_integer((micros.unsigned_abs() / HOUR as u64) as i64, out);
        let m = micros.unsigned_abs();
        out.push(b':');
        padded((m / MINUTE as u64 % 60) as i64, 2, out);
        out.push(b':');
        padded((m / SECOND as u64 % 60) as i64, 2, out);
        fraction((m % SECOND as u64) as i64, out);
    };
    if !standard {
        // Mixed signs or mixed classes: every part with its sign.
        let sign = |neg: bool, out: &mut Vec<u8>| out.push(if neg { b'-' } else { b'+' });
        sign(f.years < 0 || f.months < 0, out);
        write_integer(f.years.abs(), out);
        out.push(b'-');
        write_integer(f.months.abs(), out);
        out.push(b' ');
        sign(f.days < 0, out);
        write_integer(f.days.abs(), out);
        out.push(b' ');
        sign(micros < 0, out);
        time(out);
        return;
    }
    if negative {
        out.push(b'-');
    }
    if year_month {
        write_integer(f.years.abs(), out);
        out.push(b'-');
        write_integer(f.months.abs(), out);
    } else {
        if has_day {
            write_integer(f.days.abs(), out);
            out.push(b' ');
        }
        time(out);
    }
}

fn iso_form(f: &Fields, out: &mut Vec<u8>) {
    if [f.years, f.months, f.days, f.hours, f.minutes, f.seconds, f.micros]
        .iter()
        .all(|v| *v == 0)
    {
        return out.extend_from_slice(b"PT0S");
    }
    let part = |v: i64, letter: u8, out: &mut Vec<u8>| {
        if v != 0 {
            write_integer(v, out);
            out.push(letter);
        }
    };
    out.push(b'P');
    part(f.years, b'Y', out);
    part(f.months, b'M', out);
    part(f.days, b'D', out);
    if f.hours != 0 || f.minutes != 0 || f.seconds != 0 || f.micros != 0 {
        out.push(b'T');
    }
    part(f.hours, b'H', out);
    part(f.minutes, b'M', out);
    if f.seconds != 0 || f.micros != 0 {
        if f.seconds < 0 || f.micros < 0 {
            out.push(b'-');
        }
        write_integer(f.seconds.abs(), out);
        fraction(f.micros.abs(), out);
        out.push(b'S');
    }
}
