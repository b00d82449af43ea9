//! Transactions over the real driver and log: what is committed survives a power cut, a large one as a whole or not at all.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod support;

use curia_consensus::ids::Incarnation;
use curia_driver::{Driver, DriverOptions};
use curia_storage::file::{Crash, ForgetfulFiles};
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::state::{StateOptions, StateStore};
use curia_txn::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{add, make_table, row, rows};

struct Server {
    files: ForgetfulFiles,
    folder: tempfile::TempDir,
    starts: u64,
}

impl Server {
    fn new() -> Server {
        Server {
            files: ForgetfulFiles::new(),
            folder: tempfile::tempdir().unwrap(),
            starts: 0,
        }
    }

    async fn start(&mut self) -> Arc<Database> {
        self.starts += 1;
        let (log, recovery) = LogStore::open(Arc::new(self.files.clone()), Path::new("/log"), LogOptions::new(self.starts)).unwrap();
        let state = Arc::new(StateStore::open(&self.folder.path().join("state"), &StateOptions::small()).unwrap());
        let options = DriverOptions {
            groups: 4,
            tick_interval: Duration::from_millis(20),
            ..DriverOptions::default()
        };
        let driver = Driver::start(options, Incarnation(self.starts), log, recovery, state).unwrap();
        let mut limits = Limits::new(self.folder.path().join("spill"));
        limits.memory_bytes = 100_000;
        limits.stage_bytes = 20_000;
        Database::open(Arc::new(driver), limits).await.unwrap()
    }

    /// Power is cut: what was not synced is gone.
    fn kill(&self, db: Arc<Database>) {
        self.files.crash(Crash::LoseAll);
        assert_eq!(Arc::strong_count(&db), 1, "a transaction is still there");
        drop(db);
    }
}

fn begin(db: &Arc<Database>) -> Transaction {
    let mut tx = db.begin(&db.session(1), Options::default());
    tx.start_statement();
    tx
}

#[tokio::test]
async fn committed_rows_and_tables_survive_a_power_cut_and_others_do_not() {
    let mut server = Server::new();
    let db = server.start().await;
    let mut tx = begin(&db);
    let t = make_table(&mut tx, "t", true, &[("t_a_key", 1, true)]).await;
    for id in 0..10 {
        tx.insert(&t, &row(id, id, "x")).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut tx = begin(&db);
    add(&mut tx, &t, 3, 100).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = begin(&db);
    add(&mut tx, &t, 4, 100).await.unwrap();
    drop(tx);
    server.kill(db);

    let db = server.start().await;
    assert_eq!(db.catalog().table(&["public".to_owned()], "t"), Some(t.table()));
    let found: Vec<i32> = rows(&begin(&db), &t).iter().map(|r| r.1).collect();
    assert_eq!(found, [0, 1, 2, 103, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_transaction_larger_than_memory_is_there_as_a_whole_after_a_power_cut() {
    let mut server = Server::new();
    let db = server.start().await;
    let mut tx = begin(&db);
    let t = make_table(&mut tx, "t", true, &[("t_a_key", 1, true)]).await;
    tx.commit().await.unwrap();
    let text = "some text that takes room".repeat(3);
    // One that goes ahead in pieces, is undone in the middle of a piece, and commits.
    let mut tx = begin(&db);
    for id in 0..3_000 {
        if id == 2_500 {
            tx.savepoint("s");
            tx.start_statement();
        }
        tx.insert(&t, &row(id, id, &text)).await.unwrap();
    }
    tx.rollback_to_savepoint("s").unwrap();
    tx.commit().await.unwrap();
    // One that goes ahead in pieces and never commits.
    let mut tx = begin(&db);
    for id in 10_000..13_000 {
        tx.insert(&t, &row(id, id, &text)).await.unwrap();
    }
    drop(tx);
    server.kill(db);

    let db = server.start().await;
    let found: Vec<i32> = rows(&begin(&db), &t).iter().map(|r| r.0).collect();
    assert_eq!(found, (0..2_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn writers_of_one_row_on_several_threads_lose_no_update() {
    let mut server = Server::new();
    let db = server.start().await;
    let mut tx = begin(&db);
    let t = make_table(&mut tx, "t", true, &[]).await;
    tx.insert(&t, &row(1, 0, "")).await.unwrap();
    tx.insert(&t, &row(2, 0, "")).await.unwrap();
    tx.commit().await.unwrap();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let (db, t) = (db.clone(), t.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let slot = db.session(n);
                    for i in 0..100 {
                        // Both orders, so that deadlocks happen and are resolved.
                        let order = if (i + n) % 2 == 0 { [1, 2] } else { [2, 1] };
                        loop {
                            let mut tx = db.begin(&slot, Options::default());
                            let mut done = Ok(());
                            for id in order {
                                if done.is_ok() {
                                    done = add(&mut tx, &t, id, 1).await;
                                }
                            }
                            match done {
                                Ok(()) => break tx.commit().await.map(|_| ()).unwrap(),
                                Err(error) => assert_eq!(error.code().as_str(), "40P01"),
                            }
                        }
                    }
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(rows(&begin(&db), &t), [(1, 400, String::new()), (2, 400, String::new())]);
}
