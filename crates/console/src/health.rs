//! [`Health`]: which stage of its life the server is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A stage of the server's life. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Opens its folder, replays its logs.
    Starting,
    /// Serves SQL.
    Ready,
    /// Asked to stop: accepts nobody, waits for sessions to end.
    Draining,
}

impl Stage {
    /// The word that health checks and the page show.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Starting => "starting",
            Stage::Ready => "ready",
            Stage::Draining => "draining",
        }
    }
}

/// The current [`Stage`], shared between the server, which moves it, and the console, which shows it.
#[derive(Clone, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// Moves on to `stage`; a stage that lies behind already changes nothing.
    pub fn advance(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::AcqRel);
    }

    /// The stage now.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Draining,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draining_server_never_becomes_ready_again() {
        let health = Health::default();
        assert_eq!(health.stage(), Stage::Starting);
        health.advance(Stage::Draining);
        health.advance(Stage::Ready);
        assert_eq!(health.stage(), Stage::Draining);
    }
}
