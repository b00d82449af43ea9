//! Explores every history of a small cluster within bounds.
//!
//! ```text
//! check                                    the default bounds
//! check --elections 2 --proposals 1        others
//! check --mutation own-log                 with a bug; only with the feature `mutations`
//! ```
//!
//! Exit code 1 if a rule is broken, with the shortest history found; 2 if time ran out before everything was visited.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use curia_model::{Bounds, Cluster};
use stateright::{Checker, Model};

/// Check the consensus core exhaustively at small bounds.
#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 3)]
    servers: u8,
    #[arg(long, default_value_t = 2)]
    groups: u8,
    /// After the first consul's.
    #[arg(long, default_value_t = 1)]
    elections: u8,
    #[arg(long, default_value_t = 1)]
    proposals: u8,
    #[arg(long, default_value_t = 1)]
    crashes: u8,
    /// Messages that arrive twice.
    #[arg(long, default_value_t = 0)]
    repeats: u8,
    /// Steps whose batches stay pending for a while.
    #[arg(long, default_value_t = 1)]
    delays: u8,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// The bug that all servers have.
    #[cfg(feature = "mutations")]
    #[arg(long)]
    mutation: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bounds = Bounds {
        servers: arguments.servers,
        groups: arguments.groups,
        elections: arguments.elections,
        proposals: arguments.proposals,
        crashes: arguments.crashes,
        repeats: arguments.repeats,
        delays: arguments.delays,
    };
    #[cfg(feature = "mutations")]
    let bug = match &arguments.mutation {
        None => None,
        Some(name) => match curia_consensus::Mutation::ALL.iter().find(|mutation| mutation.name() == name) {
            Some(mutation) => Some(*mutation),
            None => {
                println!("there is no mutation {name}");
                return ExitCode::FAILURE;
            }
        },
    };
    #[cfg(not(feature = "mutations"))]
    let bug = ();
    // The core's assertions are among the rules; the history that breaks one is printed.
    std::panic::set_hook(Box::new(|_| {}));
    let from = Instant::now();
    let limit = Duration::from_secs(arguments.seconds);
    let checker = Cluster { bounds, bug }
        .checker()
        .threads(arguments.threads)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .spawn_dfs();
    println!("{bounds:?}");
    while !checker.is_done() && from.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(200));
    }
    let done = checker.is_done();
    let real = from.elapsed();
    println!(
        "{} states, {} steps between them, the longest history {} steps; {:.0} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        real.as_secs_f64()
    );
    let mut broken = false;
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        let failure = property.expectation.discovery_is_failure();
        let verdict = match (failure, &found) {
            (true, None) => "holds",
            (true, Some(_)) => "BROKEN",
            (false, Some(_)) => "met",
            (false, None) => "never met",
        };
        println!("{verdict:>10}  {}", property.name);
        if failure && let Some(history) = found {
            broken = true;
            for action in history.into_actions() {
                println!("            {action:?}");
            }
        }
    }
    match (broken, done) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::SUCCESS,
        (false, false) => {
            println!("time ran out before everything was visited");
            ExitCode::from(2)
        }
    }
}
