//! The extended protocol: pipelines, portals, errors that skip to Sync.

use crate::server::shared;
use crate::wire::{Wire, bind, describe, execute, kinds, message, parse, sync};

#[test]
fn parse_bind_describe_execute_answer_in_order() {
    let mut w = Wire::open(shared());
    let all = [
        parse("", "SELECT $1::int + 1 AS n, $2::text"),
        describe(b'S', ""),
        bind("", "", &[Some("41"), None]),
        describe(b'P', ""),
        execute("", 0),
        sync(),
    ]
    .concat();
    w.bytes(&all);
    let all = w.until_ready();
    assert_eq!(kinds(&all), "1tT2TDCZ");
    assert_eq!(all[1].body, [0, 2, 0, 0, 0, 23, 0, 0, 0, 25]);
    assert_eq!(all[5].texts(), ["42", "NULL"]);
}

#[test]
fn binary_values_travel_both_ways() {
    let mut w = Wire::open(shared());
    let mut body = b"\0\0".to_vec();
    body.extend([0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0, 41, 0, 1, 0, 1]);
    w.bytes(&[parse("", "SELECT $1::int4 + 1"), message('B', &body), execute("", 0), sync()].concat());
    let all = w.until_ready();
    assert_eq!(kinds(&all), "12DCZ");
    assert_eq!(all[2].row(), [Some(vec![0, 0, 0, 42])]);
}

#[test]
fn an_error_skips_to_sync_and_no_further() {
    let mut w = Wire::open(shared());
    w.bytes(
        &[
            parse("", "SELECT 1/0"),
            bind("", "", &[]),
            execute("", 0),
            parse("x", "SELECT 1"),
            sync(),
        ]
        .concat(),
    );
    w.bytes(&[parse("y", "SELECT 2"), bind("", "y", &[]), execute("", 0), sync()].concat());
    let first = w.until_ready();
    assert_eq!(kinds(&first), "12EZ");
    assert_eq!(first[2].error().0, "22012");
    assert_eq!(kinds(&w.until_ready()), "12DCZ");
    // The skipped Parse made nothing.
    w.bytes(&[bind("", "x", &[]), sync()].concat());
    assert_eq!(
        w.until_ready()[0].error(),
        ("26000".into(), "prepared statement \"x\" does not exist".into())
    );
}

#[test]
fn a_pipeline_is_one_transaction_up_to_sync() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE ext_pipe (a int PRIMARY KEY)");
    let insert = |v: &str| [bind("", "i", &[Some(v)]), execute("", 0)].concat();
    w.bytes(
        &[
            parse("i", "INSERT INTO ext_pipe VALUES ($1)"),
            insert("1"),
            insert("2"),
            insert("1"),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(kinds(&w.until_ready()), "12C2C2EZ");
    assert_eq!(w.rows("SELECT count(*) FROM ext_pipe"), [["0"]]);
    w.bytes(&[insert("1"), insert("2"), sync()].concat());
    assert_eq!(kinds(&w.until_ready()), "2C2CZ");
    assert_eq!(w.rows("SELECT count(*) FROM ext_pipe"), [["2"]]);
}

#[test]
fn a_row_limit_suspends_the_portal() {
    let mut w = Wire::open(shared());
    w.tags("BEGIN");
    w.bytes(
        &[
            parse("", "SELECT * FROM generate_series(1, 5)"),
            bind("p", "", &[]),
            execute("p", 2),
            execute("p", 2),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(kinds(&w.until_ready()), "12DDsDDsZ");
    w.bytes(&[execute("p", 0), execute("p", 0), sync()].concat());
    let all = w.until_ready();
    assert_eq!(kinds(&all), "DCCZ");
    assert_eq!(all[1].tag(), "SELECT 1");
    w.tags("COMMIT");
    w.bytes(&[execute("p", 0), sync()].concat());
    assert_eq!(w.until_ready()[0].error(), ("34000".into(), "portal \"p\" does not exist".into()));
}

#[test]
fn wrong_counts_and_names_are_refused() {
    let mut w = Wire::open(shared());
    let mut fails = |messages: Vec<u8>| {
        w.bytes(&[messages, sync()].concat());
        w.until_ready().iter().find(|m| m.kind == 'E').unwrap().error()
    };
    assert_eq!(
        fails([parse("", "SELECT $1::int"), bind("", "", &[])].concat()),
        (
            "08P01".into(),
            "bind message supplies 0 parameters, but prepared statement \"\" requires 1".into()
        )
    );
    assert_eq!(fails([parse("", "SELECT $1::int"), bind("", "", &[Some("x")])].concat()).0, "22P02");
    assert_eq!(fails(parse("", "SELECT 1; SELECT 2")).0, "42601");
    assert_eq!(fails(parse("", "SELECT $1 IS NULL AND $3 IS NULL")).0, "42P18");
    assert_eq!(fails([parse("d", "SELECT 1"), parse("d", "SELECT 1")].concat()).0, "42P05");
    assert_eq!(fails(describe(b'S', "nosuch")).0, "26000");
    assert_eq!(fails(describe(b'P', "nosuch")).0, "34000");
    assert_eq!(fails(execute("nosuch", 0)).0, "34000");
    let mut body = b"\0d\0".to_vec();
    body.extend([0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    assert_eq!(
        fails(message('B', &body)).1,
        "bind message has 2 result formats but query has 1 columns"
    );
    let mut body = b"\0d\0".to_vec();
    body.extend([0, 1, 0, 7, 0, 0, 0, 0]);
    assert_eq!(fails(message('B', &body)).1, "unsupported format code: 7");
}

#[test]
fn a_cached_plan_follows_the_table_but_not_into_another_shape() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE ext_shape (a int PRIMARY KEY, b int); INSERT INTO ext_shape VALUES (1, 2)");
    let run = |name: &str| [bind("", name, &[]), execute("", 0), sync()].concat();
    w.bytes(
        &[
            parse("star", "SELECT * FROM ext_shape"),
            parse("one", "SELECT b FROM ext_shape"),
            sync(),
        ]
        .concat(),
    );
    w.until_ready();
    w.bytes(&run("star"));
    assert_eq!(kinds(&w.until_ready()), "2DCZ");
    w.tags("ALTER TABLE ext_shape ADD COLUMN c int");
    w.bytes(&run("star"));
    assert_eq!(
        w.until_ready()[1].error(),
        ("0A000".into(), "cached plan must not change result type".into())
    );
    w.bytes(&run("one"));
    assert_eq!(kinds(&w.until_ready()), "2DCZ");
    w.tags("DROP TABLE ext_shape");
    w.bytes(&run("one"));
    assert_eq!(w.until_ready()[1].error().0, "42P01");
}

#[test]
fn an_empty_statement_and_statements_without_rows_describe_as_such() {
    let mut w = Wire::open(shared());
    w.bytes(&[parse("", ""), describe(b'S', ""), bind("", "", &[]), execute("", 0), sync()].concat());
    assert_eq!(kinds(&w.until_ready()), "1tn2IZ");
    w.bytes(
        &[
            parse("", "SET work_mem = '2MB'"),
            describe(b'S', ""),
            bind("", "", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(kinds(&w.until_ready()), "1tn2CZ");
    w.bytes(
        &[
            parse("", "SHOW work_mem"),
            describe(b'S', ""),
            bind("", "", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    let all = w.until_ready();
    assert_eq!(kinds(&all), "1tT2DCZ");
    assert_eq!(all[4].texts(), ["2MB"]);
}

#[test]
fn a_failed_block_takes_only_its_end() {
    let mut w = Wire::open(shared());
    w.bytes(&[parse("ok", "SELECT 1"), parse("end", "ROLLBACK"), sync()].concat());
    w.until_ready();
    w.query("BEGIN; SELECT 1/0");
    w.bytes(&[bind("", "ok", &[]), sync()].concat());
    assert_eq!(w.until_ready()[0].error().0, "25P02");
    w.bytes(&[bind("", "end", &[]), execute("", 0), sync()].concat());
    let all = w.until_ready();
    assert_eq!(kinds(&all), "2CZ");
    assert_eq!(all[2].body, b"I");
}
