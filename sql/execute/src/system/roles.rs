//! Roles and databases.

use super::{Rows, flag, int4, oid_of, text};
use curia_catalog::{Catalog, Role};
use curia_types::Datum;

/// Adds the rows of one of these tables; false for another one.
pub(super) fn produce(name: &str, catalog: &Catalog, out: &mut Rows) -> bool {
    match name {
        "pg_authid" | "pg_roles" => {
            for r in catalog.roles.values() {
                let password = match (name, &r.password) {
                    ("pg_roles", _) => text("********"),
                    (_, Some(p)) => text(p),
                    (_, None) => Datum::Null,
                };
                out.add(&[
                    ("oid", oid_of(r.oid)),
                    ("rolname", text(&r.name)),
                    ("rolsuper", flag(r.superuser)),
                    ("rolinherit", flag(true)),
                    ("rolcreaterole", flag(r.superuser)),
                    ("rolcreatedb", flag(r.superuser)),
                    ("rolcanlogin", flag(r.login)),
                    ("rolreplication", flag(r.superuser)),
                    ("rolbypassrls", flag(r.superuser)),
                    ("rolconnlimit", int4(-1)),
                    ("rolpassword", password),
                ]);
            }
        }
        "pg_user" | "pg_shadow" => {
            for r in catalog.roles.values().filter(|r| r.login) {
                out.add(&[
                    ("usename", text(&r.name)),
                    ("usesysid", oid_of(r.oid)),
                    ("usecreatedb", flag(r.superuser)),
                    ("usesuper", flag(r.superuser)),
                    ("userepl", flag(r.superuser)),
                    ("usebypassrls", flag(r.superuser)),
                    ("passwd", shadow(name, r)),
                ]);
            }
        }
        "pg_group" => {}
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

fn shadow(view: &str, r: &Role) -> Datum {
    match (view, &r.password) {
        ("pg_user", _) => text("********"),
        (_, Some(p)) => text(p),
        (_, None) => Datum::Null,
    }
}
