//! The SQL door of a server in a cluster: clients are served here while this server is consul, and passed on to the
//! consul while another one is.
//!
//! ```text
//!   client ═══ door ── consul here? ──► session
//!                 └──── elsewhere ════ peer port ════ the consul's door ──► session
//! ```
//!
//! A session that is passed on is bytes in both directions, from the client's first one: encryption and authentication are
//! between the client and the consul. With no consul for a moment, clients wait; then they are told so (57P03).

use curia_consensus::{Office, ServerId};
use curia_driver::Standing;
use curia_peer::{Stream, Transport};
use curia_pgfront::FrontConfig;
use curia_pgfront::encode::{self, ErrorSeverity};
use curia_session::{Cores, Sessions};
use curia_txn::Database;
use curia_types::{SqlError, SqlState};
use parking_lot::RwLock;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Most clients that are being passed on.
const PASSED_ON_MAX: usize = 2_048;
/// How long a client waits for a consul: a failover is usually over by then.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a client that is refused may take to say who it is.
const START_UP: Duration = Duration::from_secs(10);

/// How often it is looked whether somebody serves now.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where sessions are opened while this server is consul.
#[derive(Clone)]
pub struct Seat {
    /// Its sessions.
    pub sessions: Arc<Sessions>,
    /// Where they run.
    pub cores: Cores,
    /// How the front end behaves.
    pub config: Arc<FrontConfig>,
    /// Tells whether the superuser has a password.
    pub database: Arc<Database>,
}

/// See the module's page.
pub struct Door {
    seat: OnceLock<Seat>,
    standing: OnceLock<watch::Receiver<Standing>>,
    transport: RwLock<Weak<Transport>>,
    room: Semaphore,
    insecure: bool,
    closed: AtomicBool,
}

impl Door {
    /// A door behind which nobody is yet. An `insecure` one lets clients from beyond loopback in although the superuser has
    /// no password.
    pub fn new(insecure: bool) -> Door {
        Door {
            seat: OnceLock::new(),
            standing: OnceLock::new(),
            transport: RwLock::default(),
            room: Semaphore::new(PASSED_ON_MAX),
            insecure,
            closed: AtomicBool::new(false),
        }
    }

    /// From now on there is a cluster: how to find its consul, and to reach it.
    pub fn find(&self, standing: watch::Receiver<Standing>, transport: &Arc<Transport>) {
        *self.transport.write() = Arc::downgrade(transport);
        let _ = self.standing.set(standing);
    }

    /// Where to serve while this server is consul.
    pub fn seat(&self, seat: Seat) {
        let _ = self.seat.set(seat);
    }

    /// From now on nobody is served here, whoever passes them on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
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
        let _ = stream.set_nodelay(true);
        let way = tokio::time::timeout(PATIENCE, self.way()).await;
        let why = match way {
            Ok(Way::Here(seat)) => return self.serve(seat, stream, from).await,
            Ok(Way::To(server)) => match self.pass_on(server, stream, from).await {
                Ok(()) => return,
                Err((stream, why)) => return refuse(stream, &why).await,
            },
            Err(_) if self.standing.get().is_none() => cannot_connect(
                "this server is in no cluster yet",
                "Run curia init once, when all servers are started; or curia server add.",
            ),
            Err(_) => cannot_connect(
                "the cluster has no consul",
                "Without a majority of its servers a cluster neither reads nor writes: see curia status.",
            ),
        };
        refuse(stream, &why).await;
    }

    /// Waits until somebody serves.
    async fn way(&self) -> Way {
        loop {
            if let Some(way) = self.look() {
                return way;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Who serves now.
    fn look(&self) -> Option<Way> {
        if let Some(seat) = self.seated() {
            return Some(Way::Here(seat));
        }
        let now = *self.standing.get()?.borrow();
        let elsewhere = matches!(now.office, Office::Senator { .. });
        now.consul.filter(|_| elsewhere).map(Way::To)
    }

    /// The seat, while this server is consul and its database has taken notice.
    fn seated(&self) -> Option<Seat> {
        let serves = |seat: &&Seat| seat.database.serves() && !self.closed.load(Ordering::Relaxed);
        self.seat.get().filter(serves).cloned()
    }

    async fn serve(&self, seat: Seat, stream: TcpStream, from: SocketAddr) {
        if !from.ip().is_loopback() && !self.insecure && !superuser_has_password(&seat.database) {
            let error = SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "role curia has no password yet: nobody is let in from beyond loopback",
            )
            .hint("Connect at the server itself and run ALTER ROLE curia PASSWORD '...'.");
            return refuse(stream, &error).await;
        }
        if let Ok(stream) = stream.into_std() {
            curia_pgfront::receive(stream, from, seat.sessions, &seat.cores, seat.config).await;
        }
    }

    async fn pass_on(&self, server: ServerId, mut stream: TcpStream, from: SocketAddr) -> Result<(), (TcpStream, SqlError)> {
        let Ok(_room) = self.room.try_acquire() else {
            let error = SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
            return Err((stream, error));
        };
        let transport = self.transport.read().upgrade();
        let opened = match transport {
            Some(transport) => transport.open_session(server, from.to_string()).await,
            None => Err(io::Error::other("the server is stopping")),
        };
        match opened {
            Ok(mut onward) => {
                metrics::counter!("curia_sessions_passed_on_total").increment(1);
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
                Ok(())
            }
            Err(error) => {
                let text = format!("the consul, server {server}, can't be reached: {error}");
                Err((stream, cannot_connect(&text, "Try again.")))
            }
        }
    }

    /// Serves a client that another server passed on.
    pub async fn take_passed_on(self: Arc<Self>, mut stream: Stream, client: String) {
        // The other server may have heard of this one's office before its own database did.
        let served = async {
            loop {
                if let Some(seat) = self.seated() {
                    return seat;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let Ok(seat) = tokio::time::timeout(PATIENCE, served).await else {
            return refuse(stream, &cannot_connect("the consul changed", "Try again.")).await;
        };
        let from = client.parse().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        // The front end reads sockets, so there is one in between.
        match socket_pair().await {
            Ok((near, mut far)) => {
                self.serve(seat, near, from).await;
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
            }
            Err(error) => tracing::warn!(%error, "cannot serve a client that was passed on"),
        }
    }
}

enum Way {
    Here(Seat),
    To(ServerId),
}

/// Whether the superuser has a password.
pub fn superuser_has_password(database: &Database) -> bool {
    database
        .catalog()
        .role(crate::house::SUPERUSER)
        .is_some_and(|role| role.password.is_some())
}

/// Two connected sockets.
async fn socket_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    loop {
        let (far, from) = listener.accept().await?;
        if from == near.local_addr()? {
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            return Ok((near, far)); // and not whoever else came to that port
        }
    }
}

fn cannot_connect(text: &str, hint: &str) -> SqlError {
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
