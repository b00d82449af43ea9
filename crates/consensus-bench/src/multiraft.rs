//! The peer: one instance of TiKV's `raft` for each group on each server, in the same surroundings.
//!
//! It gets what makes it fast: proposals arrive as one message for each group and round, appends are batched, entries
//! move into its store without a copy, and the store lets go of what is applied.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType, Snapshot};
use raft::storage::GetEntriesContext;
use raft::{Config, RaftState, RawNode, Storage, StorageError};
use slog::{Discard, Logger, o};

use crate::Result;

/// Entries that stay in the store behind the applied ones.
const KEPT: u64 = 1024;
/// Rounds between two ticks, as many as our cluster has between two heartbeats.
const ROUNDS_PER_TICK: u64 = 100;

/// A log in memory.
struct Store {
    state: RaftState,
    /// Index of the first entry, and the term of the one before it.
    first: u64,
    before: u64,
    entries: VecDeque<Entry>,
}

impl Store {
    fn append(&mut self, entries: Vec<Entry>) {
        if let Some(entry) = entries.first() {
            self.entries.truncate((entry.index - self.first) as usize);
            self.entries.extend(entries);
        }
    }

    fn compact(&mut self, applied: u64) {
        while self.first + KEPT < applied {
            let Some(entry) = self.entries.pop_front() else { break };
            (self.first, self.before) = (entry.index + 1, entry.term);
        }
    }
}

impl Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.state.clone())
    }

    fn entries(&self, low: u64, high: u64, max_size: impl Into<Option<u64>>, _: GetEntriesContext) -> raft::Result<Vec<Entry>> {
        if low < self.first {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        let range = (low - self.first) as usize..(high - self.first) as usize;
        let mut room = max_size.into().unwrap_or(u64::MAX);
        let entries = self.entries.range(range).enumerate();
        let fitting = entries.take_while(|(at, entry)| {
            let size = entry.data.len() as u64 + 16;
            let fits = *at == 0 || size <= room;
            room = room.saturating_sub(size);
            fits
        });
        Ok(fitting.map(|(_, entry)| entry.clone()).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index + 1 == self.first {
            return Ok(self.before);
        }
        let at = index.checked_sub(self.first).ok_or(raft::Error::Store(StorageError::Compacted))?;
        let entry = self.entries.get(at as usize).ok_or(raft::Error::Store(StorageError::Unavailable))?;
        Ok(entry.term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.first + self.entries.len() as u64 - 1)
    }

    fn snapshot(&self, _: u64, _: u64) -> raft::Result<Snapshot> {
        Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

/// Servers with a member of every group each; server 1 leads them all.
pub struct MultiRaft {
    /// By server, then by group.
    servers: Vec<Vec<RawNode<Store>>>,
    network: Vec<(usize, Message)>,
    proposals: Vec<Vec<Entry>>,
    rounds: u64,
    /// Entries that the leaders were told to apply.
    applied: u64,
    /// Bytes that the servers' states were given.
    pub applied_bytes: u64,
}

impl MultiRaft {
    /// A cluster of three servers that store `groups` groups.
    pub fn start(groups: usize) -> Result<Self> {
        let logger = Logger::root(Discard, o!());
        let mut servers = Vec::new();
        for id in 1..=3 {
            let config = Config {
                id,
                election_tick: 10,
                heartbeat_tick: 1,
                check_quorum: true,
                pre_vote: true,
                batch_append: true,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 256,
                ..Config::default()
            };
            let store = || Store {
                state: RaftState {
                    conf_state: (vec![1, 2, 3], vec![]).into(),
                    ..RaftState::default()
                },
                first: 1,
                before: 0,
                entries: VecDeque::new(),
            };
            let nodes = (0..groups).map(|_| RawNode::new(&config, store(), &logger));
            servers.push(nodes.collect::<raft::Result<Vec<_>>>()?);
        }
        for node in &mut servers[0] {
            node.campaign()?;
        }
        let mut cluster = Self {
            servers,
            network: Vec::new(),
            proposals: vec![Vec::new(); groups],
            rounds: 0,
            applied: 0,
            applied_bytes: 0,
        };
        for _ in 0..10 {
            cluster.hop()?;
        }
        let leads = |node: &RawNode<Store>| node.raft.state == raft::StateRole::Leader;
        if cluster.servers[0].iter().all(leads) {
            Ok(cluster)
        } else {
            Err("the peer elected no leader".into())
        }
    }

    /// Proposes an entry with this payload in a group; it leaves with the next round.
    pub fn propose(&mut self, group: usize, payload: &[u8]) {
        let entry = Entry {
            data: Bytes::copy_from_slice(payload),
            ..Entry::default()
        };
        self.proposals[group].push(entry);
    }

    /// Entries that are committed and applied at the leaders.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The leaders send and the others answer.
    pub fn round(&mut self) -> Result<()> {
        for (node, proposals) in self.servers[0].iter_mut().zip(&mut self.proposals) {
            if !proposals.is_empty() {
                let mut message = Message::default();
                message.set_msg_type(MessageType::MsgPropose);
                message.from = 1;
                message.set_entries(std::mem::take(proposals).into());
                node.raft.step(message)?;
            }
        }
        self.hop()?;
        self.hop()?;
        self.rounds += 1;
        if self.rounds.is_multiple_of(ROUNDS_PER_TICK) {
            for node in self.servers.iter_mut().flatten() {
                node.tick();
            }
        }
        Ok(())
    }

    fn hop(&mut self) -> Result<()> {
        let mut network = std::mem::take(&mut self.network);
        for (server, nodes) in self.servers.iter_mut().enumerate() {
            for (group, node) in nodes.iter_mut().enumerate() {
                let (count, bytes) = settle(node, group, &mut network)?;
                self.applied_bytes += bytes;
                if server == 0 {
                    self.applied += count;
                }
            }
        }
        for (group, message) in network.drain(..) {
            self.servers[message.to as usize - 1][group].step(message)?;
        }
        self.network = network;
        Ok(())
    }
}

/// Does what a node asks until it asks for nothing. Gives the number and the bytes of the entries to apply.
fn settle(node: &mut RawNode<Store>, group: usize, network: &mut Vec<(usize, Message)>) -> Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    let mut apply = |entries: Vec<Entry>| {
        for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
            count += 1;
            bytes += entry.data.len() as u64;
        }
    };
    while node.has_ready() {
        let mut ready = node.ready();
        network.extend(ready.take_messages().into_iter().map(|message| (group, message)));
        apply(ready.take_committed_entries());
        let store = node.mut_store();
        store.append(ready.take_entries());
        if let Some(state) = ready.hs() {
            store.state.hard_state = state.clone();
        }
        network.extend(ready.take_persisted_messages().into_iter().map(|message| (group, message)));
        let mut light = node.advance(ready);
        network.extend(light.take_messages().into_iter().map(|message| (group, message)));
        apply(light.take_committed_entries());
        node.advance_apply();
        let applied = node.raft.raft_log.applied;
        node.mut_store().compact(applied);
    }
    Ok((count, bytes))
}
