//! One SQL value.

use std::sync::Arc;

/// PostgreSQL's interval: three independent fields, never normalised into each other at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// One value of any type. The type itself travels beside it as a [`crate::PgType`].
///
/// `PartialEq` is structural (for tests and maps of bound values); SQL comparison lives with the operators.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// SQL NULL of any type.
    Null,
    /// bool
    Bool(bool),
    /// int2
    Int2(i16),
    /// int4
    Int4(i32),
    /// int8
    Int8(i64),
    /// oid and the reg* types: an unsigned 32-bit number.
    Oid(u32),
    /// float4
    Float4(f32),
    /// float8
    Float8(f64),
    /// numeric, with its display scale.
    Numeric(crate::numeric::Numeric),
    /// text, varchar, bpchar (blank-padded as stored), name, "char", json, jsonpath, unknown: UTF-8 without NUL.
    Text(Arc<str>),
    /// bytea
    Bytea(Arc<[u8]>),
    /// date: days since 2000-01-01; `i32::MAX` is infinity, `i32::MIN` -infinity.
    Date(i32),
    /// time: microseconds since midnight, 0..=86_400_000_000.
    Time(i64),
    /// timestamp: microseconds since 2000-01-01; `i64::MAX` is infinity, `i64::MIN` -infinity.
    Timestamp(i64),
    /// timestamptz: the same, in UTC.
    Timestamptz(i64),
    /// interval
    Interval(Interval),
    /// uuid
    Uuid([u8; 16]),
    /// time with time zone
    Timetz(crate::datetime::TimeTz),
    /// bit and bit varying
    Bits(Arc<crate::Bits>),
    /// inet and cidr
    Inet(crate::net::Inet),
    /// macaddr
    Mac([u8; 6]),
    /// point, lseg, line, box, path, polygon, circle
    Geometry(Arc<crate::geometry::Geometry>),
    /// xid8 and pg_lsn: an unsigned 64-bit number.
    Word(u64),
    /// jsonb
    Jsonb(crate::Json),
    /// An array of any element type.
    Array(Arc<ArrayValue>),
    /// A row value.
    Record(Arc<RecordValue>),
}

/// A row value: its fields' types and values, which it derefs to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RecordValue {
    /// The fields' names, as many as there are fields; without them they are called f1, f2, ...
    pub names: Option<Arc<[Box<str>]>>,
    /// Type and value of each field.
    pub fields: Vec<(crate::PgType, Datum)>,
}

impl RecordValue {
    /// The name of a field.
    pub fn name(&self, field: usize) -> std::borrow::Cow<'_, str> {
        match self.names.as_ref().and_then(|n| n.get(field)) {
            Some(name) => (&**name).into(),
            None => format!("f{}", field + 1).into(),
        }
    }
}

impl std::ops::Deref for RecordValue {
    type Target = [(crate::PgType, Datum)];
    fn deref(&self) -> &Self::Target {
        &self.fields
    }
}

/// A (possibly multi-dimensional) array value.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayValue {
    /// Element type OID.
    pub element: u32,
    /// (length, lower bound) of each dimension; empty for `{}`.
    pub dimensions: Vec<(i32, i32)>,
    /// Elements in row-major order.
    pub elements: Vec<Datum>,
}

impl Datum {
    /// A one-dimensional array value.
    pub fn list(element: u32, elements: Vec<Datum>) -> Datum {
        Datum::Array(Arc::new(ArrayValue::of(element, elements)))
    }
    /// A row value whose fields have no names of their own.
    pub fn record(fields: Vec<(crate::PgType, Datum)>) -> Datum {
        Datum::Record(Arc::new(RecordValue { names: None, fields }))
    }
    /// Whether this is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }
    /// A text value.
    pub fn text(s: impl AsRef<str>) -> Datum {
        Datum::Text(Arc::from(s.as_ref()))
    }
}
