//! COPY FROM STDIN of rows as pgbench_accounts has them, through the same client for both servers.

use crate::peer::{Kind, Peer, Peers};
use crate::report::{Row, Table};
use crate::{Result, Setting};
use bytes::Bytes;
use futures::SinkExt;
use std::fmt::Write;
use std::pin::pin;
use std::time::Instant;

/// Rows copied in one round.
const ROWS: u32 = 1_000_000;
/// Rows of one CopyData message.
pub const ROWS_A_MESSAGE: u32 = 500;

/// Rows a second, in thousands.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<Table> {
    let messages = messages();
    let mut row = Row {
        what: "COPY FROM STDIN, text".into(),
        curia: Vec::new(),
        postgres: Vec::new(),
        note: String::new(),
    };
    for round in 0..setting.rounds {
        for peer in peers.in_turn(round) {
            let seconds = once(peer, &messages).await?;
            eprintln!("{} copy: {seconds:.2} s", peer.name());
            let rate = f64::from(ROWS) / seconds / 1000.0;
            match peer.kind {
                Kind::Curia => row.curia.push(rate),
                Kind::Postgres => row.postgres.push(rate),
            }
        }
    }
    Ok(Table {
        title: format!("COPY of {ROWS} pgbench_accounts rows into a table with a primary key"),
        unit: "1000 rows a second",
        rows: vec![row],
    })
}

fn messages() -> Vec<Bytes> {
    (0..ROWS / ROWS_A_MESSAGE).map(message).collect()
}

/// The `number`-th message of [`ROWS_A_MESSAGE`] rows.
pub fn message(number: u32) -> Bytes {
    let filler = " ".repeat(84);
    let mut text = String::new();
    for row in 1..=ROWS_A_MESSAGE {
        let aid = number * ROWS_A_MESSAGE + row;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{aid}\t{}\t0\t{filler}", (aid - 1) / 100_000 + 1);
    }
    Bytes::from(text)
}

/// Seconds from COPY to the end of its commit.
async fn once(peer: &Peer, messages: &[Bytes]) -> Result<f64> {
    let client = peer.connect().await?;
    client
        .batch_execute("DROP TABLE IF EXISTS copied; CREATE TABLE copied (aid int PRIMARY KEY, bid int, abalance int, filler char(84))")
        .await?;
    let from = Instant::now();
    let sink = client.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?;
    let mut sink = pin!(sink);
    for message in messages {
        sink.feed(message.clone()).await?;
    }
    let rows = sink.as_mut().finish().await?;
    let seconds = from.elapsed().as_secs_f64();
    if rows != u64::from(ROWS) {
        return Err(format!("{} copied {rows} rows of {ROWS}", peer.name()).into());
    }
    let counted: i64 = client.query_one("SELECT count(*) FROM copied", &[]).await?.get(0);
    if counted != i64::from(ROWS) {
        return Err(format!("{} holds {counted} rows of {ROWS}", peer.name()).into());
    }
    client.batch_execute("DROP TABLE copied").await?;
    Ok(seconds)
}
