//! Constraint violations in PostgreSQL's words.

use crate::layout::TableLayout;
use curia_catalog::{Index, KeyOf};
use curia_types::{Datum, IoContext, SqlError, SqlState, text_io};
use std::borrow::Cow;

/// Longest value of "Failing row contains" in bytes; longer ones end in "...".
const MAX_VALUE_BYTES: usize = 64;

/// 23505: `duplicate key value violates unique constraint "t_pkey"`.
pub fn duplicate_key(layout: &TableLayout, index: &Index, row: &[Datum], io: &IoContext) -> SqlError {
    SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{}\"", index.name),
    )
    .detail(format!("Key {} already exists.", key_text(layout, index, row, io)))
    .table(layout.schema_name(), &layout.table().name)
    .constraint(&index.name)
}

/// 55000: a row came to a unique constraint that may be broken for a while.
pub fn deferrable_arbiter(layout: &TableLayout, constraint: &str) -> SqlError {
    SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters",
    )
    .table(layout.schema_name(), &layout.table().name)
    .constraint(constraint)
}

/// 23505 while an index is built: `could not create unique index "t_a_idx"`.
pub fn duplicated_key(layout: &TableLayout, index: &Index, row: &[Datum], io: &IoContext) -> SqlError {
    SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("could not create unique index \"{}\"", index.name),
    )
    .detail(format!("Key {} is duplicated.", key_text(layout, index, row, io)))
    .table(layout.schema_name(), &layout.table().name)
    .constraint(&index.name)
}

/// 23502: `null value in column "a" of relation "t" violates not-null constraint`.
pub fn null_value(layout: &TableLayout, column: usize, row: &[Datum], io: &IoContext) -> SqlError {
    let table = layout.table();
    let name = &table.columns[column].name;
    SqlError::new(
        SqlState::NOT_NULL_VIOLATION,
        format!(
            "null value in column \"{name}\" of relation \"{}\" violates not-null constraint",
            table.name
        ),
    )
    .detail(failing_row(layout, row, io))
    .table(layout.schema_name(), &table.name)
    .column(name)
}

/// 23514: `new row for relation "t" violates check constraint "t_a_check"`.
pub fn check_failed(layout: &TableLayout, constraint: &str, row: &[Datum], io: &IoContext) -> SqlError {
    SqlError::new(
        SqlState::CHECK_VIOLATION,
        format!(
            "new row for relation \"{}\" violates check constraint \"{constraint}\"",
            layout.table().name
        ),
    )
    .detail(failing_row(layout, row, io))
    .table(layout.schema_name(), &layout.table().name)
    .constraint(constraint)
}

/// 44000: `new row violates check option for view "v"`.
pub fn check_option_failed(layout: &TableLayout, view: &str, row: &[Datum], io: &IoContext) -> SqlError {
    SqlError::new(
        SqlState::WITH_CHECK_OPTION_VIOLATION,
        format!("new row violates check option for view \"{view}\""),
    )
    .detail(failing_row(layout, row, io))
}

/// `Failing row contains (1, null, foo).`
pub fn failing_row(layout: &TableLayout, row: &[Datum], io: &IoContext) -> String {
    let values: Vec<String> = layout
        .table()
        .live_columns()
        .map(|(i, c)| clipped(text(c.ty, &row[i], io)))
        .collect();
    format!("Failing row contains ({}).", values.join(", "))
}

fn clipped(text: String) -> String {
    if text.len() <= MAX_VALUE_BYTES {
        return text;
    }
    let mut end = MAX_VALUE_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}

/// `(a, lower(b))=(1, x)`
fn key_text(layout: &TableLayout, index: &Index, row: &[Datum], io: &IoContext) -> String {
    let table = layout.table();
    let names: Vec<&str> = index
        .keys
        .iter()
        .map(|k| match &k.of {
            KeyOf::Column(i) => table.columns[*i].name.as_str(),
            KeyOf::Expression { text, .. } => text,
        })
        .collect();
    // What cannot be computed is not shown: the violation is the news.
    let full = layout.full(row).unwrap_or(Cow::Borrowed(row));
    let at: Vec<usize> = match layout.index(index.oid) {
        Some(entries) => entries.columns().collect(),
        None => index.columns().collect(),
    };
    let null = Datum::Null;
    let values: Vec<String> = index
        .keys
        .iter()
        .zip(at)
        .map(|(k, i)| text(k.ty(table), full.get(i).unwrap_or(&null), io))
        .collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

fn text(ty: curia_types::PgType, value: &Datum, io: &IoContext) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut out = Vec::new();
    text_io::format(ty, value, io, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
