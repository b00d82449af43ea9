//! The analytic path: DataFusion over scans of the statement's view.
//!
//! A relation is lowered to a DataFusion plan when it runs, with the parameters as constants, so that DataFusion's optimizer sees values.
//! Columns are named `c{ColId}`. An expression becomes a native operator only where that means the same (comparisons of types that Arrow
//! orders as PostgreSQL does, AND, OR, NOT, IS NULL); everything else is the evaluator as a scalar function. Types whose Arrow form is not
//! what equality goes by (numeric, interval, floats, bpchar) are compared, sorted, grouped and joined by an order-preserving key. What has
//! no operator here at all (system views, set-returning functions, LATERAL) enters as rows of row operators.

mod aggregate;
mod expression;
mod functions;
mod groups;
mod leaf;
mod lower;
mod passes;

pub(crate) use passes::prototype;

use crate::cost::{self, Choice, Price, Width};
use crate::engine::Engine;
use crate::exec::Exec;
use crate::rows::{Compiler, Op, describe, positions};
use arrow::array::RecordBatch;
use curia_bind::ir::{ColId, Rel};
use curia_catalog::Catalog;
use curia_txn::ReadView;
use curia_types::panic::caught_in;
use curia_types::{Result, SqlError, SqlState};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream, execute_stream_partitioned};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A relation that DataFusion runs, or row operators while it reads little.
pub(crate) struct Analytic {
    rel: Rel,
    wanted: Vec<ColId>,
    catalog: Arc<Catalog>,
    /// The same as row operators, with the wanted columns among theirs.
    pub rows: Arc<Op>,
    pub positions: Vec<usize>,
    /// Whether these may run on the session's thread.
    in_place: bool,
    /// What was chosen last, and until when that holds: as long as counted sizes do.
    chosen: Mutex<Option<(Instant, Choice, Price)>>,
    /// The physical plan of an EXPLAIN ANALYZE, with what it counted.
    measured: Option<Mutex<Measured>>,
}

/// What an EXPLAIN ANALYZE says of a run.
#[derive(Default)]
struct Measured {
    /// The physical plan with its counters.
    plan: String,
    planning: Duration,
}

/// Batches under way between the pool and a reader.
const CHANNEL: usize = 2;

impl Analytic {
    /// Decides whether DataFusion may run a relation: it may when a stored table is read under operators that DataFusion has.
    pub fn plan(compiler: &mut Compiler, rel: &Rel, wanted: &[ColId], in_place: bool) -> Result<Option<Analytic>> {
        if !lower::reads_tables(rel) {
            return Ok(None);
        }
        // What the evaluator would refuse is refused now, before anything runs.
        let rows = compiler.relation(rel, &HashMap::new())?;
        Ok(Some(Analytic {
            positions: positions(&*rows, wanted)?,
            rows,
            in_place,
            rel: rel.clone(),
            wanted: wanted.to_vec(),
            catalog: compiler.catalog().clone(),
            chosen: Mutex::default(),
            measured: compiler.measure.then(Mutex::default),
        }))
    }

    /// How it runs now, and what that costs.
    pub fn choose(&self, engine: &Engine, view: &ReadView) -> Result<(Choice, Price)> {
        let now = Instant::now();
        if let Some((until, choice, price)) = *self.chosen.lock()
            && now < until
        {
            return Ok((choice, price));
        }
        let price = cost::price(&self.rel, engine, view)?;
        let choice = match price.choice() {
            Choice::InPlace if !self.in_place => Choice::Pool,
            choice => choice,
        };
        *self.chosen.lock() = Some((now + cost::COUNT_HOLDS, choice, price));
        Ok((choice, price))
    }

    /// Starts it on the analytics pool.
    pub fn start(self: Arc<Self>, engine: &Arc<Engine>, exec: Arc<Exec>, width: Width) -> Result<mpsc::Receiver<Result<RecordBatch>>> {
        let (to, from) = mpsc::channel(CHANNEL);
        let (state, of) = (passes::session(engine, width), engine.clone());
        engine.pool()?.spawn(async move {
            if let Err(e) = caught_in(self.run(of, state, exec, &to)).await {
                let _ = to.send(Err(e)).await; // a reader that went away needs no error
            }
        });
        Ok(from)
    }

    /// Runs it. A hash join keeps one side in memory; when that does not fit and no row has come out, it runs again with joins that sort,
    /// which spill.
    async fn run(
        &self,
        engine: Arc<Engine>,
        mut state: SessionState,
        exec: Arc<Exec>,
        to: &mpsc::Sender<Result<RecordBatch>>,
    ) -> Result<()> {
        let start = Instant::now();
        let parts = state.config_options().execution.target_partitions;
        let logical = lower::Lowering::new(engine, exec.clone(), self.catalog.clone(), parts).statement(&self.rel, &self.wanted)?;
        let physical = state.create_physical_plan(&logical).await.map_err(error)?;
        if let Some(measured) = &self.measured {
            measured.lock().planning = start.elapsed();
        }
        let mut sent = false;
        match self.stream(&physical, &state, &exec, to, &mut sent).await {
            Err(e) if e.code() == SqlState::OUT_OF_MEMORY && !sent && joins_by_hash(&*physical) => {
                drop(physical);
                let options = state.config_mut().options_mut();
                options.optimizer.prefer_hash_join = false;
                // The planner sorts for joins of two or more partitions only.
                options.execution.target_partitions = options.execution.target_partitions.max(2);
                let physical = state.create_physical_plan(&logical).await.map_err(error)?;
                self.stream(&physical, &state, &exec, to, &mut sent).await
            }
            other => other,
        }
    }

    async fn stream(
        &self,
        physical: &Arc<dyn ExecutionPlan>,
        state: &SessionState,
        exec: &Exec,
        to: &mpsc::Sender<Result<RecordBatch>>,
        sent: &mut bool,
    ) -> Result<()> {
        let streams = match reads_in_order(&**physical) {
            true => side_by_side(execute_stream_partitioned(physical.clone(), state.task_ctx()).map_err(error)?),
            false => vec![execute_stream(physical.clone(), state.task_ctx()).map_err(error)?],
        };
        for mut stream in streams {
            while let Some(batch) = stream.next().await {
                exec.check_cancel()?;
                if to.send(Ok(batch.map_err(error)?)).await.is_err() {
                    return Ok(());
                }
                *sent = true;
            }
        }
        if let Some(measured) = &self.measured {
            measured.lock().plan = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(&**physical)
                .indent(false)
                .to_string();
        }
        Ok(())
    }

    /// How long DataFusion planned in an EXPLAIN ANALYZE.
    pub fn planning(&self) -> Duration {
        self.measured.as_ref().map_or(Duration::ZERO, |m| m.lock().planning)
    }

    /// Lines of EXPLAIN: operators with their access; the measured physical plan when it has run.
    pub fn explain(&self, choice: Choice, lines: &mut Vec<String>) {
        if !matches!(choice, Choice::Analytic(_)) {
            return describe(&self.rows, 0, lines);
        }
        lines.push("Analytic (DataFusion)".to_owned());
        match &self.measured {
            Some(measured) if !measured.lock().plan.is_empty() => lines.extend(measured.lock().plan.lines().map(|l| format!("  {l}"))),
            _ => lower::outline(&self.rel, 1, lines),
        }
    }
}

/// Whether the plan only reads one table, so that its partitions one after the other give the rows in the table's order.
fn reads_in_order(plan: &dyn ExecutionPlan) -> bool {
    match plan.children().as_slice() {
        [] => plan.name() == leaf::SCAN,
        [input] => {
            let partitions = |p: &dyn ExecutionPlan| p.properties().partitioning.partition_count();
            partitions(plan) == partitions(&***input) && reads_in_order(&***input)
        }
        _ => false,
    }
}

/// Streams that run at once, each some batches ahead of its reader.
fn side_by_side(streams: Vec<SendableRecordBatchStream>) -> Vec<SendableRecordBatchStream> {
    if streams.len() < 2 {
        return streams;
    }
    let ahead = |mut stream: SendableRecordBatchStream| -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(stream.schema(), CHANNEL);
        let to = builder.tx();
        builder.spawn(async move {
            while let Some(batch) = stream.next().await {
                if to.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    };
    streams.into_iter().map(ahead).collect()
}

fn joins_by_hash(plan: &dyn ExecutionPlan) -> bool {
    plan.name() == "HashJoinExec" || plan.children().into_iter().any(|c| joins_by_hash(&**c))
}

/// The client's error inside an error of DataFusion.
pub(crate) fn error(e: DataFusionError) -> SqlError {
    let mut current: &(dyn std::error::Error + 'static) = &e;
    loop {
        if let Some(sql) = current.downcast_ref::<SqlError>() {
            return sql.clone();
        }
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>()
            && let Some(sql) = inner.downcast_ref::<SqlError>()
        {
            return sql.clone();
        }
        if let Some(DataFusionError::Shared(inner)) = current.downcast_ref::<DataFusionError>() {
            current = &**inner;
            continue;
        }
        if let Some(arrow::error::ArrowError::ExternalError(inner)) = current.downcast_ref::<arrow::error::ArrowError>() {
            current = &**inner;
            continue;
        }
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            if io.kind() == std::io::ErrorKind::StorageFull {
                return SqlError::new(SqlState::DISK_FULL, format!("could not write to a temporary file: {io}"));
            }
            // DataFusion gives this case no type of its own.
            if io.to_string().contains("max_temp_directory_size") {
                return SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "temporary files exceed their limit");
            }
        }
        match current.source() {
            Some(next) => current = next,
            None => break,
        }
    }
    match e.find_root() {
        DataFusionError::ResourcesExhausted(message) => SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(message.clone()),
        _ => SqlError::internal(e.to_string()),
    }
}

/// A client's error as one of DataFusion.
fn external(e: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}
