//! What happened, as a hash that proves that a seed replays and, on demand, as lines to read.

use std::fmt::Write as _;

use curia_consensus::{Body, Donated, Entry, LogId, Matched, Message, Record, Section};

use crate::dice::{mix, mix_bytes};
use crate::plan::Micros;

/// The record of a run.
#[derive(Debug, Default)]
pub struct Story {
    hash: u64,
    told: bool,
}

impl Story {
    /// An empty one; when it is `told`, each line is printed as it happens.
    pub fn new(told: bool) -> Self {
        Self { hash: 0, told }
    }

    /// Of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Something happened: its numbers are hashed, its line is made only to be printed.
    pub fn add(&mut self, now: Micros, numbers: &[u64], line: impl FnOnce() -> String) {
        self.hash = numbers.iter().fold(mix(self.hash, now), |hash, number| mix(hash, *number));
        if self.told {
            println!("{:>5}.{:06}  {}", now / 1_000_000, now % 1_000_000, line());
        }
    }
}

/// What tells two messages apart.
pub fn weigh(message: &Message) -> u64 {
    let section = |hash: u64, section: &Section| {
        let entries = section.entries.len() as u64;
        mix(mix(hash, u64::from(section.log.to_u32())), section.previous.index.0 << 20 | entries)
    };
    let start = mix(message.from.0 << 32 | message.to.0, message.term.0);
    match &message.body {
        Body::PreVote { .. } => mix(start, 1),
        Body::PreVoteReply { granted, .. } => mix(start, 2 + u64::from(*granted)),
        Body::Vote { .. } => mix(start, 4),
        Body::VoteReply { granted, .. } => mix(start, 5 + u64::from(*granted)),
        Body::Append(append) => append.sections.iter().fold(mix(mix(start, 7), append.commit.0), section),
        Body::AppendReply(reply) => reply.sections.iter().fold(mix(start, 8), |hash, (log, matched)| {
            let (kind, index) = match matched {
                Matched::Upto(index) => (0, index.0),
                Matched::Not(tail) => (1, tail.index.0),
            };
            mix(mix(hash, u64::from(log.to_u32())), index << 1 | kind)
        }),
        Body::Fetch { after, .. } => mix(mix(start, 9), after.index.0),
        Body::Fetched { after, donated, .. } => {
            let found = match donated {
                Donated::Entries(entries) => entries.len() as u64,
                Donated::Parted(tail) => tail.index.0 << 2 | 1,
                Donated::Begins(base) => base.index.0 << 2 | 2,
            };
            mix(mix(mix(start, 10), after.index.0), found)
        }
        Body::SnapshotFetch { group, of, offset } => mix(mix(mix(mix(start, 11), u64::from(group.0)), *of), *offset),
        Body::Snapshot { group, offset, data, .. } => mix_bytes(mix(mix(mix(start, 12), u64::from(group.0)), *offset), data),
        Body::TimeoutNow { tail } => mix(mix(start, 13), tail.index.0),
        Body::ReadIndex { id } => mix(mix(start, 14), *id),
        Body::ReadIndexReply { id, csn } => mix(mix(mix(start, 15), *id), csn.map_or(u64::MAX, |csn| csn.0)),
    }
}

/// A message as a line of a story.
pub fn say(message: &Message) -> String {
    let mut line = format!("{:?} ─► {:?}  {:?} ", message.from, message.to, message.term);
    match &message.body {
        Body::Append(append) => {
            let _ = write!(line, "append, commit {:?}", append.commit);
            if let Some(resolved) = append.resolved {
                let _ = write!(line, ", resolved {resolved:?}");
            }
            if !append.tails_known {
                line.push_str(", wants tails");
            }
            for section in &append.sections {
                let _ = write!(
                    line,
                    "; {:?} after {:?}/{:?}:",
                    section.log, section.previous.index, section.previous.term
                );
                section
                    .entries
                    .iter()
                    .for_each(|entry| line.push_str(&say_entry(section.log, entry)));
            }
        }
        Body::AppendReply(reply) => {
            line.push_str("has");
            for (log, matched) in &reply.sections {
                match matched {
                    Matched::Upto(index) => write!(line, " {log:?} to {index:?}"),
                    Matched::Not(tail) => write!(line, " {log:?} not, maybe {:?}/{:?}", tail.index, tail.term),
                }
                .unwrap_or_default();
            }
            if let Some(tails) = &reply.tails {
                let _ = write!(line, ", tails {tails:?}");
            }
        }
        other => {
            let _ = write!(line, "{other:?}");
        }
    }
    line
}

/// An entry in a line of a story.
pub fn say_entry(_log: LogId, entry: &Entry) -> String {
    let mut line = format!(" {:?}/{:?}", entry.index, entry.term);
    let _ = match &entry.record {
        Record::Noop => write!(line, " no-op"),
        Record::Barrier => write!(line, " barrier"),
        Record::Configuration(configuration) => write!(line, " {configuration:?}"),
        Record::TermStart(start) => write!(line, " term-start cut {:?}", start.cut),
        Record::Stage(payload) => write!(line, " stage of {} bytes", payload.len()),
        Record::Fragment(fragment) => write!(line, " {:?} of {}", fragment.csn, fragment.participants.len()),
    };
    line
}
