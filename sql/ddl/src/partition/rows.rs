//! Whether rows that exist are where a bound puts them: each row's key is computed by a query and routed here.

use super::{key_list, partitions_of};
use crate::Ddl;
use curia_catalog::partition::{Bound, Partitions};
use curia_catalog::{Catalog, Change, Oid, Table};
use curia_types::{Datum, Result, SqlError, SqlState};

/// The partitioned tables above a place, nearest first, each with the partition of it that a row must belong to.
struct Path(Vec<Step>);

struct Step {
    /// The key as SQL over any table that has the same column names.
    keys: Vec<String>,
    partitions: Partitions,
    partition: Oid,
}

impl Path {
    /// The way to `table`, a partition, in a catalog that has it as one.
    fn to(table: Oid, catalog: &Catalog) -> Result<Path> {
        let mut steps = Vec::new();
        let mut at = table;
        while let Some(parent) = catalog
            .tables
            .get(&at)
            .and_then(|t| t.partition_of())
            .and_then(|p| catalog.tables.get(&p))
        {
            let Some(key) = &parent.partition_key else { break };
            steps.push(Step {
                keys: key_list(parent, key),
                partitions: partitions_of(parent, catalog)?,
                partition: at,
            });
            at = parent.oid;
        }
        Ok(Path(steps))
    }

    fn keys(&self) -> Vec<String> {
        self.0.iter().flat_map(|s| s.keys.iter().cloned()).collect()
    }

    /// Whether a row with these keys, those of all steps side by side, belongs here.
    fn leads(&self, mut keys: &[Datum]) -> bool {
        self.0.iter().all(|step| {
            let (own, rest) = keys.split_at(step.keys.len());
            keys = rest;
            step.partitions.route(own) == Some(step.partition)
        })
    }
}

impl Ddl<'_> {
    /// Fails with 23514 when a row of `table`, or of what is below it, does not satisfy the bounds that the catalog gives `table`.
    /// `table` is a partition already for this transaction.
    pub(crate) async fn check_partition_rows(&mut self, table: Oid, message: impl Fn(&str) -> String) -> Result<()> {
        let catalog = self.catalog();
        let path = Path::to(table, &catalog)?;
        let list = path.keys().join(", ");
        for oid in catalog.family(table) {
            let Some(found) = catalog.tables.get(&oid).filter(|t| !t.is_partitioned()) else {
                continue;
            };
            let query = format!("SELECT {list} FROM ONLY {}", self.qualified(found));
            let mut rows = self.queries.open(self.tx, &query).await?;
            while let Some(batch) = rows.next().await? {
                if batch.iter().any(|keys| !path.leads(keys)) {
                    return Err(SqlError::new(SqlState::CHECK_VIOLATION, message(&found.name))
                        .table(catalog.schema_name(found.schema), &found.name));
                }
            }
        }
        Ok(())
    }

    /// Fails when the default partition next to a new bound has rows that the bound takes from it.
    pub(crate) async fn check_default_partition(&mut self, parent: &Table, bound: &Bound) -> Result<()> {
        if *bound == Bound::Default {
            return Ok(());
        }
        let Some(default) = partitions_of(parent, &self.catalog())?.default_partition() else {
            return Ok(());
        };
        // Nobody may add such a row while nobody else knows of the new partition.
        for oid in self.catalog().family(default) {
            self.lock_table(oid, curia_txn::TableLock::AccessExclusive).await?;
        }
        let updated = |name: &str| format!("updated partition constraint for default partition \"{name}\" would be violated by some row");
        self.check_partition_rows(default, updated).await
    }

    /// Makes `table` a partition with this bound, or gives it the bound of another place.
    pub(crate) fn place(&mut self, mut table: Table, parent: &Table, bound: &Bound) -> Result<()> {
        let types = parent.partition_key.as_ref().map(|k| k.types(parent)).unwrap_or_default();
        table.parents = vec![parent.oid];
        table.partition_bound = Some(bound.encode(&types));
        self.change(Change::put(table))
    }
}
