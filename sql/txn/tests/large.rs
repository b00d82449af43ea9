//! Transactions that outgrow memory, and scans over buffered writes.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use curia_types::{SqlError, SqlState};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use support::*;

async fn small() -> (Cluster, TableLayout) {
    let cluster = Cluster::with(|limits| {
        limits.memory_bytes = 20_000;
        limits.stage_bytes = 4_000;
    })
    .await;
    let t = cluster.table("t", &[("t_a_key", 1, true), ("t_b_idx", 2, false)]).await;
    (cluster, t)
}

type Model = BTreeMap<i32, (i32, String)>;

fn check(tx: &Transaction, t: &TableLayout, model: &Model) {
    let expected: Vec<_> = model.iter().map(|(id, (a, b))| (*id, *a, b.clone())).collect();
    let view = tx.read_view();
    assert_eq!(collect(view.scan(t.storage(), &KeyRange::all(), Direction::Forward), t), expected);
    let mut backward = collect(view.scan(t.storage(), &KeyRange::all(), Direction::Backward), t);
    backward.reverse();
    assert_eq!(backward, expected);
    let part = KeyRange::all().from(&key(t, 100)).before(&key(t, 300));
    let expected: Vec<_> = expected.into_iter().filter(|r| (100..300).contains(&r.0)).collect();
    assert_eq!(collect(view.scan(t.storage(), &part, Direction::Forward), t), expected);
    for id in (0..500).step_by(7) {
        let expected = model.get(&id).map(|(a, b)| (id, *a, b.clone()));
        assert_eq!(get(tx, t, id), expected);
    }
}

#[tokio::test]
async fn random_work_with_savepoints_reads_as_the_model_does_in_memory_and_out_of_it() {
    for seed in 0..6u64 {
        let (cluster, t) = small().await;
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % n
        };
        let mut model = Model::new();
        let mut tx = cluster.begin();
        for id in 0..200 {
            let b = "b".repeat(40);
            tx.insert(&t, &row(id, id + 10_000, &b)).await.unwrap();
            model.insert(id, (id + 10_000, b));
        }
        tx.commit().await.unwrap();
        let mut tx = cluster.begin();
        let mut savepoints: Vec<Model> = Vec::new();
        let mut unique = 100_000;
        for step in 0..1_500 {
            let id = next(500) as i32;
            match next(100) {
                0..45 => {
                    unique += 1;
                    let b = format!("{:060}", next(1 << 40));
                    tx.start_statement();
                    match tx.insert_unless_conflict(&t, &row(id, unique, &b), &[]).await.unwrap() {
                        Inserted::Row(_) => assert!(model.insert(id, (unique, b)).is_none(), "seed {seed} step {step}"),
                        Inserted::Conflict { .. } => assert!(model.contains_key(&id), "seed {seed} step {step}"),
                    }
                }
                45..75 => {
                    add(&mut tx, &t, id, 1_000_000).await.unwrap();
                    if let Some(row) = model.get_mut(&id) {
                        row.0 += 1_000_000;
                    }
                }
                75..90 => {
                    let deleted = delete(&mut tx, &t, id).await.unwrap();
                    assert_eq!(deleted, model.remove(&id).is_some(), "seed {seed} step {step}");
                }
                90..95 => {
                    tx.savepoint(&savepoints.len().to_string());
                    savepoints.push(model.clone());
                }
                _ if !savepoints.is_empty() => {
                    let to = next(savepoints.len() as u64) as usize;
                    tx.rollback_to_savepoint(&to.to_string()).unwrap();
                    model = savepoints[to].clone();
                    savepoints.truncate(to + 1);
                }
                _ => {}
            }
            if step % 250 == 0 {
                tx.start_statement();
                check(&tx, &t, &model);
            }
        }
        tx.start_statement();
        check(&tx, &t, &model);
        assert!(cluster.direct.stages.load(Ordering::SeqCst) > 10, "it went ahead in pieces");
        tx.commit().await.unwrap();
        let after = cluster.begin();
        check(&after, &t, &model);
        // Indexes agree with the rows.
        for index in t.indexes() {
            let mut scan = after.view().scan(index.storage(), &KeyRange::all(), Direction::Forward);
            let mut entries = 0;
            while let Some((_, value)) = scan.next().unwrap() {
                let row_key = curia_txn::layout::entry_row_key(value).unwrap();
                assert!(after.view().read(t.storage(), row_key, |_| ()).unwrap().is_some());
                entries += 1;
            }
            assert_eq!(entries, model.len());
        }
    }
}

#[tokio::test]
async fn a_rolled_back_large_transaction_leaves_nothing_and_no_folder() {
    let (cluster, t) = small().await;
    let mut tx = cluster.begin();
    for id in 0..2_000 {
        tx.insert(&t, &row(id, id, "some text that takes room")).await.unwrap();
    }
    let folder = cluster.db.limits().spill_folder.clone();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    tx.rollback();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    assert!(cluster.rows(&t).is_empty());
    assert!(cluster.direct.stages.load(Ordering::SeqCst) > 0);
    assert_eq!(cluster.direct.open_stages(), 0, "the log can be truncated past all of its records");
}

#[tokio::test]
async fn a_large_statement_that_is_undone_as_a_whole_leaves_nothing_to_commit() {
    let (cluster, t) = small().await;
    let mut tx = cluster.begin();
    tx.savepoint("s");
    tx.start_statement();
    for id in 0..2_000 {
        tx.insert(&t, &row(id, id, "some text that takes room")).await.unwrap();
    }
    assert!(cluster.direct.stages.load(Ordering::SeqCst) > 0);
    tx.rollback_to_savepoint("s").unwrap();
    assert_eq!(tx.commit().await.unwrap().csn, None);
    assert!(cluster.rows(&t).is_empty());
    assert_eq!(cluster.direct.open_stages(), 0);
}

#[tokio::test]
async fn what_a_savepoint_keeps_is_committed_although_its_records_were_refused() {
    let (cluster, t) = small().await;
    let full = SqlError::new(SqlState::DISK_FULL, "no room");
    let mut tx = cluster.begin();
    tx.start_statement();
    cluster.direct.refuse_stages(Some(full));
    let mut kept = 0;
    for id in 0..2_000 {
        kept += 1;
        tx.savepoint("s");
        tx.start_statement();
        if let Err(error) = tx.insert(&t, &row(id, id, "some text that takes room")).await {
            assert_eq!(code(&error), "53100");
            kept -= 1;
            break;
        }
    }
    assert!((20..2_000).contains(&kept), "{kept} rows before the refusal came to light");
    tx.rollback_to_savepoint("s").unwrap();
    cluster.direct.refuse_stages(None);
    // Some that were refused have not come to light yet.
    let csn = tx.commit().await.unwrap().csn;
    assert!(csn.is_some());
    assert_eq!(cluster.rows(&t).len(), kept);
    assert_eq!(cluster.direct.open_stages(), 0);
}

#[tokio::test]
async fn a_scan_goes_on_while_its_statement_writes_and_memory_is_emptied_under_it() {
    // All that the scan reads is in memory when it starts and in the spill when it ends.
    let cluster = Cluster::with(|limits| limits.memory_bytes = 700_000).await;
    let t = cluster.table("t", &[("t_a_key", 1, true), ("t_b_idx", 2, false)]).await;
    let mut tx = cluster.begin();
    for id in 0..1_000 {
        tx.insert(&t, &row(id * 2, id, "")).await.unwrap();
    }
    assert_eq!(cluster.direct.stages.load(Ordering::SeqCst), 0);
    tx.start_statement();
    let view = tx.read_view();
    let mut scan = view.scan(t.storage(), &KeyRange::all(), Direction::Forward);
    let mut seen = Vec::new();
    while let Some((_, bytes)) = scan.next().unwrap() {
        let (id, _, _) = decode(&t, bytes);
        seen.push(id);
        // INSERT .. SELECT from the same table.
        tx.insert(&t, &row(id + 1, 1_000_000 + id, "filled while it is read"))
            .await
            .unwrap();
    }
    assert!(cluster.direct.stages.load(Ordering::SeqCst) > 0);
    assert_eq!(seen, (0..1_000).map(|n| n * 2).collect::<Vec<_>>());
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t).len(), 2_000);
}

#[tokio::test]
async fn a_transaction_above_its_limit_is_refused() {
    let cluster = Cluster::with(|limits| {
        limits.memory_bytes = 20_000;
        limits.transaction_bytes = 50_000;
    })
    .await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    let mut refused = None;
    for id in 0..5_000 {
        if let Err(error) = tx.insert(&t, &row(id, 0, "some text that takes room")).await {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(code(&refused.unwrap()), "54000");
}

#[tokio::test]
async fn what_a_savepoint_undoes_counts_towards_no_limit() {
    let cluster = Cluster::with(|limits| {
        limits.memory_bytes = 20_000;
        limits.stage_bytes = 4_000;
        limits.transaction_bytes = 300_000;
    })
    .await;
    let t = cluster.table("t", &[]).await;
    let mut tx = cluster.begin();
    tx.insert(&t, &row(-1, 0, "stays")).await.unwrap();
    tx.savepoint("s");
    for _ in 0..10 {
        tx.start_statement();
        for id in 0..2_000 {
            tx.insert(&t, &row(id, 0, "some text that takes room")).await.unwrap();
        }
        tx.rollback_to_savepoint("s").unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(cluster.rows(&t), [(-1, 0, "stays".into())]);
    assert_eq!(cluster.direct.open_stages(), 0);
}
