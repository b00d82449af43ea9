//! Levels of features, by which a cluster is upgraded server by server.
//!
//! Each program knows the features up to a level and says so when it connects. What is stored and sent is of the cluster's
//! level, an entry of the senate's log, so that servers of the version before understand it. When all servers run the new
//! version, `curia upgrade --finish` raises the level; from then on the version before is refused, and there is no way back.
//!
//! | level | what it adds |
//! | --- | --- |
//! | 0 | the first |
//! | 1 | the senate's log may say that the cluster was recovered by force |

use super::host::ClusterHost;
use curia_consensus::{Configuration, ServerId};
use curia_driver::Driver;
use curia_peer::Address;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The highest level that this program knows.
pub const FEATURE_LEVEL: u32 = 1;

/// How long raising the level may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a program that knows levels up to `known` says when a cluster is beyond that.
pub fn refusal(known: u32, configuration: &Configuration) -> Option<String> {
    let level = configuration.feature_level;
    (level > known).then(|| {
        format!(
            "cluster {} uses features of level {level} and this program knows level {known}: start the server with the version that the others run",
            configuration.cluster
        )
    })
}

/// What is said of a program that is to join.
pub fn too_old(address: &Address, known: u32, level: u32) -> String {
    format!(
        "the cluster uses features of level {level}, and the program at {address} knows level {known}: start it with the version that the others run"
    )
}

/// The highest level that each server knows, as far as this one knows that.
fn known(host: &ClusterHost, configuration: &Configuration, own: ServerId) -> BTreeMap<ServerId, Option<u32>> {
    let links = host.transport().map(|transport| transport.links()).unwrap_or_default();
    let level = |server: ServerId| match server == own {
        true => Some(host.me.feature_level),
        false => links.iter().find(|link| link.server == server).and_then(|link| link.feature_level),
    };
    configuration.servers.iter().map(|(server, _)| (*server, level(*server))).collect()
}

/// What `curia upgrade` prints.
pub fn page(host: &ClusterHost) -> Result<String, String> {
    let (Some(driver), Some((_, own))) = (host.driver(), host.who().member) else {
        return Err(format!("{} is in no cluster", host.me.peer));
    };
    let configuration = driver.configuration().borrow().clone();
    let known = known(host, &configuration, ServerId(own));
    let mut out = format!("the cluster uses features of level {}\n", configuration.feature_level);
    for (server, level) in &known {
        let version = match (*server == ServerId(own), host.reports.lock().get(server)) {
            (true, _) => env!("CARGO_PKG_VERSION").to_owned(),
            (_, Some(report)) => report.version.clone(),
            _ => "not known".to_owned(),
        };
        let level = level.map_or_else(|| "not known: it is not connected".to_owned(), |level| level.to_string());
        let _ = writeln!(out, "server {server}: version {version}, level {level}");
    }
    let next = known.values().copied().min().flatten().unwrap_or(0);
    if next > configuration.feature_level {
        let _ = writeln!(
            out,
            "all servers know level {next}: curia upgrade --finish lets the cluster use it; there is no way back"
        );
    }
    Ok(out)
}

/// Raises the cluster's level to what all servers know.
///
/// # Errors
/// Why not.
pub async fn finish(host: &ClusterHost, driver: &Driver) -> Result<String, String> {
    let configuration = driver.configuration().borrow().clone();
    let own = host.who().member.map_or(0, |(_, own)| own);
    let mut levels = Vec::new();
    for (server, level) in known(host, &configuration, ServerId(own)) {
        levels.push(
            level.ok_or_else(|| {
                format!("server {server} is not connected, so nobody knows what its program can do: start it, or remove it")
            })?,
        );
    }
    let level = levels.into_iter().min().unwrap_or(0);
    if level <= configuration.feature_level {
        return Ok(format!(
            "the cluster uses level {} already, which is the highest that all servers know",
            configuration.feature_level
        ));
    }
    driver.raise_features(level, PATIENCE).await.map_err(|error| error.to_string())?;
    Ok(format!("the cluster uses features of level {level}"))
}

/// Resolves when the cluster goes beyond what this program knows.
pub async fn outgrown(driver: &Driver, known: u32) -> String {
    let mut configuration = driver.configuration();
    loop {
        if let Some(why) = refusal(known, &configuration.borrow_and_update()) {
            return why;
        }
        if configuration.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
