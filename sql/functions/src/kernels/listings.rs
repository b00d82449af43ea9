//! Functions of rows that the session or the tz database knows: `aclexplode`, `pg_listening_channels`, `pg_timezone_names`.

use super::macros::kernels;
use super::partitions::rows;
use crate::Kernel::Set;
use crate::{Context, Rows};
use curia_types::datetime::{self, Listed};
use curia_types::{Datum, Interval, Result};

/// `pg_proc.oid` of functions that reach the session under their own name.
const ACLEXPLODE: u32 = 1689;
const LISTENING_CHANNELS: u32 = 3035;

kernels! {
    "aclexplode" => Set(|cx, _, args| rows(cx, ACLEXPLODE, args));
    "pg_options_to_table" => Set(|_, _, args| options(args));
    "pg_listening_channels" => Set(|cx, _, args| rows(cx, LISTENING_CHANNELS, args));
    "pg_timezone_names" => Set(|cx, _, _| listed(cx, datetime::zone_names, true));
    "pg_timezone_abbrevs" => Set(|cx, _, _| listed(cx, datetime::zone_abbreviations, false));
}

/// Zones or abbreviations as rows, zones with the abbreviation in force.
fn listed(cx: &dyn Context, list: fn(i64) -> Vec<Listed>, zones: bool) -> Result<Rows> {
    let row = move |zone: Listed| {
        let mut row = vec![Datum::text(zone.name)];
        if zones {
            row.push(Datum::text(zone.abbreviation));
        }
        row.push(Datum::Interval(Interval {
            months: 0,
            days: 0,
            micros: i64::from(zone.seconds) * datetime::SECOND,
        }));
        row.push(Datum::Bool(zone.daylight));
        Ok(row)
    };
    Ok(Box::new(list(cx.statement_timestamp()).into_iter().map(row)))
}

/// `name=value` texts as names and values.
fn options(args: &[Datum]) -> Result<Rows> {
    let Some(Datum::Array(options)) = args.first() else {
        return Ok(Box::new(std::iter::empty()));
    };
    let row = |option: &Datum| match option {
        Datum::Text(option) => match option.split_once('=') {
            Some((name, value)) => vec![Datum::text(name), Datum::text(value)],
            None => vec![Datum::text(option), Datum::Null],
        },
        _ => vec![Datum::Null, Datum::Null],
    };
    let rows: Vec<Vec<Datum>> = options.elements.iter().map(row).collect();
    Ok(Box::new(rows.into_iter().map(Ok)))
}
