"""Django: migrations forth and back, the ORM's queries, transactions of its TestCase, and inspectdb. In a process of its own, as its settings are global."""

import os
import pathlib
import subprocess
import sys

APP = pathlib.Path(__file__).parent / "programs" / "django_app.py"


def test_a_small_application(server):
    host, port = server.sql.rsplit(":", 1)
    environment = {**os.environ, "CURIA_HOST": host, "CURIA_PORT": port}
    played = subprocess.run([sys.executable, APP], capture_output=True, text=True, timeout=300, env=environment)
    assert played.returncode == 0 and "every check passed" in played.stdout, played.stdout + played.stderr
