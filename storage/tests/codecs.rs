//! Keys and rows: order, round trips, bytes, and bytes that are neither.

#![allow(clippy::unwrap_used)] // what a test calls is a test too

use std::cmp::Ordering;
use std::sync::Arc;

use curia_storage::fragment::FragmentReader;
use curia_storage::row::{ColumnRef, RowLayout};
use curia_storage::state::version_key;
use curia_storage::{key, log};
use curia_types::arrow_map::{self, ColumnBuilder};
use curia_types::datetime::TimeTz;
use curia_types::net::Inet;
use curia_types::{ArrayValue, Bits, Datum, Interval, IoContext, Numeric, PgType, binary_io, oid, text_io};
use proptest::prelude::*;

const BPCHAR: PgType = PgType::BPCHAR;

fn numeric(text: &str) -> Numeric {
    let Datum::Numeric(value) = text_io::parse(PgType::NUMERIC, text, &IoContext::default()).unwrap() else {
        panic!()
    };
    value
}

fn numeric_strategy() -> impl Strategy<Value = Datum> {
    prop_oneof![
        Just("NaN".to_owned()),
        Just("Infinity".to_owned()),
        Just("-Infinity".to_owned()),
        "-?[0-9]{1,30}",
        "-?[0-9]{0,4}\\.[0-9]{1,12}0{0,3}",
        "-?[0-9]{1,2}e-?[0-9]{1,2}",
    ]
    .prop_map(|text| Datum::Numeric(numeric(&text)))
}

fn interval_strategy() -> impl Strategy<Value = Datum> {
    let small = (-3..3i32, -70..70i32, -5i64..5).prop_map(|(months, days, hours)| (months, days, hours * 43_200_000_000));
    prop_oneof![small, any::<(i32, i32, i64)>()].prop_map(|(months, days, micros)| Datum::Interval(Interval { months, days, micros }))
}

/// Values of one type, with that type.
fn values(n: usize) -> impl Strategy<Value = (PgType, Vec<Datum>)> {
    fn of<S: Strategy<Value = Datum> + 'static>(ty: PgType, n: usize, value: S) -> BoxedStrategy<(PgType, Vec<Datum>)> {
        let value = prop_oneof![1 => Just(Datum::Null), 8 => value];
        prop::collection::vec(value, n).prop_map(move |values| (ty, values)).boxed()
    }
    let floats = prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(-f64::NAN),
        Just(f64::INFINITY)
    ];
    prop_oneof![
        of(PgType::BOOL, n, any::<bool>().prop_map(Datum::Bool)),
        of(PgType::INT2, n, any::<i16>().prop_map(Datum::Int2)),
        of(PgType::INT4, n, any::<i32>().prop_map(Datum::Int4)),
        of(PgType::INT8, n, any::<i64>().prop_map(Datum::Int8)),
        of(PgType::OID, n, any::<u32>().prop_map(Datum::Oid)),
        of(PgType::FLOAT4, n, floats.clone().prop_map(|v| Datum::Float4(v as f32))),
        of(PgType::FLOAT8, n, floats.prop_map(Datum::Float8)),
        of(PgType::NUMERIC, n, numeric_strategy()),
        of(PgType::TEXT, n, "[a-c\u{1}\u{e4}]{0,4}".prop_map(Datum::text)),
        of(BPCHAR, n, "[a-b\u{1}]{0,2} {0,3}".prop_map(Datum::text)),
        of(
            PgType::BYTEA,
            n,
            prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..5).prop_map(|v| Datum::Bytea(Arc::from(v)))
        ),
        of(PgType::DATE, n, any::<i32>().prop_map(Datum::Date)),
        of(PgType::TIME, n, (0..=86_400_000_000i64).prop_map(Datum::Time)),
        of(PgType::TIMESTAMP, n, any::<i64>().prop_map(Datum::Timestamp)),
        of(PgType::TIMESTAMPTZ, n, any::<i64>().prop_map(Datum::Timestamptz)),
        of(PgType::INTERVAL, n, interval_strategy()),
        of(PgType::UUID, n, any::<[u8; 16]>().prop_map(Datum::Uuid)),
        of(PgType::TIMETZ, n, timetz_strategy()),
        of(
            VARBIT,
            n,
            prop::collection::vec(any::<bool>(), 0..12).prop_map(|b| Datum::Bits(Arc::new(Bits::of(b))))
        ),
        of(INET, n, inet_strategy()),
        of(INT4_ARRAY, n, array_strategy()),
    ]
}

const VARBIT: PgType = PgType {
    oid: oid::VARBIT,
    typmod: -1,
};
const INET: PgType = PgType {
    oid: oid::INET,
    typmod: -1,
};
const INT4_ARRAY: PgType = PgType {
    oid: oid::INT4_ARRAY,
    typmod: -1,
};

fn timetz_strategy() -> impl Strategy<Value = Datum> {
    (0..=24i64, -15..=15i32).prop_map(|(hours, west)| {
        Datum::Timetz(TimeTz {
            micros: hours * 3_600_000_000,
            west: west * 3600,
        })
    })
}

fn inet_strategy() -> impl Strategy<Value = Datum> {
    let four = ([0..3u8, 0..3u8, 0..3u8, 0..3u8], 0..=32u8).prop_map(|(a, bits)| (std::net::IpAddr::from(a), bits));
    let six = (any::<[u8; 16]>(), 0..=128u8).prop_map(|(a, bits)| (std::net::IpAddr::from(a), bits));
    prop_oneof![four, six].prop_map(|(address, bits)| Datum::Inet(Inet { address, bits }))
}

fn array_strategy() -> impl Strategy<Value = Datum> {
    let element = prop_oneof![Just(Datum::Null), (0..3i32).prop_map(Datum::Int4)];
    (prop::collection::vec(element, 0..5), -1..2i32, any::<bool>()).prop_map(|(elements, lower, nested)| {
        let length = elements.len() as i32;
        let dimensions = match (length, nested) {
            (0, _) => Vec::new(),
            (n, false) => vec![(n, lower)],
            (n, true) => vec![(1, lower), (n, 1)],
        };
        Datum::Array(Arc::new(ArrayValue {
            element: oid::INT4,
            dimensions,
            elements,
        }))
    })
}

/// PostgreSQL's order of two values that are not NULL.
fn compare(a: &Datum, b: &Datum, ty: PgType) -> Ordering {
    fn floats(a: f64, b: f64) -> Ordering {
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => a.partial_cmp(&b).unwrap(),
        }
    }
    let span = |i: &Interval| (i128::from(i.months) * 30 + i128::from(i.days)) * 86_400_000_000 + i128::from(i.micros);
    match (a, b) {
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Int2(a), Datum::Int2(b)) => a.cmp(b),
        (Datum::Int4(a), Datum::Int4(b)) | (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b))
        | (Datum::Time(a), Datum::Time(b))
        | (Datum::Timestamp(a), Datum::Timestamp(b))
        | (Datum::Timestamptz(a), Datum::Timestamptz(b)) => a.cmp(b),
        (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
        (Datum::Float4(a), Datum::Float4(b)) => floats(f64::from(*a), f64::from(*b)),
        (Datum::Float8(a), Datum::Float8(b)) => floats(*a, *b),
        (Datum::Numeric(a), Datum::Numeric(b)) => a.compare(b),
        (Datum::Text(a), Datum::Text(b)) if ty.oid == oid::BPCHAR => a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Bytea(a), Datum::Bytea(b)) => a.cmp(b),
        (Datum::Interval(a), Datum::Interval(b)) => span(a).cmp(&span(b)),
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
        (Datum::Timetz(a), Datum::Timetz(b)) => a.cmp(b),
        (Datum::Bits(a), Datum::Bits(b)) => a.cmp(b),
        (Datum::Inet(a), Datum::Inet(b)) => a.cmp(b),
        (Datum::Array(a), Datum::Array(b)) => {
            let element = |(a, b): (&Datum, &Datum)| match (a, b) {
                (Datum::Null, _) | (_, Datum::Null) => a.is_null().cmp(&b.is_null()),
                _ => compare(a, b, PgType::INT4),
            };
            let elements = a.elements.iter().zip(&b.elements).map(element).find(|o| o.is_ne());
            elements
                .unwrap_or(Ordering::Equal)
                .then(a.elements.len().cmp(&b.elements.len()))
                .then_with(|| a.compare_shape(b))
        }
        other => panic!("{other:?}"),
    }
}

fn compare_column(a: &Datum, b: &Datum, ty: PgType, descending: bool, nulls_first: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) if descending => compare(b, a, ty),
        (false, false) => compare(a, b, ty),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Two columns, so that a first column that is not prefix-free shows up as a wrong order by the second.
    #[test]
    fn keys_sort_as_their_values_do(
        (first, a) in values(2), (second, b) in values(2),
        options in any::<[bool; 4]>(),
    ) {
        let [desc1, nulls1, desc2, nulls2] = options;
        let encode = |i: usize| {
            let mut out = Vec::new();
            key::encode_all([(&a[i], first, desc1, nulls1), (&b[i], second, desc2, nulls2)], &mut out).unwrap();
            out
        };
        let expected = compare_column(&a[0], &a[1], first, desc1, nulls1)
            .then(compare_column(&b[0], &b[1], second, desc2, nulls2));
        prop_assert_eq!(encode(0).cmp(&encode(1)), expected);
    }

    #[test]
    fn a_decoded_key_has_equal_values_and_encodes_to_the_same_bytes((ty, values) in values(1), descending: bool, nulls_first: bool) {
        let mut bytes = Vec::new();
        key::encode(&values[0], ty, descending, nulls_first, &mut bytes).unwrap();
        bytes.extend_from_slice(b"rest");
        let (value, rest) = key::decode(&bytes, ty, descending, nulls_first).unwrap();
        prop_assert_eq!(rest, b"rest");
        prop_assert_eq!(compare_column(&value, &values[0], ty, descending, nulls_first), Ordering::Equal);
        let mut again = Vec::new();
        key::encode(&value, ty, descending, nulls_first, &mut again).unwrap();
        prop_assert_eq!(&again[..], &bytes[..bytes.len() - 4]);
    }

    #[test]
    fn a_row_with_columns_replaced_is_the_row_of_the_new_values(columns in prop::collection::vec((values(2), any::<bool>()), 1..20)) {
        let layout = RowLayout::new(&columns.iter().map(|((ty, _), _)| *ty).collect::<Vec<_>>(), Vec::new());
        let (mut old, mut new, mut replaced) = (Vec::new(), Vec::new(), b"before".to_vec());
        layout.encode(&columns.iter().map(|((_, v), _)| v[0].clone()).collect::<Vec<_>>(), &mut old).unwrap();
        let row: Vec<Datum> = columns.iter().map(|((_, v), changes)| v[usize::from(*changes)].clone()).collect();
        layout.encode(&row, &mut new).unwrap();
        let changes: Vec<(usize, Datum)> = (0..).zip(row).filter(|(i, _)| columns[*i].1).collect();
        let done = layout.replace(&old, &changes, &mut replaced).unwrap();
        let (before, bytes) = replaced.split_at(6);
        prop_assert_eq!(before, b"before");
        prop_assert_eq!(bytes, if done { &new[..] } else { &[] });
        // What has NULLs in one of the two only has another form.
        let has_nulls = |row: &[u8]| row[0] & 0x10 != 0;
        prop_assert_eq!(done, has_nulls(&old) == has_nulls(&new));
    }

    #[test]
    fn rows_give_back_what_was_put_in_also_after_columns_were_added(
        columns in prop::collection::vec(values(1), 0..20), added in prop::collection::vec(values(1), 0..3), long in 0..70_000usize,
    ) {
        let mut types: Vec<PgType> = columns.iter().map(|(ty, _)| *ty).collect();
        let mut row: Vec<Datum> = columns.iter().map(|(_, values)| values[0].clone()).collect();
        types.push(PgType::TEXT);
        row.push(Datum::text("x".repeat(if long % 4 == 0 { long } else { long % 100 })));
        let mut bytes = Vec::new();
        RowLayout::new(&types, Vec::new()).encode(&row, &mut bytes).unwrap();
        prop_assert_ne!(bytes[0], 0);
        let missing: Vec<Datum> = added.iter().map(|(_, values)| values[0].clone()).collect();
        let with_added: Vec<PgType> = types.iter().copied().chain(added.iter().map(|(ty, _)| *ty)).collect();
        let all_missing: Vec<Datum> = types.iter().map(|_| Datum::Null).chain(missing.iter().cloned()).collect();
        let layout = RowLayout::new(&with_added, all_missing);
        let expected: Vec<Datum> = row.into_iter().chain(missing).collect();
        // As text, because NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", layout.decode_all(&bytes).unwrap()), format!("{expected:?}"));
        for column in 0..with_added.len() {
            prop_assert_eq!(layout.column(&bytes, column).unwrap().is_none(), column >= types.len());
        }
    }

    #[test]
    fn rows_go_into_arrow_as_their_values_do(columns in prop::collection::vec(values(1), 1..12)) {
        let types: Vec<PgType> = columns.iter().map(|(ty, _)| *ty).collect();
        let row: Vec<Datum> = columns.into_iter().map(|(_, values)| values.into_iter().next().unwrap()).collect();
        let layout = RowLayout::new(&types, Vec::new());
        let mut bytes = Vec::new();
        layout.encode(&row, &mut bytes).unwrap();
        let wanted: Vec<usize> = (0..types.len()).rev().collect();
        let mut direct: Vec<ColumnBuilder> = wanted.iter().map(|i| ColumnBuilder::new(types[*i], 1)).collect();
        let mut by_datum: Vec<ColumnBuilder> = wanted.iter().map(|i| ColumnBuilder::new(types[*i], 1)).collect();
        let direct_result = layout.append_columns(&bytes, &wanted, &mut direct);
        let by_datum_result = wanted.iter().zip(&mut by_datum).try_for_each(|(i, builder)| builder.append(&row[*i]));
        prop_assert_eq!(direct_result.is_ok(), by_datum_result.is_ok());
        if direct_result.is_ok() {
            for ((a, b), i) in direct.iter_mut().zip(&mut by_datum).zip(wanted) {
                let array = a.finish();
                prop_assert_eq!(&array, &b.finish());
                prop_assert_eq!(format!("{:?}", arrow_map::datum_at(types[i], &*array, 0).unwrap()), format!("{:?}", row[i]));
            }
        }
    }

    #[test]
    fn decoders_take_any_bytes_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), (ty, _) in values(0), descending: bool) {
        decode_everything(&bytes, ty, descending);
    }

    #[test]
    fn decoders_take_damaged_bytes_without_a_panic(
        columns in prop::collection::vec(values(1), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let types: Vec<PgType> = columns.iter().map(|(ty, _)| *ty).collect();
        let row: Vec<Datum> = columns.iter().map(|(_, values)| values[0].clone()).collect();
        let mut bytes = Vec::new();
        RowLayout::new(&types, Vec::new()).encode(&row, &mut bytes).unwrap();
        let mut key_bytes = Vec::new();
        for ((ty, _), value) in columns.iter().zip(&row) {
            key::encode(value, *ty, false, false, &mut key_bytes).unwrap();
        }
        for input in [&mut bytes, &mut key_bytes] {
            for (at, value) in &damage {
                let at = at.index(input.len());
                input[at] = *value;
            }
            input.truncate(cut.index(input.len() + 1));
        }
        let layout = RowLayout::new(&types, Vec::new());
        let _ = layout.decode_all(&bytes);
        for (ty, _) in &columns {
            decode_everything(&key_bytes, *ty, false);
        }
    }
}

fn decode_everything(bytes: &[u8], ty: PgType, descending: bool) {
    let _ = key::decode(bytes, ty, descending, true);
    let layout = RowLayout::new(&[ty, PgType::TEXT, ty, PgType::NUMERIC, PgType::TEXT_ARRAY], Vec::new());
    let _ = layout.decode_all(bytes);
    if let Ok(operations) = FragmentReader::new(bytes) {
        operations.take_while(Result::is_ok).count();
    }
    let _ = version_key::split(bytes);
    log::fuzz_segment_header(bytes);
    log::fuzz_batch(bytes);
}

#[test]
fn arrays_and_wide_rows_round_trip() {
    let array = text_io::parse(PgType::TEXT_ARRAY, "{a,NULL,\"b c\"}", &IoContext::default()).unwrap();
    let layout = RowLayout::new(&[PgType::TEXT_ARRAY, PgType::INT4], Vec::new());
    let mut bytes = Vec::new();
    layout.encode(&[array.clone(), Datum::Int4(1)], &mut bytes).unwrap();
    assert_eq!(layout.decode(&bytes, 0).unwrap(), array);
    let types = vec![PgType::INT4; 1_600];
    let wide: Vec<Datum> = (0..1_600).map(|i| if i % 3 == 0 { Datum::Null } else { Datum::Int4(i) }).collect();
    let layout = RowLayout::new(&types, Vec::new());
    bytes.clear();
    layout.encode(&wide, &mut bytes).unwrap();
    assert_eq!(layout.decode_all(&bytes).unwrap(), wide);
}

#[test]
fn a_row_that_grows_or_is_of_before_its_columns_is_not_replaced_in_part() {
    let (narrow, layout) = ([PgType::TEXT], RowLayout::new(&[PgType::TEXT, PgType::INT4], Vec::new()));
    let (mut old, mut out) = (Vec::new(), Vec::new());
    RowLayout::new(&narrow, Vec::new()).encode(&[Datum::text("a")], &mut old).unwrap();
    assert!(!layout.replace(&old, &[(1, Datum::Int4(1))], &mut out).unwrap());
    old.clear();
    layout.encode(&[Datum::text("a"), Datum::Int4(0)], &mut old).unwrap();
    assert!(!layout.replace(&old, &[(0, Datum::text("a".repeat(70_000)))], &mut out).unwrap());
    assert!(out.is_empty());
    assert!(layout.replace(&old[..5], &[(1, Datum::Int4(1))], &mut out).is_err());
}

#[test]
fn a_borrowed_column_is_the_bytes_in_the_row() {
    let layout = RowLayout::new(&[PgType::INT4, PgType::TEXT], Vec::new());
    let mut bytes = Vec::new();
    layout.encode(&[Datum::Int4(5), Datum::text("text")], &mut bytes).unwrap();
    let Some(ColumnRef::Text(text)) = layout.column(&bytes, 1).unwrap() else {
        panic!()
    };
    assert!(bytes.as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn values_of_the_wrong_type_or_number_are_refused() {
    let layout = RowLayout::new(&[PgType::INT4], Vec::new());
    let mut out = Vec::new();
    assert!(layout.encode(&[Datum::text("x")], &mut out).is_err());
    assert!(layout.encode(&[], &mut out).is_err());
    assert!(key::encode(&Datum::text("x"), PgType::INT4, false, false, &mut out).is_err());
    assert!(!key::orderable(oid::JSON));
    assert!(key::encode(&Datum::text("{}"), PgType::JSON, false, false, &mut out).is_err());
}

fn hex(value: &Datum, ty: PgType, descending: bool) -> String {
    let mut out = Vec::new();
    key::encode(value, ty, descending, false, &mut out).unwrap();
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_keys_are_these() {
    let interval = Interval {
        months: 1,
        days: 2,
        micros: 3,
    };
    let golden = [
        (Datum::Null, PgType::INT4, "03"),
        (Datum::Bool(true), PgType::BOOL, "0201"),
        (Datum::Int2(-1), PgType::INT2, "027fff"),
        (Datum::Int4(1), PgType::INT4, "0280000001"),
        (Datum::Int8(i64::MIN), PgType::INT8, "020000000000000000"),
        (Datum::Oid(258), PgType::OID, "0200000102"),
        (Datum::Float4(-1.5), PgType::FLOAT4, "02403fffff"),
        (Datum::Float8(-0.0), PgType::FLOAT8, "028000000000000000"),
        (Datum::Float8(f64::NAN), PgType::FLOAT8, "02fff8000000000000"),
        (Datum::Numeric(numeric("-12.30")), PgType::NUMERIC, "0210effffdf2e0ff"),
        (Datum::Numeric(numeric("0.5")), PgType::NUMERIC, "02301000003300"),
        (Datum::text("a"), PgType::TEXT, "02610001"),
        (Datum::text("a  "), BPCHAR, "02610001"),
        (Datum::Bytea(Arc::from(&[0u8, 255][..])), PgType::BYTEA, "0200ffff0001"),
        (Datum::Date(0), PgType::DATE, "0280000000"),
        (Datum::Time(1), PgType::TIME, "028000000000000001"),
        (Datum::Timestamp(1), PgType::TIMESTAMP, "028000000000000001"),
        (Datum::Timestamptz(-1), PgType::TIMESTAMPTZ, "027fffffffffffffff"),
        (Datum::Interval(interval), PgType::INTERVAL, "02800000000000000000000283baec0003"),
        (Datum::Uuid([7; 16]), PgType::UUID, "0207070707070707070707070707070707"),
        (
            Datum::Timetz(TimeTz { micros: 1, west: 1 }),
            PgType::TIMETZ,
            "0280000000000f424180000001",
        ),
        (Datum::Bits(Arc::new(Bits::of([true]))), VARBIT, "0280000100000001"),
        (
            Datum::Inet(Inet::parse("10.0.0.1/8", false).unwrap()),
            INET,
            "02040000000000000000000000000a000000080000000000000000000000000a000001",
        ),
        (
            Datum::list(oid::INT4, vec![Datum::Int4(1), Datum::Null]),
            INT4_ARRAY,
            "0202800000010301010000000280000001",
        ),
    ];
    for (value, ty, bytes) in golden {
        assert_eq!(hex(&value, ty, false), bytes, "{value:?}");
    }
    assert_eq!(hex(&Datum::Int4(1), PgType::INT4, true), "027ffffffe");
    assert_eq!(hex(&Datum::text("a"), PgType::TEXT, true), "029efffe");
}

#[test]
fn the_bytes_of_rows_are_these() {
    let types = [PgType::BOOL, PgType::TEXT, PgType::INT4, PgType::NUMERIC, PgType::INTERVAL];
    let layout = RowLayout::new(&types, Vec::new());
    let interval = Interval {
        months: 1,
        days: 2,
        micros: 3,
    };
    let mut bytes = Vec::new();
    layout
        .encode(
            &[
                Datum::Bool(true),
                Datum::text("ab"),
                Datum::Int4(258),
                Datum::Numeric(numeric("1.50")),
                Datum::Interval(interval),
            ],
            &mut bytes,
        )
        .unwrap();
    assert_eq!(
        bytes,
        b"\x01\x05\0\x01\x02\x01\0\0\0\0\0\0\0\0\0\x03\0\0\0\x02\0\0\0\x01\x02\0\x0a\0ab\x30\x10\0\x01\x10\0\0\x02"
    );
    bytes.clear();
    layout
        .encode(&[Datum::Null, Datum::Null, Datum::Int4(1), Datum::Null, Datum::Null], &mut bytes)
        .unwrap();
    let mut expected = b"\x11\x05\0\x1b\0\x01\0\0\0".to_vec();
    expected.extend_from_slice(&[0; 16 + 4]);
    assert_eq!(bytes, expected);
    let mut wire = Vec::new();
    binary_io::encode(PgType::INTERVAL, &Datum::Interval(interval), &mut wire);
    assert_eq!(
        arrow_map::interval_bytes(interval).to_vec(),
        wire,
        "rows keep intervals in wire form"
    );
}

/// The stored form and the key of jsonb, as `docs/formats.md` has them.
#[test]
fn the_bytes_of_jsonb_are_these() {
    let jsonb = PgType {
        oid: oid::JSONB,
        typmod: -1,
    };
    let value = |text: &str| text_io::parse(jsonb, text, &IoContext::default()).unwrap();
    let layout = RowLayout::new(&[jsonb], Vec::new());
    let stored = |text: &str| {
        let mut bytes = Vec::new();
        layout.encode(&[value(text)], &mut bytes).unwrap();
        // Behind the row's head: version, number of columns, the value's end.
        bytes.split_off(5)
    };
    assert_eq!(stored("null"), b"\x01\0");
    assert_eq!(stored("true"), b"\x01\x02");
    assert_eq!(stored("\"ab\""), b"\x01\x04\x02\0\0\0ab");
    assert_eq!(stored("1.50"), b"\x01\x03\x08\0\0\0\x30\x10\0\x01\x10\0\0\x02");
    assert_eq!(
        stored("[1, \"a\"]"),
        b"\x01\x05\x02\0\0\0\x03\x08\0\0\0\x30\x10\0\x01\x0b\0\0\0\x04\x01\0\0\0a"
    );
    assert_eq!(stored("{\"k\": null}"), b"\x01\x06\x01\0\0\0\x01\0\0\0k\0");
    let key = |text: &str| hex(&value(text), jsonb, false);
    assert_eq!(key("[]"), "0201");
    assert_eq!(key("null"), "0202");
    assert_eq!(key("\"a\""), "0203610001");
    assert_eq!(key("1.5"), "0204301000011000");
    assert_eq!(key("1.50"), key("1.5"));
    assert_eq!(key("true"), "020501");
    assert_eq!(key("[null, []]"), "020600000002020600000000");
    assert_eq!(key("{\"k\": false}"), "0207000000016b00010500");
}
