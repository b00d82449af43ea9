//! Index builds under way, for `pg_stat_progress_create_index`.

use crate::database::Database;
use curia_catalog::Oid;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Builds under way: no more than sessions.
#[derive(Default)]
pub(crate) struct Builds(Mutex<Vec<Arc<Build>>>);

/// What one build is at.
#[derive(Debug)]
pub struct Build {
    /// `pg_backend_pid()` of its session.
    pub process_id: i32,
    /// The table.
    pub table: Oid,
    /// The index.
    pub index: Oid,
    /// As the view says it.
    pub command: &'static str,
    phase: Mutex<BuildPhase>,
    /// Transactions waited for in this phase, and how many of them have ended.
    pub lockers: [AtomicU64; 2],
    /// Rows of the table when it began, and those done.
    pub rows: [AtomicU64; 2],
}

/// PostgreSQL's names of what a build goes through, as far as it does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // see `name`
pub enum BuildPhase {
    Initializing,
    WaitingForWriters,
    Building,
    WaitingForSnapshots,
}

impl BuildPhase {
    /// `pg_stat_progress_create_index.phase`
    pub fn name(self) -> &'static str {
        match self {
            BuildPhase::Initializing => "initializing",
            BuildPhase::WaitingForWriters => "waiting for writers before build",
            BuildPhase::Building => "building index: scanning table",
            BuildPhase::WaitingForSnapshots => "waiting for old snapshots",
        }
    }
}

impl Build {
    /// It goes on with this.
    pub fn enter(&self, phase: BuildPhase) {
        *self.phase.lock() = phase;
        self.await_lockers(0);
    }

    /// What it is at.
    pub fn phase(&self) -> BuildPhase {
        *self.phase.lock()
    }

    /// The table has so many rows.
    pub fn expect_rows(&self, count: usize) {
        self.rows[0].store(count as u64, Ordering::Relaxed);
    }

    /// So many rows more are done.
    pub fn advance(&self, rows: usize) {
        self.rows[1].fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn await_lockers(&self, count: usize) {
        self.lockers[0].store(count as u64, Ordering::Relaxed);
        self.lockers[1].store(0, Ordering::Relaxed);
    }

    pub(crate) fn lockers_left(&self, count: usize) {
        let all = self.lockers[0].load(Ordering::Relaxed);
        self.lockers[1].store(all.saturating_sub(count as u64), Ordering::Relaxed);
    }
}

/// Shows a build until it is dropped.
pub struct ShownBuild {
    database: Arc<Database>,
    build: Arc<Build>,
}

impl std::ops::Deref for ShownBuild {
    type Target = Build;
    fn deref(&self) -> &Build {
        &self.build
    }
}

impl Drop for ShownBuild {
    fn drop(&mut self) {
        self.database.builds.0.lock().retain(|build| !Arc::ptr_eq(build, &self.build));
    }
}

impl Database {
    /// A session begins to build an index.
    pub fn show_build(self: &Arc<Self>, process_id: i32, table: Oid, index: Oid, command: &'static str) -> ShownBuild {
        let build = Arc::new(Build {
            process_id,
            table,
            index,
            command,
            phase: Mutex::new(BuildPhase::Initializing),
            lockers: Default::default(),
            rows: Default::default(),
        });
        self.builds.0.lock().push(build.clone());
        ShownBuild {
            database: self.clone(),
            build,
        }
    }

    /// The builds under way.
    pub fn builds(&self) -> Vec<Arc<Build>> {
        self.builds.0.lock().clone()
    }
}
