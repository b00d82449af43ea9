//! The web console: health, metrics and a status page, over plain HTTP on its own port.
//!
//! | path | answers |
//! | --- | --- |
//! | `/healthz` | the stage the server is in; 200 when it serves SQL, 503 otherwise |
//! | `/healthz/live` | 200 as long as the process answers at all |
//! | `/healthz/ready` | 200 when it serves SQL, 503 while it starts or drains |
//! | `/metrics` | every counter, gauge and histogram in Prometheus' text format |
//! | `/` | a small page for people |
//!
//! The console starts before recovery and stops after the last session, so that a probe can tell a server that replays
//! its log from one that hangs. It knows nothing of SQL: others record metrics through the `metrics` facade and move the
//! [`Health`] along. There is no password here, which is why the server keeps this port on loopback unless told otherwise.

mod health;
mod http;
mod listener;
mod page;
mod process;

pub use health::{Health, Stage};
pub use http::{ServerFacts, serve};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bucket bounds, in seconds, of every histogram whose name ends in `_seconds`: from a cached point read to a slow query.
const SECONDS: [f64; 16] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0,
];

/// Bucket bounds of every other histogram: batch and row counts, in powers of two.
const COUNTS: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0];

/// Installs the process-wide metrics recorder. Call it once, before anything records: what was recorded earlier is lost.
///
/// # Errors
/// When a recorder is installed already.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(&COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
}
