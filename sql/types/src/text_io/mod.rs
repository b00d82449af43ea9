//! Text input and output of every type: what `typinput` and `typoutput` do, with PostgreSQL's messages.
//!
//! [`parse`] reads a value and applies the typmod as an assignment would; [`format`] appends a value's text to a buffer, without
//! allocating for integers, text, bool and small numerics. A NULL has no text form: callers handle it.

mod composite;
mod record;
mod words;

use crate::json::check_json;
use crate::type_info::UserKind;
use crate::{ArrayValue, ByteaOutput, Datum, IoContext, PgType, Result, SqlError, SqlState, datetime, float, length, oid, type_info};
use std::sync::Arc;

pub use composite::{format_array, format_record, parse_array};
pub use record::parse_record;

fn invalid(name: &str, s: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {name}: \"{s}\""),
    )
}

fn out_of_range(name: &str, s: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{s}\" is out of range for type {name}"),
    )
}

fn trim(s: &str) -> &str {
    s.trim_matches(is_space)
}

/// C's isspace.
pub(crate) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// Reads a value of a type and applies its typmod.
///
/// Errors: 22P02 on syntax, 22003 out of range, 22001 too long, 22007 and 22008 for dates, 0A000 for a type we do not hold.
pub fn parse(ty: PgType, s: &str, cx: &IoContext) -> Result<Datum> {
    use crate::oid::*;
    let value = match ty.oid {
        TEXT | UNKNOWN | PG_NODE_TREE | ACLITEM | CSTRING | VARCHAR | BPCHAR => Datum::text(s),
        INT4 => Datum::Int4(parse_integer(s, "integer")?),
        INT8 => Datum::Int8(parse_integer(s, "bigint")?),
        INT2 => Datum::Int2(parse_integer(s, "smallint")?),
        BOOL => Datum::Bool(parse_bool(s).ok_or_else(|| invalid("boolean", s))?),
        NUMERIC => Datum::Numeric(crate::Numeric::parse(s)?),
        FLOAT8 => Datum::Float8(float::parse_f64(s)?),
        FLOAT4 => Datum::Float4(float::parse_f32(s)?),
        CHAR => Datum::text(parse_char(s)),
        NAME => Datum::text(length::name(s)),
        BYTEA => Datum::Bytea(parse_bytea(s)?),
        DATE => Datum::Date(datetime::parse_date(s, cx)?),
        TIME => Datum::Time(datetime::parse_time(s, cx)?),
        TIMESTAMP => Datum::Timestamp(datetime::parse_timestamp(s, cx)?),
        TIMESTAMPTZ => Datum::Timestamptz(datetime::parse_timestamptz(s, cx)?),
        INTERVAL => return Ok(Datum::Interval(datetime::parse_interval(s, ty.typmod, cx)?)),
        UUID => Datum::Uuid(parse_uuid(s)?),
        TIMETZ => Datum::Timetz(datetime::parse_timetz(s, cx)?),
        BIT | VARBIT => Datum::Bits(Arc::new(crate::Bits::parse(s)?)),
        INET => Datum::Inet(crate::net::Inet::parse(s, false)?),
        CIDR => Datum::Inet(crate::net::Inet::parse(s, true)?),
        MACADDR => Datum::Mac(crate::net::parse_mac(s)?),
        POINT | LSEG | LINE | BOX | PATH | POLYGON | CIRCLE => Datum::Geometry(Arc::new(crate::geometry::Geometry::parse(ty.oid, s)?)),
        XID8 => Datum::Word(words::parse_xid8(s)),
        PG_LSN => Datum::Word(words::parse_lsn(s)?),
        TXID_SNAPSHOT | PG_SNAPSHOT => Datum::text(words::parse_snapshot(s)?),
        JSON => {
            check_json(s)?;
            Datum::text(s)
        }
        JSONB => Datum::Jsonb(crate::Json::parse(s)?),
        JSONPATH => Datum::text(crate::jsonpath::JsonPath::parse(s)?.to_string()),
        OID => Datum::Oid(parse_oid(s, "oid")?),
        XID | CID => Datum::Oid(parse_xid(s)),
        INT2VECTOR | OIDVECTOR => parse_vector(ty.oid, s)?,
        VOID => Datum::Null,
        RECORD => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "input of anonymous composite types is not implemented",
            ));
        }
        other if type_info::is_oid_like(other) => Datum::Oid(parse_reg(other, s, cx)?),
        other => match (type_info::element_of(other), type_info::user::kind(other)) {
            (Some(element), _) => Datum::Array(Arc::new(parse_array(PgType::with_typmod(element, ty.typmod), s, cx)?)),
            (None, Some(UserKind::Enum)) => cx.enum_value(other, s)?,
            (None, Some(UserKind::Domain { base })) => {
                let value = parse(type_info::base_of(base), s, cx)?;
                cx.check_domain(other, &value)?;
                value
            }
            (None, Some(UserKind::Composite)) => parse_record(other, s, cx)?,
            (None, _) => return Err(SqlError::unsupported(format!("type {}", type_info::format_type(other, -1)))),
        },
    };
    if ty.typmod >= 0 {
        length::coerce(ty, value, false)
    } else {
        Ok(value)
    }
}

/// Appends the text form of a non-null value. A value whose variant disagrees with `ty` prints by its variant.
pub fn format(ty: PgType, value: &Datum, cx: &IoContext, out: &mut Vec<u8>) {
    match value {
        Datum::Null => {}
        Datum::Text(s) if ty.oid == oid::CHAR && !s.is_ascii() => {
            let byte = s.chars().next().map_or(0, |c| c as u32 & 0xff);
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        }
        Datum::Text(s) => out.extend_from_slice(s.as_bytes()),
        Datum::Int4(v) => write_integer(i64::from(*v), out),
        Datum::Int8(v) => match type_info::is_enum(type_info::base_type(ty.oid)).then(|| cx.enum_label(type_info::base_type(ty.oid), *v)) {
            Some(Some(label)) => out.extend_from_slice(label.as_bytes()),
            _ => write_integer(*v, out),
        },
        Datum::Int2(v) => write_integer(i64::from(*v), out),
        Datum::Bool(v) => out.push(if *v { b't' } else { b'f' }),
        Datum::Oid(v) => format_oid(type_info::base_type(ty.oid), *v, cx, out),
        Datum::Float4(v) => float::write_f32(*v, cx.extra_float_digits, out),
        Datum::Float8(v) => float::write_f64(*v, cx.extra_float_digits, out),
        Datum::Numeric(n) => n.write(out),
        Datum::Bytea(b) => format_bytea(b, cx.bytea_output, out),
        Datum::Date(d) => datetime::format_date(*d, cx, out),
        Datum::Time(t) => datetime::format_time(*t, out),
        Datum::Timestamp(t) => datetime::format_timestamp(*t, cx, out),
        Datum::Timestamptz(t) => datetime::format_timestamptz(*t, cx, out),
        Datum::Interval(i) => datetime::format_interval(*i, cx, out),
        Datum::Uuid(u) => format_uuid(u, out),
        Datum::Timetz(t) => datetime::format_timetz(*t, out),
        Datum::Bits(b) => b.write(out),
        Datum::Inet(a) => a.write(ty.oid == oid::CIDR, out),
        Datum::Mac(m) => crate::net::write_mac(m, out),
        Datum::Geometry(g) => g.write(cx, out),
        Datum::Word(v) if ty.oid == oid::PG_LSN => out.extend_from_slice(format!("{:X}/{:X}", v >> 32, v & 0xffff_ffff).as_bytes()),
        Datum::Word(v) => out.extend_from_slice(v.to_string().as_bytes()),
        Datum::Jsonb(j) => j.write(out),
        Datum::Array(a) if ty.oid == oid::INT2VECTOR || ty.oid == oid::OIDVECTOR => format_vector(a, cx, out),
        Datum::Array(a) => format_array(a, cx, out),
        Datum::Record(fields) => format_record(fields, cx, out),
    }
}

/// The text form of a non-null value as a string.
pub fn to_string(ty: PgType, value: &Datum, cx: &IoContext) -> String {
    let mut out = Vec::new();
    format(ty, value, cx, &mut out);
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Appends an integer in decimal.
pub fn write_integer(v: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = v.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if v < 0 {
        at -= 1;
        // 19 digits at most, so the sign fits.
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

/// Reads an integer as `pg_strtoint32` and kin: blanks around, one sign, decimal digits.
pub fn parse_integer<T: TryFrom<i128>>(s: &str, name: &str) -> Result<T> {
    let t = trim(s);
    let (negative, digits) = match t.as_bytes().first() {
        Some(b'-') => (true, &t[1..]),
        Some(b'+') => (false, &t[1..]),
        _ => (false, t),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(name, s));
    }
    let mut v: i128 = 0;
    for d in digits.bytes() {
        v = (v * 10 + i128::from(d - b'0')).min(1 << 100);
    }
    T::try_from(if negative { -v } else { v }).map_err(|_| out_of_range(name, s))
}

/// Reads a bool as `boolin`: unique prefixes of true, false, yes, no, on, off, and 1, 0.
pub fn parse_bool(s: &str) -> Option<bool> {
    let t = trim(s);
    let prefix = |word: &str, least: usize| {
        t.len() >= least && t.len() <= word.len() && word.as_bytes()[..t.len()].eq_ignore_ascii_case(t.as_bytes())
    };
    if t == "1" || prefix("true", 1) || prefix("yes", 1) || prefix("on", 2) {
        Some(true)
    } else if t == "0" || prefix("false", 1) || prefix("no", 1) || prefix("off", 2) {
        Some(false)
    } else {
        None
    }
}

/// "char" is one byte: the first of the text, or `\\ooo`. Held as the character with that number; zero is the empty text.
pub fn parse_char(s: &str) -> String {
    let byte = match s.as_bytes() {
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'),
        [first, ..] => *first,
        [] => 0,
    };
    if byte == 0 { String::new() } else { char::from(byte).to_string() }
}

fn parse_oid(s: &str, name: &str) -> Result<u32> {
    let t = trim(s);
    let (negative, digits) = match t.strip_prefix('-') {
        Some(d) => (true, d),
        None => (false, t.strip_prefix('+').unwrap_or(t)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(name, s));
    }
    let v: i64 = digits.parse().map_err(|_| out_of_range(name, s))?;
    let v = if negative { -v } else { v };
    // Signed 32-bit spellings of large OIDs are accepted, as strtoul does.
    u32::try_from(v)
        .or_else(|_| i32::try_from(v).map(|v| v as u32))
        .map_err(|_| out_of_range(name, s))
}

/// As C's strtoul: leading digits count, anything else is zero.
fn parse_xid(s: &str) -> u32 {
    let t = trim(s);
    let end = t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
    t[..end].parse().unwrap_or(if end > 0 { u32::MAX } else { 0 })
}

fn parse_reg(ty: u32, s: &str, cx: &IoContext) -> Result<u32> {
    let t = trim(s);
    if t == "-" {
        return Ok(0);
    }
    if !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()) {
        return parse_oid(t, "oid");
    }
    if let Some(names) = &cx.names {
        return names.oid_of(ty, t);
    }
    if ty == oid::REGTYPE {
        return type_info::parse_type_name(t)
            .map(|t| t.oid)
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{t}\" does not exist")));
    }
    Err(invalid(type_info::by_oid(ty).map_or("oid", |i| i.name), s))
}

fn format_oid(ty: u32, v: u32, cx: &IoContext, out: &mut Vec<u8>) {
    if ty != oid::OID && ty != oid::XID && ty != oid::CID && type_info::is_oid_like(ty) {
        if v == 0 {
            return out.push(b'-');
        }
        let name = cx.names.as_ref().and_then(|n| n.name_of(ty, v));
        let name = name.or_else(|| (ty == oid::REGTYPE && type_info::by_oid(v).is_some()).then(|| type_info::format_type(v, -1)));
        if let Some(name) = name {
            return out.extend_from_slice(name.as_bytes());
        }
    }
    write_integer(i64::from(v), out);
}

/// Reads bytea: `\x` hex, or the escape form. 22P02 with PostgreSQL's messages (22023 for bad hex digits).
pub fn parse_bytea(s: &str) -> Result<Arc<[u8]>> {
    if let Some(hex) = s.strip_prefix("\\x") {
        return decode_hex(hex).map(Arc::from);
    }
    let bytes = s.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'\\' {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        match &bytes[i + 1..] {
            [b'\\', ..] => {
                out.push(b'\\');
                i += 2;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                i += 4;
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
        }
    }
    Ok(Arc::from(out))
}

/// Hex digits to bytes; blanks between pairs are allowed. 22023 on anything else.
pub fn decode_hex(hex: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(hex.len() / 2);
    let mut chars = hex.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r'));
    let digit = |c: char| {
        c.to_digit(16)
            .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid hexadecimal digit: \"{c}\"")))
    };
    while let Some(high) = chars.next() {
        let high = digit(high)?;
        let low = chars
            .next()
            .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid hexadecimal data: odd number of digits"))?;
        out.push((high << 4 | digit(low)?) as u8);
    }
    Ok(out)
}

/// Appends bytes as bytea prints them.
pub fn format_bytea(bytes: &[u8], style: ByteaOutput, out: &mut Vec<u8>) {
    match style {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            write_hex(bytes, out);
        }
        ByteaOutput::Escape => {
            for b in bytes {
                match b {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(*b),
                    _ => out.extend([b'\\', b'0' + (b >> 6), b'0' + (b >> 3 & 7), b'0' + (b & 7)]),
                }
            }
        }
    }
}

/// Appends lower-case hex digits.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)]);
        out.push(DIGITS[usize::from(b & 15)]);
    }
}

/// Reads a uuid: 32 hex digits, a hyphen allowed after every fourth, optional braces.
pub fn parse_uuid(s: &str) -> Result<[u8; 16]> {
    let bad = || invalid("uuid", s);
    let body = match s.strip_prefix('{') {
        Some(b) => b.strip_suffix('}').ok_or_else(bad)?,
        None => s,
    };
    let b = body.as_bytes();
    let mut out = [0u8; 16];
    let mut i = 0;
    for (n, byte) in out.iter_mut().enumerate() {
        let pair = b.get(i..i + 2).ok_or_else(bad)?;
        let digit = |d: u8| (d as char).to_digit(16).ok_or_else(bad);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        i += 2;
        if n % 2 == 1 && n < 15 && b.get(i) == Some(&b'-') {
            i += 1;
        }
    }
    if i == b.len() { Ok(out) } else { Err(bad()) }
}

fn format_uuid(u: &[u8; 16], out: &mut Vec<u8>) {
    for (range, last) in [(0..4, false), (4..6, false), (6..8, false), (8..10, false), (10..16, true)] {
        write_hex(&u[range], out);
        if !last {
            out.push(b'-');
        }
    }
}

fn parse_vector(ty: u32, s: &str) -> Result<Datum> {
    let mut elements = Vec::new();
    for word in s.split(is_space).filter(|w| !w.is_empty()) {
        elements.push(if ty == oid::INT2VECTOR {
            Datum::Int2(parse_integer(word, "smallint")?)
        } else {
            Datum::Oid(parse_oid(word, "oid")?)
        });
    }
    let element = if ty == oid::INT2VECTOR { oid::INT2 } else { oid::OID };
    let dimensions = vec![(elements.len() as i32, 0)];
    Ok(Datum::Array(Arc::new(ArrayValue {
        element,
        dimensions,
        elements,
    })))
}

fn format_vector(a: &ArrayValue, cx: &IoContext, out: &mut Vec<u8>) {
    for (i, e) in a.elements.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        format(PgType::with_typmod(a.element, -1), e, cx, out);
    }
}
