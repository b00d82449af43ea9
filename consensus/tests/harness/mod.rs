//! A server in memory: a disk that may lose what was not synced, a state that may lose what was not flushed.
//!
//! The disk keeps entries as bytes, so that what is restored went through the codec.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod cluster;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use curia_consensus::*;

/// Splitmix64, seeded.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What is on the platters.
#[derive(Clone, Default)]
pub struct Disk {
    pub hard_state: Option<HardState>,
    pub bases: BTreeMap<LogId, Base>,
    /// Logs whose records after an index are damaged: to be, with the next start.
    pub damaged: BTreeMap<LogId, Index>,
    /// Where damaged logs ended: said at each start, until they are as long again.
    pub ended: BTreeMap<LogId, Index>,
    /// Entries as bytes, by log and index.
    pub logs: BTreeMap<LogId, BTreeMap<Index, Bytes>>,
}

impl Disk {
    pub fn write(&mut self, write: &Write) {
        match write {
            Write::Append { log, entry } => {
                let mut bytes = Vec::new();
                encode_entry(*log, entry, &mut bytes);
                let entries = self.logs.entry(*log).or_default();
                entries.split_off(&entry.index);
                entries.insert(entry.index, bytes.into());
            }
            Write::DropSuffix { log, after } => {
                self.logs.entry(*log).or_default().split_off(&after.next());
            }
            Write::Base { log, base } => {
                let mut bytes = Vec::new();
                encode_base(*log, base, &mut bytes);
                assert_eq!(decode_base(bytes.into()).expect("a base reads back"), (*log, base.clone()));
                self.bases.insert(*log, base.clone());
                let entries = self.logs.entry(*log).or_default();
                *entries = entries.split_off(&base.index.next());
            }
            Write::DropLog { log } => {
                self.bases.remove(log);
                self.logs.remove(log);
            }
        }
    }

    /// What is damaged can't be read any more.
    fn lose(&mut self) {
        for (log, after) in std::mem::take(&mut self.damaged) {
            let ended = self.last(log);
            self.logs.entry(log).or_default().split_off(&after.next());
            self.ended.insert(log, ended);
        }
    }

    /// The logs of which it isn't known where they ended, and where they end now.
    fn damage(&self) -> Vec<(LogId, Index)> {
        let damaged = self.ended.iter().filter(|(log, ended)| self.last(**log) < **ended);
        damaged.map(|(log, _)| (*log, self.last(*log))).collect()
    }

    fn last(&self, log: LogId) -> Index {
        let last = self.logs.get(&log).and_then(|entries| entries.keys().last().copied());
        last.unwrap_or_else(|| self.bases.get(&log).map(|base| base.index).unwrap_or_default())
    }

    pub fn entry(&self, log: LogId, index: Index) -> Entry {
        decode_entry(self.logs[&log][&index].clone())
            .expect("the disk gives back what was written")
            .1
    }

    pub fn entries(&self, log: LogId) -> Vec<Entry> {
        self.logs
            .get(&log)
            .into_iter()
            .flat_map(|entries| entries.keys())
            .map(|index| self.entry(log, *index))
            .collect()
    }
}

/// The replicated state: what each transaction wrote in each group.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct State {
    pub applied: AppliedState,
    pub rows: BTreeMap<Csn, BTreeMap<GroupId, Vec<u8>>>,
    pub timestamps: BTreeMap<Csn, Timestamp>,
    /// Up to where each group came by a snapshot.
    pub installed: BTreeMap<GroupId, Csn>,
}

impl State {
    /// What the state holds of a group: CSN, timestamp and length before each row.
    fn snapshot(&self, group: GroupId) -> Bytes {
        let mut bytes = Vec::new();
        let installed = self.installed.get(&group).copied().unwrap_or_default();
        for (csn, rows) in self.rows.range(..=self.applied.csn.max(installed)) {
            if let Some(row) = rows.get(&group) {
                bytes.extend(csn.0.to_le_bytes());
                bytes.extend(self.timestamps[csn].0.to_le_bytes());
                bytes.extend((row.len() as u64).to_le_bytes());
                bytes.extend(row);
            }
        }
        bytes.into()
    }

    fn install(&mut self, group: GroupId, base: &Base, mut snapshot: &[u8]) {
        self.rows.values_mut().for_each(|rows| drop(rows.remove(&group)));
        let number = |snapshot: &mut &[u8]| {
            let (number, rest) = snapshot.split_first_chunk().expect("a snapshot is whole");
            *snapshot = rest;
            u64::from_le_bytes(*number)
        };
        while !snapshot.is_empty() {
            let (csn, timestamp) = (Csn(number(&mut snapshot)), Timestamp(number(&mut snapshot)));
            let len = number(&mut snapshot) as usize;
            let (row, rest) = snapshot.split_at(len);
            snapshot = rest;
            self.rows.entry(csn).or_default().insert(group, row.to_vec());
            self.timestamps.insert(csn, timestamp);
        }
        self.rows.retain(|_, rows| !rows.is_empty());
        self.applied.positions.retain(|(found, _)| *found != group);
        self.applied.positions.push((group, base.clone()));
        self.installed.insert(group, base.csn);
    }
}

/// A server and its surroundings.
pub struct Server {
    pub id: ServerId,
    pub outbox: Vec<Message>,
    pub node: Option<Node>,
    pub disk: Disk,
    /// Batches written and not synced; their hard state counts with the first write.
    pub unsynced: Vec<Persist>,
    pub state: State,
    pub flushed: State,
    pub now: Duration,
    pub founding: Configuration,
    /// It founds nothing: it waits to be made part of the cluster.
    pub joins: bool,
    pub starts: u64,
    pub offices: Vec<Office>,
    pub reads: Vec<ReadReady>,
    /// What is applied is not reported.
    pub holds_applied: bool,
    /// Up to where transactions were handed out.
    handed: Csn,
    /// What the node asked of its log store and its state is answered by [`Server::serve`] only.
    pub is_slow: bool,
    pub log_reads: Vec<LogRead>,
    pub snapshot_reads: Vec<SnapshotRead>,
    pub chunks: Vec<InstallChunk>,
    /// Snapshots that are being read for others.
    snapshots: BTreeMap<(ServerId, GroupId), (Base, Bytes)>,
    /// Snapshots that are being installed, as far as they came.
    installing: BTreeMap<GroupId, Vec<u8>>,
    /// Snapshots that were installed.
    pub installs: Vec<(GroupId, Base)>,
    /// The limits, instead of the defaults.
    pub config: Option<Config>,
    pub configure: fn(&mut Config),
}

impl Server {
    pub fn new(groups: u32) -> Self {
        Self::member(ServerId(1), vec![ServerId(1)], groups)
    }

    /// One of several servers.
    pub fn member(id: ServerId, servers: Vec<ServerId>, groups: u32) -> Self {
        let founding = Configuration::founding(ClusterId(7), servers, groups).expect("a membership");
        Self {
            id,
            outbox: Vec::new(),
            node: None,
            disk: Disk::default(),
            unsynced: Vec::new(),
            state: State::default(),
            flushed: State::default(),
            now: Duration::ZERO,
            founding,
            joins: false,
            starts: 0,
            offices: Vec::new(),
            reads: Vec::new(),
            holds_applied: false,
            handed: Csn::ZERO,
            is_slow: false,
            log_reads: Vec::new(),
            snapshot_reads: Vec::new(),
            chunks: Vec::new(),
            snapshots: BTreeMap::new(),
            installing: BTreeMap::new(),
            installs: Vec::new(),
            config: None,
            configure: |_| {},
        }
    }

    pub fn restore(&mut self) -> Result<(), RestoreError> {
        self.starts += 1;
        let mut config = Config::new(self.id, Incarnation(self.starts), self.starts * 100 + self.id.0);
        if let Some(limits) = self.config.clone() {
            config = Config {
                server: config.server,
                incarnation: config.incarnation,
                seed: config.seed,
                ..limits
            };
        }
        if self.joins {
            config.cluster = Some(self.founding.cluster);
        }
        (self.configure)(&mut config);
        self.state = self.flushed.clone();
        self.handed = self.state.applied.csn;
        self.snapshots.clear();
        self.installing.clear();
        self.disk.lose();
        let bases = self.disk.bases.clone();
        let mut restore = Restore::new(config, self.disk.hard_state, bases, self.state.applied.clone())?;
        for entries in self.disk.logs.values() {
            for bytes in entries.values() {
                let (log, entry) = decode_entry(bytes.clone()).expect("the disk gives back what was written");
                restore.entry(log, entry)?;
            }
        }
        for (log, after) in self.disk.damage() {
            restore.damaged(log, after);
        }
        self.node = Some(restore.finish((!self.joins).then(|| self.founding.clone()))?);
        Ok(())
    }

    /// Starts and runs until it serves.
    pub fn start(&mut self) {
        self.restore().expect("what was written can be restored");
        self.tick();
        self.settle();
        assert!(
            matches!(self.node().office(), Office::Consul { .. }),
            "a lone server serves: {:?}",
            self.node().office()
        );
    }

    pub fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("the server runs")
    }

    pub fn tick(&mut self) {
        self.now += Duration::from_millis(100);
        let now = self.now;
        self.node().tick(now);
    }

    /// Takes one output: writes without syncing, applies.
    pub fn take(&mut self) -> bool {
        let output = self.node().take_output();
        let any = !output.is_empty();
        self.offices.extend(output.office);
        self.unsynced.extend(output.persist);
        self.log_reads.extend(output.log_reads);
        self.outbox.extend(output.messages);
        for read in &output.reads {
            if let Ok(csn) = read.result {
                assert!(csn <= self.state.applied.csn, "a read is ready when its CSN is applied");
            }
        }
        self.reads.extend(output.reads);
        self.snapshot_reads.extend(output.snapshot_reads);
        self.chunks.extend(output.installs);
        assert!(
            output.apply.is_empty() || output.applied.is_some(),
            "what is applied has a position"
        );
        for apply in output.apply {
            self.apply(apply);
        }
        if let Some(applied) = output.applied {
            assert!(applied.csn >= self.state.applied.csn);
            // What was in groups that are gone has left no trace.
            let gone = self.node().configuration().dropped_floor;
            for csn in self.state.applied.csn.0.max(gone.0) + 1..=applied.csn.0 {
                let known = self.state.rows.contains_key(&Csn(csn));
                assert!(known, "server {:?} passed over {csn}, which it doesn't have", self.id);
            }
            self.state.applied.csn = applied.csn;
            self.state.applied.timestamp = applied.timestamp;
            let mut positions: BTreeMap<_, _> = self.state.applied.positions.iter().cloned().collect();
            for (group, position) in applied.positions {
                let index = position.index;
                assert!(
                    positions.insert(group, position).is_none_or(|before| before.index <= index),
                    "positions never go back"
                );
            }
            self.state.applied.positions = positions.into_iter().collect();
            self.handed = applied.csn;
            self.report_applied();
        }
        if !self.is_slow {
            self.serve();
        }
        any
    }

    /// Answers what the node asked of its log store and its state.
    pub fn serve(&mut self) {
        for read in std::mem::take(&mut self.log_reads) {
            let result = self.read_log(&read);
            self.node().log_read(read.id, result);
        }
        for read in std::mem::take(&mut self.snapshot_reads) {
            let piece = self.read_snapshot(&read);
            self.node().snapshot_read(read.id, Ok(piece));
        }
        for chunk in std::mem::take(&mut self.chunks) {
            self.install(chunk);
        }
    }

    /// Answers the oldest question to its state only: it takes one at a time.
    pub fn serve_one(&mut self) {
        if !self.snapshot_reads.is_empty() {
            let read = self.snapshot_reads.remove(0);
            let piece = self.read_snapshot(&read);
            self.node().snapshot_read(read.id, Ok(piece));
        }
    }

    fn read_log(&self, read: &LogRead) -> Result<Vec<Entry>, Missing> {
        let stored = self.disk.logs.get(&read.log).ok_or(Missing)?;
        let mut bytes = 0;
        let mut entries = Vec::new();
        for (index, encoded) in stored.range(read.after.next()..=read.upto) {
            if entries.is_empty() && *index != read.after.next() {
                return Err(Missing);
            }
            if bytes >= read.bytes_max && !entries.is_empty() {
                break;
            }
            bytes += encoded.len();
            entries.push(self.disk.entry(read.log, *index));
        }
        if entries.is_empty() { Err(Missing) } else { Ok(entries) }
    }

    /// Tells the node how far the state is.
    pub fn report_applied(&mut self) {
        if !self.holds_applied {
            let csn = self.state.applied.csn;
            self.node().applied(csn);
        }
    }

    fn apply(&mut self, apply: Apply) {
        let (last, installed) = (self.handed, self.state.installed.values().max().copied().unwrap_or_default());
        assert!(
            apply.csn == last || apply.csn == last.next() || apply.csn > last && apply.csn.0 - 1 <= installed.0,
            "CSNs are gap-free but for those in snapshots: {:?} after {last:?}",
            apply.csn
        );
        self.handed = apply.csn;
        let mut row = Vec::new();
        let id = self.id;
        let stores = self.node().configuration().roles(id).is_some_and(|roles| roles.log);
        let log = self.disk.logs.get(&LogId::Group(apply.group));
        let stored = stores || log.is_some_and(|log| log.contains_key(&apply.index));
        if !stored {
            assert_eq!(apply.staged.len(), apply.stages.as_slice().len(), "what is staged is in memory");
        }
        for payload in &apply.staged {
            let Payload::Held(bytes) = payload else {
                panic!("what is in no log store is in memory")
            };
            row.extend_from_slice(bytes);
        }
        for stage in apply.stages.as_slice().iter().filter(|_| stored) {
            let Record::Stage(Payload::Held(bytes)) = self.disk.entry(LogId::Group(apply.group), *stage).record else {
                panic!("a fragment names stage records")
            };
            row.extend_from_slice(&bytes);
        }
        let bytes = match &apply.payload {
            Payload::Held(held) if !stored => held.clone(), // this server stores no logs
            payload => {
                let entry = self.disk.entry(LogId::Group(apply.group), apply.index);
                let Record::Fragment(fragment) = entry.record.clone() else {
                    panic!("a fragment is applied")
                };
                assert_eq!(fragment.csn, apply.csn);
                let Payload::Held(bytes) = &fragment.payload else { unreachable!() };
                if let Payload::Held(held) = payload {
                    assert_eq!(held, bytes, "what is applied is what is on disk");
                }
                bytes.clone()
            }
        };
        row.extend_from_slice(&bytes);
        let before = self.state.rows.entry(apply.csn).or_default().insert(apply.group, row);
        assert!(before.is_none(), "a fragment is applied once");
        if let Some(earlier) = self.state.timestamps.range(..apply.csn).next_back() {
            assert!(*earlier.1 < apply.timestamp, "commit timestamps grow with the CSN");
        }
        self.state.timestamps.insert(apply.csn, apply.timestamp);
    }

    /// A snapshot is one of the state as it is when its first piece is read.
    fn read_snapshot(&mut self, read: &SnapshotRead) -> SnapshotPiece {
        let of = (read.to, read.group);
        if read.base.is_none() || !self.snapshots.contains_key(&of) {
            let positions = &self.state.applied.positions;
            let base = positions
                .iter()
                .find(|(group, _)| *group == read.group)
                .map(|(_, base)| base.clone());
            let snapshot = self.state.snapshot(read.group);
            self.snapshots.insert(of, (base.unwrap_or_default(), snapshot));
        }
        let (base, snapshot) = &self.snapshots[&of];
        let from = (read.offset as usize).min(snapshot.len());
        let to = (from + read.bytes_max).min(snapshot.len());
        SnapshotPiece {
            base: base.clone(),
            data: snapshot.slice(from..to),
            last: to == snapshot.len(),
        }
    }

    /// What is installed is durable at once, and with it the group's position.
    fn install(&mut self, chunk: InstallChunk) {
        let pieces = self.installing.entry(chunk.group).or_default();
        if chunk.offset == 0 {
            pieces.clear();
        }
        assert_eq!(pieces.len() as u64, chunk.offset, "pieces come in order");
        pieces.extend_from_slice(&chunk.data);
        if chunk.last {
            let snapshot = self.installing.remove(&chunk.group).unwrap_or_default();
            self.state.install(chunk.group, &chunk.base, &snapshot);
            self.flushed.install(chunk.group, &chunk.base, &snapshot);
            self.installs.push((chunk.group, chunk.base.clone()));
            self.node().installed(chunk.group, chunk.base.csn);
        }
    }

    /// Syncs the oldest unsynced batches, and reports them.
    pub fn sync(&mut self, batches: usize) {
        let mut last = None;
        for persist in self.unsynced.drain(..batches.min(self.unsynced.len())) {
            if persist.hard_state.is_some() {
                self.disk.hard_state = persist.hard_state;
            }
            for write in &persist.writes {
                self.disk.write(write);
            }
            last = Some(persist.seq);
        }
        if let Some(seq) = last {
            self.node().persisted(seq);
        }
    }

    /// Goes on until there is nothing to do.
    pub fn settle(&mut self) {
        loop {
            let any = self.take();
            self.sync(usize::MAX);
            if !any && self.unsynced.is_empty() {
                break;
            }
        }
    }

    /// Loses the process and what it had not synced, but for the first `kept` writes: batches reach the disk in order,
    /// and the last of them may be torn.
    pub fn crash(&mut self, mut kept: usize) {
        self.node = None;
        self.log_reads.clear();
        self.snapshot_reads.clear();
        self.chunks.clear();
        for persist in std::mem::take(&mut self.unsynced) {
            if kept == 0 {
                break;
            }
            kept -= 1;
            if persist.hard_state.is_some() {
                self.disk.hard_state = persist.hard_state;
            }
            for write in &persist.writes {
                if kept == 0 {
                    return;
                }
                kept -= 1;
                self.disk.write(write);
            }
        }
    }

    /// Makes the state durable.
    pub fn flush(&mut self) {
        self.flushed = self.state.clone();
        let csn = self.state.applied.csn;
        self.node().state_durable(csn);
    }

    /// Keeps with the state, durably, what a server that stores no logs is to know of the senate at its next start.
    pub fn keep_senate(&mut self) {
        if let Some(base) = self.node().senate_base() {
            self.disk.write(&Write::Base { log: LogId::Senate, base });
        }
    }

    /// Makes the state durable and truncates the logs.
    pub fn checkpoint(&mut self) -> bool {
        let applied = self.state.applied.csn;
        let Some(checkpoint) = self.node().checkpoint().filter(|checkpoint| checkpoint.csn <= applied) else {
            return false;
        };
        self.flushed = self.state.clone();
        // Who keeps its logs in memory has no log store to tell.
        let id = self.id;
        if self.node().configuration().roles(id).is_none_or(|roles| roles.log) {
            for (log, base) in checkpoint.bases.clone() {
                self.disk.write(&Write::Base { log, base });
            }
        } else {
            self.keep_senate();
        }
        self.node().truncate(checkpoint);
        true
    }

    pub fn propose(&mut self, parts: &[(u32, &str)]) -> Result<Csn, ProposeError> {
        let mut parts = parts.iter().map(|(group, text)| part(*group, text)).collect();
        let now = Timestamp(self.now.as_micros() as u64);
        self.node().propose(now, None, &mut parts)
    }

    pub fn row(&self, csn: u64, group: u32) -> Option<&str> {
        let row = self.state.rows.get(&Csn(csn))?.get(&GroupId(group))?;
        Some(std::str::from_utf8(row).expect("tests write text"))
    }
}

pub fn part(group: u32, text: &str) -> Part {
    Part {
        group: GroupId(group),
        stages: Vec::new(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// The seeds that a random test goes through: so many from 0, or what CURIA_FIRST and CURIA_SEEDS say.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let from_environment = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let first = from_environment("CURIA_FIRST").unwrap_or(0);
    first..first + from_environment("CURIA_SEEDS").unwrap_or(count)
}
