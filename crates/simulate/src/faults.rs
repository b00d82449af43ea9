//! What goes wrong, when, and to whom: crashes, restarts, partitions, stalls.

use std::sync::Arc;

use curia_consensus::{Configuration, Index, LogId, Office};

use crate::cases::Case;
use crate::plan::Micros;
use crate::server::Server;
use crate::world::{Event, World};

impl World {
    pub(crate) fn schedule_faults(&mut self) {
        self.schedule(self.faults.partition, Event::Partition);
        self.schedule(self.faults.crash, Event::Crash);
        self.schedule(self.faults.stall, Event::Stall);
        self.schedule(self.faults.transfer, Event::Transfer);
        self.schedule(self.faults.reconfigure, Event::Reconfigure);
    }

    /// Once more, after a while; never, where the mean is zero.
    pub(crate) fn schedule(&mut self, mean: Micros, event: Event) {
        if mean > 0 {
            let pause = self.chance.around(mean);
            self.queue.add(self.now + pause, event);
        }
    }

    /// A server to which things happen: often one that holds or seeks office.
    fn victim(&mut self) -> usize {
        let count = self.servers.len() as u64;
        let any = self.chance.below(count) as usize;
        let wanted = self.chance.below(4);
        let holds = |office: Office| match wanted {
            0 | 1 => matches!(office, Office::Consul { .. }),
            2 => matches!(office, Office::Inaugurating { .. }),
            _ => false,
        };
        let running = |at: &usize| self.servers[*at].node.is_some() && holds(self.servers[*at].office);
        (0..self.servers.len()).rev().find(running).unwrap_or(any)
    }

    pub(crate) fn partition(&mut self) {
        if self.calm {
            return;
        }
        let special = self.victim();
        let depose = self.faults.depose > 0.0 && self.chance.chance(self.faults.depose);
        let consul = self.servers.iter().position(Server::serves);
        let kind = match consul {
            Some(consul) if depose && !self.network.is_broken() => self.network.depose(consul),
            _ if depose => self.network.mend(),
            _ => self.network.partition(special),
        };
        self.cases.met_if(Case::Partition, self.network.is_broken());
        self.story.add(self.now, &[20, special as u64], || format!("-- links: {kind:?}"));
        self.schedule(self.faults.partition, Event::Partition);
    }

    /// A consul that has just told another server to stand may be cut off.
    pub(crate) fn leave(&mut self, at: usize, to: usize) {
        if self.faults.leave == 0.0 || !self.chance.chance(self.faults.leave) {
            return;
        }
        let kind = self.network.leave(at, to);
        self.cases.met(Case::Partition);
        self.story.add(self.now, &[25, at as u64], || format!("-- links: {kind:?}"));
    }

    /// Whether a server that was just elected crashes over it.
    pub(crate) fn crashes_elected(&mut self, at: usize) -> bool {
        let crashes = self.faults.crash_elected > 0.0 && self.chance.chance(self.faults.crash_elected);
        if crashes {
            self.crash(at);
        }
        crashes
    }

    pub(crate) fn stall_somebody(&mut self) {
        if self.calm {
            return;
        }
        let at = self.victim();
        let timeout = self.plan.election_timeout.as_micros() as Micros;
        let pause = self.chance.around(timeout * 2);
        self.servers[at].stalled_until = self.now + pause;
        self.cases.met(Case::Stall);
        self.story.add(self.now, &[21, at as u64, pause], || {
            format!("-- s{} stalls for {pause} µs", at + 1)
        });
        self.schedule(self.faults.stall, Event::Stall);
    }

    pub(crate) fn crash_somebody(&mut self) {
        if self.calm {
            return;
        }
        let at = self.victim();
        if self.servers[at].node.is_some() {
            self.crash(at);
        }
        // Now and then everything loses power at once.
        if self.chance.chance(0.05) {
            for at in 0..self.servers.len() {
                if self.servers[at].node.is_some() {
                    self.crash(at);
                }
            }
        }
        self.schedule(self.faults.crash, Event::Crash);
    }

    /// A server's process ends, and what its disk had not synced is lost, wholly or but for its first records.
    pub(crate) fn crash(&mut self, at: usize) {
        let tears = self.platter.chance(self.faults.tear);
        let server = &mut self.servers[at];
        let loss = server.disk.crash(&mut self.platter, tears);
        server.stop();
        self.cases.met(Case::Crash);
        self.cases.met_if(Case::TornBatch, loss.torn);
        self.cases.met_if(Case::LostBatch, loss.pending > 0);
        self.story
            .add(self.now, &[22, at as u64, loss.pending as u64, u64::from(loss.torn)], || {
                let torn = if loss.torn { ", one of them torn" } else { "" };
                format!("-- s{} crashes, with {} batches not durable{torn}", at + 1, loss.pending)
            });
        if self.chance.chance(self.faults.rot) {
            self.rot(at);
        }
        if let Office::Inaugurating { term } = self.servers[at].office {
            self.cases.met(Case::CrashInaugurating);
            self.deposed_before_serving(at, term);
        }
        let pause = self.chance.around(self.faults.away);
        self.queue.add(self.now + pause, Event::Start { at });
    }

    /// The last records of a log are damaged on a crashed server's disk. A log rots on one server at most, and only where
    /// the others are a quorum: what is lost on a majority is lost. The senate's rots only where somebody else may lead: who
    /// doesn't know what it acknowledged there doesn't stand before another consul has repaired it.
    fn rot(&mut self, at: usize) {
        let id = self.servers[at].id;
        // Groups live by the last committed configuration, which may not be the last one written.
        let configurations = self.oracle.configurations();
        let latest: Vec<_> = configurations[configurations.len().saturating_sub(4)..].to_vec();
        let others_lead = |configuration: &Arc<Configuration>| {
            let mut others = configuration.servers.iter().filter(|(server, _)| *server != id);
            others.any(|(server, _)| configuration.may_lead(*server))
        };
        let others_suffice = |log: LogId| {
            if log == LogId::Senate && !latest.iter().all(others_lead) {
                return false;
            }
            let members = latest.iter().filter_map(|configuration| match log {
                LogId::Senate => Some(&configuration.senate),
                LogId::Group(group) => configuration.group(group),
            });
            let mut members = members.peekable();
            members.peek().is_some() && members.all(|members| members.quorum(|server| server != id))
        };
        let lanes: Vec<_> = self.servers[at]
            .disk
            .lanes()
            .map(|(log, lane)| (log, lane.base().index, lane.tail().index))
            .collect();
        if lanes.is_empty() {
            return;
        }
        let (log, base, last) = self.chance.pick(&lanes);
        let depth = self.chance.between(1, 3);
        let spared = *self.rotten.entry(log).or_insert(id) == id;
        if !spared || last <= base || self.servers[at].disk.damaged().is_some() || !others_suffice(log) {
            return;
        }
        let after = Index(last.0.saturating_sub(depth).max(base.0));
        self.servers[at].disk.damage(log, after);
        self.cases.met(Case::Rot);
        self.story.add(self.now, &[24, at as u64, after.0], || {
            format!("-- s{}'s records of {log:?} after {after:?} are damaged", at + 1)
        });
    }

    pub(crate) fn start(&mut self, at: usize) {
        let server = &mut self.servers[at];
        if let Err(error) = server.start(&self.plan, &self.founding) {
            panic!("s{} can't be restored from what was durable: {error}", at + 1);
        }
        self.oracle.compare(server.id, &server.state);
        self.cases.met_if(Case::Restarted, server.run > 1);
        server.sync_at = self.now;
        let (run, csn) = (server.run, server.state.csn());
        let senate = server.disk.lane(LogId::Senate).map(|lane| lane.tail());
        self.story.add(self.now, &[23, at as u64, csn.0], || {
            format!("-- s{} starts, its state at {csn:?}, its senate's log at {senate:?}", at + 1)
        });
        self.queue.add(self.now, Event::Tick { at, run });
        let pause = self.platter.around(self.faults.flush);
        self.queue.add(self.now + pause, Event::Flush { at, run });
        self.pump(at);
    }
}
