//! Text forms of float4 and float8: shortest text that reads back exactly, or C's `%g` when extra_float_digits asks for it.

use crate::{Result, SqlError, SqlState};

/// Significant digits that always survive (DBL_DIG, FLT_DIG).
const F64_DIGITS: i32 = 15;
const F32_DIGITS: i32 = 6;

/// Appends a float8.
pub fn write_f64(v: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if special(v, out) {
        return;
    }
    if extra_float_digits > 0 {
        let mut buffer = ryu::Buffer::new();
        shortest(buffer.format_finite(v), F64_DIGITS, out);
    } else {
        general(v, (F64_DIGITS + extra_float_digits).max(1), out);
    }
}

/// Appends a float4.
pub fn write_f32(v: f32, extra_float_digits: i32, out: &mut Vec<u8>) {
    if special(f64::from(v), out) {
        return;
    }
    if extra_float_digits > 0 {
        let mut buffer = ryu::Buffer::new();
        shortest(buffer.format_finite(v), F32_DIGITS, out);
    } else {
        general(f64::from(v), (F32_DIGITS + extra_float_digits).max(1), out);
    }
}

fn special(v: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = match v {
        v if v.is_nan() => b"NaN",
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ => return false,
    };
    out.extend_from_slice(text);
    true
}

/// Rewrites ryu's notation (`1.5e-7`, `100.0`) as PostgreSQL's: fixed from 1e-4 up to `digits` integer digits, else `1.5e-07`.
fn shortest(ryu: &str, digits: i32, out: &mut Vec<u8>) {
    let (sign, body) = match ryu.strip_prefix('-') {
        Some(b) => (true, b),
        None => (false, ryu),
    };
    let (mantissa, exponent) = match body.split_once('e') {
        Some((m, e)) => (m, e.parse::<i32>().unwrap_or(0)),
        None => (body, 0),
    };
    let (int, frac) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // All significant digits in a row; the value is 0.d1d2.. * 10^point.
    let mut row = [0u8; 40];
    let mut n = 0;
    for b in int.bytes().chain(frac.bytes()).take(row.len()) {
        row[n] = b;
        n += 1;
    }
    let lead = row[..n].iter().position(|b| *b != b'0').unwrap_or(n);
    let point = int.len() as i32 + exponent - lead as i32;
    let end = row[..n].iter().rposition(|b| *b != b'0').map_or(lead, |p| p + 1);
    place(sign, &row[lead..end], point, digits, out);
}

/// C's `%.{precision}g`.
fn general(v: f64, precision: i32, out: &mut Vec<u8>) {
    let text = format!("{:.*e}", (precision - 1) as usize, v.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let row: Vec<u8> = mantissa.bytes().filter(|b| *b != b'.').collect();
    let end = row.iter().rposition(|b| *b != b'0').map_or(0, |p| p + 1);
    place(
        v.is_sign_negative(),
        &row[..end],
        exponent.parse::<i32>().unwrap_or(0) + 1,
        precision,
        out,
    );
}

fn place(negative: bool, row: &[u8], point: i32, digits: i32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if row.is_empty() {
        out.push(b'0');
        return;
    }
    let exponent = point - 1;
    if exponent < -4 || exponent >= digits {
        out.push(row[0]);
        if row.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&row[1..]);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        let e = exponent.unsigned_abs();
        if e >= 100 {
            out.push(b'0' + (e / 100) as u8);
        }
        out.push(b'0' + (e / 10 % 10) as u8);
        out.push(b'0' + (e % 10) as u8);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-point) as usize, b'0');
        out.extend_from_slice(row);
    } else if row.len() as i32 <= point {
        out.extend_from_slice(row);
        out.resize(out.len() + (point as usize - row.len()), b'0');
    } else {
        let (int, frac) = row.split_at(point as usize);
        out.extend_from_slice(int);
        out.push(b'.');
        out.extend_from_slice(frac);
    }
}

/// Reads a float8. 22P02 on syntax, 22003 when it overflows or vanishes.
pub fn parse_f64(s: &str) -> Result<f64> {
    parse_with(s, "double precision", |t| t.parse::<f64>().ok(), |v| (v.is_infinite(), v == 0.0))
}

/// Reads a float4. Errors as for float8.
pub fn parse_f32(s: &str) -> Result<f32> {
    parse_with(s, "real", |t| t.parse::<f32>().ok(), |v| (v.is_infinite(), v == 0.0))
}

fn parse_with<T: Copy>(s: &str, name: &str, read: fn(&str) -> Option<T>, judge: fn(T) -> (bool, bool)) -> Result<T> {
    let t = s.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let body = t.trim_start_matches(['+', '-']);
    let word = body.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let known = !word || ["nan", "inf", "infinity"].iter().any(|w| body.eq_ignore_ascii_case(w));
    let invalid = || {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {name}: \"{s}\""),
        )
    };
    let v = (known && !t.is_empty()).then(|| read(t)).flatten().ok_or_else(invalid)?;
    let (infinite, zero) = judge(v);
    let mantissa_nonzero = || {
        body.split(['e', 'E'])
            .next()
            .is_some_and(|m| m.bytes().any(|b| (b'1'..=b'9').contains(&b)))
    };
    if !word && (infinite || (zero && mantissa_nonzero())) {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{t}\" is out of range for type {name}"),
        ));
    }
    Ok(v)
}
