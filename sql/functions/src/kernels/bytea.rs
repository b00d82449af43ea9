//! bytea, digests, encode and decode.

use super::macros::{kernels, pure};
use curia_types::text_io::{decode_hex, write_hex};
use curia_types::{ByteaOutput, Datum, Result, SqlError, SqlState, text_io};
use std::sync::Arc;

fn bytes(b: impl AsRef<[u8]>) -> Result<Datum> {
    Ok(Datum::Bytea(Arc::from(b.as_ref())))
}

fn substr(s: &[u8], start: i32, len: Option<i32>) -> Result<&[u8]> {
    let from = i64::from(start).max(1);
    let end = match len {
        None => s.len() as i64 + 1,
        Some(n) if n < 0 => return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")),
        Some(n) => (i64::from(start) + i64::from(n)).min(s.len() as i64 + 1),
    };
    Ok(if end <= from {
        &[]
    } else {
        &s[(from - 1) as usize..(end - 1) as usize]
    })
}

fn position(s: &[u8], needle: &[u8]) -> i32 {
    if needle.is_empty() {
        return 1;
    }
    s.windows(needle.len()).position(|w| w == needle).map_or(0, |p| p as i32 + 1)
}

fn index(n: i64, len: i64) -> Result<usize> {
    if (0..len).contains(&n) {
        Ok(n as usize)
    } else {
        Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("index {n} out of valid range, 0..{}", len - 1),
        ))
    }
}

fn overlay(s: &[u8], new: &[u8], start: i32, len: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start
        .checked_add(len)
        .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    bytes([substr(s, 1, Some(start - 1))?, new, substr(s, after, None)?].concat())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with a line break after every 76 characters, as PostgreSQL writes it.
fn base64(b: &[u8]) -> String {
    let mut out = String::with_capacity(b.len() * 4 / 3 + 4);
    let mut line = 0;
    for chunk in b.chunks(3) {
        let n =
            u32::from(chunk[0]) << 16 | u32::from(chunk.get(1).copied().unwrap_or(0)) << 8 | u32::from(chunk.get(2).copied().unwrap_or(0));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(BASE64[(n >> (18 - 6 * i) & 63) as usize] as char);
            } else {
                out.push('=');
            }
        }
        line += 4;
        if line >= 76 {
            out.push('\n');
            line = 0;
        }
    }
    out
}

fn from_base64(s: &str) -> Result<Vec<u8>> {
    let invalid = |m: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, m);
    let mut out = Vec::with_capacity(s.len() * 3 / 4);
    let (mut buffer, mut count, mut end) = (0u32, 0, 0);
    for c in s.chars() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let v = if c == '=' {
            if end == 0 {
                end = match count {
                    2 => 1,
                    3 => 2,
                    _ => return Err(invalid("unexpected \"=\" while decoding base64 sequence".to_owned())),
                };
            }
            0
        } else {
            match u8::try_from(c).ok().and_then(|b| BASE64.iter().position(|x| *x == b)) {
                Some(v) => v as u32,
                _ => return Err(invalid(format!("invalid symbol \"{c}\" found while decoding base64 sequence"))),
            }
        };
        buffer = buffer << 6 | v;
        count += 1;
        if count == 4 {
            out.push((buffer >> 16) as u8);
            if end == 0 || end > 1 {
                out.push((buffer >> 8) as u8);
            }
            if end == 0 || end > 2 {
                out.push(buffer as u8);
            }
            (buffer, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(invalid("invalid base64 end sequence".to_owned())
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn encode(b: &[u8], format: &str) -> Result<Datum> {
    let mut out = Vec::new();
    match format.to_ascii_lowercase().as_str() {
        "hex" => write_hex(b, &mut out),
        "base64" => return Ok(Datum::text(base64(b))),
        "escape" => {
            for x in b {
                match x {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0 | 0x80.. => out.extend([b'\\', b'0' + (x >> 6), b'0' + (x >> 3 & 7), b'0' + (x & 7)]),
                    x => out.push(*x),
                }
            }
        }
        _ => {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized encoding: \"{format}\""),
            ));
        }
    }
    Ok(Datum::text(String::from_utf8_lossy(&out)))
}

fn decode(s: &str, format: &str) -> Result<Datum> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => bytes(decode_hex(s)?),
        "base64" => bytes(from_base64(s)?),
        "escape" => text_io::parse_bytea(&if s.starts_with("\\x") {
            format!("\\134{}", &s[1..])
        } else {
            s.to_owned()
        })
        .map(Datum::Bytea),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unrecognized encoding: \"{format}\""),
        )),
    }
}

fn hex(b: impl AsRef<[u8]>) -> Result<Datum> {
    let mut out = Vec::new();
    write_hex(b.as_ref(), &mut out);
    Ok(Datum::text(String::from_utf8_lossy(&out)))
}

fn digest(algorithm: &'static ring::digest::Algorithm, b: &[u8]) -> Result<Datum> {
    bytes(ring::digest::digest(algorithm, b))
}

/// UTF-8 by name; `role` is what the name is given for, as messages say it.
fn only_utf8(name: &str, role: &str) -> Result<()> {
    if matches!(name.to_ascii_lowercase().replace(['-', '_'], "").as_str(), "utf8" | "unicode") {
        Ok(())
    } else if !curia_types::encoding::is_known(name) {
        Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid {role}encoding name \"{name}\""),
        ))
    } else {
        Err(SqlError::unsupported(format!("encoding \"{name}\"")))
    }
}

kernels! {
    "byteacat" = pure!(|a: &[u8], b: &[u8]| ? bytes([a, b].concat()));
    "byteaoctetlen" = pure!(|a: &[u8]| -> Int4 a.len() as i32);
    "bit_length(bytea)" = pure!(|a: &[u8]| -> Int4 a.len() as i32 * 8);
    "bytea_bit_count" = pure!(|a: &[u8]| -> Int8 a.iter().map(|b| i64::from(b.count_ones())).sum());
    "bytea_substr" => pure!(|a: &[u8], s: i32, n: i32| ? substr(a, s, Some(n)).and_then(bytes));
    "bytea_substr_no_len" = pure!(|a: &[u8], s: i32| ? substr(a, s, None).and_then(bytes));
    "byteapos" = pure!(|a: &[u8], b: &[u8]| -> Int4 position(a, b));
    "byteaoverlay" => pure!(|a: &[u8], b: &[u8], s: i32, n: i32| ? overlay(a, b, s, n));
    "byteaoverlay_no_len" => pure!(|a: &[u8], b: &[u8], s: i32| ? overlay(a, b, s, b.len() as i32));
    "byteatrim" = pure!(|a: &[u8], set: &[u8]| ? { let s = a.iter().position(|b| !set.contains(b)).unwrap_or(a.len()); let e = a.iter().rposition(|b| !set.contains(b)).map_or(s, |p| p + 1); bytes(&a[s..e]) });
    "bytealtrim" = pure!(|a: &[u8], set: &[u8]| ? { let s = a.iter().position(|b| !set.contains(b)).unwrap_or(a.len()); bytes(&a[s..]) });
    "byteartrim" = pure!(|a: &[u8], set: &[u8]| ? { let e = a.iter().rposition(|b| !set.contains(b)).map_or(0, |p| p + 1); bytes(&a[..e]) });
    "byteaGetByte" => pure!(|a: &[u8], n: i32| ? index(i64::from(n), a.len() as i64).map(|i| Datum::Int4(i32::from(a[i]))));
    "byteaSetByte" => pure!(|a: &[u8], n: i32, v: i32| ? { let mut b = a.to_vec(); b[index(i64::from(n), a.len() as i64)?] = v as u8; bytes(b) });
    "byteaGetBit" => pure!(|a: &[u8], n: i64| ? index(n, a.len() as i64 * 8).map(|i| Datum::Int4(i32::from(a[i / 8] >> (i % 8) & 1))));
    "byteaSetBit" => pure!(|a: &[u8], n: i64, v: i32| ? { let mut b = a.to_vec(); let i = index(n, a.len() as i64 * 8)?; match v { 0 => b[i / 8] &= !(1 << (i % 8)), 1 => b[i / 8] |= 1 << (i % 8), _ => return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1")) } bytes(b) });
    "binary_encode" => pure!(|a: &[u8], f: &str| ? encode(a, f));
    "binary_decode" => pure!(|a: &str, f: &str| ? decode(a, f));
    "md5_text" = pure!(|a: &str| ? hex(super::md5::md5(a.as_bytes())));
    "md5_bytea" = pure!(|a: &[u8]| ? hex(super::md5::md5(a)));
    "sha256_bytea" = pure!(|a: &[u8]| ? digest(&ring::digest::SHA256, a));
    "sha384_bytea" = pure!(|a: &[u8]| ? digest(&ring::digest::SHA384, a));
    "sha512_bytea" = pure!(|a: &[u8]| ? digest(&ring::digest::SHA512, a));
    "pg_convert_from" => pure!(|a: &[u8], e: &str| ? { only_utf8(e, "source ")?; curia_types::binary_io::check_text(a).map(Datum::text) });
    "pg_convert_to" => pure!(|a: &str, e: &str| ? { only_utf8(e, "destination ")?; bytes(a.as_bytes()) });
    "length_in_encoding" => pure!(|a: &[u8], e: &str| ? { only_utf8(e, "")?; curia_types::binary_io::check_text(a).map(|s| Datum::Int4(s.chars().count() as i32)) });
}

/// Text form for the escape output of bytea.
#[allow(dead_code)] // used by json output of bytea
pub(super) fn hex_text(b: &[u8]) -> String {
    let mut out = Vec::new();
    text_io::format_bytea(b, ByteaOutput::Hex, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
