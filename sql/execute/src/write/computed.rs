//! What indexes on expressions and partial ones hold: the values of their expressions over a row.

use crate::eval::{Env, Program};
use crate::exec::Exec;
use crate::rows::{Compiler, Row};
use curia_bind::index::row_indexes;
use curia_bind::ir::RelColumn;
use curia_catalog::{Catalog, Index, Table};
use curia_txn::{Computed, TableLayout};
use curia_types::{Datum, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// A table's layout, with the expressions of its indexes. Errors: those of binding what the catalog holds.
pub fn table_layout(catalog: &Arc<Catalog>, table: &Arc<Table>) -> Result<TableLayout> {
    let layout = TableLayout::new(table.clone(), catalog.schema_name(table.schema))?;
    if !table.indexes.iter().any(Index::computes) {
        return Ok(layout);
    }
    let (row, computed) = row_indexes(catalog, table)?;
    let mut compiler = Compiler::new(catalog.clone());
    let columns: Vec<RelColumn> = row.iter().map(|(_, c)| c.clone()).collect();
    let mut programs = Vec::new();
    for index in computed.iter().filter(|c| table.indexes[c.position].storage.is_some()) {
        for e in index.keys.iter().flatten().chain(&index.predicate) {
            programs.push(compiler.expression(e, &columns, &HashMap::new())?);
        }
    }
    Ok(layout.computing(Some(Arc::new(IndexExpressions {
        columns: row.iter().map(|(i, _)| *i).collect(),
        programs,
    }))))
}

struct IndexExpressions {
    /// Positions in the table's row of the columns that the programs see.
    columns: Vec<usize>,
    programs: Vec<Program>,
}

impl Computed for IndexExpressions {
    fn values(&self, row: &[Datum]) -> Result<Vec<Datum>> {
        let env = Env {
            exec: Exec::detached()?,
            frame: &[],
        };
        let seen: Row = self.columns.iter().map(|i| row[*i].clone()).collect();
        self.programs.iter().map(|p| p.eval(env, &seen)).collect()
    }
}
