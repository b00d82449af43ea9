//! Types that users made: what never changes about each, by OID.
//!
//! A user's type is a row of the versioned catalog: it has a name, an enum has labels, a domain checks, a composite type attributes,
//! and all of these change. But an OID is given once and never again, and some facts are fixed with it: that it is an enum, the base
//! of a domain, the element of an array. These are what the type rules, the codecs and the plans ask for, at every expression, so
//! they are kept here, one small entry an OID, for the whole process. The catalog enters a type whenever a version with it is made,
//! committed or not; nothing needs a snapshot to read it, and nothing is ever taken out.
//!
//! What changes is asked of the catalog version of the statement: names by the binder, labels, checks and attributes through
//! [`crate::UserTypes`] of the [`crate::IoContext`]. The name here is the last one entered, for messages.
//!
//! OIDs of built-in types never come here, so a statement without user types pays one comparison. A process serves one database.

use crate::PgType;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock, RwLockReadGuard};

/// First OID of user objects: below, no type is the user's.
const FIRST: u32 = 16_384;

/// What a user's type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// CREATE TYPE .. AS ENUM. A value is a [`crate::Datum::Int8`] that sorts as its label does and never changes.
    Enum,
    /// CREATE DOMAIN.
    Domain {
        /// What it is over: another type or domain, with modifier.
        base: PgType,
    },
    /// CREATE TYPE .. AS (..), or the row type of a relation.
    Composite,
    /// The array type that comes with any of the others.
    Array {
        /// Type of the elements.
        element: u32,
    },
}

/// A user's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserType {
    /// `pg_type.oid`
    pub oid: u32,
    /// `typname` when it was last entered.
    pub name: Arc<str>,
    /// What it is.
    pub kind: UserKind,
    /// `typarray`; 0 when it has none.
    pub array: u32,
}

static TYPES: LazyLock<RwLock<HashMap<u32, UserType>>> = LazyLock::new(RwLock::default);

/// The map. A panic of another thread leaves it whole: it only ever takes entries.
fn types() -> RwLockReadGuard<'static, HashMap<u32, UserType>> {
    TYPES.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Enters a type, or its new name.
pub fn enter(ty: UserType) {
    let mut types = TYPES.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    types.insert(ty.oid, ty);
}

/// A user's type by OID.
pub fn get(oid: u32) -> Option<UserType> {
    if oid < FIRST {
        return None;
    }
    types().get(&oid).cloned()
}

/// What a user's type is; `None` for built-in types.
pub fn kind(oid: u32) -> Option<UserKind> {
    if oid < FIRST {
        return None;
    }
    types().get(&oid).map(|t| t.kind)
}
