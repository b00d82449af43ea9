//! Worker groups: the data plane.
//!
//! A worker never elects and never beats a heart. Its leader is the worker beside the consul, its term is the senate's
//! term, and it takes an append only while its senator's durable term is the append's.

pub mod cut;
#[cfg(feature = "fingerprint")]
mod fingerprint;
mod gather;
mod stages;

use std::collections::VecDeque;

use crate::adoption::Fetching;
use crate::feeding::Feeding;
use crate::ids::{Csn, GroupId, Index, ServerId, Term, Timestamp};
use crate::log::{Base, Log, TermStartAt};
use crate::mutation::mutated;
use crate::progress::Peers;
use crate::quorum::Members;
use crate::record::{Entry, Record};
use crate::snapshot::Pull;
pub(crate) use gather::{Stated, judged};
use stages::LiveStage;

/// The part of the memory for entries that is for peers that lag: what they lack is in the log store too, and a working
/// set that grows with it costs more than reading it there.
const LAGGING_SHARE: usize = 16;
/// The same of a server that doesn't lead, and so doesn't know what peers lack.
const FOLLOWING_SHARE: usize = 512;

/// A server's member of one worker group.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(crate) group: GroupId,
    pub(crate) members: Members,
    pub(crate) log: Log,
    /// Every entry up to here is on a quorum of the group, counted by an entry of the current term.
    pub(crate) commit: Index,
    /// The latest term-start in the log.
    pub(crate) term_start: TermStartAt,
    /// Its index, or the base's where the base is past it.
    pub(crate) term_start_index: Index,
    /// Everything up to here is handed out to be applied, or will never be applied.
    pub(crate) handed: Index,
    /// Up to here nothing of the log is needed any more by a state that holds what is handed out: the position is here where
    /// a later fragment may name a stage record before `handed`.
    placed: Index,
    /// The fragments after `handed` that count, as far as they are known, in log order.
    live: VecDeque<Index>,
    /// The last fragment of the log that counts; the log's base if none came after it.
    pub(crate) last_fragment: (Index, Csn, Timestamp),
    /// How far the other members' logs are; a consul's.
    pub(crate) peers: Peers,
    /// Bytes of what this consul appended and no quorum has.
    pub(crate) window_bytes: u64,
    /// The log agrees with this term's consul's up to here; a follower's.
    pub(crate) verified: Index,
    /// Fragments up to here are known to the commit order.
    pub(crate) gathered: Index,
    /// Every fragment that counts, up to this CSN, is at or below `gathered`.
    pub(crate) complete: Csn,
    /// What the consul said of its log, until this one is as far.
    stated: VecDeque<Stated>,
    /// What a new consul asked a donor.
    pub(crate) fetching: Option<Fetching>,
    /// The snapshot that is being copied to this server.
    pub(crate) pull: Option<Pull>,
    /// What a scribe copies from others, to come to where the consul's log begins.
    pub(crate) feeding: Option<Feeding>,
    /// Durable records of the log were lost: where it ended is not known, until it holds a term-start of a later consul.
    pub(crate) damaged: Option<Term>,
    /// The last snapshot that was installed.
    installed: (Csn, Timestamp),
    /// So many bytes of entries stay in memory.
    pub(crate) memory_bytes_max: usize,
    /// Whether this server alone stores the log, so that no peer needs entries from memory.
    alone: bool,
    /// Stage records that must stay, oldest first.
    stages: VecDeque<LiveStage>,
    /// The term-starts that the log has, by index.
    term_starts: Vec<(Index, TermStartAt)>,
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::Mutation>,
}

impl Worker {
    /// A worker over a log that is durable as it stands.
    pub(crate) fn restore(group: GroupId, members: Members, mut log: Log, handed: Index, term_starts: &[Entry]) -> Self {
        log.persisted(log.last());
        let base = log.base();
        let mut worker = Self {
            group,
            alone: members.all().count() == 1,
            members,
            commit: base.index,
            term_start: base.term_start,
            term_start_index: base.index,
            handed,
            placed: handed,
            live: VecDeque::new(),
            last_fragment: (base.index, base.csn, base.timestamp),
            peers: Peers::default(),
            window_bytes: 0,
            verified: Index::ZERO,
            gathered: Index::ZERO,
            complete: base.csn,
            stated: VecDeque::new(),
            fetching: None,
            pull: None,
            feeding: None,
            damaged: None,
            installed: (base.csn, base.timestamp),
            memory_bytes_max: usize::MAX,
            stages: VecDeque::new(),
            term_starts: Vec::new(),
            #[cfg(feature = "mutations")]
            mutation: None,
            log,
        };
        for entry in term_starts {
            worker.learn(entry);
        }
        worker
    }

    /// The worker of a group that is new.
    /// Its state, if there is one from an earlier run, is at `position`.
    pub(crate) fn create(group: GroupId, members: Members, position: Base) -> Self {
        let handed = position.index;
        Self::restore(group, members, Log::new(position), handed, &[])
    }

    /// Others store the group from now on.
    pub(crate) fn set_members(&mut self, members: Members) {
        self.alone = members.all().count() == 1;
        self.members = members;
    }

    /// Takes note of a term-start in the log.
    pub(crate) fn learn(&mut self, entry: &Entry) {
        if let Record::TermStart(start) = &entry.record {
            assert!(
                entry.term > self.term_start.term,
                "a term starts once in a log, and terms never fall: {:?} has {:?}, then {:?} at {:?}",
                self.group,
                self.term_start,
                entry.term,
                entry.index
            );
            self.term_start = TermStartAt {
                term: entry.term,
                cut: start.cut,
            };
            self.term_start_index = entry.index;
            self.term_starts.push((entry.index, self.term_start));
        }
    }

    /// Drops the log after `index`: it conflicts with the consul's.
    pub(crate) fn drop_suffix(&mut self, index: Index) {
        assert!(
            index >= self.handed,
            "what was handed out stays: {:?} drops what follows {index:?}, but {:?} is handed out",
            self.group,
            self.handed
        );
        self.log.drop_suffix(index);
        self.term_starts.retain(|(at, _)| *at <= index);
        self.find_term_start();
    }

    fn find_term_start(&mut self) {
        let base = self.log.base();
        (self.term_start_index, self.term_start) = self.term_starts.last().copied().unwrap_or((base.index, base.term_start));
    }

    /// Another term begins: nothing is known of its consul's log yet, nor of the peers'.
    pub(crate) fn enter_term(&mut self) {
        self.peers.clear();
        self.window_bytes = 0;
        (self.verified, self.gathered) = (Index::ZERO, Index::ZERO);
        // What was gathered goes with the arrivals, and what was stated was said of another consul's log.
        self.complete = self.log.base().csn.max(self.installed.0);
        self.stated.clear();
        self.fetching = None;
        self.feeding = None;
        self.stages.clear();
        self.live.clear();
        self.abandon_pull();
    }

    /// Whether the current term's start is on a quorum.
    pub(crate) fn started(&self, term: Term) -> bool {
        let start = match mutated!(self, CountOldTermInGroups) {
            true => self.term_start_index.previous(),
            false => self.term_start_index,
        };
        self.term_start.term == term && self.commit >= start
    }

    /// Whether an entry is on a quorum, and here: a state must never be ahead of the log beside it.
    #[inline]
    pub(crate) fn has_on_quorum(&self, index: Index) -> bool {
        (self.commit >= index || mutated!(self, AckEarly)) && self.log.durable() >= index
    }

    /// Moves the consul's commit index, by how far each member's log is known to be durable. Gives the bytes of the stage
    /// records that it passed.
    pub(crate) fn count(&mut self, me: ServerId, term: Term) -> u64 {
        let (log, peers) = (&self.log, &self.peers);
        let reached = self
            .members
            .quorum_index(|server| if server == me { log.durable() } else { peers.matched(server) });
        // Only an entry of the current term proves that those before it can't be replaced (Figure 8).
        if reached <= self.commit || self.log.term_at(reached) != Some(term) && !mutated!(self, CountOldTermInGroups) {
            return 0;
        }
        let before = std::mem::replace(&mut self.commit, reached);
        let counted = self.log.between(before, reached).map(|entry| entry.bytes() as u64);
        self.window_bytes = self.window_bytes.saturating_sub(counted.sum());
        let released = self.release_stages(before, reached);
        self.forget_stages();
        released
    }

    /// Moves the position: everything up to `index` is handed out, or will never be.
    pub(crate) fn hand(&mut self, index: Index) {
        self.hand_one(index);
        self.forget_handed();
    }

    /// Moves the position; [`Worker::forget_handed`] follows, once for many.
    #[inline]
    pub(crate) fn hand_one(&mut self, index: Index) {
        assert!(
            index >= self.handed,
            "what is handed out is in log order: {:?} at {index:?} after {:?}",
            self.group,
            self.handed
        );
        assert!(
            index <= self.commit.max(self.verified),
            "what is handed out is on a quorum: {:?} at {index:?}, commit {:?}, verified {:?}",
            self.group,
            self.commit,
            self.verified
        );
        self.handed = index;
    }

    /// Drops what was noted of entries up to the position.
    pub(crate) fn forget_handed(&mut self) {
        let handed = self.live.partition_point(|live| *live <= self.handed);
        self.live.drain(..handed);
        self.forget_stages();
    }

    /// Lets go of entries that are handed out. Where `consul` leads, some that a peer lacks stay; where somebody else does,
    /// fewer, in case that this server follows it in office. Not where memory is all that there is of a log: there they go
    /// only with its base.
    pub(crate) fn trim(&mut self, consul: Option<ServerId>) {
        let share = match consul {
            Some(me) => {
                self.log.release(self.handed.min(self.peers.everywhere(&self.members, me)), 0);
                LAGGING_SHARE
            }
            None => FOLLOWING_SHARE,
        };
        let kept = if self.alone { 0 } else { self.memory_bytes_max / share };
        self.log.release(self.handed, kept);
    }

    /// The log is durable up to `index`; payloads may leave memory if the log store has them.
    pub(crate) fn persisted(&mut self, index: Index, stored: bool) {
        self.log.persisted(index);
        if stored {
            self.log.spill(self.memory_bytes_max);
        }
    }

    /// Moves the position over records that will never be applied: the term-start, void fragments, stage records that were
    /// given up. Whether it moved. Only under a consul that serves, whose term-start the log holds.
    pub(crate) fn settle(&mut self) -> bool {
        // A consul serves: the term-starts that it found a log for are on quorums. The first record of a group created
        // since then may not be, nor what a follower has after the last resolved fragment.
        let started = Some(self.term_start_index).filter(|index| *index > Index(1));
        let known = self.commit.max(started.unwrap_or_default()).min(self.log.durable());
        let live = self.live.front().map_or(known, |index| index.previous());
        let open = self.first_open_stage().map_or(known, Index::previous);
        let index = known.min(live).min(open);
        if index <= self.handed {
            return false;
        }
        self.hand(index);
        true
    }

    /// Whether the group's state has all that it ever had up to this CSN, whatever logs still show: it came whole later,
    /// or the group did.
    pub(crate) fn is_whole_at(&self, csn: Csn) -> bool {
        let created_later = |start: &(Index, TermStartAt)| self.log.base().index == Index::ZERO && start.1.cut >= csn;
        self.installed.0 >= csn || self.term_starts.first().is_some_and(created_later)
    }

    /// Whether a snapshot brought the group's state past what is handed out of all groups.
    pub(crate) fn is_ahead_of(&self, handed: Csn) -> bool {
        self.installed.0 > handed
    }

    /// The state came whole at this position.
    pub(crate) fn note_installed(&mut self, position: &Base) {
        self.installed = self.installed.max((position.csn, position.timestamp));
    }

    /// Where the log could begin, were everything up to the position applied, at this CSN and commit timestamp.
    pub(crate) fn possible_base(&self, csn: Csn, timestamp: Timestamp) -> Base {
        match self.first_stage() {
            Some(LiveStage { index, before, .. }) if index <= self.handed => match before {
                Some((csn, timestamp)) if index.previous() > self.log.base().index => self.base_at(index.previous(), csn, timestamp),
                _ => self.log.base().clone(),
            },
            _ => self.base_at(self.handed, csn, timestamp),
        }
    }

    /// The position, when everything up to this CSN is handed out: fragments up to it may follow the position, behind a stage
    /// record that is still needed. The state has them.
    pub(crate) fn position(&mut self, csn: Csn, timestamp: Timestamp) -> Base {
        // A snapshot may be ahead of the other groups.
        let (csn, timestamp) = self.installed.max((csn, timestamp));
        // In a new term it isn't known which stage records are needed before the log was gone through.
        if self.gathered >= self.term_start_index {
            let open = self.first_open_stage().map_or(self.handed, Index::previous);
            self.placed = self.handed.min(open).max(self.placed);
        }
        self.base_at(self.placed, csn, timestamp)
    }

    /// Whether the group's state has a fragment of this CSN, when `applied` is handed out in all groups.
    pub(crate) fn is_applied(&self, csn: Csn, applied: Csn) -> bool {
        csn <= applied.max(self.installed.0)
    }

    pub(crate) fn base_at(&self, index: Index, csn: Csn, timestamp: Timestamp) -> Base {
        let base = self.log.base();
        if index <= base.index {
            // Nothing happened since: the base holds at a later CSN too.
            let later = csn > base.csn;
            return Base {
                csn: if later { csn } else { base.csn },
                timestamp: if later { timestamp } else { base.timestamp },
                ..base.clone()
            };
        }
        let term = self.log.term_at(index).expect("the position is inside the log");
        let passed = self.term_starts.partition_point(|(at, _)| *at <= index);
        let term_start = match passed.checked_sub(1) {
            _ if mutated!(self, BaseWithoutTermStart) => TermStartAt::default(),
            None => base.term_start,
            Some(at) => self.term_starts[at].1,
        };
        Base {
            index,
            term,
            csn,
            timestamp,
            term_start,
            configuration: None,
        }
    }

    /// Takes note that the log begins after a base, over entries that are here.
    pub(crate) fn rebase(&mut self, base: Base) {
        if self.gathered >= self.term_start_index {
            self.gathered = self.gathered.max(base.index);
        }
        self.log.rebase(base);
        self.after_base();
    }

    /// What a snapshot at `base` holds is in the state (or, on a scribe, elsewhere). Whether the log begins anew after it;
    /// where the log has what the snapshot has, it stays as it is.
    pub(crate) fn take_base(&mut self, base: Base, term: Term) -> bool {
        if base.index < self.log.base().index {
            return false;
        }
        if base.index == self.log.base().index {
            self.complete = self.complete.max(base.csn);
            self.installed = self.installed.max((base.csn, base.timestamp));
            return false;
        }
        let here = self.log.term_at(base.index) == Some(base.term);
        let index = base.index;
        self.complete = self.complete.max(base.csn);
        self.installed = self.installed.max((base.csn, base.timestamp));
        if !here {
            assert!(
                self.handed < index,
                "what was applied is in every snapshot: {:?} lacks {:?} of {:?}, but {:?} is handed out",
                self.group,
                index,
                base.term,
                self.handed
            );
            self.last_fragment = (index, base.csn, base.timestamp);
            self.log.replace(base);
            self.live.clear();
            self.stages.clear();
            self.stated.clear();
            self.gathered = Index::ZERO;
            self.after_base();
        }
        self.placed = self.placed.max(index); // who gave it kept what may still be named
        self.commit = self.commit.max(index);
        self.verified = self.verified.max(index);
        if self.handed < index {
            self.hand(index);
        }
        if self.term_start.term == term && self.term_start_index == self.log.base().index {
            self.gathered = self.gathered.max(index);
        }
        !here
    }

    fn after_base(&mut self) {
        let index = self.log.base().index;
        self.term_starts.retain(|(at, _)| *at > index);
        self.find_term_start();
    }
}
