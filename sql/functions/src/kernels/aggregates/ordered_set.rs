//! Aggregates WITHIN GROUP (ORDER BY ..): percentiles, mode and hypothetical ranks. Rows come in the order asked for; the arguments are
//! the direct ones and then the values (`orderedsetaggs.c`), or what `curia-bind` makes of a hypothetical row: whether the row is before
//! it, whether it is its peer, the row's values.

use crate::Accumulator;
use crate::compare::compare_datums;
use curia_types::datetime::{interval_add, interval_mul, interval_sub};
use curia_types::{ArrayValue, Datum, Result, SqlError, SqlState};
use std::sync::Arc;

/// What a percentile is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Percentile {
    /// percentile_disc: one of the values.
    Value,
    /// percentile_cont: between two of them.
    Between,
}

/// percentile_disc and percentile_cont, of one fraction or an array of them.
pub(super) struct Percentiles {
    kind: Percentile,
    element: u32,
    fraction: Datum,
    values: Vec<Datum>,
}

impl Percentiles {
    /// `element` is the type of the values.
    pub(super) fn new(kind: Percentile, element: u32) -> Percentiles {
        Percentiles {
            kind,
            element,
            fraction: Datum::Null,
            values: Vec::new(),
        }
    }

    fn at(&self, fraction: &Datum) -> Result<Datum> {
        let Datum::Float8(p) = *fraction else { return Ok(Datum::Null) };
        if !(0.0..=1.0).contains(&p) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("percentile value {p} is not between 0 and 1"),
            ));
        }
        let last = self.values.len() - 1;
        if self.kind == Percentile::Value {
            let row = ((p * self.values.len() as f64).ceil() as usize).max(1);
            return Ok(self.values[row - 1].clone());
        }
        let place = p * last as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        let share = place - low as f64;
        match (&self.values[low], &self.values[high.min(last)]) {
            (low, high) if share == 0.0 || low == high => Ok(if share == 0.0 { low.clone() } else { high.clone() }),
            (Datum::Float8(low), Datum::Float8(high)) => Ok(Datum::Float8(low + share * (high - low))),
            (Datum::Interval(low), Datum::Interval(high)) => {
                let step = interval_mul(interval_sub(*high, *low)?, share)?;
                Ok(Datum::Interval(interval_add(step, *low)?))
            }
            (other, _) => Err(SqlError::internal(format!("a percentile of {other:?}"))),
        }
    }
}

impl Accumulator for Percentiles {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if self.fraction.is_null() {
            self.fraction = args[0].clone();
        }
        if !args[1].is_null() {
            self.values.push(args[1].clone());
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Err(no_parts())
    }
    fn merge(&mut self, _state: &[Datum]) -> Result<()> {
        Err(no_parts())
    }
    fn finish(&self) -> Result<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        match &self.fraction {
            Datum::Array(fractions) => Ok(Datum::Array(Arc::new(ArrayValue {
                element: self.element,
                dimensions: fractions.dimensions.clone(),
                elements: fractions.elements.iter().map(|f| self.at(f)).collect::<Result<_>>()?,
            }))),
            one => self.at(one),
        }
    }
    fn size(&self) -> usize {
        64 + self.values.capacity() * 48
    }
}

fn no_parts() -> SqlError {
    SqlError::internal("an ordered-set aggregate has no partial results")
}

/// mode(): the first of the most frequent values.
pub(super) struct Mode {
    ty: u32,
    best: (Datum, i64),
    run: (Datum, i64),
}

impl Mode {
    pub(super) fn new(ty: u32) -> Mode {
        Mode {
            ty,
            best: (Datum::Null, 0),
            run: (Datum::Null, 0),
        }
    }
}

impl Accumulator for Mode {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        let value = &args[0];
        if value.is_null() {
            return Ok(());
        }
        if self.run.1 > 0 && compare_datums(self.ty, &self.run.0, value).is_eq() {
            self.run.1 += 1;
        } else {
            self.run = (value.clone(), 1);
        }
        if self.run.1 > self.best.1 {
            self.best = self.run.clone();
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Err(no_parts())
    }
    fn merge(&mut self, _state: &[Datum]) -> Result<()> {
        Err(no_parts())
    }
    fn finish(&self) -> Result<Datum> {
        Ok(self.best.0.clone())
    }
}

/// Which rank of the hypothetical row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranking {
    Plain,
    Dense,
    Percent,
    CumulativeShare,
}

/// rank, dense_rank, percent_rank and cume_dist of a hypothetical row.
pub(super) struct Hypothetical {
    kind: Ranking,
    types: Vec<u32>,
    last: Vec<Datum>,
    rows: i64,
    before: i64,
    distinct_before: i64,
    peers: i64,
}

impl Hypothetical {
    /// `types` are those of the row's values.
    pub(super) fn new(kind: Ranking, types: Vec<u32>) -> Hypothetical {
        Hypothetical {
            kind,
            types,
            last: Vec::new(),
            rows: 0,
            before: 0,
            distinct_before: 0,
            peers: 0,
        }
    }
}

impl Accumulator for Hypothetical {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        self.rows += 1;
        if args[0] == Datum::Bool(true) {
            let same = |((a, b), ty): ((&Datum, &Datum), &u32)| compare_datums(*ty, a, b).is_eq();
            if self.before == 0 || !self.last.iter().zip(&args[2..]).zip(&self.types).all(same) {
                self.distinct_before += 1;
                self.last = args[2..].to_vec();
            }
            self.before += 1;
        } else if args[1] == Datum::Bool(true) {
            self.peers += 1;
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Err(no_parts())
    }
    fn merge(&mut self, _state: &[Datum]) -> Result<()> {
        Err(no_parts())
    }
    fn finish(&self) -> Result<Datum> {
        Ok(match self.kind {
            Ranking::Plain => Datum::Int8(self.before + 1),
            Ranking::Dense => Datum::Int8(self.distinct_before + 1),
            Ranking::Percent if self.rows == 0 => Datum::Float8(0.0),
            Ranking::Percent => Datum::Float8(self.before as f64 / self.rows as f64),
            Ranking::CumulativeShare => Datum::Float8((self.before + self.peers + 1) as f64 / (self.rows + 1) as f64),
        })
    }
}
