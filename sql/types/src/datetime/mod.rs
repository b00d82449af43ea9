//! Dates, times and intervals: calendar arithmetic, text forms, time zones, as PostgreSQL 15 has them.
//!
//! Values are those of [`crate::Datum`]: days or microseconds since 2000-01-01 in the proleptic Gregorian calendar, year 4714 BC to
//! 294276 AD (dates to 5874897), MAX and MIN for infinity and -infinity.

mod abbreviations;
mod arithmetic;
mod calendar;
mod fields;
mod format;
mod interval_iso;
mod interval_text;
mod listing;
mod parse;
mod span;
mod timetz;
mod zone;

pub use arithmetic::*;
pub use calendar::{
    Civil, DAY, HOUR, MAX_TIMESTAMP, MIN_TIMESTAMP, MINUTE, SECOND, check_date, check_time, check_timestamp, civil_of, days_from_civil,
    days_in_month, is_leap, julian_day, split_timestamp, weekday,
};
pub use fields::*;
pub use format::{format_date, format_time, format_timestamp, format_timestamptz};
pub use interval_text::{format_interval, interval_fields_name, parse_interval};
pub use listing::{Listed, zone_abbreviations, zone_names};
pub use parse::{parse_date, parse_time, parse_timestamp, parse_timestamptz, parse_timetz};
pub use span::*;
pub use timetz::{TimeTz, format_timetz};
pub use zone::{LocalOffset, Zone};
