//! What waits to be sent to one peer, in three lanes.
//!
//! ```text
//!   control     votes, heartbeats, answers, questions     always first
//!   entries     appends with entries, copies of logs      next
//!   snapshots   pieces of snapshots                       one frame in eight, or when nothing else waits
//! ```
//!
//! A message is encoded when its turn comes and leaves in frames; between two of them a lane of higher rank may send.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use curia_consensus::{Append, Body, Donated, Entry, Message, Payload, Section, encode_message};
use parking_lot::Mutex;

use crate::frame::{self, BODY_BYTES_MAX, Kind};

/// How many lanes there are.
pub const LANES: usize = 3;
/// The lanes' names, for people and metrics.
pub const NAMES: [&str; LANES] = ["control", "entries", "snapshots"];
/// About how many bytes of messages may wait in each lane.
const BYTES_MAX: [usize; LANES] = [4 << 20, 64 << 20, 16 << 20];
/// How many control messages wait while the peer isn't connected.
const UNCONNECTED_MAX: usize = 32;
/// After so many frames of other lanes a waiting snapshot gets its turn.
const SNAPSHOT_EVERY: u32 = 8;

/// About how many bytes a message takes besides its entries and data.
const MESSAGE_BYTES: usize = 128;
/// About how many bytes a section, a tail or an answer takes.
const PART_BYTES: usize = 48;

/// The lane of a message.
pub fn lane(message: &Message) -> usize {
    match &message.body {
        Body::Append(append) if append.sections.iter().any(|section| !section.entries.is_empty()) => 1,
        Body::Fetched {
            donated: Donated::Entries(entries),
            ..
        } if !entries.is_empty() => 1,
        Body::Snapshot { data, .. } if !data.is_empty() => 2,
        _ => 0,
    }
}

/// About how many bytes of memory and wire a message takes.
fn bytes(message: &Message) -> usize {
    let of_entries = |entries: &[Entry]| {
        entries
            .iter()
            .map(|entry| PART_BYTES + entry.record.payload().map_or(0, Payload::len))
            .sum()
    };
    let of_section = |section: &Section| -> usize { PART_BYTES + of_entries(&section.entries) };
    MESSAGE_BYTES
        + match &message.body {
            Body::Append(Append { sections, .. }) => sections.iter().map(of_section).sum(),
            Body::AppendReply(reply) => PART_BYTES * (reply.sections.len() + reply.tails.as_ref().map_or(0, Vec::len)),
            Body::VoteReply { tails, .. } => PART_BYTES * tails.len(),
            Body::Fetched {
                donated: Donated::Entries(entries),
                ..
            } => of_entries(entries),
            Body::Snapshot { data, .. } => data.len(),
            _ => 0,
        }
}

/// What became of a message that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits in this lane.
    Waits,
    /// There was no room in this lane: it, or an older one, is dropped.
    Dropped(usize),
}

/// Messages that wait. The driver puts them in, the connection's task takes them out.
#[derive(Debug, Default)]
pub struct Waiting {
    lanes: [VecDeque<Message>; LANES],
    bytes: [usize; LANES],
    /// A message of the lane has begun to leave, and may not be done.
    leaving: [bool; LANES],
    connected: bool,
}

impl Waiting {
    /// Takes a message in, or drops one.
    pub fn push(&mut self, message: Message) -> Taken {
        let lane = lane(&message);
        if !self.connected && lane != 0 {
            return Taken::Dropped(lane);
        }
        let bytes = bytes(&message);
        if self.bytes[lane] > 0 && self.bytes[lane] + bytes > BYTES_MAX[lane] {
            return Taken::Dropped(lane);
        }
        self.bytes[lane] += bytes;
        self.lanes[lane].push_back(message);
        if !self.connected && self.lanes[0].len() > UNCONNECTED_MAX {
            self.pop(0);
            return Taken::Dropped(0);
        }
        Taken::Waits
    }

    fn pop(&mut self, lane: usize) -> Option<Message> {
        let message = self.lanes[lane].pop_front()?;
        self.bytes[lane] -= bytes(&message);
        Some(message)
    }

    /// A connection was made.
    pub fn connected(&mut self) {
        self.connected = true;
    }

    /// The connection is lost: what waited for it will not be sent. How many messages that were.
    pub fn disconnected(&mut self) -> usize {
        let lost = std::mem::take(self);
        lost.lanes.iter().map(VecDeque::len).sum()
    }

    /// Whether entries have not all left.
    pub fn entries_wait(&self) -> bool {
        self.leaving[1] || !self.lanes[1].is_empty()
    }

    /// About how many bytes wait in each lane.
    pub fn bytes(&self) -> [usize; LANES] {
        self.bytes
    }
}

/// The messages that are leaving over one connection, one of each lane.
#[derive(Debug, Default)]
pub struct Leaving {
    /// Its bytes, and how many have left.
    lanes: [Option<(Bytes, usize)>; LANES],
    /// Frames of other lanes since the last one of a snapshot.
    since_snapshot: u32,
    /// Messages that could not be encoded, because a payload was let go of.
    unheld: u64,
}

impl Leaving {
    /// Appends frames until there are about `limit` bytes; how many frames. Zero when nothing waits. The lock is held for
    /// as long as it takes to take a message out, not while it is encoded.
    pub fn frames(&mut self, waiting: &Mutex<Waiting>, limit: usize, out: &mut BytesMut) -> u64 {
        let mut frames = 0;
        while out.len() < limit {
            let order = if self.since_snapshot >= SNAPSHOT_EVERY {
                [0, 2, 1]
            } else {
                [0, 1, 2]
            };
            let Some(lane) = order.into_iter().find(|lane| self.begin(*lane, waiting)) else {
                break;
            };
            let Some((bytes, at)) = &mut self.lanes[lane] else { break };
            let end = bytes.len().min(*at + BODY_BYTES_MAX);
            let last = end == bytes.len();
            frame::encode(Kind::Message, lane as u8, last, &bytes[*at..end], out);
            *at = end;
            if last {
                self.lanes[lane] = None;
            }
            self.since_snapshot = if lane == 2 { 0 } else { self.since_snapshot.saturating_add(1) };
            frames += 1;
        }
        frames
    }

    /// Makes sure that a message of the lane is leaving, if there is one.
    fn begin(&mut self, lane: usize, waiting: &Mutex<Waiting>) -> bool {
        while self.lanes[lane].is_none() {
            let taken = {
                let mut waiting = waiting.lock();
                let taken = waiting.pop(lane);
                waiting.leaving[lane] = taken.is_some();
                taken
            };
            let Some(message) = taken else { return false };
            let mut encoded = Vec::with_capacity(bytes(&message));
            match encode_message(&message, &mut encoded) {
                Ok(()) => self.lanes[lane] = Some((encoded.into(), 0)),
                Err(_) => self.unheld += 1,
            }
        }
        true
    }

    /// How many messages were given up because a payload was not in memory.
    pub fn unheld(&self) -> u64 {
        self.unheld
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curia_consensus::record::Record;
    use curia_consensus::{ClusterId, GroupId, Incarnation, Index, LogId, ServerId, Tail, Term, decode_message};

    fn message(body: Body) -> Message {
        Message {
            cluster: ClusterId(1),
            from: ServerId(1),
            to: ServerId(2),
            incarnation: Incarnation(3),
            term: Term(4),
            body,
        }
    }

    fn heartbeat() -> Message {
        message(Body::Append(Append::default()))
    }

    fn entries(payload: Payload) -> Message {
        let entry = Entry {
            index: Index(1),
            term: Term(4),
            record: Record::Stage(payload),
        };
        let section = Section {
            log: LogId::Group(GroupId(0)),
            base: None,
            previous: Tail::default(),
            entries: vec![entry],
            complete: Default::default(),
            closed: Default::default(),
        };
        message(Body::Append(Append {
            sections: vec![section],
            ..Append::default()
        }))
    }

    fn held(len: usize) -> Message {
        entries(Payload::Held(vec![5; len].into()))
    }

    fn piece(len: usize) -> Message {
        message(Body::Snapshot {
            group: GroupId(0),
            commit: Index(1),
            of: 1,
            base: None,
            offset: 0,
            data: vec![5; len].into(),
            last: false,
        })
    }

    fn connected() -> Mutex<Waiting> {
        let mut waiting = Waiting::default();
        waiting.connected();
        Mutex::new(waiting)
    }

    /// The lanes of all frames, and the messages that they make.
    fn drain(waiting: &Mutex<Waiting>, leaving: &mut Leaving) -> (Vec<u8>, Vec<Message>) {
        let (mut order, mut messages) = (Vec::new(), Vec::new());
        let mut parts: [crate::frame::Whole; LANES] = Default::default();
        let mut out = BytesMut::new();
        while leaving.frames(waiting, 1, &mut out) > 0 {
            let frame = frame::decode(&mut out).unwrap().unwrap();
            order.push(frame.lane);
            if let Some(whole) = parts[usize::from(frame.lane)].take(frame.body, frame.last, usize::MAX).unwrap() {
                messages.push(decode_message(whole).unwrap());
            }
        }
        (order, messages)
    }

    fn drained(waiting: &Mutex<Waiting>) -> (Vec<u8>, Vec<Message>) {
        drain(waiting, &mut Leaving::default())
    }

    #[test]
    fn a_heartbeat_passes_entries_and_entries_pass_snapshots() {
        let waiting = connected();
        let sent = [piece(10), held(10), heartbeat()];
        for message in sent.clone() {
            assert_eq!(waiting.lock().push(message), Taken::Waits);
        }
        let (order, messages) = drained(&waiting);
        assert_eq!(order, [0, 1, 2]);
        assert_eq!(messages, sent.into_iter().rev().collect::<Vec<_>>());
        assert_eq!(waiting.lock().bytes(), [0; LANES]);
    }

    #[test]
    fn a_heartbeat_waits_for_one_frame_of_a_long_message_only() {
        let (waiting, mut leaving) = (connected(), Leaving::default());
        waiting.lock().push(held(BODY_BYTES_MAX * 3));
        let mut out = BytesMut::new();
        assert_eq!(leaving.frames(&waiting, 1, &mut out), 1);
        assert!(waiting.lock().entries_wait());
        waiting.lock().push(heartbeat());
        let order: Vec<u8> = std::iter::from_fn(|| {
            out.clear();
            (leaving.frames(&waiting, 1, &mut out) > 0).then(|| frame::decode(&mut out).unwrap().unwrap().lane)
        })
        .collect();
        assert_eq!(order, [0, 1, 1, 1]);
        assert!(!waiting.lock().entries_wait());
    }

    #[test]
    fn a_snapshot_is_not_starved_by_entries() {
        let waiting = connected();
        for _ in 0..20 {
            waiting.lock().push(held(10));
        }
        waiting.lock().push(piece(10));
        let (order, _) = drained(&waiting);
        assert_eq!(order.iter().position(|lane| *lane == 2), Some(SNAPSHOT_EVERY as usize));
    }

    #[test]
    fn a_full_lane_drops_and_the_others_go_on() {
        let waiting = connected();
        let mut dropped = false;
        for _ in 0..=BYTES_MAX[1] >> 20 {
            dropped = waiting.lock().push(held(1 << 20)) == Taken::Dropped(1);
        }
        assert!(dropped);
        assert!(waiting.lock().bytes()[1] <= BYTES_MAX[1]);
        assert_eq!(waiting.lock().push(heartbeat()), Taken::Waits);
    }

    #[test]
    fn one_message_larger_than_the_limit_may_wait_alone() {
        let waiting = connected();
        assert_eq!(waiting.lock().push(held(BYTES_MAX[1] + 1)), Taken::Waits);
        assert_eq!(waiting.lock().push(held(1)), Taken::Dropped(1));
    }

    #[test]
    fn without_a_connection_the_latest_control_messages_wait_and_nothing_else() {
        let waiting = Mutex::new(Waiting::default());
        assert_eq!(waiting.lock().push(held(1)), Taken::Dropped(1));
        for round in 0..2 * UNCONNECTED_MAX as u64 {
            waiting.lock().push(message(Body::ReadIndex { id: round }));
        }
        waiting.lock().connected();
        let (_, messages) = drained(&waiting);
        assert_eq!(messages.len(), UNCONNECTED_MAX);
        assert_eq!(
            messages[0].body,
            Body::ReadIndex {
                id: UNCONNECTED_MAX as u64
            }
        );
    }

    #[test]
    fn what_waited_for_a_lost_connection_is_dropped() {
        let waiting = connected();
        waiting.lock().push(held(1));
        waiting.lock().push(heartbeat());
        assert_eq!(waiting.lock().disconnected(), 2);
        waiting.lock().connected();
        assert_eq!(drained(&waiting).1, []);
    }

    #[test]
    fn a_message_whose_payload_is_gone_is_given_up() {
        let (waiting, mut leaving) = (connected(), Leaving::default());
        waiting.lock().push(entries(Payload::Stored(3)));
        waiting.lock().push(held(1));
        assert_eq!(drain(&waiting, &mut leaving).1, [held(1)]);
        assert_eq!(leaving.unheld(), 1);
    }
}
