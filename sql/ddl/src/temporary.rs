//! Temporary relations: the schema that a session keeps them in, and what a commit and the session's end do to them.

use crate::Ddl;
use curia_bind::ddl::ViewShape;
use curia_catalog::{Catalog, Change, OnCommit, Relation, Rights, Schema, Table, temporary};
use curia_parse::ObjectName;
use curia_parse::ast::Persistence;
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

impl Ddl<'_> {
    /// The session's temporary schema if that is where a relation of this name goes; made when it is first needed.
    pub(crate) fn temporary_creation_schema(&mut self, name: &ObjectName, persistence: Persistence) -> Result<Option<Arc<Schema>>> {
        let invalid = |message: &str| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
        let own = match name.schema() {
            Some(schema) => schema == temporary::ALIAS || schema == self.env.temporary,
            None => persistence == Persistence::Temporary || self.env.temporary_first,
        };
        if own {
            if persistence == Persistence::Unlogged {
                return Err(invalid("only temporary relations may be created in temporary schemas"));
            }
            return self.temporary_schema().map(Some);
        }
        if persistence == Persistence::Temporary {
            return Err(invalid("cannot create temporary relation in non-temporary schema").at(Some(name.pos())));
        }
        match name.schema() {
            Some(other) if temporary::is_temporary(other) => {
                Err(invalid("cannot create relations in temporary schemas of other sessions").at(Some(name.pos())))
            }
            _ => Ok(None),
        }
    }

    /// Whether the session has temporary relations, or had some.
    pub fn has_temporary(&self) -> bool {
        self.catalog().schema(self.env.temporary).is_some()
    }

    fn temporary_schema(&mut self) -> Result<Arc<Schema>> {
        let name = self.env.temporary;
        if let Some(schema) = self.catalog().schema(name) {
            return Ok(schema.clone());
        }
        let catalog = self.catalog();
        if let Some(database) = catalog.databases.values().next()
            && self.must_have(database.oid, Rights::TEMPORARY).is_err()
        {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to create temporary tables in database \"{}\"", database.name),
            ));
        }
        let oid = self.new_oid()?;
        self.change(Change::put(Schema {
            oid,
            name: name.to_owned(),
            owner: self.env.role,
        }))?;
        self.schema_named(name)
    }

    /// Whether a view over these relations goes with the session.
    pub(crate) fn reads_temporary(&self, shape: &ViewShape) -> bool {
        let catalog = self.catalog();
        let schemas = shape.relations.iter().filter_map(|r| catalog.relation_by_oid(r.oid));
        schemas.map(|(schema, ..)| schema).any(|schema| catalog.is_temporary(schema))
    }

    pub(crate) fn refuse_moving_temporary(&self, relation: Relation) -> Result<()> {
        let catalog = self.catalog();
        match catalog.relation_by_oid(relation.oid()) {
            Some((schema, ..)) if catalog.is_temporary(schema) => Err(moves_temporary()),
            _ => Ok(()),
        }
    }

    /// What ON COMMIT says of the session's temporary tables: to be run as the last of a transaction.
    ///
    /// # Errors
    /// Those of the catalog and of reading; the transaction must not commit then.
    pub async fn before_commit(&mut self) -> Result<()> {
        let Ok(schema) = self.schema_named(self.env.temporary) else {
            return Ok(());
        };
        let catalog = self.catalog();
        let tables = catalog.tables.values().filter(|t| t.schema == schema.oid);
        let (dropped, emptied): (Vec<&Arc<Table>>, Vec<&Arc<Table>>) = tables
            .filter(|t| t.on_commit.is_some())
            .partition(|t| t.on_commit == Some(OnCommit::Drop));
        let defining = catalog.version & Catalog::PRIVATE != 0;
        let going: Vec<_> = emptied.iter().map(|t| t.oid).collect();
        for table in emptied {
            let holds_rows = self.holds_rows(table)?;
            if (holds_rows || defining)
                && let Some((other, ..)) = catalog.references_to(table.oid).find(|(t, ..)| !going.contains(&t.oid))
            {
                let message = "unsupported ON COMMIT and foreign key combination";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(format!(
                    "Table \"{}\" references \"{}\", but they do not have the same ON COMMIT setting.",
                    other.name, table.name
                )));
            }
            if holds_rows {
                self.lock_table(table.oid, TableLock::AccessExclusive).await?;
                self.empty(table.oid)?;
            }
        }
        if !dropped.is_empty() {
            let targets = dropped.iter().map(|t| Relation::Table(t.oid)).collect();
            self.drop_relations(targets, Vec::new(), true).await?;
            self.notices.clear();
        }
        Ok(())
    }

    /// Drops a temporary schema, with everything in it, quietly.
    ///
    /// # Errors
    /// Those of the catalog and of locks.
    pub async fn drop_temporary(&mut self, schema: &str) -> Result<()> {
        let Some(schema) = self.catalog().schema(schema).cloned() else {
            return Ok(());
        };
        let schemas = vec![schema];
        let contents = self.contents(&schemas);
        self.drop_with_contents(schemas, contents, true).await?;
        self.notices.clear();
        Ok(())
    }
}

pub(crate) fn moves_temporary() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "cannot move objects into or out of temporary schemas",
    )
}
