//! time with time zone: a time of day with a fixed distance from UTC.

use super::{DAY, HOUR, MINUTE, SECOND, format_time};
use std::cmp::Ordering;

/// A time of day and its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TimeTz {
    /// Microseconds since midnight, 0..=86_400_000_000.
    pub micros: i64,
    /// Seconds west of UTC, as PostgreSQL stores them.
    pub west: i32,
}

/// Largest distance from UTC, exclusive: TZDISP_LIMIT.
const WEST_LIMIT: i32 = 16 * 3600;

impl TimeTz {
    /// Microseconds since midnight in UTC; may be below 0 or above a day.
    pub fn utc_micros(self) -> i64 {
        self.micros + i64::from(self.west) * SECOND
    }

    /// Checks what came from a wire: 22008 and 22009.
    pub fn check(self) -> crate::Result<TimeTz> {
        super::check_time(self.micros)?;
        if self.west.abs() >= WEST_LIMIT {
            return Err(crate::SqlError::new(
                crate::SqlState::new("22009"),
                "time zone displacement out of range",
            ));
        }
        Ok(self)
    }

    /// Moved by microseconds, around the clock.
    pub fn turned(self, micros: i64) -> TimeTz {
        TimeTz {
            micros: (self.micros + micros % DAY).rem_euclid(DAY),
            west: self.west,
        }
    }

    /// The same moment at another distance from UTC.
    pub fn at_west(self, west: i32) -> TimeTz {
        TimeTz {
            micros: (self.utc_micros() - i64::from(west) * SECOND).rem_euclid(DAY),
            west,
        }
    }
}

/// By the moment in UTC, then by the zone (`timetz_cmp_internal`).
impl Ord for TimeTz {
    fn cmp(&self, other: &TimeTz) -> Ordering {
        self.utc_micros().cmp(&other.utc_micros()).then(self.west.cmp(&other.west))
    }
}
impl PartialOrd for TimeTz {
    fn partial_cmp(&self, other: &TimeTz) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Appends a time with its zone: `15:36:39-08`, `15:36:39+05:30`.
pub fn format_timetz(t: TimeTz, out: &mut Vec<u8>) {
    format_time(t.micros, out);
    out.push(if t.west <= 0 { b'+' } else { b'-' });
    let seconds = i64::from(t.west.unsigned_abs());
    let (hours, minutes, rest) = (seconds * SECOND / HOUR, seconds * SECOND % HOUR / MINUTE, seconds % 60);
    out.extend_from_slice(format!("{hours:02}").as_bytes());
    if minutes != 0 || rest != 0 {
        out.extend_from_slice(format!(":{minutes:02}").as_bytes());
    }
    if rest != 0 {
        out.extend_from_slice(format!(":{rest:02}").as_bytes());
    }
}
