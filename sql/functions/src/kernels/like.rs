//! LIKE and ILIKE by direct matching, without building a regular expression.

use super::macros::{kernels, pure};
use curia_types::{Datum, Result, SqlError, SqlState};
use std::sync::Arc;

fn dangling() -> SqlError {
    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// Length of the character that starts with byte `b`.
fn width(b: u8) -> usize {
    match b {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

/// Whether `text` matches `pattern`: `%` any run, `_` any one character, `\` quotes. Backtracks to the last `%` only. A pattern that ends
/// in `\` is refused (22025) only when matching gets there with text left, or looks there behind a `%`.
pub(crate) fn like(text: &[u8], pattern: &[u8]) -> Result<bool> {
    matches(text, pattern, width)
}

fn matches(text: &[u8], pattern: &[u8], width: fn(u8) -> usize) -> Result<bool> {
    let (mut t, mut p) = (0, 0);
    // Where to resume after a mismatch: (pattern position after the last %, text position it stands at).
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                if ends_in_escape(&pattern[p..], &text[t..], width) {
                    return Err(dangling());
                }
                resume = Some((p, t));
                continue;
            }
            Some(b'_') => {
                t = (t + width(text[t])).min(text.len());
                p += 1;
                true
            }
            Some(b'\\') => match pattern.get(p + 1) {
                None => return Err(dangling()),
                Some(c) if *c == text[t] => {
                    t += 1;
                    p += 2;
                    true
                }
                Some(_) => false,
            },
            Some(c) if *c == text[t] => {
                t += 1;
                p += 1;
                true
            }
            _ => false,
        };
        if !step {
            let Some((after, at)) = resume else { return Ok(false) };
            let next = (at + width(text[at])).min(text.len());
            resume = Some((after, next));
            (p, t) = (after, next);
        }
    }
    while pattern.get(p) == Some(&b'%') {
        p += 1;
    }
    Ok(p == pattern.len())
}

/// Whether nothing but `_` that the text has characters for (and `%`) stands between a `%` and an escape that quotes nothing.
fn ends_in_escape(after: &[u8], text: &[u8], width: fn(u8) -> usize) -> bool {
    let Some((b'\\', skipped)) = after.split_last() else { return false };
    let mut t = 0;
    skipped.iter().all(|b| match b {
        b'_' if t < text.len() => {
            t += width(text[t]);
            true
        }
        b => *b == b'%',
    })
}

fn ilike(text: &str, pattern: &str) -> Result<bool> {
    like(text.to_lowercase().as_bytes(), pattern.to_lowercase().as_bytes())
}

/// `LIKE .. ESCAPE e`: rewrites the pattern to one with backslash as the escape.
fn with_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let e = chars.next();
    if chars.next().is_some() {
        return Err(
            SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string").hint("Escape string must be empty or one character.")
        );
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    match e {
        None => {
            for c in pattern.chars() {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        Some('\\') => out.push_str(pattern),
        Some(e) => {
            let mut after = false;
            for c in pattern.chars() {
                if c == e && !after {
                    out.push('\\');
                    after = true;
                } else if c == '\\' {
                    out.push('\\');
                    if !after {
                        out.push('\\');
                    }
                    after = false;
                } else {
                    out.push(c);
                    after = false;
                }
            }
        }
    }
    Ok(out)
}

fn yes(r: Result<bool>) -> Result<Datum> {
    r.map(Datum::Bool)
}
fn not(r: Result<bool>) -> Result<Datum> {
    r.map(|b| Datum::Bool(!b))
}

kernels! {
    "textlike" => pure!(|a: &str, b: &str| ? yes(like(a.as_bytes(), b.as_bytes())));
    "textnlike" => pure!(|a: &str, b: &str| ? not(like(a.as_bytes(), b.as_bytes())));
    "texticlike" => pure!(|a: &str, b: &str| ? yes(ilike(a, b)));
    "texticnlike" => pure!(|a: &str, b: &str| ? not(ilike(a, b)));
    "namelike" => pure!(|a: &str, b: &str| ? yes(like(a.as_bytes(), b.as_bytes())));
    "namenlike" => pure!(|a: &str, b: &str| ? not(like(a.as_bytes(), b.as_bytes())));
    "nameiclike" => pure!(|a: &str, b: &str| ? yes(ilike(a, b)));
    "nameicnlike" => pure!(|a: &str, b: &str| ? not(ilike(a, b)));
    "bytealike" => pure!(|a: &[u8], b: &[u8]| ? yes(matches(a, b, |_| 1)));
    "byteanlike" => pure!(|a: &[u8], b: &[u8]| ? not(matches(a, b, |_| 1)));
    "like_escape" => pure!(|p: &str, e: &str| ? with_escape(p, e).map(Datum::text));
    "like_escape_bytea" => pure!(|p: &[u8], e: &[u8]| ? escape_bytes(p, e));
}

fn escape_bytes(p: &[u8], e: &[u8]) -> Result<Datum> {
    if e.len() > 1 {
        return Err(
            SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string").hint("Escape string must be empty or one character.")
        );
    }
    let mut out = Vec::with_capacity(p.len() + 8);
    let mut after = false;
    for b in p {
        if Some(b) == e.first() && !after && *b != b'\\' {
            out.push(b'\\');
            after = true;
            continue;
        }
        if *b == b'\\' && e.first() != Some(&b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
        after = false;
    }
    Ok(Datum::Bytea(Arc::from(out)))
}
