//! Entries, bases and hard state as bytes, the same on disk and on the wire. All integers are little-endian.
//!
//! ```text
//! entry            0  u8   version = 1, or 2 where a configuration with recoveries is in it
//!                  1  u8   kind: 1 noop, 2 configuration, 3 term-start, 4 stage, 5 fragment, 6 barrier
//!                  2  u8   1: a fragment with a key; else 0
//!                  3  u8   zero
//!                  4  u32  log (0 the senate, g + 1 group g)
//!                  8  u64  index
//!                 16  u64  term
//!                 24  ...  body
//!
//! noop, barrier    empty
//! configuration    see below
//! term-start       u64 cut, u64 timestamp
//! stage            payload up to the end
//! fragment         u64 csn, u64 timestamp, u32 participants (n > 0), u32 stages (m), if it has one: u128 key,
//!                  n * (u32 group, u64 index), m * u64 index, payload up to the end
//!
//! configuration    u64 cluster, u32 feature level, u32 servers, each (u64 server, u8 roles: 1 log + 2 state),
//!                  members of the senate, u32 next group, u32 groups, each (u32 group, members),
//!                  u64 dropped floor, u32 groups being dropped, each (u32 group, u64 csn);
//!                  in version 2: u32 recoveries, each (u64 cluster, u64 timestamp, u64 server, u64 csn)
//! members          u32 incoming, u32 outgoing, u32 learners, then that many u64 server ids
//!
//! base             u8 version = 1 or 2, 3 zero bytes, u32 log, u64 index, u64 term, u64 csn, u64 timestamp,
//!                  u64 term of the latest term-start, u64 its cut, then for the senate: configuration
//! hard state       u8 version = 1, 7 zero bytes, u64 term, u64 vote (0 none), u64 the vote's incarnation
//! ```
//!
//! Decoders take untrusted bytes: they never panic, and they allocate no more than the input's own size.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::ids::{ClusterId, Csn, GroupId, Incarnation, Index, Key, LogId, Participant, ServerId, Term, Timestamp};
use crate::log::{Base, TermStartAt};
use crate::node::HardState;
use crate::quorum::Members;
use crate::record::{Entry, Fragment, Participants, Payload, Record, Stages, TermStart};
use crate::senate::{Configuration, Recovered, Roles, Vote};

/// The version that this code writes and reads.
pub const VERSION: u8 = 1;
/// The version of what has a configuration with recoveries in it.
const VERSION_WITH_RECOVERIES: u8 = 2;

/// Bytes of an entry before its body.
pub const ENTRY_HEADER_BYTES: usize = 24;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end too early.
    Short,
    /// Bytes follow where none should.
    Trailing,
    /// Written by a version that this code doesn't know.
    Version(u8),
    /// An unknown kind of record.
    Kind(u8),
    /// A field's value is impossible; names the field.
    Field(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Short => f.write_str("ends too early"),
            DecodeError::Trailing => f.write_str("has bytes after its end"),
            DecodeError::Version(v) => write!(f, "has version {v}, this program reads version {VERSION}"),
            DecodeError::Kind(k) => write!(f, "has unknown record kind {k}"),
            DecodeError::Field(name) => write!(f, "has an impossible {name}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Appends an entry of a log. Its payload must be in memory; a stored one is a fault of the caller.
pub fn encode_entry(log: LogId, entry: &Entry, out: &mut Vec<u8>) {
    let kind = match &entry.record {
        Record::Noop => 1,
        Record::Configuration(_) => 2,
        Record::TermStart(_) => 3,
        Record::Stage(_) => 4,
        Record::Fragment(_) => 5u8,
        Record::Barrier => 6,
    };
    let keyed = matches!(&entry.record, Record::Fragment(fragment) if fragment.key.is_some());
    out.extend_from_slice(&[version_of(entry.record.configuration()), kind, keyed.into(), 0]);
    put_u32(out, log.to_u32());
    put_u64(out, entry.index.0);
    put_u64(out, entry.term.0);
    match &entry.record {
        Record::Noop | Record::Barrier => {}
        Record::Configuration(configuration) => encode_configuration(configuration, out),
        Record::TermStart(start) => {
            put_u64(out, start.cut.0);
            put_u64(out, start.timestamp.0);
        }
        Record::Stage(payload) => encode_payload(payload, out),
        Record::Fragment(fragment) => {
            put_u64(out, fragment.csn.0);
            put_u64(out, fragment.timestamp.0);
            put_u32(out, fragment.participants.len() as u32);
            put_u32(out, fragment.stages.as_slice().len() as u32);
            if let Some(key) = fragment.key {
                out.extend_from_slice(&key.0.to_le_bytes());
            }
            match &fragment.participants {
                Participants::Alone => {
                    put_u32(out, log.to_u32().wrapping_sub(1));
                    put_u64(out, entry.index.0);
                }
                Participants::Several(list) => {
                    for participant in list.iter() {
                        put_u32(out, participant.group.0);
                        put_u64(out, participant.index.0);
                    }
                }
            }
            for stage in fragment.stages.as_slice() {
                put_u64(out, stage.0);
            }
            encode_payload(&fragment.payload, out);
        }
    }
}

fn encode_payload(payload: &Payload, out: &mut Vec<u8>) {
    match payload {
        Payload::Held(bytes) => out.extend_from_slice(bytes),
        Payload::Stored(_) => panic!("a payload that was let go of can't be written"),
    }
}

/// Reads what [`encode_entry`] wrote. The payload shares the input's memory.
pub fn decode_entry(input: Bytes) -> Result<(LogId, Entry), DecodeError> {
    let mut input = Reader(input);
    let version = input.version()?;
    let kind = input.u8()?;
    let keyed = match input.u8()? {
        0 => false,
        1 if kind == 5 => true,
        _ => return Err(DecodeError::Field("flag")),
    };
    input.zeros(1)?;
    let log = input.log()?;
    let index = Index(input.u64()?);
    let term = Term(input.u64()?);
    if index == Index::ZERO {
        return Err(DecodeError::Field("index"));
    }
    let record = match (kind, log) {
        (1, LogId::Senate) => Record::Noop,
        (2, LogId::Senate) => Record::Configuration(Arc::new(input.configuration(version)?)),
        (3, LogId::Group(_)) => Record::TermStart(TermStart {
            cut: Csn(input.u64()?),
            timestamp: Timestamp(input.u64()?),
        }),
        (4, LogId::Group(_)) => Record::Stage(Payload::Held(input.rest())),
        (5, LogId::Group(group)) => Record::Fragment(Arc::new(input.fragment(Participant { group, index }, keyed)?)),
        (6, LogId::Group(_)) => Record::Barrier,
        (1..=6, _) => return Err(DecodeError::Field("log")),
        _ => return Err(DecodeError::Kind(kind)),
    };
    input.end()?;
    if version != version_of(record.configuration()) {
        return Err(DecodeError::Version(version));
    }
    Ok((log, Entry { index, term, record }))
}

/// Appends a log's base.
pub fn encode_base(log: LogId, base: &Base, out: &mut Vec<u8>) {
    out.extend_from_slice(&[version_of(base.configuration.as_deref()), 0, 0, 0]);
    put_u32(out, log.to_u32());
    put_u64(out, base.index.0);
    put_u64(out, base.term.0);
    put_u64(out, base.csn.0);
    put_u64(out, base.timestamp.0);
    put_u64(out, base.term_start.term.0);
    put_u64(out, base.term_start.cut.0);
    if let Some(configuration) = &base.configuration {
        encode_configuration(configuration, out);
    }
}

/// Reads what [`encode_base`] wrote.
pub fn decode_base(input: Bytes) -> Result<(LogId, Base), DecodeError> {
    let mut input = Reader(input);
    let version = input.version()?;
    input.zeros(3)?;
    let log = input.log()?;
    let mut base = Base {
        index: Index(input.u64()?),
        term: Term(input.u64()?),
        csn: Csn(input.u64()?),
        timestamp: Timestamp(input.u64()?),
        term_start: TermStartAt {
            term: Term(input.u64()?),
            cut: Csn(input.u64()?),
        },
        configuration: None,
    };
    if log == LogId::Senate {
        base.configuration = Some(Arc::new(input.configuration(version)?));
    }
    input.end()?;
    if version != version_of(base.configuration.as_deref()) {
        return Err(DecodeError::Version(version));
    }
    Ok((log, base))
}

/// Appends the hard state.
pub fn encode_hard_state(state: &HardState, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0]);
    put_u64(out, state.term.0);
    put_u64(out, state.vote.map_or(0, |vote| vote.server.0));
    put_u64(out, state.vote.map_or(0, |vote| vote.incarnation.0));
}

/// Reads what [`encode_hard_state`] wrote.
pub fn decode_hard_state(input: Bytes) -> Result<HardState, DecodeError> {
    let mut input = Reader(input);
    let version = input.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    input.zeros(7)?;
    let term = Term(input.u64()?);
    let (server, incarnation) = (ServerId(input.u64()?), Incarnation(input.u64()?));
    input.end()?;
    Ok(HardState {
        term,
        vote: (server != ServerId::ZERO).then_some(Vote { server, incarnation }),
    })
}

/// The version of what has this configuration in it.
fn version_of(configuration: Option<&Configuration>) -> u8 {
    match configuration {
        Some(configuration) if !configuration.recoveries.is_empty() => VERSION_WITH_RECOVERIES,
        _ => VERSION,
    }
}

fn encode_configuration(configuration: &Configuration, out: &mut Vec<u8>) {
    put_u64(out, configuration.cluster.0);
    put_u32(out, configuration.feature_level);
    put_u32(out, configuration.servers.len() as u32);
    for (server, roles) in &configuration.servers {
        put_u64(out, server.0);
        out.push(u8::from(roles.log) | u8::from(roles.state) << 1);
    }
    encode_members(&configuration.senate, out);
    put_u32(out, configuration.next_group.0);
    put_u32(out, configuration.groups.len() as u32);
    for (group, members) in &configuration.groups {
        put_u32(out, group.0);
        encode_members(members, out);
    }
    put_u64(out, configuration.dropped_floor.0);
    put_u32(out, configuration.dropping.len() as u32);
    for (group, csn) in &configuration.dropping {
        put_u32(out, group.0);
        put_u64(out, csn.0);
    }
    if !configuration.recoveries.is_empty() {
        put_u32(out, configuration.recoveries.len() as u32);
        for recovered in &configuration.recoveries {
            for number in [recovered.from.0, recovered.at.0, recovered.by.0, recovered.csn.0] {
                put_u64(out, number);
            }
        }
    }
}

fn encode_members(members: &Members, out: &mut Vec<u8>) {
    let lists = [members.incoming(), members.outgoing(), members.learners()];
    for list in lists {
        put_u32(out, list.len() as u32);
    }
    for server in lists.into_iter().flatten() {
        put_u64(out, server.0);
    }
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Takes fields from the front of untrusted bytes.
pub(crate) struct Reader(pub(crate) Bytes);

impl Reader {
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.0.try_get_u8().map_err(|_| DecodeError::Short)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.0.try_get_u32_le().map_err(|_| DecodeError::Short)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.0.try_get_u64_le().map_err(|_| DecodeError::Short)
    }

    fn u128(&mut self) -> Result<u128, DecodeError> {
        self.0.try_get_u128_le().map_err(|_| DecodeError::Short)
    }

    pub(crate) fn zeros(&mut self, count: usize) -> Result<(), DecodeError> {
        for _ in 0..count {
            if self.u8()? != 0 {
                return Err(DecodeError::Field("reserved byte"));
            }
        }
        Ok(())
    }

    pub(crate) fn log(&mut self) -> Result<LogId, DecodeError> {
        Ok(LogId::from_u32(self.u32()?))
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// A count of things of `size` bytes each, no more than the input can hold.
    pub(crate) fn count(&mut self, size: usize) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        if count.checked_mul(size).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(DecodeError::Short);
        }
        Ok(count)
    }

    fn fragment(&mut self, own: Participant, keyed: bool) -> Result<Fragment, DecodeError> {
        let csn = Csn(self.u64()?);
        let timestamp = Timestamp(self.u64()?);
        if csn == Csn::ZERO {
            return Err(DecodeError::Field("csn"));
        }
        let participants = self.count(12)?;
        let stages = self.count(8)?;
        let key = if keyed { Some(Key(self.u128()?)) } else { None };
        let mut places = Vec::with_capacity(participants);
        for _ in 0..participants {
            let place = Participant {
                group: GroupId(self.u32()?),
                index: Index(self.u64()?),
            };
            if places.last().is_some_and(|last: &Participant| last.group >= place.group) {
                return Err(DecodeError::Field("participant order"));
            }
            places.push(place);
        }
        if !places.contains(&own) {
            return Err(DecodeError::Field("participant list"));
        }
        let participants = if places.len() == 1 {
            Participants::Alone
        } else {
            Participants::Several(places.into())
        };
        let mut indexes = Vec::with_capacity(stages.min(self.0.len() / 8));
        for _ in 0..stages {
            let index = Index(self.u64()?);
            if index == Index::ZERO || index >= own.index || indexes.last().is_some_and(|last| *last >= index) {
                return Err(DecodeError::Field("stage index"));
            }
            indexes.push(index);
        }
        let payload = Payload::Held(self.rest());
        Ok(Fragment {
            csn,
            timestamp,
            key,
            participants,
            stages: Stages::from(indexes),
            payload,
        })
    }

    /// The version of an entry or a base.
    fn version(&mut self) -> Result<u8, DecodeError> {
        match self.u8()? {
            version @ (VERSION | VERSION_WITH_RECOVERIES) => Ok(version),
            other => Err(DecodeError::Version(other)),
        }
    }

    fn configuration(&mut self, version: u8) -> Result<Configuration, DecodeError> {
        let cluster = ClusterId(self.u64()?);
        let feature_level = self.u32()?;
        let count = self.count(9)?;
        let mut servers = Vec::with_capacity(count);
        for _ in 0..count {
            let server = ServerId(self.u64()?);
            let roles = match self.u8()? {
                bits @ 1..=3 => Roles {
                    log: bits & 1 != 0,
                    state: bits & 2 != 0,
                },
                _ => return Err(DecodeError::Field("roles")),
            };
            servers.push((server, roles));
        }
        let senate = self.members()?;
        let next_group = GroupId(self.u32()?);
        let count = self.count(16)?;
        let mut groups = Vec::with_capacity(count);
        for _ in 0..count {
            let group = GroupId(self.u32()?);
            groups.push((group, self.members()?));
        }
        let dropped_floor = Csn(self.u64()?);
        let count = self.count(12)?;
        let mut dropping = Vec::with_capacity(count);
        for _ in 0..count {
            dropping.push((GroupId(self.u32()?), Csn(self.u64()?)));
        }
        let count = if version == VERSION { 0 } else { self.count(32)? };
        let mut recoveries = Vec::with_capacity(count);
        for _ in 0..count {
            recoveries.push(Recovered {
                from: ClusterId(self.u64()?),
                at: Timestamp(self.u64()?),
                by: ServerId(self.u64()?),
                csn: Csn(self.u64()?),
            });
        }
        let configuration = Configuration {
            cluster,
            feature_level,
            servers,
            senate,
            groups,
            next_group,
            dropping,
            dropped_floor,
            recoveries,
        };
        match configuration.fault() {
            None => Ok(configuration),
            Some(fault) => Err(DecodeError::Field(fault)),
        }
    }

    fn members(&mut self) -> Result<Members, DecodeError> {
        let counts = [self.u32()?, self.u32()?, self.u32()?];
        let total: usize = counts.iter().map(|c| *c as usize).sum();
        if total > self.0.len() / 8 {
            return Err(DecodeError::Short);
        }
        let mut lists: [Vec<ServerId>; 3] = Default::default();
        for (list, count) in lists.iter_mut().zip(counts) {
            for _ in 0..count {
                list.push(ServerId(self.u64()?));
            }
        }
        if !lists.iter().all(|list| list.is_sorted()) {
            return Err(DecodeError::Field("member order"));
        }
        let [incoming, outgoing, learners] = lists;
        Members::joint(incoming, outgoing, learners).ok_or(DecodeError::Field("member list"))
    }
}
