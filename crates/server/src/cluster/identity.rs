//! `cluster.toml`: which server of which cluster a data folder is of, written once; and `peers.toml`: where the others are.

use crate::failure::Failure;
use crate::folder::write_durably;
use crate::options::roles;
use curia_consensus::{Base, ClusterId, Configuration, LogId, Roles, ServerId, decode_base, encode_base};
use curia_driver::Founding;
use curia_peer::{Address, Book, Places};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

const IDENTITY_FILE: &str = "cluster.toml";
const PEERS_FILE: &str = "peers.toml";
const FORMAT: u32 = 1;

/// Which server of which cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Version of this file.
    format: u32,
    /// The cluster, sixteen hexadecimal digits.
    cluster: String,
    /// This server's number.
    server: u64,
    /// What it does, for good.
    roles: String,
    /// Worker groups that the cluster was founded with.
    groups: u32,
    /// The level of features that the cluster was founded with.
    #[serde(default)]
    pub feature_level: u32,
    /// A place in the senate's log that is agreed on, of a server that took the place of a lost one: a base's bytes in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    senate: Option<String>,
    /// The server has run as this one: what its log and state say is part of what others count on, and their loss is not
    /// the same as never having been there.
    #[serde(default)]
    pub begun: bool,
    /// Founders that this one has still to tell so, of the server that founded the cluster. Who was told once is not told again: one that
    /// comes with an empty folder then has lost what it promised, and is another server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<u64>,
    /// Who founded the cluster, all told exactly the same; empty on a server that was added later.
    #[serde(default)]
    pub founders: Vec<Founder>,
}

/// One of the servers that a cluster began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founder {
    /// Its number.
    pub server: u64,
    /// What it does.
    pub roles: String,
    /// Where it was.
    pub peer: Address,
    /// Where its clients connected.
    pub sql: String,
}

/// `peers.toml`.
#[derive(Serialize, Deserialize)]
struct PeersFile {
    #[serde(default)]
    peers: Vec<PeerEntry>,
}

#[derive(Serialize, Deserialize)]
struct PeerEntry {
    server: u64,
    #[serde(flatten)]
    places: Places,
}

impl Identity {
    /// That of a server which is added.
    pub fn added(cluster: ClusterId, server: u64, roles: String, groups: u32) -> Identity {
        Identity {
            format: FORMAT,
            cluster: cluster.to_string(),
            server,
            roles,
            groups,
            feature_level: 0,
            senate: None,
            begun: false,
            untold: Vec::new(),
            founders: Vec::new(),
        }
    }

    /// That of one of the founders; `None` when it is none of them.
    pub fn founder(cluster: ClusterId, server: u64, groups: u32, founders: Vec<Founder>) -> Option<Identity> {
        let own = founders.iter().find(|founder| founder.server == server)?;
        let added = Identity::added(cluster, server, own.roles.clone(), groups);
        Some(Identity { founders, ..added })
    }

    /// That of a state server which takes the place of a lost one. `base` is agreed on.
    pub fn replacing(configuration: &Configuration, server: u64, base: &Base) -> Identity {
        let mut bytes = Vec::new();
        encode_base(LogId::Senate, base, &mut bytes);
        let groups = configuration.groups.len() as u32;
        Identity {
            senate: Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            ..Identity::added(configuration.cluster, ServerId(server).0, "state".to_owned(), groups)
        }
    }

    /// The place in the senate's log that it was told.
    ///
    /// # Errors
    /// [`Failure::Configuration`] when that is none.
    pub fn agreed(&self) -> Result<Option<Base>, Failure> {
        let Some(text) = &self.senate else { return Ok(None) };
        let pairs = (0..text.len() / 2).map(|at| text.get(at * 2..at * 2 + 2));
        let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        match bytes.map(|bytes| decode_base(bytes.into())) {
            Some(Ok((LogId::Senate, base))) => Ok(Some(base)),
            _ => Err(Failure::Configuration(format!("{IDENTITY_FILE}: senate is no base of its log"))),
        }
    }

    /// The same server, alone in a cluster that goes on from the one it was in.
    pub fn recovered(&self, cluster: ClusterId, configuration: &Configuration) -> Identity {
        Identity {
            groups: configuration.groups.len() as u32,
            begun: true,
            ..Identity::added(cluster, self.server, self.roles.clone(), self.groups)
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        ClusterId(u64::from_str_radix(&self.cluster, 16).unwrap_or_default())
    }

    /// Its name.
    pub fn cluster_name(&self) -> &str {
        &self.cluster
    }

    /// The server.
    pub fn server(&self) -> ServerId {
        ServerId(self.server)
    }

    /// Whether both say the same, however far they are with it.
    pub fn same(&self, other: &Identity) -> bool {
        let plain = |identity: &Identity| Identity {
            begun: true,
            untold: Vec::new(),
            ..identity.clone()
        };
        plain(self) == plain(other)
    }

    /// The same founding, for another founder.
    pub fn for_founder(&self, founder: &Founder) -> Identity {
        Identity {
            server: founder.server,
            roles: founder.roles.clone(),
            begun: false,
            untold: Vec::new(),
            ..self.clone()
        }
    }

    /// What the server does.
    pub fn roles(&self) -> Roles {
        roles(&self.roles).unwrap_or(Roles::BOTH)
    }

    /// What makes no sense in it, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        if self.format != FORMAT {
            return Some("another version of Curia wrote it");
        }
        if self.cluster() == ClusterId::ZERO || self.server == 0 {
            return Some("it names no cluster or no server");
        }
        match self.founding() {
            None => Some("its founders are no cluster"),
            Some(_) if roles(&self.roles).is_err() => Some("its roles are none"),
            Some(_) if self.founders.is_empty() => None,
            Some(_) => {
                let own = |founder: &Founder| founder.server == self.server && founder.roles == self.roles;
                (!self.founders.iter().any(own)).then_some("its server is no founder")
            }
        }
    }

    /// What the driver is told.
    pub fn founding(&self) -> Option<Founding> {
        if self.founders.is_empty() {
            return Some(Founding::Join);
        }
        let servers: Option<Vec<_>> = self
            .founders
            .iter()
            .map(|founder| Some((ServerId(founder.server), roles(&founder.roles).ok()?)))
            .collect();
        let founded = Configuration::founding_with_roles(self.cluster(), servers?, self.groups)?;
        Some(Founding::Together(Configuration {
            feature_level: self.feature_level,
            ..founded
        }))
    }

    /// The founders' addresses, as entries of an address book that any newer one replaces.
    pub fn places(&self) -> impl Iterator<Item = (ServerId, Places)> + '_ {
        self.founders.iter().map(|founder| {
            let places = Places {
                number: 0,
                peer: founder.peer.clone(),
                sql: founder.sql.clone(),
            };
            (ServerId(founder.server), places)
        })
    }

    /// What a folder says; `None` for one that is in no cluster.
    ///
    /// # Errors
    /// [`Failure::Folder`] or [`Failure::Foreign`].
    pub fn read(folder: &Path) -> Result<Option<Identity>, Failure> {
        let Some(text) = read(folder, IDENTITY_FILE)? else {
            return Ok(None);
        };
        let foreign = |reason: String| Failure::Foreign {
            folder: folder.to_owned(),
            reason,
        };
        let identity: Identity = toml::from_str(&text).map_err(|_| foreign(format!("its {IDENTITY_FILE} is not one that Curia wrote")))?;
        match identity.fault() {
            None => Ok(Some(identity)),
            Some(fault) => Err(foreign(format!("its {IDENTITY_FILE} can't be used: {fault}"))),
        }
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        write_durably(folder, IDENTITY_FILE, &toml::to_string(self).map_err(io::Error::other)?)
    }
}

/// The address book that was last learned. A file that can't be read is as good as none: others tell it again.
pub fn read_book(folder: &Path) -> Book {
    let mut book = Book::default();
    if let Ok(Some(text)) = read(folder, PEERS_FILE) {
        match toml::from_str::<PeersFile>(&text) {
            Ok(file) => file.peers.into_iter().for_each(|entry| {
                book.learn(ServerId(entry.server), entry.places);
            }),
            Err(error) => tracing::warn!(%error, "{PEERS_FILE} can't be read"),
        }
    }
    book
}

/// Keeps an address book for the next start.
pub fn write_book(folder: &Path, book: &Book) {
    let peers = book.iter().map(|(server, places)| PeerEntry {
        server: server.0,
        places: places.clone(),
    });
    let file = PeersFile { peers: peers.collect() };
    let written = toml::to_string(&file)
        .map_err(io::Error::other)
        .and_then(|text| write_durably(folder, PEERS_FILE, &text));
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write {PEERS_FILE}");
    }
}

fn read(folder: &Path, name: &'static str) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::Folder {
            folder: folder.to_owned(),
            doing: "cannot read which cluster it is of",
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let founder = |server: u64| Founder {
            server,
            roles: "log,state".into(),
            peer: format!("db{server}:5457").parse().unwrap(),
            sql: format!("db{server}:5454"),
        };
        Identity::founder(ClusterId(0xabc), 2, 8, vec![founder(1), founder(2)]).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(folder.path()).unwrap(), None);
        identity().write(folder.path()).unwrap();
        assert_eq!(Identity::read(folder.path()).unwrap(), Some(identity()));
        let mut book = Book::default();
        for (server, places) in identity().places() {
            book.learn(server, places);
        }
        write_book(folder.path(), &book);
        assert_eq!(read_book(folder.path()), book);
    }

    #[test]
    fn an_identity_that_makes_no_sense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for broken in [
            Identity { server: 9, ..identity() },
            Identity {
                roles: "log".into(),
                ..identity()
            },
            Identity::added(ClusterId(0), 1, "log".into(), 8),
            Identity::added(ClusterId(1), 0, "log".into(), 8),
            Identity::added(ClusterId(1), 1, "king".into(), 8),
        ] {
            broken.write(folder.path()).unwrap();
            assert!(matches!(Identity::read(folder.path()), Err(Failure::Foreign { .. })), "{broken:?}");
        }
    }
}
