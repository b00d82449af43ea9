//! The driver's numbers, by the names under which `/metrics` shows them.

use std::time::Duration;

use curia_consensus::Office;
use curia_consensus::ids::Csn;

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
