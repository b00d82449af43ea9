//! [`Catalog`]: every object at one CSN, cheap to clone and change (copy on write by map).

use crate::change::{Change, Object, ObjectKey};
use crate::object::*;
use crate::privilege::{DefaultPrivileges, Privileges, StartSettings, system};
use crate::types::Type;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An immutable catalog version. Maps are persistent by `Arc`: a clone shares them until it changes one.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Grows by one at every published change; cached plans compare it. A transaction's private version has [`Catalog::PRIVATE`] set and
    /// a number that no other version has.
    pub version: u64,
    /// Schemas by OID.
    pub schemas: Arc<BTreeMap<Oid, Arc<Schema>>>,
    /// Tables by OID.
    pub tables: Arc<BTreeMap<Oid, Arc<Table>>>,
    /// The children of tables that have some, by inheritance or as partitions.
    pub children: Arc<BTreeMap<Oid, BTreeSet<Oid>>>,
    /// Views by OID.
    pub views: Arc<BTreeMap<Oid, Arc<View>>>,
    /// Functions by OID.
    pub functions: Arc<BTreeMap<Oid, Arc<Function>>>,
    /// Sequences by OID.
    pub sequences: Arc<BTreeMap<Oid, Arc<Sequence>>>,
    /// Roles by OID.
    pub roles: Arc<BTreeMap<Oid, Arc<Role>>>,
    /// Types that users made, by OID; relations' row types are theirs.
    pub types: Arc<BTreeMap<Oid, Arc<Type>>>,
    /// (schema, name) of types: users' own, row types, and the array types of both.
    pub type_names: Arc<BTreeMap<(Oid, String), Oid>>,
    /// (schema, name) of tables, indexes, views and sequences: one namespace, as in `pg_class`.
    pub relations: Arc<BTreeMap<(Oid, String), Relation>>,
    /// Databases by OID. One exists for now.
    pub databases: Arc<BTreeMap<Oid, Arc<Database>>>,
    /// The partition map: which worker group owns a storage. One partition a storage for now.
    pub partitions: Arc<BTreeMap<StorageId, Arc<Partition>>>,
    /// Comments by (object's OID, attnum or 0).
    pub comments: Arc<BTreeMap<(Oid, i16), Arc<Comment>>>,
    /// What is granted, by (object's OID, attnum or 0).
    pub privileges: Arc<BTreeMap<(Oid, i16), Arc<Privileges>>>,
    /// What will be granted on objects to come, by OID.
    pub default_privileges: Arc<BTreeMap<Oid, Arc<DefaultPrivileges>>>,
    /// Parameters that sessions start with, by (role, whether of the database).
    pub start_settings: Arc<BTreeMap<(Oid, i16), Arc<StartSettings>>>,
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
    /// A view's OID.
    View(Oid),
}

impl Relation {
    /// `pg_class.oid`
    pub fn oid(self) -> Oid {
        match self {
            Relation::Table(oid) | Relation::Index(_, oid) | Relation::Sequence(oid) | Relation::View(oid) => oid,
        }
    }
}

impl Catalog {
    /// Bit of [`Catalog::version`] that marks a transaction's private version.
    pub const PRIVATE: u64 = 1 << 63;

    /// A catalog with what no row says: the roles that every database has.
    pub fn empty() -> Catalog {
        let mut catalog = Catalog::default();
        for role in system::roles() {
            insert(&mut catalog.roles, role.oid, &Arc::new(role));
        }
        catalog
    }

    /// Applies one change. The caller gives the result a version of its own.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(object) => self.put(object),
            Change::Drop(key) => self.remove(*key),
        }
    }

    fn put(&mut self, object: &Object) {
        self.remove(object.key());
        match object {
            Object::Schema(o) => insert(&mut self.schemas, o.oid, o),
            Object::Table(o) => {
                let names = Arc::make_mut(&mut self.relations);
                names.insert((o.schema, o.name.clone()), Relation::Table(o.oid));
                for index in &o.indexes {
                    names.insert((o.schema, index.name.clone()), Relation::Index(o.oid, index.oid));
                }
                self.enter_row_type((o.schema, &o.name), o.row_type, o.row_array);
                self.enter_parents(o);
                insert(&mut self.tables, o.oid, o);
            }
            Object::Sequence(o) => {
                Arc::make_mut(&mut self.relations).insert((o.schema, o.name.clone()), Relation::Sequence(o.oid));
                insert(&mut self.sequences, o.oid, o);
            }
            Object::View(o) => {
                Arc::make_mut(&mut self.relations).insert((o.schema, o.name.clone()), Relation::View(o.oid));
                self.enter_row_type((o.schema, &o.name), o.row_type, o.row_array);
                insert(&mut self.views, o.oid, o);
            }
            Object::Type(o) => {
                self.enter_type(o);
                insert(&mut self.types, o.oid, o);
            }
            Object::Function(o) => insert(&mut self.functions, o.oid, o),
            Object::Role(o) => insert(&mut self.roles, o.oid, o),
            Object::Database(o) => insert(&mut self.databases, o.oid, o),
            Object::Partition(o) => insert(&mut self.partitions, o.storage, o),
            Object::Comment(o) => insert(&mut self.comments, (o.object, o.attnum), o),
            Object::Privileges(o) => insert(&mut self.privileges, (o.object, o.attnum), o),
            Object::DefaultPrivileges(o) => insert(&mut self.default_privileges, o.oid, o),
            Object::StartSettings(o) => insert(&mut self.start_settings, (o.role, i16::from(o.database != 0)), o),
        }
    }

    fn remove(&mut self, key: ObjectKey) {
        use crate::change::Class;
        match key.class {
            Class::Schema => remove(&mut self.schemas, &key.oid),
            Class::Table => {
                if let Some(old) = self.tables.get(&key.oid).cloned() {
                    let names = Arc::make_mut(&mut self.relations);
                    names.remove(&(old.schema, old.name.clone()));
                    for index in &old.indexes {
                        names.remove(&(old.schema, index.name.clone()));
                    }
                    self.forget_row_type((old.schema, &old.name), old.row_type, old.row_array);
                    self.forget_parents(&old);
                    remove(&mut self.tables, &key.oid);
                }
            }
            Class::Sequence => {
                if let Some(old) = self.sequences.get(&key.oid).cloned() {
                    Arc::make_mut(&mut self.relations).remove(&(old.schema, old.name.clone()));
                    remove(&mut self.sequences, &key.oid);
                }
            }
            Class::View => {
                if let Some(old) = self.views.get(&key.oid).cloned() {
                    Arc::make_mut(&mut self.relations).remove(&(old.schema, old.name.clone()));
                    self.forget_row_type((old.schema, &old.name), old.row_type, old.row_array);
                    remove(&mut self.views, &key.oid);
                }
            }
            Class::Type => {
                if let Some(old) = self.types.get(&key.oid).cloned() {
                    self.forget_type(&old);
                    remove(&mut self.types, &key.oid);
                }
            }
            Class::Function => remove(&mut self.functions, &key.oid),
            Class::Role => remove(&mut self.roles, &key.oid),
            Class::Database => remove(&mut self.databases, &key.oid),
            Class::Partition => remove(&mut self.partitions, &StorageId(key.oid)),
            Class::Comment => remove(&mut self.comments, &(key.oid, key.sub)),
            Class::Privileges => remove(&mut self.privileges, &(key.oid, key.sub)),
            Class::DefaultPrivileges => remove(&mut self.default_privileges, &key.oid),
            Class::StartSettings => remove(&mut self.start_settings, &(key.oid, key.sub)),
        }
    }
}

fn insert<K: Ord + Clone, V: Clone>(map: &mut Arc<BTreeMap<K, Arc<V>>>, key: K, value: &Arc<V>) {
    Arc::make_mut(map).insert(key, value.clone());
}

fn remove<K: Ord + Clone, V: Clone>(map: &mut Arc<BTreeMap<K, Arc<V>>>, key: &K) {
    if map.contains_key(key) {
        Arc::make_mut(map).remove(key);
    }
}
