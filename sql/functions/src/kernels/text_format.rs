//! concat, concat_ws, format and the quoting of any value: they print arguments of every type.

use super::macros::kernels;
use super::text::quote_literal;
use crate::Kernel::Typed;
use crate::kernel::{CallTypes, Context};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, text_io, type_info};

/// The text of an argument by its actual type.
pub(super) fn text_of(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum], i: usize) -> String {
    text_io::to_string(types.args.get(i).copied().unwrap_or(PgType::TEXT), &args[i], cx.io())
}

fn concat(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum], separator: &str, from: usize) -> Datum {
    let parts: Vec<String> = (from..args.len())
        .filter(|i| !args[*i].is_null())
        .map(|i| text_of(cx, types, args, i))
        .collect();
    Datum::text(parts.join(separator))
}

fn format(cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let invalid = |m: &str| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, m);
    let Datum::Text(pattern) = &args[0] else { return Ok(Datum::Null) };
    let mut out = String::new();
    let mut next = 1usize;
    let mut chars = pattern.chars().peekable();
    let unterminated = || invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".");
    let take = |position: Option<usize>, next: &mut usize| -> Result<usize> {
        let at = match position {
            Some(0) => return Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
            Some(p) => p,
            None => *next,
        };
        *next = at + 1;
        if at < args.len() {
            Ok(at)
        } else {
            Err(invalid("too few arguments for format()"))
        }
    };
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Result<Option<usize>> {
            let mut n: Option<usize> = None;
            while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
                let v = n
                    .unwrap_or(0)
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(d as usize))
                    .filter(|v| *v <= i32::MAX as usize);
                n = Some(v.ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?);
                chars.next();
            }
            Ok(n)
        };
        let mut position = None;
        let mut width: Option<i64> = None;
        if let Some(n) = number(&mut chars)? {
            if chars.peek() == Some(&'$') {
                chars.next();
                position = Some(n);
            } else {
                width = Some(n as i64);
            }
        }
        let mut left = false;
        if width.is_none() {
            while chars.peek() == Some(&'-') {
                chars.next();
                left = true;
            }
            if chars.peek() == Some(&'*') {
                chars.next();
                let n = number(&mut chars)?;
                if n.is_some() && chars.next() != Some('$') {
                    return Err(invalid("width argument position must be ended by \"$\""));
                }
                let at = take(n, &mut next)?;
                width = match &args[at] {
                    Datum::Null => Some(0),
                    Datum::Int2(v) => Some(i64::from(*v)),
                    Datum::Int4(v) => Some(i64::from(*v)),
                    _ => Some(text_io::parse_integer::<i32>(&text_of(cx, types, args, at), "integer").map(i64::from)?),
                };
            } else {
                width = number(&mut chars)?.map(|n| n as i64);
            }
        }
        let conversion = chars.next().ok_or_else(unterminated)?;
        if !matches!(conversion, 's' | 'I' | 'L') {
            return Err(invalid(&format!("unrecognized format() type specifier \"{conversion}\"")).hint("For a single \"%\" use \"%%\"."));
        }
        let at = take(position, &mut next)?;
        let null = args[at].is_null();
        let value = match conversion {
            's' if null => String::new(),
            's' => text_of(cx, types, args, at),
            'I' if null => {
                return Err(SqlError::new(
                    SqlState::new("22004"),
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            'I' => type_info::quote_identifier(&text_of(cx, types, args, at)).into_owned(),
            _ if null => "NULL".to_owned(),
            _ => quote_literal(&text_of(cx, types, args, at)),
        };
        let width = width.unwrap_or(0);
        let (width, left) = if width < 0 {
            (width.unsigned_abs() as usize, true)
        } else {
            (width as usize, left)
        };
        let missing = width.saturating_sub(value.chars().count());
        if missing > 100_000_000 {
            return Err(super::text::too_large());
        }
        let padding = " ".repeat(missing);
        if left {
            out.push_str(&value);
            out.push_str(&padding);
        } else {
            out.push_str(&padding);
            out.push_str(&value);
        }
    }
    Ok(Datum::text(out))
}

kernels! {
    "text_concat" = Typed(|cx, types, args| Ok(concat(cx, types, args, "", 0)));
    "text_concat_ws" = Typed(|cx, types, args| Ok(match &args[0] {
        Datum::Text(separator) => concat(cx, types, args, separator, 1),
        _ => Datum::Null,
    }));
    "text_format" => Typed(format);
    "text_format_nv" => Typed(format);
    "quote_literal(anyelement)" = Typed(|cx, types, args| Ok(Datum::text(quote_literal(&text_of(cx, types, args, 0)))));
    "quote_nullable(anyelement)" = Typed(|cx, types, args| Ok(Datum::text(if args[0].is_null() { "NULL".to_owned() } else { quote_literal(&text_of(cx, types, args, 0)) })));
    "textanycat(text,anynonarray)" = Typed(|cx, types, args| Ok(Datum::text(text_of(cx, types, args, 0) + &text_of(cx, types, args, 1))));
    "anytextcat(anynonarray,text)" = Typed(|cx, types, args| Ok(Datum::text(text_of(cx, types, args, 0) + &text_of(cx, types, args, 1))));
}
