//! kill -9 of the consul under load, and planned transfers: how long nothing is committed.

use super::load::{CLIENTS, Load};
use super::servers::Servers;
use crate::report::{Row, Table, median};
use crate::{Result, Setting};
use std::path::Path;
use std::time::{Duration, Instant};

/// Load before each event, and after it.
const BETWEEN: Duration = Duration::from_millis(1_500);
/// A failover that takes longer is no failover.
const WITHIN: Duration = Duration::from_secs(30);

/// Milliseconds without commits.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let mut servers = Servers::start(setting, folder, &[]).await?;
    let load = Load::start(&servers).await?;
    load.reach(1_000).await;
    let mut killed = Vec::new();
    for kill in 0..setting.kills {
        tokio::time::sleep(BETWEEN).await;
        let consul = servers.consul().await?;
        servers.all[consul].kill()?;
        let from = Instant::now();
        let pause = load
            .next_commit(from, WITHIN)
            .await
            .ok_or("nothing was committed after the consul was killed")?;
        eprintln!("kill {kill}: {} ms", pause.as_millis());
        killed.push(pause.as_secs_f64() * 1e3);
        servers.all[consul].start_again()?;
        load.moved(&servers);
    }
    let mut moved = Vec::new();
    for transfer in 0..setting.transfers {
        tokio::time::sleep(BETWEEN).await;
        let consul = servers.consul().await?;
        let from = Instant::now();
        servers.transfer((consul + 1) % servers.all.len())?;
        tokio::time::sleep(BETWEEN).await;
        let pause = load.longest_pause(from);
        eprintln!("transfer {transfer}: {} ms", pause.as_millis());
        moved.push(pause.as_secs_f64() * 1e3);
    }
    let commits = load.finish(&servers).await?;
    let row = |what: &str, values: Vec<f64>| {
        let worst = values.iter().copied().fold(0.0, f64::max);
        Row {
            what: format!("{what}, {} times: median", values.len()),
            note: format!("worst {worst:.0}, median {:.0}", median(&values).unwrap_or_default()),
            curia: values,
            postgres: Vec::new(),
        }
    };
    let mut rows = vec![
        row("kill -9 of the consul to the first commit sent after it", killed),
        row("planned transfer: longest time without an acknowledgement", moved),
    ];
    rows[1].note += &format!("; {commits} commits acknowledged in all, none lost");
    Ok(Table {
        title: format!("Failover of three servers under {CLIENTS} inserting clients"),
        unit: "milliseconds",
        rows,
    })
}
