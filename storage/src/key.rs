//! Values as bytes whose order is the values' order.
//!
//! A key is the encodings of its columns one after the other. Each is *prefix-free* (none begins another of the same
//! column), so keys compare column by column, and the encoding of the first columns is a prefix of exactly the keys that
//! agree in them.
//!
//! ```text
//! column     u8 1 NULL that sorts first | 2 a value follows | 3 NULL that sorts last
//!            value; with DESC every byte of it is complemented
//!
//! bool       u8 0 | 1
//! int2 int4 int8, date, time, timestamp, timestamptz      big-endian, sign bit flipped
//! oid, reg*  u32 big-endian
//! float4 float8   IEEE bits, big-endian; negative: all bits flipped, else sign bit flipped; -0 as 0, NaN above all
//! numeric    as curia-types writes it: 1.0 and 1.00 have one key
//! text and the like, bytea   bytes, 00 as 00 FF, end 00 01; char(n) without trailing blanks
//! interval   u128 big-endian, sign bit flipped: microseconds with 30 days to the month, as PostgreSQL compares
//! uuid       16 bytes
//! timetz     as int8 the microseconds in UTC, as int4 the seconds west of it
//! bit, varbit   the bits as bytea, u32 big-endian their number
//! inet, cidr    u8 family, u128 big-endian network part, u8 bits, u128 big-endian address
//! macaddr    6 bytes
//! xid8, pg_lsn  u64 big-endian
//! jsonb      as curia-types writes it: equal numbers have one key
//! array      each element: u8 2 and the element's value, or u8 3 for NULL; u8 1 after the last; then what tells apart arrays of the
//!            same elements: u8 number of dimensions, the lengths (u32 big-endian), the lower bounds (as int4)
//! ```
//!
//! Decoding gives an equal value, not always the same one: numeric, in jsonb too, loses its display scale, interval how it was split
//! into months, days and time, char(n) its padding, and -0 its sign; alone and in arrays. The row has those.

use std::net::IpAddr;
use std::sync::Arc;

use curia_types::array::MAX_DIMENSIONS;
use curia_types::datetime::TimeTz;
use curia_types::net::Inet;
use curia_types::{ArrayValue, Bits, Datum, Interval, Json, Numeric, PgType, oid, type_info};

use crate::error::{Result, StorageError};

const NULL_FIRST: u8 = 1;
const VALUE: u8 = 2;
const NULL_LAST: u8 = 3;

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const TERMINATOR: u8 = 0x01;

const MICROS_PER_DAY: i128 = 86_400_000_000;

/// In place of an array's next element: there is none.
const ARRAY_END: u8 = 1;

/// How a type's values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    BlankPadded,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Timetz,
    Bits,
    Inet,
    Mac,
    Word,
    /// Of elements of this type.
    Array(u32),
    Jsonb,
}

fn form(type_oid: u32) -> Option<Form> {
    Some(match type_info::physical(type_oid) {
        oid::BOOL => Form::Bool,
        oid::INT2 => Form::Int2,
        oid::INT4 => Form::Int4,
        oid::INT8 => Form::Int8,
        oid::FLOAT4 => Form::Float4,
        oid::FLOAT8 => Form::Float8,
        oid::NUMERIC => Form::Numeric,
        oid::BPCHAR => Form::BlankPadded,
        oid::BYTEA => Form::Bytea,
        oid::DATE => Form::Date,
        oid::TIME => Form::Time,
        oid::TIMESTAMP => Form::Timestamp,
        oid::TIMESTAMPTZ => Form::Timestamptz,
        oid::INTERVAL => Form::Interval,
        oid::UUID => Form::Uuid,
        oid::TIMETZ => Form::Timetz,
        oid::BIT | oid::VARBIT => Form::Bits,
        oid::INET | oid::CIDR => Form::Inet,
        oid::MACADDR => Form::Mac,
        oid::XID8 | oid::PG_LSN => Form::Word,
        oid::JSONB => Form::Jsonb,
        oid::JSON | oid::JSONPATH | oid::TXID_SNAPSHOT | oid::PG_SNAPSHOT => return None, // no order in PostgreSQL
        other if type_info::is_text_like(other) => Form::Text,
        other if type_info::is_oid_like(other) => Form::Oid,
        other => {
            let element = type_info::element_of(other)?;
            form(element)?;
            Form::Array(element)
        }
    })
}

/// Whether values of a type can be part of a key.
pub fn orderable(type_oid: u32) -> bool {
    form(type_oid).is_some()
}

/// Whether a key gives back the very values that were written to it: not numeric, whose scale it lacks, nor others of which several
/// forms are equal.
pub fn exact(type_oid: u32) -> bool {
    use Form::*;
    matches!(
        form(type_oid),
        Some(Bool | Int2 | Int4 | Int8 | Oid | Date | Time | Timestamp | Timestamptz | Uuid | Text | Bytea | Mac | Word)
    )
}

/// Appends one column of a key.
///
/// # Errors
/// [`StorageError::Unsupported`] when the type has no order here; [`StorageError::Value`] when the value is of another type.
pub fn encode(value: &Datum, ty: PgType, descending: bool, nulls_first: bool, out: &mut Vec<u8>) -> Result<()> {
    if value.is_null() {
        out.push(if nulls_first { NULL_FIRST } else { NULL_LAST });
        return Ok(());
    }
    out.push(VALUE);
    let start = out.len();
    encode_value(value, ty, out)?;
    if descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    Ok(())
}

fn encode_value(value: &Datum, ty: PgType, out: &mut Vec<u8>) -> Result<()> {
    let form = form(ty.oid).ok_or_else(|| unsupported(ty))?;
    match (form, value) {
        (Form::Bool, Datum::Bool(v)) => out.push(u8::from(*v)),
        (Form::Int2, Datum::Int2(v)) => out.extend_from_slice(&(*v as u16 ^ 1 << 15).to_be_bytes()),
        (Form::Int4, Datum::Int4(v)) | (Form::Date, Datum::Date(v)) => out.extend_from_slice(&(*v as u32 ^ 1 << 31).to_be_bytes()),
        (Form::Int8, Datum::Int8(v))
        | (Form::Time, Datum::Time(v))
        | (Form::Timestamp, Datum::Timestamp(v))
        | (Form::Timestamptz, Datum::Timestamptz(v)) => out.extend_from_slice(&(*v as u64 ^ 1 << 63).to_be_bytes()),
        (Form::Oid, Datum::Oid(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (Form::Float4, Datum::Float4(v)) => {
            let bits = if v.is_nan() {
                f32::NAN.to_bits() & !(1 << 31)
            } else {
                (v + 0.0).to_bits()
            };
            let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        (Form::Float8, Datum::Float8(v)) => {
            let bits = if v.is_nan() {
                f64::NAN.to_bits() & !(1 << 63)
            } else {
                (v + 0.0).to_bits()
            };
            let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        (Form::Numeric, Datum::Numeric(v)) => v.write_key(out),
        (Form::Text, Datum::Text(v)) => escape(v.as_bytes(), out),
        (Form::BlankPadded, Datum::Text(v)) => escape(v.trim_end_matches(' ').as_bytes(), out),
        (Form::Bytea, Datum::Bytea(v)) => escape(v, out),
        (Form::Interval, Datum::Interval(v)) => out.extend_from_slice(&(interval_span(*v) as u128 ^ 1 << 127).to_be_bytes()),
        (Form::Uuid, Datum::Uuid(v)) => out.extend_from_slice(v),
        (Form::Timetz, Datum::Timetz(v)) => {
            out.extend_from_slice(&(v.utc_micros() as u64 ^ 1 << 63).to_be_bytes());
            out.extend_from_slice(&(v.west as u32 ^ 1 << 31).to_be_bytes());
        }
        (Form::Bits, Datum::Bits(v)) => {
            escape(v.bytes(), out);
            out.extend_from_slice(&(v.len() as u32).to_be_bytes());
        }
        (Form::Inet, Datum::Inet(v)) => {
            out.push(if v.address.is_ipv4() { 4 } else { 6 });
            out.extend_from_slice(&v.network().to_be_bytes());
            out.push(v.bits);
            out.extend_from_slice(&v.number().to_be_bytes());
        }
        (Form::Mac, Datum::Mac(v)) => out.extend_from_slice(v),
        (Form::Word, Datum::Word(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (Form::Array(element), Datum::Array(array)) => {
            let element = PgType::with_typmod(element, -1);
            for value in &array.elements {
                if value.is_null() {
                    out.push(NULL_LAST);
                } else {
                    out.push(VALUE);
                    encode_value(value, element, out)?;
                }
            }
            out.push(ARRAY_END);
            out.push(array.dimensions.len() as u8); // at most MAX_DIMENSIONS
            for (length, _) in &array.dimensions {
                out.extend_from_slice(&(*length as u32).to_be_bytes());
            }
            for (_, lower) in &array.dimensions {
                out.extend_from_slice(&(*lower as u32 ^ 1 << 31).to_be_bytes());
            }
        }
        (Form::Jsonb, Datum::Jsonb(v)) => v.write_key(out),
        _ => {
            return Err(StorageError::Value(format!(
                "{value:?} is not of type {}",
                type_info::format_type(ty.oid, ty.typmod)
            )));
        }
    }
    Ok(())
}

/// Appends a key of several columns: (type, descending, nulls first) of each, and its value.
///
/// # Errors
/// As [`encode`].
pub fn encode_all<'a>(columns: impl IntoIterator<Item = (&'a Datum, PgType, bool, bool)>, out: &mut Vec<u8>) -> Result<()> {
    for (value, ty, descending, nulls_first) in columns {
        encode(value, ty, descending, nulls_first, out)?;
    }
    Ok(())
}

/// Reads one column from the front of a key; gives the value and the rest of the key.
///
/// # Errors
/// [`StorageError::Format`] when the bytes are no such column, [`StorageError::Unsupported`] when the type has no order here.
pub fn decode(key: &[u8], ty: PgType, descending: bool, nulls_first: bool) -> Result<(Datum, &[u8])> {
    let form = form(ty.oid).ok_or_else(|| unsupported(ty))?;
    let (tag, rest) = key.split_first().ok_or_else(|| malformed("ends too early"))?;
    match *tag {
        NULL_FIRST if nulls_first => return Ok((Datum::Null, rest)),
        NULL_LAST if !nulls_first => return Ok((Datum::Null, rest)),
        VALUE => {}
        _ => return Err(malformed("an unknown tag")),
    }
    let flip = if descending { 0xff } else { 0 };
    let mut input = Input { rest, flip };
    let value = decode_value(form, &mut input)?;
    Ok((value, input.rest))
}

fn decode_value(form: Form, input: &mut Input<'_>) -> Result<Datum> {
    Ok(match form {
        Form::Bool => match input.fixed::<1>()? {
            [0] => Datum::Bool(false),
            [1] => Datum::Bool(true),
            _ => return Err(malformed("an impossible bool")),
        },
        Form::Int2 => Datum::Int2((u16::from_be_bytes(input.fixed()?) ^ 1 << 15) as i16),
        Form::Int4 => Datum::Int4(input.int4()?),
        Form::Date => Datum::Date(input.int4()?),
        Form::Int8 => Datum::Int8(input.int8()?),
        Form::Time => Datum::Time(input.int8()?),
        Form::Timestamp => Datum::Timestamp(input.int8()?),
        Form::Timestamptz => Datum::Timestamptz(input.int8()?),
        Form::Oid => Datum::Oid(u32::from_be_bytes(input.fixed()?)),
        Form::Float4 => {
            let ordered = u32::from_be_bytes(input.fixed()?);
            Datum::Float4(f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered }))
        }
        Form::Float8 => {
            let ordered = u64::from_be_bytes(input.fixed()?);
            Datum::Float8(f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered }))
        }
        Form::Numeric => Datum::Numeric(input.read(Numeric::from_key, "an impossible numeric")?),
        Form::Text | Form::BlankPadded => {
            let text = String::from_utf8(input.unescape()?).map_err(|_| malformed("text that is not UTF-8"))?;
            Datum::Text(Arc::from(text))
        }
        Form::Bytea => Datum::Bytea(Arc::from(input.unescape()?)),
        Form::Interval => Datum::Interval(interval_of((u128::from_be_bytes(input.fixed()?) ^ 1 << 127) as i128)?),
        Form::Uuid => Datum::Uuid(input.fixed()?),
        Form::Timetz => {
            let (utc, west) = (input.int8()?, input.int4()?);
            let micros = i64::from(west).checked_mul(1_000_000).and_then(|w| utc.checked_sub(w));
            let micros = micros.ok_or(malformed("an impossible time"))?;
            Datum::Timetz(TimeTz { micros, west })
        }
        Form::Bits => {
            let bytes = input.unescape()?;
            let len = u32::from_be_bytes(input.fixed()?) as usize;
            if len.div_ceil(8) != bytes.len() {
                return Err(malformed("a bit string of another length"));
            }
            Datum::Bits(Arc::new(Bits::from_bytes(len, &bytes)))
        }
        Form::Inet => {
            let [family] = input.fixed::<1>()?;
            let _network: [u8; 16] = input.fixed()?;
            let [bits] = input.fixed::<1>()?;
            let number = u128::from_be_bytes(input.fixed()?);
            let zero = match family {
                4 => IpAddr::from([0; 4]),
                6 => IpAddr::from([0; 16]),
                _ => return Err(malformed("an impossible address")),
            };
            let inet = Inet::host(zero).with_number(number, bits);
            if bits > inet.max_bits() {
                return Err(malformed("an impossible address"));
            }
            Datum::Inet(inet)
        }
        Form::Mac => Datum::Mac(input.fixed()?),
        Form::Jsonb => Datum::Jsonb(input.read(Json::from_key, "an impossible jsonb")?),
        Form::Word => Datum::Word(u64::from_be_bytes(input.fixed()?)),
        Form::Array(element) => Datum::Array(Arc::new(decode_array(element, input)?)),
    })
}

fn decode_array(element: u32, input: &mut Input<'_>) -> Result<ArrayValue> {
    let form = form(element).ok_or_else(|| unsupported(PgType::with_typmod(element, -1)))?;
    let mut elements = Vec::new();
    loop {
        match input.fixed::<1>()? {
            [ARRAY_END] => break,
            [NULL_LAST] => elements.push(Datum::Null),
            [VALUE] => elements.push(decode_value(form, input)?),
            _ => return Err(malformed("an unknown tag")),
        }
    }
    let [n] = input.fixed::<1>()?;
    let n = usize::from(n);
    if n > MAX_DIMENSIONS {
        return Err(malformed("too many dimensions"));
    }
    let mut dimensions = vec![(0, 0); n];
    for d in &mut dimensions {
        d.0 = i32::try_from(u32::from_be_bytes(input.fixed()?)).map_err(|_| malformed("an impossible dimension"))?;
    }
    for d in &mut dimensions {
        d.1 = input.int4()?;
        d.0.checked_add(d.1).ok_or(malformed("an impossible dimension"))?;
    }
    let expected = if n == 0 {
        0
    } else {
        dimensions.iter().fold(1usize, |t, d| t.saturating_mul(d.0 as usize))
    };
    if expected != elements.len() {
        return Err(malformed("dimensions that do not match the elements"));
    }
    Ok(ArrayValue {
        element,
        dimensions,
        elements,
    })
}

/// What is left of a key, and what its bytes are complemented with.
struct Input<'a> {
    rest: &'a [u8],
    flip: u8,
}

impl Input<'_> {
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| malformed("ends too early"))?;
        self.rest = rest;
        Ok(bytes.map(|byte| byte ^ self.flip))
    }

    fn int4(&mut self) -> Result<i32> {
        Ok((u32::from_be_bytes(self.fixed()?) ^ 1 << 31) as i32)
    }

    fn int8(&mut self) -> Result<i64> {
        Ok((u64::from_be_bytes(self.fixed()?) ^ 1 << 63) as i64)
    }

    fn unescape(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut bytes = self.rest.iter();
        loop {
            match bytes.next().map(|byte| byte ^ self.flip) {
                None => return Err(malformed("ends too early")),
                Some(ESCAPE) => match bytes.next().map(|byte| byte ^ self.flip) {
                    Some(ESCAPED_ZERO) => out.push(0),
                    Some(TERMINATOR) => break,
                    _ => return Err(malformed("an unknown escape")),
                },
                Some(byte) => out.push(byte),
            }
        }
        self.rest = bytes.as_slice();
        Ok(out)
    }

    /// A value that knows its own key, and that key's length.
    fn read<T>(&mut self, from_key: impl Fn(&[u8]) -> curia_types::Result<(T, usize)>, impossible: &'static str) -> Result<T> {
        let read = |bytes: &[u8]| from_key(bytes).map_err(|_| malformed(impossible));
        let (value, used) = if self.flip == 0 {
            read(self.rest)?
        } else {
            // Where a complemented key ends is only known by reading it.
            read(&self.rest.iter().map(|byte| byte ^ self.flip).collect::<Vec<u8>>())?
        };
        self.rest = self.rest.get(used..).ok_or(malformed("ends too early"))?;
        Ok(value)
    }
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == ESCAPE) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[ESCAPE, ESCAPED_ZERO]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[ESCAPE, TERMINATOR]);
}

/// `interval_cmp_value` of PostgreSQL's timestamp.c.
fn interval_span(value: Interval) -> i128 {
    let days = i128::from(value.months) * 30 + i128::from(value.days);
    days * MICROS_PER_DAY + i128::from(value.micros)
}

/// An interval of this span; all parts have its sign.
fn interval_of(span: i128) -> Result<Interval> {
    let (days, micros) = (span / MICROS_PER_DAY, span % MICROS_PER_DAY);
    let mut months = days / 30;
    let mut days = days % 30;
    let mut micros = micros;
    // Spans beyond the largest months come from large days and times: give those the excess.
    let limit = i128::from(if span < 0 { i32::MIN } else { i32::MAX });
    if months.abs() > limit.abs() {
        days += (months - limit) * 30;
        months = limit;
        let limit = i128::from(if span < 0 { i32::MIN } else { i32::MAX });
        if days.abs() > limit.abs() {
            micros += (days - limit) * MICROS_PER_DAY;
            days = limit;
        }
    }
    let too_large = |_| malformed("an impossible interval");
    Ok(Interval {
        months: i32::try_from(months).map_err(too_large)?,
        days: i32::try_from(days).map_err(too_large)?,
        micros: i64::try_from(micros).map_err(too_large)?,
    })
}

fn unsupported(ty: PgType) -> StorageError {
    StorageError::Unsupported(format!("a key of type {}", type_info::format_type(ty.oid, ty.typmod)))
}

fn malformed(detail: &'static str) -> StorageError {
    StorageError::format("key", detail)
}
