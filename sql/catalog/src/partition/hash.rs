//! PostgreSQL's extended hash functions, which decide the partition of a row under HASH: the same rows land in the same partitions, and
//! `satisfies_hash_partition` agrees with PostgreSQL's.
//!
//! Bytes are hashed by Bob Jenkins' lookup3 (2006, public domain) as `hash_bytes_extended` in PostgreSQL's `hashfn.c` does it.

use curia_types::{Datum, PgType, binary_io, datetime, oid, type_info};

/// `HASH_PARTITION_SEED`
const SEED: u64 = 0x7A5B_2236_7996_DCFD;

/// Whether values of a type can be hashed as PostgreSQL does it.
pub fn hashable(ty: PgType) -> bool {
    use oid::*;
    let base = type_info::base_type(ty.oid);
    if let Some(element) = type_info::element_of(base) {
        return hashable(PgType::with_typmod(element, -1));
    }
    type_info::is_enum(base)
        || type_info::is_oid_like(base)
        || matches!(
            base,
            BOOL | INT2
                | INT4
                | INT8
                | OID
                | CHAR
                | TEXT
                | VARCHAR
                | BPCHAR
                | NAME
                | BYTEA
                | FLOAT4
                | FLOAT8
                | NUMERIC
                | DATE
                | TIME
                | TIMESTAMP
                | TIMESTAMPTZ
                | TIMETZ
                | INTERVAL
                | UUID
        )
}

/// The hash of a partition key, NULLs included: `compute_partition_hash_value`.
pub fn row_hash(types: &[PgType], key: &[Datum]) -> u64 {
    types.iter().zip(key).filter(|(_, v)| !v.is_null()).fold(0, |hash, (ty, value)| {
        let add = datum(type_info::base_type(ty.oid), value, SEED).wrapping_add(0x49a0_f4dd_15e5_a8e3);
        hash ^ add.wrapping_add(hash << 54).wrapping_add(hash >> 7)
    })
}

/// One value that is not NULL, of a type that is [`hashable`]; any other hashes to the seed.
fn datum(ty: u32, value: &Datum, seed: u64) -> u64 {
    match value {
        Datum::Bool(b) => word(u32::from(*b), seed),
        Datum::Int2(n) => word(i32::from(*n) as u32, seed),
        Datum::Int4(n) | Datum::Date(n) => word(*n as u32, seed),
        Datum::Int8(n) | Datum::Time(n) | Datum::Timestamp(n) | Datum::Timestamptz(n) => long(*n, seed),
        Datum::Oid(n) => word(*n, seed),
        Datum::Float4(f) => float(f64::from(*f), seed),
        Datum::Float8(f) => float(*f, seed),
        Datum::Numeric(_) => numeric(value, seed),
        Datum::Text(s) if ty == oid::CHAR => word(i32::from(s.as_bytes().first().copied().unwrap_or(0) as i8) as u32, seed),
        Datum::Text(s) if ty == oid::BPCHAR => bytes(s.trim_end_matches(' ').as_bytes(), seed),
        Datum::Text(s) => bytes(s.as_bytes(), seed),
        Datum::Bytea(b) => bytes(b, seed),
        Datum::Uuid(b) => bytes(b, seed),
        Datum::Interval(i) => long(datetime::interval_span(*i) as i64, seed),
        Datum::Timetz(t) => long(t.micros, seed) ^ word(t.west as u32, seed),
        Datum::Array(a) => a.elements.iter().fold(1u64, |hash, element| {
            let of = if element.is_null() { 0 } else { datum(a.element, element, seed) };
            hash.wrapping_mul(31).wrapping_add(of)
        }),
        _ => seed,
    }
}

fn long(n: i64, seed: u64) -> u64 {
    let (low, high) = (n as u32, (n >> 32) as u32);
    // So that equal int4 and int8 have equal hashes.
    word(low ^ if n >= 0 { high } else { !high }, seed)
}

fn float(f: f64, seed: u64) -> u64 {
    if f == 0.0 {
        return seed;
    }
    let f = if f.is_nan() { f64::NAN } else { f };
    bytes(&f.to_ne_bytes(), seed)
}

/// The digits without zeros at either end, and the weight of the first.
fn numeric(value: &Datum, seed: u64) -> u64 {
    let mut wire = Vec::new();
    binary_io::encode(PgType::NUMERIC, value, &mut wire);
    let field = |i: usize| wire.get(2 * i..2 * i + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let sign = field(2);
    if sign & 0xC000 == 0xC000 {
        return seed; // NaN and the infinities
    }
    let digits: Vec<u16> = (0..usize::from(field(0))).map(|i| field(4 + i)).collect();
    let Some(first) = digits.iter().position(|d| *d != 0) else {
        return seed.wrapping_sub(1);
    };
    let last = digits.iter().rposition(|d| *d != 0).unwrap_or(first);
    let weight = i64::from(field(1) as i16) - first as i64;
    let stored: Vec<u8> = digits[first..=last].iter().flat_map(|d| d.to_ne_bytes()).collect();
    bytes(&stored, seed) ^ weight as u64
}

/// `hash_bytes_uint32_extended`
fn word(k: u32, seed: u64) -> u64 {
    let mut state = State::new(4, seed);
    state.a = state.a.wrapping_add(k);
    state.finish()
}

/// `hash_bytes_extended`
fn bytes(all: &[u8], seed: u64) -> u64 {
    let mut state = State::new(all.len() as u32, seed);
    let (chunks, rest) = all.as_chunks::<12>();
    for c in chunks {
        state.a = state.a.wrapping_add(u32::from_le_bytes([c[0], c[1], c[2], c[3]]));
        state.b = state.b.wrapping_add(u32::from_le_bytes([c[4], c[5], c[6], c[7]]));
        state.c = state.c.wrapping_add(u32::from_le_bytes([c[8], c[9], c[10], c[11]]));
        state.mix();
    }
    for (i, byte) in rest.iter().enumerate() {
        let byte = u32::from(*byte);
        match i {
            0..4 => state.a = state.a.wrapping_add(byte << (8 * i)),
            4..8 => state.b = state.b.wrapping_add(byte << (8 * (i - 4))),
            // The lowest byte is the length's.
            _ => state.c = state.c.wrapping_add(byte << (8 * (i - 7))),
        }
    }
    state.finish()
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: u32, seed: u64) -> State {
        let start = 0x9e37_79b9u32.wrapping_add(length).wrapping_add(3_923_095);
        let mut state = State {
            a: start,
            b: start,
            c: start,
        };
        if seed != 0 {
            state.a = state.a.wrapping_add((seed >> 32) as u32);
            state.b = state.b.wrapping_add(seed as u32);
            state.mix();
        }
        state
    }

    fn mix(&mut self) {
        let State { a, b, c } = self;
        let step = |x: &mut u32, y: &mut u32, z: u32, bits: u32| {
            // x -= y; x ^= rot(y); y += z
            *x = x.wrapping_sub(*y) ^ y.rotate_left(bits);
            *y = y.wrapping_add(z);
        };
        step(a, c, *b, 4);
        step(b, a, *c, 6);
        step(c, b, *a, 8);
        step(a, c, *b, 16);
        step(b, a, *c, 19);
        step(c, b, *a, 4);
    }

    fn finish(mut self) -> u64 {
        let State { a, b, c } = &mut self;
        let step = |x: &mut u32, y: u32, bits: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(bits));
        step(c, *b, 14);
        step(a, *c, 11);
        step(b, *a, 25);
        step(c, *b, 16);
        step(a, *c, 4);
        step(b, *a, 14);
        step(c, *b, 24);
        (u64::from(self.b) << 32) | u64::from(self.c)
    }
}
