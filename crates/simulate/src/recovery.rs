//! The liveness phase: faults stop, and within a bounded time everything must have recovered and agree.

use curia_consensus::{Csn, GroupId, LogId, Term};

use crate::history::{Ask, Operation, Outcome};
use crate::plan::Micros;
use crate::server::Server;
use crate::state::{Change, Deed, Writes};
use crate::world::{Event, World};

impl World {
    /// Stops faults, and runs until all is well. Panics when that takes too long.
    pub(crate) fn recover(&mut self) {
        self.calm = true;
        let timeout = self.plan.election_timeout.as_micros() as Micros;
        self.faults.stop(timeout);
        self.network.heal();
        self.servers.iter_mut().for_each(|server| server.stalled_until = 0);
        self.story.add(self.now, &[40], || "-- faults stop".to_owned());
        // The next ones may be far off.
        for at in 0..self.servers.len() {
            let run = self.servers[at].run;
            self.queue.add(self.now, Event::Flush { at, run });
        }
        self.come_to_rest();
        if self.history.operations.len() < self.plan.operations as usize {
            self.catch_up_with_operations();
            self.come_to_rest();
        }
        for server in self.servers.iter().filter(|server| server.roles.state) {
            self.oracle.compare(server.id, &server.state);
        }
    }

    /// Clients do what trouble kept them from, so that every history is as long.
    fn catch_up_with_operations(&mut self) {
        let timeout = self.plan.election_timeout.as_micros() as Micros;
        let missing = Micros::from(self.plan.operations) - self.history.operations.len() as Micros;
        let end = self.now + self.plan.liveness_phase() + missing * (timeout + self.plan.think);
        self.resume_clients();
        while !self.clients_are_done() {
            self.step();
            let (done, wanted) = (self.history.operations.len(), self.plan.operations);
            assert!(
                self.now < end,
                "liveness: clients got no further than {done} of {wanted} operations"
            );
        }
    }

    fn come_to_rest(&mut self) {
        let timeout = self.plan.election_timeout.as_micros() as Micros;
        let end = self.now + self.plan.liveness_phase();
        let mut next_look = self.now + timeout;
        let mut wanted = None;
        loop {
            self.step();
            if self.now < next_look {
                continue;
            }
            next_look = self.now + timeout / 2;
            wanted = wanted.filter(|wanted| self.may_commit(*wanted)).or_else(|| self.last_write());
            match (wanted, self.unfinished(wanted.map(|(operation, _)| operation))) {
                (Some(_), None) => break,
                (_, why) => {
                    let report = || {
                        let servers: Vec<_> = self.servers.iter().map(Server::describe).collect();
                        format!("liveness: {} after faults stopped: {}", why.unwrap_or_default(), servers.join("; "))
                    };
                    assert!(self.now < end, "{}", report());
                }
            }
        }
    }

    /// Whether this write of a consul of this term has committed or is under way. Who was in trouble when faults stopped may
    /// resign yet, and its successor void the write.
    fn may_commit(&self, (operation, term): (u64, Term)) -> bool {
        let serves = |server: &Server| server.serves() && server.term() == Some(term);
        self.servers.iter().any(serves) || self.has_committed(operation)
    }

    fn has_committed(&self, operation: u64) -> bool {
        let committed = |csn| self.oracle.decided(Csn(csn)).map(|decided| decided.operation);
        (1..=self.oracle.decided_csn().0).rev().any(|csn| committed(csn) == Some(operation))
    }

    /// Proposes one more write, to all groups, where that is possible now; gives the operation and the consul's term.
    fn last_write(&mut self) -> Option<(u64, Term)> {
        let at = (0..self.servers.len()).find(|at| self.servers[*at].serves())?;
        let operation = self.history.operations.len() as u64;
        let change = Change {
            cell: 0,
            deed: Deed::Set(operation as i64),
        };
        let configuration = self.node(at).configuration().clone();
        let groups = configuration.groups.iter().map(|(group, _)| *group);
        let groups = groups.filter(|group| configuration.dropping(*group).is_none());
        let asked: Vec<(GroupId, Vec<Change>)> = groups.map(|group| (group, vec![change])).collect();
        let parts = asked.iter().map(|(group, changes)| curia_consensus::Part {
            group: *group,
            stages: Vec::new(),
            payload: Writes {
                operation,
                changes: changes.clone(),
            }
            .encode(0),
        });
        let mut parts = parts.collect();
        self.history.operations.push(Operation {
            ask: Ask::Write(asked),
            asked: self.now,
            outcome: Outcome::Unknown,
        });
        let now = curia_consensus::Timestamp(self.now);
        let proposed = self.node(at).propose(now, None, &mut parts);
        self.pump(at);
        if proposed.is_err() {
            self.history.operations.pop();
        }
        proposed.ok().and_then(|_| Some((operation, self.servers[at].term()?)))
    }

    /// What is not yet as it must be in the end.
    fn unfinished(&self, wanted: Option<u64>) -> Option<String> {
        let consuls: Vec<_> = self.servers.iter().filter(|server| server.serves()).collect();
        let [consul] = consuls.as_slice() else {
            return Some(format!("{} consuls serve", consuls.len()));
        };
        let decided = self.oracle.decided_csn();
        match wanted {
            None => return Some("no write was possible".to_owned()),
            Some(operation) if !self.has_committed(operation) => return Some("a write did not commit".to_owned()),
            Some(_) => {}
        }
        if !self.clients_rest() {
            return Some("a client waits".to_owned());
        }
        let Some(configuration) = consul.node.as_ref().map(|node| node.configuration().clone()) else {
            return Some("the consul is down".to_owned());
        };
        if !configuration.at_rest() {
            return Some(format!("a change of voters is unfinished: {configuration:?}"));
        }
        if !configuration.dropping.is_empty() {
            return Some(format!("groups are being dropped still: {:?}", configuration.dropping));
        }
        for server in self.servers.iter().filter(|server| configuration.roles(server.id).is_some()) {
            let Some(node) = &server.node else {
                return Some(format!("{:?} is down", server.id));
            };
            if server.roles.state && server.state.csn() < decided {
                return Some(format!("{:?} has not applied {decided:?}", server.id));
            }
            if !node.is_durable() {
                return Some(format!("{:?} has unsynced batches", server.id));
            }
            for (log, members) in self.logs_of(consul) {
                let tail = |server: &Server| server.disk.lane(log).map(|lane| lane.tail());
                if server.roles.log && members.contains(server.id) && consul.roles.log && tail(server) != tail(consul) {
                    return Some(format!("{:?}'s log of {log} is not the consul's", server.id));
                }
            }
        }
        None
    }

    fn logs_of(&self, consul: &Server) -> Vec<(LogId, curia_consensus::Members)> {
        let Some(node) = &consul.node else { return Vec::new() };
        let configuration = node.configuration();
        let groups = configuration
            .groups
            .iter()
            .map(|(group, members)| (LogId::Group(*group), members.clone()));
        groups.chain([(LogId::Senate, configuration.senate.clone())]).collect()
    }
}
