//! jsonb: a JSON document as a tree with exact numbers, and the reading of JSON text that json and jsonb share.
//!
//! Objects keep their keys without repetition, shorter ones first and equally long ones by bytes, as PostgreSQL stores them: this is the
//! order in which they print and compare. Parts of a document are shared, so taking one out or passing it on copies nothing.
//!
//! `parse` reads text; `write` prints it, densely or indented; `codec` has the stored form and the order-preserving key.

mod codec;
mod parse;
mod write;

use crate::{Numeric, Result, SqlError, SqlState};
use std::cmp::Ordering;
use std::sync::Arc;

pub use parse::{Events, Lexical, Token, check_json, read_json};
pub use write::{escape, json_string};

/// Deepest nesting of a jsonb value. PostgreSQL stops at its stack limit.
pub const MAX_DEPTH: u16 = 2_000;

/// A JSON document.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// A finite number, exact, with the scale it was written with.
    Number(Numeric),
    /// A string, without NUL.
    String(Arc<str>),
    /// An array.
    Array(Arc<Elements>),
    /// An object.
    Object(Arc<Members>),
}

/// The elements of an array.
#[derive(Debug, PartialEq)]
pub struct Elements {
    depth: u16,
    values: Vec<Json>,
}

/// The members of an object in the order of their keys: no key twice.
#[derive(Debug, PartialEq)]
pub struct Members {
    depth: u16,
    pairs: Vec<(Arc<str>, Json)>,
}

impl std::ops::Deref for Elements {
    type Target = [Json];
    fn deref(&self) -> &[Json] {
        &self.values
    }
}

impl std::ops::Deref for Members {
    type Target = [(Arc<str>, Json)];
    fn deref(&self) -> &[(Arc<str>, Json)] {
        &self.pairs
    }
}

/// The order of keys within an object.
pub fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// 54001, as for a document that nests too deeply.
pub fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after ensuring the platform's stack depth limit is adequate.",
    )
}

fn deeper<'a>(inside: impl Iterator<Item = &'a Json>) -> Result<u16> {
    match inside.map(Json::depth).max().unwrap_or(0) {
        MAX_DEPTH.. => Err(too_deep()),
        depth => Ok(depth + 1),
    }
}

impl Json {
    /// A string.
    pub fn string(s: impl AsRef<str>) -> Json {
        Json::String(Arc::from(s.as_ref()))
    }

    /// A whole number.
    pub fn integer(v: i64) -> Json {
        Json::Number(Numeric::new(v, 0))
    }

    /// An array. 54001 beyond [`MAX_DEPTH`].
    pub fn array(values: Vec<Json>) -> Result<Json> {
        let depth = deeper(values.iter())?;
        Ok(Json::Array(Arc::new(Elements { depth, values })))
    }

    /// An object; of equal keys the last counts. 54001 beyond [`MAX_DEPTH`].
    pub fn object(mut pairs: Vec<(Arc<str>, Json)>) -> Result<Json> {
        // The sort is stable: among equal keys the last one written stands last.
        pairs.sort_by(|a, b| key_order(&a.0, &b.0));
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(&mut kept.1, &mut later.1);
            }
            same
        });
        Json::sorted(pairs)
    }

    /// An object of members that are in order already.
    fn sorted(pairs: Vec<(Arc<str>, Json)>) -> Result<Json> {
        let depth = deeper(pairs.iter().map(|p| &p.1))?;
        Ok(Json::Object(Arc::new(Members { depth, pairs })))
    }

    fn depth(&self) -> u16 {
        match self {
            Json::Array(a) => a.depth,
            Json::Object(o) => o.depth,
            _ => 0,
        }
    }

    /// Reads a document. 22P02 with DETAIL and CONTEXT as PostgreSQL words them, 54001 when it nests too deeply.
    pub fn parse(text: &str) -> Result<Json> {
        parse::parse(text)
    }

    /// What `jsonb_typeof` says.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// Whether it is neither an array nor an object.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// A member of an object; `None` in anything else.
    pub fn member(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(o) => o.binary_search_by(|p| key_order(&p.0, key)).ok().map(|i| &o[i].1),
            _ => None,
        }
    }

    /// An element of an array, counted from the end when negative; `None` in anything else.
    pub fn element(&self, index: i64) -> Option<&Json> {
        match self {
            Json::Array(a) => {
                let at = if index < 0 { index + a.len() as i64 } else { index };
                usize::try_from(at).ok().and_then(|i| a.get(i))
            }
            _ => None,
        }
    }

    /// Bytes held, roughly.
    pub fn size(&self) -> usize {
        size_of::<Json>()
            + match self {
                Json::String(s) => s.len(),
                Json::Number(_) => 8,
                Json::Array(a) => a.iter().map(Json::size).sum(),
                Json::Object(o) => o.iter().map(|(k, v)| 16 + k.len() + v.size()).sum(),
                _ => 0,
            }
    }

    /// SQL order (`compareJsonbContainers`): Object > Array > Boolean > Number > String > Null; more members or elements are larger; an
    /// empty array is smaller than everything when it is the whole document.
    pub fn compare(&self, other: &Json) -> Ordering {
        let empty = |j: &Json| matches!(j, Json::Array(a) if a.is_empty());
        match (empty(self), empty(other)) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => self.compare_parts(other),
        }
    }

    fn compare_parts(&self, other: &Json) -> Ordering {
        fn first(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
            orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }
        match (self, other) {
            (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
            (Json::Number(a), Json::Number(b)) => a.compare(b),
            (Json::String(a), Json::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Json::Array(a), Json::Array(b)) => a
                .len()
                .cmp(&b.len())
                .then_with(|| first(a.iter().zip(b.iter()).map(|(x, y)| x.compare_parts(y)))),
            (Json::Object(a), Json::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                let pairs = a.iter().zip(b.iter());
                first(pairs.map(|((k, x), (l, y))| k.as_bytes().cmp(l.as_bytes()).then_with(|| x.compare_parts(y))))
            }),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::String(_) => 1,
            Json::Number(_) => 2,
            Json::Bool(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }

    /// Equality of SQL: numbers by value.
    pub fn same(&self, other: &Json) -> bool {
        self.compare_parts(other).is_eq()
    }

    /// `@>`: whether the other document's structure and values are within this one.
    pub fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            // A scalar is contained in an array that has it, at the top only.
            (Json::Array(a), scalar) if scalar.is_scalar() => a.iter().any(|e| e.same(scalar)),
            (a, b) => a.contains_part(b),
        }
    }

    fn contains_part(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(a), Json::Object(b)) => {
                a.len() >= b.len() && b.iter().all(|(k, v)| self.member(k).is_some_and(|own| own.contains_part(v)))
            }
            (Json::Array(a), Json::Array(b)) => b.iter().all(|wanted| {
                if wanted.is_scalar() {
                    a.iter().any(|e| e.same(wanted))
                } else {
                    a.iter().any(|e| !e.is_scalar() && e.contains_part(wanted))
                }
            }),
            (a, b) => a.is_scalar() && b.is_scalar() && a.same(b),
        }
    }
}
