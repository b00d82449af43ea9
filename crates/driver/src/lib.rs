//! The driver: the one thread that owns a server's consensus node, its log and the writing side of its state.
//!
//! ```text
//!   sessions, one runtime per core                      the driver thread
//!   ┌──────────────────────────┐   bounded queue   ┌──────────────────────────────────────────────┐
//!   │ commit(WriteSet) ─► ticket├──────────────────►│ Node ─► LogStore (one write, one sync a batch)│
//!   │ reads at applied() ◄──────┼── applied CSN ────┤      ─► StateStore (one atomic write a batch) │
//!   └──────────────────────────┘                   └──────────────────────────────────────────────┘
//! ```
//!
//! [`Driver`] implements [`curia_txn::Replication`], which is all that `sql` knows of it.
//!
//! What holds:
//!
//! * A ticket resolves with a CSN only when the transaction is on disk, applied, and at or below the published CSN.
//! * A request that is refused (53100 no space, 57P01, 40001) has not happened. One whose ticket is dropped by a stopping
//!   driver has an unknown outcome (08007), which the log decides at the next start.
//! * Requests get their CSNs in the order in which they were handed over.
//! * A failed sync, a damaged log or a broken invariant stops the thread: nothing more is acknowledged, and
//!   [`Driver::failure`] tells why, so that the process can say it and exit. Only a restart finds out what the disk has.
//! * The log is truncated only after the state was made durable past it, and its size between truncations is limited, so
//!   a restart replays a limited number of bytes.

mod apply;
mod done;
mod duties;
mod engine;
mod failure;
mod handle;
mod heard;
mod log_side;
mod measure;
mod membership;
mod options;
mod peers;
mod proofs;
pub mod recover;
mod request;
mod serving;
mod standing;
mod start;
mod truncation;

pub use failure::DriverError;
pub use handle::{Driver, Mailbox, Status};
pub use heard::Heard;
pub use options::{DriverOptions, Founding};
pub use peers::{NoPeers, Peers};
pub use standing::{Examined, Inauguration, Standing};
pub use start::Stores;
