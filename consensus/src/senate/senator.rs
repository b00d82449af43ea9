//! A server's member of the senate: term, vote, log, and the part that it plays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Configuration, Roles, Vote};
use crate::ids::{GroupId, Index, ServerId, Tail, Term};
use crate::log::{Base, Log};
use crate::mutation::mutated;
use crate::progress::Peers;
use crate::quorum::Members;
use crate::record::{Entry, Record};

/// The part that a senator plays in its term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows the consul, if it knows one.
    Follower {
        /// The consul of this term.
        consul: Option<ServerId>,
    },
    /// Asks whether an election would succeed, without disturbing anybody.
    PreCandidate {
        /// Who said yes, this server included.
        granted: Vec<ServerId>,
        /// Where the senate logs of those who answered end.
        tails: BTreeMap<ServerId, Tail>,
        /// The log is being copied from this server: what follows this place was asked for.
        copying: Option<(ServerId, Tail)>,
    },
    /// Stands for election in its term.
    Candidate {
        /// Who voted for it, with the tails of their worker logs. Its own vote counts once it is durable.
        granted: BTreeMap<ServerId, Vec<(GroupId, Tail)>>,
    },
    /// Leads the senate, and every worker group.
    Consul,
}

/// A server's member of the senate.
#[derive(Clone, Debug)]
pub struct Senator {
    /// This server.
    pub(crate) id: ServerId,
    /// What it does, by the last configuration that named it; one that doesn't (it was removed) changes nothing about that.
    pub(crate) roles: Option<Roles>,
    /// The current term. Whatever depends on it leaves only when `durable_term` has reached it.
    pub(crate) term: Term,
    /// The vote in the current term.
    pub(crate) vote: Option<Vote>,
    /// The highest term that is on disk together with its vote.
    pub(crate) durable_term: Term,
    pub(crate) role: Role,
    pub(crate) log: Log,
    /// Every entry up to here is on a quorum of the senate, counted by an entry of the consul's own term.
    pub(crate) commit: Index,
    /// Others know every entry up to here to be committed.
    pub(crate) known_commit: Index,
    /// The latest configuration in the log, committed or not (thesis, section 4.1).
    pub(crate) configuration: Arc<Configuration>,
    /// All configurations that the log has, by index; the first may be its base's.
    pub(crate) configurations: Vec<(Index, Arc<Configuration>)>,
    /// How far the other senators' logs are; a consul's.
    pub(crate) peers: Peers,
    /// The log agrees with this term's consul's up to here; a follower's.
    pub(crate) verified: Index,
    /// When a consul was last heard from, or a little later. A higher term doesn't undo it: the consul may count on it.
    pub(crate) consul_heard: Option<Duration>,
    /// A consul was heard from since the last tick.
    pub(crate) consul_spoke: bool,
    /// The highest round of this term's consul that was heard of.
    pub(crate) round: u64,
    /// Whether no other server has much longer worker logs, by the word of the last consul.
    pub(crate) favoured: Option<bool>,
    /// Since when candidates were refused for staleness.
    pub(crate) refusing_since: Option<Duration>,
    /// When to seek an election unless a consul is heard from.
    pub(crate) election_due: Duration,
    /// Grant no vote to others before this: this run doesn't know whether it heard from a consul just before it started.
    pub(crate) grants_from: Duration,
    /// Durable records of the log were lost in this term or before: this server doesn't know what it acknowledged, until it
    /// has the log of a later term's consul, whom others elected and who so has all that was committed.
    pub(crate) damaged: Option<Term>,
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::Mutation>,
}

impl Senator {
    /// Whether this server alone is a quorum of the senate, so that nobody needs to be asked or waited for.
    pub(crate) fn alone_is_quorum(&self) -> bool {
        self.members().quorum(|server| server == self.id)
    }

    pub(crate) fn members(&self) -> &Members {
        &self.configuration.senate
    }

    /// Where the latest configuration is in the log; zero as long as there is none.
    pub(crate) fn latest_configuration(&self) -> Index {
        self.configurations.last().map_or(Index::ZERO, |(index, _)| *index)
    }

    /// The configuration after the entry at `index`, and where it is; what is known of it when there is none that early.
    pub(crate) fn configuration_at(&self, index: Index) -> (Index, Arc<Configuration>) {
        let passed = self.configurations.partition_point(|(at, _)| *at <= index);
        match passed.checked_sub(1) {
            Some(at) => self.configurations[at].clone(),
            None => (Index::ZERO, Arc::new(Configuration::unknown(self.configuration.cluster))),
        }
    }

    /// Enters a higher term, as a follower of nobody yet.
    pub(crate) fn enter(&mut self, term: Term) {
        assert!(term > self.term, "a term is entered once");
        self.term = term;
        self.vote = None;
        self.role = Role::Follower { consul: None };
        self.round = 0;
        self.verified = Index::ZERO;
        self.peers.clear();
    }

    /// Whether a candidate whose senate log ends at `tail` may get this server's vote (thesis, section 3.6.1).
    pub(crate) fn up_to_date(&self, tail: Tail) -> bool {
        tail >= self.log.tail() || mutated!(self, VoteForStale)
    }

    /// Whether this server may vote for this run of this candidate in the current term.
    pub(crate) fn may_vote(&self, candidate: Vote) -> bool {
        let another_run = |vote: Vote| mutated!(self, SameServerOtherRun) && vote.server == candidate.server;
        self.vote.is_none_or(|vote| vote == candidate || another_run(vote)) || mutated!(self, VoteTwice)
    }

    /// Whether a candidate here has a quorum of durable votes.
    pub(crate) fn elected(&self) -> bool {
        let Role::Candidate { granted } = &self.role else { return false };
        self.members()
            .quorum(|server| granted.contains_key(&server) && (server != self.id || self.durable_term == self.term))
    }

    /// Moves the consul's commit index, by how far each server's senate log is known to be durable.
    pub(crate) fn count(&mut self) {
        let reached = self.members().quorum_index(|server| {
            if server == self.id {
                self.log.durable()
            } else {
                self.peers.matched(server)
            }
        });
        // Only an entry of the consul's own term proves that those before it can't be replaced (Figure 8).
        if reached > self.commit && (self.log.term_at(reached) == Some(self.term) || mutated!(self, CountOldTermInSenate)) {
            self.commit = reached;
            if self.alone_is_quorum() {
                self.log.release(reached, 0);
            }
        }
    }

    /// The consul says that everything up to `commit` is committed. What follows the part that is known to agree with its
    /// log may be something else.
    pub(crate) fn follow_commit(&mut self, commit: Index) {
        self.known_commit = self.known_commit.max(commit);
        self.commit = self.commit.max(commit.min(self.verified));
    }

    /// Takes note that a lost part of the log is back.
    pub(crate) fn mend(&mut self) {
        let has = self.log.term_at(self.verified.min(self.log.durable()));
        if self.damaged.is_some_and(|term| term < self.term) && has == Some(self.term) {
            self.damaged = None;
        }
    }

    /// Begins the log anew after a base.
    pub(crate) fn install(&mut self, base: Base) {
        assert!(
            base.index >= self.commit,
            "what is committed stays: {base:?}, commit {:?}",
            self.commit
        );
        let configuration = base.configuration.clone().expect("a base of the senate has the configuration");
        self.commit = base.index;
        self.configurations = vec![(base.index, configuration.clone())];
        self.roles = configuration.roles(self.id).or(self.roles);
        self.configuration = configuration;
        self.log = Log::new(base);
    }

    /// Where the log could begin; `None` when that is where it begins.
    pub(crate) fn possible_base(&self) -> Option<Base> {
        let index = self.commit.min(self.log.durable());
        (index > self.log.base().index).then(|| Base {
            index,
            term: self.log.term_at(index).expect("what is committed is in the log"),
            configuration: Some(self.configuration_at(index).1),
            ..Base::default()
        })
    }

    /// Lets the log begin after a base, over entries that are here.
    pub(crate) fn rebase(&mut self, base: Base) {
        let passed = self.configurations.partition_point(|(at, _)| *at <= base.index);
        if let Some(first) = passed.checked_sub(1) {
            self.configurations.drain(..first);
        }
        self.log.rebase(base);
    }

    /// Drops the log after `index`, and the configurations in it.
    pub(crate) fn drop_suffix(&mut self, index: Index) {
        assert!(index >= self.commit, "what is committed stays");
        self.log.drop_suffix(index);
        self.configurations.retain(|(at, _)| *at <= index);
        if let Some((_, configuration)) = self.configurations.last() {
            self.configuration = configuration.clone();
        }
    }

    /// Takes note of an entry that was just appended.
    pub(crate) fn learn(&mut self, entry: &Entry) {
        if let Record::Configuration(configuration) = &entry.record {
            self.configurations.push((entry.index, configuration.clone()));
            self.configuration = configuration.clone();
            self.roles = configuration.roles(self.id).or(self.roles);
        }
    }
}
