//! `curia demo --load`: a small bank, so that there is something to see while servers die.
//!
//! Clients move money between accounts; every second a line says how much was committed and who is consul. A transfer that
//! fails is tried again on another connection, and the money is counted at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Error, NoTls};

/// Clients.
const CLIENTS: u64 = 4;
/// Accounts, and what each has to begin with.
const ACCOUNTS: i32 = 1_000;
const BALANCE: i64 = 100;
/// How long a client waits that gets no connection.
const AGAIN: Duration = Duration::from_millis(20);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Counts {
    committed: AtomicU64,
    again: AtomicU64,
    /// When the last one committed, milliseconds from the beginning.
    last: AtomicU64,
    /// The longest time without a commit since the last line, in milliseconds.
    gap: AtomicU64,
}

/// Runs the load until dropped.
pub async fn run(uri: String) {
    let client = ready(&uri).await;
    let counts = Arc::new(Counts::default());
    let begun = Instant::now();
    for number in 0..CLIENTS {
        tokio::spawn(transfers(uri.clone(), number, counts.clone(), begun));
    }
    drop(client);
    let (mut before, mut consul, mut failovers) = (0, 0, 0);
    let mut ticks = tokio::time::interval(LINE);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let committed = counts.committed.load(Ordering::Relaxed);
        let look = tokio::time::timeout(LINE / 2, state(&uri)).await;
        let shown = match look {
            Ok(Some((now, total))) => {
                failovers += u64::from(consul != 0 && now != consul);
                consul = now;
                format!("consul is server {now}, {failovers} failovers, {} in all accounts", total)
            }
            _ => "no consul".to_owned(),
        };
        println!(
            "{:>6} commits/s, longest wait {} ms, {} tried again; {shown}",
            committed - before,
            counts.gap.swap(0, Ordering::Relaxed),
            counts.again.load(Ordering::Relaxed)
        );
        before = committed;
    }
}

/// A connection to whoever takes one.
async fn connect(uri: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(uri, NoTls).await?;
    tokio::spawn(async move {
        let _ = connection.await; // the client sees it, too
    });
    Ok(client)
}

/// A connection, once the accounts are there.
async fn ready(uri: &str) -> Client {
    let make = format!(
        "create table if not exists accounts (id int primary key, balance bigint not null);
         insert into accounts select n, {BALANCE} from generate_series(1, {ACCOUNTS}) n on conflict do nothing"
    );
    loop {
        if let Ok(client) = connect(uri).await
            && client.batch_execute(&make).await.is_ok()
        {
            return client;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Who is consul, and the money in all accounts.
async fn state(uri: &str) -> Option<(i64, i64)> {
    let client = connect(uri).await.ok()?;
    let query = "select (select consul from curia.senate), (select sum(balance)::bigint from accounts)";
    let row = client.query_one(query, &[]).await.ok()?;
    Some((row.try_get(0).ok()?, row.try_get(1).ok()?))
}

async fn transfers(uri: String, seed: u64, counts: Arc<Counts>, begun: Instant) {
    let mut client = None;
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    loop {
        // xorshift: which accounts, matters little.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let account = |random: u64| (random % ACCOUNTS as u64) as i32 + 1;
        let (from, to) = (account(random), account(random >> 32));
        let outcome = match &mut client {
            Some(client) => transfer(client, from, to).await,
            None => match connect(&uri).await {
                Ok(made) => {
                    client = Some(made);
                    continue;
                }
                Err(_) => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            },
        };
        if outcome.is_err() {
            counts.again.fetch_add(1, Ordering::Relaxed);
            client = client.filter(|client| !client.is_closed());
            continue;
        }
        counts.committed.fetch_add(1, Ordering::Relaxed);
        let now = begun.elapsed().as_millis() as u64;
        let last = counts.last.swap(now, Ordering::Relaxed);
        counts.gap.fetch_max(now.saturating_sub(last), Ordering::Relaxed);
    }
}

async fn transfer(client: &mut Client, from: i32, to: i32) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let mut parts = [(from, -1_i64), (to, 1)];
    parts.sort_unstable(); // so that two transfers never wait for each other
    for (account, amount) in parts {
        let statement = "update accounts set balance = balance + $1 where id = $2";
        transaction.execute(statement, &[&amount, &account]).await?;
    }
    transaction.commit().await
}
