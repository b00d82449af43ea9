//! What the binder says of a statement is what PostgreSQL 15 says: names and types of columns, types of parameters, errors with SQLSTATE,
//! position, message, detail and hint. `golden/*.txt` holds PostgreSQL's answers, written by `golden/describe.py`.

use crate::fixture;
use curia_types::{Result, type_info::format_type};

/// A type as `format_type(oid, typmod)` shows it.
fn type_name(oid: u32, typmod: i32) -> String {
    // The name without a modifier means length 1, so a bare one is shown by its own name.
    if oid == curia_types::oid::BPCHAR && typmod < 0 {
        "bpchar".to_owned()
    } else {
        format_type(oid, typmod)
    }
}

fn answer(result: Result<curia_bind::ir::BoundStatement>) -> String {
    match result {
        Ok(bound) => {
            let params: Vec<String> = bound.params.iter().map(|p| type_name(p.oid, -1)).collect();
            let columns: Vec<String> = bound
                .output()
                .iter()
                .map(|c| format!("{}: {}", c.name, type_name(c.ty.oid, c.ty.typmod)))
                .collect();
            let params = if params.is_empty() {
                String::new()
            } else {
                format!("params {}; ", params.join(", "))
            };
            params
                + &if columns.is_empty() {
                    "no columns".to_owned()
                } else {
                    columns.join(", ")
                }
        }
        Err(e) => {
            let f = e.fields();
            let position = f.position.map_or("-".to_owned(), |p| p.to_string());
            let mut out = format!("error {} at {position}: {}", e.code().as_str(), e.message());
            for (word, text) in [("DETAIL", &f.detail), ("HINT", &f.hint)] {
                if let Some(text) = text {
                    out.push_str(&format!(" | {word}: {text}"));
                }
            }
            out
        }
    }
}

/// Compares a golden file; differences on purpose are listed by statement with our answer.
fn compare(name: &str, golden: &str, on_purpose: &[(&str, &str)]) {
    let catalog = fixture::catalog();
    let mut lines = golden.lines();
    let (mut total, mut wrong) = (0, Vec::new());
    while let Some(line) = lines.next() {
        let Some(sql) = line.strip_prefix("> ") else { continue };
        let theirs = lines.next().unwrap_or("");
        let ours = answer(fixture::bind(&catalog, sql));
        total += 1;
        let expected = on_purpose.iter().find(|(s, _)| *s == sql).map_or(theirs, |(_, o)| o);
        if ours != expected {
            wrong.push(format!("{sql}\n    want {expected}\n    have {ours}"));
        }
    }
    assert!(total > 0, "{name} is empty");
    assert!(wrong.is_empty(), "{name}: {} of {total} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn queries_have_the_columns_and_types_that_postgresql_gives_them() {
    compare("queries", include_str!("../golden/queries.txt"), &[]);
}

#[test]
fn parameters_are_inferred_as_postgresql_infers_them() {
    compare("params", include_str!("../golden/params.txt"), &[]);
}

#[test]
fn errors_carry_postgresqls_state_position_and_words() {
    // PostgreSQL refuses this when it plans.
    let on_purpose = [(
        "select * from t left join u on t.a = u.a for update",
        "error 0A000 at -: FOR UPDATE cannot be applied to the nullable side of an outer join",
    )];
    compare("errors", include_str!("../golden/errors.txt"), &on_purpose);
}

#[test]
fn row_changes_are_checked_as_postgresql_checks_them() {
    // PostgreSQL looks for the arbiter when it plans.
    let no_arbiter = "error 42P10 at -: there is no unique or exclusion constraint matching the ON CONFLICT specification";
    let on_purpose = [
        ("insert into t (a) values (1) on conflict (b) do nothing", no_arbiter),
        ("insert into pair values (1, 2, 'x') on conflict (x) do nothing", no_arbiter),
    ];
    compare("changes", include_str!("../golden/changes.txt"), &on_purpose);
}

#[test]
fn the_catalog_queries_of_psql_and_pgbench_bind() {
    compare("catalogs", include_str!("../golden/catalogs.txt"), &[]);
}

#[test]
fn the_queries_of_tpch_bind() {
    compare("tpch", include_str!("../golden/tpch.txt"), &[]);
}
