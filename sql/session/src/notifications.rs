//! LISTEN, NOTIFY and UNLISTEN.
//!
//! They are transactional: what a transaction says waits in its session's [`Pending`] and takes effect when it has committed; a rollback
//! forgets it. A notification then stands in the queue of every listening session of this server, its own included, and each sends its
//! queue when it is outside a transaction: before ReadyForQuery, or at once when it is idle.
//!
//! ```text
//!   session A   BEGIN; NOTIFY x; COMMIT ──► queue of B ── B is woken ──► NotificationResponse
//!   Pending         [Notify x]     []
//! ```
//!
//! Notifications are neither logged nor sent to other servers of a cluster.

use crate::backends::Backends;
use crate::output::Output;
use crate::session::Session;
use curia_types::{Result, SqlError, SqlState};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest payload in bytes, as in PostgreSQL.
const PAYLOAD_LIMIT: usize = 7_999;
/// Longest channel name in bytes.
const CHANNEL_LIMIT: usize = curia_catalog::lookup::MAX_NAME_BYTES;
/// Channels that one session listens on; one more is refused with 54000.
const LISTEN_LIMIT: usize = 10_000;
/// What one transaction may have pending; one more is refused with 54000.
const PENDING_LIMIT: usize = 100_000;
/// Notifications that wait for one session; a transaction that would add more is refused with 54000 when it commits.
const QUEUE_LIMIT: usize = 100_000;

/// What a client that listens is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Process id of the session that notified.
    pub process: i32,
    /// Channel.
    pub channel: String,
    /// Payload, maybe empty.
    pub payload: String,
}

/// What a transaction will do when it commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Listen(String),
    Unlisten(String),
    UnlistenAll,
    Notify { channel: String, payload: String },
}

/// The actions of the running transaction, in order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    actions: Vec<Action>,
}

impl Pending {
    /// Adds an action; the same notification twice in a transaction is sent once.
    pub(crate) fn add(&mut self, action: Action) -> Result<()> {
        if let Action::Notify { channel, payload } = &action {
            check_channel(channel)?;
            if payload.len() > PAYLOAD_LIMIT {
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "payload string too long"));
            }
        }
        if matches!(action, Action::Notify { .. }) && self.actions.last() == Some(&action) {
            return Ok(());
        }
        if self.actions.len() >= PENDING_LIMIT {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "too many notifications in one transaction",
            ));
        }
        self.actions.push(action);
        Ok(())
    }

    /// Where a savepoint stands.
    pub(crate) fn mark(&self) -> usize {
        self.actions.len()
    }

    /// Forgets what came after a savepoint.
    pub(crate) fn undo_to(&mut self, mark: usize) {
        self.actions.truncate(mark);
    }

    /// The actions of a transaction that committed.
    pub(crate) fn take(&mut self) -> Vec<Action> {
        let mut actions = std::mem::take(&mut self.actions);
        let mut sent = BTreeSet::new();
        actions.retain(|a| match a {
            Action::Notify { channel, payload } => sent.insert((channel.clone(), payload.clone())),
            _ => true,
        });
        actions
    }
}

/// 22023 for a name that no channel has.
fn check_channel(channel: &str) -> Result<()> {
    let message = if channel.is_empty() {
        "channel name cannot be empty"
    } else if channel.len() > CHANNEL_LIMIT {
        "channel name too long"
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

impl Backends {
    /// Whether the queues and channel lists have room for a transaction's actions.
    pub(crate) fn has_room(&self, process: i32, actions: &Pending) -> Result<()> {
        if actions.actions.is_empty() {
            return Ok(());
        }
        let count = |wanted: fn(&Action) -> bool| actions.actions.iter().filter(|a| wanted(a)).count();
        let (listens, notifies) = (
            count(|a| matches!(a, Action::Listen(_))),
            count(|a| matches!(a, Action::Notify { .. })),
        );
        let all = self.all.lock();
        let channels = all.get(&process).map_or(0, |b| b.channels.len());
        let message = if channels + listens > LISTEN_LIMIT {
            "too many channels"
        } else if notifies > 0 && all.values().any(|b| b.queue.len() + notifies > QUEUE_LIMIT) {
            "too many notifications in the NOTIFY queue"
        } else {
            return Ok(());
        };
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
    }

    /// Does what a transaction that committed said.
    pub(crate) fn act(&self, process: i32, actions: Vec<Action>) {
        if actions.is_empty() {
            return;
        }
        let mut all = self.all.lock();
        for action in actions {
            match action {
                Action::Notify { channel, payload } => {
                    let told = Arc::new(Notification { process, channel, payload });
                    for backend in all.values_mut().filter(|b| b.channels.contains(&told.channel)) {
                        backend.queue.push_back(told.clone());
                        backend.interrupt.ring();
                    }
                }
                listening => {
                    let Some(backend) = all.get_mut(&process) else { continue };
                    match listening {
                        Action::Listen(channel) => {
                            backend.channels.insert(channel);
                        }
                        Action::Unlisten(channel) => {
                            backend.channels.remove(&channel);
                        }
                        _ => backend.channels.clear(),
                    }
                }
            }
        }
    }

    /// The channels that a session listens on.
    pub(crate) fn channels(&self, process: i32) -> Vec<String> {
        self.all
            .lock()
            .get(&process)
            .map_or_else(Vec::new, |b| b.channels.iter().cloned().collect())
    }

    /// The oldest notification that waits for a session.
    fn next_notification(&self, process: i32) -> Option<Arc<Notification>> {
        self.all.lock().get_mut(&process)?.queue.pop_front()
    }
}

impl Session {
    /// Sends the notifications that wait for this session, unless a transaction is open.
    pub fn send_notifications(&mut self, out: &mut impl Output) {
        if self.block.is_explicit() || !self.shared.interrupt.take_ring() {
            return;
        }
        while let Some(told) = self.shared.backends.next_notification(self.shared.process) {
            out.notification(&told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(channel: &str, payload: &str) -> Action {
        Action::Notify {
            channel: channel.into(),
            payload: payload.into(),
        }
    }

    #[test]
    fn a_notification_reaches_those_who_listen_and_nobody_else() {
        let all = Backends::new(3, 0);
        let (a, b, c) = (all.register().unwrap(), all.register().unwrap(), all.register().unwrap());
        all.act(a.key.process, vec![Action::Listen("x".into())]);
        all.act(b.key.process, vec![Action::Listen("y".into())]);
        all.act(c.key.process, vec![notify("x", "1"), notify("x", "2")]);
        assert!(a.interrupt.take_ring() && !b.interrupt.take_ring());
        let told = [(); 3].map(|()| all.next_notification(a.key.process).map(|n| (n.process, n.payload.clone())));
        assert_eq!(told, [Some((c.key.process, "1".into())), Some((c.key.process, "2".into())), None]);
        assert_eq!(all.next_notification(b.key.process), None);
    }

    #[test]
    fn a_transaction_sends_the_same_notification_once_and_nothing_from_undone_savepoints() {
        let mut pending = Pending::default();
        pending.add(notify("x", "1")).unwrap();
        pending.add(notify("x", "2")).unwrap();
        pending.add(notify("x", "1")).unwrap();
        let mark = pending.mark();
        pending.add(notify("x", "3")).unwrap();
        pending.undo_to(mark);
        assert_eq!(pending.take(), [notify("x", "1"), notify("x", "2")]);
        assert_eq!(pending.take(), []);
    }

    #[test]
    fn names_and_payloads_have_postgresqls_limits() {
        let mut pending = Pending::default();
        assert!(pending.add(notify("", "")).is_err());
        assert!(pending.add(notify(&"c".repeat(64), "")).is_err());
        assert!(pending.add(notify("c", &"p".repeat(8000))).is_err());
        assert!(pending.add(notify("c", &"p".repeat(7999))).is_ok());
    }
}
