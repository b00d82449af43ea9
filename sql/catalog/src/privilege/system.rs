//! Roles that every database has (`pg_authid.dat`), and what is granted on system objects to begin with (`system_views.sql`).
//!
//! They are not stored: a stored row of the same OID, which GRANT makes, takes the place of one.

use super::{AclItem, Kind, Membership, PUBLIC_ROLE, Rights};
use crate::lookup::FIRST_ROLE;
use crate::object::{Oid, Role};
use crate::system::SystemTable;

/// `pg_database_owner`: the owner of the database is its member.
pub const DATABASE_OWNER: Oid = 6171;
/// `pg_read_all_data`
pub const READ_ALL_DATA: Oid = 6181;
/// `pg_write_all_data`
pub const WRITE_ALL_DATA: Oid = 6182;
/// `pg_monitor`
pub const MONITOR: Oid = 3373;
/// `pg_read_all_stats`
pub const READ_ALL_STATS: Oid = 3375;
/// `pg_read_server_files`
pub const READ_SERVER_FILES: Oid = 4569;
/// `pg_write_server_files`
pub const WRITE_SERVER_FILES: Oid = 4570;
/// `pg_signal_backend`
pub const SIGNAL_BACKEND: Oid = 4200;
/// `pg_checkpoint`
pub const CHECKPOINT: Oid = 4544;

const ROLES: [(Oid, &str); 12] = [
    (DATABASE_OWNER, "pg_database_owner"),
    (READ_ALL_DATA, "pg_read_all_data"),
    (WRITE_ALL_DATA, "pg_write_all_data"),
    (MONITOR, "pg_monitor"),
    (3374, "pg_read_all_settings"),
    (READ_ALL_STATS, "pg_read_all_stats"),
    (3377, "pg_stat_scan_tables"),
    (READ_SERVER_FILES, "pg_read_server_files"),
    (WRITE_SERVER_FILES, "pg_write_server_files"),
    (4571, "pg_execute_server_program"),
    (SIGNAL_BACKEND, "pg_signal_backend"),
    (CHECKPOINT, "pg_checkpoint"),
];

/// The roles that are there before any is made.
pub fn roles() -> impl Iterator<Item = Role> {
    ROLES.iter().map(|(oid, name)| Role {
        oid: *oid,
        name: (*name).to_owned(),
        member_of: match *oid {
            MONITOR => [3374, READ_ALL_STATS, 3377]
                .map(|role| Membership {
                    role,
                    grantor: FIRST_ROLE,
                    admin: false,
                })
                .to_vec(),
            _ => Vec::new(),
        },
        ..Role::default()
    })
}

/// A language by OID.
pub fn language(oid: Oid) -> Option<&'static str> {
    LANGUAGES.iter().find(|(o, _)| *o == oid).map(|(_, name)| *name)
}

/// Languages: OID and name.
pub const LANGUAGES: [(Oid, &str); 3] = [(12, "internal"), (13, "c"), (14, "sql")];

/// A tablespace by OID.
pub fn tablespace(oid: Oid) -> Option<&'static str> {
    match oid {
        1663 => Some("pg_default"),
        1664 => Some("pg_global"),
        _ => None,
    }
}

/// What is granted on `public`, `pg_catalog`, `information_schema` and `curia`.
pub fn schema_acl(owner: Oid) -> Vec<AclItem> {
    vec![
        AclItem::new(owner, owner, Kind::Schema.all()),
        AclItem::new(PUBLIC_ROLE, owner, Rights::USAGE),
    ]
}

/// Tables and views that not everybody may read.
const CLOSED: [&str; 14] = [
    "pg_authid",
    "pg_shadow",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_subscription",
    "pg_user_mapping",
    "pg_largeobject",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_file_settings",
    "pg_config",
    "pg_backend_memory_contexts",
    "pg_shmem_allocations",
    "pg_replication_origin_status",
];

/// What is granted on a system table; `None` for what stands in every table's place.
pub fn table_acl(table: &SystemTable, owner: Oid) -> Option<Vec<AclItem>> {
    if CLOSED.contains(&table.name) {
        return match table.name {
            "pg_shadow" | "pg_replication_origin_status" | "pg_user_mapping" => None,
            _ => Some(vec![AclItem::new(owner, owner, Kind::Relation.all())]),
        };
    }
    Some(vec![
        AclItem::new(owner, owner, Kind::Relation.all()),
        AclItem::new(PUBLIC_ROLE, owner, Rights::SELECT),
    ])
}
