//! What a follower may apply.
//!
//! The consul tells which CSN is resolved. A follower applies a fragment when its CSN is, when this term's consul has
//! verified its place in the log, and when the log has this term's start: before that it can't know which older fragments
//! are void, and the same CSN may stand there twice. It hands out in CSN order across all groups, so that its state is
//! always an exact prefix of the commit order.

use std::collections::BTreeMap;

use crate::commit::Pending;
use crate::ids::{Csn, Index, Participant};
use crate::node::Node;
use crate::record::{Entry, Fragment, Record};
use crate::senate::Role;
use crate::worker::cut::for_each_live;

/// Fragments of transactions that are not handed out yet, by CSN: one of each.
pub(crate) type Arrivals = BTreeMap<Csn, Pending>;

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
        let (term, next) = (self.senator.term, self.sequencer.next());
        for worker in &mut self.workers {
            // A state must never be ahead of the log beside it.
            let ready = worker.verified.min(worker.log.durable());
            if worker.term_start.term != term || ready < worker.term_start_index {
                continue;
            }
            let group = worker.group;
            let mut take = |entry: &Entry, fragment: &Fragment| {
                if fragment.csn >= next {
                    let place = Participant { group, index: entry.index };
                    self.arrivals.entry(fragment.csn).or_insert_with(|| arrival(place, fragment));
                }
            };
            if worker.gathered < worker.term_start_index {
                let older = worker.log.window().take_while(|entry| entry.index <= worker.term_start_index);
                for_each_live(older.collect::<Vec<_>>().into_iter(), &mut take);
                worker.gathered = worker.term_start_index;
            }
            for index in worker.gathered.0 + 1..=ready.0 {
                if let Some(entry) = worker.log.get(Index(index))
                    && let Record::Fragment(fragment) = &entry.record
                {
                    take(entry, fragment);
                }
            }
            worker.gathered = worker.gathered.max(ready);
        }
        while let Some(first) = self.arrivals.first_entry() {
            let csn = *first.key();
            if csn != self.sequencer.next() || csn > resolved {
                break;
            }
            let workers = &self.workers;
            let verified = |place: Participant| {
                workers
                    .iter()
                    .find(|worker| worker.group == place.group)
                    .is_some_and(|worker| worker.gathered >= place.index)
            };
            if !first.get().places(verified) {
                break;
            }
            let resolved = first.remove();
            for place in resolved.all_places() {
                if let Some(worker) = self.workers.iter_mut().find(|worker| worker.group == place.group) {
                    worker.commit = worker.commit.max(place.index);
                }
            }
            self.sequencer.push_resolved(resolved);
        }
    }
}
