//! The rows of `pg_catalog` and `information_schema`, computed from the statement's catalog version when they are read.
//!
//! Each producer gives all rows of one table as named values; what it doesn't name is NULL, or the zero of its type where PostgreSQL's
//! column is NOT NULL. Tables without a producer describe objects that Curia does not have and are empty.

mod builtin;
mod depend;
mod facts;
mod functions;
mod has_privilege;
mod information;
mod information_routines;
mod partitions;
mod privileges;
mod relations;
mod roles;
mod routines;
mod statistics;
mod timezones;
mod user_types;

pub use facts::{support_name, support_named};
pub use functions::{CatalogScope, catalog_call};

use crate::eval::Env;
use crate::exec::Exec;
use crate::rows::{Cursor, Held, Operator, Row};
use curia_bind::ir::RelColumn;
use curia_bind::viewdef::{self, ViewStyle};
use curia_catalog::system::{SystemTable, system_table};
use curia_catalog::{Catalog, Oid};
use curia_types::datum::ArrayValue;
use curia_types::{Datum, PgType, Result, SqlError, oid};
use std::sync::Arc;

/// Rows of a system view as named values.
pub type ViewRows = Vec<Vec<(&'static str, Datum)>>;

/// What the session knows and the catalog doesn't: `pg_settings`, `pg_stat_activity`, `pg_prepared_statements`, `pg_cursors`, `pg_locks`, and
/// all of the schema `curia`.
pub trait SessionViews: Send + Sync {
    /// Rows of a view as named values; `None` when the session has nothing to say about it.
    ///
    /// # Errors
    /// Whoever knows can't be asked.
    fn rows(&self, schema: &str, view: &str) -> Result<Option<ViewRows>>;
}

/// Reads a system table.
pub struct SystemScan {
    table: &'static SystemTable,
    /// Positions of the columns used.
    wanted: Vec<usize>,
    columns: Vec<RelColumn>,
}

impl SystemScan {
    /// A scan of some columns.
    pub fn new(table: Oid, columns: &[(usize, RelColumn)]) -> Result<SystemScan> {
        let table = system_table(table).ok_or_else(|| SqlError::internal(format!("there is no system table {table}")))?;
        Ok(SystemScan {
            table,
            wanted: columns.iter().map(|(i, _)| *i).collect(),
            columns: columns.iter().map(|(_, c)| c.clone()).collect(),
        })
    }
}

impl Operator for SystemScan {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let rows = rows(self.table, env.exec)?;
        let picked: Vec<Row> = rows
            .into_iter()
            .map(|r| self.wanted.iter().map(|i| r[*i].clone()).collect())
            .collect();
        Ok(Box::new(Held(picked.into_iter())))
    }
    fn describe(&self) -> String {
        format!("System Scan on {}", self.table.name)
    }
}

/// All rows of a system table.
fn rows(table: &'static SystemTable, exec: &Exec) -> Result<Vec<Row>> {
    let mut out = Rows { table, rows: Vec::new() };
    if let Some(views) = exec.session_views()
        && let Some(rows) = views.rows(table.schema_name, table.name)?
    {
        rows.iter().for_each(|r| out.add(r));
        return Ok(out.rows);
    }
    let catalog = &*exec.catalog;
    if table.schema_name == "information_schema" {
        information::produce(table.name, catalog, exec, &mut out);
    } else {
        let produced = timezones::produce(table.name, exec, &mut out)
            || statistics::produce(table, catalog, &mut out)
            || relations::produce(table.name, catalog, exec, &mut out)
            || roles::produce(table.name, catalog, &mut out);
        if !produced {
            builtin::produce(table.name, &mut out);
        }
        user_types::produce(table.name, catalog, &mut out);
        if table.name == "pg_proc" {
            routines::produce(catalog, &mut out);
        }
        facts::produce(table.name, &mut out);
        privileges::fill(table, catalog, &mut out.rows);
    }
    Ok(out.rows)
}

/// Collects rows of one table.
pub(crate) struct Rows {
    table: &'static SystemTable,
    rows: Vec<Row>,
}

impl Rows {
    /// Adds a row of named values.
    pub(crate) fn add(&mut self, values: &[(&'static str, Datum)]) {
        let mut row: Row = self
            .table
            .columns
            .iter()
            .map(|c| if c.not_null { zero(c.ty) } else { Datum::Null })
            .collect();
        for (name, value) in values {
            if let Some(i) = self.table.column(name) {
                row[i] = value.clone();
            }
        }
        self.rows.push(row);
    }
}

/// The value of a NOT NULL column that a producer doesn't name.
fn zero(ty: PgType) -> Datum {
    match ty.oid {
        oid::BOOL => Datum::Bool(false),
        oid::INT2 => Datum::Int2(0),
        oid::INT4 => Datum::Int4(0),
        oid::INT8 => Datum::Int8(0),
        oid::FLOAT4 => Datum::Float4(0.0),
        oid::FLOAT8 => Datum::Float8(0.0),
        oid::OID | oid::REGPROC | oid::REGCLASS | oid::REGTYPE => Datum::Oid(0),
        oid::INT2VECTOR => int2s(&[]),
        oid::OIDVECTOR => oids(&[]),
        oid::NAME | oid::TEXT | oid::CHAR | oid::VARCHAR => text(""),
        _ => Datum::Null,
    }
}

/// `pg_get_viewdef` of a view or a materialized view; `None` for another relation.
pub(crate) fn view_definition(catalog: &Catalog, search_path: &[String], relation: Oid, style: ViewStyle) -> Option<String> {
    let view = match catalog.views.get(&relation) {
        Some(view) => view.clone(),
        None => Arc::new(catalog.tables.get(&relation)?.as_view()?),
    };
    Some(viewdef::shown(catalog, search_path, &view, style))
}

/// `pg_get_viewdef(oid)`, for the catalogs' own views.
fn shown_view(exec: &Exec, view: Oid) -> Datum {
    exec.context
        .session_call(PG_GET_VIEWDEF, &[Datum::Oid(view)])
        .unwrap_or(Datum::Null)
}

/// `pg_proc.oid` of `pg_get_viewdef(oid)`.
const PG_GET_VIEWDEF: u32 = 1641;
const PLAIN: ViewStyle = ViewStyle { pretty: false, wrap: 0 };

pub(crate) fn text(s: impl AsRef<str>) -> Datum {
    Datum::text(s)
}
pub(crate) fn oid_of(v: u32) -> Datum {
    Datum::Oid(v)
}
pub(crate) fn flag(v: bool) -> Datum {
    Datum::Bool(v)
}
pub(crate) fn int2(v: impl Into<i64>) -> Datum {
    Datum::Int2(v.into() as i16)
}
pub(crate) fn int4(v: i32) -> Datum {
    Datum::Int4(v)
}
/// An int2vector: an array that counts from 0.
pub(crate) fn int2s(v: &[i16]) -> Datum {
    vector(oid::INT2, v.iter().map(|i| Datum::Int2(*i)).collect())
}
/// An oidvector.
pub(crate) fn oids(v: &[u32]) -> Datum {
    vector(oid::OID, v.iter().map(|i| Datum::Oid(*i)).collect())
}
fn vector(element: u32, elements: Vec<Datum>) -> Datum {
    Datum::Array(Arc::new(ArrayValue {
        element,
        dimensions: vec![(elements.len() as i32, 0)],
        elements,
    }))
}
