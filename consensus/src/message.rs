//! What servers say to each other.
//!
//! A message names the run of the server that sent it, so that an answer to an earlier run counts for nothing. Messages
//! may be lost, repeated and reordered. What arrives is input: a message that makes no sense is refused with a reason
//! and changes nothing.

use std::fmt;

use crate::ids::{ClusterId, GroupId, Incarnation, ServerId, Tail, Term};

/// A message from one senator to another; it also speaks for the workers beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's cluster.
    pub cluster: ClusterId,
    /// Who sends.
    pub from: ServerId,
    /// Which run of it; in an answer, the run that asked.
    pub incarnation: Incarnation,
    /// To whom.
    pub to: ServerId,
    /// The sender's term; in a pre-vote, the term that it would stand in.
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
    /// The answer to a pre-vote, at the term asked about if granted, else at the voter's.
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
        /// Where the voter's worker logs end, durably: the fence makes these final for all earlier terms.
        tails: Vec<(GroupId, Tail)>,
    },
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
            Refusal::Impossible(field) => write!(f, "impossible {field}"),
        }
    }
}

impl std::error::Error for Refusal {}
