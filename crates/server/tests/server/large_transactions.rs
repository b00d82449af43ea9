//! Transactions that write more than they may keep in memory: they commit whole or leave nothing, and end at a limit.

use crate::cluster::{Cluster, connect_again, count};
use crate::cluster_views::metrics;
use crate::house::{House, PATIENCE, connect, start, state};
use curia_sim::server::Server;
use std::path::Path;
use std::time::{Duration, Instant};

const SMALL: [&str; 4] = ["--transaction-memory", "256KiB", "--transaction-limit", "8MiB"];

/// Rows of about 100 bytes.
fn insert(from: u32, to: u32) -> String {
    format!("INSERT INTO t SELECT n, repeat(md5(n::text), 3) FROM generate_series({from}, {to}) n")
}

async fn uncommitted(server: &Server) -> f64 {
    metrics(server).await["curia_uncommitted_bytes"]
}

fn scratch(data: &Path) -> usize {
    std::fs::read_dir(data.join("spill/transactions")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_transaction_beyond_the_limit_fails_and_one_below_it_commits_while_others_go_on() {
    let house = House::new().with(&SMALL);
    let server = house.start();
    let (giant, other) = (connect(&server).await, connect(&server).await);
    giant
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE small (id int PRIMARY KEY)")
        .await
        .unwrap();

    let error = giant.batch_execute(&insert(1, 200_000)).await.unwrap_err();
    assert_eq!(state(&error), "54000", "{error:?}");
    assert!(error.as_db_error().unwrap().hint().unwrap().contains("--transaction-limit"));
    assert_eq!(count(&giant).await, 0);
    assert_eq!((uncommitted(&server).await, scratch(&house.launch.data)), (0.0, 0));

    giant.batch_execute("BEGIN").await.unwrap();
    giant.batch_execute(&insert(1, 20_000)).await.unwrap();
    giant.batch_execute("SAVEPOINT s").await.unwrap();
    let error = giant.batch_execute(&insert(20_001, 200_000)).await.unwrap_err();
    assert_eq!(state(&error), "54000", "{error:?}");
    giant.batch_execute("ROLLBACK TO s").await.unwrap();
    // What was undone counts no more.
    giant.batch_execute(&insert(20_001, 40_000)).await.unwrap();
    giant
        .batch_execute("UPDATE t SET v = 'new' WHERE id % 2 = 0; DELETE FROM t WHERE id % 4 = 0")
        .await
        .unwrap();
    assert!(uncommitted(&server).await > 4e6);
    other
        .batch_execute("INSERT INTO small SELECT generate_series(1, 10)")
        .await
        .unwrap();
    assert_eq!(count(&other).await, 0);
    assert_eq!(count(&giant).await, 30_000);
    giant.batch_execute("COMMIT").await.unwrap();
    let new = other.query_one("SELECT count(*) FROM t WHERE v = 'new'", &[]).await.unwrap();
    assert_eq!((count(&other).await, new.get::<_, i64>(0)), (30_000, 10_000));
    assert_eq!((uncommitted(&server).await, scratch(&house.launch.data)), (0.0, 0));

    server.kill().unwrap();
    let server = house.start();
    assert_eq!(count(&connect(&server).await).await, 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_leaves_nothing_when_its_consul_dies_and_happens_whole_at_the_next() {
    let cluster = Cluster::of(3, &SMALL);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    let consul = cluster.consul(&[0, 1, 2]);
    let client = connect(servers[consul].as_ref().unwrap()).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute(&insert(1, 50_000)).await.unwrap();
    let dying = servers[consul].take().unwrap();
    assert!(uncommitted(&dying).await > 4e6);
    dying.kill().unwrap();

    let left = (consul + 1) % 3;
    let client = connect_again(servers[left].as_ref().unwrap()).await;
    assert_eq!(count(&client).await, 0);
    client.batch_execute(&insert(1, 50_000)).await.unwrap();
    assert_eq!(count(&client).await, 50_000);
    // The logs of who was away have parts of both.
    let back = start(&cluster.launches[consul]);
    let follower = connect_again(&back).await;
    follower.batch_execute("SET curia.read = 'strict'").await.unwrap();
    let from = Instant::now();
    while count(&follower).await != 50_000 {
        assert!(from.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
