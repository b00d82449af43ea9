//! The two servers, and the databases that scripts are played in.
//!
//! Each script begins in a state of its own on both sides: on PostgreSQL a database made from a template, on Curia a data folder
//! copied from one. Where a server is given by its address, its one database is used as it is.

use crate::Result;
use crate::wire::{Address, Answer, Connection};
use curia_sim::server::{Launch, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longest start of a server.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longest stop of a server.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// The role on both sides.
const USER: &str = "curia";

/// Where statements are played.
pub enum Place {
    /// PostgreSQL: a database of ours.
    Postgres {
        /// The database that ours are made from.
        server: Address,
        /// Our database's name.
        database: String,
    },
    /// A Curia that runs already.
    Running(Address),
    /// A Curia that we start.
    Program {
        /// How.
        launch: Box<Launch>,
        /// It, with its folder.
        server: Option<Box<Server>>,
        /// What it keeps.
        _folder: TempDir,
        /// How connections are made; the address changes with each start.
        address: Address,
    },
}

/// What connections start with, besides who and where.
#[derive(Clone, Debug)]
pub struct Start {
    /// Parameters.
    pub parameters: Vec<(String, String)>,
    /// Longest time for one statement.
    pub limit: Duration,
}

impl Place {
    /// An empty state: `kind` and `at` are those of `--against`.
    pub fn open(kind: &str, at: &str, start: &Start) -> Result<Place> {
        match kind {
            "postgres" => {
                let server = address(at, start)?;
                let database = format!("differential_{}_{}", std::process::id(), next_number());
                sql(&server, &format!("CREATE DATABASE {database} TEMPLATE template0"))?;
                let has_role = format!("SELECT FROM pg_roles WHERE rolname = '{USER}'");
                if sql(&server, &has_role)?.outcomes.iter().all(|outcome| outcome.rows.is_empty()) {
                    sql(&server, &format!("CREATE ROLE {USER} SUPERUSER LOGIN"))?;
                }
                Ok(Place::Postgres { server, database })
            }
            "curia" => Ok(Place::Running(address(at, start)?)),
            "program" => {
                let folder = tempfile::tempdir()?;
                let launch = Launch::in_folder(PathBuf::from(at), folder.path());
                Place::start(launch, folder, start)
            }
            _ => Err(format!("--against knows postgres, curia and program, not {kind}").into()),
        }
    }

    fn start(launch: Launch, folder: TempDir, start: &Start) -> Result<Place> {
        let mut place = Place::Program {
            launch: Box::new(launch),
            server: None,
            _folder: folder,
            address: Address {
                at: String::new(),
                user: USER.to_owned(),
                database: USER.to_owned(),
                parameters: start.parameters.clone(),
                limit: start.limit,
            },
        };
        place.restart()?;
        Ok(place)
    }

    /// How connections are made.
    pub fn address(&self) -> Address {
        match self {
            Place::Postgres { server, database } => Address {
                user: USER.to_owned(),
                database: database.clone(),
                ..server.clone()
            },
            Place::Running(address) | Place::Program { address, .. } => address.clone(),
        }
    }

    /// Starts it again if it is ours and has ended; whether that was so.
    pub fn revive(&mut self) -> Result<bool> {
        let has_ended = match self {
            Place::Program { server: Some(server), .. } => server.exited()?.is_some(),
            _ => false,
        };
        if has_ended {
            self.restart()?;
        }
        Ok(has_ended)
    }

    fn restart(&mut self) -> Result<()> {
        if let Place::Program {
            launch, server, address, ..
        } = self
        {
            *server = None;
            let started = launch
                .start(READY_WITHIN)
                .map_err(|error| format!("{} does not start: {error:?}", launch.program.display()))?;
            address.at.clone_from(&started.sql);
            *server = Some(Box::new(started));
        }
        Ok(())
    }

    /// Stops changing: from now on only [`Place::copy`] is asked of it.
    pub fn freeze(&mut self) -> Result<()> {
        if let Place::Program { server, .. } = self
            && let Some(server) = server.take()
        {
            server.terminate(STOP_WITHIN)?;
        }
        Ok(())
    }

    /// A place of its own that begins as this frozen one is.
    pub fn copy(&self, start: &Start) -> Result<Place> {
        match self {
            Place::Postgres { server, database } => {
                let copy = format!("{database}_{}", next_number());
                sql(server, &format!("CREATE DATABASE {copy} TEMPLATE {database}"))?;
                Ok(Place::Postgres {
                    server: server.clone(),
                    database: copy,
                })
            }
            Place::Running(_) => Err("a running Curia has one state; give the program instead".into()),
            Place::Program { launch, .. } => {
                let folder = tempfile::tempdir()?;
                let copy = Launch::in_folder(launch.program.clone(), folder.path());
                copy_folder(&launch.data, &copy.data)?;
                Place::start(copy, folder, start)
            }
        }
    }

    /// The last lines that a server of ours wrote to its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let Place::Program { launch, .. } = self else {
            return String::new();
        };
        let log = fs::read_to_string(&launch.log).unwrap_or_default();
        let mut tail: Vec<_> = log.lines().rev().take(lines).collect();
        tail.reverse();
        tail.join("\n")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Place::Postgres { server, database } = self {
            // A database that is left behind is found by its name.
            let _ = sql(server, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        }
    }
}

/// Runs a statement that has to succeed.
fn sql(server: &Address, text: &str) -> Result<Answer> {
    let answer = Connection::open(server)?.query(text, &mut Vec::new);
    if let Some(error) = answer.error() {
        return Err(format!("{text}: {} ({})", error.message(), error.code()).into());
    }
    match answer.lost {
        Some(lost) => Err(format!("{text}: {lost}").into()),
        None => Ok(answer),
    }
}

fn next_number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `postgresql://USER@HOST[:PORT]/DATABASE`
fn address(uri: &str, start: &Start) -> Result<Address> {
    let parts = || {
        let rest = uri.strip_prefix("postgresql://").or_else(|| uri.strip_prefix("postgres://"))?;
        let (user, rest) = rest.split_once('@')?;
        let (host, database) = rest.split_once('/').unwrap_or((rest, user));
        let at = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:5432")
        };
        Some((user, at, database))
    };
    let (user, at, database) = parts().ok_or_else(|| format!("{uri} is not postgresql://USER@HOST:PORT/DATABASE"))?;
    Ok(Address {
        at,
        user: user.to_owned(),
        database: database.to_owned(),
        parameters: start.parameters.clone(),
        limit: start.limit,
    })
}
