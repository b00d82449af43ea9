//! Text form of numeric: what `numeric_in` accepts and `numeric_out` prints.

use super::{MAX_INTEGER_DIGITS, MAX_SCALE, Numeric, Repr, overflow, pow10};
use crate::{Result, SqlError, SqlState};
use num_bigint::BigInt;
use num_traits::{Signed, Zero};

impl Numeric {
    /// Parses as `numeric_in`: optional blanks, sign, digits, point, exponent; NaN, inf, infinity in any case.
    ///
    /// Errors: 22P02 on bad syntax, 22003 beyond the format's limits.
    pub fn parse(s: &str) -> Result<Numeric> {
        let invalid = || {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input syntax for type numeric: \"{s}\""),
            )
        };
        let t = s.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b').as_bytes();
        let (negative, signed, body) = match t.first() {
            Some(b'-') => (true, true, &t[1..]),
            Some(b'+') => (false, true, &t[1..]),
            _ => (false, false, t),
        };
        if !body.first().is_some_and(|b| b.is_ascii_digit() || *b == b'.') {
            return if body.eq_ignore_ascii_case(b"nan") && !signed {
                Ok(Numeric::NAN)
            } else if body.eq_ignore_ascii_case(b"infinity") || body.eq_ignore_ascii_case(b"inf") {
                Ok(if negative { Numeric::NEG_INFINITY } else { Numeric::INFINITY })
            } else {
                Err(invalid())
            };
        }
        let end_int = body.iter().position(|b| !b.is_ascii_digit()).unwrap_or(body.len());
        let (int, mut rest) = body.split_at(end_int);
        let mut frac: &[u8] = &[];
        if let Some((b'.', after)) = rest.split_first() {
            let end = after.iter().position(|b| !b.is_ascii_digit()).unwrap_or(after.len());
            (frac, rest) = after.split_at(end);
        }
        if int.is_empty() && frac.is_empty() {
            return Err(invalid());
        }
        let mut exponent: i64 = 0;
        if let Some((b'e' | b'E', after)) = rest.split_first() {
            let (minus, digits) = match after.first() {
                Some(b'-') => (true, &after[1..]),
                Some(b'+') => (false, &after[1..]),
                _ => (false, after),
            };
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(invalid());
            }
            for d in digits {
                exponent = (exponent * 10 + i64::from(d - b'0')).min(1 << 40);
            }
            if minus {
                exponent = -exponent;
            }
            // PostgreSQL refuses exponents outside int/2 before looking at the digits.
            if exponent.abs() >= i64::from(i32::MAX / 2) {
                return Err(overflow());
            }
            rest = &[];
        }
        if !rest.is_empty() {
            return Err(invalid());
        }
        finish(negative, int, frac, exponent)
    }

    /// Appends the text form without allocating for small values.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::NaN => out.extend_from_slice(b"NaN"),
            Repr::Infinity => out.extend_from_slice(b"Infinity"),
            Repr::NegInfinity => out.extend_from_slice(b"-Infinity"),
            Repr::Small { unscaled, scale } => {
                let mut digits = [0u8; 20];
                let mut at = digits.len();
                let mut rest = unscaled.unsigned_abs();
                while rest > 0 {
                    at -= 1;
                    digits[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                write_digits(*unscaled < 0, &digits[at..], usize::from(*scale), out);
            }
            Repr::Big { unscaled, scale } => {
                let digits = unscaled.magnitude().to_str_radix(10);
                write_digits(unscaled.is_negative(), digits.as_bytes(), usize::from(*scale), out);
            }
        }
    }
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::with_capacity(24);
        self.write(&mut out);
        f.write_str(std::str::from_utf8(&out).map_err(|_| std::fmt::Error)?)
    }
}

fn finish(negative: bool, int: &[u8], frac: &[u8], exponent: i64) -> Result<Numeric> {
    let scale = frac.len() as i64 - exponent;
    if int.len() + frac.len() <= 18 && (0..=i64::from(MAX_SCALE)).contains(&scale) {
        let mut v: i64 = 0;
        for d in int.iter().chain(frac) {
            v = v * 10 + i64::from(d - b'0');
        }
        return Ok(Numeric(Repr::Small {
            unscaled: if negative { -v } else { v },
            scale: scale as u16,
        }));
    }
    let digits: Vec<u8> = int.iter().chain(frac).copied().collect();
    let first = digits.iter().position(|d| *d != b'0');
    // A value's digits, leading zeros left out, before the point.
    if first.is_some_and(|f| (digits.len() - f) as i64 - scale > MAX_INTEGER_DIGITS) {
        return Err(overflow());
    }
    let mut value = if first.is_none() {
        BigInt::zero()
    } else {
        BigInt::parse_bytes(&digits, 10).unwrap_or_default()
    };
    if negative {
        value = -value;
    }
    if scale < 0 {
        if !value.is_zero() {
            value *= pow10((-scale) as u32);
        }
        return Numeric::checked(value, 0);
    }
    if scale > i64::from(MAX_SCALE) {
        let drop = scale - i64::from(MAX_SCALE);
        let kept = if drop > digits.len() as i64 + 1 {
            BigInt::zero()
        } else {
            super::div_round(&value, &pow10(drop as u32))
        };
        return Numeric::checked(kept, MAX_SCALE as u16);
    }
    Numeric::checked(value, scale as u16)
}

/// Writes sign, integer part (at least one digit), point and `scale` fraction digits. `digits` has no leading zeros.
fn write_digits(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(if digits.is_empty() { b"0" } else { digits });
        return;
    }
    if digits.len() > scale {
        let (int, frac) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(int);
        out.push(b'.');
        out.extend_from_slice(frac);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}
