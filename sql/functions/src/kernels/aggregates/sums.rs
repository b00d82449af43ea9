//! count, sum and avg.

use crate::Accumulator;
use curia_types::numeric::NumericSum;
use curia_types::{Datum, Interval, Numeric, Result, SqlError, SqlState, datetime};

pub(super) fn int8_of(d: &Datum) -> Result<i64> {
    match d {
        Datum::Int2(v) => Ok(i64::from(*v)),
        Datum::Int4(v) => Ok(i64::from(*v)),
        Datum::Int8(v) => Ok(*v),
        other => Err(SqlError::internal(format!("aggregate state {other:?}"))),
    }
}
pub(super) fn float8_of(d: &Datum) -> Result<f64> {
    match d {
        Datum::Float4(v) => Ok(f64::from(*v)),
        Datum::Float8(v) => Ok(*v),
        other => Err(SqlError::internal(format!("aggregate state {other:?}"))),
    }
}

pub(super) struct Count {
    pub rows: bool,
    pub n: i64,
}
impl Accumulator for Count {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        self.n += i64::from(self.rows || !args.first().is_none_or(Datum::is_null));
        Ok(())
    }
    fn retract(&mut self, args: &[Datum]) -> Result<bool> {
        self.n -= i64::from(self.rows || !args.first().is_none_or(Datum::is_null));
        Ok(true)
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![Datum::Int8(self.n)])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.n += int8_of(&state[0])?;
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        Ok(Datum::Int8(self.n))
    }
}

/// sum(int2), sum(int4) as int8.
pub(super) struct IntegerSum {
    pub sum: i64,
    pub n: i64,
}
fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
}
impl Accumulator for IntegerSum {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if !args[0].is_null() {
            self.sum = self.sum.checked_add(int8_of(&args[0])?).ok_or_else(overflow)?;
            self.n += 1;
        }
        Ok(())
    }
    fn retract(&mut self, args: &[Datum]) -> Result<bool> {
        if !args[0].is_null() {
            self.sum = self.sum.checked_sub(int8_of(&args[0])?).ok_or_else(overflow)?;
            self.n -= 1;
        }
        Ok(true)
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![Datum::Int8(self.sum), Datum::Int8(self.n)])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.sum = self.sum.checked_add(int8_of(&state[0])?).ok_or_else(overflow)?;
        self.n += int8_of(&state[1])?;
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        Ok(if self.n == 0 { Datum::Null } else { Datum::Int8(self.sum) })
    }
}

/// Sums and averages that are numeric: of numeric, of int8, averages of all integers.
pub(super) struct NumericSums {
    pub avg: bool,
    pub sum: NumericSum,
}
impl Accumulator for NumericSums {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        match &args[0] {
            Datum::Null => {}
            Datum::Numeric(n) => self.sum.add(n),
            other => self.sum.add_i128(i128::from(int8_of(other)?)),
        }
        Ok(())
    }
    fn retract(&mut self, args: &[Datum]) -> Result<bool> {
        Ok(match &args[0] {
            Datum::Null => true,
            Datum::Numeric(n) => self.sum.retract(n),
            other => self.sum.retract(&Numeric::from(int8_of(other)?)),
        })
    }
    fn state(&self) -> Result<Vec<Datum>> {
        let (sum, counts) = self.sum.to_parts()?;
        Ok(std::iter::once(Datum::Numeric(sum))
            .chain(counts.into_iter().map(Datum::Int8))
            .collect())
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        let Datum::Numeric(sum) = &state[0] else {
            return Err(SqlError::internal("aggregate state"));
        };
        let mut counts = [0; 6];
        for (c, d) in counts.iter_mut().zip(&state[1..]) {
            *c = int8_of(d)?;
        }
        self.sum.merge(&NumericSum::from_parts(sum, counts)?);
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        let result = if self.avg { self.sum.avg()? } else { self.sum.sum()? };
        Ok(result.map_or(Datum::Null, Datum::Numeric))
    }
}

pub(super) struct FloatSum {
    pub single: bool,
    pub sum: Option<f64>,
}
impl FloatSum {
    fn add(&mut self, v: f64) -> Result<()> {
        self.sum = Some(match self.sum {
            None => v,
            Some(s) if self.single => {
                let r = s as f32 + v as f32;
                super::super::floats::check_f32(r, (s as f32).is_infinite() || (v as f32).is_infinite())?;
                f64::from(r)
            }
            Some(s) => super::super::floats::check_f64(s + v, s.is_infinite() || v.is_infinite())?,
        });
        Ok(())
    }
}
impl Accumulator for FloatSum {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if args[0].is_null() {
            Ok(())
        } else {
            self.add(float8_of(&args[0])?)
        }
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.sum.map_or(Datum::Null, Datum::Float8)])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        if state[0].is_null() {
            Ok(())
        } else {
            self.add(float8_of(&state[0])?)
        }
    }
    fn finish(&self) -> Result<Datum> {
        Ok(match self.sum {
            None => Datum::Null,
            Some(s) if self.single => Datum::Float4(s as f32),
            Some(s) => Datum::Float8(s),
        })
    }
}

pub(super) struct IntervalSum {
    pub avg: bool,
    pub sum: Option<Interval>,
    pub n: i64,
}
impl Accumulator for IntervalSum {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if let Datum::Interval(i) = &args[0] {
            self.sum = Some(match self.sum {
                None => *i,
                Some(s) => datetime::interval_add(s, *i)?,
            });
            self.n += 1;
        }
        Ok(())
    }
    fn retract(&mut self, args: &[Datum]) -> Result<bool> {
        if let (Datum::Interval(i), Some(s)) = (&args[0], self.sum) {
            self.n -= 1;
            self.sum = if self.n == 0 { None } else { Some(datetime::interval_sub(s, *i)?) };
        }
        Ok(true)
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.sum.map_or(Datum::Null, Datum::Interval), Datum::Int8(self.n)])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        let n = self.n + int8_of(&state[1])?;
        self.accumulate(state)?;
        self.n = n;
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        match self.sum {
            Some(s) if self.avg => datetime::interval_div(s, self.n as f64).map(Datum::Interval),
            Some(s) => Ok(Datum::Interval(s)),
            None => Ok(Datum::Null),
        }
    }
}
