//! The network between servers: every connection of one server to another goes through a proxy here, which can hold,
//! delay and reset it.
//!
//! ```text
//!   server 1 ── dials what server 2 advertises ──► proxy of server 2 ──► server 2's peer port
//!                                                   │ link 1 ─► 2: bytes of the dialler
//!                                                   └ link 2 ─► 1: bytes of the answer
//! ```
//!
//! Each server advertises its proxy's address. The dialler says in its first words where it is itself (`docs/wire.md`), so
//! each connection is known by its directed pair. A *link* is one direction of one pair, whoever dialled: what is cut from 1
//! to 2 holds requests of 1 to 2 and answers of 1 to 2. Held bytes arrive when the link is mended, as TCP would send them
//! again, unless the connection is reset or its ends gave up before. Tools give no address and are never held.

use rand::RngExt;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Most servers of a run, those included that were removed again.
pub const SERVERS_MAX: usize = 32;
/// Bytes that a link holds of one connection.
const HELD_BYTES: usize = 64 << 10;
/// How long a dialler may take for its first words.
const FIRST_WORDS: Duration = Duration::from_secs(5);
/// The part of the first words that has the same place in every version.
const HEAD_BYTES: usize = 20;
/// Longest rest of the first words.
const REST_BYTES_MAX: usize = 4 << 10;
/// Where the rest has the dialler's peer address: u16 bytes, then text.
const ADDRESS_OFFSET: usize = 48;

/// How it is with one direction of one pair of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weather {
    cut: bool,
    delay: Duration,
    /// Added to the delay, any part of it.
    jitter: Duration,
    /// Connections that were there before the last reset are gone.
    resets: u64,
}

/// All links and the proxies. Dropping it closes them.
#[derive(Debug)]
pub struct Network {
    links: Arc<Vec<watch::Sender<Weather>>>,
    addresses: watch::Sender<BTreeMap<String, usize>>,
    proxies: Vec<JoinHandle<()>>,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            links: Arc::new((0..SERVERS_MAX * SERVERS_MAX).map(|_| watch::Sender::default()).collect()),
            addresses: watch::Sender::default(),
            proxies: Vec::new(),
        }
    }
}

impl Network {
    /// Puts a proxy for a server at `advertised`, before its peer port at `real`.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub async fn join(&mut self, server: usize, advertised: SocketAddr, real: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(advertised).await?;
        self.addresses.send_modify(|addresses| {
            addresses.insert(advertised.to_string(), server);
        });
        let (links, addresses) = (self.links.clone(), self.addresses.subscribe());
        self.proxies.push(tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(serve(stream, server, real, links.clone(), addresses.clone()));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }));
        Ok(())
    }

    fn change(&self, from: usize, to: usize, change: impl FnOnce(&mut Weather)) {
        if from != to {
            self.links[from * SERVERS_MAX + to].send_modify(change);
        }
    }

    /// From now on nothing of one server reaches the other.
    pub fn cut(&self, from: usize, to: usize) {
        self.change(from, to, |weather| weather.cut = true);
    }

    /// From now on everything of one server to the other comes later.
    pub fn slow(&self, from: usize, to: usize, delay: Duration, jitter: Duration) {
        self.change(from, to, |weather| (weather.delay, weather.jitter) = (delay, jitter));
    }

    /// Ends all connections of one server to the other, and the other way round, that are there now.
    pub fn reset(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            self.change(from, to, |weather| weather.resets += 1);
        }
    }

    /// All links are whole and fast again. With `reset`, connections that were held are gone.
    pub fn mend(&self, reset: bool) {
        for link in self.links.iter() {
            link.send_if_modified(|weather| {
                let resets = weather.resets + u64::from(reset && weather.cut);
                let mended = Weather {
                    resets,
                    ..Weather::default()
                };
                let changed = mended != *weather;
                *weather = mended;
                changed
            });
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for proxy in &self.proxies {
            proxy.abort();
        }
    }
}

/// One connection to a server, from its first words to its end.
async fn serve(
    mut stream: TcpStream,
    to: usize,
    real: SocketAddr,
    links: Arc<Vec<watch::Sender<Weather>>>,
    addresses: watch::Receiver<BTreeMap<String, usize>>,
) {
    let Ok(Ok(words)) = timeout(FIRST_WORDS, first_words(&mut stream)).await else {
        return;
    };
    let from = dialler(&words).and_then(|address| addresses.borrow().get(&address).copied());
    let link = |from: usize, to: usize| links[from * SERVERS_MAX + to].subscribe();
    let (mut there, back) = match from {
        Some(from) => (Gate::of(link(from, to)), Gate::of(link(to, from))),
        None => (Gate::open(), Gate::open()),
    };
    if there.pass().await.is_err() {
        return;
    }
    let Ok(mut onward) = TcpStream::connect(real).await else { return };
    for stream in [&stream, &onward] {
        let _ = stream.set_nodelay(true);
    }
    if onward.write_all(&words).await.is_err() {
        return;
    }
    let ((read, write), (onward_read, onward_write)) = (stream.into_split(), onward.into_split());
    // Either side's end, or a reset, ends both: servers never close one direction only.
    tokio::select! {
        _ = pump(read, onward_write, there) => {}
        _ = pump(onward_read, write, back) => {}
    }
}

async fn pump(mut read: OwnedReadHalf, mut write: OwnedWriteHalf, mut gate: Gate) -> Result<(), Reset> {
    let mut buffer = vec![0; HELD_BYTES];
    loop {
        let taken = tokio::select! {
            taken = read.read(&mut buffer) => taken.unwrap_or(0),
            reset = gate.reset() => return Err(reset),
        };
        gate.pass().await?; // the end of a connection is held like its bytes
        let written = tokio::select! {
            written = write.write_all(&buffer[..taken]) => written.is_ok(),
            reset = gate.reset() => return Err(reset),
        };
        if taken == 0 || !written {
            return Ok(());
        }
    }
}

/// The connection is to be no more.
struct Reset;

/// One connection's view of a link.
struct Gate {
    weather: watch::Receiver<Weather>,
    resets: u64,
}

impl Gate {
    fn of(weather: watch::Receiver<Weather>) -> Gate {
        let resets = weather.borrow().resets;
        Gate { weather, resets }
    }

    /// Of a link that nobody cuts.
    fn open() -> Gate {
        Gate::of(watch::channel(Weather::default()).1)
    }

    /// Resolves when the link is open, and its delay over.
    async fn pass(&mut self) -> Result<(), Reset> {
        let resets = self.resets;
        let settled = self.weather.wait_for(|weather| !weather.cut || weather.resets != resets).await;
        let weather = settled.map(|weather| *weather).unwrap_or_default();
        if weather.resets != resets {
            return Err(Reset);
        }
        let jitter = weather.jitter.mul_f64(rand::rng().random::<f64>());
        if !(weather.delay + jitter).is_zero() {
            tokio::select! {
                () = tokio::time::sleep(weather.delay + jitter) => {}
                reset = self.reset() => return Err(reset),
            }
        }
        Ok(())
    }

    /// Resolves when the connection is to be reset.
    async fn reset(&mut self) -> Reset {
        let resets = self.resets;
        if self.weather.wait_for(|weather| weather.resets != resets).await.is_ok() {
            return Reset;
        }
        std::future::pending().await // nobody changes this link any more
    }
}

async fn first_words(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut words = vec![0; HEAD_BYTES];
    stream.read_exact(&mut words).await?;
    let length = [words[12], words[13], words[14], words[15]];
    let rest = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if rest > REST_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    words.resize(HEAD_BYTES + rest, 0);
    stream.read_exact(&mut words[HEAD_BYTES..]).await?;
    Ok(words)
}

/// The peer address that a dialler says it has.
fn dialler(words: &[u8]) -> Option<String> {
    let (length, text) = words.get(HEAD_BYTES + ADDRESS_OFFSET..)?.split_first_chunk()?;
    let text = text.get(..usize::from(u16::from_le_bytes(*length)))?;
    String::from_utf8(text.to_vec()).ok()
}
