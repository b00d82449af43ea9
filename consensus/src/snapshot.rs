//! Group snapshots: how a server gets what no log holds any more.
//!
//! Who lacks the entries below a log's base asks for the group's snapshot, piece by piece, one piece under way at a time;
//! so it is never sent faster than it is installed, goes on where it stopped, and takes no part in any append. Data is
//! opaque: the driver takes snapshots of the state and installs them.
//!
//! ```text
//!   lacks the base's entry ──► SnapshotFetch ──► Snapshot, pieces ──► InstallChunk ──► driver: installed ──► log begins
//!                                   ▲                  │                                                     at the base
//!                                   └──────────────────┘
//! ```
//!
//! A snapshot at CSN s brings this server's group past CSNs that other groups' logs may still have to show it; the rule is
//! in [`crate::following`]. A scribe has no state to bring anywhere: it takes the base alone.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ids::{Csn, GroupId, Incarnation, Index, LogId, ServerId, Term};
use crate::log::Base;
use crate::message::{Body, Message, Refusal};
use crate::node::Node;
use crate::output::{InstallChunk, Missing, SnapshotPiece, SnapshotRead, Write};
use crate::random::Random;
use crate::worker::Worker;

/// A server that didn't send a piece for so many heartbeats is given up.
const PATIENCE_HEARTBEATS: u8 = 4;

/// A snapshot that is being copied to this server.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    from: ServerId,
    /// The base must be here or after it,
    needs: Index,
    /// and at this CSN or a later one; not zero where the log alone would not do.
    needs_csn: Csn,
    /// The snapshot that the pieces are of; zero before the first one.
    of: u64,
    /// Its base, once known.
    base: Option<Base>,
    /// Bytes of it that are handed to the driver.
    offset: u64,
    /// A piece came since the last heartbeat.
    moves: bool,
    /// Heartbeats without a piece.
    silence: u8,
    /// All of it is handed to the driver.
    whole: bool,
}

/// What this server reads of its state for others: one piece for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotReads {
    last_id: u64,
    waiting: BTreeMap<ServerId, Piece>,
    /// The snapshot that each server copies, or copied last.
    bases: BTreeMap<ServerId, Copied>,
    /// To be given to the driver.
    pub(crate) asked: Vec<SnapshotRead>,
}

#[derive(Clone, Debug)]
struct Piece {
    id: u64,
    /// Names the snapshot.
    of: u64,
    offset: u64,
    question: Question,
}

/// What was asked for a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    group: GroupId,
    of: u64,
    offset: u64,
    incarnation: Incarnation,
    term: Term,
}

/// A snapshot that another server copies.
#[derive(Clone, Debug)]
struct Copied {
    group: GroupId,
    of: u64,
    base: Base,
}

impl Pull {
    fn new(from: ServerId, needs: Index, needs_csn: Csn) -> Self {
        Self {
            from,
            needs,
            needs_csn,
            of: 0,
            base: None,
            offset: 0,
            moves: false,
            silence: 0,
            whole: false,
        }
    }

    /// Whether a snapshot with this base would do.
    fn serves(&self, base: &Base) -> bool {
        base.index >= self.needs && base.csn >= self.needs_csn
    }

    /// More is needed than was known; what came of a snapshot that doesn't do is void.
    fn require(&mut self, needs: Index, needs_csn: Csn) {
        (self.needs, self.needs_csn) = (self.needs.max(needs), self.needs_csn.max(needs_csn));
        if self.base.as_ref().is_some_and(|base| !self.serves(base)) {
            (self.of, self.base, self.offset) = (0, None, 0);
        }
    }
}

impl Worker {
    /// Whether the driver is putting a snapshot of the group into the state.
    pub(crate) fn installing(&self) -> bool {
        self.pull.as_ref().is_some_and(|pull| pull.whole)
    }

    /// Gives up a snapshot that is not wholly here.
    pub(crate) fn abandon_pull(&mut self) {
        self.pull.take_if(|pull| !pull.whole);
    }
}

impl Node {
    /// Copies a group's snapshot at or after `needs` from a server, unless that goes on already.
    pub(crate) fn pull_snapshot(&mut self, slot: usize, from: ServerId, needs: Index) {
        self.pull_snapshot_at(slot, from, needs, Csn::ZERO);
    }

    /// The same, of a snapshot that is also at this CSN or a later one.
    pub(crate) fn pull_snapshot_at(&mut self, slot: usize, from: ServerId, needs: Index, needs_csn: Csn) {
        let worker = &mut self.workers[slot];
        match &mut worker.pull {
            Some(pull) if pull.whole => return,
            Some(pull) if pull.from == from => return pull.require(needs, needs_csn),
            _ => {}
        }
        worker.pull = Some(Pull::new(from, needs, needs_csn));
        let group = worker.group;
        if !self.pulls.contains(&group) {
            self.pulls.push(group);
        }
        if self.pulls.first() == Some(&group) {
            self.ask_for_piece(slot);
        }
    }

    fn ask_for_piece(&mut self, slot: usize) {
        let worker = &self.workers[slot];
        let Some(pull) = worker.pull.as_ref().filter(|pull| !pull.whole) else {
            return;
        };
        let body = Body::SnapshotFetch {
            group: worker.group,
            of: pull.of,
            offset: pull.offset,
        };
        let message = self.request(pull.from, self.senator.term, body);
        self.send_when_durable(message);
    }

    /// Goes on with the next group's snapshot when the first is done; asks again for what was lost.
    pub(crate) fn pull_on(&mut self, heartbeat: bool) {
        while let Some(group) = self.pulls.first().copied() {
            let slot = self.slot(group).filter(|slot| self.workers[*slot].pull.is_some());
            let Some(slot) = slot else {
                self.pulls.remove(0);
                if !heartbeat && let Some(next) = self.pulls.first().and_then(|next| self.slot(*next)) {
                    self.ask_for_piece(next);
                }
                continue;
            };
            if heartbeat
                && let Some(pull) = &mut self.workers[slot].pull
                && !std::mem::take(&mut pull.moves)
            {
                pull.silence = pull.silence.saturating_add(1);
                let (silent, from) = (pull.silence >= PATIENCE_HEARTBEATS && !pull.whole, pull.from);
                if silent && self.inauguration.is_some() {
                    self.ask_another(slot, from);
                } else {
                    self.ask_for_piece(slot);
                }
            }
            return;
        }
    }

    /// Another server asks for a piece of a group's snapshot.
    pub(crate) fn asked_for_snapshot(&mut self, message: &Message, group: GroupId, of: u64, offset: u64) {
        // The state itself must have got past what snapshots brought it, not only what was handed out; but of a group that is
        // ahead of the others it holds just what came as a snapshot.
        let healed = !self.healing() && self.applied >= self.known_resolved();
        let gives = |worker: &Worker| !worker.installing() && (healed || worker.is_ahead_of(self.sequencer.handed().0));
        let able = self.runs_state() && self.worker(group).is_some_and(gives);
        if !able {
            let body = Body::Snapshot {
                commit: self.senator.commit,
                group,
                of,
                base: None,
                offset,
                data: Bytes::new(),
                last: false,
            };
            let reply = self.reply(message, self.senator.term, body);
            self.send_when_durable(reply);
            return;
        }
        let question = Question {
            group,
            of,
            offset,
            incarnation: message.incarnation,
            term: self.senator.term,
        };
        let reads = &mut self.snapshot_reads;
        if reads.waiting.get(&message.from).is_some_and(|piece| piece.question == question) {
            return; // it takes its time
        }
        reads.last_id += 1;
        let known = reads.bases.get(&message.from);
        let (of, base, offset) = match known.filter(|copied| (copied.group, copied.of) == (group, of)) {
            Some(copied) => {
                // It has what comes before: that is how it gets on.
                let furthest = self.standing.copied.entry((message.from, group)).or_default();
                *furthest = offset.max(*furthest);
                (of, Some(copied.base.clone()), offset)
            }
            // Another run gives other numbers.
            None => (Random::new(self.config.incarnation.0 ^ reads.last_id << 32).next() | 1, None, 0),
        };
        let piece = Piece {
            id: reads.last_id,
            of,
            offset,
            question,
        };
        reads.waiting.insert(message.from, piece);
        reads.asked.retain(|read| read.to != message.from);
        reads.asked.push(SnapshotRead {
            id: reads.last_id,
            group,
            to: message.from,
            base,
            offset,
            bytes_max: self.config.append_bytes_max,
        });
    }

    /// The state's answer to a [`SnapshotRead`].
    pub fn snapshot_read(&mut self, id: u64, result: Result<SnapshotPiece, Missing>) {
        let reads = &mut self.snapshot_reads;
        let Some(to) = reads.waiting.iter().find(|(_, piece)| piece.id == id).map(|(to, _)| *to) else {
            return;
        };
        let Some(piece) = reads.waiting.remove(&to).filter(|piece| piece.question.term == self.senator.term) else {
            return;
        };
        let Question {
            group, incarnation, term, ..
        } = piece.question;
        let (base, data, last) = match result {
            Ok(read) => (Some(read.base), read.data, read.last),
            Err(Missing) => (None, Bytes::new(), false),
        };
        // Kept past the last piece, which may be lost.
        match base.clone() {
            Some(base) => drop(reads.bases.insert(to, Copied { group, of: piece.of, base })),
            None => drop(reads.bases.remove(&to)),
        }
        let body = Body::Snapshot {
            commit: self.senator.commit,
            group,
            of: piece.of,
            base,
            offset: piece.offset,
            data,
            last,
        };
        let message = self.message(to, incarnation, term, body);
        self.send_when_durable(message);
    }

    /// A piece of a snapshot came, or the news that its sender has none.
    pub(crate) fn take_piece(&mut self, from: ServerId, group: GroupId, of: u64, chunk: Option<InstallChunk>) -> Result<(), Refusal> {
        let term = self.senator.term;
        let Some(slot) = self.slot(group) else { return Ok(()) };
        let worker = &mut self.workers[slot];
        let Some(pull) = worker.pull.as_mut().filter(|pull| pull.from == from && !pull.whole) else {
            return Ok(()); // too late
        };
        let Some(chunk) = chunk else {
            self.ask_another(slot, from);
            return Ok(());
        };
        let base = &chunk.base;
        if base.term > term || base.term_start.term > base.term || base.configuration.is_some() {
            return Err(Refusal::Impossible("snapshot's base"));
        }
        if !pull.serves(base) || pull.needs_csn > self.sequencer.handed().0 && base.index < worker.handed {
            self.ask_another(slot, from);
            return Ok(());
        }
        if pull.needs_csn <= self.sequencer.handed().0 && worker.log.holds(base.tail()) {
            worker.pull = None; // the log came in the meantime
            self.pull_on(false);
            return Ok(());
        }
        let goes_on = pull.of == of && pull.offset == chunk.offset;
        // Another one begins where its sender forgot this one. While this one moves, it answers a repeated question: who turned
        // to it would have asked for pieces of two, for which the sender forgets each in turn.
        let begins = pull.of != of && chunk.offset == 0 && (pull.of == 0 || !pull.moves);
        if !goes_on && !begins {
            return Ok(()); // repeated, or of a snapshot that was given up
        }
        pull.of = of;
        pull.offset = chunk.offset + chunk.data.len() as u64;
        (pull.moves, pull.silence, pull.whole) = (true, 0, chunk.last);
        pull.base = Some(chunk.base.clone());
        let last = chunk.last;
        self.paces.adopted += 1;
        self.installs.push(chunk);
        if !last {
            self.ask_for_piece(slot);
        }
        Ok(())
    }

    /// A server gives no snapshot that would do: a new consul asks another one, a follower the consul again later.
    fn ask_another(&mut self, slot: usize, from: ServerId) {
        let Some(pull) = self.workers[slot].pull.take_if(|_| self.inauguration.is_some()) else {
            return;
        };
        let sources = self.snapshot_sources();
        let at = sources.iter().position(|server| *server == from).map_or(0, |at| at + 1);
        if let Some(next) = sources.get(at % sources.len().max(1)) {
            // With the next heartbeat: whoever goes round in vain doesn't do it in haste.
            self.workers[slot].pull = Some(Pull::new(*next, pull.needs, pull.needs_csn));
        }
    }

    /// Whether the driver is putting a group's snapshot into the state.
    pub(crate) fn installing(&self) -> bool {
        let mut pulled = self.pulls.iter().filter_map(|group| self.worker(*group));
        pulled.any(Worker::installing)
    }

    /// The other servers that run the state machines.
    pub(crate) fn snapshot_sources(&self) -> Vec<ServerId> {
        let servers = self.senator.configuration.servers.iter();
        let others = servers.filter(|(server, roles)| roles.state && *server != self.config.server);
        others.map(|(server, _)| *server).collect()
    }

    /// The state holds a group's snapshot at this CSN, durably and with its position.
    pub fn installed(&mut self, group: GroupId, csn: Csn) {
        let Some(slot) = self.slot(group) else { return };
        let pull = self.workers[slot].pull.take_if(|pull| pull.whole);
        let Some(base) = pull.and_then(|pull| pull.base).filter(|base| base.csn == csn) else {
            return;
        };
        self.take_base(slot, base);
        self.pull_on(false);
        self.advance();
    }

    /// The group's snapshot was not what its sender made, and the state is as before: it is copied anew.
    pub fn install_failed(&mut self, group: GroupId) {
        let Some(slot) = self.slot(group) else { return };
        let worker = &mut self.workers[slot];
        if let Some(pull) = worker.pull.take_if(|pull| pull.whole) {
            // Asked for with the next heartbeat.
            worker.pull = Some(Pull::new(pull.from, pull.needs, pull.needs_csn));
        }
    }

    /// Whether nothing is missing here of what a base stands for, so that the log may begin there without a snapshot: the
    /// state holds it, as durably as the log store will hold the base, or there is no state to bring anywhere.
    pub(crate) fn may_begin_at(&self, base: &Base) -> bool {
        let state = if self.is_volatile() { self.applied } else { self.durable_applied };
        !self.runs_state() || base.csn <= state
    }

    /// What a group's log holds up to `base` is in the state, or needs to be in none: the log may begin there.
    pub(crate) fn take_base(&mut self, slot: usize, base: Base) {
        let term = self.senator.term;
        let worker = &mut self.workers[slot];
        let (before, last) = (worker.log.base().index, worker.log.last());
        if (base.csn, base.timestamp) > self.installed {
            self.installed = (base.csn, base.timestamp);
        }
        if worker.take_base(base.clone(), term) {
            let log = LogId::Group(worker.group);
            if last > before {
                self.persistence.write(Write::DropSuffix { log, after: before });
            }
            self.persistence.write(Write::Base { log, base });
            self.workers[slot].fetching = None;
        }
        self.moved.insert(slot);
        self.gathering.insert(slot);
    }
}
