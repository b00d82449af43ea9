//! Benchmarks. Each one runs Curia and PostgreSQL in turn on the same machine in the same run and prints ratios of
//! medians, because absolute numbers say more about the machine than about the program.
//!
//! ```text
//! curia-bench all                     everything below, as one Markdown page
//! curia-bench pgbench --clients 8     TPC-B and select-only, simple and prepared
//! curia-bench copy                    COPY of pgbench_accounts rows
//! curia-bench copy-large              peak memory under COPY, INSERT .. SELECT and ORDER BY of several times the limits
//! curia-bench steps                   cost per step of the point path
//! curia-bench queries                 count and sum over the loaded table
//! curia-bench memory                  resident memory, idle and for each connection
//! curia-bench locks                   many row locks of one transaction; how soon a deadlock is found
//! curia-bench validation              SERIALIZABLE beside REPEATABLE READ, by primary key
//! curia-bench restart                 kill -9 to the first answer
//! curia-bench supplier                transactions after TPC-C at two isolation levels
//! curia-bench cluster                 three servers, beside replicated PostgreSQL; --part for some of it
//! ```
//!
//! Both servers live at once, one idle while the other is measured, in rounds that swap who goes first.

mod cluster;
mod copy;
mod large;
mod locks;
mod memory;
mod metrics;
mod peer;
mod pgbench;
mod queries;
mod report;
mod restart;
mod steps;
mod supplier;
mod validation;

use clap::{Args, Parser, Subcommand};
use peer::Peers;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Whatever goes wrong ends the run; the text says what.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measure Curia beside PostgreSQL.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    setting: Setting,
}

/// What every benchmark needs to know.
#[derive(Args, Clone, Debug)]
struct Setting {
    /// The `curia` program, a release build.
    #[arg(long, global = true, value_name = "PATH", default_value = "target/release/curia")]
    curia: PathBuf,
    /// Folder of PostgreSQL's programs.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PGBIN",
        default_value = "/usr/lib/postgresql/15/bin"
    )]
    pgbin: PathBuf,
    /// Where both keep their data; a temporary folder when absent.
    #[arg(long, global = true, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Rounds; the medians of all rounds are compared.
    #[arg(long, global = true, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one pgbench run.
    #[arg(long, global = true, default_value_t = 10)]
    seconds: u32,
    /// pgbench scale: 100,000 accounts each.
    #[arg(long, global = true, default_value_t = 10)]
    scale: u32,
    /// Warehouses of the supplier.
    #[arg(long, global = true, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    warehouses: i32,
    /// Client counts of pgbench runs.
    #[arg(long, global = true, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<u32>,
    /// Parts of `cluster`; all when absent.
    #[arg(long = "part", global = true, value_delimiter = ',', value_enum)]
    parts: Vec<cluster::Part>,
    /// Kills of the consul.
    #[arg(long, global = true, default_value_t = 50)]
    kills: usize,
    /// Planned transfers.
    #[arg(long, global = true, default_value_t = 10)]
    transfers: usize,
}

#[derive(Subcommand, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Everything but `cluster`.
    All,
    /// pgbench TPC-B and select-only.
    Pgbench,
    /// COPY FROM of pgbench_accounts rows.
    Copy,
    /// Peak memory under statements over several times the memory limits.
    CopyLarge,
    /// Cost per step of the point path.
    Steps,
    /// Queries over the whole table.
    Queries,
    /// Resident memory.
    Memory,
    /// Many row locks of one transaction, and a deadlock.
    Locks,
    /// SERIALIZABLE beside REPEATABLE READ.
    Validation,
    /// Restart after kill -9.
    Restart,
    /// A wholesale supplier after TPC-C.
    Supplier,
    /// Three servers.
    Cluster,
}

fn main() -> ExitCode {
    let CommandLine { what, setting } = CommandLine::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(what, &setting)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("curia-bench: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(what: What, setting: &Setting) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix("curia-bench-").tempdir()?;
    let folder = setting.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    // The account that runs PostgreSQL must be able to reach its folder below this one.
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755))?;
    let wanted = |one: What| what == What::All || what == one;
    println!("{}", report::heading(setting));
    if what == What::Cluster {
        return cluster::measure(setting, folder).await;
    }
    let mut peers = Peers::start(setting, folder)?;
    if wanted(What::Memory) {
        // First: memory that a load has grown is not given back.
        memory::measure(&peers).await?.print();
    }
    if wanted(What::Copy) {
        copy::measure(&peers, setting).await?.print();
    }
    if wanted(What::CopyLarge) {
        large::measure(setting, folder).await?.print();
    }
    let loaded = [What::Pgbench, What::Steps, What::Queries, What::Validation, What::Restart];
    if loaded.into_iter().any(wanted) {
        for peer in peers.both() {
            pgbench::initialise(setting, peer)?;
        }
    }
    if wanted(What::Steps) {
        steps::measure(&peers, setting)?.print();
    }
    if wanted(What::Queries) {
        queries::measure(&peers, setting).await?.print();
    }
    if wanted(What::Pgbench) {
        for table in pgbench::measure(&peers, setting).await? {
            table.print();
        }
    }
    if wanted(What::Locks) {
        locks::measure(&peers, setting).await?.print();
    }
    if wanted(What::Validation) {
        validation::measure(&peers, setting).await?.print();
    }
    if wanted(What::Supplier) {
        for table in supplier::measure(&peers, setting).await? {
            table.print();
        }
    }
    if wanted(What::Restart) {
        restart::measure(&mut peers, setting).await?.print();
    }
    peers.stop()
}
