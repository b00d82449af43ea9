//! Functions about partition trees: the session computes them from its catalog.

use super::macros::kernels;
use crate::Kernel::{Session, Set, Typed};
use crate::{Context, Rows};
use curia_types::{Datum, Result};

/// `pg_proc.oid` of functions that reach the session under their own name.
const PARTITION_TREE: u32 = 3423;
const PARTITION_ANCESTORS: u32 = 3425;
const SATISFIES_HASH_PARTITION: u32 = 5028;

kernels! {
    "pg_partition_root" => Session;
    "pg_partition_tree" => Set(|cx, _, args| rows(cx, PARTITION_TREE, args));
    "pg_partition_ancestors" => Set(|cx, _, args| rows(cx, PARTITION_ANCESTORS, args));
    "satisfies_hash_partition" => Typed(|cx, types, args| {
        // The session sees the key's values with their types: as one record.
        let (first, key) = args.split_at(args.len().min(3));
        let mut all = first.to_vec();
        all.push(Datum::record(types.args.iter().skip(3).copied().zip(key.iter().cloned()).collect()));
        cx.session_call(SATISFIES_HASH_PARTITION, &all)
    });
}

/// The rows that the session gives as an array of records, or of values.
pub(super) fn rows(cx: &dyn Context, function: u32, args: &[Datum]) -> Result<Rows> {
    let Datum::Array(found) = cx.session_call(function, args)? else {
        return Ok(Box::new(std::iter::empty()));
    };
    let row = |d: &Datum| match d {
        Datum::Record(r) => r.iter().map(|(_, v)| v.clone()).collect(),
        value => vec![value.clone()],
    };
    let all: Vec<Vec<Datum>> = found.elements.iter().map(row).collect();
    Ok(Box::new(all.into_iter().map(Ok)))
}
