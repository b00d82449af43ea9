//! `curia init`: a cluster of the servers that wait for one.
//!
//! ```text
//!   init at a:   who is there? ─► reserve a, b, c ─► cluster.toml at a ─► at b ─► at c
//! ```
//!
//! All founders are in the first configuration from the start, the same on each. It needs no membership change, and what
//! the log begins with is known to every founder, so that the cluster goes on when any of these steps is cut short:
//!
//! * A server becomes part of one founding only, and durably, before it says so. Reservations keep two `curia init` from
//!   sharing the servers between them.
//! * Who has its `cluster.toml` is a member at once. Those that a crash kept from theirs are told by any founder that is
//!   one ([`tell_founders`]); until then they count as servers that are down.
//! * `curia init` at a member answers that the cluster exists, and at a server that waits beside a cluster refuses to make
//!   a second one.

use super::host::{ClusterHost, PATIENCE};
use super::identity::{Founder, Identity};
use super::request::{Answer, Request, Who};
use crate::options::roles;
use curia_consensus::{ClusterId, ServerId};
use curia_peer::Address;
use std::time::{Duration, Instant};

/// How often a server that doesn't answer is asked again.
const AGAIN: Duration = Duration::from_millis(300);

/// Forms a cluster.
pub async fn init(host: &ClusterHost, wait: Duration, without_absent: bool) -> Answer {
    if let Some((cluster, _)) = host.who().member {
        return Answer::Done(format!("cluster {cluster} exists already"));
    }
    let (others, absent) = match gather(host, wait).await {
        Ok(gathered) => gathered,
        Err(why) => return Answer::Refused(why),
    };
    if !absent.is_empty() && !without_absent {
        let absent: Vec<_> = absent.iter().map(Address::as_str).collect();
        return Answer::Refused(format!(
            "no answer from {}: start the server there, or give --without-absent to leave it out",
            absent.join(", ")
        ));
    }
    let by = rand::random();
    let outcome = found(host, &others, by).await;
    if outcome.is_err() {
        host.release(by);
        for other in &others {
            // A reservation lapses by itself.
            let _ = host.ask(&other.peer, &Request::Release(by), PATIENCE).await;
        }
    }
    outcome.map_or_else(Answer::Refused, Answer::Done)
}

/// The other servers, and those that don't answer.
async fn gather(host: &ClusterHost, wait: Duration) -> Result<(Vec<Who>, Vec<Address>), String> {
    let until = Instant::now() + wait;
    let mut absent: Vec<Address> = host.join.clone();
    absent.sort();
    absent.dedup();
    let mut others: Vec<Who> = Vec::new();
    loop {
        let mut silent = Vec::new();
        for address in absent {
            match host.ask(&address, &Request::Who, PATIENCE).await {
                Ok(Answer::Who(who)) if who.incarnation == host.me.incarnation => {}
                Ok(Answer::Who(who)) => {
                    if let Some((cluster, server)) = &who.member {
                        return Err(format!(
                            "{address} is server {server} of cluster {cluster}: add this one to it with curia server add {}",
                            host.me.peer
                        ));
                    }
                    if who.groups != host.me.groups {
                        return Err(format!(
                            "{address} was started for {} worker groups and {} for {}",
                            who.groups, host.me.peer, host.me.groups
                        ));
                    }
                    if !others.iter().any(|other| other.incarnation == who.incarnation) {
                        // Reached by the address that was listed, whatever it calls itself.
                        others.push(Who { peer: address, ..who });
                    }
                }
                Ok(answer) => return Err(format!("{address} answers {answer:?}")),
                Err(_) => silent.push(address),
            }
        }
        absent = silent;
        if absent.is_empty() || Instant::now() >= until {
            return Ok((others, absent));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn found(host: &ClusterHost, others: &[Who], by: u64) -> Result<String, String> {
    host.reserve(by)?;
    for other in others {
        expect_done(host.ask(&other.peer, &Request::Reserve(by), PATIENCE).await?)?;
    }
    let mut all: Vec<&Who> = others.iter().chain([&host.me]).collect();
    all.sort_by(|a, b| a.peer.cmp(&b.peer));
    let founders: Vec<Founder> = (1..)
        .zip(&all)
        .map(|(server, who)| Founder {
            server,
            roles: who.roles.clone(),
            peer: who.peer.clone(),
            sql: who.sql.clone(),
        })
        .collect();
    let cluster = ClusterId(rand::random::<u64>() | 1);
    let own = (1..).zip(&all).find(|(_, who)| who.incarnation == host.me.incarnation);
    let own = own.map_or(0, |(server, _)| server);
    let runs_state = |founder: &Founder| roles(&founder.roles).is_ok_and(|roles| roles.state);
    let able = founders.iter().any(runs_state);
    let identity = Identity::founder(cluster, own, host.me.groups, founders);
    let Some(mut identity) = identity.filter(|identity| able && identity.fault().is_none()) else {
        return Err("these servers can't form a cluster: some must store logs, and some run the state".into());
    };
    // What all of them know.
    identity.feature_level = all.iter().map(|who| who.feature_level).min().unwrap_or(0);
    identity.untold = (1..).take(all.len()).filter(|server| *server != own).collect();
    host.become_server(by, identity.clone())?;
    let mut missed = Vec::new();
    for founder in identity.founders.iter().filter(|founder| founder.server != own) {
        if let Err(why) = tell(host, &identity, founder, by).await {
            missed.push(why);
        }
    }
    let servers: Vec<_> = identity
        .founders
        .iter()
        .map(|founder| format!("\n  server {} at {}, SQL at {}", founder.server, founder.peer, founder.sql))
        .collect();
    let mut text = format!("cluster {cluster} is formed:{}", servers.concat());
    for why in missed {
        text.push_str(&format!("\nnot told yet, will be told again: {why}"));
    }
    Ok(text)
}

async fn tell(host: &ClusterHost, identity: &Identity, founder: &Founder, by: u64) -> Result<(), String> {
    let request = Request::Become {
        by,
        identity: Box::new(identity.for_founder(founder)),
    };
    expect_done(host.ask(&founder.peer, &request, PATIENCE).await?)?;
    let told = host.note(|identity| identity.untold.retain(|server| *server != founder.server));
    told.map_err(|error| format!("{} cannot write its data folder: {error}", host.me.peer))
}

/// The outcome of a request that is done or refused.
pub fn expect_done(answer: Answer) -> Result<(), String> {
    match answer {
        Answer::Done(_) => Ok(()),
        Answer::Refused(why) => Err(why),
        other => Err(format!("an answer that makes no sense: {other:?}")),
    }
}

/// Tells founders that were never told what they are, until all know. A founding that was cut short is finished so.
pub async fn tell_founders(host: &ClusterHost, identity: &Identity) {
    loop {
        // As noted by now: whoever is told meanwhile is not told again.
        let untold = host.identity().borrow().as_ref().map_or_else(Vec::new, |now| now.untold.clone());
        let founders = identity.founders.iter();
        let mut left: Vec<_> = founders.filter(|founder| untold.contains(&founder.server)).collect();
        if let Some(driver) = host.driver() {
            let configuration = driver.configuration().borrow().clone();
            left.retain(|founder| configuration.roles(ServerId(founder.server)).is_some()); // others have left for good
        }
        if left.is_empty() {
            return;
        }
        for founder in left {
            // One that knows already says so, and changes nothing.
            if let Err(why) = tell(host, identity, founder, 0).await {
                tracing::debug!("founder {} is not told yet: {why}", founder.server);
            }
        }
        tokio::time::sleep(PATIENCE).await;
    }
}
