//! The door for transactions: proposals, and the stage records that go ahead of large ones.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::commit::Pending;
use crate::ids::{Csn, GroupId, Index, Key, Participant, Timestamp};
use crate::node::Node;
use crate::record::{Fragment, Participants, Payload, RECORD_BYTES, Record, Stages};
use crate::worker::Worker;

/// One group's part of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The group.
    pub group: GroupId,
    /// Stage records of this group that come before the payload, ascending; usually none.
    pub stages: Vec<Index>,
    /// The writes.
    pub payload: Bytes,
}

/// Why a proposal was not taken. It is unchanged and can be proposed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposeError {
    /// This server is not a serving consul.
    NotConsul,
    /// This server hands its office over; try again with the next consul.
    Transferring,
    /// Too many bytes are unresolved; try again after the next output that applies something.
    Full,
    /// A transaction with this key has this CSN already. It is committed once that is applied.
    Known(Csn),
    /// It has no part.
    Empty,
    /// Groups must ascend, each once; this one doesn't.
    GroupOrder(GroupId),
    /// There is no such group.
    UnknownGroup(GroupId),
    /// The group takes no proposals: it is new and not yet on a quorum, or it is being dropped.
    ClosedGroup(GroupId),
    /// The group has no such open stage record of this term.
    UnknownStage(GroupId, Index),
    /// The part's payload is longer than a record can be.
    TooLarge(GroupId),
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProposeError::NotConsul => f.write_str("this server is not the consul"),
            ProposeError::Transferring => f.write_str("this server is handing its office over"),
            ProposeError::Known(csn) => write!(f, "a transaction with this key has CSN {csn}"),
            ProposeError::Full => f.write_str("too many bytes are unresolved"),
            ProposeError::Empty => f.write_str("a transaction needs at least one fragment"),
            ProposeError::GroupOrder(group) => write!(f, "group {group} is out of order or repeated"),
            ProposeError::UnknownGroup(group) => write!(f, "there is no group {group}"),
            ProposeError::ClosedGroup(group) => write!(f, "group {group} takes no proposals yet, or not any more"),
            ProposeError::UnknownStage(group, index) => write!(f, "group {group} has no open stage record at {index}"),
            ProposeError::TooLarge(group) => write!(f, "the part for group {group} is too large for one record"),
        }
    }
}

impl std::error::Error for ProposeError {}

/// The largest payload of one record, in bytes: its framed length must fit 32 bits with room for the participant list.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;

fn record_bytes(payload_bytes: u64) -> u64 {
    payload_bytes + RECORD_BYTES as u64
}

impl Node {
    /// Proposes a transaction with these parts, ascending by group, and gives it its CSN. It is committed once an output
    /// has handed out its fragments; `parts` is emptied. On an error nothing changed.
    ///
    /// The commit timestamp is `timestamp`, or a little later where that is needed for timestamps to grow. A `key` names
    /// the transaction for its client: no second one with the same key gets a CSN while the first is not applied; of
    /// applied ones the state knows.
    pub fn propose(&mut self, timestamp: Timestamp, key: Option<Key>, parts: &mut Vec<Part>) -> Result<Csn, ProposeError> {
        let bytes = self.check_proposal(parts)?;
        if let Some(known) = key.and_then(|key| self.sequencer.known(key)) {
            return Err(ProposeError::Known(known));
        }
        let csn = self.sequencer.next();
        let timestamp = self.sequencer.timestamp(timestamp);
        let participants = match parts.as_slice() {
            [_] => Participants::Alone,
            several => Participants::Several(
                several
                    .iter()
                    .map(|part| {
                        let worker = self.worker(part.group).expect("checked");
                        Participant {
                            group: part.group,
                            index: worker.log.last().next(),
                        }
                    })
                    .collect(),
            ),
        };
        let mut place = None;
        for part in parts.drain(..) {
            let slot = self.slot(part.group).expect("checked");
            let worker = &mut self.workers[slot];
            let index = worker.log.last().next();
            place.get_or_insert(Participant { group: part.group, index });
            worker.name_stages(&part.stages, index);
            worker.last_fragment = (index, csn, timestamp);
            worker.sequenced(index);
            let fragment = Fragment {
                csn,
                timestamp,
                key,
                participants: participants.clone(),
                stages: Stages::from(part.stages),
                payload: Payload::Held(part.payload),
            };
            self.append(slot, Record::Fragment(Arc::new(fragment)));
        }
        let place = place.expect("a proposal has parts");
        let pending = Pending {
            timestamp,
            place,
            participants,
            bytes,
        };
        self.sequencer.push(pending, key);
        Ok(csn)
    }

    fn check_office(&self) -> Result<(), ProposeError> {
        if self.serving.is_none() {
            return Err(ProposeError::NotConsul);
        }
        if self.transfer.under_way() {
            return Err(ProposeError::Transferring);
        }
        Ok(())
    }

    /// A group that takes proposals.
    fn open_group(&self, group: GroupId) -> Result<usize, ProposeError> {
        let slot = self.slot(group).ok_or(ProposeError::UnknownGroup(group))?;
        if !self.workers[slot].started(self.senator.term) || self.standing.closed.contains(&group) {
            return Err(ProposeError::ClosedGroup(group));
        }
        Ok(slot)
    }

    fn check_proposal(&self, parts: &[Part]) -> Result<u32, ProposeError> {
        self.check_office()?;
        if parts.is_empty() {
            return Err(ProposeError::Empty);
        }
        let mut bytes = 0;
        let mut last = None;
        let mut fits = true;
        for part in parts {
            let worker = &self.workers[self.open_group(part.group)?];
            if last.replace(part.group).is_some_and(|last| last >= part.group) {
                return Err(ProposeError::GroupOrder(part.group));
            }
            if part.payload.len() > PAYLOAD_BYTES_MAX {
                return Err(ProposeError::TooLarge(part.group));
            }
            if let Some(index) = worker.unknown_stage(&part.stages) {
                return Err(ProposeError::UnknownStage(part.group, index));
            }
            let part_bytes = record_bytes(part.payload.len() as u64);
            bytes += part_bytes;
            fits &= self.fits(worker, part_bytes);
        }
        if !fits || !self.has_room_for(bytes) {
            return Err(ProposeError::Full);
        }
        Ok(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Sends a piece of a large write set ahead to a group's log, and gives its index there. It means nothing until a
    /// proposal of this consul in this term names it; [`Node::discard`] gives it up.
    pub fn stage(&mut self, group: GroupId, payload: Bytes) -> Result<Index, ProposeError> {
        self.check_office()?;
        let slot = self.open_group(group)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(ProposeError::TooLarge(group));
        }
        if !self.has_room([(group, payload.len() as u64)]) {
            return Err(ProposeError::Full);
        }
        self.sequencer.stage(record_bytes(payload.len() as u64));
        let index = self.append(slot, Record::Stage(Payload::Held(payload)));
        self.workers[slot].open_stage(index);
        Ok(index)
    }

    /// Gives up stage records that no proposal will name. Unknown ones are ignored: the term that opened them is over.
    pub fn discard(&mut self, group: GroupId, stages: &[Index]) {
        if let Some(slot) = self.slot(group) {
            let worker = &mut self.workers[slot];
            worker.discard_stages(stages);
            // Others keep them until they are told.
            worker.peers.announce();
            self.sending.insert(slot);
        }
    }

    /// Whether a proposal with payloads of so many bytes for each of these groups would find room: among all that is unresolved, and
    /// in the window of every group.
    pub fn has_room(&self, parts: impl IntoIterator<Item = (GroupId, u64)>) -> bool {
        let mut all = 0;
        let fits = parts.into_iter().all(|(group, payload_bytes)| {
            let bytes = record_bytes(payload_bytes);
            all += bytes;
            self.worker(group).is_none_or(|worker| self.fits(worker, bytes))
        });
        fits && self.has_room_for(all)
    }

    fn fits(&self, worker: &Worker, bytes: u64) -> bool {
        worker.window_bytes == 0 || worker.window_bytes + bytes <= self.config.group_window_bytes_max
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        let waiting = self.sequencer.bytes();
        waiting == 0 || waiting + bytes <= self.config.unresolved_bytes_max
    }
}
