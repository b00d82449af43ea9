//! Transaction ids of 64 bits, snapshots of them, and log positions.

use super::macros::{kernels, pure};
use crate::Kernel::{Session, Set};
use curia_types::{Datum, Numeric, Result, SqlError, SqlState};
use std::cmp::Ordering;

fn order(o: Ordering) -> i32 {
    o as i32
}

/// The parts of `xmin:xmax:xip,..`, which its input function has checked.
fn snapshot(s: &str) -> Result<(u64, u64, Vec<u64>)> {
    let bad = || SqlError::internal(format!("an impossible snapshot {s}"));
    let number = |t: &str| t.parse::<u64>().map_err(|_| bad());
    let mut parts = s.split(':');
    let mut next = || parts.next().ok_or_else(bad);
    let (xmin, xmax, list) = (next()?, next()?, next()?);
    let running = list.split(',').filter(|t| !t.is_empty()).map(number).collect::<Result<_>>()?;
    Ok((number(xmin)?, number(xmax)?, running))
}

fn visible(xid: u64, s: &str) -> Result<Datum> {
    let (xmin, xmax, running) = snapshot(s)?;
    Ok(Datum::Bool(xid < xmin || (xid < xmax && !running.contains(&xid))))
}

/// A number as the SQL function's result type has it: xid8, or bigint of the older names.
fn as_declared(ret: u32, v: u64) -> Datum {
    if ret == curia_types::oid::INT8 {
        Datum::Int8(v as i64)
    } else {
        Datum::Word(v)
    }
}

fn moved(lsn: u64, by: &Numeric, back: bool) -> Result<Datum> {
    let range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "pg_lsn out of range");
    if by.is_nan() {
        let verb = if back { "subtract NaN from" } else { "add NaN to" };
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("cannot {verb} pg_lsn")));
    }
    let lsn = Numeric::from_i128(i128::from(lsn), 0);
    let result = if back { lsn.sub(by)? } else { lsn.add(by)? };
    Ok(Datum::Word(
        result
            .to_string()
            .split('.')
            .next()
            .and_then(|t| t.parse().ok())
            .ok_or_else(range)?,
    ))
}

kernels! {
    "xid8eq" = pure!(|a: u64, b: u64| -> Bool a == b);
    "xid8ne" = pure!(|a: u64, b: u64| -> Bool a != b);
    "xid8lt" = pure!(|a: u64, b: u64| -> Bool a < b);
    "xid8le" = pure!(|a: u64, b: u64| -> Bool a <= b);
    "xid8gt" = pure!(|a: u64, b: u64| -> Bool a > b);
    "xid8ge" = pure!(|a: u64, b: u64| -> Bool a >= b);
    "xid8cmp" = pure!(|a: u64, b: u64| -> Int4 order(a.cmp(&b)));
    "xid8_larger" = pure!(|a: u64, b: u64| -> Word a.max(b));
    "xid8_smaller" = pure!(|a: u64, b: u64| -> Word a.min(b));
    "xid8toxid" = pure!(|a: u64| -> Oid a as u32);
    "pg_lsn_eq" = pure!(|a: u64, b: u64| -> Bool a == b);
    "pg_lsn_ne" = pure!(|a: u64, b: u64| -> Bool a != b);
    "pg_lsn_lt" = pure!(|a: u64, b: u64| -> Bool a < b);
    "pg_lsn_le" = pure!(|a: u64, b: u64| -> Bool a <= b);
    "pg_lsn_gt" = pure!(|a: u64, b: u64| -> Bool a > b);
    "pg_lsn_ge" = pure!(|a: u64, b: u64| -> Bool a >= b);
    "pg_lsn_cmp" = pure!(|a: u64, b: u64| -> Int4 order(a.cmp(&b)));
    "pg_lsn_larger" = pure!(|a: u64, b: u64| -> Word a.max(b));
    "pg_lsn_smaller" = pure!(|a: u64, b: u64| -> Word a.min(b));
    "pg_lsn_mi" = pure!(|a: u64, b: u64| -> Numeric Numeric::from_i128(i128::from(a) - i128::from(b), 0));
    "pg_wal_lsn_diff" = pure!(|a: u64, b: u64| -> Numeric Numeric::from_i128(i128::from(a) - i128::from(b), 0));
    "pg_lsn_pli" => pure!(|a: u64, n: &Numeric| ? moved(a, n, false));
    "pg_lsn_mii" => pure!(|a: u64, n: &Numeric| ? moved(a, n, true));
    "numeric_pl_pg_lsn(numeric,pg_lsn)" => pure!(|n: &Numeric, a: u64| ? moved(a, n, false));
    "numeric_pg_lsn" => pure!(|n: &Numeric| ? {
        if n.is_nan() {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot convert NaN to pg_lsn"));
        }
        let range = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "pg_lsn out of range");
        n.to_string().split('.').next().and_then(|t| t.parse().ok()).map(Datum::Word).ok_or_else(range)
    });
    "pg_current_snapshot" => Session;
    "pg_snapshot_xmin" = crate::Kernel::Typed(|_, t, args| match &args[0] { Datum::Text(s) => Ok(as_declared(t.ret.oid, snapshot(s)?.0)), _ => Ok(Datum::Null) });
    "pg_snapshot_xmax" = crate::Kernel::Typed(|_, t, args| match &args[0] { Datum::Text(s) => Ok(as_declared(t.ret.oid, snapshot(s)?.1)), _ => Ok(Datum::Null) });
    "pg_snapshot_xip" = Set(|_, t, args| {
        let Datum::Text(s) = &args[0] else { return Ok(Box::new(std::iter::empty())) };
        let ret = t.ret.oid;
        Ok(Box::new(snapshot(s)?.2.into_iter().map(move |x| Ok(vec![as_declared(ret, x)]))))
    });
    "pg_visible_in_snapshot" = crate::Kernel::Pure(|args| match args {
        [Datum::Int8(x), Datum::Text(s)] => visible(*x as u64, s),
        [Datum::Word(x), Datum::Text(s)] => visible(*x, s),
        _ => Ok(Datum::Null),
    });
}
