//! [`ClusterHost`]: takes what comes to the peer port: messages for the driver, requests, sessions of clients.

use super::door::Door;
use super::identity::{Identity, write_book};
use super::reports::{Reports, report};
use super::request::{Answer, Promised, Request, Who, decode, encode};
use super::views::Seen;
use super::{changes, digests, drain, forming, levels, status};
use bytes::Bytes;
use curia_consensus::{Csn, Message, ServerId};
use curia_driver::{Driver, Examined, Heard, Mailbox};
use curia_peer::{Address, Book, Caller, Host, RefusalCode, Stream, Transport};
use curia_session::Key;
use parking_lot::Mutex;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A reservation that nobody made use of lapses after so long.
const RESERVED_FOR: Duration = Duration::from_secs(15);
/// How long a server may take to answer a simple question.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// See the module's page.
pub struct ClusterHost {
    /// What this server says of itself while it is in no cluster.
    pub me: Who,
    /// Whom it was told to join.
    pub join: Vec<Address>,
    /// Clients' sessions.
    pub door: Arc<Door>,
    /// What the others last said of themselves.
    pub reports: Mutex<Reports>,
    folder: PathBuf,
    service: Handle,
    book: Arc<BookFile>,
    reserved: Mutex<Option<(u64, Instant)>>,
    identity: watch::Sender<Option<Identity>>,
    transport: OnceLock<Weak<Transport>>,
    driver: OnceLock<Arc<Driver>>,
    mailbox: OnceLock<Mailbox>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// In words.
    pub why: String,
    /// Whoever was asked is a server of another cluster.
    pub other_cluster: bool,
}

impl Unanswered {
    fn because(why: impl Into<String>) -> Unanswered {
        Unanswered {
            why: why.into(),
            other_cluster: false,
        }
    }
}

impl From<Unanswered> for String {
    fn from(unanswered: Unanswered) -> String {
        unanswered.why
    }
}

/// The address book that is to be in the data folder.
struct BookFile {
    folder: PathBuf,
    latest: Mutex<Book>,
    /// Held by who writes, so that an older book never follows a newer one.
    pen: Mutex<()>,
}

impl BookFile {
    fn write(&self) {
        let _pen = self.pen.lock();
        let book = self.latest.lock().clone();
        write_book(&self.folder, &book);
    }
}

impl ClusterHost {
    /// A host of a server that may be in a cluster already.
    pub fn new(me: Who, join: Vec<Address>, folder: PathBuf, identity: Option<Identity>, door: Arc<Door>, service: Handle) -> ClusterHost {
        let book = BookFile {
            folder: folder.clone(),
            latest: Mutex::default(),
            pen: Mutex::default(),
        };
        ClusterHost {
            me,
            join,
            door,
            reports: Mutex::default(),
            service,
            book: Arc::new(book),
            folder,
            reserved: Mutex::default(),
            identity: watch::channel(identity).0,
            transport: OnceLock::new(),
            driver: OnceLock::new(),
            mailbox: OnceLock::new(),
        }
    }

    /// The transport that brings everything here.
    pub fn connect(&self, transport: &Arc<Transport>) {
        let _ = self.transport.set(Arc::downgrade(transport));
    }

    /// The driver that messages go to.
    pub fn drive(&self, driver: Arc<Driver>) {
        let _ = self.mailbox.set(driver.mailbox());
        let _ = self.driver.set(driver);
    }

    /// The transport, while the server runs.
    pub fn transport(&self) -> Option<Arc<Transport>> {
        self.transport.get()?.upgrade()
    }

    /// The driver, once this server is a member.
    pub fn driver(&self) -> Option<&Arc<Driver>> {
        self.driver.get()
    }

    /// Which server of which cluster this is, now or later.
    pub fn identity(&self) -> watch::Receiver<Option<Identity>> {
        self.identity.subscribe()
    }

    /// This server, in its own words.
    pub fn who(&self) -> Who {
        let identity = self.identity.borrow();
        Who {
            member: identity
                .as_ref()
                .map(|identity| (identity.cluster_name().to_owned(), identity.server().0)),
            ..self.me.clone()
        }
    }

    /// Asks a server.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, address: &Address, request: &Request, patience: Duration) -> Result<Answer, Unanswered> {
        let transport = self.transport().ok_or_else(|| Unanswered::because("the server is stopping"))?;
        let answer = transport
            .call(address, &encode(request), patience)
            .await
            .map_err(|error| Unanswered {
                other_cluster: matches!(error.refused, Some(RefusalCode::Cluster | RefusalCode::Recovered)),
                why: error.to_string(),
            })?;
        decode(&answer).map_err(|error| Unanswered::because(format!("{address}: {error}")))
    }

    /// Takes no founding of others for a moment.
    ///
    /// # Errors
    /// Why not.
    pub fn reserve(&self, by: u64) -> Result<(), String> {
        let mut reserved = self.reserved.lock();
        self.refuse_others(&reserved, by)?;
        *reserved = Some((by, Instant::now()));
        Ok(())
    }

    /// Ends a reservation.
    pub fn release(&self, by: u64) {
        let mut reserved = self.reserved.lock();
        if reserved.is_some_and(|(holder, _)| holder == by) {
            *reserved = None;
        }
    }

    fn refuse_others(&self, reserved: &Option<(u64, Instant)>, by: u64) -> Result<(), String> {
        if let Some(identity) = self.identity.borrow().as_ref() {
            return Err(format!(
                "{} is server {} of cluster {} already",
                self.me.peer,
                identity.server(),
                identity.cluster_name()
            ));
        }
        match reserved {
            Some((holder, since)) if *holder != by && since.elapsed() < RESERVED_FOR => {
                Err(format!("another curia init is under way at {}: try again", self.me.peer))
            }
            _ => Ok(()),
        }
    }

    /// Becomes a server of a cluster, durably. Being told the same again changes nothing.
    ///
    /// # Errors
    /// Why not.
    pub fn become_server(&self, by: u64, identity: Identity) -> Result<(), String> {
        let reserved = self.reserved.lock();
        if self.identity.borrow().as_ref().is_some_and(|known| known.same(&identity)) {
            return Ok(());
        }
        self.refuse_others(&reserved, by)?;
        if let Some(fault) = identity.fault() {
            return Err(format!("what {} is to become makes no sense: {fault}", self.me.peer));
        }
        identity
            .write(&self.folder)
            .map_err(|error| format!("{} cannot write its data folder: {error}", self.me.peer))?;
        tracing::info!("this is server {} of cluster {}", identity.server(), identity.cluster_name());
        self.identity.send_replace(Some(identity));
        Ok(())
    }

    /// Notes something in what says which server this is, durably.
    ///
    /// # Errors
    /// When it can't be written; nothing is noted then.
    pub fn note(&self, change: impl FnOnce(&mut Identity)) -> std::io::Result<()> {
        let _one = self.reserved.lock();
        let Some(mut identity) = self.identity.borrow().clone() else {
            return Ok(());
        };
        change(&mut identity);
        identity.write(&self.folder)?;
        self.identity.send_replace(Some(identity));
        Ok(())
    }

    /// The cluster as it is now.
    fn seen<'a>(&'a self, examined: &'a Examined) -> Seen<'a> {
        Seen {
            examined,
            host: Some(self),
            sql: &self.me.sql,
        }
    }

    async fn answer(&self, caller: Caller, request: Request) -> Answer {
        match request {
            Request::Who => Answer::Who(self.who()),
            Request::Init {
                wait_seconds,
                without_absent,
            } => forming::init(self, Duration::from_secs(wait_seconds.min(600)), without_absent).await,
            Request::Reserve(by) => done(self.reserve(by)),
            Request::Release(by) => {
                self.release(by);
                done(Ok(()))
            }
            Request::Become { by, identity } => {
                tracing::info!("{} tells what this server becomes", caller.address);
                done(self.become_server(by, *identity))
            }
            Request::Book => {
                let book = self.transport().map(|transport| transport.book()).unwrap_or_default();
                Answer::Book(book.iter().map(|(server, places)| (server.0, places.clone())).collect())
            }
            Request::Report => match self.driver() {
                None => Answer::Refused(format!("{} is in no cluster", self.me.peer)),
                Some(driver) => match driver.examine().await {
                    Ok(examined) => Answer::Report(report(Some(self), &examined)),
                    Err(error) => Answer::Refused(error.to_string()),
                },
            },
            Request::Cancel { process, secret } => {
                self.door.cancel_here(Key { process, secret });
                done(Ok(()))
            }
            Request::Describe => match self.driver() {
                None => Answer::Described(serde_json::json!({ "peer_addr": self.me.peer, "member": null })),
                Some(driver) => match driver.examine().await {
                    Ok(examined) => Answer::Described(self.seen(&examined).describe()),
                    Err(error) => Answer::Refused(error.to_string()),
                },
            },
            Request::Heard(server) => match self.driver() {
                None => Answer::Heard(None),
                Some(driver) => match driver.examine().await {
                    Ok(examined) => Answer::Heard(examined.heard.get(&ServerId(server)).map(promised)),
                    Err(error) => Answer::Refused(error.to_string()),
                },
            },
            Request::Drain { on } => drain::drain(self, on).await,
            Request::DrainServer { server, on } => drain::drain_server(self, server, on).await,
            Request::Replace { server, address } => changes::replace(self, server, &address)
                .await
                .map_or_else(Answer::Refused, Answer::Done),
            Request::Levels => levels::page(self).map_or_else(Answer::Refused, Answer::Done),
            Request::Status => Answer::Done(status::page(self).await),
            Request::Servers => Answer::Done(status::servers(self)),
            Request::Digests { csn, wait_seconds } => digests::page(self, csn.map(Csn), Duration::from_secs(wait_seconds.min(600)))
                .await
                .map_or_else(Answer::Refused, Answer::Done),
            Request::Change { change, passed_on } => changes::change(self, change, passed_on).await,
        }
    }
}

/// What was heard, as it is told.
fn promised(heard: &Heard) -> Promised {
    Promised {
        term: heard.term.0,
        logs: heard.logs.iter().map(|(log, index)| (log.to_u32(), index.0)).collect(),
    }
}

/// An outcome as an answer.
pub fn done(outcome: Result<(), String>) -> Answer {
    match outcome {
        Ok(()) => Answer::Done(String::new()),
        Err(why) => Answer::Refused(why),
    }
}

impl Host for ClusterHost {
    fn deliver(&self, message: Message) {
        if let Some(mailbox) = self.mailbox.get() {
            mailbox.deliver(message);
        }
    }

    fn request(&self, caller: Caller, body: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(async move {
            let own = self.identity.borrow().as_ref().map(Identity::cluster);
            let answer = match decode(&body) {
                Err(error) => Answer::Refused(error),
                Ok(_) if caller.cluster.is_some() && own.is_some() && caller.cluster != own => {
                    Answer::Refused(format!("{} is of cluster {}", self.me.peer, own.unwrap_or_default()))
                }
                Ok(request) => self.answer(caller, request).await,
            };
            encode(&answer).into()
        })
    }

    fn session(&self, stream: Stream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.door.clone().take_passed_on(stream))
    }

    fn learned(&self, book: &Book) {
        *self.book.latest.lock() = book.clone();
        let file = self.book.clone();
        self.service.spawn_blocking(move || file.write()); // the disk may be slow, and messages don't wait for it
    }
}
