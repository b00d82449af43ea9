//! Keeping the log short.
//!
//! After enough bytes were logged, the positions of the state are noted, the state is made durable up to them, and the
//! log begins after them. Making it durable takes long and happens on a thread of its own, one at a time, while commits
//! go on; when they get too far ahead of it, they wait.

use std::thread::{self, JoinHandle};
use std::time::Instant;

use curia_consensus::Checkpoint;
use curia_storage::StorageError;

use crate::engine::Engine;
use crate::failure::DriverError;
use crate::measure;

/// How many times its limit the log may grow while the state is being made durable.
const WAIT_AT: u64 = 4;

/// What is under way.
pub(crate) struct Truncation {
    limit_bytes: u64,
    /// Size of the log after the last truncation.
    after_last: u64,
    flushing: Option<Flushing>,
}

struct Flushing {
    checkpoint: Checkpoint,
    begun: Instant,
    thread: JoinHandle<Result<(), StorageError>>,
}

impl Truncation {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            after_last: 0,
            flushing: None,
        }
    }

    /// Waits for a flush that is under way, so that its thread doesn't outlive the driver.
    pub(crate) fn abandon(&mut self) {
        if let Some(flushing) = self.flushing.take() {
            // Whether it succeeded matters to nobody: the log was not truncated.
            let _ = flushing.thread.join();
        }
    }
}

impl Engine {
    /// Begins or ends a truncation if it is time.
    pub(crate) fn truncate_if_due(&mut self) -> Result<(), DriverError> {
        let bytes = self.log.live_bytes();
        self.published.log_bytes.store(bytes, std::sync::atomic::Ordering::Relaxed);
        measure::log_bytes(bytes);
        let grown = bytes.saturating_sub(self.truncation.after_last);
        if let Some(flushing) = &self.truncation.flushing {
            let waits = grown > WAIT_AT * self.truncation.limit_bytes || !self.checkpoints.is_empty();
            return if waits || flushing.thread.is_finished() {
                self.end_truncation()
            } else {
                Ok(())
            };
        }
        if !self.checkpoints.is_empty() {
            let done = self.truncate_now()?;
            for sender in self.checkpoints.drain(..) {
                let _ = sender.send(done);
            }
            return Ok(());
        }
        if grown >= self.truncation.limit_bytes {
            self.begin_truncation()?;
        }
        Ok(())
    }

    /// Truncates as far as possible and waits for it. Whether anything could be truncated.
    pub(crate) fn truncate_now(&mut self) -> Result<bool, DriverError> {
        self.end_truncation()?;
        let begun = self.begin_truncation()?;
        self.end_truncation()?;
        Ok(begun)
    }

    fn begin_truncation(&mut self) -> Result<bool, DriverError> {
        let Some(checkpoint) = self.node.checkpoint() else {
            return Ok(false);
        };
        let state = self.state.clone();
        let flush = move || state.flush();
        let thread = thread::Builder::new()
            .name("curia-flush".into())
            .spawn(flush)
            .map_err(DriverError::Thread)?;
        self.truncation.flushing = Some(Flushing {
            checkpoint,
            begun: Instant::now(),
            thread,
        });
        Ok(true)
    }

    fn end_truncation(&mut self) -> Result<(), DriverError> {
        let Some(Flushing { checkpoint, begun, thread }) = self.truncation.flushing.take() else {
            return Ok(());
        };
        match thread.join() {
            Ok(Ok(())) => {}
            // The log keeps what the state could not; it is tried again after as many bytes.
            Ok(Err(error)) if error.is_no_space() => {
                tracing::warn!(%error, "the log could not be truncated");
                self.truncation.after_last = self.log.live_bytes();
                return Ok(());
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                return Err(DriverError::Storage(StorageError::State(
                    "making the state durable was cut short".into(),
                )));
            }
        }
        match self.log.truncate(&checkpoint.bases) {
            Ok(()) => self.node.truncate(checkpoint),
            Err(error) if error.is_no_space() => tracing::warn!(%error, "the log could not be truncated"),
            Err(error) => return Err(error.into()),
        }
        self.truncation.after_last = self.log.live_bytes();
        measure::truncated(begun.elapsed());
        Ok(())
    }
}
