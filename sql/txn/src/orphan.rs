//! Commits whose sessions went away before they learned the outcome. The commit goes on regardless; its catalog changes are to be
//! published and its locks released when it is done, so both move here.

use crate::replication::CommitTicket;
use crate::transaction::Holdings;
use curia_catalog::Change;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// One for each session that left in the middle of a commit; there are no more of them than sessions.
#[derive(Default)]
pub(crate) struct Orphans {
    waiting: Mutex<VecDeque<Orphan>>,
    arrived: Notify,
}

pub(crate) struct Orphan {
    pub(crate) ticket: CommitTicket,
    pub(crate) changes: Vec<Change>,
    pub(crate) holdings: Holdings,
}

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
        let Orphan { ticket, changes, holdings } = self;
        if let Ok(csn) = ticket.await {
            holdings.committed(&changes, csn);
        }
        drop(holdings);
    }
}
