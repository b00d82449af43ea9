//! Who can't get anything done gives up the office (thesis, section 6.2, widened).
//!
//! A consul steps down when for one election time-out
//!
//! * no quorum of the senate, or of some group, has answered what was sent in that time; or
//! * nothing of what was begun got to quorums: no entry of the senate, no transaction. Answers leave when what they answer
//!   for is durable, so a majority of stuck disks, and the consul's own stuck disk, count as silence too; or
//! * it takes office and did not get on with it: no tail was learned, no piece of a log or snapshot came, no peer came
//!   closer to the term-starts.
//!
//! Who gets on, however slowly, stays: the next consul would have as much to do. Afterwards it lets others try first.

use std::time::Duration;

use crate::ids::GroupId;
use crate::node::Node;
use crate::senate::Role;
use crate::worker::Worker;

/// How much was done when something was left to do, and since when it is no more.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<(u64, Duration)>);

impl Pace {
    /// Of all things, `begun` are begun and `done` are done. Whether there are some to do, and none was done for so long.
    fn stalled(&mut self, begun: u64, done: u64, now: Duration, limit: Duration) -> bool {
        match self.0 {
            Some((before, since)) if done == before && done < begun => now >= since + limit,
            _ => {
                self.0 = (done < begun).then_some((done, now));
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
        let starting = u64::from(self.term_starts_written() && self.serving.is_none());
        let logged: u64 = self.standing.logged.values().sum();
        let adopting = u64::from(self.adopting());
        let installing = |group: &GroupId| self.worker(*group).is_some_and(Worker::installing);
        if self.pulls.first().is_some_and(installing) {
            self.paces.adopted += 1; // however long the state takes for a snapshot
        }
        let paces = &mut self.paces;
        let senate = paces.senate.stalled(self.senator.log.last().0, self.senator.commit.0, now, timeout);
        let transactions = paces
            .transactions
            .stalled(self.sequencer.next().0 - 1, self.sequencer.resolved().0, now, timeout);
        let term_starts = paces.term_starts.stalled(logged + starting, logged, now, timeout);
        let adoption = paces.adoption.stalled(paces.adopted + adopting, paces.adopted, now, timeout);
        if !answered || senate || transactions || term_starts || adoption {
            self.resign();
        }
    }
}
