//! `pg_timezone_names` and `pg_timezone_abbrevs`.

use super::{Rows, flag, text};
use crate::exec::Exec;
use curia_types::{Datum, Interval, datetime};

/// Adds the rows of one of these views; false for another one.
pub(super) fn produce(view: &str, exec: &Exec, out: &mut Rows) -> bool {
    let at = exec.context.statement_timestamp();
    let (key, listed) = match view {
        "pg_timezone_names" => ("name", datetime::zone_names(at)),
        "pg_timezone_abbrevs" => ("abbrev", datetime::zone_abbreviations(at)),
        _ => return false,
    };
    for zone in listed {
        let offset = Interval {
            months: 0,
            days: 0,
            micros: i64::from(zone.seconds) * datetime::SECOND,
        };
        let mut row = vec![
            (key, text(zone.name)),
            ("utc_offset", Datum::Interval(offset)),
            ("is_dst", flag(zone.daylight)),
        ];
        if key == "name" {
            row.push(("abbrev", text(zone.abbreviation)));
        }
        out.add(&row);
    }
    true
}
