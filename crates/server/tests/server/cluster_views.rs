//! The schema `curia`: the same answer through every server.

use crate::cluster::{Cluster, connect_again};
use crate::house::{House, PATIENCE, connect, state};
use curia_sim::server::Server;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

async fn texts(client: &Client, query: &str) -> Vec<String> {
    let from = Instant::now();
    let rows = loop {
        match client.query(query, &[]).await {
            Ok(rows) => break rows,
            // On a busy machine the office may change hands.
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) && from.elapsed() < PATIENCE => {}
            Err(error) => panic!("{query}: {error:?}"),
        }
    };
    rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_shows_the_same_cluster() {
    let cluster = Cluster::of(3, &[]);
    let servers = cluster.form();
    // Founders are numbered by their addresses.
    let mut numbered: Vec<usize> = (0..3).collect();
    numbered.sort_by_key(|at| &cluster.peers[*at]);
    cluster.consul(&[0, 1, 2]);
    let client = connect_again(&servers[0]).await;
    client
        .batch_execute("create table t (a int primary key, b int unique); insert into t values (1, 1)")
        .await
        .unwrap();
    // What the others say of themselves arrives now and then.
    let from = Instant::now();
    let whole = "select count(*)::text from curia.servers where connected and version is not null and applied_csn > 0";
    while texts(&client, whole).await != ["3"] {
        assert!(
            from.elapsed() < PATIENCE,
            "{:?}",
            texts(&client, "select row(s.*)::text from curia.servers s").await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for server in &servers {
        let client = connect_again(server).await;
        let shown = texts(
            &client,
            "select concat_ws(' ', server_id, sql_addr, peer_addr, roles, votes) from curia.servers order by server_id",
        )
        .await;
        for (line, (number, at)) in shown.iter().zip((1..).zip(&numbered)) {
            assert_eq!(*line, format!("{number} {} {} log,state t", servers[*at].sql, cluster.peers[*at]));
        }
        // A session is at its consul for as long as that is one.
        let consul = texts(&client, "select server_id::text from curia.servers where is_consul")
            .await
            .concat();
        assert_eq!(texts(&client, "select consul::text from curia.senate").await, [consul.as_str()]);
        assert_eq!(
            texts(&client, "select concat_ws(' ', members, last = commit, settled) from curia.senate").await,
            ["{1,2,3} t t"]
        );
        let groups = "select concat_ws(' ', count(*), min(leader), bool_and(last >= commit and commit >= applied), min(cardinality(lag))) from curia.worker_groups";
        assert_eq!(texts(&client, groups).await, [format!("8 {consul} t 3")]);
        let partitions = "select concat_ws(' ', table_name, index_name) from curia.partitions p join curia.worker_groups g using (group_id) \
                          where schema_name = 'public' order by 1";
        assert_eq!(texts(&client, partitions).await, ["t", "t t_b_key"]);
        let last = "select concat_ws(' ', server_id, term = (select term from curia.senate), took_ms > 0, voided, fetched) from curia.inaugurations order by term desc limit 1";
        assert_eq!(texts(&client, last).await, [format!("{consul} t t 0 0")]);
    }
    client.batch_execute("create role reader; set role reader").await.unwrap();
    assert_eq!(texts(&client, "select count(*)::text from curia.servers").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_its_own_shows_itself_and_its_schema_stays() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    let shown = "select concat_ws(' ', server_id, sql_addr, is_consul, connected, version is not null) from curia.servers";
    assert_eq!(texts(&client, shown).await, [format!("1 {} t t t", server.sql)]);
    assert_eq!(
        texts(&client, "select concat_ws(' ', consul, members, lag) from curia.senate").await,
        ["1 {1} {0}"]
    );
    let views = "select string_agg(relname, ' ' order by relname) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = 'curia' and relkind = 'v'";
    assert_eq!(
        texts(&client, views).await,
        ["inaugurations partitions recoveries senate servers worker_groups"]
    );
    let kept = "select string_agg(distinct deptype::text, '') from pg_depend join pg_class c on c.oid = objid where relnamespace = 'curia'::regnamespace";
    assert_eq!(texts(&client, kept).await, ["e"], "dumps leave out what is an extension's");
    for (refused, code) in [
        ("create table curia.t ()", "42501"),
        ("drop schema curia", "2BP01"),
        ("delete from curia.servers", "42501"),
        ("create schema curia", "42P06"),
    ] {
        let error = client.batch_execute(refused).await.unwrap_err();
        assert_eq!(state(&error), code, "{refused}: {error:?}");
    }
    // The superuser's name is the schema's, and it creates elsewhere.
    client.batch_execute("create table t (a int)").await.unwrap();
    assert_eq!(
        texts(
            &client,
            "select concat_ws(' ', current_schema(), 't'::regclass::oid = 'public.t'::regclass::oid)"
        )
        .await,
        ["public t"]
    );
}

/// The metrics of a server, names without labels; histograms by their counts.
pub async fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let mut stream = TcpStream::connect(&server.http).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: curia\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    let mut found = BTreeMap::new();
    for line in page
        .lines()
        .filter(|line| line.starts_with("curia_") || line.starts_with("process_"))
    {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.split('{').next().unwrap_or(name);
        *found.entry(name.trim_end_matches("_count").to_owned()).or_default() += value.parse().unwrap_or(f64::NAN);
    }
    found
}

/// Every name that the guide has in its page about watching.
fn documented() -> BTreeSet<&'static str> {
    let guide = include_str!("../../../../docs/operating.md");
    let section = guide
        .split("Worth watching:")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap();
    let quoted = section.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|name| name.split('{').next())
        .filter(|name| !name.starts_with('/'))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_of_the_guide_is_there_and_those_of_a_working_cluster_move() {
    let cluster = Cluster::of(3, &[]);
    let servers = cluster.form();
    let consul = cluster.consul(&[0, 1, 2]);
    let client = connect_again(&servers[consul]).await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
    let before = metrics(&servers[consul]).await;
    for n in 0..20 {
        client
            .batch_execute(&format!("insert into t values ({n}); select * from t"))
            .await
            .unwrap();
    }
    let other = connect_again(&servers[(consul + 1) % 3]).await;
    assert_eq!(texts(&other, "select count(*)::text from t").await, ["20"]);
    let names = documented();
    assert!(names.len() > 30, "{names:?}");
    let moved = [
        "curia_applied_csn",
        "curia_commits_total",
        "curia_log_batch_records",
        "curia_log_sync_seconds",
        "curia_log_syncs_total",
        "curia_read_proofs_total",
    ];
    // Gauges are brought up to date now and then.
    let from = Instant::now();
    loop {
        let now = metrics(&servers[consul]).await;
        let missing: Vec<_> = names.iter().filter(|name| !now.contains_key(**name)).collect();
        let still: Vec<_> = moved.iter().filter(|name| now.get(**name) <= before.get(**name)).collect();
        let of = |name: &str| now.get(name).copied().unwrap_or_default();
        let office = of("curia_is_consul") == 1.0 && of("curia_term") >= 1.0 && of("curia_elections_won_total") >= 1.0;
        let connected = of("curia_peer_connected") == 2.0 && of("curia_peer_round_trip_seconds") > 0.0 && of("curia_sessions") >= 2.0;
        let passed_on = of("curia_sessions_passed_on_total") >= 1.0;
        if missing.is_empty() && still.is_empty() && office && connected && passed_on {
            break;
        }
        assert!(from.elapsed() < PATIENCE, "missing: {missing:?}, still: {still:?}, {now:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let elsewhere = metrics(&servers[(consul + 1) % 3]).await;
    assert_eq!(elsewhere["curia_is_consul"], 0.0);
}
