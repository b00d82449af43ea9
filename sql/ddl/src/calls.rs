//! What calls a function: defaults, generated columns, CHECKs, indexes and partition keys, whose stored texts name it.

use crate::Ddl;
use crate::depend::{Dependent, DependentKind, still_needed};
use curia_bind::ddl::functions_called;
use curia_catalog::{ConstraintKind, Function, KeyOf, Relation};
use curia_parse::quote_identifier;
use curia_types::Result;

impl Ddl<'_> {
    /// Drops with CASCADE what calls a function that goes, or refuses.
    pub(crate) async fn drop_calls_of(&mut self, function: &Function, cascade: bool) -> Result<()> {
        let on = format!("function {}", self.shown_function(function));
        let found = self.calls_of(function, &on);
        if found.is_empty() {
            return Ok(());
        }
        if !cascade {
            return Err(still_needed(&on, false, found));
        }
        self.drop_relations(Vec::new(), found, true).await
    }

    fn calls_of(&self, function: &Function, on: &str) -> Vec<Dependent> {
        let catalog = self.catalog();
        let mut found = Vec::new();
        for table in catalog.tables.values() {
            let of = format!("table {}", self.shown(table.schema, &table.name));
            let calls = |text: &str| functions_called(&catalog, text, Some(table)).contains(&function.oid);
            let mut add = |oid, shown, what| {
                found.push(Dependent {
                    oid,
                    shown,
                    on: on.to_owned(),
                    what,
                });
            };
            let key_calls = |k: &KeyOf| matches!(k, KeyOf::Expression { text, .. } if calls(text));
            if table
                .partition_key
                .as_ref()
                .is_some_and(|k| k.columns.iter().any(|c| key_calls(&c.of)))
            {
                add(table.oid, of, DependentKind::Relation(Relation::Table(table.oid)));
                continue;
            }
            for (column, c) in table.live_columns().filter(|(_, c)| c.default.as_deref().is_some_and(calls)) {
                let name = quote_identifier(&c.name);
                let table = table.oid;
                if c.generated {
                    add(table, format!("column {name} of {of}"), DependentKind::Column { table, column });
                } else {
                    let shown = format!("default value for column {name} of {of}");
                    add(table, shown, DependentKind::Default { table, column });
                }
            }
            for c in table.constraints.iter().filter(|c| c.parent.is_none() && !c.origin.is_inherited()) {
                if matches!(&c.kind, ConstraintKind::Check { expression } if calls(expression)) {
                    let shown = format!("constraint {} on {of}", quote_identifier(&c.name));
                    add(c.oid, shown, DependentKind::Constraint { table: table.oid });
                }
            }
            for i in table.indexes.iter().filter(|i| i.parent.is_none()) {
                if i.keys.iter().any(|k| key_calls(&k.of)) || i.predicate.as_deref().is_some_and(calls) {
                    let shown = format!("index {}", self.shown(table.schema, &i.name));
                    add(i.oid, shown, DependentKind::Relation(Relation::Index(table.oid, i.oid)));
                }
            }
        }
        found
    }
}
