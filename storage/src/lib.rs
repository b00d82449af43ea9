//! Everything that Curia keeps on a disk, byte by byte (`docs/formats.md`).
//!
//! ```text
//!   statements ──► key, row ──► fragment ──► consensus ──► log ──fsync──► resolved ──► state
//!                  (codecs)     (a write set)              (segments)                  (RocksDB, MVCC)
//! ```
//!
//! - [`file`]: the file layer. The log writes through it, so that a test can lose whatever wasn't synced.
//! - [`log`]: one append-only sequence of records for the senate and all worker groups of a server.
//! - [`state`]: what the logs add up to: every version of every row, by commit sequence number.
//! - [`key`] and [`row`]: values as order-preserving bytes, and rows as bytes whose columns decode one by one.
//! - [`fragment`]: a transaction's writes to one worker group, as the log carries them.
//!
//! **Durability in one paragraph.** A commit is durable when its records are in the log and the log is synced. The state
//! store has no log of its own: what its memory tables hold is lost with the process, and replaying the log from the
//! *flushed* position of each group restores it. The log is truncated no further than that.
//!
//! Decoders here take bytes from a disk: they never panic on them, whatever they are.

pub mod error;
pub mod file;
pub mod fragment;
pub mod key;
pub mod log;
pub mod row;
pub mod state;

pub use error::{Result, StorageError};
pub use state::StateStore;
