//! json and jsonb of values of other types: to_json, row_to_json, json_build_object and their kin (`json.c`, `jsonb.c`).

use super::{invalid, null_not_allowed, texts, wrong_subscripts};
use crate::Kernel::{Contextual, Typed};
use crate::kernels::macros::{kernels, pure};
use crate::{CallTypes, Context};
use curia_types::json::{Events, Lexical, Token, escape, read_json};
use curia_types::{
    ArrayValue, DateStyle, Datum, IoContext, Json, Numeric, PgType, RecordValue, Result, SqlError, SqlState, oid, text_io, type_info,
};
use std::sync::Arc;

/// What a type's values become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Bool,
    Number,
    /// date, timestamp, timestamptz: ISO 8601 whatever DateStyle is.
    Moment,
    Json,
    Jsonb,
    Array,
    Record,
    /// A string of the type's text form.
    Text,
}

fn class(ty: PgType, value: &Datum) -> Class {
    match value {
        Datum::Int8(_) if type_info::is_enum(type_info::base_type(ty.oid)) => Class::Text,
        Datum::Bool(_) => Class::Bool,
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) | Datum::Float4(_) | Datum::Float8(_) | Datum::Numeric(_) => Class::Number,
        Datum::Date(_) | Datum::Timestamp(_) | Datum::Timestamptz(_) => Class::Moment,
        Datum::Text(_) if type_info::base_type(ty.oid) == oid::JSON => Class::Json,
        Datum::Jsonb(_) => Class::Jsonb,
        Datum::Array(_) if !matches!(ty.oid, oid::INT2VECTOR | oid::OIDVECTOR) => Class::Array,
        Datum::Record(_) => Class::Record,
        _ => Class::Text,
    }
}

/// A moment's text: `T` between date and time, minutes in the offset.
fn moment(ty: PgType, value: &Datum, io: &IoContext) -> String {
    let iso = IoContext {
        date_style: DateStyle::Iso,
        ..io.clone()
    };
    let text = text_io::to_string(ty, value, &iso);
    let (text, era) = match text.strip_suffix(" BC") {
        Some(t) => (t, " BC"),
        None => (&*text, ""),
    };
    let Some((date, time)) = text.split_once(' ') else {
        return format!("{text}{era}");
    };
    let minutes = match time.rfind(['+', '-']) {
        Some(at) if time.len() - at == 3 => ":00",
        _ => "",
    };
    format!("{date}T{time}{minutes}{era}")
}

fn is_json_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.first().is_some_and(u8::is_ascii_digit)
}

/// Appends a value as json text.
pub(super) fn write(ty: PgType, value: &Datum, io: &IoContext, lines: bool, out: &mut Vec<u8>) -> Result<()> {
    match (class(ty, value), value) {
        (_, Datum::Null) => out.extend_from_slice(b"null"),
        (Class::Bool, Datum::Bool(b)) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        (Class::Number, _) => {
            let text = text_io::to_string(ty, value, io);
            if is_json_number(text.as_bytes()) {
                out.extend_from_slice(text.as_bytes());
            } else {
                escape(&text, out);
            }
        }
        (Class::Moment, _) => escape(&moment(ty, value, io), out),
        (Class::Json, Datum::Text(s)) => out.extend_from_slice(s.as_bytes()),
        (Class::Jsonb, Datum::Jsonb(j)) => j.write(out),
        (Class::Array, Datum::Array(a)) => write_array(a, io, lines, out)?,
        (Class::Record, Datum::Record(r)) => write_record(ty, r, io, lines, out)?,
        _ => escape(&text_io::to_string(ty, value, io), out),
    }
    Ok(())
}

fn write_array(array: &ArrayValue, io: &IoContext, lines: bool, out: &mut Vec<u8>) -> Result<()> {
    fn dimension(a: &ArrayValue, depth: usize, values: &[Datum], io: &IoContext, lines: bool, out: &mut Vec<u8>) -> Result<()> {
        let count = a.dimensions.get(depth).map_or(0, |d| d.0.max(0) as usize);
        let last = depth + 1 >= a.dimensions.len();
        let each = if last { 1 } else { values.len() / count.max(1) };
        out.push(b'[');
        for (i, part) in values.chunks(each.max(1)).enumerate() {
            if i > 0 {
                out.extend_from_slice(if lines { b",\n " } else { b"," });
            }
            if last {
                write(PgType::with_typmod(a.element, -1), &part[0], io, false, out)?;
            } else {
                dimension(a, depth + 1, part, io, false, out)?;
            }
        }
        out.push(b']');
        Ok(())
    }
    dimension(array, 0, &array.elements, io, lines, out)
}

/// The fields' names of a row value: its own, those of its type, or f1, f2, ...
fn names(ty: PgType, record: &RecordValue, io: &IoContext) -> Result<Vec<String>> {
    let ty = type_info::base_type(ty.oid);
    if record.names.is_none() && type_info::is_composite(ty) {
        return Ok(io.attributes(ty)?.iter().map(|a| a.name.to_string()).collect());
    }
    Ok((0..record.len()).map(|i| record.name(i).into_owned()).collect())
}

fn write_record(ty: PgType, record: &RecordValue, io: &IoContext, lines: bool, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'{');
    let names = names(ty, record, io)?;
    for (i, ((ty, value), name)) in record.iter().zip(&names).enumerate() {
        if i > 0 {
            out.extend_from_slice(if lines { b",\n " } else { b"," });
        }
        escape(name, out);
        out.push(b':');
        write(*ty, value, io, false, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn text(out: Vec<u8>) -> Result<Datum> {
    String::from_utf8(out)
        .map(|s| Datum::Text(Arc::from(s)))
        .map_err(|_| SqlError::internal("json that is not UTF-8"))
}

/// A value as json text.
pub(super) fn to_json(ty: PgType, value: &Datum, io: &IoContext, lines: bool) -> Result<Datum> {
    let mut out = Vec::new();
    write(ty, value, io, lines, &mut out)?;
    text(out)
}

/// A value as a document.
pub(super) fn document(ty: PgType, value: &Datum, io: &IoContext) -> Result<Json> {
    Ok(match (class(ty, value), value) {
        (_, Datum::Null) => Json::Null,
        (Class::Bool, Datum::Bool(b)) => Json::Bool(*b),
        (Class::Number, Datum::Numeric(n)) if !n.is_nan() && !n.is_infinite() => Json::Number(n.clone()),
        (Class::Number, _) => {
            let text = text_io::to_string(ty, value, io);
            if is_json_number(text.as_bytes()) {
                Json::Number(Numeric::parse(&text)?)
            } else {
                Json::string(text)
            }
        }
        (Class::Moment, _) => Json::string(moment(ty, value, io)),
        (Class::Json, Datum::Text(s)) => Json::parse(s)?,
        (Class::Jsonb, Datum::Jsonb(j)) => j.clone(),
        (Class::Array, Datum::Array(a)) => {
            let element = PgType::with_typmod(a.element, -1);
            let mut level: Vec<Json> = a.elements.iter().map(|e| document(element, e, io)).collect::<Result<_>>()?;
            for (count, _) in a.dimensions.iter().skip(1).rev() {
                let chunks = level.chunks((*count).max(1) as usize);
                level = chunks.map(|c| Json::array(c.to_vec())).collect::<Result<_>>()?;
            }
            Json::array(level)?
        }
        (Class::Record, Datum::Record(r)) => {
            let names = names(ty, r, io)?;
            let pairs = r
                .iter()
                .zip(names)
                .map(|((ty, v), name)| Ok((Arc::from(name), document(*ty, v, io)?)));
            Json::object(pairs.collect::<Result<_>>()?)?
        }
        _ => Json::string(text_io::to_string(ty, value, io)),
    })
}

/// A value as the key of a member. 22023 when it is no scalar.
pub(super) fn key(ty: PgType, value: &Datum, io: &IoContext) -> Result<String> {
    match (class(ty, value), value) {
        (Class::Json | Class::Jsonb | Class::Array | Class::Record, _) => {
            Err(invalid("key value must be scalar, not array, composite, or json"))
        }
        (Class::Bool, Datum::Bool(b)) => Ok(b.to_string()),
        (Class::Moment, _) => Ok(moment(ty, value, io)),
        _ => Ok(text_io::to_string(ty, value, io)),
    }
}

fn type_of(types: &CallTypes<'_>, i: usize) -> PgType {
    types.args.get(i).copied().unwrap_or(PgType::TEXT)
}

/// Keys and values of json_build_object.
fn pairs<'a>(
    types: &CallTypes<'_>,
    args: &'a [Datum],
    io: &IoContext,
    function: &str,
    null_key: impl Fn(usize) -> SqlError,
) -> Result<Vec<(String, PgType, &'a Datum)>> {
    if !args.len().is_multiple_of(2) {
        return Err(invalid("argument list must have even number of elements").hint(format!(
            "The arguments of {function}() must consist of alternating keys and values."
        )));
    }
    let mut out = Vec::with_capacity(args.len() / 2);
    for (i, pair) in args.chunks(2).enumerate() {
        if pair[0].is_null() {
            return Err(null_key(2 * i + 1));
        }
        out.push((key(type_of(types, 2 * i), &pair[0], io)?, type_of(types, 2 * i + 1), &pair[1]));
    }
    Ok(out)
}

fn json_build_object(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let io = cx.io();
    let null = |at| invalid(format!("argument {at} cannot be null")).hint("Object keys should be text.");
    let mut out = vec![b'{'];
    for (i, (key, ty, value)) in pairs(types, args, io, "json_build_object", null)?.into_iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        escape(&key, &mut out);
        out.extend_from_slice(b" : ");
        write(ty, value, io, false, &mut out)?;
    }
    out.push(b'}');
    text(out)
}

fn jsonb_build_object(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let io = cx.io();
    let null = |at| invalid(format!("argument {at}: key must not be null"));
    let pairs = pairs(types, args, io, "jsonb_build_object", null)?.into_iter();
    let members = pairs.map(|(key, ty, value)| Ok((Arc::from(key), document(ty, value, io)?)));
    Json::object(members.collect::<Result<_>>()?).map(Datum::Jsonb)
}

fn json_build_array(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let mut out = vec![b'['];
    for (i, value) in args.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write(type_of(types, i), value, cx.io(), false, &mut out)?;
    }
    out.push(b']');
    text(out)
}

fn jsonb_build_array(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let values = args.iter().enumerate().map(|(i, v)| document(type_of(types, i), v, cx.io()));
    Json::array(values.collect::<Result<_>>()?).map(Datum::Jsonb)
}

/// Keys and values of json_object: one array with both in turn or in rows of two, or one array of each.
fn text_pairs<'a>(keys: &'a ArrayValue, values: Option<&'a ArrayValue>) -> Result<Vec<(&'a str, Option<&'a str>)>> {
    let pairs: Vec<(Option<&str>, Option<&str>)> = match values {
        Some(values) => {
            if keys.dimensions.len() > 1 || keys.dimensions.len() != values.dimensions.len() {
                return Err(wrong_subscripts());
            }
            if keys.elements.len() != values.elements.len() {
                return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions"));
            }
            texts(keys).zip(texts(values)).collect()
        }
        None => {
            let wrong = |message: &str| Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message.to_owned()));
            match keys.dimensions.as_slice() {
                [] => {}
                [(n, _)] if n % 2 != 0 => return wrong("array must have even number of elements"),
                [_] | [_, (2, _)] => {}
                [_, _] => return wrong("array must have two columns"),
                _ => return Err(wrong_subscripts()),
            }
            let all: Vec<Option<&str>> = texts(keys).collect();
            all.chunks(2).map(|c| (c[0], c[1])).collect()
        }
    };
    pairs
        .into_iter()
        .map(|(k, v)| Ok((k.ok_or_else(|| null_not_allowed("null value not allowed for object key"))?, v)))
        .collect()
}

fn json_object(keys: &ArrayValue, values: Option<&ArrayValue>) -> Result<Datum> {
    let mut out = vec![b'{'];
    for (i, (key, value)) in text_pairs(keys, values)?.into_iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        escape(key, &mut out);
        out.extend_from_slice(b" : ");
        match value {
            Some(v) => escape(v, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    text(out)
}

fn jsonb_object(keys: &ArrayValue, values: Option<&ArrayValue>) -> Result<Datum> {
    let pairs = text_pairs(keys, values)?.into_iter();
    let members = pairs.map(|(k, v)| (Arc::from(k), v.map_or(Json::Null, Json::string)));
    Json::object(members.collect()).map(Datum::Jsonb)
}

/// json without the members that are null, and without blanks.
#[derive(Default)]
struct StripNulls {
    out: Vec<u8>,
    /// A key whose value is not known yet: where it begins in `out`.
    pending: Option<usize>,
}

impl StripNulls {
    fn comma(&mut self) {
        if self.pending.take().is_none() && !matches!(self.out.last(), None | Some(b'[' | b'{')) {
            self.out.push(b',');
        }
    }
}

impl<'a> Events<'a> for StripNulls {
    fn object_start(&mut self) -> Result<()> {
        self.comma();
        self.out.push(b'{');
        Ok(())
    }
    fn object_end(&mut self) -> Result<()> {
        self.out.push(b'}');
        Ok(())
    }
    fn array_start(&mut self) -> Result<()> {
        self.comma();
        self.out.push(b'[');
        Ok(())
    }
    fn array_end(&mut self) -> Result<()> {
        self.out.push(b']');
        Ok(())
    }
    fn key(&mut self, token: Token<'a>) -> Result<()> {
        let before = self.out.len();
        self.comma();
        escape(&token.string, &mut self.out);
        self.out.push(b':');
        self.pending = Some(before);
        Ok(())
    }
    fn scalar(&mut self, token: Token<'a>) -> Result<()> {
        if let (Some(before), "null") = (self.pending, token.text) {
            self.out.truncate(before);
            self.pending = None;
            return Ok(());
        }
        self.comma();
        if token.text.starts_with('"') {
            escape(&token.string, &mut self.out);
        } else {
            self.out.extend_from_slice(token.text.as_bytes());
        }
        Ok(())
    }
}

fn strip_nulls(json: &str) -> Result<Datum> {
    let mut strip = StripNulls::default();
    read_json(json, Lexical::Unescaped, &mut strip)?;
    text(strip.out)
}

/// A kernel of one value, and whether lines are broken between its parts.
fn pretty(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    to_json(type_of(types, 0), &args[0], cx.io(), matches!(args.get(1), Some(Datum::Bool(true))))
}

kernels! {
    "to_json" => Typed(pretty);
    "array_to_json" => Typed(pretty);
    "array_to_json_pretty" => Typed(pretty);
    "row_to_json" => Typed(pretty);
    "row_to_json_pretty" => Typed(pretty);
    "to_jsonb" => Typed(|cx, types, args| document(type_of(types, 0), &args[0], cx.io()).map(Datum::Jsonb));
    "json_build_object" => Typed(json_build_object);
    "json_build_object_noargs" = Contextual(|_, _| Ok(Datum::text("{}")));
    "json_build_array" => Typed(json_build_array);
    "json_build_array_noargs" = Contextual(|_, _| Ok(Datum::text("[]")));
    "jsonb_build_object" => Typed(jsonb_build_object);
    "jsonb_build_object_noargs" = Contextual(|_, _| Json::object(Vec::new()).map(Datum::Jsonb));
    "jsonb_build_array" => Typed(jsonb_build_array);
    "jsonb_build_array_noargs" = Contextual(|_, _| Json::array(Vec::new()).map(Datum::Jsonb));
    "json_object" => pure!(|a: &Arc<ArrayValue>| ? json_object(a, None));
    "json_object_two_arg" => pure!(|a: &Arc<ArrayValue>, b: &Arc<ArrayValue>| ? json_object(a, Some(b)));
    "jsonb_object" => pure!(|a: &Arc<ArrayValue>| ? jsonb_object(a, None));
    "jsonb_object_two_arg" => pure!(|a: &Arc<ArrayValue>, b: &Arc<ArrayValue>| ? jsonb_object(a, Some(b)));
    "json_strip_nulls" => pure!(|j: &str| ? strip_nulls(j));
}
