//! What binding may look at.

use curia_catalog::Catalog;
use curia_catalog::Oid;
use curia_types::IoContext;
use std::sync::Arc;

/// The surroundings of a statement.
#[derive(Clone, Copy)]
pub struct BindContext<'a> {
    /// The catalog version to bind to.
    pub catalog: &'a Catalog,
    /// Schemas of `search_path` in order, `$user` replaced; `pg_catalog` is searched first unless it is listed.
    pub search_path: &'a [String],
    /// Session's database name (three-part names must say it).
    pub database: &'a str,
    /// Types of parameters as a client declared them (0: to be inferred); `None` where parameters may not occur (simple queries).
    pub params: Option<&'a [u32]>,
    /// How literals of dates, intervals and names are read.
    pub io: &'a IoContext,
    /// Adds the row keys of the tables that a plain query reads to its result: a cursor's rows can be changed by them.
    pub row_keys: bool,
    /// The current role, whose rights are to be checked; `None` for what the system itself asks.
    pub role: Option<Oid>,
    /// The cursor that WHERE CURRENT OF names; `None` when there is none of that name.
    pub cursor: Option<&'a CursorRow>,
}

impl<'a> BindContext<'a> {
    /// The surroundings of what definitions hold: no session, no parameters, no cursor.
    pub(crate) fn of_definitions(catalog: &'a Catalog, search_path: &'a [String], io: &'a IoContext) -> BindContext<'a> {
        BindContext {
            catalog,
            search_path,
            database: "",
            params: None,
            io,
            row_keys: false,
            role: None,
            cursor: None,
        }
    }
}

/// Where a cursor stands, for WHERE CURRENT OF.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CursorRow {
    /// It outlived the transaction that made it.
    pub held: bool,
    /// The tables that it reads, each with the key of its row that the cursor stands on; `None` where it stands on none.
    pub keys: Vec<(Oid, Option<Arc<[u8]>>)>,
    /// Not asked to stand on a row: the statement is only being prepared.
    pub preparing: bool,
}
