//! What no client should send. After each the server still serves.

use crate::server::shared;
use crate::wire::{Wire, bind, execute, message, parse, sync};
use rand::{Rng, RngExt, SeedableRng};

fn still_serves() {
    assert_eq!(Wire::open(shared()).rows("SELECT 1"), [["1"]]);
}

#[test]
fn random_bytes_end_the_connection_only() {
    for seed in 0..60u64 {
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let mut bytes = vec![0u8; rng.random_range(1..2000)];
        rng.fill_bytes(&mut bytes);
        // Before the start-up packet, and in a session.
        Wire::bare(shared()).bytes(&bytes);
        let mut w = Wire::open(shared());
        w.bytes(&bytes);
        drop(w);
    }
    still_serves();
}

#[test]
fn random_bodies_in_good_frames_are_answered_and_survived() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(11);
    for _ in 0..200 {
        let mut w = Wire::open(shared());
        for _ in 0..5 {
            let kind = b"QPBDECSHdcfF"[rng.random_range(0..12)];
            let mut body = vec![0u8; rng.random_range(0..40)];
            for b in &mut body {
                *b = if rng.random_bool(0.6) {
                    rng.random_range(0..4)
                } else {
                    rng.random()
                };
            }
            w.send(kind as char, &body);
        }
        w.bytes(&sync());
        w.until_ready();
    }
    still_serves();
}

#[test]
fn every_truncation_of_parse_and_bind_is_an_error() {
    let mut w = Wire::open(shared());
    w.bytes(&[parse("s", "SELECT $1::text"), sync()].concat());
    w.until_ready();
    for whole in [parse("", "SELECT 1"), bind("", "s", &[Some("abc")])] {
        let body = &whole[5..];
        for n in 0..body.len() {
            w.send(whole[0] as char, &body[..n]);
            w.bytes(&sync());
            let e = w.until_ready()[0].error();
            assert_eq!(e.0, "08P01", "{n} bytes of {}: {}", whole[0] as char, e.1);
        }
    }
    assert_eq!(w.rows("SELECT 1"), [["1"]]);
}

#[test]
fn impossible_lengths_are_fatal_and_clear() {
    for (bytes, code) in [
        (b"Q\x7f\xff\xff\xff".as_slice(), "08P01"),
        (b"Q\xff\xff\xff\xff", "08P01"),
        (b"Q\0\0\0\x03", "08P01"),
        (b"S\0\x10\0\0", "08P01"),
        (b"\x01\0\0\0\x04", "08P01"),
    ] {
        let mut w = Wire::open(shared());
        w.bytes(bytes);
        let m = w.read();
        assert_eq!(m.fields()[&'S'], "FATAL");
        assert_eq!(m.error().0, code);
        assert!(w.try_read().is_none());
    }
    for packet in [
        b"\0\0\0\x04".as_slice(),
        b"\x7f\xff\xff\xff",
        b"\0\0\0\x09\0\x03\0\0\0",
        b"\0\0\0\x08\0\x02\0\0",
    ] {
        let mut w = Wire::bare(shared());
        w.bytes(packet);
        assert_eq!(w.read().fields()[&'S'], "FATAL");
    }
    still_serves();
}

#[test]
fn invalid_utf8_is_22021_wherever_it_comes() {
    let mut w = Wire::open(shared());
    w.send('Q', b"SELECT '\xff'\0");
    assert_eq!(
        w.until_ready()[0].error(),
        ("22021".into(), "invalid byte sequence for encoding \"UTF8\": 0xff".into())
    );
    let mut body = b"\0s\0".to_vec();
    body.extend([0, 0, 0, 1, 0, 0, 0, 2, 0xc3, 0x28, 0, 0]);
    w.bytes(&[parse("s", "SELECT $1::text"), message('B', &body), sync()].concat());
    assert_eq!(
        w.until_ready()[1].error(),
        ("22021".into(), "invalid byte sequence for encoding \"UTF8\": 0xc3 0x28".into())
    );
}

#[test]
fn a_statement_of_ten_megabytes_is_run() {
    let mut w = Wire::open(shared());
    let long = "x".repeat(10 << 20);
    assert_eq!(w.rows(&format!("SELECT length('{long}')")), [[(10 << 20).to_string()]]);
    w.bytes(
        &[
            parse("", "SELECT length($1::text)"),
            bind("", "", &[Some(&long)]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(w.until_ready()[2].texts(), [(10 << 20).to_string()]);
}

#[test]
fn ten_thousand_terms_work_and_a_hundred_thousand_parentheses_do_not() {
    let mut w = Wire::open(shared());
    let ors = (0..10_000).map(|i| format!("a = {i}")).collect::<Vec<_>>().join(" OR ");
    assert_eq!(
        w.rows(&format!("SELECT a FROM (VALUES (9999), (10000)) t(a) WHERE {ors}")),
        [["9999"]]
    );
    let plus = vec!["1"; 10_000].join(" + ");
    assert_eq!(w.rows(&format!("SELECT {plus}")), [["10000"]]);
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(w.failure(&deep).0, "54001");
    still_serves();
}

#[test]
fn a_client_that_leaves_in_the_middle_takes_nothing_with_it() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE bad_leave (a int PRIMARY KEY)");
    let mut other = Wire::open(shared());
    other.tags("BEGIN; INSERT INTO bad_leave VALUES (1)");
    other.bytes(b"Q\0\0\x01\0SELECT");
    drop(other);
    let mut third = Wire::open(shared());
    third.send('Q', b"SELECT * FROM generate_series(1, 10000000)\0");
    third.read();
    drop(third);
    // Waits for the lost session's lock and gets it.
    assert_eq!(w.tags("INSERT INTO bad_leave VALUES (1)"), ["INSERT 0 1"]);
}
