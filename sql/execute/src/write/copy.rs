//! COPY FROM: rows of values in bulk, without a plan for each.

use super::{Destination, Due, settle};
use crate::engine::Engine;
use crate::eval::{Env, Program};
use crate::exec::{Exec, Execution};
use crate::rows::{Compiler, Row};
use curia_bind::index::RowColumns;
use curia_bind::ir::{Expr, Insert, InsertValue, RelColumn};
use curia_catalog::Catalog;
use curia_txn::Transaction;
use curia_types::{Datum, Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// An insertion under way. The binder makes the [`Insert`]: its source's columns are the copied ones, `values` adds the defaults.
pub struct CopyInsert {
    destination: Destination,
    values: Vec<Option<Program>>,
    /// WHERE: positions in the row of the columns that it sees, and the condition over them.
    filter: Option<(Vec<usize>, Program)>,
    engine: Arc<Engine>,
    execution: Execution,
    exec: Arc<Exec>,
    inserted: u64,
}

impl CopyInsert {
    /// Prepares it. The transaction's statement has started and the table is locked.
    pub fn new(
        engine: &Arc<Engine>,
        tx: &Transaction,
        insert: &Insert,
        filter: Option<&(RowColumns, Expr)>,
        catalog: &Arc<Catalog>,
        execution: Execution,
    ) -> Result<CopyInsert> {
        tx.require_writable_rows("COPY FROM", &insert.table)?;
        let mut c = Compiler::new(catalog.clone());
        let columns = crate::walk::columns(&insert.source);
        let values = insert
            .values
            .iter()
            .map(|v| match v {
                InsertValue::Expr(e) => c.expression(e, &columns, &HashMap::new()).map(Some),
                InsertValue::Dropped => Ok(None),
            })
            .collect::<Result<_>>()?;
        let filter = filter
            .map(|(row, condition)| {
                let columns: Vec<RelColumn> = row.iter().map(|(_, c)| c.clone()).collect();
                let places = row.iter().map(|(i, _)| *i).collect();
                Ok::<_, SqlError>((places, c.expression(condition, &columns, &HashMap::new())?))
            })
            .transpose()?;
        let exec = Arc::new(Exec::new(tx.read_view(), execution.clone(), engine));
        Ok(CopyInsert {
            destination: Destination::compile(&mut c, insert)?,
            engine: engine.clone(),
            execution,
            values,
            filter,
            exec,
            inserted: 0,
        })
    }

    /// Inserts one row, given the values of the copied columns.
    pub async fn row(&mut self, tx: &mut Transaction, copied: &[Datum]) -> Result<()> {
        let env = Env {
            exec: &self.exec,
            frame: &[],
        };
        let row = self
            .values
            .iter()
            .map(|v| v.as_ref().map_or(Ok(Datum::Null), |p| p.eval(env, copied)))
            .collect::<Result<Row>>()?;
        if let Some((columns, condition)) = &self.filter {
            let seen: Row = columns.iter().map(|i| row[*i].clone()).collect();
            if !condition.holds(env, &seen)? {
                return Ok(());
            }
        }
        let (table, row) = self.destination.place(env, row)?;
        let row_key = tx.insert(&table.layout, &row).await?;
        if let Some(references) = &table.references {
            references.inserted(tx, &row_key, &row)?;
        }
        self.inserted += 1;
        Ok(())
    }

    /// Makes the checks that waited for the last row.
    pub async fn finish(&self, tx: &mut Transaction) -> Result<()> {
        settle(&self.engine, tx, &self.execution, Due::Statement).await
    }

    /// Rows inserted so far.
    pub fn inserted(&self) -> u64 {
        self.inserted
    }
}
