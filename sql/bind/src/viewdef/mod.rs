//! A view's query as `pg_get_viewdef` shows it (`ruleutils.c`): from what it was bound to, by the names that things have now.
//!
//! The text that a view keeps is the one that was written. Here it is bound once more, as a definition; binding notes clause by clause
//! what it finds ([`record`]), and the syntax tree says in which order to print that ([`query`], [`from`], [`expr`]). Names are qualified
//! where the search path of who asks does not find them, so what is shown for an empty search path means the same anywhere.
//!
//! What cannot be shown in this way is shown as it was written.

mod expr;
mod from;
mod query;
mod record;

pub(crate) use record::{JoinRecord, Record, SelectRecord};

use crate::binder::Binder;
use crate::context::BindContext;
use crate::ir::{ColId, Expr};
use crate::scope::Scope;
use crate::select::Unknown;
use crate::view::with_depth;
use curia_catalog::{Catalog, Oid, View};
use curia_parse::ast::walk::{Node, parts};
use curia_parse::ast::{self, ExprKind};
use curia_types::{IoContext, Result, SqlError};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// How a view is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct ViewStyle {
    /// Leaves out parentheses that are not needed.
    pub pretty: bool,
    /// Lines are broken where they would get longer than this; 0 breaks after each column, a negative number never.
    pub wrap: i32,
}

/// `pg_get_viewdef`; a materialized view is shown as the view that it would be.
pub fn shown(catalog: &Catalog, search_path: &[String], view: &Arc<View>, style: ViewStyle) -> String {
    printed(catalog, search_path, view, style).unwrap_or_else(|_| format!(" {};", view.query))
}

fn printed(catalog: &Catalog, search_path: &[String], view: &Arc<View>, style: ViewStyle) -> Result<String> {
    let io = IoContext {
        types: Some(Arc::new(catalog.clone())),
        ..IoContext::default()
    };
    // Types and functions are found where they probably were when the view was made.
    let mut finding: Vec<String> = search_path.to_vec();
    finding.extend([catalog.schema_name(view.schema).to_owned(), "public".to_owned()]);
    let cx = BindContext::of_definitions(catalog, &finding, &io);
    with_depth(0, |depth| {
        let mut binder = Binder::new(&cx, depth, false);
        binder.record = Some(RefCell::default());
        binder.in_view(view, None, |query| {
            let bound = binder.query(query, &Scope::root(), Unknown::ToText)?;
            let record = binder.record.as_ref().map(RefCell::take).unwrap_or_default();
            let printer = Printer {
                catalog,
                search_path,
                view,
                style,
                record,
                written: Written::of(query),
                types: bound.output.iter().map(|c| c.ty).collect(),
                out: RefCell::default(),
                indent: Cell::new(0),
                levels: RefCell::default(),
                ctes: RefCell::default(),
                failed: Cell::new(false),
            };
            let names: Vec<&str> = view.columns.iter().map(|c| c.name.as_str()).collect();
            printer.query(query, Some(&names));
            if printer.failed.get() {
                return Err(SqlError::internal("a view's query cannot be shown"));
            }
            Ok(format!("{};", printer.out.take()))
        })
    })
}

/// A FROM item under the name that it is shown with.
#[derive(Default)]
struct Level {
    items: Vec<Item>,
}

struct Item {
    /// Its name or alias in the query.
    name: String,
    /// The table or view that it is.
    relation: Option<Oid>,
    shown: String,
    columns: Vec<(ColId, String)>,
    /// What a full join shows for a column of both its sides, under the one name in `columns`; such an item has no name.
    merged: Option<Expr>,
}

struct Printer<'a> {
    catalog: &'a Catalog,
    search_path: &'a [String],
    view: &'a View,
    style: ViewStyle,
    record: Record,
    written: Written<'a>,
    /// Types of the view's columns.
    types: Vec<curia_types::PgType>,
    out: RefCell<String>,
    indent: Cell<i32>,
    /// Query levels, outermost first.
    levels: RefCell<Vec<Level>>,
    /// Common table expressions in sight.
    ctes: RefCell<Vec<String>>,
    /// Something has no text.
    failed: Cell<bool>,
}

/// Forms of expressions that are gone when they are bound, by where they stand.
#[derive(Default)]
struct Written<'a> {
    queries: HashMap<u32, &'a ast::Query>,
    /// CASE with an operand.
    simple_cases: Vec<u32>,
    /// CURRENT_DATE and its kin.
    values: HashMap<u32, ast::SqlValue>,
    /// EXTRACT and its kin.
    syntax: Vec<u32>,
}

impl<'a> Written<'a> {
    fn of(query: &'a ast::Query) -> Written<'a> {
        let mut written = Written::default();
        written.note(Node::Query(query));
        written
    }

    fn note(&mut self, node: Node<'a>) {
        if let Node::Expr(e) = node {
            match &e.kind {
                ExprKind::Subquery(q) | ExprKind::Exists(q) | ExprKind::ArrayQuery(q) | ExprKind::InQuery { query: q, .. } => {
                    self.queries.insert(e.pos, q);
                }
                ExprKind::Quantified { right, .. } => {
                    if let ast::QuantifiedRight::Query(q) = &**right {
                        self.queries.insert(e.pos, q);
                    }
                }
                // A cast that changes nothing leaves the subquery in its place.
                ExprKind::Cast { arg, .. } => {
                    if let ExprKind::Subquery(q) | ExprKind::ArrayQuery(q) = &arg.kind {
                        self.queries.insert(e.pos, q);
                    }
                }
                ExprKind::Case { operand: Some(_), .. } => self.simple_cases.push(e.pos),
                ExprKind::SqlValue(v) => {
                    self.values.insert(e.pos, *v);
                }
                ExprKind::Call(c) if c.sql_syntax => self.syntax.push(e.pos),
                _ => {}
            }
        }
        // A walk that collects never ends early.
        let _ = parts::<()>(node, &mut |part| {
            self.note(part);
            Ok(())
        });
    }
}
