//! The commands that ask servers: `curia init`, `status`, `server`, `transfer`.

use super::request::{Answer, Change, Request, decode, encode};
use crate::failure::Failure;
use clap::{Args, Subcommand};
use curia_peer::{Address, Hello, PeerTls, call};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a simple question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a change may take.
const CHANGE_PATIENCE: Duration = Duration::from_secs(140);

/// Whom to ask, and how.
#[derive(Args, Clone, Debug)]
pub struct Whom {
    /// Peer address of any server of the cluster.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5457")]
    host: Address,
    /// Folder with ca.crt and client.crt, client.key (or server.crt, server.key), as `curia cert` makes it.
    #[arg(long, value_name = "DIR", env = "CURIA_CERTS")]
    certs: Option<PathBuf>,
}

/// `curia init`.
#[derive(Args, Clone, Debug)]
pub struct Init {
    #[command(flatten)]
    whom: Whom,
    /// Wait so long for the servers that were to be joined.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
    /// Leave out those that don't answer then.
    #[arg(long)]
    without_absent: bool,
}

/// `curia server`.
#[derive(Subcommand, Clone, Debug)]
pub enum Server {
    /// List the servers of the cluster.
    List {
        #[command(flatten)]
        whom: Whom,
    },
    /// Print a digest of each worker group's rows, which at one CSN is the same on every server that runs the database.
    Digests {
        /// As of this CSN instead of what is applied now.
        #[arg(long)]
        csn: Option<u64>,
        /// Wait so long until the server has applied it.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u64,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make a server that was started with --join, and waits, a member.
    Add {
        /// Its peer address.
        address: Address,
        #[command(flatten)]
        whom: Whom,
    },
    /// Let a server send new clients away and hand the office over, so that it may be stopped.
    Drain {
        /// Its number.
        server: u64,
        #[command(flatten)]
        whom: Whom,
    },
    /// Let a server that was drained, and not stopped, take clients again.
    Undrain {
        /// Its number.
        server: u64,
        #[command(flatten)]
        whom: Whom,
    },
    /// Let an empty server that was started with --roles state and --join, and waits, take the place of a lost one that ran the state and stored
    /// no log. Needs no consul: any server answers.
    Replace {
        /// The lost server's number.
        server: u64,
        /// The empty server's peer address.
        address: Address,
        #[command(flatten)]
        whom: Whom,
    },
    /// Let a server leave for good.
    Remove {
        /// Its number.
        server: u64,
        #[command(flatten)]
        whom: Whom,
    },
}

/// `curia status`.
#[derive(Args, Clone, Debug)]
pub struct Status {
    #[command(flatten)]
    whom: Whom,
    /// Print one JSON object, with what the views of the schema `curia` show.
    #[arg(long)]
    json: bool,
}

/// `curia upgrade`.
#[derive(Args, Clone, Debug)]
pub struct Upgrade {
    #[command(flatten)]
    whom: Whom,
    /// Let the cluster use all features that its servers know. There is no way back to an earlier version.
    #[arg(long)]
    finish: bool,
}

/// `curia transfer`.
#[derive(Args, Clone, Debug)]
pub struct Transfer {
    /// Who shall be consul.
    server: u64,
    #[command(flatten)]
    whom: Whom,
}

/// Runs `curia init`.
///
/// # Errors
/// [`Failure::Asked`] with what the server says.
pub fn init(init: &Init) -> Result<(), Failure> {
    let request = Request::Init {
        wait_seconds: init.wait,
        without_absent: init.without_absent,
    };
    say(&init.whom, &request, PATIENCE * 3 + Duration::from_secs(init.wait))
}

/// Runs `curia status`.
///
/// # Errors
/// As [`init`].
pub fn status(status: &Status) -> Result<(), Failure> {
    let request = if status.json { Request::Describe } else { Request::Status };
    say(&status.whom, &request, PATIENCE)
}

/// Runs `curia server`.
///
/// # Errors
/// As [`init`].
pub fn server(command: &Server) -> Result<(), Failure> {
    match command {
        Server::List { whom } => say(whom, &Request::Servers, PATIENCE),
        Server::Digests { csn, wait, whom } => {
            let request = Request::Digests {
                csn: *csn,
                wait_seconds: *wait,
            };
            say(whom, &request, CHANGE_PATIENCE + Duration::from_secs(*wait))
        }
        Server::Drain { server, whom } => drain(whom, *server, true),
        Server::Undrain { server, whom } => drain(whom, *server, false),
        Server::Replace { server, address, whom } => {
            let (server, address) = (*server, address.clone());
            say(whom, &Request::Replace { server, address }, PATIENCE)
        }
        Server::Add { address, whom } => change(whom, Change::Add(address.clone())),
        Server::Remove { server, whom } => change(whom, Change::Remove(*server)),
    }
}

/// Runs `curia transfer`.
///
/// # Errors
/// As [`init`].
pub fn transfer(transfer: &Transfer) -> Result<(), Failure> {
    change(&transfer.whom, Change::Transfer(transfer.server))
}

/// Runs `curia upgrade`.
///
/// # Errors
/// As [`init`].
pub fn upgrade(upgrade: &Upgrade) -> Result<(), Failure> {
    match upgrade.finish {
        true => change(&upgrade.whom, Change::Upgrade),
        false => say(&upgrade.whom, &Request::Levels, PATIENCE),
    }
}

fn drain(whom: &Whom, server: u64, on: bool) -> Result<(), Failure> {
    say(whom, &Request::DrainServer { server, on }, PATIENCE * 3)
}

fn change(whom: &Whom, change: Change) -> Result<(), Failure> {
    let request = Request::Change { change, passed_on: false };
    say(whom, &request, CHANGE_PATIENCE)
}

/// Asks, and prints the answer.
fn say(whom: &Whom, request: &Request, patience: Duration) -> Result<(), Failure> {
    let tls = whom.certs.as_deref().map(client_tls).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unexpected(error.to_string()))?;
    let (hello, request) = (Hello::of_tool(), encode(request));
    let asked = call(&whom.host, tls.as_ref(), &hello, &request, patience);
    let answer = runtime.block_on(asked).map_err(|error| Failure::Asked(error.to_string()))?;
    match decode(&answer).map_err(Failure::Asked)? {
        Answer::Done(text) => {
            // Whoever reads only the first lines has seen enough.
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            Ok(())
        }
        Answer::Described(value) => {
            let _ = writeln!(std::io::stdout(), "{value:#}");
            Ok(())
        }
        Answer::Refused(why) => Err(Failure::Asked(why)),
        other => Err(Failure::Asked(format!("an answer that makes no sense: {other:?}"))),
    }
}

/// A client's certificate of a folder, or a server's where there is none.
fn client_tls(certs: &Path) -> Result<PeerTls, Failure> {
    let name = if certs.join("client.crt").exists() { "client" } else { "server" };
    peer_tls(certs, name)
}

/// The certificate of a folder that has this name.
///
/// # Errors
/// [`Failure::Configuration`].
pub fn peer_tls(certs: &Path, name: &str) -> Result<PeerTls, Failure> {
    let read = |file: String| {
        let path = certs.join(file);
        std::fs::read(&path).map_err(|error| Failure::Configuration(format!("{}: {error}", path.display())))
    };
    let authority = read("ca.crt".to_owned())?;
    let (certificate, key) = (read(format!("{name}.crt"))?, read(format!("{name}.key"))?);
    PeerTls::new(&authority, &certificate, &key)
        .map_err(|error| Failure::Configuration(format!("certificates in {}: {error}", certs.display())))
}
