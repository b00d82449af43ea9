//! Where a session's results go.
//!
//! [`Output`] has one method for each thing a PostgreSQL back end can say during a statement. `curia-pgfront` implements it over a socket
//! buffer; tests implement it over vectors. Methods that only append to a buffer are plain functions; the ones that may wait for the client
//! ([`Output::pressure`], [`Output::flush`], [`Output::copy_data`]) are futures, so a slow client holds back the statement that feeds it.

use crate::notice::Notice;
use crate::notifications::Notification;
use curia_types::{PgType, Result};

pub use curia_execute::ValueFormat as Format;

/// A result column as RowDescription tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Column name; may repeat.
    pub name: String,
    /// Table OID when it is a plain column of a table, else 0.
    pub table: u32,
    /// `attnum` in that table, else 0.
    pub attnum: i16,
    /// Type with modifier.
    pub ty: PgType,
}

/// What the client sent while a COPY FROM STDIN is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyInput {
    /// Some more of the data, appended to the caller's buffer, cut anywhere.
    Data,
    /// The data is complete.
    Done,
    /// The client gave up, with its reason.
    Fail(String),
}

/// The connection is gone; the session rolls back and ends. Nobody is left to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected;

/// Why a statement stopped: the client is told, or there is no client any more.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// An error to report.
    Error(curia_types::SqlError),
    /// No client.
    Disconnected,
}

impl From<curia_types::SqlError> for Stop {
    fn from(e: curia_types::SqlError) -> Stop {
        Stop::Error(e)
    }
}

impl From<Disconnected> for Stop {
    fn from(_: Disconnected) -> Stop {
        Stop::Disconnected
    }
}

/// A place in what was said: see [`Output::place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// How often something has left.
    pub flushes: u64,
    /// Bytes that wait to leave.
    pub buffered: usize,
}

/// Receives the results of statements.
#[allow(async_fn_in_trait)] // sessions are pinned to one thread; their futures need not be Send
pub trait Output {
    /// ParseComplete.
    fn parse_complete(&mut self);
    /// BindComplete.
    fn bind_complete(&mut self);
    /// CloseComplete.
    fn close_complete(&mut self);
    /// NoData: the described statement or portal returns no rows.
    fn no_data(&mut self);
    /// ParameterDescription: type OIDs of `$1`, `$2`, ...
    fn parameter_description(&mut self, types: &[u32]);
    /// RowDescription. `formats` is empty (all text), one format for all columns, or one a column.
    fn row_description(&mut self, fields: &[Field], formats: &[Format]);
    /// Appends one complete DataRow of `columns` values. `write` appends, for each value, its length as a big-endian `i32` (-1 for NULL)
    /// and its bytes. When it fails the row is taken back and nothing of it is sent.
    fn data_row(&mut self, columns: usize, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()>;
    /// CommandComplete with its tag.
    fn command_complete(&mut self, tag: &str);
    /// EmptyQueryResponse.
    fn empty_query(&mut self);
    /// PortalSuspended: the row limit of Execute was reached.
    fn portal_suspended(&mut self);
    /// NoticeResponse. The session has already compared it with `client_min_messages`.
    fn notice(&mut self, notice: &Notice);
    /// NotificationResponse; front ends whose protocol has none drop it.
    fn notification(&mut self, _told: &Notification) {}
    /// ParameterStatus: a reported parameter changed.
    fn parameter_status(&mut self, name: &str, value: &str);
    /// CopyInResponse; the client now sends data, which [`Output::copy_data`] returns.
    fn copy_in(&mut self, format: Format, columns: usize);
    /// CopyOutResponse.
    fn copy_out(&mut self, format: Format, columns: usize);
    /// Appends one CopyData message, filled by `write`; taken back when it fails.
    fn copy_row(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()>;
    /// CopyDone.
    fn copy_done(&mut self);
    /// Whether the output buffer is above its size and [`Output::pressure`] should be awaited.
    fn is_full(&self) -> bool;
    /// Sends what is buffered when it is above a size, waiting for the client to take it. Cheap when it is not.
    async fn pressure(&mut self) -> Result<(), Disconnected>;
    /// What is said from here on can be taken back as long as nothing leaves. Not for outputs whose reader gets all or nothing.
    fn place(&self) -> Place {
        Place::default()
    }
    /// Takes back what was said since.
    fn take_back(&mut self, _place: Place) {}
    /// Sends everything buffered.
    async fn flush(&mut self) -> Result<(), Disconnected>;
    /// Before a wait that may be long: sends what is buffered if there is something in it that a client acts on.
    async fn before_wait(&mut self) -> Result<(), Disconnected>;
    /// Waits for more of COPY FROM STDIN and appends it to `data`: everything that has arrived, up to about 64 kB more. May be dropped while
    /// it waits; nothing is lost.
    async fn copy_data(&mut self, data: &mut Vec<u8>) -> Result<CopyInput, Stop>;
}
