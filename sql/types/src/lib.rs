//! Values and errors of PostgreSQL: the leaf every other SQL crate and the storage codecs stand on.
//!
//! - [`error`]: [`SqlError`] carries what a client sees: SQLSTATE, message, DETAIL, HINT, position, object names.
//! - [`pg_type`]: [`PgType`] is (type OID, typmod), with the static facts of `pg_type`.
//! - [`datum`]: [`Datum`] is one value.
//!
//! Nothing here does I/O, links DataFusion or knows a table.

pub mod datetime;
pub mod datum;
pub mod error;
pub mod numeric;
pub mod pg_type;

pub use datum::{Datum, Interval};
pub use numeric::Numeric;
pub use error::{ErrorField, Result, SqlError, SqlState};
pub use pg_type::{PgType, oid};
