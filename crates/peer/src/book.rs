//! The address book: where each server of the cluster is.
//!
//! A server's addresses are needed before there is a quorum, to make one, so they are not agreed on: each server is the
//! only author of its own entry and gives it a higher number whenever it changes. Entries spread with handshakes and from
//! book to book; the highest number wins, so books that have heard of each other are the same.
//!
//! Who is a *member* is not decided here but in the senate: an entry only says where somebody would be.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::{Buf, Bytes};
use curia_consensus::ServerId;
use serde::{Deserialize, Serialize};

use crate::handshake::{places, put_places};

/// Most entries.
const SERVERS_MAX: usize = 1_024;

/// `host:port`; the host is a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// The text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address such as db1.example.com:5457")]
pub struct AddressError(String);

impl Address {
    /// The whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.chars().take(300).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let inner = bracketed.unwrap_or(host);
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | ',' | '[' | ']');
        if inner.is_empty() || inner.len() > 255 || inner.contains(odd) || inner.contains(':') != bracketed.is_some() {
            return Err(wrong());
        }
        port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Grows with every change; the author's clock when it changed, so that an author who lost its book goes on above.
    pub number: u64,
    /// Where other servers reach it.
    pub peer: Address,
    /// Where SQL clients reach it.
    pub sql: String,
}

/// Where everybody is, as far as is known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book(BTreeMap<ServerId, Places>);

impl Book {
    /// Where a server is.
    pub fn get(&self, server: ServerId) -> Option<&Places> {
        self.0.get(&server)
    }

    /// All entries, ascending by server.
    pub fn iter(&self) -> impl Iterator<Item = (ServerId, &Places)> {
        self.0.iter().map(|(server, places)| (*server, places))
    }

    /// Takes an entry when its number is higher than what is known; whether it was.
    pub fn learn(&mut self, server: ServerId, places: Places) -> bool {
        let known = self.0.get(&server).map(|known| known.number);
        if known >= Some(places.number) || known.is_none() && self.0.len() >= SERVERS_MAX {
            return false;
        }
        self.0.insert(server, places);
        true
    }

    /// Its form on the wire: u32 entries, each u64 server and its places as in a handshake.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = (self.0.len() as u32).to_le_bytes().to_vec();
        for (server, places) in &self.0 {
            out.extend_from_slice(&server.0.to_le_bytes());
            put_places(&mut out, places);
        }
        out
    }

    /// Reads what [`Book::encode`] wrote; `None` when it is no book.
    pub fn decode(mut input: Bytes) -> Option<Book> {
        let count = input.try_get_u32_le().ok()?;
        let mut book = Book::default();
        for _ in 0..count {
            let server = ServerId(input.try_get_u64_le().ok()?);
            if server == ServerId::ZERO || !book.learn(server, places(&mut input)?) {
                return None;
            }
        }
        input.is_empty().then_some(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places_at(number: u64, peer: &str) -> Places {
        Places {
            number,
            peer: peer.parse().unwrap(),
            sql: "sql:1".to_owned(),
        }
    }

    #[test]
    fn addresses_are_hosts_with_ports() {
        for (text, host, port) in [
            ("db1.example.com:5457", "db1.example.com", 5457),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[::1]:5457", "::1", 5457),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host(), address.port(), address.as_str()), (host, port, text));
        }
        for wrong in [
            "",
            "host",
            ":5",
            "host:",
            "host:0",
            "host:70000",
            "::1:5",
            "a b:5",
            "http://a:5",
            "[a:5",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_highest_number_wins_in_whatever_order_entries_come() {
        let mut book = Book::default();
        assert!(book.learn(ServerId(1), places_at(2, "new:1")));
        assert!(!book.learn(ServerId(1), places_at(1, "old:1")));
        assert!(!book.learn(ServerId(1), places_at(2, "other:1")));
        assert_eq!(book.get(ServerId(1)).unwrap().peer.as_str(), "new:1");
    }

    #[test]
    fn books_read_back_and_damaged_ones_do_not_panic() {
        let mut book = Book::default();
        book.learn(ServerId(1), places_at(1, "a:1"));
        book.learn(ServerId(2), places_at(2, "[::1]:2"));
        let bytes = book.encode();
        assert_eq!(Book::decode(bytes.clone().into()), Some(book));
        for len in 0..bytes.len() {
            assert_eq!(Book::decode(bytes[..len].to_vec().into()), None);
        }
    }
}
