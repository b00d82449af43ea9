//! PostgreSQL's advanced regular expressions translated to the `regex` crate's syntax, compiled and cached per thread.
//!
//! Differences that remain: alternations match leftmost-first, not longest; back-references and lookaround answer 0A000.

use curia_types::{Result, SqlError, SqlState};
use regex::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::collections::HashMap;

/// Compiled expressions kept per thread; the cache starts over when full.
const MAX_CACHED: usize = 64;
/// Largest compiled program.
const MAX_PROGRAM_BYTES: usize = 10 << 20;

/// How to read and match.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Options {
    pub ignore_case: bool,
    /// `.` and negated brackets do not match a newline.
    pub newline_stops: bool,
    /// `^` and `$` match at lines.
    pub newline_anchors: bool,
    pub expanded: bool,
    pub literal: bool,
    pub global: bool,
}

impl Options {
    /// Reads a flags argument. 22023 for an unknown letter.
    pub fn parse(flags: &str) -> Result<Options> {
        let mut o = Options::default();
        for c in flags.chars() {
            o.letter(c).ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid regular expression option: \"{c}\""),
                )
            })?;
        }
        Ok(o)
    }
    fn letter(&mut self, c: char) -> Option<()> {
        match c {
            'g' => self.global = true,
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops, self.newline_anchors) = (true, true),
            'p' => (self.newline_stops, self.newline_anchors) = (true, false),
            'w' => (self.newline_stops, self.newline_anchors) = (false, true),
            's' => (self.newline_stops, self.newline_anchors) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'e' | 'b' => self.literal = false,
            _ => return None,
        }
        Some(())
    }
}

thread_local! {
    static CACHE: RefCell<HashMap<(String, Options), Regex>> = RefCell::new(HashMap::new());
}

fn invalid(m: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {m}"))
}

/// Compiles a pattern. 2201B when it is no regular expression, 0A000 for back-references and lookaround.
pub(super) fn compile(pattern: &str, options: Options) -> Result<Regex> {
    let key = (pattern.to_owned(), Options { global: false, ..options });
    if let Some(r) = CACHE.with_borrow(|c| c.get(&key).cloned()) {
        return Ok(r);
    }
    let (translated, options) = translate(pattern, options)?;
    let built = RegexBuilder::new(&translated)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.newline_stops)
        .multi_line(options.newline_anchors)
        .size_limit(MAX_PROGRAM_BYTES)
        .build()
        .map_err(|e| build_error(&e))?;
    CACHE.with_borrow_mut(|c| {
        if c.len() >= MAX_CACHED {
            c.clear();
        }
        c.insert(key, built.clone());
    });
    Ok(built)
}

fn build_error(e: &regex::Error) -> SqlError {
    let text = e.to_string();
    let has = |s: &str| text.contains(s);
    invalid(match () {
        () if matches!(e, regex::Error::CompiledTooBig(_)) => "regular expression is too complex",
        () if has("unclosed group") || has("unopened group") => "parentheses () not balanced",
        () if has("unclosed character class") => "brackets [] not balanced",
        () if has("repetition operator missing") => "quantifier operand invalid",
        () if has("invalid character class range") => "invalid character range",
        () if has("POSIX class not found") || has("Unicode") => "invalid character class",
        () if has("repetition") || has("counted") => "invalid repetition count(s)",
        () => "invalid escape \\ sequence",
    })
}

/// Appends a character that must stand for itself.
fn push_literal(c: char, out: &mut String) {
    // An escaped < or > would be the edge of a word.
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') || c == ' ' {
        out.push('\\');
        if c == ' ' {
            out.pop();
            out.push_str("\\x20");
            return;
        }
    }
    out.push(c);
}

fn translate(pattern: &str, mut o: Options) -> Result<(String, Options)> {
    let mut rest = pattern;
    if let Some(r) = rest.strip_prefix("***=") {
        o.literal = true;
        rest = r;
    } else if let Some(r) = rest.strip_prefix("***:") {
        rest = r;
    } else if rest.starts_with("***") {
        return Err(invalid("quantifier operand invalid"));
    }
    if !o.literal && rest.starts_with("(?") {
        let letters = rest[2..].bytes().take_while(u8::is_ascii_alphabetic).count();
        if letters > 0 && rest[2 + letters..].starts_with(')') {
            for c in rest[2..2 + letters].chars() {
                if c == 'g' || o.letter(c).is_none() {
                    return Err(invalid("invalid embedded option"));
                }
            }
            rest = &rest[letters + 3..];
        }
    }
    let mut out = String::with_capacity(rest.len() + 8);
    if o.literal {
        rest.chars().for_each(|c| push_literal(c, &mut out));
        return Ok((out, o));
    }
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out, false)?,
            '[' => bracket(&mut chars, &mut out, o)?,
            '(' => {
                out.push('(');
                if chars.peek() == Some(&'?') {
                    chars.next();
                    match chars.peek() {
                        Some(':') => {
                            chars.next();
                            out.push_str("?:");
                        }
                        Some('=' | '!' | '<') => return Err(SqlError::unsupported("lookaround in regular expressions")),
                        Some('#') => {
                            // A comment: ends at the closing parenthesis.
                            out.pop();
                            for c in chars.by_ref() {
                                if c == ')' {
                                    break;
                                }
                            }
                        }
                        _ => return Err(invalid("quantifier operand invalid")),
                    }
                }
            }
            '{' => {
                if chars.peek().is_some_and(char::is_ascii_digit) {
                    bound(&mut chars, &mut out)?;
                } else {
                    out.push_str("\\{");
                }
            }
            '}' => out.push_str("\\}"),
            ']' => out.push_str("\\]"),
            '$' => out.push_str(if o.newline_anchors { "$" } else { "\\z" }),
            c if o.expanded && c.is_whitespace() => {}
            '#' if o.expanded => {
                for c in chars.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
            }
            '.' | '^' | '|' | ')' | '*' | '+' | '?' => out.push(c),
            c => push_literal(c, &mut out),
        }
    }
    Ok((out, o))
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// `{m}`, `{m,}`, `{m,n}` after the brace.
fn bound(chars: &mut Chars<'_>, out: &mut String) -> Result<()> {
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('}') => break,
            Some(c) if c.is_ascii_digit() || c == ',' => text.push(c),
            Some(_) => return Err(invalid("invalid repetition count(s)")),
            None => return Err(invalid("braces {} not balanced")),
        }
    }
    let numbers: Vec<Option<u32>> = text.split(',').map(|n| n.parse().ok()).collect();
    let ok = match numbers[..] {
        [Some(m)] => m <= 255,
        [Some(m), None] => m <= 255 && text.ends_with(','),
        [Some(m), Some(n)] => m <= n && n <= 255,
        _ => false,
    };
    if !ok {
        return Err(invalid("invalid repetition count(s)"));
    }
    out.push('{');
    out.push_str(&text);
    out.push('}');
    Ok(())
}

fn escape(chars: &mut Chars<'_>, out: &mut String, inside: bool) -> Result<()> {
    let bad = || invalid("invalid escape \\ sequence");
    let c = chars.next().ok_or_else(bad)?;
    let hex = |chars: &mut Chars<'_>, least: usize, most: usize| -> Result<u32> {
        let mut v: u32 = 0;
        let mut n = 0;
        while n < most {
            let Some(d) = chars.peek().and_then(|c| c.to_digit(16)) else {
                break;
            };
            v = v.wrapping_mul(16).wrapping_add(d);
            chars.next();
            n += 1;
        }
        if n < least {
            Err(invalid("invalid escape \\ sequence"))
        } else {
            Ok(v)
        }
    };
    let code = |v: u32, out: &mut String| -> Result<()> {
        push_literal(char::from_u32(v).ok_or_else(|| invalid("invalid escape \\ sequence"))?, out);
        Ok(())
    };
    match c {
        'd' => out.push_str("\\d"),
        'w' => out.push_str("\\w"),
        's' => out.push_str("\\s"),
        'D' => out.push_str("\\D"),
        'W' => out.push_str("\\W"),
        'S' => out.push_str("\\S"),
        'a' => out.push_str("\\x07"),
        'b' => out.push_str("\\x08"),
        'B' => out.push_str("\\\\"),
        'e' => out.push_str("\\x1b"),
        'f' => out.push_str("\\x0c"),
        'n' => out.push_str("\\n"),
        'r' => out.push_str("\\r"),
        't' => out.push_str("\\t"),
        'v' => out.push_str("\\x0b"),
        'u' => return code(hex(chars, 4, 4)?, out),
        'U' => return code(hex(chars, 8, 8)?, out),
        'x' => return code(hex(chars, 1, 8)?, out),
        'c' => return code(chars.next().ok_or_else(bad)? as u32 & 31, out),
        'A' if !inside => out.push_str("\\A"),
        'Z' if !inside => out.push_str("\\z"),
        'm' if !inside => out.push_str("\\b{start}"),
        'M' if !inside => out.push_str("\\b{end}"),
        'y' if !inside => out.push_str("\\b"),
        'Y' if !inside => out.push_str("\\B"),
        '0' => out.push_str("\\x00"),
        '1'..='9' if !inside => return Err(SqlError::unsupported("back-reference in regular expressions")),
        c if c.is_ascii_alphanumeric() => return Err(bad()),
        c => push_literal(c, out),
    }
    Ok(())
}

/// A bracket expression after its `[`.
fn bracket(chars: &mut Chars<'_>, out: &mut String, o: Options) -> Result<()> {
    let unbalanced = || invalid("brackets [] not balanced");
    out.push('[');
    let negated = chars.peek() == Some(&'^');
    if negated {
        chars.next();
        out.push('^');
        if o.newline_stops {
            out.push_str("\\n");
        }
    }
    let mut first = true;
    loop {
        let c = chars.next().ok_or_else(unbalanced)?;
        match c {
            ']' if !first => break,
            '[' if matches!(chars.peek(), Some(':' | '.' | '=')) => {
                let kind = chars.next().ok_or_else(unbalanced)?;
                let mut name = String::new();
                loop {
                    let c = chars.next().ok_or_else(unbalanced)?;
                    if c == kind && chars.peek() == Some(&']') {
                        chars.next();
                        break;
                    }
                    name.push(c);
                }
                match kind {
                    ':' => match name.as_str() {
                        // Classes are of all of Unicode, as PostgreSQL's are in a UTF-8 locale.
                        "alpha" => out.push_str("\\p{Alphabetic}"),
                        "digit" => out.push_str("\\p{Nd}"),
                        "alnum" => out.push_str("\\p{Alphabetic}\\p{N}"),
                        "upper" => out.push_str("\\p{Uppercase}"),
                        "lower" => out.push_str("\\p{Lowercase}"),
                        "space" => out.push_str("\\s"),
                        "word" => out.push_str("\\w"),
                        "blank" | "punct" | "cntrl" | "graph" | "print" | "xdigit" => {
                            out.push_str("[:");
                            out.push_str(&name);
                            out.push_str(":]");
                        }
                        _ => return Err(invalid("invalid character class")),
                    },
                    _ => {
                        let mut one = name.chars();
                        match (one.next(), one.next()) {
                            (Some(c), None) => push_literal(c, out),
                            _ => return Err(invalid("invalid collating element")),
                        }
                    }
                }
            }
            '\\' => escape(chars, out, true)?,
            '-' => {
                // A range's hyphen stands between two ends; elsewhere it is itself.
                let last = matches!(chars.peek(), Some(']') | None);
                if first || last { out.push_str("\\-") } else { out.push('-') }
            }
            c => push_literal(c, out),
        }
        first = false;
    }
    out.push(']');
    Ok(())
}

/// The regular expression of a SIMILAR TO pattern (`similar_to_escape`). 22025 and kin.
pub(super) fn similar_to(pattern: &str, escape: Option<&str>) -> Result<String> {
    let escape = match escape {
        None => Some('\\'),
        Some(e) => {
            let mut c = e.chars();
            let first = c.next();
            if c.next().is_some() {
                return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                    .hint("Escape string must be empty or one character."));
            }
            first
        }
    };
    let mut out = String::from("^(?:");
    let mut after_escape = false;
    let mut quotes = 0;
    let mut bracket_depth = 0;
    // Position inside a bracket expression's first characters, where ] is literal.
    let mut fresh = 0;
    for c in pattern.chars() {
        if after_escape {
            if c == '"' && bracket_depth == 0 {
                match quotes {
                    0 => out.push_str("){1,1}?("),
                    1 => out.push_str("){1,1}(?:"),
                    _ => {
                        return Err(SqlError::new(
                            SqlState::new("2200C"),
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                }
                quotes += 1;
            } else {
                out.push('\\');
                out.push(c);
            }
            after_escape = false;
            continue;
        }
        if Some(c) == escape {
            after_escape = true;
            continue;
        }
        if bracket_depth > 0 {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            match c {
                ']' if fresh > 1 => bracket_depth -= 1,
                '^' if fresh == 0 => {}
                _ => fresh += 2,
            }
            continue;
        }
        match c {
            '[' => {
                bracket_depth += 1;
                fresh = 0;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}
