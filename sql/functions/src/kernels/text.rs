//! Text functions. Positions and lengths count characters.

use super::macros::{kernels, pure};
use curia_types::{Datum, Result, SqlError, SqlState, length, type_info::quote_identifier};
use std::sync::Arc;

/// Largest value a text function may build (MaxAllocSize less a header).
const MAX_BYTES: usize = 1_073_741_819;

pub(super) fn too_large() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

fn text(s: impl AsRef<str>) -> Result<Datum> {
    Ok(Datum::text(s))
}

/// Byte offset of the character with this index, or the end.
fn offset(s: &str, chars: usize) -> usize {
    if s.is_ascii() {
        return chars.min(s.len());
    }
    s.char_indices().nth(chars).map_or(s.len(), |(at, _)| at)
}

fn chars(s: &str) -> usize {
    if s.is_ascii() { s.len() } else { s.chars().count() }
}

/// The characters of 1-based positions `start .. start + len`. 22011 on a negative length.
pub(super) fn substr(s: &str, start: i32, len: Option<i32>) -> Result<&str> {
    let from = i64::from(start).max(1);
    let end = match len {
        None => i64::MAX,
        Some(n) if n < 0 && i64::from(start) + i64::from(n) < i64::from(start) => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(n) => i64::from(start) + i64::from(n),
    };
    if end <= from {
        return Ok("");
    }
    let a = offset(s, (from - 1) as usize);
    let rest = &s[a..];
    let b = if end == i64::MAX {
        rest.len()
    } else {
        offset(rest, (end - from) as usize)
    };
    Ok(&rest[..b])
}

fn position(haystack: &str, needle: &str) -> i32 {
    haystack.find(needle).map_or(0, |at| chars(&haystack[..at]) as i32 + 1)
}

fn overlay(s: &str, new: &str, start: i32, len: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start
        .checked_add(len)
        .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    text(format!("{}{new}{}", substr(s, 1, Some(start - 1))?, substr(s, after, None)?))
}

fn left(s: &str, n: i32) -> &str {
    let n = if n < 0 { chars(s) as i64 + i64::from(n) } else { i64::from(n) };
    &s[..offset(s, n.max(0) as usize)]
}
fn right(s: &str, n: i32) -> &str {
    // -n overflows there, and the whole string comes back.
    if n == i32::MIN {
        return s;
    }
    let skip = if n < 0 {
        i64::from(n).abs()
    } else {
        chars(s) as i64 - i64::from(n)
    };
    &s[offset(s, skip.max(0) as usize)..]
}

fn pad(s: &str, len: i32, fill: &str, at_left: bool) -> Result<Datum> {
    let want = len.max(0) as usize;
    let have = chars(s);
    if have >= want {
        return text(left(s, len.max(0)));
    }
    if fill.is_empty() {
        return text(s);
    }
    if want > MAX_BYTES / 4 {
        return Err(too_large());
    }
    let padding: String = fill.chars().cycle().take(want - have).collect();
    text(if at_left { padding + s } else { s.to_owned() + &padding })
}

fn repeat(s: &str, n: i32) -> Result<Datum> {
    let n = n.max(0) as usize;
    if s.len().saturating_mul(n) > MAX_BYTES {
        return Err(too_large());
    }
    text(s.repeat(n))
}

fn replace(s: &str, from: &str, to: &str) -> Result<Datum> {
    if from.is_empty() {
        return text(s);
    }
    let n = s.matches(from).count();
    if s.len().saturating_add(n.saturating_mul(to.len())) > MAX_BYTES {
        return Err(too_large());
    }
    text(s.replace(from, to))
}

fn split_part(s: &str, separator: &str, n: i32) -> Result<Datum> {
    if n == 0 {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "field position must not be zero"));
    }
    let nth = (n.unsigned_abs() - 1) as usize;
    if separator.is_empty() {
        return text(if nth == 0 { s } else { "" });
    }
    let part = if n > 0 {
        s.split(separator).nth(nth)
    } else {
        s.rsplit(separator).nth(nth)
    };
    text(part.unwrap_or(""))
}

fn translate(s: &str, from: &str, to: &str) -> Result<Datum> {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let out: String = s
        .chars()
        .filter_map(|c| match from.iter().position(|f| *f == c) {
            None => Some(c),
            Some(i) => to.get(i).copied(),
        })
        .collect();
    text(out)
}

/// First letters upper, others lower; words are runs of letters and digits.
fn initcap(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for c in s.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric();
    }
    out
}

/// Case mapping that keeps the number of characters, as the C library's does.
fn upper(s: &str) -> String {
    if s.is_ascii() {
        return s.to_ascii_uppercase();
    }
    s.chars()
        .map(|c| {
            let mut u = c.to_uppercase();
            match (u.next(), u.next()) {
                (Some(x), None) => x,
                _ => c,
            }
        })
        .collect()
}
fn lower(s: &str) -> String {
    if s.is_ascii() {
        return s.to_ascii_lowercase();
    }
    s.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

fn chr(n: i32) -> Result<Datum> {
    let limit = |m: String| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, m);
    if n < 0 {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "character number must be positive",
        ));
    }
    if n == 0 {
        return Err(limit("null character not permitted".to_owned()));
    }
    if n > 0x10_ffff {
        return Err(limit(format!("requested character too large for encoding: {n}")));
    }
    let c = char::from_u32(n as u32).ok_or_else(|| limit(format!("requested character not valid for encoding: {n}")))?;
    text(c.to_string())
}

/// A string constant that reads back as `s`.
pub(super) fn quote_literal(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    if s.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for c in s.chars() {
        if c == '\'' || c == '\\' {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

fn trim_set<'a>(s: &'a str, set: &str, start: bool, end: bool) -> &'a str {
    let in_set = |c: char| set.contains(c);
    let s = if start { s.trim_start_matches(in_set) } else { s };
    if end { s.trim_end_matches(in_set) } else { s }
}

fn unistr(s: &str) -> Result<Datum> {
    let bad = || {
        SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
            .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        if at > 0 && high.is_some() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
        }
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(r) = after.strip_prefix('\\') {
            out.push('\\');
            rest = r;
            continue;
        }
        let (skip, n) = match after.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let hex = after
            .get(skip..skip + n)
            .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(bad)?;
        let mut code = u32::from_str_radix(hex, 16).map_err(|_| bad())?;
        rest = &after[skip + n..];
        match (high.take(), code) {
            (None, 0xd800..=0xdbff) => {
                high = Some(code);
                continue;
            }
            (Some(h), 0xdc00..=0xdfff) => code = 0x10000 + ((h - 0xd800) << 10) + (code - 0xdc00),
            (Some(_), _) | (None, 0xdc00..=0xdfff) => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")),
            (None, _) => {}
        }
        let c = char::from_u32(code)
            .filter(|c| *c != '\0')
            .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid Unicode code point: {code:04X}")))?;
        out.push(c);
    }
    if high.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
    }
    out.push_str(rest);
    text(out)
}

kernels! {
    "textcat" => pure!(|a: &str, b: &str| ? { if a.len() + b.len() > MAX_BYTES { return Err(too_large()); } let mut s = String::with_capacity(a.len() + b.len()); s.push_str(a); s.push_str(b); text(s) });
    "textlen" = pure!(|a: &str| -> Int4 chars(a) as i32);
    "bpcharlen" = pure!(|a: &str| -> Int4 chars(a.trim_end_matches(' ')) as i32);
    "textoctetlen" = pure!(|a: &str| -> Int4 a.len() as i32);
    "bpcharoctetlen" = pure!(|a: &str| -> Int4 a.len() as i32);
    "bit_length(text)" = pure!(|a: &str| -> Int4 a.len() as i32 * 8);
    "lower" = pure!(|a: &str| ? text(lower(a)));
    "upper" = pure!(|a: &str| ? text(upper(a)));
    "initcap" = pure!(|a: &str| ? text(initcap(a)));
    "text_substr" => pure!(|a: &str, s: i32, n: i32| ? substr(a, s, Some(n)).and_then(text));
    "text_substr_no_len" = pure!(|a: &str, s: i32| ? substr(a, s, None).and_then(text));
    "textpos" = pure!(|a: &str, b: &str| -> Int4 position(a, b));
    "textoverlay" => pure!(|a: &str, b: &str, s: i32, n: i32| ? overlay(a, b, s, n));
    "textoverlay_no_len" => pure!(|a: &str, b: &str, s: i32| ? overlay(a, b, s, chars(b) as i32));
    "replace_text" => pure!(|a: &str, f: &str, t: &str| ? replace(a, f, t));
    "btrim" = pure!(|a: &str, set: &str| ? text(trim_set(a, set, true, true)));
    "btrim1" = pure!(|a: &str| ? text(trim_set(a, " ", true, true)));
    "ltrim" = pure!(|a: &str, set: &str| ? text(trim_set(a, set, true, false)));
    "ltrim1" = pure!(|a: &str| ? text(trim_set(a, " ", true, false)));
    "rtrim" = pure!(|a: &str, set: &str| ? text(trim_set(a, set, false, true)));
    "rtrim1" = pure!(|a: &str| ? text(trim_set(a, " ", false, true)));
    "lpad" => pure!(|a: &str, n: i32, f: &str| ? pad(a, n, f, true));
    "rpad" => pure!(|a: &str, n: i32, f: &str| ? pad(a, n, f, false));
    "lpad(text,integer)" => pure!(|a: &str, n: i32| ? pad(a, n, " ", true));
    "rpad(text,integer)" => pure!(|a: &str, n: i32| ? pad(a, n, " ", false));
    "text_left" = pure!(|a: &str, n: i32| ? text(left(a, n)));
    "text_right" = pure!(|a: &str, n: i32| ? text(right(a, n)));
    "text_reverse" = pure!(|a: &str| ? text(a.chars().rev().collect::<String>()));
    "repeat" => pure!(|a: &str, n: i32| ? repeat(a, n));
    "split_part" => pure!(|a: &str, sep: &str, n: i32| ? split_part(a, sep, n));
    "translate" = pure!(|a: &str, f: &str, t: &str| ? translate(a, f, t));
    "ascii" = pure!(|a: &str| -> Int4 a.chars().next().map_or(0, |c| c as i32));
    "chr" => pure!(|n: i32| ? chr(n));
    "to_hex32" = pure!(|n: i32| ? text(format!("{n:x}")));
    "to_hex64" = pure!(|n: i64| ? text(format!("{n:x}")));
    "quote_ident" = pure!(|a: &str| ? text(quote_identifier(a)));
    "quote_literal" = pure!(|a: &str| ? text(quote_literal(a)));
    "quote_nullable" = pure!(|a: Option<&str>| ? text(a.map_or_else(|| "NULL".to_owned(), quote_literal)));
    "unistr" => pure!(|a: &str| ? unistr(a));
    "text_name" = pure!(|a: &str| ? text(length::name(a)));
    "bpchar_name" = pure!(|a: &str| ? text(length::name(a).trim_end_matches(' ')));
    "name_text" = pure!(|a: &Arc<str>| -> Text a.clone());
    "name_bpchar" = pure!(|a: &Arc<str>| -> Text a.clone());
    "char_text" = pure!(|a: &Datum| ? text(curia_types::text_io::to_string(curia_types::PgType::CHAR, a, &curia_types::IoContext::default())));
    "char_bpchar" = pure!(|a: &Arc<str>| -> Text a.clone());
    "text_char" = pure!(|a: &str| ? text(curia_types::text_io::parse_char(a)));
    "chartoi4" = pure!(|a: &str| -> Int4 a.chars().next().map_or(0, |c| i32::from(c as u8 as i8)));
    "i4tochar" => pure!(|n: i32| ? match n {
        0 => text(""),
        1..=127 => text((n as u8 as char).to_string()),
        -128..=-1 => text(char::from(n as u8).to_string()),
        _ => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range")),
    });
    "nameconcatoid" = pure!(|a: &str, n: u32| ? { let suffix = format!("_{n}"); let mut end = a.len().min(63 - suffix.len()); while !a.is_char_boundary(end) { end -= 1; } text(format!("{}{suffix}", &a[..end])) });
    "booltext" = pure!(|a: bool| ? text(if a { "true" } else { "false" }));
}
