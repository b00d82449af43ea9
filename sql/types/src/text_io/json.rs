//! Validates json text as PostgreSQL's parser does, without recursion, and words the DETAIL as it does.

use crate::{Result, SqlError, SqlState};

/// Deepest nesting accepted; PostgreSQL stops at its stack limit.
const MAX_DEPTH: usize = 6_000;

#[derive(Clone, Copy, PartialEq)]
enum Expect {
    Value,
    ArrayStart,
    ArrayNext,
    ObjectStart,
    ObjectKey,
    ObjectColon,
    ObjectNext,
    End,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn error(detail: impl Into<String>, text: &str, upto: usize) -> SqlError {
    let start = text[..upto].rfind('\n').map_or(0, |p| p + 1);
    let line = text[..upto].matches('\n').count() + 1;
    let more = if upto < text.len() { "..." } else { "" };
    let shown = &text[start..upto];
    // Long lines show their last 50 bytes.
    let mut from = shown.len().saturating_sub(50);
    while !shown.is_char_boundary(from) {
        from += 1;
    }
    let lead = if from > 0 { "..." } else { "" };
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
        .detail(detail)
        .context(format!("JSON data, line {line}: {lead}{}{more}", &shown[from..]))
}

impl<'a> Lexer<'a> {
    /// The next token's text; `None` at the end.
    fn next(&mut self) -> Result<Option<&'a str>> {
        let b = self.text.as_bytes();
        while b.get(self.at).is_some_and(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let start = self.at;
        let Some(first) = b.get(start) else { return Ok(None) };
        match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => self.at += 1,
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => {
                while b
                    .get(self.at)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_' || *c >= 0x80)
                {
                    self.at += 1;
                }
                if self.at == start {
                    self.at += 1;
                }
                let word = &self.text[start..self.at];
                if !matches!(word, "true" | "false" | "null") {
                    return Err(error(format!("Token \"{word}\" is invalid."), self.text, self.at));
                }
            }
        }
        Ok(Some(&self.text[start..self.at]))
    }

    fn number(&mut self) -> Result<()> {
        let b = self.text.as_bytes();
        let start = self.at;
        let digits = |at: &mut usize| {
            let from = *at;
            while b.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        let mut at = start + usize::from(b[start] == b'-');
        let mut ok = match b.get(at) {
            Some(b'0') => {
                at += 1;
                true
            }
            _ => digits(&mut at),
        };
        if ok && b.get(at) == Some(&b'.') {
            at += 1;
            ok = digits(&mut at);
        }
        if ok && matches!(b.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(b.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            ok = digits(&mut at);
        }
        let end = at;
        while b.get(at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_' || *c >= 0x80) {
            at += 1;
        }
        self.at = at;
        if !ok || at != end {
            return Err(error(format!("Token \"{}\" is invalid.", &self.text[start..at]), self.text, at));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<()> {
        let b = self.text.as_bytes();
        let start = self.at;
        self.at += 1;
        loop {
            match b.get(self.at) {
                None => return Err(error(format!("Token \"{}\" is invalid.", &self.text[start..]), self.text, b.len())),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(c) if *c < 0x20 => {
                    return Err(error(
                        format!("Character with value 0x{c:02x} must be escaped."),
                        self.text,
                        self.at,
                    ));
                }
                Some(b'\\') => {
                    match b.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                        Some(b'u') => {
                            let hex = b.get(self.at + 2..self.at + 6);
                            if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                                let end = (self.at + 6).min(b.len());
                                return Err(error(
                                    "\"\\u\" must be followed by four hexadecimal digits.",
                                    self.text,
                                    floor(self.text, end),
                                ));
                            }
                            self.at += 6;
                        }
                        Some(_) => {
                            let c = self.text[self.at + 1..].chars().next().unwrap_or('?');
                            let end = self.at + 1 + c.len_utf8();
                            return Err(error(format!("Escape sequence \"\\{c}\" is invalid."), self.text, end));
                        }
                        None => return Err(error(format!("Token \"{}\" is invalid.", &self.text[start..]), self.text, b.len())),
                    };
                }
                Some(_) => self.at += 1,
            }
        }
    }
}

fn floor(s: &str, mut at: usize) -> usize {
    while !s.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Checks that the text is one JSON value. 22P02 with DETAIL and CONTEXT as PostgreSQL words them.
pub fn check_json(text: &str) -> Result<()> {
    let mut lexer = Lexer { text, at: 0 };
    // true: object, false: array.
    let mut open: Vec<bool> = Vec::new();
    let mut expect = Expect::Value;
    loop {
        let Some(token) = lexer.next()? else {
            return if expect == Expect::End {
                Ok(())
            } else {
                Err(error("The input string ended unexpectedly.", text, text.len()))
            };
        };
        let first = token.as_bytes()[0];
        let is_value = !matches!(first, b'}' | b']' | b',' | b':');
        let bad = |wanted: &str| Err(error(format!("Expected {wanted}, but found \"{token}\"."), text, lexer.at));
        let closed = match (expect, first) {
            (Expect::Value | Expect::ArrayStart, _) if is_value => match first {
                b'{' | b'[' => {
                    if open.len() >= MAX_DEPTH {
                        return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
                    }
                    open.push(first == b'{');
                    expect = if first == b'{' { Expect::ObjectStart } else { Expect::ArrayStart };
                    continue;
                }
                _ => true,
            },
            (Expect::ArrayStart | Expect::ArrayNext, b']') | (Expect::ObjectStart | Expect::ObjectNext, b'}') => {
                open.pop();
                true
            }
            (Expect::ArrayNext, b',') => {
                expect = Expect::Value;
                false
            }
            (Expect::ObjectNext, b',') => {
                expect = Expect::ObjectKey;
                false
            }
            (Expect::ObjectStart | Expect::ObjectKey, b'"') => {
                expect = Expect::ObjectColon;
                false
            }
            (Expect::ObjectColon, b':') => {
                expect = Expect::Value;
                false
            }
            (Expect::Value, _) => return bad("JSON value"),
            (Expect::ArrayStart, _) => return bad("JSON value"),
            (Expect::ArrayNext, _) => return bad("\",\" or \"]\""),
            (Expect::ObjectStart, _) => return bad("string or \"}\""),
            (Expect::ObjectKey, _) => return bad("string"),
            (Expect::ObjectColon, _) => return bad("\":\""),
            (Expect::ObjectNext, _) => return bad("\",\" or \"}\""),
            (Expect::End, _) => return bad("end of input"),
        };
        if closed {
            expect = match open.last() {
                None => Expect::End,
                Some(true) => Expect::ObjectNext,
                Some(false) => Expect::ArrayNext,
            };
        }
    }
}
