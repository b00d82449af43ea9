//! Feeding a scribe that lags behind the consul's log (DESIGN 3.5).
//!
//! A scribe that began where the consul's log begins would count in quorums for entries that it never held: what only
//! scribes hold survives the loss of every state server, so it has to have them. Where snapshots that survive cover
//! what is below the base, it may begin there; otherwise it copies from another server that stores the log.
//!
//! ```text
//!   consul's base b, above the snapshot floor ─► Fetch after b at another member: has it b?  ─► then it has the consul's
//!   log up to b, which is decided ─► Fetch after the last common place, up to b ─► the consul's next append matches
//! ```
//!
//! Who lacks the entry of the base, or begins after what this scribe has, can't help and says so. The scribe goes on
//! without what is missing only when nobody can help who might: all others said so, or those who did are a quorum of the
//! group together with this one, and the rest is silent. What is below the base was on a quorum, so one of them had it; it
//! let go of it when its state held it durably, or because snapshots do. Then the log begins as early as any of theirs does.

use crate::ids::{Index, LogId, ServerId, Tail};
use crate::log::Base;
use crate::message::{Body, Donated, Refusal, Section};
use crate::node::Node;

/// After so many heartbeats without an answer, those count who did answer. Well below an election time-out: a consul that
/// waits for this scribe must not have to step down first.
const PATIENCE_HEARTBEATS: u8 = 4;

/// A scribe's copying from other members, up to a base of the consul's.
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
    /// Heartbeats without an answer.
    silence: u8,
    /// Who can't help; the consul first.
    without: Vec<ServerId>,
    /// The earliest place where one of them could begin to.
    earliest: Option<(Base, ServerId)>,
}

impl Feeding {
    fn new(consul: ServerId, base: &Base) -> Self {
        Self {
            donor: consul,
            after: base.tail(),
            proven: false,
            moves: false,
            silence: 0,
            without: vec![consul],
            earliest: None,
            base: base.clone(),
        }
    }
}

impl Node {
    /// The consul's log begins at `base`, above what this scribe has and what snapshots cover. It sends it with each
    /// heartbeat until this log matches.
    pub(crate) fn feed(&mut self, slot: usize, consul: ServerId, base: &Base) {
        let feeding = self.workers[slot].feeding.get_or_insert_with(|| Feeding::new(consul, base));
        if std::mem::take(&mut feeding.moves) {
            return;
        }
        if feeding.donor != consul {
            feeding.silence = feeding.silence.saturating_add(1); // lost, or silent
        }
        self.feed_from_next(slot);
    }

    /// Asks the next member whether it has the base's entry; begins without what is missing when nobody can help.
    fn feed_from_next(&mut self, slot: usize) {
        let me = self.config.server;
        let configuration = self.senator.configuration.clone();
        let worker = &mut self.workers[slot];
        let Some(feeding) = &mut worker.feeding else { return };
        let stores = |server: &ServerId| configuration.roles(*server).is_some_and(|roles| roles.log);
        let may_help = |server: &ServerId| *server != me && stores(server) && !feeding.without.contains(server);
        let mut others: Vec<_> = worker.members.all().filter(may_help).collect();
        others.sort_unstable();
        let known = worker.members.quorum(|server| server == me || feeding.without.contains(&server));
        if others.is_empty() || known && feeding.silence >= PATIENCE_HEARTBEATS {
            return self.begin_without(slot);
        }
        let next = others.iter().find(|server| **server > feeding.donor).unwrap_or(&others[0]);
        (feeding.donor, feeding.proven) = (*next, false);
        let after = feeding.base.tail();
        self.ask_to_be_fed(slot, after);
    }

    /// What is missing is in no log that can be reached: begins where the earliest of them does.
    fn begin_without(&mut self, slot: usize) {
        let worker = &mut self.workers[slot];
        let Some(feeding) = worker.feeding.take() else { return };
        let Some((base, donor)) = feeding.earliest else {
            return self.take_base(slot, feeding.base);
        };
        let index = base.index;
        worker.feeding = Some(Feeding {
            donor,
            proven: true,
            moves: true,
            ..Feeding::new(feeding.without[0], &feeding.base)
        });
        self.take_base(slot, base);
        self.ask_to_be_fed_after(slot, index);
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

    /// Another member answered.
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
        (feeding.moves, feeding.silence) = (true, 0);
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
            Donated::Begins(base) if feeding.proven && base.index <= wanted.index => {
                let (index, place) = (base.index, base.tail());
                if log.holds(place) {
                    self.ask_to_be_fed_after(slot, index);
                    return Ok(());
                }
                if place > wanted || base.configuration.is_some() || index <= worker.commit.max(worker.handed) {
                    return Err(Refusal::Impossible("base"));
                }
                if index < feeding.earliest.as_ref().map_or(wanted.index, |(base, _)| base.index) {
                    feeding.earliest = Some((base, from));
                }
                if feeding.earliest.as_ref().is_some_and(|(base, _)| base.csn <= floor) {
                    self.begin_without(slot); // and that is covered
                } else {
                    feeding.without.push(from);
                    self.feed_from_next(slot);
                }
            }
            Donated::Parted(_) | Donated::Begins(_) => {
                feeding.without.push(from);
                self.feed_from_next(slot);
            }
        }
        Ok(())
    }
}
