//! to_char of numbers.
//!
//! The number is first written plainly with the digits that the template has room for, then the template's marks take it digit by digit.

use super::figure::{Figure, Mark, SignPlace};
use super::picture::{Ordinal, ordinal_suffix};
use super::roman;
use curia_types::{Datum, Numeric, Result, SqlError, SqlState};

/// A number of any type.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Numeric(&'a Numeric),
}

/// 42601 for a template that cannot be, 22003 for a number that cannot be shifted or written in Roman digits.
pub(super) fn print(template: &str, value: Value<'_>) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::text(""));
    }
    let mut figure = Figure::parse(template)?;
    if figure.roman {
        return Ok(Datum::text(print_roman(&figure, value)?));
    }
    if figure.exponent {
        return Ok(Datum::text(with_exponent(&figure, value)?));
    }
    let plain = plain(&mut figure, value)?;
    let (negative, mut digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits.to_owned()),
        None => (false, plain),
    };
    let integer = digits.find('.').unwrap_or(digits.len());
    let leading = figure.before.saturating_sub(integer);
    if integer > figure.before {
        digits = format!("{}.{}", "#".repeat(figure.before), "#".repeat(figure.after));
    }
    Printer::new(&figure, negative, &digits, leading).run().map(Datum::text)
}

fn numeric_text(n: &Numeric) -> Result<String> {
    let mut out = Vec::new();
    n.write(&mut out);
    String::from_utf8(out).map_err(|e| SqlError::internal(e.to_string()))
}

/// The number as `-123.45`, with as many decimals as the template has; for floats no more than they are exact to.
fn plain(figure: &mut Figure, value: Value<'_>) -> Result<String> {
    let shift = figure.shift as u32;
    figure.before += figure.shift;
    let decimals = |integer: String, figure: &Figure| {
        if figure.after > 0 {
            format!("{integer}.{}", "0".repeat(figure.after))
        } else {
            integer
        }
    };
    Ok(match value {
        Value::Int4(n) if !figure.shifted => decimals(n.to_string(), figure),
        Value::Int4(n) => {
            // C's conversion of a power that is too large.
            let power = 10i32.checked_pow(shift).unwrap_or(i32::MIN);
            decimals(n.wrapping_mul(power).to_string(), figure)
        }
        Value::Int8(n) => {
            let out = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
            let power = 10i64.checked_pow(shift).ok_or_else(out)?;
            decimals(n.checked_mul(power).ok_or_else(out)?.to_string(), figure)
        }
        Value::Float4(f) => {
            let f = if figure.shifted { f * 10f64.powi(shift as i32) as f32 } else { f };
            float(figure, f64::from(f), 6)
        }
        Value::Float8(f) => {
            let f = if figure.shifted { f * 10f64.powi(shift as i32) } else { f };
            float(figure, f, 15)
        }
        Value::Numeric(n) => {
            let shifted;
            let n = if figure.shifted {
                let ten = Numeric::new(10, 0);
                shifted = n.mul(&ten.power(&Numeric::new(figure.shift as i64, 0))?)?;
                &shifted
            } else {
                n
            };
            numeric_text(&n.round(figure.after as i32)?)?
        }
    })
}

/// A float as C prints it, with at most `exact` digits in all.
fn float(figure: &mut Figure, f: f64, exact: usize) -> String {
    if f.is_finite() {
        let integer = format!("{:.0}", f.abs()).len();
        figure.after = figure.after.min(exact.saturating_sub(integer));
        return format!("{f:.*}", figure.after);
    }
    let text = if f.is_nan() { "NaN" } else { "Infinity" };
    figure.after = figure.after.min(exact.saturating_sub(text.len()));
    if f < 0.0 { format!("-{text}") } else { text.to_owned() }
}

fn print_roman(figure: &Figure, value: Value<'_>) -> Result<String> {
    // What has no Roman digits prints as `#`, but an integer or numeric beyond 32 bits is refused.
    let whole = |f: f64| {
        let f = f.round_ties_even();
        if f >= f64::from(i32::MIN) && f < -f64::from(i32::MIN) {
            f as i32
        } else {
            i32::MAX
        }
    };
    let n = match value {
        Value::Int4(n) => n,
        Value::Int8(n) => i32::try_from(n).map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?,
        Value::Float4(f) => whole(f.into()),
        Value::Float8(f) => whole(f),
        Value::Numeric(n) => n.round(0)?.to_i32()?,
    };
    let digits = roman::of_number(n);
    let mut text = String::new();
    for mark in &figure.marks {
        match mark {
            Mark::Roman { lower } => {
                let digits = if *lower { digits.to_ascii_lowercase() } else { digits.clone() };
                if !figure.fill {
                    text.extend(std::iter::repeat_n(' ', 15usize.saturating_sub(digits.len())));
                }
                text.push_str(&digits);
            }
            Mark::Comma | Mark::Group if !figure.fill => text.push(' '),
            Mark::Currency => text.push(' '),
            Mark::Minus | Mark::Plus if !figure.fill => text.push(' '),
            Mark::Text(c) => text.push(*c),
            _ => {}
        }
    }
    Ok(text)
}

/// EEEE
fn with_exponent(figure: &Figure, value: Value<'_>) -> Result<String> {
    let unknown = || {
        let mut text = vec![b'#'; figure.before + figure.after + 6];
        text[0] = b' ';
        text[figure.before + 1] = b'.';
        String::from_utf8_lossy(&text).into_owned()
    };
    let float = |f: f64| {
        if !f.is_finite() {
            return unknown();
        }
        let text = format!("{f:.*e}", figure.after.min(usize::from(u16::MAX)));
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let blank = if f.is_sign_negative() { "" } else { " " };
        format!("{blank}{digits}e{exponent:+03}")
    };
    Ok(match value {
        Value::Int4(n) => float(n.into()),
        Value::Float4(f) => float(f.into()),
        Value::Float8(f) => float(f),
        Value::Int8(n) => numeric_exponent(&Numeric::from_i128(n.into(), 0), figure.after)?,
        Value::Numeric(n) if n.is_nan() || n.is_infinite() => unknown(),
        Value::Numeric(n) => numeric_exponent(n, figure.after)?,
    })
}

fn numeric_exponent(n: &Numeric, decimals: usize) -> Result<String> {
    let Some((unscaled, scale)) = n.finite() else {
        return Ok(String::new());
    };
    let text = unscaled.to_string();
    let digits = text.trim_start_matches('-');
    let exponent = if n.is_zero() {
        0
    } else {
        digits.len() as i64 - 1 - i64::from(scale)
    };
    let ten = Numeric::new(10, 0);
    // Exact: the divisor is a power of ten.
    let significand = if exponent >= 0 {
        let divisor = ten.power(&Numeric::new(exponent, 0))?.round(0)?;
        divide(n, &divisor, decimals)?
    } else {
        n.mul(&ten.power(&Numeric::new(-exponent, 0))?.round(0)?)?.round(decimals as i32)?
    };
    let blank = if text.starts_with('-') { "" } else { " " };
    Ok(format!("{blank}{}e{exponent:+03}", numeric_text(&significand)?))
}

/// A quotient by a power of ten, rounded once.
fn divide(n: &Numeric, power: &Numeric, decimals: usize) -> Result<Numeric> {
    let (Some((unscaled, scale)), Some((divisor, _))) = (n.finite(), power.finite()) else {
        return Ok(Numeric::NAN);
    };
    let zeros = divisor.to_string().len() - 1;
    let text = unscaled.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("-", d));
    let places = zeros + usize::from(scale);
    // Longer than what a format's width may be.
    let padded = "0".repeat((places + 1).saturating_sub(digits.len())) + digits;
    let (integer, fraction) = padded.split_at(padded.len() - places);
    Numeric::parse(&format!("{sign}{integer}.{fraction}0"))?.round(decimals as i32)
}

/// Ends the text: no template and no number has it.
const END: char = '\0';

/// Takes a plain number into a template, mark by mark.
struct Printer<'a> {
    figure: &'a Figure,
    negative: bool,
    digits: &'a str,
    /// The next digit.
    at: usize,
    /// Positions of the template before the first digit.
    leading: usize,
    /// Position in the template, in digits.
    position: usize,
    sign_written: bool,
    /// A digit was written at the last position.
    in_number: bool,
    /// With FM: the last digit that is not an idle zero after the point.
    last_relevant: Option<usize>,
    /// Digits in all.
    count: i64,
    sign: Option<SignPlace>,
    bracket: bool,
    out: String,
}

impl<'a> Printer<'a> {
    fn new(figure: &'a Figure, negative: bool, digits: &'a str, leading: usize) -> Printer<'a> {
        let signs = figure.plus || figure.minus;
        let sign_written = if signs {
            figure.minus
        } else {
            !negative && figure.fill && figure.sign.is_none()
        };
        let bracket = figure.bracket && (signs || negative || !figure.fill);
        let sign = match figure.sign {
            Some(SignPlace::Before) if !signs && figure.before == figure.before_sign => Some(SignPlace::After),
            sign => sign,
        };
        let mut last_relevant = None;
        if figure.fill
            && figure.point
            && let Some(point) = digits.find('.')
        {
            let mut last = digits.rfind(|c| c != '0').unwrap_or(point).max(point);
            if figure.zero_end > leading {
                last = last.max((digits.len() - 1).min(figure.zero_end - leading));
            }
            last_relevant = Some(last);
        }
        let count = (figure.before + figure.after) as i64 - 1 + i64::from(!sign_written && leading == 0);
        Printer {
            figure,
            negative,
            digits,
            at: 0,
            leading,
            position: 0,
            sign_written,
            in_number: false,
            last_relevant,
            count,
            sign,
            bracket,
            out: String::new(),
        }
    }

    fn run(mut self) -> Result<String> {
        let fill = self.figure.fill;
        for mark in &self.figure.marks {
            match mark {
                Mark::Nine | Mark::Zero | Mark::Point => self.digit(*mark),
                Mark::Comma | Mark::Group => match (self.in_number, fill) {
                    (true, _) => self.out.push(','),
                    (false, true) => {}
                    (false, false) => self.out.push(' '),
                },
                // The C locale has no currency.
                Mark::Currency => self.out.push(' '),
                Mark::Ordinal(ordinal) => self.ordinal(*ordinal)?,
                Mark::Minus | Mark::Plus => match (*mark == Mark::Minus) == self.negative {
                    true => self.out.push(if self.negative { '-' } else { '+' }),
                    false if fill => {}
                    false => self.out.push(' '),
                },
                Mark::PlusMinus => self.out.push(if self.negative { '-' } else { '+' }),
                Mark::Text(c) => self.out.push(*c),
                Mark::Blank
                | Mark::Exponent
                | Mark::Fill
                | Mark::Bracket
                | Mark::Roman { .. }
                | Mark::Sign
                | Mark::Shift
                | Mark::Nothing => {}
            }
        }
        if let Some(end) = self.out.find(END) {
            self.out.truncate(end);
        }
        Ok(self.out)
    }

    fn ordinal(&mut self, ordinal: Ordinal) -> Result<()> {
        if !self.digits.starts_with('#') && !self.negative && !self.figure.point {
            self.out.push_str(ordinal_suffix(self.digits, ordinal)?);
        }
        Ok(())
    }

    /// `9.9` leaves the zero of `0.1` out.
    fn at_idle_zero(&self) -> bool {
        self.figure.zero_start.is_none() && self.at == 0 && self.digits.starts_with('0') && self.figure.after != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|l| self.digits.as_bytes()[l] == b'.')
    }

    fn write_sign(&mut self) {
        match self.sign {
            Some(SignPlace::After) => return,
            Some(SignPlace::Before) => self.out.push(if self.negative { '-' } else { '+' }),
            None if self.bracket => self.out.push(if self.negative { '<' } else { ' ' }),
            None if self.negative => self.out.push('-'),
            None if !self.figure.fill => self.out.push(' '),
            None => {}
        }
        self.sign_written = true;
    }

    fn digit(&mut self, mark: Mark) {
        self.in_number = false;
        let zeros_from_here = self.figure.zero_start.is_some_and(|z| z <= self.position);
        let number_starts = self.position >= self.leading || self.figure.zero_start == Some(self.position);
        if !self.sign_written && number_starts && (!self.at_idle_zero() || self.ends_at_point()) {
            self.write_sign();
        }
        let byte = self.digits.as_bytes().get(self.at).copied();
        if self.position < self.leading {
            if zeros_from_here {
                self.out.push('0');
                self.in_number = true;
            } else if !self.figure.fill {
                self.out.push(' ');
            }
        } else {
            match byte {
                Some(b'.') => {
                    if !self.ends_at_point() || self.figure.fill {
                        self.out.push('.');
                    }
                }
                _ if self.last_relevant.is_some_and(|l| self.at > l) && mark != Mark::Zero => {}
                _ if self.at_idle_zero() => {
                    if !self.figure.fill {
                        self.out.push(' ');
                    } else if self.ends_at_point() {
                        self.out.push('0');
                    }
                }
                Some(digit) => {
                    self.out.push(char::from(digit));
                    self.in_number = true;
                }
                // Past the end of a float cut short, PostgreSQL's text ends here, whatever the marks after it write.
                None => {
                    self.out.push(END);
                    self.in_number = true;
                }
            }
            self.at = (self.at + 1).min(self.digits.len());
        }
        let mut end = self.count + i64::from(self.leading > 0) + i64::from(self.figure.point);
        if self.last_relevant == Some(self.at) {
            end = self.position as i64;
        }
        if self.position as i64 + 1 == end {
            if self.sign_written && self.bracket {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.sign == Some(SignPlace::After) {
                self.out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.position += 1;
    }
}
