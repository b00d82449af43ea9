//! What DDL needs of the session: queries in its transaction, and CREATE TABLE AS.

use crate::context::StatementContext;
use crate::notice::Notice;
use crate::output::{Output, Stop};
use crate::planning::Prepared;
use crate::portal::{Ran, Rows, Tag};
use crate::session::Session;
use crate::wait::Waits;
use curia_bind::ir::BoundStatement;
use curia_bind::{BindContext, check_access};
use curia_catalog::{Catalog, Relation, Table, View, temporary};
use curia_ddl::{LocalFuture, Queries};
use curia_execute::{Execution, RowSource};
use curia_parse::Statement;
use curia_parse::ast;
use curia_txn::{TableLayout, Transaction};
use curia_types::{Datum, Result, SqlError, SqlState};
use std::sync::Arc;

/// Rows handed to DDL at a time.
const BATCH: usize = 1024;

/// Runs the queries of one DDL statement.
pub(crate) struct DefinitionQueries {
    context: Arc<StatementContext>,
    waits: Waits,
}

impl DefinitionQueries {
    pub(crate) fn new(session: &mut Session, catalog: &Arc<Catalog>) -> DefinitionQueries {
        DefinitionQueries {
            context: session.context(catalog, None),
            waits: session.waits.clone(),
        }
    }
}

struct QueryRows(RowSource);

impl curia_ddl::Rows for QueryRows {
    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<Vec<Datum>>>>> {
        Box::pin(async {
            let mut rows = Vec::new();
            while rows.len() < BATCH && self.0.next().await? {
                rows.push(self.0.take_row());
            }
            Ok((!rows.is_empty()).then_some(rows))
        })
    }
}

impl Queries for DefinitionQueries {
    fn open<'a>(&'a self, tx: &'a mut Transaction, sql: &'a str) -> LocalFuture<'a, Result<Box<dyn curia_ddl::Rows>>> {
        Box::pin(async move {
            let parsed = curia_parse::parse(sql)?
                .pop()
                .ok_or_else(|| SqlError::internal("DDL asked an empty query"))?;
            let catalog = tx.catalog();
            let bound = curia_bind::bind(&parsed, &self.bind_context(&catalog))?;
            self.rows(tx, bound, catalog).await
        })
    }

    fn open_view<'a>(&'a self, tx: &'a mut Transaction, view: Arc<View>) -> LocalFuture<'a, Result<Box<dyn curia_ddl::Rows>>> {
        Box::pin(async move {
            let catalog = tx.catalog();
            // The query runs as the owner of what it fills.
            let context = BindContext {
                role: Some(view.owner),
                ..self.bind_context(&catalog)
            };
            let mut bound = curia_bind::bind_view(&view, &context)?;
            bound.accesses.retain(|a| a.object != view.oid);
            check_access(&catalog, &bound.accesses)?;
            self.rows(tx, bound, catalog).await
        })
    }

    fn layout(&self, catalog: &Arc<Catalog>, table: &Arc<Table>) -> Result<TableLayout> {
        curia_execute::table_layout(catalog, table)
    }
}

impl DefinitionQueries {
    /// Stored expressions name their objects in full or by OID, so the search path of the session is as good as any.
    fn bind_context<'a>(&'a self, catalog: &'a Catalog) -> BindContext<'a> {
        BindContext {
            row_keys: false,
            role: None,
            cursor: None,
            catalog,
            search_path: &self.context.search_path,
            database: &self.context.shared.database_name,
            params: None,
            io: &self.context.io,
        }
    }

    async fn rows(&self, tx: &mut Transaction, bound: BoundStatement, catalog: Arc<Catalog>) -> Result<Box<dyn curia_ddl::Rows>> {
        let plan = self.context.shared.engine.plan(&Arc::new(bound), &catalog).await?;
        tx.start_command();
        let context = self.context.at_catalog(&catalog);
        let execution = Execution {
            params: Arc::from([]),
            context: context.clone(),
            interrupt: Arc::new(self.waits.clone()),
            catalog,
            session_views: Some(context),
            reference_plans: self.context.shared.reference_plans.clone(),
        };
        let outcome = plan.execute(tx, execution).await?;
        let rows = outcome.rows.ok_or_else(|| SqlError::internal("DDL asked a query without rows"))?;
        Ok(Box::new(QueryRows(rows)))
    }
}

impl Session {
    /// CREATE TABLE AS and SELECT INTO: a CREATE TABLE with the query's columns, then an INSERT of its rows.
    pub(crate) async fn create_table_as<O: Output>(
        &mut self,
        c: &ast::CreateTableAs,
        prepared: &Prepared,
        out: &mut O,
    ) -> Result<Ran, Stop> {
        if c.materialized {
            let statement = Statement::CreateTableAs(Box::new(c.clone()));
            return Ok(match self.define_and_fill(&statement, out).await? {
                (_, Some(rows)) => Ran {
                    rows: None,
                    fields: None,
                    tag: Tag::Affected("SELECT", rows),
                },
                (tag, None) => Ran::done(tag),
            });
        }
        let Some((inner, params)) = self.make_table_as(c, prepared, out).await? else {
            return Ok(Ran::done("CREATE TABLE AS"));
        };
        let ran = self.run_plan(&inner, params, out).await?;
        match ran.tag {
            Tag::Affected(_, n) => Ok(Ran {
                rows: None,
                fields: None,
                tag: Tag::Affected("SELECT", n),
            }),
            _ => Err(SqlError::internal("CREATE TABLE AS did not insert").into()),
        }
    }

    /// What EXPLAIN CREATE TABLE AS shows, and whether it is to be run: the query, or after ANALYZE has made the table the insertion of
    /// its rows; `None` where the table is there.
    pub(crate) async fn explained_table_as<O: Output>(
        &mut self,
        c: &ast::CreateTableAs,
        prepared: &Prepared,
        analyze: bool,
        out: &mut O,
    ) -> Result<Option<(Prepared, Arc<[Datum]>, bool)>, Stop> {
        if self.created(c)?.is_some() {
            let message = format!("relation \"{}\" already exists", c.name.name());
            if !c.if_not_exists {
                return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message).into());
            }
            let notice = Notice {
                code: SqlState::DUPLICATE_TABLE,
                ..Notice::plain(format!("{message}, skipping"))
            };
            self.notify(out, notice);
            return Ok(None);
        }
        if analyze && let Some((inner, params)) = self.make_table_as(c, prepared, out).await? {
            return Ok(Some((inner, params, true)));
        }
        let (query, _, types, params) = self.table_source(c, prepared, out).await?;
        let mut inner = self.inner(prepared, Statement::Query(query));
        inner.declared = (!types.is_empty()).then_some(types);
        Ok(Some((inner, params, false)))
    }

    /// The query of CREATE TABLE AS with its depth, and types and values of its parameters.
    #[allow(clippy::type_complexity)] // four results of one step
    async fn table_source<O: Output>(
        &mut self,
        c: &ast::CreateTableAs,
        prepared: &Prepared,
        out: &mut O,
    ) -> Result<(Box<ast::Query>, u32, Vec<u32>, Arc<[Datum]>), Stop> {
        Ok(match &c.source {
            ast::TableSource::Query { query, .. } => {
                let depth = prepared.parsed.as_ref().map_or(1, |p| p.depth);
                (query.clone(), depth, Vec::new(), Arc::from([]))
            }
            ast::TableSource::Execute(e) => {
                let named = self.statement(&e.name.name)?.clone();
                let (Some(Statement::Query(query)), Some(parsed)) = (named.statement(), &named.parsed) else {
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "prepared statement is not a SELECT").into());
                };
                let params = self.execute_arguments(e, &named, out).await?;
                let types = named.params.iter().map(|t| t.oid).collect();
                (query.clone(), parsed.depth, types, params)
            }
        })
    }

    /// Makes the table of CREATE TABLE AS; the insertion of its rows, with its parameters, unless it was there or is to stay empty.
    async fn make_table_as<O: Output>(
        &mut self,
        c: &ast::CreateTableAs,
        prepared: &Prepared,
        out: &mut O,
    ) -> Result<Option<(Prepared, Arc<[Datum]>)>, Stop> {
        let (query, depth, types, params) = self.table_source(c, prepared, out).await?;
        let declared = (!types.is_empty()).then_some(types);
        let catalog = self.transaction()?.catalog();
        self.refresh_environment(&catalog);
        let bound = self.bind_parsed(&Statement::Query(query.clone()), depth, declared.as_deref(), &catalog)?;
        let output = bound.output();
        if c.columns.len() > output.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "too many column names were specified").into());
        }
        let mut columns = Vec::new();
        for (i, column) in output.iter().enumerate() {
            let name = c.columns.get(i).map_or_else(|| column.name.clone(), |n| n.name.clone());
            columns.push(ast::ColumnDef {
                name: ast::Ident { name, pos: 0 },
                ty: curia_parse::parse_type(&curia_bind::ddl::type_text(column.ty))?,
                collation: None,
                constraints: Vec::new(),
            });
        }
        let create = ast::CreateTable {
            name: c.name.clone(),
            persistence: c.persistence,
            if_not_exists: c.if_not_exists,
            columns,
            constraints: Vec::new(),
            like: Vec::new(),
            inherits: Vec::new(),
            partition_of: None,
            partition_by: None,
            options: c.options.clone(),
            on_commit: c.on_commit,
            tablespace: c.tablespace.clone(),
        };
        let before = self.created(c)?;
        self.define(&Statement::CreateTable(Box::new(create)), out).await?;
        if before.is_some() || !c.with_data {
            return Ok(None);
        }
        // By its full name: the search path may find another table of this name first.
        let (schema, made) = self
            .created(c)?
            .ok_or_else(|| SqlError::internal("CREATE TABLE AS did not create"))?;
        let insert = ast::Insert {
            with: None,
            table: ast::ObjectName {
                parts: vec![ast::Ident { name: schema, pos: 0 }, c.name.parts[c.name.parts.len() - 1].clone()],
            },
            alias: None,
            columns: Vec::new(),
            overriding: None,
            source: Some(query),
            on_conflict: None,
            returning: Vec::new(),
        };
        let parsed = curia_parse::Parsed {
            statement: Statement::Insert(Box::new(insert)),
            span: usize::MAX..usize::MAX,
            depth,
            truncated: Vec::new(),
            as_of: None,
        };
        let mut inner = Prepared::transient(&prepared.sql, Arc::new(parsed));
        inner.declared = declared;
        let catalog = self.transaction()?.catalog();
        let planned = self.plan_prepared(&inner, &catalog, out).await?;
        planned.permit_filling(&catalog, made.oid())?;
        Ok(Some((inner, params)))
    }

    /// The relation that CREATE TABLE AS makes, or finds: its schema's name and what it is.
    fn created(&mut self, c: &ast::CreateTableAs) -> Result<Option<(String, Relation)>> {
        let catalog = self.transaction()?.catalog();
        self.refresh_environment(&catalog);
        let temporary = c.persistence == ast::Persistence::Temporary;
        let schema = match c.name.schema() {
            Some(schema) => Some(temporary::meant(schema, &self.environment.search_path).to_owned()),
            None => self.surroundings().creation_schema(&catalog, temporary),
        };
        let found = schema.and_then(|name| {
            let schema = catalog.schema(&name)?;
            Some((name, catalog.relation_in(schema.oid, c.name.name())?))
        });
        Ok(found)
    }

    /// Takes rows into memory: of FETCH, of EXECUTE's arguments.
    pub(crate) async fn take_rows<O: Output>(&mut self, rows: &mut Rows, limit: u64, out: &mut O) -> Result<Vec<Vec<Datum>>, Stop> {
        let mut taken = Vec::new();
        while limit == 0 || (taken.len() as u64) < limit {
            match rows {
                Rows::Plan(source) => {
                    if !self.waits.run(out, source.next()).await? {
                        break;
                    }
                    taken.push(source.take_row());
                }
                Rows::Cursor { .. } => break,
                Rows::Values(values) => match values.next() {
                    Some(row) => taken.push(row),
                    None => break,
                },
            }
        }
        Ok(taken)
    }

    /// EXECUTE: its arguments are expressions, computed by a query of their own.
    pub(crate) async fn execute_prepared<O: Output>(&mut self, e: &ast::Execute, out: &mut O) -> Result<Ran, Stop> {
        let prepared = self.statement(&e.name.name)?.clone();
        let params = self.execute_arguments(e, &prepared, out).await?;
        if !prepared.statement().is_some_and(Statement::is_bindable) {
            return Err(SqlError::unsupported("EXECUTE of a statement that is no query").into());
        }
        self.run_plan(&prepared, params, out).await
    }

    pub(crate) async fn execute_arguments<O: Output>(
        &mut self,
        e: &ast::Execute,
        prepared: &Prepared,
        out: &mut O,
    ) -> Result<Arc<[Datum]>, Stop> {
        // As PostgreSQL: arguments of a statement without parameters are not looked at.
        if !prepared.params.is_empty() && e.args.len() != prepared.params.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{}\"", e.name.name),
            )
            .detail(format!("Expected {} parameters but got {}.", prepared.params.len(), e.args.len()))
            .into());
        }
        let mut params: Arc<[Datum]> = Arc::from([]);
        if !prepared.params.is_empty() {
            let mut items = Vec::new();
            for (arg, ty) in e.args.iter().zip(&prepared.params) {
                let ty = curia_parse::parse_type(&curia_bind::ddl::type_text(*ty))?;
                let cast = ast::ExprKind::Cast {
                    arg: Box::new(arg.clone()),
                    ty: Box::new(ty),
                    syntax: ast::CastSyntax::Cast,
                };
                items.push(ast::SelectItem {
                    expr: ast::Expr { kind: cast, pos: arg.pos },
                    alias: None,
                });
            }
            let select = ast::Select {
                distinct: None,
                items,
                into: None,
                from: Vec::new(),
                filter: None,
                group_by: Vec::new(),
                group_distinct: false,
                having: None,
                windows: Vec::new(),
                pos: 0,
            };
            let query = ast::Query {
                with: None,
                body: ast::SetExpr::Select(Box::new(select)),
                order_by: Vec::new(),
                limit: None,
                offset: None,
                locking: Vec::new(),
                pos: 0,
            };
            let parsed = curia_parse::Parsed {
                statement: Statement::Query(Box::new(query)),
                span: usize::MAX..usize::MAX,
                depth: curia_parse::INLINE_DEPTH,
                truncated: Vec::new(),
                as_of: None,
            };
            let arguments = Prepared::transient(&prepared.sql, Arc::new(parsed));
            let ran = self.run_plan(&arguments, Arc::from([]), out).await?;
            if let Some(mut rows) = ran.rows {
                params = self.take_rows(&mut rows, 1, out).await?.pop().unwrap_or_default().into();
            }
        }
        Ok(params)
    }
}
