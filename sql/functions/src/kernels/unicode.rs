//! Unicode normal forms, identifiers in text, and the digests that `ring` has not.

use super::macros::{kernels, pure};
use curia_types::{Datum, Result, SqlError, SqlState, oid};
use sha2::Digest;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

fn normalized(s: &str, form: &str) -> Result<String> {
    Ok(match form.to_ascii_uppercase().as_str() {
        "NFC" => s.nfc().collect(),
        "NFD" => s.nfd().collect(),
        "NFKC" => s.nfkc().collect(),
        "NFKD" => s.nfkd().collect(),
        _ => {
            let message = format!("invalid normalization form: {form}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    })
}

/// `parse_ident`: the parts of a qualified name, folded unless quoted; what follows is an error when `strict`.
fn parse_ident(text: &str, strict: bool) -> Result<Datum> {
    let invalid = || {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("string is not a valid identifier: \"{text}\""),
        )
    };
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    let mut after_dot = false;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next() {
                    None => return Err(invalid().detail("String has unclosed double quotes.")),
                    Some((i, '"')) => {
                        if chars.peek().is_none_or(|(_, c)| *c != '"') {
                            break i + 1;
                        }
                        chars.next();
                        name.push('"');
                    }
                    Some((_, c)) => name.push(c),
                }
            };
            if name.is_empty() {
                return Err(invalid().detail("Quoted identifier must not be empty."));
            }
            parts.push(name);
            rest = &quoted[end..];
        } else {
            let starts = |c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii();
            let continues = |c: char| starts(c) || c.is_ascii_digit() || c == '$';
            if !rest.starts_with(starts) {
                // Without a name there is nothing to read.
                return Err(if rest.starts_with('.') {
                    invalid().detail("No valid identifier before \".\".")
                } else if after_dot {
                    invalid().detail("No valid identifier after \".\".")
                } else {
                    invalid()
                });
            }
            let end = rest.find(|c| !continues(c)).unwrap_or(rest.len());
            parts.push(rest[..end].to_lowercase());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => {
                after_dot = true;
                rest = after.trim_start();
            }
            None if rest.is_empty() || !strict => break,
            None => return Err(invalid()),
        }
    }
    Ok(Datum::list(oid::TEXT, parts.iter().map(Datum::text).collect()))
}

kernels! {
    "unicode_normalize_func" => pure!(|s: &str, form: &str| ? normalized(s, form).map(Datum::text));
    "unicode_is_normalized" => pure!(|s: &str, form: &str| ? normalized(s, form).map(|n| Datum::Bool(n == s)));
    "parse_ident" => pure!(|s: &str, strict: bool| ? parse_ident(s, strict));
    "sha224_bytea" = pure!(|a: &[u8]| ? Ok(Datum::Bytea(Arc::from(sha2::Sha224::digest(a).as_slice()))));
}
