//! Foreign keys: which written rows are to be checked, and the checks and actions themselves.
//!
//! ```text
//!   row written ──▶ check_later ──▶ end of the statement (or COMMIT, SET CONSTRAINTS): settle
//!                                     the row still refers?     SELECT .. FROM referenced FOR KEY SHARE
//!                                     somebody refers to it?    SELECT .. FROM referencing FOR KEY SHARE
//!                                     CASCADE, SET NULL, ..     DELETE, UPDATE of the referencing table
//! ```
//!
//! As in PostgreSQL, checks and actions are statements of their own, each with a snapshot of its own under READ COMMITTED; what they write
//! is checked in its turn. A referenced row that was found is locked FOR KEY SHARE, so nobody can delete it, or change its key, before the
//! referring row is committed; who deletes it holds its lock while it looks for referring rows.

use crate::engine::Engine;
use crate::exec::{Exec, Execution};
use crate::plan::{Outcome, Plan};
use crate::write::table_layout;
use bytes::Bytes;
use curia_bind::BindContext;
use curia_bind::inherit::columns_by_name;
use curia_catalog::{Catalog, Constraint, ConstraintKind, ForeignKey, ForeignKeyAction, Oid, Table};
use curia_parse::quote_identifier;
use curia_txn::{Check, CheckKind, LockStrength, LockWait, Locked, Seen, TableLayout, TableLock, Transaction};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, text_io};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Plans kept; all are forgotten when there would be more.
const PLANS_MAX: usize = 4096;

/// What foreign keys want to know of a table's written rows.
pub(crate) struct References {
    table: Oid,
    /// Its own: (constraint, columns, MATCH FULL).
    own: Vec<(Oid, Vec<usize>, bool)>,
    /// Those that refer to it, or to a partitioned table above it.
    others: Vec<Referrer>,
}

/// A foreign key that refers to a table's rows.
struct Referrer {
    constraint: Oid,
    /// The referencing table.
    from: Oid,
    /// The table that it refers to.
    to: Arc<Table>,
    /// The referenced columns, as the rows' own table has them.
    key: Vec<usize>,
}

impl References {
    /// `None` for a table without foreign keys on either side. What refers to a partitioned table refers to its partitions' rows.
    pub fn of(catalog: &Catalog, table: &Table) -> Option<References> {
        let own = table.foreign_keys().map(|(c, k)| (c.oid, k.columns.clone(), k.full));
        let mut others = Vec::new();
        let mut at = catalog.tables.get(&table.oid);
        while let Some(referenced) = at {
            let places = columns_by_name(referenced, table);
            // Of a partitioned table's constraint and those of its partitions the topmost asks all of them.
            for (from, c, k) in catalog.references_to(referenced.oid).filter(|(_, c, _)| c.parent.is_none()) {
                if let Some(key) = k.key.iter().map(|i| places[*i]).collect() {
                    others.push(Referrer {
                        constraint: c.oid,
                        from: from.oid,
                        to: referenced.clone(),
                        key,
                    });
                }
            }
            at = referenced.partition_of().and_then(|oid| catalog.tables.get(&oid));
        }
        let out = References {
            table: table.oid,
            own: own.collect(),
            others,
        };
        (!out.own.is_empty() || !out.others.is_empty()).then_some(out)
    }

    /// Whether a column is part of a key on either side.
    pub fn holds(&self, column: usize) -> bool {
        let own = self.own.iter().any(|(_, columns, _)| columns.contains(&column));
        own || self.others.iter().any(|other| other.key.contains(&column))
    }

    fn refers(&self, tx: &mut Transaction, constraint: Oid, row_key: &Bytes) -> Result<()> {
        tx.check_later(Check {
            constraint,
            table: self.table,
            kind: CheckKind::Refers { row_key: row_key.clone() },
        })
    }

    /// A row was inserted.
    pub fn inserted(&self, tx: &mut Transaction, row_key: &Bytes, row: &[Datum]) -> Result<()> {
        for (constraint, columns, full) in &self.own {
            if wants_check(columns, *full, row) {
                self.refers(tx, *constraint, row_key)?;
            }
        }
        Ok(())
    }

    /// A row was replaced; `moved`: it has another key now.
    pub fn updated(&self, tx: &mut Transaction, row_key: &Bytes, moved: bool, old: &[Datum], new: &[Datum]) -> Result<()> {
        for other in &self.others {
            other.updated(tx, old, new)?;
        }
        let changed = |columns: &[usize]| columns.iter().any(|c| old[*c] != new[*c]);
        for (constraint, columns, full) in &self.own {
            if (moved || changed(columns)) && wants_check(columns, *full, new) {
                self.refers(tx, *constraint, row_key)?;
            }
        }
        Ok(())
    }

    /// A row went to another partition of `target` and is there as `new`, which has this table's columns. What refers to the target, or to
    /// what is above it, sees an update; what refers to this table alone has lost a row. Errors: 0A000 for what is between.
    pub fn moved(&self, tx: &mut Transaction, catalog: &Catalog, target: Oid, old: &[Datum], new: &[Datum]) -> Result<()> {
        let above = catalog.ancestors(target);
        for other in &self.others {
            if other.to.oid == self.table {
                other.deleted(tx, old)?;
            } else if other.to.oid == target || above.contains(&other.to.oid) {
                other.updated(tx, old, new)?;
            } else {
                let name = |oid: Oid| catalog.tables.get(&oid).map_or("", |t| t.name.as_str());
                let message = "cannot move tuple across partitions when a non-root ancestor of the source partition is directly referenced \
                               in a foreign key";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .detail(format!(
                        "A foreign key points to ancestor \"{}\" but not the root ancestor \"{}\".",
                        other.to.name,
                        name(target)
                    ))
                    .hint(format!("Consider defining the foreign key on table \"{}\".", name(target))));
            }
        }
        Ok(())
    }

    /// A row was deleted.
    pub fn deleted(&self, tx: &mut Transaction, old: &[Datum]) -> Result<()> {
        self.others.iter().try_for_each(|other| other.deleted(tx, old))
    }
}

impl Referrer {
    fn values(&self, row: &[Datum]) -> Vec<Datum> {
        self.key.iter().map(|c| row[*c].clone()).collect()
    }

    fn check(&self, tx: &mut Transaction, old: &[Datum], new: Option<&[Datum]>) -> Result<()> {
        if self.key.iter().any(|c| old[*c].is_null()) {
            return Ok(());
        }
        tx.check_later(Check {
            constraint: self.constraint,
            table: self.from,
            kind: CheckKind::Referenced {
                old: self.values(old),
                new: new.map(|row| self.values(row)),
            },
        })
    }

    fn updated(&self, tx: &mut Transaction, old: &[Datum], new: &[Datum]) -> Result<()> {
        match self.key.iter().any(|c| old[*c] != new[*c]) {
            true => self.check(tx, old, Some(new)),
            false => Ok(()),
        }
    }

    fn deleted(&self, tx: &mut Transaction, old: &[Datum]) -> Result<()> {
        self.check(tx, old, None)
    }
}

/// Whether values refer to anything: NULL does not, and only MATCH FULL minds a NULL among others.
fn wants_check(columns: &[usize], full: bool, row: &[Datum]) -> bool {
    let nulls = columns.iter().filter(|c| row[**c].is_null()).count();
    nulls == 0 || (full && nulls < columns.len())
}

/// Which waiting checks are due.
#[derive(Clone, Copy, Debug)]
pub enum Due<'a> {
    /// At the end of a statement: the immediate ones.
    Statement,
    /// SET CONSTRAINTS .. IMMEDIATE of these.
    Constraints(&'a [Oid]),
    /// At COMMIT: all.
    Commit,
}

/// Plans of checks and actions, good for one catalog version each. One for the server.
#[derive(Default)]
pub struct ReferencePlans {
    plans: Mutex<HashMap<(Oid, Query), Arc<Plan>>>,
    ways: Mutex<HashMap<Oid, Arc<Way>>>,
}

/// From a row to the one that it refers to.
struct Way {
    catalog_version: u64,
    /// The referencing table.
    from: TableLayout,
    /// The referenced one, where the reference is to its row key: such a row is found and locked without a plan.
    to: Option<TableLayout>,
    /// Positions in the foreign key, in the order of that row key.
    order: Vec<usize>,
}

impl Way {
    fn compile(catalog: &Arc<Catalog>, side: &Side<'_>) -> Result<Way> {
        let (columns, key, other) = (&side.key.columns, &side.key.key, side.other);
        let same_type = |(c, k): (&usize, &usize)| side.table.columns[*c].ty.oid == other.columns[*k].ty.oid;
        let place = |of: &usize| key.iter().position(|k| k == of);
        let order: Option<Vec<usize>> = other.row_key.iter().map(place).collect();
        let by_row_key = !other.is_partitioned() && key.len() == other.row_key.len() && columns.iter().zip(key).all(same_type);
        let order = order.filter(|_| by_row_key && !key.is_empty());
        Ok(Way {
            catalog_version: catalog.version,
            from: table_layout(catalog, side.table)?,
            to: order.is_some().then(|| table_layout(catalog, other)).transpose()?,
            order: order.unwrap_or_default(),
        })
    }
}

/// The statements of a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Query {
    /// Is there a referenced row of these values (of the referencing columns' types)? Locks it.
    Referenced,
    /// The same with values of the referenced columns' own types.
    Again,
    /// Does any row refer to these values? Locks it.
    Referring,
    /// The same, without a lock.
    Remaining,
    Delete,
    Update,
    /// ON DELETE SET NULL or SET DEFAULT.
    SetOnDelete,
    /// ON UPDATE SET NULL or SET DEFAULT.
    SetOnUpdate,
}

/// Makes the checks that are due, and takes the actions that foreign keys demand, until nothing is due any more. Errors: 23503, 23505 and
/// those of the actions.
pub async fn settle(engine: &Arc<Engine>, tx: &mut Transaction, e: &Execution, due: Due<'_>) -> Result<()> {
    if !tx.has_checks() {
        return Ok(());
    }
    let mut settling = Settling {
        engine,
        e,
        catalog: e.catalog.clone(),
        layouts: HashMap::new(),
    };
    loop {
        let catalog = settling.catalog.clone();
        let deferral = tx.deferral().clone();
        let is_due = |check: &Check| {
            let Some(constraint) = constraint_of(&catalog, check) else {
                return true;
            };
            let may_wait = match (&check.kind, &constraint.kind) {
                // Actions do not wait.
                (CheckKind::Referenced { new, .. }, ConstraintKind::ForeignKey(key)) => {
                    action(key, new.is_none()) == ForeignKeyAction::NoAction
                }
                _ => true,
            };
            match due {
                Due::Commit => true,
                Due::Statement => !(may_wait && deferral.is_deferred(constraint)),
                Due::Constraints(list) => list.contains(&check.constraint),
            }
        };
        let batch = tx.take_checks(matches!(due, Due::Statement), is_due);
        if batch.is_empty() {
            return Ok(());
        }
        for check in batch {
            e.interrupt.check()?;
            settling.check(tx, &check).await?;
        }
    }
}

fn constraint_of<'c>(catalog: &'c Catalog, check: &Check) -> Option<&'c Constraint> {
    let table = catalog.tables.get(&check.table)?;
    table.constraints.iter().find(|c| c.oid == check.constraint)
}

fn action(key: &ForeignKey, delete: bool) -> ForeignKeyAction {
    if delete { key.on_delete } else { key.on_update }
}

/// The first statement of what a foreign key does about a referenced row that lost its key.
fn query_of(action: ForeignKeyAction, delete: bool) -> Query {
    use ForeignKeyAction::*;
    match (action, delete) {
        (NoAction, _) => Query::Again,
        (Restrict, _) => Query::Referring,
        (Cascade, true) => Query::Delete,
        (Cascade, false) => Query::Update,
        (SetNull | SetDefault, true) => Query::SetOnDelete,
        (SetNull | SetDefault, false) => Query::SetOnUpdate,
    }
}

struct Settling<'a> {
    engine: &'a Arc<Engine>,
    e: &'a Execution,
    /// As it was when the table that is checked or changed was locked.
    catalog: Arc<Catalog>,
    layouts: HashMap<Oid, Arc<TableLayout>>,
}

/// A foreign key with both of its tables.
struct Side<'a> {
    table: &'a Arc<Table>,
    other: &'a Arc<Table>,
    constraint: &'a Constraint,
    key: &'a ForeignKey,
}

impl Settling<'_> {
    async fn check(&mut self, tx: &mut Transaction, check: &Check) -> Result<()> {
        while !self.checked(tx, check).await? {}
        Ok(())
    }

    /// Makes a check; false when a definition turned out to have changed, and it is to be looked at again.
    async fn checked(&mut self, tx: &mut Transaction, check: &Check) -> Result<bool> {
        let catalog = self.catalog.clone();
        // A constraint that was dropped meanwhile demands nothing.
        let (Some(table), Some(constraint)) = (catalog.tables.get(&check.table), constraint_of(&catalog, check)) else {
            return Ok(true);
        };
        let key = match (&check.kind, &constraint.kind) {
            (CheckKind::Unique { value }, ConstraintKind::Unique { index, .. }) => {
                let layout = self.layout(&catalog, table)?;
                return tx.check_unique(&layout, *index, value).map(|()| true);
            }
            (_, ConstraintKind::ForeignKey(key)) => key,
            _ => return Err(SqlError::internal("a check that is not its constraint's")),
        };
        let Some(other) = catalog.tables.get(&key.table) else {
            return Ok(true);
        };
        let side = Side {
            table,
            other,
            constraint,
            key,
        };
        // Since the statement began the other table may have got an index that is to be kept, or lost a column or its rows. What follows locks
        // no further table.
        match &check.kind {
            CheckKind::Referenced { new, .. } => {
                let action = action(key, new.is_none());
                let first = query_of(action, new.is_none());
                let others: &[Query] = match action {
                    ForeignKeyAction::NoAction => &[Query::Referring],
                    ForeignKeyAction::SetDefault => &[Query::Again, Query::Referring],
                    _ => &[],
                };
                for query in [&first].into_iter().chain(others) {
                    tx.lock_tables(self.plan(&side, *query).await?.tables()).await?;
                }
            }
            _ if self.way(&catalog, &side)?.to.is_some() => tx.lock_tables(&[(other.oid, TableLock::RowShare)]).await?,
            _ => tx.lock_tables(self.plan(&side, Query::Referenced).await?.tables()).await?,
        }
        let now = tx.catalog();
        if now.version != catalog.version {
            self.catalog = now;
            self.layouts.clear();
            return Ok(false);
        }
        match &check.kind {
            CheckKind::Refers { row_key } => self.refers(tx, &catalog, &side, row_key).await?,
            CheckKind::Referenced { old, new } => self.referenced(tx, &side, old, new.as_deref()).await?,
            CheckKind::Unique { .. } => {}
        }
        Ok(true)
    }

    fn layout(&mut self, catalog: &Arc<Catalog>, table: &Arc<Table>) -> Result<Arc<TableLayout>> {
        if let Some(found) = self.layouts.get(&table.oid) {
            return Ok(found.clone());
        }
        let layout = Arc::new(table_layout(catalog, table)?);
        self.layouts.insert(table.oid, layout.clone());
        Ok(layout)
    }

    /// A row of the referencing table was written: what it refers to must be there, and stay.
    async fn refers(&self, tx: &mut Transaction, catalog: &Arc<Catalog>, side: &Side<'_>, row_key: &[u8]) -> Result<()> {
        let way = self.way(catalog, side)?;
        let columns = &side.key.columns;
        let decode = |bytes: &[u8]| {
            columns
                .iter()
                .map(|c| way.from.row().decode(bytes, *c))
                .collect::<Result<Vec<_>, _>>()
        };
        let values = tx.view_of_now().read(way.from.storage(), row_key, decode)?;
        // Gone again: so is what it refers to.
        let Some(values) = values.transpose()? else { return Ok(()) };
        let places: Vec<usize> = (0..columns.len()).collect();
        if !wants_check(&places, side.key.full, &values) {
            return Ok(());
        }
        let detail = if values.iter().any(Datum::is_null) {
            "MATCH FULL does not allow mixing of null and nonnull key values.".to_owned()
        } else {
            let found = match &way.to {
                Some(to) => {
                    let (key, mut bytes) = (way.order.iter().map(|at| values[*at].clone()), Vec::with_capacity(16));
                    to.encode_row_key_prefix(&key.collect::<Vec<_>>(), &mut bytes)?;
                    // Who makes such a row just now is not waited for.
                    match tx.view_of_now().read(to.storage(), &bytes, Bytes::copy_from_slice)? {
                        Some(read) => {
                            let how = (LockWait::Block, Seen::Newest);
                            let locked = tx.lock_row_read(to, &bytes, LockStrength::KeyShare, how, Some(read)).await?;
                            matches!(locked, Locked::Row(_) | Locked::Own(Some(_)))
                        }
                        None => false,
                    }
                }
                None => self.finds(tx, side, Query::Referenced, &values).await?,
            };
            if found {
                return Ok(());
            }
            let shown = self.shown(side.table, &side.key.columns, &values);
            format!("Key {shown} is not present in table \"{}\".", side.other.name)
        };
        let message = format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            side.table.name, side.constraint.name
        );
        Err(self.violation(side, message, detail))
    }

    /// A referenced row lost its key.
    async fn referenced(&mut self, tx: &mut Transaction, side: &Side<'_>, old: &[Datum], new: Option<&[Datum]>) -> Result<()> {
        let query = query_of(action(side.key, new.is_none()), new.is_none());
        match query {
            Query::Again => {
                // Another row may have the key by now.
                if self.finds(tx, side, Query::Again, old).await? {
                    return Ok(());
                }
                return self.nobody_refers(tx, side, old).await;
            }
            Query::Referring => return self.nobody_refers(tx, side, old).await,
            _ => {}
        }
        let mut params = old.to_vec();
        if query == Query::Update {
            params.extend(new.into_iter().flatten().cloned());
        }
        self.run(tx, side, query, params).await?;
        if tx.isolation().keeps_snapshot() && query != Query::SetOnDelete && self.remains(tx, side, old).await? {
            return Err(SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to concurrent update",
            ));
        }
        if action(side.key, new.is_none()) == ForeignKeyAction::SetDefault {
            // The default may be the very key that went.
            if !self.finds(tx, side, Query::Again, old).await? {
                return self.nobody_refers(tx, side, old).await;
            }
        }
        Ok(())
    }

    async fn nobody_refers(&mut self, tx: &mut Transaction, side: &Side<'_>, old: &[Datum]) -> Result<()> {
        let found = if tx.isolation().keeps_snapshot() {
            self.remains(tx, side, old).await? // rows that the transaction's snapshot does not have count too
        } else {
            self.finds(tx, side, Query::Referring, old).await?
        };
        if !found {
            return Ok(());
        }
        let message = format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            side.other.name, side.constraint.name, side.table.name
        );
        let shown = self.shown(side.other, &side.key.key, old);
        let detail = format!("Key {shown} is still referenced from table \"{}\".", side.table.name);
        Err(self.violation(side, message, detail))
    }

    async fn finds(&self, tx: &mut Transaction, side: &Side<'_>, query: Query, params: &[Datum]) -> Result<bool> {
        let outcome = self.run(tx, side, query, params.to_vec()).await?;
        match outcome.rows {
            Some(mut rows) => rows.next().await,
            None => Err(SqlError::internal("a query of a foreign key without rows")),
        }
    }

    /// Whether a row refers to these values, by what everybody committed last.
    async fn remains(&self, tx: &mut Transaction, side: &Side<'_>, params: &[Datum]) -> Result<bool> {
        let plan = self.plan(side, Query::Remaining).await?;
        tx.lock_tables(plan.tables()).await?;
        let exec = Arc::new(Exec::new(tx.newest_view(), self.execution(params.to_vec()), self.engine));
        plan.open_query(exec)?.next().await
    }

    async fn run(&self, tx: &mut Transaction, side: &Side<'_>, query: Query, params: Vec<Datum>) -> Result<Outcome> {
        let plan = self.plan(side, query).await?;
        tx.lock_tables(plan.tables()).await?;
        tx.start_statement();
        plan.execute_unsettled(tx, self.execution(params)).await
    }

    fn execution(&self, params: Vec<Datum>) -> Execution {
        Execution {
            params: params.into(),
            catalog: self.catalog.clone(),
            ..self.e.clone()
        }
    }

    fn way(&self, catalog: &Arc<Catalog>, side: &Side<'_>) -> Result<Arc<Way>> {
        let mut ways = self.e.reference_plans.ways.lock();
        if let Some(way) = ways.get(&side.constraint.oid).filter(|way| way.catalog_version == catalog.version) {
            return Ok(way.clone());
        }
        let way = Arc::new(Way::compile(catalog, side)?);
        if ways.len() >= PLANS_MAX {
            ways.clear();
        }
        ways.insert(side.constraint.oid, way.clone());
        Ok(way)
    }

    async fn plan(&self, side: &Side<'_>, query: Query) -> Result<Arc<Plan>> {
        let cache = &self.e.reference_plans;
        let catalog = &self.catalog;
        let at = (side.constraint.oid, query);
        let found = cache.plans.lock().get(&at).cloned();
        if let Some(plan) = found.filter(|p| p.catalog_version() == catalog.version) {
            return Ok(plan);
        }
        let (sql, types) = side.sql(catalog, query);
        let types: Vec<u32> = types.iter().map(|t| t.oid).collect();
        let parsed = curia_parse::parse(&sql)?
            .pop()
            .ok_or_else(|| SqlError::internal("a foreign key asked an empty query"))?;
        // Names are qualified; a path tells which temporary schema is the session's own.
        let search_path = [side.table, side.other].map(|t| catalog.schema_name(t.schema).to_owned());
        let cx = BindContext {
            row_keys: false,
            role: None,
            cursor: None,
            catalog,
            search_path: &search_path,
            database: "",
            params: Some(&types),
            io: self.e.context.io(),
        };
        let bound = Arc::new(curia_bind::bind(&parsed, &cx)?);
        let plan = self.engine.plan(&bound, catalog).await?;
        let mut plans = cache.plans.lock();
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.insert(at, plan.clone());
        Ok(plan)
    }

    /// `(a, b)=(1, 2)`
    fn shown(&self, table: &Table, columns: &[usize], values: &[Datum]) -> String {
        let names: Vec<&str> = columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
        let values: Vec<String> = columns
            .iter()
            .zip(values)
            .map(|(c, v)| text_io::to_string(table.columns[*c].ty, v, self.e.context.io()))
            .collect();
        format!("({})=({})", names.join(", "), values.join(", "))
    }

    fn violation(&self, side: &Side<'_>, message: String, detail: String) -> SqlError {
        SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message)
            .detail(detail)
            .table(self.catalog.schema_name(side.table.schema), &side.table.name)
            .constraint(&side.constraint.name)
    }
}

impl Side<'_> {
    /// The text of a query, and the types of its parameters.
    fn sql(&self, catalog: &Catalog, query: Query) -> (String, Vec<PgType>) {
        // Partitions belong to their table; a child by inheritance is another one.
        let name = |t: &Table| {
            let only = if t.is_partitioned() { "" } else { "ONLY " };
            format!(
                "{only}{}.{}",
                quote_identifier(catalog.schema_name(t.schema)),
                quote_identifier(&t.name)
            )
        };
        let column = |t: &Table, c: usize| quote_identifier(&t.columns[c].name).into_owned();
        let equal = |t: &Table, columns: &[usize]| {
            let terms: Vec<String> = (1..).zip(columns).map(|(n, c)| format!("x.{} = ${n}", column(t, *c))).collect();
            terms.join(" AND ")
        };
        let types = |t: &Table, columns: &[usize]| -> Vec<PgType> { columns.iter().map(|c| t.columns[*c].ty).collect() };
        let (table, other, key) = (self.table, self.other, self.key);
        let referenced = format!("SELECT 1 FROM {} AS x WHERE {} FOR KEY SHARE", name(other), equal(other, &key.key));
        let referring = format!("SELECT 1 FROM {} AS x WHERE {} LIMIT 1", name(table), equal(table, &key.columns));
        let set = |delete: bool| {
            let value = if action(key, delete) == ForeignKeyAction::SetNull {
                "NULL"
            } else {
                "DEFAULT"
            };
            let columns = if delete && !key.set.is_empty() { &key.set } else { &key.columns };
            let items: Vec<String> = columns.iter().map(|c| format!("{} = {value}", column(table, *c))).collect();
            format!(
                "UPDATE {} AS x SET {} WHERE {}",
                name(table),
                items.join(", "),
                equal(table, &key.columns)
            )
        };
        let mut by_key = types(other, &key.key);
        let sql = match query {
            Query::Referenced => return (referenced, types(table, &key.columns)),
            Query::Again => referenced,
            Query::Referring => format!("{referring} FOR KEY SHARE"),
            Query::Remaining => referring,
            Query::Delete => format!("DELETE FROM {} AS x WHERE {}", name(table), equal(table, &key.columns)),
            Query::Update => {
                let items: Vec<String> = (key.key.len() + 1..)
                    .zip(&key.columns)
                    .map(|(n, c)| format!("{} = ${n}", column(table, *c)))
                    .collect();
                by_key.extend(types(other, &key.key));
                format!(
                    "UPDATE {} AS x SET {} WHERE {}",
                    name(table),
                    items.join(", "),
                    equal(table, &key.columns)
                )
            }
            Query::SetOnDelete => set(true),
            Query::SetOnUpdate => set(false),
        };
        (sql, by_key)
    }
}
