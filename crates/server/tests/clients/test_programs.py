"""Programs in other languages against a running server: pgJDBC and node-postgres. Each prints a line for each of its checks.

A program whose runtime is absent is skipped, with the reason; `./test clients` prints it.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "curia"
JARS = [pathlib.Path(p) for p in (os.environ.get("CURIA_JDBC_JAR", ""), "/usr/share/java/postgresql.jar") if p]


def run(command, **environment):
    played = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    assert played.returncode == 0 and "ok " in played.stdout, played.stdout + played.stderr


def test_pgjdbc(server):
    jar = next((j for j in JARS if j.exists()), None)
    if not shutil.which("javac"):
        pytest.skip("no Java compiler: pgJDBC is not tested")
    if jar is None:
        pytest.skip("no pgJDBC (Debian: libpostgresql-jdbc-java, or CURIA_JDBC_JAR): pgJDBC is not tested")
    run(["java", "-cp", jar, PROGRAMS / "Jdbc.java", f"jdbc:postgresql://{server.sql}/curia?user=curia"])


def test_node_postgres(server):
    modules = CACHE / "node" / "node_modules"
    if not shutil.which("node"):
        pytest.skip("no node: node-postgres is not tested")
    if not (modules / "pg").exists() or not (modules / "pg-cursor").exists():
        pytest.skip(f"no pg and pg-cursor in {modules} (npm install): node-postgres is not tested")
    run(["node", PROGRAMS / "node.js", server.url], NODE_PATH=str(modules))
