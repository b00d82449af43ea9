//! Idempotency keys: found by whoever tries again, waited for, and forgotten at last.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use std::time::Duration;
use support::*;

const ROLE: u32 = 10;

fn steps(digest: u64) -> Vec<Step> {
    vec![Step {
        digest,
        count: 1,
        rows: Some(vec![b"row".to_vec()]),
    }]
}

/// Commits a row under a key that nobody has used.
async fn once(cluster: &Cluster, t: &TableLayout, key: &str, id: i32) {
    let mut tx = cluster.begin();
    assert_eq!(tx.claim_key(ROLE, key).await.unwrap(), None);
    tx.insert(t, &row(id, 0, "")).await.unwrap();
    tx.keep_steps(ROLE, key, steps(id as u64));
    tx.commit().await.unwrap();
}

async fn found(cluster: &Cluster, role: u32, key: &str) -> Option<Vec<Step>> {
    cluster.begin().claim_key(role, key).await.unwrap()
}

#[tokio::test]
async fn a_key_is_found_once_its_transaction_has_committed_and_after_a_start() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    once(&cluster, &t, "a", 1).await;
    let mut lost = cluster.begin();
    lost.claim_key(ROLE, "b").await.unwrap();
    lost.keep_steps(ROLE, "b", steps(2));
    lost.rollback();
    let cluster = cluster.restart().await;
    assert_eq!(found(&cluster, ROLE, "a").await, Some(steps(1)));
    assert_eq!(found(&cluster, ROLE, "b").await, None);
    assert_eq!(found(&cluster, ROLE + 1, "a").await, None, "it is another role's");
    let long = "x".repeat(KEY_BYTES_MAX + 1);
    assert!(cluster.begin().claim_key(ROLE, &long).await.is_err());
}

#[tokio::test]
async fn a_retry_waits_for_a_commit_whose_session_is_gone() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.direct.hold();
    let mut first = cluster.begin();
    first.claim_key(ROLE, "a").await.unwrap();
    first.insert(&t, &row(1, 0, "")).await.unwrap();
    first.keep_steps(ROLE, "a", steps(1));
    // The session goes away while the commit is under way.
    let committed = tokio::time::timeout(Duration::from_millis(20), first.commit()).await;
    assert!(committed.is_err());
    let mut second = cluster.begin();
    let waits = tokio::time::timeout(Duration::from_millis(20), second.claim_key(ROLE, "a")).await;
    assert!(waits.is_err(), "nobody knows yet what became of the first");
    let let_go = async {
        cluster.direct.let_go();
        cluster.db.finish_orphans().await
    };
    tokio::select! {
        () = let_go => panic!("it goes on for ever"),
        known = second.claim_key(ROLE, "a") => assert_eq!(known.unwrap(), Some(steps(1))),
    }
}

#[tokio::test]
async fn keys_of_long_ago_are_forgotten_and_those_of_today_are_not() {
    let cluster = Cluster::with(|limits| limits.idempotency_csns = 20).await;
    let t = cluster.table("t", &[]).await;
    once(&cluster, &t, "old", 1).await;
    for id in 2..30 {
        cluster.fill(&t, &[(id, 0, "")]).await;
    }
    once(&cluster, &t, "new", 30).await;
    let forgotten = async {
        while found(&cluster, ROLE, "old").await.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = cluster.db.clone().tend(Duration::from_millis(1)) => panic!("it goes on for ever"),
        () = forgotten => {}
    }
    assert_eq!(found(&cluster, ROLE, "new").await, Some(steps(30)));
    once(&cluster, &t, "old", 31).await;
}
