//! Averages of floats, variances, deviations, and the two-argument regressions.

use super::sums::{float8_of, int8_of};
use crate::Accumulator;
use crate::kernels::floats::check_f64;
use curia_types::{Datum, Numeric, Result, SqlError};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Avg,
    VarSamp,
    VarPop,
    StddevSamp,
    StddevPop,
}

/// Exact sums of values and squares.
pub(super) struct NumericMoments {
    kind: Kind,
    sum: Numeric,
    squares: Numeric,
    n: i64,
}
impl NumericMoments {
    pub(super) fn new(kind: Kind) -> NumericMoments {
        NumericMoments {
            kind,
            sum: Numeric::ZERO,
            squares: Numeric::ZERO,
            n: 0,
        }
    }
    fn value(d: &Datum) -> Result<Option<Numeric>> {
        Ok(match d {
            Datum::Null => None,
            Datum::Numeric(n) => Some(n.clone()),
            other => Some(Numeric::from(int8_of(other)?)),
        })
    }
}
impl Accumulator for NumericMoments {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if let Some(v) = Self::value(&args[0])? {
            self.n += 1;
            self.sum = self.sum.add(&v)?;
            self.squares = self.squares.add(&v.mul(&v)?)?;
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![
            Datum::Numeric(self.sum.clone()),
            Datum::Numeric(self.squares.clone()),
            Datum::Int8(self.n),
        ])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        let (Datum::Numeric(sum), Datum::Numeric(squares)) = (&state[0], &state[1]) else {
            return Err(SqlError::internal("aggregate state"));
        };
        self.sum = self.sum.add(sum)?;
        self.squares = self.squares.add(squares)?;
        self.n += int8_of(&state[2])?;
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        let sample = matches!(self.kind, Kind::VarSamp | Kind::StddevSamp);
        if self.n == 0 || (sample && self.n == 1) {
            return Ok(Datum::Null);
        }
        if self.sum.scale().is_none() || self.squares.scale().is_none() {
            return Ok(Datum::Numeric(Numeric::NAN));
        }
        // (n * sum(x^2) - sum(x)^2) / (n * (n - 1)) or / n^2
        let n = Numeric::from(self.n);
        let numerator = n.mul(&self.squares)?.sub(&self.sum.mul(&self.sum)?)?;
        if numerator.signum() <= 0 {
            return Ok(Datum::Numeric(Numeric::ZERO));
        }
        let divisor = if sample { n.mul(&Numeric::from(self.n - 1))? } else { n.mul(&n)? };
        let variance = numerator.div(&divisor)?;
        let root = matches!(self.kind, Kind::StddevSamp | Kind::StddevPop);
        Ok(Datum::Numeric(match variance.scale() {
            Some(scale) if root => variance.sqrt_to(scale)?,
            _ => variance,
        }))
    }
}

/// Youngs-Cramer sums, as float8_accum: n, sum, and sum of squared deviations.
pub(super) struct FloatMoments {
    kind: Kind,
    n: f64,
    sx: f64,
    sxx: f64,
}
impl FloatMoments {
    pub(super) fn new(kind: Kind) -> FloatMoments {
        FloatMoments {
            kind,
            n: 0.0,
            sx: 0.0,
            sxx: 0.0,
        }
    }
}
impl Accumulator for FloatMoments {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if args[0].is_null() {
            return Ok(());
        }
        let v = float8_of(&args[0])?;
        let before = self.sx;
        self.n += 1.0;
        self.sx += v;
        if self.n > 1.0 {
            let t = v * self.n - self.sx;
            self.sxx += t * t / (self.n * (self.n - 1.0));
            if self.sx.is_infinite() || self.sxx.is_infinite() {
                check_f64(self.sx, before.is_infinite() || v.is_infinite())?;
                if self.kind != Kind::Avg {
                    check_f64(self.sxx, before.is_infinite() || v.is_infinite())?;
                }
                self.sxx = f64::NAN;
            }
        } else if !v.is_finite() {
            self.sxx = f64::NAN;
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok([self.n, self.sx, self.sxx].map(Datum::Float8).to_vec())
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        let (n, sx, sxx) = (float8_of(&state[0])?, float8_of(&state[1])?, float8_of(&state[2])?);
        if n == 0.0 {
            return Ok(());
        }
        if self.n == 0.0 {
            (self.n, self.sx, self.sxx) = (n, sx, sxx);
            return Ok(());
        }
        let total = self.n + n;
        let t = self.sx / self.n - sx / n;
        self.sxx += sxx + self.n * n * t * t / total;
        self.sx = check_f64(self.sx + sx, self.sx.is_infinite() || sx.is_infinite())?;
        self.n = total;
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        let sample = matches!(self.kind, Kind::VarSamp | Kind::StddevSamp);
        if self.n == 0.0 || (sample && self.n == 1.0) {
            return Ok(Datum::Null);
        }
        Ok(Datum::Float8(match self.kind {
            Kind::Avg => self.sx / self.n,
            Kind::VarSamp => self.sxx / (self.n - 1.0),
            Kind::VarPop => self.sxx / self.n,
            Kind::StddevSamp => (self.sxx / (self.n - 1.0)).sqrt(),
            Kind::StddevPop => (self.sxx / self.n).sqrt(),
        }))
    }
}

#[derive(Clone, Copy)]
pub(super) enum Pair {
    Count,
    Sxx,
    Syy,
    Sxy,
    AvgX,
    AvgY,
    R2,
    Slope,
    Intercept,
    CovarPop,
    CovarSamp,
    Corr,
}

/// Sums over (y, x), as float8_regr_accum.
pub(super) struct PairMoments {
    kind: Pair,
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}
impl PairMoments {
    pub(super) fn new(kind: Pair) -> PairMoments {
        PairMoments {
            kind,
            n: 0.0,
            sx: 0.0,
            sxx: 0.0,
            sy: 0.0,
            syy: 0.0,
            sxy: 0.0,
        }
    }
}
impl Accumulator for PairMoments {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if args[0].is_null() || args[1].is_null() {
            return Ok(());
        }
        let (y, x) = (float8_of(&args[0])?, float8_of(&args[1])?);
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if self.n > 1.0 {
            let (tx, ty) = (x * self.n - self.sx, y * self.n - self.sy);
            let scale = 1.0 / (self.n * (self.n - 1.0));
            self.sxx += tx * tx * scale;
            self.syy += ty * ty * scale;
            self.sxy += tx * ty * scale;
        } else {
            if !x.is_finite() {
                (self.sxx, self.sxy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.syy, self.sxy) = (f64::NAN, f64::NAN);
            }
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok([self.n, self.sx, self.sxx, self.sy, self.syy, self.sxy].map(Datum::Float8).to_vec())
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        let v: Vec<f64> = state.iter().map(float8_of).collect::<Result<_>>()?;
        let [n, sx, sxx, sy, syy, sxy] = v[..] else {
            return Err(SqlError::internal("aggregate state"));
        };
        if n == 0.0 {
            return Ok(());
        }
        if self.n > 0.0 {
            let total = self.n + n;
            let (tx, ty) = (self.sx / self.n - sx / n, self.sy / self.n - sy / n);
            self.sxx += self.n * n * tx * tx / total;
            self.syy += self.n * n * ty * ty / total;
            self.sxy += self.n * n * tx * ty / total;
        }
        self.n += n;
        self.sx += sx;
        self.sy += sy;
        self.sxx += sxx;
        self.syy += syy;
        self.sxy += sxy;
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        let s = self;
        let some = |ok: bool, v: f64| Ok(if ok { Datum::Float8(v) } else { Datum::Null });
        match s.kind {
            Pair::Count => Ok(Datum::Int8(s.n as i64)),
            Pair::Sxx => some(s.n >= 1.0, s.sxx),
            Pair::Syy => some(s.n >= 1.0, s.syy),
            Pair::Sxy => some(s.n >= 1.0, s.sxy),
            Pair::AvgX => some(s.n >= 1.0, s.sx / s.n),
            Pair::AvgY => some(s.n >= 1.0, s.sy / s.n),
            Pair::CovarPop => some(s.n >= 1.0, s.sxy / s.n),
            Pair::CovarSamp => some(s.n >= 2.0, s.sxy / (s.n - 1.0)),
            Pair::Corr => some(s.n >= 1.0 && s.sxx != 0.0 && s.syy != 0.0, s.sxy / (s.sxx * s.syy).sqrt()),
            Pair::R2 if s.n >= 1.0 && s.sxx != 0.0 && s.syy == 0.0 => Ok(Datum::Float8(1.0)),
            Pair::R2 => some(s.n >= 1.0 && s.sxx != 0.0, s.sxy * s.sxy / (s.sxx * s.syy)),
            Pair::Slope => some(s.n >= 1.0 && s.sxx != 0.0, s.sxy / s.sxx),
            Pair::Intercept => some(s.n >= 1.0 && s.sxx != 0.0, (s.sy - s.sx * s.sxy / s.sxx) / s.n),
        }
    }
}
