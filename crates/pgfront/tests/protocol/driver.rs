//! A driver as users have it: tokio-postgres.

use crate::server::shared;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, IsolationLevel, NoTls};

async fn connect() -> Client {
    let config = format!("host=127.0.0.1 port={} user=curia dbname=curia", shared().port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

#[test]
fn typed_values_make_the_round_trip() {
    run(async {
        let mut client = connect().await;
        client
            .batch_execute("CREATE TABLE driver_values (a int PRIMARY KEY, b text, c bool, d float8, e bytea, f bigint)")
            .await
            .unwrap();
        let insert = client
            .prepare("INSERT INTO driver_values VALUES ($1, $2, $3, $4, $5, $6)")
            .await
            .unwrap();
        let n = client
            .execute(&insert, &[&1i32, &Some("text"), &true, &1.5f64, &vec![1u8, 2, 255], &i64::MAX])
            .await
            .unwrap();
        assert_eq!(n, 1);
        let row = client
            .query_one("SELECT * FROM driver_values WHERE a = $1", &[&1i32])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>("b"), "text");
        assert!(row.get::<_, bool>("c"));
        assert_eq!(row.get::<_, f64>("d"), 1.5);
        assert_eq!(row.get::<_, Vec<u8>>("e"), [1, 2, 255]);
        assert_eq!(row.get::<_, i64>("f"), i64::MAX);
        let tx = client.transaction().await.unwrap();
        tx.execute("UPDATE driver_values SET b = NULL", &[]).await.unwrap();
        tx.rollback().await.unwrap();
        let kept: Option<String> = client.query_one("SELECT b FROM driver_values", &[]).await.unwrap().get(0);
        assert_eq!(kept.as_deref(), Some("text"));
    });
}

#[test]
fn pipelined_queries_are_answered_in_order() {
    run(async {
        let client = connect().await;
        let statement = client.prepare("SELECT $1::int4 * 2").await.unwrap();
        let queries = (0..100).map(|i| {
            let (client, statement) = (&client, &statement);
            async move { client.query_one(statement, &[&i]).await.unwrap().get::<_, i32>(0) }
        });
        let answers = futures::future::join_all(queries).await;
        assert_eq!(answers, (0..100).map(|i| i * 2).collect::<Vec<_>>());
    });
}

#[test]
fn a_portal_gives_its_rows_in_parts() {
    run(async {
        let mut client = connect().await;
        let tx = client.transaction().await.unwrap();
        let portal = tx.bind("SELECT generate_series(1, 5)", &[]).await.unwrap();
        assert_eq!(tx.query_portal(&portal, 2).await.unwrap().len(), 2);
        assert_eq!(tx.query_portal(&portal, 2).await.unwrap().len(), 2);
        assert_eq!(tx.query_portal(&portal, 2).await.unwrap().len(), 1);
    });
}

#[test]
fn an_error_names_constraint_table_and_detail() {
    run(async {
        let client = connect().await;
        client
            .batch_execute("CREATE TABLE driver_error (a int PRIMARY KEY); INSERT INTO driver_error VALUES (1)")
            .await
            .unwrap();
        let error = client.execute("INSERT INTO driver_error VALUES (1)", &[]).await.unwrap_err();
        let e = error.as_db_error().unwrap();
        assert_eq!(e.code().code(), "23505");
        assert_eq!(e.message(), "duplicate key value violates unique constraint \"driver_error_pkey\"");
        assert_eq!(e.detail(), Some("Key (a)=(1) already exists."));
        assert_eq!(
            (e.schema(), e.table(), e.constraint()),
            (Some("public"), Some("driver_error"), Some("driver_error_pkey"))
        );
    });
}

#[test]
fn copy_streams_both_ways() {
    use futures::{SinkExt, TryStreamExt};
    run(async {
        let client = connect().await;
        client
            .batch_execute("CREATE TABLE driver_copy (a int PRIMARY KEY, b text)")
            .await
            .unwrap();
        let sink = client.copy_in::<_, &[u8]>("COPY driver_copy FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        let lines: Vec<String> = (0..10_000).map(|i| format!("{i}\trow {i}\n")).collect();
        for line in &lines {
            let bytes: &'static [u8] = Box::leak(line.clone().into_bytes().into_boxed_slice());
            sink.send(bytes).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 10_000);
        let out = client.copy_out("COPY driver_copy TO STDOUT").await.unwrap();
        let data = out.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        assert_eq!(data.await.unwrap().len(), lines.iter().map(String::len).sum::<usize>());
    });
}

/// As docs/transactions.md has it.
async fn withdraw(client: &mut Client) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        let outcome = async {
            let t = client
                .build_transaction()
                .isolation_level(IsolationLevel::Serializable)
                .start()
                .await?;
            let row = t.query_one("SELECT sum(amount) FROM account WHERE owner = 1", &[]).await?;
            if row.get::<_, i64>(0) >= 10 {
                t.execute("UPDATE account SET amount = amount - 10 WHERE id = 1", &[]).await?;
            }
            t.commit().await
        }
        .await;
        match outcome {
            Err(e)
                if tries < 10
                    && matches!(
                        e.code(),
                        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
                    ) =>
            {
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

#[test]
fn the_retry_loop_of_the_documentation_keeps_what_it_checks() {
    run(async {
        connect()
            .await
            .batch_execute(
                "CREATE TABLE account (id int PRIMARY KEY, owner int, amount int); INSERT INTO account VALUES (1, 1, 15), (2, 1, 10)",
            )
            .await
            .unwrap();
        let (mut one, mut two) = (connect().await, connect().await);
        for _ in 0..3 {
            let (first, second) = tokio::join!(withdraw(&mut one), withdraw(&mut two));
            first.and(second).unwrap();
        }
        let left: i64 = one.query_one("SELECT sum(amount) FROM account", &[]).await.unwrap().get(0);
        assert_eq!(left, 5);
    });
}
