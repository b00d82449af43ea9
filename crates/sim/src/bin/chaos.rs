//! Servers of one cluster die, stop, come, go and lose sight of each other under load; nothing wrong may ever be seen.
//!
//! A run is rounds. In each, clients work at all servers while faults happen in two lanes, of processes and of the network. Then
//! everything is healed and the clients wait: within a bound the cluster must serve again, all servers must reach the same CSN with
//! the same rows, and what the clients saw must be what one order explains.
//!
//! The seed fixes the workload, the faults and their times; how far the servers have come by then depends on the machine, so a seed
//! repeats the same experiment, not the same instruction.

use clap::Parser;
use curia_sim::bank::{Bank, connect};
use curia_sim::cluster::{Cluster, Frailties, Layout, Member};
use curia_sim::dependencies::{self, Level, Micros, Transaction};
use curia_sim::experiment::conduct;
use curia_sim::havoc::Havoc;
use curia_sim::ledger::{Account, Deed, Ledger, Said};
use curia_sim::lists::last_csn;
use curia_sim::load::{Load, SUPPLIER};
use curia_sim::schedule::{self, Kind, Lane};
use curia_sim::tpcc;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_postgres::Client;

/// Let everything that can go wrong between servers go wrong, under load; check what clients see.
#[derive(Parser)]
struct Arguments {
    /// The `curia` program.
    #[arg(long, value_name = "PATH")]
    server: PathBuf,
    /// How long.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Seed; drawn and printed when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Which servers: three, or five, that do everything; or three that store logs and two that run the database.
    #[arg(long, value_enum, default_value = "three")]
    layout: Layout,
    /// Kinds of faults; all when absent.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Kind>,
    /// Concurrent clients.
    #[arg(long, default_value_t = 8)]
    clients: i32,
    /// Let a kill lose what was written but not synced, as a power cut would.
    #[arg(long)]
    drop_unsynced: bool,
    /// Seconds of faults between two quiet moments.
    #[arg(long, default_value_t = 25)]
    round: u64,
    /// Folder for data and logs; a temporary one, kept on failure, when absent.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Clients of the wholesale supplier.
const TRADERS: i32 = 2;
/// Once everything is healed, a transaction must commit within this time.
const SERVES_WITHIN: Duration = Duration::from_secs(30);
/// And all servers must reach the same CSN within this.
const AGREES_WITHIN: Duration = Duration::from_secs(60);
/// And what an operator began must be done within this.
const CHANGES_WITHIN: Duration = Duration::from_secs(60);
/// Longest that one check may take.
const CHECK_WITHIN: Duration = Duration::from_secs(120);
/// What is asked of a server that may have lost its cluster.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// What a run came to.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    faults: BTreeMap<Kind, u64>,
    transactions: usize,
    /// Of them those over registers.
    registers: usize,
    /// Of those of the bank, those that were found to have committed by asking again under their keys.
    found_out: u64,
    /// Of them those whose clients never learned what became of them.
    unknown: usize,
    /// Of them those that read away from the consul.
    away: usize,
    sums: u64,
    past: u64,
    deals: u64,
    /// From the loss of the consul of a cluster that was whole to the first new commit.
    failovers: Vec<Duration>,
    /// From healing to the first commit.
    recoveries: Vec<Duration>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}; again with: {}", again(&arguments, seed));
    let again = format!("\nagain with: {}", again(&arguments, seed));
    conduct(seed, &again, async {
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(|error| error.to_string())?;
        // The cluster is in the run: when that is dropped, so are all processes.
        tokio::select! {
            outcome = run(&arguments, seed) => outcome,
            _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
            _ = terminated.recv() => Err("interrupted".to_owned()),
        }
    })
}

/// The command that repeats this run.
fn again(arguments: &Arguments, seed: u64) -> String {
    let name =
        |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let layout = name(&|| clap::ValueEnum::to_possible_value(&arguments.layout));
    let faults: Vec<String> = arguments
        .faults
        .iter()
        .map(|kind| name(&|| clap::ValueEnum::to_possible_value(kind)))
        .collect();
    let mut command = format!(
        "chaos --server {} --seconds {} --seed {seed} --layout {layout} --clients {} --round {}",
        arguments.server.display(),
        arguments.seconds,
        arguments.clients,
        arguments.round
    );
    if !faults.is_empty() {
        command += &format!(" --faults {}", faults.join(","));
    }
    if arguments.drop_unsynced {
        command += " --drop-unsynced";
    }
    command
}

async fn run(arguments: &Arguments, seed: u64) -> Result<(), String> {
    let home = match &arguments.data {
        Some(home) => home.clone(),
        // Evidence; removed below when all is well.
        None => tempfile::Builder::new()
            .prefix("curia-chaos-")
            .disable_cleanup(true)
            .tempdir()
            .map_err(|error| error.to_string())?
            .keep(),
    };
    let outcome = experiment(arguments, seed, &home).await;
    outcome.map_err(|reason| format!("{reason}\ndata and logs are in {}", home.display()))?;
    match arguments.data {
        Some(_) => Ok(()),
        None => std::fs::remove_dir_all(&home).map_err(|error| format!("{}: {error}", home.display())),
    }
}

async fn experiment(arguments: &Arguments, seed: u64, home: &Path) -> Result<(), String> {
    let mut options: Vec<String> = ["--log", "info"].map(str::to_owned).to_vec();
    if arguments.drop_unsynced {
        options.extend(["--file-layer", "forget-unsynced"].map(str::to_owned));
    }
    let kinds = match arguments.faults.is_empty() {
        true => Kind::all().to_vec(),
        false => arguments.faults.clone(),
    };
    let load = Arc::new(Load::new(Bank { tables: 6, accounts: 20 }));
    let begun = Instant::now();
    let frailties = Frailties {
        small_disk: kinds.contains(&Kind::Full),
        slow_disks: kinds.contains(&Kind::SlowDisk),
        clocks: kinds.contains(&Kind::Clock),
    };
    let cluster = Cluster::form(arguments.server.clone(), home.to_owned(), arguments.layout, options, frailties).await?;
    let havoc = Havoc::new(cluster, begun);
    let opening = open(&havoc, &load).await?;
    let mut examiner = Examiner {
        ledger: Ledger::new(opening),
        csn: 0,
        tally: Tally::default(),
        home: home.to_owned(),
    };
    let mut clients = vec![load.probe()];
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    for round in 0.. {
        *load.places.lock() = places(&havoc).await;
        if round == 0 {
            for number in 0..TRADERS {
                clients.push(load.trade(number, ChaCha12Rng::seed_from_u64(seed.wrapping_sub(1 + number as u64))));
            }
            for number in 0..arguments.clients {
                clients.push(load.employ(number, ChaCha12Rng::seed_from_u64(seed.wrapping_add(number as u64))));
            }
        }
        let length = Duration::from_secs(arguments.round).min(end.saturating_duration_since(Instant::now()));
        let (over, until) = watch::channel(false);
        let lanes = async {
            tokio::try_join!(
                wreak(&havoc, seed, round, Lane::Processes, &kinds, until.clone()),
                wreak(&havoc, seed, round, Lane::Network, &kinds, until.clone()),
            )
        };
        let clock = async {
            tokio::time::sleep(length).await;
            over.send_replace(true);
        };
        let (lanes, ()) = tokio::join!(lanes, clock);
        lanes?;
        examiner.examine(&havoc, &load).await?;
        if Instant::now() >= end {
            break;
        }
    }
    for client in clients {
        client.abort();
    }
    let mut cluster = havoc.cluster.lock().await;
    for at in cluster.those(Member::is_up) {
        cluster.terminate(at)?;
    }
    println!(
        "passed with seed {seed} in {:.0} s\n{}",
        begun.elapsed().as_secs_f64(),
        examiner.summary()
    );
    Ok(())
}

/// Makes what the clients work on. On a busy machine an office may be lost in that without any fault.
async fn open(havoc: &Havoc, load: &Load) -> Result<BTreeMap<Account, i64>, String> {
    let from = Instant::now();
    loop {
        let (mut client, _) = serving(havoc).await?;
        let opened = async {
            let opening = load.bank.open(&mut client).await?;
            load.lists.open(&client).await?;
            load.registers.open(&client).await?;
            tpcc::schema::load(&client, SUPPLIER, &mut ChaCha12Rng::seed_from_u64(0)).await?;
            Ok::<_, tokio_postgres::Error>(opening)
        };
        match opened.await {
            Ok(opening) => return Ok(opening),
            Err(error) if from.elapsed() > SERVES_WITHIN => return Err(format!("opening the bank: {}", full(&error))),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// One lane of faults, until the round is over.
async fn wreak(havoc: &Havoc, seed: u64, round: u64, lane: Lane, kinds: &[Kind], mut until: watch::Receiver<bool>) -> Result<(), String> {
    for fault in schedule::faults(seed, round, lane, kinds) {
        if tokio::time::timeout(fault.after, until.wait_for(|over| *over)).await.is_ok() {
            return Ok(());
        }
        havoc.inflict(fault).await?;
    }
    Ok(())
}

async fn places(havoc: &Havoc) -> Vec<String> {
    let cluster = havoc.cluster.lock().await;
    let members = cluster.members().iter().filter(|member| member.is_member());
    members.map(|member| member.sql().to_owned()).collect()
}

/// Waits until a transaction commits; a connection to who did it, and its CSN.
async fn serving(havoc: &Havoc) -> Result<(Client, u64), String> {
    let from = Instant::now();
    let mut last;
    loop {
        for place in places(havoc).await {
            let pulse = async {
                let client = connect(&place).await?;
                client.batch_execute("CREATE TABLE IF NOT EXISTS heartbeats (beat int)").await?;
                client.batch_execute("INSERT INTO heartbeats VALUES (0)").await?;
                let csn = last_csn(&client).await?;
                Ok::<_, tokio_postgres::Error>((client, csn))
            };
            match tokio::time::timeout(ASK_WITHIN, pulse).await {
                Ok(Ok((client, Some(csn)))) => return Ok((client, csn)),
                Ok(Ok((_, None))) => last = format!("{place}: the consul changed"),
                Ok(Err(error)) => last = format!("{place}: {}", full(&error)),
                Err(_) => last = format!("{place}: no answer in {} s", ASK_WITHIN.as_secs()),
            }
            if from.elapsed() > SERVES_WITHIN {
                return Err(format!(
                    "everything was healed, and after {} s nobody serves: {last}",
                    from.elapsed().as_secs()
                ));
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Compares what clients saw with what is there.
struct Examiner {
    ledger: Ledger,
    csn: u64,
    tally: Tally,
    home: PathBuf,
}

impl Examiner {
    async fn examine(&mut self, havoc: &Havoc, load: &Load) -> Result<(), String> {
        havoc.heal().await?;
        let healed = Instant::now();
        let (first, _) = serving(havoc).await?;
        self.tally.recoveries.push(healed.elapsed());
        drop(first);
        // An office that was lost to a fault before may still change hands once.
        while let Err(why) = havoc.finish_changes().await {
            if healed.elapsed() > CHANGES_WITHIN {
                return Err(format!("a change of the members can't be finished: {why}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let _halted = load.halt().await;
        let (mut client, csn) = serving(havoc).await?;
        let checks = async {
            alone(&client).await?;
            havoc.cluster.lock().await.compare(csn, AGREES_WITHIN).await?;
            self.check(&mut client, csn, havoc, load).await
        };
        let checked = tokio::time::timeout(CHECK_WITHIN, checks).await;
        checked.map_err(|_| format!("the checks took more than {} s", CHECK_WITHIN.as_secs()))??;
        havoc.cluster.lock().await.look()
    }

    async fn check(&mut self, client: &mut Client, csn: u64, havoc: &Havoc, load: &Load) -> Result<(), String> {
        let sql = |error: tokio_postgres::Error| format!("checking: {}", full(&error));
        let notes = std::mem::take(&mut *load.notes.lock());
        let mut wrong = notes.wrong;
        let attempted = (notes.attempts.len(), notes.lists.len(), notes.registers.len());
        self.ledger.record(notes.attempts);
        let mut seen = load.bank.observe(client).await.map_err(sql)?;
        let made = self.ledger.attempts().filter(|attempt| attempt.deed == Deed::Table);
        seen.tables = load.bank.made_tables(client, made.map(|attempt| attempt.id)).await.map_err(sql)?;
        let (_, _, unknown) = self.ledger.tally();
        wrong.extend(self.ledger.check(&seen).iter().map(ToString::to_string));
        wrong.extend(tpcc::inconsistencies(client).await.map_err(sql)?);
        let transactions = [&notes.lists[..], &notes.registers].concat();
        wrong.extend(dependencies::check_order(&transactions));
        let unsure = transactions.iter().filter(|transaction| transaction.said == Said::Nothing).count();
        for (lists, history) in [(&load.lists, notes.lists), (&load.registers, notes.registers)] {
            for level in Level::ALL {
                let own = history.iter().filter(|transaction| transaction.level == level);
                let mut own: Vec<Transaction> = own.cloned().collect();
                own.push(lists.read_all(client, &own).await.map_err(sql)?);
                let (own, strange) = lists.unfold(own);
                wrong.extend(strange);
                wrong.extend(dependencies::check(&own));
            }
            lists.turn_over();
        }
        let events = havoc.take_events();
        self.count(&events, &notes.commits);
        self.tally.rounds += 1;
        self.tally.transactions += attempted.0 + attempted.1 + attempted.2;
        self.tally.registers += attempted.2;
        self.tally.found_out += notes.found_out;
        self.tally.sums += notes.sums;
        self.tally.deals += notes.deals;
        self.tally.past += notes.past.values().map(|(_, times)| times).sum::<u64>();
        self.tally.unknown += unknown + unsure;
        self.tally.away += notes.away;
        println!(
            "round {}: {} faults; {} transactions of the bank, {} over lists and {} over registers, {} and {} of them with unknown outcome; {} sums; CSN {} to {csn}",
            self.tally.rounds,
            events.len(),
            attempted.0,
            attempted.1,
            attempted.2,
            unknown,
            unsure,
            notes.sums,
            self.csn
        );
        if csn <= self.csn {
            wrong.push(format!("the last CSN went from {} to {csn}", self.csn));
        }
        self.csn = csn;
        match wrong.first() {
            None => Ok(()),
            Some(first) => {
                let history: String = transactions.iter().map(|transaction| format!("{transaction:?}\n")).collect();
                let all = wrong.join("\n");
                let written =
                    std::fs::write(self.home.join("history"), history).and_then(|()| std::fs::write(self.home.join("violations"), all));
                written.map_err(|error| error.to_string())?;
                Err(format!("{} violations, the first: {first}", wrong.len()))
            }
        }
    }

    fn count(&mut self, events: &[curia_sim::havoc::Event], commits: &[(Micros, Micros)]) {
        for event in events {
            *self.tally.faults.entry(event.kind).or_default() += 1;
            let later = commits.iter().filter(|(asked, _)| event.failover && *asked >= event.at);
            if let Some(first) = later.map(|(_, answered)| *answered).min() {
                self.tally.failovers.push(Duration::from_micros(first - event.at));
            }
        }
    }

    fn summary(&self) -> String {
        let (committed, failed, _) = self.ledger.tally();
        let faults: Vec<_> = self.tally.faults.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
        format!(
            "{} rounds; faults: {}\n{} transactions, {} of them over registers, {} with unknown outcome and {} found out by their keys, {} read away from the consul; of the bank {committed} committed and {failed} not; {} sums of all balances, {} as of earlier commits; {} of the supplier\nfailovers, to the first new commit: {}\nhealed to the first commit: {}",
            self.tally.rounds,
            faults.join(", "),
            self.tally.transactions,
            self.tally.registers,
            self.tally.unknown,
            self.tally.found_out,
            self.tally.away,
            self.tally.sums,
            self.tally.past,
            self.tally.deals,
            times(&self.tally.failovers),
            times(&self.tally.recoveries)
        )
    }
}

fn times(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    match sorted.last() {
        None => "none".to_owned(),
        Some(worst) => format!(
            "{}, median {:.2} s, worst {:.2} s",
            sorted.len(),
            sorted[sorted.len() / 2].as_secs_f64(),
            worst.as_secs_f64()
        ),
    }
}

/// Waits until no other client's session is left: what it sent last may still be carried out.
async fn alone(client: &Client) -> Result<(), String> {
    let from = Instant::now();
    loop {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        let row = client.query_one(others, &[]).await.map_err(|error| full(&error))?;
        if row.get::<_, i64>(0) == 0 {
            return Ok(());
        }
        if from.elapsed() > SERVES_WITHIN {
            return Err(format!(
                "sessions of clients that are gone are still there after {} s",
                from.elapsed().as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The whole chain of an error; the driver's own text leaves the cause out.
fn full(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
