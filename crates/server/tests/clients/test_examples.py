"""The Python of docs/transactions.md does what it says."""

import pathlib
import re
import threading

import psycopg

DOCUMENT = pathlib.Path(__file__).parents[4] / "docs" / "transactions.md"


def test_the_example_keeps_what_it_checks_under_concurrency(server):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    code, connections = re.subn(r'psycopg\.connect\("[^"]*"', f"psycopg.connect({server.url!r}", code)
    assert connections == 1
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE account (id int PRIMARY KEY, owner int, amount int)")
        connection.execute("INSERT INTO account VALUES (1, 1, 15), (2, 1, 10)")
    failures = []

    def client():
        try:
            exec(code, {})
        except Exception as failure:  # shown below
            failures.append(failure)

    threads = [threading.Thread(target=client) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT sum(amount) FROM account").fetchone() == (5,)
        connection.execute("DROP TABLE account")
