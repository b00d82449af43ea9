//! The senate: one standard Raft group, the control plane.
//!
//! It elects the consul, and its log holds the configuration: who sits in the senate, which worker groups there are and
//! who stores their logs. Nothing here knows about transactions.

mod change;
mod rounds;
mod senator;

pub use change::{Change, ReconfigureError, Target};
pub(crate) use rounds::Rounds;
pub(crate) use senator::{Role, Senator};

use crate::ids::{ClusterId, Csn, GroupId, Incarnation, ServerId, Timestamp};
use crate::quorum::Members;

/// What a server does, in two bits that don't depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Stores logs durably and counts in quorums.
    pub log: bool,
    /// Runs the state machines and may become consul.
    pub state: bool,
}

impl Roles {
    /// An ordinary server.
    pub const BOTH: Self = Self { log: true, state: true };
    /// A scribe: stores logs and votes, never a candidate, applies nothing.
    pub const LOG: Self = Self { log: true, state: false };
    /// A candidate that stores no log and doesn't vote: a learner of the senate and of every group.
    pub const STATE: Self = Self { log: false, state: true };
}

/// Who takes part in what. The first one is written by the founders, as entry 1 of term 0, the same on each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Names the cluster.
    pub cluster: ClusterId,
    /// The highest level of features that may be used: all servers know them. Only grows.
    pub feature_level: u32,
    /// All servers of the cluster, ascending.
    pub servers: Vec<(ServerId, Roles)>,
    /// Who votes for the consul.
    pub senate: Members,
    /// The worker groups and who stores their logs, ascending by group.
    pub groups: Vec<(GroupId, Members)>,
    /// The id that the next new group gets: ids are never reused.
    pub next_group: GroupId,
    /// Groups that take no more proposals and own nothing after this CSN, ascending; each is in `groups` too.
    pub dropping: Vec<(GroupId, Csn)>,
    /// The highest CSN that a group which is gone had something of: no cut may be lower.
    pub dropped_floor: Csn,
    /// The times that the cluster was recovered by force, oldest first.
    pub recoveries: Vec<Recovered>,
}

/// A cluster lost its majority for good, and one server went on with what it had: as another cluster, so that the others can't join it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The cluster that was lost.
    pub from: ClusterId,
    /// When.
    pub at: Timestamp,
    /// The server that went on.
    pub by: ServerId,
    /// It had every transaction up to here.
    pub csn: Csn,
}

/// The level of features at which configurations say that.
const RECOVERY_LEVEL: u32 = 1;
/// So many recoveries are remembered.
const RECOVERIES_MAX: usize = 64;

impl Configuration {
    /// A new cluster of these servers, in which all of them store `groups` worker groups, numbered from 0.
    ///
    /// `None` when the servers are no membership (see [`Members::new`]) or there is no group.
    pub fn founding(cluster: ClusterId, servers: Vec<ServerId>, groups: u32) -> Option<Self> {
        let servers = servers.into_iter().map(|server| (server, Roles::BOTH)).collect();
        Self::founding_with_roles(cluster, servers, groups)
    }

    /// A new cluster of these servers, each with its roles.
    ///
    /// `None` when a server is named twice or has no role, none stores logs, or there is no group.
    pub fn founding_with_roles(cluster: ClusterId, mut servers: Vec<(ServerId, Roles)>, groups: u32) -> Option<Self> {
        servers.sort_unstable_by_key(|(server, _)| *server);
        let with = |log| {
            servers
                .iter()
                .filter(move |(_, roles)| roles.log == log)
                .map(|(server, _)| *server)
                .collect()
        };
        let members = Members::joint(with(true), Vec::new(), with(false))?;
        let configuration = Self {
            cluster,
            feature_level: 0,
            senate: members.clone(),
            groups: (0..groups).map(|group| (GroupId(group), members.clone())).collect(),
            servers,
            next_group: GroupId(groups),
            dropping: Vec::new(),
            dropped_floor: Csn::ZERO,
            recoveries: Vec::new(),
        };
        configuration.fault().is_none().then_some(configuration)
    }

    /// Nothing is known but the cluster.
    pub(crate) fn unknown(cluster: ClusterId) -> Self {
        Self {
            cluster,
            feature_level: 0,
            servers: Vec::new(),
            senate: Members::default(),
            groups: Vec::new(),
            next_group: GroupId::ZERO,
            dropping: Vec::new(),
            dropped_floor: Csn::ZERO,
            recoveries: Vec::new(),
        }
    }

    /// What the cluster is after this server, which runs the state and stores logs, went on alone; of a level at which that can be said.
    ///
    /// `None` when the cluster has no such server.
    pub fn recovered(&self, cluster: ClusterId, recovered: Recovered) -> Option<Self> {
        if self.roles(recovered.by) != Some(Roles::BOTH) {
            return None;
        }
        let alone = Members::new(vec![recovered.by])?;
        let earlier = self.recoveries.len().saturating_sub(RECOVERIES_MAX - 1);
        let configuration = Self {
            cluster,
            feature_level: self.feature_level.max(RECOVERY_LEVEL),
            servers: vec![(recovered.by, Roles::BOTH)],
            senate: alone.clone(),
            groups: self.groups.iter().map(|(group, _)| (*group, alone.clone())).collect(),
            recoveries: self.recoveries[earlier..].iter().copied().chain([recovered]).collect(),
            ..self.clone()
        };
        configuration.fault().is_none().then_some(configuration)
    }

    /// The roles of a server; `None` when it is not of the cluster.
    pub fn roles(&self, server: ServerId) -> Option<Roles> {
        let at = self.servers.binary_search_by_key(&server, |(server, _)| *server).ok()?;
        Some(self.servers[at].1)
    }

    /// Who stores a group's log; `None` when there is no such group.
    pub fn group(&self, group: GroupId) -> Option<&Members> {
        let at = self.groups.binary_search_by_key(&group, |(group, _)| *group).ok()?;
        Some(&self.groups[at].1)
    }

    /// The CSN after which a group that is being dropped owns nothing.
    pub fn dropping(&self, group: GroupId) -> Option<Csn> {
        let at = self.dropping.binary_search_by_key(&group, |(group, _)| *group).ok()?;
        Some(self.dropping[at].1)
    }

    /// What makes no sense in it, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let ascending = |groups: &mut dyn Iterator<Item = GroupId>| groups.is_sorted_by(|a, b| a < b);
        if !self.servers.is_sorted_by(|a, b| a.0 < b.0) {
            return Some("server order");
        }
        if self
            .servers
            .iter()
            .any(|(server, roles)| *server == ServerId::ZERO || !roles.log && !roles.state)
        {
            return Some("server");
        }
        if self.groups.is_empty() || !ascending(&mut self.groups.iter().map(|(group, _)| *group)) {
            return Some("group order");
        }
        if self.groups.last().is_some_and(|(group, _)| *group >= self.next_group) || self.next_group.0 == u32::MAX {
            return Some("next group");
        }
        if !ascending(&mut self.dropping.iter().map(|(group, _)| *group)) {
            return Some("order of groups being dropped");
        }
        if self.dropping.iter().any(|(group, _)| self.group(*group).is_none()) {
            return Some("group being dropped");
        }
        let mut memberships = self.groups.iter().map(|(_, members)| members).chain([&self.senate]);
        let stores = |server| self.roles(server).is_some_and(|roles| roles.log);
        memberships
            .any(|members| {
                members.all().any(|server| self.roles(server).is_none())
                    || members.incoming().iter().chain(members.outgoing()).any(|server| !stores(*server))
            })
            .then_some("member")
    }
}

/// A vote: for this run of this server, in the term that it is stored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The candidate.
    pub server: ServerId,
    /// Which run of it.
    pub incarnation: Incarnation,
}
