//! From the first byte of a connection to an open session: encryption request, start-up packet, authentication, first parameters.

use crate::connection::{Connection, ReadError, Socket};
use crate::decode::{self, Startup, violation};
use crate::encode::{self, ErrorSeverity};
use crate::scram;
use crate::serve::FrontConfig;
use curia_session::{Authentication, Disconnected, Key, Login, Output, Peer, Session, Sessions, TransactionStatus};
use curia_types::{Result, SqlError, SqlState};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Why no session came out of a connection.
pub enum Refusal {
    /// Tell the client, then close.
    Error(SqlError),
    /// Nothing to say: it was a cancel request, or the client left.
    Silent,
}

impl From<SqlError> for Refusal {
    fn from(e: SqlError) -> Refusal {
        Refusal::Error(e)
    }
}

impl From<Disconnected> for Refusal {
    fn from(_: Disconnected) -> Refusal {
        Refusal::Silent
    }
}

impl From<ReadError> for Refusal {
    fn from(e: ReadError) -> Refusal {
        match e {
            ReadError::Gone => Refusal::Silent,
            ReadError::Frame(f) => Refusal::Error(f.to_sql_error()),
        }
    }
}

/// Runs the start-up phase. The connection is returned in any case where the client can still be told something.
pub async fn start(
    stream: TcpStream,
    peer: SocketAddr,
    sessions: &Arc<Sessions>,
    config: &FrontConfig,
) -> (Option<Connection>, Result<Session, Refusal>) {
    match greet(stream, peer, config).await {
        Greeting::Cancel(key) => {
            sessions.backends().cancel(key);
            (None, Err(Refusal::Silent))
        }
        Greeting::Refused(connection, refusal) => (connection, Err(refusal)),
        Greeting::Login(mut connection, login) => {
            let opened = open(&mut connection, login, sessions).await;
            (Some(connection), opened)
        }
    }
}

/// What a client wants.
pub enum Greeting {
    /// To cancel what another connection does.
    Cancel(Key),
    /// A session.
    Login(Connection, Login),
    /// Nothing that it gets.
    Refused(Option<Connection>, Refusal),
}

/// Hears out a client up to its start-up parameters, and encrypts.
pub async fn greet(stream: TcpStream, peer: SocketAddr, config: &FrontConfig) -> Greeting {
    let mut connection = Connection::new(Socket::Plain(stream), config.message_limit);
    let mut encrypted = false;
    let parameters = loop {
        match first_packet(&mut connection).await {
            Ok(Packet::Tls) => {
                let accept = config.tls.as_ref().filter(|_| !encrypted);
                connection.out().push(if accept.is_some() { b'S' } else { b'N' });
                if connection.flush().await.is_err() {
                    return Greeting::Refused(None, Refusal::Silent);
                }
                let Some(acceptor) = accept else { continue };
                // Plain bytes behind the request would be taken for encrypted ones: a man in the middle could have put them there.
                let Some(plain) = connection.into_plain() else {
                    return Greeting::Refused(None, Refusal::Silent);
                };
                match acceptor.accept(plain).await {
                    Ok(tls) => connection = Connection::new(Socket::Tls(Box::new(tls)), config.message_limit),
                    Err(error) => {
                        tracing::debug!(%peer, %error, "TLS handshake failed");
                        return Greeting::Refused(None, Refusal::Silent);
                    }
                }
                encrypted = true;
            }
            Ok(Packet::Gss) => {
                connection.out().push(b'N');
                if connection.flush().await.is_err() {
                    return Greeting::Refused(None, Refusal::Silent);
                }
            }
            Ok(Packet::Cancel(key)) => return Greeting::Cancel(key),
            Ok(Packet::Session(parameters)) => break parameters,
            Err(refusal) => return Greeting::Refused(Some(connection), refusal),
        }
    };
    match asked(&mut connection, parameters, peer, encrypted, config) {
        Ok(login) => Greeting::Login(connection, login),
        Err(error) => Greeting::Refused(Some(connection), error.into()),
    }
}

enum Packet {
    Tls,
    Gss,
    Cancel(Key),
    Session(Parameters),
}

struct Parameters {
    minor: u16,
    all: Vec<(String, String)>,
}

async fn first_packet(connection: &mut Connection) -> Result<Packet, Refusal> {
    loop {
        if let Some(length) = decode::startup_length(connection.unread())?
            && connection.unread().len() >= length
        {
            let packet = match decode::startup(&connection.unread()[4..length])? {
                Startup::Tls => Packet::Tls,
                Startup::Gss => Packet::Gss,
                Startup::Cancel { process, secret } => Packet::Cancel(Key { process, secret }),
                Startup::Session { minor, parameters } => Packet::Session(Parameters {
                    minor,
                    all: parameters.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                }),
            };
            connection.consume(length);
            return Ok(packet);
        }
        connection.read_more().await?;
    }
}

fn asked(connection: &mut Connection, parameters: Parameters, peer: SocketAddr, encrypted: bool, config: &FrontConfig) -> Result<Login> {
    let unknown: Vec<&str> = parameters
        .all
        .iter()
        .map(|(n, _)| n.as_str())
        .filter(|n| n.starts_with("_pq_."))
        .collect();
    if parameters.minor > 0 || !unknown.is_empty() {
        encode::negotiate_version(connection.out(), &unknown);
    }
    let login = login(&parameters.all, peer)?;
    if !encrypted && !peer.ip().is_loopback() && config.tls.is_some() && !config.plaintext_beyond_loopback {
        return Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            format!(
                "no encryption: connections from host \"{}\", user \"{}\", database \"{}\" must use TLS",
                peer.ip(),
                login.user,
                login.database
            ),
        ));
    }
    Ok(login)
}

async fn open(connection: &mut Connection, login: Login, sessions: &Arc<Sessions>) -> Result<Session, Refusal> {
    let asked = sessions.authentication(&login.user, origin(login.peer))?;
    authenticate(connection, &login.user, asked).await?;
    let session = sessions.open(login)?;
    welcome(connection, &session.reported(), session.key());
    Ok(session)
}

/// Where a client is.
pub fn origin(client: Option<SocketAddr>) -> Peer {
    match client {
        Some(client) if client.ip().is_loopback() => Peer::Loopback,
        _ => Peer::Remote,
    }
}

/// Tells a client that its session is open.
pub fn welcome(connection: &mut Connection, reported: &[(String, String)], key: Key) {
    encode::authentication_ok(connection.out());
    for (name, value) in reported {
        encode::parameter_status(connection.out(), name, value);
    }
    encode::backend_key(connection.out(), key.process, key.secret);
    encode::ready(connection.out(), TransactionStatus::Idle);
}

/// Has a client show what it must.
///
/// # Errors
/// 28P01 and what is wrong with its messages.
pub async fn authenticate(connection: &mut Connection, user: &str, asked: Authentication) -> Result<(), Refusal> {
    let verifier = match asked {
        Authentication::Trust => return Ok(()),
        Authentication::Scram(verifier) => verifier,
    };
    encode::authentication_sasl(connection.out(), &[scram::MECHANISM]);
    connection.flush().await?;
    let mut body = Vec::new();
    expect_authentication(connection, &mut body).await?;
    let (mechanism, data) = decode::sasl_initial(&body)?;
    if mechanism != scram::MECHANISM {
        return Err(violation("client selected an invalid SASL authentication mechanism").into());
    }
    let exchange = scram::Exchange::start(verifier, data.unwrap_or_default(), rand::random())?;
    encode::authentication_sasl_continue(connection.out(), exchange.challenge().as_bytes());
    connection.flush().await?;
    expect_authentication(connection, &mut body).await?;
    match exchange.finish(&body)? {
        Some(last) => {
            encode::authentication_sasl_final(connection.out(), last.as_bytes());
            Ok(())
        }
        None => Err(scram::failed(user).into()),
    }
}

async fn expect_authentication(connection: &mut Connection, body: &mut Vec<u8>) -> Result<(), Refusal> {
    match connection.read_message(body).await? {
        b'p' => Ok(()),
        b'X' => Err(Refusal::Silent),
        other => Err(violation(format!("expected SASL response, got message type {other}")).into()),
    }
}

/// The login that start-up parameters ask for.
fn login(parameters: &[(String, String)], peer: SocketAddr) -> Result<Login> {
    let mut login = Login {
        peer: Some(peer),
        ..Login::default()
    };
    let mut database = None;
    for (name, value) in parameters {
        match name.as_str() {
            "user" => login.user.clone_from(value),
            "database" => database = Some(value.clone()),
            "options" => login.parameters.extend(options(value)?),
            "replication" => {
                if curia_session::settings::value::parse_bool(value) != Some(false) {
                    return Err(SqlError::unsupported("replication connection"));
                }
            }
            n if n.starts_with("_pq_.") => {}
            _ => login.parameters.push((name.clone(), value.clone())),
        }
    }
    if login.user.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    login.database = database.filter(|d| !d.is_empty()).unwrap_or_else(|| login.user.clone());
    Ok(login)
}

/// The `options` start-up parameter: `-c name=value`, `--name=value`; a backslash keeps the next character.
fn options(text: &str) -> Result<Vec<(String, String)>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(w) = words.next() {
        let setting = match w.strip_prefix("--") {
            Some(s) => s.to_owned(),
            None => match w.strip_prefix("-c") {
                Some("") => words.next().unwrap_or_default(),
                Some(s) => s.to_owned(),
                None => return Err(invalid_option(&w)),
            },
        };
        let (name, value) = setting.split_once('=').ok_or_else(|| invalid_option(&w))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn invalid_option(word: &str) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!("invalid command-line argument for server process: {word}"),
    )
}

/// Tells a client that it gets no session.
pub async fn refuse(connection: Option<Connection>, refusal: Refusal) {
    if let (Some(mut connection), Refusal::Error(e)) = (connection, refusal) {
        encode::error(connection.out(), ErrorSeverity::Fatal, &e);
        connection.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_postgresql_splits_them() {
        let split = |t| options(t).unwrap();
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(
            split("-c work_mem=4MB --search-path=a\\ b -cjit=off"),
            [pair("work_mem", "4MB"), pair("search_path", "a b"), pair("jit", "off")]
        );
        assert_eq!(split("  "), []);
        assert!(options("-x").is_err());
        assert!(options("-c work_mem").is_err());
    }
}
