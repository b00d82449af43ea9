//! What a node's outputs ask for: messages go to the network, batches to the disk, the rest to the driver and the clients.

use std::sync::Arc;

use curia_consensus::{Base, Body, Csn, LogId, Message, Office, Persist, Record, Write};

use crate::applying::Work;
use crate::cases::Case;
use crate::durability;
use crate::plan::Micros;
use crate::story::{say, say_entry, weigh};
use crate::world::{Event, World};

impl World {
    /// Does what a node asks for, until it asks for nothing more.
    pub(crate) fn pump(&mut self, at: usize) {
        while let Some(node) = self.servers[at].node.as_mut() {
            let output = node.take_output();
            if output.is_empty() {
                return;
            }
            if let Some(office) = output.office {
                self.takes_office(at, office);
                if matches!(office, Office::Inaugurating { .. }) && self.crashes_elected(at) {
                    return;
                }
            }
            for message in output.messages {
                self.send(at, message);
            }
            if let Some(batch) = output.persist
                && self.persist(at, batch)
            {
                return;
            }
            let run = self.servers[at].run;
            for read in output.log_reads {
                self.soon(at, Event::LogRead { at, run, read });
            }
            for read in output.snapshot_reads {
                self.soon(at, Event::SnapshotRead { at, run, read });
            }
            let idle = self.servers[at].applying.is_empty();
            assert!(
                output.apply.is_empty() || output.applied.is_some(),
                "what is applied has a position: s{} applies {:?}",
                at + 1,
                output.apply
            );
            if let Some(applied) = output.applied {
                self.servers[at].applying.push_back(Work::Apply(output.apply, applied));
            }
            self.servers[at].applying.extend(output.installs.into_iter().map(Work::Install));
            if idle && !self.servers[at].applying.is_empty() {
                if self.platter.chance(self.faults.slow_apply) {
                    let pause = self.platter.around(self.plan.election_timeout.as_micros() as Micros / 20);
                    self.queue.add(self.now + pause, Event::Apply { at, run });
                } else {
                    self.apply(at);
                }
            }
            for read in output.reads {
                self.read_ready(at, read);
            }
            self.keep_senate(at);
        }
    }

    /// A server without a log store keeps the configuration with its state, whenever another one is committed.
    fn keep_senate(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(node) = server.node.as_ref().filter(|_| !server.roles.log) else {
            return;
        };
        let Some(base) = node.senate_base() else { return };
        let configuration = |base: &Base| base.configuration.clone();
        let before = server.senate.as_ref().and_then(configuration);
        if !matches!((before, &base.configuration), (Some(before), Some(now)) if Arc::ptr_eq(&before, now)) {
            server.senate = Some(base);
        }
    }

    fn send(&mut self, at: usize, message: Message) {
        let server = &self.servers[at];
        if server.roles.log {
            durability::check(&server.disk, &message);
        }
        if let Body::Append(append) = &message.body {
            self.oracle.leads(message.term, server.id, server.incarnation());
            if let Some(resolved) = append.resolved {
                self.oracle.resolved(message.term, resolved);
            }
            if !server.roles.log {
                // What it has is seen in what it sends.
                for section in &append.sections {
                    let mut before = section.previous.term;
                    for entry in &section.entries {
                        self.oracle.written(server.id, section.log, entry, Some(before));
                        before = entry.term;
                    }
                }
            }
        }
        let to = message.to.0 as usize - 1;
        let [first, second] = self.network.send(at, to, &message.body, &self.faults);
        if matches!(message.body, Body::TimeoutNow { .. }) {
            self.leave(at, to);
        }
        if let Some(delay) = second {
            self.queue.add(self.now + delay, Event::Deliver(message.clone()));
        }
        match first {
            Some(delay) => self.queue.add(self.now + delay, Event::Deliver(message)),
            None => self
                .story
                .add(self.now, &[4, weigh(&message)], || format!("lost: {}", say(&message))),
        }
    }

    /// Hands a batch to a disk; whether the server crashes over it.
    fn persist(&mut self, at: usize, batch: Persist) -> bool {
        let crash = self.chance.chance(self.faults.crash_at_batch).then(|| self.chance.below(3));
        let seq = batch.seq;
        let server = &mut self.servers[at];
        let id = server.id;
        let (oracle, story, cases, now) = (&mut self.oracle, &mut self.story, &mut self.cases, self.now);
        let numbers = [5, at as u64, seq.0, batch.writes.len() as u64];
        story.add(now, &numbers, || {
            format!("s{} writes {seq:?}: {} records, {:?}", at + 1, batch.writes.len(), batch.hard_state)
        });
        for write in &batch.writes {
            if let Write::DropSuffix { log, after } = write {
                cases.met(Case::DroppedSuffix);
                story.add(now, &[6, after.0], || format!("s{} drops {log:?} after {after:?}", at + 1));
            }
            match write {
                Write::Base { log, base } => story.add(now, &[11, base.index.0], || {
                    format!("s{} begins {log:?} after {:?}/{:?}, {:?}", at + 1, base.index, base.term, base.csn)
                }),
                Write::DropLog { log } => story.add(now, &[12], || format!("s{} drops {log:?} wholly", at + 1)),
                _ => {}
            }
        }
        if !server.roles.log {
            // Its log is volatile: what it asks for is done at once, and forgotten by the next run.
            self.node(at).persisted(seq);
            return false;
        }
        let ours = server.office;
        let voids = batch.writes.iter().filter_map(|write| match write {
            Write::Append { log, entry } => match &entry.record {
                Record::TermStart(start) if matches!(ours, Office::Inaugurating { term } if term == entry.term) => Some((*log, start.cut)),
                _ => None,
            },
            _ => None,
        });
        let voids: Vec<_> = voids.collect();
        server.disk.write(batch, |log, entry, before| {
            story.add(now, &[7, u64::from(log.to_u32()), entry.index.0, entry.term.0], || {
                format!("s{} writes {log:?}:{}", at + 1, say_entry(log, entry))
            });
            oracle.written(id, log, entry, before);
        });
        // Before it takes office, a consul's adopted logs are durable.
        for (log, cut) in voids {
            self.count_voids(at, log, cut);
        }
        let server = &mut self.servers[at];
        match crash {
            Some(when) => {
                if when == 0 {
                    server.disk.sync(seq);
                }
                self.cases.met(Case::CrashAtBatch);
                self.crash(at);
                true
            }
            None => {
                let time = self.disk_time(at);
                let server = &mut self.servers[at];
                server.sync_at = server.sync_at.max(self.now + time);
                let run = server.run;
                self.queue.add(server.sync_at, Event::Synced { at, run, seq });
                false
            }
        }
    }

    fn count_voids(&mut self, at: usize, log: LogId, cut: Csn) {
        let Some(lane) = self.servers[at].disk.lane(log) else { return };
        let fragments = lane.entries().rev().map_while(|entry| match &entry.record {
            Record::Fragment(fragment) => Some(Some(fragment)),
            Record::TermStart(_) => None,
            _ => Some(None),
        });
        for fragment in fragments.flatten().filter(|fragment| fragment.csn > cut) {
            self.cases.met(Case::Voided);
            self.cases.met_if(Case::CutShort, fragment.participants.len() > 1);
        }
    }
}
