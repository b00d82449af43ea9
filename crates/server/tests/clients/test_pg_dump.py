"""pg_dump reads a schema with its data, and writes who may do what."""

import subprocess

SCHEMA = """
create role dump_reader;
create schema shop;
create type shop.status as enum ('new', 'paid', 'shipped');
create table shop.customer (id bigint generated always as identity primary key, name text not null, email text unique,
    created timestamptz default now(), tags text[] default '{}', prefs jsonb);
create table shop.orders (id serial primary key, customer_id bigint not null references shop.customer on delete cascade,
    status shop.status default 'new', total numeric(10,2) check (total >= 0), note varchar(20), placed date default current_date);
create index on shop.orders (customer_id, placed desc);
create unique index one_open on shop.orders (customer_id) where status = 'new';
create index on shop.customer (lower(name));
create view shop.totals as select c.name, count(*) n, sum(o.total) s from shop.customer c join shop.orders o on o.customer_id = c.id group by c.name;
comment on table shop.orders is 'Orders';
create sequence shop.numbers increment 5 start 100;
create function shop.addvat(n numeric) returns numeric language sql immutable as 'select n * 1.2';
insert into shop.customer (name, email, tags, prefs)
    select 'c' || i, 'c' || i || '@x.org', array['a', 'b' || i], jsonb_build_object('k', i) from generate_series(1, 20) i;
insert into shop.orders (customer_id, total) select i, i * 1.5 from generate_series(1, 20) i;
grant usage on schema shop to dump_reader;
grant select on shop.orders, shop.totals to dump_reader;
grant update (note) on shop.orders to dump_reader with grant option;
grant usage on sequence shop.numbers to public;
grant usage on type shop.status to dump_reader;
revoke all on function shop.addvat from public;
alter default privileges in schema shop grant select on tables to dump_reader;
"""


def run(program, *arguments, text=None):
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dump(server):
    out = run("pg_dump", "--schema=shop", server.url)
    # A key that each dump draws anew.
    return [line for line in out.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_a_dump_says_who_may_do_what(server):
    psql = ("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", server.url)
    run(*psql, text=SCHEMA)
    try:
        lines = dump(server)
        for line in (
            "GRANT USAGE ON SCHEMA shop TO dump_reader;",
            "GRANT SELECT ON TABLE shop.orders TO dump_reader;",
            "GRANT UPDATE(note) ON TABLE shop.orders TO dump_reader WITH GRANT OPTION;",
            "REVOKE ALL ON FUNCTION shop.addvat(n numeric) FROM PUBLIC;",
        ):
            assert line in lines, line
    finally:
        run(*psql, text="drop schema if exists shop cascade; drop role dump_reader")
