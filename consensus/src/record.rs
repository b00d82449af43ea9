//! What stands in the logs.
//!
//! The senate's log holds its own no-ops and configurations. A worker group's log holds four kinds of record:
//!
//! * a *term-start* opens a term in this group and carries the cut: fragments of earlier terms with a higher CSN that
//!   stand before it are void, kept in the log but never applied;
//! * a *fragment* is this group's part of one transaction. It names all the places where the transaction's fragments
//!   stand, so that a new consul can tell a whole transaction from a torn one by looking at the logs alone;
//! * a *stage* record carries a piece of a large write set ahead of its fragment. It has no CSN and means nothing until a
//!   fragment of the same group and term names its index;
//! * a *barrier* says nothing. Once it is on the quorums of a joint membership, so is everything before it.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{Csn, Index, Key, Participant, Term, Timestamp};
use crate::senate::Configuration;

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in its log.
    pub index: Index,
    /// The term whose consul appended it.
    pub term: Term,
    /// What it says.
    pub record: Record,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Senate: opens a term, so that earlier entries can be committed by counting.
    Noop,
    /// Senate: who takes part in what, from this entry on.
    Configuration(Arc<Configuration>),
    /// Group: opens a term and says which older fragments count.
    TermStart(TermStart),
    /// Group: a piece of a large write set.
    Stage(Payload),
    /// Group: its part of one transaction; shared, because the log, its store and every peer hold it for a while.
    Fragment(Arc<Fragment>),
    /// Group: an entry of the current term to count by, appended after a membership became joint.
    Barrier,
}

/// Opens a term in a group's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermStart {
    /// Fragments before this record with a higher CSN are void.
    pub cut: Csn,
    /// The highest commit timestamp up to the cut; later ones are higher.
    pub timestamp: Timestamp,
}

/// One group's part of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The transaction's place in the global commit order.
    pub csn: Csn,
    /// When it committed; grows strictly with the CSN.
    pub timestamp: Timestamp,
    /// Its client's name for the transaction, the same in all its fragments.
    pub key: Option<Key>,
    /// Everywhere that the transaction wrote.
    pub participants: Participants,
    /// Stage records of this group, in order, whose payloads come before this one's.
    pub stages: Stages,
    /// The writes, opaque to the protocol.
    pub payload: Payload,
}

/// The places of all fragments of a transaction, ascending by group.
///
/// Most transactions touch one group; for them the list is the fragment's own place and costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Participants {
    /// Only the fragment that says so.
    Alone,
    /// Two places or more, the fragment's own among them.
    Several(Arc<[Participant]>),
}

impl Participants {
    /// How many fragments the transaction has.
    pub fn len(&self) -> usize {
        match self {
            Participants::Alone => 1,
            Participants::Several(list) => list.len(),
        }
    }

    /// Never: a transaction has at least one fragment.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Indexes of a fragment's stage records in its own group's log, ascending; usually none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stages(Option<Arc<[Index]>>);

impl Stages {
    /// No stage record.
    pub const NONE: Self = Self(None);

    /// The indexes, ascending.
    pub fn as_slice(&self) -> &[Index] {
        self.0.as_deref().unwrap_or(&[])
    }
}

impl From<Vec<Index>> for Stages {
    fn from(indexes: Vec<Index>) -> Self {
        if indexes.is_empty() {
            Self(None)
        } else {
            Self(Some(indexes.into()))
        }
    }
}

/// The bytes of a fragment or stage record, in memory or only in the log store.
///
/// The node lets go of payloads that are durable and not needed soon; who needs one then reads it from the log store by
/// its log and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// In memory.
    Held(Bytes),
    /// In the log store, with this many bytes.
    Stored(u32),
}

impl Payload {
    /// Its size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Payload::Held(bytes) => bytes.len(),
            Payload::Stored(len) => *len as usize,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of the bytes; the log store has them.
    pub fn release(&mut self) {
        if let Payload::Held(bytes) = self {
            *self = Payload::Stored(bytes.len() as u32);
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::Held(bytes)
    }
}

/// About how many bytes a record takes besides its payload.
pub(crate) const RECORD_BYTES: usize = 64;

impl Entry {
    /// About how many bytes it takes, its payload included wherever that is.
    pub fn bytes(&self) -> usize {
        RECORD_BYTES + self.record.payload().map_or(0, Payload::len)
    }

    /// Whether its payload, if it has one, is in memory.
    pub fn is_held(&self) -> bool {
        !matches!(self.record.payload(), Some(Payload::Stored(_)))
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn held_bytes(&self) -> usize {
        if self.is_held() { self.bytes() } else { RECORD_BYTES }
    }
}

impl Record {
    /// Up to where in the commit order it goes, and when that was committed, if it is about that.
    pub(crate) fn commits(&self) -> Option<(Csn, Timestamp)> {
        match self {
            Record::TermStart(start) => Some((start.cut, start.timestamp)),
            Record::Fragment(fragment) => Some((fragment.csn, fragment.timestamp)),
            Record::Noop | Record::Configuration(_) | Record::Stage(_) | Record::Barrier => None,
        }
    }

    /// The configuration, if it is one.
    pub(crate) fn configuration(&self) -> Option<&Configuration> {
        match self {
            Record::Configuration(configuration) => Some(configuration),
            _ => None,
        }
    }

    /// The payload, if this kind of record has one.
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Record::Stage(payload) => Some(payload),
            Record::Fragment(fragment) => Some(&fragment.payload),
            Record::Noop | Record::Configuration(_) | Record::Barrier | Record::TermStart(_) => None,
        }
    }

    /// The payload, if this kind of record has one. A fragment that somebody else holds is copied.
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Record::Stage(payload) => Some(payload),
            Record::Fragment(fragment) => Some(&mut Arc::make_mut(fragment).payload),
            Record::Noop | Record::Configuration(_) | Record::Barrier | Record::TermStart(_) => None,
        }
    }
}
