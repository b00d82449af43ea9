//! Workloads with checkable outcomes, and the harness that kills a real server under them.
//!
//! The crash harness treats the server as a black box: it starts the program, talks SQL to it, kills it, starts it again
//! and looks. What makes that a test is the [`ledger`]: every transaction that a client attempts is recorded there with
//! what the client was told, and after each restart the tables must equal what the ledger allows.
//!
//! ```text
//! client:   BEGIN .. COMMIT ──────────► "committed"      must be there, for ever
//! client:   BEGIN .. ROLLBACK / error ─► "failed"        must not be there, ever
//! client:   BEGIN .. COMMIT ──╳ kill -9                  either, but wholly; what the first look finds, stays
//! ```
//!
//! - [`experiment`]: how each program runs and ends
//! - [`server`]: starting, killing and restarting the program
//! - [`bank`]: transfers between tables that different worker groups own, batches, tables made on the fly
//! - [`ledger`]: what was attempted, what was said, and the comparison with what is found
//! - [`tpcc`]: a wholesale supplier after TPC-C, for the bench too
//!
//! The chaos program does the same to several servers that are one database, and to the network between them:
//!
//! - [`cluster`], [`network`], [`torn`], [`small_disk`], [`slow_disk`], [`clock`]: the processes, proxies between them, what bad disks and
//!   clocks do
//! - [`schedule`], [`havoc`]: which faults a seed draws, and how they happen
//! - [`load`], [`lists`]: clients at all servers
//! - [`dependencies`]: whether an order explains what transactions over lists saw, or over [`registers`]

pub mod bank;
pub mod clock;
pub mod cluster;
pub mod dependencies;
pub mod experiment;
pub mod havoc;
pub mod ledger;
pub mod lists;
pub mod load;
pub mod network;
pub mod registers;
pub mod schedule;
pub mod server;
pub mod slow_disk;
pub mod small_disk;
pub mod torn;
pub mod tpcc;
