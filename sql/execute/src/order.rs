//! Order and identity of values: what ORDER BY, GROUP BY, DISTINCT, hash joins and memos go by.
//!
//! Two values of one type are equal here exactly when the type's btree operators say so: numeric by value and not by scale, interval by
//! length, NaN equal to itself and greater than every number, -0 equal to 0, bpchar without its padding.

use curia_types::{Datum, Interval, PgType, oid, type_info};
use std::cmp::Ordering;

/// Microseconds that an interval spans, with 30-day months and 24-hour days, as PostgreSQL compares them.
fn span(i: &Interval) -> i128 {
    (i128::from(i.months) * 30 + i128::from(i.days)) * 86_400_000_000 + i128::from(i.micros)
}

fn float(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// The integer inside, when the value is one.
pub fn integer(d: &Datum) -> Option<i64> {
    match d {
        Datum::Int2(v) => Some(i64::from(*v)),
        Datum::Int4(v) => Some(i64::from(*v)),
        Datum::Int8(v) => Some(*v),
        Datum::Oid(v) => Some(i64::from(*v)),
        _ => None,
    }
}

/// Order of two values of one type; NULL is greater than everything.
pub fn compare(ty: PgType, a: &Datum, b: &Datum) -> Ordering {
    use Datum::*;
    match (a, b) {
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Greater,
        (_, Null) => Ordering::Less,
        (Bool(a), Bool(b)) => a.cmp(b),
        (Int4(a), Int4(b)) => a.cmp(b),
        (Int8(a), Int8(b)) => a.cmp(b),
        (Float4(a), Float4(b)) => float(f64::from(*a), f64::from(*b)),
        (Float8(a), Float8(b)) => float(*a, *b),
        (Numeric(a), Numeric(b)) => a.compare(b),
        (Text(a), Text(b)) if type_info::base_type(ty.oid) == oid::BPCHAR => a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')),
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Bytea(a), Bytea(b)) => a.cmp(b),
        (Date(a), Date(b)) => a.cmp(b),
        (Time(a), Time(b)) | (Timestamp(a), Timestamp(b)) | (Timestamptz(a), Timestamptz(b)) => a.cmp(b),
        (Interval(a), Interval(b)) => span(a).cmp(&span(b)),
        (Uuid(a), Uuid(b)) => a.cmp(b),
        (Timetz(a), Timetz(b)) => a.cmp(b),
        (Bits(a), Bits(b)) => a.cmp(b),
        (Inet(a), Inet(b)) => a.cmp(b),
        (Mac(a), Mac(b)) => a.cmp(b),
        (Word(a), Word(b)) => a.cmp(b),
        (Jsonb(a), Jsonb(b)) => a.compare(b),
        (Array(a), Array(b)) => {
            let element = PgType {
                oid: a.element,
                typmod: -1,
            };
            for (x, y) in a.elements.iter().zip(&b.elements) {
                match compare(element, x, y) {
                    Ordering::Equal => {}
                    other => return other,
                }
            }
            a.elements.len().cmp(&b.elements.len()).then_with(|| a.compare_shape(b))
        }
        (Record(a), Record(b)) => {
            for ((ta, x), (_, y)) in a.iter().zip(b.iter()) {
                match compare(*ta, x, y) {
                    Ordering::Equal => {}
                    other => return other,
                }
            }
            a.len().cmp(&b.len())
        }
        _ => match (integer(a), integer(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        },
    }
}

/// Appends bytes that are equal exactly for equal values (integers of all widths agree, so do the floats). Not ordered.
pub fn write_key(ty: u32, d: &Datum, out: &mut Vec<u8>) {
    use Datum::*;
    fn counted(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    }
    fn fixed(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        out.extend_from_slice(bytes);
    }
    fn double(v: f64) -> [u8; 8] {
        let v = if v == 0.0 {
            0.0
        } else if v.is_nan() {
            f64::NAN
        } else {
            v
        };
        v.to_bits().to_le_bytes()
    }
    match d {
        Null => out.push(0),
        Bool(b) => fixed(1, &[u8::from(*b)], out),
        Float4(v) => fixed(3, &double(f64::from(*v)), out),
        Float8(v) => fixed(3, &double(*v), out),
        Numeric(n) => counted(4, &n.key_bytes(), out),
        Text(s) if type_info::base_type(ty) == oid::BPCHAR => counted(5, s.trim_end_matches(' ').as_bytes(), out),
        Text(s) => counted(5, s.as_bytes(), out),
        Bytea(b) => counted(6, b, out),
        Date(v) => fixed(7, &v.to_le_bytes(), out),
        Time(v) => fixed(8, &v.to_le_bytes(), out),
        Timestamp(v) => fixed(9, &v.to_le_bytes(), out),
        Timestamptz(v) => fixed(10, &v.to_le_bytes(), out),
        Interval(i) => fixed(11, &span(i).to_le_bytes(), out),
        Uuid(u) => fixed(12, u, out),
        Timetz(t) => {
            fixed(15, &t.micros.to_le_bytes(), out);
            out.extend_from_slice(&t.west.to_le_bytes());
        }
        Bits(b) => {
            counted(16, b.bytes(), out);
            out.extend_from_slice(&(b.len() as u32).to_le_bytes());
        }
        Word(v) => fixed(17, &v.to_le_bytes(), out),
        Inet(a) => {
            fixed(18, &[a.family() as u8, a.bits], out);
            out.extend_from_slice(&a.number().to_le_bytes());
        }
        Mac(m) => fixed(19, m, out),
        Geometry(g) => {
            let mut bytes = Vec::with_capacity(32);
            g.encode(&mut bytes);
            counted(21, &bytes, out); // such types have no equality of rows: only equal bytes are the same here
        }
        Jsonb(j) => {
            let mut key = Vec::with_capacity(32);
            j.write_key(&mut key);
            counted(20, &key, out);
        }
        Array(a) => {
            fixed(13, &(a.elements.len() as u32).to_le_bytes(), out);
            for (length, lower) in &a.dimensions {
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(&lower.to_le_bytes());
            }
            a.elements.iter().for_each(|e| write_key(a.element, e, out));
        }
        Record(fields) => {
            fixed(14, &(fields.len() as u32).to_le_bytes(), out);
            fields.iter().for_each(|(t, f)| write_key(t.oid, f, out));
        }
        Int2(_) | Int4(_) | Int8(_) | Oid(_) => fixed(2, &integer(d).unwrap_or_default().to_le_bytes(), out),
    }
}

/// The key of one value whose type is not bpchar.
pub fn key_of(d: &Datum) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    write_key(0, d, &mut out);
    out
}

/// The key of a row, NULLs equal to each other.
pub fn row_key(row: &[Datum]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() * 10);
    row.iter().for_each(|d| write_key(0, d, &mut out));
    out
}

/// The key of a row of these types, NULLs equal to each other.
pub fn typed_key(types: &[PgType], row: &[Datum]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() * 10);
    row.iter().zip(types).for_each(|(d, t)| write_key(t.oid, d, &mut out));
    out
}

/// A row's estimated size in memory, bytes.
pub fn row_bytes(row: &[Datum]) -> usize {
    let inner = |d: &Datum| match d {
        Datum::Text(s) => s.len() + 16,
        Datum::Bytea(b) => b.len() + 16,
        Datum::Bits(b) => b.bytes().len() + 40,
        Datum::Array(a) => a.elements.len() * 48 + 64,
        Datum::Numeric(_) => 16,
        _ => 0,
    };
    24 + row.iter().map(|d| std::mem::size_of::<Datum>() + inner(d)).sum::<usize>()
}
