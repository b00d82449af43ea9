"""A real server for client programs to talk to. CURIA_PROGRAM names the program."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time
import tomllib
from dataclasses import dataclass

import pytest

PATIENCE_S = 60


@dataclass
class Server:
    sql: str
    flight: str

    @property
    def url(self):
        return f"postgresql://curia@{self.sql}/curia"


@pytest.fixture(scope="session")
def server():
    program = os.environ["CURIA_PROGRAM"]
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        log = open(pathlib.Path(folder) / "log", "w+")
        addresses = [f"--{name}-addr=127.0.0.1:0" for name in ("sql", "flight", "http")]
        process = subprocess.Popen([program, "start", "--data", data, *addresses], stderr=log)
        try:
            yield wait_until_ready(process, data, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()


def wait_until_ready(process, data, log):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            running = tomllib.loads((data / "running.toml").read_text())
            return Server(sql=running["sql"], flight=running["flight"])
        except FileNotFoundError:
            time.sleep(0.02)
    log.seek(0)
    pytest.fail(f"the server did not start:\n{log.read()}")
