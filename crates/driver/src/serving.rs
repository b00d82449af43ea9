//! What is read for other servers: entries of the log, and pieces of groups' snapshots, on a thread beside the driver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use curia_consensus::ids::ServerId;
use curia_consensus::{LogRead, Missing, SnapshotPiece, SnapshotRead};
use curia_storage::state::GroupSnapshot;
use curia_storage::{Result, StorageError};

use crate::done::{Done, caught};
use crate::failure::DriverError;
use crate::log_side::Shared;

/// So many reads wait. The node asks for fewer at a time.
const READS_MAX: usize = 1024;
/// A snapshot of which nothing was read for so long goes: whoever copied it is gone, or begins anew.
const IDLE: Duration = Duration::from_secs(60);
/// How often idle ones are looked for.
const LOOK: Duration = Duration::from_secs(10);

enum Ask {
    Log(LogRead),
    /// A piece; of this snapshot, if it is the first.
    Snapshot(SnapshotRead, Option<Box<GroupSnapshot>>),
}

/// The driver's end.
pub(crate) struct Serving {
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn start(log: Option<Arc<Shared>>, done: Sender<Done>) -> std::result::Result<Serving, DriverError> {
        let (asks, receiver) = bounded(READS_MAX);
        let thread = thread::Builder::new()
            .name("curia-reads".into())
            .spawn(move || {
                let served = caught(|| {
                    serve(log.as_deref(), &receiver, &done);
                    Ok(())
                });
                if let Err(error) = served {
                    let _ = done.send(Done::LogFailed(error)); // unless the driver is gone
                }
            })
            .map_err(DriverError::Thread)?;
        Ok(Serving {
            asks: Some(asks),
            thread: Some(thread),
        })
    }

    /// Reads entries; gives the read back when there is no room for it.
    pub(crate) fn log(&self, read: LogRead) -> std::result::Result<(), LogRead> {
        match self.ask(Ask::Log(read)) {
            Err(Ask::Log(read)) => Err(read),
            _ => Ok(()),
        }
    }

    /// Reads a piece, of a fresh snapshot if there is one; gives the read back when there is no room for it.
    pub(crate) fn snapshot(&self, read: SnapshotRead, fresh: Option<GroupSnapshot>) -> std::result::Result<(), SnapshotRead> {
        match self.ask(Ask::Snapshot(read, fresh.map(Box::new))) {
            Err(Ask::Snapshot(read, _)) => Err(read),
            _ => Ok(()),
        }
    }

    fn ask(&self, ask: Ask) -> std::result::Result<(), Ask> {
        match &self.asks {
            Some(asks) => asks.try_send(ask).map_err(|unsent| match unsent {
                TrySendError::Full(ask) | TrySendError::Disconnected(ask) => ask,
            }),
            None => Err(ask),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // nobody waits for what it was reading
        }
    }
}

fn serve(log: Option<&Shared>, asks: &Receiver<Ask>, done: &Sender<Done>) {
    let mut snapshots: BTreeMap<ServerId, (GroupSnapshot, Instant)> = BTreeMap::new();
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            snapshots.retain(|_, (_, touched)| touched.elapsed() < IDLE);
        }
        let report = match asks.recv_timeout(LOOK) {
            Ok(Ask::Log(read)) => {
                let entries = log.map_or(Err(Missing), |log| answer(read_log(log, &read)));
                Done::LogRead(read.id, entries)
            }
            Ok(Ask::Snapshot(read, fresh)) => {
                if let Some(fresh) = fresh {
                    snapshots.insert(read.to, (*fresh, Instant::now()));
                }
                let piece = snapshots.get_mut(&read.to).map_or(Ok(None), |(snapshot, touched)| {
                    *touched = Instant::now();
                    read_piece(snapshot, &read)
                });
                Done::SnapshotRead(read.id, answer(piece))
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if done.send(report).is_err() {
            return;
        }
    }
}

fn read_log(log: &Shared, read: &LogRead) -> Result<Option<Vec<curia_consensus::Entry>>> {
    match log.store.lock().read_range(read.log, read.after, read.upto, read.bytes_max) {
        Ok(entries) => Ok(Some(entries)),
        Err(StorageError::NoEntry { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_piece(snapshot: &mut GroupSnapshot, read: &SnapshotRead) -> Result<Option<SnapshotPiece>> {
    if snapshot.group() != read.group || read.base.as_ref().is_some_and(|base| base != snapshot.base()) {
        return Ok(None);
    }
    let piece = snapshot.piece(read.offset, read.bytes_max)?;
    Ok(piece.map(|piece| SnapshotPiece {
        base: snapshot.base().clone(),
        data: piece.data,
        last: piece.last,
    }))
}

/// What can't be read here isn't given to others; they ask somebody else.
fn answer<T>(read: Result<Option<T>>) -> std::result::Result<T, Missing> {
    match read {
        Ok(found) => found.ok_or(Missing),
        Err(error) => {
            tracing::error!(%error, "could not read for another server");
            Err(Missing)
        }
    }
}
