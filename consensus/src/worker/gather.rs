//! What a worker knows of the fragments in its log: which count, where they are, and up to which CSN none is missing.
//!
//! A fragment counts unless a later term-start of its log made it void, which is known for good once the log holds the
//! current term's start. Then the log is gone through once, in order, as it becomes durable.

use super::Worker;
use crate::ids::{Csn, Index};
use crate::log::Log;
use crate::mutation::mutated;
use crate::record::{Entry, Fragment, Record};
use crate::worker::cut::for_each_live;

/// How much of what the consul said of its log is kept until this log is as far.
const STATED_MAX: usize = 2;

/// What a consul says of its log up to an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated {
    /// The entry.
    pub(crate) upto: Index,
    /// Every fragment that counts, up to this CSN, is at or below it.
    pub(crate) complete: Csn,
    /// No later fragment names a stage record at or below this.
    pub(crate) closed: Index,
}

/// The entries that decide which fragments count: all, term-starts among them.
pub(crate) fn judged(log: &Log, without_starts: bool) -> impl DoubleEndedIterator<Item = &Entry> {
    let ignored = move |entry: &&Entry| without_starts && matches!(entry.record, Record::TermStart(_));
    log.window().filter(move |entry| !ignored(entry))
}

impl Worker {
    /// Goes on through the log up to `ready`, which holds the current term's start. `take` gets the fragments that count
    /// after the position, in order. Those up to `applied` are in the state though they may be after the position, behind a
    /// stage record.
    pub(crate) fn gather(&mut self, ready: Index, applied: Csn, mut take: impl FnMut(&Entry, &Fragment)) {
        assert!(
            ready >= self.term_start_index,
            "which fragments count is known only past the term's start"
        );
        if self.gathered < self.term_start_index {
            self.gather_older(applied, &mut take);
        }
        for index in self.gathered.0 + 1..=ready.0 {
            let Some(entry) = self.log.get(Index(index)) else { continue };
            let index = entry.index;
            match &entry.record {
                Record::Fragment(fragment) => {
                    self.complete = self.complete.max(fragment.csn);
                    self.last_fragment = (index, fragment.csn, fragment.timestamp);
                    if index > self.handed {
                        take(entry, fragment);
                        let (csn, stages) = (fragment.csn, fragment.stages.clone());
                        if self.is_applied(csn, applied) {
                            self.discard_stages(stages.as_slice());
                        } else {
                            self.live.push_back(index);
                            self.name_stages(stages.as_slice(), index);
                        }
                    }
                }
                Record::Stage(_) if index > self.handed => self.open_stage(index),
                _ => {}
            }
        }
        self.gathered = self.gathered.max(ready);
        while let Some(stated) = self.stated.pop_front_if(|stated| stated.upto <= self.gathered) {
            self.complete = self.complete.max(stated.complete);
            self.close_stages(stated.closed);
        }
        self.forget_stages();
    }

    /// The fragments up to the current term's start.
    fn gather_older(&mut self, applied: Csn, take: &mut impl FnMut(&Entry, &Fragment)) {
        let (handed, start) = (self.handed, self.term_start_index);
        let mut live = Vec::new();
        let mut last = None;
        for_each_live(judged(&self.log, mutated!(self, ForgetVoid)), |entry, fragment| {
            if entry.index <= start {
                last.get_or_insert((entry.index, fragment.csn, fragment.timestamp));
                if entry.index > handed {
                    live.push((entry, fragment));
                }
            }
        });
        live.reverse();
        live.iter().for_each(|(entry, fragment)| take(entry, fragment));
        live.retain(|(_, fragment)| !self.is_applied(fragment.csn, applied));
        self.live = live.iter().map(|(entry, _)| entry.index).collect();
        let stages = live.iter().flat_map(|(entry, fragment)| {
            let named = fragment.stages.as_slice().iter();
            named.map(|stage| (*stage, entry.index))
        });
        let stages: Vec<_> = stages.collect();
        self.restore_stages(stages);
        // All that counts of earlier terms is before the term's start, and its cut says how far that goes.
        self.complete = self.complete.max(self.term_start.cut);
        let base = self.log.base();
        self.last_fragment = last.unwrap_or((base.index, base.csn, base.timestamp));
        self.gathered = start;
    }

    /// The consul says this of its log, with which this one agrees that far.
    pub(crate) fn state(&mut self, stated: Stated) {
        if self.stated.len() == STATED_MAX {
            // The first stays, so that it is reached however fast new ones come.
            self.stated.pop_back();
        }
        self.stated.push_back(stated);
    }

    /// This consul appended a fragment of its own.
    pub(crate) fn sequenced(&mut self, index: Index) {
        self.live.push_back(index);
    }
}
