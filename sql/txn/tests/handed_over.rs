//! Going on from commits that are under way: who may, what leaves when, and what becomes of all when one is lost.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use support::*;

async fn hot_row() -> (Cluster, TableLayout) {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, ""), (2, 0, "")]).await;
    cluster.direct.hold();
    (cluster, t)
}

/// `UPDATE t SET a = a + by WHERE id = id`, its commit handed over.
macro_rules! adding {
    ($cluster:expr, $t:expr, $id:expr, $by:expr) => {{
        let mut tx = $cluster.begin();
        add(&mut tx, $t, $id, $by).await.unwrap();
        let mut commit = Box::pin(tx.commit());
        waits!(commit);
        commit
    }};
}

fn a_of(cluster: &Cluster, t: &TableLayout, id: i32) -> i32 {
    get(&cluster.begin(), t, id).unwrap().1
}

#[tokio::test]
async fn an_update_goes_on_from_one_that_is_handed_over_and_commits_after_it() {
    let (cluster, t) = hot_row().await;
    let commits = [
        adding!(cluster, &t, 1, 1),
        adding!(cluster, &t, 1, 10),
        adding!(cluster, &t, 1, 100),
    ];
    assert_eq!(cluster.direct.waiting(), 3);
    assert_eq!(a_of(&cluster, &t, 1), 0, "nobody reads what is not applied");
    cluster.direct.let_go();
    let mut last = None;
    for commit in commits {
        let csn = commit.await.unwrap().csn;
        assert!(csn > last);
        last = csn;
    }
    assert_eq!(a_of(&cluster, &t, 1), 111);
}

#[tokio::test]
async fn one_that_waits_for_the_lock_goes_on_when_the_commit_is_handed_over() {
    let (cluster, t) = hot_row().await;
    let mut first = cluster.begin();
    add(&mut first, &t, 1, 1).await.unwrap();
    let mut second = cluster.begin();
    {
        let mut update = Box::pin(add(&mut second, &t, 1, 10));
        waits!(update);
        let mut commit = Box::pin(first.commit());
        waits!(commit);
        update.await.unwrap();
        cluster.direct.let_go();
        commit.await.unwrap();
    }
    second.commit().await.unwrap();
    assert_eq!(a_of(&cluster, &t, 1), 11);
}

#[tokio::test]
async fn what_comes_of_a_commit_under_way_is_not_said_before_it_is_applied() {
    let (cluster, t) = hot_row().await;
    let first = adding!(cluster, &t, 1, 1);
    let mut second = cluster.begin();
    assert!(second.is_settled());
    add(&mut second, &t, 1, 10).await.unwrap();
    assert!(!second.is_settled());
    {
        let mut settle = Box::pin(second.settle());
        waits!(settle);
        cluster.direct.decide_next(true);
        settle.await.unwrap();
    }
    assert!(second.is_settled());
    first.await.unwrap();
    // Its next statement reads it as any other does.
    second.start_statement();
    assert_eq!(get(&second, &t, 1).unwrap().1, 11);
    second.rollback();
    assert_eq!(a_of(&cluster, &t, 1), 1);
}

#[tokio::test]
async fn one_that_found_nothing_to_change_waits_too() {
    let (cluster, t) = hot_row().await;
    let first = adding!(cluster, &t, 1, 1);
    let mut second = cluster.begin();
    let seen = second
        .lock_row(&t, &key(&t, 1), LockStrength::NoKeyUpdate, LockWait::Block, Seen::Newest)
        .await
        .unwrap();
    let Locked::Row(seen) = seen else { panic!("{seen:?}") };
    assert_eq!(decode(&t, &seen).1, 1);
    let mut commit = Box::pin(second.commit());
    waits!(commit);
    cluster.direct.let_go();
    assert_eq!(commit.await.unwrap().csn, None);
    first.await.unwrap();
}

#[tokio::test]
async fn all_that_built_on_a_lost_commit_is_lost_with_it() {
    let (cluster, t) = hot_row().await;
    let first = adding!(cluster, &t, 1, 1);
    let second = adding!(cluster, &t, 1, 10);
    let mut third = cluster.begin();
    add(&mut third, &t, 1, 100).await.unwrap();
    let mut fourth = cluster.begin();
    fourth
        .lock_row(&t, &key(&t, 2), LockStrength::NoKeyUpdate, LockWait::Block, Seen::Newest)
        .await
        .unwrap();
    cluster.direct.decide_next(false);
    cluster.direct.let_go();
    assert_eq!(code(&first.await.unwrap_err()), "08007");
    assert_eq!(code(&second.await.unwrap_err()), "40001");
    assert_eq!(code(&third.settle().await.unwrap_err()), "40001");
    assert_eq!(code(&third.commit().await.unwrap_err()), "40001");
    fourth.commit().await.unwrap();
    assert_eq!(a_of(&cluster, &t, 1), 0);
    let mut later = cluster.begin();
    add(&mut later, &t, 1, 5).await.unwrap();
    assert!(later.is_settled());
    later.commit().await.unwrap();
    assert_eq!(a_of(&cluster, &t, 1), 5);
}

#[tokio::test]
async fn a_version_that_is_lost_is_not_built_on_while_an_older_one_is_under_way() {
    let (cluster, t) = hot_row().await;
    let lost = adding!(cluster, &t, 2, 1);
    let first = adding!(cluster, &t, 1, 1);
    let mut both = cluster.begin();
    add(&mut both, &t, 2, 10).await.unwrap();
    add(&mut both, &t, 1, 10).await.unwrap();
    let mut both = Box::pin(both.commit());
    waits!(both);
    cluster.direct.decide_next(false); // `lost`
    assert!(lost.await.is_err());
    // The one that built on it and on `first` is refused while `first` goes on.
    let mut third = cluster.begin();
    {
        let mut update = Box::pin(add(&mut third, &t, 1, 100));
        let refused = cluster.direct.refuse_last();
        assert_eq!(code(&both.await.unwrap_err()), "40001");
        assert_eq!(refused, 1);
        update.as_mut().await.unwrap();
    }
    let mut third = Box::pin(third.commit());
    waits!(third);
    cluster.direct.let_go();
    first.await.unwrap();
    third.await.unwrap();
    assert_eq!((a_of(&cluster, &t, 1), a_of(&cluster, &t, 2)), (101, 0));
}

#[tokio::test]
async fn a_session_that_is_late_to_learn_of_its_commit_hides_nobody_elses() {
    let (cluster, t) = hot_row().await;
    let late = adding!(cluster, &t, 1, 1);
    let second = adding!(cluster, &t, 1, 10);
    cluster.direct.let_go();
    second.await.unwrap();
    let mut third = cluster.begin();
    add(&mut third, &t, 1, 100).await.unwrap();
    third.commit().await.unwrap();
    late.await.unwrap();
    assert_eq!(a_of(&cluster, &t, 1), 111);
}

#[tokio::test]
async fn an_upsert_finds_the_row_without_waiting_for_those_who_update_it() {
    let (cluster, t) = hot_row().await;
    let first = adding!(cluster, &t, 1, 1);
    let tx = cluster.begin();
    assert_eq!(tx.row_in_the_way(&t, &row(1, 0, ""), &[]).unwrap(), Some(key(&t, 1)));
    assert_eq!(tx.row_in_the_way(&t, &row(3, 0, ""), &[]).unwrap(), None);
    let keeping = cluster.begin_at(Isolation::RepeatableRead);
    assert_eq!(keeping.row_in_the_way(&t, &row(1, 0, ""), &[]).unwrap(), None);
    cluster.direct.let_go();
    first.await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_session_left_is_built_on_like_any_other() {
    let (cluster, t) = hot_row().await;
    drop(adding!(cluster, &t, 1, 1));
    let second = adding!(cluster, &t, 1, 10);
    cluster.direct.let_go();
    second.await.unwrap();
    assert_eq!(a_of(&cluster, &t, 1), 11);
}

#[tokio::test]
async fn whoever_does_more_than_update_the_row_by_its_key_waits_as_ever() {
    let (cluster, t) = hot_row().await;
    let first = adding!(cluster, &t, 1, 1);
    let requests = [
        (LockStrength::Update, Seen::Newest, Isolation::ReadCommitted),
        (LockStrength::Share, Seen::Newest, Isolation::ReadCommitted),
        (LockStrength::NoKeyUpdate, Seen::Snapshot, Isolation::ReadCommitted),
        (LockStrength::NoKeyUpdate, Seen::Newest, Isolation::RepeatableRead),
        (LockStrength::NoKeyUpdate, Seen::Newest, Isolation::Serializable),
    ];
    for (strength, seen, isolation) in requests {
        let mut tx = cluster.begin_at(isolation);
        let got = tx.lock_row(&t, &key(&t, 1), strength, LockWait::NoWait, seen).await;
        assert_eq!(code(&got.unwrap_err()), "55P03", "{strength:?} {seen:?} {isolation:?}");
        let key = key(&t, 1);
        let mut wait = Box::pin(tx.lock_row(&t, &key, strength, LockWait::Block, seen));
        waits!(wait);
    }
    let mut insert = cluster.begin();
    let row = row(1, 0, "");
    {
        let mut insert = Box::pin(insert.insert(&t, &row));
        waits!(insert);
        cluster.direct.let_go();
        first.await.unwrap();
        assert_eq!(code(&insert.await.unwrap_err()), "23505");
    }
}

#[tokio::test]
async fn a_row_that_was_deleted_or_may_have_another_key_is_not_built_on() {
    let (cluster, t) = hot_row().await;
    let mut deleting = cluster.begin();
    assert!(delete(&mut deleting, &t, 1).await.unwrap());
    let mut deleting = Box::pin(deleting.commit());
    waits!(deleting);
    let mut second = cluster.begin();
    {
        let mut update = Box::pin(add(&mut second, &t, 1, 1));
        waits!(update);
        cluster.direct.let_go();
        deleting.await.unwrap();
        update.await.unwrap();
    }
    assert!(!second.has_writes());
}

#[tokio::test]
async fn those_behind_one_that_must_wait_wait_behind_it() {
    let (cluster, t) = hot_row().await;
    let first = adding!(cluster, &t, 1, 1);
    let (mut deleter, mut updater) = (cluster.begin(), cluster.begin());
    let mut deletes = Box::pin(delete(&mut deleter, &t, 1));
    waits!(deletes);
    let mut updates = Box::pin(add(&mut updater, &t, 1, 1));
    waits!(updates);
    cluster.direct.let_go();
    first.await.unwrap();
    assert!(deletes.await.unwrap());
    deleter.commit().await.unwrap();
    updates.await.unwrap();
    assert!(!updater.has_writes());
}
