//! `curia server drain`: a server that is to be stopped lets go of its clients and of the office first.
//!
//! ```text
//!   drain ─► new clients: 57P03, they go elsewhere ─► office handed over ─► sessions end ─► "may be stopped" ─► SIGTERM
//! ```
//!
//! Sessions that are idle end (57P01), others do when their transaction is over. The server still votes, stores and follows,
//! so the cluster lacks nothing until it is stopped. After a start it is a server like any other; one that is not stopped
//! goes on with `curia server undrain`.

use super::host::{ClusterHost, PATIENCE};
use super::request::{Answer, Request};
use curia_consensus::ServerId;
use curia_driver::Driver;
use std::time::{Duration, Instant};

/// How long the sessions that there are may take.
const GRACE: Duration = Duration::from_secs(3);
/// How long those may take who lost their consul.
const AGAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(50);

/// Drains this server, or lets it go on.
pub async fn drain(host: &ClusterHost, on: bool) -> Answer {
    let (Some(driver), Some((_, own))) = (host.driver(), host.who().member) else {
        return Answer::Refused(format!("{} is in no cluster", host.me.peer));
    };
    host.door.drain(on);
    if !on {
        host.door.dismiss(false);
        return Answer::Done(format!("server {own} takes clients again"));
    }
    tracing::info!("draining: new clients are sent away");
    if let Err(why) = hand_over(host, driver).await {
        host.door.drain(false);
        return Answer::Refused(format!("server {own} can't be drained: {why}"));
    }
    // Who has to try again because of that can do so here.
    tokio::time::sleep(AGAIN).await;
    if host.door.draining() {
        host.door.dismiss(true);
    }
    let until = Instant::now() + GRACE;
    while host.door.draining() && host.door.sessions() > 0 && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    if !host.door.draining() {
        return Answer::Refused(format!("server {own} takes clients again: somebody took the drain back"));
    }
    Answer::Done(match host.door.sessions() {
        0 => format!("server {own} is drained: it may be stopped"),
        left => format!("server {own} may be stopped: {left} sessions are left, which end then"),
    })
}

/// Lets the best of the other servers take the office over, if this one has it, and waits until it has.
///
/// # Errors
/// Nobody could, or did.
pub async fn hand_over(host: &ClusterHost, driver: &Driver) -> Result<(), String> {
    let mut standing = driver.standing();
    let Some(term) = standing.borrow().serving() else { return Ok(()) };
    let examined = driver.examine().await.map_err(|error| error.to_string())?;
    let links = host.transport().map(|transport| transport.links()).unwrap_or_default();
    let able = |server: ServerId| {
        let connected = links.iter().any(|link| link.server == server && link.connected_for.is_some());
        connected && !host.reports.lock().get(&server).is_some_and(|report| report.draining)
    };
    let Some(next) = examined.successor(able) else {
        return Err("no other server is there that could become consul".into());
    };
    let begun = driver.transfer(next).await.map_err(|error| error.to_string())?;
    begun.map_err(|error| error.to_string())?;
    let gone = standing.wait_for(|now| now.serving() != Some(term) && now.consul.is_some());
    match tokio::time::timeout(PATIENCE, gone).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(format!("server {next} did not take the office over")),
    }
}

/// Passes the wish on to the server that is meant.
pub async fn drain_server(host: &ClusterHost, server: u64, on: bool) -> Answer {
    if host.who().member.is_some_and(|(_, own)| own == server) {
        return drain(host, on).await;
    }
    let place = host
        .transport()
        .and_then(|transport| Some(transport.book().get(ServerId(server))?.peer.clone()));
    let member = host
        .driver()
        .is_some_and(|driver| driver.configuration().borrow().roles(ServerId(server)).is_some());
    match place {
        Some(address) if member => {
            let request = Request::Drain { on };
            let answer = host.ask(&address, &request, GRACE + PATIENCE * 2).await;
            answer.unwrap_or_else(|unanswered| Answer::Refused(unanswered.into()))
        }
        _ => Answer::Refused(format!("there is no server {server}")),
    }
}
