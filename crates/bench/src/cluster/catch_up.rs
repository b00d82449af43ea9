//! A follower that was away while much was committed comes back under load.

use super::load::{CLIENTS, Load};
use super::servers::Servers;
use crate::report::{Row, Table};
use crate::{Result, Setting, metrics};
use std::path::Path;
use std::time::{Duration, Instant};

/// Transactions that the follower misses.
const MISSED: usize = 100_000;
/// It has caught up when it is no further behind than this.
const BEHIND: f64 = 200.0;
/// Load over which the rate before is taken.
const BEFORE: Duration = Duration::from_secs(8);

/// Transactions a second before and meanwhile.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let mut servers = Servers::start(setting, folder, &[]).await?;
    let load = Load::start(&servers).await?;
    load.reach(2_000).await;
    let (count, from) = (load.count(), Instant::now());
    tokio::time::sleep(BEFORE).await;
    let before = (load.count() - count) as f64 / from.elapsed().as_secs_f64();
    let consul = servers.consul().await?;
    let away = (consul + 1) % servers.all.len();
    servers.all[away].kill()?;
    load.reach(load.count() + MISSED).await;
    servers.all[away].start_again()?;
    load.moved(&servers);
    let (count, from) = (load.count(), Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let applied = metrics::read(&servers.all[away], "curia_applied_csn").await.ok().flatten();
        let newest = metrics::read(&servers.all[consul], "curia_applied_csn").await?;
        if let (Some(applied), Some(newest)) = (applied, newest)
            && applied + BEHIND >= newest
        {
            break;
        }
    }
    let took = from.elapsed().as_secs_f64();
    let meanwhile = (load.count() - count) as f64 / took;
    let commits = load.finish(&servers).await?;
    let row = |what: &str, rate: f64, note: String| Row {
        what: what.to_owned(),
        curia: vec![rate],
        postgres: Vec::new(),
        note,
    };
    Ok(Table {
        title: format!("A follower that missed {MISSED} transactions, {CLIENTS} inserting clients"),
        unit: "transactions a second",
        rows: vec![
            row("before, three servers", before, String::new()),
            row(
                "while it catches up",
                meanwhile,
                format!("{:.2} of before, for {took:.1} s; {commits} commits, none lost", meanwhile / before),
            ),
        ],
    })
}
