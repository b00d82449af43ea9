//! A file of rows: written once from front to back, then read.

use super::Room;
use crate::rows::Row;
use curia_types::inner_form::{Bytes, write_row};
use curia_types::{Datum, Result, SqlError, SqlState};
use datafusion::execution::{SpillFile, SpillWriter};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

/// Bytes written or read at a time. They are not counted: a merge reads some dozens of files at most.
const BUFFER: usize = 32 << 10;

/// A file being written.
pub(super) struct Writing {
    file: Arc<dyn SpillFile>,
    to: BufWriter<Box<dyn SpillWriter>>,
    row: Vec<u8>,
}

impl Writing {
    pub fn create(room: &Room) -> Result<Writing> {
        let file = room.disk.create_tmp_file("rows").map_err(crate::analytic::error)?;
        let to = BufWriter::with_capacity(BUFFER, file.open_writer().map_err(crate::analytic::error)?);
        Ok(Writing { file, to, row: Vec::new() })
    }

    /// Appends a row in two parts: what it is sorted by, if anything, and itself.
    pub fn push(&mut self, keys: &[Datum], row: &[Datum]) -> Result<()> {
        self.row.clear();
        write_row(keys, &mut self.row);
        write_row(row, &mut self.row);
        let length = u32::try_from(self.row.len()).map_err(|_| {
            SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "a row is too long to be written to a temporary file",
            )
        })?;
        self.to
            .write_all(&length.to_le_bytes())
            .and_then(|()| self.to.write_all(&self.row))
            .map_err(failed)
    }

    pub fn finish(mut self) -> Result<Written> {
        self.to.flush().map_err(failed)?;
        Ok(Written(self.file))
    }
}

/// A complete file; it goes with its last owner.
#[derive(Clone)]
pub(super) struct Written(Arc<dyn SpillFile>);

impl Written {
    /// Reads it from the front.
    pub fn read(&self) -> Result<Reading> {
        let path = self.0.path().ok_or_else(|| SqlError::internal("a temporary file has no path"))?;
        let from = BufReader::with_capacity(BUFFER, File::open(path).map_err(failed)?);
        Ok(Reading {
            from,
            row: Vec::new(),
            _file: self.clone(),
        })
    }
}

/// A file being read.
pub(super) struct Reading {
    from: BufReader<File>,
    row: Vec<u8>,
    _file: Written,
}

impl Reading {
    /// The next row and what it is sorted by.
    pub fn next(&mut self) -> Result<Option<(Vec<Datum>, Row)>> {
        if self.from.fill_buf().map_err(failed)?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(failed)?;
        self.row.resize(u32::from_le_bytes(length) as usize, 0);
        self.from.read_exact(&mut self.row).map_err(failed)?;
        let mut bytes = Bytes(&self.row);
        let keys = bytes.row()?;
        Ok(Some((keys, bytes.row()?)))
    }
}

fn failed(e: std::io::Error) -> SqlError {
    crate::analytic::error(e.into())
}
