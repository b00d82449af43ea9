//! Date and time: calendar arithmetic, text forms, time zones.

/// A session time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(pub jiff::tz::TimeZone);
