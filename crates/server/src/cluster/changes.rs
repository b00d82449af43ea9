//! Servers that come and go, and the office handed over: done at the consul, asked anywhere.
//!
//! A server that is added first gets its identity, then is a learner of everything, and votes once it has caught up. Each
//! step may be asked for again: `curia server add` goes on where it stopped.

use super::host::ClusterHost;
use super::identity::Identity;
use super::levels;
use super::request::{Answer, Change, Request};
use crate::options::roles;
use curia_consensus::{Configuration, Roles, ServerId};
use curia_driver::Driver;
use curia_peer::{Address, Places};
use std::sync::Arc;
use std::time::Duration;

/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long whoever passes a change on waits for it.
const PASSED_ON_PATIENCE: Duration = Duration::from_secs(130);

/// How long a change waits for somebody to be consul.
const CONSUL_PATIENCE: Duration = Duration::from_secs(5);

/// Changes the cluster, at the consul.
pub async fn change(host: &ClusterHost, change: Change, passed_on: bool) -> Answer {
    let Some(driver) = host.driver() else {
        let state = if host.who().member.is_some() { "starting" } else { "in no cluster" };
        return Answer::Refused(format!("{} is {state}", host.me.peer));
    };
    let own = host.who().member.map_or(0, |(_, server)| server);
    let leaves = matches!(change, Change::Remove(server) if server == own);
    if leaves && driver.standing().borrow().serving().is_some() {
        // Whoever stays sees to it: this server would need somebody to have made durable all that its own log lacks.
        if let Err(why) = give_way(host, driver, ServerId(own)).await {
            return Answer::Refused(why);
        }
    }
    // Who was just made consul may not serve yet.
    let mut standing = driver.standing();
    let known = standing.wait_for(|now| now.serving().is_some() || !passed_on && now.consul.is_some());
    let _ = tokio::time::timeout(CONSUL_PATIENCE, known).await;
    let standing = *driver.standing().borrow();
    if standing.serving().is_some() {
        let outcome = match change {
            Change::Add(address) => add(host, driver, &address).await,
            Change::Remove(server) => remove(driver, ServerId(server)).await,
            Change::Transfer(server) => transfer(driver, ServerId(server)).await,
            Change::Upgrade => levels::finish(host, driver).await,
        };
        return outcome.map_or_else(Answer::Refused, Answer::Done);
    }
    let place = |server| Some(host.transport()?.book().get(server)?.peer.clone());
    match standing.consul.and_then(place) {
        Some(address) if !passed_on || leaves => {
            let request = Request::Change { change, passed_on: true };
            let answer = host.ask(&address, &request, PASSED_ON_PATIENCE).await;
            answer.unwrap_or_else(|unanswered| Answer::Refused(unanswered.into()))
        }
        _ => Answer::Refused("the cluster has no consul now: it needs a majority of its servers".into()),
    }
}

async fn add(host: &ClusterHost, driver: &Arc<Driver>, address: &Address) -> Result<String, String> {
    let who = match host.ask(address, &Request::Who, super::host::PATIENCE).await? {
        Answer::Who(who) => who,
        other => return Err(format!("{address} answers {other:?}")),
    };
    let configuration = driver.configuration().borrow().clone();
    let cluster = configuration.cluster.to_string();
    let transport = host.transport().ok_or("the server is stopping")?;
    if who.feature_level < configuration.feature_level {
        return Err(levels::too_old(address, who.feature_level, configuration.feature_level));
    }
    let its_roles = roles(&who.roles).map_err(|error| error.to_string())?;
    let server = match who.member {
        Some((other, _)) if other != cluster => return Err(format!("{address} is of cluster {other}, not of {cluster}")),
        Some((_, server)) => ServerId(server),
        None => {
            // Never a number that anybody had: the book keeps those who left.
            let known = configuration.servers.iter().map(|(server, _)| server.0);
            let highest = known.chain(transport.book().iter().map(|(server, _)| server.0)).max();
            let server = ServerId(highest.unwrap_or(0) + 1);
            let identity = Identity::added(configuration.cluster, server.0, who.roles.clone(), who.groups);
            let request = Request::Become {
                by: 0,
                identity: Box::new(identity),
            };
            super::forming::expect_done(host.ask(address, &request, super::host::PATIENCE).await?)?;
            server
        }
    };
    let places = Places {
        number: 0,
        peer: address.clone(),
        sql: who.sql.clone(),
    };
    transport.learn([(server, places)]);
    driver
        .add_server(server, its_roles, PATIENCE)
        .await
        .map_err(|error| format!("server {server} at {address} is not a full member yet; asked again, it goes on: {error}"))?;
    let what = if its_roles.log { "votes" } else { "follows" };
    Ok(format!("server {server} at {address} is a member and {what}"))
}

/// Lets an empty server take the place of a lost one that stored no log. No consul is needed: such a server has promised nothing that
/// could be lost with its folder, and where all of them are lost there is no consul.
pub async fn replace(host: &ClusterHost, server: u64, address: &Address) -> Result<String, String> {
    let (Some(driver), Some(transport)) = (host.driver(), host.transport()) else {
        return Err(format!("{} is in no cluster", host.me.peer));
    };
    let examined = driver.examine().await.map_err(|error| error.to_string())?;
    let configuration = &examined.configuration;
    match configuration.roles(ServerId(server)) {
        None => return Err(format!("there is no server {server}")),
        Some(Roles::STATE) => {}
        Some(_) => {
            return Err(format!(
                "server {server} stores logs, and what it promised is lost with its folder: curia server remove {server}, then curia server add {address}"
            ));
        }
    }
    let links = transport.links();
    if links
        .iter()
        .any(|link| link.server == ServerId(server) && link.connected_for.is_some())
    {
        return Err(format!("server {server} is running"));
    }
    let who = match host.ask(address, &Request::Who, super::host::PATIENCE).await? {
        Answer::Who(who) => who,
        other => return Err(format!("{address} answers {other:?}")),
    };
    if who.member.is_none() && who.roles != "state" {
        return Err(format!(
            "{address} was started with --roles {}: start it with --roles state",
            who.roles
        ));
    }
    if who.feature_level < configuration.feature_level {
        return Err(levels::too_old(address, who.feature_level, configuration.feature_level));
    }
    let base = examined
        .agreed_base
        .as_ref()
        .ok_or("this server doesn't know the cluster yet: ask another one")?;
    let identity = Identity::replacing(configuration, server, base);
    let request = Request::Become {
        by: 0,
        identity: Box::new(identity),
    };
    super::forming::expect_done(host.ask(address, &request, super::host::PATIENCE).await?)?;
    Ok(format!("the server at {address} is server {server} now"))
}

async fn remove(driver: &Arc<Driver>, server: ServerId) -> Result<String, String> {
    may_leave(&driver.configuration().borrow(), server)?;
    driver.remove_server(server, PATIENCE).await.map_err(|error| error.to_string())?;
    Ok(format!(
        "server {server} is no member any more: stop it, and never start it on its data folder again"
    ))
}

/// Whether the others are still a cluster.
fn may_leave(configuration: &Configuration, server: ServerId) -> Result<(), String> {
    if configuration.roles(server).is_none() {
        return Err(format!("there is no server {server}"));
    }
    let loggers = configuration.servers.iter().filter(|(_, roles)| roles.log).count();
    if configuration.roles(server).is_some_and(|roles| roles.log) && loggers == 1 {
        return Err(format!("server {server} is the last that stores logs"));
    }
    if !configuration
        .servers
        .iter()
        .any(|(other, _)| *other != server && configuration.may_lead(*other))
    {
        return Err(format!("without server {server} no server could become consul"));
    }
    Ok(())
}

/// The consul is to leave: another server takes the office over.
async fn give_way(host: &ClusterHost, driver: &Driver, own: ServerId) -> Result<(), String> {
    may_leave(&driver.configuration().borrow(), own)?;
    super::drain::hand_over(host, driver).await
}

/// Hands the office over, and waits until this server has let go of it.
async fn transfer(driver: &Arc<Driver>, to: ServerId) -> Result<String, String> {
    let mut standing = driver.standing();
    let term = standing.borrow().serving();
    driver
        .transfer(to)
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let gone = standing.wait_for(|now| now.serving() != term && now.consul == Some(to));
    match tokio::time::timeout(Duration::from_secs(5), gone).await {
        Ok(Ok(_)) => Ok(format!("server {to} is consul")),
        _ => Err(format!("server {to} did not take the office over")),
    }
}
