//! The end of a transaction.

use super::{Holdings, Transaction};
use crate::commit;
use crate::orphan::Orphan;
use crate::replication::CommitTicket;
use crate::serial;
use curia_catalog::Change;
use curia_consensus::ids::Csn;
use curia_types::{Result, SqlError};

/// How a commit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The CSN; `None` when nothing was written.
    pub csn: Option<Csn>,
    /// Whether the catalog changed.
    pub catalog_changed: bool,
}

impl Transaction {
    /// Commits: returns once the writes are durable and applied; with nothing written, once what was read is proven. On an error nothing of the
    /// transaction happened, except 08007, which says that nobody knows.
    pub async fn commit(mut self) -> Result<Committed> {
        self.confirm_sequences().await?;
        let txid = self.slot.assigned_txid();
        if !self.has_writes() && txid.is_none() && self.kept.is_none() {
            return self.without_writes().await;
        }
        let catalog = self.catalog();
        let writes = commit::write_set(&mut self, &catalog).await?;
        if writes.fragments.is_empty() {
            return self.without_writes().await; // all that had left memory was undone
        }
        let updated = self.rows_to_hand_over()?;
        let (Some(mut holdings), changes) = (self.holdings.take(), std::mem::take(&mut self.changes)) else {
            return Err(SqlError::internal("a transaction was committed twice"));
        };
        let written = commit::written(&writes, self.buffer.as_deref());
        // The buffer goes before the wait: its rows are in the write set now.
        self.buffer = None;
        let forgotten = commit::dropped_sequences(&changes, &self.db.catalog());
        let db = self.db.clone();
        let read = self.serial.as_ref().map(|s| (&*s.reads, s.registered.snapshot));
        if let Some(txid) = txid {
            db.undecided.lock().insert(txid);
            holdings.undecided = Some(txid);
        }
        let hand_over = || db.replication.commit(writes);
        let ticket = match self.recent.hand_over(read, written, db.replication.applied(), hand_over)? {
            Ok((ticket, recorded)) => {
                holdings.recorded = Some(recorded);
                ticket
            }
            Err(conflict) => {
                self.holdings = Some(holdings); // it goes as it would without a commit
                return Err(serial::failure(&conflict, &catalog, &self.io()));
            }
        };
        self.serial = None;
        holdings.hand_over(updated, &ticket);
        let under_way = UnderWay {
            inner: Some((ticket, changes, holdings)),
        };
        let outcome = under_way.await;
        if outcome.is_err() {
            self.forget_fresh();
        }
        let csn = outcome?;
        forgotten.into_iter().for_each(|s| self.db.tenure.load().sequences.forget(s));
        Ok(csn)
    }

    /// Waits until the sequence values that it has drawn are sure.
    pub(super) async fn confirm_sequences(&self) -> Result<()> {
        if self.slot.sequences.has_unconfirmed() {
            let tickets = self
                .db
                .tenure
                .load()
                .sequences
                .confirm(&*self.db.replication, &self.slot.sequences)?;
            for ticket in tickets {
                ticket.await?;
            }
        }
        Ok(())
    }

    /// What a transaction without writes, or that undid them, has seen is one state: its snapshot, or today's too.
    pub(super) async fn without_writes(&mut self) -> Result<Committed> {
        self.settle().await?;
        self.prove().await?;
        if let Some(serial) = self.serial.as_ref().filter(|s| !s.reads.is_of_snapshot())
            && let Some(conflict) = self.recent.check(&serial.reads, serial.registered.snapshot)?
        {
            return Err(serial::failure(&conflict, &self.db.catalog(), &self.io()));
        }
        Ok(Committed {
            csn: None,
            catalog_changed: false,
        })
    }

    /// Tells a SERIALIZABLE transaction that has written, before it goes on in vain, that what it read has changed: 40001, as its COMMIT
    /// would. After many commits of others only COMMIT looks.
    pub fn check_statement(&self) -> Result<()> {
        match self.has_writes() {
            true => self.check_reads(),
            false => Ok(()),
        }
    }

    pub(crate) fn check_reads(&self) -> Result<()> {
        if let Some(serial) = &self.serial
            && let Some(conflict) = self.recent.foresee(&serial.reads, serial.registered.snapshot)?
        {
            return Err(serial::failure(&conflict, &self.catalog(), &self.io()));
        }
        Ok(())
    }

    /// Rolls back. The same as dropping it.
    pub fn rollback(self) {}

    /// Nobody will ever know the storages that it made.
    fn forget_fresh(&mut self) {
        if !self.fresh.is_empty() {
            let fresh = std::mem::take(&mut self.fresh);
            fresh.iter().for_each(|s| self.db.tenure.load().sequences.forget(*s));
            self.db.forget_row_ids(fresh);
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Locks that are still its own: it was never handed over.
        if self.holdings.is_some() {
            self.forget_fresh();
        }
    }
}

/// A commit that was handed over. Dropped before its end, it becomes an orphan.
struct UnderWay {
    inner: Option<(CommitTicket, Vec<Change>, Holdings)>,
}

impl std::future::Future for UnderWay {
    type Output = Result<Committed>;
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        let Some((ticket, _, _)) = &mut self.inner else {
            return std::task::Poll::Ready(Err(SqlError::internal("a finished commit was awaited again")));
        };
        let outcome = std::task::ready!(std::pin::Pin::new(ticket).poll(cx));
        let Some((_, changes, holdings)) = self.inner.take() else {
            return std::task::Poll::Ready(Err(SqlError::internal("a finished commit was awaited again")));
        };
        let outcome = outcome.map(|csn| {
            holdings.committed(&changes, csn);
            Committed {
                csn: Some(csn),
                catalog_changed: !changes.is_empty(),
            }
        });
        drop(holdings); // only now: who waits for the locks finds the changes published
        std::task::Poll::Ready(outcome)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((ticket, changes, mut holdings)) = self.inner.take() {
            holdings.leave_slot();
            let db = holdings.db.clone();
            let done = move |outcome: &Result<Csn>| {
                if let Ok(csn) = outcome {
                    holdings.committed(&changes, *csn);
                }
            };
            db.orphans.push(Orphan {
                ticket,
                done: Box::new(done),
            });
        }
    }
}
