//! Row locks of one transaction, and how soon a deadlock is found.

use crate::peer::{Peer, Peers};
use crate::report::{Row, Table};
use crate::{Result, Setting};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// Rows that one transaction locks: no more than Curia locks one by one before it locks the table.
const ROWS: i32 = 10_000;
/// Measurements of each kind in a round.
const TIMES: usize = 5;

/// Milliseconds.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<Table> {
    for peer in peers.both() {
        let tables = format!(
            "create table to_lock (id int primary key, amount int); insert into to_lock select i, 0 from generate_series(1, {ROWS}) i"
        );
        peer.connect().await?.batch_execute(&tables).await?;
    }
    let mut rows = [
        format!("{ROWS} rows locked FOR UPDATE"),
        "all of them released".into(),
        "a deadlock of two found".into(),
    ]
    .map(Row::new);
    for round in 0..setting.rounds {
        for peer in peers.in_turn(round) {
            for _ in 0..TIMES {
                let (taken, released) = lock_and_release(peer).await?;
                for (row, time) in rows.iter_mut().zip([taken, released, deadlock(peer).await?]) {
                    row.add(peer.kind, time.as_secs_f64() * 1e3);
                }
            }
        }
    }
    Ok(Table {
        title: "Row locks".to_owned(),
        unit: "milliseconds",
        rows: rows.into(),
    })
}

async fn lock_and_release(peer: &Peer) -> Result<(Duration, Duration)> {
    let client = peer.connect().await?;
    client.batch_execute("begin").await?;
    let from = Instant::now();
    client.batch_execute("select from to_lock for update").await?;
    let taken = from.elapsed();
    let from = Instant::now();
    client.batch_execute("commit").await?;
    Ok((taken, from.elapsed()))
}

/// From the request that closes the circle to the error that one of the two gets.
async fn deadlock(peer: &Peer) -> Result<Duration> {
    let (one, other) = (peer.connect().await?, peer.connect().await?);
    for (client, id) in [(&one, 1), (&other, 2)] {
        let lock = format!("begin; select from to_lock where id = {id} for update");
        client.batch_execute(&lock).await?;
    }
    let mut waits = std::pin::pin!(one.batch_execute("select from to_lock where id = 2 for update"));
    if let Ok(done) = tokio::time::timeout(Duration::from_millis(50), &mut waits).await {
        return Err(format!("{}: a locked row was locked again: {done:?}", peer.name()).into());
    }
    let from = Instant::now();
    let closes = other.batch_execute("select from to_lock where id = 1 for update");
    // One of the two is refused and lets go of its locks, so that the other comes to its end.
    match futures::join!(timed(from, waits), timed(from, closes)) {
        ((Err(error), took), (Ok(()), _)) | ((Ok(()), _), (Err(error), took)) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {
            Ok(took)
        }
        ended => Err(format!("{}: a deadlock ended with {ended:?}", peer.name()).into()),
    }
}

async fn timed<T>(from: Instant, ended: impl Future<Output = T>) -> (T, Duration) {
    (ended.await, from.elapsed())
}
