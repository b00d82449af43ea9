//! pgbench TPC-B where each commit waits for a majority of three servers.

use super::servers::Servers;
use crate::peer::{Peers, start_replicated_postgres};
use crate::report::Table;
use crate::{Result, Setting, pgbench};
use std::path::Path;

/// Transactions a second, prepared.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let mut servers = Servers::start(setting, folder, &[]).await?;
    let mut postgres = start_replicated_postgres(setting, &folder.join("postgres")).await?;
    let consul = servers.consul().await?;
    let peers = Peers {
        curia: servers.all.swap_remove(consul),
        postgres: postgres.remove(0),
    };
    let mut rows = pgbench::measure_tpc_b(&peers, setting).await?;
    rows.push(pgbench::measure_hot_row(&peers, setting).await?);
    Ok(Table {
        title: "Three servers, prepared; PostgreSQL with two standbys, `synchronous_standby_names = 'ANY 1 (..)'`".into(),
        unit: "transactions a second",
        rows,
    })
}
