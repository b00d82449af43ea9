//! One simulated server: a node and its surroundings.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use curia_consensus::{
    Base, ClusterId, Config, Configuration, Csn, GroupId, Incarnation, LogId, Node, Office, Restore, Roles, ServerId, Term,
};

use crate::applying::Work;
use crate::dice::mix;
use crate::disk::Disk;
use crate::plan::{Micros, Plan};
use crate::state::State;

/// The cluster that is simulated.
pub const CLUSTER: ClusterId = ClusterId(7);

/// A client's operation that waits at a server for its transaction to be applied.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// The operation.
    pub operation: u64,
    /// Whose.
    pub client: usize,
    /// Which of the client's attempts.
    pub attempt: u64,
    /// It was taken by the consul of this term.
    pub term: Term,
}

/// A client's read that waits at a server.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Whose.
    pub client: usize,
    /// Which of the client's attempts.
    pub attempt: u64,
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Who.
    pub id: ServerId,
    /// What it stores and runs.
    pub roles: Roles,
    /// There while it runs.
    pub node: Option<Node>,
    /// Survives crashes.
    pub disk: Disk,
    /// In memory.
    pub state: State,
    /// What of the state survives a crash.
    pub flushed: State,
    /// Where the senate's log could begin; what a server without a log store keeps with its state.
    pub senate: Option<Base>,
    /// How often it was started.
    pub run: u64,
    /// What it last said to be.
    pub office: Office,
    /// When the last batch handed to the disk will be durable.
    pub sync_at: Micros,
    /// It does nothing before this time.
    pub stalled_until: Micros,
    /// Resolved and not yet applied.
    pub applying: VecDeque<Work>,
    /// Snapshots that are being sent, by who gets them.
    pub snapshots: BTreeMap<(ServerId, GroupId), (Base, Bytes)>,
    /// Snapshots that are being received.
    pub incoming: BTreeMap<GroupId, (Base, Vec<u8>)>,
    /// By CSN.
    pub waiting: BTreeMap<Csn, Waiting>,
    /// By their numbers.
    pub reading: BTreeMap<u64, Reading>,
    /// What its clock showed then.
    clock_ahead: Micros,
    clock_since: Micros,
    clock_ppm: i64,
}

impl Server {
    /// A server that was never started.
    pub fn new(id: ServerId, roles: Roles, clock_ahead: Micros, clock_ppm: i64) -> Self {
        Self {
            id,
            roles,
            node: None,
            disk: Disk::default(),
            state: State::default(),
            flushed: State::default(),
            senate: None,
            run: 0,
            office: Office::Senator { term: Term::ZERO },
            sync_at: 0,
            stalled_until: 0,
            applying: VecDeque::new(),
            snapshots: BTreeMap::new(),
            incoming: BTreeMap::new(),
            waiting: BTreeMap::new(),
            reading: BTreeMap::new(),
            clock_ahead,
            clock_since: 0,
            clock_ppm,
        }
    }

    /// What its clock shows.
    pub fn clock(&self, now: Micros) -> Duration {
        let since = i128::from(now - self.clock_since);
        let drift = since * i128::from(self.clock_ppm) / 1_000_000;
        Duration::from_micros((since + drift) as u64 + self.clock_ahead)
    }

    /// From now on its clock is faster by this many parts in a million, or slower.
    pub fn drift(&mut self, now: Micros, ppm: i64) {
        self.clock_ahead = self.clock(now).as_micros() as Micros;
        (self.clock_since, self.clock_ppm) = (now, ppm);
    }

    /// Which run of it this is.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.run)
    }

    /// Starts it from what its disk and its durable state hold.
    ///
    /// # Errors
    /// Why the disk can't be read.
    pub fn start(&mut self, plan: &Plan, founding: &Configuration) -> Result<(), curia_consensus::RestoreError> {
        self.run += 1;
        let mut config = Config::new(self.id, self.incarnation(), mix(plan.seed, self.id.0 << 32 | self.run));
        config.cluster = Some(CLUSTER);
        config.election_timeout = plan.election_timeout;
        config.lease_drift_percent = plan.lease_drift_percent;
        config.read_timeout = plan.election_timeout * 2;
        config.append_bytes_max = plan.append_bytes_max;
        config.unresolved_bytes_max = plan.unresolved_bytes_max;
        config.apply_fragments_max = plan.apply_fragments_max;
        config.unapplied_bytes_max = plan.unapplied_bytes_max;
        config.message_bytes_max = plan.message_bytes_max;
        config.peer_window_bytes_max = plan.peer_window_bytes_max;
        config.peer_window_entries_max = plan.peer_window_entries_max;
        config.group_window_bytes_max = plan.group_window_bytes_max;
        config.memory_bytes_max = plan.memory_bytes_max;
        config.retained_bytes_max = plan.retained_bytes_max;
        config.news_delay = plan.news_delay;
        config.read_rounds_max = plan.read_rounds_max;
        config.log_reads_max = plan.log_reads_max;
        config.catch_up_entries_max = plan.catch_up_entries_max;
        config.stale_entries_max = plan.stale_entries_max;
        #[cfg(feature = "mutations")]
        {
            config.mutation = plan.mutation;
        }
        self.state = self.flushed.clone();
        let mut bases = self.disk.bases();
        if let Some(base) = self.senate.clone() {
            bases.retain(|(log, _)| *log != LogId::Senate);
            bases.push((LogId::Senate, base));
        }
        let mut restore = Restore::new(config, self.disk.hard_state, bases, self.state.applied.clone())?;
        for (log, lane) in self.disk.lanes() {
            for entry in lane.entries() {
                restore.entry(log, Disk::read_back(log, entry))?;
            }
        }
        if let Some((log, after)) = self.disk.damaged() {
            restore.damaged(log, after);
        }
        self.node = Some(restore.finish(founding.roles(self.id).map(|_| founding.clone()))?);
        self.office = Office::Senator { term: Term::ZERO };
        Ok(())
    }

    /// The process ends; the disk is left to the caller.
    pub fn stop(&mut self) {
        self.node = None;
        self.applying.clear();
        self.snapshots.clear();
        self.incoming.clear();
        self.waiting.clear();
        self.reading.clear();
    }

    /// Whether it was never part of a cluster.
    pub fn is_blank(&self) -> bool {
        self.disk.lanes().next().is_none() && self.state.csn() == Csn::ZERO && self.senate.is_none()
    }

    /// Whether it is the consul and serves.
    pub fn serves(&self) -> bool {
        self.node
            .as_ref()
            .is_some_and(|node| matches!(node.office(), Office::Consul { .. }))
    }

    /// The term that it is in, while it runs.
    pub fn term(&self) -> Option<Term> {
        self.node.as_ref().map(|node| match node.office() {
            Office::Senator { term } | Office::Inaugurating { term } | Office::Consul { term, .. } => term,
        })
    }

    /// What its log of a group holds durably, for messages.
    pub fn describe(&self) -> String {
        let tails: Vec<_> = self.disk.lanes().map(|(log, lane)| (log, lane.tail())).take(9).collect();
        let state = match &self.node {
            None => "down".to_owned(),
            Some(node) => format!("{:?}, resolved {:?}", node.office(), node.resolved()),
        };
        let senate = self.disk.lane(LogId::Senate).map(|lane| lane.base().index);
        format!(
            "{:?} {state}, applied {:?}, senate from {senate:?}, logs {tails:?}",
            self.id,
            self.state.csn()
        )
    }
}
