#!/bin/sh
# Writes src/type_info/rows.rs from the pg_type of a running PostgreSQL 15. Usage: facts.sh "psql connection string"
set -e
cd "$(dirname "$0")"
{
  echo '//! Rows of pg_type, in OID order. Written by `facts.sh` from a running PostgreSQL 15; not edited by hand.'
  echo
  echo 'use super::TypeInfo;'
  echo
  echo '#[rustfmt::skip]'
  echo 'pub(super) static ROWS: &[TypeInfo] = &['
  psql "$1" -XAtq -c "
    select format('    TypeInfo { oid: %s, name: %s, len: %s, by_value: %s, kind: %s, category: %s, preferred: %s, delimiter: %s, element: %s, array: %s, input: %s, output: %s, receive: %s, send: %s, modin: %s, modout: %s, align: %s, storage: %s, collation: %s },',
      oid, to_json(typname::text), typlen, typbyval::text, quote_literal(typtype::text), quote_literal(typcategory::text), typispreferred::text, quote_literal(typdelim::text), typelem, typarray,
      to_json(typinput::regproc::text), to_json(typoutput::regproc::text), to_json(typreceive::regproc::text), to_json(typsend::regproc::text),
      to_json(typmodin::regproc::text), to_json(typmodout::regproc::text), quote_literal(typalign::text), quote_literal(typstorage::text), typcollation)
    from pg_type where typtype in ('b','p') and typrelid = 0 and typnamespace = 'pg_catalog'::regnamespace
      and (typelem = 0 or exists (select from pg_type e where e.oid = pg_type.typelem and e.typtype in ('b', 'p')))
    order by oid"
  echo '];'
} > src/type_info/rows.rs
