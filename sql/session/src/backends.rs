//! The sessions that are connected, so that one can be cancelled or ended from outside.

use crate::notifications::Notification;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use tokio::sync::Notify;

/// Why a session should stop what it does. Each is a bit of its own: a cancel does not hide a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// CancelRequest, `pg_cancel_backend`: the running statement fails.
    Cancel = 1,
    /// The server is going down: the session ends as soon as it is outside a transaction.
    Drain = 2,
    /// `pg_terminate_backend`, or the end of the drain's time limit: the statement fails and the session ends.
    Terminate = 4,
}

/// Bit beside those of [`Cause`]: notifications wait for the session.
const RUNG: u8 = 8;

/// The stop signal of one session: set from any thread, seen by its statement at every wait and every batch of rows.
#[derive(Debug, Default)]
pub struct Interrupt {
    pending: AtomicU8,
    wake: Notify,
}

impl Interrupt {
    /// Asks the session to stop.
    pub fn raise(&self, cause: Cause) {
        self.pending.fetch_or(cause as u8, Ordering::AcqRel);
        self.wake.notify_one();
    }

    fn has(&self, cause: Cause) -> bool {
        self.pending.load(Ordering::Acquire) & cause as u8 != 0
    }

    /// Forgets a cancel that came while nothing ran.
    pub fn clear_cancel(&self) {
        self.pending.fetch_and(!(Cause::Cancel as u8), Ordering::AcqRel);
    }

    /// Whether the session should end now that it is idle.
    pub fn should_end(&self, in_transaction: bool) -> bool {
        self.has(Cause::Terminate) || (!in_transaction && self.has(Cause::Drain))
    }

    /// Tells the session that notifications wait for it.
    pub fn ring(&self) {
        self.pending.fetch_or(RUNG, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Whether it was told so since the last question.
    pub fn take_ring(&self) -> bool {
        self.pending.fetch_and(!RUNG, Ordering::AcqRel) & RUNG != 0
    }

    /// Waits until an idle session should end (true) or has notifications to send (false; never inside a transaction).
    pub async fn called(&self, in_transaction: bool) -> bool {
        loop {
            if self.should_end(in_transaction) {
                return true;
            }
            if !in_transaction && self.pending.load(Ordering::Acquire) & RUNG != 0 {
                return false;
            }
            self.wake.notified().await;
        }
    }

    /// Waits until an idle session should end.
    pub async fn ended(&self, in_transaction: bool) {
        while !self.should_end(in_transaction) {
            self.wake.notified().await;
        }
    }

    /// Waits until a running statement should stop.
    pub async fn stopped(&self) -> SqlError {
        loop {
            if let Err(e) = self.check() {
                return e;
            }
            self.wake.notified().await;
        }
    }

    /// 57014 or 57P01 when a running statement should stop.
    pub fn check(&self) -> Result<()> {
        // One load on the path of every row batch.
        match self.pending.load(Ordering::Acquire) & (Cause::Cancel as u8 | Cause::Terminate as u8) {
            0 => Ok(()),
            bits if bits & Cause::Terminate as u8 != 0 => Err(terminated()),
            _ => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        }
    }
}

/// 57P01 in PostgreSQL's words.
pub fn terminated() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// One connected session.
pub(crate) struct Backend {
    secret: i32,
    pub(crate) interrupt: Arc<Interrupt>,
    /// Channels that it listens on.
    pub(crate) channels: BTreeSet<String>,
    /// Notifications that wait for it.
    pub(crate) queue: VecDeque<Arc<Notification>>,
}

/// All connected sessions by process id. Holds at most `limit`.
pub struct Backends {
    pub(crate) all: Mutex<HashMap<i32, Backend>>,
    limit: usize,
    next: AtomicI32,
}

/// A session's place among the connected ones, given back when dropped.
pub struct Registration {
    backends: Arc<Backends>,
    /// What `pg_backend_pid` and BackendKeyData say. A number of ours, not of the operating system.
    pub process: i32,
    /// BackendKeyData's key.
    pub secret: i32,
    /// The session's stop signal.
    pub interrupt: Arc<Interrupt>,
}

impl Backends {
    /// An empty registry for at most `limit` sessions.
    pub fn new(limit: usize) -> Arc<Backends> {
        Arc::new(Backends {
            all: Mutex::new(HashMap::new()),
            limit,
            next: AtomicI32::new(1),
        })
    }

    /// Takes a place, or 53300.
    pub fn register(self: &Arc<Self>) -> Result<Registration> {
        let mut all = self.all.lock();
        if all.len() >= self.limit {
            return Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"));
        }
        let process = loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed) & i32::MAX;
            if n > 0 && !all.contains_key(&n) {
                break n;
            }
        };
        // From a cryptographic generator: whoever guesses it can cancel the session's statements.
        let secret: i32 = rand::random();
        let interrupt = Arc::new(Interrupt::default());
        all.insert(
            process,
            Backend {
                secret,
                interrupt: interrupt.clone(),
                channels: BTreeSet::new(),
                queue: VecDeque::new(),
            },
        );
        Ok(Registration {
            backends: self.clone(),
            process,
            secret,
            interrupt,
        })
    }

    /// CancelRequest: does nothing when the key is not the session's.
    pub fn cancel(&self, process: i32, secret: i32) -> bool {
        match self.all.lock().get(&process) {
            Some(b) if b.secret == secret => {
                b.interrupt.raise(Cause::Cancel);
                true
            }
            _ => false,
        }
    }

    /// `pg_cancel_backend` and `pg_terminate_backend`: false when there is no such session.
    pub fn raise(&self, process: i32, cause: Cause) -> bool {
        self.all.lock().get(&process).map(|b| b.interrupt.raise(cause)).is_some()
    }

    /// Asks every session to end.
    pub fn raise_all(&self, cause: Cause) {
        for b in self.all.lock().values() {
            b.interrupt.raise(cause);
        }
    }

    /// Process ids of the connected sessions.
    pub fn processes(&self) -> Vec<i32> {
        let mut all: Vec<i32> = self.all.lock().keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Whether none is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.backends.all.lock().remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_needs_the_sessions_key() {
        let all = Backends::new(10);
        let one = all.register().unwrap();
        assert!(!all.cancel(one.process, one.secret.wrapping_add(1)));
        assert!(one.interrupt.check().is_ok());
        assert!(all.cancel(one.process, one.secret));
        assert_eq!(one.interrupt.check().unwrap_err().code(), SqlState::QUERY_CANCELED);
        one.interrupt.clear_cancel();
        assert!(one.interrupt.check().is_ok());
    }

    #[test]
    fn the_limit_counts_connected_sessions_only() {
        let all = Backends::new(1);
        let one = all.register().unwrap();
        assert_eq!(all.register().err().unwrap().code(), SqlState::TOO_MANY_CONNECTIONS);
        drop(one);
        assert!(all.register().is_ok());
    }
}
