//! The tables that a statement's rows go to: its target, the tables of the target's family, or the partitions that rows belong to.
//!
//! ```text
//!   row as the target has it ── Router ──▶ partition ── Member::of_target ──▶ row as the partition has it ── Checks ──▶ insert
//! ```
//!
//! What a table demands of its rows (generated columns, CHECK constraints, its bound as a partition, foreign keys) is its own matter, so each
//! has a [`Member`], compiled when its first row comes: a statement may know thousands of partitions and meet one.

use super::{Checks, References};
use crate::eval::{Env, Program};
use crate::rows::{Compiler, Row};
use curia_bind::inherit::{RowRules, columns_by_name, partition_key, row_rules};
use curia_bind::ir::{Insert, RelColumn, Update};
use curia_catalog::partition::Partitions;
use curia_catalog::{Catalog, Index, KeyOf, Oid, Table};
use curia_txn::{LockStrength, TableLayout, violation};
use curia_types::{Datum, Result, SqlError, SqlState, text_io};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// A table of a target's family.
pub(crate) struct Member {
    pub layout: Arc<TableLayout>,
    pub checks: Checks,
    pub references: Option<References>,
    /// The bound that its rows must keep to; `None` when it is no partition.
    pub bound: Option<PartitionBound>,
    /// The lock that an UPDATE takes on its rows.
    pub strength: LockStrength,
    /// An UPDATE leaves all keys, index entries and references as they are, and its new rows have nothing to be checked but NOT NULL.
    pub plain: bool,
    /// For each of the target's columns this table's; `None` when both have the same ones in the same places.
    places: Option<Vec<Option<usize>>>,
    /// Each index that is part of a partitioned table's, and those that it is part of, nearest first.
    lineage: Vec<(Oid, Vec<Oid>)>,
}

impl Member {
    /// The table with what it demands of rows. `assigned` are the target's columns that an UPDATE assigns to.
    pub fn compile(catalog: &Arc<Catalog>, table: &Arc<Table>, target: &Table, assigned: &[usize]) -> Result<Member> {
        let mut c = Compiler::new(catalog.clone());
        let layout = c.layout(table)?;
        let RowRules { row, generated, checks } = row_rules(catalog, table)?;
        let places = columns_by_name(target, table);
        let same = table.columns.len() == target.columns.len()
            && places
                .iter()
                .zip(&target.columns)
                .enumerate()
                .all(|(i, (p, c))| c.dropped || *p == Some(i));
        let own = assigned.iter().filter_map(|i| places[*i]);
        let assigned: Vec<usize> = own.chain(generated.iter().map(|(i, _)| *i)).collect();
        Ok(Member {
            strength: layout.update_strength(&assigned),
            plain: false,
            checks: Checks::compile(&mut c, &generated, &checks, &row)?,
            references: References::of(catalog, table),
            bound: PartitionBound::of(&mut c, table)?,
            layout,
            places: (!same).then_some(places),
            lineage: lineage(catalog, table),
        })
    }

    /// The target of an INSERT, when that is where the rows go.
    pub fn inserted(c: &mut Compiler, insert: &Insert) -> Result<Member> {
        let update = insert.on_conflict.as_ref().and_then(|o| o.update.as_ref());
        let assigned: Vec<usize> = update.iter().flat_map(|u| &u.assignments).map(|(i, _)| *i).collect();
        let checks = Checks::compile(c, &insert.generated, &insert.checks, &insert.new_row)?;
        Member::alone(c, &insert.table, assigned, &insert.generated, checks)
    }

    /// The target of an UPDATE, when all rows are its own.
    pub fn updated(c: &mut Compiler, update: &Update) -> Result<Member> {
        let assigned: Vec<usize> = update.assignments.iter().map(|(i, _)| *i).collect();
        let checks = Checks::compile(c, &update.generated, &update.checks, &update.new_row)?;
        let is_plain = checks.is_empty() && !update.table.indexes.iter().any(Index::computes);
        let mut member = Member::alone(c, &update.table, assigned.clone(), &update.generated, checks)?;
        let layout = &member.layout;
        let in_index = |column: &usize| layout.indexes().iter().any(|i| i.columns().any(|c| c == *column));
        let in_key = |column: &usize| update.table.row_key.contains(column) || in_index(column);
        let refers = |column: &usize| member.references.as_ref().is_some_and(|r| r.holds(*column));
        member.plain = is_plain && member.bound.is_none() && !assigned.iter().any(|column| in_key(column) || refers(column));
        Ok(member)
    }

    /// The target of a DELETE, when all rows are its own.
    pub fn of_delete(c: &mut Compiler, table: &Arc<Table>) -> Result<Member> {
        let checks = Checks::compile(c, &[], &[], &[])?;
        Member::alone(c, table, Vec::new(), &[], checks)
    }

    /// A target that is the only member.
    fn alone(
        c: &mut Compiler,
        table: &Arc<Table>,
        mut assigned: Vec<usize>,
        generated: &[(usize, curia_bind::ir::Expr)],
        checks: Checks,
    ) -> Result<Member> {
        let layout = c.layout(table)?;
        assigned.extend(generated.iter().map(|(i, _)| *i));
        Ok(Member {
            strength: layout.update_strength(&assigned),
            plain: false,
            checks,
            references: References::of(c.catalog(), table),
            bound: PartitionBound::of(c, table)?,
            layout,
            places: None,
            lineage: Vec::new(),
        })
    }

    /// The indexes of this table that stand for the target's.
    pub fn indexes(&self, of_target: &[Oid]) -> Vec<Oid> {
        let mine = |oid: &Oid| {
            self.lineage
                .iter()
                .find(|(_, above)| above.contains(oid))
                .map_or(*oid, |(own, _)| *own)
        };
        of_target.iter().map(mine).collect()
    }

    /// This table's column for one of the target's.
    pub fn place(&self, column: usize) -> Result<usize> {
        match &self.places {
            None => Ok(column),
            Some(places) => places[column].ok_or_else(|| self.has_not(column)),
        }
    }

    /// A row of the target as this table has it; columns of its own are NULL.
    pub fn of_target(&self, row: Row) -> Row {
        let Some(places) = &self.places else { return row };
        let mut out = vec![Datum::Null; self.layout.table().columns.len()];
        for (value, place) in row.into_iter().zip(places) {
            if let Some(place) = place {
                out[*place] = value;
            }
        }
        out
    }

    /// A row of this table as the target has it.
    pub fn to_target(&self, row: Row) -> Row {
        match &self.places {
            None => row,
            Some(places) => places.iter().map(|p| p.map_or(Datum::Null, |p| row[p].clone())).collect(),
        }
    }

    fn has_not(&self, column: usize) -> SqlError {
        SqlError::internal(format!(
            "table \"{}\" has no column {column} of its parent",
            self.layout.table().name
        ))
    }

    /// Completes a row that is new in this table, and refuses it where it does not fit.
    pub fn complete(&self, env: Env<'_>, row: &mut [Datum]) -> Result<()> {
        self.checks.complete(&self.layout, env, row)?;
        match &self.bound {
            Some(bound) if !bound.holds(env, row)? => {
                self.checks.not_null(&self.layout, env, row)?;
                Err(self.outside(env, row))
            }
            _ => Ok(()),
        }
    }

    /// 23514 for a row outside the table's bound.
    pub fn outside(&self, env: Env<'_>, row: &[Datum]) -> SqlError {
        let table = self.layout.table();
        let message = format!("new row for relation \"{}\" violates partition constraint", table.name);
        SqlError::new(SqlState::CHECK_VIOLATION, message)
            .detail(violation::failing_row(&self.layout, row, env.exec.context.io()))
            .table(self.layout.schema_name(), &table.name)
    }
}

/// The members of a target's family, by OID.
pub(crate) struct Members {
    catalog: Arc<Catalog>,
    target: Arc<Table>,
    assigned: Vec<usize>,
    met: Mutex<HashMap<Oid, Arc<Member>>>,
}

impl Members {
    pub fn new(catalog: &Arc<Catalog>, target: &Arc<Table>, assigned: Vec<usize>) -> Members {
        Members {
            catalog: catalog.clone(),
            target: target.clone(),
            assigned,
            met: Mutex::default(),
        }
    }

    pub fn get(&self, table: Oid) -> Result<Arc<Member>> {
        if let Some(found) = self.met.lock().get(&table) {
            return Ok(found.clone());
        }
        let table = match self.catalog.tables.get(&table) {
            _ if table == self.target.oid => &self.target,
            Some(table) => table,
            None => return Err(SqlError::internal("a row of a table that is not in the catalog")),
        };
        let member = Arc::new(Member::compile(&self.catalog, table, &self.target, &self.assigned)?);
        self.met.lock().insert(table.oid, member.clone());
        Ok(member)
    }
}

/// A partitioned table's key and partitions, for rows of some table that has its columns.
struct Level {
    table: Arc<Table>,
    /// Positions in the rows of the columns that the programs see.
    columns: Vec<usize>,
    key: Vec<Program>,
    partitions: Partitions,
}

impl Level {
    /// Over rows as `of` has them.
    fn compile(c: &mut Compiler, table: &Arc<Table>, of: &Table) -> Result<Option<Level>> {
        let catalog = c.catalog().clone();
        let Some(partitions) = table.partitions(&catalog)? else {
            return Ok(None);
        };
        let (row, key) = partition_key(&catalog, table)?;
        let places = columns_by_name(table, of);
        let place =
            |(i, _): &(usize, RelColumn)| places[*i].ok_or_else(|| SqlError::internal("a partition without a column of its parent"));
        let columns: Vec<RelColumn> = row.iter().map(|(_, c)| c.clone()).collect();
        Ok(Some(Level {
            columns: row.iter().map(place).collect::<Result<_>>()?,
            key: key
                .iter()
                .map(|e| c.expression(e, &columns, &HashMap::new()))
                .collect::<Result<_>>()?,
            table: table.clone(),
            partitions,
        }))
    }

    fn key(&self, env: Env<'_>, row: &[Datum]) -> Result<Row> {
        let seen: Row = self.columns.iter().map(|i| row[*i].clone()).collect();
        self.key.iter().map(|p| p.eval(env, &seen)).collect()
    }

    /// 23514 for a row that belongs to no partition.
    fn nowhere(&self, catalog: &Catalog, env: Env<'_>, row: &[Datum]) -> SqlError {
        let message = format!("no partition of relation \"{}\" found for row", self.table.name);
        let error = SqlError::new(SqlState::CHECK_VIOLATION, message).table(catalog.schema_name(self.table.schema), &self.table.name);
        let (Ok(key), Some(of)) = (self.key(env, row), &self.table.partition_key) else {
            return error;
        };
        let io = env.exec.context.io();
        let shown = |(ty, value): (&curia_types::PgType, &Datum)| match value {
            Datum::Null => "null".to_owned(),
            value => text_io::to_string(*ty, value, io),
        };
        let names: Vec<&str> = of
            .columns
            .iter()
            .map(|c| match &c.of {
                KeyOf::Column(i) => self.table.columns[*i].name.as_str(),
                KeyOf::Expression { text, .. } => text.as_str(),
            })
            .collect();
        let values: Vec<String> = self.partitions.types().iter().zip(&key).map(shown).collect();
        error.detail(format!(
            "Partition key of the failing row contains ({}) = ({}).",
            names.join(", "),
            values.join(", ")
        ))
    }
}

/// What the rows of a partition keep to: its own bound, and those of the partitioned tables above it, as far as they are partitions.
pub(crate) struct PartitionBound {
    /// Each level above, nearest first, with the partition of it that a row must belong to.
    levels: Vec<(Level, Oid)>,
}

impl PartitionBound {
    fn of(c: &mut Compiler, table: &Arc<Table>) -> Result<Option<PartitionBound>> {
        let catalog = c.catalog().clone();
        let mut levels = Vec::new();
        let mut at = table;
        while let Some(parent) = at.partition_of().and_then(|oid| catalog.tables.get(&oid)) {
            levels.extend(Level::compile(c, parent, table)?.map(|level| (level, at.oid)));
            at = parent;
        }
        Ok((!levels.is_empty()).then_some(PartitionBound { levels }))
    }

    /// Whether a row of the table is within its bound.
    pub fn holds(&self, env: Env<'_>, row: &[Datum]) -> Result<bool> {
        for (level, partition) in &self.levels {
            if level.partitions.route(&level.key(env, row)?) != Some(*partition) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Finds the partitions of rows of a partitioned table.
pub(crate) struct Router {
    catalog: Arc<Catalog>,
    target: Arc<Table>,
    /// The target's own bound, where it is a partition itself.
    bound: Option<PartitionBound>,
    members: Members,
    /// Partitioned tables met so far.
    levels: Mutex<HashMap<Oid, Option<Arc<Level>>>>,
}

impl Router {
    /// `assigned`: the target's columns that an ON CONFLICT DO UPDATE assigns to.
    pub fn compile(c: &mut Compiler, target: &Arc<Table>, assigned: Vec<usize>) -> Result<Router> {
        let catalog = c.catalog().clone();
        Ok(Router {
            bound: PartitionBound::of(c, target)?,
            members: Members::new(&catalog, target, assigned),
            target: target.clone(),
            catalog,
            levels: Mutex::default(),
        })
    }

    /// The catalog version that it goes by.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn level(&self, table: Oid) -> Result<Option<Arc<Level>>> {
        if let Some(found) = self.levels.lock().get(&table) {
            return Ok(found.clone());
        }
        let partitioned = self.catalog.tables.get(&table).filter(|t| t.is_partitioned());
        let level = match partitioned {
            None => None,
            Some(t) => Level::compile(&mut Compiler::new(self.catalog.clone()), t, &self.target)?.map(Arc::new),
        };
        self.levels.lock().insert(table, level.clone());
        Ok(level)
    }

    /// The partition of a row of the target, and the row as the partition has it, complete. Errors: 23502, 23514.
    pub fn place(&self, env: Env<'_>, row: Row) -> Result<(Arc<Member>, Row)> {
        let member = self.route(env, &row)?;
        let mut row = member.of_target(row);
        member.checks.complete(&member.layout, env, &mut row)?;
        Ok((member, row))
    }

    fn route(&self, env: Env<'_>, row: &[Datum]) -> Result<Arc<Member>> {
        if let Some(bound) = &self.bound
            && !bound.holds(env, row)?
        {
            return Err(Member::compile(&self.catalog, &self.target, &self.target, &[]).map_or_else(|e| e, |m| m.outside(env, row)));
        }
        let mut at = self.target.oid;
        while let Some(level) = self.level(at)? {
            at = match level.partitions.route(&level.key(env, row)?) {
                Some(partition) => partition,
                None => return Err(level.nowhere(&self.catalog, env, row)),
            };
        }
        self.members.get(at)
    }
}

fn lineage(catalog: &Catalog, table: &Table) -> Vec<(Oid, Vec<Oid>)> {
    let ancestors = catalog.ancestors(table.oid);
    let parent_of = |index: Oid| {
        ancestors
            .iter()
            .filter_map(|t| catalog.tables.get(t)?.index(index))
            .find_map(|i| i.parent)
    };
    let above = |first: Oid| std::iter::successors(Some(first), |index| parent_of(*index)).collect();
    table.indexes.iter().filter_map(|i| Some((i.oid, above(i.parent?)))).collect()
}

/// Where the rows of an INSERT or COPY go.
pub(crate) enum Destination {
    Table(Arc<Member>),
    Partitions(Box<Router>),
}

impl Destination {
    pub fn compile(c: &mut Compiler, insert: &Insert) -> Result<Destination> {
        if !insert.table.is_partitioned() {
            return Ok(Destination::Table(Arc::new(Member::inserted(c, insert)?)));
        }
        let update = insert.on_conflict.as_ref().and_then(|o| o.update.as_ref());
        let assigned = update.iter().flat_map(|u| &u.assignments).map(|(i, _)| *i).collect();
        Ok(Destination::Partitions(Box::new(Router::compile(c, &insert.table, assigned)?)))
    }

    /// The table that a row of the target goes to, and the row as that table has it, complete. Errors: 23502, 23514.
    pub fn place(&self, env: Env<'_>, mut row: Row) -> Result<(Arc<Member>, Row)> {
        match self {
            Destination::Table(member) => {
                member.complete(env, &mut row)?;
                Ok((member.clone(), row))
            }
            Destination::Partitions(router) => router.place(env, row),
        }
    }
}
