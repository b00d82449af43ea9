//! What a node asks of its driver.
//!
//! A node never waits. It collects what should happen, and [`crate::Node::take_output`] hands it over. Everything in one
//! output may be done at once and in any order, because the node itself holds back what depends on a disk: a message or
//! an effect that needs a batch to be durable appears only after [`crate::Node::persisted`] has named that batch.

use crate::ids::{Csn, GroupId, Index, LogId, PersistSeq, Term, Timestamp};
use crate::message::Message;
use crate::node::HardState;
use crate::record::{Entry, Payload, Stages};

/// Things to do, in order of decision.
#[derive(Debug, Default)]
pub struct Output {
    /// To be written and synced, then reported by its number. Batches are written in the order of their numbers.
    pub persist: Option<Persist>,
    /// To be sent. Losing, repeating or reordering them is harmless.
    pub messages: Vec<Message>,
    /// To be applied to the state, in this order: CSN order, hence log order in every group.
    pub apply: Vec<Apply>,
    /// The state's positions once `apply` is applied, stored with it in one atomic write.
    pub applied: Option<AppliedTo>,
    /// What this server is now, if that changed.
    pub office: Option<Office>,
}

impl Output {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.persist.is_none() && self.messages.is_empty() && self.apply.is_empty() && self.applied.is_none() && self.office.is_none()
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
}

/// A resolved fragment.
#[derive(Clone, Debug)]
pub struct Apply {
    /// Its group.
    pub group: GroupId,
    /// Its place in the group's log.
    pub index: Index,
    /// Its transaction's place in the commit order.
    pub csn: Csn,
    /// Its transaction's commit timestamp.
    pub timestamp: Timestamp,
    /// Stage records of the same log whose payloads come first; read them from the log store.
    pub stages: Stages,
    /// The writes; `Stored` ones are read from the log store.
    pub payload: Payload,
}

/// How far the state is once an output's fragments are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedTo {
    /// Every transaction up to here is applied, none after it.
    pub csn: Csn,
    /// The commit timestamp at `csn`.
    pub timestamp: Timestamp,
    /// The groups whose position moved: everything up to the index is applied or will never be.
    pub positions: Vec<(GroupId, Index)>,
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
