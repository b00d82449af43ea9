//! Evaluates a golden file's calls through the registry.

use super::cases::{escape, unescape};
use curia_functions::{CallTypes, Function, Kernel, PlainContext, candidates};
use curia_types::datetime::Zone;
use curia_types::{ByteaOutput, DateOrder, DateStyle, Datum, IntervalStyle, PgType, SqlError, oid, text_io, type_info};

/// Settings so far.
#[derive(Default)]
pub struct Evaluator {
    cx: PlainContext,
}

fn shown(r: Result<Option<String>, SqlError>) -> String {
    match r {
        Ok(None) => "NULL".to_owned(),
        Ok(Some(v)) => format!("={}", escape(&v)),
        Err(e) => {
            let detail = e.fields().detail.as_ref().map_or(String::new(), |d| format!(" DETAIL {d}"));
            format!("!{} {}{detail}", e.code().as_str(), e.message()).replace('\n', "\\n")
        }
    }
}

fn argument(text: &str) -> Option<String> {
    text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).map(unescape)
}

/// The function that PostgreSQL would call for exactly these types.
fn find(name: &str, types: &[PgType]) -> &'static Function {
    let fits = |f: &&&Function| {
        let variadic_any = f.variadic == oid::ANY;
        (f.args.len() == types.len() || (variadic_any && types.len() + 1 >= f.args.len()))
            && types.iter().enumerate().all(|(i, t)| {
                let declared = f.args.get(i).copied().unwrap_or(oid::ANY);
                declared == t.oid || type_info::is_polymorphic(declared) || declared == oid::ANY
            })
    };
    let exact = candidates(name)
        .iter()
        .find(|f| f.args.iter().copied().eq(types.iter().map(|t| t.oid)));
    exact
        .or_else(|| candidates(name).iter().find(fits))
        .unwrap_or_else(|| panic!("no function {name} for {types:?}"))
}

/// The actual result type of a polymorphic function.
fn result_type(f: &Function, types: &[PgType]) -> PgType {
    if !type_info::is_polymorphic(f.ret) {
        return PgType::with_typmod(f.ret, -1);
    }
    let array = types.iter().find(|t| type_info::element_of(t.oid).is_some()).map(|t| t.oid);
    let element = array.and_then(type_info::element_of).unwrap_or_else(|| types[0].oid);
    let array = array.or_else(|| type_info::array_of(element)).unwrap_or(0);
    let is_array = matches!(f.ret, oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY);
    PgType::with_typmod(if is_array { array } else { element }, -1)
}

impl Evaluator {
    /// Applies a `set` line.
    pub fn set(&mut self, line: &str) {
        let parts: Vec<&str> = line.split('\t').collect();
        let io = &mut self.cx.io;
        match parts[..] {
            ["set", "datestyle", v] => {
                for word in v.split(',').map(str::trim) {
                    match word.to_ascii_lowercase().as_str() {
                        "iso" => io.date_style = DateStyle::Iso,
                        "sql" => io.date_style = DateStyle::Sql,
                        "postgres" => io.date_style = DateStyle::Postgres,
                        "german" => {
                            io.date_style = DateStyle::German;
                            io.date_order = DateOrder::Dmy;
                        }
                        "mdy" => io.date_order = DateOrder::Mdy,
                        "dmy" => io.date_order = DateOrder::Dmy,
                        "ymd" => io.date_order = DateOrder::Ymd,
                        other => panic!("datestyle {other}"),
                    }
                }
            }
            ["set", "intervalstyle", v] => {
                io.interval_style = match v {
                    "postgres" => IntervalStyle::Postgres,
                    "postgres_verbose" => IntervalStyle::PostgresVerbose,
                    "sql_standard" => IntervalStyle::SqlStandard,
                    "iso_8601" => IntervalStyle::Iso8601,
                    other => panic!("intervalstyle {other}"),
                }
            }
            ["set", "timezone", v] => io.zone = Zone::from_setting(v).expect("time zone"),
            ["set", "extra_float_digits", v] => io.extra_float_digits = v.parse().expect("digits"),
            ["set", "bytea_output", v] => io.bytea_output = if v == "escape" { ByteaOutput::Escape } else { ByteaOutput::Hex },
            _ => panic!("line {line}"),
        }
    }

    /// Our answer to a call.
    pub fn answer(&self, call: &str) -> String {
        let mut parts = call.split('\t');
        let signature = parts.next().unwrap_or_default();
        let args: Vec<Option<String>> = parts.map(argument).collect();
        shown(self.evaluate(signature, &args))
    }

    fn evaluate(&self, signature: &str, args: &[Option<String>]) -> Result<Option<String>, SqlError> {
        let io = &self.cx.io;
        let read = |ty: PgType, v: &Option<String>| match v {
            None => Ok(Datum::Null),
            // As PostgreSQL does for a literal with a cast: input without the modifier, then an explicit length coercion.
            Some(v) => curia_types::length::coerce(
                ty,
                text_io::parse(
                    PgType::with_typmod(ty.oid, if ty.oid == oid::INTERVAL { ty.typmod } else { -1 }),
                    v,
                    io,
                )?,
                true,
            ),
        };
        let print = |ty: PgType, d: &Datum| (!d.is_null()).then(|| text_io::to_string(ty, d, io));
        let type_named = |t: &str| type_info::parse_type_name(t).unwrap_or_else(|| panic!("no type {t}"));
        if let Some(ty) = signature.strip_prefix("in ") {
            let ty = type_named(ty);
            return read(ty, &args[0]).map(|d| print(ty, &d));
        }
        let (name, types) = signature.trim_end_matches(')').split_once('(').expect("name(types)");
        let types: Vec<PgType> = types.split(',').filter(|t| !t.is_empty()).map(type_named).collect();
        if let Some(name) = name.strip_prefix("agg ") {
            return self.aggregate(name, &types, args);
        }
        let values: Vec<Datum> = types.iter().zip(args).map(|(t, v)| read(*t, v)).collect::<Result<_, _>>()?;
        let f = find(name, &types);
        let call = CallTypes {
            args: &types,
            ret: result_type(f, &types),
        };
        if f.strict && values.iter().any(Datum::is_null) {
            return Ok(None);
        }
        if let Kernel::Set(rows) = f.kernel {
            let rows: Vec<String> = rows(&self.cx, &call, &values)?
                .map(|r| r.map(|r| print(call.ret, &r[0]).unwrap_or_default()))
                .collect::<Result<_, _>>()?;
            return Ok((!rows.is_empty()).then(|| rows.join("/")));
        }
        f.kernel.call(f.oid, &self.cx, &call, &values).map(|d| print(call.ret, &d))
    }

    /// Runs an aggregate twice: in one go, and as two partial results merged; both have to agree.
    fn aggregate(&self, name: &str, types: &[PgType], args: &[Option<String>]) -> Result<Option<String>, SqlError> {
        let io = &self.cx.io;
        let element = types.first().map_or(oid::INT4, |t| t.oid);
        let array = type_info::array_of(element).expect("array type");
        let Datum::Array(rows) = text_io::parse(PgType::with_typmod(array, -1), args[0].as_deref().expect("array"), io)? else {
            panic!("array expected")
        };
        let mut extra = Vec::new();
        for (ty, v) in types.iter().zip(args).skip(1) {
            extra.push(v.as_ref().map_or(Ok(Datum::Null), |v| text_io::parse(*ty, v, io))?);
        }
        let f = find(name, types);
        let Kernel::Aggregate(kernel) = f.kernel else {
            panic!("{name} is no aggregate")
        };
        let call = CallTypes {
            args: types,
            ret: result_type(f, types),
        };
        let row = |e: &Datum| -> Vec<Datum> {
            if types.is_empty() {
                Vec::new()
            } else {
                std::iter::once(e.clone()).chain(extra.iter().cloned()).collect()
            }
        };
        let mut whole = (kernel.new)(&call);
        let mut halves = [(kernel.new)(&call), (kernel.new)(&call)];
        for (i, e) in rows.elements.iter().enumerate() {
            whole.accumulate(&row(e))?;
            halves[usize::from(i >= rows.elements.len() / 2)].accumulate(&row(e))?;
        }
        let result = whole.finish()?;
        let [mut first, second] = halves;
        let state = second.state()?;
        assert_eq!(state.len(), (kernel.state)(&call).len(), "{name} declares its state");
        first.merge(&state)?;
        let text = (!result.is_null()).then(|| text_io::to_string(call.ret, &result, io));
        let exact = !matches!(result, Datum::Float4(_) | Datum::Float8(_));
        if exact {
            let merged = first.finish()?;
            let merged = (!merged.is_null()).then(|| text_io::to_string(call.ret, &merged, io));
            assert_eq!(merged, text, "{name} merges partial results of {args:?}");
        }
        Ok(text)
    }
}
