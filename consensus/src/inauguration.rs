//! What a new consul does before it serves (DESIGN 3.3).
//!
//! ```text
//!   elected ─► no-op committed ─► every group's log adopted ─► cut found, term-starts appended ─► all on quorums ─► serve
//! ```
//!
//! The senate elects by the senate's log, so the new consul's workers may lack entries that are on quorums. Only the
//! tails of a quorum of each group, reported under the fence of this term, say which log holds them all. How it is copied
//! is in [`crate::adoption`].

use std::collections::BTreeMap;

use crate::check_quorum::Paces;
use crate::ids::{Csn, GroupId, Index, ServerId, Tail};
use crate::mutation::mutated;
use crate::node::Node;
use crate::record::{Record, TermStart};
use crate::senate::{Role, Rounds};
use crate::transfer::Transfer;
use crate::worker::{cut, judged};

/// How far a consul is in taking office.
#[derive(Clone, Debug)]
pub(crate) struct Inauguration {
    /// Where each server's worker logs end, reported at this term; ascending by group.
    pub(crate) tails: BTreeMap<ServerId, Vec<(GroupId, Tail)>>,
    /// Before it commits, the set of groups and their members isn't known.
    noop: Index,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    /// Waiting for the no-op.
    Confirming,
    /// Collecting tails and adopting the logs of these groups.
    Adopting(Vec<GroupId>),
    /// The cut is written to all groups; final once these have it on quorums too.
    Deciding(Csn, Vec<GroupId>),
    /// The cut is final; what it takes in is given to the state.
    Replaying(Csn),
}

impl Inauguration {
    /// Where a server's log of a group ends, if it said so.
    pub(crate) fn tail(&self, server: ServerId, group: GroupId) -> Option<Tail> {
        let tails = self.tails.get(&server)?;
        let at = tails.binary_search_by_key(&group, |(group, _)| *group).ok()?;
        Some(tails[at].1)
    }

    /// A server's word on a group counts no longer: it is gone.
    pub(crate) fn forget_tail(&mut self, server: ServerId, group: GroupId) {
        if let Some(tails) = self.tails.get_mut(&server) {
            tails.retain(|(known, _)| *known != group);
        }
    }
}

impl Node {
    /// A candidate won its election.
    pub(crate) fn take_office(&mut self) {
        let Role::Candidate { granted } = std::mem::replace(&mut self.senator.role, Role::Consul) else {
            unreachable!("only a candidate is elected")
        };
        let now = self.now.unwrap_or_default();
        self.rounds = Rounds::new(now);
        self.paces = Paces::default();
        self.reads.ask_again();
        self.transfer = Transfer::default();
        self.standing.take_office();
        self.reported.clear();
        self.waiting_for_room.clear();
        self.find_peers();
        self.heartbeat_due = true;
        self.told_resolved = None;
        let noop = self.append_senate(Record::Noop);
        self.inauguration = Some(Inauguration {
            tails: BTreeMap::new(),
            noop,
            step: Step::Confirming,
        });
        for (server, tails) in granted {
            self.learn_tails(server, tails);
        }
    }

    /// Goes on with taking office, as far as that is possible now.
    pub(crate) fn inaugurate(&mut self) {
        while let Some(mut inauguration) = self.inauguration.take() {
            let step = match std::mem::replace(&mut inauguration.step, Step::Confirming) {
                Step::Confirming if self.senator.commit < inauguration.noop && !mutated!(self.config, ConfirmByOldTerm) => {
                    Err(Step::Confirming)
                }
                Step::Confirming => {
                    self.give_way(&inauguration);
                    Ok(Step::Adopting(self.workers.iter().map(|worker| worker.group).collect()))
                }
                Step::Adopting(mut groups) => {
                    groups.retain(|group| !self.adopt(*group, &mut inauguration));
                    if groups.is_empty() {
                        let cut = self.decide();
                        Ok(Step::Deciding(cut, self.workers.iter().map(|worker| worker.group).collect()))
                    } else {
                        Err(Step::Adopting(groups))
                    }
                }
                Step::Deciding(cut, mut groups) => {
                    let term = self.senator.term;
                    while groups
                        .last()
                        .is_some_and(|group| self.worker(*group).is_none_or(|worker| worker.started(term)))
                    {
                        groups.pop();
                    }
                    if mutated!(self.config, DecideWithoutTermStarts) && groups.len() < self.workers.len() {
                        groups.clear();
                    }
                    if groups.is_empty() {
                        self.begin_replay(cut);
                        Ok(Step::Replaying(cut))
                    } else {
                        Err(Step::Deciding(cut, groups))
                    }
                }
                Step::Replaying(cut) => {
                    self.take_arrivals(cut);
                    if self.sequencer.next() > cut {
                        return self.serve(cut);
                    }
                    Err(Step::Replaying(cut))
                }
            };
            let goes_on = step.is_ok();
            inauguration.step = step.unwrap_or_else(|step| step);
            self.inauguration = Some(inauguration);
            if !goes_on {
                return;
            }
        }
    }

    /// Whether logs are still being adopted.
    pub(crate) fn adopting(&self) -> bool {
        self.inauguration
            .as_ref()
            .is_some_and(|inauguration| matches!(inauguration.step, Step::Confirming | Step::Adopting(_)))
    }

    /// Whether the logs are adopted and the term-starts written, so that groups' entries may be sent.
    pub(crate) fn term_starts_written(&self) -> bool {
        self.senator.role == Role::Consul && !self.adopting()
    }

    /// A server reports the tails of its worker logs, at this term.
    pub(crate) fn learn_tails(&mut self, from: ServerId, tails: Vec<(GroupId, Tail)>) {
        if !self.adopting() {
            return;
        }
        if let Some(inauguration) = &mut self.inauguration {
            // A silent donor's tail is forgotten and comes back: that is no step.
            self.paces.adopted += u64::from(!inauguration.tails.contains_key(&from));
            let known = inauguration.tails.entry(from).or_default();
            let mut all: BTreeMap<_, _> = tails.into_iter().collect();
            all.extend(known.drain(..));
            *known = all.into_iter().collect();
        }
    }

    /// Whether a server needs not report its tails any more.
    pub(crate) fn tails_known(&self, server: ServerId) -> bool {
        let Some(inauguration) = &self.inauguration else { return true };
        match &inauguration.step {
            Step::Confirming => inauguration.tails.contains_key(&server),
            Step::Adopting(groups) => groups.iter().all(|group| {
                let stores = self.worker(*group).is_some_and(|worker| worker.members.contains(server));
                !stores || inauguration.tail(server, *group).is_some()
            }),
            Step::Deciding(..) | Step::Replaying(_) => true,
        }
    }

    /// Finds the cut over the adopted logs and writes it to every group.
    fn decide(&mut self) -> Csn {
        // What is known to be resolved: handed out here, below a log's base, or the end of a group that is gone.
        let bases = self.workers.iter().map(|worker| worker.log.base().csn);
        let mut floor = bases.fold(self.sequencer.resolved().max(self.known_resolved()), Csn::max);
        if mutated!(self.config, CutBelowBase) {
            floor = self.sequencer.resolved().max(self.senator.configuration.dropped_floor);
        }
        let entries = |log| judged(log, mutated!(self.config, ForgetVoid));
        let logs = || self.workers.iter().map(|worker| (worker.group, entries(&worker.log)));
        let mut cut = cut::find(floor, logs());
        if mutated!(self.config, CutAfterGap) {
            let later = (cut.csn.0 + 1..cut.csn.0 + 8).map(|floor| cut::find(Csn(floor), logs()));
            cut = later.fold(cut, |cut, later| if later.whole.is_empty() { cut } else { later });
        }
        self.paces.voided = cut.void;
        for worker in &self.workers {
            self.sequencer.raise_timestamp(worker.log.base().timestamp);
            for entry in worker.log.window() {
                if let Record::TermStart(start) = &entry.record {
                    self.sequencer.raise_timestamp(start.timestamp);
                }
            }
        }
        let timestamp = cut.whole.iter().map(|whole| whole.timestamp).max().unwrap_or_default();
        self.sequencer.raise_timestamp(timestamp.max(self.installed.1));
        let start = TermStart {
            cut: cut.csn,
            timestamp: self.sequencer.last_timestamp(),
        };
        for slot in 0..self.workers.len() {
            self.append(slot, Record::TermStart(start));
        }
        cut.csn
    }

    /// The decision is on quorums of all groups, hence final: which fragments count is known.
    fn begin_replay(&mut self, cut: Csn) {
        for slot in 0..self.workers.len() {
            self.begin_term(slot, cut);
        }
    }

    /// A group's term-start by this consul is in its log.
    pub(crate) fn begin_term(&mut self, slot: usize, cut: Csn) {
        let worker = &mut self.workers[slot];
        assert_eq!(
            worker.term_start.cut, cut,
            "every group starts the term with the same cut: {:?}",
            worker.group
        );
        worker.damaged = None;
        let start = worker.term_start_index;
        self.gather(slot, start);
        let timestamp = self.sequencer.last_timestamp();
        self.workers[slot].last_fragment = (start, cut, timestamp);
    }

    /// Everything that the cut takes in is in the commit order.
    fn serve(&mut self, cut: Csn) {
        self.serving = Some(cut);
        self.inauguration = None;
        self.take_over_change();
    }
}
