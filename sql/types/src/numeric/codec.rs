//! Byte forms of numeric.
//!
//! **Key** (order-preserving, canonical, prefix-free: 1.0 and 1.00 have one key):
//! ```text
//! 0x00                          -Infinity
//! 0x10 !exponent !pairs 0xff    negative: every byte after the first is complemented
//! 0x20                          zero
//! 0x30  exponent  pairs 0x00    positive: 0.d1d2d3.. * 10^e; exponent = e + 2^20, three bytes big-endian;
//!                               pairs: bytes 1 + (d1 d2 as 0..=99), trailing zeros left out
//! 0x40                          Infinity
//! 0x50                          NaN
//! ```
//! **Arrow** form: the key, then the display scale as two bytes big-endian. **Wire** form: PostgreSQL's `numeric_send`, base 10000.

use super::{MAX_SCALE, Numeric, Repr, pow10};
use crate::{Result, SqlError, SqlState};
use num_bigint::BigInt;
use num_traits::{Signed, Zero};

const NEG_INFINITY: u8 = 0x00;
const NEGATIVE: u8 = 0x10;
const ZERO: u8 = 0x20;
const POSITIVE: u8 = 0x30;
const INFINITY: u8 = 0x40;
const NAN: u8 = 0x50;
const EXPONENT_BIAS: i64 = 1 << 20;

fn corrupt() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "invalid stored numeric")
}

impl Numeric {
    /// Decimal digits of the absolute unscaled value, without leading zeros.
    fn digits<'a>(&self, buffer: &'a mut [u8; 20], owned: &'a mut String) -> &'a [u8] {
        match &self.0 {
            Repr::Small { unscaled, .. } => {
                let mut at = buffer.len();
                let mut rest = unscaled.unsigned_abs();
                while rest > 0 {
                    at -= 1;
                    buffer[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                &buffer[at..]
            }
            Repr::Big { unscaled, .. } => {
                *owned = unscaled.magnitude().to_str_radix(10);
                owned.as_bytes()
            }
            _ => &[],
        }
    }

    /// Appends the order-preserving key.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::NaN => out.push(NAN),
            Repr::Infinity => out.push(INFINITY),
            Repr::NegInfinity => out.push(NEG_INFINITY),
            _ if self.is_zero() => out.push(ZERO),
            _ => {
                let (mut buffer, mut owned) = ([0; 20], String::new());
                let digits = self.digits(&mut buffer, &mut owned);
                let exponent = digits.len() as i64 - i64::from(self.scale().unwrap_or(0)) + EXPONENT_BIAS;
                let used = digits.iter().rposition(|d| *d != b'0').map_or(0, |p| p + 1);
                let flip = if self.signum() < 0 { 0xff } else { 0 };
                out.push(if flip == 0 { POSITIVE } else { NEGATIVE });
                out.extend((exponent as u32).to_be_bytes()[1..].iter().map(|b| b ^ flip));
                for pair in digits[..used].chunks(2) {
                    let v = (pair[0] - b'0') * 10 + pair.get(1).map_or(0, |d| d - b'0');
                    out.push((v + 1) ^ flip);
                }
                out.push(flip);
            }
        }
    }

    /// The order-preserving key.
    pub fn key_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        self.write_key(&mut out);
        out
    }

    /// Reads a key from the front of `bytes`: the value with the fewest fraction digits, and the key's length. XX001 on damage.
    pub fn from_key(bytes: &[u8]) -> Result<(Numeric, usize)> {
        let (class, rest) = bytes.split_first().ok_or_else(corrupt)?;
        let flip = match *class {
            NAN => return Ok((Numeric::NAN, 1)),
            INFINITY => return Ok((Numeric::INFINITY, 1)),
            NEG_INFINITY => return Ok((Numeric::NEG_INFINITY, 1)),
            ZERO => return Ok((Numeric::ZERO, 1)),
            POSITIVE => 0,
            NEGATIVE => 0xff,
            _ => return Err(corrupt()),
        };
        let head = rest.get(..3).ok_or_else(corrupt)?;
        let exponent = i64::from(u32::from_be_bytes([0, head[0] ^ flip, head[1] ^ flip, head[2] ^ flip])) - EXPONENT_BIAS;
        let tail = &rest[3..];
        let end = tail.iter().position(|b| b ^ flip == 0).ok_or_else(corrupt)?;
        if end == 0 || end > 75_000 {
            return Err(corrupt());
        }
        let mut digits = Vec::with_capacity(end * 2);
        for b in &tail[..end] {
            let v = (b ^ flip) - 1;
            if v > 99 {
                return Err(corrupt());
            }
            digits.extend([b'0' + v / 10, b'0' + v % 10]);
        }
        if digits.last() == Some(&b'0') {
            digits.pop();
        }
        let scale = digits.len() as i64 - exponent;
        let mut value = match (digits.len() <= 18).then(|| digits.iter().fold(0i64, |v, d| v * 10 + i64::from(d - b'0'))) {
            Some(v) if (0..=i64::from(MAX_SCALE)).contains(&scale) => {
                return Ok((Numeric::new(if flip == 0 { v } else { -v }, scale as u16), 4 + end + 1));
            }
            Some(v) => BigInt::from(v),
            None => BigInt::parse_bytes(&digits, 10).ok_or_else(corrupt)?,
        };
        if flip != 0 {
            value = -value;
        }
        if scale > i64::from(MAX_SCALE) || -scale > super::MAX_INTEGER_DIGITS {
            return Err(corrupt());
        }
        let n = if scale < 0 {
            Numeric::from_big(value * pow10((-scale) as u32), 0)
        } else {
            Numeric::from_big(value, scale as u16)
        };
        Ok((n, 4 + end + 1))
    }

    /// The same value printed with `scale` fraction digits (at least as many as it needs).
    #[must_use]
    pub fn with_scale(self, scale: u16) -> Numeric {
        match self.scale() {
            Some(s) if s < scale => match self
                .small()
                .and_then(|(n, _)| 10i64.checked_pow(u32::from(scale - s)).and_then(|p| n.checked_mul(p)))
            {
                Some(n) => Numeric::new(n, scale),
                None => match self.finite() {
                    Some((n, s)) => Numeric::from_big(n * pow10(u32::from(scale - s)), scale),
                    None => self,
                },
            },
            _ => self,
        }
    }

    /// Appends PostgreSQL's binary form.
    pub fn write_wire(&self, out: &mut Vec<u8>) {
        let header = |out: &mut Vec<u8>, n: u16, weight: i16, sign: u16, scale: u16| {
            out.extend_from_slice(&n.to_be_bytes());
            out.extend_from_slice(&weight.to_be_bytes());
            out.extend_from_slice(&sign.to_be_bytes());
            out.extend_from_slice(&scale.to_be_bytes());
        };
        let Some(scale) = self.scale() else {
            let sign = if self.is_nan() {
                0xC000
            } else if self.signum() > 0 {
                0xD000
            } else {
                0xF000
            };
            return header(out, 0, 0, sign, 0);
        };
        if self.is_zero() {
            return header(out, 0, 0, 0, scale);
        }
        let (mut buffer, mut owned) = ([0; 20], String::new());
        let digits = self.digits(&mut buffer, &mut owned);
        let exponent = self.decimal_exponent();
        let weight = exponent.div_euclid(4);
        // Zeros that complete the first group of four.
        let lead = 3 - exponent.rem_euclid(4) as usize;
        let at = |i: usize| -> u16 {
            if i < lead {
                0
            } else {
                digits.get(i - lead).map_or(0, |d| u16::from(d - b'0'))
            }
        };
        let mut groups: Vec<u16> = (0..(lead + digits.len()).div_ceil(4))
            .map(|g| (0..4).fold(0, |v, i| v * 10 + at(g * 4 + i)))
            .collect();
        while groups.last() == Some(&0) {
            groups.pop();
        }
        header(
            out,
            groups.len() as u16,
            weight as i16,
            if self.signum() < 0 { 0x4000 } else { 0 },
            scale,
        );
        for g in groups {
            out.extend_from_slice(&g.to_be_bytes());
        }
    }

    /// Reads PostgreSQL's binary form. 22P03 on anything `numeric_recv` refuses.
    pub fn from_wire(bytes: &[u8]) -> Result<Numeric> {
        let invalid = |m: &str| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, m);
        let word = |i: usize| -> Result<u16> {
            let b = bytes
                .get(i * 2..i * 2 + 2)
                .ok_or_else(|| SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"))?;
            Ok(u16::from_be_bytes([b[0], b[1]]))
        };
        let (count, weight, sign, scale) = (word(0)?, word(1)? as i16, word(2)?, word(3)?);
        match sign {
            0 | 0x4000 => {}
            0xC000 => return Ok(Numeric::NAN),
            0xD000 => return Ok(Numeric::INFINITY),
            0xF000 => return Ok(Numeric::NEG_INFINITY),
            _ => return Err(invalid("invalid sign in external \"numeric\" value")),
        }
        if scale > MAX_SCALE as u16 {
            return Err(invalid("invalid scale in external \"numeric\" value"));
        }
        let mut text = Vec::with_capacity(usize::from(count) * 4);
        for i in 0..usize::from(count) {
            let d = word(4 + i)?;
            if d > 9999 {
                return Err(invalid("invalid digit in external \"numeric\" value"));
            }
            text.extend([
                b'0' + (d / 1000) as u8,
                b'0' + (d / 100 % 10) as u8,
                b'0' + (d / 10 % 10) as u8,
                b'0' + (d % 10) as u8,
            ]);
        }
        if bytes.len() != 8 + usize::from(count) * 2 {
            return Err(invalid("incorrect binary data format"));
        }
        let mut value = if text.is_empty() {
            BigInt::zero()
        } else {
            BigInt::parse_bytes(&text, 10).unwrap_or_default()
        };
        if sign == 0x4000 {
            value = -value;
        }
        // The last group stands for 10000^(weight - count + 1).
        let have = (i64::from(count) - 1 - i64::from(weight)) * 4;
        let want = i64::from(scale);
        let value = if value.is_zero() {
            value
        } else if want >= have {
            value * pow10((want - have) as u32)
        } else {
            // Digits beyond the display scale are truncated, as numeric_recv does.
            value / pow10((have - want) as u32)
        };
        Numeric::checked(value, scale)
    }
}

/// Appends the Arrow form: key and display scale.
pub fn arrow_bytes(n: &Numeric, out: &mut Vec<u8>) {
    n.write_key(out);
    out.extend_from_slice(&n.scale().unwrap_or(0).to_be_bytes());
}

/// Reads the Arrow form. XX001 on damage.
pub fn from_arrow_bytes(bytes: &[u8]) -> Result<Numeric> {
    let at = bytes.len().checked_sub(2).ok_or_else(corrupt)?;
    let (n, used) = Numeric::from_key(bytes)?;
    if used != at {
        return Err(corrupt());
    }
    Ok(n.with_scale(u16::from_be_bytes([bytes[at], bytes[at + 1]])))
}

/// The part of the Arrow form that orders and identifies the value.
pub fn numeric_key(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().saturating_sub(2)]
}

impl Numeric {
    /// Whether the unscaled part is negative (helps codecs outside).
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small { unscaled, .. } => *unscaled < 0,
            Repr::Big { unscaled, .. } => unscaled.is_negative(),
            Repr::NegInfinity => true,
            _ => false,
        }
    }
}
