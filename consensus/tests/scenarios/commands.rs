//! What a story can say, and what happens to its servers, disks, clocks and messages; the README lists it for readers.

use std::collections::BTreeSet;
use std::time::Duration;

use curia_consensus::*;

use crate::harness::{Disk, Server, State};
use crate::pick::{self, Which};
use crate::script::Command;
use crate::trace;
use crate::world::{Outcome, STEP, World};

impl World {
    /// Does what a command says, and all that follows on the servers themselves.
    pub fn run(&mut self, command: &Command) -> Outcome {
        let outcome = match command.verb.as_str() {
            "servers" => self.found(command),
            "given" => self.given(command),
            "start" => self.start(command),
            "crash" => self.crash_command(command),
            "erase" => self.erase(pick::first(command)?),
            "damage" => self.damage(command),
            "tick" => self.tick_command(command),
            "timeout" => self.timeout(pick::first(command)?),
            "run" => self.run_for(command),
            "elect" => self.elect(pick::first(command)?),
            "settle" => {
                let among = pick::servers(self, command)?.into_iter().collect();
                let without = pick::without(command);
                self.settle(&among, &without)
            }
            "deliver" => self.deliver_command(command, false),
            "repeat" => self.deliver_command(command, true),
            "forge" => self.forge(command),
            "drop" => self.drop_command(command),
            "network" => self.show_network(),
            "partition" => self.partition(command),
            "heal" => {
                self.islands.clear();
                Ok(())
            }
            "hold" => {
                self.held.extend(pick::servers(self, command)?);
                Ok(())
            }
            "hold-state" => {
                for id in pick::servers(self, command)? {
                    self.server(id)?.holds_applied = true;
                }
                Ok(())
            }
            "sync-state" => self.sync_state(command),
            "sync" => self.sync(command),
            "pending" => self.pending(pick::first(command)?),
            "propose" => self.propose(command),
            "stage" => self.stage(command),
            "discard" => self.discard(command),
            "transfer" => self.transfer(command),
            "reconfigure" => self.reconfigure(command),
            "join" => self.join(command),
            "read" => self.read(command),
            "snapshots-durable" => self.snapshots_durable(command),
            "checkpoint" => self.checkpoint(pick::first(command)?),
            "logs" => self.show_logs(command),
            "status" => self.show_status(command),
            "count" => self.count(command),
            "quietly" => {
                self.quiet = true;
                let outcome = self.run(&command.inner()?);
                self.quiet = false;
                outcome
            }
            _ => Err(format!("there is no command {}", command.verb)),
        };
        self.collect_all();
        outcome
    }

    /// `count settle`: any command, with the numbers of messages delivered instead of the messages.
    fn count(&mut self, command: &Command) -> Outcome {
        self.tally.clear();
        self.quiet = true;
        let outcome = self.run(&command.inner()?);
        self.quiet = false;
        let counts = self.tally.iter().map(|(kind, count)| format!("{count} {kind}"));
        let line = counts.collect::<Vec<_>>().join(", ");
        self.say(line);
        outcome
    }

    /// `servers 1 2 3 groups=2 [g1=1,2] [append_bytes_max=300] [down]`
    fn found(&mut self, command: &Command) -> Outcome {
        self.forget();
        let mut servers = Vec::new();
        for word in command.plain().filter(|word| *word != "down") {
            servers.push(pick::server_with_roles(word)?);
        }
        let groups = command.value("groups").unwrap_or("1").parse().map_err(|_| "groups is a number")?;
        let ids: Vec<_> = servers.iter().map(|(id, _)| *id).collect();
        let mut founding = Configuration::founding_with_roles(ClusterId(7), servers, groups).ok_or("these are no members")?;
        for (name, value) in command.named() {
            if let Some(log) = pick::log(name) {
                *pick::members_of(&mut founding, log)? = pick::members(value)?;
            }
        }
        for id in ids {
            let mut server = Server::member(id, vec![id], 1);
            server.founding = founding.clone();
            server.config = Some(limits(command)?);
            self.servers.insert(id, server);
        }
        if command.says("down") {
            return Ok(());
        }
        for id in self.ids() {
            self.restore(id)?;
        }
        // They vote only after two time-outs; until then their attempts to be elected lead nowhere.
        let loud = std::mem::replace(&mut self.quiet, true);
        for _ in 0..42 {
            self.ids().into_iter().for_each(|id| self.tick(id, STEP));
            self.collect_all();
            self.network.clear();
        }
        self.quiet = loud;
        Ok(())
    }

    fn restore(&mut self, id: ServerId) -> Outcome {
        self.server(id)?
            .restore()
            .map_err(|error| format!("server {id} doesn't start: {error}"))
    }

    /// `given 1 senate=t1:no-op,t2:no-op g0=t1:cut0,t1:c1 [term=3]`: what its disk holds; the senate's entries follow
    /// the founding one.
    fn given(&mut self, command: &Command) -> Outcome {
        let server = self.server(pick::first(command)?)?;
        let mut term = Term::ZERO;
        let founding = Entry {
            index: Index(1),
            term: Term::ZERO,
            record: Record::Configuration(server.founding.clone().into()),
        };
        let mut logs = vec![(LogId::Senate, vec![founding])];
        for (name, text) in command.named() {
            if name == "term" {
                term = Term(text.parse().map_err(|_| "term is a number")?);
                continue;
            }
            let log = pick::log(name).ok_or_else(|| format!("{name} is no log"))?;
            let first = if log == LogId::Senate { 2 } else { 1 };
            logs.push((log, pick::entries(log, first, text)?));
        }
        for (log, entries) in logs {
            for entry in entries {
                term = term.max(entry.term);
                server.disk.write(&Write::Append { log, entry });
            }
        }
        server.disk.hard_state = Some(HardState { term, vote: None });
        Ok(())
    }

    fn start(&mut self, command: &Command) -> Outcome {
        for id in pick::servers(self, command)? {
            if self.server(id)?.node.is_some() {
                return Err(format!("server {id} runs"));
            }
            self.restore(id)?;
            self.tick(id, Duration::ZERO);
        }
        Ok(())
    }

    /// `crash 1 [keeps=2|all]`: so many of the writes that were not synced are on disk.
    fn crash_command(&mut self, command: &Command) -> Outcome {
        for id in command.plain().map(pick::server) {
            let id = id?;
            let batches: Vec<_> = self.server(id)?.unsynced.iter().map(|batch| batch.writes.len()).collect();
            let mut keeps = match command.value("keeps").unwrap_or("0") {
                "all" => usize::MAX,
                number => number.parse().map_err(|_| "keeps is a number, or all")?,
            };
            // A batch's hard state counts as a write of its own there; here it comes with the batch's first write.
            let mut units = 0;
            for writes in batches {
                if keeps == 0 {
                    break;
                }
                units += 1 + writes.min(keeps);
                keeps -= writes.min(keeps);
            }
            self.crash(id, units)?;
        }
        Ok(())
    }

    /// The server's disk and state are lost. One that stores logs waits to be made part of the cluster again.
    fn erase(&mut self, id: ServerId) -> Outcome {
        let server = self.server(id)?;
        server.disk = Disk::default();
        server.flushed = State::default();
        server.state = State::default();
        server.joins = server.founding.roles(id).is_none_or(|roles| roles.log);
        self.seen.remove(&id);
        Ok(())
    }

    /// `damage 1 g0=3`: the records after entry 3 can't be read any more.
    fn damage(&mut self, command: &Command) -> Outcome {
        let server = self.server(pick::first(command)?)?;
        for (name, index) in command.named() {
            let log = pick::log(name).ok_or_else(|| format!("{name} is no log"))?;
            let after = Index(index.parse().map_err(|_| "an index is a number")?);
            server.disk.damaged.insert(log, after);
        }
        Ok(())
    }

    /// `tick [1 2] 300ms`: their clocks go on, and nothing else does.
    fn tick_command(&mut self, command: &Command) -> Outcome {
        let time = command.plain().find_map(pick::time).ok_or("a time is missing")?;
        let mut left = time;
        let ids = pick::servers(self, command)?;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            ids.iter().for_each(|id| self.tick(*id, step));
            self.collect_all();
        }
        Ok(())
    }

    /// A server's clock goes on until it seeks an election.
    fn timeout(&mut self, id: ServerId) -> Outcome {
        let seeks = |message: &Message| message.from == id && matches!(message.body, Body::PreVote { .. } | Body::Vote { .. });
        let before = self.network.iter().filter(|message| seeks(message)).count();
        for _ in 0..100 {
            self.tick(id, STEP);
            self.collect(id);
            if self.network.iter().filter(|message| seeks(message)).count() > before {
                return Ok(());
            }
        }
        Err(format!("server {id} doesn't seek an election"))
    }

    /// `run 2s [1 2] [without=fetch]`: time passes, for these servers only or for all; network and disks work.
    fn run_for(&mut self, command: &Command) -> Outcome {
        let time = command.plain().find_map(pick::time).ok_or("a time is missing")?;
        let clocks = pick::servers(self, command)?;
        let loud = std::mem::replace(&mut self.quiet, true);
        let outcome = self.pass(&clocks, time, &pick::without(command));
        self.quiet = loud;
        outcome
    }

    /// Time passes until this server serves; the others don't stand against it.
    fn elect(&mut self, id: ServerId) -> Outcome {
        let everybody: BTreeSet<_> = self.ids().into_iter().collect();
        let loud = std::mem::replace(&mut self.quiet, true);
        let mut outcome = Err(format!("server {id} is not elected"));
        for _ in 0..400 {
            everybody.iter().for_each(|id| self.tick(*id, STEP));
            self.collect_all();
            self.network
                .retain(|message| message.from == id || !matches!(message.body, Body::PreVote { .. }));
            self.settle(&everybody, &[])?;
            if matches!(self.node(id)?.office(), Office::Consul { .. }) {
                outcome = Ok(());
                break;
            }
        }
        self.quiet = loud;
        outcome
    }

    fn deliver_command(&mut self, command: &Command, keep: bool) -> Outcome {
        let found = Which::of(command)?.find(&self.network);
        if found.is_empty() {
            return Err("there is no such message".to_owned());
        }
        let messages: Vec<_> = found.iter().map(|at| self.network[*at].clone()).collect();
        if !keep {
            found.iter().rev().for_each(|at| drop(self.network.remove(*at)));
        }
        messages.into_iter().for_each(|message| self.deliver(message));
        Ok(())
    }

    /// `forge 1>2 vote cluster=9`: chosen messages arrive as copies with another `cluster`, `from`, `incarnation` or `term`
    /// on the envelope.
    fn forge(&mut self, command: &Command) -> Outcome {
        for at in Which::of(command)?.find(&self.network) {
            let mut message = self.network[at].clone();
            for (name, value) in command.named() {
                let number = value.parse().map_err(|_| format!("{name} is a number"))?;
                match name {
                    "cluster" => message.cluster = ClusterId(number),
                    "from" => message.from = ServerId(number),
                    "incarnation" => message.incarnation = Incarnation(number),
                    "term" => message.term = Term(number),
                    _ => return Err(format!("there is no {name} on an envelope")),
                }
            }
            self.deliver(message);
        }
        Ok(())
    }

    fn drop_command(&mut self, command: &Command) -> Outcome {
        let found = Which::of(command)?.find(&self.network);
        for at in &found {
            if !self.quiet {
                self.say(format!("{} (dropped)", trace::message(&self.network[*at].clone())));
            }
        }
        found.iter().rev().for_each(|at| drop(self.network.remove(*at)));
        Ok(())
    }

    fn show_network(&mut self) -> Outcome {
        for line in self.network.iter().map(trace::message).collect::<Vec<_>>() {
            self.say(format!("{line} (under way)"));
        }
        Ok(())
    }

    /// `partition 1,2 3`: messages between the sets are lost, from now on.
    fn partition(&mut self, command: &Command) -> Outcome {
        let island = |word: &str| word.split(',').map(pick::server).collect();
        self.islands = command.plain().map(island).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// `sync 1 [2]`: so many of its batches, or all, reach a held disk. `sync` alone ends the hold.
    fn sync(&mut self, command: &Command) -> Outcome {
        let mut words = command.plain();
        let Some(word) = words.next() else {
            self.held.clear();
            return Ok(());
        };
        let batches = words
            .next()
            .map_or(Ok(usize::MAX), str::parse)
            .map_err(|_| "batches are a number")?;
        self.server(pick::server(word)?)?.sync(batches);
        Ok(())
    }

    /// `sync-state 2`: reports what is applied, as before `hold-state`.
    fn sync_state(&mut self, command: &Command) -> Outcome {
        for id in pick::servers(self, command)? {
            let server = self.server(id)?;
            server.holds_applied = false;
            if server.node.is_some() {
                server.report_applied();
            }
        }
        Ok(())
    }

    fn pending(&mut self, id: ServerId) -> Outcome {
        let batches = &self.server(id)?.unsynced;
        let lines: Vec<_> = batches.iter().map(trace::batch).collect();
        lines.into_iter().for_each(|line| self.say(line));
        Ok(())
    }

    /// `join 4`: a server with an empty disk waits for the consul to make it part of the cluster.
    fn join(&mut self, command: &Command) -> Outcome {
        let id = pick::first(command)?;
        let mut server = Server::member(id, vec![id], 1);
        let known = self.servers.values().next().ok_or("there is no cluster")?;
        (server.founding, server.joins) = (known.founding.clone(), true);
        (server.config, server.now) = (known.config.clone(), known.now);
        self.servers.insert(id, server);
        self.restore(id)?;
        self.tick(id, Duration::ZERO);
        Ok(())
    }

    /// `logs [senate] [g0]`
    fn show_logs(&mut self, command: &Command) -> Outcome {
        let mut logs: Vec<_> = command.plain().filter_map(pick::log).collect();
        if logs.is_empty() {
            let configured = self.servers.values().flat_map(|server| server.disk.logs.keys().copied());
            logs = configured.collect::<BTreeSet<_>>().into_iter().collect();
        }
        for log in logs {
            self.say(trace::log(log, &self.servers));
        }
        Ok(())
    }

    fn show_status(&mut self, command: &Command) -> Outcome {
        for id in pick::servers(self, command)? {
            let server = self.server(id)?;
            let applied = server.state.applied.csn;
            let line = match &server.node {
                None => format!("server {id} is down"),
                Some(node) => format!(
                    "server {id} {}; resolved {:?}, applied {applied:?}",
                    trace::office(node.office()),
                    node.resolved()
                ),
            };
            self.say(line);
        }
        Ok(())
    }
}

/// The limits that a story sets, by their names in [`Config`].
fn limits(command: &Command) -> Result<Config, String> {
    let mut config = Config::new(ServerId(1), Incarnation(0), 0);
    for (name, value) in command.named() {
        let number: u64 = value.parse().unwrap_or_default();
        match name {
            "groups" => {}
            _ if pick::log(name).is_some() => {}
            "append_bytes_max" => config.append_bytes_max = number as usize,
            "unresolved_bytes_max" => config.unresolved_bytes_max = number,
            "lease_drift_percent" => config.lease_drift_percent = Some(number as u8),
            "catch_up_entries_max" => config.catch_up_entries_max = number,
            "stale_entries_max" => config.stale_entries_max = number,
            "reads_max" => config.reads_max = number as usize,
            "message_bytes_max" => config.message_bytes_max = number as usize,
            "peer_window_bytes_max" => config.peer_window_bytes_max = number as usize,
            "peer_window_entries_max" => config.peer_window_entries_max = number,
            "group_window_bytes_max" => config.group_window_bytes_max = number,
            "memory_bytes_max" => config.memory_bytes_max = number as usize,
            "retained_bytes_max" => config.retained_bytes_max = number,
            "unapplied_bytes_max" => config.unapplied_bytes_max = number,
            "apply_fragments_max" => config.apply_fragments_max = number as usize,
            _ => return Err(format!("there is no limit {name}")),
        }
    }
    Ok(config)
}
