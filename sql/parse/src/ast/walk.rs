//! The parts of statements that have parts: queries, FROM items and expressions (`raw_expression_tree_walker`).
//!
//! A walk goes one step at a time: [`parts`] gives what stands directly inside a node, and the caller says whether to go on.

use super::expr::{Expr, ExprKind, FunctionCall, Over, QuantifiedRight, Subscript};
use super::query::*;

/// What a walk meets.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // named after their content
pub enum Node<'a> {
    Query(&'a Query),
    Set(&'a SetExpr),
    From(&'a TableRef),
    Expr(&'a Expr),
    Cte(&'a Cte),
}

/// Gets each part; an error ends the walk.
pub type Visit<'v, 'a, E> = &'v mut dyn FnMut(Node<'a>) -> Result<(), E>;

/// Calls `f` on what stands directly inside `node`.
pub fn parts<'a, E>(node: Node<'a>, f: Visit<'_, 'a, E>) -> Result<(), E> {
    match node {
        Node::Query(q) => {
            with(q.with.as_ref(), f)?;
            query_without_with(q, f)
        }
        Node::Set(SetExpr::Select(s)) => select(s, f),
        Node::Set(SetExpr::Values(v)) => v.rows.iter().flatten().try_for_each(|e| f(Node::Expr(e))),
        Node::Set(SetExpr::Query(q)) => f(Node::Query(q)),
        Node::Set(SetExpr::SetOp { first, rest }) => {
            f(Node::Set(first))?;
            rest.iter().try_for_each(|tail| f(Node::Set(&tail.right)))
        }
        Node::From(TableRef::Table { sample, .. }) => {
            let mut given = sample.iter().flat_map(|s| s.args.iter().chain(&s.repeatable));
            given.try_for_each(|e| f(Node::Expr(e)))
        }
        Node::From(TableRef::Subquery { query, .. }) => f(Node::Query(query)),
        Node::From(TableRef::Function { calls, .. }) => calls.iter().try_for_each(|(call, _)| f(Node::Expr(call))),
        Node::From(TableRef::Join(join)) => {
            f(Node::From(&join.left))?;
            f(Node::From(&join.right))?;
            match &join.condition {
                JoinCondition::On(on) => f(Node::Expr(on)),
                _ => Ok(()),
            }
        }
        Node::Expr(e) => expression(e, f),
        Node::Cte(cte) => body(&cte.body, f),
    }
}

/// As [`parts`] of a query, without its WITH.
pub fn query_without_with<'a, E>(q: &'a Query, f: Visit<'_, 'a, E>) -> Result<(), E> {
    f(Node::Set(&q.body))?;
    order(&q.order_by, f)?;
    q.offset.iter().try_for_each(|e| f(Node::Expr(e)))?;
    q.limit.iter().filter_map(|l| l.count.as_ref()).try_for_each(|e| f(Node::Expr(e)))
}

fn with<'a, E>(with: Option<&'a With>, f: Visit<'_, 'a, E>) -> Result<(), E> {
    with.iter().flat_map(|w| &w.ctes).try_for_each(|cte| f(Node::Cte(cte)))
}

fn order<'a, E>(keys: &'a [OrderBy], f: Visit<'_, 'a, E>) -> Result<(), E> {
    keys.iter().try_for_each(|o| f(Node::Expr(&o.expr)))
}

fn items<'a, E>(list: &'a [SelectItem], f: Visit<'_, 'a, E>) -> Result<(), E> {
    list.iter().try_for_each(|item| f(Node::Expr(&item.expr)))
}

fn select<'a, E>(s: &'a Select, f: Visit<'_, 'a, E>) -> Result<(), E> {
    if let Some(Distinct::On(keys)) = &s.distinct {
        keys.iter().try_for_each(|e| f(Node::Expr(e)))?;
    }
    items(&s.items, f)?;
    s.from.iter().try_for_each(|item| f(Node::From(item)))?;
    s.filter.iter().try_for_each(|e| f(Node::Expr(e)))?;
    s.group_by.iter().try_for_each(|g| group(g, f))?;
    s.having.iter().try_for_each(|e| f(Node::Expr(e)))?;
    s.windows.iter().try_for_each(|(_, w)| window(w, f))
}

fn group<'a, E>(item: &'a GroupItem, f: Visit<'_, 'a, E>) -> Result<(), E> {
    match item {
        GroupItem::Expr(e) => f(Node::Expr(e)),
        GroupItem::Empty => Ok(()),
        GroupItem::Rollup(list) | GroupItem::Cube(list) => list.iter().try_for_each(|e| f(Node::Expr(e))),
        GroupItem::Sets(sets) => sets.iter().try_for_each(|g| group(g, f)),
    }
}

fn window<'a, E>(w: &'a WindowSpec, f: Visit<'_, 'a, E>) -> Result<(), E> {
    w.partition_by.iter().try_for_each(|e| f(Node::Expr(e)))?;
    order(&w.order_by, f)?;
    let bounds = w.frame.iter().flat_map(|frame| [&frame.start, &frame.end]);
    for bound in bounds {
        if let FrameBound::Preceding(e) | FrameBound::Following(e) = bound {
            f(Node::Expr(e))?;
        }
    }
    Ok(())
}

fn assignments<'a, E>(list: &'a [Assignment], f: Visit<'_, 'a, E>) -> Result<(), E> {
    list.iter().try_for_each(|a| match a {
        Assignment::One(_, e) | Assignment::Many(_, e) => f(Node::Expr(e)),
    })
}

fn body<'a, E>(body: &'a CteBody, f: Visit<'_, 'a, E>) -> Result<(), E> {
    match body {
        CteBody::Query(q) => f(Node::Query(q)),
        CteBody::Insert(i) => {
            with(i.with.as_ref(), f)?;
            i.source.iter().try_for_each(|q| f(Node::Query(q)))?;
            if let Some(update) = i.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                assignments(&update.assignments, f)?;
                update.filter.iter().try_for_each(|e| f(Node::Expr(e)))?;
            }
            items(&i.returning, f)
        }
        CteBody::Update(u) => {
            with(u.with.as_ref(), f)?;
            assignments(&u.assignments, f)?;
            u.from.iter().try_for_each(|item| f(Node::From(item)))?;
            u.filter.iter().try_for_each(|e| f(Node::Expr(e)))?;
            items(&u.returning, f)
        }
        CteBody::Delete(d) => {
            with(d.with.as_ref(), f)?;
            d.using.iter().try_for_each(|item| f(Node::From(item)))?;
            d.filter.iter().try_for_each(|e| f(Node::Expr(e)))?;
            items(&d.returning, f)
        }
    }
}

fn call<'a, E>(c: &'a FunctionCall, f: Visit<'_, 'a, E>) -> Result<(), E> {
    c.args.iter().try_for_each(|a| f(Node::Expr(&a.value)))?;
    order(&c.order_by, f)?;
    order(&c.within_group, f)?;
    c.filter.iter().try_for_each(|e| f(Node::Expr(e)))?;
    match &c.over {
        Some(Over::Spec(w)) => window(w, f),
        _ => Ok(()),
    }
}

fn expression<'a, E>(e: &'a Expr, f: Visit<'_, 'a, E>) -> Result<(), E> {
    let mut all = |list: &'a [Expr]| list.iter().try_for_each(|e| f(Node::Expr(e)));
    match &e.kind {
        ExprKind::Literal(_) | ExprKind::Param(_) | ExprKind::Column(_) | ExprKind::Star(_) | ExprKind::SqlValue(_) | ExprKind::Default => {
            Ok(())
        }
        ExprKind::Field(a, _) | ExprKind::FieldStar(a) | ExprKind::Unary(_, a) | ExprKind::Not(a) | ExprKind::Collate(a, _) => {
            f(Node::Expr(a))
        }
        ExprKind::IsNull { arg, .. } | ExprKind::IsBool { arg, .. } | ExprKind::Cast { arg, .. } => f(Node::Expr(arg)),
        ExprKind::Subscript(a, subscripts) => {
            f(Node::Expr(a))?;
            for s in subscripts {
                match s {
                    Subscript::Index(i) => f(Node::Expr(i))?,
                    Subscript::Slice(low, high) => low.iter().chain(high).try_for_each(|e| f(Node::Expr(e)))?,
                }
            }
            Ok(())
        }
        ExprKind::Binary(first, rest) => {
            f(Node::Expr(first))?;
            rest.iter().try_for_each(|tail| f(Node::Expr(&tail.right)))
        }
        ExprKind::And(list)
        | ExprKind::Or(list)
        | ExprKind::Coalesce(list)
        | ExprKind::MinMax { args: list, .. }
        | ExprKind::Array(list)
        | ExprKind::Row(list)
        | ExprKind::Grouping(list) => all(list),
        ExprKind::IsDistinct { args, .. } | ExprKind::NullIf(args) => {
            f(Node::Expr(&args.0))?;
            f(Node::Expr(&args.1))
        }
        ExprKind::Between { args, .. } => [&args.0, &args.1, &args.2].into_iter().try_for_each(|e| f(Node::Expr(e))),
        ExprKind::InList { arg, list, .. } => {
            all(list)?;
            f(Node::Expr(arg))
        }
        ExprKind::InQuery { arg, query, .. } => {
            f(Node::Expr(arg))?;
            f(Node::Query(query))
        }
        ExprKind::Like { args, escape, .. } => {
            f(Node::Expr(&args.0))?;
            f(Node::Expr(&args.1))?;
            escape.iter().try_for_each(|e| f(Node::Expr(e)))
        }
        ExprKind::Quantified { arg, right, .. } => {
            f(Node::Expr(arg))?;
            match &**right {
                QuantifiedRight::Array(a) => f(Node::Expr(a)),
                QuantifiedRight::Query(q) => f(Node::Query(q)),
            }
        }
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            operand.iter().try_for_each(|e| f(Node::Expr(e)))?;
            for (when, then) in branches {
                f(Node::Expr(when))?;
                f(Node::Expr(then))?;
            }
            otherwise.iter().try_for_each(|e| f(Node::Expr(e)))
        }
        ExprKind::Call(c) => call(c, f),
        ExprKind::ArrayQuery(q) | ExprKind::Subquery(q) | ExprKind::Exists(q) => f(Node::Query(q)),
    }
}
