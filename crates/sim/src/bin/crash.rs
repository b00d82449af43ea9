//! Kills a server at random moments under load and checks after every restart that nothing acknowledged is lost and
//! nothing is there by halves.
//!
//! The seed fixes the workload and the moments of the kills (as delays); how far the server has come by then depends on
//! the machine, so a seed replays the same experiment, not the same instruction.

use clap::Parser;
use curia_sim::bank::{Bank, connect};
use curia_sim::experiment::conduct;
use curia_sim::ledger::{Deed, Ledger};
use curia_sim::server::{Launch, Server, StartError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

/// Kill a server at random moments under load; check what it remembers.
#[derive(Parser)]
struct Arguments {
    /// The `curia` program.
    #[arg(long, value_name = "PATH")]
    server: PathBuf,
    /// How many kills.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Seed; drawn and printed when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Concurrent clients.
    #[arg(long, default_value_t = 8)]
    clients: i32,
    /// Lose what was written but not synced, as a power cut would.
    #[arg(long)]
    drop_unsynced: bool,
    /// Longest time under load before a kill, milliseconds.
    #[arg(long, default_value_t = 1500)]
    longest_load_ms: u64,
    /// Data folder; a temporary one, kept on failure, when absent.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Longest time a start may take, recovery included.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Longest time any check may take.
const CHECK_WITHIN: Duration = Duration::from_secs(120);
/// How often a start is killed before it is ready, one in so many.
const KILL_DURING_START: u32 = 6;
/// How many committed transactions are looked up through the index at each check.
const INDEX_SAMPLE: usize = 50;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let lossy = if arguments.drop_unsynced { " --drop-unsynced" } else { "" };
    println!(
        "seed {seed}; again with: crash --server {} --kills {} --seed {seed}{lossy}",
        arguments.server.display(),
        arguments.kills
    );
    conduct(seed, "", run(&arguments, seed))
}

async fn run(arguments: &Arguments, seed: u64) -> Result<(), String> {
    let mut folder = tempfile::Builder::new()
        .prefix("curia-crash-")
        .tempdir()
        .map_err(|error| error.to_string())?;
    let home = arguments.data.clone().unwrap_or_else(|| folder.path().to_owned());
    folder.disable_cleanup(true); // evidence; removed below when all is well
    let mut options = vec!["--log".to_owned(), "info".to_owned()];
    if arguments.drop_unsynced {
        options.extend(["--file-layer".to_owned(), "forget-unsynced".to_owned()]);
    }
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let launch = Launch {
        arguments: options,
        ..Launch::in_folder(arguments.server.clone(), &home)
    };
    let evidence = format!("; the folder and the server's log are in {}", home.display());
    experiment(arguments, seed, &launch).await.map_err(|reason| reason + &evidence)?;
    folder.disable_cleanup(false);
    Ok(())
}

async fn experiment(arguments: &Arguments, seed: u64, launch: &Launch) -> Result<(), String> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let bank = Bank { tables: 6, accounts: 40 };
    let ids = Arc::new(AtomicI64::new(1));
    let mut server = start(launch)?;
    let mut client = connect(&server.sql).await.map_err(|error| format!("connect: {error}"))?;
    let mut ledger = Ledger::new(
        bank.open(&mut client)
            .await
            .map_err(|error| format!("opening the bank: {}", full(&error)))?,
    );
    let mut csn = last_csn(&client).await?;
    let mut before = 0;
    let mut slowest_start = Duration::ZERO;
    let from = Instant::now();
    for kill in 1..=arguments.kills {
        let clients: Vec<_> = (0..arguments.clients)
            .map(|number| {
                let (sql, ids) = (server.sql.clone(), Arc::clone(&ids));
                let random = ChaCha12Rng::seed_from_u64(random.random());
                tokio::spawn(async move { bank.work(&sql, number, &ids, random).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(10..=arguments.longest_load_ms))).await;
        if let Some(status) = server.exited().map_err(|error| error.to_string())? {
            return Err(format!("the server ended by itself before kill {kill}: {status}"));
        }
        server.kill().map_err(|error| error.to_string())?;
        for client in clients {
            ledger.record(client.await.map_err(|error| error.to_string())?);
        }
        while random.random_ratio(1, KILL_DURING_START) {
            let mut early = launch.spawn().map_err(describe)?;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
            early.kill().and_then(|()| early.wait()).map_err(|error| error.to_string())?;
        }
        server = start(launch)?;
        slowest_start = slowest_start.max(server.ready_after);
        let (_, _, unknown) = ledger.tally();
        let check = tokio::time::timeout(CHECK_WITHIN, check(&bank, &server, &mut ledger, &mut random));
        let now = check.await.map_err(|_| format!("the check after kill {kill} took too long"))??;
        let ready = server.ready_after.as_secs_f64();
        let (committed, failed, _) = ledger.tally();
        // Every transaction found since the last look took a CSN of its own; the server's own (its counters) took some too.
        let found = (committed - before) as u64;
        if now < csn + found {
            return Err(format!(
                "after kill {kill} {found} transactions were found, but the last CSN went from {csn} to {now} only"
            ));
        }
        (csn, before) = (now, committed);
        println!("kill {kill}: ready again in {ready:.2} s; {committed} committed, {failed} not, {unknown} were open; CSN {csn}");
    }
    let status = server.terminate(START_WITHIN).map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("after SIGTERM the server ended with {status}"));
    }
    let (committed, failed, _) = ledger.tally();
    println!(
        "passed: {} kills, {committed} transactions committed, {failed} not; slowest start {:.2} s; {:.0} s in all",
        arguments.kills,
        slowest_start.as_secs_f64(),
        from.elapsed().as_secs_f64()
    );
    if committed == 0 {
        return Err("no transaction ever committed: this run showed nothing".to_owned());
    }
    Ok(())
}

fn start(launch: &Launch) -> Result<Server, String> {
    launch.start(START_WITHIN).map_err(describe)
}

fn describe(error: StartError) -> String {
    match error {
        StartError::Spawn(error) => format!("the server cannot be run: {error}"),
        StartError::Exited(status) => format!("the server refused to start: {status}"),
        StartError::Late => format!("the server was not ready after {} s", START_WITHIN.as_secs()),
    }
}

/// Compares the tables with the ledger. Returns the last CSN.
async fn check(bank: &Bank, server: &Server, ledger: &mut Ledger, random: &mut ChaCha12Rng) -> Result<u64, String> {
    let sql = |error: tokio_postgres::Error| format!("checking: {}", full(&error));
    let mut client = connect(&server.sql).await.map_err(sql)?;
    let mut seen = bank.observe(&mut client).await.map_err(sql)?;
    let made = ledger
        .attempts()
        .filter(|attempt| attempt.deed == Deed::Table)
        .map(|attempt| attempt.id);
    seen.tables = bank.made_tables(&client, made).await.map_err(sql)?;
    let violations = ledger.check(&seen);
    if let Some(first) = violations.first() {
        return Err(format!("{} violations, the first: {first}", violations.len()));
    }
    let committed: Vec<i64> = seen.journal.iter().copied().collect();
    let sample: Vec<i64> = (0..INDEX_SAMPLE.min(committed.len()))
        .map(|_| committed[random.random_range(0..committed.len())])
        .collect();
    let missing = bank.missing_from_index(&client, &sample).await.map_err(sql)?;
    if let Some(id) = missing.first() {
        return Err(format!("transaction {id} is in the journal and its index does not know it"));
    }
    last_csn(&client).await
}

/// Commits something, and asks which number that got: a session knows its own commits only.
async fn last_csn(client: &tokio_postgres::Client) -> Result<u64, String> {
    let failed = |error| format!("asking for the last CSN: {}", full(&error));
    client.batch_execute("INSERT INTO pulse VALUES (0)").await.map_err(failed)?;
    let row = client.query_one("SHOW curia.last_csn", &[]).await.map_err(failed)?;
    row.get::<_, &str>(0)
        .parse()
        .map_err(|error| format!("SHOW curia.last_csn: {error}"))
}

/// The whole chain of an error; the driver's own text leaves the cause out.
fn full(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
