//! Bit strings: bit(n) and bit varying(n).

use crate::{PgType, Result, SqlError, SqlState, oid};
use std::cmp::Ordering;

/// A string of bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Bits {
    /// Number of bits.
    len: usize,
    /// The bits, the first one highest in the first byte; what is left of the last byte is zero.
    bytes: Vec<u8>,
}

/// Most bits of one value (VARBITMAXLEN).
const MAX_BITS: usize = i32::MAX as usize - 8;

impl Bits {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Bits {
        Bits {
            len,
            bytes: vec![0; len.div_ceil(8)],
        }
    }
    /// From bytes; those beyond `len` bits are cut or, when missing, zero.
    pub fn from_bytes(len: usize, bytes: &[u8]) -> Bits {
        let mut bits = Bits {
            len,
            bytes: bytes[..bytes.len().min(len.div_ceil(8))].to_vec(),
        };
        bits.bytes.resize(len.div_ceil(8), 0);
        bits.clean();
        bits
    }
    fn clean(&mut self) {
        if !self.len.is_multiple_of(8)
            && let Some(last) = self.bytes.last_mut()
        {
            *last &= 0xff << (8 - self.len % 8);
        }
    }
    /// From a sequence of bits.
    pub fn of(bits: impl IntoIterator<Item = bool>) -> Bits {
        let mut out = Bits::default();
        for bit in bits {
            if out.len.is_multiple_of(8) {
                out.bytes.push(0);
            }
            out.len += 1;
            out.set(out.len - 1, bit);
        }
        out
    }
    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there is no bit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The bits in bytes, the last one filled up with zeros.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// The bit at a place from 0; false beyond the end.
    pub fn get(&self, at: usize) -> bool {
        at < self.len && self.bytes[at / 8] >> (7 - at % 8) & 1 == 1
    }
    /// Sets the bit at a place below `len`.
    pub fn set(&mut self, at: usize, bit: bool) {
        let mask = 1 << (7 - at % 8);
        if bit {
            self.bytes[at / 8] |= mask;
        } else {
            self.bytes[at / 8] &= !mask;
        }
    }
    /// All bits.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|at| self.get(at))
    }
    /// Cut or filled up with zeros at the end.
    pub fn resized(&self, len: usize) -> Bits {
        Bits::from_bytes(len, &self.bytes)
    }
    /// From place `from` on, at most `len` bits.
    pub fn slice(&self, from: usize, len: usize) -> Bits {
        Bits::of(self.iter().skip(from).take(len))
    }
    /// One after the other.
    pub fn concat(&self, other: &Bits) -> Bits {
        Bits::of(self.iter().chain(other.iter()))
    }
    /// Bit by bit with another of the same length.
    pub fn zip(&self, other: &Bits, f: impl Fn(u8, u8) -> u8) -> Bits {
        let mut bits = Bits {
            len: self.len,
            bytes: self.bytes.iter().zip(&other.bytes).map(|(a, b)| f(*a, *b)).collect(),
        };
        bits.clean();
        bits
    }
    /// Each bit flipped.
    pub fn not(&self) -> Bits {
        self.zip(self, |a, _| !a)
    }
    /// Moved towards the start (`by` > 0) or the end, zeros following.
    pub fn shifted(&self, by: i64) -> Bits {
        Bits::of((0..self.len as i64).map(|at| usize::try_from(at + by).is_ok_and(|from| self.get(from))))
    }
    /// The bits of an integer's lowest `len` places, the sign repeated in front.
    pub fn of_integer(value: i64, len: usize) -> Bits {
        Bits::of((0..len).rev().map(|place| value >> place.min(63) & 1 == 1))
    }

    /// Reads `0101`, `B'..'` without its quotes as `b0101`, or `x1F`. 22P02 on other digits, 54000 when too long.
    pub fn parse(s: &str) -> Result<Bits> {
        let (hex, digits) = match s.as_bytes().first() {
            Some(b'b' | b'B') => (false, &s[1..]),
            Some(b'x' | b'X') => (true, &s[1..]),
            _ => (false, s),
        };
        let bad = |c: char| {
            let kind = if hex { "hexadecimal" } else { "binary" };
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("\"{c}\" is not a valid {kind} digit"),
            )
        };
        if digits.len() > MAX_BITS / if hex { 4 } else { 1 } {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("bit string length exceeds the maximum allowed ({MAX_BITS})"),
            ));
        }
        let mut values = Vec::with_capacity(digits.len());
        for c in digits.chars() {
            values.push(c.to_digit(if hex { 16 } else { 2 }).ok_or_else(|| bad(c))?);
        }
        let width = if hex { 4 } else { 1 };
        Ok(Bits::of(
            values.into_iter().flat_map(|v| (0..width).rev().map(move |p| v >> p & 1 == 1)),
        ))
    }
    /// Appends the digits.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.iter().map(|bit| if bit { b'1' } else { b'0' }));
    }

    /// Makes the value fit bit(n) or bit varying(n). 22026, 22001.
    pub fn coerce(&self, ty: PgType, explicit: bool) -> Result<Bits> {
        let n = usize::try_from(ty.typmod).unwrap_or(self.len);
        if ty.oid == oid::BIT {
            if self.len == n || explicit {
                return Ok(self.resized(n));
            }
            return Err(SqlError::new(
                SqlState::new("22026"),
                format!("bit string length {} does not match type bit({n})", self.len),
            ));
        }
        if self.len <= n {
            return Ok(self.clone());
        }
        if explicit {
            return Ok(self.resized(n));
        }
        Err(SqlError::new(
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            format!("bit string too long for type bit varying({n})"),
        ))
    }
}

/// By bytes, then by length (`bit_cmp`).
impl Ord for Bits {
    fn cmp(&self, other: &Bits) -> Ordering {
        let common = self.bytes.len().min(other.bytes.len());
        self.bytes[..common].cmp(&other.bytes[..common]).then(self.len.cmp(&other.len))
    }
}
impl PartialOrd for Bits {
    fn partial_cmp(&self, other: &Bits) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bits: &Bits) -> String {
        let mut out = Vec::new();
        bits.write(&mut out);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn bits_read_and_shift_and_cut_as_postgres_does() {
        let bits = Bits::parse("x1F").expect("hex");
        assert_eq!(shown(&bits), "00011111");
        assert_eq!(shown(&bits.shifted(3)), "11111000");
        assert_eq!(shown(&bits.shifted(-3)), "00000011");
        assert_eq!(shown(&bits.resized(5)), "00011");
        assert_eq!(shown(&bits.resized(10)), "0001111100");
        assert_eq!(shown(&Bits::of_integer(-2, 5)), "11110");
        assert!(Bits::parse("012").is_err());
        assert!(Bits::parse("01").expect("bits") < Bits::parse("010").expect("bits"));
    }
}
