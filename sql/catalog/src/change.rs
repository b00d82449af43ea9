//! [`Object`]: any one catalog object; [`Change`]: the unit in which catalogs change, in a transaction and when it is published.

use crate::object::*;
use crate::privilege::{DefaultPrivileges, Privileges, StartSettings};
use crate::types::Type;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The kinds of catalog rows. The number is part of the stored key and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // named after the objects
pub enum Class {
    Schema = 1,
    Table = 2,
    Sequence = 3,
    Role = 4,
    Database = 5,
    Partition = 6,
    Comment = 7,
    View = 8,
    Type = 9,
    Function = 20,
    Privileges = 30,
    DefaultPrivileges = 31,
    StartSettings = 32,
}

impl Class {
    /// Reads the number of the stored key.
    pub fn from_u8(n: u8) -> Option<Class> {
        Some(match n {
            1 => Class::Schema,
            2 => Class::Table,
            3 => Class::Sequence,
            4 => Class::Role,
            5 => Class::Database,
            6 => Class::Partition,
            7 => Class::Comment,
            8 => Class::View,
            9 => Class::Type,
            20 => Class::Function,
            30 => Class::Privileges,
            31 => Class::DefaultPrivileges,
            32 => Class::StartSettings,
            _ => return None,
        })
    }
}

/// Identity of a catalog row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Kind.
    pub class: Class,
    /// OID; the storage id of partitions; the object's OID of comments and privileges; the role of settings.
    pub oid: Oid,
    /// attnum of a comment or of privileges on a column; 1 for the settings of a database; otherwise 0.
    pub sub: i16,
}

/// One catalog object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // named after the objects
pub enum Object {
    Schema(Arc<Schema>),
    Table(Arc<Table>),
    Sequence(Arc<Sequence>),
    Role(Arc<Role>),
    Database(Arc<Database>),
    Partition(Arc<Partition>),
    Comment(Arc<Comment>),
    View(Arc<View>),
    Type(Arc<Type>),
    Function(Arc<Function>),
    Privileges(Arc<Privileges>),
    DefaultPrivileges(Arc<DefaultPrivileges>),
    StartSettings(Arc<StartSettings>),
}

impl Object {
    /// Its row's identity.
    pub fn key(&self) -> ObjectKey {
        let key = |class, oid| ObjectKey { class, oid, sub: 0 };
        match self {
            Object::Schema(o) => key(Class::Schema, o.oid),
            Object::Table(o) => key(Class::Table, o.oid),
            Object::Sequence(o) => key(Class::Sequence, o.oid),
            Object::Role(o) => key(Class::Role, o.oid),
            Object::Database(o) => key(Class::Database, o.oid),
            Object::Partition(o) => key(Class::Partition, o.storage.0),
            Object::View(o) => key(Class::View, o.oid),
            Object::Type(o) => key(Class::Type, o.oid),
            Object::Function(o) => key(Class::Function, o.oid),
            Object::Privileges(o) => ObjectKey {
                class: Class::Privileges,
                oid: o.object,
                sub: o.attnum,
            },
            Object::DefaultPrivileges(o) => key(Class::DefaultPrivileges, o.oid),
            // One database, or all of them.
            Object::StartSettings(o) => ObjectKey {
                class: Class::StartSettings,
                oid: o.role,
                sub: i16::from(o.database != 0),
            },
            Object::Comment(o) => ObjectKey {
                class: Class::Comment,
                oid: o.object,
                sub: o.attnum,
            },
        }
    }
}

macro_rules! from {
    ($($name:ident),*) => { $(impl From<$name> for Object {
        fn from(o: $name) -> Object { Object::$name(Arc::new(o)) }
    })* };
}
from!(
    Schema,
    Table,
    Sequence,
    Role,
    Database,
    Partition,
    Comment,
    View,
    Type,
    Function,
    Privileges,
    DefaultPrivileges,
    StartSettings
);

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Creates it or replaces it whole.
    Put(Object),
    /// Removes it; nothing happens when it isn't there.
    Drop(ObjectKey),
}

impl Change {
    /// Creates or replaces an object.
    pub fn put(object: impl Into<Object>) -> Change {
        Change::Put(object.into())
    }
    /// Removes an object that has an OID or storage id.
    pub fn drop(class: Class, oid: Oid) -> Change {
        Change::Drop(ObjectKey { class, oid, sub: 0 })
    }
    /// The object that changes.
    pub fn key(&self) -> ObjectKey {
        match self {
            Change::Put(object) => object.key(),
            Change::Drop(key) => *key,
        }
    }
}
