//! Random concurrent histories over lists and registers on one server, each isolation level by itself, checked for what no order explains.
//!
//! ```text
//! histories --server target/debug/curia                          all levels, both forms, on a server of its own
//! histories --uri postgresql://postgres@localhost/db --level serializable
//! ```
//!
//! At each level below SERIALIZABLE it also looks whether the histories show what the next one forbids: if they never do, clients hardly met.

use clap::{Parser, ValueEnum};
use curia_sim::dependencies::{self, Level, Transaction};
use curia_sim::experiment::conduct;
use curia_sim::ledger::Said;
use curia_sim::lists::{Connection, Form, Lists};
use curia_sim::server::{Launch, Server};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// Check random concurrent histories of one server.
#[derive(Parser)]
struct Arguments {
    /// A `curia` program to start.
    #[arg(long, value_name = "PATH", required_unless_present = "uri")]
    server: Option<PathBuf>,
    /// A server that runs already, Curia or PostgreSQL.
    #[arg(long, value_name = "URI", conflicts_with = "server")]
    uri: Option<String>,
    /// Isolation level; all when absent.
    #[arg(long)]
    level: Vec<LevelName>,
    /// What is written and read; both when absent.
    #[arg(long)]
    form: Vec<FormName>,
    /// Concurrent clients.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Seconds for each level and form.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seed of what clients do; drawn and printed when absent.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LevelName {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    Lists,
    Registers,
}

/// A history is checked when it has gone on for so long.
const ROUND: Duration = Duration::from_secs(5);
/// How long a client waits for a transaction.
const PATIENCE: Duration = Duration::from_secs(20);
const START_WITHIN: Duration = Duration::from_secs(60);

impl LevelName {
    fn level(self) -> Level {
        match self {
            LevelName::ReadCommitted => Level::ReadCommitted,
            LevelName::RepeatableRead => Level::RepeatableRead,
            LevelName::Serializable => Level::Serializable,
        }
    }
}

/// The next stronger level.
fn stronger(level: Level) -> Option<Level> {
    match level {
        Level::ReadCommitted => Some(Level::RepeatableRead),
        Level::RepeatableRead => Some(Level::Serializable),
        Level::Serializable => None,
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    conduct(seed, "", run(&arguments, seed))
}

async fn run(arguments: &Arguments, seed: u64) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let server = match &arguments.server {
        Some(program) => Some(start(program, &folder)?),
        None => None,
    };
    let uri = match (&arguments.uri, &server) {
        (Some(uri), _) => uri.clone(),
        (None, Some(server)) => format!("postgresql://curia@{}/curia", server.sql),
        (None, None) => return Err("no server".to_owned()),
    };
    let levels = match arguments.level.as_slice() {
        [] => LevelName::value_variants(),
        some => some,
    };
    let forms = match arguments.form.as_slice() {
        [] => FormName::value_variants(),
        some => some,
    };
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    for form in forms {
        for level in levels {
            experiment(arguments, &uri, *form, level.level(), &mut random).await?;
        }
    }
    Ok(())
}

fn start(program: &std::path::Path, folder: &tempfile::TempDir) -> Result<Server, String> {
    let launch = Launch::in_folder(program.to_owned(), folder.path());
    launch
        .start(START_WITHIN)
        .map_err(|error| format!("the server did not start: {error:?}"))
}

async fn connect(uri: &str) -> Result<Client, String> {
    let (client, connection) = tokio_postgres::connect(uri, NoTls)
        .await
        .map_err(|error| format!("connect: {error}"))?;
    tokio::spawn(async move {
        let _ = connection.await; // the client sees the same failure
    });
    Ok(client)
}

/// What came of the transactions of one level and form.
#[derive(Default)]
struct Tally {
    committed: usize,
    failed: usize,
    unknown: usize,
    /// The histories show something that the next level forbids.
    weak: bool,
}

async fn experiment(arguments: &Arguments, uri: &str, form: FormName, level: Level, random: &mut ChaCha12Rng) -> Result<(), String> {
    let text = |error: tokio_postgres::Error| format!("{level:?}: {error}");
    let keys = match form {
        FormName::Lists => Form::List,
        FormName::Registers => Form::Register,
    };
    let lists = Arc::new(Lists::of(keys, vec![level], Instant::now()));
    let looks = connect(uri).await?;
    let drop: String = (0..4).map(|n| format!("DROP TABLE IF EXISTS lists_{n}, registers_{n};")).collect();
    looks.batch_execute(&drop).await.map_err(text)?;
    lists.open(&looks).await.map_err(text)?;
    let mut tally = Tally::default();
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while Instant::now() < end {
        let until = end.min(Instant::now() + ROUND);
        let mut clients = Vec::new();
        for number in 0..arguments.clients {
            let (client, lists) = (connect(uri).await?, lists.clone());
            let mut random = ChaCha12Rng::seed_from_u64(random.random());
            let connection = Connection {
                who: format!("client {number}"),
                number: number + 1,
                reading: None,
            };
            clients.push(tokio::spawn(async move {
                let mut done = Vec::new();
                while Instant::now() < until {
                    done.push(lists.attempt(&client, &connection, &mut random, PATIENCE).await);
                    if done.last().is_some_and(|last| last.said == Said::Nothing) {
                        break; // the connection is of no use any more
                    }
                }
                done
            }));
        }
        let mut history: Vec<Transaction> = Vec::new();
        for client in clients {
            history.extend(client.await.map_err(|error| error.to_string())?);
        }
        let end = lists.read_all(&looks, &history).await.map_err(text)?;
        history.push(Transaction { level, ..end });
        check(lists.unfold(history), level, &mut tally)?;
        lists.turn_over();
    }
    let beyond = match (stronger(level), tally.weak) {
        (None, _) => String::new(),
        (Some(next), true) => format!("; what {next:?} forbids was seen"),
        (Some(next), false) => format!("; nothing was seen that {next:?} forbids"),
    };
    println!(
        "{form:?} at {level:?}: {} transactions committed, {} were refused, {} are unknown; an order explains all{beyond}",
        tally.committed, tally.failed, tally.unknown
    );
    Ok(())
}

fn check((history, mut wrong): (Vec<Transaction>, Vec<String>), level: Level, tally: &mut Tally) -> Result<(), String> {
    let count = |said| history.iter().filter(|transaction| transaction.said == said).count();
    tally.committed += count(Said::Committed);
    tally.failed += count(Said::Failed);
    tally.unknown += count(Said::Nothing);
    wrong.extend(dependencies::check_order(&history));
    wrong.extend(dependencies::check(&history));
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    if let (Some(next), false) = (stronger(level), tally.weak) {
        let relabelled = history.into_iter().map(|transaction| Transaction {
            level: next,
            ..transaction
        });
        tally.weak = !dependencies::check(&relabelled.collect::<Vec<_>>()).is_empty();
    }
    Ok(())
}
