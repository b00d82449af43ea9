//! bit and bit varying: `varbit.c`.

use super::macros::{kernels, pure};
use curia_types::{Bits, Datum, PgType, Result, SqlError, SqlState, oid};
use std::cmp::Ordering;
use std::sync::Arc;

fn put(b: Bits) -> Result<Datum> {
    Ok(Datum::Bits(Arc::new(b)))
}
fn number(n: usize) -> Result<Datum> {
    Ok(Datum::Int4(n as i32))
}
fn error(code: SqlState, message: String) -> SqlError {
    SqlError::new(code, message)
}
fn of_one_size(a: &Bits, b: &Bits, verb: &str) -> Result<()> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(error(
        SqlState::new("22026"),
        format!("cannot {verb} bit strings of different sizes"),
    ))
}
pub(super) fn and(a: &Bits, b: &Bits) -> Result<Bits> {
    of_one_size(a, b, "AND")?;
    Ok(a.zip(b, |x, y| x & y))
}
pub(super) fn or(a: &Bits, b: &Bits) -> Result<Bits> {
    of_one_size(a, b, "OR")?;
    Ok(a.zip(b, |x, y| x | y))
}
pub(super) fn xor(a: &Bits, b: &Bits) -> Result<Bits> {
    of_one_size(a, b, "XOR")?;
    Ok(a.zip(b, |x, y| x ^ y))
}
/// `substring`: from place `start`, counted from 1 and perhaps before it.
fn substring(b: &Bits, start: i32, length: Option<i32>) -> Result<Datum> {
    let first = i64::from(start) - 1;
    let end = match length {
        Some(n) if n < 0 => return Err(error(SqlState::new("22011"), "negative substring length not allowed".to_owned())),
        Some(n) => first + i64::from(n),
        None => b.len() as i64,
    };
    let (first, end) = (first.max(0) as usize, end.clamp(0, b.len() as i64) as usize);
    put(b.slice(first, end.saturating_sub(first)))
}
fn overlay(b: &Bits, with: &Bits, start: i32, length: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(error(SqlState::new("22011"), "negative substring length not allowed".to_owned()));
    }
    let after = start
        .checked_add(length)
        .ok_or_else(|| error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range".to_owned()))?;
    let rest = b.slice((after.max(1) - 1) as usize, b.len());
    put(b.slice(0, start as usize - 1).concat(with).concat(&rest))
}
fn position(b: &Bits, part: &Bits) -> usize {
    if part.is_empty() {
        return usize::from(!b.is_empty());
    }
    let last = b.len().checked_sub(part.len());
    let found = last.and_then(|last| (0..=last).find(|at| part.iter().enumerate().all(|(i, bit)| b.get(at + i) == bit)));
    found.map_or(0, |at| at + 1)
}
fn place(b: &Bits, n: i32) -> Result<usize> {
    usize::try_from(n).ok().filter(|n| *n < b.len()).ok_or_else(|| {
        let last = b.len() as i64 - 1;
        error(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("bit index {n} out of valid range (0..{last})"),
        )
    })
}
fn set_bit(b: &Bits, n: i32, value: i32) -> Result<Datum> {
    let at = place(b, n)?;
    if !(0..=1).contains(&value) {
        return Err(error(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1".to_owned()));
    }
    let mut new = b.clone();
    new.set(at, value == 1);
    put(new)
}
fn integer(b: &Bits, width: usize, name: &str) -> Result<i64> {
    if b.len() > width {
        return Err(error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range")));
    }
    Ok(b.iter().fold(0u64, |v, bit| v << 1 | u64::from(bit)) as i64)
}
fn of_integer(v: i64, typmod: i32) -> Result<Datum> {
    put(Bits::of_integer(v, usize::try_from(typmod).ok().filter(|n| *n > 0).unwrap_or(1)))
}
fn coerce(ty: u32, b: &Bits, typmod: i32, explicit: bool) -> Result<Datum> {
    if typmod < 0 || (ty == oid::BIT && typmod == 0) {
        return put(b.clone());
    }
    put(b.coerce(PgType::with_typmod(ty, typmod), explicit)?)
}
fn order(o: Ordering) -> i32 {
    o as i32
}

kernels! {
    "biteq" = pure!(|a: &Bits, b: &Bits| -> Bool a == b);
    "bitne" = pure!(|a: &Bits, b: &Bits| -> Bool a != b);
    "bitlt" = pure!(|a: &Bits, b: &Bits| -> Bool a < b);
    "bitle" = pure!(|a: &Bits, b: &Bits| -> Bool a <= b);
    "bitgt" = pure!(|a: &Bits, b: &Bits| -> Bool a > b);
    "bitge" = pure!(|a: &Bits, b: &Bits| -> Bool a >= b);
    "bitcmp" = pure!(|a: &Bits, b: &Bits| -> Int4 order(a.cmp(b)));
    "bit_and" => pure!(|a: &Bits, b: &Bits| ? put(and(a, b)?));
    "bit_or" => pure!(|a: &Bits, b: &Bits| ? put(or(a, b)?));
    "bitxor" => pure!(|a: &Bits, b: &Bits| ? put(xor(a, b)?));
    "bitnot" = pure!(|a: &Bits| ? put(a.not()));
    "bitshiftleft" = pure!(|a: &Bits, n: i32| ? put(a.shifted(i64::from(n))));
    "bitshiftright" = pure!(|a: &Bits, n: i32| ? put(a.shifted(-i64::from(n))));
    "bitcat" = pure!(|a: &Bits, b: &Bits| ? put(a.concat(b)));
    "bitlength" = pure!(|a: &Bits| ? number(a.len()));
    "bit_length(bit)" = pure!(|a: &Bits| ? number(a.len()));
    "bitoctetlength" = pure!(|a: &Bits| ? number(a.bytes().len()));
    "bit_bit_count" = pure!(|a: &Bits| -> Int8 a.bytes().iter().map(|b| i64::from(b.count_ones())).sum());
    "bitsubstr" => pure!(|a: &Bits, s: i32, n: i32| ? substring(a, s, Some(n)));
    "bitsubstr_no_len" => pure!(|a: &Bits, s: i32| ? substring(a, s, None));
    "bitoverlay" => pure!(|a: &Bits, b: &Bits, s: i32, n: i32| ? overlay(a, b, s, n));
    "bitoverlay_no_len" => pure!(|a: &Bits, b: &Bits, s: i32| ? overlay(a, b, s, b.len() as i32));
    "bitposition" = pure!(|a: &Bits, b: &Bits| ? number(position(a, b)));
    "bitgetbit" => pure!(|a: &Bits, n: i32| ? place(a, n).map(|at| Datum::Int4(i32::from(a.get(at)))));
    "bitsetbit" => pure!(|a: &Bits, n: i32, v: i32| ? set_bit(a, n, v));
    "bittoint4" => pure!(|a: &Bits| ? integer(a, 32, "integer").map(|v| Datum::Int4(v as i32)));
    "bittoint8" => pure!(|a: &Bits| ? integer(a, 64, "bigint").map(Datum::Int8));
    "bitfromint4" = pure!(|v: i32, typmod: i32| ? of_integer(i64::from(v), typmod));
    "bitfromint8" = pure!(|v: i64, typmod: i32| ? of_integer(v, typmod));
    "bit" => pure!(|a: &Bits, typmod: i32, explicit: bool| ? coerce(oid::BIT, a, typmod, explicit));
    "varbit" => pure!(|a: &Bits, typmod: i32, explicit: bool| ? coerce(oid::VARBIT, a, typmod, explicit));
}
