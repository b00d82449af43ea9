//! What is acknowledged survives every way of stopping.

use crate::house::{House, PATIENCE, connect};

async fn count(client: &tokio_postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn rows_survive_sigterm_and_sigkill() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE INDEX t_v ON t (v)")
        .await
        .unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, 'one')").await.unwrap();
    tokio::task::spawn_blocking(move || server.terminate(PATIENCE))
        .await
        .unwrap()
        .unwrap();

    let server = house.start();
    let client = connect(&server).await;
    assert_eq!(count(&client).await, 1);
    client.batch_execute("INSERT INTO t VALUES (2, 'two')").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (3, 'three')").await.unwrap();
    server.kill().unwrap();

    let server = house.start();
    let client = connect(&server).await;
    assert_eq!(
        count(&client).await,
        2,
        "the open transaction is gone, the committed ones are there"
    );
    let id: i32 = client.query_one("SELECT id FROM t WHERE v = 'two'", &[]).await.unwrap().get(0);
    assert_eq!(id, 2);
}

#[tokio::test]
async fn synced_rows_survive_the_loss_of_unsynced_bytes() {
    let house = House::new().with(&["--file-layer", "forget-unsynced"]);
    let server = house.start();
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    for id in 0..20 {
        client.execute("INSERT INTO t VALUES ($1)", &[&id]).await.unwrap();
    }
    server.kill().unwrap();
    let server = house.start();
    assert_eq!(count(&connect(&server).await).await, 20);
}

#[tokio::test]
async fn a_sequence_never_gives_a_number_twice() {
    let house = House::new();
    let mut last = 0;
    for start in 0..3 {
        let server = house.start();
        let client = connect(&server).await;
        if start == 0 {
            client.batch_execute("CREATE SEQUENCE s").await.unwrap();
        }
        for _ in 0..5 {
            let next: i64 = client.query_one("SELECT nextval('s')", &[]).await.unwrap().get(0);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        server.kill().unwrap();
    }
}

#[tokio::test]
async fn commit_numbers_only_grow_over_restarts() {
    let house = House::new();
    let mut last = 0u64;
    for start in 0..3 {
        let server = house.start();
        let client = connect(&server).await;
        if start == 0 {
            client.batch_execute("CREATE TABLE t (id int)").await.unwrap();
        }
        client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
        let now: u64 = client
            .query_one("SHOW curia.last_csn", &[])
            .await
            .unwrap()
            .get::<_, &str>(0)
            .parse()
            .unwrap();
        assert!(now > last, "{now} after {last}");
        last = now;
        server.kill().unwrap();
    }
}
