//! The first words of a connection: who dials, for what, and whom they think they reached. Integers are little-endian.
//!
//! ```text
//! hello      0  8 bytes  "CURIANET"
//!            8  u16      lowest version that the dialler speaks, u16 highest
//!           12  u32      bytes of the rest, at most 4 KiB
//!           16  u32      CRC-32C of bytes 0..16 and the rest
//!           20  u8       purpose: 1 messages, 2 requests, 4 session; then 3 zero bytes
//!           24  u32      feature level
//!           28  u64      cluster, u64 server, u64 incarnation: the dialler's; zero for none
//!           52  u64      the server that is meant; zero for any
//!           60  places   where the dialler is, as the address book has it; empty for none
//!           ..  text     empty
//!
//! answer     0  8 bytes  "CURIANET"
//!            8  u16      version that both speak, zero in a refusal; u16 zero
//!           12  u32      bytes of the rest, at most 4 KiB
//!           16  u32      CRC-32C of bytes 0..16 and the rest
//!           20  ...      a welcome: u32 feature level, u64 cluster, u64 server, u64 incarnation: who answers
//!                        a refusal: u8 reason, text
//!
//! places     u64 number, text of the peer address, text of the SQL address
//! text       u16 bytes, UTF-8
//! ```
//!
//! Bytes 0..20 of both never change, so that any two versions can refuse each other in words.

use bytes::{Buf, Bytes};
use curia_consensus::{ClusterId, Incarnation, ServerId};

use crate::book::{Address, Places};

/// The versions of this page that the program speaks.
pub const VERSIONS: (u16, u16) = (1, 1);
/// What both begin with.
pub const MAGIC: [u8; 8] = *b"CURIANET";
/// Bytes that never change.
pub const HEAD_BYTES: usize = 20;
/// Longest rest.
const REST_BYTES_MAX: u32 = 4 << 10;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Messages of consensus, from the dialler.
    Messages,
    /// Requests of the dialler.
    Requests,
    /// One client's session.
    Session,
}

/// What the dialler says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// For what.
    pub purpose: Purpose,
    /// The highest level of features that the dialler knows.
    pub feature_level: u32,
    /// The dialler's cluster, if it is in one.
    pub cluster: Option<ClusterId>,
    /// Which server of it.
    pub server: Option<ServerId>,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// Who the dialler thinks it reached, if that matters.
    pub whom: Option<ServerId>,
    /// Where the dialler is.
    pub places: Option<Places>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The highest level of features that it knows.
    pub feature_level: u32,
    /// Its cluster, if it is in one.
    pub cluster: Option<ClusterId>,
    /// Which server of it.
    pub server: Option<ServerId>,
    /// Which run of it.
    pub incarnation: Incarnation,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// No version that both speak.
    Version,
    /// Another cluster, or none yet.
    Cluster,
    /// Another server than the one that was meant.
    NotMe,
    /// The identity that the dialler claims is in use.
    Identity,
    /// The certificate doesn't allow it.
    Certificate,
    /// Too many connections.
    Busy,
    /// The cluster uses features that the dialler doesn't know.
    Level,
    /// The dialler's cluster was lost, and another one goes on from it.
    Recovered,
    /// A reason that this version doesn't know.
    Other,
}

/// A refusal, in the words of who refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// The reason.
    pub code: RefusalCode,
    /// What to tell people.
    pub text: String,
}

/// Why bytes are no handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// They are of something else.
    #[error("it doesn't speak the protocol of Curia's servers")]
    Foreign,
    /// Damaged, or longer than any.
    #[error("its handshake is damaged")]
    Damaged,
    /// A version that this program doesn't speak.
    #[error("it speaks versions {0} to {1} of the peer protocol, this server {min} to {max}", min = VERSIONS.0, max = VERSIONS.1)]
    Version(u16, u16),
}

/// The first bytes of either side, once whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    versions: (u16, u16),
    /// Bytes that follow.
    pub rest: usize,
    checksum: u32,
    of: [u8; 16],
}

impl Head {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Head, HandshakeError> {
        let mut input = &bytes[8..];
        if bytes[..8] != MAGIC {
            return Err(HandshakeError::Foreign);
        }
        let versions = (input.get_u16_le(), input.get_u16_le());
        let rest = input.get_u32_le();
        if rest > REST_BYTES_MAX {
            return Err(HandshakeError::Damaged);
        }
        let mut of = [0; 16];
        of.copy_from_slice(&bytes[..16]);
        Ok(Head {
            versions,
            rest: rest as usize,
            checksum: input.get_u32_le(),
            of,
        })
    }

    fn check(&self, rest: &[u8]) -> Result<(), HandshakeError> {
        if crc32c::crc32c_append(crc32c::crc32c(&self.of), rest) == self.checksum {
            Ok(())
        } else {
            Err(HandshakeError::Damaged)
        }
    }
}

fn encode(versions: (u16, u16), rest: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&versions.0.to_le_bytes());
    out.extend_from_slice(&versions.1.to_le_bytes());
    out.extend_from_slice(&(rest.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&out), rest);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(rest);
    out
}

/// Appends a text, no longer than the format allows here.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(512);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(&(end as u16).to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..end]);
}

pub(crate) fn text(input: &mut Bytes) -> Option<String> {
    let len = usize::from(input.try_get_u16_le().ok()?);
    if len > input.len() {
        return None;
    }
    String::from_utf8(input.split_to(len).to_vec()).ok()
}

pub(crate) fn put_places(out: &mut Vec<u8>, places: &Places) {
    out.extend_from_slice(&places.number.to_le_bytes());
    put_text(out, places.peer.as_str());
    put_text(out, &places.sql);
}

pub(crate) fn places(input: &mut Bytes) -> Option<Places> {
    let number = input.try_get_u64_le().ok()?;
    let (peer, sql) = (text(input)?, text(input)?);
    let peer: Address = peer.parse().ok()?;
    Some(Places { number, peer, sql })
}

impl Hello {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let purpose = match self.purpose {
            Purpose::Messages => 1,
            Purpose::Requests => 2,
            Purpose::Session => 4,
        };
        let mut rest = vec![purpose, 0, 0, 0];
        rest.extend_from_slice(&self.feature_level.to_le_bytes());
        for id in [
            self.cluster.map_or(0, |id| id.0),
            self.server.map_or(0, |id| id.0),
            self.incarnation.0,
            self.whom.map_or(0, |id| id.0),
        ] {
            rest.extend_from_slice(&id.to_le_bytes());
        }
        match &self.places {
            Some(places) => put_places(&mut rest, places),
            None => rest.extend_from_slice(&[0; 12]),
        }
        put_text(&mut rest, "");
        encode(VERSIONS, &rest)
    }

    /// Reads the rest of a hello.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(head: &Head, rest: Bytes) -> Result<Hello, HandshakeError> {
        head.check(&rest)?;
        let (lowest, highest) = head.versions;
        if lowest > VERSIONS.1 || highest < VERSIONS.0 {
            return Err(HandshakeError::Version(lowest, highest));
        }
        Self::read(rest).ok_or(HandshakeError::Damaged)
    }

    fn read(mut input: Bytes) -> Option<Hello> {
        let purpose = match input.try_get_u32_le().ok()? {
            1 => Purpose::Messages,
            2 => Purpose::Requests,
            4 => Purpose::Session,
            _ => return None,
        };
        let feature_level = input.try_get_u32_le().ok()?;
        let mut id = || input.try_get_u64_le().ok();
        let (cluster, server, incarnation, whom) = (id()?, id()?, id()?, id()?);
        let places = if input.starts_with(&[0; 12]) {
            input.advance(12);
            None
        } else {
            Some(places(&mut input)?)
        };
        text(&mut input)?;
        input.is_empty().then_some(Hello {
            purpose,
            feature_level,
            cluster: (cluster != 0).then_some(ClusterId(cluster)),
            server: (server != 0).then_some(ServerId(server)),
            incarnation: Incarnation(incarnation),
            whom: (whom != 0).then_some(ServerId(whom)),
            places,
        })
    }
}

impl Welcome {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut rest = self.feature_level.to_le_bytes().to_vec();
        for id in [
            self.cluster.map_or(0, |id| id.0),
            self.server.map_or(0, |id| id.0),
            self.incarnation.0,
        ] {
            rest.extend_from_slice(&id.to_le_bytes());
        }
        encode((VERSIONS.1, 0), &rest)
    }
}

impl Refused {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut rest = vec![match self.code {
            RefusalCode::Version => 1,
            RefusalCode::Cluster => 2,
            RefusalCode::NotMe => 3,
            RefusalCode::Identity => 4,
            RefusalCode::Certificate => 5,
            RefusalCode::Busy => 6,
            RefusalCode::Level => 7,
            RefusalCode::Recovered => 8,
            RefusalCode::Other => 255,
        }];
        put_text(&mut rest, &self.text);
        encode((0, 0), &rest)
    }
}

/// Reads the rest of an answer.
///
/// # Errors
/// When it is not one.
pub fn decode_answer(head: &Head, rest: Bytes) -> Result<Result<Welcome, Refused>, HandshakeError> {
    head.check(&rest)?;
    match head.versions {
        (0, 0) => refused(rest).map(Err),
        (version, 0) if (VERSIONS.0..=VERSIONS.1).contains(&version) => welcome(rest).map(Ok),
        (version, _) => return Err(HandshakeError::Version(version, version)),
    }
    .ok_or(HandshakeError::Damaged)
}

fn welcome(mut input: Bytes) -> Option<Welcome> {
    let feature_level = input.try_get_u32_le().ok()?;
    let mut id = || input.try_get_u64_le().ok();
    let (cluster, server, incarnation) = (id()?, id()?, id()?);
    input.is_empty().then_some(Welcome {
        feature_level,
        cluster: (cluster != 0).then_some(ClusterId(cluster)),
        server: (server != 0).then_some(ServerId(server)),
        incarnation: Incarnation(incarnation),
    })
}

fn refused(mut input: Bytes) -> Option<Refused> {
    let code = match input.try_get_u8().ok()? {
        1 => RefusalCode::Version,
        2 => RefusalCode::Cluster,
        3 => RefusalCode::NotMe,
        4 => RefusalCode::Identity,
        5 => RefusalCode::Certificate,
        6 => RefusalCode::Busy,
        7 => RefusalCode::Level,
        8 => RefusalCode::Recovered,
        _ => RefusalCode::Other,
    };
    let text = text(&mut input)?;
    input.is_empty().then_some(Refused { code, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            purpose: Purpose::Session,
            feature_level: 3,
            cluster: Some(ClusterId(7)),
            server: Some(ServerId(1)),
            incarnation: Incarnation(8),
            whom: Some(ServerId(2)),
            places: Some(Places {
                number: 9,
                peer: "a:1".parse().unwrap(),
                sql: "b:2".to_owned(),
            }),
        }
    }

    fn split(bytes: &[u8]) -> (Head, Bytes) {
        let head = Head::decode(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(head.rest, bytes.len() - HEAD_BYTES);
        (head, Bytes::copy_from_slice(&bytes[HEAD_BYTES..]))
    }

    #[test]
    fn a_hello_has_the_bytes_that_the_format_says_and_reads_back() {
        let bytes = hello().encode();
        let rest = b"\x04\0\0\0\x03\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\
            \x09\0\0\0\0\0\0\0\x03\0a:1\x03\0b:2\0\0";
        assert_eq!(&bytes[..16], b"CURIANET\x01\0\x01\0\x3c\0\0\0");
        assert_eq!(&bytes[HEAD_BYTES..], rest);
        let (head, rest) = split(&bytes);
        assert_eq!(Hello::decode(&head, rest), Ok(hello()));
        let nobody = Hello {
            purpose: Purpose::Requests,
            cluster: None,
            server: None,
            whom: None,
            places: None,
            ..hello()
        };
        let (head, rest) = split(&nobody.encode());
        assert_eq!(Hello::decode(&head, rest), Ok(nobody));
    }

    #[test]
    fn answers_read_back() {
        let welcome = Welcome {
            feature_level: 3,
            cluster: Some(ClusterId(7)),
            server: None,
            incarnation: Incarnation(8),
        };
        let (head, rest) = split(&welcome.encode());
        assert_eq!(decode_answer(&head, rest), Ok(Ok(welcome)));
        let refused = Refused {
            code: RefusalCode::Identity,
            text: "no".repeat(600),
        };
        let (head, rest) = split(&refused.encode());
        let read = decode_answer(&head, rest).unwrap().unwrap_err();
        assert_eq!((read.code, read.text.as_str()), (RefusalCode::Identity, &refused.text[..512]));
    }

    #[test]
    fn other_versions_refuse_each_other_by_name() {
        let mut bytes = hello().encode();
        bytes[8..12].copy_from_slice(&[9, 0, 11, 0]);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[HEAD_BYTES..]);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        let (head, rest) = split(&bytes);
        assert_eq!(Hello::decode(&head, rest), Err(HandshakeError::Version(9, 11)));
    }

    #[test]
    fn damage_and_strangers_are_refused() {
        let bytes = hello().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            let read = Head::decode(damaged.first_chunk().unwrap())
                .and_then(|head| Hello::decode(&head, Bytes::copy_from_slice(&damaged[HEAD_BYTES..])));
            assert!(read.is_err(), "byte {at}");
        }
        assert_eq!(Head::decode(b"GET / HTTP/1.1\r\nHost"), Err(HandshakeError::Foreign));
    }
}
