//! Queries that read the whole of pgbench_accounts.

use crate::peer::{Peer, Peers};
use crate::report::{Row, Table};
use crate::{Result, Setting};
use std::time::Instant;

const QUERIES: [&str; 3] = [
    "select count(*), sum(abalance) from pgbench_accounts",
    "select bid, count(*), min(aid), max(aid) from pgbench_accounts group by bid order by bid",
    "select count(*) from pgbench_accounts a join pgbench_branches b using (bid) where a.aid % 7 = 3",
];
/// Executions of each query in a round; the first of all warms the caches and is not counted.
const EXECUTIONS: usize = 3;

/// Milliseconds of each query.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<Table> {
    let mut rows = Vec::new();
    for query in QUERIES {
        let mut row = Row::new(format!("`{query}`"));
        for peer in peers.both() {
            once(peer, query).await?;
        }
        for round in 0..setting.rounds {
            for peer in peers.in_turn(round) {
                for _ in 0..EXECUTIONS {
                    let milliseconds = once(peer, query).await?;
                    row.add(peer.kind, milliseconds);
                }
            }
        }
        rows.push(row);
    }
    Ok(Table {
        title: format!("Queries over {} rows", u64::from(setting.scale) * 100_000),
        unit: "milliseconds",
        rows,
    })
}

async fn once(peer: &Peer, query: &str) -> Result<f64> {
    let client = peer.connect().await?;
    let from = Instant::now();
    client
        .simple_query(query)
        .await
        .map_err(|error| format!("{}: {query}: {error:?}", peer.name()))?;
    Ok(from.elapsed().as_secs_f64() * 1000.0)
}
