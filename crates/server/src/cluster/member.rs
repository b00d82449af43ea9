//! [`Member`]: the life of a server of a cluster, beside its house.
//!
//! ```text
//!   begin       peer port and SQL door open; what comes is answered
//!   founded     cluster.toml is there: now, or once curia init or curia server add came
//!   serve       messages to and from the driver, sessions to whoever is consul
//!   misplaced   never, unless another server has this identity, or the others are of another cluster
//!   close_door  nobody new is let in; the driver then hands the office over
//! ```

use super::door::{Door, Hall, Seat};
use super::forming;
use super::host::{ClusterHost, PATIENCE, Unanswered};
use super::identity::{Identity, read_book};
use super::request::{Answer, Request, Who};
use super::tools::peer_tls;
use super::views::Views;
use super::{drain, levels, reports, restored};
use crate::exposure;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::house::House;
use crate::options::Options;
use crate::stop::StopRequest;
use curia_consensus::ids::Incarnation;
use curia_consensus::{Message, ServerId};
use curia_driver::{Driver, Peers};
use curia_peer::{Address, PeerTls, Places, Transport, TransportOptions};
use curia_pgfront::FrontConfig;
use curia_session::{Backends, Cores};
use parking_lot::Mutex;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How often servers that were to be joined are asked again where everybody is.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What is stored of a server that is or will be in a cluster.
pub struct Stored(Option<Identity>);

/// Bound sockets of such a server.
pub struct Sockets {
    /// For SQL clients.
    pub sql: TcpListener,
    /// Where that is.
    pub sql_address: SocketAddr,
    /// For other servers.
    pub peer: Option<TcpListener>,
}

/// See the module's page.
pub struct Member {
    host: Arc<ClusterHost>,
    transport: Arc<Transport>,
    handle: Handle,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Member {
    /// Whether this server is, or will be, in a cluster.
    ///
    /// # Errors
    /// [`Failure::Foreign`] when its folder is of something else, [`Failure::Exposed`].
    pub fn read(options: &Options, folder: &Folder) -> Result<Option<Stored>, Failure> {
        let identity = Identity::read(folder.path())?;
        if identity.is_none() && options.join.is_none() {
            return Ok(None);
        }
        if identity.is_none() && folder.is_used() {
            return Err(Failure::Foreign {
                folder: folder.path().to_owned(),
                reason: "it holds a database of its own, which can't join a cluster: start without --join, or on an empty folder"
                    .to_owned(),
            });
        }
        if let Some(identity) = identity.as_ref().filter(|identity| identity.begun && !folder.is_used()) {
            return Err(Failure::Foreign {
                folder: folder.path().to_owned(),
                reason: format!(
                    "the log of server {0} is gone, and what it promised with it: curia server remove {0}, then add this server with an empty folder",
                    identity.server()
                ),
            });
        }
        exposure::check_peers(options)?;
        Ok(Some(Stored(identity)))
    }

    /// Opens the peer port and the SQL door.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn begin(
        options: &Options,
        folder: &Folder,
        stored: Stored,
        sockets: Sockets,
        incarnation: Incarnation,
        service: &Handle,
    ) -> Result<Member, Failure> {
        let tls = options.certs.as_deref().map(|certs| peer_tls(certs, "server")).transpose()?;
        if !tls.as_ref().is_none_or(PeerTls::can_serve) {
            let why = "server.crt is a client's certificate: make one with curia cert server";
            return Err(Failure::Configuration(why.to_owned()));
        }
        let listener = sockets.peer.ok_or_else(|| unexpected("the peer port is not bound"))?;
        let mut places = places(options, &listener, sockets.sql_address)?;
        let book = read_book(folder.path());
        if let Some(last) = stored.0.as_ref().and_then(|identity| book.get(identity.server())) {
            places.number = places.number.max(last.number + 1); // whatever became of the clock
        }
        let me = Who {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            member: None,
            incarnation: incarnation.0,
            roles: options.roles.clone(),
            groups: folder.worker_groups(),
            feature_level: options.feature_level,
            peer: places.peer.clone(),
            sql: places.sql.clone(),
        };
        let door = Arc::new(Door::new(options.insecure));
        let join = options.join_addresses()?;
        let host = ClusterHost::new(me, join, folder.path().to_owned(), stored.0, door.clone(), service.clone());
        let host = Arc::new(host);
        let transport = TransportOptions {
            incarnation,
            feature_level: options.feature_level,
            tls,
            places: Some(places),
            service: service.clone(),
        };
        let transport = Transport::start(listener, transport, book, host.clone()).map_err(unexpected)?;
        let transport = Arc::new(transport);
        host.connect(&transport);
        let sql = tokio::net::TcpListener::from_std(sockets.sql).map_err(unexpected)?;
        Ok(Member {
            host,
            transport,
            handle: service.clone(),
            tasks: Mutex::new(vec![service.spawn(door.open(sql))]),
        })
    }

    /// Waits until this server is one of a cluster; `None` when it is asked to stop before.
    pub async fn founded(&self, stop: StopRequest) -> Option<Identity> {
        let mut identity = self.host.identity();
        if identity.borrow().is_none() {
            tracing::info!(
                "waiting to be in a cluster: run `curia init --host {0}` once, when all servers are started, or `curia server add {0}` at one that exists",
                self.host.me.peer
            );
        }
        let founded = identity.wait_for(Option::is_some);
        tokio::select! {
            founded = founded => founded.ok().and_then(|identity| identity.clone()),
            () = stop.requested() => None,
        }
    }

    /// How the driver reaches the others.
    pub fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(Outgoing(self.transport.clone()))
    }

    /// Serves clients in the house while this server is consul.
    pub fn seat(&self, house: &House) {
        self.host.door.seat(Seat {
            sessions: Arc::clone(&house.sessions),
            database: Arc::clone(&house.database),
        });
    }

    /// What sessions see of the cluster.
    pub fn views(&self, driver: &Arc<Driver>) -> Views {
        Views {
            driver: Arc::clone(driver),
            host: Some(Arc::clone(&self.host)),
            sql: self.host.me.sql.clone(),
        }
    }

    /// Who is connected to this server's door.
    pub fn clients(&self) -> Option<Arc<Backends>> {
        self.host.door.hall().map(|hall| hall.clients.clone())
    }

    /// Lets another server take the office over, if this one has it. Who can't is found out by the others.
    pub async fn hand_over(&self) {
        if let Some(driver) = self.host.driver()
            && let Err(error) = drain::hand_over(&self.host, driver).await
        {
            tracing::info!("the office is not handed over: {error}");
        }
    }

    /// Whether the folder is the one that the others count on, and of a cluster whose features this program knows. Nothing has been sent yet.
    ///
    /// # Errors
    /// [`Failure::Foreign`].
    pub async fn check(&self, identity: &Identity, folder: &Folder, driver: &Driver) -> Result<(), Failure> {
        let foreign = |reason| Failure::Foreign {
            folder: folder.path().to_owned(),
            reason,
        };
        let examined = driver.examine().await.map_err(unexpected)?;
        let stored = examined.configuration.cluster;
        if stored != identity.cluster() && !examined.configuration.servers.is_empty() {
            let why = format!("its log is of cluster {stored} and its cluster.toml of another: curia recover was cut short, run it again");
            return Err(foreign(why));
        }
        if let Some(why) = levels::refusal(self.host.me.feature_level, &examined.configuration) {
            return Err(foreign(why));
        }
        // What a server without a log promised went with its last run.
        if !identity.begun || !identity.roles().log {
            return Ok(());
        }
        restored::check(&self.host, identity, &examined)
            .await
            .map_or(Ok(()), |why| Err(foreign(why)))
    }

    /// Joins the driver to everything, and receives clients on `cores`.
    ///
    /// # Errors
    /// [`Failure::Folder`].
    pub fn serve(
        &self,
        identity: &Identity,
        folder: &Folder,
        driver: &Arc<Driver>,
        (cores, front, connections): (Cores, FrontConfig, usize),
    ) -> Result<(), Failure> {
        if !identity.begun {
            let begun = self.host.note(|identity| identity.begun = true);
            begun.map_err(|source| Failure::Folder {
                folder: folder.path().to_owned(),
                doing: "cannot write which server it is of",
                source,
            })?;
        }
        let (host, transport) = (&self.host, &self.transport);
        host.drive(Arc::clone(driver));
        let hall = Hall {
            cores,
            config: Arc::new(front),
            clients: Backends::at_door(connections, identity.server().0),
            server: identity.server(),
        };
        host.door.find(driver.standing(), transport, hall);
        transport.learn(identity.places());
        transport.become_member(curia_peer::Member {
            cluster: identity.cluster(),
            server: identity.server(),
        });
        let telling = {
            let (host, identity) = (host.clone(), identity.clone());
            async move { forming::tell_founders(&host, &identity).await }
        };
        let following = {
            let (mut configuration, transport) = (driver.configuration(), Arc::downgrade(transport));
            async move {
                loop {
                    let now = configuration.borrow_and_update().clone();
                    let servers = now.servers.iter().map(|(server, _)| *server).collect();
                    let Some(transport) = transport.upgrade() else { return };
                    transport.require(now.feature_level);
                    transport.descend(now.recoveries.iter().map(|recovered| recovered.from).collect());
                    transport.expect(servers);
                    drop(transport);
                    if configuration.changed().await.is_err() {
                        return;
                    }
                }
            }
        };
        let mut tasks = self.tasks.lock();
        tasks.push(self.handle.spawn(telling));
        tasks.push(self.handle.spawn(reports::collect(host.clone())));
        tasks.push(self.handle.spawn(following));
        tasks.push(self.handle.spawn(host.door.clone().watch()));
        Ok(())
    }

    /// Resolves when this server must not be there.
    pub async fn misplaced(&self, folder: &Folder) -> Failure {
        let reason = tokio::select! {
            reason = self.transport.misidentified() => reason,
            reason = self.ask_around() => reason,
            reason = self.outgrown() => reason,
        };
        Failure::Foreign {
            folder: folder.path().to_owned(),
            reason,
        }
    }

    async fn outgrown(&self) -> String {
        match self.host.driver() {
            Some(driver) => levels::outgrown(driver, self.host.me.feature_level).await,
            None => std::future::pending().await,
        }
    }

    /// Asks the servers that were to be joined where everybody is. Resolves when one of them is of another cluster.
    async fn ask_around(&self) -> String {
        let own = self.host.who().member.map(|(cluster, _)| cluster);
        // Servers of a cluster that this one goes on from may still run, and are refused by it.
        let descends = |driver: &Arc<Driver>| !driver.configuration().borrow().recoveries.is_empty();
        let mut left = self.host.join.clone();
        while !left.is_empty() {
            let mut silent = Vec::new();
            for address in left {
                match self.host.ask(&address, &Request::Who, PATIENCE).await {
                    Err(Unanswered { why, other_cluster: true }) if !self.host.driver().is_some_and(descends) => {
                        return format!(
                            "it is of cluster {}, and --join names a server of another one, which says: {why}",
                            own.unwrap_or_default()
                        );
                    }
                    Ok(Answer::Who(who)) if who.member.is_some() => {
                        if let Ok(Answer::Book(book)) = self.host.ask(&address, &Request::Book, PATIENCE).await {
                            let entries = book.into_iter().map(|(server, places)| (ServerId(server), places));
                            self.transport.learn(entries);
                        }
                    }
                    _ => silent.push(address),
                }
            }
            left = silent;
            tokio::time::sleep(ASK_AGAIN).await;
        }
        std::future::pending().await
    }

    /// Lets nobody new in.
    pub fn close_door(&self) {
        if let Some(door) = self.tasks.lock().first() {
            door.abort();
        }
        self.host.door.close();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for task in self.tasks.lock().iter() {
            task.abort();
        }
    }
}

struct Outgoing(Arc<Transport>);

impl Peers for Outgoing {
    fn send(&self, message: Message) {
        self.0.send(message);
    }

    fn entries_wait(&self, server: ServerId) -> bool {
        self.0.entries_wait(server)
    }
}

/// Where others reach this server.
fn places(options: &Options, peer: &TcpListener, sql: SocketAddr) -> Result<Places, Failure> {
    let bound = peer.local_addr().map_err(unexpected)?;
    let peer: Address = match options.advertised()? {
        Some(address) => address,
        None if bound.ip().is_unspecified() => {
            let why = format!("--peer-addr {bound} is no address that others can reach: give --advertise-addr");
            return Err(Failure::Configuration(why));
        }
        None => bound.to_string().parse().map_err(unexpected)?,
    };
    let sql = if sql.ip().is_unspecified() {
        format!("{}:{}", peer.host(), sql.port())
    } else {
        sql.to_string()
    };
    let number = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    Ok(Places { number, peer, sql })
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(error.to_string())
}
