//! [`Driver`]: the sessions' end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use curia_consensus::ids::{Csn, GroupId, Index, ServerId, Term};
use curia_consensus::{Change, Configuration, Message, ReadError, ReadLevel, ReconfigureError, TransferError};
use curia_storage::state::GroupSnapshot;
use curia_storage::{StateStore, StorageError};
use curia_txn::{CommitTicket, ProofTicket, Replication, StageRef, StageTicket, WriteSet};
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::failure::DriverError;
use crate::measure;
use crate::proofs::answered;
use crate::request::Request;
use crate::standing::{Examined, Standing};

/// How long somebody waits who asks how things are.
const EXAMINE_PATIENCE: Duration = Duration::from_secs(1);

/// What the driver thread shows to everybody.
pub(crate) struct Published {
    /// Every transaction up to here is in the state.
    pub(crate) applied: AtomicU64,
    /// The same, for those who wait. Sent after `applied` is stored.
    pub(crate) waiters: watch::Sender<Csn>,
    pub(crate) resolved: AtomicU64,
    pub(crate) term: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    /// Worker groups.
    pub(crate) groups: AtomicU32,
    /// Messages that found no room.
    pub(crate) dropped: AtomicU64,
    /// The state is one prefix of the commit order: it can be read at `applied`.
    pub(crate) readable: AtomicBool,
    /// There is no other server, so that office needs no proof.
    pub(crate) alone: AtomicBool,
    /// Until when a lease proves the office: microseconds since `started`.
    pub(crate) lease_until: AtomicU64,
    pub(crate) started: Instant,
    /// What bounded reads go by: [`curia_consensus::Node::confirmed`], on the same clock.
    pub(crate) confirmed: Mutex<Option<(Duration, Csn)>>,
    /// The newest applied transaction that changed the catalog; stored before `applied` is.
    pub(crate) catalog: AtomicU64,
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) configuration: watch::Sender<Arc<Configuration>>,
    /// Why the thread stopped, if it had to.
    pub(crate) failure: watch::Sender<Option<Arc<DriverError>>>,
}

impl Published {
    pub(crate) fn new(configuration: Arc<Configuration>) -> Self {
        Self {
            groups: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
            readable: AtomicBool::new(true),
            alone: AtomicBool::new(false),
            lease_until: AtomicU64::new(0),
            started: Instant::now(),
            confirmed: Mutex::default(),
            catalog: AtomicU64::new(0),
            standing: watch::channel(Standing::default()).0,
            configuration: watch::channel(configuration).0,
            applied: AtomicU64::new(0),
            waiters: watch::channel(Csn::ZERO).0,
            resolved: AtomicU64::new(0),
            term: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            failure: watch::channel(None).0,
        }
    }
}

/// How the driver is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The consul's term.
    pub term: Term,
    /// Every transaction up to here is on a quorum.
    pub resolved: Csn,
    /// Every transaction up to here can be read.
    pub applied: Csn,
    /// Size of the log on disk.
    pub log_bytes: u64,
}

/// Where messages for a server go; outlives its driver, and then takes none.
#[derive(Clone)]
pub struct Mailbox {
    messages: Sender<Message>,
    published: Arc<Published>,
}

impl Mailbox {
    /// Takes a message from another server. Never blocks: `false` when there is no room for it; it is lost then, and counted.
    pub fn deliver(&self, message: Message) -> bool {
        deliver(&self.messages, &self.published, message)
    }
}

fn deliver(messages: &Sender<Message>, published: &Published, message: Message) -> bool {
    let taken = messages.try_send(message).is_ok();
    if !taken {
        published.dropped.fetch_add(1, Ordering::Relaxed);
        measure::dropped();
    }
    taken
}

/// A running driver thread.
///
/// Dropping the last handle stops the thread after what it was given, without making the state durable: a restart
/// replays the log. [`Driver::shutdown`] stops it so that a restart has nothing to replay.
pub struct Driver {
    pub(crate) requests: Option<Sender<Request>>,
    pub(crate) published: Arc<Published>,
    pub(crate) messages: Sender<Message>,
    pub(crate) state: Option<Arc<StateStore>>,
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
}

impl Driver {
    /// How it is doing.
    pub fn status(&self) -> Status {
        Status {
            term: Term(self.published.term.load(Ordering::Relaxed)),
            resolved: Csn(self.published.resolved.load(Ordering::Relaxed)),
            applied: self.applied(),
            log_bytes: self.published.log_bytes.load(Ordering::Relaxed),
        }
    }

    /// Where messages for this server go.
    pub fn mailbox(&self) -> Mailbox {
        Mailbox {
            messages: self.messages.clone(),
            published: self.published.clone(),
        }
    }

    /// Takes a message from another server: see [`Mailbox::deliver`].
    pub fn deliver(&self, message: Message) -> bool {
        deliver(&self.messages, &self.published, message)
    }

    /// What this server is, and whom it follows.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.published.standing.subscribe()
    }

    /// Who takes part, by the latest configuration that this server has.
    pub fn configuration(&self) -> watch::Receiver<Arc<Configuration>> {
        self.published.configuration.subscribe()
    }

    /// How this server sees its cluster.
    ///
    /// # Errors
    /// 57P01 when the driver has stopped.
    pub async fn examine(&self) -> Result<Examined> {
        self.ask(|sender| Request::Examine(Box::new(move |examined| drop(sender.send(examined)))))
            .await
    }

    /// The same, for threads that may wait for a moment.
    ///
    /// # Errors
    /// 57P01 when the driver has stopped, 55000 when it is held up.
    pub fn examine_now(&self) -> Result<Examined> {
        let (sender, answer) = bounded(1);
        let tell = Box::new(move |examined| drop(sender.send(examined)));
        self.send(Request::Examine(tell)).map_err(|_| self.stopped())?;
        answer.recv_timeout(EXAMINE_PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Disconnected => self.stopped(),
            RecvTimeoutError::Timeout => {
                let text = "the server is too busy to say how the cluster is, perhaps for a slow disk";
                SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
            }
        })
    }

    /// Resolves when this server may read at this level, with the CSN to read at.
    ///
    /// # Errors
    /// 57P01 when the driver has stopped. Within: why it may not.
    pub async fn read(&self, level: ReadLevel) -> Result<std::result::Result<Csn, ReadError>> {
        self.ask(|sender| Request::Read(level, sender)).await
    }

    /// Begins a change of the configuration: see [`curia_consensus::Node::reconfigure`].
    ///
    /// # Errors
    /// 57P01 when the driver has stopped. Within: why it can't begin, or not yet; nothing has changed.
    pub async fn reconfigure(&self, change: Change) -> Result<std::result::Result<Index, ReconfigureError>> {
        self.ask(|sender| Request::Reconfigure(Box::new(change), sender)).await
    }

    /// Begins to hand the office over: see [`curia_consensus::Node::transfer`].
    ///
    /// # Errors
    /// 57P01 when the driver has stopped. Within: why it was not begun.
    pub async fn transfer(&self, to: ServerId) -> Result<std::result::Result<(), TransferError>> {
        self.ask(|sender| Request::Transfer(to, sender)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.send(request(sender)).map_err(|_| self.stopped())?;
        answer.await.map_err(|_| self.stopped())
    }

    /// A snapshot of a group as it is now; the consul's.
    ///
    /// # Errors
    /// 57P01 when the driver has stopped. Within: this server isn't consul, or the state can't be read.
    pub async fn snapshot(&self, group: GroupId) -> Result<std::result::Result<GroupSnapshot, StorageError>> {
        self.ask(|sender| Request::Snapshot(group, sender)).await
    }

    /// Everything up to this CSN is in snapshots in storage that survives the loss of every state server: scribes may let go of it.
    pub fn archived(&self, csn: Csn) {
        // A driver that stopped lets go of nothing.
        let _ = self.send(Request::Archived(csn));
    }

    /// Makes the state durable and truncates the log; waits for it. `false` when the log could not be truncated now.
    ///
    /// # Errors
    /// 57P01 when the driver has stopped.
    pub fn checkpoint(&self) -> Result<bool> {
        let (sender, answer) = bounded(1);
        self.send(Request::Checkpoint(sender)).map_err(|_| self.stopped())?;
        answer.recv().map_err(|_| self.stopped())
    }

    /// Finishes all requests handed over before, makes the state durable and stops. Later requests get 57P01.
    ///
    /// # Errors
    /// Why the thread stopped before it could do all that.
    pub fn shutdown(&self) -> Result<(), Arc<DriverError>> {
        // An error means that the thread has stopped already.
        let _ = self.send(Request::Shutdown);
        self.join();
        match self.published.failure.borrow().clone() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Resolves when the thread had to stop, with the reason: the process should say it and exit.
    pub fn failure(&self) -> impl Future<Output = Arc<DriverError>> + Send + 'static {
        let mut failure = self.published.failure.subscribe();
        let published = self.published.clone();
        async move {
            let _keeps_the_sender = published;
            loop {
                if let Some(reason) = failure.borrow_and_update().clone() {
                    return reason;
                }
                if failure.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }

    fn join(&self) {
        if let Some(thread) = self.thread.lock().take() {
            // Its panics are caught and published.
            let _ = thread.join();
        }
    }

    fn send(&self, request: Request) -> std::result::Result<(), Request> {
        match &self.requests {
            Some(requests) => requests.send(request).map_err(|unsent| unsent.0),
            None => Err(request),
        }
    }

    fn stopped(&self) -> SqlError {
        match self.published.failure.borrow().as_deref() {
            Some(failure) => SqlError::new(SqlState::CRASH_SHUTDOWN, format!("the server is stopping: {failure}")),
            None => SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down"),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.requests = None;
        self.join();
    }
}

impl Replication for Driver {
    fn applied(&self) -> Csn {
        Csn(self.published.applied.load(Ordering::Acquire))
    }

    fn state(&self) -> &Arc<StateStore> {
        self.state.as_ref().expect("nobody runs transactions on a server without state")
    }

    fn office(&self) -> Term {
        Term(self.published.term.load(Ordering::Acquire))
    }

    fn is_alone(&self) -> bool {
        self.published.alone.load(Ordering::Acquire)
    }

    fn prove_office(&self, term: Term) -> Option<ProofTicket> {
        let published = &*self.published;
        let sure = || {
            let lease = published.lease_until.load(Ordering::Acquire);
            lease > 0 && published.started.elapsed().as_micros() < u128::from(lease)
        };
        if (self.is_alone() || sure()) && self.office() == term {
            return None;
        }
        let (sender, ticket) = ProofTicket::pair();
        if let Err(Request::Prove(_, sender)) = self.send(Request::Prove(term, sender)) {
            let _ = sender.send(Err(self.stopped()));
        }
        Some(ticket)
    }

    fn reach(&self, level: ReadLevel) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        let published = &*self.published;
        let known = match level {
            ReadLevel::Session(csn) | ReadLevel::AsOf(csn) => Some(csn),
            ReadLevel::Bounded(age) => {
                let confirmed = *published.confirmed.lock();
                confirmed
                    .filter(|(at, _)| published.started.elapsed() < *at + age)
                    .map(|(_, csn)| csn)
            }
            ReadLevel::Strict => None,
        };
        Box::pin(async move {
            match known {
                Some(csn) if csn <= self.applied() => Ok(()),
                _ => answered(self.read(level).await?),
            }
        })
    }

    fn readable(&self) -> bool {
        self.published.readable.load(Ordering::Acquire)
    }

    fn catalog_changed(&self) -> Csn {
        Csn(self.published.catalog.load(Ordering::Acquire))
    }

    fn refusal(&self) -> SqlError {
        let error = SqlError::new(SqlState::CANNOT_CONNECT_NOW, "this server is not the consul");
        match self.published.standing.borrow().consul {
            Some(consul) => error.detail(format!("Server {consul} is the consul.")),
            None => error
                .detail("No server is known to be the consul now.")
                .hint("The servers elect one as soon as a majority of them can be reached: try again."),
        }
    }

    fn groups(&self) -> u32 {
        self.published.groups.load(Ordering::Relaxed)
    }

    fn commit(&self, writes: WriteSet) -> CommitTicket {
        let (sender, ticket) = CommitTicket::pair();
        if let Err(Request::Commit(_, sender)) = self.send(Request::Commit(writes, sender)) {
            sender.send(Err(self.stopped()));
        }
        ticket
    }

    fn stage(&self, group: GroupId, payload: Bytes) -> StageTicket {
        let (sender, ticket) = StageTicket::pair();
        if let Err(Request::Stage(_, _, sender)) = self.send(Request::Stage(group, payload, sender)) {
            let _ = sender.send(Err(self.stopped()));
        }
        ticket
    }

    fn discard(&self, group: GroupId, stages: Vec<StageRef>) {
        // A driver that stopped has forgotten them anyway.
        let _ = self.send(Request::Discard(group, stages));
    }

    fn wait_applied(&self, csn: Csn) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        let mut applied = self.published.waiters.subscribe();
        let mut failure = self.published.failure.subscribe();
        Box::pin(async move {
            tokio::select! {
                reached = applied.wait_for(|applied| *applied >= csn) => reached.map(|_| ()).map_err(|_| self.stopped()),
                _ = failure.wait_for(Option::is_some) => Err(self.stopped()),
            }
        })
    }
}
