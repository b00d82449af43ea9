//! The peer port: who comes, whether they may, and what they then send.
//!
//! ```text
//!   accept ─► TLS ─► hello ─► may they? ── no ──► a refusal in words, a line in the log
//!                                │
//!                    messages ◄──┼──► requests
//!                             session
//! ```
//!
//! **Two servers with one identity** would break promises that neither of them knows of, for instance when a data folder
//! was copied. When a second run of a server comes while the connection of another run is open, the new one waits a
//! moment: if the old one is heard of meanwhile, it is alive and the new one is refused; a server that was restarted is
//! not, as its old connection is gone or silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use curia_consensus::{Incarnation, ServerId, decode_message};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::caller::REQUEST_BYTES_MAX;
use crate::connection::{self, ConnectionError, FrameReader, HANDSHAKE_TIMEOUT, SILENCE, Stream};
use crate::frame::{self, Kind, Whole};
use crate::handshake::{Hello, Purpose, RefusalCode, Refused, Welcome};
use crate::lanes::LANES;
use crate::link::{PING, Parts, take_part};
use crate::transport::{Caller, Shared};

/// Most connections whose handshake isn't done.
const HANDSHAKES_MAX: usize = 64;
/// Most connections, without those of sessions.
const CONNECTIONS_MAX: usize = 4_096;
/// Longest address book.
pub(crate) const BOOK_BYTES_MAX: usize = 2 << 20;
/// How long a connection for requests may be idle.
const IDLE: Duration = Duration::from_secs(60);

/// The open connection of a server that sends messages here.
pub(crate) struct Incoming {
    incarnation: Incarnation,
    from: SocketAddr,
    heard: parking_lot::Mutex<Instant>,
    end: Notify,
}

/// Accepts until the task is stopped.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                shared
                    .clamor
                    .warn(&format_args!("cannot accept a connection at the peer port: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let permits = handshakes
            .clone()
            .try_acquire_owned()
            .ok()
            .zip(connections.clone().try_acquire_owned().ok());
        let Some(permits) = permits else {
            shared.clamor.warn(&format_args!("{from} at the peer port: too many connections"));
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, from, permits, &shared).await {
                shared.clamor.warn(&format_args!("{from} at the peer port: {error}"));
            }
        });
    }
}

/// One connection, from its first byte to its end. An error is one of the handshake, or nonsense that came after it.
async fn serve(
    tcp: TcpStream,
    from: SocketAddr,
    (handshaking, connected): (OwnedSemaphorePermit, OwnedSemaphorePermit),
    shared: &Arc<Shared>,
) -> Result<(), ConnectionError> {
    let _ = tcp.set_nodelay(true);
    connection::keep_alive(&tcp);
    let accepted = timeout(HANDSHAKE_TIMEOUT, accept(tcp, shared)).await;
    let (mut stream, hello, is_server) = accepted.unwrap_or(Err(ConnectionError::Silent))?;
    let admitted = match may_come(&hello, is_server, shared) {
        Ok(()) if hello.purpose == Purpose::Messages => admit(&hello, from, shared).await,
        Ok(()) => Ok(None),
        Err(refused) => Err(refused),
    };
    let incoming = match admitted {
        Ok(incoming) => incoming,
        Err(refused) => {
            let _ = timeout(HANDSHAKE_TIMEOUT, say(&mut stream, &refused.encode())).await;
            return Err(ConnectionError::Nonsense(format!("refused: {refused}")));
        }
    };
    let member = shared.member();
    let welcome = Welcome {
        feature_level: shared.options.feature_level,
        cluster: member.map(|member| member.cluster),
        server: member.map(|member| member.server),
        incarnation: shared.options.incarnation,
    };
    let welcomed = timeout(HANDSHAKE_TIMEOUT, say(&mut stream, &welcome.encode())).await;
    welcomed.unwrap_or(Err(ConnectionError::Silent))?;
    drop(handshaking);
    let ended = match (hello.purpose, hello.server, incoming) {
        (Purpose::Messages, Some(server), Some(incoming)) => {
            if let Some(places) = hello.places {
                shared.learn(server, places);
            }
            let ended = tokio::select! {
                ended = messages(stream, server, &incoming, shared) => ended,
                () = incoming.end.notified() => Ok(()),
            };
            shared.incoming.lock().retain(|_, open| !Arc::ptr_eq(open, &incoming));
            ended
        }
        (Purpose::Session, ..) => {
            // How many sessions there are is for the host to limit: they must not take the places of messages.
            drop(connected);
            shared.options.service.spawn(shared.host.session(stream));
            Ok(())
        }
        _ => {
            let caller = Caller {
                address: from,
                cluster: hello.cluster,
                server: hello.server,
            };
            let host = shared.clone();
            let serving = async move { requests(stream, caller, &host).await };
            shared.options.service.spawn(serving).await.unwrap_or(Ok(()))
        }
    };
    match ended {
        Err(ConnectionError::Io(_) | ConnectionError::Closed | ConnectionError::Silent) => Ok(()), // the dialler tells
        ended => ended,
    }
}

/// TLS and the hello; whether the other side has a server's certificate, or none is asked for.
async fn accept(tcp: TcpStream, shared: &Shared) -> Result<(Stream, Hello, bool), ConnectionError> {
    let mut is_server = true;
    let mut stream: Stream = match &shared.options.tls {
        None => Stream::Plain(tcp),
        Some(tls) => {
            let Some(acceptor) = &tls.acceptor else {
                return Err(ConnectionError::Nonsense("this server has a client's certificate".into()));
            };
            let stream = acceptor.accept(tcp).await.map_err(ConnectionError::Tls)?;
            is_server = tls.is_servers(stream.get_ref().1.peer_certificates().unwrap_or_default());
            Stream::Tls(Box::new(stream))
        }
    };
    let (head, rest) = connection::read_words(&mut stream).await?;
    match Hello::decode(&head, rest) {
        Ok(hello) => Ok((stream, hello, is_server)),
        Err(error) => {
            let refused = Refused {
                code: RefusalCode::Version,
                text: format!("handshake: {error}"),
            };
            let _ = say(&mut stream, &refused.encode()).await;
            Err(error.into())
        }
    }
}

async fn say(stream: &mut Stream, words: &[u8]) -> Result<(), ConnectionError> {
    stream.write_all(words).await?;
    Ok(stream.flush().await?)
}

/// What can be said from the hello alone.
fn may_come(hello: &Hello, is_server: bool, shared: &Shared) -> Result<(), Refused> {
    let refuse = |code, text: String| Err(Refused { code, text });
    let own = shared.member();
    if !is_server && (hello.server.is_some() || hello.purpose != Purpose::Requests) {
        return refuse(
            RefusalCode::Certificate,
            "a client's certificate is no server's: make one with curia cert server".into(),
        );
    }
    match (hello.cluster, own) {
        (Some(theirs), Some(own)) if shared.ancestors.read().contains(&theirs) => {
            let text = format!(
                "cluster {theirs} lost its majority, and server {} went on from it as cluster {}: this data folder is of no use any more; start the \
                 server on an empty folder with --join, then curia server add",
                own.server, own.cluster
            );
            return refuse(RefusalCode::Recovered, text);
        }
        (Some(theirs), Some(own)) if theirs != own.cluster => {
            let text = format!("server {} is of cluster {}, not of {theirs}", own.server, own.cluster);
            return refuse(RefusalCode::Cluster, text);
        }
        (_, None) if hello.purpose != Purpose::Requests => {
            return refuse(RefusalCode::Cluster, "this server is in no cluster yet".into());
        }
        (None, Some(_)) if hello.purpose != Purpose::Requests => {
            return refuse(RefusalCode::Cluster, "only servers of the cluster may send this".into());
        }
        _ => {}
    }
    let required = shared.required.load(Ordering::Relaxed);
    if hello.purpose != Purpose::Requests && hello.feature_level < required {
        let text = format!(
            "the cluster uses features of level {required}, and this program knows level {}: start it with the version that the others run",
            hello.feature_level
        );
        return refuse(RefusalCode::Level, text);
    }
    if let (Some(own), Some(server)) = (own, hello.server)
        && own.server == server
        && hello.cluster == Some(own.cluster)
        && hello.incarnation != shared.options.incarnation
    {
        let text = format!("server {server} is running already, with another data folder: two servers may not have one identity");
        return refuse(RefusalCode::Identity, text);
    }
    if let Some(whom) = hello.whom
        && own.is_none_or(|own| own.server != whom)
    {
        let is = own.map_or("a server of no cluster yet".to_owned(), |own| format!("server {}", own.server));
        return refuse(RefusalCode::NotMe, format!("this is {is}, not server {whom}"));
    }
    if hello.purpose != Purpose::Requests && hello.server.is_none() {
        return refuse(RefusalCode::Other, "a server must say which it is".into());
    }
    Ok(())
}

/// Enters a sender of messages, in place of its last connection.
async fn admit(hello: &Hello, from: SocketAddr, shared: &Shared) -> Result<Option<Arc<Incoming>>, Refused> {
    let Some(server) = hello.server else { return Ok(None) };
    let open = shared.incoming.lock().get(&server).cloned();
    if let Some(open) = open.filter(|open| open.incarnation != hello.incarnation) {
        let came = Instant::now();
        tokio::time::sleep(PING * 3).await;
        let alive = *open.heard.lock() > came && shared.incoming.lock().get(&server).is_some_and(|now| Arc::ptr_eq(now, &open));
        if alive {
            return Err(Refused {
                code: RefusalCode::Identity,
                text: format!(
                    "server {server} is running already, at {}: two servers may not have one identity",
                    open.from
                ),
            });
        }
    }
    let incoming = Arc::new(Incoming {
        incarnation: hello.incarnation,
        from,
        heard: parking_lot::Mutex::new(Instant::now()),
        end: Notify::new(),
    });
    if let Some(replaced) = shared.incoming.lock().insert(server, incoming.clone()) {
        replaced.end.notify_one();
    }
    Ok(Some(incoming))
}

/// Messages of one server.
async fn messages(stream: Stream, server: ServerId, incoming: &Incoming, shared: &Arc<Shared>) -> Result<(), ConnectionError> {
    let (read, mut write) = tokio::io::split(stream);
    let mut frames = FrameReader::new(read);
    let (mut parts, mut book): (Parts, Whole) = (std::array::from_fn::<_, LANES, _>(|_| Whole::default()), Whole::default());
    let mut out = BytesMut::new();
    let peer = shared.peer(server);
    loop {
        let frame = frames.next(SILENCE).await?;
        *incoming.heard.lock() = Instant::now();
        if let Some(peer) = &peer {
            peer.counts.received_bytes.add((frame.body.len() + frame::HEADER_BYTES) as u64);
        }
        match frame.kind {
            Kind::Message => {
                if let Some(whole) = take_part(&mut parts, frame.lane, frame.body, frame.last)? {
                    deliver(whole, server, shared)?;
                    if let Some(peer) = &peer {
                        peer.counts.received_messages.add(1);
                    }
                }
            }
            Kind::Ping => {
                frame::encode(Kind::Pong, 0, true, &frame.body, &mut out);
                connection::write(&mut write, &mut out).await?;
            }
            Kind::Book => {
                if let Some(whole) = book.take(frame.body, frame.last, BOOK_BYTES_MAX)? {
                    shared.learn_book(whole)?;
                }
            }
            Kind::Pong | Kind::Request | Kind::Response => {
                return Err(ConnectionError::Nonsense(format!("server {server} sends what is not asked for")));
            }
        }
    }
}

fn deliver(whole: Bytes, server: ServerId, shared: &Arc<Shared>) -> Result<(), ConnectionError> {
    let message = decode_message(whole).map_err(|error| ConnectionError::Nonsense(format!("a message of server {server} {error}")))?;
    let own = shared.member();
    let proven = own.is_some_and(|own| own.cluster == message.cluster && own.server == message.to && server == message.from);
    if !proven {
        return Err(ConnectionError::Nonsense(format!(
            "a message of server {server} says that it is from server {} of cluster {} to server {}",
            message.from, message.cluster, message.to
        )));
    }
    shared.host.deliver(message);
    Ok(())
}

/// Requests, one after the other.
async fn requests(stream: Stream, caller: Caller, shared: &Arc<Shared>) -> Result<(), ConnectionError> {
    let (read, mut write) = tokio::io::split(stream);
    let (mut frames, mut whole, mut out) = (FrameReader::new(read), Whole::default(), BytesMut::new());
    loop {
        let frame = frames.next(IDLE).await?;
        if frame.kind != Kind::Request {
            return Err(ConnectionError::Nonsense("something else than a request".into()));
        }
        if let Some(request) = whole.take(frame.body, frame.last, REQUEST_BYTES_MAX)? {
            let answer = shared.host.request(caller, request).await;
            frame::encode_whole(Kind::Response, &answer, &mut out);
            connection::write(&mut write, &mut out).await?;
        }
    }
}
