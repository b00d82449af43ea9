//! The Arrow form of each type, and moving values in and out of arrays.
//!
//! | type | Arrow |
//! | --- | --- |
//! | bool; int2, int4, int8; float4, float8 | Boolean; Int16, Int32, Int64; Float32, Float64 |
//! | oid, xid, cid, reg* | UInt32 |
//! | text, varchar, bpchar, name, "char", json, jsonpath, unknown | Utf8 |
//! | bytea | Binary |
//! | date, time, timestamp, timestamptz | Date32, Time64(us), Timestamp(us), Timestamp(us, "UTC"): Unix epoch; infinity stays MAX / MIN |
//! | interval, uuid | FixedSizeBinary(16): wire form |
//! | numeric | Binary: order-preserving key, then display scale (`numeric::arrow_bytes`) |
//! | jsonb | Binary: stored form ([`crate::json`]) |
//! | anonymous records and arrays of them | Binary: [`crate::inner_form`], which has the fields' names |
//! | timetz, bit, varbit, inet, cidr, macaddr, geometric types, xid8, pg_lsn, other arrays, vectors | Binary: wire form |
//! | types of users | that of their physical form: enums Int64, domains their base type's, composites Binary, wire form |
//!
//! Timestamps in PostgreSQL's last 30 years (from 294247 AD) do not fit Arrow's microseconds since 1970: 22008.

use crate::{Datum, Interval, Numeric, PgType, Result, SqlError, SqlState, binary_io, inner_form, numeric, oid, type_info};
use arrow::array::*;
use arrow::datatypes::{DataType, TimeUnit};
use std::sync::Arc;

/// Days from 1970-01-01 to 2000-01-01.
pub const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The Arrow type of a type's values.
pub fn data_type(ty: PgType) -> DataType {
    use crate::oid::*;
    match type_info::physical(ty.oid) {
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        DATE => DataType::Date32,
        TIME => DataType::Time64(TimeUnit::Microsecond),
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        INTERVAL | UUID => DataType::FixedSizeBinary(16),
        t if type_info::is_text_like(t) => DataType::Utf8,
        t if type_info::is_oid_like(t) => DataType::UInt32,
        VOID => DataType::Utf8,
        _ => DataType::Binary,
    }
}

/// Whether values are kept in the inner form: records, whose fields have names that the wire form lacks.
fn is_inner(ty: u32) -> bool {
    matches!(ty, oid::RECORD | oid::RECORD_ARRAY)
}

/// A date in days since 1970; infinities stay.
pub fn date_to_unix(d: i32) -> i32 {
    if d == i32::MAX || d == i32::MIN {
        d
    } else {
        d.saturating_add(EPOCH_DAYS)
    }
}
/// Back.
pub fn date_from_unix(d: i32) -> i32 {
    if d == i32::MAX || d == i32::MIN {
        d
    } else {
        d.saturating_sub(EPOCH_DAYS)
    }
}
/// A timestamp in microseconds since 1970; infinities stay. 22008 beyond what fits.
pub fn timestamp_to_unix(t: i64) -> Result<i64> {
    if t == i64::MAX || t == i64::MIN {
        return Ok(t);
    }
    t.checked_add(EPOCH_MICROS)
        .filter(|u| *u != i64::MAX)
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
}
/// Back; saturates to -infinity.
pub fn timestamp_from_unix(t: i64) -> i64 {
    if t == i64::MAX || t == i64::MIN {
        t
    } else {
        t.saturating_sub(EPOCH_MICROS)
    }
}

/// Builds an array of one type's values.
#[derive(Debug)]
#[allow(missing_docs)] // named after the Arrow types
pub enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt32(UInt32Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Numeric(BinaryBuilder),
    Jsonb(BinaryBuilder),
    /// Records and arrays of them in the inner form.
    Inner(BinaryBuilder),
    /// Arrays and vectors in wire form.
    Wire(PgType, BinaryBuilder),
    Fixed16(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    /// A builder for a type with room for `capacity` values.
    pub fn new(ty: PgType, capacity: usize) -> ColumnBuilder {
        match data_type(ty) {
            DataType::Boolean => ColumnBuilder::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Int16 => ColumnBuilder::Int16(Int16Builder::with_capacity(capacity)),
            DataType::Int32 => ColumnBuilder::Int32(Int32Builder::with_capacity(capacity)),
            DataType::Int64 => ColumnBuilder::Int64(Int64Builder::with_capacity(capacity)),
            DataType::UInt32 => ColumnBuilder::UInt32(UInt32Builder::with_capacity(capacity)),
            DataType::Float32 => ColumnBuilder::Float32(Float32Builder::with_capacity(capacity)),
            DataType::Float64 => ColumnBuilder::Float64(Float64Builder::with_capacity(capacity)),
            DataType::Utf8 => ColumnBuilder::Text(StringBuilder::with_capacity(capacity, capacity * 16)),
            DataType::FixedSizeBinary(n) => ColumnBuilder::Fixed16(FixedSizeBinaryBuilder::with_capacity(capacity, n)),
            DataType::Date32 => ColumnBuilder::Date(Date32Builder::with_capacity(capacity)),
            DataType::Time64(_) => ColumnBuilder::Time(Time64MicrosecondBuilder::with_capacity(capacity)),
            t @ DataType::Timestamp(..) => ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::with_capacity(capacity).with_data_type(t)),
            _ => {
                let b = BinaryBuilder::with_capacity(capacity, capacity * 16);
                match type_info::physical(ty.oid) {
                    oid::NUMERIC => ColumnBuilder::Numeric(b),
                    oid::BYTEA => ColumnBuilder::Binary(b),
                    oid::JSONB => ColumnBuilder::Jsonb(b),
                    _ if is_inner(ty.oid) => ColumnBuilder::Inner(b),
                    _ => ColumnBuilder::Wire(ty, b),
                }
            }
        }
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        use ColumnBuilder::*;
        match self {
            Bool(b) => b.append_null(),
            Int16(b) => b.append_null(),
            Int32(b) => b.append_null(),
            Int64(b) => b.append_null(),
            UInt32(b) => b.append_null(),
            Float32(b) => b.append_null(),
            Float64(b) => b.append_null(),
            Text(b) => b.append_null(),
            Binary(b) | Numeric(b) | Jsonb(b) | Inner(b) | Wire(_, b) => b.append_null(),
            Fixed16(b) => b.append_null(),
            Date(b) => b.append_null(),
            Time(b) => b.append_null(),
            Timestamp(b) => b.append_null(),
        }
    }

    /// Appends a value of the builder's type; XX000 when it is of another.
    pub fn append(&mut self, value: &Datum) -> Result<()> {
        use ColumnBuilder as B;
        match (self, value) {
            (b, Datum::Null) => b.append_null(),
            (B::Bool(b), Datum::Bool(v)) => b.append_value(*v),
            (B::Int16(b), Datum::Int2(v)) => b.append_value(*v),
            (B::Int32(b), Datum::Int4(v)) => b.append_value(*v),
            (B::Int64(b), Datum::Int8(v)) => b.append_value(*v),
            (B::UInt32(b), Datum::Oid(v)) => b.append_value(*v),
            (B::Float32(b), Datum::Float4(v)) => b.append_value(*v),
            (B::Float64(b), Datum::Float8(v)) => b.append_value(*v),
            (B::Text(b), Datum::Text(v)) => b.append_value(v),
            (B::Binary(b), Datum::Bytea(v)) => b.append_value(v),
            (B::Numeric(b), Datum::Numeric(n)) => {
                let mut bytes = Vec::with_capacity(24);
                numeric::arrow_bytes(n, &mut bytes);
                b.append_value(&bytes);
            }
            (B::Jsonb(b), Datum::Jsonb(j)) => {
                let mut bytes = Vec::with_capacity(64);
                j.encode(&mut bytes);
                b.append_value(&bytes);
            }
            (B::Inner(b), v @ (Datum::Array(_) | Datum::Record(_))) => {
                let mut bytes = Vec::with_capacity(64);
                inner_form::write(v, &mut bytes);
                b.append_value(&bytes);
            }
            (
                B::Wire(ty, b),
                v @ (Datum::Array(_)
                | Datum::Record(_)
                | Datum::Timetz(_)
                | Datum::Bits(_)
                | Datum::Inet(_)
                | Datum::Mac(_)
                | Datum::Geometry(_)
                | Datum::Word(_)),
            ) => {
                let mut bytes = Vec::with_capacity(64);
                binary_io::encode(*ty, v, &mut bytes);
                b.append_value(&bytes);
            }
            (B::Fixed16(b), Datum::Uuid(u)) => fixed16(b, u)?,
            (B::Fixed16(b), Datum::Interval(i)) => fixed16(b, &interval_bytes(*i))?,
            (B::Date(b), Datum::Date(d)) => b.append_value(date_to_unix(*d)),
            (B::Time(b), Datum::Time(t)) => b.append_value(*t),
            (B::Timestamp(b), Datum::Timestamp(t) | Datum::Timestamptz(t)) => b.append_value(timestamp_to_unix(*t)?),
            (b, v) => return Err(SqlError::internal(format!("value {v:?} does not belong into {b:?}"))),
        }
        Ok(())
    }

    /// The array; the builder starts over.
    pub fn finish(&mut self) -> ArrayRef {
        use ColumnBuilder::*;
        match self {
            Bool(b) => Arc::new(b.finish()),
            Int16(b) => Arc::new(b.finish()),
            Int32(b) => Arc::new(b.finish()),
            Int64(b) => Arc::new(b.finish()),
            UInt32(b) => Arc::new(b.finish()),
            Float32(b) => Arc::new(b.finish()),
            Float64(b) => Arc::new(b.finish()),
            Text(b) => Arc::new(b.finish()),
            Binary(b) | Numeric(b) | Jsonb(b) | Inner(b) | Wire(_, b) => Arc::new(b.finish()),
            Fixed16(b) => Arc::new(b.finish()),
            Date(b) => Arc::new(b.finish()),
            Time(b) => Arc::new(b.finish()),
            Timestamp(b) => Arc::new(b.finish()),
        }
    }
}

fn fixed16(b: &mut FixedSizeBinaryBuilder, bytes: &[u8; 16]) -> Result<()> {
    b.append_value(bytes).map_err(|e| SqlError::internal(e.to_string()))
}

/// Wire form of an interval.
pub fn interval_bytes(i: Interval) -> [u8; 16] {
    let mut b = [0; 16];
    b[..8].copy_from_slice(&i.micros.to_be_bytes());
    b[8..12].copy_from_slice(&i.days.to_be_bytes());
    b[12..].copy_from_slice(&i.months.to_be_bytes());
    b
}

/// An array of one value repeated, or of many.
pub fn array_of(ty: PgType, values: &[Datum]) -> Result<ArrayRef> {
    let mut b = ColumnBuilder::new(ty, values.len());
    for v in values {
        b.append(v)?;
    }
    Ok(b.finish())
}

/// Reads values out of an array whose type was looked at once.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // named after the Arrow types
pub enum ColumnReader<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    UInt32(&'a UInt32Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Text(&'a StringArray),
    TextView(&'a StringViewArray),
    Bytea(&'a BinaryArray),
    Numeric(&'a BinaryArray),
    Jsonb(&'a BinaryArray),
    Inner(&'a BinaryArray),
    Wire(PgType, &'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Interval(&'a FixedSizeBinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Timestamptz(&'a TimestampMicrosecondArray),
    /// An all-NULL array of Arrow's Null type.
    Null,
}

impl<'a> ColumnReader<'a> {
    /// Looks at an array of a type's values; XX000 when its Arrow type is not that of `ty`.
    pub fn new(ty: PgType, array: &'a dyn Array) -> Result<ColumnReader<'a>> {
        fn cast<T: 'static>(a: &dyn Array) -> Option<&T> {
            a.as_any().downcast_ref::<T>()
        }
        if array.data_type() == &DataType::Null {
            return Ok(ColumnReader::Null);
        }
        let reader = match data_type(ty) {
            DataType::Boolean => cast(array).map(ColumnReader::Bool),
            DataType::Int16 => cast(array).map(ColumnReader::Int16),
            DataType::Int32 => cast(array).map(ColumnReader::Int32),
            DataType::Int64 => cast(array).map(ColumnReader::Int64),
            DataType::UInt32 => cast(array).map(ColumnReader::UInt32),
            DataType::Float32 => cast(array).map(ColumnReader::Float32),
            DataType::Float64 => cast(array).map(ColumnReader::Float64),
            DataType::Utf8 => match cast(array) {
                Some(a) => Some(ColumnReader::Text(a)),
                None => cast(array).map(ColumnReader::TextView),
            },
            DataType::FixedSizeBinary(_) if type_info::physical(ty.oid) == oid::UUID => cast(array).map(ColumnReader::Uuid),
            DataType::FixedSizeBinary(_) => cast(array).map(ColumnReader::Interval),
            DataType::Date32 => cast(array).map(ColumnReader::Date),
            DataType::Time64(_) => cast(array).map(ColumnReader::Time),
            DataType::Timestamp(_, None) => cast(array).map(ColumnReader::Timestamp),
            DataType::Timestamp(_, Some(_)) => cast(array).map(ColumnReader::Timestamptz),
            _ => match type_info::physical(ty.oid) {
                oid::NUMERIC => cast(array).map(ColumnReader::Numeric),
                oid::BYTEA => cast(array).map(ColumnReader::Bytea),
                oid::JSONB => cast(array).map(ColumnReader::Jsonb),
                _ if is_inner(ty.oid) => cast(array).map(ColumnReader::Inner),
                _ => cast(array).map(|a| ColumnReader::Wire(ty, a)),
            },
        };
        reader.ok_or_else(|| {
            SqlError::internal(format!(
                "column of type {} came as {}",
                type_info::format_type(ty.oid, ty.typmod),
                array.data_type()
            ))
        })
    }

    /// Whether the value at `row` is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        use ColumnReader::*;
        match self {
            Bool(a) => a.is_null(row),
            Int16(a) => a.is_null(row),
            Int32(a) => a.is_null(row),
            Int64(a) => a.is_null(row),
            UInt32(a) => a.is_null(row),
            Float32(a) => a.is_null(row),
            Float64(a) => a.is_null(row),
            Text(a) => a.is_null(row),
            TextView(a) => a.is_null(row),
            Bytea(a) | Numeric(a) | Jsonb(a) | Inner(a) | Wire(_, a) => a.is_null(row),
            Uuid(a) | Interval(a) => a.is_null(row),
            Date(a) => a.is_null(row),
            Time(a) => a.is_null(row),
            Timestamp(a) | Timestamptz(a) => a.is_null(row),
            Null => true,
        }
    }

    /// The value at `row`. XX001 when stored bytes are damaged.
    pub fn get(&self, row: usize) -> Result<Datum> {
        if self.is_null(row) {
            return Ok(Datum::Null);
        }
        use ColumnReader as R;
        Ok(match self {
            R::Bool(a) => Datum::Bool(a.value(row)),
            R::Int16(a) => Datum::Int2(a.value(row)),
            R::Int32(a) => Datum::Int4(a.value(row)),
            R::Int64(a) => Datum::Int8(a.value(row)),
            R::UInt32(a) => Datum::Oid(a.value(row)),
            R::Float32(a) => Datum::Float4(a.value(row)),
            R::Float64(a) => Datum::Float8(a.value(row)),
            R::Text(a) => Datum::text(a.value(row)),
            R::TextView(a) => Datum::text(a.value(row)),
            R::Bytea(a) => Datum::Bytea(Arc::from(a.value(row))),
            R::Numeric(a) => Datum::Numeric(numeric::from_arrow_bytes(a.value(row))?),
            R::Jsonb(a) => Datum::Jsonb(crate::Json::decode(a.value(row))?),
            R::Inner(a) => inner_form::Bytes(a.value(row)).value()?,
            R::Wire(ty, a) => binary_io::decode(PgType::with_typmod(ty.oid, -1), a.value(row))?,
            R::Uuid(a) => {
                let mut u = [0; 16];
                u.copy_from_slice(a.value(row));
                Datum::Uuid(u)
            }
            R::Interval(a) => binary_io::decode(PgType::INTERVAL, a.value(row))?,
            R::Date(a) => Datum::Date(date_from_unix(a.value(row))),
            R::Time(a) => Datum::Time(a.value(row)),
            R::Timestamp(a) => Datum::Timestamp(timestamp_from_unix(a.value(row))),
            R::Timestamptz(a) => Datum::Timestamptz(timestamp_from_unix(a.value(row))),
            R::Null => Datum::Null,
        })
    }
}

/// The value of an array at a row; for more than one row use [`ColumnReader`].
pub fn datum_at(ty: PgType, array: &dyn Array, row: usize) -> Result<Datum> {
    ColumnReader::new(ty, array)?.get(row)
}

/// The numeric at a row of a numeric column without looking at NULL.
pub fn numeric_at(array: &BinaryArray, row: usize) -> Result<Numeric> {
    numeric::from_arrow_bytes(array.value(row))
}
