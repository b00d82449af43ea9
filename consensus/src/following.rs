//! What a follower may apply.
//!
//! The consul tells which CSN is resolved. A follower applies a fragment when its CSN is, when this term's consul has
//! verified its place in the log, and when the log has this term's start: before that it can't know which older fragments
//! are void, and the same CSN may stand there twice. It hands out in CSN order across all groups, so that its state is
//! always an exact prefix of the commit order.
//!
//! **After group snapshots** (and where groups were dropped) there are CSNs whose fragments no log here will ever show:
//!
//! ```text
//!   group 0   base at 20 ...... 21 .. 23        CSN 13 was in group 0 only: below its base
//!   group 1   .. 11  12  14 ... 22              12 was in both: group 1 hands out its fragment, group 0 has it
//!             └── applied up to 12              13 is passed over once every log is known to be complete up to 13
//! ```
//!
//! A place at or below its group's base counts as applied. A CSN that nobody has a fragment of is passed over when it is at
//! or below the highest such base and every worker knows that none of its fragments up to there is still to come.

use crate::commit::Pending;
use crate::ids::{Csn, Index, Participant};
use crate::mutation::mutated;
use crate::node::Node;
use crate::record::{Entry, Fragment};
use crate::senate::Role;

fn arrival(place: Participant, fragment: &Fragment) -> Pending {
    Pending {
        timestamp: fragment.timestamp,
        place,
        participants: fragment.participants.clone(),
        bytes: 0,
    }
}

impl Node {
    /// Takes into the commit order what the consul called resolved and this server has.
    pub(crate) fn follow_resolved(&mut self) {
        let (Role::Follower { .. }, Some(resolved)) = (&self.senator.role, self.consul_resolved) else {
            return;
        };
        if self.senator.roles.is_none() {
            return; // whether it has a state at all is still to be learned
        }
        for slot in self.gathering.take() {
            let worker = &self.workers[slot];
            // A state must never be ahead of the log beside it.
            let ready = worker.verified.min(worker.log.durable());
            let started = worker.term_start.term == self.senator.term || mutated!(self.config, ApplyBeforeTermStart);
            if started && ready >= worker.term_start_index && !worker.installing() {
                self.gather(slot, ready);
            }
        }
        let unbounded = mutated!(self.config, ApplyUnresolved);
        self.take_arrivals(if unbounded { Csn(u64::MAX) } else { resolved });
    }

    /// Notes the fragments of a log up to `ready` that are to be handed out.
    pub(crate) fn gather(&mut self, slot: usize, ready: Index) {
        let Self {
            workers,
            arrivals,
            sequencer,
            senator,
            ..
        } = self;
        let (next, applied) = (sequencer.next(), sequencer.handed().0);
        let (group, term) = (workers[slot].group, senator.term);
        // It has what the consul of a later term found, and with it everything that was ever committed. One of the same term
        // may have counted on what is lost here, and not sent it again yet.
        workers[slot].damaged.take_if(|lost| *lost < term);
        workers[slot].gather(ready, applied, |entry: &Entry, fragment: &Fragment| {
            if fragment.csn >= next {
                let place = Participant { group, index: entry.index };
                arrivals.insert(next, fragment.csn, || arrival(place, fragment));
            }
        });
    }

    /// Moves arrivals up to `limit`, which are resolved, into the commit order, as far as all their fragments are here.
    pub(crate) fn take_arrivals(&mut self, limit: Csn) {
        if self.lacks_dropped() {
            return self.pull_for_dropped();
        }
        loop {
            let next = self.sequencer.next();
            let Some(first) = self.arrivals.get(next).filter(|_| next <= limit) else {
                if self.pass_over() {
                    continue;
                }
                return;
            };
            let here = |place: &Participant| match self.worker(place.group) {
                // What a snapshot on its way to the state may hold is not given to the state besides.
                Some(worker) => worker.handed >= place.index || worker.gathered >= place.index && !worker.installing(),
                // It was dropped when everything that it had was applied.
                None => next <= self.senator.configuration.dropped_floor,
            };
            if !first.places().iter().all(here) && !mutated!(self.config, ApplyHalves) {
                return;
            }
            let resolved = self.arrivals.take(next).expect("it is here");
            let mut key = None;
            for place in resolved.places() {
                if let Some(slot) = self.slot(place.group) {
                    let worker = &mut self.workers[slot];
                    worker.commit = worker.commit.max(place.index);
                    if *place == resolved.place {
                        key = worker.log.fragment(place.index).and_then(|fragment| fragment.key);
                    }
                }
            }
            self.sequencer
                .push_resolved(resolved, key.filter(|_| !mutated!(self.config, ForgetKeys)));
        }
    }

    /// Whether the state is older than a group that is gone: it can't come from logs any more, as what that group had is in
    /// none of them. Every state of the time had it all, so this one came later.
    pub(crate) fn lacks_dropped(&self) -> bool {
        let floor = self.senator.configuration.dropped_floor;
        self.sequencer.handed().0 < floor && self.runs_state() && self.workers.iter().any(|worker| !worker.is_whole_at(floor))
    }

    /// Takes every group's snapshot at or after the end of the groups that are gone.
    fn pull_for_dropped(&mut self) {
        let floor = self.senator.configuration.dropped_floor;
        let source = match self.senator.role {
            Role::Follower { consul: Some(consul) } => Some(consul),
            _ => self.snapshot_sources().first().copied(),
        };
        let Some(source) = source else { return };
        for slot in 0..self.workers.len() {
            if !self.workers[slot].is_whole_at(floor) {
                self.pull_snapshot_at(slot, source, Index::ZERO, floor);
            }
        }
    }

    /// Passes over CSNs without fragments here that are in the state already. Whether it passed any.
    fn pass_over(&mut self) -> bool {
        let end = self.known_resolved();
        let next = self.sequencer.next();
        if next > end || !self.sequencer.is_empty() {
            return false;
        }
        // Who doesn't know all groups yet can't know what is still to come of them. A consul that knows of this run tells a
        // commit index that is later than all that earlier runs installed.
        let heard = self.heard || self.senator.role == Role::Consul;
        if !heard || self.senator.commit < self.senator.known_commit {
            return false;
        }
        let mut complete = self.workers.iter().map(|worker| worker.complete).min().unwrap_or_default();
        if mutated!(self.config, PassOverUnseen) {
            complete = end;
        }
        let before_arrival = self.arrivals.first(next).map_or(Csn(u64::MAX), |csn| Csn(csn.0 - 1));
        let to = end.min(complete).min(before_arrival);
        if to < next {
            return false;
        }
        let timestamp = if to == self.installed.0 {
            self.installed.1
        } else {
            Default::default()
        };
        self.sequencer.pass_to(to, timestamp);
        self.passed = true;
        true
    }

    /// Everything up to here is resolved: a base stands there, or a group was dropped there.
    pub(crate) fn known_resolved(&self) -> Csn {
        self.installed.0.max(self.senator.configuration.dropped_floor)
    }

    /// Whether group snapshots took this server past CSNs that it has not handed out.
    pub(crate) fn healing(&self) -> bool {
        self.sequencer.handed().0 < self.known_resolved()
    }
}
