//! The regular expression operators and functions.

use super::macros::{Argument, kernels, pure};
use super::regex_syntax::{Options, compile, similar_to};
use crate::Kernel::{Pure, Set};
use crate::kernel::Rows;
use curia_types::{Datum, Result, SqlError, SqlState, oid};
use regex::{Captures, Regex};

fn case_blind() -> Options {
    Options {
        ignore_case: true,
        ..Options::default()
    }
}
fn is_match(s: &str, p: &str, o: Options) -> Result<bool> {
    Ok(compile(p, o)?.is_match(s))
}
fn str_at(args: &[Datum], i: usize) -> Result<&str> {
    <&str>::of(args.get(i))
}
fn int_at(args: &[Datum], i: usize, default: i32) -> Result<i32> {
    if i < args.len() { i32::of(args.get(i)) } else { Ok(default) }
}
fn flags_at(args: &[Datum], i: usize) -> Result<Options> {
    if i < args.len() {
        Options::parse(str_at(args, i)?)
    } else {
        Ok(Options::default())
    }
}
/// A function that finds everything itself takes no "global" option.
fn without_global(o: Options, function: &str) -> Result<Options> {
    if o.global {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{function} does not support the \"global\" option"),
        ));
    }
    Ok(o)
}

fn text_array(parts: Vec<Datum>) -> Datum {
    Datum::list(oid::TEXT, parts)
}

/// The parenthesised parts of a match, or the whole of it when there are none.
fn groups(c: &Captures<'_>) -> Datum {
    let part = |i: usize| c.get(i).map_or(Datum::Null, |m| Datum::text(m.as_str()));
    text_array(if c.len() == 1 {
        vec![part(0)]
    } else {
        (1..c.len()).map(part).collect()
    })
}

fn expand(c: &Captures<'_>, template: &str, out: &mut String) {
    let mut chars = template.chars().peekable();
    while let Some(ch) = chars.next() {
        if ch != '\\' {
            out.push(ch);
            continue;
        }
        match chars.peek().copied() {
            Some(d @ '1'..='9') => {
                chars.next();
                out.push_str(c.get(d as usize - '0' as usize).map_or("", |m| m.as_str()));
            }
            Some('&') => {
                chars.next();
                out.push_str(&c[0]);
            }
            Some('\\') => {
                chars.next();
                out.push('\\');
            }
            // A backslash before anything else stands for itself.
            _ => out.push('\\'),
        }
    }
}

/// Replaces the `n`th match, or all from it when 0, in the text from character `start`.
fn replace(s: &str, r: &Regex, template: &str, start: i32, n: i32) -> String {
    let from = s.char_indices().nth((start - 1).max(0) as usize).map_or(s.len(), |(at, _)| at);
    let mut out = String::with_capacity(s.len());
    let mut last = 0;
    for (i, c) in r
        .captures_iter(s)
        .filter(|c| c.get(0).is_some_and(|m| m.start() >= from))
        .enumerate()
    {
        if n > 0 && (i as i32) + 1 < n {
            continue;
        }
        let Some(m) = c.get(0) else { continue };
        out.push_str(&s[last..m.start()]);
        expand(&c, template, &mut out);
        last = m.end();
        if n > 0 {
            break;
        }
    }
    out.push_str(&s[last..]);
    out
}

fn at_least(name: &str, v: i32, least: i32) -> Result<i32> {
    if v < least {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{name}\": {v}"),
        ));
    }
    Ok(v)
}

fn replace_flags(s: &str, p: &str, t: &str, flags: &str) -> Result<Datum> {
    if flags.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid regular expression option: \"{}\"", &flags[..1]),
        )
        .hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
    }
    let o = Options::parse(flags)?;
    Ok(Datum::text(replace(s, &compile(p, o)?, t, 1, i32::from(!o.global))))
}

/// The first group of the first match, or the match.
fn substring(s: &str, p: &str) -> Result<Datum> {
    Ok(compile(p, Options::default())?.captures(s).map_or(Datum::Null, |c| {
        c.get(usize::from(c.len() > 1)).map_or(Datum::Null, |m| Datum::text(m.as_str()))
    }))
}

fn split(args: &[Datum], function: &str) -> Result<Vec<Datum>> {
    let r = compile(str_at(args, 1)?, without_global(flags_at(args, 2)?, function)?)?;
    let s = str_at(args, 0)?;
    let mut parts = Vec::new();
    let mut last = 0;
    for m in r.find_iter(s) {
        // Empty matches at the start, the end or right after another match split nothing.
        if m.is_empty() && (m.start() == last && last == 0 || m.start() >= s.len() || m.start() == last) {
            continue;
        }
        parts.push(Datum::text(&s[last..m.start()]));
        last = m.end();
    }
    parts.push(Datum::text(&s[last..]));
    Ok(parts)
}

fn matches(args: &[Datum]) -> Result<Rows> {
    let o = flags_at(args, 2)?;
    let r = compile(str_at(args, 1)?, o)?;
    let limit = if o.global { usize::MAX } else { 1 };
    let rows: Vec<Datum> = r.captures_iter(str_at(args, 0)?).take(limit).map(|c| groups(&c)).collect();
    Ok(Box::new(rows.into_iter().map(|d| Ok(vec![d]))))
}

fn first_match(args: &[Datum]) -> Result<Datum> {
    let o = flags_at(args, 2)?;
    if o.global {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "regexp_match() does not support the \"global\" option",
        )
        .hint("Use the regexp_matches function instead."));
    }
    Ok(compile(str_at(args, 1)?, o)?
        .captures(str_at(args, 0)?)
        .map_or(Datum::Null, |c| groups(&c)))
}

fn count(args: &[Datum]) -> Result<Datum> {
    let start = at_least("start", int_at(args, 2, 1)?, 1)?;
    let r = compile(str_at(args, 1)?, without_global(flags_at(args, 3)?, "regexp_count()")?)?;
    let s = str_at(args, 0)?;
    let from = s.char_indices().nth((start - 1) as usize).map_or(s.len(), |(at, _)| at);
    Ok(Datum::Int4(r.find_iter(s).filter(|m| m.start() >= from).count() as i32))
}

fn nth_span<'a>(args: &'a [Datum], start: i32, n: i32, o: Options, group: usize) -> Result<Option<regex::Match<'a>>> {
    let s = str_at(args, 0)?;
    let r = compile(str_at(args, 1)?, o)?;
    let from = s.char_indices().nth((start - 1) as usize).map_or(s.len(), |(at, _)| at);
    let hit = r
        .captures_iter(s)
        .filter(|c| c.get(0).is_some_and(|m| m.start() >= from))
        .nth((n - 1) as usize);
    Ok(hit.and_then(|c| c.get(group)))
}

fn instr(args: &[Datum]) -> Result<Datum> {
    let start = at_least("start", int_at(args, 2, 1)?, 1)?;
    let n = at_least("n", int_at(args, 3, 1)?, 1)?;
    let end = int_at(args, 4, 0)?;
    if !(0..=1).contains(&end) {
        at_least("endoption", -end.abs(), 0).map_err(|_| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"endoption\": {end}"),
            )
        })?;
    }
    let o = without_global(flags_at(args, 5)?, "regexp_instr()")?;
    let group = at_least("subexpr", int_at(args, 6, 0)?, 0)?;
    let s = str_at(args, 0)?;
    Ok(Datum::Int4(nth_span(args, start, n, o, group as usize)?.map_or(0, |m| {
        let at = if end == 1 { m.end() } else { m.start() };
        s[..at].chars().count() as i32 + 1
    })))
}

fn substr(args: &[Datum]) -> Result<Datum> {
    let start = at_least("start", int_at(args, 2, 1)?, 1)?;
    let n = at_least("n", int_at(args, 3, 1)?, 1)?;
    let o = without_global(flags_at(args, 4)?, "regexp_substr()")?;
    let group = at_least("subexpr", int_at(args, 5, 0)?, 0)?;
    Ok(nth_span(args, start, n, o, group as usize)?.map_or(Datum::Null, |m| Datum::text(m.as_str())))
}

fn yes(r: Result<bool>) -> Result<Datum> {
    r.map(Datum::Bool)
}
fn not(r: Result<bool>) -> Result<Datum> {
    r.map(|b| Datum::Bool(!b))
}

kernels! {
    "textregexeq" => pure!(|s: &str, p: &str| ? yes(is_match(s, p, Options::default())));
    "textregexne" => pure!(|s: &str, p: &str| ? not(is_match(s, p, Options::default())));
    "texticregexeq" => pure!(|s: &str, p: &str| ? yes(is_match(s, p, case_blind())));
    "texticregexne" => pure!(|s: &str, p: &str| ? not(is_match(s, p, case_blind())));
    "nameregexeq" => pure!(|s: &str, p: &str| ? yes(is_match(s, p, Options::default())));
    "nameregexne" => pure!(|s: &str, p: &str| ? not(is_match(s, p, Options::default())));
    "nameicregexeq" => pure!(|s: &str, p: &str| ? yes(is_match(s, p, case_blind())));
    "nameicregexne" => pure!(|s: &str, p: &str| ? not(is_match(s, p, case_blind())));
    "similar_to_escape_1" => pure!(|p: &str| ? similar_to(p, None).map(Datum::text));
    "similar_to_escape_2" => pure!(|p: &str, e: &str| ? similar_to(p, Some(e)).map(Datum::text));
    "similar_escape" => pure!(|p: Option<&str>, e: Option<&str>| ? match p { None => Ok(Datum::Null), Some(p) => similar_to(p, e).map(Datum::text) });
    "textregexsubstr" => pure!(|s: &str, p: &str| ? substring(s, p));
    "substring(text,text,text)" => pure!(|s: &str, p: &str, e: &str| ? substring(s, &similar_to(p, Some(e))?));
    "textregexreplace_noopt" => pure!(|s: &str, p: &str, t: &str| ? Ok(Datum::text(replace(s, &compile(p, Options::default())?, t, 1, 1))));
    "textregexreplace" => pure!(|s: &str, p: &str, t: &str, f: &str| ? replace_flags(s, p, t, f));
    "textregexreplace_extended" => pure!(|s: &str, p: &str, t: &str, start: i32, n: i32, f: &str| ? { let (start, n) = (at_least("start", start, 1)?, at_least("n", n, 0)?); Ok(Datum::text(replace(s, &compile(p, Options::parse(f)?)?, t, start, n))) });
    "textregexreplace_extended_no_flags" => pure!(|s: &str, p: &str, t: &str, start: i32, n: i32| ? Ok(Datum::text(replace(s, &compile(p, Options::default())?, t, at_least("start", start, 1)?, at_least("n", n, 0)?))));
    "textregexreplace_extended_no_n" => pure!(|s: &str, p: &str, t: &str, start: i32| ? Ok(Datum::text(replace(s, &compile(p, Options::default())?, t, at_least("start", start, 1)?, 1))));
    "regexp_match" => Pure(first_match);
    "regexp_match_no_flags" => Pure(first_match);
    "regexp_matches" => Set(|_, _, args| matches(args));
    "regexp_matches_no_flags" => Set(|_, _, args| matches(args));
    "regexp_split_to_array" => Pure(|args| split(args, "regexp_split_to_array()").map(text_array));
    "regexp_split_to_array_no_flags" => Pure(|args| split(args, "regexp_split_to_array()").map(text_array));
    "regexp_split_to_table" => Set(|_, _, args| Ok(Box::new(split(args, "regexp_split_to_table()")?.into_iter().map(|d| Ok(vec![d])))));
    "regexp_split_to_table_no_flags" => Set(|_, _, args| Ok(Box::new(split(args, "regexp_split_to_table()")?.into_iter().map(|d| Ok(vec![d])))));
    "regexp_like" => Pure(|args| is_match(str_at(args, 0)?, str_at(args, 1)?, without_global(flags_at(args, 2)?, "regexp_like()")?).map(Datum::Bool));
    "regexp_like_no_flags" => Pure(|args| is_match(str_at(args, 0)?, str_at(args, 1)?, Options::default()).map(Datum::Bool));
    "regexp_count" => Pure(count);
    "regexp_count_no_flags" => Pure(count);
    "regexp_count_no_start" => Pure(count);
    "regexp_instr" => Pure(instr);
    "regexp_instr_no_flags" => Pure(instr);
    "regexp_instr_no_endoption" => Pure(instr);
    "regexp_instr_no_n" => Pure(instr);
    "regexp_instr_no_start" => Pure(instr);
    "regexp_instr_no_subexpr" => Pure(instr);
    "regexp_substr" => Pure(substr);
    "regexp_substr_no_flags" => Pure(substr);
    "regexp_substr_no_n" => Pure(substr);
    "regexp_substr_no_start" => Pure(substr);
    "regexp_substr_no_subexpr" => Pure(substr);
}
