//! Indexes that are filled while others write: CREATE INDEX CONCURRENTLY, REINDEX CONCURRENTLY.
//!
//! ```text
//!   commit: the index is there, incomplete      whoever writes keeps it from here on, nobody reads it
//!   wait for those who wrote before that        they may not know of it
//!   commits: the entries of some rows each      as the rows are now, each locked until then
//!   wait for snapshots of before the last one   they don't see these entries
//!   commit: it is complete
//! ```
//!
//! A lock of the table that a *guard* holds all the while keeps other definitions away, and nobody else. Where it ends early, also by a crash, the index
//! stays, incomplete: it costs writers and serves nobody until it is dropped, or REINDEX goes on with it.

use crate::Queries;
use crate::fill::count;
use curia_catalog::{Change, Oid, Table};
use curia_txn::{
    BuildPhase, Committed, Database, Direction, Held, KeyRange, Options, SessionSlot, ShownBuild, TableLayout, TableLock, Transaction,
};
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

/// Rows whose entries one commit writes: for so long who changes one of them waits.
const ROWS_PER_COMMIT: usize = 1000;

/// Fills an incomplete index and completes it; in transactions of its own in the session's slot, which is free. The guard holds SHARE UPDATE
/// EXCLUSIVE on the table. The last commit. Errors: 23505 when rows of one key are found.
pub async fn fill_concurrently(
    guard: &mut Transaction,
    slot: &Arc<SessionSlot>,
    options: &Options,
    queries: &dyn Queries,
    (table, index): (Oid, Oid),
    command: &'static str,
) -> Result<Committed> {
    let database = guard.database().clone();
    let build = database.show_build(slot.process_id(), table, index, command);
    let mut filling = Filling {
        guard,
        slot,
        options,
        database,
        build,
    };
    filling.fill(queries, table, index).await
}

struct Filling<'a> {
    guard: &'a mut Transaction,
    slot: &'a Arc<SessionSlot>,
    options: &'a Options,
    database: Arc<Database>,
    build: ShownBuild,
}

/// How far a commit came.
enum Reached {
    /// The last row has its entry.
    End,
    /// This row is next; first this lock is to be waited for.
    Row(Vec<u8>, Option<Held>),
}

impl Filling<'_> {
    async fn fill(&mut self, queries: &dyn Queries, table: Oid, index: Oid) -> Result<Committed> {
        let catalog = self.database.catalog();
        let Some(definition) = catalog.tables.get(&table) else {
            return Err(SqlError::internal("a table went from under its lock"));
        };
        let layout = queries.layout(&catalog, definition)?;
        self.build.enter(BuildPhase::WaitingForWriters);
        self.guard.outlast_lockers(table, TableLock::Share, &self.build).await?;
        self.build.enter(BuildPhase::Building);
        let tx = self.begin()?;
        self.build
            .expect_rows(count(tx.newest_view().scan(layout.storage(), &KeyRange::all(), Direction::Forward)).await?);
        drop(tx);
        let (mut from, mut held) = (Vec::new(), None);
        while let Reached::Row(next, first) = self.add_entries(&layout, index, &from, held).await? {
            (from, held) = (next, first);
        }
        self.build.enter(BuildPhase::WaitingForSnapshots);
        let filled = self.database.replication().applied();
        self.guard.outlast_snapshots(filled, &self.build).await?;
        self.complete(table, index).await
    }

    /// Writes entries of rows from a key on, in one commit.
    async fn add_entries(&self, layout: &TableLayout, index: Oid, from: &[u8], held: Option<Held>) -> Result<Reached> {
        let entries = layout
            .index(index)
            .ok_or_else(|| SqlError::internal("an index without storage is being filled"))?;
        let mut tx = self.begin()?;
        if let Some(held) = held {
            tx.wait_for_held(layout, held).await?;
        }
        tx.start_statement();
        let mut scan = tx
            .read_view()
            .scan(layout.storage(), &KeyRange::all().from(from), Direction::Forward);
        let mut reached = Reached::End;
        let mut rows = 0;
        while let Some((key, _)) = scan.next()? {
            if rows == ROWS_PER_COMMIT {
                reached = Reached::Row(key.to_vec(), None);
                break;
            }
            if let Some(held) = tx.build_entry_beside_others(layout, entries, key).await? {
                reached = Reached::Row(key.to_vec(), Some(held));
                break;
            }
            rows += 1;
        }
        drop(scan);
        tx.commit().await?;
        self.build.advance(rows);
        Ok(reached)
    }

    async fn complete(&self, table: Oid, index: Oid) -> Result<Committed> {
        let mut tx = self.begin()?;
        let mut table = Table::clone(&tx.catalog().tables[&table]);
        let Some(index) = table.indexes.iter_mut().find(|i| i.oid == index) else {
            return Err(SqlError::internal("an index went from under its table's lock"));
        };
        index.incomplete = false;
        tx.change_catalog(Change::put(table))?;
        tx.commit().await
    }

    /// A transaction of the guard's time in office: in another one the table is not locked any more.
    fn begin(&self) -> Result<Transaction> {
        let mut tx = self.database.begin(self.slot, self.options.clone());
        if !tx.is_of_same_office(self.guard) {
            return Err(SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not finish the index because the consul changed",
            ));
        }
        tx.wait_as(self.guard);
        Ok(tx)
    }
}
