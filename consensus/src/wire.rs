//! Messages as bytes. All integers are little-endian; entries and bases have the form that they have on disk.
//!
//! ```text
//! message            0  u8   version = 1
//!                    1  u8   kind
//!                    2  u8   flags, by kind; a bit that the kind doesn't name is zero
//!                    3  u8   zero
//!                    4  u64  cluster
//!                   12  u64  from, u64 to
//!                   28  u64  incarnation
//!                   36  u64  term
//!                   44  ...  body
//!
//!  1 pre-vote        tail, freshness
//!  2 its reply       flags: 1 granted; tail, freshness
//!  3 vote            flags: 1 transfer; tail
//!  4 its reply       flags: 1 granted; tails
//!  5 append          flags: 1 tails known, 2 favoured, 4 resolved, 8 run; u64 round, u64 commit, u64 resolved, u64 snapshot
//!                    floor, u64 run, u32 mended (n), u32 sections (m), n * u32 log, m * section
//!  6 its reply       flags: 1 tails, 2 healing; u64 round, u64 applied, u64 durably applied, u64 run, if it has them: tails,
//!                    u32 sections, each (u32 log, u8 0, u64 index) up to where it matches, or (u32 log, u8 1, tail) where it
//!                    might; u32 damaged, each u32 log
//!  7 fetch           u32 log, tail
//!  8 fetched         u32 log, tail, then u8 1, entries; or u8 2, tail where the logs might agree; or u8 3, base
//!  9 snapshot fetch  u32 group, u64 snapshot, u64 offset
//! 10 snapshot        flags: 1 last, 2 base; u32 group, u64 commit, u64 snapshot, u64 offset, if it has one: base; data up to
//!                    the end
//! 11 time-out now    tail
//! 12 read index      u64 id
//! 13 its reply       flags: 1 csn; u64 id, u64 csn
//!
//! tail               u64 term, u64 index
//! tails              u32 groups, each (u32 group, tail)
//! freshness          u64 logged, u64 applied
//! section            u32 log, u8 1 with a base, else 0, tail of the entry before, u64 complete, u64 closed, base, entries
//! entries            u32 entries, each (u32 bytes, entry), of the log that is named before
//! base               u32 bytes, base, of the log that is named before
//! ```
//!
//! What is optional and absent is written as zero. Decoders take untrusted bytes: they never panic, and they allocate no
//! more than a few times the input's own size.

use bytes::Bytes;

use crate::codec::{DecodeError, Reader, VERSION, decode_base, decode_entry, encode_base, encode_entry, put_u32, put_u64};
use crate::ids::{ClusterId, Csn, GroupId, Incarnation, Index, LogId, ServerId, Tail, Term};
use crate::log::Base;
use crate::message::{Append, AppendReply, Body, Donated, Freshness, Matched, Message, Section};
use crate::record::Entry;

/// The message names a payload that is in the log store only: it can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld;

const GRANTED: u8 = 1;
const TRANSFER: u8 = 1;
const TAILS_KNOWN: u8 = 1;
const FAVOURED: u8 = 2;
const RESOLVED: u8 = 4;
const RUN: u8 = 8;
const TAILS: u8 = 1;
const HEALING: u8 = 2;
const LAST: u8 = 1;
const BASE: u8 = 2;
const CSN: u8 = 1;

/// Appends a message.
///
/// # Errors
/// When a payload isn't in memory; nothing is appended then.
pub fn encode_message(message: &Message, out: &mut Vec<u8>) -> Result<(), NotHeld> {
    let held = |entries: &[Entry]| entries.iter().all(Entry::is_held);
    let sendable = match &message.body {
        Body::Append(append) => append.sections.iter().all(|section| held(&section.entries)),
        Body::Fetched {
            donated: Donated::Entries(entries),
            ..
        } => held(entries),
        _ => true,
    };
    if !sendable {
        return Err(NotHeld);
    }
    let (kind, flags) = kind_and_flags(&message.body);
    out.extend_from_slice(&[VERSION, kind, flags, 0]);
    put_u64(out, message.cluster.0);
    put_u64(out, message.from.0);
    put_u64(out, message.to.0);
    put_u64(out, message.incarnation.0);
    put_u64(out, message.term.0);
    match &message.body {
        Body::PreVote { tail, freshness } | Body::PreVoteReply { tail, freshness, .. } => {
            put_tail(out, *tail);
            put_u64(out, freshness.logged);
            put_u64(out, freshness.applied.0);
        }
        Body::Vote { tail, .. } | Body::TimeoutNow { tail } => put_tail(out, *tail),
        Body::VoteReply { tails, .. } => put_tails(out, tails),
        Body::Append(append) => put_append(out, append),
        Body::AppendReply(reply) => put_append_reply(out, reply),
        Body::Fetch { log, after } => {
            put_u32(out, log.to_u32());
            put_tail(out, *after);
        }
        Body::Fetched { log, after, donated } => {
            put_u32(out, log.to_u32());
            put_tail(out, *after);
            match donated {
                Donated::Entries(entries) => {
                    out.push(1);
                    put_entries(out, *log, entries);
                }
                Donated::Parted(tail) => {
                    out.push(2);
                    put_tail(out, *tail);
                }
                Donated::Begins(base) => {
                    out.push(3);
                    put_base(out, *log, base);
                }
            }
        }
        Body::SnapshotFetch { group, of, offset } => {
            put_u32(out, group.0);
            put_u64(out, *of);
            put_u64(out, *offset);
        }
        Body::Snapshot {
            group,
            commit,
            of,
            base,
            offset,
            data,
            last: _,
        } => {
            put_u32(out, group.0);
            put_u64(out, commit.0);
            put_u64(out, *of);
            put_u64(out, *offset);
            if let Some(base) = base {
                put_base(out, LogId::Group(*group), base);
            }
            out.extend_from_slice(data);
        }
        Body::ReadIndex { id } => put_u64(out, *id),
        Body::ReadIndexReply { id, csn } => {
            put_u64(out, *id);
            put_u64(out, csn.unwrap_or_default().0);
        }
    }
    Ok(())
}

fn kind_and_flags(body: &Body) -> (u8, u8) {
    let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
    match body {
        Body::PreVote { .. } => (1, 0),
        Body::PreVoteReply { granted, .. } => (2, flag(*granted, GRANTED)),
        Body::Vote { transfer, .. } => (3, flag(*transfer, TRANSFER)),
        Body::VoteReply { granted, .. } => (4, flag(*granted, GRANTED)),
        Body::Append(append) => {
            let flags = flag(append.tails_known, TAILS_KNOWN)
                | flag(append.favoured, FAVOURED)
                | flag(append.resolved.is_some(), RESOLVED)
                | flag(append.run.is_some(), RUN);
            (5, flags)
        }
        Body::AppendReply(reply) => (6, flag(reply.tails.is_some(), TAILS) | flag(reply.healing, HEALING)),
        Body::Fetch { .. } => (7, 0),
        Body::Fetched { .. } => (8, 0),
        Body::SnapshotFetch { .. } => (9, 0),
        Body::Snapshot { base, last, .. } => (10, flag(*last, LAST) | flag(base.is_some(), BASE)),
        Body::TimeoutNow { .. } => (11, 0),
        Body::ReadIndex { .. } => (12, 0),
        Body::ReadIndexReply { csn, .. } => (13, flag(csn.is_some(), CSN)),
    }
}

fn put_append(out: &mut Vec<u8>, append: &Append) {
    put_u64(out, append.round);
    put_u64(out, append.commit.0);
    put_u64(out, append.resolved.unwrap_or_default().0);
    put_u64(out, append.snapshot_floor.0);
    put_u64(out, append.run.unwrap_or_default().0);
    put_u32(out, append.mended.len() as u32);
    put_u32(out, append.sections.len() as u32);
    append.mended.iter().for_each(|log| put_u32(out, log.to_u32()));
    for section in &append.sections {
        put_u32(out, section.log.to_u32());
        out.push(section.base.is_some().into());
        put_tail(out, section.previous);
        put_u64(out, section.complete.0);
        put_u64(out, section.closed.0);
        if let Some(base) = &section.base {
            put_base(out, section.log, base);
        }
        put_entries(out, section.log, &section.entries);
    }
}

fn put_append_reply(out: &mut Vec<u8>, reply: &AppendReply) {
    put_u64(out, reply.round);
    put_u64(out, reply.applied.0);
    put_u64(out, reply.durable_applied.0);
    put_u64(out, reply.run.0);
    if let Some(tails) = &reply.tails {
        put_tails(out, tails);
    }
    put_u32(out, reply.sections.len() as u32);
    for (log, matched) in &reply.sections {
        put_u32(out, log.to_u32());
        match matched {
            Matched::Upto(index) => {
                out.push(0);
                put_u64(out, index.0);
            }
            Matched::Not(tail) => {
                out.push(1);
                put_tail(out, *tail);
            }
        }
    }
    put_u32(out, reply.damaged.len() as u32);
    reply.damaged.iter().for_each(|log| put_u32(out, log.to_u32()));
}

fn put_tail(out: &mut Vec<u8>, tail: Tail) {
    put_u64(out, tail.term.0);
    put_u64(out, tail.index.0);
}

fn put_tails(out: &mut Vec<u8>, tails: &[(GroupId, Tail)]) {
    put_u32(out, tails.len() as u32);
    for (group, tail) in tails {
        put_u32(out, group.0);
        put_tail(out, *tail);
    }
}

fn put_entries(out: &mut Vec<u8>, log: LogId, entries: &[Entry]) {
    put_u32(out, entries.len() as u32);
    for entry in entries {
        sized(out, |out| encode_entry(log, entry, out));
    }
}

fn put_base(out: &mut Vec<u8>, log: LogId, base: &Base) {
    sized(out, |out| encode_base(log, base, out));
}

/// What is written, behind its length.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_u32(out, 0);
    write(out);
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Reads what [`encode_message`] wrote. Payloads and snapshot data share the input's memory.
///
/// # Errors
/// When it is no message of this version.
pub fn decode_message(input: Bytes) -> Result<Message, DecodeError> {
    let mut input = Reader(input);
    let version = input.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let (kind, flags) = (input.u8()?, input.u8()?);
    input.zeros(1)?;
    let known = match kind {
        2 | 4 => GRANTED,
        3 => TRANSFER,
        5 => TAILS_KNOWN | FAVOURED | RESOLVED | RUN,
        6 => TAILS | HEALING,
        10 => LAST | BASE,
        13 => CSN,
        _ => 0,
    };
    if flags & !known != 0 {
        return Err(DecodeError::Field("flag"));
    }
    let cluster = ClusterId(input.u64()?);
    let (from, to) = (ServerId(input.u64()?), ServerId(input.u64()?));
    let incarnation = Incarnation(input.u64()?);
    let term = Term(input.u64()?);
    let body = input.body(kind, flags)?;
    input.end()?;
    Ok(Message {
        cluster,
        from,
        to,
        incarnation,
        term,
        body,
    })
}

impl Reader {
    fn body(&mut self, kind: u8, flags: u8) -> Result<Body, DecodeError> {
        Ok(match kind {
            1 => Body::PreVote {
                tail: self.tail()?,
                freshness: self.freshness()?,
            },
            2 => Body::PreVoteReply {
                granted: flags & GRANTED != 0,
                tail: self.tail()?,
                freshness: self.freshness()?,
            },
            3 => Body::Vote {
                tail: self.tail()?,
                transfer: flags & TRANSFER != 0,
            },
            4 => Body::VoteReply {
                granted: flags & GRANTED != 0,
                tails: self.tails()?,
            },
            5 => Body::Append(self.append(flags)?),
            6 => Body::AppendReply(self.append_reply(flags)?),
            7 => Body::Fetch {
                log: self.log()?,
                after: self.tail()?,
            },
            8 => {
                let log = self.log()?;
                let after = self.tail()?;
                let donated = match self.u8()? {
                    1 => Donated::Entries(self.entries(log)?),
                    2 => Donated::Parted(self.tail()?),
                    3 => Donated::Begins(self.base(log)?),
                    _ => return Err(DecodeError::Field("donation")),
                };
                Body::Fetched { log, after, donated }
            }
            9 => Body::SnapshotFetch {
                group: self.group()?,
                of: self.u64()?,
                offset: self.u64()?,
            },
            10 => {
                let group = self.group()?;
                let commit = Index(self.u64()?);
                let (of, offset) = (self.u64()?, self.u64()?);
                let base = if flags & BASE != 0 {
                    Some(self.base(LogId::Group(group))?)
                } else {
                    None
                };
                Body::Snapshot {
                    group,
                    commit,
                    of,
                    base,
                    offset,
                    data: self.rest(),
                    last: flags & LAST != 0,
                }
            }
            11 => Body::TimeoutNow { tail: self.tail()? },
            12 => Body::ReadIndex { id: self.u64()? },
            13 => Body::ReadIndexReply {
                id: self.u64()?,
                csn: self.optional(flags & CSN != 0)?.map(Csn),
            },
            _ => return Err(DecodeError::Kind(kind)),
        })
    }

    fn append(&mut self, flags: u8) -> Result<Append, DecodeError> {
        let round = self.u64()?;
        let commit = Index(self.u64()?);
        let resolved = self.optional(flags & RESOLVED != 0)?.map(Csn);
        let snapshot_floor = Csn(self.u64()?);
        let run = self.optional(flags & RUN != 0)?.map(Incarnation);
        let (mended_count, section_count) = (self.u32()?, self.u32()?);
        let mended = self.repeated(mended_count, 4, Reader::log)?;
        let sections = self.repeated(section_count, 41, Reader::section)?;
        Ok(Append {
            tails_known: flags & TAILS_KNOWN != 0,
            round,
            favoured: flags & FAVOURED != 0,
            commit,
            resolved,
            snapshot_floor,
            run,
            mended,
            sections,
        })
    }

    fn section(&mut self) -> Result<Section, DecodeError> {
        let log = self.log()?;
        let has_base = match self.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Field("flag")),
        };
        let previous = self.tail()?;
        let (complete, closed) = (Csn(self.u64()?), Index(self.u64()?));
        let base = if has_base { Some(self.base(log)?) } else { None };
        Ok(Section {
            log,
            base,
            previous,
            entries: self.entries(log)?,
            complete,
            closed,
        })
    }

    fn append_reply(&mut self, flags: u8) -> Result<AppendReply, DecodeError> {
        let round = self.u64()?;
        let (applied, durable_applied) = (Csn(self.u64()?), Csn(self.u64()?));
        let run = Incarnation(self.u64()?);
        let tails = if flags & TAILS != 0 { Some(self.tails()?) } else { None };
        let count = self.u32()?;
        let sections = self.repeated(count, 13, |input| {
            let log = input.log()?;
            let matched = match input.u8()? {
                0 => Matched::Upto(Index(input.u64()?)),
                1 => Matched::Not(input.tail()?),
                _ => return Err(DecodeError::Field("match")),
            };
            Ok((log, matched))
        })?;
        let count = self.u32()?;
        let damaged = self.repeated(count, 4, Reader::log)?;
        Ok(AppendReply {
            round,
            tails,
            sections,
            applied,
            durable_applied,
            healing: flags & HEALING != 0,
            run,
            damaged,
        })
    }

    fn tail(&mut self) -> Result<Tail, DecodeError> {
        Ok(Tail {
            term: Term(self.u64()?),
            index: Index(self.u64()?),
        })
    }

    fn freshness(&mut self) -> Result<Freshness, DecodeError> {
        Ok(Freshness {
            logged: self.u64()?,
            applied: Csn(self.u64()?),
        })
    }

    /// A group that a log can be named after.
    fn group(&mut self) -> Result<GroupId, DecodeError> {
        match self.u32()? {
            u32::MAX => Err(DecodeError::Field("group")),
            group => Ok(GroupId(group)),
        }
    }

    fn tails(&mut self) -> Result<Vec<(GroupId, Tail)>, DecodeError> {
        let count = self.u32()?;
        self.repeated(count, 20, |input| Ok((input.group()?, input.tail()?)))
    }

    fn entries(&mut self, log: LogId) -> Result<Vec<Entry>, DecodeError> {
        let count = self.u32()?;
        self.repeated(count, 4 + crate::codec::ENTRY_HEADER_BYTES, |input| {
            let (of, entry) = decode_entry(input.sized()?)?;
            if of == log { Ok(entry) } else { Err(DecodeError::Field("log")) }
        })
    }

    fn base(&mut self, log: LogId) -> Result<Base, DecodeError> {
        let (of, base) = decode_base(self.sized()?)?;
        if of == log { Ok(base) } else { Err(DecodeError::Field("log")) }
    }

    /// A number that is zero when it is absent.
    fn optional(&mut self, present: bool) -> Result<Option<u64>, DecodeError> {
        match (present, self.u64()?) {
            (false, 0) => Ok(None),
            (false, _) => Err(DecodeError::Field("absent number")),
            (true, number) => Ok(Some(number)),
        }
    }

    /// Bytes behind their length.
    fn sized(&mut self) -> Result<Bytes, DecodeError> {
        let len = self.count(1)?;
        Ok(self.0.split_to(len))
    }

    /// So many things of at least `size` bytes each.
    fn repeated<T>(
        &mut self,
        count: u32,
        size: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = count as usize;
        if count.checked_mul(size).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(DecodeError::Short);
        }
        (0..count).map(|_| read(self)).collect()
    }
}
