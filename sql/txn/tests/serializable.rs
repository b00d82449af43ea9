//! SERIALIZABLE: what was read must not have changed when the transaction commits.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_txn::*;
use support::*;

async fn two_rows() -> (Cluster, TableLayout) {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_idx", 1, false)]).await;
    cluster.fill(&t, &[(1, 10, "x"), (2, 20, "y")]).await;
    (cluster, t)
}

fn begin(cluster: &Cluster) -> Transaction {
    cluster.begin_at(Isolation::Serializable)
}

/// Row keys of the index entries with this value of `a`.
fn with_a(tx: &Transaction, t: &TableLayout, a: i32) -> usize {
    let index = &t.indexes()[0];
    let mut prefix = Vec::new();
    index.encode_prefix(&[curia_types::Datum::Int4(a)], &mut prefix).unwrap();
    let mut scan = tx.view().scan(index.storage(), &KeyRange::prefix(&prefix), Direction::Forward);
    let mut n = 0;
    while scan.next().unwrap().is_some() {
        n += 1;
    }
    n
}

#[tokio::test]
async fn of_two_who_read_each_others_row_and_write_their_own_one_fails() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (begin(&cluster), begin(&cluster));
    assert_eq!(get(&one, &t, 2).unwrap().1 + get(&two, &t, 1).unwrap().1, 30);
    add(&mut one, &t, 1, -30).await.unwrap();
    add(&mut two, &t, 2, -30).await.unwrap();
    one.commit().await.unwrap();
    let error = two.commit().await.unwrap_err();
    assert_eq!(code(&error), "40001");
    assert_eq!(
        error.message(),
        "could not serialize access due to read/write dependencies among transactions"
    );
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("A concurrent transaction changed the row of table \"t\" with key (id)=(1), after this one had read it or found it absent.")
    );
    assert_eq!(cluster.rows(&t).iter().map(|r| r.1).sum::<i32>(), 0);
}

#[tokio::test]
async fn the_changes_of_transactions_at_lower_levels_count_too() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    assert!(get(&tx, &t, 2).is_some());
    let mut other = cluster.begin();
    add(&mut other, &t, 2, 1).await.unwrap();
    other.commit().await.unwrap();
    add(&mut tx, &t, 1, 1).await.unwrap();
    assert_eq!(code(&tx.commit().await.unwrap_err()), "40001");
}

#[tokio::test]
async fn a_row_that_was_absent_must_still_be_absent() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    assert!(get(&tx, &t, 3).is_none());
    cluster.fill(&t, &[(3, 30, "z")]).await;
    add(&mut tx, &t, 1, 1).await.unwrap();
    assert_eq!(code(&tx.commit().await.unwrap_err()), "40001");
}

#[tokio::test]
async fn no_row_appears_in_a_range_that_was_read() {
    let (cluster, t) = two_rows().await;
    let (mut whole, mut by_index, mut elsewhere) = (begin(&cluster), begin(&cluster), begin(&cluster));
    assert_eq!(rows(&whole, &t).len(), 2);
    assert_eq!(with_a(&by_index, &t, 30), 0);
    assert_eq!(with_a(&elsewhere, &t, 31), 0);
    cluster.fill(&t, &[(3, 30, "z")]).await;
    for (tx, id) in [(&mut whole, 10), (&mut by_index, 11), (&mut elsewhere, 12)] {
        tx.insert(&t, &row(id, 0, "")).await.unwrap();
    }
    assert_eq!(code(&whole.commit().await.unwrap_err()), "40001");
    let error = by_index.commit().await.unwrap_err();
    assert_eq!(code(&error), "40001");
    assert!(error.fields().detail.as_deref().unwrap().contains("(a)=(30)"), "{error:?}");
    elsewhere.commit().await.unwrap();
}

#[tokio::test]
async fn what_lies_behind_the_rows_that_a_scan_gave_may_change() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    let mut scan = tx.view().scan(t.storage(), &KeyRange::all(), Direction::Forward);
    assert!(scan.next().unwrap().is_some());
    cluster.fill(&t, &[(3, 30, "z")]).await;
    tx.insert(&t, &row(10, 0, "")).await.unwrap();
    tx.commit().await.unwrap();
    drop(scan);
}

#[tokio::test]
async fn a_scan_that_is_still_open_at_the_commit_counts() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    let view = tx.read_view();
    let mut scan = view.scan(t.storage(), &KeyRange::all(), Direction::Backward);
    assert!(scan.next().unwrap().is_some());
    let mut other = cluster.begin();
    add(&mut other, &t, 2, 1).await.unwrap();
    other.commit().await.unwrap();
    tx.insert(&t, &row(10, 0, "")).await.unwrap();
    assert_eq!(code(&tx.commit().await.unwrap_err()), "40001");
    drop(scan);
}

#[tokio::test]
async fn transactions_that_read_and_write_apart_from_each_other_both_commit() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (begin(&cluster), begin(&cluster));
    add(&mut one, &t, 1, 1).await.unwrap();
    add(&mut two, &t, 2, 1).await.unwrap();
    two.commit().await.unwrap();
    one.commit().await.unwrap();
    // One after the other they may do as they like.
    for _ in 0..3 {
        let mut tx = begin(&cluster);
        assert_eq!(rows(&tx, &t).len(), 2);
        add(&mut tx, &t, 1, 1).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(get(&cluster.begin(), &t, 1).unwrap().1, 14);
}

#[tokio::test]
async fn who_only_reads_never_fails() {
    let (cluster, t) = two_rows().await;
    let reader = begin(&cluster);
    assert_eq!(rows(&reader, &t).len(), 2);
    cluster.fill(&t, &[(3, 30, "z")]).await;
    assert_eq!(rows(&reader, &t).len(), 2);
    reader.commit().await.unwrap();
}

/// The anomaly of the receipts: a reader sees the end of a day while an older transaction still adds to that day.
#[tokio::test]
async fn who_reads_a_state_between_makes_nobody_else_wrong() {
    let (cluster, t) = two_rows().await; // row 1: today's number; row 2 and on: receipts
    let mut receipt = begin(&cluster);
    let today = get(&receipt, &t, 1).unwrap().1;
    let mut close = begin(&cluster);
    add(&mut close, &t, 1, 1).await.unwrap();
    close.commit().await.unwrap();
    let report = begin(&cluster);
    assert_eq!((get(&report, &t, 1).unwrap().1, rows(&report, &t).len()), (11, 2));
    report.commit().await.unwrap();
    receipt.insert(&t, &row(50, today, "receipt")).await.unwrap();
    assert_eq!(code(&receipt.commit().await.unwrap_err()), "40001");
}

#[tokio::test]
async fn commits_under_way_count_as_changes() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    assert!(get(&tx, &t, 2).is_some());
    let mut other = cluster.begin();
    add(&mut other, &t, 2, 1).await.unwrap();
    cluster.direct.hold();
    let commit = tokio::spawn(other.commit());
    tokio::task::yield_now().await;
    add(&mut tx, &t, 1, 1).await.unwrap();
    assert_eq!(code(&tx.commit().await.unwrap_err()), "40001");
    cluster.direct.let_go();
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_that_was_refused_changed_nothing() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    assert!(get(&tx, &t, 2).is_some());
    let mut other = cluster.begin();
    add(&mut other, &t, 2, 1).await.unwrap();
    cluster
        .direct
        .refuse(Some(curia_types::SqlError::new(curia_types::SqlState::DISK_FULL, "no space")));
    other.commit().await.unwrap_err();
    cluster.direct.refuse(None);
    add(&mut tx, &t, 1, 1).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_transaction_too_large_for_memory_counts_by_the_tables_it_wrote() {
    let cluster = Cluster::with(|limits| {
        limits.memory_bytes = 4096;
        limits.stage_bytes = 1024;
    })
    .await;
    let (t, u) = (cluster.table("t", &[]).await, cluster.table("u", &[]).await);
    cluster.fill(&u, &[(1, 1, "")]).await;
    let (mut of_t, mut of_u) = (begin(&cluster), begin(&cluster));
    assert!(get(&of_t, &t, -5).is_none());
    assert!(get(&of_u, &u, 1).is_some());
    let many: Vec<(i32, i32, &str)> = (0..500).map(|i| (i, i, "some text that takes room")).collect();
    cluster.fill(&t, &many).await;
    of_t.insert(&u, &row(2, 0, "")).await.unwrap();
    of_u.insert(&u, &row(3, 0, "")).await.unwrap();
    assert_eq!(code(&of_t.commit().await.unwrap_err()), "40001");
    of_u.commit().await.unwrap();
}

#[tokio::test]
async fn the_first_of_two_who_change_a_row_wins() {
    let (cluster, t) = two_rows().await;
    let mut late = begin(&cluster);
    let mut early = begin(&cluster);
    add(&mut early, &t, 1, 1).await.unwrap();
    early.commit().await.unwrap();
    let error = add(&mut late, &t, 1, 1).await.unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("40001", "could not serialize access due to concurrent update")
    );
}

/// What a failed insert says of another's row was read, even if nothing of it is left to commit.
#[tokio::test]
async fn a_transaction_that_undid_its_writes_must_have_seen_one_state() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    assert_eq!(get(&tx, &t, 1).unwrap().1, 10);
    let mut other = cluster.begin();
    other.insert(&t, &row(50, 0, "")).await.unwrap();
    other.commit().await.unwrap();
    tx.savepoint("s");
    assert_eq!(code(&tx.insert(&t, &row(50, 0, "")).await.unwrap_err()), "23505");
    tx.rollback_to_savepoint("s").unwrap();
    let mut other = cluster.begin();
    add(&mut other, &t, 1, 1).await.unwrap();
    other.commit().await.unwrap();
    assert_eq!(code(&tx.commit().await.unwrap_err()), "40001");
}

/// That a key is taken is no news to the client if it had found it free, and a reason to begin again.
#[tokio::test]
async fn a_duplicate_of_a_key_that_was_found_free_is_a_serialization_failure() {
    let (cluster, t) = two_rows().await;
    let (mut looked, mut blind) = (begin(&cluster), begin(&cluster));
    assert_eq!(get(&looked, &t, 50), None);
    let mut other = cluster.begin();
    other.insert(&t, &row(50, 0, "")).await.unwrap();
    other.commit().await.unwrap();
    assert_eq!(code(&looked.insert(&t, &row(50, 0, "")).await.unwrap_err()), "40001");
    looked.rollback(); // it has locked the key
    assert_eq!(code(&blind.insert(&t, &row(50, 0, "")).await.unwrap_err()), "23505");
}

#[tokio::test]
async fn who_writes_after_its_reads_have_changed_learns_it_at_once() {
    let (cluster, t) = two_rows().await;
    let mut tx = begin(&cluster);
    assert_eq!(get(&tx, &t, 1).unwrap().1, 10);
    let mut other = cluster.begin();
    add(&mut other, &t, 1, 1).await.unwrap();
    other.commit().await.unwrap();
    tx.check_statement().unwrap();
    add(&mut tx, &t, 2, 1).await.unwrap();
    assert_eq!(code(&tx.check_statement().unwrap_err()), "40001");
}
