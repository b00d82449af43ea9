//! Definitions as SQL text, as `pg_get_indexdef` and `pg_get_constraintdef` print them.

use curia_catalog::{Catalog, Constraint, ConstraintKind, Index, Table};
use curia_types::type_info::quote_identifier;

/// `CREATE INDEX ...`, with the table qualified.
pub(crate) fn index_definition(catalog: &Catalog, table: &Table, index: &Index) -> String {
    format!(
        "CREATE {}INDEX {} ON {}.{} USING btree ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote_identifier(&index.name),
        quote_identifier(catalog.schema_name(table.schema)),
        quote_identifier(&table.name),
        key_list(table, index),
    )
}

fn key_list(table: &Table, index: &Index) -> String {
    let keys: Vec<String> = (0..index.keys.len()).filter_map(|i| key(table, index, i, true)).collect();
    keys.join(", ")
}

/// One key column; with its order when `order`.
pub(crate) fn key(table: &Table, index: &Index, at: usize, order: bool) -> Option<String> {
    let k = index.keys.get(at)?;
    let mut out = quote_identifier(&table.columns.get(k.column)?.name).into_owned();
    if order {
        match (k.descending, k.nulls_first) {
            (false, false) => {}
            (false, true) => out.push_str(" NULLS FIRST"),
            (true, true) => out.push_str(" DESC"),
            (true, false) => out.push_str(" DESC NULLS LAST"),
        }
    }
    Some(out)
}

/// `PRIMARY KEY (a, b)`, `UNIQUE (a)`, `CHECK ((expr))`.
pub(crate) fn constraint_definition(table: &Table, constraint: &Constraint) -> String {
    match &constraint.kind {
        ConstraintKind::Check { expression } => format!("CHECK (({expression}))"),
        ConstraintKind::Unique { index, primary } => {
            let columns: Vec<String> = table
                .index(*index)
                .map(|i| {
                    i.keys
                        .iter()
                        .map(|k| quote_identifier(&table.columns[k.column].name).into_owned())
                        .collect()
                })
                .unwrap_or_default();
            format!("{} ({})", if *primary { "PRIMARY KEY" } else { "UNIQUE" }, columns.join(", "))
        }
    }
}
