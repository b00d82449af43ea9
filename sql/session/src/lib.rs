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
//!   let prepared = remote.prepare(sql).await?;                                // .id, .fields, .parameters
//!   let rows = remote.query(prepared.id, parameters).await?;                  // .schema, .batches: bounded, at one snapshot
//!   let count = remote.update(prepared.id, parameters).await?;
//!   let count = remote.copy_in("COPY t FROM STDIN", pieces).await?;
//!   remote.run("BEGIN").await?;
//! ```
//!
//! - [`session`]: [`Session`] and the simple protocol; `extended`: Parse, Bind, Execute; `block`: BEGIN to COMMIT; `utility`,
//!   `definitions`: statements that are no queries; `portal`: rows on their way; [`copy`]: COPY.
//! - `planning`, [`plan_cache`], [`literal`]: from text to a plan, once.
//! - [`context`], `names`, `environment`: what functions and the binder see of the session.
//! - [`reading`]: how fresh it reads, and where; `as_of`: reading the past.
//! - [`carried`], `moving`: what a session takes along when another server becomes consul.
//! - `temporary`: what becomes of temporary relations.
//! - [`settings`]: SET and SHOW, transactional. [`password`]: SCRAM verifiers.
//! - [`sessions`]: opening one. [`backends`]: who is connected; cancel and shutdown; `activity`: what they do. [`cores`]: the threads. [`remote`]: a session for other
//!   threads. [`output`], [`notice`]: what a session says. `wait`: waiting that can be cancelled.

mod activity;
mod advisory;
mod again;
mod as_of;
pub mod backends;
mod block;
pub mod carried;
mod cluster_views;
mod concurrent_index;
pub mod constraints;
mod context;
pub mod copy;
pub mod cores;
mod cursor;
mod definitions;
mod environment;
mod extended;
pub mod identity;
mod keyed;
mod literal;
mod moving;
mod names;
pub mod notice;
pub mod notifications;
mod objects;
pub mod output;
pub mod password;
pub mod plan_cache;
mod planning;
mod portal;
mod prepared;
pub mod reading;
pub mod remote;
pub mod session;
pub mod sessions;
pub mod settings;
mod signatures;
mod temporary;
mod utility;
mod views;
mod wait;

pub use backends::{Backends, Cause, Interrupt, Key, Registration};
pub use carried::Carried;
pub use cluster_views::ClusterViews;
pub use cores::Cores;
pub use curia_execute::ViewRows;
pub use notice::{Notice, Notices, Severity};
pub use notifications::Notification;
pub use output::{CopyInput, Disconnected, Field, Format, Output, Place, Stop};
pub use reading::{ReadLevel, only_reads};
pub use remote::{CopyPiece, RemotePrepared, RemoteRows, RemoteSession};
pub use session::{IDLE_SESSION_TIMEOUT, Session};
pub use sessions::{Authentication, Login, Peer, Sessions, SessionsConfig};

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
