//! Portals: a statement with its parameters, and the rows that are left of it.

use crate::cursor::{CursorState, no_cursor};
use crate::output::{Disconnected, Field, Format, Output, Stop};
use crate::planning::Prepared;
use crate::session::Session;
use curia_execute::RowSource;
use curia_types::{Datum, IoContext, PgType, Result, SqlError, binary_io, text_io};
use std::sync::Arc;

/// Rows of a running statement.
pub(crate) enum Rows {
    /// From the engine.
    Plan(Box<RowSource>),
    /// Computed already: SHOW, EXPLAIN.
    Values(std::vec::IntoIter<Vec<Datum>>),
    /// The next rows of a cursor, at most `left` (0: all): FETCH reads them in its name.
    Cursor {
        /// The cursor.
        name: String,
        /// How many.
        left: u64,
    },
}

/// What a statement left to be told.
pub(crate) struct Ran {
    /// Its rows.
    pub rows: Option<Rows>,
    /// Their columns.
    pub fields: Option<Arc<[Field]>>,
    /// How its command tag reads.
    pub tag: Tag,
}

/// A command tag, before the count is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// As it is.
    Plain(&'static str),
    /// With the number of rows that were sent.
    Sent(&'static str),
    /// With a number known when the statement ran.
    Affected(&'static str, u64),
}

impl Tag {
    /// Its text, when `sent` rows went to the client.
    pub(crate) fn text(&self, sent: u64) -> String {
        match self {
            Tag::Plain(t) => (*t).to_owned(),
            Tag::Sent(t) => format!("{t} {sent}"),
            Tag::Affected("INSERT", n) => format!("INSERT 0 {n}"),
            Tag::Affected(t, n) => format!("{t} {n}"),
        }
    }
}

impl Ran {
    /// A statement without rows.
    pub(crate) fn done(tag: &'static str) -> Ran {
        Ran {
            rows: None,
            fields: None,
            tag: Tag::Plain(tag),
        }
    }
    /// A statement with rows that are known.
    pub(crate) fn values(tag: &'static str, fields: Arc<[Field]>, rows: Vec<Vec<Datum>>) -> Ran {
        Ran {
            rows: Some(Rows::Values(rows.into_iter())),
            fields: Some(fields),
            tag: Tag::Plain(tag),
        }
    }
}

/// How far a portal is.
pub(crate) enum Progress {
    /// Bound, not run.
    Ready,
    /// Has rows left, as far as anyone knows.
    Open {
        /// The rows.
        rows: Rows,
        /// Their columns.
        fields: Arc<[Field]>,
        /// Its tag.
        tag: Tag,
    },
    /// At its end.
    Done(Tag),
    /// An error ended it; a rollback to a savepoint after it was opened left it.
    Failed,
}

/// A portal.
pub(crate) struct Portal {
    pub statement: Arc<Prepared>,
    pub params: Arc<[Datum]>,
    /// None, one for all, or one a column.
    pub formats: Vec<Format>,
    pub progress: Progress,
    /// Made by DECLARE.
    pub cursor: Option<Box<CursorState>>,
    /// Start of the statement that opened it, microseconds since 2000-01-01 UTC.
    pub opened_at: i64,
    /// How many savepoints there were.
    pub savepoints: usize,
}

/// What came of moving rows to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Rows sent.
    pub sent: u64,
    /// The limit was reached; there may be more.
    pub limited: bool,
}

impl Session {
    /// Sends rows, at most `limit` (0: all). `send: false` only counts them (MOVE).
    pub(crate) async fn move_rows<O: Output>(
        &mut self,
        rows: &mut Rows,
        fields: &[Field],
        formats: &[Format],
        limit: u64,
        send: bool,
        out: &mut O,
    ) -> Result<Moved, Stop> {
        let mut moved = Moved { sent: 0, limited: false };
        if let Rows::Cursor { name, left } = rows {
            let limit = if *left == 0 {
                limit
            } else {
                limit.wrapping_sub(1).min(*left - 1) + 1
            };
            let mut portal = self.portals.remove(name.as_str()).ok_or_else(|| no_cursor(name))?;
            let outcome = Box::pin(self.move_portal(&mut portal, limit, send, out)).await;
            if outcome.is_err() {
                portal.progress = Progress::Failed;
            }
            self.portals.insert(name.clone(), portal);
            moved = outcome?;
            *left = left.saturating_sub(moved.sent);
            let finished = *left == 0;
            moved.limited &= !finished;
            if finished {
                *rows = Rows::Values(Vec::new().into_iter());
            }
            return Ok(moved);
        }
        let formats = every_format(formats, fields.len());
        let io = self.io();
        loop {
            if limit > 0 && moved.sent == limit {
                moved.limited = true;
                return Ok(moved);
            }
            match rows {
                Rows::Plan(source) => {
                    let more = match self.is_withheld() {
                        false => self.waits.run(out, source.next()).await?,
                        true => self.waits.run_quietly(source.next()).await?,
                    };
                    if !more {
                        self.check_serializable()?;
                        return Ok(moved);
                    }
                    if send {
                        out.data_row(fields.len(), &mut |buffer| source.write(&formats, &io, buffer))?;
                    }
                }
                Rows::Cursor { .. } => return Err(SqlError::internal("a cursor of a cursor").into()),
                Rows::Values(values) => {
                    let Some(row) = values.next() else {
                        self.check_serializable()?;
                        return Ok(moved);
                    };
                    if send {
                        out.data_row(fields.len(), &mut |buffer| {
                            for ((value, field), format) in row.iter().zip(fields).zip(&formats) {
                                write_value(value, field.ty, *format, &io, buffer);
                            }
                            Ok(())
                        })?;
                    }
                }
            }
            moved.sent += 1;
            if out.is_full() {
                self.settle_answer().await?;
                relieve(out).await?;
            }
        }
    }

    /// The next rows of a cursor, at most `limit` (0: all).
    async fn move_portal<O: Output>(&mut self, portal: &mut Portal, limit: u64, send: bool, out: &mut O) -> Result<Moved, Stop> {
        let mut moved = Moved { sent: 0, limited: false };
        if let Progress::Open { rows, fields, .. } = &mut portal.progress {
            let formats = portal.formats.clone();
            let mut ended = false;
            if let Some(cursor) = &mut portal.cursor {
                let (formats, io) = (every_format(&formats, fields.len()), self.io());
                let give = &mut |out: &mut O, row: &[Datum]| -> Result<(), Stop> {
                    if send {
                        out.data_row(fields.len(), &mut |buffer| {
                            for ((value, field), format) in row.iter().zip(fields.iter()).zip(&formats) {
                                write_value(value, field.ty, *format, &io, buffer);
                            }
                            Ok(())
                        })?;
                    }
                    Ok(())
                };
                (moved.sent, ended) = Box::pin(self.step_on(cursor, rows, limit, out, give)).await?;
            }
            moved.limited = limit > 0 && moved.sent == limit;
            if !ended && !moved.limited {
                let left = limit.saturating_sub(moved.sent);
                let more = Box::pin(self.move_rows(rows, &fields.clone(), &formats, left, send, out)).await?;
                if let (Some(cursor), Rows::Plan(source)) = (&mut portal.cursor, &*rows) {
                    cursor.advanced(more.sent, more.limited.then(|| source.row().to_vec()));
                }
                moved = Moved {
                    sent: moved.sent + more.sent,
                    limited: more.limited,
                };
            }
        }
        Ok(moved)
    }
}

/// Sends what is buffered and lets the core's other sessions run.
pub(crate) async fn relieve(out: &mut impl Output) -> Result<(), Disconnected> {
    out.pressure().await?;
    tokio::task::yield_now().await;
    Ok(())
}

/// One format a column from the protocol's short forms.
pub(crate) fn every_format(formats: &[Format], columns: usize) -> Vec<Format> {
    match formats {
        [] => vec![Format::Text; columns],
        [one] => vec![*one; columns],
        all => all.to_vec(),
    }
}

/// Appends a value as it stands in a DataRow: length and bytes.
pub(crate) fn write_value(value: &Datum, ty: PgType, format: Format, io: &IoContext, out: &mut Vec<u8>) {
    if value.is_null() {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return;
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    match format {
        Format::Text => text_io::format(ty, value, io, out),
        Format::Binary => binary_io::send(ty, value, io, out),
    }
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
