//! The driver thread.
//!
//! ```text
//!          ┌───────────────────────────── one round ─────────────────────────────┐
//!   queue ─► gather ─► node.propose… ─► one write, one sync ─► resolved ─► apply ─► publish CSN ─► answer
//!              ▲                                                                              │
//!              └────────────── what arrives during a round is the next one's batch ───────────┘
//! ```
//!
//! Batching is natural: nobody waits for company, and while one sync runs the requests of all others gather. A large
//! transaction is applied in slices, a round for each (`apply`).
//!
//! **A full disk.** Room in the log is reserved before anything is sequenced, so a request that finds none is refused
//! with 53100 and has not happened. What was sequenced before is written when there is room; until then its sessions
//! wait, new writes are refused, reads go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use curia_consensus::ids::{Csn, GroupId, Term, Timestamp};
use curia_consensus::{AppliedTo, LogRead, Missing, Node, Office, Part, Persist, ProposeError};
use curia_storage::log::LogStore;
use curia_storage::{StateStore, StorageError};
use curia_txn::{CommitSender, StageRef, StageSender, WriteSet};
use curia_types::{SqlError, SqlState};

use crate::apply::{Applying, Slice};
use crate::failure::DriverError;
use crate::handle::Published;
use crate::measure;
use crate::options::DriverOptions;
use crate::request::Request;
use crate::truncation::Truncation;

/// For how long room on the state's disk is taken for granted; asking costs a system call.
const ROOM_SEEN_FOR: Duration = Duration::from_millis(50);

/// Everything that the driver thread owns.
pub(crate) struct Engine {
    pub(crate) options: DriverOptions,
    pub(crate) node: Node,
    pub(crate) log: LogStore,
    pub(crate) state: Arc<StateStore>,
    pub(crate) published: Arc<Published>,
    pub(crate) requests: Receiver<Request>,
    pub(crate) started: Instant,
    /// The term that this server serves; zero while it doesn't.
    pub(crate) term: Term,
    /// A request that was taken up and found no room in the node.
    held: Option<Request>,
    /// About what was sequenced since the last log write will take of the log.
    unwritten_bytes: u64,
    /// When the disk of the state was last found to have room.
    room_seen: Option<Instant>,
    /// Sequenced and not yet answered, in CSN order.
    commits: VecDeque<(Csn, CommitSender)>,
    /// On the way into the state.
    applying: Applying,
    /// Answered when they are durable.
    stages: Vec<(StageSender, GroupId, StageRef)>,
    /// Scratch for the parts of a proposal.
    parts: Vec<Part>,
    pub(crate) truncation: Truncation,
    /// Answered when the next truncation is done.
    pub(crate) checkpoints: Vec<Sender<bool>>,
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
    pub(crate) fn new(
        options: DriverOptions,
        node: Node,
        log: LogStore,
        state: Arc<StateStore>,
        published: Arc<Published>,
        requests: Receiver<Request>,
    ) -> Self {
        Self {
            truncation: Truncation::new(options.log_bytes_max),
            options,
            node,
            log,
            state,
            published,
            requests,
            started: Instant::now(),
            term: Term::ZERO,
            held: None,
            unwritten_bytes: 0,
            room_seen: None,
            commits: VecDeque::new(),
            applying: Applying::default(),
            stages: Vec::new(),
            parts: Vec::new(),
            checkpoints: Vec::new(),
            ending: None,
        }
    }

    /// Takes office and replays the log: afterwards everything committed before the start can be read.
    pub(crate) fn take_office(&mut self) -> Result<(), DriverError> {
        self.published_from_state()?;
        while self.term == Term::ZERO {
            self.node.tick(self.started.elapsed());
            self.settle()?;
            if self.term == Term::ZERO {
                thread::sleep(Duration::from_millis(1)); // an election of several servers takes its time
            }
        }
        Ok(())
    }

    fn published_from_state(&mut self) -> Result<(), DriverError> {
        let (csn, _) = self.state.applied_csn()?;
        self.published.applied.store(csn.0, Ordering::Release);
        self.published.waiters.send_replace(csn);
        Ok(())
    }

    /// Works until it is told to stop.
    pub(crate) fn run(&mut self) -> Result<(), DriverError> {
        while self.ending.is_none() {
            self.gather()?;
            self.node.tick(self.started.elapsed());
            if !self.advance()? {
                self.truncate_if_due()?;
            }
        }
        self.settle()?;
        self.refuse_rest();
        while self.held.is_some() {
            self.take_up_held();
            self.settle()?;
        }
        if self.ending == Some(Ending::Shutdown) {
            self.truncate_now()?;
        }
        Ok(())
    }

    /// Takes up requests: waits for one, then takes what else is there, up to the limits of a batch.
    fn gather(&mut self) -> Result<(), DriverError> {
        let (mut count, mut bytes) = (0, 0);
        if self.applying.bytes() > self.options.unresolved_bytes_max {
            return Ok(()); // what is logged waits for the state; more of it would only take memory
        }
        self.take_up_held();
        // With work in hand there is nothing to wait for.
        let patience = if self.held.is_some() || !self.applying.is_empty() || self.node.unresolved_bytes() > 0 {
            Duration::ZERO
        } else {
            self.options.tick_interval
        };
        let mut next = match self.requests.recv_timeout(patience) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => {
                if patience > Duration::ZERO {
                    self.rest()?;
                }
                None
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.ending = Some(Ending::Abandoned);
                None
            }
        };
        while let Some(request) = next.take() {
            count += 1;
            bytes += request.log_bytes();
            self.take_up(request);
            if self.held.is_some()
                || self.ending.is_some()
                || count >= self.options.batch_requests_max
                || bytes >= self.options.batch_bytes_max
            {
                break;
            }
            next = self.requests.try_recv().ok();
        }
        Ok(())
    }

    /// Nothing is going on: say on disk that all of it is durable, so that damage to it is not taken for a torn write.
    fn rest(&mut self) -> Result<(), DriverError> {
        match self.log.seal() {
            Err(error) if !error.is_no_space() => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn take_up_held(&mut self) {
        if let Some(request) = self.held.take() {
            self.take_up(request);
        }
    }

    /// Sequences a request, refuses it, or holds it until there is room in the node.
    fn take_up(&mut self, request: Request) {
        let bytes = request.log_bytes() as u64;
        if bytes > 0
            && let Err(error) = self.find_room(bytes)
        {
            return self.refuse(request, &error.into());
        }
        self.unwritten_bytes += bytes;
        match request {
            Request::Commit(writes, sender) => self.commit(writes, sender),
            Request::Stage(group, payload, sender) => self.stage(group, payload, sender),
            Request::Discard(group, stages) => self.discard(group, &stages),
            Request::Checkpoint(sender) => self.checkpoints.push(sender),
            Request::Shutdown => self.ending = Some(Ending::Shutdown),
        }
    }

    /// Makes sure that so many bytes more can be logged, and that the state can take them.
    fn find_room(&mut self, bytes: u64) -> Result<(), StorageError> {
        self.log.reserve(self.unwritten_bytes + bytes)?;
        if self.room_seen.is_none_or(|seen| seen.elapsed() > ROOM_SEEN_FOR) {
            self.room_seen = None;
            self.state.check_room()?;
            self.room_seen = Some(Instant::now());
        }
        Ok(())
    }

    fn commit(&mut self, writes: WriteSet, sender: CommitSender) {
        if !self
            .node
            .has_room(writes.fragments.iter().map(|f| (f.group, f.payload.len() as u64)))
        {
            self.held = Some(Request::Commit(writes, sender));
            return;
        }
        if writes.fragments.iter().flat_map(|f| &f.stages).any(|stage| stage.term != self.term) {
            let error = SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not commit because the consul changed");
            return self.refuse(Request::Commit(writes, sender), &error);
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
                // Nobody waits any more when this fails; nothing is lost by that.
                let _ = sender.send(Err(refusal(error)));
            }
        }
    }

    fn stage(&mut self, group: GroupId, payload: Bytes, sender: StageSender) {
        if !self.node.has_room([(group, payload.len() as u64)]) {
            self.held = Some(Request::Stage(group, payload, sender));
            return;
        }
        match self.node.stage(group, payload) {
            Ok(index) => {
                let stage = StageRef { index, term: self.term };
                self.stages.push((sender, group, stage));
            }
            Err(error) => drop(sender.send(Err(refusal(error)))),
        }
    }

    /// Does what the node asks until it asks for nothing and all of it is in the state.
    pub(crate) fn settle(&mut self) -> Result<(), DriverError> {
        while self.advance()? {}
        Ok(())
    }

    /// Does what the node asks, and applies what came of it or a slice of that. Whether there is more to apply.
    fn advance(&mut self) -> Result<bool, DriverError> {
        loop {
            let output = self.node.take_output();
            let idle = output.is_empty();
            if let Some(office) = output.office {
                self.note(office);
            }
            if let Some(persist) = output.persist {
                self.persist(&persist)?;
            }
            if !output.apply.is_empty() || output.applied.is_some() {
                self.applying.push(output.apply, output.applied);
            }
            for read in &output.log_reads {
                self.read_log(read)?;
            }
            // What was applied lets the node go on.
            match self.apply()? {
                Some(Slice::More) => return Ok(true),
                None if idle => return Ok(false),
                None | Some(Slice::Done(..)) => {}
            }
        }
    }

    /// Reads entries for another server.
    fn read_log(&mut self, read: &LogRead) -> Result<(), DriverError> {
        let entries = match self.log.read_range(read.log, read.after, read.upto, read.bytes_max) {
            Ok(entries) => Ok(entries),
            Err(StorageError::NoEntry { .. }) => Err(Missing),
            Err(error) => return Err(error.into()),
        };
        self.node.log_read(read.id, entries);
        Ok(())
    }

    fn note(&mut self, office: Office) {
        self.term = match office {
            Office::Consul { term, cut } => {
                tracing::info!(%term, %cut, "serving as consul");
                term
            }
            Office::Senator { .. } | Office::Inaugurating { .. } => Term::ZERO,
        };
        if self.term == Term::ZERO {
            // Another consul decides about what isn't resolved: dropped tickets say that the outcome is unknown.
            let resolved = self.node.resolved();
            self.commits.retain(|(csn, _)| *csn <= resolved);
            self.stages.clear();
        }
        self.published.term.store(self.term.0, Ordering::Relaxed);
    }

    /// Writes and syncs a batch, and tells the node.
    fn persist(&mut self, persist: &Persist) -> Result<(), DriverError> {
        let begun = Instant::now();
        self.until_there_is_room("the log", |engine| engine.log.append(persist.hard_state.as_ref(), &persist.writes))?;
        self.unwritten_bytes = 0;
        measure::synced(persist.writes.len(), begun.elapsed());
        self.node.persisted(persist.seq);
        for (sender, group, stage) in self.stages.drain(..) {
            if sender.send(Ok(stage)).is_err() {
                // Whoever staged it has gone: nobody will name it.
                self.node.discard(group, &[stage.index]);
            }
        }
        Ok(())
    }

    /// Applies the next output or a slice of it. When it is done, publishes the CSN and answers those who wait for it.
    fn apply(&mut self) -> Result<Option<Slice>, DriverError> {
        if self.applying.is_empty() {
            return Ok(None);
        }
        let begun = Instant::now();
        let slice = self.until_there_is_room("the state", |engine| {
            engine.applying.slice(&engine.state, &engine.log, engine.options.apply_bytes_max)
        })?;
        match &slice {
            Some(Slice::Done(Some(to), before)) => self.publish(to, *before + begun.elapsed()),
            Some(Slice::More) => self.applying.spent(begun.elapsed()),
            _ => {}
        }
        Ok(slice)
    }

    fn publish(&mut self, to: &AppliedTo, time: Duration) {
        self.node.applied(to.csn);
        let before = self.published.applied.swap(to.csn.0, Ordering::Release);
        self.published.resolved.store(self.node.resolved().0, Ordering::Relaxed);
        if before != to.csn.0 {
            self.published.waiters.send_replace(to.csn);
        }
        let begun = Instant::now();
        let answered = self.commits.partition_point(|(csn, _)| *csn <= to.csn);
        for (csn, sender) in self.commits.drain(..answered) {
            let _ = sender.send(Ok(csn)); // who no longer waits will find it applied
        }
        measure::answered(begun.elapsed());
        measure::applied(to.csn.0 - before, to.csn, self.node.resolved(), time);
    }

    /// Repeats what fails for want of space until there is some. Meanwhile new writes are refused.
    fn until_there_is_room<T>(
        &mut self,
        place: &'static str,
        mut attempt: impl FnMut(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, DriverError> {
        let mut told = false;
        loop {
            match attempt(self) {
                // A server that doesn't serve yet has nothing to wait with.
                Err(error) if error.is_no_space() && self.term != Term::ZERO => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "no room for {place}: writes wait or are refused until there is");
                    }
                    self.refuse_for(self.options.full_disk_interval, &error.into())?;
                }
                Err(error) => return Err(error.into()),
                Ok(done) => {
                    if told {
                        tracing::info!("there is room for {place} again");
                    }
                    return Ok(done);
                }
            }
        }
    }

    /// Refuses what arrives during this time. A driver that is to stop has no time to wait for room.
    fn refuse_for(&mut self, time: Duration, reason: &SqlError) -> Result<(), DriverError> {
        let until = Instant::now() + time;
        loop {
            match self.requests.recv_deadline(until) {
                Ok(Request::Shutdown) | Err(RecvTimeoutError::Disconnected) => return Err(DriverError::Stopped),
                Ok(request) => self.refuse(request, reason),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
            }
        }
    }

    /// Refuses what came after the end was asked for.
    fn refuse_rest(&mut self) {
        let reason = SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down");
        while let Ok(request) = self.requests.try_recv() {
            self.refuse(request, &reason);
        }
    }

    /// Answers a request that has not happened. The stage records of a refused commit are given up.
    fn refuse(&mut self, request: Request, reason: &SqlError) {
        match request {
            Request::Commit(writes, sender) => {
                for fragment in &writes.fragments {
                    self.discard(fragment.group, &fragment.stages);
                }
                drop(sender.send(Err(reason.clone())));
            }
            Request::Stage(_, _, sender) => drop(sender.send(Err(reason.clone()))),
            Request::Checkpoint(sender) => drop(sender.send(false)),
            Request::Discard(group, stages) => self.discard(group, &stages),
            Request::Shutdown => {}
        }
    }

    fn discard(&mut self, group: GroupId, stages: &[StageRef]) {
        let of_this_term = stages.iter().filter(|stage| stage.term == self.term);
        let indexes: Vec<_> = of_this_term.map(|stage| stage.index).collect();
        self.node.discard(group, &indexes);
    }

    /// The last words of a thread that can't go on: what was not sequenced has not happened.
    pub(crate) fn fail(&mut self, error: &DriverError) {
        let reason = SqlError::new(SqlState::CRASH_SHUTDOWN, format!("the server is stopping: {error}"));
        let rest: Vec<_> = self.held.take().into_iter().chain(self.requests.try_iter()).collect();
        for request in rest {
            self.refuse(request, &reason);
        }
    }
}

fn refusal(error: ProposeError) -> SqlError {
    match error {
        ProposeError::NotConsul | ProposeError::Transferring => {
            SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, "this server is not the consul")
        }
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

/// The wall clock, for commit timestamps; the node keeps them growing when the clock goes back.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
