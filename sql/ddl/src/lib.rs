//! Executes DDL: CREATE, ALTER, DROP, TRUNCATE, COMMENT ON.
//!
//! A DDL statement is catalog changes in the session's transaction, next to its other writes: it is seen by the transaction itself at
//! once, by others when it commits, and is gone when it rolls back, savepoints included. Whatever needs data (an index of a loaded table,
//! a primary key, another column type) fills a *fresh* storage id inside the same transaction; the table's catalog row, which names
//! the storage, publishes it.
//!
//! ```text
//!   Statement ──▶ lock what it changes ──▶ check against the catalog ──▶ fill fresh storages ──▶ catalog changes
//! ```
//!
//! - `names`: objects by name, with PostgreSQL's errors.
//! - `table`, `alter`, `index`, `view`, `function`, `sequence`, `schema`, `role`, `user_type`, `comment`, `truncate`: one statement family each.
//! - `authority`: GRANT and its kin, and what definitions ask of a role.
//! - `temporary`: the schemas of temporary relations, and what a commit does to these.
//! - `generated`: columns that are computed of others.
//! - `inherit`: tables with parents, and ALTER TABLE of what is below a table.
//! - `partition`: partitioned tables and their partitions.
//! - `like`: definitions taken over from other relations.
//! - `materialized`: materialized views.
//! - `constraint`, `foreign_key`: names and shapes of constraints, shared by CREATE and ALTER TABLE.
//! - `absent`: DROP of kinds of objects that nobody can make here.
//! - `calls`: what calls a function that goes.
//! - `depend`: what goes with an object that is dropped, and what forbids it.
//! - `concurrent`: indexes that are filled while others write.
//! - `fill`: writes the rows of fresh storages.
//!
//! Expressions (DEFAULT, CHECK, USING) are bound by `curia-bind` and evaluated by running queries ([`Queries`]), so there is no second
//! evaluator and this crate does not link DataFusion.

mod absent;
mod alter;
mod authority;
mod calls;
mod column;
mod comment;
mod concurrent;
mod constraint;
mod depend;
mod expression;
mod fill;
mod foreign_key;
mod function;
mod generated;
mod index;
mod inherit;
mod like;
mod materialized;
mod names;
mod partition;
mod role;
mod schema;
mod sequence;
mod table;
mod temporary;
mod truncate;
mod user_type;
mod view;

pub use concurrent::fill_concurrently;
use curia_catalog::{Catalog, Change, Oid, StorageId, Table, View};
use curia_parse::Statement;
use curia_txn::{LockWait, TableLayout, TableLock, Transaction};
use curia_types::{Datum, Result, SqlError, SqlState};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future of the session's thread.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs queries in the transaction: the engine, as DDL sees it.
pub trait Queries {
    /// Starts a query over what the transaction sees now. The rows do not see later writes of the transaction.
    fn open<'a>(&'a self, tx: &'a mut Transaction, sql: &'a str) -> LocalFuture<'a, Result<Box<dyn Rows>>>;

    /// Starts a view's query over what the transaction sees now; the view need not be in the catalog.
    fn open_view<'a>(&'a self, tx: &'a mut Transaction, view: Arc<View>) -> LocalFuture<'a, Result<Box<dyn Rows>>>;

    /// A table's layout with the expressions of its indexes.
    fn layout(&self, catalog: &Arc<Catalog>, table: &Arc<Table>) -> Result<TableLayout>;
}

/// Rows of a query.
pub trait Rows {
    /// The next rows, a bounded number of them; `None` at the end.
    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<Vec<Datum>>>>>;
}

/// What a statement needs to know of its session.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// Effective search path: existing or not, `$user` replaced, without the implicit `pg_catalog`.
    pub search_path: &'a [String],
    /// The session's own temporary schema, existing or not.
    pub temporary: &'a str,
    /// Whether the search path says `pg_temp` first, so that what is created without a schema is temporary.
    pub temporary_first: bool,
    /// The current role.
    pub role: Oid,
    /// The session's role, which SET ROLE leaves.
    pub session_role: Oid,
    /// `check_function_bodies`
    pub check_bodies: bool,
    /// Makes a password verifier (`rolpassword` form) of a password in clear text.
    pub verifier: fn(&str) -> Result<String>,
}

/// One DDL statement under way.
pub struct Ddl<'a> {
    pub(crate) tx: &'a mut Transaction,
    pub(crate) env: Environment<'a>,
    pub(crate) queries: &'a dyn Queries,
    /// The catalog as the transaction sees it: read again after each change and each wait.
    catalog: Arc<Catalog>,
    /// In ALTER TABLE: PostgreSQL does not say where in the statement a DEFAULT or CHECK is wrong.
    altering: bool,
    /// In ALTER TABLE: ONLY, which leaves what is below the table alone.
    only: bool,
    /// NOTICEs for the client, in order.
    pub notices: Vec<SqlError>,
    /// How many rows the query gave that filled what was made.
    pub filled: Option<u64>,
}

impl<'a> Ddl<'a> {
    /// A statement in a transaction.
    pub fn new(tx: &'a mut Transaction, env: Environment<'a>, queries: &'a dyn Queries) -> Ddl<'a> {
        let catalog = tx.catalog();
        Ddl {
            tx,
            env,
            queries,
            catalog,
            altering: false,
            only: false,
            notices: Vec::new(),
            filled: None,
        }
    }

    /// Whether a statement is executed here.
    pub fn handles(statement: &Statement) -> bool {
        use Statement::*;
        matches!(
            statement,
            CreateTable(_)
                | CreateView(_)
                | RefreshMaterializedView(_)
                | AlterTable(_)
                | CreateIndex(_)
                | CreateSchema(_)
                | AlterSchema(_)
                | CreateSequence(_)
                | CreateType(_)
                | CreateDomain(_)
                | AlterType(_)
                | AlterSequence(_)
                | Drop(_)
                | DropAbsent(_)
                | CreateFunction(_)
                | AlterFunction(_)
                | DropFunction(_)
                | CreateRole(_)
                | AlterRole(_)
                | DropRole { .. }
                | Authority(_)
                | Comment(_)
                | Truncate(_)
                | Reindex(_)
        )
    }

    /// Executes a statement that [`Ddl::handles`]; returns its command tag. After an error the transaction holds a part of the changes:
    /// the caller undoes the statement as it does for any other.
    pub async fn run(&mut self, statement: &Statement) -> Result<&'static str> {
        match statement {
            Statement::CreateTable(s) => self.create_table(s).await.map(|()| "CREATE TABLE"),
            Statement::CreateView(s) => self.create_view(s).await.map(|()| "CREATE VIEW"),
            Statement::CreateTableAs(s) if s.materialized => self.create_materialized(s).await.map(|()| "CREATE MATERIALIZED VIEW"),
            Statement::RefreshMaterializedView(s) => self.refresh(s).await.map(|()| "REFRESH MATERIALIZED VIEW"),
            Statement::AlterTable(s) => {
                self.altering = true;
                self.only = s.only;
                self.alter_table(s).await
            }
            Statement::CreateIndex(s) => self.create_index(s).await.map(|()| "CREATE INDEX"),
            Statement::CreateSchema(s) => self.create_schema(s).await.map(|()| "CREATE SCHEMA"),
            Statement::AlterSchema(s) => self.alter_schema(s).await.map(|()| "ALTER SCHEMA"),
            Statement::CreateSequence(s) => self.create_sequence(s).await.map(|()| "CREATE SEQUENCE"),
            Statement::CreateType(s) => self.create_type(s).await.map(|()| "CREATE TYPE"),
            Statement::CreateDomain(s) => self.create_domain(s).await.map(|()| "CREATE DOMAIN"),
            Statement::AlterType(s) => self.alter_type(s).await.map(|()| statement.tag()),
            Statement::AlterSequence(s) => self.alter_sequence(s).await.map(|()| "ALTER SEQUENCE"),
            Statement::Drop(s) => self.drop_objects(s).await,
            Statement::DropAbsent(s) => self.drop_absent(s),
            Statement::CreateFunction(s) => self.create_function(s).await.map(|()| statement.tag()),
            Statement::AlterFunction(s) => self.alter_function(s).await.map(|()| statement.tag()),
            Statement::DropFunction(s) => self.drop_function(s).await.map(|()| statement.tag()),
            Statement::CreateRole(s) => self.create_role(s).await.map(|()| "CREATE ROLE"),
            Statement::AlterRole(s) => self.alter_role(s).await.map(|()| "ALTER ROLE"),
            Statement::DropRole { names, if_exists } => self.drop_role(names, *if_exists).await.map(|()| "DROP ROLE"),
            Statement::Authority(s) => self.authority(s).await.map(|()| s.tag()),
            Statement::Comment(s) => self.comment(s).await.map(|()| "COMMENT"),
            Statement::Truncate(s) => self.truncate(s).await.map(|()| "TRUNCATE TABLE"),
            Statement::Reindex(s) => self.reindex(s).await.map(|()| "REINDEX"),
            _ => Err(SqlError::internal("not a DDL statement")),
        }
    }

    pub(crate) fn notice(&mut self, message: impl Into<String>) {
        self.notices.push(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
    }

    /// The catalog as the transaction sees it now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    /// Looks at what another part of the statement did.
    pub(crate) fn refresh_catalog(&mut self) {
        self.catalog = self.tx.catalog();
    }

    pub(crate) fn change(&mut self, change: Change) -> Result<()> {
        for after in self.privileges_after(&change) {
            self.tx.change_catalog(after)?;
        }
        self.tx.change_catalog(change)?;
        self.catalog = self.tx.catalog();
        Ok(())
    }

    pub(crate) fn new_oid(&self) -> Result<Oid> {
        self.tx.new_oid()
    }

    pub(crate) fn new_storage(&mut self) -> Result<StorageId> {
        let storage = self.tx.new_storage()?;
        self.catalog = self.tx.catalog();
        Ok(storage)
    }

    pub(crate) fn drop_storage(&mut self, storage: StorageId) -> Result<()> {
        self.tx.drop_storage(storage)?;
        self.catalog = self.tx.catalog();
        Ok(())
    }

    /// Locks a table; what the catalog says of it is to be read afterwards.
    pub(crate) async fn lock_table(&mut self, oid: Oid, mode: TableLock) -> Result<()> {
        self.tx.lock_table(oid, mode, LockWait::Block).await?;
        self.catalog = self.tx.catalog();
        Ok(())
    }

    /// Keeps others from creating an object of this name until the transaction ends.
    pub(crate) async fn lock_name(&mut self, namespace: Oid, name: &str) -> Result<()> {
        self.tx.lock_name(namespace, name).await?;
        self.catalog = self.tx.catalog();
        Ok(())
    }
}
