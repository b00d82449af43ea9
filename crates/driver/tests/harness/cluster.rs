//! Several drivers in one process, each with stores of its own, over a network of queues that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use curia_consensus::ids::{ClusterId, Csn, GroupId, ServerId, Term};
use curia_consensus::{Body, Configuration, Message, Roles};
use curia_driver::{Driver, Examined, Founding, Mailbox, Peers};
use curia_storage::file::Crash;
use curia_txn::Replication;
use parking_lot::Mutex;

use super::{Place, commit, wait};

pub const GROUPS: u32 = 3;
const CLUSTER: ClusterId = ClusterId(77);

/// Which servers reach which.
#[derive(Default)]
pub struct Network {
    mailboxes: Mutex<BTreeMap<ServerId, Mailbox>>,
    cut: Mutex<BTreeSet<(ServerId, ServerId)>>,
    /// Messages that were sent.
    pub messages: AtomicU64,
    /// Pieces of snapshots that were sent.
    pub snapshot_pieces: AtomicU64,
}

struct Wire(Arc<Network>);

impl Peers for Wire {
    fn send(&self, message: Message) {
        self.0.messages.fetch_add(1, Ordering::Relaxed);
        if self.0.cut.lock().contains(&(message.from, message.to)) {
            return;
        }
        if matches!(&message.body, Body::Snapshot { data, .. } if !data.is_empty()) {
            self.0.snapshot_pieces.fetch_add(1, Ordering::Relaxed);
        }
        let mailbox = self.0.mailboxes.lock().get(&message.to).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.deliver(message);
        }
    }

    fn entries_wait(&self, _: ServerId) -> bool {
        false
    }
}

/// The servers of a cluster, by their numbers from 1; those that are down are `None`.
pub struct Cluster {
    pub network: Arc<Network>,
    pub places: Vec<Place>,
    pub drivers: Vec<Option<Driver>>,
    pub roles: Vec<Roles>,
}

impl Cluster {
    pub fn of(roles: &[Roles], adjust: impl Fn(&mut Place)) -> Cluster {
        let mut cluster = Cluster::down(roles, adjust);
        for server in 1..=roles.len() as u64 {
            cluster.start(server);
        }
        cluster
    }

    pub fn three() -> Cluster {
        Cluster::of(&[Roles::BOTH; 3], |_| {})
    }

    /// None of them is started.
    pub fn down(roles: &[Roles], adjust: impl Fn(&mut Place)) -> Cluster {
        let servers: Vec<_> = (1..).map(ServerId).zip(roles.iter().copied()).collect();
        let founding = Configuration::founding_with_roles(CLUSTER, servers.clone(), GROUPS).expect("a configuration");
        let mut cluster = Cluster {
            network: Arc::default(),
            places: Vec::new(),
            drivers: Vec::new(),
            roles: Vec::new(),
        };
        for (_, roles) in servers {
            cluster.add(roles, Founding::Together(founding.clone()), &adjust);
        }
        cluster
    }

    /// Adds a place for a server with an empty disk, and gives its number.
    pub fn add(&mut self, roles: Roles, founding: Founding, adjust: impl Fn(&mut Place)) -> u64 {
        let mut place = Place::new();
        let server = self.places.len() as u64 + 1;
        place.options.server = ServerId(server);
        place.options.cluster = CLUSTER;
        place.options.founding = founding;
        place.options.election_timeout = Duration::from_millis(250);
        adjust(&mut place);
        self.places.push(place);
        self.drivers.push(None);
        self.roles.push(roles);
        server
    }

    pub fn start(&mut self, server: u64) {
        let at = server as usize - 1;
        let wire = Arc::new(Wire(self.network.clone()));
        let driver = self.places[at].start_among(self.roles[at], wire).expect("the driver starts");
        self.network.mailboxes.lock().insert(ServerId(server), driver.mailbox());
        self.drivers[at] = Some(driver);
    }

    pub fn driver(&self, server: u64) -> &Driver {
        self.drivers[server as usize - 1].as_ref().expect("it is up")
    }

    pub fn up(&self) -> impl Iterator<Item = (u64, &Driver)> {
        let numbered = (1..).zip(&self.drivers);
        numbered.filter_map(|(server, driver)| Some((server, driver.as_ref()?)))
    }

    /// Power is cut at one server.
    pub fn kill(&mut self, server: u64) {
        let at = server as usize - 1;
        let driver = self.drivers[at].take().expect("it is up");
        self.network.mailboxes.lock().remove(&ServerId(server));
        self.places[at].kill(driver, Crash::LoseAll);
    }

    /// Nothing passes between these servers and all others.
    pub fn cut_off(&self, servers: &[u64]) {
        let mut cut = self.network.cut.lock();
        for one in 1..=self.places.len() as u64 {
            for other in 1..=self.places.len() as u64 {
                if servers.contains(&one) != servers.contains(&other) {
                    cut.insert((ServerId(one), ServerId(other)));
                }
            }
        }
    }

    pub fn heal(&self) {
        self.network.cut.lock().clear();
    }

    /// Waits until one of the servers serves, in a later term than `after`, and gives it.
    pub fn consul_after(&self, after: Term) -> u64 {
        let mut found = 0;
        eventually("a server serves", || {
            let serving = |(_, driver): &(u64, &Driver)| driver.standing().borrow().serving().is_some_and(|term| term > after);
            found = self.up().find(serving).map_or(0, |(server, _)| server);
            found != 0
        });
        found
    }

    pub fn consul(&self) -> u64 {
        self.consul_after(Term::ZERO)
    }

    pub fn term(&self, server: u64) -> Term {
        self.driver(server).standing().borrow().term()
    }

    /// Puts a row into a group, by whoever serves, as a client that tries again does; gives its CSN.
    pub fn put(&self, group: u32, key: &str, row: &str) -> Csn {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let consul = self.consul();
            match wait(commit(self.driver(consul), vec![row_of(group, key, row)])) {
                Ok(csn) => return csn,
                Err(error) => assert!(Instant::now() < until, "no commit in half a minute: {error}"),
            }
        }
    }

    /// Waits until every server with state that is up has applied this, and compares their states there.
    pub fn agree_at(&self, csn: Csn) {
        let mut digests = Vec::new();
        for (server, driver) in self.up().filter(|(server, _)| self.roles[*server as usize - 1].state) {
            eventually(&format!("server {server} has applied {csn}, not only {}", driver.applied()), || {
                driver.applied() >= csn && driver.readable()
            });
            let digest = |group| driver.state().digest(GroupId(group), csn).expect("readable");
            digests.push((server, (0..GROUPS).map(digest).collect::<Vec<_>>()));
        }
        for pair in digests.windows(2) {
            assert_eq!(pair[0].1, pair[1].1, "servers {} and {} differ at {csn}", pair[0].0, pair[1].0);
        }
    }

    pub fn examine(&self, server: u64) -> Examined {
        wait(self.driver(server).examine()).expect("it runs")
    }
}

/// A row of a storage that belongs to the group.
pub fn row_of(group: u32, key: &str, row: &str) -> curia_txn::FragmentWrites {
    let mut writer = curia_storage::fragment::FragmentWriter::new();
    writer.put(100 + group, key.as_bytes(), row.as_bytes()).expect("a small row");
    curia_txn::FragmentWrites {
        group: GroupId(group),
        stages: Vec::new(),
        payload: writer.finish().into(),
    }
}

/// The row as a server sees it now.
pub fn get_of(driver: &Driver, group: u32, key: &str) -> Option<String> {
    let row = driver.state().get(100 + group, key.as_bytes(), driver.applied()).expect("readable");
    row.map(|row| String::from_utf8(row).expect("text"))
}

/// Waits for something, at most half a minute.
pub fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < until, "after half a minute still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
