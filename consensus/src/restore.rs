//! A node from what its disk holds.
//!
//! The driver reads the log store from the front and passes everything on: hard state, bases, how far the state is, then
//! the entries of every log in order. Nothing is kept of entries that are already applied but the terms they wrote, so a
//! long log costs little memory; payloads may be passed as `Stored` and are then read again when they are applied.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::arrivals::Arrivals;
use crate::check_quorum::Paces;
use crate::commit::Sequencer;
use crate::ids::{Csn, GroupId, Index, LogId, Timestamp};
use crate::log::{Base, Log};
use crate::log_read::LogReads;
use crate::membership::Standing;
use crate::mutation::mutated;
use crate::node::{Config, HardState, Node};
use crate::output::Write;
use crate::persistence::Persistence;
use crate::progress::Peers;
use crate::quorum::Members;
use crate::random::Random;
use crate::reads::Reads;
use crate::record::{Entry, Record};
use crate::refusals::Refusals;
use crate::senate::{Configuration, Role, Rounds, Senator};
use crate::slots::Slots;
use crate::snapshot::SnapshotReads;
use crate::transfer::Transfer;
use crate::worker::Worker;

/// Why a node can't be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The stored senate log has no configuration, and no founding one was given.
    NoConfiguration,
    /// A log has a gap: the entry that should follow `after` is `found`.
    Gap {
        /// The log.
        log: LogId,
        /// The last entry before the gap.
        after: Index,
        /// What came instead.
        found: Index,
    },
    /// An entry's term is lower than the one before it, or higher than the stored term.
    Term {
        /// The log.
        log: LogId,
        /// The entry.
        index: Index,
    },
    /// Records that were durable are damaged, and no other server has them.
    Damaged {
        /// The log.
        log: LogId,
        /// The last sound entry.
        after: Index,
    },
    /// The state lacks transactions that the log has already let go of.
    StateBehindLog {
        /// The log.
        log: LogId,
        /// The log's base is at this CSN.
        base: Csn,
        /// The state is at this one.
        applied: Csn,
    },
    /// The state has applied entries that the log lacks.
    LogBehindState {
        /// The log.
        log: LogId,
        /// The log's last entry.
        last: Index,
        /// The state's position.
        applied: Index,
    },
    /// Entries or positions of a group that the configuration doesn't have.
    UnknownGroup(GroupId),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::NoConfiguration => f.write_str("the log holds no configuration"),
            RestoreError::Gap { log, after, found } => {
                write!(f, "the log of {log} has a gap: entry {found} follows entry {after}")
            }
            RestoreError::Term { log, index } => write!(f, "entry {index} of {log} has an impossible term"),
            RestoreError::Damaged { log, after } => {
                write!(
                    f,
                    "the log of {log} is damaged after entry {after}, and no other server has the rest"
                )
            }
            RestoreError::StateBehindLog { log, base, applied } => {
                write!(f, "the log of {log} begins after CSN {base}, but the state ends at CSN {applied}")
            }
            RestoreError::LogBehindState { log, last, applied } => {
                write!(
                    f,
                    "the log of {log} ends at entry {last}, but the state has applied entry {applied}"
                )
            }
            RestoreError::UnknownGroup(group) => write!(f, "group {group} is in no configuration"),
        }
    }
}

impl std::error::Error for RestoreError {}

/// How far the state is, as it is stored with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedState {
    /// Every transaction up to here is in the state.
    pub csn: Csn,
    /// The commit timestamp at `csn`.
    pub timestamp: Timestamp,
    /// The position of each group, as [`crate::AppliedTo`] gave it; groups that are missing are at zero.
    pub positions: Vec<(GroupId, Base)>,
}

impl AppliedState {
    /// A group's position in the state as it is: what a snapshot that is taken now is of.
    pub fn position(&self, group: GroupId) -> Base {
        let stored = self.positions.iter().find(|(known, _)| *known == group);
        let position = stored.map_or_else(Base::default, |(_, position)| position.clone());
        // Nothing of the group came since it last moved; a snapshot may be ahead of the other groups.
        let (csn, timestamp) = (position.csn, position.timestamp).max((self.csn, self.timestamp));
        Base {
            csn,
            timestamp,
            ..position
        }
    }
}

/// Collects what the disk holds.
#[derive(Debug)]
pub struct Restore {
    config: Config,
    hard_state: HardState,
    applied: AppliedState,
    logs: BTreeMap<LogId, Restored>,
    /// The configurations of the senate's log, by index; the first may be its base's.
    configurations: Vec<(Index, Arc<Configuration>)>,
}

#[derive(Debug, Default)]
struct Restored {
    log: Log,
    /// Entries up to here are not kept.
    applied: Index,
    /// The term-starts in the log.
    term_starts: Vec<Entry>,
    /// What stood after this is unknown.
    damaged: Option<Index>,
}

impl Restored {
    fn cut_after(&mut self, after: Index) {
        self.log.drop_suffix(after);
        self.term_starts.retain(|start| start.index <= after);
    }
}

impl Restore {
    /// Begins with the stored hard state, if there is one, the bases of the logs, and how far the state is.
    pub fn new(
        config: Config,
        hard_state: Option<HardState>,
        bases: impl IntoIterator<Item = (LogId, Base)>,
        applied: AppliedState,
    ) -> Result<Self, RestoreError> {
        let mut logs = BTreeMap::new();
        let mut configurations = Vec::new();
        for (log, base) in bases {
            if log == LogId::Senate {
                configurations.extend(base.configuration.clone().map(|configuration| (base.index, configuration)));
            }
            let position = base.index;
            logs.insert(
                log,
                Restored {
                    log: Log::new(base),
                    applied: position,
                    ..Restored::default()
                },
            );
        }
        for (group, position) in &applied.positions {
            let restored = logs.entry(LogId::Group(*group)).or_default();
            restored.applied = restored.applied.max(position.index);
        }
        Ok(Self {
            config,
            hard_state: hard_state.unwrap_or_default(),
            applied,
            logs,
            configurations,
        })
    }

    /// The next entry of a log. An entry at or before the last one replaces it and what came after it. Entries at or
    /// below the base are passed over.
    pub fn entry(&mut self, log: LogId, entry: Entry) -> Result<(), RestoreError> {
        let restored = self.logs.entry(log).or_default();
        let tail = restored.log.tail();
        if entry.index <= restored.log.base().index {
            return Ok(());
        }
        if entry.index > tail.index.next() {
            return Err(RestoreError::Gap {
                log,
                after: tail.index,
                found: entry.index,
            });
        }
        restored.log.drop_suffix(entry.index.previous());
        restored.term_starts.retain(|start| start.index < entry.index);
        let last_term = restored.log.tail().term;
        let opens = matches!(entry.record, Record::TermStart(_));
        if entry.term < last_term || entry.term > self.hard_state.term || opens && entry.term == last_term {
            return Err(RestoreError::Term { log, index: entry.index });
        }
        if log == LogId::Senate {
            self.configurations.retain(|(index, _)| *index < entry.index);
        }
        match &entry.record {
            Record::Configuration(configuration) => self.configurations.push((entry.index, configuration.clone())),
            Record::TermStart(_) => restored.term_starts.push(entry.clone()),
            _ => {}
        }
        if entry.index <= restored.applied {
            restored.log.push_released(entry.index, entry.term, entry.bytes());
        } else {
            restored.log.push(entry);
        }
        Ok(())
    }

    /// Records of this log after `after` were durable and are damaged: where the log ended is not known. Say so after its
    /// entries; those after `after` are not kept.
    ///
    /// This run remembers it until the log is mended, and no longer than it lasts: say so at every start while the damaged
    /// place is part of the log store. What was written since then is sound, so from the second time on `after` is the
    /// last entry that follows the ones before it without a gap.
    pub fn damaged(&mut self, log: LogId, after: Index) {
        let restored = self.logs.entry(log).or_default();
        let after = after.max(restored.log.base().index);
        restored.damaged = Some(restored.damaged.map_or(after, |before| before.min(after)));
    }

    /// The node. With no configuration stored, it founds a cluster by `founding`; without that either it waits for the
    /// consul of `config.cluster`, if that is set, to make it part of the cluster.
    pub fn finish(mut self, founding: Option<Configuration>) -> Result<Node, RestoreError> {
        let mut persistence = Persistence::default();
        let Restored {
            log: mut senate,
            damaged: senate_damaged,
            ..
        } = self.logs.remove(&LogId::Senate).unwrap_or_default();
        if let Some(after) = senate_damaged {
            senate.drop_suffix(after);
            self.configurations.retain(|(index, _)| *index <= after);
            persistence.write(Write::DropSuffix { log: LogId::Senate, after });
        }
        // What is here is durable; what founds a cluster is still to be written.
        senate.persisted(senate.last());
        let configuration = match (self.configurations.last().cloned(), founding) {
            (Some((_, configuration)), _) => configuration,
            (None, Some(founding)) => {
                let founding = Arc::new(founding);
                let record = Record::Configuration(founding.clone());
                let entry = senate.append(Default::default(), record).clone();
                self.configurations.push((entry.index, founding.clone()));
                persistence.hard_state(self.hard_state);
                persistence.write(Write::Append { log: LogId::Senate, entry });
                founding
            }
            (None, None) => match self.config.cluster {
                Some(cluster) if senate.last() == Index::ZERO => Arc::new(Configuration::unknown(cluster)),
                _ => return Err(RestoreError::NoConfiguration),
            },
        };
        // The groups live by the first configuration, until it is known which later ones are committed. But what a later
        // one creates may be committed, and have entries here.
        let (index, committed) = match self.configurations.first() {
            Some((index, first)) => (*index, first.clone()),
            None => (Index::ZERO, configuration.clone()),
        };
        let standing = Standing::new(index, committed.clone());
        let mut groups = BTreeMap::new();
        for (_, later) in &self.configurations {
            for (group, members) in &later.groups {
                groups.entry(*group).or_insert_with(|| members.clone());
            }
        }
        let me = self.config.server;
        if let Some(after) = senate_damaged
            && configuration.senate.contains(me)
            && configuration.senate.all().all(|server| server == me)
        {
            return Err(RestoreError::Damaged { log: LogId::Senate, after });
        }
        let scribe = configuration.roles(me).is_some_and(|roles| !roles.state);
        // What the latest one lacks may still be needed, unless the log is gone already: then that one is committed.
        groups.retain(|group, _| {
            let stored = self
                .logs
                .get(&LogId::Group(*group))
                .is_some_and(|stored| stored.log.last() > Index::ZERO);
            stored || configuration.group(*group).is_some()
        });
        // Who keeps its logs in memory begins them where the state is.
        let volatile = configuration.roles(me).is_none_or(|roles| !roles.log);
        let mut unplaced: BTreeMap<_, _> = self.applied.positions.iter().cloned().collect();
        let mut workers = Vec::with_capacity(groups.len());
        for (group, members) in &groups {
            let log = LogId::Group(*group);
            let mut restored = self.logs.remove(&log).unwrap_or_default();
            let lone = !volatile && members.all().all(|server| server == me);
            if let Some(after) = restored.damaged {
                if lone {
                    return Err(RestoreError::Damaged { log, after });
                }
                if restored.log.last() > after {
                    persistence.write(Write::DropSuffix { log, after });
                }
                restored.cut_after(after);
            }
            let position = unplaced.remove(group).unwrap_or_default();
            let base = restored.log.base();
            if base.csn > self.applied.csn && position.index < base.index && !scribe {
                return Err(RestoreError::StateBehindLog {
                    log,
                    base: base.csn,
                    applied: self.applied.csn,
                });
            }
            if !restored.log.holds(position.tail()) {
                if lone {
                    return Err(RestoreError::LogBehindState {
                        log,
                        last: restored.log.last(),
                        applied: position.index,
                    });
                }
                // A snapshot was installed, and the log didn't come to begin after it.
                if restored.log.last() > base.index {
                    let after = base.index;
                    persistence.write(Write::DropSuffix { log, after });
                }
                let base = position.clone();
                persistence.write(Write::Base { log, base });
                restored.log.replace(position.clone());
                restored.term_starts.clear();
            }
            let damaged = restored.damaged.is_some();
            let Restored {
                log, applied, term_starts, ..
            } = restored;
            let mut worker = Worker::restore(*group, members.clone(), log, applied.max(position.index), &term_starts);
            worker.damaged = (damaged && !mutated!(self.config, RotIsAbsence)).then_some(self.hard_state.term);
            worker.note_installed(&position);
            workers.push(worker);
        }
        if scribe {
            // It has no state: it goes on from where all its logs begin.
            let bases = workers.iter().map(|worker| worker.log.base());
            if let Some(first) = bases.min_by_key(|base| base.csn) {
                (self.applied.csn, self.applied.timestamp) = (first.csn, first.timestamp);
            }
        }
        let ends = workers
            .iter()
            .map(|worker| worker.log.base())
            .chain(self.applied.positions.iter().map(|(_, base)| base));
        let installed = ends.map(|base| (base.csn, base.timestamp)).max().unwrap_or_default();
        let mut parked = BTreeMap::new();
        for (log, restored) in self.logs {
            match log {
                // Not known here yet.
                LogId::Group(group) if volatile && unplaced.contains_key(&group) => {}
                // Dropped, and the log store had not finished with it.
                LogId::Group(group) if group < configuration.next_group => persistence.write(Write::DropLog { log }),
                // What created it is among the damaged records; it waits for the consul to say so again.
                LogId::Group(group) if senate_damaged.is_some() => {
                    let mut worker = Worker::restore(group, Members::default(), restored.log, restored.applied, &restored.term_starts);
                    worker.damaged = restored.damaged.is_some().then_some(self.hard_state.term);
                    worker.note_installed(&unplaced.remove(&group).unwrap_or_default());
                    parked.insert(group, worker);
                }
                // The state heard of it before what created it was durable here; it has nothing of it yet.
                LogId::Group(_) if restored.log.last() == Index::ZERO && restored.applied == Index::ZERO => {}
                LogId::Group(group) => return Err(RestoreError::UnknownGroup(group)),
                LogId::Senate => {}
            }
        }
        // Who stores no votes has no term of its own, but may know of one.
        let term = self.hard_state.term.max(senate.base().term);
        let senator = Senator {
            id: self.config.server,
            roles: configuration.roles(self.config.server),
            term,
            vote: self.hard_state.vote,
            durable_term: term,
            role: Role::Follower { consul: None },
            commit: senate.base().index,
            known_commit: Index::ZERO,
            log: senate,
            configuration,
            configurations: self.configurations,
            peers: Peers::default(),
            consul_heard: None,
            consul_spoke: false,
            favoured: None,
            refusing_since: None,
            round: 0,
            verified: Index::ZERO,
            election_due: Duration::ZERO,
            grants_from: Duration::ZERO,
            damaged: (senate_damaged.is_some() && !mutated!(self.config, RotIsAbsence)).then_some(self.hard_state.term),
            #[cfg(feature = "mutations")]
            mutation: self.config.mutation,
        };
        let mut groups = workers.iter().chain(parked.values());
        let started_damaged = senator.damaged.is_some() || groups.any(|worker| worker.damaged.is_some());
        let mut node = Node {
            random: Random::new(self.config.seed),
            config: self.config,
            senator,
            workers,
            sequencer: Sequencer::new(self.applied.csn, self.applied.timestamp),
            inauguration: None,
            serving: None,
            persistence,
            now: None,
            applied: self.applied.csn,
            messages: Vec::new(),
            told: None,
            arrivals: Arrivals::default(),
            installed,
            passed: false,
            sending: Slots::default(),
            unsettled: Slots::default(),
            gathering: Slots::default(),
            moved: Slots::default(),
            reported: BTreeMap::new(),
            log_reads: LogReads::default(),
            waiting_for_room: BTreeMap::new(),
            snapshot_reads: SnapshotReads::default(),
            installs: Vec::new(),
            pulls: Vec::new(),
            snapshot_floor: Csn::ZERO,
            noted_bases: None,
            bases_sought_at: None,
            rounds: Rounds::default(),
            paces: Paces::default(),
            reads: Reads::default(),
            standing,
            refusals: Refusals::default(),
            unplaced,
            parked,
            transfer: Transfer::default(),
            stood_by_wish: false,
            durable_applied: self.applied.csn,
            heartbeat_due: false,
            next_heartbeat: Duration::ZERO,
            told_resolved: None,
            news_since: None,
            consul_resolved: None,
            heard: false,
            started_damaged,
        };
        node.renumber();
        node.moved.take();
        // A log may have come to begin after the position that the state was told last: the state must know, for snapshots
        // of it are of its position.
        for slot in 0..node.workers.len() {
            let worker = &node.workers[slot];
            if worker.handed > self.applied.position(worker.group).index && !scribe {
                node.moved.insert(slot);
            }
        }
        if node.standing.configuration.dropped_floor > Csn::ZERO {
            node.tell_positions();
        }
        Ok(node)
    }
}
