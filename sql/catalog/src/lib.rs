//! The catalog: what objects exist, at one CSN.
//!
//! - [`object`]: tables, columns, indexes, constraints, sequences, schemas, roles as plain data.
//! - [`version`]: [`Catalog`], an immutable set of objects. Sessions hold an `Arc<Catalog>`; a transaction with DDL holds a private copy
//!   with its changes, which its commit publishes.
//! - [`system`]: the static definitions of `pg_catalog` and `information_schema`.
//!
//! Objects are rows of system tables in the catalog's worker group (group 0), one row an object, keyed by (class, OID), so a catalog
//! change is an ordinary write of an ordinary transaction, and every server at the same CSN has the same catalog and OIDs.
//! This crate is pure data: `curia-txn` stores it, `curia-execute` changes it and shows it as `pg_catalog`.

pub mod object;
pub mod system;
pub mod version;

pub use object::*;
pub use version::Catalog;
