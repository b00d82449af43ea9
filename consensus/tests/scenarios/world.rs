//! The servers of a story, their clocks and the network between them. Only the story's commands make anything happen.
//!
//! What a server has to say goes into the network and stays there until it is delivered or dropped. A disk syncs at once
//! unless the story holds it. After each step the world checks what must hold in every story: a term has one consul, and
//! all servers apply the same transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curia_consensus::*;

use crate::harness::Server;
use crate::{pick, trace};

/// Clocks move by this much at a time.
pub const STEP: Duration = Duration::from_millis(50);

/// Of a command: nothing, or why it makes no sense in its story.
pub type Outcome = Result<(), String>;

type Rows = BTreeMap<GroupId, Vec<u8>>;

#[derive(Default)]
pub struct World {
    pub servers: BTreeMap<ServerId, Server>,
    pub network: Vec<Message>,
    /// Servers whose disks sync only when told to.
    pub held: BTreeSet<ServerId>,
    /// Who can talk to whom: servers of one set; everybody when there is none.
    pub islands: Vec<BTreeSet<ServerId>>,
    /// Messages are not traced, nor what only says that a senator follows a term.
    pub quiet: bool,
    /// How many messages of each kind were delivered.
    pub tally: BTreeMap<&'static str, usize>,
    trace: Vec<String>,
    /// Up to where each server's state was looked at.
    pub seen: BTreeMap<ServerId, Csn>,
    offices: BTreeMap<ServerId, Office>,
    consuls: BTreeMap<Term, ServerId>,
    applied: BTreeMap<Csn, Rows>,
}

impl World {
    /// Adds a line to the trace.
    pub fn say(&mut self, line: impl AsRef<str>) {
        self.trace.extend(line.as_ref().lines().map(|line| line.trim_end().to_owned()));
    }

    /// Another cluster takes this one's place.
    pub fn forget(&mut self) {
        let trace = std::mem::take(&mut self.trace);
        *self = Self { trace, ..Self::default() };
    }

    pub fn take_trace(&mut self) -> String {
        std::mem::take(&mut self.trace).into_iter().map(|line| line + "\n").collect()
    }

    /// The server, running or not.
    pub fn server(&mut self, id: ServerId) -> Result<&mut Server, String> {
        self.servers.get_mut(&id).ok_or_else(|| format!("there is no server {id}"))
    }

    /// The server's node, if it runs.
    pub fn node(&mut self, id: ServerId) -> Result<&mut Node, String> {
        let server = self.server(id)?;
        server.node.as_mut().ok_or_else(|| format!("server {id} is down"))
    }

    pub fn ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    /// Does what a server's outputs say, until it has no more to say.
    pub fn collect(&mut self, id: ServerId) {
        loop {
            let held = self.held.contains(&id);
            let Some(server) = self.servers.get_mut(&id).filter(|server| server.node.is_some()) else {
                return;
            };
            let any = server.take();
            if !held {
                server.sync(usize::MAX);
            }
            let (offices, reads) = (std::mem::take(&mut server.offices), std::mem::take(&mut server.reads));
            self.network.append(&mut server.outbox);
            for office in offices {
                self.office(id, office);
            }
            self.look_at_state(id);
            for ReadReady { id: read, result } in reads {
                self.say(match result {
                    Ok(csn) => format!("server {id} reads {read} at {csn:?}"),
                    Err(error) => format!("server {id} gives read {read} up: {error:?}"),
                });
            }
            if !any {
                return;
            }
        }
    }

    fn office(&mut self, id: ServerId, office: Office) {
        if let Office::Inaugurating { term } | Office::Consul { term, .. } = office {
            let consul = *self.consuls.entry(term).or_insert(id);
            assert_eq!(consul, id, "term {term} has two consuls");
        }
        let senator = |office: &Office| matches!(office, Office::Senator { .. });
        let before = self.offices.insert(id, office);
        if !self.quiet || !senator(&office) || before.is_some_and(|before| !senator(&before)) {
            self.say(format!("server {id} {}", trace::office(office)));
        }
    }

    fn look_at_state(&mut self, id: ServerId) {
        let server = self.servers.get_mut(&id).expect("it was just asked");
        for (group, base) in std::mem::take(&mut server.installs) {
            self.trace.push(format!("server {id} installs {group:?}, {}", trace::based(&base)));
        }
        let seen = self.seen.entry(id).or_default();
        let state = &self.servers[&id].state;
        let upto = state.applied.csn;
        let news: Vec<_> = (seen.0 + 1..=upto.0)
            .map(|csn| (Csn(csn), state.rows.get(&Csn(csn)).cloned()))
            .collect();
        let by_snapshot = state.installed.clone();
        *seen = upto;
        let configuration = self.servers[&id].node.as_ref().map(|node| node.configuration().clone());
        let gone = |group: GroupId, csn: Csn| {
            let has = |configuration: &Configuration| configuration.group(group).is_some() || csn > configuration.dropped_floor;
            configuration.as_deref().is_some_and(|configuration| !has(configuration))
        };
        for (csn, rows) in news {
            let rows = rows.unwrap_or_default();
            let mut first = self.applied.entry(csn).or_insert_with(|| rows.clone()).clone();
            // Of a group that was dropped, nothing is left for a state that comes later.
            first.retain(|group, _| rows.contains_key(group) || !gone(*group, csn));
            assert_eq!(first, rows, "server {id} applies another {csn:?}");
            let applied: Rows = rows
                .into_iter()
                .filter(|(group, _)| by_snapshot.get(group).is_none_or(|s| csn > *s))
                .collect();
            self.say(match applied.is_empty() {
                true => format!("server {id} passes over {csn:?}"),
                false => format!("server {id} applies {csn:?}: {}", trace::rows(&applied)),
            });
        }
    }

    pub fn collect_all(&mut self) {
        self.ids().into_iter().for_each(|id| self.collect(id));
    }

    /// Lets a server's clock go on.
    pub fn tick(&mut self, id: ServerId, step: Duration) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.now += step;
            if let Some(node) = &mut server.node {
                node.tick(server.now);
            }
        }
    }

    fn reaches(&self, from: ServerId, to: ServerId) -> bool {
        self.islands.is_empty() || self.islands.iter().any(|island| island.contains(&from) && island.contains(&to))
    }

    /// Gives a message to its receiver, if it can be reached.
    pub fn deliver(&mut self, message: Message) {
        let (line, to) = (trace::message(&message), message.to);
        *self.tally.entry(trace::kind(&message.body)).or_default() += 1;
        let reached = self.reaches(message.from, to);
        let node = self.servers.get_mut(&to).and_then(|server| server.node.as_mut());
        let fate = match node.filter(|_| reached) {
            None => Some("lost".to_owned()),
            Some(node) => node.step(message).err().map(|refusal| format!("refused: {refusal}")),
        };
        // A server notices by its clock when it heard something; here clocks are never late.
        self.tick(to, Duration::ZERO);
        if !self.quiet {
            self.say(match fate {
                Some(fate) => format!("{line} ({fate})"),
                None => line,
            });
        }
        self.collect(to);
    }

    /// Delivers what the chosen servers say to each other, but for some kinds of message, until they are silent.
    pub fn settle(&mut self, among: &BTreeSet<ServerId>, without: &[&str]) -> Result<(), String> {
        self.collect_all();
        for _ in 0..20_000 {
            let next = self
                .network
                .iter()
                .position(|message| among.contains(&message.from) && among.contains(&message.to) && !pick::is_any(message, without));
            let Some(at) = next else { return Ok(()) };
            let message = self.network.remove(at);
            self.deliver(message);
        }
        Err("they talk without end".to_owned())
    }

    /// Time passes for these servers while the network (but for some kinds of message) and the disks work, for all servers.
    pub fn pass(&mut self, clocks: &[ServerId], time: Duration, without: &[&str]) -> Result<(), String> {
        let everybody = self.ids().into_iter().collect();
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            clocks.iter().for_each(|id| self.tick(*id, step));
            self.settle(&everybody, without)?;
        }
        Ok(())
    }

    /// A server's process ends; its state is what was flushed.
    pub fn crash(&mut self, id: ServerId, kept_writes: usize) -> Result<(), String> {
        let server = self.server(id)?;
        server.crash(kept_writes);
        let flushed = server.flushed.applied.csn;
        self.seen.insert(id, flushed);
        self.offices.remove(&id);
        Ok(())
    }
}
