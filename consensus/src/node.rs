//! The node: one server's senator and workers, driven by events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::check_quorum::Paces;
use crate::commit::Sequencer;
use crate::following::Arrivals;
use crate::ids::{ClusterId, Csn, GroupId, Incarnation, Index, LogId, Participant, PersistSeq, ServerId, Tail, Term};
use crate::inauguration::Inauguration;
use crate::log::Base;
use crate::membership::Standing;
use crate::message::Message;
use crate::output::{AppliedTo, Apply, Office, Output, Write};
use crate::persistence::Persistence;
use crate::random::Random;
use crate::reads::Reads;
use crate::record::{Participants, Record};
use crate::refusals::Refusals;
use crate::senate::{Configuration, Role, Rounds, Senator, Vote};
use crate::transfer::Transfer;
use crate::worker::Worker;

/// What a node is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// This server.
    pub server: ServerId,
    /// This run of it: different at each start, for instance random.
    pub incarnation: Incarnation,
    /// The cluster that a server without a configuration may join.
    pub cluster: Option<ClusterId>,
    /// Decides all the node's random choices.
    pub seed: u64,
    /// A server that hears from no consul for between one and two of these seeks an election.
    pub election_timeout: Duration,
    /// Proposals wait while so many bytes are sequenced and not yet handed out to be applied. One transaction may exceed
    /// it, alone.
    pub unresolved_bytes_max: u64,
    /// A consul answers strict reads without asking anybody while it holds a lease, on the word that clocks of different
    /// servers run at speeds which differ by less than so many hundredths. `None` asks a quorum every time.
    pub lease_drift_percent: Option<u8>,
    /// So many reads may wait.
    pub reads_max: usize,
    /// A read is given up after waiting so long.
    pub read_timeout: Duration,
    /// A server becomes a voter of a log when it lacks at most so many of its entries.
    pub catch_up_entries_max: u64,
    /// A candidate whose worker logs or state lack so much of the voter's, in entries or transactions, is refused for two
    /// election time-outs, while others may try.
    pub stale_entries_max: u64,
    /// An append carries about so many bytes of each log.
    pub append_bytes_max: usize,
    /// An output hands out at most so many fragments to apply (of at least one transaction).
    pub apply_fragments_max: usize,
    /// An output hands out at most so many bytes to apply (of at least one transaction).
    pub apply_bytes_max: usize,
}

impl Config {
    /// The defaults for this server.
    pub fn new(server: ServerId, incarnation: Incarnation, seed: u64) -> Self {
        Self {
            server,
            incarnation,
            cluster: None,
            seed,
            election_timeout: Duration::from_millis(1000),
            unresolved_bytes_max: 64 << 20,
            lease_drift_percent: None,
            reads_max: 64 << 10,
            read_timeout: Duration::from_secs(5),
            catch_up_entries_max: 4 << 10,
            stale_entries_max: 64 << 10,
            append_bytes_max: 1 << 20,
            apply_fragments_max: 16 << 10,
            apply_bytes_max: 8 << 20,
        }
    }
}

/// What a server must never forget, apart from its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HardState {
    /// The highest term that this server promised to serve.
    pub term: Term,
    /// Its vote in that term.
    pub vote: Option<Vote>,
}

/// Where the logs may begin, once the state that was applied when this was made is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to this CSN must be durable in the state.
    pub csn: Csn,
    /// The new bases, of those logs that can move.
    pub bases: Vec<(LogId, Base)>,
}

/// One server's consensus. See the crate's page for the contract.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) senator: Senator,
    /// Ascending by group.
    pub(crate) workers: Vec<Worker>,
    pub(crate) sequencer: Sequencer,
    /// What a consul does until it serves.
    pub(crate) inauguration: Option<Inauguration>,
    /// The cut that this consul serves from.
    pub(crate) serving: Option<Csn>,
    /// Whether transactions up to the cut are still to be handed out.
    pub(crate) replaying: bool,
    pub(crate) persistence: Persistence,
    pub(crate) random: Random,
    pub(crate) now: Option<Duration>,
    /// Everything up to here is in the state.
    pub(crate) applied: Csn,
    pub(crate) messages: Vec<Message>,
    /// The office last told to the driver.
    pub(crate) told: Option<Office>,
    /// Fragments that a follower has and may not hand out yet.
    pub(crate) arrivals: Arrivals,
    /// Who answered this consul, and when.
    pub(crate) rounds: Rounds,
    pub(crate) standing: Standing,
    pub(crate) refusals: Refusals,
    /// Where the state is in groups that are not known here yet, or were not when the logs began.
    pub(crate) unplaced: BTreeMap<GroupId, Base>,
    pub(crate) transfer: Transfer,
    /// Everything up to here is durable in the state.
    pub(crate) durable_applied: Csn,
    /// How this consul gets on.
    pub(crate) paces: Paces,
    pub(crate) reads: Reads,
    /// The next output gives peers a sign of life.
    pub(crate) heartbeat_due: bool,
    pub(crate) next_heartbeat: Duration,
    /// The resolved CSN that peers were last told.
    pub(crate) told_resolved: Option<Csn>,
    /// What this term's consul last called resolved.
    pub(crate) consul_resolved: Option<Csn>,
}

impl Node {
    /// Time passes: `now` is the time since some fixed moment, and never goes back. Call it at least a few times per
    /// election time-out.
    pub fn tick(&mut self, now: Duration) {
        if self.now.is_none() {
            // A lone server has nobody to wait for: no other can be consul, no other is asked.
            let alone = self.senator.alone_is_quorum() && self.may_stand();
            self.senator.election_due = if alone { now } else { now + self.election_delay() };
            self.senator.grants_from = now + self.config.election_timeout * 2;
        }
        assert!(self.now.is_none_or(|before| before <= now), "time never goes back");
        self.now = Some(now);
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + self.config.election_timeout / 10;
            self.heartbeat_due = true;
            for worker in &mut self.workers {
                // A fetch that was lost is tried again; one that goes on is left alone.
                if !std::mem::take(&mut worker.fetch_moves) {
                    worker.fetching = None;
                }
            }
            self.check_quorum(now);
            self.reads.heartbeat(now);
            self.transfer_heartbeat(now);
            self.finish_drops();
        }
        if std::mem::take(&mut self.senator.consul_spoke) {
            // Nobody knows how long after the last tick that was: counting from here promises more, never less.
            self.senator.consul_heard = Some(now);
            self.senator.election_due = now + self.election_delay();
        }
        self.read_by_time(now);
        if now >= self.senator.election_due && self.senator.role != Role::Consul {
            self.senator.election_due = now + self.election_delay();
            if self.may_stand() {
                self.seek_election();
            }
        }
        self.advance();
    }

    /// All batches up to this one are on disk: written and synced.
    pub fn persisted(&mut self, seq: PersistSeq) {
        while let Some(flight) = self.persistence.persisted(seq) {
            if let Some(term) = flight.term {
                self.senator.durable_term = self.senator.durable_term.max(term);
            }
            for (log, index) in flight.ends {
                match log {
                    LogId::Senate => self.senator.log.persisted(index),
                    LogId::Group(group) => {
                        if let Some(slot) = self.slot(group) {
                            self.workers[slot].log.persisted(index);
                            self.count(slot);
                        }
                    }
                }
            }
        }
        while let Some(message) = self.persistence.release() {
            self.messages.push(message);
        }
        self.advance();
    }

    /// Everything handed out up to this CSN is in the state (in memory is enough: restarting takes it from the logs).
    pub fn applied(&mut self, csn: Csn) {
        assert!(csn <= self.sequencer.handed().0, "only what was handed out can be applied");
        self.applied = self.applied.max(csn);
    }

    /// The state is durable up to this CSN.
    pub fn state_durable(&mut self, csn: Csn) {
        assert!(csn <= self.applied, "only what is applied can be durable");
        self.durable_applied = self.durable_applied.max(csn);
    }

    /// Whether this server runs the state machines.
    pub(crate) fn runs_state(&self) -> bool {
        self.senator.roles.is_none_or(|roles| roles.state)
    }

    /// Where the logs could begin if the state were made durable now; `None` while handed-out work is not applied, or
    /// when no log could move.
    ///
    /// Call it, make the state durable, then tell both the log store and [`Node::truncate`].
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        let (csn, timestamp) = self.sequencer.handed();
        if self.applied != csn || self.serving.is_none() || self.replaying {
            return None;
        }
        let mut bases = Vec::new();
        let senate = &self.senator;
        if senate.commit > senate.log.base().index {
            let term = senate.log.term_at(senate.commit).expect("what is committed is in the log");
            let configuration = Some(senate.configuration_at(senate.commit).1);
            bases.push((
                LogId::Senate,
                Base {
                    index: senate.commit,
                    term,
                    configuration,
                    ..Base::default()
                },
            ));
        }
        for worker in &mut self.workers {
            worker.settle();
            let base = worker.possible_base(csn, timestamp);
            if base.index > worker.log.base().index {
                bases.push((LogId::Group(worker.group), base));
            }
        }
        (!bases.is_empty()).then_some(Checkpoint { csn, bases })
    }

    /// The state is durable up to the checkpoint, and the log store holds its bases: what is below them is gone.
    pub fn truncate(&mut self, checkpoint: Checkpoint) {
        self.durable_applied = self.durable_applied.max(checkpoint.csn);
        for (log, base) in checkpoint.bases {
            match log {
                LogId::Senate => self.senator.log.rebase(base),
                LogId::Group(group) => {
                    if let Some(slot) = self.slot(group) {
                        self.workers[slot].log.rebase(base);
                    }
                }
            }
        }
    }

    /// What is there to do now. Ask again until it is empty: one output is bounded in size.
    pub fn take_output(&mut self) -> Output {
        self.replicate();
        let mut output = Output::default();
        if self.is_volatile() {
            // Memory is all the disk that it has.
            while let Some(persist) = self.persistence.take() {
                self.persisted(persist.seq);
                self.replicate();
            }
        } else {
            output.persist = self.persistence.take();
        }
        output.messages = std::mem::take(&mut self.messages);
        self.hand_out(&mut output);
        output.reads = self.reads.take_ready(self.applied);
        let office = self.office();
        if self.told != Some(office) {
            self.told = Some(office);
            output.office = Some(office);
        }
        output
    }

    /// What this server is now.
    pub fn office(&self) -> Office {
        let term = self.senator.term;
        match (&self.senator.role, self.serving) {
            (Role::Consul, Some(cut)) => Office::Consul { term, cut },
            (Role::Consul, None) => Office::Inaugurating { term },
            _ => Office::Senator { term },
        }
    }

    /// The highest resolved CSN.
    pub fn resolved(&self) -> Csn {
        self.sequencer.resolved()
    }

    /// The configuration in force.
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.senator.configuration
    }

    /// How many messages were refused, and why.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Bytes that are sequenced and not yet handed out, and of stage records not yet on a quorum.
    pub fn unresolved_bytes(&self) -> u64 {
        self.sequencer.bytes()
    }

    /// Whether everything asked of the log store was reported durable.
    pub fn is_durable(&self) -> bool {
        self.persistence.is_idle()
    }

    pub(crate) fn worker(&self, group: GroupId) -> Option<&Worker> {
        self.slot(group).map(|slot| &self.workers[slot])
    }

    /// Where a group's worker is. Groups are usually numbered from 0 without holes.
    pub(crate) fn slot(&self, group: GroupId) -> Option<usize> {
        let guess = group.0 as usize;
        match self.workers.get(guess) {
            Some(worker) if worker.group == group => Some(guess),
            _ => self.workers.binary_search_by_key(&group, |worker| worker.group).ok(),
        }
    }

    /// Appends to a group's log as its leader.
    pub(crate) fn append(&mut self, slot: usize, record: Record) -> Index {
        let term = self.senator.term;
        let worker = &mut self.workers[slot];
        let entry = worker.log.append(term, record).clone();
        let index = entry.index;
        worker.learn(&entry);
        self.persistence.write(Write::Append {
            log: LogId::Group(worker.group),
            entry,
        });
        index
    }

    /// Appends to the senate's log as its leader.
    pub(crate) fn append_senate(&mut self, record: Record) -> Index {
        let entry = self.senator.log.append(self.senator.term, record).clone();
        self.senator.learn(&entry);
        let index = entry.index;
        self.persistence.write(Write::Append { log: LogId::Senate, entry });
        index
    }

    /// Where the worker logs here end.
    pub(crate) fn tails(&self) -> Vec<(GroupId, Tail)> {
        self.workers.iter().map(|worker| (worker.group, worker.log.tail())).collect()
    }

    /// Takes every step that what is known now allows.
    pub(crate) fn advance(&mut self) {
        if self.senator.elected() {
            self.take_office();
        }
        if self.senator.role != Role::Consul {
            return self.follow_resolved();
        }
        self.senator.count();
        self.live_by_committed();
        self.inaugurate();
        if self.serving.is_some() {
            self.advance_change();
            self.advance_transfer();
            let Self { sequencer, workers, .. } = self;
            sequencer.resolve(|place| {
                let guess = place.group.0 as usize;
                let worker = match workers.get(guess) {
                    Some(worker) if worker.group == place.group => Some(worker),
                    _ => workers.iter().find(|worker| worker.group == place.group),
                };
                // A state must never be ahead of the log beside it.
                worker.is_some_and(|worker| worker.commit.min(worker.log.durable()) >= place.index)
            });
        }
    }

    /// Counts a group's quorum after its log became durable somewhere.
    pub(crate) fn count(&mut self, slot: usize) {
        if self.senator.role == Role::Consul {
            let released = self.workers[slot].count(self.config.server, self.senator.term);
            self.sequencer.unstage(released);
        }
    }

    /// Whether there is no other server.
    pub(crate) fn lone(&self) -> bool {
        self.standing.peers.is_empty()
    }

    /// Hands out resolved transactions in CSN order, up to the limits of one output.
    fn hand_out(&mut self, output: &mut Output) {
        let mut bytes = 0;
        while output.apply.len() < self.config.apply_fragments_max && bytes < self.config.apply_bytes_max {
            let Some((csn, pending)) = self.sequencer.hand() else { break };
            match &pending.participants {
                Participants::Alone => bytes += self.hand_out_fragment(csn, pending.place, true, output),
                Participants::Several(list) => {
                    for (at, place) in list.iter().enumerate() {
                        bytes += self.hand_out_fragment(csn, *place, at == 0, output);
                    }
                }
            }
        }
        let (csn, timestamp) = self.sequencer.handed();
        if self.replaying && self.serving.is_some_and(|cut| csn >= cut) {
            // Nothing before the term-starts is left to apply: what stands there and wasn't handed out is void.
            self.replaying = false;
            for worker in &mut self.workers {
                worker.hand(worker.term_start_index.max(worker.handed));
            }
        }
        let mut positions = Vec::new();
        for worker in &mut self.workers {
            if std::mem::take(&mut worker.moved) {
                positions.push((worker.group, worker.position(csn, timestamp)));
            }
        }
        if !positions.is_empty() {
            output.applied = Some(AppliedTo { csn, timestamp, positions });
        }
    }

    fn hand_out_fragment(&mut self, csn: Csn, place: Participant, first: bool, output: &mut Output) -> usize {
        let slot = self.slot(place.group).expect("a participant's group exists");
        let worker = &mut self.workers[slot];
        let entry = worker.log.get(place.index).expect("what is not handed out is in the window");
        let Record::Fragment(fragment) = &entry.record else {
            panic!("a participant list names a fragment: {place:?}")
        };
        assert_eq!(
            fragment.csn, csn,
            "a participant list names the transaction's own fragments: {place:?}"
        );
        let bytes = fragment.payload.len();
        output.apply.push(Apply {
            group: place.group,
            index: place.index,
            key: fragment.key.filter(|_| first),
            fragment: fragment.clone(),
        });
        worker.hand(place.index);
        bytes
    }
}
