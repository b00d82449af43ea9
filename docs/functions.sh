#!/bin/sh
# Writes functions.md: PostgreSQL's documented functions and operators by chapter of its manual, and which of them Curia lacks.
# Usage: functions.sh "psql connection string of PostgreSQL 15" "of Curia" > functions.md
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ask() { psql "$1" -XAtq -F "$(printf '\t')" -c "$2"; }
# What psql's \do and the manual do not show (support functions, input and output, implementations of operators) has these comments.
ask "$1" "
  with f as (
    select 'f' as kind, p.oid, p.proname::text as name, oidvectortypes(p.proargtypes) as args, d.description as said, p.prokind::text as prokind,
           oidvectortypes(p.proargtypes) || ',' || format_type(p.prorettype, null) as types, p.proretset as sets
    from pg_proc p join pg_description d on d.objoid = p.oid and d.classoid = 'pg_proc'::regclass
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a', 'w')
      and d.description !~ '^(implementation of|I/O|hash|less-equal-greater|aggregate |internal|(larger|smaller) of two|btree|GiST|GIN|SP-GiST|BRIN|sort support|equal image|window RANGE|join selectivity|restriction selectivity|contsel|planner support|statistics|convert .* (encoding|to .*8)|internal conversion|adjust |convert \w+ to \w+\$|(nlike|like|ilike)sel|hash, |typmod)'
      and p.prorettype not in ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype, 'language_handler'::regtype)
      and not exists (select from unnest(p.proargtypes) a where a in ('internal'::regtype, 'cstring'::regtype))
      and p.proname !~ '^(binary_upgrade|pg_ndistinct|pg_dependencies|pg_mcv_list|brin_|gin_|gist_|spg_|bt|amvalidate|fmgr_|plpgsql_|ts_|dsimple|dsynonym|dispell|thesaurus|prsd_|lo_|lo(read|write)|be_lo|pg_nextoid|pg_stop_making|.*(_in|_out|recv|send|sel|typmodin|typmodout)\$)'
    union all
    select 'o', o.oid, o.oprname::text, concat_ws(' ', nullif(format_type(nullif(o.oprleft, 0), null), '-'), o.oprname, format_type(o.oprright, null)), '', '',
           concat_ws(',', format_type(nullif(o.oprleft, 0), null), format_type(o.oprright, null)), false
    from pg_operator o where o.oprcode <> 0
  )
  select kind, oid, name, args, case
    when prokind = 'w' then '22 Window functions'
    when prokind = 'a' then '21 Aggregates'
    when types ~ 'tsvector|tsquery|regconfig|regdictionary' then '13 Text search'
    when types ~ '\mxml\M' or name ~ 'xml' then '15 XML'
    when types ~ 'json' or name ~ 'json' then '16 JSON'
    when types ~ 'range' then '20 Ranges'
    when types ~ '\m(point|line|lseg|box|path|polygon|circle)\M' then '11 Geometry'
    when types ~ '\m(inet|cidr|macaddr8?)\M' then '12 Network addresses'
    when types ~ 'enum' then '10 Enums'
    when name in ('nextval', 'currval', 'setval', 'lastval') then '17 Sequences'
    when name in ('gen_random_uuid') or types ~ 'uuid' then '14 UUID'
    when kind = 'f' and (name ~ '^(pg_|has_|row_security|current_|session_user|getpgusername|inet_|version|txid_|to_reg|col_description|obj_description|shobj_|format_type|acl|makeaclitem|set_config|lastval|query_to|mxid|getdatabase)' or types ~ '\m(xid8?|pg_snapshot|txid_snapshot|pg_lsn|aclitem)\M') then '26 System information and administration'
    when types ~ '\m(xid8?|pg_lsn|aclitem|tid|cid|reg\w+)\M' then '26 System information and administration'
    when sets and name ~ '^generate' then '24 Set-returning functions'
    when types ~ 'any(compatible)?array|anyelement|\[\]' and name !~ '^regexp' then '19 Arrays'
    when name ~ '^(to_char|to_date|to_number|to_timestamp)\$' then '08 Formatting'
    when types ~ '\m(date|time|timestamp|interval)\M|with(out)? time zone' then '09 Dates and times'
    when types ~ '\mbit\M' then '06 Bit strings'
    when types ~ 'bytea' then '05 Binary strings'
    when name ~ '^(regexp_|similar|like|notlike|.*~.*)' then '07 Pattern matching'
    when types ~ '\m(text|character|name|\"char\"|character varying)\M' then '04 Strings'
    when types ~ '\mmoney\M' then '27 Money'
    when types ~ 'record|\"any\"' then '23 Rows and comparisons'
    else '03 Mathematics' end
  from f" > "$work/all"
ask "$2" "select 'f', oid from pg_proc union all select 'o', oid from pg_operator" > "$work/own"
cat <<'END'
# Functions and operators

Written by `functions.sh` from the catalogs of PostgreSQL 15 and Curia. A name alone is missing with all its forms; a name with types is
missing in this form only. What exists gives PostgreSQL's results, but for what "What differs" in `sql.md` says and for these:

- Functions that read or steer what Curia has not (WAL, replication slots, statistics collectors, backups, extensions) may exist and
  answer 0A000.
- `txid_current_snapshot` lists no other running transactions: everything from the own one on counts as running.
- Back-references in regular expressions answer 0A000.
- Text search, ranges, xml and money have no types yet.

| chapter | functions | operators | missing functions | missing operators |
| --- | --- | --- | --- | --- |
END
awk -F '\t' '
  NR == FNR { own[$1 $2] = 1; next }
  { chapter = $5; key = chapter SUBSEP $1; total[key]++; seen[chapter] = 1
    if (($1 $2) in own) { have[key]++; some[$1 SUBSEP $3] = 1 } else { n = ++lost[key]; name[key, n] = $3; form[key, n] = $4 } }
  function list(chapter, kind,   key, i, out, text, done) {
    key = chapter SUBSEP kind; out = ""
    if (total[key] && !have[key]) return "all"
    for (i = 1; i <= lost[key]; i++) {
      if (kind == "f") text = ((kind SUBSEP name[key, i]) in some) ? name[key, i] "(" form[key, i] ")" : name[key, i]
      else text = ((kind SUBSEP name[key, i]) in some) ? form[key, i] : name[key, i]
      gsub(/\|/, "\\|", text)
      if (text in done) continue
      done[text] = 1
      out = out (out == "" ? "" : ", ") "`" text "`"
    }
    return out
  }
  END { for (c in seen) printf "%s| %s | %d of %d | %d of %d | %s | %s |\n", c, substr(c, 4), have[c SUBSEP "f"], total[c SUBSEP "f"], have[c SUBSEP "o"], total[c SUBSEP "o"], list(c, "f"), list(c, "o") }
' "$work/own" "$work/all" | sort | sed 's/^[^|]*//'
