//! Records of the text and csv formats, from bytes that arrive in pieces.
//!
//! A record is a line, except that csv quotes may hold line ends. Lines end in LF, CR LF or CR; the first one decides, a different one
//! later is an error, because it is more likely damage than data. Memory is bounded by the longest record.

use super::dialect::Dialect;
use curia_parse::ast::CopyFormat;
use curia_types::{Result, SqlError, SqlState};

/// Longest record.
pub const RECORD_LIMIT: usize = 256 << 20;

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Lf,
    Cr,
    CrLf,
}

/// One record's fields.
#[derive(Debug, Default)]
pub struct Record {
    /// Field bytes, unescaped, one after the other.
    bytes: Vec<u8>,
    /// Range in `bytes`; `None` for NULL; with whether it was quoted.
    fields: Vec<(Option<(usize, usize)>, bool)>,
}

impl Record {
    /// How many fields.
    pub fn count(&self) -> usize {
        self.fields.len()
    }
    /// The text of a field, `None` for NULL.
    pub fn field(&self, i: usize) -> Option<&[u8]> {
        self.fields[i].0.map(|(a, b)| &self.bytes[a..b])
    }
    /// Whether the field is NULL under csv's FORCE options: quoted null strings and unquoted ones.
    fn push(&mut self, from: usize, null: bool, quoted: bool) {
        let range = (from, self.bytes.len());
        self.fields.push((if null { None } else { Some(range) }, quoted));
    }
}

/// Cuts input into records.
pub struct Records {
    delimiter: u8,
    null: Vec<u8>,
    csv: Option<(u8, u8)>,
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
    buffer: Vec<u8>,
    /// Start of the record in hand.
    start: usize,
    /// Everything before it has been looked at for a record end.
    scanned: usize,
    /// csv: whether `scanned` is inside quotes.
    in_quotes: bool,
    /// csv: the last byte was an escape inside quotes that differs from the quote.
    escaped: bool,
    line_end: Option<LineEnd>,
    /// Lines that records so far took, the one in hand included.
    line: u64,
    embedded: u64,
    /// No more input will come.
    complete: bool,
    /// The end marker was seen: what follows is ignored.
    ended: bool,
}

impl Records {
    /// A reader of one dialect.
    pub fn new(d: &Dialect) -> Records {
        Records {
            delimiter: d.delimiter,
            null: d.null.clone().into_bytes(),
            csv: (d.format == CopyFormat::Csv).then_some((d.quote, d.escape)),
            force_not_null: d.force_not_null.clone(),
            force_null: d.force_null.clone(),
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            in_quotes: false,
            escaped: false,
            line_end: None,
            line: 0,
            embedded: 0,
            complete: false,
            ended: false,
        }
    }

    /// The buffer to append input to.
    pub fn input(&mut self) -> &mut Vec<u8> {
        if self.ended {
            self.buffer.clear();
            (self.start, self.scanned) = (0, 0);
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        &mut self.buffer
    }

    /// No more input will come: the rest is the last record.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// The number of the line that the latest record, or error, is on.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The raw text of the latest record for error context; empty when it is not valid UTF-8.
    pub fn raw<'a>(&'a self, range: &std::ops::Range<usize>) -> &'a str {
        self.buffer
            .get(range.clone())
            .and_then(|b| std::str::from_utf8(b).ok())
            .unwrap_or("")
    }

    /// Finds the next record and gives the range of its raw text (see [`Records::raw`]); `None`: give more input, or the end.
    pub fn next_line(&mut self) -> Result<Option<std::ops::Range<usize>>> {
        if self.ended {
            return Ok(None);
        }
        let end = if self.csv.is_some() { self.scan_csv() } else { self.scan_text() };
        let Some((end, next)) = end.inspect_err(|_| self.line += 1)? else {
            if self.buffer.len() - self.start > RECORD_LIMIT {
                self.line += 1;
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "COPY record is too long"));
            }
            if !self.complete || self.start == self.buffer.len() {
                return Ok(None);
            }
            self.line += 1 + std::mem::take(&mut self.embedded);
            let range = self.start..self.buffer.len();
            (self.start, self.scanned) = (self.buffer.len(), self.buffer.len());
            if &self.buffer[range.clone()] == b"\\." {
                self.ended = true;
                return Ok(None);
            }
            return Ok(Some(range));
        };
        self.line += 1 + std::mem::take(&mut self.embedded);
        let range = self.start..end;
        (self.start, self.scanned) = (next, next);
        self.ended |= self.csv.is_some() && &self.buffer[range.clone()] == b"\\.";
        let marker = self.ended && (self.csv.is_some() || range.is_empty());
        Ok(if marker { None } else { Some(range) })
    }

    /// Splits the record that [`Records::next_line`] found.
    pub fn split(&self, range: &std::ops::Range<usize>, record: &mut Record) -> Result<()> {
        record.bytes.clear();
        record.fields.clear();
        let line = &self.buffer[range.clone()];
        curia_types::binary_io::check_text(line)?;
        match self.csv {
            Some((quote, escape)) => self.split_csv(line, quote, escape, record),
            None => {
                self.split_text(line, record);
                Ok(())
            }
        }
    }

    /// Text: a backslash takes the next byte with it.
    fn scan_text(&mut self) -> Result<Option<(usize, usize)>> {
        let mut at = self.scanned;
        while let Some(n) = memchr::memchr3(b'\n', b'\r', b'\\', &self.buffer[at..]) {
            at += n;
            match self.buffer[at] {
                b'\\' => {
                    let Some(after) = self.buffer.get(at + 1) else {
                        self.scanned = at;
                        return Ok(None);
                    };
                    // `\.` ends its line and the data, what stands before it included.
                    if *after == b'.' {
                        match self.buffer.get(at + 2) {
                            None if !self.complete => {
                                self.scanned = at;
                                return Ok(None);
                            }
                            None | Some(b'\n' | b'\r') => {
                                self.ended = true;
                                return Ok(Some((at, self.buffer.len())));
                            }
                            Some(_) => return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "end-of-copy marker corrupt")),
                        }
                    }
                    at += 2;
                }
                _ => match self.line_end_at(at, false)? {
                    Some(next) => return Ok(Some((at, next))),
                    None => {
                        self.scanned = at;
                        return Ok(None);
                    }
                },
            }
        }
        self.scanned = self.buffer.len();
        Ok(None)
    }

    fn scan_csv(&mut self) -> Result<Option<(usize, usize)>> {
        let Some((quote, escape)) = self.csv else { return Ok(None) };
        let mut at = self.scanned;
        while at < self.buffer.len() {
            let b = self.buffer[at];
            if self.in_quotes {
                if self.escaped {
                    self.escaped = false;
                } else if b == escape && escape != quote {
                    self.escaped = true;
                } else if b == quote {
                    // A doubled quote leaves and enters again.
                    self.in_quotes = false;
                } else if b == if self.line_end == Some(LineEnd::Lf) { b'\n' } else { b'\r' } {
                    // Before the first line's end PostgreSQL takes line feeds in quotes for no lines of their own.
                    self.embedded += 1;
                }
                at += 1;
            } else if b == quote {
                self.in_quotes = true;
                at += 1;
            } else if b == b'\n' || b == b'\r' {
                match self.line_end_at(at, true)? {
                    Some(next) => return Ok(Some((at, next))),
                    None => {
                        self.scanned = at;
                        return Ok(None);
                    }
                }
            } else {
                at += 1;
            }
        }
        self.scanned = at;
        Ok(None)
    }

    /// Where the next line starts, when the CR or LF at `at` ends one; `None` when that cannot be told yet.
    fn line_end_at(&mut self, at: usize, csv: bool) -> Result<Option<usize>> {
        let found = if self.buffer[at] == b'\n' {
            LineEnd::Lf
        } else {
            match self.buffer.get(at + 1) {
                Some(b'\n') => LineEnd::CrLf,
                None if !self.complete && self.line_end != Some(LineEnd::Cr) => return Ok(None),
                _ => LineEnd::Cr,
            }
        };
        let expected = *self.line_end.get_or_insert(found);
        if expected != found {
            let (what, hint) = match (found == LineEnd::Lf, csv) {
                (true, false) => ("literal newline found in data", "Use \"\\n\" to represent newline."),
                (false, false) => ("literal carriage return found in data", "Use \"\\r\" to represent carriage return."),
                (true, true) => ("unquoted newline found in data", "Use quoted CSV field to represent newline."),
                (false, true) => (
                    "unquoted carriage return found in data",
                    "Use quoted CSV field to represent carriage return.",
                ),
            };
            return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, what).hint(hint));
        }
        Ok(Some(at + if found == LineEnd::CrLf { 2 } else { 1 }))
    }

    fn split_text(&self, line: &[u8], record: &mut Record) {
        if memchr::memchr(b'\\', line).is_none() {
            // The common case: fields as they are. A NULL marker without a backslash is still compared.
            let mut from = 0;
            for to in memchr::memchr_iter(self.delimiter, line).chain(std::iter::once(line.len())) {
                let null = line[from..to] == self.null[..];
                record.fields.push((if null { None } else { Some((from, to)) }, false));
                from = to + 1;
            }
            record.bytes.extend_from_slice(line);
            return;
        }
        let mut rest = line;
        loop {
            // The delimiter that ends the field is the first that no backslash takes with it.
            let mut end = 0;
            while end < rest.len() && rest[end] != self.delimiter {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            let end = end.min(rest.len());
            let from = record.bytes.len();
            let null = rest[..end] == self.null[..];
            if !null {
                unescape(&rest[..end], &mut record.bytes);
            }
            record.push(from, null, false);
            if end == rest.len() {
                return;
            }
            rest = &rest[end + 1..];
        }
    }

    fn split_csv(&self, line: &[u8], quote: u8, escape: u8, record: &mut Record) -> Result<()> {
        let mut at = 0;
        loop {
            let from = record.bytes.len();
            let raw_from = at;
            let mut quoted = false;
            loop {
                match line.get(at) {
                    None => break,
                    Some(b) if *b == self.delimiter => break,
                    Some(b) if *b == quote => {
                        quoted = true;
                        at += 1;
                        loop {
                            match line.get(at) {
                                None => {
                                    return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field"));
                                }
                                Some(b) if *b == escape && line.get(at + 1).is_some_and(|n| *n == quote || *n == escape) => {
                                    record.bytes.push(line[at + 1]);
                                    at += 2;
                                }
                                Some(b) if *b == quote => {
                                    at += 1;
                                    break;
                                }
                                Some(b) => {
                                    record.bytes.push(*b);
                                    at += 1;
                                }
                            }
                        }
                    }
                    Some(b) => {
                        record.bytes.push(*b);
                        at += 1;
                    }
                }
            }
            let i = record.fields.len();
            let is_null_text = if quoted {
                record.bytes[from..] == self.null[..]
            } else {
                line[raw_from..at] == self.null[..]
            };
            let null = is_null_text
                && if quoted {
                    self.force_null.get(i).copied().unwrap_or(false)
                } else {
                    !self.force_not_null.get(i).copied().unwrap_or(false)
                };
            record.push(from, null, quoted);
            if at >= line.len() {
                return Ok(());
            }
            at += 1;
        }
    }
}

/// Undoes text format escapes.
fn unescape(mut field: &[u8], out: &mut Vec<u8>) {
    while let Some(n) = memchr::memchr(b'\\', field) {
        out.extend_from_slice(&field[..n]);
        field = &field[n + 1..];
        let Some((&c, rest)) = field.split_first() else {
            out.push(b'\\');
            return;
        };
        field = rest;
        match c {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = u32::from(c - b'0');
                for _ in 0..2 {
                    match field.first() {
                        Some(d @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(d - b'0');
                            field = &field[1..];
                        }
                        _ => break,
                    }
                }
                out.push((value & 0xff) as u8);
            }
            b'x' if field.first().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0u32;
                for _ in 0..2 {
                    match field.first().and_then(|d| (*d as char).to_digit(16)) {
                        Some(d) => {
                            value = value * 16 + d;
                            field = &field[1..];
                        }
                        None => break,
                    }
                }
                out.push(value as u8);
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Way;
    use super::*;
    use curia_parse::ast::CopyOptions;

    fn dialect(csv: bool) -> Dialect {
        let format = if csv { CopyFormat::Csv } else { CopyFormat::Text };
        Dialect::new(
            &CopyOptions {
                format,
                ..Default::default()
            },
            Way::In,
            &["a".into(), "b".into()],
        )
        .unwrap()
    }

    /// All records when the input arrives in pieces of `piece` bytes.
    fn read(csv: bool, input: &[u8], piece: usize) -> Result<Vec<Vec<Option<String>>>> {
        let mut r = Records::new(&dialect(csv));
        let mut out = Vec::new();
        let mut record = Record::default();
        let mut pieces = input.chunks(piece.max(1));
        loop {
            match pieces.next() {
                Some(p) => r.input().extend_from_slice(p),
                None => r.complete(),
            }
            let done = pieces.len() == 0 && r.complete;
            while let Some(range) = r.next_line()? {
                r.split(&range, &mut record)?;
                out.push(
                    (0..record.count())
                        .map(|i| record.field(i).map(|f| String::from_utf8_lossy(f).into_owned()))
                        .collect(),
                );
            }
            if done {
                return Ok(out);
            }
        }
    }

    fn row(fields: &[Option<&str>]) -> Vec<Option<String>> {
        fields.iter().map(|f| f.map(str::to_owned)).collect()
    }

    #[test]
    fn text_records_are_the_same_however_the_input_is_cut() {
        let input = b"1\ta\\tb\n\\N\tx\\\\y\\x41\\101\n\\\n\tz\nlast\t";
        let expected = vec![
            row(&[Some("1"), Some("a\tb")]),
            row(&[None, Some("x\\yAA")]),
            row(&[Some("\n"), Some("z")]),
            row(&[Some("last"), Some("")]),
        ];
        for piece in 1..=input.len() {
            assert_eq!(read(false, input, piece).unwrap(), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn csv_records_are_the_same_however_the_input_is_cut() {
        let input = b"1,\"a,\"\"b\"\"\nc\"\r\n,\"\"\r\nx\"y\"z,\r\n";
        let expected = vec![
            row(&[Some("1"), Some("a,\"b\"\nc")]),
            row(&[None, Some("")]),
            row(&[Some("xyz"), None]),
        ];
        for piece in 1..=input.len() {
            assert_eq!(read(true, input, piece).unwrap(), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn the_end_marker_ends_the_data() {
        for csv in [false, true] {
            assert_eq!(read(csv, b"1\n\\.\nrubbish\n", 3).unwrap(), vec![row(&[Some("1")])]);
        }
        assert_eq!(read(false, b"1\\.\nrubbish\n", 3).unwrap(), vec![row(&[Some("1")])]);
        for corrupt in [&b"1\\.x\n"[..], b"\\.x\n"] {
            assert_eq!(read(false, corrupt, 100).unwrap_err().message(), "end-of-copy marker corrupt");
        }
    }

    #[test]
    fn mixed_line_ends_are_refused() {
        assert_eq!(
            read(false, b"a\nb\r\n", 100).unwrap_err().message(),
            "literal carriage return found in data"
        );
        assert_eq!(
            read(false, b"a\r\nb\nc\r\n", 100).unwrap_err().message(),
            "literal newline found in data"
        );
        assert_eq!(
            read(true, b"a\nb\r", 100).unwrap_err().message(),
            "unquoted carriage return found in data"
        );
        assert_eq!(read(true, b"\"a", 100).unwrap_err().message(), "unterminated CSV quoted field");
    }

    #[test]
    fn invalid_utf8_is_named() {
        let e = read(false, b"ok\n\xff\n", 100).unwrap_err();
        assert_eq!(
            (e.code(), e.message()),
            (
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0xff"
            )
        );
    }
}
