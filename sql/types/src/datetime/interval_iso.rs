//! Intervals in ISO 8601's forms: `P1Y2M3W4DT5H6M7.5S`, and the alternative ones, `P00010203T040506` and `P0001-02-03T04:05:06`
//! (`DecodeISO8601Interval`).

use super::interval_text::{Sum, Unit};
use super::parse::Bad;

struct Reader<'a> {
    rest: &'a str,
}

/// A number as it stands: digits before any point, whole part, fraction.
struct Number {
    width: usize,
    whole: i64,
    fraction: f64,
}

impl Reader<'_> {
    fn number(&mut self) -> Result<Number, Bad> {
        let bytes = self.rest.as_bytes();
        if !bytes.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.')) {
            return Err(Bad::Syntax);
        }
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let sign = usize::from(bytes[0] == b'-');
        let width = digits(sign);
        let mut end = sign + width;
        let mut seen = width;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            seen += fraction;
            end += 1 + fraction;
        }
        if seen == 0 {
            return Err(Bad::Syntax);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            let exponent = digits((end + 1 + sign).min(bytes.len()));
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let value: f64 = self.rest[..end].parse().map_err(|_| Bad::Syntax)?;
        self.rest = &self.rest[end..];
        if value.abs() > 1.0e15 {
            return Err(Bad::Interval);
        }
        Ok(Number {
            width,
            whole: value.trunc() as i64,
            fraction: value - value.trunc(),
        })
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

pub(super) fn parse(s: &str) -> Result<Sum, Bad> {
    let mut input = Reader {
        rest: s.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Bad::Syntax)?,
    };
    let mut sum = Sum::default();
    let (mut time, mut any) = (false, false);
    while !input.rest.is_empty() {
        if let Some(rest) = input.rest.strip_prefix('T') {
            (time, any) = (true, false);
            input.rest = rest;
            continue;
        }
        let n = input.number()?;
        let letter = input.next();
        let unit = match (time, letter) {
            (false, Some('Y')) => Unit::Year,
            (false, Some('M')) => Unit::Month,
            (false, Some('W')) => Unit::Week,
            (false, Some('D')) => Unit::Day,
            (true, Some('H')) => Unit::Hour,
            (true, Some('M')) => Unit::Minute,
            (true, Some('S')) => Unit::Second,
            (false, Some('T' | '-') | None) => {
                date(&mut input, &mut sum, &n, letter, any)?;
                (time, any) = (true, false);
                continue;
            }
            (true, Some(':') | None) => {
                clock(&mut input, &mut sum, &n, letter, any)?;
                continue;
            }
            _ => return Err(Bad::Syntax),
        };
        add(&mut sum, unit, n.whole, n.fraction)?;
        any = true;
    }
    Ok(sum)
}

fn add(sum: &mut Sum, unit: Unit, whole: i64, fraction: f64) -> Result<(), Bad> {
    sum.add(unit, whole, fraction).ok_or(Bad::Interval)
}

/// `yyyymmdd`, or `y-m-d` with parts missing at the end; what comes after is a time.
fn date(input: &mut Reader<'_>, sum: &mut Sum, n: &Number, letter: Option<char>, any: bool) -> Result<(), Bad> {
    if n.width == 8 && !any && letter != Some('-') {
        add(sum, Unit::Year, n.whole / 10_000, 0.0)?;
        add(sum, Unit::Month, n.whole / 100 % 100, 0.0)?;
        return add(sum, Unit::Day, n.whole % 100, n.fraction);
    }
    if any {
        return Err(Bad::Syntax);
    }
    add(sum, Unit::Year, n.whole, n.fraction)?;
    if letter != Some('-') {
        return Ok(());
    }
    for unit in [Unit::Month, Unit::Day] {
        let n = input.number()?;
        add(sum, unit, n.whole, n.fraction)?;
        match (input.next(), unit) {
            (None | Some('T'), _) => return Ok(()),
            (Some('-'), Unit::Month) => {}
            _ => return Err(Bad::Syntax),
        }
    }
    Ok(())
}

/// `hhmmss`, or `h:m:s` with parts missing at the end; nothing comes after.
fn clock(input: &mut Reader<'_>, sum: &mut Sum, n: &Number, letter: Option<char>, any: bool) -> Result<(), Bad> {
    if n.width == 6 && !any && letter.is_none() {
        add(sum, Unit::Hour, n.whole / 10_000, 0.0)?;
        add(sum, Unit::Minute, n.whole / 100 % 100, 0.0)?;
        return add(sum, Unit::Second, n.whole % 100, n.fraction);
    }
    if any {
        return Err(Bad::Syntax);
    }
    add(sum, Unit::Hour, n.whole, n.fraction)?;
    if letter.is_none() {
        return Ok(());
    }
    for unit in [Unit::Minute, Unit::Second] {
        let n = input.number()?;
        add(sum, unit, n.whole, n.fraction)?;
        match (input.next(), unit) {
            (None, _) => return Ok(()),
            (Some(':'), Unit::Minute) => {}
            _ => return Err(Bad::Syntax),
        }
    }
    Ok(())
}
