//! What other servers were heard to have promised, for as long as this one runs.
//!
//! A server says that it has an entry, or that it is in a term, only once that is durable. So one whose folder says less than
//! others heard of it was given an old folder: it must not take part again under its number.

use std::collections::BTreeMap;

use curia_consensus::ids::{Csn, Index, LogId, ServerId, Term};
use curia_consensus::{Body, Matched, Message};

/// What was heard of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// It was in this term.
    pub term: Term,
    /// In that term it had these logs up to here.
    pub logs: BTreeMap<LogId, Index>,
    /// Every transaction up to here was in its state.
    pub applied: Csn,
}

/// What a message says of its sender's promises.
pub(crate) struct Promise {
    from: ServerId,
    term: Term,
    applied: Csn,
    logs: Vec<(LogId, Index)>,
}

impl Promise {
    /// `None` for a message that says nothing of the kind.
    pub(crate) fn of(message: &Message) -> Option<Promise> {
        let (applied, logs) = match &message.body {
            Body::AppendReply(reply) => {
                let matched = reply.sections.iter().filter_map(|(log, matched)| match matched {
                    Matched::Upto(index) => Some((*log, *index)),
                    Matched::Not(_) => None,
                });
                (reply.applied, matched.collect())
            }
            Body::Append(_) | Body::VoteReply { granted: true, .. } => (Csn::ZERO, Vec::new()),
            _ => return None, // may be of a term that its sender is not in
        };
        Some(Promise {
            from: message.from,
            term: message.term,
            applied,
            logs,
        })
    }
}

/// By server.
#[derive(Default)]
pub(crate) struct Hearing(BTreeMap<ServerId, Heard>);

impl Hearing {
    /// A message that was not refused said this.
    pub(crate) fn note(&mut self, promise: Promise) {
        let heard = self.0.entry(promise.from).or_default();
        if promise.term > heard.term {
            heard.term = promise.term;
            heard.logs.clear(); // the new term's consul may cut them
        }
        heard.applied = heard.applied.max(promise.applied);
        if promise.term == heard.term {
            for (log, index) in promise.logs {
                let upto = heard.logs.entry(log).or_default();
                *upto = (*upto).max(index);
            }
        }
    }

    pub(crate) fn all(&self) -> &BTreeMap<ServerId, Heard> {
        &self.0
    }
}
