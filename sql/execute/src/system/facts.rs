//! Rows of system catalogs that are the same in every database: operator families, aggregates, descriptions of what is built
//! in, and the functions that only types and operator families name. They are data (`facts/*.tsv`, written by `facts.sh` from a running
//! PostgreSQL); what describes an object that does not exist here is left out.

use super::Rows;
use curia_catalog::opclass;
use curia_catalog::system::{SystemTable, system_table_named};
use curia_types::{Datum, IoContext, PgType, text_io};
use std::collections::HashMap;
use std::sync::LazyLock;

type Row = Vec<(&'static str, Datum)>;

/// A function that types and operator families name: it is shown, and cannot be called by name.
pub struct SupportFunction {
    /// `pg_proc.oid`
    pub oid: u32,
    /// `proname`
    pub name: &'static str,
}

struct Fact {
    values: Row,
    /// Whether what the row is about exists.
    exists: bool,
}

static FACTS: LazyLock<HashMap<&'static str, Vec<Fact>>> = LazyLock::new(|| {
    let files = [
        ("pg_opfamily", include_str!("facts/pg_opfamily.tsv")),
        ("pg_amop", include_str!("facts/pg_amop.tsv")),
        ("pg_amproc", include_str!("facts/pg_amproc.tsv")),
        ("pg_aggregate", include_str!("facts/pg_aggregate.tsv")),
        ("pg_description", include_str!("facts/pg_description.tsv")),
        ("pg_proc", include_str!("facts/support.tsv")),
    ];
    files.into_iter().map(|(table, text)| (table, read(table, text))).collect()
});

static SUPPORT: LazyLock<Vec<SupportFunction>> = LazyLock::new(|| {
    let lines = include_str!("facts/support.tsv").lines().skip(1);
    lines
        .filter_map(|line| {
            let (oid, rest) = line.split_once('\t')?;
            Some(SupportFunction {
                oid: oid.parse().ok()?,
                name: rest.split('\t').next()?,
            })
        })
        .collect()
});

fn read(table: &'static str, text: &'static str) -> Vec<Fact> {
    let Some(system) = system_table_named("pg_catalog", table) else {
        return Vec::new();
    };
    let mut lines = text.lines();
    let names: Vec<&'static str> = lines.next().unwrap_or("").split('\t').collect();
    let io = IoContext::default();
    let parsed = |line: &'static str| -> Row {
        let values = names.iter().zip(line.split('\t'));
        values.map(|(name, field)| (*name, value(system, name, field, &io))).collect()
    };
    lines
        .map(|line| {
            let values = parsed(line);
            let exists = exists(table, &values);
            Fact { values, exists }
        })
        .collect()
}

/// A field of COPY's text form; a test reads every line, so a malformed one cannot reach a server.
fn value(table: &SystemTable, column: &str, field: &str, io: &IoContext) -> Datum {
    let Some(at) = table.column(column).filter(|_| field != "\\N") else {
        return Datum::Null;
    };
    let ty = table.columns[at].ty;
    // Names behind OIDs are not looked up.
    let ty = if curia_types::type_info::is_oid_like(ty.oid) {
        PgType::OID
    } else {
        ty
    };
    let plain = if field.contains('\\') {
        field.replace("\\\\", "\\").replace("\\n", "\n").replace("\\t", "\t")
    } else {
        field.to_owned()
    };
    text_io::parse(ty, &plain, io).unwrap_or(Datum::Null)
}

fn exists(table: &str, row: &Row) -> bool {
    let number = |column: &str| match row.iter().find(|(name, _)| *name == column) {
        Some((_, Datum::Oid(v))) => *v,
        _ => 0,
    };
    match table {
        "pg_amop" => family(number("amopfamily")) && curia_functions::operator(number("amopopr")).is_some(),
        "pg_aggregate" => curia_functions::by_oid(number("aggfnoid")).is_some(),
        "pg_opfamily" => family(number("oid")),
        "pg_amproc" => family(number("amprocfamily")),
        "pg_proc" => curia_functions::by_oid(number("oid")).is_none(),
        "pg_description" => {
            let object = number("objoid");
            match number("classoid") {
                1255 => curia_functions::by_oid(object).is_some() || support_name(object).is_some(),
                2617 => curia_functions::operator(object).is_some(),
                2601 => matches!(object, 2 | 403 | 405 | 3580),
                2612 => matches!(object, 12 | 14),
                _ => true,
            }
        }
        _ => true,
    }
}

/// Whether indexes here have operator classes of a family.
fn family(oid: u32) -> bool {
    opclass::OPERATOR_CLASSES.iter().any(|c| c.family == oid)
}

/// Adds the rows of a table; a table without such rows gets none.
pub(super) fn produce(table: &str, out: &mut Rows) {
    for fact in FACTS.get(table).into_iter().flatten().filter(|f| f.exists) {
        out.add(&fact.values);
    }
}

/// The description of an object that is built in.
pub(super) fn description(class: u32, object: u32) -> Option<Datum> {
    static BY_OBJECT: LazyLock<HashMap<(u32, u32), Datum>> = LazyLock::new(|| {
        let facts = FACTS.get("pg_description").into_iter().flatten().filter(|f| f.exists);
        facts
            .filter_map(|f| match f.values.as_slice() {
                [(_, Datum::Oid(object)), (_, Datum::Oid(class)), (_, Datum::Int4(0)), (_, text)] => {
                    Some(((*class, *object), text.clone()))
                }
                _ => None,
            })
            .collect()
    });
    BY_OBJECT.get(&(class, object)).cloned()
}

/// Functions that only types and operator families name, by name.
pub fn support_named(name: &str) -> Option<u32> {
    let mut found = SUPPORT.iter().filter(|f| f.name == name).map(|f| f.oid);
    found.next()
}

/// The name of such a function.
pub fn support_name(oid: u32) -> Option<&'static str> {
    let at = SUPPORT.binary_search_by_key(&oid, |f| f.oid).ok()?;
    Some(SUPPORT[at].name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_reads_and_has_its_columns() {
        for (table, facts) in FACTS.iter() {
            let system = system_table_named("pg_catalog", table).unwrap();
            assert!(!facts.is_empty(), "{table}");
            for fact in facts {
                assert!(fact.values.iter().all(|(name, _)| system.column(name).is_some()), "{table}");
                let null = |(name, value): &(&str, Datum)| value.is_null() && !matches!(*name, "agginitval" | "aggminitval");
                assert!(!fact.values.iter().any(null), "{table}: {:?}", fact.values);
            }
        }
    }

    #[test]
    fn support_functions_are_found_both_ways() {
        assert_eq!(support_named("array_in"), Some(750));
        assert_eq!(support_name(750), Some("array_in"));
        assert_eq!(support_named("no_such"), None);
    }
}
