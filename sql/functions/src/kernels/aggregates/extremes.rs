//! min and max, and, or, bits: state is one value of the argument's type.

use crate::Accumulator;
use crate::compare::compare_datums;
use curia_types::{Datum, Result, SqlError, oid};

pub(super) struct Extreme {
    max: bool,
    ty: u32,
    value: Datum,
}
impl Extreme {
    pub(super) fn new(max: bool, ty: u32) -> Extreme {
        Extreme {
            max,
            ty,
            value: Datum::Null,
        }
    }
}
impl Accumulator for Extreme {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        let v = &args[0];
        if v.is_null() {
            return Ok(());
        }
        let order = compare_datums(self.ty, v, &self.value);
        // Of equal values the last one stays, but for bpchar, as the larger and smaller functions of each type choose.
        let order = if self.max { order } else { order.reverse() };
        if self.value.is_null() || order.is_gt() || (order.is_eq() && self.ty != oid::BPCHAR) {
            self.value = v.clone();
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.value.clone()])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.accumulate(state)
    }
    fn finish(&self) -> Result<Datum> {
        Ok(self.value.clone())
    }
}

pub(super) struct Logic {
    pub and: bool,
    pub value: Option<bool>,
}
impl Accumulator for Logic {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if let Datum::Bool(b) = args[0] {
            self.value = Some(match self.value {
                None => b,
                Some(v) if self.and => v && b,
                Some(v) => v || b,
            });
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.finish()?])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.accumulate(state)
    }
    fn finish(&self) -> Result<Datum> {
        Ok(self.value.map_or(Datum::Null, Datum::Bool))
    }
}

#[derive(Clone, Copy)]
pub(super) enum Bit {
    And,
    Or,
    Xor,
}
pub(super) struct Bits {
    op: Bit,
    value: Datum,
}
impl Bits {
    pub(super) fn new(op: Bit) -> Bits {
        Bits { op, value: Datum::Null }
    }
}
impl Accumulator for Bits {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        let apply = |a: i64, b: i64| match self.op {
            Bit::And => a & b,
            Bit::Or => a | b,
            Bit::Xor => a ^ b,
        };
        self.value = match (&self.value, &args[0]) {
            (_, Datum::Null) => return Ok(()),
            (Datum::Null, v) => v.clone(),
            (Datum::Int2(a), Datum::Int2(b)) => Datum::Int2(apply(i64::from(*a), i64::from(*b)) as i16),
            (Datum::Int4(a), Datum::Int4(b)) => Datum::Int4(apply(i64::from(*a), i64::from(*b)) as i32),
            (Datum::Int8(a), Datum::Int8(b)) => Datum::Int8(apply(*a, *b)),
            (Datum::Bits(a), Datum::Bits(b)) => Datum::Bits(std::sync::Arc::new(match self.op {
                Bit::And => crate::kernels::bits::and(a, b)?,
                Bit::Or => crate::kernels::bits::or(a, b)?,
                Bit::Xor => crate::kernels::bits::xor(a, b)?,
            })),
            (a, b) => return Err(SqlError::internal(format!("aggregate state {a:?} {b:?}"))),
        };
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.value.clone()])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.accumulate(state)
    }
    fn finish(&self) -> Result<Datum> {
        Ok(self.value.clone())
    }
}
