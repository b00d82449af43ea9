"""asyncpg: binary values, prepared statements, COPY, cursors, transactions, arrays, and its resets between uses of a connection."""

import asyncio
import datetime as dt
import uuid
from decimal import Decimal

import asyncpg
import pytest

VALUES = {
    "bool": True,
    "int2": -32768,
    "int4": 2147483647,
    "int8": -9223372036854775808,
    "float4": 1.5,
    "float8": 0.1,
    "numeric": Decimal("-12345678901234567890.123456789"),
    "text": "naïve 🦀",
    "varchar": "v",
    "name": "n",
    "bytea": b"\x00\x01\xff",
    "date": dt.date(1969, 7, 20),
    "time": dt.time(20, 17, 40, 123456),
    "timestamp": dt.datetime(2038, 1, 19, 3, 14, 8, 999999),
    "timestamptz": dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc),
    "interval": dt.timedelta(days=3, microseconds=1),
    "uuid": uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "json": '{"a": 1}',
}


def run(server, test, **options):
    """Runs `test(connection)` on a connection of its own."""

    async def connected():
        connection = await asyncpg.connect(server.url, **options)
        try:
            return await test(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


@pytest.mark.parametrize("type", VALUES)
def test_a_value_of_each_type_comes_back_as_it_went_in(server, type):
    async def test(connection):
        return await connection.fetchval(f"SELECT $1::{type}", VALUES[type])

    assert run(server, test) == VALUES[type]


@pytest.mark.parametrize("type", [t for t in VALUES if t != "json"])
def test_arrays_of_each_type_come_back_as_they_went_in(server, type):
    array = [VALUES[type], None, VALUES[type]]

    async def test(connection):
        return await connection.fetchval(f"SELECT $1::{type}[]", array)

    assert run(server, test) == array


def test_a_prepared_statement_tells_its_types_and_is_used_again(server):
    async def test(connection):
        statement = await connection.prepare("SELECT $1::int4 + 1 AS next, $2::text AS word")
        parameters = [t.name for t in statement.get_parameters()]
        columns = [(a.name, a.type.name) for a in statement.get_attributes()]
        rows = [tuple(await statement.fetchrow(n, "w")) for n in range(3)]
        return parameters, columns, rows

    parameters, columns, rows = run(server, test)
    assert parameters == ["int4", "text"]
    assert columns == [("next", "int4"), ("word", "text")]
    assert rows == [(1, "w"), (2, "w"), (3, "w")]


def test_many_rows_go_in_by_executemany_and_by_copy(server):
    rows = [(n, f"row {n}", None if n % 3 else Decimal(n) / 10) for n in range(1000)]

    async def test(connection):
        await connection.execute("CREATE TABLE asyncpg_rows (id int PRIMARY KEY, word text, part numeric)")
        await connection.executemany("INSERT INTO asyncpg_rows VALUES ($1, $2, $3)", rows[:500])
        tag = await connection.copy_records_to_table("asyncpg_rows", records=rows[500:])
        assert tag == "COPY 500"
        back = await connection.fetch("SELECT * FROM asyncpg_rows ORDER BY id")
        out = bytearray()

        async def collect(data):
            out.extend(data)

        tag = await connection.copy_from_query(
            "SELECT id, word FROM asyncpg_rows WHERE id < $1 ORDER BY id", 2, output=collect, format="csv"
        )
        return [tuple(r) for r in back], tag, bytes(out)

    back, tag, out = run(server, test)
    assert back == rows
    assert (tag, out) == ("COPY 2", b"0,row 0\n1,row 1\n")


def test_a_cursor_fetches_in_pieces(server):
    async def test(connection):
        async with connection.transaction():
            total = 0
            async for row in connection.cursor("SELECT g FROM generate_series(1, $1::int) g", 1000, prefetch=100):
                total += row["g"]
            return total

    assert run(server, test) == 500_500


def test_transactions_and_savepoints_nest(server):
    async def test(connection):
        await connection.execute("CREATE TABLE asyncpg_nested (id int PRIMARY KEY)")
        async with connection.transaction():
            await connection.execute("INSERT INTO asyncpg_nested VALUES (1)")
            with pytest.raises(asyncpg.UniqueViolationError) as refused:
                async with connection.transaction():
                    await connection.execute("INSERT INTO asyncpg_nested VALUES (2), (1)")
            await connection.execute("INSERT INTO asyncpg_nested VALUES (3)")
        rows = await connection.fetch("SELECT id FROM asyncpg_nested ORDER BY id")
        return refused.value, [r["id"] for r in rows]

    refused, rows = run(server, test)
    assert (refused.constraint_name, refused.table_name, refused.schema_name) == ("asyncpg_nested_pkey", "asyncpg_nested", "public")
    assert rows == [1, 3]


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read"])
def test_isolation_and_access_of_a_transaction_are_set(server, isolation):
    async def test(connection):
        async with connection.transaction(isolation=isolation, readonly=True):
            level = await connection.fetchval("SHOW transaction_isolation")
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                async with connection.transaction():
                    await connection.execute("CREATE TABLE refused (id int)")
        return level

    assert run(server, test) == isolation.replace("_", " ")


def test_an_enum_and_its_array_are_looked_up_and_decoded(server):
    async def test(connection):
        await connection.execute("CREATE TYPE asyncpg_mood AS ENUM ('sad', 'fine')")
        one = await connection.fetchval("SELECT $1::asyncpg_mood", "fine")
        many = await connection.fetchval("SELECT $1::asyncpg_mood[]", ["sad", "fine"])
        return one, many

    assert run(server, test) == ("fine", ["sad", "fine"])


def test_a_pool_resets_its_connections(server):
    async def test():
        async with asyncpg.create_pool(server.url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                await connection.execute("SET timezone = 'Europe/Rome'")
                await connection.execute("SELECT pg_advisory_lock(77)")
                before = await connection.fetchval("SELECT pg_backend_pid()")
            async with pool.acquire() as connection:
                zone = await connection.fetchval("SHOW timezone")
                locks = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77")
                same = before == await connection.fetchval("SELECT pg_backend_pid()")
                return zone, locks, same

    zone, locks, same = asyncio.run(test())
    assert zone != "Europe/Rome" and locks == 0 and same


def test_a_statement_is_cancelled_when_its_time_is_up(server):
    async def test(connection):
        with pytest.raises(asyncio.TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.2)
        return await connection.fetchval("SELECT 1")

    assert run(server, test) == 1
