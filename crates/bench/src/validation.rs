//! What a transaction by primary key costs at SERIALIZABLE beside REPEATABLE READ: the difference is the price of validation.

use crate::peer::{Peer, Peers};
use crate::report::{Row, Table, median};
use crate::{Result, Setting};
use std::time::Instant;

/// Transactions of each kind and level in a round, one after the other so that both levels meet the same moments.
const TRANSACTIONS: usize = 2_000;
const LEVELS: [&str; 2] = ["REPEATABLE READ", "SERIALIZABLE"];
const KINDS: [(&str, Option<&str>); 2] = [
    ("reads a row", None),
    (
        "reads a row and updates it",
        Some("update pgbench_accounts set abalance = abalance + 0 where aid = $1"),
    ),
];

/// Microseconds of a transaction; needs pgbench's tables.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<Table> {
    let mut rows = Vec::new();
    for (what, update) in KINDS {
        let mut levels = LEVELS.map(|level| Row::new(format!("{what}, {level}")));
        for round in 0..setting.rounds {
            for peer in peers.in_turn(round) {
                for (row, microseconds) in levels.iter_mut().zip(once(peer, update).await?) {
                    row.add(peer.kind, microseconds);
                }
            }
        }
        let dearer = |of: fn(&Row) -> &[f64]| match (median(of(&levels[0])), median(of(&levels[1]))) {
            (Some(without), Some(with)) => 100.0 * (with / without - 1.0),
            _ => 0.0,
        };
        let (ours, theirs) = (dearer(|row| &row.curia), dearer(|row| &row.postgres));
        levels[1].note = format!("{ours:+.1} %, {theirs:+.1} %");
        rows.extend(levels);
    }
    Ok(Table {
        title: "SERIALIZABLE beside REPEATABLE READ, one connection".to_owned(),
        unit: "microseconds",
        rows,
    })
}

/// The median transaction of each level.
async fn once(peer: &Peer, update: Option<&str>) -> Result<[f64; 2]> {
    let client = peer.connect().await?;
    let read = client.prepare("select abalance from pgbench_accounts where aid = $1").await?;
    let update = match update {
        Some(text) => Some(client.prepare(text).await?),
        None => None,
    };
    let begins = LEVELS.map(|level| format!("begin isolation level {level}"));
    let mut times = [Vec::new(), Vec::new()];
    for key in 1..=TRANSACTIONS as i32 {
        for (begin, times) in begins.iter().zip(&mut times) {
            let from = Instant::now();
            client.batch_execute(begin).await?;
            client.query_one(&read, &[&key]).await?;
            if let Some(update) = &update {
                client.execute(update, &[&key]).await?;
            }
            client.batch_execute("commit").await?;
            times.push(from.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(times.map(|times| median(&times).unwrap_or_default()))
}
