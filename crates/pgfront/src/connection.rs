//! One client's socket with its buffers, and [`Output`] over them.
//!
//! Input is read into a buffer that belongs to the thread and copied on from there, output buffers are given back when they were flushed:
//! so an idle connection keeps nothing but the socket. Everything a message burst produces leaves in one write; it is written when the
//! input is empty, before a wait, and above [`FLUSH_BYTES`]. A session that is passed on has such a connection too: to the other server.

use crate::decode::{self, Frame, FrameError, Message};
use crate::encode;
use curia_session::{CopyInput, Disconnected, Field, Format, Interrupt, Notice, Notification, Output, Place, Stop};
use curia_types::{Result, SqlError, SqlState};
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Output above this is sent before more is produced.
pub const FLUSH_BYTES: usize = 32 << 10;
/// Buffers above this are given back when they are empty.
const KEEP_BYTES: usize = 8 << 10;
/// Bytes one read takes at most.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Plain or encrypted.
pub enum Socket {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// To another server.
    Link(Box<dyn Link>),
}

/// Both directions of a connection between servers.
pub trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

impl Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Socket::Tls(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
            Socket::Link(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
        }
    }
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Plain(s) => Pin::new(s).poll_write(cx, bytes),
            Socket::Tls(s) => Pin::new(s.as_mut()).poll_write(cx, bytes),
            Socket::Link(s) => Pin::new(s.as_mut()).poll_write(cx, bytes),
        }
    }
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Plain(s) => Pin::new(s).poll_flush(cx),
            Socket::Tls(s) => Pin::new(s.as_mut()).poll_flush(cx),
            Socket::Link(s) => Pin::new(s.as_mut()).poll_flush(cx),
        }
    }
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Plain(s) => s.write_all(bytes).await,
            Socket::Tls(s) => {
                s.write_all(bytes).await?;
                s.flush().await
            }
            Socket::Link(s) => {
                s.write_all(bytes).await?;
                s.flush().await
            }
        }
    }
    async fn shutdown(&mut self) {
        // The peer may be gone already; there is nothing to do about a failing goodbye.
        let _ = match self {
            Socket::Plain(s) => s.shutdown().await,
            Socket::Tls(s) => AsyncWriteExt::shutdown(s.as_mut()).await,
            Socket::Link(s) => AsyncWriteExt::shutdown(s.as_mut()).await,
        };
    }
}

/// Received bytes that are not yet consumed.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
    fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.bytes.len() {
            self.start = 0;
            if self.bytes.capacity() > KEEP_BYTES {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }
    fn append(&mut self, bytes: &[u8]) {
        // Move the unread rest to the front rather than grow without need.
        if self.start > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
    fn prepend(&mut self, bytes: &[u8]) {
        self.bytes.splice(..self.start, bytes.iter().copied());
        self.start = 0;
    }
}

/// A client's connection.
pub struct Connection {
    socket: Socket,
    input: Input,
    output: Vec<u8>,
    /// The socket has taken bytes that it may not have sent.
    unflushed: bool,
    /// How often output left.
    flushes: u64,
    /// Whether the buffered output holds results of a statement that a client may act on before the next one is done.
    results: bool,
    /// Where in the buffered output the answers begin that may be taken back; `None`: there are none, or some of them left.
    held: Option<usize>,
    /// Most bytes of one message.
    message_limit: usize,
    /// Who may end the session while the client takes nothing.
    interrupt: Option<Arc<Interrupt>>,
}

/// Resolves when the session is to end at once.
async fn ended(interrupt: Option<&Interrupt>) -> io::Error {
    match interrupt {
        Some(interrupt) => interrupt.ended(true).await,
        None => pending().await,
    }
    io::ErrorKind::ConnectionAborted.into()
}

fn poll_input(socket: &mut Socket, input: &mut Input, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buf = ReadBuf::new(scratch);
        match socket.poll_read(cx, &mut buf) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                input.append(buf.filled());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(Disconnected)),
        }
    })
}

/// Why no message could be had.
#[derive(Debug)]
pub enum ReadError {
    /// The client closed the connection, or it broke.
    Gone,
    /// What came is not a message.
    Frame(FrameError),
}

impl Connection {
    /// Takes over a socket.
    pub fn new(socket: Socket, message_limit: usize) -> Connection {
        Connection {
            socket,
            input: Input::default(),
            output: Vec::new(),
            unflushed: false,
            flushes: 0,
            results: false,
            held: None,
            message_limit,
            interrupt: None,
        }
    }

    /// From now on a session that is to end at once waits no longer until the other side takes what is sent.
    pub fn ends_with(&mut self, interrupt: &Arc<Interrupt>) {
        self.interrupt = Some(interrupt.clone());
    }

    /// Sends the first bytes of the output.
    async fn send(&mut self, bytes: usize) -> Result<(), Disconnected> {
        let Connection {
            socket, output, interrupt, ..
        } = self;
        let sent = tokio::select! {
            biased;
            sent = socket.write_all(&output[..bytes]) => sent,
            error = ended(interrupt.as_deref()) => Err(error),
        };
        sent.map_err(|_| Disconnected)
    }

    /// The socket again, to be wrapped in TLS. `None` when bytes that came early would be lost.
    pub fn into_plain(self) -> Option<TcpStream> {
        match self.socket {
            Socket::Plain(s) if self.input.unread().is_empty() => Some(s),
            _ => None,
        }
    }

    /// The output buffer.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// What is answered from here on may have to be taken back: it stays as long as nothing forces it out.
    pub fn hold(&mut self) {
        self.held = Some(self.output.len());
    }

    /// Takes back what was answered since [`Connection::hold`]. False: some of it has left.
    pub fn rewind(&mut self) -> bool {
        if let Some(at) = self.held {
            self.output.truncate(at);
        }
        self.held.is_some()
    }

    /// What was answered stands.
    pub fn let_go(&mut self) {
        self.held = None;
    }

    /// Received bytes that are not yet consumed.
    pub fn unread(&self) -> &[u8] {
        self.input.unread()
    }

    /// Consumes what [`Connection::unread`] gave.
    pub fn consume(&mut self, n: usize) {
        self.input.consume(n);
    }

    /// Most bytes of one message.
    pub fn message_limit(&self) -> usize {
        self.message_limit
    }

    /// Grows whenever output leaves: what was buffered before can't be taken back any more.
    pub fn flushes(&self) -> u64 {
        self.flushes
    }

    /// Puts messages back that were consumed and are to be read again.
    pub fn unconsume(&mut self, bytes: &[u8]) {
        self.input.prepend(bytes);
    }

    /// Sends what is buffered and, if `more`, reads; done as soon as either made progress. May be dropped while it waits.
    pub async fn exchange(&mut self, more: bool) -> Result<(), Disconnected> {
        poll_fn(|cx| {
            let mut progress = false;
            while !self.output.is_empty() {
                match self.socket.poll_write(cx, &self.output) {
                    Poll::Ready(Ok(sent)) if sent > 0 => {
                        self.output.drain(..sent);
                        (progress, self.unflushed) = (true, true);
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(Disconnected)),
                    Poll::Pending => break,
                }
            }
            if self.unflushed {
                match self.socket.poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Disconnected)),
                    Poll::Pending => {}
                }
            }
            if more {
                let Connection { socket, input, .. } = self;
                progress |= match poll_input(socket, input, cx) {
                    Poll::Ready(Ok(())) => true,
                    Poll::Ready(Err(gone)) => return Poll::Ready(Err(gone)),
                    Poll::Pending => false,
                };
            }
            match progress {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Waits for more input. May be dropped while it waits.
    pub async fn read_more(&mut self) -> Result<(), Disconnected> {
        let Connection { socket, input, .. } = self;
        poll_fn(|cx| poll_input(socket, input, cx)).await
    }

    /// The outline of the next message when all of it has arrived.
    pub fn next_frame(&self) -> Result<Option<Frame>, FrameError> {
        let unread = self.input.unread();
        Ok(decode::frame(unread, self.message_limit)?.filter(|f| unread.len() >= f.size()))
    }

    /// Moves the body of the next message into `body` (what was there is lost) and consumes it.
    pub fn take_body(&mut self, frame: Frame, body: &mut Vec<u8>) {
        body.clear();
        if body.capacity() > KEEP_BYTES && frame.body <= KEEP_BYTES {
            *body = Vec::new();
        }
        body.extend_from_slice(&self.input.unread()[Frame::HEADER..frame.size()]);
        self.input.consume(frame.size());
    }

    /// Waits for a whole message and gives its type; for the phases that expect one message at a time.
    pub async fn read_message(&mut self, body: &mut Vec<u8>) -> Result<u8, ReadError> {
        loop {
            if let Some(frame) = self.next_frame().map_err(ReadError::Frame)? {
                self.take_body(frame, body);
                return Ok(frame.kind);
            }
            self.read_more().await.map_err(|_| ReadError::Gone)?;
        }
    }

    /// Gives back what an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.output.is_empty() && self.output.capacity() > 0 {
            self.output = Vec::new();
        }
        if self.input.unread().is_empty() {
            self.input = Input::default();
        }
    }

    /// Sends everything and ends the connection.
    pub async fn close(&mut self) {
        if self.flush().await.is_ok() {
            tokio::select! {
                biased;
                () = self.socket.shutdown() => {}
                _ = ended(self.interrupt.as_deref()) => {}
            }
        }
    }
}

impl Output for Connection {
    fn parse_complete(&mut self) {
        encode::empty(&mut self.output, b'1');
    }
    fn bind_complete(&mut self) {
        encode::empty(&mut self.output, b'2');
    }
    fn close_complete(&mut self) {
        encode::empty(&mut self.output, b'3');
    }
    fn no_data(&mut self) {
        encode::empty(&mut self.output, b'n');
    }
    fn parameter_description(&mut self, types: &[u32]) {
        encode::parameter_description(&mut self.output, types);
    }
    fn row_description(&mut self, fields: &[Field], formats: &[Format]) {
        encode::row_description(&mut self.output, fields, formats);
    }
    fn data_row(&mut self, columns: usize, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        encode::data_row(&mut self.output, columns, write)
    }
    fn command_complete(&mut self, tag: &str) {
        encode::command_complete(&mut self.output, tag);
        self.results = true;
    }
    fn empty_query(&mut self) {
        encode::empty(&mut self.output, b'I');
    }
    fn portal_suspended(&mut self) {
        encode::empty(&mut self.output, b's');
    }
    fn notice(&mut self, notice: &Notice) {
        encode::notice(&mut self.output, notice);
        self.results = true;
    }
    fn notification(&mut self, told: &Notification) {
        encode::notification(&mut self.output, told);
    }
    fn parameter_status(&mut self, name: &str, value: &str) {
        encode::parameter_status(&mut self.output, name, value);
    }
    fn copy_in(&mut self, format: Format, columns: usize) {
        encode::copy_response(&mut self.output, b'G', format, columns);
        self.results = true;
    }
    fn copy_out(&mut self, format: Format, columns: usize) {
        encode::copy_response(&mut self.output, b'H', format, columns);
        self.results = true;
    }
    fn copy_row(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        encode::copy_data(&mut self.output, write)
    }
    fn copy_done(&mut self) {
        encode::empty(&mut self.output, b'c');
    }
    fn is_full(&self) -> bool {
        self.output.len() >= FLUSH_BYTES
    }
    fn place(&self) -> Place {
        Place {
            flushes: self.flushes,
            buffered: self.output.len(),
        }
    }
    fn take_back(&mut self, place: Place) {
        if place.flushes == self.flushes {
            self.output.truncate(place.buffered);
        }
    }
    async fn pressure(&mut self) -> Result<(), Disconnected> {
        if self.is_full() { self.flush().await } else { Ok(()) }
    }
    async fn flush(&mut self) -> Result<(), Disconnected> {
        self.results = false;
        if self.output.is_empty() {
            return Ok(());
        }
        self.flushes += 1;
        self.held = self.held.filter(|at| *at == self.output.len()).map(|_| 0);
        let sent = self.send(self.output.len()).await;
        self.output.clear();
        if self.output.capacity() > 4 * FLUSH_BYTES {
            self.output = Vec::new();
        }
        sent
    }
    async fn before_wait(&mut self) -> Result<(), Disconnected> {
        match self.held {
            _ if !self.results => Ok(()),
            None => self.flush().await,
            Some(0) => Ok(()),
            Some(at) => {
                // What came before may leave.
                self.flushes += 1;
                let sent = self.send(at).await;
                self.output.drain(..at);
                self.held = Some(0);
                sent
            }
        }
    }

    async fn copy_data(&mut self, data: &mut Vec<u8>) -> Result<CopyInput, Stop> {
        let before = data.len();
        loop {
            while let Some(frame) = self.next_frame().map_err(|e| Stop::Error(e.to_sql_error()))? {
                let unread = self.input.unread();
                let body = &unread[Frame::HEADER..frame.size()];
                match frame.kind {
                    b'd' => {
                        data.extend_from_slice(body);
                        self.input.consume(frame.size());
                        if data.len() - before >= READ_BYTES {
                            return Ok(CopyInput::Data);
                        }
                        continue;
                    }
                    // What has arrived is handed over before the message that ends it.
                    _ if data.len() > before => return Ok(CopyInput::Data),
                    b'c' | b'f' => {
                        let ended = match decode::message(frame.kind, body) {
                            Ok(Message::CopyFail(reason)) => Ok(CopyInput::Fail(reason.to_owned())),
                            Ok(_) => Ok(CopyInput::Done),
                            Err(e) => Err(Stop::Error(e)),
                        };
                        self.input.consume(frame.size());
                        return ended;
                    }
                    // Flush and Sync are ignored here, as PostgreSQL does, so that a client may send them before it knows of the COPY.
                    b'H' | b'S' => self.input.consume(frame.size()),
                    b'X' => return Err(Stop::Disconnected),
                    // Anything else is left for the message loop, after the error.
                    other => {
                        return Err(Stop::Error(SqlError::new(
                            SqlState::PROTOCOL_VIOLATION,
                            format!("unexpected message type 0x{other:02X} during COPY from stdin"),
                        )));
                    }
                }
            }
            if data.len() > before {
                return Ok(CopyInput::Data);
            }
            self.flush().await?;
            self.read_more().await?;
        }
    }
}
