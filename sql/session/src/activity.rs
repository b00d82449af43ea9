//! What sessions are doing, for `pg_stat_activity`: each notes it where others can look, at the begin and the end of what it is asked.
//!
//! ```text
//!   message ──► active, query ──► ReadyForQuery: idle, idle in transaction, idle in transaction (aborted)
//! ```
//!
//! Who looks pays: the text of a prepared statement is shared, that of a simple query is copied into a buffer that stays, and waits for
//! locks are found in the lock table.

use crate::block::State;
use crate::context::now_micros;
use crate::session::Session;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// `track_activity_query_size`: with the zero byte at its end in PostgreSQL, so that one byte less is shown.
const QUERY_BYTES: usize = 1024;

/// The states, in PostgreSQL's words.
const ACTIVE: &str = "active";
const DISABLED: &str = "disabled";

/// What a session is doing.
#[derive(Default)]
pub(crate) struct Activity {
    now: Mutex<Now>,
    wait: AtomicU8,
}

#[derive(Default)]
struct Now {
    state: &'static str,
    /// The text of a simple query.
    said: String,
    /// The text of a prepared statement, if that is what runs.
    prepared: Option<Arc<str>>,
    times: Times,
}

/// Microseconds since 2000-01-01 UTC, where something has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub transaction: Option<i64>,
    pub query: Option<i64>,
    pub state: Option<i64>,
}

/// What others see of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Empty before the first message.
    pub state: &'static str,
    pub query: String,
    pub times: Times,
    /// `wait_event_type` and `wait_event`, locks left out.
    pub wait: Option<(&'static str, &'static str)>,
}

/// What a session that runs something waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wait {
    /// `pg_sleep`.
    Sleep = 1,
    /// The log.
    Log = 2,
    /// Other servers' logs.
    Replication = 3,
}

/// A wait under way.
pub(crate) struct Waiting<'a>(&'a Activity);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.wait.store(0, Ordering::Relaxed);
    }
}

impl Activity {
    /// Notes a wait until its end.
    pub(crate) fn waits(&self, wait: Wait) -> Waiting<'_> {
        self.wait.store(wait as u8, Ordering::Relaxed);
        Waiting(self)
    }

    fn runs(&self, query: Query<'_>, since: i64, transaction: i64) {
        let mut now = self.now.lock();
        now.prepared = None;
        now.said.clear();
        match query {
            Query::Said(text) => now.said.push_str(clipped(text)),
            Query::Prepared(text) => now.prepared = Some(text.clone()),
        }
        now.state = ACTIVE;
        now.times = Times {
            transaction: Some(transaction),
            query: Some(since),
            state: Some(since),
        };
    }

    fn rests(&self, state: &'static str, transaction: Option<i64>) {
        let mut now = self.now.lock();
        now.state = state;
        now.times.state = Some(now_micros());
        now.times.transaction = transaction;
    }

    /// `track_activities` is off.
    fn disable(&self) {
        let mut now = self.now.lock();
        if now.state != DISABLED {
            *now = Now {
                state: DISABLED,
                ..Now::default()
            };
        }
    }

    /// What it is doing now.
    pub(crate) fn seen(&self) -> Seen {
        let now = self.now.lock();
        let wait = match self.wait.load(Ordering::Relaxed) {
            _ if !matches!(now.state, ACTIVE | DISABLED) => Some(("Client", "ClientRead")),
            w if w == Wait::Sleep as u8 => Some(("Timeout", "PgSleep")),
            w if w == Wait::Log as u8 => Some(("IO", "WALSync")),
            w if w == Wait::Replication as u8 => Some(("IPC", "SyncRep")),
            _ => None,
        };
        Seen {
            state: now.state,
            query: clipped(now.prepared.as_deref().unwrap_or(&now.said)).to_owned(),
            times: now.times,
            wait,
        }
    }
}

/// A text that runs.
pub(crate) enum Query<'a> {
    /// Of a message.
    Said(&'a str),
    /// Of a prepared statement.
    Prepared(&'a Arc<str>),
}

/// What is shown of a text.
fn clipped(text: &str) -> &str {
    match text.len() < QUERY_BYTES {
        true => text,
        false => &text[..text.floor_char_boundary(QUERY_BYTES - 1)],
    }
}

impl Session {
    /// Notes that something begins to run. To be called when its clock has started.
    pub(crate) fn note_query(&self, query: Query<'_>) {
        let activity = &self.shared.activity;
        match self.environment.track_activities {
            true => activity.runs(query, self.statement_start, self.transaction_start()),
            false => activity.disable(),
        }
    }

    /// Notes that everything is answered. To be called before ReadyForQuery.
    pub fn note_rest(&self) {
        let activity = &self.shared.activity;
        if !self.environment.track_activities {
            return activity.disable();
        }
        let (state, transaction) = match self.block.state {
            State::Idle | State::Implicit => ("idle", None),
            State::Explicit => ("idle in transaction", Some(self.block.started)),
            State::Failed => ("idle in transaction (aborted)", Some(self.block.started)),
        };
        activity.rests(state, transaction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let activity = Activity::default();
        let long: Arc<str> = "é".repeat(600).into();
        for query in [Query::Said(&long), Query::Prepared(&long)] {
            activity.runs(query, 1, 1);
            assert_eq!(activity.seen().query, "é".repeat(511));
        }
        activity.runs(Query::Said("SELECT 1"), 2, 1);
        assert_eq!(activity.seen().query, "SELECT 1");
    }

    #[test]
    fn a_wait_is_seen_while_it_lasts_and_a_client_is_awaited_after_it() {
        let activity = Activity::default();
        activity.runs(Query::Said("SELECT pg_sleep(1)"), 1, 1);
        assert_eq!(activity.seen().wait, None);
        let waiting = activity.waits(Wait::Sleep);
        assert_eq!(activity.seen().wait, Some(("Timeout", "PgSleep")));
        drop(waiting);
        assert_eq!(activity.seen().wait, None);
        activity.rests("idle", None);
        assert_eq!(activity.seen().wait, Some(("Client", "ClientRead")));
    }

    #[test]
    fn what_is_not_tracked_is_forgotten() {
        let activity = Activity::default();
        activity.runs(Query::Said("SELECT 1"), 1, 1);
        activity.disable();
        let seen = activity.seen();
        assert_eq!((seen.state, &*seen.query, seen.times), ("disabled", "", Times::default()));
    }
}
