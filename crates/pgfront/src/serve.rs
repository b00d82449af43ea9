//! The message loop of one connection.
//!
//! In the extended protocol an error skips every message up to the next Sync; a simple query ends with ReadyForQuery whatever happened.
//! Output leaves when the input is empty, so a pipeline of any length is answered in few writes.

use crate::connection::Connection;
use crate::decode::{self, Message, Target};
use crate::encode::{self, ErrorSeverity};
use crate::inner;
use crate::replay::Replay;
use crate::startup::{self, Refusal};
use curia_session::backends::terminated;
use curia_session::{Disconnected, Output, Session, Sessions, Stop, TransactionStatus};
use curia_types::panic::caught_in;
use curia_types::{SqlError, SqlState};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Characters of the message that led to an internal error which the log gets.
const LOGGED_CHARACTERS: usize = 4_000;

impl From<Disconnected> for End {
    fn from(_: Disconnected) -> End {
        End::Left
    }
}

/// How the front end behaves.
#[derive(Clone)]
pub struct FrontConfig {
    /// Certificate and key; without it an encryption request is declined.
    pub tls: Option<TlsAcceptor>,
    /// Lets clients beyond loopback do without TLS although it is configured.
    pub plaintext_beyond_loopback: bool,
    /// Most bytes of one message that carries statements or data.
    pub message_limit: usize,
    /// How long a client may take from connecting to an open session.
    pub authentication_timeout: Duration,
}

impl Default for FrontConfig {
    fn default() -> FrontConfig {
        FrontConfig {
            tls: None,
            plaintext_beyond_loopback: false,
            message_limit: 256 << 20,
            authentication_timeout: Duration::from_secs(60),
        }
    }
}

/// Runs one connection from its first byte to its end.
pub async fn run(stream: TcpStream, peer: SocketAddr, sessions: Arc<Sessions>, config: Arc<FrontConfig>) {
    let started = tokio::time::timeout(config.authentication_timeout, startup::start(stream, peer, &sessions, &config)).await;
    let (connection, session) = match started {
        Ok(outcome) => outcome,
        Err(_) => return, // as PostgreSQL: no words for a client that says none
    };
    match (connection, session) {
        (Some(mut connection), Ok(mut session)) => {
            metrics::counter!("curia_sql_connections_total").increment(1);
            let end = serve(&mut connection, &mut session).await;
            take_leave(&mut connection, end).await;
            session.end().await;
        }
        (connection, Err(refusal)) => {
            if let Refusal::Error(e) = &refusal {
                tracing::debug!(%peer, error = ?e, "connection refused");
            }
            startup::refuse(connection, refusal).await;
        }
        (None, Ok(_)) => {}
    }
}

/// Why messages are not served any more.
pub enum End {
    /// The client has left.
    Left,
    /// It is to be told why.
    Told(SqlError),
    /// This server is not the consul any more. The session is outside of transactions, and what is unread was not acted on.
    Moves,
}

/// The last words to a client.
pub async fn take_leave(connection: &mut Connection, end: End) {
    if let End::Told(e) = end {
        encode::error(connection.out(), ErrorSeverity::Fatal, &e);
    }
    connection.close().await;
}

/// Serves messages until the connection ends, or the session must go on elsewhere.
pub async fn serve(connection: &mut Connection, session: &mut Session) -> End {
    connection.ends_with(session.interrupt());
    let Err(end) = messages(connection, session).await;
    end
}

async fn messages(connection: &mut Connection, session: &mut Session) -> Result<Infallible, End> {
    let mut body = Vec::new();
    let mut skip_to_sync = false;
    // Nothing came since ReadyForQuery.
    let mut at_rest = true;
    let mut replay = Replay::default();
    loop {
        if at_rest && session.status() == TransactionStatus::Idle && must_move(session) {
            session.send_notifications(connection);
            return Err(match session.stays() {
                Some(why) => {
                    End::Told(terminated().detail(format!("The consul changed, and the session can't go on with the next one: {why}.")))
                }
                None => End::Moves,
            });
        }
        let frame = match connection.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                // A message that is half here is on its way; only an empty buffer makes a connection idle.
                connection.flush().await?;
                if connection.unread().is_empty() {
                    connection.shrink();
                    if body.capacity() > 256 {
                        body = Vec::new();
                    }
                }
                wait_for_input(connection, session, at_rest).await?;
                continue;
            }
            Err(e) => return Err(End::Told(e.to_sql_error())),
        };
        if skip_to_sync && !matches!(frame.kind, b'S' | b'X') {
            connection.consume(frame.size());
            continue;
        }
        connection.take_body(frame, &mut body);
        if frame.kind == b'E' {
            session.expect_sync(matches!(connection.next_frame(), Ok(Some(next)) if next.kind == b'S'));
        }
        replay.keep(frame.kind, &body, session, connection);
        let mut outcome = caught_in(handle(connection, session, frame.kind, &body)).await;
        while let Err(Stop::Error(e)) = &outcome
            && session.runs_again(e)
            && replay.rewind(connection)
        {
            outcome = caught_in(async {
                session.run_again(connection).await?;
                for (kind, body) in replay.messages(session) {
                    handle(connection, session, kind, &body).await?;
                }
                Ok(())
            })
            .await;
        }
        if outcome.is_err() || matches!(frame.kind, b'Q' | b'F' | b'S') {
            replay.end(session, connection);
        }
        match outcome {
            Ok(()) => {}
            Err(Stop::Disconnected) => return Err(End::Left),
            Err(Stop::Error(e)) => {
                if session.interrupt().should_end(false) && e == terminated() {
                    return Err(End::Told(e));
                }
                if e.code() == SqlState::INTERNAL_ERROR {
                    let told: String = String::from_utf8_lossy(&body).chars().take(LOGGED_CHARACTERS).collect();
                    tracing::error!(error = ?e, message = told, "internal error");
                }
                let e = session.vouch(e).await;
                session.take_back(connection);
                session.fail();
                encode::error(connection.out(), ErrorSeverity::Error, &e);
                if matches!(frame.kind, b'Q' | b'F' | b'S') {
                    ready(connection, session);
                } else {
                    skip_to_sync = true;
                }
            }
        }
        if frame.kind == b'S' {
            skip_to_sync = false;
        }
        at_rest = match frame.kind {
            b'd' | b'c' | b'f' => at_rest, // left over from a COPY that failed
            kind => matches!(kind, b'Q' | b'F' | b'S'),
        };
        connection.pressure().await?;
    }
}

/// What came of messages that were to be read beside the consul.
pub enum Beside {
    /// They are answered.
    Answered,
    /// They do more than read, and nothing has happened.
    Writes,
    /// The client has left, or is to.
    End(End),
}

/// Has a local session answer the next `bytes` of messages, a simple query or a pipeline with its Sync.
pub async fn serve_beside(connection: &mut Connection, session: &mut Session, bytes: usize) -> Beside {
    let messages = connection.unread()[..bytes].to_vec();
    let (buffered, flushes) = (connection.out().len(), connection.flushes());
    let left = connection.unread().len() - bytes;
    let mut body = Vec::new();
    let mut skip_to_sync = false;
    while connection.unread().len() > left {
        let Ok(Some(frame)) = connection.next_frame() else { break };
        if skip_to_sync && frame.kind != b'S' {
            connection.consume(frame.size());
            continue;
        }
        connection.take_body(frame, &mut body);
        match caught_in(handle(connection, session, frame.kind, &body)).await {
            Ok(()) => {}
            Err(Stop::Disconnected) => return Beside::End(End::Left),
            Err(Stop::Error(e)) if e == terminated() => return Beside::End(End::Told(e)),
            Err(Stop::Error(e)) => {
                session.fail();
                if e.code() == SqlState::READ_ONLY_SQL_TRANSACTION && connection.flushes() == flushes {
                    connection.out().truncate(buffered);
                    let rest = connection.unread().len() - left;
                    connection.consume(rest);
                    connection.unconsume(&messages);
                    return Beside::Writes;
                }
                let e = session.vouch(e).await;
                encode::error(connection.out(), ErrorSeverity::Error, &e);
                match frame.kind {
                    b'Q' | b'S' => ready(connection, session),
                    _ => skip_to_sync = true,
                }
            }
        }
        if connection.pressure().await.is_err() {
            return Beside::End(End::Left);
        }
    }
    Beside::Answered
}

/// Whether the session is to go on elsewhere. One that is passed on can, also when this server stops.
fn must_move(session: &Session) -> bool {
    let interrupt = session.interrupt();
    !interrupt.should_end(true) && (interrupt.moves() || (session.is_passed_on() && interrupt.drains()))
}

/// Waits until there is something to read, or the session should end or move.
async fn wait_for_input(connection: &mut Connection, session: &mut Session, at_rest: bool) -> Result<(), End> {
    let in_transaction = session.status() != TransactionStatus::Idle || !at_rest;
    let interrupt = session.interrupt().clone();
    let limit = session.idle_limit();
    let read = async {
        loop {
            tokio::select! {
                biased;
                r = connection.read_more() => return Ok(r?),
                end = interrupt.called(in_transaction) => {
                    if !in_transaction && must_move(session) {
                        return Ok(());
                    }
                    if end {
                        return Err(End::Told(terminated()));
                    }
                }
            }
            session.send_notifications(connection);
            connection.flush().await?;
        }
    };
    match limit {
        None => read.await,
        Some((time, error)) => match tokio::time::timeout(time, read).await {
            Ok(r) => r,
            Err(_) => Err(End::Told(error)),
        },
    }
}

fn ready(connection: &mut Connection, session: &mut Session) {
    session.report_changes(connection);
    session.note_rest();
    session.send_notifications(connection);
    if let Some(news) = session.news() {
        encode::message(connection.out(), inner::NEWS, |out| out.extend_from_slice(&news));
    }
    encode::ready(connection.out(), session.status());
}

async fn handle(connection: &mut Connection, session: &mut Session, kind: u8, body: &[u8]) -> Result<(), Stop> {
    match decode::message(kind, body)? {
        Message::Query(sql) => {
            session.simple_query(sql, connection).await?;
            ready(connection, session);
        }
        Message::Parse { statement, sql, types } => session.parse(statement, sql, &types, connection).await?,
        Message::Bind {
            portal,
            statement,
            parameter_formats,
            parameters,
            result_formats,
        } => {
            session
                .bind(portal, statement, &parameter_formats, &parameters, &result_formats, connection)
                .await?;
        }
        Message::Describe(Target::Statement, name) => session.describe_statement(name, connection).await?,
        Message::Describe(Target::Portal, name) => session.describe_portal(name, connection).await?,
        Message::Execute { portal, max_rows } => session.execute(portal, max_rows, connection).await?,
        Message::Close(Target::Statement, name) => session.close_statement(name, connection),
        Message::Close(Target::Portal, name) => session.close_portal(name, connection),
        Message::Sync => {
            session.sync(connection).await?;
            ready(connection, session);
        }
        Message::Flush => connection.flush().await?,
        Message::Terminate => return Err(Stop::Disconnected),
        // Left over from a COPY that failed on our side.
        Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => {}
        Message::FunctionCall => return Err(SqlError::unsupported("the function call message").into()),
        Message::Authentication(_) => return Err(decode::violation("unexpected authentication message").into()),
    }
    Ok(())
}
