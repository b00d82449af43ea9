//! `curia server digests`: what stands in the state at a CSN, in a few bytes for each worker group. Servers whose digests
//! differ at the same CSN don't hold the same database.

use super::host::ClusterHost;
use curia_consensus::Csn;
use curia_txn::Replication;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// A line that names the CSN, then a line for each group.
///
/// # Errors
/// Why this server can't say.
pub async fn page(host: &ClusterHost, csn: Option<Csn>, wait: Duration) -> Result<String, String> {
    let driver = host.driver().ok_or_else(|| format!("{} is in no cluster", host.me.peer))?;
    if !host.identity().borrow().as_ref().is_some_and(|identity| identity.roles().state) {
        return Err(format!("{} only stores logs", host.me.peer));
    }
    let csn = csn.unwrap_or_else(|| driver.applied());
    match tokio::time::timeout(wait, driver.wait_applied(csn)).await {
        Ok(reached) => reached.map_err(|error| error.to_string())?,
        Err(_) if driver.applied() >= csn => {}
        Err(_) => return Err(format!("{} has applied CSN {} only", host.me.peer, driver.applied())),
    }
    let groups: Vec<_> = driver.configuration().borrow().groups.iter().map(|(group, _)| *group).collect();
    let state = Arc::clone(driver.state());
    // It reads every row.
    let digests = tokio::task::spawn_blocking(move || {
        let mut page = format!("CSN {csn}\n");
        for group in groups {
            let digest = state.digest(group, csn).map_err(|error| error.to_string())?;
            let _ = writeln!(page, "group {group:<4} {digest:016x}");
        }
        match state.horizon() <= csn {
            true => Ok(page),
            false => Err(format!("CSN {csn} is below what is kept, which begins at {}", state.horizon())),
        }
    });
    let page = digests.await.map_err(|error| error.to_string())??;
    match driver.readable() {
        true => Ok(page),
        false => Err(format!("{} is being brought up to date", host.me.peer)),
    }
}
