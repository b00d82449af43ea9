//! `pg_stat_*` and `pg_statio_*` of tables, indexes and sequences. Nothing counts accesses yet: counters are 0, as after a reset.

use super::{Rows, oid_of, text};
use curia_catalog::Catalog;
use curia_catalog::system::{SystemTable, system_tables};
use curia_types::{Datum, oid};

/// Which relations a view shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    User,
    System,
}

/// Adds the rows of one of these views; false for another one.
pub(super) fn produce(table: &'static SystemTable, catalog: &Catalog, out: &mut Rows) -> bool {
    let Some(rest) = ["pg_stat_xact_", "pg_statio_", "pg_stat_"]
        .iter()
        .find_map(|prefix| table.name.strip_prefix(prefix))
    else {
        return false;
    };
    let (of, what) = match rest.split_once('_') {
        Some(("all", what)) => (Of::All, what),
        Some(("user", what)) => (Of::User, what),
        Some(("sys", what)) => (Of::System, what),
        _ => return false,
    };
    match what {
        "tables" => {
            if of != Of::System {
                for t in catalog.tables.values() {
                    add(table, catalog, (t.oid, t.schema, &t.name), None, out);
                }
            }
            if of != Of::User {
                for s in system_tables().iter().filter(|s| s.kind == 'r') {
                    add(table, catalog, (s.oid, s.schema, s.name), None, out);
                }
            }
        }
        "indexes" if of != Of::System => {
            for t in catalog.tables.values() {
                for i in &t.indexes {
                    add(table, catalog, (t.oid, t.schema, &t.name), Some((i.oid, &i.name)), out);
                }
            }
        }
        "sequences" if of != Of::System => {
            for s in catalog.sequences.values() {
                add(table, catalog, (s.oid, s.schema, &s.name), None, out);
            }
        }
        // System tables have no indexes here; functions of users are not counted.
        "indexes" | "sequences" => {}
        _ => return false,
    }
    true
}

fn add(table: &'static SystemTable, catalog: &Catalog, relation: (u32, u32, &str), index: Option<(u32, &str)>, out: &mut Rows) {
    let (oid, schema, name) = relation;
    let zeros = table.columns.iter().filter(|c| c.ty.oid == oid::INT8);
    let mut row: Vec<(&'static str, Datum)> = zeros.map(|c| (c.name, Datum::Int8(0))).collect();
    row.extend([
        ("relid", oid_of(oid)),
        ("schemaname", text(catalog.schema_name(schema))),
        ("relname", text(name)),
    ]);
    if let Some((oid, name)) = index {
        row.extend([("indexrelid", oid_of(oid)), ("indexrelname", text(name))]);
    }
    out.add(&row);
}
