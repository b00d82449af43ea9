//! string_agg and array_agg.

use crate::Accumulator;
use curia_types::array::MAX_ELEMENTS;
use curia_types::{ArrayValue, Datum, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

fn too_big() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "string buffer exceeds maximum allowed length (1073741823 bytes)",
    )
}
/// Largest text an aggregate may build (MaxAllocSize).
const MAX_BYTES: usize = 1_073_741_823;

/// The separator before the first value is kept apart, so that partial results can be joined in order.
#[derive(Default)]
pub(super) struct StringAgg {
    first_separator: String,
    text: Option<String>,
}
impl StringAgg {
    fn add(&mut self, separator: &str, value: &str) -> Result<()> {
        match &mut self.text {
            None => {
                self.first_separator = separator.to_owned();
                self.text = Some(value.to_owned());
            }
            Some(t) => {
                if t.len() + separator.len() + value.len() > MAX_BYTES {
                    return Err(too_big());
                }
                t.push_str(separator);
                t.push_str(value);
            }
        }
        Ok(())
    }
}
impl Accumulator for StringAgg {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        match (&args[0], &args[1]) {
            (Datum::Text(v), Datum::Text(s)) => self.add(s, v),
            (Datum::Text(v), _) => self.add("", v),
            _ => Ok(()),
        }
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.finish()?, Datum::text(&self.first_separator)])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.accumulate(state)
    }
    fn finish(&self) -> Result<Datum> {
        Ok(self.text.as_ref().map_or(Datum::Null, Datum::text))
    }
    fn size(&self) -> usize {
        64 + self.text.as_ref().map_or(0, String::capacity)
    }
}

#[derive(Default)]
pub(super) struct ByteaAgg {
    first_separator: Vec<u8>,
    bytes: Option<Vec<u8>>,
}
impl Accumulator for ByteaAgg {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        let Datum::Bytea(v) = &args[0] else { return Ok(()) };
        let separator: &[u8] = match &args[1] {
            Datum::Bytea(s) => s,
            _ => &[],
        };
        match &mut self.bytes {
            None => {
                self.first_separator = separator.to_vec();
                self.bytes = Some(v.to_vec());
            }
            Some(b) => {
                if b.len() + separator.len() + v.len() > MAX_BYTES {
                    return Err(too_big());
                }
                b.extend_from_slice(separator);
                b.extend_from_slice(v);
            }
        }
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.finish()?, Datum::Bytea(Arc::from(self.first_separator.as_slice()))])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        self.accumulate(state)
    }
    fn finish(&self) -> Result<Datum> {
        Ok(self.bytes.as_ref().map_or(Datum::Null, |b| Datum::Bytea(Arc::from(b.as_slice()))))
    }
    fn size(&self) -> usize {
        64 + self.bytes.as_ref().map_or(0, Vec::capacity)
    }
}

/// array_agg of scalars; NULLs are elements too.
pub(super) struct ArrayAgg {
    element: u32,
    any: bool,
    values: Vec<Datum>,
}
impl ArrayAgg {
    pub(super) fn new(element: u32) -> ArrayAgg {
        ArrayAgg {
            element,
            any: false,
            values: Vec::new(),
        }
    }
}
impl Accumulator for ArrayAgg {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        if self.values.len() >= MAX_ELEMENTS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "array size exceeds the maximum allowed (134217727)",
            ));
        }
        self.any = true;
        self.values.push(args[0].clone());
        Ok(())
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.finish()?])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        if let Datum::Array(a) = &state[0] {
            self.any = true;
            self.values.extend(a.elements.iter().cloned());
        }
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        Ok(if self.any {
            Datum::list(self.element, self.values.clone())
        } else {
            Datum::Null
        })
    }
    fn size(&self) -> usize {
        64 + self.values.capacity() * size_of::<Datum>()
    }
}

/// array_agg of arrays: one more dimension.
pub(super) struct ArrayStack {
    element: u32,
    parts: Vec<Arc<ArrayValue>>,
}
impl ArrayStack {
    pub(super) fn new(array: u32) -> ArrayStack {
        ArrayStack {
            element: type_info::element_of(array).unwrap_or(0),
            parts: Vec::new(),
        }
    }
}
impl Accumulator for ArrayStack {
    fn accumulate(&mut self, args: &[Datum]) -> Result<()> {
        match &args[0] {
            Datum::Array(a) if a.elements.is_empty() => {
                Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays"))
            }
            Datum::Array(a) => {
                if self.parts.first().is_some_and(|p| p.dimensions != a.dimensions) {
                    return Err(SqlError::new(
                        SqlState::ARRAY_SUBSCRIPT_ERROR,
                        "cannot accumulate arrays of different dimensionality",
                    ));
                }
                self.parts.push(a.clone());
                Ok(())
            }
            _ => Err(SqlError::new(SqlState::new("22004"), "cannot accumulate null arrays")),
        }
    }
    fn state(&self) -> Result<Vec<Datum>> {
        Ok(vec![self.finish()?])
    }
    fn merge(&mut self, state: &[Datum]) -> Result<()> {
        let Datum::Array(a) = &state[0] else { return Ok(()) };
        // The outer dimension splits back into parts.
        let n = a.dimensions.first().map_or(0, |d| d.0.max(0) as usize);
        for chunk in a.elements.chunks(a.elements.len().max(1) / n.max(1)) {
            self.parts.push(Arc::new(ArrayValue {
                element: a.element,
                dimensions: a.dimensions[1..].to_vec(),
                elements: chunk.to_vec(),
            }));
        }
        Ok(())
    }
    fn finish(&self) -> Result<Datum> {
        if self.parts.is_empty() {
            return Ok(Datum::Null);
        }
        let parts: Vec<&ArrayValue> = self.parts.iter().map(Arc::as_ref).collect();
        Ok(Datum::Array(Arc::new(ArrayValue::stack(self.element, &parts)?)))
    }
    fn size(&self) -> usize {
        64 + self.parts.iter().map(|p| p.elements.len() * size_of::<Datum>()).sum::<usize>()
    }
}
