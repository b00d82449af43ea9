//! The catalog: what objects exist, at one CSN.
//!
//! - [`object`]: tables, columns, indexes, constraints, sequences, schemas, roles as plain data.
//! - [`version`]: [`Catalog`], an immutable set of objects. Sessions hold an `Arc<Catalog>`; a transaction with DDL holds a private copy
//!   with its changes, which its commit publishes.
//! - [`types`]: the types that users made.
//! - [`change`]: [`Object`], any one object, and [`Change`], the unit in which catalogs change.
//! - [`lookup`]: finding objects by name, search paths, names for implicit objects.
//! - [`inherit`]: which tables are children of which.
//! - [`partition`]: how partitioned tables are divided, and where a row belongs.
//! - [`codec`]: objects as stored bytes.
//! - [`temporary`]: the schemas of temporary relations.
//! - [`opclass`]: operator classes.
//! - [`privilege`]: who may do what.
//! - [`system`]: the static definitions of `pg_catalog` and `information_schema`.
//!
//! Objects are rows of system tables in the catalog's worker group (group 0), one row an object, keyed by (class, OID), so a catalog
//! change is an ordinary write of an ordinary transaction, and every server at the same CSN has the same catalog and OIDs.
//! This crate is pure data: `curia-txn` stores it, `curia-ddl` changes it and `curia-execute` shows it as `pg_catalog`.

pub mod change;
pub mod codec;
pub mod inherit;
pub mod lookup;
pub mod object;
pub mod opclass;
pub mod partition;
pub mod privilege;
pub mod system;
pub mod temporary;
pub mod types;
pub mod version;

pub use change::{Change, Class, Object, ObjectKey};
pub use lookup::{MAX_NAME_BYTES, choose_name, make_object_name};
pub use object::*;
pub use privilege::{AclItem, DefaultPrivileges, Kind, Membership, PUBLIC_ROLE, Privileges, Rights, StartSettings};
pub use types::{Domain, EnumLabel, Type, TypeAttribute, TypeKind};
pub use version::{Catalog, Relation};
