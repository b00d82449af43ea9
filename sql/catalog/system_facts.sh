#!/bin/sh
# Rewrites src/system/columns.tsv and src/system/indexes.tsv from a running PostgreSQL 15: names, OIDs and column types of the system
# tables and views that Curia shows, and the indexes of those tables. Domains of information_schema are flattened to their base types, types that only PostgreSQL's inside uses to text.
# Usage: system_facts.sh [psql connection arguments]
cd "$(dirname "$0")" || exit 1
psql "$@" -AtX -F "$(printf '\t')" > src/system/columns.tsv <<'SQL'
select n.nspname, c.relname, c.oid, c.relkind, c.reltype, a.attname,
       case when b.oid = 10028 then 1009 when b.oid in (3220, 2277, 3361, 3402, 5017) then 25 when b.oid = 5069 then 26 else b.oid end,
       case when t.typtype = 'd' then t.typtypmod else a.atttypmod end,
       a.attnotnull
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
     join pg_type t on t.oid = a.atttypid join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
where n.nspname in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'v')
  and c.relname !~ '^_pg_'
order by 1, 2, a.attnum
SQL
psql "$@" -AtX -F "$(printf '\t')" > src/system/indexes.tsv <<'SQL'
select i.indrelid, i.indexrelid, c.relname, i.indisunique, coalesce(k.contype::text, '-'), coalesce(k.oid, 0),
       i.indkey::text, i.indcollation::text, i.indclass::text
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
     join pg_class t on t.oid = i.indrelid and t.relkind = 'r'
     left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u')
where n.nspname = 'pg_catalog'
order by 1, 2
SQL
