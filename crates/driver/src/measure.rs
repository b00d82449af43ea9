//! The driver's numbers, by the names under which `/metrics` shows them.

use std::time::Duration;

use curia_consensus::Office;
use curia_consensus::ids::Csn;

use crate::standing::Examined;

/// Shows what counts rare events from the start on, so that it can be watched before the first.
pub(crate) fn begin() {
    let count_from_zero = |name: &'static str| metrics::counter!(name).increment(0);
    [
        "curia_commits_total",
        "curia_elections_won_total",
        "curia_log_truncations_total",
        "curia_messages_dropped_total",
        "curia_messages_refused_total",
        "curia_read_proofs_total",
        "curia_read_rounds_total",
        "curia_snapshot_sent_bytes_total",
        "curia_snapshots_installed_total",
        "curia_snapshots_sent_total",
        "curia_terms_seen_total",
    ]
    .into_iter()
    .for_each(count_from_zero);
}

/// A batch of so many records was written and synced in this time.
pub(crate) fn synced(records: usize, time: Duration) {
    metrics::counter!("curia_log_syncs_total").increment(1);
    metrics::counter!("curia_log_records_total").increment(records as u64);
    metrics::histogram!("curia_log_batch_records").record(records as f64);
    metrics::histogram!("curia_log_sync_seconds").record(time.as_secs_f64());
}

/// So many transactions were applied in this time, the last of them `applied`.
pub(crate) fn applied(transactions: u64, applied: Csn, resolved: Csn, time: Duration) {
    metrics::counter!("curia_commits_total").increment(transactions);
    metrics::gauge!("curia_applied_csn").set(applied.0 as f64);
    metrics::gauge!("curia_resolved_csn").set(resolved.0 as f64);
    metrics::histogram!("curia_apply_seconds").record(time.as_secs_f64());
}

/// The sessions of a batch were told, in this time.
pub(crate) fn answered(time: Duration) {
    metrics::histogram!("curia_answer_seconds").record(time.as_secs_f64());
}

/// This server's office changed.
pub(crate) fn office(office: Office) {
    let (term, serves) = match office {
        Office::Senator { term } => (term, 0.0),
        Office::Inaugurating { term } => {
            metrics::counter!("curia_elections_won_total").increment(1);
            (term, 0.0)
        }
        Office::Consul { term, .. } => (term, 1.0),
    };
    metrics::gauge!("curia_term").set(term.0 as f64);
    metrics::gauge!("curia_is_consul").set(serves);
}

/// How much waits: requests, messages and reports in their queues; commits, stage records and reads that nobody answered yet; and
/// bytes that are sequenced and not resolved, or resolved and not applied.
pub(crate) fn queues(waiting: [usize; 3], in_flight: [usize; 3], bytes: [u64; 2]) {
    for (queue, count) in ["requests", "messages", "reports"].into_iter().zip(waiting) {
        metrics::gauge!("curia_driver_queue", "queue" => queue).set(count as f64);
    }
    for (of, count) in ["commits", "stages", "reads"].into_iter().zip(in_flight) {
        metrics::gauge!("curia_in_flight", "of" => of).set(count as f64);
    }
    metrics::gauge!("curia_unresolved_bytes").set(bytes[0] as f64);
    metrics::gauge!("curia_applying_bytes").set(bytes[1] as f64);
}

/// How the cluster is. A consul knows how far the others are; where this server is not consul they show no lag.
pub(crate) fn cluster(examined: &Examined) {
    let serves = examined.standing.serving().is_some();
    for (server, roles) in examined
        .configuration
        .servers
        .iter()
        .filter(|(server, _)| *server != examined.server)
    {
        let logs = examined.groups.iter().map(|group| (&group.members, group.last));
        let logs = logs.chain([(&examined.senate.members, examined.senate.last)]);
        let lacks = logs.map(|(members, last)| {
            let has = members.iter().find(|(member, _)| member == server);
            has.map_or(0, |(_, index)| last.0.saturating_sub(index.0))
        });
        let entries = if serves { lacks.sum::<u64>() } else { 0 };
        metrics::gauge!("curia_replication_lag_entries", "peer" => server.to_string()).set(entries as f64);
        if roles.state {
            let applied = examined.heard.get(server).map_or(0, |heard| heard.applied.0);
            let behind = if serves { examined.resolved.0.saturating_sub(applied) } else { 0 };
            metrics::gauge!("curia_apply_lag_transactions", "peer" => server.to_string()).set(behind as f64);
        }
    }
    metrics::gauge!("curia_archived_csn").set(examined.snapshot_floor.0 as f64);
    metrics::gauge!("curia_durable_csn").set(examined.durable.0 as f64);
    metrics::gauge!("curia_feature_level").set(f64::from(examined.configuration.feature_level));
    metrics::counter!("curia_messages_refused_total").absolute(examined.refused);
}

/// So many statements asked together for proof that this server is the consul still.
pub(crate) fn proofs_asked(statements: usize) {
    metrics::counter!("curia_read_proofs_total").increment(statements as u64);
}

/// So many rounds to other servers left for reads alone.
pub(crate) fn read_rounds(count: u64) {
    metrics::counter!("curia_read_rounds_total").absolute(count);
}

/// This server came to a new term.
pub(crate) fn term_seen() {
    metrics::counter!("curia_terms_seen_total").increment(1);
}

/// This server took office, in this time.
pub(crate) fn inaugurated(time: Duration) {
    metrics::histogram!("curia_inauguration_seconds").record(time.as_secs_f64());
}

/// A piece of a group's snapshot went to another server; the last one, or not.
pub(crate) fn snapshot_sent(bytes: usize, whole: bool) {
    metrics::counter!("curia_snapshot_sent_bytes_total").increment(bytes as u64);
    metrics::counter!("curia_snapshots_sent_total").increment(u64::from(whole));
}

/// A group's snapshot is in the state.
pub(crate) fn snapshot_installed() {
    metrics::counter!("curia_snapshots_installed_total").increment(1);
}

/// A message from another server found no room.
pub(crate) fn dropped() {
    metrics::counter!("curia_messages_dropped_total").increment(1);
}

/// Size of the log on disk.
pub(crate) fn log_bytes(bytes: u64) {
    metrics::gauge!("curia_log_bytes").set(bytes as f64);
}

/// The state was made durable and the log truncated, in this time.
pub(crate) fn truncated(time: Duration) {
    metrics::counter!("curia_log_truncations_total").increment(1);
    metrics::histogram!("curia_state_flush_seconds").record(time.as_secs_f64());
}
