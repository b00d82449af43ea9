//! How far each peer's copy of a log is, as the consul knows it.
//!
//! A consul first *probes*: one append at a time, until one matches. Then it *streams*: the next entries leave before
//! the last ones are acknowledged. What is lost on the way is noticed when a heartbeat finds no progress, and sent again.

use crate::ids::{Index, ServerId};
use crate::log::Log;
use crate::message::{Matched, Section};

/// A peer's copy of one log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The log is the consul's up to here, durably.
    pub(crate) matched: Index,
    /// The next entry to send.
    next: Index,
    /// Probing, and an append is under way.
    waiting: bool,
    streaming: bool,
    /// `matched` at the last heartbeat.
    at_heartbeat: Index,
}

/// A log's peers, few; those that never answered are not in it.
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

    /// A peer lost what it had.
    pub(crate) fn forget(&mut self, server: ServerId) {
        self.0.retain(|(s, _)| *s != server);
    }

    /// How far a peer's copy is known to be the consul's.
    pub(crate) fn matched(&self, server: ServerId) -> Index {
        self.0
            .iter()
            .find(|(s, _)| *s == server)
            .map_or(Index::ZERO, |(_, progress)| progress.matched)
    }

    fn progress(&mut self, server: ServerId, log: &Log) -> &mut Progress {
        if let Some(at) = self.0.iter().position(|(s, _)| *s == server) {
            return &mut self.0[at].1;
        }
        let next = log.last().next();
        let fresh = Progress {
            matched: Index::ZERO,
            next,
            waiting: false,
            streaming: false,
            at_heartbeat: Index::ZERO,
        };
        self.0.push((server, fresh));
        &mut self.0.last_mut().expect("just pushed").1
    }

    /// What to send to a peer now, of at most about `bytes_max` bytes; `None` when there is nothing, or what there is
    /// isn't in memory any more.
    pub(crate) fn section(&mut self, server: ServerId, log_id: crate::ids::LogId, log: &Log, bytes_max: usize) -> Option<Section> {
        let progress = self.progress(server, log);
        if progress.waiting || progress.streaming && progress.next > log.last() {
            return None;
        }
        let previous = progress.next.previous();
        let previous = crate::ids::Tail {
            term: log.term_at(previous)?,
            index: previous,
        };
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut index = progress.next;
        while index <= log.last() && bytes < bytes_max {
            let entry = log.get(index)?;
            if let Some(crate::record::Payload::Stored(_)) = entry.record.payload() {
                break;
            }
            bytes += 64 + entry.record.payload().map_or(0, crate::record::Payload::len);
            entries.push(entry.clone());
            index = index.next();
        }
        if progress.streaming {
            progress.next = index;
            if entries.is_empty() {
                return None;
            }
        } else {
            progress.waiting = true;
        }
        Some(Section {
            log: log_id,
            base: None,
            previous,
            entries,
            complete: None,
        })
    }

    /// Takes a peer's answer.
    pub(crate) fn answered(&mut self, server: ServerId, log: &Log, matched: Matched) -> Result<(), Impossible> {
        let progress = self.progress(server, log);
        match matched {
            Matched::Upto(index) => {
                if index > log.last() {
                    return Err(Impossible);
                }
                progress.matched = progress.matched.max(index);
                progress.next = progress.next.max(index.next());
                if !progress.streaming {
                    progress.next = index.next().max(progress.matched.next());
                }
                (progress.streaming, progress.waiting) = (true, false);
            }
            Matched::Not(hint) => {
                if hint.index < progress.matched || hint.index.next() >= progress.next {
                    return Ok(()); // answers an append that a later answer has overtaken
                }
                progress.next = log.last_at_or_before(hint).next().max(progress.matched.next());
                (progress.streaming, progress.waiting) = (false, false);
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
            }
            progress.at_heartbeat = progress.matched;
        }
    }
}
