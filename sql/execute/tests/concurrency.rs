//! Two sessions at the same rows: READ COMMITTED acts on the newest version, REPEATABLE READ refuses.

mod support;

use curia_txn::Isolation;
use support::Server;

#[tokio::test]
async fn a_keyed_update_waits_and_adds_to_the_newest_value() {
    let server = Server::start().await;
    let (mut a, mut b) = (server.session(), server.session());
    a.sql("create table t (id int primary key, v int)").await;
    a.sql("insert into t values (1, 0)").await;
    a.begin().await;
    a.sql("update t set v = v + 1 where id = 1").await;
    let waiting = async {
        b.sql("update t set v = v + 10 where id = 1").await;
        b
    };
    let finishing = async {
        tokio::task::yield_now().await;
        a.commit().await;
        a
    };
    let (mut b, _) = tokio::join!(waiting, finishing);
    assert_eq!(b.sql("select v from t").await, "11");
}

#[tokio::test]
async fn a_scanning_update_that_was_blocked_runs_again_on_a_new_snapshot() {
    let server = Server::start().await;
    let (mut a, mut b) = (server.session(), server.session());
    a.sql("create table t (id int primary key, v int)").await;
    a.sql("insert into t values (1, 0), (2, 0), (3, 5)").await;
    a.begin().await;
    a.sql("update t set v = 5 where id = 2").await;
    let waiting = async {
        b.sql("update t set v = v + 1 where v < 5").await;
        b
    };
    let finishing = async {
        // The other gets to the lock meanwhile, or finds the row changed: both must end the same.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        a.commit().await;
        a
    };
    let (mut b, _) = tokio::join!(waiting, finishing);
    assert_eq!(b.sql("select id, v from t order by id").await, "1|1;2|5;3|5");
}

#[tokio::test]
async fn the_second_updater_fails_under_repeatable_read() {
    let server = Server::start().await;
    let (mut a, mut b) = (server.session(), server.session());
    a.sql("create table t (id int primary key, v int)").await;
    a.sql("insert into t values (1, 0)").await;
    b.isolation = Isolation::RepeatableRead;
    b.begin().await;
    assert_eq!(b.sql("select v from t where id = 1").await, "0");
    a.sql("update t set v = 1 where id = 1").await;
    assert_eq!(b.sql("select v from t where id = 1").await, "0");
    assert_eq!(
        b.error("update t set v = 2 where id = 1").await,
        "40001 could not serialize access due to concurrent update"
    );
}

#[tokio::test]
async fn a_statement_does_not_see_its_own_writes_but_the_next_one_does() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, v int)").await;
    s.begin().await;
    s.sql("insert into t values (1, 1), (2, 2)").await;
    assert_eq!(s.run("insert into t select id + 2, v from t", &[]).await.unwrap().affected, 2);
    assert_eq!(s.run("update t set id = id + 1", &[]).await.unwrap_err().code().as_str(), "23505");
    s.rollback().await;
    assert_eq!(s.sql("select count(*) from t").await, "0");
}

#[tokio::test]
async fn locked_rows_are_skipped_or_refused_as_asked() {
    let server = Server::start().await;
    let (mut a, mut b) = (server.session(), server.session());
    a.sql("create table t (id int primary key, v int)").await;
    a.sql("insert into t values (1, 0), (2, 0), (3, 0)").await;
    a.begin().await;
    assert_eq!(a.sql("select id from t where id = 1 for update").await, "1");
    assert_eq!(b.sql("select id from t order by id limit 1 for update skip locked").await, "2");
    assert_eq!(
        b.error("select id from t where id = 1 for update nowait").await,
        "55P03 could not obtain lock on row in relation \"t\""
    );
}
