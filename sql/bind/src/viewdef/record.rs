//! What binding finds out about a view's query while it is to be shown, by where things stand in its text.

use crate::binder::Binder;
use crate::ir::*;
use crate::order::OrderItem;
use crate::scope::{NsItem, Scope};
use crate::select::Target;
use curia_parse::ast::Ident;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A SELECT, as it was before its groups took the place of what they group.
pub(crate) struct SelectRecord {
    pub items: Vec<Rc<NsItem>>,
    pub targets: Vec<Target>,
    pub filter: Option<Expr>,
    pub having: Option<Expr>,
    pub order: Vec<OrderItem>,
    pub distinct_on: Vec<usize>,
}

/// What stands for a column that no FROM item has.
pub(crate) enum Computed {
    Aggregate(Aggregate),
    /// A call over a window, and the window's name if it has one.
    Window(Box<WindowCall>, Option<String>),
    /// A set-returning function of a select list.
    Set(u32, Vec<Expr>),
}

/// A condition of a join, and the items that it sees.
pub(crate) struct JoinRecord {
    pub items: Vec<Rc<NsItem>>,
    pub on: Option<Expr>,
}

#[derive(Default)]
pub(crate) struct Record {
    pub selects: HashMap<u32, SelectRecord>,
    pub joins: HashMap<u32, JoinRecord>,
    /// Keys of GROUP BY.
    pub groups: HashMap<u32, Expr>,
    /// LIMIT, OFFSET, and calls in FROM.
    pub loose: HashMap<u32, Vec<Expr>>,
    /// Rows of VALUES.
    pub values: HashMap<u32, Vec<Vec<Expr>>>,
    pub computed: HashMap<ColId, Computed>,
    /// Names of windows, by the calls' columns.
    pub windows: HashMap<ColId, String>,
}

impl Binder<'_> {
    /// Where to note what is bound now: only what the shown query itself says.
    pub fn noting(&self) -> Option<&RefCell<Record>> {
        self.record.as_ref().filter(|_| self.meanings.is_outermost_view())
    }

    pub fn note_loose(&self, pos: u32, e: &Expr) {
        if let Some(record) = self.noting() {
            record.borrow_mut().loose.entry(pos).or_default().push(e.clone());
        }
    }

    pub fn note_window(&self, output: ColId, name: &Ident) {
        if let Some(record) = self.noting() {
            record.borrow_mut().windows.insert(output, name.name.clone());
        }
    }

    /// Notes a SELECT before it is grouped.
    pub fn note_select(&self, pos: u32, scope: &Scope<'_>, select: impl FnOnce() -> SelectRecord) {
        let Some(record) = self.noting() else { return };
        let mut record = record.borrow_mut();
        for a in scope.aggregates.borrow().iter() {
            record.computed.insert(a.output.id, Computed::Aggregate(a.clone()));
        }
        for w in scope.windows.borrow().iter() {
            let name = record.windows.get(&w.output.id).cloned();
            record.computed.insert(w.output.id, Computed::Window(Box::new(w.clone()), name));
        }
        for (column, function, args) in scope.sets.borrow().iter() {
            record.computed.insert(column.id, Computed::Set(*function, args.clone()));
        }
        record.selects.insert(pos, select());
    }
}
