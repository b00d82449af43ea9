//! sqrt, exp, ln, log and power. Result scales follow PostgreSQL's estimates (at least 16 significant digits); values are computed in
//! fixed point with guard digits and rounded once.

use super::arith::{division_by_zero, signed_infinity};
use super::{MAX_PRECISION, Numeric, div_round, overflow, pow10};
use crate::{Result, SqlError, SqlState};
use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// A real number as an integer times 10^-digits, digits fixed for one computation.
#[derive(Clone)]
struct Fixed {
    v: BigInt,
    digits: u32,
}

impl Fixed {
    fn of(n: &Numeric, digits: u32) -> Fixed {
        let (u, s) = n.finite().unwrap_or_default();
        let s = u32::from(s);
        let v = if s <= digits {
            u * pow10(digits - s)
        } else {
            div_round(&u, &pow10(s - digits))
        };
        Fixed { v, digits }
    }
    fn round_to(&self, scale: i32) -> Result<Numeric> {
        Numeric::checked(div_round(&self.v, &pow10(self.digits - scale as u32)), scale as u16)
    }
}

/// e^x for |x| up to a few hundred thousand.
fn exp_fixed(x: &Fixed) -> Fixed {
    let extra = 16u32;
    let digits = x.digits + extra;
    let one = pow10(digits);
    let mut r = &x.v * pow10(extra);
    // Halve until below 2^-8, then a short Taylor series, then square back.
    let mut halvings = 0u32;
    let mut bound = one.clone() >> 8;
    while r.abs() > bound {
        bound <<= 1;
        halvings += 1;
    }
    let guard = halvings / 3 + 4;
    let scale = pow10(guard);
    let one = one * &scale;
    r = (r * &scale) >> halvings;
    let (mut sum, mut term, mut i) = (&one + &r, r.clone(), 2u32);
    while !term.is_zero() {
        term = &term * &r / (&one * i);
        sum += &term;
        i += 1;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &one;
    }
    Fixed {
        v: div_round(&sum, &pow10(extra + guard)),
        digits: x.digits,
    }
}

/// ln x for x > 0.
fn ln_fixed(n: &Numeric, digits: u32) -> Fixed {
    let guard = 16u32;
    let d = digits + guard;
    let one = pow10(d);
    // x = m * 10^e with m in 0.1..10, ln x = ln m + e ln 10.
    let e = n.decimal_exponent();
    let (u, s) = n.finite().unwrap_or_default();
    // m = u * 10^(-s - e)
    let shift = i64::from(d) - i64::from(s) - e;
    let m = if shift >= 0 {
        u * pow10(shift as u32)
    } else {
        div_round(&u, &pow10((-shift) as u32))
    };
    let mut total = ln_reduced(&m, &one, d);
    if e != 0 {
        total += ln_reduced(&(&one * 10u8), &one, d) * e;
    }
    Fixed {
        v: div_round(&total, &pow10(guard)),
        digits,
    }
}

/// ln(m / one) for m/one within about 0.1..10, by square roots and the atanh series.
fn ln_reduced(m: &BigInt, one: &BigInt, digits: u32) -> BigInt {
    let guard = pow10(10 + digits / 50);
    let one = one * &guard;
    let mut m = m * &guard;
    let mut doublings = 0u32;
    let near = &one >> 4u32;
    while (&m - &one).abs() > near {
        m = (&m * &one).sqrt();
        doublings += 1;
    }
    let y = (&m - &one) * &one / (&m + &one);
    let y2 = &y * &y / &one;
    let (mut sum, mut power, mut k) = (y.clone(), y, 3u32);
    loop {
        power = &power * &y2 / &one;
        let term = &power / k;
        if term.is_zero() {
            break;
        }
        sum += term;
        k += 2;
    }
    (sum << (doublings + 1)) / guard
}

fn clamp_scale(scale: i64, inputs: &[&Numeric]) -> i32 {
    let own = inputs.iter().map(|n| i64::from(n.scale().unwrap_or(0))).max().unwrap_or(0);
    scale.max(own).max(0).min(i64::from(MAX_PRECISION)) as i32
}

/// Decimal weight of ln(n), as `estimate_ln_dweight`.
fn estimate_ln_weight(n: &Numeric) -> i64 {
    if n.signum() <= 0 {
        return 0;
    }
    if n.compare(&Numeric::new(9, 1)).is_ge() && n.compare(&Numeric::new(11, 1)).is_le() {
        let x = n.sub(&Numeric::ONE).unwrap_or(Numeric::ZERO);
        return if x.is_zero() { 0 } else { x.decimal_exponent() };
    }
    let (weight, first) = n.leading_group();
    // Leading two base-10000 digits where there are two.
    let (u, s) = n.finite().unwrap_or_default();
    let groups_end = (weight - 1) * 4;
    let shift = -i64::from(s) - groups_end;
    let two = if shift >= 0 {
        u.clone() * pow10(shift as u32)
    } else {
        u.clone() / pow10((-shift) as u32)
    };
    let exact_one_group = {
        let shift = -i64::from(s) - weight * 4;
        shift >= 0 || (u % pow10((-shift) as u32)).is_zero()
    };
    let ln = if exact_one_group {
        (first as f64).ln() + (weight * 4) as f64 * std::f64::consts::LN_10
    } else {
        two.to_f64().unwrap_or(1.0).ln() + groups_end as f64 * std::f64::consts::LN_10
    };
    ln.abs().log10() as i64
}

fn log_argument(n: &Numeric) -> Result<()> {
    match n.signum() {
        0 => Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of zero",
        )),
        s if s < 0 => Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of a negative number",
        )),
        _ => Ok(()),
    }
}

impl Numeric {
    /// Square root. 2201F on a negative value.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.scale().is_none() {
            return self.sqrt_to(0);
        }
        let (weight, _) = self.leading_group();
        let sweight = if weight >= 0 {
            (weight + 1) * 4 / 2 - 1
        } else {
            1 - (1 - weight * 4) / 2
        };
        self.sqrt_to(clamp_scale(16 - sweight, &[self]) as u16)
    }

    /// Square root with so many digits after the point.
    pub fn sqrt_to(&self, scale: u16) -> Result<Numeric> {
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.signum() < 0 {
            return Err(SqlError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "cannot take square root of a negative number",
            ));
        }
        if self.is_infinite() {
            return Ok(Numeric::INFINITY);
        }
        // One digit more than wanted, truncated, still rounds right: the root of an integer is never exactly half.
        let digits = u32::from(scale) + 1;
        let (u, s) = self.finite().unwrap_or_default();
        let shift = 2 * i64::from(digits) - i64::from(s);
        let n = if shift >= 0 {
            u * pow10(shift as u32)
        } else {
            u / pow10((-shift) as u32)
        };
        Fixed { v: n.sqrt(), digits }.round_to(i32::from(scale))
    }

    /// e to the power of it. 22003 on overflow.
    pub fn exp(&self) -> Result<Numeric> {
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.is_infinite() {
            return Ok(if self.signum() > 0 { Numeric::INFINITY } else { Numeric::ZERO });
        }
        let x = self.to_f64_lossy();
        let weight = (x * std::f64::consts::LOG10_E).clamp(-2000.0, 2000.0);
        let scale = clamp_scale(16 - weight as i64, &[self]);
        if x.abs() >= 6000.0 {
            return if x > 0.0 {
                Err(overflow())
            } else {
                Ok(Numeric::from_big(BigInt::zero(), scale as u16))
            };
        }
        let digits = scale as u32 + (x * std::f64::consts::LOG10_E).max(0.0) as u32 + 12;
        exp_fixed(&Fixed::of(self, digits)).round_to(scale)
    }

    /// Natural logarithm. 2201E unless positive.
    pub fn ln(&self) -> Result<Numeric> {
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        log_argument(self)?;
        if self.is_infinite() {
            return Ok(Numeric::INFINITY);
        }
        let scale = clamp_scale(16 - estimate_ln_weight(self), &[self]);
        ln_fixed(self, scale as u32 + 8).round_to(scale)
    }

    /// Logarithm to a base. 2201E unless both are positive, 22012 for base 1.
    pub fn log(base: &Numeric, n: &Numeric) -> Result<Numeric> {
        if base.is_nan() || n.is_nan() {
            return Ok(Numeric::NAN);
        }
        log_argument(base)?;
        log_argument(n)?;
        if base.is_infinite() {
            return Ok(if n.is_infinite() { Numeric::NAN } else { Numeric::ZERO });
        }
        if n.is_infinite() {
            return Ok(Numeric::INFINITY);
        }
        let (wb, wn) = (estimate_ln_weight(base), estimate_ln_weight(n));
        let scale = clamp_scale(16 - (wn - wb), &[base, n]);
        let digits = (i64::from(scale) + wn.abs() + 2 * wb.abs() + 16) as u32;
        let (lb, ln) = (ln_fixed(base, digits), ln_fixed(n, digits));
        if lb.v.is_zero() {
            return Err(division_by_zero());
        }
        Fixed {
            v: div_round(&(ln.v * pow10(digits)), &lb.v),
            digits,
        }
        .round_to(scale)
    }

    /// `self ^ exponent` with PostgreSQL's errors: 2201F for zero to a negative power and for a negative base with a fractional exponent.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        let invalid = |m: &str| SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, m);
        if self.scale().is_none() || exponent.scale().is_none() {
            return self.power_special(exponent);
        }
        if self.is_zero() && exponent.signum() < 0 {
            return Err(invalid("zero raised to a negative power is undefined"));
        }
        if self.signum() < 0 && !exponent.is_integer() {
            return Err(invalid("a negative number raised to a non-integer power yields a complex result"));
        }
        if exponent.is_integer()
            && let Ok(e) = exponent.to_i32()
        {
            return self.power_int(e, exponent);
        }
        if self.is_zero() {
            return Ok(Numeric::from_big(BigInt::zero(), 16));
        }
        let negative = self.signum() < 0 && exponent.is_odd();
        let base = self.abs();
        let ln_weight = estimate_ln_weight(&base);
        let rough = ln_fixed(&base, (8 - ln_weight).max(0) as u32 + 8);
        let val = Numeric::from_big(rough.v, rough.digits as u16).to_f64_lossy() * exponent.to_f64_lossy();
        if val.abs() > 6020.0 {
            return if val > 0.0 {
                Err(overflow())
            } else {
                Ok(Numeric::from_big(BigInt::zero(), MAX_PRECISION as u16))
            };
        }
        let weight = val * std::f64::consts::LOG10_E;
        let scale = clamp_scale(16 - weight as i64, &[self, exponent]);
        let digits = scale as u32 + weight.max(0.0) as u32 + 16;
        let wide = digits + exponent.decimal_exponent().max(0) as u32 + 8;
        let ln = ln_fixed(&base, wide);
        let (eu, es) = exponent.finite().unwrap_or_default();
        let product = div_round(&(ln.v * eu), &pow10(u32::from(es) + wide - digits));
        let mut r = exp_fixed(&Fixed { v: product, digits });
        if negative {
            r.v = -r.v;
        }
        r.round_to(scale)
    }

    fn power_int(&self, e: i32, exponent: &Numeric) -> Result<Numeric> {
        let weight = if self.is_zero() {
            0.0
        } else {
            let x = self.decimal_exponent();
            let (u, s) = self.finite().unwrap_or_default();
            let lead = x + i64::from(s) - 15;
            let m = if lead > 0 { u.abs() / pow10(lead as u32) } else { u.abs() };
            f64::from(e) * (m.to_f64().unwrap_or(1.0).log10() + (lead.max(0) - i64::from(s)) as f64)
        };
        if weight > 131_072.0 {
            return Err(overflow());
        }
        // An integer power keeps 16 fraction digits whatever its size (power_var_int).
        let scale = clamp_scale(16, &[self, exponent]);
        if weight + 1.0 < -f64::from(scale) {
            return Ok(Numeric::from_big(BigInt::zero(), scale as u16));
        }
        match e {
            0 => return Ok(Numeric::ONE.with_scale(scale as u16)),
            1 => return self.round(scale),
            -1 => return self.power_minus_one(scale),
            _ if self.is_zero() => return Ok(Numeric::from_big(BigInt::zero(), scale as u16)),
            _ => {}
        }
        let (u, s) = self.finite().unwrap_or_default();
        let places = i64::from(self.decimal_exponent().unsigned_abs() as u32 + u32::from(s) + 1) * i64::from(e.unsigned_abs());
        if places < 20_000 || s == 0 {
            // Exact, then rounded once.
            let p = u.pow(e.unsigned_abs());
            let ps = u64::from(s) * u64::from(e.unsigned_abs());
            let scale_up = pow10(scale as u32);
            let v = if e > 0 {
                div_round(&(p * scale_up), &BigInt::from(10u8).pow(ps as u32))
            } else {
                div_round(&(BigInt::from(10u8).pow(ps as u32) * scale_up), &p)
            };
            return Numeric::checked(v, scale as u16);
        }
        let digits = scale as u32 + weight.abs() as u32 + 24;
        let one = pow10(digits);
        let (mut result, mut square, mut n) = (one.clone(), Fixed::of(self, digits).v, e.unsigned_abs());
        while n > 0 {
            if n & 1 == 1 {
                result = &result * &square / &one;
            }
            n >>= 1;
            if n > 0 {
                square = &square * &square / &one;
            }
        }
        if e < 0 {
            result = div_round(&(&one * &one), &result);
        }
        Fixed { v: result, digits }.round_to(scale)
    }

    fn power_minus_one(&self, scale: i32) -> Result<Numeric> {
        Numeric::from_big(BigInt::one(), 0).div_at_scale(self, scale)
    }

    fn power_special(&self, exponent: &Numeric) -> Result<Numeric> {
        let one = Numeric::ONE;
        if self.is_nan() {
            return Ok(if exponent.is_zero() { one } else { Numeric::NAN });
        }
        if exponent.is_nan() {
            return Ok(if self.compare(&one).is_eq() { one } else { Numeric::NAN });
        }
        if self.is_zero() && exponent.signum() < 0 {
            return Err(SqlError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "zero raised to a negative power is undefined",
            ));
        }
        if self.signum() < 0 && !self.is_infinite() && exponent.scale().is_some() && !exponent.is_integer() {
            return Err(SqlError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if self.compare(&one).is_eq() || exponent.is_zero() {
            return Ok(one);
        }
        if self.is_zero() {
            return Ok(Numeric::ZERO);
        }
        if exponent.is_infinite() {
            let magnitude = self.abs().compare(&one);
            if magnitude.is_eq() {
                return Ok(one);
            }
            let grows = magnitude.is_gt() == (exponent.signum() > 0);
            return Ok(if grows { Numeric::INFINITY } else { Numeric::ZERO });
        }
        // The base is infinite, the exponent finite and not zero.
        if exponent.signum() < 0 {
            return Ok(Numeric::ZERO);
        }
        if self.signum() < 0 && !exponent.is_integer() {
            return Err(SqlError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        Ok(signed_infinity(if self.signum() < 0 && exponent.is_odd() { -1 } else { 1 }))
    }
}
