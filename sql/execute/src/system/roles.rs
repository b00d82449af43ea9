//! Roles, their memberships and settings, and databases.

use super::{Rows, flag, int4, oid_of, text};
use curia_catalog::{Catalog, Role};
use curia_types::{Datum, oid};

/// Adds the rows of one of these tables; false for another one.
pub(super) fn produce(name: &str, catalog: &Catalog, out: &mut Rows) -> bool {
    match name {
        "pg_authid" | "pg_roles" => {
            for r in catalog.roles.values() {
                out.add(&[
                    ("oid", oid_of(r.oid)),
                    ("rolname", text(&r.name)),
                    ("rolsuper", flag(r.superuser)),
                    ("rolinherit", flag(r.inherit)),
                    ("rolcreaterole", flag(r.create_role)),
                    ("rolcreatedb", flag(r.create_db)),
                    ("rolcanlogin", flag(r.login)),
                    ("rolreplication", flag(r.replication)),
                    ("rolbypassrls", flag(r.bypass_rls)),
                    ("rolconnlimit", int4(r.connection_limit)),
                    ("rolpassword", password(name == "pg_roles", r)),
                    ("rolvaliduntil", valid_until(r)),
                    ("rolconfig", settings(catalog, r.oid, 0)),
                ]);
            }
        }
        "pg_user" | "pg_shadow" => {
            for r in catalog.roles.values().filter(|r| r.login) {
                out.add(&[
                    ("usename", text(&r.name)),
                    ("usesysid", oid_of(r.oid)),
                    ("usecreatedb", flag(r.create_db)),
                    ("usesuper", flag(r.superuser)),
                    ("userepl", flag(r.replication)),
                    ("usebypassrls", flag(r.bypass_rls)),
                    ("passwd", password(name == "pg_user", r)),
                    ("valuntil", valid_until(r)),
                    ("useconfig", settings(catalog, r.oid, 0)),
                ]);
            }
        }
        "pg_group" => {
            for r in catalog.roles.values().filter(|r| !r.login) {
                let members = catalog.roles.values().filter(|m| m.member_of.iter().any(|of| of.role == r.oid));
                out.add(&[
                    ("groname", text(&r.name)),
                    ("grosysid", oid_of(r.oid)),
                    ("grolist", Datum::list(oid::OID, members.map(|m| oid_of(m.oid)).collect())),
                ]);
            }
        }
        "pg_auth_members" => {
            for member in catalog.roles.values() {
                for m in &member.member_of {
                    out.add(&[
                        ("roleid", oid_of(m.role)),
                        ("member", oid_of(member.oid)),
                        ("grantor", oid_of(m.grantor)),
                        ("admin_option", flag(m.admin)),
                    ]);
                }
            }
        }
        "pg_db_role_setting" => {
            for s in catalog.start_settings.values() {
                out.add(&[
                    ("setdatabase", oid_of(s.database)),
                    ("setrole", oid_of(s.role)),
                    ("setconfig", settings(catalog, s.role, i16::from(s.database != 0))),
                ]);
            }
        }
        "pg_init_privs" => super::privileges::initial(catalog, out),
        "pg_default_acl" => super::privileges::defaults(catalog, out),
        "pg_database" => {
            for d in catalog.databases.values() {
                out.add(&[
                    ("oid", oid_of(d.oid)),
                    ("datname", text(&d.name)),
                    ("datdba", oid_of(d.owner)),
                    ("encoding", int4(6)),
                    ("datlocprovider", text("c")),
                    ("datistemplate", flag(false)),
                    ("datallowconn", flag(true)),
                    ("datconnlimit", int4(-1)),
                    ("dattablespace", oid_of(1663)),
                    ("datcollate", text("C.UTF-8")),
                    ("datctype", text("C.UTF-8")),
                ]);
            }
        }
        _ => return false,
    }
    true
}

/// The password's verifier, where it is not hidden.
fn password(hidden: bool, r: &Role) -> Datum {
    match &r.password {
        _ if hidden => text("********"),
        Some(p) => text(p),
        None => Datum::Null,
    }
}

fn valid_until(r: &Role) -> Datum {
    r.valid_until.map_or(Datum::Null, Datum::Timestamptz)
}

/// Parameters that sessions start with, as `name=value`.
fn settings(catalog: &Catalog, role: u32, of_database: i16) -> Datum {
    match catalog.start_settings.get(&(role, of_database)) {
        Some(s) => Datum::list(oid::TEXT, s.settings.iter().map(|(n, v)| text(format!("{n}={v}"))).collect()),
        None => Datum::Null,
    }
}
