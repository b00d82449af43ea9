"""pg_dump writes what pg_dump of PostgreSQL's own database writes, and that loads into an empty database and is written the same again.

testdata/dump/dump.out is what `statements` leaves of pg_dump --no-owner --schema=shop --schema=other on PostgreSQL 15 after dump.sql.
"""

import pathlib
import re
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parents[4] / "testdata" / "dump"


def run(program, *arguments, text=None):
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def statements(dump):
    """Without comments, settings, and the key that each dump draws anew; those of data are kept."""
    lines, copying = [], False
    for line in dump.splitlines():
        if not copying and (not line or line.startswith(("--", "\\restrict", "\\unrestrict", "SET "))):
            continue
        copying = line != "\\." if copying else line.startswith("COPY ")
        lines.append(re.sub("FOR ROLE [a-z]+ ", "", line))
    return lines


@pytest.fixture
def psql(server):
    command = ("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", server.url)
    run(*command, "-f", str(FOLDER / "dump.sql"))
    yield command
    run(*command, text="drop schema if exists shop, other cascade; drop role dump_reader")


def dump(server):
    return run("pg_dump", "--no-owner", "--schema=shop", "--schema=other", server.url)


def test_a_dump_is_what_postgresql_dumps_and_loads_again(server, psql):
    first = dump(server)
    version = re.search(r"[0-9]+", run("pg_dump", "--version")).group()
    if version == "15":
        assert statements(first) == (FOLDER / "dump.out").read_text().splitlines()
    run(*psql, text="drop schema shop, other cascade")
    run(*psql, text=first)
    assert statements(dump(server)) == statements(first)


def test_a_dump_of_the_whole_database_leaves_out_what_the_system_comes_with(server):
    assert not [line for line in statements(run("pg_dump", server.url)) if "pg_catalog.pg_" in line and "ON TABLE" in line]


def test_jobs_side_by_side_dump_one_state_and_load_it(server, psql, tmp_path):
    first, folder = dump(server), tmp_path / "dump"
    run("pg_dump", "--format=directory", "--jobs=3", "--no-owner", "--schema=shop", "--schema=other", f"--file={folder}", server.url)
    run(*psql, text="drop schema shop, other cascade")
    run("pg_restore", "--jobs=2", "--no-owner", f"--dbname={server.url}", folder)
    assert statements(dump(server)) == statements(first)
