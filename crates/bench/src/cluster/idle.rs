//! What servers cost that have nothing to do.

use super::servers::Servers;
use crate::memory::resident;
use crate::report::{Row, Table};
use crate::{Result, Setting};
use std::path::Path;
use std::time::Duration;

/// Left alone before, until what the start began has ended.
const SETTLE: Duration = Duration::from_secs(5);
/// Watched for so long.
const WATCHED: Duration = Duration::from_secs(20);

/// Percent of one core, and MiB, of each server.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let servers = Servers::start(setting, folder, &[]).await?;
    let consul = servers.consul().await?;
    tokio::time::sleep(SETTLE).await;
    let before: Vec<_> = servers.all.iter().map(|server| run_for(server.pid())).collect::<Result<_>>()?;
    tokio::time::sleep(WATCHED).await;
    let mut rows = Vec::new();
    for (number, (server, before)) in servers.all.iter().zip(before).enumerate() {
        let used = run_for(server.pid())?.saturating_sub(before);
        rows.push(Row {
            what: if number == consul { "consul" } else { "follower" }.to_owned(),
            curia: vec![100.0 * used.as_secs_f64() / WATCHED.as_secs_f64()],
            postgres: Vec::new(),
            note: format!("{:.0} MiB resident", resident(server)? / 1024.0),
        });
    }
    Ok(Table {
        title: format!("Three servers without clients, over {} s", WATCHED.as_secs()),
        unit: "percent of one core",
        rows,
    })
}

/// Time that a process's threads have run for.
fn run_for(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that has just ended ran for nearly nothing.
        let Ok(times) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let first = times.split_ascii_whitespace().next().ok_or("schedstat is empty")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
