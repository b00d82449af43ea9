//! What the program refuses, in one line and with which exit code; and how it stops.

use crate::house::{House, PATIENCE, connect, run};
use std::io::Write;
use std::net::TcpListener;
use std::process::Output;

fn refused(output: &Output, code: i32, says: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    let last = error.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(last.starts_with("curia: ") && last.contains(says), "{error}");
}

#[test]
fn the_version_is_told() {
    let output = run(&["version"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        format!("curia {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_start_without_a_folder_is_refused() {
    refused(&run(&["start"]), 2, "--data");
}

#[test]
fn a_configuration_file_with_an_unknown_key_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "data = \"/nowhere\"\nsql_port = 5454").unwrap();
    refused(&run(&["start", "--config", file.path().to_str().unwrap()]), 2, "sql_port");
}

#[test]
fn a_taken_port_is_refused_by_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    refused(
        &run(&["start", "--data", data.to_str().unwrap(), "--sql-addr", &address]),
        3,
        &address,
    );
}

#[test]
fn an_unwritable_folder_is_refused() {
    // Below a file nobody can make a folder, root neither.
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = file.path().join("data");
    refused(&run(&["start", "--data", data.to_str().unwrap()]), 4, "cannot create it");
}

#[test]
fn a_folder_in_use_is_refused() {
    let house = House::new();
    let server = house.start();
    let output = run(&["start", "--data", house.launch.data.to_str().unwrap(), "--sql-addr", "127.0.0.1:0"]);
    refused(&output, 4, &format!("process {}", server.pid()));
}

#[test]
fn a_foreign_folder_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    refused(&run(&["start", "--data", folder.path().to_str().unwrap()]), 5, "letters.txt");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("format.toml"),
        "format = 1000\nworker_groups = 8\ncreated_by = \"curia 9.0.0\"\n",
    )
    .unwrap();
    refused(&run(&["start", "--data", folder.path().to_str().unwrap()]), 5, "newer version");
}

#[test]
fn listening_beyond_loopback_needs_tls() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    refused(
        &run(&["start", "--data", data.to_str().unwrap(), "--sql-addr", "0.0.0.0:0"]),
        6,
        "TLS",
    );
    assert!(!data.exists(), "nothing may be touched before");
}

#[tokio::test]
async fn sigterm_lets_sessions_go_and_exits_with_0() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client.simple_query("select 1").await.unwrap();
    let status = tokio::task::spawn_blocking(move || server.terminate(PATIENCE))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0), "{}", house.log());
    assert!(client.simple_query("select 1").await.is_err());
    assert!(!house.launch.data.join("running.toml").exists());
}

#[tokio::test]
async fn sigterm_waits_for_a_statement_under_way() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    let slow = tokio::spawn(async move { client.simple_query("select pg_sleep(1), 42").await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let status = tokio::task::spawn_blocking(move || server.terminate(PATIENCE))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0), "{}", house.log());
    slow.await.unwrap().expect("the statement finished before the server did");
}
