//! Running paths over jsonb: `@?`, `@@`, jsonb_path_query and its kin (`jsonpath_exec.c`).
//!
//! An error that the path itself raises is *soft*: a predicate takes it for unknown, and `silent` drops it. Everything else is *hard*.
//! Where nobody wants the items (`found` is `None`), a path ends at the first one.

use super::invalid;
use crate::Kernel::{Pure, Set};
use crate::kernel::Rows;
use crate::kernels::macros::kernels;
use crate::kernels::regex_syntax::{Options, compile};
use curia_types::jsonpath::{Binary, Item, JsonPath, Method, RegexFlags};
use curia_types::{Datum, Json, Numeric, Result, SqlError, SqlState};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

enum Fail {
    Soft(SqlError),
    Hard(SqlError),
}

impl From<SqlError> for Fail {
    fn from(e: SqlError) -> Fail {
        Fail::Hard(e)
    }
}

/// Whether there was an item.
type Outcome = std::result::Result<bool, Fail>;
type Found<'f> = Option<&'f mut Vec<Json>>;

const ARRAY_NOT_FOUND: &str = "22039";
const INVALID_SUBSCRIPT: &str = "22033";
const MEMBER_NOT_FOUND: &str = "2203A";
const NUMBER_REQUIRED: &str = "2203B";
const OBJECT_NOT_FOUND: &str = "2203C";
const NON_NUMERIC: &str = "22036";
const SINGLETON_REQUIRED: &str = "22038";

fn soft<T>(state: &str, message: impl Into<String>) -> std::result::Result<T, Fail> {
    Err(Fail::Soft(SqlError::new(SqlState::new(state), message.into())))
}

/// What a path sees at one point of its run.
#[derive(Clone, Copy)]
struct At<'a> {
    lax: bool,
    /// Structural errors are none here.
    forgiving: bool,
    root: &'a Json,
    current: &'a Json,
    vars: &'a Json,
    /// Length of the innermost array that is subscripted.
    array: Option<usize>,
}

fn reborrow<'f>(found: &'f mut Found<'_>) -> Found<'f> {
    found.as_deref_mut()
}

/// The items that follow `rest` from an item; with nothing left, the item itself.
fn follow(at: At<'_>, rest: &[Item], value: &Json, mut found: Found<'_>) -> Outcome {
    if !rest.is_empty() {
        return steps(at, rest, value, found, at.lax);
    }
    if let Some(found) = reborrow(&mut found) {
        found.push(value.clone());
    }
    Ok(true)
}

/// Runs `next` for the parts of a container, `first` to `last` levels deep.
#[allow(clippy::too_many_arguments)] // those of `executeAnyItem`, which it follows
fn parts(
    at: At<'_>,
    next: &[Item],
    container: &Json,
    mut found: Found<'_>,
    level: u32,
    range: (u32, u32),
    forgiving: bool,
    open: bool,
) -> Outcome {
    let (first, last) = range;
    let mut any = false;
    if level > last {
        return Ok(false);
    }
    let mut part = |value: &Json| -> Outcome {
        if level >= first || (first == u32::MAX && last == u32::MAX && value.is_scalar()) {
            let inner = At {
                forgiving: at.forgiving || forgiving,
                ..at
            };
            any |= match (next.is_empty(), reborrow(&mut found)) {
                (false, found) => steps(inner, next, value, found, open)?,
                (true, Some(found)) => {
                    found.push(value.clone());
                    true
                }
                (true, None) => true,
            };
            if any && found.is_none() {
                return Ok(true);
            }
        }
        if level < last && !value.is_scalar() {
            any |= parts(at, next, value, reborrow(&mut found), level + 1, range, forgiving, open)?;
        }
        Ok(any && found.is_none())
    };
    match container {
        Json::Array(a) => {
            for value in a.iter() {
                if part(value)? {
                    return Ok(true);
                }
            }
        }
        Json::Object(o) => {
            for (_, value) in o.iter() {
                if part(value)? {
                    return Ok(true);
                }
            }
        }
        _ => {}
    }
    Ok(any)
}

/// Each element of an array by itself.
fn opened(at: At<'_>, items: &[Item], array: &Json, found: Found<'_>) -> Outcome {
    parts(at, items, array, found, 1, (1, 1), false, false)
}

/// Items of a path from a value. `open`: an array is taken apart where a step wants something else.
fn steps(at: At<'_>, items: &[Item], value: &Json, mut found: Found<'_>, open: bool) -> Outcome {
    let Some((item, rest)) = items.split_first() else {
        return follow(at, items, value, found);
    };
    let is_array = matches!(value, Json::Array(_));
    let constant = |v: Json, found: Found<'_>| follow(at, rest, &v, found);
    match item {
        Item::Null => constant(Json::Null, found),
        Item::Bool(b) => constant(Json::Bool(*b), found),
        Item::Number(n) => constant(Json::Number(n.clone()), found),
        Item::String(s) => constant(Json::string(s), found),
        Item::Variable(name) => match at.vars.member(name) {
            Some(v) => follow(at, rest, v, found),
            None => Err(Fail::Hard(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find jsonpath variable \"{name}\""),
            ))),
        },
        Item::Root => follow(at, rest, at.root, found),
        Item::Current => follow(at, rest, at.current, found),
        Item::Last => match at.array {
            Some(n) => constant(Json::integer(n as i64 - 1), found),
            None => Err(Fail::Hard(SqlError::internal(
                "evaluating jsonpath LAST outside of array subscript",
            ))),
        },
        Item::AnyElement if is_array => parts(at, rest, value, found, 1, (1, 1), false, at.lax),
        Item::AnyElement if at.lax => follow(at, rest, value, found),
        Item::AnyElement if at.forgiving => Ok(false),
        Item::AnyElement => soft(ARRAY_NOT_FOUND, "jsonpath wildcard array accessor can only be applied to an array"),
        Item::Elements(list) if is_array || at.lax => {
            let single = std::slice::from_ref(value);
            let elements: &[Json] = match value {
                Json::Array(a) => a,
                _ => single,
            };
            let inner = At {
                array: Some(elements.len()),
                ..at
            };
            let mut any = false;
            for (from, to) in list {
                let from = index(inner, from, value)?;
                let to = to.as_ref().map_or(Ok(from), |to| index(inner, to, value))?;
                let size = elements.len() as i64;
                if !at.forgiving && (from < 0 || from > to || to >= size) {
                    return soft(INVALID_SUBSCRIPT, "jsonpath array subscript is out of bounds");
                }
                for i in from.max(0)..=to.min(size - 1) {
                    any |= follow(at, rest, &elements[i as usize], reborrow(&mut found))?;
                    if any && found.is_none() {
                        return Ok(true);
                    }
                }
            }
            Ok(any)
        }
        Item::Elements(_) if at.forgiving => Ok(false),
        Item::Elements(_) => soft(ARRAY_NOT_FOUND, "jsonpath array accessor can only be applied to an array"),
        Item::AnyKey => match value {
            Json::Object(_) => parts(at, rest, value, found, 1, (1, 1), false, at.lax),
            Json::Array(_) if open => opened(at, items, value, found),
            _ if at.forgiving => Ok(false),
            _ => soft(
                OBJECT_NOT_FOUND,
                "jsonpath wildcard member accessor can only be applied to an object",
            ),
        },
        Item::Key(key) => match value {
            Json::Object(_) => match value.member(key) {
                Some(v) => follow(at, rest, v, found),
                None if at.forgiving => Ok(false),
                None => soft(MEMBER_NOT_FOUND, format!("JSON object does not contain key \"{key}\"")),
            },
            Json::Array(_) if open => opened(at, items, value, found),
            _ if at.forgiving => Ok(false),
            _ => soft(MEMBER_NOT_FOUND, "jsonpath member accessor can only be applied to an object"),
        },
        Item::AnyLevel(first, last) => {
            let mut any = false;
            if *first == 0 {
                let inner = At { forgiving: true, ..at };
                any = follow(inner, rest, value, reborrow(&mut found))?;
                if any && found.is_none() {
                    return Ok(true);
                }
            }
            if !value.is_scalar() {
                any |= parts(at, rest, value, found, 1, (*first, *last), true, at.lax)?;
            }
            Ok(any)
        }
        Item::Filter(_) if open && is_array => opened(at, items, value, found),
        Item::Filter(predicate) => {
            let inner = At { current: value, ..at };
            match truth(inner, &predicate[0], value)? {
                Some(true) => follow(at, rest, value, found),
                _ => Ok(false),
            }
        }
        Item::Binary(op, args) if !op.is_predicate() => {
            let left = operand(at, &args.0, value, *op, "left")?;
            let right = operand(at, &args.1, value, *op, "right")?;
            let result = match op {
                Binary::Add => left.add(&right),
                Binary::Subtract => left.sub(&right),
                Binary::Multiply => left.mul(&right),
                Binary::Divide => left.div(&right),
                _ => left.rem(&right),
            };
            constant(Json::Number(result.map_err(Fail::Soft)?), found)
        }
        Item::Sign { negative, arg } => {
            let mut any = false;
            let mut args = Vec::new();
            unwrapped(at, arg, value, Some(&mut args))?;
            for arg in args {
                match arg {
                    Json::Number(n) => {
                        if found.is_none() && rest.is_empty() {
                            return Ok(true);
                        }
                        let n = if *negative { n.neg() } else { n };
                        any |= follow(at, rest, &Json::Number(n), reborrow(&mut found))?;
                    }
                    _ if found.is_none() && rest.is_empty() => continue,
                    _ => {
                        let sign = if *negative { "-" } else { "+" };
                        return soft(
                            NUMBER_REQUIRED,
                            format!("operand of unary jsonpath operator {sign} is not a numeric value"),
                        );
                    }
                }
                if any && found.is_none() {
                    return Ok(true);
                }
            }
            Ok(any)
        }
        Item::Binary(..) | Item::Not(_) | Item::IsUnknown(_) | Item::Exists(_) | Item::LikeRegex { .. } => {
            if rest.is_empty() && found.is_none() {
                return Ok(true);
            }
            let result = truth(at, item, value)?;
            constant(result.map_or(Json::Null, Json::Bool), found)
        }
        Item::Method(Method::Type) => constant(Json::string(value.type_name()), found),
        Item::Method(Method::Size) => match value {
            Json::Array(a) => constant(Json::integer(a.len() as i64), found),
            _ if at.lax => constant(Json::integer(1), found),
            _ if at.forgiving => Ok(false),
            _ => soft(ARRAY_NOT_FOUND, "jsonpath item method .size() can only be applied to an array"),
        },
        Item::Method(_) | Item::Datetime(_) if open && is_array => opened(at, items, value, found),
        Item::Method(Method::KeyValue) => key_values(at, rest, value, found),
        Item::Method(Method::Double) => constant(double(value)?, found),
        Item::Method(m) => {
            let Json::Number(n) = value else {
                let message = format!("jsonpath item method .{}() can only be applied to a numeric value", m.name());
                return soft(NON_NUMERIC, message);
            };
            let result = match m {
                Method::Abs => Ok(n.abs()),
                Method::Floor => n.floor(),
                _ => n.ceil(),
            };
            constant(Json::Number(result.map_err(Fail::Soft)?), found)
        }
        Item::Datetime(_) => Err(Fail::Hard(SqlError::unsupported("the jsonpath item method .datetime()"))),
    }
}

fn double(value: &Json) -> std::result::Result<Json, Fail> {
    let (text, what) = match value {
        Json::Number(n) => (Json::Number(n.clone()).to_string(), "numeric"),
        Json::String(s) => (s.to_string(), "string"),
        _ => {
            return soft(
                NON_NUMERIC,
                "jsonpath item method .double() can only be applied to a string or numeric value",
            );
        }
    };
    match (curia_types::float::parse_f64(&text), what) {
        (Ok(v), _) if !v.is_finite() => soft(NON_NUMERIC, "NaN or Infinity is not allowed for jsonpath item method .double()"),
        (Ok(_), "numeric") => Ok(value.clone()),
        (Ok(v), _) => Ok(Json::Number(Numeric::from_f64(v)?)),
        (Err(_), _) => soft(
            NON_NUMERIC,
            format!("{what} argument of jsonpath item method .double() is not a valid representation of a double precision number"),
        ),
    }
}

fn key_values(at: At<'_>, rest: &[Item], value: &Json, mut found: Found<'_>) -> Outcome {
    let Json::Object(members) = value else {
        return soft(
            OBJECT_NOT_FOUND,
            "jsonpath item method .keyvalue() can only be applied to an object",
        );
    };
    let mut any = false;
    for (key, member) in members.iter() {
        if rest.is_empty() && found.is_none() {
            return Ok(true);
        }
        let pair = Json::object(vec![
            (Arc::from("key"), Json::String(key.clone())),
            (Arc::from("value"), member.clone()),
            (Arc::from("id"), Json::integer(0)),
        ])?;
        any |= follow(at, rest, &pair, reborrow(&mut found))?;
        if any && found.is_none() {
            return Ok(true);
        }
    }
    Ok(any)
}

/// The items of an operand; in lax mode elements in the place of arrays.
fn unwrapped(at: At<'_>, items: &[Item], value: &Json, found: Found<'_>) -> Outcome {
    let Some(out) = found else {
        return steps(at, items, value, None, at.lax);
    };
    let mut raw = Vec::new();
    let any = steps(at, items, value, Some(&mut raw), at.lax)?;
    for item in raw {
        match item {
            Json::Array(a) if at.lax => out.extend(a.iter().cloned()),
            other => out.push(other),
        }
    }
    Ok(any)
}

fn operand(at: At<'_>, items: &[Item], value: &Json, op: Binary, side: &str) -> std::result::Result<Numeric, Fail> {
    let mut found = Vec::new();
    unwrapped(at, items, value, Some(&mut found))?;
    match <[Json; 1]>::try_from(found) {
        Ok([Json::Number(n)]) => Ok(n),
        _ => soft(
            SINGLETON_REQUIRED,
            format!("{side} operand of jsonpath operator {} is not a single numeric value", op.sign()),
        ),
    }
}

fn index(at: At<'_>, items: &[Item], value: &Json) -> std::result::Result<i64, Fail> {
    let mut found = Vec::new();
    steps(at, items, value, Some(&mut found), at.lax)?;
    match <[Json; 1]>::try_from(found) {
        Ok([Json::Number(n)]) => match n.trunc(0).and_then(|n| n.to_i32()) {
            Ok(i) => Ok(i.into()),
            Err(_) => soft(INVALID_SUBSCRIPT, "jsonpath array subscript is out of integer range"),
        },
        _ => soft(INVALID_SUBSCRIPT, "jsonpath array subscript is not a single numeric value"),
    }
}

type Truth = std::result::Result<Option<bool>, Fail>;

/// Whether a predicate holds; `None`: unknown.
fn truth(at: At<'_>, predicate: &Item, value: &Json) -> Truth {
    match predicate {
        Item::Binary(op @ (Binary::And | Binary::Or), args) => {
            let decisive = Some(*op == Binary::Or);
            let left = truth(at, &args.0[0], value)?;
            if left == decisive {
                return Ok(left);
            }
            let right = truth(at, &args.1[0], value)?;
            Ok(if right == Some(*op == Binary::And) { left } else { right })
        }
        Item::Not(arg) => Ok(truth(at, &arg[0], value)?.map(|b| !b)),
        Item::IsUnknown(arg) => Ok(Some(truth(at, &arg[0], value)?.is_none())),
        Item::Exists(arg) => {
            let mut all = Vec::new();
            let found = if at.lax { None } else { Some(&mut all) };
            match steps(at, arg, value, found, at.lax) {
                Ok(any) => Ok(Some(any)),
                Err(Fail::Soft(_)) => Ok(None),
                Err(hard) => Err(hard),
            }
        }
        Item::Binary(Binary::StartsWith, args) => over_pairs(at, &args.0, Some((&args.1, false)), value, |a, b| match (a, b) {
            (Json::String(a), Some(Json::String(b))) => Ok(Some(a.starts_with(&**b))),
            _ => Ok(None),
        }),
        Item::Binary(op, args) => over_pairs(at, &args.0, Some((&args.1, true)), value, |a, b| {
            Ok(b.and_then(|b| compare(*op, a, b)))
        }),
        Item::LikeRegex { arg, pattern, flags } => over_pairs(at, arg, None, value, |a, _| match a {
            Json::String(s) => Ok(Some(compile(pattern, options(*flags))?.is_match(s))),
            _ => Ok(None),
        }),
        // Only predicates come here: the grammar keeps values out.
        _ => Ok(None),
    }
}

fn options(flags: RegexFlags) -> Options {
    Options {
        ignore_case: flags.ignore_case,
        newline_stops: !flags.dot_all,
        newline_anchors: flags.multi_line,
        literal: flags.quote,
        ..Options::default()
    }
}

/// A predicate over each pair of items: it holds when it does for one of them. An operand's error is unknown.
fn over_pairs(
    at: At<'_>,
    left: &[Item],
    right: Option<(&[Item], bool)>,
    value: &Json,
    holds: impl Fn(&Json, Option<&Json>) -> Truth,
) -> Truth {
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    let run = |items: &[Item], open: bool, out: &mut Vec<Json>| match if open {
        unwrapped(at, items, value, Some(out))
    } else {
        steps(at, items, value, Some(out), at.lax)
    } {
        Ok(_) => Ok(true),
        Err(Fail::Soft(_)) => Ok(false),
        Err(hard) => Err(hard),
    };
    if !run(left, true, &mut lefts)? {
        return Ok(None);
    }
    if let Some((right, open)) = right
        && !run(right, open, &mut rights)?
    {
        return Ok(None);
    }
    let (mut any, mut unknown) = (false, false);
    for l in &lefts {
        let partners: Vec<Option<&Json>> = match right {
            Some(_) => rights.iter().map(Some).collect(),
            None => vec![None],
        };
        for r in partners {
            match holds(l, r)? {
                Some(true) if at.lax => return Ok(Some(true)),
                Some(true) => any = true,
                None if !at.lax => return Ok(None),
                None => unknown = true,
                Some(false) => {}
            }
        }
    }
    Ok(if any {
        Some(true)
    } else if unknown {
        None
    } else {
        Some(false)
    })
}

fn compare(op: Binary, a: &Json, b: &Json) -> Option<bool> {
    let order = match (a, b) {
        (Json::Null, Json::Null) => std::cmp::Ordering::Equal,
        // Null and something else are unequal, and neither is the larger.
        (Json::Null, _) | (_, Json::Null) => return Some(op == Binary::NotEqual),
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => a.compare(b),
        (Json::String(a), Json::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => return None,
    };
    Some(match op {
        Binary::Equal => order.is_eq(),
        Binary::NotEqual => order.is_ne(),
        Binary::Less => order.is_lt(),
        Binary::Greater => order.is_gt(),
        Binary::LessOrEqual => order.is_le(),
        _ => order.is_ge(),
    })
}

/// Paths read before that a thread keeps; it starts over beyond this.
const CACHED_PATHS: usize = 256;

thread_local! {
    static PATHS: RefCell<HashMap<Arc<str>, Rc<JsonPath>>> = RefCell::new(HashMap::new());
}

fn path(text: &Arc<str>) -> Result<Rc<JsonPath>> {
    PATHS.with(|paths| {
        let mut paths = paths.borrow_mut();
        if let Some(path) = paths.get(text) {
            return Ok(path.clone());
        }
        let path = Rc::new(JsonPath::parse(text)?);
        if paths.len() >= CACHED_PATHS {
            paths.clear();
        }
        paths.insert(text.clone(), path.clone());
        Ok(path)
    })
}

/// A call's document, path and variables, and whether soft errors are dropped.
struct Call {
    json: Json,
    path: Rc<JsonPath>,
    vars: Json,
    silent: bool,
}

impl Call {
    /// `(json, path)`, silent, or `(json, path, vars, silent)`.
    fn new(args: &[Datum]) -> Result<Call> {
        let (Some(Datum::Jsonb(json)), Some(Datum::Text(text))) = (args.first(), args.get(1)) else {
            return Err(SqlError::internal("a path without a document"));
        };
        let vars = match args.get(2) {
            Some(Datum::Jsonb(vars @ Json::Object(_))) => vars.clone(),
            None => Json::Null,
            Some(_) => {
                return Err(invalid("\"vars\" argument is not an object")
                    .detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
            }
        };
        Ok(Call {
            json: json.clone(),
            path: path(text)?,
            vars,
            silent: args.len() == 2 || matches!(args.get(3), Some(Datum::Bool(true))),
        })
    }

    /// Whether there are items; `None` when a soft error was dropped.
    fn run(&self, found: Found<'_>) -> Result<Option<bool>> {
        let at = At {
            lax: self.path.lax,
            forgiving: self.path.lax,
            root: &self.json,
            current: &self.json,
            vars: &self.vars,
            array: None,
        };
        match steps(at, &self.path.steps, &self.json, found, at.lax) {
            Ok(any) => Ok(Some(any)),
            Err(Fail::Soft(_)) if self.silent => Ok(None),
            Err(Fail::Soft(e) | Fail::Hard(e)) => Err(e),
        }
    }

    fn items(&self) -> Result<Vec<Json>> {
        let mut found = Vec::new();
        self.run(Some(&mut found))?;
        Ok(found)
    }
}

fn exists(args: &[Datum]) -> Result<Datum> {
    let call = Call::new(args)?;
    // Strict mode looks at everything, for errors.
    let mut all = Vec::new();
    let found = if call.path.lax { None } else { Some(&mut all) };
    Ok(call.run(found)?.map_or(Datum::Null, Datum::Bool))
}

fn matches(args: &[Datum]) -> Result<Datum> {
    let call = Call::new(args)?;
    match call.items()?.as_slice() {
        [Json::Bool(b)] => Ok(Datum::Bool(*b)),
        [Json::Null] => Ok(Datum::Null),
        _ if call.silent => Ok(Datum::Null),
        _ => Err(SqlError::new(
            SqlState::new(SINGLETON_REQUIRED),
            "single boolean result is expected",
        )),
    }
}

fn query(args: &[Datum]) -> Result<Rows> {
    let items = Call::new(args)?.items()?;
    Ok(Box::new(items.into_iter().map(|j| Ok(vec![Datum::Jsonb(j)]))))
}

fn query_array(args: &[Datum]) -> Result<Datum> {
    Json::array(Call::new(args)?.items()?).map(Datum::Jsonb)
}

fn query_first(args: &[Datum]) -> Result<Datum> {
    Ok(Call::new(args)?.items()?.into_iter().next().map_or(Datum::Null, Datum::Jsonb))
}

kernels! {
    "jsonb_path_exists" => Pure(exists);
    "jsonb_path_exists_opr" => Pure(exists);
    "jsonb_path_exists_tz" => Pure(exists);
    "jsonb_path_match" => Pure(matches);
    "jsonb_path_match_opr" => Pure(matches);
    "jsonb_path_match_tz" => Pure(matches);
    "jsonb_path_query" => Set(|_, _, a| query(a));
    "jsonb_path_query_tz" => Set(|_, _, a| query(a));
    "jsonb_path_query_array" => Pure(query_array);
    "jsonb_path_query_array_tz" => Pure(query_array);
    "jsonb_path_query_first" => Pure(query_first);
    "jsonb_path_query_first_tz" => Pure(query_first);
}
