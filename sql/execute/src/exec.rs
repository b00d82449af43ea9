//! One execution of a plan: what every operator and expression of it may ask for.

use crate::engine::Engine;
use crate::eval::Memo;
use crate::spill::{Budget, Kept, Room};
use crate::system::SessionViews;
use crate::write::ReferencePlans;
use curia_catalog::Catalog;
use curia_functions::{Context, PlainContext};
use curia_txn::ReadView;
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use curia_types::{text_io, type_info};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

/// Says whether a statement should stop. The session implements it; operators ask at every row or batch.
pub trait Interrupt: Send + Sync {
    /// The error to stop with: 57014 for a cancel or a time-out, 57P01 for a shutdown.
    fn check(&self) -> Result<()>;
}

/// Never stops: for tests and for work that no client waits for.
pub struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// What a caller gives to run a plan.
#[derive(Clone)]
pub struct Execution {
    /// Values of `$1`, `$2`, ..., of the plan's parameter types.
    pub params: Arc<[Datum]>,
    /// What functions may ask the session.
    pub context: Arc<dyn Context>,
    /// Says when to stop.
    pub interrupt: Arc<dyn Interrupt>,
    /// The catalog version of the statement, for the system views.
    pub catalog: Arc<Catalog>,
    /// Rows of the views that only the session knows.
    pub session_views: Option<Arc<dyn SessionViews>>,
    /// Plans of foreign keys.
    pub reference_plans: Arc<ReferencePlans>,
}

/// Shared state of one execution.
pub struct Exec {
    /// The rows it reads.
    view: Option<ReadView>,
    pub(crate) params: Arc<[Datum]>,
    pub(crate) context: Arc<dyn Context>,
    pub(crate) interrupt: Arc<dyn Interrupt>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) session_views: Option<Arc<dyn SessionViews>>,
    /// Where its operators keep rows.
    pub(crate) room: Room,
    /// Nobody will read what it still computes.
    abandoned: AtomicBool,
    /// How often it may still look whether to stop; without end at `u32::MAX`.
    allowance: AtomicU32,
    shared: Mutex<Shared>,
}

/// A common table expression's frame and, once computed, its rows.
type Cte = (Vec<Datum>, Option<Kept>);

/// What operators share for the length of the statement.
#[derive(Default)]
struct Shared {
    memos: HashMap<usize, Memo>,
    ctes: HashMap<u32, Cte>,
    working: HashMap<u32, Kept>,
}

impl Exec {
    pub(crate) fn new(view: ReadView, e: Execution, engine: &Engine) -> Exec {
        Exec {
            view: Some(view),
            params: e.params,
            context: e.context,
            interrupt: e.interrupt,
            catalog: e.catalog,
            session_views: e.session_views,
            room: Room {
                budget: Budget::new(engine.config.statement_bytes, Some(engine.rows.clone())),
                disk: engine.environment.disk_manager.clone(),
            },
            abandoned: AtomicBool::new(false),
            allowance: AtomicU32::new(u32::MAX),
            shared: Mutex::default(),
        }
    }

    /// The same with its common table expressions so far, for work that may be abandoned alone.
    pub(crate) fn branch(&self) -> Exec {
        let shared = Shared {
            ctes: self.shared.lock().ctes.clone(),
            ..Shared::default()
        };
        Exec {
            view: self.view.clone(),
            params: self.params.clone(),
            context: self.context.clone(),
            interrupt: self.interrupt.clone(),
            catalog: self.catalog.clone(),
            session_views: self.session_views.clone(),
            room: self.room.clone(),
            abandoned: AtomicBool::new(false),
            allowance: AtomicU32::new(u32::MAX),
            shared: Mutex::new(shared),
        }
    }

    /// Takes over the common table expressions that a branch has computed.
    pub(crate) fn rejoin(&self, branch: &Exec) {
        let ctes = std::mem::take(&mut branch.shared.lock().ctes);
        self.shared.lock().ctes.extend(ctes);
    }

    /// What expressions without a statement run in: those of indexes, which depend on nothing but their row.
    pub(crate) fn detached() -> Result<&'static Exec> {
        static DETACHED: LazyLock<Result<Exec>> = LazyLock::new(|| {
            let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled).build();
            Ok(Exec {
                view: None,
                params: Arc::from([]),
                context: Arc::new(PlainContext::default()),
                interrupt: Arc::new(Uninterrupted),
                catalog: Arc::default(),
                session_views: None,
                room: Room {
                    budget: Budget::new(0, None),
                    disk: Arc::new(disk.map_err(|e| SqlError::internal(format!("no room for expressions: {e}")))?),
                },
                shared: Mutex::default(),
                abandoned: AtomicBool::new(false),
                allowance: AtomicU32::new(u32::MAX),
            })
        });
        DETACHED.as_ref().map_err(Clone::clone)
    }

    /// The rows it reads.
    #[inline]
    pub(crate) fn view(&self) -> Result<&ReadView> {
        self.view
            .as_ref()
            .ok_or_else(|| SqlError::internal("an expression of an index reads a table"))
    }

    /// Fails when the statement should stop.
    #[inline]
    pub(crate) fn check_cancel(&self) -> Result<()> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(SqlError::new(
                SqlState::QUERY_CANCELED,
                "canceling statement as nobody reads its rows",
            ));
        }
        match self.allowance.load(Ordering::Relaxed) {
            u32::MAX => {}
            0 => {
                return Err(SqlError::internal(
                    "a statement has used up what it was allowed on its session's thread",
                ));
            }
            left => self.allowance.store(left - 1, Ordering::Relaxed),
        }
        self.interrupt.check()
    }

    /// Computes, on one thread, what looks no more than so often whether to stop. `None`: it would have.
    pub(crate) fn within<R>(&self, checks: u32, compute: impl FnOnce() -> Result<R>) -> Option<Result<R>> {
        self.allowance.store(checks, Ordering::Relaxed);
        let outcome = compute();
        let left = self.allowance.swap(u32::MAX, Ordering::Relaxed);
        (outcome.is_ok() || left > 0).then_some(outcome)
    }

    /// Ends what still runs elsewhere, at its next check.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Casts to a domain, which checks the value; by text output and input; or to another typmod of the same type.
    pub(crate) fn io_cast(&self, value: Datum, from: PgType, to: PgType) -> Result<Datum> {
        if type_info::is_domain(to.oid) {
            self.context.io().check_domain(to.oid, &value)?;
            return Ok(value);
        }
        if value.is_null() {
            return Ok(Datum::Null);
        }
        let mut text = Vec::new();
        text_io::format(from, &value, self.context.io(), &mut text);
        let text = String::from_utf8(text).map_err(|_| SqlError::internal("text output is no UTF-8"))?;
        text_io::parse(to, &text, self.context.io())
    }

    pub(crate) fn memo<R>(&self, id: usize, f: impl FnOnce(&mut Memo) -> R) -> R {
        f(self.shared.lock().memos.entry(id).or_default())
    }

    pub(crate) fn begin_cte(&self, id: u32, frame: &[Datum]) {
        self.shared.lock().ctes.insert(id, (frame.to_vec(), None));
    }
    pub(crate) fn cte(&self, id: u32) -> Cte {
        self.shared.lock().ctes.get(&id).cloned().unwrap_or_default()
    }
    pub(crate) fn set_cte(&self, id: u32, rows: Kept) {
        self.shared.lock().ctes.entry(id).or_default().1 = Some(rows);
    }
    /// The working table of a recursive definition; `None` outside its recursive term.
    pub(crate) fn working(&self, id: u32) -> Option<Kept> {
        self.shared.lock().working.get(&id).cloned()
    }
    pub(crate) fn set_working(&self, id: u32, rows: Kept) {
        self.shared.lock().working.insert(id, rows);
    }
}
