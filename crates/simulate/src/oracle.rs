//! What must be true whatever happens, kept up to date with every step.
//!
//! - *Election safety*: one consul a term, and no term is led twice.
//! - *Log matching*: an entry is known by its log, index and term, for good; with the term of the entry before it. By
//!   induction, two logs that agree at a place agree before it.
//! - *State-machine safety* and *prefix order*: the first server to apply a CSN decides it for all; every server applies
//!   them one after the other, whole, to states with the same digests.
//! - *Leader completeness after inauguration*: a consul that serves has all that was decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use curia_consensus::{
    Configuration, Csn, Entry, GroupId, Incarnation, Index, Key, LogId, Participant, Payload, Record, ServerId, Term, Timestamp,
};

use crate::dice::{mix, mix_bytes};
use crate::state::{State, Writes};

/// An entry that some server has, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    term: Term,
    /// Term of the entry before it.
    before: Term,
    /// Of its record.
    content: u64,
}

/// One group's part of a transaction, as a server applies it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The group.
    pub group: GroupId,
    /// Its fragment's place.
    pub index: Index,
    /// The transaction's idempotency key, with the first part only.
    pub key: Option<Key>,
    /// What tells the fragment from others at its place.
    pub content: u64,
    /// What it does.
    pub writes: Writes,
}

/// A transaction that some server has applied.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The operation that it was proposed for.
    pub operation: u64,
    /// Its commit timestamp.
    pub timestamp: Timestamp,
    /// Its fragments, with their terms.
    pub places: Vec<(Participant, Term)>,
}

/// Knows everything that ever happened.
#[derive(Debug, Default)]
pub struct Oracle {
    consuls: BTreeMap<Term, (ServerId, Incarnation)>,
    /// By index, from 1.
    logs: BTreeMap<LogId, Vec<Vec<Known>>>,
    /// By CSN, from 1.
    decided: Vec<Decided>,
    /// The state after all that is decided.
    truth: State,
    /// Each group's digest after the CSNs that changed it.
    digests: BTreeMap<GroupId, Vec<(Csn, u64)>>,
    /// The highest CSN that was called resolved in each term.
    resolved: BTreeMap<Term, Csn>,
    /// All that were ever written, in that order.
    configurations: Vec<Arc<Configuration>>,
}

fn content(record: &Record) -> u64 {
    match record {
        Record::Noop => 1,
        Record::Barrier => 6,
        Record::Configuration(configuration) => mix_bytes(2, format!("{configuration:?}").as_bytes()),
        Record::TermStart(start) => mix(mix(3, start.cut.0), start.timestamp.0),
        Record::Stage(payload) => mix_bytes(4, held(payload)),
        Record::Fragment(fragment) => {
            let stages = fragment.stages.as_slice();
            fragment_content(fragment.csn, fragment.timestamp, stages, held(&fragment.payload))
        }
    }
}

fn held(payload: &Payload) -> &[u8] {
    match payload {
        Payload::Held(bytes) => bytes,
        Payload::Stored(_) => panic!("a log store is given payloads, not their lengths"),
    }
}

/// What tells a fragment from others at its place.
pub fn fragment_content(csn: Csn, timestamp: Timestamp, stages: &[Index], payload: &[u8]) -> u64 {
    let hash = mix_bytes(mix(mix(5, csn.0), timestamp.0), payload);
    stages.iter().fold(hash, |hash, stage| mix(hash, stage.0))
}

impl Oracle {
    /// A server says that it is consul of a term.
    pub fn leads(&mut self, term: Term, server: ServerId, run: Incarnation) {
        let first = *self.consuls.entry(term).or_insert((server, run));
        assert_eq!(first, (server, run), "election safety: two consuls in {term:?}");
    }

    /// A server writes an entry, after one of term `before`.
    pub fn written(&mut self, server: ServerId, log: LogId, entry: &Entry, before: Option<Term>) {
        let before = before.unwrap_or_else(|| panic!("{server:?} leaves a gap in {log:?} before {:?}", entry.index));
        let known = Known {
            term: entry.term,
            before,
            content: content(&entry.record),
        };
        assert!(before <= entry.term, "{server:?}: terms fall along {log:?} at {:?}", entry.index);
        let places = self.logs.entry(log).or_default();
        let at = entry.index.0 as usize;
        if places.len() <= at {
            places.resize(at + 1, Vec::new());
        }
        match places[at].iter().find(|other| other.term == entry.term) {
            Some(other) => assert_eq!(
                *other, known,
                "log matching: {server:?} has another entry at {log:?} {:?}: {entry:?}",
                entry.index
            ),
            None => {
                places[at].push(known);
                if let Record::Configuration(configuration) = &entry.record {
                    self.configurations.push(configuration.clone());
                }
            }
        }
    }

    /// The last term that wrote this content at this place: an earlier one's was void, or it wouldn't have been written again.
    pub fn term_of(&self, log: LogId, index: Index, content: u64) -> Option<Term> {
        let places = self.logs.get(&log)?.get(index.0 as usize)?;
        let same = places.iter().filter(|known| known.content == content);
        same.map(|known| known.term).max()
    }

    /// All configurations that were ever written, in the order in which the first server did so.
    pub fn configurations(&self) -> &[Arc<Configuration>] {
        &self.configurations
    }

    /// How many CSNs are decided.
    pub fn decided_csn(&self) -> Csn {
        Csn(self.decided.len() as u64)
    }

    /// The transaction of a CSN, once it is decided.
    pub fn decided(&self, csn: Csn) -> Option<&Decided> {
        self.decided.get(csn.0.checked_sub(1)? as usize)
    }

    /// The first server applies a CSN.
    pub fn decide(&mut self, csn: Csn, decided: Decided, parts: &[Part]) {
        assert_eq!(csn, self.decided_csn().next(), "prefix order: CSNs are applied one after the other");
        if let Some(last) = self.decided.last() {
            assert!(last.timestamp < decided.timestamp, "commit timestamps grow with the CSN: {csn:?}");
        }
        for part in parts {
            let state = self.truth.group_mut(part.group);
            state.apply(&part.writes);
            if let Some(key) = part.key {
                state.remember(key, csn);
            }
            let digest = state.digest;
            self.digests.entry(part.group).or_default().push((csn, digest));
        }
        self.truth.applied.csn = csn;
        self.decided.push(decided);
    }

    /// The digest of a group at a CSN.
    pub fn digest(&self, group: GroupId, csn: Csn) -> u64 {
        let Some(digests) = self.digests.get(&group) else { return 0 };
        match digests.partition_point(|(at, _)| *at <= csn) {
            0 => 0,
            after => digests[after - 1].1,
        }
    }

    /// Whether some configuration has already dropped this group.
    pub fn is_gone(&self, group: GroupId) -> bool {
        let last = self.configurations.iter().rev();
        last.take(8)
            .any(|configuration| configuration.next_group > group && configuration.group(group).is_none())
    }

    /// Compares all of a server's state, but for dropped groups: who joined late may have a part of them only.
    pub fn compare(&self, server: ServerId, state: &State) {
        for (group, contents) in state.groups.iter().filter(|(group, _)| !self.is_gone(**group)) {
            assert_eq!(
                contents.digest,
                self.digest(*group, state.csn().max(contents.installed)),
                "digests: {server:?}'s {group:?} at {:?} is not what was applied",
                state.csn()
            );
        }
    }

    /// The consul of this term calls this resolved, or a server of this term applies it.
    pub fn resolved(&mut self, term: Term, csn: Csn) {
        let known = self.resolved.entry(term).or_default();
        *known = csn.max(*known);
    }

    /// What consuls of lower terms resolved. A consul may hear so late that its term-starts were on quorums that later ones
    /// have served; what they resolved came after its cut.
    pub fn resolved_before(&self, term: Term) -> Csn {
        let earlier = self.resolved.range(..term).map(|(_, csn)| *csn);
        earlier.max().unwrap_or_default()
    }

    /// A consul begins to serve from a cut.
    pub fn serves(&self, server: ServerId, term: Term, cut: Csn) {
        let acknowledged = self.resolved_before(term);
        assert!(
            cut >= acknowledged,
            "acknowledged is never lost: {server:?} serves {term:?} from {cut:?}, but {acknowledged:?} was resolved"
        );
    }
}
