//! [`Transport`]: all connections of one server, and the thread that serves them.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use curia_consensus::{ClusterId, Incarnation, Message, ServerId};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use crate::book::{Address, Book, Places};
use crate::caller::{self, CallError};
use crate::clamor::Clamor;
use crate::connection::{self, ConnectionError, Stream};
use crate::handshake::{Hello, Purpose};
use crate::link::{LinkStatus, Peer};
use crate::listening::{self, Incoming};
use crate::tls::PeerTls;

/// What the transport brings to the rest of the server.
pub trait Host: Send + Sync + 'static {
    /// A message for the node; its sender is proven. Must not block.
    fn deliver(&self, message: Message);
    /// Answers a request.
    fn request(&self, caller: Caller, body: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>>;
    /// Serves a client's session that another server passes on.
    fn session(&self, stream: Stream) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// Addresses were learned; they should be kept for the next start. Must not block for long.
    fn learned(&self, book: &Book);
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// From where.
    pub address: SocketAddr,
    /// The caller's cluster, if it is a server of one.
    pub cluster: Option<ClusterId>,
    /// Which server of it.
    pub server: Option<ServerId>,
}

/// Which server of which cluster this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The cluster.
    pub cluster: ClusterId,
    /// The server.
    pub server: ServerId,
}

/// What a transport is told at its start.
#[derive(Clone)]
pub struct TransportOptions {
    /// This run.
    pub incarnation: Incarnation,
    /// The highest level of features that this program knows.
    pub feature_level: u32,
    /// Certificates; without them connections are plain.
    pub tls: Option<PeerTls>,
    /// Where others reach this server.
    pub places: Option<Places>,
    /// Where requests and sessions are served, so that they don't hold up messages.
    pub service: Handle,
}

pub(crate) struct Shared {
    pub(crate) options: TransportOptions,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) book: Mutex<Book>,
    pub(crate) book_changes: watch::Sender<()>,
    pub(crate) misidentified: watch::Sender<Option<String>>,
    pub(crate) incoming: Mutex<BTreeMap<ServerId, Arc<Incoming>>>,
    pub(crate) clamor: Clamor,
    member: RwLock<Option<Member>>,
    /// The level of features that the cluster uses.
    pub(crate) required: AtomicU32,
    /// Clusters from which this one goes on.
    pub(crate) ancestors: RwLock<Vec<ClusterId>>,
    /// Who is in the cluster; empty while that isn't known.
    expected: RwLock<Vec<ServerId>>,
    peers: RwLock<BTreeMap<ServerId, (Arc<Peer>, AbortHandle)>>,
    handle: Handle,
    begun: Instant,
}

/// All connections of one server. Dropping it closes them.
pub struct Transport {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Transport {
    /// Serves a bound listener, on a thread of its own. `book` is what was last learned. Messages are neither sent nor
    /// taken before [`Transport::become_member`].
    ///
    /// # Errors
    /// When the system gives no thread or reactor.
    pub fn start(listener: std::net::TcpListener, options: TransportOptions, book: Book, host: Arc<dyn Host>) -> io::Result<Transport> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared {
            options,
            host,
            book: Mutex::new(book),
            book_changes: watch::channel(()).0,
            misidentified: watch::channel(None).0,
            incoming: Mutex::default(),
            clamor: Clamor::default(),
            member: RwLock::default(),
            required: AtomicU32::new(0),
            ancestors: RwLock::default(),
            expected: RwLock::default(),
            peers: RwLock::default(),
            handle: runtime.handle().clone(),
            begun: Instant::now(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let listening = listening::listen(listener, shared.clone());
        let thread = std::thread::Builder::new().name("curia-peer".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = listening => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background(); // a name that is being looked up should hold up nobody
        })?;
        Ok(Transport {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// From now on this is a server of a cluster: it connects to everybody in the book, and takes messages.
    pub fn become_member(&self, member: Member) {
        *self.shared.member.write() = Some(member);
        if let Some(places) = self.shared.options.places.clone() {
            self.shared.learn(member.server, places);
        }
        self.shared.connect();
    }

    /// Where servers are, as somebody else knows.
    pub fn learn(&self, places: impl IntoIterator<Item = (ServerId, Places)>) {
        for (server, places) in places {
            self.shared.learn(server, places);
        }
    }

    /// Who is in the cluster now: connections to others end. They stay in the book, so that nobody gets their numbers. With
    /// nobody, as before the first configuration is known, everybody in the book is connected to. What is sent to others
    /// all the same is for servers of a later configuration: they are connected to as long as that works.
    pub fn expect(&self, servers: Vec<ServerId>) {
        if !servers.is_empty() {
            self.shared.peers.write().retain(|server, (_, task)| {
                let stays = servers.contains(server);
                if !stays {
                    task.abort();
                }
                stays
            });
        }
        *self.shared.expected.write() = servers;
        self.shared.connect();
    }

    /// The cluster uses features of this level: whoever doesn't know them takes no part.
    pub fn require(&self, level: u32) {
        self.shared.required.store(level, Ordering::Relaxed);
    }

    /// The cluster goes on from these, which were lost: their servers must not come back.
    pub fn descend(&self, ancestors: Vec<ClusterId>) {
        *self.shared.ancestors.write() = ancestors;
    }

    /// Sends a message to the server that it names. Never blocks; what finds no room, no connection or no such server is
    /// dropped and counted.
    pub fn send(&self, message: Message) {
        let known = self.shared.peer(message.to);
        match known.or_else(|| self.shared.peer_of_later(message.to)) {
            Some(peer) => peer.push(message),
            None => metrics::counter!("curia_peer_unknown_receiver_total").increment(1),
        }
    }

    /// Whether entries for this server have not all left.
    pub fn entries_wait(&self, server: ServerId) -> bool {
        self.shared.peer(server).is_some_and(|peer| peer.entries_wait())
    }

    /// Where everybody is, as far as is known.
    pub fn book(&self) -> Book {
        self.shared.book.lock().clone()
    }

    /// How the connections to the others are, ascending by server.
    pub fn links(&self) -> Vec<LinkStatus> {
        self.shared.peers.read().values().map(|(peer, _)| peer.status()).collect()
    }

    /// Servers that should be there and to which there is no connection in either direction.
    pub fn lost(&self) -> Vec<ServerId> {
        let incoming = self.shared.incoming.lock();
        let links = self.links().into_iter();
        let lost = links.filter(|link| link.connected_for.is_none() && !incoming.contains_key(&link.server));
        lost.map(|link| link.server).collect()
    }

    /// Asks whoever answers at an address.
    ///
    /// # Errors
    /// When there is no answer within `patience`.
    pub async fn call(&self, address: &Address, request: &[u8], patience: Duration) -> Result<Bytes, CallError> {
        let hello = self.shared.hello(Purpose::Requests);
        caller::call(address, self.shared.options.tls.as_ref(), &hello, request, patience).await
    }

    /// Opens a connection for a client's session at another server, of the runtime that calls.
    ///
    /// # Errors
    /// When it can't be reached, or refuses.
    pub async fn open_session(&self, server: ServerId) -> io::Result<Stream> {
        let address = self
            .shared
            .address_of(server)
            .ok_or_else(|| io::Error::other(format!("nobody knows where server {server} is")))?;
        let hello = Hello {
            whom: Some(server),
            ..self.shared.hello(Purpose::Session)
        };
        let dialled = connection::dial(&address, self.shared.options.tls.as_ref(), &hello).await;
        dialled.map(|(stream, _)| stream).map_err(io::Error::other)
    }

    /// Resolves when another server says that one with this server's identity is running, or that the cluster uses features which this
    /// program doesn't know: this server must stop.
    pub fn misidentified(&self) -> impl Future<Output = String> + Send + 'static {
        let shared = self.shared.clone();
        async move {
            let mut told = shared.misidentified.subscribe();
            loop {
                if let Some(text) = told.borrow_and_update().clone() {
                    return text;
                }
                if told.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    pub(crate) fn member(&self) -> Option<Member> {
        *self.member.read()
    }

    pub(crate) fn peer(&self, server: ServerId) -> Option<Arc<Peer>> {
        self.peers.read().get(&server).map(|(peer, _)| peer.clone())
    }

    pub(crate) fn address_of(&self, server: ServerId) -> Option<Address> {
        self.book.lock().get(server).map(|places| places.peer.clone())
    }

    /// Nanoseconds since the start.
    pub(crate) fn nanos(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// What this server says when it dials.
    pub(crate) fn hello(&self, purpose: Purpose) -> Hello {
        let member = self.member();
        Hello {
            purpose,
            feature_level: self.options.feature_level,
            cluster: member.map(|member| member.cluster),
            server: member.map(|member| member.server),
            incarnation: self.options.incarnation,
            whom: None,
            places: self.options.places.clone(),
        }
    }

    /// Takes an entry of the address book in.
    pub(crate) fn learn(self: &Arc<Self>, server: ServerId, places: Places) {
        let own = self.member().is_some_and(|own| own.server == server);
        if own && self.options.places.as_ref() != Some(&places) {
            return; // nobody else knows better where this server is
        }
        let book = {
            let mut book = self.book.lock();
            if !book.learn(server, places) {
                return;
            }
            book.clone()
        };
        self.host.learned(&book);
        self.book_changes.send_replace(());
        self.connect();
    }

    /// Takes an encoded book in.
    pub(crate) fn learn_book(self: &Arc<Self>, bytes: Bytes) -> Result<(), ConnectionError> {
        let book = Book::decode(bytes).ok_or_else(|| ConnectionError::Nonsense("it sends a damaged address book".into()))?;
        for (server, places) in book.iter() {
            self.learn(server, places.clone());
        }
        Ok(())
    }

    /// Begins to keep connections to servers that are in the book and have none yet.
    fn connect(self: &Arc<Self>) {
        let Some(own) = self.member() else { return };
        let servers: Vec<_> = self.book.lock().iter().map(|(server, _)| server).collect();
        for server in servers {
            if server != own.server && self.expects(server) {
                self.keep(server);
            }
        }
    }

    fn expects(&self, server: ServerId) -> bool {
        let expected = self.expected.read();
        expected.is_empty() || expected.contains(&server)
    }

    /// Keeps a connection to a server.
    fn keep(self: &Arc<Self>, server: ServerId) -> Arc<Peer> {
        let mut peers = self.peers.write();
        let (peer, _) = peers.entry(server).or_insert_with(|| {
            let peer = Arc::new(Peer::new(server));
            let task = self.handle.spawn(peer.clone().keep(self.clone()));
            (peer, task.abort_handle())
        });
        peer.clone()
    }

    /// A server in the book that isn't expected, and is answered all the same. The configuration known here may be an old one: the consul
    /// that brings a later one can be somebody new.
    fn peer_of_later(self: &Arc<Self>, server: ServerId) -> Option<Arc<Peer>> {
        let own = self.member()?;
        (server != own.server && self.address_of(server).is_some()).then(|| self.keep(server))
    }

    /// The connection to a server ended, or could not be made: whether it is to be made again.
    pub(crate) fn goes_on(&self, server: ServerId) -> bool {
        let mut peers = self.peers.write();
        let expected = self.expects(server);
        if !expected {
            peers.remove(&server);
        }
        expected
    }
}
