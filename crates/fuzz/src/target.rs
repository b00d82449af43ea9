//! The decoders, each with valid samples to start from.

use bytes::Bytes;
use curia_consensus as consensus;
use curia_consensus::ids::{Csn, GroupId, Index, LogId, Term, Timestamp};
use curia_consensus::record::{Entry, Record};
use curia_pgprotocol::decode;
use curia_storage::fragment::{FragmentReader, FragmentWriter};
use curia_storage::{key, log, row::RowLayout};
use curia_types::numeric::Numeric;
use curia_types::{Datum, Interval, IoContext, PgType, binary_io, oid, text_io};
use std::sync::Arc;

/// A decoder under test.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Valid inputs.
    pub samples: Vec<Vec<u8>>,
    /// Decodes; whether the input was accepted.
    pub decode: fn(&[u8]) -> bool,
}

/// Every decoder.
pub fn all() -> Vec<Target> {
    let target = |name, samples, decode| Target { name, samples, decode };
    vec![
        target("pg-message", messages(), pg_message),
        target("pg-startup", startups(), |b| decode::startup(b).is_ok()),
        target("pg-sasl", vec![b"SCRAM-SHA-256\0\0\0\0\x05n,,n=".to_vec()], |b| {
            decode::sasl_initial(b).is_ok()
        }),
        target("log-segment", vec![vec![0; 32]], log::fuzz_segment_header),
        target("log-batch", vec![vec![0; 64], vec![1; 128]], log::fuzz_batch),
        target("log-entry", entries(), |b| {
            consensus::decode_entry(Bytes::copy_from_slice(b)).is_ok()
        }),
        target("log-base", bases(), |b| consensus::decode_base(Bytes::copy_from_slice(b)).is_ok()),
        target("hard-state", hard_states(), |b| {
            consensus::decode_hard_state(Bytes::copy_from_slice(b)).is_ok()
        }),
        target("message", consensus_messages(), |b| {
            consensus::decode_message(Bytes::copy_from_slice(b)).is_ok()
        }),
        target("peer-hello", peer_hellos(), peer_words),
        target("peer-frame", peer_frames(), |b| {
            matches!(curia_peer::frame::decode(&mut b.into()), Ok(Some(_)))
        }),
        target("peer-book", peer_books(), |b| {
            curia_peer::Book::decode(Bytes::copy_from_slice(b)).is_some()
        }),
        target("snapshot", snapshots(), curia_storage::state::fuzz_snapshot),
        target("fragment", fragments(), fragment),
        target("key", keys(), |b| {
            TYPES
                .iter()
                .any(|ty| key::decode(b, *ty, false, false).is_ok() | key::decode(b, *ty, true, true).is_ok())
        }),
        target("row", rows(), |b| layout().decode_all(b).is_ok()),
        target("catalog", catalog(), |b| {
            curia_catalog::codec::decode(b).is_ok() | curia_catalog::codec::decode_key(b).is_ok()
        }),
        target("binary-value", binary_values(), |b| {
            TYPES.iter().filter(|ty| binary_io::decode(**ty, b).is_ok()).count() > 0
        }),
        target("text-value", text_values(), text_value),
    ]
}

const fn plain(oid: u32) -> PgType {
    PgType { oid, typmod: -1 }
}

const TYPES: [PgType; 23] = [
    PgType::BOOL,
    PgType::INT2,
    PgType::INT4,
    PgType::INT8,
    PgType::OID,
    PgType::FLOAT4,
    PgType::FLOAT8,
    PgType::NUMERIC,
    PgType::TEXT,
    PgType::BPCHAR,
    PgType::BYTEA,
    PgType::DATE,
    PgType::TIME,
    PgType::TIMESTAMP,
    PgType::TIMESTAMPTZ,
    PgType::INTERVAL,
    PgType::UUID,
    plain(oid::JSONB),
    plain(oid::INT4_ARRAY),
    plain(oid::VARBIT),
    plain(oid::INET),
    plain(oid::TIMETZ),
    plain(oid::MACADDR),
];

/// One value of each of [`TYPES`].
fn values() -> Vec<Datum> {
    let mut all = vec![
        Datum::Bool(true),
        Datum::Int2(-2),
        Datum::Int4(4),
        Datum::Int8(1 << 40),
        Datum::Oid(16_384),
        Datum::Float4(1.5),
        Datum::Float8(f64::NAN),
        Datum::Numeric(Numeric::from(-7i64)),
        Datum::text("a text\u{0416}"),
        Datum::text("padded  "),
        Datum::Bytea(Arc::from([0u8, 255, 0, 1].as_slice())),
        Datum::Date(9_000),
        Datum::Time(1),
        Datum::Timestamp(i64::MAX),
        Datum::Timestamptz(5),
        Datum::Interval(Interval {
            months: 1,
            days: -2,
            micros: 3,
        }),
        Datum::Uuid([7; 16]),
    ];
    // Those that are easier written than built.
    let io = IoContext::default();
    let written = [
        "{\"a\": [1, \"x\", null, true], \"b\": {}}",
        "{{1,NULL},{2,3}}",
        "10110",
        "2001:db8::1/64",
        "12:34:56.5+02",
        "08:00:2b:01:02:03",
    ];
    let types = &TYPES[all.len()..];
    all.extend(
        written
            .iter()
            .zip(types)
            .filter_map(|(text, ty)| text_io::parse(*ty, text, &io).ok()),
    );
    all
}

fn layout() -> RowLayout {
    RowLayout::new(&TYPES, vec![Datum::Null; TYPES.len()])
}

fn rows() -> Vec<Vec<u8>> {
    let full = values();
    let sparse = full
        .iter()
        .enumerate()
        .map(|(i, v)| if i % 2 == 0 { Datum::Null } else { v.clone() })
        .collect();
    [full, sparse]
        .iter()
        .filter_map(|row: &Vec<Datum>| encoded(|out| layout().encode(row, out).is_ok()))
        .collect()
}

fn keys() -> Vec<Vec<u8>> {
    let pairs = || values().into_iter().zip(TYPES);
    pairs()
        .flat_map(|(v, ty)| [false, true].map(|d| encoded(|out| key::encode(&v, ty, d, d, out).is_ok())))
        .flatten()
        .collect()
}

fn binary_values() -> Vec<Vec<u8>> {
    values()
        .iter()
        .zip(TYPES)
        .filter_map(|(v, ty)| {
            encoded(|out| {
                binary_io::encode(ty, v, out);
                true
            })
        })
        .collect()
}

fn text_values() -> Vec<Vec<u8>> {
    let io = IoContext::default();
    let more = [
        "{1,NULL,\"a b\"}",
        "2024-02-29 12:34:56.789+05:30 BC",
        "P1Y2M3DT4H",
        "1e-400",
        "infinity",
        "\\xdeadbeef",
    ];
    let own = values().into_iter().zip(TYPES).filter_map(|(v, ty)| {
        encoded(|out| {
            text_io::format(ty, &v, &io, out);
            true
        })
    });
    own.chain(more.map(|m| m.as_bytes().to_vec())).collect()
}

fn text_value(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let io = IoContext::default();
    let arrays = [PgType::TEXT_ARRAY, PgType::INT4_ARRAY, PgType::JSON];
    TYPES
        .iter()
        .chain(&arrays)
        .filter(|ty| text_io::parse(**ty, text, &io).is_ok())
        .count()
        > 0
}

fn snapshots() -> Vec<Vec<u8>> {
    let head = [&[1][..], &3u32.to_le_bytes(), &9u64.to_le_bytes(), &0u64.to_le_bytes()].concat();
    let row = [
        &[1][..],
        &13u32.to_le_bytes(),
        &3u32.to_le_bytes(),
        b"\0\0\0\x0ak\xff\xff\xff\xff\xff\xff\xff\xfe",
        b"row",
    ]
    .concat();
    let end = |records: u64| [&[0][..], &records.to_le_bytes(), &[0; 4]].concat();
    vec![[head.clone(), end(0)].concat(), [head, vec![4, 10, 0, 0, 0], row, end(2)].concat()]
}

fn fragments() -> Vec<Vec<u8>> {
    let mut writer = FragmentWriter::new();
    let wrote = writer.put(16_384, b"key", b"\x01row").is_ok() && writer.delete(16_385, b"gone").is_ok();
    writer.drop_storage(7);
    if wrote { vec![writer.finish()] } else { Vec::new() }
}

fn fragment(bytes: &[u8]) -> bool {
    FragmentReader::new(bytes).is_ok_and(|reader| reader.into_iter().all(|operation| operation.is_ok()))
}

fn entries() -> Vec<Vec<u8>> {
    let entry = |record| Entry {
        index: Index(9),
        term: Term(3),
        record,
    };
    let stage = Record::Stage(curia_consensus::record::Payload::Held(Bytes::from_static(b"stage")));
    [entry(Record::Noop), entry(stage)]
        .iter()
        .filter_map(|e| {
            encoded(|out| {
                consensus::encode_entry(LogId::Group(GroupId(2)), e, out);
                true
            })
        })
        .collect()
}

fn bases() -> Vec<Vec<u8>> {
    let term_start = consensus::TermStartAt {
        term: Term(3),
        cut: Csn(6),
    };
    let base = consensus::Base {
        index: Index(9),
        term: Term(3),
        csn: Csn(7),
        timestamp: Timestamp(8),
        term_start,
        configuration: None,
    };
    let encode = |out: &mut Vec<u8>| {
        consensus::encode_base(LogId::Group(GroupId(2)), &base, out);
        true
    };
    encoded(encode).into_iter().collect()
}

fn hard_states() -> Vec<Vec<u8>> {
    let state = consensus::HardState { term: Term(3), vote: None };
    let encode = |out: &mut Vec<u8>| {
        consensus::encode_hard_state(&state, out);
        true
    };
    encoded(encode).into_iter().collect()
}

fn consensus_messages() -> Vec<Vec<u8>> {
    use consensus::{Append, AppendReply, Body, Donated, GroupId, Matched, Section, ServerId, Tail};
    let place = Tail {
        term: Term(3),
        index: Index(8),
    };
    let log = LogId::Group(GroupId(2));
    let stage = Record::Stage(curia_consensus::record::Payload::Held(Bytes::from_static(b"stage")));
    let entries: Vec<_> = [stage, Record::Barrier]
        .into_iter()
        .zip(9..)
        .map(|(record, index)| Entry {
            index: Index(index),
            term: Term(3),
            record,
        })
        .collect();
    let section = Section {
        log,
        base: None,
        previous: place,
        entries: entries.clone(),
        complete: Csn(5),
        closed: Index(1),
    };
    let append = Append {
        resolved: Some(Csn(5)),
        mended: vec![log],
        sections: vec![section],
        ..Append::default()
    };
    let reply = AppendReply {
        tails: Some(vec![(GroupId(2), place)]),
        sections: vec![(log, Matched::Upto(Index(9))), (LogId::Senate, Matched::Not(place))],
        damaged: vec![log],
        ..AppendReply::default()
    };
    let donated = Donated::Entries(entries);
    let snapshot = Body::Snapshot {
        group: GroupId(2),
        commit: Index(4),
        of: 6,
        base: Some(consensus::Base {
            index: Index(9),
            ..consensus::Base::default()
        }),
        offset: 0,
        data: Bytes::from_static(b"piece"),
        last: true,
    };
    let tails = vec![(GroupId(2), place)];
    let bodies = [
        Body::Append(append),
        Body::AppendReply(reply),
        Body::VoteReply { granted: true, tails },
        Body::Fetched {
            log,
            after: place,
            donated,
        },
        snapshot,
        Body::ReadIndexReply { id: 5, csn: Some(Csn(6)) },
    ];
    let message = |body| consensus::Message {
        cluster: consensus::ClusterId(7),
        from: ServerId(1),
        to: ServerId(2),
        incarnation: consensus::Incarnation(8),
        term: Term(3),
        body,
    };
    bodies
        .into_iter()
        .filter_map(|body| encoded(|out| consensus::encode_message(&message(body), out).is_ok()))
        .collect()
}

/// The first words of either side of a connection between servers. The checksum is made right, as every attacker would.
fn peer_words(bytes: &[u8]) -> bool {
    use curia_peer::handshake::{self, HEAD_BYTES, Head, Hello};
    let (Some(fixed), Some(rest)) = (bytes.first_chunk::<HEAD_BYTES>(), bytes.get(HEAD_BYTES..)) else {
        return false;
    };
    let mut fixed = *fixed;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&fixed[..16]), rest);
    fixed[16..].copy_from_slice(&checksum.to_le_bytes());
    let rest = Bytes::copy_from_slice(rest);
    Head::decode(&fixed).is_ok_and(|head| Hello::decode(&head, rest.clone()).is_ok() | handshake::decode_answer(&head, rest).is_ok())
}

fn peer_hellos() -> Vec<Vec<u8>> {
    use curia_peer::handshake::Welcome;
    use curia_peer::{Hello, Purpose, RefusalCode, Refused};
    let welcome = Welcome {
        feature_level: 1,
        cluster: Some(consensus::ClusterId(7)),
        server: Some(consensus::ServerId(1)),
        incarnation: consensus::Incarnation(8),
    };
    let refused = Refused {
        code: RefusalCode::Cluster,
        text: "of another cluster".to_owned(),
    };
    let server = Hello {
        purpose: Purpose::Session,
        cluster: welcome.cluster,
        server: welcome.server,
        places: peer_places(),
        ..Hello::of_tool()
    };
    vec![server.encode(), Hello::of_tool().encode(), welcome.encode(), refused.encode()]
}

fn peer_places() -> Option<curia_peer::Places> {
    Some(curia_peer::Places {
        number: 5,
        peer: "db1.example.com:5457".parse().ok()?,
        sql: "db1.example.com:5454".to_owned(),
    })
}

fn peer_frames() -> Vec<Vec<u8>> {
    use curia_peer::frame::{self, Kind};
    let mut out = Default::default();
    frame::encode(Kind::Message, 2, false, b"part", &mut out);
    frame::encode(Kind::Ping, 0, true, b"12345678", &mut out);
    vec![out.to_vec()]
}

fn peer_books() -> Vec<Vec<u8>> {
    let mut book = curia_peer::Book::default();
    if let Some(places) = peer_places() {
        book.learn(consensus::ServerId(1), places.clone());
        book.learn(consensus::ServerId(2), places);
    }
    vec![book.encode()]
}

fn catalog() -> Vec<Vec<u8>> {
    let schema = curia_catalog::Schema {
        oid: 2_200,
        name: "public".to_owned(),
        owner: 10,
    };
    let key = curia_catalog::codec::encode_key(curia_catalog::Object::from(schema.clone()).key());
    let granted = curia_catalog::Privileges {
        object: 16_384,
        attnum: 2,
        items: vec![curia_catalog::AclItem::new(0, 10, curia_catalog::Rights::SELECT)],
    };
    let mut samples = vec![key.to_vec()];
    samples.extend(curia_catalog::codec::encode(&curia_catalog::Object::from(schema)).ok());
    samples.extend(curia_catalog::codec::encode(&curia_catalog::Object::from(granted)).ok());
    samples
}

/// A message's type byte, then its body.
fn pg_message(bytes: &[u8]) -> bool {
    let framed = decode::frame(bytes, 1 << 20).is_ok();
    bytes.split_first().is_some_and(|(kind, body)| decode::message(*kind, body).is_ok()) || framed
}

fn messages() -> Vec<Vec<u8>> {
    vec![
        b"Qselect 1\0".to_vec(),
        b"Pname\0select $1\0\0\x01\0\0\0\x17".to_vec(),
        b"Bportal\0name\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff\0\x01\0\0".to_vec(),
        b"DSname\0".to_vec(),
        b"Eportal\0\0\0\0\x0a".to_vec(),
        b"CPportal\0".to_vec(),
        b"S".to_vec(),
        b"dsome data".to_vec(),
        b"fno\0".to_vec(),
        b"Q\0\0\0\x0dselect 1\0".to_vec(),
    ]
}

fn startups() -> Vec<Vec<u8>> {
    vec![
        b"\0\x03\0\0user\0curia\0database\0curia\0options\0-c a=b\0\0".to_vec(),
        b"\x04\xd2\x16\x2f".to_vec(),
        b"\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02".to_vec(),
    ]
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    encode(&mut out).then_some(out)
}
