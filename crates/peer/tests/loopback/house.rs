//! Transports of several servers in one process, and hosts that keep what comes.

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use curia_consensus::record::{Entry, Payload, Record};
use curia_consensus::{Append, Body, ClusterId, GroupId, Incarnation, Index, LogId, Message, Section, ServerId, Tail, Term};
use curia_peer::certificates::{self, Holder, Signed};
use curia_peer::{Address, Book, Caller, Host, Member, PeerTls, Places, Stream, Transport, TransportOptions};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

pub const CLUSTER: ClusterId = ClusterId(77);
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps what comes; answers requests and sessions with what was said, in brackets.
#[derive(Default)]
pub struct Guest {
    pub messages: Mutex<Vec<Message>>,
    pub book: Mutex<Book>,
}

impl Host for Guest {
    fn deliver(&self, message: Message) {
        self.messages.lock().push(message);
    }

    fn request(&self, caller: Caller, body: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(async move {
            let who = caller.server.map_or("?".to_owned(), |server| server.to_string());
            format!("{who}[{}]", String::from_utf8_lossy(&body)).into()
        })
    }

    fn session(&self, mut stream: Stream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            let answer = format!("[{}]", said.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        })
    }

    fn learned(&self, book: &Book) {
        *self.book.lock() = book.clone();
    }
}

/// One server.
pub struct House {
    pub transport: Transport,
    pub guest: Arc<Guest>,
    pub address: Address,
}

impl House {
    pub fn open(service: &Runtime, member: Option<Member>, run: u64, tls: Option<PeerTls>, book: Book) -> House {
        Self::open_at(TcpListener::bind("127.0.0.1:0").unwrap(), service, member, run, tls, book)
    }

    pub fn open_at(listener: TcpListener, service: &Runtime, member: Option<Member>, run: u64, tls: Option<PeerTls>, book: Book) -> House {
        let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let options = TransportOptions {
            incarnation: Incarnation(run),
            feature_level: 1,
            tls,
            places: Some(places(run, &address)),
            service: service.handle().clone(),
        };
        let guest = Arc::new(Guest::default());
        let transport = Transport::start(listener, options, book, guest.clone()).unwrap();
        if let Some(member) = member {
            transport.become_member(member);
        }
        House { transport, guest, address }
    }

    /// Whether it has a connection to a server.
    pub fn reaches(&self, server: u64) -> bool {
        let links = self.transport.links();
        links
            .iter()
            .any(|link| link.server == ServerId(server) && link.connected_for.is_some())
    }
}

pub fn places(number: u64, address: &Address) -> Places {
    Places {
        number,
        peer: address.clone(),
        sql: "sql".to_owned(),
    }
}

pub fn member(server: u64) -> Option<Member> {
    Some(Member {
        cluster: CLUSTER,
        server: ServerId(server),
    })
}

/// A book of which nothing but addresses is known.
pub fn book(entries: &[(u64, &Address)]) -> Book {
    let mut book = Book::default();
    for (server, address) in entries {
        book.learn(ServerId(*server), places(0, address));
    }
    book
}

pub fn service() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Two servers that know each other.
pub fn pair(service: &Runtime, tls: Option<PeerTls>) -> (House, House) {
    let first = House::open(service, member(1), 11, tls.clone(), Book::default());
    let second = House::open(service, member(2), 22, tls, book(&[(1, &first.address)]));
    wait("connections", || first.reaches(2) && second.reaches(1));
    (first, second)
}

pub fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let from = Instant::now();
    while !holds() {
        assert!(from.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn message(from: u64, to: u64, id: u64) -> Message {
    Message {
        cluster: CLUSTER,
        from: ServerId(from),
        to: ServerId(to),
        incarnation: Incarnation(1),
        term: Term(1),
        body: Body::ReadIndex { id },
    }
}

pub fn append(from: u64, to: u64, bytes: usize) -> Message {
    let entry = Entry {
        index: Index(1),
        term: Term(1),
        record: Record::Stage(Payload::Held(vec![7; bytes].into())),
    };
    let section = Section {
        log: LogId::Group(GroupId(0)),
        base: None,
        previous: Tail::default(),
        entries: vec![entry],
        complete: Default::default(),
        closed: Default::default(),
    };
    Message {
        body: Body::Append(Append {
            sections: vec![section],
            ..Append::default()
        }),
        ..message(from, to, 0)
    }
}

pub fn authority() -> Signed {
    certificates::authority(PATIENCE * 100).unwrap()
}

pub fn tls(authority: &Signed, holder: &Holder) -> PeerTls {
    let own = certificates::sign(authority, holder, PATIENCE * 100).unwrap();
    PeerTls::new(authority.certificate.as_bytes(), own.certificate.as_bytes(), own.key.as_bytes()).unwrap()
}

pub fn local_server() -> Holder {
    Holder::Server(vec!["localhost".into(), "127.0.0.1".into()])
}
