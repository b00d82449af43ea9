//! CREATE INDEX.

use crate::Ddl;
use crate::constraint::joined;
use crate::names::relation_exists;
use crate::table::check_storage_options;
use curia_catalog::{Change, Index, IndexKey, choose_name};
use curia_parse::ast::{CreateIndex, ExprKind};
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};

/// Most key columns of an index, as in PostgreSQL.
const MAX_KEYS: usize = 32;

impl Ddl<'_> {
    /// CONCURRENTLY is accepted and builds in the ordinary way: it blocks writers of the table, never readers.
    pub(crate) async fn create_index(&mut self, s: &CreateIndex) -> Result<()> {
        if let Some(method) = &s.method
            && method.name != "btree"
        {
            let known = matches!(method.name.as_str(), "hash" | "gin" | "gist" | "brin" | "spgist");
            return Err(if known {
                SqlError::unsupported(format!("access method \"{}\"", method.name))
            } else {
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("access method \"{}\" does not exist", method.name),
                )
            });
        }
        if s.filter.is_some() {
            return Err(SqlError::unsupported("a partial index"));
        }
        if !s.include.is_empty() {
            return Err(SqlError::unsupported("INCLUDE columns of an index"));
        }
        if s.nulls_not_distinct {
            return Err(SqlError::unsupported("NULLS NOT DISTINCT"));
        }
        check_storage_options(&s.options)?;
        if s.keys.len() > MAX_KEYS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("cannot use more than {MAX_KEYS} columns in an index"),
            ));
        }
        let table = self.find_indexed(&s.table)?;
        // PostgreSQL takes SHARE. Here a table is one catalog object with its indexes, so two builds at once would lose one of them.
        self.lock_table(table.oid, TableLock::ShareRowExclusive).await?;
        // The table as it is now that nobody changes it any more.
        let mut table = (*self.table(table.oid)?).clone();
        let mut keys = Vec::with_capacity(s.keys.len());
        for element in &s.keys {
            let ExprKind::Column(name) = &element.expr.kind else {
                return Err(SqlError::unsupported("an index on an expression").at(Some(element.expr.pos)));
            };
            if let Some(opclass) = &element.opclass {
                return Err(SqlError::unsupported(format!("operator class \"{opclass}\"")));
            }
            let Some((column, found)) = table.column(&name[name.len() - 1].name) else {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" does not exist", name[name.len() - 1].name),
                ));
            };
            self.check_orderable(found.ty)?;
            keys.push(IndexKey {
                column,
                descending: element.descending,
                nulls_first: element.nulls_first.unwrap_or(element.descending),
            });
        }
        let catalog = self.catalog();
        let name = match &s.name {
            Some(name) => {
                self.lock_name(table.schema, &name.name).await?;
                if self.catalog().relation_in(table.schema, &name.name).is_some() {
                    let exists = relation_exists(&name.name);
                    if !s.if_not_exists {
                        return Err(exists);
                    }
                    self.notices
                        .push(SqlError::new(SqlState::DUPLICATE_TABLE, format!("{}, skipping", exists.message())));
                    return Ok(());
                }
                name.name.clone()
            }
            None => {
                let names: Vec<&str> = keys.iter().map(|k| table.columns[k.column].name.as_str()).collect();
                choose_name(&table.name, Some(&joined(&names)), "idx", |n| {
                    catalog.relation_in(table.schema, n).is_some()
                })
            }
        };
        let index = Index {
            oid: self.new_oid()?,
            name,
            storage: Some(self.new_storage()?),
            keys,
            unique: s.unique,
            primary: false,
        };
        self.fill_index(&table, &index).await?;
        table.indexes.push(index);
        self.change(Change::put(table))
    }
}
