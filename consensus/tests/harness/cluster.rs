//! Several servers, a network that delivers at once what isn't cut, and one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curia_consensus::*;

use super::{Server, part};

pub const TIMEOUT: Duration = Duration::from_millis(100);

pub struct Cluster {
    pub servers: BTreeMap<u64, Server>,
    /// Servers that nobody hears and who hear nobody.
    pub cut: BTreeSet<u64>,
    /// Messages from the first to the second are lost.
    pub one_way: BTreeSet<(u64, u64)>,
    /// Messages for which this holds are kept instead of delivered.
    pub hold: fn(&Message) -> bool,
    pub held: Vec<Message>,
    /// What was delivered, and what became of it.
    pub delivered: Vec<(Message, Result<(), Refusal>)>,
    /// Servers whose disks don't finish.
    pub stuck: BTreeSet<u64>,
    pub now: Duration,
    consuls: BTreeMap<Term, ServerId>,
    reads: u64,
}

pub fn ids(servers: &[u64]) -> Vec<ServerId> {
    servers.iter().copied().map(ServerId).collect()
}

impl Cluster {
    /// Servers 1 to `servers` with both roles, and groups on all of them.
    pub fn new(servers: u64, groups: u32) -> Self {
        Self::with_roles(&(1..=servers).map(|server| (server, Roles::BOTH)).collect::<Vec<_>>(), groups)
    }

    /// Servers 1 to 3 keep logs only, 4 and 5 state only.
    pub fn three_scribes_and_two_states(groups: u32) -> Self {
        let scribes = (1..=3).map(|server| (server, Roles::LOG));
        let states = (4..=5).map(|server| (server, Roles::STATE));
        Self::with_roles(&scribes.chain(states).collect::<Vec<_>>(), groups)
    }

    pub fn with_roles(servers: &[(u64, Roles)], groups: u32) -> Self {
        let roles: Vec<_> = servers.iter().map(|(server, roles)| (ServerId(*server), *roles)).collect();
        let founding = Configuration::founding_with_roles(ClusterId(7), roles, groups).expect("a membership");
        let mut cluster = Self {
            servers: BTreeMap::new(),
            cut: BTreeSet::new(),
            one_way: BTreeSet::new(),
            hold: |_| false,
            held: Vec::new(),
            delivered: Vec::new(),
            stuck: BTreeSet::new(),
            now: Duration::ZERO,
            consuls: BTreeMap::new(),
            reads: 0,
        };
        for (server, _) in servers {
            cluster.add(*server, founding.clone(), false);
        }
        // They have been up for a while: all of them vote.
        for server in cluster.servers.values_mut() {
            server.node().tick(Duration::ZERO);
        }
        cluster
    }

    fn add(&mut self, id: u64, founding: Configuration, joins: bool) {
        let mut server = Server::new(1);
        server.id = ServerId(id);
        server.founding = founding;
        server.joins = joins;
        server.configure = |config| config.election_timeout = TIMEOUT;
        server.restore().expect("an empty disk can be founded or joins");
        self.servers.insert(id, server);
    }

    /// Starts a server with an empty disk that knows nothing but the cluster.
    pub fn join(&mut self, id: u64) {
        let founding = self.servers.values().next().expect("a server").founding.clone();
        self.add(id, founding, true);
        self.run(0);
    }

    pub fn configure(&mut self, configure: fn(&mut Config)) {
        for id in self.servers.keys().copied().collect::<Vec<_>>() {
            self.server(id).configure = configure;
            self.crash(id);
            self.restart(id);
        }
    }

    pub fn server(&mut self, id: u64) -> &mut Server {
        self.servers.get_mut(&id).expect("there is such a server")
    }

    pub fn node(&mut self, id: u64) -> &mut Node {
        self.server(id).node()
    }

    pub fn crash(&mut self, id: u64) {
        self.server(id).crash(0);
    }

    pub fn restart(&mut self, id: u64) {
        self.server(id).restore().expect("what was written can be restored");
        let now = self.now;
        self.node(id).tick(now);
    }

    fn running(&self) -> Vec<u64> {
        let running = self.servers.iter().filter(|(_, server)| server.node.is_some());
        running.map(|(id, _)| *id).collect()
    }

    /// Delivers what there is until nobody says anything.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut messages = Vec::new();
            for id in self.running() {
                let stuck = self.stuck.contains(&id);
                let server = self.server(id);
                if stuck {
                    while server.take() {}
                } else {
                    server.settle();
                }
                messages.append(&mut server.outbox);
                for office in std::mem::take(&mut server.offices) {
                    if let Office::Consul { term, .. } = office {
                        let before = self.consuls.insert(term, ServerId(id));
                        assert!(before.is_none_or(|before| before == ServerId(id)), "{term:?} is led twice");
                    }
                }
            }
            if messages.is_empty() {
                return self.compare();
            }
            for message in messages {
                self.deliver(message);
            }
        }
        panic!("the servers talk without end");
    }

    fn deliver(&mut self, message: Message) {
        let (from, to) = (message.from.0, message.to.0);
        if (self.hold)(&message) {
            return self.held.push(message);
        }
        if self.cut.contains(&from) || self.cut.contains(&to) || self.one_way.contains(&(from, to)) {
            return;
        }
        self.put(message);
    }

    /// Delivers a message, whatever is cut.
    pub fn put(&mut self, message: Message) {
        let to = message.to.0;
        if let Some(node) = self.servers.get_mut(&to).and_then(|server| server.node.as_mut()) {
            let taken = node.step(message.clone());
            self.delivered.push((message, taken));
        }
    }

    /// All states are prefixes of one order; some may lack what only groups had that are gone.
    fn compare(&self) {
        let longest = self
            .servers
            .values()
            .max_by_key(|server| (server.state.applied.csn, server.state.rows.len()))
            .expect("a server");
        for server in self.servers.values() {
            let gone = server.node.as_ref().map_or(Csn::ZERO, |node| node.configuration().dropped_floor);
            for (csn, rows) in &server.state.rows {
                let same = longest.state.rows.get(csn).is_some_and(|longest| {
                    let agrees = |(group, row): (&GroupId, &Vec<u8>)| longest.get(group) == Some(row);
                    rows.iter().all(agrees) && (rows.len() == longest.len() || *csn <= gone)
                });
                assert!(same || *csn > server.state.applied.csn, "{csn:?} differs at {:?}", server.id);
            }
        }
    }

    /// So many milliseconds pass.
    pub fn run(&mut self, millis: u64) {
        self.settle();
        for _ in 0..millis / 5 {
            self.now += Duration::from_millis(5);
            let now = self.now;
            for id in self.running() {
                self.server(id).now = now;
                self.node(id).tick(now);
            }
            self.settle();
        }
    }

    /// Time passes until this holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            self.run(5);
        }
        let offices: Vec<_> = self.running().into_iter().map(|id| (id, self.node(id).office())).collect();
        panic!("in vain: {what}: {offices:?}");
    }

    /// The serving consul of the highest term.
    pub fn consul(&mut self) -> Option<u64> {
        let mut best = None;
        for id in self.running() {
            if let Office::Consul { term, .. } = self.node(id).office() {
                best = best.max(Some((term, id)));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Runs until somebody serves; gives who.
    pub fn elect(&mut self) -> u64 {
        self.until("a consul", |cluster| cluster.consul().is_some());
        self.consul().expect("just seen")
    }

    /// Runs until this server serves: nobody else's time passes before.
    pub fn elect_this(&mut self, id: u64) {
        self.run(300);
        for _ in 0..100 {
            if self.consul() == Some(id) {
                return self.run(50);
            }
            if let Some(consul) = self.consul()
                && self.node(consul).transfer(ServerId(id)).is_ok()
            {
                self.settle();
            }
            self.run(20);
        }
        panic!("server {id} never serves");
    }

    pub fn propose(&mut self, id: u64, parts: &[(u32, &str)]) -> Result<Csn, ProposeError> {
        let mut parts = parts.iter().map(|(group, text)| part(*group, text)).collect();
        let now = Timestamp(self.now.as_micros() as u64);
        self.node(id).propose(now, None, &mut parts)
    }

    /// Makes server 1 the consul and commits five transactions that `id` doesn't hear of: it stays cut off.
    pub fn commit_five_without(&mut self, id: u64) {
        self.elect_this(1);
        self.cut.insert(id);
        for text in ["one", "two", "three", "four", "five"] {
            self.commit(text);
        }
    }

    /// Commits a transaction in group 0 and waits until it is applied everywhere that can be reached.
    pub fn commit(&mut self, text: &str) -> Csn {
        let consul = self.elect();
        let csn = self.propose(consul, &[(0, text)]).expect("room");
        self.until("commit", |cluster| cluster.server(consul).state.applied.csn >= csn);
        csn
    }

    pub fn read(&mut self, id: u64, level: ReadLevel) -> u64 {
        self.reads += 1;
        let read = self.reads;
        self.node(id).read(read, level);
        read
    }

    /// What became of a read; nothing as long as it waits.
    pub fn result(&mut self, id: u64, read: u64) -> Option<Result<Csn, ReadError>> {
        let reads = &self.server(id).reads;
        let mut of_this = reads.iter().filter(|ready| ready.id == read);
        let result = of_this.next().map(|ready| ready.result);
        assert!(of_this.next().is_none(), "a read is answered once");
        result
    }

    pub fn configuration(&mut self, id: u64) -> Configuration {
        (**self.node(id).configuration()).clone()
    }

    /// Begins a change and runs until it is finished.
    pub fn change(&mut self, change: &Change) {
        let consul = self.elect();
        let mut last = None;
        self.until("the change begins", |cluster| {
            let result = cluster.node(consul).reconfigure(change);
            let begun = result.is_ok();
            last = Some(result);
            begun
        });
        self.until("the change ends", |cluster| {
            let Some(consul) = cluster.consul() else { return false };
            cluster.node(consul).is_settled()
        });
        self.run(50);
    }
}
