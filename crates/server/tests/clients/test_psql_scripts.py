"""psql prints for each script of testdata/psql what it printed on a real PostgreSQL 15."""

import pathlib
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).parents[4] / "testdata" / "psql"


@pytest.mark.parametrize("name", sorted(p.stem for p in SCRIPTS.glob("*.sql")))
def test_psql_prints_what_postgresql_printed(server, name):
    played = subprocess.run([SCRIPTS / "run", server.url, name], capture_output=True, text=True, timeout=180)
    assert played.returncode == 0, played.stdout + played.stderr
