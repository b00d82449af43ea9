//! Length coercions and casts between strings.

use super::macros::{Time, Timestamp, Timestamptz, kernels, pure};
use curia_types::{Datum, Interval, PgType, Result, datetime, length, oid};

fn coerce(ty: u32, value: &Datum, typmod: i32, explicit: bool) -> Result<Datum> {
    length::coerce(PgType::with_typmod(ty, typmod), value.clone(), explicit)
}

kernels! {
    "varchar" => pure!(|v: &Datum, typmod: i32, explicit: bool| ? coerce(oid::VARCHAR, v, typmod, explicit));
    "bpchar" => pure!(|v: &Datum, typmod: i32, explicit: bool| ? coerce(oid::BPCHAR, v, typmod, explicit));
    "timestamp_scale" = pure!(|t: Timestamp, typmod: i32| -> Timestamp datetime::round_timestamp(t.0, typmod));
    "timestamptz_scale" = pure!(|t: Timestamptz, typmod: i32| -> Timestamptz datetime::round_timestamp(t.0, typmod));
    "time_scale" = pure!(|t: Time, typmod: i32| -> Time datetime::round_time(t.0, typmod));
    "interval_scale" => pure!(|i: Interval, typmod: i32| ? datetime::interval_typmod(i, typmod).map(Datum::Interval));
}
