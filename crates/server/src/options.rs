//! Options of `curia start`, gathered in layers: built-in defaults, then the TOML file, then the environment, then the
//! command line. One list of names serves all four: option `--sql-addr` is key `sql_addr` and variable `CURIA_SQL_ADDR`.

use crate::cluster::levels::FEATURE_LEVEL;
use crate::failure::Failure;
use crate::size::ByteSize;
use clap::{Args, ValueEnum};
use curia_consensus::Roles;
use curia_peer::{Address, AddressError};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Which file layer the server writes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileLayerChoice {
    /// The operating system's files.
    Real,
    /// Holds every write in memory until it is synced, so that a kill loses what a power cut would lose. For crash tests.
    ForgetUnsynced,
}

/// What the command line gives; everything absent falls through to the environment, the file and the defaults.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[command(
    after_help = "Every option is also a key of the TOML file (sql_addr = \"127.0.0.1:5454\") and an environment variable \
                        (CURIA_SQL_ADDR). The command line wins over the environment, the environment over the file."
)]
pub struct Given {
    /// Folder for all data; created when missing.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// TOML file with any of these options.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// PostgreSQL clients connect here [default: 127.0.0.1:5454].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sql_addr: Option<SocketAddr>,
    /// Arrow Flight SQL clients connect here [default: 127.0.0.1:5455].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    flight_addr: Option<SocketAddr>,
    /// Health, metrics and status page [default: 127.0.0.1:5456].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_addr: Option<SocketAddr>,
    /// Servers that form a cluster with this one, or are one already: peer addresses, separated by commas. Without it the server is a database of its own.
    #[arg(long, value_name = "HOST:PORT,...")]
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<String>,
    /// Other servers connect here; a server that is a database of its own does not listen on it [default: 127.0.0.1:5457].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_addr: Option<SocketAddr>,
    /// Where the other servers reach this one [default: the peer address].
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise_addr: Option<String>,
    /// What this server does in its cluster: `log` stores logs and votes, `state` runs the database [default: log,state].
    #[arg(long, value_name = "ROLES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<String>,
    /// Folder with ca.crt, server.crt and server.key, as `curia cert` makes it: TLS for everything, and between servers with mutual authentication.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    certs: Option<PathBuf>,
    /// How log lines look [default: pretty].
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// What is logged: a level, or a filter such as `info,curia_driver=debug` [default: info].
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Certificate chain in PEM form; SQL and Flight then offer TLS.
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM form.
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// Listen beyond loopback even without a password and TLS.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
    /// Number of worker groups; fixed when the data folder is first used [default: 8].
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_groups: Option<u32>,
    /// Memory for cached blocks of the state store [default: 256MiB].
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_memory: Option<ByteSize>,
    /// Memory that all analytical queries share before they spill to disk [default: 1GiB].
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    query_memory: Option<ByteSize>,
    /// Memory that the uncommitted writes of one transaction take before they go to disk [default: 8MiB].
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_memory: Option<ByteSize>,
    /// Most that one transaction may write [default: 64GiB].
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_limit: Option<ByteSize>,
    /// Most SQL connections at once [default: 500].
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// Threads that serve SQL sessions [default: one per core].
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    session_threads: Option<usize>,
    /// Threads that run analytical queries [default: one per core].
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    query_threads: Option<usize>,
    /// For how long the past stays readable (AS OF SYSTEM TIME), in seconds [default: 60].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<u64>,
    /// For how long, in seconds, a transaction may read a state that is not the newest any more, before garbage collection goes past it
    /// and refuses it (curia.max_snapshot_age) [default: 0, for ever].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_snapshot_age: Option<u64>,
    /// For how many commits idempotency keys are remembered (curia.idempotency_key) [default: 1000000].
    #[arg(long, value_name = "COMMITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_commits: Option<u64>,
    /// Lets the consul answer reads under a lease, without asking the others each time, on your word that the clocks of the servers
    /// differ in speed by less than so many percent (1 to 50) [default: off].
    #[arg(long, value_name = "PERCENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    read_lease: Option<u8>,
    /// How long sessions may take to finish after SIGTERM, in seconds [default: 10].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// Folder in storage that all servers which run the state share and that outlives them: the consul keeps snapshots there, so that
    /// servers which only store logs need not keep them for ever, and an empty server begins with them.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_archive: Option<PathBuf>,
    /// How often such a snapshot is made, in seconds [default: 600].
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_seconds: Option<u64>,
    /// Know no features beyond this level, as an earlier version, for tests of upgrades.
    #[arg(long, value_name = "LEVEL", hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_level: Option<u32>,
    /// File layer, for crash tests.
    #[arg(long, value_name = "LAYER", hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    file_layer: Option<FileLayerChoice>,
}

/// The options in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Folder for all data. Empty until somebody names one: there is no default place.
    pub data: PathBuf,
    /// SQL listener; port 0 lets the system choose, `running.toml` in the data folder tells which.
    pub sql_addr: SocketAddr,
    /// Flight SQL listener.
    pub flight_addr: SocketAddr,
    /// Console listener.
    pub http_addr: SocketAddr,
    /// Servers to form a cluster with, separated by commas.
    pub join: Option<String>,
    /// Peer listener.
    pub peer_addr: SocketAddr,
    /// Where other servers reach this one.
    pub advertise_addr: Option<String>,
    /// Of a server that isn't in a cluster yet.
    pub roles: String,
    /// Folder of certificates.
    pub certs: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Tracing filter directives.
    pub log: String,
    /// PEM certificate chain. Given together with `tls_key` or not at all.
    pub tls_cert: Option<PathBuf>,
    /// PEM private key.
    pub tls_key: Option<PathBuf>,
    /// Lifts the exposure rule.
    pub insecure: bool,
    /// Wanted number of worker groups; `None` takes what the folder has, or the default for a new one.
    pub worker_groups: Option<u32>,
    /// Block cache.
    pub cache_memory: ByteSize,
    /// Analytical memory pool.
    pub query_memory: ByteSize,
    /// Write buffer of one transaction.
    pub transaction_memory: ByteSize,
    /// Writes of one transaction beyond which it fails.
    pub transaction_limit: ByteSize,
    /// Connection limit.
    pub max_connections: usize,
    /// Session threads, at least 1.
    pub session_threads: usize,
    /// Query threads, at least 1.
    pub query_threads: usize,
    /// How long versions are kept, seconds.
    pub retention: u64,
    /// How old a snapshot may get, seconds; 0 without end.
    pub max_snapshot_age: u64,
    /// For how many commits idempotency keys are remembered.
    pub idempotency_commits: u64,
    /// Bound on the drift of clocks, percent, for reads under a lease; `None` does without.
    pub read_lease: Option<u8>,
    /// Grace period at shutdown, seconds.
    pub drain_seconds: u64,
    /// Where snapshots are kept that outlive all servers.
    pub snapshot_archive: Option<PathBuf>,
    /// How often one is made, at least 1.
    pub archive_seconds: u64,
    /// The highest level of features that this program knows.
    pub feature_level: u32,
    /// Which file layer.
    pub file_layer: FileLayerChoice,
}

/// Most worker groups: each costs memory and a log position, and DESIGN's stripes are meant to be few.
const MOST_WORKER_GROUPS: u32 = 256;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Default for Options {
    fn default() -> Options {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Options {
            data: PathBuf::new(),
            sql_addr: loopback(5454),
            flight_addr: loopback(5455),
            http_addr: loopback(5456),
            join: None,
            peer_addr: loopback(5457),
            advertise_addr: None,
            roles: "log,state".to_owned(),
            certs: None,
            log_format: LogFormat::Pretty,
            log: "info".to_owned(),
            tls_cert: None,
            tls_key: None,
            insecure: false,
            worker_groups: None,
            cache_memory: ByteSize(256 << 20),
            query_memory: ByteSize(1 << 30),
            transaction_memory: ByteSize(8 << 20),
            transaction_limit: ByteSize(64 << 30),
            max_connections: 500,
            session_threads: cores,
            query_threads: cores,
            retention: 60,
            max_snapshot_age: 0,
            idempotency_commits: 1_000_000,
            read_lease: None,
            drain_seconds: 10,
            snapshot_archive: None,
            archive_seconds: 600,
            feature_level: FEATURE_LEVEL,
            file_layer: FileLayerChoice::Real,
        }
    }
}

impl Options {
    /// Gathers the layers and checks what can be checked without touching anything.
    ///
    /// # Errors
    /// [`Failure::Configuration`] naming the layer and key at fault.
    pub fn gather(given: &Given) -> Result<Options, Failure> {
        let defaults = Figment::from(Serialized::defaults(Options::default()));
        let keys: Vec<String> = defaults
            .extract::<figment::value::Dict>()
            .map_err(|error| Failure::Configuration(error.to_string()))?
            .into_keys()
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut layers = defaults;
        if let Some(file) = given.config.clone().or_else(|| std::env::var_os("CURIA_CONFIG").map(PathBuf::from)) {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::Configuration(format!("cannot read {}: {error}", file.display())))?;
            layers = layers.merge(Toml::string(&text));
        }
        // Only names of options: other programs may have variables of their own that start with CURIA_.
        let layers = layers.merge(Env::prefixed("CURIA_").only(&keys)).merge(Serialized::defaults(given));
        let mut options: Options = layers.extract().map_err(|error| Failure::Configuration(error.to_string()))?;
        if let Some(certs) = &options.certs {
            options.tls_cert.get_or_insert_with(|| certs.join("server.crt"));
            options.tls_key.get_or_insert_with(|| certs.join("server.key"));
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), Failure> {
        let wrong = |what: &str| Err(Failure::Configuration(what.to_owned()));
        if self.data.as_os_str().is_empty() {
            return wrong("name a folder with --data DIR");
        }
        self.join_addresses()?;
        self.advertised()?;
        if roles(&self.roles)? != Roles::BOTH && self.join.is_none() {
            return wrong("--roles is for servers of a cluster: give --join");
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return wrong("--tls-cert and --tls-key go together");
        }
        if self.worker_groups.is_some_and(|count| count == 0 || count > MOST_WORKER_GROUPS) {
            return wrong(&format!("--worker-groups must be between 1 and {MOST_WORKER_GROUPS}"));
        }
        if self.read_lease.is_some_and(|percent| !(1..=50).contains(&percent)) {
            return wrong("--read-lease must be between 1 and 50");
        }
        if self.archive_seconds == 0 {
            return wrong("--archive-seconds must be at least 1");
        }
        if self.session_threads == 0 || self.query_threads == 0 || self.max_connections == 0 {
            return wrong("--session-threads, --query-threads and --max-connections must be at least 1");
        }
        Ok(())
    }
}

impl Options {
    /// The servers to form a cluster with.
    ///
    /// # Errors
    /// [`Failure::Configuration`] when one is no address.
    pub fn join_addresses(&self) -> Result<Vec<Address>, Failure> {
        let parse = |text: &str| {
            let address = text.trim().parse();
            address.map_err(|error: AddressError| Failure::Configuration(format!("--join: {error}")))
        };
        self.join.iter().flat_map(|list| list.split(',')).map(parse).collect()
    }

    /// The address that others are told, if one is given.
    ///
    /// # Errors
    /// [`Failure::Configuration`] when it is no address.
    pub fn advertised(&self) -> Result<Option<Address>, Failure> {
        let given = self.advertise_addr.as_deref().map(str::parse).transpose();
        given.map_err(|error: AddressError| Failure::Configuration(format!("--advertise-addr: {error}")))
    }
}

/// Reads a list of roles.
///
/// # Errors
/// [`Failure::Configuration`] when it names none, or one that doesn't exist.
pub fn roles(text: &str) -> Result<Roles, Failure> {
    let mut roles = Roles { log: false, state: false };
    for role in text.split(',') {
        match role.trim() {
            "log" => roles.log = true,
            "state" => roles.state = true,
            other => {
                return Err(Failure::Configuration(format!(
                    "--roles: {other:?} is no role; there are log and state"
                )));
            }
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn given(config: &str) -> (tempfile::NamedTempFile, Given) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(config.as_bytes()).unwrap();
        let given = Given {
            config: Some(file.path().to_owned()),
            ..Given::default()
        };
        (file, given)
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_the_file_over_the_defaults() {
        let (_file, mut given) = given("data = \"/from/file\"\nsql_addr = \"127.0.0.1:1\"\ncache_memory = \"64MiB\"\n");
        given.sql_addr = Some(loopback(2));
        let options = Options::gather(&given).unwrap();
        assert_eq!(options.data, PathBuf::from("/from/file"));
        assert_eq!(options.sql_addr, loopback(2));
        assert_eq!(options.flight_addr, loopback(5455));
        assert_eq!(options.cache_memory, ByteSize(64 << 20));
    }

    #[test]
    fn every_option_of_the_command_line_is_a_key() {
        let keys: figment::value::Dict = Figment::from(Serialized::defaults(Options::default())).extract().unwrap();
        let command = Given::augment_args(clap::Command::new("start"));
        for argument in command.get_arguments().filter(|a| a.get_id() != "config") {
            assert!(keys.contains_key(argument.get_id().as_str()), "{}", argument.get_id());
        }
    }

    #[test]
    fn a_misspelt_key_in_the_file_is_refused_by_name() {
        let (_file, given) = given("data = \"/d\"\nsql_adr = \"127.0.0.1:1\"\n");
        let error = Options::gather(&given).unwrap_err().to_string();
        assert!(error.contains("sql_adr"), "{error}");
    }

    #[test]
    fn a_folder_must_be_named() {
        let error = Options::gather(&Given::default()).unwrap_err().to_string();
        assert!(error.contains("--data"), "{error}");
    }

    #[test]
    fn a_certificate_without_a_key_is_refused() {
        let (_file, given) = given("data = \"/d\"\ntls_cert = \"/c.pem\"\n");
        assert!(Options::gather(&given).is_err());
    }
}
