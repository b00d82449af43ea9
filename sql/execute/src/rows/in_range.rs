//! Where a RANGE frame with an offset begins or ends: PostgreSQL's `in_range` functions.
//!
//! The rows of a partition are in the order of one key. A row is inside a bound when its key compares with the current row's key plus or
//! minus the offset. A sum beyond the type's range lies beyond every row.

use super::sort::Key;
use crate::order;
use curia_types::datetime as dt;
use curia_types::{Datum, Interval, IoContext, Result, SqlError, SqlState};
use std::cmp::Ordering;

/// Which rows stand before a bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Those before the frame's first row.
    Start,
    /// Those up to the frame's last row.
    End,
}

/// A bound of one row's frame.
pub(super) struct RangeBound<'a> {
    pub key: &'a Key,
    /// The current row's key.
    pub current: &'a Datum,
    pub offset: &'a Datum,
    pub preceding: bool,
    pub side: Side,
}

impl RangeBound<'_> {
    /// How many rows of the partition, whose keys are `keys`, stand before the bound.
    pub fn rows_before(&self, keys: &[Datum], io: &IoContext) -> Result<usize> {
        let sum = if self.current.is_null() { None } else { Some(self.sum(io)?) };
        let (mut low, mut high) = (0, keys.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.before(&keys[middle], sum.as_ref())? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn before(&self, key: &Datum, sum: Option<&Sum>) -> Result<bool> {
        let nulls_first = self.key.by.nulls_first;
        let Some(sum) = sum.filter(|_| !key.is_null()) else {
            // NULLs are peers of each other and of nothing else.
            return Ok(match (key.is_null(), self.current.is_null(), self.side) {
                (true, false, _) => nulls_first,
                (false, true, _) => !nulls_first,
                (_, _, Side::Start) => false,
                (_, _, Side::End) => true,
            });
        };
        let ordering = match sum {
            Sum::Value(sum) => compare(key, sum)?,
            Sum::AboveAll => Ordering::Less,
            Sum::BelowAll => Ordering::Greater,
            // NaN is above all numbers.
            Sum::Everywhere => {
                return Ok(match self.side {
                    Side::Start => is_nan(key) && self.key.by.descending,
                    Side::End => !is_nan(key) || self.key.by.descending,
                });
            }
        };
        let ordering = if self.key.by.descending { ordering.reverse() } else { ordering };
        Ok(match self.side {
            Side::Start => ordering == Ordering::Less,
            Side::End => ordering != Ordering::Greater,
        })
    }

    /// The current key plus or minus the offset.
    fn sum(&self, io: &IoContext) -> Result<Sum> {
        let minus = self.preceding != self.key.by.descending;
        let bad = || {
            SqlError::new(
                SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                "invalid preceding or following size in window function",
            )
        };
        let beyond = if minus { Sum::BelowAll } else { Sum::AboveAll };
        if let (Some(base), Some(offset)) = (order::integer(self.current), order::integer(self.offset)) {
            if offset < 0 {
                return Err(bad());
            }
            let sum = if minus {
                base.checked_sub(offset)
            } else {
                base.checked_add(offset)
            };
            return Ok(sum.map_or(beyond, |v| Sum::Value(Datum::Int8(v))));
        }
        Ok(match (self.current, self.offset) {
            (current @ (Datum::Float4(_) | Datum::Float8(_)), Datum::Float8(offset)) => {
                if offset.is_nan() || *offset < 0.0 {
                    return Err(bad());
                }
                let base = match current {
                    Datum::Float4(v) => f64::from(*v),
                    Datum::Float8(v) => *v,
                    _ => f64::NAN,
                };
                if base.is_infinite() && offset.is_infinite() && (base > 0.0) == minus {
                    return Ok(Sum::Everywhere);
                }
                Sum::Value(Datum::Float8(if minus { base - offset } else { base + offset }))
            }
            (Datum::Numeric(base), Datum::Numeric(offset)) => {
                if offset.is_nan() || offset.signum() < 0 {
                    return Err(bad());
                }
                if base.is_infinite() && offset.is_infinite() && (base.signum() > 0) == minus {
                    return Ok(Sum::Everywhere);
                }
                Sum::Value(Datum::Numeric(if minus { base.sub(offset)? } else { base.add(offset)? }))
            }
            (Datum::Time(base), Datum::Interval(offset)) => {
                if offset.micros < 0 {
                    return Err(bad());
                }
                let sum = if minus {
                    base.checked_sub(offset.micros)
                } else {
                    base.checked_add(offset.micros)
                };
                sum.map_or(beyond, |v| Sum::Value(Datum::Time(v)))
            }
            (Datum::Timetz(base), Datum::Interval(offset)) => {
                if offset.micros < 0 {
                    return Err(bad());
                }
                let sum = if minus {
                    base.micros.checked_sub(offset.micros)
                } else {
                    base.micros.checked_add(offset.micros)
                };
                sum.map_or(beyond, |micros| Sum::Value(Datum::Timetz(dt::TimeTz { micros, ..*base })))
            }
            (base, Datum::Interval(offset)) => {
                if dt::interval_span(*offset) < 0 {
                    return Err(bad());
                }
                let by = if minus { dt::interval_neg(*offset)? } else { *offset };
                Sum::Value(moved(base, by, io)?)
            }
            _ => return Err(SqlError::internal("a RANGE offset of another type than its key's")),
        })
    }
}

/// What a key is compared with.
enum Sum {
    Value(Datum),
    AboveAll,
    BelowAll,
    /// An infinite key less or plus infinity: within reach of every number.
    Everywhere,
}

fn is_nan(key: &Datum) -> bool {
    match key {
        Datum::Float4(v) => v.is_nan(),
        Datum::Float8(v) => v.is_nan(),
        Datum::Numeric(v) => v.is_nan(),
        _ => false,
    }
}

fn moved(base: &Datum, by: Interval, io: &IoContext) -> Result<Datum> {
    Ok(match base {
        Datum::Date(d) => Datum::Timestamp(dt::timestamp_add(dt::date_to_timestamp(*d)?, by)?),
        Datum::Timestamp(t) => Datum::Timestamp(dt::timestamp_add(*t, by)?),
        Datum::Timestamptz(t) => Datum::Timestamptz(dt::timestamptz_add(*t, by, &io.zone)?),
        Datum::Interval(i) => Datum::Interval(dt::interval_add(*i, by)?),
        _ => return Err(SqlError::internal("an interval as the RANGE offset of another type")),
    })
}

/// Compares a row's key with a sum.
fn compare(key: &Datum, sum: &Datum) -> Result<Ordering> {
    let ordering = |a: &Datum, b: &Datum| order::compare(curia_types::PgType::UNKNOWN, a, b);
    Ok(match (key, sum) {
        (Datum::Date(d), Datum::Timestamp(_)) => ordering(&Datum::Timestamp(dt::date_to_timestamp(*d)?), sum),
        (Datum::Float4(v), Datum::Float8(_)) => ordering(&Datum::Float8(f64::from(*v)), sum),
        _ => ordering(key, sum),
    })
}
