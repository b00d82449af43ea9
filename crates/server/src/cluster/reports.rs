//! What servers tell each other of themselves now and then, so that each can show all of them: `curia.servers`, `curia status`.

use super::host::{ClusterHost, PATIENCE};
use super::request::{Answer, Inaugurated, Report, Request};
use curia_consensus::ServerId;
use curia_driver::Examined;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// How often the others are asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// A server's report on itself.
pub fn report(host: Option<&ClusterHost>, examined: &Examined) -> Report {
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        applied: examined.applied.0,
        durable: examined.durable.0,
        log_bytes: examined.log_bytes,
        inaugurations: inaugurations(examined),
        draining: host.is_some_and(|host| host.door.draining()),
    }
}

fn inaugurations(examined: &Examined) -> Vec<Inaugurated> {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let told = examined.inaugurations.iter().map(|inauguration| Inaugurated {
        term: inauguration.term.0,
        elected_micros: micros(inauguration.elected.duration_since(UNIX_EPOCH).unwrap_or_default()),
        took_micros: micros(inauguration.took),
        cut: inauguration.cut.0,
        applied_before: inauguration.applied_before.0,
        voided: inauguration.cost.voided,
        fetched: inauguration.cost.fetched,
    });
    told.collect()
}

/// Asks the servers that are connected for their reports, again and again, until the server stops.
pub async fn collect(host: Arc<ClusterHost>) {
    loop {
        let Some(transport) = host.transport() else { return };
        let links = transport.links().into_iter().filter(|link| link.connected_for.is_some());
        let known: Vec<_> = links.filter_map(|link| Some((link.server, link.address?))).collect();
        drop(transport);
        for (server, address) in known {
            // One that doesn't answer, or is of a version without reports, keeps the last one.
            if let Ok(Answer::Report(report)) = host.ask(&address, &Request::Report, PATIENCE).await {
                host.reports.lock().insert(server, report);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What each of the others last said.
pub type Reports = BTreeMap<ServerId, Report>;
