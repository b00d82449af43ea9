//! The data outlives every server that runs the database.

use crate::cluster::{Cluster, connect_again};
use crate::house::{PATIENCE, start};
use crate::operations::{number, wait_for};
use curia_sim::server::Server;
use std::path::Path;
use std::time::{Duration, Instant};

/// The newest snapshot of the archive, by its CSN.
fn newest(archive: &Path) -> u64 {
    let clusters = std::fs::read_dir(archive).into_iter().flatten().flatten();
    let snapshots = clusters.flat_map(|cluster| std::fs::read_dir(cluster.path()).into_iter().flatten().flatten());
    let csns = snapshots.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    csns.max().unwrap_or(0)
}

/// Where a server's longest truncated log begins.
fn begins(cluster: &Cluster, at: usize) -> u64 {
    let text = cluster.ask(&["status", "--json", "--host", &cluster.peers[at]]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let groups = json["worker_groups"].as_array().unwrap();
    groups.iter().filter_map(|group| group["first"].as_u64()).max().unwrap_or(0)
}

#[test]
fn all_state_servers_are_lost_and_an_empty_one_goes_on_from_scribes_and_archive() {
    let mut cluster = Cluster::of(5, &[]);
    let archive = cluster.folder.path().join("archive");
    let with = |roles: &str| {
        let archive = archive.to_str().unwrap();
        ["--roles", roles, "--snapshot-archive", archive, "--archive-seconds", "1"].map(str::to_owned)
    };
    for (at, launch) in cluster.launches.iter_mut().enumerate() {
        launch.arguments.extend(with(if at < 3 { "log" } else { "state" }));
    }
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    cluster.consul(&[3, 4]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acknowledged = runtime.block_on(async {
        let client = connect_again(servers[0].as_ref().unwrap()).await;
        client.batch_execute("create table t (a int primary key, b text)").await.unwrap();
        let fill = "insert into t select n, repeat('x', 100) from generate_series(1, 2000) n";
        client.batch_execute(fill).await.unwrap();
        let from = Instant::now();
        let mut last = 2000;
        // Until a snapshot has what is above, and the scribes let go of it.
        loop {
            last += 1;
            client.execute("insert into t values ($1)", &[&last]).await.unwrap();
            if last > 2100 && newest(&archive) > 3 && begins(&cluster, 0) > 1 {
                break last;
            }
            assert!(from.elapsed() < PATIENCE, "{}", cluster.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let lost = [3, 4].map(|at| number(&cluster, at));
    for at in [3, 4] {
        servers[at].take().unwrap().kill().unwrap();
        std::fs::remove_dir_all(&cluster.launches[at].data).unwrap();
    }
    // Scribes may be restarted meanwhile: what they store is enough.
    let scribe = servers[1].take().unwrap();
    scribe.terminate(PATIENCE).unwrap();
    servers[1] = Some(start(&cluster.launches[1]));
    servers[4] = Some(start(&cluster.launches[4]));
    let replace = ["server", "replace", &lost[1], &cluster.peers[4], "--host", &cluster.peers[0]];
    let told = cluster.ask(&replace);
    assert!(told.contains("is server"), "{told}");
    assert_eq!(cluster.consul(&[4]), 4);
    runtime.block_on(async {
        let client = connect_again(servers[0].as_ref().unwrap()).await;
        let row = client.query_one("select count(*), max(a), count(b) from t", &[]).await.unwrap();
        let got: (i64, i32, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(got, (i64::from(acknowledged), acknowledged, 2000), "nothing is lost");
        client.execute("insert into t values (0)", &[]).await.unwrap();
    });
    let log = std::fs::read_to_string(&cluster.launches[4].log).unwrap();
    assert!(log.contains("begins with a snapshot of the archive"), "{log}");
    wait_for(
        &["server", "replace", &lost[1], &cluster.peers[4], "--host", &cluster.peers[0]],
        "is running",
    );
}
