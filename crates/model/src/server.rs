//! A server: a node, and the disk that survives it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use curia_consensus::{AppliedState, Config, Configuration, Entry, HardState, Incarnation, LogId, Node, Persist, Restore, ServerId, Write};
use foldhash::fast::FixedState;

/// Of every node.
pub const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// What a crash leaves. Logs never begin after a base here: nothing is truncated.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The last durable one.
    pub hard_state: Option<HardState>,
    logs: BTreeMap<LogId, Arc<Vec<Entry>>>,
    /// Batches that are not durable.
    pub pending: VecDeque<Arc<Persist>>,
}

impl Disk {
    /// The first pending batch becomes durable.
    pub fn sync(&mut self) -> Option<curia_consensus::PersistSeq> {
        let batch = self.pending.pop_front()?;
        self.hard_state = batch.hard_state.or(self.hard_state);
        for write in &batch.writes {
            match write {
                Write::Append { log, entry } => {
                    let entries = Arc::make_mut(self.logs.entry(*log).or_default());
                    entries.truncate(entry.index.0 as usize - 1);
                    entries.push(entry.clone());
                }
                Write::DropSuffix { log, after } => {
                    Arc::make_mut(self.logs.entry(*log).or_default()).truncate(after.0 as usize);
                }
                Write::Base { .. } | Write::DropLog { .. } => {} // nothing is truncated or dropped
            }
        }
        Some(batch.seq)
    }

    /// The durable entries of a log.
    pub fn entries(&self, log: LogId) -> &[Entry] {
        self.logs.get(&log).map_or(&[], |entries| entries)
    }
}

/// A server that runs.
#[derive(Clone, Debug)]
pub struct Server {
    /// Who.
    pub id: ServerId,
    /// How often it was started.
    pub run: u64,
    /// The node.
    pub node: Node,
    /// Its disk.
    pub disk: Disk,
    /// How many transactions its state has.
    pub applied: u64,
    /// Its disk is slow: what is pending stays so until it syncs.
    pub slow: bool,
    /// Its clock.
    pub clock: Duration,
    /// Hash of all that.
    pub fingerprint: u64,
}

impl Server {
    /// Starts a server from its disk, long enough ago to vote.
    pub fn start(id: ServerId, run: u64, disk: Disk, founding: &Configuration, bug: Bug) -> Option<Self> {
        #[allow(unused_mut, reason = "a bug is planted in it, where there are bugs")]
        let mut config = Config::new(id, Incarnation(run), id.0);
        #[cfg(feature = "mutations")]
        {
            config.mutation = bug;
        }
        #[cfg(not(feature = "mutations"))]
        let () = bug;
        let mut restore = Restore::new(config, disk.hard_state, [], AppliedState::default()).ok()?;
        for (log, entries) in &disk.logs {
            for entry in entries.iter() {
                restore.entry(*log, entry.clone()).ok()?;
            }
        }
        let mut node = restore.finish(Some(founding.clone())).ok()?;
        node.tick(Duration::ZERO);
        let clock = ELECTION_TIMEOUT * 2;
        node.tick(clock);
        Some(Self {
            id,
            run,
            node,
            disk,
            applied: 0,
            slow: false,
            clock,
            fingerprint: 0,
        })
    }

    /// Takes note of what the server is now.
    pub fn take_fingerprint(&mut self) {
        let mut hasher = hasher();
        self.node.fingerprint(&mut hasher);
        (self.applied, self.slow).hash(&mut hasher);
        let disk = &self.disk;
        hash_state(disk.hard_state, &mut hasher);
        for (log, entries) in &disk.logs {
            (log, entries.len()).hash(&mut hasher);
            entries.iter().for_each(|entry| entry.fingerprint(&mut hasher));
        }
        for batch in &disk.pending {
            hash_state(batch.hard_state, &mut hasher);
            batch.writes.len().hash(&mut hasher);
            for write in &batch.writes {
                match write {
                    Write::Append { log, entry } => {
                        log.hash(&mut hasher);
                        entry.fingerprint(&mut hasher);
                    }
                    Write::DropSuffix { log, after } => (log, after).hash(&mut hasher),
                    Write::Base { .. } | Write::DropLog { .. } => {}
                }
            }
        }
        self.fingerprint = hasher.finish();
    }
}

fn hash_state(state: Option<HardState>, hasher: &mut impl Hasher) {
    let state = state.unwrap_or_default();
    let vote = state.vote.map(|vote| (vote.server, vote.incarnation));
    (state.term, vote).hash(hasher);
}

/// The same in every run, so that a history can be followed again.
pub fn hasher() -> impl Hasher {
    FixedState::with_seed(1).build_hasher()
}

/// The bug that all servers have.
#[cfg(feature = "mutations")]
pub type Bug = Option<curia_consensus::Mutation>;
/// There are no bugs.
#[cfg(not(feature = "mutations"))]
pub type Bug = ();
