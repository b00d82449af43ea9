//! Feeding a scribe that lags behind the consul's log (DESIGN 3.5).
//!
//! A scribe that began where the consul's log begins would count in quorums for entries that it never held: what only
//! scribes hold survives the loss of every state server, so it has to have them. Where snapshots that survive cover
//! what is below the base, it may begin there; otherwise it copies from another scribe.
//!
//! ```text
//!   consul's base b, above the snapshot floor ─► Fetch after b at another scribe: has it b?  ─► then it has the consul's
//!   log up to b, which is decided ─► Fetch after the last common place, up to b ─► the consul's next append matches
//! ```
//!
//! A scribe whose own log begins too late says so. When all others did, no scribe has these entries any more, and the base
//! is as good a beginning as any.

use crate::ids::{Index, LogId, ServerId, Tail};
use crate::log::Base;
use crate::message::{Body, Donated, Refusal, Section};
use crate::node::Node;

/// A scribe's copying from other scribes, up to a base of the consul's.
#[derive(Clone, Debug)]
pub(crate) struct Feeding {
    base: Base,
    donor: ServerId,
    /// What follows this was asked for.
    after: Tail,
    /// The donor has the base's entry, and so the consul's log up to it.
    proven: bool,
    /// An answer came since the consul last sent its base.
    moves: bool,
    /// Who said that its log begins too late.
    without: Vec<ServerId>,
}

impl Node {
    /// The consul's log begins at `base`, above what this scribe has and what snapshots cover. It sends it with each
    /// heartbeat until this log matches.
    pub(crate) fn feed(&mut self, slot: usize, base: &Base) {
        match &mut self.workers[slot].feeding {
            Some(feeding) => {
                if !std::mem::take(&mut feeding.moves) {
                    self.feed_from_next(slot); // lost, or silent
                }
            }
            None => {
                let feeding = Feeding {
                    donor: self.config.server,
                    after: base.tail(),
                    proven: false,
                    moves: false,
                    without: Vec::new(),
                    base: base.clone(),
                };
                self.workers[slot].feeding = Some(feeding);
                self.feed_from_next(slot);
            }
        }
    }

    /// Asks the next scribe whether it has the base's entry; begins at the base when none can help.
    fn feed_from_next(&mut self, slot: usize) {
        let me = self.config.server;
        let configuration = self.senator.configuration.clone();
        let worker = &mut self.workers[slot];
        let Some(feeding) = &mut worker.feeding else { return };
        let is_scribe = |server: ServerId| configuration.roles(server).is_some_and(|roles| roles.log && !roles.state);
        let scribes = worker.members.all().filter(|server| *server != me && is_scribe(*server));
        let mut scribes: Vec<_> = scribes.filter(|server| !feeding.without.contains(server)).collect();
        scribes.sort_unstable();
        scribes.dedup();
        let next = scribes.iter().find(|server| **server > feeding.donor).or(scribes.first());
        let Some(next) = next.copied() else {
            let base = feeding.base.clone();
            worker.feeding = None;
            return self.take_base(slot, base);
        };
        (feeding.donor, feeding.proven) = (next, false);
        let after = feeding.base.tail();
        self.ask_to_be_fed(slot, after);
    }

    fn ask_to_be_fed(&mut self, slot: usize, after: Tail) {
        let worker = &mut self.workers[slot];
        let Some(feeding) = &mut worker.feeding else { return };
        feeding.after = after;
        let (donor, log) = (feeding.donor, LogId::Group(worker.group));
        let message = self.request(donor, self.senator.term, Body::Fetch { log, after });
        self.send_when_durable(message);
    }

    fn ask_to_be_fed_after(&mut self, slot: usize, index: Index) {
        let term = self.workers[slot].log.term_at(index).unwrap_or_default();
        self.ask_to_be_fed(slot, Tail { term, index });
    }

    /// Another scribe answered.
    pub(crate) fn fed(&mut self, slot: usize, from: ServerId, after: Tail, donated: Donated) -> Result<(), Refusal> {
        let worker = &mut self.workers[slot];
        let (group, log) = (worker.group, &worker.log);
        let Some(feeding) = worker
            .feeding
            .as_mut()
            .filter(|feeding| feeding.donor == from && feeding.after == after)
        else {
            return Ok(()); // too late
        };
        feeding.moves = true;
        let (wanted, floor) = (feeding.base.tail(), self.snapshot_floor);
        match donated {
            Donated::Entries(_) if !feeding.proven => {
                feeding.proven = true;
                let index = log.last_at_or_before(wanted);
                self.ask_to_be_fed_after(slot, index);
            }
            Donated::Entries(entries) => {
                let mut section = Section::new(LogId::Group(group));
                section.previous = after;
                section.entries = entries;
                section.entries.retain(|entry| entry.index <= wanted.index);
                self.check_section(&section)?;
                let last = section.last();
                self.take_entries(Some(slot), section.log, section.entries);
                if last.index == wanted.index {
                    self.workers[slot].feeding = None; // the consul's next append matches
                } else if last.index > after.index {
                    self.ask_to_be_fed(slot, last);
                }
            }
            Donated::Parted(hint) if feeding.proven => {
                if after.index <= log.base().index {
                    return Err(Refusal::Impossible("log that lacks what is decided"));
                }
                let index = log.last_at_or_before(hint).min(after.index.previous()).max(log.base().index);
                self.ask_to_be_fed_after(slot, index);
            }
            Donated::Parted(_) => feeding.moves = false, // it lags too; another may not
            Donated::Begins(base) if feeding.proven && base.index <= wanted.index && log.holds(base.tail()) => {
                self.ask_to_be_fed_after(slot, base.index);
            }
            Donated::Begins(base) if feeding.proven && base.index <= wanted.index && base.csn <= floor => {
                let index = base.index;
                if base.term > wanted.term || base.configuration.is_some() || index <= worker.commit.max(worker.handed) {
                    return Err(Refusal::Impossible("base"));
                }
                self.take_base(slot, base);
                self.ask_to_be_fed_after(slot, index);
            }
            Donated::Begins(_) => {
                feeding.without.push(from);
                self.feed_from_next(slot);
            }
        }
        Ok(())
    }
}
