//! UPDATE and DELETE.

use crate::binder::Binder;
use crate::inherit::split_key;
use crate::insert::{ChangeTarget, assigned_names};
use crate::ir::*;
use crate::operator::operator;
use crate::scope::{Clause, Scope};
use crate::updatable::RowChange;
use curia_parse::ast::{self, TableRef};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::rc::Rc;

/// The rows an UPDATE or DELETE finds, and the scan of its target among them.
pub(crate) struct Rows {
    rel: Rel,
    pub target: ChangeTarget,
    pub row_key: ColId,
    pub old_row: Vec<(usize, RelColumn)>,
    pub family: bool,
}

impl Binder<'_> {
    /// UPDATE, as a level that starts as `scope`.
    pub fn update(&self, update: &ast::Update, mut scope: Scope<'_>) -> Result<Bound> {
        let ctes = self.with(update.with.as_ref(), &mut scope)?;
        let (mut rows, scan) = self.target_scan((&update.table, update.only), update.alias.as_ref(), &mut scope, RowChange::Update)?;
        if let Some(view) = &rows.target.view {
            view.check_assigned(assigned_names(&update.assignments), RowChange::Update)?;
        }
        let scan = match &update.current_of {
            Some(cursor) => self.current_of(scan, cursor, &rows)?,
            None => scan,
        };
        rows.rel = self.join_and_filter(scan, &update.from, update.filter.as_ref(), &mut scope)?;
        let assignments = self.assignments(&update.assignments, &rows.target.named, &scope)?;
        self.notes_assigned(&rows.target, assignments.iter().map(|(i, _)| *i), false);
        // CHECK and RETURNING see the new row in the target's place.
        let name = scope.items[0].name.clone();
        let (new_row, item, mut seen) = rows.target.row(self, &name, update.alias.is_none())?;
        let tableoid = rows.family.then(|| self.column_id());
        seen.tableoid = tableoid;
        let (generated, checks) = rows.target.rules(self, &new_row, &item, rows.family)?;
        scope.items[0] = Rc::new(seen);
        let returning = self.returning(&update.returning, &scope)?;
        Ok(Bound::Update(Update {
            table: rows.target.table,
            source: with_ctes(ctes, rows.rel),
            row_key: rows.row_key,
            old_row: rows.old_row,
            assignments,
            generated,
            checks,
            new_row,
            tableoid,
            returning,
        }))
    }

    /// DELETE, as a level that starts as `scope`.
    pub fn delete(&self, delete: &ast::Delete, mut scope: Scope<'_>) -> Result<Bound> {
        let ctes = self.with(delete.with.as_ref(), &mut scope)?;
        let (mut rows, scan) = self.target_scan((&delete.table, delete.only), delete.alias.as_ref(), &mut scope, RowChange::Delete)?;
        let scan = match &delete.current_of {
            Some(cursor) => self.current_of(scan, cursor, &rows)?,
            None => scan,
        };
        rows.rel = self.join_and_filter(scan, &delete.using, delete.filter.as_ref(), &mut scope)?;
        let returning = self.returning(&delete.returning, &scope)?;
        Ok(Bound::Delete(Delete {
            table: rows.target.table,
            source: with_ctes(ctes, rows.rel),
            row_key: rows.row_key,
            old_row: rows.old_row,
            family: rows.family,
            returning,
        }))
    }

    /// The scan of the target with its row key, as the first item of `scope`.
    pub fn target_scan(
        &self,
        (name, only): (&ast::ObjectName, bool),
        alias: Option<&ast::Alias>,
        scope: &mut Scope<'_>,
        change: RowChange,
    ) -> Result<(Rows, Rel)> {
        let mut target = self.change_target(name, change)?;
        if let Some(view) = &mut target.view {
            let rel = std::mem::replace(&mut view.rel, Rel::Unit);
            view.note_columns(self);
            scope.items.push(Rc::new(view.item(self, alias, name.name(), None)?));
            let rows = Rows {
                rel: Rel::Unit,
                row_key: view.row_key,
                old_row: view.scanned.clone(),
                family: view.family,
                target,
            };
            return Ok((rows, rel));
        }
        let (rel, item) = self.scan(&target.table, only, alias, name.name())?;
        let Some(row_key) = item.row_key else {
            return Err(SqlError::internal("the target of a row change is no scan with a row key"));
        };
        let rows = Rows {
            rel: Rel::Unit,
            row_key,
            old_row: item.scanned(&target.table),
            family: item.tableoid.is_some(),
            target,
        };
        scope.items.push(Rc::new(item));
        Ok((rows, rel))
    }

    /// The row of the target that a cursor stands on (`execCurrentOf`).
    fn current_of(&self, scan: Rel, cursor: &ast::Ident, rows: &Rows) -> Result<Rel> {
        let name = &cursor.name;
        let bad = |message: String| Err(SqlError::new(SqlState::new("24000"), message));
        let Some(at) = self.cx.cursor else {
            let message = format!("cursor \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_CURSOR_NAME, message));
        };
        if rows.target.view.is_some() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WHERE CURRENT OF on a view is not implemented",
            ));
        }
        if at.held && !at.preparing {
            return bad(format!("cursor \"{name}\" is held from a previous transaction"));
        }
        let target = rows.target.table.oid;
        if at.keys.iter().filter(|(table, _)| *table == target).count() > 1 {
            return bad(format!(
                "cursor \"{name}\" is not a simply updatable scan of table \"{}\"",
                rows.target.table.name
            ));
        }
        let above = self.cx.catalog.ancestors(target);
        let own = at.keys.iter().find(|(table, _)| *table == target);
        // A cursor over the family that the table is of stands on a row of any.
        let key = match own.or_else(|| at.keys.iter().find(|(table, _)| above.contains(table))) {
            Some((table, Some(key))) if *table != target => match split_key(key) {
                Some((table, key)) if table == target => Datum::Bytea(key.into()),
                _ => return bad(format!("cursor \"{name}\" is not positioned on a row")),
            },
            Some((_, Some(key))) => Datum::Bytea(key.clone()),
            _ if at.preparing => Datum::Null,
            Some((_, None)) => return bad(format!("cursor \"{name}\" is not positioned on a row")),
            None => {
                let table = &rows.target.table.name;
                return bad(format!("cursor \"{name}\" is not a simply updatable scan of table \"{table}\""));
            }
        };
        let column = Expr {
            kind: ExprKind::Column(rows.row_key),
            ty: PgType::BYTEA,
            position: None,
        };
        let key = self.constant(key, PgType::BYTEA, None);
        Ok(Rel::Filter {
            input: Box::new(scan),
            predicate: self.binary(&operator("="), column, key, 0)?,
        })
    }

    fn join_and_filter(&self, scan: Rel, from: &[TableRef], filter: Option<&ast::Expr>, scope: &mut Scope<'_>) -> Result<Rel> {
        let mut rel = scan;
        if !from.is_empty() {
            // LATERAL items may not look at the target, so FROM is bound in a stand-in of its own.
            let mut inner = scope.stand_in(Vec::new());
            let right = self.bind_from(from, &mut inner)?;
            for item in &inner.items {
                if item.relation_visible && item.name == scope.items[0].name {
                    let message = format!("table name \"{}\" specified more than once", item.name);
                    return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
                }
            }
            let items = std::mem::take(&mut inner.items);
            scope.absorb(&inner);
            scope.items.extend(items);
            if let Some(right) = right {
                rel = Rel::Join {
                    kind: JoinKind::Inner,
                    left: Box::new(rel),
                    right: Box::new(right),
                    on: None,
                    lateral: false,
                };
            }
        }
        if let Some(filter) = filter {
            let predicate = self.condition(filter, scope, Clause::Where, "WHERE")?;
            rel = Rel::Filter {
                input: Box::new(rel),
                predicate,
            };
        }
        Ok(rel)
    }
}

fn with_ctes(ctes: Vec<Cte>, rel: Rel) -> Rel {
    if ctes.is_empty() {
        rel
    } else {
        Rel::With { ctes, body: Box::new(rel) }
    }
}
