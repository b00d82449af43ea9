//! What servers and tools ask at the peer port: one JSON object each, `{"Name": {...}}` or `"Name"`.

use super::identity::Identity;
use curia_peer::{Address, Places};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Who are you?
    Who,
    /// Form a cluster of the servers that you were told to join.
    Init {
        /// Wait so long for those that don't answer.
        wait_seconds: u64,
        /// Then go on without them.
        without_absent: bool,
    },
    /// Take no other founding for a moment. The number names who asks.
    Reserve(u64),
    /// That moment is over.
    Release(u64),
    /// You are this server of a new cluster, or of one that you are added to.
    Become {
        /// Who reserved.
        by: u64,
        /// Which server.
        identity: Box<Identity>,
    },
    /// Where is everybody?
    Book,
    /// How are you?
    Report,
    /// How is the cluster, as far as you know?
    Status,
    /// Who is in the cluster?
    Servers,
    /// What stands in your state at this CSN? Wait until you have applied it.
    Digests {
        /// As of this, or of what is applied now.
        csn: Option<u64>,
        /// Longest wait.
        wait_seconds: u64,
    },
    /// Cancel what the session with this key does.
    Cancel {
        /// Its process number.
        process: i32,
        /// Its secret.
        secret: i32,
    },
    /// The same as the status, for programs.
    Describe,
    /// What has this server promised, as far as you heard?
    Heard(u64),
    /// Let no new clients in, and hand the office over; or go on as before.
    Drain {
        /// Which of both.
        on: bool,
    },
    /// Drain that server, or let it go on: ask it.
    DrainServer {
        /// Which server.
        server: u64,
        /// Drain it.
        on: bool,
    },
    /// Which features does the cluster use, and which could it?
    Levels,
    /// The empty server that waits there takes the place of this one, which is lost.
    Replace {
        /// Which server.
        server: u64,
        /// Where.
        address: Address,
    },
    /// Change who is in the cluster, or who is consul.
    Change {
        /// How.
        change: Change,
        /// Another server passes it on to you as the consul.
        passed_on: bool,
    },
}

/// A change of the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// The server that waits there becomes a member.
    Add(Address),
    /// This server leaves for good.
    Remove(u64),
    /// This server becomes consul.
    Transfer(u64),
    /// The cluster uses all features that its servers know.
    Upgrade,
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// I am.
    Who(Who),
    /// It is done; what to tell people.
    Done(String),
    /// It is not, and nothing changed unless the text says so.
    Refused(String),
    /// They are there.
    Book(Vec<(u64, Places)>),
    /// So am I.
    Report(Report),
    /// How the cluster is.
    Described(serde_json::Value),
    /// So much; `None` for nothing.
    Heard(Option<Promised>),
}

/// What a server was heard to have promised.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Promised {
    /// It was in this term.
    pub term: u64,
    /// In that term it had these logs up to here: the senate's is 0, that of group g is g + 1.
    pub logs: Vec<(u32, u64)>,
}

/// How a server is. Fields are only added, each with a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Its program's version.
    pub version: String,
    /// Every transaction up to here is in its state.
    pub applied: u64,
    /// Every transaction up to here is durable in its state.
    pub durable: u64,
    /// Size of its log on disk.
    pub log_bytes: u64,
    /// When it took office, the last times since its start, oldest first.
    pub inaugurations: Vec<Inaugurated>,
    /// It lets no new clients in.
    pub draining: bool,
}

/// A time when a server took office.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inaugurated {
    /// In this term.
    pub term: u64,
    /// When it was elected, microseconds since 1970.
    pub elected_micros: u64,
    /// How long it took from there until it served.
    pub took_micros: u64,
    /// Everything up to this CSN is committed, nothing after it was.
    pub cut: u64,
    /// What it had applied when it was elected.
    pub applied_before: u64,
    /// Transactions of which something was found and that don't count.
    pub voided: u64,
    /// Entries of groups' logs that it copied from others.
    pub fetched: u64,
}

/// A server, in its own words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Who {
    /// Its program's version.
    pub version: String,
    /// Its cluster and its number there.
    pub member: Option<(String, u64)>,
    /// Which run of it.
    pub incarnation: u64,
    /// What it does, or would do in a cluster.
    pub roles: String,
    /// How many worker groups its data folder was made for.
    pub groups: u32,
    /// The highest level of features that its program knows.
    #[serde(default)]
    pub feature_level: u32,
    /// Where other servers reach it.
    pub peer: Address,
    /// Where clients reach it.
    pub sql: String,
}

/// The bytes of a question or an answer.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    // These types have no maps with odd keys, which are all that could fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Reads either.
///
/// # Errors
/// What is wrong, in words.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("not understood, perhaps of another version: {error}"))
}
