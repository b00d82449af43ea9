//! Accepting connections and the drain at the end.

use crate::serve::{self, FrontConfig};
use curia_session::{Backends, Cause, Cores, Sessions};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After so long without a byte of a client it is asked whether it is there.
const CLIENT_SILENT: Duration = Duration::from_secs(60);
/// So long is between two such questions.
const PROBES_APART: Duration = Duration::from_secs(10);
/// After so many without an answer it is gone.
const PROBES: u32 = 6;

/// A bound address that does not accept yet.
pub struct Listener(TcpListener);

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// The operating system's, such as a port that is taken.
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Listener(listener))
    }

    /// The address, with the port that the system chose where 0 was asked for.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The socket itself, for who accepts by themselves and uses [`receive`].
    pub fn into_std(self) -> TcpListener {
        self.0
    }

    /// Starts accepting on a thread of its own; sessions run on `cores`.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn serve(self, sessions: Arc<Sessions>, cores: Cores, config: FrontConfig) -> io::Result<Front> {
        let address = self.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let accepting = sessions.clone();
        let thread = std::thread::Builder::new().name("sql-listener".into()).spawn(move || {
            runtime.block_on(accept(self.0, accepting, cores, Arc::new(config), stopped));
        })?;
        Ok(Front {
            address,
            sessions,
            stop,
            thread: Some(thread),
        })
    }
}

async fn accept(
    listener: TcpListener,
    sessions: Arc<Sessions>,
    cores: Cores,
    config: Arc<FrontConfig>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(l) => l,
        Err(error) => {
            tracing::error!(%error, "the SQL listener cannot run");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            a = listener.accept() => a,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // A session belongs to one core's reactor, so the socket moves there as a plain one.
                let stream = match stream.into_std() {
                    Ok(s) => s,
                    Err(_) => continue,
                };
                receive(stream, peer, sessions.clone(), &cores, config.clone()).await;
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Has a client's socket send small answers at once, and find out by itself when the client's machine is gone.
pub fn prepare_socket<'s>(stream: impl Into<SockRef<'s>>) {
    let stream = stream.into();
    let alive = TcpKeepalive::new()
        .with_time(CLIENT_SILENT)
        .with_interval(PROBES_APART)
        .with_retries(PROBES);
    // Without it a connection is only slower to notice.
    let _ = stream.set_tcp_nodelay(true).and_then(|()| stream.set_tcp_keepalive(&alive));
}

/// Serves one connection of the client at `peer` on one of the cores.
pub async fn receive(stream: std::net::TcpStream, peer: SocketAddr, sessions: Arc<Sessions>, cores: &Cores, config: Arc<FrontConfig>) {
    prepare_socket(&stream);
    cores
        .spawn(move || async move {
            if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                serve::run(stream, peer, sessions, config).await;
            }
        })
        .await;
}

/// Ends idle sessions with 57P01 at once and busy ones when their transaction is over, at the latest after `limit`. Blocks;
/// returns how many had to be cut off.
pub fn drain(all: &[Arc<Backends>], limit: Duration) -> usize {
    all.iter().for_each(|backends| backends.raise_all(Cause::Drain));
    if wait_until_empty(all, limit) {
        return 0;
    }
    let cut = all.iter().map(|backends| backends.len()).max().unwrap_or(0);
    all.iter().for_each(|backends| backends.raise_all(Cause::Terminate));
    wait_until_empty(all, Duration::from_secs(1));
    cut
}

/// The running front end.
pub struct Front {
    address: SocketAddr,
    sessions: Arc<Sessions>,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Front {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, ends idle sessions with 57P01 at once and busy ones when their transaction is over, at the latest after `limit`.
    /// Blocks; returns how many sessions had to be cut off.
    pub fn drain(mut self, limit: Duration) -> usize {
        self.stop_accepting();
        drain(&[Arc::clone(self.sessions.backends())], limit)
    }

    fn stop_accepting(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop_accepting();
    }
}

fn wait_until_empty(all: &[Arc<Backends>], limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while !all.iter().all(|backends| backends.is_empty()) {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
