//! SET CONSTRAINTS, and the checks that waited for COMMIT.

use crate::output::{Output, Stop};
use crate::session::Session;
use crate::wait::until;
use curia_catalog::{Catalog, Constraint, Oid, Timing};
use curia_execute::{Due, settle};
use curia_parse::ast::ObjectName;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

impl Session {
    /// SET CONSTRAINTS; no names: ALL. What becomes immediate is checked now.
    pub(crate) async fn set_constraints<O: Output>(&mut self, names: &[ObjectName], deferred: bool, out: &mut O) -> Result<(), Stop> {
        let catalog = self.transaction()?.catalog();
        self.refresh_environment(&catalog);
        let mut chosen = Vec::new();
        for name in names {
            let found = constraints_named(&catalog, &self.environment.search_path, name)?;
            if let Some(fixed) = found.iter().find(|c| c.timing == Timing::Immediate) {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("constraint \"{}\" is not deferrable", fixed.name),
                )
                .into());
            }
            for c in &found {
                chosen.push(c.oid);
                chosen.extend(parts_of(&catalog, c.oid));
            }
        }
        self.transaction()?.set_deferral((!names.is_empty()).then_some(&chosen), deferred);
        if deferred {
            return Ok(());
        }
        let execution = self.execution(Arc::from([]), catalog, None);
        let engine = self.shared.engine.clone();
        let waits = self.waits.clone();
        let tx = self.transaction()?;
        tx.start_statement();
        let due = if names.is_empty() { Due::Commit } else { Due::Constraints(&chosen) };
        waits.run(out, settle(&engine, tx, &execution, due)).await
    }

    /// Makes the checks that waited for COMMIT.
    pub(crate) async fn settle_at_commit(&mut self) -> Result<(), Stop> {
        let catalog = match &self.block.tx {
            Some(tx) if tx.has_checks() => tx.catalog(),
            _ => return Ok(()),
        };
        let execution = self.execution(Arc::from([]), catalog, None);
        let (engine, waits) = (self.shared.engine.clone(), self.waits.clone());
        let tx = self.transaction()?;
        tokio::select! {
            biased;
            done = settle(&engine, tx, &execution, Due::Commit) => Ok(done?),
            stop = waits.interrupt.stopped() => Err(stop.into()),
            stop = until(waits.deadline) => Err(stop.into()),
        }
    }
}

/// The parts, in partitions, of a partitioned table's constraint.
fn parts_of(catalog: &Catalog, constraint: Oid) -> Vec<Oid> {
    let mut found = vec![constraint];
    let mut at = 0;
    while at < found.len() {
        let all = catalog.tables.values().flat_map(|t| &t.constraints);
        let parts: Vec<Oid> = all.filter(|c| c.parent == Some(found[at])).map(|c| c.oid).collect();
        found.extend(parts);
        at += 1;
    }
    found.split_off(1)
}

/// The constraints of a name: those of the first schema of the search path that has any.
fn constraints_named<'c>(catalog: &'c Catalog, search_path: &[String], name: &ObjectName) -> Result<Vec<&'c Constraint>> {
    let of_schema = |schema: &str| -> Vec<&'c Constraint> {
        let Some(schema) = catalog.schema(schema) else { return Vec::new() };
        let tables = catalog.tables.values().filter(|t| t.schema == schema.oid);
        tables.flat_map(|t| &t.constraints).filter(|c| c.name == name.name()).collect()
    };
    let found = match name.schema() {
        Some(schema) => of_schema(schema),
        None => search_path
            .iter()
            .map(|s| of_schema(s))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    };
    if found.is_empty() {
        return Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("constraint \"{}\" does not exist", name.name()),
        ));
    }
    // A partitioned table's constraint stands for its parts.
    let mut found = found;
    let mut at = 0;
    while let Some(of) = found.get(at).map(|c| c.oid) {
        let all = catalog.tables.values().flat_map(|t| &t.constraints);
        let parts: Vec<_> = all
            .filter(|c| c.parent == Some(of) && !found.iter().any(|f| f.oid == c.oid))
            .collect();
        found.extend(parts);
        at += 1;
    }
    Ok(found)
}
