//! COPY between tables and clients or files of the server, in text, csv and binary, streaming in bounded memory.
//!
//! - [`dialect`]: options. [`record`], [`binary`]: reading. [`write`]: writing.
//! - [`from`], [`to`]: the two directions. [`file`]: files of the server.

pub mod binary;
pub mod dialect;
mod file;
mod from;
pub mod record;
mod to;
pub mod write;

use crate::output::{Output, Stop};
use crate::planning::Prepared;
use crate::portal::Ran;
use crate::session::Session;
use curia_catalog::{Oid, Relation, Table};
use curia_parse::ast::{Copy, CopyDirection, Ident, ObjectName};
use curia_types::{PgType, Result, SqlError, SqlState};
use dialect::Way;
use std::sync::Arc;

/// A copied column.
pub(crate) struct Column {
    pub name: String,
    pub ty: PgType,
}

impl Session {
    /// Runs COPY.
    pub(crate) async fn copy<O: Output>(&mut self, copy: &Copy, prepared: &Prepared, out: &mut O) -> Result<Ran, Stop> {
        match &copy.direction {
            CopyDirection::FromStdin | CopyDirection::FromFile(_) => {
                self.copy_from(copy, prepared.parsed.as_ref().map_or(1, |p| p.depth), out).await
            }
            CopyDirection::ToStdout | CopyDirection::ToFile(_) => self.copy_to(copy, prepared, out).await,
            CopyDirection::FromProgram(_) | CopyDirection::ToProgram(_) => Err(SqlError::unsupported("COPY with a program").into()),
        }
    }

    /// The table of a COPY with the columns it names, or all of them.
    fn copied_columns(&mut self, name: &ObjectName, columns: &[Ident], way: Way) -> Result<(Oid, Arc<Table>, Vec<Column>)> {
        let oid = self.table_named(name).map_err(|e| match self.uncopied_kind(name) {
            Some(kind) if e.code() == SqlState::WRONG_OBJECT_TYPE => refused(way, kind, name.name()),
            _ => e,
        })?;
        let catalog = self.transaction()?.catalog();
        let table = catalog
            .tables
            .get(&oid)
            .cloned()
            .ok_or_else(|| SqlError::internal("a table without definition"))?;
        let mut copied: Vec<Column> = Vec::new();
        if columns.is_empty() {
            copied.extend(table.live_columns().filter(|(_, c)| !c.generated).map(|(_, c)| Column {
                name: c.name.clone(),
                ty: c.ty,
            }));
        }
        for c in columns {
            let Some((_, column)) = table.column(&c.name) else {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" of relation \"{}\" does not exist", c.name, table.name),
                ));
            };
            if column.generated {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("column \"{}\" is a generated column", c.name),
                )
                .detail("Generated columns cannot be used in COPY."));
            }
            if copied.iter().any(|o| o.name == c.name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", c.name),
                ));
            }
            copied.push(Column {
                name: column.name.clone(),
                ty: column.ty,
            });
        }
        Ok((oid, table, copied))
    }
}

impl Session {
    /// What a relation is that is no table.
    fn uncopied_kind(&mut self, name: &ObjectName) -> Option<&'static str> {
        let catalog = self.transaction().ok()?.catalog();
        let found = match name.schema() {
            Some(schema) => catalog.relation_in(catalog.schema(schema)?.oid, name.name()),
            None => catalog.relation(&self.environment.search_path, name.name()),
        };
        Some(match found? {
            Relation::View(_) => "view",
            Relation::Table(_) => "materialized view",
            Relation::Sequence(_) => "sequence",
            Relation::Index(..) => return None,
        })
    }
}

fn refused(way: Way, kind: &str, name: &str) -> SqlError {
    let (word, hint) = match way {
        Way::Out => ("from", "Try the COPY (SELECT ...) TO variant."),
        Way::In => ("to", "To enable copying to a view, provide an INSTEAD OF INSERT trigger."),
    };
    let error = SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot copy {word} {kind} \"{name}\""));
    match (way, kind) {
        (Way::Out, "view" | "materialized view") | (Way::In, "view") => error.hint(hint),
        _ => error,
    }
}

/// Text for a CONTEXT line: at most a hundred bytes of it.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 100;
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let mut end = SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}
