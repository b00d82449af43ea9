//! The senate: one standard Raft group, the control plane.
//!
//! It elects the consul, and its log holds the configuration: who sits in the senate, which worker groups there are and
//! who stores their logs. Nothing here knows about transactions.

mod senator;

pub(crate) use senator::{Role, Senator};

use crate::ids::{ClusterId, GroupId, Incarnation, ServerId};
use crate::quorum::Members;

/// Who takes part in what. The first one is written by the founders, as entry 1 of term 0, the same on each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Names the cluster.
    pub cluster: ClusterId,
    /// Who votes for the consul.
    pub senate: Members,
    /// The worker groups and who stores their logs, ascending by group.
    pub groups: Vec<(GroupId, Members)>,
}

impl Configuration {
    /// A new cluster of these servers, in which all of them store `groups` worker groups, numbered from 0.
    ///
    /// `None` when the servers are no membership (see [`Members::new`]) or there is no group.
    pub fn founding(cluster: ClusterId, servers: Vec<ServerId>, groups: u32) -> Option<Self> {
        let members = Members::new(servers)?;
        let groups: Vec<_> = (0..groups).map(|group| (GroupId(group), members.clone())).collect();
        (!groups.is_empty()).then_some(Self {
            cluster,
            senate: members,
            groups,
        })
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
