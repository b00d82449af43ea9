//! Where messages come in. Everything here is input: it is checked before it changes anything.

use crate::ids::{LogId, Tail};
use crate::message::{Body, Donated, Message, Refusal};
use crate::node::Node;

impl Node {
    /// Takes a message from another server.
    ///
    /// # Errors
    /// Why it was refused; the node is as before, though it may have an answer to send.
    pub fn step(&mut self, message: Message) -> Result<(), Refusal> {
        self.check_envelope(&message)?;
        let (from, term) = (message.from, message.term);
        match &message.body {
            Body::PreVote { tail, .. } => self.asked_for_pre_vote(&message, *tail),
            Body::Vote { tail, .. } => {
                let tail = *tail;
                self.asked_for_vote(&message, tail)?;
            }
            Body::PreVoteReply { granted: true, .. } => self.pre_vote_granted(from, term),
            _ if term < self.senator.term => {
                // A consul or asker of an earlier term learns that it is one.
                if matches!(message.body, Body::Append(_) | Body::Fetch { .. }) {
                    let reply = self.reply(&message, self.senator.term, Body::AppendReply(Default::default()));
                    self.send_when_durable(reply);
                }
                return Err(Refusal::StaleTerm);
            }
            _ => {
                if term > self.senator.term {
                    self.enter_term(term);
                }
                self.step_in_term(message)?;
            }
        }
        self.advance();
        Ok(())
    }

    /// A message of the current term.
    fn step_in_term(&mut self, message: Message) -> Result<(), Refusal> {
        let from = message.from;
        match message.body {
            Body::VoteReply { granted: true, tails } => self.vote_granted(from, tails),
            Body::Append(ref append) => {
                let reply = self.follow(from, append)?;
                let reply = self.reply(&message, self.senator.term, Body::AppendReply(reply));
                self.send_when_durable(reply);
            }
            Body::AppendReply(reply) => self.answered(from, reply)?,
            Body::Fetch { log, after } => {
                let donated = match self.donate(log, after) {
                    Some(entries) => Donated::Entries(entries),
                    None => Donated::Parted(Tail::default()),
                };
                let reply = self.reply(&message, self.senator.term, Body::Fetched { log, after, donated });
                self.send_when_durable(reply);
            }
            Body::Fetched {
                log: LogId::Group(group),
                after,
                donated,
            } => self.fetched(from, group, after, donated)?,
            Body::PreVote { .. }
            | Body::Vote { .. }
            | Body::PreVoteReply { .. }
            | Body::VoteReply { granted: false, .. }
            | Body::Fetched { log: LogId::Senate, .. }
            | Body::SnapshotFetch { .. }
            | Body::Snapshot { .. }
            | Body::TimeoutNow => {}
            Body::ReadIndex { id } => self.asked_for_read(&message, id),
            Body::ReadIndexReply { id, csn } => self.read_answered(id, csn),
        }
        Ok(())
    }

    fn check_envelope(&self, message: &Message) -> Result<(), Refusal> {
        if message.cluster != self.senator.configuration.cluster {
            return Err(Refusal::Cluster);
        }
        if message.to != self.config.server || message.from == self.config.server {
            return Err(Refusal::Address);
        }
        if !self.is_member(message.from) {
            return Err(Refusal::Stranger);
        }
        let answers = match &message.body {
            Body::PreVoteReply { .. }
            | Body::VoteReply { .. }
            | Body::AppendReply(_)
            | Body::Fetched { .. }
            | Body::Snapshot { .. }
            | Body::ReadIndexReply { .. } => true,
            Body::PreVote { .. }
            | Body::Vote { .. }
            | Body::Append(_)
            | Body::Fetch { .. }
            | Body::SnapshotFetch { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. } => false,
        };
        if answers && message.incarnation != self.config.incarnation {
            return Err(Refusal::StaleIncarnation);
        }
        Ok(())
    }

    fn is_member(&self, server: crate::ids::ServerId) -> bool {
        self.senator.configuration.roles(server).is_some()
    }
}
