//! What a session has made for itself: prepared statements and portals, as `pg_prepared_statements` and `pg_cursors` show them.

use crate::portal::Progress;
use crate::session::Session;
use curia_execute::ViewRows;
use curia_types::{Datum, oid};

/// Views that list them.
pub(crate) const OWN_VIEWS: [&str; 2] = ["pg_prepared_statements", "pg_cursors"];

/// The rows, as they were when the statement that reads them began.
pub struct OwnObjects {
    pub(crate) prepared_statements: ViewRows,
    pub(crate) cursors: ViewRows,
}

impl Session {
    pub(crate) fn own_objects(&self) -> OwnObjects {
        // The unnamed statement is nobody's to refer to, and not listed.
        let prepared = self.statements.iter().filter(|(name, _)| !name.is_empty());
        let prepared_statements = prepared
            .map(|(name, statement)| {
                let types = statement.params.iter().map(|t| Datum::Oid(t.oid)).collect();
                vec![
                    ("name", Datum::text(name)),
                    ("statement", Datum::text(&statement.sql)),
                    ("prepare_time", Datum::Timestamptz(statement.prepared_at)),
                    ("parameter_types", Datum::list(oid::REGTYPE, types)),
                    ("from_sql", Datum::Bool(statement.from_sql)),
                    ("generic_plans", Datum::Int8(0)),
                    ("custom_plans", Datum::Int8(0)),
                ]
            })
            .collect();
        let open = self.portals.iter().filter(|(_, p)| !matches!(p.progress, Progress::Done(_)));
        let cursors = open
            .map(|(name, portal)| {
                let binary = portal.cursor.is_some() && portal.formats.contains(&crate::Format::Binary);
                vec![
                    ("name", Datum::text(name)),
                    ("statement", Datum::text(&portal.statement.sql)),
                    ("is_holdable", Datum::Bool(portal.cursor.as_ref().is_some_and(|c| c.hold))),
                    ("is_binary", Datum::Bool(binary)),
                    ("is_scrollable", Datum::Bool(portal.cursor.as_ref().is_some_and(|c| c.scrollable))),
                    ("creation_time", Datum::Timestamptz(portal.opened_at)),
                ]
            })
            .collect();
        OwnObjects {
            prepared_statements,
            cursors,
        }
    }
}
