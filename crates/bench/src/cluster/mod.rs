//! Benchmarks of three servers on this machine, beside PostgreSQL with two standbys of which one must have each commit.
//!
//! ```text
//!   replicated   pgbench TPC-B: commits wait for a majority on both sides
//!   supplier     transactions after TPC-C, replicated
//!   groups       a transaction over eight worker groups beside one over a single group
//!   failover     kill -9 of the consul under load; planned transfers
//!   catch-up     a follower that was away comes back under load
//!   idle         what three servers cost that have nothing to do
//! ```

mod catch_up;
mod failover;
mod groups;
mod idle;
mod load;
mod replicated;
mod servers;

use crate::report::Table;
use crate::{Result, Setting};
use clap::ValueEnum;
use std::path::Path;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Processor time and memory of servers that do nothing.
    Idle,
    /// pgbench TPC-B, prepared.
    Replicated,
    /// A wholesale supplier after TPC-C.
    Supplier,
    /// One row in each of eight groups, and eight rows in one.
    Groups,
    /// kill -9 of the consul, and planned transfers.
    Failover,
    /// A follower that was away.
    CatchUp,
}

/// Measures the wanted parts, or all, each on servers of its own.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<()> {
    for part in Part::value_variants() {
        if !setting.parts.is_empty() && !setting.parts.contains(part) {
            continue;
        }
        let folder = folder.join(format!("{part:?}"));
        match part {
            Part::Idle => idle::measure(setting, &folder).await?.print(),
            Part::Replicated => replicated::measure(setting, &folder).await?.print(),
            Part::Supplier => replicated::measure_supplier(setting, &folder).await?.iter().for_each(Table::print),
            Part::Groups => groups::measure(setting, &folder).await?.print(),
            Part::Failover => failover::measure(setting, &folder).await?.print(),
            Part::CatchUp => catch_up::measure(setting, &folder).await?.print(),
        }
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}
