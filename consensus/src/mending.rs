//! Damaged logs (DESIGN 3.3): unknown, never absent, until they have again whatever they may have acknowledged.
//!
//! A server whose durable records of a log are damaged doesn't know where the log ended. It reports no tail of it (where it
//! is the senate's, it doesn't vote), as a tail without what it acknowledged would help to lose that. All of it is in the
//! log of a consul that adopted it, and before the place where that ended when the consul first heard of this run: what
//! earlier runs acknowledged in this term was sent before.
//!
//! ```text
//!   D acknowledges e ─► e rots, D starts ─► answers: damaged ─► the consul's log ends at n ─► D has it up to n ─► mended
//!                                                               (e is at or before n)
//! ```
//!
//! The term-start of a later consul does it too: others elected that one, and it found everything that was ever counted.
//! Where damage is in none but these two ways repaired, a start reports it again (see [`crate::Restore::damaged`]).

use crate::ids::{Index, LogId, ServerId};
use crate::node::Node;

impl Node {
    /// The logs of which this server doesn't know where they ended.
    pub(crate) fn damaged_logs(&self) -> Vec<LogId> {
        if !self.started_damaged {
            return Vec::new(); // each heartbeat asks
        }
        let senate = self.senator.damaged.map(|_| LogId::Senate);
        let damaged = self.workers.iter().filter(|worker| worker.damaged.is_some());
        senate.into_iter().chain(damaged.map(|worker| LogId::Group(worker.group))).collect()
    }

    /// The consul says that nothing is missing in a log.
    pub(crate) fn mend(&mut self, log: LogId) {
        match log {
            LogId::Senate => self.senator.damaged = None,
            LogId::Group(group) => {
                if let Some(slot) = self.slot(group) {
                    self.workers[slot].damaged = None;
                }
            }
        }
    }

    /// Where a log of this consul ends, which has everything that was counted in earlier terms.
    pub(crate) fn adopted_end(&self, log: LogId) -> Option<Index> {
        match log {
            LogId::Senate => Some(self.senator.log.last()),
            LogId::Group(group) => {
                let worker = self.worker(group)?;
                (worker.term_start.term == self.senator.term).then(|| worker.log.last())
            }
        }
    }

    /// The logs of a peer that were damaged and are not any more.
    pub(crate) fn mended(&self, peer: ServerId) -> Vec<LogId> {
        let Some(reported) = self.reported.get(&peer) else {
            return Vec::new();
        };
        let has = |log: LogId, end: Index| match log {
            LogId::Senate => self.senator.peers.matched(peer) >= end,
            LogId::Group(group) => self.worker(group).is_some_and(|worker| worker.peers.matched(peer) >= end),
        };
        let mended = reported.damaged.iter().filter(|(log, end)| end.is_some_and(|end| has(*log, end)));
        mended.map(|(log, _)| *log).collect()
    }

    /// Whether a peer said that it doesn't know where its log ended.
    pub(crate) fn is_damaged(&self, peer: ServerId, log: LogId) -> bool {
        let reported = self.reported.get(&peer);
        reported.is_some_and(|reported| reported.damaged.iter().any(|(damaged, _)| *damaged == log))
    }
}
