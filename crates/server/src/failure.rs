//! [`Failure`]: why the server did not start or did not stay up, as one clear line and an exit code.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | stopped as asked (SIGTERM, SIGINT) |
//! | 1 | something unexpected; the line says what |
//! | 2 | the command line, the configuration file or the environment is wrong |
//! | 3 | an address cannot be listened on, because its port is taken for example |
//! | 4 | the data folder cannot be used: not writable, or in use by another server |
//! | 5 | the data folder is not Curia's, or of another format version |
//! | 6 | refused to listen beyond loopback without a password and TLS |
//! | 7 | data is damaged; the start is refused rather than lose it silently |
//! | 8 | the disk failed under the running server |
//! | 9 | a server that was asked refused, or did not answer |

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// See the module page for the codes.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing more specific fits.
    #[error("{0}")]
    Unexpected(String),
    /// Options that contradict each other or cannot be read.
    #[error("configuration: {0}")]
    Configuration(String),
    /// `bind` failed.
    #[error("cannot listen on {address} for {purpose}: {source}")]
    Listen {
        /// What the port is for.
        purpose: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The data folder cannot be created, read or written.
    #[error("data folder {}: {doing}: {source}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process holds the folder.
    #[error("data folder {} is in use by another server{}", folder.display(), owner(*pid))]
    InUse {
        /// Which.
        folder: PathBuf,
        /// The other process, if its lock file says so.
        pid: Option<u32>,
    },
    /// The folder holds something that this program must not touch.
    #[error("data folder {}: {reason}", folder.display())]
    Foreign {
        /// Which.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The exposure rule.
    #[error("refusing to listen beyond loopback on {address}: {reason} (--insecure overrides)")]
    Exposed {
        /// The first offending address.
        address: SocketAddr,
        /// What is missing.
        reason: &'static str,
    },
    /// Recovery refused.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// What a server said, or that it said nothing.
    #[error("{0}")]
    Asked(String),
    /// A write or an fsync failed for good.
    #[error("the disk failed: {0}")]
    Disk(String),
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Unexpected(_) => 1,
            Failure::Configuration(_) => 2,
            Failure::Listen { .. } => 3,
            Failure::Folder { .. } | Failure::InUse { .. } => 4,
            Failure::Foreign { .. } => 5,
            Failure::Exposed { .. } => 6,
            Failure::Damaged(_) => 7,
            Failure::Disk(_) => 8,
            Failure::Asked(_) => 9,
        })
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
