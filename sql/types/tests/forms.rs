//! Byte forms of values: keys keep order, wire and Arrow forms read back, and their bytes do not change.

use curia_types::numeric::{arrow_bytes, from_arrow_bytes, numeric_key};
use curia_types::{Datum, Interval, IoContext, Numeric, PgType, arrow_map, binary_io, oid, text_io};

const NUMBERS: [&str; 22] = [
    "-Infinity",
    "-1e50",
    "-12345678901234567890.5",
    "-100",
    "-99.99",
    "-1.5",
    "-1.05",
    "-1",
    "-0.001",
    "-1e-30",
    "0",
    "1e-30",
    "0.001",
    "0.01",
    "1",
    "1.05",
    "1.5",
    "99.99",
    "100",
    "12345678901234567890.5",
    "Infinity",
    "NaN",
];

fn numeric(s: &str) -> Numeric {
    Numeric::parse(s).expect("a numeric")
}

#[test]
fn numeric_keys_order_as_values_do() {
    let keys: Vec<Vec<u8>> = NUMBERS.iter().map(|s| numeric(s).key_bytes()).collect();
    assert!(keys.windows(2).all(|w| w[0] < w[1]));
    for (i, a) in keys.iter().enumerate() {
        for (j, b) in keys.iter().enumerate() {
            assert!(i == j || !b.starts_with(a), "{} and {}", NUMBERS[i], NUMBERS[j]);
        }
    }
}

#[test]
fn numbers_that_differ_in_scale_only_share_a_key_and_keep_their_scale_in_arrow() {
    let (a, b) = (numeric("1.0"), numeric("1.000"));
    assert_eq!(a.key_bytes(), b.key_bytes());
    let (mut x, mut y) = (Vec::new(), Vec::new());
    arrow_bytes(&a, &mut x);
    arrow_bytes(&b, &mut y);
    assert_eq!(numeric_key(&x), numeric_key(&y));
    assert_eq!(from_arrow_bytes(&y).expect("numeric").to_string(), "1.000");
}

#[test]
fn numeric_bytes_are_pinned() {
    assert_eq!(numeric("123.45").key_bytes(), [0x30, 0x10, 0x00, 0x03, 13, 35, 51, 0]);
    assert_eq!(numeric("-123.45").key_bytes(), [0x10, 0xef, 0xff, 0xfc, !13, !35, !51, 0xff]);
    let mut wire = Vec::new();
    numeric("12345.678").write_wire(&mut wire);
    assert_eq!(wire, [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
}

fn samples() -> Vec<(PgType, Datum)> {
    let cx = IoContext::default();
    let read = |oid: u32, s: &str| {
        let ty = PgType::with_typmod(oid, -1);
        (ty, text_io::parse(ty, s, &cx).expect("sample"))
    };
    let mut all: Vec<(PgType, Datum)> = NUMBERS.iter().map(|s| read(oid::NUMERIC, s)).collect();
    all.extend([
        read(oid::BOOL, "t"),
        read(oid::INT2, "-7"),
        read(oid::INT4, "2147483647"),
        read(oid::INT8, "-9223372036854775808"),
        read(oid::FLOAT4, "1.5"),
        read(oid::FLOAT8, "-2.5e300"),
        read(oid::TEXT, "grüße"),
        read(oid::BYTEA, "\\x00ff"),
        read(oid::DATE, "2005-07-01"),
        read(oid::DATE, "infinity"),
        read(oid::TIME, "23:59:59.999999"),
        read(oid::TIMESTAMP, "0044-03-15 12:00:00 BC"),
        read(oid::TIMESTAMPTZ, "-infinity"),
        read(oid::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        read(oid::INT4_ARRAY, "[0:1][2:3]={{1,NULL},{3,4}}"),
        read(oid::TEXT_ARRAY, "{a,\"b c\",NULL}"),
        read(oid::OID, "4294967295"),
        (
            PgType::INTERVAL,
            Datum::Interval(Interval {
                months: -14,
                days: 3,
                micros: -5,
            }),
        ),
    ]);
    all
}

#[test]
fn the_binary_form_of_every_type_reads_back() {
    for (ty, value) in samples() {
        let mut bytes = Vec::new();
        binary_io::encode(ty, &value, &mut bytes);
        assert_eq!(binary_io::decode(ty, &bytes).expect("decodes"), value);
        for cut in 0..bytes.len() {
            // A shorter message is an error or another value, never a panic.
            let _ = binary_io::decode(ty, &bytes[..cut]);
        }
    }
}

#[test]
fn the_arrow_form_of_every_type_reads_back() {
    for (ty, value) in samples() {
        let array = arrow_map::array_of(ty, &[Datum::Null, value.clone()]).expect("array");
        assert_eq!(array.data_type(), &arrow_map::data_type(ty));
        assert_eq!(arrow_map::datum_at(ty, &array, 0).expect("value"), Datum::Null);
        assert_eq!(arrow_map::datum_at(ty, &array, 1).expect("value"), value);
    }
}

#[test]
fn damaged_keys_are_refused() {
    let key = numeric("123.45").key_bytes();
    for cut in 0..key.len() {
        assert!(Numeric::from_key(&key[..cut]).is_err());
    }
    assert!(Numeric::from_key(&[0x77]).is_err());
    assert!(Numeric::from_key(&[0x30, 0x10, 0, 3, 200, 0]).is_err());
}
