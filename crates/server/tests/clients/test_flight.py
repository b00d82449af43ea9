"""Arrow Flight SQL: ADBC, and pyarrow's plain Flight client."""

import datetime as dt
import uuid
from decimal import Decimal

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import psycopg
import pyarrow
import pyarrow.flight
import pytest


@pytest.fixture
def connection(server):
    with flight_sql.connect(f"grpc://{server.flight}", autocommit=True) as connection:
        yield connection


@pytest.fixture
def sql(server):
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def fetch(connection, query, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetch_arrow_table()


def test_adbc_and_pyarrow_and_psycopg_see_the_same_values(server, connection, sql):
    sql.execute(
        "CREATE TABLE same (id int PRIMARY KEY, b bool, i8 int8, f8 float8, n numeric(12,3), t text, bytes bytea, d date, ts timestamp, tz timestamptz, u uuid)"
    )
    row = (
        1,
        True,
        -9007199254740993,
        0.1,
        Decimal("123456789.125"),
        "Zürich",
        b"\x00\xff",
        dt.date(1999, 12, 31),
        dt.datetime(2024, 2, 29, 12, 0, 0, 1),
        dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone.utc),
        uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    )
    sql.execute("INSERT INTO same VALUES (" + ", ".join(["%s"] * len(row)) + ")", row)
    sql.execute("INSERT INTO same (id) VALUES (2)")
    query = "SELECT * FROM same ORDER BY id"
    by_adbc = fetch(connection, query)
    by_pyarrow = plain_flight(server, query)
    assert by_adbc.equals(by_pyarrow)
    by_psycopg = sql.execute(query).fetchall()
    assert [tuple(plain(v) for v in r.values()) for r in by_adbc.to_pylist()] == by_psycopg
    assert by_adbc.schema.field("n").type == pyarrow.decimal128(12, 3)
    assert by_adbc.schema.field("tz").type == pyarrow.timestamp("us", tz="UTC")


def plain(value):
    return uuid.UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else value


def plain_flight(server, query):
    """CommandStatementQuery by hand, through the Flight client that knows nothing of SQL."""

    def field(number, data):
        return bytes([number << 3 | 2]) + varint(len(data)) + data

    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(1, url) + field(2, field(1, query.encode()))
    client = pyarrow.flight.connect(f"grpc://{server.flight}")
    info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
    table = client.do_get(info.endpoints[0].ticket).read_all()
    assert table.schema == info.schema
    return table


def test_types_without_an_arrow_twin(connection):
    table = fetch(connection, "SELECT sum(x)::numeric AS total, interval '1 month 2 days 3.5 s' AS span FROM (VALUES (1::int8), (2)) v(x)")
    assert table.column("total").to_pylist() == ["3"]
    span = table.column("span").to_pylist()[0]
    assert (span.months, span.days, span.nanoseconds) == (1, 2, 3_500_000_000)


def test_newer_types_are_what_their_text_says(connection, sql):
    sql.execute("CREATE TYPE flight_mood AS ENUM ('sad', 'fine')")
    values = ["'{\"a\": 1}'::jsonb", "'101'::varbit", "'12:34:56.5-03'::timetz", "'10.1.2.3/8'::inet", "'fine'::flight_mood", "ROW(7, 'b')"]
    select = ", ".join(f"{v} AS v{i}" for i, v in enumerate(values))
    (row,) = fetch(connection, f"SELECT {select}").to_pylist()
    assert list(row.values()) == ['{"a": 1}', "101", "12:34:56.5-03", "10.1.2.3/8", "fine", "(7,b)"]
    (row,) = fetch(connection, "SELECT ARRAY[1, NULL, 3] AS a, ARRAY['x']::text[] AS t").to_pylist()
    assert row == {"a": "{1,NULL,3}", "t": "{x}"}
    sql.execute("DROP TYPE flight_mood")


def test_parameters_are_bound(connection):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bound (id int PRIMARY KEY, v text)")
        cursor.executemany("INSERT INTO bound VALUES ($1, $2)", [(1, "one"), (2, "two"), (3, None)])
    assert fetch(connection, "SELECT v FROM bound WHERE id = $1", (2,)).to_pylist() == [{"v": "two"}]
    assert fetch(connection, "SELECT count(*) AS n FROM bound").to_pylist() == [{"n": 3}]


def test_an_error_names_its_state(connection):
    with pytest.raises(adbc_driver_manager.Error, match="22012"):
        fetch(connection, "SELECT 1/0")
    with pytest.raises(adbc_driver_manager.Error, match="42P01"):
        fetch(connection, "SELECT * FROM no_such_table")


def test_transactions_commit_and_roll_back(server, connection):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE moved (id int PRIMARY KEY)")
    with flight_sql.connect(f"grpc://{server.flight}") as transactional:
        with transactional.cursor() as cursor:
            cursor.execute("INSERT INTO moved VALUES (1)")
        assert fetch(connection, "SELECT * FROM moved").num_rows == 0
        transactional.commit()
        with transactional.cursor() as cursor:
            cursor.execute("INSERT INTO moved VALUES (2)")
        transactional.rollback()
    assert fetch(connection, "SELECT * FROM moved").to_pylist() == [{"id": 1}]


@pytest.mark.parametrize("mode", ["create", "append", "replace", "create_append"])
def test_bulk_ingest(connection, mode):
    name = f"ingested_{mode}"
    data = pyarrow.table(
        {
            "id": pyarrow.array(range(10_000), pyarrow.int64()),
            "label": pyarrow.array([f"row\t{n}\\" if n % 3 else None for n in range(10_000)]),
            "price": pyarrow.array([Decimal(n) / 4 for n in range(10_000)], pyarrow.decimal128(10, 2)),
        }
    )
    with connection.cursor() as cursor:
        if mode in ("append", "replace"):
            assert cursor.adbc_ingest(name, data, mode="create") == 10_000
        assert cursor.adbc_ingest(name, data, mode=mode) == 10_000
    expected = 20_000 if mode == "append" else 10_000
    assert fetch(connection, f"SELECT count(*) AS n FROM {name}").to_pylist() == [{"n": expected}]
    if mode == "create":
        assert fetch(connection, f"SELECT * FROM {name} ORDER BY id").to_pylist() == data.to_pylist()
        with connection.cursor() as cursor, pytest.raises(adbc_driver_manager.Error, match="42P07|already exists"):
            cursor.adbc_ingest(name, data, mode="create")


def test_what_is_in_the_database_can_be_asked(connection, sql):
    sql.execute("CREATE TABLE described (a int, b text NOT NULL, c numeric(6,2), PRIMARY KEY (b, a))")
    schema = connection.adbc_get_table_schema("described", db_schema_filter="public")
    assert [(f.name, f.type, f.nullable) for f in schema] == [
        ("a", pyarrow.int32(), False),
        ("b", pyarrow.string(), False),
        ("c", pyarrow.decimal128(6, 2), True),
    ]
    objects = connection.adbc_get_objects(depth="tables", db_schema_filter="public", table_name_filter="described")
    (catalog,) = objects.read_all().to_pylist()
    assert catalog["catalog_name"] == "curia"
    assert [t["table_name"] for s in catalog["catalog_db_schemas"] for t in s["db_schema_tables"]] == ["described"]
    assert "TABLE" in connection.adbc_get_table_types()
    assert connection.adbc_get_info()["vendor_name"] == "Curia"


def test_a_large_result_is_streamed(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT g, g * 2 AS twice FROM generate_series(1, 500000) g")
        reader = cursor.fetch_record_batch()
        total = sum(batch.num_rows for batch in reader)
    assert total == 500_000


def test_servers_that_follow_answer_as_the_consul_does_and_write_nothing(cluster):
    consul, *others = cluster
    with psycopg.connect(consul.url, autocommit=True) as sql:
        sql.execute("CREATE TABLE everywhere (id int PRIMARY KEY, n numeric(10,2))")
        sql.execute("INSERT INTO everywhere SELECT g, g / 4.0 FROM generate_series(1, 10000) g")
    query = "SELECT count(*) AS c, sum(n)::numeric(20,2) AS s FROM everywhere"
    expected = [{"c": 10_000, "s": Decimal("12501250.00")}]
    for server in cluster:
        # What was committed before the question is in the answer, wherever it is asked.
        with psycopg.connect(consul.url, autocommit=True) as sql:
            sql.execute("UPDATE everywhere SET n = n WHERE id = 1")
        with flight_sql.connect(f"grpc://{server.flight}", autocommit=True) as connection:
            assert fetch(connection, query).to_pylist() == expected
            assert fetch(connection, "SELECT n FROM everywhere WHERE id = $1", (8,)).to_pylist() == [{"n": Decimal("2.00")}]
        assert plain_flight(server, "SELECT id FROM everywhere ORDER BY id").num_rows == 10_000
    for server in others:
        with flight_sql.connect(f"grpc://{server.flight}", autocommit=True) as connection, connection.cursor() as cursor:
            with pytest.raises(adbc_driver_manager.Error, match="25006"):
                cursor.executemany("INSERT INTO everywhere VALUES ($1, $2)", [(0, Decimal(0))])
            with pytest.raises(adbc_driver_manager.Error, match="25006"):
                cursor.adbc_ingest("made_here", pyarrow.table({"a": [1]}), mode="create")
            with pytest.raises(adbc_driver_manager.Error, match="22012"):
                fetch(connection, "SELECT 1/0")
