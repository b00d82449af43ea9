//! `curia demo`: a whole cluster on this machine in one command, for trying out what happens when a server dies.
//!
//! Every server is a process of its own, started as an operator would start it. They and their data go when the command
//! ends, unless the data is told to stay.

use crate::demo_load;
use crate::failure::Failure;
use clap::Args;
use curia_peer::ports::free_ports;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long the servers may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long they may take to stop.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// More processes than that help nobody to try anything out.
const SERVERS_MAX: usize = 9;

/// `curia demo`.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Servers that run the database.
    #[arg(long, value_name = "N", default_value_t = 3)]
    servers: usize,
    /// Servers that only store logs and vote; with them, the others store none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    scribes: usize,
    /// Run a small bank on it, and print how much it commits.
    #[arg(long)]
    load: bool,
    /// Keep the data in this folder, which must be empty or missing, instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A server of the demonstration; stopped when dropped.
struct Server {
    process: Child,
    folder: PathBuf,
    sql: u16,
    peer: u16,
    roles: &'static str,
}

/// The folder of all data; removed when dropped, if it is temporary.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

/// Runs `curia demo` until it is interrupted.
///
/// # Errors
/// [`Failure::Configuration`] for impossible numbers; [`Failure::Unexpected`] when the servers don't come up.
pub fn run(demo: &Demo) -> Result<(), Failure> {
    if demo.servers == 0 || demo.servers + demo.scribes > SERVERS_MAX {
        return Err(Failure::Configuration(format!(
            "--servers and --scribes: from 1 to {SERVERS_MAX} servers together"
        )));
    }
    let folder = Folder::make(demo.data.as_deref())?;
    let roles = if demo.scribes > 0 { "state" } else { "log,state" };
    let roles = (0..demo.servers).map(|_| roles).chain((0..demo.scribes).map(|_| "log"));
    let ports = free_ports(4 * (demo.servers + demo.scribes)).map_err(unexpected)?;
    let peers: Vec<_> = ports.chunks(4).map(|ports| format!("127.0.0.1:{}", ports[1])).collect();
    let join = peers.join(",");
    let mut servers = Vec::new();
    for ((number, roles), ports) in (1..).zip(roles).zip(ports.chunks(4)) {
        servers.push(Server::start(&folder.path.join(format!("server{number}")), roles, ports, &join)?);
    }
    for server in &mut servers {
        server.wait_until_up()?;
    }
    let host = format!("127.0.0.1:{}", servers[0].peer);
    ours(&["init", "--host", &host])?;
    for server in &servers {
        println!(
            "process {:>7}  {:<9}  SQL 127.0.0.1:{}  peers 127.0.0.1:{}",
            server.process.id(),
            server.roles,
            server.sql,
            server.peer
        );
    }
    let addresses: Vec<_> = servers
        .iter()
        .filter(|server| server.roles != "log")
        .map(|server| server.sql)
        .collect();
    let hosts: Vec<_> = addresses.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let uri = format!("postgresql://curia@{}/curia", hosts.join(","));
    println!("\n  psql \"{uri}\"");
    println!("  {} status --host {host}\n", program()?.display());
    println!("Kill one of the processes and go on in psql. Interrupt (Ctrl-C) ends all of them.");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(unexpected)?;
    runtime.block_on(async {
        let (_ask, stop) = crate::stop::listen().map_err(unexpected)?;
        let load = demo.load.then(|| tokio::spawn(demo_load::run(uri)));
        stop.requested().await;
        load.into_iter().for_each(|load| load.abort());
        Ok(())
    })
}

impl Server {
    fn start(folder: &Path, roles: &'static str, ports: &[u16], join: &str) -> Result<Server, Failure> {
        std::fs::create_dir_all(folder).map_err(unexpected)?;
        let log = std::fs::File::create(folder.with_extension("log")).map_err(unexpected)?;
        let mut command = Command::new(program()?);
        command
            .arg("start")
            .arg("--data")
            .arg(folder)
            .args(["--join", join, "--roles", roles]);
        for (option, port) in ["--sql-addr", "--peer-addr", "--flight-addr", "--http-addr"].iter().zip(ports) {
            command.arg(option).arg(format!("127.0.0.1:{port}"));
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(unexpected)?;
        Ok(Server {
            process,
            folder: folder.to_owned(),
            sql: ports[0],
            peer: ports[1],
            roles,
        })
    }

    fn wait_until_up(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        while !self.folder.join("running.toml").exists() {
            let ended = self.process.try_wait().map_err(unexpected)?;
            if ended.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default();
                let last = said.lines().last().unwrap_or("nothing").to_owned();
                return Err(Failure::Unexpected(format!("a server did not come up; it said: {last}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // One that was killed by hand is gone already.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let until = Instant::now() + LAST_WORDS;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Folder {
    fn make(given: Option<&Path>) -> Result<Folder, Failure> {
        let (path, temporary) = match given {
            Some(path) => (path.to_owned(), false),
            None => (std::env::temp_dir().join(format!("curia-demo-{}", std::process::id())), true),
        };
        let failed = |doing| {
            let folder = path.clone();
            move |source| Failure::Folder { folder, doing, source }
        };
        std::fs::create_dir_all(&path).map_err(failed("cannot be created"))?;
        let mut inside = std::fs::read_dir(&path).map_err(failed("cannot be read"))?;
        if inside.next().is_some() {
            return Err(Failure::Configuration(format!("--data: {} is not empty", path.display())));
        }
        Ok(Folder { path, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What can't be removed now is in the folder of temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(unexpected)
}

/// Runs this program with other arguments.
fn ours(arguments: &[&str]) -> Result<(), Failure> {
    let status = Command::new(program()?).args(arguments).status().map_err(unexpected)?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::Unexpected(format!("curia {} failed", arguments.join(" ")))),
    }
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(error.to_string())
}
