//! What a driver is told at its start.

use std::time::Duration;

use curia_consensus::Configuration;
use curia_consensus::ids::{ClusterId, ServerId};

/// What a server with an empty folder does. One that has a configuration stored goes by that.
#[derive(Clone, Debug, Default)]
pub enum Founding {
    /// It founds a cluster of itself.
    #[default]
    Alone,
    /// It founds a cluster with others, who are told exactly the same.
    Together(Configuration),
    /// It waits until the consul of the cluster adds it.
    Join,
}

/// Limits and identity of a driver.
#[derive(Clone, Debug)]
pub struct DriverOptions {
    /// This server.
    pub server: ServerId,
    /// Names the cluster that is founded, or joined, when nothing is stored.
    pub cluster: ClusterId,
    /// What happens when nothing is stored.
    pub founding: Founding,
    /// Worker groups of a cluster that is founded alone.
    pub groups: u32,
    /// A server that hears from no consul for between one and two of these seeks an election.
    pub election_timeout: Duration,
    /// Consuls answer strict reads under a lease, on the word that clocks differ by less than so many hundredths in speed.
    pub lease_drift_percent: Option<u8>,
    /// Messages from other servers that wait to be taken up; further ones are dropped and counted.
    pub messages_max: usize,
    /// Other servers are told within so long that more is committed; what goes to them anyway tells it sooner. Bounds what they lag.
    pub news_delay: Duration,
    /// The logs keep about so many bytes for members that lag, before they get snapshots.
    pub retained_bytes_max: u64,
    /// Requests that wait to be taken up. A caller that finds so many waits, on its thread.
    pub requests_max: usize,
    /// One log write takes at most so many requests.
    pub batch_requests_max: usize,
    /// One log write takes about so many bytes.
    pub batch_bytes_max: usize,
    /// Requests wait while so many bytes are sequenced and not applied.
    pub unresolved_bytes_max: u64,
    /// One atomic write to the state takes about so many bytes; larger transactions take several.
    pub apply_bytes_max: usize,
    /// At a start, payloads up to this many bytes are kept from the first reading of the log; the rest is read again.
    pub replay_bytes_max: usize,
    /// Once so many bytes were logged, the state is made durable and the log truncated. Bounds the time of a restart.
    pub log_bytes_max: u64,
    /// How often the node is told the time while it is alone; with others it is told several times a heartbeat.
    pub tick_interval: Duration,
    /// How often a full disk is tried again.
    pub full_disk_interval: Duration,
}

impl Default for DriverOptions {
    fn default() -> Self {
        Self {
            server: ServerId(1),
            cluster: ClusterId(1),
            founding: Founding::Alone,
            groups: 8,
            election_timeout: Duration::from_millis(500),
            lease_drift_percent: None,
            messages_max: 16 << 10,
            news_delay: Duration::from_millis(2),
            retained_bytes_max: 256 << 20,
            requests_max: 64 << 10,
            batch_requests_max: 4096,
            batch_bytes_max: 8 << 20,
            unresolved_bytes_max: 64 << 20,
            apply_bytes_max: 4 << 20,
            replay_bytes_max: 64 << 20,
            log_bytes_max: 128 << 20,
            tick_interval: Duration::from_millis(200),
            full_disk_interval: Duration::from_millis(100),
        }
    }
}
