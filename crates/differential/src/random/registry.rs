//! Functions, operators, casts and aggregates that both servers have, as PostgreSQL's catalogs describe them.
//!
//! Only what is a function of its arguments is taken: nothing volatile, nothing that tells of the server, the session or the day.

use super::values::TYPES;
use crate::Result;
use crate::player::Side;
use std::collections::{BTreeMap, BTreeSet};

/// Names that start so depend on more than their arguments, or reach into the server.
const UNSAFE_STARTS: &[&str] = &[
    "pg_",
    "has_",
    "txid_",
    "inet_",
    "current_",
    "session_",
    "lo_",
    "to_reg",
    "row_security",
    "obj_",
    "col_desc",
    "shobj",
    "getdatabase",
    "set_",
    "query_to",
    "table_to",
    "schema_to",
    "database_to",
    "cursor_to",
    "ri_fkey",
    "like_escape",
    "suppress_",
    "num",
    "brin",
    "gin",
    "gist",
    "spg",
    "hash",
    "bt",
    "in_range",
    "enum_",
    "amvalid",
    "binary_upgrade",
    "int4recv",
    "format_type",
    "nameconcatoid",
    "array_unnest",
];
/// Whole names that do.
const UNSAFE: &[&str] = &[
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "version",
    "getpgusername",
    "age",
    "convert",
    "convert_from",
    "convert_to",
    "timenow",
    "repeat",
    "lpad",
    "rpad",
    "to_ascii",
    "overlay",
    "generate_series",
    "mxid_age",
    "isempty",
    "factorial",
    "void",
    "interval",
    "cbrt",
    "dcbrt",
    "uuid_cmp",
];
/// Ends of the names of a type's own conversions.
const UNSAFE_ENDS: &[&str] = &[
    "_in",
    "_out",
    "_recv",
    "_send",
    "in",
    "out",
    "recv",
    "send",
    "_transfn",
    "_accum",
    "_combine",
    "_serialize",
    "_deserialize",
];

/// How something is called.
#[derive(Clone, Debug)]
pub enum Form {
    /// `name(a, b)`
    Function(String),
    /// `a name b`, or `name a`
    Operator(String),
    /// `a::name`
    Cast(String),
}

/// Something that makes a value out of others.
#[derive(Clone, Debug)]
pub struct Maker {
    /// How it is called.
    pub form: Form,
    /// Types of its arguments.
    pub arguments: Vec<String>,
}

/// By result type.
#[derive(Default)]
pub struct Registry {
    /// Functions, operators and casts.
    pub scalars: BTreeMap<String, Vec<Maker>>,
    /// Aggregates.
    pub aggregates: BTreeMap<String, Vec<Maker>>,
    /// Window functions.
    pub windows: BTreeMap<String, Vec<Maker>>,
    /// Types that both have.
    pub types: BTreeSet<String>,
}

impl Registry {
    /// Reads the catalogs of both.
    pub fn read(expected: &mut Side<'_>, actual: &mut Side<'_>) -> Result<Registry> {
        let mut registry = Registry::default();
        let both = |sql: &str, expected: &mut Side<'_>, actual: &mut Side<'_>| -> Result<Vec<Vec<String>>> {
            let theirs: BTreeSet<_> = rows(actual, sql)?.into_iter().map(|row| row[0].clone()).collect();
            Ok(rows(expected, sql)?.into_iter().filter(|row| theirs.contains(&row[0])).collect())
        };
        let types = both("SELECT oid, typname FROM pg_type WHERE typnamespace = 11", expected, actual)?;
        let names: BTreeMap<_, _> = types.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        registry.types = TYPES
            .iter()
            .map(|known| known.1.to_owned())
            .filter(|name| names.values().any(|other| other == name))
            .collect();
        let known = registry.types.clone();
        let named = |oid: &str| names.get(oid).filter(|name| known.contains(*name)).cloned();
        let all_named = |oids: &str| oids.split_whitespace().map(&named).collect::<Option<Vec<_>>>();

        let functions =
            "SELECT oid, proname, proargtypes, prorettype, prokind, proretset, provolatile FROM pg_proc WHERE pronamespace = 11";
        for row in both(functions, expected, actual)? {
            let [_, name, arguments, result, kind, is_set, volatility] = &row[..] else {
                continue;
            };
            if is_set == "t" || volatility == "v" || !is_safe(name) {
                continue;
            }
            let (Some(arguments), Some(result)) = (all_named(arguments), named(result)) else {
                continue;
            };
            // What a type's modifier does is no function for people.
            if arguments.len() > 1 && arguments[0] == result && (known.contains(name) || name == "time") {
                continue;
            }
            let makers = match kind.as_str() {
                "a" if !arguments.is_empty() && !is_inexact(&arguments) => &mut registry.aggregates,
                "w" => &mut registry.windows,
                "f" if !arguments.is_empty() => &mut registry.scalars,
                _ => continue,
            };
            let form = Form::Function(name.clone());
            makers.entry(result).or_default().push(Maker { form, arguments });
        }
        let operators = "SELECT oid, oprname, oprleft, oprright, oprresult FROM pg_operator WHERE oprnamespace = 11";
        for row in both(operators, expected, actual)? {
            let [_, name, left, right, result] = &row[..] else { continue };
            let arguments = if left == "0" {
                all_named(right)
            } else {
                all_named(&format!("{left} {right}"))
            };
            if let (Some(arguments), Some(result)) = (arguments.filter(|_| name != "||/"), named(result)) {
                let form = Form::Operator(name.clone());
                registry.scalars.entry(result).or_default().push(Maker { form, arguments });
            }
        }
        for row in rows(
            expected,
            "SELECT castsource, casttarget FROM pg_cast WHERE castcontext <> 'e' OR castmethod = 'f'",
        )? {
            if let (Some(from), Some(to)) = (named(&row[0]), named(&row[1])) {
                let form = Form::Cast(super::values::written(&to).to_owned());
                registry.scalars.entry(to).or_default().push(Maker {
                    form,
                    arguments: vec![from],
                });
            }
        }
        Ok(registry)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        [&self.scalars, &self.aggregates, &self.windows]
            .into_iter()
            .flat_map(|makers| makers.values())
            .map(Vec::len)
            .sum()
    }
}

fn is_safe(name: &str) -> bool {
    let unsafe_end = UNSAFE_ENDS.iter().any(|end| name.ends_with(end)) && !["min", "sin", "asin", "btrim", "ltrim"].contains(&name);
    !UNSAFE.contains(&name) && !UNSAFE_STARTS.iter().any(|start| name.starts_with(start)) && !unsafe_end
}

/// Sums of binary fractions depend on the order of rows.
fn is_inexact(arguments: &[String]) -> bool {
    arguments.iter().any(|name| name.starts_with("float"))
}

fn rows(side: &mut Side<'_>, sql: &str) -> Result<Vec<Vec<String>>> {
    let answer = side.query(sql, &mut Vec::new);
    if let Some(error) = answer.error() {
        return Err(format!("{sql}: {}", error.message()).into());
    }
    if let Some(lost) = answer.lost {
        return Err(format!("{sql}: {lost}").into());
    }
    let rows = answer.outcomes.into_iter().flat_map(|outcome| outcome.rows);
    Ok(rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
}
