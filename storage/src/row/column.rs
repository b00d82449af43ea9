//! One column of a row, where it stands.

use std::sync::Arc;

use curia_types::{Datum, Interval, Json, Numeric, PgType, binary_io, numeric};

use super::{Column, Form, HAS_NULLS, HEADER_BYTES, RowLayout, VERSION, VERSION_MASK, WIDE_ENDS, malformed};
use crate::error::{Result, StorageError};

/// A column's value, borrowed from its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColumnRef<'a> {
    /// NULL
    Null,
    /// bool
    Bool(bool),
    /// int2
    Int2(i16),
    /// int4
    Int4(i32),
    /// int8
    Int8(i64),
    /// oid and the reg* types
    Oid(u32),
    /// float4
    Float4(f32),
    /// float8
    Float8(f64),
    /// date: days since 2000-01-01
    Date(i32),
    /// time: microseconds
    Time(i64),
    /// timestamp: microseconds since 2000-01-01
    Timestamp(i64),
    /// timestamptz: the same, in UTC
    Timestamptz(i64),
    /// interval in PostgreSQL's wire form: micros, days, months, big-endian
    Interval(&'a [u8; 16]),
    /// uuid
    Uuid(&'a [u8; 16]),
    /// text and the like
    Text(&'a str),
    /// bytea
    Bytea(&'a [u8]),
    /// numeric: its key, then its display scale (`curia_types::numeric::from_arrow_bytes` reads it)
    Numeric(&'a [u8]),
    /// jsonb in its stored form (`curia_types::Json::decode` reads it)
    Jsonb(&'a [u8]),
    /// An array in PostgreSQL's wire form.
    Wire(&'a [u8]),
}

impl ColumnRef<'_> {
    /// The value, copied; `ty` is the column's type.
    ///
    /// # Errors
    /// [`StorageError::Format`] when a numeric, jsonb or array is malformed.
    pub fn to_datum(self, ty: PgType) -> Result<Datum> {
        Ok(match self {
            ColumnRef::Null => Datum::Null,
            ColumnRef::Bool(v) => Datum::Bool(v),
            ColumnRef::Int2(v) => Datum::Int2(v),
            ColumnRef::Int4(v) => Datum::Int4(v),
            ColumnRef::Int8(v) => Datum::Int8(v),
            ColumnRef::Oid(v) => Datum::Oid(v),
            ColumnRef::Float4(v) => Datum::Float4(v),
            ColumnRef::Float8(v) => Datum::Float8(v),
            ColumnRef::Date(v) => Datum::Date(v),
            ColumnRef::Time(v) => Datum::Time(v),
            ColumnRef::Timestamp(v) => Datum::Timestamp(v),
            ColumnRef::Timestamptz(v) => Datum::Timestamptz(v),
            ColumnRef::Interval(bytes) => Datum::Interval(interval(bytes)),
            ColumnRef::Uuid(v) => Datum::Uuid(*v),
            ColumnRef::Text(v) => Datum::Text(Arc::from(v)),
            ColumnRef::Bytea(v) => Datum::Bytea(Arc::from(v)),
            ColumnRef::Numeric(v) => Datum::Numeric(numeric_of(v)?),
            ColumnRef::Jsonb(v) => Datum::Jsonb(Json::decode(v).map_err(|_| malformed("an impossible jsonb"))?),
            ColumnRef::Wire(v) => binary_io::decode(PgType::with_typmod(ty.oid, -1), v).map_err(|_| malformed("an impossible array"))?,
        })
    }
}

/// Reads PostgreSQL's wire form.
fn interval(bytes: &[u8; 16]) -> Interval {
    let [m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3, o0, o1, o2, o3] = *bytes;
    Interval {
        micros: i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
        days: i32::from_be_bytes([d0, d1, d2, d3]),
        months: i32::from_be_bytes([o0, o1, o2, o3]),
    }
}

fn numeric_of(bytes: &[u8]) -> Result<Numeric, StorageError> {
    numeric::from_arrow_bytes(bytes).map_err(|_| malformed("an impossible numeric"))
}

/// What stands before a row's values.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) flags: u8,
    /// Columns that the row was written with.
    pub(super) columns: usize,
    /// Bytes of the bits of NULL columns.
    pub(super) nulls: usize,
}

impl RowLayout {
    /// One column, borrowed; `None` when the row was written before the column was added.
    ///
    /// # Errors
    /// [`StorageError::Format`] when the bytes are no row of this layout.
    pub fn column<'a>(&self, row: &'a [u8], column: usize) -> Result<Option<ColumnRef<'a>>> {
        self.column_of(row, self.head(row)?, column)
    }

    /// Reads a row's head, once for all columns.
    #[inline]
    pub(super) fn head(&self, row: &[u8]) -> Result<Head> {
        let Some((&[flags, low, high], _)) = row.split_first_chunk::<HEADER_BYTES>() else {
            return Err(malformed("ends too early"));
        };
        if flags & VERSION_MASK != VERSION {
            return Err(malformed("an unknown version"));
        }
        let columns = usize::from(u16::from_le_bytes([low, high]));
        let nulls = if flags & HAS_NULLS != 0 { columns.div_ceil(8) } else { 0 };
        Ok(Head { flags, columns, nulls })
    }

    /// [`RowLayout::column`] of a row whose head is known.
    #[inline]
    pub(super) fn column_of<'a>(&self, row: &'a [u8], head: Head, column: usize) -> Result<Option<ColumnRef<'a>>> {
        let Some(Column { form, .. }) = self.columns.get(column) else {
            return Err(malformed("no such column"));
        };
        let Head { flags, columns: n, nulls } = head;
        if column >= n {
            return Ok(None);
        }
        if n > self.columns.len() {
            return Err(malformed("more columns than the table has"));
        }
        if nulls > 0 {
            let Some(bits) = row.get(HEADER_BYTES + column / 8) else {
                return Err(malformed("ends too early"));
            };
            if bits >> (column % 8) & 1 == 1 {
                return Ok(Some(ColumnRef::Null));
            }
        }
        let base = HEADER_BYTES + nulls;
        let Some(form) = *form else {
            return Err(malformed("a value of a type that cannot be stored"));
        };
        if form.width().is_some() {
            let at = base + self.fixed_before[column] as usize;
            return fixed(form, row.get(at..).unwrap_or(&[])).map(Some);
        }
        let ends = base + self.fixed_before[n] as usize;
        let (which, count) = (usize::from(self.variable_before[column]), usize::from(self.variable_before[n]));
        let wide = flags & WIDE_ENDS != 0;
        let data = ends + count * if wide { 4 } else { 2 };
        let end = |i: usize| -> Result<usize> {
            let end = if wide {
                row.get(ends + 4 * i..)
                    .and_then(|rest| rest.first_chunk())
                    .map(|bytes| u32::from_le_bytes(*bytes) as usize)
            } else {
                row.get(ends + 2 * i..)
                    .and_then(|rest| rest.first_chunk())
                    .map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
            };
            end.ok_or_else(|| malformed("ends too early"))
        };
        let from = if which == 0 { 0 } else { end(which - 1)? };
        let value = row
            .get(data..)
            .and_then(|data| data.get(from..end(which).ok()?))
            .ok_or_else(|| malformed("ends too early"))?;
        Ok(Some(match form {
            Form::Text => ColumnRef::Text(std::str::from_utf8(value).map_err(|_| malformed("text that is not UTF-8"))?),
            Form::Bytea => ColumnRef::Bytea(value),
            Form::Numeric => ColumnRef::Numeric(value),
            Form::Jsonb => ColumnRef::Jsonb(value),
            _ => ColumnRef::Wire(value),
        }))
    }
}

#[inline]
fn fixed(form: Form, bytes: &[u8]) -> Result<ColumnRef<'_>> {
    #[inline]
    fn chunk<const N: usize>(bytes: &[u8]) -> Result<&[u8; N]> {
        bytes.first_chunk().ok_or_else(|| malformed("ends too early"))
    }
    Ok(match form {
        Form::Bool => ColumnRef::Bool(chunk::<1>(bytes)?[0] != 0),
        Form::Int2 => ColumnRef::Int2(i16::from_le_bytes(*chunk(bytes)?)),
        Form::Int4 => ColumnRef::Int4(i32::from_le_bytes(*chunk(bytes)?)),
        Form::Date => ColumnRef::Date(i32::from_le_bytes(*chunk(bytes)?)),
        Form::Int8 => ColumnRef::Int8(i64::from_le_bytes(*chunk(bytes)?)),
        Form::Time => ColumnRef::Time(i64::from_le_bytes(*chunk(bytes)?)),
        Form::Timestamp => ColumnRef::Timestamp(i64::from_le_bytes(*chunk(bytes)?)),
        Form::Timestamptz => ColumnRef::Timestamptz(i64::from_le_bytes(*chunk(bytes)?)),
        Form::Oid => ColumnRef::Oid(u32::from_le_bytes(*chunk(bytes)?)),
        Form::Float4 => ColumnRef::Float4(f32::from_bits(u32::from_le_bytes(*chunk(bytes)?))),
        Form::Float8 => ColumnRef::Float8(f64::from_bits(u64::from_le_bytes(*chunk(bytes)?))),
        Form::Interval => ColumnRef::Interval(chunk(bytes)?),
        Form::Uuid => ColumnRef::Uuid(chunk(bytes)?),
        Form::Text | Form::Bytea | Form::Numeric | Form::Jsonb | Form::Wire => return Err(malformed("a width that varies")),
    })
}
