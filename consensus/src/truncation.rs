//! Where logs may begin.
//!
//! A server with state truncates what its state holds durably. The consul keeps what members still need, up to a limit;
//! who needs more than that gets a snapshot. A scribe holds no state: it lets go of what the consul says is in snapshots
//! that survive the loss of every state server, and of nothing where there are none.

use std::collections::BTreeSet;

use crate::ids::{Csn, Index, LogId};
use crate::log::Base;
use crate::mutation::mutated;
use crate::node::Node;
use crate::output::Write;
use crate::senate::Role;

/// Where the logs may begin, once the state is durable up to `csn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to this CSN must be durable in the state.
    pub csn: Csn,
    /// The new bases, of those logs that can move.
    pub bases: Vec<(LogId, Base)>,
}

impl Node {
    /// Where the logs could begin once everything handed out is applied; `None` while it isn't known which fragments count, or when nothing
    /// could move.
    ///
    /// Call it, apply up to its CSN, make the state durable, then tell both the log store and [`Node::truncate`].
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.checkpoint_keeping(self.config.retained_bytes_max)
    }

    /// The same, with so many bytes at most kept for members that lack them. Logs lie in one file after the other: few bytes of one can hold
    /// up what others need no more, so who finds that too much lies there keeps nothing for a while.
    pub fn checkpoint_keeping(&mut self, bytes: u64) -> Option<Checkpoint> {
        if !self.runs_state() {
            return None;
        }
        let checkpoint = self.possible_bases(bytes)?;
        (!checkpoint.bases.is_empty() || checkpoint.csn > self.durable_applied).then_some(checkpoint)
    }

    fn possible_bases(&mut self, mut room: u64) -> Option<Checkpoint> {
        let consul = self.serving.is_some();
        let follows = matches!(self.senator.role, Role::Follower { .. }) && self.consul_resolved.is_some();
        // The base rule asks for a final term-start: that of a consul which serves.
        let unheard = mutated!(self.config, TruncateVoid);
        if !consul && !follows && !unheard || self.healing() {
            return None;
        }
        if unheard {
            for slot in 0..self.workers.len() {
                let worker = &self.workers[slot];
                if worker.term_start.term == self.senator.term && worker.log.durable() >= worker.term_start_index {
                    self.gather(slot, worker.term_start_index);
                }
            }
        }
        let (csn, timestamp) = self.sequencer.handed();
        let mut bases = Vec::new();
        let mut needed = Vec::new();
        bases.extend(self.senator.possible_base().map(|base| (LogId::Senate, base)));
        for slot in 0..self.workers.len() {
            let (me, term) = (self.config.server, self.senator.term);
            let worker = &mut self.workers[slot];
            if worker.term_start.term != term || worker.gathered < worker.term_start_index || worker.installing() {
                continue;
            }
            if worker.settle() {
                self.moved.insert(slot);
            }
            let mut base = worker.possible_base(csn, timestamp);
            if mutated!(self.config, TruncateUnresolved) {
                base = worker.base_at(worker.log.durable(), csn, timestamp);
            }
            if base.index > worker.log.base().index {
                if consul && !worker.peers.settled(&worker.members, me, base.index) {
                    needed.push((worker.log.bytes_after(worker.log.base().index), LogId::Group(worker.group)));
                }
                bases.push((LogId::Group(worker.group), base));
            }
        }
        // The shortest stay, as many as may: so the fewest groups need a snapshot.
        needed.sort_unstable();
        let stay = needed.into_iter().map_while(|(bytes, log)| {
            room = room.checked_sub(bytes)?;
            Some(log)
        });
        let stay: BTreeSet<_> = stay.collect();
        bases.retain(|(log, _)| !stay.contains(log));
        Some(Checkpoint { csn, bases })
    }

    /// The state is durable up to the checkpoint, and the log store holds its bases: what is below them is gone.
    pub fn truncate(&mut self, checkpoint: Checkpoint) {
        self.durable_applied = self.durable_applied.max(checkpoint.csn);
        for (log, base) in checkpoint.bases {
            self.begin_at(log, base);
        }
    }

    fn begin_at(&mut self, log: LogId, base: Base) {
        match log {
            LogId::Senate if base.index > self.senator.log.base().index => self.senator.rebase(base),
            LogId::Senate => {}
            LogId::Group(group) => {
                // A snapshot may have come in between.
                if let Some(slot) = self.slot(group)
                    && base.index > self.workers[slot].log.base().index
                {
                    self.workers[slot].rebase(base);
                }
            }
        }
    }

    /// Where the senate's log could begin now, or begins. A server that stores no logs keeps this with its state, and is restored
    /// from it: at its next start nobody else may be left who can lead and knows who takes part.
    pub fn senate_base(&self) -> Option<Base> {
        let begins = || Some(self.senator.log.base()).filter(|base| base.configuration.is_some());
        self.senator.possible_base().or_else(|| begins().cloned())
    }

    /// A place in the senate's log that is agreed on, for a server that has nothing of it: where the log could begin, or its first entry,
    /// which is the same on all founders.
    pub fn agreed_base(&self) -> Option<Base> {
        let first = || {
            let (index, configuration) = self.senator.configurations.first()?;
            (*index == Index(1)).then(|| Base {
                index: *index,
                configuration: Some(configuration.clone()),
                ..Base::default()
            })
        };
        self.senate_base().or_else(first)
    }

    /// Everything up to here is in snapshots that survive the loss of every state server, as far as this server knows.
    pub fn snapshot_floor(&self) -> Csn {
        self.snapshot_floor
    }

    /// Everything up to this CSN is in snapshots that survive the loss of every state server: scribes may truncate it. For
    /// consuls; never said where there is no such storage.
    pub fn snapshots_durable(&mut self, csn: Csn) {
        self.snapshot_floor = self.snapshot_floor.max(csn);
    }

    /// Truncates a scribe's logs: bases are noted now and then, and taken when snapshots cover them.
    pub(crate) fn truncate_scribe(&mut self) {
        if self.senator.roles.is_none_or(|roles| roles.state) {
            return;
        }
        if self.snapshot_floor == Csn::ZERO {
            return;
        }
        let Some(noted) = self.noted_bases.take() else {
            let now = (self.senator.term, self.sequencer.handed().0, self.senator.commit);
            // All groups are looked at, so not without need.
            if self.bases_sought_at.replace(now) != Some(now) {
                self.noted_bases = self
                    .possible_bases(self.config.retained_bytes_max)
                    .filter(|noted| !noted.bases.is_empty());
            }
            return;
        };
        if noted.csn > self.snapshot_floor {
            self.noted_bases = Some(noted);
            return;
        }
        for (log, base) in noted.bases {
            let now = match log {
                LogId::Senate => self.senator.log.base().index,
                LogId::Group(group) => self.worker(group).map_or(base.index, |worker| worker.log.base().index),
            };
            if base.index > now {
                self.begin_at(log, base.clone());
                self.persistence.write(Write::Base { log, base });
            }
        }
    }
}
