"""psycopg 3: text, binary, COPY, pipeline."""

import datetime as dt
import uuid
from decimal import Decimal

import psycopg
import pytest

ROW = (
    7,
    True,
    32767,
    2147483647,
    9223372036854775807,
    1.5,
    0.1,
    Decimal("-12345678901234567890.123456789"),
    "naïve 🦀",
    b"\x00\x01\xff",
    dt.date(1969, 7, 20),
    dt.time(20, 17, 40, 123456),
    dt.datetime(2038, 1, 19, 3, 14, 8, 999999),
    dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc),
    dt.timedelta(days=3, microseconds=1),
    uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
)
TABLE = """CREATE TABLE {} (id int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text,
    bytes bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid)"""


@pytest.fixture
def connection(server):
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_every_type_comes_back_as_it_went_in(connection, binary):
    table = f"types_{'binary' if binary else 'text'}"
    connection.execute(TABLE.format(table))
    places = ", ".join(["%b" if binary else "%t"] * len(ROW))
    connection.execute(f"INSERT INTO {table} VALUES ({places})", ROW)
    connection.execute(f"INSERT INTO {table} (id) VALUES (8)")
    with connection.cursor(binary=binary) as cursor:
        rows = cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    assert rows == [ROW, (8, *[None] * (len(ROW) - 1))]


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_copy_in_and_out(connection, form):
    table = f"copied_{form}"
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text, n int8)")
    rows = [(1, "tab\there", 10), (2, None, None), (3, 'quote " and , comma\nnewline', -5)]
    with connection.cursor() as cursor:
        if form == "csv":
            with cursor.copy(f"COPY {table} FROM STDIN WITH (FORMAT csv)") as copy:
                copy.write('1,"tab\there",10\n2,,\n3,"quote "" and , comma\nnewline",-5\n')
        else:
            with cursor.copy(f"COPY {table} FROM STDIN WITH (FORMAT {form})") as copy:
                copy.set_types(["int4", "text", "int8"])
                for row in rows:
                    copy.write_row(row)
        assert cursor.rowcount == 3
        assert cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() == rows
        with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT WITH (FORMAT {form})") as copy:
            if form == "csv":
                out = b"".join(copy)
                assert bytes(out).decode().startswith("1,tab\there,10\n2,,\n3,\"quote \"\"")
            else:
                copy.set_types(["int4", "text", "int8"])
                assert list(copy.rows()) == rows


NEWER = """CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE newer (id int PRIMARY KEY, j jsonb, ints int[], words text[], bits varbit, b5 bit(5), tz timetz, i inet, c cidr, m macaddr, e mood, p pair);
CREATE TABLE newer_again (LIKE newer);
INSERT INTO newer VALUES
    (1, '{"a": [1.50, null, {"b": "é"}]}', '{{1,NULL},{3,4}}', '[0:1]={"x y",NULL}', '101', '10011', '12:34:56.5-03', '10.1.2.3/8', '10.1.0.0/16',
     '08:00:2b:01:02:03', 'fine', '(7,"a, b")'),
    (2, 'null', '{}', '{""}', '', '00000', '00:00+15', '::1', '::/0', 'ff:ff:ff:ff:ff:ff', 'sad', '(,)'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""


def test_newer_types_are_copied_in_binary(connection):
    for statement in NEWER.split(";"):
        connection.execute(statement)
    with connection.cursor() as cursor:
        with cursor.copy("COPY newer TO STDOUT (FORMAT binary)") as copy:
            data = b"".join(copy)
        with cursor.copy("COPY newer_again FROM STDIN (FORMAT binary)") as copy:
            copy.write(data)
        cursor.execute("SELECT * FROM newer EXCEPT SELECT * FROM newer_again")
        assert cursor.fetchall() == []
        cursor.execute("SELECT j::text, ints::text, words::text, bits::text, tz::text, i::text, e::text, p::text FROM newer_again WHERE id = 1")
        assert cursor.fetchone() == (
            '{"a": [1.50, null, {"b": "é"}]}', "{{1,NULL},{3,4}}", '[0:1]={"x y",NULL}', "101", "12:34:56.5-03", "10.1.2.3/8", "fine", '(7,"a, b")',
        )
    connection.execute("DROP TABLE newer, newer_again; DROP TYPE mood, pair")


def test_a_pipeline_sends_many_statements_at_once(connection):
    connection.execute("CREATE TABLE piped (id int PRIMARY KEY)")
    with connection.pipeline():
        cursors = [connection.execute("INSERT INTO piped VALUES (%s) RETURNING id * 10", (n,)) for n in range(50)]
    assert [cursor.fetchone()[0] for cursor in cursors] == [n * 10 for n in range(50)]
    assert connection.execute("SELECT count(*) FROM piped").fetchone() == (50,)


def test_an_error_in_a_pipeline_spares_what_follows_its_sync(connection):
    connection.execute("CREATE TABLE broken (id int PRIMARY KEY)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        with connection.pipeline():
            connection.execute("INSERT INTO broken VALUES (1)")
            connection.execute("INSERT INTO broken VALUES (1)")
    connection.execute("INSERT INTO broken VALUES (2)")


def test_transactions_and_savepoints_nest(connection):
    connection.execute("CREATE TABLE nested (id int PRIMARY KEY)")
    with connection.transaction():
        connection.execute("INSERT INTO nested VALUES (1)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            with connection.transaction():
                connection.execute("INSERT INTO nested VALUES (2)")
                connection.execute("SELECT 1/0")
        connection.execute("INSERT INTO nested VALUES (3)")
    assert connection.execute("SELECT id FROM nested ORDER BY id").fetchall() == [(1,), (3,)]


def test_a_prepared_statement_is_used_again(connection):
    for n in range(20):
        assert connection.execute("SELECT %s::int + 1", (n,), prepare=True).fetchone() == (n + 1,)


def test_rows_are_streamed(connection):
    with connection.cursor() as cursor:
        rows = cursor.stream("SELECT g FROM generate_series(1, 100000) g")
        assert sum(row[0] for row in rows) == 100_000 * 100_001 // 2
