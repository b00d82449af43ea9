-- What psql's backslash commands print.
create schema t_d;
set search_path = t_d;
create table customers (id serial primary key, email varchar(100) not null unique, balance numeric(12,2) default 0.00, born date, tags text[], created timestamptz default now(), check (balance >= 0));
create index customers_born on customers (born desc);
create unique index customers_both on customers (email, born);
create table plain (a int, b text);
create sequence counter;
\d
\dt
\di
\ds
\d customers
\d plain
\d customers_born
\d counter
\d nope
\dt nope
\dn t_d
select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns where table_schema = 't_d' order by 1, ordinal_position;
select relname, relkind, relnatts from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = 't_d' order by 1;
select conname, contype, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'customers'::regclass order by 1;
select indexname, indexdef from pg_indexes where schemaname = 't_d' order by 1;
select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute where attrelid = 'customers'::regclass and attnum > 0 order by attnum;
select 'customers'::regclass, 'nope'::regclass;
select to_regclass('nope') is null, to_regclass('plain');
drop schema t_d cascade;
