//! The words of a path (`jsonpath_scan.l`).

use crate::{Result, SqlError, SqlState};

/// What a token is; `text` of [`Token`] is as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A sign of one or more characters.
    Sign,
    /// A name, keyword or not.
    Word(String),
    String(String),
    /// `$name`
    Variable(String),
    Integer,
    Number,
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
}

/// 42601 at a token; an empty one is the end.
pub(super) fn error(message: &str, near: &str) -> SqlError {
    let place = if near.is_empty() {
        "at end of jsonpath input".to_owned()
    } else {
        format!("at or near \"{near}\" of jsonpath input")
    };
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{message} {place}"))
}

fn is_special(c: char) -> bool {
    "?%$.[]{}()|&!=<>@#,*:-+/".contains(c)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

fn is_other(c: char) -> bool {
    !is_special(c) && !is_blank(c) && c != '"' && c != '\\'
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }
    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn hex(&mut self, digits: usize, from: usize) -> Result<u32> {
        let mut v = 0;
        for _ in 0..digits {
            let d = self.peek().and_then(|c| c.to_digit(16));
            let d = d.ok_or_else(|| {
                error(
                    if digits == 2 {
                        "invalid hex character sequence"
                    } else {
                        "invalid unicode sequence"
                    },
                    &self.text[from..self.at],
                )
            })?;
            self.at += 1;
            v = v * 16 + d;
        }
        Ok(v)
    }

    /// After a backslash.
    fn escape(&mut self, out: &mut String) -> Result<()> {
        let from = self.at - 1;
        let Some(c) = self.next() else {
            return Err(error("unexpected end after backslash", ""));
        };
        let code = match c {
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => self.hex(2, from)?,
            'u' if self.peek() == Some('{') => {
                self.at += 1;
                let (mut v, mut n) = (0u32, 0);
                while let Some(d) = self.peek().and_then(|c| c.to_digit(16)) {
                    self.at += 1;
                    n += 1;
                    v = v.saturating_mul(16).saturating_add(d);
                }
                if !(1..=6).contains(&n) || self.next() != Some('}') {
                    return Err(error("invalid unicode sequence", &self.text[from..self.at]));
                }
                v
            }
            'u' => {
                let v = self.hex(4, from)?;
                if (0xd800..0xdc00).contains(&v) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    let low = self.hex(4, from)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
                    }
                    0x10000 + ((v & 0x3ff) << 10) + (low & 0x3ff)
                } else {
                    v
                }
            }
            other => u32::from(other),
        };
        if code == 0 {
            return Err(
                SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
                    .detail("\\u0000 cannot be converted to text."),
            );
        }
        out.push(char::from_u32(code).ok_or_else(|| surrogate("Unicode low surrogate must follow a high surrogate."))?);
        Ok(())
    }

    fn quoted(&mut self) -> Result<String> {
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(error("unterminated quoted string", "")),
                Some('"') => return Ok(out),
                Some('\\') => self.escape(&mut out)?,
                Some(c) => out.push(c),
            }
        }
    }

    fn word(&mut self) -> Result<String> {
        let mut out = String::new();
        loop {
            match self.peek() {
                Some('\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                Some('/') if self.text[self.at..].starts_with("/*") => return Ok(out),
                Some(c) if is_other(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
                _ => return Ok(out),
            }
        }
    }

    fn digits(&mut self) -> bool {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > from
    }

    fn number(&mut self) -> Result<Kind> {
        let from = self.at;
        let mut kind = Kind::Integer;
        if self.peek() == Some('0') {
            self.at += 1;
        } else {
            self.digits();
        }
        if self.peek() == Some('.') {
            self.at += 1;
            self.digits();
            kind = Kind::Number;
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let before = self.at;
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            if self.digits() {
                kind = Kind::Number;
            } else {
                self.at = before;
            }
        }
        if self.peek().is_some_and(|c| is_other(c) || c == '\\') {
            self.next();
            return Err(error("trailing junk after numeric literal", &self.text[from..self.at]));
        }
        Ok(kind)
    }
}

fn surrogate(detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type jsonpath").detail(detail)
}

/// Splits a path; the last token is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut s = Scanner { text, at: 0 };
    let mut out = Vec::new();
    loop {
        while s.peek().is_some_and(is_blank) {
            s.at += 1;
        }
        if s.text[s.at..].starts_with("/*") {
            match s.text[s.at..].find("*/") {
                Some(end) => s.at += end + 2,
                None => return Err(error("unexpected end of comment", "")),
            }
            continue;
        }
        let from = s.at;
        let rest = &text[from..];
        let Some(c) = s.peek() else {
            out.push(Token {
                kind: Kind::End,
                text: String::new(),
            });
            return Ok(out);
        };
        let second = rest[c.len_utf8()..].chars().next();
        let kind = match c {
            '"' => {
                s.at += 1;
                Kind::String(s.quoted()?)
            }
            '$' if second == Some('"') => {
                s.at += 2;
                Kind::Variable(s.quoted()?)
            }
            '$' if second.is_some_and(|c| is_other(c) || c == '\\') => {
                s.at += 1;
                Kind::Variable(s.word()?)
            }
            '0'..='9' => s.number()?,
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => s.number()?,
            _ if is_special(c) => {
                let long = ["&&", "||", "==", "!=", "<>", "<=", ">=", "**"]
                    .iter()
                    .find(|l| rest.starts_with(**l));
                s.at += long.map_or(c.len_utf8(), |l| l.len());
                Kind::Sign
            }
            _ => Kind::Word(s.word()?),
        };
        out.push(Token {
            kind,
            text: text[from..s.at].to_owned(),
        });
    }
}
