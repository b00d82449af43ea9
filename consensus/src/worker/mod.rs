//! Worker groups: the data plane.
//!
//! A worker never elects and never beats a heart. Its leader is the worker beside the consul, its term is the senate's
//! term, and it takes an append only while its senator's durable term is the append's.

pub mod cut;
mod stages;

use std::collections::VecDeque;

use crate::ids::{Csn, GroupId, Index, ServerId, Tail, Term, Timestamp};
use crate::log::{Base, Log, TermStartAt};
use crate::progress::Peers;
use crate::quorum::Members;
use crate::record::{Entry, Record};
use stages::LiveStage;

/// How many entries stay in memory for peers that lag behind.
const RETAINED_ENTRIES_MAX: u64 = 64 << 10;

/// A server's member of one worker group.
#[derive(Debug)]
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
    /// Whether `handed` moved since the driver was last told.
    pub(crate) moved: bool,
    /// The last fragment of the log that counts; the term-start if none came after it.
    pub(crate) last_fragment: (Index, Csn, Timestamp),
    /// How far the other members' logs are; a consul's.
    pub(crate) peers: Peers,
    /// The log agrees with this term's consul's up to here; a follower's.
    pub(crate) verified: Index,
    /// Fragments up to here are known to the follower's commit order.
    pub(crate) gathered: Index,
    /// A consul asked a donor for what follows this, and has no answer yet.
    pub(crate) fetching: Option<Tail>,
    /// The log agrees with the donor's up to here; zero where that isn't known.
    pub(crate) fetched: Index,
    /// Whether a donor answered since the last heartbeat.
    pub(crate) fetch_moves: bool,
    /// Whether this server alone stores the log, so that no peer needs entries from memory.
    alone: bool,
    /// Stage records that must stay, oldest first.
    stages: VecDeque<LiveStage>,
    /// The term-starts that the log has, by index.
    term_starts: Vec<(Index, TermStartAt)>,
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
            moved: false,
            last_fragment: (base.index, base.csn, base.timestamp),
            peers: Peers::default(),
            verified: Index::ZERO,
            gathered: Index::ZERO,
            fetching: None,
            fetched: Index::ZERO,
            fetch_moves: false,
            stages: VecDeque::new(),
            term_starts: Vec::new(),
            log,
        };
        for entry in term_starts {
            worker.learn(entry);
        }
        worker
    }

    /// The worker of a group that is new.
    pub(crate) fn create(group: GroupId, members: Members, base: Base) -> Self {
        let handed = base.index;
        Self::restore(group, members, Log::new(base), handed, &[])
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
                "a term starts once in a log, and terms never fall"
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
        assert!(index >= self.handed, "what was handed out stays");
        self.log.drop_suffix(index);
        self.term_starts.retain(|(at, _)| *at <= index);
        let base = self.log.base();
        (self.term_start_index, self.term_start) = self.term_starts.last().copied().unwrap_or((base.index, base.term_start));
    }

    /// Another term begins: nothing is known of its consul's log yet, nor of the peers'.
    pub(crate) fn enter_term(&mut self) {
        self.peers.clear();
        (self.verified, self.gathered) = (Index::ZERO, Index::ZERO);
        self.fetching = None;
        self.fetched = Index::ZERO;
        self.stages.clear();
    }

    /// Whether the current term's start is on a quorum.
    pub(crate) fn started(&self, term: Term) -> bool {
        self.term_start.term == term && self.commit >= self.term_start_index
    }

    /// The current term's start is final on all groups.
    pub(crate) fn begin_term(&mut self, cut: Csn, timestamp: Timestamp) {
        assert_eq!(self.term_start.cut, cut, "every group starts the term with the same cut");
        self.last_fragment = (self.term_start_index, cut, timestamp);
        self.restore_stages();
    }

    /// Moves the consul's commit index, by how far each member's log is known to be durable. Gives the bytes of the stage
    /// records that it passed.
    pub(crate) fn count(&mut self, me: ServerId, term: Term) -> u64 {
        let (log, peers) = (&self.log, &self.peers);
        let reached = self
            .members
            .quorum_index(|server| if server == me { log.durable() } else { peers.matched(server) });
        // Only an entry of the current term proves that those before it can't be replaced (Figure 8).
        if reached <= self.commit || self.log.term_at(reached) != Some(term) {
            return 0;
        }
        let before = std::mem::replace(&mut self.commit, reached);
        let released = self.release_stages(before, reached);
        self.forget_stages();
        released
    }

    /// Moves the position: everything up to `index` is handed out, or will never be.
    pub(crate) fn hand(&mut self, index: Index) {
        assert!(index >= self.handed, "what is handed out is in log order");
        assert!(index <= self.commit.max(self.verified), "what is handed out is on a quorum");
        self.handed = index;
        self.moved = true;
        self.forget_stages();
        // Where there are peers, the last entries stay for those who lag.
        let kept = if self.alone { 0 } else { RETAINED_ENTRIES_MAX };
        self.log.release(Index(index.0.min(self.log.last().0.saturating_sub(kept))));
    }

    /// Moves the position over records after the last fragment that will never be applied: the term-start, the void
    /// fragments before it, and stage records that were given up.
    pub(crate) fn settle(&mut self) {
        if self.handed >= self.last_fragment.0 {
            let open = self.first_open_stage().map_or(self.log.last(), Index::previous);
            let index = open.min(self.commit);
            if index > self.handed {
                self.hand(index);
            }
        }
    }

    /// Where the log could begin, were everything up to the position applied, at this CSN and commit timestamp.
    pub(crate) fn possible_base(&self, csn: Csn, timestamp: Timestamp) -> Base {
        let (index, csn, timestamp) = match self.first_stage() {
            None => (self.handed, csn, timestamp),
            Some(stage) if stage.index > self.handed => (self.handed, csn, timestamp),
            Some(LiveStage {
                index,
                before: Some((csn, timestamp)),
                ..
            }) => (index.previous(), csn, timestamp),
            Some(LiveStage { before: None, .. }) => return self.log.base().clone(),
        };
        assert!(
            index >= self.term_start_index,
            "the position is past the term-start before anything is truncated"
        );
        self.base_at(index, csn, timestamp)
    }

    /// The position, when everything up to this CSN is handed out.
    pub(crate) fn position(&self, csn: Csn, timestamp: Timestamp) -> Base {
        self.base_at(self.handed, csn, timestamp)
    }

    fn base_at(&self, index: Index, csn: Csn, timestamp: Timestamp) -> Base {
        let term = self.log.term_at(index).expect("the position is inside the log");
        let passed = self.term_starts.partition_point(|(at, _)| *at <= index);
        let term_start = passed
            .checked_sub(1)
            .map_or(self.log.base().term_start, |at| self.term_starts[at].1);
        Base {
            index,
            term,
            csn,
            timestamp,
            term_start,
            configuration: None,
        }
    }
}
