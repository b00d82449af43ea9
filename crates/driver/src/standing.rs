//! What the driver shows of the cluster.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use curia_consensus::ids::{Csn, ServerId, Term};
use curia_consensus::{Accession, Base, Configuration, GroupStatus, Office, SenateStatus};

use crate::heard::Heard;

/// What a server is, and whom it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// This server's office.
    pub office: Office,
    /// The consul of its term, if it knows one.
    pub consul: Option<ServerId>,
}

impl Default for Standing {
    fn default() -> Self {
        Standing {
            office: Office::Senator { term: Term::ZERO },
            consul: None,
        }
    }
}

impl Standing {
    /// The term that this server serves as consul.
    pub fn serving(&self) -> Option<Term> {
        match self.office {
            Office::Consul { term, .. } => Some(term),
            Office::Senator { .. } | Office::Inaugurating { .. } => None,
        }
    }

    /// The term that it is in.
    pub fn term(&self) -> Term {
        match self.office {
            Office::Senator { term } | Office::Inaugurating { term } | Office::Consul { term, .. } => term,
        }
    }
}

/// A time when this server took office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inauguration {
    /// In this term.
    pub term: Term,
    /// When it was elected.
    pub elected: SystemTime,
    /// How long it took from there until it served.
    pub took: Duration,
    /// Everything up to this CSN is committed, nothing after it was.
    pub cut: Csn,
    /// What it had applied when it was elected.
    pub applied_before: Csn,
    /// What that cost.
    pub cost: Accession,
}

/// How a server sees its cluster.
#[derive(Clone, Debug)]
pub struct Examined {
    /// Who says so.
    pub server: ServerId,
    /// What it is.
    pub standing: Standing,
    /// Who takes part.
    pub configuration: Arc<Configuration>,
    /// Whether no change of it is under way.
    pub settled: bool,
    /// The senate's log.
    pub senate: SenateStatus,
    /// Its groups.
    pub groups: Vec<GroupStatus>,
    /// How far the states of the servers that run one are durable; of others a consul knows.
    pub durable_states: Vec<(ServerId, Csn)>,
    /// Everything up to here is in snapshots that survive the loss of every state server, as far as it knows: scribes may let go of it.
    pub snapshot_floor: Csn,
    /// A place in the senate's log that is agreed on.
    pub agreed_base: Option<Base>,
    /// Every transaction up to here is on quorums, as far as it knows.
    pub resolved: Csn,
    /// Every transaction up to here is in its state.
    pub applied: Csn,
    /// Every transaction up to here is durable in its state.
    pub durable: Csn,
    /// Size of its log on disk.
    pub log_bytes: u64,
    /// Messages that it refused.
    pub refused: u64,
    /// Messages that found no room.
    pub dropped: u64,
    /// When it took office, the last times, oldest first.
    pub inaugurations: Vec<Inauguration>,
    /// What the others were heard to have promised.
    pub heard: BTreeMap<ServerId, Heard>,
}

impl Examined {
    /// Who of those that are able would take the office over with the least to copy.
    pub fn successor(&self, able: impl Fn(ServerId) -> bool) -> Option<ServerId> {
        let has = |server: ServerId| -> u64 {
            let members = self.groups.iter().flat_map(|group| &group.members);
            members.filter(|(member, _)| *member == server).map(|(_, index)| index.0).sum()
        };
        let servers = self.configuration.servers.iter().map(|(server, _)| *server);
        servers
            .filter(|server| *server != self.server && self.configuration.may_lead(*server) && able(*server))
            .max_by_key(|server| has(*server))
    }
}

/// So many inaugurations are remembered.
const REMEMBERED: usize = 64;

/// Remembers inaugurations.
#[derive(Default)]
pub(crate) struct Inaugurations {
    begun: Option<(Term, Instant, SystemTime, Csn)>,
    pub(crate) done: VecDeque<Inauguration>,
}

impl Inaugurations {
    pub(crate) fn note(&mut self, office: Office, applied: Csn, cost: Accession) {
        match office {
            Office::Senator { .. } => self.begun = None,
            Office::Inaugurating { term } => self.begun = Some((term, Instant::now(), SystemTime::now(), applied)),
            Office::Consul { term, cut } => {
                let now = (term, Instant::now(), SystemTime::now(), applied);
                let (_, since, elected, applied_before) = self.begun.take().filter(|begun| begun.0 == term).unwrap_or(now);
                if self.done.len() == REMEMBERED {
                    self.done.pop_front();
                }
                self.done.push_back(Inauguration {
                    term,
                    elected,
                    took: since.elapsed(),
                    cut,
                    applied_before,
                    cost,
                });
            }
        }
    }
}
