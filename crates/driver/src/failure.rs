//! Why a driver can't start, or had to stop.

use std::fmt;

use curia_consensus::RestoreError;
use curia_consensus::ids::Csn;
use curia_storage::StorageError;

/// The driver can't go on. Nothing acknowledged is lost; what was under way has an unknown outcome until a restart.
#[derive(Debug)]
pub enum DriverError {
    /// The log store or the state store failed for good: a failed sync, a damaged record.
    Storage(StorageError),
    /// What is stored doesn't fit together.
    Restore(RestoreError),
    /// The options found no cluster: no groups.
    Founding,
    /// The operating system gave no thread.
    Thread(std::io::Error),
    /// A rule that must hold inside was broken; the message says which. Going on would spread the damage.
    Invariant(String),
    /// The log lost what this server last promised: it can't take part again under this identity.
    PromiseLost,
    /// Snapshots brought some groups up to the second place and not all of them: no state of the database is whole here beyond the first.
    Partial(Csn, Csn),
    /// It was told to stop while it waited for room on a full disk.
    Stopped,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::Storage(error) => error.fmt(f),
            DriverError::Restore(error) => error.fmt(f),
            DriverError::Founding => f.write_str("a cluster needs at least one worker group"),
            DriverError::Thread(error) => write!(f, "cannot start the driver thread: {error}"),
            DriverError::Invariant(rule) => write!(f, "broken invariant: {rule}"),
            DriverError::PromiseLost => f.write_str(
                "the log lacks what this server last promised to the others: remove the server and add it anew, under another id",
            ),
            DriverError::Partial(applied, ahead) => write!(
                f,
                "the server was being brought up by snapshots when it stopped: some groups are at CSN {ahead}, others at {applied}, and what lies between is \
                 not whole; go on from another server"
            ),
            DriverError::Stopped => f.write_str("stopped while the disk was full: a restart decides about the last transactions"),
        }
    }
}

impl std::error::Error for DriverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DriverError::Storage(error) => Some(error),
            DriverError::Restore(error) => Some(error),
            DriverError::Thread(error) => Some(error),
            DriverError::Founding
            | DriverError::Invariant(_)
            | DriverError::PromiseLost
            | DriverError::Partial(..)
            | DriverError::Stopped => None,
        }
    }
}

impl From<StorageError> for DriverError {
    fn from(error: StorageError) -> Self {
        DriverError::Storage(error)
    }
}

impl From<RestoreError> for DriverError {
    fn from(error: RestoreError) -> Self {
        DriverError::Restore(error)
    }
}
