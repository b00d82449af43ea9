//! The catalog in transactions: private until commit, published with the commit, durable, with identifiers that are never given twice.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_catalog::{Catalog, Change, Class};
use curia_txn::*;
use support::*;

fn path() -> [String; 1] {
    ["public".to_owned()]
}

#[tokio::test]
async fn a_fresh_database_has_its_schemas_its_role_and_itself() {
    let cluster = Cluster::new().await;
    let catalog = cluster.db.catalog();
    for name in ["pg_catalog", "public", "information_schema"] {
        assert!(catalog.schema(name).is_some(), "{name}");
    }
    assert!(catalog.role("curia").unwrap().superuser);
    assert!(catalog.database("curia").is_some());
    let commits = cluster.direct.commits.load(std::sync::atomic::Ordering::SeqCst);
    let cluster = cluster.restart().await;
    assert!(cluster.db.catalog().role("curia").is_some());
    assert!(
        commits >= 1 && cluster.direct.commits.load(std::sync::atomic::Ordering::SeqCst) <= 3,
        "it is made once"
    );
}

#[tokio::test]
async fn a_change_is_seen_by_its_transaction_at_once_and_by_others_after_the_commit() {
    let cluster = Cluster::new().await;
    let before = cluster.db.catalog_version();
    let mut tx = cluster.begin();
    let t = make_table(&mut tx, "t", true, &[("t_a_idx", 1, false)]).await;
    let private = tx.catalog();
    assert!(private.table(&path(), "t").is_some());
    assert!(private.version & Catalog::PRIVATE != 0);
    assert_eq!(
        tx.catalog().version,
        private.version,
        "it stays the same version until something changes"
    );
    tx.insert(&t, &row(1, 1, "x")).await.unwrap();
    let other = cluster.begin();
    assert!(other.catalog().table(&path(), "t").is_none());
    assert_eq!(cluster.db.catalog_version(), before);
    let done = tx.commit().await.unwrap();
    assert!(done.catalog_changed);
    assert!(other.catalog().table(&path(), "t").is_some());
    assert_eq!(cluster.db.catalog_version(), before + 1);
    assert_eq!(cluster.rows(&t).len(), 1);
    drop(other);
    let cluster = cluster.restart().await;
    assert_eq!(cluster.db.catalog().table(&path(), "t"), Some(t.table()));
    assert_eq!(cluster.rows(&t).len(), 1);
}

#[tokio::test]
async fn a_rolled_back_change_leaves_nothing() {
    let cluster = Cluster::new().await;
    let before = cluster.db.catalog_version();
    let mut tx = cluster.begin();
    let t = make_table(&mut tx, "t", true, &[]).await;
    tx.insert(&t, &row(1, 1, "x")).await.unwrap();
    tx.rollback();
    assert_eq!(cluster.db.catalog_version(), before);
    let cluster = cluster.restart().await;
    assert!(cluster.db.catalog().tables.is_empty());
}

#[tokio::test]
async fn changes_of_two_transactions_come_together() {
    let cluster = Cluster::new().await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    make_table(&mut one, "t", true, &[]).await;
    make_table(&mut two, "u", true, &[]).await;
    one.commit().await.unwrap();
    assert!(
        two.catalog().table(&path(), "t").is_some(),
        "a private catalog follows what others publish"
    );
    two.commit().await.unwrap();
    let catalog = cluster.db.catalog();
    assert!(catalog.table(&path(), "t").is_some() && catalog.table(&path(), "u").is_some());
}

#[tokio::test]
async fn two_that_want_one_name_wait_for_each_other() {
    let cluster = Cluster::new().await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    one.lock_name(2200, "t").await.unwrap();
    make_table(&mut one, "t", true, &[]).await;
    let mut waiting = Box::pin(two.lock_name(2200, "t"));
    waits!(waiting);
    one.commit().await.unwrap();
    waiting.await.unwrap();
    assert!(two.catalog().table(&path(), "t").is_some(), "the second finds it");
}

#[tokio::test]
async fn identifiers_are_not_given_twice_over_a_restart() {
    let cluster = Cluster::new().await;
    let mut tx = cluster.begin();
    let t = make_table(&mut tx, "t", true, &[]).await;
    let txid = tx.txid().unwrap();
    assert_eq!(tx.txid().unwrap(), txid);
    tx.commit().await.unwrap();
    let cluster = cluster.restart().await;
    let mut tx = cluster.begin();
    let u = make_table(&mut tx, "u", true, &[]).await;
    assert!(u.table().oid > t.table().indexes[0].oid);
    assert!(u.storage() > t.storage());
    assert!(tx.txid().unwrap() > txid);
}

#[tokio::test]
async fn rows_of_a_dropped_storage_stay_until_no_snapshot_can_read_them() {
    let cluster = Cluster::with(|limits| limits.retention_csns = 0).await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    let reader = cluster.begin_at(Isolation::RepeatableRead);
    let mut tx = cluster.begin();
    tx.change_catalog(Change::drop(Class::Table, t.table().oid)).unwrap();
    tx.drop_storage(t.storage()).unwrap();
    tx.commit().await.unwrap();
    assert!(cluster.db.catalog().partitions.get(&t.storage()).is_none());
    cluster.db.collect_garbage().unwrap();
    assert_eq!(rows(&reader, &t).len(), 1);
    drop(reader);
    // The horizon has to pass the drop.
    let mut tx = cluster.begin();
    make_table(&mut tx, "u", true, &[]).await;
    tx.commit().await.unwrap();
    assert_eq!(cluster.db.collect_garbage().unwrap().storages, 1);
    assert!(cluster.direct.state().newest(t.storage().0, &key(&t, 1)).unwrap().is_none());
}

#[tokio::test]
async fn a_commit_whose_session_went_away_is_published_and_unlocked_when_it_is_done() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let oid = t.table().oid;
    let mut tx = cluster.begin();
    tx.lock_tables(&[(oid, TableLock::RowExclusive)]).await.unwrap();
    make_table(&mut tx, "u", true, &[]).await;
    tx.insert(&t, &row(1, 1, "x")).await.unwrap();
    cluster.direct.hold();
    {
        let mut commit = Box::pin(tx.commit());
        waits!(commit);
    } // the connection is gone
    let mut other = cluster.begin();
    assert!(other.lock_table(oid, TableLock::Share, LockWait::NoWait).await.is_err());
    let values = row(1, 2, "y");
    let mut insert = Box::pin(other.insert(&t, &values));
    waits!(insert);
    let mut orphans = Box::pin(cluster.db.finish_orphans());
    waits!(orphans);
    cluster.direct.let_go();
    waits!(orphans); // it never ends, but it has done its work
    assert!(cluster.db.catalog().table(&path(), "u").is_some());
    assert_eq!(code(&insert.await.unwrap_err()), "23505");
    other.lock_table(oid, TableLock::Share, LockWait::NoWait).await.unwrap();
}

#[tokio::test]
async fn a_refused_commit_changes_nothing_and_releases_its_locks() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    tx.insert(&t, &row(1, 1, "x")).await.unwrap();
    cluster.direct.refuse(Some(curia_types::SqlError::new(
        curia_types::SqlState::DISK_FULL,
        "no space left on device",
    )));
    assert_eq!(code(&tx.commit().await.unwrap_err()), "53100");
    cluster.direct.refuse(None);
    assert!(cluster.rows(&t).is_empty());
    cluster.fill(&t, &[(1, 2, "y")]).await;
}

#[tokio::test(start_paused = true)]
async fn garbage_goes_by_itself() {
    let cluster = Cluster::with(|limits| limits.retention_csns = 0).await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 1, "x")]).await;
    let mut tx = cluster.begin();
    tx.change_catalog(Change::drop(Class::Table, t.table().oid)).unwrap();
    tx.drop_storage(t.storage()).unwrap();
    tx.commit().await.unwrap();
    cluster.table("u", &[]).await;
    let gone = async {
        while cluster.direct.state().newest(t.storage().0, &key(&t, 1)).unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = cluster.db.clone().tend(std::time::Duration::from_secs(10)) => panic!("it ended"),
        () = gone => {}
    }
}
