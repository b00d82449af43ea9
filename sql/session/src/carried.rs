//! [`Carried`]: what a session takes along when it goes on at another consul.
//!
//! ```text
//!   parameters that it SET, its role among them     prepared statements     channels that it listens on
//!   what it drew from sequences                     why it can't move, if it can't
//! ```
//!
//! Everything else that a session has is either of its transaction, which ends with its consul, or is the reason why it stays: temporary
//! relations, cursors WITH HOLD and advisory locks of the session are in the memory of one server.
//!
//! On its way between servers it is a list of parts; a later part replaces what an earlier one of its kind said. Integers are
//! little-endian, a text is u32 bytes of UTF-8:
//!
//! ```text
//!   u8  version: 1
//!   then parts, each begun by a u8
//!   1  parameters   u32 how many, each text name, text value      all that are set
//!   2  statement    text name, text, u8 1 by PREPARE, i64 when, u32 how many parameters, each u32 type
//!   3  no statement text name
//!   4  channels     u32 how many, each text                       all
//!   5  drawn        u32 how many, each u32 sequence, i64 value; u32 the last one or 0
//!   6  stays        text why; empty: it can move
//!   7  seen         i64 the newest CSN that it has committed or read at
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const VERSION: u8 = 1;

/// See the module's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Values that the session set, in canonical form.
    pub settings: BTreeMap<String, String>,
    /// Prepared statements, the unnamed one among them.
    pub statements: BTreeMap<String, CarriedStatement>,
    /// Channels.
    pub channels: BTreeSet<String>,
    /// Values by sequence.
    pub drawn: BTreeMap<u32, i64>,
    /// What `lastval` tells of.
    pub last_drawn: Option<u32>,
    /// Why the session can't move.
    pub stays: Option<String>,
    /// The newest CSN that it has committed or read at (`curia.last_csn`).
    pub seen: u64,
}

/// A prepared statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedStatement {
    /// The text that it came in.
    pub sql: Arc<str>,
    /// That is a PREPARE.
    pub from_sql: bool,
    /// Microseconds since 2000-01-01 UTC.
    pub prepared_at: i64,
    /// Types of its parameters.
    pub types: Vec<u32>,
}

/// A part of the list.
pub(crate) enum Part<'a> {
    Settings(&'a BTreeMap<String, String>),
    Statement(&'a str, &'a CarriedStatement),
    NoStatement(&'a str),
    Channels(&'a BTreeSet<String>),
    Drawn(&'a BTreeMap<u32, i64>, Option<u32>),
    Stays(Option<&'a str>),
    Seen(u64),
}

/// An empty list.
pub(crate) fn list() -> Vec<u8> {
    vec![VERSION]
}

/// Appends a part to a list.
pub(crate) fn put(out: &mut Vec<u8>, part: &Part<'_>) {
    match part {
        Part::Settings(all) => {
            out.push(1);
            put_u32(out, all.len());
            for (name, value) in *all {
                put_text(out, name);
                put_text(out, value);
            }
        }
        Part::Statement(name, statement) => {
            out.push(2);
            put_text(out, name);
            put_text(out, &statement.sql);
            out.push(u8::from(statement.from_sql));
            out.extend_from_slice(&statement.prepared_at.to_le_bytes());
            put_u32(out, statement.types.len());
            for oid in &statement.types {
                out.extend_from_slice(&oid.to_le_bytes());
            }
        }
        Part::NoStatement(name) => {
            out.push(3);
            put_text(out, name);
        }
        Part::Channels(all) => {
            out.push(4);
            put_u32(out, all.len());
            for channel in *all {
                put_text(out, channel);
            }
        }
        Part::Drawn(all, last) => {
            out.push(5);
            put_u32(out, all.len());
            for (sequence, value) in *all {
                out.extend_from_slice(&sequence.to_le_bytes());
                out.extend_from_slice(&value.to_le_bytes());
            }
            out.extend_from_slice(&last.unwrap_or(0).to_le_bytes());
        }
        Part::Stays(why) => {
            out.push(6);
            put_text(out, why.unwrap_or_default());
        }
        Part::Seen(csn) => {
            out.push(7);
            out.extend_from_slice(&csn.to_le_bytes());
        }
    }
}

impl Carried {
    /// All of it as a list.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = list();
        put(&mut out, &Part::Settings(&self.settings));
        for (name, statement) in &self.statements {
            put(&mut out, &Part::Statement(name, statement));
        }
        put(&mut out, &Part::Channels(&self.channels));
        put(&mut out, &Part::Drawn(&self.drawn, self.last_drawn));
        put(&mut out, &Part::Stays(self.stays.as_deref()));
        put(&mut out, &Part::Seen(self.seen));
        out
    }

    /// Takes a list in. `None`: it is damaged, or of a version that is not known; then only a part of it may have been taken.
    pub fn take(&mut self, list: &[u8]) -> Option<()> {
        let mut input = Input(list);
        if input.u8()? != VERSION {
            return None;
        }
        while !input.0.is_empty() {
            match input.u8()? {
                1 => self.settings = input.many(|input| Some((input.text()?, input.text()?)))?,
                2 => {
                    let name = input.text()?;
                    let statement = CarriedStatement {
                        sql: input.text()?.into(),
                        from_sql: input.u8()? != 0,
                        prepared_at: input.i64()?,
                        types: input.many(Input::u32)?,
                    };
                    self.statements.insert(name, statement);
                }
                3 => {
                    self.statements.remove(&input.text()?);
                }
                4 => self.channels = input.many(Input::text)?,
                5 => {
                    self.drawn = input.many(|input| Some((input.u32()?, input.i64()?)))?;
                    self.last_drawn = Some(input.u32()?).filter(|last| *last != 0);
                }
                6 => self.stays = Some(input.text()?).filter(|why| !why.is_empty()),
                7 => self.seen = input.i64()? as u64,
                _ => return None,
            }
        }
        Some(())
    }
}

fn put_u32(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&(n as u32).to_le_bytes());
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u32(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// What is left to read of a list, or of a message of servers that has the same texts and integers.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Option<i64> {
        self.bytes().map(i64::from_le_bytes)
    }

    /// A text.
    pub fn text(&mut self) -> Option<String> {
        let length = self.u32()?;
        let (text, rest) = self.0.split_at_checked(length as usize)?;
        let text = std::str::from_utf8(text).ok()?.to_owned();
        self.0 = rest;
        Some(text)
    }

    /// A number of things, and as many of them.
    pub fn many<T, C: FromIterator<T>>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<C> {
        let count = self.u32()?;
        (0..count).map(|_| one(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried() -> Carried {
        let statement = CarriedStatement {
            sql: "select $1".into(),
            from_sql: false,
            prepared_at: -1,
            types: vec![23],
        };
        Carried {
            settings: BTreeMap::from([("work_mem".into(), "1024".into())]),
            statements: BTreeMap::from([(String::new(), statement)]),
            channels: BTreeSet::from(["c".into()]),
            drawn: BTreeMap::from([(16_384, 7)]),
            last_drawn: Some(16_384),
            stays: Some("x".into()),
            seen: 9,
        }
    }

    #[test]
    fn a_list_has_the_bytes_that_the_format_says_and_reads_back() {
        let bytes = carried().encode();
        let expected = b"\x01\
            \x01\x01\0\0\0\x08\0\0\0work_mem\x04\0\0\x001024\
            \x02\0\0\0\0\x09\0\0\0select $1\0\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\x17\0\0\0\
            \x04\x01\0\0\0\x01\0\0\0c\
            \x05\x01\0\0\0\0\x40\0\0\x07\0\0\0\0\0\0\0\0\x40\0\0\
            \x06\x01\0\0\0x\
            \x07\x09\0\0\0\0\0\0\0";
        assert_eq!(bytes, expected);
        let mut read = Carried::default();
        read.take(&bytes).unwrap();
        assert_eq!(read, carried());
        read.take(&Carried::default().encode()).unwrap();
        assert_eq!(read.statements.len(), 1, "statements are taken back one by one");
        read.take(b"\x01\x03\0\0\0\0").unwrap();
        assert_eq!(read, Carried::default());
    }

    #[test]
    fn damage_is_no_list() {
        let bytes = carried().encode();
        for end in 0..bytes.len() {
            let mut read = Carried::default();
            // A list that ends between two parts is whole.
            if read.take(&bytes[..end]).is_some() {
                assert_ne!(read, carried());
            }
        }
        assert_eq!(Carried::default().take(b"\x02"), None);
        assert_eq!(Carried::default().take(b"\x01\x08"), None);
        assert_eq!(Carried::default().take(b"\x01\x04\xff\xff\xff\xff"), None);
    }
}
