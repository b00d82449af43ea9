//! `curia recover --unsafe`: one server goes on alone after the majority of its cluster is gone for good.
//!
//! It is offline: no server may run on the folder. What the folder holds is told first; with `--yes` the folder becomes that
//! of a cluster of its own, under another name, which servers of the old one can't join. The new name, when and from what it
//! was made are an entry of the senate's log.

use crate::cluster::identity::Identity;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::house::{driver_failure, storage_failure};
use clap::Args;
use curia_consensus::ids::{ClusterId, Timestamp};
use curia_consensus::{Configuration, Incarnation, Roles};
use curia_driver::recover::{Holdings, holdings, recover};
use curia_driver::{Driver, DriverOptions, Stores};
use curia_storage::StateStore;
use curia_storage::file::RealFiles;
use curia_storage::log::{LogOptions, LogStore, Recovery};
use curia_storage::state::StateOptions;
use curia_txn::Replication;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `curia recover`.
#[derive(Args, Clone, Debug)]
pub struct Recover {
    /// Said by who knows that transactions may be lost which clients were told of. There is no other way to recover.
    #[arg(long = "unsafe", required = true)]
    unsafely: bool,
    /// Data folder of the server that goes on. No server may run on it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Do it. Without this it is only told what would happen.
    #[arg(long)]
    yes: bool,
}

/// Runs `curia recover`.
///
/// # Errors
/// Any [`Failure`].
pub fn run(command: &Recover) -> Result<(), Failure> {
    if !command.data.join("format.toml").exists() {
        return Err(Failure::Configuration(format!(
            "--data: {} is no data folder",
            command.data.display()
        )));
    }
    let folder = Folder::open(&command.data, None)?;
    let refused = |reason: String| Failure::Foreign {
        folder: folder.path().to_owned(),
        reason,
    };
    let Some(identity) = Identity::read(folder.path())? else {
        return Err(refused("it is of a single server, which needs no others: start it".into()));
    };
    if identity.roles() != Roles::BOTH {
        let why = "its server does not both store logs and run the state: recover one that does";
        return Err(refused(why.into()));
    }
    let (mut log, recovery, state) = open(&folder)?;
    let held = holdings(&log, &recovery, &state).map_err(|error| driver_failure(&folder, &error))?;
    print(&identity, &held);
    if !command.yes {
        println!("\nNothing was changed. With --yes it is done; make a copy of the folder before.");
        return Ok(());
    }
    let cluster = ClusterId(rand::random::<u64>() | 1);
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Timestamp(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
    recover(&mut log, &recovery, &held, identity.server(), cluster, at).map_err(|error| driver_failure(&folder, &error))?;
    drop((log, state));
    // A crash before this leaves a folder whose start is refused until this command is run again.
    let identity = identity.recovered(cluster, &held.configuration);
    identity.write(folder.path()).map_err(|source| Failure::Folder {
        folder: folder.path().to_owned(),
        doing: "cannot write which cluster it is of",
        source,
    })?;
    let csn = settle(&folder, &identity)?;
    println!(
        "\nrecovered: this is server {} of the new cluster {cluster}, with every transaction up to CSN {csn}.\n\
         Start it as before; start the others on empty folders with --join, and add each with curia server add.",
        identity.server()
    );
    Ok(())
}

fn open(folder: &Folder) -> Result<(LogStore, Recovery, StateStore), Failure> {
    let failed = |error| storage_failure(folder, error);
    let state = StateStore::open(&folder.state(), &StateOptions::default()).map_err(failed)?;
    let (log, recovery) = LogStore::open(Arc::new(RealFiles), &folder.log(), LogOptions::new(rand::random())).map_err(failed)?;
    Ok((log, recovery, state))
}

fn print(identity: &Identity, held: &Holdings) {
    let configuration: &Configuration = &held.configuration;
    println!(
        "server {} of cluster {}, of these servers:",
        identity.server(),
        configuration.cluster
    );
    for (server, _) in &configuration.servers {
        let votes = if configuration.senate.is_voter(*server) {
            "votes"
        } else {
            "does not vote"
        };
        println!("  server {server}, which {votes}");
    }
    let time = UNIX_EPOCH + Duration::from_micros(held.applied_at.0);
    let ago = SystemTime::now().duration_since(time).unwrap_or_default().as_secs();
    println!(
        "its state has every transaction up to CSN {}, which committed {ago} s ago",
        held.applied
    );
    println!("its state and its logs have every transaction up to CSN {}", held.whole);
    println!("\n{:<8}{:<8}{:<10}highest CSN in its log", "group", "term", "last");
    for (group, (tail, csn)) in &held.groups {
        println!(
            "{:<8}{:<8}{:<10}{csn}",
            group.to_string(),
            tail.term.to_string(),
            tail.index.to_string()
        );
    }
    println!(
        "\nEverything up to CSN {0} stays. What the other servers acknowledged after it, and this one never got, is LOST: that may be\n\
         transactions whose clients were told that they committed. Another server's folder may hold more: look at each of them, and\n\
         recover the one that has the highest CSN. Never recover two of them.",
        held.whole
    );
}

/// Lets the server take office alone, so that what counts is decided; up to where.
fn settle(folder: &Folder, identity: &Identity) -> Result<u64, Failure> {
    let (log, recovery, state) = open(folder)?;
    let options = DriverOptions {
        server: identity.server(),
        cluster: identity.cluster(),
        ..DriverOptions::default()
    };
    let stores = Stores {
        log: Some((log, recovery)),
        state: Some(Arc::new(state)),
    };
    let failed = |error| driver_failure(folder, &error);
    let driver = Driver::start_among(options, Incarnation(rand::random()), stores, Arc::new(curia_driver::NoPeers)).map_err(failed)?;
    let csn = driver.applied().0;
    driver.shutdown().map_err(|error| Failure::Disk(error.to_string()))?;
    Ok(csn)
}
