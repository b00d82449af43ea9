//! Splits text into tokens with PostgreSQL's lexical rules (`scan.l`, chapter 4.1 of the manual).
//!
//! A token is a kind and a byte range of 16 bytes in all; its value is decoded from the text when the grammar asks for it.

use crate::keyword::Kw;
use curia_types::{Result, SqlError, SqlState};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tok {
    /// An unquoted word, with its keyword if it is one.
    Word(Option<Kw>),
    /// `"..."`
    QuotedIdent,
    /// `U&"..."`
    UnicodeIdent,
    /// A number.
    Number,
    /// `'...'`
    String,
    /// `E'...'`
    EscapeString,
    /// `U&'...'`
    UnicodeString,
    /// `$tag$...$tag$`
    DollarString,
    /// `B'...'`
    Bits,
    /// `X'...'`
    HexBits,
    /// `$1`
    Param,
    /// An operator of operator characters, single ones included.
    Op,
    LParen,
    RParen,
    LBracket,
    RBracket,
    Comma,
    Semicolon,
    Dot,
    DotDot,
    Colon,
    ColonColon,
    ColonEquals,
    EqualsGreater,
    /// A character that starts no token.
    Other,
    Eof,
}

/// A token of the text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Tok,
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
    /// 1-based character position of the first byte.
    pub pos: u32,
}

/// A syntax error that quotes a piece of the text, as `scanner_yyerror` does.
pub fn error_near(message: &str, near: &str, pos: u32) -> SqlError {
    let text = if near.is_empty() {
        format!("{message} at end of input")
    } else {
        format!("{message} at or near \"{near}\"")
    };
    SqlError::new(SqlState::SYNTAX_ERROR, text).at(Some(pos))
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    ascii: bool,
    /// A byte offset and the number of characters before it; moves forward only.
    counted: (usize, u32),
}

const fn is_op(c: u8) -> bool {
    matches!(
        c,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'='
    )
}

const fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b)
}

const fn starts_ident(c: u8) -> bool {
    c.is_ascii_alphabetic() || c == b'_' || c >= 0x80
}

const fn continues_ident(c: u8) -> bool {
    starts_ident(c) || c.is_ascii_digit() || c == b'$'
}

/// Splits `text` into tokens; the last one is [`Tok::Eof`].
///
/// # Errors
/// 42601 for unterminated comments, strings and identifiers, and for junk after numbers; 54000 for texts of 4 GiB.
pub fn tokenize(text: &str) -> Result<Vec<Token>> {
    if u32::try_from(text.len()).is_err() {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "query string is too long"));
    }
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        ascii: text.is_ascii(),
        counted: (0, 0),
    };
    let mut tokens = Vec::with_capacity(text.len() / 5 + 4);
    loop {
        lexer.skip_blanks()?;
        let start = lexer.at;
        let kind = lexer.next()?;
        tokens.push(Token {
            kind,
            start: start as u32,
            end: lexer.at as u32,
            pos: lexer.position(start),
        });
        if kind == Tok::Eof {
            return Ok(tokens);
        }
    }
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn position(&mut self, byte: usize) -> u32 {
        if self.ascii {
            return byte as u32 + 1;
        }
        let (from, chars) = self.counted;
        if byte >= from {
            let more = self.bytes[from..byte].iter().filter(|b| (**b & 0xc0) != 0x80).count() as u32;
            self.counted = (byte, chars + more);
            return chars + more + 1;
        }
        self.bytes[..byte].iter().filter(|b| (**b & 0xc0) != 0x80).count() as u32 + 1
    }

    /// An error about the text from `start` to `end`.
    fn fail<T>(&mut self, message: &str, start: usize, end: usize) -> Result<T> {
        let pos = self.position(start);
        Err(error_near(message, self.text.get(start..end).unwrap_or(""), pos))
    }

    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            let c = self.peek(0);
            if is_space(c) && self.at < self.bytes.len() {
                self.at += 1;
            } else if c == b'-' && self.peek(1) == b'-' {
                while self.at < self.bytes.len() && !matches!(self.bytes[self.at], b'\n' | b'\r') {
                    self.at += 1;
                }
            } else if c == b'/' && self.peek(1) == b'*' {
                let start = self.at;
                let mut open = 0usize;
                loop {
                    if self.at >= self.bytes.len() {
                        return self.fail("unterminated /* comment", start, self.bytes.len());
                    }
                    match (self.peek(0), self.peek(1)) {
                        (b'/', b'*') => {
                            open += 1;
                            self.at += 2;
                        }
                        (b'*', b'/') => {
                            open -= 1;
                            self.at += 2;
                            if open == 0 {
                                break;
                            }
                        }
                        _ => self.at += 1,
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Tok> {
        let start = self.at;
        if start >= self.bytes.len() {
            return Ok(Tok::Eof);
        }
        let c = self.bytes[start];
        let simple = match c {
            b'(' => Some(Tok::LParen),
            b')' => Some(Tok::RParen),
            b'[' => Some(Tok::LBracket),
            b']' => Some(Tok::RBracket),
            b',' => Some(Tok::Comma),
            b';' => Some(Tok::Semicolon),
            _ => None,
        };
        if let Some(tok) = simple {
            self.at += 1;
            return Ok(tok);
        }
        match c {
            b'\'' => self.string(start, 0, false, Tok::String),
            b'"' => self.quoted_ident(start, 0, Tok::QuotedIdent),
            b'e' | b'E' if self.peek(1) == b'\'' => self.string(start, 1, true, Tok::EscapeString),
            b'b' | b'B' if self.peek(1) == b'\'' => self.string(start, 1, false, Tok::Bits),
            b'x' | b'X' if self.peek(1) == b'\'' => self.string(start, 1, false, Tok::HexBits),
            b'n' | b'N' if self.peek(1) == b'\'' => self.string(start, 1, false, Tok::String),
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'\'' => self.string(start, 2, false, Tok::UnicodeString),
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'"' => self.quoted_ident(start, 2, Tok::UnicodeIdent),
            b'$' => self.dollar(start),
            b'.' if self.peek(1).is_ascii_digit() => self.number(start),
            b'.' => {
                self.at += if self.peek(1) == b'.' { 2 } else { 1 };
                Ok(if self.at - start == 2 { Tok::DotDot } else { Tok::Dot })
            }
            b':' => {
                let (tok, length) = match self.peek(1) {
                    b':' => (Tok::ColonColon, 2),
                    b'=' => (Tok::ColonEquals, 2),
                    _ => (Tok::Colon, 1),
                };
                self.at += length;
                Ok(tok)
            }
            _ if c.is_ascii_digit() => self.number(start),
            _ if starts_ident(c) => Ok(self.word(start)),
            _ if is_op(c) => Ok(self.operator(start)),
            _ => {
                self.at += 1;
                Ok(Tok::Other)
            }
        }
    }

    fn word(&mut self, start: usize) -> Tok {
        while self.at < self.bytes.len() && continues_ident(self.bytes[self.at]) {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        // No keyword is longer than 32 bytes.
        let mut lower = [0u8; 32];
        if word.len() > lower.len() || !word.is_ascii() {
            return Tok::Word(None);
        }
        let lower = &mut lower[..word.len()];
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        Tok::Word(std::str::from_utf8(lower).ok().and_then(Kw::find))
    }

    fn operator(&mut self, start: usize) -> Tok {
        let mut end = start;
        while end < self.bytes.len() && is_op(self.bytes[end]) {
            // A comment ends an operator.
            if end > start && matches!(&self.bytes[end..], [b'/', b'*', ..] | [b'-', b'-', ..]) {
                break;
            }
            end += 1;
        }
        // A multi-character operator may end in + or - only if it has one of these.
        let special = |b: &[u8]| {
            b.iter()
                .any(|c| matches!(c, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'))
        };
        while end - start > 1 && matches!(self.bytes[end - 1], b'+' | b'-') && !special(&self.bytes[start..end - 1]) {
            end -= 1;
        }
        self.at = end;
        if &self.bytes[start..end] == b"=>" {
            Tok::EqualsGreater
        } else {
            Tok::Op
        }
    }

    fn number(&mut self, start: usize) -> Result<Tok> {
        let digits = |l: &mut Self| {
            while l.peek(0).is_ascii_digit() {
                l.at += 1;
            }
        };
        digits(self);
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            digits(self);
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                digits(self);
            }
        }
        self.no_junk("trailing junk after numeric literal", start)?;
        Ok(Tok::Number)
    }

    /// A number or parameter must not run into a word.
    fn no_junk(&mut self, message: &str, start: usize) -> Result<()> {
        if self.at < self.bytes.len() && starts_ident(self.bytes[self.at]) {
            let mut end = self.at + 1;
            while end < self.bytes.len() && continues_ident(self.bytes[end]) {
                end += 1;
            }
            return self.fail(message, start, end);
        }
        Ok(())
    }

    /// A quoted string whose quote is `prefix` bytes after `start`; parts separated by a line break join.
    fn string(&mut self, start: usize, prefix: usize, escapes: bool, tok: Tok) -> Result<Tok> {
        self.at += prefix + 1;
        loop {
            match self.bytes.get(self.at) {
                None => {
                    let what = match tok {
                        Tok::Bits => "unterminated bit string literal",
                        Tok::HexBits => "unterminated hexadecimal string literal",
                        _ => "unterminated quoted string",
                    };
                    return self.fail(what, start, self.bytes.len());
                }
                Some(b'\\') if escapes => self.at = (self.at + 2).min(self.bytes.len()),
                Some(b'\'') if self.peek(1) == b'\'' => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    match continuation(self.bytes, self.at) {
                        Some(next) => self.at = next,
                        None => return Ok(tok),
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn quoted_ident(&mut self, start: usize, prefix: usize, tok: Tok) -> Result<Tok> {
        self.at += prefix + 1;
        let first = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return self.fail("unterminated quoted identifier", start, self.bytes.len()),
                Some(b'"') if self.peek(1) == b'"' => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        if self.at - 1 == first {
            return self.fail("zero-length delimited identifier", start, self.at);
        }
        Ok(tok)
    }

    /// `$1`, `$tag$...$tag$`, or a stray dollar sign.
    fn dollar(&mut self, start: usize) -> Result<Tok> {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            self.no_junk("trailing junk after parameter", start)?;
            return Ok(Tok::Param);
        }
        let mut end = start + 1;
        while end < self.bytes.len() && continues_ident(self.bytes[end]) && self.bytes[end] != b'$' {
            end += 1;
        }
        if self.bytes.get(end) != Some(&b'$') {
            self.at += 1;
            return Ok(Tok::Other);
        }
        let tag = &self.text[start..=end];
        match self.text[end + 1..].find(tag) {
            Some(offset) => {
                self.at = end + 1 + offset + tag.len();
                Ok(Tok::DollarString)
            }
            None => self.fail("unterminated dollar-quoted string", start, self.bytes.len()),
        }
    }
}

/// Where the content of a continued string goes on: after blanks with a line break and a quote.
fn continuation(bytes: &[u8], after_quote: usize) -> Option<usize> {
    let mut at = after_quote;
    let mut newline = false;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => newline = true,
            c if is_space(*c) => {}
            b'-' if newline && bytes.get(at + 1) == Some(&b'-') => {
                while !matches!(bytes.get(at)?, b'\n' | b'\r') {
                    at += 1;
                }
                continue;
            }
            b'\'' if newline => return Some(at + 1),
            _ => return None,
        }
        at += 1;
    }
}

/// The pieces of a string token between their quotes, as ranges; doubled quotes are still doubled.
fn pieces(raw: &str, escapes: bool) -> Vec<std::ops::Range<usize>> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(1);
    let mut at = raw.find('\'').map_or(0, |i| i + 1);
    let mut start = at;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => {
                out.push(start..at);
                match continuation(bytes, at + 1) {
                    Some(next) => {
                        at = next;
                        start = next;
                    }
                    None => break,
                }
            }
            _ => at += 1,
        }
    }
    out
}

/// The value of a plain, bit or hexadecimal string token.
pub fn plain_string(raw: &str) -> String {
    let joined: String = pieces(raw, false).into_iter().map(|piece| &raw[piece]).collect();
    joined.replace("''", "'")
}

/// The value of a dollar-quoted token.
pub fn dollar_string(raw: &str) -> String {
    let tag = raw[1..].find('$').map_or(1, |i| i + 2);
    raw.get(tag..raw.len() - tag).unwrap_or("").to_owned()
}

/// The value of an `E'...'` token that starts at character `pos`.
///
/// # Errors
/// 42601, 22025 and 22021 for bad escapes.
pub fn escape_string(raw: &str, pos: u32) -> Result<String> {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let position = |at: usize| pos + raw[..at].chars().count() as u32;
    for piece in pieces(raw, true) {
        let end = piece.end;
        let bytes = &raw.as_bytes()[..end];
        let mut at = piece.start;
        let mut high: Option<u32> = None;
        let digits =
            |at: usize, radix: u32, most: usize| bytes[at..].iter().take(most).take_while(|b| (**b as char).is_digit(radix)).count();
        while at < end {
            let start = at;
            let c = bytes[at];
            let escape = if c == b'\\' {
                Some(bytes.get(at + 1).copied().unwrap_or(b'\\'))
            } else {
                None
            };
            let want = match escape {
                Some(b'u') => 4,
                Some(b'U') => 8,
                _ => 0,
            };
            if want > 0 && digits((at + 2).min(end), 16, want) == want {
                at += 2 + want;
                let mut value = u32::from_str_radix(&raw[start + 2..at], 16).unwrap_or(u32::MAX);
                let bad = |message: &str| Err(error_near(message, &raw[start..at], position(start)));
                match (high.take(), value) {
                    (Some(h), 0xdc00..0xe000) => value = join_surrogates(h, value),
                    (None, 0xd800..0xdc00) => {
                        high = Some(value);
                        continue;
                    }
                    (Some(_), _) | (None, 0xdc00..0xe000) => return bad(BAD_PAIR),
                    (None, _) => {}
                }
                match char::from_u32(value).filter(|c| *c != '\0') {
                    Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => return bad("invalid Unicode escape value"),
                }
                continue;
            }
            if high.is_some() {
                let c = raw[start..].chars().next().map_or(0, char::len_utf8);
                return Err(error_near(BAD_PAIR, &raw[start..start + c], position(start)));
            }
            at += 1;
            let Some(e) = escape else {
                out.push(c);
                at += usize::from(c == b'\''); // the other one of a doubled quote
                continue;
            };
            at += 1;
            match e {
                b'b' => out.push(8),
                b'f' => out.push(12),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'v' => out.push(11),
                b'0'..=b'7' => {
                    let n = digits(at - 1, 8, 3);
                    let value = u32::from_str_radix(&raw[at - 1..at - 1 + n], 8).unwrap_or(0);
                    at += n - 1;
                    out.push(value as u8);
                }
                b'x' if digits(at, 16, 2) > 0 => {
                    let n = digits(at, 16, 2);
                    out.push(u8::from_str_radix(&raw[at..at + n], 16).unwrap_or(0));
                    at += n;
                }
                b'u' | b'U' => {
                    return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
                        .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                        .at(Some(position(start))));
                }
                other => out.push(other),
            }
        }
        if high.is_some() {
            return Err(error_near(BAD_PAIR, "'", position(end)));
        }
    }
    if out.contains(&0) {
        return Err(SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    String::from_utf8(out).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let shown: Vec<String> = e.as_bytes()[valid..].iter().take(4).map(|b| format!("0x{b:02x}")).collect();
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    })
}

/// Resolves the escapes of a `U&` string or identifier whose quotes are gone already.
///
/// # Errors
/// 42601 for bad escapes.
pub fn unicode_escapes(text: &str, escape: char, pos: u32) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut high: Option<u32> = None;
    // The text starts three characters into the token.
    let bad = |message: &str, rest: &str| {
        let before = text.chars().count() - rest.chars().count();
        SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(pos + 3 + before as u32))
    };
    while let Some(c) = rest.chars().next() {
        let here = rest;
        rest = &rest[c.len_utf8()..];
        if c != escape || rest.starts_with(escape) {
            if high.is_some() {
                return Err(bad(BAD_PAIR, here));
            }
            out.push(c);
            rest = rest.strip_prefix(escape).filter(|_| c == escape).unwrap_or(rest);
            continue;
        }
        let (skip, want) = if rest.starts_with('+') { (1, 6) } else { (0, 4) };
        let value = rest
            .get(skip..skip + want)
            .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|h| u32::from_str_radix(h, 16).ok());
        let Some(mut value) = value else {
            return Err(bad("invalid Unicode escape", here).hint("Unicode escapes must be \\XXXX or \\+XXXXXX."));
        };
        rest = &rest[skip + want..];
        if value == 0 || value > 0x10_ffff {
            return Err(bad("invalid Unicode escape value", here));
        }
        match (high.take(), value) {
            (Some(h), 0xdc00..0xe000) => value = join_surrogates(h, value),
            (None, 0xd800..0xdc00) => {
                high = Some(value);
                continue;
            }
            (Some(_), _) | (None, 0xdc00..0xe000) => return Err(bad(BAD_PAIR, here)),
            (None, _) => {}
        }
        out.extend(char::from_u32(value));
    }
    if high.is_some() {
        return Err(bad(BAD_PAIR, rest));
    }
    Ok(out)
}

const BAD_PAIR: &str = "invalid Unicode surrogate pair";

/// The character that two halves of UTF-16 stand for.
fn join_surrogates(high: u32, low: u32) -> u32 {
    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
}

/// Longest name, as PostgreSQL's NAMEDATALEN - 1.
pub const MAX_NAME_BYTES: usize = 63;

/// Cuts a name to [`MAX_NAME_BYTES`], at a character boundary; gives what it was when it was longer.
pub fn truncate_ident(name: &mut String) -> Option<String> {
    if name.len() <= MAX_NAME_BYTES {
        return None;
    }
    let mut end = MAX_NAME_BYTES;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let short = name[..end].to_owned();
    Some(std::mem::replace(name, short))
}
