//! CREATE INDEX CONCURRENTLY: writers go on, readers find what is there, and what ends early leaves an invalid index.

use crate::house::{House, PATIENCE, connect, state};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};

async fn text(client: &Client, sql: &str) -> String {
    let rows = client.simple_query(sql).await.unwrap();
    let row = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap_or_default().to_owned()
}

async fn until(client: &Client, sql: &str, wanted: &str) {
    let from = Instant::now();
    loop {
        let found = text(client, sql).await;
        if found == wanted {
            return;
        }
        assert!(from.elapsed() < PATIENCE, "{sql} says {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const PHASE: &str = "SELECT phase FROM pg_stat_progress_create_index";
const VALID: &str = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass";

/// What a search for each key finds is what a look at all rows does.
async fn assert_whole(client: &Client, key: &str) {
    let plan = text(client, &format!("EXPLAIN SELECT count(*) FROM t WHERE {key} = 1")).await;
    let all = client
        .query(&format!("SELECT {key}, count(*), min(id), max(id) FROM t GROUP BY 1"), &[])
        .await
        .unwrap();
    let all: BTreeMap<i32, (i64, i32, i32)> = all.iter().map(|r| (r.get(0), (r.get(1), r.get(2), r.get(3)))).collect();
    let one = client
        .prepare(&format!("SELECT count(*), min(id), max(id) FROM t WHERE {key} = $1"))
        .await
        .unwrap();
    for n in -1..=KEYS {
        let row = client.query_one(&one, &[&n]).await.unwrap();
        let found = (row.get::<_, i64>(0), row.get::<_, Option<i32>>(1), row.get::<_, Option<i32>>(2));
        let wanted = all
            .get(&n)
            .map_or((0, None, None), |(count, min, max)| (*count, Some(*min), Some(*max)));
        assert_eq!(found, wanted, "{key} = {n}; {plan}");
    }
}

const KEYS: i32 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_filled_under_writers_has_exactly_their_rows() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int);
             INSERT INTO t SELECT n, n % 300, n % 300, n FROM generate_series(1, 20000) n",
        )
        .await
        .unwrap();
    let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for writer in 0..4u64 {
        let (client, stop, changes) = (connect(&server).await, stop.clone(), changes.clone());
        writers.push(tokio::spawn(async move {
            let mut random = writer * 0x9e37_79b9 + 1;
            let mut next = |n: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random % n) as i32
            };
            let mut fresh = 1_000_000 * (writer as i32 + 1);
            while !stop.load(Ordering::Relaxed) {
                let (id, key) = (next(20_000) + 1, next(KEYS as u64));
                fresh += 1;
                let sql = match next(5) {
                    0 => format!("INSERT INTO t VALUES ({fresh}, {key}, {key}, {fresh})"),
                    1 => format!("DELETE FROM t WHERE id = {id}"),
                    2 => format!("UPDATE t SET a = {key}, b = {key} WHERE id = {id}"),
                    3 => format!("UPDATE t SET id = {fresh}, c = {fresh} WHERE id = {id}"),
                    _ => format!("BEGIN; UPDATE t SET a = {key} WHERE id = {id}; UPDATE t SET b = {key} WHERE id = {id}; COMMIT"),
                };
                client.batch_execute(&sql).await.unwrap();
                changes.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for definition in [
        "INDEX CONCURRENTLY ia ON t (a)",
        "UNIQUE INDEX CONCURRENTLY ic ON t (c)",
        "INDEX CONCURRENTLY ib ON t (b) WHERE a < 200",
        "INDEX CONCURRENTLY ie ON t ((a + b))",
    ] {
        let before = changes.load(Ordering::Relaxed);
        client.batch_execute(&format!("CREATE {definition}")).await.unwrap();
        assert!(changes.load(Ordering::Relaxed) > before, "nobody wrote during {definition}");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let valid = "SELECT bool_and(indisvalid)::text || count(*) FROM pg_index WHERE indrelid = 't'::regclass";
    assert_eq!(text(&client, valid).await, "true5");
    assert_whole(&client, "a").await;
    assert_whole(&client, "(a + b)").await;
    // Of the others every row is found by its own key.
    let lost = "SELECT count(*) FROM t WHERE NOT EXISTS (SELECT FROM t AS u WHERE u.c = t.c AND u.id = t.id)";
    assert_eq!(text(&client, lost).await, "0");
    let rows = client.query("SELECT c, id FROM t WHERE id % 50 = 0", &[]).await.unwrap();
    let one = client.prepare("SELECT id FROM t WHERE c = $1").await.unwrap();
    for row in rows {
        let found = client.query_one(&one, &[&row.get::<_, i32>(0)]).await.unwrap();
        assert_eq!(found.get::<_, i32>(0), row.get::<_, i32>(1));
    }
    let partial = client.prepare("SELECT count(*) FROM t WHERE b = $1 AND a < 200").await.unwrap();
    let all = client
        .query("SELECT b, count(*) FILTER (WHERE a < 200) FROM t GROUP BY b", &[])
        .await
        .unwrap();
    for row in all {
        let found = client.query_one(&partial, &[&row.get::<_, i32>(0)]).await.unwrap();
        assert_eq!(found.get::<_, i64>(0), row.get::<_, i64>(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_those_who_write_and_keeps_nobody_else_waiting() {
    let house = House::new();
    let server = house.start();
    let (client, writer, reader) = (connect(&server).await, connect(&server).await, connect(&server).await);
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT n, n FROM generate_series(1, 3000) n")
        .await
        .unwrap();
    writer.batch_execute("BEGIN; UPDATE t SET a = -1 WHERE id = 7").await.unwrap();
    reader
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t WHERE id = 1")
        .await
        .unwrap();
    let building = tokio::spawn({
        let builder = connect(&server).await;
        async move { builder.batch_execute("CREATE INDEX CONCURRENTLY i ON t (a)").await }
    });
    until(&client, PHASE, "waiting for writers before build").await;
    assert_eq!(text(&client, VALID).await, "f");
    client
        .batch_execute("INSERT INTO t VALUES (0, -1); DELETE FROM t WHERE id = 8")
        .await
        .unwrap();
    writer.batch_execute("INSERT INTO t VALUES (-1, -1); COMMIT").await.unwrap();
    until(&client, PHASE, "waiting for old snapshots").await;
    // Its snapshot has not what the index would say.
    assert_eq!(text(&reader, "SELECT count(*) FROM t WHERE a = 8").await, "1");
    assert_eq!(text(&reader, "SELECT id FROM t WHERE a = 7").await, "7");
    assert_eq!(
        text(
            &client,
            "SELECT tuples_total || ' ' || tuples_done FROM pg_stat_progress_create_index"
        )
        .await,
        "3001 3001"
    );
    assert_eq!(text(&client, VALID).await, "f");
    reader.batch_execute("COMMIT").await.unwrap();
    building.await.unwrap().unwrap();
    assert_eq!(text(&client, VALID).await, "t");
    assert_eq!(text(&client, PHASE).await, "");
    assert_eq!(text(&client, "SELECT count(*) FROM t WHERE a = -1").await, "3");
    assert_eq!(text(&client, "SELECT count(*) FROM t WHERE a = 8").await, "0");

    // A snapshot may be old that nobody reads yet.
    writer.batch_execute("DROP INDEX i").await.unwrap();
    writer.batch_execute("BEGIN").await.unwrap();
    let exported = text(&writer, "SELECT pg_export_snapshot()").await;
    let building = tokio::spawn({
        let builder = connect(&server).await;
        async move { builder.batch_execute("CREATE INDEX CONCURRENTLY i ON t (a)").await }
    });
    until(&client, PHASE, "waiting for old snapshots").await;
    let import = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{exported}'; SELECT 1");
    reader.batch_execute(&import).await.unwrap();
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(text(&reader, "SELECT count(*) FROM t WHERE a = -1").await, "3");
    assert_eq!(text(&client, VALID).await, "f");
    reader.batch_execute("COMMIT").await.unwrap();
    building.await.unwrap().unwrap();

    // Who is waited for and waits for the table itself would wait for ever.
    writer.batch_execute("BEGIN; UPDATE t SET a = -2 WHERE id = 7").await.unwrap();
    let building = tokio::spawn({
        let builder = connect(&server).await;
        async move { builder.batch_execute("CREATE INDEX CONCURRENTLY j ON t (a)").await }
    });
    until(&client, PHASE, "waiting for writers before build").await;
    let altering = writer.batch_execute("ALTER TABLE t ADD b int");
    let (altered, built) = tokio::join!(altering, building);
    assert_eq!(state(&built.unwrap().unwrap_err()), "40P01");
    altered.unwrap();
    writer.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_whose_key_moves_meanwhile_takes_nobodys_entry() {
    let house = House::new();
    let server = house.start();
    let (client, holder) = (connect(&server).await, connect(&server).await);
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT n, n % 5990 FROM generate_series(1, 6000) n")
        .await
        .unwrap();
    holder
        .batch_execute("BEGIN; SELECT * FROM t WHERE id = 5000 FOR UPDATE")
        .await
        .unwrap();
    let building = tokio::spawn({
        let builder = connect(&server).await;
        async move { builder.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)").await }
    });
    until(&client, "SELECT tuples_done > 1000 FROM pg_stat_progress_create_index", "t").await;
    // The entry of 5 is there and is that of row 5.
    let moves = client.batch_execute("UPDATE t SET id = 7000 WHERE id = 5995").await;
    assert_eq!(state(&moves.unwrap_err()), "23505");
    client.batch_execute("UPDATE t SET id = 7000 WHERE id = 4").await.unwrap();
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(state(&building.await.unwrap().unwrap_err()), "23505");
    assert_eq!(text(&client, VALID).await, "f");
    client.batch_execute("DELETE FROM t WHERE id BETWEEN 5990 AND 6000").await.unwrap();
    client.batch_execute("REINDEX INDEX CONCURRENTLY i").await.unwrap();
    assert_eq!(text(&client, VALID).await, "t");
    assert_eq!(text(&client, "SELECT id FROM t WHERE a = 4").await, "7000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_not_finished_is_invalid_until_it_is_reindexed_or_dropped() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT n, n FROM generate_series(1, 3000) n;
             UPDATE t SET a = 3 WHERE id = 2500",
        )
        .await
        .unwrap();
    let error = client
        .batch_execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
        .await
        .unwrap_err();
    assert_eq!(state(&error), "23505", "{error:?}");
    assert_eq!(text(&client, VALID).await, "f");
    // The entry of the row that stays stays too.
    client.batch_execute("DELETE FROM t WHERE id = 2500").await.unwrap();
    let error = client.batch_execute("INSERT INTO t VALUES (9999, 3)").await.unwrap_err();
    assert_eq!(state(&error), "23505", "{error:?}");
    client.batch_execute("REINDEX INDEX CONCURRENTLY i").await.unwrap();
    assert_eq!(text(&client, VALID).await, "t");
    assert_eq!(text(&client, "SELECT count(id) FROM t WHERE a BETWEEN 1 AND 100").await, "100");
    assert_eq!(text(&client, "SELECT id FROM t WHERE a = 3").await, "3");
    client.batch_execute("DROP INDEX i").await.unwrap();

    let writer = connect(&server).await;
    writer.batch_execute("BEGIN; UPDATE t SET a = -1 WHERE id = 2").await.unwrap();
    let building = tokio::spawn({
        let builder = connect(&server).await;
        async move { builder.batch_execute("CREATE INDEX CONCURRENTLY i ON t (a)").await }
    });
    until(&client, PHASE, "waiting for writers before build").await;
    server.kill().unwrap();
    building.await.unwrap().unwrap_err();
    let server = house.start();
    let client = connect(&server).await;
    assert_eq!(text(&client, VALID).await, "f");
    assert_eq!(text(&client, "SELECT count(*) FROM t WHERE a = 40").await, "1");
    client
        .batch_execute("INSERT INTO t VALUES (10000, 40); DELETE FROM t WHERE id = 40")
        .await
        .unwrap();
    client.batch_execute("REINDEX TABLE t").await.unwrap();
    assert_eq!(text(&client, VALID).await, "t");
    assert_eq!(text(&client, "SELECT id FROM t WHERE a = 40").await, "10000");
}
