//! What a statement needs the right to: collected while it is bound, checked when it is to run (`ExecCheckRTPerms`).
//!
//! ```text
//!   SELECT a FROM v          v: SELECT of a, as the current role
//!   v is SELECT a FROM t     t: SELECT of a, as v's owner
//!   f() is SECURITY DEFINER  f: EXECUTE, as the current role; what its body reads, as f's owner
//! ```
//!
//! Columns are noted by the ids that stand for them. Nothing is noted for superusers, nor for expressions that a table brings along.

use crate::binder::{Binder, at};
use crate::ir::ColId;
use curia_catalog::privilege::authority::denied;
use curia_catalog::{Catalog, Function, Oid, Rights, View};
use curia_parse::ast::ObjectName;
use curia_types::{Result, SqlError};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// A right that a statement needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Who needs it.
    pub role: Oid,
    /// To what.
    pub object: Oid,
    /// What.
    pub rights: Rights,
    /// Columns that are read; none when only rows are counted.
    pub selected: Vec<i16>,
    /// Columns that new rows give values.
    pub inserted: Vec<i16>,
    /// Columns that are assigned to.
    pub updated: Vec<i16>,
    /// The function in whose body it is.
    pub within: Option<String>,
}

/// Refuses what a statement may not do.
///
/// # Errors
/// 42501, of the first object in order.
pub fn check_access(catalog: &Catalog, accesses: &[Access]) -> Result<()> {
    for a in accesses {
        let Some(g) = catalog.granted(a.object) else {
            // A function of the system's own on which something was granted or revoked.
            if let Some(f) = curia_functions::by_oid(a.object)
                && !catalog
                    .rights_on(a.role, a.object, curia_catalog::Kind::Function, curia_catalog::lookup::FIRST_ROLE)
                    .contains(a.rights)
            {
                return Err(denied("function", f.name));
            }
            continue;
        };
        let missing = a.rights.without(catalog.rights_on(a.role, a.object, g.kind, g.owner));
        if missing.is_empty() {
            continue;
        }
        let by_column = [
            (Rights::SELECT, &a.selected),
            (Rights::INSERT, &a.inserted),
            (Rights::UPDATE, &a.updated),
        ];
        let whole = by_column.iter().fold(missing, |left, (right, _)| left.without(*right));
        let granted = |right: Rights, attnum: i16| catalog.column_rights(a.role, a.object, attnum).contains(right);
        let given = |(right, columns): &(Rights, &Vec<i16>)| {
            if !missing.contains(*right) {
                return true;
            }
            if columns.is_empty() {
                return catalog.attnums(a.object).iter().any(|n| granted(*right, *n));
            }
            columns.iter().all(|n| granted(*right, *n))
        };
        if !whole.is_empty() || !by_column.iter().all(given) {
            let error = denied(g.word, g.name);
            return Err(match &a.within {
                Some(function) => error.context(format!("SQL function \"{function}\" statement 1")),
                None => error,
            });
        }
    }
    Ok(())
}

/// What has been noted, and as whom.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: RefCell<Vec<Access>>,
    /// What columns are, by their ids: (place in `entries`, attnum).
    columns: RefCell<HashMap<ColId, Vec<(usize, i16)>>>,
    /// Who calls functions; 0 for the system itself.
    caller: Cell<Oid>,
    /// Who reads relations: the owner of the view that is being bound, else who calls.
    reader: Cell<Oid>,
    /// The function whose body is being bound.
    within: RefCell<Option<String>>,
    /// What is bound comes along with a table.
    quiet: Cell<bool>,
    /// What is done to the relation that a change names next.
    changing: Cell<Option<Rights>>,
    /// Entries of what the statement changes: views from the outermost on, then the table.
    targets: RefCell<Vec<usize>>,
}

impl Ledger {
    pub fn new(role: Oid) -> Ledger {
        Ledger {
            caller: Cell::new(role),
            reader: Cell::new(role),
            ..Ledger::default()
        }
    }

    /// What was noted.
    pub fn into_entries(self) -> Vec<Access> {
        self.entries.into_inner()
    }

    fn push(&self, role: Oid, object: Oid, rights: Rights) -> usize {
        let mut entries = self.entries.borrow_mut();
        entries.push(Access {
            role,
            object,
            rights,
            selected: Vec::new(),
            inserted: Vec::new(),
            updated: Vec::new(),
            within: self.within.borrow().clone(),
        });
        entries.len() - 1
    }

    /// A column of a noted relation.
    pub fn column(&self, entry: Option<usize>, id: ColId, attnum: i16) {
        if let Some(entry) = entry {
            self.columns.borrow_mut().entry(id).or_default().push((entry, attnum));
        }
    }

    /// A column is read.
    pub fn used(&self, id: ColId) {
        if self.quiet.get() {
            return;
        }
        let columns = self.columns.borrow();
        let Some(found) = columns.get(&id) else { return };
        let mut entries = self.entries.borrow_mut();
        for (entry, attnum) in found {
            note_selected(&mut entries[*entry], *attnum);
        }
    }

    /// A column of what is changed is read, that is computed of others.
    pub fn used_of_target(&self, relation: Oid, attnum: i16) {
        if self.quiet.get() {
            return;
        }
        let mut entries = self.entries.borrow_mut();
        for at in self.targets.borrow().iter() {
            if entries[*at].object == relation {
                note_selected(&mut entries[*at], attnum);
            }
        }
    }

    /// Rows of a scan are locked.
    pub fn locked(&self, row_key: ColId) {
        let columns = self.columns.borrow();
        let mut entries = self.entries.borrow_mut();
        for (entry, _) in columns.get(&row_key).into_iter().flatten() {
            entries[*entry].rights |= Rights::UPDATE;
        }
    }

    /// Binds what comes along with a table: its defaults, conditions, indexes.
    pub fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.quiet.replace(true);
        let result = work();
        self.quiet.set(before);
        result
    }

    /// A change of rows begins.
    pub fn start_change(&self, rights: Rights) {
        self.changing.set(Some(rights));
        self.targets.borrow_mut().clear();
    }

    /// The columns that a change gives values: table columns by attnum, and what they are in the outermost view.
    pub fn assigned(&self, table: Oid, columns: &[i16], view: Option<(Oid, Vec<i16>)>, insert: bool) {
        let mut entries = self.entries.borrow_mut();
        for at in self.targets.borrow().iter() {
            let entry = &mut entries[*at];
            let own: &[i16] = match &view {
                _ if entry.object == table => columns,
                Some((oid, of_view)) if entry.object == *oid => of_view,
                _ => &[],
            };
            let list = if insert { &mut entry.inserted } else { &mut entry.updated };
            list.extend_from_slice(own);
        }
    }

    /// Further rights to what is changed: ON CONFLICT.
    pub fn also(&self, rights: Rights, selected: &[i16]) {
        let mut entries = self.entries.borrow_mut();
        for at in self.targets.borrow().iter() {
            entries[*at].rights |= rights;
            for attnum in selected {
                note_selected(&mut entries[*at], *attnum);
            }
        }
    }

    /// The entries of what is changed, with their objects.
    pub fn targets(&self) -> Vec<(usize, Oid)> {
        let entries = self.entries.borrow();
        self.targets.borrow().iter().map(|at| (*at, entries[*at].object)).collect()
    }
}

fn note_selected(entry: &mut Access, attnum: i16) {
    entry.rights |= Rights::SELECT;
    if attnum != 0 && !entry.selected.contains(&attnum) {
        entry.selected.push(attnum);
    }
}

impl Binder<'_> {
    fn unchecked(&self, role: Oid) -> bool {
        role == 0 || self.ledger.quiet.get() || self.cx.catalog.authority().is_superuser(role)
    }

    /// Notes a relation that is read.
    pub fn reads(&self, relation: Oid) -> Option<usize> {
        let role = self.ledger.reader.get();
        (!self.unchecked(role)).then(|| self.ledger.push(role, relation, Rights::SELECT))
    }

    /// Notes a relation that is changed, or a view through which it is; `last` when it is the table itself.
    pub fn changes(&self, relation: Oid, last: bool) -> Option<usize> {
        let rights = if last {
            self.ledger.changing.take()
        } else {
            self.ledger.changing.get()
        };
        let role = self.ledger.reader.get();
        let rights = rights?;
        if self.unchecked(role) {
            return None;
        }
        let at = self.ledger.push(role, relation, rights);
        self.ledger.targets.borrow_mut().push(at);
        Some(at)
    }

    /// Whether the next scan is of what the statement changes.
    pub fn is_changing(&self) -> bool {
        self.ledger.changing.get().is_some()
    }

    /// Notes a call.
    pub fn calls_function(&self, function: Oid) {
        let role = self.ledger.caller.get();
        if !self.unchecked(role) {
            self.ledger.push(role, function, Rights::EXECUTE);
        }
    }

    /// Binds a view's query: relations are read as its owner.
    pub fn as_owner<T>(&self, view: &View, work: impl FnOnce() -> T) -> T {
        let invoker = view
            .options
            .iter()
            .any(|(name, value)| name == "security_invoker" && matches!(value.as_str(), "true" | "on" | "1" | "yes"));
        let before = self.ledger.reader.get();
        if !invoker && before != 0 {
            self.ledger.reader.set(view.owner);
        }
        let result = work();
        self.ledger.reader.set(before);
        result
    }

    /// Binds a function's body: as its owner when it is SECURITY DEFINER, else as who calls it.
    pub fn as_called<T>(&self, function: &Function, work: impl FnOnce() -> T) -> T {
        let before = (self.ledger.caller.get(), self.ledger.reader.get());
        let outside = self.ledger.within.replace((before.0 != 0).then(|| function.name.clone()));
        if before.0 != 0 {
            let role = if function.security_definer { function.owner } else { before.0 };
            self.ledger.caller.set(role);
            self.ledger.reader.set(role);
        }
        let result = work();
        self.ledger.within.replace(outside);
        self.ledger.caller.set(before.0);
        self.ledger.reader.set(before.1);
        result
    }

    /// The role whose function is being bound, when it is not the session's.
    pub fn definer(&self) -> Option<Oid> {
        let caller = self.ledger.caller.get();
        (caller != 0 && Some(caller) != self.cx.role).then_some(caller)
    }

    /// Refuses a name in a schema that the role may not look into.
    pub fn check_schema(&self, name: &ObjectName) -> Result<()> {
        let Some(schema) = name.schema() else { return Ok(()) };
        let role = self.ledger.caller.get();
        if self.unchecked(role) || self.meanings.is_inside() {
            return Ok(());
        }
        let catalog = self.cx.catalog;
        match catalog.schema(curia_catalog::temporary::meant(schema, self.cx.search_path)) {
            Some(s) => catalog
                .require(role, s.oid, Rights::USAGE)
                .map_err(|e: SqlError| e.at(at(name.pos()))),
            None => Ok(()),
        }
    }
}
