//! Where the system's own rows live, and what a fresh database begins with.

use curia_catalog::lookup::{FIRST_DATABASE, FIRST_ROLE, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC};
use curia_catalog::privilege::system::DATABASE_OWNER;
use curia_catalog::{Change, Database, Role, Schema, StorageId};

/// Catalog objects; keys and values are those of `curia_catalog::codec`.
pub const CATALOG: StorageId = StorageId(1);
/// Counters: OIDs, storage ids, transaction ids, sequences.
pub const COUNTERS: StorageId = StorageId(2);
/// Prepared transactions; keys and values are those of [`crate::prepared`].
pub const PREPARED: StorageId = StorageId(3);
/// Idempotency keys; keys and values are those of [`crate::idempotency`].
pub const IDEMPOTENCY: StorageId = StorageId(5);
/// The first storage id of a table or index.
pub const FIRST_USER_STORAGE: u32 = 1024;

/// The objects of a fresh database: the schemas, the role `curia`, the database `curia`.
pub(crate) fn objects() -> Vec<Change> {
    let owner = FIRST_ROLE;
    let schema = |oid, name: &str, owner| {
        Change::put(Schema {
            oid,
            name: name.to_owned(),
            owner,
        })
    };
    vec![
        schema(PG_CATALOG, "pg_catalog", owner),
        schema(PUBLIC, "public", DATABASE_OWNER),
        schema(INFORMATION_SCHEMA, "information_schema", owner),
        Change::put(Role {
            oid: owner,
            name: "curia".to_owned(),
            superuser: true,
            login: true,
            create_role: true,
            create_db: true,
            replication: true,
            bypass_rls: true,
            ..Role::default()
        }),
        Change::put(Database {
            oid: FIRST_DATABASE,
            name: "curia".to_owned(),
            owner,
        }),
    ]
}
