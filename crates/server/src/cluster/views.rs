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
use serde_json::Value;
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
        let seen = Seen {
            examined: &examined,
            host: self.host.as_deref(),
            sql: &self.sql,
        };
        Ok(match view {
            "servers" => seen.servers(),
            "senate" => senate(&examined),
            "worker_groups" => worker_groups(&examined),
            "inaugurations" => seen.inaugurations(),
            "recoveries" => recoveries(&examined),
            _ => Vec::new(),
        })
    }
}

/// A cluster as it is now.
pub struct Seen<'a> {
    /// What the driver says.
    pub examined: &'a Examined,
    /// The peer port, of a server that has one.
    pub host: Option<&'a ClusterHost>,
    /// Where clients of this server connect.
    pub sql: &'a str,
}

impl Seen<'_> {
    /// All views, as `curia status --json` prints them.
    pub fn describe(&self) -> Value {
        let examined = self.examined;
        let rows = |rows: ViewRows| {
            let objects = rows.into_iter().map(|row| {
                let fields = row.iter().map(|(name, value)| ((*name).to_owned(), json(value)));
                Value::Object(fields.collect())
            });
            Value::Array(objects.collect())
        };
        serde_json::json!({
            "server_id": examined.server.0,
            "servers": rows(self.servers()),
            "senate": rows(senate(examined))[0],
            "worker_groups": rows(worker_groups(examined)),
            "inaugurations": rows(self.inaugurations()),
            "recoveries": rows(recoveries(examined)),
        })
    }

    /// How this server is.
    fn own_report(&self) -> Report {
        report(self.host, self.examined)
    }

    fn reported(&self, server: ServerId) -> Option<Report> {
        match self.host {
            _ if server == self.examined.server => Some(self.own_report()),
            Some(host) => host.reports.lock().get(&server).cloned(),
            None => None,
        }
    }

    fn servers(&self) -> ViewRows {
        let examined = self.examined;
        let transport = self.host.and_then(|host| host.transport());
        let book = transport.as_ref().map(|transport| transport.book()).unwrap_or_default();
        let links = transport.map(|transport| transport.links()).unwrap_or_default();
        let consul = consul_of(&examined.standing, examined.server);
        let servers = examined.configuration.servers.iter().map(|(server, roles)| {
            let own = *server == examined.server;
            let places: Option<&Places> = book.get(*server);
            let sql = places.map(|places| places.sql.as_str()).or_else(|| own.then_some(self.sql));
            let mut row = vec![
                ("server_id", number(server.0)),
                ("sql_addr", sql.map_or(Datum::Null, Datum::text)),
                ("peer_addr", places.map_or(Datum::Null, |places| Datum::text(places.peer.as_str()))),
                ("roles", Datum::text(role_names(*roles))),
                ("is_consul", Datum::Bool(consul == Some(*server))),
                ("votes", Datum::Bool(votes(&examined.configuration, *server) == "yes")),
            ];
            if let Some(report) = self.reported(*server) {
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

    fn inaugurations(&self) -> ViewRows {
        let own = (self.examined.server, self.own_report());
        let others = self.host.map(|host| host.reports.lock().clone()).unwrap_or_default();
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

fn recoveries(examined: &Examined) -> ViewRows {
    let recoveries = examined.configuration.recoveries.iter().map(|recovered| {
        let at = i64::try_from(recovered.at.0).unwrap_or(i64::MAX) - EPOCH_MICROS;
        vec![
            ("recovered_at", Datum::Timestamptz(at)),
            ("from_cluster", Datum::text(recovered.from.to_string())),
            ("server_id", number(recovered.by.0)),
            ("csn", number(recovered.csn.0)),
        ]
    });
    recoveries.collect()
}

/// How many entries each of these servers lacks.
fn lag<'a>(known: &'a [(ServerId, Index)], last: Index, of: &'a [ServerId]) -> impl Iterator<Item = u64> + 'a {
    of.iter().map(move |server| {
        let has = known.iter().find(|(member, _)| member == server).map_or(0, |(_, index)| index.0);
        last.0.saturating_sub(has)
    })
}

/// A value of these views.
fn json(value: &Datum) -> Value {
    match value {
        Datum::Bool(value) => Value::from(*value),
        Datum::Int4(value) => Value::from(*value),
        Datum::Int8(value) => Value::from(*value),
        Datum::Float8(value) => Value::from(*value),
        Datum::Text(value) => Value::from(value.as_ref()),
        Datum::Timestamptz(micros) => Value::from((micros + EPOCH_MICROS) as f64 / 1e6), // seconds since 1970
        Datum::Array(array) => array.elements.iter().map(json).collect(),
        _ => Value::Null,
    }
}

fn number(value: u64) -> Datum {
    Datum::Int8(i64::try_from(value).unwrap_or(i64::MAX))
}

fn numbers(values: impl Iterator<Item = u64>) -> Datum {
    Datum::list(oid::INT8, values.map(number).collect())
}
