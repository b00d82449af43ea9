//! One server for all tests of this binary, in a temporary folder.

use curia_consensus::ids::{ClusterId, Incarnation, ServerId};
use curia_driver::{Driver, DriverOptions};
use curia_execute::{Engine, EngineConfig};
use curia_pgfront::{Front, FrontConfig, Listener};
use curia_session::{Cores, Login, RemoteSession, Sessions, SessionsConfig};
use curia_storage::file::RealFiles;
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::state::{StateOptions, StateStore};
use curia_txn::{Database, Limits, Replication};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// A running server.
pub struct Server {
    front: Option<Front>,
    cores: Cores,
    sessions: Arc<Sessions>,
    address: SocketAddr,
    driver: Arc<Driver>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts one that lets `connections` in at a time. On a thread of its own: the caller may be inside a runtime.
    pub fn start(connections: usize) -> Server {
        std::thread::spawn(move || Server::start_here(connections)).join().unwrap()
    }

    fn start_here(connections: usize) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let state = Arc::new(StateStore::open(&path.join("state"), &StateOptions::default()).unwrap());
        let (log, recovery) = LogStore::open(Arc::new(RealFiles), &path.join("log"), LogOptions::new(1)).unwrap();
        let options = DriverOptions {
            server: ServerId(1),
            cluster: ClusterId(7),
            groups: 2,
            ..DriverOptions::default()
        };
        let driver = Arc::new(Driver::start(options, Incarnation(1), log, recovery, state).unwrap());
        let replication: Arc<dyn Replication> = driver.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime
            .block_on(Database::open(replication, Limits::new(path.join("spill"))))
            .unwrap();
        let config = EngineConfig {
            spill_folder: path.to_owned(),
            ..EngineConfig::default()
        };
        let engine = Engine::start(database.clone(), config).unwrap();
        let sessions = Sessions::new(
            engine,
            database,
            SessionsConfig {
                connections,
                ..SessionsConfig::default()
            },
        );
        let cores = Cores::start(2).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = FrontConfig {
            message_limit: 64 << 20,
            ..FrontConfig::default()
        };
        let front = listener.serve(sessions.clone(), cores.clone(), config).unwrap();
        let address = front.local_addr();
        Server {
            front: Some(front),
            cores,
            sessions,
            address,
            driver,
            _folder: folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drains it; says how many sessions were cut off.
    pub fn drain(&mut self, limit: std::time::Duration) -> usize {
        self.front.take().unwrap().drain(limit)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.front.take();
        let _ = self.driver.shutdown();
    }
}

static SHARED: LazyLock<Server> = LazyLock::new(|| Server::start(100));

/// The address of the server that the tests share.
pub fn shared() -> SocketAddr {
    SHARED.address()
}

/// A session of it for callers on other threads.
pub async fn remote() -> RemoteSession {
    let login = Login {
        user: "curia".into(),
        database: "curia".into(),
        ..Login::default()
    };
    RemoteSession::open(&SHARED.cores, &SHARED.sessions, login).await.unwrap()
}
