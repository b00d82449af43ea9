//! Constraints that rows meet: unique keys that wait for the other's outcome, NOT NULL, ON CONFLICT.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use curia_types::Datum;
use support::*;

#[tokio::test]
async fn an_insert_of_a_key_under_way_waits_and_fails_when_the_other_commits() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    for values in [row(1, 5, ""), row(7, 2, "")] {
        let (mut one, mut two) = (cluster.begin(), cluster.begin());
        one.insert(&t, &row(1, 2, "")).await.unwrap();
        let mut insert = Box::pin(two.insert(&t, &values));
        waits!(insert);
        one.commit().await.unwrap();
        let error = insert.await.unwrap_err();
        assert_eq!(code(&error), "23505");
        two.rollback();
        let mut undo = cluster.begin();
        delete(&mut undo, &t, 1).await.unwrap();
        undo.commit().await.unwrap();
    }
}

#[tokio::test]
async fn an_insert_of_a_key_under_way_goes_on_when_the_other_rolls_back() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    one.insert(&t, &row(1, 1, "one")).await.unwrap();
    let mut insert = Box::pin(async { two.insert(&t, &row(1, 2, "two")).await });
    waits!(insert);
    one.rollback();
    insert.await.unwrap();
    two.commit().await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 2, "two".into())]);
}

#[tokio::test]
async fn an_insert_waits_for_the_outcome_of_a_delete() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    cluster.fill(&t, &[(1, 1, "old")]).await;
    // The delete commits: the key is free. By primary key, then by the other unique index.
    for new in [(1, 7), (8, 7)] {
        let (mut one, mut two) = (cluster.begin(), cluster.begin());
        let (old, _, _) = cluster.rows(&t)[0].clone();
        delete(&mut one, &t, old).await.unwrap();
        let values = row(new.0, new.1, "new");
        let mut insert = Box::pin(async { two.insert(&t, &values).await });
        waits!(insert);
        one.commit().await.unwrap();
        insert.await.unwrap();
        two.commit().await.unwrap();
        assert_eq!(cluster.rows(&t), [(new.0, new.1, "new".into())]);
    }
    // The delete rolls back: the key is taken.
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    delete(&mut one, &t, 8).await.unwrap();
    let values = row(9, 7, "new");
    let mut insert = Box::pin(two.insert(&t, &values));
    waits!(insert);
    one.rollback();
    assert_eq!(code(&insert.await.unwrap_err()), "23505");
}

#[tokio::test]
async fn duplicate_keys_say_what_postgresql_says() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_b_key", 2, true)]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    let mut tx = cluster.begin();
    let error = tx.insert(&t, &row(1, 2, "y")).await.unwrap_err();
    assert_eq!(error.message(), "duplicate key value violates unique constraint \"t_pkey\"");
    let fields = error.fields();
    assert_eq!(fields.detail.as_deref(), Some("Key (id)=(1) already exists."));
    assert_eq!((fields.schema.as_deref(), fields.table.as_deref()), (Some("public"), Some("t")));
    assert_eq!(fields.constraint.as_deref(), Some("t_pkey"));
    let error = tx.insert(&t, &row(2, 2, "x")).await.unwrap_err();
    assert_eq!(error.message(), "duplicate key value violates unique constraint \"t_b_key\"");
    assert_eq!(error.fields().detail.as_deref(), Some("Key (b)=(x) already exists."));
}

#[tokio::test]
async fn nulls_are_distinct_in_a_unique_index() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    let mut tx = cluster.begin();
    for id in 1..4 {
        tx.insert(&t, &[Datum::Int4(id), Datum::Null, Datum::Null]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_null_in_a_not_null_column_shows_the_row() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    let error = tx.insert(&t, &[Datum::Null, Datum::Int4(5), Datum::text("x")]).await.unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        (
            "23502",
            "null value in column \"id\" of relation \"t\" violates not-null constraint"
        )
    );
    assert_eq!(error.fields().detail.as_deref(), Some("Failing row contains (null, 5, x)."));
    assert_eq!(error.fields().column.as_deref(), Some("id"));
}

#[tokio::test]
async fn a_transaction_may_delete_and_insert_the_same_key() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    let mut tx = cluster.begin();
    delete(&mut tx, &t, 1).await.unwrap();
    tx.insert(&t, &row(1, 1, "y")).await.unwrap();
    assert_eq!(code(&tx.insert(&t, &row(1, 2, "z")).await.unwrap_err()), "23505");
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 1, "y".into())]);
}

#[tokio::test]
async fn an_update_moves_a_row_to_its_new_key_and_its_entries_with_it() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_idx", 1, false), ("t_b_key", 2, true)]).await;
    cluster.fill(&t, &[(1, 10, "x"), (2, 20, "y")]).await;
    let mut tx = cluster.begin();
    let Locked::Row(old) = tx
        .lock_row(&t, &key(&t, 1), LockStrength::Update, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(
        code(&tx.update(&t, &key(&t, 1), &old, &row(2, 10, "x")).await.unwrap_err()),
        "23505"
    );
    tx.undo_statement();
    assert_eq!(
        code(&tx.update(&t, &key(&t, 1), &old, &row(1, 10, "y")).await.unwrap_err()),
        "23505"
    );
    tx.undo_statement();
    tx.update(&t, &key(&t, 1), &old, &row(3, 30, "x")).await.unwrap();
    tx.commit().await.unwrap();
    let tx = cluster.begin();
    assert_eq!(rows(&tx, &t), [(2, 20, "y".into()), (3, 30, "x".into())]);
    for index in t.indexes() {
        let mut scan = tx.view().scan(index.storage(), &KeyRange::all(), Direction::Forward);
        let mut found = Vec::new();
        while let Some((_, value)) = scan.next().unwrap() {
            let row_key = curia_txn::layout::entry_row_key(value).unwrap();
            found.push(tx.view().read(t.storage(), row_key, |r| decode(&t, r).0).unwrap().unwrap());
        }
        found.sort_unstable();
        assert_eq!(found, [2, 3], "every entry leads to a row");
    }
}

#[tokio::test]
async fn on_conflict_finds_the_existing_row_and_keeps_no_lock_on_it() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    let pkey = t.table().indexes[0].oid;
    let mut tx = cluster.begin();
    let got = tx.insert_unless_conflict(&t, &row(1, 5, "y"), &[]).await.unwrap();
    assert_eq!(
        got,
        Inserted::Conflict {
            row_key: key(&t, 1),
            own: false
        }
    );
    let got = tx.insert_unless_conflict(&t, &row(5, 1, "y"), &[]).await.unwrap();
    assert_eq!(
        got,
        Inserted::Conflict {
            row_key: key(&t, 1),
            own: false
        }
    );
    // Not an arbiter: an ordinary violation.
    assert_eq!(
        code(&tx.insert_unless_conflict(&t, &row(5, 1, "y"), &[pkey]).await.unwrap_err()),
        "23505"
    );
    assert!(matches!(
        tx.insert_unless_conflict(&t, &row(6, 6, "z"), &[pkey]).await.unwrap(),
        Inserted::Row(_)
    ));
    let got = tx.insert_unless_conflict(&t, &row(6, 7, "z"), &[pkey]).await.unwrap();
    assert_eq!(
        got,
        Inserted::Conflict {
            row_key: key(&t, 6),
            own: true
        },
        "the same statement inserted it"
    );
    let mut other = cluster.begin();
    let free = other
        .lock_row(&t, &key(&t, 1), LockStrength::Update, LockWait::SkipLocked, Seen::Newest)
        .await
        .unwrap();
    assert!(matches!(free, Locked::Row(_)));
}

#[tokio::test]
async fn on_conflict_waits_for_the_other_inserter() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    one.insert(&t, &row(1, 1, "one")).await.unwrap();
    let values = row(1, 2, "two");
    let mut insert = Box::pin(two.insert_unless_conflict(&t, &values, &[]));
    waits!(insert);
    one.commit().await.unwrap();
    assert_eq!(
        insert.await.unwrap(),
        Inserted::Conflict {
            row_key: key(&t, 1),
            own: false
        }
    );
}

#[tokio::test]
async fn on_conflict_under_repeatable_read_does_not_build_on_a_row_it_cannot_see() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut rr = cluster.begin_at(Isolation::RepeatableRead);
    cluster.fill(&t, &[(1, 1, "x")]).await;
    assert_eq!(
        code(&rr.insert_unless_conflict(&t, &row(1, 2, "y"), &[]).await.unwrap_err()),
        "40001"
    );
}

#[tokio::test]
async fn tables_without_a_key_hold_equal_rows_and_go_on_numbering_after_a_restart() {
    let cluster = Cluster::new().await;
    let mut tx = cluster.begin();
    let t = make_table(&mut tx, "t", false, &[]).await;
    for _ in 0..3 {
        tx.insert(&t, &row(1, 1, "x")).await.unwrap();
    }
    tx.commit().await.unwrap();
    let cluster = cluster.restart().await;
    let mut tx = cluster.begin();
    for _ in 0..3 {
        tx.insert(&t, &row(1, 1, "x")).await.unwrap();
    }
    assert_eq!(tx.locks_held(), 0, "nobody else can know the ids");
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t).len(), 6);
}
