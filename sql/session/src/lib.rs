//! Sessions: what stands between a connection and the engine. A session holds the transaction block, parameters, prepared statements,
//! portals and cursors of one client, whatever protocol it speaks.
//!
//! ```text
//! let sessions = Sessions::new(engine, SessionsConfig::default());            // one per server, shared by Arc
//! let cores = Cores::start(n)?;                                               // the session threads
//! match sessions.authentication(user, Peer::Loopback)? { Trust | Scram(v) }
//! let mut session = sessions.open(Login { user, database, .. })?;             // lives on one core; futures are not Send
//!
//! PostgreSQL (curia-pgfront):
//!   session.simple_query(sql, &mut out).await?;                               // out: impl Output
//!   session.parse(..) / bind(..) / describe_statement(..) / execute(..) / close_*(..) / sync(..)
//!   session.status(): TransactionStatus; session.interrupt()
//!
//! Arrow Flight (curia-flight), from any thread:
//!   let remote = RemoteSession::open(&cores, &sessions, login).await?;        // Send; the session itself stays on its core
//!   let prepared = remote.prepare(sql).await?;                                // .schema, .parameters: Option<SchemaRef>
//!   let mut rows = remote.query(handle, parameters).await?;                   // a bounded stream of RecordBatches at one snapshot
//!   let count = remote.update(handle, parameters).await?;
//! ```
//!
//! - [`backends`]: who is connected; cancel and shutdown signals.
//! - [`cores`]: the threads.
//! - [`output`]: what a session says, as a trait.
//! - [`password`]: SCRAM verifiers.
//! - [`settings`]: SET and SHOW, transactional.

pub mod backends;
pub mod cores;
pub mod notice;
pub mod output;
pub mod password;
pub mod settings;

pub use backends::{Backends, Cause, Interrupt};
pub use cores::Cores;
pub use notice::{Notice, Notices, Severity};
pub use output::{CopyInput, Disconnected, Field, Format, Output, Stop};

/// Where a session stands, as ReadyForQuery tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    InTransaction,
    /// In a transaction block that failed: everything but its end is refused (25P02).
    Failed,
}
