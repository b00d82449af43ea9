//! The Arrow Flight SQL front end: what ADBC, JDBC and pyarrow speak.
//!
//! Flight has requests, not connections. A request outside any transaction gets a session of its own for as long as its
//! rows flow; a transaction or a prepared statement keeps its session on a [`shelf`] under an unguessable handle. Sessions
//! live on the session threads, as PostgreSQL clients' do; this crate's futures run on the service threads and talk to
//! them through [`seat`]. Rows stream straight from the query engine through a bounded channel: when the client stops
//! reading, gRPC's flow control stops the channel, and the channel stops the query.
//!
//! ```text
//! client ──gRPC──► service ──► seat ──channel──► session (its thread) ──► query engine (its pool)
//!        ◄─flow control── encoder ◄── arrow_form ◄──bounded channel── batches at one snapshot
//! ```
//!
//! - [`arrow_form`]: which Arrow type a client sees for each PostgreSQL type
//! - [`parameters`]: values from clients
//! - [`metadata`], [`server_facts`]: what is in the database, what the server is
//! - [`sign_in`]: passwords and tokens
//! - [`statements`]: running things; bulk ingest. What returns no rows runs when its flight info is asked for
//! - [`status`] gives errors their gRPC code
//!
//! **Not here:** Substrait plans, savepoints, cancelling by action (closing the stream cancels), session options.

pub mod arrow_form;
mod metadata;
pub mod parameters;
mod seat;
mod server_facts;
mod service;
mod shelf;
mod sign_in;
mod statements;
mod status;

use arrow_flight::flight_service_server::FlightServiceServer;
use curia_catalog::Catalog;
use curia_session::{Authentication, Cores, Peer, Sessions};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

/// Most transactions that clients hold open.
const BLOCKS: usize = 1_000;
/// A transaction that nobody uses for so long is rolled back: nobody tells us when a client dies.
const BLOCK_IDLE: Duration = Duration::from_secs(10 * 60);
/// Most prepared statements that clients hold open.
const STATEMENTS: usize = 10_000;
/// A prepared statement that nobody uses for so long is dropped.
const STATEMENT_IDLE: Duration = Duration::from_secs(60 * 60);
/// How often idle things are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// Largest message that a client may send, bytes: a batch to ingest.
const MESSAGE_BYTES: usize = 64 << 20;
/// Most requests of one connection at a time.
const REQUESTS_A_CONNECTION: usize = 128;

/// What the parts of this crate share.
struct House {
    sessions: Arc<Sessions>,
    cores: Cores,
    sign_in: sign_in::SignIn,
    blocks: shelf::Shelf<service::Block>,
    statements: shelf::Shelf<statements::Statement>,
}

impl House {
    /// What a role must show, by where the client is.
    fn gate(&self) -> impl Fn(&str, Peer) -> curia_types::Result<Authentication> {
        |role, from| self.sessions.authentication_here(role, from)
    }

    /// The published catalog.
    fn catalog(&self) -> Arc<Catalog> {
        self.sessions.catalog()
    }
}

/// A certificate with its key, both PEM.
pub struct TlsIdentity {
    /// Chain.
    pub certificate: Vec<u8>,
    /// Key.
    pub key: Vec<u8>,
}

/// Why the front end could not start or go on.
#[derive(Debug)]
pub struct ServeError(String);

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ServeError {}

/// Serves Flight SQL on `listener` until `stop` resolves and the requests under way are answered.
///
/// # Errors
/// When TLS cannot be set up or the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    sessions: Arc<Sessions>,
    cores: Cores,
    identity: Option<TlsIdentity>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let failed = |error: &dyn std::fmt::Display| ServeError(error.to_string());
    let house = Arc::new(House {
        sessions,
        cores,
        sign_in: sign_in::SignIn::default(),
        blocks: shelf::Shelf::new("transaction", BLOCKS, BLOCK_IDLE),
        statements: shelf::Shelf::new("prepared statement", STATEMENTS, STATEMENT_IDLE),
    });
    let service = FlightServiceServer::new(service::Service::new(Arc::clone(&house)).map_err(|error| failed(&error))?)
        .max_decoding_message_size(MESSAGE_BYTES);
    let mut server = Server::builder()
        .concurrency_limit_per_connection(REQUESTS_A_CONNECTION)
        .tcp_nodelay(true);
    if let Some(identity) = identity {
        let identity = Identity::from_pem(identity.certificate, identity.key);
        server = server
            .tls_config(ServerTlsConfig::new().identity(identity))
            .map_err(|error| failed(&error))?;
    }
    let sweep = async {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            house.blocks.sweep();
            house.statements.sweep();
        }
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::select! {
        served = server.add_service(service).serve_with_incoming_shutdown(incoming, stop) => served.map_err(|error| failed(&error)),
        () = sweep => Ok(()), // never ends
    }
}
