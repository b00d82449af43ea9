//! Views: in FROM, a view is its query, bound by the names that the query had when the view was made (`rewriteHandler.c`).
//!
//! ```text
//!   CREATE VIEW v AS SELECT * FROM t       stored: the text, and "t is table 16384, whose columns are 1 a, 2 b"
//!   ALTER TABLE t RENAME TO u              the text's t is still 16384
//!   ALTER TABLE u ADD COLUMN c int         the text's * is still a, b
//! ```
//!
//! How deep a statement is shows only when its views have been bound. A binder that has too little stack for that stops and says how
//! much it takes ([`Depth`]); it is then run again.

use crate::binder::{Binder, at};
use crate::from::Part;
use crate::ir::*;
use crate::regclass::{Named, find_relation};
use crate::scope::Scope;
use crate::select::Unknown;
use crate::walk;
use curia_catalog::system::system_table;
use curia_catalog::{Catalog, Relation, View, ViewRelation};
use curia_parse::ast::{self, Alias, ObjectName};
use curia_parse::{MAX_DEPTH, Statement, on_stack};
use curia_types::{Result, SqlError, SqlState};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A column as a view's query knows it: (attnum, name).
pub(crate) type KnownColumn = (i16, String);

/// How deep a statement nests, its views' queries included, and what that is measured against.
pub(crate) struct Depth<'a> {
    /// What the stack is enough for.
    stack: u32,
    /// At the point that is being bound.
    here: Cell<u32>,
    /// Deepest so far.
    deepest: Cell<u32>,
    /// Where to say that the stack is too small.
    wanted: &'a AtomicU32,
}

impl<'a> Depth<'a> {
    /// On a stack that is enough for `stack`, at `depth`.
    pub fn new(stack: u32, depth: u32, wanted: &'a AtomicU32) -> Depth<'a> {
        Depth {
            stack,
            here: Cell::new(depth),
            deepest: Cell::new(depth),
            wanted,
        }
    }

    /// Of all that has been bound.
    pub fn deepest(&self) -> u32 {
        self.deepest.get()
    }

    /// Goes down into a query; `None` if the stack is too small.
    fn enter(&self, depth: u32) -> Result<Option<u32>> {
        let before = self.here.get();
        let here = before.saturating_add(depth);
        if here > MAX_DEPTH {
            return Err(curia_parse::too_deep());
        }
        if here > self.stack {
            self.wanted.store(here.saturating_mul(2).min(MAX_DEPTH), Ordering::Relaxed);
            return Ok(None);
        }
        self.here.set(here);
        self.deepest.set(self.deepest.get().max(here));
        Ok(Some(before))
    }
}

/// Runs `work` on a stack for a statement of depth `depth`, and again on a larger one when its views take more.
pub(crate) fn with_depth<T: Send>(depth: u32, work: impl Fn(Depth<'_>) -> Result<T> + Sync) -> Result<T> {
    let mut stack = depth.max(curia_parse::inline_depth());
    loop {
        let wanted = AtomicU32::new(0);
        let result = on_stack(stack, || work(Depth::new(stack, depth, &wanted)));
        match wanted.into_inner() {
            0 => return result,
            more => stack = more,
        }
    }
}

/// What names of relations mean besides what the search path finds.
#[derive(Default)]
pub(crate) struct Meanings {
    /// Views whose queries are being bound, outermost first.
    inside: RefCell<Vec<Arc<View>>>,
    /// What names have been found to mean, where that is asked for.
    found: RefCell<Option<Vec<ViewRelation>>>,
}

impl Meanings {
    /// Keeps what is found.
    pub fn keeping() -> Meanings {
        Meanings {
            found: RefCell::new(Some(Vec::new())),
            ..Meanings::default()
        }
    }

    /// Whether a view's query is being bound.
    pub fn is_inside(&self) -> bool {
        !self.inside.borrow().is_empty()
    }

    /// Whether a view's query is being bound that is no part of another's.
    pub fn is_outermost_view(&self) -> bool {
        self.inside.borrow().len() == 1
    }

    /// Whether a view is being made, whose query does not run now.
    pub fn keeps(&self) -> bool {
        self.found.borrow().is_some()
    }

    /// What was found.
    pub fn found(&self) -> Vec<ViewRelation> {
        self.found.take().unwrap_or_default()
    }
}

impl<'a> Binder<'a> {
    /// The relation of a name: in a view's query the one that it meant, else the one that the search path finds.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<Named<'a>> {
        let catalog = self.cx.catalog;
        if let Some(view) = self.meanings.inside.borrow().last() {
            return by_oid(catalog, meaning(view, schema, name)?.oid);
        }
        let named = find_relation(self.cx, schema, name)?;
        if let Some(found) = &mut *self.meanings.found.borrow_mut()
            && !found.iter().any(|r| r.name == name && r.schema.as_deref() == schema)
        {
            let columns = match &named {
                Named::Table(t) => t.live_columns().map(|(_, c)| (c.attnum, c.name.clone())).collect(),
                Named::View(v) => (1..).zip(&v.columns).map(|(n, c)| (n, c.name.clone())).collect(),
                _ => Vec::new(),
            };
            found.push(ViewRelation {
                schema: schema.map(str::to_owned),
                name: name.to_owned(),
                oid: named.oid(),
                columns,
                used: Vec::new(),
            });
        }
        Some(named)
    }

    /// In a view's query: the columns that it knows of a relation.
    pub fn known_columns(&self, schema: Option<&str>, name: &str) -> Option<Vec<KnownColumn>> {
        let inside = self.meanings.inside.borrow();
        Some(meaning(inside.last()?, schema, name)?.columns.clone())
    }

    /// Binds a text that stands by itself: a function's body, whose names mean what the search path finds, in a view's query too.
    pub fn as_text_of_its_own<T>(&self, depth: u32, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(before) = self.depth.enter(depth.saturating_add(1))? else {
            return Err(SqlError::internal("the stack is too small"));
        };
        let (inside, found) = (self.meanings.inside.take(), self.meanings.found.take());
        let result = work();
        self.meanings.inside.replace(inside);
        self.meanings.found.replace(found);
        self.depth.here.set(before);
        result
    }

    /// Binds something of a view's query, with its names as the view means them; `name` is where the client's statement says the view.
    pub fn in_view<T>(&self, view: &Arc<View>, name: Option<&ObjectName>, work: impl FnOnce(&ast::Query) -> Result<T>) -> Result<T> {
        let unreadable = |why: &str| SqlError::internal(format!("view {}: {why}", view.name));
        if self.meanings.inside.borrow().iter().any(|v| v.oid == view.oid) {
            return Err(recursive(&view.name));
        }
        let parsed = curia_parse::parse(&view.query)?.pop().ok_or_else(|| unreadable("empty query"))?;
        let Statement::Query(query) = &parsed.statement else {
            return Err(unreadable("not a query"));
        };
        let Some(depth) = self.depth.enter(parsed.depth.saturating_add(1))? else {
            return Err(unreadable("the stack is too small"));
        };
        self.meanings.inside.borrow_mut().push(Arc::clone(view));
        let done = self.as_owner(view, || work(query));
        self.meanings.inside.borrow_mut().pop();
        self.depth.here.set(depth);
        // Its positions are in another text than the client's.
        done.map_err(|e| match name {
            Some(name) => SqlError::new(e.code(), e.message().to_owned()).at(at(name.pos())),
            None => e.nowhere(),
        })
    }

    /// A view in FROM.
    pub fn view(&self, view: &Arc<View>, alias: Option<&Alias>, name: &ObjectName) -> Result<Part> {
        let entry = self.reads(view.oid);
        let known = self.known_columns(name.schema(), name.name());
        let mut bound = self.in_view(view, Some(name), |query| self.query(query, &Scope::root(), Unknown::ToText))?;
        walk::forget_positions(&mut bound.rel);

        let mut columns = Vec::with_capacity(view.columns.len());
        let mut attnums = Vec::with_capacity(view.columns.len());
        for ((attnum, column), output) in (1..).zip(&view.columns).zip(&bound.output) {
            let name = match &known {
                None => &column.name,
                Some(known) => match known.iter().find(|(n, _)| *n == attnum) {
                    Some((_, name)) => name,
                    None => continue,
                },
            };
            attnums.push(attnum);
            columns.push((
                name.clone(),
                RelColumn {
                    id: output.id,
                    ty: output.ty,
                },
            ));
        }
        let (rel, columns) = self.distinct_columns(bound.rel, columns);
        let mut item = self.item(alias, name.name(), columns)?;
        for (column, attnum) in item.columns.iter_mut().zip(attnums) {
            column.origin = Some((view.oid, attnum));
            self.ledger.column(entry, column.column.id, attnum);
        }
        if alias.is_none() {
            item.schema = Some(self.cx.catalog.schema_name(view.schema).to_owned());
        }
        item.subquery = true;
        Ok(Part {
            rel,
            items: vec![Rc::new(item)],
            refers: Vec::new(),
        })
    }
}

fn meaning<'v>(view: &'v View, schema: Option<&str>, name: &str) -> Option<&'v ViewRelation> {
    view.relations.iter().find(|r| r.name == name && r.schema.as_deref() == schema)
}

fn by_oid(catalog: &Catalog, oid: u32) -> Option<Named<'_>> {
    if let Some(system) = system_table(oid) {
        return Some(Named::System(system));
    }
    let (_, _, relation) = catalog.relation_by_oid(oid)?;
    Some(match relation {
        Relation::Table(oid) => Named::Table(catalog.tables.get(&oid)?),
        Relation::View(oid) => Named::View(catalog.views.get(&oid)?),
        Relation::Sequence(oid) => Named::Sequence(oid),
        Relation::Index(_, oid) => Named::Index(oid),
    })
}

/// 42P17 for a view whose query leads back to it.
pub fn recursive(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_OBJECT_DEFINITION,
        format!("infinite recursion detected in rules for relation \"{name}\""),
    )
}
