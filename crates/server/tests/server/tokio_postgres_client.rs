//! tokio-postgres as an application uses it: what crates/server/tests/clients does with the drivers of other languages.

use crate::house::{House, connect, state};
use bytes::{BufMut, BytesMut};
use curia_sim::server::Server;
use futures::future::{join_all, try_join_all};
use futures::{SinkExt, StreamExt, TryStreamExt, stream};
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, IsolationLevel, NoTls, SimpleQueryMessage};

/// The binary form of a type that the driver has no Rust type for here, as it comes and goes.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

async fn comes_back<T>(client: &Client, ty: &str, value: T)
where
    T: ToSql + Sync + PartialEq + std::fmt::Debug + for<'a> FromSql<'a>,
{
    let row = client.query_one(&format!("SELECT $1::{ty}, NULL::{ty}"), &[&value]).await.unwrap();
    assert_eq!(row.get::<_, T>(0), value, "{ty}");
    assert!(row.get::<_, Option<T>>(1).is_none(), "{ty}");
}

#[tokio::test]
async fn a_value_of_each_type_comes_back_in_binary_as_it_went_in() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    comes_back(&client, "bool", true).await;
    comes_back(&client, "\"char\"", b'c' as i8).await;
    comes_back(&client, "int2", i16::MIN).await;
    comes_back(&client, "int4", i32::MAX).await;
    comes_back(&client, "int8", i64::MIN).await;
    comes_back(&client, "oid", u32::MAX).await;
    comes_back(&client, "float4", 1.5_f32).await;
    comes_back(&client, "float8", f64::MIN_POSITIVE).await;
    comes_back(&client, "text", "naïve 🦀".to_owned()).await;
    comes_back(&client, "varchar(3)", "abc".to_owned()).await;
    comes_back(&client, "name", "n".to_owned()).await;
    comes_back(&client, "bytea", vec![0_u8, 1, 255]).await;
    comes_back(&client, "inet", "2001:db8::1".parse::<IpAddr>().unwrap()).await;
    let before_2000 = SystemTime::UNIX_EPOCH + Duration::from_micros(123_456_789);
    comes_back(&client, "timestamptz", before_2000).await;
    comes_back(&client, "timestamp", before_2000).await;
    comes_back(&client, "int4[]", vec![Some(1), None, Some(3)]).await;
    comes_back(&client, "text[]", vec!["a,b".to_owned(), "\"".to_owned(), String::new()]).await;
    for (ty, text) in [
        ("numeric", "-12345678901234567890.123456789"),
        ("date", "0044-03-15 BC"),
        ("time", "20:17:40.123456"),
        ("timetz", "20:17:40+02"),
        ("interval", "-1 mons +3 days -00:00:00.000001"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("json", "{\"a\": 1}"),
        ("jsonb", "{\"a\": [1, null]}"),
        ("varbit", "10101"),
        ("macaddr", "08:00:2b:01:02:03"),
        ("point", "(1.5,-2)"),
    ] {
        let sent: Raw = client.query_one(&format!("SELECT '{text}'::{ty}"), &[]).await.unwrap().get(0);
        let row = client
            .query_one(&format!("SELECT $1::{ty}, ($1::{ty})::text"), &[&sent])
            .await
            .unwrap();
        assert_eq!(row.get::<_, Raw>(0), sent, "{ty}");
        let shown: String = row.get(1);
        let same: bool = client
            .query_one(&format!("SELECT '{text}'::{ty}::text = $1"), &[&shown])
            .await
            .unwrap()
            .get(0);
        assert!(same, "{ty}: {shown}");
    }
}

#[derive(Debug, PartialEq)]
struct Mood(String);

impl<'a> FromSql<'a> for Mood {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Mood, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Mood(String::from_utf8(raw.to_vec())?))
    }
    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Enum(_))
    }
}

#[tokio::test]
async fn the_driver_learns_types_that_users_made_from_the_catalogs() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('sad', 'ok');
             CREATE DOMAIN small AS int CHECK (value < 10);
             CREATE TYPE pair AS (a int, b mood);
             CREATE TABLE t (m mood, s small, p pair, a mood[]);
             INSERT INTO t VALUES ('ok', 7, ROW(1, 'sad'), '{sad,ok}')",
        )
        .await
        .unwrap();
    let select = client.prepare("SELECT m, p, a FROM t").await.unwrap();
    let types: Vec<&Type> = select.columns().iter().map(|c| c.type_()).collect();
    assert_eq!(types[0].name(), "mood");
    assert_eq!(*types[0].kind(), Kind::Enum(vec!["sad".to_owned(), "ok".to_owned()]));
    let Kind::Composite(fields) = types[1].kind() else {
        panic!("{:?}", types[1]);
    };
    assert_eq!(fields.iter().map(|f| f.name()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(matches!(types[2].kind(), Kind::Array(element) if element.name() == "mood"));
    let row = client.query_one(&select, &[]).await.unwrap();
    assert_eq!(row.get::<_, Mood>(0), Mood("ok".to_owned()));
    assert_eq!(row.get::<_, Vec<Mood>>(2), [Mood("sad".to_owned()), Mood("ok".to_owned())]);

    let insert = client.prepare("INSERT INTO t (s) VALUES ($1)").await.unwrap();
    assert!(matches!(insert.params()[0].kind(), Kind::Domain(base) if *base == Type::INT4));
    // The driver's integers are no domains.
    let number = "INSERT INTO t (s) VALUES ($1::int)";
    let error = client.execute(number, &[&99_i32]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION));
}

#[tokio::test]
async fn a_prepared_statement_says_its_types_and_runs_again_after_its_table_changed() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.unwrap();
    let insert = client
        .prepare("INSERT INTO t VALUES ($1, $2) RETURNING id, v || '!'")
        .await
        .unwrap();
    assert_eq!(insert.params(), [Type::INT4, Type::TEXT]);
    let columns: Vec<(&str, &Type)> = insert.columns().iter().map(|c| (c.name(), c.type_())).collect();
    assert_eq!(columns, [("id", &Type::INT4), ("?column?", &Type::TEXT)]);
    for id in 0..3_i32 {
        let row = client.query_one(&insert, &[&id, &"v"]).await.unwrap();
        assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1)), (id, "v!"));
    }
    client.batch_execute("ALTER TABLE t ADD COLUMN w int DEFAULT 9").await.unwrap();
    assert_eq!(client.query_one(&insert, &[&3_i32, &"w"]).await.unwrap().get::<_, &str>(1), "w!");
    let typed = client.prepare_typed("SELECT $1 + 1", &[Type::INT8]).await.unwrap();
    assert_eq!(client.query_one(&typed, &[&41_i64]).await.unwrap().get::<_, i64>(0), 42);
    let rows: Vec<_> = client
        .query_raw("SELECT id FROM t WHERE id > $1 ORDER BY id", [0_i32])
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rows.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn transactions_nest_by_savepoints_and_portals_give_rows_in_pieces() {
    let house = House::new();
    let server = house.start();
    let mut client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let mut outer = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .await
        .unwrap();
    outer.execute("INSERT INTO t SELECT generate_series(1, 100)", &[]).await.unwrap();
    {
        let inner = outer.transaction().await.unwrap();
        let error = inner.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap_err();
        assert_eq!(state(&error), "23505");
        inner.rollback().await.unwrap();
    }
    let portal = outer.bind("SELECT id FROM t ORDER BY id", &[]).await.unwrap();
    let sizes = [
        outer.query_portal(&portal, 64).await.unwrap().len(),
        outer.query_portal(&portal, 64).await.unwrap().len(),
    ];
    assert_eq!(sizes, [64, 36]);
    outer.commit().await.unwrap();

    let reading = client.build_transaction().read_only(true).start().await.unwrap();
    assert_eq!(state(&reading.execute("DELETE FROM t", &[]).await.unwrap_err()), "25006");
    // Dropped, so rolled back.
    drop(reading);
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 100);
}

#[tokio::test]
async fn copy_in_binary_goes_in_and_comes_out_the_same() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE TABLE t (id int8, v text, at timestamptz)")
        .await
        .unwrap();
    let types = [Type::INT8, Type::TEXT, Type::TIMESTAMPTZ];
    let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_234_567_890_123_456);
    let sink = client.copy_in("COPY t FROM STDIN BINARY").await.unwrap();
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for id in 0..1_000_i64 {
        let v = (id % 3 != 0).then(|| format!("row\t{id}\n"));
        writer.as_mut().write(&[&id, &v, &now]).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), 1_000);

    let out = client
        .copy_out("COPY (SELECT * FROM t ORDER BY id) TO STDOUT BINARY")
        .await
        .unwrap();
    let rows: Vec<_> = BinaryCopyOutStream::new(out, &types).try_collect().await.unwrap();
    assert_eq!(rows.len(), 1_000);
    for (id, row) in (0_i64..).zip(&rows) {
        assert_eq!(row.get::<i64>(0), id);
        assert_eq!(row.get::<Option<String>>(1), (id % 3 != 0).then(|| format!("row\t{id}\n")));
        assert_eq!(row.get::<SystemTime>(2), now);
    }
    // One that is not finished leaves nothing, and the connection goes on.
    {
        let sink = client.copy_in::<_, bytes::Bytes>("COPY t FROM STDIN").await.unwrap();
        let mut sink = pin!(sink);
        sink.send(bytes::Bytes::from_static(b"5\tleft\t\\N\n")).await.unwrap();
    }
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 1_000);
}

#[tokio::test]
async fn an_error_says_what_and_where() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client
        .batch_execute("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, n int CONSTRAINT positive CHECK (n > 0))")
        .await
        .unwrap();
    let error = client
        .execute("INSERT INTO s.t VALUES ($1, $2)", &[&1_i32, &-1_i32])
        .await
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(*error.code(), SqlState::CHECK_VIOLATION);
    assert_eq!(
        (error.schema(), error.table(), error.constraint()),
        (Some("s"), Some("t"), Some("positive"))
    );
    assert_eq!(error.detail(), Some("Failing row contains (1, -1)."));
    assert_eq!(error.parsed_severity(), Some(tokio_postgres::error::Severity::Error));
    for (sql, expected) in [
        ("SELECT * FROM nothing", SqlState::UNDEFINED_TABLE),
        ("SELEC 1", SqlState::SYNTAX_ERROR),
        ("SELECT 'x'::int", SqlState::INVALID_TEXT_REPRESENTATION),
        ("SELECT nothing(1)", SqlState::UNDEFINED_FUNCTION),
        ("SELECT 1 / 0", SqlState::DIVISION_BY_ZERO),
        ("DROP TABLE s.u", SqlState::UNDEFINED_TABLE),
    ] {
        assert_eq!(client.query(sql, &[]).await.unwrap_err().code(), Some(&expected), "{sql}");
    }
    // A value of another type than the statement's parameter is the driver's to refuse.
    assert!(client.query("SELECT $1::int4", &[&"text"]).await.unwrap_err().code().is_none());
}

#[tokio::test]
async fn messages_of_a_pipeline_are_answered_in_order_and_fail_one_by_one() {
    let house = House::new();
    let server = house.start();
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1)").await.unwrap();
    let written = try_join_all((0..200_i32).map(|id| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[&id]).await }
    }))
    .await
    .unwrap();
    assert_eq!(written.iter().sum::<u64>(), 200);
    let results = join_all([1_i32, 300, 2].map(|id| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[&id]).await }
    }))
    .await;
    let codes: Vec<Option<String>> = results.iter().map(|r| r.as_ref().err().map(|e| state(e).to_owned())).collect();
    assert_eq!(codes, [Some("23505".to_owned()), None, Some("23505".to_owned())]);
    let simple = client
        .simple_query("SELECT id FROM t WHERE id > 198 ORDER BY id; DELETE FROM t WHERE id = 300")
        .await
        .unwrap();
    let shown: Vec<String> = simple
        .iter()
        .filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some(format!("row {}", row.get(0).unwrap())),
            SimpleQueryMessage::CommandComplete(n) => Some(format!("done {n}")),
            _ => None,
        })
        .collect();
    assert_eq!(shown, ["row 199", "row 300", "done 2", "done 1"]);
}

/// A connection whose notices and notifications are kept.
async fn listening(server: &Server) -> (Client, tokio::sync::mpsc::UnboundedReceiver<AsyncMessage>) {
    let address = format!("postgresql://curia@{}/curia?application_name=listener", server.sql);
    let (client, mut connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    (client, receiver)
}

#[tokio::test]
async fn notices_and_notifications_arrive() {
    let house = House::new();
    let server = house.start();
    let (listener, mut messages) = listening(&server).await;
    listener.batch_execute("DROP TABLE IF EXISTS absent; LISTEN news").await.unwrap();
    let Some(AsyncMessage::Notice(notice)) = messages.recv().await else {
        panic!("no notice");
    };
    assert_eq!(notice.message(), "table \"absent\" does not exist, skipping");
    let name: String = listener.query_one("SHOW application_name", &[]).await.unwrap().get(0);
    assert_eq!(name, "listener");

    let mut other = connect(&server).await;
    let transaction = other.transaction().await.unwrap();
    transaction.execute("SELECT pg_notify('news', $1)", &[&"first"]).await.unwrap();
    transaction.batch_execute("NOTIFY news, 'second'").await.unwrap();
    transaction.commit().await.unwrap();
    for payload in ["first", "second"] {
        let Some(AsyncMessage::Notification(n)) = messages.recv().await else {
            panic!("no notification");
        };
        assert_eq!((n.channel(), n.payload()), ("news", payload));
    }
}

#[tokio::test]
async fn a_waiting_statement_is_cancelled_and_the_connection_goes_on() {
    let house = House::new();
    let server = house.start();
    let (holder, waiter) = (connect(&server).await, connect(&server).await);
    // Not in one message with the rest: BEGIN takes up what came before it in the same one.
    let table = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
    holder.batch_execute(table).await.unwrap();
    holder.batch_execute("BEGIN; UPDATE t SET id = 2").await.unwrap();
    let cancel = waiter.cancel_token();
    let waiting = tokio::spawn(async move {
        let error = waiter.execute("DELETE FROM t", &[]).await.unwrap_err();
        (waiter, error.code().cloned())
    });
    // Cancelling before it waits would cancel nothing.
    let blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while holder.query_one(blocked, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cancel.cancel_query(NoTls).await.unwrap();
    let (waiter, code) = waiting.await.unwrap();
    assert_eq!(code, Some(SqlState::QUERY_CANCELED));
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(waiter.execute("DELETE FROM t", &[]).await.unwrap(), 1);
}
