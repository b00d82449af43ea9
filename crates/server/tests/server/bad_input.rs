//! Input that no well-meaning client sends. The server answers or closes the connection; it never goes down, and others
//! notice nothing.

use crate::house::{House, connect, state};
use crate::wire::Wire;
use curia_sim::server::Server;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::fmt::Write;

/// The server still serves.
async fn alive(server: &mut Server, house: &House) {
    assert_eq!(server.exited().unwrap(), None, "{}", house.log());
    let client = connect(server).await;
    let one: i32 = client.query_one("SELECT 1", &[]).await.unwrap().get(0);
    assert_eq!(one, 1);
}

#[tokio::test]
async fn random_bytes_at_any_point_close_one_connection_only() {
    let house = House::new();
    let mut server = house.start();
    let mut random = ChaCha12Rng::seed_from_u64(7);
    for round in 0..60 {
        let mut wire = if round % 2 == 0 {
            Wire::connect(&server.sql).await
        } else {
            Wire::sign_in(&server.sql).await
        };
        let bytes: Vec<u8> = (0..random.random_range(1..2000)).map(|_| random.random()).collect();
        wire.raw(&bytes).await;
        // Dropped here, whatever the server makes of it: half of the lengths promise more than was sent.
    }
    alive(&mut server, &house).await;
}

#[tokio::test]
async fn messages_cut_short_inside_are_protocol_violations() {
    let house = House::new();
    let mut server = house.start();
    let bodies: [(u8, &[u8]); 9] = [
        (b'P', b""),
        (b'P', b"name"),
        (b'P', b"\0SELECT 1\0"),
        (b'P', b"\0SELECT $1\0\0\x05\0\0"),
        (b'B', b"\0"),
        (b'B', b"\0\0\0\x01"),
        (b'B', b"\0\0\0\0\x7f\xff\0\0"),
        (b'D', b""),
        (b'E', b"\0\0\0"),
    ];
    for (tag, body) in bodies {
        let mut wire = Wire::sign_in(&server.sql).await;
        wire.send(b'P', b"\0SELECT 1\0\0\0").await;
        wire.send(tag, body).await;
        wire.send(b'S', b"").await;
        let messages = wire.until_closed_or_ready().await;
        let error = messages
            .iter()
            .find(|message| message.tag == b'E')
            .unwrap_or_else(|| panic!("{} {body:?}", tag as char));
        assert_eq!(error.field(b'C').as_deref(), Some("08P01"), "{} {body:?}", tag as char);
    }
    alive(&mut server, &house).await;
}

#[tokio::test]
async fn a_length_that_is_negative_or_huge_closes_the_connection() {
    let house = House::new();
    let mut server = house.start();
    for length in [[0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0], [0x7f, 0xff, 0xff, 0xff]] {
        let mut wire = Wire::sign_in(&server.sql).await;
        wire.raw(&[b"Q", &length[..]].concat()).await;
        let messages = wire.until_closed_or_ready().await;
        assert!(messages.iter().all(|message| message.tag == b'E'), "{messages:?}");
    }
    alive(&mut server, &house).await;
}

#[tokio::test]
async fn an_unknown_message_is_a_protocol_violation() {
    let house = House::new();
    let mut server = house.start();
    let mut wire = Wire::sign_in(&server.sql).await;
    wire.send(b'!', b"").await;
    let messages = wire.until_closed_or_ready().await;
    assert_eq!(messages[0].field(b'C').as_deref(), Some("08P01"));
    alive(&mut server, &house).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let house = House::new();
    let server = house.start();
    let mut wire = Wire::sign_in(&server.sql).await;
    wire.query(b"SELECT '\xff\xfe'").await;
    assert_eq!(wire.error_state().await.as_deref(), Some("22021"));
    wire.query(b"SELECT 1").await;
    assert_eq!(wire.error_state().await, None);
}

#[tokio::test]
async fn wrong_parameter_counts_are_refused() {
    let house = House::new();
    let server = house.start();
    let mut wire = Wire::sign_in(&server.sql).await;
    wire.send(b'P', b"\0SELECT $1::int\0\0\0").await;
    wire.send(b'B', b"\0\0\0\0\0\0\0\0").await;
    wire.send(b'S', b"").await;
    assert_eq!(wire.error_state().await.as_deref(), Some("08P01"));
    wire.query(b"SELECT $1").await;
    assert_eq!(wire.error_state().await.as_deref(), Some("42P02"));
}

#[tokio::test]
async fn a_statement_of_ten_megabytes_works() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    let long = "x".repeat(10 << 20);
    let row = client.query_one(&format!("SELECT length('{long}')"), &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 10 << 20);
}

#[tokio::test]
async fn ten_thousand_terms_work() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (a int); INSERT INTO t SELECT 9999")
        .await
        .unwrap();
    let ors = (0..10_000).map(|n| format!("a = {n}")).collect::<Vec<_>>().join(" OR ");
    let found: i64 = client
        .query_one(&format!("SELECT count(*) FROM t WHERE {ors}"), &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(found, 1);
    let sum = (0..10_000).map(|_| "1").collect::<Vec<_>>().join(" + ");
    let total: i32 = client.query_one(&format!("SELECT {sum}"), &[]).await.unwrap().get(0);
    assert_eq!(total, 10_000);
}

#[tokio::test]
async fn a_hundred_thousand_parentheses_are_too_complex() {
    let house = House::new();
    let mut server = house.start();
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("(SELECT ", "1", ")"),
        ("- ", "1", ""),
        ("NOT ", "true", ""),
        ("ARRAY[", "1", "]"),
    ] {
        let client = connect(&server).await;
        let text = format!("SELECT {}{middle}{}", open.repeat(100_000), close.repeat(100_000));
        match client.batch_execute(&text).await {
            Err(error) => assert_eq!(state(&error), "54001", "{open}: {error:?}"),
            // A chain of prefix operators may be read without nesting; then it works.
            Ok(()) => assert!(close.is_empty(), "{open}"),
        }
    }
    alive(&mut server, &house).await;
}

#[tokio::test]
async fn values_that_do_not_fit_are_refused() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (v varchar(3), s int2, n numeric(4,2), c char(2))")
        .await
        .unwrap();
    for (statement, expected) in [
        ("INSERT INTO t (v) VALUES ('four')", "22001"),
        ("INSERT INTO t (c) VALUES ('abc')", "22001"),
        ("INSERT INTO t (s) VALUES (40000)", "22003"),
        ("INSERT INTO t (n) VALUES (100)", "22003"),
        ("SELECT 2147483647 + 1", "22003"),
        ("SELECT 9223372036854775807 * 2", "22003"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 1.0 / 0", "22012"),
        ("SELECT 'abc'::int", "22P02"),
        ("SELECT 'NaN'::numeric::int", "0A000"),
        ("SELECT '99999-99-99'::date", "22008"),
        ("SELECT 'now or never'::timestamp", "22007"),
        ("SELECT 'xyz'::uuid", "22P02"),
        ("SELECT '{bad'::json", "22P02"),
        ("SELECT pg_no_such_function()", "42883"),
        ("SELEC 1", "42601"),
        ("SELECT 'unterminated", "42601"),
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(state(&error), expected, "{statement}: {error:?}");
    }
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test]
async fn sixteen_hundred_columns_are_the_limit() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    let table = |name: &str, count: usize| {
        let mut text = format!("CREATE TABLE {name} (c0 int");
        for n in 1..count {
            // Writing to a String cannot fail.
            let _ = write!(text, ", c{n} int");
        }
        text + ")"
    };
    client.batch_execute(&table("widest", 1600)).await.unwrap();
    client.batch_execute("INSERT INTO widest (c0, c1599) VALUES (1, 2)").await.unwrap();
    let row = client.query_one("SELECT * FROM widest", &[]).await.unwrap();
    assert_eq!((row.len(), row.get::<_, i32>(1599)), (1600, 2));
    let error = client.batch_execute(&table("wider", 1601)).await.unwrap_err();
    assert_eq!(state(&error), "54011");
}
