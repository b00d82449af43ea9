//! Connections between servers.
//!
//! ```text
//!   server 1                                              server 2
//!   driver ─► send ─► lanes ─► link ═══ messages ═══════► acceptor ─► deliver ─► driver
//!            (bounded)            ◄═══ answers to pings ═
//!   driver ◄─ deliver ◄─ acceptor ◄═══ messages ═══════════ link ◄─ lanes ◄─ send ◄─ driver
//!
//!   curia init, status ...        ═══ requests ══════════► host
//!   a client's session            ═══ its bytes ═════════► host
//! ```
//!
//! Every connection begins with a handshake ([`handshake`]) that says for what it is: *messages* of consensus, one
//! connection for each pair and direction, dialled by the sender; *requests*, each with an answer; or one client's
//! *session*, which is plain bytes from then on. Sessions have connections of their own because TCP then gives each its
//! flow control, and a client that reads slowly holds up nobody else.
//!
//! Messages travel in frames ([`frame`]) of limited size over three lanes ([`lanes`]), so that a vote or a heartbeat
//! waits for one frame at most and not for the snapshot that it belongs to.
//!
//! What holds:
//!
//! * [`Transport::send`] never blocks. Each lane of each peer is bounded in bytes; what finds no room is dropped and
//!   counted: the protocol survives losses. While a peer is not connected only the latest control messages wait.
//! * A message is delivered only when the handshake proved its sender: its cluster, its server id, and under TLS that it
//!   has a server's certificate of the cluster's authority.
//! * Whatever arrives at the peer port is input. What makes no sense closes its connection, with one line in the log, and
//!   so many lines a minute at most.
//! * A server's addresses are told by itself, numbered, and spread from server to server ([`book`]): they are needed
//!   before there is a quorum to agree on anything.

pub mod book;
mod caller;
pub mod certificates;
mod clamor;
mod connection;
pub mod frame;
pub mod handshake;
pub mod lanes;
mod link;
mod listening;
mod measure;
pub mod ports;
mod tls;
mod transport;

pub use book::{Address, AddressError, Book, Places};
pub use caller::{CallError, call};
pub use connection::Stream;
pub use handshake::{Hello, Purpose, RefusalCode, Refused};
pub use link::LinkStatus;
pub use tls::{PeerTls, TlsError};
pub use transport::{Caller, Host, Member, Transport, TransportOptions};
