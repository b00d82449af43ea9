//! [`Replication`]: what `sql` sees of the cluster. `curia-driver` implements it over the consensus node; tests implement it by applying
//! directly.
//!
//! ```text
//!   session thread                    driver thread
//!   commit(WriteSet) ──channel──▶ CSN, append, fsync, resolve, apply, publish applied CSN ──one wake a core──▶ CommitTicket
//! ```

use bytes::Bytes;
use curia_consensus::ReadLevel;
use curia_consensus::ids::{Csn, GroupId, Index, Term};
use curia_storage::state::StateStore;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The cluster, as transactions see it on the consul.
pub trait Replication: Send + Sync + 'static {
    /// The applied CSN: every transaction up to it can be read in [`Replication::state`], none after it will change what is read there.
    /// Grows; costs one atomic load.
    fn applied(&self) -> Csn;

    /// The replicated state.
    fn state(&self) -> &Arc<StateStore>;

    /// The term that this server serves as consul, zero while it doesn't: everything that was committed before it is applied. One atomic
    /// load. Writes of another term are refused with 40001.
    fn office(&self) -> Term {
        Term(1) // an implementation without other servers serves always
    }

    /// Whether there is no other server.
    fn is_alone(&self) -> bool {
        true
    }

    /// Proof that this server, consul of `term`, was in office at some time after this call, so that nothing was acknowledged elsewhere
    /// before it: what was read here in that term may be answered. `None` when that is sure already, which costs two atomic loads; those
    /// who wait at the same time wait for the same proof.
    fn prove_office(&self, term: Term) -> Option<ProofTicket> {
        (self.office() != term).then(|| ProofTicket::settled(Err(office_lost())))
    }

    /// Waits until this server may read at this level, whatever its office; reads at the applied CSN then are as fresh as the level says.
    fn reach(&self, level: ReadLevel) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        match level {
            ReadLevel::Session(csn) | ReadLevel::AsOf(csn) => self.wait_applied(csn),
            ReadLevel::Strict | ReadLevel::Bounded(_) => Box::pin(std::future::ready(Ok(()))),
        }
    }

    /// Whether the state is one prefix of the commit order. It isn't while groups' snapshots are being installed.
    fn readable(&self) -> bool {
        true
    }

    /// A CSN at or above the newest applied transaction that changed the catalog, and at or below the applied CSN.
    fn catalog_changed(&self) -> Csn {
        self.applied()
    }

    /// Why a server that isn't consul runs no transactions; says who is, if that is known.
    fn refusal(&self) -> SqlError {
        SqlError::new(SqlState::CANNOT_CONNECT_NOW, "this server is not the consul")
    }

    /// Number of worker groups; ids are `0..groups()`. Group 0 owns the catalog.
    fn groups(&self) -> u32;

    /// Hands a write set over to be committed, without waiting. Of two calls that happen one after the other (on one thread, or ordered
    /// by other synchronisation) the first gets the lower CSN: sequences rely on this. The ticket resolves once the CSN is applied and
    /// published by [`Replication::applied`], or with the error that kept it from committing (53100 no space, 57P01 shutting down).
    /// The number of sets under way is bounded: above it the ticket just resolves later.
    ///
    /// A set fails, and nothing of it happens, when one of [`WriteSet::after`] has failed; their tickets say so before it is looked at.
    fn commit(&self, writes: WriteSet) -> CommitTicket;

    /// Hands a piece of a large write set over to be logged ahead of its fragment, without waiting. `payload` is an encoded fragment.
    fn stage(&self, group: GroupId, payload: Bytes) -> StageTicket;

    /// Gives up stage records that no commit will name, without waiting. Until then the log cannot be truncated past them: whoever
    /// rolls a large transaction back calls this.
    fn discard(&self, group: GroupId, stages: Vec<StageRef>) {
        let _ = (group, stages); // an implementation that keeps no log has nothing to give up
    }

    /// Resolves when [`Replication::applied`] has reached `csn`.
    fn wait_applied(&self, csn: Csn) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;
}

/// The writes of one transaction: at least one fragment.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    /// The term of the consul in which the transaction began to count on its locks. In another one it fails with 40001. `None` for
    /// what counts on nothing.
    pub begun: Option<Term>,
    /// Commits handed over before this one whose writes it builds on. Where one of them failed, so does this one, with 40001.
    pub after: Vec<CommitTicket>,
    /// One fragment for each participant group, ascending by group, no group twice.
    pub fragments: Vec<FragmentWrites>,
}

/// One group's part of a [`WriteSet`].
#[derive(Clone, Debug)]
pub struct FragmentWrites {
    /// The group.
    pub group: GroupId,
    /// Stage records of this group, ascending by index; their writes come before those of `payload`, a later write of a key wins.
    pub stages: Vec<StageRef>,
    /// Writes, encoded by `curia_storage::fragment`; may hold none when there are stages.
    pub payload: Bytes,
}

/// Where a stage record stands in its group's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageRef {
    /// Index in the group's log.
    pub index: Index,
    /// The term that wrote it. A commit in a later term fails with 40001: the stage may be gone.
    pub term: Term,
}

/// Resolves to a committed and applied CSN. Clones wait for the same commit.
#[derive(Clone, Debug)]
pub struct CommitTicket(Arc<Mutex<UnderWay>>);

/// The driver's end of a [`CommitTicket`]. Dropped without an answer it says that the outcome is unknown.
#[derive(Debug)]
pub struct CommitSender(CommitTicket);

/// A commit and those who wait for it.
#[derive(Debug, Default)]
struct UnderWay {
    outcome: Option<Result<Csn>>,
    waiting: Vec<Waker>,
}

/// Resolves to the place of a stage record that is in the log.
#[derive(Debug)]
pub struct StageTicket(oneshot::Receiver<Result<StageRef>>);

/// Resolves once the office is proven, or can't be.
#[derive(Debug)]
pub struct ProofTicket(oneshot::Receiver<Result<()>>);

/// The driver's end of a [`ProofTicket`].
pub type ProofSender = oneshot::Sender<Result<()>>;

impl ProofTicket {
    /// Both ends of a question.
    pub fn pair() -> (ProofSender, ProofTicket) {
        let (tx, rx) = oneshot::channel();
        (tx, ProofTicket(rx))
    }

    /// One that is answered.
    pub fn settled(answer: Result<()>) -> ProofTicket {
        let (tx, ticket) = ProofTicket::pair();
        let _ = tx.send(answer); // the other end is right here
        ticket
    }
}

impl Future for ProofTicket {
    type Output = Result<()>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || Err(SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down"));
        Pin::new(&mut self.0).poll(cx).map(|r| r.unwrap_or_else(|_| gone()))
    }
}

/// What was read in an earlier time in office may be old by now.
pub fn office_lost() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access because the consul changed",
    )
}

/// A commit on which this one built did not happen.
pub fn undone() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access because a concurrent update did not commit",
    )
    .hint("The transaction might succeed if retried.")
}

/// The driver's end of a [`StageTicket`].
pub type StageSender = oneshot::Sender<Result<StageRef>>;

impl CommitTicket {
    /// Both ends of a commit.
    pub fn pair() -> (CommitSender, CommitTicket) {
        let ticket = CommitTicket(Arc::default());
        (CommitSender(ticket.clone()), ticket)
    }
    /// The outcome, if it is known: `None` while under way.
    pub fn try_outcome(&self) -> Option<Result<Csn>> {
        self.0.lock().outcome.clone()
    }
    /// Whether the outcome is not known yet.
    pub fn is_under_way(&self) -> bool {
        self.0.lock().outcome.is_none()
    }
    /// Whether it is known that it did not commit, or that nobody will know.
    pub fn has_failed(&self) -> bool {
        self.0.lock().outcome.as_ref().is_some_and(Result::is_err)
    }
    fn settle(&self, outcome: Result<Csn>) {
        let waiting = {
            let mut under_way = self.0.lock();
            if under_way.outcome.is_some() {
                return;
            }
            under_way.outcome = Some(outcome);
            std::mem::take(&mut under_way.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl CommitSender {
    /// Tells the outcome to all who wait for it.
    pub fn send(self, outcome: Result<Csn>) {
        self.0.settle(outcome);
    }
}

impl Drop for CommitSender {
    fn drop(&mut self) {
        self.0.settle(Err(unknown()));
    }
}

impl StageTicket {
    /// Both ends of a stage.
    pub fn pair() -> (StageSender, StageTicket) {
        let (tx, rx) = oneshot::channel();
        (tx, StageTicket(rx))
    }
    /// Stops waiting. The place, if the record is in the log already: giving it up is the caller's. One that gets there later finds
    /// nobody waiting, and whoever logged it gives it up.
    pub fn withdraw(mut self) -> Option<StageRef> {
        self.0.close(); // first: an answer is either here now or fails to be sent
        self.0.try_recv().ok()?.ok()
    }
}

impl Future for CommitTicket {
    type Output = Result<Csn>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut under_way = self.0.lock();
        match &under_way.outcome {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => {
                // Who has stopped waiting is woken for nothing, once.
                if !under_way.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    under_way.waiting.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

impl Future for StageTicket {
    type Output = Result<StageRef>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|r| r.unwrap_or_else(|_| Err(unknown())))
    }
}

/// The driver went away with the set in hand: it may or may not commit.
fn unknown() -> SqlError {
    SqlError::new(
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        "the server stopped before the outcome of the commit was known",
    )
    .hint("It may have committed: txid_status() tells, of a transaction that asked for its txid_current().")
}
