//! The PostgreSQL front end: protocol 3 over TCP and TLS, in front of `curia-session`.
//!
//! ```text
//! let listener = Listener::bind(addr)?;                                        // says at once when the port is taken
//! let front = listener.serve(sessions, cores, FrontConfig { tls, .. })?;       // a thread that accepts
//! front.local_addr(); front.drain(limit);                                      // idle sessions get 57P01, busy ones up to `limit`
//! ```
//!
//! ```text
//!  accept thread ──socket──▶ a session core ─ startup ─▶ serve: frame ▸ decode ▸ Session ▸ encode ▸ one write
//! ```
//!
//! - [`encode`]: backend messages, pure. [`decode`], frontend messages, is `curia-pgprotocol`, which links no engine, so that fuzzing is cheap.
//! - [`scram`]: the server's side of SCRAM-SHA-256, pure.
//! - `connection`: socket and buffers. An idle connection keeps no buffers: input is read into a buffer of its thread.
//! - `startup`: from the first byte to an open session.
//! - `serve`: the message loop and the rule that an error skips to Sync.
//! - `listener`: accepting, the drain.
//! - [`relay`]: a client whose session is at another server; `outstanding`: what it waits for; [`passed_on`]: that server's end; [`inner`]: what
//!   the two servers say.

mod connection;
pub mod encode;
pub mod inner;
mod listener;
mod outstanding;
pub mod passed_on;
pub mod relay;
mod replay;
pub mod scram;
mod serve;
pub mod startup;

pub use connection::{Connection, Link, Socket};
pub use curia_pgprotocol::decode;
pub use listener::{Front, Listener, drain, prepare_socket, receive};
pub use serve::{Beside, End, FrontConfig, serve, serve_beside, take_leave};
