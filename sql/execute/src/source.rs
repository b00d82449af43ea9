//! [`RowSource`]: the rows of a running statement, one by one as wire values or in Arrow batches.
//!
//! Rows of the point path are computed in place, on the session's thread. What may take long runs on the analytics pool and comes over
//! through a bounded channel: a reader that stops reading stops the query, one that goes away ends it.

use crate::eval::Env;
use crate::exec::Exec;
use crate::rows::{Cursor, Row};
use crate::spill::Kept;
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use curia_bind::ir::OutputColumn;
use curia_types::arrow_map::{self, ColumnBuilder, ColumnReader};
use curia_types::{Datum, IoContext, PgType, Result, SqlError, ValueFormat, binary_io, text_io};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Rows in a batch made of single rows.
const BATCH_ROWS: usize = 8192;
/// Rows that the point path gives before it lets other sessions of its thread run.
const ROWS_BEFORE_YIELD: u32 = 512;

/// Rows of a statement, in result order.
pub struct RowSource {
    columns: Arc<[OutputColumn]>,
    /// How many of the columns a client gets.
    shown: usize,
    inner: Inner,
    current: Row,
    given: u32,
    /// Work on the pool that has not come to its end: it ends with its reader.
    running: Option<Arc<Exec>>,
}

impl Drop for RowSource {
    fn drop(&mut self) {
        if let Some(exec) = &self.running {
            exec.abandon();
        }
    }
}

pub(crate) enum Inner {
    /// Computed where it is read. `positions`: the result's columns among the cursor's.
    Cursor {
        exec: Arc<Exec>,
        cursor: Box<dyn Cursor>,
        positions: Vec<usize>,
    },
    /// Rows from the analytics pool.
    Rows {
        from: mpsc::Receiver<Result<Vec<Row>>>,
        held: std::vec::IntoIter<Row>,
    },
    /// Batches from the analytics pool; `held` are rows of one that was taken apart.
    Batches {
        from: mpsc::Receiver<Result<RecordBatch>>,
        held: std::vec::IntoIter<Row>,
    },
}

impl RowSource {
    pub(crate) fn new(columns: Arc<[OutputColumn]>, inner: Inner) -> RowSource {
        RowSource {
            shown: columns.len(),
            columns,
            inner,
            current: Row::new(),
            given: 0,
            running: None,
        }
    }

    /// The same, of work on the pool.
    pub(crate) fn running(columns: Arc<[OutputColumn]>, inner: Inner, exec: Arc<Exec>) -> RowSource {
        let mut source = RowSource::new(columns, inner);
        source.running = Some(exec);
        source
    }

    /// Rows that are already computed.
    pub(crate) fn kept(columns: Arc<[OutputColumn]>, exec: Arc<Exec>, rows: &Kept) -> RowSource {
        let cursor = Box::new(rows.rows());
        let positions = (0..columns.len()).collect();
        RowSource::new(columns, Inner::Cursor { exec, cursor, positions })
    }

    /// Gives a client the first columns only; [`RowSource::row`] has all.
    pub fn show(&mut self, columns: usize) {
        self.shown = columns;
    }

    /// Result columns.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// The Arrow schema of [`RowSource::next_batch`]: names as the client sees them.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|c| Field::new(&c.name, arrow_map::data_type(c.ty), true))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Moves to the next row; false at the end.
    pub async fn next(&mut self) -> Result<bool> {
        self.given = self.given.wrapping_add(1);
        if self.given.is_multiple_of(ROWS_BEFORE_YIELD) && matches!(self.inner, Inner::Cursor { .. }) {
            tokio::task::yield_now().await;
        }
        loop {
            match &mut self.inner {
                Inner::Cursor { exec, cursor, positions } => {
                    let env = Env { exec, frame: &[] };
                    let Some(mut row) = cursor.next(env)? else { return Ok(false) };
                    if positions.len() == row.len() && positions.iter().enumerate().all(|(i, p)| i == *p) {
                        self.current = row;
                    } else {
                        self.current.clear();
                        self.current.extend(positions.iter().map(|p| row[*p].clone()));
                        row.clear();
                    }
                    return Ok(true);
                }
                Inner::Rows { from, held } => match held.next() {
                    Some(row) => {
                        self.current = row;
                        return Ok(true);
                    }
                    None => match from.recv().await {
                        Some(rows) => *held = rows?.into_iter(),
                        None => {
                            self.running = None;
                            return Ok(false);
                        }
                    },
                },
                Inner::Batches { from, held } => match held.next() {
                    Some(row) => {
                        self.current = row;
                        return Ok(true);
                    }
                    None => match from.recv().await {
                        Some(batch) => {
                            let types: Vec<PgType> = self.columns.iter().map(|c| c.ty).collect();
                            *held = batch_rows(&types, &batch?)?.into_iter();
                        }
                        None => {
                            self.running = None;
                            return Ok(false);
                        }
                    },
                },
            }
        }
    }

    /// The current row.
    pub fn row(&self) -> &[Datum] {
        &self.current
    }

    /// Takes the current row.
    pub fn take_row(&mut self) -> Vec<Datum> {
        std::mem::take(&mut self.current)
    }

    /// Appends the current row's values as the wire has them: for each its length as a big-endian `i32` (-1 for NULL) and its bytes.
    /// `formats` is empty (all text), one format for all, or one a column.
    pub fn write(&self, formats: &[ValueFormat], io: &IoContext, out: &mut Vec<u8>) -> Result<()> {
        for (i, (c, value)) in self.columns.iter().zip(&self.current).take(self.shown).enumerate() {
            if value.is_null() {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            let format = match formats {
                [] => ValueFormat::Text,
                [one] => *one,
                many => many.get(i).copied().unwrap_or_default(),
            };
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            match format {
                ValueFormat::Text => text_io::format(c.ty, value, io, out),
                ValueFormat::Binary => binary_io::send(c.ty, value, io, out),
            }
            let length = i32::try_from(out.len() - at - 4).map_err(|_| {
                SqlError::new(
                    curia_types::SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "a value is longer than the protocol allows",
                )
            })?;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// The next batch of rows; `None` at the end. Not to be mixed with [`RowSource::next`] within a batch.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if let Inner::Batches { from, held } = &mut self.inner
            && held.len() == 0
        {
            let Some(next) = from.recv().await else {
                self.running = None;
                return Ok(None);
            };
            let next = next?;
            let renamed = RecordBatch::try_new_with_options(
                self.schema(),
                next.columns().to_vec(),
                &arrow::array::RecordBatchOptions::new().with_row_count(Some(next.num_rows())),
            );
            return renamed.map(Some).map_err(|e| SqlError::internal(e.to_string()));
        }
        let mut builders: Vec<ColumnBuilder> = self.columns.iter().map(|c| ColumnBuilder::new(c.ty, 64)).collect();
        let mut rows = 0;
        while rows < BATCH_ROWS && self.next().await? {
            for (b, value) in builders.iter_mut().zip(&self.current) {
                b.append(value)?;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = builders.iter_mut().map(ColumnBuilder::finish).collect();
        RecordBatch::try_new_with_options(
            self.schema(),
            arrays,
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(rows)),
        )
        .map(Some)
        .map_err(|e| SqlError::internal(e.to_string()))
    }
}

/// The rows of a batch as values.
fn batch_rows(types: &[PgType], batch: &RecordBatch) -> Result<Vec<Row>> {
    let readers = types
        .iter()
        .zip(batch.columns())
        .map(|(t, a)| ColumnReader::new(*t, &**a))
        .collect::<Result<Vec<_>>>()?;
    (0..batch.num_rows()).map(|i| readers.iter().map(|r| r.get(i)).collect()).collect()
}
