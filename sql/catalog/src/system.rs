//! The static definitions of `pg_catalog` and `information_schema`: names, OIDs and columns as PostgreSQL 15 has them; and of the
//! schema `curia`, whose views show the cluster (`system/curia.tsv`). Nobody stores that schema: it is there in every catalog.
//!
//! They are data (`system/columns.tsv` and `system/indexes.tsv`, written by `system_facts.sh` from a running PostgreSQL); the rows are computed by
//! `curia-execute`, which shows nothing for those that describe objects Curia does not have yet. Types that only PostgreSQL's
//! inside uses (`pg_lsn`) are shown as text, `xid` as oid.

use crate::Oid;
use curia_types::PgType;
use std::collections::HashMap;
use std::sync::LazyLock;

mod indexes;

pub use crate::lookup::{CURIA, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC};
pub use indexes::{SystemIndex, system_indexes};

/// A system table or view.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemTable {
    /// `pg_class.oid`
    pub oid: Oid,
    /// [`PG_CATALOG`], [`INFORMATION_SCHEMA`] or [`CURIA`].
    pub schema: Oid,
    /// Name of that schema.
    pub schema_name: &'static str,
    /// `relname`
    pub name: &'static str,
    /// `relkind`: `r` or `v`.
    pub kind: char,
    /// `reltype`
    pub row_type: Oid,
    /// Columns in attnum order.
    pub columns: Vec<SystemColumn>,
}

/// A column of a system table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SystemColumn {
    /// `attname`
    pub name: &'static str,
    /// Type with modifier.
    pub ty: PgType,
    /// NOT NULL.
    pub not_null: bool,
}

impl SystemTable {
    /// Position of a column in `columns`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}

struct Index {
    tables: Vec<SystemTable>,
    by_oid: HashMap<Oid, usize>,
    by_name: HashMap<(&'static str, &'static str), usize>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut tables: Vec<SystemTable> = Vec::new();
    for line in include_str!("system/columns.tsv")
        .lines()
        .chain(include_str!("system/curia.tsv").lines())
    {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or("");
        let (schema_name, name, oid, kind, row_type) = (next(), next(), number(next()), next(), number(next()));
        let column = SystemColumn {
            name: next(),
            ty: PgType {
                oid: number(next()),
                typmod: next().parse().unwrap_or(-1),
            },
            not_null: next() == "t",
        };
        match tables.last_mut() {
            Some(t) if t.oid == oid => t.columns.push(column),
            _ => tables.push(SystemTable {
                oid,
                schema: match schema_name {
                    "pg_catalog" => PG_CATALOG,
                    "curia" => CURIA,
                    _ => INFORMATION_SCHEMA,
                },
                schema_name,
                name,
                kind: kind.chars().next().unwrap_or('r'),
                row_type,
                columns: vec![column],
            }),
        }
    }
    let by_oid = tables.iter().enumerate().map(|(i, t)| (t.oid, i)).collect();
    let by_name = tables.iter().enumerate().map(|(i, t)| ((t.schema_name, t.name), i)).collect();
    Index { tables, by_oid, by_name }
});

/// A number of the committed data file; a test reads every line, so a malformed one cannot reach a server.
fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

/// Whether a schema is the system's: nobody creates or drops anything in it.
pub fn is_system_schema(name: &str) -> bool {
    matches!(name, "pg_catalog" | "information_schema" | "curia")
}

/// Every system table, by schema and name.
pub fn system_tables() -> &'static [SystemTable] {
    &INDEX.tables
}

/// A system table by OID.
pub fn system_table(oid: Oid) -> Option<&'static SystemTable> {
    INDEX.by_oid.get(&oid).map(|&i| &INDEX.tables[i])
}

/// A system table by schema name and name.
pub fn system_table_named(schema: &str, name: &str) -> Option<&'static SystemTable> {
    INDEX.by_name.get(&(schema, name)).map(|&i| &INDEX.tables[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_is_a_column_with_a_type() {
        for table in system_tables() {
            assert!(table.oid != 0 && table.row_type != 0 && !table.name.is_empty(), "{table:?}");
            assert!(table.columns.iter().all(|c| c.ty.oid != 0 && !c.name.is_empty()), "{table:?}");
        }
    }

    #[test]
    fn system_tables_are_found_by_name_and_by_oid() {
        let class = system_table_named("pg_catalog", "pg_class").unwrap();
        assert_eq!(class.oid, 1259);
        assert_eq!(system_table(1259), Some(class));
        assert_eq!(class.columns[class.column("relname").unwrap()].ty, PgType::NAME);
        assert!(system_table_named("information_schema", "columns").is_some());
        assert!(system_table_named("pg_catalog", "nothing").is_none());
    }
}
