//! Row and table locks: who waits for whom, in which order, and what ends a wait.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use std::time::Duration;
use support::*;

const STRENGTHS: [LockStrength; 4] = [
    LockStrength::KeyShare,
    LockStrength::Share,
    LockStrength::NoKeyUpdate,
    LockStrength::Update,
];

#[tokio::test]
async fn row_lock_strengths_conflict_as_postgresqls_table_says() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    // https://www.postgresql.org/docs/15/explicit-locking.html, table 13.3
    let conflicts = ["...X", "..XX", ".XXX", "XXXX"];
    for (i, held) in STRENGTHS.iter().enumerate() {
        for (j, wanted) in STRENGTHS.iter().enumerate() {
            let (mut one, mut two) = (cluster.begin(), cluster.begin());
            one.lock_row(&t, &key(&t, 1), *held, LockWait::Block, Seen::Snapshot).await.unwrap();
            let got = two
                .lock_row(&t, &key(&t, 1), *wanted, LockWait::SkipLocked, Seen::Snapshot)
                .await
                .unwrap();
            assert_eq!(
                got == Locked::Skipped,
                conflicts[i].as_bytes()[j] == b'X',
                "{held:?} then {wanted:?}"
            );
        }
    }
}

#[tokio::test]
async fn table_lock_modes_conflict_as_postgresqls_table_says() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let oid = t.table().oid;
    // Table 13.2.
    let conflicts = [
        "0000000X", "000000XX", "0000XXXX", "000XXXXX", "00XX0XXX", "00XXXXXX", "0XXXXXXX", "XXXXXXXX",
    ];
    for (i, held) in TableLock::ALL.iter().enumerate() {
        for (j, wanted) in TableLock::ALL.iter().enumerate() {
            let (mut one, mut two) = (cluster.begin(), cluster.begin());
            one.lock_table(oid, *held, LockWait::Block).await.unwrap();
            let got = two.lock_table(oid, *wanted, LockWait::NoWait).await;
            assert_eq!(got.is_err(), conflicts[i].as_bytes()[j] == b'X', "{held:?} then {wanted:?}");
            if let Err(error) = got {
                assert_eq!(
                    (code(&error), error.message()),
                    ("55P03", "could not obtain lock on relation \"t\"")
                );
            }
        }
    }
}

#[tokio::test]
async fn nowait_fails_at_once() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    one.lock_row(&t, &key(&t, 1), LockStrength::Update, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap();
    let error = two
        .lock_row(&t, &key(&t, 1), LockStrength::Share, LockWait::NoWait, Seen::Snapshot)
        .await
        .unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("55P03", "could not obtain lock on row in relation \"t\"")
    );
}

#[tokio::test(start_paused = true)]
async fn lock_timeout_ends_a_wait() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    add(&mut one, &t, 1, 1).await.unwrap();
    two.set_lock_timeout(Some(Duration::from_millis(50)));
    let error = add(&mut two, &t, 1, 1).await.unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("55P03", "canceling statement due to lock timeout")
    );
    // It left the queue: a third gets the lock as soon as the first is gone.
    let mut three = cluster.begin();
    let mut waiting = Box::pin(add(&mut three, &t, 1, 1));
    waits!(waiting);
    drop(one);
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_deadlock_of_two_is_refused_at_once_and_names_the_cycle() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, ""), (2, 0, "")]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    let (p1, p2) = (one.slot().process_id(), two.slot().process_id());
    add(&mut one, &t, 1, 1).await.unwrap();
    add(&mut two, &t, 2, 1).await.unwrap();
    let mut waiting = Box::pin(add(&mut one, &t, 2, 1));
    waits!(waiting);
    let error = add(&mut two, &t, 1, 1).await.unwrap_err();
    assert_eq!((code(&error), error.message()), ("40P01", "deadlock detected"));
    let detail = error.fields().detail.clone().unwrap();
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with(&format!("Process {p2} waits for ShareLock on transaction ")),
        "{detail}"
    );
    assert!(lines[0].ends_with(&format!("; blocked by process {p1}.")), "{detail}");
    assert!(
        lines[1].starts_with(&format!("Process {p1} waits for ShareLock on transaction ")),
        "{detail}"
    );
    assert!(lines[1].ends_with(&format!("; blocked by process {p2}.")), "{detail}");
    assert_eq!(error.fields().hint.as_deref(), Some("See server log for query details."));
    drop(two);
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_deadlock_over_rows_and_tables_of_three_is_found() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, ""), (2, 0, "")]).await;
    let oid = t.table().oid;
    let (mut one, mut two, mut three) = (cluster.begin(), cluster.begin(), cluster.begin());
    add(&mut one, &t, 1, 1).await.unwrap();
    add(&mut two, &t, 2, 1).await.unwrap();
    three.lock_tables(&[(oid, TableLock::AccessShare)]).await.unwrap();
    let mut first = Box::pin(add(&mut one, &t, 2, 1));
    waits!(first);
    let mut second = Box::pin(two.lock_table(oid, TableLock::AccessExclusive, LockWait::Block));
    waits!(second);
    let error = add(&mut three, &t, 1, 1).await.unwrap_err();
    assert_eq!(code(&error), "40P01");
    let detail = error.fields().detail.clone().unwrap();
    assert!(
        detail.contains(&format!("waits for AccessExclusiveLock on relation {oid} of database 5")),
        "{detail}"
    );
    assert_eq!(detail.lines().count(), 3);
}

#[tokio::test]
async fn an_upgrade_by_two_sharers_is_a_deadlock() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    for tx in [&mut one, &mut two] {
        tx.lock_row(&t, &key(&t, 1), LockStrength::Share, LockWait::Block, Seen::Snapshot)
            .await
            .unwrap();
    }
    let mut waiting = Box::pin(add(&mut one, &t, 1, 1));
    waits!(waiting);
    assert_eq!(code(&add(&mut two, &t, 1, 1).await.unwrap_err()), "40P01");
    drop(two);
    waiting.await.unwrap();
}

#[tokio::test]
async fn waiters_are_served_in_the_order_they_came() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two, mut three) = (cluster.begin(), cluster.begin(), cluster.begin());
    add(&mut one, &t, 1, 1).await.unwrap();
    let mut second = Box::pin(add(&mut two, &t, 1, 10));
    waits!(second);
    let mut third = Box::pin(add(&mut three, &t, 1, 100));
    waits!(third);
    one.commit().await.unwrap();
    waits!(third);
    second.await.unwrap();
    waits!(third);
    two.commit().await.unwrap();
    third.await.unwrap();
    three.commit().await.unwrap();
    assert_eq!(cluster.rows(&t), [(1, 111, String::new())]);
}

#[tokio::test]
async fn a_sharer_does_not_overtake_a_waiting_writer_but_a_holder_that_wants_more_does() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two, mut three) = (cluster.begin(), cluster.begin(), cluster.begin());
    one.lock_row(&t, &key(&t, 1), LockStrength::Share, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap();
    let mut writer = Box::pin(add(&mut two, &t, 1, 1));
    waits!(writer);
    let skipped = three
        .lock_row(&t, &key(&t, 1), LockStrength::Share, LockWait::SkipLocked, Seen::Snapshot)
        .await
        .unwrap();
    assert_eq!(skipped, Locked::Skipped);
    add(&mut one, &t, 1, 10).await.unwrap(); // already inside: no use in waiting behind the writer
    one.commit().await.unwrap();
    writer.await.unwrap();
}

#[tokio::test]
async fn dropping_a_wait_leaves_the_queue() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two, mut three) = (cluster.begin(), cluster.begin(), cluster.begin());
    add(&mut one, &t, 1, 1).await.unwrap();
    {
        let mut cancelled = Box::pin(add(&mut two, &t, 1, 1));
        waits!(cancelled);
    }
    let mut third = Box::pin(add(&mut three, &t, 1, 1));
    waits!(third);
    drop(one);
    third.await.unwrap();
    // The cancelled one lives on and holds nothing of that row.
    three.commit().await.unwrap();
    add(&mut two, &t, 1, 1).await.unwrap();
}

#[tokio::test]
async fn a_wait_dropped_after_it_was_served_gives_the_lock_back() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let (mut one, mut two, mut three) = (cluster.begin(), cluster.begin(), cluster.begin());
    add(&mut one, &t, 1, 1).await.unwrap();
    let mut second = Box::pin(add(&mut two, &t, 1, 1));
    waits!(second);
    drop(one); // serves the second, who is not polled again
    drop(second);
    add(&mut three, &t, 1, 1).await.unwrap();
}

#[tokio::test]
async fn ddl_waits_for_readers_that_came_by_the_fast_path_and_readers_wait_for_ddl() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let oid = t.table().oid;
    let (mut reader, mut ddl, mut late) = (cluster.begin(), cluster.begin(), cluster.begin());
    reader.lock_tables(&[(oid, TableLock::AccessShare)]).await.unwrap();
    assert_eq!(reader.locks_held(), 0, "weak locks stay out of the lock table");
    let mut change = Box::pin(ddl.lock_table(oid, TableLock::AccessExclusive, LockWait::Block));
    waits!(change);
    let reads = [(oid, TableLock::AccessShare)];
    let mut read = Box::pin(late.lock_tables(&reads));
    waits!(read);
    reader.commit().await.unwrap();
    change.await.unwrap();
    waits!(read);
    ddl.commit().await.unwrap();
    read.await.unwrap();
    // Afterwards the fast path is open again.
    let mut next = cluster.begin();
    next.lock_tables(&[(oid, TableLock::RowExclusive)]).await.unwrap();
    assert_eq!(next.locks_held(), 0);
}

#[tokio::test]
async fn too_many_row_locks_become_one_table_lock() {
    let cluster = Cluster::with(|limits| limits.row_locks = 10).await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    tx.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    for id in 0..100 {
        tx.insert(&t, &row(id, 0, "")).await.unwrap();
    }
    assert!(tx.locks_held() < 5, "{}", tx.locks_held());
    let mut other = cluster.begin();
    let error = other
        .lock_table(t.table().oid, TableLock::RowExclusive, LockWait::NoWait)
        .await
        .unwrap_err();
    assert_eq!(code(&error), "55P03");
    other
        .lock_table(t.table().oid, TableLock::AccessShare, LockWait::NoWait)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t).len(), 100);
}

#[tokio::test]
async fn row_locks_stay_many_while_a_guard_keeps_the_table() {
    let cluster = Cluster::with(|limits| limits.row_locks = 10).await;
    let t = cluster.table("t", &[]).await;
    let mut guard = cluster.begin();
    let keeps = TableLock::ShareUpdateExclusive;
    guard.lock_table(t.table().oid, keeps, LockWait::NoWait).await.unwrap();
    let mut tx = cluster.begin();
    tx.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    for id in 0..50 {
        tx.insert(&t, &row(id, 0, "")).await.unwrap();
    }
    assert!(tx.locks_held() >= 50, "{}", tx.locks_held());
    guard.rollback();
    tx.insert(&t, &row(50, 0, "")).await.unwrap();
    assert!(tx.locks_held() < 5, "{}", tx.locks_held());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn locking_one_row_again_and_again_counts_once() {
    let cluster = Cluster::with(|limits| limits.row_locks = 10).await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    tx.lock_tables(&[(t.table().oid, TableLock::RowExclusive)]).await.unwrap();
    for _ in 0..100 {
        tx.lock_row(&t, &key(&t, 1), LockStrength::Update, LockWait::Block, Seen::Newest)
            .await
            .unwrap();
    }
    let mut other = cluster.begin();
    other
        .lock_table(t.table().oid, TableLock::RowExclusive, LockWait::NoWait)
        .await
        .unwrap();
}

#[tokio::test]
async fn ten_thousand_row_locks_are_taken_and_released() {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    for id in 0..10_000 {
        tx.lock_row(&t, &key(&t, id), LockStrength::Update, LockWait::Block, Seen::Newest)
            .await
            .unwrap();
    }
    assert_eq!(tx.locks_held(), 10_000);
    tx.commit().await.unwrap();
    let mut other = cluster.begin();
    for id in 0..10_000 {
        let got = other
            .lock_row(&t, &key(&t, id), LockStrength::Update, LockWait::NoWait, Seen::Newest)
            .await;
        assert_eq!(got.unwrap(), Locked::Gone);
    }
}
