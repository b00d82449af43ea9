//! Explores every history of a small cluster within bounds.
//!
//! ```text
//! check                                       the default bounds
//! check --elections 2 --proposals 1           others
//! check --ordered                             messages of a link don't overtake each other
//! check --mutation own-log,drop-tail          with each of these bugs; only with the feature `mutations`
//! ```
//!
//! Exit code 1 if a rule is broken, with the history that breaks it, or if a bug is not found; 2 if time ran out before
//! everything was visited.

#![allow(clippy::unit_arg, reason = "without planted bugs, which one it is has no value")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use curia_model::{Bounds, Bug, Cluster};
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
    #[arg(long, default_value_t = 0)]
    crashes: u8,
    /// Messages that arrive twice.
    #[arg(long, default_value_t = 0)]
    repeats: u8,
    /// Steps whose batches stay pending for a while.
    #[arg(long, default_value_t = 0)]
    delays: u8,
    /// Messages from one server to another don't overtake each other.
    #[arg(long)]
    ordered: bool,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// The bugs that all servers have, one after the other.
    #[cfg(feature = "mutations")]
    #[arg(long, value_delimiter = ',')]
    mutation: Vec<curia_consensus::Mutation>,
}

/// How a search ended.
enum End {
    /// Everything was visited, and every rule held.
    Holds,
    /// A rule was broken.
    Broken,
    /// There was no time to visit everything.
    Late,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The core's assertions are among the rules; the history that breaks one is printed.
    std::panic::set_hook(Box::new(|_| {}));
    #[cfg(feature = "mutations")]
    if !arguments.mutation.is_empty() {
        let mut missed = Vec::new();
        for mutation in &arguments.mutation {
            println!("with {}:", mutation.name());
            if !matches!(search(&arguments, Some(*mutation)), End::Broken) {
                missed.push(mutation.name());
            }
        }
        println!("{} found; not found: {missed:?}", arguments.mutation.len() - missed.len());
        return if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match search(&arguments, Bug::default()) {
        End::Holds => ExitCode::SUCCESS,
        End::Broken => ExitCode::FAILURE,
        End::Late => {
            println!("time ran out before everything was visited");
            ExitCode::from(2)
        }
    }
}

fn search(arguments: &Arguments, bug: Bug) -> End {
    let bounds = Bounds {
        servers: arguments.servers,
        groups: arguments.groups,
        elections: arguments.elections,
        proposals: arguments.proposals,
        crashes: arguments.crashes,
        repeats: arguments.repeats,
        delays: arguments.delays,
        ordered: arguments.ordered,
    };
    let from = Instant::now();
    let limit = Duration::from_secs(arguments.seconds);
    let checker = Cluster { bounds, bug }
        .checker()
        .threads(arguments.threads)
        .timeout(limit)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .spawn_dfs();
    println!("{bounds:?}");
    while !checker.is_done() && from.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(50));
    }
    let done = checker.is_done() && from.elapsed() < limit;
    println!(
        "{} states, {} steps between them, the longest history {} steps; {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        from.elapsed().as_secs_f64()
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
        (true, _) => End::Broken,
        (false, true) => End::Holds,
        (false, false) => End::Late,
    }
}
