//! Clients at the door of a server that is not the consul, and what they see when the consul changes.

use crate::cluster::{Cluster, connect_again};
use crate::house::{PATIENCE, connect, run, state};
use curia_sim::server::Server;
use futures::{SinkExt, TryStreamExt};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// Three servers, which of them is consul, and another one.
fn three(arguments: &[&str]) -> (Cluster, Vec<Option<Server>>, usize, usize) {
    let cluster = Cluster::of(3, arguments);
    let servers = cluster.form();
    let consul = cluster.consul(&[0, 1, 2]);
    (cluster, servers.into_iter().map(Some).collect(), consul, (consul + 1) % 3)
}

fn at(servers: &[Option<Server>], place: usize) -> &Server {
    servers[place].as_ref().unwrap()
}

/// Has a server be consul, whoever is.
fn make_consul(cluster: &Cluster, wanted: usize) {
    let from = Instant::now();
    while cluster.consul(&[0, 1, 2]) != wanted {
        assert!(from.elapsed() < PATIENCE, "{}", cluster.logs());
        let page = run(&["status", "--host", &cluster.peers[wanted]]);
        let page = String::from_utf8_lossy(&page.stdout).into_owned();
        let number = page.split("as server ").nth(1).and_then(|rest| rest.split(' ').next());
        // It may not be able to take the office at once.
        run(&["transfer", number.unwrap_or("0"), "--host", &cluster.peers[wanted]]);
    }
}

/// Waits until so many sessions are writing to table t, as `watcher` sees it.
async fn until_writing(watcher: &Client, sessions: &str) {
    let from = Instant::now();
    let locked = "select count(*)::text from pg_locks where relation = 't'::regclass and mode = 'RowExclusiveLock'";
    while text(watcher, locked).await != sessions {
        assert!(from.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Runs psql to its end.
fn psql(uri: &str, arguments: &[&str]) -> Output {
    Command::new("psql")
        .args(["-X", "-A", "-t", "-d", uri])
        .args(arguments)
        .env("PGCONNECT_TIMEOUT", "30")
        .output()
        .unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_large_values_notifications_and_cancels_pass_through_another_server() {
    let (_cluster, servers, consul, other) = three(&[]);
    let client = connect(at(&servers, other)).await;
    client.batch_execute("create table t (a int, b text)").await.unwrap();
    let mut sink = Box::pin(client.copy_in::<_, bytes::Bytes>("copy t from stdin").await.unwrap());
    for a in 0..50 {
        let rows: String = (0..200).map(|b| format!("{a}\t{b}{}\n", "x".repeat(100))).collect();
        sink.send(rows.into()).await.unwrap();
    }
    assert_eq!(sink.as_mut().finish().await.unwrap(), 10_000);
    let rows: Vec<_> = client.copy_out("copy t to stdout").await.unwrap().try_collect().await.unwrap();
    assert_eq!(rows.len(), 10_000);
    let long = "y".repeat(3 << 20);
    let back: String = client.query_one("select $1::text", &[&long]).await.unwrap().get(0);
    assert_eq!(back.len(), long.len());

    // A statement that is under way there is cancelled here, by this connection's key.
    let cancel = client.cancel_token();
    let sleeping = client.batch_execute("insert into t select 1 from pg_sleep(60)");
    let cancelling = async {
        let watcher = connect(at(&servers, consul)).await;
        until_writing(&watcher, "1").await;
        cancel.cancel_query(NoTls).await.unwrap();
    };
    let (slept, ()) = tokio::join!(sleeping, cancelling);
    assert_eq!(state(&slept.unwrap_err()), "57014");
    assert_eq!(text(&client, "select 'goes on'").await, "goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_tls_are_between_the_client_and_the_server_that_it_chose() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let certs = certs.to_str().unwrap();
    for arguments in [
        &["cert", "ca", "--dir", certs][..],
        &["cert", "server", "127.0.0.1", "--dir", certs],
        &["cert", "client", "--dir", certs],
    ] {
        assert!(run(arguments).status.success());
    }
    let cluster = Cluster::of(2, &["--certs", certs]);
    let servers = cluster.start();
    cluster.ask(&["init", "--host", &cluster.peers[0], "--certs", certs]);
    let client = connect_again(&servers[0]).await;
    client.batch_execute("create role app login password 'right'").await.unwrap();
    for server in &servers {
        let uri = |password: &str| format!("postgresql://app:{password}@{}/curia?sslmode=require", server.sql);
        let inside = psql(&uri("right"), &["-c", "select current_user", "-c", "\\conninfo"]);
        let (out, err) = said(&inside);
        assert!(out.starts_with("app") && out.contains("SSL connection"), "{out}\n{err}");
        let (out, err) = said(&psql(&uri("wrong"), &["-c", "select 1"]));
        assert!(
            out.is_empty() && err.contains("password authentication failed for user \"app\""),
            "{err}"
        );
        let (_, err) = said(&psql(&format!("postgresql://nobody@{}/curia", server.sql), &["-c", "select 1"]));
        assert!(err.contains("role \"nobody\" does not exist"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_idle_outlive_the_consul() {
    let (cluster, mut servers, consul, other) = three(&[]);
    let client = connect(at(&servers, other)).await;
    client
        .batch_execute("create table t (a int primary key, b int); insert into t values (1, 10); create sequence s; select nextval('s')")
        .await
        .unwrap();
    client
        .batch_execute("set work_mem = '7MB'; create role r; set role r; listen news")
        .await
        .unwrap();
    client
        .batch_execute("reset role; grant select on t to r; grant usage on sequence s to r; set role r")
        .await
        .unwrap();
    client
        .batch_execute("prepare by_sql as select b + 1 from t where a = $1")
        .await
        .unwrap();
    let prepared = client.prepare("select b + $2::int from t where a = $1").await.unwrap();
    let process = text(&client, "select pg_backend_pid()::text").await;
    let seen: u64 = text(&client, "show curia.last_csn").await.parse().unwrap();
    make_consul(&cluster, consul);
    let busy = connect(at(&servers, other)).await;
    busy.batch_execute("begin; insert into t values (2, 20)").await.unwrap();
    let stays = connect(at(&servers, other)).await;
    stays.batch_execute("select pg_advisory_lock(1)").await.unwrap();

    servers[consul].take().unwrap().kill().unwrap();
    let sum: i32 = client.query_one(&prepared, &[&1, &5]).await.unwrap().get(0);
    assert_eq!(sum, 15, "the next statement waits for the next consul:\n{}", cluster.logs());
    let state_of = [
        ("show work_mem", "7MB"),
        ("select current_user::text", "r"),
        ("select session_user::text", "curia"),
        ("select currval('s')::text || lastval()::text", "11"),
        ("select pg_listening_channels()", "news"),
        ("select pg_backend_pid()::text", &process),
    ];
    for (question, answer) in state_of {
        assert_eq!(text(&client, question).await, answer, "{question}");
    }
    assert!(seen > 0 && text(&client, "show curia.last_csn").await.parse::<u64>().unwrap() >= seen);
    let eleven: i32 = client.query_one("execute by_sql (1)", &[]).await.unwrap().get(0);
    assert_eq!(eleven, 11);

    let lost = busy.batch_execute("insert into t values (3, 30)").await.unwrap_err();
    assert_eq!(state(&lost), "40001");
    for rest in ["insert into t values (4, 40)", "commit"] {
        let lost = busy.batch_execute(rest).await.unwrap_err();
        assert_eq!(state(&lost), "40001", "the block stays failed until its client ends it");
    }
    assert_eq!(
        text(&busy, "select count(*)::text from t").await,
        "1",
        "what was lost is rolled back"
    );
    busy.batch_execute("begin; insert into t values (2, 20); commit").await.unwrap();
    let ended = stays.batch_execute("select 1").await.unwrap_err();
    assert!(
        ended.is_closed() || ended.code().is_some_and(|code| code.code() == "57P01"),
        "{ended:?}"
    );
}

/// Drivers let go of a statement by a Close whose answer they don't look at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_block_is_not_told_to_a_close_that_nobody_looks_at() {
    let (cluster, mut servers, consul, other) = three(&[]);
    let client = connect(at(&servers, other)).await;
    client.batch_execute("create table t (a int)").await.unwrap();
    make_consul(&cluster, consul);
    client.batch_execute("begin; insert into t values (1)").await.unwrap();
    let statement = client.prepare("insert into t values (2)").await.unwrap();
    at(&servers, consul).pause(true).unwrap();
    drop(statement);
    // It is on its way before the consul is gone: the answer to what was asked before it would be.
    tokio::time::sleep(Duration::from_millis(200)).await;
    servers[consul].take().unwrap().kill().unwrap();
    let lost = client.execute("insert into t values (3)", &[]).await.unwrap_err();
    assert_eq!(state(&lost), "40001");
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(text(&client, "select count(*)::text from t").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_is_invisible_to_idle_sessions_at_any_door() {
    let (cluster, servers, consul, other) = three(&[]);
    let mut clients = Vec::new();
    for server in servers.iter().flatten() {
        let client = connect(server).await;
        client
            .batch_execute("set application_name = 'one'; prepare p as select 'two'")
            .await
            .unwrap();
        clients.push(client);
    }
    make_consul(&cluster, consul);
    let inside = connect(at(&servers, consul)).await;
    inside.batch_execute("create table t (a int)").await.unwrap();
    inside.batch_execute("begin; insert into t values (1)").await.unwrap();
    for to in [other, consul] {
        make_consul(&cluster, to);
        for client in &clients {
            assert_eq!(text(client, "show application_name").await, "one");
            assert_eq!(text(client, "execute p").await, "two");
        }
        if to == other {
            let lost = inside.batch_execute("insert into t values (2)").await.unwrap_err();
            assert_eq!(state(&lost), "40001");
            inside.batch_execute("rollback").await.unwrap();
            inside.batch_execute("insert into t values (3)").await.unwrap();
        }
    }
    assert_eq!(text(&clients[0], "select string_agg(a::text, ',') from t").await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_when_the_consul_was_lost_says_whether_it_may_have_happened() {
    let (cluster, mut servers, consul, other) = three(&[]);
    make_consul(&cluster, consul);
    let write = connect(at(&servers, other)).await;
    write.batch_execute("create table t (a int)").await.unwrap();
    let block = connect(at(&servers, other)).await;
    block.batch_execute("begin").await.unwrap();
    let watcher = connect(at(&servers, other)).await;
    let asks = connect(at(&servers, other)).await;
    asks.batch_execute("begin").await.unwrap();
    let number = text(&asks, "select txid_current()::text").await;
    asks.batch_execute("insert into t values (5); commit").await.unwrap();
    let killing = async {
        until_writing(&watcher, "2").await;
        servers[consul].take().unwrap().kill().unwrap();
    };
    let (write, block, ()) = tokio::join!(
        async {
            let lost = write.batch_execute("insert into t select 1 from pg_sleep(90)").await.unwrap_err();
            (state(&lost).to_owned(), text(&write, "select count(*)::text from t").await)
        },
        async {
            let lost = block.batch_execute("insert into t select 1 from pg_sleep(91)").await.unwrap_err();
            block.batch_execute("rollback").await.unwrap();
            (state(&lost).to_owned(), text(&block, "select count(*)::text from t").await)
        },
        killing,
    );
    assert_eq!(write, ("08007".to_owned(), "1".to_owned()));
    assert_eq!(block, ("40001".to_owned(), "1".to_owned()));
    assert_eq!(text(&asks, &format!("select txid_status({number})")).await, "committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_find_the_server_that_they_want() {
    let (cluster, servers, ..) = three(&[]);
    let from = Instant::now();
    loop {
        let consul = cluster.consul(&[0, 1, 2]);
        let found = finds(&servers, consul, (consul + 1) % 3);
        if cluster.consul(&[0, 1, 2]) == consul {
            found.unwrap();
            return;
        }
        assert!(from.elapsed() < PATIENCE, "the office moves all the time");
    }
}

fn finds(servers: &[Option<Server>], consul: usize, other: usize) -> Result<(), String> {
    let uri = |first: usize, second: usize, attributes: &str| {
        let (first, second) = (&at(servers, first).sql, &at(servers, second).sql);
        format!("postgresql://curia@{first},{second}/curia?target_session_attrs={attributes}")
    };
    let expect = |uri: &str, arguments: &[&str], wanted: &str| match said(&psql(uri, arguments)) {
        (out, err) if out == wanted && err.is_empty() => Ok(()),
        (out, err) => Err(format!("{uri}: {out:?}, not {wanted:?}; {err}")),
    };
    for (attributes, wanted) in [
        ("read-write", consul),
        ("primary", consul),
        ("read-only", other),
        ("standby", other),
        ("prefer-standby", other),
    ] {
        let port = at(servers, wanted).sql.rsplit_once(':').unwrap().1;
        for (first, second) in [(consul, other), (other, consul)] {
            expect(&uri(first, second, attributes), &["-c", "\\echo :PORT"], port)?;
        }
    }
    // What versions before 14 ask.
    let asked = ["-c", "show transaction_read_only", "-c", "select pg_is_in_recovery()"];
    expect(&uri(other, other, "any"), &asked, "on\nt")?;
    expect(&uri(consul, consul, "any"), &asked, "off\nf")?;
    // Sessions that are passed on write all the same.
    expect(
        &uri(other, other, "any"),
        &["-c", "create temporary table x (a int)"],
        "CREATE TABLE",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_may_read_at_the_server_of_its_client() {
    let (cluster, mut servers, consul, other) = three(&[]);
    make_consul(&cluster, consul);
    let client = connect(at(&servers, other)).await;
    client
        .batch_execute("create table t (a int primary key); create sequence s")
        .await
        .unwrap();
    let first = client.prepare("select count(*)::text from t where a > $1").await.unwrap();
    for level in ["session", "strict", "bounded 10s"] {
        client.batch_execute(&format!("set curia.read = '{level}'")).await.unwrap();
        for _ in 0..3 {
            client.batch_execute("insert into t select count(*) from t").await.unwrap();
            let rows: i64 = text(&client, "select count(*)::text from t").await.parse().unwrap();
            if level != "bounded 10s" {
                assert_eq!(text(&client, "select (max(a) + 1)::text from t").await, rows.to_string(), "{level}");
                let counted: String = client.query_one(&first, &[&-1]).await.unwrap().get(0);
                assert_eq!(counted, rows.to_string(), "{level}");
            }
        }
    }
    // What does more than read goes to the consul, and so do transactions.
    assert_eq!(text(&client, "select nextval('s')::text").await, "1");
    client.batch_execute("begin; insert into t values (100)").await.unwrap();
    assert_eq!(text(&client, "select count(*)::text from t where a = 100").await, "1");
    client.batch_execute("commit").await.unwrap();
    let seen: u64 = text(&client, "show curia.last_csn").await.parse().unwrap();
    assert!(seen > 0);

    // Without a majority there is nothing to write with, and to read what is known.
    client.batch_execute("set curia.read = 'session'").await.unwrap();
    servers[consul].take().unwrap().kill().unwrap();
    servers[3 - consul - other].take().unwrap().kill().unwrap();
    let known: String = client.query_one(&first, &[&99]).await.unwrap().get(0);
    assert_eq!(known, "1");
    let refused = client.batch_execute("insert into t values (101)").await.unwrap_err();
    assert!(["57P03", "08007"].contains(&state(&refused)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_anywhere_is_let_in_without_a_consul() {
    let (_cluster, mut servers, _, other) = three(&[]);
    let client = connect(at(&servers, other)).await;
    client
        .batch_execute("create table t (a int); insert into t values (1); set curia.read = 'strict'")
        .await
        .unwrap();
    client.simple_query("select count(*) from t").await.expect("this server has it");
    for (place, server) in servers.iter_mut().enumerate() {
        if place != other {
            server.take().unwrap().kill().unwrap();
        }
    }
    let plain = format!("postgresql://curia@{}/curia", at(&servers, other).sql);
    let reads = format!("{plain}?options=-c%20curia.read%3Dsession");
    let (reader, connection) = tokio_postgres::connect(&reads, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let answer = reader.simple_query("select count(*) from t").await.unwrap();
    let count = answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(count, Some("1"));
    assert_eq!(state(&reader.batch_execute("insert into t values (2)").await.unwrap_err()), "57P03");
    reader.simple_query("select 1").await.expect("the session goes on");
    let Err(refused) = tokio_postgres::connect(&plain, tokio_postgres::NoTls).await else {
        panic!("nobody could write for it");
    };
    assert_eq!(state(&refused), "57P03");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_reads_here_has_its_temporary_tables_cancels_and_time_limits_all_the_same() {
    let (cluster, servers, consul, other) = three(&[]);
    make_consul(&cluster, consul);
    let client = connect(at(&servers, other)).await;
    client
        .batch_execute("create table t (a int); insert into t values (1); set curia.read = 'strict'")
        .await
        .unwrap();
    // A read here, and what comes after it at the consul, may be cancelled at any server: once.
    let long = "select count(*)::text from generate_series(1, 100000) a, generate_series(1, 100000) b where a + b < 0";
    for place in [other, 3 - consul - other, consul] {
        let cancel = client.cancel_token();
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let stream = tokio::net::TcpStream::connect(&at(&servers, place).sql).await.unwrap();
            cancel.cancel_query_raw(stream, NoTls).await.unwrap();
        };
        let (read, ()) = tokio::join!(client.query_one(long, &[]), cancelling);
        assert_eq!(state(&read.unwrap_err()), "57014");
        // On a busy machine the office may move meanwhile.
        if let Err(error) = client.batch_execute("insert into t select 1 from pg_sleep(0.5)").await {
            assert_ne!(state(&error), "57014", "that was for the read before");
        }
    }

    // One that is served here is not idle, whatever the consul hears of it.
    client.batch_execute("set idle_session_timeout = '4s'").await.unwrap();
    for _ in 0..12 {
        let read = client.simple_query("select count(*) from t").await;
        assert!(!client.is_closed(), "{read:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let from = Instant::now();
    while !client.is_closed() {
        assert!(from.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let client = connect(at(&servers, other)).await;
    client
        .batch_execute("set curia.read = 'session'; create temporary table t as select 7 as a; create temporary table own as select 8 as a")
        .await
        .unwrap();
    assert_eq!(text(&client, "select a::text from t").await, "7");
    assert_eq!(text(&client, "select a::text from own").await, "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_given_rows_in_a_transaction_hears_of_its_loss_also_when_it_rolls_back() {
    let (cluster, mut servers, consul, other) = three(&[]);
    make_consul(&cluster, consul);
    let client = connect(at(&servers, other)).await;
    client.batch_execute("create table t (a int)").await.unwrap();
    client.batch_execute("begin; insert into t values (1)").await.unwrap();
    assert_eq!(text(&client, "select count(*)::text from t").await, "1");
    servers[consul].take().unwrap().kill().unwrap();
    let lost = client.batch_execute("rollback").await.unwrap_err();
    assert_eq!(state(&lost), "40001");
    assert_eq!(text(&client, "select count(*)::text from t").await, "0", "the block has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_falls_silent_keeps_no_locks_at_the_consul() {
    let (cluster, servers, consul, other) = three(&[]);
    make_consul(&cluster, consul);
    let client = connect(at(&servers, other)).await;
    client
        .batch_execute("create table t (a int); insert into t values (1)")
        .await
        .unwrap();
    client.batch_execute("begin; update t set a = 2").await.unwrap();
    at(&servers, other).pause(true).unwrap();
    let inside = connect(at(&servers, consul)).await;
    let from = Instant::now();
    while let Err(error) = inside.batch_execute("set lock_timeout = '30s'; update t set a = 3").await {
        // On a busy machine the office may move meanwhile.
        let lost = ["40001", "08007", "57P03"].contains(&state(&error));
        assert!(lost && from.elapsed() < PATIENCE, "{error:?}");
    }
    at(&servers, other).pause(false).unwrap();
    let lost = client.batch_execute("commit").await.unwrap_err();
    assert!(["40001", "08007"].contains(&state(&lost)), "{lost:?}");
    // The session goes on, as soon as its server has found the others again.
    let from = Instant::now();
    let value: String = loop {
        match client.query_one("select a::text from t", &[]).await {
            Ok(row) => break row.get(0),
            Err(error) => assert!(state(&error) == "57P03" && from.elapsed() < PATIENCE, "{error:?}"),
        }
    };
    assert_eq!(value, "3");
}
