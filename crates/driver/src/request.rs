//! What sessions hand to the driver thread.

use bytes::Bytes;
use crossbeam_channel::Sender;
use curia_consensus::ids::{Csn, GroupId, Index, ServerId, Term};
use curia_consensus::{Change, ReadError, ReadLevel, ReconfigureError, TransferError};
use curia_storage::StorageError;
use curia_storage::state::GroupSnapshot;
use curia_txn::{CommitSender, ProofSender, StageRef, StageSender, WriteSet};
use tokio::sync::oneshot;

use crate::standing::Examined;

/// One piece of work for the driver thread, in the order of arrival.
pub(crate) enum Request {
    /// Commit these writes.
    Commit(WriteSet, CommitSender),
    /// Log a piece of a large write set ahead of its fragment.
    Stage(GroupId, Bytes, StageSender),
    /// No fragment will name these.
    Discard(GroupId, Vec<StageRef>),
    /// Wait until this server may read at this level.
    Read(ReadLevel, oneshot::Sender<Result<Csn, ReadError>>),
    /// Prove that this server is consul of this term.
    Prove(Term, ProofSender),
    /// Change the configuration.
    Reconfigure(Box<Change>, oneshot::Sender<Result<Index, ReconfigureError>>),
    /// Hand the office over.
    Transfer(ServerId, oneshot::Sender<Result<(), TransferError>>),
    /// Tell how things are.
    Examine(Box<dyn FnOnce(Examined) + Send>),
    /// Take a snapshot of a group for the archive.
    Snapshot(GroupId, oneshot::Sender<Result<GroupSnapshot, StorageError>>),
    /// Everything up to here is in snapshots that survive the loss of every state server.
    Archived(Csn),
    /// Make the state durable and truncate the log now; answered when that is done, or was not possible.
    Checkpoint(Sender<bool>),
    /// Finish what came before, make everything durable and stop.
    Shutdown,
}

/// What a record costs in the log besides its payload: frame, header, participant list. An estimate from above for
/// transactions over few groups.
const RECORD_OVERHEAD_BYTES: usize = 256;

impl Request {
    /// About how many bytes it adds to the log.
    pub(crate) fn log_bytes(&self) -> usize {
        match self {
            Request::Commit(writes, _) => {
                let fragments = writes.fragments.iter();
                fragments
                    .map(|f| f.payload.len() + RECORD_OVERHEAD_BYTES + 12 * writes.fragments.len() + 8 * f.stages.len())
                    .sum()
            }
            Request::Stage(_, payload, _) => payload.len() + RECORD_OVERHEAD_BYTES,
            Request::Discard(..)
            | Request::Read(..)
            | Request::Prove(..)
            | Request::Reconfigure(..)
            | Request::Transfer(..)
            | Request::Examine(_)
            | Request::Snapshot(..)
            | Request::Archived(_)
            | Request::Checkpoint(_)
            | Request::Shutdown => 0,
        }
    }
}
