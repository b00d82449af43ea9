//! Expressions: as definitions show them, with what only queries have.

use super::Printer;
use super::query::{SMALL_STEP, direction};
use super::record::Computed;
use crate::deparse::{Deparse, operator_of, type_name};
use crate::ir::*;
use curia_parse::ast::SqlValue;
use curia_parse::quote_identifier;
use curia_types::Datum;

impl Printer<'_> {
    pub(super) fn expr(&self, e: &Expr) -> String {
        let names = Some((self.catalog, self.search_path));
        let column = |id: ColId| {
            let found = self.column_text(id);
            self.failed.set(self.failed.get() || found.is_none());
            found
        };
        let special = |e: &Expr| self.special(e);
        Deparse {
            column: &column,
            names,
            pretty: self.style.pretty,
            catalog: self.catalog,
            special: Some(&special),
        }
        .text(e)
    }

    fn list(&self, items: &[Expr]) -> String {
        items.iter().map(|e| self.expr(e)).collect::<Vec<_>>().join(", ")
    }

    /// The name of the column that an expression is, if it is one of a FROM item's.
    pub(super) fn column_name(&self, e: &Expr) -> Option<String> {
        let levels = self.levels.borrow();
        let mut items = levels.iter().rev().flat_map(|l| &l.items);
        match &e.kind {
            ExprKind::Column(id) => items.find_map(|i| {
                let visible = !i.shown.is_empty();
                let found = i.columns.iter().find(|(c, _)| c == id && visible)?;
                Some(found.1.clone())
            }),
            ExprKind::Coalesce(_) => {
                let merged = items.find(|i| i.merged.as_ref().is_some_and(|m| crate::walk::same(m, e)))?;
                merged.columns.first().map(|(_, n)| n.clone())
            }
            _ => None,
        }
    }

    fn column_text(&self, id: ColId) -> Option<String> {
        let found = self.levels.borrow().iter().rev().find_map(|level| {
            let item = level
                .items
                .iter()
                .find(|i| !i.shown.is_empty() && i.columns.iter().any(|(c, _)| *c == id))?;
            let (_, name) = item.columns.iter().find(|(c, _)| *c == id)?;
            Some(format!("{}.{}", quote_identifier(&item.shown), quote_identifier(name)))
        });
        found.or_else(|| {
            Some(match self.record.computed.get(&id)? {
                Computed::Aggregate(a) => self.aggregate(a),
                Computed::Window(call, name) => self.window_call(call, name.as_deref()),
                Computed::Set(function, args) => {
                    let ty = curia_types::PgType::RECORD;
                    let kind = ExprKind::Call {
                        function: *function,
                        args: args.clone(),
                    };
                    self.expr(&Expr { kind, ty, position: None })
                }
            })
        })
    }

    /// What is not shown as it is in a definition.
    fn special(&self, e: &Expr) -> Option<String> {
        match &e.kind {
            ExprKind::Subquery { kind, .. } => Some(self.subquery(kind, e.position)),
            ExprKind::Case { branches, otherwise } => Some(self.case(e, branches, otherwise.as_deref())),
            ExprKind::Coalesce(_) => self.column_name(e).map(|n| quote_identifier(&n).into_owned()),
            // Where it could be taken for all its columns, a whole row has its type.
            ExprKind::Row(fields, Some(_)) => {
                let names = Some((self.catalog, self.search_path));
                self.whole_row(fields).map(|row| format!("{row}::{}", type_name(e.ty, names)))
            }
            ExprKind::Call { .. } | ExprKind::IoCast(_) | ExprKind::Relabel(_) => {
                let position = e.position?;
                if let Some(value) = self.written.values.get(&position) {
                    return Some(sql_value(*value));
                }
                match &e.kind {
                    ExprKind::Call { function, args } if args.iter().any(|a| matches!(a.kind, ExprKind::Row(_, Some(_)))) => {
                        let name = quote_identifier(curia_functions::by_oid(*function)?.name);
                        let args: Vec<String> = args.iter().map(|a| self.argument(a)).collect();
                        operator_of(*function).is_none().then(|| format!("{name}({})", args.join(", ")))
                    }
                    ExprKind::Call { function, args } if self.written.syntax.contains(&position) => self.sql_syntax(*function, args),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// An argument of a call, where a whole row needs no type.
    fn argument(&self, e: &Expr) -> String {
        let row = match &e.kind {
            ExprKind::Row(fields, Some(_)) => self.whole_row(fields),
            ExprKind::Case {
                branches,
                otherwise: Some(row),
            } if branches.iter().all(|(absent, _)| absent.position.is_none()) => match &row.kind {
                ExprKind::Row(fields, Some(_)) => self.whole_row(fields),
                _ => None,
            },
            _ => None,
        };
        row.unwrap_or_else(|| self.expr(e))
    }

    /// `t.*`, if the fields are all columns of one item in order.
    fn whole_row(&self, fields: &[Expr]) -> Option<String> {
        let levels = self.levels.borrow();
        let mut items = levels.iter().rev().flat_map(|l| &l.items).filter(|i| !i.shown.is_empty());
        let same = |columns: &[(ColId, String)]| {
            columns.len() == fields.len()
                && columns
                    .iter()
                    .zip(fields)
                    .all(|((id, _), f)| matches!(f.kind, ExprKind::Column(c) if c == *id))
        };
        items
            .find(|i| same(&i.columns))
            .map(|i| format!("{}.*", quote_identifier(&i.shown)))
    }

    fn subquery(&self, kind: &SubqueryKind, position: Option<u32>) -> String {
        let Some(query) = position.and_then(|p| self.written.queries.get(&p)) else {
            return self.or_fail(None);
        };
        let text = self.apart(|| self.query(query, None));
        match kind {
            SubqueryKind::Scalar => format!("({text})"),
            SubqueryKind::Array => format!("ARRAY({text})"),
            SubqueryKind::Exists => format!("(EXISTS ({text}))"),
            SubqueryKind::Compare { arg, function, all } => {
                // Rows are compared inside the subquery.
                if matches!(arg.kind, ExprKind::Const(Datum::Bool(true))) {
                    self.failed.set(true);
                }
                let arg = self.expr(arg);
                match operator_of(*function).map_or("=", |o| o.name) {
                    "=" if !all => format!("({arg} IN ({text}))"),
                    op => format!("({arg} {op} {} ({text}))", if *all { "ALL" } else { "ANY" }),
                }
            }
        }
    }

    fn case(&self, e: &Expr, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> String {
        // A whole row that an outer join may leave out.
        if let (Some(row), [(absent, _)]) = (otherwise, branches)
            && absent.position.is_none()
            && matches!(row.kind, ExprKind::Row(..))
        {
            return self.expr(row);
        }
        let simple = e.position.is_some_and(|p| self.written.simple_cases.contains(&p));
        let operands = |condition: &Expr| match &condition.kind {
            ExprKind::Call { args, .. } if simple && args.len() == 2 => Some((self.expr(&args[0]), self.expr(&args[1]))),
            _ => None,
        };
        self.apart(|| {
            self.keyword("CASE", 0, SMALL_STEP, 0);
            if let Some((operand, _)) = branches.first().and_then(|(c, _)| operands(c)) {
                self.push(&format!(" {operand}"));
            }
            for (condition, result) in branches {
                self.keyword("WHEN ", 0, 0, 0);
                let condition = operands(condition).map_or_else(|| self.expr(condition), |(_, value)| value);
                self.push(&condition);
                let result = self.expr(result);
                self.push(&format!(" THEN {result}"));
            }
            self.keyword("ELSE ", 0, 0, 0);
            let names = Some((self.catalog, self.search_path));
            let otherwise = otherwise.map_or_else(|| format!("NULL::{}", type_name(e.ty, names)), |o| self.expr(o));
            self.push(&otherwise);
            self.keyword("END", -SMALL_STEP, 0, 0);
        })
    }

    fn function_name(&self, function: u32) -> String {
        let built_in = curia_functions::by_oid(function).map(|f| quote_identifier(f.name).into_owned());
        self.or_fail(built_in)
    }

    fn aggregate(&self, a: &Aggregate) -> String {
        let name = self.function_name(a.function);
        let ordered_set = crate::ordered_set::aggregate_kind(curia_functions::by_oid(a.function).map_or("", |f| f.name))
            != crate::ordered_set::AggregateKind::Plain;
        if ordered_set {
            self.failed.set(true);
        }
        let args: Vec<String> = a.args.iter().map(|e| self.argument(unfiltered(e, a.filter.as_ref()))).collect();
        let mut out = format!(
            "{name}({}{}",
            if a.distinct { "DISTINCT " } else { "" },
            if args.is_empty() { "*".to_owned() } else { args.join(", ") }
        );
        if !a.order_by.is_empty() {
            out.push_str(&format!(" ORDER BY {}", self.keys(&a.order_by)));
        }
        out.push(')');
        if let Some(filter) = &a.filter {
            out.push_str(&format!(" FILTER (WHERE {})", self.expr(filter)));
        }
        out
    }

    fn keys(&self, keys: &[SortKey]) -> String {
        let key = |k: &SortKey| format!("{}{}", self.sort_key(&k.expr), direction(k.descending, k.nulls_first));
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    fn window_call(&self, call: &WindowCall, name: Option<&str>) -> String {
        let function = curia_functions::by_oid(call.function);
        let star = call.args.is_empty() && function.is_some_and(|f| f.is_aggregate());
        let args = if star { "*".to_owned() } else { self.list(&call.args) };
        let mut out = format!("{}({args})", self.function_name(call.function));
        if let Some(filter) = &call.filter {
            out.push_str(&format!(" FILTER (WHERE {})", self.expr(filter)));
        }
        let window = name.map_or_else(|| self.window(call), |n| quote_identifier(n).into_owned());
        format!("{out} OVER {window}")
    }

    /// `get_rule_windowspec`
    pub(super) fn window(&self, call: &WindowCall) -> String {
        let mut parts = Vec::new();
        if !call.partition_by.is_empty() {
            let keys: Vec<String> = call.partition_by.iter().map(|e| self.sort_key(e)).collect();
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !call.order_by.is_empty() {
            parts.push(format!("ORDER BY {}", self.keys(&call.order_by)));
        }
        if let Some(frame) = &call.frame {
            let unit = match frame.unit {
                FrameUnit::Rows => "ROWS",
                FrameUnit::Range => "RANGE",
                FrameUnit::Groups => "GROUPS",
            };
            parts.push(format!(
                "{unit} BETWEEN {} AND {}",
                self.bound(&frame.start),
                self.bound(&frame.end)
            ));
            parts.extend(frame.exclude.map(|e| {
                let what = match e {
                    FrameExclude::CurrentRow => "CURRENT ROW",
                    FrameExclude::Group => "GROUP",
                    FrameExclude::Ties => "TIES",
                };
                format!("EXCLUDE {what}")
            }));
        }
        format!("({})", parts.join(" "))
    }

    fn bound(&self, bound: &FrameBound) -> String {
        // An offset is shown as it was written, before it became int8.
        let offset = |e: &Expr| match &e.kind {
            ExprKind::Const(Datum::Int8(n)) if *n >= 0 => n.to_string(),
            ExprKind::Call { args, .. } if args.len() == 1 => self.expr(&args[0]),
            _ => self.expr(e),
        };
        match bound {
            FrameBound::UnboundedPreceding => "UNBOUNDED PRECEDING".to_owned(),
            FrameBound::Preceding(e) => format!("{} PRECEDING", offset(e)),
            FrameBound::CurrentRow => "CURRENT ROW".to_owned(),
            FrameBound::Following(e) => format!("{} FOLLOWING", offset(e)),
            FrameBound::UnboundedFollowing => "UNBOUNDED FOLLOWING".to_owned(),
        }
    }

    /// With the parentheses that pretty-printing leaves out elsewhere.
    fn operand(&self, e: &Expr) -> String {
        let text = self.expr(e);
        match &e.kind {
            ExprKind::Call { function, .. } if self.style.pretty && operator_of(*function).is_some() => format!("({text})"),
            _ => text,
        }
    }

    /// `get_func_sql_syntax`
    fn sql_syntax(&self, function: u32, args: &[Expr]) -> Option<String> {
        let name = curia_functions::by_oid(function)?.name;
        let at = |i: usize| args.get(i).map(|e| self.expr(e));
        Some(match name {
            "timezone" => format!("({} AT TIME ZONE {})", self.operand(args.get(1)?), self.operand(args.first()?)),
            "overlaps" => format!("(({}, {}) OVERLAPS ({}, {}))", at(0)?, at(1)?, at(2)?, at(3)?),
            "extract" => match &args.first()?.kind {
                ExprKind::Const(Datum::Text(field)) => format!("EXTRACT({field} FROM {})", at(1)?),
                _ => return None,
            },
            "overlay" | "substring" => {
                let mut out = match name {
                    "overlay" => format!("OVERLAY({} PLACING {} FROM {}", at(0)?, at(1)?, at(2)?),
                    _ => format!("SUBSTRING({} FROM {}", at(0)?, at(1)?),
                };
                if let Some(length) = at(if name == "overlay" { 3 } else { 2 }) {
                    out.push_str(&format!(" FOR {length}"));
                }
                out.push(')');
                out
            }
            "position" => format!("POSITION(({}) IN ({}))", at(1)?, at(0)?),
            "btrim" | "ltrim" | "rtrim" => {
                let side = match name {
                    "btrim" => "BOTH",
                    "ltrim" => "LEADING",
                    _ => "TRAILING",
                };
                match at(1) {
                    Some(characters) => format!("TRIM({side} {characters} FROM {})", at(0)?),
                    None => format!("TRIM({side} FROM {})", at(0)?),
                }
            }
            _ => return None,
        })
    }
}

/// An argument that binding made depend on FILTER.
fn unfiltered<'e>(e: &'e Expr, filter: Option<&Expr>) -> &'e Expr {
    match (&e.kind, filter) {
        (ExprKind::Case { branches, otherwise: None }, Some(filter)) => match branches.as_slice() {
            [(condition, arg)] if crate::walk::same(condition, filter) => arg,
            _ => e,
        },
        _ => e,
    }
}

fn sql_value(value: SqlValue) -> String {
    let with = |name: &str, precision: Option<i32>| precision.map_or_else(|| name.to_owned(), |p| format!("{name}({p})"));
    match value {
        SqlValue::CurrentDate => "CURRENT_DATE".to_owned(),
        SqlValue::CurrentTime(p) => with("CURRENT_TIME", p),
        SqlValue::CurrentTimestamp(p) => with("CURRENT_TIMESTAMP", p),
        SqlValue::LocalTime(p) => with("LOCALTIME", p),
        SqlValue::LocalTimestamp(p) => with("LOCALTIMESTAMP", p),
        SqlValue::CurrentRole => "CURRENT_ROLE".to_owned(),
        SqlValue::CurrentUser => "CURRENT_USER".to_owned(),
        SqlValue::User => "USER".to_owned(),
        SqlValue::SessionUser => "SESSION_USER".to_owned(),
        SqlValue::CurrentCatalog => "CURRENT_CATALOG".to_owned(),
        SqlValue::CurrentSchema => "CURRENT_SCHEMA".to_owned(),
    }
}
