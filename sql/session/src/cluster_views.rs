//! The schema `curia`: views of the cluster. What the server knows comes through [`ClusterViews`]; where every table and index is, the
//! catalog says.

use crate::context::StatementContext;
use curia_catalog::StorageId;
use curia_execute::ViewRows;
use curia_types::{Datum, Result};

/// What a server knows of its cluster.
pub trait ClusterViews: Send + Sync + 'static {
    /// Rows of a view of the schema `curia` as named values: `servers`, `senate`, `worker_groups`, `inaugurations`, `recoveries`. Waits, for a moment, for
    /// the thread that knows.
    ///
    /// # Errors
    /// 57P01 when that thread has stopped.
    fn rows(&self, view: &str) -> Result<ViewRows>;
}

impl StatementContext {
    /// Rows of a view of the schema `curia`.
    pub(crate) fn cluster(&self, view: &str) -> Result<ViewRows> {
        match (view, &self.shared.cluster) {
            ("partitions", _) => Ok(self.partitions()),
            (_, Some(cluster)) => cluster.rows(view),
            (_, None) => Ok(Vec::new()), // sessions without a server, as in tests
        }
    }

    /// Every stored table and index, and the worker group that owns it.
    fn partitions(&self) -> ViewRows {
        let catalog = &self.catalog;
        let state = self.shared.database.replication().state();
        let row = |schema, table: &str, index: Option<&str>, storage: StorageId| {
            let group = catalog.partitions.get(&storage).map_or(0, |partition| partition.group);
            vec![
                ("schema_name", Datum::text(catalog.schema_name(schema))),
                ("table_name", Datum::text(table)),
                ("index_name", index.map_or(Datum::Null, Datum::text)),
                ("storage_id", Datum::Int8(i64::from(storage.0))),
                ("group_id", Datum::Int4(group as i32)),
                (
                    "bytes",
                    Datum::Int8(state.approximate_bytes(storage.0).try_into().unwrap_or(i64::MAX)),
                ),
            ]
        };
        // A partitioned table keeps no rows of its own.
        let tables = catalog.tables.values().filter(|table| table.partition_key.is_none());
        tables
            .flat_map(|table| {
                let indexes = table
                    .indexes
                    .iter()
                    .filter_map(|index| Some((Some(index.name.as_str()), index.storage?)));
                [(None, table.storage)]
                    .into_iter()
                    .chain(indexes)
                    .map(|(index, storage)| row(table.schema, &table.name, index, storage))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}
