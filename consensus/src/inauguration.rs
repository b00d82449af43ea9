//! What a new consul does before it serves (DESIGN 3.3).
//!
//! ```text
//!   elected ─► no-op committed ─► every group's log adopted ─► cut found, term-starts appended ─► all on quorums ─► serve
//! ```
//!
//! The senate elects by the senate's log, so the new consul's workers may lack entries that are on quorums. Only the
//! tails of a quorum of each group, reported under the fence of this term, say which log holds them all.

use std::collections::BTreeMap;

use crate::ids::{Csn, GroupId, Index, ServerId, Tail};
use crate::node::Node;
use crate::record::{Record, TermStart};
use crate::senate::Role;
use crate::worker::cut::{self, Cut};

/// How far a consul is in taking office.
#[derive(Debug)]
pub(crate) struct Inauguration {
    /// The tails of each server's worker logs, reported at this term.
    tails: BTreeMap<ServerId, Vec<(GroupId, Tail)>>,
    /// Before it commits, the set of groups and their members isn't known.
    noop: Index,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Collecting tails and adopting logs.
    Adopting,
    /// The cut is written to all groups; final once they all have it on quorums.
    Deciding(Cut),
}

impl Node {
    /// A candidate won its election.
    pub(crate) fn take_office(&mut self) {
        let Role::Candidate { granted } = std::mem::replace(&mut self.senator.role, Role::Consul) else {
            unreachable!("only a candidate is elected")
        };
        let noop = self.append_senate(Record::Noop);
        self.inauguration = Some(Inauguration {
            tails: granted,
            noop,
            step: Step::Adopting,
        });
    }

    /// Goes on with taking office, as far as that is possible now.
    pub(crate) fn inaugurate(&mut self) {
        let Some(mut inauguration) = self.inauguration.take() else { return };
        if self.senator.commit < inauguration.noop {
            self.inauguration = Some(inauguration);
            return;
        }
        if matches!(inauguration.step, Step::Adopting) {
            if !self.logs_adopted(&inauguration.tails) {
                self.inauguration = Some(inauguration);
                return;
            }
            inauguration.step = Step::Deciding(self.decide());
        }
        let term = self.senator.term;
        if !self.workers.iter().all(|worker| worker.started(term)) {
            self.inauguration = Some(inauguration);
            return;
        }
        if let Step::Deciding(cut) = inauguration.step {
            self.serve(cut);
        }
    }

    /// Whether every group's log here is the highest among a quorum of its members.
    fn logs_adopted(&self, tails: &BTreeMap<ServerId, Vec<(GroupId, Tail)>>) -> bool {
        let tail_of = |server: ServerId, group: GroupId| {
            let reported = tails.get(&server)?;
            reported.iter().find(|(g, _)| *g == group).map(|(_, tail)| *tail)
        };
        self.workers.iter().all(|worker| {
            let highest = worker.members.all().filter_map(|server| tail_of(server, worker.group)).max();
            worker.members.quorum(|server| tail_of(server, worker.group).is_some())
                && highest.is_some_and(|highest| highest <= worker.log.tail())
        })
    }

    /// Finds the cut over the adopted logs and writes it to every group.
    fn decide(&mut self) -> Cut {
        // What is known to be resolved: in the state, or below a log's base.
        let floor = self
            .workers
            .iter()
            .map(|worker| worker.log.base().csn)
            .fold(self.sequencer.resolved(), Csn::max);
        let cut = cut::find(floor, self.workers.iter().map(|worker| (worker.group, worker.log.window())));
        for worker in &self.workers {
            self.sequencer.raise_timestamp(worker.log.base().timestamp);
            for entry in worker.log.window() {
                if let Record::TermStart(start) = &entry.record {
                    self.sequencer.raise_timestamp(start.timestamp);
                }
            }
        }
        let timestamp = cut.whole.iter().map(|whole| whole.timestamp).max().unwrap_or_default();
        self.sequencer.raise_timestamp(timestamp);
        let start = TermStart {
            cut: cut.csn,
            timestamp: self.sequencer.last_timestamp(),
        };
        for slot in 0..self.workers.len() {
            self.append(slot, Record::TermStart(start));
        }
        cut
    }

    /// The decision is on quorums of all groups, hence final.
    fn serve(&mut self, cut: Cut) {
        let csn = cut.csn;
        self.sequencer.inaugurate(cut);
        for worker in &mut self.workers {
            worker.begin_term(csn, self.sequencer.last_timestamp());
        }
        self.serving = Some(csn);
        self.replaying = true;
    }
}
