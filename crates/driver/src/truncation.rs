//! Keeping the log short.
//!
//! ```text
//!   enough was logged ─► note positions ─► apply up to them, make the state durable ─► let the log begin after them ─► done
//!                        (the node)                             (a thread of its own)     (whoever writes the log)
//! ```
//!
//! One at a time, while commits go on; when they get too far ahead of it, they wait where this server is alone. What other
//! members still lack of a log stays in it, up to a limit: the node sees to that, and who needs more gets a snapshot.
//!
//! A server without state lets go of what its node says that no log needs; one without a log only makes its state durable,
//! so that its next start has less to copy.

use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use curia_consensus::Checkpoint;
use curia_storage::StorageError;

use crate::done::{Done, caught};
use crate::engine::Engine;
use crate::failure::DriverError;
use crate::log_side::Handed;
use crate::measure;

/// How many times its limit the log may grow while the state is being made durable.
const WAIT_AT: u64 = 4;
/// A server without a log makes its state durable so often.
const WITHOUT_LOG: Duration = Duration::from_secs(10);

/// What is under way.
pub(crate) struct Truncation {
    limit_bytes: u64,
    /// Size of the log after the last truncation.
    after_last: u64,
    ended: Instant,
    step: Step,
}

enum Step {
    Idle,
    /// What was handed out is being applied.
    Applying(Checkpoint, Instant),
    /// The state is being made durable.
    Flushing(Checkpoint, Instant, JoinHandle<()>),
    /// The log is told where to begin.
    Logging(Option<Checkpoint>, Instant),
}

impl Truncation {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            after_last: 0,
            ended: Instant::now(),
            step: Step::Idle,
        }
    }

    /// Waits for a flush that is under way, so that its thread doesn't outlive the driver.
    pub(crate) fn abandon(&mut self) {
        if let Step::Flushing(_, _, thread) = std::mem::replace(&mut self.step, Step::Idle) {
            // Whether it succeeded matters to nobody: the log was not truncated.
            let _ = thread.join();
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.step, Step::Idle)
    }
}

impl Engine {
    /// Begins a truncation if it is time. Whoever asked for one hears when the one that is under way, or a new one, is done.
    pub(crate) fn truncate_if_due(&mut self) -> Result<(), DriverError> {
        let bytes = self.log_bytes();
        self.published.log_bytes.store(bytes, Ordering::Relaxed);
        measure::log_bytes(bytes);
        let grown = bytes.saturating_sub(self.truncation.after_last);
        self.flush_if_applied()?;
        if !self.truncation.is_idle() {
            // Alone there is nobody to keep waiting but those whose commits fill the log.
            if self.node.is_lone() && (grown > WAIT_AT * self.truncation.limit_bytes || !self.checkpoints.is_empty()) {
                self.end_truncation()?;
            }
            return Ok(());
        }
        if !self.checkpoints.is_empty() {
            if !self.begin_truncation()? {
                self.answer_checkpoints(false);
            }
            return Ok(());
        }
        let due = match self.log {
            Some(_) => grown >= self.truncation.limit_bytes,
            None => self.truncation.ended.elapsed() >= WITHOUT_LOG,
        };
        if due {
            self.begin_truncation()?;
        }
        Ok(())
    }

    /// Truncates as far as possible and waits for it.
    pub(crate) fn truncate_now(&mut self) -> Result<(), DriverError> {
        self.end_truncation()?;
        self.begin_truncation()?;
        self.end_truncation()
    }

    /// Whether anything can be truncated.
    fn begin_truncation(&mut self) -> Result<bool, DriverError> {
        if self.state.is_none() {
            return self.let_go(None, Instant::now());
        }
        let kept = self.options.retained_bytes_max;
        let crowded = self.log_bytes() > kept + 2 * self.truncation.limit_bytes;
        let Some(checkpoint) = self.node.checkpoint_keeping(if crowded { 0 } else { kept }) else {
            self.truncation.ended = Instant::now();
            return Ok(false);
        };
        self.truncation.step = Step::Applying(checkpoint, Instant::now());
        self.flush_if_applied()?;
        Ok(true)
    }

    /// Makes the state durable if it has come to where the log is to begin.
    fn flush_if_applied(&mut self) -> Result<(), DriverError> {
        let (Step::Applying(checkpoint, begun), Some(state)) = (&self.truncation.step, &self.state) else {
            return Ok(());
        };
        if self.published.applied.load(Ordering::Relaxed) < checkpoint.csn.0 {
            return Ok(());
        }
        let (checkpoint, begun) = (checkpoint.clone(), *begun);
        let (state, reports) = (state.clone(), self.inlets.reports.clone());
        let flush = move || {
            // A driver that is gone needs no report.
            let _ = reports.send(Done::Flushed(caught(|| state.flush())));
        };
        let thread = thread::Builder::new()
            .name("curia-flush".into())
            .spawn(flush)
            .map_err(DriverError::Thread)?;
        self.truncation.step = Step::Flushing(checkpoint, begun, thread);
        Ok(())
    }

    /// The state is durable, or could not be made so.
    pub(crate) fn flushed(&mut self, outcome: Result<(), StorageError>) -> Result<(), DriverError> {
        let Step::Flushing(checkpoint, begun, thread) = std::mem::replace(&mut self.truncation.step, Step::Idle) else {
            return Ok(());
        };
        let _ = thread.join(); // it has nothing left to say
        match outcome {
            Ok(()) => {
                self.node.state_durable(checkpoint.csn);
                self.let_go(Some(checkpoint), begun)?;
            }
            // The log keeps what the state could not; it is tried again after as many bytes.
            Err(error) if error.is_no_space() => {
                tracing::warn!(%error, "the log could not be truncated");
                self.truncation_ended(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn let_go(&mut self, checkpoint: Option<Checkpoint>, begun: Instant) -> Result<bool, DriverError> {
        let bases = checkpoint.as_ref().map(|checkpoint| checkpoint.bases.clone()).unwrap_or_default();
        self.truncation.step = Step::Logging(checkpoint, begun);
        let Some(log) = &mut self.log else {
            self.truncated(true);
            return Ok(true);
        };
        match log.truncate(bases, self.node.is_lone()) {
            Ok(Handed::Done) => self.truncated(true),
            Ok(Handed::UnderWay) => {}
            Err(error) if error.is_no_space() => {
                tracing::warn!(%error, "the log could not be truncated");
                self.truncated(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// The log begins where it was to begin, or could not.
    pub(crate) fn truncated(&mut self, done: bool) {
        if let Some(log) = &mut self.log {
            log.truncated();
        }
        if let Step::Logging(checkpoint, begun) = std::mem::replace(&mut self.truncation.step, Step::Idle) {
            if done {
                if let Some(checkpoint) = checkpoint {
                    self.node.truncate(checkpoint);
                }
                measure::truncated(begun.elapsed());
            }
            self.truncation_ended(done);
        }
    }

    fn truncation_ended(&mut self, done: bool) {
        self.truncation.after_last = self.log_bytes();
        self.truncation.ended = Instant::now();
        self.answer_checkpoints(done);
    }

    fn answer_checkpoints(&mut self, done: bool) {
        for sender in self.checkpoints.drain(..) {
            let _ = sender.send(done);
        }
    }

    /// Waits for the end of what is under way; not for a state that can't be applied to.
    fn end_truncation(&mut self) -> Result<(), DriverError> {
        if matches!(self.truncation.step, Step::Applying(..)) {
            self.settle()?;
            self.flush_if_applied()?;
        }
        while matches!(self.truncation.step, Step::Flushing(..) | Step::Logging(..)) {
            match self.inlets.done.recv() {
                Ok(done) => self.take_done(done)?,
                Err(_) => return Err(DriverError::Stopped),
            }
        }
        Ok(())
    }
}
