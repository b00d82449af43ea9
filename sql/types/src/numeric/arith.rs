//! Exact operators. Result scales are PostgreSQL's: sums take the larger scale, products the sum of scales (at most 16383), quotients
//! at least 16 significant digits (`select_div_scale`).

use super::{MAX_PRECISION, MAX_SCALE, Numeric, Repr, div_round, pow10, pow10_i128};
use crate::{Result, SqlError, SqlState};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};

pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

impl Numeric {
    /// Both operands on the larger of their scales.
    fn aligned(&self, other: &Numeric) -> Option<(BigInt, BigInt, u16)> {
        let ((a, s), (b, t)) = (self.finite()?, other.finite()?);
        let scale = s.max(t);
        let a = if s < scale { a * pow10(u32::from(scale - s)) } else { a };
        let b = if t < scale { b * pow10(u32::from(scale - t)) } else { b };
        Some((a, b, scale))
    }

    fn aligned_small(&self, other: &Numeric) -> Option<(i128, i128, u16)> {
        let ((a, s), (b, t)) = (self.small()?, other.small()?);
        let scale = s.max(t);
        // 38 digits fit; a 19-digit operand may grow by 18.
        if scale - s.min(t) > 18 {
            return None;
        }
        let a = i128::from(a) * pow10_i128(u32::from(scale - s))?;
        let b = i128::from(b) * pow10_i128(u32::from(scale - t))?;
        Some((a, b, scale))
    }

    /// `self + other`; infinities of opposite sign give NaN.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let Some((a, b, scale)) = self.aligned_small(other) {
            return Ok(Numeric::from_i128(a + b, scale));
        }
        match (&self.0, &other.0) {
            (Repr::NaN, _) | (_, Repr::NaN) => Ok(Numeric::NAN),
            (Repr::Infinity, Repr::NegInfinity) | (Repr::NegInfinity, Repr::Infinity) => Ok(Numeric::NAN),
            (Repr::Infinity | Repr::NegInfinity, _) => Ok(self.clone()),
            (_, Repr::Infinity | Repr::NegInfinity) => Ok(other.clone()),
            _ => match self.aligned(other) {
                Some((a, b, scale)) => Numeric::checked(a + b, scale),
                None => Ok(Numeric::NAN),
            },
        }
    }

    /// `self - other`.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        if let Some((a, b, scale)) = self.aligned_small(other) {
            return Ok(Numeric::from_i128(a - b, scale));
        }
        self.add(&other.neg())
    }

    /// `-self`
    #[must_use]
    pub fn neg(&self) -> Numeric {
        match &self.0 {
            Repr::NaN => Numeric::NAN,
            Repr::Infinity => Numeric::NEG_INFINITY,
            Repr::NegInfinity => Numeric::INFINITY,
            Repr::Small { unscaled, scale } => Numeric::from_i128(-i128::from(*unscaled), *scale),
            Repr::Big { unscaled, scale } => Numeric::from_big(-(**unscaled).clone(), *scale),
        }
    }

    /// Absolute value.
    #[must_use]
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// `self * other`; infinity times zero is NaN.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small())
            && i32::from(s) + i32::from(t) <= MAX_SCALE
        {
            return Ok(Numeric::from_i128(i128::from(a) * i128::from(b), s + t));
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.is_infinite() || other.is_infinite() {
            return Ok(signed_infinity(self.signum() * other.signum()));
        }
        let (Some((a, s)), Some((b, t))) = (self.finite(), other.finite()) else {
            return Ok(Numeric::NAN);
        };
        let (scale, product) = (u32::from(s) + u32::from(t), a * b);
        if scale > MAX_SCALE as u32 {
            return Numeric::checked(div_round(&product, &pow10(scale - MAX_SCALE as u32)), MAX_SCALE as u16);
        }
        Numeric::checked(product, scale as u16)
    }

    /// Weight and value of the leading base-10000 digit, as PostgreSQL stores it; (0, 0) for zero.
    pub(crate) fn leading_group(&self) -> (i64, i64) {
        if self.is_zero() {
            return (0, 0);
        }
        let e = self.decimal_exponent();
        let weight = e.div_euclid(4);
        let keep = e - 4 * weight + 1;
        let Some((unscaled, scale)) = self.finite() else { return (0, 0) };
        let digits = e + i64::from(scale) + 1;
        let lead = if digits >= keep {
            unscaled.abs() / pow10((digits - keep) as u32)
        } else {
            unscaled.abs() * pow10((keep - digits) as u32)
        };
        (weight, lead.to_i64().unwrap_or(0))
    }

    /// Scale of `self / other` (`select_div_scale`): 16 significant digits, not less than either operand's scale, at most 1000.
    pub(crate) fn division_scale(&self, other: &Numeric) -> i32 {
        let ((w1, d1), (w2, d2)) = (self.leading_group(), other.leading_group());
        let mut qweight = w1 - w2;
        if d1 <= d2 {
            qweight -= 1;
        }
        let scale = (16 - qweight * 4) as i32;
        let own = i32::from(self.scale().unwrap_or(0)).max(i32::from(other.scale().unwrap_or(0)));
        scale.max(own).clamp(0, MAX_PRECISION)
    }

    /// `self / other`. 22012 on zero.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(special) = self.special_division(other)? {
            return Ok(special);
        }
        let scale = self.division_scale(other);
        self.div_at_scale(other, scale)
    }

    /// NaN and infinities, and the zero check, shared by `/`, `div` and `%`-like operators.
    fn special_division(&self, other: &Numeric) -> Result<Option<Numeric>> {
        if self.is_nan() || other.is_nan() {
            return Ok(Some(Numeric::NAN));
        }
        if self.is_infinite() {
            if other.is_infinite() {
                return Ok(Some(Numeric::NAN));
            }
            return match other.signum() {
                0 => Err(division_by_zero()),
                sign => Ok(Some(signed_infinity(self.signum() * sign))),
            };
        }
        if other.is_infinite() {
            return Ok(Some(Numeric::ZERO));
        }
        if other.is_zero() { Err(division_by_zero()) } else { Ok(None) }
    }

    /// Quotient of finite values rounded half away from zero at `scale`.
    pub(crate) fn div_at_scale(&self, other: &Numeric, scale: i32) -> Result<Numeric> {
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small()) {
            let shift = scale + i32::from(t) - i32::from(s);
            if let Some(n) = u32::try_from(shift)
                .ok()
                .and_then(pow10_i128)
                .and_then(|p| p.checked_mul(i128::from(a)))
            {
                let d = i128::from(b);
                let (q, r) = (n / d, n % d);
                let up = r.unsigned_abs() * 2 >= d.unsigned_abs();
                let q = if up { q + if (n < 0) == (d < 0) { 1 } else { -1 } } else { q };
                return Ok(Numeric::from_i128(q, scale as u16));
            }
        }
        let (Some((a, s)), Some((b, t))) = (self.finite(), other.finite()) else {
            return Ok(Numeric::NAN);
        };
        if b.is_zero() {
            return Err(division_by_zero());
        }
        let shift = scale + i32::from(t) - i32::from(s);
        let q = if shift >= 0 {
            div_round(&(a * pow10(shift as u32)), &b)
        } else {
            div_round(&a, &(b * pow10((-shift) as u32)))
        };
        Numeric::checked(q, scale as u16)
    }

    /// Integer quotient, truncated towards zero (`div`). 22012 on zero.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(special) = self.special_division(other)? {
            return Ok(special);
        }
        match self.aligned(other) {
            Some((a, b, _)) => Numeric::checked(a / b, 0),
            None => Ok(Numeric::NAN),
        }
    }

    /// Remainder with the dividend's sign (`%`). 22012 on zero.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.is_infinite() {
            return if other.is_zero() {
                Err(division_by_zero())
            } else {
                Ok(Numeric::NAN)
            };
        }
        if other.is_infinite() {
            return Ok(self.clone());
        }
        match self.aligned(other) {
            Some((_, b, _)) if b.is_zero() => Err(division_by_zero()),
            Some((a, b, scale)) => Numeric::checked(a % b, scale),
            None => Ok(Numeric::NAN),
        }
    }

    /// Rounds half away from zero to `places` fraction digits; negative `places` round before the point.
    pub fn round(&self, places: i32) -> Result<Numeric> {
        self.at_places(places, div_round)
    }

    /// Truncates towards zero to `places` fraction digits.
    pub fn trunc(&self, places: i32) -> Result<Numeric> {
        self.at_places(places, |n, d| n / d)
    }

    fn at_places(&self, places: i32, cut: fn(&BigInt, &BigInt) -> BigInt) -> Result<Numeric> {
        let places = places.clamp(-(super::MAX_INTEGER_DIGITS as i32) - 1, MAX_SCALE);
        let Some((unscaled, scale)) = self.finite() else {
            return Ok(self.clone());
        };
        let drop = i32::from(scale) - places;
        if drop <= 0 {
            return Numeric::checked(unscaled * pow10((-drop) as u32), places as u16);
        }
        let kept = cut(&unscaled, &pow10(drop as u32));
        if places >= 0 {
            Numeric::checked(kept, places as u16)
        } else {
            Numeric::checked(kept * pow10((-places) as u32), 0)
        }
    }

    /// Smallest integer not below.
    pub fn ceil(&self) -> Result<Numeric> {
        self.at_places(0, |n, d| -((-n).div_floor(d)))
    }

    /// Largest integer not above.
    pub fn floor(&self) -> Result<Numeric> {
        self.at_places(0, |n, d| n.div_floor(d))
    }

    /// Fewest fraction digits that represent the value exactly (`min_scale`); `None` for NaN and infinities.
    pub fn min_scale(&self) -> Option<u16> {
        let (mut unscaled, mut scale) = self.finite()?;
        if unscaled.is_zero() {
            return Some(0);
        }
        let ten = BigInt::from(10u8);
        while scale > 0 {
            let (q, r) = unscaled.div_rem(&ten);
            if !r.is_zero() {
                break;
            }
            unscaled = q;
            scale -= 1;
        }
        Some(scale)
    }

    /// Greatest common divisor, never negative.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric> {
        match self.aligned(other) {
            Some((a, b, scale)) => Numeric::checked(a.gcd(&b), scale),
            None => Ok(Numeric::NAN),
        }
    }

    /// Least common multiple, never negative.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        match self.aligned(other) {
            Some((a, b, scale)) if a.is_zero() || b.is_zero() => Numeric::checked(BigInt::zero(), scale),
            Some((a, b, scale)) => Numeric::checked(a.lcm(&b).abs(), scale),
            None => Ok(Numeric::NAN),
        }
    }

    /// `self!`. 22003 on negative input or beyond the format.
    pub fn factorial(n: i64) -> Result<Numeric> {
        if n < 0 {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "factorial of a negative number is undefined",
            ));
        }
        if n > 32177 {
            return Err(super::overflow());
        }
        let product = (2..=n as u64).fold(BigInt::from(1u8), |p, i| p * i);
        Numeric::checked(product, 0)
    }
}

pub(crate) fn signed_infinity(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NAN,
        s if s > 0 => Numeric::INFINITY,
        _ => Numeric::NEG_INFINITY,
    }
}
