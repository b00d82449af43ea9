//! Values that a client sends in Arrow batches: parameters of prepared statements and rows to ingest.
//!
//! A client's Arrow type is only a hint: Python sends every integer as Int64, whatever the parameter is. A value whose
//! natural PostgreSQL type is not the wanted one goes through its text form, so it is accepted exactly when PostgreSQL
//! would accept that text, with PostgreSQL's error when it does not.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use curia_types::arrow_map::{date_from_unix, timestamp_from_unix};
use curia_types::{Datum, Interval, IoContext, Numeric, PgType, Result, SqlError, SqlState, oid, text_io};
use std::sync::Arc;

/// The parameters of every execution that `batch` asks for: one for each row.
///
/// # Errors
/// 08P01 when the number of columns is not that of the parameters; the errors of conversion otherwise.
pub fn rows(batch: &RecordBatch, wanted: &[PgType], io: &IoContext) -> Result<Vec<Vec<Datum>>> {
    if batch.num_columns() != wanted.len() {
        return Err(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            format!(
                "bind message supplies {} parameters, but the prepared statement requires {}",
                batch.num_columns(),
                wanted.len()
            ),
        ));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(wanted)
        .map(|(array, ty)| column(array.as_ref(), *ty, io))
        .collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect())
}

/// One column as values of the wanted type.
///
/// # Errors
/// See [`rows`].
pub fn column(array: &dyn Array, wanted: PgType, io: &IoContext) -> Result<Vec<Datum>> {
    let plain = plain(array)?;
    (0..plain.len())
        .map(|row| {
            if plain.is_null(row) {
                return Ok(Datum::Null);
            }
            let (value, ty) = natural(plain.as_ref(), row)?;
            if ty.oid == wanted.oid && wanted.typmod < 0 {
                return Ok(value);
            }
            let mut text = Vec::new();
            text_io::format(ty, &value, io, &mut text);
            let text = String::from_utf8(text).map_err(|_| invalid_utf8())?;
            text_io::parse(wanted, &text, io)
        })
        .collect()
}

/// The PostgreSQL type that a column of this Arrow type becomes when a table is made for it.
pub fn type_for(data_type: &DataType) -> Result<PgType> {
    Ok(match data_type {
        DataType::Boolean => PgType::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::with_typmod(oid::INT2, -1),
        DataType::Int32 | DataType::UInt16 => PgType::INT4,
        DataType::Int64 | DataType::UInt32 => PgType::INT8,
        DataType::UInt64 => PgType::NUMERIC,
        DataType::Float16 | DataType::Float32 => PgType::FLOAT4,
        DataType::Float64 => PgType::FLOAT8,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => PgType::TEXT,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => PgType::BYTEA,
        DataType::FixedSizeBinary(16) => PgType::UUID,
        DataType::FixedSizeBinary(_) => PgType::BYTEA,
        DataType::Date32 | DataType::Date64 => PgType::DATE,
        DataType::Time32(_) | DataType::Time64(_) => PgType::TIME,
        DataType::Timestamp(_, None) => PgType::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => PgType::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => PgType::INTERVAL,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            PgType::with_typmod(oid::NUMERIC, ((i32::from(*precision) << 16) | i32::from(*scale)) + 4)
        }
        DataType::Decimal128(..) => PgType::NUMERIC,
        DataType::Dictionary(_, values) => type_for(values)?,
        other => return Err(SqlError::unsupported(format!("Arrow type {other}"))),
    })
}

/// Rewrites the many Arrow types of one meaning to the one that [`natural`] reads.
fn plain(array: &dyn Array) -> Result<Arc<dyn Array>> {
    let target = match array.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Duration(_) | DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        same => same.clone(),
    };
    let data = arrow::array::make_array(array.to_data());
    if &target == data.data_type() {
        return Ok(data);
    }
    let cast = cast(&data, &target).map_err(|error| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("Arrow {} cannot be read: {error}", array.data_type()),
        )
    })?;
    // A dictionary may hold another type of many meanings.
    if matches!(array.data_type(), DataType::Dictionary(..)) {
        plain(cast.as_ref())
    } else {
        Ok(cast)
    }
}

/// The value at a row that is not null, in the type that Arrow's type suggests.
fn natural(array: &dyn Array, row: usize) -> Result<(Datum, PgType)> {
    Ok(match array.data_type() {
        DataType::Boolean => (Datum::Bool(array.as_boolean().value(row)), PgType::BOOL),
        DataType::Int8 => (Datum::Int8(array.as_primitive::<Int8Type>().value(row).into()), PgType::INT8),
        DataType::Int16 => (
            Datum::Int2(array.as_primitive::<Int16Type>().value(row)),
            PgType::with_typmod(oid::INT2, -1),
        ),
        DataType::Int32 => (Datum::Int4(array.as_primitive::<Int32Type>().value(row)), PgType::INT4),
        DataType::Int64 => (Datum::Int8(array.as_primitive::<Int64Type>().value(row)), PgType::INT8),
        DataType::UInt8 => (Datum::Int8(array.as_primitive::<UInt8Type>().value(row).into()), PgType::INT8),
        DataType::UInt16 => (Datum::Int8(array.as_primitive::<UInt16Type>().value(row).into()), PgType::INT8),
        DataType::UInt32 => (Datum::Int8(array.as_primitive::<UInt32Type>().value(row).into()), PgType::INT8),
        DataType::UInt64 => (
            Datum::Numeric(Numeric::from_i128(array.as_primitive::<UInt64Type>().value(row).into(), 0)),
            PgType::NUMERIC,
        ),
        DataType::Float32 => (Datum::Float4(array.as_primitive::<Float32Type>().value(row)), PgType::FLOAT4),
        DataType::Float64 => (Datum::Float8(array.as_primitive::<Float64Type>().value(row)), PgType::FLOAT8),
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(row);
            if text.contains('\0') {
                return Err(invalid_utf8());
            }
            (Datum::text(text), PgType::TEXT)
        }
        DataType::Binary => (Datum::Bytea(array.as_binary::<i32>().value(row).into()), PgType::BYTEA),
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(row);
            match bytes.try_into() {
                Ok(uuid) => (Datum::Uuid(uuid), PgType::UUID),
                Err(_) => (Datum::Bytea(bytes.into()), PgType::BYTEA),
            }
        }
        DataType::Date32 => (
            Datum::Date(date_from_unix(array.as_primitive::<Date32Type>().value(row))),
            PgType::DATE,
        ),
        DataType::Time64(TimeUnit::Microsecond) => (Datum::Time(array.as_primitive::<Time64MicrosecondType>().value(row)), PgType::TIME),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = timestamp_from_unix(array.as_primitive::<TimestampMicrosecondType>().value(row));
            match zone {
                None => (Datum::Timestamp(micros), PgType::TIMESTAMP),
                Some(_) => (Datum::Timestamptz(micros), PgType::TIMESTAMPTZ),
            }
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            (
                Datum::Interval(Interval {
                    months: value.months,
                    days: value.days,
                    micros: value.nanoseconds / 1000,
                }),
                PgType::INTERVAL,
            )
        }
        DataType::Decimal128(_, scale) => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(row);
            let value = match u16::try_from(*scale) {
                Ok(scale) => Numeric::from_i128(unscaled, scale),
                Err(_) => {
                    let factor = 10i128.checked_pow(scale.unsigned_abs().into()).ok_or_else(out_of_range)?;
                    Numeric::from_i128(unscaled.checked_mul(factor).ok_or_else(out_of_range)?, 0)
                }
            };
            (Datum::Numeric(value), PgType::NUMERIC)
        }
        other => return Err(SqlError::unsupported(format!("Arrow type {other}"))),
    })
}

fn invalid_utf8() -> SqlError {
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        "invalid byte sequence for encoding \"UTF8\": 0x00",
    )
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "Arrow value out of range")
}
