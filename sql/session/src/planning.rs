//! Prepared statements and their plans.

use crate::advisory::WAITING;
use crate::cursor::current_of;
use crate::objects::OWN_VIEWS;
use crate::output::{Field, Output, Stop};
use crate::plan_cache::Cached;
use crate::session::Session;
use curia_bind::index::RowColumns;
use curia_bind::ir::{BoundStatement, Expr, OutputColumn};
use curia_bind::{Access, BindContext, CursorRow, check_access};
use curia_catalog::{Catalog, Oid, Table};
use curia_execute::{Plan, PlanKind};
use curia_parse::{Parsed, Statement, ast};
use curia_txn::TableLock;
use curia_types::{PgType, Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A statement with a plan, good for one catalog version.
pub struct Planned {
    /// How it runs.
    pub plan: Arc<Plan>,
    /// Types of its parameters.
    pub params: Vec<PgType>,
    /// Result columns; `None` when it returns no rows.
    pub fields: Option<Arc<[Field]>>,
    /// The command that writes; `None` for a plain query.
    pub writes: Option<&'static str>,
    /// What it writes are rows of temporary tables only, which a READ ONLY transaction lets change.
    pub temporary: bool,
    /// The catalog version it was bound to.
    pub catalog_version: u64,
    /// Whether it calls functions that may wait for an advisory lock.
    pub waits: bool,
    /// Whether it reads views of the session's own objects.
    pub lists_own: bool,
    /// The role that it was bound for; 0 for superusers.
    pub role: Oid,
    /// What it needs the right to.
    accesses: Vec<Access>,
    /// Whether it was found to have that: catalog and role are the plan's own.
    permitted: AtomicBool,
    /// Whether it reads or changes a table with an index that only some numbers make usable.
    pub partial: bool,
}

impl Planned {
    /// Refuses to run what the role may not do.
    pub fn permit(&self, catalog: &Catalog) -> Result<()> {
        if self.accesses.is_empty() || self.permitted.load(Ordering::Relaxed) {
            return Ok(());
        }
        check_access(catalog, &self.accesses)?;
        self.permitted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The same of CREATE TABLE AS: to fill what it makes takes no right.
    pub fn permit_filling(&self, catalog: &Catalog, made: Oid) -> Result<()> {
        let others: Vec<Access> = self.accesses.iter().filter(|a| a.object != made).cloned().collect();
        check_access(catalog, &others)?;
        self.permitted.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A prepared statement, or a statement of a simple query on its way.
pub struct Prepared {
    /// The query string that it stands in; positions in errors refer to it.
    pub sql: Arc<str>,
    /// The statement; `None` for an empty string.
    pub parsed: Option<Arc<Parsed>>,
    /// Parameter types as the client declared them, 0 where it left them open. `None`: parameters may not occur.
    pub declared: Option<Vec<u32>>,
    /// Parameter types.
    pub params: Vec<PgType>,
    /// Result columns.
    pub fields: Option<Arc<[Field]>>,
    /// When it was prepared, microseconds since 2000-01-01 UTC.
    pub prepared_at: i64,
    /// By PREPARE, not by a Parse message.
    pub from_sql: bool,
    /// A cursor's: its plan gives row keys behind its columns.
    pub row_keys: bool,
    /// The newest plan.
    pub(crate) planned: Mutex<Option<Arc<Planned>>>,
}

impl Prepared {
    /// A statement that lives for one execution.
    pub(crate) fn transient(sql: &Arc<str>, parsed: Arc<Parsed>) -> Prepared {
        Prepared {
            sql: sql.clone(),
            parsed: Some(parsed),
            declared: None,
            params: Vec::new(),
            fields: None,
            prepared_at: 0,
            from_sql: false,
            row_keys: false,
            planned: Mutex::new(None),
        }
    }

    /// The statement itself.
    pub fn statement(&self) -> Option<&Statement> {
        self.parsed.as_ref().map(|p| &p.statement)
    }

    /// The state of the past that it reads.
    pub fn as_of(&self) -> Option<&ast::AsOf> {
        self.parsed.as_ref().and_then(|p| p.as_of.as_ref())
    }

    /// Its own text.
    pub fn text(&self) -> &str {
        match &self.parsed {
            Some(p) => self.sql.get(p.span.clone()).unwrap_or(&self.sql),
            None => "",
        }
    }
}

/// Result columns as a client sees them.
pub(crate) fn fields_of(columns: &[OutputColumn]) -> Arc<[Field]> {
    columns
        .iter()
        .map(|c| {
            let (table, attnum) = c.origin.unwrap_or((0, 0));
            Field {
                name: c.name.clone(),
                table,
                attnum,
                ty: c.ty,
            }
        })
        .collect()
}

impl Session {
    /// A current plan of a prepared statement, made anew when the catalog or the settings it depends on have moved.
    ///
    /// # Errors
    /// 0A000 when its result columns changed since it was prepared, and the errors of binding.
    pub(crate) async fn plan_prepared(
        &mut self,
        prepared: &Prepared,
        catalog: &Arc<Catalog>,
        out: &mut impl Output,
    ) -> Result<Arc<Planned>, Stop> {
        let newest = prepared.planned.lock().clone();
        let Some(parsed) = &prepared.parsed else {
            return Err(SqlError::internal("an empty statement has no plan").into());
        };
        // Where a cursor stands is part of the plan.
        let at_cursor = current_of(&parsed.statement).is_some();
        let role = self.role();
        let same =
            |p: &Arc<Planned>| p.catalog_version == catalog.version && p.role == role && !self.environment.generation_moved(&self.shared);
        if let Some(planned) = newest.filter(|p| !at_cursor && same(p)) {
            return Ok(planned);
        }
        let types: Option<Vec<u32>> = match prepared.declared {
            // The types that it was first bound to are a promise to the client.
            Some(_) if !prepared.params.is_empty() => Some(prepared.params.iter().map(|t| t.oid).collect()),
            Some(ref d) => Some(d.clone()),
            None => None,
        };
        let planned = if at_cursor || prepared.row_keys {
            self.refresh_environment(catalog);
            let preparing = prepared.declared.is_some() && prepared.prepared_at == 0;
            let row = self.cursor_row(&parsed.statement, preparing);
            let bound = self.bind_for_cursor(&parsed.statement, parsed.depth, types.as_deref(), catalog, (prepared.row_keys, row))?;
            Arc::new(self.plan_bound(bound, catalog, out).await?)
        } else {
            let text = if parsed.span.start == 0 { Some(prepared.text()) } else { None };
            self.plan_statement(parsed, text, types.as_deref(), catalog, out).await?
        };
        if prepared.declared.is_some() && prepared.prepared_at != 0 && !same_fields(&prepared.fields, &planned.fields) {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type").into());
        }
        *prepared.planned.lock() = Some(planned.clone());
        Ok(planned)
    }

    /// Plans a statement, or finds its plan. `text` is the key to keep it under, where the positions in it are those of the statement.
    pub(crate) async fn plan_statement(
        &mut self,
        parsed: &Arc<Parsed>,
        text: Option<&str>,
        types: Option<&[u32]>,
        catalog: &Arc<Catalog>,
        out: &mut impl Output,
    ) -> Result<Arc<Planned>, Stop> {
        self.refresh_environment(catalog);
        let key_types = types.unwrap_or(&[]);
        if let Some(text) = text
            && let Some(found) = self.sessions.plans.find(text, &self.environment.key, key_types, catalog.version)
        {
            return Ok(found.planned);
        }
        let bound = self.bind_parsed(&parsed.statement, parsed.depth, types, catalog)?;
        let planned = Arc::new(self.plan_bound(bound, catalog, out).await?);
        // A private catalog version is one transaction's own.
        if let Some(text) = text
            && catalog.version & Catalog::PRIVATE == 0
        {
            let cached = Cached {
                text: Arc::from(text),
                parsed: parsed.clone(),
                types: types.map(Arc::from),
                planned: planned.clone(),
            };
            self.sessions.plans.keep(text, &self.environment.key, key_types, cached);
        }
        Ok(planned)
    }

    /// Binds a statement in the session's surroundings.
    pub(crate) fn bind_parsed(
        &self,
        statement: &Statement,
        depth: u32,
        types: Option<&[u32]>,
        catalog: &Arc<Catalog>,
    ) -> Result<BoundStatement> {
        self.bind_for_cursor(statement, depth, types, catalog, (false, None))
    }

    /// Binds a statement of a cursor (giving row keys), or one that changes the row that a cursor stands on.
    fn bind_for_cursor(
        &self,
        statement: &Statement,
        depth: u32,
        types: Option<&[u32]>,
        catalog: &Arc<Catalog>,
        (row_keys, cursor): (bool, Option<CursorRow>),
    ) -> Result<BoundStatement> {
        let mut io = self.environment.io.clone();
        io.now = self.transaction_start();
        let cx = BindContext {
            row_keys,
            role: Some(self.environment.identity.current),
            cursor: cursor.as_ref(),
            catalog,
            search_path: &self.environment.search_path,
            database: &self.shared.database_name,
            params: types,
            io: &io,
        };
        curia_bind::bind_statement(statement, depth, &cx)
    }

    /// Binds the WHERE of COPY FROM.
    pub(crate) fn bind_copy_condition(&mut self, table: &Arc<Table>, filter: &ast::Expr, depth: u32) -> Result<(RowColumns, Expr)> {
        let catalog = self.transaction()?.catalog();
        let mut io = self.environment.io.clone();
        io.now = self.transaction_start();
        let cx = BindContext {
            row_keys: false,
            role: None,
            cursor: None,
            catalog: &catalog,
            search_path: &self.environment.search_path,
            database: &self.shared.database_name,
            params: None,
            io: &io,
        };
        curia_bind::copy_condition(table, filter, depth, &cx)
    }

    /// The role that plans are for: superusers share theirs.
    fn role(&self) -> Oid {
        let identity = &self.environment.identity;
        if identity.superuser { 0 } else { identity.current }
    }

    /// Plans a bound statement.
    pub(crate) async fn plan_bound(
        &self,
        mut bound: BoundStatement,
        catalog: &Arc<Catalog>,
        out: &mut impl Output,
    ) -> Result<Planned, Stop> {
        let accesses = std::mem::take(&mut bound.accesses);
        let engine = self.shared.engine.clone();
        let plan = self.waits.run(out, engine.plan(&Arc::new(bound), catalog)).await?;
        let returns = plan.kind() == PlanKind::Select || !plan.output().is_empty();
        let writes = match plan.changes().unwrap_or(plan.kind()) {
            PlanKind::Select if plan.tables().iter().any(|(_, lock)| *lock == TableLock::RowShare) => Some("SELECT FOR UPDATE"),
            PlanKind::Select => None,
            PlanKind::Insert => Some("INSERT"),
            PlanKind::Update => Some("UPDATE"),
            PlanKind::Delete => Some("DELETE"),
            PlanKind::Merge => Some("MERGE"),
        };
        let targets = |lock: &TableLock| matches!(lock, TableLock::RowExclusive | TableLock::RowShare);
        let is_temporary = |oid| catalog.tables.get(oid).is_some_and(|t| catalog.is_temporary(t.schema));
        Ok(Planned {
            temporary: plan.tables().iter().all(|(oid, lock)| !targets(lock) || is_temporary(oid)),
            params: plan.params().to_vec(),
            fields: returns.then(|| fields_of(&plan.output()[..plan.output().len() - plan.row_keys().len()])),
            writes,
            catalog_version: plan.catalog_version(),
            waits: plan.calls(&WAITING),
            lists_own: plan.reads(&OWN_VIEWS),
            role: self.role(),
            accesses,
            permitted: AtomicBool::new(false),
            partial: plan.tables().iter().any(|(oid, _)| partial(catalog, *oid)),
            plan,
        })
    }
}

/// Whether a table has an index whose predicate compares with a number: a statement implies it only with its own numbers in place.
fn partial(catalog: &Catalog, table: curia_catalog::Oid) -> bool {
    let compares = |predicate: &String| predicate.bytes().any(|b| b.is_ascii_digit());
    let table = catalog.tables.get(&table);
    table.is_some_and(|t| t.indexes.iter().any(|i| i.predicate.as_ref().is_some_and(compares)))
}

fn same_fields(a: &Option<Arc<[Field]>>, b: &Option<Arc<[Field]>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.name == b.name && a.ty == b.ty),
        _ => false,
    }
}
