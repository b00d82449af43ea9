//! The consul's end of a session that another server passes on: see [`inner`] for what the two say.

use crate::connection::{Connection, Link, Socket};
use crate::decode::violation;
use crate::encode::{self, ErrorSeverity};
use crate::inner;
use crate::serve::{End, FrontConfig, serve};
use curia_session::{Output, Peer, Session, Sessions, TransactionStatus};
use curia_types::{Result, SqlError};
use std::sync::Arc;

/// Most bytes of a message that opens a session: what a session carries has its own limits.
const OPEN_BYTES_MAX: usize = 64 << 20;

/// Serves a session that another server passes on. `admit` may refuse clients by where they are.
pub async fn take(stream: Box<dyn Link>, sessions: &Arc<Sessions>, config: &FrontConfig, admit: impl Fn(Peer) -> Result<()>) {
    let mut connection = Connection::new(Socket::Link(stream), config.message_limit);
    let opening = tokio::time::timeout(config.authentication_timeout, open(&mut connection, sessions, admit));
    match opening.await {
        Ok(Ok(Some(mut session))) => {
            let end = serve(&mut connection, &mut session).await;
            match end {
                // It was cut off because this server stops: what becomes of it is for the other one to say.
                End::Told(_) if session.interrupt().drains() => {}
                End::Left => {}
                End::Moves => encode::empty(connection.out(), inner::MOVED),
                End::Told(error) => {
                    encode::error(connection.out(), ErrorSeverity::Fatal, &error);
                    encode::empty(connection.out(), inner::ENDED);
                }
            }
            connection.close().await;
            session.end().await;
        }
        Ok(Err(error)) => {
            encode::error(connection.out(), ErrorSeverity::Fatal, &error);
            encode::empty(connection.out(), inner::ENDED);
            connection.close().await;
        }
        Ok(Ok(None)) | Err(_) => {}
    }
}

/// A session, once it is asked for; `None` when the other server left.
async fn open(connection: &mut Connection, sessions: &Arc<Sessions>, admit: impl Fn(Peer) -> Result<()>) -> Result<Option<Session>> {
    let unknown = || SqlError::internal("a server of another version passes sessions on in other words");
    let mut body = Vec::new();
    loop {
        let Some(kind) = read(connection, &mut body).await? else {
            return Ok(None);
        };
        match kind {
            inner::ASK => {
                let (role, from) = inner::asked(&body).ok_or_else(unknown)?;
                admit(from)?;
                inner::challenge(connection.out(), &sessions.authentication(&role, from)?);
                if connection.flush().await.is_err() {
                    return Ok(None);
                }
            }
            inner::OPEN => {
                let (login, carried) = inner::opened(&body).ok_or_else(unknown)?;
                let mut session = sessions.resume(login, &carried).await?;
                session.pass_on();
                for (name, value) in session.reported() {
                    encode::parameter_status(connection.out(), &name, &value);
                }
                encode::ready(connection.out(), TransactionStatus::Idle);
                return Ok(Some(session));
            }
            other => return Err(violation(format!("unexpected message type {other} of a server"))),
        }
    }
}

/// The next message of a server before the session is open: its type; `None` when it left.
///
/// # Errors
/// 08P01 for one that is too long.
pub async fn read(connection: &mut Connection, body: &mut Vec<u8>) -> Result<Option<u8>> {
    loop {
        if let Some(frame) = encode::outline(connection.unread()) {
            if frame.body > OPEN_BYTES_MAX {
                return Err(violation("a message of a server is too long"));
            }
            if connection.unread().len() >= frame.size() {
                connection.take_body(frame, body);
                return Ok(Some(frame.kind));
            }
        }
        if connection.read_more().await.is_err() {
            return Ok(None);
        }
    }
}
