#!/bin/sh
# Rewrites facts/*.tsv from a running PostgreSQL 15: rows of system catalogs that are the same in every database and that no other part of
# Curia needs. The first line of a file names its columns. Usage: facts.sh [psql connection arguments]
cd "$(dirname "$0")/facts" || exit 1
table() {
  name=$1 columns=$2 condition=$3; shift 3
  { printf '%s\n' "$columns" | tr ' ' '\t'; psql "$@" -AtX -c "COPY (SELECT $(echo "$columns" | tr ' ' ',') FROM $condition) TO STDOUT"; } > "$name.tsv"
}
table pg_opfamily 'oid opfmethod opfname opfnamespace opfowner' 'pg_opfamily WHERE opfmethod IN (403, 405, 3580) ORDER BY oid' "$@"
table pg_amop 'oid amopfamily amoplefttype amoprighttype amopstrategy amoppurpose amopopr amopmethod amopsortfamily' 'pg_amop WHERE amopmethod IN (403, 405, 3580) ORDER BY oid' "$@"
table pg_amproc 'oid amprocfamily amproclefttype amprocrighttype amprocnum amproc' \
  '(SELECT oid, amprocfamily, amproclefttype, amprocrighttype, amprocnum, amproc::oid FROM pg_amproc WHERE amprocfamily IN (SELECT oid FROM pg_opfamily WHERE opfmethod IN (403, 405, 3580))) p ORDER BY oid' "$@"
table pg_aggregate 'aggfnoid aggkind aggnumdirectargs aggtransfn aggfinalfn aggcombinefn aggserialfn aggdeserialfn aggmtransfn aggminvtransfn aggmfinalfn aggfinalextra aggmfinalextra aggfinalmodify aggmfinalmodify aggsortop aggtranstype aggtransspace aggmtranstype aggmtransspace agginitval aggminitval' \
  '(SELECT aggfnoid::oid, aggtransfn::oid, aggfinalfn::oid, aggcombinefn::oid, aggserialfn::oid, aggdeserialfn::oid, aggmtransfn::oid, aggminvtransfn::oid, aggmfinalfn::oid, aggkind, aggnumdirectargs, aggfinalextra, aggmfinalextra, aggfinalmodify, aggmfinalmodify, aggsortop, aggtranstype, aggtransspace, aggmtranstype, aggmtransspace, agginitval, aggminitval FROM pg_aggregate) a ORDER BY aggfnoid' "$@"
# Functions that types and operator families name, and nothing calls by name here.
table support 'oid proname pronamespace proowner prolang procost prokind proisstrict provolatile proparallel pronargs prorettype proargtypes prosrc' \
  "pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND (oid IN (SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript]::oid[]) FROM pg_type)
     OR oid IN (SELECT amproc FROM pg_amproc WHERE amprocfamily IN (SELECT oid FROM pg_opfamily WHERE opfmethod IN (403, 405, 3580)))
     OR oid IN (SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[]) FROM pg_aggregate)
     OR oid IN (SELECT amhandler FROM pg_am)) ORDER BY oid" "$@"
table pg_description 'objoid classoid objsubid description' \
  "pg_description WHERE objoid < 16384 AND classoid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_am'::regclass, 'pg_language'::regclass, 'pg_namespace'::regclass, 'pg_collation'::regclass) ORDER BY classoid, objoid, objsubid" "$@"
