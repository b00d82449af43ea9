//! CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY: statements of several transactions, one after the other in the session's slot.

use crate::definitions::DefinitionQueries;
use crate::output::{Output, Stop};
use crate::session::Session;
use curia_catalog::Oid;
use curia_ddl::fill_concurrently;
use curia_parse::ast::{CreateIndex, Reindex};
use curia_txn::{LockWait, Options, SessionSlot, TableLock, Transaction};
use curia_types::Result;
use std::sync::Arc;

impl Session {
    pub(crate) async fn create_index_concurrently<O: Output>(&mut self, s: &CreateIndex, out: &mut O) -> Result<&'static str, Stop> {
        let (mut guard, _slot) = self.guard()?;
        let define = async |ddl: &mut curia_ddl::Ddl<'_>| ddl.define_index(s, &mut guard).await;
        let made = self.with_definitions("CREATE INDEX", out, define).await?;
        self.commit().await?;
        if let Some(made) = made {
            self.fill_concurrently(&mut guard, made, "CREATE INDEX CONCURRENTLY", out).await?;
        }
        Ok("CREATE INDEX")
    }

    pub(crate) async fn reindex_concurrently<O: Output>(&mut self, s: &Reindex, out: &mut O) -> Result<&'static str, Stop> {
        let find = async |ddl: &mut curia_ddl::Ddl<'_>| ddl.unfinished_indexes(s);
        let unfinished = self.with_definitions("REINDEX", out, find).await?;
        self.commit().await?;
        for (table, index) in unfinished {
            let (mut guard, _slot) = self.guard()?;
            let waits = self.waits.clone();
            waits
                .run(out, guard.lock_table(table, TableLock::ShareUpdateExclusive, LockWait::Block))
                .await?;
            // While the lock was waited for it may have been dropped or completed.
            let catalog = self.shared.database.catalog();
            let found = catalog.tables.get(&table).and_then(|t| t.index(index));
            if found.is_some_and(|i| i.incomplete) {
                self.fill_concurrently(&mut guard, (table, index), "REINDEX CONCURRENTLY", out)
                    .await?;
            }
        }
        Ok("REINDEX")
    }

    /// A transaction beside the session's own, which only locks; and its slot.
    fn guard(&mut self) -> Result<(Transaction, Arc<SessionSlot>)> {
        self.transaction()?; // refreshes what the options are made from
        let slot = self.shared.database.session(self.shared.process);
        Ok((self.shared.database.begin(&slot, self.options_of_steps()), slot))
    }

    fn options_of_steps(&self) -> Options {
        Options {
            lock_timeout: self.environment.lock_timeout,
            io: Some(self.environment.io_shared.clone()),
            ..Options::default()
        }
    }

    async fn fill_concurrently<O: Output>(
        &mut self,
        guard: &mut Transaction,
        what: (Oid, Oid),
        command: &'static str,
        out: &mut O,
    ) -> Result<(), Stop> {
        self.block.end(); // its slot is wanted
        let queries = DefinitionQueries::new(self, &self.shared.database.catalog());
        let (waits, slot, options) = (self.waits.clone(), self.shared.slot.clone(), self.options_of_steps());
        let filled = waits
            .run(out, fill_concurrently(guard, &slot, &options, &queries, what, command))
            .await?;
        if let Some(csn) = filled.csn {
            self.shared.saw(csn);
        }
        Ok(())
    }
}
