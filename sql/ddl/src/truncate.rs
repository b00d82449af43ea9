//! TRUNCATE: the table gets fresh, empty storages; the old ones are freed once no snapshot needs them.

use crate::Ddl;
use curia_catalog::{Change, Oid};
use curia_parse::ast::Truncate;
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(crate) async fn truncate(&mut self, s: &Truncate) -> Result<()> {
        let mut oids: Vec<Oid> = Vec::new();
        for name in &s.tables {
            let oid = self.find_table(name)?.oid;
            if !oids.contains(&oid) {
                oids.push(oid);
            }
        }
        let mut at = 0;
        while let Some(&oid) = oids.get(at) {
            self.lock_table(oid, TableLock::AccessExclusive).await?;
            self.refuse_waiting_checks("TRUNCATE", oid)?;
            at += 1;
            if s.cascade {
                let referencing: Vec<_> = self.catalog().references_to(oid).map(|(t, _, _)| t.clone()).collect();
                for table in referencing {
                    if !oids.contains(&table.oid) {
                        let shown = self.catalog().tables.get(&table.oid).map(|t| t.name.clone());
                        self.notice(format!("truncate cascades to table \"{}\"", shown.unwrap_or_default()));
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

    /// A table that others refer to is emptied together with them or not at all, as no row is looked at.
    fn refuse_references_from_elsewhere(&self, oids: &[Oid]) -> Result<()> {
        let catalog = self.catalog();
        for oid in oids {
            if let Some((from, _, _)) = catalog.references_to(*oid).find(|(t, _, _)| !oids.contains(&t.oid)) {
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
