//! What a driver shows of its node: who leads, how far each group is, who lags.

use crate::ids::{Csn, GroupId, Index, ServerId, Term};
use crate::node::Node;
use crate::senate::{Configuration, Role};

/// How one group is doing, as far as this server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// The term that its log is in.
    pub term: Term,
    /// Where the log begins here.
    pub base: Index,
    /// The last entry here.
    pub last: Index,
    /// The last entry that is durable here.
    pub durable: Index,
    /// Every entry up to here is on a quorum; a consul's.
    pub commit: Index,
    /// Every entry up to here was given to the state, or will never be.
    pub handed: Index,
    /// Bytes of the log here.
    pub log_bytes: u64,
    /// How far the members are, durably; of others a consul knows.
    pub members: Vec<(ServerId, Index)>,
    /// Records of it are damaged here, and not repaired yet.
    pub damaged: bool,
}

/// How the senate's log is doing, as far as this server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenateStatus {
    /// Where the log begins here.
    pub base: Index,
    /// The last entry here.
    pub last: Index,
    /// The last entry that is durable here.
    pub durable: Index,
    /// Every entry up to here is on a quorum.
    pub commit: Index,
    /// Bytes of the log here.
    pub log_bytes: u64,
    /// How far the members are, durably; of others a consul knows.
    pub members: Vec<(ServerId, Index)>,
    /// Records of it are damaged here, and not repaired yet.
    pub damaged: bool,
}

/// What taking office cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accession {
    /// Entries of groups' logs that were copied from others.
    pub fetched: u64,
    /// Transactions of which something was found and that don't count.
    pub voided: u64,
}

impl Node {
    /// Who is consul in this server's term, as far as it knows.
    pub fn consul(&self) -> Option<ServerId> {
        match self.senator.role {
            Role::Consul => Some(self.config.server),
            Role::Follower { consul } => consul,
            Role::PreCandidate { .. } | Role::Candidate { .. } => None,
        }
    }

    /// The term that this server is in.
    pub fn term(&self) -> Term {
        self.senator.term
    }

    /// Whether there is no other server, so that nothing is sent and nobody waited for.
    pub fn is_lone(&self) -> bool {
        let alone = |configuration: &Configuration| match configuration.servers.as_slice() {
            [(server, _)] => *server == self.config.server,
            _ => false,
        };
        alone(&self.senator.configuration) && alone(&self.standing.configuration)
    }

    /// Whether the state is the same prefix of the commit order in all groups, so that it can be read at its applied CSN.
    pub fn is_prefix(&self) -> bool {
        self.applied >= self.installed.0 && !self.installing()
    }

    /// Everything up to here is durable in the state.
    pub fn durable_applied(&self) -> Csn {
        self.durable_applied
    }

    /// How the senate's log is doing.
    pub fn senate(&self) -> SenateStatus {
        let me = self.config.server;
        let log = &self.senator.log;
        let members = self.senator.members().all().map(|server| match server == me {
            true => (server, log.durable()),
            false => (server, self.senator.peers.matched(server)),
        });
        SenateStatus {
            base: log.base().index,
            last: log.last(),
            durable: log.durable(),
            commit: self.senator.commit,
            log_bytes: log.bytes_after(log.base().index),
            members: members.collect(),
            damaged: self.senator.damaged.is_some(),
        }
    }

    /// What it cost to take office; a consul's.
    pub fn accession(&self) -> Accession {
        Accession {
            fetched: self.paces.fetched,
            voided: self.paces.voided,
        }
    }

    /// How far the states of the servers that run one are durable, this one's among them; of others a consul knows.
    pub fn durable_states(&self) -> Vec<(ServerId, Csn)> {
        let (me, servers) = (self.config.server, &self.standing.configuration.servers);
        let states = servers.iter().filter(|(_, roles)| roles.state).map(|(server, _)| *server);
        states
            .map(|server| match server == me {
                true => (server, self.durable_applied),
                false => (server, self.standing.durable.get(&server).copied().unwrap_or_default()),
            })
            .collect()
    }

    /// How each group is doing.
    pub fn groups(&self) -> Vec<GroupStatus> {
        let me = self.config.server;
        let status = |worker: &crate::worker::Worker| GroupStatus {
            group: worker.group,
            term: worker.term_start.term,
            base: worker.log.base().index,
            last: worker.log.last(),
            durable: worker.log.durable(),
            commit: worker.commit,
            handed: worker.handed,
            log_bytes: worker.log.bytes_after(worker.log.base().index),
            members: worker
                .members
                .all()
                .map(|server| match server == me {
                    true => (server, worker.log.durable()),
                    false => (server, worker.peers.matched(server)),
                })
                .collect(),
            damaged: worker.damaged.is_some(),
        };
        self.workers.iter().map(status).collect()
    }
}
