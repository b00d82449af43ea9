//! The `curia` program: reads options, prepares the data folder, wires the crates together and runs until told to stop.
//! Everything it says on failure is one line on standard error and an exit code, listed in [`failure`].

mod exposure;
mod failure;
mod folder;
mod house;
mod limits;
mod logging;
mod office;
mod options;
mod size;
mod start;
mod stop;
mod tls;

use clap::{Parser, Subcommand};
use options::{Given, Options};
use std::process::ExitCode;

/// Analytical queries allocate from many threads at once; this allocator keeps that cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Curia: a SQL database on Consular Raft.
#[derive(Parser)]
#[command(name = "curia", version, about, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a server on a data folder and run it until SIGTERM or SIGINT.
    Start(Box<Given>),
    /// Print the version.
    Version,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Version => {
            println!("curia {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Start(given) => Options::gather(&given)
            .and_then(|options| logging::start(options.log_format, &options.log).map(|()| options))
            .and_then(start::run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("curia: {failure}");
            failure.exit_code()
        }
    }
}
