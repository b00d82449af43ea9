//! Fuzzes every decoder that reads what a disk or a stranger wrote: mutated valid inputs and plain noise, for a bounded time.
//!
//! ```text
//! curia-fuzz --seconds 2                      every target for two seconds
//! curia-fuzz --seconds 600 --target row       one target for longer
//! curia-fuzz --target row --seed 17 --runs 1  the run that a failure named, again
//! ```
//!
//! A decoder may refuse or accept; it must not panic. The first panic ends the program with exit code 1, after it printed target, seed
//! and input. Inputs depend on the target, the seed and the run's number alone. [`target`] lists the decoders.

mod mutate;
mod target;

use clap::Parser;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Fuzz Curia's decoders")]
struct Options {
    /// Seconds for each target
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Seed of the first run; each run adds one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs of each target, instead of seconds
    #[arg(long)]
    runs: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let targets: Vec<_> = target::all()
        .into_iter()
        .filter(|t| options.target.as_ref().is_none_or(|name| name == t.name))
        .collect();
    if targets.is_empty() {
        let names: Vec<&str> = target::all().iter().map(|t| t.name).collect();
        eprintln!("curia-fuzz: no such target; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    // The panic is reported below, with what repeats it.
    std::panic::set_hook(Box::new(|_| {}));
    for target in targets {
        let until = Instant::now() + Duration::from_secs(options.seconds);
        let (mut runs, mut accepted) = (0u64, 0u64);
        while options.runs.map_or_else(|| Instant::now() < until, |limit| runs < limit) {
            let seed = options.seed.wrapping_add(runs);
            let input = mutate::input(&target.samples, seed);
            match catch_unwind(AssertUnwindSafe(|| (target.decode)(&input))) {
                Ok(taken) => accepted += u64::from(taken),
                Err(panic) => {
                    let said = panic
                        .downcast_ref::<String>()
                        .map(String::as_str)
                        .or(panic.downcast_ref::<&str>().copied());
                    println!("{} panicked: {}", target.name, said.unwrap_or("(no message)"));
                    println!("input: {}", input.iter().map(|b| format!("{b:02x}")).collect::<String>());
                    println!("again: curia-fuzz --target {} --seed {seed} --runs 1", target.name);
                    return ExitCode::FAILURE;
                }
            }
            runs += 1;
        }
        println!("{:<16} {runs} inputs, {accepted} accepted", target.name);
    }
    ExitCode::SUCCESS
}
