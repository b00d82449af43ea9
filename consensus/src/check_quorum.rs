//! Who can't get anything done gives up the office (thesis, section 6.2, widened).
//!
//! A consul steps down when for one election time-out
//!
//! * no quorum of the senate, or of some group, has answered what was sent in that time; or
//! * nothing of what was begun got on: no entry of the senate got to a quorum, and no entry of the next transaction's groups,
//!   up to its parts, to another disk. Answers leave when what they answer for is durable, so a majority of stuck disks,
//!   and the consul's own stuck disk, count as silence too; or
//! * it takes office and did not get on with it: no tail was learned, no piece of a log or snapshot came, no peer came
//!   closer to the term-starts, by its log or by more of a snapshot than it asked for before.
//!
//! Who gets on, however slowly, stays: the next consul would have as much to do. Afterwards it lets others try first.

use std::time::Duration;

use crate::ids::{GroupId, Participant, ServerId};
use crate::node::Node;
use crate::senate::Role;
use crate::worker::Worker;

/// How far things were when something was left to do, and since when they are.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<((u64, u64), Duration)>);

impl Pace {
    /// Things are so far. Whether something is left to do, and nothing moved for so long.
    fn stalled(&mut self, is_left: bool, far: (u64, u64), now: Duration, limit: Duration) -> bool {
        match self.0 {
            Some((before, since)) if far == before && is_left => now >= since + limit,
            _ => {
                self.0 = is_left.then_some((far, now));
                false
            }
        }
    }
}

/// How a consul gets on with what it began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paces {
    senate: Pace,
    transactions: Pace,
    term_starts: Pace,
    adoption: Pace,
    /// Steps that were made in learning tails and copying logs.
    pub(crate) adopted: u64,
    /// Entries that were copied from others while taking office.
    pub(crate) fetched: u64,
    /// Transactions of which something was found and that don't count.
    pub(crate) voided: u64,
}

impl Node {
    /// A consul that quorums don't answer, or that gets nothing done, resigns.
    pub(crate) fn check_quorum(&mut self, now: Duration) {
        if self.senator.role != Role::Consul || self.lone() {
            return;
        }
        let (me, timeout) = (self.config.server, self.config.election_timeout);
        let alive = |server| server == me || self.rounds.alive(server, now, timeout);
        let answered = self.senator.members().quorum(alive) && self.standing.memberships.iter().all(|members| members.quorum(alive));
        let installing = |group: &GroupId| self.worker(*group).is_some_and(Worker::installing);
        if self.pulls.first().is_some_and(installing) {
            self.paces.adopted += 1; // however long the state takes for a snapshot
        }
        let (commit, resolved) = (self.senator.commit, self.sequencer.resolved());
        let unresolved = self.sequencer.first_unresolved();
        // Of the next transaction's groups, also what only learners lack: others' turn may come after theirs.
        let logged_for = |place: &Participant| {
            let Some(worker) = self.worker(place.group) else { return 0 };
            let has = |server| {
                if server == me {
                    worker.log.durable()
                } else {
                    worker.peers.matched(server)
                }
            };
            worker.members.all().map(|server| has(server).min(place.index).0).sum::<u64>()
        };
        let parts = unresolved.map_or(0, |pending| pending.places().iter().map(logged_for).sum());
        let votes = |server: &ServerId| self.standing.memberships.iter().any(|members| members.is_voter(*server));
        let logged = self.standing.logged.iter().filter(|(server, _)| votes(server));
        let logged = logged.map(|(_, entries)| entries).sum();
        let copied = self.standing.copied.iter().filter(|((server, _), _)| votes(server));
        let copied = copied.map(|(_, bytes)| bytes).fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        let (adopting, starting) = (self.adopting(), self.term_starts_written() && self.serving.is_none());
        let (is_unresolved, is_uncommitted) = (unresolved.is_some(), commit < self.senator.log.last());
        let paces = &mut self.paces;
        let senate = paces.senate.stalled(is_uncommitted, (commit.0, 0), now, timeout);
        let transactions = paces.transactions.stalled(is_unresolved, (resolved.0, parts), now, timeout);
        let term_starts = paces.term_starts.stalled(starting, (logged, copied), now, timeout);
        let adoption = paces.adoption.stalled(adopting, (paces.adopted, 0), now, timeout);
        if !answered || senate || transactions || term_starts || adoption {
            self.resign();
        }
    }
}
