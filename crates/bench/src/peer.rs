//! The two servers.

use crate::{Result, Setting};
use serde::Deserialize;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Curia,
    /// The peer.
    Postgres,
}

/// A running server. Dropping it kills it.
pub struct Peer {
    /// Which.
    pub kind: Kind,
    /// SQL port on 127.0.0.1.
    pub port: u16,
    /// Console port; Curia only.
    pub http: Option<u16>,
    child: Child,
    start: Start,
}

/// How to start it again.
#[derive(Clone)]
struct Start {
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// PostgreSQL refuses to run as root; (uid, gid) of the account to use instead.
    account: Option<(u32, u32)>,
    /// Further options.
    options: Vec<String>,
}

/// Longest time either server may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// As large as PostgreSQL's shared buffers here.
pub const CACHE: [&str; 2] = ["--cache-memory", "2GiB"];

/// Both servers.
pub struct Peers {
    /// Ours.
    pub curia: Peer,
    /// PostgreSQL 15.
    pub postgres: Peer,
}

impl Peers {
    /// Starts both on fresh folders under `folder`.
    pub fn start(setting: &Setting, folder: &Path) -> Result<Peers> {
        Ok(Peers {
            postgres: start_postgres(setting, &folder.join("postgres"))?,
            curia: start_curia(setting, folder, &CACHE)?,
        })
    }

    /// Ours first.
    pub fn both(&self) -> [&Peer; 2] {
        [&self.curia, &self.postgres]
    }

    /// Both, in the order of round `round`: who goes first alternates.
    pub fn in_turn(&self, round: usize) -> [&Peer; 2] {
        if round.is_multiple_of(2) {
            [&self.postgres, &self.curia]
        } else {
            [&self.curia, &self.postgres]
        }
    }

    /// Stops both in good order.
    pub fn stop(mut self) -> Result<()> {
        self.curia.terminate()?;
        self.postgres.terminate()
    }
}

/// Starts Curia with further options on a fresh folder under `folder`.
pub fn start_curia(setting: &Setting, folder: &Path, options: &[&str]) -> Result<Peer> {
    fs::create_dir_all(folder)?;
    let start = Start {
        program: setting.curia.clone(),
        data: folder.join("curia"),
        log: folder.join("curia.log"),
        account: None,
        options: options.iter().map(|o| (*o).to_owned()).collect(),
    };
    let child = start.spawn(0)?;
    let mut peer = Peer {
        kind: Kind::Curia,
        port: 0,
        http: None,
        child,
        start,
    };
    peer.wait_until_announced()?;
    Ok(peer)
}

fn start_postgres(setting: &Setting, folder: &Path) -> Result<Peer> {
    let start = postgres_in(setting, folder)?;
    let initdb = setting.pgbin.join("initdb");
    start.make_data(&initdb, &["-A", "trust", "-U", "postgres", "-D"])?;
    let configuration = start.data.join("postgresql.conf");
    let text = fs::read_to_string(&configuration)?
        + "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = 2GB\nmax_wal_size = 4GB\nmax_connections = 300\n";
    fs::write(&configuration, text)?;
    run_postgres(start)
}

/// Starts PostgreSQL with two streaming standbys, one of which must have flushed each commit. The primary first.
pub async fn start_replicated_postgres(setting: &Setting, folder: &Path) -> Result<Vec<Peer>> {
    let primary = start_postgres(setting, &folder.join("primary"))?;
    let client = primary.connect().await?;
    let port = primary.port.to_string();
    let mut peers = vec![primary];
    for standby in ["standby1", "standby2"] {
        let start = postgres_in(setting, &folder.join(standby))?;
        let from = format!("host=127.0.0.1 port={port} user=postgres application_name={standby}");
        let copy = setting.pgbin.join("pg_basebackup");
        start.make_data(&copy, &["-d", &from, "-R", "-X", "stream", "-c", "fast", "-D"])?;
        peers.push(run_postgres(start)?);
    }
    for statement in [
        "alter system set synchronous_standby_names = 'ANY 1 (standby1, standby2)'",
        "select pg_reload_conf()",
    ] {
        client.simple_query(statement).await?;
    }
    let from = Instant::now();
    while from.elapsed() < READY_WITHIN {
        let quorum = "select count(*) from pg_stat_replication where sync_state = 'quorum' and state = 'streaming'";
        if client.query_one(quorum, &[]).await?.get::<_, i64>(0) == 2 {
            return Ok(peers);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the standbys did not come up".into())
}

/// PostgreSQL below `folder`, which its account owns from now on.
fn postgres_in(setting: &Setting, folder: &Path) -> Result<Start> {
    let account = if rustix::process::getuid().is_root() {
        Some((number("-u")?, number("-g")?))
    } else {
        None
    };
    fs::create_dir_all(folder)?;
    if let Some((uid, gid)) = account {
        std::os::unix::fs::chown(folder, Some(uid), Some(gid))?;
    }
    Ok(Start {
        program: setting.pgbin.join("postgres"),
        data: folder.join("data"),
        log: folder.join("postgres.log"),
        account,
        options: Vec::new(),
    })
}

fn run_postgres(start: Start) -> Result<Peer> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let child = start.spawn(port)?;
    Ok(Peer {
        kind: Kind::Postgres,
        port,
        http: None,
        child,
        start,
    })
}

/// `id -u postgres` or `id -g postgres`.
fn number(which: &str) -> Result<u32> {
    let told = Command::new("id").args([which, "postgres"]).output()?;
    String::from_utf8(told.stdout)?
        .trim()
        .parse()
        .map_err(|_| "there is no account postgres to run PostgreSQL as".into())
}

fn as_account(mut command: Command, account: Option<(u32, u32)>) -> Command {
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
    command
}

impl Start {
    /// Runs a program of PostgreSQL's that fills the data folder, which is named last.
    fn make_data(&self, program: &Path, arguments: &[&str]) -> Result<()> {
        let made = as_account(Command::new(program), self.account)
            .current_dir(self.data.parent().ok_or("the data folder has no parent")?)
            .args(arguments)
            .arg(&self.data)
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(format!("{}: {made}", program.display()).into());
        }
        Ok(())
    }

    /// Starts the program; `port` matters to PostgreSQL only.
    fn spawn(&self, port: u16) -> Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = as_account(Command::new(&self.program), self.account);
        if self.program.ends_with("postgres") {
            command.arg("-D").arg(&self.data).args(["-p", &port.to_string()]);
        } else {
            command.arg("start").arg("--data").arg(&self.data);
            command.args([
                "--sql-addr",
                "127.0.0.1:0",
                "--flight-addr",
                "127.0.0.1:0",
                "--http-addr",
                "127.0.0.1:0",
            ]);
        }
        command.args(&self.options);
        let folder = self.data.parent().ok_or("the data folder has no parent")?;
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()).into())
    }
}

/// The part of Curia's `running.toml` that matters here.
#[derive(Deserialize)]
struct Running {
    pid: u32,
    sql: String,
    http: String,
}

impl Peer {
    /// What tables call it.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Curia => "Curia",
            Kind::Postgres => "PostgreSQL",
        }
    }

    /// Superuser.
    pub fn user(&self) -> &'static str {
        match self.kind {
            Kind::Curia => "curia",
            Kind::Postgres => "postgres",
        }
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection, retried until the server answers.
    pub async fn connect(&self) -> Result<Client> {
        let from = Instant::now();
        let address = format!("postgresql://{0}@127.0.0.1:{1}/{0}", self.user(), self.port);
        loop {
            match tokio_postgres::connect(&address, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            eprintln!("connection: {error}");
                        }
                    });
                    return Ok(client);
                }
                Err(error) if from.elapsed() > READY_WITHIN => return Err(format!("{}: {error}", self.name()).into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// SIGKILL to the server and its children, then a new start. Returns the moment of the start;
    /// whether the server answers yet is for [`Peer::connect`] to find out.
    pub fn kill_and_start(&mut self) -> Result<Instant> {
        let children = crate::memory::children(self.pid());
        self.kill()?;
        // PostgreSQL's back ends see that the postmaster is gone and leave; a start before that is refused.
        let from = Instant::now();
        while children.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) && from.elapsed() < READY_WITHIN {
            std::thread::sleep(Duration::from_millis(5));
        }
        let started = Instant::now();
        self.start_again()?;
        Ok(started)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// A new start on the same folder, after [`Peer::kill`]. Curia may listen on other ports then.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = self.start.spawn(self.port)?;
        if self.kind == Kind::Curia {
            self.wait_until_announced()?;
        }
        Ok(())
    }

    fn wait_until_announced(&mut self) -> Result<()> {
        let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse().ok());
        let from = Instant::now();
        while from.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(&self.start.log).unwrap_or_default();
                return Err(format!("Curia ended with {status}: {}", log.lines().last().unwrap_or_default()).into());
            }
            let announced = fs::read_to_string(self.start.data.join("running.toml")).ok();
            match announced.and_then(|text| toml::from_str::<Running>(&text).ok()) {
                Some(running) if running.pid == self.child.id() => {
                    self.port = port(&running.sql).ok_or("running.toml names no port")?;
                    self.http = port(&running.http);
                    return Ok(());
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        Err("Curia was not ready in time".into())
    }

    fn terminate(&mut self) -> Result<()> {
        // INT is PostgreSQL's fast shutdown; Curia drains on it too.
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::INT)?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} ended with {status}", self.name()).into())
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
