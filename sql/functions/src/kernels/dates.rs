//! Dates, times, timestamps and intervals: arithmetic, fields, construction, zones.

use super::macros::{Date, Time, Timestamp, Timestamptz, contextual, kernels, pure};
use crate::Context;
use curia_types::datetime::{self as dt, Field, Zone};
use curia_types::{Datum, Interval, Numeric, Result, SqlError, SqlState};

fn ts(r: Result<i64>) -> Result<Datum> {
    r.map(Datum::Timestamp)
}
fn tz(r: Result<i64>) -> Result<Datum> {
    r.map(Datum::Timestamptz)
}
fn iv(r: Result<Interval>) -> Result<Datum> {
    r.map(Datum::Interval)
}
fn field(r: Result<Option<Numeric>>) -> Result<Datum> {
    Ok(r?.map_or(Datum::Null, Datum::Numeric))
}
fn part(r: Result<Option<Numeric>>) -> Result<Datum> {
    Ok(r?.map_or(Datum::Null, |n| Datum::Float8(n.to_f64_lossy())))
}
/// The field of a `date_trunc`.
fn unit(name: &str, type_name: &str) -> Result<Field> {
    Field::named(name)
        .filter(|f| f.truncates())
        .ok_or_else(|| dt::unknown_unit(name, type_name))
}
/// Infinity is itself whatever is asked of it.
fn unless_infinite(t: i64, then: impl FnOnce() -> Result<i64>) -> Result<i64> {
    if dt::is_infinite(t) { Ok(t) } else { then() }
}
pub(super) fn zone(name: &str) -> Result<Zone> {
    let unknown = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"));
    // A number in text is POSIX: positive is west.
    if let Ok(hours) = name.trim().parse::<f64>() {
        return Zone::fixed((-hours * 3600.0) as i32).ok_or_else(unknown);
    }
    Zone::named(name).ok_or_else(unknown)
}
pub(super) fn interval_zone(i: Interval) -> Result<Zone> {
    if i.months != 0 || i.days != 0 {
        let text = curia_types::text_io::to_string(
            curia_types::PgType::INTERVAL,
            &Datum::Interval(i),
            &curia_types::IoContext::default(),
        );
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("interval time zone \"{text}\" must not include months or days"),
        ));
    }
    Zone::fixed((i.micros / dt::SECOND) as i32).ok_or_else(dt_range)
}
fn dt_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}
fn finite_time(t: i64) -> Datum {
    if dt::is_infinite(t) {
        Datum::Null
    } else {
        Datum::Time(t.rem_euclid(dt::DAY))
    }
}
/// Time of day moves around the clock.
fn turn(t: i64, by: i64) -> Datum {
    Datum::Time((t + by % dt::DAY).rem_euclid(dt::DAY))
}

fn to_timestamp(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN });
    }
    let mut shown = Vec::new();
    curia_types::float::write_f64(seconds, 0, &mut shown);
    let bad = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("timestamp out of range: \"{}\"", String::from_utf8_lossy(&shown)),
        )
    };
    if !(-210_866_803_200.0..9_224_318_016_000.0).contains(&seconds) {
        return Err(bad());
    }
    let micros = ((seconds - 946_684_800.0) * 1e6).round_ties_even() as i64;
    dt::check_timestamp(micros).map_err(|_| bad())
}

fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<i64> {
    let d = dt::make_date(year, month, day).map_err(|_| {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    })?;
    let t = dt::make_time(hour, minute, second)?;
    dt::check_timestamp(i64::from(d) * dt::DAY + t).map_err(|_| {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{second}"),
        )
    })
}

fn make_interval(v: [i32; 6], seconds: f64) -> Result<Interval> {
    let bad = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range");
    if !seconds.is_finite() {
        return Err(bad());
    }
    let [years, months, weeks, days, hours, minutes] = v.map(i64::from);
    let micros = hours * dt::HOUR + minutes * dt::MINUTE;
    Ok(Interval {
        months: i32::try_from(years * 12 + months).map_err(|_| bad())?,
        days: i32::try_from(weeks * 7 + days).map_err(|_| bad())?,
        micros: micros.checked_add((seconds * 1e6).round_ties_even() as i64).ok_or_else(bad)?,
    })
}

fn bin(stride: Interval, t: i64, origin: i64) -> Result<i64> {
    if dt::is_infinite(t) {
        return Ok(t);
    }
    if dt::is_infinite(origin) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "origin out of range"));
    }
    if stride.months != 0 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let long = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range");
    let days = i64::from(stride.days).checked_mul(dt::DAY).ok_or_else(long)?;
    let step = days.checked_add(stride.micros).ok_or_else(long)?;
    if step <= 0 {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "stride must be greater than zero"));
    }
    let diff = t.checked_sub(origin).ok_or_else(long)?;
    origin
        .checked_add(diff.div_euclid(step).checked_mul(step).ok_or_else(dt_range)?)
        .ok_or_else(dt_range)
        .and_then(|t| dt::check_timestamp(t).map_err(|_| dt_range()))
}

/// The end of a span that starts somewhere and lasts for an interval.
fn after(start: Option<i64>, length: Option<Interval>, add: impl Fn(i64, Interval) -> Result<i64>) -> Result<Option<i64>> {
    match (start, length) {
        (Some(start), Some(length)) => add(start, length).map(Some),
        _ => Ok(None),
    }
}

/// SQL's OVERLAPS with its NULL rules; an end may be before its start.
pub(super) fn overlaps<T: Ord + Copy>(s1: Option<T>, e1: Option<T>, s2: Option<T>, e2: Option<T>) -> Datum {
    fn order<T: Ord + Copy>(s: Option<T>, e: Option<T>) -> Option<(T, Option<T>)> {
        match (s, e) {
            (None, None) => None,
            (None, Some(e)) => Some((e, None)),
            (Some(s), None) => Some((s, None)),
            (Some(s), Some(e)) => Some((s.min(e), Some(s.max(e)))),
        }
    }
    let (Some((s1, e1)), Some((s2, e2))) = (order(s1, e1), order(s2, e2)) else {
        return Datum::Null;
    };
    let known = |b: bool, complete: bool| {
        if b {
            Datum::Bool(true)
        } else if complete {
            Datum::Bool(false)
        } else {
            Datum::Null
        }
    };
    match s1.cmp(&s2) {
        std::cmp::Ordering::Greater => match e2 {
            None => Datum::Null,
            Some(e2) if s1 < e2 => Datum::Bool(true),
            Some(_) => known(false, e1.is_some()),
        },
        std::cmp::Ordering::Less => match e1 {
            None => Datum::Null,
            Some(e1) if s2 < e1 => Datum::Bool(true),
            Some(_) => known(false, e2.is_some()),
        },
        std::cmp::Ordering::Equal => known(e1.is_some() && e2.is_some(), false),
    }
}

fn date_plus(d: i32, i: Interval) -> Result<Datum> {
    ts(dt::timestamp_add(dt::date_to_timestamp(d)?, i))
}

/// `timeofday()`: Wed Feb 26 13:36:25.123456 2020 UTC
fn time_of_day(cx: &dyn Context) -> String {
    let now = now_micros();
    let local = cx.time_zone().to_local(now);
    let c = dt::split_timestamp(local);
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!(
        "{} {} {:02} {:02}:{:02}:{:02}.{:06} {} {}",
        DAYS[dt::weekday(local.div_euclid(dt::DAY)) as usize],
        MONTHS[(c.month - 1) as usize],
        c.day,
        c.micros / dt::HOUR,
        c.micros / dt::MINUTE % 60,
        c.micros / dt::SECOND % 60,
        c.micros % dt::SECOND,
        c.year,
        cx.time_zone().offset_at(now).abbreviation
    )
}

/// The wall clock, microseconds since 2000-01-01 UTC.
fn now_micros() -> i64 {
    let unix = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    unix.as_micros() as i64 - curia_types::arrow_map::EPOCH_MICROS
}

fn today(cx: &dyn Context) -> i64 {
    let local = cx.time_zone().to_local(cx.transaction_timestamp());
    local.div_euclid(dt::DAY) * dt::DAY
}

kernels! {
    "now" = contextual!(|cx| ? Ok(Datum::Timestamptz(cx.transaction_timestamp())));
    "statement_timestamp" = contextual!(|cx| ? Ok(Datum::Timestamptz(cx.statement_timestamp())));
    "clock_timestamp" = pure!(| | -> Timestamptz now_micros());
    "timeofday" = contextual!(|cx| ? Ok(Datum::text(time_of_day(cx))));

    "date_pli" => pure!(|d: Date, n: i32| ? dt::date_add(d.0, n).map(Datum::Date));
    "date_mii" => pure!(|d: Date, n: i32| ? n.checked_neg().ok_or_else(dt_date).and_then(|n| dt::date_add(d.0, n)).map(Datum::Date));
    "integer_pl_date(integer,date)" => pure!(|n: i32, d: Date| ? dt::date_add(d.0, n).map(Datum::Date));
    "date_mi" => pure!(|a: Date, b: Date| ? dt::date_sub(a.0, b.0).map(Datum::Int4));
    "date_pl_interval" => pure!(|d: Date, i: Interval| ? date_plus(d.0, i));
    "date_mi_interval" => pure!(|d: Date, i: Interval| ? date_plus(d.0, dt::interval_neg(i)?));
    "interval_pl_date(interval,date)" => pure!(|i: Interval, d: Date| ? date_plus(d.0, i));
    "timestamptz(date,time without time zone)" => contextual!(|cx, d: Date, t: Time| ? match dt::date_to_timestamp(d.0)? { x if dt::is_infinite(x) => tz(Ok(x)), x => tz(dt::to_timestamptz(dt::check_timestamp(x + t.0)?, cx.time_zone())) });
    "datetime_timestamp" => pure!(|d: Date, t: Time| ? match dt::date_to_timestamp(d.0)? { x if dt::is_infinite(x) => ts(Ok(x)), x => ts(dt::check_timestamp(x + t.0)) });
    "timedate_pl(time without time zone,date)" => pure!(|t: Time, d: Date| ? match dt::date_to_timestamp(d.0)? { x if dt::is_infinite(x) => ts(Ok(x)), x => ts(dt::check_timestamp(x + t.0)) });
    "timestamp_pl_interval" => pure!(|t: Timestamp, i: Interval| ? ts(dt::timestamp_add(t.0, i)));
    "timestamp_mi_interval" => pure!(|t: Timestamp, i: Interval| ? ts(dt::timestamp_add(t.0, dt::interval_neg(i)?)));
    "interval_pl_timestamp(interval,timestamp without time zone)" => pure!(|i: Interval, t: Timestamp| ? ts(dt::timestamp_add(t.0, i)));
    "timestamptz_pl_interval" => contextual!(|cx, t: Timestamptz, i: Interval| ? tz(dt::timestamptz_add(t.0, i, cx.time_zone())));
    "timestamptz_mi_interval" => contextual!(|cx, t: Timestamptz, i: Interval| ? tz(dt::timestamptz_add(t.0, dt::interval_neg(i)?, cx.time_zone())));
    "interval_pl_timestamptz(interval,timestamp with time zone)" => contextual!(|cx, i: Interval, t: Timestamptz| ? tz(dt::timestamptz_add(t.0, i, cx.time_zone())));
    "timestamp_mi" => pure!(|a: Timestamp, b: Timestamp| ? iv(dt::timestamp_sub(a.0, b.0)));
    "time_pl_interval" = pure!(|t: Time, i: Interval| ? Ok(turn(t.0, i.micros)));
    "time_mi_interval" = pure!(|t: Time, i: Interval| ? Ok(turn(t.0, -(i.micros % dt::DAY))));
    "interval_pl_time(interval,time without time zone)" = pure!(|i: Interval, t: Time| ? Ok(turn(t.0, i.micros)));
    "time_mi_time" = pure!(|a: Time, b: Time| -> Interval Interval { months: 0, days: 0, micros: a.0 - b.0 });
    "interval_pl" => pure!(|a: Interval, b: Interval| ? iv(dt::interval_add(a, b)));
    "interval_mi" => pure!(|a: Interval, b: Interval| ? iv(dt::interval_sub(a, b)));
    "interval_um" => pure!(|a: Interval| ? iv(dt::interval_neg(a)));
    "interval_mul" => pure!(|a: Interval, f: f64| ? iv(dt::interval_mul(a, f)));
    "mul_d_interval" => pure!(|f: f64, a: Interval| ? iv(dt::interval_mul(a, f)));
    "interval_div" => pure!(|a: Interval, f: f64| ? iv(dt::interval_div(a, f)));
    "interval_justify_hours" => pure!(|a: Interval| ? iv(dt::justify_hours(a)));
    "interval_justify_days" => pure!(|a: Interval| ? iv(dt::justify_days(a)));
    "interval_justify_interval" => pure!(|a: Interval| ? iv(dt::justify_interval(a)));
    "timestamp_age" => pure!(|a: Timestamp, b: Timestamp| ? iv(dt::age(a.0, b.0)));
    "timestamptz_age" => contextual!(|cx, a: Timestamptz, b: Timestamptz| ? { let z = cx.time_zone(); iv(dt::age(dt::to_timestamp(a.0, z)?, dt::to_timestamp(b.0, z)?)) });
    "age(timestamp with time zone)" => contextual!(|cx, a: Timestamptz| ? iv(dt::age(today(cx), dt::to_timestamp(a.0, cx.time_zone())?)));
    "age(timestamp without time zone)" => contextual!(|cx, a: Timestamp| ? iv(dt::age(today(cx), a.0)));

    "date_timestamp" => pure!(|d: Date| ? ts(dt::date_to_timestamp(d.0)));
    "date_timestamptz" => contextual!(|cx, d: Date| ? tz(dt::to_timestamptz(dt::date_to_timestamp(d.0)?, cx.time_zone())));
    "timestamp_date" = pure!(|t: Timestamp| -> Date dt::timestamp_to_date(t.0));
    "timestamptz_date" => contextual!(|cx, t: Timestamptz| ? dt::to_timestamp(t.0, cx.time_zone()).map(|l| Datum::Date(dt::timestamp_to_date(l))));
    "timestamp_time" = pure!(|t: Timestamp| ? Ok(finite_time(t.0)));
    "timestamptz_time" => contextual!(|cx, t: Timestamptz| ? dt::to_timestamp(t.0, cx.time_zone()).map(finite_time));
    "timestamp_timestamptz" => contextual!(|cx, t: Timestamp| ? tz(dt::to_timestamptz(t.0, cx.time_zone())));
    "timestamptz_timestamp" => contextual!(|cx, t: Timestamptz| ? ts(dt::to_timestamp(t.0, cx.time_zone())));
    "time_interval" = pure!(|t: Time| -> Interval Interval { months: 0, days: 0, micros: t.0 });
    "interval_time" = pure!(|i: Interval| -> Time i.micros.rem_euclid(dt::DAY));
    "timestamp_zone" => pure!(|z: &str, t: Timestamp| ? tz(unless_infinite(t.0, || dt::to_timestamptz(t.0, &zone(z)?))));
    "timestamp_izone" => pure!(|z: Interval, t: Timestamp| ? tz(unless_infinite(t.0, || dt::to_timestamptz(t.0, &interval_zone(z)?))));
    "timestamptz_zone" => pure!(|z: &str, t: Timestamptz| ? ts(unless_infinite(t.0, || dt::to_timestamp(t.0, &zone(z)?))));
    "timestamptz_izone" => pure!(|z: Interval, t: Timestamptz| ? ts(unless_infinite(t.0, || dt::to_timestamp(t.0, &interval_zone(z)?))));

    "timestamp_trunc" => pure!(|u: &str, t: Timestamp| ? ts(unless_infinite(t.0, || dt::timestamp_trunc(unit(u, "timestamp without time zone")?, t.0))));
    "timestamptz_trunc" => contextual!(|cx, u: &str, t: Timestamptz| ? tz(unless_infinite(t.0, || dt::timestamptz_trunc(unit(u, "timestamp with time zone")?, t.0, cx.time_zone()))));
    "timestamptz_trunc_zone" => pure!(|u: &str, t: Timestamptz, z: &str| ? tz(unless_infinite(t.0, || { let zone = zone(z)?; dt::timestamptz_trunc(unit(u, "timestamp with time zone")?, t.0, &zone) })));
    "interval_trunc" => pure!(|u: &str, i: Interval| ? iv(dt::interval_trunc(unit(u, "interval")?, i)));
    "timestamp_bin" => pure!(|s: Interval, t: Timestamp, o: Timestamp| ? ts(bin(s, t.0, o.0)));
    "timestamptz_bin" => pure!(|s: Interval, t: Timestamptz, o: Timestamptz| ? tz(bin(s, t.0, o.0)));
    "extract_date" => pure!(|u: &str, d: Date| ? field(dt::date_field(u, d.0)));
    "extract_time" => pure!(|u: &str, t: Time| ? field(dt::time_field(u, t.0)));
    "extract_timestamp" => pure!(|u: &str, t: Timestamp| ? field(dt::timestamp_field(u, t.0)));
    "extract_timestamptz" => contextual!(|cx, u: &str, t: Timestamptz| ? field(dt::timestamptz_field(u, t.0, cx.time_zone())));
    "extract_interval" => pure!(|u: &str, i: Interval| ? field(dt::interval_field(u, i)));
    "date_part(text,date)" => pure!(|u: &str, d: Date| ? part(dt::timestamp_field(u, dt::date_to_timestamp(d.0)?)));
    "time_part" => pure!(|u: &str, t: Time| ? part(dt::time_field(u, t.0)));
    "timestamp_part" => pure!(|u: &str, t: Timestamp| ? part(dt::timestamp_field(u, t.0)));
    "timestamptz_part" => contextual!(|cx, u: &str, t: Timestamptz| ? part(dt::timestamptz_field(u, t.0, cx.time_zone())));
    "interval_part" => pure!(|u: &str, i: Interval| ? part(dt::interval_field(u, i)));
    "date_finite" = pure!(|d: Date| -> Bool d.0 != i32::MAX && d.0 != i32::MIN);
    "timestamp_finite" = pure!(|t: Timestamp| -> Bool !dt::is_infinite(t.0));
    "interval_finite" = pure!(|_i: Interval| -> Bool true);

    "make_date" => pure!(|y: i32, m: i32, d: i32| ? dt::make_date(y, m, d).map(Datum::Date));
    "make_time" => pure!(|h: i32, m: i32, s: f64| ? dt::make_time(h, m, s).map(Datum::Time));
    "make_timestamp" => pure!(|y: i32, mo: i32, d: i32, h: i32, mi: i32, s: f64| ? ts(make_timestamp(y, mo, d, h, mi, s)));
    "make_timestamptz" => contextual!(|cx, y: i32, mo: i32, d: i32, h: i32, mi: i32, s: f64| ? tz(dt::to_timestamptz(make_timestamp(y, mo, d, h, mi, s)?, cx.time_zone())));
    "make_timestamptz_at_timezone" => pure!(|y: i32, mo: i32, d: i32, h: i32, mi: i32, s: f64, z: &str| ? tz(dt::to_timestamptz(make_timestamp(y, mo, d, h, mi, s)?, &Zone::of_argument(z)?)));
    "make_interval" => pure!(|y: i32, mo: i32, w: i32, d: i32, h: i32, mi: i32, s: f64| ? iv(make_interval([y, mo, w, d, h, mi], s)));
    "float8_timestamptz" => pure!(|s: f64| ? tz(to_timestamp(s)));
    "overlaps_timestamp" = pure!(|a: Option<Timestamp>, b: Option<Timestamp>, c: Option<Timestamp>, d: Option<Timestamp>| ? Ok(overlaps(a.map(|t| t.0), b.map(|t| t.0), c.map(|t| t.0), d.map(|t| t.0))));
    "overlaps(timestamp without time zone,interval,timestamp without time zone,interval)" => pure!(|a: Option<Timestamp>, b: Option<Interval>, c: Option<Timestamp>, d: Option<Interval>| ? { let end = |t: Option<Timestamp>, i: Option<Interval>| after(t.map(|t| t.0), i, dt::timestamp_add); Ok(overlaps(a.map(|t| t.0), end(a, b)?, c.map(|t| t.0), end(c, d)?)) });
    "overlaps(timestamp without time zone,interval,timestamp without time zone,timestamp without time zone)" => pure!(|a: Option<Timestamp>, b: Option<Interval>, c: Option<Timestamp>, d: Option<Timestamp>| ? { let end = |t: Option<Timestamp>, i: Option<Interval>| after(t.map(|t| t.0), i, dt::timestamp_add); Ok(overlaps(a.map(|t| t.0), end(a, b)?, c.map(|t| t.0), d.map(|t| t.0))) });
    "overlaps(timestamp without time zone,timestamp without time zone,timestamp without time zone,interval)" => pure!(|a: Option<Timestamp>, b: Option<Timestamp>, c: Option<Timestamp>, d: Option<Interval>| ? { let end = |t: Option<Timestamp>, i: Option<Interval>| after(t.map(|t| t.0), i, dt::timestamp_add); Ok(overlaps(a.map(|t| t.0), b.map(|t| t.0), c.map(|t| t.0), end(c, d)?)) });
    "overlaps(timestamp with time zone,interval,timestamp with time zone,interval)" => contextual!(|cx, a: Option<Timestamptz>, b: Option<Interval>, c: Option<Timestamptz>, d: Option<Interval>| ? { let end = |t: Option<Timestamptz>, i: Option<Interval>| after(t.map(|t| t.0), i, |t, i| dt::timestamptz_add(t, i, cx.time_zone())); Ok(overlaps(a.map(|t| t.0), end(a, b)?, c.map(|t| t.0), end(c, d)?)) });
    "overlaps(timestamp with time zone,interval,timestamp with time zone,timestamp with time zone)" => contextual!(|cx, a: Option<Timestamptz>, b: Option<Interval>, c: Option<Timestamptz>, d: Option<Timestamptz>| ? { let end = |t: Option<Timestamptz>, i: Option<Interval>| after(t.map(|t| t.0), i, |t, i| dt::timestamptz_add(t, i, cx.time_zone())); Ok(overlaps(a.map(|t| t.0), end(a, b)?, c.map(|t| t.0), d.map(|t| t.0))) });
    "overlaps(timestamp with time zone,timestamp with time zone,timestamp with time zone,interval)" => contextual!(|cx, a: Option<Timestamptz>, b: Option<Timestamptz>, c: Option<Timestamptz>, d: Option<Interval>| ? { let end = |t: Option<Timestamptz>, i: Option<Interval>| after(t.map(|t| t.0), i, |t, i| dt::timestamptz_add(t, i, cx.time_zone())); Ok(overlaps(a.map(|t| t.0), b.map(|t| t.0), c.map(|t| t.0), end(c, d)?)) });
    "overlaps(time without time zone,interval,time without time zone,interval)" => pure!(|a: Option<Time>, b: Option<Interval>, c: Option<Time>, d: Option<Interval>| ? { let end = |t: Option<Time>, i: Option<Interval>| after(t.map(|t| t.0), i, |t, i| Ok((t + i.micros % dt::DAY).rem_euclid(dt::DAY))); Ok(overlaps(a.map(|t| t.0), end(a, b)?, c.map(|t| t.0), end(c, d)?)) });
    "overlaps(time without time zone,interval,time without time zone,time without time zone)" => pure!(|a: Option<Time>, b: Option<Interval>, c: Option<Time>, d: Option<Time>| ? { let end = |t: Option<Time>, i: Option<Interval>| after(t.map(|t| t.0), i, |t, i| Ok((t + i.micros % dt::DAY).rem_euclid(dt::DAY))); Ok(overlaps(a.map(|t| t.0), end(a, b)?, c.map(|t| t.0), d.map(|t| t.0))) });
    "overlaps(time without time zone,time without time zone,time without time zone,interval)" => pure!(|a: Option<Time>, b: Option<Time>, c: Option<Time>, d: Option<Interval>| ? { let end = |t: Option<Time>, i: Option<Interval>| after(t.map(|t| t.0), i, |t, i| Ok((t + i.micros % dt::DAY).rem_euclid(dt::DAY))); Ok(overlaps(a.map(|t| t.0), b.map(|t| t.0), c.map(|t| t.0), end(c, d)?)) });
    "overlaps_time" = pure!(|a: Option<Time>, b: Option<Time>, c: Option<Time>, d: Option<Time>| ? Ok(overlaps(a.map(|t| t.0), b.map(|t| t.0), c.map(|t| t.0), d.map(|t| t.0))));
}

fn dt_date() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}
