//! A driver over a log in memory that can forget what was not synced, and a state on disk that is only as durable as its
//! last flush.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod cluster;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use curia_consensus::Roles;
use curia_consensus::ids::{Csn, GroupId, Incarnation};
use curia_driver::{Driver, DriverError, DriverOptions, Peers, Stores};
use curia_storage::StateStore;
use curia_storage::file::{Crash, ForgetfulFiles};
use curia_storage::fragment::FragmentWriter;
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::state::StateOptions;
use curia_txn::{CommitTicket, FragmentWrites, Replication, StageRef, WriteSet};
use curia_types::Result;

pub const STORAGE: u32 = 7;

/// Where a server's data is.
pub struct Place {
    pub files: ForgetfulFiles,
    pub state: tempfile::TempDir,
    pub options: DriverOptions,
    pub segment_bytes: u64,
    starts: u64,
}

impl Place {
    pub fn new() -> Self {
        let options = DriverOptions {
            groups: 3,
            tick_interval: Duration::from_millis(20),
            full_disk_interval: Duration::from_millis(5),
            ..DriverOptions::default()
        };
        let state = tempfile::tempdir().expect("a folder for the state");
        Self {
            files: ForgetfulFiles::new(),
            state,
            options,
            segment_bytes: 1 << 20,
            starts: 0,
        }
    }

    pub fn try_start(&mut self) -> std::result::Result<Driver, DriverError> {
        self.starts += 1;
        let mut log = LogOptions::new(self.starts);
        log.segment_bytes = self.segment_bytes;
        let (log, recovery) = LogStore::open(Arc::new(self.files.clone()), Path::new("/log"), log)?;
        let state = Arc::new(StateStore::open(self.state.path(), &StateOptions::small())?);
        Driver::start(self.options.clone(), Incarnation(self.starts), log, recovery, state)
    }

    pub fn start(&mut self) -> Driver {
        self.try_start().expect("the driver starts")
    }

    /// Starts it with others, with the stores that it has roles for.
    pub fn start_among(&mut self, roles: Roles, peers: Arc<dyn Peers>) -> std::result::Result<Driver, DriverError> {
        self.starts += 1;
        let mut options = LogOptions::new(self.starts);
        options.segment_bytes = self.segment_bytes;
        let log = roles
            .log
            .then(|| LogStore::open(Arc::new(self.files.clone()), Path::new("/log"), options));
        let state = roles
            .state
            .then(|| StateStore::open(self.state.path(), &StateOptions::small()).map(Arc::new));
        let stores = Stores {
            log: log.transpose()?,
            state: state.transpose()?,
        };
        Driver::start_among(self.options.clone(), Incarnation(self.starts), stores, peers)
    }

    /// The log, opened while no driver runs.
    pub fn open_log(&self) -> curia_storage::Result<(LogStore, curia_storage::log::Recovery)> {
        LogStore::open(Arc::new(self.files.clone()), Path::new("/log"), LogOptions::new(0))
    }

    /// What a start would find damaged in the log.
    pub fn damage(&self) -> Vec<curia_storage::log::Damage> {
        self.open_log().expect("the log opens").1.damage
    }

    /// Stops a driver as a power cut does: what was not synced is lost, and so is what the state did not flush.
    pub fn kill(&self, driver: Driver, how: Crash) {
        self.files.crash(how);
        drop(driver);
    }
}

/// Waits for a future, at most half a minute.
pub fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), future)
            .await
            .expect("an answer in half a minute")
    })
}

pub fn puts(rows: &[(&str, &str)]) -> Bytes {
    let mut writer = FragmentWriter::new();
    for (key, row) in rows {
        writer.put(STORAGE, key.as_bytes(), row.as_bytes()).expect("a small row");
    }
    writer.finish().into()
}

pub fn fragment(group: u32, rows: &[(&str, &str)]) -> FragmentWrites {
    FragmentWrites {
        group: GroupId(group),
        stages: Vec::new(),
        payload: puts(rows),
    }
}

pub fn staged(group: u32, stages: Vec<StageRef>, rows: &[(&str, &str)]) -> FragmentWrites {
    FragmentWrites {
        stages,
        ..fragment(group, rows)
    }
}

pub fn commit(driver: &Driver, fragments: Vec<FragmentWrites>) -> CommitTicket {
    driver.commit(WriteSet {
        begun: None,
        after: Vec::new(),
        fragments,
    })
}

/// Commits one row in one group and waits for it.
pub fn put(driver: &Driver, group: u32, key: &str, row: &str) -> Result<Csn> {
    wait(commit(driver, vec![fragment(group, &[(key, row)])]))
}

pub fn stage(driver: &Driver, group: u32, rows: &[(&str, &str)]) -> Result<StageRef> {
    wait(driver.stage(GroupId(group), puts(rows)))
}

/// The row as readers see it now.
pub fn get(driver: &Driver, key: &str) -> Option<String> {
    let row = driver
        .state()
        .get(STORAGE, key.as_bytes(), driver.applied())
        .expect("the state can be read");
    row.map(|row| String::from_utf8(row).expect("tests write text"))
}
