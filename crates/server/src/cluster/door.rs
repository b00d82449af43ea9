//! The SQL door of a server in a cluster: clients show here who they are. Their sessions are here while this server is consul, and at the
//! consul while another one is.
//!
//! ```text
//!   client ═══ door ── consul here? ──► session
//!                 └──── elsewhere ════ peer port ════ the consul's door ──► session
//! ```
//!
//! What becomes of a client when the consul changes is in [`super::visit`].

use super::request::Request;
use super::visit;
use crate::house::superuser_has_password;
use curia_consensus::{Office, ServerId};
use curia_driver::Standing;
use curia_peer::{Stream, Transport};
use curia_pgfront::encode::{self, ErrorSeverity};
use curia_pgfront::startup::origin;
use curia_pgfront::{FrontConfig, passed_on, prepare_socket};
use curia_session::backends::numbered_by;
use curia_session::{Authentication, Backends, Carried, Cause, Cores, Key, Login, Peer, Session, Sessions};
use curia_txn::Database;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// How long a client waits for a consul: a failover is usually over by then.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked whether somebody serves now, while a client waits for it.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long a client that is refused may take to say who it is.
const START_UP: Duration = Duration::from_secs(10);
/// For so long nothing is heard of a server before the sessions of its clients end at the consul.
const SILENT: Duration = Duration::from_secs(7);
/// How often it is looked.
const LOOK_FOR_LOST: Duration = Duration::from_secs(1);
/// Sessions that are opened at another consul at a time, so that thousands don't ask it at once.
const MOVES: usize = 16;

/// Where clients are received: in any server of a cluster.
pub struct Hall {
    /// The threads that they live on.
    pub cores: Cores,
    /// How the front end behaves.
    pub config: Arc<FrontConfig>,
    /// Who is connected to this door, wherever the sessions are.
    pub clients: Arc<Backends>,
    /// Which server this is.
    pub server: ServerId,
}

/// Where sessions are opened while this server is consul.
#[derive(Clone)]
pub struct Seat {
    /// Its sessions.
    pub sessions: Arc<Sessions>,
    /// Tells whether the superuser has a password.
    pub database: Arc<Database>,
}

/// See the module's page.
pub struct Door {
    hall: OnceLock<Arc<Hall>>,
    seat: OnceLock<Seat>,
    standing: OnceLock<watch::Receiver<Standing>>,
    transport: RwLock<Weak<Transport>>,
    pub(super) moves: Semaphore,
    insecure: bool,
    closed: AtomicBool,
    draining: AtomicBool,
}

/// Who serves now.
pub enum Way {
    /// This server.
    Here(Seat),
    /// Another one.
    To(ServerId),
}

impl Door {
    /// A door behind which nobody is yet. An `insecure` one lets clients from beyond loopback in although the superuser has
    /// no password.
    pub fn new(insecure: bool) -> Door {
        Door {
            hall: OnceLock::new(),
            seat: OnceLock::new(),
            standing: OnceLock::new(),
            transport: RwLock::default(),
            moves: Semaphore::new(MOVES),
            insecure,
            closed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on there is a cluster: how to find its consul, and to reach it, and where clients are received.
    pub fn find(&self, standing: watch::Receiver<Standing>, transport: &Arc<Transport>, hall: Hall) {
        *self.transport.write() = Arc::downgrade(transport);
        let _ = self.standing.set(standing);
        let _ = self.hall.set(Arc::new(hall));
    }

    /// Where to serve while this server is consul.
    pub fn seat(&self, seat: Seat) {
        let _ = self.seat.set(seat);
    }

    /// Where clients are received, once there is a cluster.
    pub fn hall(&self) -> Option<&Arc<Hall>> {
        self.hall.get()
    }

    /// From now on nobody is served here, whoever passes them on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// From now on nobody new is let in here, and those who were may go on; or everybody is again.
    pub fn drain(&self, on: bool) {
        self.draining.store(on, Ordering::Relaxed);
    }

    /// Whether nobody new is let in.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Asks those that are connected here to leave: the idle at once, others when their transaction is over; or lets those stay who have
    /// not left yet.
    pub fn dismiss(&self, on: bool) {
        if let Some(hall) = self.hall.get() {
            match on {
                true => hall.clients.raise_all(Cause::Drain),
                false => hall.clients.lower_all(Cause::Drain),
            }
        }
    }

    /// Clients that are connected here, wherever they are served.
    pub fn sessions(&self) -> usize {
        self.hall.get().map_or(0, |hall| hall.clients.len())
    }

    /// Accepts clients until the task is stopped.
    pub async fn open(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    tokio::spawn(self.clone().take(stream, from));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn take(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        prepare_socket(&stream);
        if self.draining() {
            let why = cannot_connect("this server is about to be stopped", "Connect to another server of the cluster.");
            return refuse(stream, &why).await;
        }
        let founded = async {
            loop {
                if let Some(hall) = self.hall.get() {
                    return hall.clone();
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let Ok(hall) = tokio::time::timeout(PATIENCE, founded).await else {
            let why = cannot_connect(
                "this server is in no cluster yet",
                "Run curia init once, when all servers are started; or curia server add.",
            );
            return refuse(stream, &why).await;
        };
        // A client belongs to one core's reactor, so the socket moves there as a plain one.
        let Ok(stream) = stream.into_std() else { return };
        let cores = hall.cores.clone();
        cores
            .spawn(move || async move {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    visit::receive(self, hall, stream, from).await;
                }
            })
            .await;
    }

    /// Who serves now.
    pub fn look(&self) -> Option<Way> {
        if let Some(seat) = self.seated() {
            return Some(Way::Here(seat));
        }
        let now = *self.standing.get()?.borrow();
        let elsewhere = matches!(now.office, Office::Senator { .. });
        now.consul.filter(|_| elsewhere).map(Way::To)
    }

    /// How the server stands in its cluster.
    pub fn standing(&self) -> Option<watch::Receiver<Standing>> {
        self.standing.get().cloned()
    }

    /// The seat, while this server is consul and its database has taken notice.
    fn seated(&self) -> Option<Seat> {
        let serves = |seat: &&Seat| seat.database.serves() && !self.closed.load(Ordering::Relaxed);
        self.seat.get().filter(serves).cloned()
    }

    /// Refuses clients from beyond loopback as long as the superuser has no password.
    ///
    /// # Errors
    /// 28000.
    pub fn admit(&self, seat: &Seat, from: Peer) -> Result<()> {
        if from == Peer::Loopback || self.insecure || superuser_has_password(&seat.database) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "role curia has no password yet: nobody is let in from beyond loopback",
        )
        .hint("Connect at the server itself and run ALTER ROLE curia PASSWORD '...'."))
    }

    /// A connection to another server for a session there.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn reach(&self, server: ServerId) -> io::Result<Stream> {
        let transport = self.transport.read().upgrade();
        let transport = transport.ok_or_else(|| io::Error::other("the server is stopping"))?;
        transport.open_session(server).await
    }

    /// Whether this server runs the state, and can read.
    pub fn reads_here(&self) -> bool {
        self.seat.get().is_some()
    }

    /// How a client shows who it is where there is no consul to ask.
    ///
    /// # Errors
    /// 28000, and 57P03 where this server runs no state.
    pub fn authentication_here(&self, login: &Login) -> Result<Authentication> {
        let seat = self.seat.get().filter(|_| !self.closed.load(Ordering::Relaxed));
        let seat = seat.ok_or_else(|| cannot_connect("this server runs no transactions", "Try another one."))?;
        let from = origin(login.peer);
        self.admit(seat, from)?;
        seat.sessions.authentication_here(&login.user, from)
    }

    /// A session for the reads of one that is at the consul.
    ///
    /// # Errors
    /// Why this server can't read.
    pub async fn read_beside(&self, login: &Login, carried: &Carried) -> Result<Session> {
        let seat = self.seat.get().filter(|_| !self.closed.load(Ordering::Relaxed));
        let seat = seat.ok_or_else(|| cannot_connect("this server runs no transactions", "Try another one."))?;
        seat.sessions.read_beside(login.clone(), carried).await
    }

    /// Cancels what a session does, wherever it is.
    pub async fn cancel(&self, key: Key) {
        // Whoever passes its messages on hears of it, and passes this on too.
        let known = self.hall.get().is_some_and(|hall| hall.clients.cancel(key));
        // Asked twice, it would be the next statement's cancel too.
        if !known && self.cancel_at_door(key).await {
            return;
        }
        let here = self.seat.get().is_some_and(|seat| seat.sessions.backends().cancel(key));
        if !known && !here {
            self.cancel_elsewhere(key).await;
        }
    }

    /// Asks the server at whose door the client is to cancel what it does, be that there, at the consul, or nothing but waiting. Whether that
    /// is another server, and took notice.
    async fn cancel_at_door(&self, key: Key) -> bool {
        let Some(book) = self.transport.read().upgrade().map(|transport| transport.book()) else {
            return false;
        };
        let own = self.hall.get().map(|hall| hall.server);
        let mut others = book.iter().map(|(server, _)| server).filter(|server| Some(*server) != own);
        match others.find(|server| numbered_by(key.process, server.0)) {
            Some(server) => self.ask_to_cancel(server, key).await,
            None => false,
        }
    }

    /// Asks the consul to cancel what a session there does. As with PostgreSQL nobody hears whether it was.
    pub async fn cancel_elsewhere(&self, key: Key) {
        if let Some(Way::To(server)) = self.look() {
            self.ask_to_cancel(server, key).await;
        }
    }

    /// Whether another server took notice.
    async fn ask_to_cancel(&self, server: ServerId, key: Key) -> bool {
        let Some(transport) = self.transport.read().upgrade() else {
            return false;
        };
        let Some(address) = transport.book().get(server).map(|places| places.peer.clone()) else {
            return false;
        };
        let request = Request::Cancel {
            process: key.process,
            secret: key.secret,
        };
        let asked = transport.call(&address, &super::request::encode(&request), PATIENCE).await;
        if let Err(error) = &asked {
            tracing::debug!(%server, %error, "cannot pass a cancel request on");
        }
        asked.is_ok()
    }

    /// Another server asks to cancel what a session here does, or what a client of this door has asked.
    pub fn cancel_here(&self, key: Key) {
        // The client first: once the session has ended its statement, what is raised for the client is taken back.
        if let Some(hall) = self.hall.get() {
            hall.clients.cancel(key);
        }
        if let Some(seat) = self.seat.get() {
            seat.sessions.backends().cancel(key);
        }
    }

    /// Ends the sessions here whose clients are at the doors of servers that have not been heard of for [`SILENT`], until the server stops: a
    /// machine that is gone says nothing of its connections, and what is on its way to it keeps the system from asking.
    pub async fn watch(self: Arc<Self>) {
        let mut lost: HashMap<ServerId, Instant> = HashMap::new();
        loop {
            tokio::time::sleep(LOOK_FOR_LOST).await;
            let Some(now_lost) = self.transport.read().upgrade().map(|transport| transport.lost()) else {
                return;
            };
            lost.retain(|server, _| now_lost.contains(server));
            for server in now_lost {
                let silent = lost.entry(server).or_insert_with(Instant::now).elapsed() >= SILENT;
                if let Some(seat) = self.seat.get().filter(|_| silent) {
                    let ended = seat.sessions.backends().cut_off(server.0);
                    if ended > 0 {
                        tracing::info!(%server, sessions = ended, "sessions end, as the server of their clients is lost");
                    }
                }
            }
        }
    }

    /// Serves a session that another server passes on.
    pub async fn take_passed_on(self: Arc<Self>, stream: Stream) {
        // The other server may have heard of this one's office before its own database did.
        let served = async {
            loop {
                if let (Some(seat), Some(hall)) = (self.seated(), self.hall.get()) {
                    return (seat, hall.clone());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let Ok((seat, hall)) = tokio::time::timeout(PATIENCE, served).await else {
            return; // the other server tries again while its client has patience
        };
        metrics::counter!("curia_sessions_passed_on_total").increment(1);
        hall.clone()
            .cores
            .spawn(move || async move {
                if let Ok(stream) = stream.rehome() {
                    passed_on::take(Box::new(stream), &seat.sessions, &hall.config, |from| self.admit(&seat, from)).await;
                }
            })
            .await;
    }
}

/// 57P03.
pub fn cannot_connect(text: &str, hint: &str) -> SqlError {
    SqlError::new(SqlState::CANNOT_CONNECT_NOW, text).hint(hint)
}

/// Tells a client that it can't be served, once it has said who it is.
async fn refuse(stream: impl AsyncRead + AsyncWrite + Unpin, why: &SqlError) {
    let _ = tokio::time::timeout(START_UP, tell(stream, why)).await;
}

async fn tell(mut stream: impl AsyncRead + AsyncWrite + Unpin, why: &SqlError) -> io::Result<()> {
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head).await?;
        match u32::from_be_bytes([head[4], head[5], head[6], head[7]]) {
            80_877_103 | 80_877_104 => stream.write_all(b"N").await?, // no encryption for this
            80_877_102 => return Ok(()),                              // a cancellation gets no answer
            _ => break,
        }
    }
    let mut out = Vec::new();
    encode::error(&mut out, ErrorSeverity::Fatal, why);
    stream.write_all(&out).await?;
    stream.shutdown().await?;
    // What is unread would reset the connection before the answer is.
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
