//! SERIALIZABLE: a snapshot, and validation at the commit.
//!
//! ```text
//!   begin ── snapshot s ── reads go into the ReadSet ── commit: has any commit in (s, now) written what was read?
//!                                                          no: the next CSN, as if all of it had happened at this moment
//!                                                          yes: 40001
//! ```
//!
//! - [`reads`]: [`ReadSet`], what a transaction has read: keys and ranges, present or absent.
//! - [`recent`]: [`RecentCommits`], what was committed lately, by every transaction, in the order of CSNs.
//!
//! **Why it is enough.** Whoever commits with CSN c has read what it would read right before c, so the order of CSNs is a serial order, and
//! one that agrees with real time. A transaction that writes nothing reads one snapshot, which is a state between two commits: it is never
//! refused and its reads need not be kept (READ ONLY) or checked.

mod reads;
mod recent;

pub(crate) use reads::{Progress, ReadSet};
pub(crate) use recent::{RecentCommits, Recorded, Registered, Written};

use crate::layout::TableLayout;
use curia_catalog::{Catalog, StorageId, Table};
use curia_storage::key;
use curia_types::{Datum, IoContext, SqlError, SqlState, text_io};
use std::sync::Arc;

/// What was read and written by another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) storage: StorageId,
    /// `None`: somewhere in the storage.
    pub(crate) key: Option<Vec<u8>>,
}

/// 40001 that names the table and, where it is known, the key.
pub(crate) fn failure(conflict: &Conflict, catalog: &Catalog, io: &IoContext) -> SqlError {
    let error = SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to read/write dependencies among transactions",
    )
    .hint("The transaction might succeed if retried.");
    let holder = catalog
        .tables
        .values()
        .find(|t| t.storage == conflict.storage || t.indexes.iter().any(|i| i.storage == Some(conflict.storage)));
    let Some(table) = holder else { return error };
    let name = &table.name;
    let key = conflict.key.as_ref().and_then(|key| key_text(table, conflict.storage, key, io));
    error.detail(match key {
        Some(key) => format!(
            "A concurrent transaction changed the row of table \"{name}\" with key {key}, after this one had read it or found it absent."
        ),
        None => format!("A concurrent transaction changed rows of table \"{name}\" that this one had read."),
    })
}

/// `(a, b)=(1, x)`; `None` for rows without a key.
fn key_text(table: &Arc<Table>, storage: StorageId, key: &[u8], io: &IoContext) -> Option<String> {
    let layout = TableLayout::new(table.clone(), "").ok()?;
    let (columns, values): (Vec<usize>, Vec<Datum>) = match layout.indexes().iter().find(|i| i.storage() == storage) {
        Some(index) => {
            let columns: Vec<usize> = index.columns().collect();
            let values = index.decode_entry(key).ok()?;
            (columns, values)
        }
        None if layout.keyed_by_row_id() => return None,
        None => {
            let mut rest = key;
            let mut values = Vec::new();
            let index = layout.key_index()?;
            let columns: Vec<usize> = index.columns().collect();
            for (column, part) in columns.iter().zip(&index.keys) {
                let (value, after) = key::decode(rest, table.columns[*column].ty, part.descending, part.nulls_first).ok()?;
                values.push(value);
                rest = after;
            }
            (columns, values)
        }
    };
    let names: Vec<&str> = columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
    let shown = columns.iter().zip(&values).map(|(c, v)| match v {
        Datum::Null => "null".to_owned(),
        v => text_io::to_string(table.columns[*c].ty, v, io),
    });
    let shown: Vec<String> = shown.collect();
    Some(format!("({})=({})", names.join(", "), shown.join(", ")))
}
