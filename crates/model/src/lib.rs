//! The exhaustive check: every history of a small cluster, within bounds, of real [`curia_consensus::Node`]s.
//!
//! ```text
//!   state    three nodes, their disks (durable, pending), messages under way, what was seen of the commit order
//!   actions  deliver any message │ a disk syncs │ crash: pending batches lost, wholly or in part │ stand for election
//!            │ propose to any set of groups │ deliver and keep (repeat)
//! ```
//!
//! Messages are a set, delivered in any order or never, so losing and delaying need no action of their own. What has no
//! natural end (elections, proposals, crashes, repeats, slow disks) is bounded, so the state space is finite and without cycles, and
//! `stateright` visits all of it. States are told apart by fingerprints that leave out clocks and the like, see
//! `curia_consensus`'s `fingerprint` module.
//!
//! Every history begins with the first server as consul that serves empty logs: what leads there is the same for all.
//!
//! - [`cluster`]: the state, the actions, and what they do
//! - [`server`]: a node with its disk
//! - [`history`]: what was seen, and the rules that it must keep

#![allow(clippy::unit_arg, reason = "without planted bugs, which one it is has no value")]

mod cluster;
mod history;
mod server;

pub use cluster::{Action, Bounds, Cluster, Disks, State};
pub use history::Rule;
pub use server::Bug;
