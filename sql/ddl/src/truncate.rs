//! TRUNCATE: the table gets fresh, empty storages; the old ones are freed once no snapshot needs them.

use crate::Ddl;
use curia_catalog::{Change, Oid, Rights, Table};
use curia_parse::ast::Truncate;
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

impl Ddl<'_> {
    pub(crate) async fn truncate(&mut self, s: &Truncate) -> Result<()> {
        let mut oids: Vec<Oid> = Vec::new();
        for (name, only) in &s.tables {
            let table = self.find_table(name)?;
            self.must_have(table.oid, Rights::TRUNCATE)?;
            if *only && table.is_partitioned() {
                return Err(
                    SqlError::new(SqlState::WRONG_OBJECT_TYPE, "cannot truncate only a partitioned table")
                        .hint("Do not specify the ONLY keyword, or use TRUNCATE ONLY on the partitions directly."),
                );
            }
            self.lock_table(table.oid, TableLock::AccessExclusive).await?;
            let family = if *only { vec![table.oid] } else { self.catalog().family(table.oid) };
            for oid in family {
                if !oids.contains(&oid) {
                    oids.push(oid);
                }
            }
        }
        let mut at = 0;
        while let Some(&oid) = oids.get(at) {
            self.lock_table(oid, TableLock::AccessExclusive).await?;
            self.refuse_waiting_checks("TRUNCATE", oid)?;
            at += 1;
            if s.cascade {
                for table in self.referring(oid) {
                    if !oids.contains(&table.oid) {
                        self.must_have(table.oid, Rights::TRUNCATE)?;
                        self.notice(format!("truncate cascades to table \"{}\"", table.name));
                        oids.push(table.oid);
                    }
                }
            }
        }
        self.refuse_references_from_elsewhere(&oids)?;
        for oid in oids {
            self.empty(oid)?;
            if s.restart_identity {
                let owned: Vec<_> = self.catalog().owned_sequences(oid, None).cloned().collect();
                for old in owned {
                    let mut new = (*old).clone();
                    new.storage = self.new_storage()?;
                    self.drop_storage(old.storage)?;
                    self.change(Change::put(new))?;
                }
            }
        }
        Ok(())
    }

    /// Gives a table empty storages.
    pub(crate) fn empty(&mut self, oid: Oid) -> Result<()> {
        let mut table = (*self.table(oid)?).clone();
        let old = std::mem::replace(&mut table.storage, self.new_storage()?);
        self.drop_storage(old)?;
        for index in &mut table.indexes {
            if let Some(storage) = &mut index.storage {
                let old = std::mem::replace(storage, self.new_storage()?);
                self.drop_storage(old)?;
            }
        }
        self.change(Change::put(table))
    }

    /// Tables with foreign keys to a table, or to the partitioned table that it is a part of.
    fn referring(&self, oid: Oid) -> Vec<Arc<Table>> {
        let catalog = self.catalog();
        let mut found = Vec::new();
        let mut at = Some(oid);
        while let Some(referenced) = at {
            found.extend(catalog.references_to(referenced).map(|(t, _, _)| t.clone()));
            at = catalog.tables.get(&referenced).and_then(|t| t.partition_of());
        }
        found
    }

    /// A table that others refer to is emptied together with them or not at all, as no row is looked at.
    fn refuse_references_from_elsewhere(&self, oids: &[Oid]) -> Result<()> {
        for oid in oids {
            if let Some(from) = self.referring(*oid).into_iter().find(|t| !oids.contains(&t.oid)) {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot truncate a table referenced in a foreign key constraint",
                )
                .detail(format!("Table \"{}\" references \"{}\".", from.name, self.table(*oid)?.name))
                .hint(format!(
                    "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                    from.name
                )));
            }
        }
        Ok(())
    }
}
