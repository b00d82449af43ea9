//! The views of `information_schema` that tell who may do what. Nothing is granted or revoked here: an owner may do everything with what
//! is its own, as in PostgreSQL before the first GRANT.

use super::relations::owner;
use super::{Rows, text};
use curia_catalog::{Catalog, Oid};
use curia_types::Datum;

/// Privileges of a table.
const TABLE: [&str; 7] = ["INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
/// Privileges of a column.
const COLUMN: [&str; 4] = ["INSERT", "SELECT", "UPDATE", "REFERENCES"];

fn yes(b: bool) -> Datum {
    text(if b { "YES" } else { "NO" })
}

/// Adds the rows of one of these views; false for another one.
pub(super) fn produce(name: &str, catalog: &Catalog, database: &Datum, out: &mut Rows) -> bool {
    match name {
        "table_privileges" | "role_table_grants" => {
            for (schema, relation, by, _) in relations(catalog) {
                for privilege in TABLE {
                    let mut row = granted(catalog, by, privilege);
                    row.extend([
                        ("table_catalog", database.clone()),
                        ("table_schema", text(catalog.schema_name(schema))),
                        ("table_name", text(relation)),
                        ("with_hierarchy", yes(privilege == "SELECT")),
                    ]);
                    out.add(&row);
                }
            }
        }
        "column_privileges" | "role_column_grants" => {
            for (schema, relation, by, columns) in relations(catalog) {
                for column in columns {
                    for privilege in COLUMN {
                        let mut row = granted(catalog, by, privilege);
                        row.extend([
                            ("table_catalog", database.clone()),
                            ("table_schema", text(catalog.schema_name(schema))),
                            ("table_name", text(relation)),
                            ("column_name", text(column)),
                        ]);
                        out.add(&row);
                    }
                }
            }
        }
        "usage_privileges" | "role_usage_grants" => {
            for s in catalog.sequences.values() {
                let mut row = granted(catalog, s.owner, "USAGE");
                row.extend([
                    ("object_catalog", database.clone()),
                    ("object_schema", text(catalog.schema_name(s.schema))),
                    ("object_name", text(&s.name)),
                    ("object_type", text("SEQUENCE")),
                ]);
                out.add(&row);
            }
        }
        _ => return false,
    }
    true
}

fn granted(catalog: &Catalog, by: Oid, privilege: &str) -> Vec<(&'static str, Datum)> {
    vec![
        ("grantor", text(owner(catalog, by))),
        ("grantee", text(owner(catalog, by))),
        ("privilege_type", text(privilege)),
        ("is_grantable", yes(true)),
    ]
}

/// Tables and views: (schema, name, owner, columns).
fn relations(catalog: &Catalog) -> impl Iterator<Item = (Oid, &str, Oid, Vec<&str>)> {
    let tables = catalog.tables.values().map(|t| {
        let columns = t.live_columns().map(|(_, c)| c.name.as_str()).collect();
        (t.schema, t.name.as_str(), t.owner, columns)
    });
    let views = catalog.views.values().map(|v| {
        let columns = v.columns.iter().map(|c| c.name.as_str()).collect();
        (v.schema, v.name.as_str(), v.owner, columns)
    });
    tables.chain(views)
}
