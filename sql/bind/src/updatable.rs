//! Changing rows through views, by the rules of PostgreSQL's automatically updatable views (`view_query_is_auto_updatable`).
//!
//! ```text
//!   CREATE VIEW v AS SELECT a AS x, b + 1 AS y FROM t WHERE a > 0
//!   UPDATE v SET x = 5 WHERE y = 2      t's column a, of the rows of t with a > 0 and b + 1 = 2
//!   INSERT INTO v (x) VALUES (-1)       a row of t; WITH CHECK OPTION refuses it, as a > 0 does not hold
//! ```
//!
//! The statement is bound over a view's *stand-in*: its table with the view's names for the columns that the view shows. What the view
//! computes are expressions over the table's columns, whatever ids these have: those of the scan, or of the new row.

use crate::binder::Binder;
use crate::context::BindContext;
use crate::ir::*;
use crate::regclass::Named;
use crate::scope::{Clause, NsColumn, NsItem, Scope};
use crate::view::{self, Depth};
use crate::walk;
use curia_catalog::{Catalog, Table, View};
use curia_parse::ast::{self, SetExpr, TableRef};
use curia_types::{IoContext, PgType, Result, SqlError, SqlState};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a statement does to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowChange {
    Insert,
    Update,
    Delete,
}

/// A column of a view, over the columns of the table below.
struct ViewValue {
    name: String,
    attnum: i16,
    value: Expr,
    /// The table's column (index into `Table::columns`) that it is, if it is one.
    column: Option<usize>,
    /// DEFAULT of the view's column.
    default: Option<String>,
}

/// The condition of a view in a chain of them.
struct Condition {
    view: String,
    option: Option<CheckOption>,
    predicate: Option<Expr>,
}

/// WITH CHECK OPTION
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckOption {
    Local,
    Cascaded,
}

/// A view whose rows are rows of one table.
pub(crate) struct ViewTarget {
    view: Arc<View>,
    /// The table below.
    pub table: Arc<Table>,
    /// Its rows that the view shows.
    pub rel: Rel,
    /// The scan's row key.
    pub row_key: ColId,
    /// The scan's columns, all that are not dropped.
    pub scanned: Vec<(usize, RelColumn)>,
    /// The scan is of a family, with tagged row keys.
    pub family: bool,
    values: Vec<ViewValue>,
    /// Innermost view first.
    conditions: Vec<Condition>,
}

/// Why a view is not updatable, as DETAIL says it; or that something else is wrong with it.
enum Refusal {
    Detail(&'static str),
    /// The same of a view by name, the innermost that is concerned.
    Of(String, &'static str),
    Error(SqlError),
}

impl From<SqlError> for Refusal {
    fn from(e: SqlError) -> Refusal {
        Refusal::Error(e)
    }
}

const NOT_ONE_RELATION: Refusal = Refusal::Detail("Views that do not select from a single table or view are not automatically updatable.");
const NO_COLUMNS: &str = "Views that have no updatable columns are not automatically updatable.";

impl Binder<'_> {
    /// A view as the target of a change of rows.
    pub fn view_target(&self, view: &Arc<View>, change: RowChange) -> Result<ViewTarget> {
        match self.simple_view(view) {
            Err(Refusal::Error(e)) => Err(e),
            Err(Refusal::Detail(detail)) => Err(not_updatable(&view.name, change, detail)),
            Err(Refusal::Of(name, detail)) => Err(not_updatable(&name, change, detail)),
            Ok(target) if change != RowChange::Delete && target.values.iter().all(|v| v.column.is_none()) => {
                Err(not_updatable(&view.name, change, NO_COLUMNS))
            }
            Ok(target) => Ok(target),
        }
    }

    fn simple_view(&self, view: &Arc<View>) -> Result<ViewTarget, Refusal> {
        self.changes(view.oid, false);
        let mut outcome = None;
        self.in_view(view, None, |query| {
            outcome = Some(self.simple_query(view, query));
            Ok(())
        })?;
        match outcome {
            Some(Err(Refusal::Detail(detail))) => Err(Refusal::Of(view.name.clone(), detail)),
            Some(outcome) => outcome,
            None => Err(Refusal::Error(SqlError::internal("a view without a query"))),
        }
    }

    fn simple_query(&self, view: &Arc<View>, query: &ast::Query) -> Result<ViewTarget, Refusal> {
        let detail = |text| Err(Refusal::Detail(text));
        let select = match &query.body {
            SetExpr::Select(select) => select,
            SetExpr::SetOp { .. } => return detail("Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable."),
            _ => return Err(NOT_ONE_RELATION),
        };
        if select.distinct.is_some() {
            return detail("Views containing DISTINCT are not automatically updatable.");
        }
        if !select.group_by.is_empty() {
            return detail("Views containing GROUP BY are not automatically updatable.");
        }
        if select.having.is_some() {
            return detail("Views containing HAVING are not automatically updatable.");
        }
        if query.with.is_some() {
            return detail("Views containing WITH are not automatically updatable.");
        }
        if query.limit.is_some() || query.offset.is_some() {
            return detail("Views containing LIMIT or OFFSET are not automatically updatable.");
        }
        let [
            TableRef::Table {
                name,
                alias,
                sample: None,
                only,
            },
        ] = select.from.as_slice()
        else {
            // What the select list has is said first.
            let mut scope = Scope::root();
            self.bind_from(&select.from, &mut scope)?;
            self.targets(&select.items, &scope, Clause::Select)?;
            refuse_calls(&scope)?;
            return Err(NOT_ONE_RELATION);
        };
        let known = self.known_columns(name.schema(), name.name());
        let (mut target, mut columns) = match self.relation(name.schema(), name.name()) {
            Some(Named::Table(table)) if table.materialized.is_none() => self.table_below(view, table, *only)?,
            Some(Named::View(inner)) => {
                let inner = self.simple_view(inner)?;
                let columns = inner.columns(None)?;
                (inner, columns)
            }
            _ => return Err(NOT_ONE_RELATION),
        };
        if let Some(known) = known {
            columns = known
                .iter()
                .filter_map(|(attnum, name)| {
                    let (_, column) = columns.iter().find(|(n, _)| n == attnum)?;
                    let mut column = column.clone();
                    column.name.clone_from(name);
                    Some((*attnum, column))
                })
                .collect();
        }
        let mut item = self.item(
            alias.as_ref(),
            name.name(),
            columns.iter().map(|(_, c)| (c.name.clone(), c.column.clone())).collect(),
        )?;
        for (own, (_, column)) in item.columns.iter_mut().zip(columns) {
            own.merged = column.merged;
        }
        if alias.is_none() {
            item.schema = name.schema().map(str::to_owned);
        }
        let mut scope = Scope::root();
        scope.items.push(Rc::new(item));
        let targets = self.targets(&select.items, &scope, Clause::Select)?;
        refuse_calls(&scope)?;
        let mut values = Vec::with_capacity(targets.len());
        for ((attnum, column), output) in (1..).zip(&view.columns).zip(targets.into_iter().filter(|t| !t.junk)) {
            let value = walk::without_positions(&self.text_if_unknown(output.expr)?);
            let below = match &value.kind {
                ExprKind::Column(id) => target.scanned.iter().find(|(_, c)| c.id == *id).map(|(i, _)| *i),
                _ => None,
            };
            values.push(ViewValue {
                name: column.name.clone(),
                attnum,
                value,
                column: below,
                default: column.default.clone(),
            });
        }
        let predicate = match &select.filter {
            None => None,
            Some(filter) => {
                let mut predicate = self.condition(filter, &scope, Clause::Where, "WHERE")?;
                forget_positions(&mut predicate);
                target.rel = Rel::Filter {
                    input: Box::new(target.rel),
                    predicate: predicate.clone(),
                };
                Some(predicate)
            }
        };
        target.conditions.push(Condition {
            view: view.name.clone(),
            option: check_option(view),
            predicate,
        });
        target.values = values;
        target.view = Arc::clone(view);
        Ok(target)
    }

    /// The innermost step: all of a table, with its columns by attnum.
    #[allow(clippy::type_complexity)] // a target, and columns with their numbers
    fn table_below(&self, view: &Arc<View>, table: &Arc<Table>, only: bool) -> Result<(ViewTarget, Vec<(i16, NsColumn)>), Refusal> {
        let (rel, item) = self.scan(table, only, None, &table.name)?;
        let Some(row_key) = item.row_key else {
            return Err(NOT_ONE_RELATION);
        };
        let (scanned, family) = (item.scanned(table), item.tableoid.is_some());
        let attnums = scanned.iter().map(|(i, _)| table.columns[*i].attnum);
        let columns = attnums.zip(item.columns).collect();
        let target = ViewTarget {
            view: Arc::clone(view),
            table: Arc::clone(table),
            rel,
            row_key,
            scanned,
            family,
            values: Vec::new(),
            conditions: Vec::new(),
        };
        Ok((target, columns))
    }
}

impl ViewTarget {
    /// The view's columns by attnum, over the scan or over `row`.
    fn columns(&self, row: Option<&[(usize, RelColumn)]>) -> Result<Vec<(i16, NsColumn)>> {
        let ids = self.ids(row);
        let mut out = Vec::with_capacity(self.values.len());
        for v in &self.values {
            let mut value = v.value.clone();
            rename(&mut value, &ids);
            let (id, merged) = match value.kind {
                ExprKind::Column(id) => (id, None),
                // Nothing produces a column for it; what it stands for is used instead.
                _ => (ColId(u32::MAX), Some(value)),
            };
            out.push((
                v.attnum,
                NsColumn {
                    name: v.name.clone(),
                    column: RelColumn { id, ty: v.value.ty },
                    merged,
                    origin: Some((self.view.oid, v.attnum)),
                },
            ));
        }
        Ok(out)
    }

    /// `pg_class.oid` of the view.
    pub fn oid(&self) -> u32 {
        self.view.oid
    }

    /// The attnum in the view `object`, if it is this one, of a column of the table.
    pub fn attnum_of(&self, object: u32, column: usize) -> Option<i16> {
        let of = self.values.iter().find(|v| v.column == Some(column))?;
        (object == self.view.oid).then_some(of.attnum)
    }

    /// Says which columns of the view the scan's are.
    pub fn note_columns(&self, binder: &Binder<'_>) {
        for (entry, object) in binder.ledger.targets() {
            for (i, column) in &self.scanned {
                if let Some(attnum) = self.attnum_of(object, *i) {
                    binder.ledger.column(Some(entry), column.id, attnum);
                }
            }
        }
    }

    /// The FROM item of the view, over the scan or over `row`.
    pub fn item(&self, binder: &Binder<'_>, alias: Option<&ast::Alias>, name: &str, row: Option<&[(usize, RelColumn)]>) -> Result<NsItem> {
        let columns: Vec<NsColumn> = self.columns(row)?.into_iter().map(|(_, c)| c).collect();
        let mut item = binder.item(alias, name, columns.iter().map(|c| (c.name.clone(), c.column.clone())).collect())?;
        for (own, column) in item.columns.iter_mut().zip(columns) {
            own.merged = column.merged;
            own.origin = column.origin;
        }
        if alias.is_none() {
            item.schema = Some(binder.cx.catalog.schema_name(self.view.schema).to_owned());
        }
        Ok(item)
    }

    /// The table below with the view's name and the view's names of columns; the ones that it does not show have none.
    pub fn stand_in(&self) -> Arc<Table> {
        let mut table = (*self.table).clone();
        table.name.clone_from(&self.view.name);
        for (i, column) in table.columns.iter_mut().enumerate() {
            match self.values.iter().find(|v| v.column == Some(i)) {
                None => column.name = format!("\0{i}"),
                Some(v) => {
                    column.name.clone_from(&v.name);
                    if v.default.is_some() {
                        column.default.clone_from(&v.default);
                        column.identity = None;
                    }
                }
            }
        }
        Arc::new(table)
    }

    /// Whether the view has a default of its own for a column of the table.
    pub fn has_default(&self, column: usize) -> bool {
        self.values.iter().any(|v| v.column == Some(column) && v.default.is_some())
    }

    /// The table's columns in the view's order, as INSERT without a list of columns fills them with `width` values.
    ///
    /// # Errors
    /// 0A000 for one that is none of the table's.
    pub fn in_order(&self, width: usize) -> Result<Vec<usize>> {
        self.values
            .iter()
            .enumerate()
            .map_while(|(i, v)| match v.column {
                Some(column) => Some(Ok(column)),
                None if i < width => Some(Err(self.fixed(&v.name, RowChange::Insert))),
                None => None,
            })
            .collect()
    }

    /// Refuses to assign to what the view computes.
    ///
    /// # Errors
    /// 0A000 that names it.
    pub fn check_assigned<'n>(&self, names: impl Iterator<Item = &'n str>, change: RowChange) -> Result<()> {
        for name in names {
            if self.values.iter().any(|v| v.name == name && v.column.is_none()) {
                return Err(self.fixed(name, change));
            }
        }
        Ok(())
    }

    fn fixed(&self, column: &str, change: RowChange) -> SqlError {
        let verb = if change == RowChange::Insert { "insert into" } else { "update" };
        SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot {verb} column \"{column}\" of view \"{}\"", self.view.name),
        )
        .detail("View columns that are not columns of their base relation are not updatable.")
    }

    /// What WITH CHECK OPTION demands of a new row, innermost view first.
    pub fn checks(&self, row: &[(usize, RelColumn)]) -> Vec<Check> {
        let ids = self.ids(Some(row));
        let mut out = Vec::new();
        let mut cascaded = false;
        for c in self.conditions.iter().rev() {
            cascaded |= c.option == Some(CheckOption::Cascaded);
            if (cascaded || c.option.is_some())
                && let Some(predicate) = &c.predicate
            {
                let mut predicate = predicate.clone();
                rename(&mut predicate, &ids);
                out.push(Check {
                    name: c.view.clone(),
                    predicate,
                    kind: CheckKind::View,
                });
            }
        }
        out.reverse();
        out
    }

    /// From the scan's ids to those of a row.
    fn ids(&self, row: Option<&[(usize, RelColumn)]>) -> HashMap<ColId, ColId> {
        let Some(row) = row else { return HashMap::new() };
        let of = |i: usize| row.iter().find(|(j, _)| *j == i).map(|(_, c)| c.id);
        self.scanned.iter().filter_map(|(i, c)| Some((c.id, of(*i)?))).collect()
    }
}

/// Whether rows of a view can be changed through it, and which of its columns; `None` when not even rows can be deleted.
pub fn updatable_columns(catalog: &Catalog, view: &Arc<View>) -> Option<Vec<bool>> {
    let io = IoContext::default();
    let cx = BindContext::of_definitions(catalog, &[], &io);
    let found = view::with_depth(1, |depth: Depth<'_>| {
        let target = Binder::new(&cx, depth, true).view_target(view, RowChange::Delete);
        Ok(target.ok().map(|t| t.values.iter().map(|v| v.column.is_some()).collect()))
    });
    found.ok().flatten()
}

/// Refuses WITH CHECK OPTION on a view that is not updatable.
///
/// # Errors
/// 0A000 with the reason as HINT.
pub fn check_option_possible(catalog: &Catalog, view: &Arc<View>) -> Result<()> {
    let io = IoContext::default();
    let cx = BindContext::of_definitions(catalog, &[], &io);
    view::with_depth(1, |depth: Depth<'_>| {
        let reason = match Binder::new(&cx, depth, true).simple_view(view) {
            Ok(target) if target.values.iter().any(|v| v.column.is_some()) => return Ok(()),
            Ok(_) => NO_COLUMNS,
            Err(Refusal::Detail(detail) | Refusal::Of(_, detail)) => detail,
            Err(Refusal::Error(e)) => return Err(e),
        };
        Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "WITH CHECK OPTION is supported only on automatically updatable views",
        )
        .hint(reason))
    })
}

fn check_option(view: &View) -> Option<CheckOption> {
    match view.options.iter().find(|(name, _)| name == "check_option")?.1.as_str() {
        "local" => Some(CheckOption::Local),
        _ => Some(CheckOption::Cascaded),
    }
}

fn refuse_calls(scope: &Scope<'_>) -> Result<(), Refusal> {
    let detail = |text| Err(Refusal::Detail(text));
    if !scope.aggregates.borrow().is_empty() {
        return detail("Views that return aggregate functions are not automatically updatable.");
    }
    if !scope.windows.borrow().is_empty() {
        return detail("Views that return window functions are not automatically updatable.");
    }
    if !scope.sets.borrow().is_empty() {
        return detail("Views that return set-returning functions are not automatically updatable.");
    }
    Ok(())
}

fn not_updatable(view: &str, change: RowChange, detail: &str) -> SqlError {
    let (verb, gerund, word) = match change {
        RowChange::Insert => ("insert into", "inserting into", "INSERT"),
        RowChange::Update => ("update", "updating", "UPDATE"),
        RowChange::Delete => ("delete from", "deleting from", "DELETE"),
    };
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("cannot {verb} view \"{view}\""))
        .detail(detail)
        .hint(format!(
            "To enable {gerund} the view, provide an INSTEAD OF {word} trigger or an unconditional ON {word} DO INSTEAD rule."
        ))
}

/// Puts other columns in the place of an expression's, subqueries included.
fn rename(e: &mut Expr, ids: &HashMap<ColId, ColId>) {
    match &mut e.kind {
        ExprKind::Column(id) => rename_id(id, ids),
        ExprKind::Subquery { query, outer, .. } => {
            outer.iter_mut().for_each(|id| rename_id(id, ids));
            rename_in(query, ids);
        }
        _ => {}
    }
    walk::expr_children_mut(e, &mut |c| rename(c, ids));
}

fn rename_id(id: &mut ColId, ids: &HashMap<ColId, ColId>) {
    if let Some(new) = ids.get(id) {
        *id = *new;
    }
}

fn rename_in(rel: &mut Rel, ids: &HashMap<ColId, ColId>) {
    let mut inputs = Vec::new();
    walk::rel_children_mut(rel, &mut |e| rename(e, ids), &mut |r| inputs.push(r));
    inputs.into_iter().for_each(|r| rename_in(r, ids));
}

fn forget_positions(e: &mut Expr) {
    let mut rel = Rel::Filter {
        input: Box::new(Rel::Unit),
        predicate: std::mem::replace(
            e,
            Expr {
                kind: ExprKind::Row(Vec::new(), None),
                ty: PgType::RECORD,
                position: None,
            },
        ),
    };
    walk::forget_positions(&mut rel);
    if let Rel::Filter { predicate, .. } = rel {
        *e = predicate;
    }
}
