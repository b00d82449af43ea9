//! A database in one process and sessions that run SQL text in it: parse, bind, plan, execute.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod define;

use curia_bind::{BindContext, bind};
use curia_catalog::Catalog;
use curia_consensus::ids::{Csn, GroupId, Index, Term, Timestamp};
use curia_execute::{CatalogScope, Engine, EngineConfig, Execution, Outcome, Plan, Uninterrupted, catalog_call};
use curia_functions::Context;
use curia_storage::state::{ApplyBatch, StateOptions, StateStore};
use curia_txn::*;
use curia_types::{Datum, IoContext, Result, SqlError, text_io};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Commits apply at once.
struct Direct {
    state: Arc<StateStore>,
    applied: AtomicU64,
    staged: Mutex<HashMap<(u32, u64), bytes::Bytes>>,
    next: Mutex<u64>,
}

impl Direct {
    fn open(path: &Path) -> Arc<Direct> {
        let state = Arc::new(StateStore::open(path, &StateOptions::small()).unwrap());
        Arc::new(Direct {
            state,
            applied: AtomicU64::new(0),
            staged: Mutex::default(),
            next: Mutex::new(1),
        })
    }
    fn apply(&self, writes: WriteSet) -> Result<Csn> {
        let mut next = self.next.lock();
        let csn = Csn(*next);
        let mut batch = ApplyBatch::new();
        for fragment in &writes.fragments {
            for stage in &fragment.stages {
                batch.fragment(fragment.group, csn, &self.staged.lock()[&(fragment.group.0, stage.index.0)])?;
            }
            batch.fragment(fragment.group, csn, &fragment.payload)?;
        }
        batch.committed(csn, Timestamp(csn.0));
        self.state.apply(batch)?;
        *next += 1;
        self.applied.store(csn.0, Ordering::SeqCst);
        Ok(csn)
    }
}

impl Replication for Direct {
    fn applied(&self) -> Csn {
        Csn(self.applied.load(Ordering::SeqCst))
    }
    fn state(&self) -> &Arc<StateStore> {
        &self.state
    }
    fn groups(&self) -> u32 {
        3
    }
    fn commit(&self, writes: WriteSet) -> CommitTicket {
        let (sender, ticket) = CommitTicket::pair();
        sender.send(self.apply(writes));
        ticket
    }
    fn stage(&self, group: GroupId, payload: bytes::Bytes) -> StageTicket {
        let (sender, ticket) = StageTicket::pair();
        let mut staged = self.staged.lock();
        let n = staged.len() as u64;
        staged.insert((group.0, n), payload);
        let _ = sender.send(Ok(StageRef {
            index: Index(n),
            term: Term(1),
        }));
        ticket
    }
    fn wait_applied(&self, _: Csn) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

/// A server without a network.
pub struct Server {
    pub db: Arc<Database>,
    pub engine: Arc<Engine>,
    folder: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Server {
        Server::with(|config| config).await
    }
    /// With other limits.
    pub async fn with(limits: impl FnOnce(EngineConfig) -> EngineConfig) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let direct = Direct::open(&folder.path().join("state"));
        let db = Database::open(direct, Limits::new(folder.path().join("undo"))).await.unwrap();
        let config = EngineConfig {
            threads: 2,
            spill_folder: folder.path().join("spill"),
            // Tables of tests are small; DataFusion should meet them all the same.
            analytic_start: f64::NEG_INFINITY,
            ..EngineConfig::default()
        };
        let engine = Engine::start(db.clone(), limits(config)).unwrap();
        Server { db, engine, folder }
    }
    pub fn session(&self) -> Session {
        Session {
            db: self.db.clone(),
            engine: self.engine.clone(),
            slot: self.db.session(1),
            tx: None,
            isolation: Isolation::default(),
        }
    }
}

/// A session: each statement commits by itself unless `BEGIN` was said.
pub struct Session {
    pub db: Arc<Database>,
    pub engine: Arc<Engine>,
    slot: Arc<SessionSlot>,
    tx: Option<Transaction>,
    pub isolation: Isolation,
}

/// What a statement gave: its rows as text (NULL as `None`), or how many rows it wrote.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Answer {
    pub rows: Vec<Vec<Option<String>>>,
    pub affected: u64,
}

impl Answer {
    /// Rows in one line: columns apart by `|`, rows by `;`, NULL as `~`.
    pub fn line(&self) -> String {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|r| {
                r.iter()
                    .map(|v| v.clone().unwrap_or_else(|| "~".to_owned()))
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect();
        rows.join(";")
    }
}

pub const PATH: &str = "public";

impl Session {
    pub async fn begin(&mut self) {
        self.tx = Some(self.db.begin(
            &self.slot,
            Options {
                isolation: self.isolation,
                ..Options::default()
            },
        ));
    }
    pub async fn commit(&mut self) {
        self.tx.take().unwrap().commit().await.unwrap();
    }
    pub async fn rollback(&mut self) {
        self.tx = None;
    }

    /// Runs a statement and expects it to succeed; its rows as [`Answer::line`].
    pub async fn sql(&mut self, sql: &str) -> String {
        match self.run(sql, &[]).await {
            Ok(a) => a.line(),
            Err(e) => panic!("{sql}: {e:?}"),
        }
    }
    /// Runs a statement with parameters.
    pub async fn with(&mut self, sql: &str, params: &[Datum]) -> String {
        match self.run(sql, params).await {
            Ok(a) => a.line(),
            Err(e) => panic!("{sql}: {e:?}"),
        }
    }
    /// Runs a statement and expects an error: its SQLSTATE and message.
    pub async fn error(&mut self, sql: &str) -> String {
        match self.run(sql, &[]).await {
            Ok(a) => panic!("{sql} gave {a:?}"),
            Err(e) => format!("{} {}", e.code().as_str(), e.message()),
        }
    }
    /// Starts a query and reads nothing of it.
    pub async fn abandon(&mut self, sql: &str) {
        let mut tx = self.db.begin(&self.slot, Options::default());
        drop(execute(&self.engine, &mut tx, sql, &[]).await.unwrap());
    }
    /// The lines of EXPLAIN.
    pub async fn explain(&mut self, sql: &str) -> String {
        let mut tx = self.db.begin(&self.slot, Options::default());
        let (plan, _) = plan(&self.engine, &mut tx, sql).await.unwrap();
        plan.explain(&tx.read_view()).unwrap().join("\n")
    }

    pub async fn run(&mut self, sql: &str, params: &[Datum]) -> Result<Answer> {
        let single = self.tx.is_none();
        if single {
            self.begin().await;
        }
        let mut tx = self.tx.take().unwrap();
        let answer = run(&self.engine, &mut tx, sql, params).await;
        match (single, answer.is_ok()) {
            (true, true) => {
                tx.commit().await?;
            }
            (true, false) => drop(tx),
            (false, _) => self.tx = Some(tx),
        }
        answer
    }
}

async fn plan(engine: &Arc<Engine>, tx: &mut Transaction, sql: &str) -> Result<(Arc<Plan>, Arc<Catalog>)> {
    let parsed = curia_parse::parse(sql)?;
    let catalog = tx.catalog();
    let io = IoContext::default();
    let path = [PATH.to_owned()];
    let cx = BindContext {
        row_keys: false,
        role: None,
        cursor: None,
        catalog: &catalog,
        search_path: &path,
        database: "curia",
        params: Some(&[]),
        io: &io,
    };
    let bound = bind(&parsed[0], &cx)?;
    Ok((engine.plan(&Arc::new(bound), &catalog).await?, catalog))
}

pub async fn run(engine: &Arc<Engine>, tx: &mut Transaction, sql: &str, params: &[Datum]) -> Result<Answer> {
    let parsed = curia_parse::parse(sql)?;
    drop(parsed);
    if sql.starts_with("create") {
        tx.start_statement();
        define::create(tx, sql).await?;
        return Ok(Answer {
            rows: Vec::new(),
            affected: 0,
        });
    }
    let outcome = execute(engine, tx, sql, params).await?;
    let mut rows = Vec::new();
    if let Some(mut source) = outcome.rows {
        let types: Vec<_> = source.columns().iter().map(|c| c.ty).collect();
        while source.next().await? {
            let io = IoContext::default();
            let text = |(d, t): (&Datum, &curia_types::PgType)| (!d.is_null()).then(|| text_io::to_string(*t, d, &io));
            rows.push(source.row().iter().zip(&types).map(text).collect());
        }
    }
    Ok(Answer {
        rows,
        affected: outcome.affected,
    })
}

async fn execute(engine: &Arc<Engine>, tx: &mut Transaction, sql: &str, params: &[Datum]) -> Result<Outcome> {
    let (plan, catalog) = plan(engine, tx, sql).await?;
    tx.lock_tables(plan.tables()).await?;
    tx.start_statement();
    let context = Arc::new(TestContext {
        io: IoContext::default(),
        db: engine.database().clone(),
        slot: tx.slot().clone(),
        catalog: catalog.clone(),
    });
    let execution = Execution {
        params: params.into(),
        context,
        interrupt: Arc::new(Uninterrupted),
        catalog,
        session_views: None,
        reference_plans: Arc::default(),
    };
    plan.execute(tx, execution).await
}

struct TestContext {
    io: IoContext,
    db: Arc<Database>,
    slot: Arc<SessionSlot>,
    catalog: Arc<Catalog>,
}

impl Context for TestContext {
    fn io(&self) -> &IoContext {
        &self.io
    }
    fn transaction_timestamp(&self) -> i64 {
        0
    }
    fn statement_timestamp(&self) -> i64 {
        0
    }
    fn setting(&self, _: &str) -> Option<String> {
        None
    }
    fn session_call(&self, function: u32, args: &[Datum]) -> Result<Datum> {
        let name = curia_functions::by_oid(function).map_or("", |f| f.name);
        if let ("nextval", Some(Datum::Oid(oid))) = (name, args.first()) {
            return self.db.nextval(&self.slot, &self.catalog.sequences[oid]).map(Datum::Int8);
        }
        if name == "current_user" {
            return Ok(Datum::text("curia"));
        }
        let path = [PATH.to_owned()];
        let scope = CatalogScope {
            role: 10,
            catalog: &self.catalog,
            search_path: &path,
            storage_bytes: &|_| 0,
        };
        catalog_call(&scope, name, args).unwrap_or_else(|| Err(SqlError::unsupported(format!("{name}()"))))
    }
}
