//! What operators do with a cluster that goes on working: drain, restart, upgrade; and folders that must not come back.

use crate::cluster::{Cluster, connect_again, copy_folder, count, said};
use crate::house::{PATIENCE, run, start};
use curia_sim::server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// The number of the server that was started at this place.
pub fn number(cluster: &Cluster, at: usize) -> String {
    let from = Instant::now();
    loop {
        let text = cluster.ask(&["status", "--json", "--host", &cluster.peers[at]]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(number) = json["server_id"].as_u64() {
            return number.to_string();
        }
        assert!(from.elapsed() < PATIENCE, "{text}"); // it is starting
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a command says this.
pub fn wait_for(arguments: &[&str], says: &str) -> String {
    let from = Instant::now();
    loop {
        let output = run(arguments);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        if text.contains(says) {
            return text;
        }
        assert!(from.elapsed() < PATIENCE, "{arguments:?}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Inserts numbers. One that fails is tried again on another connection; those that failed twice are told.
async fn insert(uri: String, first: i32, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Vec<String> {
    let mut client: Option<Client> = None;
    let mut number = first;
    let mut twice = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut failures = Vec::new();
        loop {
            let connected = match client.take() {
                Some(connected) => connected,
                None => connect_to(&uri).await,
            };
            let statement = "insert into t values ($1) on conflict do nothing";
            match connected.execute(statement, &[&number]).await {
                Ok(_) => {
                    client = Some(connected);
                    break;
                }
                Err(error) => failures.push(error),
            }
        }
        if failures.len() > 1 {
            twice.push(format!("{number}: {failures:?}"));
        }
        done.fetch_add(1, Ordering::Relaxed);
        number += 4;
    }
    twice
}

/// The senate's term.
async fn term(client: &Client) -> i64 {
    client.query_one("select term from curia.senate", &[]).await.unwrap().get(0)
}

/// A connection to whichever server gives one.
async fn connect_to(uri: &str) -> Client {
    let from = Instant::now();
    loop {
        match tokio_postgres::connect(uri, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return client;
            }
            Err(error) => assert!(from.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_restarted_one_after_the_other_and_nothing_fails_twice() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    cluster.consul(&[0, 1, 2]);
    let client = connect_again(servers[0].as_ref().unwrap()).await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
    let before = term(&client).await;
    drop(client);
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    // The ports of the restarted servers are others, so the clients know one that stays for each restart.
    let mut launches = cluster.launches.clone();
    for (launch, server) in launches.iter_mut().zip(&servers) {
        launch.sql = server.as_ref().unwrap().sql.clone();
    }
    let addresses: Vec<_> = launches.iter().map(|launch| launch.sql.as_str()).collect();
    let uri = format!("postgresql://curia@{}/curia", addresses.join(","));
    let clients: Vec<_> = (0..4)
        .map(|first| tokio::spawn(insert(uri.clone(), first, stop.clone(), done.clone())))
        .collect();
    for at in 0..3 {
        let sofar = done.load(Ordering::Relaxed);
        let number = number(&cluster, at);
        let other = &cluster.peers[(at + 1) % 3];
        let drained = tokio::task::block_in_place(|| cluster.ask(&["server", "drain", &number, "--host", other]));
        assert!(drained.contains("may be stopped"), "{drained}");
        let server = servers[at].take().unwrap();
        assert_eq!(server.terminate(PATIENCE).unwrap().code(), Some(0), "{}", cluster.logs());
        servers[at] = Some(start(&launches[at]));
        // It is one of them again before the next one goes.
        wait_for(&["status", "--host", &cluster.peers[at]], "follows the consul");
        let from = Instant::now();
        while done.load(Ordering::Relaxed) < sofar + 50 {
            assert!(from.elapsed() < PATIENCE, "{}", cluster.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut twice = Vec::new();
    for client in clients {
        twice.extend(client.await.unwrap());
    }
    let client = connect_again(servers[0].as_ref().unwrap()).await;
    // On a machine so slow that consuls lose their office by themselves, a second failure is no fault of the restarts.
    let calm = term(&client).await <= before + 3;
    assert!(twice.is_empty() || !calm, "failed twice: {twice:?}");
    assert_eq!(count(&client).await as u64, done.load(Ordering::Relaxed));
}

#[test]
fn a_drained_server_that_goes_on_takes_clients_again() {
    let cluster = Cluster::of(2, &[]);
    let servers = cluster.form();
    let consul = cluster.consul(&[0, 1]);
    let own = number(&cluster, consul);
    let host = cluster.peers[consul].as_str();
    cluster.ask(&["server", "drain", &own, "--host", host]);
    assert_eq!(cluster.consul(&[0, 1]), 1 - consul, "the office is the other's");
    assert!(cluster.ask(&["status", "--host", host]).contains("this server draining"));
    let refused = |at: usize| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let uri = format!("postgresql://curia@{}/curia", servers[at].sql);
        runtime.block_on(tokio_postgres::connect(&uri, NoTls)).err()
    };
    assert_eq!(crate::house::state(&refused(consul).unwrap()), "57P03");
    cluster.ask(&["server", "undrain", &own, "--host", &cluster.peers[1 - consul]]);
    assert!(refused(consul).is_none());

    // Who was busy and did not leave in time stays.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(connect_again(&servers[consul]));
    runtime.block_on(client.batch_execute("begin; create table t (a int)")).unwrap();
    let left = cluster.ask(&["server", "drain", &own, "--host", host]);
    assert!(left.contains("1 sessions are left"), "{left}");
    cluster.ask(&["server", "undrain", &own, "--host", host]);
    runtime.block_on(client.batch_execute("commit")).unwrap();
    runtime.block_on(client.batch_execute("insert into t values (1)")).unwrap();
    let unknown = run(&["server", "drain", "9", "--host", host]);
    assert!(said(&unknown).contains("there is no server 9"), "{}", said(&unknown));
}

#[test]
fn a_cluster_is_upgraded_when_all_can_and_then_refuses_the_version_before() {
    let mut cluster = Cluster::of(2, &[]);
    cluster.launches[1].arguments.extend(["--feature-level", "0"].map(str::to_owned));
    let mut servers = cluster.form();
    cluster.consul(&[0, 1]);
    let host = cluster.peers[0].clone();
    let page = wait_for(&["upgrade", "--host", &host], "level 0\nserver");
    assert!(page.contains("features of level 0"), "{page}");
    // One of them is of the version before.
    assert!(wait_for(&["upgrade", "--finish", "--host", &host], "level 0").contains("highest that all servers know"));
    servers.pop().unwrap().terminate(PATIENCE).unwrap();
    let old = cluster.launches[1].clone();
    cluster.launches[1].arguments.truncate(old.arguments.len() - 2);
    servers.push(start(&cluster.launches[1]));
    cluster.consul(&[0, 1]);
    wait_for(&["upgrade", "--host", &host], "--finish lets the cluster use it");
    wait_for(&["upgrade", "--finish", "--host", &host], "features of level 1");
    wait_for(&["status", "--host", &cluster.peers[1]], "features of level 1");
    servers.pop().unwrap().terminate(PATIENCE).unwrap();
    let mut process = old.spawn().unwrap();
    let status = process.wait().unwrap();
    let log = std::fs::read_to_string(&old.log).unwrap();
    assert_eq!(status.code(), Some(5), "{log}");
    assert!(
        log.lines()
            .last()
            .unwrap()
            .contains("start the server with the version that the others run"),
        "{log}"
    );
}

#[test]
fn an_earlier_copy_of_a_folder_is_refused_while_somebody_remembers_the_server() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    let consul = cluster.consul(&[0, 1, 2]);
    let follower = (consul + 1) % 3;
    servers[follower].take().unwrap().terminate(PATIENCE).unwrap();
    let data = cluster.launches[follower].data.clone();
    let copy = cluster.folder.path().join("copy");
    copy_folder(&data, &copy);
    servers[follower] = Some(start(&cluster.launches[follower]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = connect_again(servers[consul].as_ref().unwrap()).await;
        client
            .batch_execute("create table t (a int); insert into t values (1)")
            .await
            .unwrap();
    });
    let number = number(&cluster, follower);
    let applied = format!(
        "{:<12}",
        runtime.block_on(async {
            let client = connect_again(servers[consul].as_ref().unwrap()).await;
            let row = client.query_one("select resolved_csn::text from curia.senate", &[]).await.unwrap();
            row.get::<_, String>(0)
        })
    );
    wait_for(&["status", "--host", &cluster.peers[follower]], &applied);
    servers[follower].take().unwrap().terminate(PATIENCE).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&copy, &data).unwrap();
    let mut process = cluster.launches[follower].spawn().unwrap();
    let status = process.wait().unwrap();
    let log = std::fs::read_to_string(&cluster.launches[follower].log).unwrap();
    let last = log.lines().last().unwrap();
    assert_eq!(status.code(), Some(5), "{log}");
    assert!(
        last.contains("an earlier copy was put back") && last.contains(&format!("curia server remove {number}")),
        "{log}"
    );
}

#[test]
fn a_server_that_is_left_alone_is_recovered_and_the_others_of_its_cluster_are_refused() {
    let mut cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    cluster.consul(&[0, 1, 2]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = connect_again(servers[0].as_ref().unwrap()).await;
        client
            .batch_execute("create table t (a int); insert into t values (1), (2)")
            .await
            .unwrap();
        // Committed while one of them was away: it is on the two that are left.
        servers[1].take().unwrap().terminate(PATIENCE).unwrap();
        let client = connect_again(servers[0].as_ref().unwrap()).await;
        client.batch_execute("insert into t values (3)").await.unwrap();
    });
    servers[0].take().unwrap().kill().unwrap();
    let data = cluster.launches[0].data.to_str().unwrap().to_owned();
    let busy = run(&["recover", "--unsafe", "--data", cluster.launches[2].data.to_str().unwrap()]);
    assert_eq!(busy.status.code(), Some(4), "{}", said(&busy));
    drop(servers[2].take());
    std::fs::remove_dir_all(&cluster.launches[2].data).unwrap();
    assert_eq!(
        run(&["recover", "--data", &data]).status.code(),
        Some(2),
        "it is not done by accident"
    );
    let told = cluster.ask(&["recover", "--unsafe", "--data", &data]);
    assert!(told.contains("Nothing was changed") && told.contains("LOST"), "{told}");
    let told = cluster.ask(&["recover", "--unsafe", "--yes", "--data", &data]);
    assert!(told.contains("recovered: this is server"), "{told}");

    servers[0] = Some(start(&cluster.launches[0]));
    cluster.consul(&[0]);
    // The one that was away comes back with its old folder.
    let mut old = cluster.launches[1].spawn().unwrap();
    let status = old.wait().unwrap();
    let log = std::fs::read_to_string(&cluster.launches[1].log).unwrap();
    assert_eq!(status.code(), Some(5), "{log}");
    assert!(log.lines().last().unwrap().contains("went on from it as cluster"), "{log}");
    std::fs::remove_dir_all(&cluster.launches[1].data).unwrap();
    for at in [1, 2] {
        servers[at] = Some(start(&cluster.launches[at]));
        let added = cluster.ask(&["server", "add", &cluster.peers[at], "--host", &cluster.peers[0]]);
        assert!(added.contains("votes"), "{added}");
    }
    runtime.block_on(async {
        servers[0].take().unwrap().kill().unwrap();
        let client = connect_again(servers[2].as_ref().unwrap()).await;
        assert_eq!(count(&client).await, 3);
        let row = client
            .query_one("select count(*), max(csn) > 0 from curia.recoveries", &[])
            .await
            .unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (1, true));
    });
    cluster.launches.truncate(3);
}

#[test]
fn a_founder_that_comes_back_with_an_empty_folder_is_not_made_the_same_server_again() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    cluster.consul(&[0, 1, 2]);
    servers[2].take().unwrap().kill().unwrap();
    std::fs::remove_dir_all(&cluster.launches[2].data).unwrap();
    servers[2] = Some(start(&cluster.launches[2]));
    // Each of the others founded the cluster, or was told of it.
    for at in [0, 1] {
        servers[at].take().unwrap().terminate(PATIENCE).unwrap();
        servers[at] = Some(start(&cluster.launches[at]));
        cluster.consul(&[0, 1]);
    }
    // Longer than founders take to ask each other again.
    std::thread::sleep(std::time::Duration::from_secs(8));
    let page = cluster.ask(&["status", "--host", &cluster.peers[2]]);
    assert!(page.contains("in no cluster"), "{page}");
    let added = cluster.ask(&["server", "add", &cluster.peers[2], "--host", &cluster.peers[0]]);
    assert!(added.contains("server 4"), "{added}");
}
