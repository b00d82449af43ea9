//! Materialized views: tables that a query fills, when they are made and at each REFRESH.

use crate::Ddl;
use crate::column::{MAX_COLUMNS, too_many_columns};
use crate::depend::Dependent;
use crate::names::relation_exists;
use crate::table::check_storage_options;
use curia_catalog::{Change, Materialized, Relation, Table};
use curia_parse::ast::{AlterTableAction as Action, ColumnDef, CreateTableAs, Ident, Persistence, RefreshMaterializedView, TableSource};
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

impl Ddl<'_> {
    pub(crate) async fn create_materialized(&mut self, c: &CreateTableAs) -> Result<()> {
        let TableSource::Query { query, text } = &c.source else {
            return Err(SqlError::unsupported("CREATE MATERIALIZED VIEW AS EXECUTE"));
        };
        check_storage_options(&c.options)?;
        let shape = self.locked_shape(query, text).await?;
        if self.reads_temporary(&shape) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "materialized views must not use temporary tables or views",
            ));
        }
        let name = c.name.name().to_owned();
        let schema = self.creation_schema(&c.name, Persistence::Permanent)?;
        self.lock_name(schema.oid, &name).await?;
        if self.catalog().relation_in(schema.oid, &name).is_some() {
            let exists = relation_exists(&name);
            if !c.if_not_exists {
                return Err(exists);
            }
            self.notices
                .push(SqlError::new(SqlState::DUPLICATE_TABLE, format!("{}, skipping", exists.message())));
            return Ok(());
        }
        if c.columns.len() > shape.columns.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "too many column names were specified"));
        }
        if shape.columns.len() > MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let mut columns: Vec<curia_catalog::Column> = Vec::with_capacity(shape.columns.len());
        for (i, output) in shape.columns.iter().enumerate() {
            let column = c.columns.get(i).map_or(&output.name, |n| &n.name);
            if columns.iter().any(|c| c.name == *column) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{column}\" specified more than once"),
                ));
            }
            let def = ColumnDef {
                name: Ident {
                    name: column.clone(),
                    pos: 0,
                },
                ty: curia_parse::parse_type(&curia_bind::ddl::type_text(output.ty))?,
                collation: None,
                constraints: Vec::new(),
            };
            columns.push(self.new_column(&name, i + 1, &def)?.column);
        }
        let oid = self.new_oid()?;
        let table = Table {
            oid,
            schema: schema.oid,
            name,
            owner: self.env.role,
            row_type: self.new_oid()?,
            row_array: self.new_oid()?,
            columns,
            storage: self.new_storage()?,
            row_key: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            on_commit: None,
            materialized: Some(Materialized {
                query: text.clone(),
                relations: shape.relations,
                populated: c.with_data,
            }),
            parents: Vec::new(),
            partition_key: None,
            partition_bound: None,
        };
        self.change(Change::put(table.clone()))?;
        if c.with_data {
            self.filled = Some(self.fill_materialized(&table).await?);
        }
        Ok(())
    }

    pub(crate) async fn refresh(&mut self, s: &RefreshMaterializedView) -> Result<()> {
        if s.concurrently && !s.with_data {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "CONCURRENTLY and WITH NO DATA options cannot be used together",
            ));
        }
        let no = || {
            SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("\"{}\" is not a materialized view", s.name.name()),
            )
        };
        let Relation::Table(oid) = self.find_relation(&s.name)? else {
            return Err(no());
        };
        self.must_own(oid)?;
        // CONCURRENTLY too waits for readers: they hold their locks until their transactions end only.
        self.lock_table(oid, TableLock::AccessExclusive).await?;
        let old = self.table(oid)?;
        let Some(materialized) = &old.materialized else { return Err(no()) };
        if s.concurrently {
            if !materialized.populated {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "CONCURRENTLY cannot be used when the materialized view is not populated",
                ));
            }
            if !old.indexes.iter().any(|i| i.unique && !i.incomplete) {
                let shown = self.qualified(&old);
                return Err(SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("cannot refresh materialized view \"{shown}\" concurrently"),
                )
                .hint("Create a unique index with no WHERE clause on one or more columns of the materialized view."));
            }
        }
        let mut new = (*old).clone();
        if let Some(materialized) = &mut new.materialized {
            materialized.populated = s.with_data;
        }
        self.fresh_storages(&mut new).await?;
        if s.with_data {
            self.fill_materialized(&new).await?;
        }
        self.retire(&old)?;
        self.change(Change::put(new))
    }

    /// Fills the storages of a materialized view by its query; gives the number of rows.
    async fn fill_materialized(&mut self, table: &Table) -> Result<u64> {
        let view = table
            .as_view()
            .ok_or_else(|| SqlError::internal("a table is no materialized view"))?;
        let rows = self.queries.open_view(self.tx, Arc::new(view)).await?;
        self.fill_with(table, rows).await
    }

    pub(crate) fn dependent_materialized(&self, table: &Table, on: String) -> Dependent {
        Dependent::relation(
            Relation::Table(table.oid),
            format!("materialized view {}", self.shown(table.schema, &table.name)),
            on,
        )
    }
}

/// Whether ALTER does this to a materialized view; named as PostgreSQL names what it does not.
pub(crate) fn refuse_action(table: &Table, action: &Action) -> Result<()> {
    let what = match action {
        Action::RenameTo(_)
        | Action::RenameColumn(..)
        | Action::SetSchema(_)
        | Action::OwnerTo(_)
        | Action::SetOptions(_)
        | Action::ResetOptions(_)
        | Action::SetStatistics(_)
        | Action::SetStorage(_)
        | Action::SetTablespace(_)
        | Action::Cluster => return Ok(()),
        Action::AddColumn { .. } => "ADD COLUMN",
        Action::DropColumn { .. } => "DROP COLUMN",
        Action::SetDefault(..) | Action::DropDefault(_) => "ALTER COLUMN ... SET DEFAULT",
        Action::SetNotNull(_) => "ALTER COLUMN ... SET NOT NULL",
        Action::DropNotNull(_) => "ALTER COLUMN ... DROP NOT NULL",
        Action::SetType { .. } => "ALTER COLUMN ... TYPE",
        Action::AddConstraint(_) => "ADD CONSTRAINT",
        Action::DropConstraint { .. } => "DROP CONSTRAINT",
        _ => "of this form",
    };
    Err(SqlError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("ALTER action {what} cannot be performed on relation \"{}\"", table.name),
    )
    .detail("This operation is not supported for materialized views."))
}
