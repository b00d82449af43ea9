//! Rows as bytes whose columns decode one by one.
//!
//! ```text
//! u8   0x01 (version) | 0x10 if some column is NULL | 0x20 if ends are u32
//! u16  columns n: those that the table had when the row was written
//! bits of NULL columns, n of them in (n + 7) / 8 bytes, lowest bit first; only with 0x10
//! values of the fixed-width columns in column order, zeros for NULL
//! ends of the variable-width columns in column order, counted from the first value: u16, or u32 with 0x20
//! values of the variable-width columns
//! ```
//!
//! Integers are little-endian. A column's place follows from the column types and n alone, so reading one touches no
//! other. Columns are only ever added at the end; a row written before that has fewer, and the ones it lacks read the
//! value that the table keeps for them.
//!
//! The first byte is never zero, which is how the state store tells rows from deletions.
//!
//! ```text
//! fixed      bool 1; int2 2; int4, oid, float4, date 4; int8, float8, time, timestamp, timestamptz 8;
//!            uuid, interval 16 (PostgreSQL's wire form)
//! variable   text and the like UTF-8; bytea bytes; numeric its key and display scale;
//!            jsonb the stored form of curia-types; arrays PostgreSQL's wire form
//! ```

mod arrow_form;
mod column;
mod replace;

use curia_types::{Datum, PgType, arrow_map, binary_io, geometry, numeric, oid, type_info};

use crate::error::{Result, StorageError};

pub use column::ColumnRef;

/// Most columns of a row: PostgreSQL's limit of 1,600, dropped ones included.
pub const MAX_COLUMNS: usize = 1_600;

const VERSION: u8 = 0x01;
const VERSION_MASK: u8 = 0x0f;
const HAS_NULLS: u8 = 0x10;
const WIDE_ENDS: u8 = 0x20;
const HEADER_BYTES: usize = 3;

/// How a type's values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Text,
    Bytea,
    Numeric,
    Jsonb,
    Wire,
}

impl Form {
    fn of(type_oid: u32) -> Option<Form> {
        Some(match type_info::physical(type_oid) {
            oid::BOOL => Form::Bool,
            oid::INT2 => Form::Int2,
            oid::INT4 => Form::Int4,
            oid::INT8 => Form::Int8,
            oid::FLOAT4 => Form::Float4,
            oid::FLOAT8 => Form::Float8,
            oid::DATE => Form::Date,
            oid::TIME => Form::Time,
            oid::TIMESTAMP => Form::Timestamp,
            oid::TIMESTAMPTZ => Form::Timestamptz,
            oid::INTERVAL => Form::Interval,
            oid::UUID => Form::Uuid,
            oid::BYTEA => Form::Bytea,
            oid::NUMERIC => Form::Numeric,
            oid::JSONB => Form::Jsonb,
            other if type_info::is_text_like(other) => Form::Text,
            other if type_info::is_oid_like(other) => Form::Oid,
            oid::TIMETZ | oid::BIT | oid::VARBIT | oid::XID8 | oid::PG_LSN | oid::INET | oid::CIDR | oid::MACADDR => Form::Wire,
            other if geometry::is_geometric(other) => Form::Wire,
            other if other == oid::RECORD && type_oid != oid::RECORD => Form::Wire,
            other if type_info::element_of(other).is_some() => Form::Wire,
            _ => return None,
        })
    }

    /// Its width in bytes; `None` when it varies.
    fn width(self) -> Option<usize> {
        match self {
            Form::Bool => Some(1),
            Form::Int2 => Some(2),
            Form::Int4 | Form::Oid | Form::Float4 | Form::Date => Some(4),
            Form::Int8 | Form::Float8 | Form::Time | Form::Timestamp | Form::Timestamptz => Some(8),
            Form::Interval | Form::Uuid => Some(16),
            Form::Text | Form::Bytea | Form::Numeric | Form::Jsonb | Form::Wire => None,
        }
    }
}

/// Whether values of a type can be stored in a row.
pub fn storable(type_oid: u32) -> bool {
    Form::of(type_oid).is_some()
}

/// Where a table's columns are in its rows.
#[derive(Clone, Debug)]
pub struct RowLayout {
    columns: Vec<Column>,
    /// Bytes of the fixed-width columns among the first i, for each i up to the number of columns.
    fixed_before: Vec<u32>,
    /// How many of the first i columns vary in width.
    variable_before: Vec<u16>,
}

#[derive(Clone, Debug)]
struct Column {
    ty: PgType,
    /// `None` for types that cannot be stored; only NULL is ever in such a column (a dropped one).
    form: Option<Form>,
    /// What rows read that were written before the column was added.
    missing: Datum,
}

impl RowLayout {
    /// The layout of a table with columns of these types, dropped ones included; `missing` has for each the value that rows
    /// without it read (a shorter list means NULL for the rest).
    pub fn new(types: &[PgType], missing: Vec<Datum>) -> RowLayout {
        let mut missing = missing.into_iter();
        let (mut fixed_before, mut variable_before) = (vec![0], vec![0]);
        let mut columns = Vec::with_capacity(types.len());
        let (mut fixed, mut variable) = (0, 0);
        for ty in types {
            let form = Form::of(ty.oid);
            match form.map(Form::width) {
                Some(Some(width)) => fixed += width as u32,
                Some(None) => variable += 1,
                None => {}
            }
            fixed_before.push(fixed);
            variable_before.push(variable);
            columns.push(Column {
                ty: *ty,
                form,
                missing: missing.next().unwrap_or(Datum::Null),
            });
        }
        RowLayout {
            columns,
            fixed_before,
            variable_before,
        }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// A column's type.
    pub fn column_type(&self, column: usize) -> Option<PgType> {
        self.columns.get(column).map(|column| column.ty)
    }

    /// Appends a row; `row` has a value for each column.
    ///
    /// # Errors
    /// [`StorageError::Value`] when a value is not of its column's type or their number differs; [`StorageError::Limit`]
    /// beyond [`MAX_COLUMNS`] or 4 GB; [`StorageError::Unsupported`] for a value of a type that cannot be stored.
    pub fn encode(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        let n = self.columns.len();
        if row.len() != n {
            return Err(StorageError::Value(format!("a row of {} values for {n} columns", row.len())));
        }
        if n > MAX_COLUMNS {
            return Err(StorageError::Limit(format!("tables can have at most {MAX_COLUMNS} columns")));
        }
        let start = out.len();
        let has_nulls = row.iter().any(Datum::is_null);
        out.push(VERSION | if has_nulls { HAS_NULLS } else { 0 });
        out.extend_from_slice(&(n as u16).to_le_bytes());
        if has_nulls {
            for values in row.chunks(8) {
                out.push(
                    values
                        .iter()
                        .enumerate()
                        .fold(0, |bits, (i, value)| bits | u8::from(value.is_null()) << i),
                );
            }
        }
        for (value, column) in row.iter().zip(&self.columns) {
            if let Some(width) = column.form.and_then(Form::width) {
                encode_fixed(value, column, width, out)?;
            }
        }
        // Narrow ends first; a row whose values turn out to be long is laid out again.
        let ends = out.len();
        let variable = usize::from(self.variable_before[n]);
        out.resize(ends + 2 * variable, 0);
        let data = out.len();
        let mut at = ends;
        for (value, column) in row.iter().zip(&self.columns) {
            match column.form {
                Some(form) if form.width().is_none() => {
                    encode_variable(value, column, form, out)?;
                    let end = out.len() - data;
                    if end > usize::from(u16::MAX) {
                        return self.encode_wide(row, start, ends, out);
                    }
                    out[at..at + 2].copy_from_slice(&(end as u16).to_le_bytes());
                    at += 2;
                }
                None if !value.is_null() => return Err(unsupported(column)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The variable part again, with ends of four bytes.
    fn encode_wide(&self, row: &[Datum], start: usize, ends: usize, out: &mut Vec<u8>) -> Result<()> {
        out[start] |= WIDE_ENDS;
        out.truncate(ends);
        let variable = usize::from(self.variable_before[self.columns.len()]);
        out.resize(ends + 4 * variable, 0);
        let data = out.len();
        let mut at = ends;
        for (value, column) in row.iter().zip(&self.columns) {
            match column.form {
                Some(form) if form.width().is_none() => {
                    encode_variable(value, column, form, out)?;
                    let end = u32::try_from(out.len() - data).map_err(|_| StorageError::Limit("a row is limited to 4 GB".into()))?;
                    out[at..at + 4].copy_from_slice(&end.to_le_bytes());
                    at += 4;
                }
                None if !value.is_null() => return Err(unsupported(column)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Decodes one column. A column that the row was written without reads the value given for it.
    ///
    /// # Errors
    /// [`StorageError::Format`] when the bytes are no row of this layout.
    pub fn decode(&self, row: &[u8], column: usize) -> Result<Datum> {
        match self.column(row, column)? {
            Some(value) => value.to_datum(self.columns[column].ty),
            None => Ok(self.columns[column].missing.clone()),
        }
    }

    /// Decodes all columns.
    ///
    /// # Errors
    /// As [`RowLayout::decode`].
    pub fn decode_all(&self, row: &[u8]) -> Result<Vec<Datum>> {
        (0..self.columns.len()).map(|column| self.decode(row, column)).collect()
    }

    /// What rows read for a column that they were written without.
    pub fn missing(&self, column: usize) -> Option<&Datum> {
        self.columns.get(column).map(|column| &column.missing)
    }
}

fn encode_fixed(value: &Datum, column: &Column, width: usize, out: &mut Vec<u8>) -> Result<()> {
    match (column.form, value) {
        (_, Datum::Null) => out.resize(out.len() + width, 0),
        (Some(Form::Bool), Datum::Bool(v)) => out.push(u8::from(*v)),
        (Some(Form::Int2), Datum::Int2(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Some(Form::Int4), Datum::Int4(v)) | (Some(Form::Date), Datum::Date(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Some(Form::Int8), Datum::Int8(v))
        | (Some(Form::Time), Datum::Time(v))
        | (Some(Form::Timestamp), Datum::Timestamp(v))
        | (Some(Form::Timestamptz), Datum::Timestamptz(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Some(Form::Oid), Datum::Oid(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Some(Form::Float4), Datum::Float4(v)) => out.extend_from_slice(&v.to_bits().to_le_bytes()),
        (Some(Form::Float8), Datum::Float8(v)) => out.extend_from_slice(&v.to_bits().to_le_bytes()),
        (Some(Form::Interval), Datum::Interval(v)) => out.extend_from_slice(&arrow_map::interval_bytes(*v)),
        (Some(Form::Uuid), Datum::Uuid(v)) => out.extend_from_slice(v),
        _ => return Err(mismatch(value, column)),
    }
    Ok(())
}

fn encode_variable(value: &Datum, column: &Column, form: Form, out: &mut Vec<u8>) -> Result<()> {
    match (form, value) {
        (_, Datum::Null) => {}
        (Form::Text, Datum::Text(v)) => out.extend_from_slice(v.as_bytes()),
        (Form::Bytea, Datum::Bytea(v)) => out.extend_from_slice(v),
        (Form::Numeric, Datum::Numeric(v)) => numeric::arrow_bytes(v, out),
        (Form::Jsonb, Datum::Jsonb(v)) => v.encode(out),
        (
            Form::Wire,
            Datum::Array(_)
            | Datum::Record(_)
            | Datum::Timetz(_)
            | Datum::Bits(_)
            | Datum::Inet(_)
            | Datum::Mac(_)
            | Datum::Geometry(_)
            | Datum::Word(_),
        ) => {
            binary_io::encode(column.ty, value, out);
        }
        _ => return Err(mismatch(value, column)),
    }
    Ok(())
}

fn mismatch(value: &Datum, column: &Column) -> StorageError {
    StorageError::Value(format!(
        "{value:?} does not belong into a column of type {}",
        type_info::format_type(column.ty.oid, column.ty.typmod)
    ))
}

fn unsupported(column: &Column) -> StorageError {
    StorageError::Unsupported(format!(
        "a column of type {}",
        type_info::format_type(column.ty.oid, column.ty.typmod)
    ))
}

fn malformed(detail: &'static str) -> StorageError {
    StorageError::format("row", detail)
}
