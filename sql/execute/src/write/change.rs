//! UPDATE and DELETE, with FROM, USING and RETURNING: rows of a source name rows of the table, which are locked and changed.

use super::keyed::Keyed;
use super::{Checks, Member, Members, Pass, ReturningRow, Router, Written, as_output, key_at};
use crate::engine::Engine;
use crate::eval::{Env, Program};
use crate::exec::Exec;
use crate::plan::{PlanKind, Source};
use crate::rows::{Compiler, Row};
use crate::walk;
use bytes::Bytes;
use curia_bind::inherit::split_key;
use curia_bind::ir::*;
use curia_catalog::Table;
use curia_txn::{LockStrength, LockWait, Locked, Seen, TableLayout, Transaction};
use curia_types::{Datum, Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled UPDATE or DELETE.
pub(crate) struct ChangePlan {
    pub layout: Arc<TableLayout>,
    pub source: Source,
    source_columns: Arc<[OutputColumn]>,
    keyed: Option<Keyed>,
    row_key: usize,
    targets: Targets,
    change: Change,
    returning: Option<ReturningRow>,
}

/// Whose rows the source's keys are.
enum Targets {
    /// All of one table.
    Table(Arc<Member>),
    /// Keys are tagged with the table.
    Family(Members),
}

/// What becomes of a row.
enum Change {
    Update {
        assignments: Vec<(usize, Program)>,
        /// An assignment gives the same value whenever it is asked.
        foreseeable: bool,
        /// WITH CHECK OPTION of views, over the target's row.
        views: Checks,
        /// Where rows go that leave their partition; `None` where the target has none.
        router: Option<Box<Router>>,
    },
    Delete,
}

/// A row that was found, and the table that has it.
struct Found<'a> {
    table: &'a Member,
    key: &'a Bytes,
    /// Its bytes.
    old: &'a [u8],
    /// What the source gave of it.
    row: &'a [Datum],
}

impl ChangePlan {
    pub fn update(c: &mut Compiler, update: &Update, depth: u32) -> Result<ChangePlan> {
        let columns = walk::columns(&update.source);
        let change = Change::Update {
            assignments: update
                .assignments
                .iter()
                .map(|(i, e)| Ok((*i, c.expression(e, &columns, &HashMap::new())?)))
                .collect::<Result<_>>()?,
            foreseeable: !update.assignments.iter().any(|(_, e)| curia_bind::walk::is_volatile(e)),
            views: Checks::of_views(c, &update.checks, &update.new_row)?,
            router: match update.table.is_partitioned() {
                true => Some(Box::new(Router::compile(c, &update.table, Vec::new())?)),
                false => None,
            },
        };
        let assigned = update.assignments.iter().map(|(i, _)| *i).collect();
        let targets = match update.tableoid {
            Some(_) => Targets::Family(Members::new(c.catalog(), &update.table, assigned)),
            None => Targets::Table(Arc::new(Member::updated(c, update)?)),
        };
        let returning = ReturningRow::compile(c, update.returning.as_ref(), &update.new_row, update.tableoid, &columns)?;
        ChangePlan::compile(
            c,
            &update.table,
            &update.source,
            update.row_key,
            depth,
            (change, targets, returning),
        )
    }

    pub fn delete(c: &mut Compiler, delete: &Delete, depth: u32) -> Result<ChangePlan> {
        let returning = ReturningRow::compile(c, delete.returning.as_ref(), &[], None, &walk::columns(&delete.source))?;
        let targets = match delete.family {
            true => Targets::Family(Members::new(c.catalog(), &delete.table, Vec::new())),
            false => Targets::Table(Arc::new(Member::of_delete(c, &delete.table)?)),
        };
        let change = (Change::Delete, targets, returning);
        ChangePlan::compile(c, &delete.table, &delete.source, delete.row_key, depth, change)
    }

    fn compile(
        c: &mut Compiler,
        table: &Arc<Table>,
        source: &Rel,
        row_key: ColId,
        depth: u32,
        (change, targets, returning): (Change, Targets, Option<ReturningRow>),
    ) -> Result<ChangePlan> {
        let columns = walk::columns(source);
        let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
        Ok(ChangePlan {
            layout: c.layout(table)?,
            source_columns: as_output(&columns),
            row_key: ids
                .iter()
                .position(|id| *id == row_key)
                .ok_or_else(|| SqlError::internal("a change of rows without row keys"))?,
            keyed: if depth > curia_parse::inline_depth() || matches!(targets, Targets::Family(_)) {
                None
            } else {
                Keyed::compile(c, source)?
            },
            source: Source::compile(c, source.clone(), &ids, depth, true)?,
            targets,
            change,
            returning,
        })
    }

    /// What it does.
    pub fn kind(&self) -> PlanKind {
        match self.change {
            Change::Update { .. } => PlanKind::Update,
            Change::Delete => PlanKind::Delete,
        }
    }

    /// One line for EXPLAIN.
    pub fn describe(&self) -> String {
        format!("{:?} on {}", self.kind(), self.layout.table().name)
    }

    /// Runs once, unless it has to start over.
    pub async fn pass(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let command = match self.change {
            Change::Update { .. } => "UPDATE",
            Change::Delete => "DELETE",
        };
        tx.require_writable_rows(command, self.layout.table())?;
        match &self.keyed {
            Some(keyed) => self.by_key(keyed, tx, exec).await,
            None => self.by_source(engine, tx, exec).await,
        }
    }

    /// The table that a row of the source is of, and its row key.
    fn target(&self, key: &Arc<[u8]>) -> Result<(Arc<Member>, Bytes)> {
        match &self.targets {
            Targets::Table(table) => Ok((table.clone(), Bytes::copy_from_slice(key))),
            Targets::Family(members) => {
                let (table, key) = split_key(key).ok_or_else(|| SqlError::internal("a row key without its table"))?;
                Ok((members.get(table)?, Bytes::copy_from_slice(key)))
            }
        }
    }

    /// The lock that the change of a row needs. What assigns to a key needs the strongest only if that changes the key.
    fn strength(&self, table: &Member, env: Env<'_>, old: &[u8], row: &[Datum]) -> Result<LockStrength> {
        let Change::Update {
            assignments, foreseeable, ..
        } = &self.change
        else {
            return Ok(LockStrength::Update);
        };
        let columns = &table.layout.table().columns;
        if table.strength != LockStrength::Update || !foreseeable || columns.iter().any(|c| c.generated) {
            return Ok(table.strength);
        }
        let old = table.layout.decode_row(old)?;
        for (column, program) in assignments {
            let place = table.place(*column)?;
            if table.layout.plain_unique_columns().any(|key| key == place) && program.eval(env, row)? != old[place] {
                return Ok(LockStrength::Update);
            }
        }
        Ok(LockStrength::NoKeyUpdate)
    }

    /// The same before the row is locked, from what the statement's snapshot shows.
    fn foreseen_strength(&self, table: &Member, env: Env<'_>, key: &[u8], row: impl FnOnce(&[u8]) -> Result<Row>) -> Result<LockStrength> {
        match self.change {
            Change::Update { .. } if table.strength == LockStrength::Update => {
                let strength = |old: &[u8]| self.strength(table, env, old, &row(old)?);
                let found = env.exec.view()?.read(table.layout.storage(), key, strength)?;
                found.unwrap_or(Ok(table.strength))
            }
            Change::Update { .. } => Ok(table.strength),
            Change::Delete => Ok(LockStrength::Update),
        }
    }

    async fn by_key(&self, keyed: &Keyed, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let env = Env { exec, frame: &[] };
        let mut written = Written::new(env, self.returning.as_ref());
        let Targets::Table(table) = &self.targets else {
            return Err(SqlError::internal("rows of a family by the key of one table"));
        };
        for key in keyed.keys(env)? {
            let read = exec.view()?.read(self.layout.storage(), &key, Bytes::copy_from_slice)?;
            let Some(read) = read else { continue };
            let strength = self.foreseen_strength(table, env, &key, |old| keyed.decode(&key, old))?;
            let mut locked = keyed.lock(tx, env, &self.layout, (&key, read.clone()), strength).await?;
            if let Some((old, row)) = &locked
                && self.strength(table, env, old, row)? > strength
            {
                // Its newest version has another key than the one that was foreseen.
                locked = keyed.lock(tx, env, &self.layout, (&key, read), LockStrength::Update).await?;
            }
            if let Some((old, row)) = locked {
                let found = Found {
                    table,
                    key: &Bytes::from(key),
                    old: &old,
                    row: &row,
                };
                self.write(tx, env, found, &mut written).await?;
            }
        }
        Ok(Pass::Done(written))
    }

    async fn by_source(&self, engine: &Arc<Engine>, tx: &mut Transaction, exec: &Arc<Exec>) -> Result<Pass> {
        let env = Env { exec, frame: &[] };
        let mut source = self.source.open(engine, exec.clone(), self.source_columns.clone())?;
        let mut written = Written::new(env, self.returning.as_ref());
        while source.next().await? {
            let row = source.row();
            let Some(key) = key_at(row, self.row_key)? else { continue };
            let (table, key) = self.target(&key)?;
            let strength = self.foreseen_strength(&table, env, &key, |_| Ok(row.to_vec()))?;
            match tx.lock_row(&table.layout, &key, strength, LockWait::Block, Seen::Snapshot).await? {
                Locked::Row(old) => {
                    let found = Found {
                        table: &table,
                        key: &key,
                        old: &old,
                        row,
                    };
                    self.write(tx, env, found, &mut written).await?;
                }
                Locked::Changed => return Ok(Pass::Again),
                // Joined more than once: the first row of the join has won.
                Locked::Own(_) | Locked::Gone | Locked::Skipped => {}
            }
        }
        Ok(Pass::Done(written))
    }

    /// Changes one row.
    async fn write(&self, tx: &mut Transaction, env: Env<'_>, found: Found<'_>, written: &mut Written) -> Result<()> {
        let Found { table, key, old, row } = found;
        match &self.change {
            Change::Update { assignments, views, .. } if table.plain && views.is_empty() && self.returning.is_none() => {
                let values = assignments.iter().map(|(column, program)| Ok((*column, program.eval(env, row)?)));
                let values = values.collect::<Result<_>>()?;
                tx.update_columns(&table.layout, key, old, values).await?;
                written.row(None, env, (table.layout.table().oid, &[]), row)
            }
            Change::Update {
                assignments,
                views,
                router,
                ..
            } => {
                let mut new = table.layout.decode_row(old)?;
                let before = table.references.as_ref().map(|_| new.clone());
                for (column, program) in assignments {
                    new[table.place(*column)?] = program.eval(env, row)?;
                }
                let leaves = match &table.bound {
                    Some(bound) => !bound.holds(env, &new)?,
                    None => false,
                };
                let (oid, new) = match router {
                    Some(router) if leaves => {
                        let (to, moved) = router.place(env, table.to_target(new))?;
                        tx.delete(&table.layout, key, old).await?;
                        let new_key = tx.insert(&to.layout, &moved).await?;
                        if let Some(references) = &to.references {
                            references.inserted(tx, &new_key, &moved)?;
                        }
                        let new = to.to_target(moved);
                        if let (Some(references), Some(before)) = (&table.references, &before) {
                            let (catalog, target) = (router.catalog(), self.layout.table().oid);
                            references.moved(tx, catalog, target, before, &table.of_target(new.clone()))?;
                        }
                        (to.layout.table().oid, new)
                    }
                    _ if leaves => return Err(table.outside(env, &new)),
                    _ => {
                        table.checks.complete(&table.layout, env, &mut new)?;
                        let new_key = tx.update(&table.layout, key, old, &new).await?;
                        if let (Some(references), Some(before)) = (&table.references, &before) {
                            references.updated(tx, &new_key, new_key != *key, before, &new)?;
                        }
                        (table.layout.table().oid, table.to_target(new))
                    }
                };
                views.enforce_views(&self.layout, env, &new)?;
                written.row(self.returning.as_ref(), env, (oid, &new), row)
            }
            Change::Delete => {
                tx.delete(&table.layout, key, old).await?;
                if let Some(references) = &table.references {
                    references.deleted(tx, &table.layout.decode_row(old)?)?;
                }
                written.row(self.returning.as_ref(), env, (table.layout.table().oid, &[]), row)
            }
        }
    }
}
