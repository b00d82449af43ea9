//! Transactions that read without the consul's locks: on a server that follows, and as of the past.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_catalog::{Change, Class};
use curia_consensus::ids::Csn;
use curia_txn::*;
use curia_types::SqlState;
use support::*;

fn away(db: &std::sync::Arc<Database>, isolation: Isolation) -> Transaction {
    let options = Options {
        isolation,
        ..Options::default()
    };
    let mut tx = db.begin_away(&db.session(1), options);
    tx.stand().unwrap();
    tx.start_statement();
    tx
}

fn path() -> Vec<String> {
    vec!["public".to_owned()]
}

#[tokio::test]
async fn a_server_that_follows_reads_tables_that_came_with_the_log() {
    let cluster = Cluster::new().await;
    let following = cluster.following().await;
    let before = away(&following, Isolation::ReadCommitted);
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    assert!(before.catalog().table(&path(), "t").is_none(), "its snapshot is from before");
    let after = away(&following, Isolation::ReadCommitted);
    assert!(after.catalog().table(&path(), "t").is_some());
    assert_eq!(rows(&after, &t).len(), 1);
    assert!(after.read_only() && !following.serves());
}

#[tokio::test]
async fn a_snapshot_keeps_the_catalog_of_its_csn() {
    let cluster = Cluster::new().await;
    let following = cluster.following().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    let mut kept = away(&following, Isolation::RepeatableRead);
    let mut moving = away(&following, Isolation::ReadCommitted);
    let mut tx = cluster.begin();
    tx.change_catalog(Change::drop(Class::Table, t.table().oid)).unwrap();
    tx.drop_storage(t.storage()).unwrap();
    tx.commit().await.unwrap();
    for tx in [&mut kept, &mut moving] {
        tx.stand().unwrap();
        tx.start_statement();
    }
    assert!(kept.catalog().table(&path(), "t").is_some());
    assert_eq!(rows(&kept, &t).len(), 1);
    assert!(moving.catalog().table(&path(), "t").is_none());
    // What is kept for the reader is not collected on its server.
    following.collect_garbage().unwrap();
    assert_eq!(rows(&kept, &t).len(), 1);
}

#[tokio::test]
async fn the_past_is_read_with_the_catalog_that_it_had() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "old")]).await;
    let then = cluster.direct.applied();
    cluster.fill(&t, &[(2, 2, "new")]).await;
    let mut tx = cluster.begin();
    tx.change_catalog(Change::drop(Class::Table, t.table().oid)).unwrap();
    tx.drop_storage(t.storage()).unwrap();
    tx.commit().await.unwrap();
    for db in [&cluster.db, &cluster.following().await] {
        let mut past = db.begin(&db.session(1), Options::default());
        past.stand_at(then).unwrap();
        past.start_statement();
        assert_eq!(rows(&past, &t), [(1, 1, "old".to_owned())]);
        assert!(past.catalog().table(&path(), "t").is_some());
        assert!(past.read_only());
        assert_eq!(past.set_read_only(false).unwrap_err().code(), SqlState::READ_ONLY_SQL_TRANSACTION);
        let mut earlier = db.begin(&db.session(2), Options::default());
        earlier.stand_at(Csn(1)).unwrap();
        assert!(earlier.catalog().table(&path(), "t").is_none(), "it was not made yet");
        assert!(!db.catalog().tables.contains_key(&t.table().oid), "what is published is of now");
    }
}

#[tokio::test]
async fn a_past_that_is_not_kept_or_not_there_yet_is_refused() {
    let cluster = Cluster::with(|limits| limits.retention_csns = 0).await;
    let t = cluster.table("t", &[]).await;
    let then = cluster.direct.applied();
    let mut reader = cluster.begin_at(Isolation::ReadCommitted);
    let mut held = cluster.db.begin(&cluster.session(), Options::default());
    held.stand_at(then).unwrap();
    for n in 0..5 {
        cluster.fill(&t, &[(n, n, "x")]).await;
    }
    reader.start_statement();
    cluster.db.collect_garbage().unwrap();
    assert_eq!(rows(&held, &t), [], "what is in use is kept");
    drop(held);
    cluster.db.collect_garbage().unwrap();
    let refused = |db: &std::sync::Arc<Database>, csn| db.begin(&db.session(9), Options::default()).stand_at(csn).unwrap_err().code();
    assert_eq!(refused(&cluster.db, then), SqlState::new("72000"));
    assert_eq!(refused(&cluster.db, Csn(1_000)), SqlState::INVALID_PARAMETER_VALUE);
    // A transaction that has begun to read stays where it is.
    assert_eq!(
        reader.stand_at(cluster.direct.applied()).unwrap_err().code(),
        SqlState::ACTIVE_SQL_TRANSACTION
    );
    drop(reader);
    // The next start knows it too.
    let cluster = cluster.restart().await;
    assert_eq!(refused(&cluster.db, then), SqlState::new("72000"));
    let newest = cluster.direct.applied();
    cluster.db.begin(&cluster.session(), Options::default()).stand_at(newest).unwrap();
}

#[tokio::test]
async fn a_transaction_without_writes_needs_the_office_and_one_away_does_not() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    assert!(!tx.is_proven());
    tx.prove().await.unwrap();
    assert!(tx.is_proven());
    tx.start_statement();
    assert!(!tx.is_proven(), "the next snapshot needs a proof of its own");
    assert!(away(&cluster.following().await, Isolation::ReadCommitted).is_proven());
    drop(t);
}
