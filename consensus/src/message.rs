//! What servers say to each other.
//!
//! A message names the run of the server that asks; its answer names the same run, so that an answer to an earlier run
//! counts for nothing. Messages may be lost, repeated and reordered. What arrives is input: a message that makes no sense
//! is refused with a reason and changes nothing.
//!
//! One [`Append`] per peer and flush carries the appends of the senate and of all groups, so the number of messages does
//! not depend on the number of groups. An empty one is the heartbeat.

use std::fmt;

use bytes::Bytes;

use crate::ids::{ClusterId, Csn, GroupId, Incarnation, Index, LogId, ServerId, Tail, Term};
use crate::log::Base;
use crate::record::Entry;

/// A message from one senator to another; it also speaks for the workers beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's cluster.
    pub cluster: ClusterId,
    /// Who sends.
    pub from: ServerId,
    /// To whom.
    pub to: ServerId,
    /// Which run asked: the sender's in a request, the receiver's in an answer.
    pub incarnation: Incarnation,
    /// The sender's term; in a pre-vote and a granted answer to it, the term that the candidate would stand in.
    pub term: Term,
    /// What.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Would you vote for me? Changes nothing at the voter (thesis, section 9.6).
    PreVote {
        /// Where the candidate's senate log ends.
        tail: Tail,
        /// How far its worker logs and its state are.
        freshness: Freshness,
    },
    /// The answer to a pre-vote.
    PreVoteReply {
        /// Whether it would.
        granted: bool,
        /// Where the voter's senate log ends.
        tail: Tail,
        /// How far its worker logs and its state are.
        freshness: Freshness,
    },
    /// Vote for me.
    Vote {
        /// Where the candidate's senate log ends.
        tail: Tail,
        /// The consul itself wishes it: a living consul is no reason to refuse.
        transfer: bool,
    },
    /// The answer to a vote request.
    VoteReply {
        /// Whether the vote is given.
        granted: bool,
        /// The fence: where the voter's worker logs end, durably, for all earlier terms and for good. A log whose end
        /// isn't known, because records of it are damaged, is left out.
        tails: Vec<(GroupId, Tail)>,
    },
    /// The consul's entries, and its sign of life.
    Append(Append),
    /// The answer to an append.
    AppendReply(AppendReply),
    /// Asks for what this server lacks of a log.
    Fetch {
        /// The log.
        log: LogId,
        /// The asker has the entry with this term and index, if the answerer has it too; zero is the log's beginning.
        after: Tail,
    },
    /// The answer to a fetch.
    Fetched {
        /// The log.
        log: LogId,
        /// What was asked.
        after: Tail,
        /// What follows it.
        donated: Donated,
    },
    /// Asks for a piece of a group's snapshot.
    SnapshotFetch {
        /// The group.
        group: GroupId,
        /// The snapshot that the pieces so far were of; zero for any, from its beginning.
        of: u64,
        /// How many bytes of it the asker has.
        offset: u64,
    },
    /// A piece of a group's snapshot, or the news that there is none to be had.
    Snapshot {
        /// The group.
        group: GroupId,
        /// How far the sender knows the senate's log to be committed: the receiver must know the groups that the snapshot's
        /// transactions wrote to.
        commit: Index,
        /// Names the snapshot: pieces of two never mix, not even where they are of the same state.
        of: u64,
        /// Where the log begins behind the snapshot; `None` when this server can't give one now.
        base: Option<Base>,
        /// How many bytes come before this piece.
        offset: u64,
        /// The piece, opaque to the protocol.
        data: Bytes,
        /// Whether it is the last.
        last: bool,
    },
    /// The consul asks this server to stand for election at once (thesis, section 3.10).
    TimeoutNow {
        /// Where the consul's senate log ends; this server's must end there too.
        tail: Tail,
    },
    /// Asks the consul for the CSN that a strict read needs.
    ReadIndex {
        /// Names the question.
        id: u64,
    },
    /// The answer, after the consul confirmed its office.
    ReadIndexReply {
        /// The question.
        id: u64,
        /// Reads at this CSN or later see all that was acknowledged before the question; `None` when the consul doesn't
        /// serve.
        csn: Option<Csn>,
    },
}

/// No history has so many elections, entries, transactions or bytes: a higher number is damage, and what follows it must
/// still be a number.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;

impl Body {
    /// Whether its numbers are such that some history might have led to them.
    pub(crate) fn is_plausible(&self) -> bool {
        let number = |number: u64| number <= NUMBER_MAX;
        let place = |place: &Tail| number(place.term.0) && number(place.index.0);
        let tails = |tails: &[(GroupId, Tail)]| tails.iter().all(|(_, tail)| place(tail));
        let begins = |base: &Base| place(&base.tail()) && number(base.csn.0.max(base.timestamp.0).max(base.term_start.cut.0));
        let start = |base: &Option<Base>| base.as_ref().is_none_or(begins);
        match self {
            Body::PreVote { tail, freshness } | Body::PreVoteReply { tail, freshness, .. } => {
                place(tail) && number(freshness.logged) && number(freshness.applied.0)
            }
            Body::Vote { tail, .. } | Body::TimeoutNow { tail } => place(tail),
            Body::VoteReply { tails: reported, .. } => tails(reported),
            Body::Append(append) => {
                let plausible = |section: &Section| {
                    place(&section.previous) && start(&section.base) && number(section.complete.0) && number(section.closed.0)
                };
                let csn = append.resolved.unwrap_or_default().max(append.snapshot_floor);
                number(append.round) && number(append.commit.0) && number(csn.0) && append.sections.iter().all(plausible)
            }
            Body::AppendReply(reply) => {
                let plausible = |matched: &Matched| match matched {
                    Matched::Upto(index) => number(index.0),
                    Matched::Not(hint) => place(hint),
                };
                number(reply.round)
                    && number(reply.applied.max(reply.durable_applied).0)
                    && reply.tails.as_deref().is_none_or(tails)
                    && reply.sections.iter().all(|(_, matched)| plausible(matched))
            }
            Body::Fetch { after, .. } => place(after),
            Body::Fetched { after, donated, .. } => {
                place(after)
                    && match donated {
                        Donated::Entries(_) => true, // they follow that place
                        Donated::Parted(hint) => place(hint),
                        Donated::Begins(base) => begins(base),
                    }
            }
            Body::SnapshotFetch { offset, .. } => number(*offset),
            Body::Snapshot { base, offset, commit, .. } => start(base) && number(*offset) && number(commit.0),
            Body::ReadIndex { .. } => true, // a name
            Body::ReadIndexReply { csn, .. } => number(csn.unwrap_or_default().0),
        }
    }
}

/// How far a server's worker logs and its state are, summed over groups: what a new consul would have to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Freshness {
    /// The sum of its worker logs' last indexes.
    pub logged: u64,
    /// The CSN that its state has reached.
    pub applied: Csn,
}

/// What a donor has behind the place that it was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Donated {
    /// The entries that follow it; none at the end of the log.
    Entries(Vec<Entry>),
    /// The log doesn't have that place. The two might agree at this one.
    Parted(Tail),
    /// The log begins after that place: take this base, and the snapshot that belongs to it, first.
    Begins(Base),
}

/// Entries of any number of logs.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Append {
    /// Whether the consul knows the receiver's tails at this term; until then every answer carries them.
    pub tails_known: bool,
    /// Grows with each flush to peers; the answer echoes it.
    pub round: u64,
    /// No other server that could become consul has much longer worker logs than the receiver.
    pub favoured: bool,
    /// Every entry of the senate's log up to here is committed.
    pub commit: Index,
    /// Every transaction up to here is resolved; nothing before the consul serves.
    pub resolved: Option<Csn>,
    /// Everything up to here is in snapshots that survive the loss of every state server: scribes may truncate it.
    pub snapshot_floor: Csn,
    /// The run of the receiver that the consul last heard of in this term.
    pub run: Option<Incarnation>,
    /// Logs that this run said were damaged, and that have everything again that earlier runs may have acknowledged.
    pub mended: Vec<LogId>,
    /// The logs with something to say.
    pub sections: Vec<Section>,
}

/// The part of an [`Append`] for one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The log.
    pub log: LogId,
    /// The consul's log begins here, after what the receiver lacks: it needs this base first.
    pub base: Option<Base>,
    /// The entry before the first one here.
    pub previous: Tail,
    /// What follows it.
    pub entries: Vec<Entry>,
    /// Every fragment of the group that counts, up to this CSN, is at or below the last entry here.
    pub complete: Csn,
    /// No fragment after the last entry here names a stage record at or below this.
    pub closed: Index,
}

impl Section {
    /// A section that says nothing yet.
    pub(crate) fn new(log: LogId) -> Self {
        Self {
            log,
            base: None,
            previous: Tail::default(),
            entries: Vec::new(),
            complete: Csn::ZERO,
            closed: Index::ZERO,
        }
    }

    /// The last entry that it speaks of.
    pub(crate) fn last(&self) -> Tail {
        self.entries.last().map_or(self.previous, |entry| Tail {
            term: entry.term,
            index: entry.index,
        })
    }
}

/// How far a server's logs are, durably.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AppendReply {
    /// The highest round of this term that was heard of.
    pub round: u64,
    /// The fence, until the consul knows it; see [`Body::VoteReply`].
    pub tails: Option<Vec<(GroupId, Tail)>>,
    /// An answer for each section.
    pub sections: Vec<(LogId, Matched)>,
    /// Everything up to here is in the server's state, if it runs one.
    pub applied: Csn,
    /// Everything up to here is durable in its state.
    pub durable_applied: Csn,
    /// Group snapshots took it past CSNs whose fragments it will never see: sections must say what is complete.
    pub healing: bool,
    /// The run of the server that answers: another one may not have what this one had.
    pub run: Incarnation,
    /// The logs of which it doesn't know where they ended: durable records of them are damaged.
    pub damaged: Vec<LogId>,
}

/// What became of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The log is the consul's up to here, and durable.
    Upto(Index),
    /// The log doesn't have the section's previous entry. It might match at this index, of this term (thesis, section
    /// 5.3: one step back per term).
    Not(Tail),
}

/// Why a message changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// From another cluster.
    Cluster,
    /// Meant for another server.
    Address,
    /// From a server that is in no membership.
    Stranger,
    /// From a lower term.
    StaleTerm,
    /// An answer to an earlier run of this server.
    StaleIncarnation,
    /// Asks for a vote while a consul lives, or may live for all this server knows.
    Sticky,
    /// Its contents are impossible; names the field.
    Impossible(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Cluster => f.write_str("from another cluster"),
            Refusal::Address => f.write_str("meant for another server"),
            Refusal::Stranger => f.write_str("from a server that is no member"),
            Refusal::StaleTerm => f.write_str("from a lower term"),
            Refusal::StaleIncarnation => f.write_str("answers an earlier run of this server"),
            Refusal::Sticky => f.write_str("asks for a vote while a consul lives"),
            Refusal::Impossible(field) => write!(f, "impossible {field}"),
        }
    }
}

impl std::error::Error for Refusal {}
