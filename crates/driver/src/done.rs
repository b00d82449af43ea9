//! What the threads beside the driver report to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use curia_consensus::ids::{Csn, GroupId, PersistSeq};
use curia_consensus::{Entry, Missing, SnapshotPiece};
use curia_storage::StorageError;

/// Something is done.
pub(crate) enum Done {
    /// All batches up to this one are durable.
    Persisted(PersistSeq),
    /// The log's disk is full; the thread tries again.
    LogFull,
    /// The log can't go on.
    LogFailed(StorageError),
    /// The log begins where it was to begin, or could not.
    Truncated(bool),
    /// The state is durable, or why not.
    Flushed(Result<(), StorageError>),
    /// Entries for another server.
    LogRead(u64, Result<Vec<Entry>, Missing>),
    /// A piece of a snapshot for another server.
    SnapshotRead(u64, Result<SnapshotPiece, Missing>),
    /// A group's snapshot is in the state, or why not.
    Installed(GroupId, Csn, Result<(), StorageError>),
}

/// Does the work of a thread beside, and reports a panic as what kept it from its end.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    // What the work touched is not used any more, except to stop.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(StorageError::State("a thread beside the driver panicked".into())))
}

/// So many reports wait; who has another one waits, too.
pub(crate) const DONE_MAX: usize = 4096;
