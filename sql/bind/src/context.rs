//! What binding may look at.

use curia_catalog::Catalog;
use curia_types::IoContext;

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
}
