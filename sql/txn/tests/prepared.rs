//! Prepared transactions: what they keep from others, and that they outlive their session, the server's start and its office.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use support::*;

fn what(identifier: &str) -> PreparedTransaction {
    PreparedTransaction {
        identifier: identifier.to_owned(),
        txid: 0,
        prepared_at: 0,
        owner: 10,
        database: 5,
    }
}

async fn lock(cluster: &Cluster, t: &TableLayout, row: i32) -> bool {
    let mut other = cluster.begin();
    let got = other
        .lock_row(t, &key(t, row), LockStrength::Update, LockWait::SkipLocked, Seen::Newest)
        .await;
    got.unwrap() != Locked::Skipped
}

async fn finish(cluster: &Cluster, identifier: &str, decision: Decision) -> Result<u64, curia_types::SqlError> {
    cluster.db.finish_prepared(identifier, decision, |_| Ok(())).await
}

#[tokio::test]
async fn what_is_prepared_is_seen_by_nobody_and_locked_until_it_is_committed() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    cluster.fill(&t, &[(1, 1, "one"), (2, 2, "two")]).await;
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 10).await.unwrap();
    tx.insert(&t, &row(3, 3, "three")).await.unwrap();
    tx.lock_table(t.table().oid, TableLock::RowExclusive, LockWait::Block)
        .await
        .unwrap();
    tx.prepare(what("g"), 5).await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 1, "one".into()), (2, 2, "two".into())]);
    assert!(!lock(&cluster, &t, 1).await && lock(&cluster, &t, 2).await);
    let mut ddl = cluster.begin();
    assert!(ddl.lock_table(t.table().oid, TableLock::Share, LockWait::NoWait).await.is_err());
    drop(ddl);
    finish(&cluster, "g", Decision::Commit).await.unwrap();
    assert_eq!(
        cluster.rows(&t),
        [(1, 11, "one".into()), (2, 2, "two".into()), (3, 3, "three".into())]
    );
    assert!(lock(&cluster, &t, 1).await);
    assert_eq!(code(&finish(&cluster, "g", Decision::Commit).await.unwrap_err()), "42704");
}

#[tokio::test]
async fn what_is_rolled_back_after_it_was_prepared_never_was() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "one")]).await;
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 10).await.unwrap();
    make_table(&mut tx, "made", false, &[]).await;
    tx.prepare(what("g"), 5).await.unwrap();
    finish(&cluster, "g", Decision::RollBack).await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 1, "one".into())]);
    assert!(lock(&cluster, &t, 1).await && cluster.db.prepared_transactions().is_empty());
    assert!(cluster.db.catalog().table(&["public".to_owned()], "made").is_none());
}

#[tokio::test]
async fn a_prepared_transaction_with_its_locks_survives_a_start() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_key", 1, true)]).await;
    cluster.fill(&t, &[(1, 1, "one"), (2, 2, "two")]).await;
    let mut tx = cluster.begin();
    tx.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    add(&mut tx, &t, 1, 10).await.unwrap();
    let made = make_table(&mut tx, "made", false, &[]).await;
    tx.insert(&made, &row(7, 7, "seven")).await.unwrap();
    tx.prepare(what("g"), 5).await.unwrap();
    let mut tx = cluster.begin();
    add(&mut tx, &t, 2, 5).await.unwrap();
    tx.prepare(what("h"), 5).await.unwrap();
    let before = cluster.db.prepared_transactions();
    drop(t);
    let cluster = cluster.restart().await;
    assert_eq!(cluster.db.prepared_transactions(), before);
    let path = ["public".to_owned()];
    let layout = |name: &str| TableLayout::new(cluster.db.catalog().table(&path, name).unwrap().clone(), "public").unwrap();
    let t = layout("t");
    assert!(!lock(&cluster, &t, 1).await && !lock(&cluster, &t, 2).await);
    let mut ddl = cluster.begin();
    assert!(
        ddl.lock_table(t.table().oid, TableLock::AccessExclusive, LockWait::NoWait)
            .await
            .is_err()
    );
    drop(ddl);
    finish(&cluster, "h", Decision::RollBack).await.unwrap();
    finish(&cluster, "g", Decision::Commit).await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 11, "one".into()), (2, 2, "two".into())]);
    let made = layout("made");
    cluster.fill(&made, &[(8, 8, "eight")]).await;
    assert_eq!(
        cluster.rows(&made),
        [(7, 7, "seven".into()), (8, 8, "eight".into())],
        "the hidden ids of prepared rows are given to nobody else"
    );
    let cluster = cluster.restart().await;
    assert!(cluster.db.prepared_transactions().is_empty());
}

#[tokio::test]
async fn identifiers_are_unique_and_limited() {
    let cluster = Cluster::new().await;
    let prepare = async |identifier: &str, limit| {
        let tx = cluster.begin();
        tx.prepare(what(identifier), limit).await.map_err(|e| code(&e))
    };
    assert_eq!(prepare("a", 0).await, Err("55000"));
    assert_eq!(prepare(&"x".repeat(200), 2).await, Err("22023"));
    assert_eq!(prepare("a", 2).await, Ok(()));
    assert_eq!(prepare("a", 2).await, Err("42710"));
    assert_eq!(prepare("b", 2).await, Ok(()));
    assert_eq!(prepare("c", 2).await, Err("53200"));
    finish(&cluster, "a", Decision::RollBack).await.unwrap();
    assert_eq!(prepare("c", 2).await, Ok(()));
}

#[tokio::test]
async fn a_serializable_transaction_that_has_written_is_not_prepared() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "one")]).await;
    let mut tx = cluster.begin_at(Isolation::Serializable);
    add(&mut tx, &t, 1, 10).await.unwrap();
    assert_eq!(code(&tx.prepare(what("g"), 5).await.unwrap_err()), "0A000");
    assert!(lock(&cluster, &t, 1).await && cluster.db.prepared_transactions().is_empty());
    let tx = cluster.begin_at(Isolation::Serializable);
    tx.prepare(what("g"), 5).await.unwrap();
}
