//! Queries: clauses in PostgreSQL's order, each on a line of its own.

use super::Printer;
use super::record::SelectRecord;
use crate::ir::*;
use curia_parse::ast::{self, Distinct, GroupItem, SetExpr};
use curia_parse::quote_identifier;
use curia_types::{Datum, PgType, oid};

/// `PRETTYINDENT_STD`, `PRETTYINDENT_VAR`.
pub(super) const STEP: i32 = 8;
pub(super) const SMALL_STEP: i32 = 4;
/// `PRETTYINDENT_LIMIT`
const DEEPEST: i32 = 40;

impl Printer<'_> {
    pub(super) fn push(&self, text: &str) {
        self.out.borrow_mut().push_str(text);
    }

    /// `appendContextKeyword`: text on a new line; the indentation changes before and after it, `plus` is for this line only.
    pub(super) fn keyword(&self, text: &str, before: i32, after: i32, plus: i32) {
        let level = self.indent.get() + before;
        let mut amount = level.max(0);
        if level >= DEEPEST {
            amount = (DEEPEST + (level - DEEPEST) / (STEP / 2)) % DEEPEST;
        }
        let mut out = self.out.borrow_mut();
        trim_spaces(&mut out);
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', usize::try_from(amount + plus).unwrap_or(0)));
        out.push_str(text);
        self.indent.set((level + after).max(0));
    }

    /// What `work` prints, apart.
    pub(super) fn apart(&self, work: impl FnOnce()) -> String {
        let before = self.out.take();
        work();
        self.out.replace(before)
    }

    /// An item of a list, on a new line where the style says so.
    pub(super) fn wrapped(&self, item: &str, breaks: bool) {
        if item.starts_with('\n') {
            trim_spaces(&mut self.out.borrow_mut());
        } else if breaks && self.style.wrap >= 0 {
            self.keyword("", -STEP, STEP, SMALL_STEP);
        }
        self.push(item);
    }

    fn overflows(&self, item: &str) -> bool {
        let out = self.out.borrow();
        let line = out.rsplit('\n').next().unwrap_or("");
        (line.len() + item.len()) as i32 > self.style.wrap
    }

    /// `get_query_def`; `names` are those of a view's columns.
    pub(super) fn query(&self, query: &ast::Query, names: Option<&[&str]>) {
        let (indent, ctes) = (self.indent.get(), self.ctes.borrow().len());
        if let SetExpr::Select(s) = &query.body {
            // Its own definitions are in sight, though not printed yet.
            self.ctes
                .borrow_mut()
                .extend(query.with.iter().flat_map(|w| &w.ctes).map(|c| c.name.name.clone()));
            self.enter(s);
            self.ctes.borrow_mut().truncate(ctes);
        }
        self.with(query.with.as_ref());
        let counted = self.body(query, names);
        if !query.order_by.is_empty() {
            self.keyword(" ORDER BY ", -STEP, STEP, 1);
            let order = match (&query.body, counted) {
                (SetExpr::Select(s), false) => self.record.selects.get(&s.pos).map(|s| self.order_by(s)),
                _ => self.order_by_number(query, names),
            };
            self.push(&self.or_fail(order));
        }
        if let Some(offset) = &query.offset {
            self.keyword(" OFFSET ", -STEP, STEP, 0);
            self.push(&self.noted(offset.pos));
        }
        match &query.limit {
            Some(ast::Limit { count, with_ties: true }) => {
                self.keyword(" FETCH FIRST ", -STEP, STEP, 0);
                self.push(&count.as_ref().map_or_else(|| "1".to_owned(), |c| self.noted(c.pos)));
                self.push(" ROWS WITH TIES");
            }
            Some(ast::Limit { count, .. }) => {
                self.keyword(" LIMIT ", -STEP, STEP, 0);
                self.push(&count.as_ref().map_or_else(|| "ALL".to_owned(), |c| self.noted(c.pos)));
            }
            None => {}
        }
        if !query.locking.is_empty() {
            self.failed.set(true);
        }
        if matches!(query.body, SetExpr::Select(_)) {
            self.levels.borrow_mut().pop();
        }
        self.ctes.borrow_mut().truncate(ctes);
        self.indent.set(indent);
    }

    /// Gives what is there, or notes that it is not.
    pub(super) fn or_fail<T: Default>(&self, found: Option<T>) -> T {
        found.unwrap_or_else(|| {
            self.failed.set(true);
            T::default()
        })
    }

    fn noted(&self, pos: u32) -> String {
        let e = self.record.loose.get(&pos).and_then(|list| list.first());
        self.or_fail(e.map(|e| self.expr(e)))
    }

    fn with(&self, with: Option<&ast::With>) {
        let Some(with) = with else { return };
        self.indent.set(self.indent.get() + STEP);
        self.push(if with.recursive { " WITH RECURSIVE " } else { " WITH " });
        if with.recursive {
            self.ctes.borrow_mut().extend(with.ctes.iter().map(|c| c.name.name.clone()));
        }
        for (i, cte) in with.ctes.iter().enumerate() {
            let ast::CteBody::Query(query) = &cte.body else {
                return self.failed.set(true);
            };
            if cte.search.is_some() || cte.cycle.is_some() {
                self.failed.set(true);
            }
            if i > 0 {
                self.push(", ");
            }
            self.push(&quote_identifier(&cte.name.name));
            if !cte.columns.is_empty() {
                let names: Vec<_> = cte.columns.iter().map(|c| quote_identifier(&c.name)).collect();
                self.push(&format!("({})", names.join(", ")));
            }
            self.push(match cte.materialized {
                None => " AS (",
                Some(true) => " AS MATERIALIZED (",
                Some(false) => " AS NOT MATERIALIZED (",
            });
            self.keyword("", 0, 0, 0);
            self.query(query, None);
            self.keyword("", 0, 0, 0);
            self.push(")");
            self.ctes.borrow_mut().push(cte.name.name.clone());
        }
        self.indent.set(self.indent.get() - STEP);
        self.keyword("", 0, 0, 0);
    }

    /// Whether ORDER BY counts columns instead of naming them.
    fn body(&self, query: &ast::Query, names: Option<&[&str]>) -> bool {
        match &query.body {
            SetExpr::Select(s) => {
                self.select(s, names);
                false
            }
            SetExpr::Values(v) => {
                self.indent.set(self.indent.get() + STEP);
                self.push(" ");
                self.values(v);
                false
            }
            SetExpr::Query(inner) => {
                self.query(inner, names);
                true
            }
            body @ SetExpr::SetOp { .. } => {
                self.set_operation(body, names);
                true
            }
        }
    }

    fn values(&self, values: &ast::Values) {
        let rows = self.record.values.get(&values.pos).map(|rows| {
            let row = |row: &Vec<Expr>| format!("({})", row.iter().map(|e| self.expr(e)).collect::<Vec<_>>().join(","));
            rows.iter().map(row).collect::<Vec<_>>().join(", ")
        });
        self.push(&format!("VALUES {}", self.or_fail(rows)));
    }

    /// `get_setop_query`
    fn set_operation(&self, body: &SetExpr, names: Option<&[&str]>) {
        match plain(body) {
            SetExpr::SetOp { first, rest } => self.chain(first, rest, names),
            SetExpr::Query(q) => {
                self.push("(");
                self.query(q, names);
                self.push(")");
            }
            leaf => {
                let indent = self.indent.get();
                match leaf {
                    SetExpr::Select(s) => {
                        self.enter(s);
                        self.select(s, names);
                        self.levels.borrow_mut().pop();
                    }
                    SetExpr::Values(v) => {
                        self.push(" ");
                        self.values(v);
                    }
                    _ => {}
                }
                self.indent.set(indent);
            }
        }
    }

    /// A chain, which is a tree that leans to the left.
    fn chain(&self, first: &SetExpr, rest: &[ast::SetTail], names: Option<&[&str]>) {
        let Some((last, before)) = rest.split_last() else {
            return self.set_operation(first, names);
        };
        let left = match (before.last(), plain(first)) {
            (Some(tail), _) => Some((tail.op, tail.all)),
            (None, SetExpr::SetOp { rest, .. }) => rest.last().map(|t| (t.op, t.all)),
            _ => None,
        };
        let parens = left.is_some_and(|l| l != (last.op, last.all));
        let step = if parens { STEP } else { 0 };
        if parens {
            self.push("(");
            self.keyword("", step, 0, 0);
        }
        self.chain(first, before, names);
        self.keyword(if parens { ") " } else { "" }, -step, 0, 0);
        self.push(match last.op {
            ast::SetOperator::Union => "UNION ",
            ast::SetOperator::Intersect => "INTERSECT ",
            ast::SetOperator::Except => "EXCEPT ",
        });
        if last.all {
            self.push("ALL ");
        }
        let parens = matches!(plain(&last.right), SetExpr::SetOp { .. });
        let step = if parens { STEP } else { 0 };
        if parens {
            self.push("(");
        }
        self.keyword("", step, 0, 0);
        self.set_operation(&last.right, names);
        self.indent.set(self.indent.get() - step);
        if parens {
            self.keyword(")", 0, 0, 0);
        }
    }

    /// Begins the level of a SELECT.
    fn enter(&self, select: &ast::Select) {
        let level = self
            .record
            .selects
            .get(&select.pos)
            .map(|record| self.level(&select.from, &record.items));
        let level = self.or_fail(level);
        self.levels.borrow_mut().push(level);
    }

    /// `get_basic_select_query`, in its level.
    fn select(&self, select: &ast::Select, names: Option<&[&str]>) {
        self.indent.set(self.indent.get() + STEP);
        self.push(" SELECT");
        let Some(record) = self.record.selects.get(&select.pos) else {
            return self.failed.set(true);
        };
        match &select.distinct {
            Some(Distinct::All) => self.push(" DISTINCT"),
            Some(Distinct::On(_)) => {
                let keys: Vec<String> = record.distinct_on.iter().map(|t| self.sort_key(&record.targets[*t].expr)).collect();
                self.push(&format!(" DISTINCT ON ({})", keys.join(", ")));
            }
            None => {}
        }
        self.targets(record, names);
        self.from(&select.from);
        if let Some(filter) = &record.filter {
            self.keyword(" WHERE ", -STEP, STEP, 1);
            let text = self.expr(filter);
            self.push(&text);
        }
        if !select.group_by.is_empty() {
            self.keyword(" GROUP BY ", -STEP, STEP, 1);
            if select.group_distinct {
                self.push("DISTINCT ");
            }
            let items: Vec<String> = select.group_by.iter().map(|g| self.group_item(g)).collect();
            self.push(&items.join(", "));
        }
        if let Some(having) = &record.having {
            self.keyword(" HAVING ", -STEP, STEP, 0);
            let text = self.expr(having);
            self.push(&text);
        }
        let mut separator = None;
        for (name, _) in &select.windows {
            let is_this = |c: &&super::record::Computed| matches!(c, super::record::Computed::Window(_, Some(n)) if *n == name.name);
            let Some(super::record::Computed::Window(call, _)) = self.record.computed.values().find(is_this) else {
                return self.failed.set(true);
            };
            match separator {
                None => self.keyword(" WINDOW ", -STEP, STEP, 1),
                Some(comma) => self.push(comma),
            }
            separator = Some(", ");
            self.push(&format!("{} AS {}", quote_identifier(&name.name), self.window(call)));
        }
    }

    fn targets(&self, record: &SelectRecord, names: Option<&[&str]>) {
        let mut several_lines = false;
        let mut separator = " ";
        for (i, target) in record.targets.iter().filter(|t| !t.junk).enumerate() {
            self.push(separator);
            separator = ", ";
            let given = names.and_then(|n| n.get(i).copied()).unwrap_or(&target.name);
            let own = self.column_name(&target.expr);
            let mut item = self.target_text(&target.expr, names.and_then(|_| self.types.get(i).copied()));
            if own.as_deref().unwrap_or("?column?") != given {
                item.push_str(&format!(" AS {}", quote_identifier(given)));
            }
            self.wrapped(&item, i > 0 && (several_lines || self.overflows(&item)));
            several_lines = item.get(1..).is_some_and(|rest| rest.contains('\n'));
        }
    }

    /// A literal whose type only the other branches of a set operation say.
    fn target_text(&self, e: &Expr, ty: Option<PgType>) -> String {
        match (&e.kind, e.ty.oid) {
            (ExprKind::Const(Datum::Null), oid::UNKNOWN) if ty.is_none() => "NULL".to_owned(),
            (ExprKind::Const(Datum::Text(s)), oid::UNKNOWN) if ty.is_none() => curia_parse::quote_literal(s),
            (ExprKind::Const(_), oid::UNKNOWN) => self.expr(&Expr {
                ty: ty
                    .filter(|t| t.oid == oid::TEXT || matches!(e.kind, ExprKind::Const(Datum::Null)))
                    .unwrap_or(PgType::TEXT),
                ..e.clone()
            }),
            _ => self.expr(e),
        }
    }

    fn group_item(&self, item: &GroupItem) -> String {
        let list = |items: &[ast::Expr]| items.iter().map(|e| self.group_key(e)).collect::<Vec<_>>().join(", ");
        match item {
            GroupItem::Expr(e) => self.group_key(e),
            GroupItem::Empty => "()".to_owned(),
            GroupItem::Rollup(items) => format!("ROLLUP({})", list(items)),
            GroupItem::Cube(items) => format!("CUBE({})", list(items)),
            GroupItem::Sets(sets) => {
                let sets: Vec<String> = sets.iter().map(|s| self.group_item(s)).collect();
                format!("GROUPING SETS ({})", sets.join(", "))
            }
        }
    }

    fn group_key(&self, e: &ast::Expr) -> String {
        if let ast::ExprKind::Row(items) = &e.kind {
            return format!("({})", items.iter().map(|e| self.group_key(e)).collect::<Vec<_>>().join(", "));
        }
        self.or_fail(self.record.groups.get(&e.pos).map(|e| self.sort_key(e)))
    }

    fn order_by(&self, select: &SelectRecord) -> String {
        let keys = select.order.iter().map(|o| {
            let key = self.sort_key(&select.targets[o.target].expr);
            format!("{key}{}", direction(o.descending, o.nulls_first))
        });
        keys.collect::<Vec<_>>().join(", ")
    }

    /// ORDER BY of a set operation: columns by number.
    fn order_by_number(&self, query: &ast::Query, names: Option<&[&str]>) -> Option<String> {
        let names: Vec<String> = match names {
            Some(names) => names.iter().map(|n| (*n).to_owned()).collect(),
            None => self.output_names(&query.body)?,
        };
        let key = |o: &ast::OrderBy| {
            let number = match &o.expr.kind {
                ast::ExprKind::Literal(ast::Literal::Integer(n)) => *n as usize,
                ast::ExprKind::Column(parts) => names.iter().position(|n| *n == parts[0].name)? + 1,
                _ => return None,
            };
            Some(format!(
                "{number}{}",
                direction(o.descending, o.nulls_first.unwrap_or(o.descending))
            ))
        };
        Some(query.order_by.iter().map(key).collect::<Option<Vec<_>>>()?.join(", "))
    }

    fn output_names(&self, body: &SetExpr) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(s) => {
                let targets = self.record.selects.get(&s.pos)?.targets.iter();
                Some(targets.filter(|t| !t.junk).map(|t| t.name.clone()).collect())
            }
            SetExpr::Values(v) => Some((1..=v.rows.first()?.len()).map(|n| format!("column{n}")).collect()),
            SetExpr::Query(q) => self.output_names(&q.body),
            SetExpr::SetOp { first, .. } => self.output_names(first),
        }
    }

    /// `get_rule_sortgroupclause`: calls are in parentheses always.
    pub(super) fn sort_key(&self, e: &Expr) -> String {
        let text = self.expr(e);
        let column = self.column_name(e).is_some() || matches!(e.kind, ExprKind::Const(_));
        let call = match &e.kind {
            ExprKind::Call { function, args } => crate::deparse::operator_of(*function).is_none_or(|o| (o.left == 0) != (args.len() == 1)),
            ExprKind::Column(_) => true,
            _ => false,
        };
        if !column && (self.style.pretty || call) {
            format!("({text})")
        } else {
            text
        }
    }
}

fn trim_spaces(out: &mut String) {
    let length = out.trim_end_matches(' ').len();
    out.truncate(length);
}

/// DESC and NULLS, where they are not what goes without saying.
pub(super) fn direction(descending: bool, nulls_first: bool) -> &'static str {
    match (descending, nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

/// Without parentheses that hold nothing besides.
fn plain(body: &SetExpr) -> &SetExpr {
    match body {
        SetExpr::Query(q) if q.with.is_none() && q.order_by.is_empty() && q.limit.is_none() && q.offset.is_none() => plain(&q.body),
        other => other,
    }
}
