//! The node: one server's senator and workers, driven by events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::arrivals::Arrivals;
use crate::check_quorum::Paces;
use crate::commit::Sequencer;
use crate::ids::{ClusterId, Csn, GroupId, Incarnation, Index, LogId, Participant, PersistSeq, ServerId, Tail, Term, Timestamp};
use crate::inauguration::Inauguration;
use crate::log::Base;
use crate::log_read::LogReads;
use crate::membership::Standing;
use crate::message::Message;
use crate::mutation::mutated;
use crate::output::{AppliedTo, Apply, InstallChunk, Office, Output, Write};
use crate::persistence::Persistence;
use crate::random::Random;
use crate::reads::Reads;
use crate::record::{RECORD_BYTES, Record};
use crate::refusals::Refusals;
use crate::replication::Reported;
use crate::senate::{Configuration, Role, Rounds, Senator, Vote};
use crate::slots::Slots;
use crate::snapshot::SnapshotReads;
use crate::transfer::Transfer;
use crate::truncation::Checkpoint;
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
    /// servers run at speeds which differ by less than so many hundredths. A clock that stands still while its machine is
    /// suspended breaks that word. `None` asks a quorum every time.
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
    /// That more is resolved is told within so long; until then it waits for company.
    pub news_delay: Duration,
    /// So many rounds that left for reads alone may be on their way.
    pub read_rounds_max: usize,
    /// An append carries about so many bytes of each log.
    pub append_bytes_max: usize,
    /// A message carries about so many bytes of entries.
    pub message_bytes_max: usize,
    /// About so many bytes of entries may be on their way to one peer.
    pub peer_window_bytes_max: usize,
    /// So many entries of one log may be on their way to one peer.
    pub peer_window_entries_max: u64,
    /// Proposals to a group wait while so many bytes of its log are on no quorum. One transaction may exceed it, alone.
    pub group_window_bytes_max: u64,
    /// About so many bytes of entries stay in memory, over all groups; a small part of it, those that are handed out, for
    /// peers that lag.
    pub memory_bytes_max: usize,
    /// The logs keep about so many bytes for members that lag, over all groups, before they get snapshots.
    pub retained_bytes_max: u64,
    /// So many reads of the log store for other servers may be under way.
    pub log_reads_max: usize,
    /// An output hands out at most so many fragments to apply (of at least one transaction).
    pub apply_fragments_max: usize,
    /// An output hands out at most so many bytes to apply (of at least one transaction).
    pub apply_bytes_max: usize,
    /// What is resolved waits while so many bytes are handed out and not reported applied. One transaction may exceed it,
    /// alone.
    pub unapplied_bytes_max: u64,
    /// The bug that this server has.
    #[cfg(feature = "mutations")]
    pub mutation: Option<crate::Mutation>,
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
            news_delay: Duration::ZERO,
            read_rounds_max: 2,
            append_bytes_max: 1 << 20,
            message_bytes_max: 8 << 20,
            peer_window_bytes_max: 8 << 20,
            peer_window_entries_max: 64 << 10,
            group_window_bytes_max: 32 << 20,
            memory_bytes_max: 64 << 20,
            retained_bytes_max: 256 << 20,
            log_reads_max: 256,
            apply_fragments_max: 16 << 10,
            apply_bytes_max: 8 << 20,
            unapplied_bytes_max: 64 << 20,
            #[cfg(feature = "mutations")]
            mutation: None,
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

/// Who takes what is handed out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HandOut {
    /// Nobody: this server runs no state machines.
    Nobody,
    /// The state.
    State,
    /// The state of a server that has no log store to read stage records from.
    StateWithoutLog,
}

/// One server's consensus. See the crate's page for the contract.
#[derive(Clone, Debug)]
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
    /// The highest CSN at which a base stands or a snapshot was installed, and its commit timestamp.
    pub(crate) installed: (Csn, Timestamp),
    /// CSNs were passed over since the driver was last told how far the state is.
    pub(crate) passed: bool,
    /// Workers with something to send.
    pub(crate) sending: Slots,
    /// Workers whose log some peer isn't known to have.
    pub(crate) unsettled: Slots,
    /// Workers whose log went on in a way that may let the commit order go on.
    pub(crate) gathering: Slots,
    /// Workers whose position moved since the driver was last told.
    pub(crate) moved: Slots,
    /// What each peer last said of itself; a consul's.
    pub(crate) reported: BTreeMap<ServerId, Reported>,
    pub(crate) log_reads: LogReads,
    /// Workers whose entries for a peer wait because too much else is on its way there; a consul's.
    pub(crate) waiting_for_room: BTreeMap<ServerId, Slots>,
    pub(crate) snapshot_reads: SnapshotReads,
    /// Pieces of snapshots for the state.
    pub(crate) installs: Vec<InstallChunk>,
    /// The groups whose snapshots are being copied; the first is asked for.
    pub(crate) pulls: Vec<GroupId>,
    /// Everything up to here is in snapshots that survive the loss of every state server.
    pub(crate) snapshot_floor: Csn,
    /// Where a scribe's logs may begin once snapshots cover it.
    pub(crate) noted_bases: Option<Checkpoint>,
    /// How far the server was when such bases were last looked for.
    pub(crate) bases_sought_at: Option<(Term, Csn, Index)>,
    /// Who answered this consul, and when.
    pub(crate) rounds: Rounds,
    pub(crate) standing: Standing,
    pub(crate) refusals: Refusals,
    /// Where the state is in groups that are not known here yet, or were not when the logs began.
    pub(crate) unplaced: BTreeMap<GroupId, Base>,
    /// Logs of groups whose creation is among damaged records of the senate's log.
    pub(crate) parked: BTreeMap<GroupId, Worker>,
    pub(crate) transfer: Transfer,
    /// The last time it stood, that was another consul's wish.
    pub(crate) stood_by_wish: bool,
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
    /// Since when more is resolved than they were told, or a little longer.
    pub(crate) news_since: Option<Duration>,
    /// What this term's consul last called resolved.
    pub(crate) consul_resolved: Option<Csn>,
    /// This term's consul has heard of this run: what it says is no older.
    pub(crate) heard: bool,
    /// Some log's records were damaged when this run began; there is no other beginning of that.
    pub(crate) started_damaged: bool,
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
            self.fetch_heartbeat();
            self.pull_on(true);
            self.truncate_scribe();
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
        let stored = self.stores_logs();
        while let Some(flight) = self.persistence.persisted(seq) {
            if let Some(term) = flight.term {
                self.senator.durable_term = self.senator.durable_term.max(term);
            }
            for (log, index) in flight.ends {
                match log {
                    LogId::Senate => self.senator.log.persisted(index),
                    LogId::Group(group) => {
                        if let Some(slot) = self.slot(group) {
                            self.workers[slot].persisted(index, stored);
                            self.gathering.insert(slot);
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
        self.sequencer.applied(csn);
    }

    /// The state is durable up to this CSN.
    pub fn state_durable(&mut self, csn: Csn) {
        assert!(csn <= self.applied, "only what is applied can be durable");
        self.durable_applied = self.durable_applied.max(csn);
    }

    /// Whether this server runs the state machines.
    pub(crate) fn runs_state(&self) -> bool {
        self.senator.roles.is_some_and(|roles| roles.state)
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
        output.log_reads = std::mem::take(&mut self.log_reads.asked);
        output.snapshot_reads = std::mem::take(&mut self.snapshot_reads.asked);
        // A snapshot comes after everything of its group that was resolved before it.
        if !self.installs.iter().any(|chunk| self.sequencer.waits_in(chunk.group)) {
            output.installs = std::mem::take(&mut self.installs);
        }
        // Who reads sees no group ahead of the others.
        let is_prefix = self.applied >= self.installed.0 && !self.installing();
        output.reads = self.reads.take_ready(self.runs_state(), is_prefix.then_some(self.applied));
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

    /// Whether this consul is handing its office over: nothing can be proposed until it is gone, or stays.
    pub fn is_transferring(&self) -> bool {
        self.transfer.under_way()
    }

    /// Whether a server has answered this consul within the last election time-out.
    pub fn answers(&self, server: ServerId) -> bool {
        let now = self.now.unwrap_or_default();
        self.rounds.answers(server, now, self.config.election_timeout)
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
        let (index, log) = (entry.index, LogId::Group(worker.group));
        worker.window_bytes += entry.bytes() as u64;
        worker.learn(&entry);
        self.persistence.write(Write::Append { log, entry });
        self.sending.insert(slot);
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
        let known = self.workers.iter().filter(|worker| worker.damaged.is_none());
        let end = |worker: &Worker| match mutated!(self.config, LateAck) {
            true => Tail {
                term: worker.log.term_at(worker.log.durable()).unwrap_or_default(),
                index: worker.log.durable(),
            },
            false => worker.log.tail(),
        };
        known.map(|worker| (worker.group, end(worker))).collect()
    }

    /// Takes every step that what is known now allows.
    pub(crate) fn advance(&mut self) {
        if self.senator.elected() {
            self.take_office();
        }
        if self.senator.role != Role::Consul {
            self.senator.mend();
            return self.follow_resolved();
        }
        self.senator.count();
        self.live_by_committed();
        self.inaugurate();
        if self.serving.is_some() {
            self.advance_change();
            self.advance_transfer();
            let (sequencer, workers) = (&mut self.sequencer, &self.workers);
            sequencer.resolve(|place| {
                let guess = place.group.0 as usize;
                let worker = match workers.get(guess) {
                    Some(worker) if worker.group == place.group => Some(worker),
                    _ => workers.iter().find(|worker| worker.group == place.group),
                };
                worker.is_some_and(|worker| worker.has_on_quorum(place.index))
            });
        }
    }

    /// The workers were numbered anew.
    pub(crate) fn renumber(&mut self) {
        for slots in [&mut self.sending, &mut self.unsettled, &mut self.gathering, &mut self.moved] {
            slots.reset(self.workers.len());
        }
        self.waiting_for_room.clear();
        let memory = self.config.memory_bytes_max / self.workers.len().max(1);
        for worker in &mut self.workers {
            worker.memory_bytes_max = memory;
            #[cfg(feature = "mutations")]
            {
                worker.mutation = self.config.mutation;
            }
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
        let (before, _) = self.sequencer.handed();
        let mut bytes = 0;
        let to = match (self.runs_state(), self.is_volatile()) {
            (false, _) => HandOut::Nobody,
            (true, false) => HandOut::State,
            (true, true) => HandOut::StateWithoutLog,
        };
        output.apply.reserve(self.sequencer.waiting().min(self.config.apply_fragments_max));
        let unapplied = self.sequencer.unapplied_bytes();
        let room = self
            .config
            .unapplied_bytes_max
            .saturating_sub(unapplied)
            .max((unapplied == 0).into());
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(self.config.apply_bytes_max);
        while output.apply.len() < self.config.apply_fragments_max && bytes < room {
            let Some((csn, pending)) = self.sequencer.hand() else { break };
            for (at, place) in pending.places().iter().enumerate() {
                bytes += self.hand_out_fragment(csn, *place, at == 0, to, output);
            }
        }
        if self.sequencer.is_empty() && self.healing() {
            // CSNs are passed over only while nothing waits.
            self.advance();
        }
        let (csn, timestamp) = self.sequencer.handed();
        self.sequencer.wait_for_state(bytes as u64);
        let mut positions = Vec::new();
        let consul = (self.senator.role == Role::Consul).then_some(self.config.server);
        let stored = self.stores_logs();
        for slot in self.moved.take() {
            let worker = &mut self.workers[slot];
            worker.forget_handed();
            if stored {
                worker.trim(consul);
            }
            let position = worker.position(csn, timestamp);
            // The driver is about to put a snapshot there, and is further then.
            if !worker.installing() {
                positions.push((worker.group, position));
            }
        }
        // Also where snapshots had brought all of it.
        if std::mem::take(&mut self.passed) || csn != before || !positions.is_empty() {
            if self.runs_state() {
                output.applied = Some(AppliedTo { csn, timestamp, positions });
            } else {
                self.applied(csn);
            }
        }
    }

    fn hand_out_fragment(&mut self, csn: Csn, place: Participant, first: bool, to: HandOut, output: &mut Output) -> usize {
        let Some(slot) = self.slot(place.group) else { return 0 }; // of a group that was dropped
        let worker = &mut self.workers[slot];
        if place.index <= worker.handed {
            return 0; // a snapshot brought it
        }
        if worker.is_applied(csn, Csn::ZERO) {
            // So it did, and the log had to begin earlier.
            worker.hand_one(place.index);
            self.moved.insert(slot);
            return 0;
        }
        let Some(fragment) = worker.log.fragment(place.index) else {
            panic!("what is not handed out is in memory, a fragment: {place:?} of {csn:?}")
        };
        assert_eq!(
            fragment.csn, csn,
            "a participant list names the transaction's own fragments: {place:?}"
        );
        let bytes = RECORD_BYTES + fragment.payload.len();
        if to != HandOut::Nobody {
            let mut staged = Vec::new();
            if to == HandOut::StateWithoutLog {
                let held = |index: &Index| worker.log.held(*index).and_then(|entry| entry.record.payload()).cloned();
                staged.extend(fragment.stages.as_slice().iter().filter_map(held));
            }
            output.apply.push(Apply {
                group: place.group,
                index: place.index,
                key: fragment.key.filter(|_| first),
                fragment: fragment.clone(),
                staged,
            });
        }
        worker.hand_one(place.index);
        self.moved.insert(slot);
        bytes
    }
}
