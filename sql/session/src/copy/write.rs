//! Writing the text and csv formats.

use super::dialect::Dialect;
use curia_parse::ast::CopyFormat;

/// Appends a field of a row; `text` is its text form, `None` for NULL. `column` is its place in the list.
pub fn field(d: &Dialect, column: usize, columns: usize, text: Option<&[u8]>, out: &mut Vec<u8>) {
    if column > 0 {
        out.push(d.delimiter);
    }
    match text {
        None => out.extend_from_slice(d.null.as_bytes()),
        Some(t) if d.format == CopyFormat::Csv => {
            csv(d, t, d.force_quote.get(column).copied().unwrap_or(false), columns == 1, out);
        }
        Some(t) => escape(d.delimiter, t, out),
    }
}

/// Appends a header line's column name.
pub fn header(d: &Dialect, column: usize, columns: usize, name: &str, out: &mut Vec<u8>) {
    if column > 0 {
        out.push(d.delimiter);
    }
    if d.format == CopyFormat::Csv {
        csv(d, name.as_bytes(), false, columns == 1, out);
    } else {
        escape(d.delimiter, name.as_bytes(), out);
    }
}

fn escape(delimiter: u8, text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for (i, b) in text.iter().enumerate() {
        let letter = match b {
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'\\' => b'\\',
            b if *b == delimiter => *b,
            _ => continue,
        };
        out.extend_from_slice(&text[from..i]);
        out.push(b'\\');
        out.push(letter);
        from = i + 1;
    }
    out.extend_from_slice(&text[from..]);
}

fn csv(d: &Dialect, text: &[u8], force: bool, alone: bool, out: &mut Vec<u8>) {
    let quote = force
        || text == d.null.as_bytes()
        || (alone && text == b"\\.")
        || text
            .iter()
            .any(|b| *b == d.delimiter || *b == d.quote || *b == b'\n' || *b == b'\r');
    if !quote {
        out.extend_from_slice(text);
        return;
    }
    out.push(d.quote);
    for b in text {
        if *b == d.quote || *b == d.escape {
            out.push(d.escape);
        }
        out.push(*b);
    }
    out.push(d.quote);
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Way;
    use super::*;
    use curia_parse::ast::CopyOptions;

    fn line(format: CopyFormat, fields: &[Option<&str>]) -> String {
        let d = Dialect::new(
            &CopyOptions {
                format,
                ..Default::default()
            },
            Way::Out,
            &[],
        )
        .unwrap();
        let mut out = Vec::new();
        for (i, f) in fields.iter().enumerate() {
            field(&d, i, fields.len(), f.map(str::as_bytes), &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_escapes_what_would_be_read_otherwise() {
        assert_eq!(line(CopyFormat::Text, &[Some("a\tb\\\n"), None, Some("")]), "a\\tb\\\\\\n\t\\N\t");
    }

    #[test]
    fn csv_quotes_only_where_it_must() {
        assert_eq!(
            line(CopyFormat::Csv, &[Some("a"), Some("b,c"), Some("d\"e"), Some(""), None]),
            "a,\"b,c\",\"d\"\"e\",\"\","
        );
        assert_eq!(line(CopyFormat::Csv, &[Some("\\.")]), "\"\\.\"");
    }
}
