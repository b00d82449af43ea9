//! The simulator: a cluster of real [`curia_consensus::Node`]s in virtual time, with everything around them that can fail.
//!
//! ```text
//!            clients ── writes, reads ──►┐                        ┌─► history: does one order explain what they saw?
//!                                        │                        │
//!   seed ─► plan ─► faults ──► network ──┤  Node  Node  Node  ... ├─► oracle: every invariant, after every step
//!                         └──► disks  ───┤                        │
//!                              clocks ───┘                        └─► story: a hash that proves replay; lines to read
//! ```
//!
//! A run has two phases. In the *safety* phase things fail as the plan says and nothing wrong may ever be seen. In the
//! *liveness* phase faults stop, and within a bounded virtual time every server must be up, agree and go on.
//!
//! Everything follows from the seed: time is virtual, and each concern has its own stream of random numbers. A failing
//! seed replays to the byte, which the hash of its story shows. Violations are panics, the core's own assertions among
//! them; the program catches them and names the seed.
//!
//! It knows the core by its public door only, as a driver does.
//!
//! - [`plan`]: what a seed decides: layout, limits, kinds of fault and how often they come
//! - [`world`]: virtual time, servers, what happens to them; [`outputs`], [`applying`], [`office`]: what they then do
//! - [`server`], [`driver`], [`disk`], [`state`], [`network`]: a node's surroundings
//! - [`clients`], [`history`]: workloads, and the linearizability check
//! - [`oracle`], [`durability`]: the invariants
//! - [`faults`], [`changes`], [`recovery`]: what goes wrong, what an operator wants, and that it ends
//! - [`story`], [`cases`]: what happened, and how often what is hard

mod applying;
mod cases;
mod changes;
mod clients;
mod dice;
mod disk;
mod driver;
mod durability;
mod faults;
mod history;
mod network;
mod office;
mod oracle;
mod outputs;
mod plan;
mod queue;
mod recovery;
mod server;
mod state;
mod storm;
mod story;
mod verdict;
mod world;

pub use cases::{Case, Cases};
pub use plan::{Faults, LeaveOut, Micros, Plan};
pub use verdict::{Violation, catch_violations, verdict};
pub use world::{Report, World};
