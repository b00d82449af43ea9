//! How many messages were refused, by reason.

use crate::message::Refusal;

/// Counts of refused messages since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// From another cluster.
    pub cluster: u64,
    /// Meant for another server.
    pub address: u64,
    /// From a server that is in no membership.
    pub stranger: u64,
    /// From a lower term.
    pub stale_term: u64,
    /// Answers to an earlier run of this server.
    pub stale_incarnation: u64,
    /// Requests for a vote while a consul lives.
    pub sticky: u64,
    /// With impossible contents.
    pub impossible: u64,
    /// The last message with impossible contents: what was wrong with it.
    pub last_impossible: Option<&'static str>,
}

impl Refusals {
    pub(crate) fn count(&mut self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Cluster => &mut self.cluster,
            Refusal::Address => &mut self.address,
            Refusal::Stranger => &mut self.stranger,
            Refusal::StaleTerm => &mut self.stale_term,
            Refusal::StaleIncarnation => &mut self.stale_incarnation,
            Refusal::Sticky => &mut self.sticky,
            Refusal::Impossible(field) => {
                self.last_impossible = Some(field);
                &mut self.impossible
            }
        };
        *counter += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.cluster + self.address + self.stranger + self.stale_term + self.stale_incarnation + self.sticky + self.impossible
    }
}
