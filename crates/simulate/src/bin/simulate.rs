//! Runs seeds of the simulator, and names the first that fails.
//!
//! ```text
//! simulate --seeds 20000              seeds 0 to 19999
//! simulate --seconds 120 --first 7    as many as fit into two minutes, from seed 7
//! simulate --seed 4711 --trace        one seed, told as a story
//! simulate --seed 4711 --shrink       the kinds of fault that this seed needs to fail
//! ```

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use curia_simulate::{Cases, Faults, Plan, catch_violations, verdict};

/// Simulate clusters in virtual time and check them.
#[derive(Parser)]
struct Arguments {
    /// First seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// End after this many seconds, however many seeds that is.
    #[arg(long)]
    seconds: Option<u64>,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Client operations a seed.
    #[arg(long, default_value_t = 500)]
    operations: u32,
    /// Print what happens.
    #[arg(long)]
    trace: bool,
    /// Leave out kinds of fault, as long as the seed still fails.
    #[arg(long)]
    shrink: bool,
    /// Leave out these kinds of fault.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Leave out the liveness phase.
    #[arg(long)]
    safety_only: bool,
    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// The bug that all servers have.
    #[cfg(feature = "mutations")]
    #[arg(long)]
    mutation: Option<curia_consensus::Mutation>,
    /// Fail unless each hard case was met this often.
    #[arg(long, default_value_t = 0)]
    demand: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    catch_violations();
    if arguments.shrink {
        return shrink(&arguments);
    }
    let from = Instant::now();
    let (first, seeds) = match arguments.seed {
        Some(seed) => (seed, 1),
        None => (arguments.first, arguments.seeds),
    };
    let limit = arguments.seconds.map(Duration::from_secs);
    let (mut cases, mut done, mut failed, mut time, mut operations, mut steps) = (Cases::default(), 0, 0u64, 0, 0, 0);
    let last = if limit.is_some() { u64::MAX } else { first.saturating_add(seeds) };
    for seed in first..last {
        if limit.is_some_and(|limit| from.elapsed() >= limit) {
            break;
        }
        done += 1;
        match verdict(plan(&arguments, seed), arguments.trace) {
            Ok(report) => {
                cases.add(&report.cases);
                time += report.time;
                operations += report.operations;
                steps += report.steps;
                if arguments.seed.is_some() {
                    println!("seed {seed}: hash {:016x}", report.hash);
                }
            }
            Err(violation) => {
                failed += 1;
                println!("seed {seed} FAILED: {violation}\n  plan: {}", plan(&arguments, seed));
                println!("  again with: simulate --seed {seed} --operations {} --trace", arguments.operations);
                if !arguments.keep_going {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    let real = from.elapsed().as_secs_f64();
    let simulated = time as f64 / 1e6;
    println!("{cases}{done} seeds from {first}, {failed} failed; {operations} operations, {steps} steps");
    println!(
        "{real:.1} s, in which {simulated:.0} s passed in the clusters: {:.0} a second",
        simulated / real
    );
    let rare = cases.below(arguments.demand);
    if !rare.is_empty() {
        println!("FAILED: met less than {} times: {}", arguments.demand, rare.join(", "));
    }
    if failed == 0 && rare.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn plan(arguments: &Arguments, seed: u64) -> Plan {
    let mut plan = Plan::draw(seed, arguments.operations);
    plan.safety_only = arguments.safety_only;
    #[cfg(feature = "mutations")]
    {
        plan.mutation = arguments.mutation;
    }
    for (name, leave_out) in Faults::kinds() {
        if arguments.without.iter().any(|without| without == name) {
            leave_out(&mut plan.faults);
        }
    }
    plan
}

/// Leaves out what isn't needed for the seed to fail: kinds of fault, then operations.
fn shrink(arguments: &Arguments) -> ExitCode {
    let Some(seed) = arguments.seed else {
        println!("--shrink needs --seed");
        return ExitCode::FAILURE;
    };
    let mut small = plan(arguments, seed);
    let Err(mut violation) = verdict(small.clone(), false) else {
        println!("seed {seed} doesn't fail");
        return ExitCode::FAILURE;
    };
    let mut without = arguments.without.clone();
    for (name, leave_out) in Faults::kinds() {
        let mut smaller = small.clone();
        leave_out(&mut smaller.faults);
        if let Err(other) = verdict(smaller.clone(), false)
            && other.check() == violation.check()
        {
            (small, violation) = (smaller, other);
            without.push(name.to_owned());
        }
    }
    let mut operations = small.operations;
    while operations > 1 {
        let mut smaller = small.clone();
        smaller.operations = operations / 2;
        let Err(other) = verdict(smaller.clone(), false) else { break };
        if other.check() != violation.check() {
            break;
        }
        (small, violation, operations) = (smaller, other, operations / 2);
    }
    println!("{violation}\n  plan: {small}");
    println!(
        "  simulate --seed {seed} --operations {operations} --without {} --trace",
        without.join(",")
    );
    ExitCode::SUCCESS
}
