//! CREATE TABLE.

use crate::Ddl;
use crate::column::{MAX_COLUMNS, too_many_columns};
use crate::constraint::{self, Unique, WrittenKind};
use crate::names::relation_exists;
use curia_catalog::{Change, Table};
use curia_parse::ast::{CreateTable, OnCommit, StatementOption};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(crate) async fn create_table(&mut self, s: &CreateTable) -> Result<()> {
        // UNLOGGED is accepted and means more than it asks: the table survives a crash.
        if let (Some(_), Some(o)) = (&s.partition_by, s.options.first()) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized parameter \"{}\"", o.name),
            ));
        }
        check_storage_options(&s.options)?;
        if let Some(tablespace) = &s.tablespace
            && !matches!(tablespace.name.as_str(), "pg_default")
        {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("tablespace \"{}\" does not exist", tablespace.name),
            ));
        }
        let placed = |e: SqlError| {
            if e.code() == SqlState::INSUFFICIENT_PRIVILEGE {
                e.at(Some(s.name.pos()))
            } else {
                e
            }
        };
        let schema = self.creation_schema(&s.name, s.persistence).map_err(placed)?;
        if s.on_commit.is_some() && !self.catalog().is_temporary(schema.oid) {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "ON COMMIT can only be used on temporary tables",
            ));
        }
        let name = s.name.name().to_owned();
        // Two transactions that create one name: the second waits for the first, then sees it.
        self.lock_name(schema.oid, &name).await?;
        if self.catalog().relation_in(schema.oid, &name).is_some() {
            let exists = relation_exists(&name);
            if !s.if_not_exists {
                return Err(exists);
            }
            self.notices
                .push(SqlError::new(SqlState::DUPLICATE_TABLE, format!("{}, skipping", exists.message())));
            return Ok(());
        }
        let (mut s, rest) = self.expand_like(s)?;
        self.check_row_type_name(schema.oid, &name)?;
        let parents = self.parents_of(&s, schema.oid).await?;
        self.own_columns(&mut s, &parents)?;
        if s.columns.len() > MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let mut new = self.merged_columns(&name, &s.columns, &parents)?;
        let place = match (&s.partition_of, parents.as_slice()) {
            (Some(of), [parent]) => {
                let bound = self.partition_bound(parent, &of.bound).await?;
                self.check_bound(parent, &name, &bound, &of.bound)?;
                Some((parent.clone(), bound))
            }
            _ => None,
        };
        let oid = self.new_oid()?;
        let (row_type, row_array) = (self.new_oid()?, self.new_oid()?);
        let storage = self.new_storage()?;
        for column in &mut new {
            self.add_column_sequence(schema.oid, (oid, &name), column).await?;
        }
        let mut table = Table {
            oid,
            schema: schema.oid,
            name,
            owner: self.env.role,
            row_type,
            row_array,
            columns: new.into_iter().map(|n| n.column).collect(),
            storage,
            row_key: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            on_commit: match s.on_commit {
                Some(OnCommit::DeleteRows) => Some(curia_catalog::OnCommit::DeleteRows),
                Some(OnCommit::Drop) => Some(curia_catalog::OnCommit::Drop),
                Some(OnCommit::PreserveRows) | None => None,
            },
            materialized: None,
            parents: parents.iter().map(|p| p.oid).collect(),
            partition_key: None,
            partition_bound: place.as_ref().map(|(parent, bound)| {
                let types = parent.partition_key.as_ref().map(|k| k.types(parent));
                bound.encode(&types.unwrap_or_default())
            }),
        };
        self.set_own_generated(&mut table, &s.columns)?;
        if let Some(by) = &s.partition_by {
            table.partition_key = Some(self.partition_key(&table, by)?);
        }
        self.take_checks(&mut table, &parents)?;
        let mut written: Vec<_> = s.columns.iter().flat_map(constraint::of_column).collect();
        for c in &s.constraints {
            written.push(constraint::of_table(c)?);
        }
        // The primary key comes first, then the other indexes in the order written; names are chosen in that order, as in PostgreSQL.
        // Foreign keys are added to the table that exists, which they may refer to.
        let (keys, others): (Vec<_>, Vec<_>) = written.into_iter().partition(|w| matches!(w.kind, WrittenKind::Unique(_)));
        let mut references = Vec::new();
        for w in others {
            match w.kind {
                WrittenKind::Check { expr, attributes } => {
                    if self.merge_own_check(&mut table, w.name, expr, attributes)? {
                        continue;
                    }
                    let mut check = self.new_check(&table, w.name, expr, attributes, Some(w.pos)).await?;
                    // No row of a new table can violate it.
                    check.not_valid = false;
                    table.constraints.push(check);
                }
                WrittenKind::ForeignKey { .. } => references.push(w),
                _ => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot use an existing index in CREATE TABLE").at(Some(w.pos))),
            }
        }
        let (primary, others): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|w| matches!(w.kind, WrittenKind::Unique(Unique { primary: true, .. })));
        for w in primary.into_iter().chain(others) {
            let WrittenKind::Unique(unique) = w.kind else { continue };
            let (constraint, mut index) = self.new_unique(&mut table, w.name, &unique, Some(w.pos)).await?;
            if unique.primary && !index.deferrable {
                table.row_key = index.columns().collect();
            } else {
                index.storage = Some(self.new_storage()?);
            }
            table.indexes.push(index);
            table.constraints.push(constraint);
        }
        self.change(Change::put(table))?;
        if let Some((parent, bound)) = place {
            self.give_parts(parent.oid, oid).await?;
            self.check_default_partition(&parent, &bound).await?;
        }
        for w in references {
            self.add_foreign_key(oid, &w, true).await?;
        }
        self.finish_like(oid, rest).await
    }
}

/// Storage parameters are checked by name. They tune a heap that Curia does not have, so none has an effect.
pub(crate) fn check_storage_options(options: &[StatementOption]) -> Result<()> {
    for o in options {
        if o.name == "oids" {
            if matches!(o.value.as_deref(), Some("false" | "off" | "0")) {
                continue;
            }
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "tables declared WITH OIDS are not supported",
            ));
        }
        let known = matches!(
            o.name.as_str(),
            "fillfactor"
                | "parallel_workers"
                | "toast_tuple_target"
                | "user_catalog_table"
                | "vacuum_truncate"
                | "vacuum_index_cleanup"
                | "log_autovacuum_min_duration"
        ) || o.name.starts_with("autovacuum_")
            || o.name.starts_with("toast.");
        if !known {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized parameter \"{}\"", o.name),
            ));
        }
        if o.name == "fillfactor" {
            let value = o.value.as_deref().unwrap_or("true");
            match value.parse::<i64>() {
                Ok(10..=100) => {}
                Ok(_) => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("value {value} out of bounds for option \"fillfactor\""),
                    )
                    .detail("Valid values are between \"10\" and \"100\"."));
                }
                Err(_) => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("invalid value for integer option \"fillfactor\": {value}"),
                    ));
                }
            }
        }
    }
    Ok(())
}
