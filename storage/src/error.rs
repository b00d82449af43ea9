//! What can go wrong between here and the disk.

use std::io;
use std::path::{Path, PathBuf};

use curia_types::{SqlError, SqlState};

/// A result of this crate.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk is full. Nothing was changed, and the same call may succeed once there is room.
    #[error("no space left on the disk that holds {}", path.display())]
    NoSpace {
        /// The file or folder that could not grow.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "sync".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Bytes that were durable are not what they were.
    #[error("damaged data in {} at offset {offset}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// Bytes handed to a decoder are not of its format.
    #[error("{what} cannot be decoded: {detail}")]
    Format {
        /// What was expected: "row", "key", "fragment".
        what: &'static str,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A value is not of its column's type: a fault of the caller.
    #[error("{0}")]
    Value(String),
    /// A value is larger than what can be stored.
    #[error("{0}")]
    Limit(String),
    /// A value cannot be converted; the client sees this error as it is.
    #[error("{0}")]
    Conversion(SqlError),
    /// Values of a type that cannot be stored, or cannot be part of a key.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// An earlier sync failed: what reached the disk is not known, and only a restart finds out.
    #[error("the log refuses to write since a sync of it failed")]
    Poisoned,
    /// The records asked for are no longer, or not yet, in the log.
    #[error("the log has no entry {index} of log {log}")]
    NoEntry {
        /// The log's number on disk.
        log: u32,
        /// The index.
        index: u64,
    },
    /// Another process uses the folder.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// RocksDB failed.
    #[error("state store: {0}")]
    State(String),
}

impl StorageError {
    /// Wraps what the operating system said, telling a full disk from the rest.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> StorageError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::NoSpace { path: path.to_owned() },
            io::ErrorKind::WouldBlock if action == "lock" => StorageError::Locked { path: path.to_owned() },
            _ => StorageError::Io {
                action,
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Whether the same call may succeed once the disk has room.
    pub fn is_no_space(&self) -> bool {
        matches!(self, StorageError::NoSpace { .. })
    }

    pub(crate) fn format(what: &'static str, detail: &'static str) -> StorageError {
        StorageError::Format { what, detail }
    }
}

impl From<rocksdb::Error> for StorageError {
    fn from(error: rocksdb::Error) -> StorageError {
        let text = error.into_string();
        // RocksDB's C interface keeps only the text of a status.
        if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
            return StorageError::NoSpace {
                path: PathBuf::from("state"),
            };
        }
        StorageError::State(text)
    }
}

impl From<StorageError> for SqlError {
    fn from(error: StorageError) -> SqlError {
        let state = match &error {
            StorageError::Conversion(error) => return error.clone(),
            StorageError::NoSpace { .. } => SqlState::new("53100"),
            StorageError::Io { .. } | StorageError::Poisoned | StorageError::Locked { .. } => SqlState::new("58030"),
            StorageError::Damaged { .. } | StorageError::Format { .. } => SqlState::new("XX001"),
            StorageError::Unsupported(_) => SqlState::FEATURE_NOT_SUPPORTED,
            StorageError::Limit(_) => SqlState::new("54000"),
            StorageError::Value(_) | StorageError::NoEntry { .. } | StorageError::State(_) => SqlState::new("XX000"),
        };
        SqlError::new(state, error.to_string())
    }
}
