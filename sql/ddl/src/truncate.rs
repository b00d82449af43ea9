//! TRUNCATE: the table gets fresh, empty storages; the old ones are freed once no snapshot needs them.

use crate::Ddl;
use curia_catalog::{Change, Oid};
use curia_parse::ast::Truncate;
use curia_txn::TableLock;
use curia_types::Result;

impl Ddl<'_> {
    pub(crate) async fn truncate(&mut self, s: &Truncate) -> Result<()> {
        // Without foreign keys CASCADE has nobody to go on to.
        let mut oids: Vec<Oid> = Vec::new();
        for name in &s.tables {
            let oid = self.find_table(name)?.oid;
            if !oids.contains(&oid) {
                oids.push(oid);
            }
        }
        for &oid in &oids {
            self.lock_table(oid, TableLock::AccessExclusive).await?;
        }
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
}
