//! COPY over the wire.

use crate::server::{Server, shared};
use crate::wire::{Message, Wire, kinds, message};
use std::time::Duration;

/// Runs COPY FROM STDIN with data cut into pieces.
fn copy_in(w: &mut Wire, sql: &str, data: &[u8], piece: usize) -> Vec<Message> {
    w.send('Q', &[sql.as_bytes(), &[0]].concat());
    let first = w.read();
    if first.kind == 'E' {
        let mut all = vec![first];
        all.extend(w.until_ready());
        return all;
    }
    assert_eq!(first.kind, 'G');
    for p in data.chunks(piece) {
        w.send('d', p);
    }
    w.send('c', &[]);
    w.until_ready()
}

/// Runs COPY TO STDOUT and gives the data.
fn copy_out(w: &mut Wire, sql: &str) -> Vec<u8> {
    let all = w.query(sql);
    assert!(kinds(&all).starts_with('H'), "{:?}", all[0].fields());
    all.iter().filter(|m| m.kind == 'd').flat_map(|m| m.body.clone()).collect()
}

#[test]
fn every_format_reads_back_what_it_wrote() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE copy_from (a int PRIMARY KEY, b text, c numeric(8,2), d timestamptz)");
    w.tags("CREATE TABLE copy_to (a int PRIMARY KEY, b text, c numeric(8,2), d timestamptz)");
    w.tags(
        "INSERT INTO copy_from VALUES (1, E'tab\\there \\\\ \"quoted\", nl\\nend', 12.5, '2024-02-29 12:00+00'), (2, NULL, NULL, NULL), \
         (3, '', -0.01, 'infinity'), (4, '\\N', 0, '1999-12-31')",
    );
    for format in [
        "text",
        "csv",
        "binary",
        "csv, HEADER",
        "text, DELIMITER '|', NULL 'nil'",
        "csv, QUOTE '''', FORCE_QUOTE *",
    ] {
        let data = copy_out(&mut w, &format!("COPY copy_from TO STDOUT (FORMAT {format})"));
        let read = format.replace(", FORCE_QUOTE *", "");
        for piece in [data.len(), 7, 1] {
            w.tags("DELETE FROM copy_to");
            let all = copy_in(&mut w, &format!("COPY copy_to FROM STDIN (FORMAT {read})"), &data, piece);
            assert_eq!(kinds(&all), "CZ", "{format}: {:?}", all[0].fields());
            assert_eq!(all[0].tag(), "COPY 4");
            let difference = w.rows("SELECT * FROM copy_from EXCEPT SELECT * FROM copy_to");
            assert_eq!(difference, Vec::<Vec<String>>::new(), "{format} in pieces of {piece}");
        }
    }
}

#[test]
fn errors_say_table_line_and_column() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE copy_bad (a int PRIMARY KEY, b varchar(3) NOT NULL)");
    let mut failure = |data: &str| {
        let all = copy_in(&mut w, "COPY copy_bad FROM STDIN", data.as_bytes(), 1000);
        let mut f = all[0].fields();
        (f.remove(&'C').unwrap(), f.remove(&'M').unwrap(), f.remove(&'W').unwrap_or_default())
    };
    let expect = |c: &str, m: &str, w: &str| (c.to_owned(), m.to_owned(), w.to_owned());
    assert_eq!(
        failure("1\tx\ny\tz\n"),
        expect(
            "22P02",
            "invalid input syntax for type integer: \"y\"",
            "COPY copy_bad, line 2, column a: \"y\""
        )
    );
    assert_eq!(
        failure("1\n"),
        expect("22P04", "missing data for column \"b\"", "COPY copy_bad, line 1: \"1\"")
    );
    assert_eq!(
        failure("1\tx\ty\n"),
        expect(
            "22P04",
            "extra data after last expected column",
            "COPY copy_bad, line 1: \"1\tx\ty\""
        )
    );
    assert_eq!(
        failure("1\tabcd\n"),
        expect(
            "22001",
            "value too long for type character varying(3)",
            "COPY copy_bad, line 1, column b: \"abcd\""
        )
    );
    let e = failure("1\ta\n2\t\\N\n");
    assert_eq!((e.0.as_str(), e.2.as_str()), ("23502", "COPY copy_bad, line 2: \"2\t\\N\""));
    assert_eq!(failure("1\ta\n1\tb\n").0, "23505");
    assert_eq!(failure("1\t\\xff\n").0, "22021");
    assert_eq!(w.rows("SELECT count(*) FROM copy_bad"), [["0"]]);
}

#[test]
fn a_client_may_give_up() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE copy_fail (a int)");
    w.send('Q', b"COPY copy_fail FROM STDIN\0");
    assert_eq!(w.read().kind, 'G');
    w.bytes(&[message('d', b"1\n"), message('f', b"changed my mind\0")].concat());
    let all = w.until_ready();
    assert_eq!(all[0].error(), ("57014".into(), "COPY from stdin failed: changed my mind".into()));
    assert_eq!(w.rows("SELECT count(*) FROM copy_fail"), [["0"]]);
}

#[test]
fn data_after_an_error_is_ignored() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE copy_after (a int)");
    let data = "x\n".repeat(100_000);
    let all = copy_in(&mut w, "COPY copy_after FROM STDIN", data.as_bytes(), 1000);
    assert_eq!(all[0].error().0, "22P02");
    assert_eq!(w.rows("SELECT 1"), [["1"]]);
}

#[test]
fn column_lists_defaults_and_queries_are_taken() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE copy_list (a int, b text DEFAULT 'd', c serial)");
    copy_in(&mut w, "COPY copy_list (a) FROM STDIN WITH (FREEZE)", b"7\n8\n", 3);
    assert_eq!(
        copy_out(&mut w, "COPY (SELECT a, b, c FROM copy_list ORDER BY a) TO STDOUT"),
        b"7\td\t1\n8\td\t2\n"
    );
    assert_eq!(copy_out(&mut w, "COPY copy_list (b, a) TO STDOUT CSV"), b"d,7\nd,8\n");
    assert_eq!(w.failure("COPY copy_list (nosuch) FROM STDIN").0, "42703");
    assert_eq!(w.failure("COPY nosuch FROM STDIN").0, "42P01");
    assert_eq!(w.failure("COPY copy_list FROM '/no/such/file'").0, "58P01");
    assert_eq!(w.failure("COPY copy_list FROM PROGRAM 'true'").0, "0A000");
    assert_eq!(
        w.failure("COPY copy_list TO STDOUT (FORMAT binary, DELIMITER ',')").1,
        "cannot specify DELIMITER in BINARY mode"
    );
}

#[test]
fn a_session_is_idle_after_a_copy_that_failed_although_its_data_comes() {
    let mut server = Server::start(2);
    let mut w = Wire::open(server.address());
    let all = [message('Q', b"COPY nowhere FROM STDIN\0"), message('d', b"1\n"), message('c', b"")].concat();
    w.bytes(&all);
    assert_eq!(kinds(&w.until_ready()), "EZ");
    assert_eq!(server.drain(Duration::from_secs(20)), 0);
    assert_eq!(w.read().error().0, "57P01");
}
