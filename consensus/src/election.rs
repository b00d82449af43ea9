//! Elections, by the senate's log alone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::node::{HardState, Node};
use crate::senate::{Role, Vote};

impl Node {
    pub(crate) fn seek_election(&mut self) {
        let me = self.config.server;
        self.senator.role = Role::PreCandidate { granted: vec![me] };
        if self.senator.members().quorum(|server| server == me) {
            self.stand();
        }
    }

    fn stand(&mut self) {
        let (server, incarnation) = (self.config.server, self.config.incarnation);
        self.senator.enter(self.senator.term.next());
        self.senator.vote = Some(Vote { server, incarnation });
        self.senator.role = Role::Candidate {
            granted: BTreeMap::from([(server, self.tails())]),
        };
        self.persistence.hard_state(HardState {
            term: self.senator.term,
            vote: self.senator.vote,
        });
    }

    /// A random delay of one to two election time-outs.
    pub(crate) fn election_delay(&mut self) -> Duration {
        let timeout = self.config.election_timeout;
        let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX).max(1);
        timeout + Duration::from_micros(self.random.below(micros))
    }
}
