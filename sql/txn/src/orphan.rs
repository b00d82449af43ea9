//! Commits whose sessions went away before they learned the outcome. The commit goes on regardless; its catalog changes are to be
//! published and its locks released when it is done, so both move here.

use crate::database::Database;
use crate::replication::CommitTicket;
use curia_consensus::ids::Csn;
use curia_types::{Result, SqlError};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::Notify;

/// One for each session that left in the middle of a commit; there are no more of them than sessions.
#[derive(Default)]
pub(crate) struct Orphans {
    waiting: Mutex<VecDeque<Orphan>>,
    arrived: Notify,
}

pub(crate) struct Orphan {
    pub(crate) ticket: CommitTicket,
    pub(crate) done: Done,
}

/// What is to happen when the outcome is known.
pub(crate) type Done = Box<dyn FnOnce(&Result<Csn>) + Send>;

impl Orphans {
    pub(crate) fn push(&self, orphan: Orphan) {
        self.waiting.lock().push_back(orphan);
        self.arrived.notify_one();
    }

    pub(crate) async fn next(&self) -> Orphan {
        loop {
            if let Some(orphan) = self.waiting.lock().pop_front() {
                return orphan;
            }
            self.arrived.notified().await;
        }
    }
}

impl Orphan {
    pub(crate) async fn finish(self) {
        let outcome = self.ticket.await;
        (self.done)(&outcome);
    }
}

/// A commit under way that does something at its end, also when nobody waits for it any longer.
pub(crate) struct UnderWay {
    db: Arc<Database>,
    inner: Option<(CommitTicket, Done)>,
}

impl UnderWay {
    pub(crate) fn new(db: Arc<Database>, ticket: CommitTicket, done: impl FnOnce(&Result<Csn>) + Send + 'static) -> UnderWay {
        UnderWay {
            db,
            inner: Some((ticket, Box::new(done))),
        }
    }
}

impl Future for UnderWay {
    type Output = Result<Csn>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((ticket, _)) = &mut self.inner else {
            return Poll::Ready(Err(SqlError::internal("a finished commit was awaited again")));
        };
        let outcome = ready!(Pin::new(ticket).poll(cx));
        if let Some((_, done)) = self.inner.take() {
            done(&outcome);
        }
        Poll::Ready(outcome)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((ticket, done)) = self.inner.take() {
            self.db.orphans.push(Orphan { ticket, done });
        }
    }
}
