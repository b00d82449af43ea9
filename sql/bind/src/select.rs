//! SELECT: from the select list to the relation, in PostgreSQL's order of evaluation (`transformSelectStmt`).
//!
//! ```text
//!   Limit ◀ LockRows ◀ Sort ◀ Distinct ◀ Project ◀ ProjectSet ◀ Window ◀ Filter(HAVING) ◀ Aggregate ◀ Filter(WHERE) ◀ FROM
//! ```

use crate::binder::{Binder, at};
use crate::group::Grouping;
use crate::ir::*;
use crate::name::output_name;
use crate::order::OrderItem;
use crate::scope::{Clause, NsItem, Scope};
use crate::viewdef::SelectRecord;
use crate::walk;
use curia_parse::ast::{self, SelectItem, SetExpr};
use curia_types::{PgType, Result, SqlError, SqlState, oid};
use std::rc::Rc;

/// What happens to output columns of unknown type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They become text.
    ToText,
    /// The caller converts them.
    Keep,
}

/// An output column before projection.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub expr: Expr,
    pub name: String,
    /// Only there to order by.
    pub junk: bool,
}

impl Binder<'_> {
    /// Binds a query as a new level inside `parent`.
    pub fn query(&self, query: &ast::Query, parent: &Scope<'_>, unknown: Unknown) -> Result<Query> {
        let mut scope = Scope::inside(parent);
        self.query_scoped(query, &mut scope, unknown)
    }

    /// Binds a query into a level made for it.
    pub fn query_scoped(&self, query: &ast::Query, scope: &mut Scope<'_>, unknown: Unknown) -> Result<Query> {
        let row_keys = self.wants_row_keys.take();
        let ctes = self.with(query.with.as_ref(), scope)?;
        let mut bound = match &query.body {
            SetExpr::Select(select) => self.select(select, query, scope, unknown, row_keys)?,
            SetExpr::Values(values) => {
                let rows = self.values(values, scope, unknown)?;
                self.order_outputs(rows, query, scope, "VALUES")?
            }
            SetExpr::Query(inner) => {
                let rows = {
                    let mut level = Scope::inside(scope);
                    self.query_scoped(inner, &mut level, unknown)?
                };
                self.order_outputs(rows, query, scope, "")?
            }
            SetExpr::SetOp { first, rest } => {
                let rows = self.set_operation(first, rest, scope)?;
                self.order_outputs(rows, query, scope, "UNION/INTERSECT/EXCEPT")?
            }
        };
        if !ctes.is_empty() {
            bound.rel = Rel::With {
                ctes,
                body: Box::new(bound.rel),
            };
        }
        Ok(bound)
    }

    fn select(&self, select: &ast::Select, query: &ast::Query, scope: &mut Scope<'_>, unknown: Unknown, row_keys: bool) -> Result<Query> {
        if let Some((into, _)) = &select.into {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "SELECT ... INTO is not allowed here").at(at(into.pos())));
        }
        let mut rel = self.bind_from(&select.from, scope)?.unwrap_or(Rel::Unit);
        let scope = &*scope;
        for (i, (name, _)) in select.windows.iter().enumerate() {
            if select.windows[..i].iter().any(|(n, _)| n.name == name.name) {
                let message = format!("window \"{}\" is already defined", name.name);
                return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(at(name.pos)));
            }
        }
        scope.named_windows.borrow_mut().extend(select.windows.iter().cloned());
        let mut targets = self.targets(&select.items, scope, Clause::Select)?;
        let mut shown_filter = None;
        if let Some(filter) = &select.filter {
            let predicate = self.condition(filter, scope, Clause::Where, "WHERE")?;
            shown_filter = self.noting().map(|_| predicate.clone());
            rel = Rel::Filter {
                input: Box::new(rel),
                predicate,
            };
        }
        let having = match &select.having {
            Some(h) => Some(self.condition(h, scope, Clause::Having, "HAVING")?),
            None => None,
        };
        let order = self.order_targets(&query.order_by, &mut targets, scope)?;
        let grouping = self.group_by(select, &mut targets, scope)?;
        if unknown == Unknown::ToText {
            for t in &mut targets {
                t.expr = self.text_if_unknown(t.expr.clone())?;
            }
        }
        let distinct_on = match &select.distinct {
            Some(ast::Distinct::On(keys)) => Some(self.distinct_on(keys, &order, &mut targets, scope)?),
            _ => None,
        };
        if matches!(select.distinct, Some(ast::Distinct::All)) {
            if let Some(key) = order.iter().find(|o| targets[o.target].junk) {
                let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(key.position));
            }
            for t in &targets {
                self.check_hashable(&t.expr)?;
            }
        }
        self.note_select(select.pos, scope, || SelectRecord {
            items: scope.items.clone(),
            targets: targets.clone(),
            filter: shown_filter,
            having: having.clone(),
            order: order.clone(),
            distinct_on: distinct_on.clone().unwrap_or_default(),
        });
        let mut aggregates = std::mem::take(&mut *scope.aggregates.borrow_mut());
        let mut windows = std::mem::take(&mut *scope.windows.borrow_mut());
        let mut sets = std::mem::take(&mut *scope.sets.borrow_mut());
        let grouped = !aggregates.is_empty() || !select.group_by.is_empty() || having.is_some();
        let (has_windows, has_sets) = (!windows.is_empty(), !sets.is_empty());
        if grouped {
            let mut having = having;
            let parts = targets
                .iter_mut()
                .map(|t| &mut t.expr)
                .chain(having.iter_mut())
                .chain(windows.iter_mut().flat_map(window_exprs))
                .chain(sets.iter_mut().flat_map(|(_, _, args)| args.iter_mut()));
            let (group_by, sets_of_groups) = self.finish_grouping(grouping, &aggregates, parts, scope)?;
            rel = if group_by.is_empty() && aggregates.is_empty() && sets_of_groups.is_none() {
                // HAVING alone: one row, whatever FROM holds, which PostgreSQL does not even read.
                Rel::Unit
            } else {
                Rel::Aggregate {
                    input: Box::new(rel),
                    group_by,
                    sets: sets_of_groups,
                    aggregates: std::mem::take(&mut aggregates),
                }
            };
            if let Some(predicate) = having {
                rel = Rel::Filter {
                    input: Box::new(rel),
                    predicate,
                };
            }
        }
        if has_windows {
            rel = Rel::Window {
                input: Box::new(rel),
                calls: windows,
            };
        }
        while !sets.is_empty() {
            // Sets whose arguments hold other sets come after those.
            let pending: Vec<ColId> = sets.iter().map(|(c, _, _)| c.id).collect();
            let waits = |args: &[Expr]| {
                let mut found = false;
                args.iter()
                    .for_each(|a| walk::columns_of(a, &mut |id| found |= pending.contains(&id)));
                found
            };
            let (later, now): (Vec<_>, Vec<_>) = sets.into_iter().partition(|(_, _, args)| waits(args));
            rel = Rel::ProjectSet {
                input: Box::new(rel),
                functions: now,
            };
            sets = later;
        }
        let mut locks = self.locks(query, select, scope, grouped, has_windows, has_sets)?;
        // Projection: every output column gets an id of its own.
        let mut columns = Vec::with_capacity(targets.len() + locks.len());
        let mut output = Vec::new();
        let mut ids = Vec::with_capacity(targets.len());
        for t in targets {
            let column = self.column(t.expr.ty);
            ids.push(column.clone());
            let origin = match t.expr.kind {
                ExprKind::Column(source) => {
                    self.same_record(source, column.id);
                    scope.origin(source)
                }
                _ => None,
            };
            if !t.junk {
                output.push(OutputColumn {
                    name: t.name,
                    id: column.id,
                    ty: column.ty,
                    origin,
                });
            }
            columns.push((column, t.expr));
        }
        for lock in &locks {
            let column = RelColumn {
                id: lock.row_key,
                ty: PgType::BYTEA,
            };
            columns.push((
                column.clone(),
                Expr {
                    kind: ExprKind::Column(lock.row_key),
                    ty: PgType::BYTEA,
                    position: None,
                },
            ));
        }
        if row_keys && !grouped && !has_windows && !has_sets && select.distinct.is_none() {
            for item in &scope.items {
                let (Some(id), Some(table)) = (item.row_key, item.table) else {
                    continue;
                };
                let column = RelColumn { id, ty: PgType::BYTEA };
                if !columns.iter().any(|(c, _)| c.id == id) {
                    let value = Expr {
                        kind: ExprKind::Column(id),
                        ty: PgType::BYTEA,
                        position: None,
                    };
                    columns.push((column, value));
                }
                output.push(OutputColumn {
                    name: String::new(),
                    id,
                    ty: PgType::BYTEA,
                    origin: None,
                });
                self.row_keys.borrow_mut().push(table);
            }
        }
        let produced = ids.len() + self.row_keys.borrow().len();
        rel = Rel::Project {
            input: Box::new(rel),
            columns,
        };
        let key = |o: &OrderItem| SortKey {
            expr: Expr {
                kind: ExprKind::Column(ids[o.target].id),
                ty: ids[o.target].ty,
                position: o.position,
            },
            descending: o.descending,
            nulls_first: o.nulls_first,
        };
        if matches!(select.distinct, Some(ast::Distinct::All)) {
            rel = Rel::Distinct {
                input: Box::new(rel),
                on: None,
            };
        }
        if !order.is_empty() {
            rel = Rel::Sort {
                input: Box::new(rel),
                keys: order.iter().map(key).collect(),
            };
        }
        if let Some(on) = distinct_on {
            let on = on
                .iter()
                .map(|t| Expr {
                    kind: ExprKind::Column(ids[*t].id),
                    ty: ids[*t].ty,
                    position: None,
                })
                .collect();
            rel = Rel::Distinct {
                input: Box::new(rel),
                on: Some(on),
            };
        }
        if !locks.is_empty() {
            rel = Rel::LockRows {
                input: Box::new(rel),
                locks: std::mem::take(&mut locks),
            };
        }
        rel = self.limit(rel, query, scope)?;
        Ok(self.without_junk(Query { rel, output }, if row_keys { produced } else { ids.len() }))
    }

    /// Drops columns that only served ordering or locking.
    fn without_junk(&self, query: Query, produced: usize) -> Query {
        let locking = matches!(&query.rel, Rel::LockRows { .. })
            || matches!(&query.rel, Rel::Limit { input, .. } if matches!(**input, Rel::LockRows { .. }));
        if query.output.len() == produced && !locking {
            return query;
        }
        let columns = query
            .output
            .iter()
            .map(|c| {
                (
                    RelColumn { id: c.id, ty: c.ty },
                    Expr {
                        kind: ExprKind::Column(c.id),
                        ty: c.ty,
                        position: None,
                    },
                )
            })
            .collect();
        Query {
            rel: Rel::Project {
                input: Box::new(query.rel),
                columns,
            },
            output: query.output,
        }
    }

    /// Adds LIMIT and OFFSET.
    pub fn limit(&self, rel: Rel, query: &ast::Query, scope: &Scope<'_>) -> Result<Rel> {
        if query.limit.is_none() && query.offset.is_none() {
            return Ok(rel);
        }
        let bind = |e: &ast::Expr, clause: Clause, what: &str| -> Result<Box<Expr>> {
            let bound = self.expr_in(e, scope, clause)?;
            self.note_loose(e.pos, &bound);
            let e = self.specific(bound, PgType::INT8, what)?;
            let mut columns = false;
            walk::columns_of(&e, &mut |id| {
                columns |= scope.items.iter().flat_map(|i| &i.columns).any(|c| c.column.id == id)
            });
            if columns {
                let message = format!("argument of {what} must not contain variables");
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(e.position));
            }
            Ok(Box::new(e))
        };
        let mut limit = None;
        if let Some(l) = &query.limit {
            if l.with_ties && query.locking.iter().any(|l| l.wait == LockWait::SkipLocked) {
                let message = "SKIP LOCKED and WITH TIES options cannot be used together";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            if let Some(count) = &l.count {
                limit = Some(bind(count, Clause::Limit, "LIMIT")?);
            }
        }
        let offset = match &query.offset {
            Some(o) => Some(bind(o, Clause::Offset, "OFFSET")?),
            None => None,
        };
        let ties = match (&query.limit, &rel) {
            (Some(l), Rel::Sort { keys, .. }) if l.with_ties => keys.clone(),
            (Some(l), _) if l.with_ties => return Err(SqlError::unsupported("FETCH FIRST .. WITH TIES with DISTINCT ON or row locks")),
            _ => Vec::new(),
        };
        Ok(Rel::Limit {
            input: Box::new(rel),
            limit,
            offset,
            ties,
        })
    }

    /// A select or RETURNING list with its stars expanded.
    pub fn targets(&self, items: &[SelectItem], scope: &Scope<'_>, clause: Clause) -> Result<Vec<Target>> {
        scope.within(clause, || {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                match &item.expr.kind {
                    ast::ExprKind::Star(parts) if parts.is_empty() => {
                        if scope.items.is_empty() {
                            return Err(
                                SqlError::new(SqlState::SYNTAX_ERROR, "SELECT * with no tables specified is not valid")
                                    .at(at(item.expr.pos)),
                            );
                        }
                        for ns in scope.items.iter().filter(|i| i.columns_visible) {
                            self.expand(ns, 0, scope, item.expr.pos, &mut out);
                        }
                    }
                    ast::ExprKind::Star(parts) => {
                        let (schema, table) = match parts.as_slice() {
                            [table] => (None, table),
                            [.., schema, table] => (Some(schema.name.as_str()), table),
                            [] => continue,
                        };
                        let (depth, ns) = self.find_item(scope, schema, table)?;
                        self.expand(&ns, depth, scope, item.expr.pos, &mut out);
                    }
                    ast::ExprKind::FieldStar(base) => {
                        if let ast::ExprKind::Column(parts) = &base.kind
                            && let [table] = parts.as_slice()
                            && let Ok((depth, ns)) = self.find_item(scope, None, table)
                        {
                            self.expand(&ns, depth, scope, item.expr.pos, &mut out);
                            continue;
                        }
                        let value = self.expr(base, scope)?;
                        for (name, expr) in self.fields_of(&value, item.expr.pos)? {
                            out.push(Target { expr, name, junk: false });
                        }
                    }
                    _ => {
                        let expr = self.expr(&item.expr, scope)?;
                        let name = item.alias.as_ref().map_or_else(|| output_name(&item.expr), |a| a.name.clone());
                        out.push(Target { expr, name, junk: false });
                    }
                }
            }
            const MAX_TARGETS: usize = 1_664;
            if out.len() > MAX_TARGETS {
                return Err(SqlError::new(
                    SqlState::TOO_MANY_COLUMNS,
                    format!("target lists can have at most {MAX_TARGETS} entries"),
                ));
            }
            Ok(out)
        })
    }

    fn expand(&self, item: &NsItem, depth: usize, scope: &Scope<'_>, pos: u32, out: &mut Vec<Target>) {
        for c in &item.columns[..item.columns.len() - item.unexpanded] {
            out.push(Target {
                expr: self.use_column(c, depth, scope, pos),
                name: c.name.clone(),
                junk: false,
            });
        }
    }

    /// VALUES as a table.
    fn values(&self, values: &ast::Values, scope: &Scope<'_>, unknown: Unknown) -> Result<Query> {
        let width = values.rows.first().map_or(0, Vec::len);
        let mut columns: Vec<Vec<Expr>> = vec![Vec::with_capacity(values.rows.len()); width];
        for row in &values.rows {
            if row.len() != width {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length")
                    .at(row.first().and_then(|e| at(e.pos))));
            }
            for (column, e) in columns.iter_mut().zip(row) {
                column.push(self.expr_in(e, scope, Clause::Values)?);
            }
        }
        let mut rows: Vec<Vec<Expr>> = vec![Vec::with_capacity(width); values.rows.len()];
        let mut output = Vec::with_capacity(width);
        let mut rel_columns = Vec::with_capacity(width);
        for (i, column) in columns.into_iter().enumerate() {
            let all_unknown = column.iter().all(|e| e.ty.oid == oid::UNKNOWN);
            let (column, ty) = if all_unknown && unknown == Unknown::Keep {
                (column, PgType::UNKNOWN)
            } else {
                self.unify(column, "VALUES")?
            };
            let rel_column = self.column(ty);
            output.push(OutputColumn {
                name: format!("column{}", i + 1),
                id: rel_column.id,
                ty,
                origin: None,
            });
            rel_columns.push(rel_column);
            rows.iter_mut().zip(column).for_each(|(row, e)| row.push(e));
        }
        if let Some(record) = self.noting() {
            record.borrow_mut().values.insert(values.pos, rows.clone());
        }
        Ok(Query {
            rel: Rel::Values {
                rows,
                columns: rel_columns,
            },
            output,
        })
    }

    /// FOR UPDATE and friends, as locks on the scans of this level.
    fn locks(
        &self,
        query: &ast::Query,
        select: &ast::Select,
        scope: &Scope<'_>,
        grouped: bool,
        windows: bool,
        sets: bool,
    ) -> Result<Vec<RowLock>> {
        let mut out: Vec<RowLock> = Vec::new();
        for lock in &query.locking {
            let clause = lock.strength.clause();
            let refuse = |what: &str| {
                Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("{clause} is not allowed with {what}"),
                ))
            };
            if select.distinct.is_some() {
                return refuse("DISTINCT clause");
            }
            if !select.group_by.is_empty() {
                return refuse("GROUP BY clause");
            }
            if select.having.is_some() {
                return refuse("HAVING clause");
            }
            if grouped {
                return refuse("aggregate functions");
            }
            if windows {
                return refuse("window functions");
            }
            if sets {
                return refuse("set-returning functions in the target list");
            }
            let mut items: Vec<&Rc<NsItem>> = Vec::new();
            for name in &lock.of {
                let found = scope
                    .items
                    .iter()
                    .find(|i| i.relation_visible && i.name == name.name())
                    .ok_or_else(|| {
                        SqlError::new(
                            SqlState::UNDEFINED_TABLE,
                            format!("relation \"{}\" in {clause} clause not found in FROM clause", name.name()),
                        )
                        .at(at(name.pos()))
                    })?;
                if found.row_key.is_none() {
                    return Err(SqlError::unsupported(format!("{clause} of something that is not a table")).at(at(name.pos())));
                }
                items.push(found);
            }
            if lock.of.is_empty() {
                if scope.items.iter().any(|i| i.subquery) {
                    return Err(SqlError::unsupported(format!("{clause} reaching into a subquery")).at(at(lock.pos)));
                }
                items.extend(scope.items.iter().filter(|i| i.row_key.is_some()));
            }
            for item in items {
                if item.nullable {
                    let message = format!("{clause} cannot be applied to the nullable side of an outer join");
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                }
                let Some(row_key) = item.row_key else { continue };
                let (strength, wait) = (lock.strength, lock.wait);
                self.ledger.locked(row_key);
                // Clauses on one table combine to the strongest lock; NOWAIT wins over SKIP LOCKED.
                match out.iter_mut().find(|l| l.row_key == row_key) {
                    Some(l) => {
                        l.strength = l.strength.max(strength);
                        if l.wait != LockWait::NoWait && wait != LockWait::Block {
                            l.wait = wait;
                        }
                    }
                    None => out.push(RowLock { row_key, strength, wait }),
                }
            }
        }
        Ok(out)
    }

    /// GROUP BY keys.
    fn group_by(&self, select: &ast::Select, targets: &mut [Target], scope: &Scope<'_>) -> Result<Grouping> {
        self.bind_group_by(&select.group_by, targets, scope)
    }
}

fn window_exprs(call: &mut WindowCall) -> impl Iterator<Item = &mut Expr> {
    let WindowCall {
        args,
        filter,
        partition_by,
        order_by,
        ..
    } = call;
    args.iter_mut()
        .chain(filter.iter_mut())
        .chain(partition_by.iter_mut())
        .chain(order_by.iter_mut().map(|k| &mut k.expr))
}
