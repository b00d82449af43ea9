//! `curia demo`.

use crate::house::program;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tokio_postgres::NoTls;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demonstration_is_a_cluster_that_leaves_nothing_behind() {
    let mut demo = Command::new(program())
        .args(["demo", "--servers", "3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said: Vec<String> = BufReader::new(demo.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.contains("Interrupt"))
        .collect();
    let servers = said.iter().filter(|line| line.starts_with("process")).count();
    assert_eq!(servers, 3, "{said:?}");
    let psql = said.iter().find_map(|line| line.trim().strip_prefix("psql \"")).unwrap();
    let (client, connection) = tokio_postgres::connect(psql.trim_end_matches('"'), NoTls).await.unwrap();
    tokio::spawn(connection);
    let sum: i64 = client
        .query_one("select sum(n) from generate_series(1, 4) n", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(sum, 10);
    drop(client);
    let folder = std::env::temp_dir().join(format!("curia-demo-{}", demo.id()));
    assert!(folder.exists());
    let id = demo.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(demo.wait().unwrap().success());
    assert!(!folder.exists());
}
