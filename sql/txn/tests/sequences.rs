//! Sequences: no value twice, not even over a crash, and no waiting.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use support::*;

#[tokio::test]
async fn nextval_counts_and_currval_remembers_the_sessions_own() {
    let cluster = Cluster::new().await;
    let s = sequence(&cluster.db, 500);
    let (one, two) = (cluster.session(), cluster.session());
    let error = cluster.db.currval(&one, &s).unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("55000", "currval of sequence \"s\" is not yet defined in this session")
    );
    assert_eq!(code(&cluster.db.lastval(&one).unwrap_err()), "55000");
    assert_eq!(cluster.db.nextval(&one, &s).unwrap(), 1);
    assert_eq!(cluster.db.nextval(&two, &s).unwrap(), 2);
    assert_eq!(cluster.db.nextval(&one, &s).unwrap(), 3);
    assert_eq!(cluster.db.currval(&two, &s).unwrap(), 2);
    assert_eq!(cluster.db.lastval(&one).unwrap(), 3);
    assert_eq!(cluster.db.sequence_value(&s).unwrap(), (3, true));
}

#[tokio::test]
async fn after_a_restart_it_goes_on_behind_what_was_reserved() {
    let mut cluster = Cluster::new().await;
    let s = sequence(&cluster.db, 500);
    let mut last = 0;
    for count in [1, 31, 32, 33, 700] {
        let session = cluster.session();
        for _ in 0..count {
            let value = cluster.db.nextval(&session, &s).unwrap();
            assert!(value > last, "{value} after {last}");
            last = value;
        }
        drop(session);
        cluster = cluster.restart().await;
    }
    assert!(last < 4000, "gaps stay small: {last}");
}

#[tokio::test]
async fn a_transaction_that_only_drew_a_value_makes_it_durable_before_it_ends() {
    let cluster = Cluster::new().await;
    let s = sequence(&cluster.db, 500);
    let tx = cluster.begin();
    cluster.direct.hold();
    cluster.db.nextval(tx.slot(), &s).unwrap();
    let mut commit = Box::pin(tx.commit());
    waits!(commit);
    cluster.direct.let_go();
    assert_eq!(commit.await.unwrap().csn, None);
    // Now the reservation is durable, and drawing more costs no wait.
    let tx = cluster.begin();
    cluster.db.nextval(tx.slot(), &s).unwrap();
    cluster.direct.hold();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn bounds_end_a_sequence_or_turn_it_around() {
    let cluster = Cluster::new().await;
    let session = cluster.session();
    let mut s = sequence(&cluster.db, 500);
    s.max = 3;
    for expected in [1, 2, 3] {
        assert_eq!(cluster.db.nextval(&session, &s).unwrap(), expected);
    }
    let error = cluster.db.nextval(&session, &s).unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("2200H", "nextval: reached maximum value of sequence \"s\" (3)")
    );
    s.cycle = true;
    assert_eq!(cluster.db.nextval(&session, &s).unwrap(), 1);

    let mut down = sequence(&cluster.db, 501);
    (down.start, down.increment, down.min, down.max) = (-1, -2, -5, -1);
    let drawn: Vec<i64> = (0..3).map(|_| cluster.db.nextval(&session, &down).unwrap()).collect();
    assert_eq!(drawn, [-1, -3, -5]);
    let error = cluster.db.nextval(&session, &down).unwrap_err();
    assert_eq!(error.message(), "nextval: reached minimum value of sequence \"s\" (-5)");
}

#[tokio::test]
async fn setval_sets_and_survives() {
    let cluster = Cluster::new().await;
    let s = sequence(&cluster.db, 500);
    let session = cluster.session();
    cluster.db.setval(&session, &s, 100, true).unwrap();
    assert_eq!(cluster.db.currval(&session, &s).unwrap(), 100);
    assert_eq!(cluster.db.nextval(&session, &s).unwrap(), 101);
    cluster.db.setval(&session, &s, 50, false).unwrap();
    let error = cluster.db.setval(&session, &s, 0, true).unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        (
            "22003",
            "setval: value 0 is out of bounds for sequence \"s\" (1..9223372036854775807)"
        )
    );
    drop(session);
    let cluster = cluster.restart().await;
    assert_eq!(cluster.db.nextval(&cluster.session(), &s).unwrap(), 50);
}
