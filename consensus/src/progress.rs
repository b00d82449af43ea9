//! How far each peer's copy of a log is, as the consul knows it.
//!
//! A consul first *probes*: one append at a time, until one matches. Then it *streams*: the next entries leave before
//! the last ones are acknowledged, up to a window of bytes and entries. What is lost on the way is noticed when a heartbeat
//! finds no progress, and sent again. What memory doesn't have is read from the log store, one piece at a time; what the
//! log store doesn't have either lies below the log's base, which is sent instead.

use std::collections::VecDeque;

use crate::ids::{Index, LogId, ServerId, Tail};
use crate::log::{Base, Log};
use crate::message::{Matched, Section};
use crate::quorum::Members;
use crate::record::Entry;

/// How much of one log may be on its way to one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// In one message, about.
    pub(crate) append_bytes: usize,
    /// Not yet acknowledged, about.
    pub(crate) bytes: usize,
    pub(crate) entries: u64,
}

/// A peer's copy of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The log is the consul's up to here, durably.
    matched: Index,
    /// The next entry to send.
    next: Index,
    /// Probing, and an append is under way.
    waiting: bool,
    streaming: bool,
    /// To be told of the log even when it lacks nothing.
    announce: bool,
    /// `matched` at the last heartbeat.
    at_heartbeat: Index,
    /// Appends under way: the last entry and the bytes of each.
    flights: VecDeque<(Index, usize)>,
    flight_bytes: usize,
    /// What was read from the log store for it.
    read: VecDeque<Entry>,
    /// What is being read for it follows this entry.
    reading: Option<Index>,
}

impl Progress {
    fn ground(&mut self) {
        self.flights.clear();
        self.flight_bytes = 0;
    }

    fn acknowledge(&mut self, matched: Index) {
        self.matched = self.matched.max(matched);
        while let Some((_, bytes)) = self.flights.pop_front_if(|(last, _)| *last <= self.matched) {
            self.flight_bytes -= bytes;
        }
    }

    /// The entry at `index`, from memory or as it was read.
    fn entry<'a>(&'a self, log: &'a Log, index: Index) -> Option<&'a Entry> {
        log.held(index).or_else(|| {
            let offset = index.0.checked_sub(self.read.front()?.index.0)?;
            self.read.get(usize::try_from(offset).ok()?)
        })
    }
}

/// Room for so many entries is made at once.
const RESERVED_ENTRIES_MAX: u64 = 256;

/// What to do for a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It has everything, or as much is under way as may be.
    Nothing,
    /// Send this.
    Send(Section),
    /// Read what follows this entry from the log store.
    Read(Index),
}

/// A log's peers, few; those that nothing was sent to are not in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers(Vec<(ServerId, Progress)>);

/// An answer is impossible.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Impossible;

impl Peers {
    /// Forgets everything: a new term begins.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets a peer: it started again, and may not have what it had.
    pub(crate) fn forget(&mut self, server: ServerId) {
        self.0.retain(|(peer, _)| *peer != server);
    }

    /// How far a peer's copy is known to be the consul's.
    pub(crate) fn matched(&self, server: ServerId) -> Index {
        self.0
            .iter()
            .find(|(s, _)| *s == server)
            .map_or(Index::ZERO, |(_, progress)| progress.matched)
    }

    /// How far every member but this one is known to have the log.
    pub(crate) fn everywhere(&self, members: &Members, me: ServerId) -> Index {
        let others = members.all().filter(|server| *server != me);
        others.map(|server| self.matched(server)).min().unwrap_or_default()
    }

    /// Whether every member but this one is known to have everything up to `last`.
    pub(crate) fn settled(&self, members: &Members, me: ServerId, last: Index) -> bool {
        members
            .all()
            .all(|server| server == me || self.0.iter().any(|(s, p)| *s == server && p.matched >= last && !p.announce))
    }

    fn progress(&mut self, server: ServerId, log: &Log) -> &mut Progress {
        if let Some(at) = self.0.iter().position(|(s, _)| *s == server) {
            return &mut self.0[at].1;
        }
        // A peer is mostly met when the term begins, with one entry of it here: most have what comes before that.
        let next = if log.opens_term() { log.last() } else { log.last().next() };
        let fresh = Progress {
            next,
            ..Progress::default()
        };
        self.0.push((server, fresh));
        &mut self.0.last_mut().expect("just pushed").1
    }

    /// Tells every peer of the log, with the next section.
    pub(crate) fn announce(&mut self) {
        self.0.iter_mut().for_each(|(_, progress)| progress.announce = true);
    }

    /// Tells this peer of the log, with the next section.
    pub(crate) fn announce_to(&mut self, server: ServerId, log: &Log) {
        self.progress(server, log).announce = true;
    }

    /// What to do for a peer now. `base` is what the log begins with, for one that lacks what comes before.
    pub(crate) fn next(&mut self, server: ServerId, log_id: LogId, log: &Log, window: Window, base: impl FnOnce() -> Base) -> Next {
        let progress = self.progress(server, log);
        if progress.waiting {
            return Next::Nothing;
        }
        let mut section = Section::new(log_id);
        let previous = progress.next.previous();
        let Some(term) = log.term_at(previous).filter(|_| previous >= log.base().index) else {
            let base = base();
            (progress.waiting, progress.streaming) = (true, false);
            progress.next = base.index.next();
            progress.ground();
            section.previous = Tail {
                term: base.term,
                index: base.index,
            };
            section.base = Some(base);
            return Next::Send(section);
        };
        section.previous = Tail { term, index: previous };
        let mut room = window.append_bytes;
        if progress.streaming {
            room = room.min(window.bytes.saturating_sub(progress.flight_bytes));
            if progress.next.0 - progress.matched.0 > window.entries {
                room = 0;
            }
        }
        let (mut bytes, mut index) = (0, progress.next);
        let lacking = log.last().next().0.saturating_sub(index.0);
        section.entries.reserve(lacking.min(RESERVED_ENTRIES_MAX) as usize);
        // Most of it is in memory, one after the other.
        for entry in log.between(previous, log.last()) {
            if entry.index != index || bytes >= room || !entry.is_held() {
                break;
            }
            bytes += entry.bytes();
            section.entries.push(entry.clone());
            index = index.next();
        }
        while index <= log.last()
            && bytes < room
            && let Some(entry) = progress.entry(log, index)
        {
            bytes += entry.bytes();
            section.entries.push(entry.clone());
            index = index.next();
        }
        let announce = std::mem::take(&mut progress.announce);
        if !progress.streaming {
            progress.waiting = true;
            return Next::Send(section);
        }
        if section.entries.is_empty() {
            if announce {
                return Next::Send(section);
            }
            let lacks = index <= log.last() && room > 0 && progress.reading.is_none();
            if lacks {
                progress.reading = Some(previous);
                return Next::Read(previous);
            }
            return Next::Nothing;
        }
        progress.next = index;
        progress.flights.push_back((index.previous(), bytes));
        progress.flight_bytes += bytes;
        while progress.read.pop_front_if(|entry| entry.index < index).is_some() {}
        Next::Send(section)
    }

    /// The log store answered: what follows `after`, or that it doesn't have that. Whether the peer still needs it.
    pub(crate) fn read(&mut self, server: ServerId, after: Index, entries: Vec<Entry>) -> bool {
        let Some((_, progress)) = self.0.iter_mut().find(|(s, _)| *s == server) else {
            return false;
        };
        if progress.reading != Some(after) {
            return false;
        }
        progress.reading = None;
        progress.read = entries.into();
        true
    }

    /// Takes a peer's answer.
    pub(crate) fn answered(&mut self, server: ServerId, log: &Log, matched: Matched) -> Result<(), Impossible> {
        let progress = self.progress(server, log);
        match matched {
            Matched::Upto(index) => {
                if index > log.last() {
                    return Err(Impossible);
                }
                progress.acknowledge(index);
                progress.next = progress.next.max(index.next());
                if !progress.streaming {
                    progress.next = progress.matched.next();
                }
                (progress.streaming, progress.waiting) = (true, false);
            }
            Matched::Not(hint) => {
                // What matched once does so for the term, whatever follows it there.
                let index = hint.index.max(progress.matched);
                if progress.streaming && hint.index < progress.matched || index.next() >= progress.next {
                    return Ok(()); // answers an append that a later answer has overtaken
                }
                // Below the log's beginning there is nothing to find: the base goes there.
                progress.next = if index < log.base().index {
                    Index::ZERO
                } else {
                    log.last_at_or_before(hint).max(progress.matched).next()
                };
                (progress.streaming, progress.waiting) = (false, false);
                progress.ground();
            }
        }
        Ok(())
    }

    /// A heartbeat is due: what made no progress since the last one is sent again.
    pub(crate) fn heartbeat(&mut self) {
        for (_, progress) in &mut self.0 {
            progress.waiting = false;
            if progress.matched == progress.at_heartbeat && progress.next > progress.matched.next() && progress.streaming {
                progress.next = progress.matched.next();
                progress.ground();
                progress.reading = None;
            }
            progress.at_heartbeat = progress.matched;
        }
    }
}
