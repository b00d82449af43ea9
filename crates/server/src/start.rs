//! `curia start`: the order in which things come up and go down.
//!
//! ```text
//! options, exposure rule, TLS files      nothing touched yet
//! data folder                            locked, format checked
//! listeners                              bound, so that a taken port is found before recovery
//! console                                answers "starting"
//! of a cluster: peer port, SQL door      until there is a cluster, clients are told so
//! house                                  recovery; then sessions could be opened
//! exposure rule, second half             needs the superuser's password
//! SQL and Flight front ends              console answers "ready", running.toml appears
//! ...
//! SIGTERM, SIGINT                        console answers "draining"; nobody new is let in
//! SQL and Flight front ends              idle sessions end, busy ones finish or are cut off after the grace period
//! house                                  the state is made durable, so that the next start replays nothing
//! console, data folder                   last
//! ```

use crate::cluster::member::{Member, Sockets};
use crate::cluster::views::Views;
use crate::failure::Failure;
use crate::folder::{Folder, Running};
use crate::house::{self, House, Place, superuser_has_password};
use crate::options::Options;
use crate::stop::StopRequest;
use crate::{archive, exposure, limits, office, stop, tls};
use curia_consensus::ids::Incarnation;
use curia_console::{Health, ServerFacts, Stage};
use curia_driver::Driver;
use curia_pgfront::{Front, FrontConfig, Listener};
use curia_session::{Backends, Cores};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Threads that serve the console and Flight connections; SQL sessions and queries have their own.
const SERVICE_THREADS: usize = 2;
/// Threads that clients of a server without state are passed on by.
const SCRIBE_THREADS: usize = 1;
/// How often gauges that nothing else drives are brought up to date.
const GAUGES: Duration = Duration::from_secs(1);
/// How often garbage is collected. A storage with recent deletions is read whole each time.
const TENDING: Duration = Duration::from_secs(30);

/// Bound sockets that nobody accepts from yet.
struct Listeners {
    sql: Listener,
    sql_address: SocketAddr,
    flight: TcpListener,
    flight_address: SocketAddr,
    http: TcpListener,
    http_address: SocketAddr,
    peer: Option<TcpListener>,
}

/// Runs a server until it is asked to stop.
///
/// # Errors
/// Any [`Failure`].
pub fn run(options: Options) -> Result<(), Failure> {
    exposure::check_addresses(&options)?;
    let identity = tls::load(&options)?;
    let open_files = limits::raise_open_files();
    let folder = Folder::open(&options.data, options.worker_groups)?;
    let place = Member::read(&options, &folder)?;
    let listeners = Listeners::bind(&options, place.is_some())?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        folder = %folder.path().display(),
        worker_groups = folder.worker_groups(),
        open_files,
        "starting"
    );
    let recorder = curia_console::install_recorder().map_err(unexpected)?;
    for counter in [
        "curia_sessions_passed_on_total",
        "curia_sql_connections_total",
        "curia_transaction_retries_total",
    ] {
        metrics::counter!(counter).increment(0); // shown before the first
    }
    metrics::gauge!("curia_uncommitted_bytes").set(0.0);
    let service = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVICE_THREADS)
        .thread_name("service")
        .enable_all()
        .build()
        .map_err(unexpected)?;
    let _inside = service.enter();
    let (_ask, stop) = stop::listen().map_err(unexpected)?;
    let health = Health::default();

    let facts = facts(&folder, &listeners);
    let running = listeners.running();
    let http = tokio::net::TcpListener::from_std(listeners.http).map_err(unexpected)?;
    let (console_ends, console_end) = oneshot::channel::<()>();
    let console = service.spawn(curia_console::serve(http, facts, health.clone(), recorder, async move {
        let _ = console_end.await;
    }));

    let front = FrontConfig {
        tls: identity.as_ref().map(|identity| identity.acceptor.clone()),
        plaintext_beyond_loopback: options.insecure,
        ..FrontConfig::default()
    };
    let incarnation = Incarnation(rand::random());
    let (house, member, front) = match place {
        None => {
            let house = service.block_on(House::open(&options, &folder, incarnation, Place::Alone))?;
            exposure::check_password(&options, superuser_has_password(&house.database))?;
            let views = Views {
                driver: Arc::clone(&house.driver),
                host: None,
                sql: listeners.sql_address.to_string(),
            };
            house.sessions.show_cluster(Arc::new(views));
            let front = listeners
                .sql
                .serve(Arc::clone(&house.sessions), house.cores.clone(), front)
                .map_err(unexpected)?;
            (house, None, Some(front))
        }
        Some(stored) => {
            let sockets = Sockets {
                sql: listeners.sql.into_std(),
                sql_address: listeners.sql_address,
                peer: listeners.peer,
            };
            let member = Member::begin(&options, &folder, stored, sockets, incarnation, service.handle())?;
            folder.announce(&running)?;
            let Some(identity) = service.block_on(member.founded(stop.clone())) else {
                folder.forget_running();
                return Ok(()); // stopped before there was a cluster
            };
            let place = Place::Among(identity.clone(), member.peers());
            if !identity.roles().state {
                let driver = house::open_driver(&options, &folder, incarnation, place)?;
                service.block_on(member.check(&identity, &folder, &driver))?;
                let cores = Cores::start(SCRIBE_THREADS).map_err(unexpected)?;
                member.serve(&identity, &folder, &driver, (cores, front, options.max_connections))?;
                return store_logs(&options, &service, &folder, &member, &driver, stop, &health);
            }
            let house = service.block_on(House::open(&options, &folder, incarnation, place))?;
            house.sessions.show_cluster(Arc::new(member.views(&house.driver)));
            member.seat(&house);
            service.block_on(member.check(&identity, &folder, &house.driver))?;
            member.serve(
                &identity,
                &folder,
                &house.driver,
                (house.cores.clone(), front, options.max_connections),
            )?;
            (house, Some(member), None)
        }
    };
    let flight = serve_flight(&service, listeners.flight, &house, identity, stop.clone())?;
    let gauges = service.spawn(keep_gauges(Arc::clone(&house.sessions), Arc::clone(&house.database)));
    let term = house.database.replication().office();
    let archiving = place_of_archive(&options, &house).map(|archiving| service.spawn(archiving));
    let office = office::start(&house, term, stop.clone()).map_err(unexpected)?;
    let tending = service.spawn(Arc::clone(&house.database).tend(TENDING));

    folder.announce(&running)?;
    health.advance(Stage::Ready);
    tracing::info!(sql = running.sql, flight = running.flight, http = running.http, "ready");
    let failed = service.block_on(async {
        let misplaced = async {
            match &member {
                Some(member) => member.misplaced(&folder).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.requested() => None,
            failure = house.driver.failure() => Some(Failure::Disk(failure.to_string())),
            failure = misplaced => Some(failure),
        }
    });
    if let Some(failure) = failed {
        // Nothing more can be acknowledged, and only a restart finds out what the disk has.
        return Err(failure);
    }

    health.advance(Stage::Draining);
    if let Some(member) = &member {
        member.close_door();
        service.block_on(member.hand_over());
    }
    let clients = member.as_ref().and_then(Member::clients);
    drain(&options, &service, front, (&house, clients), flight);
    gauges.abort();
    tending.abort();
    archiving.into_iter().for_each(|archiving| archiving.abort());
    // It was asked to stop with everybody else; its panics are in the log.
    let _ = office.join();
    house.close()?;
    drop(console_ends);
    if let Ok(Err(error)) = service.block_on(console) {
        tracing::warn!(%error, "the console ended early");
    }
    folder.forget_running();
    tracing::info!("stopped");
    Ok(())
}

/// What keeps the archive of snapshots, of a member of a cluster that has one.
fn place_of_archive(options: &Options, house: &House) -> Option<impl Future<Output = ()> + Send + 'static> {
    let archive = options.snapshot_archive.clone()?;
    let cluster = house.driver.configuration().borrow().cluster.to_string();
    let interval = Duration::from_secs(options.archive_seconds);
    Some(archive::keep(Arc::clone(&house.driver), archive, cluster, interval))
}

/// The life of a server that runs no state: it stores logs, votes, and passes clients on.
fn store_logs(
    options: &Options,
    service: &Runtime,
    folder: &Folder,
    member: &Member,
    driver: &Arc<Driver>,
    stop: StopRequest,
    health: &Health,
) -> Result<(), Failure> {
    health.advance(Stage::Ready);
    tracing::info!("ready to store logs");
    service.block_on(async {
        tokio::select! {
            () = stop.requested() => Ok(()),
            failure = driver.failure() => Err(Failure::Disk(failure.to_string())),
            failure = member.misplaced(folder) => Err(failure),
        }
    })?;
    health.advance(Stage::Draining);
    member.close_door();
    let clients = member.clients();
    curia_pgfront::drain(clients.as_slice(), Duration::from_secs(options.drain_seconds));
    driver.shutdown().map_err(|error| Failure::Disk(error.to_string()))?;
    folder.forget_running();
    tracing::info!("stopped");
    Ok(())
}

impl Listeners {
    fn bind(options: &Options, with_peers: bool) -> Result<Listeners, Failure> {
        let failed = |purpose, address| move |source| Failure::Listen { purpose, address, source };
        let sql = Listener::bind(options.sql_addr).map_err(failed("SQL", options.sql_addr))?;
        let sql_address = sql.local_addr().map_err(failed("SQL", options.sql_addr))?;
        let (flight, flight_address) = bind(options.flight_addr).map_err(failed("Flight SQL", options.flight_addr))?;
        let (http, http_address) = bind(options.http_addr).map_err(failed("the console", options.http_addr))?;
        let peer = with_peers.then(|| bind(options.peer_addr)).transpose();
        let peer = peer.map_err(failed("other servers", options.peer_addr))?.map(|(peer, _)| peer);
        Ok(Listeners {
            peer,
            sql,
            sql_address,
            flight,
            flight_address,
            http,
            http_address,
        })
    }

    fn running(&self) -> Running {
        Running {
            pid: std::process::id(),
            sql: self.sql_address.to_string(),
            flight: self.flight_address.to_string(),
            http: self.http_address.to_string(),
            peer: self
                .peer
                .as_ref()
                .and_then(|peer| peer.local_addr().ok())
                .map(|address| address.to_string()),
        }
    }
}

/// Binds one listener; the address returned has the port that the system chose if 0 was asked for.
fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn facts(folder: &Folder, listeners: &Listeners) -> ServerFacts {
    ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rows: vec![
            ("data folder".to_owned(), folder.path().display().to_string()),
            ("worker groups".to_owned(), folder.worker_groups().to_string()),
            ("SQL".to_owned(), listeners.sql_address.to_string()),
            ("Flight SQL".to_owned(), listeners.flight_address.to_string()),
        ],
    }
}

/// The task that serves Flight. It ends after the stop request, once the requests under way are answered.
fn serve_flight(
    service: &Runtime,
    listener: TcpListener,
    house: &House,
    identity: Option<tls::Identity>,
    stop: StopRequest,
) -> Result<JoinHandle<()>, Failure> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(unexpected)?;
    let identity = identity.map(|identity| curia_flight::TlsIdentity {
        certificate: identity.certificate_pem,
        key: identity.key_pem,
    });
    let serving = curia_flight::serve(
        listener,
        Arc::clone(&house.sessions),
        house.cores.clone(),
        identity,
        stop.requested(),
    );
    Ok(service.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the Flight SQL front end ended");
        }
    }))
}

async fn keep_gauges(sessions: Arc<curia_session::Sessions>, database: Arc<curia_txn::Database>) {
    let mut ticks = tokio::time::interval(GAUGES);
    loop {
        ticks.tick().await;
        metrics::gauge!("curia_sessions").set(sessions.backends().len() as f64);
        // The snapshot first: the applied CSN only grows.
        let oldest = database.oldest_snapshot();
        let applied = database.replication().applied();
        metrics::gauge!("curia_snapshot_age_commits").set(oldest.map_or(0, |oldest| applied.0 - oldest.0) as f64);
        match database.snapshot_age() {
            Ok(age) => metrics::gauge!("curia_snapshot_age_seconds").set(age.as_secs_f64()),
            Err(error) => tracing::debug!(%error, "the age of the oldest snapshot is not known"),
        }
    }
}

/// Ends all sessions: the idle at once, the busy when they are done or the grace period is over.
fn drain(
    options: &Options,
    service: &Runtime,
    front: Option<Front>,
    (house, clients): (&House, Option<Arc<Backends>>),
    flight: JoinHandle<()>,
) {
    let grace = Duration::from_secs(options.drain_seconds);
    // Flight's sessions are among those that are drained here.
    let cut = match front {
        Some(front) => front.drain(grace),
        None => {
            let all: Vec<_> = clients.into_iter().chain([Arc::clone(house.sessions.backends())]).collect();
            curia_pgfront::drain(&all, grace)
        }
    };
    if cut > 0 {
        tracing::warn!(sessions = cut, "cut off after {} s", options.drain_seconds);
    }
    // Their streams have ended with them; what is left is connections without a request.
    let ended = service.block_on(async { tokio::time::timeout(Duration::from_secs(1), flight).await });
    if ended.is_err() {
        tracing::info!("closing idle Flight connections");
    }
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(error.to_string())
}
