//! Savepoints: what undoing takes back, and what it leaves.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use support::*;

#[tokio::test]
async fn savepoints_nest_and_undo_to_where_they_were_set() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    let mut tx = cluster.begin();
    let ids = |tx: &mut Transaction| {
        tx.start_statement();
        rows(tx, &t).iter().map(|r| r.0).collect::<Vec<_>>()
    };
    tx.insert(&t, &row(1, 1, "")).await.unwrap();
    tx.savepoint("a");
    tx.start_statement();
    tx.insert(&t, &row(2, 2, "")).await.unwrap();
    tx.savepoint("b");
    tx.start_statement();
    tx.insert(&t, &row(3, 3, "")).await.unwrap();
    delete(&mut tx, &t, 1).await.unwrap();
    assert_eq!(ids(&mut tx), [2, 3]);
    tx.rollback_to_savepoint("b").unwrap();
    assert_eq!(ids(&mut tx), [1, 2]);
    tx.insert(&t, &row(4, 3, "")).await.unwrap(); // the unique value of row 3 is free again
    tx.rollback_to_savepoint("b").unwrap(); // a savepoint can be used again
    assert_eq!(ids(&mut tx), [1, 2]);
    tx.rollback_to_savepoint("a").unwrap();
    assert_eq!(ids(&mut tx), [1]);
    let error = tx.rollback_to_savepoint("b").unwrap_err();
    assert_eq!((code(&error), error.message()), ("3B001", "savepoint \"b\" does not exist"));
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 1, String::new())]);
}

#[tokio::test]
async fn release_keeps_what_was_written_and_lets_the_outer_savepoint_undo_it() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    tx.savepoint("a");
    tx.savepoint("b");
    tx.start_statement();
    tx.insert(&t, &row(1, 1, "")).await.unwrap();
    tx.release_savepoint("b").unwrap();
    tx.start_statement();
    assert_eq!(rows(&tx, &t).len(), 1);
    tx.rollback_to_savepoint("a").unwrap();
    tx.start_statement();
    assert_eq!(rows(&tx, &t).len(), 0);
    assert!(!tx.has_writes());
    assert_eq!(tx.commit().await.unwrap().csn, None, "nothing is left to commit");
}

#[tokio::test]
async fn the_newest_of_two_savepoints_of_one_name_counts() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    tx.savepoint("a");
    tx.start_statement();
    tx.insert(&t, &row(1, 1, "")).await.unwrap();
    tx.savepoint("a");
    tx.start_statement();
    tx.insert(&t, &row(2, 2, "")).await.unwrap();
    tx.rollback_to_savepoint("a").unwrap();
    tx.start_statement();
    assert_eq!(rows(&tx, &t).len(), 1);
    tx.release_savepoint("a").unwrap();
    tx.rollback_to_savepoint("a").unwrap();
    tx.start_statement();
    assert_eq!(rows(&tx, &t).len(), 0);
}

#[tokio::test]
async fn an_update_of_one_row_in_many_levels_comes_back_level_by_level() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_idx", 1, false)]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let mut tx = cluster.begin();
    for level in 1..=50 {
        tx.savepoint(&level.to_string());
        add(&mut tx, &t, 1, 1).await.unwrap();
        add(&mut tx, &t, 1, 1).await.unwrap();
    }
    for level in (1..=50).rev() {
        tx.start_statement();
        assert_eq!(get(&tx, &t, 1).unwrap().1, 2 * level);
        tx.rollback_to_savepoint(&level.to_string()).unwrap();
    }
    tx.start_statement();
    assert_eq!(get(&tx, &t, 1).unwrap().1, 0);
    assert!(!tx.has_writes());
}

#[tokio::test]
async fn rolling_back_to_a_savepoint_gives_back_the_locks_taken_since() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, ""), (2, 0, ""), (3, 0, "")]).await;
    let mut tx = cluster.begin();
    tx.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    let lock = async |tx: &mut Transaction, row: i32, strength| {
        let got = tx.lock_row(&t, &key(&t, row), strength, LockWait::SkipLocked, Seen::Snapshot).await;
        got.unwrap() != Locked::Skipped
    };
    assert!(lock(&mut tx, 1, LockStrength::KeyShare).await && lock(&mut tx, 2, LockStrength::Update).await);
    tx.savepoint("a");
    assert!(lock(&mut tx, 1, LockStrength::Update).await && lock(&mut tx, 3, LockStrength::Update).await);
    tx.lock_table(t.table().oid, TableLock::Share, LockWait::Block).await.unwrap();
    let mut other = cluster.begin();
    for row in [1, 2, 3] {
        assert!(!lock(&mut other, row, LockStrength::KeyShare).await);
    }
    tx.rollback_to_savepoint("a").unwrap();
    assert!(lock(&mut other, 3, LockStrength::Update).await, "it was locked after the savepoint");
    assert!(
        !lock(&mut other, 2, LockStrength::KeyShare).await,
        "it was locked before the savepoint"
    );
    assert!(
        !lock(&mut other, 1, LockStrength::Update).await,
        "the weaker lock from before the savepoint is left"
    );
    assert!(lock(&mut other, 1, LockStrength::NoKeyUpdate).await);
    let oid = t.table().oid;
    assert!(
        other.lock_table(oid, TableLock::RowExclusive, LockWait::NoWait).await.is_ok(),
        "SHARE is gone"
    );
    assert!(
        other.lock_table(oid, TableLock::Share, LockWait::NoWait).await.is_err(),
        "ROW EXCLUSIVE is left"
    );
    tx.commit().await.unwrap();
    assert!(lock(&mut other, 2, LockStrength::Update).await);
}

#[tokio::test]
async fn a_table_lock_that_replaced_row_locks_outlives_the_savepoint_after_which_it_was_taken() {
    let cluster = Cluster::with(|limits| limits.row_locks = 2).await;
    let t = cluster.table("t", &[]).await;
    let rows: Vec<(i32, i32, &str)> = (1..6).map(|n| (n, 0, "")).collect();
    cluster.fill(&t, &rows).await;
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 1).await.unwrap();
    tx.savepoint("a");
    for n in 2..5 {
        add(&mut tx, &t, n, 1).await.unwrap();
    }
    tx.rollback_to_savepoint("a").unwrap();
    let mut other = cluster.begin();
    let oid = t.table().oid;
    assert!(
        other.lock_table(oid, TableLock::RowExclusive, LockWait::NoWait).await.is_err(),
        "row 1 is still locked"
    );
    tx.commit().await.unwrap();
    assert!(other.lock_table(oid, TableLock::RowExclusive, LockWait::NoWait).await.is_ok());
}

#[tokio::test]
async fn catalog_changes_are_undone_with_the_rest() {
    let cluster = Cluster::new().await;
    let mut tx = cluster.begin();
    make_table(&mut tx, "kept", true, &[]).await;
    tx.savepoint("a");
    let gone = make_table(&mut tx, "gone", true, &[]).await;
    tx.start_statement();
    tx.insert(&gone, &row(1, 1, "")).await.unwrap();
    let path = ["public".to_owned()];
    assert!(tx.catalog().table(&path, "gone").is_some());
    tx.rollback_to_savepoint("a").unwrap();
    assert!(tx.catalog().table(&path, "gone").is_none());
    assert!(tx.catalog().table(&path, "kept").is_some());
    tx.commit().await.unwrap();
    assert!(cluster.db.catalog().table(&path, "kept").is_some());
    assert!(cluster.db.catalog().table(&path, "gone").is_none());
}

/// Rows that fit into memory once fit however often they are rewritten, and whatever a savepoint could undo to.
#[tokio::test]
async fn rewriting_rows_under_savepoints_takes_no_more_room() {
    let cluster = Cluster::with(|limits| limits.memory_bytes = 20_000).await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "one"), (2, 0, "two")]).await;
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 1).await.unwrap();
    tx.savepoint("outer");
    for round in 0..1_000 {
        add(&mut tx, &t, 1, 1).await.unwrap();
        tx.savepoint("inner");
        add(&mut tx, &t, 1, 1).await.unwrap();
        add(&mut tx, &t, 2, 1).await.unwrap();
        if round % 3 == 0 {
            tx.rollback_to_savepoint("inner").unwrap();
            add(&mut tx, &t, 1, 1).await.unwrap();
            add(&mut tx, &t, 2, 1).await.unwrap();
        }
        tx.release_savepoint("inner").unwrap();
    }
    tx.start_statement();
    assert_eq!(rows(&tx, &t), [(1, 2_001, "one".into()), (2, 1_000, "two".into())]);
    assert_eq!(
        cluster.direct.stages.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "it stays in memory"
    );
    tx.rollback_to_savepoint("outer").unwrap();
    tx.start_statement();
    assert_eq!(rows(&tx, &t), [(1, 1, "one".into()), (2, 0, "two".into())]);
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 1, "one".into()), (2, 0, "two".into())]);
}
