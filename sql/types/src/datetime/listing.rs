//! Time zones and abbreviations to list: `pg_timezone_names`, `pg_timezone_abbrevs`.

use super::abbreviations::{self, Abbreviation};
use super::zone::Zone;

/// Abbreviations of daylight saving time among those with an offset of their own, in order.
const DAYLIGHT: [&str; 52] = [
    "acdt", "acsst", "adt", "aedt", "aesst", "akdt", "almst", "awsst", "azost", "bdst", "brst", "bst", "cadt", "cdt", "cest", "cetdst",
    "chadt", "clst", "clt", "easst", "east", "edt", "eest", "eetdst", "egst", "fjst", "fnst", "idt", "kdt", "kgst", "lhdt", "mdt", "mest",
    "mesz", "metdst", "msd", "must", "ndt", "nzdt", "pdt", "pkst", "pmdt", "pyst", "sadt", "ulast", "uyst", "uzst", "wadt", "wdt",
    "wetdst", "wgst", "yekst",
];

/// A zone or abbreviation at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The abbreviation in force.
    pub abbreviation: String,
    /// Seconds east of UTC.
    pub seconds: i32,
    /// Whether that is daylight saving time.
    pub daylight: bool,
}

/// Zones of the tz database at a moment, microseconds since 2000-01-01 UTC.
pub fn zone_names(at: i64) -> Vec<Listed> {
    let names = jiff::tz::db().available();
    names
        .filter_map(|name| {
            let offset = Zone::named(name.as_str())?.offset_at(at);
            Some(Listed {
                name: name.as_str().to_owned(),
                abbreviation: offset.abbreviation,
                seconds: offset.seconds,
                daylight: offset.daylight,
            })
        })
        .collect()
}

/// Abbreviations that a time may be written with, at a moment.
pub fn zone_abbreviations(at: i64) -> Vec<Listed> {
    let listed = |(name, meaning): &(&str, Abbreviation)| {
        let (seconds, daylight) = match meaning {
            Abbreviation::Fixed { seconds } => (*seconds, DAYLIGHT.contains(name)),
            Abbreviation::Zone(zone) => {
                let offset = Zone::named(zone)?.offset_at(at);
                (offset.seconds, offset.daylight)
            }
        };
        Some(Listed {
            name: name.to_ascii_uppercase(),
            abbreviation: name.to_ascii_uppercase(),
            seconds,
            daylight,
        })
    };
    abbreviations::all().iter().filter_map(listed).collect()
}
