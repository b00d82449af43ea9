//! A client at the door, from its first byte to its last: who it is, then one session after the other, as consuls change.
//!
//! ```text
//!   greeting, authentication ──► session here ◄──── office ────► session at the consul
//!                                     │ office lost                    │ consul lost, or office given up
//!                                     └─────────► between two ◄────────┘
//!                                                  │ messages wait, up to PATIENCE: then 57P03, and the client may try again
//! ```
//!
//! A session outside of transactions goes on with what it carries, and its client notices nothing. One that was lost with a statement or a
//! transaction has that answered first, with 40001 where it certainly did not commit and 08007 elsewhere.
//!
//! A client whose start-up says that it reads on any server (`curia.read`) begins between two sessions when there is no consul: it is let in by
//! the roles as they are known here, and reads here.

use super::door::{Door, Hall, LOOK_AGAIN, PATIENCE, Way, cannot_connect};
use curia_consensus::ServerId;
use curia_pgfront::encode::ErrorSeverity;
use curia_pgfront::relay::{Client, Parted, Waiting};
use curia_pgfront::startup::{Greeting, Refusal, authenticate, greet, origin, refuse, welcome};
use curia_pgfront::{Beside, Connection, End, FrontConfig, Link, Socket, encode, inner, passed_on, serve, serve_beside, take_leave};
use curia_session::backends::{idle_for_too_long, terminated};
use curia_session::{Cause, Login, Output, ReadLevel, Registration, Session};
use curia_types::{SqlError, SqlState};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A session is taken for lost when its server has not been the consul for so long and has not said how the session ends: it may be cut off.
const SILENCE: Duration = Duration::from_secs(2);
/// A client that asked for reads on any server is let in without a consul when there has been none for so long.
const LET_IN: Duration = Duration::from_millis(300);
/// How often a session that has nothing to do is tried to be opened again.
const AGAIN: Duration = Duration::from_millis(200);

/// Where a client's session is.
enum Place {
    Here(Box<Session>),
    There(ServerId, Connection),
}

/// Why a session was not opened.
enum Closed {
    /// The client is told, and nothing else helps.
    Refused(Refusal),
    /// It may be opened in a moment.
    Later(SqlError),
}

/// A client of this door, once it is known what it wants.
struct Visitor {
    door: Arc<Door>,
    client: Client,
    login: Login,
    /// It has shown who it is.
    proven: bool,
    registration: Registration,
    /// A session here beside the one at the consul, for reads, and how often that had changed then.
    beside: Option<(Box<Session>, u64)>,
}

/// Serves a client to its end.
pub async fn receive(door: Arc<Door>, hall: Arc<Hall>, stream: TcpStream, from: SocketAddr) {
    let limit = hall.config.authentication_timeout;
    let Ok(admitted) = tokio::time::timeout(limit, admit(door, &hall, stream, from)).await else {
        return; // as PostgreSQL: no words for a client that says none
    };
    match admitted {
        Ok((visitor, place)) => {
            metrics::counter!("curia_sql_connections_total").increment(1);
            visitor.stay(place).await;
        }
        Err((connection, refusal)) => {
            if let Refusal::Error(error) = &refusal {
                tracing::debug!(%from, ?error, "connection refused");
            }
            refuse(connection, refusal).await;
        }
    }
}

async fn admit(
    door: Arc<Door>,
    hall: &Hall,
    stream: TcpStream,
    from: SocketAddr,
) -> Result<(Visitor, Option<Place>), (Option<Connection>, Refusal)> {
    let (connection, mut login) = match greet(stream, from, &hall.config).await {
        Greeting::Cancel(key) => {
            door.cancel(key).await;
            return Err((None, Refusal::Silent));
        }
        Greeting::Refused(connection, refusal) => return Err((connection, refusal)),
        Greeting::Login(connection, login) => (connection, login),
    };
    let registration = match hall.clients.register() {
        Ok(registration) => registration,
        Err(error) => return Err((Some(connection), error.into())),
    };
    login.key = Some(registration.key);
    login.through = Some(hall.server.0);
    let mut visitor = Visitor {
        door,
        client: Client::new(connection),
        login,
        proven: false,
        registration,
        beside: None,
    };
    visitor.client.reads_here = visitor.door.reads_here();
    let since = Instant::now();
    loop {
        let opened = visitor.open(&hall.config).await;
        let why = match opened {
            Ok((place, reported)) => {
                welcome(&mut visitor.client.connection, &reported, visitor.registration.key);
                visitor.client.report(reported, true);
                return Ok((visitor, Some(place)));
            }
            Err(Closed::Refused(refusal)) => return Err((Some(visitor.client.connection), refusal)),
            Err(Closed::Later(why)) => why,
        };
        if since.elapsed() > LET_IN && visitor.wants_reads() {
            match visitor.open_beside().await {
                Ok(reported) => {
                    welcome(&mut visitor.client.connection, &reported, visitor.registration.key);
                    visitor.client.report(reported, true);
                    return Ok((visitor, None));
                }
                Err(Closed::Refused(refusal)) => return Err((Some(visitor.client.connection), refusal)),
                Err(Closed::Later(error)) => tracing::debug!(%error, "cannot read here"),
            }
        }
        if since.elapsed() > PATIENCE {
            return Err((Some(visitor.client.connection), why.into()));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

impl Visitor {
    /// Opens the session at whoever serves now, or opens it again there; with its reported parameters.
    async fn open(&mut self, config: &FrontConfig) -> Result<(Place, Vec<(String, String)>), Closed> {
        self.close_beside().await;
        self.client.changes += 1;
        self.client.carried.seen = self.client.seen();
        match self.door.look() {
            None => Err(Closed::Later(cannot_connect(
                "the cluster has no consul",
                "Without a majority of its servers a cluster neither reads nor writes: see curia status.",
            ))),
            Some(Way::Here(seat)) => {
                let from = origin(self.login.peer);
                self.door.admit(&seat, from)?;
                if !self.proven {
                    let asked = seat.sessions.authentication(&self.login.user, from)?;
                    authenticate(&mut self.client.connection, &self.login.user, asked).await?;
                    self.proven = true;
                }
                let login = Login {
                    through: None,
                    ..self.login.clone()
                };
                let session = seat.sessions.resume(login, &self.client.carried).await?;
                let reported = session.reported();
                Ok((Place::Here(Box::new(session)), reported))
            }
            Some(Way::To(server)) => {
                let stream = self.door.reach(server).await.map_err(|error| {
                    let text = format!("the consul, server {server}, can't be reached: {error}");
                    Closed::Later(cannot_connect(&text, "Try again."))
                })?;
                let link: Box<dyn Link> = Box::new(stream);
                let mut link = Connection::new(Socket::Link(link), config.message_limit);
                let reported = self.open_there(&mut link).await?;
                Ok((Place::There(server, link), reported))
            }
        }
    }

    async fn open_there(&mut self, link: &mut Connection) -> Result<Vec<(String, String)>, Closed> {
        let mut body = Vec::new();
        if !self.proven {
            inner::ask(link.out(), &self.login.user, origin(self.login.peer));
            answer(link, &[inner::CHALLENGE], &mut body).await?;
            let asked = inner::challenged(&body).ok_or_else(|| SqlError::internal("a challenge that can't be read"))?;
            authenticate(&mut self.client.connection, &self.login.user, asked).await?;
            self.proven = true;
        }
        inner::open(link.out(), &self.login, &self.client.carried);
        let mut reported = Vec::new();
        while answer(link, b"SZ", &mut body).await? == b'S' {
            let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let told = texts.next().zip(texts.next());
            reported.extend(told.filter(|(name, value)| !self.client.learns(name, value)));
        }
        Ok(reported)
    }

    /// Whether its start-up asks for reads that need no consul.
    fn wants_reads(&self) -> bool {
        let mut parameters = self.login.parameters.iter().rev();
        let asked = parameters.find(|(name, _)| name.eq_ignore_ascii_case("curia.read"));
        let level = asked.and_then(|(_, level)| level.parse().ok());
        self.client.reads_here && matches!(level, Some(ReadLevel::Session | ReadLevel::Bounded(_)))
    }

    /// Lets the client in by what is known here, and opens the session that reads here; with its reported parameters.
    async fn open_beside(&mut self) -> Result<Vec<(String, String)>, Closed> {
        let asked = self.door.authentication_here(&self.login)?;
        if !self.proven {
            authenticate(&mut self.client.connection, &self.login.user, asked).await?;
            self.proven = true;
        }
        let session = self.door.read_beside(&self.login, &self.client.carried).await?;
        let reported = session.reported();
        self.beside = Some((Box::new(session), self.client.changes));
        Ok(reported)
    }

    /// From session to session, to the client's end. Without a first one it begins between two.
    async fn stay(mut self, first: Option<Place>) {
        let mut place = match first {
            Some(place) => place,
            None => match self.open_again().await {
                Ok(place) => place,
                Err(end) => return self.leave(end).await,
            },
        };
        let end = loop {
            let parted = match place {
                Place::Here(mut session) => match serve(&mut self.client.connection, &mut session).await {
                    End::Moves => {
                        self.client.carried = session.carried();
                        self.client.report(session.reported(), true);
                        session.end().await;
                        // It was for the session that was here.
                        self.registration.interrupt.clear_cancel();
                        Parted::Moved
                    }
                    end => {
                        take_leave(&mut self.client.connection, end).await;
                        session.end().await;
                        return;
                    }
                },
                Place::There(server, mut link) => self.pass_on(server, &mut link).await,
            };
            match parted {
                Parted::Moved => self.client.moved(),
                Parted::Lost if self.client.lost() => {}
                // Reads are answered where sessions are passed on.
                Parted::Lost | Parted::Over | Parted::Reads(_) => break End::Left,
                Parted::Nonsense(error) => break End::Told(error.to_sql_error()),
                Parted::Told(_) => break End::Told(terminated()),
                Parted::Idle => break End::Told(idle_for_too_long()),
            }
            place = match self.open_again().await {
                Ok(place) => place,
                Err(end) => break end,
            };
        };
        self.leave(end).await;
    }

    async fn leave(mut self, end: End) {
        take_leave(&mut self.client.connection, end).await;
        self.close_beside().await;
    }

    async fn pass_on(&mut self, server: ServerId, link: &mut Connection) -> Parted {
        let (door, key) = (self.door.clone(), self.registration.key);
        let mut deposed = pin!(deposed(&door, server));
        loop {
            tokio::select! {
                parted = self.client.relay(link, &self.registration.interrupt) => match parted {
                    Parted::Told(Cause::Cancel) => {
                        let door = door.clone();
                        tokio::task::spawn_local(async move { door.cancel_elsewhere(key).await });
                    }
                    Parted::Reads(bytes) => if let Some(end) = self.read_here(bytes).await {
                        return end;
                    },
                    parted => return parted,
                },
                () = &mut deposed => return Parted::Lost,
            }
        }
    }

    /// Has the session beside answer what comes next, unless it can't. What ends the client's visit.
    async fn read_here(&mut self, bytes: usize) -> Option<Parted> {
        if self.beside.as_ref().is_some_and(|(_, changes)| *changes != self.client.changes) {
            self.close_beside().await;
        }
        self.client.carried.seen = self.client.seen();
        let (mut session, changes) = match self.beside.take() {
            Some(beside) => beside,
            None => match self.door.read_beside(&self.login, &self.client.carried).await {
                Ok(session) => (Box::new(session), self.client.changes),
                Err(error) => {
                    tracing::debug!(%error, "cannot read here");
                    self.client.writes = true;
                    return None;
                }
            },
        };
        session.saw(self.client.seen());
        let answered = serve_beside(&mut self.client.connection, &mut session, bytes).await;
        self.client
            .report(vec![("curia.last_csn".to_owned(), session.last_csn().to_string())], true);
        self.beside = Some((session, changes));
        match answered {
            Beside::Answered => {
                // It was for what is answered now.
                self.registration.interrupt.clear_cancel();
                None
            }
            Beside::Writes => {
                self.client.writes = true;
                None
            }
            Beside::End(End::Told(error)) => {
                encode::error(self.client.connection.out(), ErrorSeverity::Fatal, &error);
                Some(Parted::Over)
            }
            Beside::End(_) => Some(Parted::Over),
        }
    }

    async fn close_beside(&mut self) {
        if let Some((session, _)) = self.beside.take() {
            session.end().await;
        }
    }

    /// Between two sessions.
    async fn open_again(&mut self) -> Result<Place, End> {
        let door = self.door.clone();
        let Some(hall) = door.hall() else { return Err(End::Left) };
        // Not all at once; whose client waits comes first.
        let mut next = Instant::now() + AGAIN.mul_f32(rand::random());
        let mut waits: Option<Instant> = None;
        let mut why = None;
        loop {
            waits = match self.client.waiting().await {
                Waiting::Gone => return Err(End::Left),
                Waiting::Message => waits.or_else(|| Some(Instant::now())),
                Waiting::Nothing => None,
            };
            if let Some(bytes) = self.client.reads().filter(|_| waits.is_some()) {
                if self.read_here(bytes).await.is_some() {
                    return Err(End::Left);
                }
                continue;
            }
            if (waits.is_some() || Instant::now() >= next) && !self.client.owes() {
                let opened = {
                    let _turn = door.moves.acquire().await;
                    self.open(&hall.config).await
                };
                match opened {
                    Ok((place, reported)) => {
                        self.client.report(reported, false);
                        return Ok(place);
                    }
                    Err(Closed::Refused(Refusal::Silent)) => return Err(End::Left),
                    // Others may leave.
                    Err(Closed::Refused(Refusal::Error(error))) if error.code() == SqlState::TOO_MANY_CONNECTIONS => why = Some(error),
                    Err(Closed::Refused(Refusal::Error(error))) => return Err(End::Told(error)),
                    Err(Closed::Later(error)) => why = Some(error),
                }
                next = Instant::now() + AGAIN.mul_f32(1.0 + rand::random::<f32>());
            }
            if let Some(error) = why.as_ref().filter(|_| waits.is_some_and(|since| since.elapsed() > PATIENCE)) {
                self.client.refuse(error);
                self.client.writes = false;
                waits = None;
                continue;
            }
            let pause = match waits {
                Some(_) => LOOK_AGAIN,
                None => next.saturating_duration_since(Instant::now()).max(LOOK_AGAIN),
            };
            tokio::select! {
                more = self.client.connection.read_more(), if waits.is_none() => if more.is_err() {
                    return Err(End::Left);
                },
                () = tokio::time::sleep(pause) => {}
                cause = self.registration.interrupt.told(false) => match cause {
                    Cause::Cancel if waits.is_some() => {
                        let cancelled = SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request");
                        self.client.refuse(&cancelled);
                        waits = None;
                    }
                    Cause::Cancel => {}
                    _ => return Err(End::Told(terminated())),
                },
            }
        }
    }
}

/// Resolves when another server than this one is the consul, or none, for some time.
async fn deposed(door: &Door, server: ServerId) {
    let Some(mut standing) = door.standing() else { return };
    let is_consul = |standing: &curia_driver::Standing| standing.consul == Some(server);
    loop {
        if standing.wait_for(|now| !is_consul(now)).await.is_err() {
            return;
        }
        if tokio::time::timeout(SILENCE, standing.wait_for(is_consul)).await.is_err() {
            return;
        }
    }
}

/// The next message of the consul, which must be of one of these types.
async fn answer(link: &mut Connection, kinds: &[u8], body: &mut Vec<u8>) -> Result<u8, Closed> {
    let gone = || Closed::Later(cannot_connect("the consul changed", "Try again."));
    link.flush().await.map_err(|_| gone())?;
    match tokio::time::timeout(PATIENCE, passed_on::read(link, body)).await {
        Ok(Ok(Some(b'E'))) => Err(encode::read_error(body).into()),
        Ok(Ok(Some(kind))) if kinds.contains(&kind) => Ok(kind),
        Ok(Ok(Some(_))) => Err(SqlError::internal("the consul answers what was not asked").into()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(None)) | Err(_) => Err(gone()),
    }
}

impl From<SqlError> for Closed {
    fn from(error: SqlError) -> Closed {
        match error.code() {
            SqlState::CANNOT_CONNECT_NOW => Closed::Later(error),
            _ => Closed::Refused(error.into()),
        }
    }
}

impl From<Refusal> for Closed {
    fn from(refusal: Refusal) -> Closed {
        Closed::Refused(refusal)
    }
}
