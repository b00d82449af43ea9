//! Copying a group's log to a new consul (DESIGN 3.3, steps 1 and 2).
//!
//! ```text
//!   tails at this term from a quorum ─► the highest is the donor ─► copy what follows the last common entry ─► durable
//! ```
//!
//! It is copied in place, piece by piece; entries that conflict go as they are met. A donor that answers no more loses its
//! word: another is chosen, once a quorum of tails without it is there. What was copied by then is the beginning of a log
//! that had everything committed, so nothing is lost by it.
//!
//! A donor whose log begins after what the consul has gives its base; the state up to there comes as a snapshot, from the
//! donor or, where that runs no state machines, from any server that does.

use crate::ids::{GroupId, Index, LogId, ServerId, Tail};
use crate::inauguration::Inauguration;
use crate::log::Base;
use crate::message::{Body, Donated, Refusal, Section};
use crate::mutation::mutated;
use crate::node::Node;

/// A donor that didn't answer for so many heartbeats is given up.
const PATIENCE_HEARTBEATS: u8 = 4;

/// A consul's question to a donor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetching {
    donor: ServerId,
    /// The donor's log ends there.
    wanted: Tail,
    /// What follows this was asked for.
    after: Tail,
    /// An answer came since the last heartbeat.
    moves: bool,
    /// Heartbeats without an answer.
    silence: u8,
}

impl Node {
    /// Brings a group's log to the highest among a quorum of its members. Whether it is there, durably.
    pub(crate) fn adopt(&mut self, group: GroupId, inauguration: &mut Inauguration) -> bool {
        let me = self.config.server;
        let Some(slot) = self.slot(group) else { return true };
        let worker = &mut self.workers[slot];
        if let Some(fetching) = worker.fetching
            && fetching.silence >= PATIENCE_HEARTBEATS
        {
            inauguration.forget_tail(fetching.donor, group);
            worker.fetching = None;
        }
        let worker = &self.workers[slot];
        let own = worker.log.tail();
        let tail_of = |server: ServerId| {
            if server == me {
                worker.damaged.is_none().then_some(own)
            } else {
                inauguration.tail(server, group)
            }
        };
        if !worker.members.quorum(|server| tail_of(server).is_some()) {
            return false;
        }
        let tails = worker.members.all().filter_map(|server| Some((tail_of(server)?, server)));
        let Some((highest, donor)) = tails.max() else { return false };
        if highest <= own || mutated!(self.config, OwnLog) {
            let worker = &mut self.workers[slot];
            worker.fetching = None;
            worker.abandon_pull();
            return worker.log.durable() == own.index && !worker.installing();
        }
        if worker.fetching.is_none() && worker.pull.is_none() {
            let after = worker.log.last_at_or_before(highest);
            self.ask_donor(slot, donor, highest, after);
        }
        false
    }

    fn ask_donor(&mut self, slot: usize, donor: ServerId, wanted: Tail, index: Index) {
        let worker = &mut self.workers[slot];
        let after = Tail {
            term: worker.log.term_at(index).unwrap_or_default(),
            index,
        };
        worker.fetching = Some(Fetching {
            donor,
            wanted,
            after,
            moves: true,
            silence: 0,
        });
        self.ask_again(slot, donor, after);
    }

    fn ask_again(&mut self, slot: usize, donor: ServerId, after: Tail) {
        let log = LogId::Group(self.workers[slot].group);
        let message = self.request(donor, self.senator.term, Body::Fetch { log, after });
        self.send_when_durable(message);
    }

    /// A heartbeat is due: what may be lost is asked again.
    pub(crate) fn fetch_heartbeat(&mut self) {
        if !self.adopting() {
            return;
        }
        for slot in 0..self.workers.len() {
            let Some(fetching) = &mut self.workers[slot].fetching else {
                continue;
            };
            if std::mem::take(&mut fetching.moves) {
                continue;
            }
            fetching.silence = fetching.silence.saturating_add(1);
            let (donor, after) = (fetching.donor, fetching.after);
            self.ask_again(slot, donor, after);
        }
    }

    /// A donor answered.
    pub(crate) fn fetched(&mut self, from: ServerId, group: GroupId, after: Tail, donated: Donated) -> Result<(), Refusal> {
        let Some(slot) = self.slot(group) else { return Ok(()) };
        if self.workers[slot].feeding.is_some() {
            return self.fed(slot, from, after, donated);
        }
        let Some(fetching) = self.workers[slot].fetching else {
            return Ok(());
        };
        if !self.adopting() || fetching.donor != from || fetching.after != after {
            return Ok(()); // too late
        }
        let wanted = fetching.wanted;
        match donated {
            Donated::Entries(entries) => {
                let mut section = Section::new(LogId::Group(group));
                section.previous = after;
                section.entries = entries;
                self.check_section(&section)?;
                let last = section.last().index;
                self.take_entries(Some(slot), section.log, section.entries);
                self.paces.adopted += u64::from(last > after.index);
                self.paces.fetched += last.0.saturating_sub(after.index.0);
                if last >= wanted.index {
                    self.workers[slot].fetching = None;
                } else if last > after.index {
                    self.ask_donor(slot, from, wanted, last);
                } // else it lost what it had, and will be given up
            }
            Donated::Parted(hint) => {
                let log = &self.workers[slot].log;
                if after.index <= log.base().index {
                    return Err(Refusal::Impossible("log that lacks what is decided"));
                }
                let index = log.last_at_or_before(hint).min(after.index.previous());
                self.paces.adopted += 1;
                self.ask_donor(slot, from, wanted, index.max(log.base().index));
            }
            Donated::Begins(base) => self.begin_behind(slot, from, wanted, base)?,
        }
        Ok(())
    }

    /// The donor's log begins at this base, after the place that it was asked about.
    fn begin_behind(&mut self, slot: usize, donor: ServerId, wanted: Tail, base: Base) -> Result<(), Refusal> {
        let beyond = base.index > wanted.index || base.term > wanted.term.min(self.senator.term);
        if beyond || base.configuration.is_some() {
            return Err(Refusal::Impossible("base"));
        }
        if self.workers[slot].log.holds(base.tail()) {
            self.ask_donor(slot, donor, wanted, base.index);
            return Ok(());
        }
        let worker = &self.workers[slot];
        if base.index <= worker.commit.max(worker.handed) {
            return Err(Refusal::Impossible("change of what is decided"));
        }
        if self.may_begin_at(&base) {
            let index = base.index;
            self.take_base(slot, base);
            self.ask_donor(slot, donor, wanted, index);
            return Ok(());
        }
        let sources = self.snapshot_sources();
        let source = if sources.contains(&donor) {
            Some(donor)
        } else {
            sources.first().copied()
        };
        if let Some(source) = source {
            self.workers[slot].fetching = None;
            self.pull_snapshot(slot, source, base.index);
        } // else nobody has what is missing; perhaps another donor's log begins earlier
        Ok(())
    }
}
