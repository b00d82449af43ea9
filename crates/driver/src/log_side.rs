//! The log, written by the driver's own thread or beside it.
//!
//! A server that is alone writes and syncs on the driver's thread: whoever commits waits for exactly that, and a hand-off to
//! another thread would only add to it. With other servers there is more to do than to wait for a disk: heartbeats, votes,
//! answers. Then a thread of its own writes, and what is asked for while it syncs gathers into its next write:
//!
//! ```text
//!   driver   ─ batch 1 ─ batch 2 ─ batch 3 ──────── batch 4 ──►
//!                 │          └──── gathered ────┐       │
//!   log           └► write, sync 1              └► write, sync 2 and 3    ─► 4 ..
//! ```
//!
//! What gathers is limited by the node: by what it lets be unresolved, and by the windows of its peers. **A full disk** is
//! met by that thread alone: it tries again until there is room, and says so meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use curia_consensus::ids::{LogId, PersistSeq};
use curia_consensus::{Base, HardState, Persist, Write};
use curia_storage::StorageError;
use curia_storage::log::LogStore;
use parking_lot::{Condvar, Mutex};

use crate::done::{Done, caught};
use crate::failure::DriverError;
use crate::measure;

/// The driver's end.
pub(crate) struct LogSide {
    shared: Arc<Shared>,
    /// The last batch that was handed to the thread, while it isn't reported back.
    under_way: Option<PersistSeq>,
    /// A truncation is at the thread.
    truncating: bool,
    thread: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub(crate) store: Mutex<LogStore>,
    work: Mutex<Work>,
    arrived: Condvar,
    /// The disk is full.
    pub(crate) full: AtomicBool,
    pub(crate) bytes: AtomicU64,
    stopping: AtomicBool,
    retry: Duration,
}

/// What waits for the thread.
#[derive(Default)]
struct Work {
    hard_state: Option<HardState>,
    writes: Vec<Write>,
    upto: Option<PersistSeq>,
    /// Once that is written.
    truncate: Option<Vec<(LogId, Base)>>,
    seal: bool,
}

/// What became of a batch or a truncation that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// It is durable.
    Done,
    /// It will be reported.
    UnderWay,
}

impl LogSide {
    pub(crate) fn start(store: LogStore, done: Sender<Done>, retry: Duration) -> Result<LogSide, DriverError> {
        let shared = Arc::new(Shared {
            bytes: AtomicU64::new(store.live_bytes()),
            store: Mutex::new(store),
            work: Mutex::default(),
            arrived: Condvar::new(),
            full: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            retry,
        });
        let worker = shared.clone();
        let thread = thread::Builder::new()
            .name("curia-log".into())
            .spawn(move || {
                if let Err(error) = caught(|| worker.run(&done)) {
                    // A driver that is gone needs no reason any more.
                    let _ = done.send(Done::LogFailed(error));
                }
            })
            .map_err(DriverError::Thread)?;
        Ok(LogSide {
            shared,
            under_way: None,
            truncating: false,
            thread: Some(thread),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether nothing is at the thread.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_none() && !self.truncating
    }

    pub(crate) fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Acquire)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Makes sure that so many bytes can be written, where this thread writes them.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), StorageError> {
        if self.is_idle() && !self.is_full() {
            return self.shared.store.lock().reserve(bytes);
        }
        match self.is_full() {
            true => Err(StorageError::NoSpace { path: "the log".into() }),
            false => Ok(()),
        }
    }

    /// Writes a batch: here and now, or beside.
    pub(crate) fn write(&mut self, persist: Persist, here: bool) -> Result<Handed, StorageError> {
        if here && self.is_idle() {
            match self.shared.append(persist.hard_state.as_ref(), &persist.writes) {
                Ok(()) => return Ok(Handed::Done),
                Err(error) if !error.is_no_space() => return Err(error),
                Err(_) => {} // the thread waits for room
            }
        }
        let mut work = self.shared.work.lock();
        work.hard_state = persist.hard_state.or(work.hard_state);
        match work.writes.is_empty() {
            true => work.writes = persist.writes,
            false => work.writes.extend(persist.writes),
        }
        work.upto = Some(persist.seq);
        self.under_way = Some(persist.seq);
        self.shared.arrived.notify_one();
        Ok(Handed::UnderWay)
    }

    /// Lets the logs begin at these bases, after everything handed over before.
    pub(crate) fn truncate(&mut self, bases: Vec<(LogId, Base)>, here: bool) -> Result<Handed, StorageError> {
        if here && self.is_idle() {
            self.shared.truncate(&bases)?;
            return Ok(Handed::Done);
        }
        self.shared.work.lock().truncate = Some(bases);
        self.truncating = true;
        self.shared.arrived.notify_one();
        Ok(Handed::UnderWay)
    }

    /// Says on disk that everything is durable, once it is.
    pub(crate) fn seal(&mut self, here: bool) -> Result<(), StorageError> {
        if here && self.is_idle() {
            return match self.shared.store.lock().seal() {
                Err(error) if !error.is_no_space() => Err(error),
                _ => Ok(()),
            };
        }
        self.shared.work.lock().seal = true;
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// The thread has reported this.
    pub(crate) fn reported(&mut self, upto: PersistSeq) {
        self.under_way = self.under_way.filter(|last| *last > upto);
    }

    pub(crate) fn truncated(&mut self) {
        self.truncating = false;
    }
}

impl Drop for LogSide {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Under the lock: the thread is either before its look at the flag, or waits.
        drop(self.shared.work.lock());
        self.shared.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // what it was asked for and didn't report has an unknown outcome
        }
    }
}

impl Shared {
    fn append(&self, hard_state: Option<&HardState>, writes: &[Write]) -> Result<(), StorageError> {
        let begun = Instant::now();
        let flight = self.store.lock().begin(hard_state, writes)?;
        let Some(mut flight) = flight else { return Ok(()) };
        // Without the lock: whoever reads a stage record, or entries for another server, waits for no disk but its own read's.
        flight.write();
        let mut store = self.store.lock();
        store.finish(flight, hard_state, writes)?;
        self.bytes.store(store.live_bytes(), Ordering::Relaxed);
        drop(store);
        measure::synced(writes.len(), begun.elapsed());
        Ok(())
    }

    fn truncate(&self, bases: &[(LogId, Base)]) -> Result<(), StorageError> {
        let mut store = self.store.lock();
        store.truncate(bases)?;
        self.bytes.store(store.live_bytes(), Ordering::Relaxed);
        Ok(())
    }

    fn run(&self, done: &Sender<Done>) -> Result<(), StorageError> {
        loop {
            let mut work = self.work.lock();
            while work.upto.is_none() && work.truncate.is_none() && !work.seal {
                if self.stopping.load(Ordering::Acquire) {
                    return Ok(());
                }
                self.arrived.wait(&mut work);
            }
            let Work {
                hard_state,
                writes,
                upto,
                truncate,
                seal,
            } = std::mem::take(&mut *work);
            drop(work);
            if let Some(upto) = upto {
                while let Err(error) = self.append(hard_state.as_ref(), &writes) {
                    if !error.is_no_space() {
                        return Err(error);
                    }
                    if !self.full.swap(true, Ordering::AcqRel) {
                        tracing::error!(%error, "no room for the log: writes wait or are refused until there is");
                        let _ = done.send(Done::LogFull);
                    }
                    if self.stopping.load(Ordering::Acquire) {
                        return Ok(());
                    }
                    thread::sleep(self.retry);
                }
                if self.full.swap(false, Ordering::AcqRel) {
                    tracing::info!("there is room for the log again");
                }
                let _ = done.send(Done::Persisted(upto));
            }
            if let Some(bases) = truncate {
                let outcome = match self.truncate(&bases) {
                    Ok(()) => true,
                    Err(error) if error.is_no_space() => {
                        tracing::warn!(%error, "the log could not be truncated");
                        false
                    }
                    Err(error) => return Err(error),
                };
                let _ = done.send(Done::Truncated(outcome));
            }
            if seal {
                match self.store.lock().seal() {
                    Err(error) if !error.is_no_space() => return Err(error),
                    _ => {}
                }
            }
        }
    }
}
