//! Text forms of arrays (`array_in`, `array_out`) and records (`record_out`).

use super::{format, is_space, parse};
use crate::array::MAX_DIMENSIONS;
use crate::{ArrayValue, Datum, IoContext, PgType, Result, SqlError, SqlState, type_info};

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    delimiter: char,
    element: PgType,
    cx: &'a IoContext,
    /// Length of each level, known once its first sub-array is closed.
    lengths: Vec<Option<i32>>,
    elements: Vec<Datum>,
}

fn malformed(s: &str, detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{s}\"")).detail(detail)
}

/// Reads an array literal: optional `[l:u]..=` bounds, nested braces, quoted elements, NULL.
pub fn parse_array(element: PgType, s: &str, cx: &IoContext) -> Result<ArrayValue> {
    let delimiter = type_info::delimiter(element.oid);
    let mut rest = s.trim_start_matches(is_space);
    let mut bounds: Vec<(i32, i32)> = Vec::new();
    while let Some(after) = rest.strip_prefix('[') {
        let close = after
            .find(']')
            .ok_or_else(|| malformed(s, "Missing \"]\" after array dimensions."))?;
        let (low, high) = match after[..close].split_once(':') {
            Some((l, h)) => (bound(s, l)?, bound(s, h)?),
            None => (1, bound(s, &after[..close])?),
        };
        if bounds.len() >= MAX_DIMENSIONS {
            return Err(too_many_dimensions(bounds.len() + 1));
        }
        if high < low {
            return Err(SqlError::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "upper bound cannot be less than lower bound",
            ));
        }
        bounds.push((low, high));
        rest = after[close + 1..].trim_start_matches(is_space);
    }
    if !bounds.is_empty() {
        rest = rest
            .strip_prefix('=')
            .ok_or_else(|| malformed(s, "Missing \"=\" after array dimensions."))?
            .trim_start_matches(is_space);
    }
    if !rest.starts_with('{') {
        return Err(malformed(
            s,
            if bounds.is_empty() {
                "Array value must start with \"{\" or dimension information."
            } else {
                "Array contents must start with \"{\"."
            },
        ));
    }
    let mut r = Reader {
        whole: s,
        rest,
        delimiter,
        element,
        cx,
        lengths: Vec::new(),
        elements: Vec::new(),
    };
    r.level(0)?;
    if !r.rest.trim_matches(is_space).is_empty() {
        return Err(malformed(s, "Junk after closing right brace."));
    }
    if r.elements.is_empty() {
        return Ok(ArrayValue {
            element: element.oid,
            dimensions: Vec::new(),
            elements: Vec::new(),
        });
    }
    let lengths: Vec<i32> = r.lengths.iter().map(|l| l.unwrap_or(0)).collect();
    let dimensions = if bounds.is_empty() {
        lengths.iter().map(|l| (*l, 1)).collect()
    } else {
        let same = bounds.len() == lengths.len()
            && bounds
                .iter()
                .zip(&lengths)
                .all(|((l, h), n)| i64::from(*h) - i64::from(*l) + 1 == i64::from(*n));
        if !same {
            return Err(malformed(s, "Specified array dimensions do not match array contents."));
        }
        bounds.iter().zip(&lengths).map(|((l, _), n)| (*n, *l)).collect()
    };
    Ok(ArrayValue {
        element: element.oid,
        dimensions,
        elements: r.elements,
    })
}

fn bound(s: &str, text: &str) -> Result<i32> {
    text.trim()
        .parse()
        .map_err(|_| malformed(s, "\"[\" must introduce explicitly-specified array dimensions."))
}

fn too_many_dimensions(n: usize) -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({n}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
    )
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    /// Reads one braced level; `self.rest` starts with its `{`.
    fn level(&mut self, depth: usize) -> Result<()> {
        if depth >= MAX_DIMENSIONS {
            return Err(too_many_dimensions(depth + 1));
        }
        self.rest = &self.rest[1..];
        if self.lengths.len() <= depth {
            self.lengths.push(None);
        }
        let mut count = 0;
        self.skip_space();
        if let Some(after) = self.rest.strip_prefix('}') {
            if depth > 0 {
                return Err(malformed(self.whole, "Unexpected \"}\" character."));
            }
            self.rest = after;
        } else {
            loop {
                self.skip_space();
                if self.rest.starts_with('{') {
                    // A deeper level where elements stood before is ragged.
                    if count > 0 && self.lengths.len() == depth + 1 {
                        return Err(malformed(self.whole, "Unexpected \"{\" character."));
                    }
                    self.level(depth + 1)?;
                } else {
                    if self.lengths.len() > depth + 1 {
                        return Err(malformed(self.whole, "Unexpected array element."));
                    }
                    let value = self.scalar()?;
                    self.elements.push(value);
                }
                count += 1;
                self.skip_space();
                let mut chars = self.rest.chars();
                match chars.next() {
                    Some(c) if c == self.delimiter => self.rest = chars.as_str(),
                    Some('}') => {
                        self.rest = chars.as_str();
                        break;
                    }
                    Some(_) => return Err(malformed(self.whole, "Unexpected array element.")),
                    None => return Err(malformed(self.whole, "Unexpected end of input.")),
                }
            }
        }
        match self.lengths[depth] {
            None => self.lengths[depth] = Some(count),
            Some(n) if n == count => {}
            Some(_) => {
                return Err(malformed(
                    self.whole,
                    "Multidimensional arrays must have sub-arrays with matching dimensions.",
                ));
            }
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<Datum> {
        let mut text = String::new();
        let mut quoted = false;
        // Length of `text` up to the last character that was not a trailing blank.
        let mut keep = 0;
        let mut chars = self.rest.chars();
        loop {
            let here = chars.as_str();
            match chars.next() {
                None => return Err(malformed(self.whole, "Unexpected end of input.")),
                Some('"') => {
                    if quoted || !text.is_empty() {
                        return Err(malformed(self.whole, "Unexpected array element."));
                    }
                    quoted = true;
                    loop {
                        match chars.next() {
                            None => return Err(malformed(self.whole, "Unexpected end of input.")),
                            Some('"') => break,
                            Some('\\') => text.push(chars.next().ok_or_else(|| malformed(self.whole, "Unexpected end of input."))?),
                            Some(c) => text.push(c),
                        }
                    }
                    keep = text.len();
                }
                Some('\\') => {
                    text.push(chars.next().ok_or_else(|| malformed(self.whole, "Unexpected end of input."))?);
                    keep = text.len();
                }
                Some(c) if c == self.delimiter || c == '}' => {
                    if !quoted && text.is_empty() {
                        return Err(malformed(self.whole, &format!("Unexpected \"{c}\" character.")));
                    }
                    self.rest = here;
                    break;
                }
                Some('{') => return Err(malformed(self.whole, "Unexpected \"{\" character.")),
                Some(c) => {
                    if quoted && !is_space(c) {
                        return Err(malformed(self.whole, "Unexpected array element."));
                    }
                    if !quoted {
                        text.push(c);
                        if !is_space(c) {
                            keep = text.len();
                        }
                    }
                }
            }
        }
        text.truncate(keep);
        if !quoted && text.eq_ignore_ascii_case("null") {
            return Ok(Datum::Null);
        }
        parse(self.element, &text, self.cx)
    }
}

/// Appends an array literal.
pub fn format_array(a: &ArrayValue, cx: &IoContext, out: &mut Vec<u8>) {
    if a.elements.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    if a.dimensions.iter().any(|(_, low)| *low != 1) {
        for (n, low) in &a.dimensions {
            out.push(b'[');
            super::write_integer(i64::from(*low), out);
            out.push(b':');
            super::write_integer(i64::from(*low) + i64::from(*n) - 1, out);
            out.push(b']');
        }
        out.push(b'=');
    }
    let delimiter = type_info::delimiter(a.element) as u8;
    let total = a.elements.len();
    // Opening and closing braces follow from how many whole sub-arrays end at each index.
    let mut spans: Vec<usize> = a
        .dimensions
        .iter()
        .rev()
        .scan(1usize, |p, (n, _)| {
            *p *= (*n).max(1) as usize;
            Some(*p)
        })
        .collect();
    spans.reverse();
    let mut text = Vec::new();
    for (i, e) in a.elements.iter().enumerate() {
        if i > 0 {
            out.push(delimiter);
        }
        out.extend(spans.iter().filter(|s| i % **s == 0).map(|_| b'{'));
        if e.is_null() {
            out.extend_from_slice(b"NULL");
        } else {
            text.clear();
            format(PgType::with_typmod(a.element, -1), e, cx, &mut text);
            write_element(&text, delimiter, out);
        }
        out.extend(spans.iter().filter(|s| (i + 1) % **s == 0 || i + 1 == total).map(|_| b'}'));
    }
}

fn write_element(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let quote = text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text
            .iter()
            .any(|b| matches!(b, b'{' | b'}' | b'"' | b'\\') || *b == delimiter || is_space(*b as char));
    if !quote {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for b in text {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.push(b'"');
}

/// Appends a record: `(1,"a b",)`.
pub fn format_record(fields: &[(PgType, Datum)], cx: &IoContext, out: &mut Vec<u8>) {
    out.push(b'(');
    let mut text = Vec::new();
    for (i, (ty, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if value.is_null() {
            continue;
        }
        text.clear();
        format(*ty, value, cx, &mut text);
        let quote = text.is_empty()
            || text
                .iter()
                .any(|b| matches!(b, b'"' | b'\\' | b'(' | b')' | b',') || is_space(*b as char));
        if !quote {
            out.extend_from_slice(&text);
            continue;
        }
        out.push(b'"');
        for b in &text {
            if matches!(b, b'"' | b'\\') {
                out.push(*b);
            }
            out.push(*b);
        }
        out.push(b'"');
    }
    out.push(b')');
}
