//! Whether a data folder is an old one that was put back.
//!
//! A server's folder says what the server has promised: which terms it was in, and which entries it has. Others count on that.
//! Whoever of them still runs remembers what it heard of the server, and a folder that says less is refused. When nobody
//! remembers, or nobody can be reached, nothing tells an old folder from the right one.

use super::host::ClusterHost;
use super::identity::Identity;
use super::request::{Answer, Promised, Request};
use curia_driver::Examined;
use curia_peer::Address;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long the others may take to say what they heard.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the others, at the same time; what is wrong with the folder, if anything.
pub async fn check(host: &Arc<ClusterHost>, identity: &Identity, examined: &Examined) -> Option<String> {
    let book = host.transport().map(|transport| transport.book()).unwrap_or_default();
    let known = book.iter().map(|(_, places)| places.peer.clone());
    let founders = identity.founders.iter().map(|founder| founder.peer.clone());
    let mut addresses: BTreeSet<Address> = known.chain(founders).chain(host.join.iter().cloned()).collect();
    addresses.remove(&host.me.peer);
    let server = identity.server();
    let mut asked = JoinSet::new();
    for address in addresses {
        let host = host.clone();
        asked.spawn(async move {
            match host.ask(&address, &Request::Heard(server.0), PATIENCE).await {
                Ok(Answer::Heard(Some(promised))) => Some((address, promised)),
                _ => None, // down, or of a version that remembers nothing
            }
        });
    }
    let heard = asked.join_all().await;
    let mut lacking = heard
        .into_iter()
        .flatten()
        .filter_map(|(address, promised)| Some((address, lacks(&promised, examined)?)));
    let (address, lack) = lacking.next()?;
    // The right folder may be in use, and this a copy of it.
    if let Some(places) = book.get(server)
        && let Ok(Answer::Who(who)) = host.ask(&places.peer, &Request::Who, PATIENCE).await
        && who.member == host.who().member
        && who.incarnation != host.me.incarnation
    {
        return Some(format!(
            "server {server} is running already, at {}: two servers may not have one identity",
            places.peer
        ));
    }
    Some(format!(
        "it is older than what {address} has heard from server {server} ({lack}): an earlier copy was put back. \
         curia server remove {server}, then add it with an empty folder"
    ))
}

/// What the folder lacks of what was promised.
fn lacks(promised: &Promised, examined: &Examined) -> Option<String> {
    let term = examined.standing.term().0;
    if promised.term > term {
        return Some(format!("term {}, and the folder ends in term {term}", promised.term));
    }
    if promised.term < term {
        return None; // a later consul may have cut the logs
    }
    let senate = (0, examined.senate.last.0, examined.senate.damaged);
    let groups = examined.groups.iter().map(|group| (group.group.0 + 1, group.last.0, group.damaged));
    for (log, last, damaged) in groups.chain([senate]) {
        let acknowledged = promised.logs.iter().find(|(known, _)| *known == log).map_or(0, |(_, index)| *index);
        // What is damaged is known to be unknown, and is repaired.
        if acknowledged > last && !damaged {
            return Some(format!(
                "entry {acknowledged} of log {log} in term {term}, and the folder ends at entry {last}"
            ));
        }
    }
    None
}
