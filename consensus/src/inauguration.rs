//! What a new consul does before it serves (DESIGN 3.3).
//!
//! ```text
//!   elected ─► no-op committed ─► every group's log adopted ─► cut found, term-starts appended ─► all on quorums ─► serve
//! ```
//!
//! The senate elects by the senate's log, so the new consul's workers may lack entries that are on quorums. Only the
//! tails of a quorum of each group, reported under the fence of this term, say which log holds them all.

use std::collections::BTreeMap;

use crate::check_quorum::Paces;
use crate::ids::{Csn, GroupId, Index, LogId, ServerId, Tail};
use crate::message::{Body, Donated, Refusal, Section};
use crate::node::Node;
use crate::record::{Record, TermStart};
use crate::senate::{Role, Rounds};
use crate::transfer::Transfer;
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
        let now = self.now.unwrap_or_default();
        self.rounds = Rounds::new(now);
        self.paces = Paces::default();
        self.reads.ask_again();
        self.transfer = Transfer::default();
        self.standing.take_office();
        self.find_peers();
        self.heartbeat_due = true;
        self.told_resolved = None;
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
            if !self.adopt(&inauguration.tails) {
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

    /// Brings every group's log to the highest among a quorum of its members. Whether all of them are there, durably.
    fn adopt(&mut self, tails: &BTreeMap<ServerId, Vec<(GroupId, Tail)>>) -> bool {
        let mut adopted = true;
        for slot in 0..self.workers.len() {
            let worker = &self.workers[slot];
            let tail_of = |server: ServerId| {
                let reported = tails.get(&server)?;
                reported
                    .iter()
                    .find(|(group, _)| *group == worker.group)
                    .map(|(_, tail)| (*tail, server))
            };
            let own = worker.log.tail();
            match worker.members.all().filter_map(tail_of).max() {
                Some((highest, donor)) if worker.members.quorum(|server| tail_of(server).is_some()) => {
                    if highest > own {
                        self.fetch(slot, donor, highest);
                    }
                    adopted &= highest <= own && self.workers[slot].log.durable() == own.index;
                }
                _ => adopted = false,
            }
        }
        adopted
    }

    /// Asks a donor for what this group's log lacks of the donor's.
    fn fetch(&mut self, slot: usize, donor: ServerId, tail: Tail) {
        let worker = &mut self.workers[slot];
        if worker.fetching.is_some() {
            return;
        }
        let index = if worker.fetched > Index::ZERO {
            worker.fetched
        } else {
            worker.log.last_at_or_before(tail)
        };
        self.ask(slot, donor, index);
    }

    fn ask(&mut self, slot: usize, donor: ServerId, index: Index) {
        let worker = &mut self.workers[slot];
        let after = Tail {
            term: worker.log.term_at(index).unwrap_or_default(),
            index,
        };
        worker.fetching = Some(after);
        let message = self.request(
            donor,
            self.senator.term,
            Body::Fetch {
                log: LogId::Group(self.workers[slot].group),
                after,
            },
        );
        self.send_when_durable(message);
    }

    /// A donor answered.
    pub(crate) fn fetched(&mut self, from: ServerId, group: GroupId, after: Tail, donated: Donated) -> Result<(), Refusal> {
        let Some(slot) = self.slot(group) else { return Ok(()) };
        if !self.adopting() || self.workers[slot].fetching != Some(after) {
            return Ok(()); // too late
        }
        let log = LogId::Group(group);
        let worker = &mut self.workers[slot];
        worker.fetching = None;
        worker.fetch_moves = true;
        let Donated::Entries(entries) = donated else {
            // The donor's log parted from this one earlier: go back by a term. What was handed out here is in both.
            let index = worker.log.hint(after).index.max(worker.handed.min(after.index.previous()));
            worker.fetched = Index::ZERO;
            self.ask(slot, from, index);
            return Ok(());
        };
        self.check_section(&Section {
            log,
            base: None,
            previous: after,
            entries: entries.clone(),
            complete: None,
        })?;
        // Entries that conflict go as they are met: what is already handed out here stands in the donor's log too.
        for entry in &entries {
            self.take_entry(Some(slot), log, entry);
        }
        let reported = self
            .inauguration
            .as_ref()
            .and_then(|inauguration| inauguration.tails.get(&from))
            .into_iter()
            .flatten();
        let wanted = reported.filter(|(g, _)| *g == group).map(|(_, tail)| *tail).max();
        let last = entries.last().map_or(after.index, |entry| entry.index);
        self.workers[slot].fetched = last;
        if wanted.is_some_and(|wanted| wanted.index > last) && last > after.index {
            self.ask(slot, from, last);
        }
        Ok(())
    }

    fn adopting(&self) -> bool {
        self.inauguration
            .as_ref()
            .is_some_and(|inauguration| matches!(inauguration.step, Step::Adopting))
    }

    /// Whether the logs are adopted and the term-starts written, so that groups' entries may be sent.
    pub(crate) fn term_starts_written(&self) -> bool {
        self.senator.role == Role::Consul && !self.adopting()
    }

    /// A server reports the tails of its worker logs, at this term.
    pub(crate) fn learn_tails(&mut self, from: ServerId, tails: Vec<(GroupId, Tail)>) {
        if self.adopting()
            && let Some(inauguration) = &mut self.inauguration
        {
            inauguration.tails.entry(from).or_insert(tails);
        }
    }

    /// Whether a server needs not report its tails any more.
    pub(crate) fn tails_known(&self, server: ServerId) -> bool {
        self.inauguration
            .as_ref()
            .is_none_or(|inauguration| inauguration.tails.contains_key(&server))
            || !self.adopting()
    }

    /// Finds the cut over the adopted logs and writes it to every group.
    fn decide(&mut self) -> Cut {
        // What is known to be resolved: in the state, or below a log's base.
        let floor = self
            .workers
            .iter()
            .map(|worker| worker.log.base().csn)
            .fold(self.sequencer.resolved().max(self.standing.configuration.dropped_floor), Csn::max);
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
        self.take_over_change();
    }
}
