//! Several servers, formed into one database, used through any of them.

use crate::house::{PATIENCE, connect, program, run, state};
use curia_peer::ports::free_ports;
use curia_sim::server::{Launch, Server};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Servers of one cluster, or that are to be one.
pub struct Cluster {
    pub folder: TempDir,
    pub peers: Vec<String>,
    pub launches: Vec<Launch>,
}

impl Cluster {
    /// How to start so many servers that are told to join each other.
    pub fn of(count: usize, arguments: &[&str]) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let peers = free_addresses(count);
        let launches = (0..count)
            .map(|at| launch(folder.path(), at, &peers[at], &peers, arguments))
            .collect();
        Cluster { folder, peers, launches }
    }

    pub fn start(&self) -> Vec<Server> {
        self.launches.iter().map(crate::house::start).collect()
    }

    /// Starts all of them and forms the cluster.
    pub fn form(&self) -> Vec<Server> {
        let servers = self.start();
        let formed = self.ask(&["init", "--host", &self.peers[0]]);
        assert!(formed.contains("is formed"), "{formed}");
        servers
    }

    /// Runs a command that must succeed; what it prints.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", said(&output), self.logs());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn logs(&self) -> String {
        self.launches
            .iter()
            .map(|launch| std::fs::read_to_string(&launch.log).unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n----\n")
    }

    /// Which of the servers is consul, once one is.
    pub fn consul(&self, servers: &[usize]) -> usize {
        let from = Instant::now();
        loop {
            for at in servers {
                let page = run(&["status", "--host", &self.peers[*at]]);
                if String::from_utf8_lossy(&page.stdout).contains("it is consul") {
                    return *at;
                }
            }
            assert!(from.elapsed() < PATIENCE, "no consul:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub fn launch(folder: &Path, at: usize, peer: &str, join: &[String], arguments: &[&str]) -> Launch {
    let place: PathBuf = folder.join(at.to_string());
    std::fs::create_dir_all(&place).unwrap();
    let mut launch = Launch::in_folder(program(), &place);
    let own = ["--peer-addr", peer, "--join", &join.join(",")].map(str::to_owned);
    launch.arguments.extend(own);
    launch.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    launch
}

/// Addresses that nobody listens on.
pub fn free_addresses(count: usize) -> Vec<String> {
    let ports = free_ports(count).unwrap();
    ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A connection, when it can be had again.
pub async fn connect_again(server: &Server) -> Client {
    reconnect(&format!("postgresql://curia@{}/curia", server.sql)).await
}

/// The same by the server's address.
pub async fn reconnect(door: &str) -> Client {
    let from = Instant::now();
    loop {
        match tokio_postgres::connect(door, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(async move {
                    let _ = connection.await; // tests kill servers
                });
                return client;
            }
            Err(error) => assert!(from.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn count(client: &Client) -> i64 {
    client.query_one("select count(*) from t", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_are_one_database_that_outlives_its_consul() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    let again = cluster.ask(&["init", "--host", &cluster.peers[1]]);
    assert!(again.contains("exists already"), "{again}");

    let consul = cluster.consul(&[0, 1, 2]);
    for (at, server) in servers.iter().flatten().enumerate() {
        let client = connect(server).await;
        if at == 0 {
            client.batch_execute("create table t (a int primary key)").await.unwrap();
        }
        client.execute("insert into t values ($1)", &[&(at as i32)]).await.unwrap();
        assert_eq!(count(&client).await, at as i64 + 1);
    }

    servers[consul].take().unwrap().kill().unwrap();
    let left: Vec<usize> = (0..3).filter(|at| *at != consul).collect();
    let follower = servers[left[0]].as_ref().unwrap();
    let client = connect_again(follower).await;
    assert_eq!(count(&client).await, 3, "what was acknowledged is there");
    client.execute("insert into t values (10)", &[]).await.unwrap();
    let page = cluster.ask(&["status", "--host", &cluster.peers[left[0]]]);
    assert!(page.contains("none: "), "{page}");

    let back = crate::house::start(&cluster.launches[consul]);
    let client = connect_again(&back).await;
    assert_eq!(count(&client).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_added_takes_the_office_and_another_leaves() {
    let mut cluster = Cluster::of(1, &[]);
    let first = cluster.form().remove(0);
    cluster.consul(&[0]);
    let client = connect(&first).await;
    client
        .batch_execute("create table t (a int primary key); insert into t values (1), (2)")
        .await
        .unwrap();
    let peer = free_addresses(1).remove(0);
    cluster.launches.push(launch(cluster.folder.path(), 1, &peer, &cluster.peers, &[]));
    cluster.peers.push(peer);
    let second = crate::house::start(&cluster.launches[1]);
    let refused = run(&["init", "--host", &cluster.peers[1]]);
    assert!(said(&refused).contains("curia server add"), "{}", said(&refused));

    let added = cluster.ask(&["server", "add", &cluster.peers[1], "--host", &cluster.peers[0]]);
    assert!(added.contains("server 2") && added.contains("votes"), "{added}");
    cluster.ask(&["transfer", "2", "--host", &cluster.peers[0]]);
    assert_eq!(cluster.consul(&[1]), 1);
    cluster.ask(&["transfer", "1", "--host", &cluster.peers[0]]);
    // It is consul, and hands the office over first.
    let removed = cluster.ask(&["server", "remove", "1", "--host", &cluster.peers[0]]);
    assert!(removed.contains("no member any more"), "{removed}");
    assert_eq!(cluster.consul(&[1]), 1);
    drop(first);
    let client = connect_again(&second).await;
    assert_eq!(count(&client).await, 2);
    let last = run(&["server", "remove", "2", "--host", &cluster.peers[1]]);
    assert_eq!(last.status.code(), Some(9));
    assert!(said(&last).contains("last that stores logs"), "{}", said(&last));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scribes_vote_and_pass_clients_on() {
    let mut cluster = Cluster::of(3, &[]);
    for launch in &mut cluster.launches[1..] {
        launch.arguments.extend(["--roles", "log"].map(str::to_owned));
    }
    let mut servers = cluster.form();
    assert_eq!(cluster.consul(&[0, 1, 2]), 0, "nobody else runs the state");
    let client = connect_again(&servers[1]).await;
    client
        .batch_execute("create table t (a int primary key); insert into t values (1)")
        .await
        .unwrap();
    servers.remove(2).kill().unwrap();
    client.execute("insert into t values (2)", &[]).await.unwrap();
    servers.remove(0).kill().unwrap();
    let back = crate::house::start(&cluster.launches[0]);
    let client = connect_again(&back).await;
    assert_eq!(count(&client).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_clients_are_told_and_the_status_page_answers() {
    let cluster = Cluster::of(2, &[]);
    let mut servers = cluster.form();
    cluster.consul(&[0, 1]);
    drop(servers.pop());
    let from = Instant::now();
    let error = loop {
        match tokio_postgres::connect(&format!("postgresql://curia@{}/curia", servers[0].sql), NoTls).await {
            Err(error) if error.code().is_some() => break error,
            _ => assert!(from.elapsed() < PATIENCE),
        }
    };
    assert_eq!(state(&error), "57P03", "{error:?}");
    let page = cluster.ask(&["status", "--host", &cluster.peers[0]]);
    assert!(page.contains("cluster") && page.contains("none: "), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_waits_for_its_cluster_says_so() {
    let cluster = Cluster::of(2, &[]);
    let first = crate::house::start(&cluster.launches[0]);
    let refused = run(&["init", "--host", &cluster.peers[0], "--wait", "0"]);
    assert_eq!(refused.status.code(), Some(9));
    assert!(said(&refused).contains(&cluster.peers[1]), "{}", said(&refused));
    let page = cluster.ask(&["status", "--host", &cluster.peers[0]]);
    assert!(page.contains("in no cluster yet"), "{page}");
    let error = tokio_postgres::connect(&format!("postgresql://curia@{}/curia", first.sql), NoTls)
        .await
        .err()
        .unwrap();
    assert_eq!(state(&error), "57P03", "{error:?}");

    let formed = cluster.ask(&["init", "--host", &cluster.peers[0], "--wait", "0", "--without-absent"]);
    assert!(formed.contains("is formed"), "{formed}");
    let client = connect_again(&first).await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
}

#[test]
fn a_copied_data_folder_and_one_of_another_cluster_are_refused() {
    let cluster = Cluster::of(2, &[]);
    let mut servers = cluster.form();
    cluster.consul(&[0, 1]);
    servers.pop().unwrap().terminate(PATIENCE).unwrap();
    let copy = cluster.folder.path().join("copy");
    copy_folder(&cluster.launches[1].data, &copy.join("data"));
    servers.push(crate::house::start(&cluster.launches[1]));
    cluster.consul(&[0, 1]);

    let gone = cluster.folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    for file in ["format.toml", "cluster.toml"] {
        std::fs::copy(copy.join("data").join(file), gone.join(file)).unwrap();
    }
    let output = run(&["start", "--data", gone.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("the log of server"), "{}", said(&output));

    let peer = free_addresses(1).remove(0);
    let pretender = Launch::in_folder(program(), &copy);
    let output = run(&[
        "start",
        "--data",
        pretender.data.to_str().unwrap(),
        "--sql-addr",
        "127.0.0.1:0",
        "--flight-addr",
        "127.0.0.1:0",
        "--http-addr",
        "127.0.0.1:0",
        "--peer-addr",
        &peer,
    ]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("is running already"), "{}", said(&output));
    assert!(cluster.ask(&["status", "--host", &cluster.peers[1]]).contains("cluster"));

    let other = Cluster::of(1, &[]);
    drop(other.form());
    let output = run(&[
        "start",
        "--data",
        other.launches[0].data.to_str().unwrap(),
        "--sql-addr",
        "127.0.0.1:0",
        "--flight-addr",
        "127.0.0.1:0",
        "--http-addr",
        "127.0.0.1:0",
        "--peer-addr",
        &other.peers[0],
        "--join",
        &cluster.peers[0],
    ]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("is of cluster"), "{}", said(&output));
    drop(servers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_certificates_nobody_comes_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let certs = certs.to_str().unwrap();
    for arguments in [
        &["cert", "ca", "--dir", certs][..],
        &["cert", "server", "127.0.0.1", "localhost", "--dir", certs],
        &["cert", "client", "--dir", certs],
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{}", said(&output));
    }
    let again = run(&["cert", "ca", "--dir", certs]);
    assert_eq!(again.status.code(), Some(2), "an authority is never overwritten");

    let cluster = Cluster::of(2, &["--certs", certs]);
    let servers = cluster.start();
    let without = run(&["init", "--host", &cluster.peers[0]]);
    assert_eq!(without.status.code(), Some(9));
    assert!(said(&without).contains("TLS"), "{}", said(&without));
    cluster.ask(&["init", "--host", &cluster.peers[0], "--certs", certs]);
    let client = connect_again(&servers[1]).await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
}

#[test]
fn peers_beyond_loopback_need_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = run(&[
        "start",
        "--data",
        data.to_str().unwrap(),
        "--join",
        "db1:5457",
        "--peer-addr",
        "0.0.0.0:0",
    ]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains("--certs"), "{}", said(&output));
}

#[test]
fn a_database_of_its_own_does_not_join_a_cluster() {
    let house = crate::house::House::new();
    drop(house.start());
    let data = house.launch.data.to_str().unwrap();
    let output = run(&["start", "--data", data, "--join", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("a database of its own"), "{}", said(&output));
}
