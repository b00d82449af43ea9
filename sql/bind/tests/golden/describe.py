"""Asks a PostgreSQL what it makes of the statements of NAME.sql files and writes NAME.txt beside them.

usage: describe.py CONNINFO FILE.sql ...

One statement a line; lines that start with -- are copied. The answer is the types of parameters and the names and types of columns, or
the error with SQLSTATE, position, message, detail and hint. schema.sql is loaded into a schema of its own first.
"""
import ctypes
import ctypes.util
import os
import sys

pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for name in "PQconnectdb PQexec PQprepare PQdescribePrepared".split():
    getattr(pq, name).restype = ctypes.c_void_p
for name in "PQresultErrorField PQfname PQerrorMessage PQgetvalue".split():
    getattr(pq, name).restype = ctypes.c_char_p
pq.PQparamtype.restype = pq.PQftype.restype = ctypes.c_uint
P = ctypes.c_void_p

conn = P(pq.PQconnectdb(sys.argv[1].encode()))


def run(sql):
    return P(pq.PQexec(conn, sql.encode()))


def field(result, code):
    value = pq.PQresultErrorField(result, ord(code))
    return value.decode() if value else None


def failed(result):
    return pq.PQresultStatus(result) == 7


here = os.path.dirname(os.path.abspath(__file__))
run("SET client_min_messages = error; SET timezone = 'UTC'; DROP SCHEMA IF EXISTS golden CASCADE; CREATE SCHEMA golden; SET search_path = golden")
r = run(open(os.path.join(here, "schema.sql")).read())
if failed(r):
    sys.exit(field(r, "M"))
types = {}


def type_name(oid, typmod):
    if (oid, typmod) not in types:
        r = run(f"SELECT format_type({oid}, {typmod})")
        types[oid, typmod] = pq.PQgetvalue(r, 0, 0).decode()
    return types[oid, typmod]


def answer(sql):
    r = P(pq.PQprepare(conn, b"", sql.encode(), 0, None))
    if failed(r):
        out = f"error {field(r, 'C')} at {field(r, 'P') or '-'}: {field(r, 'M')}"
        for code, word in (("D", "DETAIL"), ("H", "HINT")):
            if field(r, code):
                out += f" | {word}: {field(r, code)}"
        return out.replace("\n", " ")
    r = P(pq.PQdescribePrepared(conn, b""))
    params = [type_name(pq.PQparamtype(r, i), -1) for i in range(pq.PQnparams(r))]
    columns = [f"{pq.PQfname(r, i).decode()}: {type_name(pq.PQftype(r, i), pq.PQfmod(r, i))}" for i in range(pq.PQnfields(r))]
    return (f"params {', '.join(params)}; " if params else "") + (", ".join(columns) if columns else "no columns")


for path in sys.argv[2:]:
    with open(path[:-4] + ".txt", "w") as out:
        for line in open(path):
            line = line.rstrip("\n")
            if not line or line.startswith("--"):
                out.write(line + "\n")
            else:
                out.write(f"> {line}\n{answer(line)}\n")
run("DROP SCHEMA golden CASCADE")
