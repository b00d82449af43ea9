//! Between numeric and the machine's numbers, typmods, and the running sum of aggregates.

use super::{Numeric, Repr, div_round, overflow, pow10};
use crate::{Result, SqlError, SqlState};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

impl From<i64> for Numeric {
    fn from(v: i64) -> Numeric {
        Numeric::new(v, 0)
    }
}

impl Numeric {
    /// From float8 with the 15 significant digits PostgreSQL takes.
    pub fn from_f64(v: f64) -> Result<Numeric> {
        from_float(v, 15)
    }
    /// From float4 with 6 significant digits.
    pub fn from_f32(v: f32) -> Result<Numeric> {
        from_float(f64::from(v), 6)
    }

    /// Nearest integer, half away from zero. Errors name `what` ("integer", "bigint", "smallint"): 22003 out of range, 0A000 for NaN and infinity.
    pub fn to_i64(&self, what: &str) -> Result<i64> {
        match &self.0 {
            Repr::NaN => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert NaN to {what}"),
            )),
            Repr::Infinity | Repr::NegInfinity => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert infinity to {what}"),
            )),
            Repr::Small { unscaled, scale: 0 } => Ok(*unscaled),
            _ => match self.finite() {
                Some((n, scale)) => div_round(&n, &pow10(u32::from(scale))).to_i64().ok_or_else(|| out_of_range(what)),
                None => Err(out_of_range(what)),
            },
        }
    }
    /// Nearest int4. Errors as [`Numeric::to_i64`].
    pub fn to_i32(&self) -> Result<i32> {
        i32::try_from(self.to_i64("integer")?).map_err(|_| out_of_range("integer"))
    }
    /// Nearest int2. Errors as [`Numeric::to_i64`].
    pub fn to_i16(&self) -> Result<i16> {
        i16::try_from(self.to_i64("smallint")?).map_err(|_| out_of_range("smallint"))
    }
    /// Nearest float8; overflow gives an infinity for the caller to judge.
    pub fn to_f64_lossy(&self) -> f64 {
        match &self.0 {
            Repr::NaN => f64::NAN,
            Repr::Infinity => f64::INFINITY,
            Repr::NegInfinity => f64::NEG_INFINITY,
            _ => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }
    /// Nearest float8; 22003 when a finite value overflows or a nonzero one vanishes.
    pub fn to_f64(&self) -> Result<f64> {
        let v = self.to_f64_lossy();
        if self.scale().is_some() && (v.is_infinite() || (v == 0.0 && !self.is_zero())) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("\"{self}\" is out of range for type double precision"),
            ));
        }
        Ok(v)
    }
    /// Nearest float4; 22003 as for float8.
    pub fn to_f32(&self) -> Result<f32> {
        let v: f32 = match &self.0 {
            Repr::NaN => f32::NAN,
            Repr::Infinity => f32::INFINITY,
            Repr::NegInfinity => f32::NEG_INFINITY,
            _ => self.to_string().parse().unwrap_or(f32::NAN),
        };
        if self.scale().is_some() && (v.is_infinite() || (v == 0.0 && !self.is_zero())) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("\"{self}\" is out of range for type real"),
            ));
        }
        Ok(v)
    }

    /// Rounds to a declared `numeric(p,s)`. 22003 "numeric field overflow" with PostgreSQL's DETAIL when it does not fit.
    pub fn apply_typmod(self, typmod: i32) -> Result<Numeric> {
        let Some((precision, scale)) = precision_and_scale(typmod) else {
            return Ok(self);
        };
        if self.is_nan() {
            return Ok(self);
        }
        if self.is_infinite() {
            return Err(
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )),
            );
        }
        let rounded = if self.scale().map(i32::from) == Some(scale) {
            self
        } else {
            self.round(scale)?
        };
        let integer_digits = precision - scale;
        if !rounded.is_zero() && rounded.decimal_exponent() >= i64::from(integer_digits) {
            return Err(
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {}{}.",
                    if integer_digits == 0 { "1" } else { "10^" },
                    if integer_digits == 0 {
                        String::new()
                    } else {
                        integer_digits.to_string()
                    }
                )),
            );
        }
        Ok(rounded)
    }
}

/// Precision and scale of a numeric typmod; `None` when there is none.
pub fn precision_and_scale(typmod: i32) -> Option<(i32, i32)> {
    if typmod < 4 {
        return None;
    }
    let t = typmod - 4;
    // The scale is an 11-bit signed field.
    Some(((t >> 16) & 0xffff, ((t & 0x7ff) ^ 1024) - 1024))
}

/// C's `%.{digits}g`, then read back.
fn from_float(v: f64, digits: usize) -> Result<Numeric> {
    if v.is_nan() {
        return Ok(Numeric::NAN);
    }
    if v.is_infinite() {
        return Ok(if v > 0.0 { Numeric::INFINITY } else { Numeric::NEG_INFINITY });
    }
    let mut text = format!("{v:.*e}", digits - 1);
    // Trailing zeros of the mantissa go, as %g drops them.
    if let Some(e) = text.find('e') {
        let (mantissa, exponent) = text.split_at(e);
        let mantissa = if mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            mantissa
        };
        text = format!("{mantissa}{exponent}");
    }
    Numeric::parse(&text)
}

/// A running sum and count of numerics: the state of sum and avg. Fixed-size while the sum fits 128 bits at one scale.
#[derive(Clone, Debug, Default)]
pub struct NumericSum {
    fast: i128,
    fast_scale: u16,
    big: Option<(BigInt, u16)>,
    /// Values added, of every kind.
    pub count: i64,
    nan: i64,
    pos_inf: i64,
    neg_inf: i64,
    max_scale: u16,
    max_scale_count: i64,
}

impl NumericSum {
    /// Adds a value.
    pub fn add(&mut self, n: &Numeric) {
        self.step(n, 1);
    }
    /// Takes a value out again (moving frames). Returns false when the display scale can no longer be known and the frame must be recomputed.
    pub fn retract(&mut self, n: &Numeric) -> bool {
        if let Some(scale) = n.scale()
            && scale == self.max_scale
            && self.max_scale_count <= 1
            && self.max_scale > 0
            && self.count > 1
        {
            return false;
        }
        self.step(n, -1);
        true
    }
    /// Adds an integer.
    pub fn add_i128(&mut self, v: i128) {
        self.count += 1;
        self.add_scaled(v, 0);
    }
    /// Adds another sum.
    pub fn merge(&mut self, other: &NumericSum) {
        self.count += other.count;
        self.nan += other.nan;
        self.pos_inf += other.pos_inf;
        self.neg_inf += other.neg_inf;
        self.note_scale(other.max_scale, other.max_scale_count);
        self.add_scaled(other.fast, other.fast_scale);
        if let Some((n, s)) = &other.big {
            self.add_big(n.clone(), *s);
        }
    }

    fn note_scale(&mut self, scale: u16, times: i64) {
        match scale.cmp(&self.max_scale) {
            std::cmp::Ordering::Greater => (self.max_scale, self.max_scale_count) = (scale, times),
            std::cmp::Ordering::Equal => self.max_scale_count += times,
            std::cmp::Ordering::Less => {}
        }
    }

    fn step(&mut self, n: &Numeric, sign: i64) {
        self.count += sign;
        match n.repr() {
            Repr::NaN => self.nan += sign,
            Repr::Infinity => self.pos_inf += sign,
            Repr::NegInfinity => self.neg_inf += sign,
            Repr::Small { unscaled, scale } => {
                self.note_scale(*scale, sign);
                self.add_scaled(i128::from(*unscaled) * i128::from(sign), *scale);
            }
            Repr::Big { unscaled, scale } => {
                self.note_scale(*scale, sign);
                self.add_big((**unscaled).clone() * sign, *scale);
            }
        }
    }

    fn add_scaled(&mut self, v: i128, scale: u16) {
        let done = if scale == self.fast_scale {
            self.fast.checked_add(v).map(|s| (s, scale))
        } else if scale > self.fast_scale {
            super::pow10_i128(u32::from(scale - self.fast_scale))
                .and_then(|p| self.fast.checked_mul(p))
                .and_then(|s| s.checked_add(v))
                .map(|s| (s, scale))
        } else {
            super::pow10_i128(u32::from(self.fast_scale - scale))
                .and_then(|p| v.checked_mul(p))
                .and_then(|v| self.fast.checked_add(v))
                .map(|s| (s, self.fast_scale))
        };
        match done {
            Some((s, scale)) => (self.fast, self.fast_scale) = (s, scale),
            None => {
                let (f, s) = (std::mem::take(&mut self.fast), std::mem::take(&mut self.fast_scale));
                self.add_big(BigInt::from(f), s);
                self.add_big(BigInt::from(v), scale);
            }
        }
    }

    fn add_big(&mut self, n: BigInt, scale: u16) {
        let (old, old_scale) = self.big.take().unwrap_or_default();
        let top = scale.max(old_scale);
        self.big = Some((old * pow10(u32::from(top - old_scale)) + n * pow10(u32::from(top - scale)), top));
    }

    /// The sum; `None` of no values.
    pub fn sum(&self) -> Result<Option<Numeric>> {
        if self.count == 0 {
            return Ok(None);
        }
        if self.nan > 0 || (self.pos_inf > 0 && self.neg_inf > 0) {
            return Ok(Some(Numeric::NAN));
        }
        if self.pos_inf > 0 {
            return Ok(Some(Numeric::INFINITY));
        }
        if self.neg_inf > 0 {
            return Ok(Some(Numeric::NEG_INFINITY));
        }
        let (mut n, mut scale) = (BigInt::from(self.fast), self.fast_scale);
        if let Some((b, s)) = &self.big {
            let top = scale.max(*s);
            n = n * pow10(u32::from(top - scale)) + b * pow10(u32::from(top - s));
            scale = top;
        }
        if scale < self.max_scale {
            n *= pow10(u32::from(self.max_scale - scale));
            scale = self.max_scale;
        }
        let sum = if scale > self.max_scale {
            Numeric::from_big(n, scale).round(i32::from(self.max_scale))?
        } else {
            Numeric::checked(n, scale)?
        };
        Ok(Some(sum))
    }

    /// The mean at the division's scale; `None` of no values.
    pub fn avg(&self) -> Result<Option<Numeric>> {
        match self.sum()? {
            Some(sum) => Ok(Some(sum.div(&Numeric::from(self.count))?)),
            None => Ok(None),
        }
    }

    /// State as numerics and counts, for [`NumericSum::from_parts`].
    pub fn to_parts(&self) -> Result<(Numeric, [i64; 6])> {
        let finite = NumericSum {
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            count: 1,
            ..self.clone()
        };
        let sum = finite.sum()?.unwrap_or(Numeric::ZERO);
        Ok((
            sum,
            [
                self.count,
                self.nan,
                self.pos_inf,
                self.neg_inf,
                i64::from(self.max_scale),
                self.max_scale_count,
            ],
        ))
    }

    /// Rebuilds a state.
    pub fn from_parts(sum: &Numeric, counts: [i64; 6]) -> Result<NumericSum> {
        let mut s = NumericSum::default();
        s.add(sum);
        [s.count, s.nan, s.pos_inf, s.neg_inf, _, s.max_scale_count] = counts;
        s.max_scale = u16::try_from(counts[4]).map_err(|_| overflow())?;
        Ok(s)
    }
}

impl Numeric {
    /// `width_bucket(operand, low, high, count)`.
    pub fn width_bucket(&self, low: &Numeric, high: &Numeric, count: i32) -> Result<i32> {
        let invalid = |m: &str| SqlError::new(SqlState::new("2201G"), m);
        if count <= 0 {
            return Err(invalid("count must be greater than zero"));
        }
        if self.is_nan() || low.is_nan() || high.is_nan() {
            return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
        }
        if low.is_infinite() || high.is_infinite() {
            return Err(invalid("lower and upper bounds must be finite"));
        }
        let over = |c: i32| c.checked_add(1).ok_or_else(|| out_of_range("integer"));
        let (below, above) = match low.compare(high) {
            std::cmp::Ordering::Equal => return Err(invalid("lower bound cannot equal upper bound")),
            std::cmp::Ordering::Less => (self.compare(low).is_lt(), self.compare(high).is_ge()),
            std::cmp::Ordering::Greater => (self.compare(low).is_gt(), self.compare(high).is_le()),
        };
        if below {
            return Ok(0);
        }
        if above {
            return over(count);
        }
        let n = self.sub(low)?.abs().mul(&Numeric::from(i64::from(count)))?;
        over(n.div_trunc(&high.sub(low)?.abs())?.to_i32()?)
    }

    /// Whether the value is an integer (of any scale).
    pub fn is_integer(&self) -> bool {
        self.min_scale() == Some(0)
    }
    /// Whether it is an odd integer.
    pub(crate) fn is_odd(&self) -> bool {
        self.is_integer() && self.trunc(0).ok().and_then(|n| n.finite()).is_some_and(|(n, _)| n.abs().bit(0))
    }
}
