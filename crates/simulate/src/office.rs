//! A server takes or leaves office, and what must hold then.

use curia_consensus::{Csn, LogId, Office, Tail, Term};

use crate::cases::Case;
use crate::plan::Clocks;
use crate::world::World;

impl World {
    /// A server's office is another.
    pub(crate) fn takes_office(&mut self, at: usize, office: Office) {
        let server = &mut self.servers[at];
        self.story.add(self.now, &[8, at as u64], || format!("s{} is {office:?}", at + 1));
        let before = std::mem::replace(&mut server.office, office);
        if self.faults.clocks == Clocks::Adverse {
            let most = self.faults.drift_ppm as i64;
            let out = matches!(office, Office::Senator { .. });
            server.drift(self.now, if out { most } else { -most });
        }
        // An answer belongs to the term that gave the CSN.
        let term = match office {
            Office::Consul { term, .. } => Some(term),
            _ => None,
        };
        server.waiting.retain(|_, waiting| Some(waiting.term) == term);
        if let Office::Inaugurating { term: left } = before
            && !matches!(office, Office::Consul { term, .. } if term == left)
        {
            self.deposed_before_serving(at, left);
        }
        let server = &self.servers[at];
        match office {
            Office::Inaugurating { term } => {
                self.oracle.leads(term, server.id, server.incarnation());
                let at_rest = server.node.as_ref().is_none_or(|node| node.configuration().at_rest());
                self.cases.met_if(Case::JointFailover, !at_rest);
            }
            Office::Consul { term, cut } => {
                self.oracle.leads(term, server.id, server.incarnation());
                self.oracle.serves(server.id, term, cut);
                self.cases.met(Case::Served);
                self.cases.met_if(Case::StateOnlyServed, !server.roles.log);
                self.cases.met_if(Case::Adopted, cut > self.oracle.resolved_before(term));
                self.cases.met_if(
                    Case::TransferDone,
                    self.successor.is_some_and(|(to, last)| to == server.id && last.next() == term),
                );
                self.check_complete(at);
            }
            Office::Senator { .. } => {}
        }
    }

    /// A consul left before it served.
    pub(crate) fn deposed_before_serving(&mut self, at: usize, term: Term) {
        self.cases.met(Case::SecondFailover);
        let started = |(_, lane): (LogId, &crate::disk::Lane)| lane.entries().next_back().is_some_and(|last| last.term == term);
        let groups = self.servers[at].disk.lanes().filter(|(log, _)| *log != LogId::Senate);
        self.cases.met_if(Case::SecondFailoverAdoption, !groups.into_iter().any(started));
    }

    /// Leader completeness after inauguration: whatever was decided before its term is in the new consul's state or logs.
    fn check_complete(&self, at: usize) {
        let server = &self.servers[at];
        let Some(term) = server.term().filter(|_| server.roles.log) else {
            return;
        };
        let decided = self.oracle.decided_csn().min(self.oracle.resolved_before(term));
        for csn in (server.state.csn().0 + 1..=decided.0).map(Csn) {
            for (place, term) in &self.oracle.decided(csn).expect("it is decided").places {
                // A snapshot in the durable state is as good as the log's base, which may be on its way to the disk still.
                if server.flushed.group(place.group).is_some_and(|group| group.installed >= csn) {
                    continue;
                }
                let lane = server.disk.lane(LogId::Group(place.group));
                // Of a dropped group everything was applied everywhere.
                if lane.is_none_or(|lane| lane.tail() == Tail::default()) && self.oracle.is_gone(place.group) {
                    continue;
                }
                assert!(
                    lane.is_some_and(|lane| lane.holds(place.index, *term)),
                    "leader completeness: {:?} serves and lacks {csn:?} at {place:?} of {term:?}",
                    server.id
                );
            }
        }
    }
}
