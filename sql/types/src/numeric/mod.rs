//! numeric: an exact decimal with its display scale, as PostgreSQL's `numeric` (up to 131072 digits before the point, 16383 after).
//!
//! A finite value is `unscaled * 10^-scale`. Values whose unscaled part fits an `i64` are kept inline and computed in `i128`;
//! everything else is a boxed big integer. The split is canonical (small whenever it fits), so structural equality is
//! "same value, same display scale"; SQL comparison is [`Numeric::compare`].
//!
//! `text` parses and formats, `arith` has the exact operators with the scales PostgreSQL gives their results, `transcendental` sqrt,
//! exp, ln, log and power, `convert` other number types and typmods, `codec` the wire format, the order-preserving key and the Arrow form.

mod arith;
mod codec;
mod convert;
mod text;
mod transcendental;

use crate::{Result, SqlError, SqlState};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

pub use codec::{arrow_bytes, from_arrow_bytes, numeric_key};
pub use convert::{NumericSum, precision_and_scale};

/// Most digits before the decimal point (`(NUMERIC_WEIGHT_MAX + 1) * DEC_DIGITS` in PostgreSQL).
pub const MAX_INTEGER_DIGITS: i64 = 131_072;
/// Largest display scale of a stored value.
pub const MAX_SCALE: i32 = 16_383;
/// Largest precision and display scale that PostgreSQL chooses or lets be declared.
pub const MAX_PRECISION: i32 = 1000;

/// A numeric value.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeric(Repr);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Repr {
    NaN,
    Infinity,
    NegInfinity,
    /// `unscaled * 10^-scale`
    Small {
        unscaled: i64,
        scale: u16,
    },
    /// The same, when `unscaled` does not fit an `i64`.
    Big {
        unscaled: Box<BigInt>,
        scale: u16,
    },
}

/// Ten to the `n`.
pub(crate) fn pow10(n: u32) -> BigInt {
    match 10u64.checked_pow(n) {
        Some(p) => BigInt::from(p),
        None => BigInt::from(10u8).pow(n),
    }
}

/// Ten to the `n` where it fits.
pub(crate) fn pow10_i128(n: u32) -> Option<i128> {
    10i128.checked_pow(n)
}

pub(crate) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// Number of decimal digits of a non-negative integer; 1 for zero.
fn decimal_digits(v: &BigInt) -> i64 {
    if let Some(small) = v.to_u128() {
        return small.checked_ilog10().map_or(1, |d| i64::from(d) + 1);
    }
    // log10(2) bounds the answer to within one of the bit length.
    let guess = ((v.bits() - 1) as f64 * std::f64::consts::LOG10_2) as i64;
    let mut digits = guess.max(1);
    while pow10(digits as u32) <= *v {
        digits += 1;
    }
    digits
}

impl Numeric {
    /// NaN, equal to itself and larger than every other value.
    pub const NAN: Numeric = Numeric(Repr::NaN);
    /// Infinity.
    pub const INFINITY: Numeric = Numeric(Repr::Infinity);
    /// -Infinity.
    pub const NEG_INFINITY: Numeric = Numeric(Repr::NegInfinity);
    /// Zero with display scale 0.
    pub const ZERO: Numeric = Numeric(Repr::Small { unscaled: 0, scale: 0 });
    /// One with display scale 0.
    pub const ONE: Numeric = Numeric(Repr::Small { unscaled: 1, scale: 0 });

    /// `unscaled * 10^-scale`, within an `i64`.
    pub const fn new(unscaled: i64, scale: u16) -> Numeric {
        Numeric(Repr::Small { unscaled, scale })
    }
    /// `unscaled * 10^-scale`.
    pub fn from_i128(unscaled: i128, scale: u16) -> Numeric {
        match i64::try_from(unscaled) {
            Ok(unscaled) => Numeric(Repr::Small { unscaled, scale }),
            Err(_) => Numeric(Repr::Big {
                unscaled: Box::new(BigInt::from(unscaled)),
                scale,
            }),
        }
    }
    /// `unscaled * 10^-scale`, unchecked against the format's limits.
    pub(crate) fn from_big(unscaled: BigInt, scale: u16) -> Numeric {
        match unscaled.to_i64() {
            Some(unscaled) => Numeric(Repr::Small { unscaled, scale }),
            None => Numeric(Repr::Big {
                unscaled: Box::new(unscaled),
                scale,
            }),
        }
    }
    /// The same, 22003 when it has more integer digits than the format holds.
    pub(crate) fn checked(unscaled: BigInt, scale: u16) -> Result<Numeric> {
        let n = Numeric::from_big(unscaled, scale);
        if let Repr::Big { unscaled, scale } = &n.0
            && unscaled.bits() > 400_000
            && decimal_digits(&unscaled.abs()) - i64::from(*scale) > MAX_INTEGER_DIGITS
        {
            return Err(overflow());
        }
        Ok(n)
    }
    pub(crate) fn repr(&self) -> &Repr {
        &self.0
    }
    /// The unscaled part and scale as an `i64` where that is how it is kept: the fast path of operators.
    pub fn small(&self) -> Option<(i64, u16)> {
        match self.0 {
            Repr::Small { unscaled, scale } => Some((unscaled, scale)),
            _ => None,
        }
    }
    /// The unscaled part and display scale; `None` for NaN and infinities.
    pub fn finite(&self) -> Option<(BigInt, u16)> {
        match &self.0 {
            Repr::Small { unscaled, scale } => Some((BigInt::from(*unscaled), *scale)),
            Repr::Big { unscaled, scale } => Some(((**unscaled).clone(), *scale)),
            _ => None,
        }
    }
    /// Display scale; `None` for NaN and infinities.
    pub fn scale(&self) -> Option<u16> {
        match &self.0 {
            Repr::Small { scale, .. } | Repr::Big { scale, .. } => Some(*scale),
            _ => None,
        }
    }
    /// Whether it is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NaN)
    }
    /// Whether it is Infinity or -Infinity.
    pub fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::Infinity | Repr::NegInfinity)
    }
    /// Whether it is zero of any scale.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { unscaled: 0, .. })
    }
    /// -1, 0 or 1; NaN counts as 1.
    pub fn signum(&self) -> i32 {
        match &self.0 {
            Repr::NaN | Repr::Infinity => 1,
            Repr::NegInfinity => -1,
            Repr::Small { unscaled, .. } => unscaled.signum() as i32,
            Repr::Big { unscaled, .. } => {
                if unscaled.is_negative() {
                    -1
                } else {
                    1
                }
            }
        }
    }

    /// SQL order: -Infinity, finite by value, Infinity, NaN; scale does not matter.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        use Repr::{Infinity, NaN, NegInfinity, Small};
        match (&self.0, &other.0) {
            (Small { unscaled: a, scale: s }, Small { unscaled: b, scale: t }) if s == t => a.cmp(b),
            (NaN, NaN) | (Infinity, Infinity) | (NegInfinity, NegInfinity) => Ordering::Equal,
            (NaN, _) | (_, NegInfinity) => Ordering::Greater,
            (_, NaN) | (NegInfinity, _) => Ordering::Less,
            (Infinity, _) => Ordering::Greater,
            (_, Infinity) => Ordering::Less,
            _ => self.compare_finite(other),
        }
    }

    fn compare_finite(&self, other: &Numeric) -> Ordering {
        let by_sign = self.signum().cmp(&other.signum());
        if by_sign != Ordering::Equal {
            return by_sign;
        }
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small()) {
            let top = s.max(t);
            if let (Some(x), Some(y)) = (
                pow10_i128(u32::from(top - s)).and_then(|p| p.checked_mul(i128::from(a))),
                pow10_i128(u32::from(top - t)).and_then(|p| p.checked_mul(i128::from(b))),
            ) {
                return x.cmp(&y);
            }
        }
        let (Some((a, s)), Some((b, t))) = (self.finite(), other.finite()) else {
            return Ordering::Equal;
        };
        let top = s.max(t);
        (a * pow10(u32::from(top - s))).cmp(&(b * pow10(u32::from(top - t))))
    }

    /// Exponent of the leading decimal digit: `d.ddd * 10^e`; 0 for zero.
    pub(crate) fn decimal_exponent(&self) -> i64 {
        match &self.0 {
            Repr::Small { unscaled: 0, .. } => 0,
            Repr::Small { unscaled, scale } => i64::from(unscaled.unsigned_abs().ilog10()) - i64::from(*scale),
            Repr::Big { unscaled, scale } => decimal_digits(&unscaled.abs()) - 1 - i64::from(*scale),
            _ => 0,
        }
    }
}

/// Divides integers, rounding half away from zero.
pub(crate) fn div_round(n: &BigInt, d: &BigInt) -> BigInt {
    let (q, r) = num_integer::Integer::div_rem(n, d);
    let twice = r.abs() * 2u8;
    if !r.is_zero() && twice >= d.abs() {
        if n.is_negative() == d.is_negative() { q + 1 } else { q - 1 }
    } else {
        q
    }
}
