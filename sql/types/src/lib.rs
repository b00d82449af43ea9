//! Values and errors of PostgreSQL: the leaf every other SQL crate and the storage codecs stand on.
//!
//! - [`error`]: [`SqlError`] carries what a client sees: SQLSTATE, message, DETAIL, HINT, position, object names.
//! - [`pg_type`], [`type_info`]: [`PgType`] is (type OID, typmod); `type_info` has the facts of `pg_type` that never change;
//!   [`user_types`] asks the catalog for those that do.
//! - [`datum`]: [`Datum`] is one value; [`mod@numeric`] and [`datetime`] are the two families with arithmetic of their own.
//! - [`text_io`], [`binary_io`]: the two wire forms; [`io_context`] is what text depends on (DateStyle, TimeZone, ...).
//! - [`length`]: what varchar(n), char(n), numeric(p,s), timestamp(p) do to a value.
//! - [`mod@json`]: the tree of jsonb, and the reading of JSON text; [`jsonpath`]: the grammar of paths.
//! - [`net`], [`bits`], [`geometry`]: values of inet, bit, point and their like.
//! - [`arrow_map`]: the Arrow form; [`inner_form`]: values as bytes within one process.
//! - [`panic`]: a panic as an error.
//!
//! Nothing here does I/O, links DataFusion or knows a table.

pub mod array;
pub mod arrow_map;
pub mod binary_io;
pub mod bits;
pub mod datetime;
pub mod datum;
pub mod encoding;
pub mod error;
pub mod float;
pub mod geometry;
pub mod inner_form;
pub mod io_context;
pub mod json;
pub mod jsonpath;
pub mod keywords;
pub mod length;
pub mod net;
pub mod numeric;
pub mod panic;
pub mod pg_type;
pub mod text_io;
pub mod type_info;
pub mod user_types;

pub use binary_io::ValueFormat;
pub use bits::Bits;
pub use datum::{ArrayValue, Datum, Interval, RecordValue};
pub use error::{ErrorField, Result, SqlError, SqlState};
pub use io_context::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, IoContext, ObjectNames};
pub use json::Json;
pub use numeric::Numeric;
pub use pg_type::{PgType, oid};
pub use user_types::{Attribute, UserTypes};
