//! The page of `curia status`: how the cluster looks from one server, also when there is no consul.

use super::host::ClusterHost;
use curia_consensus::{Configuration, Office, Roles, ServerId};
use curia_driver::Standing;
use std::fmt::Write;
use std::time::Duration;

/// The page.
pub async fn page(host: &ClusterHost) -> String {
    let who = host.who();
    let Some(driver) = host.driver() else {
        let join: Vec<_> = host.join.iter().map(|address| address.as_str()).collect();
        return match who.member {
            Some((cluster, server)) => format!("server {server} of cluster {cluster} is starting\n"),
            None => format!(
                "the server at {} is in no cluster yet; it was told to join {}\nRun curia init --host {} once, when all servers are started.\n",
                who.peer,
                join.join(", "),
                who.peer
            ),
        };
    };
    let mut out = servers(host);
    let examined = match driver.examine().await {
        Ok(examined) => examined,
        Err(error) => {
            let _ = writeln!(out, "\nthe driver has stopped: {error}");
            return out;
        }
    };
    let _ = writeln!(
        out,
        "\nresolved CSN {}, applied {}, durable {}; log {}",
        examined.resolved,
        examined.applied,
        examined.durable,
        size(examined.log_bytes)
    );
    for recovered in &examined.configuration.recoveries {
        let _ = writeln!(
            out,
            "recovered by force from cluster {} by server {}, whose state was at CSN {}: see curia.recoveries",
            recovered.from, recovered.by, recovered.csn
        );
    }
    if !examined.settled {
        let _ = writeln!(out, "a change of the configuration is under way");
    }
    let _ = writeln!(out, "\n{:<8}{:<8}{:<10}{:<10}members", "group", "term", "last", "on quorum");
    for group in &examined.groups {
        let mut members = String::new();
        for (server, index) in &group.members {
            let behind = group.last.0.saturating_sub(index.0);
            let state = if behind == 0 {
                "equal".to_owned()
            } else {
                format!("{behind} behind")
            };
            let _ = write!(members, "{server} {state}  ");
        }
        let damaged = if group.damaged { "damaged here  " } else { "" };
        let _ = writeln!(
            out,
            "{:<8}{:<8}{:<10}{:<10}{damaged}{}",
            group.group.to_string(),
            group.term.to_string(),
            group.last.to_string(),
            group.commit.to_string(),
            members.trim_end()
        );
    }
    if let Some(last) = examined.inaugurations.last() {
        let _ = writeln!(
            out,
            "\nlast took office in term {} at CSN {}, within {} ms",
            last.term,
            last.cut,
            last.took.as_millis()
        );
    }
    out
}

/// Who is in the cluster, and how this server reaches them.
pub fn servers(host: &ClusterHost) -> String {
    let (Some(driver), Some((cluster, own))) = (host.driver(), host.who().member) else {
        return format!("the server at {} is in no cluster\n", host.me.peer);
    };
    let standing = *driver.standing().borrow();
    let configuration = driver.configuration().borrow().clone();
    let office = match (standing.office, standing.consul) {
        (Office::Consul { .. }, _) => "is consul".to_owned(),
        (Office::Inaugurating { .. }, _) => "is taking office".to_owned(),
        (Office::Senator { .. }, Some(consul)) => format!("follows the consul, server {consul}"),
        (Office::Senator { .. }, None) => "knows no consul".to_owned(),
    };
    let mut out = format!(
        "cluster {cluster}, as server {own} sees it: it {office}, in term {}, with features of level {}\n\n",
        standing.term(),
        configuration.feature_level
    );
    let transport = host.transport();
    let book = transport.as_ref().map(|transport| transport.book()).unwrap_or_default();
    let links = transport.map(|transport| transport.links()).unwrap_or_default();
    let _ = writeln!(
        out,
        "{:<8}{:<11}{:<9}{:<24}{:<24}{:<12}{:<11}connection",
        "server", "roles", "votes", "peer address", "SQL address", "applied", "log"
    );
    for (server, roles) in &configuration.servers {
        let link = links.iter().find(|link| link.server == *server);
        let connection = match link {
            _ if server.0 == own => "this server".to_owned(),
            Some(link) => match (link.connected_for, link.round_trip) {
                (Some(since), round_trip) => format!(
                    "for {}{}",
                    span(since),
                    round_trip.map(|time| format!(", {} us", time.as_micros())).unwrap_or_default()
                ),
                (None, _) => format!("none: {}", link.error.as_deref().unwrap_or("not tried yet")),
            },
            None => "address not known".to_owned(),
        };
        let roles = role_names(*roles);
        let consul = match consul_of(&standing, ServerId(own)) {
            Some(consul) if consul == *server => " consul",
            _ => "",
        };
        let places = book.get(*server);
        let (applied, log, draining) = match host.reports.lock().get(server) {
            _ if server.0 == own => {
                let status = driver.status();
                (status.applied.to_string(), size(status.log_bytes), host.door.draining())
            }
            Some(report) => (report.applied.to_string(), size(report.log_bytes), report.draining),
            None => (String::new(), String::new(), false),
        };
        let draining = if draining { " draining" } else { "" };
        let _ = writeln!(
            out,
            "{:<8}{roles:<11}{:<9}{:<24}{:<24}{applied:<12}{log:<11}{connection}{consul}{draining}",
            server.to_string(),
            votes(&configuration, *server),
            places.map_or("", |places| places.peer.as_str()),
            places.map_or("", |places| places.sql.as_str()),
        );
    }
    out
}

/// How roles are written.
pub fn role_names(roles: Roles) -> &'static str {
    match (roles.log, roles.state) {
        (true, true) => "log,state",
        (true, false) => "log",
        _ => "state",
    }
}

/// Who is consul, as a server knows that is in this standing.
pub fn consul_of(standing: &Standing, own: ServerId) -> Option<ServerId> {
    match standing.serving() {
        Some(_) => Some(own),
        None => standing.consul,
    }
}

/// Whether a server votes: `yes`, `no`, `coming` or `leaving`.
pub fn votes(configuration: &Configuration, server: ServerId) -> &'static str {
    match (
        configuration.senate.incoming().contains(&server),
        configuration.senate.outgoing().contains(&server),
    ) {
        (true, true) => "yes",
        (true, false) if configuration.senate.outgoing().is_empty() => "yes",
        (true, false) => "coming",
        (false, true) => "leaving",
        (false, false) => "no",
    }
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn size(bytes: u64) -> String {
    if bytes < 10 << 20 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}
