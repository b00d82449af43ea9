//! Servers of the consensus core in one process, with queues in memory between them and disks that are done at once.

use std::time::Duration;

use bytes::Bytes;
use curia_consensus::{
    AppliedState, ClusterId, Config, Configuration, GroupId, Incarnation, Message, Node, Office, Output, Part, Restore, ServerId, Timestamp,
};

use crate::Result;
use crate::traffic::Traffic;

/// Between two hops of messages.
const HOP: Duration = Duration::from_micros(500);

struct Server {
    node: Node,
    office: Option<Office>,
}

/// The servers and the network between them.
pub struct Cluster {
    servers: Vec<Server>,
    /// Cut off from the others, clock stopped.
    down: Option<usize>,
    /// The one that serves.
    consul: usize,
    now: Duration,
    network: Vec<Message>,
    parts: Vec<Part>,
    /// What was sent.
    pub traffic: Option<Traffic>,
    /// Bytes that the servers' states were given, so that nothing is optimised away.
    pub applied_bytes: u64,
}

impl Cluster {
    /// A cluster of `servers` servers that store `groups` groups; one of them serves.
    pub fn start(servers: u64, groups: u32) -> Result<Self> {
        let ids: Vec<_> = (1..=servers).map(ServerId).collect();
        let founding = Configuration::founding(ClusterId(7), ids.clone(), groups).ok_or("no such cluster")?;
        let mut nodes = Vec::new();
        for id in ids {
            let config = Config::new(id, Incarnation(id.0), id.0);
            let node = Restore::new(config, None, [], AppliedState::default())?.finish(Some(founding.clone()))?;
            nodes.push(Server { node, office: None });
        }
        let mut cluster = Self {
            servers: nodes,
            down: None,
            consul: 0,
            now: Duration::ZERO,
            network: Vec::new(),
            parts: Vec::new(),
            traffic: None,
            applied_bytes: 0,
        };
        cluster.elect()?;
        Ok(cluster)
    }

    /// Runs until a server serves and nothing is under way.
    pub fn elect(&mut self) -> Result<()> {
        for _ in 0..10_000 {
            if let Some(consul) = self
                .servers
                .iter()
                .position(|server| matches!(server.office, Some(Office::Consul { .. })))
            {
                self.consul = consul;
                return Ok(());
            }
            self.tick(Duration::from_millis(10));
            while self.hop()? {}
        }
        Err("no server was elected".into())
    }

    /// Cuts the consul off from the others; it does nothing more.
    pub fn stop_consul(&mut self) {
        self.servers[self.consul].office = None;
        self.down = Some(self.consul);
    }

    /// Time passes on every server.
    pub fn tick(&mut self, by: Duration) {
        self.now += by;
        for (at, server) in self.servers.iter_mut().enumerate() {
            if self.down != Some(at) {
                server.node.tick(self.now);
            }
        }
    }

    /// Every server does what there is to do, and then gets the messages of the others. Whether there were any.
    pub fn hop(&mut self) -> Result<bool> {
        let mut network = std::mem::take(&mut self.network);
        for (at, server) in self.servers.iter_mut().enumerate() {
            if self.down != Some(at) {
                self.applied_bytes += server.settle(&mut network);
            }
        }
        let any = !network.is_empty();
        for message in network.drain(..) {
            if let Some(traffic) = &mut self.traffic {
                traffic.count(&message);
            }
            let to = message.to.0 as usize - 1;
            if self.down != Some(to) {
                self.servers[to].node.step(message)?;
            }
        }
        self.network = network;
        Ok(any)
    }

    /// The consul sends and the others answer; time goes on by as much as that takes.
    pub fn round(&mut self) -> Result<()> {
        self.hop()?;
        self.hop()?;
        self.tick(HOP * 2);
        Ok(())
    }

    /// Proposes a transaction that writes this payload in each of these groups.
    pub fn propose(&mut self, groups: impl Iterator<Item = u32>, payload: &[u8]) -> Result<()> {
        self.parts.extend(groups.map(|group| Part {
            group: GroupId(group),
            stages: Vec::new(),
            payload: Bytes::copy_from_slice(payload),
        }));
        let now = Timestamp(self.now.as_micros() as u64);
        self.servers[self.consul].node.propose(now, None, &mut self.parts)?;
        Ok(())
    }

    /// How many transactions are resolved, as the consul knows.
    pub fn resolved(&self) -> u64 {
        self.servers[self.consul].node.resolved().0
    }
}

impl Server {
    /// Does what the node asks until it asks for nothing. Gives the bytes that were applied.
    fn settle(&mut self, network: &mut Vec<Message>) -> u64 {
        let mut bytes = 0;
        loop {
            let output = self.node.take_output();
            if output.is_empty() {
                return bytes;
            }
            let Output {
                persist,
                mut messages,
                apply,
                applied,
                office,
                ..
            } = output;
            network.append(&mut messages);
            bytes += apply.iter().map(|apply| apply.payload.len() as u64).sum::<u64>();
            if let Some(applied) = applied {
                self.node.applied(applied.csn);
            }
            if let Some(persist) = persist {
                self.node.persisted(persist.seq);
            }
            if office.is_some() {
                self.office = office;
            }
        }
    }
}
