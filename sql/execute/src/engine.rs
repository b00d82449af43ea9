//! [`Engine`]: what plans share: the database, the analytics pool, DataFusion's memory and spill folder.

use crate::analytic::prototype;
use crate::cost::Sizes;
use crate::plan::Plan;
use crate::spill::Budget;
use curia_bind::ir::BoundStatement;
use curia_catalog::Catalog;
use curia_parse::{inline_depth, on_stack};
use curia_txn::Database;
use curia_types::{Result, SqlError, SqlState};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Limits and sizes of the engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Threads of the analytics pool.
    pub threads: usize,
    /// Stack of each of them, bytes: deep statements are planned and run there.
    pub stack_bytes: usize,
    /// Statements on the pool's blocking threads at a time; further ones wait.
    pub running: usize,
    /// Memory that all DataFusion plans share, and once more the row operators of all statements; above it they spill, and what cannot
    /// be spilled fails with 53200.
    pub memory_bytes: usize,
    /// The part of it that the row operators of one statement may keep.
    pub statement_bytes: usize,
    /// Where spilled data goes.
    pub spill_folder: PathBuf,
    /// Spilled data of all statements; 53400 above it.
    pub spill_bytes: u64,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// What DataFusion's planning and the way to the pool and back count for beside the work itself, microseconds; less than zero: what
    /// DataFusion can run, it runs.
    pub analytic_start: f64,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            stack_bytes: 64 << 20,
            running: 64,
            memory_bytes: 1 << 30,
            statement_bytes: 256 << 20,
            spill_folder: std::env::temp_dir(),
            spill_bytes: 100 << 30,
            batch_rows: 8192,
            analytic_start: 800.0,
        }
    }
}

/// Plans and runs statements. One per server.
pub struct Engine {
    pub(crate) database: Arc<Database>,
    pub(crate) config: EngineConfig,
    /// Taken out only when the engine goes: a runtime must not be dropped on an asynchronous thread.
    pool: Option<tokio::runtime::Runtime>,
    pub(crate) environment: Arc<RuntimeEnv>,
    /// DataFusion's state as each query begins with it: of one part, and of as many as there are threads.
    pub(crate) planners: [SessionState; 2],
    /// What the row operators of all statements hold.
    pub(crate) rows: Arc<Budget>,
    pub(crate) sizes: Sizes,
}

/// Nesting up to which DataFusion plans a statement; deeper ones run as row operators.
pub(crate) const ANALYTIC_DEPTH: u32 = 300;

/// Longest that the end of what still runs is waited for.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Something that nests, dropped on a stack that suits its depth.
pub(crate) struct Nested<T: Send> {
    inner: Option<T>,
    depth: u32,
}

impl<T: Send> Nested<T> {
    pub fn new(inner: T, depth: u32) -> Nested<T> {
        Nested { inner: Some(inner), depth }
    }
}

impl<T: Send> std::ops::Deref for Nested<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("only drop takes it out"),
        }
    }
}

impl<T: Send> Drop for Nested<T> {
    fn drop(&mut self) {
        let inner = self.inner.take();
        on_stack(self.depth, move || drop(inner));
    }
}

impl Engine {
    /// Starts the pool. Errors: XX000 when threads or the spill folder cannot be had.
    pub fn start(database: Arc<Database>, config: EngineConfig) -> Result<Arc<Engine>> {
        let pool = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .max_blocking_threads(config.running.max(1))
            .thread_stack_size(config.stack_bytes)
            .thread_name("analytics")
            .enable_time()
            .build()
            .map_err(|e| SqlError::internal(format!("could not start the analytics pool: {e}")))?;
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(config.memory_bytes)))
            .with_temp_file_path(&config.spill_folder)
            .with_max_temp_directory_size(config.spill_bytes)
            .build_arc()
            .map_err(|e| SqlError::internal(format!("could not set up the spill folder: {e}")))?;
        Ok(Arc::new(Engine {
            database,
            rows: Budget::new(config.memory_bytes, None),
            sizes: Sizes::default(),
            planners: [1, config.threads.max(1)].map(|parts| prototype(&config, parts, environment.clone())),
            config,
            pool: Some(pool),
            environment,
        }))
    }

    /// The shared root of transactions.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// The analytics pool.
    pub(crate) fn pool(&self) -> Result<&tokio::runtime::Handle> {
        self.pool
            .as_ref()
            .map(|p| p.handle())
            .ok_or_else(|| SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down"))
    }

    /// Decides how a statement runs. `catalog` is the version that it was bound to. Errors: 0A000 for what cannot be executed, 54001 for
    /// statements that nest too deeply.
    pub async fn plan(self: &Arc<Self>, statement: &Arc<BoundStatement>, catalog: &Arc<Catalog>) -> Result<Arc<Plan>> {
        let depth = statement.depth;
        let (engine, statement, catalog) = (self.clone(), statement.clone(), catalog.clone());
        if depth <= inline_depth() {
            return Plan::compile(engine, statement, catalog).map(Arc::new);
        }
        let compile = move || on_stack(depth, move || Plan::compile(engine, statement, catalog).map(Arc::new));
        match self.pool()?.spawn_blocking(compile).await {
            Ok(plan) => plan,
            Err(e) => Err(SqlError::internal(format!("planning ended early: {e}"))),
        }
    }
}

impl Drop for Engine {
    /// Waits a while for what still runs: the process must not end while the state is read.
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let here = tokio::runtime::Handle::try_current().is_ok_and(|current| current.id() == pool.handle().id());
        if here {
            pool.shutdown_background();
        } else {
            // On a thread of its own, since an asynchronous one must not wait for a runtime.
            let waits = std::thread::spawn(move || pool.shutdown_timeout(END_WITHIN));
            let _ = waits.join(); // it doesn't panic
        }
    }
}
