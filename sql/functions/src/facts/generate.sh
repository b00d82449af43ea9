#!/bin/sh
# Writes procs.rs, operators.rs, casts.rs and names.rs from the catalogs of a running PostgreSQL 15. Usage: generate.sh "psql connection string"
set -e
cd "$(dirname "$0")"
head='//! Written by `generate.sh` from a running PostgreSQL 15; not edited by hand.'
# Types whose values we hold, their arrays, and the pseudo types functions are declared with.
types="(select oid from pg_type where typname in ('bool','bytea','char','name','int8','int2','int2vector','int4','regproc','text','oid','oidvector',
  'json','jsonb','jsonpath','float4','float8','timetz','bit','varbit','inet','cidr','macaddr','point','lseg','line','box','path','polygon','circle','xid8','pg_lsn','txid_snapshot','pg_snapshot','unknown','bpchar','varchar','date','time','timestamp','timestamptz','interval','numeric','uuid','record','void','xid','cid',
  'pg_node_tree','aclitem','cstring','regprocedure','regoper','regoperator','regclass','regtype','regnamespace','regrole','regcollation','any','anyarray',
  'anyelement','anynonarray','anyenum','anycompatible','anycompatiblearray','anycompatiblenonarray')
  union select typarray from pg_type where typarray <> 0 and typname in ('bool','bytea','char','name','int8','int2','int4','text','oid','json','jsonb','jsonpath','float4','float8','timetz','bit','varbit','inet','cidr','macaddr','point','lseg','line','box','path','polygon','circle','xid8','pg_lsn',
  'bpchar','varchar','date','time','timestamp','timestamptz','interval','numeric','uuid','aclitem','regtype','regclass'))"
query() { psql "$1" -XAtq -c "$2"; }
{
  echo "$head"; echo; echo 'use super::Proc;'; echo 'use crate::Volatility::{Immutable, Stable, Volatile};'; echo
  echo '#[rustfmt::skip]'; echo 'pub(crate) static PROC_ROWS: &[Proc] = &['
  query "$1" "
    select format('    Proc { oid: %s, name: %s, source: %s, args: &[%s], variadic: %s, defaults: &[%s], ret: %s, columns: &[%s], strict: %s, volatility: %s, set: %s },',
      p.oid, to_json(proname::text),
      to_json(case when prokind = 'a' or l.lanname = 'sql' then proname || '(' || replace(oidvectortypes(proargtypes), ', ', ',') || ')' else prosrc end),
      replace(proargtypes::text, ' ', ', '), provariadic,
      (select coalesce(string_agg(to_json(pg_get_function_arg_default(p.oid, n))::text, ', ' order by n), '')
         from generate_series(pronargs - pronargdefaults + 1, pronargs) n),
      prorettype,
      (select coalesce(string_agg(format('(%s, %s)', to_json(proargnames[i]), proallargtypes[i]), ', ' order by i), '')
         from generate_subscripts(proargmodes, 1) i where proargmodes[i] in ('o', 't')),
      proisstrict::text, case provolatile when 'i' then 'Immutable' when 's' then 'Stable' else 'Volatile' end, proretset::text)
    from pg_proc p join pg_language l on l.oid = prolang
    where (pronamespace = 'pg_catalog'::regnamespace or proname = '_pg_expandarray') and prokind in ('f', 'a', 'w')
      and prorettype in $types and not exists (select from unnest(proargtypes) a where a not in $types)
    order by p.oid"
  echo '];'
} > procs.rs
{
  echo "$head"; echo; echo 'use crate::Operator;'; echo
  echo '#[rustfmt::skip]'; echo 'pub(crate) static OPERATOR_ROWS: &[Operator] = &['
  query "$1" "
    select format('    Operator { oid: %s, name: %s, left: %s, right: %s, result: %s, function: %s, commutator: %s, negator: %s },',
      oid, to_json(oprname::text), oprleft, oprright, oprresult, oprcode::oid, oprcom, oprnegate)
    from pg_operator where oprcode <> 0 and oprresult in $types and (oprleft = 0 or oprleft in $types) and oprright in $types order by oid"
  echo '];'
} > operators.rs
{
  echo "$head"; echo; echo 'use crate::Cast;'; echo 'use crate::CastContext::{Assignment, Explicit, Implicit};'; echo 'use crate::CastMethod::{Function, Io, Relabel};'; echo
  echo '#[rustfmt::skip]'; echo 'pub(crate) static CAST_ROWS: &[Cast] = &['
  query "$1" "
    select format('    Cast { source: %s, target: %s, method: %s, context: %s },', castsource, casttarget,
      case castmethod when 'f' then 'Function(' || castfunc::oid || ')' when 'b' then 'Relabel' else 'Io' end,
      case castcontext when 'i' then 'Implicit' when 'a' then 'Assignment' else 'Explicit' end)
    from pg_cast where castsource in $types and casttarget in $types order by castsource, casttarget"
  echo '];'
} > casts.rs
{
  echo "$head"; echo; echo '/// (oid, names of the input parameters) of the functions that have them.'
  echo '#[rustfmt::skip]'; echo 'pub(crate) static NAME_ROWS: &[(u32, &[&str])] = &['
  query "$1" "
    select format('    (%s, &[%s]),', p.oid,
      (select string_agg(to_json(coalesce(proargnames[i], ''))::text, ', ' order by i) from generate_subscripts(proargnames, 1) i
        where proargmodes is null or proargmodes[i] in ('i', 'b', 'v')))
    from pg_proc p
    where pronamespace = 'pg_catalog'::regnamespace and proargnames is not null and pronargs > 0 and prokind in ('f', 'a', 'w')
      and prorettype in $types and not exists (select from unnest(proargtypes) a where a not in $types)
    order by p.oid"
  echo '];'
} > names.rs
