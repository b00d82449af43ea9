//! How much memory transactions take, counted by the allocator: RocksDB has limits of its own and is not in it.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test
#![allow(unsafe_code)] // an allocator that counts

mod support;

use curia_consensus::ids::Incarnation;
use curia_driver::{Driver, DriverOptions};
use curia_storage::file::RealFiles;
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::state::{StateOptions, StateStore};
use curia_txn::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{add, make_table, row};

/// Counts what is allocated, and the most there ever was.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that the most memory since now is above that of now.
async fn growth(work: impl Future<Output = ()>) -> usize {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    work.await;
    MOST.load(Ordering::Relaxed).saturating_sub(before)
}

const LIMIT: usize = 1 << 20;

async fn start(folder: &std::path::Path) -> Arc<Database> {
    std::fs::create_dir_all(folder.join("log")).unwrap();
    let (log, recovery) = LogStore::open(Arc::new(RealFiles), &folder.join("log"), LogOptions::new(1)).unwrap();
    let state = Arc::new(StateStore::open(&folder.join("state"), &StateOptions::small()).unwrap());
    let options = DriverOptions {
        groups: 3,
        apply_bytes_max: LIMIT,
        batch_bytes_max: LIMIT,
        unresolved_bytes_max: 4 * LIMIT as u64,
        log_bytes_max: 16 * LIMIT as u64,
        ..DriverOptions::default()
    };
    let driver = Driver::start(options, Incarnation(1), log, recovery, state).unwrap();
    let mut limits = Limits::new(folder.join("spill"));
    limits.memory_bytes = LIMIT;
    limits.stage_bytes = LIMIT / 4;
    Database::open(Arc::new(driver), limits).await.unwrap()
}

fn begin(db: &Arc<Database>, slot: &Arc<SessionSlot>) -> Transaction {
    let mut tx = db.begin(slot, Options::default());
    tx.start_statement();
    tx
}

/// One test, as the count is the process's: in the buffer, in the driver and on its way into the state, a transaction takes a few times
/// the limit and not what it writes.
#[tokio::test]
async fn memory_stays_within_a_few_limits_however_much_a_transaction_writes() {
    let folder = tempfile::tempdir().unwrap();
    let db = start(folder.path()).await;
    let slot = db.session(1);
    let mut tx = begin(&db, &slot);
    let t = make_table(&mut tx, "t", false, &[]).await;
    let keyed = make_table(&mut tx, "keyed", true, &[]).await;
    tx.insert(&keyed, &row(1, 0, "")).await.unwrap();
    tx.commit().await.unwrap();

    // COPY and INSERT .. SELECT: many rows of one statement.
    let text = "x".repeat(1_000);
    let insert = growth(async {
        let mut tx = begin(&db, &slot);
        for id in 0..60_000 {
            tx.insert(&t, &row(id, 0, &text)).await.unwrap();
        }
        tx.commit().await.unwrap();
    })
    .await;
    assert!(insert < 16 * LIMIT, "60 MB were inserted with {insert} bytes");

    // What a savepoint keeps of records that were dropped is staged again, piece by piece.
    let again = growth(async {
        let mut tx = begin(&db, &slot);
        for id in 0..20_000 {
            if id % 500 == 250 {
                tx.savepoint("s");
                tx.start_statement();
            }
            tx.insert(&t, &row(id, 0, &text)).await.unwrap();
            if id % 500 == 499 {
                tx.rollback_to_savepoint("s").unwrap();
                tx.release_savepoint("s").unwrap();
                tx.start_statement();
            }
        }
        tx.commit().await.unwrap();
    })
    .await;
    assert!(again < 16 * LIMIT, "10 MB were kept with {again} bytes");

    // One row, written again and again.
    let rewrite = growth(async {
        let mut tx = begin(&db, &slot);
        tx.savepoint("outer");
        for _ in 0..20_000 {
            tx.savepoint("inner");
            add(&mut tx, &keyed, 1, 1).await.unwrap();
            tx.release_savepoint("inner").unwrap();
        }
        tx.commit().await.unwrap();
    })
    .await;
    assert!(rewrite < LIMIT, "one row took {rewrite} bytes");
    let mut scan = begin(&db, &slot);
    scan.start_statement();
    let mut rows = 0;
    let mut all = scan.view().scan(t.storage(), &KeyRange::all(), Direction::Forward);
    while all.next().unwrap().is_some() {
        rows += 1;
    }
    assert_eq!(rows, 70_000);
}
