//! What statements may be told: nothing old on the consul, and the past where it is asked for.

use crate::cluster::Cluster;
use crate::house::{House, PATIENCE, connect, state};
use curia_sim::server::Server;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

async fn number(client: &Client, sql: &str) -> i64 {
    client
        .query_one(sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}

/// The same by the simple protocol, which binds a statement when it runs: of the past, as the tables were then.
async fn at_once(client: &Client, sql: &str) -> i64 {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let value = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{sql}: no number"))
}

async fn shown(client: &Client, parameter: &str) -> String {
    client.query_one(&format!("SHOW {parameter}"), &[]).await.unwrap().get(0)
}

/// A connection to the consul, a table that both sides of a split would read, and who the consul is.
async fn pulse(cluster: &Cluster, servers: &[Server]) -> (Client, usize) {
    let consul = cluster.consul(&[0, 1, 2]);
    let client = connect(&servers[consul]).await;
    client
        .batch_execute("CREATE TABLE t (v int8); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    (client, consul)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consul_whose_others_are_silent_answers_no_reads() {
    for lease in [&[][..], &["--read-lease", "20"]] {
        let cluster = Cluster::of(3, lease);
        let servers = cluster.form();
        let (client, consul) = pulse(&cluster, &servers).await;
        assert_eq!(number(&client, "SELECT v FROM t").await, 1);
        let others: Vec<_> = (0..3).filter(|at| *at != consul).collect();
        others.iter().for_each(|at| servers[*at].pause(true).unwrap());
        let from = Instant::now();
        let code = loop {
            match client.query_one("SELECT v FROM t", &[]).await {
                Ok(_) => assert!(from.elapsed() < PATIENCE, "it answers although nobody confirms it"),
                Err(error) => break state(&error).to_owned(),
            }
            // Without a lease the first answer must not come; with one, none after it has run out.
            assert!(!lease.is_empty(), "an answer that nobody confirmed");
        };
        assert!(["40001", "57P01", "57P03"].contains(&code.as_str()), "{code}");
        others.iter().for_each(|at| servers[*at].pause(false).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_wrote_is_answered_at_once_and_its_end_says_whether_that_was_true() {
    let cluster = Cluster::of(3, &[]);
    let servers = cluster.form();
    let (client, consul) = pulse(&cluster, &servers).await;
    client.batch_execute("BEGIN; UPDATE t SET v = 2").await.unwrap();
    assert_eq!(at_once(&client, "SELECT v FROM t").await, 2);
    client.batch_execute("ROLLBACK").await.expect("the others confirm it");
    client.batch_execute("BEGIN; UPDATE t SET v = 2").await.unwrap();
    let others: Vec<_> = (0..3).filter(|at| *at != consul).collect();
    others.iter().for_each(|at| servers[*at].pause(true).unwrap());
    let answered = client.simple_query("SELECT v FROM t").await;
    let ended = client.batch_execute("ROLLBACK").await;
    // Where the machine is so slow that the office was lost before the answer, that says it.
    let error = answered.err().or(ended.err()).expect("nobody confirms what was read");
    let code = state(&error);
    assert!(["40001", "57P01", "57P03"].contains(&code), "{code}");
    others.iter().for_each(|at| servers[*at].pause(false).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_numbers_carry_causality_from_session_to_session() {
    let cluster = Cluster::of(3, &[]);
    let servers = cluster.form();
    let (client, consul) = pulse(&cluster, &servers).await;
    let committed: i64 = shown(&client, "curia.last_csn").await.parse().unwrap();
    let other = connect(&servers[(consul + 1) % 3]).await;
    assert_eq!(shown(&other, "curia.read").await, "consul");
    other.batch_execute(&format!("SET curia.min_csn = {committed}")).await.unwrap();
    assert_eq!(number(&other, "SELECT v FROM t").await, 1);
    assert!(
        shown(&other, "curia.last_csn").await.parse::<i64>().unwrap() >= committed,
        "what is read counts as seen"
    );
    let refused = async |sql: &str| state(&other.batch_execute(sql).await.unwrap_err()).to_owned();
    assert_eq!(refused("SET curia.min_csn = 'soon'").await, "22023");
    assert_eq!(refused("SET curia.min_csn = 1000000000000").await, "22023");
    assert_eq!(refused("SET statement_timeout = 200; SET curia.min_csn = 1000000").await, "57014");
    assert_eq!(refused("SET curia.read = 'bounded'").await, "22023");
    assert_eq!(refused("SET curia.last_csn = 1").await, "55P02");
    other
        .batch_execute("SET curia.read = 'Bounded 2000ms'; SET curia.read = 'consul'")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_reads_at_its_own_server_never_goes_back_behind_what_it_wrote_or_read() {
    let cluster = Cluster::of(3, &[]);
    let servers = cluster.form();
    let (_client, consul) = pulse(&cluster, &servers).await;
    let beside = connect(&servers[(consul + 1) % 3]).await;
    for level in ["session", "bounded 60s", "strict"] {
        beside.batch_execute(&format!("SET curia.read = '{level}'")).await.unwrap();
        for _ in 0..100 {
            // The consul runs these.
            let written = number(&beside, "UPDATE t SET v = v + 1 RETURNING v").await;
            assert_eq!(number(&beside, "SELECT v FROM t").await, written, "{level}");
        }
    }
}

#[tokio::test]
async fn the_past_is_read_as_it_was() {
    let house = House::new().with(&["--retention", "3600"]);
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (v int8); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let first = shown(&client, "curia.last_csn").await;
    let then: String = client.query_one("SELECT clock_timestamp()::text", &[]).await.unwrap().get(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    client
        .batch_execute("UPDATE t SET v = 2; ALTER TABLE t RENAME TO u; CREATE TABLE t (w text); INSERT INTO t VALUES ('new')")
        .await
        .unwrap();
    for as_of in [first.clone(), format!("'{first}'"), format!("'{then}'")] {
        assert_eq!(
            at_once(&client, &format!("SELECT v FROM t AS OF SYSTEM TIME {as_of} WHERE v > 0")).await,
            1
        );
        client.batch_execute(&format!("BEGIN AS OF SYSTEM TIME {as_of}")).await.unwrap();
        assert_eq!(number(&client, "SELECT sum(v)::int8 FROM t").await, 1);
        client.batch_execute("COMMIT").await.unwrap();
    }
    client
        .batch_execute(&format!("BEGIN; SET TRANSACTION AS OF SYSTEM TIME {first}"))
        .await
        .unwrap();
    assert_eq!(state(&client.batch_execute("INSERT INTO t VALUES (3)").await.unwrap_err()), "25006");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(number(&client, "SELECT v FROM u AS OF SYSTEM TIME '-0.01s'").await, 2);
    let refused = async |sql: &str| {
        let code = state(&client.batch_execute(sql).await.unwrap_err()).to_owned();
        client.batch_execute("ROLLBACK").await.unwrap();
        code
    };
    for (sql, code) in [
        ("SELECT * FROM u AS OF SYSTEM TIME '2999-01-01'", "22023"),
        ("SELECT * FROM u AS OF SYSTEM TIME 999999999", "22023"),
        ("SELECT * FROM u AS OF SYSTEM TIME '1999-01-01'", "72000"),
        ("SELECT * FROM u AS OF SYSTEM TIME 'soon'", "22007"),
        ("SELECT (SELECT 1 FROM u AS OF SYSTEM TIME 5)", "42601"),
        ("CREATE TABLE v AS SELECT * FROM u AS OF SYSTEM TIME '-1s'", "42601"),
        ("SELECT * INTO v FROM u AS OF SYSTEM TIME '-1s'", "0A000"),
        ("BEGIN; SELECT 1; SELECT * FROM u AS OF SYSTEM TIME '-1s'", "25001"),
        ("BEGIN; SELECT 1; SET TRANSACTION AS OF SYSTEM TIME '-1s'", "25001"),
        ("SET TRANSACTION AS OF SYSTEM TIME '-1s'", "25P01"),
    ] {
        assert_eq!(refused(sql).await, code, "{sql}");
    }
    // A restart forgets nothing of it.
    server.terminate(PATIENCE).unwrap();
    let server = house.start();
    let client = connect(&server).await;
    assert_eq!(at_once(&client, &format!("SELECT v FROM t AS OF SYSTEM TIME {first}")).await, 1);
}
