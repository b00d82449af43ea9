//! time with time zone.

use super::dates::{interval_zone, overlaps, zone};
use super::macros::{Date, Time, Timestamptz, contextual, kernels, pure};
use crate::Context;
use curia_types::datetime::{self as dt, Field, TimeTz, Zone};
use curia_types::{Datum, Interval, Numeric, Result};
use std::cmp::Ordering;

fn put(t: TimeTz) -> Result<Datum> {
    Ok(Datum::Timetz(t))
}
fn order(o: Ordering) -> i32 {
    o as i32
}
/// A zone's distance now: what a time without date goes by.
fn west_now(cx: &dyn Context, zone: &Zone) -> i32 {
    -zone.seconds_at(cx.transaction_timestamp())
}
fn instant(d: i32, t: TimeTz) -> Result<Datum> {
    Ok(Datum::Timestamptz(match dt::date_to_timestamp(d)? {
        infinite if dt::is_infinite(infinite) => infinite,
        midnight => dt::check_timestamp(midnight + t.utc_micros())?,
    }))
}
fn extract(unit: &str, t: TimeTz) -> Result<Option<Numeric>> {
    let name = "time with time zone";
    let east = -i64::from(t.west);
    Ok(Some(match Field::named(unit).ok_or_else(|| dt::unknown_unit(unit, name))? {
        Field::Timezone => Numeric::from(east),
        Field::TimezoneHour => Numeric::from(east / 3600),
        Field::TimezoneMinute => Numeric::from(east / 60 % 60),
        Field::Epoch => Numeric::from_i128(i128::from(t.utc_micros()), 6),
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour => return dt::time_field(unit, t.micros),
        _ => return Err(dt::unsupported_unit(unit, name)),
    }))
}
fn of_instant(cx: &dyn Context, t: i64) -> Result<Datum> {
    if dt::is_infinite(t) {
        return Ok(Datum::Null);
    }
    let zone = cx.time_zone();
    let local = dt::to_timestamp(t, zone)?;
    put(TimeTz {
        micros: local.rem_euclid(dt::DAY),
        west: -zone.seconds_at(t),
    })
}

kernels! {
    "timetz_eq" = pure!(|a: TimeTz, b: TimeTz| -> Bool a == b);
    "timetz_ne" = pure!(|a: TimeTz, b: TimeTz| -> Bool a != b);
    "timetz_lt" = pure!(|a: TimeTz, b: TimeTz| -> Bool a < b);
    "timetz_le" = pure!(|a: TimeTz, b: TimeTz| -> Bool a <= b);
    "timetz_gt" = pure!(|a: TimeTz, b: TimeTz| -> Bool a > b);
    "timetz_ge" = pure!(|a: TimeTz, b: TimeTz| -> Bool a >= b);
    "timetz_cmp" = pure!(|a: TimeTz, b: TimeTz| -> Int4 order(a.cmp(&b)));
    "timetz_larger" = pure!(|a: TimeTz, b: TimeTz| -> Timetz a.max(b));
    "timetz_smaller" = pure!(|a: TimeTz, b: TimeTz| -> Timetz a.min(b));
    "timetz_scale" = pure!(|t: TimeTz, typmod: i32| -> Timetz TimeTz { micros: dt::round_time(t.micros, typmod), west: t.west });
    "timetz_pl_interval" = pure!(|t: TimeTz, i: Interval| -> Timetz t.turned(i.micros));
    "timetz_mi_interval" = pure!(|t: TimeTz, i: Interval| -> Timetz t.turned(-(i.micros % dt::DAY)));
    "interval_pl_timetz(interval,time with time zone)" = pure!(|i: Interval, t: TimeTz| -> Timetz t.turned(i.micros));
    "datetimetz_timestamptz" => pure!(|d: Date, t: TimeTz| ? instant(d.0, t));
    "timetzdate_pl(time with time zone,date)" => pure!(|t: TimeTz, d: Date| ? instant(d.0, t));
    "timetz_time" = pure!(|t: TimeTz| -> Time t.micros);
    "time_timetz" = contextual!(|cx, t: Time| ? put(TimeTz { micros: t.0, west: west_now(cx, cx.time_zone()) }));
    "timestamptz_timetz" => contextual!(|cx, t: Timestamptz| ? of_instant(cx, t.0));
    "timetz_zone" => contextual!(|cx, z: &str, t: TimeTz| ? put(t.at_west(west_now(cx, &zone(z)?))));
    "timetz_izone" => contextual!(|cx, z: Interval, t: TimeTz| ? put(t.at_west(west_now(cx, &interval_zone(z)?))));
    "extract_timetz" => pure!(|u: &str, t: TimeTz| ? Ok(extract(u, t)?.map_or(Datum::Null, Datum::Numeric)));
    "timetz_part" => pure!(|u: &str, t: TimeTz| ? Ok(extract(u, t)?.map_or(Datum::Null, |n| Datum::Float8(n.to_f64_lossy()))));
    "overlaps_timetz" = pure!(|a: Option<TimeTz>, b: Option<TimeTz>, c: Option<TimeTz>, d: Option<TimeTz>| ? Ok(overlaps(a, b, c, d)));
}
