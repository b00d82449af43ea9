//! Text forms of transaction ids, their snapshots and log positions.

use super::{invalid, is_space, trim};
use crate::{Result, SqlError, SqlState};

/// Reads xid8 as C's strtoull does: leading digits count, in base 8 or 16 with C's prefixes; anything else is zero.
pub(super) fn parse_xid8(s: &str) -> u64 {
    let t = s.trim_start_matches(is_space);
    let (negative, t) = match t.as_bytes().first() {
        Some(b'-') => (true, &t[1..]),
        Some(b'+') => (false, &t[1..]),
        _ => (false, t),
    };
    let (base, digits) = match t.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &t[2..]),
        [b'0', ..] => (8, t),
        _ => (10, t),
    };
    let mut value: Option<u64> = Some(0);
    for digit in digits.chars().map_while(|c| c.to_digit(base)) {
        value = value
            .and_then(|v| v.checked_mul(u64::from(base)))
            .and_then(|v| v.checked_add(u64::from(digit)));
    }
    match value {
        Some(v) if negative => v.wrapping_neg(),
        Some(v) => v,
        None => u64::MAX,
    }
}

/// Reads `16/B374D848`. 22P02.
pub(super) fn parse_lsn(s: &str) -> Result<u64> {
    let half = |h: &str| {
        let fits = (1..=8).contains(&h.len()) && h.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { u64::from_str_radix(h, 16).ok() } else { None }
    };
    s.split_once('/')
        .and_then(|(high, low)| Some(half(high)? << 32 | half(low)?))
        .ok_or_else(|| invalid("pg_lsn", s))
}

/// Checks `xmin:xmax:xip,..` and gives it without repeated transactions. 22P02.
pub(super) fn parse_snapshot(s: &str) -> Result<String> {
    let bad = || {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type pg_snapshot: \"{s}\""),
        )
    };
    let number = |t: &str| {
        let digits = !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if digits { t.parse::<u64>().ok() } else { None }
    };
    let mut parts = trim(s).splitn(3, ':');
    let mut next = || parts.next().ok_or_else(bad);
    let (xmin, xmax, list) = (next()?, next()?, next()?);
    let (xmin, xmax) = (number(xmin).ok_or_else(bad)?, number(xmax).ok_or_else(bad)?);
    if xmin == 0 || xmax == 0 || xmin > xmax || xmax > i64::MAX as u64 {
        return Err(bad());
    }
    let mut running: Vec<u64> = Vec::new();
    for xid in list.split(',').filter(|_| !list.is_empty()) {
        let xid = number(xid).ok_or_else(bad)?;
        if xid < xmin || xid >= xmax || running.last().is_some_and(|last| *last > xid) {
            return Err(bad());
        }
        if running.last() != Some(&xid) {
            running.push(xid);
        }
    }
    let running: Vec<String> = running.iter().map(u64::to_string).collect();
    Ok(format!("{xmin}:{xmax}:{}", running.join(",")))
}
