//! SQL/JSON paths: the type jsonpath. A value is kept as its text in normal form, which reads back as the same path.
//!
//! `parse` has the grammar; this module the tree and its text (`jsonpath.c`).

mod parse;
mod token;

use crate::json::escape;
use crate::{Numeric, Result};

/// A path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    /// Structural errors are none, and arrays open and close by themselves.
    pub lax: bool,
    /// What it computes.
    pub steps: Steps,
}

/// A primary item and the accessors after it; never empty.
pub type Steps = Vec<Item>;

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the names are the grammar's
pub enum Item {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    /// `$name`
    Variable(String),
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `.key`
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[from to to, ..]`
    Elements(Vec<(Steps, Option<Steps>)>),
    /// `.**{first to last}`; `u32::MAX` is `last`, or no bound.
    AnyLevel(u32, u32),
    Binary(Binary, Box<(Steps, Steps)>),
    /// `-x`, or `+x`
    Sign {
        negative: bool,
        arg: Steps,
    },
    Not(Steps),
    IsUnknown(Steps),
    Exists(Steps),
    LikeRegex {
        arg: Steps,
        pattern: String,
        flags: RegexFlags,
    },
    /// `?(predicate)`
    Filter(Steps),
    Method(Method),
    /// `.datetime(template)`
    Datetime(Option<String>),
}

/// Operators of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the grammar's
pub enum Binary {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    StartsWith,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Binary {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Binary::And => "&&",
            Binary::Or => "||",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::Greater => ">",
            Binary::LessOrEqual => "<=",
            Binary::GreaterOrEqual => ">=",
            Binary::StartsWith => "starts with",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Modulo => "%",
        }
    }
    fn priority(self) -> u8 {
        match self {
            Binary::Or => 0,
            Binary::And => 1,
            Binary::Add | Binary::Subtract => 3,
            Binary::Multiply | Binary::Divide | Binary::Modulo => 4,
            _ => 2,
        }
    }
    /// Whether it gives true, false or unknown.
    pub fn is_predicate(self) -> bool {
        self.priority() <= 2
    }
}

/// Item methods without argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the grammar's
pub enum Method {
    Abs,
    Size,
    Type,
    Floor,
    Ceiling,
    Double,
    KeyValue,
}

impl Method {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Method::Abs => "abs",
            Method::Size => "size",
            Method::Type => "type",
            Method::Floor => "floor",
            Method::Ceiling => "ceiling",
            Method::Double => "double",
            Method::KeyValue => "keyvalue",
        }
    }
}

/// Flags of like_regex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegexFlags {
    /// i
    pub ignore_case: bool,
    /// s
    pub dot_all: bool,
    /// m
    pub multi_line: bool,
    /// q
    pub quote: bool,
}

impl JsonPath {
    /// Reads a path. 42601 and 22P02 in PostgreSQL's words.
    pub fn parse(text: &str) -> Result<JsonPath> {
        parse::parse(text)
    }
}

impl std::fmt::Display for JsonPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        if !self.lax {
            out.extend_from_slice(b"strict ");
        }
        write_steps(&self.steps, true, &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// How tightly the first item binds.
fn priority(steps: &Steps) -> u8 {
    match steps.first() {
        Some(Item::Binary(op, _)) => op.priority(),
        Some(Item::LikeRegex { .. }) => 2,
        Some(Item::Sign { .. }) => 5,
        _ => 6,
    }
}

fn write_steps(steps: &Steps, brackets: bool, out: &mut Vec<u8>) {
    for (i, item) in steps.iter().enumerate() {
        // A number with accessors keeps its parentheses, as it would not read back without them.
        let guarded = matches!(item, Item::Number(_)) && i + 1 < steps.len();
        if guarded {
            out.push(b'(');
        }
        write_item(item, i > 0, brackets || i > 0 || steps.len() > 1, out);
        if guarded {
            out.push(b')');
        }
    }
}

fn wrapped(brackets: bool, out: &mut Vec<u8>, inside: impl FnOnce(&mut Vec<u8>)) {
    if brackets {
        out.push(b'(');
    }
    inside(out);
    if brackets {
        out.push(b')');
    }
}

fn write_item(item: &Item, in_key: bool, brackets: bool, out: &mut Vec<u8>) {
    let text = |s: &str, out: &mut Vec<u8>| out.extend_from_slice(s.as_bytes());
    let own = match item {
        Item::Binary(op, _) => op.priority(),
        Item::LikeRegex { .. } => 2,
        Item::Sign { .. } => 5,
        _ => 6,
    };
    let operand = |steps: &Steps, out: &mut Vec<u8>| write_steps(steps, priority(steps) <= own, out);
    match item {
        Item::Null => text("null", out),
        Item::Bool(b) => text(if *b { "true" } else { "false" }, out),
        Item::Number(n) => n.write(out),
        Item::String(s) => escape(s, out),
        Item::Variable(name) => {
            out.push(b'$');
            escape(name, out);
        }
        Item::Root => out.push(b'$'),
        Item::Current => out.push(b'@'),
        Item::Last => text("last", out),
        Item::Key(key) => {
            if in_key {
                out.push(b'.');
            }
            escape(key, out);
        }
        Item::AnyKey => text(".*", out),
        Item::AnyElement => text("[*]", out),
        Item::Elements(list) => {
            out.push(b'[');
            for (i, (from, to)) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_steps(from, false, out);
                if let Some(to) = to {
                    text(" to ", out);
                    write_steps(to, false, out);
                }
            }
            out.push(b']');
        }
        Item::AnyLevel(first, last) => {
            let level = |v: u32| if v == u32::MAX { "last".to_owned() } else { v.to_string() };
            match (*first, *last) {
                (0, u32::MAX) => text(".**", out),
                (a, b) if a == b => text(&format!(".**{{{}}}", level(a)), out),
                (a, b) => text(&format!(".**{{{} to {}}}", level(a), level(b)), out),
            }
        }
        Item::Binary(op, args) => wrapped(brackets, out, |out| {
            operand(&args.0, out);
            text(&format!(" {} ", op.sign()), out);
            operand(&args.1, out);
        }),
        Item::Sign { negative, arg } => wrapped(brackets, out, |out| {
            out.push(if *negative { b'-' } else { b'+' });
            operand(arg, out);
        }),
        Item::Not(arg) => {
            text("!(", out);
            write_steps(arg, false, out);
            out.push(b')');
        }
        Item::IsUnknown(arg) => {
            out.push(b'(');
            write_steps(arg, false, out);
            text(") is unknown", out);
        }
        Item::Exists(arg) => {
            text("exists (", out);
            write_steps(arg, false, out);
            out.push(b')');
        }
        Item::LikeRegex { arg, pattern, flags } => wrapped(brackets, out, |out| {
            operand(arg, out);
            text(" like_regex ", out);
            escape(pattern, out);
            let letters: String = [
                (flags.ignore_case, 'i'),
                (flags.dot_all, 's'),
                (flags.multi_line, 'm'),
                (flags.quote, 'q'),
            ]
            .iter()
            .filter_map(|(on, letter)| on.then_some(*letter))
            .collect();
            if !letters.is_empty() {
                text(&format!(" flag \"{letters}\""), out);
            }
        }),
        Item::Filter(arg) => {
            text("?(", out);
            write_steps(arg, false, out);
            out.push(b')');
        }
        Item::Method(m) => text(&format!(".{}()", m.name()), out),
        Item::Datetime(template) => {
            text(".datetime(", out);
            if let Some(template) = template {
                escape(template, out);
            }
            out.push(b')');
        }
    }
}
