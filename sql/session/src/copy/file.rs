//! Files of the server that COPY reads and writes: for superusers only.
//!
//! A piece is read or written at a time, on the session's thread: the page cache is quick, and pieces are small.

use super::CopyDirection;
use crate::output::{CopyInput, Disconnected, Format, Output, Stop};
use crate::session::Session;
use curia_types::{Result, SqlError, SqlState};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Bytes read or written at a time.
const PIECE: usize = 64 << 10;

/// Where COPY FROM reads.
pub(super) enum Input {
    Client,
    File { file: File, name: String },
}

/// Where COPY TO writes.
pub(super) enum Sink {
    Client,
    File { file: File, name: String, buffer: Vec<u8> },
}

impl Session {
    /// Opens what COPY FROM reads.
    pub(super) fn copy_input(&self, direction: &CopyDirection) -> Result<Input> {
        let CopyDirection::FromFile(name) = direction else {
            return Ok(Input::Client);
        };
        self.may_use_files(
            "pg_read_server_files",
            "COPY from a file",
            "Anyone can COPY to stdout or from stdin.",
        )?;
        let advice =
            "COPY FROM instructs the PostgreSQL server process to read a file. You may want a client-side facility such as psql's \\copy.";
        let file = File::open(name).map_err(|e| no_file(name, "reading", &e, advice))?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is a directory")));
        }
        Ok(Input::File { file, name: name.clone() })
    }

    /// Opens what COPY TO writes.
    pub(super) fn copy_sink(&self, direction: &CopyDirection) -> Result<Sink> {
        let CopyDirection::ToFile(name) = direction else {
            return Ok(Sink::Client);
        };
        self.may_use_files(
            "pg_write_server_files",
            "COPY to a file",
            "Anyone can COPY to stdout or from stdin.",
        )?;
        if !Path::new(name).is_absolute() {
            return Err(SqlError::new(SqlState::INVALID_NAME, "relative path not allowed for COPY to file"));
        }
        if Path::new(name).is_dir() {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is a directory")));
        }
        let advice =
            "COPY TO instructs the PostgreSQL server process to write a file. You may want a client-side facility such as psql's \\copy.";
        let file = File::create(name).map_err(|e| no_file(name, "writing", &e, advice))?;
        Ok(Sink::File {
            file,
            name: name.clone(),
            buffer: Vec::with_capacity(PIECE),
        })
    }

    fn may_use_files(&self, role: &str, what: &str, hint: &str) -> Result<()> {
        let catalog = self.shared.database.catalog();
        let of = catalog.role(role).map_or(u32::MAX, |r| r.oid);
        if catalog.authority().has(self.environment.identity.current, of) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("must be superuser or have privileges of the {role} role to {what}"),
        )
        .hint(format!("{hint} psql's \\copy command also works for anyone.")))
    }
}

fn no_file(name: &str, purpose: &str, e: &std::io::Error, advice: &str) -> SqlError {
    let (state, why) = match e.kind() {
        ErrorKind::NotFound => ("58P01", "No such file or directory".to_owned()),
        ErrorKind::PermissionDenied => ("42501", "Permission denied".to_owned()),
        _ => ("58030", e.to_string()),
    };
    SqlError::new(SqlState::new(state), format!("could not open file \"{name}\" for {purpose}: {why}")).hint(advice)
}

impl Input {
    /// Tells the client that its data is awaited, if it is.
    pub fn announce(&self, format: Format, columns: usize, out: &mut impl Output) {
        if matches!(self, Input::Client) {
            out.copy_in(format, columns);
        }
    }

    /// Appends some more of the data.
    pub async fn read<O: Output>(&mut self, data: &mut Vec<u8>, out: &mut O) -> Result<CopyInput, Stop> {
        let Input::File { file, name } = self else {
            return out.copy_data(data).await;
        };
        let at = data.len();
        data.resize(at + PIECE, 0);
        let read = file.read(&mut data[at..]);
        data.truncate(at + read.as_ref().map_or(0, |n| *n));
        match read {
            Ok(0) => Ok(CopyInput::Done),
            Ok(_) => Ok(CopyInput::Data),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(CopyInput::Data),
            Err(e) => Err(SqlError::new(SqlState::new("58030"), format!("could not read file \"{name}\": {e}")).into()),
        }
    }
}

impl Sink {
    /// Tells the client that data follows, if it does.
    pub fn announce(&self, format: Format, columns: usize, out: &mut impl Output) {
        if matches!(self, Sink::Client) {
            out.copy_out(format, columns);
        }
    }

    /// Appends one row, filled by `write`.
    pub fn row<O: Output>(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>, out: &mut O) -> Result<()> {
        let Sink::File { buffer, .. } = self else {
            return out.copy_row(write);
        };
        let before = buffer.len();
        if let Err(e) = write(buffer) {
            buffer.truncate(before);
            return Err(e);
        }
        if buffer.len() >= PIECE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let Sink::File { file, name, buffer } = self else { return Ok(()) };
        file.write_all(buffer)
            .map_err(|e| SqlError::new(SqlState::new("58030"), format!("could not write to COPY file \"{name}\": {e}")))?;
        buffer.clear();
        Ok(())
    }

    /// Lets the client, or other sessions, take their turn.
    pub async fn relieve<O: Output>(&self, out: &mut O) -> Result<(), Disconnected> {
        match self {
            Sink::Client if !out.is_full() => Ok(()),
            Sink::File { buffer, .. } if !buffer.is_empty() => Ok(()),
            _ => crate::portal::relieve(out).await,
        }
    }

    /// Ends the data.
    pub fn finish(mut self, out: &mut impl Output) -> Result<()> {
        match self {
            Sink::Client => out.copy_done(),
            Sink::File { .. } => self.write()?,
        }
        Ok(())
    }
}
