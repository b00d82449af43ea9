//! What each isolation level prevents and permits, anomaly by anomaly.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_catalog::Change;
use curia_txn::*;
use curia_types::SqlState;
use support::*;

async fn two_rows() -> (Cluster, TableLayout) {
    let cluster = Cluster::new().await;
    let t = cluster.table("t", &[("t_a_idx", 1, false)]).await;
    cluster.fill(&t, &[(1, 10, "x"), (2, 20, "y")]).await;
    (cluster, t)
}

const BOTH: [Isolation; 2] = [Isolation::ReadCommitted, Isolation::RepeatableRead];

#[tokio::test]
async fn nobody_reads_what_is_not_committed() {
    let (cluster, t) = two_rows().await;
    for isolation in BOTH {
        let mut writer = cluster.begin();
        add(&mut writer, &t, 1, 1).await.unwrap();
        delete(&mut writer, &t, 2).await.unwrap();
        let reader = cluster.begin_at(isolation);
        assert_eq!(rows(&reader, &t), [(1, 10, "x".into()), (2, 20, "y".into())]);
        drop(writer);
        assert_eq!(cluster.rows(&t), [(1, 10, "x".into()), (2, 20, "y".into())]);
    }
}

#[tokio::test]
async fn read_committed_sees_a_commit_between_two_statements_and_repeatable_read_does_not() {
    let (cluster, t) = two_rows().await;
    let (mut rc, mut rr) = (cluster.begin(), cluster.begin_at(Isolation::RepeatableRead));
    let mut writer = cluster.begin();
    add(&mut writer, &t, 1, 5).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(get(&rc, &t, 1).unwrap().1, 10, "the running statement keeps its snapshot");
    rc.start_statement();
    rr.start_statement();
    assert_eq!(get(&rc, &t, 1).unwrap().1, 15);
    assert_eq!(get(&rr, &t, 1).unwrap().1, 10);
}

#[tokio::test]
async fn a_phantom_appears_under_read_committed_only() {
    let (cluster, t) = two_rows().await;
    let (mut rc, mut rr) = (cluster.begin(), cluster.begin_at(Isolation::RepeatableRead));
    cluster.fill(&t, &[(3, 30, "z")]).await;
    rc.start_statement();
    rr.start_statement();
    assert_eq!(rows(&rc, &t).len(), 3);
    assert_eq!(rows(&rr, &t).len(), 2);
}

#[tokio::test]
async fn under_read_committed_a_blocked_update_by_key_acts_on_the_newest_row() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    add(&mut one, &t, 1, 1).await.unwrap();
    let mut blocked = Box::pin(add(&mut two, &t, 1, 100));
    waits!(blocked);
    one.commit().await.unwrap();
    blocked.await.unwrap();
    two.commit().await.unwrap();
    assert_eq!(get(&cluster.begin(), &t, 1).unwrap().1, 111, "no update is lost");
}

#[tokio::test]
async fn under_read_committed_a_blocked_update_of_a_deleted_row_does_nothing() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (cluster.begin(), cluster.begin());
    delete(&mut one, &t, 1).await.unwrap();
    let mut blocked = Box::pin(add(&mut two, &t, 1, 100));
    waits!(blocked);
    one.commit().await.unwrap();
    blocked.await.unwrap();
    assert!(!two.has_writes());
}

#[tokio::test]
async fn under_repeatable_read_the_first_updater_wins() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (
        cluster.begin_at(Isolation::RepeatableRead),
        cluster.begin_at(Isolation::RepeatableRead),
    );
    add(&mut one, &t, 1, 1).await.unwrap();
    let mut blocked = Box::pin(add(&mut two, &t, 1, 100));
    waits!(blocked);
    one.commit().await.unwrap();
    let error = blocked.await.unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("40001", "could not serialize access due to concurrent update")
    );
}

#[tokio::test]
async fn under_repeatable_read_a_rolled_back_update_does_not_stop_the_next() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (
        cluster.begin_at(Isolation::RepeatableRead),
        cluster.begin_at(Isolation::RepeatableRead),
    );
    add(&mut one, &t, 1, 1).await.unwrap();
    let mut blocked = Box::pin(add(&mut two, &t, 1, 100));
    waits!(blocked);
    one.rollback();
    blocked.await.unwrap();
    two.commit().await.unwrap();
    assert_eq!(get(&cluster.begin(), &t, 1).unwrap().1, 110);
}

#[tokio::test]
async fn under_repeatable_read_a_row_deleted_since_raises_40001_and_one_that_appeared_since_is_not_there() {
    let (cluster, t) = two_rows().await;
    let mut rr = cluster.begin_at(Isolation::RepeatableRead);
    let mut other = cluster.begin();
    delete(&mut other, &t, 1).await.unwrap();
    other.start_statement();
    other.insert(&t, &row(3, 30, "z")).await.unwrap();
    other.commit().await.unwrap();
    let error = add(&mut rr, &t, 1, 1).await.unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("40001", "could not serialize access due to concurrent delete")
    );
    add(&mut rr, &t, 3, 1).await.unwrap();
    assert!(!rr.has_writes(), "the row is not visible, so nothing was updated");
}

#[tokio::test]
async fn a_statement_that_scanned_learns_that_a_row_changed_and_runs_again_with_its_locks() {
    let (cluster, t) = two_rows().await;
    let mut tx = cluster.begin();
    tx.start_statement();
    // It has updated row 2 when it comes to row 1, which another transaction changed in the meantime.
    let Locked::Row(old) = tx
        .lock_row(&t, &key(&t, 2), LockStrength::NoKeyUpdate, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap()
    else {
        panic!()
    };
    tx.update(&t, &key(&t, 2), &old, &row(2, 21, "y")).await.unwrap();
    let mut other = cluster.begin();
    add(&mut other, &t, 1, 1).await.unwrap();
    other.commit().await.unwrap();
    let got = tx
        .lock_row(&t, &key(&t, 1), LockStrength::NoKeyUpdate, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap();
    assert_eq!(got, Locked::Changed);
    tx.restart_statement();
    assert_eq!(
        rows(&tx, &t),
        [(1, 11, "x".into()), (2, 20, "y".into())],
        "its write is undone, its snapshot new"
    );
    // Both rows stayed locked, so this time it gets through.
    let mut third = cluster.begin();
    for id in [1, 2] {
        let skipped = third
            .lock_row(&t, &key(&t, id), LockStrength::Share, LockWait::SkipLocked, Seen::Snapshot)
            .await
            .unwrap();
        assert_eq!(skipped, Locked::Skipped);
        let mine = tx
            .lock_row(&t, &key(&t, id), LockStrength::NoKeyUpdate, LockWait::Block, Seen::Snapshot)
            .await
            .unwrap();
        assert!(matches!(mine, Locked::Row(_)));
    }
}

#[tokio::test]
async fn write_skew_is_permitted_under_repeatable_read() {
    let (cluster, t) = two_rows().await;
    let (mut one, mut two) = (
        cluster.begin_at(Isolation::RepeatableRead),
        cluster.begin_at(Isolation::RepeatableRead),
    );
    assert_eq!(rows(&one, &t).iter().map(|r| r.1).sum::<i32>(), 30);
    assert_eq!(rows(&two, &t).iter().map(|r| r.1).sum::<i32>(), 30);
    add(&mut one, &t, 1, -30).await.unwrap();
    add(&mut two, &t, 2, -30).await.unwrap();
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    assert_eq!(cluster.rows(&t).iter().map(|r| r.1).sum::<i32>(), -30);
}

#[tokio::test]
async fn read_only_refuses_writing_commands() {
    let (cluster, _) = two_rows().await;
    let mut tx = cluster.begin();
    tx.require_writable("INSERT").unwrap();
    tx.set_read_only(true).unwrap();
    let error = tx.require_writable("INSERT").unwrap_err();
    assert_eq!(
        (code(&error), error.message()),
        ("25006", "cannot execute INSERT in a read-only transaction")
    );
    assert_eq!(code(&tx.set_read_only(false).unwrap_err()), "25001");
}

#[tokio::test]
async fn a_command_sees_earlier_commands_of_its_transaction_and_not_itself() {
    let (cluster, t) = two_rows().await;
    let mut tx = cluster.begin();
    tx.start_statement();
    tx.insert(&t, &row(3, 30, "z")).await.unwrap();
    assert_eq!(rows(&tx, &t).len(), 2);
    assert!(tx.written_by_statement(t.storage(), &key(&t, 3)).unwrap());
    tx.start_statement();
    assert_eq!(rows(&tx, &t).len(), 3);
    assert!(!tx.written_by_statement(t.storage(), &key(&t, 3)).unwrap());
    // A second change of a row by one statement is told apart from a row that the statement found.
    let Locked::Row(old) = tx
        .lock_row(&t, &key(&t, 3), LockStrength::Update, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap()
    else {
        panic!()
    };
    tx.update(&t, &key(&t, 3), &old, &row(3, 31, "z")).await.unwrap();
    assert_eq!(get(&tx, &t, 3).unwrap().1, 30);
    let again = tx
        .lock_row(&t, &key(&t, 3), LockStrength::Update, LockWait::Block, Seen::Snapshot)
        .await
        .unwrap();
    assert!(matches!(again, Locked::Own(Some(_))));
}

#[tokio::test]
async fn a_view_keeps_showing_its_moment_while_the_transaction_goes_on() {
    let (cluster, t) = two_rows().await;
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 1).await.unwrap();
    tx.start_statement();
    let portal = tx.read_view();
    let all = |view: &ReadView| collect(view.scan(t.storage(), &KeyRange::all(), Direction::Forward), &t);
    let before = all(&portal);
    for i in 0..5 {
        add(&mut tx, &t, 1, 1).await.unwrap();
        add(&mut tx, &t, 2, i).await.unwrap();
    }
    cluster.fill(&t, &[(9, 9, "")]).await;
    assert_eq!(all(&portal), before);
    tx.commit().await.unwrap();
    assert_eq!(all(&portal), before, "also after the commit");
    assert_eq!(before, [(1, 11, "x".into()), (2, 20, "y".into())]);
}

#[tokio::test]
async fn garbage_collection_stops_at_the_oldest_snapshot_and_at_views() {
    let cluster = Cluster::with(|limits| limits.retention_csns = 0).await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let rr = cluster.begin_at(Isolation::RepeatableRead);
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 1).await.unwrap();
    tx.commit().await.unwrap();
    let portal = cluster.begin().read_view();
    let mut tx = cluster.begin();
    delete(&mut tx, &t, 1).await.unwrap();
    tx.commit().await.unwrap();
    let collect_all = || {
        cluster.direct.state().flush().unwrap();
        while cluster.db.collect_garbage().unwrap().more {}
        cluster.direct.state().compact().unwrap();
    };
    collect_all();
    assert_eq!(get(&rr, &t, 1).unwrap().1, 0);
    assert_eq!(cluster.db.oldest_snapshot(), rr.snapshot());
    drop(rr);
    collect_all();
    assert_eq!(portal.read(t.storage(), &key(&t, 1), |r| decode(&t, r)).unwrap().unwrap().1, 1);
    assert_eq!(cluster.db.oldest_snapshot(), Some(portal.csn()));
    drop(portal);
    collect_all();
    assert_eq!(cluster.db.oldest_snapshot(), None);
    assert!(
        cluster
            .direct
            .state()
            .newest(t.storage().0, &key(&t, 1))
            .unwrap()
            .is_none_or(|n| n.row.is_none())
    );
}

#[tokio::test]
async fn a_snapshot_that_is_too_old_is_refused_once_collection_has_gone_past_it() {
    let cluster = Cluster::with(|limits| {
        limits.retention_csns = 0;
        limits.max_snapshot_age = std::time::Duration::from_secs(1);
    })
    .await;
    let t = cluster.table("t", &[]).await;
    cluster.fill(&t, &[(1, 0, "")]).await;
    let mut old = cluster.begin_at(Isolation::RepeatableRead);
    let portal = old.read_view();
    cluster.db.collect_garbage().unwrap();
    assert_eq!(get(&old, &t, 1).unwrap().1, 0, "it is the newest state still");
    assert!(cluster.db.snapshot_age().unwrap().is_zero());
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 1).await.unwrap();
    tx.commit().await.unwrap();
    // The commits of this cluster are of 1970.
    assert!(cluster.db.snapshot_age().unwrap() > std::time::Duration::from_secs(1_000_000_000));
    assert_eq!(get(&old, &t, 1).unwrap().1, 0, "nothing was collected yet");
    let new = cluster.begin_at(Isolation::RepeatableRead);
    cluster.db.collect_garbage().unwrap();
    let too_old = SqlState::new("72000");
    let read = |view: &ReadView| view.read(t.storage(), &key(&t, 1), |_| ()).map_err(|e| e.code());
    assert_eq!(read(&old.read_view()), Err(too_old));
    assert_eq!(read(&portal), Err(too_old));
    let mut scan = portal.scan(t.storage(), &KeyRange::all(), Direction::Forward);
    assert_eq!(scan.next().unwrap_err().code(), too_old);
    old.start_statement();
    assert_eq!(old.lock_tables(&[]).await.unwrap_err().code(), too_old);
    assert_eq!(get(&new, &t, 1).unwrap().1, 1);
    assert_eq!(cluster.db.horizon(), new.snapshot().unwrap());
    assert!(!cluster.db.snapshot_age().unwrap().is_zero(), "it is in use still");
}

#[tokio::test]
async fn an_exported_snapshot_is_read_by_others_while_its_transaction_runs() {
    let (cluster, t) = two_rows().await;
    let exporter = cluster.begin_at(Isolation::RepeatableRead);
    let export = |tx: &Transaction| tx.database().export_snapshot(tx.slot(), tx.isolation(), tx.read_only()).unwrap();
    let (first, second) = (export(&exporter), export(&exporter));
    assert_ne!(first, second);
    let before = get(&exporter, &t, 1).unwrap();
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 7).await.unwrap();
    tx.commit().await.unwrap();
    let at = |isolation, read_only| Options {
        isolation,
        read_only,
        ..Options::default()
    };
    let importing = |isolation, read_only| cluster.db.begin(&cluster.session(), at(isolation, read_only));
    let mut importer = importing(Isolation::RepeatableRead, false);
    importer.import_snapshot(&second).unwrap();
    importer.start_statement();
    assert_eq!(get(&importer, &t, 1).unwrap(), before);
    // It has its own hold on it.
    drop(exporter);
    cluster.db.collect_garbage().unwrap();
    assert_eq!(get(&importer, &t, 1).unwrap(), before);
    assert_eq!(cluster.db.oldest_snapshot(), importer.snapshot());
    let refused = |isolation, read_only, name: &str| importing(isolation, read_only).import_snapshot(name).unwrap_err().code();
    for name in [
        &*first,
        "",
        "1",
        "00000001-00000001",
        "00000001-00000001-1-1",
        "00000001-00000001-0",
        "x-y-1",
    ] {
        assert_eq!(
            refused(Isolation::RepeatableRead, false, name),
            SqlState::INVALID_PARAMETER_VALUE,
            "{name}"
        );
    }
    assert_eq!(
        importer.import_snapshot(&first).unwrap_err().code(),
        SqlState::ACTIVE_SQL_TRANSACTION
    );
    let plain = export(&importer);
    assert_eq!(refused(Isolation::ReadCommitted, false, &plain), SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(refused(Isolation::Serializable, true, &plain), SqlState::FEATURE_NOT_SUPPORTED);
    // A SERIALIZABLE one is validated from that snapshot on.
    let mut reader = importing(Isolation::Serializable, true);
    reader.start_statement();
    assert_eq!(
        refused(Isolation::Serializable, false, &export(&reader)),
        SqlState::FEATURE_NOT_SUPPORTED
    );
    let serial = cluster.begin_at(Isolation::Serializable);
    let name = export(&serial);
    let mut writer = importing(Isolation::Serializable, false);
    writer.import_snapshot(&name).unwrap();
    drop(serial);
    let mut tx = cluster.begin();
    add(&mut tx, &t, 1, 7).await.unwrap();
    tx.commit().await.unwrap();
    writer.start_statement();
    get(&writer, &t, 1).unwrap();
    add(&mut writer, &t, 2, 1).await.unwrap();
    assert_eq!(writer.commit().await.unwrap_err().code(), SqlState::SERIALIZATION_FAILURE);
}

#[tokio::test]
async fn a_snapshot_older_than_a_tables_definition_is_not_used_on_it() {
    let (cluster, t) = two_rows().await;
    let oid = t.table().oid;
    let mut rr = cluster.begin_at(Isolation::RepeatableRead);
    let mut ddl = cluster.begin();
    ddl.lock_table(oid, TableLock::AccessExclusive, LockWait::Block).await.unwrap();
    let mut table = (**t.table()).clone();
    table.name = "u".to_owned();
    ddl.change_catalog(Change::put(table)).unwrap();
    ddl.commit().await.unwrap();
    let error = rr.lock_tables(&[(oid, TableLock::AccessShare)]).await.unwrap_err();
    assert_eq!(code(&error), "40001");
    cluster.begin().lock_tables(&[(oid, TableLock::AccessShare)]).await.unwrap();
}
