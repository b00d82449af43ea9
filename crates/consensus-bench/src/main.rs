//! What the consensus core costs, apart from disks, sockets and SQL: a few servers in one process, on one core, with
//! queues in memory between them, beside the `raft` crate of TiKV in the same surroundings.
//!
//! ```text
//! curia-consensus-bench                  everything below, as one Markdown table
//! curia-consensus-bench throughput       resolved transactions a second; one group, eight groups, all of them at once
//! curia-consensus-bench rounds           messages and network delays until a transaction is applied
//! curia-consensus-bench idle             heartbeats and processor time without work, few groups and many
//! curia-consensus-bench inauguration     messages until a new consul serves
//! curia-consensus-bench memory           resident memory of an idle group
//! ```
//!
//! Times are processor time of the one thread, so that neighbours on the machine disturb little.

mod cluster;
mod idle;
mod inauguration;
mod memory;
mod multiraft;
mod rounds;
mod table;
mod throughput;
mod traffic;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use table::Table;

/// Whatever goes wrong ends the run; the text says what.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measure the consensus core.
#[derive(Parser)]
struct CommandLine {
    /// What to measure; everything when absent.
    what: Vec<Part>,
    /// Processor seconds of each throughput measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Throughput measurements are repeated so often, ours and the peer's in turn; the best of each counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Print the resident memory of a cluster with so many idle groups, and nothing else.
    #[arg(long, hide = true)]
    resident_with: Option<u32>,
    /// Run transactions of one group each, out of so many, for a profiler, and nothing else.
    #[arg(long, hide = true)]
    profile: Option<u32>,
    /// Run them on the peer.
    #[arg(long, hide = true)]
    peer: bool,
    /// How many of them are proposed in one round.
    #[arg(long, hide = true, default_value_t = 256)]
    batch: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Throughput,
    Rounds,
    Idle,
    Inauguration,
    Memory,
}

fn main() -> ExitCode {
    match run(&CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("curia-consensus-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &CommandLine) -> Result<()> {
    if let Some(groups) = arguments.resident_with {
        return memory::print_resident(groups);
    }
    if let Some(groups) = arguments.profile {
        return match arguments.peer {
            true => throughput::profile_peer(groups, arguments.batch),
            false => throughput::profile(groups, arguments.batch),
        };
    }
    let spend = Duration::try_from_secs_f64(arguments.seconds)?;
    let wanted = |part| arguments.what.is_empty() || arguments.what.contains(&part);
    let mut table = Table::default();
    if wanted(Part::Throughput) {
        throughput::measure(spend, arguments.rounds, &mut table)?;
    }
    if wanted(Part::Rounds) {
        rounds::measure(&mut table)?;
    }
    if wanted(Part::Idle) {
        idle::measure(&mut table)?;
    }
    if wanted(Part::Inauguration) {
        inauguration::measure(&mut table)?;
    }
    if wanted(Part::Memory) {
        memory::measure(&mut table)?;
    }
    print!("{}", table.markdown());
    Ok(())
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
