//! The default btree order of each type over values: what `<` and `=` compute, and sorting, GROUP BY and unique checks rely on.

use curia_types::{Datum, datetime, oid};
use std::cmp::Ordering;

/// float8 order: NaN is equal to itself and larger than everything.
pub fn float_cmp(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// bpchar order: trailing blanks do not count.
pub fn bpchar_cmp(a: &str, b: &str) -> Ordering {
    a.trim_end_matches(' ').as_bytes().cmp(b.trim_end_matches(' ').as_bytes())
}

/// Compares two non-null values of one type in its default order; NULLs inside arrays and records sort last. Text is byte order.
/// `ty` only matters for bpchar, whose trailing blanks do not count.
pub fn compare_datums(ty: u32, a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Int2(a), Datum::Int2(b)) => a.cmp(b),
        (Datum::Int4(a), Datum::Int4(b)) | (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b))
        | (Datum::Time(a), Datum::Time(b))
        | (Datum::Timestamp(a), Datum::Timestamp(b))
        | (Datum::Timestamptz(a), Datum::Timestamptz(b)) => a.cmp(b),
        (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
        (Datum::Float4(a), Datum::Float4(b)) => float_cmp(f64::from(*a), f64::from(*b)),
        (Datum::Float8(a), Datum::Float8(b)) => float_cmp(*a, *b),
        (Datum::Numeric(a), Datum::Numeric(b)) => a.compare(b),
        (Datum::Text(a), Datum::Text(b)) if ty == oid::BPCHAR => bpchar_cmp(a, b),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Bytea(a), Datum::Bytea(b)) => a.cmp(b),
        (Datum::Interval(a), Datum::Interval(b)) => datetime::interval_cmp(*a, *b),
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
        (Datum::Timetz(a), Datum::Timetz(b)) => a.cmp(b),
        (Datum::Bits(a), Datum::Bits(b)) => a.cmp(b),
        (Datum::Inet(a), Datum::Inet(b)) => a.cmp(b),
        (Datum::Mac(a), Datum::Mac(b)) => a.cmp(b),
        (Datum::Word(a), Datum::Word(b)) => a.cmp(b),
        (Datum::Jsonb(a), Datum::Jsonb(b)) => a.compare(b),
        (Datum::Array(a), Datum::Array(b)) => {
            let elements = a
                .elements
                .iter()
                .zip(&b.elements)
                .map(|(x, y)| compare_datums(a.element, x, y))
                .find(|o| o.is_ne());
            elements
                .unwrap_or_else(|| a.elements.len().cmp(&b.elements.len()))
                .then_with(|| a.compare_shape(b))
        }
        (Datum::Record(a), Datum::Record(b)) => {
            let fields = a
                .iter()
                .zip(b.iter())
                .map(|((t, x), (_, y))| compare_datums(t.oid, x, y))
                .find(|o| o.is_ne());
            fields.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        // Values of different types are never compared; an order by variant keeps sorting total all the same.
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(d: &Datum) -> u8 {
    match d {
        Datum::Bool(_) => 0,
        Datum::Int2(_) => 1,
        Datum::Int4(_) => 2,
        Datum::Int8(_) => 3,
        Datum::Oid(_) => 4,
        Datum::Float4(_) => 5,
        Datum::Float8(_) => 6,
        Datum::Numeric(_) => 7,
        Datum::Text(_) => 8,
        Datum::Bytea(_) => 9,
        Datum::Date(_) => 10,
        Datum::Time(_) => 11,
        Datum::Timestamp(_) => 12,
        Datum::Timestamptz(_) => 13,
        Datum::Interval(_) => 14,
        Datum::Uuid(_) => 15,
        Datum::Array(_) => 16,
        Datum::Record(_) => 17,
        Datum::Timetz(_) => 18,
        Datum::Bits(_) => 19,
        Datum::Word(_) => 20,
        Datum::Inet(_) => 21,
        Datum::Mac(_) => 22,
        Datum::Jsonb(_) => 23,
        Datum::Geometry(_) => 24,
        Datum::Null => u8::MAX,
    }
}

/// The `<` and `=` operator OIDs of a type's default btree class (`pg_opclass`); `None` when values of the type have no order (json).
pub fn default_order(ty: u32) -> Option<(u32, u32)> {
    use oid::*;
    let ty = match curia_types::type_info::base_type(ty) {
        VARCHAR => TEXT,
        t if curia_types::type_info::is_enum(t) => ANYENUM,
        t if curia_types::type_info::is_composite(t) => RECORD,
        t if t != OID && curia_types::type_info::is_oid_like(t) && t != XID && t != CID => OID,
        INT2VECTOR | OIDVECTOR => ANYARRAY,
        t if curia_types::type_info::element_of(t).is_some() => {
            let element = curia_types::type_info::element_of(t)?;
            return default_order(element).and_then(|_| same_type_pair(ANYARRAY));
        }
        t => t,
    };
    same_type_pair(ty)
}

fn same_type_pair(ty: u32) -> Option<(u32, u32)> {
    let find = |name: &str| crate::operators(name).iter().find(|o| o.left == ty && o.right == ty).map(|o| o.oid);
    Some((find("<")?, find("=")?))
}
