//! What the text forms of values depend on besides the value: the session's formatting parameters.

use crate::UserTypes;
use crate::datetime::Zone;
use std::sync::Arc;

/// First half of DateStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DateStyle {
    /// 1997-12-17 07:37:16-08
    #[default]
    Iso,
    /// 12/17/1997 07:37:16.00 PST
    Sql,
    /// Wed Dec 17 07:37:16 1997 PST
    Postgres,
    /// 17.12.1997 07:37:16.00 PST
    German,
}

/// Second half of DateStyle: which field of an ambiguous date is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// month, day, year
    #[default]
    Mdy,
    /// day, month, year
    Dmy,
    /// year, month, day
    Ymd,
}

/// IntervalStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// 1 year 2 mons 3 days 04:05:06
    #[default]
    Postgres,
    /// @ 1 year 2 mons 3 days 4 hours 5 mins 6 secs
    PostgresVerbose,
    /// +1-2 +3 +4:05:06
    SqlStandard,
    /// P1Y2M3DT4H5M6S
    Iso8601,
}

/// bytea_output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ByteaOutput {
    /// \xdeadbeef
    #[default]
    Hex,
    /// Printable bytes as they are, others as \ooo.
    Escape,
}

/// Names of catalog objects behind the reg* types. The session implements it over the catalog version of the statement.
pub trait ObjectNames: Send + Sync {
    /// Text form of an OID of a reg* type (`ty`), qualified where the search path needs it; `None`: print the number.
    fn name_of(&self, ty: u32, oid: u32) -> Option<String>;
    /// The OID that a name stands for, with PostgreSQL's error (42P01, 42883, 42704) when there is none.
    fn oid_of(&self, ty: u32, name: &str) -> crate::Result<u32>;
}

/// Formatting parameters of a session. Cheap to clone.
#[derive(Clone)]
pub struct IoContext {
    /// DateStyle, output half.
    pub date_style: DateStyle,
    /// DateStyle, field order.
    pub date_order: DateOrder,
    /// IntervalStyle
    pub interval_style: IntervalStyle,
    /// TimeZone
    pub zone: Zone,
    /// extra_float_digits: above 0 prints the shortest text that reads back exactly.
    pub extra_float_digits: i32,
    /// bytea_output
    pub bytea_output: ByteaOutput,
    /// Start of the transaction, microseconds since 2000-01-01 UTC: what 'now' and 'today' mean.
    pub now: i64,
    /// Names for reg* types; without them only numbers are read and printed, and built-in types for regtype.
    pub names: Option<Arc<dyn ObjectNames>>,
    /// Labels, attributes and checks of the types that users made; without them values of those types can neither be read nor printed.
    pub types: Option<Arc<dyn UserTypes>>,
}

impl Default for IoContext {
    fn default() -> IoContext {
        IoContext {
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            zone: Zone::utc(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
            now: 0,
            names: None,
            types: None,
        }
    }
}

impl std::fmt::Debug for IoContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IoContext")
            .field("date_style", &self.date_style)
            .field("date_order", &self.date_order)
            .field("interval_style", &self.interval_style)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}
