//! What is said of bad input, and how often: the first few in each minute get a line each, the rest one line together.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const PERIOD: Duration = Duration::from_secs(60);
const LINES: u32 = 10;

/// Counts lines.
#[derive(Debug, Default)]
pub(crate) struct Clamor(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Clamor {
    /// Warns of it, unless enough was said.
    pub(crate) fn warn(&self, line: &dyn fmt::Display) {
        if let Some(unsaid) = self.turn(Instant::now()) {
            if unsaid > 0 {
                tracing::warn!("{unsaid} more refused connections at the peer port");
            }
            tracing::warn!("{line}");
        }
    }

    /// Whether there is a line left, and how many were swallowed before it.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            (state.since, state.said) = (Some(now), 0);
        }
        if state.said == LINES {
            state.unsaid += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_a_few_lines_a_minute_and_is_counted() {
        let clamor = Clamor::default();
        let start = Instant::now();
        let said = (0..100).filter(|_| clamor.turn(start).is_some()).count();
        assert_eq!(said, LINES as usize);
        assert_eq!(clamor.turn(start + PERIOD), Some(100 - u64::from(LINES)));
        assert_eq!(clamor.turn(start + PERIOD), Some(0));
    }
}
