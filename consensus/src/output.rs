//! What a node asks of its driver.
//!
//! A node never waits. It collects what should happen, and [`crate::Node::take_output`] hands it over. Everything in one
//! output may be done at once and in any order, because the node itself holds back what depends on a disk: a message or
//! an effect that needs a batch to be durable appears only after [`crate::Node::persisted`] has named that batch.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{Csn, GroupId, Index, Key, LogId, PersistSeq, ServerId, Term, Timestamp};
use crate::log::Base;
use crate::message::Message;
use crate::node::HardState;
use crate::record::{Entry, Fragment, Payload};

/// Things to do, in order of decision.
#[derive(Debug, Default)]
pub struct Output {
    /// To be written and synced, then reported by its number. Batches are written in the order of their numbers.
    pub persist: Option<Persist>,
    /// To be sent. Losing, repeating or reordering them is harmless.
    pub messages: Vec<Message>,
    /// To be applied to the state, in this order: CSN order, hence log order in every group.
    pub apply: Vec<Apply>,
    /// The state's positions once `apply` is applied, stored with it in one atomic write. Never missing where `apply` isn't empty.
    pub applied: Option<AppliedTo>,
    /// Entries to read from the log store; answered by [`crate::Node::log_read`].
    pub log_reads: Vec<LogRead>,
    /// Pieces of group snapshots to read from the state; answered by [`crate::Node::snapshot_read`].
    pub snapshot_reads: Vec<SnapshotRead>,
    /// Pieces of group snapshots to install, once everything handed out to be applied by now is; answered by
    /// [`crate::Node::installed`] after the last one of each.
    pub installs: Vec<InstallChunk>,
    /// Reads that may go on now, or can't.
    pub reads: Vec<ReadReady>,
    /// What this server is now, if that changed.
    pub office: Option<Office>,
}

impl Output {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.persist.is_none()
            && self.messages.is_empty()
            && self.apply.is_empty()
            && self.applied.is_none()
            && self.log_reads.is_empty()
            && self.snapshot_reads.is_empty()
            && self.installs.is_empty()
            && self.reads.is_empty()
            && self.office.is_none()
    }
}

/// A batch for the log store: one write, one sync.
#[derive(Debug)]
pub struct Persist {
    /// Its number.
    pub seq: PersistSeq,
    /// Replaces the stored one.
    pub hard_state: Option<HardState>,
    /// In this order.
    pub writes: Vec<Write>,
}

/// One change to a log.
#[derive(Clone, Debug)]
pub enum Write {
    /// Put the entry at its index; whatever stood there and after it is gone.
    Append {
        /// The log.
        log: LogId,
        /// The entry; its payload is in memory.
        entry: Entry,
    },
    /// Everything after `after` is gone.
    DropSuffix {
        /// The log.
        log: LogId,
        /// The last index that stays.
        after: Index,
    },
    /// The log begins after this base now. What it has up to the base is gone; what follows the base stays.
    Base {
        /// The log.
        log: LogId,
        /// Its new base.
        base: Base,
    },
    /// The group was dropped: nothing of its log is needed any more.
    DropLog {
        /// The log.
        log: LogId,
    },
}

/// Entries that a peer needs and memory doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// Names the request in the answer.
    pub id: u64,
    /// The log.
    pub log: LogId,
    /// The entries after this one,
    pub after: Index,
    /// up to this one,
    pub upto: Index,
    /// and of about so many bytes; at least one entry.
    pub bytes_max: usize,
}

/// The log store doesn't have what was asked for: it was truncated or dropped meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing;

/// A piece of a group's snapshot that a peer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRead {
    /// Names the request in the answer.
    pub id: u64,
    /// The group.
    pub group: GroupId,
    /// Who needs it: each peer's transfer is of one snapshot from its beginning to its end.
    pub to: ServerId,
    /// The snapshot that is being transferred; `None` at the beginning: take one of the state as it is, with its
    /// position as the base.
    pub base: Option<Base>,
    /// How many bytes come before the piece, by the peer's word: there may not be so many.
    pub offset: u64,
    /// About so many bytes.
    pub bytes_max: usize,
}

/// A piece of a group's snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPiece {
    /// The group's position in the state that the snapshot was taken of.
    pub base: Base,
    /// The bytes.
    pub data: Bytes,
    /// Whether they are the last.
    pub last: bool,
}

/// A piece of a group's snapshot to install. A piece at offset zero begins a new one; what was installed of another is
/// void. The whole replaces the state of the group, durably, together with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallChunk {
    /// The group.
    pub group: GroupId,
    /// The group's position with this snapshot.
    pub base: Base,
    /// How many bytes come before this piece.
    pub offset: u64,
    /// The piece.
    pub data: Bytes,
    /// Whether it is the last.
    pub last: bool,
}

/// A read that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReady {
    /// The read.
    pub id: u64,
    /// Read at this CSN, or why not.
    pub result: Result<Csn, ReadError>,
}

/// Why a read can't be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No consul confirmed its office in time.
    NoConsul,
    /// Too many reads wait.
    Full,
    /// The state didn't reach the CSN in time.
    Late,
    /// This server runs no state machines.
    NoState,
}

/// A resolved fragment: its place, and what stands there.
#[derive(Clone, Debug)]
pub struct Apply {
    /// Its group.
    pub group: GroupId,
    /// Its place in the group's log.
    pub index: Index,
    /// Its transaction's idempotency key, given with the fragment of the first participant only: applied keys are kept
    /// with that group's state.
    pub key: Option<Key>,
    /// The fragment. Payloads of its stage records come first; they, and payloads that are `Stored`, are read from the log
    /// store.
    pub fragment: Arc<Fragment>,
    /// On a server without a log store: the payloads of the fragment's stage records.
    pub staged: Vec<Payload>,
}

impl Deref for Apply {
    type Target = Fragment;

    fn deref(&self) -> &Fragment {
        &self.fragment
    }
}

/// How far the state is once an output's fragments are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedTo {
    /// Every transaction up to here is applied, none after it.
    pub csn: Csn,
    /// The commit timestamp at `csn`.
    pub timestamp: Timestamp,
    /// The groups whose position moved: everything up to its index is applied or will never be. It is stored whole: a log
    /// may begin after it.
    pub positions: Vec<(GroupId, Base)>,
}

/// What a server is in its senate, and how far it is in taking office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Office {
    /// Follows, or seeks an election.
    Senator {
        /// Its term.
        term: Term,
    },
    /// Elected, not yet serving: the logs are being adopted and the cut is being decided.
    Inaugurating {
        /// Its term.
        term: Term,
    },
    /// Serves: reads and proposals are accepted.
    Consul {
        /// Its term.
        term: Term,
        /// The cut that it began from: every transaction up to it is committed, none after it was.
        cut: Csn,
    },
}
