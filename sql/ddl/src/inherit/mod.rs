//! Table inheritance, and what partitions share with it: columns and CHECK constraints that a table has from its parents.
//!
//! - `create`: the columns and constraints of a table that is made with parents.
//! - `family`: ALTER TABLE of a table and what is below it.
//! - this module: INHERIT and NO INHERIT, and what a table that exists needs to become a child.
//!
//! A child's column is its parent's of the same name, wherever it stands. [`curia_catalog::Origin`] counts how many parents have it.

mod create;
mod family;

pub(crate) use family::By;

use crate::Ddl;
use crate::names::no_relation;
use curia_catalog::temporary::is_temporary;
use curia_catalog::{Change, ConstraintKind, Oid, Relation, Table};
use curia_parse::ObjectName;
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    fn parent_named(&self, name: &ObjectName) -> Result<Oid> {
        match self.lookup(name)? {
            Some(Relation::Table(oid)) => Ok(oid),
            Some(_) => Err(wrong_type(format!("\"{}\" is not a table or foreign table", name.name()))),
            None => Err(no_relation(name)),
        }
    }

    /// ALTER TABLE .. INHERIT
    pub(crate) async fn add_parent(&mut self, mut table: Table, name: &ObjectName) -> Result<()> {
        if table.is_partition() {
            return Err(wrong_type("cannot change inheritance of a partition".to_owned()));
        }
        if table.is_partitioned() {
            return Err(wrong_type("cannot change inheritance of partitioned table".to_owned()));
        }
        let parent = self.parent_named(name)?;
        self.lock_table(parent, TableLock::ShareUpdateExclusive).await?;
        self.must_own(parent)?;
        let parent = self.table(parent)?;
        if parent.materialized.is_some() {
            return Err(wrong_type(format!("\"{}\" is not a table or foreign table", parent.name)));
        }
        let temporary = |t: &Table| is_temporary(self.catalog().schema_name(t.schema));
        if temporary(&parent) && !temporary(&table) {
            return Err(wrong_type(format!("cannot inherit from temporary relation \"{}\"", parent.name)));
        }
        if parent.is_partitioned() {
            return Err(wrong_type(format!("cannot inherit from partitioned table \"{}\"", parent.name)));
        }
        if parent.is_partition() {
            return Err(wrong_type("cannot inherit from a partition".to_owned()));
        }
        if table.parents.contains(&parent.oid) {
            return Err(inherited_twice(&parent.name));
        }
        if self.catalog().family(table.oid).contains(&parent.oid) {
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, "circular inheritance not allowed")
                .detail(format!("\"{}\" is already a child of \"{}\".", parent.name, table.name)));
        }
        self.inherit_columns(&mut table, &parent)?;
        self.inherit_checks(&mut table, &parent)?;
        table.parents.push(parent.oid);
        self.change(Change::put(table))
    }

    /// ALTER TABLE .. NO INHERIT
    pub(crate) fn remove_parent(&mut self, mut table: Table, name: &ObjectName) -> Result<()> {
        if table.is_partition() {
            return Err(wrong_type("cannot change inheritance of a partition".to_owned()));
        }
        let parent = self.table(self.parent_named(name)?)?;
        if !table.parents.contains(&parent.oid) {
            return Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" is not a parent of relation \"{}\"", parent.name, table.name),
            ));
        }
        self.leave_parent(&mut table, &parent);
        self.change(Change::put(table))
    }

    /// Counts a parent's columns as inherited by a table that has them (`MergeAttributesIntoExisting`).
    pub(crate) fn inherit_columns(&self, table: &mut Table, parent: &Table) -> Result<()> {
        let mismatch = |message: String| Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        for (_, above) in parent.live_columns() {
            let Some((i, own)) = table.column(&above.name) else {
                return mismatch(format!("child table is missing column \"{}\"", above.name));
            };
            if own.ty != above.ty {
                return mismatch(format!(
                    "child table \"{}\" has different type for column \"{}\"",
                    table.name, above.name
                ));
            }
            if above.not_null && !own.not_null {
                return mismatch(format!("column \"{}\" in child table must be marked NOT NULL", above.name));
            }
            if above.generated && !own.generated {
                return mismatch(format!("column \"{}\" in child table must be a generated column", above.name));
            }
            if above.generated && above.default != own.default {
                return mismatch(format!(
                    "column \"{}\" in child table has a conflicting generation expression",
                    above.name
                ));
            }
            let origin = &mut table.columns[i].origin;
            origin.parents += 1;
            origin.local &= !parent.is_partitioned();
        }
        Ok(())
    }

    /// Counts a parent's CHECK constraints as inherited by a table that has them (`MergeConstraintsIntoExisting`).
    pub(crate) fn inherit_checks(&self, table: &mut Table, parent: &Table) -> Result<()> {
        for above in parent.constraints.iter().filter(|c| !c.no_inherit) {
            let ConstraintKind::Check { expression } = &above.kind else {
                continue;
            };
            let is_check = |c: &ConstraintKind| matches!(c, ConstraintKind::Check { .. });
            let own = table.constraints.iter_mut().find(|c| c.name == above.name && is_check(&c.kind));
            let Some(own) = own else {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("child table is missing constraint \"{}\"", above.name),
                ));
            };
            if !matches!(&own.kind, ConstraintKind::Check { expression: e } if e == expression) {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "child table \"{}\" has different definition for check constraint \"{}\"",
                        table.name, above.name
                    ),
                ));
            }
            let conflict = |what: &str| {
                Err(SqlError::new(
                    SqlState::INVALID_OBJECT_DEFINITION,
                    format!(
                        "constraint \"{}\" conflicts with {what} constraint on child table \"{}\"",
                        above.name, table.name
                    ),
                ))
            };
            if own.no_inherit {
                return conflict("non-inherited");
            }
            if own.not_valid && !above.not_valid {
                return conflict("NOT VALID");
            }
            own.origin.parents += 1;
            own.origin.local &= !parent.is_partitioned();
        }
        Ok(())
    }

    /// Takes a parent from a table; what it had from no other parent is its own from now on.
    pub(crate) fn leave_parent(&self, table: &mut Table, parent: &Table) {
        table.parents.retain(|p| *p != parent.oid);
        for (_, above) in parent.live_columns() {
            if let Some((i, _)) = table.column(&above.name) {
                leave(&mut table.columns[i].origin);
            }
        }
        for above in &parent.constraints {
            let is_check = |k: &ConstraintKind| matches!(k, ConstraintKind::Check { .. });
            if is_check(&above.kind) && !above.no_inherit {
                for own in table.constraints.iter_mut().filter(|c| c.name == above.name && is_check(&c.kind)) {
                    leave(&mut own.origin);
                }
            }
        }
    }
}

fn leave(origin: &mut curia_catalog::Origin) {
    origin.parents = origin.parents.saturating_sub(1);
    origin.local |= origin.parents == 0;
}

fn wrong_type(message: String) -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}

fn inherited_twice(parent: &str) -> SqlError {
    SqlError::new(
        SqlState::DUPLICATE_TABLE,
        format!("relation \"{parent}\" would be inherited from more than once"),
    )
}
