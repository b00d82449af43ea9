//! ALTER TABLE .. ATTACH PARTITION and DETACH PARTITION, and ALTER INDEX .. ATTACH PARTITION.

use super::parts::{mapped_index, same_index};
use crate::Ddl;
use crate::constraint::of_index;
use crate::names::no_relation;
use curia_catalog::temporary::is_temporary;
use curia_catalog::{Change, Oid, Relation, Table};
use curia_parse::ObjectName;
use curia_parse::ast::PartitionBoundSpec;
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState, text_io};

impl Ddl<'_> {
    pub(crate) async fn attach_partition(&mut self, parent: Oid, name: &ObjectName, spec: &PartitionBoundSpec) -> Result<()> {
        let child = match self.lookup(name)? {
            Some(Relation::Table(oid)) => oid,
            Some(_) => return Err(wrong_type(format!("\"{}\" is not a table", name.name()))),
            None => return Err(no_relation(name)),
        };
        let parent = self.table(parent)?;
        if !parent.is_partitioned() {
            let message = format!("ALTER action ATTACH PARTITION cannot be performed on relation \"{}\"", parent.name);
            return Err(wrong_type(message).detail("This operation is not supported for tables."));
        }
        for oid in self.catalog().family(child) {
            self.lock_table(oid, TableLock::AccessExclusive).await?;
        }
        self.must_own(child)?;
        let table = self.table(child)?;
        if table.materialized.is_some() {
            return Err(wrong_type(format!("\"{}\" is not a table", table.name)));
        }
        if table.is_partition() {
            return Err(wrong_type(format!("\"{}\" is already a partition", table.name)));
        }
        if !table.parents.is_empty() {
            return Err(wrong_type("cannot attach inheritance child as partition".to_owned()));
        }
        if !table.is_partitioned() && self.catalog().has_children(child) {
            return Err(wrong_type("cannot attach inheritance parent as partition".to_owned()));
        }
        if self.catalog().family(child).contains(&parent.oid) {
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, "circular inheritance not allowed")
                .detail(format!("\"{}\" is already a child of \"{}\".", parent.name, table.name)));
        }
        let temporary = |t: &Table| is_temporary(self.catalog().schema_name(t.schema));
        match (temporary(&parent), temporary(&table)) {
            (true, false) => {
                return Err(wrong_type(format!(
                    "cannot attach a permanent relation as partition of temporary relation \"{}\"",
                    parent.name
                )));
            }
            (false, true) => {
                return Err(wrong_type(format!(
                    "cannot attach a temporary relation as partition of permanent relation \"{}\"",
                    parent.name
                )));
            }
            _ => {}
        }
        for (_, column) in table.live_columns() {
            if parent.column(&column.name).is_none() {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "table \"{}\" contains column \"{}\" not found in parent \"{}\"",
                        table.name, column.name, parent.name
                    ),
                )
                .detail("The new partition may contain only the columns present in parent."));
            }
        }
        let mut table = (*table).clone();
        self.inherit_columns(&mut table, &parent)?;
        self.inherit_checks(&mut table, &parent)?;
        let bound = self.partition_bound(&parent, spec).await?;
        self.check_bound(&parent, &table.name, &bound, spec)?;
        self.place(table, &parent, &bound)?;
        self.give_parts(parent.oid, child).await?;
        self.check_partition_rows(child, |name| {
            format!("partition constraint of relation \"{name}\" is violated by some row")
        })
        .await?;
        self.check_default_partition(&parent, &bound).await
    }

    /// A detachment is never left half done, also not by CONCURRENTLY, so FINALIZE finds none.
    pub(crate) async fn detach_partition(&mut self, parent: Oid, name: &ObjectName, concurrently: bool, finalize: bool) -> Result<()> {
        let parent = self.table(parent)?;
        if !parent.is_partitioned() {
            let message = format!("ALTER action DETACH PARTITION cannot be performed on relation \"{}\"", parent.name);
            return Err(wrong_type(message).detail("This operation is not supported for tables."));
        }
        let child = match self.lookup(name)? {
            Some(Relation::Table(oid)) => oid,
            Some(_) => return Err(wrong_type(format!("\"{}\" is not a table", name.name()))),
            None => return Err(no_relation(name)),
        };
        self.lock_table(child, TableLock::AccessExclusive).await?;
        let mut table = (*self.table(child)?).clone();
        if concurrently && super::partitions_of(&parent, &self.catalog())?.default_partition().is_some() {
            return Err(SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "cannot detach partitions concurrently when a default partition exists",
            ));
        }
        if table.partition_of() != Some(parent.oid) {
            return Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" is not a partition of relation \"{}\"", table.name, parent.name),
            ));
        }
        if finalize {
            return Err(SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("cannot complete detaching partition \"{}\"", table.name),
            )
            .detail("There's no pending concurrent detach."));
        }
        self.refuse_referenced_rows(&parent, &table).await?;
        table.partition_bound = None;
        self.leave_parent(&mut table, &parent);
        self.release_parts(&mut table);
        self.change(Change::put(table))
    }

    /// Fails when rows of a partition are referred to through the partitioned tables above it.
    async fn refuse_referenced_rows(&mut self, parent: &Table, table: &Table) -> Result<()> {
        let catalog = self.catalog();
        let mut above = vec![parent.oid];
        above.extend(catalog.ancestors(parent.oid));
        for oid in above {
            let found: Vec<_> = catalog.references_to(oid).filter(|(_, c, _)| c.parent.is_none()).collect();
            for (from, c, key) in found {
                let Some(top) = catalog.tables.get(&oid) else { continue };
                let join: Vec<String> = key
                    .columns
                    .iter()
                    .zip(&key.key)
                    .map(|(f, k)| {
                        let name = |t: &Table, i: usize| curia_parse::quote_identifier(&t.columns[i].name).into_owned();
                        format!("fk.{} = pk.{}", name(from, *f), name(top, *k))
                    })
                    .collect();
                for leaf in catalog.family(table.oid) {
                    let Some(leaf) = catalog.tables.get(&leaf) else { continue };
                    let names: Vec<&str> = key.key.iter().map(|k| top.columns[*k].name.as_str()).collect();
                    let columns: Vec<String> = names.iter().map(|n| format!("pk.{}", curia_parse::quote_identifier(n))).collect();
                    let query = format!(
                        "SELECT {} FROM {} AS fk JOIN ONLY {} AS pk ON {} LIMIT 1",
                        columns.join(", "),
                        self.qualified(from),
                        self.qualified(leaf),
                        join.join(" AND ")
                    );
                    let mut rows = self.queries.open(self.tx, &query).await?;
                    let first = rows.next().await?.and_then(|batch| batch.into_iter().next());
                    if let Some(row) = first {
                        let part = catalog
                            .referenced_parts(from, c, key)
                            .into_iter()
                            .find(|p| p.partition.oid == table.oid);
                        let name = part.map_or_else(|| c.name.clone(), |p| p.name);
                        let io = self.shown_io();
                        let values = row
                            .iter()
                            .zip(&key.key)
                            .map(|(v, k)| text_io::to_string(top.columns[*k].ty, v, &io));
                        return Err(SqlError::new(
                            SqlState::FOREIGN_KEY_VIOLATION,
                            format!("removing partition \"{}\" violates foreign key constraint \"{name}\"", table.name),
                        )
                        .detail(format!(
                            "Key ({})=({}) is still referenced from table \"{}\".",
                            names.join(", "),
                            values.collect::<Vec<_>>().join(", "),
                            from.name
                        ))
                        .table(catalog.schema_name(from.schema), &from.name)
                        .constraint(&name));
                    }
                }
            }
        }
        Ok(())
    }

    /// ALTER INDEX .. ATTACH PARTITION
    pub(crate) async fn attach_index(&mut self, parent: &Table, index: Oid, name: &ObjectName) -> Result<()> {
        let Some(Relation::Index(owner, part)) = self.lookup(name)? else {
            return match self.lookup(name)? {
                Some(_) => Err(wrong_type(format!("\"{}\" is not an index", name.name()))),
                None => Err(no_relation(name)),
            };
        };
        let Some(whole) = parent.index(index).filter(|_| parent.is_partitioned()) else {
            let shown = parent.index(index).map_or("", |i| &i.name);
            let message = format!("ALTER action ATTACH PARTITION cannot be performed on relation \"{shown}\"");
            return Err(wrong_type(message).detail("This operation is not supported for indexes."));
        };
        self.lock_table(owner, TableLock::ShareRowExclusive).await?;
        let table = self.table(owner)?;
        let Some(own) = table.index(part) else {
            return Err(SqlError::internal("an index without its table"));
        };
        if own.parent == Some(index) {
            return Ok(());
        }
        let cannot = |state, detail: String| {
            Err(SqlError::new(
                state,
                format!("cannot attach index \"{}\" as a partition of index \"{}\"", own.name, whole.name),
            )
            .detail(detail))
        };
        let unready = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        let invalid = SqlState::INVALID_OBJECT_DEFINITION;
        if own.parent.is_some() {
            return cannot(unready, format!("Index \"{}\" is already attached to another index.", own.name));
        }
        if table.partition_of() != Some(parent.oid) {
            return cannot(
                unready,
                format!(
                    "Index \"{}\" is not an index on any partition of table \"{}\".",
                    own.name, parent.name
                ),
            );
        }
        if !mapped_index(parent, whole, &table).is_some_and(|wanted| same_index(own, &wanted)) {
            return cannot(invalid, "The index definitions do not match.".to_owned());
        }
        if of_index(parent, index).is_some() && of_index(&table, part).is_none() {
            return cannot(
                invalid,
                format!(
                    "The index \"{}\" belongs to a constraint in table \"{}\" but no constraint exists for index \"{}\".",
                    whole.name, parent.name, own.name
                ),
            );
        }
        if table.indexes.iter().any(|i| i.parent == Some(index)) {
            return cannot(
                unready,
                format!("Another index is already attached for partition \"{}\".", table.name),
            );
        }
        let table = (*table).clone();
        self.adopt_index(parent, index, table, part)?;
        self.settle_index(parent.oid, index)
    }
}

fn wrong_type(message: String) -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}
