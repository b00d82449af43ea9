//! Messages that are run again by themselves after 40001, and those that are not.

use crate::locks::{one, until_waiting};
use crate::server::shared;
use crate::wire::{Message, Wire, bind, execute, kinds, parse, sync};

/// A table with one row of 1, a session that holds the row after it wrote 10, and one whose transactions keep their snapshot.
fn contended(table: &str) -> (Wire, Wire) {
    let (mut holder, mut waiter) = (Wire::open(shared()), Wire::open(shared()));
    holder.query(&format!(
        "CREATE TABLE {table} (id int PRIMARY KEY, n int); INSERT INTO {table} VALUES (1, 1)"
    ));
    holder.query("BEGIN");
    holder.query(&format!("UPDATE {table} SET n = 10 WHERE id = 1"));
    waiter.query("SET default_transaction_isolation = 'repeatable read'");
    (holder, waiter)
}

/// Sends, waits until it waits for the row, lets it go, and gives the answer.
fn answer(holder: &mut Wire, waiter: &mut Wire, bytes: &[u8]) -> Vec<Message> {
    let process = one(waiter, "SELECT pg_backend_pid()");
    waiter.bytes(bytes);
    until_waiting(&mut Wire::open(shared()), &process);
    assert_eq!(holder.tags("COMMIT"), ["COMMIT"]);
    waiter.until_ready()
}

fn query(sql: &str) -> Vec<u8> {
    crate::wire::message('Q', &[sql.as_bytes(), &[0]].concat())
}

#[test]
fn a_single_statement_is_run_again() {
    let (mut holder, mut waiter) = contended("again_single");
    let sql = "UPDATE again_single SET n = n + 1 WHERE id = 1 RETURNING n, now() = statement_timestamp()";
    let got = answer(&mut holder, &mut waiter, &query(sql));
    assert_eq!(kinds(&got), "TDCZ");
    assert_eq!(got[1].texts(), ["11", "t"]);
}

#[test]
fn a_string_of_statements_is_run_again_and_shows_one_snapshot() {
    let (mut holder, mut waiter) = contended("again_string");
    let sql = "SELECT n FROM again_string; UPDATE again_string SET n = n + 1 WHERE id = 1 RETURNING n";
    let got = answer(&mut holder, &mut waiter, &query(sql));
    assert_eq!(kinds(&got), "TDCTDCZ");
    assert_eq!((got[1].texts(), got[4].texts()), (vec!["10".to_owned()], vec!["11".to_owned()]));
}

#[test]
fn a_pipeline_is_run_again_up_to_its_sync() {
    let (mut holder, mut waiter) = contended("again_pipeline");
    let pipeline = [
        parse("s", "SELECT n FROM again_pipeline WHERE id = $1"),
        bind("", "s", &[Some("1")]),
        execute("", 0),
        parse("", "UPDATE again_pipeline SET n = n + $1 WHERE id = 1"),
        bind("", "", &[Some("5")]),
        execute("", 0),
        sync(),
    ];
    let got = answer(&mut holder, &mut waiter, &pipeline.concat());
    assert_eq!(kinds(&got), "12DC12CZ");
    assert_eq!(got[2].texts(), ["10"]);
    assert_eq!(one(&mut waiter, "SELECT n FROM again_pipeline"), "15");
    let again = [bind("", "s", &[Some("1")]), execute("", 0), sync()].concat();
    waiter.bytes(&again);
    assert_eq!(kinds(&waiter.until_ready()), "2DCZ", "the statement that was made is there");
}

#[test]
fn a_block_is_not_run_again() {
    let (mut holder, mut waiter) = contended("again_block");
    waiter.query("BEGIN");
    let got = answer(&mut holder, &mut waiter, &query("UPDATE again_block SET n = n + 1 WHERE id = 1"));
    assert_eq!(got[0].error().0, "40001");
}

#[test]
fn what_did_something_that_stays_is_not_run_again() {
    let (mut holder, mut waiter) = contended("again_stays");
    let sql = "PREPARE p AS SELECT 1; UPDATE again_stays SET n = n + 1 WHERE id = 1";
    let got = answer(&mut holder, &mut waiter, &query(sql));
    assert_eq!(kinds(&got), "CEZ");
    assert_eq!(got[1].error().0, "40001");
}

#[test]
fn a_statements_time_limit_holds_over_all_tries() {
    let (mut holder, mut waiter) = contended("again_timeout");
    waiter.query("SET statement_timeout = '400ms'");
    let mut third = Wire::open(shared());
    third.query("BEGIN");
    let process = one(&mut waiter, "SELECT pg_backend_pid()");
    let other = one(&mut third, "SELECT pg_backend_pid()");
    waiter.send('Q', b"UPDATE again_timeout SET n = n + 1 WHERE id = 1\0");
    let mut watch = Wire::open(shared());
    until_waiting(&mut watch, &process);
    // In the queue behind the waiter, and in front of it when that comes again.
    third.send('Q', b"UPDATE again_timeout SET n = n + 1 WHERE id = 1\0");
    until_waiting(&mut watch, &other);
    holder.query("COMMIT");
    assert_eq!(waiter.until_ready()[0].error().0, "57014");
    third.until_ready();
    third.query("ROLLBACK");
}
