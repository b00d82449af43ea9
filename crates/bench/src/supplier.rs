//! The transactions of a wholesale supplier, after TPC-C ([`curia_sim::tpcc`]), by clients of this program on both servers.

use crate::peer::{Kind, Peer, Peers};
use crate::report::{Row, Table, median};
use crate::{Result, Setting};
use curia_sim::tpcc::{self, Desk, Outcome, Size};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use std::time::{Duration, Instant};

const CLIENTS: i32 = 8;
const LEVELS: [&str; 2] = ["READ COMMITTED", "SERIALIZABLE"];
/// Of what is drawn: both servers get the same data, and each round the same transactions.
const SEED: u64 = 1;

/// What the clients of one run did.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    committed: u64,
    aborted: u64,
}

/// Transactions a second, and how many the server wanted to be run again.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<Table> {
    let size = Size::full(setting.warehouses);
    for peer in peers.both() {
        let from = Instant::now();
        let client = peer.connect().await?;
        tpcc::schema::load(&client, size, &mut ChaCha12Rng::seed_from_u64(SEED)).await?;
        eprintln!("{} supplier: loaded in {:.0} s", peer.name(), from.elapsed().as_secs_f64());
        check(peer).await?;
    }
    let mut rows = Vec::new();
    for level in LEVELS {
        let mut row = Row {
            what: format!("{level}, {CLIENTS} clients"),
            curia: Vec::new(),
            postgres: Vec::new(),
            note: String::new(),
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..setting.rounds {
            for peer in peers.in_turn(round) {
                let (done, seconds) = run(peer, size, level, round as u64, Duration::from_secs(setting.seconds.into())).await?;
                let (rate, aborts) = (
                    done.committed as f64 / seconds,
                    100.0 * done.aborted as f64 / (done.committed + done.aborted) as f64,
                );
                eprintln!("{} supplier {level}: {rate:.0} a second, {aborts:.1} % aborted", peer.name());
                let (rates, rows) = match peer.kind {
                    Kind::Curia => (&mut row.curia, &mut ours),
                    Kind::Postgres => (&mut row.postgres, &mut theirs),
                };
                rates.push(rate);
                rows.push(aborts);
            }
        }
        let aborts = |values| median(values).unwrap_or_default();
        row.note = format!("aborted and run again: {:.1} %, {:.1} %", aborts(&ours), aborts(&theirs));
        rows.push(row);
    }
    for peer in peers.both() {
        check(peer).await?;
    }
    Ok(Table {
        title: format!(
            "Wholesale supplier after TPC-C, {} warehouses; its conditions 1 to 4 hold afterwards",
            setting.warehouses
        ),
        unit: "transactions a second",
        rows,
    })
}

/// All clients for so long; what they did, and in how many seconds.
async fn run(peer: &Peer, size: Size, level: &'static str, round: u64, length: Duration) -> Result<(Done, f64)> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut desk = Desk::new(peer.connect().await?, size, number, level);
        let mut random = ChaCha12Rng::seed_from_u64(SEED + round * 100 + number as u64);
        clients.push(async move {
            let (from, mut done) = (Instant::now(), Done::default());
            while from.elapsed() < length {
                // The next of the mix stands for one that was aborted: nobody waits for its result here.
                match desk.deal(&mut random).await?.1 {
                    Outcome::Committed | Outcome::Rejected => done.committed += 1,
                    Outcome::Aborted => done.aborted += 1,
                }
            }
            Ok::<_, tokio_postgres::Error>(done)
        });
    }
    let from = Instant::now();
    let all = futures::future::try_join_all(clients).await?;
    let sum = all.iter().fold(Done::default(), |sum, done| Done {
        committed: sum.committed + done.committed,
        aborted: sum.aborted + done.aborted,
    });
    Ok((sum, from.elapsed().as_secs_f64()))
}

async fn check(peer: &Peer) -> Result<()> {
    let client = peer.connect().await?;
    match tpcc::inconsistencies(&client).await?.first() {
        None => Ok(()),
        Some(first) => Err(format!("{}: {first}", peer.name()).into()),
    }
}
