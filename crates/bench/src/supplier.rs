//! The transactions of a wholesale supplier, after TPC-C ([`curia_sim::tpcc`]), by clients of this program on both servers.

use crate::peer::{Peer, Peers};
use crate::report::{Row, Table, median};
use crate::{Result, Setting};
use curia_sim::tpcc::{self, Desk, Kind, Outcome, Size};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const CLIENTS: i32 = 8;
const LEVELS: [&str; 2] = ["READ COMMITTED", "SERIALIZABLE"];
/// Of what is drawn: both servers get the same data, and each round the same transactions.
const SEED: u64 = 1;

/// What the clients of one run did.
#[derive(Clone, Debug, Default)]
struct Done {
    committed: u64,
    aborted: u64,
    /// How many of each kind have ended, aborted ones too, and how long they took together.
    kinds: BTreeMap<Kind, (u32, Duration)>,
}

/// Transactions a second, and how many the server wanted to be run again; how long each kind takes.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<[Table; 2]> {
    let size = Size::full(setting.warehouses);
    for peer in peers.both() {
        let from = Instant::now();
        let client = peer.connect().await?;
        tpcc::schema::load(&client, size, &mut ChaCha12Rng::seed_from_u64(SEED)).await?;
        eprintln!("{} supplier: loaded in {:.0} s", peer.name(), from.elapsed().as_secs_f64());
        check(peer).await?;
    }
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for level in LEVELS {
        let mut rate = Row::new(format!("{level}, {CLIENTS} clients"));
        let mut aborted = Row::new("");
        let mut kinds: BTreeMap<Kind, Row> = BTreeMap::new();
        for round in 0..setting.rounds {
            for peer in peers.in_turn(round) {
                let (done, seconds) = run(peer, size, level, round as u64, Duration::from_secs(setting.seconds.into())).await?;
                let (committed, aborts) = (
                    done.committed as f64 / seconds,
                    100.0 * done.aborted as f64 / (done.committed + done.aborted) as f64,
                );
                eprintln!("{} supplier {level}: {committed:.0} a second, {aborts:.1} % aborted", peer.name());
                rate.add(peer.kind, committed);
                aborted.add(peer.kind, aborts);
                for (kind, (count, time)) in done.kinds {
                    let row = kinds.entry(kind).or_insert_with(|| Row::new(format!("{kind:?}, {level}")));
                    row.add(peer.kind, time.as_secs_f64() * 1e3 / f64::from(count));
                }
            }
        }
        let aborts = |values: &[f64]| median(values).unwrap_or_default();
        rate.note = format!(
            "aborted and run again: {:.1} %, {:.1} %",
            aborts(&aborted.curia),
            aborts(&aborted.postgres)
        );
        rates.push(rate);
        times.extend(kinds.into_values());
    }
    for peer in peers.both() {
        check(peer).await?;
    }
    let title = format!("Wholesale supplier after TPC-C, {} warehouses", setting.warehouses);
    Ok([
        Table {
            title: format!("{title}; its conditions 1 to 4 hold afterwards"),
            unit: "transactions a second",
            rows: rates,
        },
        Table {
            title: format!("{title}: a transaction of each kind"),
            unit: "mean milliseconds",
            rows: times,
        },
    ])
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
                let begun = Instant::now();
                let (kind, outcome) = desk.deal(&mut random).await?;
                done.took(kind, 1, begun.elapsed());
                match outcome {
                    Outcome::Committed | Outcome::Rejected => done.committed += 1,
                    Outcome::Aborted => done.aborted += 1,
                }
            }
            Ok::<_, tokio_postgres::Error>(done)
        });
    }
    let from = Instant::now();
    let all = futures::future::try_join_all(clients).await?;
    let mut sum = Done::default();
    for done in all {
        sum.committed += done.committed;
        sum.aborted += done.aborted;
        done.kinds.into_iter().for_each(|(kind, (count, time))| sum.took(kind, count, time));
    }
    Ok((sum, from.elapsed().as_secs_f64()))
}

impl Done {
    fn took(&mut self, kind: Kind, count: u32, time: Duration) {
        let sum = self.kinds.entry(kind).or_default();
        *sum = (sum.0 + count, sum.1 + time);
    }
}

async fn check(peer: &Peer) -> Result<()> {
    let client = peer.connect().await?;
    match tpcc::inconsistencies(&client).await?.first() {
        None => Ok(()),
        Some(first) => Err(format!("{}: {first}", peer.name()).into()),
    }
}
