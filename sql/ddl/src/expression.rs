//! Types and expressions in DDL: bound by `curia-bind` to check them, kept as normalised SQL text.

use crate::Ddl;
use curia_catalog::{Oid, Table};
use curia_parse::ast::{Expr, ExprKind, Literal, TypeName};
use curia_types::geometry::is_geometric;
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};

impl Ddl<'_> {
    /// A type by name.
    pub(crate) fn resolve_type(&self, name: &TypeName) -> Result<PgType> {
        curia_bind::ddl::resolve_type(&self.catalog(), self.env.search_path, name)
    }

    /// A DEFAULT expression's text, checked to be assignable to the column.
    pub(crate) fn default_text(&self, expr: &Expr, column: &str, ty: PgType) -> Result<String> {
        self.placed(curia_bind::ddl::default_text(
            &self.catalog(),
            self.env.search_path,
            expr,
            column,
            ty,
        ))
    }

    /// The same to be kept. NULL is no default at all where nothing remains to be computed: of a domain, which may have another, and of a type of
    /// some length PostgreSQL keeps it.
    pub(crate) fn column_default(&self, expr: &Expr, column: &str, ty: PgType) -> Result<Option<String>> {
        let text = self.default_text(expr, column, ty)?;
        let is_domain = self.catalog().types.get(&ty.oid).is_some_and(|t| t.domain().is_some());
        let is_nothing = !is_domain && (ty.typmod < 0 || ty.oid == oid::INTERVAL) && matches!(expr.kind, ExprKind::Literal(Literal::Null));
        Ok((!is_nothing).then_some(text))
    }

    /// A CHECK expression's text over the table, and the columns (indexes into `Table::columns`) it mentions.
    pub(crate) fn check_text(&self, expr: &Expr, table: &Table) -> Result<(String, Vec<usize>)> {
        self.placed(curia_bind::ddl::check_text(&self.catalog(), self.env.search_path, expr, table))
    }

    pub(crate) fn placed<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|e| if self.altering { e.nowhere() } else { e })
    }

    /// Types that rows can hold.
    pub(crate) fn check_storable(&self, ty: PgType) -> Result<()> {
        if curia_storage::row::storable(ty.oid) {
            return Ok(());
        }
        Err(SqlError::unsupported(format!(
            "a column of type {}",
            type_info::format_type(ty.oid, ty.typmod)
        )))
    }

    /// Types that keys can hold.
    pub(crate) fn check_orderable(&self, ty: PgType) -> Result<()> {
        let shown = || type_info::format_type(ty.oid, ty.typmod);
        if ty.oid == oid::JSON || is_geometric(ty.oid) {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("data type {} has no default operator class for access method \"btree\"", shown()),
            )
            .hint("You must specify an operator class for the index or define a default operator class for the data type."));
        }
        if curia_storage::key::orderable(ty.oid) {
            return Ok(());
        }
        Err(SqlError::unsupported(format!("an index on a column of type {}", shown())))
    }
}

/// The default of a serial column: mentions its sequence by OID, so that renaming the sequence changes nothing.
pub(crate) fn nextval_text(sequence: Oid) -> String {
    format!("nextval('{sequence}'::regclass)")
}
