//! Binary input and output of every type: `typreceive` and `typsend`, big-endian.

use crate::array::{MAX_DIMENSIONS, MAX_ELEMENTS};
use crate::type_info::UserKind;
use crate::{ArrayValue, Datum, Interval, IoContext, Numeric, PgType, Result, SqlError, SqlState, datetime, length, oid, type_info};
use std::sync::Arc;

fn short() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

fn bad_format() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

fn fixed<const N: usize>(b: &[u8]) -> Result<[u8; N]> {
    if b.len() < N {
        return Err(short());
    }
    <[u8; N]>::try_from(b).map_err(|_| bad_format())
}

/// Form in which a value travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ValueFormat {
    /// Text output of the type.
    #[default]
    Text,
    /// Binary output of the type.
    Binary,
}

/// UTF-8 without NUL, 22021 otherwise.
pub fn check_text(b: &[u8]) -> Result<&str> {
    let bad = |at: usize, n: usize| {
        let shown: Vec<String> = b[at..(at + n).min(b.len())].iter().map(|x| format!("0x{x:02x}")).collect();
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    let s = std::str::from_utf8(b).map_err(|e| {
        let at = e.valid_up_to();
        // PostgreSQL shows as many bytes as the lead byte announces.
        let announced = match b[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        bad(at, announced)
    })?;
    match b.iter().position(|c| *c == 0) {
        Some(at) => Err(bad(at, 1)),
        None => Ok(s),
    }
}

/// Reads a value of a type from the binary form that clients send: as [`decode`], but users' types in their outer form (an enum by its
/// label, a domain checked, a composite value with its type's columns).
///
/// Errors: those of [`decode`]; 22P02 for a label that does not exist, 42804 for other columns.
pub fn receive(ty: PgType, b: &[u8], cx: &IoContext) -> Result<Datum> {
    read(ty, b, Some(cx))
}

/// Reads a value of a type from its binary form and applies the typmod.
///
/// Errors: 08P01 when bytes are missing, 22P03 when some are left over or wrong, 22021 for bad text, 22008 out of range dates.
pub fn decode(ty: PgType, b: &[u8]) -> Result<Datum> {
    read(ty, b, None)
}

/// Reads a value in its outer form when there is a context.
fn read(ty: PgType, b: &[u8], cx: Option<&IoContext>) -> Result<Datum> {
    use crate::oid::*;
    let value = match ty.oid {
        BOOL => Datum::Bool(fixed::<1>(b)?[0] != 0),
        INT2 => Datum::Int2(i16::from_be_bytes(fixed(b)?)),
        INT4 => Datum::Int4(i32::from_be_bytes(fixed(b)?)),
        INT8 => Datum::Int8(i64::from_be_bytes(fixed(b)?)),
        FLOAT4 => Datum::Float4(f32::from_be_bytes(fixed(b)?)),
        FLOAT8 => Datum::Float8(f64::from_be_bytes(fixed(b)?)),
        NUMERIC => Datum::Numeric(Numeric::from_wire(b)?),
        BYTEA => Datum::Bytea(Arc::from(b)),
        CHAR => match fixed::<1>(b)? {
            [0] => Datum::text(""),
            [byte] => Datum::text(char::from(byte).to_string()),
        },
        NAME => Datum::text(length::name(check_text(b)?)),
        JSON => {
            let s = check_text(b)?;
            crate::json::check_json(s)?;
            Datum::text(s)
        }
        JSONB => Datum::Jsonb(crate::Json::parse(versioned(b, "jsonb")?)?),
        // Of this process, and so in normal form and without a version, where there is no client.
        JSONPATH if cx.is_none() => Datum::text(check_text(b)?),
        JSONPATH => Datum::text(crate::jsonpath::JsonPath::parse(versioned(b, "jsonpath")?)?.to_string()),
        _ if type_info::is_text_like(ty.oid) => Datum::text(check_text(b)?),
        DATE => Datum::Date(datetime::check_date(i32::from_be_bytes(fixed(b)?))?),
        TIME => Datum::Time(datetime::check_time(i64::from_be_bytes(fixed(b)?))?),
        TIMESTAMP => Datum::Timestamp(datetime::check_timestamp(i64::from_be_bytes(fixed(b)?))?),
        TIMESTAMPTZ => Datum::Timestamptz(datetime::check_timestamp(i64::from_be_bytes(fixed(b)?))?),
        INTERVAL => Datum::Interval(interval(&fixed::<16>(b)?)),
        UUID => Datum::Uuid(fixed(b)?),
        TIMETZ => {
            let bytes = fixed::<12>(b)?;
            let (micros, west) = bytes.split_at(8);
            let value = datetime::TimeTz {
                micros: i64::from_be_bytes(fixed(micros)?),
                west: i32::from_be_bytes(fixed(west)?),
            };
            Datum::Timetz(value.check()?)
        }
        BIT | VARBIT => {
            let len = i32::from_be_bytes(*b.first_chunk().ok_or_else(short)?);
            let len = usize::try_from(len)
                .map_err(|_| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid length in external bit string"))?;
            let bytes = &b[4..];
            if bytes.len() < len.div_ceil(8) {
                return Err(short());
            }
            if bytes.len() > len.div_ceil(8) {
                return Err(bad_format());
            }
            Datum::Bits(Arc::new(crate::Bits::from_bytes(len, bytes)))
        }
        INET | CIDR => Datum::Inet(crate::net::Inet::decode(b).ok_or_else(bad_format)?),
        MACADDR => Datum::Mac(fixed(b)?),
        POINT | LSEG | LINE | BOX | PATH | POLYGON | CIRCLE => {
            Datum::Geometry(Arc::new(crate::geometry::Geometry::decode(ty, b)?.ok_or_else(bad_format)?))
        }
        XID8 | PG_LSN => Datum::Word(u64::from_be_bytes(fixed(b)?)),
        VOID => Datum::Null,
        INT2VECTOR | OIDVECTOR => Datum::Array(Arc::new(array(b, if ty.oid == INT2VECTOR { INT2 } else { OID }, -1, cx)?)),
        RECORD => Datum::record(record(b, cx)?),
        other if type_info::is_oid_like(other) => Datum::Oid(u32::from_be_bytes(fixed(b)?)),
        other => match (type_info::element_of(other), type_info::user::kind(other)) {
            (Some(element), _) => Datum::Array(Arc::new(array(b, element, ty.typmod, cx)?)),
            (None, Some(UserKind::Domain { base })) => {
                let value = read(type_info::base_of(base), b, cx)?;
                cx.map_or(Ok(()), |cx| cx.check_domain(other, &value))?;
                value
            }
            (None, Some(UserKind::Enum)) => match cx {
                Some(cx) => cx.enum_value(other, check_text(b)?)?,
                None => Datum::Int8(i64::from_be_bytes(fixed(b)?)),
            },
            (None, Some(UserKind::Composite)) => {
                let fields = record(b, cx)?;
                cx.map_or(Ok(()), |cx| check_columns(other, &fields, cx))?;
                Datum::record(fields)
            }
            (None, _) => return Err(SqlError::unsupported(format!("type {}", type_info::format_type(other, -1)))),
        },
    };
    if ty.typmod >= 0 {
        length::coerce(ty, value, false)
    } else {
        Ok(value)
    }
}

/// Version 1: the text form.
fn versioned<'a>(b: &'a [u8], name: &str) -> Result<&'a str> {
    match b.split_first() {
        None => Err(short()),
        Some((1, text)) => check_text(text),
        Some((version, _)) => Err(SqlError::internal(format!("unsupported {name} version number {version}"))),
    }
}

fn interval(b: &[u8; 16]) -> Interval {
    let (micros, rest) = b.split_at(8);
    let (days, months) = rest.split_at(4);
    let four = |x: &[u8]| i32::from_be_bytes([x[0], x[1], x[2], x[3]]);
    let mut m = [0; 8];
    m.copy_from_slice(micros);
    Interval {
        months: four(months),
        days: four(days),
        micros: i64::from_be_bytes(m),
    }
}

struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn int(&mut self) -> Result<i32> {
        let (head, rest) = self.0.split_at_checked(4).ok_or_else(short)?;
        self.0 = rest;
        Ok(i32::from_be_bytes([head[0], head[1], head[2], head[3]]))
    }
    fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(short)?;
        self.0 = rest;
        Ok(head)
    }
}

fn array(b: &[u8], element: u32, typmod: i32, cx: Option<&IoContext>) -> Result<ArrayValue> {
    let invalid = |m: String| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, m);
    let mut w = Words(b);
    let ndim = w.int()?;
    if !(0..=MAX_DIMENSIONS as i32).contains(&ndim) {
        return Err(if ndim < 0 {
            invalid(format!("invalid number of dimensions: {ndim}"))
        } else {
            SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("number of array dimensions ({ndim}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
            )
        });
    }
    let flags = w.int()?;
    if !(0..=1).contains(&flags) {
        return Err(invalid("invalid array flags".to_owned()));
    }
    let sent = w.int()? as u32;
    // Between a domain and what it is over nothing is converted, so a value may come with either.
    if sent != element && type_info::base_type(sent) != type_info::base_type(element) {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {sent} ({}) instead of expected {element} ({})",
                name(sent),
                name(element)
            ),
        ));
    }
    let mut dimensions = Vec::with_capacity(ndim as usize);
    let mut total = 1usize;
    for _ in 0..ndim {
        let (n, low) = (w.int()?, w.int()?);
        if n < 0 || low.checked_add(n).is_none() {
            return Err(SqlError::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "array size exceeds the maximum allowed",
            ));
        }
        total = total.saturating_mul(n as usize);
        dimensions.push((n, low));
    }
    if ndim == 0 || total == 0 {
        return Ok(ArrayValue::of(element, Vec::new()));
    }
    // Every element takes at least its length word.
    if total > MAX_ELEMENTS || total > w.0.len() / 4 {
        return Err(short());
    }
    let ty = PgType::with_typmod(element, typmod);
    let mut elements = Vec::with_capacity(total);
    for _ in 0..total {
        elements.push(item(&mut w, ty, cx)?);
    }
    if !w.0.is_empty() {
        return Err(bad_format());
    }
    Ok(ArrayValue {
        element,
        dimensions,
        elements,
    })
}

fn name(oid: u32) -> String {
    type_info::format_type(oid, -1)
}

fn item(w: &mut Words<'_>, ty: PgType, cx: Option<&IoContext>) -> Result<Datum> {
    match w.int()? {
        -1 => {
            cx.map_or(Ok(()), |cx| cx.check_domain(ty.oid, &Datum::Null))?;
            Ok(Datum::Null)
        }
        n => read(ty, w.bytes(usize::try_from(n).map_err(|_| short())?)?, cx),
    }
}

/// Fields that a client sent must be those of the type.
fn check_columns(ty: u32, fields: &[(PgType, Datum)], cx: &IoContext) -> Result<()> {
    let attributes = cx.attributes(ty)?;
    let mismatch = |m: String| Err(SqlError::new(SqlState::DATATYPE_MISMATCH, m));
    if attributes.len() != fields.len() {
        return mismatch(format!("wrong number of columns: {}, expected {}", fields.len(), attributes.len()));
    }
    for (i, ((sent, _), attribute)) in fields.iter().zip(attributes.iter()).enumerate() {
        let expected = attribute.ty.oid;
        if sent.oid != expected {
            return mismatch(format!(
                "binary data has type {} ({}) instead of expected {expected} ({}) in record column {}",
                sent.oid,
                name(sent.oid),
                name(expected),
                i + 1
            ));
        }
    }
    Ok(())
}

fn record(b: &[u8], cx: Option<&IoContext>) -> Result<Vec<(PgType, Datum)>> {
    let mut w = Words(b);
    let n = usize::try_from(w.int()?).map_err(|_| bad_format())?;
    let mut fields = Vec::with_capacity(n.min(b.len() / 8));
    for _ in 0..n {
        let ty = PgType::with_typmod(w.int()? as u32, -1);
        let value = item(&mut w, ty, cx)?;
        fields.push((ty, value));
    }
    if w.0.is_empty() { Ok(fields) } else { Err(bad_format()) }
}

/// Appends the binary form that clients see of a non-null value, without its length word: as [`encode`], but enums by their labels.
pub fn send(ty: PgType, value: &Datum, cx: &IoContext, out: &mut Vec<u8>) {
    if ty.oid == oid::JSONPATH {
        out.push(1);
    }
    match outer(ty, value, cx) {
        Some(value) => encode(ty, &value, out),
        None => encode(ty, value, out),
    }
}

/// A value with the labels of enums in place of their values; `None` when there are none in it.
fn outer(ty: PgType, value: &Datum, cx: &IoContext) -> Option<Datum> {
    match value {
        Datum::Int8(v) => match type_info::base_type(ty.oid) {
            e if type_info::is_enum(e) => cx.enum_label(e, *v).map(Datum::Text),
            _ => None,
        },
        Datum::Array(a) if type_info::user::kind(a.element).is_some() => {
            let ty = PgType::with_typmod(a.element, -1);
            let elements = a.elements.iter().map(|e| outer(ty, e, cx).unwrap_or_else(|| e.clone())).collect();
            Some(Datum::Array(Arc::new(ArrayValue { elements, ..(**a).clone() })))
        }
        Datum::Record(fields) => {
            let fields = fields.iter().map(|(ty, f)| (*ty, outer(*ty, f, cx).unwrap_or_else(|| f.clone())));
            Some(Datum::record(fields.collect()))
        }
        _ => None,
    }
}

/// Appends the binary form of a non-null value, without its length word.
pub fn encode(ty: PgType, value: &Datum, out: &mut Vec<u8>) {
    match value {
        Datum::Null => {}
        Datum::Bool(v) => out.push(u8::from(*v)),
        Datum::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int4(v) | Datum::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) | Datum::Timestamptz(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Numeric(n) => n.write_wire(out),
        Datum::Text(s) if ty.oid == oid::CHAR && s.is_empty() => out.push(0),
        Datum::Text(s) if ty.oid == oid::CHAR => out.push(s.chars().next().map_or(0, |c| c as u8)),
        Datum::Text(s) => out.extend_from_slice(s.as_bytes()),
        Datum::Bytea(b) => out.extend_from_slice(b),
        Datum::Interval(i) => {
            out.extend_from_slice(&i.micros.to_be_bytes());
            out.extend_from_slice(&i.days.to_be_bytes());
            out.extend_from_slice(&i.months.to_be_bytes());
        }
        Datum::Uuid(u) => out.extend_from_slice(u),
        Datum::Timetz(t) => {
            out.extend_from_slice(&t.micros.to_be_bytes());
            out.extend_from_slice(&t.west.to_be_bytes());
        }
        Datum::Bits(b) => {
            out.extend_from_slice(&(b.len() as i32).to_be_bytes());
            out.extend_from_slice(b.bytes());
        }
        Datum::Inet(a) => a.encode(ty.oid == oid::CIDR, out),
        Datum::Mac(m) => out.extend_from_slice(m),
        Datum::Geometry(g) => g.encode(out),
        Datum::Word(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Jsonb(j) => {
            out.push(1);
            j.write(out);
        }
        Datum::Array(a) => {
            let int = |v: i32, out: &mut Vec<u8>| out.extend_from_slice(&v.to_be_bytes());
            int(a.dimensions.len() as i32, out);
            int(i32::from(a.elements.iter().any(Datum::is_null)), out);
            // The type's element, not the value's: one that was text[] before it became varchar[] still says text.
            let element = type_info::element_of(type_info::base_type(ty.oid)).unwrap_or(a.element);
            int(element as i32, out);
            for (n, low) in &a.dimensions {
                int(*n, out);
                int(*low, out);
            }
            let ty = PgType::with_typmod(element, -1);
            for e in &a.elements {
                encode_item(ty, e, out);
            }
        }
        Datum::Record(fields) => {
            out.extend_from_slice(&(fields.len() as i32).to_be_bytes());
            for (ty, v) in fields.iter() {
                out.extend_from_slice(&ty.oid.to_be_bytes());
                encode_item(*ty, v, out);
            }
        }
    }
}

/// Appends the length word and the value; -1 for NULL.
pub fn encode_item(ty: PgType, value: &Datum, out: &mut Vec<u8>) {
    if value.is_null() {
        return out.extend_from_slice(&(-1i32).to_be_bytes());
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    encode(ty, value, out);
    let n = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&n.to_be_bytes());
}
