//! [`Catalog`]: every object at one CSN, cheap to clone and change (copy on write by map).

use crate::object::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An immutable catalog version. Maps are persistent by `Arc`: a clone shares them until it changes one.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Grows by one at every published change; cached plans compare it.
    pub version: u64,
    /// Schemas by OID.
    pub schemas: Arc<BTreeMap<Oid, Arc<Schema>>>,
    /// Tables by OID.
    pub tables: Arc<BTreeMap<Oid, Arc<Table>>>,
    /// Sequences by OID.
    pub sequences: Arc<BTreeMap<Oid, Arc<Sequence>>>,
    /// Roles by OID.
    pub roles: Arc<BTreeMap<Oid, Arc<Role>>>,
    /// (schema, name) of tables, indexes and sequences: one namespace, as in `pg_class`.
    pub relations: Arc<BTreeMap<(Oid, String), Relation>>,
}

/// What a relation name denotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A table's OID.
    Table(Oid),
    /// An index: (table OID, index OID).
    Index(Oid, Oid),
    /// A sequence's OID.
    Sequence(Oid),
}
