//! Rows that a statement addresses by their whole key: locked first, read at their newest.

use crate::eval::{Env, Program};
use crate::rewrite;
use crate::rows::{Compiler, Row, TableScan};
use crate::walk;
use bytes::Bytes;
use curia_bind::ir::*;
use curia_txn::{Direction, LockStrength, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// A source that is one table's rows by key.
pub(crate) struct Keyed {
    scan: Arc<TableScan>,
    /// The whole condition, checked again on the newest version.
    predicate: Program,
}

impl Keyed {
    /// Recognises `Filter(Scan)` whose condition names whole row keys.
    pub fn compile(c: &mut Compiler, source: &Rel) -> Result<Option<Keyed>> {
        let rel = rewrite::push_filters(source.clone());
        let Rel::Filter { input, predicate } = &rel else { return Ok(None) };
        let Rel::Scan(scan) = &**input else { return Ok(None) };
        let terms = walk::terms(predicate);
        match crate::access::choose(scan, &terms) {
            Some(path) if path.unique && path.index.is_none() => {}
            _ => return Ok(None),
        }
        if walk::any_expression(&rel, &|e| matches!(e.kind, ExprKind::Subquery { .. })) {
            return Ok(None); // it computes from the snapshot
        }
        let columns = walk::columns(input);
        let predicate = c.expression(predicate, &columns, &HashMap::new())?;
        let scan = Arc::new(c.scan_ordered(scan, columns, terms.into_owned(), &HashMap::new(), Direction::Forward)?);
        Ok(Some(Keyed { scan, predicate }))
    }

    /// The addressed keys.
    pub fn keys(&self, env: Env<'_>) -> Result<Vec<Vec<u8>>> {
        Ok(self.scan.row_keys(env)?.unwrap_or_default())
    }

    /// A row's columns as the source gives them.
    pub fn decode(&self, key: &[u8], bytes: &[u8]) -> Result<Row> {
        self.scan.decode(key, bytes)
    }

    /// Locks a row and reads its newest version: its bytes and its columns as the source gives them; `None` when it is gone, was already
    /// written by this statement, or no longer meets the condition. `read`: what the snapshot has.
    pub async fn lock(
        &self,
        tx: &mut Transaction,
        env: Env<'_>,
        layout: &TableLayout,
        (key, read): (&[u8], Bytes),
        strength: LockStrength,
    ) -> Result<Option<(Bytes, Row)>> {
        let how = (LockWait::Block, Seen::Newest);
        let Locked::Row(bytes) = tx.lock_row_read(layout, key, strength, how, Some(read)).await? else {
            return Ok(None);
        };
        let row = self.scan.decode(key, &bytes)?;
        Ok(self.predicate.holds(env, &row)?.then_some((bytes, row)))
    }
}
