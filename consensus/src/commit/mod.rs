//! Commit order: from a proposal to a resolved, applied transaction.
//!
//! ```text
//!   proposed ──► sequenced (CSN, fragments in the logs) ──► resolved ──► handed to the state machine
//!                     pending, bounded in bytes            strictly in CSN order
//! ```
//!
//! A transaction is resolved when all its fragments *and those of every transaction before it* are on quorums. There is
//! no prepare and no commit record: the fragments name each other, and the cut decides after a failure.

mod keys;

use std::collections::VecDeque;

use crate::ids::{Csn, GroupId, Key, Participant, Timestamp};
use crate::record::Participants;
use keys::Keys;

/// A transaction between its CSN and its application.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) timestamp: Timestamp,
    /// One of its fragments.
    pub(crate) place: Participant,
    /// All of them.
    pub(crate) participants: Participants,
    /// What it counts against the limit.
    pub(crate) bytes: u32,
}

impl Pending {
    /// The places of all fragments.
    pub(crate) fn places(&self) -> &[Participant] {
        match &self.participants {
            Participants::Alone => std::slice::from_ref(&self.place),
            Participants::Several(list) => list,
        }
    }
}

/// Gives CSNs and keeps the transactions that are not yet handed out, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequencer {
    /// Transactions `handed + 1 ..`, gap-free.
    pending: VecDeque<Pending>,
    /// Every transaction up to here is handed out to be applied.
    handed: Csn,
    handed_timestamp: Timestamp,
    /// Every transaction up to here is resolved.
    resolved: Csn,
    /// The highest commit timestamp given or found.
    last_timestamp: Timestamp,
    /// Bytes of what is pending, and of stage records that are not yet on a quorum.
    bytes: u64,
    /// The keys of transactions that are not reported applied.
    keys: Keys,
    /// What is handed out and not reported applied: up to this CSN, from the one before, so many bytes.
    unapplied: VecDeque<(Csn, u64)>,
    unapplied_bytes: u64,
}

impl Sequencer {
    /// A sequencer that knows everything up to `applied` to be resolved and in the state.
    pub(crate) fn new(applied: Csn, timestamp: Timestamp) -> Self {
        Self {
            handed: applied,
            handed_timestamp: timestamp,
            resolved: applied,
            last_timestamp: timestamp,
            ..Self::default()
        }
    }

    /// The CSN that the next transaction gets.
    pub(crate) fn next(&self) -> Csn {
        Csn(self.handed.0 + self.pending.len() as u64 + 1)
    }

    pub(crate) fn resolved(&self) -> Csn {
        self.resolved
    }

    pub(crate) fn handed(&self) -> (Csn, Timestamp) {
        (self.handed, self.handed_timestamp)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn last_timestamp(&self) -> Timestamp {
        self.last_timestamp
    }

    /// At least `floor`: seen in a base or a term-start.
    pub(crate) fn raise_timestamp(&mut self, floor: Timestamp) {
        self.last_timestamp = self.last_timestamp.max(floor);
    }

    /// The commit timestamp for a transaction that wants `wanted`: higher than all before it.
    pub(crate) fn timestamp(&self, wanted: Timestamp) -> Timestamp {
        wanted.max(self.last_timestamp.next())
    }

    /// Gives the next CSN to a transaction, which has this key.
    pub(crate) fn push(&mut self, pending: Pending, key: Option<Key>) {
        assert!(pending.timestamp > self.last_timestamp, "commit timestamps grow with the CSN");
        self.last_timestamp = pending.timestamp;
        self.bytes += u64::from(pending.bytes);
        self.keys.insert(key, self.next());
        self.pending.push_back(pending);
    }

    /// The CSN of a transaction with this key that is not reported applied.
    pub(crate) fn known(&self, key: Key) -> Option<Csn> {
        self.keys.get(key)
    }

    /// Everything up to here is in the state, which knows the keys.
    pub(crate) fn applied(&mut self, csn: Csn) {
        self.keys.forget_upto(csn);
        while let Some((_, bytes)) = self.unapplied.pop_front_if(|(upto, _)| *upto <= csn) {
            self.unapplied_bytes -= bytes;
        }
    }

    /// So many bytes were handed out since this was last said.
    pub(crate) fn wait_for_state(&mut self, bytes: u64) {
        if bytes > 0 {
            self.unapplied.push_back((self.handed, bytes));
            self.unapplied_bytes += bytes;
        }
    }

    /// Bytes of what is handed out and not reported applied.
    pub(crate) fn unapplied_bytes(&self) -> u64 {
        self.unapplied_bytes
    }

    /// The next transaction, which has this key, and of which a follower knows that it is resolved.
    pub(crate) fn push_resolved(&mut self, pending: Pending, key: Option<Key>) {
        let next = self.next();
        assert_eq!(self.resolved.next(), next, "a follower sequences nothing");
        // A consul that was deposed may have given higher timestamps to transactions that never happened.
        self.last_timestamp = self.last_timestamp.max(pending.timestamp);
        self.keys.insert(key, next);
        self.pending.push_back(pending);
        self.resolved = next;
    }

    /// Whether nothing waits to be handed out.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Everything up to here is in the state already: group snapshots brought it.
    pub(crate) fn pass_to(&mut self, csn: Csn, timestamp: Timestamp) {
        assert!(
            self.is_empty() && csn >= self.resolved,
            "what is passed over is not waiting to be handed out"
        );
        (self.handed, self.resolved) = (csn, csn);
        self.handed_timestamp = self.handed_timestamp.max(timestamp);
        self.last_timestamp = self.last_timestamp.max(timestamp);
    }

    /// Counts a stage record, until [`Sequencer::unstage`].
    pub(crate) fn stage(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Stage records of so many bytes are on a quorum, or the term is over.
    pub(crate) fn unstage(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Moves `resolved` as far as transactions have all their fragments on quorums.
    pub(crate) fn resolve(&mut self, mut on_quorum: impl FnMut(&Participant) -> bool) {
        let mut offset = self.waiting();
        while let Some(pending) = self.pending.get(offset) {
            if !pending.places().iter().all(&mut on_quorum) {
                break;
            }
            offset += 1;
        }
        self.resolved = Csn(self.handed.0 + offset as u64);
    }

    /// The transaction that is to be resolved next.
    pub(crate) fn first_unresolved(&self) -> Option<&Pending> {
        self.pending.get(self.waiting())
    }

    /// How many resolved transactions wait to be handed out.
    pub(crate) fn waiting(&self) -> usize {
        (self.resolved.0 - self.handed.0) as usize
    }

    /// Whether a resolved transaction of this group waits to be handed out.
    pub(crate) fn waits_in(&self, group: GroupId) -> bool {
        let mut waiting = self.pending.iter().take(self.waiting());
        waiting.any(|pending| pending.places().iter().any(|place| place.group == group))
    }

    /// The next resolved transaction, to be handed out now.
    pub(crate) fn hand(&mut self) -> Option<(Csn, Pending)> {
        if self.waiting() == 0 {
            return None;
        }
        let pending = self.pending.pop_front()?;
        self.handed = self.handed.next();
        self.handed_timestamp = pending.timestamp;
        self.bytes -= u64::from(pending.bytes);
        Some((self.handed, pending))
    }

    /// Forgets what isn't resolved: another consul decides about it.
    pub(crate) fn depose(&mut self) {
        self.pending.truncate(self.waiting());
        self.keys.forget_after(self.resolved);
        self.bytes = self.pending.iter().map(|pending| u64::from(pending.bytes)).sum();
    }
}
