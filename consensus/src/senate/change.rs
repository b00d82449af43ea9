//! Changes of the configuration, composed: from what is and what is wanted, the entry that leads there.
//!
//! ```text
//!   at rest ──── voters of some log change ────► joint: old and new voters agree, each by a majority ────► at rest
//!      └────────── only others change ───────────────────────────────────────────────────────────────────────▲
//! ```
//!
//! One entry describes everything, so a change may touch any number of logs. Every change of voters goes through joint
//! consensus (thesis, section 4.3), one of a single server too: then there is one way to do it, and none of the traps of
//! the shortcut.

use std::fmt;

use super::{Configuration, Roles};
use crate::ids::{Csn, GroupId, Index, LogId, ServerId};
use crate::quorum::Members;

/// Who shall store a log.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Target {
    /// Those who count. Each must store logs.
    pub voters: Vec<ServerId>,
    /// Those who only receive. Servers that must have the log and are no voters are added: in the senate all, in a group
    /// those with state.
    pub learners: Vec<ServerId>,
}

/// What is wanted. What isn't mentioned stays.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Change {
    /// Who sits in the senate.
    pub senate: Option<Target>,
    /// Who stores these groups.
    pub groups: Vec<(GroupId, Target)>,
    /// New servers. They begin as learners.
    pub add: Vec<(ServerId, Roles)>,
    /// Servers that leave all logs and the cluster. Their ids must not come back with an empty disk.
    pub remove: Vec<ServerId>,
    /// New groups; they get the next ids, in this order.
    pub create: Vec<Target>,
    /// Groups that own nothing any more.
    pub drop: Vec<GroupId>,
    /// A higher level of features; all servers must know it.
    pub feature_level: Option<u32>,
}

impl Change {
    /// The senate and all groups get these voters, who were learners until now; other voters become learners.
    pub fn voters(configuration: &Configuration, voters: &[ServerId]) -> Self {
        let target = |members: &Members| Target {
            voters: voters.to_vec(),
            learners: members.all().filter(|server| !voters.contains(server)).collect(),
        };
        let groups = configuration.groups.iter();
        Self {
            senate: Some(target(&configuration.senate)),
            groups: groups.map(|(group, members)| (*group, target(members))).collect(),
            ..Self::default()
        }
    }
}

/// Why a change was not begun. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconfigureError {
    /// This server is not a serving consul.
    NotConsul,
    /// The office is being handed over.
    Transferring,
    /// An earlier change is not finished.
    Underway,
    /// The change changes nothing.
    Nothing,
    /// There is no such server.
    UnknownServer(ServerId),
    /// There is such a server already, or it is named twice.
    KnownServer(ServerId),
    /// There is no such group, or it is named twice, or it is being dropped already.
    UnknownGroup(GroupId),
    /// The server stores no logs, so it can't be a voter.
    StoresNoLog(ServerId),
    /// The membership makes no sense: no voter, or a server named twice. A group that is to be created is not named.
    Members(Option<LogId>),
    /// A new voter is no learner of the log yet.
    NotLearner {
        /// The server.
        server: ServerId,
        /// The log.
        log: LogId,
    },
    /// A new voter has not caught up as a learner.
    Behind {
        /// The server.
        server: ServerId,
        /// The log.
        log: LogId,
        /// How far it is.
        matched: Index,
        /// How far the log is.
        last: Index,
    },
    /// The server doesn't know where its log ended, as records of it are damaged: it is being repaired. Until then the new
    /// voters could not go on without this consul.
    Damaged {
        /// The server.
        server: ServerId,
        /// The log.
        log: LogId,
    },
    /// The server to be removed votes in a group and not in the senate. The group needs it until the change is finished, and
    /// for that it must still hear of the senate's log: make it a learner of the group first.
    StillVotes {
        /// The server.
        server: ServerId,
        /// The group.
        group: GroupId,
    },
    /// The group still has a transaction that isn't resolved.
    Unresolved(GroupId),
    /// It would be the last group.
    LastGroup,
    /// Nobody could become consul, or nobody yet: the consul itself would not, and no other that could has caught up.
    NoCandidate,
    /// The level of features never falls.
    FeatureLevel,
    /// The configuration would be impossible; names the field.
    Impossible(&'static str),
}

impl fmt::Display for ReconfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConsul => f.write_str("this server is not the consul"),
            Self::Transferring => f.write_str("the office is being handed over"),
            Self::Underway => f.write_str("an earlier change of the configuration is not finished"),
            Self::Nothing => f.write_str("the change changes nothing"),
            Self::UnknownServer(server) => write!(f, "there is no server {server}"),
            Self::KnownServer(server) => write!(f, "server {server} exists already"),
            Self::UnknownGroup(group) => write!(f, "there is no group {group}, or it is named twice or being dropped"),
            Self::StoresNoLog(server) => write!(f, "server {server} stores no logs, so it can't vote"),
            Self::Members(Some(log)) => write!(f, "the members of {log} make no sense"),
            Self::Members(None) => f.write_str("the members of a new group make no sense"),
            Self::NotLearner { server, log } => write!(f, "server {server} is no learner of {log} yet"),
            Self::Behind {
                server,
                log,
                matched,
                last,
            } => write!(f, "server {server} has entry {matched} of {log}, which ends at {last}"),
            Self::Damaged { server, log } => write!(f, "records of {log} are damaged on server {server}, and not repaired yet"),
            Self::StillVotes { server, group } => write!(f, "server {server} still votes in group {group}: make it a learner first"),
            Self::Unresolved(group) => write!(f, "group {group} has transactions that are not resolved"),
            Self::LastGroup => f.write_str("the last group can't be dropped"),
            Self::NoCandidate => f.write_str("no server could become consul"),
            Self::FeatureLevel => f.write_str("the level of features never falls"),
            Self::Impossible(field) => write!(f, "impossible {field}"),
        }
    }
}

impl std::error::Error for ReconfigureError {}

impl Members {
    /// Whether no change of voters is under way.
    pub(crate) fn at_rest(&self) -> bool {
        self.outgoing().is_empty()
    }

    /// What a change of voters leads to.
    fn settled(&self) -> Self {
        Self::joint(self.incoming().to_vec(), Vec::new(), self.learners().to_vec()).expect("a membership stays one")
    }
}

impl Configuration {
    /// Whether no change of voters is under way.
    pub fn at_rest(&self) -> bool {
        self.senate.at_rest() && self.groups.iter().all(|(_, members)| members.at_rest())
    }

    /// Whether this server may become consul: it runs the state machines, and either votes or stores no log.
    pub fn may_lead(&self, server: ServerId) -> bool {
        self.roles(server)
            .is_some_and(|roles| roles.state && (!roles.log || self.senate.is_voter(server)))
    }

    /// The configuration after this change of voters: the new ones alone. Servers that are in no log any more are gone.
    pub(crate) fn settled(&self) -> Self {
        let mut settled = Self {
            senate: self.senate.settled(),
            groups: self.groups.iter().map(|(group, members)| (*group, members.settled())).collect(),
            ..self.clone()
        };
        settled.forget_absent();
        settled
    }

    /// The configuration without those groups that everybody has applied up to this CSN.
    pub(crate) fn without_dropped(&self, applied: Csn) -> Option<Self> {
        let gone: Vec<_> = self.dropping.iter().copied().filter(|(_, upto)| *upto <= applied).collect();
        let floor = gone.iter().map(|(_, upto)| *upto).max()?;
        let is_gone = |group: &GroupId| gone.iter().any(|(g, _)| g == group);
        let mut without = self.clone();
        without.groups.retain(|(group, _)| !is_gone(group));
        without.dropping.retain(|(group, _)| !is_gone(group));
        without.dropped_floor = without.dropped_floor.max(floor);
        Some(without)
    }

    /// Composes the configuration that begins a change. Everything up to `resolved` is resolved.
    pub(crate) fn changed(&self, change: &Change, resolved: Csn) -> Result<Self, ReconfigureError> {
        let mut next = self.clone();
        for (server, roles) in &change.add {
            match next.servers.binary_search_by_key(server, |(server, _)| *server) {
                Ok(_) => return Err(ReconfigureError::KnownServer(*server)),
                Err(at) => next.servers.insert(at, (*server, *roles)),
            }
        }
        if let Some(unknown) = change.remove.iter().find(|server| self.roles(**server).is_none()) {
            return Err(ReconfigureError::UnknownServer(*unknown));
        }
        for server in change.remove.iter().copied().filter(|server| !self.senate.is_voter(*server)) {
            if let Some((group, _)) = self.groups.iter().find(|(_, members)| members.is_voter(server)) {
                return Err(ReconfigureError::StillVotes { server, group: *group });
            }
        }
        next.senate = next.retarget(LogId::Senate, &self.senate, change.senate.as_ref(), change)?;
        let mut named: Vec<_> = change
            .groups
            .iter()
            .map(|(group, _)| *group)
            .chain(change.drop.iter().copied())
            .collect();
        named.sort_unstable();
        let unknown = named
            .iter()
            .find(|group| self.group(**group).is_none() || self.dropping(**group).is_some());
        let twice = named.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]);
        if let Some(group) = unknown.or(twice) {
            return Err(ReconfigureError::UnknownGroup(*group));
        }
        for at in 0..next.groups.len() {
            let (group, members) = &next.groups[at];
            let target = change.groups.iter().find(|(g, _)| g == group).map(|(_, target)| target);
            next.groups[at].1 = next.retarget(LogId::Group(*group), members, target, change)?;
        }
        for target in &change.create {
            let members = next.complete(None, target, &[], change)?;
            next.groups.push((next.next_group, members));
            next.next_group = next.next_group.next();
        }
        for group in &change.drop {
            let at = next.dropping.partition_point(|(g, _)| g < group);
            next.dropping.insert(at, (*group, resolved));
        }
        if next.dropping.len() == next.groups.len() {
            return Err(ReconfigureError::LastGroup);
        }
        if let Some(level) = change.feature_level {
            if level < next.feature_level {
                return Err(ReconfigureError::FeatureLevel);
            }
            next.feature_level = level;
        }
        next.forget_absent();
        let settled = next.settled();
        if !settled.servers.iter().any(|(server, _)| settled.may_lead(*server)) {
            return Err(ReconfigureError::NoCandidate);
        }
        match next.fault().or_else(|| settled.fault()) {
            Some(fault) => Err(ReconfigureError::Impossible(fault)),
            None if next == *self => Err(ReconfigureError::Nothing),
            None => Ok(next),
        }
    }

    /// The members of a log that exists, on their way to the target.
    fn retarget(&self, log: LogId, members: &Members, target: Option<&Target>, change: &Change) -> Result<Members, ReconfigureError> {
        let stays = || Target {
            voters: members.incoming().to_vec(),
            learners: members.learners().to_vec(),
        };
        self.complete(Some(log), target.unwrap_or(&stays()), members.incoming(), change)
    }

    /// The members of a log: the target without the servers that leave, with those who must have the log.
    fn complete(&self, log: Option<LogId>, target: &Target, old_voters: &[ServerId], change: &Change) -> Result<Members, ReconfigureError> {
        let staying = |servers: &[ServerId]| -> Vec<ServerId> {
            let stays = |server: &&ServerId| !change.remove.contains(server);
            servers.iter().filter(stays).copied().collect()
        };
        let (mut voters, mut learners) = (staying(&target.voters), staying(&target.learners));
        for server in voters.iter().chain(&learners) {
            match self.roles(*server) {
                None => return Err(ReconfigureError::UnknownServer(*server)),
                Some(roles) if !roles.log && voters.contains(server) => return Err(ReconfigureError::StoresNoLog(*server)),
                Some(_) => {}
            }
        }
        for (server, roles) in &self.servers {
            let must = log == Some(LogId::Senate) || roles.state;
            if must && !change.remove.contains(server) && !voters.contains(server) && !learners.contains(server) {
                learners.push(*server);
            }
        }
        voters.sort_unstable();
        let outgoing = if old_voters == voters { Vec::new() } else { old_voters.to_vec() };
        let twice = learners.iter().any(|server| voters.contains(server));
        Members::joint(voters, outgoing, learners)
            .filter(|_| !twice)
            .ok_or(ReconfigureError::Members(log))
    }

    /// Servers that are in no log any more are none of the cluster's.
    fn forget_absent(&mut self) {
        let (senate, groups) = (&self.senate, &self.groups);
        self.servers
            .retain(|(server, _)| senate.contains(*server) || groups.iter().any(|(_, members)| members.contains(*server)));
    }
}
