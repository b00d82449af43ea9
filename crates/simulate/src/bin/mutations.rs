//! Whether the simulator would find protocol bugs: plants each, and runs seeds until one fails by it.
//!
//! ```text
//! mutations                           all, up to the bound; exit code 1 if one is not found
//! mutations --only own-log,late-ack   these
//! ```
//!
//! A seed that fails without the bug too doesn't count: what is found must be the bug.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use curia_consensus::Mutation;
use curia_simulate::{Plan, catch_violations, verdict};

/// Plant protocol bugs and see whether the simulator finds them.
#[derive(Parser)]
struct Arguments {
    /// First seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// So many seeds for each bug at most.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// So many seconds for each bug at most.
    #[arg(long)]
    seconds: Option<u64>,
    /// Client operations a seed.
    #[arg(long, default_value_t = 500)]
    operations: u32,
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Mutation>,
    /// Only seeds that are this storm; they alone count.
    #[arg(long)]
    storm: Option<String>,
    /// Print the violations in full.
    #[arg(long)]
    words: bool,
}

/// So many failures of liveness alone are enough.
const STUCK_MAX: u32 = 20;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    catch_violations();
    println!("| mutation | breaks | seeds | found by |\n| --- | --- | ---: | --- |");
    let (mut found, mut missed) = (0, Vec::new());
    for mutation in Mutation::ALL {
        if !arguments.only.is_empty() && !arguments.only.contains(mutation) {
            continue;
        }
        if look_for(*mutation, &arguments) {
            found += 1;
        } else {
            missed.push(mutation.name());
        }
    }
    println!("\n{found} found, {} missed", missed.len());
    if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("FAILED: not found: {}", missed.join(", "));
        ExitCode::FAILURE
    }
}

/// Whether a seed fails by this bug and not without it. Failures of liveness say less, so others are looked for first.
fn look_for(mutation: Mutation, arguments: &Arguments) -> bool {
    let from = Instant::now();
    let (mut tried, mut stuck, mut first_stuck) = (0, 0, None);
    let row = |seeds: String, found_by: &str| println!("| {} | {} | {seeds} | {found_by} |", mutation.name(), mutation.rule());
    for seed in arguments.first..arguments.first + arguments.seeds {
        if stuck == STUCK_MAX || arguments.seconds.is_some_and(|limit| from.elapsed().as_secs() >= limit) {
            break;
        }
        let sound = Plan::draw(seed, arguments.operations);
        if arguments.storm.is_some() && sound.storm != arguments.storm.as_deref() {
            continue;
        }
        tried += 1;
        let mut plan = sound.clone();
        plan.mutation = Some(mutation);
        let Err(violation) = verdict(plan, false) else { continue };
        if verdict(sound, false).is_err() {
            continue;
        }
        if violation.check() == "liveness" {
            stuck += 1;
            first_stuck.get_or_insert((tried, seed));
            continue;
        }
        row(format!("{tried} (seed {seed})"), &violation.check());
        if arguments.words {
            println!("{violation}\n");
        }
        return true;
    }
    match first_stuck {
        Some((first, seed)) => row(
            format!("{first} (seed {seed})"),
            &format!("liveness, {stuck} times in {tried} seeds"),
        ),
        None => row(tried.to_string(), "NOT FOUND"),
    }
    first_stuck.is_some()
}
