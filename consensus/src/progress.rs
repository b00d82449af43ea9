//! How far each peer's copy of a log is, as the consul knows it.
//!
//! A consul first *probes*: one append at a time, until one matches. Then it *streams*: the next entries leave before
//! the last ones are acknowledged, up to a window of bytes (of all logs together) and entries. What memory doesn't have is
//! read from the log store, one piece at a time; what the log store doesn't have either lies below the log's base, which
//! is sent instead.
//!
//! **What is lost** is sent again with a heartbeat. Lost is what a peer hasn't answered though it has heard of the same or
//! a later round that didn't overtake it: slow is not lost, and whoever is slow isn't helped by more copies.

use std::collections::VecDeque;
use std::fmt;

use crate::ids::{Index, LogId, ServerId, Tail};
use crate::log::{Base, Log};
use crate::message::{Matched, Section};
use crate::quorum::Members;
use crate::record::Entry;

/// How much of one log may leave for one peer now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// In one message, about.
    pub(crate) append_bytes: usize,
    /// Of what all logs together may have on their way to the peer, this is left.
    pub(crate) bytes: usize,
    /// Not yet acknowledged.
    pub(crate) entries: u64,
    /// The log store may be asked.
    pub(crate) may_read: bool,
    /// The flush that this is for.
    pub(crate) round: u64,
}

/// A section under way.
#[derive(Clone)]
struct Flight {
    /// Its last entry.
    last: Index,
    bytes: usize,
    /// It left with this flush.
    round: u64,
}

/// Without the round, which tells nothing but how long ago that was.
impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.last, self.bytes)
    }
}

/// Whether what follows an entry is being read from the log store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    No,
    /// What follows this entry.
    After(Index),
    /// The log store didn't have it; it is asked again with a heartbeat.
    InVain,
}

/// A peer's copy of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The log is the consul's up to here, durably.
    matched: Index,
    /// The next entry to send.
    next: Index,
    /// A probe matched.
    streaming: bool,
    /// To be told of the log even when it lacks nothing.
    announce: bool,
    /// Sections under way; while probing one at most.
    flights: VecDeque<Flight>,
    flight_bytes: usize,
    /// What was read from the log store for it.
    read: VecDeque<Entry>,
    reading: Reading,
}

impl Progress {
    /// What is under way is lost, or of no use.
    fn ground(&mut self) {
        self.flights.clear();
        self.flight_bytes = 0;
    }

    fn depart(&mut self, section: &Section, bytes: usize, round: u64) {
        let last = section.last().index;
        self.flights.push_back(Flight { last, bytes, round });
        self.flight_bytes += bytes;
    }

    fn acknowledge(&mut self, matched: Index) {
        self.matched = self.matched.max(matched);
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.last <= self.matched) {
            self.flight_bytes -= flight.bytes;
        }
    }

    /// What is set apart for what was read, or is being read, for this peer.
    fn set_apart(&self, append_bytes: usize) -> usize {
        let reads = matches!(self.reading, Reading::After(_)) || !self.read.is_empty();
        if reads { append_bytes } else { 0 }
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
    /// It has everything, or as much of this log is under way as may be.
    Nothing,
    /// It lacks something that must wait for other logs.
    Full,
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

    /// What is on its way to a peer, and what is set apart for it: bytes.
    pub(crate) fn under_way(&self, server: ServerId, append_bytes: usize) -> usize {
        let progress = self.0.iter().find(|(s, _)| *s == server);
        progress.map_or(0, |(_, progress)| progress.flight_bytes + progress.set_apart(append_bytes))
    }

    /// What to do for a peer now. `base` is what the log begins with, for one that lacks what comes before.
    pub(crate) fn next(&mut self, server: ServerId, log_id: LogId, log: &Log, window: Window, base: impl FnOnce() -> Base) -> Next {
        let progress = self.progress(server, log);
        if !progress.streaming && !progress.flights.is_empty() {
            return Next::Nothing;
        }
        let mut section = Section::new(log_id);
        let previous = progress.next.previous();
        let Some(term) = log.term_at(previous).filter(|_| previous >= log.base().index) else {
            let base = base();
            progress.streaming = false;
            progress.next = base.index.next();
            progress.ground();
            section.previous = base.tail();
            section.base = Some(base);
            progress.depart(&section, 0, window.round);
            return Next::Send(section);
        };
        section.previous = Tail { term, index: previous };
        let left = window.bytes + progress.set_apart(window.append_bytes);
        let has_room = !progress.streaming || progress.next.0 - progress.matched.0 <= window.entries;
        let room = if has_room { window.append_bytes.min(left) } else { 0 };
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
            progress.depart(&section, bytes, window.round);
            return Next::Send(section);
        }
        if section.entries.is_empty() {
            let lacks = index <= log.last() && has_room && progress.reading == Reading::No;
            return if announce {
                Next::Send(section)
            } else if lacks && (left == 0 || !window.may_read) {
                Next::Full
            } else if lacks {
                progress.reading = Reading::After(previous);
                Next::Read(previous)
            } else {
                Next::Nothing
            };
        }
        progress.next = index;
        progress.depart(&section, bytes, window.round);
        while progress.read.pop_front_if(|entry| entry.index < index).is_some() {}
        Next::Send(section)
    }

    /// The log store answered: what follows `after`, or that it doesn't have that.
    pub(crate) fn read(&mut self, server: ServerId, after: Index, entries: Vec<Entry>) {
        let progress = self.0.iter_mut().find(|(s, _)| *s == server).map(|(_, progress)| progress);
        if let Some(progress) = progress.filter(|progress| progress.reading == Reading::After(after)) {
            progress.reading = if entries.is_empty() { Reading::InVain } else { Reading::No };
            progress.read = entries.into();
        }
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
                    progress.ground();
                    progress.next = progress.matched.next();
                }
                progress.streaming = true;
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
                progress.streaming = false;
                progress.ground();
            }
        }
        Ok(())
    }

    /// Gives up what is lost, so that it leaves again: what left for a peer with this round or earlier has passed.
    pub(crate) fn give_up_lost(&mut self, passed: impl Fn(ServerId) -> u64) {
        for (server, progress) in &mut self.0 {
            if progress.reading == Reading::InVain {
                progress.reading = Reading::No;
            }
            let passed = passed(*server);
            if progress.flights.front().is_some_and(|flight| flight.round <= passed) {
                progress.ground();
                if progress.streaming {
                    progress.next = progress.matched.next();
                }
            }
        }
    }
}
