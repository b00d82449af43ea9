//! The driver thread.
//!
//! ```text
//!          ┌───────────────────────────── one round ──────────────────────────────┐
//!   queues ─► gather ─► node.propose, step, persisted… ─► write or hand over ─► send ─► apply ─► publish CSN ─► answer
//!              ▲                                                                               │
//!              └────────────── what arrives during a round is the next one's batch ────────────┘
//! ```
//!
//! Three queues come together here: requests of sessions, messages of other servers, and reports of the threads beside
//! ([`Done`]). Batching is natural: nobody waits for company, and while one sync runs the requests of all others gather.
//! A large transaction is applied in slices, a round for each (`apply`).
//!
//! **A full disk.** Where this server is alone, room in the log is reserved before anything is sequenced, so a request that
//! finds none is refused with 53100 and has not happened. What was sequenced before is written when there is room; until
//! then its sessions wait, new writes are refused, reads and messages go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, never, select};
use curia_consensus::ids::{Csn, GroupId, PersistSeq, ServerId, Term, Timestamp};
use curia_consensus::{Message, Node, Part, ProposeError, ReadError};
use curia_storage::state::Incoming;
use curia_storage::{StateStore, StorageError};
use curia_txn::{CommitSender, CommitTicket, StageRef, StageSender, WriteSet, undone};
use curia_types::{SqlError, SqlState};
use tokio::sync::oneshot;

use crate::apply::Applying;
use crate::done::Done;
use crate::failure::DriverError;
use crate::handle::Published;
use crate::heard::{Hearing, Promise};
use crate::log_side::LogSide;
use crate::measure;
use crate::options::DriverOptions;
use crate::peers::Peers;
use crate::proofs::Proofs;
use crate::request::Request;
use crate::serving::Serving;
use crate::standing::{Examined, Inaugurations};
use crate::truncation::Truncation;

/// For how long room on the state's disk is taken for granted; asking costs a system call.
const ROOM_SEEN_FOR: Duration = Duration::from_millis(50);
/// How often the gauges are brought up to date.
const MEASURE: Duration = Duration::from_secs(1);
/// One round takes at most so many messages, and so many reports.
const MESSAGES_A_ROUND: usize = 256;
/// The node is told the time so often in an election time-out, while it isn't alone.
const TICKS_A_TIMEOUT: u32 = 40;

/// Where requests, messages and reports come in.
pub(crate) struct Inlets {
    pub(crate) requests: Receiver<Request>,
    pub(crate) messages: Receiver<Message>,
    pub(crate) done: Receiver<Done>,
    /// For the threads beside.
    pub(crate) reports: Sender<Done>,
}

/// Everything that the driver thread owns.
pub(crate) struct Engine {
    pub(crate) options: DriverOptions,
    pub(crate) node: Node,
    /// There where this server stores logs.
    pub(crate) log: Option<LogSide>,
    /// There where this server runs the state machines.
    pub(crate) state: Option<Arc<StateStore>>,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) serving: Serving,
    pub(crate) published: Arc<Published>,
    pub(crate) inlets: Inlets,
    /// The term that this server serves; zero while it doesn't.
    pub(crate) term: Term,
    /// A request that was taken up and found no room in the node.
    held: Option<Request>,
    /// About what was sequenced since the last log write will take of the log.
    pub(crate) unwritten_bytes: u64,
    /// When the disk of the state was last found to have room.
    room_seen: Option<Instant>,
    /// Sequenced and not yet answered, in CSN order.
    pub(crate) commits: VecDeque<(Csn, CommitSender)>,
    /// On the way into the state.
    pub(crate) applying: Applying,
    /// The state's disk is full; it is tried again then.
    pub(crate) apply_again: Option<Instant>,
    /// Answered when they are durable: with the next batch that is written, or with the one named.
    pub(crate) stages: VecDeque<(Option<PersistSeq>, StageSender, GroupId, StageRef)>,
    /// Scratch for the parts of a proposal.
    parts: Vec<Part>,
    /// By their numbers.
    pub(crate) reads: BTreeMap<u64, oneshot::Sender<Result<Csn, ReadError>>>,
    pub(crate) last_read: u64,
    pub(crate) proofs: Proofs,
    /// The snapshot that is being received.
    pub(crate) incoming: BTreeMap<GroupId, Incoming>,
    /// The thread that puts it into the state.
    pub(crate) installing: Option<JoinHandle<()>>,
    /// What was logged or applied since it was last said on disk that all of it is durable.
    pub(crate) unsealed: Option<Instant>,
    pub(crate) truncation: Truncation,
    /// Answered when the next truncation is done.
    pub(crate) checkpoints: Vec<Sender<bool>>,
    pub(crate) inaugurations: Inaugurations,
    pub(crate) hearing: Hearing,
    /// When its numbers were last told.
    measured: Instant,
    /// Tells the threads beside to give up.
    pub(crate) stopping: Arc<AtomicBool>,
    /// No more requests come, or they are not to be taken up.
    ending: Option<Ending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Stop after what was handed over; leave the state as it is.
    Abandoned,
    /// The same, and make the state durable.
    Shutdown,
}

impl Engine {
    #[allow(clippy::too_many_arguments, reason = "it is made in one place, of everything that it owns")]
    pub(crate) fn new(
        options: DriverOptions,
        node: Node,
        log: Option<LogSide>,
        state: Option<Arc<StateStore>>,
        peers: Arc<dyn Peers>,
        serving: Serving,
        published: Arc<Published>,
        inlets: Inlets,
    ) -> Self {
        Self {
            truncation: Truncation::new(options.log_bytes_max),
            options,
            node,
            log,
            state,
            peers,
            serving,
            published,
            inlets,
            term: Term::ZERO,
            held: None,
            unwritten_bytes: 0,
            room_seen: None,
            commits: VecDeque::new(),
            applying: Applying::default(),
            apply_again: None,
            stages: VecDeque::new(),
            parts: Vec::new(),
            reads: BTreeMap::new(),
            last_read: 0,
            proofs: Proofs::default(),
            incoming: BTreeMap::new(),
            installing: None,
            unsealed: None,
            checkpoints: Vec::new(),
            inaugurations: Inaugurations::default(),
            hearing: Hearing::default(),
            measured: Instant::now(),
            stopping: Arc::new(AtomicBool::new(false)),
            ending: None,
        }
    }

    /// Shows what the state has. A server that is alone also takes office and replays its log: afterwards everything
    /// committed before the start can be read.
    pub(crate) fn begin(&mut self) -> Result<(), DriverError> {
        if let Some(state) = &self.state {
            let (csn, _) = state.applied_csn()?;
            self.published.catalog.store(csn.0, Ordering::Release);
            self.published.applied.store(csn.0, Ordering::Release);
            self.published.waiters.send_replace(csn);
        }
        self.published.readable.store(self.node.is_prefix(), Ordering::Release);
        self.show();
        while self.node.is_lone() && self.term == Term::ZERO {
            self.node.tick(self.published.started.elapsed());
            self.settle()?;
            if let Some(error) = self.no_room() {
                return Err(error.into()); // a server that doesn't serve yet has nothing to wait with
            }
            if self.term == Term::ZERO {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Works until it is told to stop.
    pub(crate) fn run(&mut self) -> Result<(), DriverError> {
        while self.ending.is_none() {
            self.round()?;
        }
        self.finish()
    }

    fn round(&mut self) -> Result<(), DriverError> {
        self.gather()?;
        let now = self.published.started.elapsed();
        if self.term != Term::ZERO && now >= self.node.next_heartbeat() {
            for (server, _) in &self.node.configuration().clone().servers {
                self.node.note_waiting(*server, self.peers.entries_wait(*server));
            }
        }
        self.node.tick(now);
        if !self.advance()? {
            self.seal_if_quiet()?;
        }
        self.truncate_if_due()?;
        self.tell_numbers();
        Ok(())
    }

    /// Brings the gauges up to date, now and then.
    fn tell_numbers(&mut self) {
        if self.measured.elapsed() < MEASURE {
            return;
        }
        self.measured = Instant::now();
        measure::queues(
            [self.inlets.requests.len(), self.inlets.messages.len(), self.inlets.done.len()],
            [self.commits.len(), self.stages.len(), self.reads.len() + self.proofs.len()],
            [self.node.unresolved_bytes(), self.applying.bytes()],
        );
        if !self.node.is_lone() {
            measure::cluster(&self.examine());
            measure::read_rounds(self.node.read_rounds());
        }
    }

    /// What was handed over before the end.
    fn finish(&mut self) -> Result<(), DriverError> {
        self.settle()?;
        self.refuse_rest();
        while self.held.is_some() {
            self.take_up_held();
            self.settle()?;
            self.wait_for_log()?;
            if let Some(request) = self.held.take_if(|_| !self.node.is_lone()) {
                // What it waits for comes from others, who are not listened to here.
                self.refuse(request, &shutting_down());
            }
        }
        self.wait_for_log()?;
        self.wait_for_others()?;
        if self.ending == Some(Ending::Shutdown) {
            self.hand_over()?;
        }
        if self.node.is_lone() && self.no_room().is_some() {
            return Err(DriverError::Stopped); // nobody has time to wait for room
        }
        if self.ending == Some(Ending::Shutdown) {
            self.truncate_now()?;
        }
        Ok(())
    }

    /// Waits until the log has what it was given, and applies what comes of it.
    fn wait_for_log(&mut self) -> Result<(), DriverError> {
        while self.log.as_ref().is_some_and(|log| !log.is_idle()) {
            if self.log.as_ref().is_some_and(LogSide::is_full) {
                return Err(DriverError::Stopped);
            }
            if let Ok(done) = self.inlets.done.recv_timeout(self.options.full_disk_interval) {
                self.take_done(done)?;
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Gives the other servers an election time-out for what they still have to acknowledge.
    fn wait_for_others(&mut self) -> Result<(), DriverError> {
        self.go_on_while(|engine| !engine.commits.is_empty() && engine.term != Term::ZERO)
    }

    /// A consul that stops lets the server that is closest to it take over, so that nobody has to notice its silence first.
    fn hand_over(&mut self) -> Result<(), DriverError> {
        let Some(next) = self.examine().successor(|server| self.node.answers(server)) else {
            return Ok(());
        };
        if self.term != Term::ZERO && self.node.transfer(next).is_ok() {
            tracing::info!(to = %next, "handing the office over");
            self.go_on_while(|engine| engine.term != Term::ZERO)?;
        }
        Ok(())
    }

    /// Works on, without new requests, while this holds, for an election time-out at most.
    fn go_on_while(&mut self, holds: impl Fn(&Engine) -> bool) -> Result<(), DriverError> {
        let until = Instant::now() + self.options.election_timeout;
        while holds(self) && Instant::now() < until {
            select! {
                recv(self.inlets.messages) -> message => if let Ok(message) = message { self.step(message) },
                recv(self.inlets.done) -> done => if let Ok(done) = done { self.take_done(done)? },
                default(self.patience()) => {}
            }
            self.node.tick(self.published.started.elapsed());
            self.settle()?;
        }
        Ok(())
    }

    fn step(&mut self, message: Message) {
        let promise = Promise::of(&message);
        match self.node.step(message) {
            Ok(()) => promise.into_iter().for_each(|promise| self.hearing.note(promise)),
            Err(refusal) => tracing::trace!(%refusal, "a message was refused"), // the node counts them
        }
    }

    /// How long there may be nothing to do.
    fn patience(&self) -> Duration {
        let alone = self.node.is_lone();
        let now = Instant::now();
        let stuck = self.apply_again.map(|again| again.saturating_duration_since(now));
        let applies = !self.applying.is_empty() && self.installing.is_none();
        let idle = self.log.as_ref().is_none_or(LogSide::is_idle);
        let tick = match alone {
            true => self.options.tick_interval,
            false => self.options.election_timeout / TICKS_A_TIMEOUT,
        };
        match stuck {
            Some(wait) if applies => wait.min(tick),
            None if applies => Duration::ZERO,
            // Alone, what is held finds room as soon as what is under way is applied, and that is now.
            _ if alone && idle && (self.held.is_some() || self.node.unresolved_bytes() > 0) => Duration::ZERO,
            _ => match self.node.news_due() {
                Some(due) => due.saturating_sub(self.published.started.elapsed()).min(tick),
                None => tick,
            },
        }
    }

    /// Takes up what is there: waits for one thing, then takes what else came, up to the limits of a batch.
    fn gather(&mut self) -> Result<(), DriverError> {
        // What is logged waits for the state; more of it would only take memory.
        let crowded = self.applying.bytes() > self.options.unresolved_bytes_max;
        if !crowded {
            self.take_up_held();
        }
        let closed = never();
        let requests = if crowded || self.held.is_some() {
            &closed
        } else {
            &self.inlets.requests
        };
        let (mut request, mut gone) = (None, false);
        let (mut message, mut done) = (None, None);
        select! {
            recv(requests) -> first => match first {
                Ok(first) => request = Some(first),
                Err(_) => gone = true,
            },
            recv(self.inlets.messages) -> first => message = first.ok(),
            recv(self.inlets.done) -> first => done = first.ok(),
            default(self.patience()) => {}
        }
        if gone {
            self.ending = Some(Ending::Abandoned);
        }
        for _ in 0..MESSAGES_A_ROUND {
            match done.take().or_else(|| self.inlets.done.try_recv().ok()) {
                Some(done) => self.take_done(done)?,
                None => break,
            }
        }
        for _ in 0..MESSAGES_A_ROUND {
            match message.take().or_else(|| self.inlets.messages.try_recv().ok()) {
                Some(message) => self.step(message),
                None => break,
            }
        }
        let (mut count, mut bytes) = (0, 0);
        let open = !crowded && self.held.is_none();
        while let Some(next) = request
            .take()
            .or_else(|| open.then(|| self.inlets.requests.try_recv().ok()).flatten())
        {
            count += 1;
            bytes += next.log_bytes();
            self.take_up(next);
            if self.held.is_some()
                || self.ending.is_some()
                || count >= self.options.batch_requests_max
                || bytes >= self.options.batch_bytes_max
            {
                break;
            }
        }
        Ok(())
    }

    /// Nothing was logged for a while: say on disk that all of it is durable, so that damage to it is not taken for a torn write.
    fn seal_if_quiet(&mut self) -> Result<(), DriverError> {
        let here = self.node.is_lone();
        if self.unsealed.is_some_and(|since| since.elapsed() >= self.options.tick_interval)
            && let Some(log) = &mut self.log
            && log.is_idle()
        {
            log.seal(here)?;
            self.unsealed = None;
        }
        Ok(())
    }

    fn take_up_held(&mut self) {
        if let Some(request) = self.held.take() {
            self.take_up(request);
        }
    }

    /// Sequences a request, refuses it, or holds it until there is room in the node.
    fn take_up(&mut self, request: Request) {
        let bytes = request.log_bytes() as u64;
        if bytes > 0 && self.term != Term::ZERO {
            if let Err(error) = self.find_room(bytes) {
                return self.refuse(request, &error.into());
            }
            self.unwritten_bytes += bytes;
        }
        match request {
            Request::Commit(writes, sender) => self.commit(writes, sender),
            Request::Stage(group, payload, sender) => self.stage(group, payload, sender),
            Request::Discard(group, stages) => self.discard(group, &stages),
            Request::Read(level, sender) => {
                self.last_read += 1;
                self.reads.insert(self.last_read, sender);
                self.node.read(self.last_read, level);
            }
            Request::Prove(term, sender) => self.prove(term, sender),
            Request::Reconfigure(change, sender) => drop(sender.send(self.node.reconfigure(&change))),
            Request::Transfer(to, sender) => drop(sender.send(self.node.transfer(to))),
            Request::Examine(tell) => tell(self.examine()),
            Request::Snapshot(group, sender) => drop(sender.send(self.take_snapshot(group))),
            Request::Archived(csn) => self.node.snapshots_durable(csn),
            Request::Checkpoint(sender) => self.checkpoints.push(sender),
            Request::Shutdown => self.ending = Some(Ending::Shutdown),
        }
    }

    fn examine(&self) -> Examined {
        Examined {
            server: self.options.server,
            standing: *self.published.standing.borrow(),
            configuration: self.node.configuration().clone(),
            settled: self.node.is_settled(),
            senate: self.node.senate(),
            groups: self.node.groups(),
            durable_states: self.node.durable_states(),
            snapshot_floor: self.node.snapshot_floor(),
            agreed_base: self.node.agreed_base(),
            resolved: self.node.resolved(),
            applied: Csn(self.published.applied.load(Ordering::Relaxed)),
            durable: self.node.durable_applied(),
            log_bytes: self.log_bytes(),
            refused: self.node.refusals().total(),
            dropped: self.published.dropped.load(Ordering::Relaxed),
            inaugurations: self.inaugurations.done.iter().copied().collect(),
            heard: self.hearing.all().clone(),
        }
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, LogSide::bytes)
    }

    /// The error with which writes are refused while a disk is full.
    fn no_room(&self) -> Option<StorageError> {
        if self.log.as_ref().is_some_and(LogSide::is_full) {
            return Some(StorageError::NoSpace { path: "the log".into() });
        }
        self.apply_again.map(|_| StorageError::NoSpace { path: "the state".into() })
    }

    /// Makes sure that so many bytes more can be logged, and that the state can take them.
    fn find_room(&mut self, bytes: u64) -> Result<(), StorageError> {
        if let Some(error) = self.no_room() {
            return Err(error);
        }
        if let Some(log) = &self.log
            && self.node.is_lone()
        {
            log.reserve(self.unwritten_bytes + bytes)?;
        }
        if self.room_seen.is_none_or(|seen| seen.elapsed() > ROOM_SEEN_FOR) {
            self.room_seen = None;
            if let Some(state) = &self.state {
                state.check_room()?;
            }
            self.room_seen = Some(Instant::now());
        }
        Ok(())
    }

    fn commit(&mut self, writes: WriteSet, sender: CommitSender) {
        let stale = writes.begun.is_some_and(|term| term != self.term)
            || writes.fragments.iter().flat_map(|f| &f.stages).any(|stage| stage.term != self.term);
        if stale {
            let error = self.changed();
            return self.refuse(Request::Commit(writes, sender), &error);
        }
        // Whoever is not known to have failed is sequenced: requests are taken up in order.
        if writes.after.iter().any(CommitTicket::has_failed) {
            return self.refuse(Request::Commit(writes, sender), &undone());
        }
        if self.must_wait(writes.fragments.iter().map(|f| (f.group, f.payload.len() as u64))) {
            self.held = Some(Request::Commit(writes, sender));
            return;
        }
        self.parts.clear();
        self.parts.extend(writes.fragments.into_iter().map(|fragment| Part {
            group: fragment.group,
            stages: fragment.stages.iter().map(|stage| stage.index).collect(),
            payload: fragment.payload,
        }));
        match self.node.propose(now(), None, &mut self.parts) {
            Ok(csn) => self.commits.push_back((csn, sender)),
            Err(error) => {
                for part in self.parts.drain(..) {
                    self.node.discard(part.group, &part.stages);
                }
                sender.send(Err(self.refusal(error)));
            }
        }
    }

    /// Whether what is to be logged has to wait: for room, or for the end of a hand-over. Were it refused at once, whoever tries again at once
    /// would meet the same hand-over.
    fn must_wait(&self, payloads: impl IntoIterator<Item = (GroupId, u64)>) -> bool {
        self.term != Term::ZERO && (self.node.is_transferring() || !self.node.has_room(payloads))
    }

    fn stage(&mut self, group: GroupId, payload: Bytes, sender: StageSender) {
        if self.must_wait([(group, payload.len() as u64)]) {
            self.held = Some(Request::Stage(group, payload, sender));
            return;
        }
        match self.node.stage(group, payload) {
            Ok(index) => {
                let stage = StageRef { index, term: self.term };
                self.stages.push_back((None, sender, group, stage));
            }
            Err(error) => drop(sender.send(Err(self.refusal(error)))),
        }
    }

    /// Refuses what came after the end was asked for.
    fn refuse_rest(&mut self) {
        while let Ok(request) = self.inlets.requests.try_recv() {
            self.refuse(request, &shutting_down());
        }
    }

    /// Answers a request that has not happened. The stage records of a refused commit are given up.
    pub(crate) fn refuse(&mut self, request: Request, reason: &SqlError) {
        match request {
            Request::Commit(writes, sender) => {
                for fragment in &writes.fragments {
                    self.discard(fragment.group, &fragment.stages);
                }
                sender.send(Err(reason.clone()));
            }
            Request::Stage(_, _, sender) => drop(sender.send(Err(reason.clone()))),
            Request::Checkpoint(sender) => drop(sender.send(false)),
            Request::Discard(group, stages) => self.discard(group, &stages),
            // Who asked hears that the driver has gone.
            Request::Read(..)
            | Request::Prove(..)
            | Request::Reconfigure(..)
            | Request::Transfer(..)
            | Request::Examine(_)
            | Request::Snapshot(..)
            | Request::Archived(_)
            | Request::Shutdown => {}
        }
    }

    fn discard(&mut self, group: GroupId, stages: &[StageRef]) {
        let of_this_term = stages.iter().filter(|stage| stage.term == self.term);
        let indexes: Vec<_> = of_this_term.map(|stage| stage.index).collect();
        if !indexes.is_empty() {
            self.node.discard(group, &indexes);
        }
    }

    /// A request that was held has lost its office: it has not happened.
    pub(crate) fn refuse_held(&mut self) {
        if let Some(request) = self.held.take_if(|request| request.log_bytes() > 0) {
            let reason = self.changed();
            self.refuse(request, &reason);
        }
    }

    /// The last words of a thread that can't go on: what was not sequenced has not happened.
    pub(crate) fn fail(&mut self, error: &DriverError) {
        let reason = SqlError::new(SqlState::CRASH_SHUTDOWN, format!("the server is stopping: {error}"));
        let rest: Vec<_> = self.held.take().into_iter().chain(self.inlets.requests.try_iter()).collect();
        for request in rest {
            self.refuse(request, &reason);
        }
    }

    /// The threads beside end before the driver does.
    pub(crate) fn abandon(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.truncation.abandon();
        if let Some(thread) = self.installing.take() {
            // The next start finishes what it began.
            let _ = thread.join();
        }
    }

    /// A transaction of an earlier time in office did not commit.
    fn changed(&self) -> SqlError {
        self.naming_consul(SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not commit because the consul changed",
        ))
    }

    fn naming_consul(&self, error: SqlError) -> SqlError {
        match self.consul() {
            Some(consul) => error.detail(format!("Server {consul} is the consul.")),
            None => error.detail("No server is known to be the consul now."),
        }
    }

    fn consul(&self) -> Option<ServerId> {
        self.node.consul()
    }

    fn refusal(&self, error: ProposeError) -> SqlError {
        match error {
            ProposeError::NotConsul => {
                self.naming_consul(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, "this server is not the consul"))
            }
            ProposeError::Transferring => SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not commit because the consul is handing its office over",
            ),
            ProposeError::UnknownStage(..) => SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not commit because a staged part of the transaction is gone",
            ),
            ProposeError::TooLarge(_) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string()),
            ProposeError::Full
            | ProposeError::Known(_)
            | ProposeError::Empty
            | ProposeError::GroupOrder(_)
            | ProposeError::UnknownGroup(_)
            | ProposeError::ClosedGroup(_) => SqlError::internal(error.to_string()),
        }
    }
}

fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down")
}

/// The wall clock, for commit timestamps; the node keeps them growing when the clock goes back.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
