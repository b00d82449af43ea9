//! Elections, by the senate's log alone (thesis, chapter 3; pre-vote: section 9.6; stickiness: section 4.2.3).
//!
//! ```text
//!   follower ── time-out ──► pre-candidate ── a quorum would ──► candidate at term + 1 ── a quorum did ──► consul
//!      ▲                                                              │                                      │
//!      └───────────────────── a higher term, or a consul of this one ─┴──────────────────────────────────────┘
//! ```
//!
//! A granted vote carries the tails of the voter's worker logs and is a fence: it leaves only when the new term and all
//! that was written in earlier ones is durable.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{GroupId, Incarnation, Index, ServerId, Tail, Term};
use crate::message::{Body, Freshness, Message, Refusal};
use crate::mutation::mutated;
use crate::node::{HardState, Node};
use crate::senate::{Role, Vote};

impl Node {
    /// Whether this server may become consul, as far as it knows. By the latest configuration, or by one that isn't known to
    /// be overtaken: who is about to leave may be the only one that has the entry that says so (thesis, section 4.2.2). It
    /// leads until that commits, and counts nowhere.
    pub(crate) fn may_stand(&self) -> bool {
        let later = self.later_configurations().any(|later| later.may_lead(self.config.server));
        let may_lead = later || self.standing.configuration.may_lead(self.config.server);
        may_lead && self.senator.damaged.is_none() && !self.lacks_dropped()
    }

    /// Whether this server is known to have a log store: to keep its logs elsewhere than in memory.
    pub(crate) fn stores_logs(&self) -> bool {
        self.senator.roles.is_some_and(|roles| roles.log)
    }

    /// Whether this server keeps its logs in memory only: what it held in an earlier run is gone.
    pub(crate) fn is_volatile(&self) -> bool {
        self.senator.roles.is_some_and(|roles| !roles.log)
    }

    /// Asks whether an election would succeed, or stands at once where nobody need be asked.
    pub(crate) fn seek_election(&mut self) {
        let me = self.config.server;
        self.senator.role = Role::PreCandidate {
            granted: vec![me],
            tails: BTreeMap::new(),
            copying: None,
        };
        if self.senator.alone_is_quorum() {
            return self.stand(false);
        }
        let body = Body::PreVote {
            tail: self.senator.log.tail(),
            freshness: self.freshness(),
        };
        for to in self.other_senators() {
            let message = self.request(to, self.senator.term.next(), body.clone());
            self.messages.push(message);
        }
    }

    /// Stands for election in the next term; by the consul's own wish, or because others would agree.
    pub(crate) fn stand(&mut self, transfer: bool) {
        self.enter_term(self.senator.term.next());
        self.stood_by_wish = transfer;
        let vote = Vote {
            server: self.config.server,
            incarnation: self.config.incarnation,
        };
        self.vote_for(vote);
        self.senator.election_due = self.now.unwrap_or_default() + self.election_delay();
        self.senator.role = Role::Candidate {
            granted: BTreeMap::from([(vote.server, self.tails())]),
        };
        let body = Body::Vote {
            tail: self.senator.log.tail(),
            transfer,
        };
        for to in self.other_senators() {
            let message = self.request(to, self.senator.term, body.clone());
            self.send_when_durable(message);
        }
    }

    fn vote_for(&mut self, vote: Vote) {
        self.senator.vote = Some(vote);
        self.persistence.hard_state(HardState {
            term: self.senator.term,
            vote: self.senator.vote,
        });
    }

    /// Goes to a higher term as a follower, and gives up any office.
    pub(crate) fn enter_term(&mut self, term: Term) {
        self.resign();
        self.heard = false;
        self.senator.enter(term);
        for worker in &mut self.workers {
            worker.enter_term();
        }
        if !mutated!(self.config, ForgetTerm) {
            self.persistence.hard_state(HardState { term, vote: None });
        }
    }

    /// Gives up any office in the current term.
    pub(crate) fn resign(&mut self) {
        if self.senator.role == Role::Consul {
            // Who lost its quorum lets others try first.
            self.senator.election_due = self.now.unwrap_or_default() + self.election_delay() * 2;
            self.sequencer.depose();
        }
        self.senator.role = Role::Follower { consul: None };
        self.reads.ask_again();
        self.inauguration = None;
        self.serving = None;
        self.arrivals.clear();
        self.consul_resolved = None;
    }

    pub(crate) fn asked_for_pre_vote(&mut self, message: &Message, tail: Tail, freshness: Freshness) {
        let granted = message.term > self.senator.term
            && self.may_grant()
            && self.senator.up_to_date(tail)
            && !self.sticks_to_consul()
            && !self.waits_for_fresher(freshness);
        let term = if granted { message.term } else { self.senator.term };
        let body = Body::PreVoteReply {
            granted,
            tail: self.senator.log.tail(),
            freshness: self.freshness(),
        };
        let reply = self.reply(message, term, body);
        self.messages.push(reply);
    }

    /// Whether others should have the chance to stand first, as this candidate would have to fetch much. Not for long: it
    /// may be the only one left.
    fn waits_for_fresher(&mut self, candidate: Freshness) -> bool {
        let (own, far, now) = (self.freshness(), self.config.stale_entries_max, self.now.unwrap_or_default());
        let stale = own.logged > candidate.logged + far || own.applied.0 > candidate.applied.0 + far;
        stale && {
            let since = *self.senator.refusing_since.get_or_insert(now);
            now < since + self.config.election_timeout * 2
        }
    }

    /// Whether this server votes at all: it keeps what it promises, and knows what it promises about.
    fn may_grant(&self) -> bool {
        !self.is_volatile() && self.senator.damaged.is_none() && self.senator.latest_configuration() > Index::ZERO
    }

    pub(crate) fn asked_for_vote(&mut self, message: &Message, tail: Tail, transfer: bool) -> Result<(), Refusal> {
        let later = message.term > self.senator.term;
        if later || message.term == self.senator.term && self.senator.vote.is_none() {
            // Who disturbs a living consul is not even told so: its term must not spread, and where other messages brought it
            // here, the promise to the consul holds all the same. What the consul itself wishes disturbs nobody; but who has
            // just started keeps still, as it may have forgotten another promise.
            let starting = self.now.is_none_or(|now| now < self.senator.grants_from);
            if starting || !transfer && self.sticks_to_consul() {
                return Err(Refusal::Sticky);
            }
        }
        if later {
            self.enter_term(message.term);
        }
        let candidate = Vote {
            server: message.from,
            incarnation: message.incarnation,
        };
        let granted =
            message.term == self.senator.term && self.may_grant() && self.senator.may_vote(candidate) && self.senator.up_to_date(tail);
        if granted {
            self.senator.election_due = self.now.unwrap_or_default() + self.election_delay();
            if self.senator.vote != Some(candidate) {
                self.vote_for(candidate);
            }
        }
        let mut tails = if granted { self.tails() } else { Vec::new() };
        if mutated!(self.config, DropTail) {
            tails.iter_mut().for_each(|(_, tail)| *tail = Tail::default());
        }
        let reply = self.reply(message, self.senator.term, Body::VoteReply { granted, tails });
        self.send_when_durable(reply);
        Ok(())
    }

    pub(crate) fn pre_vote_answered(&mut self, from: ServerId, term: Term, granted: bool, tail: Tail) {
        let seeking = matches!(self.senator.role, Role::PreCandidate { .. });
        if !granted && term > self.senator.term {
            self.enter_term(term);
            if seeking && self.is_volatile() {
                self.seek_election(); // it had forgotten the term
            }
            return;
        }
        let next = self.senator.term.next();
        let Role::PreCandidate { granted: yes, tails, .. } = &mut self.senator.role else {
            return;
        };
        tails.insert(from, tail);
        if granted && term == next && !yes.contains(&from) {
            yes.push(from);
        }
        let yes = yes.clone();
        if self.senator.members().quorum(|server| yes.contains(&server)) {
            self.stand(false);
        } else {
            self.copy_senate();
        }
    }

    pub(crate) fn vote_granted(&mut self, from: ServerId, tails: Vec<(GroupId, Tail)>) {
        match &mut self.senator.role {
            Role::Candidate { granted } => drop(granted.insert(from, tails)),
            Role::Consul => self.learn_tails(from, tails),
            Role::Follower { .. } | Role::PreCandidate { .. } => {}
        }
    }

    /// Whether this server has reason to believe that a consul lives, or can't know whether it had.
    fn sticks_to_consul(&self) -> bool {
        let Some(now) = self.now else { return true };
        let heard = self.senator.consul_heard;
        now < self.senator.grants_from
            || self.senator.consul_spoke
            || heard.is_some_and(|heard| now < heard + self.config.election_timeout)
            || self.senator.role == Role::Consul
    }

    /// How far the worker logs and the state are here.
    fn freshness(&self) -> Freshness {
        Freshness {
            logged: self.workers.iter().map(|worker| worker.log.last().0).sum(),
            applied: self.applied,
        }
    }

    pub(crate) fn other_senators(&self) -> Vec<ServerId> {
        let me = self.config.server;
        self.senator.members().all().filter(|server| *server != me).collect()
    }

    /// A message that asks, in this run's name.
    pub(crate) fn request(&self, to: ServerId, term: Term, body: Body) -> Message {
        self.message(to, self.config.incarnation, term, body)
    }

    /// The answer to a message, in the name of the run that asked.
    pub(crate) fn reply(&self, message: &Message, term: Term, body: Body) -> Message {
        self.message(message.from, message.incarnation, term, body)
    }

    pub(crate) fn message(&self, to: ServerId, incarnation: Incarnation, term: Term, body: Body) -> Message {
        Message {
            cluster: self.senator.configuration.cluster,
            from: self.config.server,
            to,
            incarnation,
            term,
            body,
        }
    }

    /// Sends a message once everything decided so far is durable.
    pub(crate) fn send_when_durable(&mut self, message: Message) {
        self.messages.extend(self.persistence.hold(message));
    }

    /// A random delay of one to two election time-outs; the shorter half of it for those with the longest worker logs, as
    /// long as the last consul knew some.
    pub(crate) fn election_delay(&mut self) -> Duration {
        let timeout = self.config.election_timeout;
        let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX).max(2);
        let delay = match self.senator.favoured {
            None => self.random.below(micros),
            Some(true) => self.random.below(micros / 2),
            Some(false) => micros / 2 + self.random.below(micros / 2),
        };
        timeout + Duration::from_micros(delay)
    }
}
