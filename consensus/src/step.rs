//! Where messages come in. Everything here is input: it is checked before it changes anything.

use crate::ids::LogId;
use crate::message::{Body, Message, NUMBER_MAX, Refusal};
use crate::mutation::mutated;
use crate::node::Node;
use crate::output::InstallChunk;

impl Node {
    /// Takes a message from another server.
    ///
    /// # Errors
    /// Why it was refused; the node is as before, though it may have an answer to send.
    pub fn step(&mut self, message: Message) -> Result<(), Refusal> {
        let taken = self.take_message(message);
        if let Err(refusal) = taken {
            self.refusals.count(refusal);
        }
        taken
    }

    fn take_message(&mut self, message: Message) -> Result<(), Refusal> {
        self.check_envelope(&message)?;
        let (from, term) = (message.from, message.term);
        match &message.body {
            Body::PreVote { tail, freshness } => self.asked_for_pre_vote(&message, *tail, *freshness),
            Body::Vote { tail, transfer } => self.asked_for_vote(&message, *tail, *transfer)?,
            Body::PreVoteReply { granted, tail, .. } => self.pre_vote_answered(from, term, *granted, *tail),
            // A candidate copies the senate's log before it has a term to speak of.
            Body::Fetch { log: LogId::Senate, after } => self.donate(&message, LogId::Senate, *after),
            Body::Fetched { log: LogId::Senate, .. } => {
                let Body::Fetched { after, donated, .. } = message.body else {
                    unreachable!()
                };
                self.senate_fetched(from, after, donated)?;
            }
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
    fn step_in_term(&mut self, mut message: Message) -> Result<(), Refusal> {
        let from = message.from;
        match message.body {
            Body::VoteReply { granted: true, tails } => self.vote_granted(from, tails),
            Body::Append(ref mut append) => {
                let append = std::mem::take(append);
                let reply = self.follow(from, append)?;
                let reply = self.reply(&message, self.senator.term, Body::AppendReply(reply));
                if mutated!(self.config, AckBeforeDurable) {
                    self.messages.push(reply);
                } else {
                    self.send_when_durable(reply);
                }
            }
            Body::AppendReply(reply) => self.answered(from, reply)?,
            Body::Fetch { log, after } => {
                self.donate(&message, log, after);
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
            | Body::Fetched { log: LogId::Senate, .. } => {}
            Body::SnapshotFetch { group, of, offset } => self.asked_for_snapshot(&message, group, of, offset),
            Body::Snapshot {
                commit,
                group,
                of,
                base,
                offset,
                data,
                last,
            } => {
                self.senator.known_commit = self.senator.known_commit.max(commit);
                let chunk = base.map(|base| InstallChunk {
                    group,
                    base,
                    offset,
                    data,
                    last,
                });
                self.take_piece(from, group, of, chunk)?;
            }
            Body::TimeoutNow { tail } => self.told_to_stand(from, tail)?,
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
        if message.term.0 > NUMBER_MAX {
            return Err(Refusal::Impossible("term"));
        }
        if !message.body.is_plausible() {
            return Err(Refusal::Impossible("number"));
        }
        let stranger = !self.knows(message.from);
        if stranger && !self.hears_stranger(&message.body) {
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
            | Body::TimeoutNow { .. }
            | Body::ReadIndex { .. } => false,
        };
        if answers && message.incarnation != self.config.incarnation {
            return Err(Refusal::StaleIncarnation);
        }
        Ok(())
    }

    /// Who isn't in the configurations known here may be in a later one: a consul, or a candidate whose senate log is
    /// ahead of this one (thesis, section 4.1). Whose log is not ahead is in none: it was removed, or comes from nowhere.
    fn hears_stranger(&self, body: &Body) -> bool {
        match body {
            Body::PreVote { tail, .. } | Body::Vote { tail, .. } => *tail > self.senator.log.tail(),
            Body::Append(_) | Body::Fetch { .. } | Body::SnapshotFetch { .. } | Body::TimeoutNow { .. } => true,
            _ => false,
        }
    }
}
