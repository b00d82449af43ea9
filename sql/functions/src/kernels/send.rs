//! The binary forms of values, as the types' send functions give them.

use super::macros::kernels;
use crate::Kernel::Typed;
use crate::kernel::{CallTypes, Context};
use curia_types::{Datum, PgType, Result, binary_io};
use std::sync::Arc;

fn send(_: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Datum> {
    let mut out = Vec::new();
    binary_io::encode(types.args.first().copied().unwrap_or(PgType::TEXT), &args[0], &mut out);
    Ok(Datum::Bytea(Arc::from(out)))
}

kernels! {
    "array_send" = Typed(send);
    "bit_send" = Typed(send);
    "boolsend" = Typed(send);
    "bpcharsend" = Typed(send);
    "byteasend" = Typed(send);
    "charsend" = Typed(send);
    "cidsend" = Typed(send);
    "date_send" = Typed(send);
    "float4send" = Typed(send);
    "float8send" = Typed(send);
    "int2send" = Typed(send);
    "int4send" = Typed(send);
    "int8send" = Typed(send);
    "interval_send" = Typed(send);
    "json_send" = Typed(send);
    "namesend" = Typed(send);
    "numeric_send" = Typed(send);
    "oidsend" = Typed(send);
    "pg_lsn_send" = Typed(send);
    "record_send" = Typed(send);
    "regclasssend" = Typed(send);
    "regtypesend" = Typed(send);
    "textsend" = Typed(send);
    "time_send" = Typed(send);
    "timestamp_send" = Typed(send);
    "timestamptz_send" = Typed(send);
    "timetz_send" = Typed(send);
    "unknownsend" = Typed(send);
    "uuid_send" = Typed(send);
    "varbit_send" = Typed(send);
    "varcharsend" = Typed(send);
    "xid8send" = Typed(send);
    "xidsend" = Typed(send);
}
