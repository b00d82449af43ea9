//! The house: everything from the log to the sessions, opened in order and closed in reverse.

use crate::archive;
use crate::cluster::identity::Identity;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::options::{FileLayerChoice, Options};
use curia_consensus::Roles;
use curia_consensus::ids::{ClusterId, Incarnation, ServerId};
use curia_driver::{Driver, DriverError, DriverOptions, Founding, NoPeers, Peers, Stores};
use curia_execute::{Engine, EngineConfig};
use curia_session::{Cores, Sessions, SessionsConfig};
use curia_storage::file::{BufferedUntilSync, FileLayer, RealFiles};
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::state::StateOptions;
use curia_storage::{StateStore, StorageError};
use curia_txn::{Database, Limits, Replication};
use std::sync::Arc;
use std::time::Duration;

/// Statements whose plans are kept for all sessions.
const PLANS: usize = 2_000;
/// The superuser, made with the first objects of a fresh database.
pub const SUPERUSER: &str = "curia";

/// Whether there are other servers.
pub enum Place {
    /// There are none.
    Alone,
    /// This server of a cluster, which reaches the others so.
    Among(Identity, Arc<dyn Peers>),
}

/// An open database and the threads that serve it.
pub struct House {
    /// Writes the log, applies, publishes.
    pub driver: Arc<Driver>,
    /// The root of transactions and catalog.
    pub database: Arc<Database>,
    /// What front ends open sessions from.
    pub sessions: Arc<Sessions>,
    /// Where sessions live.
    pub cores: Cores,
}

impl House {
    /// Recovers what the folder holds, or founds a cluster of one server in an empty one, or becomes the member of a cluster
    /// that it is told to be. Returns when it can serve, and a member before that.
    ///
    /// # Errors
    /// [`Failure::Damaged`], [`Failure::Foreign`], [`Failure::Folder`] or [`Failure::Unexpected`], by what was found.
    pub async fn open(options: &Options, folder: &Folder, incarnation: Incarnation, place: Place) -> Result<House, Failure> {
        let server = match &place {
            Place::Alone => 0,
            Place::Among(identity, _) => identity.server().0,
        };
        let driver = open_driver(options, folder, incarnation, place)?;
        let limits = Limits {
            memory_bytes: bytes(options.transaction_memory.0),
            transaction_bytes: options.transaction_limit.0,
            retention: Duration::from_secs(options.retention),
            max_snapshot_age: Duration::from_secs(options.max_snapshot_age),
            idempotency_csns: options.idempotency_commits,
            ..Limits::new(folder.spill().join("transactions"))
        };
        let replication: Arc<dyn Replication> = Arc::clone(&driver) as Arc<dyn Replication>;
        let database = Database::open(replication, limits).await.map_err(unexpected)?;
        let engine = EngineConfig {
            threads: options.query_threads,
            memory_bytes: bytes(options.query_memory.0),
            statement_bytes: bytes(options.query_memory.0) / 4,
            spill_folder: folder.spill(),
            ..EngineConfig::default()
        };
        let engine = Engine::start(Arc::clone(&database), engine).map_err(unexpected)?;
        let config = SessionsConfig {
            connections: options.max_connections,
            insecure: options.insecure,
            plans: PLANS,
            server,
        };
        let sessions = Sessions::new(engine, Arc::clone(&database), config);
        if database.serves() {
            sessions.sweep_temporary().await.map_err(unexpected)?;
        }
        let cores = Cores::start(options.session_threads).map_err(unexpected)?;
        Ok(House {
            driver,
            database,
            sessions,
            cores,
        })
    }

    /// Makes everything durable where the next start finds it at once, and stops the driver.
    ///
    /// # Errors
    /// [`Failure::Disk`] when the driver had failed.
    pub fn close(self) -> Result<(), Failure> {
        self.driver.shutdown().map_err(|error| Failure::Disk(error.to_string()))
    }
}

/// Whether the superuser has a password.
pub fn superuser_has_password(database: &Database) -> bool {
    database.catalog().role(SUPERUSER).is_some_and(|role| role.password.is_some())
}

/// A server without a log whose state is empty begins with what is in the archive. One with a log must not: its log would lack what its
/// state says it had.
fn begin_state(options: &Options, folder: &Folder, identity: &Identity) -> Result<(), Failure> {
    match &options.snapshot_archive {
        Some(archive) if identity.roles() == Roles::STATE && !folder.is_used() => archive::seed(archive, identity, folder),
        _ => Ok(()),
    }
}

/// Opens what the server's roles need, and starts the driver over it.
///
/// # Errors
/// As [`House::open`].
pub fn open_driver(options: &Options, folder: &Folder, incarnation: Incarnation, place: Place) -> Result<Arc<Driver>, Failure> {
    let layer: Arc<dyn FileLayer> = match options.file_layer {
        FileLayerChoice::Real => Arc::new(RealFiles),
        FileLayerChoice::ForgetUnsynced => Arc::new(BufferedUntilSync::default()),
    };
    if let Place::Among(identity, _) = &place {
        begin_state(options, folder, identity)?;
    }
    let agreed = match &place {
        Place::Among(identity, _) => identity.agreed()?,
        Place::Alone => None,
    };
    let (roles, driver, peers): (Roles, DriverOptions, Arc<dyn Peers>) = match place {
        Place::Alone => {
            let alone = DriverOptions {
                server: ServerId(1),
                cluster: ClusterId(rand::random()),
                groups: folder.worker_groups(),
                ..DriverOptions::default()
            };
            (Roles::BOTH, alone, Arc::new(NoPeers))
        }
        Place::Among(identity, peers) => {
            let among = DriverOptions {
                server: identity.server(),
                cluster: identity.cluster(),
                founding: identity.founding().unwrap_or(Founding::Join),
                lease_drift_percent: options.read_lease,
                ..DriverOptions::default()
            };
            (identity.roles(), among, peers)
        }
    };
    let stored = |error| storage_failure(folder, error);
    let state = StateOptions {
        block_cache_bytes: bytes(options.cache_memory.0),
        ..StateOptions::default()
    };
    let state = || StateStore::open(&folder.state(), &state).map(Arc::new);
    let log = || LogStore::open(layer, &folder.log(), LogOptions::new(incarnation.0));
    let state = roles.state.then(state).transpose().map_err(stored)?;
    // A server that takes the place of a lost one is told where the senate is.
    if let (Some(state), Some(base), false) = (&state, &agreed, roles.log)
        && state.senate_base().map_err(stored)?.is_none()
    {
        state.keep_senate_base(base).and_then(|()| state.flush()).map_err(stored)?;
    }
    let stores = Stores {
        state,
        log: roles.log.then(log).transpose().map_err(stored)?,
    };
    let driver = Driver::start_among(driver, incarnation, stores, peers).map_err(|error| driver_failure(folder, &error))?;
    Ok(Arc::new(driver))
}

/// Options are 64 bits wide on every platform; a platform that cannot address so much takes all it can.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(error.to_string())
}

/// What a store that can't be opened means.
pub fn storage_failure(folder: &Folder, error: StorageError) -> Failure {
    let folder = folder.path().to_owned();
    match error {
        StorageError::Damaged { .. } => Failure::Damaged(error.to_string()),
        StorageError::Format { .. } => Failure::Foreign {
            folder,
            reason: error.to_string(),
        },
        StorageError::Locked { .. } => Failure::InUse { folder, pid: None },
        StorageError::NoSpace { .. } => Failure::Folder {
            folder,
            doing: "cannot start",
            source: std::io::ErrorKind::StorageFull.into(),
        },
        StorageError::Io { source, .. } => Failure::Folder {
            folder,
            doing: "cannot start",
            source,
        },
        other => Failure::Unexpected(other.to_string()),
    }
}

/// What a driver that can't start means.
pub fn driver_failure(folder: &Folder, error: &DriverError) -> Failure {
    match error {
        DriverError::Storage(StorageError::Damaged { .. }) | DriverError::Restore(_) => Failure::Damaged(error.to_string()),
        DriverError::Storage(StorageError::NoSpace { .. }) => Failure::Folder {
            folder: folder.path().to_owned(),
            doing: "cannot start",
            source: std::io::ErrorKind::StorageFull.into(),
        },
        other => Failure::Unexpected(other.to_string()),
    }
}
