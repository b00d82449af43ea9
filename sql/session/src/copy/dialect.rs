//! COPY options, checked: PostgreSQL's `ProcessCopyOptions`.

use curia_parse::ast::{CopyFormat, CopyHeader, CopyOptions, Ident};
use curia_types::{Result, SqlError, SqlState};

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// COPY FROM
    In,
    /// COPY TO
    Out,
}

/// How the data is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Text, csv or binary.
    pub format: CopyFormat,
    /// Between fields; one ASCII character.
    pub delimiter: u8,
    /// What NULL looks like.
    pub null: String,
    /// First line.
    pub header: CopyHeader,
    /// CSV quote.
    pub quote: u8,
    /// CSV escape inside quotes.
    pub escape: u8,
    /// Columns (of the copied list) that are always quoted.
    pub force_quote: Vec<bool>,
    /// Columns whose unquoted empty value is never NULL.
    pub force_not_null: Vec<bool>,
    /// Columns whose quoted null string is NULL.
    pub force_null: Vec<bool>,
}

fn unsupported(text: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
}

fn invalid(text: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

fn one_byte(value: &str, what: &str) -> Result<u8> {
    match value.as_bytes() {
        [b] if b.is_ascii() => Ok(*b),
        _ => Err(unsupported(format!("COPY {what} must be a single one-byte character"))),
    }
}

impl Dialect {
    /// Checks options for a list of columns.
    pub fn new(o: &CopyOptions, way: Way, columns: &[String]) -> Result<Dialect> {
        let csv = o.format == CopyFormat::Csv;
        let binary = o.format == CopyFormat::Binary;
        if binary && o.delimiter.is_some() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot specify DELIMITER in BINARY mode"));
        }
        if binary && o.null.is_some() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot specify NULL in BINARY mode"));
        }
        if let Some(encoding) = &o.encoding {
            let plain: String = encoding
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_lowercase())
                .collect();
            if !curia_types::encoding::is_known(encoding) {
                return Err(invalid("argument to option \"encoding\" must be a valid encoding name"));
            }
            if plain != "utf8" && plain != "unicode" {
                return Err(unsupported(format!("COPY encoding \"{encoding}\" is not supported")));
            }
        }
        let delimiter = one_byte(o.delimiter.as_deref().unwrap_or(if csv { "," } else { "\t" }), "delimiter")?;
        if matches!(delimiter, b'\n' | b'\r') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        let null = o.null.clone().unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned());
        if null.contains(['\n', '\r']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
            return Err(invalid(format!("COPY delimiter cannot be \"{}\"", delimiter as char)));
        }
        if binary && o.header != CopyHeader::Off {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot specify HEADER in BINARY mode",
            ));
        }
        if way == Way::Out && o.header == CopyHeader::Match {
            return Err(unsupported("cannot use \"match\" with HEADER in COPY TO"));
        }
        if !csv && o.quote.is_some() {
            return Err(unsupported("COPY quote available only in CSV mode"));
        }
        let quote = one_byte(o.quote.as_deref().unwrap_or("\""), "quote")?;
        if csv && delimiter == quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if !csv && o.escape.is_some() {
            return Err(unsupported("COPY escape available only in CSV mode"));
        }
        let escape = match &o.escape {
            Some(e) => one_byte(e, "escape")?,
            None => quote,
        };
        for (given, name) in [
            (&o.force_quote, "force quote"),
            (&o.force_not_null, "force not null"),
            (&o.force_null, "force null"),
        ] {
            let only = if name == "force quote" { Way::Out } else { Way::In };
            if given.is_some() && !csv {
                return Err(unsupported(format!("COPY {name} available only in CSV mode")));
            }
            if given.is_some() && way != only {
                return Err(unsupported(format!(
                    "COPY {name} only available using COPY {}",
                    if only == Way::In { "FROM" } else { "TO" }
                )));
            }
        }
        if null.as_bytes().contains(&delimiter) {
            return Err(unsupported("COPY delimiter must not appear in the NULL specification"));
        }
        if csv && null.as_bytes().contains(&quote) {
            return Err(unsupported("CSV quote character must not appear in the NULL specification"));
        }
        Ok(Dialect {
            format: o.format,
            delimiter,
            null,
            header: o.header,
            quote,
            escape,
            force_quote: chosen(&o.force_quote, columns, "FORCE_QUOTE")?,
            force_not_null: chosen(&o.force_not_null, columns, "FORCE_NOT_NULL")?,
            force_null: chosen(&o.force_null, columns, "FORCE_NULL")?,
        })
    }
}

/// One flag a column; an empty list of names is `*`.
fn chosen(names: &Option<Vec<Ident>>, columns: &[String], option: &str) -> Result<Vec<bool>> {
    let Some(names) = names else {
        return Ok(vec![false; columns.len()]);
    };
    if names.is_empty() {
        return Ok(vec![true; columns.len()]);
    }
    let mut flags = vec![false; columns.len()];
    for n in names {
        match columns.iter().position(|c| *c == n.name) {
            Some(i) => flags[i] = true,
            None => {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("{option} column \"{}\" not referenced by COPY", n.name),
                ));
            }
        }
    }
    Ok(flags)
}
