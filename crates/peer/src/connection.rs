//! One connection: dialled or accepted, perhaps under TLS, with the handshake done; then frames in both directions.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::book::Address;
use crate::frame::{self, Frame, FrameError, TooLong};
use crate::handshake::{self, HEAD_BYTES, HandshakeError, Head, Hello, Purpose, Refused, Welcome};
use crate::tls::PeerTls;

/// How long it may take from the first packet to the end of the handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection over which nothing was heard for so long is dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// Bytes that the kernel takes from a sender of messages before it waits: what is in there can't be overtaken.
const SEND_BUFFER_BYTES: u32 = 256 << 10;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Both directions of a connection.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}
/// Both directions of a connection, whatever carries them.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<dyn Io>),
}

impl Stream {
    /// Hands a plain connection to the reactor of the thread that calls, which then hears of its bytes itself. Others stay with theirs.
    ///
    /// # Errors
    /// The system's.
    pub fn rehome(self) -> io::Result<Stream> {
        match self {
            Stream::Plain(tcp) => Ok(Stream::Plain(TcpStream::from_std(tcp.into_std()?)?)),
            tls => Ok(tls),
        }
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp),
            Stream::Tls(tls) => Pin::new(tls.as_mut()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, bytes)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}

/// Why a connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("it speaks TLS, and this server has no certificates (--certs)")]
    UnexpectedTls,
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    TooLong(#[from] TooLong),
    #[error("{0}")]
    Nonsense(String),
    #[error("silent for too long")]
    Silent,
    #[error("closed by the other side")]
    Closed,
}

/// Dials, says hello, and hears the answer.
pub(crate) async fn dial(address: &Address, tls: Option<&PeerTls>, hello: &Hello) -> Result<(Stream, Welcome), ConnectionError> {
    let attempt = async {
        let tcp = connect(address, hello.purpose).await?;
        let mut stream: Stream = match tls {
            None => Stream::Plain(tcp),
            Some(tls) => {
                let name =
                    ServerName::try_from(address.host().to_owned()).map_err(|error| ConnectionError::Tls(io::Error::other(error)))?;
                Stream::Tls(Box::new(tls.connector.connect(name, tcp).await.map_err(ConnectionError::Tls)?))
            }
        };
        stream.write_all(&hello.encode()).await?;
        stream.flush().await?;
        let (head, rest) = read_words(&mut stream).await.map_err(|error| match error {
            ConnectionError::Closed | ConnectionError::Io(_) if tls.is_none() => {
                ConnectionError::Nonsense("closed without an answer; perhaps it wants TLS (--certs)".into())
            }
            error => error,
        })?;
        let welcome = handshake::decode_answer(&head, rest)??;
        Ok((stream, welcome))
    };
    timeout(HANDSHAKE_TIMEOUT, attempt).await.unwrap_or(Err(ConnectionError::Silent))
}

async fn connect(address: &Address, purpose: Purpose) -> io::Result<TcpStream> {
    let mut last = None;
    for place in lookup_host((address.host(), address.port())).await? {
        let socket = if place.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_nodelay(true)?;
        match purpose {
            Purpose::Messages => socket.set_send_buffer_size(SEND_BUFFER_BYTES)?,
            Purpose::Session => keep_alive(&socket),
            Purpose::Requests => {}
        }
        match socket.connect(place).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

/// Has a connection over which nothing need be said for long find out by itself when the other machine is gone, or has started anew.
pub(crate) fn keep_alive<'s>(socket: impl Into<SockRef<'s>>) {
    let alive = TcpKeepalive::new()
        .with_time(SILENCE * 2)
        .with_interval(SILENCE / 2)
        .with_retries(3);
    let _ = socket.into().set_tcp_keepalive(&alive); // without it the connection is only slower to notice
}

/// The first words of the other side.
pub(crate) async fn read_words(stream: &mut Stream) -> Result<(Head, Bytes), ConnectionError> {
    let mut head = [0; HEAD_BYTES];
    // Strangers may say less than a head and wait.
    stream.read_exact(&mut head[..8]).await.map_err(closed)?;
    if head[..8] != handshake::MAGIC {
        let of_tls = matches!(head[0], 0x15 | 0x16) && head[1] == 3;
        return Err(if of_tls {
            ConnectionError::UnexpectedTls
        } else {
            HandshakeError::Foreign.into()
        });
    }
    stream.read_exact(&mut head[8..]).await.map_err(closed)?;
    let head = Head::decode(&head)?;
    let mut rest = vec![0; head.rest];
    stream.read_exact(&mut rest).await.map_err(closed)?;
    Ok((head, rest.into()))
}

fn closed(error: io::Error) -> ConnectionError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ConnectionError::Closed,
        _ => ConnectionError::Io(error),
    }
}

/// Reads frames.
pub(crate) struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(io: R) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
        }
    }

    /// The next frame; fails when nothing comes for `patience`.
    pub(crate) async fn next(&mut self, patience: Duration) -> Result<Frame, ConnectionError> {
        loop {
            if let Some(frame) = frame::decode(&mut self.buffer)? {
                return Ok(frame);
            }
            self.buffer.reserve(READ_BYTES);
            match timeout(patience, self.io.read_buf(&mut self.buffer)).await {
                Err(_) => return Err(ConnectionError::Silent),
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(0)) => return Err(ConnectionError::Closed),
                Ok(Ok(_)) => {}
            }
        }
    }
}

/// Writes all of it, and leaves the buffer empty; fails when the other side takes nothing for too long.
pub(crate) async fn write(io: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut) -> Result<(), ConnectionError> {
    while !out.is_empty() {
        match timeout(SILENCE, io.write_buf(out)).await {
            Err(_) => return Err(ConnectionError::Silent),
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(0)) => return Err(ConnectionError::Closed),
            Ok(Ok(_)) => {}
        }
    }
    match timeout(SILENCE, io.flush()).await {
        Err(_) => Err(ConnectionError::Silent),
        Ok(flushed) => Ok(flushed?),
    }
}
