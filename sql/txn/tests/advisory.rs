//! Advisory locks, of sessions and of transactions, and what `pg_locks` shows of all locks.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use AdvisoryMode::{Exclusive, Shared};
use curia_txn::*;
use support::*;

/// Takes a lock for the transaction.
async fn lock(tx: &mut Transaction, n: i64, mode: AdvisoryMode, wait: LockWait) -> curia_types::Result<bool> {
    tx.advisory_lock(n.into(), mode, AdvisoryScope::Transaction, wait).await
}

fn try_session(tx: &Transaction, key: impl Into<AdvisoryKey>, mode: AdvisoryMode) -> bool {
    let db = tx.database();
    db.try_advisory_lock(tx.slot(), key.into(), mode, AdvisoryScope::Session).unwrap()
}

fn unlock(tx: &Transaction, key: impl Into<AdvisoryKey>, mode: AdvisoryMode) -> bool {
    tx.database().advisory_unlock(tx.slot(), key.into(), mode)
}

#[tokio::test]
async fn advisory_locks_are_shared_or_exclusive_and_take_part_in_deadlocks() {
    let cluster = Cluster::new().await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    assert!(lock(&mut one, 7, Shared, LockWait::NoWait).await.unwrap());
    assert!(lock(&mut two, 7, Shared, LockWait::NoWait).await.unwrap());
    assert!(!lock(&mut two, 7, Exclusive, LockWait::NoWait).await.unwrap());
    assert!(lock(&mut two, 8, Exclusive, LockWait::NoWait).await.unwrap());
    let mut waiting = Box::pin(lock(&mut one, 8, Exclusive, LockWait::Block));
    waits!(waiting);
    let error = lock(&mut two, 7, Exclusive, LockWait::Block).await.unwrap_err();
    assert_eq!(code(&error), "40P01");
    let detail = error.fields().detail.clone().unwrap();
    assert!(
        detail.contains("waits for ExclusiveLock on advisory lock [5,0,7,1]; blocked by process"),
        "{detail}"
    );
    drop(two);
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn a_session_keeps_its_locks_over_transactions_and_gives_them_back_as_often_as_it_took_them() {
    let cluster = Cluster::new().await;
    let session = cluster.session();
    let begin = || cluster.db.begin(&session, Options::default());
    let mut tx = begin();
    assert!(try_session(&tx, 1, Exclusive));
    assert!(try_session(&tx, 1, Exclusive));
    assert!(
        lock(&mut tx, 1, Exclusive, LockWait::NoWait).await.unwrap(),
        "it is never in its own way"
    );
    tx.rollback();
    let other = cluster.begin();
    assert!(!try_session(&other, 1, Shared));
    let tx = begin();
    assert!(!unlock(&tx, 1, Shared), "it holds none of this kind");
    assert!(unlock(&tx, 1, Exclusive));
    assert!(!try_session(&other, 1, Shared));
    assert!(unlock(&tx, 1, Exclusive));
    assert!(!unlock(&tx, 1, Exclusive), "a transaction's are not a session's to give back");
    assert!(try_session(&other, 1, Shared));
    assert!(try_session(&other, 2, Exclusive));
    assert!(!try_session(&tx, 2, Exclusive));
    cluster.db.advisory_unlock_all(other.slot());
    assert!(try_session(&tx, 1, Exclusive) && try_session(&tx, 2, Exclusive));
}

#[tokio::test]
async fn a_lock_taken_in_both_modes_is_given_back_mode_by_mode() {
    let cluster = Cluster::new().await;
    let (one, two) = (cluster.begin(), cluster.begin());
    assert!(try_session(&one, 1, Exclusive) && try_session(&one, 1, Shared));
    assert!(unlock(&one, 1, Exclusive));
    assert!(!try_session(&two, 1, Exclusive), "the shared one is still held");
    assert!(try_session(&two, 1, Shared));
    assert!(unlock(&one, 1, Shared) && try_session(&two, 1, Exclusive));
}

#[tokio::test]
async fn two_integers_are_another_key_than_one_bigint() {
    let cluster = Cluster::new().await;
    let (one, two) = (cluster.begin(), cluster.begin());
    assert!(try_session(&one, (0, 5), Exclusive));
    assert!(try_session(&two, 5, Exclusive));
    assert!(!try_session(&two, (0, 5), Exclusive));
    assert!(try_session(&two, -1, Exclusive) && !try_session(&one, -1, Exclusive));
}

#[tokio::test]
async fn a_cycle_of_asessions_lock_and_a_row_lock_is_a_deadlock() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    assert!(try_session(&one, 9, Exclusive));
    add(&mut two, &t, 1, 1).await.unwrap();
    let mut waiting = Box::pin(two.advisory_lock(9.into(), Exclusive, AdvisoryScope::Session, LockWait::Block));
    waits!(waiting);
    assert_eq!(code(&add(&mut one, &t, 1, 1).await.unwrap_err()), "40P01");
    assert!(unlock(&one, 9, Exclusive));
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn a_transaction_that_goes_on_without_its_session_keeps_its_advisory_locks_until_it_ends() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let session = cluster.session();
    let mut tx = cluster.db.begin(&session, Options::default());
    tx.start_statement();
    lock(&mut tx, 3, Exclusive, LockWait::NoWait).await.unwrap();
    assert!(try_session(&tx, 4, Exclusive));
    tx.insert(&t, &row(1, 1, "")).await.unwrap();
    cluster.direct.hold();
    let mut commit = Box::pin(tx.commit());
    waits!(commit);
    drop(commit);
    let other = cluster.begin();
    assert!(!try_session(&other, 3, Exclusive));
    cluster.direct.let_go();
    let finishing = cluster.db.finish_orphans();
    tokio::pin!(finishing);
    waits!(finishing);
    assert!(try_session(&other, 3, Exclusive));
    assert!(!try_session(&other, 4, Exclusive), "the session has not ended");
    cluster.db.advisory_unlock_all(&session);
    assert!(try_session(&other, 4, Exclusive));
}

fn shown(cluster: &Cluster, process: i32) -> Vec<(String, &'static str, bool)> {
    let mut rows: Vec<_> = cluster
        .db
        .list_locks()
        .into_iter()
        .filter(|l| l.process_id == Some(process))
        .map(|l| {
            let target = match l.target {
                LockTarget::Relation(_) => "relation".to_owned(),
                LockTarget::VirtualTransaction(_) => "virtualxid".to_owned(),
                LockTarget::Transaction(_) => "transactionid".to_owned(),
                LockTarget::Advisory(key) => format!("advisory {}.{}.{}", key.class, key.object, key.form),
            };
            (target, l.mode, l.granted)
        })
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn locks_held_and_awaited_are_listed_as_postgresql_shows_them() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    let sessions = (one.slot().clone(), two.slot().clone());
    let (first, second) = (one.slot().process_id(), two.slot().process_id());
    one.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    add(&mut one, &t, 1, 1).await.unwrap();
    assert!(try_session(&one, (1, 2), Shared));
    two.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    let mut waiting = Box::pin(add(&mut two, &t, 1, 1));
    waits!(waiting);
    assert_eq!(cluster.db.blocking_sessions(second), [first]);
    assert!(cluster.db.blocking_sessions(first).is_empty());
    let all = cluster.db.list_locks();
    let awaited = all.iter().find(|l| !l.granted).unwrap();
    assert!(awaited.waits_since.is_some());
    assert_eq!(
        awaited.target,
        LockTarget::Transaction(Some(one.txid().unwrap())),
        "it waits for the transaction that holds the row"
    );
    assert_eq!(
        shown(&cluster, first),
        [
            ("advisory 1.2.2".to_owned(), "ShareLock", true),
            ("relation".to_owned(), "RowExclusiveLock", true),
            ("transactionid".to_owned(), "ExclusiveLock", true),
            ("virtualxid".to_owned(), "ExclusiveLock", true),
        ]
    );
    assert_eq!(
        shown(&cluster, second),
        [
            ("relation".to_owned(), "RowExclusiveLock", true),
            ("transactionid".to_owned(), "ExclusiveLock", true),
            ("transactionid".to_owned(), "ShareLock", false),
            ("virtualxid".to_owned(), "ExclusiveLock", true),
        ]
    );
    one.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(shown(&cluster, first).len(), 1, "the session's advisory lock is left");
    two.rollback();
    // A strong lock moves what the other noted in its slot into the table; it is listed all the same.
    let mut two = cluster.db.begin(&sessions.1, Options::default());
    two.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    let mut three = cluster.begin();
    let third = three.slot().process_id();
    {
        let mut strong = Box::pin(three.lock_table(t.table().oid, TableLock::AccessExclusive, LockWait::Block));
        waits!(strong);
        assert_eq!(cluster.db.blocking_sessions(third), [second]);
        assert!(shown(&cluster, third).contains(&("relation".to_owned(), "AccessExclusiveLock", false)));
        assert!(shown(&cluster, second).contains(&("relation".to_owned(), "RowExclusiveLock", true)));
    }
    drop((two, three));
    assert!(shown(&cluster, second).is_empty() && shown(&cluster, third).is_empty());
}
