//! Time zones over the tz database: offsets of instants and of local times, as PostgreSQL reads them.

use super::abbreviations::{self, Abbreviation};
use super::calendar::{DAY, SECOND, civil_of, days_from_civil};
use crate::{Result, SqlError, SqlState};
use jiff::tz::TimeZone;

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_EPOCH: i64 = 946_684_800;

/// A session time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(pub TimeZone);

/// The offset in force at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOffset {
    /// Seconds east of UTC.
    pub seconds: i32,
    /// Abbreviation, as `PST`; `<+03>`-like zones give `+03`.
    pub abbreviation: String,
    /// Daylight saving time.
    pub daylight: bool,
}

/// `+02:00`, `-4:30:15`: seconds, when it is nothing but that.
fn hours_and_minutes(text: &str) -> Option<i32> {
    let negative = text.starts_with('-');
    let parts: Vec<&str> = text.trim_start_matches(['+', '-']).split(':').collect();
    if !(2..=3).contains(&parts.len()) || text.len() > 10 {
        return None;
    }
    let mut seconds = 0;
    for (i, part) in parts.iter().enumerate() {
        let v: i32 = part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()))?;
        if v > if i == 0 { 24 } else { 59 } {
            return None;
        }
        seconds += v * [3600, 60, 1][i];
    }
    Some(if negative { -seconds } else { seconds })
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// A zone at a fixed offset, seconds east of UTC.
    pub fn fixed(seconds: i32) -> Option<Zone> {
        jiff::tz::Offset::from_seconds(seconds).ok().map(|o| Zone(TimeZone::fixed(o)))
    }

    /// A zone by IANA name, abbreviation or POSIX text (`EST5EDT`, `<+02>-02`); `None` when unknown. Numbers are [`Zone::from_setting`]'s.
    pub fn named(name: &str) -> Option<Zone> {
        if name.eq_ignore_ascii_case("utc")
            || name.eq_ignore_ascii_case("gmt")
            || name.eq_ignore_ascii_case("z")
            || name.eq_ignore_ascii_case("zulu")
        {
            return Some(Zone::utc());
        }
        if name.is_empty() || name.len() > 255 || name.contains("..") || name.starts_with('/') {
            return None;
        }
        if let Ok(tz) = TimeZone::get(name) {
            return Some(Zone(tz));
        }
        match abbreviations::find(name) {
            Some(Abbreviation::Fixed { seconds, .. }) => return Zone::fixed(seconds),
            Some(Abbreviation::Zone(zone)) => return TimeZone::get(zone).ok().map(Zone),
            None => {}
        }
        if let Some(seconds) = hours_and_minutes(name) {
            return Zone::fixed(-seconds); // POSIX: positive is west
        }
        posix(name).map(Zone)
    }

    /// The zone of a function's text argument: a name, or a signed number in ISO's sense, positive being east. 22023.
    pub fn of_argument(text: &str) -> Result<Zone> {
        let invalid = |m: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, m);
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(invalid(format!("invalid input syntax for type numeric time zone: \"{text}\""))
                .hint("Numeric time zones must have \"-\" or \"+\" as first character."));
        }
        let unknown = || invalid(format!("time zone \"{text}\" not recognized"));
        if !text.starts_with(['+', '-']) {
            return Zone::named(text).ok_or_else(unknown);
        }
        let out_of_range = || invalid(format!("numeric time zone \"{text}\" out of range"));
        let mut parts = text[1..].splitn(3, ':');
        let mut next = |missing: Option<i64>| match parts.next() {
            None => missing.ok_or_else(unknown),
            Some("") if missing.is_some() => Ok(0),
            Some(p) if !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) => p.parse::<i64>().map_err(|_| out_of_range()),
            Some(_) => Err(unknown()),
        };
        let (mut hours, mut minutes) = (next(None)?, next(Some(0))?);
        let seconds = next(Some(0))?;
        if !text.contains(':') && text.len() > 3 {
            (hours, minutes) = (hours / 100, hours % 100);
        }
        if hours > 15 || minutes > 59 || seconds > 59 {
            return Err(out_of_range());
        }
        let seconds = (hours * 3600 + minutes * 60 + seconds) as i32;
        Zone::fixed(if text.starts_with('-') { -seconds } else { seconds }).ok_or_else(out_of_range)
    }

    /// What `SET TIME ZONE` accepts: a name, or hours east of UTC. 22023 otherwise.
    pub fn from_setting(text: &str) -> Result<Zone> {
        let t = text.trim();
        if let Ok(hours) = t.parse::<f64>()
            && hours.abs() < 168.0
            && let Some(zone) = Zone::fixed((hours * 3600.0) as i32)
        {
            return Ok(zone);
        }
        Zone::named(t).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"TimeZone\": \"{text}\""),
            )
        })
    }

    /// The offset in force at a timestamptz.
    pub fn offset_at(&self, t: i64) -> LocalOffset {
        let info = self.0.to_offset_info(instant(t));
        LocalOffset {
            seconds: info.offset().seconds(),
            abbreviation: info.abbreviation().to_owned(),
            daylight: info.dst().is_dst(),
        }
    }

    /// Seconds east of UTC at a timestamptz.
    pub fn seconds_at(&self, t: i64) -> i32 {
        if self.0 == TimeZone::UTC {
            0
        } else {
            self.0.to_offset(instant(t)).seconds()
        }
    }

    /// Seconds east of UTC for a local time (microseconds since 2000-01-01 00:00 local). In a gap the offset before it holds, in an
    /// overlap standard time (the later reading), as `DetermineTimeZoneOffset` decides.
    pub fn seconds_for_local(&self, local: i64) -> i32 {
        if self.0 == TimeZone::UTC {
            return 0;
        }
        // Look a day to both sides: the offsets before and after any one transition near this local time.
        let before = self.seconds_at(local.saturating_sub(DAY));
        let after = self.seconds_at(local.saturating_add(DAY));
        if before == after {
            let guess = self.seconds_at(local.saturating_sub(i64::from(before) * SECOND));
            if guess == before {
                return before;
            }
        }
        // The reading is valid where the instant it denotes has the offset assumed.
        let holds = |s: i32| self.seconds_at(local.saturating_sub(i64::from(s) * SECOND)) == s;
        match (holds(before), holds(after)) {
            (true, false) => before,
            (false, true) => after,
            // Overlap: both hold; standard time is the offset after.
            (true, true) => after,
            // Gap: neither holds; the offset before, so that the time moves forward.
            (false, false) => before,
        }
    }

    /// A local time as an instant.
    pub fn to_instant(&self, local: i64) -> i64 {
        local.saturating_sub(i64::from(self.seconds_for_local(local)) * SECOND)
    }

    /// An instant as a local time.
    pub fn to_local(&self, t: i64) -> i64 {
        t.saturating_add(i64::from(self.seconds_at(t)) * SECOND)
    }
}

/// PostgreSQL's POSIX zones: an abbreviation and an offset, west positive; jiff reads the same text.
fn posix(name: &str) -> Option<TimeZone> {
    let starts = name.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'<');
    if !starts {
        return None;
    }
    if let Ok(tz) = TimeZone::posix(name) {
        return Some(tz);
    }
    // Without a DST rule PostgreSQL takes the American one.
    TimeZone::posix(&format!("{name},M3.2.0,M11.1.0")).ok()
}

/// The instant as jiff knows it; years past 9999 map to an equivalent year of the 400-year cycle.
fn instant(t: i64) -> jiff::Timestamp {
    const LAST: i64 = 250_000_000_000; // 9892 AD in Unix seconds
    let mut seconds = t.div_euclid(SECOND).saturating_add(UNIX_EPOCH);
    if seconds > LAST {
        let (y, m, d) = civil_of(t.div_euclid(DAY));
        let year = 9000 + y.rem_euclid(400);
        seconds = days_from_civil(year, m, d) * 86_400 + t.rem_euclid(DAY) / SECOND + UNIX_EPOCH;
    }
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MIN)
}
