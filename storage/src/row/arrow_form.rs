//! From rows straight into Arrow columns.

use curia_types::arrow_map::{ColumnBuilder, date_to_unix, timestamp_to_unix};

use super::{ColumnRef, RowLayout};
use crate::error::{Result, StorageError};

impl RowLayout {
    /// Appends columns of a row to builders of their types: `columns[i]` goes to `builders[i]`.
    ///
    /// # Errors
    /// [`StorageError::Format`] when the bytes are no row of this layout, [`StorageError::Value`] when a builder is of
    /// another type, [`StorageError::Conversion`] when a timestamp is beyond what Arrow can hold.
    pub fn append_columns(&self, row: &[u8], columns: &[usize], builders: &mut [ColumnBuilder]) -> Result<()> {
        let head = self.head(row)?;
        for (column, builder) in columns.iter().zip(builders) {
            match self.column_of(row, head, *column)? {
                Some(value) => append(value, builder)?,
                None => builder.append(&self.columns[*column].missing).map_err(StorageError::Conversion)?,
            }
        }
        Ok(())
    }
}

/// Appends a value to a builder of its type, without a detour over [`curia_types::Datum`].
#[inline]
fn append(value: ColumnRef<'_>, builder: &mut ColumnBuilder) -> Result<()> {
    use ColumnBuilder as B;
    match (builder, value) {
        (builder, ColumnRef::Null) => builder.append_null(),
        (B::Bool(b), ColumnRef::Bool(v)) => b.append_value(v),
        (B::Int16(b), ColumnRef::Int2(v)) => b.append_value(v),
        (B::Int32(b), ColumnRef::Int4(v)) => b.append_value(v),
        (B::Int64(b), ColumnRef::Int8(v)) => b.append_value(v),
        (B::UInt32(b), ColumnRef::Oid(v)) => b.append_value(v),
        (B::Float32(b), ColumnRef::Float4(v)) => b.append_value(v),
        (B::Float64(b), ColumnRef::Float8(v)) => b.append_value(v),
        (B::Text(b), ColumnRef::Text(v)) => b.append_value(v),
        (B::Binary(b), ColumnRef::Bytea(v))
        | (B::Numeric(b), ColumnRef::Numeric(v))
        | (B::Jsonb(b), ColumnRef::Jsonb(v))
        | (B::Wire(_, b), ColumnRef::Wire(v)) => {
            b.append_value(v);
        }
        (B::Fixed16(b), ColumnRef::Uuid(v) | ColumnRef::Interval(v)) => {
            b.append_value(v).map_err(|e| StorageError::Value(e.to_string()))?;
        }
        (B::Date(b), ColumnRef::Date(v)) => b.append_value(date_to_unix(v)),
        (B::Time(b), ColumnRef::Time(v)) => b.append_value(v),
        (B::Timestamp(b), ColumnRef::Timestamp(v) | ColumnRef::Timestamptz(v)) => {
            b.append_value(timestamp_to_unix(v).map_err(StorageError::Conversion)?)
        }
        (builder, value) => return Err(StorageError::Value(format!("{value:?} does not belong into {builder:?}"))),
    }
    Ok(())
}
