//! Locks as clients see and take them: advisory locks, `pg_locks`, `pg_blocking_pids`; and the views of a session's own objects.

use crate::server::shared;
use crate::wire::{Wire, bind, execute, kinds, parse, sync};
use std::time::{Duration, Instant};

/// A value that one query gives.
pub fn one(w: &mut Wire, sql: &str) -> String {
    let rows = w.rows(sql);
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0][0].clone()
}

/// Waits until a session waits for a lock.
pub fn until_waiting(w: &mut Wire, process: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while one(w, &format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = {process}")) == "0" {
        assert!(Instant::now() < end, "process {process} does not wait");
    }
}

#[test]
fn a_sessions_advisory_lock_outlives_transactions_and_ends_with_the_session() {
    let (mut first, mut two) = (Wire::open(shared()), Wire::open(shared()));
    first.query("BEGIN");
    assert_eq!(one(&mut first, "SELECT pg_advisory_lock(101)"), "");
    first.query("ROLLBACK");
    assert_eq!(one(&mut two, "SELECT pg_try_advisory_lock(101)"), "f");
    assert_eq!(one(&mut two, "SELECT pg_try_advisory_lock_shared(101)"), "f");
    assert_eq!(
        one(&mut two, "SELECT pg_try_advisory_lock(0, 101)"),
        "t",
        "two integers are another key"
    );
    assert_eq!(
        two.rows(
            "SELECT classid, objid, objsubid, mode, granted FROM pg_locks WHERE locktype = 'advisory' AND objid = 101 ORDER BY objsubid"
        ),
        [["0", "101", "1", "ExclusiveLock", "t"], ["0", "101", "2", "ExclusiveLock", "t"]]
    );
    let process = one(&mut two, "SELECT pg_backend_pid()");
    two.send('Q', b"SELECT pg_advisory_lock(101), 'mine'\0");
    let mut three = Wire::open(shared());
    until_waiting(&mut three, &process);
    let holder = one(&mut first, "SELECT pg_backend_pid()");
    assert_eq!(
        one(&mut three, &format!("SELECT pg_blocking_pids({process})")),
        format!("{{{holder}}}")
    );
    drop(first);
    let answer = two.until_ready();
    assert_eq!(kinds(&answer), "TDCZ");
    assert_eq!(answer[1].texts(), ["", "mine"]);
    assert_eq!(one(&mut two, "SELECT pg_advisory_unlock(101)"), "t");
    assert_eq!(one(&mut two, "SELECT pg_advisory_unlock_all()"), "");
    assert_eq!(one(&mut three, "SELECT pg_try_advisory_lock(101)"), "t");
    assert_eq!(one(&mut three, "SELECT pg_try_advisory_lock(0, 101)"), "t");
}

#[test]
fn giving_back_what_is_not_held_is_false_and_warned_of() {
    let mut w = Wire::open(shared());
    let answer = w.query("SELECT pg_advisory_unlock(102)");
    let warning = answer.iter().find(|m| m.kind == 'N').expect("a warning");
    let fields = warning.fields();
    assert_eq!(
        (fields[&'C'].as_str(), fields[&'M'].as_str()),
        ("01000", "you don't own a lock of type ExclusiveLock")
    );
    assert_eq!(one(&mut w, "SELECT pg_advisory_unlock_shared(102)"), "f");
    assert_eq!(one(&mut w, "SELECT pg_advisory_lock(NULL) IS NULL"), "t");
}

#[test]
fn a_statement_that_waits_takes_each_lock_once_and_gives_each_back_once() {
    let (mut first, mut two, mut three) = (Wire::open(shared()), Wire::open(shared()), Wire::open(shared()));
    one(&mut first, "SELECT pg_advisory_lock(203)");
    one(&mut two, "SELECT pg_advisory_lock(204)");
    let process = one(&mut two, "SELECT pg_backend_pid()");
    two.send(
        'Q',
        b"SELECT n, pg_advisory_lock(200 + n), pg_advisory_unlock(204) FROM generate_series(1, 4) AS g(n) WHERE n < 4\0",
    );
    until_waiting(&mut three, &process);
    assert_eq!(
        one(&mut three, "SELECT pg_try_advisory_lock(201)"),
        "f",
        "it holds what it got while it waits"
    );
    one(&mut first, "SELECT pg_advisory_unlock(203)");
    let rows: Vec<Vec<String>> = two.until_ready().iter().filter(|m| m.kind == 'D').map(|m| m.texts()).collect();
    assert_eq!(rows, [["1", "", "t"], ["2", "", "f"], ["3", "", "f"]]);
    for n in 201..=203 {
        assert_eq!(one(&mut two, &format!("SELECT pg_advisory_unlock({n})")), "t");
        assert_eq!(one(&mut two, &format!("SELECT pg_advisory_unlock({n})")), "f", "{n} was taken once");
    }
    assert_eq!(one(&mut three, "SELECT pg_try_advisory_lock(204)"), "t");
}

#[test]
fn advisory_locks_of_a_transaction_end_with_it_and_waits_end_by_lock_timeout_and_deadlock() {
    let (mut first, mut two) = (Wire::open(shared()), Wire::open(shared()));
    first.query("BEGIN; SELECT pg_advisory_xact_lock(301)");
    two.query("BEGIN");
    assert_eq!(one(&mut two, "SELECT pg_try_advisory_xact_lock_shared(301)"), "f");
    two.query("SET LOCAL lock_timeout = '20ms'");
    assert_eq!(two.failure("SELECT pg_advisory_xact_lock(301)").0, "55P03");
    two.query("ROLLBACK; BEGIN; SELECT pg_advisory_xact_lock(302)");
    let process = one(&mut two, "SELECT pg_backend_pid()");
    two.send('Q', b"SELECT pg_advisory_xact_lock(301)\0");
    let mut three = Wire::open(shared());
    until_waiting(&mut three, &process);
    assert_eq!(first.failure("SELECT pg_advisory_lock(302)").0, "40P01");
    assert_eq!(kinds(&two.until_ready()), "TDCZ");
    two.query("COMMIT");
    assert_eq!(one(&mut three, "SELECT pg_try_advisory_lock(301)"), "t");
    assert_eq!(one(&mut three, "SELECT pg_try_advisory_lock(302)"), "t");
}

#[test]
fn a_writer_that_waits_inside_an_insert_inserts_once() {
    let (mut first, mut two, mut three) = (Wire::open(shared()), Wire::open(shared()), Wire::open(shared()));
    first.query("CREATE TABLE advised (id int)");
    one(&mut first, "SELECT pg_advisory_lock(402)");
    let process = one(&mut two, "SELECT pg_backend_pid()");
    two.send(
        'Q',
        b"INSERT INTO advised SELECT n FROM generate_series(1, 3) AS g(n) WHERE pg_advisory_xact_lock(400 + n) IS NOT NULL\0",
    );
    until_waiting(&mut three, &process);
    one(&mut first, "SELECT pg_advisory_unlock(402)");
    assert_eq!(two.until_ready()[0].tag(), "INSERT 0 3");
    assert_eq!(first.rows("SELECT id FROM advised ORDER BY id"), [["1"], ["2"], ["3"]]);
}

#[test]
fn row_and_table_locks_are_listed() {
    let (mut first, mut two, mut three) = (Wire::open(shared()), Wire::open(shared()), Wire::open(shared()));
    first.query("CREATE TABLE listed (id int PRIMARY KEY, v int); INSERT INTO listed VALUES (1, 0)");
    first.query("BEGIN; UPDATE listed SET v = 1 WHERE id = 1");
    let (holder, waiter) = (one(&mut first, "SELECT pg_backend_pid()"), one(&mut two, "SELECT pg_backend_pid()"));
    two.send('Q', b"UPDATE listed SET v = 2 WHERE id = 1\0");
    until_waiting(&mut three, &waiter);
    assert_eq!(
        three.rows(&format!(
            "SELECT pid, mode, granted FROM pg_locks WHERE relation = 'listed'::regclass AND pid IN ({holder}, {waiter}) ORDER BY pid"
        )),
        [[&holder, "RowExclusiveLock", "t"], [&waiter, "RowExclusiveLock", "t"]]
    );
    assert_eq!(
        three.rows(&format!(
            "SELECT b.pid, w.mode FROM pg_locks w JOIN pg_locks b ON b.transactionid = w.transactionid AND b.granted
             WHERE NOT w.granted AND w.pid = {waiter}"
        )),
        [[&holder, "ShareLock"]]
    );
    first.query("COMMIT");
    assert_eq!(two.until_ready()[0].tag(), "UPDATE 1");
    assert_eq!(
        three.rows(&format!("SELECT count(*) FROM pg_locks WHERE pid IN ({holder}, {waiter})")),
        [["0"]]
    );
}

#[test]
fn a_session_lists_its_prepared_statements_and_cursors() {
    let mut w = Wire::open(shared());
    w.query("PREPARE p(int, text) AS SELECT $1, $2");
    w.bytes(&parse("named", "SELECT $1::int8"));
    w.bytes(&sync());
    w.until_ready();
    assert_eq!(
        w.rows("SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY name"),
        [
            ["named", "SELECT $1::int8", "{bigint}", "f"],
            ["p", "PREPARE p(int, text) AS SELECT $1, $2", "{integer,text}", "t"]
        ]
    );
    assert_eq!(w.rows("SELECT name FROM pg_cursors").len(), 0);
    w.query("BEGIN");
    w.query("DECLARE c CURSOR FOR SELECT 1");
    w.bytes(&[bind("portal", "named", &[Some("7")]), sync()].concat());
    w.until_ready();
    assert_eq!(
        w.rows(
            "SELECT name, statement, is_holdable, is_binary, creation_time <= now() + interval '1 minute' FROM pg_cursors ORDER BY name"
        ),
        [
            ["c", "DECLARE c CURSOR FOR SELECT 1", "f", "f", "t"],
            ["portal", "SELECT $1::int8", "f", "f", "t"]
        ]
    );
    w.bytes(&[execute("portal", 0), sync()].concat());
    w.until_ready();
    w.query("COMMIT; DEALLOCATE ALL");
    assert_eq!(
        w.rows("SELECT name FROM pg_cursors UNION ALL SELECT name FROM pg_prepared_statements")
            .len(),
        0
    );
}

#[test]
fn where_a_statement_cannot_run_again_a_lock_that_is_not_free_is_refused() {
    let (mut holder, mut w) = (Wire::open(shared()), Wire::open(shared()));
    one(&mut holder, "SELECT pg_advisory_lock(501)");
    assert_eq!(w.failure("EXPLAIN ANALYZE SELECT pg_advisory_lock(501)").0, "0A000");
    assert_eq!(w.failure("SELECT 1/0").0, "22012", "it is forgotten then");
    one(&mut holder, "SELECT pg_advisory_unlock(501)");
    assert_eq!(one(&mut w, "SELECT count(pg_advisory_lock(501)) FROM generate_series(1, 3)"), "3");
    for _ in 0..3 {
        assert_eq!(one(&mut w, "SELECT pg_advisory_unlock(501)"), "t");
    }
    assert_eq!(one(&mut holder, "SELECT pg_try_advisory_lock(501)"), "t");
}

#[test]
fn a_session_whose_client_takes_nothing_can_be_terminated() {
    let (mut deaf, mut other) = (Wire::open(shared()), Wire::open(shared()));
    let process = one(&mut deaf, "SELECT pg_backend_pid()");
    deaf.send('Q', b"SELECT repeat('x', 100000) FROM generate_series(1, 1000)\0");
    // By then it waits until its client takes the rows.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(one(&mut other, &format!("SELECT pg_terminate_backend({process})")), "t");
    let end = Instant::now() + Duration::from_secs(20);
    while one(&mut other, &format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {process}")) == "1" {
        assert!(Instant::now() < end, "process {process} is still there");
    }
}

#[test]
fn activity_says_what_a_session_waits_for() {
    let (mut holder, mut watcher) = (Wire::open(shared()), Wire::open(shared()));
    holder.query("CREATE TABLE awaited (a int PRIMARY KEY); INSERT INTO awaited VALUES (1)");
    holder.query("BEGIN; UPDATE awaited SET a = 1; SELECT pg_advisory_xact_lock(601)");
    let waiting = |sql: &str| {
        let mut w = Wire::open(shared());
        let process = one(&mut w, "SELECT pg_backend_pid()");
        w.send('Q', format!("{sql}\0").as_bytes());
        (w, process)
    };
    let mut sees = |process: &str, expected: &str| {
        let ask = format!("SELECT concat_ws(' ', state, wait_event_type, wait_event) FROM pg_stat_activity WHERE pid = {process}");
        let end = Instant::now() + Duration::from_secs(20);
        while one(&mut watcher, &ask) != expected {
            assert!(Instant::now() < end, "{expected}: {}", one(&mut watcher, &ask));
        }
    };
    let (mut first, one_waits) = waiting("UPDATE awaited SET a = 1");
    sees(&one_waits, "active Lock transactionid");
    let (mut second, two_waits) = waiting("UPDATE awaited SET a = 1");
    sees(&two_waits, "active Lock tuple");
    let (mut third, three_waits) = waiting("BEGIN; LOCK TABLE awaited; COMMIT");
    sees(&three_waits, "active Lock relation");
    let (mut fourth, four_waits) = waiting("SELECT pg_advisory_lock(601)");
    sees(&four_waits, "active Lock advisory");
    let (mut fifth, sleeps) = waiting("SELECT pg_sleep(0.5)");
    sees(&sleeps, "active Timeout PgSleep");
    holder.query("COMMIT");
    for w in [&mut first, &mut second, &mut third, &mut fourth, &mut fifth] {
        w.until_ready();
    }
    sees(&sleeps, "idle Client ClientRead");
    // A prepared statement shows its own text, whatever ran in between.
    let mut w = Wire::open(shared());
    let process = one(&mut w, "SELECT pg_backend_pid()");
    w.bytes(&[parse("again", "SELECT 'again'"), sync()].concat());
    w.until_ready();
    w.query("BEGIN");
    w.bytes(&[bind("", "again", &[]), execute("", 0), sync()].concat());
    w.until_ready();
    let ask = format!("SELECT state, query FROM pg_stat_activity WHERE pid = {process}");
    assert_eq!(holder.rows(&ask), [["idle in transaction", "SELECT 'again'"]]);
}

#[test]
fn workers_of_a_queue_take_every_job_once() {
    const JOBS: usize = 120;
    let mut w = Wire::open(shared());
    w.query("CREATE TABLE queue (id int PRIMARY KEY, tries int NOT NULL DEFAULT 0)");
    w.query(&format!("INSERT INTO queue SELECT generate_series(1, {JOBS})"));
    let take = "DELETE FROM queue WHERE id = (SELECT id FROM queue ORDER BY tries, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id";
    let give_back = "WITH one AS (SELECT id FROM queue ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) UPDATE queue SET tries = tries + 1 FROM one WHERE queue.id = one.id";
    let worker = || {
        let (mut w, mut taken) = (Wire::open(shared()), Vec::new());
        while one(&mut w, "SELECT count(*) FROM queue") != "0" {
            w.rows(give_back);
            w.query("BEGIN");
            let rows = w.rows(take);
            assert!(rows.len() <= 1);
            // One in four fails, and somebody else takes its job.
            let fails = taken.len() % 4 == 3 && taken.len() < JOBS / 8;
            w.query(if fails { "ROLLBACK" } else { "COMMIT" });
            if fails {
                w.rows("SELECT pg_sleep(0.01)");
                taken.push(0);
            } else {
                taken.extend(rows.iter().map(|row| row[0].parse::<usize>().unwrap()));
            }
        }
        taken
    };
    let mut all: Vec<usize> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).filter(|id| *id != 0).collect()
    });
    all.sort_unstable();
    assert_eq!(all, (1..=JOBS).collect::<Vec<_>>());
}
