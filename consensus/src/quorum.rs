//! Majorities, and joint majorities while a membership changes.
//!
//! During a change both the old (outgoing) and the new (incoming) members must agree, each by a majority of its own
//! (Ongaro's thesis, section 4.3). Learners receive the log and count nowhere.

use crate::ids::{Index, ServerId};

/// Who stores a log and whose agreement counts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Members {
    /// Ascending, never empty.
    incoming: Vec<ServerId>,
    /// Ascending; empty when no change is under way.
    outgoing: Vec<ServerId>,
    /// Ascending.
    learners: Vec<ServerId>,
}

impl Members {
    /// A membership at rest. `None` when there is no voter, or a server is named twice or is number zero.
    pub fn new(voters: Vec<ServerId>) -> Option<Self> {
        Self::joint(voters, Vec::new(), Vec::new())
    }

    /// A membership in change. `None` when there is no incoming voter, or a list names a server twice or number zero.
    pub fn joint(mut incoming: Vec<ServerId>, mut outgoing: Vec<ServerId>, mut learners: Vec<ServerId>) -> Option<Self> {
        for list in [&mut incoming, &mut outgoing, &mut learners] {
            list.sort_unstable();
            if list.windows(2).any(|pair| pair[0] == pair[1]) || list.first() == Some(&ServerId::ZERO) {
                return None;
            }
        }
        (!incoming.is_empty()).then_some(Self {
            incoming,
            outgoing,
            learners,
        })
    }

    /// The voters that stay or come.
    pub fn incoming(&self) -> &[ServerId] {
        &self.incoming
    }

    /// The voters before the change that is under way.
    pub fn outgoing(&self) -> &[ServerId] {
        &self.outgoing
    }

    /// Those who only receive.
    pub fn learners(&self) -> &[ServerId] {
        &self.learners
    }

    /// Whether this server's agreement counts.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.incoming.binary_search(&server).is_ok() || self.outgoing.binary_search(&server).is_ok()
    }

    /// Whether this server stores the log.
    pub fn contains(&self, server: ServerId) -> bool {
        self.is_voter(server) || self.learners.binary_search(&server).is_ok()
    }

    /// Everybody who stores the log, each once, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = ServerId> + '_ {
        let outgoing = self.outgoing.iter().filter(|s| self.incoming.binary_search(s).is_err());
        let learners = self
            .learners
            .iter()
            .filter(|s| self.incoming.binary_search(s).is_err() && self.outgoing.binary_search(s).is_err());
        self.incoming.iter().chain(outgoing).chain(learners).copied()
    }

    /// Whether those for whom `agrees` holds are a quorum.
    pub fn quorum(&self, mut agrees: impl FnMut(ServerId) -> bool) -> bool {
        let mut majority = |list: &[ServerId]| list.iter().filter(|s| agrees(**s)).count() > list.len() / 2;
        majority(&self.incoming) && (self.outgoing.is_empty() || majority(&self.outgoing))
    }

    /// The highest index that a quorum has reached, given what each server has.
    pub fn quorum_index(&self, has: impl FnMut(ServerId) -> Index) -> Index {
        self.quorum_reached(has)
    }

    /// The highest value that a quorum has reached, given what each server has.
    pub(crate) fn quorum_reached<T: Ord + Copy + Default>(&self, mut has: impl FnMut(ServerId) -> T) -> T {
        let mut majority = |list: &[ServerId]| match list {
            [] => T::default(), // a server that waits to be told has no membership
            [only] => has(*only),
            [a, b, c] => {
                let (a, b, c) = (has(*a), has(*b), has(*c));
                a.max(b).min(a.min(b).max(c))
            }
            _ => {
                let mut reached: Vec<T> = list.iter().map(|s| has(*s)).collect();
                reached.sort_unstable();
                reached[(list.len() - 1) / 2]
            }
        };
        let incoming = majority(&self.incoming);
        if self.outgoing.is_empty() {
            incoming
        } else {
            incoming.min(majority(&self.outgoing))
        }
    }
}
