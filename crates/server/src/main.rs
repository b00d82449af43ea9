//! The `curia` program: reads options, prepares the data folder, wires the crates together and runs until told to stop.
//! Everything it says on failure is one line on standard error and an exit code, listed in [`failure`].

mod archive;
mod cert;
mod cluster;
mod demo;
mod demo_load;
mod exposure;
mod failure;
mod folder;
mod house;
mod limits;
mod logging;
mod office;
mod options;
mod recover;
mod size;
mod start;
mod stop;
mod tls;

use clap::{Parser, Subcommand};
use cluster::tools;
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
    /// Form a cluster of servers that were started with --join.
    Init(tools::Init),
    /// Show how a cluster is, as one of its servers sees it.
    Status(tools::Status),
    /// Show which features the cluster uses, or let it use those of a new version.
    Upgrade(tools::Upgrade),
    /// List, add, drain or remove servers of a cluster.
    #[command(subcommand)]
    Server(tools::Server),
    /// Make a server consul.
    Transfer(tools::Transfer),
    /// Let one server go on alone, after its cluster lost the majority for good.
    Recover(recover::Recover),
    /// Start a whole cluster on this machine, to try out what happens when a server dies.
    Demo(demo::Demo),
    /// Make certificates for the servers of a cluster.
    #[command(subcommand)]
    Cert(cert::Cert),
    /// Print the version.
    Version,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Version => {
            println!("curia {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Init(init) => tools::init(&init),
        Command::Status(status) => tools::status(&status),
        Command::Upgrade(upgrade) => tools::upgrade(&upgrade),
        Command::Server(command) => tools::server(&command),
        Command::Transfer(transfer) => tools::transfer(&transfer),
        Command::Recover(command) => recover::run(&command),
        Command::Demo(demo) => demo::run(&demo),
        Command::Cert(command) => cert::run(&command),
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
