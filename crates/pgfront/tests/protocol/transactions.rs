//! Transaction blocks.

use crate::server::shared;
use crate::wire::{Wire, kinds};

#[test]
fn the_status_letter_follows_the_block() {
    let mut w = Wire::open(shared());
    assert_eq!(w.status("SELECT 1"), 'I');
    assert_eq!(w.status("BEGIN"), 'T');
    assert_eq!(w.status("SELECT 1/0"), 'E');
    assert_eq!(
        w.failure("SELECT 1"),
        (
            "25P02".into(),
            "current transaction is aborted, commands ignored until end of transaction block".into()
        )
    );
    assert_eq!(w.tags("COMMIT"), ["ROLLBACK"]);
    assert_eq!(w.status("SELECT 1"), 'I');
}

#[test]
fn begin_twice_and_commit_without_begin_warn() {
    let mut w = Wire::open(shared());
    w.query("BEGIN");
    let all = w.query("BEGIN");
    assert_eq!(kinds(&all), "NCZ");
    assert_eq!(all[0].fields()[&'M'], "there is already a transaction in progress");
    w.query("COMMIT");
    let all = w.query("COMMIT");
    assert_eq!(kinds(&all), "NCZ");
    assert_eq!(all[0].fields()[&'M'], "there is no transaction in progress");
}

#[test]
fn a_savepoint_takes_back_what_came_after_it() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE tx_save (a int)");
    w.tags("BEGIN; INSERT INTO tx_save VALUES (1); SAVEPOINT s; INSERT INTO tx_save VALUES (2)");
    assert_eq!(w.status("SELECT 1/0"), 'E');
    assert_eq!(w.tags("ROLLBACK TO s"), ["ROLLBACK"]);
    assert_eq!(w.rows("SELECT a FROM tx_save"), [["1"]]);
    assert_eq!(w.tags("RELEASE s; COMMIT"), ["RELEASE", "COMMIT"]);
    assert_eq!(w.rows("SELECT a FROM tx_save"), [["1"]]);
    assert_eq!(w.failure("SAVEPOINT s").0, "25P01");
    w.tags("BEGIN");
    assert_eq!(w.failure("ROLLBACK TO nosuch").0, "3B001");
    w.tags("ROLLBACK");
}

#[test]
fn a_string_of_statements_is_one_transaction() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE tx_string (a int PRIMARY KEY)");
    assert_eq!(
        w.failure("INSERT INTO tx_string VALUES (1); INSERT INTO tx_string VALUES (1)").0,
        "23505"
    );
    assert_eq!(w.rows("SELECT count(*) FROM tx_string"), [["0"]]);
    // BEGIN inside makes a block of what came before.
    w.query("INSERT INTO tx_string VALUES (2); BEGIN; INSERT INTO tx_string VALUES (3)");
    w.query("ROLLBACK");
    assert_eq!(w.rows("SELECT count(*) FROM tx_string"), [["0"]]);
    assert_eq!(w.failure("SELECT 1; VACUUM").0, "25001");
}

#[test]
fn others_see_a_commit_and_nothing_before() {
    let (mut a, mut b) = (Wire::open(shared()), Wire::open(shared()));
    a.tags("CREATE TABLE tx_seen (a int)");
    a.tags("BEGIN; INSERT INTO tx_seen VALUES (1)");
    assert_eq!(b.rows("SELECT count(*) FROM tx_seen"), [["0"]]);
    b.tags("BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(b.rows("SELECT count(*) FROM tx_seen"), [["0"]]);
    a.tags("COMMIT");
    assert_eq!(b.rows("SELECT count(*) FROM tx_seen"), [["0"]]);
    b.tags("COMMIT");
    assert_eq!(b.rows("SELECT count(*) FROM tx_seen"), [["1"]]);
}

#[test]
fn a_read_only_transaction_refuses_writes() {
    let mut w = Wire::open(shared());
    w.tags("CREATE TABLE tx_ro (a int)");
    w.tags("BEGIN READ ONLY");
    assert_eq!(
        w.failure("INSERT INTO tx_ro VALUES (1)"),
        ("25006".into(), "cannot execute INSERT in a read-only transaction".into())
    );
    w.tags("ROLLBACK");
    w.tags("BEGIN READ ONLY");
    assert_eq!(w.failure("CREATE TABLE tx_ro2 (a int)").0, "25006");
    w.tags("ROLLBACK");
}

#[test]
fn set_local_ends_with_its_transaction() {
    let mut w = Wire::open(shared());
    w.tags("BEGIN; SET LOCAL work_mem = '1MB'");
    assert_eq!(w.rows("SHOW work_mem"), [["1MB"]]);
    w.tags("COMMIT");
    assert_eq!(w.rows("SHOW work_mem"), [["4MB"]]);
    assert_eq!(
        w.rows("SELECT set_config('my.value', 'x', false), current_setting('my.value')"),
        [["x", "x"]]
    );
}

#[test]
fn the_isolation_level_is_set_before_the_first_query() {
    let mut w = Wire::open(shared());
    w.tags("BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(w.rows("SHOW transaction_isolation"), [["repeatable read"]]);
    w.rows("SELECT 1");
    assert_eq!(w.failure("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").0, "25001");
    w.tags("ROLLBACK");
    w.tags("BEGIN ISOLATION LEVEL SERIALIZABLE");
    assert_eq!(w.rows("SHOW transaction_isolation"), [["serializable"]]);
    w.tags("ROLLBACK");
}
