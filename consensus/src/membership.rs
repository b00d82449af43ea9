//! Who takes part in what, as it changes (thesis, chapter 4; DESIGN 3.2).
//!
//! ```text
//!   reconfigure ─► joint in the senate's log ─► committed ─► barrier in every changed group ─► on both majorities ─┐
//!                  senate: joint from here       groups: joint from here                                           │
//!                                                                                                                  │
//!                  groups: the new alone from here ◄─ committed ◄─ the new alone in the senate's log ◄─────────────┘
//! ```
//!
//! The senate lives by the latest configuration in its log, committed or not. Groups live by the last *committed* one: a
//! new consul commits its no-op, and thereby all configurations, before it asks for the first tail, so every consul
//! recovers a group from those who stored it.
//!
//! What a group committed before it went joint is on a majority of its old members only. The barrier, a record of the
//! current term appended after the joint configuration committed, proves that everything before it is on both; a
//! term-start that was written under the joint configuration proves the same. Only then may the old members go.
//!
//! **One at a time, and only by a serving consul.** Its no-op is committed then, so no configuration of an earlier term is
//! undecided (the known hole of unguarded single-server changes). A new consul finishes what it finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{Csn, GroupId, Index, LogId, ServerId};
use crate::mutation::mutated;
use crate::node::Node;
use crate::output::Write;
use crate::quorum::Members;
use crate::record::{Record, TermStart};
use crate::senate::{Change, Configuration, ReconfigureError, Role};
use crate::worker::Worker;

/// What the last committed configuration means here.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The last committed configuration that is known here: the groups live by it.
    pub(crate) configuration: Arc<Configuration>,
    /// Where it is in the senate's log.
    index: Index,
    /// The different memberships of groups: usually one, however many groups there are.
    pub(crate) memberships: Vec<Members>,
    /// Everybody else who takes part, by the latest configuration or by this one.
    pub(crate) peers: Vec<ServerId>,
    /// Groups that take no proposals any more: they are being dropped, or gone by the latest configuration.
    pub(crate) closed: Vec<GroupId>,
    /// Records that must get to quorums before the change under way can go on; a serving consul's.
    barriers: Vec<(GroupId, Index)>,
    /// The change under way waits for nothing but the barriers.
    unfinished: bool,
    /// How far each peer's state is durable; a consul's.
    pub(crate) durable: BTreeMap<ServerId, Csn>,
    /// How many entries of worker logs each peer is known to have; a consul's.
    pub(crate) logged: BTreeMap<ServerId, u64>,
    /// How many bytes of each group's snapshot each peer has asked for past; a consul's.
    pub(crate) copied: BTreeMap<(ServerId, GroupId), u64>,
    /// Who has about as many as any other candidate that answers; a consul's.
    favourites: Vec<ServerId>,
}

impl Standing {
    pub(crate) fn new(index: Index, configuration: Arc<Configuration>) -> Self {
        let mut standing = Self {
            configuration,
            index,
            memberships: Vec::new(),
            peers: Vec::new(),
            closed: Vec::new(),
            barriers: Vec::new(),
            unfinished: false,
            durable: BTreeMap::new(),
            logged: BTreeMap::new(),
            copied: BTreeMap::new(),
            favourites: Vec::new(),
        };
        standing.distinguish();
        standing
    }

    /// An office begins: nothing is known of the peers.
    pub(crate) fn take_office(&mut self) {
        self.durable.clear();
        self.logged.clear();
        self.copied.clear();
        self.favourites.clear();
    }

    /// Whether nobody should try to become consul before this server.
    pub(crate) fn favours(&self, server: ServerId) -> bool {
        self.favourites.contains(&server)
    }

    /// Where the configuration is in the senate's log.
    #[cfg(feature = "fingerprint")]
    pub(crate) fn index(&self) -> Index {
        self.index
    }

    fn distinguish(&mut self) {
        self.memberships.clear();
        for (_, members) in &self.configuration.groups {
            if !self.memberships.contains(members) {
                self.memberships.push(members.clone());
            }
        }
    }
}

impl Node {
    /// Begins a change of the configuration: gives the index of its entry in the senate's log. The change is finished when
    /// [`Node::configuration`] is at rest and what was wanted.
    ///
    /// # Errors
    /// Why it can't begin, or not yet; nothing changed.
    pub fn reconfigure(&mut self, change: &Change) -> Result<Index, ReconfigureError> {
        if self.serving.is_none() {
            return Err(ReconfigureError::NotConsul);
        }
        if self.transfer.under_way() {
            return Err(ReconfigureError::Transferring);
        }
        if !self.is_settled() {
            return Err(ReconfigureError::Underway);
        }
        let current = self.standing.configuration.clone();
        let resolved = self.sequencer.resolved();
        let next = current.changed(change, resolved)?;
        for group in &change.drop {
            if self.worker(*group).is_some_and(|worker| worker.last_fragment.1 > resolved) {
                return Err(ReconfigureError::Unresolved(*group));
            }
        }
        self.check_known(LogId::Senate, &current.senate, &next.senate)?;
        self.check_caught_up(LogId::Senate, &current.senate, &next.senate)?;
        for (group, members) in &next.groups {
            if let Some(old) = current.group(*group) {
                self.check_known(LogId::Group(*group), old, members)?;
                self.check_caught_up(LogId::Group(*group), old, members)?;
            }
        }
        self.check_succession(&next.settled())?;
        let next = if mutated!(self.config, JointIgnored) {
            next.settled()
        } else {
            next
        };
        Ok(self.append_configuration(next))
    }

    /// Whether the latest configuration is committed, as far as this server knows, and at rest.
    pub fn is_settled(&self) -> bool {
        self.senator.latest_configuration() == self.standing.index && self.standing.configuration.at_rest()
    }

    /// A voter whose log is damaged tells no tail of it: were this consul to fail, the others must be quorums without it,
    /// of the old voters and of the new ones. Who is to become a voter must know its log, too.
    fn check_known(&self, log: LogId, old: &Members, new: &Members) -> Result<(), ReconfigureError> {
        let damaged = |server: ServerId| self.is_damaged(server, log);
        let stuck = !new.quorum(|server| !damaged(server));
        let voters = new.incoming().iter().chain(new.outgoing()).copied();
        let mut unknown = voters.filter(|server| damaged(*server) && (stuck || !old.incoming().contains(server)));
        match unknown.next() {
            Some(server) if !new.at_rest() => Err(ReconfigureError::Damaged { server, log }),
            _ => Ok(()),
        }
    }

    /// New voters count at once, so they must have been learners that kept up.
    fn check_caught_up(&self, log_id: LogId, old: &Members, new: &Members) -> Result<(), ReconfigureError> {
        let me = self.config.server;
        for server in new.incoming().iter().copied().filter(|server| !old.incoming().contains(server)) {
            if !old.contains(server) {
                return Err(ReconfigureError::NotLearner { server, log: log_id });
            }
            let (log, peers) = match log_id {
                LogId::Senate => (&self.senator.log, &self.senator.peers),
                LogId::Group(group) => {
                    let worker = self.worker(group).expect("groups of the configuration have workers");
                    (&worker.log, &worker.peers)
                }
            };
            let matched = if server == me { log.durable() } else { peers.matched(server) };
            let now = self.now.unwrap_or_default();
            let alive = server == me || self.rounds.answers(server, now, self.config.election_timeout);
            // Who doesn't know yet that it takes part votes for nobody.
            let unaware = log_id == LogId::Senate && matched < self.standing.index;
            if !alive || unaware || matched.0 + self.config.catch_up_entries_max < log.last().0 {
                return Err(ReconfigureError::Behind {
                    server,
                    log: log_id,
                    matched,
                    last: log.last(),
                });
            }
        }
        Ok(())
    }

    /// A consul that may lead no longer leaves somebody behind who can: who answers, knows that it takes part, and whose state
    /// goes on where logs may begin.
    fn check_succession(&self, settled: &Configuration) -> Result<(), ReconfigureError> {
        if settled.may_lead(self.config.server) {
            return Ok(());
        }
        let bases = self.workers.iter().map(|worker| worker.log.base().csn);
        let floor = bases.fold(self.known_resolved().max(self.snapshot_floor), Csn::max);
        let now = self.now.unwrap_or_default();
        let can_lead = |server: ServerId| {
            settled.may_lead(server)
                && self.rounds.answers(server, now, self.config.election_timeout)
                && self.senator.peers.matched(server) >= self.standing.index
                && self.standing.durable.get(&server).is_some_and(|durable| *durable >= floor)
        };
        let mut servers = settled.servers.iter();
        match servers.any(|(server, _)| can_lead(*server)) {
            true => Ok(()),
            false => Err(ReconfigureError::NoCandidate),
        }
    }

    fn append_configuration(&mut self, configuration: Configuration) -> Index {
        self.standing.unfinished = false;
        let index = self.append_senate(Record::Configuration(Arc::new(configuration)));
        self.find_peers();
        index
    }

    /// Finds out who else takes part, and which groups don't.
    pub(crate) fn find_peers(&mut self) {
        let me = self.config.server;
        let (latest, committed) = (&self.senator.configuration, &self.standing.configuration);
        let both = latest.servers.iter().chain(&committed.servers);
        let mut peers: Vec<_> = both.map(|(server, _)| *server).filter(|server| *server != me).collect();
        peers.sort_unstable();
        peers.dedup();
        let dropping = latest.dropping.iter().map(|(group, _)| *group);
        let gone = committed.groups.iter().map(|(group, _)| *group);
        let gone = gone.filter(|group| latest.group(*group).is_none());
        self.standing.closed = dropping.chain(gone).collect();
        self.standing.peers = peers;
    }

    /// Finds out who has the longest worker logs of those who could follow this consul: it tells them, and they are the
    /// first to stand. There is always one that answers, so nobody waits for longer than otherwise.
    pub(crate) fn find_favourites(&mut self) {
        let (now, timeout) = (self.now.unwrap_or_default(), self.config.election_timeout);
        let configuration = &self.senator.configuration;
        let candidates = self.standing.peers.iter().copied();
        let candidates = candidates.filter(|server| configuration.may_lead(*server) && self.rounds.alive(*server, now, timeout));
        let logged = |server: &ServerId| self.standing.logged.get(server).copied().unwrap_or_default();
        let longest = candidates.clone().map(|server| logged(&server)).max().unwrap_or_default();
        let near = |server: &ServerId| logged(server) + self.config.catch_up_entries_max >= longest;
        self.standing.favourites = candidates.filter(near).collect();
    }

    /// Whether this server takes part, by the latest configuration or by the last committed one.
    pub(crate) fn knows(&self, server: ServerId) -> bool {
        self.senator.configuration.roles(server).is_some() || self.standing.configuration.roles(server).is_some()
    }

    /// The senate's commit index moved: the groups live by the last configuration that it passed.
    pub(crate) fn live_by_committed(&mut self) {
        if self.senator.latest_configuration() <= self.standing.index {
            return;
        }
        let (index, configuration) = self.senator.configuration_at(self.senator.commit);
        if index <= self.standing.index {
            return;
        }
        self.standing.index = index;
        let floor = self.standing.configuration.dropped_floor;
        self.standing.configuration = configuration.clone();
        self.standing.distinguish();
        self.find_peers();
        let mut changed = Vec::new();
        for (group, members) in &configuration.groups {
            match self.slot(*group) {
                Some(slot) if self.workers[slot].members == *members => {}
                Some(slot) => {
                    self.workers[slot].set_members(members.clone());
                    self.sending.insert(slot);
                    changed.push(*group);
                }
                None if self.senator.configuration.group(*group).is_some() => {
                    self.create_worker(*group, members);
                    changed.push(*group);
                }
                None => {} // a later entry here drops it: all had its end by then, and its log may be gone
            }
        }
        self.forget_groups();
        if floor < configuration.dropped_floor {
            self.tell_positions();
        }
        if self.senator.role != Role::Consul {
            return;
        }
        if self.serving.is_some() {
            changed.into_iter().for_each(|group| self.open(group));
            self.finish_change();
        }
        if !configuration.may_lead(self.config.server) {
            self.resign();
        }
    }

    /// Who comes later needs every group's snapshot at or after the end of those that are gone: the state is that far, and
    /// says so of groups too that had nothing to do since.
    pub(crate) fn tell_positions(&mut self) {
        if self.sequencer.handed().0 >= self.standing.configuration.dropped_floor {
            (0..self.workers.len()).for_each(|slot| self.moved.insert(slot));
        }
    }

    /// A serving consul's group has new members, or is new: proves that its log is where it must be.
    fn open(&mut self, group: GroupId) {
        let slot = self.slot(group).expect("the group is in the configuration");
        let barrier = if self.workers[slot].term_start.term < self.senator.term {
            let cut = Csn(self.sequencer.next().0 - 1);
            let timestamp = self.sequencer.last_timestamp();
            let index = self.append(slot, Record::TermStart(TermStart { cut, timestamp }));
            Some(index)
        } else if !self.workers[slot].members.at_rest() {
            Some(self.append(slot, Record::Barrier))
        } else {
            None
        };
        self.standing.barriers.extend(barrier.map(|index| (group, index)));
        self.count(slot);
    }

    /// The latest configuration turned out not to be: what it created never was, what it dropped stays.
    pub(crate) fn return_to_earlier(&mut self) {
        self.forget_groups();
        let committed = self.standing.configuration.clone();
        for (group, members) in &committed.groups {
            if self.slot(*group).is_none() && self.senator.configuration.group(*group).is_some() {
                self.create_worker(*group, members);
            }
        }
    }

    fn create_worker(&mut self, group: GroupId, members: &Members) {
        let slot = self.workers.partition_point(|worker| worker.group < group);
        let base = self.unplaced.remove(&group).unwrap_or_default();
        let mut worker = self
            .parked
            .remove(&group)
            .unwrap_or_else(|| Worker::create(group, members.clone(), base));
        worker.set_members(members.clone());
        self.workers.insert(slot, worker);
        self.renumber();
    }

    /// The configurations in the log that are not known to be committed.
    pub(crate) fn later_configurations(&self) -> impl Iterator<Item = &Arc<Configuration>> {
        let later = self.senator.configurations.iter().rev();
        let later = later.take_while(|(index, _)| *index > self.standing.index);
        later.map(|(_, configuration)| configuration)
    }

    /// Drops the workers of groups that are in no configuration any more: neither in the one that groups live by, nor in a
    /// later one of the log.
    fn forget_groups(&mut self) {
        let known: Vec<_> = self.later_configurations().chain([&self.standing.configuration]).collect();
        let gone: Vec<_> = self.workers.iter().map(|worker| worker.group).collect();
        let gone = gone
            .into_iter()
            .filter(|group| known.iter().all(|configuration| configuration.group(*group).is_none()));
        for group in gone.collect::<Vec<_>>() {
            self.workers.retain(|worker| worker.group != group);
            self.renumber();
            let log = LogId::Group(group);
            self.persistence.write(Write::DropLog { log });
        }
    }

    /// A new consul took up the logs: what it finds of a change is to be finished. Its term-starts are the barriers.
    pub(crate) fn take_over_change(&mut self) {
        self.standing.barriers.clear();
        self.finish_change();
    }

    fn finish_change(&mut self) {
        self.standing.unfinished = !self.standing.configuration.at_rest() && self.senator.latest_configuration() == self.standing.index;
        self.advance_change();
    }

    /// Goes on with the change under way, as far as that is possible now.
    pub(crate) fn advance_change(&mut self) {
        for (group, index) in std::mem::take(&mut self.standing.barriers) {
            let Some(slot) = self.slot(group) else { continue };
            let worker = &self.workers[slot];
            if worker.commit < index && !(mutated!(self.config, NoBarrier) && worker.term_start_index != index) {
                self.standing.barriers.push((group, index));
            } else if worker.term_start_index == index {
                self.begin_term(slot, worker.term_start.cut); // the group is new
            }
        }
        if self.standing.barriers.is_empty() && std::mem::take(&mut self.standing.unfinished) {
            let settled = self.standing.configuration.settled();
            self.append_configuration(settled);
        }
    }

    /// Gives up groups that all states have applied to their end, durably.
    pub(crate) fn finish_drops(&mut self) {
        let configuration = &self.standing.configuration;
        if configuration.dropping.is_empty() || self.serving.is_none() || !self.is_settled() {
            return;
        }
        let me = self.config.server;
        let states = configuration.servers.iter().filter(|(_, roles)| roles.state);
        let durable = states.map(|(server, _)| match *server {
            server if server == me => self.durable_applied,
            server => self.standing.durable.get(&server).copied().unwrap_or_default(),
        });
        let everywhere = match mutated!(self.config, DropEarly) {
            true => self.sequencer.resolved(),
            false => durable.min().unwrap_or_default(),
        };
        if let Some(without) = configuration.without_dropped(everywhere) {
            #[cfg(feature = "mutations")]
            let without = match mutated!(self.config, DropWithoutFloor) {
                true => Configuration {
                    dropped_floor: Csn::ZERO,
                    ..without
                },
                false => without,
            };
            self.append_configuration(without);
        }
    }
}
