//! The views of the schema `curia`, as this server sees its cluster. Sessions run on the consul, which knows most.

use super::host::ClusterHost;
use super::reports::report;
use super::request::Report;
use super::status::{consul_of, role_names, votes};
use curia_consensus::{Index, ServerId};
use curia_driver::{Driver, Examined};
use curia_peer::{LinkStatus, Places};
use curia_session::{ClusterViews, ViewRows};
use curia_types::{Datum, Result, oid};
use std::sync::Arc;
use std::time::Duration;

/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// See the module's page.
pub struct Views {
    /// Who takes part in consensus.
    pub driver: Arc<Driver>,
    /// The peer port, of a server that has one.
    pub host: Option<Arc<ClusterHost>>,
    /// Where clients of this server connect.
    pub sql: String,
}

impl ClusterViews for Views {
    fn rows(&self, view: &str) -> Result<ViewRows> {
        let examined = self.driver.examine_now()?;
        Ok(match view {
            "servers" => self.servers(&examined),
            "senate" => senate(&examined),
            "worker_groups" => worker_groups(&examined),
            "inaugurations" => self.inaugurations(&examined),
            _ => Vec::new(),
        })
    }
}

impl Views {
    /// How this server is.
    fn own_report(&self, examined: &Examined) -> Report {
        report(self.host.as_deref(), examined)
    }

    fn reported(&self, server: ServerId, examined: &Examined) -> Option<Report> {
        match &self.host {
            _ if server == examined.server => Some(self.own_report(examined)),
            Some(host) => host.reports.lock().get(&server).cloned(),
            None => None,
        }
    }

    fn servers(&self, examined: &Examined) -> ViewRows {
        let transport = self.host.as_ref().and_then(|host| host.transport());
        let book = transport.as_ref().map(|transport| transport.book()).unwrap_or_default();
        let links = transport.map(|transport| transport.links()).unwrap_or_default();
        let consul = consul_of(&examined.standing, examined.server);
        let servers = examined.configuration.servers.iter().map(|(server, roles)| {
            let own = *server == examined.server;
            let places: Option<&Places> = book.get(*server);
            let sql = places
                .map(|places| places.sql.as_str())
                .or_else(|| own.then_some(self.sql.as_str()));
            let mut row = vec![
                ("server_id", number(server.0)),
                ("sql_addr", sql.map_or(Datum::Null, Datum::text)),
                ("peer_addr", places.map_or(Datum::Null, |places| Datum::text(places.peer.as_str()))),
                ("roles", Datum::text(role_names(*roles))),
                ("is_consul", Datum::Bool(consul == Some(*server))),
                ("votes", Datum::Bool(votes(&examined.configuration, *server) == "yes")),
            ];
            if let Some(report) = self.reported(*server, examined) {
                row.extend([
                    ("version", Datum::text(report.version)),
                    ("draining", Datum::Bool(report.draining)),
                    ("applied_csn", number(report.applied)),
                    ("durable_csn", number(report.durable)),
                    ("log_bytes", number(report.log_bytes)),
                ]);
            }
            match links.iter().find(|link| link.server == *server) {
                Some(link) => row.extend(link_columns(link)),
                None => row.push(("connected", Datum::Bool(own))),
            }
            row
        });
        servers.collect()
    }

    fn inaugurations(&self, examined: &Examined) -> ViewRows {
        let own = (examined.server, self.own_report(examined));
        let others = self.host.as_ref().map(|host| host.reports.lock().clone()).unwrap_or_default();
        let mut all: Vec<_> = others
            .into_iter()
            .chain([own])
            .flat_map(|(server, report)| report.inaugurations.into_iter().map(move |inaugurated| (server, inaugurated)))
            .collect();
        all.sort_by_key(|(_, inaugurated)| inaugurated.term);
        let rows = all.into_iter().map(|(server, inaugurated)| {
            let elected = i64::try_from(inaugurated.elected_micros).unwrap_or(i64::MAX) - EPOCH_MICROS;
            vec![
                ("server_id", number(server.0)),
                ("term", number(inaugurated.term)),
                ("elected_at", Datum::Timestamptz(elected)),
                ("took_ms", Datum::Float8(inaugurated.took_micros as f64 / 1_000.0)),
                ("cut", number(inaugurated.cut)),
                ("applied_before", number(inaugurated.applied_before)),
                ("voided", number(inaugurated.voided)),
                ("fetched", number(inaugurated.fetched)),
            ]
        });
        rows.collect()
    }
}

fn link_columns(link: &LinkStatus) -> Vec<(&'static str, Datum)> {
    let ms = |time: Duration| Datum::Float8(time.as_secs_f64() * 1_000.0);
    vec![
        ("connected", Datum::Bool(link.connected_for.is_some())),
        (
            "connected_seconds",
            link.connected_for.map_or(Datum::Null, |time| Datum::Float8(time.as_secs_f64())),
        ),
        ("round_trip_ms", link.round_trip.map_or(Datum::Null, ms)),
        ("waiting_bytes", number(link.waiting_bytes)),
        ("sent_bytes", number(link.sent_bytes)),
        ("received_bytes", number(link.received_bytes)),
        ("dropped_messages", number(link.dropped)),
        ("error", link.error.as_deref().map_or(Datum::Null, Datum::text)),
    ]
}

fn senate(examined: &Examined) -> ViewRows {
    let (senate, configuration) = (&examined.senate, &examined.configuration);
    let members = &configuration.senate;
    let voters: Vec<_> = members.incoming().to_vec();
    vec![vec![
        ("cluster_id", Datum::text(configuration.cluster.to_string())),
        ("term", number(examined.standing.term().0)),
        (
            "consul",
            consul_of(&examined.standing, examined.server).map_or(Datum::Null, |server| number(server.0)),
        ),
        ("first", number(senate.base.0 + 1)),
        ("last", number(senate.last.0)),
        ("durable", number(senate.durable.0)),
        ("commit", number(senate.commit.0)),
        ("members", numbers(voters.iter().map(|server| server.0))),
        ("learners", numbers(members.learners().iter().map(|server| server.0))),
        ("lag", numbers(lag(&senate.members, senate.last, &voters))),
        ("settled", Datum::Bool(examined.settled)),
        ("feature_level", Datum::Int4(configuration.feature_level as i32)),
        ("resolved_csn", number(examined.resolved.0)),
        ("log_bytes", number(senate.log_bytes)),
    ]]
}

fn worker_groups(examined: &Examined) -> ViewRows {
    let leader = consul_of(&examined.standing, examined.server);
    let groups = examined.groups.iter().map(|group| {
        let members: Vec<_> = group.members.iter().map(|(server, _)| *server).collect();
        vec![
            ("group_id", Datum::Int4(group.group.0 as i32)),
            ("leader", leader.map_or(Datum::Null, |server| number(server.0))),
            ("term", number(group.term.0)),
            ("first", number(group.base.0 + 1)),
            ("last", number(group.last.0)),
            ("durable", number(group.durable.0)),
            ("commit", number(group.commit.0)),
            ("applied", number(group.handed.0)),
            ("members", numbers(members.iter().map(|server| server.0))),
            ("lag", numbers(lag(&group.members, group.last, &members))),
            ("log_bytes", number(group.log_bytes)),
            ("damaged", Datum::Bool(group.damaged)),
            ("dropping", Datum::Bool(examined.configuration.dropping(group.group).is_some())),
        ]
    });
    groups.collect()
}

/// How many entries each of these servers lacks.
fn lag<'a>(known: &'a [(ServerId, Index)], last: Index, of: &'a [ServerId]) -> impl Iterator<Item = u64> + 'a {
    of.iter().map(move |server| {
        let has = known.iter().find(|(member, _)| member == server).map_or(0, |(_, index)| index.0);
        last.0.saturating_sub(has)
    })
}

fn number(value: u64) -> Datum {
    Datum::Int8(i64::try_from(value).unwrap_or(i64::MAX))
}

fn numbers(values: impl Iterator<Item = u64>) -> Datum {
    Datum::list(oid::INT8, values.map(number).collect())
}
