//! kill -9 under load, then the time to the first right answer.

use crate::peer::{Kind, Peers};
use crate::report::{Row, Table};
use crate::{Result, Setting};

const QUESTION: &str = "select abalance from pgbench_accounts where aid = 77777";
/// Updates between two kills, so that there is something to recover.
const UPDATES: i32 = 2_000;

/// Seconds from exec to the answer.
pub async fn measure(peers: &mut Peers, setting: &Setting) -> Result<Table> {
    let mut row = Row {
        what: format!("{} rows, {UPDATES} updates before", u64::from(setting.scale) * 100_000),
        curia: Vec::new(),
        postgres: Vec::new(),
        note: String::new(),
    };
    for _ in 0..setting.rounds {
        for peer in [&mut peers.curia, &mut peers.postgres] {
            let client = peer.connect().await?;
            let update = client
                .prepare("update pgbench_accounts set abalance = abalance + 1 where aid = $1")
                .await?;
            for aid in 1..=UPDATES {
                client.execute(&update, &[&aid]).await?;
            }
            let before: i32 = client.query_one(QUESTION, &[]).await?.get(0);
            drop(client);
            let from = peer.kill_and_start()?;
            let after: i32 = peer.connect().await?.query_one(QUESTION, &[]).await?.get(0);
            let seconds = from.elapsed().as_secs_f64();
            if before != after {
                return Err(format!("{}: {before} before the kill, {after} after", peer.name()).into());
            }
            match peer.kind {
                Kind::Curia => row.curia.push(seconds),
                Kind::Postgres => row.postgres.push(seconds),
            }
        }
    }
    Ok(Table {
        title: "Restart after kill -9".into(),
        unit: "seconds to the first answer",
        rows: vec![row],
    })
}
