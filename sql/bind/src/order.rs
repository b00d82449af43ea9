//! ORDER BY and DISTINCT ON: ordinals, output names and expressions (`findTargetlistEntry`, `transformSortClause`).

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::operator::operator;
use crate::scope::{Clause, Scope};
use crate::select::Target;
use crate::walk;
use curia_parse::ast::{self, Literal};
use curia_types::geometry::is_geometric;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid};

/// A key of ORDER BY as an output column.
#[derive(Clone, Debug)]
pub(crate) struct OrderItem {
    pub target: usize,
    pub descending: bool,
    pub nulls_first: bool,
    pub position: Option<u32>,
}

/// Direction and place of nulls; USING takes `<` and `>` only.
fn direction(key: &ast::OrderBy) -> Result<(bool, bool)> {
    let descending = match &key.using {
        None => key.descending,
        Some(op) => match &*op.name {
            "<" | "~<~" => false,
            ">" | "~>~" => true,
            other => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("operator {other} is not a valid ordering operator"),
                )
                .hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
                .at(at(key.expr.pos)));
            }
        },
    };
    Ok((descending, key.nulls_first.unwrap_or(descending)))
}

impl Binder<'_> {
    /// Keys inside an aggregate or a window: plain expressions.
    pub fn sort_keys(&self, keys: &[ast::OrderBy], scope: &Scope<'_>) -> Result<Vec<SortKey>> {
        keys.iter()
            .map(|k| {
                let (descending, nulls_first) = direction(k)?;
                let expr = self.expr(&k.expr, scope)?;
                let expr = self.text_if_unknown(expr)?;
                self.check_orderable(&expr, at(k.expr.pos))?;
                Ok(SortKey {
                    expr,
                    descending,
                    nulls_first,
                })
            })
            .collect()
    }

    pub fn check_orderable(&self, e: &Expr, position: Option<u32>) -> Result<()> {
        if e.ty.oid == oid::RECORD || (!is_geometric(e.ty.oid) && self.find_operator(&operator("<"), e.ty.oid, e.ty.oid, 0).is_ok()) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an ordering operator for type {}", type_text(e.ty.oid)),
        )
        .hint("Use an explicit ordering operator or modify the query.")
        .at(position))
    }

    /// ORDER BY of a SELECT; expressions that are no output column join the targets as junk.
    pub fn order_targets(&self, keys: &[ast::OrderBy], targets: &mut Vec<Target>, scope: &Scope<'_>) -> Result<Vec<OrderItem>> {
        let mut out: Vec<OrderItem> = Vec::with_capacity(keys.len());
        for key in keys {
            let (descending, nulls_first) = direction(key)?;
            let target = self.find_target(&key.expr, targets, scope, Clause::OrderBy, "ORDER BY")?;
            targets[target].expr = self.text_if_unknown(targets[target].expr.clone())?;
            self.check_orderable(&targets[target].expr, at(key.expr.pos))?;
            if !out.iter().any(|o| o.target == target) {
                out.push(OrderItem {
                    target,
                    descending,
                    nulls_first,
                    position: at(key.expr.pos),
                });
            }
        }
        Ok(out)
    }

    /// The target that an item of ORDER BY, GROUP BY or DISTINCT ON means; a new junk one if it is an expression of its own.
    pub fn find_target(&self, e: &ast::Expr, targets: &mut Vec<Target>, scope: &Scope<'_>, clause: Clause, what: &str) -> Result<usize> {
        if let Some(found) = self.named_target(e, targets, what)? {
            return Ok(found);
        }
        let expr = self.expr_in(e, scope, clause)?;
        if let Some(i) = targets.iter().position(|t| walk::same(&t.expr, &expr) && !walk::is_volatile(&expr)) {
            return Ok(i);
        }
        targets.push(Target {
            expr,
            name: "?column?".to_owned(),
            junk: true,
        });
        Ok(targets.len() - 1)
    }

    /// A target by output name or ordinal.
    pub fn named_target(&self, e: &ast::Expr, targets: &[Target], what: &str) -> Result<Option<usize>> {
        match &e.kind {
            ast::ExprKind::Column(parts) if parts.len() == 1 => {
                let mut found: Option<usize> = None;
                for (i, t) in targets.iter().enumerate().filter(|(_, t)| !t.junk && t.name == parts[0].name) {
                    match found {
                        Some(f) if !walk::same(&targets[f].expr, &t.expr) => {
                            return Err(
                                SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("{what} \"{}\" is ambiguous", parts[0].name))
                                    .at(at(e.pos)),
                            );
                        }
                        Some(_) => {}
                        None => found = Some(i),
                    }
                }
                Ok(found)
            }
            ast::ExprKind::Literal(Literal::Integer(n)) => {
                let live: Vec<usize> = targets.iter().enumerate().filter(|(_, t)| !t.junk).map(|(i, _)| i).collect();
                let index = usize::try_from(*n)
                    .ok()
                    .and_then(|n| n.checked_sub(1))
                    .and_then(|n| live.get(n).copied());
                index.map(Some).ok_or_else(|| {
                    SqlError::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        format!("{what} position {n} is not in select list"),
                    )
                    .at(at(e.pos))
                })
            }
            ast::ExprKind::Literal(l) if !matches!(l, Literal::Bool(_)) => {
                Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("non-integer constant in {what}")).at(at(e.pos)))
            }
            _ => Ok(None),
        }
    }

    /// DISTINCT ON: its keys must be the first ones of ORDER BY.
    pub fn distinct_on(&self, keys: &[ast::Expr], order: &[OrderItem], targets: &mut Vec<Target>, scope: &Scope<'_>) -> Result<Vec<usize>> {
        let mut on = Vec::with_capacity(keys.len());
        for key in keys {
            let target = self.find_target(key, targets, scope, Clause::DistinctOn, "DISTINCT ON")?;
            self.check_hashable(&targets[target].expr)?;
            if !on.contains(&target) {
                on.push(target);
            }
        }
        let matched = order.iter().take_while(|o| on.contains(&o.target)).count();
        if matched < on.len() && matched < order.len() {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(keys.first().and_then(|k| at(k.pos))));
        }
        Ok(on)
    }

    /// ORDER BY and LIMIT around rows whose columns are all there is to order by (set operations, VALUES, parentheses).
    pub fn order_outputs(&self, rows: Query, query: &ast::Query, scope: &Scope<'_>, what: &str) -> Result<Query> {
        refuse_locks(query, if what == "VALUES" { "VALUES" } else { "UNION/INTERSECT/EXCEPT" })?;
        let mut rel = rows.rel;
        if !query.order_by.is_empty() {
            let targets: Vec<Target> = rows
                .output
                .iter()
                .map(|c| Target {
                    expr: Expr {
                        kind: ExprKind::Column(c.id),
                        ty: c.ty,
                        position: None,
                    },
                    name: c.name.clone(),
                    junk: false,
                })
                .collect();
            let mut keys = Vec::with_capacity(query.order_by.len());
            for key in &query.order_by {
                let (descending, nulls_first) = direction(key)?;
                let Some(i) = self.named_target(&key.expr, &targets, "ORDER BY")? else {
                    if what != "UNION/INTERSECT/EXCEPT" {
                        return Err(
                            SqlError::unsupported("ORDER BY an expression around VALUES or a parenthesised query").at(at(key.expr.pos)),
                        );
                    }
                    if let ast::ExprKind::Column(parts) = &key.expr.kind {
                        // A name that is no output column is unknown here.
                        return Err(self.column_ref(parts, scope).err().unwrap_or_else(|| invalid_set_order(key)));
                    }
                    return Err(invalid_set_order(key));
                };
                let expr = targets[i].expr.clone();
                self.check_orderable(&expr, at(key.expr.pos))?;
                keys.push(SortKey {
                    expr,
                    descending,
                    nulls_first,
                });
            }
            rel = Rel::Sort {
                input: Box::new(rel),
                keys,
            };
        }
        Ok(Query {
            rel: self.limit(rel, query, scope)?,
            output: rows.output,
        })
    }

    /// NULL of a type, for columns without a value.
    pub fn null(&self, ty: PgType) -> Expr {
        self.constant(Datum::Null, ty, None)
    }
}

fn invalid_set_order(key: &ast::OrderBy) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
        .detail("Only result column names can be used, not expressions or functions.")
        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
        .at(at(key.expr.pos))
}

/// FOR UPDATE and friends where PostgreSQL has none.
pub(crate) fn refuse_locks(query: &ast::Query, beside: &str) -> Result<()> {
    match query.locking.first() {
        None => Ok(()),
        Some(lock) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{} is not allowed with {beside}", lock.strength.clause()),
        )),
    }
}
