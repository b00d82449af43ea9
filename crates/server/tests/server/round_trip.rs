//! What small applications do, through a PostgreSQL driver as they have it.

use crate::house::{House, connect, state};
use std::pin::pin;
use std::time::SystemTime;

#[tokio::test]
async fn an_application_creates_fills_and_queries_tables() {
    let house = House::new();
    let server = house.start();
    let mut client = connect(&server).await;
    client
        .batch_execute(
            "CREATE TABLE planets (id serial PRIMARY KEY, name text NOT NULL UNIQUE, mass numeric(10,3), discovered timestamptz, ringed bool DEFAULT false);
             CREATE TABLE moons (name text PRIMARY KEY, planet int NOT NULL, radius float8);",
        )
        .await
        .unwrap();
    let insert = client
        .prepare("INSERT INTO planets (name, discovered, ringed) VALUES ($1, $2, $3) RETURNING id")
        .await
        .unwrap();
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_234_567_890_123_456);
    let jupiter: i32 = client.query_one(&insert, &[&"Jupiter", &now, &true]).await.unwrap().get(0);
    let mars: i32 = client
        .query_one(&insert, &[&"Mars", &None::<SystemTime>, &false])
        .await
        .unwrap()
        .get(0);
    assert_eq!((jupiter, mars), (1, 2));

    let transaction = client.transaction().await.unwrap();
    for (name, planet, radius) in [("Europa", jupiter, 1560.8), ("Ganymede", jupiter, 2634.1), ("Phobos", mars, 11.3)] {
        transaction
            .execute("INSERT INTO moons VALUES ($1, $2, $3)", &[&name, &planet, &radius])
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();

    let rows = client
        .query(
            "SELECT p.name, count(*), max(m.radius), p.discovered FROM planets p JOIN moons m ON m.planet = p.id
             GROUP BY p.name, p.discovered ORDER BY p.name",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].get::<_, &str>(0), rows[0].get::<_, i64>(1), rows[0].get::<_, f64>(2)),
        ("Jupiter", 2, 2634.1)
    );
    assert_eq!(rows[0].get::<_, Option<SystemTime>>(3), Some(now));
    assert_eq!(rows[1].get::<_, Option<SystemTime>>(3), None);

    assert_eq!(
        client
            .execute("UPDATE moons SET radius = radius * 2 WHERE planet = $1", &[&jupiter])
            .await
            .unwrap(),
        2
    );
    assert_eq!(client.execute("DELETE FROM moons WHERE name = 'Phobos'", &[]).await.unwrap(), 1);
    let radius: f64 = client
        .query_one("SELECT radius FROM moons WHERE name = $1", &[&"Europa"])
        .await
        .unwrap()
        .get(0);
    assert_eq!(radius, 3121.6);
}

#[tokio::test]
async fn errors_carry_what_postgresql_says() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL)")
        .await
        .unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, 'one')").await.unwrap();

    let error = client.batch_execute("INSERT INTO t VALUES (1, 'again')").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "23505");
    assert_eq!(error.message(), "duplicate key value violates unique constraint \"t_pkey\"");
    assert_eq!(error.detail(), Some("Key (id)=(1) already exists."));
    assert_eq!((error.table(), error.constraint()), (Some("t"), Some("t_pkey")));

    let error = client.batch_execute("INSERT INTO t VALUES (2, NULL)").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "23502");
    assert_eq!(error.column(), Some("v"));
    assert_eq!(error.detail(), Some("Failing row contains (2, null)."));

    let error = client.batch_execute("SELECT nothing FROM t").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "42703");
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(8)));
}

#[tokio::test]
async fn a_failed_transaction_refuses_everything_until_its_end() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    client.batch_execute("SAVEPOINT s").await.unwrap();
    assert_eq!(state(&client.batch_execute("SELECT 1/0").await.unwrap_err()), "22012");
    assert_eq!(state(&client.batch_execute("SELECT 1").await.unwrap_err()), "25P02");
    client.batch_execute("ROLLBACK TO s").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 2);
}

#[tokio::test]
async fn copy_goes_in_and_comes_out_the_same() {
    use futures::{SinkExt, TryStreamExt};
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric)")
        .await
        .unwrap();
    let lines = "1\tplain\t1.50\n2\t\\N\t\\N\n3\ttab\\there \\\\ newline\\n\t-1e3\n";
    {
        let sink = client.copy_in::<_, bytes::Bytes>("COPY t FROM STDIN").await.unwrap();
        let mut sink = pin!(sink);
        // Cut in the middle of a value.
        let (first, second) = lines.as_bytes().split_at(9);
        sink.send(bytes::Bytes::from_static(first)).await.unwrap();
        sink.send(bytes::Bytes::from_static(second)).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 3);
    }
    let out = client.copy_out("COPY (SELECT * FROM t ORDER BY id) TO STDOUT").await.unwrap();
    let out: Vec<bytes::Bytes> = out.try_collect().await.unwrap();
    assert_eq!(String::from_utf8(out.concat()).unwrap(), lines.replace("-1e3", "-1000"));
}

#[tokio::test]
async fn a_writer_waits_for_the_holder_of_its_row() {
    let house = House::new();
    let server = house.start();
    let (holder, waiter) = (connect(&server).await, connect(&server).await);
    holder
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 10)")
        .await
        .unwrap();
    holder.batch_execute("BEGIN; UPDATE t SET v = v + 1 WHERE id = 1").await.unwrap();
    let waiting = tokio::spawn(async move { waiter.execute("UPDATE t SET v = v * 2 WHERE id = 1", &[]).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    let v: i32 = holder.query_one("SELECT v FROM t", &[]).await.unwrap().get(0);
    assert_eq!(v, 22);
}

#[tokio::test]
async fn a_running_statement_can_be_cancelled() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    let cancel = client.cancel_token();
    let slow = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(60)").await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert_eq!(state(&slow.await.unwrap().unwrap_err()), "57014");
}
