//! Names in sight: FROM items level by level, and what a query level collects while its expressions are bound.
//!
//! A level's scope points to its parent's. A name is looked up level by level; a column found further out is an outer reference of every
//! level in between. FROM subqueries without LATERAL get a stand-in for their level that hides the siblings.

use crate::binder::{Binder, at};
use crate::ir::*;
use curia_catalog::{Oid, Table};
use curia_parse::ast::{Ident, WindowSpec};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A column of a FROM item.
#[derive(Clone, Debug)]
pub(crate) struct NsColumn {
    pub name: String,
    pub column: RelColumn,
    /// What stands for it when it is not a plain column of a relation below (the merged column of a full join).
    pub merged: Option<Expr>,
    pub origin: Option<(Oid, i16)>,
}

/// A FROM item.
#[derive(Clone, Debug)]
pub(crate) struct NsItem {
    /// Alias or name; empty for an unnamed join.
    pub name: String,
    /// Schema, when it is a table without alias.
    pub schema: Option<String>,
    /// The table's own name when an alias hides it.
    pub hidden_name: Option<String>,
    pub columns: Vec<NsColumn>,
    /// May be named in `name.column`.
    pub relation_visible: bool,
    /// Its columns are found by bare names.
    pub columns_visible: bool,
    /// The table's OID.
    pub table: Option<Oid>,
    /// The stored table that its columns are of, for functional dependencies.
    pub stored: Option<Arc<Table>>,
    /// A function whose single column may be meant by the item's name.
    pub scalar_function: bool,
    /// The scan's row key, for FOR UPDATE.
    pub row_key: Option<ColId>,
    /// The column that says the table of a row, where rows of several come together.
    pub tableoid: Option<ColId>,
    /// On the side of an outer join that may be null.
    pub nullable: bool,
    /// A subquery: row locks would have to reach into it.
    pub subquery: bool,
    /// How many of the last columns `*` leaves out.
    pub unexpanded: usize,
}

impl NsItem {
    /// The columns of a scan of all of a table: (index into `Table::columns`, output).
    pub fn scanned(&self, table: &Table) -> Vec<(usize, RelColumn)> {
        let columns = table.live_columns().zip(&self.columns);
        columns.map(|((i, _), c)| (i, c.column.clone())).collect()
    }
}

/// A common table expression in sight.
#[derive(Clone, Debug)]
pub(crate) struct CteInfo {
    pub name: String,
    pub id: u32,
    pub columns: Vec<(String, PgType)>,
    /// How many of the last columns `*` leaves out.
    pub unexpanded: usize,
    /// Why it cannot be referred to here.
    pub blocked: Option<(SqlState, String, Option<u32>)>,
    /// Something referred to it.
    pub used: Cell<bool>,
    /// It is being defined: a reference is to what the recursion has so far.
    pub recursing: bool,
    /// Columns of enclosing levels that its definition refers to.
    pub outer: Vec<ColId>,
}

/// The clause that is being bound: what aggregates, window functions and set-returning functions may do, and how errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    Select,
    From,
    Where,
    On,
    GroupBy,
    Having,
    OrderBy,
    DistinctOn,
    Limit,
    Offset,
    Values,
    Returning,
    UpdateSet,
    Check,
    Generated,
    Default,
    Filter,
    AggregateArgument,
    WindowPartition,
    WindowOrder,
    WindowFrame,
    AlterUsing,
    IndexExpression,
    IndexPredicate,
    ConflictWhere,
    CopyWhere,
    PartitionKey,
    PartitionBound,
    MergeWhen,
}

/// One query level.
pub(crate) struct Scope<'p> {
    pub parent: Option<&'p Scope<'p>>,
    pub items: Vec<Rc<NsItem>>,
    pub ctes: Vec<Rc<CteInfo>>,
    /// Columns of enclosing levels that this level, or one inside it, refers to.
    pub outer: RefCell<Vec<ColId>>,
    pub clause: Cell<Clause>,
    pub aggregates: RefCell<Vec<Aggregate>>,
    pub windows: RefCell<Vec<WindowCall>>,
    pub sets: RefCell<Vec<(RelColumn, Oid, Vec<Expr>)>>,
    pub named_windows: RefCell<Vec<(Ident, WindowSpec)>>,
    /// Shows a function's arguments.
    pub arguments: bool,
    /// FROM reads the recursive query that is being defined.
    pub recursing: Cell<bool>,
}

impl<'p> Scope<'p> {
    pub fn root() -> Scope<'static> {
        Scope::of(None, Vec::new(), Vec::new())
    }

    fn of(parent: Option<&'p Scope<'p>>, items: Vec<Rc<NsItem>>, ctes: Vec<Rc<CteInfo>>) -> Scope<'p> {
        Scope {
            parent,
            items,
            ctes,
            outer: RefCell::default(),
            clause: Cell::new(Clause::Select),
            aggregates: RefCell::default(),
            windows: RefCell::default(),
            sets: RefCell::default(),
            named_windows: RefCell::default(),
            arguments: false,
            recursing: Cell::new(false),
        }
    }

    /// A level inside `parent`, which sees its common table expressions.
    pub fn inside(parent: &'p Scope<'p>) -> Scope<'p> {
        Scope::of(Some(parent), Vec::new(), parent.ctes.clone())
    }

    /// A stand-in for this level towards its FROM items: shows `items` only.
    pub fn stand_in(&self, items: Vec<Rc<NsItem>>) -> Scope<'p> {
        let stand_in = Scope::of(self.parent, items, self.ctes.clone());
        stand_in.clause.set(Clause::From);
        stand_in
    }

    /// How many outer references this level and those around it have.
    pub fn outer_marks(&self) -> Vec<usize> {
        self.levels().map(|l| l.outer.borrow().len()).collect()
    }

    /// The level of the innermost columns among `ids`, with its distance; this one if there are none.
    pub fn level_of(&self, ids: &[ColId]) -> (usize, &Scope<'_>) {
        let holds = |level: &&Scope<'_>, id: ColId| level.items.iter().flat_map(|i| &i.columns).any(|c| c.column.id == id);
        let found = self
            .levels()
            .enumerate()
            .find(|(_, level)| !level.arguments && ids.iter().any(|id| holds(level, *id)));
        found.unwrap_or((0, self))
    }

    /// Forgets the outer references since `marks` of the levels inside the one at a distance, and notes one to it instead.
    pub fn refer_instead(&self, marks: &[usize], depth: usize, id: ColId) {
        for (level, mark) in self.levels().zip(marks).take(depth) {
            level.outer.borrow_mut().truncate(*mark);
        }
        self.note_outer(depth, id);
    }

    /// What refers to a common table expression refers to what its definition does.
    pub fn refer_through(&self, cte: &CteInfo) {
        for id in &cte.outer {
            let holds = |level: &&Scope<'_>| level.items.iter().flat_map(|i| &i.columns).any(|c| c.column.id == *id);
            let depth = self.levels().take_while(|level| !holds(level)).count();
            self.note_outer(depth, *id);
        }
    }

    /// Takes over the outer references of a stand-in.
    pub fn absorb(&self, stand_in: &Scope<'_>) {
        self.outer.borrow_mut().extend(stand_in.outer.borrow().iter().copied());
    }

    /// Runs `work` with another clause set.
    pub fn within<T>(&self, clause: Clause, work: impl FnOnce() -> T) -> T {
        let before = self.clause.replace(clause);
        let result = work();
        self.clause.set(before);
        result
    }

    /// This level and those around it, innermost first.
    fn levels(&self) -> impl Iterator<Item = &Scope<'_>> {
        let mut next: Option<&Scope<'_>> = Some(self);
        std::iter::from_fn(move || {
            let level = next?;
            next = level.parent;
            Some(level)
        })
    }

    /// The table column that a column in sight is, through subqueries too.
    pub fn origin(&self, id: ColId) -> Option<(Oid, i16)> {
        self.levels()
            .flat_map(|l| l.items.iter())
            .flat_map(|i| i.columns.iter())
            .find(|c| c.column.id == id && c.merged.is_none())
            .and_then(|c| c.origin)
    }

    fn note_outer(&self, depth: usize, id: ColId) {
        for level in self.levels().take(depth) {
            let mut outer = level.outer.borrow_mut();
            if !outer.contains(&id) {
                outer.push(id);
            }
        }
    }
}

impl Binder<'_> {
    /// `$n`: an argument of the function whose body this is, else a parameter of the statement.
    pub fn parameter(&self, number: u32, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let Some((depth, level)) = scope.levels().enumerate().find(|(_, l)| l.arguments) else {
            return self.param(number, pos);
        };
        let columns = level.items.first().map(|i| i.columns.as_slice()).unwrap_or_default();
        match (number as usize).checked_sub(1).and_then(|i| columns.get(i)) {
            Some(column) => Ok(self.use_column(column, depth, scope, pos)),
            None => Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${number}")).at(at(pos))),
        }
    }

    /// A column reference of one to three parts.
    pub fn column_ref(&self, parts: &[Ident], scope: &Scope<'_>) -> Result<Expr> {
        let pos = parts[0].pos;
        self.refuse_in_definition(scope.clause.get(), "column reference", pos)?;
        match parts {
            [name] => {
                for (depth, level) in scope.levels().enumerate() {
                    let mut found: Option<&NsColumn> = None;
                    for item in level.items.iter().filter(|i| i.columns_visible) {
                        for column in item.columns.iter().filter(|c| c.name == name.name) {
                            if found.is_some() {
                                return Err(SqlError::new(
                                    SqlState::AMBIGUOUS_COLUMN,
                                    format!("column reference \"{}\" is ambiguous", name.name),
                                )
                                .at(at(pos)));
                            }
                            found = Some(column);
                        }
                    }
                    if let Some(column) = found {
                        return Ok(self.use_column(column, depth, scope, pos));
                    }
                }
                // A FROM item's name alone is its whole row.
                for (depth, level) in scope.levels().enumerate() {
                    if let Some(item) = level.items.iter().find(|i| i.relation_visible && i.name == name.name) {
                        if item.scalar_function && item.columns.len() == 1 {
                            return Ok(self.use_column(&item.columns[0], depth, scope, pos));
                        }
                        return Ok(self.whole_row(item, depth, scope, pos));
                    }
                }
                if let Some(e) = self.system_column(scope, None, &name.name, pos)? {
                    return Ok(e);
                }
                Err(self.no_column(scope, None, &name.name, pos))
            }
            [table, column] => self.qualified(scope, None, table, column),
            [schema, table, column] => self.qualified(scope, Some(&schema.name), table, column),
            [database, schema, table, column] => {
                if database.name != self.cx.database {
                    let shown: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
                    let message = format!("cross-database references are not implemented: {}", shown.join("."));
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at(pos)));
                }
                self.qualified(scope, Some(&schema.name), table, column)
            }
            _ => {
                let shown: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
                Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("improper qualified name (too many dotted names): {}", shown.join(".")),
                )
                .at(at(pos)))
            }
        }
    }

    fn qualified(&self, scope: &Scope<'_>, schema: Option<&str>, table: &Ident, column: &Ident) -> Result<Expr> {
        let pos = table.pos;
        let (depth, item) = self.find_item(scope, schema, table)?;
        let mut matches = item.columns.iter().filter(|c| c.name == column.name);
        if let Some(found) = matches.next() {
            if matches.next().is_some() {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("column reference \"{}\" is ambiguous", column.name),
                )
                .at(at(pos)));
            }
            return Ok(self.use_column(found, depth, scope, pos));
        }
        if let Some(e) = self.system_column(scope, Some((depth, &item)), &column.name, pos)? {
            return Ok(e);
        }
        Err(self.no_column(scope, Some(&item.name), &column.name, pos))
    }

    /// The FROM item that a qualifier names.
    pub fn find_item(&self, scope: &Scope<'_>, schema: Option<&str>, table: &Ident) -> Result<(usize, Rc<NsItem>)> {
        for (depth, level) in scope.levels().enumerate() {
            let matches =
                |i: &&Rc<NsItem>| i.relation_visible && i.name == table.name && schema.is_none_or(|s| i.schema.as_deref() == Some(s));
            let mut found = level.items.iter().filter(matches);
            if let Some(item) = found.next() {
                if found.next().is_some() {
                    let message = format!("table reference \"{}\" is ambiguous", table.name);
                    return Err(SqlError::new(SqlState::new("42P09"), message).at(at(table.pos)));
                }
                return Ok((depth, Rc::clone(item)));
            }
        }
        Err(self.no_item(scope, &table.name, table.pos))
    }

    fn no_item(&self, scope: &Scope<'_>, name: &str, pos: u32) -> SqlError {
        let items = || scope.levels().flat_map(|l| l.items.iter());
        if let Some(item) = items().find(|i| i.hidden_name.as_deref() == Some(name)) {
            return SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{name}\""),
            )
            .hint(format!("Perhaps you meant to reference the table alias \"{}\".", item.name))
            .at(at(pos));
        }
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\"")).at(at(pos))
    }

    pub fn use_column(&self, column: &NsColumn, depth: usize, scope: &Scope<'_>, pos: u32) -> Expr {
        let mut expr = match &column.merged {
            Some(e) => {
                crate::walk::columns_of(e, &mut |id| {
                    scope.note_outer(depth, id);
                    self.ledger.used(id);
                });
                if let Some((relation, attnum)) = column.origin {
                    self.ledger.used_of_target(relation, attnum);
                }
                e.clone()
            }
            None => {
                scope.note_outer(depth, column.column.id);
                self.ledger.used(column.column.id);
                Expr {
                    kind: ExprKind::Column(column.column.id),
                    ty: column.column.ty,
                    position: None,
                }
            }
        };
        expr.position = at(pos);
        expr
    }

    fn whole_row(&self, item: &NsItem, depth: usize, scope: &Scope<'_>, pos: u32) -> Expr {
        let fields: Vec<Expr> = item.columns.iter().map(|c| self.use_column(c, depth, scope, pos)).collect();
        let names = item.columns.iter().map(|c| c.name.as_str().into()).collect();
        let absent = item.nullable.then(|| self.absent(item, &fields, depth, scope));
        let row = Expr {
            kind: ExprKind::Row(fields, Some(names)),
            ty: self.row_type(item),
            position: at(pos),
        };
        match absent {
            None => row,
            Some(absent) => Expr {
                ty: row.ty,
                position: row.position,
                kind: ExprKind::Case {
                    branches: vec![(absent, self.constant(Datum::Null, row.ty, None))],
                    otherwise: Some(Box::new(row)),
                },
            },
        }
    }

    /// Whether an outer join found no row of an item: a table's row has a key, another item's is taken for absent when it is all NULL.
    fn absent(&self, item: &NsItem, fields: &[Expr], depth: usize, scope: &Scope<'_>) -> Expr {
        let is_null = |arg: Expr| Expr {
            kind: ExprKind::IsNull {
                arg: Box::new(arg),
                negated: false,
            },
            ty: PgType::BOOL,
            position: None,
        };
        let Some(id) = item.row_key else {
            return Expr {
                kind: ExprKind::And(fields.iter().cloned().map(is_null).collect()),
                ty: PgType::BOOL,
                position: None,
            };
        };
        scope.note_outer(depth, id);
        is_null(Expr {
            kind: ExprKind::Column(id),
            ty: PgType::BYTEA,
            position: None,
        })
    }

    fn system_column(&self, scope: &Scope<'_>, item: Option<(usize, &NsItem)>, name: &str, pos: u32) -> Result<Option<Expr>> {
        if !matches!(name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid") {
            return Ok(None);
        }
        let own = || scope.items.iter().find(|i| i.table.is_some()).map(|i| (0, Rc::as_ref(i)));
        let Some((depth, item)) = item.or_else(own) else { return Ok(None) };
        let Some(table) = item.table else { return Ok(None) };
        if name == "tableoid" {
            let kind = match item.tableoid {
                Some(id) => {
                    scope.note_outer(depth, id);
                    ExprKind::Column(id)
                }
                None => ExprKind::Const(Datum::Oid(table)),
            };
            return Ok(Some(Expr {
                kind,
                ty: PgType::OID,
                position: at(pos),
            }));
        }
        Err(SqlError::unsupported(format!("system column \"{name}\"")).at(at(pos)))
    }

    fn no_column(&self, scope: &Scope<'_>, table: Option<&str>, name: &str, pos: u32) -> SqlError {
        let shown = match table {
            Some(t) => format!("column {t}.{name} does not exist"),
            None => format!("column \"{name}\" does not exist"),
        };
        let error = SqlError::new(SqlState::UNDEFINED_COLUMN, shown).at(at(pos));
        // PostgreSQL suggests the closest one or two names within a small edit distance.
        let mut best: (usize, Vec<String>) = (4, Vec::new());
        for item in scope.levels().flat_map(|l| l.items.iter()).filter(|i| !i.name.is_empty()) {
            let table_cost = table.map_or(0, |t| distance(t, &item.name));
            for column in &item.columns {
                let cost = distance(name, &column.name);
                // An exact name in an item that cannot be referred to is no suggestion here.
                if cost > 3 || cost > name.chars().count() / 2 || cost + table_cost > best.0 {
                    continue;
                }
                let text = format!("\"{}.{}\"", item.name, column.name);
                if cost + table_cost < best.0 {
                    best = (cost + table_cost, vec![text]);
                } else if !best.1.contains(&text) {
                    best.1.push(text);
                }
            }
        }
        match best.1.as_slice() {
            [one] => error.hint(format!("Perhaps you meant to reference the column {one}.")),
            [one, two] => error.hint(format!("Perhaps you meant to reference the column {one} or the column {two}.")),
            _ => error,
        }
    }
}

/// Levenshtein distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
