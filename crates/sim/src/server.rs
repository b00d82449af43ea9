//! A server process under test.

use crate::clock::Clock;
use crate::slow_disk::SlowDisk;
use serde::Deserialize;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How to start the server under test.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The `curia` program.
    pub program: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// Where its log lines go; appended to.
    pub log: PathBuf,
    /// SQL address; port 0 lets the system choose, as for the others.
    pub sql: String,
    /// Further arguments of `curia start`.
    pub arguments: Vec<String>,
    /// By which wall clock it runs, if not by the machine's.
    pub clock: Option<Clock>,
    /// Through which limit it writes, if any.
    pub disk: Option<Arc<SlowDisk>>,
}

/// The part of `running.toml` that matters here.
#[derive(Debug, Deserialize)]
struct Running {
    pid: u32,
    sql: String,
    flight: String,
    http: String,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// SQL address.
    pub sql: String,
    /// Flight SQL address.
    pub flight: String,
    /// Console address.
    pub http: String,
    /// How long it took from exec to ready.
    pub ready_after: Duration,
}

/// Why a server did not become ready.
#[derive(Debug)]
pub enum StartError {
    /// The program could not be run.
    Spawn(io::Error),
    /// It ended by itself.
    Exited(ExitStatus),
    /// It was not ready in time. It has been killed.
    Late,
}

impl Launch {
    /// A server on loopback, with its data and log in `folder`.
    pub fn in_folder(program: PathBuf, folder: &Path) -> Launch {
        Launch {
            program,
            data: folder.join("data"),
            log: folder.join("server.log"),
            sql: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            clock: None,
            disk: None,
        }
    }

    /// Starts the program on ports that the system chooses, without waiting.
    ///
    /// # Errors
    /// [`StartError::Spawn`].
    pub fn spawn(&self) -> Result<Child, StartError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(StartError::Spawn)?;
        let environment = self.clock.iter().flat_map(Clock::environment);
        let child = Command::new(&self.program)
            .arg("start")
            .arg("--data")
            .arg(&self.data)
            .args([
                "--sql-addr",
                &self.sql,
                "--flight-addr",
                "127.0.0.1:0",
                "--http-addr",
                "127.0.0.1:0",
            ])
            .args(&self.arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(StartError::Spawn)?;
        if let Some(disk) = &self.disk {
            let _ = disk.admit(child.id()); // one that has ended is noticed by whoever waits for it
        }
        Ok(child)
    }

    /// Starts the program and waits until it announces itself ready, at most `within`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(&self, within: Duration) -> Result<Server, StartError> {
        let from = Instant::now();
        let mut child = self.spawn()?;
        loop {
            // The announcement is removed at start and written when ready; one left by a killed server names another process.
            if let Some(running) = read_running(&self.data).filter(|running| running.pid == child.id()) {
                let Running { sql, flight, http, .. } = running;
                return Ok(Server {
                    child,
                    sql,
                    flight,
                    http,
                    ready_after: from.elapsed(),
                });
            }
            if let Some(status) = child.try_wait().map_err(StartError::Spawn)? {
                return Err(StartError::Exited(status));
            }
            if from.elapsed() > within {
                let _ = child.kill();
                let _ = child.wait();
                return Err(StartError::Late);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read_running(data: &Path) -> Option<Running> {
    toml::from_str(&fs::read_to_string(data.join("running.toml")).ok()?).ok()
}

impl Server {
    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When the process cannot be signalled or awaited.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// SIGTERM, and waits for the exit, at most `within`.
    ///
    /// # Errors
    /// When the process cannot be signalled, or takes longer.
    pub fn terminate(mut self, within: Duration) -> io::Result<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let from = Instant::now();
        while from.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server did not stop in time"))
    }

    /// Stops the process where it is (SIGSTOP), or lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub fn pause(&self, paused: bool) -> io::Result<()> {
        let signal = match paused {
            true => rustix::process::Signal::STOP,
            false => rustix::process::Signal::CONT,
        };
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    /// Whether the process has ended by itself, and how.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
