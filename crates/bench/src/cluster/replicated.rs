//! pgbench TPC-B where each commit waits for a majority of three servers.

use super::servers::Servers;
use crate::peer::{Peer, Peers, start_replicated_postgres};
use crate::report::Table;
use crate::{Result, Setting, pgbench, supplier};
use std::path::Path;

/// Both sides; the followers and standbys live as long as they.
struct Replicated {
    /// The consul, and the primary.
    peers: Peers,
    _followers: Vec<Peer>,
    _standbys: Vec<Peer>,
}

async fn start(setting: &Setting, folder: &Path) -> Result<Replicated> {
    let servers = Servers::start(setting, folder, &[]).await?;
    let consul = servers.consul().await?;
    let (mut followers, mut standbys) = (servers.all, start_replicated_postgres(setting, &folder.join("postgres")).await?);
    Ok(Replicated {
        peers: Peers {
            curia: followers.swap_remove(consul),
            postgres: standbys.remove(0),
        },
        _followers: followers,
        _standbys: standbys,
    })
}

/// The supplier's transactions a second.
pub async fn measure_supplier(setting: &Setting, folder: &Path) -> Result<[Table; 2]> {
    let replicated = start(setting, folder).await?;
    let mut tables = supplier::measure(&replicated.peers, setting).await?;
    for table in &mut tables {
        table.title += "; three servers, and two standbys";
    }
    Ok(tables)
}

/// Transactions a second, prepared.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let replicated = start(setting, folder).await?;
    let peers = &replicated.peers;
    let mut rows = pgbench::measure_tpc_b(peers, setting).await?;
    rows.push(pgbench::measure_hot_row(peers, setting).await?);
    Ok(Table {
        title: "Three servers, prepared; PostgreSQL with two standbys, `synchronous_standby_names = 'ANY 1 (..)'`".into(),
        unit: "transactions a second",
        rows,
    })
}
