//! Sessions for callers on other threads, as Arrow Flight has them.

use crate::server::{remote, shared};
use crate::wire::Wire;
use curia_types::Datum;
use std::ops::Range;
use std::time::Duration;

fn rows(numbers: Range<i32>) -> Vec<Vec<Datum>> {
    numbers.map(|a| vec![Datum::Int4(a)]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_caller_goes_away_leaves_nothing_behind() {
    let mut other = Wire::open(shared());
    other.tags("CREATE TABLE batches (a int PRIMARY KEY)");
    let session = remote().await;
    let insert = session.prepare("INSERT INTO batches VALUES ($1)").await.unwrap().id;
    // The batch comes as far as this row and waits there.
    other.tags("BEGIN");
    other.tags("INSERT INTO batches VALUES (50)");
    let batch = session.update(insert, rows(0..100));
    assert!(tokio::time::timeout(Duration::from_secs(1), batch).await.is_err());
    other.tags("ROLLBACK");

    assert_eq!(session.update(insert, rows(1000..1001)).await.unwrap(), 1);
    assert_eq!(other.rows("SELECT count(*), max(a) FROM batches"), [["1", "1000"]]);
    let twice = session.update(insert, rows(950..1050)).await.unwrap_err();
    assert_eq!(twice.code().as_str(), "23505");
    assert_eq!(session.update(insert, rows(0..100)).await.unwrap(), 100);
    assert_eq!(other.rows("SELECT count(*) FROM batches"), [["101"]]);

    // In a transaction that the client began, they are of that.
    session.run("BEGIN").await.unwrap();
    assert_eq!(session.update(insert, rows(100..200)).await.unwrap(), 100);
    session.run("ROLLBACK").await.unwrap();
    assert_eq!(other.rows("SELECT count(*) FROM batches"), [["101"]]);
}
