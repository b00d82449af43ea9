//! From resolved fragments to the state.
//!
//! The fragments of an output go into one atomic write together with the positions they lead to. Where that would be too
//! large, rows go ahead in *slices*, each a write of its own: they carry CSNs that nobody reads before they are published,
//! and after a crash in between they are written again, the same.
//!
//! ```text
//!   output   fragment  fragment ─ stage stage stage stage rows │ positions
//!   writes   └──────── slice ─────────┘└──── slice ────┘└──── last ────┘
//! ```
//!
//! Pieces of groups' snapshots stand in the same queue: a snapshot comes after all that was handed out before it.
//!
//! Between two slices the driver takes up and logs what arrived meanwhile, so that a large transaction keeps others from
//! their place in the log, and the node from its clock, for one slice at most. They are applied after it, as the order of
//! CSNs has it.

use std::collections::VecDeque;
use std::time::Duration;

use curia_consensus::ids::{GroupId, Index, LogId};
use curia_consensus::{AppliedTo, Apply, InstallChunk, Payload, Record};
use curia_storage::state::ApplyBatch;
use curia_storage::{Result, StateStore, StorageError, log::LogStore};
use curia_txn::bootstrap::CATALOG;
use parking_lot::Mutex;

/// What was handed out and is not in the state yet, in CSN order.
#[derive(Default)]
pub(crate) struct Applying {
    queue: VecDeque<Step>,
    /// Bytes of payloads in the queue.
    bytes: u64,
    /// How far the first of the queue is.
    at: Place,
    /// The catalog changed since this was looked at last.
    pub(crate) catalog_changed: bool,
}

enum Step {
    Apply(Work),
    Install(InstallChunk),
}

struct Work {
    fragments: Vec<Apply>,
    to: Option<AppliedTo>,
    bytes: u64,
    /// Time spent on it.
    time: Duration,
}

/// The next piece to apply: a stage record of a fragment, or, past the last of them, the fragment's own rows.
#[derive(Clone, Copy, Default)]
struct Place {
    fragment: usize,
    stage: usize,
}

/// What a slice led to.
pub(crate) enum Slice {
    /// The first output of the queue is not done.
    More,
    /// An output is in the state, up to here, after this time of work; nothing moved when that is `None`.
    Done(Option<AppliedTo>, Duration),
    /// A piece of a snapshot is next.
    Install,
}

impl Applying {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes held in memory, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn push(&mut self, fragments: Vec<Apply>, to: Option<AppliedTo>) {
        let held = fragments.iter().map(|f| match &f.payload {
            Payload::Held(bytes) => bytes.len() as u64,
            Payload::Stored(_) => 0,
        });
        let bytes = held.sum();
        self.bytes += bytes;
        self.queue.push_back(Step::Apply(Work {
            fragments,
            to,
            bytes,
            time: Duration::ZERO,
        }));
    }

    pub(crate) fn install(&mut self, chunk: InstallChunk) {
        self.bytes += chunk.data.len() as u64;
        self.queue.push_back(Step::Install(chunk));
    }

    /// The piece of a snapshot that is next.
    pub(crate) fn chunk(&self) -> Option<&InstallChunk> {
        match self.queue.front() {
            Some(Step::Install(chunk)) => Some(chunk),
            _ => None,
        }
    }

    /// The piece of a snapshot that was next is done with.
    pub(crate) fn chunk_done(&mut self) {
        if let Some(Step::Install(chunk)) = self.queue.pop_front_if(|step| matches!(step, Step::Install(_))) {
            self.bytes -= chunk.data.len() as u64;
        }
    }

    /// So much time was spent on the first of the queue.
    pub(crate) fn spent(&mut self, time: Duration) {
        if let Some(Step::Apply(work)) = self.queue.front_mut() {
            work.time += time;
        }
    }

    /// Applies the first of the queue, or a slice of about so many bytes of it. When it fails for want of space, it can be
    /// called again. `None`: there is nothing to apply.
    pub(crate) fn slice(&mut self, state: &StateStore, log: Option<&Mutex<LogStore>>, slice_bytes: usize) -> Result<Option<Slice>> {
        let work = match self.queue.front() {
            None => return Ok(None),
            Some(Step::Install(_)) => return Ok(Some(Slice::Install)),
            Some(Step::Apply(work)) => work,
        };
        let mut batch = ApplyBatch::new();
        let mut at = self.at;
        let mut timed = None;
        while let Some(fragment) = work.fragments.get(at.fragment) {
            // A slice of nothing would be followed by another one for ever.
            if !batch.is_empty() && batch.bytes() >= slice_bytes {
                self.catalog_changed |= batch.touches(CATALOG.0);
                state.apply(batch)?;
                self.at = at;
                return Ok(Some(Slice::More));
            }
            // Every transaction's, so that a time means the same CSN on every server.
            if timed.replace(fragment.csn) != Some(fragment.csn) {
                batch.commit_timestamp(fragment.csn, fragment.timestamp);
            }
            match fragment.stages.as_slice().get(at.stage) {
                Some(stage) => {
                    match fragment.staged.get(at.stage) {
                        Some(Payload::Held(bytes)) => add(&mut batch, fragment, bytes)?,
                        _ => add(&mut batch, fragment, &read(log, fragment.group, *stage)?)?,
                    }
                    at.stage += 1;
                }
                None => {
                    match &fragment.payload {
                        Payload::Held(bytes) => add(&mut batch, fragment, bytes)?,
                        Payload::Stored(_) => add(&mut batch, fragment, &read(log, fragment.group, fragment.index)?)?,
                    }
                    at = Place {
                        fragment: at.fragment + 1,
                        stage: 0,
                    };
                }
            }
        }
        if let Some(to) = &work.to {
            for (group, position) in &to.positions {
                batch.applied(*group, position.clone());
            }
            batch.committed(to.csn, to.timestamp);
        }
        if !batch.is_empty() {
            self.catalog_changed |= batch.touches(CATALOG.0);
            state.apply(batch)?;
        }
        self.at = Place::default();
        match self.queue.pop_front() {
            Some(Step::Apply(work)) => {
                self.bytes -= work.bytes;
                Ok(Some(Slice::Done(work.to, work.time)))
            }
            _ => Ok(None),
        }
    }
}

fn add(batch: &mut ApplyBatch, fragment: &Apply, payload: &[u8]) -> Result<()> {
    // A fragment over stage records may have nothing left to say itself.
    if payload.is_empty() {
        Ok(())
    } else {
        batch.fragment(fragment.group, fragment.csn, payload)
    }
}

/// A payload that is only in the log.
fn read(log: Option<&Mutex<LogStore>>, group: GroupId, index: Index) -> Result<bytes::Bytes> {
    let log = log.ok_or_else(|| missing(group, index))?;
    match log.lock().read(LogId::Group(group), index)?.record {
        Record::Stage(Payload::Held(bytes)) => Ok(bytes),
        Record::Fragment(fragment) => match &fragment.payload {
            Payload::Held(bytes) => Ok(bytes.clone()),
            Payload::Stored(_) => Err(missing(group, index)),
        },
        _ => Err(missing(group, index)),
    }
}

fn missing(group: GroupId, index: Index) -> StorageError {
    StorageError::NoEntry {
        log: LogId::Group(group).to_u32(),
        index: index.0,
    }
}
