//! Literal lifting: a simple-protocol statement whose numbers differ from one call to the next is planned once.
//!
//! `UPDATE t SET a = a + -5 WHERE k = 17` becomes `UPDATE t SET a = a + -$1 WHERE k = $2` with the values beside it. The type that
//! PostgreSQL gives each literal (int4, int8 or numeric by its size) goes into the cache key, so the lifted statement means the same. Only
//! numbers are lifted, and only in statements without clauses where a number is not a value: positions in ORDER BY and GROUP BY, LIMIT,
//! typmods, frames. In doubt a statement is left alone; it is then planned as it stands.

use curia_types::{Datum, Numeric, PgType};

/// Longest statement that is lifted.
const TEXT_LIMIT: usize = 4096;
/// Most literals that are lifted.
const LITERAL_LIMIT: usize = 64;

/// Words around which a number may not be a value, or a literal's type may depend on what stands before it.
const REFUSED: &[&str] = &[
    "cast",
    "fetch",
    "first",
    "following",
    "for",
    "group",
    "grouping",
    "interval",
    // What is decided while planning, and so never runs, may hang on the numbers.
    "case",
    "coalesce",
    "into_",
    "limit",
    "offset",
    "order",
    "over",
    "preceding",
    "cube",
    "rollup",
    "tablesample",
    "with",
    "conflict",
    "decimal",
    "numeric",
    "dec",
    "char",
    "varchar",
    "character",
    "bpchar",
    "bit",
    "float",
    "time",
    "timestamp",
    "timestamptz",
    "distinct",
    "union",
    "intersect",
    "except",
    "values_",
    "window",
    "rows",
    "range",
    "groups",
];

/// A statement with its numbers taken out.
#[derive(Debug, PartialEq)]
pub struct Lifted {
    /// Text with `$1`, `$2`, ...
    pub text: String,
    /// Their types.
    pub types: Vec<PgType>,
    /// Their values.
    pub values: Vec<Datum>,
}

/// Lifts the numbers of one statement; `None` when it has none or is better left alone.
pub fn lift(sql: &str) -> Option<Lifted> {
    let sql = sql.trim_matches(|c: char| c.is_ascii_whitespace() || c == ';');
    let bytes = sql.as_bytes();
    if bytes.len() > TEXT_LIMIT || bytes.is_empty() {
        return None;
    }
    let mut out = Lifted {
        text: String::with_capacity(sql.len() + 16),
        types: Vec::new(),
        values: Vec::new(),
    };
    let mut copied = 0;
    let mut at = 0;
    let mut first_word = true;
    let (mut is_query, mut previous) = (false, "");
    // What stands before a number decides whether it is one: after a value, `-` is subtraction; a number after a word is left alone.
    let mut after_word = false;
    while at < bytes.len() {
        let b = bytes[at];
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                let end = word_end(bytes, at);
                let word = &sql[at..end];
                if first_word {
                    let known = ["select", "insert", "update", "delete"]
                        .iter()
                        .any(|w| w.eq_ignore_ascii_case(word));
                    if !known {
                        return None;
                    }
                    first_word = false;
                    is_query = word.eq_ignore_ascii_case("select");
                }
                if REFUSED.iter().any(|w| w.eq_ignore_ascii_case(word)) {
                    return None;
                }
                // A constant NULL decides calls around it, likewise; in INSERT and UPDATE it is a value of a column.
                if is_query && word.eq_ignore_ascii_case("null") && !is_test(previous) {
                    return None;
                }
                previous = word;
                // E'', B'', X'', N'', U&'' and typed literals change what a string means.
                if bytes.get(end) == Some(&b'\'') || bytes.get(end) == Some(&b'&') {
                    return None;
                }
                after_word = ![
                    "select",
                    "where",
                    "and",
                    "or",
                    "set",
                    "in",
                    "between",
                    "then",
                    "else",
                    "when",
                    "not",
                    "returning",
                    "by",
                ]
                .iter()
                .any(|w| w.eq_ignore_ascii_case(word));
                at = end;
                continue;
            }
            b'0'..=b'9' => {
                if after_word || first_word {
                    return None;
                }
                let end = number_end(bytes, at)?;
                let (ty, value) = number(&sql[at..end])?;
                let negated = sql[copied..at].trim_end().ends_with('-');
                // PostgreSQL folds the sign first: -2147483648 is an int4.
                if negated && matches!(value, Datum::Int8(2_147_483_648) | Datum::Numeric(_)) {
                    return None;
                }
                if out.types.len() >= LITERAL_LIMIT {
                    return None;
                }
                out.text.push_str(&sql[copied..at]);
                out.types.push(ty);
                out.values.push(value);
                out.text.push('$');
                out.text.push_str(&out.types.len().to_string());
                at = end;
                copied = end;
            }
            b'\'' => {
                at = quoted_end(bytes, at, b'\'')?;
            }
            b'"' => {
                at = quoted_end(bytes, at, b'"')?;
                after_word = true;
                continue;
            }
            // Parameters, dollar quotes, comments, casts, arrays, several statements: not worth the trouble.
            b'$' | b';' | b'[' | b'{' => return None,
            b'-' if bytes.get(at + 1) == Some(&b'-') => return None,
            b'/' if bytes.get(at + 1) == Some(&b'*') => return None,
            b':' => return None,
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'.' => {
                if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
                    return None;
                }
                at += 1;
            }
            _ => at += 1,
        }
        after_word = false;
    }
    if out.types.is_empty() {
        return None;
    }
    out.text.push_str(&sql[copied..]);
    Some(out)
}

/// Whether NULL after this word is a test: IS NULL, IS NOT NULL.
fn is_test(word: &str) -> bool {
    word.eq_ignore_ascii_case("is") || word.eq_ignore_ascii_case("not")
}

fn word_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || matches!(bytes[at], b'_' | b'$') || bytes[at] >= 0x80) {
        at += 1;
    }
    at
}

/// Past the closing quote; doubled quotes stay inside. `None` when it is not closed.
fn quoted_end(bytes: &[u8], mut at: usize, quote: u8) -> Option<usize> {
    at += 1;
    loop {
        match bytes.get(at)? {
            b if *b == quote => {
                if bytes.get(at + 1) == Some(&quote) {
                    at += 2;
                } else {
                    return Some(at + 1);
                }
            }
            _ => at += 1,
        }
    }
}

/// Past a plain decimal number; `None` for forms that are better left to the parser.
fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
    }
    match bytes.get(at) {
        Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$') || *b >= 0x80 => None,
        _ => Some(at),
    }
}

/// The type PostgreSQL's lexer gives a number, with its value.
fn number(text: &str) -> Option<(PgType, Datum)> {
    if !text.contains('.') {
        if let Ok(n) = text.parse::<i32>() {
            return Some((PgType::INT4, Datum::Int4(n)));
        }
        if let Ok(n) = text.parse::<i64>() {
            return Some((PgType::INT8, Datum::Int8(n)));
        }
    }
    Numeric::parse(text).ok().map(|n| (PgType::NUMERIC, Datum::Numeric(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> Option<(String, Vec<Datum>)> {
        lift(sql).map(|l| (l.text, l.values))
    }

    #[test]
    fn pgbench_statements_are_lifted() {
        assert_eq!(
            text("UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 77;"),
            Some((
                "UPDATE pgbench_accounts SET abalance = abalance + -$1 WHERE aid = $2".into(),
                vec![Datum::Int4(1234), Datum::Int4(77)]
            ))
        );
        assert_eq!(
            text("INSERT INTO h (tid, mtime) VALUES (5000000000, CURRENT_TIMESTAMP)"),
            Some((
                "INSERT INTO h (tid, mtime) VALUES ($1, CURRENT_TIMESTAMP)".into(),
                vec![Datum::Int8(5_000_000_000)]
            ))
        );
        assert_eq!(
            text("SELECT a1, 'it''s 5' FROM t2 WHERE x=3 AND y in (4,5)"),
            Some((
                "SELECT a1, 'it''s 5' FROM t2 WHERE x=$1 AND y in ($2,$3)".into(),
                vec![Datum::Int4(3), Datum::Int4(4), Datum::Int4(5)]
            ))
        );
    }

    #[test]
    fn statements_where_a_number_may_not_be_a_value_are_left_alone() {
        for sql in [
            "select a from t order by 1",
            "select a from t limit 5",
            "select a, count(*) from t group by 1",
            "select a::numeric(3) from t",
            "select cast(a as varchar(3)) from t",
            "select interval '1' from t where a = 1",
            "select 1; select 2",
            "select 1 -- c",
            "select $1 + 1",
            "select a[1] from t",
            "select 'open",
            "select 1e5",
            "select 0x1f",
            "select -2147483648",
            "select case a when 1 then 2 end from t",
            "select a from t where null in (1, b)",
            "create table t (a varchar(5))",
            "select 'no numbers'",
            "",
        ] {
            assert_eq!(lift(sql), None, "{sql}");
        }
    }
}
