"""A real server for client programs to talk to. CURIA_PROGRAM names the program."""

import os
import pathlib
import signal
import socket
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


@pytest.fixture(scope="session")
def cluster():
    """Three servers that form one database; the consul is the first of the list."""
    program = os.environ["CURIA_PROGRAM"]
    with tempfile.TemporaryDirectory() as folder:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        peers = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
        for s in sockets:
            s.close()
        processes, starting = [], []
        try:
            for number, peer in enumerate(peers):
                data = pathlib.Path(folder) / str(number)
                log = open(pathlib.Path(folder) / f"log{number}", "w+")
                options = [f"--{name}-addr=127.0.0.1:0" for name in ("sql", "flight", "http")]
                options += [f"--peer-addr={peer}", f"--join={','.join(peers)}"]
                processes.append(subprocess.Popen([program, "start", "--data", data, *options], stderr=log))
                starting.append((processes[-1], data, log))
            servers = [wait_until_ready(*one) for one in starting]
            subprocess.run([program, "init", "--host", peers[0]], check=True, stdout=subprocess.DEVNULL)
            consul = None
            until = time.monotonic() + PATIENCE_S
            while consul is None and time.monotonic() < until:
                pages = [subprocess.run([program, "status", "--host", p], capture_output=True, text=True).stdout for p in peers]
                consul = next((at for at, page in enumerate(pages) if "it is consul" in page), None)
            assert consul is not None, "nobody is consul"
            yield [servers[consul], *(s for at, s in enumerate(servers) if at != consul)]
        finally:
            for process in processes:
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
