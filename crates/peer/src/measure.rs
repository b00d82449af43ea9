//! Counts of one peer, kept for [`crate::LinkStatus`] and told to Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use curia_consensus::ServerId;
use metrics::{Counter, Gauge, counter, gauge};

use crate::lanes::{LANES, NAMES};

/// A counter with two readers.
pub(crate) struct Count {
    value: AtomicU64,
    told: Counter,
}

impl Count {
    fn new(told: Counter) -> Self {
        Self {
            value: AtomicU64::new(0),
            told,
        }
    }

    pub(crate) fn add(&self, by: u64) {
        if by > 0 {
            self.value.fetch_add(by, Ordering::Relaxed);
            self.told.increment(by);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

pub(crate) struct Counts {
    pub(crate) sent_bytes: Count,
    pub(crate) sent_frames: Count,
    pub(crate) received_bytes: Count,
    pub(crate) received_messages: Count,
    pub(crate) connections: Count,
    pub(crate) dropped: [Count; LANES],
    pub(crate) waiting_bytes: [Gauge; LANES],
    pub(crate) connected: Gauge,
    pub(crate) round_trip: Gauge,
}

impl Counts {
    pub(crate) fn of(server: ServerId) -> Self {
        let peer = || server.to_string();
        Self {
            sent_bytes: Count::new(counter!("curia_peer_sent_bytes_total", "peer" => peer())),
            sent_frames: Count::new(counter!("curia_peer_sent_frames_total", "peer" => peer())),
            received_bytes: Count::new(counter!("curia_peer_received_bytes_total", "peer" => peer())),
            received_messages: Count::new(counter!("curia_peer_received_messages_total", "peer" => peer())),
            connections: Count::new(counter!("curia_peer_connections_total", "peer" => peer())),
            dropped: NAMES.map(|lane| Count::new(counter!("curia_peer_dropped_messages_total", "peer" => peer(), "lane" => lane))),
            waiting_bytes: NAMES.map(|lane| gauge!("curia_peer_waiting_bytes", "peer" => peer(), "lane" => lane)),
            connected: gauge!("curia_peer_connected", "peer" => peer()),
            round_trip: gauge!("curia_peer_round_trip_seconds", "peer" => peer()),
        }
    }
}
