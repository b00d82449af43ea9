//! INSERT, and what all row changes share: targets, defaults, CHECK constraints, RETURNING.

use crate::binder::{Binder, at};
use crate::context::BindContext;
use crate::index::RowColumns;
use crate::ir::*;
use crate::regclass::{Named, check_database, find_relation, no_relation, refuse_foreign_temporary};
use crate::scope::{Clause, NsColumn, NsItem, Scope};
use crate::select::Unknown;
use crate::updatable::{RowChange, ViewTarget};
use curia_catalog::{ConstraintKind, Identity, Rights, Table};
use curia_parse::ast::{self, Assignment, ConflictTarget, SetExpr, TargetColumn};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid};
use std::rc::Rc;
use std::sync::Arc;

/// 428C9
pub(crate) const GENERATED_ALWAYS: SqlState = SqlState::new("428C9");

/// What a statement changes: a table, by itself or through a view.
pub(crate) struct ChangeTarget {
    /// The table.
    pub table: Arc<Table>,
    /// The table as the statement names it and its columns.
    pub named: Arc<Table>,
    pub view: Option<ViewTarget>,
}

/// Columns of a row: (index into `Table::columns`, output).
type NewRow = Vec<(usize, RelColumn)>;

impl ChangeTarget {
    /// The columns of a new row with fresh ids, and the FROM item that shows it: the table's, and the one that the statement sees.
    pub fn row(&self, binder: &Binder<'_>, name: &str, schema: bool) -> Result<(NewRow, NsItem, NsItem)> {
        let (row, item) = binder.new_row(&self.table, name, schema);
        for (entry, object) in binder.ledger.targets() {
            for (i, column) in &row {
                let attnum = if object == self.table.oid {
                    Some(self.table.columns[*i].attnum)
                } else {
                    self.view.as_ref().and_then(|v| v.attnum_of(object, *i))
                };
                if let Some(attnum) = attnum {
                    binder.ledger.column(Some(entry), column.id, attnum);
                }
            }
        }
        let seen = match &self.view {
            None => item.clone(),
            Some(view) => {
                let mut seen = view.item(binder, None, name, Some(&row))?;
                if !schema {
                    seen.schema = None;
                    seen.hidden_name = Some(self.named.name.clone());
                }
                seen
            }
        };
        Ok((row, item, seen))
    }

    /// Generated columns, CHECK constraints and WITH CHECK OPTION over a new row; of a `family` the last, as each table has its own others.
    #[allow(clippy::type_complexity)] // generated columns, and checks
    pub fn rules(
        &self,
        binder: &Binder<'_>,
        row: &[(usize, RelColumn)],
        item: &NsItem,
        family: bool,
    ) -> Result<(Vec<(usize, Expr)>, Vec<Check>)> {
        let (generated, mut checks) = match family {
            true => Default::default(),
            false => binder
                .ledger
                .quietly(|| Ok::<_, SqlError>((binder.generated(&self.table, item)?, binder.checks(&self.table, item)?)))?,
        };
        if let Some(view) = &self.view {
            checks.extend(view.checks(row));
        }
        Ok((generated, checks))
    }
}

impl Binder<'_> {
    /// What a statement changes by the name that it gives.
    pub fn change_target(&self, name: &ast::ObjectName, change: RowChange) -> Result<ChangeTarget> {
        check_database(self.cx, name)?;
        self.check_schema(name)?;
        self.ledger.start_change(match change {
            RowChange::Insert => Rights::INSERT,
            RowChange::Update => Rights::UPDATE,
            RowChange::Delete => Rights::DELETE,
        });
        if let Some(Named::View(view)) = find_relation(self.cx, name.schema(), name.name()) {
            let view = self.view_target(view, change)?;
            self.uses_table(view.table.oid);
            return Ok(ChangeTarget {
                table: Arc::clone(&view.table),
                named: view.stand_in(),
                view: Some(view),
            });
        }
        let table = self.target_table(name)?;
        if change == RowChange::Insert {
            self.changes(table.oid, true);
        }
        Ok(ChangeTarget {
            named: Arc::clone(&table),
            table,
            view: None,
        })
    }

    /// The table that a statement changes.
    pub fn target_table(&self, name: &ast::ObjectName) -> Result<Arc<Table>> {
        check_database(self.cx, name)?;
        match find_relation(self.cx, name.schema(), name.name()) {
            Some(Named::Table(t)) => {
                refuse_foreign_temporary(self.cx, name)?;
                if t.materialized.is_some() {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("cannot change materialized view \"{}\"", t.name),
                    ));
                }
                self.uses_table(t.oid);
                Ok(Arc::clone(t))
            }
            Some(Named::System(s)) => Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", s.name),
            )),
            Some(Named::View(_)) => Err(SqlError::internal("a view as a table that is changed")),
            Some(Named::Sequence(_)) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change sequence \"{}\"", name.name()),
            )),
            Some(Named::Index(_)) => Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot open relation \"{}\"", name.name()))
                    .detail("This operation is not supported for indexes.")
                    .at(at(name.pos())),
            ),
            None => Err(no_relation(name)),
        }
    }

    /// Finds a column that is assigned to.
    pub fn target_column(&self, table: &Table, target: &TargetColumn) -> Result<usize> {
        table.column(&target.name.name).map(|(i, _)| i).ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{}\" of relation \"{}\" does not exist", target.name.name, table.name),
            )
            .at(at(target.name.pos))
        })
    }

    /// The columns that a change gives values.
    pub fn notes_assigned(&self, target: &ChangeTarget, columns: impl Iterator<Item = usize>, insert: bool) {
        let columns: Vec<usize> = columns.collect();
        let attnums: Vec<i16> = columns.iter().map(|i| target.table.columns[*i].attnum).collect();
        let view = target.view.as_ref().map(|v| v.oid());
        let of_view = view.map(|oid| {
            let attnums = columns.iter().filter_map(|i| target.view.as_ref()?.attnum_of(oid, *i));
            (oid, attnums.collect())
        });
        self.ledger.assigned(target.table.oid, &attnums, of_view, insert);
    }

    /// The value of a column that is given none: its default, the next number of its identity, or NULL.
    pub fn default_value(&self, table: &Table, column: usize) -> Result<Expr> {
        self.ledger.quietly(|| self.own_default(table, column))
    }

    fn own_default(&self, table: &Table, column: usize) -> Result<Expr> {
        let c = &table.columns[column];
        if c.generated {
            return Ok(self.null(c.ty)); // computed when the rest of the row is known
        }
        let bound = if c.identity.is_some() {
            let sequence = self.cx.catalog.owned_sequences(table.oid, Some(c.attnum)).next();
            let sequence = sequence.ok_or_else(|| SqlError::internal(format!("no owned sequence found for column \"{}\"", c.name)))?;
            let regclass = self.constant(Datum::Oid(sequence.oid), PgType::REGCLASS, None);
            let mut next = self.named_call("nextval", vec![regclass], 0)?;
            // The column's own sequence asks for no right.
            if let ExprKind::Call { args, .. } = &mut next.kind {
                args.push(self.constant(Datum::Oid(0), PgType::OID, None));
            }
            next
        } else if let Some(text) = &c.default {
            let scope = Scope::root();
            scope.clause.set(Clause::Default);
            let parsed = curia_parse::parse_expression(text)?;
            without_position(self.expr(&parsed, &scope)?)
        } else {
            return self.default_of_domain(c.ty);
        };
        let value = self.assign(bound, c.ty, &c.name)?;
        Ok(without_position(value))
    }

    /// Ids for the columns of a new row, and the FROM item that shows them.
    pub fn new_row(&self, table: &Arc<Table>, name: &str, schema: bool) -> (Vec<(usize, RelColumn)>, NsItem) {
        let columns: Vec<(usize, RelColumn)> = table.live_columns().map(|(i, c)| (i, self.column(c.ty))).collect();
        let item = NsItem {
            name: name.to_owned(),
            schema: schema.then(|| self.cx.catalog.schema_name(table.schema).to_owned()),
            hidden_name: (!schema).then(|| table.name.clone()),
            columns: columns
                .iter()
                .map(|(i, column)| NsColumn {
                    name: table.columns[*i].name.clone(),
                    column: column.clone(),
                    merged: None,
                    origin: Some((table.oid, table.columns[*i].attnum)),
                })
                .collect(),
            relation_visible: true,
            columns_visible: true,
            table: Some(table.oid),
            stored: Some(Arc::clone(table)),
            scalar_function: false,
            row_key: None,
            tableoid: None,
            nullable: false,
            subquery: false,
            unexpanded: 0,
        };
        (columns, item)
    }

    /// CHECK constraints over the new row.
    pub fn checks(&self, table: &Table, row: &NsItem) -> Result<Vec<Check>> {
        let mut out = Vec::new();
        for c in &table.constraints {
            let ConstraintKind::Check { expression } = &c.kind else { continue };
            let mut scope = Scope::root();
            // Stored text names columns bare or by the table's own name.
            let mut item = row.clone();
            item.name.clone_from(&table.name);
            scope.items.push(Rc::new(item));
            let parsed = curia_parse::parse_expression(expression)?;
            let predicate = self.condition(&parsed, &scope, Clause::Check, "CHECK")?;
            out.push(Check {
                name: c.name.clone(),
                predicate: without_position(predicate),
                kind: CheckKind::Constraint,
            });
        }
        Ok(out)
    }

    /// RETURNING over the items of `scope`.
    pub fn returning(&self, items: &[ast::SelectItem], scope: &Scope<'_>) -> Result<Option<Returning>> {
        if items.is_empty() {
            return Ok(None);
        }
        let targets = self.targets(items, scope, Clause::Returning)?;
        let mut columns = Vec::with_capacity(targets.len());
        for t in targets {
            let expr = self.text_if_unknown(t.expr)?;
            let origin = match expr.kind {
                ExprKind::Column(id) => scope.origin(id),
                _ => None,
            };
            columns.push((
                OutputColumn {
                    name: t.name,
                    id: self.column_id(),
                    ty: expr.ty,
                    origin,
                },
                expr,
            ));
        }
        Ok(Some(Returning { columns }))
    }

    /// INSERT, as a level that starts as `scope`.
    pub fn insert(&self, insert: &ast::Insert, mut scope: Scope<'_>) -> Result<Bound> {
        let ctes = self.with(insert.with.as_ref(), &mut scope)?;
        let target = self.change_target(&insert.table, RowChange::Insert)?;
        let table = Arc::clone(&target.named);
        if let Some(view) = &target.view {
            view.check_assigned(insert.columns.iter().map(|c| c.name.name.as_str()), RowChange::Insert)?;
        }
        let mut targets: Vec<usize> = Vec::with_capacity(insert.columns.len());
        for (n, column) in insert.columns.iter().enumerate() {
            let i = self.target_column(&table, column)?;
            // Parts of a column may be given one by one.
            let again = |(t, other): (&usize, &TargetColumn)| *t == i && (other.indirection.is_empty() || column.indirection.is_empty());
            if targets.iter().zip(&insert.columns[..n]).any(again) {
                let message = format!("column \"{}\" specified more than once", column.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(at(column.name.pos)));
            }
            targets.push(i);
        }
        let listed = !insert.columns.is_empty();
        if !listed {
            targets = match &target.view {
                None => table.live_columns().map(|(i, _)| i).collect(),
                Some(view) => view.in_order(insert.source.as_ref().map_or(0, |q| width_of(q)))?,
            };
        }
        self.notes_assigned(&target, targets.iter().copied(), true);
        if let (Some(view), Some(SetExpr::Values(values))) = (&target.view, insert.source.as_ref().map(|q| &q.body)) {
            // A view's own default is a value like any other.
            let mut given = values.rows.iter().flat_map(|row| row.iter().zip(&targets));
            let is_default = |(e, i): &(&ast::Expr, &usize)| matches!(e.kind, ast::ExprKind::Default) && view.has_default(**i);
            if let Some((_, i)) = given.find(is_default)
                && target.table.columns[*i].generated
            {
                self.identity_rule(insert, &target.table.columns[*i])?;
            }
        }
        let (source, given) = self.insert_source(insert, &table, &targets, listed, &scope)?;
        let mut values = Vec::with_capacity(table.columns.len());
        for (i, c) in table.columns.iter().enumerate() {
            if c.dropped {
                values.push(InsertValue::Dropped);
                continue;
            }
            values.push(InsertValue::Expr(match self.given_value(insert, c, i, &given, &scope)? {
                Some(e) => e,
                None => self.default_value(&table, i)?,
            }));
        }
        let alias = insert.alias.as_ref().map_or(&table.name, |a| &a.name).clone();
        let (new_row, item, mut seen) = target.row(self, &alias, insert.alias.is_none())?;
        let tableoid = target.table.is_partitioned().then(|| self.column_id());
        seen.tableoid = tableoid;
        let (generated, checks) = target.rules(self, &new_row, &item, tableoid.is_some())?;
        if tableoid.is_some() {
            self.uses_family(&target.table);
        }
        let on_conflict = match &insert.on_conflict {
            Some(c) => Some(self.on_conflict(c, &target, &alias, insert.alias.is_none(), &scope)?),
            None => None,
        };
        scope.items.push(Rc::new(seen));
        let returning = self.returning(&insert.returning, &scope)?;
        let source = if ctes.is_empty() {
            source
        } else {
            Rel::With {
                ctes,
                body: Box::new(source),
            }
        };
        Ok(Bound::Insert(Insert {
            table: target.table,
            source,
            values,
            on_conflict,
            generated,
            checks,
            new_row,
            tableoid,
            returning,
        }))
    }

    /// The value of a column out of what the source gives: all of it, or parts of it, which start from NULL.
    fn given_value(
        &self,
        insert: &ast::Insert,
        column: &curia_catalog::Column,
        i: usize,
        given: &[(usize, usize, Expr)],
        scope: &Scope<'_>,
    ) -> Result<Option<Expr>> {
        let (mut value, mut parts) = (None, false);
        for (_, n, e) in given.iter().filter(|(t, ..)| *t == i) {
            value = Some(match insert.columns.get(*n).map(|c| &c.indirection) {
                Some(path) if !path.is_empty() => {
                    parts = true;
                    let base = value.unwrap_or_else(|| self.null(without_domain(column.ty)));
                    self.assign_part(base, path, e.clone(), &column.name, &Scope::inside(scope))?
                }
                _ => e.clone(),
            });
        }
        // What a domain demands, it demands of the finished value.
        match value {
            Some(v) if parts => self.assign(v, column.ty, &column.name).map(Some),
            value => Ok(value),
        }
    }

    /// The type of the n-th target of an INSERT.
    fn target_type(&self, insert: &ast::Insert, n: usize, ty: PgType) -> Result<PgType> {
        match insert.columns.get(n) {
            Some(target) => self.part_type(ty, &target.indirection).map_err(|e| e.at(at(target.name.pos))),
            None => Ok(ty),
        }
    }

    /// The rows to insert, and for each target (column, place among the targets) its value over them. Columns left out take their defaults.
    #[allow(clippy::type_complexity)] // rows and values
    fn insert_source(
        &self,
        insert: &ast::Insert,
        table: &Arc<Table>,
        targets: &[usize],
        listed: bool,
        scope: &Scope<'_>,
    ) -> Result<(Rel, Vec<(usize, usize, Expr)>)> {
        let Some(query) = &insert.source else {
            return Ok((Rel::Unit, Vec::new()));
        };
        let simple = query.with.is_none()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && query.locking.is_empty();
        if let (SetExpr::Values(values), true) = (&query.body, simple) {
            return self.insert_values(insert, values, table, targets, listed, scope);
        }
        let bound = self.query(query, scope, Unknown::Keep)?;
        if bound.output.len() > targets.len() {
            return Err(
                SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns")
                    .at(extra_position(query, targets.len())),
            );
        }
        if bound.output.len() < targets.len() && listed {
            let position = insert.columns.get(bound.output.len()).and_then(|c| at(c.name.pos));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions").at(position));
        }
        // Unknown literals take their column's type; everything else converts by assignment above the rows.
        let types: Vec<PgType> = bound
            .output
            .iter()
            .zip(targets)
            .enumerate()
            .map(|(n, (o, t))| {
                Ok(if o.ty.oid == oid::UNKNOWN {
                    PgType {
                        oid: self.target_type(insert, n, table.columns[*t].ty)?.oid,
                        typmod: -1,
                    }
                } else {
                    o.ty
                })
            })
            .collect::<Result<_>>()?;
        let bound = self.convert_outputs(bound, &types)?;
        let mut given = Vec::with_capacity(targets.len());
        for (i, (o, t)) in bound.output.iter().zip(targets).enumerate() {
            let column = &table.columns[*t];
            let position = item_position(query, i);
            let value = Expr {
                kind: ExprKind::Column(o.id),
                ty: o.ty,
                position,
            };
            let kept = self.identity_rule(insert, column)?;
            let value = match insert.columns.get(i) {
                Some(target) if !target.indirection.is_empty() => value, // converted where it is put together
                _ => self.assign(value, column.ty, &column.name)?,
            };
            if kept {
                given.push((*t, i, value));
            }
        }
        Ok((bound.rel, given))
    }

    /// Whether an explicit value for a column is used (true) or replaced by its default (false).
    fn identity_rule(&self, insert: &ast::Insert, column: &curia_catalog::Column) -> Result<bool> {
        if column.generated {
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
            return Err(is_generated(SqlError::new(GENERATED_ALWAYS, message), &column.name));
        }
        let Some(identity) = column.identity else { return Ok(true) };
        match (insert.overriding, identity) {
            (Some(ast::Overriding::UserValue), _) => Ok(false),
            (None, Identity::Always) => Err(SqlError::new(
                GENERATED_ALWAYS,
                format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
            )
            .detail(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            ))
            .hint("Use OVERRIDING SYSTEM VALUE to override.")),
            _ => Ok(true),
        }
    }

    #[allow(clippy::type_complexity)] // rows and values
    fn insert_values(
        &self,
        insert: &ast::Insert,
        values: &ast::Values,
        table: &Arc<Table>,
        targets: &[usize],
        listed: bool,
        scope: &Scope<'_>,
    ) -> Result<(Rel, Vec<(usize, usize, Expr)>)> {
        let width = values.rows.first().map_or(0, Vec::len);
        if let Some(extra) = values.rows.first().and_then(|r| r.get(targets.len())) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns").at(at(extra.pos)));
        }
        let level = Scope::inside(scope);
        let mut rows = Vec::with_capacity(values.rows.len());
        let mut explicit = vec![false; width];
        for row in &values.rows {
            if row.len() != width {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length")
                    .at(row.first().and_then(|e| at(e.pos))));
            }
            let mut bound = Vec::with_capacity(width);
            for (i, (e, t)) in row.iter().zip(targets).enumerate() {
                let column = &table.columns[*t];
                let path = insert.columns.get(i).map_or(&[][..], |c| &c.indirection);
                bound.push(if matches!(e.kind, ast::ExprKind::Default) {
                    check_default(path).map_err(|error| error.at(at(e.pos)))?;
                    self.default_value(table, *t)?
                } else if !path.is_empty() {
                    let value = self.expr_in(e, &level, Clause::Values)?;
                    let ty = self.target_type(insert, i, column.ty)?;
                    self.assign_part(self.null(without_domain(column.ty)), path, value.clone(), &column.name, &level)?;
                    self.assign(value, ty, &column.name)?
                } else {
                    explicit[i] = true;
                    let value = self.expr_in(e, &level, Clause::Values)?;
                    let value = self.assign(value, column.ty, &column.name)?;
                    if insert.overriding == Some(ast::Overriding::UserValue) && column.identity.is_some() {
                        self.default_value(table, *t)?
                    } else {
                        value
                    }
                });
            }
            rows.push(bound);
        }
        if width < targets.len() && listed {
            let position = insert.columns.get(width).and_then(|c| at(c.name.pos));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions").at(position));
        }
        let mut given = Vec::with_capacity(width);
        let mut columns = Vec::with_capacity(width);
        for (i, t) in targets.iter().take(width).enumerate() {
            let column = &table.columns[*t];
            if explicit[i] {
                self.identity_rule(insert, column)?;
            }
            let ty = self.target_type(insert, i, column.ty)?;
            let rel_column = self.column(ty);
            given.push((
                *t,
                i,
                Expr {
                    kind: ExprKind::Column(rel_column.id),
                    ty,
                    position: None,
                },
            ));
            columns.push(rel_column);
        }
        Ok((Rel::Values { rows, columns }, given))
    }

    fn on_conflict(
        &self,
        conflict: &ast::OnConflict,
        target: &ChangeTarget,
        alias: &str,
        own_name: bool,
        outer: &Scope<'_>,
    ) -> Result<OnConflict> {
        let table = &target.named;
        let arbiters = match &conflict.target {
            ConflictTarget::Any => {
                if conflict.update.is_some() {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                    )
                    .hint("For example, ON CONFLICT (column_name).")
                    .at(at(conflict.pos)));
                }
                Vec::new()
            }
            ConflictTarget::Constraint(name) => {
                let found = table.constraints.iter().find(|c| c.name == name.name);
                match found.map(|c| &c.kind) {
                    Some(ConstraintKind::Unique { index, .. }) => {
                        if table.index(*index).is_some_and(|i| i.deferrable) {
                            return Err(deferrable_arbiter());
                        }
                        vec![*index]
                    }
                    Some(_) => {
                        return Err(SqlError::new(
                            SqlState::WRONG_OBJECT_TYPE,
                            "constraint in ON CONFLICT clause has no associated index",
                        ));
                    }
                    None => {
                        let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.name, table.name);
                        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                    }
                }
            }
            ConflictTarget::Columns { columns, filter, pos } => self.infer_arbiters(columns, filter.as_ref(), *pos, (table, alias))?,
        };
        let columns = arbiters.iter().filter_map(|a| table.index(*a)).flat_map(|i| i.columns());
        let arbiter_columns: Vec<i16> = columns.map(|i| table.columns[i].attnum).collect();
        if !arbiter_columns.is_empty() && !matches!(conflict.target, ConflictTarget::Any) {
            self.ledger.also(Rights::SELECT, &arbiter_columns);
        }
        let Some(update) = &conflict.update else {
            return Ok(OnConflict { arbiters, update: None });
        };
        self.ledger.also(Rights::UPDATE, &[]);
        let (existing, _, item) = target.row(self, alias, own_name)?;
        let (excluded, _, excluded_item) = target.row(self, "excluded", false)?;
        let mut scope = Scope::inside(outer);
        scope.items.push(Rc::new(item));
        let mut excluded_item = excluded_item;
        excluded_item.hidden_name = None;
        excluded_item.columns_visible = false;
        // Bare names mean the existing row; PostgreSQL finds them ambiguous only when both are visible, which excluded is not to them.
        scope.items.push(Rc::new(excluded_item));
        if let Some(view) = &target.view {
            // PostgreSQL names the command, not the clause.
            view.check_assigned(assigned_names(&update.assignments), RowChange::Insert)?;
        }
        let assignments = self.assignments(&update.assignments, table, &scope)?;
        self.notes_assigned(target, assignments.iter().map(|(i, _)| *i), false);
        let predicate = match &update.filter {
            Some(f) => Some(self.condition(f, &scope, Clause::ConflictWhere, "WHERE")?),
            None => None,
        };
        Ok(OnConflict {
            arbiters,
            update: Some(ConflictUpdate {
                existing,
                excluded,
                assignments,
                predicate,
            }),
        })
    }

    /// Unique indexes over exactly the given columns and expressions, partial ones only where `filter` implies their predicate.
    fn infer_arbiters(
        &self,
        elements: &[ast::Expr],
        filter: Option<&ast::Expr>,
        pos: u32,
        (table, alias): (&Arc<Table>, &str),
    ) -> Result<Vec<u32>> {
        let (row, item) = self.new_row(table, alias, alias == table.name);
        let mut scope = Scope::root();
        scope.items.push(Rc::new(item));
        let mut columns: Vec<usize> = Vec::with_capacity(elements.len());
        let mut expressions: Vec<Expr> = Vec::new();
        for e in elements {
            let plain = match &e.kind {
                ast::ExprKind::Collate(inner, _) => inner,
                _ => e,
            };
            let missing = |name: &str| SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")).at(at(pos));
            match &plain.kind {
                ast::ExprKind::Column(parts) if parts.len() == 1 => {
                    let name = &parts[0].name;
                    let (i, _) = table.column(name).ok_or_else(|| missing(name))?;
                    if !columns.contains(&i) {
                        columns.push(i);
                    }
                }
                _ => {
                    let bound = self.expr_in(plain, &scope, Clause::IndexExpression)?;
                    expressions.push(without_position(self.text_if_unknown(bound)?));
                }
            }
        }
        let mut given = Vec::new();
        if let Some(filter) = filter {
            let bound = self.condition(filter, &scope, Clause::IndexPredicate, "WHERE")?;
            crate::imply::conjuncts(&without_position(bound), &mut given);
        }
        let computed = self.computed_indexes(table, &row)?;
        let mut found = Vec::new();
        for (position, index) in table.indexes.iter().enumerate().filter(|(_, i)| i.unique && !i.incomplete) {
            let form = computed.iter().find(|c| c.position == position);
            let keys: Vec<&Expr> = form.iter().flat_map(|f| f.keys.iter().flatten()).collect();
            let same_columns = index.columns().all(|c| columns.contains(&c)) && columns.iter().all(|c| index.columns().any(|k| k == *c));
            let same_expressions = keys.iter().all(|k| expressions.contains(k)) && expressions.iter().all(|e| keys.contains(&e));
            let predicate = form.and_then(|f| f.predicate.as_ref());
            if same_columns && same_expressions && predicate.is_none_or(|p| crate::imply::implies(&given, p)) {
                found.push(index.oid); // a deferrable one fails when a row comes to it
            }
        }
        match found.is_empty() {
            false => Ok(found),
            true => Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            )),
        }
    }

    /// SET items as (column, value).
    pub fn assignments(&self, items: &[Assignment], table: &Table, scope: &Scope<'_>) -> Result<Vec<(usize, Expr)>> {
        // (column, value, whether all of it was assigned)
        let mut out: Vec<(usize, Expr, bool)> = Vec::with_capacity(items.len());
        let mut add = |this: &Self, target: &TargetColumn, value: Option<Expr>| -> Result<()> {
            let i = this.target_column(table, target)?;
            let column = &table.columns[i];
            let earlier = out.iter().position(|(o, ..)| *o == i);
            if earlier.is_some_and(|e| out[e].2 || target.indirection.is_empty()) {
                let message = format!("multiple assignments to same column \"{}\"", column.name);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            let value = match value {
                None if column.generated => return Ok(()),
                Some(_) if column.generated => {
                    let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
                    return Err(is_generated(SqlError::new(GENERATED_ALWAYS, message), &column.name));
                }
                None => {
                    check_default(&target.indirection)?;
                    this.default_value(table, i)?
                }
                Some(v) if !target.indirection.is_empty() => {
                    let base = match earlier {
                        Some(e) => out.remove(e).1,
                        None => this.old_value(&target.name, scope)?,
                    };
                    let base = bare_of_domain(base);
                    this.assign_part(base, &target.indirection, v, &column.name, scope)?
                }
                Some(v) => {
                    if column.identity == Some(Identity::Always) {
                        return Err(SqlError::new(
                            GENERATED_ALWAYS,
                            format!("column \"{}\" can only be updated to DEFAULT", column.name),
                        )
                        .detail(format!(
                            "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                            column.name
                        )));
                    }
                    this.assign(v, column.ty, &column.name)?
                }
            };
            out.push((i, value, target.indirection.is_empty()));
            Ok(())
        };
        for item in items {
            match item {
                Assignment::One(target, e) => {
                    self.target_column(table, target)?;
                    let value = if matches!(e.kind, ast::ExprKind::Default) {
                        None
                    } else {
                        Some(self.expr_in(e, scope, Clause::UpdateSet)?)
                    };
                    add(self, target, value)?;
                }
                Assignment::Many(targets, e) => match &e.kind {
                    ast::ExprKind::Row(fields) if fields.iter().any(crate::expr::is_star) => {
                        let fields = scope.within(Clause::UpdateSet, || self.row_fields(fields, scope))?;
                        self.same_count(targets.len(), fields.len(), e.pos)?;
                        for (target, value) in targets.iter().zip(fields) {
                            add(self, target, Some(value))?;
                        }
                    }
                    ast::ExprKind::Row(fields) => {
                        self.same_count(targets.len(), fields.len(), e.pos)?;
                        for (target, f) in targets.iter().zip(fields) {
                            let value = if matches!(f.kind, ast::ExprKind::Default) {
                                None
                            } else {
                                Some(self.expr_in(f, scope, Clause::UpdateSet)?)
                            };
                            add(self, target, value)?;
                        }
                    }
                    ast::ExprKind::Subquery(query) => {
                        for (n, target) in targets.iter().enumerate() {
                            let value = scope.within(Clause::UpdateSet, || self.nth_of_query(query, n, targets.len(), scope, e.pos))?;
                            add(self, target, Some(value))?;
                        }
                    }
                    _ if targets.len() == 1 => {
                        let value = self.expr_in(e, scope, Clause::UpdateSet)?;
                        add(self, &targets[0], Some(value))?;
                    }
                    _ => {
                        let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at(e.pos)));
                    }
                },
            }
        }
        // What a domain demands, it demands of the finished value.
        let whole = |(i, value, whole): (usize, Expr, bool)| {
            let column = &table.columns[i];
            Ok((
                i,
                if whole {
                    value
                } else {
                    self.assign(value, column.ty, &column.name)?
                },
            ))
        };
        out.into_iter().map(whole).collect()
    }

    /// A column of the row that an assignment changes: the first item of the scope.
    fn old_value(&self, name: &ast::Ident, scope: &Scope<'_>) -> Result<Expr> {
        let column = scope
            .items
            .first()
            .and_then(|target| target.columns.iter().find(|c| c.name == name.name));
        let column = column.ok_or_else(|| SqlError::internal("the target of an assignment has no such column"))?;
        Ok(self.use_column(column, 0, scope, name.pos))
    }

    fn same_count(&self, targets: usize, values: usize, pos: u32) -> Result<()> {
        if targets == values {
            return Ok(());
        }
        Err(SqlError::new(SqlState::SYNTAX_ERROR, "number of columns does not match number of values").at(at(pos)))
    }

    /// The n-th column of a one-row subquery as a scalar; each column binds the query anew.
    fn nth_of_query(&self, query: &ast::Query, n: usize, count: usize, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let mut inner = Scope::inside(scope);
        let bound = self.query_scoped(query, &mut inner, Unknown::ToText)?;
        self.same_count(count, bound.output.len(), pos)?;
        let outer = inner.outer.into_inner();
        let column = &bound.output[n];
        let ty = column.ty;
        let result = self.column(ty);
        let expr = Expr {
            kind: ExprKind::Column(column.id),
            ty,
            position: None,
        };
        let rel = Rel::Project {
            input: Box::new(bound.rel),
            columns: vec![(result, expr)],
        };
        Ok(Expr {
            kind: ExprKind::Subquery {
                kind: SubqueryKind::Scalar,
                query: Box::new(rel),
                outer,
            },
            ty,
            position: at(pos),
        })
    }
}

/// The WHERE of COPY FROM, over a row of the table's live columns; `depth` is that of the statement.
///
/// # Errors
/// Those of binding; 42P10 for generated columns, which have no values yet.
pub fn copy_condition(table: &Arc<Table>, filter: &ast::Expr, depth: u32, cx: &BindContext<'_>) -> Result<(RowColumns, Expr)> {
    crate::view::with_depth(depth, |depth| {
        let binder = Binder::new(cx, depth, true);
        let (row, item) = binder.new_row(table, &table.name, true);
        let mut scope = Scope::root();
        scope.items.push(Rc::new(item));
        let condition = binder.condition(filter, &scope, Clause::CopyWhere, "WHERE")?;
        let mut generated = None;
        crate::walk::columns_of(&condition, &mut |id| {
            let found = row.iter().find(|(_, c)| c.id == id).map(|(i, _)| &table.columns[*i]);
            generated = generated.or(found.filter(|c| c.generated));
        });
        match generated {
            None => Ok((row, condition)),
            Some(c) => Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "generated columns are not supported in COPY FROM WHERE conditions",
            )
            .detail(format!("Column \"{}\" is a generated column.", c.name))),
        }
    })
}

/// The names of the columns that SET assigns to.
pub(crate) fn assigned_names(items: &[Assignment]) -> impl Iterator<Item = &str> {
    let targets = items.iter().flat_map(|item| match item {
        Assignment::One(target, _) => std::slice::from_ref(target),
        Assignment::Many(targets, _) => targets.as_slice(),
    });
    targets.map(|t| t.name.name.as_str())
}

/// How many values the rows of an INSERT have, as far as the syntax says.
fn width_of(query: &ast::Query) -> usize {
    match &query.body {
        SetExpr::Values(values) => values.rows.first().map_or(0, Vec::len),
        _ => 0,
    }
}

fn is_generated(error: SqlError, column: &str) -> SqlError {
    error.detail(format!("Column \"{column}\" is a generated column."))
}

fn deferrable_arbiter() -> SqlError {
    SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters",
    )
}

/// The type under a domain, or the type itself.
fn without_domain(ty: PgType) -> PgType {
    match curia_types::type_info::base_type(ty.oid) {
        base if base != ty.oid => PgType { oid: base, typmod: -1 },
        _ => ty,
    }
}

/// A value of a domain as one of the type under it.
fn bare_of_domain(value: Expr) -> Expr {
    let ty = without_domain(value.ty);
    if ty.oid == value.ty.oid {
        return value;
    }
    Expr {
        position: value.position,
        kind: ExprKind::Relabel(Box::new(value)),
        ty,
    }
}

/// Stored expressions have no place in the statement.
fn without_position(e: Expr) -> Expr {
    crate::walk::without_positions(&e)
}

/// 0A000 for DEFAULT as the value of a part of a column.
fn check_default(path: &[ast::Indirection]) -> Result<()> {
    match path.last() {
        None => Ok(()),
        Some(ast::Indirection::Field(_)) => Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot set a subfield to DEFAULT")),
        Some(ast::Indirection::Subscripts(_)) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot set an array element to DEFAULT",
        )),
    }
}

fn item_position(query: &ast::Query, i: usize) -> Option<u32> {
    match &query.body {
        SetExpr::Select(s) => s.items.get(i).and_then(|item| at(item.expr.pos)),
        _ => None,
    }
}

fn extra_position(query: &ast::Query, width: usize) -> Option<u32> {
    item_position(query, width)
}
