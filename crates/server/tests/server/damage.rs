//! Damaged log segments: a torn end is cut, damage before what was known durable is refused with file and offset.

use crate::house::{House, PATIENCE, connect};
use curia_sim::server::StartError;
use std::fs;
use std::path::{Path, PathBuf};

/// Log segments in the order of their names.
fn segments(log: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// Where `needle` stands last in `bytes`.
fn last_position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).rposition(|window| window == needle)
}

/// Flips one byte of the segment that holds `marker`, in the middle of it.
fn damage(log: &Path, marker: &str) {
    for path in segments(log) {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = last_position(&bytes, marker.as_bytes()) {
            bytes[at + marker.len() / 2] ^= 0xff;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("{marker} is in no segment");
}

async fn insert(client: &tokio_postgres::Client, id: i32, marker: &str) {
    client.execute("INSERT INTO t VALUES ($1, $2)", &[&id, &marker]).await.unwrap();
}

#[tokio::test]
async fn damage_before_what_was_durable_refuses_the_start_by_file_and_offset() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.unwrap();
    insert(&client, 1, "marker-of-the-first-row").await;
    // Later batches name the earlier ones as durable.
    for id in 2..10 {
        insert(&client, id, "later").await;
    }
    server.kill().unwrap();
    damage(&house.launch.data.join("log"), "marker-of-the-first-row");
    match house.launch.start(PATIENCE) {
        Err(StartError::Exited(status)) => assert_eq!(status.code(), Some(7), "{}", house.log()),
        other => panic!("{other:?}"),
    }
    let log = house.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("damaged") && last.contains("offset"), "{last}");
}

#[tokio::test]
async fn a_torn_end_is_cut() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.unwrap();
    insert(&client, 1, "kept").await;
    insert(&client, 2, "marker-of-the-last-row").await;
    server.kill().unwrap();
    damage(&house.launch.data.join("log"), "marker-of-the-last-row");
    // The last batch was never named as durable by a later one: to the log it is a torn write.
    let server = house.start();
    let client = connect(&server).await;
    let ids: Vec<i32> = client
        .query("SELECT id FROM t ORDER BY id", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(ids, [1]);
    insert(&client, 2, "again").await;
}
