//! [`Plan`]: how one statement runs, decided once.
//!
//! ```text
//!   BoundStatement ─ filters pushed down ─┬─ point: row operators, run in place on the session's thread
//!                                         ├─ rows: row operators, run on the analytics pool
//!                                         └─ analytic: DataFusion, on the analytics pool, over scans of the same view; row operators
//!                                                      while its tables are small (see `cost`)
//! ```
//!
//! The point path takes what is bounded before it runs: rows by key, VALUES, SELECT without FROM. A statement that aggregates, sorts or
//! joins stored tables as a whole is analytic where DataFusion has operators of equal meaning. The rest (system views, set-returning
//! functions, LATERAL, recursion) runs as row operators.
//!
//! Most statements that row operators run on the pool, as nobody knows how much they read, read little: they are tried on the session's
//! thread first, and begin once more on the pool where that takes more than a few rows ([`Trial`]).

use crate::analytic::Analytic;
use crate::cost::{self, Choice};
use crate::engine::{ANALYTIC_DEPTH, Engine, Nested};
use crate::eval::Env;
use crate::exec::{Exec, Execution};
use crate::flatten::flatten;
use crate::ordered;
use crate::registry;
use crate::rewrite;
use crate::rows::{Compiler, Op, Row, describe, positions};
use crate::source::{Inner, RowSource};
use crate::spill::{Kept, Spool};
use crate::walk;
use crate::write::{ChangePlan, Due, InsertPlan, LockPlan, MergePlan, Pass, Staged, changed_tables, settle};
use curia_bind::ir::*;
use curia_catalog::system::system_table;
use curia_catalog::{Catalog, Oid};
use curia_functions::Volatility;
use curia_parse::{inline_depth, on_stack};
use curia_txn::{ReadView, TableLock, Transaction};
use curia_types::panic::caught;
use curia_types::{PgType, Result, SqlError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a statement does, for its command tag and for read-only transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum PlanKind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
}

/// A compiled statement. Immutable; shared by sessions and executions.
pub struct Plan {
    pub(crate) engine: Arc<Engine>,
    statement: Nested<Arc<BoundStatement>>,
    catalog: Arc<Catalog>,
    output: Arc<[OutputColumn]>,
    tables: Vec<(Oid, TableLock)>,
    /// Changes in its WITH, which run before.
    stages: Vec<Staged>,
    body: Nested<Body>,
}

enum Body {
    Query(Source),
    Locking(LockPlan),
    Insert(InsertPlan),
    Change(ChangePlan),
    Merge(MergePlan),
}

/// What running a plan led to.
pub struct Outcome {
    /// Rows inserted, updated or deleted.
    pub affected: u64,
    /// Rows of SELECT and RETURNING.
    pub rows: Option<RowSource>,
}

/// Rows that feed a statement: how they are computed.
pub(crate) struct Source {
    pub how: How,
    /// Wanted columns among the relation's.
    pub positions: Vec<usize>,
    /// When subqueries became joins in it: the other way to run them.
    applied: Option<Box<Applied>>,
    /// There where nothing comes of beginning twice.
    trial: Option<Trial>,
}

/// What has come of trying on the session's thread.
#[derive(Default)]
struct Trial {
    /// Runs until the next one; each that read too much sets it.
    pause: AtomicU32,
}

/// Rows that a trial may look at in all operators together.
const TRIAL_ROWS: u32 = 2_000;
/// Runs without a trial after one that was in vain.
const TRIAL_PAUSE: u32 = 50;

impl Trial {
    fn of(rel: &Rel) -> Option<Trial> {
        let volatile = |e: &Expr| registry::volatility(e) == Volatility::Volatile;
        let mut known = !walk::any_expression(rel, &volatile);
        walk::each_rel(rel, &mut |r| {
            known &= matches!(
                r,
                Rel::Unit
                    | Rel::Scan(_)
                    | Rel::Values { .. }
                    | Rel::Filter { .. }
                    | Rel::Project { .. }
                    | Rel::Join { .. }
                    | Rel::Aggregate { .. }
                    | Rel::Sort { .. }
                    | Rel::Distinct { .. }
                    | Rel::Limit { .. }
            );
        });
        known.then(Trial::default)
    }

    fn is_due(&self) -> bool {
        let pause = self.pause.load(Ordering::Relaxed);
        self.pause.store(pause.saturating_sub(1), Ordering::Relaxed);
        pause == 0
    }

    /// All rows; `None` where they are too many, or hard to find.
    fn run(&self, op: &Arc<Op>, positions: &[usize], exec: &Arc<Exec>) -> Option<Result<Kept>> {
        let env = Env { exec, frame: &[] };
        let done = exec.within(TRIAL_ROWS, || {
            let (mut cursor, mut rows) = (op.clone().open(env)?, Spool::new(&exec.room));
            while let Some(row) = cursor.next(env)? {
                rows.push(positions.iter().map(|p| row[*p].clone()).collect())?;
            }
            rows.finish()
        });
        if done.is_none() {
            self.pause.store(TRIAL_PAUSE, Ordering::Relaxed);
        }
        done
    }
}

/// The same rows, with subqueries run for one outer row at a time.
struct Applied {
    rel: Rel,
    /// The relation with joins in their place.
    flat: Rel,
    op: Arc<Op>,
    positions: Vec<usize>,
    /// Whether it may run on the session's thread.
    in_place: bool,
}

pub(crate) enum How {
    /// In place.
    Point(Arc<Op>),
    /// Row operators on the pool.
    Pool(Arc<Op>, u32),
    Analytic(Arc<Analytic>),
}

/// Batches of rows under way between the pool and a reader.
const CHANNEL: usize = 4;
/// Nesting that the pool's own stacks are enough for.
const POOL_DEPTH: u32 = 500;
/// Rows that cross over at a time.
const CHUNK: usize = 256;

impl Source {
    /// Compiles a relation; `wanted` are the columns to give, in order.
    pub fn compile(compiler: &mut Compiler, rel: Rel, wanted: &[ColId], depth: u32, analytic: bool) -> Result<Source> {
        Source::compile_for(compiler, rel, wanted, depth, analytic, false)
    }

    /// The same for row operators, where its reader may have enough after a few rows.
    pub fn compile_limited(compiler: &mut Compiler, rel: Rel, wanted: &[ColId], depth: u32, limited: bool) -> Result<Source> {
        Source::compile_for(compiler, rel, wanted, depth, false, limited)
    }

    fn compile_for(compiler: &mut Compiler, rel: Rel, wanted: &[ColId], depth: u32, analytic: bool, limited: bool) -> Result<Source> {
        let mut rel = rewrite::push_filters(rel);
        let trial = if waits(&rel) || depth > inline_depth() {
            None
        } else {
            Trial::of(&rel)
        };
        let ordered = ordered::by_scan(&rel, limited);
        let bounded = |c: &Compiler, rel: &Rel| is_point(c, rel) && !waits(rel) && depth <= inline_depth();
        let mut applied = None;
        if ordered.is_none()
            && !bounded(compiler, &rel)
            && let Some(flat) = flatten(&rel)
        {
            let flat = rewrite::push_filters(flat);
            let op = compiler.relation(&rel, &HashMap::new())?;
            applied = Some(Box::new(Applied {
                positions: positions(&*op, wanted)?,
                op,
                in_place: !waits(&rel) && depth <= inline_depth(),
                rel: std::mem::replace(&mut rel, flat.clone()),
                flat,
            }));
        }
        if analytic
            && !compiler.staged
            && ordered.is_none()
            && depth <= ANALYTIC_DEPTH
            && let Some(plan) = Analytic::plan(compiler, &rel, wanted, !waits(&rel))?
        {
            return Ok(Source {
                positions: plan.positions.clone(),
                how: How::Analytic(Arc::new(plan)),
                applied,
                trial,
            });
        }
        let rel = match ordered {
            Some(o) => {
                compiler.order_scan(o.scan, o.direction);
                o.rel
            }
            None => rel,
        };
        let bounded = applied.is_none() && bounded(compiler, &rel);
        let op = compiler.relation(&rel, &HashMap::new())?;
        let positions = positions(&*op, wanted)?;
        Ok(Source {
            how: if bounded { How::Point(op) } else { How::Pool(op, depth) },
            positions,
            applied,
            trial,
        })
    }

    /// How it runs now, and whether subqueries run for one outer row at a time though they could be joins.
    fn choose(&self, engine: &Engine, view: &ReadView) -> Result<(Choice, Option<&Applied>)> {
        let (choice, flat) = match &self.how {
            How::Point(_) => (Choice::InPlace, None),
            How::Pool(..) => (Choice::Pool, None),
            How::Analytic(plan) => {
                let (choice, price) = plan.choose(engine, view)?;
                (choice, Some(price.rowwise.min(price.analytic)))
            }
        };
        if let Some(applied) = &self.applied {
            let flat = match flat {
                Some(price) => price,
                None => cost::price(&applied.flat, engine, view)?.rowwise,
            };
            let nested = cost::price(&applied.rel, engine, view)?;
            if nested.rowwise < flat {
                let in_place = applied.in_place && nested.in_place;
                return Ok((if in_place { Choice::InPlace } else { Choice::Pool }, Some(applied)));
            }
        }
        Ok((choice, None))
    }

    /// The row operators, and how deep they nest.
    fn rows(&self) -> (&Arc<Op>, u32) {
        match &self.how {
            How::Point(op) => (op, 0),
            How::Pool(op, depth) => (op, *depth),
            How::Analytic(plan) => (&plan.rows, ANALYTIC_DEPTH),
        }
    }

    /// Starts it.
    pub fn open(&self, engine: &Arc<Engine>, mut exec: Arc<Exec>, columns: Arc<[OutputColumn]>) -> Result<RowSource> {
        let (choice, applied) = self.choose(engine, exec.view()?)?;
        let (mut op, depth) = self.rows();
        let mut positions = &self.positions;
        if let Some(applied) = applied {
            (op, positions) = (&applied.op, &applied.positions);
        }
        if choice == Choice::Pool
            && let Some(trial) = self.trial.as_ref().filter(|trial| trial.is_due())
        {
            if let Some(rows) = trial.run(op, positions, &exec) {
                return Ok(RowSource::kept(columns, exec, &rows?));
            }
            exec = Arc::new(exec.branch());
        }
        let running = exec.clone();
        let inner = match (choice, &self.how) {
            (Choice::Analytic(width), How::Analytic(plan)) => Inner::Batches {
                from: plan.clone().start(engine, exec, width)?,
                held: Vec::new().into_iter(),
            },
            (Choice::InPlace, _) => {
                let cursor = op.clone().open(Env { exec: &exec, frame: &[] })?;
                let positions = positions.clone();
                return Ok(RowSource::new(columns, Inner::Cursor { exec, cursor, positions }));
            }
            _ => {
                let (to, from) = mpsc::channel(CHANNEL);
                let (op, positions) = (op.clone(), positions.clone());
                engine.pool()?.spawn_blocking(move || {
                    let depth = if depth > POOL_DEPTH { depth } else { 0 };
                    if let Err(e) = caught(|| on_stack(depth, || pump(&op, &exec, &positions, &to))) {
                        // A reader that went away needs no error.
                        let _ = to.blocking_send(Err(e));
                    }
                });
                Inner::Rows {
                    from,
                    held: Vec::new().into_iter(),
                }
            }
        };
        Ok(RowSource::running(columns, inner, running))
    }

    /// Lines of EXPLAIN.
    fn explain(&self, (choice, applied): (Choice, Option<&Applied>), lines: &mut Vec<String>) {
        if let Some(applied) = applied {
            return describe(&applied.op, 0, lines);
        }
        match &self.how {
            How::Point(op) | How::Pool(op, _) => describe(op, 0, lines),
            How::Analytic(plan) => plan.explain(choice, lines),
        }
    }
}

/// Runs row operators to their end, a chunk of rows at a time.
fn pump(op: &Arc<Op>, exec: &Arc<Exec>, positions: &[usize], to: &mpsc::Sender<Result<Vec<Row>>>) -> Result<()> {
    let env = Env { exec, frame: &[] };
    let mut cursor = op.clone().open(env)?;
    // The first row goes at once, later ones in growing chunks.
    let mut size = 1;
    loop {
        let mut chunk = Vec::with_capacity(size);
        while chunk.len() < size {
            let Some(row) = cursor.next(env)? else { break };
            chunk.push(positions.iter().map(|p| row[*p].clone()).collect());
        }
        let last = chunk.len() < size;
        if (!chunk.is_empty() && to.blocking_send(Ok(chunk)).is_err()) || last {
            return Ok(());
        }
        size = (size * 4).min(CHUNK);
    }
}

/// Whether it calls `pg_sleep`, which waits on its thread and would keep the other sessions of a core waiting too.
fn waits(rel: &Rel) -> bool {
    const PG_SLEEP: Oid = 2626;
    walk::any_expression(rel, &|e| matches!(e.kind, ExprKind::Call { function: PG_SLEEP, .. }))
}

/// Tables that a point plan reads side by side.
const POINT_INPUTS: usize = 64;

/// Whether a relation reads a bounded number of rows by key, and such that are there, and may run on the session's thread.
fn is_point(c: &Compiler, rel: &Rel) -> bool {
    let mut point = true;
    let mut blocking = false;
    let mut unbounded = false;
    walk::each_rel(rel, &mut |r| match r {
        Rel::Unit => {}
        Rel::Values { rows, .. } => point &= rows.len() <= 10_000,
        Rel::Project { .. } | Rel::Limit { .. } | Rel::LockRows { .. } => {}
        Rel::Sort { .. } | Rel::Aggregate { .. } | Rel::Distinct { .. } => blocking = true,
        Rel::Filter { input, predicate } => {
            if let Rel::Scan(scan) = &**input {
                let terms = walk::terms(predicate);
                match crate::access::choose(scan, &terms) {
                    Some(path) => unbounded |= !path.unique,
                    None => point = false,
                }
            }
        }
        Rel::Scan(_) => {}
        Rel::CteScan { .. } => point &= c.is_given(r),
        Rel::SetOp { op, all, inputs, .. } => point &= *op == SetOp::Union && *all && inputs.len() <= POINT_INPUTS,
        _ => point = false,
    });
    // A scan that no filter stands on is a full one.
    let mut scans = 0usize;
    let mut filtered = 0usize;
    walk::each_rel(rel, &mut |r| match r {
        Rel::Scan(_) => scans += 1,
        Rel::Filter { input, .. } if matches!(**input, Rel::Scan(_)) => filtered += 1,
        _ => {}
    });
    point && scans == filtered && !(blocking && unbounded)
}

impl Plan {
    pub(crate) fn compile(engine: Arc<Engine>, statement: Arc<BoundStatement>, catalog: Arc<Catalog>) -> Result<Plan> {
        let mut compiler = Compiler::new(catalog.clone());
        Plan::compile_with(&mut compiler, engine, statement, catalog)
    }

    fn compile_with(c: &mut Compiler, engine: Arc<Engine>, statement: Arc<BoundStatement>, catalog: Arc<Catalog>) -> Result<Plan> {
        let depth = statement.depth;
        let output: Arc<[OutputColumn]> = statement.output().into();
        let (stages, mut targets) = Staged::compile(c, &statement.stages, depth)?;
        let body = match &statement.bound {
            Bound::Query(q) => match LockPlan::compile(c, q, depth)? {
                Some(plan) => Body::Locking(plan),
                None => {
                    let wanted: Vec<ColId> = q.output.iter().map(|o| o.id).collect();
                    Body::Query(Source::compile(c, q.rel.clone(), &wanted, depth, true)?)
                }
            },
            Bound::Insert(i) => Body::Insert(InsertPlan::compile(c, i, depth)?),
            Bound::Update(u) => Body::Change(ChangePlan::update(c, u, depth)?),
            Bound::Delete(d) => Body::Change(ChangePlan::delete(c, d, depth)?),
            Bound::Merge(m) => Body::Merge(MergePlan::compile(c, m, depth)?),
        };
        targets.extend(changed_tables(&catalog, &statement.bound));
        let locking = matches!(body, Body::Locking(_)) || stages.iter().any(Staged::locks);
        let mut oids = statement.tables.clone();
        oids.sort_unstable();
        oids.dedup();
        let tables = oids
            .into_iter()
            .filter(|oid| catalog.tables.contains_key(oid))
            .map(|oid| {
                let lock = if targets.contains(&oid) {
                    TableLock::RowExclusive
                } else if locking {
                    TableLock::RowShare
                } else {
                    TableLock::AccessShare
                };
                (oid, lock)
            })
            .collect();
        Ok(Plan {
            engine,
            output,
            tables,
            stages,
            body: Nested::new(body, depth),
            statement: Nested::new(statement, depth),
            catalog,
        })
    }

    /// Whether it is a query that calls any of these functions (`pg_proc.oid`).
    pub fn calls(&self, functions: &[Oid]) -> bool {
        let Bound::Query(query) = &self.statement.bound else { return false };
        let mut found = walk::any_expression(
            &query.rel,
            &|e| matches!(&e.kind, ExprKind::Call { function, .. } if functions.contains(function)),
        );
        walk::each_rel(&query.rel, &mut |r| {
            found |= matches!(r, Rel::Function { function, .. } if functions.contains(function));
        });
        found
    }

    /// Whether it is a query that reads any of these system views.
    pub fn reads(&self, views: &[&str]) -> bool {
        let Bound::Query(query) = &self.statement.bound else { return false };
        let mut found = false;
        walk::each_rel(&query.rel, &mut |r| {
            if let Rel::System { table, .. } = r {
                found |= system_table(*table).is_some_and(|t| views.contains(&t.name));
            }
        });
        found
    }

    /// Result columns; empty when it returns none.
    pub fn output(&self) -> &[OutputColumn] {
        &self.output
    }
    /// Whether a cursor may go backward over the rows without being declared SCROLL.
    pub fn goes_backward(&self) -> bool {
        match &self.statement.bound {
            Bound::Query(query) => curia_bind::backward::goes_backward(&query.rel),
            _ => false,
        }
    }
    /// Tables whose row keys are the last columns of the result.
    pub fn row_keys(&self) -> &[Oid] {
        &self.statement.row_keys
    }
    /// Types of `$1`, `$2`, ...
    pub fn params(&self) -> &[PgType] {
        &self.statement.params
    }
    /// Tables to lock before it runs, with the mode, ascending by OID.
    pub fn tables(&self) -> &[(Oid, TableLock)] {
        &self.tables
    }
    /// The catalog version it was made for.
    pub fn catalog_version(&self) -> u64 {
        self.statement.catalog_version
    }
    /// What it does.
    pub fn kind(&self) -> PlanKind {
        match &*self.body {
            Body::Query(_) | Body::Locking(_) => PlanKind::Select,
            Body::Insert(_) => PlanKind::Insert,
            Body::Change(p) => p.kind(),
            Body::Merge(_) => PlanKind::Merge,
        }
    }
    /// The first change in its WITH.
    pub fn changes(&self) -> Option<PlanKind> {
        self.stages.iter().find(|stage| !stage.locks()).map(Staged::kind)
    }
    /// What feeds it.
    fn source(&self) -> &Source {
        match &*self.body {
            Body::Query(s) => s,
            Body::Locking(p) => &p.source,
            Body::Insert(p) => &p.source,
            Body::Change(p) => &p.source,
            Body::Merge(p) => &p.source,
        }
    }

    /// Runs it in a transaction whose statement has started ([`Transaction::start_statement`]) and whose tables are locked. A SELECT only
    /// begins here: its rows are computed as they are read, from the snapshot of now. Writes are done when it returns.
    pub async fn execute(&self, tx: &mut Transaction, execution: Execution) -> Result<Outcome> {
        match &*self.body {
            Body::Query(_) | Body::Locking(_) if self.stages.is_empty() => self.execute_unsettled(tx, execution).await,
            _ => {
                let outcome = self.execute_unsettled(tx, execution.clone()).await?;
                settle(&self.engine, tx, &execution, Due::Statement).await?;
                Ok(outcome)
            }
        }
    }

    /// Rows of a query over a view of the caller's choice.
    pub(crate) fn open_query(&self, exec: Arc<Exec>) -> Result<RowSource> {
        match &*self.body {
            Body::Query(source) => source.open(&self.engine, exec, self.output.clone()),
            _ => Err(SqlError::internal("not a plain query")),
        }
    }

    /// Runs the changes in its WITH, then the rest, and leaves the checks that they bring up to the caller.
    pub(crate) async fn execute_unsettled(&self, tx: &mut Transaction, execution: Execution) -> Result<Outcome> {
        if execution.params.len() < self.statement.params.len() {
            return Err(SqlError::internal("too few parameter values"));
        }
        if let Body::Locking(plan) = &*self.body
            && self.stages.is_empty()
        {
            return plan.execute(&self.engine, tx, execution, self.output.clone()).await;
        }
        let engine = &self.engine;
        'again: loop {
            let exec = Arc::new(Exec::new(tx.read_view(), execution.clone(), engine));
            for stage in &self.stages {
                if !stage.run(engine, tx, &exec).await? {
                    tx.restart_statement();
                    continue 'again;
                }
            }
            let output = self.output.clone();
            let pass = match &*self.body {
                Body::Query(source) => {
                    let rows = Some(source.open(engine, exec, output)?);
                    return Ok(Outcome { affected: 0, rows });
                }
                Body::Locking(plan) => match plan.pass(engine, tx, &exec).await? {
                    Some(kept) => {
                        let rows = Some(RowSource::kept(output, exec, &kept));
                        return Ok(Outcome { affected: 0, rows });
                    }
                    None => Pass::Again,
                },
                Body::Insert(plan) => plan.pass(engine, tx, &exec).await?,
                Body::Change(plan) => plan.pass(engine, tx, &exec).await?,
                Body::Merge(plan) => plan.pass(engine, tx, &exec).await?,
            };
            match pass {
                Pass::Again => tx.restart_statement(),
                Pass::Done(written) => return written.outcome(exec, output),
            }
        }
    }

    /// EXPLAIN: the operators, with their access paths, as text lines, as it would run over the rows of `view`.
    pub fn explain(&self, view: &ReadView) -> Result<Vec<String>> {
        let source = self.source();
        let choice = source.choose(&self.engine, view)?;
        let mut lines = Vec::new();
        match &*self.body {
            Body::Query(_) => source.explain(choice, &mut lines),
            Body::Locking(_) => indented("LockRows".to_owned(), source, choice, &mut lines),
            Body::Insert(p) => indented(format!("Insert on {}", p.layout.table().name), source, choice, &mut lines),
            Body::Change(p) => indented(p.describe(), source, choice, &mut lines),
            Body::Merge(p) => indented(format!("Merge on {}", p.table.name), source, choice, &mut lines),
        }
        let path = if choice.0 == Choice::InPlace { "point" } else { "analytics pool" };
        lines.push(format!("Path: {path}"));
        Ok(lines)
    }

    /// EXPLAIN ANALYZE: runs the statement and adds rows and times.
    pub async fn explain_analyze(&self, tx: &mut Transaction, execution: Execution) -> Result<Vec<String>> {
        let start = Instant::now();
        let mut compiler = Compiler::new(self.catalog.clone());
        compiler.measure = true;
        let measured = Plan::compile_with(
            &mut compiler,
            self.engine.clone(),
            Arc::clone(&self.statement),
            self.catalog.clone(),
        )?;
        let planning = start.elapsed();
        let view = tx.read_view();
        let start = Instant::now();
        let mut outcome = measured.execute(tx, execution).await?;
        let mut rows = 0u64;
        if let Some(source) = &mut outcome.rows {
            while source.next().await? {
                rows += 1;
            }
        }
        let elapsed = start.elapsed();
        let mut lines = measured.explain(&view)?;
        lines.push(format!("Rows: {}", if outcome.affected > 0 { outcome.affected } else { rows }));
        let late = match &measured.source().how {
            How::Analytic(plan) => plan.planning(),
            _ => Duration::ZERO,
        };
        let milliseconds = |d: Duration| d.as_secs_f64() * 1e3;
        lines.push(format!("Planning Time: {:.3} ms", milliseconds(planning + late)));
        lines.push(format!("Execution Time: {:.3} ms", milliseconds(elapsed.saturating_sub(late))));
        Ok(lines)
    }
}

fn indented(head: String, source: &Source, choice: (Choice, Option<&Applied>), lines: &mut Vec<String>) {
    lines.push(head);
    let mut inner = Vec::new();
    source.explain(choice, &mut inner);
    let mut first = true;
    lines.extend(inner.into_iter().map(|l| {
        let prefix = if std::mem::take(&mut first) { "  ->  " } else { "      " };
        format!("{prefix}{l}")
    }));
}
