//! A server in a folder of its own.

use curia_sim::server::{Launch, Server};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Longest time that a start or a stop may take, on a machine busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_curia"))
}

/// A folder and how to start a server on it.
pub struct House {
    _folder: TempDir,
    pub launch: Launch,
}

impl House {
    /// An empty house.
    pub fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch_in(folder.path());
        House { _folder: folder, launch }
    }

    /// Further arguments of `curia start`.
    pub fn with(mut self, arguments: &[&str]) -> House {
        self.launch.arguments.extend(arguments.iter().map(|a| (*a).to_owned()));
        self
    }

    /// Starts the server; shows its log when it does not come up.
    pub fn start(&self) -> Server {
        start(&self.launch)
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.launch.log).unwrap_or_default()
    }
}

/// How to start a server on `folder`/data.
pub fn launch_in(folder: &Path) -> Launch {
    Launch::in_folder(program(), folder)
}

/// Starts the server; shows its log when it does not come up.
pub fn start(launch: &Launch) -> Server {
    match launch.start(PATIENCE) {
        Ok(server) => server,
        Err(error) => panic!(
            "{error:?}; the log says:\n{}",
            std::fs::read_to_string(&launch.log).unwrap_or_default()
        ),
    }
}

/// Runs `curia` to its end.
pub fn run(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

/// A connection as the superuser.
pub async fn connect(server: &Server) -> Client {
    let (client, connection) = tokio_postgres::connect(&format!("postgresql://curia@{}/curia", server.sql), NoTls)
        .await
        .unwrap();
    tokio::spawn(async move {
        // Tests kill servers; the client sees it too.
        let _ = connection.await;
    });
    client
}

/// The SQLSTATE of what went wrong.
pub fn state(error: &tokio_postgres::Error) -> &str {
    error
        .code()
        .map_or_else(|| panic!("not an error of the server: {error:?}"), |code| code.code())
}
