//! Messages that are not errors: NOTICE, WARNING and their kin.

use curia_types::SqlState;
use parking_lot::Mutex;

/// Severity, lowest first, as `client_min_messages` orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // PostgreSQL's own words
pub enum Severity {
    Debug,
    Log,
    Notice,
    Warning,
    /// Sent whatever `client_min_messages` says.
    Info,
}

impl Severity {
    /// As the S and V fields spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Debug => "DEBUG",
            Severity::Log => "LOG",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
        }
    }
}

/// One message to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Severity.
    pub severity: Severity,
    /// SQLSTATE.
    pub code: SqlState,
    /// Primary message.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
}

impl Notice {
    /// A NOTICE with state 00000.
    pub fn plain(message: impl Into<String>) -> Notice {
        Notice {
            severity: Severity::Notice,
            code: SqlState::SUCCESSFUL_COMPLETION,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }
    /// A WARNING.
    pub fn warning(code: SqlState, message: impl Into<String>) -> Notice {
        Notice {
            severity: Severity::Warning,
            code,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }
}

/// Notices raised by code that has no [`crate::Output`] at hand (functions, DDL). The session sends them before the statement completes.
/// Holds at most [`Notices::LIMIT`]; later ones are dropped.
#[derive(Default)]
pub struct Notices(Mutex<Vec<Notice>>);

impl Notices {
    /// Most notices kept for one statement.
    pub const LIMIT: usize = 1000;

    /// Adds one.
    pub fn push(&self, notice: Notice) {
        let mut all = self.0.lock();
        if all.len() < Notices::LIMIT {
            all.push(notice);
        }
    }
    /// Takes all of them in order.
    pub fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.0.lock())
    }
}
