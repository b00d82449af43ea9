//! The Arrow form that clients see.
//!
//! Inside the server a few types travel in forms of our own (see `curia_types::arrow_map`): exact, but foreign to a client.
//! This module gives each PostgreSQL type one public form and converts batches on their way out.
//!
//! | PostgreSQL | Arrow, to clients |
//! | --- | --- |
//! | bool, int2, int4, int8, float4, float8 | Boolean, Int16, Int32, Int64, Float32, Float64 |
//! | oid, reg* | UInt32 |
//! | text, varchar, char(n), name, "char", json | Utf8 |
//! | bytea | Binary |
//! | date, time, timestamp | Date32, Time64(us), Timestamp(us) |
//! | timestamptz | Timestamp(us, "UTC") |
//! | interval | Interval(MonthDayNano) |
//! | uuid | FixedSizeBinary(16), extension `arrow.uuid` |
//! | numeric(p,s), p <= 38, 0 <= s <= p | Decimal128(p,s) |
//! | other numeric (the result of sum(bigint), say) | Utf8: no Arrow decimal holds every value |
//! | arrays, records, and all other types | Utf8, PostgreSQL's text form |
//!
//! Every field carries PostgreSQL's type name in the metadata key that Flight SQL defines for it. What a form cannot hold
//! (NaN in a Decimal128, an interval whose microseconds overflow nanoseconds) fails the statement with 22003 or 22008
//! and says which cast helps; nothing is changed silently.

use arrow::array::builder::{Decimal128Builder, IntervalMonthDayNanoBuilder, StringBuilder};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, Schema, SchemaRef};
use curia_types::arrow_map::ColumnReader;
use curia_types::numeric::{from_arrow_bytes, precision_and_scale};
use curia_types::{Datum, IoContext, Numeric, PgType, Result, SqlError, SqlState, arrow_map, oid, text_io, type_info};
use num_bigint::BigInt;
use num_traits::ToPrimitive;
use std::collections::HashMap;
use std::sync::Arc;

/// Keys that the Flight SQL specification defines for column metadata.
mod column_metadata {
    pub const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
    pub const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
    pub const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
}

/// Name and type of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As the client sees it; may repeat.
    pub name: String,
    /// PostgreSQL type.
    pub ty: PgType,
    /// Whether NULL can occur.
    pub nullable: bool,
}

/// How a column is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conversion {
    /// The inner form is the public one.
    None,
    /// numeric to Decimal128.
    Decimal { precision: u8, scale: i8 },
    /// interval to MonthDayNano.
    Interval,
    /// Anything to PostgreSQL's text form.
    Text,
}

/// Converts batches of one result.
#[derive(Clone, Debug)]
pub struct ArrowForm {
    columns: Vec<(PgType, Conversion)>,
    schema: SchemaRef,
}

impl ArrowForm {
    /// The form of a result with these columns.
    pub fn new(columns: &[Column]) -> ArrowForm {
        let fields: Vec<Field> = columns.iter().map(field).collect();
        ArrowForm {
            columns: columns.iter().map(|column| (column.ty, conversion(column.ty))).collect(),
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// The public schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Converts one batch.
    ///
    /// # Errors
    /// 22003 and 22008 as the module page says; XX000 when the batch is not of this result.
    pub fn convert(&self, batch: &RecordBatch, io: &IoContext) -> Result<RecordBatch> {
        if batch.num_columns() != self.columns.len() {
            return Err(SqlError::internal("a batch has other columns than its statement"));
        }
        let columns = self
            .columns
            .iter()
            .zip(batch.columns())
            .map(|((ty, conversion), array)| convert(*ty, *conversion, array, io))
            .collect::<Result<Vec<_>>>()?;
        // The row count is given, because a result may have rows and no columns.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| SqlError::internal(format!("result batch: {error}")))
    }
}

fn conversion(ty: PgType) -> Conversion {
    // A domain is what it is over; an enum's values are numbers of our own, so its labels go out.
    let ty = type_info::base_of(ty);
    match ty.oid {
        _ if type_info::is_enum(ty.oid) => Conversion::Text,
        oid::NUMERIC => match decimal_of(ty) {
            Some((precision, scale)) => Conversion::Decimal { precision, scale },
            None => Conversion::Text,
        },
        oid::INTERVAL => Conversion::Interval,
        oid::BYTEA | oid::UUID => Conversion::None,
        // Whatever else the inner form keeps in bytes of our own (arrays, records) goes out as text.
        _ if matches!(arrow_map::data_type(ty), DataType::Binary | DataType::FixedSizeBinary(_)) => Conversion::Text,
        _ => Conversion::None,
    }
}

/// Precision and scale of a numeric that a Decimal128 holds.
fn decimal_of(ty: PgType) -> Option<(u8, i8)> {
    let (precision, scale) = precision_and_scale(ty.typmod)?;
    if (1..=38).contains(&precision) && (0..=precision).contains(&scale) {
        Some((u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
    } else {
        None
    }
}

/// The public Arrow type.
pub fn public_type(ty: PgType) -> DataType {
    match conversion(ty) {
        Conversion::None => arrow_map::data_type(ty),
        Conversion::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        Conversion::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        Conversion::Text => DataType::Utf8,
    }
}

/// The public field, with its metadata.
pub fn field(column: &Column) -> Field {
    let mut metadata = HashMap::new();
    let ty = type_info::base_of(column.ty);
    if let Some(info) = type_info::by_oid(ty.oid) {
        metadata.insert(column_metadata::TYPE_NAME.to_owned(), info.name.to_owned());
    }
    if let Some((precision, scale)) = (ty.oid == oid::NUMERIC).then(|| precision_and_scale(ty.typmod)).flatten() {
        metadata.insert(column_metadata::PRECISION.to_owned(), precision.to_string());
        metadata.insert(column_metadata::SCALE.to_owned(), scale.to_string());
    }
    if ty.oid == oid::UUID {
        metadata.insert("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
        metadata.insert("ARROW:extension:metadata".to_owned(), String::new());
    }
    Field::new(&column.name, public_type(column.ty), column.nullable).with_metadata(metadata)
}

fn convert(ty: PgType, conversion: Conversion, array: &ArrayRef, io: &IoContext) -> Result<ArrayRef> {
    match conversion {
        Conversion::None => Ok(Arc::clone(array)),
        Conversion::Decimal { precision, scale } => decimals(array, precision, scale),
        Conversion::Interval => intervals(ty, array),
        Conversion::Text => texts(ty, array, io),
    }
}

fn decimals(array: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef> {
    let bytes = array
        .as_binary_opt::<i32>()
        .ok_or_else(|| SqlError::internal("a numeric column is not in bytes"))?;
    let mut out = Decimal128Builder::with_capacity(bytes.len())
        .with_precision_and_scale(precision, scale)
        .map_err(|error| SqlError::internal(error.to_string()))?;
    for value in bytes {
        match value {
            None => out.append_null(),
            Some(value) => out.append_value(unscaled(&from_arrow_bytes(value)?, scale)?),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The value's digits at `scale`, which is the column's own, so that nothing is rounded.
fn unscaled(value: &Numeric, scale: i8) -> Result<i128> {
    let wanted = u32::from(scale.unsigned_abs());
    let out_of_range = || {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric value has no Arrow decimal")
            .hint("Cast the column to text or to double precision.")
    };
    let (digits, had) = match value.small() {
        Some((digits, had)) => (i128::from(digits), u32::from(had)),
        None => {
            let (digits, had): (BigInt, u16) = value.finite().ok_or_else(out_of_range)?;
            (digits.to_i128().ok_or_else(out_of_range)?, u32::from(had))
        }
    };
    if had <= wanted {
        let factor = 10i128.checked_pow(wanted - had).ok_or_else(out_of_range)?;
        digits.checked_mul(factor).ok_or_else(out_of_range)
    } else {
        let factor = 10i128.checked_pow(had - wanted).ok_or_else(out_of_range)?;
        if digits % factor == 0 {
            Ok(digits / factor)
        } else {
            Err(out_of_range())
        }
    }
}

fn intervals(ty: PgType, array: &ArrayRef) -> Result<ArrayRef> {
    let mut out = IntervalMonthDayNanoBuilder::with_capacity(array.len());
    let values = ColumnReader::new(ty, array.as_ref())?;
    for row in 0..array.len() {
        match values.get(row)? {
            Datum::Interval(interval) => {
                let nanoseconds = interval.micros.checked_mul(1000).ok_or_else(|| {
                    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range of Arrow's nanoseconds")
                        .hint("Cast the column to text.")
                })?;
                out.append_value(IntervalMonthDayNano::new(interval.months, interval.days, nanoseconds));
            }
            Datum::Null => out.append_null(),
            other => return Err(SqlError::internal(format!("{other:?} in an interval column"))),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn texts(ty: PgType, array: &ArrayRef, io: &IoContext) -> Result<ArrayRef> {
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = Vec::new();
    let values = ColumnReader::new(ty, array.as_ref())?;
    for row in 0..array.len() {
        match values.get(row)? {
            Datum::Null => out.append_null(),
            value => {
                text.clear();
                text_io::format(ty, &value, io, &mut text);
                out.append_value(std::str::from_utf8(&text).map_err(|_| SqlError::internal("text form is not UTF-8"))?);
            }
        }
    }
    Ok(Arc::new(out.finish()))
}
