//! [`Cluster`]: several server processes that form one database, over a [`Network`] that can fail.
//!
//! Each run has loopback addresses of its own, `127.A.B.n` for server n and `127.A.B.100+n` for its proxy, so that ports stay
//! free between a server's lives and runs beside each other don't meet.

use crate::clock::Clock;
use crate::network::{Network, SERVERS_MAX};
use crate::server::{Launch, Server, StartError};
use crate::slow_disk::SlowDisk;
use crate::small_disk::{Ballast, SmallDisk};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::block_in_place;

/// Longest time a start may take.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Longest time a stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Longest time a server may take to say how it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const SQL_PORT: u16 = 5454;
const PEER_PORT: u16 = 5457;

/// Which servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Three that store logs and run the database.
    Three,
    /// Five of these.
    Five,
    /// Three that store logs, two that run the database.
    Scribes,
}

impl Layout {
    fn roles(self) -> &'static [&'static str] {
        match self {
            Layout::Three => &["log,state"; 3],
            Layout::Five => &["log,state"; 5],
            Layout::Scribes => &["log", "log", "log", "state", "state"],
        }
    }
}

/// What servers are given so that it can be made to fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frailties {
    /// The first server's data is on a small file system.
    pub small_disk: bool,
    /// All disks can be slowed.
    pub slow_disks: bool,
    /// All wall clocks can be set.
    pub clocks: bool,
}

/// What a server's process is doing.
#[derive(Debug)]
enum Life {
    Up(Server),
    Paused(Server),
    Down,
    /// It is no member any more.
    Left,
}

/// One server of the cluster, alive or not.
#[derive(Debug)]
pub struct Member {
    life: Life,
    launch: Launch,
    roles: &'static str,
    /// What it advertises: its proxy.
    peer: SocketAddr,
}

impl Member {
    /// Whether the process runs, and isn't paused.
    pub fn is_up(&self) -> bool {
        matches!(self.life, Life::Up(_))
    }

    /// Whether it is of the cluster.
    pub fn is_member(&self) -> bool {
        !matches!(self.life, Life::Left)
    }

    /// Whether it runs the database.
    pub fn has_state(&self) -> bool {
        self.roles.contains("state")
    }

    /// What it does.
    pub fn roles(&self) -> &'static str {
        self.roles
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.launch.data
    }

    /// Where clients connect.
    pub fn sql(&self) -> &str {
        &self.launch.sql
    }

    fn process(&self) -> Option<&Server> {
        match &self.life {
            Life::Up(server) | Life::Paused(server) => Some(server),
            Life::Down | Life::Left => None,
        }
    }
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Its term.
    pub term: u64,
    /// It is consul.
    pub consul: bool,
}

/// See the module's page. Dropping it kills all servers.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    folder: PathBuf,
    /// The first bytes of this run's addresses.
    net: (u8, u8),
    join: String,
    options: Vec<String>,
    members: Vec<Member>,
    /// Of the first server, if it has one.
    small_disk: Option<SmallDisk>,
    frailties: Frailties,
    /// What is between them.
    pub network: Network,
}

impl Cluster {
    /// Starts the servers of a layout, each with `options`, and forms a cluster of them. Data and logs are in `folder`. What this
    /// process may not make frail is said, and is not.
    ///
    /// # Errors
    /// In words.
    pub async fn form(
        program: PathBuf,
        folder: PathBuf,
        layout: Layout,
        options: Vec<String>,
        frailties: Frailties,
    ) -> Result<Cluster, String> {
        let id = std::process::id();
        let mut cluster = Cluster {
            program,
            folder,
            net: (16 + (id >> 8) as u8 % 200, id as u8),
            join: String::new(),
            options,
            members: Vec::new(),
            small_disk: None,
            frailties,
            network: Network::default(),
        };
        if frailties.small_disk {
            cluster.small_disk = SmallDisk::mount(&cluster.home(0));
            if cluster.small_disk.is_none() {
                println!("no disk will be full: this process may not mount a tmpfs");
            }
        }
        let peers: Vec<_> = (0..layout.roles().len()).map(|at| cluster.proxy_address(at).to_string()).collect();
        cluster.join = peers.join(",");
        for roles in layout.roles() {
            let at = cluster.place(roles).await?;
            cluster.start(at)?;
        }
        cluster.ask(0, &["init"], Duration::from_secs(60)).await?;
        Ok(cluster)
    }

    fn address(&self, last: usize, port: u16) -> SocketAddr {
        SocketAddr::from(([127, self.net.0, self.net.1, last as u8], port))
    }

    fn home(&self, at: usize) -> PathBuf {
        self.folder.join(format!("server{}", at + 1))
    }

    fn proxy_address(&self, at: usize) -> SocketAddr {
        self.address(101 + at, PEER_PORT)
    }

    /// Makes room for one more server, which doesn't run yet.
    ///
    /// # Errors
    /// In words.
    pub async fn place(&mut self, roles: &'static str) -> Result<usize, String> {
        let at = self.members.len();
        if at == SERVERS_MAX {
            return Err(format!("a run has {SERVERS_MAX} servers at most"));
        }
        let (peer, real) = (self.proxy_address(at), self.address(1 + at, PEER_PORT));
        let proxy = self.network.join(at, peer, real).await;
        proxy.map_err(|error| format!("the proxy at {peer}: {error}"))?;
        let home = self.home(at);
        std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        let mut launch = Launch {
            sql: self.address(1 + at, SQL_PORT).to_string(),
            log: home.with_extension("log"),
            ..Launch::in_folder(self.program.clone(), &home)
        };
        if self.frailties.clocks {
            launch.clock = Clock::kept_in(&home.with_extension("clock"));
            if launch.clock.is_none() && at == 0 {
                println!("no clock will be wrong: libfaketime is not installed");
            }
        }
        if self.frailties.slow_disks && (at > 0 || self.small_disk.is_none()) {
            let name = format!("curia-chaos-{}-{}", std::process::id(), at + 1);
            launch.disk = SlowDisk::under(&home, &name).map(Arc::new);
            if launch.disk.is_none() {
                println!("the disk of server {} will not be slow: this process may not limit it", at + 1);
            }
        }
        let own = [
            ("--peer-addr", real.to_string()),
            ("--advertise-addr", peer.to_string()),
            ("--join", self.join.clone()),
            ("--roles", roles.to_owned()),
        ];
        for (option, value) in own {
            launch.arguments.extend([option.to_owned(), value]);
        }
        launch.arguments.extend(self.options.iter().cloned());
        self.members.push(Member {
            launch,
            life: Life::Down,
            roles,
            peer,
        });
        Ok(at)
    }

    /// All servers, by their places here.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The places of those that this holds of, of all that are in the cluster.
    pub fn those(&self, holds: impl Fn(&Member) -> bool) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        members
            .filter(|(_, member)| member.is_member() && holds(member))
            .map(|(at, _)| at)
            .collect()
    }

    /// Starts a server that is down; from then on it runs.
    ///
    /// # Errors
    /// When it refuses.
    pub fn start(&mut self, at: usize) -> Result<(), String> {
        let member = &mut self.members[at];
        if matches!(member.life, Life::Down) {
            let started = block_in_place(|| member.launch.start(START_WITHIN));
            member.life = Life::Up(started.map_err(|error| format!("server {}: {}", at + 1, describe(&error)))?);
        }
        Ok(())
    }

    /// Starts a server and kills it soon after, before it is ready.
    ///
    /// # Errors
    /// When it can't be run or killed.
    pub async fn start_and_kill(&self, at: usize, after: Duration) -> Result<(), String> {
        let mut early = self.members[at].launch.spawn().map_err(|error| describe(&error))?;
        tokio::time::sleep(after).await;
        early.kill().and_then(|()| early.wait()).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Kills a server with SIGKILL.
    ///
    /// # Errors
    /// When it has ended by itself before.
    pub fn kill(&mut self, at: usize) -> Result<(), String> {
        self.look_at(at)?;
        match std::mem::replace(&mut self.members[at].life, Life::Down) {
            Life::Up(server) | Life::Paused(server) => server.kill().map_err(|error| error.to_string()),
            life => {
                self.members[at].life = life;
                Ok(())
            }
        }
    }

    /// Stops a server with SIGTERM, as an operator does.
    ///
    /// # Errors
    /// When it doesn't stop, or not well.
    pub fn terminate(&mut self, at: usize) -> Result<(), String> {
        self.look_at(at)?;
        self.resume(at)?;
        match std::mem::replace(&mut self.members[at].life, Life::Down) {
            Life::Up(server) => match block_in_place(|| server.terminate(STOP_WITHIN)) {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("server {} was asked to stop and ended with {status}", at + 1)),
                Err(error) => Err(format!("server {} was asked to stop: {error}", at + 1)),
            },
            life => {
                self.members[at].life = life;
                Ok(())
            }
        }
    }

    /// Stops a server's process where it is.
    ///
    /// # Errors
    /// When it can't be signalled.
    pub fn pause(&mut self, at: usize) -> Result<(), String> {
        let life = &mut self.members[at].life;
        match std::mem::replace(life, Life::Down) {
            Life::Up(server) => {
                server.pause(true).map_err(|error| error.to_string())?;
                *life = Life::Paused(server);
            }
            other => *life = other,
        }
        Ok(())
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// When it can't be signalled.
    pub fn resume(&mut self, at: usize) -> Result<(), String> {
        let life = &mut self.members[at].life;
        match std::mem::replace(life, Life::Down) {
            Life::Paused(server) => {
                server.pause(false).map_err(|error| error.to_string())?;
                *life = Life::Up(server);
            }
            other => *life = other,
        }
        Ok(())
    }

    /// Sets a server's wall clock wrong by so many seconds.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn set_clock(&self, at: usize, seconds: i64) -> Result<(), String> {
        let clock = self.members[at].launch.clock.as_ref();
        clock.map_or(Ok(()), |clock| clock.set(seconds).map_err(|error| error.to_string()))
    }

    /// Lets a server write so many times a second.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn slow_disk(&self, at: usize, writes: Option<u32>) -> Result<(), String> {
        let disk = self.members[at].launch.disk.as_ref();
        disk.map_or(Ok(()), |disk| disk.allow(writes).map_err(|error| error.to_string()))
    }

    /// Takes all room on the small disk, if there is one, until what is returned is dropped. Also: whose disk that is.
    pub fn fill_small_disk(&self) -> Option<(usize, Ballast)> {
        self.small_disk.as_ref().map(|disk| (0, disk.fill()))
    }

    /// A server has left the cluster: its process ends, and its data goes.
    ///
    /// # Errors
    /// As [`Cluster::kill`], or when the data can't be removed.
    pub fn bury(&mut self, at: usize) -> Result<(), String> {
        self.members[at].life = Life::Left; // what it does when it hears that it was removed is its business
        std::fs::remove_dir_all(&self.members[at].launch.data).map_err(|error| error.to_string())
    }

    fn look_at(&mut self, at: usize) -> Result<(), String> {
        if let Life::Up(server) | Life::Paused(server) = &mut self.members[at].life
            && let Some(status) = server.exited().map_err(|error| error.to_string())?
        {
            self.members[at].life = Life::Down;
            return Err(ended(at, status));
        }
        Ok(())
    }

    /// Whether all servers that should run do.
    ///
    /// # Errors
    /// Which doesn't.
    pub fn look(&mut self) -> Result<(), String> {
        (0..self.members.len()).try_for_each(|at| self.look_at(at))
    }

    /// What a server says of itself; `None` when it doesn't answer.
    pub async fn gauges(&self, at: usize) -> Option<Gauges> {
        let http = self.members[at].process()?.http.clone();
        let page = tokio::time::timeout(ANSWER_WITHIN, metrics(&http)).await.ok()?.ok()?;
        let value = |name: &str| -> u64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0) as u64
        };
        Some(Gauges {
            term: value("curia_term"),
            consul: value("curia_is_consul") == 1,
        })
    }

    /// The server that is consul of the highest term, as far as the servers that answer say.
    pub async fn consul(&self) -> Option<usize> {
        let mut best = None;
        for at in self.those(Member::is_up) {
            match self.gauges(at).await {
                Some(gauges) if gauges.consul => best = best.max(Some((gauges.term, at))),
                _ => {}
            }
        }
        best.map(|(_, at)| at)
    }

    /// Runs `curia ARGUMENTS --host ...` and gives what it prints.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn ask(&self, at: usize, arguments: &[&str], within: Duration) -> impl Future<Output = Result<String, String>> + use<> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--host")
            .arg(self.peer(at))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let asked = arguments.join(" ");
        async move {
            let output = tokio::time::timeout(within, command.output()).await;
            let output = output
                .map_err(|_| format!("curia {asked} did not end in {} s", within.as_secs()))?
                .map_err(|error| error.to_string())?;
            match output.status.success() {
                true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
                false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            }
        }
    }

    /// The number that the cluster gave a server.
    ///
    /// # Errors
    /// When it doesn't say.
    pub async fn number(&self, at: usize) -> Result<u64, String> {
        let list = self.ask(at, &["server", "list"], Duration::from_secs(20)).await?;
        let number = list
            .split("as server ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        number.ok_or_else(|| format!("server {} does not say its number: {list}", at + 1))
    }

    /// Where a server is for others.
    pub fn peer(&self, at: usize) -> String {
        self.members[at].peer.to_string()
    }

    /// Waits until all servers that run the database have applied a CSN, and compares the digests of their groups there.
    ///
    /// # Errors
    /// When they don't get there in time, or differ.
    pub async fn compare(&self, csn: u64, within: Duration) -> Result<(), String> {
        let (csn, seconds) = (csn.to_string(), within.as_secs().to_string());
        let mut digests: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let from = Instant::now();
        for at in self.those(Member::has_state) {
            let question = ["server", "digests", "--csn", &csn, "--wait", &seconds];
            let answer = loop {
                match self.ask(at, &question, within + Duration::from_secs(60)).await {
                    Ok(answer) => break answer,
                    Err(error) if from.elapsed() > within => return Err(format!("digests of server {}: {error}", at + 1)),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await, // it may still be starting
                }
            };
            digests.entry(answer).or_default().push(at + 1);
        }
        match digests.len() {
            1 => Ok(()),
            _ => Err(format!("at CSN {csn} the states of servers differ: {digests:?}")),
        }
    }
}

fn ended(at: usize, status: ExitStatus) -> String {
    format!("server {} ended by itself: {status}", at + 1)
}

fn describe(error: &StartError) -> String {
    match error {
        StartError::Spawn(error) => format!("the program cannot be run: {error}"),
        StartError::Exited(status) => format!("it refused to start: {status}"),
        StartError::Late => format!("it was not ready after {} s", START_WITHIN.as_secs()),
    }
}

async fn metrics(http: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(http).await?;
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}
