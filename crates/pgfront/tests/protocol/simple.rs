//! The simple protocol, parameters, notices, limits.

use crate::server::{Server, shared};
use crate::wire::{Wire, kinds};
use std::time::Duration;

#[test]
fn a_session_starts_with_postgresqls_parameters() {
    let w = Wire::with(shared(), &[("application_name", "tests"), ("options", "-c work_mem=8MB")]);
    let p = |n: &str| w.parameters[n].as_str();
    assert!(p("server_version").starts_with("15."));
    assert_eq!(p("client_encoding"), "UTF8");
    assert_eq!(p("DateStyle"), "ISO, MDY");
    assert_eq!(p("integer_datetimes"), "on");
    assert_eq!(p("standard_conforming_strings"), "on");
    assert_eq!(p("is_superuser"), "on");
    assert_eq!(p("session_authorization"), "curia");
    assert_eq!(p("application_name"), "tests");
    assert_eq!(w.key.len(), 8);
    let mut w = w;
    assert_eq!(w.rows("SHOW work_mem"), [["8MB"]]);
}

#[test]
fn a_query_answers_with_description_rows_and_tag() {
    let mut w = Wire::open(shared());
    let all = w.query("SELECT 1 AS a, NULL AS b, 'x'");
    assert_eq!(kinds(&all), "TDCZ");
    assert_eq!(all[1].texts(), ["1", "NULL", "x"]);
    assert_eq!(all[2].tag(), "SELECT 1");
    assert!(String::from_utf8_lossy(&all[0].body).contains("?column?"));
}

#[test]
fn several_statements_are_answered_one_by_one_and_stop_at_the_first_error() {
    let mut w = Wire::open(shared());
    assert_eq!(kinds(&w.query("SELECT 1; SELECT 2")), "TDCTDCZ");
    assert_eq!(kinds(&w.query("SELECT 1; SELECT 1/0; SELECT 3")), "TDCTEZ");
    assert_eq!(kinds(&w.query("")), "IZ");
    assert_eq!(kinds(&w.query(" ; -- nothing\n")), "IZ");
}

#[test]
fn an_error_has_its_position_in_characters() {
    let mut w = Wire::open(shared());
    let all = w.query("SELECT 'é', nosuch");
    let f = all[0].fields();
    assert_eq!(
        (f[&'C'].as_str(), f[&'S'].as_str(), f[&'V'].as_str(), f[&'P'].as_str()),
        ("42703", "ERROR", "ERROR", "13")
    );
}

#[test]
fn a_changed_parameter_is_reported_before_ready() {
    let mut w = Wire::open(shared());
    let all = w.query("SET TimeZone = 'Europe/Berlin'");
    assert_eq!(kinds(&all), "CSZ");
    assert_eq!(all[1].body, b"TimeZone\0Europe/Berlin\0");
    assert_eq!(kinds(&w.query("BEGIN; SET TimeZone = 'UTC'")), "CCSZ");
    assert_eq!(kinds(&w.query("ROLLBACK")), "CSZ");
    assert_eq!(w.rows("SHOW TimeZone"), [["Europe/Berlin"]]);
    assert_eq!(w.failure("SET nosuch = 1").0, "42704");
    assert_eq!(
        w.failure("SHOW nosuch"),
        ("42704".into(), "unrecognized configuration parameter \"nosuch\"".into())
    );
}

#[test]
fn client_min_messages_holds_notices_back() {
    let mut w = Wire::open(shared());
    assert_eq!(kinds(&w.query("DROP TABLE IF EXISTS simple_none")), "NCZ");
    w.query("SET client_min_messages = warning");
    assert_eq!(kinds(&w.query("DROP TABLE IF EXISTS simple_none")), "CZ");
    assert_eq!(kinds(&w.query("ROLLBACK")), "NCZ");
}

#[test]
fn sql_level_prepare_execute_and_cursors_work() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE simple_cursor (a int PRIMARY KEY); INSERT INTO simple_cursor SELECT generate_series(1, 10)");
    w.tags("PREPARE p (int) AS SELECT a FROM simple_cursor WHERE a = $1");
    assert_eq!(w.rows("EXECUTE p (3 + 1)"), [["4"]]);
    assert_eq!(w.failure("EXECUTE p").1, "wrong number of parameters for prepared statement \"p\"");
    assert_eq!(w.failure("PREPARE p AS SELECT 1").0, "42P05");
    w.tags("DEALLOCATE p");
    assert_eq!(w.failure("EXECUTE p(1)").0, "26000");
    assert_eq!(w.failure("DECLARE c CURSOR FOR SELECT 1").0, "25P01");
    w.tags("BEGIN");
    w.tags("DECLARE c CURSOR FOR SELECT a FROM simple_cursor ORDER BY a");
    assert_eq!(w.rows("FETCH 2 FROM c"), [["1"], ["2"]]);
    assert_eq!(w.tags("MOVE 3 FROM c"), ["MOVE 3"]);
    assert_eq!(w.rows("FETCH NEXT FROM c"), [["6"]]);
    assert_eq!(w.tags("FETCH ALL FROM c"), ["FETCH 4"]);
    assert_eq!(w.tags("CLOSE c; COMMIT"), ["CLOSE CURSOR", "COMMIT"]);
    assert_eq!(w.failure("FETCH c").0, "34000");
}

#[test]
fn a_cancel_request_with_the_key_stops_the_statement() {
    let mut w = Wire::open(shared());
    let key = w.key.clone();
    w.send('Q', b"SELECT count(*) FROM generate_series(1, 100000000000) a\0");
    std::thread::sleep(Duration::from_millis(200));
    for wrong in [true, false] {
        let mut packet = vec![0, 0, 0, 16, 4, 210, 22, 46];
        packet.extend(&key);
        if wrong {
            packet[15] ^= 1;
        }
        Wire::bare(shared()).bytes(&packet);
    }
    let all = w.until_ready();
    let e = all.iter().find(|m| m.kind == 'E').unwrap().error();
    assert_eq!(e, ("57014".into(), "canceling statement due to user request".into()));
    assert_eq!(w.rows("SELECT 1"), [["1"]]);
}

#[test]
fn statement_timeout_stops_the_statement() {
    let mut w = Wire::open(shared());
    let e = w.failure("SET statement_timeout = '100ms'; SELECT pg_sleep(100)");
    assert_eq!(e.0, "57014");
    w.tags("SET statement_timeout = '100ms'");
    let e = w.failure("SELECT count(*) FROM generate_series(1, 100000000000) a");
    assert_eq!(e, ("57014".into(), "canceling statement due to statement timeout".into()));
}

#[test]
fn one_connection_too_many_is_told_so() {
    let server = Server::start(2);
    let _one = Wire::open(server.address());
    let _two = Wire::open(server.address());
    let mut three = Wire::bare(server.address());
    three.startup(&[]);
    let f = three.read().fields();
    assert_eq!(
        (f[&'S'].as_str(), f[&'C'].as_str(), f[&'M'].as_str()),
        ("FATAL", "53300", "sorry, too many clients already")
    );
    assert!(three.try_read().is_none());
}

#[test]
fn unknown_roles_and_databases_are_refused() {
    for (name, value, code) in [
        ("user", "nobody", "28000"),
        ("database", "nosuch", "3D000"),
        ("replication", "true", "0A000"),
    ] {
        let mut w = Wire::bare(shared());
        w.startup(&[(name, value)]);
        assert_eq!(w.read().error().0, code);
    }
}

#[test]
fn a_drain_ends_idle_sessions_and_lets_busy_ones_finish() {
    let mut server = Server::start(10);
    let mut idle = Wire::open(server.address());
    let mut busy = Wire::open(server.address());
    assert_eq!(busy.status("BEGIN"), 'T');
    let drained = std::thread::spawn(move || server.drain(Duration::from_secs(20)));
    assert_eq!(
        idle.read().error(),
        ("57P01".into(), "terminating connection due to administrator command".into())
    );
    assert_eq!(busy.rows("SELECT 1"), [["1"]]);
    assert_eq!(busy.tags("COMMIT"), ["COMMIT"]);
    assert_eq!(busy.read().error().0, "57P01");
    assert_eq!(drained.join().unwrap(), 0);
}

#[test]
fn a_password_is_asked_for_once_it_is_set() {
    let server = Server::start(10);
    Wire::open(server.address()).tags("ALTER ROLE curia PASSWORD 'secret'");
    let connect = |password: &str| {
        let address = server.address();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = format!("host=127.0.0.1 port={} user=curia dbname=curia password={password}", address.port());
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            client.simple_query("SELECT 1").await.map(|_| ())
        })
    };
    connect("secret").unwrap();
    let e = connect("wrong").unwrap_err();
    assert_eq!(e.code().map(|c| c.code()), Some("28P01"));
}
