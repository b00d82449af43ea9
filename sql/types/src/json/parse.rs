//! Reads JSON text as PostgreSQL's parser does, without recursion, and words the DETAIL and CONTEXT as it does (`jsonapi.c`).

use super::{Json, MAX_DEPTH, too_deep};
use crate::{Numeric, Result, SqlError, SqlState};
use std::borrow::Cow;
use std::sync::Arc;

/// Deepest nesting of json text; PostgreSQL stops at its stack limit.
const MAX_TEXT_DEPTH: usize = 6_000;

/// Whether the lexer undoes escapes. Where it does not, `\u0000` and lone surrogates pass, as in values of type json.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lexical {
    /// Escapes are checked for their form only.
    Checked,
    /// Strings are wanted as what they stand for.
    Unescaped,
}

/// A token's kind is its first byte; `text` is as written.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    /// As written.
    pub text: &'a str,
    /// What a string stands for, when the lexer undoes escapes.
    pub string: Cow<'a, str>,
}

/// Splits JSON text into tokens.
struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the previous token ended: what an error without a place of its own shows.
    before: usize,
    mode: Lexical,
    line: usize,
    line_start: usize,
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80
}

impl<'a> Lexer<'a> {
    /// Tokens of a text.
    fn new(text: &'a str, mode: Lexical) -> Lexer<'a> {
        Lexer {
            text,
            at: 0,
            before: 0,
            mode,
            line: 1,
            line_start: 0,
        }
    }

    /// An error of this text, which was understood up to a place.
    fn error(&self, detail: impl Into<String>, upto: usize) -> SqlError {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .detail(detail)
            .context(self.context(upto))
    }

    /// The CONTEXT line of a place: the last 50 bytes of its line.
    fn context(&self, upto: usize) -> String {
        let line = self.line_start.min(upto);
        let mut from = line;
        while upto - from >= 50 {
            from += self.text[from..].chars().next().map_or(1, char::len_utf8);
        }
        if from - line <= 3 {
            from = line;
        }
        let lead = if from > line { "..." } else { "" };
        let more = match self.text.as_bytes().get(upto) {
            None | Some(b'\n' | b'\r') => "",
            Some(_) => "...",
        };
        format!("JSON data, line {}: {lead}{}{more}", self.line, &self.text[from..upto])
    }

    /// The next token; `None` at the end.
    fn next(&mut self) -> Result<Option<Token<'a>>> {
        let b = self.text.as_bytes();
        self.before = self.at;
        while let Some(c) = b.get(self.at).filter(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
            if *c == b'\n' {
                self.line += 1;
                self.line_start = self.at;
            }
        }
        let start = self.at;
        let Some(first) = b.get(start) else { return Ok(None) };
        let mut string = Cow::Borrowed("");
        match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => self.at += 1,
            b'"' => string = self.string()?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => {
                while b.get(self.at).copied().is_some_and(is_word) {
                    self.at += 1;
                }
                if self.at == start {
                    self.at += 1;
                }
                if !matches!(&self.text[start..self.at], "true" | "false" | "null") {
                    return Err(self.invalid(start, self.at));
                }
            }
        }
        Ok(Some(Token {
            text: &self.text[start..self.at],
            string,
        }))
    }

    fn invalid(&self, from: usize, upto: usize) -> SqlError {
        self.error(format!("Token \"{}\" is invalid.", &self.text[from..upto]), upto)
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
        if b.get(at) == Some(&b'.') {
            at += 1;
            ok &= digits(&mut at);
        }
        if matches!(b.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(b.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            ok &= digits(&mut at);
        }
        let end = at;
        while b.get(at).copied().is_some_and(is_word) {
            at += 1;
        }
        self.at = at;
        if ok && at == end { Ok(()) } else { Err(self.invalid(start, at)) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        let b = self.text.as_bytes();
        let start = self.at;
        let mut at = start + 1;
        let (mut out, mut copied) = (String::new(), at);
        let mut high: Option<u32> = None;
        let unescape = self.mode == Lexical::Unescaped;
        let lone_low = |lexer: &Self| lexer.error("Unicode low surrogate must follow a high surrogate.", lexer.before);
        loop {
            match b.get(at) {
                None => return Err(self.invalid(start, at)),
                Some(b'"') => break,
                Some(c) if *c < 0x20 => {
                    let detail = format!("Character with value 0x{c:02x} must be escaped.");
                    return Err(self.error(detail, at));
                }
                Some(b'\\') => {
                    let escape = at;
                    at += 1;
                    let simple = match b.get(at) {
                        None => return Err(self.invalid(start, at)),
                        Some(b'u') => {
                            let mut code = 0;
                            for _ in 0..4 {
                                at += 1;
                                let digit = match b.get(at) {
                                    None => return Err(self.invalid(start, at)),
                                    Some(d) => (*d as char).to_digit(16),
                                };
                                let Some(digit) = digit else {
                                    let end = at + self.text[at..].chars().next().map_or(1, char::len_utf8);
                                    return Err(self.error("\"\\u\" must be followed by four hexadecimal digits.", end));
                                };
                                code = code * 16 + digit;
                            }
                            at += 1;
                            if !unescape {
                                continue;
                            }
                            match (code, high) {
                                (0xd800..0xdc00, Some(_)) => {
                                    return Err(self.error("Unicode high surrogate must not follow a high surrogate.", self.before));
                                }
                                (0xd800..0xdc00, None) => {
                                    out.push_str(&self.text[copied..escape]);
                                    copied = at;
                                    high = Some(code);
                                    continue;
                                }
                                (0xdc00..0xe000, Some(h)) => {
                                    high = None;
                                    code = 0x10000 + ((h & 0x3ff) << 10) + (code & 0x3ff);
                                }
                                (0xdc00..0xe000, None) | (_, Some(_)) => return Err(lone_low(self)),
                                (0, None) => {
                                    return Err(
                                        SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
                                            .detail("\\u0000 cannot be converted to text.")
                                            .context(self.context(self.before)),
                                    );
                                }
                                _ => {}
                            }
                            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                        }
                        Some(c) => {
                            let plain = match c {
                                b'"' | b'\\' | b'/' => *c as char,
                                b'b' => '\x08',
                                b'f' => '\x0c',
                                b'n' => '\n',
                                b'r' => '\r',
                                b't' => '\t',
                                _ => {
                                    let c = self.text[at..].chars().next().unwrap_or('?');
                                    let detail = format!("Escape sequence \"\\{c}\" is invalid.");
                                    return Err(self.error(detail, at + c.len_utf8()));
                                }
                            };
                            at += 1;
                            if high.is_some() {
                                return Err(lone_low(self));
                            }
                            plain
                        }
                    };
                    if unescape {
                        out.push_str(&self.text[copied..escape]);
                        out.push(simple);
                        copied = at;
                    }
                }
                Some(_) => {
                    if high.is_some() {
                        return Err(lone_low(self));
                    }
                    at += 1;
                }
            }
        }
        if high.is_some() {
            return Err(lone_low(self));
        }
        let rest = &self.text[copied..at];
        self.at = at + 1;
        Ok(if out.is_empty() {
            rest.into()
        } else {
            out.push_str(rest);
            out.into()
        })
    }
}

/// What [`read_json`] tells of a document, part by part.
#[allow(unused_variables)] // an event that is of no interest
pub trait Events<'a> {
    /// `{`
    fn object_start(&mut self) -> Result<()> {
        Ok(())
    }
    /// `}`
    fn object_end(&mut self) -> Result<()> {
        Ok(())
    }
    /// `[`
    fn array_start(&mut self) -> Result<()> {
        Ok(())
    }
    /// `]`
    fn array_end(&mut self) -> Result<()> {
        Ok(())
    }
    /// A member's key.
    fn key(&mut self, token: Token<'a>) -> Result<()> {
        Ok(())
    }
    /// A string, number, true, false or null.
    fn scalar(&mut self, token: Token<'a>) -> Result<()> {
        Ok(())
    }
}

/// Listens to nothing: the text is only checked.
struct Plain;
impl Events<'_> for Plain {}

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

/// Reads one JSON value and tells its parts. 22P02 with DETAIL and CONTEXT as PostgreSQL words them.
pub fn read_json<'a>(text: &'a str, mode: Lexical, events: &mut impl Events<'a>) -> Result<()> {
    let mut lexer = Lexer::new(text, mode);
    // true: object, false: array.
    let mut open: Vec<bool> = Vec::new();
    let mut expect = Expect::Value;
    loop {
        let Some(token) = lexer.next()? else {
            return if expect == Expect::End {
                Ok(())
            } else {
                Err(lexer.error("The input string ended unexpectedly.", text.len()))
            };
        };
        let first = token.text.as_bytes()[0];
        let is_value = !matches!(first, b'}' | b']' | b',' | b':');
        let closed = match (expect, first) {
            (Expect::Value | Expect::ArrayStart, b'{' | b'[') => {
                if open.len() >= MAX_TEXT_DEPTH {
                    return Err(too_deep());
                }
                let object = first == b'{';
                open.push(object);
                if object {
                    events.object_start()?;
                    expect = Expect::ObjectStart;
                } else {
                    events.array_start()?;
                    expect = Expect::ArrayStart;
                }
                continue;
            }
            (Expect::Value | Expect::ArrayStart, _) if is_value => {
                events.scalar(token)?;
                true
            }
            (Expect::ArrayStart | Expect::ArrayNext, b']') => {
                open.pop();
                events.array_end()?;
                true
            }
            (Expect::ObjectStart | Expect::ObjectNext, b'}') => {
                open.pop();
                events.object_end()?;
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
                events.key(token)?;
                expect = Expect::ObjectColon;
                false
            }
            (Expect::ObjectColon, b':') => {
                expect = Expect::Value;
                false
            }
            _ => {
                let wanted = match expect {
                    Expect::Value | Expect::ArrayStart => "JSON value",
                    Expect::ArrayNext => "\",\" or \"]\"",
                    Expect::ObjectStart => "string or \"}\"",
                    Expect::ObjectKey => "string",
                    Expect::ObjectColon => "\":\"",
                    Expect::ObjectNext => "\",\" or \"}\"",
                    Expect::End => "end of input",
                };
                return Err(lexer.error(format!("Expected {wanted}, but found \"{}\".", token.text), lexer.at));
            }
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

/// Checks that the text is one JSON value. 22P02 with DETAIL and CONTEXT as PostgreSQL words them.
pub fn check_json(text: &str) -> Result<()> {
    read_json(text, Lexical::Checked, &mut Plain)
}

/// A container being read.
enum Open {
    Array(Vec<Json>),
    Object(Vec<(Arc<str>, Json)>, Arc<str>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    done: Option<Json>,
}

impl Builder {
    fn start(&mut self, container: Open) -> Result<()> {
        if self.open.len() >= usize::from(MAX_DEPTH) {
            return Err(too_deep());
        }
        self.open.push(container);
        Ok(())
    }

    fn value(&mut self, value: Json) -> Result<()> {
        match self.open.last_mut() {
            None => self.done = Some(value),
            Some(Open::Array(values)) => values.push(value),
            Some(Open::Object(pairs, key)) => pairs.push((key.clone(), value)),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let value = match self.open.pop() {
            Some(Open::Array(values)) => Json::array(values)?,
            Some(Open::Object(pairs, _)) => Json::object(pairs)?,
            None => return Err(SqlError::internal("a JSON container ended twice")),
        };
        self.value(value)
    }
}

impl Events<'_> for Builder {
    fn object_start(&mut self) -> Result<()> {
        self.start(Open::Object(Vec::new(), Arc::from("")))
    }
    fn object_end(&mut self) -> Result<()> {
        self.end()
    }
    fn array_start(&mut self) -> Result<()> {
        self.start(Open::Array(Vec::new()))
    }
    fn array_end(&mut self) -> Result<()> {
        self.end()
    }
    fn key(&mut self, token: Token<'_>) -> Result<()> {
        if token.string.len() > MAX_STRING {
            return Err(too_long(&token.string));
        }
        if let Some(Open::Object(_, key)) = self.open.last_mut() {
            *key = Arc::from(&*token.string);
        }
        Ok(())
    }
    fn scalar(&mut self, token: Token<'_>) -> Result<()> {
        let value = match token.text.as_bytes()[0] {
            b'"' => {
                if token.string.len() > MAX_STRING {
                    return Err(too_long(&token.string));
                }
                Json::string(&token.string)
            }
            b't' => Json::Bool(true),
            b'f' => Json::Bool(false),
            b'n' => Json::Null,
            _ => Json::Number(Numeric::parse(token.text)?),
        };
        self.value(value)
    }
}

/// Longest string in a jsonb (`JENTRY_OFFLENMASK`).
const MAX_STRING: usize = 0x0FFF_FFFF;

fn too_long(s: &str) -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "string too long to represent as jsonb string").detail(format!(
        "Due to an implementation restriction, jsonb strings cannot exceed {MAX_STRING} bytes, and this one has {}.",
        s.len()
    ))
}

pub(super) fn parse(text: &str) -> Result<Json> {
    let mut builder = Builder::default();
    read_json(text, Lexical::Unescaped, &mut builder)?;
    builder.done.ok_or_else(|| SqlError::internal("a JSON document without a value"))
}
