//! Messages as bytes: pinned, read back, and safe to read whatever they are.

mod harness;

use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::*;
use harness::Dice;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_message(message, &mut bytes).expect("payloads are in memory");
    bytes
}

const GROUP: LogId = LogId::Group(GroupId(2));

fn tail(term: u64, index: u64) -> Tail {
    Tail {
        term: Term(term),
        index: Index(index),
    }
}

fn base(configuration: Option<Arc<Configuration>>) -> Base {
    Base {
        index: Index(1),
        term: Term(2),
        csn: Csn(3),
        timestamp: Timestamp(4),
        term_start: TermStartAt {
            term: Term(2),
            cut: Csn(1),
        },
        configuration,
    }
}

fn stage(payload: Payload) -> Entry {
    Entry {
        index: Index(3),
        term: Term(4),
        record: Record::Stage(payload),
    }
}

fn held() -> Entry {
    stage(Payload::Held(Bytes::from_static(b"hi")))
}

/// The bytes of the header up to the body, after kind and flags.
const HEADER: &str = "0007000000000000000100000000000000020000000000000008000000000000000900000000000000";

/// Messages of every kind, each with its kind, flags and body as the format says.
fn samples() -> Vec<(Message, String)> {
    let freshness = Freshness {
        logged: 5,
        applied: Csn(6),
    };
    let configuration = Configuration::founding(ClusterId(7), vec![ServerId(1)], 1).expect("a membership");
    let senate_base = base(Some(configuration.into()));
    let append = Append {
        tails_known: true,
        round: 1,
        favoured: true,
        commit: Index(2),
        resolved: Some(Csn(3)),
        snapshot_floor: Csn(4),
        run: Some(Incarnation(5)),
        mended: vec![LogId::Senate, GROUP],
        sections: vec![
            Section {
                log: GROUP,
                base: Some(base(None)),
                previous: tail(3, 2),
                entries: vec![held()],
                complete: Csn(6),
                closed: Index(7),
            },
            Section {
                log: LogId::Senate,
                base: None,
                previous: tail(0, 0),
                entries: Vec::new(),
                complete: Csn(0),
                closed: Index(0),
            },
        ],
    };
    let reply = AppendReply {
        round: 1,
        tails: Some(vec![(GroupId(2), tail(3, 4))]),
        sections: vec![(LogId::Senate, Matched::Upto(Index(5))), (GROUP, Matched::Not(tail(3, 4)))],
        applied: Csn(6),
        durable_applied: Csn(5),
        healing: true,
        run: Incarnation(9),
        damaged: vec![GROUP],
    };
    let snapshot = |base, last| Body::Snapshot {
        group: GroupId(2),
        commit: Index(3),
        of: 4,
        base,
        offset: 5,
        data: Bytes::from_static(b"piece"),
        last,
    };
    let fetched = |log, donated| Body::Fetched {
        log,
        after: tail(1, 2),
        donated,
    };
    let place = "01000000000000000200000000000000"; // tail(1, 2)
    let group_base = "38000000\
         0100000003000000010000000000000002000000000000000300000000000000040000000000000002000000000000000100000000000000";
    let entry = "1a0000000104000003000000030000000000000004000000000000006869";
    let bodies: Vec<(Body, &str, String)> = vec![
        (
            Body::PreVote {
                tail: tail(1, 2),
                freshness,
            },
            "0100",
            format!("{place}05000000000000000600000000000000"),
        ),
        (
            Body::PreVoteReply {
                granted: true,
                tail: tail(1, 2),
                freshness,
            },
            "0201",
            format!("{place}05000000000000000600000000000000"),
        ),
        (
            Body::Vote {
                tail: tail(1, 2),
                transfer: true,
            },
            "0301",
            place.into(),
        ),
        (
            Body::VoteReply {
                granted: true,
                tails: vec![(GroupId(2), tail(1, 2))],
            },
            "0401",
            format!("0100000002000000{place}"),
        ),
        (
            Body::Append(append),
            "050f",
            format!(
                "01000000000000000200000000000000030000000000000004000000000000000500000000000000\
                 02000000020000000000000003000000\
                 0300000001030000000000000002000000000000000600000000000000070000000000000\
                 0{group_base}01000000{entry}\
                 000000000000000000000000000000000000000000000000000000000000000000000000\
                 0000000000"
            ),
        ),
        (Body::Append(Append::default()), "0500", "00".repeat(48)),
        (
            Body::AppendReply(reply),
            "0603",
            "0100000000000000060000000000000005000000000000000900000000000000\
             010000000200000003000000000000000400000000000000\
             02000000000000000005000000000000000300000001\
             03000000000000000400000000000000\
             0100000003000000"
                .into(),
        ),
        (Body::AppendReply(AppendReply::default()), "0600", "00".repeat(40)),
        (
            Body::Fetch {
                log: GROUP,
                after: tail(1, 2),
            },
            "0700",
            format!("03000000{place}"),
        ),
        (
            fetched(GROUP, Donated::Entries(vec![held()])),
            "0800",
            format!("03000000{place}0101000000{entry}"),
        ),
        (
            fetched(LogId::Senate, Donated::Parted(tail(1, 2))),
            "0800",
            format!("00000000{place}02{place}"),
        ),
        (
            fetched(GROUP, Donated::Begins(base(None))),
            "0800",
            format!("03000000{place}03{group_base}"),
        ),
        (fetched(LogId::Senate, Donated::Begins(senate_base.clone())), "0800", {
            let mut bytes = Vec::new();
            encode_base(LogId::Senate, &senate_base, &mut bytes);
            format!("00000000{place}03{}{}", hex(&(bytes.len() as u32).to_le_bytes()), hex(&bytes))
        }),
        (
            Body::SnapshotFetch {
                group: GroupId(2),
                of: 4,
                offset: 5,
            },
            "0900",
            "0200000004000000000000000500000000000000".into(),
        ),
        (
            snapshot(Some(base(None)), true),
            "0a03",
            format!("02000000030000000000000004000000000000000500000000000000{group_base}7069656365"),
        ),
        (
            snapshot(None, false),
            "0a00",
            "020000000300000000000000040000000000000005000000000000007069656365".into(),
        ),
        (Body::TimeoutNow { tail: tail(1, 2) }, "0b00", place.into()),
        (Body::ReadIndex { id: 5 }, "0c00", "0500000000000000".into()),
        (
            Body::ReadIndexReply { id: 5, csn: Some(Csn(6)) },
            "0d01",
            "05000000000000000600000000000000".into(),
        ),
        (
            Body::ReadIndexReply { id: 5, csn: None },
            "0d00",
            "05000000000000000000000000000000".into(),
        ),
    ];
    let message = |body| Message {
        cluster: ClusterId(7),
        from: ServerId(1),
        to: ServerId(2),
        incarnation: Incarnation(8),
        term: Term(9),
        body,
    };
    bodies
        .into_iter()
        .map(|(body, kind, bytes)| (message(body), format!("01{kind}{HEADER}{bytes}")))
        .collect()
}

#[test]
fn messages_have_the_bytes_that_the_format_says() {
    for (message, expected) in samples() {
        assert_eq!(hex(&bytes_of(&message)), expected, "{message:?}");
    }
}

#[test]
fn messages_read_back() {
    for (message, _) in samples() {
        assert_eq!(decode_message(bytes_of(&message).into()), Ok(message));
    }
}

#[test]
fn a_message_whose_payload_was_let_go_of_is_not_written() {
    let stored = stage(Payload::Stored(9));
    for (mut message, _) in samples() {
        let entries = match &mut message.body {
            Body::Append(append) if !append.sections.is_empty() => &mut append.sections[0].entries,
            Body::Fetched {
                donated: Donated::Entries(entries),
                ..
            } => entries,
            _ => continue,
        };
        entries.push(stored.clone());
        let mut out = Vec::new();
        assert_eq!(encode_message(&message, &mut out), Err(NotHeld));
        assert!(out.is_empty());
    }
}

#[test]
fn every_shorter_message_is_refused_unless_only_the_piece_of_a_snapshot_is_shorter() {
    for (message, _) in samples() {
        let bytes = bytes_of(&message);
        let data = match &message.body {
            Body::Snapshot { data, .. } => data.len(),
            _ => 0,
        };
        for len in 0..bytes.len() - data {
            assert!(decode_message(bytes[..len].to_vec().into()).is_err(), "{len} bytes of {message:?}");
        }
    }
}

#[test]
fn damaged_messages_are_refused_or_read_as_something_never_a_panic() {
    let mut dice = Dice(1);
    let samples: Vec<_> = samples().iter().map(|(message, _)| bytes_of(message)).collect();
    for _ in 0..50_000 {
        let mut bytes = samples[dice.below(samples.len() as u64) as usize].clone();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = dice.next() as u8;
        }
        if dice.below(4) == 0 {
            bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
        }
        let bytes = Bytes::from(bytes);
        if let Ok(message) = decode_message(bytes.clone()) {
            assert_eq!(bytes_of(&message), bytes, "what is read is what was written");
        }
    }
}

#[test]
fn counts_beyond_the_input_allocate_nothing() {
    let kinds = [(4u8, 44), (5, 84), (5, 88), (6, 76), (6, 80)];
    for (kind, at) in kinds {
        let sample = samples()
            .into_iter()
            .map(|(message, _)| bytes_of(&message))
            .rfind(|bytes| bytes[1] == kind);
        let mut bytes = sample.expect("there are samples of all kinds");
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode_message(bytes.into()), Err(DecodeError::Short), "kind {kind} at {at}");
    }
}

#[test]
fn messages_that_nobody_writes_are_refused_by_what_is_wrong() {
    let bytes_of_kind = |kind: u8| {
        let samples = samples();
        let found = samples.iter().map(|(message, _)| bytes_of(message)).find(|bytes| bytes[1] == kind);
        found.expect("there are samples of all kinds")
    };
    let changed = |kind: u8, at: usize, to: &[u8]| {
        let mut bytes = bytes_of_kind(kind);
        bytes[at..at + to.len()].copy_from_slice(to);
        Bytes::from(bytes)
    };
    let field = DecodeError::Field;
    let cases = [
        (changed(1, 0, &[2]), DecodeError::Version(2)),
        (changed(1, 1, &[14]), DecodeError::Kind(14)),
        (changed(1, 1, &[0]), DecodeError::Kind(0)),
        (changed(1, 2, &[1]), field("flag")),
        (changed(3, 2, &[2]), field("flag")),
        (changed(5, 2, &[0x1f]), field("flag")),
        (changed(1, 3, &[1]), field("reserved byte")),
        (changed(5, 2, &[0x0b]), field("absent number")),
        (changed(13, 2, &[0]), field("absent number")),
        (changed(4, 48, &[0xff; 4]), field("group")),
        (changed(9, 44, &[0xff; 4]), field("group")),
        (changed(5, 104, &[2]), field("flag")),
        (changed(5, 100, &[9]), field("log")),
        (changed(8, 44, &[9]), field("log")),
        (changed(8, 64, &[4]), field("donation")),
        (changed(6, 108, &[2]), field("match")),
        ([bytes_of_kind(12).as_slice(), &[0]].concat().into(), DecodeError::Trailing),
    ];
    for (at, (bytes, error)) in cases.into_iter().enumerate() {
        assert_eq!(decode_message(bytes), Err(error), "case {at}");
    }
}
