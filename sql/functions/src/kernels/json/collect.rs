//! json_agg, json_object_agg and their jsonb forms.

use super::build::{document, key, write};
use super::invalid;
use crate::{Accumulator, CallTypes, Context};
use curia_types::json::escape;
use curia_types::{Datum, IoContext, Json, PgType, Result, SqlError, SqlState, oid};
use std::sync::Arc;

/// Largest text an aggregate may build (MaxAllocSize).
const MAX_BYTES: usize = 1_073_741_823;

fn argument(types: &CallTypes<'_>, i: usize) -> PgType {
    types.args.get(i).copied().unwrap_or(PgType::TEXT)
}

/// json text that grows by a value, or by a key and a value, a row.
pub(in crate::kernels) struct Text {
    types: Vec<PgType>,
    io: IoContext,
    out: Option<Vec<u8>>,
}

impl Text {
    /// `json_agg(value)` or `json_object_agg(key, value)`.
    pub fn new(types: &CallTypes<'_>) -> Text {
        Text {
            types: (0..types.args.len()).map(|i| argument(types, i)).collect(),
            io: IoContext::default(),
            out: None,
        }
    }
    fn is_object(&self) -> bool {
        self.types.len() == 2
    }
}

impl Accumulator for Text {
    fn in_session(&mut self, cx: &dyn Context) {
        self.io = cx.io().clone();
    }
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        let object = self.is_object();
        let first = self.out.is_none();
        let out = self.out.get_or_insert_with(|| if object { b"{ ".to_vec() } else { b"[".to_vec() });
        if !first {
            out.extend_from_slice(b", ");
        }
        if out.len() > MAX_BYTES {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "string buffer exceeds maximum allowed length (1073741823 bytes)",
            ));
        }
        let value = match args {
            [Datum::Null, _] => return Err(invalid("field name must not be null")),
            [name, value] => {
                escape(&key(self.types[0], name, &self.io)?, out);
                out.extend_from_slice(b" : ");
                value
            }
            [value] => {
                if !first && matches!(value, Datum::Array(_) | Datum::Record(_)) {
                    out.extend_from_slice(b"\n ");
                }
                value
            }
            _ => return Err(SqlError::internal("json aggregate of no arguments")),
        };
        let ty = self.types.last().copied().unwrap_or(PgType::TEXT);
        write(ty, value, &self.io, false, out)
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Err(SqlError::internal("a json aggregate has no partial results"))
    }
    fn merge(&mut self, _: &[Datum]) -> Result<()> {
        Err(SqlError::internal("a json aggregate has no partial results"))
    }
    fn finish(&self) -> Result<Datum> {
        let Some(out) = &self.out else { return Ok(Datum::Null) };
        let text = std::str::from_utf8(out).map_err(|_| SqlError::internal("json that is not UTF-8"))?;
        let end = if self.is_object() { " }" } else { "]" };
        Ok(Datum::Text(Arc::from(format!("{text}{end}"))))
    }
    fn size(&self) -> usize {
        64 + self.out.as_ref().map_or(0, Vec::capacity)
    }
}

/// The parts of a document that grows by an element or a member a row.
pub(in crate::kernels) struct Document {
    types: Vec<PgType>,
    io: IoContext,
    members: Vec<(Arc<str>, Json)>,
    any: bool,
    bytes: usize,
}

impl Document {
    /// `jsonb_agg(value)` or `jsonb_object_agg(key, value)`.
    pub fn new(types: &CallTypes<'_>) -> Document {
        Document {
            types: (0..types.args.len()).map(|i| argument(types, i)).collect(),
            io: IoContext::default(),
            members: Vec::new(),
            any: false,
            bytes: 0,
        }
    }
}

impl Accumulator for Document {
    fn in_session(&mut self, cx: &dyn Context) {
        self.io = cx.io().clone();
    }
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        self.any = true;
        let (name, value) = match args {
            [Datum::Null, _] => return Err(invalid("field name must not be null")),
            [name, value] => (key(self.types[0], name, &self.io)?, value),
            [value] => (String::new(), value),
            _ => return Err(SqlError::internal("json aggregate of no arguments")),
        };
        let ty = self.types.last().copied().unwrap_or(PgType::TEXT);
        let value = document(ty, value, &self.io)?;
        self.bytes += name.len() + value.size() + 32;
        self.members.push((Arc::from(name), value));
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Err(SqlError::internal("a json aggregate has no partial results"))
    }
    fn merge(&mut self, _: &[Datum]) -> Result<()> {
        Err(SqlError::internal("a json aggregate has no partial results"))
    }
    fn finish(&self) -> Result<Datum> {
        if !self.any {
            return Ok(Datum::Null);
        }
        let json = if self.types.len() == 2 {
            Json::object(self.members.clone())
        } else {
            Json::array(self.members.iter().map(|m| m.1.clone()).collect())
        };
        json.map(Datum::Jsonb)
    }
    fn size(&self) -> usize {
        128 + self.bytes
    }
}

/// Types of states that no plan asks for: these aggregates keep the order of rows and are computed in one place.
pub(in crate::kernels) fn no_state(_: &CallTypes<'_>) -> Vec<PgType> {
    vec![PgType::with_typmod(oid::TEXT, -1)]
}
