//! The connection to one peer that carries this server's messages: dialled again and again for as long as the peer is in
//! the address book.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use curia_consensus::{Message, ServerId};
use parking_lot::Mutex;
use rand::RngExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use crate::book::Address;
use crate::connection::{self, ConnectionError, FrameReader, SILENCE, Stream};
use crate::frame::{self, Kind, Whole};
use crate::handshake::{Hello, Purpose, RefusalCode};
use crate::lanes::{LANES, Leaving, Taken, Waiting};
use crate::listening::BOOK_BYTES_MAX;
use crate::measure::Counts;
use crate::transport::Shared;

/// How often a peer is asked whether it is there.
pub(crate) const PING: Duration = Duration::from_millis(500);
/// One write to the socket is about so long: what comes meanwhile waits for it.
const WRITE_BYTES: usize = 128 << 10;
/// Shortest and longest wait before dialling again; each is jittered by half.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A peer that stays unreachable gets a line in the log so often.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// One peer: what waits for it, and how the connection to it is.
pub(crate) struct Peer {
    pub(crate) server: ServerId,
    waiting: Mutex<Waiting>,
    wake: Notify,
    pub(crate) counts: Counts,
    state: Mutex<State>,
    /// The last round trip in nanoseconds; zero for none.
    round_trip: AtomicU64,
}

#[derive(Default)]
struct State {
    address: Option<Address>,
    connected_at: Option<Instant>,
    feature_level: Option<u32>,
    error: Option<String>,
    said: Option<(Instant, String)>,
}

/// How the connection to a peer is.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    /// The peer.
    pub server: ServerId,
    /// Where it is dialled.
    pub address: Option<Address>,
    /// For how long it has been connected; `None` while it isn't.
    pub connected_for: Option<Duration>,
    /// The last time from a ping to its answer.
    pub round_trip: Option<Duration>,
    /// The highest level of features that it knows.
    pub feature_level: Option<u32>,
    /// Why it isn't connected, if it isn't.
    pub error: Option<String>,
    /// Bytes sent to it since the start.
    pub sent_bytes: u64,
    /// Bytes of messages received from it since the start.
    pub received_bytes: u64,
    /// Messages that were not sent, as there was no room or no connection.
    pub dropped: u64,
    /// Bytes that wait to be sent.
    pub waiting_bytes: u64,
}

impl Peer {
    pub(crate) fn new(server: ServerId) -> Self {
        Self {
            server,
            waiting: Mutex::default(),
            wake: Notify::new(),
            counts: Counts::of(server),
            state: Mutex::default(),
            round_trip: AtomicU64::new(0),
        }
    }

    pub(crate) fn push(&self, message: Message) {
        let taken = self.waiting.lock().push(message);
        match taken {
            Taken::Waits => self.wake.notify_one(),
            Taken::Dropped(lane) => self.counts.dropped[lane].add(1),
        }
    }

    pub(crate) fn entries_wait(&self) -> bool {
        self.waiting.lock().entries_wait()
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let state = self.state.lock();
        let round_trip = self.round_trip.load(Ordering::Relaxed);
        LinkStatus {
            server: self.server,
            address: state.address.clone(),
            connected_for: state.connected_at.map(|at| at.elapsed()),
            round_trip: (round_trip > 0).then(|| Duration::from_nanos(round_trip)),
            feature_level: state.feature_level,
            error: state.error.clone(),
            sent_bytes: self.counts.sent_bytes.get(),
            received_bytes: self.counts.received_bytes.get(),
            dropped: self.counts.dropped.iter().map(|count| count.get()).sum(),
            waiting_bytes: self.waiting.lock().bytes().iter().sum::<usize>() as u64,
        }
    }

    /// Keeps a connection, until the task is stopped; to a server that isn't expected, as long as it works.
    pub(crate) async fn keep(self: Arc<Self>, shared: Arc<Shared>) {
        let mut wait = BACK_OFF.0;
        loop {
            let mut book = shared.book_changes.subscribe();
            let address = shared.address_of(self.server);
            if let Some(address) = address {
                let begun = Instant::now();
                let error = match self.dial(&shared, &address).await {
                    Ok(stream) => {
                        let error = self.talk(stream, &shared).await;
                        self.lost();
                        error
                    }
                    Err(error) => error,
                };
                self.explain(&address, &error, &shared);
                if !shared.goes_on(self.server) {
                    return;
                }
                if begun.elapsed() > BACK_OFF.1 {
                    wait = BACK_OFF.0; // it worked for a while
                }
            }
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.5));
            wait = (wait * 2).min(BACK_OFF.1);
            tokio::select! {
                () = tokio::time::sleep(jittered) => {}
                _ = book.changed() => {} // perhaps it is somewhere else now
            }
        }
    }

    async fn dial(&self, shared: &Shared, address: &Address) -> Result<Stream, ConnectionError> {
        self.state.lock().address = Some(address.clone());
        let hello = Hello {
            whom: Some(self.server),
            ..shared.hello(Purpose::Messages)
        };
        let (stream, welcome) = connection::dial(address, shared.options.tls.as_ref(), &hello).await?;
        if welcome.cluster != hello.cluster || welcome.server != hello.whom {
            return Err(ConnectionError::Nonsense("another server answers there".into()));
        }
        {
            let mut state = self.state.lock();
            state.connected_at = Some(Instant::now());
            state.feature_level = Some(welcome.feature_level);
            (state.error, state.said) = (None, None);
        }
        self.waiting.lock().connected();
        self.counts.connections.add(1);
        self.counts.connected.set(1.0);
        tracing::info!("connected to server {} at {address}", self.server);
        Ok(stream)
    }

    fn lost(&self) {
        self.state.lock().connected_at = None;
        let dropped = self.waiting.lock().disconnected();
        self.counts.dropped[0].add(dropped as u64);
        self.counts.connected.set(0.0);
        self.round_trip.store(0, Ordering::Relaxed);
    }

    /// Says why there is no connection: when that is news, and now and then.
    fn explain(&self, address: &Address, error: &ConnectionError, shared: &Shared) {
        if let ConnectionError::Refused(refused) = error
            && matches!(refused.code, RefusalCode::Identity | RefusalCode::Level | RefusalCode::Recovered)
        {
            shared.misidentified.send_replace(Some(refused.text.clone()));
        }
        let why = error.to_string();
        let mut state = self.state.lock();
        let news = state
            .said
            .as_ref()
            .is_none_or(|(at, said)| *said != why || at.elapsed() > SAY_AGAIN);
        if news {
            tracing::warn!("not connected to server {} at {address}: {why}", self.server);
            state.said = Some((Instant::now(), why.clone()));
        }
        state.error = Some(why);
    }

    async fn talk(&self, stream: Stream, shared: &Arc<Shared>) -> ConnectionError {
        let (read, write) = tokio::io::split(stream);
        let ended = tokio::select! {
            ended = self.write(write, shared) => ended,
            ended = self.read(read, shared) => ended,
        };
        match ended {
            Ok(()) => ConnectionError::Closed,
            Err(error) => error,
        }
    }

    async fn write(&self, mut io: impl AsyncWrite + Unpin, shared: &Arc<Shared>) -> Result<(), ConnectionError> {
        let mut leaving = Leaving::default();
        let mut out = BytesMut::new();
        let mut book = shared.book_changes.subscribe();
        book.mark_changed();
        let mut next_ping = tokio::time::Instant::now();
        let mut unheld = 0;
        loop {
            if tokio::time::Instant::now() >= next_ping {
                frame::encode(Kind::Ping, 0, true, &shared.nanos().to_le_bytes(), &mut out);
                next_ping = tokio::time::Instant::now() + PING;
                for (lane, bytes) in self.waiting.lock().bytes().into_iter().enumerate() {
                    self.counts.waiting_bytes[lane].set(bytes as f64);
                }
            }
            if book.has_changed().unwrap_or(false) {
                book.mark_unchanged();
                frame::encode_whole(Kind::Book, &shared.book.lock().encode(), &mut out);
            }
            self.counts.sent_frames.add(leaving.frames(&self.waiting, WRITE_BYTES, &mut out));
            self.counts.dropped[1].add(leaving.unheld() - unheld);
            unheld = leaving.unheld();
            if out.is_empty() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep_until(next_ping) => {}
                    _ = book.changed() => book.mark_changed(),
                }
                continue;
            }
            self.counts.sent_bytes.add(out.len() as u64);
            connection::write(&mut io, &mut out).await?;
        }
    }

    async fn read(&self, io: impl AsyncRead + Unpin, shared: &Arc<Shared>) -> Result<(), ConnectionError> {
        let (mut frames, mut whole) = (FrameReader::new(io), Whole::default());
        loop {
            let frame = frames.next(SILENCE).await?;
            match frame.kind {
                Kind::Pong => {
                    let sent = frame.body.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                    let round_trip = shared.nanos().saturating_sub(sent).max(1);
                    self.round_trip.store(round_trip, Ordering::Relaxed);
                    self.counts.round_trip.set(Duration::from_nanos(round_trip).as_secs_f64());
                }
                Kind::Book => {
                    if let Some(book) = whole.take(frame.body, frame.last, BOOK_BYTES_MAX)? {
                        shared.learn_book(book)?;
                    }
                }
                _ => return Err(ConnectionError::Nonsense("it sends what is not asked for".into())),
            }
        }
    }
}

/// What is left of messages that came in parts, by lane.
pub(crate) type Parts = [Whole; LANES];

/// The bytes of a message that is too long for any: nothing is ever proposed that leads to it.
pub(crate) const MESSAGE_BYTES_MAX: usize = curia_consensus::PAYLOAD_BYTES_MAX + (64 << 20);

/// Takes a part of a message; the whole, if it was the last.
pub(crate) fn take_part(parts: &mut Parts, lane: u8, body: Bytes, last: bool) -> Result<Option<Bytes>, ConnectionError> {
    Ok(parts[usize::from(lane)].take(body, last, MESSAGE_BYTES_MAX)?)
}
