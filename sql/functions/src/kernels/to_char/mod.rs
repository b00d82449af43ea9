//! to_char, to_number, to_date and to_timestamp(text, text): values to text and back by a template (chapter 9.8 of the manual).
//!
//! ```text
//!  template text ──► picture (date fields) ──► moment: prints; scan, then date: reads
//!               └──► figure  (digits)      ──► print_number, scan_number
//! ```
//! The behaviour is PostgreSQL's down to its oddities (a template matches its input loosely, `#` fills what does not fit, `RM` counts
//! negative months backwards), and names of days and months are English, as in the C locale. `calendar` has the day arithmetic that
//! PostgreSQL does on any integers, valid dates or not: intervals go through it too.

mod calendar;
mod date;
mod figure;
mod moment;
mod picture;
mod print_number;
mod roman;
mod scan;
mod scan_number;

use super::macros::{Timestamp, Timestamptz, contextual, kernels, pure};
use curia_types::{Datum, Interval, Numeric, Result, datetime as dt};

/// Infinite timestamps and empty templates give NULL.
fn print_moment(template: &str, finite: bool, moment: impl FnOnce() -> moment::Moment) -> Result<Datum> {
    if template.is_empty() || !finite {
        return Ok(Datum::Null);
    }
    moment::print(template, &moment()).map(Datum::text)
}

kernels! {
    "timestamp_to_char" => pure!(|t: Timestamp, f: &str| ? print_moment(f, !dt::is_infinite(t.0), || moment::Moment::of_timestamp(t.0)));
    "timestamptz_to_char" => contextual!(|cx, t: Timestamptz, f: &str| ?
        print_moment(f, !dt::is_infinite(t.0), || moment::Moment::of_timestamptz(t.0, cx.time_zone())));
    "interval_to_char" => pure!(|i: Interval, f: &str| ? print_moment(f, true, || moment::Moment::of_interval(i)));
    "int4_to_char" => pure!(|n: i32, f: &str| ? print_number::print(f, print_number::Value::Int4(n)));
    "int8_to_char" => pure!(|n: i64, f: &str| ? print_number::print(f, print_number::Value::Int8(n)));
    "float4_to_char" => pure!(|n: f32, f: &str| ? print_number::print(f, print_number::Value::Float4(n)));
    "float8_to_char" => pure!(|n: f64, f: &str| ? print_number::print(f, print_number::Value::Float8(n)));
    "numeric_to_char" => pure!(|n: &Numeric, f: &str| ? print_number::print(f, print_number::Value::Numeric(n)));
    "numeric_to_number" => pure!(|t: &str, f: &str| ? scan_number::scan(t, f));
    "to_date" => pure!(|t: &str, f: &str| ? date::to_date(t, f).map(Datum::Date));
    "to_timestamp" => contextual!(|cx, t: &str, f: &str| ? date::to_timestamp(t, f, cx.time_zone()).map(Datum::Timestamptz));
}
