//! FROM: tables, subqueries, functions and joins (`parse_clause.c`, `parse_relation.c`).

use crate::binder::{Binder, at};
use crate::call::Resolved;
use crate::inherit::{FamilyColumns, is_family, members};
use crate::ir::*;
use crate::operator::operator;
use crate::regclass::{Named, check_database, no_relation, refuse_foreign_temporary};
use crate::scope::{Clause, NsColumn, NsItem, Scope};
use crate::select::Unknown;
use crate::view::KnownColumn;
use crate::viewdef::JoinRecord;
use crate::walk;
use curia_catalog::Table;
use curia_parse::ast::{self, Alias, JoinCondition, TableRef};
use curia_types::{Datum, PgType, RecordValue, Result, SqlError, SqlState, oid, type_info};
use std::rc::Rc;
use std::sync::Arc;

/// A bound FROM item: rows, and what can be named of it.
pub(crate) struct Part {
    pub rel: Rel,
    pub items: Vec<Rc<NsItem>>,
    /// Columns of items to its left that it refers to.
    pub refers: Vec<ColId>,
}

/// `pg_proc.oid` of row_number().
const ROW_NUMBER: u32 = 3100;

/// unnest(a, b) in FROM is unnest(a) beside unnest(b).
fn one_array_each(call: &ast::Expr) -> Vec<ast::Expr> {
    match &call.kind {
        ast::ExprKind::Call(c)
            if c.args.len() > 1 && c.name.name() == "unnest" && c.name.schema().is_none_or(|s| s == "pg_catalog") && !c.variadic =>
        {
            let one = |arg: &ast::FunctionArg| {
                let mut single = c.clone();
                single.args = vec![arg.clone()];
                ast::Expr {
                    kind: ast::ExprKind::Call(single),
                    pos: call.pos,
                }
            };
            c.args.iter().map(one).collect()
        }
        _ => vec![call.clone()],
    }
}

impl NsItem {
    pub fn new(name: &str, columns: Vec<NsColumn>) -> NsItem {
        NsItem {
            name: name.to_owned(),
            schema: None,
            hidden_name: None,
            columns,
            relation_visible: true,
            columns_visible: true,
            table: None,
            stored: None,
            scalar_function: false,
            row_key: None,
            tableoid: None,
            nullable: false,
            subquery: false,
            unexpanded: 0,
        }
    }
}

impl Binder<'_> {
    /// Binds a FROM list into `scope`; `None` when it is empty.
    pub fn bind_from(&self, list: &[TableRef], scope: &mut Scope<'_>) -> Result<Option<Rel>> {
        let mut rel: Option<Rel> = None;
        for item in list {
            let part = self.table_ref(item, scope, &scope.items.clone())?;
            check_conflicts(&scope.items, &part.items)?;
            scope.items.extend(part.items);
            rel = Some(match rel {
                None => part.rel,
                Some(left) => Rel::Join {
                    kind: JoinKind::Inner,
                    left: Box::new(left),
                    right: Box::new(part.rel),
                    on: None,
                    lateral: !part.refers.is_empty(),
                },
            });
        }
        Ok(rel)
    }

    /// Binds one item; `left` is what LATERAL may see.
    fn table_ref(&self, item: &TableRef, scope: &Scope<'_>, left: &[Rc<NsItem>]) -> Result<Part> {
        match item {
            TableRef::Table { name, alias, sample, only } => {
                let part = self.named_table(name, *only, alias.as_ref(), scope)?;
                match sample {
                    None => Ok(part),
                    Some(sample) => self.sampled(part, sample, name, scope),
                }
            }
            TableRef::Subquery { lateral, query, alias, .. } => self.subquery_item(*lateral, query, alias.as_ref(), scope, left),
            TableRef::Function {
                calls,
                ordinality,
                alias,
                columns,
                pos,
                ..
            } => {
                let definitions = if columns.is_empty() { &calls[0].1 } else { columns };
                if let [(call, _)] = calls.as_slice()
                    && let Some(part) = self.user_function_item(call, alias.as_ref(), definitions, scope, left)?
                {
                    if *ordinality {
                        return Err(SqlError::unsupported("WITH ORDINALITY of a function in SQL").at(at(*pos)));
                    }
                    return Ok(part);
                }
                if !columns.is_empty() || calls.iter().any(|c| !c.1.is_empty()) {
                    let [(call, own)] = calls.as_slice() else {
                        return Err(SqlError::unsupported("a column definition list beside other functions in ROWS FROM").at(at(*pos)));
                    };
                    let columns = if own.is_empty() { columns } else { own };
                    return self.function_item(call, columns, *ordinality, alias.as_ref(), scope, left);
                }
                let each: Vec<ast::Expr> = calls.iter().flat_map(|c| one_array_each(&c.0)).collect();
                match each.as_slice() {
                    [call] => self.function_item(call, &[], *ordinality, alias.as_ref(), scope, left),
                    several => self.functions_item(several, *ordinality, alias.as_ref(), scope, left),
                }
            }
            TableRef::Join(join) => self.join(join, scope, left),
        }
    }

    fn named_table(&self, name: &ast::ObjectName, only: bool, alias: Option<&Alias>, scope: &Scope<'_>) -> Result<Part> {
        if name.parts.len() == 1
            && let Some(cte) = scope.ctes.iter().rev().find(|c| c.name == name.name())
        {
            if let Some((state, why, position)) = &cte.blocked {
                return Err(SqlError::new(*state, why.clone()).at(position.or(at(name.pos()))));
            }
            cte.used.set(true);
            scope.refer_through(cte);
            if cte.recursing {
                scope.recursing.set(true);
            }
            let columns: Vec<RelColumn> = cte.columns.iter().map(|(_, ty)| self.column(*ty)).collect();
            let names = cte.columns.iter().map(|(n, _)| n.clone());
            let mut item = self.item(alias, name.name(), names.zip(columns.iter().cloned()).collect())?;
            item.unexpanded = cte.unexpanded;
            return Ok(Part {
                rel: Rel::CteScan { cte: cte.id, columns },
                items: vec![Rc::new(item)],
                refers: Vec::new(),
            });
        }
        check_database(self.cx, name)?;
        self.check_schema(name)?;
        match self.relation(name.schema(), name.name()) {
            Some(Named::View(view)) => self.view(view, alias, name),
            Some(Named::Table(table)) => {
                refuse_foreign_temporary(self.cx, name)?;
                if table.materialized.as_ref().is_some_and(|m| !m.populated) && !self.meanings.keeps() {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!("materialized view \"{}\" has not been populated", table.name),
                    )
                    .hint("Use the REFRESH MATERIALIZED VIEW command."));
                }
                let known = self.known_columns(name.schema(), name.name());
                let (rel, item) = self.scan_of(table, only, alias, name.name(), known.as_deref())?;
                Ok(Part {
                    rel,
                    items: vec![Rc::new(item)],
                    refers: Vec::new(),
                })
            }
            Some(Named::System(system)) => {
                let columns: Vec<(usize, RelColumn)> = system.columns.iter().enumerate().map(|(i, c)| (i, self.column(c.ty))).collect();
                let named = system
                    .columns
                    .iter()
                    .zip(&columns)
                    .map(|(c, (_, r))| (c.name.to_owned(), r.clone()))
                    .collect();
                let mut item = self.item(alias, name.name(), named)?;
                item.schema = Some(system.schema_name.to_owned());
                item.table = Some(system.oid);
                let entry = self.reads(system.oid);
                for (i, c) in item.columns.iter_mut().enumerate() {
                    c.origin = Some((system.oid, i as i16 + 1));
                    self.ledger.column(entry, c.column.id, i as i16 + 1);
                }
                Ok(Part {
                    rel: Rel::System {
                        table: system.oid,
                        columns,
                    },
                    items: vec![Rc::new(item)],
                    refers: Vec::new(),
                })
            }
            Some(Named::Sequence(oid)) => self.sequence_item(oid, alias, name),
            Some(Named::Index(_)) => Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot open relation \"{}\"", name.name()))
                    .detail("This operation is not supported for indexes.")
                    .at(at(name.pos())),
            ),
            None => Err(no_relation(name)),
        }
    }

    /// A sequence as a table of one row. Its numbers are reserved in memory, so it has none in a log (`log_cnt`).
    fn sequence_item(&self, sequence: u32, alias: Option<&Alias>, name: &ast::ObjectName) -> Result<Part> {
        // `pg_sequence_last_value`; with a second argument it gives the value that was never drawn, too.
        const LAST_VALUE: u32 = 4032;
        let value = |any: bool| {
            let mut args = vec![self.constant(Datum::Oid(sequence), PgType::REGCLASS, None)];
            if any {
                args.push(self.constant(Datum::Bool(true), PgType::BOOL, None));
            }
            Expr {
                kind: ExprKind::Call {
                    function: LAST_VALUE,
                    args,
                },
                ty: PgType::INT8,
                position: None,
            }
        };
        let called = Expr {
            kind: ExprKind::IsNull {
                arg: Box::new(value(false)),
                negated: true,
            },
            ty: PgType::BOOL,
            position: None,
        };
        let columns = [
            ("last_value", value(true)),
            ("log_cnt", self.constant(Datum::Int8(0), PgType::INT8, None)),
            ("is_called", called),
        ];
        let columns: Vec<(String, RelColumn, Expr)> = columns.into_iter().map(|(n, e)| (n.to_owned(), self.column(e.ty), e)).collect();
        let mut item = self.item(alias, name.name(), columns.iter().map(|(n, c, _)| (n.clone(), c.clone())).collect())?;
        item.table = Some(sequence);
        let entry = self.reads(sequence);
        for (c, attnum) in item.columns.iter_mut().zip(1..) {
            c.origin = Some((sequence, attnum));
            self.ledger.column(entry, c.column.id, attnum);
        }
        Ok(Part {
            rel: Rel::Project {
                input: Box::new(Rel::Unit),
                columns: columns.into_iter().map(|(_, c, e)| (c, e)).collect(),
            },
            items: vec![Rc::new(item)],
            refers: Vec::new(),
        })
    }

    /// A scan of all live columns of a table, and its name.
    pub fn scan(&self, table: &Arc<Table>, only: bool, alias: Option<&Alias>, name: &str) -> Result<(Rel, NsItem)> {
        self.scan_of(table, only, alias, name, None)
    }

    /// A scan of a table's live columns, all of them or, in a view's query, those that it knows, by the names that it knows; without
    /// `only`, of its descendants too.
    fn scan_of(
        &self,
        table: &Arc<Table>,
        only: bool,
        alias: Option<&Alias>,
        name: &str,
        known: Option<&[KnownColumn]>,
    ) -> Result<(Rel, NsItem)> {
        self.uses_table(table.oid);
        let mut columns: Vec<(usize, RelColumn)> = Vec::new();
        let mut named = Vec::new();
        for (i, c) in table.live_columns() {
            let name = match known {
                None => &c.name,
                Some(known) => match known.iter().find(|(attnum, _)| *attnum == c.attnum) {
                    Some((_, name)) => name,
                    None => continue,
                },
            };
            let column = self.column(c.ty);
            named.push((name.clone(), column.clone()));
            columns.push((i, column));
        }
        let mut item = self.item(alias, name, named)?;
        item.table = Some(table.oid);
        if alias.is_none() {
            item.schema = Some(self.cx.catalog.schema_name(table.schema).to_owned());
        }
        let row_key = self.column_id();
        item.row_key = Some(row_key);
        let entry = if self.is_changing() {
            self.changes(table.oid, true)
        } else {
            self.reads(table.oid)
        };
        self.ledger.column(entry, row_key, 0);
        for (c, (i, _)) in item.columns.iter_mut().zip(&columns) {
            c.origin = Some((table.oid, table.columns[*i].attnum));
            self.ledger.column(entry, c.column.id, table.columns[*i].attnum);
        }
        item.stored = Some(Arc::clone(table));
        // A view that is being made only says what it uses.
        if (table.is_partitioned() || (!only && is_family(self.cx.catalog, table))) && !self.meanings.keeps() {
            let tables = if only { Vec::new() } else { members(self.cx.catalog, table)? };
            self.uses_family(table);
            let tableoid = self.column_id();
            item.tableoid = Some(tableoid);
            let gives = FamilyColumns {
                columns: &columns,
                row_key,
                tableoid,
            };
            // Rights are asked for of the whole family's table.
            let rel = self.ledger.quietly(|| self.append(table, &tables, &gives))?;
            return Ok((rel, item));
        }
        let rel = Rel::Scan(Scan {
            within: Arc::default(),
            computed: self.ledger.quietly(|| self.computed_indexes(table, &columns))?,
            table: Arc::clone(table),
            columns,
            row_key: Some(row_key),
        });
        Ok((rel, item))
    }

    /// A FROM item with its alias applied.
    pub fn item(&self, alias: Option<&Alias>, name: &str, columns: Vec<(String, RelColumn)>) -> Result<NsItem> {
        let shown = alias.map_or(name, |a| &a.name.name);
        let available = columns.len();
        let mut columns: Vec<NsColumn> = columns
            .into_iter()
            .map(|(name, column)| NsColumn {
                name,
                column,
                merged: None,
                origin: None,
            })
            .collect();
        if let Some(alias) = alias {
            if alias.columns.len() > available {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!(
                        "table \"{shown}\" has {available} columns available but {} columns specified",
                        alias.columns.len()
                    ),
                ));
            }
            for (c, n) in columns.iter_mut().zip(&alias.columns) {
                c.name.clone_from(&n.name);
            }
        }
        let mut item = NsItem::new(shown, columns);
        if alias.is_some() && shown != name && !name.is_empty() {
            item.hidden_name = Some(name.to_owned());
        }
        Ok(item)
    }

    fn subquery_item(
        &self,
        lateral: bool,
        query: &ast::Query,
        alias: Option<&Alias>,
        scope: &Scope<'_>,
        left: &[Rc<NsItem>],
    ) -> Result<Part> {
        let stand_in = scope.stand_in(if lateral { left.to_vec() } else { Vec::new() });
        let mut inner = Scope::inside(&stand_in);
        let query = self.query_scoped(query, &mut inner, Unknown::ToText)?;
        let refers = inner.outer.borrow().iter().copied().filter(|id| is_of(left, *id)).collect();
        drop(inner);
        scope.absorb(&stand_in);
        let columns = query
            .output
            .iter()
            .map(|c| (c.name.clone(), RelColumn { id: c.id, ty: c.ty }))
            .collect();
        // One output may stand for several names; a FROM item needs columns of its own.
        let (rel, columns) = self.distinct_columns(query.rel, columns);
        let mut item = self.item(alias, "", columns)?;
        for (c, o) in item.columns.iter_mut().zip(&query.output) {
            c.origin = o.origin;
        }
        item.subquery = true;
        Ok(Part {
            rel,
            items: vec![Rc::new(item)],
            refers,
        })
    }

    pub fn distinct_columns(&self, rel: Rel, columns: Vec<(String, RelColumn)>) -> (Rel, Vec<(String, RelColumn)>) {
        let repeated = columns
            .iter()
            .enumerate()
            .any(|(i, (_, c))| columns[..i].iter().any(|(_, d)| d.id == c.id));
        if !repeated {
            return (rel, columns);
        }
        let mut projected = Vec::with_capacity(columns.len());
        let mut out = Vec::with_capacity(columns.len());
        for (name, c) in columns {
            let fresh = self.column(c.ty);
            projected.push((
                fresh.clone(),
                Expr {
                    kind: ExprKind::Column(c.id),
                    ty: c.ty,
                    position: None,
                },
            ));
            out.push((name, fresh));
        }
        (
            Rel::Project {
                input: Box::new(rel),
                columns: projected,
            },
            out,
        )
    }

    /// A call of a function in SQL; `None` when it is of another one.
    fn user_function_item(
        &self,
        call: &ast::Expr,
        alias: Option<&Alias>,
        definitions: &[ast::RecordColumn],
        scope: &Scope<'_>,
        left: &[Rc<NsItem>],
    ) -> Result<Option<Part>> {
        let ast::ExprKind::Call(c) = &call.kind else { return Ok(None) };
        if self.cx.catalog.functions.is_empty() {
            return Ok(None);
        }
        let stand_in = scope.stand_in(left.to_vec());
        let bind = |a: &ast::FunctionArg| self.expr_in(&a.value, &stand_in, Clause::From);
        let args = c.args.iter().map(bind).collect::<Result<Vec<_>>>()?;
        let Some(user) = self.user_call(c, &args, call.pos)? else {
            return Ok(None);
        };
        self.not_aggregate(c, call.pos)?;
        let part = self.user_item(user, alias, definitions, left, call.pos)?;
        scope.absorb(&stand_in);
        Ok(Some(part))
    }

    fn function_item(
        &self,
        call: &ast::Expr,
        definitions: &[ast::RecordColumn],
        ordinality: bool,
        alias: Option<&Alias>,
        scope: &Scope<'_>,
        left: &[Rc<NsItem>],
    ) -> Result<Part> {
        let stand_in = scope.stand_in(left.to_vec());
        let name = crate::name::output_name(call);
        let bound = match &call.kind {
            ast::ExprKind::Call(c) => self.function_in_from(c, &stand_in, call.pos)?,
            _ => Err(self.expr_in(call, &stand_in, Clause::From)?),
        };
        match &bound {
            Ok(r) => self.note_loose(call.pos, &self.call_function(r.function.oid, r.args.clone(), r.ret, at(call.pos))),
            Err(value) => self.note_loose(call.pos, value),
        }
        let (bound, row) = self.row_columns(bound, definitions, call.pos)?;
        let column_name = alias.map_or_else(|| name.clone(), |a| a.name.name.clone());
        let mut refers = Vec::new();
        let mut note = |e: &Expr| walk::columns_of(e, &mut |id| refers.extend(is_of(left, id).then_some(id)));
        let ordinal = ordinality.then(|| self.column(PgType::INT8));
        let (rel, mut columns) = match bound {
            Ok(r) if r.function.set || row.is_some() => {
                r.args.iter().for_each(&mut note);
                let columns: Vec<(String, RelColumn)> = if let Some(row) = row {
                    row.into_iter().map(|(n, ty)| (n, self.column(ty))).collect()
                } else if r.function.columns.is_empty() {
                    vec![(column_name, self.column(r.ret))]
                } else {
                    let columns = crate::call::record_columns(&r).into_iter();
                    columns.map(|(name, ty)| (name, self.column(ty))).collect()
                };
                let rel = Rel::Function {
                    function: r.function.oid,
                    args: r.args,
                    columns: columns.iter().map(|c| c.1.clone()).collect(),
                    ordinality: ordinal.clone(),
                };
                (rel, columns)
            }
            other => {
                let value = match other {
                    Ok(r) => {
                        if !r.function.columns.is_empty() {
                            return Err(SqlError::unsupported(format!("{name}() in FROM")).at(at(call.pos)));
                        }
                        self.call_function(r.function.oid, r.args, r.ret, at(call.pos))
                    }
                    Err(value) => self.text_if_unknown(value)?,
                };
                note(&value);
                let column = self.column(value.ty);
                let mut projected = vec![(column.clone(), value)];
                if let Some(ordinal) = &ordinal {
                    projected.push((ordinal.clone(), self.constant(Datum::Int8(1), PgType::INT8, None)));
                }
                (
                    Rel::Project {
                        input: Box::new(Rel::Unit),
                        columns: projected,
                    },
                    vec![(column_name, column)],
                )
            }
        };
        let single = columns.len() == 1 && !ordinality;
        columns.extend(ordinal.map(|o| ("ordinality".to_owned(), o)));
        scope.absorb(&stand_in);
        self.function_part(rel, alias, &name, columns, single, refers)
    }

    /// The item of a function in FROM; a `single` column is called by the item's name, too.
    pub(crate) fn function_part(
        &self,
        rel: Rel,
        alias: Option<&Alias>,
        name: &str,
        columns: Vec<(String, RelColumn)>,
        single: bool,
        refers: Vec<ColId>,
    ) -> Result<Part> {
        let mut item = self.item(alias, name, columns)?;
        item.hidden_name = None;
        item.scalar_function = single;
        Ok(Part {
            rel,
            items: vec![Rc::new(item)],
            refers,
        })
    }

    /// ROWS FROM (f(..), g(..)): the functions advance together, and those that end early give NULL.
    fn functions_item(
        &self,
        calls: &[ast::Expr],
        ordinality: bool,
        alias: Option<&Alias>,
        scope: &Scope<'_>,
        left: &[Rc<NsItem>],
    ) -> Result<Part> {
        let stand_in = scope.stand_in(left.to_vec());
        let mut refers = Vec::new();
        let mut functions = Vec::with_capacity(calls.len());
        let mut columns = Vec::with_capacity(calls.len() + 1);
        for call in calls {
            let name = crate::name::output_name(call);
            let several = || SqlError::unsupported(format!("{name}() beside other functions in ROWS FROM")).at(at(call.pos));
            let ast::ExprKind::Call(c) = &call.kind else {
                return Err(several());
            };
            let Ok(resolved) = self.function_in_from(c, &stand_in, call.pos)? else {
                return Err(several());
            };
            if !resolved.function.columns.is_empty() {
                return Err(several());
            }
            let shown = self.call_function(resolved.function.oid, resolved.args.clone(), resolved.ret, at(call.pos));
            self.note_loose(call.pos, &shown);
            for arg in &resolved.args {
                walk::columns_of(arg, &mut |id| refers.extend(is_of(left, id).then_some(id)));
            }
            let column = self.column(resolved.ret);
            functions.push((column.clone(), resolved.function.oid, resolved.args));
            columns.push((name, column));
        }
        let mut rel = Rel::ProjectSet {
            input: Box::new(Rel::Unit),
            functions,
        };
        if ordinality {
            let output = self.column(PgType::INT8);
            columns.push(("ordinality".to_owned(), output.clone()));
            rel = Rel::Window {
                input: Box::new(rel),
                calls: vec![WindowCall {
                    output,
                    function: ROW_NUMBER,
                    args: Vec::new(),
                    filter: None,
                    partition_by: Vec::new(),
                    order_by: Vec::new(),
                    frame: None,
                }],
            };
        }
        scope.absorb(&stand_in);
        let name = columns.first().map_or_else(String::new, |c| c.0.clone());
        let mut item = self.item(alias, &name, columns)?;
        item.hidden_name = None;
        Ok(Part {
            rel,
            items: vec![Rc::new(item)],
            refers,
        })
    }

    /// The columns of a function that returns rows: those of its composite type, or of the column definition list, which the functions
    /// that make rows of json get as a last argument, a row of NULLs.
    #[allow(clippy::type_complexity)] // the call, and names and types
    fn row_columns(
        &self,
        bound: std::result::Result<Resolved, Expr>,
        definitions: &[ast::RecordColumn],
        pos: u32,
    ) -> Result<(std::result::Result<Resolved, Expr>, Option<Vec<(String, PgType)>>)> {
        let error = |message: &str, pos| Err(SqlError::new(SqlState::SYNTAX_ERROR, message.to_owned()).at(at(pos)));
        let list = definitions.first().map(|d| d.name.pos);
        let mut r = match (bound, list) {
            (Ok(r), _) => r,
            (Err(_), Some(pos)) => return error("a column definition list is only allowed for functions returning \"record\"", pos),
            (other, None) => return Ok((other, None)),
        };
        if type_info::is_composite(type_info::base_type(r.ret.oid)) {
            if let Some(pos) = list {
                return error(
                    "a column definition list is redundant for a function returning a named composite type",
                    pos,
                );
            }
            let attributes = self.cx.io.attributes(type_info::base_type(r.ret.oid))?;
            let columns = attributes.iter().map(|a| (a.name.to_string(), a.ty)).collect();
            return Ok((Ok(r), Some(columns)));
        }
        if r.ret.oid != oid::RECORD || !r.function.columns.is_empty() {
            return match list {
                Some(pos) if r.ret.oid == oid::RECORD => {
                    error("a column definition list is redundant for a function with OUT parameters", pos)
                }
                Some(pos) => error("a column definition list is only allowed for functions returning \"record\"", pos),
                None => Ok((Ok(r), None)),
            };
        }
        if list.is_none() {
            return error("a column definition list is required for functions returning \"record\"", pos);
        }
        let mut columns: Vec<(String, PgType)> = Vec::with_capacity(definitions.len());
        for d in definitions {
            if columns.iter().any(|c| c.0 == d.name.name) {
                let message = format!("column name \"{}\" specified more than once", d.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(at(d.name.pos)));
            }
            columns.push((
                d.name.name.clone(),
                crate::type_name::resolve(&d.ty, self.cx.catalog, self.cx.search_path)?,
            ));
        }
        if r.function.name.starts_with("json") {
            let template = Datum::Record(Arc::new(RecordValue {
                names: Some(columns.iter().map(|c| c.0.as_str().into()).collect()),
                fields: columns.iter().map(|c| (c.1, Datum::Null)).collect(),
            }));
            r.args.push(self.constant(template, PgType::RECORD, None));
        }
        Ok((Ok(r), Some(columns)))
    }

    fn join(&self, join: &ast::Join, scope: &Scope<'_>, outside: &[Rc<NsItem>]) -> Result<Part> {
        let left = self.table_ref(&join.left, scope, outside)?;
        let mut sees = outside.to_vec();
        sees.extend(left.items.iter().cloned());
        let right = self.table_ref(&join.right, scope, &sees)?;
        check_conflicts(&left.items, &right.items)?;
        let kind = match join.kind {
            ast::JoinKind::Cross | ast::JoinKind::Inner => JoinKind::Inner,
            ast::JoinKind::Left => JoinKind::Left,
            ast::JoinKind::Right => JoinKind::Right,
            ast::JoinKind::Full => JoinKind::Full,
        };
        let lateral = right.refers.iter().any(|id| is_of(&left.items, *id));
        let refers = left
            .refers
            .iter()
            .chain(&right.refers)
            .copied()
            .filter(|id| is_of(outside, *id))
            .collect();
        if lateral && matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "invalid reference to FROM-clause entry in a lateral join",
            )
            .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."));
        }
        let nullable = |items: Vec<Rc<NsItem>>, yes: bool| -> Vec<Rc<NsItem>> {
            if !yes {
                return items;
            }
            items
                .into_iter()
                .map(|i| {
                    Rc::new(NsItem {
                        nullable: true,
                        ..(*i).clone()
                    })
                })
                .collect()
        };
        let left_items = nullable(left.items, matches!(kind, JoinKind::Right | JoinKind::Full));
        let right_items = nullable(right.items, matches!(kind, JoinKind::Left | JoinKind::Full));
        let (on, mut items) = match &join.condition {
            JoinCondition::None => (None, both(left_items, right_items)),
            JoinCondition::On(e) => {
                let items = both(left_items, right_items);
                let stand_in = scope.stand_in(items.clone());
                let on = self.condition(e, &stand_in, Clause::On, "JOIN/ON")?;
                scope.absorb(&stand_in);
                (Some(on), items)
            }
            JoinCondition::Natural => {
                let names = common_names(&left_items, &right_items);
                self.using(kind, &names, None, left_items, right_items)?
            }
            JoinCondition::Using(names, alias) => self.using(kind, names, alias.as_ref(), left_items, right_items)?,
        };
        if let Some(record) = self.noting() {
            record.borrow_mut().joins.insert(
                join.pos,
                JoinRecord {
                    items: items.clone(),
                    on: on.clone(),
                },
            );
        }
        if let Some(alias) = &join.alias {
            let columns: Vec<NsColumn> = items
                .iter()
                .filter(|i| i.columns_visible)
                .flat_map(|i| i.columns.iter().cloned())
                .collect();
            let mut item = NsItem::new(&alias.name.name, columns);
            if alias.columns.len() > item.columns.len() {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!(
                        "join expression \"{}\" has {} columns available but {} columns specified",
                        alias.name.name,
                        item.columns.len(),
                        alias.columns.len()
                    ),
                ));
            }
            for (c, n) in item.columns.iter_mut().zip(&alias.columns) {
                c.name.clone_from(&n.name);
            }
            item.subquery = true;
            items = vec![Rc::new(item)];
        }
        let rel = Rel::Join {
            kind,
            left: Box::new(left.rel),
            right: Box::new(right.rel),
            on,
            lateral,
        };
        Ok(Part { rel, items, refers })
    }

    /// USING and NATURAL: equalities, and an unnamed item that shows each common column once.
    #[allow(clippy::type_complexity)] // condition and items
    fn using(
        &self,
        kind: JoinKind,
        names: &[ast::Ident],
        alias: Option<&ast::Ident>,
        left: Vec<Rc<NsItem>>,
        right: Vec<Rc<NsItem>>,
    ) -> Result<(Option<Expr>, Vec<Rc<NsItem>>)> {
        let find = |items: &[Rc<NsItem>], name: &ast::Ident, side: &str| -> Result<NsColumn> {
            let mut matches = items
                .iter()
                .filter(|i| i.columns_visible)
                .flat_map(|i| i.columns.iter())
                .filter(|c| c.name == name.name);
            let first = matches.next().ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" specified in USING clause does not exist in {side} table", name.name),
                )
            })?;
            if matches.next().is_some() {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("common column name \"{}\" appears more than once in {side} table", name.name),
                ));
            }
            Ok(first.clone())
        };
        let value = |c: &NsColumn| match &c.merged {
            Some(e) => {
                walk::columns_of(e, &mut |id| self.ledger.used(id));
                e.clone()
            }
            None => {
                self.ledger.used(c.column.id);
                Expr {
                    kind: ExprKind::Column(c.column.id),
                    ty: c.column.ty,
                    position: None,
                }
            }
        };
        let mut terms = Vec::with_capacity(names.len());
        let mut merged = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            if names[..i].iter().any(|n| n.name == name.name) {
                let message = format!("column name \"{}\" appears more than once in USING clause", name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(at(name.pos)));
            }
            let (l, r) = (find(&left, name, "left")?, find(&right, name, "right")?);
            // What has no common type is said before what has no equality.
            let ty = self.common_type(&[(l.column.ty, None), (r.column.ty, None)], "JOIN/USING")?;
            terms.push(self.binary(&operator("="), value(&l), value(&r), name.pos)?);
            let typmod = self.common_typmod([&l.column.ty, &r.column.ty], ty);
            let ty = PgType { oid: ty, typmod };
            let convert = |c: &NsColumn| self.to_common(value(c), PgType { oid: ty.oid, typmod: -1 }, "JOIN/USING");
            let expr = match kind {
                // Either will do; one that is a column as it is goes first.
                JoinKind::Inner => match (convert(&l)?, convert(&r)?) {
                    (l, r) if !matches!(l.kind, ExprKind::Column(_)) && matches!(r.kind, ExprKind::Column(_)) => r,
                    (l, _) => l,
                },
                JoinKind::Left | JoinKind::Semi | JoinKind::Anti => convert(&l)?,
                JoinKind::Right => convert(&r)?,
                JoinKind::Full => Expr {
                    kind: ExprKind::Coalesce(vec![convert(&l)?, convert(&r)?]),
                    ty,
                    position: None,
                },
            };
            let plain = match expr.kind {
                ExprKind::Column(id) => Some(id),
                _ => None,
            };
            let origin = if plain == Some(r.column.id) { r.origin } else { l.origin };
            merged.push(NsColumn {
                name: name.name.clone(),
                column: RelColumn {
                    id: plain.unwrap_or(l.column.id),
                    ty,
                },
                origin: plain.and(origin),
                merged: plain.is_none().then_some(expr),
            });
        }
        let shared = |c: &&NsColumn| !names.iter().any(|n| n.name == c.name);
        let mut columns = merged.clone();
        for item in left.iter().chain(&right).filter(|i| i.columns_visible) {
            columns.extend(item.columns.iter().filter(shared).cloned());
        }
        let hidden = |i: Rc<NsItem>| {
            Rc::new(NsItem {
                columns_visible: false,
                ..(*i).clone()
            })
        };
        // The unnamed children of joins below have nothing left to show.
        let mut items: Vec<Rc<NsItem>> = both(left, right).into_iter().filter(|i| i.relation_visible).map(hidden).collect();
        if let Some(alias) = alias {
            let mut item = NsItem::new(&alias.name, merged);
            item.columns_visible = false;
            items.push(Rc::new(item));
        }
        let mut item = NsItem::new("", columns);
        item.relation_visible = false;
        items.push(Rc::new(item));
        let on = match terms.len() {
            0 => None,
            1 => terms.pop(),
            _ => Some(Expr {
                kind: ExprKind::And(terms),
                ty: PgType::BOOL,
                position: None,
            }),
        };
        Ok((on, items))
    }
}

fn both(mut left: Vec<Rc<NsItem>>, right: Vec<Rc<NsItem>>) -> Vec<Rc<NsItem>> {
    left.extend(right);
    left
}

fn is_of(items: &[Rc<NsItem>], id: ColId) -> bool {
    items.iter().flat_map(|i| &i.columns).any(|c| c.column.id == id)
}

/// Column names of both sides, in the order of the left one.
fn common_names(left: &[Rc<NsItem>], right: &[Rc<NsItem>]) -> Vec<ast::Ident> {
    let visible = |items: &[Rc<NsItem>]| -> Vec<String> {
        items
            .iter()
            .filter(|i| i.columns_visible)
            .flat_map(|i| i.columns.iter().map(|c| c.name.clone()))
            .collect()
    };
    let right = visible(right);
    visible(left)
        .into_iter()
        .filter(|n| right.contains(n))
        .map(|name| ast::Ident { name, pos: 0 })
        .collect()
}

/// Two items of one level may not have the same name, unless they are different tables without alias.
fn check_conflicts(left: &[Rc<NsItem>], right: &[Rc<NsItem>]) -> Result<()> {
    for r in right.iter().filter(|i| i.relation_visible) {
        for l in left.iter().filter(|i| i.relation_visible && i.name == r.name) {
            let different_tables = l.table.is_some() && r.table.is_some() && l.table != r.table && l.schema.is_some() && r.schema.is_some();
            if !different_tables {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("table name \"{}\" specified more than once", r.name),
                ));
            }
        }
    }
    Ok(())
}
