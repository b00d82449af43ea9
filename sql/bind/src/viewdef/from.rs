//! FROM: items under names of their own, and joins.

use super::query::{SMALL_STEP, STEP};
use super::{Item, Level, Printer};
use crate::ir::*;
use crate::scope::NsItem;
use curia_catalog::system::system_table;
use curia_catalog::{Oid, Relation};
use curia_parse::ast::{self, Alias, JoinCondition, TableRef};
use curia_parse::quote_identifier;
use std::rc::Rc;

impl Printer<'_> {
    /// The level of a FROM list: what its items are called, so that no two in sight have one name.
    pub(super) fn level<'t>(&self, from: impl IntoIterator<Item = &'t TableRef>, items: &[Rc<NsItem>]) -> Level {
        let mut written = Vec::new();
        from.into_iter().for_each(|item| self.named(item, &mut written));
        let mut level = Level { items: Vec::new() };
        for item in items.iter().filter(|i| i.relation_visible) {
            let relation = item
                .table
                .or_else(|| item.columns.first().and_then(|c| c.origin).map(|(oid, _)| oid));
            let of_relation = written.iter().find_map(|(name, table)| match table {
                Some((alias, meant)) if *name == item.name && *meant == relation => Some(*alias),
                _ => None,
            });
            let mut columns = Vec::with_capacity(item.columns.len());
            for (i, c) in item.columns.iter().enumerate() {
                let aliased = of_relation.is_none_or(|alias| alias.is_some_and(|a| i < a.columns.len()));
                let now = c.origin.filter(|_| !aliased).and_then(|origin| self.column_now(origin));
                columns.push((c.column.id, now.unwrap_or_else(|| c.name.clone())));
            }
            // Without an alias a relation is called what it is called now.
            let own = relation
                .filter(|_| matches!(of_relation, Some(None)))
                .and_then(|oid| self.relation_now(oid));
            let shown = self.unused_name(&own.map_or_else(|| item.name.clone(), |(_, own)| own), &level);
            level.items.push(Item {
                name: item.name.clone(),
                relation: of_relation.and(relation),
                shown,
                columns,
                merged: None,
            });
        }
        // What a join shows once for both of its sides.
        for item in items.iter().filter(|i| !i.relation_visible) {
            for c in &item.columns {
                let Some(merged) = &c.merged else { continue };
                level.items.push(Item {
                    name: String::new(),
                    relation: None,
                    shown: String::new(),
                    columns: vec![(c.column.id, c.name.clone())],
                    merged: Some(merged.clone()),
                });
            }
        }
        level
    }

    fn unused_name(&self, name: &str, level: &Level) -> String {
        let levels = self.levels.borrow();
        let used = |n: &str| levels.iter().chain([level]).flat_map(|l| &l.items).any(|i| i.shown == n);
        let numbered = (1..).map(|n| format!("{name}_{n}"));
        std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|n| !used(n))
            .unwrap_or_default()
    }

    fn column_now(&self, (relation, attnum): (Oid, i16)) -> Option<String> {
        let at = usize::try_from(attnum).ok()?.checked_sub(1)?;
        let table = self
            .catalog
            .tables
            .get(&relation)
            .and_then(|t| Some(t.columns.get(at)?.name.clone()));
        table.or_else(|| Some(self.catalog.views.get(&relation)?.columns.get(at)?.name.clone()))
    }

    /// `get_from_clause`
    pub(super) fn from(&self, list: &[TableRef]) {
        for (i, item) in list.iter().enumerate() {
            if i == 0 {
                self.keyword(" FROM ", -STEP, STEP, 2);
                self.item(item);
            } else {
                self.push(", ");
                let text = self.apart(|| self.item(item));
                self.wrapped(&text, true);
            }
        }
    }

    fn item(&self, item: &TableRef) {
        match item {
            TableRef::Table { name, only, alias, sample } => {
                if sample.is_some() {
                    self.failed.set(true);
                }
                if *only {
                    self.push("ONLY ");
                }
                let cte = name.parts.len() == 1 && self.ctes.borrow().iter().any(|c| *c == name.name());
                let (text, own) = if cte {
                    (quote_identifier(name.name()).into_owned(), name.name().to_owned())
                } else {
                    self.or_fail(self.relation(name))
                };
                self.push(&text);
                let (shown, columns) = self.item_named(alias.as_ref(), name.name(), if cte { None } else { self.meant(name) });
                let given = alias.as_ref().map_or(0, |a| a.columns.len());
                // A table's columns are listed where one of them is called something else.
                let lists = given > 0 && (cte || self.differs(name, &columns));
                if alias.is_some() || lists || shown != own {
                    self.push(&format!(" {}", quote_identifier(&shown)));
                }
                if lists {
                    self.column_list(&columns);
                }
            }
            TableRef::Subquery { lateral, query, alias, .. } => {
                self.push(if *lateral { "LATERAL (" } else { "(" });
                let indent = self.indent.get();
                self.query(query, None);
                self.indent.set(indent);
                self.push(")");
                if let Some(alias) = alias {
                    let (shown, columns) = self.item_named(Some(alias), "", None);
                    self.push(&format!(" {}", quote_identifier(&shown)));
                    if !alias.columns.is_empty() {
                        self.column_list(&columns);
                    }
                }
            }
            TableRef::Function { .. } => self.function_item(item),
            TableRef::Join(join) => self.join(join),
        }
    }

    fn function_item(&self, item: &TableRef) {
        let TableRef::Function {
            lateral,
            calls,
            rows_from,
            ordinality,
            alias,
            columns: definitions,
            ..
        } = item
        else {
            return;
        };
        if !definitions.is_empty() || calls.iter().any(|c| !c.1.is_empty()) {
            return self.failed.set(true);
        }
        let mut refers = *lateral;
        for e in calls.iter().flat_map(|(e, _)| self.record.loose.get(&e.pos)).flatten() {
            crate::walk::columns_of(e, &mut |_| refers = true);
        }
        if refers {
            self.push("LATERAL ");
        }
        let call = |e: &ast::Expr| {
            self.record
                .loose
                .get(&e.pos)
                .map(|list| list.iter().map(|e| self.expr(e)).collect::<Vec<_>>())
        };
        let texts: Option<Vec<Vec<String>>> = calls.iter().map(|(e, _)| call(e)).collect();
        let texts: Vec<String> = self.or_fail(texts).concat();
        match texts.as_slice() {
            [one] if !rows_from => self.push(one),
            several => self.push(&format!("ROWS FROM({})", several.join(", "))),
        }
        if *ordinality {
            self.push(" WITH ORDINALITY");
        }
        let name = calls.first().map(|(e, _)| crate::name::output_name(e)).unwrap_or_default();
        let (shown, columns) = self.item_named(alias.as_ref(), &name, None);
        self.push(&format!(" {}", quote_identifier(&shown)));
        self.column_list(&columns);
    }

    fn join(&self, join: &ast::Join) {
        let pretty = self.style.pretty;
        let nested = matches!(&join.right, TableRef::Join(j) if j.alias.is_none());
        let aliased = join.alias.is_some();
        let Some(record) = self.record.joins.get(&join.pos) else {
            return self.failed.set(true);
        };
        // Under an alias the items of a join are out of sight for all but itself.
        if aliased {
            let level = self.level([&join.left, &join.right], &record.items);
            self.levels.borrow_mut().push(level);
        }
        if !pretty || aliased {
            self.push("(");
        }
        self.item(&join.left);
        let word = match join.kind {
            ast::JoinKind::Inner | ast::JoinKind::Cross if !has_condition(join, record.on.is_some()) => " CROSS JOIN ",
            ast::JoinKind::Inner | ast::JoinKind::Cross => " JOIN ",
            ast::JoinKind::Left => " LEFT JOIN ",
            ast::JoinKind::Right => " RIGHT JOIN ",
            ast::JoinKind::Full => " FULL JOIN ",
        };
        self.keyword(word, -STEP, STEP, SMALL_STEP);
        if pretty && nested {
            self.push("(");
        }
        self.item(&join.right);
        if pretty && nested {
            self.push(")");
        }
        match &join.condition {
            JoinCondition::Using(names, alias) => {
                let names: Vec<_> = names.iter().map(|n| quote_identifier(&n.name)).collect();
                self.push(&format!(" USING ({})", names.join(", ")));
                if let Some(alias) = alias {
                    self.push(&format!(" AS {}", quote_identifier(&alias.name)));
                }
            }
            JoinCondition::Natural => match record.items.iter().rev().find(|i| !i.relation_visible) {
                Some(item) if record.on.is_some() => {
                    let common = match record.on.as_ref().map(|e| &e.kind) {
                        Some(ExprKind::And(terms)) => terms.len(),
                        _ => 1,
                    };
                    let names: Vec<_> = item.columns.iter().take(common).map(|c| quote_identifier(&c.name)).collect();
                    self.push(&format!(" USING ({})", names.join(", ")));
                }
                _ => self.without_condition(join),
            },
            JoinCondition::On(_) => {
                let text = self.or_fail(record.on.as_ref().map(|on| self.expr(on)));
                self.push(&if pretty { format!(" ON {text}") } else { format!(" ON ({text})") });
            }
            JoinCondition::None => self.without_condition(join),
        }
        if !pretty || aliased {
            self.push(")");
        }
        if aliased {
            self.levels.borrow_mut().pop();
        }
        if let Some(alias) = &join.alias {
            let (shown, columns) = self.item_named(Some(alias), "", None);
            self.push(&format!(" {}", quote_identifier(&shown)));
            if !alias.columns.is_empty() {
                self.column_list(&columns);
            }
        }
    }

    fn without_condition(&self, join: &ast::Join) {
        if !matches!(join.kind, ast::JoinKind::Inner | ast::JoinKind::Cross) {
            self.push(" ON TRUE");
        }
    }

    fn column_list(&self, columns: &[String]) {
        let columns: Vec<_> = columns.iter().map(|c| quote_identifier(c)).collect();
        self.push(&format!("({})", columns.join(", ")));
    }

    /// What a FROM item and its columns are shown as.
    fn item_named(&self, alias: Option<&Alias>, name: &str, relation: Option<Oid>) -> (String, Vec<String>) {
        let wanted = alias.map_or(name, |a| a.name.name.as_str());
        let levels = self.levels.borrow();
        let found = levels.last().and_then(|level| {
            let same = |i: &&Item| i.name == wanted && i.relation == relation;
            level.items.iter().find(same)
        });
        match found {
            Some(item) => (item.shown.clone(), item.columns.iter().map(|(_, n)| n.clone()).collect()),
            None => {
                self.failed.set(true);
                (wanted.to_owned(), Vec::new())
            }
        }
    }

    fn meant(&self, name: &ast::ObjectName) -> Option<Oid> {
        let relations = &self.view.relations;
        Some(
            relations
                .iter()
                .find(|r| r.name == name.name() && r.schema.as_deref() == name.schema())?
                .oid,
        )
    }

    fn differs(&self, name: &ast::ObjectName, columns: &[String]) -> bool {
        let Some(oid) = self.meant(name) else { return true };
        let table = self
            .catalog
            .tables
            .get(&oid)
            .map(|t| t.live_columns().map(|(_, c)| c.name.as_str()).collect::<Vec<_>>());
        let view = || {
            self.catalog
                .views
                .get(&oid)
                .map(|v| v.columns.iter().map(|c| c.name.as_str()).collect())
        };
        let system = || system_table(oid).map(|s| s.columns.iter().map(|c| c.name).collect());
        let now: Vec<&str> = table.or_else(view).or_else(system).unwrap_or_default();
        !columns.iter().zip(now).all(|(shown, own)| shown == own)
    }

    fn relation(&self, name: &ast::ObjectName) -> Option<(String, String)> {
        self.relation_now(self.meant(name)?)
    }

    /// A relation as it is found now, and its name alone.
    fn relation_now(&self, oid: Oid) -> Option<(String, String)> {
        if let Some(system) = system_table(oid) {
            let quoted = quote_identifier(system.name);
            let found = system.schema_name == "pg_catalog" || self.search_path.iter().any(|s| s == system.schema_name);
            let text = if found {
                quoted.into_owned()
            } else {
                format!("{}.{quoted}", system.schema_name)
            };
            return Some((text, system.name.to_owned()));
        }
        let (schema, own, _) = self.catalog.relation_by_oid(oid)?;
        let quoted = quote_identifier(own);
        let found = self.catalog.relation(self.search_path, own).map(Relation::oid) == Some(oid);
        let found = found && !self.ctes.borrow().iter().any(|c| c == own);
        let text = if found {
            quoted.into_owned()
        } else {
            format!("{}.{quoted}", quote_identifier(self.catalog.schema_name(schema)))
        };
        Some((text, own.to_owned()))
    }

    /// Names of FROM items in sight; of relations also the alias and what they are, which a common table expression is not.
    #[allow(clippy::type_complexity)] // what one pass over FROM needs
    fn named<'t>(&self, item: &'t TableRef, out: &mut Vec<(&'t str, Option<(Option<&'t Alias>, Option<Oid>)>)>) {
        match item {
            TableRef::Table { name, alias, .. } => {
                let shown = alias.as_ref().map_or_else(|| name.name(), |a| a.name.name.as_str());
                let cte = name.parts.len() == 1 && self.ctes.borrow().iter().any(|c| *c == name.name());
                out.push((shown, (!cte).then(|| (alias.as_ref(), self.meant(name)))));
            }
            TableRef::Join(join) if join.alias.is_none() => {
                self.named(&join.left, out);
                self.named(&join.right, out);
            }
            _ => {}
        }
    }
}

fn has_condition(join: &ast::Join, on: bool) -> bool {
    on || matches!(join.condition, JoinCondition::On(_) | JoinCondition::Using(..))
}
