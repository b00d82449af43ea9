//! Statements that are neither queries nor changes of rows.

use crate::as_of::takes_as_of;
use crate::context::read_only;
use crate::cursor::no_cursor;
use crate::definitions::DefinitionQueries;
use crate::extended::duplicate;
use crate::identity::{assume, is_identity};
use crate::notice::{Notice, Severity};
use crate::notifications::Action;
use crate::output::{Field, Output, Stop};
use crate::planning::Prepared;
use crate::portal::Ran;
use crate::reading::refuse_elsewhere;
use crate::session::Session;
use crate::settings::{Scope, search_path, unrecognized};
use curia_catalog::Rights;
use curia_catalog::privilege::authority::denied;
use curia_catalog::version::Relation;
use curia_consensus::ids::Csn;
use curia_ddl::Ddl;
use curia_parse::Statement;
use curia_parse::ast::{
    AuthorityStatement, Discard, Explain, ExplainFormat, Isolation, LockTable, ObjectName, ReindexScope, Reset, Set, SetItem, SetValue,
    Show, TableLockMode, TransactionModes, Vacuum,
};
use curia_txn::{LockWait, TableLock};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::sync::Arc;

impl Session {
    /// Runs a statement that the binder doesn't take.
    pub(crate) async fn run_utility<O: Output>(
        &mut self,
        prepared: &Prepared,
        statement: &Statement,
        params: Arc<[Datum]>,
        out: &mut O,
    ) -> Result<Ran, Stop> {
        let tag = statement.tag();
        if self.shared.local {
            refuse_elsewhere(statement)?;
        }
        if prepared.as_of().is_some() && !takes_as_of(statement) {
            return Err(SqlError::unsupported(format!("AS OF SYSTEM TIME in {tag}")).into());
        }
        match statement {
            Statement::Begin { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint(_)
            | Statement::Release(_)
            | Statement::RollbackTo(_)
            | Statement::SetTransaction { .. }
            | Statement::SetSnapshot(_) => {
                let tag = self.control(statement, out).await?;
                if let Some(as_of) = prepared.as_of() {
                    self.stand_block_as_of(as_of, out).await?;
                }
                return Ok(Ran::done(tag));
            }
            Statement::Set(set) => self.set_and_reach(set, out).await?,
            Statement::TwoPhase { step, identifier } => return self.two_phase(*step, identifier, out).await.map(Ran::done),
            Statement::Reset(Reset::All) => self.shared.settings.lock().reset_all(),
            Statement::Reset(Reset::Name(name)) if is_identity(name) => self.assume(name, None, Scope::Session)?,
            Statement::Reset(Reset::Name(name)) => self.shared.settings.lock().reset(name, Scope::Session)?,
            Statement::Show(show) => return Ok(self.show(show)?),
            Statement::Discard(what) => self.discard(*what).await?,
            Statement::SetConstraints { names, deferred } if self.block.is_explicit() => {
                self.set_constraints(names, *deferred, out).await?
            }
            Statement::SetConstraints { .. } => self.notify(
                out,
                Notice::warning(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "SET CONSTRAINTS can only be used in transaction blocks",
                ),
            ),
            Statement::Prepare(p) => {
                if self.statements.contains_key(&p.name.name) {
                    return Err(duplicate(&p.name.name).into());
                }
                let catalog = self.transaction()?.catalog();
                let path = self.environment.search_path.clone();
                let types = p
                    .types
                    .iter()
                    .map(|t| curia_bind::ddl::resolve_type(&catalog, &path, t).map(|t| t.oid))
                    .collect::<Result<Vec<u32>>>()?;
                let parsed = curia_parse::Parsed {
                    statement: p.statement.clone(),
                    span: p.span.clone(),
                    depth: prepared.parsed.as_ref().map_or(1, |p| p.depth),
                    truncated: Vec::new(),
                    as_of: prepared.as_of().cloned(),
                };
                let mut made = self.prepare(prepared.sql.clone(), Some(Arc::new(parsed)), &types, out).await?;
                made.from_sql = true;
                let made = Arc::new(made);
                self.statements.insert(p.name.name.clone(), made);
            }
            Statement::Execute(e) => return self.execute_prepared(e, out).await,
            Statement::Deallocate(None) => self.statements.clear(),
            Statement::Deallocate(Some(name)) => {
                self.statement(&name.name)?;
                self.statements.remove(&name.name);
            }
            Statement::Declare(d) => {
                self.declare(d, prepared, params, out).await?;
            }
            Statement::Fetch(f) => return self.fetch(f, out).await,
            Statement::Close(None) => self.portals.retain(|_, p| p.cursor.is_none()),
            Statement::Close(Some(name)) => {
                self.portals.remove(&name.name).ok_or_else(|| no_cursor(&name.name))?;
            }
            Statement::Explain(e) => return self.explain(e, prepared, out).await,
            Statement::Copy(copy) => return self.copy(copy, prepared, out).await,
            Statement::Lock(lock) => self.lock_tables(lock, out).await?,
            Statement::Vacuum(v) => {
                self.refuse_in_block("VACUUM")?;
                self.maintain(v)?;
            }
            Statement::Analyze(v) => self.maintain(v)?,
            Statement::Checkpoint => {}
            Statement::CreateTableAs(c) => return self.create_table_as(c, prepared, out).await,
            Statement::Listen(channel) => self.pend(Action::Listen(channel.name.clone()))?,
            Statement::Unlisten(Some(channel)) => self.pend(Action::Unlisten(channel.name.clone()))?,
            Statement::Unlisten(None) => self.pend(Action::UnlistenAll)?,
            Statement::Notify { channel, payload } => self.pend(Action::Notify {
                channel: channel.name.clone(),
                payload: payload.clone().unwrap_or_default(),
            })?,
            Statement::Authority(s) => {
                let statement = self.checked_settings(s)?;
                return self.define(&statement, out).await.map(Ran::done);
            }
            Statement::Unsupported { feature } => return Err(SqlError::unsupported(feature).into()),
            definition if Ddl::handles(definition) => return self.define(definition, out).await.map(Ran::done),
            other => return Err(SqlError::unsupported(other.tag()).into()),
        }
        Ok(Ran::done(tag))
    }

    /// Columns of a utility statement's result, for Describe.
    pub(crate) fn utility_fields(&self, statement: &Statement) -> Result<Option<Arc<[Field]>>> {
        Ok(match statement {
            Statement::Show(Show::All) => Some(show_all_fields()),
            Statement::Show(Show::Name(name)) => Some(Arc::from([text_field(&self.shared.settings.lock().spelled(name)?)])),
            Statement::Explain(_) => Some(Arc::from([text_field("QUERY PLAN")])),
            Statement::Execute(e) => self.statement(&e.name.name)?.fields.clone(),
            Statement::Fetch(f) if !f.is_move => self
                .portals
                .get(&f.cursor.name)
                .ok_or_else(|| no_cursor(&f.cursor.name))?
                .statement
                .fields
                .clone(),
            _ => None,
        })
    }

    /// SET. A CSN that is to be seen is waited for at once, so that a client learns here when it can't be had.
    async fn set_and_reach(&mut self, set: &Set, out: &mut impl Output) -> Result<(), Stop> {
        self.set(set, out)?;
        if set.name == "curia.min_csn" {
            let csn = self.shared.settings.lock().get("curia.min_csn").and_then(|csn| csn.parse().ok());
            self.reach_csn(Csn(csn.unwrap_or(0)), out).await?;
        }
        Ok(())
    }

    fn set(&mut self, set: &Set, out: &mut impl Output) -> Result<()> {
        let scope = if set.local { Scope::Local } else { Scope::Session };
        if set.local && !self.block.is_explicit() {
            self.notify(
                out,
                Notice::warning(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "SET LOCAL can only be used in transaction blocks",
                ),
            );
        }
        let items = match &set.value {
            SetValue::Default if is_identity(&set.name) => return self.assume(&set.name, None, scope),
            SetValue::Default => return self.shared.settings.lock().reset(&set.name, scope),
            SetValue::FromCurrent => return Err(SqlError::unsupported("SET FROM CURRENT")),
            SetValue::Values(items) => items,
        };
        let value = value_of(&set.name, items)?;
        match set.name.as_str() {
            "transaction_isolation" => {
                let isolation = match value.to_ascii_lowercase().as_str() {
                    "read committed" => Isolation::ReadCommitted,
                    "read uncommitted" => Isolation::ReadUncommitted,
                    "repeatable read" => Isolation::RepeatableRead,
                    "serializable" => Isolation::Serializable,
                    _ => return self.shared.settings.lock().set(&set.name, &value, scope),
                };
                self.set_transaction(TransactionModes {
                    isolation: Some(isolation),
                    ..Default::default()
                })
            }
            "transaction_read_only" => {
                let read_only = crate::settings::value::parse_bool(&value);
                if read_only.is_none() {
                    return self.shared.settings.lock().set(&set.name, &value, scope);
                }
                self.set_transaction(TransactionModes {
                    read_only,
                    ..Default::default()
                })
            }
            "timezone" if matches!(value.to_ascii_lowercase().as_str(), "local" | "default") => {
                self.shared.settings.lock().reset(&set.name, scope)
            }
            name if is_identity(name) => self.assume(name, Some(&value), scope),
            name => {
                self.shared.settings.lock().set(name, &value, scope)?;
                if name == "lock_timeout" {
                    let time = self.shared.settings.lock().integer(name).unsigned_abs();
                    if let Some(tx) = &mut self.block.tx {
                        tx.set_lock_timeout((time > 0).then(|| std::time::Duration::from_millis(time)));
                    }
                }
                Ok(())
            }
        }
    }

    /// SET ROLE and SET SESSION AUTHORIZATION.
    fn assume(&mut self, parameter: &str, name: Option<&str>, scope: Scope) -> Result<()> {
        let catalog = self.visible_catalog();
        assume(&self.shared, &catalog, parameter, name, scope)?;
        self.refresh_environment(&catalog);
        Ok(())
    }

    /// The catalog as the session sees it, outside of a transaction too.
    fn visible_catalog(&mut self) -> Arc<curia_catalog::Catalog> {
        match &mut self.block.tx {
            Some(tx) => tx.catalog(),
            None => self.shared.database.catalog(),
        }
    }

    /// A statement about privileges, with the value of a parameter checked and as one text.
    fn checked_settings(&self, s: &AuthorityStatement) -> Result<Statement> {
        let mut s = s.clone();
        if let AuthorityStatement::Settings { name, value, .. } = &mut s {
            // What is wrong with a parameter is wrong with it here.
            let mut trial = self.shared.settings.lock().clone();
            match (&name, &value) {
                (Some(name), Some(SetValue::Values(items))) => {
                    let text = value_of(name, items)?;
                    if !is_identity(name) {
                        trial.set(name, &text, Scope::Session)?;
                    }
                    *value = Some(SetValue::Values(vec![SetItem::Text(text)]));
                }
                (Some(name), Some(SetValue::FromCurrent)) => {
                    let current = trial.show(name).ok_or_else(|| unrecognized(name))?;
                    *value = Some(SetValue::Values(vec![SetItem::Text(current)]));
                }
                (Some(name), _) => {
                    trial.spelled(name)?;
                }
                (None, _) => {}
            }
        }
        Ok(Statement::Authority(Box::new(s)))
    }

    fn show(&self, show: &Show) -> Result<Ran> {
        match show {
            Show::All => {
                let rows = self.shared.settings_now().show_all();
                let rows = rows
                    .into_iter()
                    .map(|(n, v, d)| vec![Datum::text(n), Datum::text(v), Datum::text(d)])
                    .collect();
                Ok(Ran::values("SHOW", show_all_fields(), rows))
            }
            Show::Name(name) => {
                let spelled = self.shared.settings.lock().spelled(name)?;
                let value = match self.show_transaction(name) {
                    Some(v) => v,
                    None => self.shared.settings_now().show(name).ok_or_else(|| unrecognized(name))?,
                };
                Ok(Ran::values(
                    "SHOW",
                    Arc::from([text_field(&spelled)]),
                    vec![vec![Datum::text(value)]],
                ))
            }
        }
    }

    fn pend(&mut self, action: Action) -> Result<()> {
        self.shared.notifications.lock().add(action)
    }

    async fn discard(&mut self, what: Discard) -> Result<()> {
        match what {
            Discard::All => {
                self.refuse_in_block("DISCARD ALL")?;
                self.portals.clear();
                self.statements.clear();
                self.assume("session_authorization", None, Scope::Session)?;
                self.shared.settings.lock().reset_all();
                self.pend(Action::UnlistenAll)?;
                self.shared.slot.discard_sequences();
                self.shared.database.advisory_unlock_all(&self.shared.slot);
                self.discard_temporary().await?;
            }
            Discard::Plans => {
                for statement in self.statements.values() {
                    *statement.planned.lock() = None;
                }
            }
            Discard::Sequences => self.shared.slot.discard_sequences(),
            Discard::Temp => self.discard_temporary().await?,
        }
        Ok(())
    }

    async fn explain<O: Output>(&mut self, e: &Explain, prepared: &Prepared, out: &mut O) -> Result<Ran, Stop> {
        if e.options.format != ExplainFormat::Text {
            return Err(SqlError::unsupported("EXPLAIN in a format other than TEXT").into());
        }
        let explained = |lines: Vec<String>| {
            let rows = lines.into_iter().map(|l| vec![Datum::text(l)]).collect();
            Ran::values("EXPLAIN", Arc::from([text_field("QUERY PLAN")]), rows)
        };
        let (inner, params, analyze) = match &e.statement {
            s if s.is_bindable() => (self.inner(prepared, s.clone()), Arc::from([]), e.options.analyze),
            Statement::Declare(d) => {
                let query = Statement::Query(d.query.clone());
                (self.inner(prepared, query), Arc::from([]), e.options.analyze)
            }
            Statement::Execute(x) => {
                let named = self.statement(&x.name.name)?.clone();
                if !named.statement().is_some_and(Statement::is_bindable) {
                    return Err(SqlError::unsupported("EXPLAIN EXECUTE of a statement that is no query").into());
                }
                let params = self.execute_arguments(x, &named, out).await?;
                let mut inner = Prepared::transient(
                    &named.sql,
                    named
                        .parsed
                        .clone()
                        .ok_or_else(|| SqlError::internal("a prepared statement without a text"))?,
                );
                inner.declared = Some(named.params.iter().map(|p| p.oid).collect());
                (inner, params, e.options.analyze)
            }
            Statement::CreateTableAs(c) => {
                if c.materialized && e.options.analyze {
                    return Err(SqlError::unsupported("EXPLAIN ANALYZE CREATE MATERIALIZED VIEW").into());
                }
                match self.explained_table_as(c, prepared, e.options.analyze, out).await? {
                    Some(found) => found,
                    None => return Ok(explained(Vec::new())),
                }
            }
            other => return Err(SqlError::unsupported(format!("EXPLAIN {}", other.tag())).into()),
        };
        if let Some(as_of) = prepared.as_of() {
            self.stand_as_of(as_of, out).await?;
        }
        let (planned, catalog) = self.plan_and_lock(&inner, out).await?;
        let lines = if analyze {
            let execution = self.execution(params, catalog, None);
            let waits = self.waits.clone();
            let tx = self.transaction()?;
            if let Some(command) = planned.writes
                && tx.read_only()
                && !planned.temporary
            {
                return Err(read_only(command).into());
            }
            tx.start_statement();
            waits.run(out, planned.plan.explain_analyze(tx, execution)).await?
        } else {
            let tx = self.transaction()?;
            tx.start_statement();
            planned.plan.explain(&tx.read_view())?
        };
        Ok(explained(lines))
    }

    /// A statement inside another one's text.
    pub(crate) fn inner(&self, outer: &Prepared, statement: Statement) -> Prepared {
        let parsed = curia_parse::Parsed {
            statement,
            span: usize::MAX..usize::MAX,
            depth: outer.parsed.as_ref().map_or(1, |p| p.depth),
            truncated: Vec::new(),
            as_of: None,
        };
        Prepared::transient(&outer.sql, Arc::new(parsed))
    }

    async fn lock_tables<O: Output>(&mut self, lock: &LockTable, out: &mut O) -> Result<(), Stop> {
        self.require_block("LOCK TABLE")?;
        let mode = match lock.mode {
            TableLockMode::AccessShare => TableLock::AccessShare,
            TableLockMode::RowShare => TableLock::RowShare,
            TableLockMode::RowExclusive => TableLock::RowExclusive,
            TableLockMode::ShareUpdateExclusive => TableLock::ShareUpdateExclusive,
            TableLockMode::Share => TableLock::Share,
            TableLockMode::ShareRowExclusive => TableLock::ShareRowExclusive,
            TableLockMode::Exclusive => TableLock::Exclusive,
            TableLockMode::AccessExclusive => TableLock::AccessExclusive,
        };
        let wait = if lock.nowait { LockWait::NoWait } else { LockWait::Block };
        for (name, only) in &lock.tables {
            // Each with the role whose right it takes; children go with their parent.
            let mut waiting = vec![(self.table_or_view_named(name)?, Some(self.environment.identity.current))];
            let mut locked = Vec::new();
            let waits = self.waits.clone();
            let tx = self.transaction()?;
            while let Some((oid, role)) = waiting.pop() {
                if locked.contains(&oid) {
                    continue;
                }
                if let Some(role) = role {
                    may_lock(&tx.catalog(), role, oid, lock.mode)?;
                }
                waits.run(out, tx.lock_table(oid, mode, wait)).await?;
                locked.push(oid);
                let catalog = tx.catalog();
                if let Some(view) = catalog.views.get(&oid) {
                    // With a view go the relations of its query.
                    let below = view.relations.iter().map(|r| r.oid);
                    let below = below.filter(|oid| catalog.tables.contains_key(oid) || catalog.views.contains_key(oid));
                    waiting.extend(below.map(|oid| (oid, Some(view.owner))));
                } else if !*only {
                    // With its own lock no children come or go.
                    waiting.extend(catalog.children(oid).map(|t| (t.oid, None)));
                }
            }
        }
        Ok(())
    }

    /// VACUUM and ANALYZE: garbage collection and estimates look after themselves, so only the names are checked.
    fn maintain(&mut self, v: &Vacuum) -> Result<()> {
        for (name, _) in &v.tables {
            if curia_catalog::system::system_table_named(name.schema().unwrap_or("pg_catalog"), name.name()).is_none() {
                self.table_named(name)?;
            }
        }
        Ok(())
    }

    /// A table or view by name: what LOCK TABLE takes.
    fn table_or_view_named(&mut self, name: &ObjectName) -> Result<curia_catalog::Oid> {
        match self.relation_named(name)? {
            Some(Relation::View(oid)) => Ok(oid),
            Some(Relation::Table(_)) | None => self.table_named(name),
            Some(_) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table or view", name.name()),
            )),
        }
    }

    fn relation_named(&mut self, name: &ObjectName) -> Result<Option<Relation>> {
        let catalog = self.transaction()?.catalog();
        self.refresh_environment(&catalog);
        Ok(match name.schema() {
            Some(schema) => {
                let schema = catalog
                    .schema(schema)
                    .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")))?;
                catalog.relation_in(schema.oid, name.name())
            }
            None => catalog.relation(&self.environment.search_path, name.name()),
        })
    }

    /// A table by name, in the session's search path.
    pub(crate) fn table_named(&mut self, name: &ObjectName) -> Result<curia_catalog::Oid> {
        let catalog = self.transaction()?.catalog();
        match self.relation_named(name)? {
            Some(Relation::Table(oid)) if catalog.tables.get(&oid).is_none_or(|t| t.materialized.is_none()) => Ok(oid),
            Some(_) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table", name.name()),
            )),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{name}\" does not exist"),
            )),
        }
    }

    /// Runs DDL.
    pub(crate) async fn define<O: Output>(&mut self, statement: &Statement, out: &mut O) -> Result<&'static str, Stop> {
        match statement {
            Statement::CreateIndex(s) if s.concurrently => {
                self.refuse_in_block("CREATE INDEX CONCURRENTLY")?;
                return self.create_index_concurrently(s, out).await;
            }
            Statement::Reindex(s) if s.concurrently => {
                self.refuse_in_block("REINDEX CONCURRENTLY")?;
                return self.reindex_concurrently(s, out).await;
            }
            Statement::Reindex(s) => match s.scope {
                ReindexScope::Index | ReindexScope::Table => {}
                ReindexScope::Schema => self.refuse_in_block("REINDEX SCHEMA")?,
                ReindexScope::Database => self.refuse_in_block("REINDEX DATABASE")?,
            },
            Statement::Drop(s) if s.concurrently && s.names.len() > 1 => {
                let message = "DROP INDEX CONCURRENTLY does not support dropping multiple objects";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).into());
            }
            Statement::Drop(s) if s.concurrently => self.refuse_in_block("DROP INDEX CONCURRENTLY")?,
            _ => {}
        }
        self.define_and_fill(statement, out).await.map(|(tag, _)| tag)
    }

    /// Runs DDL; with the number of rows that a query filled what it made with.
    pub(crate) async fn define_and_fill<O: Output>(
        &mut self,
        statement: &Statement,
        out: &mut O,
    ) -> Result<(&'static str, Option<u64>), Stop> {
        let run = async |ddl: &mut Ddl<'_>| Ok((ddl.run(statement).await?, ddl.filled));
        self.with_definitions(statement.tag(), out, run).await
    }

    /// Has DDL done; its notices go to the client.
    pub(crate) async fn with_definitions<T, O: Output>(
        &mut self,
        tag: &str,
        out: &mut O,
        work: impl AsyncFnOnce(&mut Ddl<'_>) -> Result<T>,
    ) -> Result<T, Stop> {
        let catalog = self.transaction()?.catalog();
        let queries = DefinitionQueries::new(self, &catalog);
        let surroundings = self.surroundings();
        let waits = self.waits.clone();
        let tx = self.transaction()?;
        tx.require_writable(tag)?;
        tx.start_statement();
        let mut ddl = Ddl::new(tx, surroundings.environment(), &queries);
        let done = waits.run(out, work(&mut ddl)).await?;
        let has_temporary = ddl.has_temporary();
        let notices = std::mem::take(&mut ddl.notices);
        self.has_temporary |= has_temporary;
        for notice in notices {
            let fields = notice.fields();
            let notice = Notice {
                severity: if is_warning(notice.code()) {
                    Severity::Warning
                } else {
                    Severity::Notice
                },
                code: notice.code(),
                message: notice.message().to_owned(),
                detail: fields.detail.clone(),
                hint: fields.hint.clone(),
            };
            self.shared.notices.push(notice);
        }
        Ok(done)
    }
}

/// Refuses a lock that nothing a role may do would take (`LockTableAclCheck`).
fn may_lock(catalog: &curia_catalog::Catalog, role: curia_catalog::Oid, relation: curia_catalog::Oid, mode: TableLockMode) -> Result<()> {
    let change = Rights::UPDATE | Rights::DELETE | Rights::TRUNCATE;
    let enough = match mode {
        TableLockMode::AccessShare => Rights::SELECT,
        TableLockMode::RowExclusive => change | Rights::INSERT,
        _ => change,
    };
    match catalog.granted(relation) {
        Some(g) if !catalog.rights_on(role, relation, g.kind, g.owner).intersects(enough) => Err(denied(g.word, g.name)),
        _ => Ok(()),
    }
}

/// The text of a parameter's value.
fn value_of(name: &str, items: &[SetItem]) -> Result<String> {
    Ok(match (name, items) {
        // Lists of names: each item quoted where it needs it.
        ("search_path" | "datestyle" | "temp_tablespaces" | "session_preload_libraries" | "local_preload_libraries", items) => {
            if let ("datestyle", [one]) = (name, items) {
                one.text().to_owned()
            } else {
                items.iter().map(|i| search_path::quote(i.text())).collect::<Vec<_>>().join(", ")
            }
        }
        (_, [SetItem::Text(t) | SetItem::Number(t)]) => t.clone(),
        (name, _) => {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("SET {name} takes only one argument"),
            ));
        }
    })
}

pub(crate) fn text_field(name: &str) -> Field {
    Field {
        name: name.to_owned(),
        table: 0,
        attnum: 0,
        ty: PgType::TEXT,
    }
}

/// Whether a definition's message is a WARNING: about privileges.
fn is_warning(code: SqlState) -> bool {
    [
        SqlState::WARNING,
        SqlState::new("01006"),
        SqlState::new("01007"),
        SqlState::new("0LP01"),
    ]
    .contains(&code)
}

fn show_all_fields() -> Arc<[Field]> {
    Arc::from([text_field("name"), text_field("setting"), text_field("description")])
}
