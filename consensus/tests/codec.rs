//! The bytes on disk and on the wire: pinned, and safe to read whatever they are.

mod harness;

use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::*;
use harness::Dice;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entry_bytes(log: LogId, entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_entry(log, entry, &mut bytes);
    bytes
}

fn configuration() -> Configuration {
    Configuration::founding(ClusterId(7), vec![ServerId(1), ServerId(2)], 1).expect("a membership")
}

fn samples() -> Vec<(LogId, Entry, &'static str)> {
    let group = LogId::Group(GroupId(2));
    let payload = Payload::Held(Bytes::from_static(b"hi"));
    let place = |group, index| Participant {
        group: GroupId(group),
        index: Index(index),
    };
    let fragment = |participants, stages, key| {
        Record::Fragment(Arc::new(Fragment {
            csn: Csn(5),
            timestamp: Timestamp(6),
            key,
            participants,
            stages,
            payload: payload.clone(),
        }))
    };
    let entry = |record| Entry {
        index: Index(3),
        term: Term(4),
        record,
    };
    vec![
        (
            LogId::Senate,
            entry(Record::Noop),
            "010100000000000003000000000000000400000000000000",
        ),
        (
            LogId::Senate,
            entry(Record::Configuration(configuration().into())),
            "010200000000000003000000000000000400000000000000\
             070000000000000000000000\
             02000000010000000000000003020000000000000003\
             02000000000000000000000001000000000000000200000000000000\
             0100000001000000\
             0000000002000000000000000000000001000000000000000200000000000000\
             000000000000000000000000",
        ),
        (
            group,
            entry(Record::TermStart(TermStart {
                cut: Csn(5),
                timestamp: Timestamp(6),
            })),
            "01030000030000000300000000000000040000000000000005000000000000000600000000000000",
        ),
        (
            group,
            entry(Record::Stage(payload.clone())),
            "0104000003000000030000000000000004000000000000006869",
        ),
        (group, entry(Record::Barrier), "010600000300000003000000000000000400000000000000"),
        (
            group,
            entry(fragment(Participants::Alone, Stages::NONE, None)),
            "010500000300000003000000000000000400000000000000\
             050000000000000006000000000000000100000000000000\
             020000000300000000000000\
             6869",
        ),
        (
            group,
            entry(fragment(
                Participants::Several([place(1, 9), place(2, 3)].into()),
                Stages::from(vec![Index(1), Index(2)]),
                Some(Key(0x1122)),
            )),
            "010501000300000003000000000000000400000000000000\
             050000000000000006000000000000000200000002000000\
             22110000000000000000000000000000\
             010000000900000000000000020000000300000000000000\
             01000000000000000200000000000000\
             6869",
        ),
    ]
}

#[test]
fn entries_have_the_bytes_that_the_format_says() {
    for (log, entry, expected) in samples() {
        assert_eq!(hex(&entry_bytes(log, &entry)), expected, "{entry:?}");
    }
}

#[test]
fn entries_read_back() {
    for (log, entry, _) in samples() {
        assert_eq!(decode_entry(entry_bytes(log, &entry).into()), Ok((log, entry)));
    }
}

#[test]
fn bases_and_hard_state_have_the_bytes_that_the_format_says_and_read_back() {
    let base = Base {
        index: Index(1),
        term: Term(2),
        csn: Csn(3),
        timestamp: Timestamp(4),
        term_start: TermStartAt {
            term: Term(2),
            cut: Csn(1),
        },
        configuration: None,
    };
    let mut bytes = Vec::new();
    encode_base(LogId::Group(GroupId(0)), &base, &mut bytes);
    let expected = "0100000001000000010000000000000002000000000000000300000000000000040000000000000002000000000000000100000000000000";
    assert_eq!(hex(&bytes), expected);
    assert_eq!(decode_base(bytes.into()), Ok((LogId::Group(GroupId(0)), base.clone())));

    let senate = Base {
        configuration: Some(configuration().into()),
        ..base
    };
    let mut bytes = Vec::new();
    encode_base(LogId::Senate, &senate, &mut bytes);
    assert_eq!(decode_base(bytes.into()), Ok((LogId::Senate, senate)));

    for vote in [
        None,
        Some(Vote {
            server: ServerId(9),
            incarnation: Incarnation(8),
        }),
    ] {
        let state = HardState { term: Term(7), vote };
        let mut bytes = Vec::new();
        encode_hard_state(&state, &mut bytes);
        assert_eq!(bytes.len(), 32);
        assert_eq!(decode_hard_state(bytes.into()), Ok(state));
    }
}

#[test]
fn damaged_bytes_are_refused_or_read_as_something_never_a_panic() {
    let mut dice = Dice(1);
    for _ in 0..20_000 {
        let samples = samples();
        let (log, entry, _) = &samples[dice.below(samples.len() as u64) as usize];
        let mut bytes = entry_bytes(*log, entry);
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = dice.next() as u8;
        }
        bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
        let bytes = Bytes::from(bytes);
        let _ = decode_base(bytes.clone());
        let _ = decode_hard_state(bytes.clone());
        if let Ok((log, entry)) = decode_entry(bytes.clone()) {
            assert_eq!(entry_bytes(log, &entry), bytes, "what is read is what was written");
        }
    }
}

#[test]
fn every_shorter_entry_is_refused_unless_only_the_payload_is_shorter() {
    for (log, entry, _) in samples() {
        let bytes = entry_bytes(log, &entry);
        let payload = entry.record.payload().map_or(0, Payload::len);
        for len in 0..bytes.len() - payload {
            assert!(decode_entry(bytes[..len].to_vec().into()).is_err(), "{len} bytes of {entry:?}");
        }
    }
}

#[test]
fn a_fragment_that_does_not_name_itself_is_refused() {
    let (log, entry, _) = samples().pop().expect("there are samples");
    let mut bytes = entry_bytes(log, &entry);
    bytes[4] = 9; // another group's log
    assert_eq!(decode_entry(bytes.into()), Err(DecodeError::Field("participant list")));
}

#[test]
fn counts_beyond_the_input_allocate_nothing() {
    let (log, entry, _) = samples().pop().expect("there are samples");
    let mut bytes = entry_bytes(log, &entry);
    bytes[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode_entry(bytes.into()), Err(DecodeError::Short));
}

fn changed(bytes: &[u8], at: usize, to: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes.into()
}

#[test]
fn entries_that_nobody_writes_are_refused_by_what_is_wrong() {
    let bytes: Vec<_> = samples().iter().map(|(log, entry, _)| entry_bytes(*log, entry)).collect();
    let [noop, configuration, .., fragment] = bytes.as_slice() else {
        panic!("there are samples")
    };
    let field = DecodeError::Field;
    let zero = [0; 8];
    let cases = [
        (changed(noop, 0, &[9]), DecodeError::Version(9)),
        (changed(noop, 1, &[7]), DecodeError::Kind(7)),
        (changed(noop, 1, &[6]), field("log")),
        (changed(noop, 2, &[1]), field("flag")),
        (changed(noop, 3, &[1]), field("reserved byte")),
        (changed(noop, 8, &zero), field("index")),
        ([noop.as_slice(), &[0]].concat().into(), DecodeError::Trailing),
        (changed(configuration, 48, &[0]), field("roles")),
        (changed(configuration, 58, &[0xff; 4]), DecodeError::Short),
        (changed(configuration, 70, &[9]), field("member order")),
        (changed(configuration, 70, &[2]), field("member list")),
        (changed(fragment, 24, &zero), field("csn")),
        (changed(fragment, 64, &[2]), field("participant order")),
        (changed(fragment, 88, &zero), field("stage index")),
        (changed(fragment, 96, &[1]), field("stage index")),
        (changed(fragment, 96, &[3]), field("stage index")),
    ];
    for (bytes, error) in cases {
        assert_eq!(decode_entry(bytes), Err(error));
    }
}

#[test]
fn configurations_that_make_no_sense_are_refused_by_what_is_wrong() {
    type Breaks = fn(&mut Configuration);
    const END: Csn = Csn(1);
    let cases: [(&str, Breaks); 10] = [
        ("server order", |broken| broken.servers.reverse()),
        ("server", |broken| broken.servers[0].0 = ServerId::ZERO),
        ("group order", |broken| broken.groups.clear()),
        ("group order", |broken| broken.groups.extend(broken.groups.clone())),
        ("next group", |broken| broken.next_group = GroupId(0)),
        ("next group", |broken| broken.next_group = GroupId(u32::MAX)),
        ("order of groups being dropped", |broken| {
            broken.dropping = vec![(GroupId(0), END); 2]
        }),
        ("group being dropped", |broken| broken.dropping = vec![(GroupId(9), END)]),
        ("member", |broken| broken.servers.truncate(1)),
        ("member", |broken| broken.servers[0].1 = Roles::STATE),
    ];
    for (fault, breaks) in cases {
        let mut broken = configuration();
        breaks(&mut broken);
        assert_eq!(broken.fault(), Some(fault));
        let entry = Entry {
            index: Index(3),
            term: Term(4),
            record: Record::Configuration(broken.into()),
        };
        assert_eq!(
            decode_entry(entry_bytes(LogId::Senate, &entry).into()),
            Err(DecodeError::Field(fault))
        );
    }
}

#[test]
fn bases_and_hard_states_that_nobody_writes_are_refused_by_what_is_wrong() {
    let (mut base, mut state) = (Vec::new(), Vec::new());
    encode_base(LogId::Group(GroupId(0)), &Base::default(), &mut base);
    encode_hard_state(&HardState::default(), &mut state);
    let version = DecodeError::Version(2);
    assert_eq!(decode_base(changed(&base, 0, &[2])), Err(version));
    assert_eq!(decode_hard_state(changed(&state, 0, &[2])), Err(version));
    let reserved = DecodeError::Field("reserved byte");
    assert_eq!(decode_base(changed(&base, 3, &[1])), Err(reserved));
    assert_eq!(decode_hard_state(changed(&state, 7, &[1])), Err(reserved));
    for longer in [&mut base, &mut state] {
        longer.push(0);
    }
    assert_eq!(decode_base(base.into()), Err(DecodeError::Trailing));
    assert_eq!(decode_hard_state(state.into()), Err(DecodeError::Trailing));
}

#[test]
fn what_says_that_a_cluster_was_recovered_is_of_version_2_and_reads_back() {
    let recovered = Recovered {
        from: ClusterId(7),
        at: Timestamp(8),
        by: ServerId(2),
        csn: Csn(9),
    };
    let after = configuration().recovered(ClusterId(10), recovered).expect("server 2 can");
    assert_eq!((after.servers.len(), after.feature_level), (1, 1));
    assert_eq!(
        configuration().recovered(
            ClusterId(10),
            Recovered {
                by: ServerId(3),
                ..recovered
            }
        ),
        None
    );
    let entry = Entry {
        index: Index(3),
        term: Term(4),
        record: Record::Configuration(Arc::new(after.clone())),
    };
    let mut bytes = Vec::new();
    encode_entry(LogId::Senate, &entry, &mut bytes);
    assert_eq!(bytes[0], 2);
    let tail = b"\x01\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0";
    assert!(bytes.ends_with(tail));
    assert_eq!(decode_entry(bytes.clone().into()), Ok((LogId::Senate, entry)));
    let base = Base {
        index: Index(3),
        term: Term(4),
        configuration: Some(Arc::new(after)),
        ..Base::default()
    };
    let mut encoded = Vec::new();
    encode_base(LogId::Senate, &base, &mut encoded);
    assert_eq!(encoded[0], 2);
    assert_eq!(decode_base(encoded.into()), Ok((LogId::Senate, base)));
    // Version 1 has no room for them, and version 2 is for nothing else.
    bytes[0] = 1;
    assert!(decode_entry(bytes.into()).is_err());
    let mut plain = Vec::new();
    encode_entry(
        LogId::Senate,
        &Entry {
            record: Record::Configuration(Arc::new(configuration())),
            index: Index(3),
            term: Term(4),
        },
        &mut plain,
    );
    plain[0] = 2;
    assert!(decode_entry(plain.into()).is_err());
}
