//! What servers say to each other.
//!
//! A message names the run of the server that asks; its answer names the same run, so that an answer to an earlier run
//! counts for nothing. Messages may be lost, repeated and reordered. What arrives is input: a message that makes no sense
//! is refused with a reason and changes nothing.
//!
//! One [`Append`] per peer and flush carries the appends of the senate and of all groups, so the number of messages does
//! not depend on the number of groups. An empty one is the heartbeat.

use std::fmt;

use crate::ids::{ClusterId, Csn, GroupId, Incarnation, Index, LogId, ServerId, Tail, Term};
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
    },
    /// The answer to a pre-vote.
    PreVoteReply {
        /// Whether it would.
        granted: bool,
    },
    /// Vote for me.
    Vote {
        /// Where the candidate's senate log ends.
        tail: Tail,
    },
    /// The answer to a vote request.
    VoteReply {
        /// Whether the vote is given.
        granted: bool,
        /// The fence: where the voter's worker logs end, durably, for all earlier terms and for good.
        tails: Vec<(GroupId, Tail)>,
    },
    /// The consul's entries, and its sign of life.
    Append(Append),
    /// The answer to an append.
    AppendReply(AppendReply),
    /// A new consul asks for what it lacks of a group's log, up to the tail that this server reported.
    Fetch {
        /// The group.
        group: GroupId,
        /// The asker has the entry with this term and index, if the answerer has it too; zero is the log's beginning.
        after: Tail,
    },
    /// The answer to a fetch.
    Fetched {
        /// The group.
        group: GroupId,
        /// What was asked.
        after: Tail,
        /// What follows it; nothing when the answerer's log doesn't have `after`.
        entries: Option<Vec<Entry>>,
    },
}

/// Entries of any number of logs.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Append {
    /// Whether the consul knows the receiver's tails at this term; until then every answer carries them.
    pub tails_known: bool,
    /// Every entry of the senate's log up to here is committed.
    pub commit: Index,
    /// Every transaction up to here is resolved; nothing before the consul serves.
    pub resolved: Option<Csn>,
    /// The logs with something to say.
    pub sections: Vec<Section>,
}

/// The part of an [`Append`] for one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The log.
    pub log: LogId,
    /// The entry before the first one here.
    pub previous: Tail,
    /// What follows it.
    pub entries: Vec<Entry>,
}

/// How far a server's logs are, durably.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AppendReply {
    /// The fence, until the consul knows it.
    pub tails: Option<Vec<(GroupId, Tail)>>,
    /// An answer for each section.
    pub sections: Vec<(LogId, Matched)>,
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
