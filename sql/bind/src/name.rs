//! Output names of select list items: `FigureColname` of PostgreSQL's parse_target.c.

use curia_parse::ast::*;

/// The name of a result column without alias.
pub(crate) fn output_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// The name of an index's column over an expression (`FigureIndexColname`).
pub(crate) fn index_column_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "expr".to_owned(), |(name, _)| name)
}

/// A name and whether it is a strong one (casts and CASE give way to strong names inside).
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match &expr.kind {
        ExprKind::Column(parts) => parts.last().map(|p| (p.name.clone(), true)),
        ExprKind::Field(_, field) => strong(&field.name),
        ExprKind::Subscript(base, _) | ExprKind::Collate(base, _) => figure(base),
        ExprKind::Call(call) => strong(call.name.name()),
        ExprKind::NullIf(_) => strong("nullif"),
        ExprKind::Cast { arg, ty, .. } => match figure(arg) {
            Some((name, true)) => Some((name, true)),
            _ => Some((ty.name.name().to_owned(), false)),
        },
        ExprKind::Case { otherwise, .. } => match otherwise.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        ExprKind::Array(_) | ExprKind::ArrayQuery(_) => strong("array"),
        ExprKind::Row(_) => strong("row"),
        ExprKind::Coalesce(_) => strong("coalesce"),
        ExprKind::MinMax { greatest, .. } => strong(if *greatest { "greatest" } else { "least" }),
        ExprKind::Exists(_) => strong("exists"),
        ExprKind::Grouping(_) => strong("grouping"),
        ExprKind::Subquery(query) => query_name(&query.body).map(|n| (n, true)),
        ExprKind::SqlValue(v) => strong(match v {
            SqlValue::CurrentDate => "current_date",
            SqlValue::CurrentTime(_) => "current_time",
            SqlValue::CurrentTimestamp(_) => "current_timestamp",
            SqlValue::LocalTime(_) => "localtime",
            SqlValue::LocalTimestamp(_) => "localtimestamp",
            SqlValue::CurrentRole => "current_role",
            SqlValue::CurrentUser => "current_user",
            SqlValue::User => "user",
            SqlValue::SessionUser => "session_user",
            SqlValue::CurrentCatalog => "current_catalog",
            SqlValue::CurrentSchema => "current_schema",
        }),
        _ => None,
    }
}

/// The name of a query's first column.
fn query_name(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Select(select) => {
            let item = select.items.first()?;
            Some(item.alias.as_ref().map_or_else(|| output_name(&item.expr), |a| a.name.clone()))
        }
        SetExpr::Values(_) => Some("column1".to_owned()),
        SetExpr::Query(query) => query_name(&query.body),
        SetExpr::SetOp { first, .. } => query_name(first),
    }
}
