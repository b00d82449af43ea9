//! `--snapshot-archive DIR`: snapshots of all groups in storage that survives the loss of every state server, such as a file
//! system of the network. Scribes let go of what is in them, and an empty state server begins with them.
//!
//! ```text
//! DIR/CLUSTER/CSN.partial/      being written by the consul
//! DIR/CLUSTER/CSN/whole.toml    written last: which groups there are
//! DIR/CLUSTER/CSN/N.snapshot    group N, at this CSN or after it (docs/formats.md)
//! ```
//!
//! The two newest are kept. Every state server must be given the same storage: whoever is consul writes there, and whoever
//! comes later reads what another one wrote.

use crate::cluster::identity::Identity;
use crate::failure::Failure;
use crate::folder::{Folder, sync_parents, write_durably};
use curia_consensus::ids::{Csn, GroupId};
use curia_driver::Driver;
use curia_txn::Replication;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const MANIFEST: &str = "whole.toml";
const FORMAT: u32 = 1;
/// So many are kept.
const KEPT: usize = 2;

/// `whole.toml`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    cluster: String,
    csn: u64,
    groups: Vec<u32>,
    created_by: String,
}

/// The folders that are whole, oldest first.
fn list(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let csn = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let Some(csn) = csn.filter(|_| path.join(MANIFEST).exists()) {
            found.push((csn, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Keeps the archive up to date while this server is consul, until it stops.
pub async fn keep(driver: Arc<Driver>, archive: PathBuf, cluster: String, interval: Duration) {
    let folder = archive.join(&cluster);
    let Ok(server) = driver.examine().await.map(|examined| examined.server) else {
        return; // it has stopped
    };
    // Of this server's own, so that what an attempt leaves behind is found by the next.
    let partial = folder.join(format!("{server}.partial"));
    loop {
        if let Err(error) = once(&driver, &folder, &partial, &cluster).await {
            let _ = fs::remove_dir_all(&partial); // it may be what fills the disk
            tracing::warn!(folder = %folder.display(), error, "no snapshot was archived: scribes keep their logs until one is");
        }
        tokio::time::sleep(interval).await;
    }
}

async fn once(driver: &Arc<Driver>, folder: &Path, partial: &Path, cluster: &str) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    if driver.standing().borrow().serving().is_none() {
        return Ok(());
    }
    let newest = list(folder).map_err(|error| told(&error))?.pop().map_or(0, |(csn, _)| csn);
    driver.archived(Csn(newest)); // another consul may have written it
    if driver.applied().0 <= newest {
        return Ok(());
    }
    let groups: Vec<_> = driver.configuration().borrow().groups.iter().map(|(group, _)| *group).collect();
    let _ = fs::remove_dir_all(partial); // of an attempt that was cut short
    fs::create_dir_all(partial)
        .and_then(|()| sync_parents(folder))
        .map_err(|error| told(&error))?;
    let (mut csn, mut bytes) = (Csn(u64::MAX), 0);
    for group in &groups {
        let taken = driver.snapshot(*group).await.map_err(|error| told(&error))?;
        let mut snapshot = taken.map_err(|error| told(&error))?;
        csn = csn.min(snapshot.base().csn);
        let path = partial.join(format!("{}.snapshot", group.0));
        let written = tokio::task::spawn_blocking(move || snapshot.write_to(&path)).await;
        bytes += written.map_err(|error| told(&error))?.map_err(|error| told(&error))?;
    }
    let manifest = Manifest {
        format: FORMAT,
        cluster: cluster.to_owned(),
        csn: csn.0,
        groups: groups.iter().map(|group| group.0).collect(),
        created_by: format!("curia {}", env!("CARGO_PKG_VERSION")),
    };
    finish(folder, partial, &manifest).map_err(|error| told(&error))?;
    driver.archived(csn);
    tracing::info!(%csn, bytes, "a snapshot is archived");
    Ok(())
}

/// Makes a folder whole, durably, and removes those that are not needed any more.
fn finish(folder: &Path, partial: &Path, manifest: &Manifest) -> io::Result<()> {
    write_durably(partial, MANIFEST, &toml::to_string(manifest).map_err(io::Error::other)?)?;
    let whole = folder.join(format!("{:020}", manifest.csn));
    fs::rename(partial, &whole)?;
    File::open(folder)?.sync_all()?;
    let mut all = list(folder)?;
    all.truncate(all.len().saturating_sub(KEPT));
    for (_, path) in all {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

/// Lets an empty state begin with the newest snapshot of its cluster, if there is one.
///
/// # Errors
/// [`Failure::Damaged`] when it is not what was written, [`Failure::Folder`].
pub fn seed(archive: &Path, identity: &Identity, folder: &Folder) -> Result<(), Failure> {
    let unreadable = |source| Failure::Folder {
        folder: archive.to_owned(),
        doing: "cannot read the snapshots in it",
        source,
    };
    let Some((csn, newest)) = list(&archive.join(identity.cluster_name())).map_err(unreadable)?.pop() else {
        return Ok(());
    };
    let manifest = fs::read_to_string(newest.join(MANIFEST)).map_err(unreadable)?;
    let manifest: Manifest = toml::from_str(&manifest).map_err(|error| Failure::Damaged(format!("{}: {error}", newest.display())))?;
    if manifest.format != FORMAT || manifest.cluster != identity.cluster_name() {
        return Err(Failure::Foreign {
            folder: newest,
            reason: format!(
                "it is of another version of Curia or of another cluster ({}, {})",
                manifest.created_by, manifest.cluster
            ),
        });
    }
    for group in manifest.groups {
        let file = newest.join(format!("{group}.snapshot"));
        let seeded = curia_storage::state::seed(&folder.state(), GroupId(group), &file);
        seeded.map_err(|error| Failure::Damaged(format!("{}: {error}", file.display())))?;
    }
    tracing::info!(csn, "the state begins with a snapshot of the archive");
    Ok(())
}
