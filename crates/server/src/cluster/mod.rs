//! A server among others: which one it is, how a cluster is formed, and who serves clients.
//!
//! ```text
//!   curia start --join a,b,c      curia init --host a            ever after
//!   ┌──────────┐   reservations   ┌──────────┐  cluster.toml   ┌──────────┐
//!   │ waiting  │ ───────────────► │ reserved │ ──────────────► │ member   │ ◄── curia start, with or without --join
//!   └──────────┘                  └──────────┘                 └──────────┘
//! ```
//!
//! - [`identity`]: the files of the data folder that say so.
//! - [`request`]: what servers and tools ask each other, beside the messages of consensus.
//! - [`host`]: takes all that comes to the peer port.
//! - [`forming`]: `curia init`.
//! - [`changes`]: servers that come, go, or take the office over.
//! - [`member`]: the life of a server, from its first start to its stop.
//! - [`drain`]: a server that is to be stopped lets go of its clients first.
//! - [`levels`]: upgrades, server by server.
//! - [`restored`]: an earlier copy of a data folder is refused.
//! - [`door`]: SQL clients, served here or passed on to the consul. [`visit`]: one of them, from session to session.
//! - [`status`]: the page of `curia status`; [`views`]: the schema `curia`; [`reports`]: what servers tell of themselves for both.
//! - [`digests`]: what stands in the state, in a few bytes.
//! - [`tools`]: the commands that ask servers.

pub mod changes;
pub mod digests;
pub mod door;
pub mod drain;
pub mod forming;
pub mod host;
pub mod identity;
pub mod levels;
pub mod member;
pub mod reports;
pub mod request;
pub mod restored;
pub mod status;
pub mod tools;
pub mod views;
pub mod visit;
