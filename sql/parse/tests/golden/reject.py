"""Asks a PostgreSQL how it refuses the statements of rejected.sql and writes rejected.txt beside it.

usage: reject.py CONNINFO
"""
import ctypes
import ctypes.util
import os
import sys

pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
pq.PQconnectdb.restype = pq.PQexec.restype = ctypes.c_void_p
pq.PQresultErrorField.restype = ctypes.c_char_p
P = ctypes.c_void_p
conn = P(pq.PQconnectdb(sys.argv[1].encode()))
P(pq.PQexec(conn, b"SET client_min_messages = error; SET client_encoding = utf8"))
here = os.path.dirname(os.path.abspath(__file__))


def field(result, code):
    value = pq.PQresultErrorField(result, ord(code))
    return value.decode() if value else None


with open(os.path.join(here, "rejected.txt"), "w") as out:
    for line in open(os.path.join(here, "rejected.sql")):
        sql = line.rstrip("\n")
        P(pq.PQexec(conn, b"ROLLBACK; BEGIN"))
        r = P(pq.PQexec(conn, sql.encode()))
        code = field(r, "C")
        syntax = code == "42601" and field(r, "F") in ("scan.l", "gram.y", "parser.c")
        answer = f"{code} at {field(r, 'P') or '-'}: {field(r, 'M')}" if syntax else "parses"
        hint = field(r, "H") if syntax else None
        out.write(f"> {sql}\n{answer}{' | HINT: ' + hint if hint else ''}\n")
